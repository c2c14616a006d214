"""One site, polled by every program in turn from the same seed; what each has left, ready to be compared.

    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents)
        site.add_snmp_item(device, ".1.3.6.1.4.1.99999.1.1")

    found = compare(seed, agents="agent 127.3.0.1\\n", cycles=[Cycle(), Cycle(agents="agent 127.3.0.1 silent")])

For every program the database is emptied, seeded again and polled cycle by cycle; between two cycles the rows that
Cacti takes away are removed. The agents start afresh for every program, with the same port.
"""

import collections
import contextlib
import dataclasses
import math
import time

from support import cacti
from support.agent import FakeAgent
from support.lab import LabError
from support.poller import Poller
from support.resident import Resident

import rules
from dump import DATES, Dump, differences

#: What a cycle reads or writes, or a test seeds; all of it is put back before every program.
TABLES = ("data_local", "host", "poller", "poller_command", "poller_item", "poller_output", "poller_output_boost",
          "poller_reindex", "poller_time", "settings", "sites")

PRISTINE = "pristine"

#: What host.polling_time holds before a program sets it; no cycle here takes that long.
NOT_POLLED = 77

#: The whole system group: the reference polls nothing on a device that lacks one of these objects.
SYSTEM = """\
object .1.3.6.1.2.1.1.1.0 string "simulated agent"
object .1.3.6.1.2.1.1.2.0 oid .1.3.6.1.4.1.99999
object .1.3.6.1.2.1.1.3.0 timeticks 500000
object .1.3.6.1.2.1.1.4.0 string "nobody"
object .1.3.6.1.2.1.1.5.0 string "simulated"
object .1.3.6.1.2.1.1.6.0 string "on the bench"
"""

Program = collections.namedtuple("Program", "name binary loop")


@dataclasses.dataclass
class Cycle:
    """One run of the poller and what happens before it."""

    options: tuple = ()  #: further command-line options
    agents: str = ""  #: lines of spec, sent to the agents first
    change: object = None  #: called with the site first
    first: int = 0
    last: int = 9999
    whole: bool = False  #: no range on the command line
    status: int = 0  #: what our program ends with


class World:
    def __init__(self, server, work, programs, fakeagent, resident=False):
        """`resident`: ours hands its cycles to a daemon, a new one for each program of a comparison."""
        self.resident = resident
        self.server = server
        self.work = work
        self.programs = programs
        self.fakeagent = fakeagent
        self.site = cacti.Site(server, work / "site")
        self.site.settings(snmp_retries=1)
        self.site.sql(f"CREATE DATABASE {PRISTINE}")
        for table in TABLES:
            self.site.sql(f"CREATE TABLE {PRISTINE}.{table} LIKE {cacti.DATABASE}.{table}")
            self.site.sql(f"INSERT INTO {PRISTINE}.{table} SELECT * FROM {cacti.DATABASE}.{table}")
        self.others = [r["t"] for r in self.site.sql(
            "SELECT table_name AS t FROM information_schema.tables WHERE table_schema = %s", cacti.DATABASE)
            if r["t"] not in TABLES]

    def compare(self, seed, agents="", spec=SYSTEM, cycles=None, expect=(), raw=None, name="", poller_id=1,
                only=None, second=None, conf=None):
        """Runs all programs and fails unless our two paths agree and every difference from the reference is
        explained by a rule of `expect` (ids of docs/differences.md; a trailing "?" makes one optional) or by one that
        holds everywhere. Returns {program: [Dump of each cycle]}.

        `raw`: {poller_item key: text, or octets that are not text, as the agent has it}, for the rules about values.
        `only`: names of the programs to run, for what the reference does not know.
        `conf`: further lines of spine.conf.
        `second`: the spec of more agents on a port of their own, site.others.
        """
        cycles = cycles or [Cycle()]
        found = {}
        with contextlib.ExitStack() as stack:
            farm = stack.enter_context(FakeAgent(spec + agents, binary=str(self.fakeagent), log=True)) \
                if agents else None
            others = stack.enter_context(FakeAgent(spec + second, binary=str(self.fakeagent))) if second else None
            self.site.agents = farm.port if farm else None
            self.site.others = others.port if others else None
            for program in self.programs:
                if only is None or program.name in only:
                    found[program.name] = self._run(program, seed, farm, agents, cycles, poller_id, conf or {})
        self._judge(found, expect, raw or {}, name)
        return found

    def _run(self, program, seed, farm, agents, cycles, poller_id, conf):
        self._empty()
        seed(self.site)
        self.site.sql("UPDATE host SET polling_time = %s WHERE polling_time = 0", NOT_POLLED)
        if farm:
            farm.send("".join(line + "\n" for line in agents.splitlines() if line.startswith("agent")))
        poller = Poller(program.binary, self.site, self.work / program.name, loop=program.loop, poller_id=poller_id)
        ours = program.loop is not None
        poller.keys = (Poller.keys if ours else {}) | conf  # which Debian's spine does not know
        poller.write_conf(poller.conf_text())
        with Resident(poller) if self.resident and ours else contextlib.nullcontext() as daemon:
            dumps = [self._cycle(poller, farm, cycle, first=n == 0) for n, cycle in enumerate(cycles)]
            if daemon and daemon.state()["cycles"]["begun"] != len(cycles):
                raise LabError(f"not each of {len(cycles)} cycles was the daemon's\n{daemon.log()}")
        return dumps

    def _cycle(self, poller, farm, cycle, first):
        if not first:
            self._grow_old()
        if cycle.agents:
            farm.send(cycle.agents)
        if cycle.change:
            cycle.change(self.site)
        before = Dump(self.site, self.others)
        asked = len(farm.log) if farm else 0
        started = time.time()
        where = {} if cycle.whole else {"first": cycle.first, "last": cycle.last}
        run = poller.run(*cycle.options, **where)
        after = Dump(self.site, self.others)
        after.finish(before, run, (math.floor(started), math.ceil(time.time())), farm.log[asked:] if farm else [],
                     cycle)
        return after

    def _grow_old(self):
        """Takes what Cacti takes between two cycles, and makes what the last one has written tell from the new."""
        for table in ("poller_output", "poller_output_boost", "poller_time", "poller_command"):
            self.site.sql(f"DELETE FROM {table}")
        for column in DATES:
            self.site.sql(f"UPDATE host SET {column} = {column} - INTERVAL 1 DAY WHERE {column} > 0")
        self.site.sql("UPDATE host SET polling_time = %s", NOT_POLLED)
        self.site.settings(date="in the last cycle")

    def _empty(self):
        for table in TABLES:
            self.site.sql(f"TRUNCATE {table}")
            self.site.sql(f"INSERT INTO {table} SELECT * FROM {PRISTINE}.{table}")
        self.site._next = 1

    def _judge(self, found, expect, raw, name):
        complaints = []
        ours = [n for n in ("legacy", "event") if n in found]
        for n in ours:
            for k, dump in enumerate(found[n], 1):
                if dump.run.status != dump.cycle.status:
                    complaints.append(f"{n}, cycle {k}: {dump.run!r}")
                complaints += [f"{n}, cycle {k}: {text}" for text in dump.broken_promises()]
        if len(ours) == 2:
            for k, (a, b) in enumerate(zip(found["legacy"], found["event"]), 1):
                complaints += [f"cycle {k}: our two paths differ: {d.said('legacy', 'event')}"
                               for d in differences(a, b, requests=True)]
        if ours and "reference" in found:
            judge = rules.Judge(expect, raw, self.programs[0].binary.version.split()[1])
            for k, (theirs, mine) in enumerate(zip(found["reference"], found[ours[0]]), 1):
                for d in differences(theirs, mine):
                    if not judge.explains(d, found["reference"][:k], found[ours[0]][:k]):
                        complaints.append(f"cycle {k}: unexplained: {d.said('Spine', 'ours')}")
            complaints += judge.disappointed()
        if complaints:
            more = f"\n... and {len(complaints) - 40} more" if len(complaints) > 40 else ""
            raise AssertionError(f"{name}: {len(complaints)} complaints\n" + "\n".join(complaints[:40]) + more)
