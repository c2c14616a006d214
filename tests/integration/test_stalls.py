"""A database that stops answering for a while, drops its clients or is restarted, and a system without free descriptors or
processes: nothing is lost that need not be, nothing waits forever, and no device is blamed."""

import contextlib
import os
import pathlib
import shutil
import signal
import time

import pymysql
import pytest

from support import cacti
from support.checks import assert_closed, assert_stored
from support.lab import tool, wait_until
from support.poller import Binary
from support.snmpd import PLAYPEN

from conftest import held_device, real_value

ITEMS = 5
NO_SUCH_THREAD = 1094


def seed(site, snmpd, devices=range(1, 7)):
    """Healthy devices with ITEMS items each; returns what must be stored."""
    expected = {}
    for id in devices:
        device = site.add_device(id, port=snmpd.port)
        for n in range(1, ITEMS + 1):
            expected[site.add_snmp_item(device, f"{PLAYPEN}.{id}.{n}", rrd_name=f"v{n}")] = str(real_value(id, n))
    return expected


def has_stopped(pid):
    states = [stat.read_text().rpartition(")")[2].split()[0]
              for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(state == "T" for state in states)


@contextlib.contextmanager
def stopped(server):
    """The database takes connections meanwhile, but answers none of them."""
    os.kill(server.pid, signal.SIGSTOP)
    wait_until(lambda: has_stopped(server.pid), "the database to stop")
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def clients(site):
    return [row["id"] for row in site.sql("SELECT id FROM information_schema.processlist WHERE user = %s", cacti.USER)]


def test_a_signal_ends_the_poller_though_the_database_does_not_answer(site, server, snmpd, poller):
    """It cannot close its row, and says so. What has reached the server is done when the server goes on."""
    expected = seed(site, snmpd)
    with held_device(site) as held, poller.start(first=0, last=99) as running:
        held.wait_for_request()
        assert site.wait_for_open_cycle()["pid"] == running.pid
        with stopped(server):
            running.signal(signal.SIGTERM)
            run = running.wait()
    assert run.status == -signal.SIGTERM, run
    assert len(run.log_lines("FATAL: Spine Encountered An Unhandled Exception Signal Number: '15'")) == 1, run
    assert len(run.log_lines("ERROR: the poller_time row could not be closed: ")) == 1, run
    wait_until(lambda: not clients(site), "the connections of the poller to end")
    assert [cycle["pid"] for cycle in site.cycles()] == [running.pid]
    stored = site.take_outputs()
    assert all(stored[key] == [expected[key]] for key in stored), stored


def test_all_is_stored_when_the_database_answers_again_after_3_seconds(site, server, snmpd, poller):
    expected = seed(site, snmpd)
    with held_device(site) as held, poller.start(first=0, last=99) as running:
        held.wait_for_request()
        site.wait_for_open_cycle()
        with stopped(server):
            held.let_go()
            time.sleep(3)  # what is to be survived, not a wait for something
        run = running.wait()
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)


def disturb(site, poller, how):
    """One slot, and two held devices have it in turn: how() comes while each is waited for, and what is stored comes
    after."""
    site.threads(1)
    with held_device(site, 98) as one, held_device(site, 99) as other, poller.start(first=0, last=99) as running:
        for held in (one, other):
            held.wait_for_request()
            site.wait_for_open_cycle()
            how()
            held.let_go()
        return running.wait()


def test_all_is_stored_though_an_administrator_kills_all_connections(site, snmpd, poller):
    expected = seed(site, snmpd)
    killed = []

    def kill():
        for id in clients(site):
            try:
                site.sql(f"KILL {id}")
                killed.append(id)
            except pymysql.err.OperationalError as e:
                if e.args[0] != NO_SUCH_THREAD:  # a connection may end by itself meanwhile
                    raise

    run = disturb(site, poller, kill)
    assert killed
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)


def test_all_is_stored_though_the_database_is_restarted(site, server, snmpd, poller):
    """Cacti's own table of results is in memory alone, and empty after a restart whatever a poller does."""
    site.sql("ALTER TABLE poller_output ENGINE=InnoDB")
    expected = seed(site, snmpd)
    run = disturb(site, poller, server.restart)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)


# ---- a system without descriptors or processes ----

def poll_with_limit(site, poller, loop, limit, user=()):
    """One cycle on a path under a limit, which must not crash and not hang, and blames no device. Returns the run,
    and what it has stored."""
    command = [tool("prlimit", "util-linux"), limit, *user, *poller.command(first=0, last=99), f"--event-loop={loop}"]
    run = poller.run_as(command)
    assert run.status >= 0, run
    assert not run.log_lines("HOST EVENT"), run
    blamed = site.sql("SELECT id, status_last_error FROM host WHERE failed_polls > 0 OR status != 3")
    assert not blamed, f"{blamed}\n{run!r}"
    stored = site.take_outputs()
    site.sql("DELETE FROM poller_time")
    return run, stored


def assert_event_path_needs_no_more(site, poller, limits, expected, user=()):
    """Under every limit with which the legacy loop stores all values, so does the event path, if need be by falling
    back with one warning. The last limit is wide enough for both."""
    wanted = {key: [value] for key, value in expected.items()}
    for limit in limits:
        legacy, stored = poll_with_limit(site, poller, "off", limit, user)
        event, stored_by_event = poll_with_limit(site, poller, "on", limit, user)
        both = f"{limit}\n{legacy!r}\n{event!r}"
        assert len(event.log_lines("polling by the legacy loop")) <= 1, both
        if stored == wanted:
            assert (event.status, stored_by_event) == (legacy.status, wanted), both
            assert len(event.log_lines("WARNING")) <= len(legacy.log_lines("WARNING")) + 1, both
    assert stored == wanted and legacy.status == event.status == 0, both
    assert not legacy.log_but_stats and not event.log_but_stats, both


@pytest.mark.libevent(True)
@pytest.mark.parametrize("threads, least", ((1, 8), (4, 16)))
def test_the_event_path_polls_with_as_few_descriptors_as_the_legacy_loop(site, snmpd, plain_poller, threads, least):
    """With fewer than 16, four threads may or may not want their sockets at the same time."""
    site.threads(threads)
    expected = seed(site, snmpd)
    limits = [f"--nofile={n}" for n in (*range(least, 25), 40)]
    assert_event_path_needs_no_more(site, plain_poller, limits, expected)


@pytest.mark.libevent(True)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start the poller as a user without other processes")
def test_the_event_path_polls_with_as_few_threads_as_the_legacy_loop(site, snmpd, plain_poller, work):
    """From two on; with one, a sanitizer could not look for leaks."""
    user = 61000 + os.getpid() % 1000
    program = work / "spine"
    shutil.copyfile(plain_poller.binary.path, program)
    program.chmod(0o755)
    work.chmod(0o755)
    for path in (plain_poller.directory, plain_poller.conf, site.log.parent):
        os.chown(path, user, user)
    plain_poller.binary = Binary(program)
    expected = seed(site, snmpd)
    limits = [f"--nproc={n}" for n in (*range(2, 9), 20)]
    identity = [tool("setpriv", "util-linux"), f"--reuid={user}", f"--regid={user}", "--clear-groups",
                "--inh-caps=-all", "--"]
    assert_event_path_needs_no_more(site, plain_poller, limits, expected, user=identity)
