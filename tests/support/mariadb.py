"""A private MariaDB server: own data directory, own socket, no network, gone at the end. Where vendor.py says so, MySQL's
takes its place; tests of what only one of them has are marked `mariadb` or `mysql`.

    with work_directory() as work:
        template = prepare(work / "template", load=lambda server: server.script(text, "cacti"))
        with MariaDB(work / "db", template=template) as server:
            rows = server.sql("SELECT name, value FROM cacti.settings")

A data directory is prepared once and copied for every server, so each test has a fresh database in a tenth of
a second. Nothing is made durable: the data does not outlive the test.
"""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess

import pymysql
import pymysql.cursors

from . import vendor
from .lab import HANG_S, LabError, Server, free_port, tail

#: Whose server it is: the tests' own.
VENDOR = vendor.chosen()


def _as_user():
    return ["--user=root"] if os.geteuid() == 0 else []


def install(directory):
    """Creates an empty data directory."""
    program, *options = VENDOR.installer
    command = [VENDOR.tool(program), *options, f"--datadir={directory}",
               f"--tmpdir={directory.parent}",  # as below
               *_as_user()]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=HANG_S)
    if done.returncode != 0:
        raise LabError(f"{program} ended with {done.returncode}\n{tail(done.stdout + done.stderr)}")


def prepare(directory, load):
    """Makes the data directory that others are copied from: installs it, then calls load(server)."""
    server = MariaDB(directory)
    install(server.datadir)
    with server:
        load(server)
        server.stop()
    for name in ("ibtmp1", "ib_buffer_pool"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(server.datadir / name)
    template = directory / "template"
    _copy(server.datadir, template)  # a tenth of it is not zeros, so copies of this one cost less
    shutil.rmtree(server.datadir)
    return template


def _copy(datadir, to):
    subprocess.run(["cp", "-a", "--sparse=always", str(datadir), str(to)], check=True, stdin=subprocess.DEVNULL)


class Seen:
    """What the clients of one database user did while it was watched."""

    def __init__(self):
        self.statements = []  # (connection, text)
        self.connections = 0
        self.at_once = 0

    def fill(self, rows):
        opened, busy = set(), set()
        for row in rows:
            thread, command = row["thread_id"], row["command_type"]
            if command == "Connect":
                opened.add(thread)
                busy.add(thread)
                self.at_once = max(self.at_once, len(busy))
            elif command == "Quit":
                busy.discard(thread)
            elif command in ("Query", "Execute"):
                self.statements.append((thread, _text(row["argument"])))
        self.connections = len(opened)

    def __str__(self):
        return f"{len(self.statements)} statements, {self.connections} connections, {self.at_once} at once"


def _text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class MariaDB(Server):
    """One server. `sql` and `script` use an administrator's connection that no count includes."""

    name = VENDOR.server

    def __init__(self, directory, template=None, tcp=False, sql_mode=None, options=(), zone=None):
        """`zone`: the system's time zone as the server sees it, in the notation of $TZ."""
        super().__init__(directory)
        self.datadir = self.directory / "data"
        self.socket = self.directory / "mysql.sock"
        self.port = free_port(socket.SOCK_STREAM) if tcp else None
        self.sql_mode = sql_mode
        self.options = list(options)
        self.zone = zone
        self._admin = None
        if template is not None:
            _copy(template, self.datadir)

    def arguments(self):
        network = [f"--port={self.port}", "--bind-address=127.0.0.1"] if self.port else ["--skip-networking"]
        mode = [] if self.sql_mode is None else [f"--sql-mode={self.sql_mode}"]
        return [VENDOR.tool(VENDOR.server), "--no-defaults", f"--datadir={self.datadir}",
                f"--socket={self.socket}", f"--pid-file={self.directory / 'mariadbd.pid'}",
                f"--tmpdir={self.directory}",  # a starting server deletes the temporary files of others in its own
                *network, *VENDOR.options, *mode, *_as_user(), *self.options]

    def environment(self):
        return None if self.zone is None else {**os.environ, "TZ": self.zone}

    def answers(self):
        try:
            self.connect().close()
            return True
        except pymysql.err.OperationalError:
            return False

    def connect(self, user="root", password="", database=None):
        return pymysql.connect(unix_socket=str(self.socket), user=user, password=password, database=database,
                               autocommit=True, charset="utf8mb4", sql_mode="", connect_timeout=60,
                               cursorclass=pymysql.cursors.DictCursor)

    @property
    def admin(self):
        if self._admin is None:
            self._admin = self.connect()
        return self._admin

    def sql(self, statement, *parameters):
        """Runs one statement; rows as dictionaries."""
        with self.admin.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return cursor.fetchall()

    def many(self, statement, rows):
        """Inserts many rows with one multi-row statement at a time."""
        with self.admin.cursor() as cursor:
            cursor.executemany(statement, rows)

    def script(self, text, database):
        """Runs a file of statements with the command-line client."""
        client = [VENDOR.tool(VENDOR.client), "--no-defaults", *VENDOR.client_options, "-uroot",
                  f"--socket={self.socket}", database]
        done = subprocess.run(client, input=text, capture_output=True, text=True, timeout=HANG_S)
        if done.returncode != 0:
            raise LabError(f"loading into {database} failed: {tail(done.stderr)}")

    def account(self, account, password, require=""):
        """An account that may do everything with Cacti's database; `require` as in REQUIRE SSL."""
        self.sql(f"CREATE USER {account} IDENTIFIED BY '{password}' {require}")
        self.sql(f"GRANT ALL ON `cacti%`.* TO {account}")

    def remember(self, user, password):
        """MySQL's own way to log in wants the password itself once, over TLS or the socket; from then on until it
        restarts, the server knows the account by a hash."""
        if VENDOR is vendor.MYSQL and not self.port:
            self.connect(user, password).close()
        elif VENDOR is vendor.MYSQL:
            trusting = ssl.create_default_context()
            trusting.check_hostname = False
            trusting.verify_mode = ssl.CERT_NONE
            pymysql.connect(host="127.0.0.1", port=self.port, user=user, password=password, ssl=trusting).close()

    @contextlib.contextmanager
    def watch(self, user):
        """Lists statements and connections of database user `user` meanwhile, as the server saw them."""
        seen = Seen()
        self.sql("SET GLOBAL general_log = OFF")
        self.sql("TRUNCATE mysql.general_log")
        self.sql("SET GLOBAL general_log = ON")
        try:
            yield seen
        finally:
            self.sql("SET GLOBAL general_log = OFF")
            rows = self.sql("SELECT user_host, thread_id, command_type, argument FROM mysql.general_log")
            seen.fill(r for r in rows if user in _text(r["user_host"]))

    def make_durable(self):
        """From now on what was acknowledged survives kill()."""
        self.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
        self.options.append("--innodb-flush-log-at-trx-commit=2")

    def _end(self, number):
        if self._admin is not None:
            with contextlib.suppress(pymysql.err.Error):
                self._admin.close()
            self._admin = None
        super()._end(number)

    def remove(self):
        """Deletes the data of a stopped server."""
        shutil.rmtree(self.directory, ignore_errors=True)
