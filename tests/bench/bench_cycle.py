"""Whole cycles on simulated agents: our three ways, a build before, and Debian's spine 1.2.24, in turn, on one database.

    make bench                                      1,000 devices x 20 items, 30 threads, no delay, none dead
    make bench BENCH="--devices 1000 --delay 20 --dead 0.05 --threads 30 --rounds 5"
    make bench BENCH="--before ../before/spine"     a build of an earlier commit, in the same run
    make bench BENCH="--loads"                      one load after the other, with the goals that each has
    make bench BENCH="--only-load v3"               one of them (again: one more)
    make bench BENCH="--variant 'one connection: DB_Connections 1'"
    make bench-figures                              5,000 devices by one way, with and without what tells about a cycle

Prints medians, and least and most of the wall time, the ratios to the reference (r) and to the same way of the build before
(b). Times are of the whole process; memory is its largest resident set; statements and connections are what the server
counted meanwhile; "at once" is the most connections at a time.
"""

import contextlib
import pathlib
import tempfile
import socket
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[n]) for n in (1, 0)]

import benchlib  # noqa: E402
from benchlib import FIRST, Goal, Way  # noqa: E402
from support.agent import FakeAgent  # noqa: E402
from support.lab import LabError  # noqa: E402
from support.poller import Binary, find_program  # noqa: E402

TIMEOUT_S = 2.0  # of one dead device: 500 ms and 3 retries


class Load:
    """A site. `slow`: only the way async is run, unless --full is given: the others take minutes."""

    def __init__(self, devices, threads, delay=0, dead=0.0, items=20, kind="plain", slow=False, goals=()):
        self.devices, self.threads, self.delay, self.dead, self.items = devices, threads, delay, dead, items
        self.kind, self.slow, self.goals = kind, slow, goals

    def __str__(self):
        kind = "" if self.kind == "plain" else f" {self.kind}"
        return (f"{self.devices:,}{kind} devices x {self.items} items, {self.threads} threads, answers after "
                f"{self.delay} ms, {self.dead:.0%} dead")


#: "event before" is the event path with workers of the build that --before names
LOADS = {
    "live-100": Load(100, 30, goals=(Goal("wall", 0.06, "reference"), Goal("wall", 1.0, "event before"))),
    "live-5000": Load(5000, 60, goals=(Goal("wall", 0.18, "reference"), Goal("cpu", 0.12, "reference"),
                                       Goal("wall", 0.9, "event before"))),
    "dead-5": Load(5000, 60, dead=0.05, goals=(Goal("wall", TIMEOUT_S + 0.3), Goal("wall", 0.08, "event before"))),
    "dead-20": Load(5000, 60, dead=0.2, goals=(Goal("wall", TIMEOUT_S + 0.3), Goal("wall", 0.08, "event before"))),
    "far-1000": Load(1000, 60, delay=20, goals=(Goal("wall", 0.08, "reference"), Goal("wall", 0.25, "event before"))),
    "far-5000": Load(5000, 60, delay=20, goals=(Goal("wall", 0.05, "reference"), Goal("wall", 0.16, "event before"))),
    "mixed": Load(1000, 60, delay=20, dead=0.05, kind="mixed", goals=(Goal("wall", 0.2, "reference"),)),
    "v3": Load(1000, 60, kind="v3", goals=(Goal("cpu", 0.08, "reference"),)),
    "dead-100": Load(5000, 60, dead=1.0, slow=True, goals=(Goal("wall", TIMEOUT_S + 0.3), Goal("memory", 64))),
}

GROWTH = [1000, 2000, 5000, 10000, 20000]

#: What tells about a cycle, as lines of spine.conf in which {0} is a folder; the first is what the others are compared with.
FIGURES = {
    "nothing": {"Trace_Events": 0},
    "ring": {},
    "metrics": {"Metrics_File": "{0}/metrics.prom"},
    "report": {"Report_File": "{0}/report.json"},
    "timeline": {"Timeline_File": "{0}/timeline.html"},
    "trace": {"Trace_File": "{0}/trace.json"},
    "events": {"Event_Log": "{0}/events"},
    "all": {"Metrics_File": "{0}/all.prom", "Report_File": "{0}/all.json", "Timeline_File": "{0}/all.html",
            "Trace_File": "{0}/all.trace", "Event_Log": "{0}/all.events"},
}
FIGURES_LIMITS = {"ring": 1.02, "metrics": 1.05, "report": 1.05, "timeline": 1.05}

#: Of a mixed site: (availability method, ping method), device by device in turn: SNMP uptime; SNMP and ping by ICMP, UDP,
#: TCP; ping alone; ping or SNMP; sysDescr; GETNEXT; no check.
METHODS = [(2, 1), (1, 1), (1, 2), (1, 3), (3, 1), (3, 2), (3, 3), (4, 1), (4, 2), (4, 3), (5, 1), (6, 1), (0, 1)]
MIXED_V1 = "MOD(seq, 10) = 0"
MIXED_SCRIPTS = "MOD(h.id, 10) = 4"
USER = ("mon", "authphrase", "privphrase")


def arguments():
    parser = benchlib.parser(__doc__)
    benchlib.add_options(parser)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--threads", type=int, default=30)
    parser.add_argument("--delay", type=int, default=0, help="of each answer, ms")
    parser.add_argument("--dead", type=float, default=0.0, help="share of devices that never answer")
    parser.add_argument("--kind", choices=("plain", "mixed", "v3"), default="plain")
    parser.add_argument("--loads", action="store_true", help="all of them, and growth: " + ", ".join(LOADS))
    parser.add_argument("--only-load", action="append", choices=[*LOADS, "growth"], metavar="NAME")
    parser.add_argument("--scale", type=float, default=1.0, help="the loads with this share of their devices, to try them")
    parser.add_argument("--figures", choices=tuple(benchlib.LOOP), metavar="WAY",
                        help="this way alone, with each of: " + ", ".join(FIGURES))
    parser.add_argument("--full", action="store_true", help="all ways also where most devices are dead (minutes a run)")
    return parser.parse_args()


def dead_devices(load):
    """The ids of those that never answer: they are spread evenly, as in life."""
    dead = int(load.devices * load.dead)
    return [1 + n * load.devices // dead for n in range(dead)]


def spec(load):
    options = f" delay={load.delay}" if load.delay else ""
    if load.kind == "v3":
        options += f" user={':'.join(USER)}"
    lines = [*benchlib.objects(load.items), f"agent {FIRST}-{FIRST + load.devices - 1}{options}"]
    lines += [f"agent {FIRST + n - 1} silent" for n in dead_devices(load)]
    return "\n".join(lines) + "\n"


def closed_port():
    """A port that is closed for UDP and TCP: who pings it learns that the device is there. Below those that the system
    gives to sockets of its own accord, which would open it for a moment."""
    for port in range(5000, 10000):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                stack.enter_context(socket.socket(socket.AF_INET, kind)).bind(("0.0.0.0", port))
            return port
    raise LabError("no port is closed for UDP and TCP")


def seed(site, load, port):
    """Devices and items; a dead device of a mixed site answers neither SNMP nor a ping by UDP, since both go to the
    silent agent; the machine itself answers what goes to it by ICMP and TCP."""
    benchlib.empty_site(site)
    columns = {}
    if load.kind == "v3":
        columns = {"snmp_version": 3, "snmp_community": "''", "snmp_username": f"'{USER[0]}'",
                   "snmp_auth_protocol": "'SHA'", "snmp_password": f"'{USER[1]}'", "snmp_priv_protocol": "'AES128'",
                   "snmp_priv_passphrase": f"'{USER[2]}'"}
    elif load.kind == "mixed":
        turn = f"1 + MOD(seq, {len(METHODS)})"
        dead = ", ".join(map(str, dead_devices(load))) or "0"
        columns = {"snmp_version": f"IF({MIXED_V1}, 1, 2)",
                   "availability_method": f"ELT({turn}, {', '.join(str(m) for m, _ in METHODS)})",
                   "ping_method": f"ELT({turn}, {', '.join(str(p) for _, p in METHODS)})",
                   "ping_port": f"IF(seq IN ({dead}), {port}, {closed_port()})"}
    benchlib.add_devices(site, 1, load.devices, load.items, port, **columns)
    if load.kind == "mixed":
        benchlib.add_scripts(site, MIXED_SCRIPTS, "echo 42")


def farm(text):
    return FakeAgent(text, binary=find_program("FAKEAGENT", "tests/support/fakeagent/fakeagent"))


def measure(a, name, load, programs, totals, goals=()):
    if load.slow and not a.full and not a.only:
        programs = {n: w for n, w in programs.items() if w.loop == "async"}
    print(f"\n{name}: {load}; up to {a.rounds} rounds", flush=True)
    if load.dead:
        print(f"  one dead device takes {TIMEOUT_S:.1f} s by SNMP" + (", and its ping" if load.kind == "mixed" else ""))
    with benchlib.bench_site() as (site, work), farm(spec(load)) as agents:
        seed(site, load, agents.port)
        found = benchlib.measure(site, work, a, programs, name, load.devices, load.threads, agents)
        lost = agents.counters()["kernel_drops"]
    benchlib.show(found, programs)
    if lost:
        print(f"  {lost} requests were lost at the agents, which were too slow for them")
    benchlib.show_goals(found, goals, totals)


def growth(a, programs, totals):
    """The same site, larger and larger; each figure against the first one, as many times as there are more devices."""
    sizes = [max(10, int(n * a.scale)) for n in GROWTH]
    load = Load(sizes[-1], 60)
    print(f"\ngrowth: live devices x 20 items, {load.threads} threads; up to {a.rounds} rounds", flush=True)
    first = {}
    with benchlib.bench_site() as (site, work), farm(spec(load)) as agents:
        benchlib.empty_site(site)
        for size, before in zip(sizes, [0, *sizes]):
            benchlib.add_devices(site, before + 1, size, load.items, agents.port)
            found = benchlib.measure(site, work, a, programs, f"growth-{size}", size, load.threads, agents)
            print(f"  {size:,} devices")
            benchlib.show(found, programs)
            for name in programs:
                wall = found.middle(name, "wall")
                first.setdefault(name, wall)
                if wall and first[name]:
                    print(f"  {name}: {wall / (first[name] * size / sizes[0]):.2f} of linear")
            if size != sizes[0] and "async" in programs and first.get("async"):
                benchlib.show_goals(found, [Goal("wall", round(first["async"] * size / sizes[0], 3))], totals)
            limit = {5000: 40, 20000: 64}.get(GROWTH[sizes.index(size)])
            if limit:
                benchlib.show_goals(found, [Goal("memory", limit)], totals)


def run(a, name, programs, totals):
    if name == "growth":
        chosen = programs if a.full or a.only else {n: w for n, w in programs.items() if w.loop == "async"}
        growth(a, chosen, totals)
        return
    load = LOADS[name]
    load.devices = max(10, int(load.devices * a.scale))
    measure(a, name, load, programs, totals, load.goals)


def figures(a, folder, totals):
    """Ring, metrics, report and the others, each alone, and all of them."""
    binary, loop = Binary(find_program("SPINE", "spine")), benchlib.LOOP[a.figures]
    first = next(iter(FIGURES))
    programs = {name: Way(name, binary, loop, {key: str(value).format(folder) for key, value in conf.items()},
                          base=None if name == first else first) for name, conf in FIGURES.items()}
    goals = [Goal("wall", limit, first, way=name) for name, limit in FIGURES_LIMITS.items()]
    measure(a, f"figures by {a.figures}", Load(a.devices, a.threads, a.delay, a.dead, a.items, a.kind), programs, totals, goals)


def main():
    a = arguments()
    benchlib.end_on_term()
    print(benchlib.machine())
    if a.figures:
        totals = []
        with tempfile.TemporaryDirectory() as folder:
            figures(a, folder, totals)
        benchlib.show_totals(totals)
        return
    programs = benchlib.ways(a)
    totals, done = [], []
    names = a.only_load or ([*LOADS, "growth"] if a.loads else [])
    if not names:
        measure(a, "site", Load(a.devices, a.threads, a.delay, a.dead, a.items, a.kind), programs, totals)
    for name in names:
        done.append(benchlib.part(name, lambda name=name: run(a, name, programs, totals)))
    benchlib.show_totals(totals)
    if not all(done):
        raise LabError("not all loads were measured")


if __name__ == "__main__":
    try:
        main()
    except LabError as e:
        sys.exit(f"bench: {e}")
