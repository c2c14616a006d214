"""Which devices and items are polled, and what is written where: lists, ranges, intervals, boost, modes."""

import pytest

from world import Cycle

OBJECT = ".1.3.6.1.4.1.99999.1"
OBJECTS = f"object {OBJECT}.{{1-50}} counter32 @mix\nagent 127.3.0.1\n"
QUICK = {"snmp_timeout": 500}


def devices(site, *ids, count=2, **columns):
    for id in ids:
        device = site.add_device(id, **({"hostname": "127.3.0.1", "port": site.agents} | QUICK | columns))
        for n in range(1, count + 1):
            site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x")


def polled(dump):
    return sorted({dump.items[key]["host_id"] for key in dump.outputs})


def test_disabled_deleted_and_foreign_devices_are_left_alone(compare):
    def seed(site):
        devices(site, 1)
        devices(site, 2, disabled="on")
        devices(site, 3, deleted="on")
        devices(site, 4, poller_id=2)
        devices(site, 5, count=0)
        own = site.add_device(6, hostname="127.3.0.1", port=site.agents, **QUICK)
        site.add_snmp_item(own, f"{OBJECT}.1", rrd_name="x", poller_id=2)
        site.add_snmp_item(own, f"{OBJECT}.2", rrd_name="x")

    for dumps in compare(seed, OBJECTS).values():
        assert polled(dumps[0]) == [1, 6]
        assert {id for id, row in dumps[0].host.items() if row["total_polls"]} == {1, 5, 6}


@pytest.mark.parametrize("options,first,last,expected", [
    (("--hostlist=2,4",), None, None, [2, 4]), (("-H", "3"), None, None, [3]), (("2", "3"), None, None, [2, 3]),
    ((), 2, 4, [2, 3, 4]), ((), 5, 5, [5]), ((), 7, 9, []), ((), None, None, [1, 2, 3, 4, 5])])
def test_lists_and_ranges(compare, options, first, last, expected):
    cycle = Cycle(options=options, whole=True) if first is None else Cycle(options=options, first=first, last=last)
    for dumps in compare(lambda site: devices(site, 1, 2, 3, 4, 5), OBJECTS, cycles=[cycle]).values():
        assert polled(dumps[0]) == expected


def test_no_devices_at_all_closes_the_cycle(compare):
    for dumps in compare(lambda site: None, OBJECTS).values():
        assert len(dumps[0].cycles) == 1 and dumps[0].cycles[0]["end_time"] > 0


def test_items_without_a_device(compare):
    """Device 0 has no SNMP items in a real site, and this version no scripts yet; one that is not supported will do."""
    def seed(site):
        devices(site, 1)
        site.add_items([{"arg1": f"{OBJECT}.{n}", "rrd_name": "x", "hostname": "127.3.0.1", "snmp_port": site.agents,
                         "snmp_version": 2, "snmp_community": "public", "snmp_timeout": 100, "snmp_username": "",
                         "snmp_password": "", "snmp_context": ""} for n in (1, 2, 3)])

    compare(seed, OBJECTS, cycles=[Cycle(), Cycle(first=1, last=9)], expect=("S12",))


def test_no_items_without_a_device(compare):
    compare(lambda site: devices(site, 1), OBJECTS, cycles=[Cycle(), Cycle(first=1)])


def test_intervals_of_60_and_300_seconds_over_six_cycles(compare):
    """Device 2 does not answer, and its items are counted down nevertheless."""
    def seed(site):
        site.settings(poller_interval=60, active_profiles=2)
        for id, host in ((1, "127.3.0.1"), (2, "127.3.0.2")):
            device = site.add_device(id, hostname=host, port=site.agents, **QUICK)
            for n, (step, next_step) in enumerate([(60, 0), (300, 0), (300, 120), (300, 240), (60, 60), (300, 30),
                                                   (120, 0), (300, -60), (30, 0)], 1):
                site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x", rrd_step=step, rrd_next_step=next_step)

    found = compare(seed, OBJECTS + "agent 127.3.0.2 silent\n", cycles=[Cycle() for _ in range(6)], expect=("P17",))
    for dumps in found.values():
        assert [(1, "x") in d.outputs for d in dumps] == [True] * 6
        assert [(2, "x") in d.outputs for d in dumps] == [True] + [False] * 4 + [True]


def test_steps_of_30_50_and_60_seconds_at_an_interval_of_20(compare):
    """Cacti's Spine polls the first two once and never again."""
    def seed(site):
        site.settings(poller_interval=20, active_profiles=3)
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **QUICK)
        for n, step in enumerate((30, 50, 60), 1):
            site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x", rrd_step=step)

    found = compare(seed, OBJECTS, cycles=[Cycle() for _ in range(5)], expect=("P17",))
    for name, dumps in found.items():
        polled = [[(n, "x") in d.outputs for d in dumps] for n in (1, 2, 3)]
        assert polled[2] == [True, False, False, True, False]
        once = [True] + [False] * 4
        assert polled[0] == (once if name == "reference" else [True, False, True, True, False])
        assert polled[1] == (once if name == "reference" else [True, False, False, True, False])


def test_one_profile_leaves_the_steps_alone(compare):
    def seed(site):
        site.settings(poller_interval=60, active_profiles=1)
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **QUICK)
        for n, (step, next_step) in enumerate([(60, 0), (300, 240)], 1):
            site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x", rrd_step=step, rrd_next_step=next_step)

    compare(seed, OBJECTS)


@pytest.mark.parametrize("redirect,enable", [("on", "on"), ("on", ""), ("", "on")])
def test_boost_stores_the_same_rows_twice(compare, redirect, enable):
    def seed(site):
        site.settings(boost_redirect=redirect, boost_rrd_update_enable=enable)
        devices(site, 1, 2)

    for dumps in compare(seed, OBJECTS).values():
        assert dumps[0].boost == (dumps[0].outputs if redirect and enable else {})


def test_thousands_of_items(compare):
    def seed(site):
        for id in (1, 2):
            device = site.add_device(id, hostname="127.3.0.1", port=site.agents, max_oids=60, **QUICK)
            site.add_items([{"device": device, "arg1": f"{OBJECT}.{n % 50 + 1}", "rrd_name": "some_long_name_here"}
                            for n in range(2500)])

    compare(seed, OBJECTS)


def test_read_only_writes_nothing_at_all(compare):
    def seed(site):
        site.settings(poller_interval=60, active_profiles=2, boost_redirect="on", boost_rrd_update_enable="on")
        devices(site, 1, 2)
        site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
                 "VALUES (1, 1, 0, '<', '600000', '.1.3.6.1.2.1.1.3.0')")

    for option in ("-R", "--readonly"):
        found = compare(seed, OBJECTS, cycles=[Cycle(options=(option,))], expect=("P6",))
        for name in found.keys() - {"reference"}:
            assert found[name][0].unchanged(), name


def test_ping_only_checks_and_stores_nothing_else(compare):
    """The reference does not know the option."""
    def seed(site):
        site.settings(poller_interval=60, active_profiles=2)
        devices(site, 1)
        devices(site, 2, hostname="127.3.0.2")
        site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
                 "VALUES (1, 1, 0, '<', '600000', '.1.3.6.1.2.1.1.3.0')")

    found = compare(seed, OBJECTS + "agent 127.3.0.2 silent\n", cycles=[Cycle(options=("--pingonly",))],
                    only=("legacy", "event"))
    for dumps in found.values():
        after, before = dumps[0], dumps[0].before
        assert not after.outputs and not after.cycles and not after.commands
        assert (after.items, after.reindex, after.settings) == (before.items, before.reindex, before.settings)
        assert [(after.host[i]["total_polls"], after.host[i]["failed_polls"]) for i in (1, 2)] == [(1, 0), (1, 1)]
        assert all(after.host[i]["polling_time"] == before.host[i]["polling_time"] for i in (1, 2))


@pytest.mark.parametrize("mode", ["offline", "recovery"])
def test_a_remote_poller_without_its_main_server(compare, mode):
    def seed(site):
        site.settings(poller_interval=60, active_profiles=2, boost_redirect="on", boost_rrd_update_enable="on")
        site.sql("REPLACE INTO poller (id, name, threads) VALUES (2, 'remote', 2)")
        devices(site, 1)
        devices(site, 2, 3, poller_id=2)
        devices(site, 4, poller_id=2, hostname="127.3.0.2")
        site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
                 "VALUES (2, 1, 0, '<', '600000', '.1.3.6.1.2.1.1.3.0')")

    found = compare(seed, OBJECTS + "agent 127.3.0.2 silent\n", poller_id=2,
                    cycles=[Cycle(options=(f"--mode={mode}",)), Cycle(options=(f"--mode={mode}",))])
    for dumps in found.values():
        assert polled(dumps[0]) == [2, 3]
        assert dumps[0].cycles[0]["poller_id"] == 2 and dumps[0].settings.get("date") is None
