"""Storing results: our writer next to a plain client, and our memory while the database does not answer.

The plain client has its multi-row INSERT statements ready and only sends them; so does MariaDB's own command-line
client. All store the same rows into Cacti's poller_output, in turn. Then whole cycles are run: one undisturbed, one with
the server stopped for some seconds in the middle.
"""

import argparse
import ipaddress
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import cacti, mariadb  # noqa: E402
from support.agent import FakeAgent  # noqa: E402
from support.lab import LabError, tool, work_directory  # noqa: E402
from support.poller import Binary, Poller, find_program  # noqa: E402

OBJECT = ".1.3.6.1.2.1.31.1.1.1.6"
FIRST = ipaddress.IPv4Address("127.1.0.1")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stopped", type=float, default=10, help="seconds that the server does not answer")
    parser.add_argument("--devices", type=int, default=3000)
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--status", type=int, default=5000, help="devices whose status is written")
    return parser.parse_args()


def storebench(site, program, how, rows):
    done = subprocess.run([program, site.server.socket, cacti.DATABASE, cacti.USER, cacti.PASSWORD, how, str(rows)],
                          capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise LabError(f"storebench {how}: {done.stderr}")
    seconds, cpu, _ = map(float, done.stdout.split())
    return seconds, cpu


def command_line_client(site, file):
    client = [tool("mariadb", "mariadb-client"), "--no-defaults", "-uroot", f"--socket={site.server.socket}",
              cacti.DATABASE]
    before, began = os.times(), time.monotonic()
    with open(file, "rb") as statements:
        subprocess.run(client, stdin=statements, check=True, timeout=300)
    after = os.times()
    return time.monotonic() - began, (after.children_user + after.children_system -
                                      before.children_user - before.children_system)


def write_statements(path, rows):
    with open(path, "w", encoding="ascii") as out:
        for first in range(1, rows + 1, 1000):
            values = ",".join(f"({i},'traffic_in',FROM_UNIXTIME(1700000000),'{1000000000000 + i * 7919}')"
                              for i in range(first, first + 1000))
            out.write(f"INSERT INTO poller_output (local_data_id,rrd_name,time,output) VALUES {values} "
                      "ON DUPLICATE KEY UPDATE output=VALUES(output);\n")


def server_cpu(site):
    """Processor time of the server so far, seconds."""
    return time.clock_gettime(~site.server.pid << 3 | 2)  # as clock_getcpuclockid() makes it


def show(found, rows, base):
    base = statistics.median(figures[0] for figures in base)
    for name, figures in found.items():
        walls, cpus, servers = zip(*figures)
        wall = statistics.median(walls)
        print(f"{name:15} {rows / wall:9.0f} rows/s, wall {wall:.3f} s ({min(walls):.3f}-{max(walls):.3f}), "
              f"CPU {statistics.median(cpus):.3f} s, of the server {statistics.median(servers):.3f} s "
              f"({min(servers):.3f}-{max(servers):.3f}), x{base / wall:.2f}")


def compare_devices(site, a):
    """The status and an assertion of devices, in both ways."""
    program = find_program("STOREBENCH", "tests/bench/storebench")
    site.server.many("INSERT INTO cacti.host (id, hostname, description) VALUES (%s, '', '')",
                     [(n,) for n in range(1, a.status + 1)])
    site.server.many("INSERT INTO cacti.poller_reindex (host_id, data_query_id, action, present, op, assert_value, arg1) "
                     "VALUES (%s, 1, 0, 1, '<', '1000000', '.1.3.6.1.2.1.1.3.0')", [(n,) for n in range(1, a.status + 1)])
    found = {"bound": [], "text": []}
    for _ in range(a.rounds):
        for name, how in (("bound", "auto-devices"), ("text", "off-devices")):
            before = server_cpu(site)
            figures = storebench(site, program, how, a.status)
            found[name].append((*figures, server_cpu(site) - before))
    print(f"status and an assertion of {a.status} devices, {a.rounds} rounds; median (least-most)")
    show({f"devices, {name}": figures for name, figures in found.items()}, a.status, found["text"])
    site.sql("DELETE FROM host")
    site.sql("DELETE FROM poller_reindex")


def compare(site, a, work):
    program = find_program("STOREBENCH", "tests/bench/storebench")
    statements = work / "statements.sql"
    write_statements(statements, a.rows)
    clients = {"plain client": lambda: storebench(site, program, "plain", a.rows),
               "mariadb client": lambda: command_line_client(site, statements),
               "writer, bound": lambda: storebench(site, program, "auto", a.rows),
               "writer, text": lambda: storebench(site, program, "off", a.rows)}
    found = {name: [] for name in clients}
    for _ in range(a.rounds):  # in turn, so that all see the same neighbours
        for name, run in clients.items():
            site.sql("TRUNCATE poller_output")
            before = server_cpu(site)
            figures = run()
            found[name].append((*figures, server_cpu(site) - before))
            stored = site.sql("SELECT COUNT(*) AS n FROM poller_output")[0]["n"]
            if stored != a.rows:
                raise LabError(f"{name} has stored {stored} rows")
    print(f"{a.rows} rows, {a.rounds} rounds; median (least-most)")
    show(found, a.rows, found["plain client"])


def memory(pid, key):
    """VmRSS or VmHWM of a process, kB; None when it has ended."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


def cycle(site, poller, a, stopped):
    site.sql("TRUNCATE poller_output")
    site.sql("TRUNCATE poller_time")
    peak = 0
    with poller.start("-V", "3", first=0, last=a.devices) as running:
        site.wait_for_open_cycle()
        before = memory(running.pid, "VmRSS")
        if stopped:
            os.kill(site.server.pid, signal.SIGSTOP)
        end = time.monotonic() + stopped
        while time.monotonic() < end and not running.ends_within(0.05):
            peak = max(peak, memory(running.pid, "VmHWM") or 0)
        os.kill(site.server.pid, signal.SIGCONT)
        while not running.ends_within(0.02):
            peak = max(peak, memory(running.pid, "VmHWM") or 0)
        run = running.wait()
    stored = site.sql("SELECT COUNT(*) AS n FROM poller_output")[0]["n"]
    print(f"{poller.loop or '-':4} server stopped for {stopped:g} s: {run.seconds:.2f} s, {stored} rows stored, "
          f"status {run.status}, memory {before} kB at the begin, {peak} kB at most", flush=True)
    if run.status != 0 or stored != a.devices * a.items:
        raise LabError(f"{run}")


def stop_the_server(site, a, work):
    spec = (f"object .1.3.6.1.2.1.1.3.0 timeticks @uptime\nobject {OBJECT}.{{1-{a.items}}} counter64 @mix\n"
            f"agent {FIRST}-{FIRST + a.devices - 1}\n")
    binary = Binary(find_program("SPINE", "spine"))
    with FakeAgent(spec, binary=find_program("FAKEAGENT", "tests/support/fakeagent/fakeagent")) as farm:
        devices = site.add_devices([{"id": n, "hostname": str(FIRST + n - 1), "snmp_port": farm.port}
                                    for n in range(1, a.devices + 1)])
        site.add_items([{"device": d, "arg1": f"{OBJECT}.{n}", "rrd_name": "traffic_in"}
                        for d in devices for n in range(1, a.items + 1)])
        site.threads(30)
        print(f"{a.devices} devices x {a.items} items")
        for loop in ("off", "on") if binary.has_libevent else ("off",):
            poller = Poller(binary, site, work / f"poller-{loop}", loop=loop)
            for stopped in (0, a.stopped):
                cycle(site, poller, a, stopped)


def main():
    a = arguments()
    with work_directory() as work:
        template = cacti.prepare(work / "template")
        with mariadb.MariaDB(work / "db", template=template) as server:
            site = cacti.Site(server, work / "site")
            for engine in ("MEMORY", "InnoDB"):
                site.sql(f"ALTER TABLE poller_output ENGINE={engine}")
                print(f"poller_output: {engine}")
                compare(site, a, work)
            site.sql("ALTER TABLE poller_output ENGINE=MEMORY")
            compare_devices(site, a)
            if a.stopped:
                stop_the_server(site, a, work)


if __name__ == "__main__":
    try:
        main()
    except LabError as e:
        sys.exit(f"bench: {e}")
