"""Rows by array binding and statements in MariaDB's own words: nothing is lost, and nothing is stored that plain statements
would not have stored, whatever fails in between. What both ways have in common is marked both_bulks in the other files.
"""

import threading

import pytest

from support.agent import mix63
from support.breaker import CUT_AFTER, CUT_BEFORE, HALF, MUTE, SWALLOW, SWALLOW_ANSWER, Breaker, Error
from support.checks import accounts, assert_accounted, assert_closed, assert_stored
from support.lab import wait_until
from support.snmpd import PLAYPEN

from conftest import SYSTEM_GROUP, real_value

pytestmark = [pytest.mark.mariadb("it has no array binding"), pytest.mark.mariadb_library("MySQL's has no array binding")]

OUTPUTS = "^INSERT INTO poller_output "
PREPARE = "^PREPARE INSERT INTO poller_output "
NOTE = "NOTE: the database has refused array binding"
OBJECT = ".1.3.6.1.4.1.99999.1"


def seed(site, snmpd, devices=4, items=20):
    """Healthy devices, at most 50 with at most 20 items each; returns what must be stored. 20 rows, which are never split,
    are enough for array binding."""
    added = site.add_devices([{"id": id, "hostname": "127.0.0.1", "snmp_port": snmpd.port}
                              for id in range(1, devices + 1)])
    wanted = [(d, n) for d in added for n in range(1, items + 1)]
    keys = site.add_items([{"device": d, "arg1": f"{PLAYPEN}.{d['id']}.{n}", "rrd_name": f"v{n}"} for d, n in wanted])
    return {key: str(real_value(d["id"], n)) for key, (d, n) in zip(keys, wanted)}


@pytest.fixture
def bulk():
    """Array binding, also where --bulk=off leaves it out of other tests."""
    return "auto"


@pytest.fixture
def breaker(server, work, poller):
    with Breaker(server, work / "breaker") as breaker:
        poller.write_conf(poller.conf_text(DB_Host=breaker.path))
        yield breaker


def poll(poller, *options, **how):
    return poller.run("-V", "3", *options, first=0, last=99, **how)


def assert_all_stored(site, run, expected):
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    assert_accounted(run, expected=len(expected), stored=len(expected))


# ---- which way ----

def test_rows_are_bound_to_a_statement_that_is_prepared_once(site, snmpd, breaker, poller):
    site.settings(boost_redirect="on", boost_rrd_update_enable="on")
    expected = seed(site, snmpd)
    run = poller.run("-V", "5", first=0, last=99)
    assert_all_stored(site, run, expected)
    for table in ("poller_output", "poller_output_boost"):
        assert breaker.count(f"^PREPARE INSERT INTO {table} ") == 1, breaker.seen
        assert breaker.count(f"^INSERT INTO {table} .* bytes]$") == breaker.count(f"^INSERT INTO {table} ") > 0
    assert breaker.count("^UPDATE host AS h ") and not breaker.count(r"^UPDATE \("), breaker.seen
    assert len(run.log_lines("DEBUG: results are stored by array binding")) == 1, run


def test_db_bulk_off_sends_what_every_server_understands(site, snmpd, breaker, poller):
    expected = seed(site, snmpd)
    poller.write_conf(poller.conf_text(DB_Host=breaker.path, DB_Bulk="off"))
    run = poller.run("-V", "5", first=0, last=99)
    assert_all_stored(site, run, expected)
    assert not breaker.count("PREPARE|bytes]$|FORCE INDEX|VALUES \\(.*STRAIGHT_JOIN"), breaker.seen
    assert len(run.log_lines("DEBUG: results are stored by multi-row statements: DB_Bulk is off")) == 1, run


def test_a_few_rows_are_not_worth_a_prepared_statement(site, snmpd, breaker, poller):
    expected = seed(site, snmpd, devices=1, items=5)
    assert_all_stored(site, poll(poller), expected)
    assert not breaker.count("PREPARE"), breaker.seen


@pytest.mark.parametrize("where,number", ((PREPARE, 1461), (PREPARE, 1295), (PREPARE, 1064), (OUTPUTS + ".* bytes]$", 1243),
                                          (OUTPUTS + ".* bytes]$", 1210), (OUTPUTS + ".* bytes]$", 4033)))
def test_rows_are_stored_as_text_where_array_binding_is_refused(site, snmpd, breaker, poller, where, number):
    """Too many prepared statements, one that cannot be prepared, nor understood by something in between; one that the server
    does not know, arguments that it does not like, a binary log in which it cannot be."""
    expected = seed(site, snmpd)
    breaker.on(where, then=Error(number))
    run = poll(poller)
    assert_all_stored(site, run, expected)
    assert breaker.count(where) == 1 and breaker.count(OUTPUTS + ".*[^]]$") >= 1, breaker.seen
    assert len(run.log_lines(NOTE)) == 1, run


def test_a_server_without_room_for_prepared_statements_gets_text(site, server, snmpd, poller):
    server.sql("SET GLOBAL max_prepared_stmt_count = 0")
    expected = seed(site, snmpd)
    run = poll(poller)
    assert_all_stored(site, run, expected)
    assert len(run.log_lines(NOTE)) == 1, run


@pytest.mark.parametrize("kind", ("host", "poller_reindex"))
def test_a_server_that_does_not_know_mariadb_s_words_gets_plain_ones(site, agents, breaker, poller, kind):
    """MariaDB before 10.3 has no list of values as a table."""
    expected = uptimes(site, agents, 20)
    breaker.on(f"^UPDATE {kind} AS . FORCE", then=Error(1064))
    run = poll(poller)
    assert_all_stored(site, run, expected)
    assert_followed(site, 20)
    assert breaker.count(f"^UPDATE {kind} AS . FORCE") == 1, breaker.seen
    assert len(run.log_lines(NOTE)) == 1, run


# ---- a row is refused ----

def refuse_values(site, *ids):
    site.sql("CREATE TRIGGER picky BEFORE INSERT ON poller_output FOR EACH ROW BEGIN "
             f"IF NEW.local_data_id IN ({','.join(map(str, ids))}) THEN "
             "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF; END")


@pytest.mark.both_bulks
@pytest.mark.parametrize("engine", ("MEMORY", "InnoDB"))
def test_a_refused_row_among_a_thousand_is_named_and_the_others_are_stored(site, snmpd, poller, engine):
    """A table in memory keeps the rows before it, another one loses them with the statement."""
    site.sql(f"ALTER TABLE poller_output ENGINE={engine}")
    expected = seed(site, snmpd, devices=50)
    bad = sorted(expected)[731]
    refuse_values(site, bad[0])
    run = poll(poller)
    assert run.status == 75, run
    assert len(run.log_lines(f"ERROR: the database refuses the value of DS[{bad[0]}] {bad[1]}: ")) == 1, run
    assert_accounted(run, expected=1000, stored=999, lost=1)
    del expected[bad]
    assert_stored(site, expected)
    assert not run.log_lines(NOTE), run


def test_array_binding_goes_on_behind_a_refused_row(site, snmpd, breaker, poller):
    """The rows of its statement go as text, those of later ones do not."""
    expected = seed(site, snmpd, devices=50)
    site.threads(1)
    site.sql("UPDATE host SET polling_time = 9 WHERE id = 1")  # the first one; a statement is due 250 ms after it
    bad = sorted(expected)[0]
    refuse_values(site, bad[0])
    breaker.latency = 0.05
    run = poll(poller)
    assert run.status == 75 and accounts(run)[3] == 1, run
    text = [n for n, sql in enumerate(breaker.seen) if sql.startswith("INSERT INTO poller_output ") and sql[-1] != "]"]
    bound = [n for n, sql in enumerate(breaker.seen) if sql.startswith("INSERT INTO poller_output ") and sql[-1] == "]"]
    assert min(bound) < min(text) < max(text), breaker.seen
    assert breaker.count(PREPARE) <= 2, breaker.seen


# ---- the connection ----

@pytest.mark.parametrize("action", (CUT_BEFORE, CUT_AFTER, SWALLOW, SWALLOW_ANSWER))
def test_a_connection_lost_while_preparing_costs_nothing(site, snmpd, breaker, poller, action):
    """The statement is prepared again on the next connection."""
    site.settings(poller_interval=20)
    expected = seed(site, snmpd)
    breaker.on(PREPARE, action)
    run = poll(poller)
    assert_all_stored(site, run, expected)
    assert breaker.count(PREPARE) == 2 and breaker.count(OUTPUTS) >= 1, breaker.seen
    assert len(run.log_lines("WARNING: lost the connection to the database: ")) == 1, run


@pytest.mark.parametrize("action", (CUT_BEFORE, CUT_AFTER))
def test_rows_go_as_text_where_array_binding_ends_the_connection_each_time(site, snmpd, breaker, poller, action):
    """As something in between does that does not know the command, or a server that crashes on it."""
    expected = seed(site, snmpd)
    breaker.on(OUTPUTS + ".* bytes]$", then=action)
    run = poll(poller)
    assert_all_stored(site, run, expected)
    assert breaker.count(OUTPUTS + ".* bytes]$") == 2 and len(run.log_lines(NOTE)) == 1, breaker.seen


@pytest.mark.parametrize("action", (MUTE, HALF))
@pytest.mark.parametrize("where", (PREPARE, OUTPUTS), ids=("preparing", "rows"))
def test_a_database_that_falls_silent_is_not_waited_for_behind_the_end(site, snmpd, breaker, poller, where, action):
    site.settings(poller_interval=10)
    expected = seed(site, snmpd)
    breaker.on(where, action)
    run = poll(poller)
    assert run.status == 75, run
    assert_accounted(run, expected=len(expected), stored=0, lost=len(expected))


@pytest.mark.parametrize("engine", ("MEMORY", "InnoDB"))
def test_a_connection_killed_in_the_middle_of_the_rows_costs_nothing(site, server, snmpd, poller, engine):
    """A table in memory has the first rows then, and gets them again."""
    site.sql(f"ALTER TABLE poller_output ENGINE={engine}")
    expected = seed(site, snmpd, devices=50)
    middle = sorted(expected)[700][0]
    site.sql("CREATE TABLE gate (shut INT) ENGINE=MyISAM")
    site.sql("INSERT INTO gate VALUES (1)")
    site.sql("CREATE TRIGGER slow BEFORE INSERT ON poller_output FOR EACH ROW BEGIN "
             f"IF NEW.local_data_id = {middle} AND (SELECT COUNT(*) FROM gate) > 0 THEN DO SLEEP(60); END IF; END")
    with poller.start("-V", "3", first=0, last=99) as running:
        inside = wait_until(lambda: site.sql("SELECT id FROM information_schema.processlist "
                                             "WHERE state = 'User sleep'"), "the server to be among the rows")
        before = site.sql("SELECT COUNT(*) AS n FROM poller_output")[0]["n"] if engine == "InnoDB" else None
        other = threading.Thread(target=site.sql, args=("DELETE FROM gate",), daemon=True)
        server.sql(f"KILL {inside[0]['id']}")
        other.start()
        other.join()
        run = running.wait()
    assert before in (None, 0)
    assert_all_stored(site, run, expected)
    assert len(run.log_lines("WARNING: lost the connection to the database: ")) >= 1, run


# ---- sizes ----

def test_rows_in_a_packet_of_1_mb_are_bounded_in_bytes(site, server, agents, breaker, poller):
    """1.5 MB of values, and half a packet a statement."""
    long = "text:" + "0" * 499 + "1"
    farm = agents(SYSTEM_GROUP + f'object {OBJECT}.{{1-3000}} string "{long}"\nagent 127.2.0.1\n')
    device = site.add_device(1, hostname="127.2.0.1", port=farm.port, max_oids=100)
    keys = site.add_items([{"device": device, "arg1": f"{OBJECT}.{n}", "rrd_name": "x"} for n in range(1, 3001)])
    server.sql("SET GLOBAL max_allowed_packet = 1048576")
    run = poll(poller)
    assert_all_stored(site, run, dict.fromkeys(keys, long))
    sizes = [int(sql.rsplit("[")[-1].split()[0]) for sql in breaker.seen if sql.endswith(" bytes]")]
    assert len(sizes) >= 3 and max(sizes) <= 1048576 // 2, sizes
    assert max(sizes) > 1048576 // 4, sizes


def test_rows_that_are_too_many_for_something_in_between_are_split(site, snmpd, breaker, poller):
    """About 35 rows are what it takes; text is not needed for it."""
    expected = seed(site, snmpd, devices=50)
    breaker.on(OUTPUTS + r".*\[\d{4,} bytes\]$", then=Error(1153))
    run = poll(poller)
    assert_all_stored(site, run, expected)
    assert not run.log_lines(NOTE) and breaker.count(OUTPUTS + ".* bytes]$") > 4, breaker.seen


# ---- devices and assertions ----

def uptimes(site, agents, count):
    """Devices with an item and, for three data queries, a look at the uptime that the agent is always ahead of; with each
    another row that differs only in the case of its object's name, one of another data query and one of another device."""
    farm = agents(SYSTEM_GROUP.replace("@uptime", "5000") + f"object {OBJECT}.1 counter64 @mix\n"
                  f"agent 127.3.0.1-127.3.0.{count}\n")
    devices = site.add_devices([{"id": n, "hostname": f"127.3.0.{n}", "snmp_port": farm.port, "snmp_timeout": 500,
                                 "status_rec_date": "2020-01-01 00:00:00"} for n in range(1, count + 1)])
    keys = site.add_items([{"device": d, "arg1": f"{OBJECT}.1", "rrd_name": "x"} for d in devices])
    for d in devices:
        for query in (1, 2, 70000):
            site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, present, op, assert_value, arg1) "
                     "VALUES (%s, %s, 0, 1, '<', '10', '.1.3.6.1.2.1.1.3.0'), (%s, %s, 0, 1, '=', 'simulated', "
                     "'.1.3.6.1.2.1.1.1.0'), (%s, %s, 0, 1, '<', '7', '.1.3.6.1.2.1.1.3.0')",
                     d["id"], query, d["id"], query, 1000 + d["id"], query)
    return {key: str(mix63(d["hostname"], f"{OBJECT}.1")) for key, d in zip(keys, devices)}


def assert_followed(site, count):
    """Each device's uptime is the one that was read; nothing else has changed, and no row is new."""
    rows = site.sql("SELECT host_id, data_query_id, arg1, assert_value FROM poller_reindex")
    assert len(rows) == count * 9
    for row in rows:
        uptime = row["arg1"].endswith(".3.0")
        right = "7" if row["host_id"] > 1000 else "5000" if uptime else "simulated"
        assert row["assert_value"] == right, row
    assert not site.sql("SELECT * FROM poller_command")


@pytest.mark.both_bulks
@pytest.mark.parametrize("charset", ("utf8mb4 COLLATE utf8mb4_unicode_ci", "latin1 COLLATE latin1_swedish_ci"))
def test_assertions_and_status_of_many_devices_change_what_they_name(site, agents, poller, charset):
    """A column of Cacti's, and one of a site that is older."""
    site.sql(f"ALTER TABLE poller_reindex MODIFY arg1 VARCHAR(255) CHARACTER SET {charset} NOT NULL DEFAULT ''")
    expected = uptimes(site, agents, 40)
    site.sql("UPDATE host SET polling_time = 9")
    before = {id: site.device(id) for id in range(1, 41)}
    run = poll(poller, "--mibs")
    assert_all_stored(site, run, expected)
    assert_followed(site, 40)
    for id in range(1, 41):
        device = site.device(id)
        assert (device["status"], device["total_polls"]) == (3, before[id]["total_polls"] + 1)
        assert device["snmp_sysDescr"] == "simulated" and device["polling_time"] < 9
        assert device["status_rec_date"] == before[id]["status_rec_date"]


@pytest.mark.both_bulks
def test_an_object_s_name_is_compared_byte_by_byte(site, agents, poller):
    """The column would take upper for lower case."""
    expected = uptimes(site, agents, 3)
    site.sql("ALTER TABLE poller_reindex DROP PRIMARY KEY, ADD PRIMARY KEY (host_id, data_query_id, arg1, op)")
    site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, present, op, assert_value, arg1) "
             "SELECT host_id, data_query_id, 0, 1, '', 'kept', CONCAT(arg1, ' ') FROM poller_reindex "
             "WHERE arg1 LIKE '%%.3.0' AND host_id < 1000")
    assert_all_stored(site, poll(poller), expected)
    values = site.sql("SELECT assert_value, arg1 LIKE '%% ' AS other, COUNT(*) AS n FROM poller_reindex "
                      "WHERE host_id < 1000 AND arg1 LIKE '%%.3.0%%' GROUP BY 1, 2 ORDER BY 2")
    assert [(r["assert_value"], r["n"]) for r in values] == [("5000", 9), ("kept", 9)]
