"""A daemon carries out cycles for the processes that Cacti starts; whatever is wrong with it, each cycle is polled once and its row
closed (docs/daemon.md)."""

import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

from support.checks import assert_closed, assert_only_a_cycle_changed, assert_stored
from support.lab import HANG_S, LabError, SilentDevice, wait_until
from support.resident import Resident, status_of, valid_status
from support.snmpd import PLAYPEN
from support.traces import Traces

from conftest import held_device, real_value
from test_events import read_events
from test_figures import on_a_terminal
from test_lifecycle_faults import add_sleeper, locked

pytestmark = [pytest.mark.libevent(True), pytest.mark.alone("it starts daemons itself")]

#: What a client says when it polls by itself, at verbosity MEDIUM.
ALONE = "this process polls by itself"


def seed(site, snmpd, devices=range(1, 4), items=5):
    """Devices on the real agent; returns what must be stored."""
    expected = {}
    for d in devices:
        device = site.add_device(d, hostname=snmpd.addresses[0], port=snmpd.port)
        for n in range(1, items + 1):
            expected[site.add_snmp_item(device, f"{PLAYPEN}.{d}.{n}", rrd_name=f"v{n}")] = str(real_value(d, n))
    return expected


def processor_time(pid):
    """Of a process with all its threads, in seconds, by the scheduler's own clock."""
    return time.clock_gettime((~pid << 3) | 2)


@pytest.fixture
def daemon(poller):
    with Resident(poller) as daemon:
        yield daemon


@pytest.fixture
def plain_daemon(plain_poller):
    """For what does not depend on the way in which cycles are run."""
    with Resident(plain_poller) as daemon:
        yield daemon


# ---- the same cycle ----


def test_a_cycle_in_the_daemon_stores_the_same_rows(site, snmpd, poller, daemon):
    expected = seed(site, snmpd, devices=range(1, 21), items=20)
    before = site.snapshot()
    with poller.start("-V", "3", first=0, last=50) as running:
        run = running.wait()
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    assert_only_a_cycle_changed(before, site.snapshot(), devices=range(1, 21))
    assert site.cycles()[0]["pid"] == running.pid
    assert f"PID[{running.pid}]" in run.log_lines("STATS:")[0], "lines of a cycle have the pid that Cacti knows"
    assert not run.log_lines(ALONE), run
    assert status_of(poller)[1]["daemon"]["cycles"]["ended"] == 1


def test_a_terminal_shows_how_far_the_cycle_in_the_daemon_is(site, snmpd, plain_poller, plain_daemon):
    seed(site, snmpd)
    with SilentDevice() as silent:
        site.add_device(9, port=silent.port, snmp_timeout=700)
        text, status = on_a_terminal(plain_poller)
    assert status == 0 and re.search(r"\r3 of 4 devices, 0 down, ", text), text
    assert plain_daemon.state()["cycles"]["ended"] == 1


def test_events_and_figures_of_a_cycle_are_its_own(site, snmpd, poller, daemon, work):
    """Of the second one as of the first, and not of all that the daemon has done."""
    seed(site, snmpd)
    poller.write_conf(poller.conf_text(Event_Log=work / "events", Metrics_File=work / "metrics"))
    pids = []
    for _ in range(2):
        before = processor_time(daemon.pid)
        with poller.start(first=0, last=50) as running:
            pids.append(running.pid)
            assert running.wait().status == 0
    used = processor_time(daemon.pid) - before
    events = read_events(work / "events")
    for pid in pids:
        numbers = [e["number"] for e in events if e["pid"] == pid]
        assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) == len(events) / 2, numbers
    told = re.search(r"^spine_process_cpu_seconds(?:{.*})? (\S+)$", (work / "metrics").read_text(), re.M)[1]
    assert 0 < float(told) <= used, (told, used)


def test_cycles_at_the_same_time_have_a_row_and_figures_each(site, snmpd, poller, daemon):
    expected = seed(site, snmpd, devices=range(1, 11))
    commands = [poller.command(first=first, last=last) for first, last in ((1, 4), (5, 8), (9, 10))]
    started = [poller.start_as(command) for command in commands]
    for running in started:
        assert running.wait().status == 0
    assert_stored(site, expected)
    assert {c["pid"] for c in site.cycles()} == {running.pid for running in started}
    assert all(c["end_time"] for c in site.cycles())
    log = pathlib.Path(site.log).read_text()
    for running, devices in zip(started, (4, 4, 2)):
        assert [line for line in log.splitlines()
                if f"PID[{running.pid}]" in line and f"Devices:{devices} " in line], log
    assert status_of(poller)[1]["daemon"]["cycles"]["begun"] == 3


def test_what_a_cycle_prints_comes_out_of_the_process_that_was_started(site, snmpd, poller, daemon):
    seed(site, snmpd)
    run = poller.run("-S", "-V", "3", first=0, last=50)
    assert run.status == 0, run
    assert "Devices: 3" in run.stdout and "STATS:" in run.stdout, run
    assert "STATS:" not in run.log
    assert "STATS:" not in daemon.log()


def test_scripts_have_the_environment_and_the_directory_of_the_process_that_was_started(site, poller, daemon, work):
    here = work / "here"
    here.mkdir()
    device = site.add_device(1, availability_method=0)
    keys = site.add_items([{"device": device, "action": 1, "arg1": "/bin/sh -c 'echo ${#SPINE_LENGTH}; '", "rrd_name": "a"},
                           {"device": device, "action": 1, "arg1": "/bin/sh -c 'pwd | wc -c'", "rrd_name": "b"}])
    run = poller.run(first=0, last=50, cwd=here, env={"SPINE_LENGTH": "seven c"})
    assert run.status == 0, run
    assert_stored(site, {keys[0]: "7", keys[1]: str(len(str(here)) + 1)})


def test_the_arguments_of_a_cycle_count_and_not_those_of_the_daemon(site, snmpd, plain_poller, plain_daemon):
    expected = seed(site, snmpd, devices=(1, 2))
    run = plain_poller.run("--readonly", first=0, last=50)
    assert run.status == 0, run
    assert not site.outputs() and not site.cycles()
    assert plain_poller.run("-H", "2").status == 0
    assert_stored(site, {key: text for key, text in expected.items() if int(text) // 1000 == 2})


def test_a_cycle_that_cannot_begin_has_the_exit_status_that_it_has_without_a_daemon(site, snmpd, poller, daemon):
    seed(site, snmpd)
    site.server.stop()
    run = poller.run(first=0, last=50)
    assert run.status == 69, run
    site.server.start()
    assert poller.run(first=0, last=50).status == 0


def test_many_cycles_leave_no_thread_and_no_descriptor(site, snmpd, poller, daemon):
    seed(site, snmpd)
    device = site.add_device(9, availability_method=0)
    site.add_items([{"device": device, "action": 1, "arg1": "echo 1", "rrd_name": "a"}])
    for _ in range(3):  # what is made once is there
        assert poller.run(first=0, last=50).status == 0
    before = daemon.threads(), daemon.descriptors()
    for _ in range(20):
        assert poller.run(first=0, last=50).status == 0
    wait_until(lambda: daemon.descriptors() <= before[1], "the descriptors to be closed")
    wait_until(lambda: daemon.threads() <= before[0], "the threads to end")


# ---- signals ----

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS, ids=[number.name for number in SIGNALS])
def test_a_signal_to_the_process_that_was_started_ends_its_cycle_alone(site, snmpd, poller, daemon, number):
    expected = seed(site, snmpd)
    with held_device(site) as device:
        with poller.start(first=99, last=99) as running:
            device.wait_for_request()
            assert site.wait_for_open_cycle()["pid"] == running.pid
            assert poller.run(first=0, last=50).status == 0  # another one, beside it
            os.kill(running.pid, number)
            run = running.wait()
    assert run.status == -number, run
    assert all(c["end_time"] for c in site.cycles()), site.cycles()
    assert_stored(site, expected)
    assert status_of(poller)[0] == 0, "the daemon lives"


def test_sigusr1_to_the_process_that_was_started_tells_what_its_cycle_does(site, poller, daemon):
    with held_device(site) as device:
        with poller.start(first=0, last=99) as running:
            device.wait_for_request()
            running.signal(signal.SIGUSR1)
            wait_until(lambda: "Device[99]" in pathlib.Path(site.log).read_text(), "the state of the cycle in the log")
            running.signal(signal.SIGTERM)
            running.wait()


def test_the_row_is_closed_when_the_process_that_was_started_is_killed(site, snmpd, poller, daemon):
    with held_device(site) as device:
        with poller.start(first=0, last=99) as running:
            device.wait_for_request()
            site.wait_for_open_cycle()
            running.signal(signal.SIGKILL)
            assert running.wait().status == -signal.SIGKILL
        wait_until(lambda: all(c["end_time"] for c in site.cycles()), "the row to be closed")
    assert f"client {running.pid} of poller 1 has ended" in daemon.log()
    expected = seed(site, snmpd)
    site.sql("DELETE FROM host WHERE id=99")
    assert poller.run(first=0, last=50).status == 0
    assert_stored(site, expected)


# ---- the daemon goes ----


def test_a_daemon_that_is_killed_in_mid_cycle_leaves_no_row_open_and_nothing_is_polled_twice(site, poller, daemon):
    with held_device(site) as device:
        with poller.start(first=0, last=99) as running:
            device.wait_for_request()
            site.wait_for_open_cycle()
            daemon.kill()
            run = running.wait()
        assert device.requests() == 0, "the device was asked again"
    assert run.status == 75, run
    assert len(site.cycles()) == 1 and site.cycles()[0]["end_time"], site.cycles()
    assert "has ended; what it had not stored is lost, and the row in poller_time is closed" in run.log, run


def test_a_signal_before_its_cycle_has_anything_open_ends_the_process(site, server, snmpd, poller, daemon, work):
    expected = seed(site, snmpd)
    poller.write_conf(poller.conf_text(Report_File=work / "report"))
    with locked(server, "settings", "settings", []) as wait, poller.start(first=0, last=50) as running:
        wait()
        running.signal(signal.SIGTERM)
        assert running.wait().status == -signal.SIGTERM
    assert not site.cycles() and not (work / "report").exists()
    assert poller.run(first=0, last=50).status == 0
    assert_stored(site, expected)
    assert daemon.state()["cycles"]["begun"] == 2


def test_sigterm_ends_the_daemon_in_order_and_its_cycles_by_that_signal(site, poller, daemon):
    with held_device(site) as device:
        with poller.start(first=0, last=99) as running:
            device.wait_for_request()
            site.wait_for_open_cycle()
            daemon.process.send_signal(signal.SIGTERM)
            run = running.wait()
    assert run.status == -signal.SIGTERM, run
    assert site.cycles()[0]["end_time"] is not None
    assert daemon.wait_for_end() == 0
    assert not daemon.socket.exists()
    assert "STOPPING=1" in daemon.told()
    assert poller.run(first=0, last=0).status == 0, "the next one polls by itself"


# ---- a library call that does not return ----


@pytest.fixture
def preload(build):
    """For the environment of a daemon in which a call does not return, or of its clients alone."""
    return {"LD_PRELOAD": str(build.binary.path.parent / "tests/support/faults.so")}


def assert_next_cycle_is_polled(site, poller, expected, daemon):
    site.take_outputs()
    assert poller.run(first=0, last=50).status == 0
    assert_stored(site, expected)
    assert status_of(poller)[1]["daemon"]["cycles"]["abandoned"] == 1
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.wait_for_end() == 0


def test_a_request_that_never_returns_costs_its_cycle_only(site, snmpd, poller, preload):
    site.settings(poller_interval=4)
    expected = seed(site, snmpd)
    with held_device(site) as device, Resident(poller, env=preload | {"FAULT_SEND_PORT": str(device.port)}) as daemon:
        run = poller.run(first=0, last=99)
        assert run.status == 75, run
        assert_closed(site, run)
        assert_next_cycle_is_polled(site, poller, expected, daemon)


def test_a_cycle_that_hangs_as_a_whole_is_given_up_and_the_daemon_goes_on(site, snmpd, poller, preload):
    """A thread that logs holds the log's mutex: of its cycle alone. Its scripts end, too."""
    site.settings(poller_interval=4)
    expected = seed(site, snmpd)
    traces = Traces()
    add_sleeper(site, 50, "/usr/bin/setsid /bin/sleep 6001 & exec /bin/sleep 600")
    with Resident(poller, env=preload | {"FAULT_WRITE": "Total Time:"}) as daemon:
        run = poller.run("-V", "3", first=0, last=50, env=traces.env)
        assert run.status == 75, run
        assert_closed(site, run)
        assert re.search(r"has given the cycle up: ERROR: The cycle did not end in time; it is given up.*; what it had not stored is lost, "
                         r"and the row in poller_time is closed", run.log), run
        traces.wait_gone()
        site.sql("DELETE FROM host WHERE id = 50")
        assert "ERROR: The cycle did not end in time; it is given up" in daemon.log()
        assert_next_cycle_is_polled(site, poller, expected, daemon)


# ---- whatever is wrong before the daemon has begun ----


@pytest.fixture
def alone(site, snmpd):
    """Checks that a run has polled by itself, everything once, and has said why in one line."""
    expected = seed(site, snmpd)

    def check(run, why):
        assert run.status == 0, run
        assert_stored(site, expected)
        assert_closed(site, run)
        assert len(run.log_lines(ALONE)) == 1 and why in run.log_lines(ALONE)[0], run

    return check


def test_without_a_daemon_the_process_polls_by_itself(site, plain_poller, alone):
    plain_poller.write_conf(plain_poller.conf_text(Daemon="auto", Daemon_Socket=plain_poller.directory / "none"))
    alone(plain_poller.run("-V", "3", first=0, last=50), "no daemon listens at")


def test_the_line_about_the_daemon_needs_verbosity_medium(site, snmpd, plain_poller):
    seed(site, snmpd)
    plain_poller.write_conf(plain_poller.conf_text(Daemon="auto", Daemon_Socket=plain_poller.directory / "none"))
    assert not plain_poller.run(first=0, last=50).log_lines(ALONE)


def test_a_daemon_without_daemon_auto_is_not_asked(site, snmpd, plain_poller, plain_daemon):
    expected = seed(site, snmpd)
    run = plain_poller.run("-V", "3", first=0, last=50, env={"SPINE_DAEMON": "off"})
    assert run.status == 0 and not run.log_lines(ALONE), run
    assert_stored(site, expected)
    assert status_of(plain_poller)[1]["daemon"]["cycles"]["begun"] == 0


def test_the_environment_chooses_the_daemon_too(site, plain_poller, alone):
    plain_poller.write_conf(plain_poller.conf_text(Daemon_Socket=plain_poller.directory / "none"))
    alone(plain_poller.run("-V", "3", first=0, last=50, env={"SPINE_DAEMON": "auto"}), "no daemon listens at")


def test_a_row_of_the_settings_table_chooses_the_daemon(site, snmpd, plain_poller, work):
    expected = seed(site, snmpd)
    site.settings(spine_daemon="auto")
    with Resident(plain_poller):
        plain_poller.write_conf(plain_poller.conf_text(Daemon=None, Report_File=work / "report"))
        assert plain_poller.run(first=0, last=50).status == 0
        assert status_of(plain_poller)[1]["daemon"]["cycles"]["begun"] == 1
    assert_stored(site, expected)
    report = json.loads((work / "report").read_text())
    assert (report["devices"]["due"], len(report["history"]["cycles"])) == (3, 1), "the file is the cycle's, not the client's"


class FalseDaemon:
    """Listens as a daemon does and answers with these messages, one for each that it gets; without any it says nothing."""

    def __init__(self, path, *answers):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(str(path))
        self._socket.listen(4)
        self._answers = [b"".join(word.encode() + b"\0" for word in answer) for answer in answers]
        self.got = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        self._client, _ = self._socket.accept()
        for answer in self._answers:
            self.got.append(self._client.recv(1 << 18).split(b"\0"))
            self._client.send(answer)
        if self._answers:
            self._client.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._socket.close()
        self._thread.join(HANG_S)


WRONG = {
    "does not answer": ((), "has not answered within 200 ms"),
    "refuses": ((("refused", "it is version 0.0"),), "does not take the cycle: it is version 0.0"),
    "hangs up": ((("offer",), ("refused", "it is stopping")), "it is stopping"),
    "ends before it has begun": ((("offer",), ("until", "1")), "has said something that is not understood"),
    "talks of something else": ((("hello", "world"),), "has said something that is not understood"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_daemon_that_does_not_begin_costs_one_line_and_nothing_else(plain_poller, alone, case):
    answers, why = WRONG[case]
    path = plain_poller.directory / "false.sock"
    plain_poller.write_conf(plain_poller.conf_text(Daemon="auto", Daemon_Socket=path))
    with FalseDaemon(path, *answers):
        run = plain_poller.run("-V", "3", first=0, last=50)
    alone(run, why)


def test_a_daemon_that_has_begun_and_ends_is_not_replaced(site, snmpd, plain_poller):
    seed(site, snmpd)
    path = plain_poller.directory / "false.sock"
    plain_poller.write_conf(plain_poller.conf_text(Daemon="auto", Daemon_Socket=path))
    with FalseDaemon(path, ("offer",), ("begun",)):
        run = plain_poller.run(first=0, last=50)
    assert run.status == 75, run
    assert not site.outputs()
    assert [c["end_time"] is not None for c in site.cycles()] == [True], "Cacti waits for this row"


def test_a_signal_that_no_cycle_has_got_ends_the_process(site, snmpd, plain_poller):
    """The daemon ends between the client's word and its own that it has begun."""
    seed(site, snmpd)
    path = plain_poller.directory / "false.sock"
    plain_poller.write_conf(plain_poller.conf_text(Daemon="auto", Daemon_Socket=path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen(1)
        with plain_poller.start(first=0, last=50) as running:
            client, _ = listener.accept()
            client.settimeout(HANG_S)
            client.recv(1 << 18)
            client.send(b"offer\0")
            assert client.recv(100) == b"go\0"
            running.signal(signal.SIGTERM)
            assert client.recv(100) == b"signal\x0015\0"
            client.close()
            run = running.wait()
    assert run.status == -signal.SIGTERM, run
    assert not site.cycles() and not site.outputs()


def test_what_the_daemon_has_no_room_for_is_polled_by_the_process_itself(site, snmpd, poller):
    expected = seed(site, snmpd)
    with Resident(poller, Daemon_Cycles=1), held_device(site) as device:
        with poller.start(first=99, last=99) as running:
            device.wait_for_request()
            run = poller.run("-V", "3", first=0, last=50)
            running.signal(signal.SIGTERM)
            running.wait()
    assert run.status == 0 and "as many cycles as it may" in run.log_lines(ALONE)[0], run
    assert_stored(site, expected)


def test_a_daemon_of_another_configuration_file_is_not_used(site, snmpd, plain_poller, plain_daemon, work):
    expected = seed(site, snmpd)
    text = plain_poller.conf.read_text()
    plain_poller.conf = work / "other.conf"
    plain_poller.write_conf(text)
    run = plain_poller.run("-V", "3", first=0, last=50)
    assert run.status == 0 and "started with another configuration file" in run.log_lines(ALONE)[0], run
    assert_stored(site, expected)


@pytest.mark.parametrize("name, value", [("TZ", "Asia/Kathmandu"), ("MARIADB_UNIX_PORT", "/no/such/socket"),
                                         ("RES_OPTIONS", "timeout:1")])
def test_what_libraries_read_in_the_environment_has_to_be_the_same(site, snmpd, plain_poller, plain_daemon, name, value):
    expected = seed(site, snmpd)
    run = plain_poller.run("-V", "3", first=0, last=50, env={name: value})
    assert run.status == 0 and f"the process has another {name} in its environment" in run.log_lines(ALONE)[0], run
    assert_stored(site, expected)


def test_a_directory_that_the_daemon_cannot_enter_is_refused(plain_daemon):
    with pytest.raises(LabError, match="it cannot enter the directory of the process"):
        plain_daemon.ask(directory="/no/such/directory")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process in another group")
def test_a_process_of_another_group_polls_by_itself(site, snmpd, plain_poller, plain_daemon):
    expected = seed(site, snmpd)
    command = [sys.executable, "-c", "import os, sys; os.setgid(7); os.execv(sys.argv[1], sys.argv[1:])", *plain_poller.command("-V", "3", first=0, last=50)]
    run = plain_poller.run_as(command)
    assert run.status == 0 and "it polls for its own group only" in run.log_lines(ALONE)[0], run
    assert_stored(site, expected)


def test_scripts_have_the_umask_of_the_process(site, plain_poller, plain_daemon):
    device = site.add_device(1, availability_method=0)
    keys = site.add_items([{"device": device, "action": 1, "arg1": "echo 9$(umask)", "rrd_name": "a"}])
    for mask in ("0027", "0002"):
        command = ["/bin/sh", "-c", f'umask {mask}; exec "$@"', "sh", *plain_poller.command(first=0, last=50)]
        assert plain_poller.run_as(command).status == 0
        assert_stored(site, {keys[0]: f"9{mask}"})
        site.sql("DELETE FROM poller_output")
    assert plain_daemon.state()["cycles"]["ended"] == 2


def test_files_with_relative_names_are_written_by_the_process_itself(site, snmpd, plain_poller, plain_daemon, work):
    seed(site, snmpd)
    run = plain_poller.run("-V", "3", "--report=report.json", first=0, last=50, cwd=work)
    assert run.status == 0 and "is a relative path" in run.log_lines(ALONE)[0], run
    assert (work / "report.json").exists()


@pytest.mark.libevent(False)
@pytest.mark.quick
def test_a_build_without_libevent_has_no_daemon_and_polls(plain_poller, alone):
    plain_poller.write_conf(plain_poller.conf_text(Daemon="auto", Daemon_Socket=plain_poller.directory / "none"))
    done = subprocess.run([plain_poller.binary.path, "-C", plain_poller.conf, "--daemon"], capture_output=True, text=True,
                          timeout=HANG_S)
    assert done.returncode == 69 and "--daemon needs libevent" in done.stderr, done
    alone(plain_poller.run("-V", "3", first=0, last=50), "there is no daemon in a build without libevent")


# ---- the socket ----


def test_the_socket_is_for_its_user_and_group(plain_poller, plain_daemon):
    assert stat.S_IMODE(plain_daemon.socket.stat().st_mode) == 0o660


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_another_user_is_refused(plain_poller, plain_daemon):
    for path in (plain_daemon.socket, plain_daemon.directory, plain_poller.directory, plain_poller.directory.parent):
        path.chmod(0o777)
    ask = ("import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534);"
           "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); print(s.recv(1000))")
    done = subprocess.run([sys.executable, "-c", ask, str(plain_daemon.socket)], capture_output=True, text=True, timeout=HANG_S)
    assert "refused" in done.stdout and "its own user" in done.stdout, done


def test_the_socket_of_a_daemon_that_was_killed_is_taken_over(site, snmpd, plain_poller, plain_daemon):
    expected = seed(site, snmpd)
    plain_daemon.kill()
    assert plain_daemon.socket.exists()
    plain_daemon.start()
    assert plain_poller.run(first=0, last=50).status == 0
    assert_stored(site, expected)
    assert status_of(plain_poller)[1]["daemon"]["cycles"]["begun"] == 1


def test_a_second_daemon_at_one_socket_is_refused(plain_poller, plain_daemon):
    done = subprocess.run(plain_daemon.arguments(), capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 69, done
    assert "another daemon listens at" in done.stderr
    assert status_of(plain_poller)[0] == 0, "the first one lives"


def test_a_file_at_the_name_of_the_socket_is_left_alone(plain_poller, work):
    daemon = Resident(plain_poller)
    daemon.socket.write_text("precious")
    done = subprocess.run(daemon.arguments(), capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 78 and "is not a socket" in done.stderr, done
    assert daemon.socket.read_text() == "precious"


# ---- the service manager ----


def test_a_service_manager_is_told_what_the_daemon_does(site, snmpd, plain_poller):
    seed(site, snmpd)
    with Resident(plain_poller, watchdog_s=1) as daemon:
        daemon.wait_to_be_told("WATCHDOG=1")
        assert daemon.told()[0] == "READY=1"
        assert plain_poller.run(first=0, last=50).status == 0
        daemon.wait_to_be_told("STATUS=0 cycles, 1 since the start")
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.wait_for_end() == 0
        assert "STOPPING=1" in daemon.told()


def test_scripts_do_not_talk_to_the_service_manager(site, plain_poller, plain_daemon):
    device = site.add_device(1, availability_method=0)
    keys = site.add_items([{"device": device, "action": 1, "arg1": "echo ${#NOTIFY_SOCKET}", "rrd_name": "a"}])
    assert plain_poller.run(first=0, last=50).status == 0
    assert_stored(site, {keys[0]: "0"})


# ---- --status ----


def test_status_says_what_the_daemon_does(site, snmpd, plain_poller, plain_daemon):
    seed(site, snmpd)
    assert valid_status(status_of(plain_poller)[1])["daemon"]["last"] is None
    assert plain_poller.run(first=0, last=50).status == 0
    with held_device(site) as device:
        with plain_poller.start(first=99, last=99) as running:
            device.wait_for_request()
            code, found = status_of(plain_poller)
            text = subprocess.run([plain_poller.binary.path, "-C", plain_poller.conf, "--status"], capture_output=True, text=True,
                                  timeout=HANG_S)
            running.signal(signal.SIGTERM)
            running.wait()
    valid_status(found)
    assert code == 0 and found["running"] and found["why_not"] is None
    inside = found["daemon"]
    assert inside["pid"] == plain_daemon.pid and inside["cycles"]["begun"] == 2 and inside["cycles"]["ended"] == 1
    assert [(c["poller"], c["client_pid"]) for c in inside["running"]] == [(1, running.pid)]
    assert inside["last"]["exit_status"] == 0
    assert text.returncode == 0 and f"pid {plain_daemon.pid}" in text.stdout and f"client {running.pid}" in text.stdout, text


def test_status_says_so_when_no_daemon_runs(plain_poller):
    plain_poller.write_conf(plain_poller.conf_text(Daemon_Socket=plain_poller.directory / "none"))
    code, found = status_of(plain_poller)
    valid_status(found)
    assert code == 3 and not found["running"] and "no daemon listens at" in found["why_not"], found
    text = subprocess.run([plain_poller.binary.path, "-C", plain_poller.conf, "--status"], capture_output=True, text=True, timeout=HANG_S)
    assert text.returncode == 3 and "daemon      none: no daemon listens at" in text.stdout, text
