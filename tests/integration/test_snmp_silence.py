"""What does not answer costs itself: an object, an agent, a slow device; the others have their values."""

import pytest

from support.checks import assert_closed, assert_stored
from support.snmpd import PLAYPEN, Snmpd

from conftest import SYSTEM_GROUP

OBJECT = ".1.3.6.1.4.1.99999.1"
ITEMS = 12


def objects(mute=()):
    return SYSTEM_GROUP + "".join(f"object {OBJECT}.{n} {'mute' if n in mute else f'int {1000 + n}'}\n"
                                  for n in range(1, ITEMS + 1))


def seed(site, port, addresses, **columns):
    """Devices with twelve items, checked by SNMP; the values that an agent gives, device by device."""
    device = {"snmp_port": port, "snmp_timeout": 100, "availability_method": 2, "max_oids": ITEMS, **columns}
    devices = site.add_devices([{"id": n, "hostname": a, **device} for n, a in enumerate(addresses, 1)])
    return [{site.add_snmp_item(d, f"{OBJECT}.{n}", rrd_name=f"v{n}"): str(1000 + n) for n in range(1, ITEMS + 1)}
            for d in devices]


def unknown(expected, numbers):
    return {key: "U" if n in numbers else value for n, (key, value) in enumerate(expected.items(), 1)}


# ---- objects ----

#: Which of twelve objects are never answered, and neither is what is asked for with them.
MUTE = [(5,), (1,), (12,), (3, 10), (7, 8, 9, 10, 11, 12)]


@pytest.mark.quick
@pytest.mark.parametrize("version", (1, 2))
def test_an_object_that_is_never_answered_costs_itself_and_is_named(site, agents, poller, version):
    addresses = [f"127.2.1.{n}" for n in range(1, len(MUTE) + 1)]
    spec = "".join(f"set m{n}\n{objects(mute)}end\nagent {a} set=m{n}\n"
                   for n, (a, mute) in enumerate(zip(addresses, MUTE)))
    farm = agents(spec)
    site.threads(len(MUTE))
    expected = {}
    for values, mute in zip(seed(site, farm.port, addresses, snmp_version=version), MUTE):
        expected |= unknown(values, mute)
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    for device, mute in enumerate(MUTE, 1):
        named = [line for line in run.log_lines(f"Device[{device}] ") if " alone: " in line]
        assert len(named) == len(mute), run
        for n in mute:
            assert any(f"for OID '{OBJECT}.{n}' alone" in line for line in named), (n, named)


@pytest.mark.parametrize("max_oids", (1, 2, 5))
def test_an_object_that_is_never_answered_costs_itself_in_requests_of_any_size(site, agents, poller, max_oids):
    farm = agents(f"{objects((4, 5))}agent 127.2.0.1\n")
    values, = seed(site, farm.port, ["127.2.0.1"], max_oids=max_oids)
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, unknown(values, (4, 5)))


def test_a_re_index_check_that_is_never_answered_costs_no_value(site, agents, poller):
    """Neither as a single object nor as a table; the item of the same object is not asked for again."""
    farm = agents(f"{objects((4,))}object .1.3.6.1.9.1.1 mute\nagent 127.2.0.1\nagent 127.2.0.2\n", log=True)
    one, two = seed(site, farm.port, ["127.2.0.1", "127.2.0.2"])
    for id, action, name in ((1, 0, f"{OBJECT}.4"), (2, 10, ".1.3.6.1.9.1")):
        site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, present, op, assert_value, arg1) "
                 "VALUES (%s, 1, %s, 1, '=', '5', %s)", id, action, name)
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, unknown(one, (4,)) | unknown(two, (4,)))
    assert not site.sql("SELECT * FROM poller_command"), run
    asked = [line.varbinds for line in farm.log if line.address == "127.2.0.1" and line.fate == "dropped"]
    assert asked == ["1", "1"], "a try and its repetition, and never again"


def test_an_agent_that_dies_in_mid_cycle_is_asked_once_more(site, agents, poller):
    """Whether it lives; then its items are U without further waiting."""
    farm = agents(f"{objects()}agent 127.2.0.1 die-after=2\n")
    values, = seed(site, farm.port, ["127.2.0.1"], max_oids=4)  # the check, four values, silence
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, unknown(values, range(5, ITEMS + 1)))
    assert farm.counters("127.2.0.1")["requests"] == 2 + 2 * 2


@pytest.mark.quick
@pytest.mark.parametrize("version", (1, 2))
def test_objects_left_out_of_an_answer_are_asked_for_again_and_the_remedy_is_named(site, agents, poller, version):
    most = (1, 3, 5, 11)
    addresses = [f"127.2.1.{n}" for n in most]
    farm = agents(objects() + "".join(f"agent {a} omit-after={n}\n" for a, n in zip(addresses, most)))
    expected = {}
    for values in seed(site, farm.port, addresses, snmp_version=version):
        expected |= values
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)
    for device, n in enumerate(most, 1):
        lines = [line for line in run.log_lines(f"Device[{device}] ") if "out of an answer" in line]
        assert len(lines) == 1 and lines[0].endswith(f"'Maximum OIDs Per Get Request' to {n}"), run


# ---- agents ----


def test_a_time_out_of_0_is_one_of_500_ms(site, agents, poller):
    """Items of both kinds, one after the other, are one session with the device: all go into one request."""
    farm = agents(f"{objects()}agent 127.2.0.1\n")
    values, = seed(site, farm.port, ["127.2.0.1"], snmp_timeout=500)
    site.sql("UPDATE poller_item SET snmp_timeout = 0 WHERE local_data_id % 2 = 0")
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, values)
    assert farm.counters("127.2.0.1")["requests"] == 2, "the check, and the items"

def test_one_silent_agent_does_not_silence_the_others_of_a_device(site, agents, poller):
    """Whatever it is by which they differ: port, host name, version, community."""
    farm = agents(f"{objects()}agent 127.2.0.1 community=* version=2c\nagent 127.2.0.2 silent\nagent 127.2.0.3\n")
    other = agents(f"{objects()}agent 127.2.0.1\n")
    device = site.add_device(1, hostname="127.2.0.1", port=farm.port, snmp_timeout=100, max_oids=1)
    ways = [({}, True), ({"snmp_version": 1}, False), ({"hostname": "127.2.0.2"}, False),
            ({"hostname": "127.2.0.3"}, True), ({"hostname": "127.2.0.3", "snmp_community": "wrong"}, False),
            ({"snmp_port": other.port}, True), ({"snmp_community": "any"}, True)]
    expected = {}
    for w, (columns, answers) in enumerate(ways):
        for n in (1, 2, 3):
            key = site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name=f"w{w}n{n}", **columns)
            expected[key] = str(1000 + n) if answers else "U"
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)
    assert farm.counters("127.2.0.2")["requests"] == 2, "who is silent is left alone"


@pytest.mark.parametrize("action", (0, 10))
@pytest.mark.parametrize("name", (".1.3.6.1.2.1.1.3.0", f"{OBJECT}.1"))
def test_a_device_silent_in_a_re_index_check_does_not_silence_other_agents(site, agents, poller, action, name):
    farm = agents(f"{objects()}agent 127.2.0.1 silent\nagent 127.2.0.2\n")
    device = site.add_device(1, hostname="127.2.0.1", port=farm.port, snmp_timeout=100, availability_method=0)
    site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, present, op, assert_value, arg1) "
             "VALUES (1, 1, %s, 1, '=', '5', %s)", action, name)
    expected = {site.add_snmp_item(device, f"{OBJECT}.1", rrd_name="own"): "U"}
    for n in (1, 2, 3):
        expected[site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name=f"v{n}", hostname="127.2.0.2")] = str(1000 + n)
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)


def test_a_v3_user_that_is_not_answered_does_not_silence_another_one(site, work, poller):
    """net-snmp's agent keeps silent about what it cannot decrypt."""
    users = "".join(f'createUser {name} SHA "authpass of {name}" AES "privpass of {name}"\nrouser {name} priv\n'
                    for name in ("alice", "bob"))
    with Snmpd(work / "agent", objects={f"{PLAYPEN}.7": ("integer", 42)}, extra=users) as agent:
        def user(name, wrong=""):
            return {"snmp_version": 3, "snmp_community": "", "snmp_username": name, "snmp_auth_protocol": "SHA",
                    "snmp_password": f"authpass of {name}", "snmp_priv_protocol": "AES",
                    "snmp_priv_passphrase": f"{wrong}privpass of {name}"}
        device = site.add_device(1, port=agent.port, snmp_timeout=300, availability_method=0, **user("bob"))
        expected = {site.add_snmp_item(device, f"{PLAYPEN}.7", rrd_name="wrong", **user("alice", "not ")): "U",
                    site.add_snmp_item(device, f"{PLAYPEN}.7", rrd_name="alice", **user("alice")): "42",
                    site.add_snmp_item(device, f"{PLAYPEN}.7", rrd_name="bob", **user("bob")): "42"}
        run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)


# ---- time ----

#: An agent that needs more time than there is in the cycle, and the columns of its device.
ENDLESS = {
    "slow": ("delay=90", {"snmp_timeout": 100, "max_oids": 1}),
    "silent with a long time-out": ("silent", {"snmp_timeout": 30000}),
    "silent in a long request": ("silent during=2-", {"snmp_timeout": 30000, "availability_method": 2}),
    "endless index": ("delay=90", {"snmp_timeout": 100, "snmp_version": 1}),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_as_many_endless_agents_as_polling_threads_do_not_starve_the_others(site, agents, poller, what):
    """They are polled first, and would keep the threads until polling is over."""
    options, columns = ENDLESS[what]
    farm = agents(f"{SYSTEM_GROUP}object {OBJECT}.{{1-400}} int @last\nagent 127.2.1.1-127.2.1.2 {options}\n"
                  "agent 127.2.2.1-127.2.2.8\n")
    site.settings(poller_interval=10)
    site.threads(2)
    keys = {}
    for id in (1, 2):
        device = site.add_device(id, hostname=f"127.2.1.{id}", port=farm.port, polling_time=9,
                                 **{"availability_method": 0, **columns})
        for n in range(1, 401 if what == "slow" else 3):
            keys[site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name=f"v{n}")] = str(n)
        if what == "endless index":
            site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, present, op, assert_value, arg1) "
                     "VALUES (%s, 1, 10, 1, '=', '5', %s)", id, OBJECT)
    healthy = {}
    for id in range(11, 19):
        device = site.add_device(id, hostname=f"127.2.2.{id - 10}", port=farm.port, availability_method=0)
        healthy[site.add_snmp_item(device, f"{OBJECT}.7", rrd_name="x")] = "7"
    run = poller.run()
    assert run.status == 0, run
    outputs = {key: rows[0][1] for key, rows in site.outputs().items()}
    assert {key: outputs.get(key) for key in healthy} == healthy, run
    assert all(outputs[key] in (value, "U") for key, value in keys.items()), run
    if what == "endless index":
        assert {key: outputs[key] for key in keys} == keys, run
    else:
        assert "U" in {outputs[key] for key in keys}, run
    assert run.log_lines("WARNING: SNMP requests to '127.2.1.1' have taken"), run
    assert_closed(site, run)
