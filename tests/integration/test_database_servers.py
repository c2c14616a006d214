"""Several database servers: `DB_Host a,b,c`, two proxies before one server, and a Galera cluster."""

import contextlib

import pymysql
import pytest

from conftest import held_device
from support import cacti
from support.breaker import MUTE, Breaker, Error
from support.checks import assert_accounted, assert_closed, assert_stored
from support.galera import PROVIDER, Cluster
from support.lab import leave_out, wait_until
from support.poller import Poller
from test_database_faults import meanwhile, seed


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


# ---- Galera: each node has all rows, and takes them only while it is with the most ----

@pytest.fixture
def cluster(template, work, request):
    if not PROVIDER.exists():
        leave_out("Galera's provider is not installed (Debian package galera-4)")
    with Cluster(work / "cluster", template, 3, joined=getattr(request, "param", None)) as cluster:
        yield cluster


@pytest.fixture
def cluster_site(cluster, work):
    """Asked at the second node, whichever one the poller talks to."""
    site = cacti.Site(cluster.nodes[1], work)
    site.settings(snmp_retries=1)
    return site


@pytest.fixture
def cluster_poller(build, loop, cluster_site, cluster, work):
    poller = Poller(build.binary, cluster_site, work / "poller", loop=loop)
    poller.write_conf(poller.conf_text(DB_Host=cluster.hosts))
    return poller


def kill(cluster):
    cluster.nodes[0].kill()


def isolate(cluster):
    """The first node is there and answers, but is not with the most: 1047."""
    cluster.nodes[0].isolate()
    wait_until(lambda: cluster.nodes[0].status("cluster_status") == "non-Primary", "the node to be outside")


def exchange(cluster):
    """A third node joins, then the first one leaves in order."""
    cluster.nodes[2].start()
    cluster.nodes[2].wait_until_one_of(3)
    cluster.nodes[0].stop()


@pytest.mark.mariadb("Galera")
@pytest.mark.parametrize("cluster,change", [(None, kill), (None, isolate), (2, exchange)], indirect=["cluster"],
                         ids=["killed", "isolated", "exchanged"])
def test_a_node_lost_in_mid_cycle_costs_nothing(cluster, cluster_site, cluster_poller, snmpd, change):
    expected = seed(cluster_site, snmpd)
    with held_device(cluster_site) as held:
        with cluster_poller.start("-V", "3", first=0, last=99) as running:
            held.wait_for_request()
            change(cluster)
            held.let_go()
            run = running.wait()
    assert_all_stored(cluster_site, run, expected)


@pytest.mark.mariadb("Galera")
def test_a_proxy_that_leads_to_another_node_costs_nothing(cluster, cluster_site, cluster_poller, snmpd, work):
    """One address for all: its connections are cut, and new ones reach the node that is left."""
    expected = seed(cluster_site, snmpd)
    with Breaker(cluster.nodes[0], work / "proxy") as proxy, held_device(cluster_site) as held:
        cluster_poller.write_conf(cluster_poller.conf_text(DB_Host=proxy.path))
        with cluster_poller.start("-V", "3", first=0, last=99) as running:
            held.wait_for_request()
            proxy.server = cluster.nodes[2]
            cluster.nodes[0].kill()
            held.let_go()
            run = running.wait()
    assert_all_stored(cluster_site, run, expected)


@pytest.mark.mariadb("Galera")
def test_conflicts_with_another_node_cost_nothing(cluster, cluster_site, cluster_poller, snmpd):
    """The first one to be certified wins, and the other's statement fails with 1213."""
    expected = seed(cluster_site, snmpd)

    def storm(ended):
        with contextlib.closing(cluster.nodes[2].connect(database=cacti.DATABASE)) as connection:
            while not ended.is_set():
                with contextlib.suppress(pymysql.err.OperationalError), connection.cursor() as cursor:
                    for id in range(6, 0, -1):
                        cursor.execute("UPDATE host SET notes = CONCAT('at ', RAND()) WHERE id = %s", id)

    with meanwhile(storm):
        run = poll(cluster_poller)
    assert_all_stored(cluster_site, run, expected)
