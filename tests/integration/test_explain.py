"""--explain shows what a poll asks, gets and stores; --verify shows what the ways of polling disagree about; --plan shows
what the next cycle would do; none of them writes."""

import json

import pytest

from support.checks import assert_stored
from support.lab import TOP, SilentDevice, file_text, leave_out, tool
from support.snmpd import PLAYPEN

from conftest import real_value

UPTIME = 2
SCHEMAS = {"explain": "docs/explain.schema.json", "verify": "docs/verify.schema.json", "plan": "docs/plan.schema.json"}


def checked(name, text):
    """The JSON that a command has printed, held against its schema."""
    document = json.loads(text)
    try:
        import jsonschema
    except ImportError:
        leave_out("python3-jsonschema is not installed")
    with open(TOP / SCHEMAS[name], encoding="utf-8") as file:
        jsonschema.validate(document, json.load(file))
    return document


@pytest.fixture
def mixed(site, snmpd, work):
    """Three devices: SNMP with a missing object and scripts; one that is silent; one without items."""
    script = work / "answer"
    script.write_text("#!/bin/sh\necho 42\n")
    script.chmod(0o755)
    one = site.add_device(1, port=snmpd.port, availability_method=UPTIME)
    site.add_items([{"device": one, "arg1": f"{PLAYPEN}.1.{n}", "rrd_name": f"v{n}"} for n in (1, 2)])
    site.add_items([{"device": one, "arg1": f"{PLAYPEN}.999.1", "rrd_name": "missing"}])
    site.add_items([{"device": one, "arg1": str(script), "rrd_name": "script", "action": 1}])
    site.add_items([{"device": one, "arg1": "/bin/true", "rrd_name": "nothing", "action": 1}])
    with SilentDevice() as silent:
        two = site.add_device(2, port=silent.port, snmp_timeout=100, availability_method=UPTIME)
        site.add_items([{"device": two, "arg1": f"{PLAYPEN}.2.1", "rrd_name": "v1"}])
        site.add_device(3, port=snmpd.port)
        yield


def test_a_device_is_explained_and_nothing_is_written(site, mixed, poller):
    before = site.snapshot()
    run = poller.run("--explain=1", "--format=json")
    assert run.status == 0, run
    assert before.changes(site.snapshot()) == {}, "the database has changed"
    assert run.log == "", run.log
    [device] = checked("explain", run.stdout)["devices"]
    items = {item["rrd_name"]: item for item in device["items"]}
    asked = {request["request"]: request for request in device["requests"]}
    assert {name: item["value"] for name, item in items.items()} == {
        "v1": str(real_value(1, 1)), "v2": str(real_value(1, 2)), "missing": "U", "script": "42", "nothing": "U"}
    assert items["missing"]["unknown"] == "missing" and "noSuch" in items["missing"]["why"], items["missing"]
    assert items["nothing"]["unknown"] == "empty", items["nothing"]
    assert asked[items["v1"]["request"]]["kind"] == "SNMP"
    assert asked[items["script"]["request"]]["what"].endswith("/answer")
    assert asked[items["script"]["request"]]["bytes_printed"] == 3
    for request in device["requests"]:
        if request["kind"] == "SNMP":
            assert (request["messages_sent"], request["messages_received"], request["repeats"]) == (1, 1, 0), request
            assert 20 < request["bytes_sent"] < request["bytes_received"] < 1500, request
    assert (device["values"], device["unknown"], device["down"], device["complete"]) == (3, 2, False, True)
    assert json.loads(run.stdout)["driver"] == {"off": "legacy", "on": "event"}.get(poller.loop, poller.loop)


def test_a_silent_device_shows_its_repeats(site, mixed, poller):
    run = poller.run("--explain=2,3", "--format=json", "-O", "snmp_retries:2")
    assert run.status == 0, run
    two, three = checked("explain", run.stdout)["devices"]
    assert two["down"] and two["skipped"] == 1 and not two["items"], two
    [request] = two["requests"]
    assert (request["outcome"], request["messages_sent"], request["repeats"], request["messages_received"]) == \
        ("timed out", 3, 2, 0), request
    assert request["elapsed_us"] >= 300_000
    assert not three["down"] and three["complete"]


def test_people_get_text(site, mixed, poller):
    run = poller.run("--explain=1,2")
    assert run.status == 0, run
    assert "Device 1 '127.0.0.1'" in run.stdout and "Device 2 '127.0.0.1'" in run.stdout
    assert " missing = U (missing: the agent has no such object" in run.stdout, run.stdout
    assert " script = 42  [#" in run.stdout
    assert "does not pass its availability check" in run.stdout


@pytest.mark.libevent(True)
def test_the_driver_that_polled_is_named_not_the_one_that_was_wanted(site, mixed, plain_poller, work):
    """A hundred threads want more descriptors than there are: the legacy loop polls instead of the event path."""
    def run(*arguments):
        return plain_poller.run_as([tool("prlimit", "util-linux"), "--nofile=64", *plain_poller.command(
            "--event-loop=on", "--async-snmp=on", "-t", "100", *arguments)])

    explained = run("--explain=1", "--format=json")
    assert explained.status == 0 and "polling by the legacy loop" in explained.stderr, explained
    assert checked("explain", explained.stdout)["driver"] == "legacy"
    assert "Device 1 '127.0.0.1', driver legacy: polled" in run("--explain=1").stdout
    verified = run("--verify")
    assert verified.status == 71 and "nothing can be compared with it (event)" in verified.stderr, verified
    cycle = run(f"--metrics-file={work}/m.prom", f"--report={work}/r.json", f"--trace={work}/t.json", f"--timeline={work}/t.html")
    assert cycle.status == 0 and cycle.log_lines(" Driver:legacy "), cycle
    assert 'driver="legacy"} 1' in file_text(work / "m.prom")
    assert json.loads(file_text(work / "r.json"))["driver"] == "legacy"
    assert json.loads(file_text(work / "t.json"))["otherData"]["driver"] == "legacy"
    assert '"driver":"legacy"' in file_text(work / "t.html")


def test_what_cannot_be_explained_is_said(site, mixed, poller):
    run = poller.run("--explain=99")
    assert run.status == 66, run
    assert "Device[99] is not polled: there is no such device" in run.stderr, run
    run = poller.run("--explain")
    assert run.status == 64 and "requires a parameter" in run.stderr, run
    run = poller.run("--explain=1", "--verify")
    assert run.status == 64 and "--explain and --verify cannot be used together" in run.stderr, run


def test_all_ways_agree_and_nothing_is_written(site, mixed, plain_poller):
    before = site.snapshot()
    run = plain_poller.run("--verify", "--format=json")
    assert run.status == 0, run
    assert before.changes(site.snapshot()) == {}, "the database has changed"
    found = checked("verify", run.stdout)
    assert found["differences"] == []
    assert (found["devices"], found["items"], found["same"], found["moved"], found["differ"]) == (3, 5, 5, 0, 0), found
    text = plain_poller.run("--verify=1")
    assert text.status == 0 and "1 devices, 5 items by " in text.stdout, text


def test_values_that_move_are_not_called_different(site, snmpd, plain_poller, work):
    counter = work / "counter"
    counter.write_text(f"#!/bin/sh\necho x >>{work}/count\nwc -l <{work}/count\n")
    counter.chmod(0o755)
    device = site.add_device(1, port=snmpd.port)
    site.add_items([{"device": device, "arg1": str(counter), "rrd_name": "moves", "action": 1}])
    run = plain_poller.run("--verify", "--format=json")
    assert run.status == 0, run
    found = checked("verify", run.stdout)
    ways = len(found["ways"].split(", "))
    assert (found["moved"], found["same"]) == ((1, 0) if ways > 1 else (0, 1)), found


@pytest.mark.libevent(True)
def test_what_one_way_does_not_get_is_a_difference(site, snmpd, plain_poller, work):
    """A script that counts its calls, and answers U to the second of every three: that of the event path."""
    turn = work / "turn"
    turn.write_text(f"#!/bin/sh\necho x >>{work}/turns\nn=$(wc -l <{work}/turns)\n"
                    "[ $((n % 3)) = 2 ] && echo U || echo 7\n")
    turn.chmod(0o755)
    device = site.add_device(1, port=snmpd.port)
    site.add_items([{"device": device, "arg1": str(turn), "rrd_name": "turn", "action": 1}])
    run = plain_poller.run("--verify", "--format=json")
    found = checked("verify", run.stdout)
    assert run.status == 65, run
    [difference] = found["differences"]
    assert (difference["rrd_name"], difference["legacy"], difference["event"], difference["async"]) == \
        ("turn", "7", "U", "7"), difference


def verify_device_7(site, agents, plain_poller, drops):
    """--verify of a device without items, whose agent leaves some requests unanswered; each poll sends one."""
    agent = agents(f"object .1.3.6.1.2.1.1.3.0 timeticks 4711\nagent 127.2.0.1 {drops}\n")
    site.add_device(7, hostname="127.2.0.1", port=agent.port, snmp_timeout=300, availability_method=UPTIME)
    return plain_poller.run("--verify", "--format=json", "-O", "snmp_retries:0")


@pytest.mark.libevent(True)
def test_a_device_without_items_that_is_down_one_way_only_is_a_difference(site, agents, plain_poller):
    run = verify_device_7(site, agents, plain_poller, "drop-pattern=1/3")
    assert run.status == 65, run
    found = checked("verify", run.stdout)
    [difference] = found["differences"]
    assert difference == {"device": 7, "verdict": "device differs", "legacy": "down", "event": "up", "async": "up"}
    assert (found["devices"], found["items"], found["devices_differ"], found["differ"]) == (1, 0, 1, 0), found
    text = plain_poller.run("--verify", "-O", "snmp_retries:0")
    assert text.status == 65 and "1 devices are up one way and down another" in text.stdout, text
    assert "Device 7 differs: legacy down, Device did not respond to SNMP, event up, async up" in text.stdout, text


@pytest.mark.libevent(True)
def test_a_device_that_comes_and_goes_is_not_called_different(site, agents, plain_poller):
    run = verify_device_7(site, agents, plain_poller, "drop-pattern=2/4")
    assert run.status == 0, run
    found = checked("verify", run.stdout)
    assert (found["differences"], found["devices_moved"], found["devices_differ"]) == ([], 1, 0), found


def test_a_value_that_the_last_cycle_had_and_now_is_lost_is_named(site, snmpd, plain_poller):
    device = site.add_device(1, port=snmpd.port)
    good = site.add_snmp_item(device, f"{PLAYPEN}.1.1", rrd_name="good")
    lost = site.add_snmp_item(device, f"{PLAYPEN}.1.2", rrd_name="lost")
    assert plain_poller.run().status == 0
    assert_stored(site, {good: str(real_value(1, 1)), lost: str(real_value(1, 2))})
    site.sql(f"UPDATE poller_item SET arg1='{PLAYPEN}.999.2' WHERE rrd_name='lost'")
    run = plain_poller.run("--verify=1", "--format=json")
    assert run.status == 65, run
    found = checked("verify", run.stdout)
    assert (found["stored_by_last_cycle"], found["lost_since_last_cycle"]) == (2, 1), found
    [difference] = found["differences"]
    assert (difference["rrd_name"], difference["stored"]) == ("lost", str(real_value(1, 2)))


def test_a_plan_is_in_the_order_of_polling_and_asks_no_device(site, mixed, poller):
    site.sql("UPDATE host SET polling_time=CASE id WHEN 1 THEN 0.5 WHEN 2 THEN 0.2 ELSE 1.5 END, "
             "status=IF(id=2,1,3), max_oids=2")
    before = site.snapshot()
    run = poller.run("--plan", "--format=json", "-O", "snmp_retries:2", "-O", "active_profiles:1", "-t", "4")
    assert run.status == 0, run
    assert before.changes(site.snapshot()) == {}, "the database has changed"
    plan = checked("plan", run.stdout)
    waits_on_loop = plan["driver"] == "async"
    assert [entry["device"] for entry in plan["order"]] == ([2, 3, 1] if waits_on_loop else [3, 1, 2]), plan
    one = next(entry for entry in plan["order"] if entry["device"] == 1)
    assert (one["snmp_items"], one["snmp_requests"], one["scripts"]) == (3, 2, 2), one
    two = next(entry for entry in plan["order"] if entry["device"] == 2)
    assert two["was_down"] and two["silent_ms"] == 300, two
    assert (plan["slowest_device"], plan["slowest_s"], plan["silent_s"]) == (3, 1.5, 0.3), plan
    assert plan["shared_s"] == (0 if waits_on_loop else pytest.approx((2.2 + 0.3) / 4)), plan
    assert (plan["expected_s"], plan["bound"]) == (1.5, "the slowest device"), plan
    text = poller.run("--plan")
    assert text.status == 0 and "bounded by the slowest device" in text.stdout, text


@pytest.mark.parametrize("max_oids, requests", ((1, 3), (3, 1), (0, 1), (101, 1)))
def test_a_plan_counts_requests_as_a_run_makes_them(site, mixed, plain_poller, max_oids, requests):
    """0 and 101 are out of range, for which a run takes 5."""
    site.sql("UPDATE host SET max_oids=%s", max_oids)
    run = plain_poller.run("--plan", "--format=json", "-O", "active_profiles:1")
    one = next(entry for entry in checked("plan", run.stdout)["order"] if entry["device"] == 1)
    assert one["snmp_requests"] == requests, one


@pytest.mark.parametrize("method, community, silent_ms", ((1, "public", 800), (4, "public", 1400), (1, "", 800), (2, "", 0), (0, "public", 0)))
def test_a_plan_knows_how_long_a_silent_device_is_tested(site, mixed, plain_poller, method, community, silent_ms):
    """Two pings of 400 ms, three SNMP requests of 200 ms; who fails a ping that is needed is not asked by SNMP."""
    site.sql("UPDATE host SET availability_method=%s, snmp_community=%s, snmp_timeout=200, ping_method=2, ping_timeout=400, "
             "ping_retries=1", method, community)
    run = plain_poller.run("--plan", "--format=json", "-O", "snmp_retries:2")
    assert {entry["silent_ms"] for entry in checked("plan", run.stdout)["order"]} == {silent_ms}, run


def test_a_plan_without_devices_says_so(site, poller):
    assert poller.run("--plan").status == 66
