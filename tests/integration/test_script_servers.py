"""PHP script servers: Cacti's own on the site's database, and one that misbehaves in every way.

No value may ever be stored for another data source than the one that it was the answer for.
"""

import pytest

from support import cacti, phpsite
from support.checks import assert_stored
from support.faultcycle import WRONG
from support.lab import tool, wait_until
from support.processes import run_alone

from conftest import SYSTEM_GROUP
from test_scripts import assert_fault

FUNCTIONS = """<?php
function t_value($a = 'none') { return $a; }
function t_two($a, $b) { return "$a:$b"; }
function t_lines() { return "1\\n2"; }
function t_noise() { print "3\\n"; usleep(60000); return 4; }
function t_print() { print 'a:'; return 3; }
function t_nothing() { }
function t_exit() { exit; }
function t_fatal() { undefined_function_here(); }
function t_devices() { return db_fetch_cell('SELECT COUNT(*) FROM host'); }

/* How many calls are in progress, this one among them, at most while it lasts: 20 ms, or until that number has been reached. */
function t_overlap($file, $wanted) {
    $count = function ($by) use ($file) {
        $f = fopen($file, 'c+'); flock($f, LOCK_EX);
        [$n, $most] = array_map('intval', explode(' ', stream_get_contents($f) . ' 0 0'));
        $n += $by; $most = max($n, $most);
        rewind($f); ftruncate($f, 0); fwrite($f, "$n $most"); fflush($f); flock($f, LOCK_UN);
        return [$n, $most];
    };
    [$n, $most] = $count(1);
    $until = time() + 60;
    do {
        usleep(20000);
        [$now, $most] = $count(0);
        $n = max($n, $now);
    } while ($most < $wanted && time() < $until);
    $count(-1);
    return $n;
}
"""

#: call: value
CALLS = {"t_value 42": "42", "t_value": "U", "t_value 'a:1 b:2'": "a:1 b:2", "t_two 1 \"2\"": "1:2", "t_lines": "U",
         "t_value 43": "43", "t_noise": "U", "t_value 44": "44", "t_print": "a:3", "t_nothing": "U", "t_value 45": "45",
         "t_value 'unbalanced": "U", "t_value 46": "46", "t_value 'a`b'": "U", "t_value 47": "47", "t_exit": "U",
         "t_missing": "U", "t_fatal": "U", "t_value 48": "48", "t_devices": "3"}


def add_servers_items(site, device, commands):
    return site.add_items([{"device": device, "action": cacti.SCRIPT_SERVER, "arg1": c, "rrd_name": "v"}
                           for c in commands])


# ---- Cacti's own ----

@pytest.fixture
def functions(site, work):
    """The real script server on the site's database, and a file with the functions above."""
    tool("php", "php-cli")
    root = phpsite.real(site, work / "web")
    path = root / "functions.php"
    path.write_text(FUNCTIONS)
    return path


def test_cactis_own_script_server_gives_every_data_source_its_own_value(site, poller, functions):
    site.settings(php_servers=2)
    site.threads(3)
    devices = site.add_devices([{"id": n, "hostname": "127.0.0.1", "availability_method": 0} for n in (1, 2, 3)])
    expected = {}
    for device in devices:
        keys = add_servers_items(site, device, [f"{functions} {call}" for call in CALLS])
        expected |= dict(zip(keys, CALLS.values()))
    run = run_alone(poller, first=0, last=3)
    assert run.status == 0, run
    assert_stored(site, expected)


def test_as_many_functions_run_at_once_as_there_are_servers(site, poller, functions, work):
    """Nothing but the number of servers keeps them apart; they wait for each other, however busy the machine is."""
    site.threads(10)
    devices = site.add_devices([{"id": n, "hostname": "127.0.0.1", "availability_method": 0} for n in range(1, 11)])
    for servers in (1, 4):
        site.sql("DELETE FROM poller_item")
        keys = [key for d in devices
                for key in add_servers_items(site, d, [f"{functions} t_overlap {work}/of{servers} {servers}"] * 4)]
        site.settings(php_servers=servers)
        run = run_alone(poller, first=0, last=10)
        assert run.status == 0 and not run.log_but_stats, run
        values = site.take_outputs()
        assert values.keys() == set(keys)
        assert max(int(value) for value, in values.values()) == servers, values


# ---- one that misbehaves in every way, in one cycle ----

def test_nothing_that_a_server_said_is_stored_for_another_data_source(faults):
    stored, right = faults.good()
    assert stored == right, f"{[(s, r) for s, r in zip(stored, right) if s != r]}\n{faults.run!r}"
    assert not any(WRONG in value for value in faults.all_values())


def test_a_warning_before_the_hello_is_logged_and_does_no_harm(faults):
    assert faults.run.log_lines("The PHP Script Server printed before it started: 'PHP Warning"), faults.run


def test_a_server_that_ends_at_its_start_is_started_again(faults):
    assert faults.run.log_lines("Script Server did not start properly return message was: 'U'"), faults.run


def test_a_server_that_ends_instead_of_answering_is_replaced_and_asked_once_more(faults):
    assert_fault(faults, "ends once", "5", "communications lost", "Restarting PHP Script Server")


@pytest.mark.parametrize("name", ("ends each time", "closes it"))
def test_a_request_that_ends_every_server_is_unknown(faults, name):
    assert_fault(faults, name, "U", "ended before it answered")


def test_a_server_that_ends_after_its_answer_costs_nothing(faults):
    assert_fault(faults, "ends after its answer", "7")


@pytest.mark.parametrize("name", ("silent", "wedged"))
def test_a_wedged_server_costs_its_item_the_time_out_and_is_ended(faults, name):
    assert_fault(faults, name, "U", "timed out", "limit: 5000 ms")
    assert_fault(faults, name, "U", "did not respond in time for Timeout[5.0", "will therefore be restarted")


@pytest.mark.parametrize("name", ("extra line", "delayed line"))
def test_more_than_one_line_is_unknown(faults, name):
    assert_fault(faults, name, "U", "more than one line was printed")


@pytest.mark.parametrize("name", ("parse error", "backtick"))
def test_the_two_lines_of_a_parse_error_belong_together(faults, name):
    assert_fault(faults, name, "U", "could not parse the parameters")


def test_an_empty_line_is_unknown(faults):
    assert faults.fault("empty line").value == "U"


def test_a_partial_line_is_unknown(faults):
    assert_fault(faults, "partial line, then nothing", "U", "the line was not finished")
    assert_fault(faults, "partial line, then it ends", "U", "in the middle of its answer")


def test_garbage_is_unknown(faults):
    assert_fault(faults, "10 MB", "U", "printed too much", "limit: 2047 bytes")
    assert_fault(faults, "NUL line", "U", "a NUL byte was printed")
    assert faults.fault("binary").value == "U"


def test_a_server_that_no_longer_reads_delays_nothing(faults):
    assert_fault(faults, "never reads again", "U", "the function did not end")


def test_a_line_without_a_request_is_never_a_value(site, poller, work):
    """It may cost the request that is open at that moment its value."""
    phpsite.fake(site, work / "web")
    site.settings(php_servers=1)
    device = site.add_device(1, availability_method=0)
    right = dict(enumerate(add_servers_items(site, device, [f"f nap 0.02 {n}" for n in range(10)] +
                                             [f"f stray 0.1 10 {WRONG}"] + [f"f nap 0.02 {n}" for n in range(11, 30)])))
    run = run_alone(poller, first=0, last=1)
    stored = {key: rows[0][1] for key, rows in site.outputs().items()}
    assert all(stored[key] in (str(n), "U") for n, key in right.items()), f"{stored}\n{run!r}"
    assert sum(value == "U" for value in stored.values()) <= 2, f"{stored}\n{run!r}"


# ---- no server, or a late one ----

def poll_with_agents(site, poller, agents, *, env=None, gate=None):
    """Ten SNMP items beside ten script-server items. `gate`: a file that is made when the agent was asked for all.
    Returns the run, and both lists of stored values."""
    site.threads(2)
    object_id = ".1.3.6.1.4.1.99999.1"
    farm = agents(SYSTEM_GROUP + f"object {object_id}.{{1-10}} int 7\nagent 127.3.0.2\n", log=True)
    served = site.add_device(1, availability_method=0, polling_time=9)
    servers = add_servers_items(site, served, ["f value 5"] * 10)
    device = site.add_device(2, hostname="127.3.0.2", port=farm.port)
    snmp = site.add_items([{"device": device, "arg1": f"{object_id}.{n}", "rrd_name": "v"} for n in range(1, 11)])
    if gate is None:
        run = run_alone(poller, first=0, last=2, env=env)
    else:
        with poller.start(first=0, last=2, env=env) as running:
            wait_until(lambda: any(object_id in line.oid for line in farm.log), "a request for an item")
            gate.touch()
            run = running.wait()
    stored = {key: rows[0][1] for key, rows in site.outputs().items()}
    assert all(stored[key] == "7" for key in snmp), f"{stored}\n{run!r}"
    return run, [stored[key] for key in servers]


def test_without_php_only_its_items_are_unknown(site, poller, work, agents):
    phpsite.fake(site, work / "web")
    site.settings(path_php_binary="/nowhere/php")
    run, values = poll_with_agents(site, poller, agents)
    assert run.status == 0 and values == ["U"] * 10, run
    assert run.log_lines("Script Server did not start properly"), run


def test_servers_that_never_start_are_given_up_after_three_starts_each(site, poller, work, agents):
    phpsite.fake(site, work / "web")
    site.settings(php_servers=2)
    run, values = poll_with_agents(site, poller, agents, env={"FAKESERVER_START": "die"})
    assert run.status == 0 and values == ["U"] * 10, run
    assert len(run.log_lines("Script Server did not start properly")) == 6, run
    assert len(run.log_lines("it is no longer used in this cycle")) == 2, run


def test_devices_are_polled_while_script_servers_are_starting(site, poller, work, agents):
    """They say that they have started only when the agent has been asked for its items."""
    phpsite.fake(site, work / "web")
    gate = work / "gate"
    run, values = poll_with_agents(site, poller, agents, gate=gate,
                                   env={"FAKESERVER_START": "gate", "FAKESERVER_GATE": str(gate)})
    assert run.status == 0 and values == ["5"] * 10 and not run.log_but_stats, run
