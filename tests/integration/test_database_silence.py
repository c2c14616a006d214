"""A database that takes connections and statements and never answers, or stops in the middle of an answer: the run ends by
itself, before its watchdog, closes its log with the usual lines, and every row is in the spool or counted as lost.

How long that takes is in test_lifecycle_time.py.
"""

import signal

import pytest

from support import cacti
from support.authority import certificates
from support.breaker import HALF, MUTE, Breaker, Throttle
from support.checks import assert_accounted, assert_closed, assert_stored
from support.fakedb import FakeDatabase
from support.lab import wait_until
from support.mariadb import MariaDB
from support.poller import Poller
from support.traces import Traces

from conftest import SYSTEM_GROUP, held_device
from test_database_faults import LONG
from test_database_spool import kept_rows
from test_stalls import seed, stopped

INTERVAL_S = 10
OUTPUTS = "^INSERT INTO poller_output "
HOSTS = "^UPDATE (.* )?host "
CLOSE = "^UPDATE poller_time"
LOADING = {"row": "^INSERT INTO poller_time", "devices": "FROM host WHERE", "items": "FROM poller_item",
           "assertions": "FROM poller_reindex"}
PER_BYTE = pytest.mark.mariadb_library("the times hold for each byte with that alone, docs/database.md")
ACTIONS = pytest.mark.parametrize("action", (MUTE, pytest.param(HALF, marks=PER_BYTE)), ids=("mute", "half"))

#: What the watchdog or a driver logs after waiting for the database without an answer.
NOT_BY_ITSELF = ("did not end in time", "The database thread does not return")


@pytest.fixture
def traces():
    traces = Traces()
    yield traces
    traces.wait_gone()


@pytest.fixture
def spool(work):
    return work / "spool"


@pytest.fixture
def breaker(server, site, work, poller, spool):
    """Stands between the poller and the database."""
    site.settings(poller_interval=INTERVAL_S)
    with Breaker(server, work / "breaker") as breaker:
        poller.write_conf(poller.conf_text(DB_Host=breaker.path, Spool_File=spool))
        yield breaker


def poll(poller, traces):
    return poller.run("-V", "3", first=0, last=99, env=traces.env)


def assert_ended_by_itself(run, status):
    assert run.status == status, run
    for words in NOT_BY_ITSELF:
        assert not run.log_lines(words), run


def assert_closing_line(run, devices=6):
    """The statistics come last, but for a stop signal's own line."""
    lines = [line for line in run.log.splitlines() if "FATAL: Spine Encountered" not in line]
    assert "SPINE: Poller[1]" in lines[-1] and lines[-1].endswith(f"Devices: {devices}"), run


def assert_reason_and_remedy(run, level):
    lines = [line for line in run.log_lines(level) if "is the server overloaded or stopped" in line]
    assert len(lines) == 1, run


# ---- before anything is polled ----

@ACTIONS
@pytest.mark.parametrize("phase", ("greeting", "login", "session", "settings"))
def test_a_database_that_is_silent_from_the_start_ends_the_run_with_a_reason(
        site, snmpd, breaker, poller, traces, phase, action):
    seed(site, snmpd)
    if phase in ("greeting", "login"):
        setattr(breaker, phase, action)
    else:
        breaker.on({"session": "^SET SESSION", "settings": "SELECT CONVERT.name"}[phase], action)
    run = poll(poller, traces)
    assert_ended_by_itself(run, 69)
    assert breaker.silent and not site.outputs()
    assert "FATAL: " in run.stderr and "is the server overloaded or stopped" in run.stderr, run


def test_a_server_that_falls_silent_in_the_tls_handshake_ends_the_run_with_a_reason(site, build, loop, work, traces):
    """It offers TLS, and never says a word of it."""
    (work / "certificates").mkdir()
    files = certificates(work / "certificates")
    with FakeDatabase(certificate=files.right, mute=True) as fake:
        poller = Poller(build.binary, site, work / "poller", loop=loop, DB_Host="127.0.0.1", DB_Port=fake.port, DB_UseSSL=1)
        run = poll(poller, traces)
    assert_ended_by_itself(run, 69)
    assert "no end of the TLS handshake (2013); is the server overloaded or stopped" in run.stderr, run


@ACTIONS
@pytest.mark.parametrize("statement", LOADING.values(), ids=LOADING.keys())
def test_a_database_that_falls_silent_while_the_site_is_loaded_ends_the_run_with_a_reason(
        site, snmpd, breaker, poller, traces, statement, action):
    seed(site, snmpd)
    breaker.on(statement, action)
    run = poll(poller, traces)
    assert_ended_by_itself(run, 69)
    assert breaker.silent and not site.outputs()
    assert_reason_and_remedy(run, "FATAL: ")
    assert_closing_line(run, devices=0)


# ---- while it is stored ----

@ACTIONS
def test_rows_that_a_silent_database_does_not_take_are_in_the_spool_and_counted_so(
        site, snmpd, breaker, poller, traces, spool, action):
    expected = seed(site, snmpd)
    breaker.on(OUTPUTS, action)
    run = poll(poller, traces)
    assert_ended_by_itself(run, 75)
    assert_accounted(run, expected=30, stored=0, spooled=30)
    assert kept_rows(spool) == expected
    assert_reason_and_remedy(run, "WARNING: Items: ")
    assert_closing_line(run)


def test_rows_that_a_silent_database_does_not_take_are_lost_without_a_spool(site, snmpd, breaker, poller, traces):
    seed(site, snmpd)
    poller.write_conf(poller.conf_text(DB_Host=breaker.path))
    breaker.on(OUTPUTS, MUTE)
    run = poll(poller, traces)
    assert_ended_by_itself(run, 75)
    assert_accounted(run, expected=30, stored=0, lost=30)
    assert_reason_and_remedy(run, "WARNING: Items: ")
    assert_closing_line(run)


@ACTIONS
@pytest.mark.parametrize("statement", (HOSTS, "settings .name,value.", CLOSE), ids=("status", "date", "closing"))
def test_a_database_that_falls_silent_after_the_rows_costs_none_of_them(
        site, snmpd, breaker, poller, traces, spool, statement, action):
    expected = seed(site, snmpd)
    breaker.on(statement, action)
    run = poll(poller, traces)
    assert_ended_by_itself(run, 75)
    assert_stored(site, expected)
    assert_accounted(run, expected=30, stored=30)
    assert len(run.log_lines("ERROR: the poller_time row could not be closed: ")) == 1, run
    assert_closing_line(run)
    assert not spool.exists()


@PER_BYTE
def test_an_answer_that_never_ends_is_left_in_time(site, snmpd, breaker, poller, traces):
    """A byte now and then is no silence."""
    seed(site, snmpd)
    breaker.on("FROM poller_item", then=Throttle(1, 0.1))
    run = poll(poller, traces)
    assert_ended_by_itself(run, 69)
    assert_closed(site, run)
    assert_closing_line(run, devices=0)


def test_a_database_that_is_stopped_in_mid_cycle_costs_no_row(site, server, snmpd, poller, traces, spool):
    """The server itself, which still takes connections. What has reached it is done when it goes on."""
    site.settings(poller_interval=INTERVAL_S)
    poller.write_conf(poller.conf_text(Spool_File=spool))
    expected = seed(site, snmpd)
    site.threads(1)
    with held_device(site) as held, \
            poller.start("-V", "3", first=0, last=99, env=traces.env) as running:
        held.wait_for_request()
        site.wait_for_open_cycle()
        with stopped(server):
            held.let_go()
            run = running.wait()
    assert_ended_by_itself(run, 75)
    assert_accounted(run, expected=30, stored=0, spooled=30)
    assert kept_rows(spool) == expected
    assert_closing_line(run, devices=7)


@PER_BYTE
def test_a_statement_that_a_silent_database_does_not_even_take_is_left_in_time(
        site, agents, breaker, poller, traces, spool):
    """It is longer than what the system keeps for a reader."""
    farm = agents(SYSTEM_GROUP + f'object .1.3.6.1.4.1.99999.{{1-800}} string "{LONG}"\nagent 127.2.0.1\n')
    device = site.add_device(1, hostname="127.2.0.1", port=farm.port)
    keys = site.add_items([{"device": device, "arg1": f".1.3.6.1.4.1.99999.{n}", "rrd_name": "x"}
                           for n in range(1, 801)])
    site.threads(1)
    with held_device(site) as held, \
            poller.start("-V", "3", first=0, last=99, env=traces.env) as running:
        held.wait_for_request()
        breaker.silent = True
        held.let_go()
        run = running.wait()
    assert_ended_by_itself(run, 75)
    assert_accounted(run, expected=800, stored=0, spooled=800)
    assert kept_rows(spool) == dict.fromkeys(keys, LONG)
    assert_closing_line(run, devices=2)


def test_a_database_that_is_stopped_behind_tls_costs_no_row(template, build, loop, work, snmpd, traces, spool):
    (work / "certificates").mkdir()
    files = certificates(work / "certificates")
    options = [f"--ssl-cert={files.right[0]}", f"--ssl-key={files.right[1]}", f"--ssl-ca={files.certificate}"]
    with MariaDB(work / "tls", template=template, tcp=True, options=options) as server:
        server.account(f"{cacti.USER}@127.0.0.1", cacti.PASSWORD, "REQUIRE SSL")
        site = cacti.Site(server, work)
        site.settings(poller_interval=INTERVAL_S)
        expected = seed(site, snmpd)
        site.threads(1)
        poller = Poller(build.binary, site, work / "poller", loop=loop, DB_Host="127.0.0.1", DB_Port=server.port,
                        DB_UseSSL=1, DB_SSL_CA=files.certificate, Spool_File=spool)
        with held_device(site) as held, \
                poller.start("-V", "3", first=0, last=99, env=traces.env) as running:
            held.wait_for_request()
            site.wait_for_open_cycle()
            with stopped(server):
                held.let_go()
                run = running.wait()
        assert_ended_by_itself(run, 75)
        assert_accounted(run, expected=30, stored=0, spooled=30)
        assert kept_rows(spool) == expected
        assert_closing_line(run, devices=7)


# ---- and is stopped ----

@ACTIONS
@pytest.mark.parametrize("statement", (LOADING["devices"], OUTPUTS, HOSTS, CLOSE),
                         ids=("devices", "rows", "status", "closing"))
def test_a_stop_signal_ends_the_run_though_the_database_is_silent(
        site, snmpd, breaker, poller, traces, spool, statement, action):
    expected = seed(site, snmpd)
    site.settings(poller_interval=300)
    breaker.on(statement, action)
    with poller.start("-V", "3", first=0, last=99, env=traces.env) as running:
        wait_until(lambda: breaker.silent, "the database to fall silent")
        running.signal(signal.SIGTERM)
        run = running.wait()
    assert_ended_by_itself(run, -signal.SIGTERM)
    stored = statement in (HOSTS, CLOSE)
    if statement != LOADING["devices"]:
        spooled = 0 if stored else 30
        assert_accounted(run, expected=30, stored=30 - spooled, spooled=spooled)
        assert_closing_line(run)
    if statement == OUTPUTS:
        assert kept_rows(spool) == expected
