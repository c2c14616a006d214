"""Who asks the simulated agents in their tests: net-snmp's tools, and a plain client with a BER codec of its own.

The latter shows byte by byte what the tools hide.
"""

import select
import shutil
import socket
import subprocess

from support.lab import HANG_S, leave_out

SYS = ".1.3.6.1.2.1.1"
IF_INDEX = ".1.3.6.1.2.1.2.2.1.1"
IN_OCTETS = ".1.3.6.1.2.1.2.2.1.10"
HC_OCTETS = ".1.3.6.1.2.1.31.1.1.1.6"
OWN = ".1.3.6.1.4.1.32473.2"
A = "127.2.0.1"
DEADLINE_S = HANG_S

#: What most of the agents asked have.
OBJECTS = f"""
object {SYS}.1.0 string "fake @ip"
object {SYS}.2.0 oid .1.3.6.1.4.1.32473.1
object {SYS}.5.0 string "host @addr # @@"   # a comment
object {IF_INDEX}.{{1-4}} int @last
object {IN_OCTETS}.{{1-4}} counter32 @mix
object {HC_OCTETS}.{{1-4}} counter64 @mix
"""

GET, GETNEXT, RESPONSE, SET, GETBULK = 0xA0, 0xA1, 0xA2, 0xA3, 0xA5


# ---- net-snmp's tools ----


def run_tool(name, *args, status=0):
    path = shutil.which(name)
    if path is None:
        leave_out(f"{name} is not installed (Debian package snmp)")
    command = [path, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stdout + done.stderr


def ask(name, f, *oids, addr=A, version="2c", options=(), status=0):
    """The tool's output as a list of (OID, text)."""
    host = f"udp6:[{addr}]:{f.port}" if ":" in addr else f"{addr}:{f.port}"
    head = [f"-v{version}", "-c", "public", "-One", "-t", "20", "-r", "0", *options]
    text = run_tool(name, *head, host, *oids, status=status)
    if status != 0:
        return text
    return [tuple(line.split(" = ", 1)) for line in text.splitlines()]


GOOD_V3 = ["-l", "authPriv", "-u", "mon", "-a", "SHA", "-A", "authphrase", "-x", "AES", "-X", "privphrase"]


def ask_v3(name, f, *oids, addr=A, credentials=GOOD_V3, options=(), status=0, text=False):
    """As `ask`, by SNMPv3; `text`: all that the tool writes. Of an option that comes twice the later counts."""
    head = ["-v3", *credentials, "-One", "-t", "20", "-r", "0", *options, f"{addr}:{f.port}", *oids]
    path = shutil.which(name)
    if path is None:
        leave_out(f"{name} is not installed (Debian package snmp)")
    done = subprocess.run([path, *head], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == status, done.stderr
    if status != 0 or text:
        return done.stdout + done.stderr
    return [tuple(line.split(" = ", 1)) for line in done.stdout.splitlines()]


# ---- a BER codec of the test's own ----


def tlv(tag, data):
    n = len(data)
    return bytes([tag]) + (bytes([n]) if n < 128 else bytes([0x82, n >> 8, n & 255])) + data


def integer(value):
    return tlv(2, value.to_bytes(4, "big", signed=True))


def oid_bytes(oid):
    first, second, *arcs = (int(x) for x in oid.strip(".").split("."))
    out = b""
    for arc in [first * 40 + second, *arcs]:
        part = bytes([arc & 127])
        while arc := arc >> 7:
            part = bytes([arc & 127 | 128]) + part
        out += part
    return tlv(6, out)


def request(oids, pdu=GET, rid=1000, version=1, community=b"public", a=0, b=0):
    vbs = b"".join(tlv(0x30, oid_bytes(oid) + b"\5\0") for oid in oids)
    body = integer(rid) + integer(a) + integer(b) + tlv(0x30, vbs)
    return tlv(0x30, integer(version) + tlv(4, community) + tlv(pdu, body))


def take(data):
    """(tag, contents, rest)"""
    n, at = data[1], 2
    if n & 128:
        at = 2 + (n & 127)
        n = int.from_bytes(data[2:at], "big")
    assert len(data) >= at + n
    return data[0], data[at : at + n], data[at + n :]


def oid_text(data):
    arcs, arc = [], 0
    for byte in data:
        arc = arc << 7 | byte & 127
        if not byte & 128:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return "".join(f".{x}" for x in [first, arcs[0] - 40 * first, *arcs[1:]])


class Answer:
    def __init__(self, data):
        tag, msg, rest = take(data)
        assert tag == 0x30
        self.trailing = rest
        _, v, msg = take(msg)
        _, self.community, msg = take(msg)
        self.pdu, pdu, msg = take(msg)
        assert msg == b""
        numbers = []
        for _ in range(3):
            _, n, pdu = take(pdu)
            numbers.append(int.from_bytes(n, "big", signed=True))
        self.version = int.from_bytes(v, "big")
        self.id, self.status, self.index = numbers
        _, vbl, pdu = take(pdu)
        assert pdu == b""
        self.rows = []
        while vbl:
            _, vb, vbl = take(vbl)
            tag, name, value = take(vb)
            assert tag == 6
            tag, contents, end = take(value)
            assert end == b""
            self.rows.append((oid_text(name), tag, contents))

    @property
    def oids(self):
        return [row[0] for row in self.rows]


class Client:
    """A plain UDP socket; unconnected, so that it sees where answers come from."""

    def __init__(self, f):
        self.farm = f
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(DEADLINE_S)
        self.source = None

    def send(self, data, addr=A):
        self.sock.sendto(data, (addr, self.farm.port))

    def recv(self):
        data, self.source = self.sock.recvfrom(65536)
        return data

    def raw(self, data, addr=A):
        self.send(data, addr)
        return self.recv()

    def get(self, *oids, addr=A, **kwargs):
        return Answer(self.raw(request(oids, **kwargs), addr))

    def unanswered(self):
        """Whether everything sent has been handled, and nothing is there to be read."""
        self.farm.counters()
        return not select.select([self.sock], [], [], 0)[0]

    def fates(self, n, addr=A, **kwargs):
        """Sends n requests, and says for each whether it was answered."""
        for i in range(n):
            self.send(request([f"{SYS}.1.0"], rid=5000 + i, **kwargs), addr)
        self.farm.counters()
        answered = set()
        while select.select([self.sock], [], [], 0)[0]:
            answered.add(Answer(self.recv()).id)
        return "".join("+" if 5000 + i in answered else "-" for i in range(n))
