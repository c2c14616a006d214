"""The database at work: our three ways, a build before, and Debian's spine 1.2.24, in turn, on one database.

    make bench-database BENCH="--before ../before/spine"              all parts
    make bench-database BENCH="--part cycle --only async"             one part (again: one more), one way
    make bench-database BENCH="--variant 'one: DB_Connections 1' --variant 'text: DB_Bulk off'"

Parts: "cycle", 5,000 and 20,000 live devices x 20 items with the results in memory and in InnoDB; "delay", a server that
answers later and later; "reader", something that reads and deletes results as Cacti's poller.php does meanwhile; "million",
200,000 devices x 5 items. "first ms" is the time from the start of the process until the first request comes to an agent.
"""

import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import time

import pymysql

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[n]) for n in (1, 0)]

import benchlib  # noqa: E402
from benchlib import FIRST, Goal  # noqa: E402
from support import cacti  # noqa: E402
from support.agent import FakeAgent  # noqa: E402
from support.lab import LabError, spawn, tool  # noqa: E402
from support.poller import find_program  # noqa: E402

ENGINES = ("MEMORY", "InnoDB")
SIZES = (5000, 20000)
THREADS = 60

#: of a cycle against the same way of the build before, by number of devices
GOALS = {5000: (Goal("wall", 0.55, "async before"), Goal("db_cpu", 0.6, "async before"),
                Goal("memory", 0.7, "async before"), Goal("first", 20)),
         20000: (Goal("memory", 0.4, "async before"), Goal("first", 20))}

#: ms that the server answers later: by how much a cycle may get longer
DELAYS = {0.2: 0.10, 1: 0.20, 5: 0.60}

MILLION = (50000, 100000, 200000)
MILLION_ITEMS = 5


def arguments():
    parser = benchlib.parser(__doc__)
    benchlib.add_options(parser)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--scale", type=float, default=1.0, help="all sites with this share of their devices, to try it")
    parser.add_argument("--size", type=int, action="append", help="of the part cycle: this number of devices, not scaled")
    parser.add_argument("--engine", choices=ENGINES, help="of the parts cycle and reader: only this one")
    parser.add_argument("--both-ways", action="store_true", help="the delay is that of each direction, not of answers alone")
    parser.add_argument("--commands", action="store_true", help="the statements of a run by their kind")
    return parser.parse_args()


def scaled(a, devices):
    return max(10, int(devices * a.scale))


@contextlib.contextmanager
def farm(devices, items):
    text = "\n".join([*benchlib.objects(items), f"agent {FIRST}-{FIRST + devices - 1}"])
    with FakeAgent(text + "\n", binary=find_program("FAKEAGENT", "tests/support/fakeagent/fakeagent")) as agents:
        yield agents
        lost = agents.counters()["kernel_drops"]
        if lost:
            print(f"  {lost} requests were lost at the agents, which were too slow for them")


# ---- whole cycles ----


def cycle(a, totals):
    programs = benchlib.ways(a)
    sizes = a.size or [scaled(a, n) for n in SIZES]
    with benchlib.bench_site() as (site, work), farm(max(sizes), 20) as agents:
        benchlib.empty_site(site)
        for size, before in zip(sizes, [0, *sizes]):
            benchlib.add_devices(site, before + 1, size, 20, agents.port)
            for engine in [a.engine] if a.engine else ENGINES:
                benchlib.results_engine(site, engine)
                print(f"\ncycle: {size:,} live devices x 20 items, results in {engine}; up to {a.rounds} rounds", flush=True)
                found = benchlib.measure(site, work, a, programs, f"cycle-{size}-{engine}", size, THREADS, agents)
                benchlib.show(found, programs)
                if a.commands:
                    benchlib.show_commands(found, programs)
                nearest = min(GOALS, key=lambda n: abs(n * (1 if a.size else a.scale) - size))
                benchlib.show_goals(found, GOALS[nearest], totals)


# ---- a server that answers later ----


@contextlib.contextmanager
def proxy(site, path, to_server_ms, to_client_ms):
    """The path of a socket behind which the server answers later."""
    program = find_program("DELAYPROXY", "tests/bench/delayproxy")
    command = [program, path, site.server.socket, round(to_server_ms * 1000), round(to_client_ms * 1000)]
    process = spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if process.stdout.readline() != b"ready\n":
            raise LabError("the proxy has not started")
        yield path
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def round_trip(path, count=200):
    """Milliseconds of a statement through it, the median."""
    connection = pymysql.connect(unix_socket=str(path), user=cacti.USER, password=cacti.PASSWORD, database=cacti.DATABASE)
    times = []
    with contextlib.closing(connection), connection.cursor() as cursor:
        for _ in range(count):
            began = time.monotonic()
            cursor.execute("SELECT 1")
            times.append(time.monotonic() - began)
    return statistics.median(times) * 1000


def delay(a, totals):
    programs = benchlib.ways(a, default=("reference", "event", "async", "event before", "async before"))
    size = scaled(a, 5000)
    found = {}
    print(f"\ndelay: {size:,} live devices x 20 items, a server that answers later; up to {a.rounds} rounds", flush=True)
    with benchlib.bench_site() as (site, work), farm(size, 20) as agents:
        benchlib.empty_site(site)
        benchlib.add_devices(site, 1, size, 20, agents.port)
        for n, ms in enumerate((None, 0, *DELAYS)):
            with contextlib.ExitStack() as stack:
                path = site.server.socket
                if ms is not None:
                    path = stack.enter_context(proxy(site, work / f"proxy{n}", ms if a.both_ways else 0, ms))
                trip = round_trip(path)
                found[ms] = benchlib.measure(site, work, a, programs, f"delay-{ms}", size, THREADS, agents,
                                             conf={"DB_Host": path})
            what = "no proxy" if ms is None else f"{ms:g} ms{' each way' if a.both_ways else ''}"
            print(f"  {what}; a statement takes {trip:.2f} ms")
            benchlib.show(found[ms], programs, ("wall", "cpu", "db_cpu", "statements", "at_once", "rows"))
    show_delays(programs, found, totals)


def show_delays(programs, found, totals):
    lines = [["longer than with the proxy that does not delay", *(f"{ms:g} ms" for ms in DELAYS)]]
    for name in programs:
        base = found[0].middle(name, "wall")
        cells = [(found[ms].middle(name, "wall"), base) for ms in DELAYS]
        lines.append([name, *(f"{wall / base - 1:+.0%}" if wall and base else "" for wall, base in cells)])
    benchlib.table(lines)
    for ms, limit in DELAYS.items():
        base = found[0].middle("async", "wall")
        found[ms].runs["no delay"] = [{"wall": base}]
        benchlib.show_goals(found[ms], [Goal("wall", round(1 + limit, 2), "no delay")], totals)


# ---- a reader ----


class Reader:
    """Reads and deletes results all the time (reader.php), until `stop`, which returns what it says of itself."""

    def __init__(self, site):
        script = pathlib.Path(__file__).with_name("reader.php")
        command = [tool("php", "php-cli"), script, site.server.socket, cacti.DATABASE, cacti.USER, cacti.PASSWORD]
        self.process = spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"ready\n":
            self.process.kill()
            raise LabError("reader.php has not started; it needs Debian's php-cli and php-mysql")

    def stop(self):
        said, _ = self.process.communicate(timeout=120)
        if self.process.returncode != 0:
            raise LabError(f"reader.php ended with {self.process.returncode}")
        return json.loads(said)


def with_reader(site, poller, last, seconds, agents):
    """One cycle beside the reader: the figures of both."""
    site.sql("DELETE FROM poller_output")
    started = []

    def measure(*arguments):
        started.append(Reader(site))
        return plain(*arguments)

    plain, poller.measure = poller.measure, measure
    try:
        figures = benchlib.run_once(site, poller, last, seconds, agents)
    finally:
        del poller.measure
        found = started[0].stop() if started else None
    left = site.sql("SELECT COUNT(*) AS n FROM poller_output")[0]["n"]
    return figures | {"rows": found["rows"] + left, "reader_rows": found["rows"], "reader_busy": found["busy_s"],
                      "select": found["select_s"] * 1000, "delete": found["delete_s"] * 1000,
                      "by_time": found["by_time_s"] * 1000, "turns": found["turns"],
                      "reader_errors": len(found["errors"]), "reader_error": (found["errors"] or [""])[0]}


def reader(a, totals):
    programs = benchlib.ways(a, default=("reference", "async", "async before"))
    size = scaled(a, 20000)
    with benchlib.bench_site() as (site, work), farm(size, 20) as agents:
        benchlib.empty_site(site)
        benchlib.add_devices(site, 1, size, 20, agents.port)
        for engine in [a.engine] if a.engine else ENGINES:
            benchlib.results_engine(site, engine)
            print(f"\nreader: {size:,} live devices x 20 items, results in {engine}, alone and beside a reader; "
                  f"up to {a.rounds} rounds", flush=True)
            load = f"reader-{size}-{engine}"
            alone = benchlib.measure(site, work, a, programs, f"{load}-alone", size, THREADS, agents)
            beside = benchlib.measure(site, work, a, programs, load, size, THREADS, agents, once=with_reader)
            show_reader(programs, alone, beside, size * 20)


def show_reader(programs, alone, beside, rows):
    def rate(count, seconds):
        return benchlib.number(count / seconds if count and seconds else None, 0)

    lines = [["", "alone s", "rows/s", "beside s", "rows/s", "longer", "reader: rows/s", "longest SELECT ms",
              "DELETE ms", "DELETE by time ms", "turns", "errors", "rows"]]
    for name in programs:
        wall, other = alone.middle(name, "wall"), beside.middle(name, "wall")
        figure = {k: beside.middle(name, k) for k in ("reader_rows", "reader_busy", "select", "delete", "by_time",
                                                      "turns", "reader_errors", "rows")}
        lines.append([name, benchlib.number(wall, 2), rate(rows, wall), benchlib.number(other, 2), rate(rows, other),
                      f"{other / wall - 1:+.0%}" if wall and other else "",
                      rate(figure["reader_rows"], figure["reader_busy"]),
                      *(benchlib.number(figure[k], 0) for k in ("select", "delete", "by_time", "turns", "reader_errors", "rows"))])
    benchlib.table(lines)
    for name in programs:
        for found in (alone, beside):
            if name in found.failed:
                print(f"  {name}: {found.failed[name]}")
        errors = {f["reader_error"] for f in beside.runs.get(name, []) if f["reader_error"]}
        if errors:
            print(f"  {name}: the reader was told: {'; '.join(sorted(errors))}")
    sys.stdout.flush()


# ---- a million items ----


def million(a, totals):
    programs = benchlib.ways(a, default=("async",))
    sizes = [scaled(a, n) for n in MILLION]
    first = {}
    print(f"\nmillion: live devices x {MILLION_ITEMS} items, results in memory, an address for each; up to {a.rounds} rounds",
          flush=True)
    with benchlib.bench_site() as (site, work), farm(sizes[-1], MILLION_ITEMS) as agents:
        benchlib.empty_site(site)
        for size, before in zip(sizes, [0, *sizes]):
            benchlib.add_devices(site, before + 1, size, MILLION_ITEMS, agents.port)
            found = benchlib.measure(site, work, a, programs, f"million-{size}", size, THREADS, agents)
            print(f"  {size:,} devices")
            benchlib.show(found, programs)
            for name in programs:
                wall, memory = found.middle(name, "wall"), found.middle(name, "memory")
                first.setdefault(name, (wall, memory))
                if wall and first[name][0]:
                    print(f"  {name}: wall {wall / (first[name][0] * size / sizes[0]):.2f} of linear, "
                          f"memory {memory / first[name][1]:.2f} of that at {sizes[0]:,}")
            if first.get("async", (None,))[0] and size != sizes[0]:
                linear = first["async"][0] * size / sizes[0]
                benchlib.show_goals(found, [Goal("wall", round(linear * 1.05, 2))], totals)  # linear, and some noise
    if "async" in programs:
        benchlib.show_goals(found, [Goal("memory", 128)], totals)


PARTS = {"cycle": cycle, "delay": delay, "reader": reader, "million": million}


def main():
    a = arguments()
    benchlib.end_on_term()
    print(benchlib.machine())
    totals = []
    done = [benchlib.part(name, lambda name=name: PARTS[name](a, totals)) for name in a.part or PARTS]
    benchlib.show_totals(totals)
    if not all(done):
        raise LabError("not all parts were measured")


if __name__ == "__main__":
    try:
        main()
    except LabError as e:
        sys.exit(f"bench: {e}")
