"""A Cacti without its web pages: Debian's package as it is installed, a private MariaDB, Cacti's own installer and
command-line scripts, and its own poller.php, all of them as the user www-data.

Made for a chroot of its own (scripts/acceptance): it writes /etc/cacti, /var/lib/cacti, /var/log/cacti and /run/mysqld.
"""

import contextlib
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess

from support.lab import LabError, file_text, spawn, tail, tool, wait_until
from support.mariadb import MariaDB, install

ROOT = pathlib.Path("/usr/share/cacti/site")
CLI = ROOT.parent / "cli"
TEMPLATES = ROOT.parent / "conf_templates"
CONFIG = pathlib.Path("/etc/cacti/debian.php")
RRA = pathlib.Path("/var/lib/cacti/rra")
LOG = pathlib.Path("/var/log/cacti/cacti.log")
DATABASE, USER, PASSWORD = "cacti", "cacti", "acceptance"
OWNER = "www-data"
SOCKET = pathlib.Path("/run/mysqld/mysqld.sock")

#: What must be writable for Cacti's installer, and is not in Debian's package.
WRITTEN = ("resource/snmp_queries", "resource/script_server", "resource/script_queries", "scripts")

#: How a data query is found out of date.
METHODS = {"none": 0, "uptime": 1, "index": 2, "fields": 3}

#: Rows that Cacti's page "Data Source Profiles" writes; no script of Cacti's makes a profile.
PROFILE = 9
_RRA = "INSERT INTO data_source_profiles_rra (data_source_profile_id, name, steps, `rows`, timespan) VALUES (%s, %s, %s, %s, %s)"

#: Cacti writes to a pipe into rrdtool, or starts it for one command: what it says is kept as well.
_RRDTOOL = """#!/bin/sh
if [ "$1" = - ]; then
    tee -a {copy} | /usr/bin/rrdtool "$@"
else
    [ "$1" != update ] || echo "$*" >>{copy}
    exec /usr/bin/rrdtool "$@"
fi
"""


def as_owner(*command):
    """The command line that runs a command as cron runs Cacti."""
    return [tool("setpriv", "util-linux"), f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups", *map(str, command)]


class Database(MariaDB):
    """At the place where PHP looks for `localhost`; the client library of newer releases looks elsewhere."""

    def __init__(self, directory):
        super().__init__(directory)
        self.socket = SOCKET
        self.socket.parent.mkdir(parents=True, exist_ok=True)


class Cacti:
    """`step`: seconds of a cycle and of a row in an RRD file."""

    def __init__(self, work, step):
        self.work = pathlib.Path(work)
        self.step = step
        self.server = Database(self.work / "database")
        self._sessions = []
        self.updates = self.work / "updates"  #: all that was written to rrdtool
        self.version = (ROOT / "include/cacti_version").read_text(encoding="ascii").strip()

    # Installation

    def install(self):
        install(self.server.datadir)
        self.server.start()
        self._load()
        self._configure()
        self._empty()
        self._mend_scripts()
        self._prepare_rrdtool()
        said = self.cli("install_cacti.php", "--accept-eula", "--install", "--force", "--mode=1", f"--profile={self._profile()}",
                        "--path=rrdtool:/usr/bin/rrdtool", "--path=php_binary:/usr/bin/php",
                        "--template=Local_Linux_Machine.xml.gz:1", "--template=NetSNMP_Device.xml.gz:1",
                        "--template=Generic_SNMP_Device.xml.gz:1")
        if self.sql("SELECT cacti FROM version")[0]["cacti"] != self.version:
            raise LabError(f"Cacti's installer has not installed: {tail(said)}")
        cron = 60 if self.step <= 60 else 300
        self.settings(poller_type=2, poller_interval=self.step, cron_interval=cron, path_rrdtool=self.work / "rrdtool",
                      log_verbosity=3, snmp_retries=1, ping_failure_count=2, ping_recovery_count=3,
                      boost_rrd_update_enable="", boost_redirect="", default_date_format=4, default_datechar=1)
        self.sql("UPDATE poller SET threads = 4, processes = 1 WHERE id = 1")
        return self

    def _load(self):
        self.server.sql(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        self.server.script((TEMPLATES / "cacti.sql").read_text(encoding="utf-8"), DATABASE)
        self.server.sql(f"CREATE USER {USER}@localhost IDENTIFIED BY '{PASSWORD}'")
        self.server.sql(f"GRANT ALL ON {DATABASE}.* TO {USER}@localhost")
        self.server.sql(f"GRANT SELECT ON mysql.time_zone_name TO {USER}@localhost")
        zones = subprocess.run([tool("mariadb-tzinfo-to-sql", "mariadb-server"), "--skip-write-binlog",
                                "/usr/share/zoneinfo/UTC", "UTC"], capture_output=True, text=True, check=True)
        self.server.script(zones.stdout, "mysql")

    def _configure(self):
        text = (TEMPLATES / "debian.php.dist").read_text(encoding="utf-8")
        values = {"DBNAME": DATABASE, "DBSERVER": "localhost", "DBUSER": USER, "DBPASS": PASSWORD, "DBPORT": "3306"}
        for name, value in values.items():
            text = text.replace(f"_DBC_{name}_", value)
        # Cacti asks by net-snmp's programs: an SNMP object of PHP 8.4 with net-snmp 5.9.5.2 answers its first request only.
        text = text.replace("//$php_snmp_support = false;", "$php_snmp_support = false;")
        CONFIG.write_text(text, encoding="utf-8")
        shutil.chown(CONFIG, "root", OWNER)
        CONFIG.chmod(0o640)

    def _empty(self):
        shutil.rmtree(RRA)
        for directory in (RRA, self.work, LOG.parent):
            directory.mkdir(parents=True, exist_ok=True)
            shutil.chown(directory, OWNER, OWNER)
        LOG.write_text("")
        shutil.chown(LOG, OWNER, OWNER)
        for name in WRITTEN:
            directory = (ROOT / name).resolve()
            shutil.chown(directory, OWNER, OWNER)

    @staticmethod
    def _mend_scripts():
        """Where the package has `scripts` as a link to another folder (1.2.31), PHP looks for ../include beside that one, and
        all scripts in PHP print nothing."""
        there = (ROOT / "scripts").resolve().parent
        for name in ("include", "lib"):
            if not (there / name).exists():
                (there / name).symlink_to(ROOT / name)

    def _prepare_rrdtool(self):
        self.updates.touch()
        shutil.chown(self.updates, OWNER, OWNER)
        program = self.work / "rrdtool"
        program.write_text(_RRDTOOL.format(copy=self.updates))
        program.chmod(0o755)

    def _profile(self):
        """The data source profile of this step: Cacti's own, or one that is added."""
        found = self.sql("SELECT id FROM data_source_profiles WHERE step = %s", self.step)
        if found:
            return found[0]["id"]
        self.sql("INSERT INTO data_source_profiles (id, hash, name, step, heartbeat, x_files_factor, `default`) "
                 "VALUES (%s, MD5(RAND()), %s, %s, %s, 0.5, '')", PROFILE, f"{self.step} Seconds", self.step, 2 * self.step)
        self.sql("INSERT INTO data_source_profiles_cf SELECT %s, consolidation_function_id FROM data_source_profiles_cf "
                 "WHERE data_source_profile_id = 1", PROFILE)
        for steps, rows in ((1, 2900), (30, 1346)):
            self.sql(_RRA, PROFILE, f"{steps}", steps, rows, steps * rows * self.step)
        return PROFILE

    # Going back to a state

    def keep(self):
        """What restore() goes back to."""
        self.server.stop()
        for source, copy in self._kept():
            shutil.rmtree(copy, ignore_errors=True)
            subprocess.run(["cp", "-a", source, copy], check=True)
        self.server.start()

    def restore(self):
        self.server.kill()
        for source, copy in self._kept():
            shutil.rmtree(source)
            subprocess.run(["cp", "-a", copy, source], check=True)
        self.server.start()

    def _kept(self):
        return (self.server.datadir, self.work / "kept-data"), (RRA, self.work / "kept-rra")

    # What an administrator does

    def cli(self, script, *arguments, timeout=300):
        """Runs one of Cacti's command-line scripts; LabError if it fails."""
        command = as_owner(tool("php", "php-cli"), "-q", CLI / script, *arguments)
        done = subprocess.run(command, cwd=CLI, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise LabError(f"{script} {' '.join(map(str, arguments))} ended with {done.returncode}\n"
                           f"{tail(done.stdout + done.stderr)}")
        return done.stdout

    def php(self, script, *arguments):
        """Runs one of Cacti's own PHP files to its end."""
        done = subprocess.run(as_owner(tool("php", "php-cli"), "-q", ROOT / script, *arguments), cwd=ROOT,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise LabError(f"{script} ended with {done.returncode}\n{tail(done.stdout + done.stderr)}")

    def add_device(self, **options):
        said = self.cli("add_device.php", *(f"--{name}={value}" for name, value in options.items()))
        return int(re.search(r"Success - new device-id: \((\d+)\)", said)[1])

    def add_data_query(self, device, query, method):
        """Associates it with this method of re-indexing, which the device's template may have done."""
        if self.sql("SELECT 1 FROM host_snmp_query AS h JOIN snmp_query AS q ON q.id = h.snmp_query_id WHERE h.host_id = %s AND "
                    "q.name = %s AND h.reindex_method = %s", device, query, METHODS[method]):
            return
        self.cli("add_data_query.php", f"--host-id={device}", f"--data-query-id={self.id_of('snmp_query', query)}",
                 f"--reindex-method={METHODS[method]}")

    def add_graph(self, device, template, **options):
        """A graph of a template without a data query; {data source: local_data_id} of what it has added."""
        return self._graph(device, template, "cg", *(f"--{n.replace('_', '-')}" + ("" if v is None else f"={v}") for n, v in options.items()))

    def add_query_graph(self, device, query, kind, field, value):
        """A graph of the data query's row where `field` is `value`."""
        row = self.sql("SELECT g.id, g.graph_template_id FROM snmp_query_graph AS g JOIN snmp_query AS q ON q.id = g.snmp_query_id "
                       "WHERE q.name = %s AND g.name = %s", query, kind)[0]
        return self._graph(device, row["graph_template_id"], "ds", f"--snmp-query-id={self.id_of('snmp_query', query)}",
                           f"--snmp-query-type-id={row['id']}", f"--snmp-field={field}", f"--snmp-value={value}")

    def _graph(self, device, template, kind, *options):
        number = template if isinstance(template, int) else self.id_of("graph_templates", template)
        said = self.cli("add_graphs.php", f"--host-id={device}", f"--graph-type={kind}", f"--graph-template-id={number}",
                        *options)
        found = re.search(r"Graph Added - Graph\[\d+\] - DS\[([\d, ]+)\]", said)
        if not found:
            raise LabError(f"no graph of {template} for device {device}: {said}")
        return sorted({int(n) for n in found[1].split(",")})

    def id_of(self, table, name):
        rows = self.sql(f"SELECT id FROM {table} WHERE name = %s", name)
        if not rows:
            raise LabError(f"Cacti has no {name} in {table}")
        return rows[0]["id"]

    # The database

    def sql(self, statement, *parameters):
        self.server.admin.select_db(DATABASE)
        return self.server.sql(statement, *parameters)

    def value(self, statement, *parameters):
        rows = self.sql(statement, *parameters)
        return next(iter(rows[0].values())) if rows else None

    def settings(self, **values):
        for name, value in values.items():
            self.sql("REPLACE INTO settings (name, value) VALUES (%s, %s)", name, str(value))

    # The poller

    def start_poller(self, *arguments):
        """poller.php as cron starts it."""
        with open(self.work / "poller.out", "ab") as out:
            process = spawn(as_owner(tool("php", "php-cli"), ROOT / "poller.php", *arguments), stdout=out, stderr=out, cwd="/",
                            env={"PATH": "/usr/bin:/bin", "HOME": "/var/www", "SHELL": "/bin/sh", "LOGNAME": OWNER},
                            start_new_session=True)
        self._sessions.append(process.pid)
        return process

    def end_processes(self):
        """Ends what runs of poller.php have left, which is nothing unless a check has failed."""
        for session in self._sessions:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(session, signal.SIGKILL)
        self._sessions.clear()

    def log(self):
        return file_text(LOG)

    def wait_until_quiet(self):
        """Waits until all that poller.php has started has ended: what it wrote is in the files."""
        wait_until(lambda: not any(self.children()), "what poller.php has started to end", 120, pause=0.05)

    @staticmethod
    def children():
        """The command lines of www-data's processes."""
        uid = pwd.getpwnam(OWNER).pw_uid
        for directory in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if directory.name.isdigit() and directory.stat().st_uid == uid:
                    text = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if text:
                        yield text
