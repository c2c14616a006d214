"""Whole cycles of script items: our two paths and Debian's spine 1.2.24, in turn, on the same database.

    make bench-children                                 200 and 2,000 scripts that print, 240 that take half a second
    make bench-children BENCH="--rounds 5 --only 200"

Prints medians and spread of each program, the ratio to the reference, and how many values were not what the script
printed. Times are of the whole process. bench_children, which `make bench-children` runs as well, shows the loop alone.
"""

import argparse
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import cacti, mariadb, reference  # noqa: E402
from support.lab import LabError, work_directory  # noqa: E402
from support.poller import Binary, Poller, cpu_seconds, find_program  # noqa: E402

#: name: (devices, scripts of each, threads, command)
CASES = {"200": (20, 10, 20, "echo {n}"), "2000": (100, 20, 20, "echo {n}"), "slow": (60, 4, 60, "sleep 0.5; echo {n}")}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--no-reference", action="store_true")
    return parser.parse_args()


def seed(site, devices, scripts, threads, command):
    for table in ("host", "poller_item", "data_local", "poller_output"):
        site.sql(f"DELETE FROM {table}")
    full = site.add_devices([{"id": n, "hostname": "127.0.0.1", "availability_method": 0}
                             for n in range(1, devices + 1)])
    items = [{"device": d, "action": cacti.SCRIPT, "arg1": command.format(n=n), "rrd_name": "v"}
             for n, d in enumerate(full * scripts)]
    site.threads(threads)
    return dict(zip(site.add_items(items), map(str, range(len(items)))))


def one(site, poller, expected):
    site.sql("DELETE FROM poller_output")
    run = poller.run(first=0, last=9999, timeout=600)
    if run.status != 0:
        raise LabError(f"{run}")
    stored = {key: rows[0][1] for key, rows in site.outputs().items()}
    return {"wall s": run.seconds, "CPU s": cpu_seconds(run.usage),
            "wrong": sum(stored.get(key) != value for key, value in expected.items())}


def show(name, figures, base):
    cells = []
    for key in figures[0]:
        values = [f[key] for f in figures]
        middle = statistics.median(values)
        text = f"{middle:.3f} ({min(values):.3f}-{max(values):.3f})" if key != "wrong" else f"{max(values)}"
        if base is not None and key != "wrong":
            text += f" x{middle / statistics.median([f[key] for f in base]):.2f}"
        cells.append(f"{key} {text}")
    print(f"  {name:12} " + "; ".join(cells), flush=True)


def main():
    a = arguments()
    ours = Binary(find_program("SPINE", "spine"))
    programs = {"legacy loop": (ours, "off")} | ({"event loop": (ours, "on")} if ours.has_libevent else {})
    if not a.no_reference:
        programs = {"reference": (reference.binary(), None)} | programs
    with work_directory() as work:
        template = cacti.prepare(work / "template")
        with mariadb.MariaDB(work / "db", template=template) as server:
            site = cacti.Site(server, work / "site")
            pollers = {n: Poller(b, site, work / n.replace(" ", "-"), loop=loop) for n, (b, loop) in programs.items()}
            for case in [a.only] if a.only else CASES:
                devices, scripts, threads, command = CASES[case]
                print(f"{devices * scripts} scripts '{command}', {devices} devices, {threads} threads, {a.rounds} rounds; "
                      "median (least-most), ratio to the reference", flush=True)
                expected = seed(site, *CASES[case])
                found = {n: [] for n in programs}
                for _ in range(a.rounds):  # in turn, so that all see the same neighbours
                    for n, poller in pollers.items():
                        found[n].append(one(site, poller, expected))
                for n, figures in found.items():
                    show(n, figures, found.get("reference") if n != "reference" else None)


if __name__ == "__main__":
    try:
        main()
    except LabError as e:
        sys.exit(f"bench: {e}")
