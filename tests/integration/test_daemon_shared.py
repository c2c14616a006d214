"""What the cycles of one daemon share: limits that count for all of them, and what one learns for the next (docs/daemon.md)."""

import contextlib
import json
import signal
import subprocess

import pytest

from support.checks import assert_stored
from support.lab import HANG_S, wait_until
from support.relay import UdpRelay
from support.resident import Resident

from conftest import held_device
from test_snmp_v3 import GOOD, OBJECT as V3_OBJECT, set_boots, v3_agent

pytestmark = [pytest.mark.libevent(True), pytest.mark.alone("it starts daemons itself")]

OBJECT = ".1.3.6.1.4.1.99.1"
OBJECTS = f"object .1.3.6.1.2.1.1.3.0 timeticks @uptime\nobject {OBJECT} int 7\n"


def seed(site, farm, devices, address="127.3.0.1"):
    expected = {}
    for id in devices:
        device = site.add_device(id, hostname=address, port=farm.port)
        expected[site.add_snmp_item(device, OBJECT, rrd_name="v")] = "7"
    return expected


def at_once(poller, *ranges):
    """Cycles of these ranges, begun one after the other; waits for all of them."""
    started = [poller.start_as(poller.command(first=first, last=last)) for first, last in ranges]
    for running in started:
        run = running.wait()
        assert run.status == 0, run


# ---- limits ----


def test_no_more_devices_of_one_address_are_asked_by_all_cycles_than_address_limit(site, plain_poller, agents):
    """Counted by the agent. A third cycle holds its devices at another address meanwhile."""
    most, devices = 3, 50
    plain_poller.keys = plain_poller.keys | {"Event_Loop": "on", "Async_SNMP": "on", "Address_Limit": most}
    farm = agents(OBJECTS + "agent 127.3.0.1 delay=10\nagent 127.3.0.2\n")
    expected = seed(site, farm, range(1, devices + 1)) | seed(site, farm, [devices + 1], "127.3.0.2")
    with Resident(plain_poller):
        at_once(plain_poller, (1, devices // 2), (devices // 2 + 1, devices), (devices + 1, devices + 1))
    assert_stored(site, expected)
    assert farm.counters("127.3.0.1") == {"requests": 2 * devices, "answers": 2 * devices}
    assert farm.most_waiting("127.3.0.1") == most


def test_a_cycle_that_is_stopped_leaves_its_turns_at_an_address_to_the_others(site, plain_poller, agents):
    plain_poller.keys = plain_poller.keys | {"Event_Loop": "on", "Async_SNMP": "on", "Address_Limit": 1}
    farm = agents(OBJECTS + "agent 127.0.0.1\n")
    with Resident(plain_poller), held_device(site) as device:
        seed(site, farm, range(1, 6), address="127.0.0.1")
        expected = seed(site, farm, range(6, 11), address="127.0.0.1")
        with plain_poller.start(first=99, last=99) as held:
            device.wait_for_request()  # the only turn at that address is taken
            with plain_poller.start(first=1, last=5) as stopped, plain_poller.start(first=6, last=10) as other:
                for pid in (stopped.pid, other.pid):
                    wait_until(lambda pid=pid: any(c["pid"] == pid for c in site.cycles()), "its row")
                stopped.signal(signal.SIGTERM)
                assert stopped.wait().status == -signal.SIGTERM
                assert farm.counters("127.0.0.1")["requests"] == 0
                held.signal(signal.SIGTERM)
                held.wait()
                assert other.wait().status == 0
    assert_stored(site, expected)


@pytest.fixture
def preload(build):
    return {"LD_PRELOAD": str(build.binary.path.parent / "tests/support/faults.so")}


def test_a_cycle_that_is_given_up_holds_no_turn_at_an_address(site, plain_poller, agents, preload):
    """It hangs in a call while all turns at the address are its own."""
    site.settings(poller_interval=4)
    plain_poller.keys = plain_poller.keys | {"Event_Loop": "on", "Async_SNMP": "on", "Address_Limit": 1}
    farm = agents(OBJECTS + "agent 127.0.0.1\n")
    with held_device(site) as device:
        expected = seed(site, farm, range(1, 6), address="127.0.0.1")
        with Resident(plain_poller, env=preload | {"FAULT_SEND_PORT": str(device.port)}) as daemon:
            run = plain_poller.run(first=99, last=99)
            assert run.status == 75, run
            assert plain_poller.run(first=0, last=50).status == 0
            assert_stored(site, expected)
            daemon.process.send_signal(signal.SIGTERM)
            assert daemon.wait_for_end() == 0


def test_no_more_scripts_run_for_all_cycles_than_max_scripts(site, poller, work):
    """Each script counts those that run beside it."""
    most, scripts = 3, 12
    beside = work / "running"
    beside.mkdir()
    command = f"/bin/sh -c 'touch {beside}/$$; ls {beside} | wc -l; sleep 0.05; rm {beside}/$$'"
    keys = []
    for device in range(1, 3):
        host = site.add_device(device, availability_method=0, device_threads=scripts)
        keys += site.add_items([{"device": host, "action": 1, "arg1": command, "rrd_name": f"v{n}"}
                                for n in range(scripts)])
    poller.keys = poller.keys | {"Max_Scripts": most}
    with Resident(poller):
        at_once(poller, (1, 1), (2, 2))
    counts = [int(r["output"]) for r in site.sql("SELECT output FROM poller_output")]
    assert len(counts) == 2 * scripts
    assert max(counts) == most, counts


# ---- what is known of SNMPv3 agents ----


@contextlib.contextmanager
def v3_site(site, work, items=6, **columns):
    """A device with some items at a real agent that a relay counts the messages of: (agent, relay, what is stored)."""
    with v3_agent(work / "agent", [GOOD]) as agent, UdpRelay(agent.port) as relay:
        device = site.add_device(1, port=relay.port, max_oids=1, **{"snmp_timeout": 15000, **GOOD, **columns})
        yield agent, relay, {site.add_snmp_item(device, V3_OBJECT, rrd_name=f"v{n}"): "42" for n in range(items)}


def poll(site, poller, relay, expected):
    """The messages of one cycle."""
    site.take_outputs()
    before = len(relay.requests)
    run = poller.run(first=0, last=50)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert not run.log_but_stats, run
    return len(relay.requests) - before


def test_the_engine_of_an_agent_is_looked_for_in_the_first_cycle_only(site, work, poller):
    with v3_site(site, work) as (_, relay, expected), Resident(poller):
        cold = poll(site, poller, relay, expected)
        assert cold == 2 + 6, "discovery, check, items"
        assert [poll(site, poller, relay, expected) for _ in range(3)] == [cold - 1] * 3


def test_without_a_daemon_each_cycle_looks_for_the_engine(site, work, plain_poller):
    with v3_site(site, work) as (_, relay, expected):
        assert [poll(site, plain_poller, relay, expected) for _ in range(2)] == [2 + 6] * 2


def test_an_agent_that_restarts_between_two_cycles_costs_one_more_message_and_no_value(site, work, poller):
    with v3_site(site, work) as (agent, relay, expected), Resident(poller):
        cold = poll(site, poller, relay, expected)
        agent.restart()
        assert poll(site, poller, relay, expected) == cold, "no more than without what was known"
        assert poll(site, poller, relay, expected) == cold - 1


def test_an_agent_that_is_replaced_between_two_cycles_costs_one_more_message_and_no_value(site, work, poller):
    with v3_site(site, work) as (agent, relay, expected), Resident(poller):
        cold = poll(site, poller, relay, expected)
        agent.stop()
        for path in (agent.directory / "state").glob("*.conf"):
            path.unlink()
        agent.start()
        assert poll(site, poller, relay, expected) == cold + 1
        assert poll(site, poller, relay, expected) == cold - 1


def test_an_agent_whose_clock_was_set_back_between_two_cycles_is_polled(site, work, poller):
    """Its boots and time are those of the past, which is no time window of what is known."""
    with v3_site(site, work) as (agent, relay, expected), Resident(poller):
        set_boots(agent, 51)
        cold = poll(site, poller, relay, expected)
        set_boots(agent, 7)
        assert poll(site, poller, relay, expected) <= cold + 1
        assert poll(site, poller, relay, expected) == cold - 1


def test_credentials_that_are_changed_in_the_database_count_in_the_next_cycle(site, work, poller):
    with v3_site(site, work) as (_, relay, expected), Resident(poller):
        cold = poll(site, poller, relay, expected)
        for table in ("host", "poller_item"):
            site.sql(f"UPDATE {table} SET snmp_password = 'not this one'")
        site.take_outputs()
        run = poller.run(first=0, last=50)
        assert run.status == 0 and "usmStatsWrongDigests" in run.log, run
        assert not any(rows[0][1] == "42" for rows in site.outputs().values())
        for table in ("host", "poller_item"):
            site.sql(f"UPDATE {table} SET snmp_password = %s", GOOD["snmp_password"])
        assert poll(site, poller, relay, expected) in (cold, cold - 1)


def test_two_agents_with_one_engine_id_and_different_clocks_are_both_polled_in_each_cycle(site, work, poller):
    engine = "exactEngineID 0x8000000001020304\n"
    other = GOOD | {"snmp_password": "another authpass", "snmp_priv_passphrase": "another privpass"}
    with contextlib.ExitStack() as running:
        agents = [running.enter_context(v3_agent(work / f"agent{n}", [user], value=n, extra=engine))
                  for n, user in enumerate((GOOD, other))]
        set_boots(agents[0], 51)
        running.enter_context(Resident(poller))
        expected = {}
        for id in range(1, 21):
            device = site.add_device(id, port=agents[id % 2].port, snmp_timeout=2000, **(GOOD, other)[id % 2])
            expected[site.add_snmp_item(device, V3_OBJECT, rrd_name="v")] = str(id % 2)
        for _ in range(3):
            site.take_outputs()
            run = poller.run(first=0, last=50)
            assert run.status == 0, run
            assert_stored(site, expected)


def test_two_cycles_at_once_know_the_same_agent(site, work, poller):
    with v3_site(site, work) as (_, relay, expected), Resident(poller):
        device = site.add_device(2, port=relay.port, snmp_timeout=15000, max_oids=1, **GOOD)
        expected |= {site.add_snmp_item(device, V3_OBJECT, rrd_name=f"v{n}"): "42" for n in range(6)}
        for _ in range(3):
            site.take_outputs()
            before = len(relay.requests)
            at_once(poller, (1, 1), (2, 2))
            assert_stored(site, expected)
        assert len(relay.requests) - before == 2 * (1 + 6)


# ---- the size of requests ----


def sized_site(site, farm, items=24, max_oids=24):
    device = site.add_device(1, hostname="127.3.0.1", port=farm.port, max_oids=max_oids)
    return {site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name=f"v{n}"): "7" for n in range(1, items + 1)}


TABLE = "object .1.3.6.1.2.1.1.3.0 timeticks @uptime\n" + f"object {OBJECT}.{{1-24}} int 7\n"


def counted(site, poller, farm, expected):
    site.take_outputs()
    before = farm.counters("127.3.0.1")["requests"]
    run = poller.run(first=0, last=50)
    assert run.status == 0, run
    assert_stored(site, expected)
    return farm.counters("127.3.0.1")["requests"] - before


def test_what_an_agent_has_refused_as_too_big_is_asked_smaller_in_the_next_cycle(site, poller, agents):
    farm = agents(TABLE + "agent 127.3.0.1 toobig-above=6\n")
    expected = sized_site(site, farm)
    with Resident(poller):
        assert counted(site, poller, farm, expected) == 1 + 2 + 4, "check, 24 and 12 refused, 6 four times"
        assert counted(site, poller, farm, expected) == 1 + 4


def test_a_size_of_the_database_counts_from_the_next_cycle_on(site, poller, agents):
    """What was learned with the old one is no longer used: neither a smaller nor a larger one stays behind."""
    farm = agents(TABLE + "agent 127.3.0.1 toobig-above=6\n")
    expected = sized_site(site, farm)
    with Resident(poller):
        counted(site, poller, farm, expected)
        site.sql("UPDATE host SET max_oids = 4")
        assert counted(site, poller, farm, expected) == 1 + 6
        site.sql("UPDATE host SET max_oids = 12")
        assert counted(site, poller, farm, expected) == 1 + 1 + 4


def test_one_object_that_is_too_big_makes_no_small_requests_in_the_next_cycle(site, poller, agents):
    big = f"object {OBJECT}.24 string {'x' * 500}\n"
    farm = agents(TABLE + big + "agent 127.3.0.1 max-size=400\n")
    expected = sized_site(site, farm, max_oids=8)
    expected |= {key: "U" for key in expected if key[1] == "v24"}
    with Resident(poller):
        cold = counted(site, poller, farm, expected)
        assert counted(site, poller, farm, expected) == cold


def test_without_a_daemon_each_cycle_learns_the_size_again(site, plain_poller, agents):
    farm = agents(TABLE + "agent 127.3.0.1 toobig-above=6\n")
    expected = sized_site(site, farm)
    assert [counted(site, plain_poller, farm, expected) for _ in range(2)] == [7, 7]


# ---- what is seen of it ----


def shared(poller):
    done = subprocess.run([poller.binary.path, "-C", poller.conf, "--status", "--format=json"], capture_output=True,
                          text=True, timeout=HANG_S)
    assert done.returncode == 0, done
    return json.loads(done.stdout)["daemon"]


def test_the_status_counts_what_is_kept(site, work, plain_poller):
    with v3_site(site, work) as (agent, relay, expected), Resident(plain_poller):
        poll(site, plain_poller, relay, expected)
        engines = shared(plain_poller)["caches"]["engines"]
        assert (engines["entries"], engines["hits"], engines["misses"]) == (1, 0, 1)
        poll(site, plain_poller, relay, expected)
        caches = shared(plain_poller)["caches"]
        assert (caches["engines"]["entries"], caches["engines"]["hits"], caches["engines"]["wrong"]) == (1, 1, 0)
        assert caches["keys"]["entries"] == 2 and caches["keys"]["misses"] == 2, "one for each pass phrase"
        assert caches["engines"]["most"] > 0 and caches["engines"]["keep_s"] > 0
        agent.stop()
        for path in (agent.directory / "state").glob("*.conf"):
            path.unlink()
        agent.start()
        poll(site, plain_poller, relay, expected)
        assert shared(plain_poller)["caches"]["engines"]["wrong"] == 1
        text = subprocess.run([plain_poller.binary.path, "-C", plain_poller.conf, "--status"], capture_output=True,
                              text=True, timeout=HANG_S).stdout
        assert "\nengines     1 of 16384, " in text, text


def test_the_status_counts_who_waits_for_a_place(site, plain_poller, agents):
    plain_poller.keys = plain_poller.keys | {"Event_Loop": "on", "Async_SNMP": "on", "Address_Limit": 1}
    with Resident(plain_poller), held_device(site) as device:
        site.add_device(1, port=device.port)
        assert shared(plain_poller)["places"] == {"held": 0, "waiting": 0, "waited": 0}
        with plain_poller.start(first=99, last=99) as held:
            device.wait_for_request()
            with plain_poller.start(first=1, last=1) as other:
                wait_until(lambda: shared(plain_poller)["places"] == {"held": 1, "waiting": 1, "waited": 1}, "it to wait")
                other.signal(signal.SIGTERM)
                other.wait()
            held.signal(signal.SIGTERM)
            held.wait()
        assert shared(plain_poller)["places"] == {"held": 0, "waiting": 0, "waited": 1}
