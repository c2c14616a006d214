"""No statement of ours makes the server warn: it would deprecate what we use, or change what we write.

The server itself counts the warnings of each statement (performance schema).
"""

import pytest

from support.collector import Collector
from support.lab import SilentDevice
from support.mariadb import VENDOR, MariaDB
from support.snmpd import PLAYPEN
from support.vendor import MYSQL

from conftest import real_value

COUNTING = ("--performance-schema=ON", "--performance-schema-instrument=statement/%=ON",
            "--performance-schema-consumer-events-statements-current=ON",
            "--performance-schema-consumer-events-statements-history-long=ON",
            "--performance-schema-events-statements-history-long-size=10000")
HISTORY = "performance_schema.events_statements_history_long"


@pytest.fixture
def server(template, work):
    with MariaDB(work / "mariadb", template=template, options=COUNTING) as server:
        yield server


def forget(server):
    server.sql(f"TRUNCATE {HISTORY}")


def noted(server, where="1"):
    """[(kind and text, warnings)]; an array of rows has no text."""
    return [(row["text"], int(row["warnings"])) for row in server.sql(
        "SELECT CONCAT_WS(' ', event_name, sql_text) AS text, warnings AS warnings "
        f"FROM {HISTORY} WHERE {where}")]


def assert_no_warning(server, *words):
    """`words`: each is in a statement that has been seen."""
    texts = [text for text, _ in noted(server)]
    assert [word for word in words if not any(word in text for text in texts)] == []
    assert noted(server, "warnings > 0") == []


def test_a_statement_that_makes_the_server_warn_is_counted(server):
    """That this test can fail."""
    forget(server)
    server.sql("SELECT 1 + 'one'")
    assert [count for _, count in noted(server, "warnings > 0")] == [1]


#: Numbers at the ends of their columns.
ENDS = {"status_event_count": 16777215, "total_polls": 4294967295, "failed_polls": 4294967295, "min_time": 0,
        "max_time": 99999.99999, "avg_time": 99999.99999, "availability": 100}


def seed(site, snmpd):
    """Everything that is ever written: devices that are up, down, new, that have failed before and that never have."""
    site.settings(active_profiles=2, boost_redirect="on", boost_rrd_update_enable="on", ping_failure_count=1)
    site.sql("SET time_zone = '+00:00'")
    devices = site.add_devices([{"id": id, "hostname": "127.0.0.1", "snmp_port": snmpd.port, "status": id % 4,
                                 **(ENDS if id % 7 == 0 else {})} for id in range(1, 31)])
    items = [{"device": d, "arg1": f"{PLAYPEN}.{d['id']}.{n}", "rrd_name": f"v{n}", "rrd_step": 300 * n}
             for d in devices for n in range(1, 4)]
    items += [{"device": devices[0], "action": 1, "arg1": "echo text:1 '\"quoted\"' \\\\; printf 'Z\\374rich'", "rrd_name": "x"},
              {"device": None, "action": 1, "arg1": "echo 5", "rrd_name": "zero"}]
    keys = site.add_items(items)
    site.sql("UPDATE host SET status_fail_date = '2026-01-01 00:00:00' WHERE id = 2")
    site.sql("UPDATE host SET status_rec_date = '2026-01-01 00:00:00' WHERE id < 4")
    for query, text in ((1, "before"), (2, "")):
        site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
                 "SELECT id, %s, 0, '=', %s, CONCAT(%s, '.', id, '.1') FROM host", query, text, PLAYPEN)
    site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
             "SELECT id, 3, 0, '<', '0', '.1.3.6.1.2.1.1.3.0' FROM host")
    return {key: str(real_value(item["device"]["id"], int(item["rrd_name"][1:])))
            for key, item in zip(keys, items) if item["rrd_name"].startswith("v")}


@pytest.mark.both_bulks
def test_a_cycle_makes_the_server_warn_of_nothing(site, server, snmpd, poller, bulk):
    expected = seed(site, snmpd)
    if VENDOR is MYSQL:  # 9.7 counts a warning for a statement that follows one into a table in memory (6414)
        site.sql("ALTER TABLE poller_output ENGINE=InnoDB")
    with SilentDevice() as silent:
        site.add_device(99, port=silent.port, snmp_timeout=100)
        forget(server)
        for _ in range(2):
            run = poller.run("-V", "3", "--mibs", first=0, last=99)
            assert run.status == 0, run
    assert site.sql("SELECT COUNT(*) AS n FROM poller_output_boost")[0]["n"] >= len(expected)
    assert_no_warning(server, "FROM settings", "INSERT INTO poller_time", "FROM host", "FROM poller_item", "FROM poller_reindex",
                      "UPDATE ", "REPLACE INTO poller_command", "rrd_next_step=CASE", "UPDATE poller_time",
                      "SET SESSION sql_mode", *(("INSERT INTO poller_output_boost ",) if bulk == "off" else ()))


def test_the_push_of_a_collector_makes_the_main_server_warn_of_nothing(template, build, loop, work, snmpd):
    with MariaDB(work / "local", template=template, tcp=True, options=COUNTING) as local, \
            MariaDB(work / "main", template=template, tcp=True, options=COUNTING) as main:
        both = Collector(local, main, work)
        both.settings(active_profiles=2)
        for id in range(1, 6):
            device = both.add_device(id, port=snmpd.port, status=id % 4)
            both.add_snmp_item(device, f"{PLAYPEN}.{id}.1", "x", rrd_step=300 * id)
        for server in (local, main):
            forget(server)
        poller = both.poller(build.binary, loop=loop)
        for _ in range(2):
            run = poller.run("-V", "3", "--mibs", "--mode=online", first=1, last=99)
            assert run.status == 0, run
        assert_no_warning(local, "FROM poller_item")
        assert_no_warning(main, "host", "UPDATE poller_item")
