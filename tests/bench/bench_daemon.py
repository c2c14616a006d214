"""What a daemon saves: Debian's spine, ours for each cycle, and ours through a daemon, side by side.

    make bench-daemon                                              all parts
    make bench-daemon BENCH="--part v3 --rounds 5"                 one of them: v3, cycles, idle, start
    make bench-daemon BENCH="--rounds 1 --cycles 2 --every 2 --idle 5 --scale 0.1"       tries it

v3: 100 authPriv devices by each way; through the daemon the first cycle after its start, cold, and later ones, warm.
Processor time, and messages per device as the agents count them.
cycles: 1,000 v2c devices, a cycle every 10 s, ten times; processor time of all of them together.
idle: a daemon without anything to do for a minute: its processor time, and how often a thread of it has woken up.
start: one device; from the start of the process that Cacti starts to the first request, on the agents' clock, and how much
of it goes by until that process has asked a daemon, which a listener in the daemon's place takes the time of.

Processor time of the way `daemon` is that of the daemon and of the process that hands the cycle over. Ours polls by async SNMP.
"""

import contextlib
import pathlib
import re
import socket
import statistics
import sys
import threading
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[n]) for n in (1, 0)]

import benchlib  # noqa: E402
from benchlib import BenchPoller, Found, Goal, Way  # noqa: E402
from support import reference  # noqa: E402
from support.agent import FakeAgent  # noqa: E402
from support.lab import LabError, file_text  # noqa: E402
from support.poller import Binary, find_program  # noqa: E402
from support.resident import Resident  # noqa: E402

USER = ("mon", "authphrase", "privphrase")
V3 = {"snmp_version": 3, "snmp_community": "''", "snmp_username": f"'{USER[0]}'", "snmp_auth_protocol": "'SHA'",
      "snmp_password": f"'{USER[1]}'", "snmp_priv_protocol": "'AES128'", "snmp_priv_passphrase": f"'{USER[2]}'"}
ITEMS = 20
PARTS = ("v3", "cycles", "idle", "start")


def arguments():
    parser = benchlib.parser(__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cycles", type=int, default=10, help="of the part cycles")
    parser.add_argument("--every", type=float, default=10, metavar="S", help="of the part cycles")
    parser.add_argument("--idle", type=float, default=60, metavar="S", help="of the part idle")
    parser.add_argument("--scale", type=float, default=1.0, help="with this share of the devices, to try it")
    parser.add_argument("--timeout", type=int, default=280, metavar="S", help="a run is killed after this [280]")
    parser.add_argument("--no-reference", action="store_true", help="without Debian's spine")
    return parser.parse_args()


# ---- what a process uses ----


def clock_of(pid):
    """Processor time of a process with all threads that it has or had, in seconds, by the scheduler's own clock."""
    return time.clock_gettime((~pid << 3) | 2)


def rest(pid, seconds=5):
    """Waits until a process has nothing left to do of a cycle: a tenth of a second without processor time."""
    deadline = time.monotonic() + seconds
    before = clock_of(pid)
    while time.monotonic() < deadline:
        time.sleep(0.1)
        now = clock_of(pid)
        if now == before:
            return
        before = now


def wake_ups(pid):
    """How often the threads that it has have waited for something and gone on."""
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(FileNotFoundError):
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(), re.M).group(1))
    return total


# ---- one cycle ----


class Bench:
    def __init__(self, a, site, work):
        self.a, self.site, self.work = a, site, work
        ours = Binary(find_program("SPINE", "spine"))
        if not ours.has_libevent:
            raise LabError("a daemon needs libevent, which this build does not have")
        self.ways = {} if a.no_reference else {"reference": Way("reference", reference.binary(), None)}
        self.ways |= {"ours": Way("ours", ours, "async"), "daemon": Way("daemon", ours, "async", base="ours")}

    def poller(self, part, name):
        way = self.ways[name]
        return BenchPoller(way.binary, self.site, self.work / f"{part}-{name}", loop=way.loop)

    def once(self, poller, devices, farm, daemon=None):
        """The figures of one cycle; with a daemon its processor time as well."""
        before = farm.counters()["requests"]
        if daemon:
            rest(daemon.pid)
            cpu = clock_of(daemon.pid)
        figures = benchlib.run_once(self.site, poller, devices, self.a.timeout, farm)
        if daemon:
            rest(daemon.pid)
            figures["cpu"] += clock_of(daemon.pid) - cpu
        figures["messages"] = (farm.counters()["requests"] - before) / devices
        if figures["values"] != devices * ITEMS:
            raise LabError(f"{figures['values']} values stored, {devices * ITEMS} expected")
        return figures

    @contextlib.contextmanager
    def farm(self, devices, threads=30, options="", **columns):
        spec = "\n".join([*benchlib.objects(ITEMS), f"agent {benchlib.FIRST}-{benchlib.FIRST + devices - 1}{options}"])
        binary = find_program("FAKEAGENT", "tests/support/fakeagent/fakeagent")
        with FakeAgent(spec + "\n", binary=binary) as farm:
            benchlib.empty_site(self.site)
            benchlib.add_devices(self.site, 1, devices, ITEMS, farm.port, **columns)
            benchlib.set_threads(self.site, threads)
            yield farm

    def devices(self, count):
        return max(1, int(count * self.a.scale))


COLUMNS = [("wall", "wall s", 3), ("first", "first ms", 1), ("cpu", "CPU s", 4), ("messages", "messages a device", 2)]


def show(found, names, columns):
    lines = [["", *(heading for key, heading, _ in COLUMNS if key in columns)]]
    for name in names:
        row = []
        for key, _, decimals in COLUMNS:
            values = [f[key] for f in found.runs.get(name, []) if f.get(key) is not None]
            if key in columns and values:
                row.append(f"{found.middle(name, key):.{decimals}f} ({min(values):.{decimals}f}-{max(values):.{decimals}f})")
            elif key in columns:
                row.append("")
        lines.append([name, *row])
    benchlib.table(lines)


# ---- the parts ----


def part_v3(b, totals):
    devices = b.devices(100)
    found = Found("v3")
    with b.farm(devices, options=f" user={':'.join(USER)}", **V3) as farm:
        pollers = {name: b.poller("v3", name) for name in b.ways if name != "daemon"}
        for number in range(b.a.rounds):
            for name, poller in pollers.items():
                found.runs.setdefault(name, []).append(b.once(poller, devices, farm))
            with Resident(b.poller(f"v3-{number}", "daemon")) as daemon:
                for name in ("daemon, cold", "daemon, warm"):
                    found.runs.setdefault(name, []).append(b.once(daemon.poller, devices, farm, daemon))
    print(f"\n{devices} SNMPv3 devices (authPriv) x {ITEMS} items, {b.a.rounds} rounds")
    show(found, found.runs, ("wall", "first", "cpu", "messages"))
    cold = found.middle("ours", "messages")
    benchlib.show_goals(found, [Goal("cpu", 0.5, "ours", "daemon, warm"), Goal("cpu", 0.5, "daemon, cold", "daemon, warm"),
                                Goal("messages", round(cold - 1, 2), None, "daemon, warm")], totals)


def part_cycles(b, totals):
    devices = b.devices(1000)
    found = Found("cycles")
    with b.farm(devices, threads=60) as farm:
        for name in b.ways:
            poller = b.poller("cycles", name)
            with Resident(poller) if name == "daemon" else contextlib.nullcontext() as daemon:
                runs = []
                for _ in range(b.a.cycles):
                    started = time.monotonic()
                    runs.append(b.once(poller, devices, farm, daemon))
                    time.sleep(max(0, started + b.a.every - time.monotonic()))
            found.runs[name] = [{"cpu": sum(f["cpu"] for f in runs), "wall": sum(f["wall"] for f in runs)}]
    print(f"\n{devices:,} v2c devices x {ITEMS} items every {b.a.every:g} s, {b.a.cycles} cycles together")
    show(found, b.ways, ("wall", "cpu"))
    benchlib.show_goals(found, [Goal("cpu", 0.8, "ours", "daemon")], totals)


def part_idle(b, totals):
    found = Found("idle")
    with b.farm(1) as farm, Resident(b.poller("idle", "daemon")) as daemon:
        b.once(daemon.poller, 1, farm, daemon)
        rest(daemon.pid)
        cpu, woken = clock_of(daemon.pid), wake_ups(daemon.pid)
        time.sleep(b.a.idle)
        figures = {"share": (clock_of(daemon.pid) - cpu) / b.a.idle, "woken": wake_ups(daemon.pid) - woken}
    found.runs["daemon"] = [figures]
    print(f"\na daemon without a cycle for {b.a.idle:g} s: {figures['share']:.4%} of a core, {figures['woken']} wake-ups")
    benchlib.show_goals(found, [Goal("share", 0.001, None, "daemon"),
                                Goal("woken", int(b.a.idle / 5), None, "daemon")], totals)


class Doorbell(threading.Thread):
    """Is where a daemon would be: takes the time of a request, and goes."""

    def __init__(self, poller):
        super().__init__()
        path = poller.directory / "doorbell"
        poller.keys = poller.keys | {"Daemon": "auto", "Daemon_Socket": path}
        poller.write_conf(poller.conf_text())
        self.rung = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(str(path))
        self._socket.listen()
        self.start()

    def run(self):
        client, _ = self._socket.accept()
        client.recv(1)
        self.rung = time.monotonic()
        client.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.join()
        self._socket.close()


def time_to_ask(b, poller):
    """Milliseconds until a process has asked a daemon; it polls by itself then."""
    with Doorbell(poller) as bell:
        ended = poller.measure(1, b.a.timeout)
    (poller.directory / "doorbell").unlink()
    return (bell.rung - ended.start) * 1000


def part_start(b, totals):
    found = Found("start")
    with b.farm(1) as farm:
        pollers = {name: b.poller("start", name) for name in b.ways}
        with Resident(pollers["daemon"]) as daemon:
            b.once(pollers["daemon"], 1, farm, daemon)
            for _ in range(b.a.rounds):
                for name, poller in pollers.items():
                    found.runs.setdefault(name, []).append(
                        b.once(poller, 1, farm, daemon if name == "daemon" else None))
        asking = BenchPoller(b.ways["daemon"].binary, b.site, b.work / "start-asking", loop=b.ways["daemon"].loop)
        asked = statistics.median(time_to_ask(b, asking) for _ in range(b.a.rounds))
    print(f"\none device, {b.a.rounds} rounds; a process has asked a daemon after {asked:.1f} ms")
    show(found, b.ways, ("wall", "first"))
    for figures in found.runs["daemon"]:
        figures["ms from hand-over to first request"] = figures["first"] - asked
    benchlib.show_goals(found, [Goal("ms from hand-over to first request", 5, None, "daemon"), Goal("first", 5, None, "daemon")], totals)


def main():
    a = arguments()
    benchlib.end_on_term()
    print(benchlib.machine())
    totals, done = [], []
    with benchlib.bench_site() as (site, work):
        benchlib.results_engine(site, "MEMORY")
        b = Bench(a, site, work)
        for name in a.part or PARTS:
            done.append(benchlib.part(name, lambda name=name: globals()[f"part_{name}"](b, totals)))
    benchlib.show_totals(totals)
    if not all(done):
        raise LabError("not all parts were measured")


if __name__ == "__main__":
    try:
        main()
    except LabError as e:
        sys.exit(f"bench: {e}")
