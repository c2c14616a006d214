"""Several database servers: `DB_Host a,b,c`, two proxies before one server."""

import pytest

from support.breaker import MUTE, Breaker, Error
from support.checks import assert_accounted, assert_closed, assert_stored
from test_database_faults import seed


def poll(poller):
    return poller.run("-V", "3", first=0, last=99)


def assert_all_stored(site, run, expected):
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    assert_accounted(run, expected=len(expected), stored=len(expected))


# ---- two ways to one server ----

@pytest.fixture
def servers(server, work, poller):
    """The same database behind two addresses; the second one is whole."""
    with Breaker(server, work / "a") as first, Breaker(server, work / "b") as second:
        poller.write_conf(poller.conf_text(DB_Host=f"{first.path},{second.path}", DB_Connections=1))
        yield first, second


@pytest.mark.parametrize("number", [1047, 1290, 1836, 3032])
def test_a_lost_server_is_left_for_the_next_one(site, snmpd, poller, servers, number):
    """Not in the primary component, read-only, offline: it answers, but takes nothing."""
    expected = seed(site, snmpd)
    first, second = servers
    first.on("INSERT INTO poller_output ", *[Error(number)] * 100)
    assert_all_stored(site, poll(poller), expected)
    assert not [s for s in second.seen if "FROM host" in s]
    assert [s for s in second.seen if "INTO poller_output " in s]


def test_the_first_server_serves_as_long_as_it_does(site, snmpd, poller, servers):
    expected = seed(site, snmpd)
    first, second = servers
    assert_all_stored(site, poll(poller), expected)
    assert first.seen and not second.seen


def test_a_server_that_is_not_there_at_the_start_is_passed_over(site, snmpd, poller, server, work):
    expected = seed(site, snmpd)
    poller.write_conf(poller.conf_text(DB_Host=f"{work / 'nothing'},127.0.0.1:1,{server.socket}"))
    assert_all_stored(site, poll(poller), expected)


def test_a_server_that_does_not_greet_does_not_take_the_time_of_the_next_one(site, snmpd, poller, servers):
    expected = seed(site, snmpd)
    first, _ = servers
    first.greeting = MUTE
    assert_all_stored(site, poll(poller), expected)


def test_if_none_is_there_one_of_them_is_named(site, poller, work):
    poller.write_conf(poller.conf_text(DB_Host=f"{work / 'a'},{work / 'b'}"))
    run = poll(poller)
    assert run.status == 69 and "/b)" in run.stderr, run
