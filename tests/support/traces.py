"""Who of a poller's processes is still there: whatever it starts inherits a mark in its environment.

    traces = Traces()
    run = poller.run(env=traces.env)
    traces.wait_gone()
"""

import os
import pathlib
import uuid

from .lab import file_text, wait_until

_NAME = "SPINE_LAB_MARK"


class Traces:
    def __init__(self):
        self.mark = uuid.uuid4().hex
        self.env = {_NAME: self.mark}

    def pids(self):
        """Living processes that carry the mark."""
        mark = f"{_NAME}={self.mark}".encode()
        return [int(p.name) for p in pathlib.Path("/proc").iterdir() if p.name.isdigit() and self._has(p, mark)]

    def commands(self):
        """Their command lines."""
        return [file_text(f"/proc/{pid}/cmdline").replace("\0", " ") for pid in self.pids()]

    @staticmethod
    def _has(process, mark):
        try:
            return mark in (process / "environ").read_bytes().split(b"\0")
        except OSError:
            return False  # it has exited

    def wait_gone(self):
        """None of them is left, or soon so."""
        wait_until(lambda: not self.pids(), f"all processes with {self.mark} to be gone")

    def wait_for(self, count):
        """`count` processes, the poller included, are there."""
        return wait_until(lambda: len(self.pids()) >= count and self.pids(), f"{count} processes")

    def env_with(self, **more):
        return {**self.env, **{name: os.fspath(value) for name, value in more.items()}}
