"""The simulated agents, checked with net-snmp's own tools and, where they lie, byte by byte.

They are what other tests measure the poller against, so they must not be wrong in the same way as it.
"""

import json
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from support.agent import FakeAgent, FakeAgentError, address_number, mix31, mix32, mix63

SYS = ".1.3.6.1.2.1.1"
IF_INDEX = ".1.3.6.1.2.1.2.2.1.1"
IN_OCTETS = ".1.3.6.1.2.1.2.2.1.10"
HC_OCTETS = ".1.3.6.1.2.1.31.1.1.1.6"
OWN = ".1.3.6.1.4.1.32473.2"
A = "127.2.0.1"
DEADLINE_S = 60

OBJECTS = f"""
object {SYS}.1.0 string "fake @ip"
object {SYS}.2.0 oid .1.3.6.1.4.1.32473.1
object {SYS}.5.0 string "host @addr # @@"   # a comment
object {IF_INDEX}.{{1-4}} int @last
object {IN_OCTETS}.{{1-4}} counter32 @mix
object {HC_OCTETS}.{{1-4}} counter64 @mix
"""

GET, GETNEXT, RESPONSE, SET, GETBULK = 0xA0, 0xA1, 0xA2, 0xA3, 0xA5

@pytest.fixture(scope="session")
def binary(tmp_path_factory):
    if os.environ.get("FAKEAGENT"):
        return os.environ["FAKEAGENT"]
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("FAKEAGENT is not set and there is no C compiler to build it with")
    sources = sorted(str(p) for p in pathlib.Path(__file__).parent.glob("fakeagent/*.c"))
    path = str(tmp_path_factory.mktemp("bin") / "fakeagent")
    subprocess.run([compiler, "-std=gnu17", "-O1", "-o", path, *sources], check=True)
    return path


@pytest.fixture
def farm(binary):
    """farm(spec, ...): agents that end with the test."""
    started = []

    def start(spec, **kwargs):
        started.append(FakeAgent(spec, binary=binary, **kwargs))
        return started[-1]

    yield start
    for f in started:
        f.stop()


# ---- net-snmp's tools ----


def run_tool(name, *args, status=0):
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (package snmp)")
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


@pytest.fixture
def client(farm):
    """client(spec, ...): agents, and a socket to ask them."""
    clients = []

    def start(spec, **kwargs):
        clients.append(Client(farm(spec, **kwargs)))
        return clients[-1]

    yield start
    for c in clients:
        c.sock.close()


# ---- what is right ----


def test_netsnmp_reads_every_type(farm):
    values = [
        ("int 128", "INTEGER: 128"),
        ("int 2147483647", "INTEGER: 2147483647"),
        ("int -2147483648", "INTEGER: -2147483648"),
        ("counter32 4294967295", "Counter32: 4294967295"),
        ("gauge32 0x80", "Gauge32: 128"),
        ("counter64 18446744073709551615", "Counter64: 18446744073709551615"),
        ("timeticks 4711", "Timeticks: (4711) 0:00:47.11"),
        ('string "a \\"b\\" # \\x41\\\\n"', 'STRING: "a \\"b\\" # A\\\\n"'),
        ("string plain  text", 'STRING: "plain  text"'),
        ('string ""', '""'),
        ("hex 00 ff 1a", "Hex-STRING: 00 FF 1A "),
        ("fill 300", 'STRING: "' + "x" * 300 + '"'),
        ("ipaddress 192.0.2.1", "IpAddress: 192.0.2.1"),
        ("oid .1.3.6.1.4.1.4294967295.1", "OID: .1.3.6.1.4.1.4294967295.1"),
        ("null", "NULL"),
        ("opaque-float 1.5", "Opaque: Float: 1.500000"),
        ("opaque-double -2.25", "Opaque: Float: -2.250000"),
        ("opaque-counter64 18446744073709551615", "Opaque: Counter64: 18446744073709551615"),
        ("opaque-uint64 5000000000", "Opaque: UInt64: 5000000000"),
        ("opaque-int64 -5000000000", "Opaque: Int64: -5000000000"),
        ("nosuchobject", "No Such Object available on this agent at this OID"),
        ("nosuchinstance", "No Such Instance currently exists at this OID"),
        ("raw 42 05", "Gauge32: 5"),
    ]
    lines = [f"object {OWN}.{i} {v}" for i, (v, _) in enumerate(values)]
    f = farm("\n".join([*lines, f"agent {A}"]))
    for i, (value, text) in enumerate(values):
        assert ask("snmpget", f, f"{OWN}.{i}") == [(f"{OWN}.{i}", text)], value


def test_generators_agree_with_python(client):
    top = "127.2.15.255"
    c = client(f"{OBJECTS}\nobject {OWN}.1 int @mix\nobject {OWN}.2 counter32 @addr*3+7\n"
               f"object {OWN}.3 string @ip @last @mix\nobject {OWN}.4 ipaddress @addr\n"
               f"agent 127.2.0.0-{top}")
    for addr in A, "127.2.3.77", top:
        number = address_number(addr)
        ours = [f"{OWN}.{i}" for i in (1, 2, 3, 4)]
        a = c.get(f"{HC_OCTETS}.3", f"{IN_OCTETS}.2", *ours, addr=addr)
        values = [row[2] for row in a.rows]
        assert c.source == (addr, c.farm.port)
        assert int.from_bytes(values[0], "big") == mix63(addr, f"{HC_OCTETS}.3") < 1 << 63
        assert int.from_bytes(values[1], "big") == mix32(addr, f"{IN_OCTETS}.2")
        assert int.from_bytes(values[2], "big") == mix31(addr, f"{OWN}.1")
        assert int.from_bytes(values[3], "big") == (number * 3 + 7) & 0xFFFFFFFF
        assert values[4].decode() == f"{addr} 3 {mix32(addr, f'{OWN}.3')}"
        assert socket.inet_ntoa(values[5]) == addr


def test_reqs_counts_and_wraps_and_uptime_starts_over(farm):
    f = farm(f"object {OWN}.1 counter32 @reqs*100-200\nobject {OWN}.2 timeticks @uptime\n"
             f"agent {A} uptime=900000")
    assert ask("snmpget", f, f"{OWN}.1") == [(f"{OWN}.1", "Counter32: 4294967196")]
    assert ask("snmpget", f, f"{OWN}.1") == [(f"{OWN}.1", "Counter32: 0")]
    (_, before), = ask("snmpget", f, f"{OWN}.2")
    f.send(f"agent {A}")
    (_, after), = ask("snmpget", f, f"{OWN}.2")
    ticks = [int(re.search(r"\((\d+)\)", text)[1]) for text in (before, after)]
    assert ticks[0] >= 900000 > ticks[1]


def test_walks_see_every_object_once_and_in_order(farm):
    f = farm(f"object {OWN}.9 nosuchinstance\nobject .1.3.6.2 int 1\n{OBJECTS}\nagent {A}")
    columns = [f"{c}.{i}" for c in (IF_INDEX, IN_OCTETS, HC_OCTETS) for i in range(1, 5)]
    everything = [f"{SYS}.1.0", f"{SYS}.2.0", f"{SYS}.5.0", *columns, ".1.3.6.2"]
    for tool, *options in ["snmpwalk"], ["snmpbulkwalk", "-Cr3"], ["snmpbulkwalk", "-Cr50"]:
        rows = ask(tool, f, ".1.3.6", options=options)
        assert rows[-1][1].startswith("No more variables left")
        assert [oid for oid, _ in rows[:-1]] == everything
    rows = ask("snmpwalk", f, ".1.3.6", version="1")
    assert rows.pop() == ("End of MIB",)
    shown = [oid for oid in everything if not oid.startswith(HC_OCTETS)]
    assert [oid for oid, _ in rows] == shown


def test_missing_objects_in_v1_and_v2c(farm, client):
    f = farm(f"{OBJECTS}\nagent {A}")
    rows = ask("snmpget", f, f"{IF_INDEX}.9", ".1.3.6.1.9.9.9", f"{IF_INDEX}.1")
    assert [text.split()[2] for _, text in rows[:2]] == ["Instance", "Object"]
    assert rows[2][1] == "INTEGER: 1"
    text = ask("snmpget", f, f"{IF_INDEX}.1", f"{IF_INDEX}.9", version="1", status=2)
    assert "(noSuchName)" in text and f"Failed object: {IF_INDEX}.9" in text
    assert "noSuchName" in ask("snmpget", f, f"{HC_OCTETS}.1", version="1", status=2)

    c = client(f"{OBJECTS}\nagent {A} missing=null\nagent 127.2.0.2 missing=nosuchname\n"
               "agent 127.2.0.3 missing=object\nagent 127.2.0.4 missing=instance")
    pair = f"{IF_INDEX}.1", f"{IF_INDEX}.9"
    assert c.get(*pair).rows[1] == (pair[1], 5, b"")
    assert c.get(*pair, version=0).rows[1] == (pair[1], 5, b"")
    a = c.get(*pair, addr="127.2.0.2")
    assert (a.status, a.index, a.oids) == (2, 2, list(pair))
    assert c.get(*pair, addr="127.2.0.3").rows[1] == (pair[1], 0x80, b"")
    assert c.get(*pair, addr="127.2.0.4").rows[1] == (pair[1], 0x81, b"")


def test_getbulk(farm, client):
    f = farm(f"{OBJECTS}\nagent {A}")
    rows = ask("snmpbulkget", f, SYS, IF_INDEX, IN_OCTETS, options=("-Cn1", "-Cr3"))
    repeated = [f"{c}.{i}" for i in (1, 2, 3) for c in (IF_INDEX, IN_OCTETS)]
    assert [oid for oid, _ in rows] == [f"{SYS}.1.0", *repeated]

    c = client(f"{OBJECTS}\nobject .1.3.7.{{1-3}} fill 300\nagent {A}\n"
               f"agent 127.2.0.2 max-size=700\nagent 127.2.0.3 max-size=200")
    bulk = {"pdu": GETBULK, "rid": 7}
    # nothing behind the end: the row that says so is the last one
    a = c.get(".1.3.7.2", f"{HC_OCTETS}.3", a=0, b=9, **bulk)
    kinds = [0x82 if tag == 0x82 else 0 for _, tag, _ in a.rows]
    assert kinds[:4] == [0, 0, 0x82, 0] and a.oids[2] == ".1.3.7.3" and set(kinds[-2:]) == {0x82}
    # non-repeaters beyond the list, negative numbers
    assert c.get(SYS, IF_INDEX, a=9, b=9, **bulk).oids == [f"{SYS}.1.0", f"{IF_INDEX}.1"]
    assert len(c.get(SYS, IF_INDEX, a=-1, b=2, **bulk).rows) == 4
    assert c.get(SYS, a=0, b=-3, **bulk).rows == []
    assert c.get(SYS, a=0, b=2147483647, **bulk).rows[-1][1] == 0x82
    # what does not fit is left out; what fits in no way is tooBig
    data = c.raw(request([".1.3.7"], a=0, b=9, **bulk), "127.2.0.2")
    assert len(data) <= 700 and Answer(data).oids == [".1.3.7.1", ".1.3.7.2"]
    a = c.get(".1.3.7.1", addr="127.2.0.3")
    assert (a.status, a.index, a.rows) == (1, 0, [])
    a = c.get(".1.3.7.1", addr="127.2.0.3", version=0)
    assert (a.status, a.index, a.oids) == (1, 0, [".1.3.7.1"])


def test_an_agent_that_does_not_sort_loses_what_stands_behind_something_greater(client):
    swapped = "".join(f"object .1.3.7.{n} int {n}\n" for n in (1, 3, 2, 4, 5))
    c = client(f"{swapped}agent {A} file-order\nagent 127.2.0.2")
    a = c.get(".1.3.7", pdu=GETBULK, rid=7, a=0, b=5)
    assert a.oids == [f".1.3.7.{n}" for n in (1, 3, 2, 4, 5)]
    for asked, found in (("", 1), (".1", 3), (".2", 3), (".3", 4)):
        assert c.get(f".1.3.7{asked}", pdu=GETNEXT, rid=7).oids == [f".1.3.7.{found}"]
    assert c.get(".1.3.7.5", pdu=GETNEXT, rid=7).rows[0][1] == 0x82
    assert c.get(".1.3.7.2").rows[0][2] == b"\x02"
    assert c.get(".1.3.7.1", addr="127.2.0.2", pdu=GETNEXT, rid=7).oids == [".1.3.7.2"]


def test_sets_keep_agents_apart_and_later_lines_win(farm):
    f = farm(f"""
set small
object {OWN}.1 int 1
object {OWN}.1 int 2
end
set large
use small
object {OWN}.2 int @last
end
agent 127.2.0.1-127.2.0.4 set=small
agent 127.2.0.3 set=large community=secret
""")
    assert ask("snmpget", f, f"{OWN}.1") == [(f"{OWN}.1", "INTEGER: 2")]
    assert "No Such" in ask("snmpget", f, f"{OWN}.2")[0][1]
    secret = ("-c", "secret")
    rows = ask("snmpget", f, f"{OWN}.1", f"{OWN}.2", addr="127.2.0.3", options=secret)
    assert rows == [(f"{OWN}.1", "INTEGER: 2"), (f"{OWN}.2", "INTEGER: 2")]


def test_ipv6_agent(farm):
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 loopback: {error}")
    f = farm(f"{OBJECTS}\nagent ::1\nagent {A}")
    rows = ask("snmpget", f, f"{SYS}.1.0", f"{HC_OCTETS}.1", addr="::1")
    expected = mix63("::1", f"{HC_OCTETS}.1")
    assert [text for _, text in rows] == ['STRING: "fake ::1"', f"Counter64: {expected}"]
    assert ask("snmpget", f, f"{SYS}.1.0")[0][1] == f'STRING: "fake {A}"'


def test_set_request_is_refused(client):
    c = client(f"{OBJECTS}\nagent {A}")
    a = c.get(f"{SYS}.5.0", pdu=SET)
    assert (a.status, a.index) == (17, 1)
    a = c.get(f"{SYS}.5.0", pdu=SET, version=0)
    assert (a.status, a.index) == (2, 1)


# ---- what is lost ----


def test_lost_requests(client):
    c = client(f"""{OBJECTS}
agent 127.2.0.1 silent
agent 127.2.0.2 drop-first=2
agent 127.2.0.3 drop-pattern=2/3
agent 127.2.0.4 die-after=2
agent 127.2.0.5 die-after=2 recover=3
agent 127.2.0.6 silent during=2-3
agent 127.2.0.7 silent share=1/2
agent 127.2.0.8 silent during=3- share=1/2
agent 127.2.0.9 version=2c
agent 127.2.0.10 loss=1
""")
    expected = ["------", "--++++", "--+--+", "++----", "++---+", "+--+++", "-+-+-+", "++-+-+"]
    for i, fates in enumerate([*expected, "++++++", "------"], 1):
        assert c.fates(6, f"127.2.0.{i}") == fates, i
    assert c.fates(2, "127.2.0.9", version=0) == "--"
    assert c.fates(2, "127.2.0.2", community=b"other") == "--"
    counters = c.farm.counters()
    assert counters["bad_community"] == 2
    assert counters["requests"] == counters["answers"] + counters["dropped"] + 2 == 64
    assert c.farm.counters("127.2.0.3") == {"requests": 6, "answers": 2}


def test_loss_is_the_same_every_time_and_in_proportion(client):
    spec = f"{OBJECTS}\nagent 127.2.0.1-127.2.0.2 loss=0.3\nagent 127.2.0.3 loss=0.3 seed=2"
    first, second = client(spec), client(spec)
    fates = [first.fates(200, f"127.2.0.{i}") for i in (1, 2, 3)]
    assert fates == [second.fates(200, f"127.2.0.{i}") for i in (1, 2, 3)]
    assert len(set(fates)) == 3
    assert all(30 < f.count("-") < 90 for f in fates)


def test_delayed_and_late_answers(client):
    hour = 3600000
    c = client(f"""{OBJECTS}
agent 127.2.0.1 delay=20
agent 127.2.0.2
agent 127.2.0.3 delay={hour}
agent 127.2.0.4 late={hour} during=1
agent 127.2.0.5 delay=1-40
""")
    one = [f"{SYS}.1.0"]
    c.send(request(one, rid=1), "127.2.0.1")
    c.send(request(one, rid=2), "127.2.0.2")
    assert [Answer(c.recv()).id for _ in range(2)] == [2, 1]
    c.send(request(one, rid=3), "127.2.0.3")
    c.send(request(one, rid=4), "127.2.0.4")
    c.send(request(one, rid=5), "127.2.0.4")
    assert Answer(c.recv()).id == 5 and c.unanswered()
    assert c.farm.counters()["pending"] == 2
    for i in range(50):
        c.send(request(one, rid=100 + i), "127.2.0.5")
    ids = [Answer(c.recv()).id for _ in range(50)]
    assert sorted(ids) == list(range(100, 150)) != ids


# ---- what is a lie ----


def test_lies_in_the_header(client):
    c = client(f"""{OBJECTS}
agent 127.2.0.1 wrong-id
agent 127.2.0.2 wrong-version
agent 127.2.0.3 wrong-community
agent 127.2.0.4 wrong-pdu
agent 127.2.0.5 error=genErr:3
agent 127.2.0.6 error=tooBig:0 during=1
agent 127.2.0.7 error=99:7
agent 127.2.0.8 toobig-above=2
""")
    three = [f"{IF_INDEX}.{i}" for i in (1, 2, 3)]

    def head(i, oids=three, **kwargs):
        a = c.get(*oids, addr=f"127.2.0.{i}", rid=41, **kwargs)
        return a.version, a.community, a.pdu, a.id, a.status, a.index, len(a.rows)

    assert head(1) == (1, b"public", RESPONSE, 42, 0, 0, 3)
    assert head(2) == (0, b"public", RESPONSE, 41, 0, 0, 3)
    assert head(2, version=0) == (1, b"public", RESPONSE, 41, 0, 0, 3)
    assert head(3) == (1, b"not-yours", RESPONSE, 41, 0, 0, 3)
    assert head(4) == (1, b"public", GET, 41, 0, 0, 3)
    assert head(5) == (1, b"public", RESPONSE, 41, 5, 3, 3)
    assert head(6) == (1, b"public", RESPONSE, 41, 1, 0, 0)
    assert head(6) == (1, b"public", RESPONSE, 41, 0, 0, 3)
    assert head(7) == (1, b"public", RESPONSE, 41, 99, 7, 3)
    assert head(8) == (1, b"public", RESPONSE, 41, 1, 0, 0)
    assert head(8, version=0) == (0, b"public", RESPONSE, 41, 1, 0, 3)
    assert head(8, three[:2]) == (1, b"public", RESPONSE, 41, 0, 0, 2)


def test_lies_about_varbinds(client):
    c = client(f"""{OBJECTS}
agent 127.2.0.1 reorder
agent 127.2.0.2 omit-first
agent 127.2.0.3 omit-last
agent 127.2.0.4 extra
agent 127.2.0.5 other-oid
agent 127.2.0.6 other-oid=3
agent 127.2.0.7 stuck
agent 127.2.0.8 omit-after=2
""")
    x, y, z = three = [f"{IF_INDEX}.{i}" for i in (1, 2, 3)]
    extra, other = ".1.3.6.1.4.1.32473.1", f"{IF_INDEX}.1000001"
    expected = [[z, y, x], [y, z], [x, y], [x, y, z, extra], [other, y, z]]
    expected += [[x, y, f"{IF_INDEX}.1000003"], three, [x, y]]
    for i, oids in enumerate(expected, 1):
        a = c.get(*three, addr=f"127.2.0.{i}")
        assert a.oids == oids and a.status == 0
    for pdu in GETNEXT, GETBULK:
        a = c.get(*three, addr="127.2.0.7", pdu=pdu, a=1, b=2)
        assert a.oids == three + ([y, z] if pdu == GETBULK else [])
        assert a.rows[0][2] == b"\2"
    assert "OID not increasing" in ask("snmpwalk", c.farm, SYS, addr="127.2.0.7", status=1)


def test_a_mute_object_is_never_answered_nor_what_is_asked_for_with_it(client):
    c = client(f"{OBJECTS}\nobject {OWN}.1 int 7\nobject {OWN}.2 mute\nobject {OWN}.3 int 9\nagent {A}")
    first, mute, last = (f"{OWN}.{i}" for i in (1, 2, 3))
    for pdu, *oids in (GET, mute), (GET, first, mute, last), (GETNEXT, first), (GETBULK, first):
        c.send(request(oids, pdu=pdu, a=0, b=2))
        assert c.unanswered(), (pdu, oids)
    assert c.get(first, last).oids == [first, last]
    assert c.get(mute, pdu=GETNEXT).oids == [last]
    assert c.farm.counters(A) == {"requests": 6, "answers": 2}


def test_broken_datagrams(client):
    c = client(f"""{OBJECTS}
agent 127.2.0.1
agent 127.2.0.2 truncate=10
agent 127.2.0.3 truncate=sweep
agent 127.2.0.4 oversized
agent 127.2.0.5 zero-length
agent 127.2.0.6 garbage
agent 127.2.0.7 garbage=5
agent 127.2.0.8 corrupt=2
agent 127.2.0.9 duplicate
agent 127.2.0.10 duplicate=5 delay=1
agent 127.2.0.11 long-lengths
agent 127.2.0.12 truncate=4 share=1/2
""")
    ask_for = request([f"{IF_INDEX}.1", f"{IF_INDEX}.2"])
    right = c.raw(ask_for)
    assert c.raw(ask_for, "127.2.0.2") == right[:10]
    for n in [*range(len(right) + 1), len(right)]:
        assert c.raw(ask_for, "127.2.0.3") == right[:n]
    data = c.raw(ask_for, "127.2.0.4")
    assert len(data) == 65507 and data.startswith(right) and not any(Answer(data).trailing)
    assert c.raw(ask_for, "127.2.0.5") == b""
    data = c.raw(ask_for, "127.2.0.6")
    assert len(data) == 64 and data != c.raw(ask_for, "127.2.0.6")
    assert len(c.raw(ask_for, "127.2.0.7")) == 5
    data = c.raw(ask_for, "127.2.0.8")
    assert len(data) == len(right) and 1 <= sum(x != y for x, y in zip(data, right)) <= 2
    for addr, n in ("127.2.0.9", 2), ("127.2.0.10", 5):
        c.send(ask_for, addr)
        assert [c.recv() for _ in range(n)] == [right] * n and c.unanswered()
    data = c.raw(ask_for, "127.2.0.11")
    assert Answer(data).rows == Answer(right).rows and data[1] == 0x82
    rows = ask("snmpget", c.farm, f"{SYS}.1.0", f"{HC_OCTETS}.1", addr="127.2.0.11")
    assert rows[0][1] == 'STRING: "fake 127.2.0.11"'
    assert [len(c.raw(ask_for, "127.2.0.12")) for _ in range(3)] == [4, len(right), 4]


def test_answers_from_elsewhere(client):
    c = client(f"{OBJECTS}\nagent {A} other-source\nagent 127.2.0.2 other-source=addr\n"
               "agent 127.2.0.5 other-source=port delay=1")
    one = [f"{SYS}.1.0"]
    assert c.get(*one).status == 0
    assert c.source[0] == A and c.source[1] != c.farm.port
    assert c.get(*one, addr="127.2.0.2").rows[0][2] == b"fake 127.2.0.2"
    assert c.source == ("127.2.0.3", c.farm.port)
    assert c.get(*one, addr="127.2.0.5").status == 0
    assert c.source[0] == "127.2.0.5" and c.source[1] != c.farm.port


# ---- what keeps it standing ----


def test_malformed_requests_are_counted_and_survived(client):
    c = client(f"{OBJECTS}\nagent {A} community=*", log=True)
    random.seed(1)
    good = request([f"{SYS}.1.0", f"{HC_OCTETS}.2"], b=5, pdu=GETBULK)
    bad = [b"", b"\x30", good[:-1], good + b"\0", b"\x30\x80" + good[2:], b"\xff" * 2000]
    for data in bad:
        c.send(data)
    assert c.unanswered() and c.farm.counters()["decode_errors"] == len(bad)
    assert {line.fate for line in c.farm.log} == {"malformed"}
    for i in range(2000):
        data = bytearray(good)
        for _ in range(random.randrange(1, 4)):
            data[random.randrange(len(data))] = random.randrange(256)
        c.send(bytes(data))
        if i % 100 == 0:
            c.farm.counters()
    c.farm.counters()
    while select.select([c.sock], [], [], 0)[0]:
        c.recv()
    assert c.get(f"{SYS}.1.0", rid=77).id == 77
    n = c.farm.counters()
    fates = ("answers", "dropped", "decode_errors", "bad_community")
    assert n["requests"] == len(bad) + 2001 == sum(n[k] for k in fates)


def test_requests_to_nobody_are_ignored(client):
    c = client(f"{OBJECTS}\nagent {A}")
    c.send(request([f"{SYS}.1.0"]), "127.2.0.2")
    assert c.unanswered() and c.farm.counters()["unknown_address"] == 1
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        outside = probe.getsockname()[0]
    except OSError:
        pytest.skip("this machine has only loopback addresses")
    finally:
        probe.close()
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.sendto(request([f"{SYS}.1.0"]), (outside, c.farm.port))
    counters = c.farm.counters()
    assert not select.select([probe], [], [], 0)[0]
    assert counters["answers"] == 0 and counters["requests"] == 1 + counters["not_loopback"]
    probe.close()


def test_log_has_a_line_per_request(client):
    c = client(f"{OBJECTS}\nagent {A}\nagent 127.2.0.2 silent", log=True)
    c.get(f"{SYS}.1.0", f"{SYS}.2.0", rid=815)
    c.get(f"{SYS}.1", pdu=GETNEXT, version=0, rid=-1)
    c.send(request([IF_INDEX], pdu=GETBULK), "127.2.0.2")
    c.send(request([], community=b"x"))
    lines = c.farm.log
    assert [tuple(line[1:]) for line in lines] == [
        (A, "2c", "get", "815", "2", f"{SYS}.1.0", "answered"),
        (A, "1", "getnext", "-1", "1", f"{SYS}.1", "answered"),
        ("127.2.0.2", "2c", "getbulk", "1000", "1", IF_INDEX, "dropped"),
        (A, "2c", "get", "1000", "0", "-", "community"),
    ]
    times = [float(line.time) for line in lines]
    assert times == sorted(times)
    c.farm.stop()
    assert c.farm.log == lines


def test_behaviour_and_values_change_while_it_runs(client):
    c = client(f"{OBJECTS}\nagent {A}")
    one = f"{SYS}.1.0"
    assert c.get(one).rows[0][2] == b"fake 127.2.0.1"
    c.farm.send(f"agent {A} silent")
    c.send(request([one]))
    assert c.unanswered()
    c.farm.send(f"object {one} string changed\nagent {A}")
    assert c.get(one).rows[0][2] == b"changed"
    c.farm.send(f"set new\nobject {one} string new\nend\nagent 127.2.0.9 set=new")
    assert c.get(one, addr="127.2.0.9").rows[0][2] == b"new"
    for line in "agent 127.2.0.1 rude", "agent ::1", "counters 127.9.9.9":
        with pytest.raises(FakeAgentError):
            c.farm.send(line)
    assert c.farm.counters(A) == {"requests": 1, "answers": 1}


OBJECT_MISTAKES = [
    ".1.3.6.1", ".1.3.6.1 integer 5", "1.3.x int 5", ".1.40.1 int 5", ".1.3.{5-1} int 5",
    ".1.3.{1-4294967295} int 5", ".1.3.6.1 int 2147483648", ".1.3.6.1 counter32 -1",
    ".1.3.6.1 counter32 @what", ".1.3.6.1 null 5", ".1.3.6.1 hex 0", '.1.3.6.1 string "open',
    ".1.3.6.1 string me@home", ".1.3.6.1 ipaddress 1.2.3",
]
OPTION_MISTAKES = [
    "rude", "silent=yes", "set=absent", "delay", "delay=5-1", "loss=2", "drop-pattern=1/0",
    "error=terrible", "duplicate=17",
]
OTHER_MISTAKES = [
    "nonsense", "agent 10.0.0.1", "agent 127.0.0.2-127.0.0.1", "agent 127.0.0.1-128.0.0.1",
    "agent 127.0.0.0-127.255.255.255", "use absent", "end 5",
]


@pytest.mark.parametrize(
    "line",
    [f"object {text}" for text in OBJECT_MISTAKES]
    + [f"agent 127.0.0.1 {text}" for text in OPTION_MISTAKES]
    + OTHER_MISTAKES,
)
def test_mistakes_in_the_spec_are_told_with_file_and_line(farm, line):
    with pytest.raises(FakeAgentError, match=r"/spec:3: \S"):
        farm(f"# first\n\n{line}\nobject .1.3.1 int 5\n")


def test_signals(binary, tmp_path):
    spec = tmp_path / "spec"
    spec.write_text(f"{OBJECTS}\nagent {A}\n")
    for number in signal.SIGTERM, signal.SIGINT:
        command = [binary, "--port", "0", str(spec)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as p:
            assert re.fullmatch(r"ready \d+\n", p.stdout.readline())
            p.send_signal(signal.SIGUSR1)
            assert json.loads(p.stdout.readline())["requests"] == 0
            p.send_signal(number)
            assert json.loads(p.stdout.readline())["agents"] == 1
            assert p.wait(DEADLINE_S) == 0


def test_it_ends_with_the_test_that_started_it(binary):
    script = (
        "import os, sys; from support.agent import FakeAgent\n"
        f"f = FakeAgent('agent {A}', binary=sys.argv[1])\n"
        "print(f.process.pid, flush=True); sys.stdin.readline(); os._exit(1)\n"
    )
    pipe, tests = subprocess.PIPE, pathlib.Path(__file__).parent.parent
    command = [sys.executable, "-c", script, binary]
    p = subprocess.Popen(command, cwd=tests, stdin=pipe, stdout=pipe, text=True)
    pidfd = os.pidfd_open(int(p.stdout.readline()))
    p.communicate("crash\n", timeout=DEADLINE_S)
    assert select.select([pidfd], [], [], DEADLINE_S)[0]
    os.close(pidfd)
