"""A daemon of the program under test, in the foreground, with a service manager's socket beside it.

    with Resident(poller) as daemon:
        run = poller.run(first=0, last=50)      # its spine.conf says `Daemon auto` now
"""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import time

from .lab import HANG_S, TOP, LabError, Server, file_text, leave_out, wait_until
from .poller import environment


def status_of(poller):
    """Exit status and document of --status."""
    done = subprocess.run([poller.binary.path, "-C", poller.conf, "--status", "--format=json"], capture_output=True,
                          text=True, timeout=HANG_S)
    return done.returncode, json.loads(done.stdout)


def valid_status(document):
    """The document, which is as docs/status.schema.json says."""
    try:
        import jsonschema
    except ImportError:
        leave_out("python3-jsonschema is not installed")
    with open(TOP / "docs/status.schema.json", encoding="utf-8") as file:
        jsonschema.validate(document, json.load(file))
    return document


def _digest(text):
    """FNV-1a of 64 bits, and the length, as src/app/conffile.c has it."""
    found = 0xcbf29ce484222325
    for byte in text:
        found = (found ^ byte) * 0x100000001b3 % 2**64
    return f"{found:016x}-{len(text)}"


class Resident(Server):
    """Its own lines are in `output`; what it has told the service manager is in `messages`."""

    name = "daemon"

    def __init__(self, poller, watchdog_s=None, env=None, **keys):
        super().__init__(poller.directory / "daemon")
        self.poller = poller
        self.watchdog_s = watchdog_s
        self.env = env or {}
        self.socket = self.directory / "spine.sock"
        self.messages = []
        poller.keys = poller.keys | {"Daemon": "auto", "Daemon_Socket": self.socket} | keys
        poller.write_conf(poller.conf_text())
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(self.directory / "notify"))

    def arguments(self):
        return [self.poller.binary.path, "-C", self.poller.conf, "--daemon"]

    def environment(self):
        more = {"NOTIFY_SOCKET": str(self.directory / "notify"), **self.env}
        if self.watchdog_s:
            more["WATCHDOG_USEC"] = str(int(self.watchdog_s * 1e6))
        env = environment(self.poller.directory / "sanitizer", **more)
        env["ASAN_OPTIONS"] += ":quarantine_size_mb=4"  # what is freed stays a while, in each cycle again
        return env

    def start(self):
        self.told()
        self.messages.clear()
        return super().start()

    def told(self):
        """The assignments that the service manager has received so far, in their order."""
        self._manager.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.messages += self._manager.recv(4096).decode().splitlines()
        return self.messages

    def answers(self):
        return "READY=1" in self.told()

    def wait_to_be_told(self, assignment):
        wait_until(lambda: assignment in self.told(), f"the daemon to say {assignment}")

    def log(self):
        return file_text(self.output)

    def wait_for_end(self):
        """Its exit status, or minus the number of the signal that ended it."""
        try:
            status = self.process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            raise LabError(f"the daemon did not end\n{self.said()}") from None
        self.process = None
        return status

    def state(self):
        """What --status says of it, as JSON."""
        done = subprocess.run([self.poller.binary.path, "-C", self.poller.conf, "--status", "--format=json"],
                              capture_output=True, text=True, timeout=HANG_S)
        return json.loads(done.stdout)["daemon"]

    def wait_idle(self):
        """It answers, and polls nothing."""
        wait_until(lambda: (self.state() or {"running": True})["running"] == [], "the daemon to have nothing to do")

    def ask(self, *arguments, directory="/"):
        """Hands over a cycle with these arguments, whatever they are; the status and the signal with which it ended."""
        version = re.search(r"\(spine ([^,]+),", self.poller.binary.version)[1]
        words = ["poll", version, os.path.realpath(self.poller.conf), _digest(self.poller.conf.read_bytes()), 1, os.getpid(), time.monotonic_ns() // 1000, directory, 0o022,
                 len(arguments) + 1, "spine", *arguments, "PATH=/bin"]
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client, open(os.devnull, "wb") as null:
            client.settimeout(HANG_S)
            client.connect(str(self.socket))
            socket.send_fds(client, [b"".join(str(word).encode() + b"\0" for word in words)], [null.fileno()] * 2)
            said = []
            while not said or said[-1][0] not in (b"refused", b"ended", b"lost"):
                said.append(client.recv(1 << 17).split(b"\0"))
                if said[-1][0] == b"offer":
                    client.send(b"go\0")
        if said[-1][0] != b"ended":
            raise LabError(f"the daemon has not carried out the cycle: {said}")
        return int(said[-1][1]), int(said[-1][2])

    def memory_kib(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+)", status)[1])

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def __exit__(self, *exc):
        self.stop()
        self._manager.close()
        (self.directory / "notify").unlink()
        reports = "".join(file_text(p) for p in sorted(self.poller.directory.glob("sanitizer.*")))
        if reports:
            raise AssertionError(f"a sanitizer has found something\n{reports}")
