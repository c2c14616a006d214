"""A proxy between the poller and MariaDB that breaks what a network, a proxy or a server may break.

    with Breaker(server, work / "breaker") as breaker:
        breaker.on("INSERT INTO poller_output ", CUT_AFTER, Error(1213), Delay(2))
        ... DB_Host breaker.path ...
        breaker.seen    # the text of every statement, in the order of arrival
        breaker.others  # every other packet of the clients: above all those of the logins

The first statement that matches the regular expression meets the first action, the second one the second, and those
after the last action pass. An action is PASS, CUT_BEFORE (the statement never arrives), CUT_AFTER (it is carried out,
the answer is lost), SWALLOW (it never arrives, and neither side is told), SWALLOW_ANSWER, RESET, Delay(seconds),
Error(number) (the server has not seen the statement), Instead(statement) (the server gets another one, and the
client its answer), Throttle(bytes, pause), MUTE (from now on nothing is answered or read, and a new client is not greeted) or HALF
(the same, after the first half of the answer). `greeting` and `login` are the actions for what a server says first and for its
answer to a login: PASS, MUTE or HALF. `latency` delays every statement. Plain text only: it reads the client's packets as far as
their frames. A statement that is prepared is seen as "PREPARE " and its text, and each time it is executed as its text
and " [N bytes]", N for its values.
"""

import contextlib
import pathlib
import re
import select
import socket
import struct
import threading

from .lab import free_port

COM_QUERY = 3
COM_STMT_PREPARE = 0x16
COM_STMT_EXECUTE = 0x17
COM_STMT_BULK_EXECUTE = 0xfa
TICK_S = 0.05

PASS, CUT_BEFORE, CUT_AFTER, SWALLOW, SWALLOW_ANSWER, RESET, MUTE, HALF = (
    "pass", "cut before", "cut after", "swallow", "swallow the answer", "reset", "mute", "half")


class Delay:
    def __init__(self, seconds):
        self.seconds = seconds


class Error:
    def __init__(self, number, text="broken on purpose", state="HY000"):
        payload = b"\xff" + struct.pack("<H", number) + b"#" + state.encode() + text.encode()
        self.packet = struct.pack("<I", len(payload))[:3] + b"\x01" + payload


class Instead:
    """The server gets this statement in the place of the client's: the answer is of another shape."""

    def __init__(self, sql):
        self.sql = sql.encode()

    def packet(self, begin):
        """`begin`: of the client's packet, up to its text."""
        payload = begin[4:] + self.sql
        return struct.pack("<I", len(payload))[:3] + b"\x00" + payload


class Meanwhile:
    """Something happens before the server gets the statement."""

    def __init__(self, happen):
        self.happen = happen


class Throttle:
    """The answer comes in pieces of `size` bytes, with a pause before each."""

    def __init__(self, size, pause):
        self.size = size
        self.pause = pause


class _Ended(Exception):
    pass


class Breaker:
    def __init__(self, server, directory, tcp=False):
        """`tcp`: listen on 127.0.0.1, `port`, instead of the socket `path`."""
        self.server = server
        self.seen = []
        self.others = []
        self.connections = 0
        self.latency = 0
        self.greeting = self.login = PASS
        self.silent = False
        self._rules = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._failures = []
        self._threads = []
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / "broken.sock"
        self.port = free_port(socket.SOCK_STREAM) if tcp else None
        self._listener = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        if tcp:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port) if tcp else str(self.path))
        self._listener.listen(64)

    def on(self, pattern, *actions, then=PASS):
        """`then` is the action after the last one."""
        self._rules.append([re.compile(pattern), list(actions), then])
        return self

    def count(self, pattern):
        """How many statements have matched so far."""
        return sum(1 for sql in list(self.seen) if re.search(pattern, sql))

    def _action(self, sql):
        with self._lock:
            self.seen.append(sql)
            for rule in self._rules:
                if rule[0].search(sql):
                    return rule[1].pop(0) if rule[1] else rule[2]
        return PASS

    def __enter__(self):
        self._start(self._accept)
        return self

    def __exit__(self, kind, *exc):
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()
        if self._failures and kind is None:
            raise self._failures[0]

    def _start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _readable(self, *sockets):
        while not self._ended.is_set():
            ready = select.select(sockets, [], [], TICK_S)[0]
            if ready:
                return ready
        raise _Ended

    def _hold_if_silent(self):
        if self.silent:
            self._ended.wait()
            raise _Ended

    def _pause(self, seconds):
        if seconds and self._ended.wait(seconds):
            raise _Ended

    def _accept(self):
        with contextlib.suppress(_Ended):
            while True:
                self._readable(self._listener)
                client, _ = self._listener.accept()
                self.connections += 1
                if self.greeting == MUTE:
                    self.silent = True
                self._start(self._guarded, client)

    def _guarded(self, client):
        with client, socket.socket(socket.AF_UNIX) as server:
            try:
                self._hold_if_silent()
                server.connect(str(self.server.socket))
                _Connection(self, client, server).serve()
            except (_Ended, ConnectionError, FileNotFoundError):
                return  # what the poller sees is an end of the connection
            except Exception as e:  # told to the test by __exit__
                self._failures.append(e)


def _text_at(packet):
    """Where the text begins. MySQL's client tells before it that the query has no attributes, in one set."""
    return 7 if packet[4] == COM_QUERY and packet[5:7] == b"\x00\x01" else 5


class _Connection:
    def __init__(self, breaker, client, server):
        self.breaker = breaker
        self.client = client
        self.server = server
        self.pending = b""
        self.prepared = {}  # texts by the id that the server has given them
        self.preparing = None
        self.dead = False  # nothing passes from now on
        self.deaf = False  # answers are thrown away
        self.throttle = None
        self.half = breaker.greeting == HALF

    def serve(self):
        while True:
            ready = self.breaker._readable(self.client, self.server)
            self.breaker._hold_if_silent()
            if self.server in ready:
                self._answer()
            if self.client in ready:
                self._requests()

    def _answer(self):
        data = self.server.recv(65536)
        if not data:
            raise _Ended
        if self.preparing is not None and len(data) >= 9 and data[4] == 0:
            self.prepared[data[5:9]] = self.preparing
        self.preparing = None
        if self.deaf or self.dead:
            return
        if self.half:
            self.client.sendall(data[:len(data) // 2])
            self._mute()
        size = self.throttle.size if self.throttle else len(data)
        for at in range(0, len(data), size):
            if self.throttle:
                self.breaker._pause(self.throttle.pause)
            self.client.sendall(data[at:at + size])

    def _mute(self):
        self.breaker.silent = True
        self.breaker._hold_if_silent()

    def _requests(self):
        data = self.client.recv(65536)
        if not data:
            raise _Ended
        self.pending += data
        while len(self.pending) >= 4:
            size = 4 + int.from_bytes(self.pending[:3], "little")
            if len(self.pending) < size:
                return
            packet, self.pending = self.pending[:size], self.pending[size:]
            self._request(packet)

    def _text(self, packet):
        """What a packet asks the server to do, as text; None for the handshake and other commands."""
        if packet[3] != 0:
            return None
        command, text = packet[4], packet[_text_at(packet):].decode("utf-8", "replace")
        if command == COM_STMT_PREPARE:
            self.preparing = text
            return f"PREPARE {text}"
        if command in (COM_STMT_EXECUTE, COM_STMT_BULK_EXECUTE):
            return f"{self.prepared[packet[5:9]]} [{len(packet) - 9} bytes]"
        return text if command == COM_QUERY else None

    def _request(self, packet):
        if self.dead:
            return
        text = self._text(packet)
        if text is None:
            self.breaker.others.append(packet[4:])
            if packet[3] != 0 and self.breaker.login == MUTE:
                self._mute()
            self.half = packet[3] != 0 and self.breaker.login == HALF
            self.server.sendall(packet)
            return
        action = self.breaker._action(text)
        self.breaker._pause(self.breaker.latency)
        if action == CUT_BEFORE:
            raise _Ended
        if action == RESET:
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise _Ended
        if action == SWALLOW:
            self.dead = True
            return
        if action == MUTE:
            self._mute()
        if isinstance(action, Error):
            self.client.sendall(action.packet)
            return
        if isinstance(action, Delay):
            self.breaker._pause(action.seconds)
        if isinstance(action, Meanwhile):
            action.happen()
        self.throttle = action if isinstance(action, Throttle) else None
        self.deaf = action == SWALLOW_ANSWER
        self.half = action == HALF
        self.server.sendall(action.packet(packet[:_text_at(packet)]) if isinstance(action, Instead) else packet)
        if action == CUT_AFTER:
            self.breaker._readable(self.server)
            raise _Ended
