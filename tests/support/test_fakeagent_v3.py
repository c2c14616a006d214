"""SNMPv3 of the simulated agents, checked with net-snmp's own tools: its engine, its keys, its Reports."""

import re
import time

import pytest

from support.plainsnmp import A, GOOD_V3, HC_OCTETS, OBJECTS, SYS, ask, ask_v3

B = "127.2.0.2"
BOTH = f"agent {A}-{B} user=mon:authphrase:privphrase"


def test_netsnmp_reads_by_authpriv(farm):
    f = farm(f"{OBJECTS}\n{BOTH}")
    assert ask_v3("snmpget", f, f"{SYS}.1.0") == [(f"{SYS}.1.0", f'STRING: "fake {A}"')]
    assert len(ask_v3("snmpbulkget", f, HC_OCTETS, options=["-Cr4"])) == 4


def test_an_answer_longer_than_a_block_of_the_cipher_and_of_a_length_in_one_byte(farm):
    f = farm("\n".join(f"object .1.3.6.1.4.1.32473.{n} fill {n}" for n in (15, 16, 17, 127, 128, 300, 1200)) + f"\n{BOTH}")
    for n in (15, 16, 17, 127, 128, 300, 1200):
        assert ask_v3("snmpget", f, f".1.3.6.1.4.1.32473.{n}") == [
            (f".1.3.6.1.4.1.32473.{n}", f'STRING: "{"x" * n}"')]


def test_a_user_without_privacy(farm):
    f = farm(f"{OBJECTS}\nagent {A} user=mon:authphrase")
    plain = [o for o in GOOD_V3 if o not in ("-x", "AES", "-X", "privphrase")]
    plain[plain.index("authPriv")] = "authNoPriv"
    assert ask_v3("snmpget", f, f"{SYS}.1.0", credentials=plain) == [(f"{SYS}.1.0", f'STRING: "fake {A}"')]


def test_each_agent_is_an_engine_of_its_own(farm):
    f = farm(f"{OBJECTS}\n{BOTH}")
    for address, engine in ((A, "80007ED9017F020001"), (B, "80007ED9017F020002")):
        packets = ask_v3("snmpget", f, f"{SYS}.1.0", addr=address, options=["-d"], text=True)
        found = "".join(re.findall(r"[0-9A-F]{2}", "".join(re.findall(r"^\d{4}: ((?:[0-9A-F]{2} +)+)", packets, re.M))))
        assert engine in found and found.count("80007ED901") == found.count(engine), packets


@pytest.mark.parametrize("change, word", [
    (("-u", "eve"), "Unknown user name"),
    (("-A", "another phrase"), "Authentication failure"),
    (("-l", "authNoPriv"), "Unsupported security level"),
])
def test_a_report_says_what_is_wrong(farm, change, word):
    f = farm(f"{OBJECTS}\n{BOTH}")
    assert word in ask_v3("snmpget", f, f"{SYS}.1.0", options=change, status=1)


def test_a_request_out_of_its_time_is_reported_and_then_answered(farm):
    f = farm(f"{OBJECTS}\n{BOTH}")
    found = ask_v3("snmpget", f, f"{SYS}.1.0", options=["-Z", "0,1", "-r", "1", "-t", "1"])
    assert found == [(f"{SYS}.1.0", f'STRING: "fake {A}"')]
    assert f.counters()["answers"] == 3, "two Reports, of the engine and of its time, and the answer"


def test_the_first_request_has_its_time(farm):
    f = farm(f"{OBJECTS}\nagent {A}")
    assert f.first_request() is None
    before = time.monotonic()
    ask("snmpget", f, f"{SYS}.1.0")
    ask("snmpget", f, f"{SYS}.1.0")
    between = f.first_request()
    assert before < between < time.monotonic()
    assert f.first_request() is None
