"""A remote data collector (poller 2) and the main server, each with a database server of its own, and Cacti's PHP.

    with collector.servers(work, template) as (local, main):
        both = Collector(local, main, work)
        device = both.add_device(1, port=agent.port)
        both.add_snmp_item(device, oid, "traffic_in")
        run = both.poller(binary, loop="on").run("--mode=online", first=1, last=9)
        both.main.outputs(), both.local.outputs("poller_output_boost")

Cacti replicates the rows of a collector from the main server to the collector's copy, so what is added here is in both
databases. Both servers listen on loopback TCP ports, because Cacti's PHP tells two databases by address and port.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess

from . import cacti
from .lab import HANG_S, LabError, spawn, tail, tool
from .mariadb import VENDOR, MariaDB
from .poller import Poller
from .vendor import MYSQL

POLLER_ID = 2

#: What is said to be written is in the hands of the system: a killed server has it after its restart.
DURABLE = ("--innodb-flush-log-at-trx-commit=2",)

#: Columns of a device that the collector tells the main server (docs/contract.md 23.3).
PUSHED = ("snmp_sysDescr", "snmp_sysObjectID", "snmp_sysUpTimeInstance", "snmp_sysContact", "snmp_sysName",
          "snmp_sysLocation", "status", "status_event_count", "status_fail_date", "status_rec_date",
          "status_last_error", "min_time", "max_time", "cur_time", "avg_time", "polling_time", "total_polls",
          "failed_polls", "availability", "last_updated")

BOOST = "poller_output_boost"

#: What a test changes and a new Collector puts back.
TABLES = ("data_local", "host", "poller", "poller_command", "poller_item", "poller_output", BOOST, "poller_reindex",
          "poller_time", "settings")
PRISTINE = "pristine"


@contextlib.contextmanager
def servers(work, template):
    """The collector's own database server, and the main server's."""
    with MariaDB(work / "local", template=template, tcp=True, options=DURABLE) as local, \
            MariaDB(work / "main", template=template, tcp=True, options=DURABLE) as main:
        yield local, main


class Collector:
    """Starts from an empty site each time it is made of the same servers."""

    def __init__(self, local, main, work):
        self.work = pathlib.Path(work)
        self.local = cacti.Site(local, None)
        self.main = cacti.Site(main, None)
        for site in self.both:
            if site.sql("SHOW DATABASES LIKE %s", PRISTINE):
                self._empty(site)
            else:
                self._prepare(site)
            site.sql("INSERT INTO poller (id, name, threads, processes, dbhost) VALUES (%s, 'far away', 4, 1, "
                     "'collector')", POLLER_ID)
            # With more than one poller Cacti switches both on.
            site.settings(snmp_retries=1, boost_redirect="on", boost_rrd_update_enable="on")
        self.local = cacti.Site(local, self.work / "site")
        self.main = cacti.Site(main, self.work / "main-site")

    def _prepare(self, site):
        site.server.account(f"{cacti.USER}@127.0.0.1", cacti.PASSWORD)
        site.server.remember(cacti.USER, cacti.PASSWORD)
        site.sql("ALTER TABLE poller_output ENGINE=InnoDB")  # a restarted server forgets a table in memory
        site.sql(f"CREATE DATABASE {PRISTINE}")
        for table in TABLES:
            site.sql(f"CREATE TABLE {PRISTINE}.{table} LIKE {table}")
            site.sql(f"INSERT INTO {PRISTINE}.{table} SELECT * FROM {table}")

    def _empty(self, site):
        for table in TABLES:
            site.sql(f"DELETE FROM {table}")
            site.sql(f"INSERT INTO {table} SELECT * FROM {PRISTINE}.{table}")

    @property
    def both(self):
        return self.local, self.main

    # What Cacti puts in

    def sql(self, statement, *parameters):
        for site in self.both:
            site.sql(statement, *parameters)

    def settings(self, **values):
        for site in self.both:
            site.settings(**values)

    def add_devices(self, devices):
        now = str(self.main.sql("SELECT NOW() AS now")[0]["now"])  # the same on both, whenever the second one is told
        devices = [{"poller_id": POLLER_ID, "hostname": "127.0.0.1", "last_updated": now, **d} for d in devices]
        for site in self.both:
            full = site.add_devices(devices)
        return full

    def add_device(self, id, port=161, **columns):
        return self.add_devices([{"id": id, "snmp_port": port, **columns}])[0]

    def add_items(self, items):
        for site in self.both:
            keys = site.add_items(items)
        return keys

    def add_snmp_item(self, device, oid, rrd_name="", **columns):
        return self.add_items([{"device": device, "arg1": oid, "rrd_name": rrd_name, **columns}])[0]

    # The poller and Cacti

    def poller(self, binary, loop=None, directory="poller", **conf):
        """The program as the collector has it; `conf` changes or, with None, removes keys of spine.conf."""
        keys = {"DB_Host": "127.0.0.1", "DB_Port": self.local.server.port, "RDB_Host": "127.0.0.1",
                "RDB_Port": self.main.server.port, "RDB_Database": cacti.DATABASE, "RDB_User": cacti.USER,
                "RDB_Pass": cacti.PASSWORD}
        keys |= conf
        if VENDOR is MYSQL:  # whose way to log in wants TLS, or a socket
            keys |= {f"{prefix}UseSSL": 1 for prefix in ("DB_", "RDB_") if keys[prefix + "Host"] == "127.0.0.1"}
        return Poller(binary, self.local, self.work / directory, loop=loop, poller_id=POLLER_ID, **keys)

    def php(self):
        return CactiPhp(self)

    # What was left

    def pushed(self, site):
        """{device: the columns that a collector pushes}; moments as Unix seconds."""
        rows = site.sql(f"SELECT id, {', '.join(PUSHED)} FROM host ORDER BY id")
        return {r["id"]: tuple(str(r[c]) for c in PUSHED) for r in rows}

    def next_steps(self, site):
        rows = site.sql("SELECT local_data_id, rrd_name, rrd_next_step FROM poller_item")
        return {(r["local_data_id"], r["rrd_name"]): r["rrd_next_step"] for r in rows}


class CactiPhp:
    """Cacti's own PHP files as a collector runs them: an own copy with an own include/config.php.

    poller.php starts others that it does not wait for, and some of them never end when their database is away: all of a
    run's processes share a session, have limits, and end with the `with` block.
    """

    LIMITS = ("--cpu=10",)  # no limit of memory: a sanitizer could not run under it
    #: Started by poller.php in every cycle, and of no interest here.
    STUBS = ("poller_automation.php", "poller_maintenance.php")
    NOT_NEEDED = ("docs", "images", "install", "js", "locales", "config.php", "log", "cache", "rra", "resource")

    def __init__(self, both):
        self.both = both
        self._sessions = []
        self.tree = both.work / "cacti"
        # Links are followed, because some lead to places that are not in the copy; others lead to packages for browsers.
        shutil.copytree(cacti.web_root(), self.tree, ignore=self._left_out)
        for name in self.STUBS:
            (self.tree / name).write_text("<?php exit(0);\n", encoding="ascii")
        for name in ("log", "cache", "rra", "locales/LC_MESSAGES"):
            (self.tree / name).mkdir(parents=True)
        self.log = self.tree / "log" / "cacti.log"
        self.log.touch()
        (self.tree / "include" / "config.php").write_text(self._config(), encoding="ascii")
        both.settings(path_webroot=self.tree, path_cactilog=self.log, path_php_binary=tool("php", "php-cli"))

    @classmethod
    def _left_out(cls, directory, names):
        """copytree's own ignore_dangling_symlinks looks for what a relative link names below the current directory."""
        return [name for name in names
                if name in cls.NOT_NEEDED or not os.path.exists(os.path.join(directory, name))]

    def _config(self):
        def database(prefix, server):
            values = {"type": "mysql", "default": cacti.DATABASE, "hostname": "127.0.0.1", "username": cacti.USER,
                      "password": cacti.PASSWORD, "port": server.port, "retries": 1, "persist": ""}
            return "".join(f"${prefix}database_{name} = '{value}';\n" for name, value in values.items())
        return ("<?php\n" + database("", self.both.local.server) + database("r", self.both.main.server) +
                f"$poller_id = {POLLER_ID};\n$url_path = '/cacti/';\n")

    def polls_with(self, poller):
        """poller.php shall launch this program, with its spine.conf."""
        gates = {"off": "Event_Loop off\n", "on": "Event_Loop on\n", "async": "Event_Loop on\nAsync_SNMP on\n"}
        poller.write_conf(poller.conf.read_text() + gates[poller.loop])
        self.both.settings(path_spine=poller.binary.path, path_spine_config=poller.conf, poller_type=2)

    def run(self, script, *arguments, timeout=HANG_S):
        """Runs one script to its end and returns what it has said; LabError if it fails."""
        output = self.both.work / "php.out"
        command = [tool("prlimit", "util-linux"), *self.LIMITS, tool("php", "php-cli"), "-q", self.tree / script]
        with open(output, "wb") as out:
            process = spawn([*command, *arguments], cwd=self.tree, stdout=out, stderr=out, start_new_session=True)
            self._sessions.append(process.pid)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        said = output.read_text(errors="replace")
        if process.returncode != 0:
            raise LabError(f"{script} ended with {process.returncode}: {tail(said)}")
        return said

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for session in self._sessions:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(session, signal.SIGKILL)
