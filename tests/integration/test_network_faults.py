"""Networks that lose, repeat, delay and confuse answers, and agents that share an address, with many devices at once."""

import ipaddress
import itertools
import re

import pytest

from support.agent import mix63
from support.checks import assert_closed, assert_stored

from conftest import SYSTEM_GROUP

OBJECT = ".1.3.6.1.4.1.99999.1"
FIRST = ipaddress.IPv4Address("127.5.0.1")
ITEMS, AT_ONCE, UP, DOWN = 15, 5, 3, 1
SPEC = SYSTEM_GROUP + f"object {OBJECT}.{{1-{ITEMS}}} counter64 @mix\n"


def seed(site, farm, ids, **columns):
    """Devices of these ids at FIRST + id - 1; returns what is stored if all goes well, {key: (device id, value)}."""
    devices = site.add_devices([{"id": n, "hostname": str(FIRST + n - 1), "snmp_port": farm.port, "max_oids": AT_ONCE,
                                 **columns} for n in ids])
    wanted = [(d, f"{OBJECT}.{n}") for d in devices for n in range(1, ITEMS + 1)]
    keys = site.add_items([{"device": d, "arg1": oid, "rrd_name": "v"} for d, oid in wanted])
    return {key: (d["id"], str(mix63(d["hostname"], oid))) for key, (d, oid) in zip(keys, wanted)}


def statuses(site):
    return {row["id"]: row["status"] for row in site.sql("SELECT id, status FROM host")}


def values(expected):
    return {key: value for key, (_, value) in expected.items()}


def vain_tries(farm):
    """{device id: the most requests in a row that were lost}"""
    fates = {}
    for line in farm.log:
        fates.setdefault(int(ipaddress.IPv4Address(line.address)) - int(FIRST) + 1, []).append(line.fate)
    return {id: max((len(list(run)) for fate, run in itertools.groupby(of_one) if fate == "dropped"), default=0)
            for id, of_one in fates.items()}


def test_what_the_network_loses_is_asked_for_again(site, poller, agents):
    """1 and 20 % of all requests are lost, six tries are made. Only who lost six in a row may be down or lack a value."""
    tries, few, many = 6, range(1, 151), range(151, 301)
    farm = agents(SPEC + f"agent {FIRST}-{FIRST + 149} loss=0.01\nagent {FIRST + 150}-{FIRST + 299} loss=0.2\n", log=True)
    site.settings(snmp_retries=tries - 1, ping_failure_count=1)
    site.threads(60)
    expected = seed(site, farm, (*few, *many), snmp_timeout=250)
    run = poller.run(first=0, last=300)
    assert run.status == 0, run
    assert_closed(site, run)
    lost = vain_tries(farm)
    assert max(lost[id] for id in many) > 1, "nothing of interest was lost"
    status, stored = statuses(site), site.outputs()
    assert [id for id, s in status.items() if s != UP and lost[id] < tries] == []
    wanted = {key: of for key, of in expected.items() if status[of[0]] == UP}
    assert stored.keys() == wanted.keys()
    for key, (id, value) in wanted.items():
        (_, text), = stored[key]
        assert text == value or (text == "U" and lost[id] >= tries), (id, key, text, value)


#: What a group of devices does. Two tries of 400 ms are made; the third and fourth requests of `stale` are answered when
#: they have been given up and the next question is open.
FAULTS = {"duplicates": "duplicate=3", "late": "late=500", "stale": "delay=150 during=3-4 late=750",
          "foreign address": "other-source=addr", "foreign port": "other-source=port",
          "all": "duplicate=2 late=500 share=1/3 other-source=addr"}


def test_repeated_late_and_foreign_answers_count_once_and_for_their_device(site, poller, agents):
    group = 40
    lines = [f"agent {FIRST + n * group}-{FIRST + n * group + group - 1} {fault}\n"
             for n, fault in enumerate(FAULTS.values())]
    farm = agents(SPEC + "".join(lines))
    site.settings(ping_failure_count=1)
    site.threads(60)
    last = group * len(FAULTS)
    expected = seed(site, farm, range(1, last + 1), snmp_timeout=400)
    run = poller.run(first=0, last=last)
    assert run.status == 0, run
    assert_closed(site, run)
    assert [id for id, status in statuses(site).items() if status != UP] == []
    assert_stored(site, values(expected))


@pytest.mark.libevent(True)
def test_devices_behind_one_address_take_turns_whatever_their_ports_and_others_do_not_wait(site, plain_poller, agents):
    """50 devices with 5 ports at one address, which takes 100 ms for each answer, and 100 devices elsewhere."""
    crowd, ports, most = 50, 5, 4
    farm = agents(SPEC + f"agent {FIRST} delay=100\nagent {FIRST + 50}-{FIRST + 149}\n", log=True, ports=ports)
    plain_poller.write_conf(plain_poller.conf_text(Event_Loop="on", Async_SNMP="on"))  # Address_Limit is 4 by default
    expected = {}
    for id in range(1, crowd + 1):
        device = site.add_device(id, hostname=str(FIRST), port=farm.ports[id % ports])
        oid = f"{OBJECT}.{id % ITEMS + 1}"
        expected[site.add_snmp_item(device, oid, rrd_name="v")] = str(mix63(str(FIRST), oid))
    expected |= values(seed(site, farm, range(crowd + 1, crowd + 101)))
    run = plain_poller.run(first=0, last=crowd + 100)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert farm.counters(str(FIRST)) == {"requests": 2 * crowd, "answers": 2 * crowd}
    assert farm.most_waiting(str(FIRST)) == most
    of_crowd = [line.address == str(FIRST) for line in farm.log]
    last_other = max(i for i, mine in enumerate(of_crowd) if not mine)
    assert sum(of_crowd[:last_other]) < crowd, "the others have waited for the crowd"


def test_dead_v3_devices_do_not_delay_the_others(site, loop, poller, agents):
    dead, live = range(1, 501), range(501, 551)
    farm = agents(SPEC + f"agent {FIRST + 500}-{FIRST + 549}\n")
    site.settings(log_verbosity=3, ping_failure_count=1)
    site.threads(60)
    seed(site, farm, dead, snmp_version=3, snmp_timeout=200, snmp_username="poller", snmp_password="a pass phrase",
         snmp_auth_protocol="SHA", snmp_priv_passphrase="another phrase", snmp_priv_protocol="AES")
    expected = seed(site, farm, live, snmp_timeout=5000)
    run = poller.run(first=0, last=550)
    assert run.status == 0, run
    assert_closed(site, run)
    status = statuses(site)
    assert [id for id in live if status[id] != UP] == []
    assert [id for id in dead if status[id] != DOWN] == []
    assert_stored(site, values(expected))
    if loop == "async":
        line, = run.log_lines("NOTE: Items: ")
        assert re.search(r"; event loop late by \d+\.\d ms at most$", line), line
