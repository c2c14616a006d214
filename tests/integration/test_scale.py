"""A thousand devices in one cycle: every row is right, and the database hardly notices."""

import ipaddress

import pytest

from support import cacti
from support.agent import mix63
from support.checks import assert_closed, assert_only_a_cycle_changed, assert_stored

from conftest import SYSTEM_GROUP

DEVICES, ITEMS = 1000, 20
OBJECT = ".1.3.6.1.4.1.99999.1"
FIRST = ipaddress.IPv4Address("127.1.0.1")


@pytest.fixture
def thousand(site, agents):
    """1,000 simulated devices; returns what must be stored."""
    farm = agents(SYSTEM_GROUP +
                  f"object {OBJECT}.{{1-{ITEMS}}} counter64 @mix\n"
                  f"agent {FIRST}-{FIRST + DEVICES - 1}\n")
    devices = site.add_devices([{"id": n, "hostname": str(FIRST + n - 1), "snmp_port": farm.port}
                                for n in range(1, DEVICES + 1)])
    wanted = [(d, f"{OBJECT}.{n}") for d in devices for n in range(1, ITEMS + 1)]
    keys = site.add_items([{"device": d, "arg1": oid, "rrd_name": "traffic_in"} for d, oid in wanted])
    return {key: str(mix63(d["hostname"], oid)) for key, (d, oid) in zip(keys, wanted)}


@pytest.mark.parametrize("threads", (1, 30))
def test_1000_devices_take_few_statements_and_at_most_three_connections(site, server, poller, thousand, threads):
    site.threads(threads)
    before = site.snapshot()
    with server.watch(cacti.USER) as seen:
        run = poller.run(first=0, last=DEVICES, timeout=300)
    assert run.status == 0, run
    assert_stored(site, thousand)
    assert_closed(site, run)
    assert_only_a_cycle_changed(before, site.snapshot(), devices=range(1, DEVICES + 1))
    assert len(seen.statements) < 100, f"{seen}; first: {[text[:80] for _, text in seen.statements[:40]]}"
    assert seen.connections <= 3, seen


def test_rows_are_stored_where_the_server_takes_only_small_packets(site, server, poller, thousand):
    """Statements are bounded by max_allowed_packet (here 16 kB) whatever the number of rows."""
    server.sql("SET GLOBAL max_allowed_packet = 16384")
    run = poller.run(first=0, last=DEVICES, timeout=300)
    assert run.status == 0, run
    assert_stored(site, thousand)
    assert_closed(site, run)
