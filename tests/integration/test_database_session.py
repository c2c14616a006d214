"""What a site has set for all connections (time zone, limits, modes) changes neither what is polled nor what is
stored, and a time that the clocks of the country show twice is stored as the moment that it was."""

import contextlib
import time

import pytest

from support import cacti
from support.breaker import Breaker, Error
from support.checks import assert_accounted, assert_closed, assert_stored
from support.lab import SilentDevice, wait_until
from support.mariadb import MariaDB
from support.snmpd import PLAYPEN

from conftest import real_value

ITEMS = 5
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"

#: Zone of the server, and a moment whose local time comes again `later` seconds afterwards.
REPEATED = [
    pytest.param(BERLIN, "2026-10-25 00:30:00", 3600, id="berlin"),
    pytest.param("EST5EDT,M3.2.0,M11.1.0", "2026-11-01 05:59:59", 3600, id="new-york"),
    pytest.param("LHST-10:30LHDT-11,M10.1.0/2,M4.1.0/2", "2026-04-04 14:45:00", 1800, id="lord-howe"),
    pytest.param("NST3:30NDT,M3.2.0/2,M11.1.0/2", "2026-11-01 03:30:00", 3600, id="newfoundland"),
]


@pytest.fixture
def zone():
    return BERLIN


@pytest.fixture
def server(template, work, zone):
    with MariaDB(work / "mariadb", template=template, zone=zone) as server:
        yield server


def seed(site, snmpd, devices=range(1, 7)):
    added = site.add_devices([{"id": id, "hostname": "127.0.0.1", "snmp_port": snmpd.port} for id in devices])
    wanted = [(d, n) for d in added for n in range(1, ITEMS + 1)]
    keys = site.add_items([{"device": d, "arg1": f"{PLAYPEN}.{d['id']}.{n}", "rrd_name": f"v{n}"} for d, n in wanted])
    return {key: str(real_value(d["id"], n)) for key, (d, n) in zip(keys, wanted)}


def poll(poller, **how):
    return poller.run("-V", "3", first=0, last=99, **how)


def poll_at(poller, build, moment):
    """A cycle by a poller whose clock shows this moment, Unix seconds."""
    preload = build.binary.path.parent / "tests/support/faults.so"
    run = poll(poller, env={"LD_PRELOAD": str(preload), "FAULT_WALL": f"{moment - int(time.time())}@0"})
    assert run.status == 0, run
    return run


def seconds(moment):
    """Unix seconds of a moment written in UTC."""
    return int(time.mktime(time.strptime(moment + " UTC", "%Y-%m-%d %H:%M:%S %Z"))) - time.timezone


def stored_times(site, table):
    rows = site.sql(f"SELECT UNIX_TIMESTAMP(time) AS t, COUNT(*) AS n FROM {table} GROUP BY 1 ORDER BY 1")
    return [(int(row["t"]), row["n"]) for row in rows]


def assert_times(found, *moments, rows):
    """`rows` rows at each of these moments, or within the second or two that a cycle takes."""
    total = {moment: 0 for moment in moments}
    for stored, count in found:
        near = [moment for moment in moments if moment <= stored < moment + 60]
        assert near, (found, moments)
        total[near[0]] += count
    assert total == {moment: rows for moment in moments}, found


# ---- time ----

@pytest.mark.parametrize("zone, first, later", REPEATED)
@pytest.mark.alone("the process that is started has a clock of its own")
def test_an_hour_that_comes_twice_is_stored_twice(site, snmpd, build, poller, first, later):
    """The end of summer time, by a server in the country's time: results, boost and the dates of the status."""
    site.settings(boost_redirect="on", boost_rrd_update_enable="on")
    expected = seed(site, snmpd, devices=(1, 2))
    first = seconds(first)
    second = first + later
    on_the_clock = site.sql("SELECT CAST(FROM_UNIXTIME(%s) AS CHAR) AS a, CAST(FROM_UNIXTIME(%s) AS CHAR) AS b", first, second)
    assert on_the_clock[0]["a"] == on_the_clock[0]["b"]
    poll_at(poller, build, first)
    with SilentDevice() as silent:
        site.add_device(3, port=silent.port, snmp_timeout=100)
        poll_at(poller, build, second)
    for table in ("poller_output", "poller_output_boost"):
        assert_times(stored_times(site, table), first, second, rows=len(expected))
    failed = int(site.sql("SELECT UNIX_TIMESTAMP(status_fail_date) AS t FROM host WHERE id = 3")[0]["t"])
    assert second <= failed < second + 60


def test_dates_of_a_status_stay_as_they_are_in_the_hour_that_comes_twice(site, snmpd, poller):
    """They are read and written again in every cycle; down at the first half past two, up again at the second."""
    seed(site, snmpd, devices=(1,))
    failed, recovered = seconds("2026-10-25 00:30:00"), seconds("2026-10-25 01:30:00")
    site.sql("SET time_zone = '+00:00'")
    site.sql("UPDATE host SET status_fail_date = FROM_UNIXTIME(%s), status_rec_date = FROM_UNIXTIME(%s)", failed,
             recovered)
    for _ in range(2):
        run = poll(poller)
        assert run.status == 0, run
    rows = site.sql("SELECT UNIX_TIMESTAMP(status_fail_date) AS f, UNIX_TIMESTAMP(status_rec_date) AS r FROM host")
    assert [(int(row["f"]), int(row["r"])) for row in rows] == [(failed, recovered)]


def test_a_device_that_has_never_failed_has_no_date_of_a_failure(site, snmpd, poller):
    seed(site, snmpd, devices=(1, 2))
    for _ in range(2):
        run = poll(poller)
        assert run.status == 0, run
    for id in (1, 2):
        device = site.device(id)
        assert (device["fail_date"], device["rec_date"]) == (cacti.ZERO_DATE, cacti.ZERO_DATE)


@pytest.mark.parametrize("zone", (BERLIN, "EST5EDT,M3.2.0,M11.1.0", "IST-5:30"), ids=("berlin", "new-york", "india"))
def test_the_date_on_graphs_is_that_of_the_country(site, snmpd, poller):
    """settings.date is a text for people."""
    seed(site, snmpd, devices=(1,))
    run = poll(poller)
    assert run.status == 0, run
    row = site.sql("SELECT value, ABS(TIMESTAMPDIFF(SECOND, value, NOW())) AS off FROM settings WHERE name = 'date'")[0]
    assert row["off"] < 300, row
    assert time.strptime(row["value"], "%Y-%m-%d %H:%M:%S")


def test_the_date_on_graphs_follows_the_zone_that_the_server_gives_its_connections(site, server, snmpd, poller):
    seed(site, snmpd, devices=(1,))
    server.sql("SET GLOBAL init_connect = %s", "SET time_zone = '+11:00'")
    run = poll(poller)
    assert run.status == 0, run
    row = site.sql("SELECT ABS(TIMESTAMPDIFF(SECOND, value, CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', '+11:00'))) AS off "
                   "FROM settings WHERE name = 'date'")[0]
    assert row["off"] < 300, row


DATETIME = [("poller_output", "time"), ("poller_output_boost", "time"), ("poller_time", "start_time"),
            ("poller_time", "end_time"), ("poller_command", "time"), ("host", "status_fail_date")]


@pytest.mark.parametrize("table, column", DATETIME, ids=[".".join(names) for names in DATETIME])
def test_a_site_that_still_has_the_columns_of_cacti_0_8_gets_the_times_that_cacti_reads_there(
        site, snmpd, poller, table, column):
    """A DATETIME column holds local time, as Cacti's own statements write and read it."""
    site.settings(boost_redirect="on", boost_rrd_update_enable="on")
    site.sql(f"ALTER TABLE {table} MODIFY {column} DATETIME NOT NULL DEFAULT '{cacti.ZERO_DATE}'")
    seed(site, snmpd, devices=(1,))
    site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
             "VALUES (1, 7, 0, '=', 'before', %s)", f"{PLAYPEN}.1.1")
    with SilentDevice() as silent:
        site.add_device(99, port=silent.port, snmp_timeout=100)
        run = poll(poller)
    assert run.status == 0, run
    where = "WHERE id = 99" if table == "host" else ""
    rows = site.sql(f"SELECT ABS(TIMESTAMPDIFF(SECOND, {column}, NOW())) AS off FROM {table} {where}")
    assert rows and all(row["off"] < 300 for row in rows), rows


# ---- limits and modes ----

LIMITS = {
    "a row": "SET GLOBAL sql_select_limit = 1",
    "no row": "SET GLOBAL sql_select_limit = 0",
    "five rows": "SET GLOBAL sql_select_limit = 5",
    "a small join": "SET GLOBAL max_join_size = 1",
    "no big selects": "SET GLOBAL max_join_size = 2, sql_big_selects = 0",
    "safe updates": "SET GLOBAL sql_safe_updates = 1",
    "modes": "SET GLOBAL sql_mode = 'ANSI,TRADITIONAL,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'",
    "no autocommit": "SET GLOBAL autocommit = 0",
    "all of them": "SET GLOBAL sql_select_limit = 2, sql_safe_updates = 1, max_join_size = 1, autocommit = 0",
}


@pytest.mark.parametrize("how", ("global", "init_connect"))
@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_limits_of_the_server_make_no_site_smaller(site, server, snmpd, poller, limit, how):
    """Every device is found, every item polled, everything written."""
    site.settings(active_profiles=2, boost_redirect="on", boost_rrd_update_enable="on")
    expected = seed(site, snmpd)
    site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
             "SELECT id, 7, 0, '=', 'before', CONCAT(%s, '.', id, '.1') FROM host", PLAYPEN)
    if how == "init_connect":
        server.sql("SET GLOBAL init_connect = %s", limit.replace("GLOBAL", "SESSION"))
    else:
        server.sql(limit)
    run = poll(poller)
    assert_all_done(site, run, expected)


def assert_all_done(site, run, expected):
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    assert_accounted(run, expected=len(expected), stored=len(expected))
    assert site.sql("SELECT COUNT(*) AS n FROM poller_output_boost")[0]["n"] == len(expected)
    assert site.sql("SELECT COUNT(*) AS n FROM poller_command")[0]["n"] == 6
    assert [site.device(id)["total_polls"] for id in range(1, 7)] == [1] * 6
    assert site.sql("SELECT SUM(assert_value = 'before') AS n FROM poller_reindex")[0]["n"] == 0


@pytest.mark.mariadb("MySQL's limit is for SELECT alone")
def test_a_time_limit_for_statements_ends_none_of_ours(site, server, snmpd, poller):
    """One that waits longer for a lock than the server gives to statements goes on waiting."""
    expected = seed(site, snmpd)
    server.sql("SET GLOBAL max_statement_time = 0.2")

    def waiting(at_least_ms):
        return site.sql("SELECT id FROM information_schema.processlist WHERE user = %s AND time_ms > %s AND "
                        "info LIKE 'INSERT INTO poller_output%%'", cacti.USER, at_least_ms)

    with contextlib.closing(server.connect(database=cacti.DATABASE)) as other:
        other.query("SET max_statement_time = 0")
        other.query("LOCK TABLES poller_output WRITE")
        with poller.start("-V", "3", first=0, last=99) as running:
            wait_until(lambda: waiting(1000), "a statement to wait for longer than the limit")
            other.query("UNLOCK TABLES")
            run = running.wait()
    assert run.status == 0, run
    assert_stored(site, expected)
    assert not run.log_lines("statements repeated"), run


@pytest.mark.parametrize("number", (1193, 1064, 1231, 1232))
def test_a_server_that_does_not_know_one_of_the_words_is_polled_nevertheless(
        site, server, snmpd, poller, work, number):
    """Unknown variable, syntax, a value that it does not take."""
    expected = seed(site, snmpd)
    with Breaker(server, work / "breaker") as breaker:
        poller.write_conf(poller.conf_text(DB_Host=breaker.path))
        breaker.on("max_statement_time", then=Error(number))
        run = poll(poller)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert breaker.count("^SET SESSION sql_mode=") == 2
