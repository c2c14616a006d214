"""What every part of the lab uses: waiting, ports, tools, working directories and child processes.

Rules of the lab: only loopback addresses, only processes that it started itself (ended by their pid), no
sleeping in the hope that something has happened: `wait_until` asks for a condition and has a deadline.
"""

import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]

#: What has not happened after this number of seconds never does. It is far away, so that a busy machine only makes tests longer,
#: and shorter than the interval of 300 s, so that a run that waits for its end is noticed.
HANG_S = 180

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_SYSTEM_DIRECTORIES = "/usr/sbin:/usr/bin:/sbin:/bin"


class LabError(Exception):
    """The lab itself could not do its part; says nothing about the poller."""


class MissingTool(LabError):
    """A program that a test needs is not installed."""


def tool(name, package):
    """Absolute path of a program; `package` is the Debian package that would bring it."""
    path = shutil.which(name, path=_SYSTEM_DIRECTORIES + ":" + os.environ.get("PATH", ""))
    if path is None:
        raise MissingTool(f"{name} is not installed (Debian package {package})")
    return path


def leave_out(reason):
    """For a test, or a fixture, that lacks something that a package brings: fails in CI, where nothing may be
    left out, and is skipped with the reason elsewhere."""
    import pytest  # not needed by the demo and the measurements, which use this module, too

    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def need(tools):
    """Leaves the test out unless all these programs, {name: Debian package}, are installed."""
    missing = []
    for name, package in tools.items():
        try:
            tool(name, package)
        except MissingTool as e:
            missing.append(str(e))
    if missing:
        leave_out("; ".join(missing))


def need_localhost():
    """Skips a test of that name where the system does not know it: a minimal installation has no /etc/hosts."""
    import pytest

    try:
        socket.getaddrinfo("localhost", None)
    except socket.gaierror as e:
        pytest.skip(f"this system does not know localhost: {e}")


def cache_directory():
    """Where downloads are kept between runs: $SPINE_LAB_CACHE, else build/cache of the source tree."""
    path = pathlib.Path(os.environ.get("SPINE_LAB_CACHE") or TOP / "build" / "cache")
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def work_directory():
    """A directory with a short path (socket names are limited to 107 bytes), removed at the end.

    SPINE_LAB_KEEP=1 keeps it, to look at a server's or the poller's files after a failure.
    """
    path = pathlib.Path(tempfile.mkdtemp(prefix="spine-lab."))
    try:
        yield path
    finally:
        if not os.environ.get("SPINE_LAB_KEEP"):
            shutil.rmtree(path, ignore_errors=True)


def wait_until(condition, what, seconds=HANG_S, pause=0.01):
    """Asks `condition` until its answer is true and returns that answer; LabError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds:g} s without success for: {what}")
        time.sleep(pause)


def free_port(kind=socket.SOCK_DGRAM, address="127.0.0.1"):
    """A port of `address` that is not in use at this moment."""
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind((address, 0))
        return s.getsockname()[1]


class SilentDevice:
    """A UDP port that takes every packet and answers none, as a device behind a filter does."""

    def __init__(self, address="127.0.0.1"):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 0))
        self.port = self._socket.getsockname()[1]

    def wait_for_request(self, seconds=HANG_S):
        """Returns when a packet has come in: the poller is waiting for this device's answer now."""
        self._socket.settimeout(seconds)
        try:
            return self._socket.recv(65536)
        except TimeoutError:
            raise LabError(f"nothing was sent to the silent device for {seconds:g} s") from None

    def requests(self):
        """How many packets have come in that no test has waited for."""
        self._socket.setblocking(False)
        count = 0
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(65536):
                count += 1
        return count

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._socket.close()


class HeldDevice(SilentDevice):
    """An agent that keeps the caller waiting until `let_go()`; from then on it answers every request at once, with no
    value. The timeout of its device is to be longer than any test lasts."""

    def __init__(self, address="127.0.0.1"):
        super().__init__(address)
        self._held = []
        self._answering = None

    def wait_for_request(self):
        self._socket.settimeout(HANG_S)
        try:
            self._held.append(self._socket.recvfrom(65536))
        except TimeoutError:
            raise LabError(f"nothing was sent to the held device for {HANG_S} s") from None

    def let_go(self):
        self._socket.settimeout(0.1)
        self._answering = threading.Thread(target=self._answer, daemon=True)
        self._answering.start()

    def _answer(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                for request, client in self._held:
                    self._socket.sendto(self._empty_response(request), client)
                self._held.clear()
                with contextlib.suppress(TimeoutError):
                    self._held.append(self._socket.recvfrom(65536))

    @staticmethod
    def _empty_response(request):
        """The request of SNMP version 1 or 2c with the tag of a response."""
        community = 2 + (request[1] & 0x7F if request[1] & 0x80 else 0) + 3
        pdu = community + 2 + request[community + 1]
        return request[:pdu] + b"\xa2" + request[pdu + 1:]

    def __exit__(self, *exc):
        super().__exit__(*exc)
        if self._answering:
            self._answering.join()


class SilentServer:
    """A TCP port that takes connections and says nothing, as an overloaded server or a filter does."""

    def __init__(self, address="127.0.0.1"):
        self._socket = socket.create_server((address, 0))
        self.port = self._socket.getsockname()[1]

    def wait_for_client(self, seconds=HANG_S):
        """Returns when a client has connected and is waiting for an answer; the connection, to be closed."""
        self._socket.settimeout(seconds)
        try:
            return self._socket.accept()[0]
        except TimeoutError:
            raise LabError(f"no client has connected to the silent server for {seconds:g} s") from None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._socket.close()


def file_text(path):
    """The text of a file, empty if there is none, or if the process that it describes has exited."""
    try:
        return pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def tail(text, lines=20):
    return "\n".join(text.splitlines()[-lines:])


def spawn(arguments, **options):
    """subprocess.Popen whose child dies with us, also when we are killed."""
    parent = os.getpid()

    def in_child():
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(127)

    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen([str(a) for a in arguments], preexec_fn=in_child, **options)


class Server:
    """A daemon in the foreground with its own directory and log; subclasses say how it is started."""

    name = "server"

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.output = self.directory / f"{self.name}.out"
        self.process = None

    def arguments(self):
        raise NotImplementedError

    def answers(self):
        """True as soon as the server can be used."""
        raise NotImplementedError

    def environment(self):
        return None

    def start(self):
        with open(self.output, "ab") as output:
            self.process = spawn(self.arguments(), stdout=output, stderr=output, env=self.environment())
        try:
            wait_until(self._up, f"{self.name} to answer")
        except LabError as e:
            self.kill()
            raise LabError(f"{e}\n{self.said()}") from None
        return self

    def _up(self):
        if self.process.poll() is not None:
            raise LabError(f"{self.name} ended at its start with status {self.process.returncode}")
        return self.answers()

    def said(self, lines=20):
        """The end of what the server has written."""
        return tail(file_text(self.output), lines)

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def stop(self):
        """Ends it politely."""
        self._end(signal.SIGTERM)

    def kill(self):
        """Ends it as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, number):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(HANG_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.kill()
