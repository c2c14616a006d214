"""Agents that lie, stammer, mumble or keep silent: the right rows, and an end (docs/contract.md 13, docs/snmp.md)."""

import pytest

from support.checks import assert_closed, assert_stored
from support.lab import SilentDevice
from support.relay import TcpRelay
from support.snmpd import PLAYPEN, Snmpd

from conftest import SYSTEM_GROUP

OBJECT = ".1.3.6.1.4.1.99999.1"
ITEMS = 6
OBJECTS = "".join(f"object {OBJECT}.{n} int {1000 + n}\n" for n in range(1, ITEMS + 1))
SPEC = SYSTEM_GROUP + OBJECTS


def seed(site, farm, addresses, items=ITEMS, **columns):
    """Devices that are not checked, so that all that matters is the answer to their items' one request."""
    device = {"snmp_port": farm.port, "snmp_timeout": 100, "availability_method": 0, **columns}
    devices = site.add_devices([{"id": n, "hostname": a, **device} for n, a in enumerate(addresses, 1)])
    return [{site.add_snmp_item(d, f"{OBJECT}.{n}", rrd_name=f"v{n}"): str(1000 + n) for n in range(1, items + 1)}
            for d in devices]


def unknown(expected, numbers=range(1, ITEMS + 1)):
    return {key: "U" if n in numbers else value for n, (key, value) in enumerate(expected.items(), 1)}


#: Options of the simulated agent, and which of the items 1...6 it leaves unknown.
NOBODY, ALL = (), range(1, ITEMS + 1)
ODD = {
    "silent": ALL,
    "garbage": ALL,
    "garbage=1400": ALL,
    "zero-length": ALL,
    "truncate=1": ALL,
    "truncate=40": ALL,
    "wrong-id": ALL,
    "wrong-version": ALL,
    "wrong-community": ALL,
    "wrong-pdu": ALL,
    "omit-first": (1,),
    "omit-last": (ITEMS,),
    "other-oid": (1,),
    "other-oid=3": NOBODY,
    "omit-after=1": NOBODY,
    "omit-after=4": NOBODY,
    "error=genErr:2": ALL,
    "error=genErr:65535": ALL,
    "error=99": ALL,
    "error=genErr:2 during=1": (2,),
    "extra": NOBODY,
    "reorder": NOBODY,
    "duplicate=16": NOBODY,
    "long-lengths": NOBODY,
    "other-source": NOBODY,
    "other-source=addr": NOBODY,
    "toobig-above=1": NOBODY,
    "max-size=80": NOBODY,
    "late=60": NOBODY,
    "late=150 during=1": NOBODY,
    "garbage during=1": NOBODY,
    "truncate=30 during=1": NOBODY,
    "wrong-id during=1": NOBODY,
    "wrong-community during=1": NOBODY,
    "zero-length during=1": NOBODY,
}


@pytest.mark.quick
@pytest.mark.parametrize("version", (1, 2))
def test_what_an_odd_agent_does_not_rightly_answer_is_U_and_the_rest_is_stored(site, agents, poller, version):
    """All of them in one cycle, each beside an honest one."""
    odd = [f"127.2.1.{n}" for n in range(1, len(ODD) + 1)]
    honest = [f"127.2.2.{n}" for n in range(1, len(ODD) + 1)]
    lines = [f"agent {a} {options}\n" for a, options in zip(odd, ODD)]
    farm = agents(SPEC + "".join(lines) + f"agent 127.2.2.1-127.2.2.{len(ODD)}\n")
    devices = seed(site, farm, odd + honest, snmp_version=version)
    expected = {}
    for device, numbers in zip(devices, list(ODD.values()) + [NOBODY] * len(honest)):
        expected |= unknown(device, numbers)
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)


@pytest.mark.parametrize("version", (1, 2))
def test_answers_cut_at_every_length_are_asked_again_until_one_is_whole(site, agents, poller, version):
    farm = agents(SPEC + "agent 127.2.0.1 truncate=sweep\n")
    expected, = seed(site, farm, ["127.2.0.1"], items=2, snmp_timeout=10, snmp_version=version)
    site.settings(snmp_retries=100)
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)
    assert 60 < farm.counters("127.2.0.1")["requests"] <= 101


@pytest.mark.parametrize("seeds", (range(1, 201),), ids=["200 agents"])
def test_answers_with_random_damage_never_give_a_wrong_item_a_value(site, agents, poller, seeds):
    """Damage to a value cannot be told from a value; damage to anything else must not move values."""
    addresses = [f"127.2.3.{n}" for n in seeds]
    farm = agents(SPEC + "".join(f"agent {a} corrupt={1 + n % 7} seed={n}\n" for n, a in zip(seeds, addresses)))
    devices = seed(site, farm, addresses, snmp_timeout=50)
    site.threads(20)
    run = poller.run()
    assert run.status == 0, run
    assert site.outputs().keys() == set().union(*devices)
    assert_closed(site, run)
    assert run.stderr == "", "the SNMP library writes complaints without bound"


def test_datagrams_of_the_greatest_size_are_taken(site, agents, poller):
    """One value of 60,000 octets is not a number; zero octets behind an answer are ignored."""
    big = f"object {OBJECT}.7 fill 60000\n"
    farm = agents(SPEC + big + "agent 127.2.0.1\nagent 127.2.0.2 oversized\n")
    first, second = seed(site, farm, ["127.2.0.1", "127.2.0.2"], snmp_timeout=1000)
    item = {"id": 1, "hostname": "127.2.0.1", "snmp_port": farm.port, "snmp_timeout": 1000}
    site.sql("UPDATE host SET max_oids = 60")
    huge = site.add_items([{"device": item, "arg1": f"{OBJECT}.7", "rrd_name": "huge", "snmp_version": 2,
                            "snmp_community": "public"}])[0]
    run = poller.run()
    assert run.status == 0, run
    outputs = {key: rows[0][1] for key, rows in site.outputs().items()}
    assert outputs[huge] == "U"
    assert {key: outputs[key] for key in first} == first
    assert all(outputs[key] in (value, "U") for key, value in second.items())


@pytest.mark.parametrize("max_oids", (100, 60))
def test_a_request_of_100_very_long_oids_is_answered(site, agents, poller, max_oids):
    """Sub-identifiers of five bytes, 120 of them in each name: 60 kilobytes of request."""
    names = [f".1.3.6.1.4.1.99999.2.{'.'.join(['4294967295'] * 112)}.{n}" for n in range(1, 101)]
    farm = agents(SYSTEM_GROUP + "".join(f"object {name} int {n}\n" for n, name in enumerate(names, 1)) +
                  "agent 127.2.0.1\n")
    device = site.add_device(1, hostname="127.2.0.1", port=farm.port, max_oids=max_oids, snmp_timeout=2000)
    expected = {site.add_snmp_item(device, name, rrd_name=f"v{n}"): str(n) for n, name in enumerate(names, 1)}
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)


def test_a_v1_row_count_past_the_end_of_the_mib_ends(site, agents, poller):
    """The walk of the re-index check meets noSuchName behind the last object."""
    farm = agents(SYSTEM_GROUP + "".join(f"object .1.3.6.1.9.1.{n} int {n}\n" for n in range(1, 6)) +
                  "agent 127.2.0.1\n")
    for id, (version, address) in enumerate(((1, "127.2.0.1"), (2, "127.2.0.1")), 1):
        site.add_device(id, hostname=address, port=farm.port, snmp_version=version, snmp_timeout=500)
        site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, present, op, assert_value, arg1) "
                 "VALUES (%s, 1, 10, 1, '=', '5', '.1.3.6.1.9.1')", id)
    run = poller.run()
    assert run.status == 0, run
    assert not site.sql("SELECT * FROM poller_command"), run
    assert farm.counters()["requests"] < 30


def test_an_agent_that_never_moves_on_does_not_make_a_walk_endless(site, agents, poller):
    farm = agents(SYSTEM_GROUP + "".join(f"object .1.3.6.1.9.1.{n} int {n}\n" for n in range(1, 6)) +
                  "agent 127.2.0.1 stuck during=2-\n")
    for id, version in ((1, 1), (2, 2)):
        site.add_device(id, hostname="127.2.0.1", port=farm.port, snmp_version=version)
        site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, present, op, assert_value, arg1) "
                 "VALUES (%s, 1, 10, 1, '=', '5', '.1.3.6.1.9.1')", id)
    run = poller.run()
    assert run.status == 0, run
    assert farm.counters()["requests"] < 30


@pytest.mark.parametrize("hostname", ("::1", "[::1]", "udp6:::1", "udp6:[::1]", "[::1]:99"))
def test_a_device_with_an_ipv6_address_is_polled_however_it_is_written(site, agents, poller, hostname):
    farm = agents(SPEC + "agent ::1\n")
    expected, = seed(site, farm, [hostname])
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)


@pytest.mark.parametrize("hostname", ("udp:127.2.0.1", "UDP:127.2.0.1:99", "127.2.0.1:99"))
def test_a_device_with_transport_or_port_in_its_name_is_polled_at_its_port(site, agents, poller, hostname):
    farm = agents(SPEC + "agent 127.2.0.1\n")
    expected, = seed(site, farm, [hostname])
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)


@pytest.mark.parametrize("stored", (0, -5))
def test_an_invalid_time_out_is_half_a_second(site, agents, poller, stored):
    farm = agents(SPEC + "agent 127.2.0.1 delay=100\n")
    expected, = seed(site, farm, ["127.2.0.1"])
    site.sql("SET SESSION sql_mode = ''")
    for table in ("host", "poller_item"):
        site.sql(f"ALTER TABLE {table} MODIFY snmp_timeout bigint NOT NULL DEFAULT 500")
        site.sql(f"UPDATE {table} SET snmp_timeout = %s", stored)
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)


def test_unknown_versions_and_names_give_U_and_do_not_keep_the_other_items(site, agents, poller):
    farm = agents(SPEC + "agent 127.2.0.1\n")
    device = site.add_device(1, hostname="127.2.0.1", port=farm.port, snmp_timeout=100)
    cases = [({}, "1001"), ({"snmp_version": 4}, "U"), ({"snmp_version": 0}, "U"),
             ({"hostname": "no.such.name.invalid"}, "U"), ({"snmp_port": 0}, "U"), ({}, "1001")]
    keys = [site.add_snmp_item(device, f"{OBJECT}.1", rrd_name=f"v{n}", **columns)
            for n, (columns, _) in enumerate(cases)]
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, dict(zip(keys, (value for _, value in cases))))


# ---- TCP ----

@pytest.fixture
def tcp_agent(work):
    objects = {f"{PLAYPEN}.7.{n}": ("integer", 1000 + n) for n in range(1, ITEMS + 1)}

    class TcpSnmpd(Snmpd):
        def configuration(self):
            return f"{super().configuration()}agentAddress tcp:127.0.0.1:{self.port}\n"

    with TcpSnmpd(work / "tcp-agent", objects=objects) as agent:
        yield agent


def seed_tcp(site, port, **columns):
    device = site.add_device(1, hostname="tcp:127.0.0.1", port=port, max_oids=2,
                             **{"snmp_timeout": 1000, "availability_method": 0, **columns})
    return {site.add_snmp_item(device, f"{PLAYPEN}.7.{n}", rrd_name=f"v{n}"): str(1000 + n)
            for n in range(1, ITEMS + 1)}


PIECES = {
    "whole": lambda answer: [answer],
    "byte by byte": lambda answer: [answer[i:i + 1] for i in range(len(answer))],
    "twice": lambda answer: [answer, answer],
    "with the next one begun": lambda answer: [answer + answer[:5], answer[5:]],
    "and then hung up": lambda answer: [answer, None],
}


@pytest.mark.parametrize("how", PIECES)
def test_answers_over_tcp_may_come_in_any_pieces(site, tcp_agent, poller, how):
    with TcpRelay(tcp_agent.port, change=PIECES[how]) as relay:
        expected = seed_tcp(site, relay.port)
        run = poller.run()
        assert relay.connections == (3 if how == "and then hung up" else 1)
    assert run.status == 0, run
    assert_stored(site, expected)


RUBBISH = {
    "invalid bytes": lambda answer: [b"\xff" * 5000],
    "an endless length": lambda answer: [b"\x30\x84\x7f\xff\xff\xff" + b"x" * 60000] * 50,
    "half of an answer": lambda answer: [answer[:len(answer) // 2]],
    "nothing": lambda answer: [None],
    "invalid data of the right shape": lambda answer: [b"\x30\x03\x02\x01\x01"] * 1000,
}


@pytest.mark.parametrize("what", RUBBISH)
def test_invalid_data_over_tcp_gives_U_and_ends_the_request(site, tcp_agent, poller, what):
    with TcpRelay(tcp_agent.port, change=RUBBISH[what]) as relay:
        expected = seed_tcp(site, relay.port, snmp_timeout=150)
        run = poller.run()
    assert run.status == 0, run
    assert_stored(site, dict.fromkeys(expected, "U"))


def test_a_closed_tcp_port_gives_U(site, poller):
    with SilentDevice() as silent:  # UDP only
        expected = seed_tcp(site, silent.port, snmp_timeout=100)
        run = poller.run()
    assert run.status == 0, run
    assert_stored(site, dict.fromkeys(expected, "U"))
