"""A Cacti site without Cacti: its schema, the rows that Cacti would have put in, and what came out.

The schema is Cacti's own, from Debian's package `cacti`, which is downloaded into the cache directory and
unpacked there; it is neither installed nor part of this source tree. Its version is that of the machine's release.
$CACTI_TREE may name a directory with the unpacked package instead.
"""

import os
import pathlib

from . import mariadb, packages
from .lab import LabError, wait_until

DATABASE = "cacti"
USER = "cactiuser"
PASSWORD = "cactiuser"
ZERO_DATE = "0000-00-00 00:00:00"

#: What the settings table of a running site holds that matters to a poller (Cacti's own defaults), and what
#: poller.php puts there right before it launches one: active_profiles, total_snmp_ports, path_webroot.
SETTINGS = {
    "active_profiles": "1",
    "availability_method": "2",
    "boost_redirect": "",
    "boost_rrd_update_enable": "",
    "concurrent_processes": "1",
    "cron_interval": "300",
    "default_datechar": "1",
    "default_date_format": "4",
    "log_destination": "1",
    "log_perror": "on",
    "log_pstats": "",
    "log_pwarn": "",
    "log_verbosity": "2",
    "max_get_size": "10",
    "path_php_binary": "/usr/bin/php",
    "path_snmpget": "/usr/bin/snmpget",
    "path_stderrlog": "",
    "php_servers": "1",
    "ping_failure_count": "2",
    "ping_method": "2",
    "ping_recovery_count": "3",
    "ping_retries": "1",
    "ping_timeout": "400",
    "poller_enabled": "on",
    "poller_interval": "300",
    "poller_type": "2",
    "script_timeout": "25",
    "selective_device_debug": "",
    "snmp_retries": "3",
    "snmp_timeout": "500",
    "spine_log_level": "0",
    "total_snmp_ports": "1",
}

_DEVICE = {
    "poller_id": 1,
    "snmp_community": "public",
    "snmp_version": 2,
    "snmp_port": 161,
    "snmp_timeout": 20000,  # no healthy device is ever given up; tests of those that do not answer say how long they wait
    "availability_method": 2,
    "ping_method": 2,
    "ping_port": 23,
    "ping_timeout": 400,
    "ping_retries": 1,
    "max_oids": 10,
    "device_threads": 1,
    "status": 3,
}

_INHERITED = ("poller_id", "hostname", "snmp_community", "snmp_version", "snmp_username", "snmp_password",
              "snmp_auth_protocol", "snmp_priv_passphrase", "snmp_priv_protocol", "snmp_context",
              "snmp_engine_id", "snmp_port", "snmp_timeout")

_ITEM = {
    "action": 0,
    "rrd_name": "",
    "rrd_num": 1,
    "rrd_step": 300,
    "rrd_next_step": 0,
    "arg2": "",
    "arg3": "",
}

SNMP, SCRIPT, SCRIPT_SERVER = 0, 1, 2


def package_tree():
    """The unpacked Debian package `cacti`."""
    if os.environ.get("CACTI_TREE"):
        return pathlib.Path(os.environ["CACTI_TREE"])
    return packages.unpacked("cacti", "composer")  # from 1.2.31 on a file of that package is a part of Cacti


def version():
    """Which Cacti that is, as it says itself: "1.2.24"."""
    return (web_root() / "include/cacti_version").read_text(encoding="ascii").strip()


def web_root():
    """The directory with Cacti's PHP files, script_server.php among them."""
    return next(package_tree().rglob("script_server.php")).parent


def schema():
    """The text of Cacti's cacti.sql."""
    for path in sorted(package_tree().rglob("cacti.sql")):
        if path.is_file() and not path.is_symlink():
            return path.read_text(encoding="utf-8")
    raise LabError(f"no cacti.sql under {package_tree()}")


def prepare(directory):
    """A data directory with Cacti's schema and settings in it; Site and MariaDB(template=...) use copies."""
    return mariadb.prepare(directory, _load)


def _load(server):
    server.sql(f"CREATE DATABASE {DATABASE}")
    server.script(schema(), DATABASE)
    server.account(f"{USER}@localhost", PASSWORD)
    site = Site(server, directory=None)
    site.sql("UPDATE version SET cacti = %s", version())
    site.settings(path_webroot=web_root(), **SETTINGS)
    site.sql("UPDATE poller SET threads = 4, processes = 1 WHERE id = 1")


class Site:
    """The Cacti database on a server, and the directory where this site keeps its log."""

    def __init__(self, server, directory):
        self.server = server
        self._next = 1
        self.slots = None  #: what threads() was told last
        if directory is not None:
            self.log = pathlib.Path(directory) / "log" / "cacti.log"
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self.settings(path_cactilog=self.log)
            server.connect(USER, PASSWORD).close()  # as poller.php does; MySQL's server knows the account by a hash then

    def sql(self, statement, *parameters):
        self.server.admin.select_db(DATABASE)
        return self.server.sql(statement, *parameters)

    # What Cacti puts in

    def settings(self, **values):
        for name, value in values.items():
            self.sql("REPLACE INTO settings (name, value) VALUES (%s, %s)", name, str(value))

    def setting(self, name):
        rows = self.sql("SELECT value FROM settings WHERE name = %s", name)
        return rows[0]["value"] if rows else None

    def threads(self, count, poller_id=1):
        self.sql("UPDATE poller SET threads = %s WHERE id = %s", count, poller_id)
        self.slots = count

    def add_devices(self, devices):
        """Adds devices, each a dictionary of host columns with at least `id` and `hostname`; returns them with
        the defaults filled in, for add_items."""
        full = [{"description": f"Device {d['id']}", **_DEVICE, **d} for d in devices]
        self._insert("host", full)
        return full

    def add_device(self, id, hostname="127.0.0.1", port=161, **columns):
        """Adds a device that is up and checked by SNMP uptime; `columns` are columns of table host."""
        return self.add_devices([{"id": id, "hostname": hostname, "snmp_port": port, **columns}])[0]

    def add_items(self, items):
        """Adds poller items, each a dictionary with `device` (as add_device returned it) and `arg1`.

        `local_data_id` is the next free one unless given; other keys are columns of poller_item. Returns the keys
        (local_data_id, rrd_name) in the order of `items`.
        """
        rows, sources = [], {}
        for item in items:
            device = item.get("device") or {"id": 0, "poller_id": 1, "hostname": "None"}
            own = {k: v for k, v in item.items() if k != "device"}
            row = {c: device[c] for c in _INHERITED if c in device}
            row |= {**_ITEM, "host_id": device["id"], **own}
            row.setdefault("local_data_id", self._next)
            row.setdefault("rrd_path", f"<path_rra>/{device['id']}/{row['local_data_id']}.rrd")
            self._next = max(self._next, row["local_data_id"] + 1)
            sources[row["local_data_id"]] = row["host_id"]
            rows.append(row)
        self._insert("poller_item", rows)
        self._insert("data_local", [{"id": i, "host_id": h} for i, h in sources.items()], "INSERT IGNORE")
        return [(r["local_data_id"], r["rrd_name"]) for r in rows]

    def add_snmp_item(self, device, oid, rrd_name="", **columns):
        return self.add_items([{"device": device, "arg1": oid, "rrd_name": rrd_name, **columns}])[0]

    def _insert(self, table, rows, verb="INSERT"):
        """Inserts dictionaries; those with the same columns go together."""
        groups = {}
        for row in rows:
            groups.setdefault(tuple(row), []).append(tuple(row.values()))
        self.server.admin.select_db(DATABASE)
        for columns, values in groups.items():
            marks = ", ".join(["%s"] * len(columns))
            self.server.many(f"{verb} INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)

    # What a poller has left

    def outputs(self, table="poller_output"):
        """The stored results: {(local_data_id, rrd_name): [(time, output), ...]}."""
        found = {}
        for r in self.sql(f"SELECT local_data_id, rrd_name, CAST(time AS CHAR) AS time, output FROM {table}"):
            found.setdefault((r["local_data_id"], r["rrd_name"]), []).append((r["time"], r["output"]))
        return found

    def take_outputs(self):
        """The stored values, as Cacti's poller.php takes them: read, then deleted."""
        values = {key: [output for _, output in rows] for key, rows in self.outputs().items()}
        self.sql("DELETE FROM poller_output")
        return values

    def device(self, id):
        """A row of table host; dates as text."""
        row = self.sql("SELECT *, CAST(status_fail_date AS CHAR) AS fail_date, "
                       "CAST(status_rec_date AS CHAR) AS rec_date FROM host WHERE id = %s", id)[0]
        return row

    def cycles(self):
        """The rows of poller_time; end_time is None while a row is open."""
        return self.sql("SELECT id, pid, poller_id, CAST(start_time AS CHAR) AS start_time, "
                        "IF(end_time > 0, CAST(end_time AS CHAR), NULL) AS end_time FROM poller_time ORDER BY id")

    def wait_for_open_cycle(self):
        """Waits until a running poller has opened its poller_time row; returns the row."""
        return wait_until(lambda: [c for c in self.cycles() if c["end_time"] is None],
                          "an open row in poller_time")[0]

    def snapshot(self):
        """Everything in the database."""
        return Snapshot(self)


class Snapshot:
    """All rows of all tables at one moment; `before.changes(after)` tells what is different."""

    def __init__(self, site):
        self.tables = {}
        keys = {}
        for r in site.sql("SELECT table_name AS t, column_name AS c FROM information_schema.key_column_usage "
                          "WHERE table_schema = %s AND constraint_name = 'PRIMARY' ORDER BY ordinal_position",
                          DATABASE):
            keys.setdefault(r["t"], []).append(r["c"])
        for r in site.sql("SELECT table_name AS t FROM information_schema.tables WHERE table_schema = %s",
                          DATABASE):
            name = r["t"]
            key = keys.get(name)
            rows = site.sql(f"SELECT * FROM `{name}`")
            self.tables[name] = {tuple(row[c] for c in key) if key else tuple(row.values()): row for row in rows}

    def changes(self, later):
        """{table: Change} of the tables that differ."""
        found = {}
        for name in sorted(self.tables.keys() | later.tables.keys()):
            old, new = self.tables.get(name), later.tables.get(name)
            if old is None or new is None:
                found[name] = Change("table dropped" if new is None else "table created", old or {}, new or {})
            elif old != new:
                found[name] = Change("changed", old, new)
        return found


class Change:
    """How one table changed: keys of added and removed rows, and per changed row the columns that differ."""

    def __init__(self, kind, old, new):
        self.kind = kind
        self.added = sorted(new.keys() - old.keys(), key=str)
        self.removed = sorted(old.keys() - new.keys(), key=str)
        self.changed = {}
        for key in old.keys() & new.keys():
            columns = {c for c in old[key] if old[key][c] != new[key].get(c)}
            if columns:
                self.changed[key] = columns

    @property
    def columns(self):
        """All columns that differ in any row that was there before and after."""
        return set().union(*self.changed.values()) if self.changed else set()

    def __repr__(self):
        return (f"<{self.kind}: added {self.added[:5]} removed {self.removed[:5]} "
                f"changed {dict(list(self.changed.items())[:5])}>")
