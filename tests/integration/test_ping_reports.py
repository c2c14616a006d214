"""Routers that say that a device cannot be reached: in a network of the test's own, with real ICMP sockets."""

import pytest

from support.checks import assert_closed, assert_stored
from support.lab import MissingTool, leave_out
from support.netspace import NoNetwork, RefusingNetwork

PING, ICMP = 3, 1
ENDLESS_MS = 250_000  # longer than a run may last: an attempt that ends has ended early


pytestmark = pytest.mark.alone("it starts the process in another network")


@pytest.fixture(params=(False, True), ids=("raw", "datagram"))
def network(request):
    try:
        network = RefusingNetwork(request.param)
    except MissingTool as e:
        leave_out(str(e))
    except NoNetwork as e:
        pytest.skip(f"no network of its own: {e}")
    with network:
        yield network


def add(site, id, hostname, **columns):
    site.add_device(id, **{"hostname": hostname, "availability_method": PING, "ping_method": ICMP, "ping_retries": 0,
                           "ping_timeout": ENDLESS_MS, "snmp_community": "", **columns})


def poll(site, poller, network, last):
    site.settings(ping_failure_count=1)
    run = poller.run_as(network.inside(poller.command(first=0, last=last)))
    assert run.status == 0, run
    assert_closed(site, run)
    return run


REFUSED = [("192.0.2.9", "ICMP: Host unreachable"), ("203.0.113.9", "ICMP: Administratively prohibited"),
           ("100.64.0.9", "ICMP: Network unreachable"), ("2001:db8:0::9", "ICMP: Host unreachable"),
           ("2001:db8:2::9", "ICMP: Administratively prohibited"), ("2001:db8:3::9", "ICMP: Network unreachable")]


def test_a_device_that_the_network_refuses_is_down_at_once_and_the_reason_is_named(site, poller, network):
    """The attempt would last longer than this test may. The last two devices answer."""
    for id, (hostname, _) in enumerate(REFUSED, 1):
        add(site, id, hostname)
    alive = {len(REFUSED) + 1: "198.51.100.1", len(REFUSED) + 2: "2001:db8:1::1"}
    for id, hostname in alive.items():
        add(site, id, hostname)
    poll(site, poller, network, last=max(alive))
    for id, (hostname, text) in enumerate(REFUSED, 1):
        row = site.device(id)
        assert (row["status"], row["status_last_error"], row["cur_time"]) == (1, text, 0), (hostname, row)
    for id in alive:
        assert site.device(id)["status"] == 3, site.device(id)


def test_what_is_said_of_one_device_fails_no_other(site, poller, network):
    """200 refusals and as many answers on one socket, in turn; each device is asked once."""
    alive, refused = range(2, 401, 2), range(1, 401, 2)
    site.threads(20)
    for id in alive:
        add(site, id, f"198.51.100.{id // 2}")
    for id in refused:
        add(site, id, f"192.0.2.{id // 2 + 20}")
    poll(site, poller, network, last=400)
    status = {id: site.device(id)["status"] for id in (*alive, *refused)}
    assert [id for id in alive if status[id] != 3] == []
    assert [id for id in refused if status[id] != 1] == []
    assert_stored(site, {})


def test_a_device_that_is_refused_gets_all_of_its_requests(site, poller, network):
    """The first two attempts last as long as without a refusal, so the third refusal cannot come before that."""
    add(site, 1, "203.0.113.9", ping_retries=2, ping_timeout=300)
    run = poll(site, poller, network, last=1)
    assert site.device(1)["status_last_error"] == "ICMP: Administratively prohibited"
    assert run.seconds >= 0.6, run
