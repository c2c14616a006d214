"""A server that speaks as much of MariaDB's protocol as a client needs to give itself away.

    with FakeDatabase(Switch("mysql_clear_password")) as fake:
        ... DB_Host 127.0.0.1, DB_Port fake.port ...
    assert PASSWORD not in fake.heard

It greets, reads the login and then does what its acts say; after the last one it accepts every login and acknowledges
every statement. `heard` is every byte that clients have sent,as the server understands them, `plain` the part that was
not encrypted, `answers` the packets that came in answer to acts. Acts: Switch(plugin, data) (asks for another way to log
in), Say(bytes) (a packet as it is), Tell(bytes) (one that needs no answer), File(name) (asks for a file of the client's).
"""

import contextlib
import select
import socket
import ssl
import struct
import threading

TICK_S = 0.05
CLIENT_PROTOCOL_41 = 0x200
CLIENT_SSL = 0x800
CLIENT_SECURE_CONNECTION = 0x8000
CLIENT_PLUGIN_AUTH = 0x80000
#: long password, long flag, database, protocol 41, transactions, secure connection, plugins, their data, attributes
CAPABILITIES = 0x1 | 0x4 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000 | 0x100000 | 0x200000
SCRAMBLE = b"12345678abcdefghijkl"
OK = b"\x00\x00\x00\x02\x00\x00\x00"


class Switch:
    answered = True

    def __init__(self, plugin, data=SCRAMBLE + b"\0"):
        self.packet = b"\xfe" + plugin.encode() + b"\0" + data


class Say:
    answered = True

    def __init__(self, packet):
        self.packet = packet


class Tell(Say):
    answered = False


class File:
    answered = True

    def __init__(self, name):
        self.packet = b"\xfb" + str(name).encode()


#: Ends a login with the proof that it would have been one, and a run at once.
WELCOME = Tell(b"\xff" + struct.pack("<H", 1049) + b"#42000you may come in, but not there")


class FakeDatabase:
    def __init__(self, *acts, certificate=None, plugin="mysql_native_password", path=None, without=0, address="127.0.0.1",
                 mute=False):
        """`certificate`: (file, key), the server offers TLS; `path`: a socket in the place of TCP on `address`;
        `without`: capabilities that it does not have; `mute`: it greets, and says nothing more."""
        self.acts = acts
        self.plugin = plugin
        self.without = without
        self.mute = mute
        self.heard = b""
        self.plain = b""
        self.answers = []
        self.statements = []
        self.connections = 0
        self._context = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*map(str, certificate))
        self._ended = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self._listener.bind(str(path) if path else (address, 0))
        self._listener.listen(16)
        self.port = None if path else self._listener.getsockname()[1]
        self._threads = []

    def __enter__(self):
        self._start(self._accept)
        return self

    def __exit__(self, *exc):
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while not self._ended.is_set():
            if select.select([self._listener], [], [], TICK_S)[0]:
                client, _ = self._listener.accept()
                self.connections += 1
                self._start(self._serve, client)

    def _serve(self, client):
        with contextlib.suppress(ConnectionError, OSError, EOFError), _Client(self, client) as c:
            c.greet()
            if self.mute:
                self._ended.wait()
                return
            c.login()
            for act in self.acts:
                c.send(act.packet)
                if act.answered:
                    self.answers.append(c.receive())
            c.send(OK)
            while True:
                packet = c.receive()
                if packet[:1] == b"\x01":
                    return
                self.statements.append(packet[1:])
                c.send(OK, 1)


class _Client:
    def __init__(self, fake, client):
        self.fake = fake
        self.client = client
        self.encrypted = False
        self.sequence = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.client.close()

    def _read(self, size):
        data = b""
        while len(data) < size:
            if not (self.encrypted and self.client.pending()):
                while not select.select([self.client], [], [], TICK_S)[0]:
                    if self.fake._ended.is_set():
                        raise EOFError
            more = self.client.recv(size - len(data))
            if not more:
                raise EOFError
            self.fake.heard += more
            if not self.encrypted:
                self.fake.plain += more
            data += more
        return data

    def receive(self):
        head = self._read(4)
        self.sequence = head[3] + 1
        return self._read(int.from_bytes(head[:3], "little"))

    def send(self, packet, sequence=None):
        number = self.sequence if sequence is None else sequence
        self.client.sendall(struct.pack("<I", len(packet))[:3] + bytes([number % 256]) + packet)
        self.sequence = number + 1

    def greet(self):
        flags = (CAPABILITIES | (CLIENT_SSL if self.fake._context else 0)) & ~self.fake.without
        plugins = flags & CLIENT_PLUGIN_AUTH
        self.send(b"\x0a" + b"5.5.5-10.11.0-fake\0" + struct.pack("<I", 7) + SCRAMBLE[:8] + b"\0" +
                  struct.pack("<HBHH", flags & 0xFFFF, 45, 2, flags >> 16) + bytes([21 if plugins else 0]) + bytes(10) +
                  SCRAMBLE[8:] + b"\0" + (self.fake.plugin.encode() + b"\0" if plugins else b""), 0)

    def login(self):
        packet = self.receive()
        if int.from_bytes(packet[:4], "little") & CLIENT_SSL and self.fake._context:
            self.client = self.fake._context.wrap_socket(self.client, server_side=True)
            self.encrypted = True
            packet = self.receive()
        return packet
