"""What the benches have in common: the programs side by side, one run measured, tables and goals.

A way is a program and how it is run: "reference" (Debian's spine), "legacy", "event" and "async" (ours), the same with
" before" (the build that --before names), and what --variant adds.
"""

import argparse
import contextlib
import ipaddress
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

from support import cacti, mariadb, reference
from support.lab import LabError, file_text, spawn, tail, tool, work_directory
from support.poller import Binary, Poller, environment, find_program

OBJECT = ".1.3.6.1.2.1.31.1.1.1.6"
OBJECT_V1 = ".1.3.6.1.2.1.2.2.1.10"  # SNMPv1 knows no Counter64
FIRST = ipaddress.IPv4Address("127.1.0.1")

#: A server that is not short of anything: the tables fit into memory and the log is not what it waits for. Its tables
#: in memory must hold a million results, of 2 KB each.
SERVER = ("--innodb-buffer-pool-size=2G", "--innodb-log-file-size=512M", "--max-heap-table-size=8G",
          "--max-connections=500")

#: key, heading, decimals; in the order of the table
COLUMNS = [("wall", "wall s", 3), ("first", "first ms", 1), ("cpu", "CPU s", 3), ("db_cpu", "server CPU s", 2),
           ("statements", "statements", 0), ("connections", "connections", 0), ("at_once", "at once", 0),
           ("memory", "memory MB", 1), ("rows", "rows", 0), ("values", "of them not U", 0)]
COMPARED = ("wall", "cpu", "db_cpu", "memory")

STATUS = ("Questions", "Connections", "Max_used_connections", "Com_select", "Com_insert", "Com_update", "Com_delete",
          "Com_replace", "Com_stmt_prepare", "Com_stmt_execute", "Com_begin", "Com_commit", "Com_rollback",
          "Com_set_option", "Com_create_table", "Com_drop_table")


# ---- programs ----


class Way:
    def __init__(self, name, binary, loop, conf=None, threads=None, base=None):
        self.name = name
        self.binary = binary
        self.loop = loop
        self.conf = conf or {}
        self.threads = threads  # None: as the load says
        self.base = base  # the way to compare with, instead of that of the build before

    @property
    def before(self):
        """The name of the same way of the build before."""
        if self.base:
            return self.base
        if self.name.endswith(" before") or self.binary.is_reference:
            return None
        return {"off": "legacy before", "on": "event before", "async": "async before"}[self.loop]


LOOP = {"legacy": "off", "event": "on", "async": "async"}


def add_options(parser, rounds=3):
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--patience", type=float, default=12, metavar="S",
                        help="a program whose run takes longer than this is run once a load [12]")
    parser.add_argument("--timeout", type=int, default=280, metavar="S", help="a run is killed after this [280]")
    parser.add_argument("--no-reference", action="store_true", help="without Debian's spine")
    parser.add_argument("--reference-threads", default="", metavar="N[,N...]",
                        help="Debian's spine's own number of threads; of several, the one with the fastest cycle is taken")
    parser.add_argument("--before", type=pathlib.Path, help="the program of an earlier build, to compare with")
    parser.add_argument("--only", metavar="WAY,WAY", help="only these of: reference, legacy, event, async, "
                                                         "legacy before, event before, async before, and variants")
    parser.add_argument("--variant", action="append", default=[], metavar="'NAME: KEY VALUE; KEY VALUE'",
                        help="one more way, with these lines in spine.conf; 'way event' among them: not the way async")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="each figure of each run")


def variant(text, binary):
    name, colon, lines = text.partition(":")
    conf, loop = {}, "async"
    for line in filter(None, map(str.strip, lines.split(";"))):
        key, _, value = line.partition(" ")
        if key == "way":
            loop = LOOP.get(value.strip())
        else:
            conf[key] = value.strip()
    if not colon or not name.strip() or loop is None:
        raise LabError(f"--variant '{text}': NAME: KEY VALUE; KEY VALUE; way legacy|event|async")
    return Way(name.strip(), binary, loop, conf)


def knows_async(binary):
    done = subprocess.run([binary.path, "--help"], capture_output=True, text=True, timeout=30)
    return "--async-snmp" in done.stdout


def ways(a, default=None):
    """{name: Way}; `default`: those that are run, beside the variants, unless --only names others."""
    ours = Binary(find_program("SPINE", "spine"))
    found = {}
    if not a.no_reference:
        found["reference"] = Way("reference", reference.binary(), None)
    for name, loop in LOOP.items():
        if loop == "off" or ours.has_libevent:
            found[name] = Way(name, ours, loop)
    for text in a.variant:
        one = variant(text, ours)
        found[one.name] = one
    if a.before:
        before = Binary(a.before.resolve())
        for name, loop in LOOP.items():
            if loop == "off" or (before.has_libevent and (loop == "on" or knows_async(before))):
                found[f"{name} before"] = Way(f"{name} before", before, loop)
    if a.only:
        names = [n.strip() for n in a.only.split(",")]
        unknown = [n for n in names if n not in found]
        if unknown:
            raise LabError(f"--only {', '.join(unknown)}: there is only {', '.join(found)}")
        return {n: w for n, w in found.items() if n in names}
    if default is not None:
        variants = {n.partition(":")[0].strip() for n in a.variant}
        return {n: w for n, w in found.items() if n in default or n in variants}
    return found


class BenchPoller(Poller):
    """Starts the program by tests/bench/launch, which measures it; spine.conf has only what the way says."""

    def _limit_addresses(self):
        pass

    def measure(self, last, seconds):
        result = self.directory / "result"
        result.unlink(missing_ok=True)
        said = self.directory / "said"
        command = [find_program("LAUNCH", "tests/bench/launch"), result, seconds, *self.command(first=0, last=last)]
        with open(said, "wb") as out:
            process = spawn(command, stdout=out, stderr=out, env=environment(None), cwd=self.binary.path.parent)
            try:
                process.wait(seconds + 30)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        fields = file_text(result).split()
        if process.returncode != 0 or len(fields) != 6:
            raise LabError(f"launch ended with {process.returncode}: {tail(file_text(said))}")
        start, end, status, user, system, kib = map(int, fields)
        return Ended(os.waitstatus_to_exitcode(status), start / 1e6, end / 1e6, (user + system) / 1e6, kib / 1024,
                     tail(file_text(said), 5))


class Ended:
    def __init__(self, status, start, end, cpu, memory, said):
        self.status, self.start, self.end, self.cpu, self.memory, self.said = status, start, end, cpu, memory, said


# ---- the site ----


@contextlib.contextmanager
def bench_site(server_options=()):
    """A server with Cacti's schema that lives as long as the bench: (site, work directory)."""
    with work_directory() as work:
        template = cacti.prepare(work / "template")
        with mariadb.MariaDB(work / "db", template=template, options=[*SERVER, *server_options]) as server:
            shutil.rmtree(template, ignore_errors=True)
            yield cacti.Site(server, work / "site"), work


def results_engine(site, engine):
    site.sql("TRUNCATE poller_output")
    site.sql(f"ALTER TABLE poller_output ENGINE={engine}")


def empty_site(site):
    for table in ("host", "poller_item", "data_local", "poller_output", "poller_time"):
        site.sql(f"TRUNCATE {table}")


#: columns of table host that poller_item repeats
INHERITED = ("poller_id", "hostname", "snmp_community", "snmp_version", "snmp_username", "snmp_password",
             "snmp_auth_protocol", "snmp_priv_passphrase", "snmp_priv_protocol", "snmp_port", "snmp_timeout")


def add_devices(site, first, last, items, port, **columns):
    """Devices `first` to `last`, each with `items` items of its own counters; an address for each. `columns`: of table
    host, as SQL in which seq is the device's id. The server makes the rows: a million items take half a minute."""
    base = int(FIRST) - 1
    host = {"id": "seq", "description": "CONCAT('Device ', seq)", "hostname": f"INET_NTOA({base} + seq)",
            "poller_id": 1, "snmp_community": "'public'", "snmp_version": 2, "snmp_port": port, "snmp_timeout": 500,
            "availability_method": 2, "ping_method": 2, "ping_port": 23, "ping_timeout": 400, "ping_retries": 1,
            "max_oids": 10, "device_threads": 1, "status": 3, **columns}
    site.sql(f"INSERT INTO host ({', '.join(host)}) SELECT {', '.join(map(str, host.values()))} "
             f"FROM seq_{first}_to_{last}")
    number = f"(h.id - 1) * {items} + s.seq"
    name = f"IF(h.snmp_version = 1, '{OBJECT_V1}.', '{OBJECT}.')"
    item = {"local_data_id": number, "host_id": "h.id", "action": 0, "rrd_name": "'traffic_in'",
            "rrd_path": f"CONCAT('<path_rra>/', h.id, '/', {number}, '.rrd')", "rrd_num": 1, "rrd_step": 300,
            "rrd_next_step": 0, "arg1": f"CONCAT({name}, s.seq)", "arg2": "''", "arg3": "''",
            **{c: f"h.{c}" for c in INHERITED}}
    items_of = f"FROM host h JOIN seq_1_to_{items} s WHERE h.id BETWEEN {first} AND {last} ORDER BY 1"
    site.sql(f"INSERT INTO poller_item ({', '.join(item)}) SELECT {', '.join(map(str, item.values()))} {items_of}")
    site.sql(f"INSERT INTO data_local (id, host_id) SELECT {number}, h.id {items_of}")
    site.sql("ANALYZE TABLE host, poller_item, data_local")


def add_scripts(site, where, command):
    """One script item for each device of `where`, numbered behind all items that are there."""
    top = site.sql("SELECT MAX(local_data_id) AS n FROM poller_item")[0]["n"]
    item = {"local_data_id": f"{top} + h.id", "host_id": "h.id", "action": 1, "rrd_name": "'v'", "rrd_num": 1,
            "rrd_path": "CONCAT('<path_rra>/', h.id, '/v.rrd')", "rrd_step": 300, "rrd_next_step": 0,
            "arg1": f"'{command}'", "arg2": "''", "arg3": "''", **{c: f"h.{c}" for c in INHERITED}}
    site.sql(f"INSERT INTO poller_item ({', '.join(item)}) SELECT {', '.join(map(str, item.values()))} FROM host h "
             f"WHERE {where}")
    site.sql(f"INSERT INTO data_local (id, host_id) SELECT {top} + h.id, h.id FROM host h WHERE {where}")
    return site.sql(f"SELECT COUNT(*) AS n FROM host h WHERE {where}")[0]["n"]


def objects(items):
    """The lines of the simulated agents' spec that say what they have."""
    # the whole system group: the reference polls nothing on a device that lacks one of its objects
    lines = [f"object .1.3.6.1.2.1.1.{n}.0 string device" for n in (1, 4, 5, 6)]
    return lines + ["object .1.3.6.1.2.1.1.2.0 oid .1.3.6.1.4.1.1", "object .1.3.6.1.2.1.1.3.0 timeticks @uptime",
                    f"object {OBJECT}.{{1-{items}}} counter64 @mix", f"object {OBJECT_V1}.{{1-{items}}} counter32 @mix"]


# ---- one run ----


def processor_time(pid):
    """Seconds of processor time that a process has used so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def settle(server, seconds=10):
    """Waits until the server has ended what the last run left it to do: a quarter of a second without work."""
    deadline = time.monotonic() + seconds
    quiet, before = 0, processor_time(server.pid)
    while quiet < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
        now = processor_time(server.pid)
        quiet = quiet + 1 if now == before else 0
        before = now


def counters(site):
    rows = site.server.sql(f"SHOW GLOBAL STATUS WHERE Variable_name IN {STATUS}")
    return {r["Variable_name"]: int(r["Value"]) for r in rows}


def own_statements(site):
    """How many statements two readings of the counters add to each other."""
    first, second = counters(site), counters(site)
    return {key: second[key] - first[key] for key in second if key != "Max_used_connections"}


def run_once(site, poller, last, seconds, farm=None):
    """One cycle on a site made as before it; {key of COLUMNS: figure}."""
    server = site.server
    site.sql("DELETE FROM poller_output")
    site.sql("DELETE FROM poller_time")
    site.sql("UPDATE host SET status = 3, status_event_count = 0 WHERE status <> 3 OR status_event_count <> 0")
    with contextlib.suppress(FileNotFoundError):
        os.truncate(site.log, 0)
    own = own_statements(site)
    settle(server)
    server.sql("FLUSH STATUS")  # the most connections at a time count from here
    before, cpu = counters(site), processor_time(server.pid)
    if farm is not None:
        farm.first_request()
    ended = poller.measure(last, seconds)
    cpu = processor_time(server.pid) - cpu
    after = counters(site)
    first = farm.first_request() if farm is not None else None
    if ended.status != 0:
        raise LabError(f"{poller.binary.path} ended with {ended.status} after {ended.end - ended.start:.1f} s: "
                       f"{ended.said or tail(file_text(site.log), 3)}")
    moved = {key: after[key] - before[key] - own[key] for key in own}
    stored = site.sql("SELECT COUNT(*) AS n, COALESCE(SUM(output <> 'U'), 0) AS known FROM poller_output")[0]
    return {"wall": ended.end - ended.start, "first": (first - ended.start) * 1000 if first else None,
            "cpu": ended.cpu, "db_cpu": cpu, "statements": moved["Questions"], "connections": moved["Connections"],
            "at_once": after["Max_used_connections"] - 1,  # ours is open, too
            "memory": ended.memory, "rows": stored["n"], "values": int(stored["known"]),
            "errors": len(re.findall(r"\b(?:ERROR|FATAL)\b", file_text(site.log))),
            "by_command": {k: v for k, v in moved.items() if k.startswith("Com_") and v}}


# ---- rounds ----


class Found:
    """The figures of all ways for one load: {way: [figures of a run, ...]}."""

    def __init__(self, load):
        self.load = load
        self.runs = {}
        self.failed = {}
        self.threads = {}

    def middle(self, way, key):
        values = [f[key] for f in self.runs.get(way, []) if f.get(key) is not None]
        return statistics.median(values) if values else None


def set_threads(site, count):
    site.sql("UPDATE poller SET threads = %s WHERE id = 1", count)


def best_threads(site, a, way, run, default):
    """The reference's fastest of the numbers of threads that --reference-threads names, and the runs that are kept: one
    that took longer than --patience, which is not repeated. `run` is one run."""
    choices = [int(n) for n in a.reference_threads.split(",") if n]
    if not way.binary.is_reference or not choices:
        return way.threads or default, []
    if len(choices) == 1:
        return choices[0], []
    tried = {}
    for n in choices:
        set_threads(site, n)
        with contextlib.suppress(LabError):
            tried[n] = run()
    if not tried:
        return choices[0], []
    print("  reference by threads: " + ", ".join(f"{n}: {f['wall']:.2f} s" for n, f in tried.items()), flush=True)
    best = min(tried, key=lambda n: tried[n]["wall"])
    return best, [tried[best]] if tried[best]["wall"] > a.patience else []


def measure(site, work, a, programs, load, last, threads, farm=None, conf=None, once=run_once):
    """Runs the programs in turn, a.rounds times; those that are slower than --patience once. `conf`: lines of spine.conf
    for all of them. `once`: what one run is."""
    found = Found(load)
    pollers = {}
    for name, way in programs.items():
        directory = work / re.sub(r"\W+", "-", f"{load}-{name}")
        pollers[name] = BenchPoller(way.binary, site, directory, loop=way.loop, **{**(conf or {}), **way.conf})
        found.threads[name], found.runs[name] = best_threads(
            site, a, way, lambda poller=pollers[name]: once(site, poller, last, a.timeout, farm), threads)
    for _ in range(a.rounds):  # in turn, so that all see the same neighbours
        for name, poller in pollers.items():
            runs = found.runs[name]
            if name in found.failed or (runs and runs[0]["wall"] > a.patience):
                continue
            set_threads(site, found.threads[name])
            try:
                runs.append(once(site, poller, last, a.timeout, farm))
            except LabError as e:
                found.failed[name] = str(e)
    if a.json:
        with open(a.json, "a", encoding="utf-8") as out:
            for name, runs in found.runs.items():
                out.write(json.dumps({"load": load, "way": name, "threads": found.threads[name], "runs": runs,
                                      "failed": found.failed.get(name)}) + "\n")
    return found


# ---- tables ----


def number(value, decimals):
    return "" if value is None else f"{value:,.{decimals}f}"


def cell(found, name, way, key, decimals):
    """Median, in brackets least and most of the wall time, ratios to the reference and to the same way before."""
    middle = found.middle(name, key)
    text = number(middle, decimals)
    if middle is None:
        return text
    values = [f[key] for f in found.runs[name]]
    if key == "wall" and len(values) > 1:
        text += f" ({min(values):.2f}-{max(values):.2f})"
    if key in COMPARED:
        for base, mark in (("reference", "r"), (way.before, "b")):
            other = found.middle(base, key) if base != name else None
            if other:
                text += f" {mark}{middle / other:.2f}"
    return text


def table(lines):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
    sys.stdout.flush()


def show(found, programs, columns=None):
    shown = [c for c in COLUMNS if (columns is None or c[0] in columns) and
             any(found.middle(n, c[0]) is not None for n in programs)]
    lines = [["", *(heading for _, heading, _ in shown)]]
    for name, way in programs.items():
        label = f"{name}, {found.threads[name]} threads" if way.loop != "async" else name
        lines.append([label, *(cell(found, name, way, key, decimals) for key, _, decimals in shown)])
    table(lines)
    for name, why in found.failed.items():
        print(f"  {name}: {why}")
    for name, runs in found.runs.items():
        errors = sum(f["errors"] for f in runs)
        if errors:
            print(f"  {name}: {errors} lines ERROR or FATAL in the log")
    values = {n: found.middle(n, "values") for n in programs if found.middle(n, "values") is not None}
    if len(set(values.values())) > 1:
        print("  not the same values: " + ", ".join(f"{n} {v:,.0f}" for n, v in values.items()))
    bases = sorted({way.base for way in programs.values() if way.base})
    print(f"  r: ratio to the reference, b: ratio to {', '.join(bases) or 'the same way before'}", flush=True)


def show_commands(found, programs):
    for name in programs:
        if found.runs.get(name):
            by = found.runs[name][-1]["by_command"]
            print(f"  {name}: " + ", ".join(f"{k[4:]} {v}" for k, v in sorted(by.items(), key=lambda i: -i[1])))


class Goal:
    """A figure of one way, absolute or against another way of the same run, and its limit."""

    def __init__(self, key, limit, base=None, way="async"):
        self.key, self.limit, self.base, self.way = key, limit, base, way

    def text(self, base):
        heading = {k: h for k, h, _ in COLUMNS}.get(self.key, self.key)
        return f"{self.way} {heading} <= {self.limit:g}" + (f" x {base}" if base else "")

    def bases(self):
        """What to compare with, the first that has been measured; "event before" is the event path with workers, which
        this build has as well."""
        return [self.base, "event"] if self.base == "event before" else [self.base]

    def show(self, found):
        value = found.middle(self.way, self.key)
        base = next((b for b in self.bases() if b and found.middle(b, self.key)), self.base)
        if value is not None and base is not None:
            other = found.middle(base, self.key)
            value = value / other if other else None
        if value is None:
            print(f"  goal: {self.text(base)}: not measured")
            return None
        met = value <= self.limit
        print(f"  goal: {self.text(base)}: {value:.3f} {'met' if met else 'MISSED'}")
        return met


def show_goals(found, goals, totals):
    for goal in goals:
        totals.append(goal.show(found))
    sys.stdout.flush()


def show_totals(totals):
    if totals:
        print(f"goals: {totals.count(True)} met, {totals.count(False)} missed, {totals.count(None)} not measured")


def machine():
    """One line about where these figures come from."""
    model = re.search(r"model name\s*: (.*)", file_text("/proc/cpuinfo"))
    version = subprocess.run([tool("mariadbd", "mariadb-server"), "--version"], capture_output=True, text=True).stdout
    load = os.getloadavg()[0]
    return (f"{os.cpu_count()} cores {model.group(1) if model else ''}, "
            f"MariaDB {version.split()[2] if version else ''}, load average {load:.1f} at the start")


def end_on_term():
    """A bench that is told to end removes its directories, as after an error."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended by a signal"))


def part(name, action):
    """One load or part of several: what fails there does not take the others with it. Returns whether it was done."""
    try:
        action()
        return True
    except LabError as e:
        print(f"  {name}: {e}", flush=True)
        return False


def parser(doc):
    return argparse.ArgumentParser(description=doc.splitlines()[0], formatter_class=argparse.RawDescriptionHelpFormatter)
