"""The database under fire: it is killed, restarted, stalled, locked, full, read-only, slow, or the network in between
breaks. Every row that devices gave is stored or counted as lost, and the run's own figures say so.

A database that is not there at all at the start is in test_bad_input.py, TLS in test_database_tls.py.
"""

import contextlib
import ipaddress
import os
import signal
import threading
import time

import pymysql
import pytest

from support import cacti
from support.agent import mix63
from support.breaker import CUT_AFTER, CUT_BEFORE, RESET, SWALLOW, SWALLOW_ANSWER, Breaker, Delay, Error, Throttle
from support.checks import accounts, assert_accounted, assert_closed, assert_stored
from support.killloop import kill_database
from support.lab import SilentDevice, wait_until
from support.snmpd import PLAYPEN

from conftest import SYSTEM_GROUP, held_device, real_value

ITEMS = 5
OUTPUTS = "^INSERT INTO poller_output "


def seed(site, snmpd, devices=range(1, 7)):
    """Healthy devices with ITEMS items each; returns what must be stored."""
    added = site.add_devices([{"id": id, "hostname": "127.0.0.1", "snmp_port": snmpd.port} for id in devices])
    wanted = [(d, n) for d in added for n in range(1, ITEMS + 1)]
    keys = site.add_items([{"device": d, "arg1": f"{PLAYPEN}.{d['id']}.{n}", "rrd_name": f"v{n}"} for d, n in wanted])
    return {key: str(real_value(d["id"], n)) for key, (d, n) in zip(keys, wanted)}


@contextlib.contextmanager
def silent_device(site, requests, timeout, last=False):
    """Device 99, first or last in the queue and without items: it is asked `requests` times, `timeout` ms apart."""
    with SilentDevice() as device:
        site.settings(snmp_retries=requests - 1)
        site.add_device(99, port=device.port, snmp_timeout=timeout, polling_time=0 if last else 9)
        if last:
            site.sql("UPDATE host SET polling_time = 1 WHERE id < 99")
        yield device


@pytest.fixture
def breaker(server, work, poller):
    """Stands between the poller and the database."""
    with Breaker(server, work / "breaker") as breaker:
        poller.write_conf(poller.conf_text(DB_Host=breaker.path))
        yield breaker


def poll(poller, **how):
    return poller.run("-V", "3", first=0, last=99, **how)


def assert_all_stored(site, run, expected):
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    assert_accounted(run, expected=len(expected), stored=len(expected))


def assert_lost(site, run, expected, cause):
    """Ended with 75 in time; the figures agree with the table, and a line names the cause."""
    stored = site.take_outputs()
    assert run.status == 75, run
    assert all(stored[key] == [expected[key]] for key in stored)
    assert_accounted(run, expected=len(expected), stored=len(stored), lost=len(expected) - len(stored))
    assert run.log_lines(cause), run


@contextlib.contextmanager
def meanwhile(function):
    """Calls function(ended) on a thread of its own, which returns soon after `ended` is set."""
    ended, failures = threading.Event(), []

    def guarded():
        try:
            function(ended)
        except Exception as e:  # told to the test below
            failures.append(e)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if failures:
        raise failures[0]


# ---- the server goes away ----

def durable(site):
    """Cacti's own table of results is in memory alone, and empty after a restart whatever a poller does. What was
    acknowledged survives the end of the server."""
    site.sql("ALTER TABLE poller_output ENGINE=InnoDB")
    site.server.make_durable()


def test_a_database_that_comes_up_after_the_poller_is_waited_for(site, server, snmpd, breaker, poller):
    """Tried again for 5 s at the start. What the poller reaches until then is a proxy without a server behind it."""
    expected = seed(site, snmpd)
    away = server.socket.rename(server.socket.with_suffix(".away"))
    with poller.start("-V", "3", first=0, last=99) as running:
        wait_until(lambda: breaker.connections > 1, "the poller to try again")
        away.rename(server.socket)
        run = running.wait()
    assert_all_stored(site, run, expected)


def test_a_killed_database_that_stays_away_costs_what_is_counted(site, server, snmpd, poller):
    """The run ends in time, says what is lost and why, and ends with 75."""
    durable(site)
    site.settings(poller_interval=10)
    expected = seed(site, snmpd)
    with held_device(site) as held:
        site.threads(1)
        with poller.start("-V", "3", first=0, last=99) as running:
            held.wait_for_request()
            site.wait_for_open_cycle()
            server.kill()
            held.let_go()
            run = running.wait()
    server.start()
    assert_lost(site, run, expected, "ERROR: 30 rows could not be stored: ")
    assert len(run.log_lines("ERROR: the poller_time row could not be closed: ")) == 1, run


def test_a_signal_ends_the_poller_while_it_waits_for_a_database_that_is_away(site, server, snmpd, breaker, poller):
    """The rest of a 300 s interval is not waited for; what is lost is counted."""
    server.make_durable()
    seed(site, snmpd)
    breaker.on(OUTPUTS, then=CUT_BEFORE)
    with poller.start("-V", "3", first=0, last=99) as running:
        wait_until(lambda: breaker.count(OUTPUTS), "the rows to be on their way")
        server.kill()
        running.signal(signal.SIGTERM)
        run = running.wait()
    assert run.status == -signal.SIGTERM, run
    assert_accounted(run, expected=30, stored=0, lost=30)
    assert len(run.log_lines("ERROR: the poller_time row could not be closed: ")) == 1, run


def test_connections_that_the_server_closes_for_idleness_are_not_noticed(site, snmpd, poller):
    """wait_timeout of 1 s."""
    site.sql("SET GLOBAL wait_timeout = 1")
    expected = seed(site, snmpd)
    with silent_device(site, requests=2, timeout=1500):
        site.threads(1)
        run = poll(poller)
    assert_all_stored(site, run, expected)
    assert run.log_lines("NOTE: connected to the database again"), run


def test_a_restart_of_the_database_in_mid_cycle_is_not_noticed(site, server, snmpd, poller):
    durable(site)
    expected = seed(site, snmpd)
    with held_device(site) as held:
        site.threads(1)
        with poller.start("-V", "3", first=0, last=99) as running:
            held.wait_for_request()
            site.wait_for_open_cycle()
            server.restart()
            held.let_go()
            run = running.wait()
    assert_all_stored(site, run, expected)


KILL_DEVICES = 500


@pytest.fixture
def five_hundred(site, agents):
    """500 simulated devices that take about 2 s; returns what must be stored."""
    first, object = ipaddress.IPv4Address("127.1.0.1"), ".1.3.6.1.4.1.99999.1"
    site.threads(10)
    farm = agents(SYSTEM_GROUP + f"object {object}.{{1-{ITEMS}}} counter64 @mix\n"
                  f"agent {first}-{first + KILL_DEVICES - 1} delay=20\n")
    devices = site.add_devices([{"id": n, "hostname": str(first + n - 1), "snmp_port": farm.port}
                                for n in range(1, KILL_DEVICES + 1)])
    wanted = [(d["hostname"], f"{object}.{n}", d) for d in devices for n in range(1, ITEMS + 1)]
    keys = site.add_items([{"device": d, "arg1": oid, "rrd_name": "x"} for _, oid, d in wanted])
    return {key: str(mix63(address, oid)) for key, (address, oid, _) in zip(keys, wanted)}


def test_a_database_killed_at_any_moment_and_back_after_3_s_costs_nothing(site, five_hundred, poller):
    """`make check-kill-db KILL_DB_COUNT=50` kills it at 50 moments on each path."""
    durable(site)
    kill_database(site, [poller], five_hundred, int(os.environ.get("KILL_DB_COUNT") or 1), KILL_DEVICES,
                  os.environ.get("KILL_DB_SEED"))


def test_a_cycle_that_a_crashed_server_has_forgotten_is_closed_nevertheless(site, snmpd, poller):
    """Without a closed row poller.php would wait for the whole interval."""
    expected = seed(site, snmpd)
    with held_device(site) as held:
        site.threads(1)
        with poller.start("-V", "3", first=0, last=99) as running:
            held.wait_for_request()
            site.wait_for_open_cycle()
            site.sql("DELETE FROM poller_time")
            for client in site.sql("SELECT id FROM information_schema.processlist WHERE user = %s", cacti.USER):
                site.sql(f"KILL {client['id']}")
            held.let_go()
            run = running.wait()
    assert_all_stored(site, run, expected)
    assert site.cycles()[0]["pid"] == running.pid


@pytest.mark.parametrize("forgotten", (False, True), ids=("", "crashed"))
def test_a_cycle_closes_its_own_row_and_leaves_that_of_another_cycle_of_its_process(site, snmpd, poller, forgotten):
    """The other row is as a second cycle of the same process would have made it, and still at work; a server that has
    crashed meanwhile has forgotten the first one alone."""
    expected = seed(site, snmpd)
    with held_device(site) as held:
        site.threads(1)
        with poller.start("-V", "3", first=0, last=99) as running:
            held.wait_for_request()
            own = site.wait_for_open_cycle()
            site.sql("INSERT INTO poller_time (poller_id, pid, start_time, end_time) VALUES (1, %s, NOW(), 0)", running.pid)
            if forgotten:
                site.sql("DELETE FROM poller_time WHERE id = %s", own["id"])
                for client in site.sql("SELECT id FROM information_schema.processlist WHERE user = %s", cacti.USER):
                    site.sql(f"KILL {client['id']}")
            held.let_go()
            run = running.wait()
    assert run.status == 0, run
    assert_stored(site, expected)
    rows = sorted((c["id"], c["end_time"] is not None) for c in site.cycles())
    other = own["id"] + 1
    assert rows == ([(other, False), (other + 1, True)] if forgotten else [(own["id"], True), (other, False)])


@pytest.mark.both_bulks
# ---- the network between ----

@pytest.mark.parametrize("action", (SWALLOW, SWALLOW_ANSWER), ids=("statement", "answer"))
def test_a_stalled_network_is_left_for_a_new_connection_and_the_rows_are_sent_once_more(
        site, snmpd, breaker, poller, action):
    """A statement has a tenth of the interval (at least 2 s) to be answered."""
    site.settings(poller_interval=20)
    expected = seed(site, snmpd)
    breaker.on(OUTPUTS, action)
    run = poll(poller)
    assert_all_stored(site, run, expected)
    assert breaker.count(OUTPUTS) == 2
    assert len(run.log_lines("WARNING: lost the connection to the database: ")) == 1, run


@pytest.mark.both_bulks
@pytest.mark.parametrize("action", (CUT_BEFORE, CUT_AFTER), ids=("before", "after"))
def test_a_connection_cut_at_every_kind_of_statement_loses_nothing_and_stores_nothing_twice(
        site, snmpd, breaker, poller, action):
    """Whether the server has carried out the statement is not known."""
    site.settings(boost_redirect="on", boost_rrd_update_enable="on", active_profiles="2")
    expected = seed(site, snmpd)
    kinds = ["SELECT CONVERT.name", "INSERT INTO poller_time", "SELECT .* FROM host WHERE", "FROM poller_item",
             "FROM poller_reindex", OUTPUTS, "^INSERT INTO poller_output_boost ", "^UPDATE (.* )?host ",
             "^UPDATE poller_item ", "settings .name,value.", "UPDATE poller_time"]
    for kind in kinds:
        breaker.on(kind, action)
    run = poll(poller)
    assert_all_stored(site, run, expected)
    met = [kind for kind in kinds if breaker.count(kind) >= 2]
    assert met == kinds
    assert site.sql("SELECT COUNT(*) AS n FROM poller_output_boost")[0]["n"] == len(expected)
    for id in range(1, 7):
        assert (site.device(id)["total_polls"], site.device(id)["status"]) == (1, 3)


def test_a_reset_connection_loses_nothing(site, server, snmpd, poller, work):
    """Over TCP."""
    server.account(f"{cacti.USER}@127.0.0.1", cacti.PASSWORD)
    server.remember(cacti.USER, cacti.PASSWORD)
    expected = seed(site, snmpd)
    with Breaker(server, work / "breaker", tcp=True) as breaker:
        breaker.on(OUTPUTS, RESET)
        breaker.on("^UPDATE (.* )?host ", RESET)
        poller.write_conf(poller.conf_text(DB_Host="127.0.0.1", DB_Port=breaker.port))
        run = poll(poller)
    assert_all_stored(site, run, expected)
    assert breaker.count(OUTPUTS) == 2


def test_answers_that_come_in_drops_are_read(site, snmpd, breaker, poller):
    """What the server says about the devices and items arrives 100 bytes at a time."""
    expected = seed(site, snmpd)
    breaker.on("FROM host WHERE", Throttle(100, 0.002))
    breaker.on("FROM poller_item", Throttle(100, 0.002))
    run = poll(poller)
    assert_all_stored(site, run, expected)


def test_a_slow_query_is_waited_for(site, snmpd, breaker, poller):
    expected = seed(site, snmpd)
    breaker.on("SELECT CONVERT.name", Delay(0.5))
    breaker.on("SELECT id,deleted,status FROM host", Delay(0.5))
    run = poll(poller)
    assert_all_stored(site, run, expected)
    assert breaker.count("SELECT id,deleted,status FROM host") == 1


def test_a_query_that_is_never_answered_does_not_outlast_the_interval(site, snmpd, breaker, poller):
    """Asked again on new connections until the time for it is over; the row is closed."""
    site.settings(poller_interval=10)
    seed(site, snmpd)
    breaker.on("FROM host WHERE", then=SWALLOW)
    run = poll(poller)
    assert run.status == 69, run
    assert breaker.count("FROM host WHERE") > 1
    assert run.log_lines("FATAL: cannot read the devices: ") and not site.outputs(), run
    assert_closed(site, run)


def test_a_far_database_is_told_in_few_statements(site, snmpd, breaker, poller):
    """With 100 ms per round trip the number of batches, not of rows, sets the time."""
    expected = seed(site, snmpd, devices=range(1, 51))
    breaker.latency = 0.1
    run = poll(poller)
    assert_all_stored(site, run, expected)
    assert len(breaker.seen) < 40, breaker.seen


@pytest.mark.both_bulks
# ---- the server is there, but ----

@pytest.mark.parametrize("number", (1213, 1205, 1020, 1047, 1053, 1927, 1040, 1290))
def test_a_statement_refused_for_the_moment_is_repeated(site, snmpd, breaker, poller, number):
    """Deadlock, lock wait, record changed; a node without quorum, a server that shuts
    down, a killed connection; too many connections, read-only."""
    expected = seed(site, snmpd)
    breaker.on(OUTPUTS, Error(number), Error(number), Error(number))
    breaker.on("^UPDATE (.* )?host ", Error(number))
    breaker.on("INSERT INTO poller_time", Error(number))
    run = poll(poller)
    assert_all_stored(site, run, expected)
    assert run.log_lines("statements repeated"), run
    assert site.device(1)["total_polls"] == 1


def test_a_storm_of_conflicting_updates_loses_nothing(site, server, snmpd, poller):
    """Another client updates the same devices in the other order, again and again."""
    expected = seed(site, snmpd)

    def storm(ended):
        with contextlib.closing(server.connect(database=cacti.DATABASE)) as connection:
            connection.autocommit(False)
            while not ended.is_set():
                with contextlib.suppress(pymysql.err.OperationalError), connection.cursor() as cursor:
                    for id in range(6, 0, -1):
                        cursor.execute("UPDATE host SET notes = CONCAT('at ', RAND()) WHERE id = %s", id)
                connection.commit()

    with meanwhile(storm):
        for _ in range(3):
            run = poll(poller)
            assert run.status == 0, run
            assert_stored(site, expected)
            assert_accounted(run, expected=len(expected), stored=len(expected))
            site.take_outputs()
    assert [site.device(id)["total_polls"] for id in range(1, 7)] == [3] * 6


def test_polling_goes_on_while_the_table_of_results_is_locked(site, server, snmpd, poller):
    """The last device is asked while no row can be stored, and then all of them are."""
    expected = seed(site, snmpd)
    with silent_device(site, requests=2, timeout=100, last=True) as silent, \
            contextlib.closing(server.connect(database=cacti.DATABASE)) as other:
        site.threads(1)
        other.query("LOCK TABLES poller_output WRITE")
        with poller.start("-V", "3", first=0, last=99) as running:
            silent.wait_for_request()
            assert not other.query("SELECT * FROM poller_output")
            wait_until(lambda: site.sql("SELECT id FROM information_schema.processlist WHERE user = %s AND "
                                        "state LIKE 'Waiting%%'", cacti.USER), "the poller to wait for the lock")
            other.query("UNLOCK TABLES")
            run = running.wait()
    assert_all_stored(site, run, expected)


def test_steps_that_wait_for_a_lock_longer_than_for_an_answer_advance_once(site, server, snmpd, breaker, poller):
    """A statement that is given up while it waits would be carried out later, beside its repetition."""
    site.settings(poller_interval=30, active_profiles=2)
    device = site.add_device(1, port=snmpd.port)
    site.add_items([{"device": device, "arg1": f"{PLAYPEN}.1.1", "rrd_name": "x", "rrd_step": 3600}])
    with contextlib.closing(server.connect(database=cacti.DATABASE)) as other:
        other.query("BEGIN")
        other.query("SELECT * FROM poller_item FOR UPDATE")
        with poller.start("-V", "3", first=0, last=99) as running:
            wait_until(lambda: breaker.count("^UPDATE poller_item ") > 1, "the statement to be repeated")
            other.query("ROLLBACK")
            run = running.wait()
    assert run.status == 0, run
    assert site.sql("SELECT rrd_next_step AS step FROM poller_item") == [{"step": 3570}]


def test_the_table_of_results_may_be_renamed_away_for_a_moment(site, snmpd, breaker, poller):
    """As Cacti does when it creates it again; it is missing until the poller has missed it twice."""
    expected = seed(site, snmpd)
    site.sql("RENAME TABLE poller_output TO poller_output_away")
    with poller.start("-V", "3", first=0, last=99) as running:
        wait_until(lambda: breaker.count(f"({OUTPUTS}|^PREPARE )") == 3, "the poller to miss the table")
        site.sql("RENAME TABLE poller_output_away TO poller_output")
        run = running.wait()
    assert_all_stored(site, run, expected)


def full_after(site, rows):
    """The table of results takes about `rows` rows more."""
    site.sql("SET GLOBAL max_heap_table_size = 16384")
    site.server.admin.query("SET max_heap_table_size = 16384")
    site.sql("ALTER TABLE poller_output MAX_ROWS = %s", rows)


@pytest.mark.both_bulks
def test_a_full_table_is_filled_as_cacti_empties_it(site, snmpd, poller):
    full_after(site, 10)
    expected = seed(site, snmpd, devices=range(1, 31))
    taken = {}

    def empty(ended):
        with contextlib.closing(site.server.connect(database=cacti.DATABASE)) as connection:
            while True:
                last = ended.is_set()
                with connection.cursor() as cursor:
                    cursor.execute("SELECT local_data_id, rrd_name, output FROM poller_output")
                    for row in cursor.fetchall():
                        taken[row["local_data_id"], row["rrd_name"]] = row["output"]
                        cursor.execute("DELETE FROM poller_output WHERE local_data_id = %s", row["local_data_id"])
                if last:
                    return
                ended.wait(0.05)

    with meanwhile(empty):
        run = poll(poller)
    assert run.status == 0, run
    assert taken == expected
    assert_closed(site, run)
    assert_accounted(run, expected=len(expected), stored=len(expected))


def test_a_table_that_stays_full_costs_what_is_counted(site, snmpd, poller):
    """The first rows of a statement for which there is not enough room stay in a table in memory, but the
    server has refused the statement: they count as lost."""
    full_after(site, 10)
    site.settings(poller_interval=10)
    expected = seed(site, snmpd, devices=range(1, 31))
    run = poll(poller)
    assert run.status == 75, run
    assert_closed(site, run)
    stored = site.take_outputs()
    assert stored and all(stored[key] == [expected[key]] for key in stored)
    total, said, spooled, lost = accounts(run)
    assert (total, spooled) == (len(expected), 0) and said <= len(stored) and said + lost == total
    assert run.log_lines("The table 'poller_output' is full"), run


def test_one_connection_is_enough(site, server, snmpd, poller):
    """MAX_USER_CONNECTIONS 1."""
    server.sql(f"ALTER USER {cacti.USER}@localhost WITH MAX_USER_CONNECTIONS 1")
    expected = seed(site, snmpd)
    run = poll(poller)
    assert_all_stored(site, run, expected)


def test_a_server_without_a_free_connection_is_tried_again(site, server, snmpd, poller):
    server.sql(f"ALTER USER {cacti.USER}@localhost WITH MAX_USER_CONNECTIONS 1")
    expected = seed(site, snmpd)

    def refused():
        return int(server.sql("SHOW GLOBAL STATUS LIKE 'Aborted_connects'")[0]["Value"])

    before = refused()
    with contextlib.closing(server.connect(cacti.USER, cacti.PASSWORD)):
        running = poller.start("-V", "3", first=0, last=99)
        wait_until(lambda: refused() > before, "the poller to be refused")
    with running:
        run = running.wait()
    assert_all_stored(site, run, expected)


LONG = "text:" + "0" * 399 + "1"


@pytest.mark.both_bulks
def test_a_server_that_takes_only_small_packets_gets_small_statements(site, server, agents, poller):
    """max_allowed_packet of 16 kB, and 40 kB of values."""
    farm = agents(SYSTEM_GROUP + f'object .1.3.6.1.4.1.99999.{{1-100}} string "{LONG}"\nagent 127.2.0.1\n')
    device = site.add_device(1, hostname="127.2.0.1", port=farm.port)
    keys = site.add_items([{"device": device, "arg1": f".1.3.6.1.4.1.99999.{n}", "rrd_name": "x"}
                           for n in range(1, 101)])
    server.sql("SET GLOBAL max_allowed_packet = 16384")
    run = poll(poller)
    assert_all_stored(site, run, dict.fromkeys(keys, LONG))


@pytest.mark.both_bulks
def test_a_statement_that_is_too_large_for_something_in_between_is_split(site, snmpd, breaker, poller):
    """30 rows are too many, and 15, but not 7. (2020 is the client library's own number for it, see test_dberror: sent by a
    server, the library makes 2000 of it.)"""
    expected = seed(site, snmpd)
    breaker.on(r"^INSERT INTO poller_output .*(\),\(.*){14}", then=Error(1153))
    run = poll(poller)
    assert_all_stored(site, run, expected)


def test_a_server_that_is_read_only_for_a_moment_is_waited_for(site, server, snmpd, breaker, poller):
    """As during a fail-over."""
    expected = seed(site, snmpd)
    site.sql("SET GLOBAL read_only = 1")
    site.sql("ALTER TABLE poller_output ENGINE=InnoDB")
    with poller.start("-V", "3", first=0, last=99) as running:
        wait_until(lambda: breaker.count("INSERT INTO poller_time") > 2, "the poller to try again")
        site.sql("SET GLOBAL read_only = 0")
        run = running.wait()
    assert_all_stored(site, run, expected)


def test_a_server_that_becomes_and_stays_read_only_costs_what_is_counted(site, snmpd, poller):
    """Tried until the time is over, then 75."""
    site.settings(poller_interval=10)
    expected = seed(site, snmpd)
    with held_device(site) as held:
        site.threads(1)
        with poller.start("-V", "3", first=0, last=99) as running:
            held.wait_for_request()
            site.wait_for_open_cycle()
            site.sql("SET GLOBAL read_only = 1")
            held.let_go()
            run = running.wait()
    site.sql("SET GLOBAL read_only = 0")
    assert_lost(site, run, expected, "read-only option")


# ---- what is in the database ----

def test_garbage_in_the_tables_costs_only_its_own_items(site, server, snmpd, poller):
    """No object, one of 70,000 characters, one that is not text, ports that do not exist, values below
    zero where there cannot be any."""
    expected = seed(site, snmpd, devices=(1, 2))
    device = {"id": 2, "poller_id": 1, "hostname": "127.0.0.1", "snmp_port": snmpd.port, "snmp_community": "public",
              "snmp_version": 2, "snmp_timeout": 100}
    site.sql("ALTER TABLE poller_item MODIFY arg1 MEDIUMBLOB NULL, MODIFY snmp_port INT, MODIFY snmp_timeout INT, "
             "MODIFY action INT, MODIFY rrd_num INT")
    site.sql("ALTER TABLE host MODIFY max_oids INT, MODIFY device_threads INT, MODIFY ping_port INT")
    garbage = [{"arg1": None}, {"arg1": b".1.3" * 17500}, {"arg1": b"\xff\xfe\x80"}, {"arg1": b""},
               {"arg1": b".1.3.6.1", "snmp_port": -1}, {"arg1": b".1.3.6.1", "snmp_port": 70000},
               {"arg1": b".1.3.6.1", "hostname": ""}, {"arg1": b".1.3.6.1", "snmp_version": 9}]
    keys = site.add_items([{"device": device, "rrd_name": "bad", **columns} for columns in garbage])
    site.sql("UPDATE host SET max_oids = -5, device_threads = -1, ping_port = -1 WHERE id = 2")
    site.sql("UPDATE poller_item SET snmp_timeout = -7 WHERE host_id = 1")
    run = poll(poller)
    assert_all_stored(site, run, expected | dict.fromkeys(keys, "U"))


def test_devices_that_change_and_vanish_while_they_are_polled_are_not_created_again(site, server, snmpd, poller):
    """Deleted, disabled and given to another poller in mid-cycle, again and again."""
    expected = seed(site, snmpd, devices=range(1, 21))
    rows = site.sql("SELECT * FROM host")

    def change(ended):
        with contextlib.closing(server.connect(database=cacti.DATABASE)) as connection, connection.cursor() as cursor:
            while not ended.is_set():
                cursor.execute("DELETE FROM host WHERE id BETWEEN 11 AND 15")
                cursor.execute("UPDATE host SET poller_id = 2 WHERE id BETWEEN 16 AND 20")
                cursor.execute("DELETE FROM poller_item WHERE host_id = 12")

    with held_device(site) as held:
        site.threads(1)
        with poller.start("-V", "3", first=0, last=99) as running:
            held.wait_for_request()
            site.wait_for_open_cycle()
            with meanwhile(change):
                held.let_go()
                run = running.wait()
    assert run.status == 0, run
    assert_stored(site, expected)
    left = {r["id"] for r in site.sql("SELECT id FROM host")}
    assert left == ({r["id"] for r in rows} - set(range(11, 16))) | {99}


def refuse_values(site, *ids):
    """The table of results refuses rows of these data sources, by a trigger."""
    site.sql("CREATE TRIGGER picky BEFORE INSERT ON poller_output FOR EACH ROW BEGIN "
             f"IF NEW.local_data_id IN ({','.join(map(str, ids))}) THEN "
             "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF; END")


@pytest.mark.both_bulks
def test_a_row_that_the_database_refuses_goes_alone(site, snmpd, poller):
    """The other 28 of the same statement are stored; each refused one is named and counted."""
    expected = seed(site, snmpd)
    bad = sorted(expected)[7], sorted(expected)[20]
    refuse_values(site, *(key[0] for key in bad))
    run = poll(poller)
    assert_closed(site, run)
    assert_lost(site, run, expected, "not this one")
    for local_data_id, name in bad:
        assert len(run.log_lines(f"ERROR: the database refuses the value of DS[{local_data_id}] {name}: ")) == 1, run
    assert accounts(run)[3] == 2


# ---- time ----

@pytest.mark.parametrize("shift", ("SET timestamp = UNIX_TIMESTAMP() + 3600", "SET timestamp = UNIX_TIMESTAMP() - 3600",
                                   "SET time_zone = '+11:00'"), ids=("ahead", "behind", "elsewhere"))
def test_results_carry_the_poller_s_time_whatever_the_database_s_clock_says(site, server, snmpd, poller, shift):
    """The time of a result is the moment of polling by the poller's clock; the row in poller_time is
    the database's own, begin and end by the same clock."""
    expected = seed(site, snmpd)
    site.sql("UPDATE host SET polling_time = 9999")
    server.sql("SET GLOBAL init_connect = %s", shift)
    before = int(time.time())
    run = poll(poller)
    server.sql("SET GLOBAL init_connect = ''")
    assert_closed(site, run)
    assert run.status == 0 and len(site.outputs()) == len(expected), run
    times = {int(r["t"]) for r in site.sql("SELECT UNIX_TIMESTAMP(time) AS t FROM poller_output")}
    assert all(before <= t <= time.time() for t in times), times
    row = site.sql("SELECT TIMESTAMPDIFF(SECOND, start_time, end_time) AS s FROM poller_time")[0]
    assert 0 <= row["s"] <= run.seconds + 1
    times = [site.device(id)["polling_time"] for id in range(1, 7)]
    assert all(0 <= t <= run.seconds for t in times), (times, run)  # and no longer 9999
