"""The two paths of a cycle: who decides which one is taken, and what happens where there is no event loop."""

import contextlib
import os
import pathlib
import subprocess

import pytest

from support.checks import assert_closed, assert_stored
from support.lab import SilentDevice, tool
from support.poller import LOOPS
from support.snmpd import PLAYPEN

from conftest import real_value

#: A libevent that cannot make an event base, as on a system without the means for it.
NO_EVENT_BASE = """
struct event_base *event_base_new_with_config(const void *config) { (void)config; return 0; }
struct event_base *event_base_new(void) { return 0; }
"""


@pytest.fixture
def silent(site):
    """Device 1 of the site, which keeps a cycle busy for 0.6 s."""
    with SilentDevice() as device:
        site.add_device(1, port=device.port, snmp_timeout=300)
        yield device


def path_taken(silent, poller, *extra, env=None):
    """"on" or "off": which path a cycle really runs on, seen from outside while a device keeps it busy."""
    with poller.start(*extra, first=0, last=1, env=env) as running:
        silent.wait_for_request()
        folder = f"/proc/{running.pid}/fd"
        open_files = [os.readlink(f"{folder}/{name}") for name in os.listdir(folder)]
        run = running.wait()
    silent.requests()
    assert run.status == 0, run
    return "on" if "anon_inode:[eventpoll]" in open_files else "off"


@pytest.mark.libevent(True)
@pytest.mark.parametrize("settings, conf, env, option, path", [
    (None, None, None, None, "on"),
    ("on", None, None, None, "on"),
    ("off", None, None, None, "off"),
    ("", None, None, None, "on"),
    ("off", "on", None, None, "on"),
    ("on", "off", None, None, "off"),
    ("on", "on", "off", None, "off"),
    ("off", "off", "on", None, "on"),
    ("on", "on", "on", "off", "off"),
    ("off", "off", "off", "on", "on"),
])
def test_the_stronger_word_decides_the_path(site, silent, plain_poller, settings, conf, env, option, path):
    if settings is not None:
        site.settings(spine_event_loop=settings)
    plain_poller.write_conf(plain_poller.conf_text(Event_Loop=conf))
    environment = {} if env is None else {"SPINE_EVENT_LOOP": env}
    extra = [] if option is None else [f"--event-loop={option}"]
    assert path_taken(silent, plain_poller, *extra, env=environment) == path


@pytest.mark.libevent(True)
def test_the_last_of_two_options_decides_the_path(silent, plain_poller):
    assert path_taken(silent, plain_poller, "--event-loop=off", "--event-loop=on") == "on"


@pytest.mark.libevent(True)
@pytest.mark.parametrize("word, path", [("ON", "on"), ("yes", "on"), ("1", "on"), ("true", "on"), ("Off", "off"),
                                        ("no", "off"), ("0", "off"), ("false", "off")])
def test_the_usual_words_for_yes_and_no_are_understood(silent, plain_poller, word, path):
    assert path_taken(silent, plain_poller, f"--event-loop={word}") == path


def seed(site, snmpd):
    device = site.add_device(1, port=snmpd.port)
    return {site.add_snmp_item(device, f"{PLAYPEN}.1.{n}", rrd_name=f"v{n}"): str(real_value(1, n))
            for n in range(1, 11)}


def assert_polled_with_one_warning(site, run, expected):
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    warnings = run.log_lines("WARNING")
    assert len(warnings) == 1 and "event" in warnings[0].lower(), run


@pytest.mark.quick
@pytest.mark.libevent(False)
@pytest.mark.parametrize("how", ("option", "conf", "environment", "setting"))
def test_without_libevent_the_legacy_loop_polls_with_one_warning(site, snmpd, plain_poller, how):
    expected = seed(site, snmpd)
    extra, env = [], {}
    if how == "option":
        extra = ["--event-loop=on"]
    elif how == "conf":
        plain_poller.write_conf(plain_poller.conf_text(Event_Loop="on"))
    elif how == "environment":
        env = {"SPINE_EVENT_LOOP": "on"}
    else:
        site.settings(spine_event_loop="on")
    run = plain_poller.run(*extra, first=0, last=1, env=env)
    assert_polled_with_one_warning(site, run, expected)


@pytest.mark.libevent(True)
def test_without_an_event_base_the_legacy_loop_polls_with_one_warning(site, snmpd, plain_poller, work):
    expected = seed(site, snmpd)
    library = work / "no-event-base.so"
    subprocess.run([tool("gcc", "gcc"), "-x", "c", "-shared", "-fPIC", "-o", library, "-"], input=NO_EVENT_BASE,
                   text=True, check=True)
    run = plain_poller.run("--event-loop=on", first=0, last=1, env={"LD_PRELOAD": str(library)})
    assert_polled_with_one_warning(site, run, expected)


@pytest.mark.parametrize("how", ("option", "conf", "environment", "setting"))
def test_async_snmp_without_the_event_loop_is_one_warning_and_polls_as_before(site, snmpd, plain_poller, how):
    expected = seed(site, snmpd)
    extra, env = ["--event-loop=off"], {}
    if how == "option":
        extra += ["--async-snmp=on"]
    elif how == "conf":
        plain_poller.write_conf(plain_poller.conf_text(Async_SNMP="on"))
    elif how == "environment":
        env = {"SPINE_ASYNC_SNMP": "on"}
    else:
        site.settings(spine_async_snmp="on")
    run = plain_poller.run(*extra, first=0, last=1, env=env)
    assert_polled_with_one_warning(site, run, expected)
    assert "async-snmp" in run.log, run


def thread_names(pid):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # one that has ended meanwhile
            yield (task / "comm").read_text().strip()


@pytest.mark.libevent(True)
@pytest.mark.parametrize("option, threads", (("off", True), ("on", False)))
def test_with_async_snmp_no_thread_waits_for_a_device(site, silent, plain_poller, option, threads):
    """Seen from outside, while a device keeps the cycle busy."""
    site.threads(7)
    with plain_poller.start("--event-loop=on", f"--async-snmp={option}", first=0, last=1) as running:
        silent.wait_for_request()
        names = list(thread_names(running.pid))
        run = running.wait()
    assert run.status == 0, run
    assert names.count("ask") == (7 if threads else 0), names


@pytest.mark.libevent(True)
def test_no_more_devices_of_one_address_are_asked_at_a_time_than_address_limit(site, plain_poller, agents):
    """Counted by the agents, which are all behind one address, each for as long as it takes to answer."""
    most, devices = 3, 50
    plain_poller.write_conf(plain_poller.conf_text(Event_Loop="on", Async_SNMP="on", Address_Limit=most))
    farm = agents("object .1.3.6.1.2.1.1.3.0 timeticks @uptime\nobject .1.3.6.1.4.1.99.1 int 7\n"
                  "agent 127.3.0.1 delay=10\nagent 127.3.0.2\n")
    expected = {}
    for id in range(1, devices + 1):
        device = site.add_device(id, hostname="127.3.0.1", port=farm.port)
        expected[site.add_snmp_item(device, ".1.3.6.1.4.1.99.1", rrd_name="v")] = "7"
    other = site.add_device(devices + 1, hostname="127.3.0.2", port=farm.port)
    expected[site.add_snmp_item(other, ".1.3.6.1.4.1.99.1", rrd_name="v")] = "7"
    run = plain_poller.run(first=0, last=devices + 1)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert farm.counters("127.3.0.1") == {"requests": 2 * devices, "answers": 2 * devices}
    assert farm.most_waiting("127.3.0.1") == most


@pytest.mark.quick
def test_a_healthy_cycle_warns_of_nothing_and_is_silent(site, snmpd, poller):
    expected = seed(site, snmpd)
    run = poller.run(first=0, last=1)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert not run.log_but_stats and not run.stdout and not run.stderr, run


@pytest.mark.libevent(True)
def test_all_ways_leave_the_same_rows_and_the_same_device_state(site, snmpd, plain_poller):
    """Stored values, and everything of `host` but the measured times, after one cycle of each way."""
    measured = {"min_time", "max_time", "cur_time", "avg_time", "polling_time", "last_updated", "status_fail_date",
                "fail_date", "status_rec_date", "rec_date"}
    with SilentDevice() as silent:
        devices = {1: {}, 2: {"snmp_version": 1}, 3: {"max_oids": 3}, 4: {"availability_method": 0},
                   5: {"port": silent.port, "snmp_timeout": 100},
                   6: {"port": silent.port, "snmp_timeout": 100, "availability_method": 0},
                   7: {"status": 1, "status_event_count": 3}, 8: {"status": 2, "status_event_count": 1},
                   9: {"status": 0}, 10: {"snmp_community": ""}, 11: {"availability_method": 5},
                   12: {"availability_method": 6}, 13: {"max_oids": 0}}
        for id, columns in devices.items():
            device = site.add_device(id, **{"port": snmpd.port, **columns})
            for n in (*range(1, 8), 99):
                site.add_snmp_item(device, f"{PLAYPEN}.{id}.{n}", rrd_name=f"v{n}")
        start = site.sql("SELECT * FROM host")
        seen = {}
        for way in LOOPS:
            site.sql("DELETE FROM host")
            site.add_devices(start)
            plain_poller.loop = way
            run = plain_poller.run(first=0, last=len(devices))
            assert run.status == 0, run
            hosts = {id: {k: v for k, v in site.device(id).items() if k not in measured} for id in devices}
            seen[way] = (site.take_outputs(), hosts)
    assert seen["async"] == seen["on"] == seen["off"]
