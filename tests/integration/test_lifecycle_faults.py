"""Signals, time and process life gone wrong: the cycle ends in order, is accounted for, and leaves no process.

Every poller here starts its scripts as
pipelines, whose parts no parent-death signal reaches.
"""

import contextlib
import os
import signal
import time

import pytest

from support import cacti
from support.checks import assert_closed, assert_stored
from support.lab import SilentDevice, file_text, tool, wait_until
from support.snmpd import PLAYPEN
from support.traces import Traces

from conftest import held_device, real_value

HOUR_S = 3600
SLEEPER = "/bin/sleep 600 | /bin/sleep 601"


@pytest.fixture
def traces():
    """Marks a poller and all it starts; at the end none of them may be left."""
    traces = Traces()
    yield traces
    traces.wait_gone()


def seed(site, snmpd, devices=range(1, 5)):
    """Healthy devices with three items each; returns what must be stored."""
    expected = {}
    for id in devices:
        device = site.add_device(id, port=snmpd.port, polling_time=5)
        for n in range(1, 4):
            expected[site.add_snmp_item(device, f"{PLAYPEN}.{id}.{n}", rrd_name=f"v{n}")] = str(real_value(id, n))
    return expected


@contextlib.contextmanager
def silent(site, requests=1, timeout=20000, items=0, **columns):
    """Device 99, which is asked `requests` times, `timeout` ms apart."""
    with SilentDevice() as device:
        site.settings(snmp_retries=requests - 1)
        site.sql("DELETE FROM host WHERE id = 99")
        host = site.add_device(99, port=device.port, snmp_timeout=timeout, **columns)
        site.add_items([{"device": host, "arg1": f"{PLAYPEN}.1.{n}"} for n in range(items)])
        yield device


def add_sleeper(site, id=98, command=SLEEPER):
    """A device without a check whose script hangs."""
    device = site.add_device(id, availability_method=0, snmp_version=0)
    return site.add_items([{"device": device, "action": cacti.SCRIPT, "arg1": command}])[0]


def stop_in_order(site, running, number=signal.SIGTERM):
    """The signal ends the poller, and its row is closed."""
    running.signal(number)
    run = running.wait()
    assert run.status == -number, run
    assert all(c["end_time"] is not None for c in site.cycles()), f"row left open\n{run!r}"
    assert len(run.log_lines("FATAL: ")) == 1, run
    return run


# ---- a stop signal in each phase ----

@contextlib.contextmanager
def locked(server, table, statement, released):
    """No other connection can use the table; yields a function that waits for such a statement to wait for it."""
    admin = server.connect()
    cursor = admin.cursor()
    cursor.execute(f"LOCK TABLES {cacti.DATABASE}.{table} WRITE")

    def wait():
        wait_until(lambda: [r for r in server.sql("SELECT USER, STATE, INFO FROM information_schema.processlist")
                            if r["USER"] == cacti.USER and statement in (r["INFO"] or "")
                            and (r["STATE"] or "").startswith("Waiting for table")],
                   f"{statement} to wait")

    def release():
        cursor.execute("UNLOCK TABLES")

    try:
        released.append(release)
        yield wait
    finally:
        release()
        admin.close()


@pytest.mark.first_build
def test_a_signal_before_anything_is_open_ends_it_at_once(site, server, snmpd, poller, traces):
    seed(site, snmpd)
    with locked(server, "settings", "settings", []) as wait, poller.start(first=0, last=9, env=traces.env) as running:
        wait()
        running.signal(signal.SIGTERM)
        run = running.wait()
    assert run.status == -signal.SIGTERM, run
    assert not site.cycles()


def test_a_signal_while_the_site_is_loaded_closes_the_row(site, server, snmpd, poller, traces):
    seed(site, snmpd)
    release = []
    with locked(server, "poller_item", "poller_item", release) as wait, \
            poller.start(first=0, last=9, env=traces.env) as running:
        wait()
        running.signal(signal.SIGINT)
        release[0]()
        run = running.wait()
    assert run.status == -signal.SIGINT, run
    assert_closed(site, run)


@pytest.mark.first_build
def test_a_signal_during_a_ping(site, snmpd, poller, traces):
    expected = seed(site, snmpd)
    with SilentDevice() as device:
        site.add_device(99, availability_method=3, ping_method=2, ping_port=device.port, ping_timeout=20000)
        with poller.start(first=0, last=99, env=traces.env) as running:
            device.wait_for_request()
            wait_until(lambda: len(site.outputs()) == len(expected), "the healthy devices to be stored")
            stop_in_order(site, running)
    assert_stored(site, expected)


def test_a_signal_during_an_snmp_request_and_a_script(site, snmpd, poller, traces):
    expected = seed(site, snmpd)
    add_sleeper(site)
    with silent(site) as device, poller.start(first=0, last=99, env=traces.env) as running:
        device.wait_for_request()
        traces.wait_for(4)
        wait_until(lambda: len(site.outputs()) == len(expected), "the healthy devices to be stored")
        stop_in_order(site, running, signal.SIGHUP)
        assert not traces.pids()
    assert_stored(site, expected)


def test_a_signal_while_results_are_stored(site, server, snmpd, poller, traces):
    expected = seed(site, snmpd)
    release = []
    with locked(server, "poller_output", "poller_output", release) as wait, \
            poller.start(first=0, last=9, env=traces.env) as running:
        wait()
        running.signal(signal.SIGTERM)
        release[0]()
        run = running.wait()
    assert run.status == -signal.SIGTERM, run
    assert_stored(site, expected)
    assert_closed(site, run)


@pytest.mark.first_build
def test_a_signal_while_the_row_is_closed(site, server, snmpd, poller, traces):
    expected = seed(site, snmpd)
    release = []
    with held_device(site) as held, poller.start(first=0, last=99, env=traces.env) as running:
        held.wait_for_request()
        site.wait_for_open_cycle()
        with locked(server, "poller_time", "poller_time", release) as wait:
            held.let_go()
            wait()
            running.signal(signal.SIGTERM)
            release[0]()
            run = running.wait()
    assert run.status == -signal.SIGTERM, run
    assert_stored(site, expected)
    assert_closed(site, run)


# ---- more signals, useless signals, signals that were switched off ----

def test_more_signals_end_it_at_once_and_leave_no_process(site, poller, traces):
    add_sleeper(site)
    with silent(site) as device, poller.start(first=0, last=99, env=traces.env) as running:
        device.wait_for_request()
        traces.wait_for(4)
        for _ in range(3):
            running.signal(signal.SIGTERM)
        run = running.wait()
    assert run.status == -signal.SIGTERM, run


@pytest.mark.first_build
def test_storms_of_signals_change_nothing(site, snmpd, poller, traces):
    expected = seed(site, snmpd)
    expected[add_sleeper(site, command="/bin/echo 42 | /bin/cat; exec 1>&-; /bin/sleep 0.3")] = "42"
    with held_device(site) as held, poller.start("-V", "2", first=0, last=99, env=traces.env) as running:
        held.wait_for_request()
        started = time.monotonic()
        for _ in range(2500):
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGCHLD):
                running.signal(number)
        held.let_go()
        lasted = time.monotonic() - started
        run = running.wait()
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    assert 1 <= len(run.log_lines("NOTE: State: ")) <= 10 * (lasted + 3), run


def test_a_user_signal_tells_what_the_poller_waits_for(site, poller, traces):
    add_sleeper(site)
    with silent(site) as device, poller.start(first=0, last=99, env=traces.env) as running:
        device.wait_for_request()
        traces.wait_for(4)
        running.signal(signal.SIGUSR1)
        text = wait_until(lambda: "Device[98]" in site.log.read_text() and site.log.read_text(), "the dump")
        stop_in_order(site, running)
    assert "polling, " in text and "devices: 2 begun, 2 being polled" in text
    assert "NOTE: State: Device[99] has waited for SNMP for " in text
    assert "NOTE: State: Device[98] has waited for a script for " in text


@pytest.mark.first_build
def test_signals_that_were_ignored_or_blocked_at_the_start_work(site, snmpd, poller, traces):
    """As cron, nohup or a careless parent leave them; scripts get all of them as they should be."""
    device = site.add_device(1, availability_method=0, snmp_version=0, polling_time=9)
    command = "/bin/sed -n 's/^Sig\\(Blk\\|Ign\\):\\t//p' /proc/self/status | /usr/bin/paste -sd:"
    key = site.add_items([{"device": device, "action": cacti.SCRIPT, "arg1": command}])[0]
    env = tool("env", "coreutils")
    names = "HUP,INT,QUIT,TERM,PIPE,CHLD,USR1"
    with silent(site) as silent_device:
        command = [env, f"--ignore-signal={names}", f"--block-signal={names}",
                   *poller.command("-V", "5", first=0, last=99)]
        with poller.start_as(command, env=traces.env) as running:
            silent_device.wait_for_request()
            wait_until(lambda: "output: " in site.log.read_text(), "the script to be through")
            run = stop_in_order(site, running, signal.SIGHUP)
    assert site.outputs().keys() == {key}
    assert run.log_lines("SCRIPT: ")[0].endswith("output: 0000000000000000:0000000000000000"), run


# ---- killed, stopped, crashed ----

@pytest.mark.alone("it kills the process that is started")
def test_nothing_outlives_a_poller_that_was_killed_and_the_next_one_is_well(site, snmpd, poller, traces):
    expected = seed(site, snmpd)
    sleeper = add_sleeper(site)
    with silent(site) as device, poller.start(first=0, last=99, env=traces.env) as running:
        device.wait_for_request()
        traces.wait_for(4)
        running.signal(signal.SIGKILL)
        run = running.wait()
        assert run.status == -signal.SIGKILL
        traces.wait_gone()
    site.sql("DELETE FROM poller_output")
    site.sql("DELETE FROM poller_item WHERE host_id >= 98")
    site.sql("DELETE FROM host WHERE id >= 98")
    assert sleeper not in expected
    run = poller.run(first=0, last=99, env=traces.env)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert [c["end_time"] is not None for c in site.cycles()] == [False, True], run


@pytest.mark.alone("it stops the process that is started")
def test_a_poller_that_was_stopped_for_two_intervals_stores_nothing_old(site, snmpd, poller, traces):
    site.settings(poller_interval=2)
    expected = seed(site, snmpd)
    site.threads(1)
    add_sleeper(site)
    site.sql("UPDATE host SET polling_time = 99 WHERE id = 98")
    with poller.start(first=0, last=99, env=traces.env) as running:
        traces.wait_for(4)
        running.signal(signal.SIGSTOP)
        time.sleep(4)  # what is to be survived, not a wait for something
        running.signal(signal.SIGCONT)
        run = running.wait()
    assert run.status == 75, run
    assert not site.outputs(), expected
    assert_closed(site, run)


@pytest.mark.first_build
def test_a_poller_that_was_stopped_does_not_take_its_own_absence_for_the_database_s(site, snmpd, poller, traces):
    """Nothing is left to be done but to close the row, and the time for that was over long ago."""
    site.settings(poller_interval=2)
    seed(site, snmpd)
    site.threads(1)
    with silent(site, polling_time=99) as device, poller.start(first=0, last=99, env=traces.env) as running:
        device.wait_for_request()
        site.wait_for_open_cycle()
        running.signal(signal.SIGSTOP)
        time.sleep(4)  # what is to be survived, not a wait for something
        running.signal(signal.SIGCONT)
        run = running.wait()
    assert run.status == 75, run
    assert not run.log_lines("The database thread does not return from a call"), run
    assert_closed(site, run)


CRASHES = [(signal.SIGSEGV, "Spine Encountered a Segmentation Fault"),
           (signal.SIGABRT, "Spine Interrupted by Abort Signal")]


@pytest.mark.alone("it changes the process that is started")
def test_a_crash_leaves_one_line_and_no_process(site, poller, traces):
    add_sleeper(site)
    for number, text in CRASHES:
        with silent(site) as device, poller.start(first=0, last=99, env=traces.env) as running:
            device.wait_for_request()
            traces.wait_for(4)
            running.signal(number)
            run = running.wait()
        assert run.status == -number, run
        assert len(run.log_lines(f"FATAL: {text}")) == 1, run
        assert run.stderr.count(text) == 1, run
        traces.wait_gone()
    run = poller.run(first=1, last=2, env=traces.env)
    assert run.status == 0, run


#: What leaves its process group, by the argument of the sleeper that is to be seen when it has.
RUNAWAYS = {
    6001: "/usr/bin/setsid /bin/sleep 6001 & /bin/sleep 600",
    6002: "/usr/bin/setsid /bin/sh -c '/usr/bin/setsid /bin/sleep 6002; :' & /bin/sleep 600",
    6003: "(/usr/bin/nohup /usr/bin/setsid /bin/sleep 6003 >/dev/null 2>&1 &); /bin/sleep 600",
    6004: "/usr/bin/python3 -c 'import os\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
          "os.execv(\"/bin/sleep\", [\"sleep\", \"6004\"])' >/dev/null; /bin/sleep 600",
    6005: "/usr/bin/setsid /bin/sh -c 'trap \"\" TERM HUP; /bin/sleep 6005; /bin/sleep 6006' & exec /bin/sleep 600",
    6007: "/usr/bin/setsid /usr/bin/env -u HOME /bin/sleep 6007 & /bin/sleep 600",
}
ENDS = {"two TERM": 2 * [signal.SIGTERM], "SEGV": [signal.SIGSEGV], "ABRT": [signal.SIGABRT], "KILL": [signal.SIGKILL]}


def is_pending(pid, number):
    state = dict(line.split(":\t", 1) for line in file_text(f"/proc/{pid}/status").splitlines() if ":\t" in line)
    masks = [int(state[name], 16) for name in ("SigPnd", "ShdPnd") if name in state]
    return not state.get("State", "Z").startswith("Z") and any(mask >> (number - 1) & 1 for mask in masks)


@pytest.mark.parametrize("numbers", ENDS.values(), ids=ENDS.keys())
def test_what_a_script_has_put_into_sessions_of_its_own_does_not_outlive_the_poller(site, poller, traces, numbers):
    site.threads(len(RUNAWAYS))
    for id, command in enumerate(RUNAWAYS.values(), 1):
        add_sleeper(site, id, command)
    with poller.start(first=0, last=99, env=traces.env) as running:
        wait_until(lambda: all(any(f"sleep {n}" in c for c in traces.commands()) for n in RUNAWAYS), "the runaways")
        for number in numbers:  # each has been taken before the next one is sent: two that wait are one
            running.signal(number)
            wait_until(lambda: not is_pending(running.pid, number), "the signal to be taken")
        run = running.wait()
    assert run.status == -numbers[0], run
    traces.wait_gone()


# ---- a library call that does not return ----

@pytest.fixture
def faults(build):
    return build.binary.path.parent / "tests/support/faults.so"


@pytest.mark.alone("it changes the process that is started")
def test_a_request_that_never_returns_costs_its_device_only(site, snmpd, poller, traces, faults):
    site.settings(poller_interval=4)
    expected = seed(site, snmpd)
    with silent(site, items=4) as device:
        env = traces.env_with(LD_PRELOAD=faults, FAULT_SEND_PORT=str(device.port))
        run = poller.run("-V", "3", first=0, last=99, env=env)
    assert run.status == 75, run
    if poller.loop == "async":  # one thread asks all devices: it is the cycle that is lost, and the watchdog that tells
        assert run.log_lines("WARNING: The event loop has not turned for"), run
        assert len(run.log_lines("ERROR: The cycle did not end in time; the process is ended now")) == 1, run
        return
    assert_stored(site, expected)
    assert_closed(site, run)
    assert len(run.log_lines("WARNING: Device[99] A call for SNMP has not returned for")) == 1, run
    assert len(run.log_lines("Device[99] HT[1] Spine Timed Out While Processing Devices Internal")) == 1, run
    assert "4 unfinished; rows: 12 expected, 12 stored" in run.log, run
    assert run.log.splitlines()[-1].endswith("Devices: 5"), run


@pytest.mark.alone("it changes the process that is started")
def test_a_statement_that_never_returns_does_not_keep_the_row_open(site, snmpd, poller, traces, faults):
    site.settings(poller_interval=4)
    seed(site, snmpd)
    env = traces.env_with(LD_PRELOAD=faults, FAULT_STATEMENT="INTO poller_output")
    run = poller.run(first=0, last=9, env=env)
    assert run.status == 75, run
    assert_closed(site, run)
    assert len(run.log_lines("ERROR: The database thread does not return from a call")) == 1, run


@pytest.mark.first_build
@pytest.mark.alone("it changes the process that is started")
def test_a_write_to_the_log_that_never_returns_does_not_keep_the_process(site, snmpd, poller, traces, faults):
    """A thread that logs holds the log's mutex: the watchdog must not need it."""
    site.settings(poller_interval=4)
    seed(site, snmpd)
    add_sleeper(site)
    env = traces.env_with(LD_PRELOAD=faults, FAULT_WRITE="Total Time:")
    run = poller.run("-V", "3", first=0, last=99, env=env)
    assert run.status == 75, run
    assert len(run.log_lines("ERROR: The cycle did not end in time; the process is ended now")) == 1, run


@pytest.mark.first_build
@pytest.mark.alone("it changes the process that is started")
def test_a_log_that_takes_no_line_does_not_keep_the_process_either(site, snmpd, poller, traces, faults):
    """On a dead file system the watchdog's own line hangs, too."""
    site.settings(poller_interval=4)
    seed(site, snmpd)
    env = traces.env_with(LD_PRELOAD=faults, FAULT_WRITE="SPINE: Poller[")
    run = poller.run("-V", "3", first=0, last=99, env=env)
    assert run.status == 75, run


# ---- clocks, and pollers at the same time ----

@pytest.mark.first_build
def test_a_wall_clock_that_jumps_changes_no_duration(site, snmpd, poller, traces, faults):
    """An hour on, an hour back, and beyond 2038."""
    expected = seed(site, snmpd)
    site.threads(1)
    for cycle, jump in enumerate((HOUR_S, -HOUR_S, 2**31), 1):
        with silent(site, requests=2, timeout=300, polling_time=9):
            env = traces.env_with(LD_PRELOAD=faults, FAULT_WALL=f"{jump}@300")
            run = poller.run("-V", "3", first=0, last=99, env=env)
        assert run.status == 0, run
        assert site.take_outputs() == {key: [value] for key, value in expected.items()}
        assert_closed(site, run, cycles=cycle)
        assert_short(site, run)


def assert_short(site, run):
    """No duration that was stored or told has anything to do with the wall clock."""
    assert all(0 <= r["polling_time"] < HOUR_S / 2 for r in site.sql("SELECT polling_time FROM host"))
    assert 0 < float(run.log_lines("Time: ")[-1].split("Time: ")[1].split()[0]) < HOUR_S / 2, run


@pytest.mark.first_build
def test_an_interval_longer_than_the_run_is_not_waited_for(site, snmpd, poller, traces):
    site.settings(poller_interval=86400)
    expected = seed(site, snmpd)
    run = poller.run(first=0, last=9, env=traces.env)
    assert run.status == 0, run
    assert_stored(site, expected)


@pytest.mark.first_build
def test_two_runs_over_the_same_devices_do_no_harm(site, snmpd, poller, traces):
    expected = seed(site, snmpd)
    with silent(site, requests=2, timeout=500) as device:
        with poller.start(first=0, last=99, env=traces.env) as first:
            device.wait_for_request()
            second = poller.run(first=0, last=99, env=traces.env)
            run = first.wait()
    assert (run.status, second.status) == (0, 0), f"{run!r}\n{second!r}"
    stored = site.outputs()
    assert stored.keys() == expected.keys()
    assert all({value for _, value in rows} == {expected[key]} and len(rows) <= 2 for key, rows in stored.items())
    assert all(c["end_time"] is not None for c in site.cycles())


# ---- which poller polls which device ----

@pytest.mark.first_build
def test_shards_with_gaps_poll_everything_once(site, snmpd, poller, traces):
    expected = seed(site, snmpd, devices=(1, 2, 4, 7, 9))
    ours = site.add_items([{"arg1": "/bin/echo 7", "action": cacti.SCRIPT}])[0]
    with poller.start(first=0, last=3, env=traces.env) as first:
        runs = [poller.run(first=4, last=8, env=traces.env), poller.run(first=9, last=9, env=traces.env),
                poller.run(first=5, last=6, env=traces.env), first.wait()]
    assert [run.status for run in runs] == [0, 0, 0, 0], runs
    assert_stored(site, {**expected, ours: "7"})


@pytest.mark.first_build
def test_a_host_list_of_16000_characters(site, snmpd, poller, traces):
    expected = seed(site, snmpd)
    ids = ",".join(["1", "2", "3", "4", *map(str, range(10000, 12660))])
    assert len(ids) > 15900
    run = poller.run(f"--hostlist={ids}", env=traces.env)
    assert run.status == 0, run
    assert_stored(site, expected)


@pytest.mark.first_build
def test_a_range_that_is_upside_down_polls_nothing(site, snmpd, poller, traces):
    seed(site, snmpd)
    run = poller.run(first=9, last=1, env=traces.env)
    assert run.status == 64, run
    assert not site.cycles() and not site.outputs()


# ---- a reader that does not read ----

@pytest.mark.first_build
def test_a_reader_that_has_stopped_reading_delays_nothing(site, poller, traces):
    """Standard output is a pipe of one page that is never read."""
    import fcntl
    with silent(site, timeout=100, availability_method=0, items=400):
        read_end, write_end = os.pipe()
        fcntl.fcntl(write_end, 1031, 4096)  # F_SETPIPE_SZ
        try:
            run = poller.run("--stdout", "-V", "5", first=0, last=99, stdout=write_end, env=traces.env)
        finally:
            os.close(read_end)
            os.close(write_end)
    assert run.status == 0, run
    assert_closed(site, run)
    assert len(site.outputs()) == 400
