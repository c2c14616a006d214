"""A remote data collector: online it leaves its results with the main server, offline and in recovery with its own
database; and whatever happens to the main server or the way there, every value ends in one of the two, where Cacti's
own recovery finds it."""

import contextlib
import os
import pathlib
import random
import signal
import threading

import pytest

from support import cacti, collector
from support.breaker import CUT_AFTER, HALF, MUTE, Breaker, Error
from support.checks import assert_stored
from support.collector import BOOST, POLLER_ID
from support.fakedb import FakeDatabase, Say, Switch
from support.lab import HANG_S, SilentDevice, SilentServer, file_text, free_port, wait_until, work_directory
from support.poller import Poller
from support.relay import UdpRelay
from support.snmpd import PLAYPEN

from conftest import SYSTEM_GROUP, real_value

ITEMS = 4
OID = ".1.3.6.1.4.1.99999.1"
OUTPUTS = "^INSERT INTO poller_output "
EDGES = (0, 1, 499, 500, 501, 1000, 1001)
BRIEF = {"RDB_Patience": 300}  # a main server that is not there is given up soon
AWAY = "WARNING: the main server does not take the results"


@pytest.fixture(scope="module")
def pair(template):
    """The two servers. A test may end them."""
    with work_directory() as directory, collector.servers(directory, template) as pair:
        yield pair


@pytest.fixture
def both(pair, work):
    for server in pair:
        if server.pid is None:
            server.start()
    return collector.Collector(*pair, work)


@pytest.fixture
def poller(build, loop, both):
    return both.poller(build.binary, loop=loop)


def change_conf(both, poller, **conf):
    poller.write_conf(both.poller(poller.binary, directory="other", **conf).conf.read_bytes())


def seed(both, snmpd, devices=range(1, 4), items=ITEMS, **columns):
    """Healthy devices, polled in the order of their ids; returns what must be stored."""
    added = both.add_devices([{"id": id, "snmp_port": snmpd.port, "polling_time": 90 - id, **columns}
                              for id in devices])
    wanted = [(d, n) for d in added for n in range(1, items + 1)]
    keys = both.add_items([{"device": d, "arg1": f"{PLAYPEN}.{d['id']}.{n}", "rrd_name": f"v{n}"} for d, n in wanted])
    return {key: str(real_value(d["id"], n)) for key, (d, n) in zip(keys, wanted)}


def poll(poller, mode="online", last=999, **how):
    return poller.run("-V", "3", f"--mode={mode}", first=1, last=last, **how)


def values(site, table="poller_output"):
    """{key: text}; every key has one row."""
    found = site.outputs(table)
    assert all(len(rows) == 1 for rows in found.values()), found
    return {key: rows[0][1] for key, rows in found.items()}


def assert_empty(site, *tables):
    rows = {table: site.sql(f"SELECT * FROM {table} LIMIT 3") for table in tables}
    assert not any(rows.values()), rows


def assert_each_value_once(both, expected):
    """In the main server's results, or in the collector's boost table, not in both."""
    stored, kept = values(both.main), values(both.local, BOOST)
    assert not stored.keys() & kept.keys()
    assert stored | kept == expected
    assert_empty(both.local, "poller_output")
    return stored, kept


def assert_closed_on(site):
    """One cycle of the collector is known there, and closed."""
    assert [(c["poller_id"], c["end_time"] is None) for c in site.cycles()] == [(POLLER_ID, False)]


def assert_main_is_told(both):
    """The row is closed, and the main server knows the devices as the collector does."""
    assert_closed_on(both.main)
    assert_empty(both.local, "poller_time")
    assert both.pushed(both.main) == both.pushed(both.local)
    assert both.next_steps(both.main) == both.next_steps(both.local)


# ---- the three modes ----

def test_online_all_is_where_cacti_looks_for_it(both, snmpd, poller):
    """docs/contract.md 23.1; a data query that has to be re-indexed is among it."""
    expected = seed(both, snmpd)
    both.settings(active_profiles=2)
    both.sql("UPDATE poller_item SET rrd_step = 60, rrd_next_step = 0 WHERE local_data_id = 2")
    both.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
             "VALUES (1, 7, 0, '=', 'before', %s)", f"{PLAYPEN}.1.1")
    before = [site.snapshot() for site in both.both]
    run = poll(poller)
    assert run.status == 0, run
    here, there = (old.changes(site.snapshot()) for site, old in zip(both.both, before))
    assert here.keys() == {"host", "poller_item", "poller_reindex"}, here
    assert there.keys() == {"host", "poller_item", "poller_output", BOOST, "poller_command", "poller_time"}, there
    assert_stored(both.main, expected)
    assert both.main.outputs(BOOST) == both.main.outputs()
    assert [r["command"] for r in both.main.sql("SELECT * FROM poller_command WHERE poller_id = %s", POLLER_ID)] == \
        ["1:7"]
    assert_main_is_told(both)
    assert len(run.log_lines("Pushing ")) == 2, run


@pytest.mark.parametrize("mode", ("offline", "recovery"))
def test_offline_all_stays_with_the_collector(both, snmpd, poller, mode):
    expected = seed(both, snmpd)
    before = both.main.snapshot()
    with both.main.server.watch(cacti.USER) as seen:
        run = poll(poller, mode)
    assert run.status == 0, run
    assert seen.connections == 0
    assert not before.changes(both.main.snapshot())
    assert_stored(both.local, expected)
    assert both.local.outputs(BOOST) == both.local.outputs()
    assert_closed_on(both.local)
    both.local.settings(boost_redirect="")
    assert poll(poller, mode).log_lines("WARNING: boost is off")


def test_the_main_server_says_how_many_threads(both, poller):
    both.main.threads(7, POLLER_ID)
    both.local.threads(3, POLLER_ID)
    assert poll(poller).log_lines("Threads: 7,")
    assert poll(poller, "offline").log_lines("Threads: 3,")


def test_the_first_poller_has_no_main_server_but_its_own(both, snmpd, poller):
    expected = seed(both, snmpd, poller_id=1)
    ours = Poller(poller.binary, both.local, both.work / "first", loop=poller.loop, RDB_Host="127.0.0.1",
                  RDB_Port=both.main.server.port)
    with both.main.server.watch(cacti.USER) as seen:
        run = poll(ours)
    assert run.status == 0, run
    assert seen.connections == 0
    assert_stored(both.local, expected)


@pytest.mark.parametrize("mode", ("online", "offline"))
def test_read_only_changes_neither_database(both, snmpd, poller, mode):
    seed(both, snmpd)
    before = [site.snapshot() for site in both.both]
    run = poller.run("-R", f"--mode={mode}", first=1, last=99)
    assert run.status == 0, run
    assert not any(old.changes(site.snapshot()) for site, old in zip(both.both, before))


# ---- every row ----

def grow(both, snmpd, count, keys):
    """Makes the site one of `count` items on as many devices, of which the first 51 have them all."""
    have = len(keys)
    ids = range(have + 1, count + 1)
    both.add_devices([{"id": id, "snmp_port": snmpd.port} for id in ids])
    both.local.sql("UPDATE host SET status_last_error = CONCAT('seen ', id), total_polls = id, last_updated = "
                   "'2001-02-03 04:05:06'")
    pairs = [((i - 1) // 20 % 50 + 1, (i - 1) % 20 + 1) for i in ids]
    items = both.add_items([{"device": {"id": d, "poller_id": POLLER_ID, "hostname": "127.0.0.1", "snmp_version": 2,
                                        "snmp_community": "public", "snmp_timeout": 500, "snmp_port": snmpd.port},
                             "arg1": f"{PLAYPEN}.{d}.{n}", "rrd_name": "v"} for d, n in pairs])
    keys |= {key: str(real_value(d, n)) for key, (d, n) in zip(items, pairs)}


def test_every_row_arrives_at_any_number(both, snmpd, poller):
    """Spine lost every 501st device and every 10001st item of a push, and created empty devices."""
    both.settings(active_profiles=2)
    expected = {}
    for count in EDGES:
        grow(both, snmpd, count, expected)
        both.sql("UPDATE poller_item SET rrd_next_step = 0")
        both.local.sql("UPDATE poller_item SET rrd_step = 600 + 300 * (local_data_id % 3)")
        for site in both.both:
            for table in ("poller_output", BOOST, "poller_time"):
                site.sql(f"DELETE FROM {table}")
        run = poll(poller, last=50)
        assert run.status == 0, run
        assert_stored(both.main, expected)
        assert_main_is_told(both)
        assert len(both.pushed(both.main)) == count
    assert len(set(both.next_steps(both.main).values())) == 3


@contextlib.contextmanager
def widths(both, main, local):
    """`main` and `local` characters for an output in the result tables of each server."""
    def set_both(main, local):
        for site, chars in ((both.main, main), (both.local, local)):
            for table in ("poller_output", BOOST):
                site.sql(f"DELETE FROM {table}")
                site.sql(f"ALTER TABLE {table} MODIFY output VARCHAR({chars}) NOT NULL DEFAULT ''")
    set_both(main, local)
    try:
        yield
    finally:
        if both.main.server.pid is None:
            both.main.server.start()
        set_both(512, 512)


@pytest.mark.parametrize("main, local", ((900, 512), (512, 900), (40, 512), (100, 30)))
@pytest.mark.parametrize("away", (False, True), ids=("main", "kept"))
def test_a_value_is_cut_to_the_column_of_the_server_that_gets_it(build, loop, both, work, main, local, away):
    """Whole fields, and what is left out is told, whichever of the two servers takes the results."""
    text = " ".join(f"field{n}:1e12" for n in range(60))
    (work / "pairs").write_text(text)
    device = both.add_device(1, availability_method=0)
    [key] = both.add_items([{"device": device, "action": cacti.SCRIPT, "arg1": f"cat {work}/pairs", "rrd_name": "v"}])
    poller = both.poller(build.binary, loop=loop, **BRIEF)
    with widths(both, main, local):
        if away:
            both.main.server.stop()
        run = poll(poller)
        chars = local if away else main
        kept = text.split()
        while len(" ".join(kept)) > chars:
            kept.pop()
        found = values(both.local, BOOST) if away else values(both.main)
        assert {k: value.split() for k, value in found.items()} == {key: kept}, run
        if not away:
            assert [value.split() for value in values(both.main, BOOST).values()] == [kept]
        told = run.log_lines("Not all is stored")
        assert len(told) == (1 if len(kept) < 60 else 0), run


def test_devices_that_the_main_server_does_not_know_are_not_created_there(both, snmpd, poller):
    expected = seed(both, snmpd)
    for table, column in (("host", "id"), ("poller_item", "host_id")):
        both.main.sql(f"DELETE FROM {table} WHERE {column} = 2")
    both.main.sql("INSERT INTO host (id, poller_id, hostname, status_last_error) VALUES (9, 1, 'other', 'own')")
    run = poll(poller)
    assert run.status == 0, run
    assert_stored(both.main, expected)
    there = both.pushed(both.main)
    assert there.keys() == {1, 3, 9}
    assert {id: there[id] for id in (1, 3)} == {id: row for id, row in both.pushed(both.local).items() if id != 2}
    assert "own" in there[9]
    assert {r["host_id"] for r in both.main.sql("SELECT host_id FROM poller_item")} == {1, 3}


# ---- the main server is away ----

def test_without_the_main_server_every_row_is_kept_for_recovery(both, snmpd, poller):
    """The edges again, into the collector's own table; results alone, because no program empties poller_output here."""
    change_conf(both, poller, RDB_Port=free_port(), **BRIEF)
    both.local.settings(boost_redirect="")
    expected = {}
    for count in (0, 1, 501, 1001):
        grow(both, snmpd, count, expected)
        both.local.sql(f"DELETE FROM {BOOST}")
        run = poll(poller, last=50)
        assert run.status == 75, run
        assert values(both.local, BOOST) == expected
        assert len(run.log_lines(AWAY)) == 1, run
        assert run.log_lines("the main server has no poller_time row of this process"), run
        assert "RDB_Host/RDB_Port" in run.log_lines(AWAY)[0]
        assert_empty(both.local, "poller_output", "poller_time")
    assert run.log_lines("WARNING: 1001 rows are in the local poller_output_boost"), run


@pytest.mark.mariadb_library("MySQL's decides by itself who gets the password, docs/security.md")
@pytest.mark.parametrize("acts", ([Switch("mysql_clear_password", b"")], [Switch("caching_sha2_password"),
                                                                          Say(b"\x01\x04")]), ids=("clear text", "sha2"))
def test_a_server_in_the_place_of_the_main_server_does_not_get_the_password(both, snmpd, poller, acts):
    """And no row is lost."""
    both.local.settings(boost_redirect="")
    expected = seed(both, snmpd)
    with FakeDatabase(*acts) as fake:
        change_conf(both, poller, RDB_Port=fake.port, **BRIEF)
        run = poll(poller)
    assert run.status == 75, run
    assert fake.connections and not any(cacti.PASSWORD.encode() in answer for answer in fake.answers)
    line, = run.log_lines(AWAY)
    assert "(5010)" in line and "turn on RDB_UseSSL with RDB_SSL_CA" in line
    assert values(both.local, BOOST) == expected


def test_a_main_server_that_never_answers_does_not_delay_polling(both, snmpd, poller):
    """Devices are asked while the poller would have to wait for a minute; stopped, it keeps what it has."""
    expected = seed(both, snmpd)
    both.local.threads(1, POLLER_ID)
    with SilentServer() as hole, SilentDevice() as silent:
        change_conf(both, poller, RDB_Port=hole.port, RDB_Patience=60000)
        both.add_device(99, port=silent.port, snmp_timeout=20000)
        with poller.start("-V", "3", "--mode=online", first=1, last=99) as running:
            with hole.wait_for_client():
                silent.wait_for_request()
            assert AWAY not in file_text(both.local.log)
            running.signal(signal.SIGTERM)
            run = running.wait()
    assert run.status == -signal.SIGTERM, run
    assert values(both.local, BOOST) == expected, run


def is_done(site):
    """The server waits for the next statement, and all that it has said was read."""
    idle = all(row["command"] == "Sleep" for row in site.sql(
        "SELECT command FROM information_schema.processlist WHERE user = %s", cacti.USER))
    port = f":{site.server.port:04X}"
    connections = [line.split() for line in file_text(pathlib.Path("/proc/net/tcp")).splitlines()[1:]]
    waiting = [queues for _, here, there, _, queues, *_ in connections if here.endswith(port) or there.endswith(port)]
    return idle and all(queues == "00000000:00000000" for queues in waiting)


class Middle:
    """with Middle(...) as cycle: acts in the middle of a cycle with one slot, which has polled the devices below 30 and
    goes on with those above when the block ends. Then cycle.run is its Run."""

    def __init__(self, both, snmpd, poller):
        self._reached, self._go_on, self._all = threading.Event(), threading.Event(), contextlib.ExitStack()
        self._poller = poller
        for site in both.both:
            if site.server.pid:
                site.threads(1, POLLER_ID)
        relay = self._all.enter_context(UdpRelay(snmpd.port, before=self._hold))
        both.local.add_device(30, port=relay.port, poller_id=POLLER_ID, snmp_timeout=HANG_S * 1000, polling_time=50)

    def _hold(self, n, _):
        self._reached.set()
        assert self._go_on.wait(HANG_S)

    def __enter__(self):
        self._running = self._all.enter_context(
            self._poller.start("-V", "3", "--mode=online", first=1, last=999))
        assert self._reached.wait(HANG_S)
        return self

    def __exit__(self, *exc):
        self._go_on.set()
        with self._all:
            self.run = self._running.wait()


def test_a_main_server_killed_in_mid_cycle_costs_nothing(both, snmpd, poller):
    """What it has is its own, the rest is kept here; then Cacti's own recovery takes the rest to it."""
    change_conf(both, poller, **BRIEF)
    early, late = seed(both, snmpd), seed(both, snmpd, range(31, 34), polling_time=1)
    with Middle(both, snmpd, poller) as cycle:
        wait_until(lambda: values(both.main) == early, "the first results on the main server")
        wait_until(lambda: is_done(both.main), "the answer to them")  # else they are kept here, too
        both.main.server.kill()
    assert cycle.run.status == 75, cycle.run
    assert cycle.run.log_lines("ERROR: the poller_time row could not be closed"), cycle.run
    both.main.server.start()
    stored, kept = assert_each_value_once(both, early | late)
    assert (stored, kept) == (early, late)
    with both.php() as php:
        php.run("poller_recovery.php")
    assert values(both.main, BOOST) == early | late
    assert_empty(both.local, BOOST)


def test_a_main_server_that_restarts_in_mid_cycle_gets_everything(both, snmpd, poller):
    change_conf(both, poller, RDB_Patience=60000)
    expected = seed(both, snmpd) | seed(both, snmpd, range(31, 34), polling_time=1)
    with Middle(both, snmpd, poller) as cycle:
        both.main.server.kill()
        both.main.server.start()
    assert cycle.run.status == 0, cycle.run
    assert_stored(both.main, expected)
    assert_empty(both.local, BOOST)
    assert_closed_on(both.main)


def test_a_main_server_that_is_back_late_gets_its_row_and_the_status(both, snmpd, poller):
    """It was away when the results came, and is there again at the end."""
    change_conf(both, poller, **BRIEF)
    expected = seed(both, snmpd)
    both.main.server.stop()
    with Middle(both, snmpd, poller) as cycle:
        wait_until(lambda: values(both.local, BOOST) == expected, "the results in the collector's own table")
        both.main.server.start()
    assert cycle.run.status == 0, cycle.run
    assert len(cycle.run.log_lines("NOTE: the main server takes results again")) == 1, cycle.run
    assert_each_value_once(both, expected)
    assert_closed_on(both.main)


@pytest.fixture
def breaker(both, work, poller):
    """Stands between the poller and the main server."""
    with Breaker(both.main.server, work / "breaker") as breaker:
        change_conf(both, poller, RDB_Host=breaker.path)
        yield breaker


def test_a_lost_answer_of_the_main_server_doubles_nothing(both, snmpd, poller, breaker):
    expected = seed(both, snmpd)
    breaker.on("^INSERT INTO poller_time", CUT_AFTER).on(OUTPUTS, CUT_AFTER)
    breaker.on("^UPDATE (.* )?host ", CUT_AFTER).on("^UPDATE poller_time", CUT_AFTER)
    run = poll(poller)
    assert run.status == 0, run
    assert_stored(both.main, expected)
    assert_empty(both.local, BOOST)
    assert_main_is_told(both)


@pytest.mark.parametrize("action", (MUTE, HALF), ids=("mute", "half"))
def test_a_main_server_that_falls_silent_in_mid_cycle_costs_nothing(both, snmpd, poller, breaker, action):
    """The run ends by itself, with its closing lines."""
    both.settings(poller_interval=10)
    expected = seed(both, snmpd)
    breaker.on(OUTPUTS, action)
    run = poll(poller)
    assert run.status == 75, run
    assert not run.log_lines("did not end in time"), run
    assert run.log_lines(f"rows: {len(expected)} expected, 0 stored, 0 spooled, 0 lost, "
                         f"{len(expected)} kept for Cacti's recovery"), run
    assert run.log.splitlines()[-1].endswith("Devices: 3"), run
    assert values(both.local, BOOST) == expected


def test_rows_that_neither_database_takes_are_in_the_spool(both, snmpd, poller, breaker, work):
    both.settings(poller_interval=10)
    expected = seed(both, snmpd)
    breaker.on(OUTPUTS, MUTE)
    with Breaker(both.local.server, work / "local") as local:
        change_conf(both, poller, RDB_Host=breaker.path, DB_Host=local.path, Spool_File=work / "spool")
        local.on("^INSERT INTO poller_output_boost", MUTE)
        run = poll(poller)
    assert run.status == 75, run
    assert not run.log_lines("did not end in time"), run
    assert not run.log_lines("The database thread does not return"), run
    assert run.log_lines(f"rows: {len(expected)} expected, 0 stored, {len(expected)} spooled, 0 lost"), run
    assert run.log.splitlines()[-1].endswith("Devices: 3"), run


def test_a_table_that_the_main_server_refuses_is_not_the_end_of_its_rows(both, snmpd, poller, breaker):
    expected = seed(both, snmpd)
    breaker.on(OUTPUTS, then=Error(1142, "INSERT command denied"))
    run = poll(poller)
    assert run.status == 0, run
    assert values(both.local, BOOST) == expected
    assert run.log_lines("INSERT command denied"), run
    assert_main_is_told(both)


def test_a_main_server_killed_at_any_moment_costs_nothing(both, agents, poller):
    """Killed at a random moment of a cycle of 100 devices, and back at once or only afterwards: each value is there or
    here. `make check-kill-main KILL_MAIN_COUNT=50` does it 50 times on each path."""
    seed_number = int(os.environ.get("KILL_MAIN_SEED") or random.randrange(10**6))
    print(f"KILL_MAIN_SEED={seed_number}")
    dice = random.Random(seed_number)
    ids = range(1, 101)
    farm = agents(SYSTEM_GROUP + "".join(f"object {OID}.{n} int {100 + n}\n" for n in range(1, 21)) +
                  "".join(f"agent 127.6.0.{id} delay=20\n" for id in ids))
    both.sql("UPDATE poller SET threads = 10")
    devices = both.add_devices([{"id": id, "hostname": f"127.6.0.{id}", "snmp_port": farm.port} for id in ids])
    wanted = [(d, n) for d in devices for n in range(1, 21)]
    keys = both.add_items([{"device": d, "arg1": f"{OID}.{n}", "rrd_name": f"v{n}"} for d, n in wanted])
    expected = {key: str(100 + n) for key, (_, n) in zip(keys, wanted)}
    for _ in range(int(os.environ.get("KILL_MAIN_COUNT", 1))):
        both.sql("DELETE FROM poller_output")
        both.sql(f"DELETE FROM {BOOST}")
        both.sql("DELETE FROM poller_time")
        returns = dice.random() < 0.5
        change_conf(both, poller, RDB_Patience=60000 if returns else 300)
        with poller.start("-V", "3", "--mode=online", first=1, last=999) as running:
            running.ends_within(dice.uniform(0, 1))
            both.main.server.kill()
            if returns:
                both.main.server.start()
            run = running.wait()
        if not returns:
            both.main.server.start()
        stored, kept = values(both.main), values(both.local, BOOST)
        assert stored | kept == expected, run
        assert kept | stored == expected, run  # a row whose fate was unknown is in both, and the same
        assert not returns or (run.status == 0 and not kept), run
        if returns:
            assert_closed_on(both.main)


# ---- Cacti's own cycle ----

@pytest.fixture
def php(both):
    with both.php() as php:
        yield php


def test_cacti_takes_a_collector_through_an_outage(both, snmpd, build, php):
    """poller.php chooses the mode by what it finds: online, offline without a main server, and in recovery with one, as
    long as this table has rows; then the main server has them all."""
    expected = seed(both, snmpd)
    php.polls_with(both.poller(build.binary, loop="on" if build.binary.has_libevent else "off"))

    def cycle(mode):
        both.local.sql("UPDATE poller_item SET rrd_next_step = 0")
        said = php.run("poller.php", "--force", "--debug")
        assert f"--mode={mode} --poller={POLLER_ID} --first=1 --last=3" in said, said

    cycle("online")
    assert_stored(both.main, expected)
    both.main.server.kill()
    cycle("offline")
    both.local.sql(f"UPDATE {BOOST} SET time = time - INTERVAL 1 HOUR")  # nothing else has this time
    kept = both.local.outputs(BOOST)
    assert kept.keys() == expected.keys()
    both.main.server.start()
    cycle("recovery")
    wait_until(lambda: not both.local.outputs(BOOST), "Cacti's recovery to take what was kept")
    there = both.main.outputs(BOOST)
    assert there.keys() == expected.keys()
    for key, rows in there.items():
        assert {text for _, text in rows} == {expected[key]}
        assert set(kept[key]) <= set(rows) and len(rows) >= 2
    wait_until(lambda: both.local.setting("recovery_pid") is None, "the end of Cacti's recovery")
    both.sql("DELETE FROM poller_output")
    cycle("online")
    assert_stored(both.main, expected)
