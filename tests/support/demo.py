"""The demo behind scripts/demo: a small site in a temporary directory, polled once on each path.

Everything it starts is private (a MariaDB with its own data directory and socket, an snmpd on a loopback port) and
ends with it. Exit status 1 if the two paths stored different values, or not the right ones.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import cacti  # noqa: E402
from support.lab import LabError, SilentDevice, work_directory  # noqa: E402
from support.mariadb import MariaDB  # noqa: E402
from support.poller import Binary, Poller, cpu_seconds, find_program  # noqa: E402
from support.snmpd import PLAYPEN, Snmpd  # noqa: E402

PATHS = {"off": "legacy loop", "on": "event loop", "async": "async SNMP"}
MOVING = "moves"

#: Constant objects of the agent: name, snmpd's type, value there, and what Cacti must find stored.
CONSTANT = [
    ("integer", "integer", "42", "42"),
    ("negative", "integer", "-7", "-7"),
    ("counter", "counter", "4294967295", "4294967295"),
    ("gauge", "uinteger", "100000", "100000"),
    ("number_as_text", "octet_str", "12.5", "12.5"),
    ("text_with_unit", "octet_str", "3.3V", "3.3"),
    ("plain_text", "octet_str", "no number", "U"),
]

#: Objects of the machine itself, whose values change from one cycle to the next.
LIVE = [
    ("uptime", ".1.3.6.1.2.1.1.3.0"),
    ("loopback_in", ".1.3.6.1.2.1.31.1.1.1.6.1"),
    ("processes", ".1.3.6.1.2.1.25.1.6.0"),
]

DEVICES = [(1, "v2c", {}), (2, "v1", {"snmp_version": 1}), (3, "v2c, 2 objects a request", {"max_oids": 2}),
           (4, "dead", {"snmp_timeout": 200})]


def seed(site, port, dead_port):
    """Puts the devices in; returns (device, name, key, expected) for every item."""
    items = []
    for id, title, columns in DEVICES:
        device = site.add_device(id, port=dead_port if title == "dead" else port, description=title, **columns)
        for n, (name, _, _, stored) in enumerate(CONSTANT, 1):
            key = site.add_snmp_item(device, f"{PLAYPEN}.{n}", rrd_name=name)
            items.append((id, name, key, None if title == "dead" else stored))
        if title == "v2c":
            items.append((id, "no_such_object", site.add_snmp_item(device, f"{PLAYPEN}.99", "no_such_object"), "U"))
            items += [(id, name, site.add_snmp_item(device, oid, name), MOVING) for name, oid in LIVE]
    return items


def poll(server, site, poller):
    """One cycle; its run, what the server saw of it, and the stored values."""
    with server.watch(cacti.USER) as seen:
        run = poller.run(first=0, last=len(DEVICES))
    return run, seen, {key: " ".join(values) for key, values in site.take_outputs().items()}


def show_rows(items, stored):
    """Prints the rows side by side; returns how many are not as they must be."""
    wrong = 0
    print(f"\n{'device':<34}{'data source':<18}{'must be':<12}" + "".join(f"{PATHS[p]:<14}" for p in stored))
    for id, title, _ in DEVICES:
        label = f"{id}  {title}"
        mine = [i for i in items if i[0] == id]
        if title == "dead":
            values = [[str(len([1 for _, _, key, _ in mine if key in stored[p]])) + " rows" for p in stored]]
            lines = [(f"{len(mine)} items", "0 rows", values[0])]
        else:
            lines = [(name, right, [stored[p].get(key, "no row") for p in stored]) for _, name, key, right in mine]
        for name, right, values in lines:
            bad = any(v in ("no row", "U") if right == MOVING else v != right for v in values)
            wrong += bad
            print(f"{label:<34}{name:<18}{right:<12}" + "".join(f"{v:<14}" for v in values) + ("<<< " if bad else ""))
            label = ""
    return wrong


def show_cycles(site, results):
    """Prints the poller_time rows and each run's figures; returns how many runs did not end well."""
    bad = 0
    print(f"\n{'poller_time':<14}{'start':<22}{'end':<22}{'exit':<6}{'wall s':<9}{'CPU s':<8}{'rows':<6}"
          f"{'statements':<12}connections")
    for row, (path, (run, seen, values)) in zip(site.cycles(), results.items()):
        end = row["end_time"] or "still open <<<"
        bad += row["end_time"] is None or run.status != 0
        print(f"{PATHS[path]:<14}{row['start_time']:<22}{end:<22}{run.status:<6}{run.seconds:<9.2f}"
              f"{cpu_seconds(run.usage):<8.2f}{len(values):<6}{len(seen.statements):<12}{seen.connections}")
        if run.status != 0:
            print(run)
    return bad + (len(site.cycles()) != len(results))


def main():
    binary = Binary(find_program("SPINE", "spine"))
    paths = ["off"] if binary.is_reference else list(PATHS)
    with work_directory() as work:
        print(binary.version)
        print("Starting a private MariaDB with Cacti's schema and a real snmpd ...", flush=True)
        template = cacti.prepare(work / "template")
        objects = {f"{PLAYPEN}.{n}": (kind, value) for n, (_, kind, value, _) in enumerate(CONSTANT, 1)}
        with MariaDB(work / "mariadb", template=template) as server, \
                Snmpd(work / "snmpd", objects=objects) as agent, SilentDevice() as dead:
            site = cacti.Site(server, work)
            site.settings(snmp_retries=1)
            items = seed(site, agent.port, dead.port)
            poller = {p: Poller(binary, site, work / p, loop=p) for p in paths}
            print(f"Polling {len(DEVICES)} devices, {len(items)} items, once on each path:")
            for p in paths:
                print("  " + " ".join(map(str, poller[p].command(first=0, last=len(DEVICES)))), flush=True)
            results = {p: poll(server, site, poller[p]) for p in paths}
            wrong = show_rows(items, {p: values for p, (_, _, values) in results.items()})
            wrong += show_cycles(site, results)
    print(f"\n{'All rows are as they must be, on every path.' if wrong == 0 else f'{wrong} lines are wrong (<<<).'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"demo: {error}")
