"""Events of a daemon's cycles through its socket, waiting for them, and what --status says with and without a daemon
(docs/daemon.md, docs/events.md)."""

import grp
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from support.checks import assert_stored
from support.lab import HANG_S, file_text, wait_until
from support.resident import Resident, status_of, valid_status

import test_daemon
from conftest import held_device

pytestmark = [pytest.mark.libevent(True), pytest.mark.alone("it starts daemons itself")]

DEVICES = 50


def seed(site, snmpd, devices=range(1, DEVICES + 1)):
    return test_daemon.seed(site, snmpd, devices, items=3)


@pytest.fixture
def daemon(plain_poller):
    with Resident(plain_poller) as daemon:
        yield daemon


class Reader:
    """A process of the program that reads events or waits; what it prints goes to a file."""

    def __init__(self, poller, *arguments, conf=None, stdout=None):
        self.output = poller.directory / f"reader.{time.monotonic_ns()}"
        with open(self.output, "w") as output, open(f"{self.output}.err", "w") as errors:
            self.process = subprocess.Popen([poller.binary.path, "-C", conf or poller.conf, *arguments],
                                            stdout=stdout or output, stderr=errors)

    def lines(self):
        """What it has printed so far, in whole lines."""
        return [json.loads(line) for line in file_text(self.output).splitlines(keepends=True) if line.endswith("\n")]

    def types(self):
        return [event["type"] for event in self.lines()]

    def errors(self):
        return file_text(f"{self.output}.err")

    def wait(self):
        return self.process.wait(HANG_S)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def subscribers(poller):
    return status_of(poller)[1]["daemon"]["events"]["subscribers"]


def wait_for_subscribers(poller, count):
    wait_until(lambda: len(subscribers(poller)) == count, f"{count} processes to read events")


def follow(poller, *arguments, **how):
    return Reader(poller, "--events", "--follow", "--format=json", *arguments, **how)


def run(poller, *arguments):
    return subprocess.run([poller.binary.path, "-C", poller.conf, *arguments], capture_output=True, text=True, timeout=HANG_S)


def finished(events):
    return sorted(event["device"] for event in events if event["type"] == "device.finished")


# ---- following ----


def test_a_reader_gets_every_event_of_a_cycle_once(site, snmpd, poller):
    expected = seed(site, snmpd)
    with Resident(poller), follow(poller) as reader:
        wait_for_subscribers(poller, 1)
        with poller.start(first=0, last=99) as running:
            assert running.wait().status == 0
        wait_until(lambda: "cycle.ended" in reader.types(), "the end of the cycle")
        events = reader.lines()
    assert_stored(site, expected)
    assert finished(events) == list(range(1, DEVICES + 1))
    assert events[0]["type"] == "cycle.started" and events[-1]["type"] == "cycle.ended"
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert {(event["poller_id"], event["client_pid"]) for event in events} == {(1, running.pid)}


def test_events_of_cycles_at_the_same_time_say_whose_they_are(site, snmpd, plain_poller, daemon):
    seed(site, snmpd, devices=range(1, 9))
    with follow(plain_poller) as reader:
        wait_for_subscribers(plain_poller, 1)
        started = [plain_poller.start(first=first, last=first + 3) for first in (1, 5)]
        for running in started:
            with running:
                assert running.wait().status == 0
        wait_until(lambda: reader.types().count("cycle.ended") == 2, "the ends of both cycles")
        events = reader.lines()
    for running, devices in zip(started, ([1, 2, 3, 4], [5, 6, 7, 8])):
        assert finished([event for event in events if event["client_pid"] == running.pid]) == devices


def test_two_readers_get_the_same(site, snmpd, plain_poller, daemon):
    seed(site, snmpd, devices=range(1, 11))
    with follow(plain_poller) as one, follow(plain_poller) as two:
        wait_for_subscribers(plain_poller, 2)
        assert plain_poller.run(first=0, last=99).status == 0
        for reader in (one, two):
            wait_until(lambda: "cycle.ended" in reader.types(), "the end of the cycle")
        assert one.lines() == two.lines()
        one.process.terminate()
        assert one.wait() == -signal.SIGTERM
        wait_for_subscribers(plain_poller, 1)


def test_lines_are_those_of_the_event_log(site, snmpd, plain_poller, daemon, work):
    seed(site, snmpd, devices=range(1, 6))
    assert plain_poller.run(f"--event-log={work}/events", first=0, last=99).status == 0
    logged = [json.loads(line) for line in (work / "events").read_text().splitlines()]
    told = [json.loads(line) for line in run(plain_poller, "--events", "--format=json").stdout.splitlines()]
    assert {event["pid"] for event in told} == {daemon.pid}
    assert [{k: v for k, v in event.items() if k not in ("poller_id", "client_pid")} | {"pid": event["client_pid"]}
            for event in told] == logged


def test_a_filter_leaves_the_others_in_the_daemon(site, snmpd, plain_poller, daemon):
    seed(site, snmpd, devices=range(1, 6))
    with follow(plain_poller, "--type=device.finished,cycle.*") as reader:
        wait_for_subscribers(plain_poller, 1)
        assert plain_poller.run(first=0, last=99).status == 0
        wait_until(lambda: "cycle.ended" in reader.types(), "the end of the cycle")
        events = reader.lines()
        assert subscribers(plain_poller)[0]["offered"] == len(events)
    assert finished(events) == [1, 2, 3, 4, 5]
    assert {event["type"].split(".")[0] for event in events} == {"device", "cycle"}
    assert {event["type"] for event in events if event["type"].startswith("device.")} == {"device.finished"}


def test_frequent_events_come_when_they_are_named(site, snmpd, plain_poller, daemon):
    seed(site, snmpd, devices=[1])
    with follow(plain_poller, "--type=ask.*,cycle.ended") as reader:
        wait_for_subscribers(plain_poller, 1)
        assert plain_poller.run(first=0, last=99).status == 0
        wait_until(lambda: "cycle.ended" in reader.types(), "the end of the cycle")
        assert {"ask.started", "ask.answered"} <= set(reader.types())


def test_a_reader_that_stops_reading_costs_its_own_events_alone(site, snmpd, plain_poller, daemon):
    expected = seed(site, snmpd)
    with follow(plain_poller, "--buffer=16", "--type=*") as slow, follow(plain_poller, "--buffer=65536", "--type=*") as quick:
        wait_for_subscribers(plain_poller, 2)
        slow.process.send_signal(signal.SIGSTOP)
        for _ in range(40):
            assert plain_poller.run(first=0, last=99).status == 0
            assert_stored(site, expected)
            site.take_outputs()
            figures = {s["pid"]: s for s in subscribers(plain_poller)}
            if figures[slow.process.pid]["dropped"] > 100 and figures[slow.process.pid]["waiting"] == 16:
                break  # on a busy machine events are dropped before the socket is full
        assert figures[slow.process.pid]["dropped"] > 100, figures
        assert figures[slow.process.pid]["waiting"] == figures[slow.process.pid]["deepest"] == 16
        assert figures[quick.process.pid]["dropped"] == 0
        wait_until(lambda: len(quick.lines()) == figures[quick.process.pid]["offered"], "all events at the quick reader")
        slow.process.send_signal(signal.SIGCONT)
        wait_until(lambda: slow.lines()[-1:] and slow.lines()[-1].get("number") == figures[slow.process.pid]["offered"],
                   "the last event at the slow reader")
        events = slow.lines()
    gaps = [event["dropped"] for event in events if event["type"] == "events.dropped"]
    assert sum(gaps) == figures[slow.process.pid]["dropped"]
    assert len(events) - len(gaps) + sum(gaps) == figures[slow.process.pid]["offered"]


def test_a_gap_is_told_in_text_too(site, snmpd, plain_poller, daemon):
    seed(site, snmpd)
    with Reader(plain_poller, "--events", "--follow", "--buffer=16", "--type=*") as slow:
        wait_for_subscribers(plain_poller, 1)
        slow.process.send_signal(signal.SIGSTOP)
        for _ in range(40):
            assert plain_poller.run(first=0, last=99).status == 0
            if subscribers(plain_poller)[0]["dropped"] > 0:
                break
        slow.process.send_signal(signal.SIGCONT)
        wait_until(lambda: "events are missing here: this reader was too slow\n" in file_text(slow.output), "the gap")
    assert "poller 1, " in file_text(slow.output) and "device.finished Device[" in file_text(slow.output)


# ---- the end ----


def test_without_follow_the_last_events_are_printed(site, snmpd, plain_poller):
    seed(site, snmpd, devices=range(1, 31))
    with Resident(plain_poller, Event_Buffer=16):
        assert run(plain_poller, "--events").stdout == ""
        assert plain_poller.run(first=0, last=99).status == 0
        done = run(plain_poller, "--events", "--format=json")
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0 and len(events) == 16 and events[-1]["type"] == "cycle.ended", done
        text = run(plain_poller, "--events", "--type=cycle.ended").stdout
        assert text.count("\n") == 1 and "cycle.ended devices=30" in text, text
        with follow(plain_poller) as reader:
            wait_until(lambda: len(reader.lines()) == 16, "the last events")
            assert plain_poller.run(first=1, last=1).status == 0
            wait_until(lambda: reader.types().count("cycle.ended") == 2, "the events that follow")
            assert [event["number"] for event in reader.lines()] == list(range(1, len(reader.lines()) + 1))


def test_readers_hear_of_the_last_cycle_and_end_with_the_daemon(site, plain_poller, daemon):
    with held_device(site) as device, follow(plain_poller) as reader:
        wait_for_subscribers(plain_poller, 1)
        with plain_poller.start(first=0, last=99) as running:
            device.wait_for_request()
            daemon.process.send_signal(signal.SIGTERM)
            assert running.wait().status == -signal.SIGTERM
        assert daemon.wait_for_end() == 0
        assert reader.wait() == 0
        assert reader.types()[-1] == "cycle.ended"


def test_a_reader_that_does_not_read_does_not_hold_the_end_of_the_daemon(site, snmpd, plain_poller, daemon):
    seed(site, snmpd)
    with follow(plain_poller, "--type=*") as reader:
        wait_for_subscribers(plain_poller, 1)
        reader.process.send_signal(signal.SIGSTOP)
        for _ in range(3):
            assert plain_poller.run(first=0, last=99).status == 0
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.wait_for_end() == 0


def test_a_reader_of_a_daemon_that_is_killed_says_so(plain_poller, daemon):
    with follow(plain_poller) as reader:
        wait_for_subscribers(plain_poller, 1)
        daemon.kill()
        assert reader.wait() == 75
    assert "the daemon was killed" in reader.errors()


def test_a_closed_pipe_is_a_quiet_end_also_while_nothing_happens(plain_poller, daemon):
    reading, writing = os.pipe()
    with follow(plain_poller, stdout=writing) as reader:
        os.close(writing)
        wait_for_subscribers(plain_poller, 1)
        os.close(reading)
        assert reader.wait() == 0
    assert reader.errors() == ""


def test_many_readers_leave_no_thread_and_no_descriptor(site, snmpd, plain_poller, daemon):
    seed(site, snmpd, devices=[1])
    assert plain_poller.run(first=0, last=99).status == 0
    before = daemon.threads(), daemon.descriptors()
    for _ in range(20):
        with follow(plain_poller):
            wait_for_subscribers(plain_poller, 1)
            assert run(plain_poller, "--events").returncode == 0
        wait_for_subscribers(plain_poller, 0)
    wait_until(lambda: daemon.descriptors() <= before[1], "the descriptors to be closed")
    assert daemon.threads() == before[0]


def test_readers_do_not_take_the_places_of_cycles(site, snmpd, plain_poller, daemon):
    expected = seed(site, snmpd, devices=[1])
    request = b"events\0json\0000\0001\00016\0000\0\0"
    links = []
    for n in range(33):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(HANG_S)
        s.connect(str(daemon.socket))
        s.send(request)
        links.append(s)
    assert b"too many processes read its events" in links[-1].recv(1000)
    assert plain_poller.run("-V", "3", first=0, last=99).status == 0
    assert_stored(site, expected)
    assert status_of(plain_poller)[1]["daemon"]["cycles"]["ended"] == 1
    for s in links:
        s.close()


BAD = {
    "a type that there is not": ("--type=device.finished,devise.*", 64, "'devise.*' names no event"),
    "an empty type": ("--type=cycle.ended,", 64, "'' names no event"),
    "a type of recordings": ("--type=run.input", 64, "'run.input' names no event"),
    "a buffer that is no power of two": ("--buffer=100", 64, "must be a power of two from 16 to 65536"),
    "a buffer that is too small": ("--buffer=8", 64, "must be a power of two from 16 to 65536"),
    "a buffer that is too large": ("--buffer=131072", 64, "must be a power of two from 16 to 65536"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_asked_for_is_refused_with_the_reason(plain_poller, case):
    argument, status, text = BAD[case]
    done = run(plain_poller, "--events", argument)
    assert done.returncode == status and text in done.stderr, done


def test_a_wrong_event_buffer_is_named(plain_poller):
    plain_poller.write_conf(plain_poller.conf_text(Event_Buffer=300))
    done = run(plain_poller, "--daemon")
    assert done.returncode == 78 and "Event_Buffer must be a power of two from 16 to 65536, not '300'" in done.stderr, done


def test_events_need_a_daemon(plain_poller):
    plain_poller.write_conf(plain_poller.conf_text(Daemon_Socket=plain_poller.directory / "none"))
    done = run(plain_poller, "--events")
    assert done.returncode == 69 and "no daemon listens at" in done.stderr, done


# ---- rights ----

UNPRIVILEGED = 65534  # a user and group without any rights


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
@pytest.mark.parametrize("member", [True, False])
def test_members_of_the_group_may_read_events_and_others_may_not(site, snmpd, plain_poller, member):
    seed(site, snmpd, devices=[1])
    group = grp.getgrgid(os.getgid())
    with Resident(plain_poller, Daemon_Group=group.gr_name) as daemon:
        assert plain_poller.run(first=0, last=99).status == 0
        for path in (daemon.directory, plain_poller.directory, plain_poller.directory.parent):
            path.chmod(0o777)
        if not member:
            daemon.socket.chmod(0o777)
        plain_poller.conf.chmod(0o644)
        program = shutil.copy(plain_poller.binary.path, plain_poller.directory / "program")
        for command in ("--events", "--status"):
            done = subprocess.run([program, "-C", plain_poller.conf, command], capture_output=True, text=True, timeout=HANG_S,
                                  user=UNPRIVILEGED, group=UNPRIVILEGED, extra_groups=[group.gr_gid] if member else [])
            if member:
                assert done.returncode == 0 and ("cycle.ended" in done.stdout or f"pid {daemon.pid}" in done.stdout), done
            else:
                assert done.returncode in (3, 69) and "its own user" in done.stdout + done.stderr, done


# ---- --wait-for ----


@pytest.fixture
def no_database(plain_poller, work):
    """A spine.conf whose database does not exist."""

    def write():
        path = work / "no-database.conf"
        path.write_text(plain_poller.conf_text(DB_Host="127.0.0.1", DB_Port=9))
        return path

    return write


@pytest.fixture
def no_daemon(plain_poller):
    plain_poller.write_conf(plain_poller.conf_text(Daemon_Socket=plain_poller.directory / "none"))


def test_waiting_ends_with_the_cycle(site, snmpd, plain_poller, daemon, no_database):
    """The database of the waiting process does not answer: the daemon alone tells it."""
    seed(site, snmpd, devices=[1])
    assert plain_poller.run(first=0, last=99).status == 0  # what was before does not count
    with Reader(plain_poller, "--wait-for=cycle.ended", conf=no_database()) as waiting:
        wait_for_subscribers(plain_poller, 1)
        assert waiting.process.poll() is None
        assert plain_poller.run(first=0, last=99).status == 0
        assert waiting.wait() == 0


def test_waiting_for_a_device_ends_with_it(site, snmpd, plain_poller, daemon):
    seed(site, snmpd, devices=[1])
    with Reader(plain_poller, "--wait-for=device.finished") as waiting:
        wait_for_subscribers(plain_poller, 1)
        assert plain_poller.run(first=0, last=99).status == 0
        assert waiting.wait() == 0


def test_the_end_of_a_cycle_is_seen_although_the_daemon_is_killed_while_one_waits(site, snmpd, plain_poller, daemon):
    seed(site, snmpd, devices=[1])
    with Reader(plain_poller, "--wait-for=cycle.ended") as waiting:
        wait_for_subscribers(plain_poller, 1)
        daemon.kill()
        assert plain_poller.run(first=0, last=99).status == 0  # polls by itself
        assert waiting.wait() == 0, waiting.errors()


def test_the_end_of_a_cycle_is_seen_without_a_daemon(site, snmpd, plain_poller, no_daemon):
    seed(site, snmpd, devices=[1])
    assert plain_poller.run(first=0, last=99).status == 0  # what was before does not count
    with Reader(plain_poller, "--wait-for=cycle.ended") as waiting, held_device(site) as device:
        with plain_poller.start(first=99, last=99) as running:
            device.wait_for_request()
            wait_until(lambda: site.wait_for_open_cycle(), "the row")
            with Reader(plain_poller, "--wait-for=cycle.started", "--timeout=1") as late:
                assert late.wait() == 75, "a cycle that had begun before"
            assert waiting.process.poll() is None, waiting.errors()
            running.signal(signal.SIGTERM)
            running.wait()
        assert waiting.wait() == 0, waiting.errors()


def test_a_cycle_of_another_poller_does_not_count(site, plain_poller, no_daemon):
    with Reader(plain_poller, "--wait-for=cycle.ended", "--poller=2", "--mode=offline", "--timeout=6") as waiting:
        site.sql("INSERT INTO poller_time (poller_id,pid,start_time,end_time) VALUES (1,1,NOW()+INTERVAL 60 SECOND,NOW()+INTERVAL 60 SECOND)")
        assert waiting.wait() == 75
    site.sql("DELETE FROM poller_time")
    with Reader(plain_poller, "--wait-for=cycle.ended", "--poller=2", "--mode=offline") as waiting:
        site.sql("INSERT INTO poller_time (poller_id,pid,start_time,end_time) VALUES (2,1,NOW()+INTERVAL 60 SECOND,NOW()+INTERVAL 60 SECOND)")
        assert waiting.wait() == 0


def test_waiting_ends_when_its_time_is_over(plain_poller, daemon):
    done = run(plain_poller, "--wait-for=cycle.ended", "--timeout=1")
    assert done.returncode == 75 and done.stdout == done.stderr == "", done


def test_waiting_goes_on_without_daemon_and_database(plain_poller, no_daemon, no_database):
    done = subprocess.run([plain_poller.binary.path, "-C", no_database(), "--wait-for=cycle.ended", "--timeout=6",
                           "-O", "spine_daemon:off"], capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 75, done
    assert done.stderr.count("WARNING: poller_time cannot be read") == 1, done


def test_what_a_daemon_alone_tells_needs_one(plain_poller, no_daemon):
    done = run(plain_poller, "--wait-for=device.finished")
    assert done.returncode == 69 and "device.finished is told by a daemon alone: no daemon listens at" in done.stderr, done


def test_what_a_daemon_alone_tells_ends_with_it(plain_poller, daemon):
    with Reader(plain_poller, "--wait-for=device.finished") as waiting:
        wait_for_subscribers(plain_poller, 1)
        daemon.kill()
        assert waiting.wait() == 69
    assert "the daemon has ended" in waiting.errors()


# ---- --status ----


def test_status_says_who_reads_events(site, snmpd, plain_poller, daemon):
    seed(site, snmpd, devices=range(1, 4))
    with follow(plain_poller, "--type=cycle.*", "--buffer=32") as reader:
        wait_for_subscribers(plain_poller, 1)
        for _ in range(2):
            assert plain_poller.run(first=0, last=99).status == 0
        code, found = status_of(plain_poller)
        text = run(plain_poller, "--status", "--verbose").stdout
    valid_status(found)
    events = found["daemon"]["events"]
    assert code == 0 and found["alone"] is None
    assert events["subscribers"] == [{"pid": reader.process.pid, "uid": os.geteuid(), "types": "cycle.*", "buffer": 32,
                                      "offered": events["subscribers"][0]["offered"], "dropped": 0,
                                      "waiting": events["subscribers"][0]["waiting"],
                                      "deepest": events["subscribers"][0]["deepest"]}]
    assert events["subscribers"][0]["offered"] >= 4 and events["emitted"] > 20 and events["dropped"] == 0
    assert found["handed_over"] and found["handed_over_by"] == "spine.conf"
    assert f"subscriber  process {reader.process.pid} " in text, text


def ask_by_socket(daemon):
    """The daemon's part of the state, where --status could not read spine.conf."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(HANG_S)
        s.connect(str(daemon.socket))
        s.send(b"status\0json\0")
        return json.loads(s.recv(1 << 18).split(b"\0")[1])["daemon"]


def test_status_says_what_became_of_changes_of_the_file(plain_poller):
    with Resident(plain_poller, Reload_Debounce_ms=50) as daemon:
        found = valid_status(status_of(plain_poller)[1])["daemon"]["configuration"]
        assert (found["watched_by"], found["reloads"], found["adopted"], found["not_used"]) == ("kernel", 0, 0, None)
        plain_poller.write_conf(plain_poller.conf_text(Script_Files=2000))
        wait_until(lambda: status_of(plain_poller)[1]["daemon"]["configuration"]["adopted"] == 1, "the new file")
        plain_poller.write_conf(plain_poller.conf_text(Script_Files="many"))
        wait_until(lambda: ask_by_socket(daemon)["configuration"]["refused"] == 1, "the broken file to be read")
        found = ask_by_socket(daemon)["configuration"]
        plain_poller.write_conf(plain_poller.conf_text())
    assert "Script_Files must be a number" in found["not_used"] and found["adopted"] == 1, found
    assert found["changes"] >= found["reloads"] == 2, found


def test_status_without_a_daemon_says_what_the_database_tells(site, snmpd, plain_poller, no_daemon, work):
    seed(site, snmpd, devices=[1])
    site.settings(spine_event_loop="off")
    code, found = status_of(plain_poller)
    assert code == 3 and valid_status(found)["alone"]["last_cycle"] is None
    assert found["driver"] == "legacy" and found["driver_by"] == "settings table", found
    plain_poller.write_conf(plain_poller.conf_text(Daemon_Socket=plain_poller.directory / "none", Report_File=work / "report.json",
                                                   Spool_File=work / "spool", Event_Loop="on"))
    with plain_poller.start(first=0, last=99) as running:
        assert running.wait().status == 0
    code, found = status_of(plain_poller)
    alone = valid_status(found)["alone"]
    assert code == 3 and alone["database"] is None
    assert alone["last_cycle"]["pid"] == running.pid and alone["last_cycle"]["end"] is not None
    assert alone["report"] == str(work / "report.json") and alone["report_written"] == int((work / "report.json").stat().st_mtime)
    assert alone["spool_bytes"] == 0
    assert found["driver"] == "event" and found["driver_by"] == "default"
    with held_device(site) as device:
        with plain_poller.start(first=99, last=99) as running:
            device.wait_for_request()
            site.wait_for_open_cycle()
            found = valid_status(status_of(plain_poller)[1])
            text = run(plain_poller, "--status").stdout
            running.signal(signal.SIGTERM)
            running.wait()
    assert found["alone"]["last_cycle"]["pid"] == running.pid and found["alone"]["last_cycle"]["end"] is None
    assert f"last cycle  pid {running.pid}, began " in text and "not ended" in text, text


def test_status_without_daemon_and_database_says_what_files_tell(plain_poller, no_daemon, no_database):
    done = subprocess.run([plain_poller.binary.path, "-C", no_database(), "--status", "--format=json"], capture_output=True, text=True,
                          timeout=HANG_S)
    assert done.returncode == 3, done
    found = valid_status(json.loads(done.stdout))
    assert found["alone"]["database"] and found["alone"]["last_cycle"] is None
