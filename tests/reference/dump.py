"""Everything that a poll cycle leaves, and in what two cycles differ.

Times of day and durations cannot be equal in two runs; they are compared by what they must be: a time of day within
the run, a duration set or not, a response time kept, zero or more than zero.
"""

import collections
import re

#: host columns that are durations of this check or follow from them
RESPONSE_TIMES = ("min_time", "max_time", "cur_time", "avg_time")
DATES = ("status_fail_date", "status_rec_date")

#: Lines that Cacti or its operators look for, whatever the log level (docs/contract.md 3.11).
LINES = re.compile(r"HOST EVENT|ASSERT FAILED|Invalid Response|SNMP timeout detected|Empty result|SQL Failed"
                   r"|Spike Kill|WARNING|ERROR")
PREFIX = re.compile(r"^.*?Poller\[\d+\] (?:PID\[\d+\] )?(?:PT\[\w+\] )?")

Difference = collections.namedtuple("Difference", "table key column theirs ours")


def _said(self, one, other):
    return f"{self.table}{list(self.key)} {self.column}: {one} {self.theirs!r}, {other} {self.ours!r}"


Difference.said = _said


def plain(line):
    """A line of the log without what differs from run to run: time and process, and on a busy machine the signal that a
    script has ended by, because it may not have run in the time between the two."""
    return re.sub("ended by SIGTERM|ignored SIGTERM, ended by SIGKILL", "ended", PREFIX.sub("", line))


class Dump:
    """The tables as they are now; `finish` adds what belongs to the run that led here."""

    def __init__(self, site, others):
        self.outputs = self._outputs(site, "poller_output")
        self.boost = self._outputs(site, "poller_output_boost")
        dates = ", ".join(f"UNIX_TIMESTAMP({d}) AS unix_{d}" for d in DATES)
        self.host = {r["id"]: r for r in site.sql(f"SELECT *, {dates} FROM host")}
        for row in self.host.values():
            row.update({d: int(row.pop(f"unix_{d}") or 0) for d in DATES})
        self.items = {(r["local_data_id"], r["rrd_name"]): r for r in site.sql("SELECT * FROM poller_item")}
        self.reindex = {(r["host_id"], r["data_query_id"], r["arg1"]): r
                        for r in site.sql("SELECT * FROM poller_reindex")}
        self.commands = site.sql("SELECT poller_id, UNIX_TIMESTAMP(time) AS time, action, command FROM poller_command")
        self.cycles = site.sql("SELECT poller_id, pid, UNIX_TIMESTAMP(start_time) AS start_time, "
                               "UNIX_TIMESTAMP(end_time) AS end_time FROM poller_time ORDER BY id")
        self.settings = {r["name"]: r["value"] for r in site.sql("SELECT name, value FROM settings")}
        self.others = {r["Table"]: r["Checksum"] for r in site.sql("CHECKSUM TABLE " + ", ".join(others))}

    @staticmethod
    def _outputs(site, table):
        found = {}
        for r in site.sql(f"SELECT local_data_id, rrd_name, UNIX_TIMESTAMP(time) AS time, output FROM {table}"):
            found.setdefault((r["local_data_id"], r["rrd_name"]), []).append((int(r["time"]), r["output"]))
        return found

    def finish(self, before, run, within, asked, cycle):
        self.before = before
        self.run = run
        self.within = within
        self.asked = asked
        self.cycle = cycle
        self.lines = collections.Counter(plain(line) for line in run.log.splitlines() if LINES.search(line))

    # what is compared

    def _when(self, time):
        if not time:
            return "never"
        return "now" if self.within[0] <= time <= self.within[1] else f"at {time}"

    def values(self):
        """{(table, key, column): value}, comparable between programs."""
        found = {}
        for table, rows in (("poller_output", self.outputs), ("poller_output_boost", self.boost)):
            for key, pairs in rows.items():
                found[table, key, "output"] = sorted(output for _, output in pairs)
                found[table, key, "time"] = sorted(self._when(t) for t, _ in pairs)
        for id, row in self.host.items():
            for column, value in row.items():
                if column != "last_updated":
                    found["host", (id,), column] = self._host(id, row, column, value)
        for key, row in self.items.items():
            for column, value in row.items():
                if column != "last_updated":
                    found["poller_item", key, column] = value
        for key, row in self.reindex.items():
            for column, value in row.items():
                found["poller_reindex", key, column] = value
        for row in self.commands:
            key = (row["poller_id"], row["action"], row["command"])
            found["poller_command", key, "time"] = self._when(row["time"])
        found["poller_time", (), "rows"] = [(r["poller_id"], self._when(r["start_time"]), self._when(r["end_time"]))
                                            for r in self.cycles]
        for name in self.settings.keys() | self.before.settings.keys():
            if self.settings.get(name) != self.before.settings.get(name):
                found["settings", (name,), "value"] = "written" if name == "date" else self.settings.get(name)
        for name, sum in self.others.items():
            if sum != self.before.others[name]:
                found["table", (name,), "rows"] = "changed"
        for line, count in self.lines.items():
            found["log", (line,), "lines"] = count
        return found

    def _host(self, id, row, column, value):
        old = self.before.host[id][column]
        if column in DATES:
            return ("kept" if value else "never") if value == old else self._when(value)
        if column in RESPONSE_TIMES:
            if self._checked_up(id):
                return "zero" if value == 0 else "measured"
            return "kept" if value == old else value
        if column == "polling_time":
            return "kept" if value == old else "set" if value < self.within[1] - self.within[0] else value
        return value

    def _checked_up(self, id):
        """Whether this cycle's check found the device up, so that its response times are new."""
        old, new = self.before.host.get(id), self.host[id]
        return old is not None and new["total_polls"] > old["total_polls"] and \
            new["failed_polls"] == old["failed_polls"]

    def unchanged(self):
        """Whether the run has written nothing at all."""
        tables = ("outputs", "boost", "host", "items", "reindex", "commands", "cycles", "settings", "others")
        return all(getattr(self, t) == getattr(self.before, t) for t in tables)

    def requests(self):
        """What the simulated agents were asked: {address: sorted requests}."""
        found = {}
        for line in self.asked:
            found.setdefault(line.address, []).append((line.version, line.pdu, int(line.varbinds), line.oid, line.fate))
        return {address: sorted(lines) for address, lines in found.items()}

    def broken_promises(self):
        """What holds for our program without looking at another one."""
        owner = {key: row["host_id"] for key, row in self.items.items()}
        times = {}
        for key, pairs in self.outputs.items():
            if len(pairs) != 1:
                yield f"{len(pairs)} rows of {key}"
            times.setdefault(owner.get(key), set()).update(t for t, _ in pairs)
        for device, seen in times.items():
            if len(seen) != 1:
                yield f"device {device} has rows of {len(seen)} times"
        if self.run.stderr and self.cycle.status == 0:
            yield f"stderr: {self.run.stderr}"


def differences(theirs, ours, requests=False):
    """In what two dumps differ, as Differences; None stands for what is not there."""
    a, b = theirs.values(), ours.values()
    if requests:
        a |= {("requests", (address,), "list"): lines for address, lines in theirs.requests().items()}
        b |= {("requests", (address,), "list"): lines for address, lines in ours.requests().items()}
    return [Difference(*where, a.get(where), b.get(where))
            for where in sorted(a.keys() | b.keys(), key=_order) if a.get(where) != b.get(where)]


def _order(where):
    """Lines last: they may follow from values."""
    return where[0] == "log", str(where)
