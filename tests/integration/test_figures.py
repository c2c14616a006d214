"""Metrics, report, trace and timeline: what an operator sees after a cycle is true, on each way to run one, and costs
the cycle nothing."""

import json
import os
import pty
import re
import select
import stat
import subprocess

import pytest

from support.checks import assert_closed
from support.lab import SilentDevice, TOP, file_text, leave_out, need
from support.poller import environment
from support.snmpd import PLAYPEN

ITEMS = 4
SECRETS = ("s3cret-community", "s3cret-in-a-script")


def seed(site, snmpd, work):
    """Five live devices, one of them with scripts; one that never answers; one that is down."""
    for id in range(1, 6):
        device = site.add_device(id, port=snmpd.port)
        for n in range(1, ITEMS + 1):
            site.add_snmp_item(device, f"{PLAYPEN}.{id}.{n}", rrd_name=f"v{n}")
    site.add_items([{"device": device, "arg1": c, "action": 1}
                    for c in ("echo 5", "echo none", f"exit 3; {SECRETS[1]}")])
    closed = site.add_device(7, hostname="127.0.0.9", port=9, snmp_timeout=50, snmp_community=SECRETS[0])
    site.add_snmp_item(closed, f"{PLAYPEN}.7.1")


def assert_no_secret(*paths):
    for path in paths:
        text = path.read_bytes()
        for secret in SECRETS:
            assert secret.encode() not in text, f"{secret} in {path}"


def samples(path):
    """{name{labels without poller and first}: value} of a metrics file."""
    values = {}
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = re.fullmatch(r'(\w+)\{poller="1",first="0"(?:,(.*))?\} (\S+)', line).groups()
        key = f"{name}{{{labels}}}" if labels else name
        assert key not in values, line
        values[key] = float(value)
    return values


def promtool(path):
    need({"promtool": "prometheus"})
    with open(path, "rb") as metrics:
        done = subprocess.run(["promtool", "check", "metrics"], stdin=metrics, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout + done.stderr == "", done


def items_line(run):
    line, = run.log_lines("NOTE: Items: ")
    return {what: int(n) for n, what in re.findall(r"(\d+) (due|values|U|of down devices|stored|lost)\b", line)}


def test_the_metrics_of_a_cycle_agree_with_the_log(site, snmpd, poller, work):
    path = work / "spine.prom"
    seed(site, snmpd, work)
    run = poller.run(f"--metrics-file={path}", "-V", "MEDIUM")
    assert run.status == 0, run
    said, value = items_line(run), samples(path)
    assert value["spine_cycle_items_due"] == said["due"] == 5 * ITEMS + 4
    assert value['spine_cycle_items{result="value"}'] == said["values"] == 5 * ITEMS + 1
    assert value['spine_cycle_items{result="unknown"}'] == said["U"] == 2
    assert value['spine_cycle_items{result="down"}'] == said["of down devices"] == 1
    assert value['spine_cycle_rows{result="stored"}'] == said["stored"] == 5 * ITEMS + 3
    assert sum(v for k, v in value.items() if k.startswith("spine_cycle_unknown_items")) == 2
    assert value['spine_cycle_devices{state="up"}'] == 5 and value['spine_cycle_devices{state="down"}'] == 1
    assert value["spine_cycle_devices_due"] == value["spine_cycle_device_seconds_count"] == 6
    assert value['spine_cycle_asks_failed{kind="script"}'] + value['spine_cycle_asks_answered{kind="script"}'] == 3
    assert value['spine_cycle_ask_repeats{kind="snmp"}'] == 1  # of the device that is down: snmp_retries is 1
    assert value["spine_cycle_exit_status"] == 0 and value["spine_events_missing"] == 0
    driver = {"off": "legacy", "on": "event"}.get(poller.loop, poller.loop)
    assert value[f'spine_cycle_driver_info{{driver="{driver}"}}'] == 1
    assert 0 < value["spine_cycle_start_time_seconds"] <= value["spine_cycle_end_time_seconds"]
    phases = sum(v for k, v in value.items() if k.startswith("spine_cycle_phase_seconds"))
    assert abs(phases - value["spine_cycle_device_seconds_sum"]) < 1e-5
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [p.name for p in work.glob("spine.prom*")] == ["spine.prom"]
    assert_no_secret(path)
    promtool(path)


def test_every_metric_is_documented_as_it_is_written(site, poller, work):
    path = work / "spine.prom"
    poller.write_conf(poller.conf_text(Metrics_File=path))
    run = poller.run()
    assert run.status == 0, run
    text = path.read_text()
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    written = {name: (types[name], help) for name, help in re.findall(r"^# HELP (\w+) (.*)$", text, re.M)}
    rows = re.findall(r"^\| `(spine_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", file_text(TOP / "docs/metrics.md"), re.M)
    assert {name: (type, help) for name, type, _, help in rows} == written
    for name, _, labels, _ in rows:
        found = set(re.findall(r"(\w+)=", " ".join(re.findall(rf"^{name}(?:_sum|_count)?\{{(.*)\}}", text, re.M))))
        if found:  # without devices some have no samples
            assert found - {"poller", "first"} == set(re.findall(r"`(\w+)`", labels)), name
    promtool(path)


def test_a_cycle_without_a_database_leaves_metrics_that_say_so(site, poller, work):
    path = work / "spine.prom"
    poller.write_conf(poller.conf_text(DB_User="nosuchuser", Metrics_File=f"{work}/%p.%f.prom"))
    run = poller.run("--first=5", "--last=9")
    assert run.status != 0, run
    text = file_text(work / "1.5.prom")
    assert f'spine_cycle_exit_status{{poller="1",first="5"}} {run.status}\n' in text
    assert 'spine_cycle_start_time_seconds{poller="1",first="5"} 0.000000\n' in text
    promtool(work / "1.5.prom")
    assert not path.exists()


@pytest.mark.parametrize("path,why", [("none/spine.prom", "No such file"), ("/dev/null", "is not a regular file")])
def test_a_metrics_file_that_cannot_be_written_costs_one_warning(site, snmpd, poller, work, path, why):
    seed(site, snmpd, work)
    run = poller.run(f"--metrics-file={work / path}")
    assert run.status == 0, run
    line, = run.log_lines("WARNING: Metrics_File is not written: ")
    assert why in line
    assert_closed(site, run)


def test_one_stats_line_has_the_figures_of_the_cycle(site, snmpd, poller, work):
    seed(site, snmpd, work)
    run = poller.run()
    line, = run.log_lines("STATS: ")
    figures = dict(word.split(":") for word in line.split("STATS: ")[1].split())
    driver = {"off": "legacy", "on": "event"}.get(poller.loop, poller.loop)
    assert figures.pop("Driver") == driver
    assert 0 < float(figures.pop("Time")) < 60 and float(figures.pop("LoopLag")) >= 0
    assert figures == {"Threads": "4", "Devices": "6", "Down": "1", "Dropped": "0", "Items": str(5 * ITEMS + 4),
                       "Values": str(5 * ITEMS + 1), "Unknown": "2", "Skipped": "1", "Unfinished": "0",
                       "Stored": str(5 * ITEMS + 3), "Spooled": "0", "Kept": "0", "Lost": "0", "Retries": "0",
                       "Disconnects": "0", "Status": "0"}


def check_report(path):
    """The report, valid against its schema."""
    try:
        import jsonschema
    except ImportError:
        leave_out("python3-jsonschema is not installed")
    report = json.loads(path.read_text(encoding="utf-8"))
    schema = json.loads(file_text(TOP / "docs/report.schema.json"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(report, schema)
    return report


def test_a_report_names_the_slow_and_the_failing_devices(site, snmpd, poller, work):
    path = work / "report.json"
    seed(site, snmpd, work)
    run = poller.run(f"--report={path}", "-V", "MEDIUM")
    assert run.status == 0, run
    report, said = check_report(path), items_line(run)
    assert report["items"] == {"due": said["due"], "values": said["values"], "unknown": 2, "down": 1, "unfinished": 0}
    assert report["devices"]["up"] == 5 and report["devices"]["down"] == 1 and report["rows"]["stored"] == said["stored"]
    assert sorted(d["device"] for d in report["slowest"]) == [1, 2, 3, 4, 5, 7]
    durations = [d["duration_us"] for d in report["slowest"]]
    assert durations == sorted(durations, reverse=True)
    for d in report["slowest"]:
        assert sum(d["phases_us"].values()) == d["duration_us"], d
    failing = {d["device"]: d for d in report["failing"]}
    assert sorted(failing) == [5, 7] and report["failing_devices"] == 2
    assert failing[5]["reasons"] == {"invalid": 1, "empty": 1} and failing[5]["state"] == "up"
    assert failing[7]["state"] == "down" and "snmp" in failing[7]["why"] and failing[7]["repeats"] == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert_no_secret(path)


@pytest.mark.first_build
def test_reports_of_several_cycles_have_patterns(site, snmpd, poller, work):
    path = work / "report.json"
    seed(site, snmpd, work)
    poller.write_conf(poller.conf_text(Report_File=f"{work}/report.json"))
    for n in range(1, 4):
        run = poller.run()
        assert run.status == 0, run
        report = check_report(path)
        if report["patterns"] is None:
            pytest.skip("NOT TRIED: this build has no jansson")
        assert len(report["history"]["cycles"]) == n
        assert [d["states"] for d in report["history"]["devices"] if d["device"] == 7] == ["d" * n]
    found = {(p["device"], p["pattern"]): p for p in report["patterns"]}
    assert found[7, "always down"]["cycles"] == 3
    assert found[5, "U by the same reason"]["cycles"] == 3


def test_a_run_that_stores_nothing_leaves_the_files_of_the_cycles_alone(site, snmpd, poller, work):
    seed(site, snmpd, work)
    poller.write_conf(poller.conf_text(Metrics_File=f"{work}/%f.prom", Report_File=f"{work}/%f.json", Trace_File=f"{work}/%f.trace",
                                       Timeline_File=f"{work}/%f.html"))
    assert poller.run().status == 0
    written = {path: path.read_bytes() for path in work.glob("0.*")}
    assert len(written) == 4, written.keys()
    for range in ({}, {"first": 1, "last": 1}):
        run = poller.run("-R", f"--report={work}/by-hand.json", **range)
        assert run.status == 0, run
    assert {path: path.read_bytes() for path in work.glob("[0-9].*")} == written
    assert check_report(work / "by-hand.json")["devices"]["up"] == 1


@pytest.mark.first_build
def test_a_file_that_is_no_report_costs_a_warning_and_is_replaced(site, snmpd, poller, work):
    path = work / "report.json"
    path.write_text("{")
    run = poller.run(f"--report={path}")
    assert run.status == 0, run
    report = check_report(path)
    if report["patterns"] is not None:
        line, = run.log_lines("WARNING: Report_File ")
        assert "its history is not used" in line
    assert len(report["history"]["cycles"]) == 1


def on_a_terminal(poller, *arguments, term="xterm"):
    """Runs the poller with a terminal as standard error; what that has got, and the exit status."""
    master, slave = pty.openpty()
    env = environment(poller.directory / "sanitizer", TERM=term)
    process = subprocess.Popen(poller.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=slave, env=env)
    os.close(slave)
    got = b""
    try:
        while select.select([master], [], [], 60)[0]:
            got += os.read(master, 65536)
    except OSError:  # the last process that had the terminal has ended
        pass
    finally:
        os.close(master)
        status = process.wait(60)
    return got.decode(), status


def test_a_terminal_shows_how_far_the_cycle_is(site, snmpd, poller, work):
    seed(site, snmpd, work)
    with SilentDevice() as silent:
        device = site.add_device(9, port=silent.port, snmp_timeout=700)
        site.add_snmp_item(device, f"{PLAYPEN}.9.1")
        text, status = on_a_terminal(poller)
        assert status == 0, text
        steps = re.findall(r"\r(\d+) of 7 devices, (\d) down, (\d) U, [\d.]+ s(?:, about [\d.]+ s left)?\x1b\[K", text)
        assert len(steps) >= 2, text
        assert ("6", "1", "2") in steps, text
        assert [int(n) for n, _, _ in steps] == sorted(int(n) for n, _, _ in steps)
        # what is left on the screen are lines of the log only
        screen = [line.split("\r")[-1].replace("\x1b[K", "") for line in text.replace("\r\n", "\n").split("\n")]
        assert screen[-1] == "" and all(" SPINE: " in line for line in screen[:-1]), screen


@pytest.mark.first_build
def test_a_dumb_terminal_shows_no_progress(site, snmpd, poller, work):
    seed(site, snmpd, work)
    text, status = on_a_terminal(poller, term="dumb")
    assert status == 0 and " devices, " not in text and "\x1b" not in text, text
