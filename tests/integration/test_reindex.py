"""Re-index checks: restarts, odd texts, missing rows, tables that cannot be walked."""

import pytest

from support.checks import assert_stored
from support.lab import need
from support.reindexer import Reindexer

from conftest import SYSTEM_GROUP

TABLE = ".1.3.6.1.4.1.99999.2"
COUNTER = ".1.3.6.1.4.1.99999.1.1"
UPTIME, ENGINE_TIME = ".1.3.6.1.2.1.1.3.0", ".1.3.6.1.6.3.10.2.1.3.0"
GET, COUNT = 0, 10

#: What an index may be called, in the simulated agent's words; each on a row of its own.
TEXTS = (
    'string "eth0"', 'string " eth0"', 'string "eth0  "', 'string "eth0\\x00"', 'string "eth0\\x00\\x00\\x00"',
    'string "\\teth0\\r\\n"', 'string "line 1\\nline 2"', 'string ""', 'string "  "', 'string "\\"quoted\\""',
    'string "to \\"core\\" 2"', 'string "it\'s"', 'string "C:\\\\ Label:System  Serial Number 1"', 'string "D:\\\\"',
    'string "nic\\\\0\\\\2"', 'string "<a> & <b>"', 'string "a=b"', 'string "100%"', 'string "STRING: x"',
    'string "Gauge: 7"', 'string "No more than 5"', 'string "0012"', 'string "1e3"', 'string "-5 C"',
    'string "Z\\xc3\\xbcrich"', 'string "Z\\xfcrich"', 'string "\\xe2\\x82\\xac"', 'string "\\xf0\\x9f\\x98\\x80 ok"',
    'string "\\xff\\xff"', 'string "pad\\xff\\xff"', 'hex 00 1b 21 3c 4d 5e', 'hex 00 00 00 00 00 00',
    'hex ff ff ff ff ff ff', 'hex 61 62 63 64 65 80', 'hex c0 a8 01 fe', 'hex 80', 'hex 00', 'hex 01 02',
    'hex 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01', 'hex ' + ' '.join(f"{n:02x}" for n in range(40)),
    'fill 99', 'fill 100', 'fill 101', 'fill 250', f'string "{"ab " * 60}"', f'string "{"Ä" * 120}"',
    'oid .1.3.6.1.4.1.8072.3.2.10', 'oid .0.0', 'oid .1.3.6.1.' + '.'.join(str(n) for n in range(1000, 1030)),
    'ipaddress 192.0.2.1', 'int 5', 'int -5', 'counter64 18446744073709551615', 'gauge32 4294967295', 'timeticks 360000',
    'opaque-float 1.5', 'opaque-double 1e300', 'opaque-counter64 7', 'opaque-int64 -7', 'opaque-uint64 9', 'raw 44 1234', 'raw 44',
)


def check(site, device, op, value, arg1, action=GET, query=1):
    site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
             "VALUES (%s, %s, %s, %s, %s, %s)", device["id"], query, action, op, value, arg1)


def reindexed(site):
    """The devices and data queries that Cacti is told to re-index; forgotten afterwards."""
    commands = sorted(row["command"] for row in site.sql("SELECT command FROM poller_command WHERE action = 1"))
    site.sql("DELETE FROM poller_command")
    return commands


def assertion(site, device):
    return site.sql("SELECT assert_value FROM poller_reindex WHERE host_id = %s", device["id"])[0]["assert_value"]


def poll(site, poller):
    site.sql("DELETE FROM poller_output")
    run = poller.run()
    assert run.status == 0, run
    return run


def device_with_item(site, farm, id=1, address="127.2.0.1", **columns):
    device = site.add_device(id, hostname=address, port=farm.port, **{"snmp_timeout": 500, **columns})
    return device, site.add_snmp_item(device, COUNTER, rrd_name="v")


@pytest.mark.parametrize("method, output_format", [("walk", None), ("get", None), ("walk", "hex"), ("get", "hex"),
                                                   ("get", "ascii")])
def test_a_text_as_cacti_has_stored_it_is_not_indexed_again(site, agents, poller, work, method, output_format):
    """Cacti's own re-index fills poller_reindex; nothing has changed since."""
    need({"php": "php-cli", "snmpget": "snmp", "snmpbulkwalk": "snmp"})
    rows = "".join(f"object {TABLE}.1.{n} int {n}\nobject {TABLE}.2.{n} {text}\n" for n, text in enumerate(TEXTS, 1))
    farm = agents(SYSTEM_GROUP + rows + f"object {COUNTER} int 7\nagent 127.2.0.1\n")
    device, item = device_with_item(site, farm, bulk_walk_size=10)
    stored = Reindexer(site, work / "cacti").run(TABLE, method, output_format)
    assert len(stored) >= len(TEXTS) - 1, stored  # a walk leaves out texts with "No more" in them
    for query, (arg1, value) in enumerate(stored.items(), 1):  # one after the other: a failed one spares the rest
        site.sql("UPDATE poller_reindex SET data_query_id = %s WHERE arg1 = %s", query, arg1)
    run = poll(site, poller)
    assert [line for line in run.log.splitlines() if "ASSERT FAILED" in line] == [], run
    assert reindexed(site) == []
    assert_stored(site, {item: "7"})


def test_a_text_that_has_changed_is_indexed_again_once(site, agents, poller):
    spec = SYSTEM_GROUP + f"object {COUNTER} int 7\n"
    for n, text in enumerate(TEXTS, 1):
        spec += f"set s{n}\nuse default\nobject {TABLE}.2.1 {text}\nend\nagent 127.2.0.{n} set=s{n}\n"
    farm = agents(spec)
    devices = [device_with_item(site, farm, n, f"127.2.0.{n}")[0] for n in range(1, len(TEXTS) + 1)]
    for device in devices:
        check(site, device, "=", "another text", f"{TABLE}.2.1")
    poll(site, poller)
    assert len(reindexed(site)) == len(TEXTS)
    poll(site, poller)
    assert reindexed(site) == []


#: The engine time of an agent, or how it fails to say it: all of them have been restarted.
NO_CLOCKS = ("", "null", "int 0", "int -1", "int -2147483648", 'string "1 day"', 'string ""', "oid .1.3.6", "hex 00 ff",
             "nosuchobject", "nosuchinstance", "opaque-float 7", "opaque-double 0.5")


@pytest.mark.parametrize("version", (1, 2))
def test_a_restart_is_noticed_whatever_the_engine_time_is(site, agents, poller, version):
    spec = SYSTEM_GROUP.replace("@uptime", "5000") + f"object {COUNTER} int 7\n"
    for n, text in enumerate(NO_CLOCKS, 1):
        line = f"object {ENGINE_TIME} {text}\n" if text else ""
        spec += f"set s{n}\nuse default\n{line}end\nagent 127.2.0.{n} set=s{n}\n"
    farm = agents(spec)
    expected = {}
    for n in range(1, len(NO_CLOCKS) + 1):
        device, item = device_with_item(site, farm, n, f"127.2.0.{n}", snmp_version=version)
        check(site, device, "<", "600000", (UPTIME, ENGINE_TIME)[n % 2])
        expected[item] = "U"
    poll(site, poller)
    assert len(reindexed(site)) == len(NO_CLOCKS)
    assert_stored(site, expected)
    values = {row["assert_value"] for row in site.sql("SELECT assert_value FROM poller_reindex")}
    assert values == {"5000"}
    poll(site, poller)
    assert reindexed(site) == []


ERRORS = ("genErr", "authorizationError", "noAccess", "resourceUnavailable", "noSuchName", "99")


@pytest.mark.parametrize("error", ERRORS)
def test_a_restart_is_noticed_whatever_error_the_engine_time_gets(site, agents, poller, error):
    """After the check's, the second request is for both clocks."""
    farm = agents(SYSTEM_GROUP.replace("@uptime", "5000") + f"object {ENGINE_TIME} int 9000\nobject {COUNTER} int 7\n"
                  f"agent 127.2.0.1 error={error}:2 during=2\n")
    device, item = device_with_item(site, farm)
    check(site, device, "<", "600000", UPTIME)
    poll(site, poller)
    assert reindexed(site) == ["1:1"]
    assert_stored(site, {item: "U"})
    assert assertion(site, device) == "5000"


@pytest.mark.parametrize("engine, ticks", [("int 70", 7000), ("int 0", 5000), ("int -1", 5000), ("null", 5000),
                                           ('string "1 day"', 5000), ("nosuchobject", 5000)])
def test_system_information_and_re_index_checks_know_the_same_uptime(site, agents, poller, engine, ticks):
    farm = agents(SYSTEM_GROUP.replace("@uptime", "5000") + f"object {ENGINE_TIME} {engine}\nobject {COUNTER} int 7\n"
                  "agent 127.2.0.1\n")
    device, _ = device_with_item(site, farm)
    check(site, device, "<", "1", UPTIME)
    assert poller.run("--mibs").status == 0
    assert site.device(1)["snmp_sysUpTimeInstance"] == ticks
    assert assertion(site, device) == str(ticks)


@pytest.mark.parametrize("version, missing", [(1, "auto"), (2, "instance"), (2, "object"), (2, "nosuchname")])
def test_a_missing_row_is_noticed_once(site, agents, poller, version, missing):
    farm = agents(SYSTEM_GROUP + f"object {TABLE}.2.2 string \"eth1\"\nobject {COUNTER} int 7\n"
                  f"agent 127.2.0.1 missing={missing}\n")
    device, item = device_with_item(site, farm, snmp_version=version)
    check(site, device, "=", "eth0", f"{TABLE}.2.1")
    check(site, device, "=", "eth1", f"{TABLE}.2.2")
    poll(site, poller)
    assert reindexed(site) == ["1:1"]
    assert_stored(site, {item: "7"})
    poll(site, poller)
    assert reindexed(site) == []


@pytest.mark.parametrize("fault", ("silent", "error=genErr:1", "error=noAccess:1", "omit-first", "other-oid", "garbage"))
def test_a_row_that_nothing_is_said_about_is_not_gone(site, agents, poller, fault):
    farm = agents(SYSTEM_GROUP + f"object {TABLE}.2.1 string \"eth0\"\nobject {COUNTER} int 7\n"
                  f"agent 127.2.0.1 {fault} during=2-\n")
    device, _ = device_with_item(site, farm, snmp_timeout=100)
    check(site, device, "=", "eth1", f"{TABLE}.2.1")
    poll(site, poller)
    assert reindexed(site) == []
    assert assertion(site, device) == "eth1"


ROWS = "".join(f"object {TABLE}.1.{n} int {n}\n" for n in range(1, 31)) + f"object {TABLE}.9.1 int 1\n"

#: What an agent does to the first GETBULK of the walk, which is its second request, or to the next one.
BROKEN_ONCE = ("reorder during=2", "reorder during=3", "stuck during=2", "stuck during=3", "other-oid=3 during=2",
               "error=genErr during=2", "error=genErr during=3", "error=tooBig during=2", "error=99 during=2", "extra")


@pytest.mark.parametrize("fault", BROKEN_ONCE)
def test_a_table_that_GETBULK_gets_wrong_is_counted_by_GETNEXT(site, agents, poller, fault):
    farm = agents(SYSTEM_GROUP + ROWS + f"object {COUNTER} int 7\nagent 127.2.0.1-127.2.0.2 {fault}\n")
    expected = {}
    for n, count in ((1, "30"), (2, "29")):
        device, item = device_with_item(site, farm, n, f"127.2.0.{n}")
        check(site, device, "=", count, f"{TABLE}.1", COUNT)
        expected[item] = "7"
    poll(site, poller)
    assert reindexed(site) == ["2:1"]
    assert_stored(site, expected)


@pytest.mark.parametrize("version, fault", [
    (1, "stuck during=2-"), (2, "stuck during=2-"), (1, "stuck during=5-"), (2, "stuck during=3-"),
    (1, "omit-first during=2-"), (1, "omit-first during=5-"), (1, "error=genErr during=5-"),
    (2, "error=genErr during=2-"), (1, "null row"), (2, "null row")])
def test_a_table_that_cannot_be_walked_is_not_indexed_again(site, agents, poller, version, fault):
    """Whatever Cacti has counted."""
    rows, option = (ROWS.replace(".1.4 int 4", ".1.4 null"), "") if fault == "null row" else (ROWS, fault)
    farm = agents(SYSTEM_GROUP + rows + f"agent 127.2.0.1-127.2.0.3 {option}\n")
    for n, count in enumerate(("30", "0", "5"), 1):
        device, _ = device_with_item(site, farm, n, f"127.2.0.{n}", snmp_version=version)
        check(site, device, "=", count, f"{TABLE}.1", COUNT)
    run = poll(site, poller)
    assert reindexed(site) == []
    if "error" not in fault:
        assert run.log.count(f"the number of indexes below {TABLE}.1 is not known") == 3, run


#: Rows as a file has them, from which an agent takes the first one behind the name that it is asked with.
FILE_ORDERS = ((1, 3, 2, 4, 5, 6), (2, 1, 3, 4, 5, 6), (1, 2, 3, 4, 6, 5), (6, 5, 4, 3, 2, 1), (1, 5, 2, 6, 3, 4))


@pytest.mark.parametrize("order", FILE_ORDERS, ids=lambda order: "".join(map(str, order)))
def test_a_table_in_the_order_of_a_file_is_not_indexed_again(site, agents, poller, order):
    """Six rows, of which GETBULK shows some in the wrong order and GETNEXT finds only some."""
    rows = "".join(f"object {TABLE}.1.{n} int {n}\n" for n in order) + f"object {TABLE}.9.1 int 1\n"
    farm = agents(SYSTEM_GROUP + f"object {COUNTER} int 7\n{rows}agent 127.2.0.1-127.2.0.4 file-order\n")
    expected = {}
    for n, count in enumerate(("6", "2", "0", "1"), 1):
        device, item = device_with_item(site, farm, n, f"127.2.0.{n}")
        check(site, device, "=", count, f"{TABLE}.1", COUNT)
        expected[item] = "7"
    run = poll(site, poller)
    assert reindexed(site) == []
    assert_stored(site, expected)
    assert run.log.count(f"the number of indexes below {TABLE}.1 is not known") == 4, run


def test_an_index_too_long_to_be_counted_costs_the_device_nothing(site, agents, poller):
    """22,000 rows, one by one."""
    farm = agents(SYSTEM_GROUP + f"object {TABLE}.1.{{1-22000}} int 1\nobject {COUNTER} int 7\nagent 127.2.0.1\n")
    device, item = device_with_item(site, farm, snmp_version=1)
    check(site, device, "=", "5", f"{TABLE}.1", COUNT)
    run = poll(site, poller)
    assert reindexed(site) == []
    assert_stored(site, {item: "7"})
    assert "Too many rows to be counted in a cycle" in run.log, run
