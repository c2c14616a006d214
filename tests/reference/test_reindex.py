"""Re-index checks: what is probed, what is stored, spike kill. The agents' uptime is 500000 hundredths."""

import pytest

from world import SYSTEM, Cycle

OBJECT = ".1.3.6.1.4.1.99999.1"
TABLE = ".1.3.6.1.4.1.99999.2"
UPTIME = ".1.3.6.1.2.1.1.3.0"
ENGINE_TIME = ".1.3.6.1.6.3.10.2.1.3.0"
OBJECTS = (f"object {OBJECT}.{{1-50}} counter32 @mix\nobject {OBJECT}.60 string \"in:1 out:2\"\n"
           f"object {TABLE}.1.{{1-7}} int 5\n")
QUICK = {"snmp_timeout": 500}
GET, COUNT = 0, 10


def check(site, device, query, op, value, arg1, action=GET):
    site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
             "VALUES (%s, %s, %s, %s, %s, %s)", device["id"], query, action, op, value, arg1)


def device_with_items(site, id=1, count=3, pairs=True, **columns):
    device = site.add_device(id, hostname="127.3.0.1", port=site.agents, **(QUICK | columns))
    for n in range(1, count + 1):
        site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x")
    if pairs:
        site.add_snmp_item(device, f"{OBJECT}.60", rrd_name="")
    return device


def run(compare, *checks, agents="agent 127.3.0.1\n", objects="", expect=(), cycles=None, **columns):
    """One device per check, numbered from 1; each check is what `check` takes after the query."""
    def seed(site):
        for id, one in enumerate(checks, 1):
            device = device_with_items(site, id, **columns)
            for query, row in enumerate(one if isinstance(one, list) else [one], 1):
                check(site, device, query, *row)

    return compare(seed, OBJECTS + objects + agents, expect=expect, cycles=cycles)


@pytest.mark.parametrize("version", [1, 2])
def test_an_uptime_that_went_backwards(compare, version):
    """And the cycle after it."""
    found = run(compare, ("<", "600000", UPTIME), ("<", "400000", UPTIME), ("<", "500000", UPTIME),
                ("<", "0", UPTIME), ("<", "", UPTIME), ("=", "600000", UPTIME), (">", "400000", UPTIME),
                cycles=[Cycle(), Cycle()], snmp_version=version, max_oids=2)
    for dumps in found.values():
        first = dumps[0]
        assert first.reindex[1, 1, UPTIME]["assert_value"] == "500000"
        assert (1, 1, "1:1") in [(r["poller_id"], r["action"], r["command"]) for r in first.commands]
        assert [first.outputs[n, "x"][0][1] for n in (1, 2, 3)] == ["U"] * 3
        assert first.outputs[4, ""][0][1] == "in:1 out:2"
        assert "1:1" not in [r["command"] for r in dumps[1].commands]


def test_an_engine_time_replaces_the_uptime(compare):
    run(compare, ("<", "600000", UPTIME), ("<", "700100", UPTIME), ("<", "1", UPTIME), ("=", "700000", UPTIME),
        objects=f"object {ENGINE_TIME} int 7000\n")


def test_the_engine_time_given_as_such(compare):
    run(compare, ("<", "600000", ENGINE_TIME), ("<", "800000", ENGINE_TIME), objects=f"object {ENGINE_TIME} int 7000\n",
        expect=("S20",))


def test_other_objects(compare):
    run(compare, ("=", "5", f"{TABLE}.1.1"), ("=", "6", f"{TABLE}.1.1"), ("<", "6", f"{TABLE}.1.1"),
        (">", "4", f"{TABLE}.1.1"), (">", "6", f"{TABLE}.1.1"), ("<", "4", f"{TABLE}.1.1"), ("?", "4", f"{TABLE}.1.1"))


def test_a_failed_assertion_spares_the_rest_of_its_query(compare):
    """The rows of other queries are still probed."""
    def seed(site):
        device = device_with_items(site)
        check(site, device, 1, "=", "9", f"{TABLE}.1.1")
        check(site, device, 1, "=", "9", f"{TABLE}.1.2")
        check(site, device, 2, "=", "5", f"{TABLE}.1.3")
        check(site, device, 2, "=", "9", f"{TABLE}.1.4")

    found = compare(seed, OBJECTS + "agent 127.3.0.1\n")
    for dumps in found.values():
        probed = [line.oid for line in dumps[0].asked if line.oid.startswith(TABLE)]
        assert probed == [f"{TABLE}.1.{n}" for n in (1, 3, 4)]
        assert [r["command"] for r in dumps[0].commands] == ["1:1", "1:2"]


@pytest.mark.parametrize("version", [1, 2])
def test_a_probe_without_result_concludes_nothing(compare, version):
    run(compare, *((op, "9", f"{TABLE}.9.9") for op in "<>"), snmp_version=version, expect=("S19",))


def test_a_missing_row_with_v1(compare):
    found = run(compare, ("=", "9", f"{TABLE}.9.9"), ("=", "", f"{TABLE}.9.9"), snmp_version=1)
    for dumps in found.values():
        assert [r["command"] for r in dumps[0].commands] == ["1:1"]


def test_a_missing_row_with_v2c(compare):
    """Spine notices nothing and silences the device."""
    found = run(compare, ("=", "9", f"{TABLE}.9.9"), ("=", "eth0", f"{TABLE}.1.9"), snmp_version=2, expect=("S19", "S29"),
                cycles=[Cycle(), Cycle()])
    for name in ("legacy", "event"):
        assert [r["command"] for r in found[name][0].commands] == ["1:1", "2:1"]
        assert not [r for r in found[name][1].commands if r["time"] == "now"]


@pytest.mark.parametrize("text, stored", [
    ('string "to \\"core\\" 2"', "to core 2"), ('string "D:\\\\ data"', "D: data"), ('string "eth0\\x00"', "eth0"),
    ('string "Z\\xc3\\xbcrich"', "Z\u00fcrich"), ("hex 00 1b 21 3c 4d 5e", "00:1B:21:3C:4D:5E"),
    ("hex 61 fc 62", "61fc62"), ("oid .1.3.6.1.4.1.8072", ".1.3.6.1.4.1.8072"), ("fill 101", "x" * 100)])
def test_a_text_as_cacti_has_stored_it(compare, text, stored):
    run(compare, ("=", stored, f"{OBJECT}.61"), objects=f"object {OBJECT}.61 {text}\n", expect=("S31",))


@pytest.mark.parametrize("engine", ["int 0", "int -5", 'string "1 day"', "null"])
def test_an_engine_time_that_is_not_a_clock(compare, engine):
    found = run(compare, ("<", "600000", UPTIME), ("<", "400000", UPTIME), objects=f"object {ENGINE_TIME} {engine}\n",
                expect=("S30?",))
    for name in ("legacy", "event"):
        assert [r["command"] for r in found[name][0].commands] == ["1:1"]


@pytest.mark.parametrize("version", [1, 2])
def test_an_invalid_uptime(compare, version):
    spec = "".join(line + "\n" for line in SYSTEM.splitlines() if ".1.3.0 " not in line)
    def seed(site):
        check(site, device_with_items(site, snmp_version=version), 1, "<", "9", UPTIME)

    compare(seed, OBJECTS + "agent 127.3.0.1\n", spec=spec, expect=("S19",) if version == 1 else ("S18", "S19?"))


def test_row_counts(compare):
    """The walk of .1 ends within the view; .2 is empty, .3 does not exist."""
    found = run(compare, ("=", "7", f"{TABLE}.1", COUNT), ("=", "8", f"{TABLE}.1", COUNT),
                ("=", "0", f"{TABLE}.0", COUNT), ("=", "1", f"{TABLE}.0", COUNT), ("<", "9", f"{TABLE}.1", COUNT),
                ("=", "7", f"{TABLE}.1", COUNT), objects=f"object {TABLE}.5.0 int 1\n")
    for dumps in found.values():
        assert [r["command"] for r in dumps[0].commands] == ["2:1", "4:1", "5:1"]


def test_a_row_count_at_the_end_of_the_view(compare):
    found = run(compare, ("=", "7", f"{TABLE}.1", COUNT), expect=("S21",))
    assert not found["legacy"][0].commands


def test_a_v1_row_count_past_the_end_of_the_view_ends(compare):
    """The reference walks forever."""
    def seed(site):
        check(site, device_with_items(site, snmp_version=1), 1, "=", "7", f"{TABLE}.1", COUNT)

    found = compare(seed, OBJECTS + "agent 127.3.0.1\n", only=("legacy", "event"))
    for dumps in found.values():
        assert not dumps[0].commands and all(rows[0][1] != "U" for rows in dumps[0].outputs.values())


def test_a_device_without_session(compare):
    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, snmp_community="", **QUICK)
        site.add_snmp_item(device, f"{OBJECT}.1", rrd_name="x", snmp_community="public")
        check(site, device, 1, "<", "9", UPTIME)
        check(site, device, 2, "=", "9", f"{TABLE}.1.1")

    compare(seed, OBJECTS + "agent 127.3.0.1\n")


def test_spike_kill_reaches_every_request(compare):
    """Items of two sessions: the first request is sent when the session changes."""
    def seed(site):
        device = device_with_items(site)
        for n in (4, 5, 6):
            site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x", snmp_version=1)
        check(site, device, 1, "<", "600000", UPTIME)

    compare(seed, OBJECTS + "agent 127.3.0.1\n", expect=("S22",))


def test_a_down_device_is_not_probed(compare):
    run(compare, ("<", "600000", UPTIME), agents="agent 127.3.0.1 silent\n")


@pytest.mark.parametrize("method", [0, 3])
def test_devices_that_are_not_checked_by_SNMP(compare, method):
    run(compare, ("<", "600000", UPTIME), ("=", "4", f"{TABLE}.1.1"), availability_method=method, ping_method=2,
        ping_port=1)


def test_a_long_assertion(compare):
    run(compare, ("=", "5" * 90, f"{TABLE}.1.1"), ("=", "in:1 out:2", f"{OBJECT}.60"), ("=", "it's", f"{OBJECT}.60"))


def test_an_assertion_of_100_characters(compare):
    """The reference compares 99 of them, and re-indexes in every cycle."""
    run(compare, ("=", "5" * 100, f"{OBJECT}.61"), objects=f"object {OBJECT}.61 string {'5' * 100}\n", expect=("S28",))


def test_several_threads_of_a_device(compare):
    run(compare, ("<", "600000", UPTIME), device_threads=3, count=9, expect=("S23",))
