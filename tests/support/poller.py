"""The program under test: launched as Cacti's poller.php does it, everything about the run captured.

    poller = Poller(Binary(path), site, work, loop="on")
    run = poller.run(first=0, last=50)
    assert run.status == 0, run
"""

import os
import pathlib
import resource
import select
import shlex
import signal
import subprocess
import time

from . import cacti
from .lab import HANG_S, LabError, TOP, file_text, spawn, tail

LOOPS = ("off", "on", "async")  # the ways to run a cycle; "async": on, and SNMP and ping wait on the loop, too


def find_program(variable, *names):
    """A program of the build: named by an environment variable, else in the current or a build directory."""
    if os.environ.get(variable):
        candidates = [pathlib.Path(os.environ[variable])]
    else:
        candidates = [pathlib.Path.cwd() / n for n in names]
        candidates += [p for n in names for p in sorted(TOP.glob(f"build/*/{n}"))]
    for path in candidates:
        if path.is_file() and os.access(path, os.X_OK):
            return path.resolve()
    raise LabError(f"no {names[0]}: build it, or name it with {variable}=PATH (looked at: "
                   f"{', '.join(map(str, candidates)) or 'nothing'})")


class Binary:
    """A spine program and what it says about itself."""

    def __init__(self, path):
        self.path = pathlib.Path(path).resolve()
        done = subprocess.run([self.path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=HANG_S, env=environment(None))
        if done.returncode != 0 or not done.stdout:
            raise LabError(f"{self.path} --version ended with {done.returncode}: {tail(done.stderr)}")
        self.version, *self.features = done.stdout.splitlines()

    @property
    def is_reference(self):
        """Cacti's own spine, which knows no event loop."""
        return "The Cacti Group" in self.version

    @property
    def has_mysql_library(self):
        return any("MySQL client" in line for line in self.features)

    @property
    def has_libevent(self):
        return any("libevent" in line and "without" not in line and "no" not in line.split()
                   for line in self.features)


def environment(reports, **more):
    """What a cron job gets, plus where sanitizers write: files `reports`.PID, which no cycle may leave."""
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", **more}
    if reports is not None:
        env["ASAN_OPTIONS"] = f"log_path={reports}:detect_leaks=1:abort_on_error=0:handle_segv=0"
        env["UBSAN_OPTIONS"] = f"log_path={reports}:print_stacktrace=1"
        env["TSAN_OPTIONS"] = f"log_path={reports}"
    return env


class Run:
    """One finished run. `status` is the exit status, or minus the number of the signal that ended it."""

    def __init__(self, command, status, seconds, usage, stdout, stderr, log, reports):
        self.command = command
        self.status = status
        self.seconds = seconds
        self.usage = usage
        self.stdout = stdout
        self.stderr = stderr
        self.log = log
        self.reports = reports

    @property
    def log_but_stats(self):
        """The log without the line of figures that every run writes."""
        return "".join(line for line in self.log.splitlines(True) if " STATS: " not in line)

    def log_lines(self, word):
        return [line for line in self.log.splitlines() if word in line]

    def __repr__(self):
        parts = [f"{shlex.join(map(str, self.command))}: status {self.status} after {self.seconds:.2f} s"]
        for name in ("stdout", "stderr", "log", "reports"):
            text = getattr(self, name)
            if text:
                parts.append(f"--- {name}\n{tail(text, 30)}")
        return "\n".join(parts)


class Running:
    """A run that has been started. `wait` returns its Run."""

    def __init__(self, poller, command, env, cwd=None, stdout=None):
        self.poller = poller
        self.command = command
        self._log_start = len(file_text(poller.site.log))
        self._stdout = poller.directory / "stdout"
        self._stderr = poller.directory / "stderr"
        self._started = time.monotonic()
        with open(self._stdout, "wb") as out, open(self._stderr, "wb") as err:
            self.process = spawn(command, stdout=out if stdout is None else stdout, stderr=err, env=env,
                                 cwd=cwd or poller.binary.path.parent)

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        """Returns when the process has taken it, unless it blocks or ends by it: what the test does next comes later."""
        os.kill(self.pid, number)  # not send_signal(), which may reap it
        until = time.monotonic() + 5
        while self._is_pending(number) and time.monotonic() < until:
            time.sleep(0.001)

    def _is_pending(self, number):
        try:
            status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return False
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        return fields["State"].split()[0] not in "TZ" and int(fields["ShdPnd"], 16) >> (number - 1) & 1 == 1

    def wait(self, timeout=HANG_S):
        usage = self._reap(timeout)
        seconds = time.monotonic() - self._started
        reports = "".join(file_text(p) for p in sorted(self.poller.directory.glob("sanitizer.*")))
        run = Run(self.command, self.process.returncode, seconds, usage, file_text(self._stdout),
                  file_text(self._stderr), file_text(self.poller.site.log)[self._log_start:], reports)
        if reports:
            raise AssertionError(f"a sanitizer has found something\n{run!r}")
        return run

    def ends_within(self, seconds):
        """Waits that long, or until the run has ended, and returns whether it has. To be followed by `wait`."""
        handle = os.pidfd_open(self.pid)
        try:
            waiter = select.poll()
            waiter.register(handle, select.POLLIN)
            return bool(waiter.poll(seconds * 1000))
        finally:
            os.close(handle)

    def _reap(self, timeout):
        ended = self.ends_within(timeout)
        if not ended:
            self.process.send_signal(signal.SIGKILL)
        _, status, usage = os.wait4(self.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if not ended:
            log = tail(file_text(self.poller.site.log)[self._log_start:])
            raise AssertionError(f"{shlex.join(map(str, self.command))} was still running after {timeout} s\n{log}")
        return usage

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait()


def gates(loop):
    """The options that choose this way to run a cycle."""
    return [f"--event-loop={'off' if loop == 'off' else 'on'}"] + (["--async-snmp=on"] if loop == "async" else [])


def add_database_options(group):
    """For a conftest.py: how all pollers of a run use the database; apply_database_options() obeys them."""
    group.addoption("--bulk", choices=("auto", "off"), default="auto",
                    help="DB_Bulk of all tests; those marked both_bulks run with both in any case, those of array binding "
                         "with auto")
    group.addoption("--connections", choices=("1", "2", "3"), help="DB_Connections of all tests")


def apply_database_options(config):
    if config.getoption("--bulk") != "auto":
        Poller.keys["DB_Bulk"] = config.getoption("--bulk")
    if config.getoption("--connections"):
        Poller.keys["DB_Connections"] = config.getoption("--connections")


class Poller:
    """A program, the site it polls, and its spine.conf. `loop` is "on", "off", "async" (on, and SNMP and
    ping wait on it, too) or None for no such option."""

    keys = {}  # of spine.conf, for all pollers of a pytest run

    def __init__(self, binary, site, directory, loop=None, poller_id=1, **conf):
        self.binary = binary
        self.site = site
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.loop = loop
        self.poller_id = poller_id
        self.conf = self.directory / "spine.conf"
        self.write_conf(self.conf_text(**conf))

    def conf_text(self, **more):
        keys = {
            "DB_Host": self.site.server.socket,
            "DB_Database": cacti.DATABASE,
            "DB_User": cacti.USER,
            "DB_Pass": cacti.PASSWORD,
            "DB_Port": 3306,
        } | self.keys
        return "".join(f"{k} {v}\n" for k, v in (keys | more).items() if v is not None)

    def write_conf(self, text):
        """Makes spine.conf consist of exactly this text (or these bytes)."""
        self.conf.touch(mode=0o600)
        self.conf.write_bytes(text if isinstance(text, bytes) else text.encode())

    def _limit_addresses(self):
        """What `threads` bounds on the other ways: the devices of the tests have one address, and many ports."""
        text = self.conf.read_bytes()
        if self.site.slots and b"Address_Limit" not in text:
            self.write_conf(text + f"Address_Limit {self.site.slots}\n".encode())

    def command(self, *extra, first=None, last=None, conf=True):
        """The command line as poller.php builds it; without first and last the whole site."""
        command = [self.binary.path]
        if conf:
            command += ["-C", self.conf]
        command += [f"--poller={self.poller_id}"]
        if first is not None:
            command += [f"--first={first}"]
        if last is not None:
            command += [f"--last={last}"]
        if self.loop and not self.binary.is_reference:
            command += gates(self.loop)
            if self.loop == "async":
                self._limit_addresses()
        return command + list(extra)

    def start(self, *extra, first=None, last=None, **how):
        return self.start_as(self.command(*extra, first=first, last=last), **how)

    def start_as(self, command, env=None, cwd=None, stdout=None):
        """Starts exactly this command line, in `cwd` or, as Cacti does, in the program's directory."""
        return Running(self, command, environment(self.directory / "sanitizer", **(env or {})), cwd, stdout)

    def run(self, *extra, first=None, last=None, timeout=HANG_S, **how):
        return self.run_as(self.command(*extra, first=first, last=last), timeout, **how)

    def run_as(self, command, timeout=HANG_S, **how):
        with self.start_as(command, **how) as running:
            return running.wait(timeout)


def cpu_seconds(usage: resource.struct_rusage):
    return usage.ru_utime + usage.ru_stime
