"""Whole cycles on simulated agents: our three ways and Debian's spine 1.2.24, in turn, on the same database.

    make bench                                      1,000 devices x 20 items, 30 threads, no delay, none dead
    make bench BENCH="--devices 1000 --delay 20 --dead 0.05 --threads 30 --rounds 5"
    make bench BENCH="--before ../before/spine"     a build of an earlier commit, in the same run
    make bench BENCH="--loads --rounds 3"           one load after the other, as docs/performance.md has them

Prints medians and spread of each program, the ratio to the reference and the ratio to the build before. Times are of the
whole process.
"""

import argparse
import ipaddress
import os
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import cacti, mariadb, reference  # noqa: E402
from support.agent import FakeAgent  # noqa: E402
from support.lab import LabError, work_directory  # noqa: E402
from support.poller import Binary, Poller, cpu_seconds, find_program  # noqa: E402

OBJECT = ".1.3.6.1.2.1.31.1.1.1.6"
FIRST = ipaddress.IPv4Address("127.1.0.1")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--threads", type=int, default=30)
    parser.add_argument("--delay", type=int, default=0, help="of each answer, ms")
    parser.add_argument("--dead", type=float, default=0.0, help="share of devices that never answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-reference", action="store_true")
    parser.add_argument("--only", action="append", metavar="NAME", help="of our ways: legacy loop, event loop, async")
    parser.add_argument("--loads", action="store_true", help="all of LOADS, whatever the options before say")
    parser.add_argument("--before", type=pathlib.Path, help="the program of an earlier build, to compare with")
    return parser.parse_args()


#: devices, threads, delay of an answer in ms, share of dead devices
LOADS = [(100, 30, 0, 0.0), (5000, 60, 0, 0.0), (5000, 60, 0, 0.05), (5000, 60, 0, 0.2), (1000, 60, 20, 0.0),
         (5000, 60, 20, 0.0), (5000, 60, 0, 1.0)]


def spec(a):
    dead = int(a.devices * a.dead)
    # the whole system group: the reference polls nothing on a device that lacks one of its objects
    lines = [f"object .1.3.6.1.2.1.1.{n}.0 string device" for n in (1, 4, 5, 6)]
    lines += ["object .1.3.6.1.2.1.1.2.0 oid .1.3.6.1.4.1.1", "object .1.3.6.1.2.1.1.3.0 timeticks @uptime",
              f"object {OBJECT}.{{1-{a.items}}} counter64 @mix",
              f"agent {FIRST}-{FIRST + a.devices - 1}" + (f" delay={a.delay}" if a.delay else "")]
    # the dead ones are spread evenly, as in life
    lines += [f"agent {FIRST + n * a.devices // dead} silent" for n in range(dead)]
    return "\n".join(lines) + "\n"


def seed(site, a, port):
    devices = site.add_devices([{"id": n, "hostname": str(FIRST + n - 1), "snmp_port": port}
                                for n in range(1, a.devices + 1)])
    site.add_items([{"device": d, "arg1": f"{OBJECT}.{n}", "rrd_name": "traffic_in"}
                    for d in devices for n in range(1, a.items + 1)])
    site.threads(a.threads)


def server_cpu(server):
    """Seconds of processor time that the database server has used so far."""
    fields = pathlib.Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def one(server, site, poller, a):
    site.sql("DELETE FROM poller_output")
    site.sql("UPDATE host SET status = 3, status_event_count = 0")
    before = server_cpu(server)
    run = poller.run(first=0, last=a.devices, timeout=600)
    rows = site.sql("SELECT COUNT(*) AS n FROM poller_output")[0]["n"]
    if run.status != 0:
        raise LabError(f"{run}")
    return {"wall s": run.seconds, "CPU s": cpu_seconds(run.usage), "database CPU s": server_cpu(server) - before,
            "memory MB": run.usage.ru_maxrss / 1024, "rows": rows}


def ratio(middle, key, figures, mark):
    base = statistics.median([f[key] for f in figures])
    return f" {mark}{middle / base:.2f}" if base else ""


def show(name, figures, base, before):
    cells = []
    for key in figures[0]:
        values = [f[key] for f in figures]
        middle = statistics.median(values)
        text = f"{middle:.3f} ({min(values):.3f}-{max(values):.3f})" if key != "rows" else f"{middle:.0f}"
        if base is not None and key != "rows":
            text += ratio(middle, key, base, "x")
        if before is not None and key != "rows":
            text += ratio(middle, key, before, "before x")
        cells.append(f"{key} {text}")
    print(f"{name:18} " + "; ".join(cells), flush=True)


def measure(a, programs):
    print(f"{a.devices} devices x {a.items} items, {a.threads} threads, answers after {a.delay} ms, "
          f"{a.dead:.0%} dead, {a.rounds} rounds; median (least-most), ratio to the reference", flush=True)
    with work_directory() as work:
        template = cacti.prepare(work / "template")
        with mariadb.MariaDB(work / "db", template=template) as server:
            site = cacti.Site(server, work / "site")
            with FakeAgent(spec(a), binary=find_program("FAKEAGENT", "tests/support/fakeagent/fakeagent")) as farm:
                seed(site, a, farm.port)
                pollers = {n: Poller(b, site, work / n.replace(" ", "-"), loop=loop)
                           for n, (b, loop) in programs.items()}
                found = {n: [] for n in programs}
                for _ in range(a.rounds):  # in turn, so that all see the same neighbours
                    for n, poller in pollers.items():
                        found[n].append(one(server, site, poller, a))
    for n, figures in found.items():
        show(n, figures, found.get("reference") if n != "reference" else None,
             found.get(BEFORE.get(n)) if n in BEFORE else None)


#: the way of a build before to compare each of ours with
BEFORE = {"legacy loop": "legacy before", "event loop": "event before", "async": "event before"}


def main():
    a = arguments()
    ours = Binary(find_program("SPINE", "spine"))
    programs = {"legacy loop": (ours, "off"), "event loop": (ours, "on"), "async": (ours, "async")}
    if a.only:
        programs = {n: p for n, p in programs.items() if n in a.only}
    if a.before:
        before = Binary(a.before.resolve())
        programs |= {"legacy before": (before, "off"), "event before": (before, "on")}
    if not a.no_reference:
        programs = {"reference": (reference.binary(), None)} | programs
    if not a.loads:
        measure(a, programs)
        return
    for a.devices, a.threads, a.delay, a.dead in LOADS:
        measure(a, programs)


if __name__ == "__main__":
    try:
        main()
    except LabError as e:
        sys.exit(f"bench: {e}")
