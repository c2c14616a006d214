"""A daemon of the program under test, in the foreground, with a service manager's socket beside it.

    with Resident(poller) as daemon:
        run = poller.run(first=0, last=50)      # its spine.conf says `Daemon auto` now
"""

import contextlib
import os
import socket
import subprocess

from .lab import HANG_S, LabError, Server, file_text, wait_until
from .poller import environment


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
        return environment(self.poller.directory / "sanitizer", **more)

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

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def __exit__(self, *exc):
        self.stop()
        self._manager.close()
        reports = "".join(file_text(p) for p in sorted(self.poller.directory.glob("sanitizer.*")))
        if reports:
            raise AssertionError(f"a sanitizer has found something\n{reports}")
