"""A database, or something in between, that answers something else than what was asked for: rows with too few or too
many columns, no rows at all, rows where there are none. Nothing is read beyond an answer, nothing is taken for done
that was not, and a line says what was wrong. Much of this shows only in a build with sanitizers."""

import struct
import subprocess

import pytest

from support import collector
from support.breaker import Breaker, Instead
from support.checks import assert_accounted, assert_closed, assert_stored
from support.fakedb import OK, FakeDatabase, Say, Tell
from support.lab import HANG_S, work_directory
from support.poller import environment, gates
from support.snmpd import PLAYPEN

from conftest import real_value

ITEMS = 5
OUTPUTS = "^INSERT INTO poller_output "

#: What is read, how many columns that has, and how a run ends that never gets it.
QUERIES = {
    "session": ("^SELECT @@max_allowed_packet", 4, "cannot connect to the database server"),
    "settings": ("SELECT CONVERT.name", 2, "cannot read the settings"),
    "roster": ("SELECT id,deleted,status FROM host", 3, "cannot read the devices"),
    "devices": (" FROM host WHERE id IN ", 34, "cannot read the devices"),
    "items": (" FROM poller_item WHERE host_id IN ", 18, "cannot read the poller items"),
    "assertions": (" FROM poller_reindex ", 6, "cannot read the re-index assertions"),
}


def answer(columns):
    """A statement whose answer has `columns` columns (0: no rows can come), with values that an id could have."""
    return Instead("DO 1" if columns == 0 else "SELECT " + ",".join(str(n % 7) for n in range(columns)))


def seed(site, snmpd, devices=range(1, 7)):
    added = site.add_devices([{"id": id, "hostname": "127.0.0.1", "snmp_port": snmpd.port} for id in devices])
    wanted = [(d, n) for d in added for n in range(1, ITEMS + 1)]
    keys = site.add_items([{"device": d, "arg1": f"{PLAYPEN}.{d['id']}.{n}", "rrd_name": f"v{n}"} for d, n in wanted])
    return {key: str(real_value(d["id"], n)) for key, (d, n) in zip(keys, wanted)}


@pytest.fixture
def breaker(server, work, poller):
    with Breaker(server, work / "breaker") as breaker:
        poller.write_conf(poller.conf_text(DB_Host=breaker.path, Cacti_Log=poller.site.log))
        yield breaker


def poll(poller, **how):
    return poller.run("-V", "3", first=0, last=99, **how)


@pytest.mark.parametrize("width", ("none", "one", "one less", "one more", "hundreds"))
@pytest.mark.parametrize("query", QUERIES)
def test_an_answer_of_another_shape_is_not_an_answer(site, snmpd, breaker, poller, query, width):
    """Asked again on a new connection, which helps if the disturbance is over."""
    pattern, columns, _ = QUERIES[query]
    expected = seed(site, snmpd)
    wrong = {"none": 0, "one": 1, "one less": columns - 1, "one more": columns + 1, "hundreds": 400}[width]
    breaker.on(pattern, answer(wrong))
    run = poll(poller)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    assert_accounted(run, expected=len(expected), stored=len(expected))
    assert breaker.count(pattern) >= 2


@pytest.mark.parametrize("query", QUERIES)
def test_a_database_that_goes_on_answering_something_else_ends_the_run_with_the_reason(
        site, snmpd, breaker, poller, query):
    site.settings(poller_interval=10)
    pattern, columns, words = QUERIES[query]
    seed(site, snmpd)
    breaker.on(pattern, then=answer(columns - 1))
    run = poll(poller)
    assert run.status == 69, run
    lines = run.log_lines(f"FATAL: {words}")
    assert len(lines) == 1 and f"{columns - 1} columns instead of {columns}" in lines[0], run
    assert not site.outputs()
    assert all(cycle["end_time"] for cycle in site.cycles())


@pytest.mark.parametrize("columns", (1, 4, 400))
def test_rows_in_the_place_of_an_acknowledgement_acknowledge_nothing(site, snmpd, breaker, poller, columns):
    """Of every kind of writing statement the first one is answered so; all of them are said again."""
    site.settings(boost_redirect="on", boost_rrd_update_enable="on", active_profiles="2")
    expected = seed(site, snmpd)
    kinds = ["^SET SESSION sql_mode", "INSERT INTO poller_time", OUTPUTS, "^INSERT INTO poller_output_boost ",
             "^UPDATE (.* )?host ", "^UPDATE poller_item ", "settings .name,value.", "UPDATE poller_time"]
    for kind in kinds:
        breaker.on(kind, answer(columns))
    run = poll(poller)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    assert site.sql("SELECT COUNT(*) AS n FROM poller_output_boost")[0]["n"] == len(expected)
    assert [kind for kind in kinds if breaker.count(kind) >= 2] == kinds
    assert [site.device(id)["total_polls"] for id in range(1, 7)] == [1] * 6


@pytest.mark.parametrize("columns", (1, 4, 400))
def test_rows_that_are_never_acknowledged_are_kept_for_the_next_run(site, snmpd, breaker, poller, work, columns):
    """No row is to blame for such an answer, so none is given up as refused."""
    site.settings(poller_interval=10)
    expected = seed(site, snmpd)
    spool = work / "poller" / "spool"
    poller.write_conf(poller.conf_text(DB_Host=breaker.path, Spool_File=spool))
    breaker.on(OUTPUTS, then=answer(columns))
    run = poll(poller)
    assert run.status == 75, run
    assert_accounted(run, expected=30, stored=0, spooled=30)
    assert run.log_lines(f"ERROR: 30 rows could not be stored: ") and f"{columns} columns instead of 0" in run.log, run
    assert_closed(site, run)
    poller.write_conf(poller.conf_text(Spool_File=spool))
    site.sql("DELETE FROM poller_item")
    site.sql("DELETE FROM poller_time")
    run = poll(poller)
    assert run.status == 0, run
    assert_stored(site, expected)


@pytest.mark.parametrize("pattern, columns", (("^SELECT threads FROM poller ", 1), (" FROM host WHERE poller_id=", 21),
                                              ("^SELECT local_data_id,rrd_name,rrd_next_step ", 3)),
                         ids=("threads", "status", "steps"))
def test_what_a_collector_asks_for_is_looked_at_as_well(build, loop, template, snmpd, work, pattern, columns):
    with work_directory() as directory, collector.servers(directory, template) as pair:
        both = collector.Collector(*pair, work)
        asked = both.main if "threads" in pattern else both.local
        key = "RDB_Host" if "threads" in pattern else "DB_Host"
        both.settings(active_profiles=2)
        devices = both.add_devices([{"id": id, "snmp_port": snmpd.port} for id in (1, 2)])
        both.add_items([{"device": d, "arg1": f"{PLAYPEN}.{d['id']}.1", "rrd_name": "x"} for d in devices])
        with Breaker(asked.server, work / "breaker") as breaker:
            breaker.on(pattern, answer(columns - 1), answer(columns + 1))
            run = both.poller(build.binary, loop=loop, **{key: breaker.path}).run(
                "-V", "3", "--mode=online", first=1, last=99)
        assert run.status == 0, run
        assert both.pushed(both.main) == both.pushed(both.local)
        assert both.next_steps(both.main) == both.next_steps(both.local)
        # The number of threads is asked for a tenth of a second long, which a busy machine may need for one answer.
        assert breaker.count(pattern) >= (1 if "threads" in pattern else 2)


def text(value):
    return bytes([len(value)]) + value


#: Rows of three columns that have not three.
ROWS = {"one": text(b"1"), "none": b"", "half of one": b"\x05ab", "a length that is cut": b"\xfc\xff",
        "more than there is": b"\x01a\xfe" + b"\xff" * 8, "one that is NULL": b"\xfb", "one and no length": b"\x011\xfa"}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_that_is_shorter_than_its_header_says_is_not_a_row(build, loop, work, row):
    """The header promises as many columns as were asked for."""
    column = text(b"def") + text(b"") * 3 + text(b"x") + text(b"") + struct.pack("<BHIBHBH", 12, 45, 255, 0xfd, 0, 0, 0)
    end = b"\xfe\0\0\2\0"
    acts = [Say(OK), Say(OK), Tell(b"\x03"), Tell(column), Tell(column), Tell(column), Tell(end), Tell(row), Say(end)]
    with FakeDatabase(*acts) as fake:
        (work / "spine.conf").write_text(f"DB_Host 127.0.0.1\nDB_Port {fake.port}\nCacti_Log {work}/log\n")
        done = subprocess.run([build.binary.path, "-C", work / "spine.conf", "--poller=1", *gates(loop)],
                              stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=HANG_S,
                              env=environment(work / "sanitizer"))
    assert done.returncode == 69 and "cannot connect to the database server" in done.stderr, done
    remedy = "something in between that takes connections" if "(2013)" in done.stderr else "; what answers there behaves as no"
    assert remedy in done.stderr, done
    assert fake.connections >= 2 and not list(work.glob("sanitizer.*"))
