"""Kills pollers at random moments of a busy cycle and looks at what they leave.

`make check-kill` runs it with KILL_COUNT=200, and FLEET_COUNT=20 times with a fleet of FLEET_DEVICES=5000 that are nearly
all in flight at once; the seed is printed and can be given (SEED=...). `make check-kill-daemon` does it to cycles that a
daemon carries out, to the daemon, and to the database.
"""

import ipaddress
import os
import random
import signal
import time

from . import cacti
from .checks import accounts, assert_accounted, assert_closed, assert_stored
from .lab import LabError, wait_until
from .traces import Traces

FIRST = ipaddress.IPv4Address("127.3.0.1")
DEVICES, ITEMS, SCRIPTS, SERVERS = 60, 10, 6, 4

SPEC = "\n".join([
    "object .1.3.6.1.2.1.1.3.0 timeticks @uptime",
    f"object .1.3.6.1.2.1.31.1.1.1.6.{{1-{ITEMS}}} counter64 @mix",
    f"agent {FIRST}-{FIRST + DEVICES - 1} delay=20",
    f"agent {FIRST + 20} silent",
]) + "\n"

#: What is sent: a signal, or two 50 ms apart.
KINDS = [(signal.SIGTERM,), (signal.SIGINT,), (signal.SIGTERM, signal.SIGTERM), (signal.SIGKILL,)]


def seed_site(site, port, tally=None):
    """SNMP devices, scripts that are pipelines, and items of a script server that only looks like one. With `tally` some
    scripts append the number of their device to that file."""
    devices = site.add_devices([{"id": i, "hostname": str(FIRST + i - 1), "snmp_port": port, "snmp_timeout": 400}
                                for i in range(1, DEVICES + 1)])
    items = [{"device": d, "arg1": f".1.3.6.1.2.1.31.1.1.1.6.{k}", "rrd_name": "t"}
             for d in devices for k in range(1, ITEMS + 1)]
    for d in devices[:SCRIPTS]:
        items += [{"device": d, "action": cacti.SCRIPT, "rrd_name": "s",
                   "arg1": "/bin/sleep 0.6 | /bin/cat; /bin/echo a:1 b:2 | /bin/cat"}]
    if tally:
        items += [{"device": d, "action": cacti.SCRIPT, "rrd_name": "n", "arg1": f"/bin/echo {d['id']} >>{tally}; /bin/echo 1"}
                  for d in devices[SCRIPTS:2 * SCRIPTS]]
    for d in devices[:SERVERS]:
        items += [{"device": d, "action": cacti.SCRIPT_SERVER, "rrd_name": "p", "arg1": "x.php f", "arg2": "1"}]
    site.add_items(items)
    site.threads(10)


#: What a fleet is stopped by, in turn.
FLEET_KINDS = [(signal.SIGTERM,)] * 3 + [(signal.SIGINT,)]
FLEET_FIRST = ipaddress.IPv4Address("127.6.0.1")
FLEET_ITEMS = 5


def fleet_spec(devices):
    """One in five answers, after some time that differs; the others never do."""
    lines = ["object .1.3.6.1.2.1.1.3.0 timeticks @uptime",
             f"object .1.3.6.1.2.1.31.1.1.1.6.{{1-{FLEET_ITEMS}}} counter64 @mix",
             f"agent {FLEET_FIRST}-{FLEET_FIRST + devices - 1} silent"]
    lines += [f"agent {FLEET_FIRST + n} delay=0-600" for n in range(0, devices, 5)]
    return "\n".join(lines) + "\n"


def seed_fleet(site, port, devices):
    """Devices alone: a dead one is in flight for two seconds."""
    fleet = site.add_devices([{"id": i, "hostname": str(FLEET_FIRST + i - 1), "snmp_port": port, "snmp_timeout": 1000}
                              for i in range(1, devices + 1)])
    site.add_items([{"device": d, "arg1": f".1.3.6.1.2.1.31.1.1.1.6.{k}", "rrd_name": "t"}
                    for d in fleet for k in range(1, FLEET_ITEMS + 1)])


class KillLoop:
    """pollers: {name: Poller}, used in turn; lasts: how long a cycle takes. run() returns the failures found, as texts."""

    def __init__(self, site, pollers, lasts, seed, kinds=tuple(KINDS), last=DEVICES, seconds=None, whole_devices=False):
        """seconds: how long the end may take; whole_devices: a device's values are stored all or not at all."""
        self.site, self.pollers, self.lasts = site, pollers, lasts
        self.kinds, self.last, self.seconds, self.whole_devices = kinds, last, seconds, whole_devices
        self.random = random.Random(seed)
        self.slowest = 0.0
        self.ended = {}
        self.stored = 0  # rows, if whole_devices

    def run(self, count):
        names = sorted(self.pollers)
        found = []
        for i in range(count):
            kind = self.kinds[i // len(names) % len(self.kinds)]
            offset = self.random.random() * self.lasts
            found += [f"{names[i % len(names)]}, {[s.name for s in kind]} at {offset:.3f} s: {text}"
                      for text in self._one(self.pollers[names[i % len(names)]], kind, offset)]
        return found

    def _one(self, poller, kind, offset):
        self.site.sql("DELETE FROM poller_output")
        self.site.sql("DELETE FROM poller_time")
        traces = Traces()
        with poller.start(first=0, last=self.last, env=traces.env) as running:
            time.sleep(offset)  # what the loop is about: anywhere in the cycle
            sent = self._send(running, kind)
            run = running.wait()
            took = time.monotonic() - sent
        yield from self._look(run, kind, took)
        try:
            traces.wait_gone()
        except Exception as e:  # what remains is reported, and ended
            yield f"{e}: {[open(f'/proc/{p}/cmdline').read() for p in traces.pids()]}"
            for pid in traces.pids():
                os.kill(pid, signal.SIGKILL)

    @staticmethod
    def _send(running, kind):
        sent = time.monotonic()
        for i, number in enumerate(kind):
            if i > 0:
                time.sleep(0.05)
            os.kill(running.pid, number)  # Popen.send_signal would reap it
        return sent

    def _allowed(self, kind):
        return {0, -kind[0]}

    def _ends_in_order(self, kind):
        return len(kind) == 1 and kind[0] != signal.SIGKILL

    def _look(self, run, kind, took):
        self.ended[run.status] = self.ended.get(run.status, 0) + 1
        if run.status not in self._allowed(kind):
            yield f"status {run.status}\n{run!r}"
        if self._ends_in_order(kind):
            self.slowest = max(self.slowest, took)
            if self.seconds is not None and took > self.seconds:
                yield f"ended {took:.2f} s after the signal"
            if any(c["end_time"] is None for c in self.site.cycles()):
                yield f"row left open\n{run!r}"
        partial = self.site.sql("SELECT local_data_id, COUNT(*) AS n FROM poller_output GROUP BY local_data_id "
                                "HAVING n <> 1")
        if partial:
            yield f"data sources with more or less than their rows: {partial[:3]}"
        if self.whole_devices:
            yield from self._look_at_devices()
        wrong = self.site.sql("SELECT o.output FROM poller_output o WHERE o.rrd_name = 's' "
                              "AND o.output NOT IN ('a:1 b:2', 'U')")
        if wrong:
            yield f"values that no script has printed: {wrong[:3]}"

    def _look_at_devices(self):
        some = self.site.sql("SELECT i.host_id, COUNT(*) AS items, COUNT(o.local_data_id) AS n FROM poller_item i "
                             "LEFT JOIN poller_output o USING (local_data_id, rrd_name) "
                             "GROUP BY i.host_id HAVING n NOT IN (0, items)")
        if some:
            yield f"devices with some of their values: {some[:3]}"
        self.stored += self.site.sql("SELECT COUNT(*) AS n FROM poller_output")[0]["n"]


#: Of a client that its daemon has left (docs/operations.md).
ORPHANED = 75


class ResidentKillLoop(KillLoop):
    """The same with cycles that `daemon` carries out: what is killed are their clients. Whatever the signal, the row is
    closed, nothing is polled twice, and the daemon has no thread and no descriptor more than before."""

    def __init__(self, site, pollers, lasts, seed, daemon, tally, **how):
        how.setdefault("kinds", ((signal.SIGTERM,), (signal.SIGKILL,), (signal.SIGTERM, signal.SIGTERM), (signal.SIGKILL,)))
        super().__init__(site, pollers, lasts, seed, **how)
        self.daemon, self.tally = daemon, tally
        self.before = self._held()

    def _held(self):
        return self.daemon.threads(), self.daemon.descriptors(), sorted(p.name for p in self.daemon.directory.iterdir())

    def _one(self, poller, kind, offset):
        self.tally.write_text("")
        yield from super()._one(poller, kind, offset)

    def _ends_in_order(self, kind):
        return True

    def _settle(self):
        try:
            wait_until(lambda: self._held() == self.before, "the daemon to be as before")
        except LabError:
            yield f"the daemon holds {self._held()}, and held {self.before}"

    def _look(self, run, kind, took):
        yield from self._settle()
        yield from super()._look(run, kind, took)
        if len(self.site.cycles()) > 1:
            yield f"{len(self.site.cycles())} rows of poller_time: polled twice\n{run!r}"
        begun = self.tally.read_text().split()
        if len(begun) != len(set(begun)):
            yield f"scripts of these devices ran twice: {begun}\n{run!r}"
        idle = "SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE USER = %s"
        wait_until(lambda: self.site.sql(idle, cacti.USER)[0]["n"] == 0, "no connection to be left")


class DaemonKillLoop(ResidentKillLoop):
    """The daemon is killed, and started again; its clients close the rows."""

    def __init__(self, *arguments, **how):
        super().__init__(*arguments, kinds=((signal.SIGKILL,),), **how)

    def _send(self, running, kind):
        sent = time.monotonic()
        self.daemon.kill()
        return sent

    def _allowed(self, kind):
        return {0, ORPHANED}

    def _settle(self):
        self.daemon.start()
        return ()


AWAY_S = 3
UNAVAILABLE = 69  # exit status


def kill_at(server, running, offset):
    """Ends the server `offset` seconds from now as a power cut would, if the run is still on; it is back 3 s later."""
    running.ends_within(offset)
    server.kill()
    running.ends_within(AWAY_S)
    server.start()


def kill_database(site, pollers, expected, count, last, seed=None):
    """Kills the database at `count` moments of a cycle, by each poller in turn. Everything is stored, or the cycle has not
    begun."""
    seed = seed or str(random.SystemRandom().randrange(10**6))
    moments = random.Random(seed)
    print(f"KILL_DB_SEED={seed}")
    for n in range(count):
        offset = moments.uniform(0, 2.3)
        with pollers[n % len(pollers)].start("-V", "3", first=0, last=last) as running:
            kill_at(site.server, running, offset)
            run = running.wait()
        if run.status == UNAVAILABLE:  # the cycle was not open yet, and the server was not back in the 5 s of the start
            assert "cannot connect to the database" in run.stderr and not site.cycles() and not site.outputs(), run
            continue
        print(f"{n + 1}: killed after {offset:.3f} s, ended after {run.seconds:.3f} s, {accounts(run)}")
        assert run.status == 0, run
        assert_stored(site, expected)
        assert_closed(site, run)
        assert_accounted(run, expected=len(expected), stored=len(expected))
        site.sql("DELETE FROM poller_output")
        site.sql("DELETE FROM poller_time")
