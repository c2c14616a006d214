"""A poll cycle against real agents, launched as Cacti does it: the right rows, and nothing else changes."""

import pytest

from support.agent import mix31, mix32, mix63
from support.checks import assert_closed, assert_only_a_cycle_changed, assert_stored
from support.lab import SilentDevice
from support.snmpd import PLAYPEN, Snmpd

from conftest import SYSTEM_GROUP, real_value


def seed_real(site, snmpd, devices, items, **columns):
    """Devices 1...n on the real agent with `items` items each; returns what must be stored."""
    added = site.add_devices([{"id": d, "hostname": snmpd.addresses[d % len(snmpd.addresses)],
                               "snmp_port": snmpd.port, **columns} for d in range(1, devices + 1)])
    wanted = [(d["id"], n) for d in added for n in range(1, items + 1)]
    keys = site.add_items([{"device": added[d - 1], "arg1": f"{PLAYPEN}.{d}.{n}", "rrd_name": f"v{n}"}
                           for d, n in wanted])
    return {key: str(real_value(d, n)) for key, (d, n) in zip(keys, wanted)}


def test_every_item_of_50_devices_on_a_real_agent_is_stored_once(site, snmpd, poller):
    expected = seed_real(site, snmpd, devices=50, items=20)
    before = site.snapshot()
    run = poller.run(first=0, last=50)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    assert_only_a_cycle_changed(before, site.snapshot(), devices=range(1, 51))
    for d in range(1, 51):
        row = site.device(d)
        assert (row["status"], row["total_polls"], row["failed_polls"]) == (3, 1, 0), row


OBJECT = ".1.3.6.1.4.1.99999.1"
#: Types that the simulated agent's objects OBJECT.1 ... OBJECT.20 take in turn, and the text of their values.
TYPES = [("int", mix31), ("counter32", mix32), ("gauge32", mix32), ("counter64", mix63)]
OBJECTS = [f"object {OBJECT}.{n} {TYPES[n % 4][0]} @mix\n" for n in range(1, 21)]
SIMULATED = SYSTEM_GROUP + "".join(OBJECTS)


def simulated_value(address, n):
    return str(TYPES[n % 4][1](address, f"{OBJECT}.{n}"))


def seed_simulated(site, farm, addresses, items=20, **columns):
    """Device n at addresses[n - 1]; returns what must be stored if it answers."""
    devices = site.add_devices([{"id": n, "hostname": address, "snmp_port": farm.port, **columns}
                                for n, address in enumerate(addresses, 1)])
    wanted = [(d, n) for d in devices for n in range(1, items + 1)]
    keys = site.add_items([{"device": d, "arg1": f"{OBJECT}.{n}", "rrd_name": f"v{n}"} for d, n in wanted])
    return {key: simulated_value(d["hostname"], n) for key, (d, n) in zip(keys, wanted)}


def test_every_item_of_50_simulated_devices_is_stored_once(site, agents, poller):
    addresses = [f"127.2.0.{n}" for n in range(1, 51)]
    farm = agents(SIMULATED + "agent 127.2.0.1-127.2.0.50\n")
    expected = seed_simulated(site, farm, addresses)
    before = site.snapshot()
    run = poller.run(first=0, last=50)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    assert_only_a_cycle_changed(before, site.snapshot(), devices=range(1, 51))


def test_a_lost_packet_is_asked_again(site, agents, poller):
    farm = agents(SIMULATED + "agent 127.2.0.1 drop-first=1\nagent 127.2.0.2 drop-pattern=1/2\n")
    expected = seed_simulated(site, farm, ["127.2.0.1", "127.2.0.2"], snmp_timeout=100)
    run = poller.run(first=0, last=2)
    assert run.status == 0, run
    assert_stored(site, expected)


def test_a_slow_device_is_waited_for_and_does_not_delay_the_others(site, agents, poller):
    farm = agents(SIMULATED + "agent 127.2.0.1 delay=150\nagent 127.2.0.2-127.2.0.9\n")
    expected = seed_simulated(site, farm, [f"127.2.0.{n}" for n in range(1, 10)])
    run = poller.run(first=0, last=9)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert site.device(1)["polling_time"] >= 0.15  # which puts it first in the next cycle


def test_a_device_that_falls_silent_in_mid_cycle_keeps_its_values_and_gets_U_for_the_rest(site, agents, poller):
    """After the check and one GET of 10 objects it is dead: the next GET and its repeat are not answered, nor is the question
    whether it lives, asked once and repeated once; there is no other request."""
    farm = agents(SIMULATED + "agent 127.2.0.1 die-after=2\nagent 127.2.0.2\n")
    expected = seed_simulated(site, farm, ["127.2.0.1", "127.2.0.2"], snmp_timeout=100)
    expected |= {key: "U" for key in list(expected)[10:20]}
    run = poller.run(first=0, last=2)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert farm.counters("127.2.0.1") == {"requests": 6, "answers": 2}
    assert len(run.log_lines("SNMP timeout detected [100 ms], ignoring host '127.2.0.1'")) == 10, run


@pytest.mark.parametrize("version", (1, 2))
def test_objects_that_an_agent_refuses_become_U_and_the_others_are_stored(site, agents, poller, version):
    """Two objects do not exist; version 1 has no word for 64-bit counters either (every fourth object)."""
    farm = agents(SYSTEM_GROUP + "".join(line for n, line in enumerate(OBJECTS, 1) if n not in (2, 10)) +
                  "agent 127.2.0.1\n")
    expected = seed_simulated(site, farm, ["127.2.0.1"], snmp_version=version)
    refused = {2, 10} | (set(range(3, 21, 4)) if version == 1 else set())
    expected |= {key: "U" for n, key in enumerate(expected, 1) if n in refused}
    run = poller.run(first=0, last=1)
    assert run.status == 0, run
    assert_stored(site, expected)


def test_an_agent_that_can_answer_only_few_objects_at_once_is_asked_for_fewer(site, agents, poller):
    farm = agents(SIMULATED + "agent 127.2.0.1 toobig-above=3\n")
    expected = seed_simulated(site, farm, ["127.2.0.1"])
    run = poller.run(first=0, last=1)
    assert run.status == 0, run
    assert_stored(site, expected)


def test_values_go_to_the_right_items_whatever_the_order_of_the_answer(site, agents, poller):
    farm = agents(SIMULATED + "agent 127.2.0.1 reorder\n")
    expected = seed_simulated(site, farm, ["127.2.0.1"])
    run = poller.run(first=0, last=1)
    assert run.status == 0, run
    assert_stored(site, expected)


@pytest.mark.parametrize("fault", ("wrong-id", "wrong-community", "wrong-pdu", "garbage", "truncate=20"))
def test_an_answer_that_is_not_one_leaves_U_and_no_crash(site, agents, poller, fault):
    farm = agents(SIMULATED + f"agent 127.2.0.1 {fault}\nagent 127.2.0.2\n")
    expected = seed_simulated(site, farm, ["127.2.0.1", "127.2.0.2"], items=3, snmp_timeout=100,
                              availability_method=0)
    expected |= {key: "U" for key in list(expected)[:3]}
    run = poller.run(first=0, last=2)
    assert run.status == 0, run
    assert_stored(site, expected)


def test_texts_of_an_agent_are_stored_as_the_numbers_in_them(site, agents, poller):
    """Some rows of docs/values.md, as far as an SNMP string can hold the text."""
    texts = {"42": "42", "-7": "-7", "+5": "+5", ".5": ".5", "1e5": "1e5", " 12": "12", "  12 ": "12", " -1": "-1",
             "12.5%": "12.5", "12 apples": "12", "3.3V": "3.3", "-12.3 dBm": "-12.3", "1,234": "U", "0x1F": "U",
             "DE AD BE EF": "3735928559", "12 34": "4660", "A B": "U", "deadbeef": "U", "2024-01-02": "U",
             "nan": "U", "inf": "U", "-inf": "U", "1e400": "U", "U": "U", "true": "U",
             "18446744073709551615": "18446744073709551615", "DE:AD:BE:EF": "U",
             "in:1 out:2": "in:1 out:2", "it's 5": "U"}
    lines = "".join(f'object {OBJECT}.{n} string "{text}"\n' for n, text in enumerate(texts, 1))
    farm = agents(SYSTEM_GROUP + lines + "agent 127.2.0.1\n")
    device = site.add_device(1, hostname="127.2.0.1", port=farm.port)
    expected = {site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x"): value
                for n, value in enumerate(texts.values(), 1)}
    run = poller.run(first=0, last=1)
    assert run.status == 0, run
    assert_stored(site, expected)


@pytest.mark.quick
def test_a_device_is_polled_by_both_snmp_versions(site, snmpd, poller):
    expected = {}
    for version in (1, 2):
        device = site.add_device(version, port=snmpd.port, snmp_version=version)
        for n in range(1, 6):
            key = site.add_snmp_item(device, f"{PLAYPEN}.{version}.{n}", rrd_name=f"v{n}")
            expected[key] = str(real_value(version, n))
    run = poller.run(first=0, last=2)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)


def test_all_fields_of_a_data_query_row_carry_one_time(site, snmpd, poller):
    device = site.add_device(1, port=snmpd.port, max_oids=3)
    names = [f"field_{n}" for n in range(1, 11)]
    expected = {}
    for n, name in enumerate(names, 1):
        key = site.add_snmp_item(device, f"{PLAYPEN}.1.{n}", rrd_name=name, rrd_num=n, local_data_id=77)
        expected[key] = str(real_value(1, n))
    run = poller.run(first=0, last=1)
    assert run.status == 0, run
    assert_stored(site, expected)


@pytest.mark.parametrize("max_oids", (1, 7, 10, 60, 100, 0, 101))
def test_no_item_is_lost_for_any_batch_size(site, snmpd, poller, max_oids):
    expected = seed_real(site, snmpd, devices=2, items=20, max_oids=max_oids)
    run = poller.run(first=0, last=2)
    assert run.status == 0, run
    assert_stored(site, expected)
    warned = run.log_lines("Max OIDS is out of range")
    assert len(warned) == (2 if max_oids in (0, 101) else 0), run


@pytest.mark.parametrize("device_threads", (1, 3))
def test_a_device_with_several_threads_is_stored_once_with_one_time(site, snmpd, poller, device_threads):
    expected = seed_real(site, snmpd, devices=1, items=10, device_threads=device_threads)
    run = poller.run(first=0, last=1)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert len({rows[0][0] for rows in site.outputs().values()}) == 1


def test_an_object_the_agent_lacks_becomes_U_and_its_neighbours_are_stored(site, snmpd, poller):
    expected = {}
    for version in (1, 2):
        device = site.add_device(version, port=snmpd.port, snmp_version=version)
        oids = [f"{PLAYPEN}.1.1", f"{PLAYPEN}.1.999", f"{PLAYPEN}.1.2", "not an oid", f"{PLAYPEN}.1.3"]
        keys = site.add_items([{"device": device, "arg1": oid, "rrd_name": f"v{n}"} for n, oid in enumerate(oids)])
        expected |= dict(zip(keys, (str(real_value(1, 1)), "U", str(real_value(1, 2)), "U", str(real_value(1, 3)))))
    run = poller.run(first=0, last=2)
    assert run.status == 0, run
    assert_stored(site, expected)


def test_items_with_other_parameters_than_their_device_reach_the_right_agent(site, snmpd, poller, work):
    device = site.add_device(1, port=snmpd.port)
    cases = [({}, "1001"), ({"snmp_timeout": 900}, "1001"), ({"snmp_version": 1}, "1001")]
    with Snmpd(work / "other", objects={f"{PLAYPEN}.1.1": ("integer", 7)}, community="secret",
               addresses=["127.0.0.9"]) as other:
        cases += [({"hostname": "127.0.0.9", "snmp_port": other.port, "snmp_community": "secret"}, "7"),
                  ({"hostname": "127.0.0.3"}, "1001")]
        keys = site.add_items([{"device": device, "arg1": f"{PLAYPEN}.1.1", "rrd_name": "x", **columns}
                               for columns, _ in cases])
        run = poller.run(first=0, last=1)
    assert run.status == 0, run
    assert_stored(site, dict(zip(keys, (value for _, value in cases))))


def test_an_item_with_a_wrong_community_becomes_U(site, snmpd, poller):
    device = site.add_device(1, port=snmpd.port)
    key = site.add_snmp_item(device, f"{PLAYPEN}.1.1", rrd_name="x", snmp_community="wrong", snmp_timeout=100)
    run = poller.run(first=0, last=1)
    assert run.status == 0, run
    assert_stored(site, {key: "U"})


@pytest.mark.quick
def test_a_dead_device_stores_nothing_and_goes_down_after_two_cycles(site, snmpd, poller):
    expected = seed_real(site, snmpd, devices=1, items=5)
    with SilentDevice() as silent:
        dead = site.add_device(2, port=silent.port, snmp_timeout=100, availability_method=2)
        site.add_snmp_item(dead, f"{PLAYPEN}.2.1", rrd_name="x")
        before = site.snapshot()
        run = poller.run(first=0, last=2)
        assert run.status == 0, run
        assert_stored(site, expected)
        assert_closed(site, run)
        assert_only_a_cycle_changed(before, site.snapshot(), devices=(1, 2))
        row = site.device(2)
        assert (row["status"], row["status_event_count"], row["failed_polls"], row["total_polls"]) == (3, 1, 1, 1)
        assert float(row["availability"]) == 0.0
        assert row["fail_date"] != "0000-00-00 00:00:00"
        assert row["status_last_error"] == "Device did not respond to SNMP"
        assert not run.log_lines("HOST EVENT"), run

        site.take_outputs()
        run = poller.run(first=0, last=2)
        assert run.status == 0, run
        assert_stored(site, expected)
        row = site.device(2)
        assert (row["status"], row["failed_polls"], row["total_polls"]) == (1, 2, 2), row
        assert len(run.log_lines(" Device[2] Hostname[127.0.0.1] ERROR: HOST EVENT: Device is DOWN Message: "
                                 "Device did not respond to SNMP")) == 1, run


def test_a_silent_device_that_is_not_checked_gets_U_for_every_item(site, snmpd, poller):
    expected = seed_real(site, snmpd, devices=1, items=5)
    with SilentDevice() as silent:
        mute = site.add_device(2, port=silent.port, snmp_timeout=100, availability_method=0, max_oids=4)
        for n in range(1, 11):
            expected[site.add_snmp_item(mute, f"{PLAYPEN}.2.{n}", rrd_name=f"v{n}")] = "U"
        before = site.snapshot()
        run = poller.run(first=0, last=2)
        assert run.status == 0, run
        assert_stored(site, expected)
        assert_closed(site, run)
        assert_only_a_cycle_changed(before, site.snapshot(), devices=(1, 2))
        assert run.log_lines(" Device[2] ") and run.log_lines("SNMP timeout detected"), run
        assert site.device(2)["status"] == 3


def test_a_down_device_that_answers_again_is_polled_and_recovers(site, snmpd, poller):
    expected = seed_real(site, snmpd, devices=1, items=3, status=1, status_event_count=4, total_polls=10,
                         failed_polls=4)
    states = []
    for _ in range(3):
        run = poller.run(first=0, last=1)
        assert run.status == 0, run
        assert_stored(site, expected)
        site.take_outputs()
        row = site.device(1)
        states.append((row["status"], row["status_event_count"]))
    assert states == [(2, 1), (2, 2), (3, 0)]
    assert len(run.log_lines(" Device[1] Hostname[127.0.0.2] NOTICE: HOST EVENT: Device Returned from DOWN "
                             "State")) == 1, run
    assert (row["total_polls"], row["failed_polls"]) == (13, 4)


@pytest.mark.parametrize("mode", ("", "TRADITIONAL", "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ANSI_QUOTES"))
def test_the_server_s_sql_mode_does_not_matter(site, server, snmpd, poller, mode):
    server.sql("SET GLOBAL sql_mode = %s", mode)
    expected = seed_real(site, snmpd, devices=2, items=5)
    run = poller.run(first=0, last=2)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)


def test_quotes_and_backslashes_in_names_do_not_lose_rows(site, snmpd, poller):
    device = site.add_device(1, port=snmpd.port)
    expected = {}
    for n, name in enumerate(("it's", 'say "x"', "back\\slash", "per%cent", "ünïcödé"), 1):
        expected[site.add_snmp_item(device, f"{PLAYPEN}.1.{n}", rrd_name=name)] = str(real_value(1, n))
    run = poller.run(first=0, last=1)
    assert run.status == 0, run
    assert_stored(site, expected)


def test_a_site_without_devices_ends_well_with_a_closed_row(site, poller):
    before = site.snapshot()
    run = poller.run(first=0, last=0)
    assert run.status == 0, run
    assert_stored(site, {})
    assert_closed(site, run)
    assert_only_a_cycle_changed(before, site.snapshot(), devices=())


def test_the_last_line_of_the_log_counts_time_threads_and_devices(site, snmpd, poller):
    seed_real(site, snmpd, devices=3, items=2)
    site.settings(log_verbosity=3)
    run = poller.run(first=0, last=3)
    assert run.status == 0, run
    last = run.log.splitlines()[-1]
    assert f" - SPINE: Poller[1] PID[{site.cycles()[0]['pid']}] PT[" in last, run
    assert "] Time: " in last and " s, Threads: 4, Devices: 3" in last, run
    values = run.log_lines("value: ")
    assert len(values) == 6 and " Device[2] " in "\n".join(values), run
