"""Which devices and items one launch polls, and which it leaves alone."""

import contextlib

import pytest

from support.checks import assert_closed, assert_only_a_cycle_changed, assert_stored
from support.lab import SilentDevice
from support.poller import Poller
from support.snmpd import PLAYPEN

from conftest import real_value


@pytest.fixture
def add(site, snmpd):
    """add(id, **columns): a device with two items on the real agent; returns {key: right value}."""

    def add_device(id, item_columns=None, **columns):
        device = site.add_device(id, port=snmpd.port, **columns)
        return {site.add_snmp_item(device, f"{PLAYPEN}.{id}.{n}", rrd_name=f"v{n}", **(item_columns or {})):
                str(real_value(id, n)) for n in (1, 2)}

    return add_device


def only(expected, *ids):
    """The part of {id: {key: value}} for these ids, as one dictionary."""
    return {key: value for id in ids for key, value in expected[id].items()}


SELECTIONS = [
    ([], (1, 2, 3, 5, 8)),
    (["--first=2", "--last=5"], (2, 3, 5)),
    (["--first=0", "--last=8"], (1, 2, 3, 5, 8)),
    (["--first=3", "--last=3"], (3,)),
    (["--first=6", "--last=7"], ()),
    (["2", "3"], (2, 3)),
    (["-f", "2", "-l", "3"], (2, 3)),
    (["--FIRST=2", "--LAST=3"], (2, 3)),
    (["--hostlist=5,1"], (1, 5)),
    (["-H", "8"], (8,)),
    (["-H", "1, 2,2,99"], (1, 2)),
    (["--hostlist=5", "--first=1", "--last=2"], (5,)),
]


@pytest.mark.quick
@pytest.mark.parametrize("arguments, ids", SELECTIONS, ids=[" ".join(a) or "everything" for a, _ in SELECTIONS])
def test_the_selected_devices_are_polled_and_no_others(site, add, poller, arguments, ids):
    expected = {id: add(id) for id in (1, 2, 3, 5, 8)}
    before = site.snapshot()
    run = poller.run(*arguments)
    assert run.status == 0, run
    assert_stored(site, only(expected, *ids))
    assert_closed(site, run)
    assert_only_a_cycle_changed(before, site.snapshot(), devices=ids)


def test_disabled_deleted_and_foreign_devices_and_items_are_not_touched(site, add, poller):
    expected = {1: add(1)}
    add(2, disabled="on")
    add(3, deleted="on")
    add(4, poller_id=2)
    add(5, item_columns={"poller_id": 2})
    add(6, poller_id=2, item_columns={"poller_id": 1})
    before = site.snapshot()
    run = poller.run(first=0, last=6)
    assert run.status == 0, run
    assert_stored(site, expected[1])
    assert_only_a_cycle_changed(before, site.snapshot(), devices=(1, 5))
    assert [site.device(id)["total_polls"] for id in range(1, 7)] == [1, 0, 0, 0, 1, 0]


def test_a_device_without_items_is_still_checked(site, snmpd, poller):
    site.add_device(1, port=snmpd.port)
    with SilentDevice() as silent:
        site.add_device(2, port=silent.port, snmp_timeout=100)
        run = poller.run(first=0, last=2)
    assert run.status == 0, run
    assert_stored(site, {})
    assert [(d["total_polls"], d["failed_polls"]) for d in (site.device(1), site.device(2))] == [(1, 0), (1, 1)]


@pytest.mark.parametrize("launches", [
    [["--first=0", "--last=4"], ["--first=5", "--last=9"]],
    [["--hostlist=0,1"], ["--hostlist=2,7"]],
    [[]],
], ids=("two-ranges", "two-lists", "everything"))
def test_items_without_a_device_are_polled_by_one_process_only(site, add, snmpd, poller, launches):
    add(1)
    add(7)
    keys = site.add_items([{"arg1": f"{PLAYPEN}.30.{n}", "rrd_name": f"v{n}", "hostname": "127.0.0.1",
                            "snmp_community": "public", "snmp_version": 2, "snmp_port": snmpd.port,
                            "snmp_timeout": 500} for n in (1, 2)])
    polled = []
    for launch in launches:
        run = poller.run(*launch)
        assert run.status == 0, run
        stored = site.take_outputs()
        polled += [stored[key] for key in keys if key in stored]
    assert polled == [[str(real_value(30, 1))], [str(real_value(30, 2))]]
    assert len(site.cycles()) == len(launches)


def test_launches_that_run_at_the_same_time_share_the_devices(site, add, poller, build, loop, work):
    """As with "concurrent processes" in Cacti: one launch per range, each with its own row in poller_time."""
    expected = only({id: add(id) for id in range(1, 13)}, *range(1, 13))
    pollers = [Poller(build.binary, site, work / f"poller{n}", loop=loop) for n in range(3)]
    for p in pollers:
        p.conf = poller.conf  # and one daemon, if there is one
    with contextlib.ExitStack() as all_running:
        started = [all_running.enter_context(p.start(first=4 * n + (n > 0), last=4 * n + 4))
                   for n, p in enumerate(pollers)]
        runs = [running.wait() for running in started]
    assert [run.status for run in runs] == [0, 0, 0], runs
    assert_stored(site, expected)
    assert sorted(c["pid"] for c in site.cycles()) == sorted(r.pid for r in started)
    assert all(c["end_time"] for c in site.cycles())


def test_an_item_of_five_steps_is_due_in_every_fifth_cycle(site, add, poller):
    """docs/contract.md 18.1, for an interval of 60 s and steps of 60 and 300 s."""
    site.settings(poller_interval=60, cron_interval=60, active_profiles=2)
    each = add(1, item_columns={"rrd_step": 60})
    fifth = add(2, item_columns={"rrd_step": 300})
    later = add(3, item_columns={"rrd_step": 300, "rrd_next_step": 120})
    advanced = [*each, *fifth, *later]
    due, steps = [], []
    for _ in range(6):
        before = site.snapshot()
        run = poller.run(first=0, last=3)
        assert run.status == 0, run
        assert_only_a_cycle_changed(before, site.snapshot(), devices=(1, 2, 3), advanced=advanced)
        stored = site.take_outputs()
        due.append([all(key in stored for key in group) for group in (each, fifth, later)])
        assert all(any(key in stored for key in group) == all(key in stored for key in group)
                   for group in (each, fifth, later)), "a data source of which only a part was polled"
        rows = site.sql("SELECT host_id, MIN(rrd_next_step) AS low, MAX(rrd_next_step) AS high FROM poller_item "
                        "GROUP BY host_id ORDER BY host_id")
        assert all(r["low"] == r["high"] for r in rows)
        steps.append([r["low"] for r in rows])
    assert due == [[True, True, False], [True, False, False], [True, False, True],
                   [True, False, False], [True, False, False], [True, True, False]]
    assert steps == [[0, 240, 60], [0, 180, 0], [0, 120, 240], [0, 60, 180], [0, 0, 120], [0, 240, 60]]


#: Step and interval of an item, and by which of the first cycles it is polled: the first one at or after each
#: multiple of the step. All are in Cacti's menus but the last ones.
ODD_STEPS = [
    (30, 20, (0, 2, 3, 5, 6)),
    (20, 15, (0, 2, 3, 4, 6)),
    (20, 30, (0, 1, 2, 3, 4)),
    (15, 20, (0, 1, 2, 3, 4)),
    (10, 15, (0, 1, 2, 3, 4)),
    (90, 60, (0, 2, 3, 5, 6)),
    (100, 30, (0, 4, 7)),
    (59, 30, (0, 2, 4, 6)),
    (61, 30, (0, 3, 5, 7)),
]


@pytest.mark.parametrize("step, interval, wanted", ODD_STEPS, ids=[f"{s}-by-{i}" for s, i, _ in ODD_STEPS])
def test_a_step_that_is_not_a_multiple_of_the_interval_is_polled_again_and_again(
        site, add, poller, step, interval, wanted):
    """By the first cycle at or after it is due; one line a cycle says so, where such items are due."""
    site.settings(poller_interval=interval, cron_interval=60, active_profiles=2)
    expected = add(1, item_columns={"rrd_step": step})
    polled = []
    for n in range(wanted[-1] + 1):
        run = poller.run(first=0, last=1)
        assert run.status == 0, run
        stored = site.take_outputs()
        assert stored in ({}, {key: [value] for key, value in expected.items()})
        notes = run.log_lines(f"NOTE: 2 items have a step ({step} s) that is not a multiple of the poller interval of "
                              f"{interval} s")
        assert len(notes) == (1 if stored else 0), run
        polled += [n] if stored else []
    assert polled == list(wanted)


def test_different_steps_that_do_not_fit_are_named_in_one_line(site, add, poller):
    site.settings(poller_interval=20, cron_interval=60, active_profiles=2)
    for id, step in enumerate((30, 50, 20, 60, 30), 1):
        add(id, item_columns={"rrd_step": step})
    run = poller.run(first=0, last=5)
    assert run.status == 0, run
    lines = run.log_lines("not a multiple of the poller interval")
    assert len(lines) == 1 and "NOTE: 6 items have a step (" in lines[0], run
    assert "(30, 50 s)" in lines[0] or "(50, 30 s)" in lines[0], lines


def test_steps_that_fit_are_not_worth_a_line(site, add, poller):
    site.settings(poller_interval=60, cron_interval=60, active_profiles=2)
    for id, step in enumerate((60, 300, 120, 600), 1):
        add(id, item_columns={"rrd_step": step})
    run = poller.run(first=0, last=5)
    assert run.status == 0 and not run.log_lines("not a multiple"), run


@pytest.mark.parametrize("next_step, cycles", ((30, 1), (59, 1), (61, 2), (130, 3)))
def test_an_item_whose_turn_has_not_come_is_not_put_back(site, add, poller, next_step, cycles):
    """Less than an interval is left: it was not polled, and the next cycle does it."""
    site.settings(poller_interval=60, cron_interval=60, active_profiles=2)
    expected = add(1, item_columns={"rrd_step": 300, "rrd_next_step": next_step})
    for n in range(cycles + 1):
        run = poller.run(first=0, last=1)
        assert run.status == 0, run
        stored = site.take_outputs()
        assert (stored != {}) == (n == cycles), (n, stored)
    assert stored.keys() == expected.keys()


def test_the_steps_of_a_dead_device_advance_too(site, poller):
    site.settings(poller_interval=60, active_profiles=2)
    with SilentDevice() as silent:
        device = site.add_device(1, port=silent.port, snmp_timeout=100)
        site.add_snmp_item(device, f"{PLAYPEN}.1.1", rrd_name="x", rrd_step=300)
        run = poller.run(first=0, last=1)
    assert run.status == 0, run
    assert site.sql("SELECT rrd_next_step FROM poller_item")[0]["rrd_next_step"] == 240


def test_with_one_profile_the_steps_are_neither_asked_nor_changed(site, add, poller):
    expected = add(1, item_columns={"rrd_step": 300, "rrd_next_step": 120})
    before = site.snapshot()
    run = poller.run(first=0, last=1)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_only_a_cycle_changed(before, site.snapshot(), devices=(1,))


def test_read_only_mode_polls_and_writes_nothing_at_all(site, add, poller):
    site.settings(active_profiles=2, log_verbosity=3)
    expected = add(1)
    before = site.snapshot()
    run = poller.run("--readonly", first=0, last=1)
    assert run.status == 0, run
    assert before.changes(site.snapshot()) == {}
    for value in expected.values():
        assert run.log_lines(f"value: {value}"), run


def test_the_poller_id_of_the_command_line_beats_the_configuration_file(site, add, poller):
    expected = add(1)
    poller.write_conf(poller.conf_text(Poller=7))
    run = poller.run(first=0, last=1)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)


def test_a_new_result_of_the_same_second_replaces_the_old_one(site, add, poller):
    """Two launches may meet in one second; Cacti must find one row of it."""
    expected = add(1)
    run = poller.run(first=0, last=1)
    times = {rows[0][0] for rows in site.outputs().values()}
    site.sql("UPDATE poller_output SET output = 'old'")
    again = poller.run(first=0, last=1)
    assert (run.status, again.status) == (0, 0), again
    stored = site.outputs()
    newest = {key: max(rows) for key, rows in stored.items()}
    assert {key: value for key, (_, value) in newest.items()} == expected
    if {time for time, _ in newest.values()} == times:
        assert all(len(rows) == 1 for rows in stored.values())


#: What is asked for, and what the log says about each device that is not polled.
ABSENT = [
    (["-H", "99"], {99: "there is no such device"}, 66),
    (["-f", "99", "-l", "99"], {99: "there is no such device"}, 66),
    (["-H", "2"], {2: "it is disabled; enable it in Cacti"}, 66),
    (["-f", "2", "-l", "2"], {2: "it is disabled; enable it in Cacti"}, 66),
    (["-H", "3"], {3: "it belongs to poller 2; use --poller=2"}, 66),
    (["-H", "4"], {4: "it is deleted"}, 66),
    (["-H", "1,2,3,4,99"], {2: "it is disabled; enable it in Cacti", 3: "it belongs to poller 2; use --poller=2",
                            4: "it is deleted", 99: "there is no such device"}, 0),
    (["-H", "1"], {}, 0),
    (["-f", "1", "-l", "99"], {}, 0),
]


@pytest.mark.parametrize("arguments, reasons, status", ABSENT, ids=[" ".join(a) for a, _, _ in ABSENT])
def test_a_device_that_was_asked_for_and_is_not_polled_is_named_with_the_reason(
        site, add, poller, arguments, reasons, status):
    expected = {1: add(1), 2: add(2, disabled="on"), 3: add(3, poller_id=2), 4: add(4, deleted="on")}
    run = poller.run(*arguments)
    assert run.status == status, run
    assert [line.split("SPINE: ")[1].split("WARNING: ")[1] for line in run.log_lines("is not polled")] == \
        [f"Device[{id}] is not polled: {why}" for id, why in reasons.items()], run
    polled = status == 0
    assert_stored(site, expected[1] if polled else {})


def test_a_range_without_devices_is_named_in_the_log(site, add, poller):
    add(50)
    site.settings(log_verbosity=3)
    run = poller.run(first=6, last=9)
    assert run.status == 0 and len(run.log_lines("NOTE: poller 1 has no enabled device with an id from 6 to 9")) == 1, run


@pytest.mark.parametrize("change", ("UPDATE host SET disabled = 'on'", "UPDATE host SET poller_id = 3", "DELETE FROM host"))
def test_a_site_without_devices_is_named_in_the_log(site, add, poller, change):
    add(50)
    site.sql("DELETE FROM poller_item")
    site.sql(change)
    site.settings(log_verbosity=3)
    run = poller.run()
    assert run.status == 0 and len(run.log_lines("NOTE: poller 1 has no enabled device")) == 1, run
