"""SNMP items: requests, errors inside answers, sessions, types."""

import pytest

OBJECT = ".1.3.6.1.4.1.99999.1"
OBJECTS = f"object {OBJECT}.{{1-50}} counter32 @mix\n"
QUICK = {"snmp_timeout": 500}


def items(site, device, count, **columns):
    return [site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x", **columns) for n in range(1, count + 1)]


def sizes(dump, address="127.3.0.1"):
    """Numbers of varbinds of the GETs for items, in their order."""
    return [int(line.varbinds) for line in dump.asked
            if line.address == address and line.pdu == "get" and line.oid.startswith(OBJECT)]


def one_device(count=10, **columns):
    return devices(columns, count=count)


def devices(*rows, count=10):
    """Device n at 127.3.0.n with these columns and `count` items."""
    def seed(site):
        for id, columns in enumerate(rows, 1):
            device = site.add_device(id, hostname=f"127.3.0.{id}", port=site.agents, **(QUICK | columns))
            items(site, device, count)
    return seed


def agents(*options):
    """One agent per text of options, at 127.3.0.1 and on."""
    return "".join(f"agent 127.3.0.{n} {text}\n" for n, text in enumerate(options, 1))


def without(*numbers):
    return "".join(f"object {OBJECT}.{n} counter32 @mix\n" for n in range(1, 51) if n not in numbers)


def test_max_oids_10_makes_four_requests_of_35_objects(compare):
    found = compare(one_device(35), OBJECTS + "agent 127.3.0.1\n")
    for dumps in found.values():
        assert sizes(dumps[0]) == [10, 10, 10, 5]
        assert all("U" not in output for rows in dumps[0].outputs.values() for _, output in rows)


def test_max_oids_out_of_range_is_5(compare):
    limits = {0: [5, 5, 2], 101: [5, 5, 2], 1: [1] * 12, 100: [12]}
    found = compare(devices(*({"max_oids": n} for n in limits), count=12), OBJECTS + agents(*[""] * 4))
    for dumps in found.values():
        for id, row in dumps[0].host.items():
            assert sizes(dumps[0], f"127.3.0.{id}") == limits[row["max_oids"]]


def test_v1_noSuchName_at_position_5_of_10_costs_one_item(compare):
    found = compare(one_device(10, snmp_version=1), without(5) + "agent 127.3.0.1\n")
    for dumps in found.values():
        assert sizes(dumps[0]) == [10, 9]
        assert [key for key, rows in dumps[0].outputs.items() if rows[0][1] == "U"] == [(5, "x")]


def test_v1_with_several_absent_objects_and_64_bit_counters(compare):
    objects = without(2, 3, 9) + f"object {OBJECT}.6 counter64 @mix\n"
    compare(one_device(20, snmp_version=1), objects + "agent 127.3.0.1\n")


def test_v2c_absent_objects_are_U(compare):
    ways = [f"missing={how}" for how in ("object", "instance", "null", "nosuchname")]
    compare(devices({}, {}, {}, {}, count=20), without(1, 7, 20) + agents(*ways))


@pytest.mark.parametrize("log_level", [1, 2])
def test_invalid_values_are_what_the_agent_lacks_or_answers_with_an_error(compare, log_level):
    """Each way of saying it; silence is none."""
    ways = [f"missing={how}" for how in ("object", "instance", "null", "nosuchname")]

    def seed(site):
        site.settings(spine_log_level=log_level)
        site.threads(1)
        devices({}, {}, {}, {}, {"snmp_version": 1}, {"availability_method": 0}, {"availability_method": 0}, count=5)(site)

    found = compare(seed, without(2, 5) + agents(*ways, "", "error=genErr:3", "silent"),
                    expect=("V12",) if log_level == 2 else ())
    for dumps in found.values():
        lines = [line for line in dumps[0].lines if "Invalid Response" in line]
        assert {int(line.split("Device[")[1].split("]")[0]) for line in lines} == {1, 2, 3, 4, 5, 6}


def test_agents_that_say_tooBig_are_polled(compare):
    compare(devices({}, {}, {}, count=20), OBJECTS + agents(*(f"toobig-above={n}" for n in (1, 3, 9))),
            expect=("S2",))


def test_genErr_with_an_index_costs_that_item(compare):
    """The index is the same in both answers, so the repetition loses one more."""
    rows = [{"snmp_version": version, "availability_method": 0} for version in (1, 2, 2)]
    compare(devices(*rows), OBJECTS + agents(*["error=genErr:3 during=1-2"] * 2, "error=genErr:3"))


def test_genErr_without_an_index_is_asked_again_in_halves(compare):
    compare(one_device(availability_method=0), OBJECTS + agents("error=genErr during=1"), expect=("S2",))


def test_answers_belong_to_the_object_that_they_name(compare):
    compare(devices(*[{"availability_method": 0}] * 2), OBJECTS + agents("reorder", "omit-first"), expect=("S1",))


def test_an_answer_of_another_community(compare):
    compare(one_device(3, availability_method=0), OBJECTS + "agent 127.3.0.1 wrong-community\n", expect=("S13",))


def test_what_is_not_an_answer_is_a_time_out(compare):
    faults = ["wrong-id", "wrong-version", "garbage", "truncate=20", "zero-length", "silent"]
    compare(devices(*[{"availability_method": 0}] * len(faults), count=3), OBJECTS + agents(*faults))


def test_what_is_an_answer_nevertheless(compare):
    faults = ["duplicate=3", "long-lengths", "late=20", "drop-pattern=1/2", "omit-last", "extra"]
    compare(devices(*[{}] * len(faults), count=12), OBJECTS + agents(*faults))


def test_a_device_that_falls_silent_within_its_items(compare):
    """Third request of four; the device without check asks nothing before."""
    compare(one_device(35, availability_method=0), OBJECTS + "agent 127.3.0.1 die-after=2\n", expect=("S3",))


def test_an_object_that_is_never_answered_costs_itself(compare):
    found = compare(one_device(12, max_oids=12), without(5) + f"object {OBJECT}.5 mute\nagent 127.3.0.1\n",
                    expect=("S3",))
    for path in ("legacy", "event"):
        outputs = found[path][0].outputs
        assert [key for key, rows in outputs.items() if rows[0][1] == "U"] == [(5, "x")]


def test_objects_left_out_of_an_answer_are_asked_for_again(compare):
    found = compare(devices({}, {}, count=12), OBJECTS + agents("omit-after=1", "omit-after=4"), expect=("S1",))
    for path in ("legacy", "event"):
        assert all(rows[0][1] != "U" for rows in found[path][0].outputs.values())


def test_a_silent_agent_of_some_items_does_not_silence_the_others(compare):
    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **QUICK)
        for n in range(1, 13):
            site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x", snmp_community="wrong" if n < 5 else "public")

    found = compare(seed, OBJECTS + "agent 127.3.0.1\n", expect=("S3",))
    for path in ("legacy", "event"):
        assert [rows[0][1] == "U" for _, rows in sorted(found[path][0].outputs.items())] == [True] * 4 + [False] * 8


def test_mixed_communities_ports_versions_and_hosts_reach_the_right_agent(compare):
    agents = OBJECTS + ("agent 127.3.0.1 community=*\nagent 127.3.0.2 community=one\nagent 127.3.0.3 version=1\n"
                        "agent 127.3.0.4\n")

    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, max_oids=3, **QUICK)
        ways = [{}, {"hostname": "127.3.0.2", "snmp_community": "one"}, {"hostname": "127.3.0.3", "snmp_version": 1},
                {"snmp_community": "two"}, {"snmp_version": 1}, {"snmp_port": site.others, "hostname": "127.3.0.5"}]
        for n in range(1, 31):
            site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x", **ways[n % len(ways)])

    found = compare(seed, agents, second=OBJECTS + "agent 127.3.0.5\n", expect=())
    for dumps in found.values():
        assert all(rows[0][1] != "U" for rows in dumps[0].outputs.values())


def test_items_that_differ_in_host_or_time_out_alone(compare):
    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, max_oids=5, **QUICK)
        for n in range(1, 13):
            site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x", hostname=f"127.3.0.{1 + n % 2}")
        for n in range(13, 16):
            site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x", snmp_timeout=150)

    compare(seed, OBJECTS + "agent 127.3.0.1\nagent 127.3.0.2\n", expect=("S4",))


def test_an_item_with_an_unknown_version_costs_only_itself(compare):
    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **QUICK)
        items(site, device, 3)
        site.add_snmp_item(device, f"{OBJECT}.4", rrd_name="x", snmp_version=7)
        items(site, device, 3)

    compare(seed, OBJECTS + "agent 127.3.0.1\n", expect=("S5",))


def test_spellings_of_objects(compare):
    names = [f"{OBJECT}.1", f"{OBJECT[1:]}.2", "iso.3.6.1.4.1.99999.1.3", f"{OBJECT}.4"]

    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **QUICK)
        for name in names:
            site.add_snmp_item(device, name, rrd_name="x")

    compare(seed, OBJECTS + "agent 127.3.0.1\n")


def test_what_is_not_an_object_costs_only_itself(compare):
    names = [f"{OBJECT}.1", "", "sysUpTime.0", f"{OBJECT}.2 ", "no such thing", f"{OBJECT}.3"]

    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **QUICK)
        for name in names:
            site.add_snmp_item(device, name, rrd_name="x")

    compare(seed, OBJECTS + "agent 127.3.0.1\n")


def test_an_object_that_cannot_be_encoded_costs_only_itself(compare):
    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **QUICK)
        for name in (f"{OBJECT}.1", ".9.9.9", f"{OBJECT}.3"):
            site.add_snmp_item(device, name, rrd_name="x")

    compare(seed, OBJECTS + "agent 127.3.0.1\n", expect=("S6",))


def test_two_items_of_one_object(compare):
    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **QUICK)
        for n in (1, 2, 1, 1, 2):
            site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x")

    compare(seed, OBJECTS + "agent 127.3.0.1\n")


def test_a_data_query_row_and_empty_names(compare):
    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, max_oids=3, **QUICK)
        for n in range(1, 9):
            site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name=f"field_{n}", rrd_num=8, local_data_id=70)
        site.add_snmp_item(device, f"{OBJECT}.9", rrd_name="")

    compare(seed, OBJECTS + "agent 127.3.0.1\n")


def test_ten_items_in_three_threads_have_one_time(compare):
    found = compare(one_device(10, device_threads=3), OBJECTS + "agent 127.3.0.1\n", expect=("S23?",))
    for dumps in found.values():
        assert len(dumps[0].outputs) == 10
        assert len({t for rows in dumps[0].outputs.values() for t, _ in rows}) == 1


def test_device_threads_that_do_not_divide(compare):
    compare(devices(*({"device_threads": n} for n in (2, 10, 15))), OBJECTS + agents(*[""] * 3), expect=("S23?",))


TYPES = [("int 42", "42"), ("int -7", "-7"), ("counter32 4294967295", "4294967295"), ("gauge32 7", "7"),
         ("counter64 18446744073709551615", "18446744073709551615"), ("timeticks 123456", "123456"),
         ("ipaddress 192.0.2.1", "U"), ("oid .1.3.6.1", "U"), ("null", "U"), ('string ""', "U"),
         ("opaque-float 1.5", "1.500000"), ("opaque-double 2.25", "2.250000"), ("opaque-counter64 4660", "4660"),
         ("opaque-int64 -10", "-10"), ("opaque-uint64 4660", "4660"), ("hex de ad be ef", "3735928559"),
         ("hex 01 00", "256")]


def test_the_text_of_every_type(compare):
    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **QUICK)
        for n in range(1, len(TYPES) + 1):
            site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x")

    lines = "".join(f"object {OBJECT}.{n} {text}\n" for n, (text, _) in enumerate(TYPES, 1))
    found = compare(seed, lines + "agent 127.3.0.1\n")
    assert [found["legacy"][0].outputs[n, "x"][0][1] for n in range(1, len(TYPES) + 1)] == [v for _, v in TYPES]


BYTES = ["80", "00", "01 02 03 04 05 06", "ff ff ff ff ff ff ff ff", "00 20 00 00 00 00 00 01",
         "01 02 03 04 05 06 07 08 09", "1f", "ff fe 0a"]


def test_octets_that_are_not_text(compare):
    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **QUICK)
        for n in range(1, len(BYTES) + 1):
            site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x")

    lines = "".join(f"object {OBJECT}.{n} hex {text}\n" for n, text in enumerate(BYTES, 1))
    found = compare(seed, lines + "agent 127.3.0.1\n", expect=("V10",),
                    raw={(n, "x"): bytes.fromhex(text) for n, text in enumerate(BYTES, 1)})
    for n, text in enumerate(BYTES, 1):
        octets = bytes.fromhex(text)
        assert found["legacy"][0].outputs[n, "x"][0][1] == \
            (str(int.from_bytes(octets, "big")) if len(octets) <= 8 else "U")


def test_objects_longer_than_a_buffer(compare):
    """The reference reads 511 characters of an object."""
    oid = f"{OBJECT}.99." + ".".join(["1234567890"] * 60)

    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **QUICK)
        site.add_snmp_item(device, f"{OBJECT}.1", rrd_name="x")
        site.add_snmp_item(device, oid, rrd_name="x")

    compare(seed, OBJECTS + f"object {oid} counter32 @mix\nagent 127.3.0.1\n", expect=("S28",))


def test_long_communities(compare):
    names = ["c" * n for n in (49, 50, 100)]
    compare(devices(*({"snmp_community": name} for name in names), count=5),
            OBJECTS + agents(*(f"community={name}" for name in names)), expect=("S28",))
