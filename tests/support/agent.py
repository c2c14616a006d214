"""The simulated agent farm (tests/support/fakeagent) for tests in Python.

    with FakeAgent("object .1.3.6.1.2.1.1.5.0 string x\nagent 127.2.0.1", log=True) as farm:
        ...ask 127.2.0.1 port farm.port...
        assert farm.counters()["answers"] == 1
        assert farm.log[0].pdu == "get"
        farm.send("agent 127.2.0.1 silent")

The binary is the argument, or $FAKEAGENT. counters(), log and send() take effect behind every
datagram sent before they were called: no test needs to wait for the agents to have seen something.
The agents end with the test: on stop(), when their stdin closes, and when the thread that started
them ends (so start them from a thread that lives as long as they are needed).
"""

import collections
import ipaddress
import json
import os
import pathlib
import selectors
import signal
import subprocess
import tempfile
import time

MASK64 = (1 << 64) - 1
DEADLINE_S = 180  # for what never comes; standalone, as the measurements use it

LogLine = collections.namedtuple("LogLine", "time address version pdu id varbinds oid fate")


class FakeAgentError(Exception):
    """The agents did not start, refused a line, or have ended; the text says why."""


def address_number(addr):
    """The address as @addr has it: an integer, 1 for ::1."""
    return addr if isinstance(addr, int) else int(ipaddress.ip_address(addr))


def _fmix64(h):
    h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & MASK64
    return h ^ (h >> 31)


def mix64(addr, oid):
    h = 0xCBF29CE484222325
    for arc in oid.strip(".").split("."):
        h = ((h ^ int(arc)) * 0x100000001B3) & MASK64
    return _fmix64((h + address_number(addr) * 0x9E3779B97F4A7C15) & MASK64)


def mix31(addr, oid):
    """What @mix is in a value of type int."""
    return mix64(addr, oid) >> 32 & 0x7FFFFFFF


def mix32(addr, oid):
    """What @mix is in a counter32, gauge32, timeticks, ipaddress, string or floating value."""
    return mix64(addr, oid) >> 32


def mix63(addr, oid):
    """What @mix is in a counter64 and the 64-bit integers within Opaque."""
    return mix64(addr, oid) >> 1


class FakeAgent:
    def __init__(self, spec_text, binary=None, log=False, port=0, ports=1):
        self.binary = binary or os.environ.get("FAKEAGENT")
        if not self.binary:
            raise FakeAgentError("no fakeagent binary: pass one or set FAKEAGENT")
        self._final = None
        self._out = b""
        self._dir = tempfile.TemporaryDirectory(prefix="fakeagent-")
        directory = pathlib.Path(self._dir.name)
        self._spec = directory / "spec"
        self._spec.write_text(spec_text, encoding="utf-8")
        self._log = directory / "log" if log else None
        self._err = directory / "stderr"
        command = [self.binary, "--exit-on-eof", "--port", str(port), "--ports", str(ports)]
        if log:
            command += ["--log", str(self._log)]
        try:
            with self._err.open("wb") as err:
                self.process = subprocess.Popen(
                    command + [str(self._spec)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=err,
                    bufsize=0,
                )
            self.ports = [int(word) for word in self._line().split()[1:]]
            self.port = self.ports[0]
        except BaseException:
            self._discard()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def _discard(self):
        process = getattr(self, "process", None)
        if process is not None:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        self._dir.cleanup()

    def _complaint(self):
        text = self._err.read_text(encoding="utf-8", errors="replace").strip()
        return text or "fakeagent: ended without a message"

    def _line(self):
        """The next line of the agents' stdout."""
        end = time.monotonic() + DEADLINE_S
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._out:
                if not selector.select(max(0, end - time.monotonic())):
                    raise FakeAgentError(f"fakeagent: no answer within {DEADLINE_S} s")
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    raise FakeAgentError(self._complaint())
                self._out += data
        line, self._out = self._out.split(b"\n", 1)
        return line.decode()

    def _ask(self, line):
        try:
            self.process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError:
            pass  # reading on says what became of it
        answer = self._line()
        if answer.startswith("error "):
            raise FakeAgentError(answer[6:])
        return answer

    def send(self, text):
        """Further lines of spec. An agent line makes a new agent in the place of the old one."""
        for line in text.strip().splitlines():
            self._ask(line)

    def counters(self, address=None):
        """Totals since the start, or one agent's own; still there after stop()."""
        if address is not None:
            own = json.loads(self._ask(f"counters {address}"))
            return {"requests": own["requests"], "answers": own["answers"]}
        return self._final if self._final is not None else json.loads(self._ask("counters"))

    def most_waiting(self, address):
        """The most requests that one agent has had at a time whose answers were delayed."""
        return json.loads(self._ask(f"counters {address}"))["most_waiting"]

    def first_request(self):
        """When the first datagram since the last call came, as time.monotonic() has it; None if none has."""
        return json.loads(self._ask("first"))["first_us"] / 1e6 or None

    @property
    def log(self):
        """One LogLine, all of text, for every request so far."""
        if self._log is None:
            raise FakeAgentError("no log was asked for")
        if self._final is None:
            self._ask("counters")
            return self._read_log()
        return self._last_log

    def _read_log(self):
        lines = self._log.read_text(encoding="utf-8").splitlines()
        return [LogLine(*line.split(" ")) for line in lines]

    def stop(self):
        """Ends the agents and returns the counters. May be called twice."""
        if self._final is not None:
            return self._final
        try:
            self.process.send_signal(signal.SIGTERM)
            self._final = json.loads(self._line())
            if self.process.wait(DEADLINE_S) != 0:
                raise FakeAgentError(self._complaint())
            self._last_log = self._read_log() if self._log is not None else []
        finally:
            self._discard()
        return self._final
