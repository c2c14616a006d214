"""No statement makes the server warn: who looks for what is wrong with a site finds nothing of ours."""

import pytest

from support.checks import assert_stored
from support.lab import SilentDevice
from support.mariadb import MariaDB
from support.snmpd import PLAYPEN

from conftest import real_value

pytestmark = pytest.mark.both_bulks

DEVICES = 60
WARNED = ("SELECT DIGEST_TEXT AS text, SUM_WARNINGS AS warnings FROM performance_schema.events_statements_summary_by_digest"
          " WHERE SUM_WARNINGS > 0 AND DIGEST_TEXT NOT LIKE 'SHOW %'")
EMPTY = "TRUNCATE performance_schema.events_statements_summary_by_digest"


@pytest.fixture
def server(template, work):
    with MariaDB(work / "mariadb", template=template,
                 options=["--performance-schema=ON", "--performance-schema-consumer-statements-digest=ON"]) as server:
        yield server


def seed(site, snmpd, silent):
    """Most devices answer, some never did, each has an assertion, and the numbers of some are at their columns' ends."""
    ends = {"status_event_count": 16777215, "total_polls": 4294967295, "failed_polls": 4294967295, "min_time": 0,
            "max_time": 99999.99999, "avg_time": 99999.99999, "availability": 100}
    devices = [{"id": id, "hostname": "127.0.0.1", "snmp_port": silent.port if id % 20 == 0 else snmpd.port,
                "snmp_timeout": 100, **(ends if id % 7 == 0 else {})} for id in range(1, DEVICES + 1)]
    added = site.add_devices(devices)
    live = [d for d in added if d["snmp_port"] == snmpd.port]
    keys = site.add_items([{"device": d, "arg1": f"{PLAYPEN}.{d['id'] % 9 + 1}.1", "rrd_name": "v"} for d in live])
    for d in added:
        site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
                 "VALUES (%s, 1, 0, '<', '0', '.1.3.6.1.2.1.1.3.0')", d["id"])
    return {key: str(real_value(d["id"] % 9 + 1, 1)) for key, d in zip(keys, live)}


def test_no_statement_of_a_cycle_is_warned_of(site, snmpd, poller, bulk):
    site.settings(poller_interval=60, boost_redirect="on", boost_rrd_update_enable="on", active_profiles=2)
    with SilentDevice() as silent:
        expected = seed(site, snmpd, silent)
        poller.write_conf(poller.conf_text(DB_Bulk=bulk))
        for _ in range(2):  # the average of the second cycle is one of two numbers
            site.sql("DELETE FROM poller_output")
            site.sql("UPDATE poller_item SET rrd_next_step = 0")
            site.server.sql(EMPTY)
            run = poller.run("--mibs", "-V", "3", first=0, last=DEVICES)
            assert run.status == 0, run
            assert_stored(site, expected)
            assert site.server.sql("SELECT COUNT(*) AS n FROM performance_schema.events_statements_summary_by_digest"
                                   " WHERE DIGEST_TEXT LIKE 'UPDATE%host%'")[0]["n"] > 0
            assert not site.server.sql(WARNED), run
