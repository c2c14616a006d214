"""A daemon goes on whatever happens within one of its cycles, and carries out the next one as ever (docs/daemon.md)."""

import contextlib
import os
import resource
import signal
import subprocess

import pytest

from support.checks import assert_closed, assert_stored
from support.lab import file_text, wait_until
from support.resident import Resident
from support.traces import Traces

from conftest import held_device
from test_daemon import ALONE, seed
from test_lifecycle_faults import add_sleeper

pytestmark = [pytest.mark.libevent(True), pytest.mark.alone("it starts daemons itself")]


@pytest.fixture
def daemon(poller):
    with Resident(poller) as daemon:
        yield daemon


@pytest.fixture
def goes_on(site, snmpd, poller):
    """Checks that the daemon with this pid has the next cycle, and that it is right."""
    expected = seed(site, snmpd)

    def check(daemon, pid):
        assert daemon.process.poll() is None and daemon.pid == pid, daemon.said()
        daemon.wait_idle()
        before = daemon.state()["cycles"]["ended"]
        site.sql("DELETE FROM poller_output")
        site.sql("DELETE FROM poller_time")
        run = poller.run(first=0, last=50)
        assert run.status == 0, run
        assert_stored(site, expected)
        assert_closed(site, run)
        assert daemon.state()["cycles"]["ended"] == before + 1, "the process has polled by itself"

    return check


# ---- from within ----


@pytest.mark.parametrize("arguments, status", ((["--no-such-option"], 64), (["--explain=1"], 64), (["-C", "/nonexistent"], 0)),
                         ids=("unknown", "command", "file"))
def test_a_cycle_with_impossible_arguments_ends_alone(daemon, goes_on, arguments, status):
    """No client of ours would hand them over; the configuration file is the daemon's, whatever they say."""
    assert daemon.ask(*arguments, "--first=60", "--last=61") == (status, 0)
    goes_on(daemon, daemon.pid)


def test_a_database_that_goes_away_in_mid_cycle_ends_that_cycle_alone(site, server, poller, daemon, goes_on):
    server.make_durable()
    site.settings(poller_interval=10)
    with held_device(site) as device, poller.start("-V", "3", first=0, last=99) as running:
        device.wait_for_request()
        site.wait_for_open_cycle()
        server.kill()
        device.let_go()
        run = running.wait()
    assert run.status == 75 and run.log_lines("ERROR: the poller_time row could not be closed: "), run
    server.start()
    site.settings(poller_interval=300)
    goes_on(daemon, daemon.pid)


# ---- from without ----


@pytest.fixture
def small_disk(work):
    place = work / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place):
    with open(place / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def test_a_full_disk_costs_what_was_to_be_kept_there(site, server, snmpd, poller, small_disk, goes_on):
    """Log, event log and spool file, and a database that is away: what is lost is counted. Then there is room again."""
    server.make_durable()
    site.settings(poller_interval=10, path_cactilog=small_disk / "cacti.log")
    with Resident(poller, Spool_File=small_disk / "spool", Event_Log=small_disk / "events") as daemon, \
            held_device(site) as device:
        site.threads(1)
        with poller.start("-V", "3", first=0, last=99) as running:
            device.wait_for_request()
            site.wait_for_open_cycle()
            fill(small_disk)
            server.kill()
            device.let_go()
            run = running.wait()
        assert run.status == 75, run
        assert "Spine Log File Could Not Be Written" in run.stderr, run
        server.start()
        (small_disk / "filler").unlink()
        site.settings(poller_interval=300, path_cactilog=site.log)
        site.sql("DELETE FROM host WHERE id = 99")
        goes_on(daemon, daemon.pid)


@pytest.mark.parametrize("spare", (-1, 2, 6, 12, 40))
def test_without_descriptors_cycles_are_polled_by_their_processes(site, poller, daemon, goes_on, spare):
    """`spare`: how many the daemon may open beside those that it has. With the last one there may be room for a cycle."""
    assert poller.run(first=60, last=61).status == 0  # what is opened once is open
    site.sql("DELETE FROM poller_time")
    pid, before = daemon.pid, resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (daemon.descriptors() + spare, before[1]))
    started = [poller.start_as(poller.command("-V", "3", first=first, last=last)) for first, last in ((0, 1), (2, 3))]
    runs = [running.wait() for running in started]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert [run.status for run in runs] == [0, 0], runs
    assert [bool(row["end_time"]) for row in site.cycles()] == [True, True]
    assert spare == 40 or all(ALONE in run.log for run in runs), runs
    if spare < 0:
        assert daemon.log().count("WARNING: no process can be answered for now: Too many open files") == 1, daemon.log()
    goes_on(daemon, pid)


def test_what_a_script_has_put_into_a_session_of_its_own_ends_with_the_cycle(site, poller, daemon, goes_on):
    """Its client is killed; the daemon, whose child it is, lives."""
    traces = Traces()
    sleeper = add_sleeper(site, 97, "/usr/bin/setsid /bin/sleep 6001 & /bin/sleep 600")
    with poller.start(first=97, last=97, env=traces.env) as running:
        wait_until(lambda: any("sleep 6001" in c for c in traces.commands()), "the script")
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    traces.wait_gone()
    wait_until(lambda: all(row["end_time"] for row in site.cycles()), "the row to be closed")
    assert sleeper not in site.outputs()
    site.sql("DELETE FROM poller_item WHERE host_id = 97")
    goes_on(daemon, daemon.pid)


# ---- not even a crash costs more than the cycles in flight ----


@pytest.mark.parametrize("number", (signal.SIGSEGV, signal.SIGABRT), ids=lambda number: number.name)
def test_a_daemon_that_crashes_costs_the_cycles_in_flight(site, poller, daemon, goes_on, number):
    with held_device(site) as device, poller.start(first=99, last=99) as running:
        device.wait_for_request()
        site.wait_for_open_cycle()
        os.kill(daemon.pid, number)
        run = running.wait()
    assert run.status == 75 and all(row["end_time"] for row in site.cycles()), run
    assert daemon.wait_for_end() == -number
    assert "FATAL: " in file_text(daemon.output)
    site.sql("DELETE FROM host WHERE id = 99")
    daemon.start()
    goes_on(daemon, daemon.pid)
