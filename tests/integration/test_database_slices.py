"""Devices are read in slices, by a second connection, while others are polled. What happens between two slices, and to
that connection, costs nothing that a cycle with one connection would keep."""

import pytest

from support.breaker import CUT_AFTER, CUT_BEFORE, PASS, SWALLOW, Breaker, Error, Meanwhile
from support.checks import assert_accounted, assert_closed, assert_stored
from support.snmpd import PLAYPEN

from conftest import real_value

ITEMS = 2
DEVICES = 150  # the first slice has 64
OBJECTS = 40  # of snmpd; the devices share them
SLICE = "FROM poller_item WHERE host_id IN "
CONNECTIONS = (1, 2, 3)


def seed(site, snmpd, devices=range(1, DEVICES + 1)):
    added = site.add_devices([{"id": id, "hostname": "127.0.0.1", "snmp_port": snmpd.port} for id in devices])
    wanted = [(d, d["id"] % OBJECTS + 1, n) for d in added for n in range(1, ITEMS + 1)]
    keys = site.add_items([{"device": d, "arg1": f"{PLAYPEN}.{k}.{n}", "rrd_name": f"v{n}"} for d, k, n in wanted])
    return {key: str(real_value(k, n)) for key, (_, k, n) in zip(keys, wanted)}


@pytest.fixture
def breaker(server, work):
    with Breaker(server, work / "breaker") as breaker:
        yield breaker


def poll(poller, breaker, connections=3, **how):
    poller.write_conf(poller.conf_text(DB_Host=breaker.path, DB_Connections=connections))
    return poller.run("-V", "3", first=0, last=DEVICES, **how)


def assert_all_stored(site, run, expected):
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    assert_accounted(run, expected=len(expected), stored=len(expected))


@pytest.mark.parametrize("connections", CONNECTIONS)
def test_all_devices_are_polled_whatever_the_number_of_connections(site, snmpd, breaker, poller, connections):
    expected = seed(site, snmpd)
    run = poll(poller, breaker, connections)
    assert_all_stored(site, run, expected)
    assert breaker.count(SLICE) >= 2


@pytest.mark.parametrize("action", (CUT_BEFORE, CUT_AFTER), ids=("before", "after"))
@pytest.mark.parametrize("connections", CONNECTIONS[:2])
def test_a_connection_cut_between_two_slices_costs_nothing(site, snmpd, breaker, poller, connections, action):
    expected = seed(site, snmpd)
    breaker.on(SLICE, PASS, action)
    assert_all_stored(site, poll(poller, breaker, connections), expected)
    assert breaker.count(SLICE) >= 3


def test_without_a_right_to_a_second_connection_the_first_one_reads_all(site, snmpd, breaker, poller, server):
    server.sql("ALTER USER cactiuser@localhost WITH MAX_USER_CONNECTIONS 1")
    try:
        expected = seed(site, snmpd)
        run = poll(poller, breaker)
    finally:
        server.sql("ALTER USER cactiuser@localhost WITH MAX_USER_CONNECTIONS 0")
    assert_all_stored(site, run, expected)
    assert run.log_lines("NOTE: devices are read by the connection that stores"), run


def test_devices_that_cannot_be_read_are_counted_and_the_others_stored(site, snmpd, breaker, poller):
    """The right to the table is taken away in mid-cycle."""
    expected = seed(site, snmpd)
    breaker.on(SLICE, PASS, then=Error(1142))
    run = poll(poller, breaker)
    assert run.status == 75, run
    stored = {key: expected[key] for key in list(expected)[:64 * ITEMS]}
    assert_stored(site, stored)
    assert_closed(site, run)
    lines = run.log_lines(f"ERROR: {DEVICES - 64} devices are not polled: cannot read the poller items: ")
    assert len(lines) == 1, run


def test_a_slice_that_never_comes_does_not_outlast_the_interval(site, snmpd, breaker, poller):
    site.settings(poller_interval=10)
    expected = seed(site, snmpd)
    breaker.on(SLICE, PASS, then=SWALLOW)
    run = poll(poller, breaker)
    assert run.status == 75, run
    assert_stored(site, {key: expected[key] for key in list(expected)[:64 * ITEMS]})
    assert_closed(site, run)


def test_a_device_that_is_deleted_between_two_slices_is_left_out(site, server, snmpd, breaker, poller):
    """As if each were read when it is polled; a disabled one likewise, and a changed one is polled as it is now."""
    expected = seed(site, snmpd)

    def change():
        site.sql("UPDATE host SET deleted = 'on' WHERE id = 140")
        site.sql("UPDATE host SET disabled = 'on' WHERE id = 141")
        site.sql("DELETE FROM host WHERE id = 142")

    breaker.on("FROM host WHERE id IN ", Meanwhile(change))
    run = poll(poller, breaker)
    left_out = [key for n, key in enumerate(expected) if n // ITEMS + 1 in (140, 141, 142)]
    assert_all_stored(site, run, {key: value for key, value in expected.items() if key not in left_out})
