"""Scripts that hang, flood, run away, print oddly or cannot be executed: each costs its own value and no more.

Most tests look at one fault of a cycle that has them all at once (support/faultcycle.py). That no process remains is part of every
cycle here (support/processes.py).
"""

import subprocess

import pytest

from support import cacti, phpsite
from support.checks import assert_closed, assert_stored
from support.lab import tool, wait_until
from support.processes import MARK, marked, run_alone
from support.snmpd import PLAYPEN

from conftest import real_value

#: clone() that never gives a process, for the program's own calls; threads are made without it.
NO_PROCESS = """
#include <errno.h>
int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{ (void)fn; (void)stack; (void)flags; (void)arg; errno = EAGAIN; return -1; }
"""


def assert_fault(faults, name, value, *words):
    """The value that was stored for it, and a line that names its data source and says why."""
    fault = faults.fault(name)
    assert fault.value == value, f"{name}: stored {fault.value!r}, not {value!r}\n{fault.lines}"
    if words:
        said = [line for line in fault.lines if all(word in line for word in words)]
        assert said, f"{name}: no line with {words}: {fault.lines}"
    else:
        assert not fault.lines, f"{name}: {fault.lines}"


def test_the_cycle_with_every_fault_ends_in_time_and_closes_its_row(faults):
    assert faults.run.status == 0, faults.run
    assert not faults.run.log_lines("could not be ended"), faults.run


def test_a_script_without_fault_has_its_value_and_no_line(faults):
    assert_fault(faults, "a number", "42")


# ---- it does not end ----

def test_a_script_that_prints_and_stays_has_its_value_and_is_ended(faults):
    assert_fault(faults, "prints, then stays", "7", "limit: 5000 ms", "ended by SIGTERM")


def test_half_a_line_is_not_a_value(faults):
    assert_fault(faults, "prints half a line, then stays", "U", "limit: 5000 ms", "ended by SIGTERM")


def test_a_script_that_closes_its_output_and_stays_has_its_value_and_is_ended(faults):
    assert_fault(faults, "closes its output, stays", "7", "went on after its result", "ended by SIGTERM")


def test_a_script_that_closes_its_output_without_printing_is_unknown(faults):
    assert_fault(faults, "closes its output without printing", "U", "closed its output without printing anything")


@pytest.mark.parametrize("name", ("never prints", "never prints, nor its helper"))
def test_a_script_that_never_prints_is_unknown_and_its_group_is_ended(faults, name):
    assert_fault(faults, name, "U", "timed out", "limit: 5000 ms", "ended by SIGTERM")


def test_a_script_that_ignores_sigterm_is_killed(faults):
    assert_fault(faults, "ignores SIGTERM", "U", "limit: 5000 ms", "ignored SIGTERM, ended by SIGKILL")


# ---- it leaves descendants; that they have ended is checked after the cycle ----

@pytest.mark.parametrize("name", ("double fork", "setsid", "setsid, ignores SIGTERM"))
def test_a_daemon_ends_with_the_poller_and_costs_nothing(faults, name):
    assert_fault(faults, name, "8")


def test_a_daemon_that_holds_the_output_does_not_delay_the_value(faults):
    assert_fault(faults, "setsid, holds the output", "8", "kept its output open")


def test_runaways_are_ended_when_the_cycle_is_interrupted(site, poller):
    site.threads(2)
    device = site.add_device(1, availability_method=0)
    command = "(setsid sleep 99 &); trap '' TERM; sleep 99; :"
    site.add_items([{"device": device, "action": cacti.SCRIPT, "arg1": command}])
    with poller.start(first=0, last=1, env={MARK: "interrupted"}) as running:
        wait_until(lambda: sum("sleep 99" in line for line in marked("interrupted").values()) >= 3, "the script to run")
        running.signal(15)
        run = running.wait()
    assert not marked("interrupted"), run
    assert_closed(site, run)


# ---- what it prints ----

@pytest.mark.parametrize("name", ("yes", "zeros"))
def test_a_flood_is_unknown_and_ended_at_once(faults, name):
    assert_fault(faults, name, "U", "printed too much", "limit: 1048576 bytes")


@pytest.mark.parametrize("name, value", [("two chunks", "a:1 b:2"), ("byte by byte", "123456"), ("no newline", "5"),
                                         ("CR LF", "5"), ("NUL", "12"), ("8 bit", "U")])
def test_all_that_was_printed_is_the_value_however_it_was_written(faults, name, value):
    assert_fault(faults, name, value)


# ---- how it ends, or cannot even start ----

@pytest.mark.parametrize("name, value", [("fails with output", "12"), ("core", "4")])
def test_an_exit_status_does_not_spoil_a_value(faults, name, value):
    assert_fault(faults, name, value)


@pytest.mark.parametrize("name, reason", [("fails without output", "exit status 9"), ("killed", "ended by signal 9")])
def test_a_script_that_ends_without_printing_is_unknown_and_the_log_says_how_it_ended(faults, name, reason):
    assert_fault(faults, name, "U", "printed nothing", reason)
    assert_fault(faults, name, "U", "ERROR: Empty result")


@pytest.mark.parametrize("name, reason", [
    ("not executable", "could not execute"), ("no interpreter", "did not find"),
    ("bad interpreter", "could not execute"), ("no format", "could not execute"),
    ("no such command", "did not find"), ("directory", "could not execute"),
])
def test_what_cannot_be_executed_is_unknown_and_the_log_says_why(faults, name, reason):
    assert_fault(faults, name, "U", "printed nothing", reason)


# ---- what it is given ----

@pytest.mark.parametrize("name, value", [("quotes", "42"), ("long", "5"), ("very long", "5")])
def test_a_command_is_passed_exactly_as_stored(faults, name, value):
    assert_fault(faults, name, value)


@pytest.mark.parametrize("name, value", [("descriptors", "1"), ("standard input", "1"), ("signals", "0"),
                                         ("capabilities", "0"), ("secrets", "0"), ("limits", "1")])
def test_a_script_inherits_nothing_that_it_should_not(faults, name, value):
    assert_fault(faults, name, value)


# ---- the system has nothing to give ----

@pytest.mark.alone("it changes the process that is started")
def test_without_processes_scripts_are_unknown_and_nothing_else_suffers(site, snmpd, poller, work):
    device = site.add_device(1, port=snmpd.port, device_threads=2)
    expected = {site.add_snmp_item(device, f"{PLAYPEN}.1.{n}", rrd_name="v"): str(real_value(1, n)) for n in (1, 2)}
    items = [{"device": device, "action": cacti.SCRIPT, "arg1": "echo 1", "rrd_name": "v"}]
    expected |= {key: "U" for key in site.add_items(items)}
    library = work / "no-process.so"
    source = NO_PROCESS + NO_PROCESS.replace("int clone(", "int __clone(").replace("#include <errno.h>", "")
    subprocess.run([tool("gcc", "gcc"), "-x", "c", "-shared", "-fPIC", "-o", library, "-"], input=source,
                   text=True, check=True)
    run = run_alone(poller, first=0, last=1, env={"LD_PRELOAD": str(library)})
    assert run.status == 0, run
    assert_stored(site, expected)
    assert site.device(1)["status"] == 3
    assert run.log_lines("Resource temporarily unavailable"), run


@pytest.mark.libevent(True)
def test_few_descriptors_delay_scripts_and_cost_no_value(site, plain_poller):
    """Room for a few scripts at a time, none for 20; and none is used up by the hundred before."""
    site.threads(2)
    device = site.add_device(1, availability_method=0, device_threads=20)
    keys = site.add_items([{"device": device, "action": cacti.SCRIPT, "arg1": f"echo {n}", "rrd_name": "v"}
                           for n in range(100)])
    for path in ("off", "on"):
        command = [tool("prlimit", "util-linux"), "--nofile=32", *plain_poller.command(first=0, last=1),
                   f"--event-loop={path}"]
        run = plain_poller.run_as(command)
        assert run.status == 0, run
        assert_stored(site, {key: str(n) for n, key in enumerate(keys)})
        site.take_outputs()


# ---- slots ----

def test_busy_slots_make_no_false_unknowns_and_scripts_need_no_script_server(site, poller, work):
    """240 scripts on 60 devices share 20 slots."""
    phpsite.fake(site, work / "web")
    (work / "starts").mkdir()
    site.threads(60)
    devices = site.add_devices([{"id": n, "hostname": "127.0.0.1", "availability_method": 0} for n in range(1, 61)])
    keys = site.add_items([{"device": devices[n % 60], "action": cacti.SCRIPT, "arg1": f"sleep 0.1; echo {n}",
                            "rrd_name": "v"} for n in range(240)])
    env = {"FAKESERVER_START": "die", "FAKESERVER_STARTS": str(work / "starts")}
    run = run_alone(poller, first=0, last=60, env=env)
    assert run.status == 0 and not run.log_but_stats, run
    assert_stored(site, {key: str(n) for n, key in enumerate(keys)})
    assert not list((work / "starts").iterdir())
