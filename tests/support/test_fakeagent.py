"""The simulated agents, checked with net-snmp's own tools and, where they lie, byte by byte.

They are what other tests measure the poller against, so they must not be wrong in the same way as it.
"""

import json
import os
import pathlib
import random
import re
import select
import signal
import socket
import subprocess
import sys

import pytest

from support.agent import FakeAgentError, address_number, mix31, mix32, mix63
from support.plainsnmp import (A, Answer, DEADLINE_S, GETBULK, GETNEXT, HC_OCTETS, IF_INDEX, IN_OCTETS, OBJECTS,
                               OWN, SET, SYS, ask, request)


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


def test_agents_with_several_ports_are_one_agent_each(farm):
    f = farm(f"{OBJECTS}agent {A}\n", ports=3)
    assert len(set(f.ports)) == 3 and f.port == f.ports[0]
    for port in f.ports:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(DEADLINE_S)
            s.connect((A, port))
            s.send(request([f"{SYS}.5.0"]))
            assert s.recv(65536)
    assert f.counters(A) == {"requests": 3, "answers": 3}


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


def test_requests_to_an_unknown_agent_are_ignored(client):
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
