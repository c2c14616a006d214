"""The event log: what it says is true, whatever happens to its file polling goes on, and a recorded run can be
played back."""

import contextlib
import json
import os
import re
import signal
import time

import pytest

from support.checks import assert_closed
from support.lab import SilentDevice, TOP, file_text, wait_until
from support.snmpd import PLAYPEN

from conftest import SYSTEM_GROUP, held_device

ITEMS = 4
OBJECT = ".1.3.6.1.4.1.99999.1"


def documented():
    """{type: fields} of the table in docs/events.md."""
    rows = re.findall(r"^\| `([a-z.]+)` \| (?:normal|full) \| (.*?) \| ", file_text(TOP / "docs/events.md"), re.M)
    return {name: set(re.findall("`([a-z_]+)`", fields)) for name, fields in rows}


def read_events(path):
    """The lines of an event log; each must be an object of JSON, in UTF-8, that docs/events.md describes."""
    fields = documented()
    assert len(fields) > 20
    text = path.read_bytes().decode("utf-8", errors="strict")
    assert text == "" or text.endswith("\n")
    events = [json.loads(line) for line in text.splitlines()]
    for event in events:
        own = event.keys() - {"number", "pid", "time", "mono_us", "type", "data"}
        assert own == fields[event["type"]], event
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["time"]), event
    return events


def total(events, type, field):
    return sum(e[field] for e in events if e["type"] == type)


def count(events, type):
    return sum(e["type"] == type for e in events)


def items_line(run):
    """The figures of the line that ends a cycle, by name."""
    line, = run.log_lines("NOTE: Items: ")
    return {what: int(n) for n, what in re.findall(r"(\d+) (due|values|U|of down devices|stored|lost)\b", line)}


def seed(site, snmpd, devices=range(1, 7)):
    for id in devices:
        device = site.add_device(id, port=snmpd.port)
        for n in range(1, ITEMS + 1):
            site.add_snmp_item(device, f"{PLAYPEN}.{id}.{n}", rrd_name=f"v{n}")
    return len(devices) * ITEMS


def assert_all_is_stored(site, run, rows):
    assert run.status == 0, run
    assert len(site.outputs()) == rows, run
    assert_closed(site, run)


@pytest.mark.quick
def test_the_event_log_of_a_cycle_agrees_with_the_log(site, snmpd, poller, work):
    path = work / "events"
    seed(site, snmpd)
    silent = site.add_device(7, hostname="127.0.0.9", port=9, snmp_timeout=50)  # a closed port
    site.add_snmp_item(silent, f"{PLAYPEN}.7.1")
    with_scripts = site.add_device(8, port=snmpd.port)
    site.add_items([{"device": with_scripts, "arg1": c, "action": 1} for c in ("echo 5", "echo none", "exit 3")])
    run = poller.run(f"--event-log={path}", "-V", "MEDIUM")
    assert run.status == 0, run
    events = read_events(path)
    assert [e["number"] for e in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "cycle.started" and events[-1]["type"] == "cycle.ended"
    assert events[0]["event_loop"] == (poller.loop != "off")
    said = items_line(run)
    assert said["due"] == total(events, "cycle.loaded", "items") == 6 * ITEMS + 4
    assert said["values"] == total(events, "device.finished", "values") == events[-1]["values"] == 6 * ITEMS + 1
    assert said["U"] == total(events, "device.finished", "unknown") == total(events, "device.unknown", "items") == 2
    assert said["of down devices"] == total(events, "device.finished", "skipped") == 1
    assert said["stored"] == total(events, "db.stored", "rows") == events[-1]["rows"] == 6 * ITEMS + 3
    assert count(events, "device.started") == count(events, "device.finished") == 8
    assert sorted(e["device"] for e in events if e["type"] == "ask.failed") == [7, 8]
    assert run.log_lines(" Devices: 8") and events[-1]["devices"] == 8
    assert len(run.log_lines("NOTE: Events: ")) == 1
    assert path.stat().st_mode & 0o137 == 0


def test_how_late_the_event_loop_was_is_a_figure_of_the_cycle(site, snmpd, poller, work):
    """Its timers are never more than half a second apart. On the legacy loop there is none."""
    path = work / "events"
    seed(site, snmpd)
    with SilentDevice() as silent:
        device = site.add_device(7, port=silent.port, snmp_timeout=1500)
        site.add_snmp_item(device, f"{PLAYPEN}.7.1")
        with poller.start(f"--event-log={path}", "-V", "MEDIUM") as running:
            silent.wait_for_request()
            running.signal(signal.SIGSTOP)
            time.sleep(2)  # what is to be measured, not a wait for something
            running.signal(signal.SIGCONT)
            run = running.wait()
    lag_us = read_events(path)[-1]["loop_lag_us"]
    if poller.loop != "off":
        assert lag_us > 1000000
        assert run.log_lines(f"; event loop late by {lag_us / 1000:.1f} ms at most"), run
    else:
        assert lag_us == 0 and not run.log_lines("event loop late"), run


def test_status_changes_and_failures_are_events_of_their_own(site, snmpd, poller, work):
    """Two polls without an answer and the device is down; one more good one than before and it is up again."""
    path = work / "events"
    poller.write_conf(poller.conf_text(Event_Log=path))
    site.settings(ping_failure_count=1, ping_recovery_count=1)
    site.add_device(1, port=9, snmp_timeout=50)
    assert poller.run().status == 0
    site.sql("UPDATE host SET snmp_port = %s", snmpd.port)
    assert poller.run().status == 0
    events = read_events(path)
    down, = [e for e in events if e["type"] == "device.down"]
    up, = [e for e in events if e["type"] == "device.up"]
    assert down["device"] == up["device"] == 1 and down["pid"] != up["pid"]
    assert down["failed_polls"] == 1 and "SNMP" in down["error"]


def test_children_are_reported_at_full_detail(site, poller, work):
    path = work / "events"
    site.settings(script_timeout=5)
    site.add_items([{"arg1": "echo 5", "action": 1}])
    run = poller.run(env={"SPINE_EVENT_LOG": str(path), "SPINE_EVENT_DETAIL": "full"})
    assert run.status == 0, run
    events = read_events(path)
    started, = [e for e in events if e["type"] == "child.started"]
    ended, = [e for e in events if e["type"] == "child.ended"]
    assert started["command"] == "echo 5" and started["child"] == ended["child"] and ended["wait_status"] == 0


# ---- a file that cannot be written ----

def assert_missing(run, path, why):
    line, = run.log_lines("WARNING: Event log ")
    assert re.search(f"Event log {re.escape(str(path))}: \\d+ events are missing: {why}$", line), run


def test_a_full_disk_does_not_slow_polling_and_is_told(site, snmpd, poller):
    rows = seed(site, snmpd)
    run = poller.run("--event-log=/dev/full")
    assert_all_is_stored(site, run, rows)
    assert_missing(run, "/dev/full", "No space left on device")


def test_a_fifo_without_a_reader_does_not_slow_polling_and_is_reported(site, snmpd, poller, work):
    rows = seed(site, snmpd)
    os.mkfifo(work / "fifo")
    run = poller.run(f"--event-log={work / 'fifo'}")
    assert_all_is_stored(site, run, rows)
    assert_missing(run, work / "fifo", "No such device or address")


def fill(fifo):
    """Makes it take nothing more, as its reader does not read."""
    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, bytes(4096)):
            pass
    os.close(writer)


def test_a_fifo_whose_reader_sleeps_does_not_slow_polling_and_is_told(site, snmpd, poller, work):
    rows = seed(site, snmpd, range(1, 51))
    os.mkfifo(work / "fifo")
    reader = os.open(work / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    fill(work / "fifo")
    try:
        run = poller.run(f"--event-log={work / 'fifo'}", "--event-detail=full")
    finally:
        os.close(reader)
    assert_all_is_stored(site, run, rows)
    assert_missing(run, work / "fifo", "Resource temporarily unavailable")


def test_a_log_renamed_in_the_middle_goes_on_in_a_new_file(site, snmpd, poller, work):
    path, old = work / "events", work / "events.1"
    rows = seed(site, snmpd)
    with held_device(site) as held, poller.start(f"--event-log={path}") as running:
        held.wait_for_request()
        wait_until(lambda: "device.started" in file_text(path), "the first device in the event log")
        path.rename(old)
        held.let_go()
        run = running.wait()
    assert_all_is_stored(site, run, rows)
    events = read_events(old) + read_events(path)
    assert [e["number"] for e in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "cycle.ended" and "cycle.ended" in file_text(path)
    assert not run.log_lines("Event log")


def test_the_log_does_not_grow_beyond_its_size(site, snmpd, poller, work):
    path = work / "events"
    path.write_bytes(b'{"type": "earlier"}\n' * 52428)  # 1 MiB less a few bytes
    size = path.stat().st_size
    rows = seed(site, snmpd)
    poller.write_conf(poller.conf_text(Event_Log=path, Event_Log_Size=1))
    run = poller.run()
    assert_all_is_stored(site, run, rows)
    assert size <= path.stat().st_size <= 1 << 20
    assert_missing(run, path, "the file has reached its greatest size")


@pytest.mark.first_build
@pytest.mark.alone("it changes the process that is started")
def test_a_file_system_that_does_not_answer_does_not_slow_polling_and_is_told(site, snmpd, poller, build, work):
    """The first write to the event log never returns."""
    rows = seed(site, snmpd)
    env = {"LD_PRELOAD": str(build.binary.path.parent / "tests/support/faults.so"), "FAULT_WRITE": '"mono_us"'}
    run = poller.run(f"--event-log={work / 'events'}", env=env)
    assert_all_is_stored(site, run, rows)
    assert_missing(run, work / "events", "the file system does not answer")


# ---- the trace ----

def test_a_user_signal_shows_the_last_events(site, snmpd, poller):
    seed(site, snmpd)
    poller.write_conf(poller.conf_text(Trace_Events=50))
    with SilentDevice() as silent:
        site.add_device(99, port=silent.port, snmp_timeout=20000, polling_time=9)
        with poller.start() as running:
            silent.wait_for_request()
            running.signal(10)
            text = wait_until(lambda: "TRACE" in file_text(site.log) and "ask.started Device[99]" in file_text(site.log)
                              and file_text(site.log), "the trace in the log")
            running.signal(15)
            running.wait()
    lines = [line for line in text.splitlines() if "NOTE: TRACE " in line]
    assert "TRACE of the last " in lines[0] and lines[0].endswith(" events: SIGUSR1")
    assert "cycle.started" in lines[1] and len(lines) <= 51
    assert any(re.search(r"TRACE \d+\.\d+ s ago: ask.started Device\[99\] ask=1 names=1 purpose=0 kind=snmp$", line)
               for line in lines)


# ---- replay ----

MIXED = 200

#: Options of simulated agents, dealt out in turn.
KINDS = ("", "delay=1-40", "", "toobig-above=1", "reorder", "omit-last", "silent", "error=genErr:2", "",
         "garbage during=1", "late=60", "other-oid=3", "", "set=mute", "omit-after=2")
SCRIPTS = ("echo 5", "printf 'a:1 b:2'", "printf '\\377\\200\\0x'", "exit 3", "sleep 0.1; echo 6", "seq 1 9", "echo ''")
REQUESTS = ("value 7", "nap 0.05 8", "empty", "value none of these")


@pytest.fixture
def mixed(site, agents, work):
    """200 devices: agents that answer in time, late, never, in another order or too little; every second device with
    scripts and script servers, and re-index checks by SNMP and by script; some names do not exist."""
    farm = agents(SYSTEM_GROUP + "".join(f"object {OBJECT}.{n} counter64 @mix\n" for n in range(1, ITEMS + 1)) +
                  f'object {OBJECT}.9 string "not a number"\n' +
                  f"set mute\nuse default\nobject {OBJECT}.2 mute\nend\n" +
                  "".join(f"agent 127.3.0.{n} {KINDS[n % len(KINDS)]}\n" for n in range(1, MIXED + 1)))
    web = work / "web"
    web.mkdir()
    (web / "script_server.php").symlink_to(TOP / "tests/support/fakeserver.py")
    site.settings(path_php_binary="/usr/bin/python3", path_webroot=str(web), spine_log_level=2, snmp_retries=1)
    site.threads(20)
    devices = site.add_devices([
        {"id": n, "hostname": "no.such.name.invalid" if n % 50 == 0 else f"127.3.0.{n}", "snmp_port": farm.port,
         "snmp_timeout": 100, "availability_method": (2, 0, 3)[n % 3], "ping_method": 2, "ping_timeout": 50,
         "device_threads": 1 + n % 3, "max_oids": 1 + n % 5} for n in range(1, MIXED + 1)])
    items = [{"device": d, "arg1": f"{OBJECT}.{n}", "rrd_name": f"v{n}"} for d in devices for n in (1, 2, 3, 9)]
    for d in devices[::2]:
        items += [{"device": d, "arg1": SCRIPTS[(d["id"] // 2 + k) % len(SCRIPTS)], "action": 1} for k in range(2)]
        items += [{"device": d, "arg1": f"{web}/x.php {REQUESTS[d['id'] // 2 % len(REQUESTS)]}", "action": 2}]
    site.add_items(items)
    for d in devices[::7]:
        for query, action, arg1 in ((1, 0, f"{OBJECT}.1"), (2, 1, "echo 4"), (3, 11, "seq 1 3")):
            site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, present, op, assert_value, arg1) "
                     "VALUES (%s, %s, %s, 1, '=', '5', %s)", d["id"], query, action, arg1)
    return len(items)


def record(poller, path):
    run = poller.run(f"--event-log={path}", "--event-detail=full", "-V", "MEDIUM")
    assert run.status == 0, run
    assert not run.log_lines("events are missing"), run
    return run


def replay(poller, *options):
    """Away from Cacti: no spine.conf, nothing but the file."""
    return poller.start_as([poller.binary.path, *options], cwd="/").wait()


def replayed(run):
    """The figures of the summary."""
    found = re.search(r"Replayed \S+: (\d+) lines, (\d+) devices, (\d+) inputs, (\d+) asks, (\d+) rows \((\d+) U\), "
                      r"(\d+) log lines: all as recorded\n$", run.stdout)
    assert run.status == 0 and found and not run.stderr, run
    return dict(zip(("lines", "devices", "inputs", "asks", "rows", "unknown", "logs"), map(int, found.groups())))


def tamper(path, number, old, new):
    """Changes one line."""
    lines = path.read_text().splitlines(keepends=True)
    assert old in lines[number - 1], lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new, 1)
    changed = path.with_suffix(".changed")
    changed.write_text("".join(lines))
    return changed


def test_a_recorded_run_of_200_mixed_devices_gives_the_same_rows_again(site, poller, mixed, work):
    path = work / "recording"
    run = record(poller, path)
    events = read_events(path)
    rows = [e["data"] for e in events if e["type"] == "run.action" and e["data"]["action"] == "row"]
    stored = {key: [output for _, output in found] for key, found in site.outputs().items()}
    assert {(r["data_id"], r["name"]): [r["output"]] for r in rows} == stored
    assert len(rows) > 0.7 * mixed  # some devices are down
    inputs = {(e["data"]["input"], e["data"].get("outcome")) for e in events if e["type"] == "run.input"}
    assert inputs >= {("snmp", "answered"), ("snmp", "timed out"), ("snmp", "failed"), ("ping", "up"),
                      ("script", "output"), ("script", "empty")}
    assert "public" not in file_text(path)
    again = replayed(replay(poller, f"--replay={path}"))
    assert again["devices"] == MIXED and again["rows"] == len(rows) and again["lines"] == len(events)
    assert again["unknown"] == sum(r["output"] == "U" for r in rows) > 0
    said = items_line(run)
    assert said["values"] + said["U"] == len(rows) and said["U"] == again["unknown"]


def test_what_was_changed_in_a_recording_is_found_where_it_is(site, agents, poller, work):
    farm = agents(SYSTEM_GROUP + f"object {OBJECT}.1 int 4711\nagent 127.3.0.1-127.3.0.3\n")
    for n in range(1, 4):
        site.add_snmp_item(site.add_device(n, hostname=f"127.3.0.{n}", port=farm.port), f"{OBJECT}.1")
    path = work / "recording"
    record(poller, path)
    events = read_events(path)
    replayed(replay(poller, f"--replay={path}"))

    def line_of(condition):
        return next(n for n, e in enumerate(events, 1) if e.get("device") == 2 and condition(e.get("data", {})))

    answer = line_of(lambda d: d.get("input") == "snmp" and d["varbinds"][0]["value"] == 4711)
    row = line_of(lambda d: d.get("action") == "row")
    told = line_of(lambda d: d.get("action") == "log" and "value: 4711" in d["text"])
    for line, old, new, expected in (
            (answer, '"value":4711', '"value":4712', f"{told}: Device[2]: recorded: "),
            (row, '"output":"4711"', '"output":"4712"', f'{row}: Device[2]: recorded: {{"action":"row",'),
            (row, '"output":"4711"', '"output":4711,', f"{row}: not a JSON object: "),
            (row, '"number":', '"number":1', f"{row}: lines of process {events[0]['pid']} are missing: number ")):
        changed = tamper(path, line, old, new)
        run = replay(poller, "--replay", changed)
        assert run.status == 65 and not run.stdout, run
        assert run.stderr.startswith(f"ERROR: {changed}:{expected}"), run
        assert "missing" in expected or "JSON" in expected or "4712" in run.stderr and "4711" in run.stderr, run
    cut = path.with_suffix(".cut")
    cut.write_text("".join(path.read_text().splitlines(keepends=True)[:row]))
    run = replay(poller, "--replay", cut)
    assert run.status == 65 and "has no end here" in run.stderr, run
    run = replay(poller, "--replay", path, "--hostlist=2")
    shown = [json.loads(line) for line in run.stdout.splitlines()[:-1]]
    assert shown == [e for e in events if e.get("device") == 2 and e["type"].startswith("run.")]


def test_a_run_that_a_signal_ended_can_be_played_back(site, snmpd, poller, work):
    path = work / "recording"
    seed(site, snmpd)
    site.settings(snmp_retries=4)
    with SilentDevice() as silent:
        site.add_device(99, port=silent.port, snmp_timeout=20000, polling_time=9)
        with poller.start(f"--event-log={path}", "--event-detail=full") as running:
            silent.wait_for_request()
            wait_until(lambda: file_text(path).count("device.finished") == 6, "the other devices in the event log")
            running.signal(15)
            run = running.wait()
    assert run.status == -15, run
    events = read_events(path)
    assert count(events, "signal.received") == 1 and total(events, "signal.received", "signal") == 15
    assert [e["device"] for e in events if e["type"] == "device.dropped"] == [99]
    assert events[-1]["type"] == "cycle.ended" and events[-1]["status"] == -15
    assert replayed(replay(poller, f"--replay={path}"))["devices"] == 7


def test_what_cannot_be_replayed_is_refused(build, poller, work):
    empty = work / "empty"
    empty.write_text("")
    for path, text in ((empty, "no run in it was recorded at full detail"), (work / "none", "No such file"),
                       (work, "Is a directory")):
        run = replay(poller, "--replay", path)
        assert run.status in (65, 71) and text in run.stderr and not run.stdout, run
