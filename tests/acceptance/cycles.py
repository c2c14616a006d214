"""Twelve cycles with each poller, alternating, as cron runs them: poller.php each minute, which polls several times."""

import collections
import dataclasses
import math
import re
import time

import logs
import rrd
from support.lab import file_text, wait_until

DOWN, UP = 1, 3
_STATS = "SYSTEM STATS: Time:"


@dataclasses.dataclass
class Cycle:
    """What was seen right after a cycle, before the next one."""

    poller: str
    begun: float
    ended: float = 0
    ticks: int = 0  #: of the simulated switch's clock
    before: int = 0  #: the same after the cycle before
    counts: dict = dataclasses.field(default_factory=dict)  #: of the real agent's counters
    counts_before: dict = dataclasses.field(default_factory=dict)
    left: int = 0
    rows: list = dataclasses.field(default_factory=list)
    hosts: dict = dataclasses.field(default_factory=dict)
    commands: int = 0
    updates: list = dataclasses.field(default_factory=list)


class Runner:
    """Runs poller.php and takes down its cycles."""

    def __init__(self, cacti, world):
        self.cacti = cacti
        self.world = world
        self.cycles = []
        self.failures = collections.defaultdict(list)  #: {poller: what poller.php did wrong}
        self.lines = collections.defaultdict(list)  #: {poller: its lines in the log}

    def processes(self):
        """How many pollers poller.php starts: it deals out the devices, and before them an entry 0 that is not one, in equal
        numbers, or (with several processes) in equal numbers of items."""
        sql = self.cacti.sql
        devices = [r["id"] for r in sql("SELECT id FROM host WHERE disabled = '' AND deleted = '' AND poller_id = 1 ORDER BY id")]
        count = self.cacti.value("SELECT processes FROM poller WHERE id = 1")
        per_process = math.ceil(len(devices) / count)
        if count == 1 or self.cacti.value("SELECT value FROM settings WHERE name = 'process_leveling'") == "":
            return math.ceil((len(devices) + 1) / per_process)
        items = {r["host_id"]: r["n"] for r in sql("SELECT host_id, COUNT(*) AS n FROM poller_item AS i JOIN host AS h ON "
                                                   "h.id = i.host_id WHERE h.disabled = '' AND h.deleted = '' GROUP BY host_id")}
        started = dealt = waiting = 0
        for device in devices:
            dealt, waiting = dealt + items.get(device, 0), waiting + 1
            if dealt >= sum(items.values()) // count or len(items) == count:
                started, dealt, waiting = started + 1, 0, 0
        return started + (waiting > 0)

    def run(self, poller, count=1, options=(), after_first=None):
        """One run of poller.php with `count` cycles; `after_first()` is called between the first one and the next."""
        poller.choose(self.cacti)
        mark, copied = len(self.cacti.log()), len(file_text(self.cacti.updates))
        process = self.cacti.start_poller(*options)
        begun = len(self.cycles)
        for number in range(1, count + 1):
            if not self._cycle(poller, mark, number, process):
                self.failures[poller.name].append(f"poller.php ended after {number - 1} cycles")
                break
            if number == 1 and after_first:
                after_first()
        status = process.wait(90)
        if status != 0:
            self.failures[poller.name].append(f"poller.php ended with {status}")
        self.cacti.wait_until_quiet()
        self.lines[poller.name] += self.cacti.log()[mark:].splitlines()
        self._assign(rrd.updates(file_text(self.cacti.updates)[copied:]), self.cycles[begun:], poller.name)
        return self.cycles[begun:]

    def _assign(self, found, cycles, name):
        """Which update belongs to which cycle, by its time."""
        for cycle in cycles:
            cycle.updates = [u for u in found if cycle.begun <= u.time <= cycle.ended]
        strays = len(found) - sum(len(c.updates) for c in cycles)
        if strays:
            self.failures[name].append(f"{strays} updates bear a time outside of the cycles")

    def _cycle(self, poller, mark, number, process):
        last = self.cycles[-1] if self.cycles else None
        cycle = Cycle(poller.name, begun=int(last.ended) + 1 if last else int(time.time()) - 1)
        cycle.before, cycle.counts_before = (last.ticks, last.counts) if last else (0, {})
        wait_until(lambda: self.cacti.log()[mark:].count(_STATS) >= number or process.poll() is not None, "a cycle's end", 90)
        if self.cacti.log()[mark:].count(_STATS) < number:
            return False
        cycle.ended = time.time()
        cycle.left = self.cacti.value("SELECT COUNT(*) FROM poller_output")
        cycle.rows = self.cacti.sql("SELECT pid, IF(end_time > 0, 1, 0) AS closed FROM poller_time")
        cycle.hosts = {r["id"]: r for r in self.cacti.sql("SELECT * FROM host")}
        cycle.commands = self.cacti.value("SELECT COUNT(*) FROM poller_command")
        cycle.ticks, cycle.counts = self.world.ticks(), self.world.counts()
        self.cycles.append(cycle)
        return True


def updated(cycle, sources):
    """Each RRD file of the sources has one update in the cycle, with all of its data sources, and no other file has one."""
    files = collections.defaultdict(set)
    for file, name in sources:
        files[file].add(name)
    seen = collections.Counter(u.file for u in cycle.updates)
    wrong = [f"{file}: {seen[file]} updates" for file in files if seen[file] != 1]
    wrong += [f"{file} is updated" for file in seen if file not in files]
    return wrong + [f"{u.file}: {u.values}" for u in cycle.updates if u.file in files and {n for n, _ in u.values} != files[u.file]]


def right(cycle, sources):
    """Each update has what the agent served in this cycle."""
    wrong = []
    for update in cycle.updates:
        for name, text in update.values:
            source = sources.get((update.file, name))
            if source is not None and not _is_right(source, text, cycle):
                wrong.append(f"{update.file} {name}: {text}")
    return wrong


def _is_right(source, text, cycle):
    if source.kind == "exact":
        return text == source.value
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        return False
    if source.kind == "ticks":
        ticks, rest = divmod(int(text), source.factor)
        return rest == 0 and cycle.before < ticks <= cycle.ticks
    if source.kind == "count":
        key = source.device, source.oid
        return cycle.counts_before.get(key, 0) <= int(text) <= cycle.counts[key]
    return True


def closed(cycle, processes):
    ok = len(cycle.rows) == processes and all(r["closed"] for r in cycle.rows)
    return [] if ok else [f"poller_time: {cycle.rows}"]


def statuses(cycle, down):
    """All devices are up but those that are named, and disabled ones, which are unknown to Cacti."""
    wrong = []
    for id, host in cycle.hosts.items():
        if host["disabled"] == "on":
            continue
        must = DOWN if id in down else UP
        if host["status"] != must:
            wrong.append(f"{host['description']} has status {host['status']} ({host['status_last_error']})")
        elif must == UP and host["failed_polls"] != 0:
            wrong.append(f"{host['description']} failed {host['failed_polls']} times")
    return wrong


class Judge:
    """The checks of the cycles of one poller: each gives a list of what is wrong."""

    def __init__(self, runner, name, count):
        self.runner, self.name, self.count = runner, name, count
        self.cycles = [c for c in runner.cycles if c.poller == name]
        self.sources = runner.world.sources()
        self.step = runner.cacti.step

    def checks(self):
        return {"cycles, each ended by poller.php as it must": self.ended,
                "each data source updated once a cycle": self.updated,
                "values are those that the agents served": self.right,
                "rows of the RRD files right": self.rows,
                "poller_output empty after each cycle": self.emptied,
                "poller_time closed, a row for each process": self.closed,
                "no device changes its status": self.steady,
                "no re-index": self.quiet,
                "log lines as Cacti's page reads them": self.logged}

    def ended(self):
        wrong = list(self.runner.failures[self.name])
        if len(self.cycles) != self.count:
            wrong.append(f"{len(self.cycles)} cycles")
        return wrong

    def _each(self, check, *arguments):
        return [f"cycle {n}: {text}" for n, c in enumerate(self.cycles, 1) for text in check(c, *arguments)]

    def updated(self):
        return self._each(updated, self.sources)

    def right(self):
        return self._each(right, self.sources)

    def rows(self):
        wrong = []
        for (file, name), source in self.sources.items():
            points = [(u.time, dict(u.values)[name]) for c in self.runner.cycles for u in c.updates
                      if u.file == file and name in dict(u.values)]
            if not points:
                wrong.append(f"{file} {name} was never updated")
                continue
            expected = rrd.rows(points, "counter" if source.counts else "gauge", self.step, 2 * self.step)
            stored = rrd.fetch(file, points[0][0], points[-1][0], self.step)[name]
            for end, value in expected.items():
                seen = stored.get(end, math.nan)
                if self._is_mine(end) and (not rrd.same(seen, value)
                                           or (source.kind == "exact" and seen != float(source.value))):
                    wrong.append(f"{file} {name} at {end}: {seen} and not {value}")
        return wrong

    def _is_mine(self, end):
        """The row is finished by an update of this poller's."""
        later = [c for c in self.runner.cycles if c.updates and c.updates[0].time >= end]
        return bool(later) and later[0].poller == self.name

    def emptied(self):
        return [f"cycle {n}: {c.left} rows" for n, c in enumerate(self.cycles, 1) if c.left]

    def closed(self):
        return self._each(closed, self.runner.processes())

    def steady(self):
        return self._each(statuses, {self.runner.world.devices["dead"]})

    def quiet(self):
        wrong = [f"cycle {n}: {c.commands} commands" for n, c in enumerate(self.cycles, 1) if c.commands]
        return wrong + [line for line in self.runner.lines[self.name] if "ecache" in line and "RecacheTime:0.0" not in line]

    def logged(self):
        return logs.wrong(self.runner.cacti, self.runner.lines[self.name])


OVERRUN = "a device that takes longer than the interval"


def overrun(runner, poller, count):
    """In the first cycle the switch needs more than the interval: the others are stored, the cycle ends in time, and those
    after it are right."""
    world, step = runner.world, runner.cacti.step
    name = poller.name
    runner.failures[name].clear()
    mark = len(runner.cacti.log())
    world.patience(1000 * step // 2)
    world.delay(1000 * step * 2 // 5)
    try:
        found = runner.run(poller, count, after_first=lambda: world.delay(0))
    finally:
        world.delay(0)
        world.patience(500)
    sources = world.sources()
    others = {key: s for key, s in sources.items() if s.device != world.devices["switch"]}
    wrong = list(runner.failures[name])
    for n, cycle in enumerate(found, 1):
        texts = right(cycle, sources) + closed(cycle, runner.processes())
        mine = [u for u in cycle.updates if (u.file, u.values[0][0]) in others]
        texts += updated(cycle, sources) if n > 2 else updated(dataclasses.replace(cycle, updates=mine), others)
        wrong += [f"cycle {n}: {text}" for text in texts]
    lines = runner.cacti.log()[mark:].splitlines()
    return wrong + [line for line in lines if "overrunning" in line or "Maximum runtime" in line]
