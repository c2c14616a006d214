"""Dead SNMPv3 devices beside live ones, by the way on which all of them wait on the event loop.

    make bench-dead-v3                                        5,000 dead v3 devices, 500 live v2c ones, 3 rounds
    make bench-dead-v3 BENCH="--dead 10000 --live 500 --rounds 5"

In each round a cycle with the live ones alone, one with the dead ones alone and one with both, in turn. Prints of each the
wall, how late the event loop was at most, and processor time, as medians (least-most), and by what factor the cycle with
both is longer than the time-outs of one dead device.
"""

import argparse
import ipaddress
import pathlib
import re
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import cacti, mariadb  # noqa: E402
from support.agent import FakeAgent  # noqa: E402
from support.lab import LabError, work_directory  # noqa: E402
from support.poller import Binary, Poller, cpu_seconds, find_program  # noqa: E402

OBJECT = ".1.3.6.1.2.1.31.1.1.1.6"
FIRST = ipaddress.IPv4Address("127.1.0.1")
V3 = {"snmp_version": 3, "snmp_username": "poller", "snmp_password": "a pass phrase", "snmp_auth_protocol": "SHA",
      "snmp_priv_passphrase": "another phrase", "snmp_priv_protocol": "AES"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dead", type=int, default=5000)
    parser.add_argument("--live", type=int, default=500)
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--timeout", type=int, default=500, help="of a try, ms")
    parser.add_argument("--retries", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def seed(site, a, port):
    """Ids 1 to a.live answer; those behind them never do."""
    devices = site.add_devices([{"id": n, "hostname": str(FIRST + n - 1), "snmp_port": port, "snmp_timeout": a.timeout,
                                 **(V3 if n > a.live else {})} for n in range(1, a.live + a.dead + 1)])
    site.add_items([{"device": d, "arg1": f"{OBJECT}.{n}", "rrd_name": "traffic_in"}
                    for d in devices for n in range(1, a.items + 1)])
    site.settings(snmp_retries=a.retries, log_verbosity=3)


def one(site, poller, first, last, rows):
    site.sql("DELETE FROM poller_output")
    site.sql("UPDATE host SET status = 3, status_event_count = 0")
    run = poller.run(first=first, last=last, timeout=600)
    stored = site.sql("SELECT COUNT(*) AS n FROM poller_output")[0]["n"]
    if run.status != 0 or stored != rows:
        raise LabError(f"{stored} rows stored, {rows} expected\n{run}")
    late = re.findall(r"event loop late by ([\d.]+) ms", run.log)
    return {"wall s": run.seconds, "lag ms": float(late[0]) if late else 0.0,
            "CPU s": cpu_seconds(run.usage)}


def show(name, figures):
    cells = [f"{key} {statistics.median(of):.2f} ({min(of):.2f}-{max(of):.2f})"
             for key in figures[0] for of in [[f[key] for f in figures]]]
    print(f"{name:10} " + "; ".join(cells), flush=True)


def main():
    a = arguments()
    floor = a.timeout / 1000 * (a.retries + 1)
    last, rows = a.live + a.dead, a.live * a.items
    print(f"{a.dead} dead v3 devices, {a.live} live v2c ones, {a.items} items each; time-outs of a dead device {floor:.1f} s; "
          f"{a.rounds} rounds, median (least-most)", flush=True)
    with work_directory() as work:
        template = cacti.prepare(work / "template")
        with mariadb.MariaDB(work / "db", template=template) as server:
            site = cacti.Site(server, work / "site")
            lines = [f"object .1.3.6.1.2.1.1.3.0 timeticks @uptime\nobject {OBJECT}.{{1-{a.items}}} counter64 @mix\n",
                     f"agent {FIRST}-{FIRST + a.live - 1}\n"]
            with FakeAgent("".join(lines), binary=find_program("FAKEAGENT", "tests/support/fakeagent/fakeagent")) as farm:
                seed(site, a, farm.port)
                poller = Poller(Binary(find_program("SPINE", "spine")), site, work / "poller", loop="async")
                loads = {"live alone": (1, a.live, rows), "dead alone": (a.live + 1, last, 0), "both": (1, last, rows)}
                found = {name: [] for name in loads}
                for _ in range(a.rounds):
                    for name, load in loads.items():
                        found[name].append(one(site, poller, *load))
    for name, figures in found.items():
        show(name, figures)
    both = statistics.median(f["wall s"] for f in found["both"])
    dead = statistics.median(f["wall s"] for f in found["dead alone"])
    print(f"both / time-outs {both / floor:.2f}; both / dead alone {both / dead:.2f}")


if __name__ == "__main__":
    try:
        main()
    except LabError as e:
        sys.exit(f"bench: {e}")
