"""The spool file: what the database could not take until the end of a cycle is there for the next run."""

import signal
import struct
import time
import zlib

import pytest

from support import cacti
from support.breaker import CUT_BEFORE, PASS, SWALLOW, Breaker, Error
from support.checks import accounts, assert_accounted, assert_closed, assert_stored
from support.lab import wait_until
from support.snmpd import PLAYPEN

from conftest import held_device, real_value

ITEMS = 5
OUTPUTS = "^INSERT INTO poller_output "


def seed(site, snmpd, devices=range(1, 7)):
    added = site.add_devices([{"id": id, "hostname": "127.0.0.1", "snmp_port": snmpd.port} for id in devices])
    wanted = [(d, n) for d in added for n in range(1, ITEMS + 1)]
    keys = site.add_items([{"device": d, "arg1": f"{PLAYPEN}.{d['id']}.{n}", "rrd_name": f"v{n}"} for d, n in wanted])
    return {key: str(real_value(d["id"], n)) for key, (d, n) in zip(keys, wanted)}


@pytest.fixture
def spool(poller, work):
    """The poller's spool file, not there yet."""
    path = work / "poller" / "spool"
    poller.write_conf(poller.conf_text(Spool_File=path))
    return path


def poll(poller, *extra, **how):
    return poller.run("-V", "3", *extra, first=0, last=99, **how)


# The format, written down a second time.

def frame(data):
    return struct.pack("<II", len(data), zlib.crc32(data)) + data


def header(database=cacti.DATABASE, poller_id=1, interval=300):
    name = database.encode()
    return b"SPINESP1" + frame(struct.pack("<iIH", poller_id, interval, len(name)) + name)


def record(key, when, output):
    name, output = key[1].encode(), output.encode()
    return frame(struct.pack("<IqH", key[0], when, len(name)) + name + struct.pack("<I", len(output)) + output)


def kept_rows(path):
    """{key: output} of a spool file."""
    data, rows = path.read_bytes(), {}
    assert data.startswith(header(interval=struct.unpack_from("<I", data, 20)[0])), data[:64]
    at = len(header())
    while at < len(data):
        size, crc = struct.unpack_from("<II", data, at)
        body = data[at + 8:at + 8 + size]
        assert len(body) == size and zlib.crc32(body) == crc
        id, _, length = struct.unpack_from("<IqH", body)
        name = body[14:14 + length].decode()
        assert (id, name) not in rows
        rows[id, name] = body[18 + length:].decode()
        at += 8 + size
    return rows


# ---- kept ----

def test_what_a_killed_database_could_not_take_is_stored_by_the_next_run(site, server, snmpd, poller, spool):
    """The times are those of the first run."""
    server.make_durable()
    site.settings(poller_interval=10)
    expected = seed(site, snmpd)
    site.threads(1)
    with held_device(site) as held:
        with poller.start("-V", "3", first=0, last=99) as running:
            held.wait_for_request()
            site.wait_for_open_cycle()
            server.kill()
            held.let_go()
            run = running.wait()
        before = int(time.time())
        assert run.status == 75, run
        assert_accounted(run, expected=30, stored=0, spooled=30)
        assert len(run.log_lines(f"WARNING: 30 rows are kept in {spool} until the next run")) == 1, run
        assert spool.stat().st_mode & 0o777 == 0o600
        assert kept_rows(spool) == expected

        server.start()
        site.sql("DELETE FROM poller_time")
        site.settings(poller_interval=300)
        run = poll(poller)
    assert run.status == 0, run
    assert_accounted(run, expected=30, stored=30)
    assert_closed(site, run)
    assert len(run.log_lines("NOTE: stored 30 rows of an earlier run")) == 1, run
    assert spool.stat().st_size == 0
    rows = site.sql("SELECT local_data_id, rrd_name, UNIX_TIMESTAMP(time) < %s AS early, output FROM poller_output",
                    before)
    for early in (0, 1):
        assert {(r["local_data_id"], r["rrd_name"]): r["output"] for r in rows if r["early"] == early} == expected


def test_a_run_that_is_stopped_while_the_database_does_not_answer_keeps_its_rows(
        site, server, snmpd, poller, spool, work):
    expected = seed(site, snmpd)
    with Breaker(server, work / "breaker") as breaker:
        poller.write_conf(poller.conf_text(DB_Host=breaker.path, Spool_File=spool))
        breaker.on(OUTPUTS, then=SWALLOW)
        with poller.start("-V", "3", first=0, last=99) as running:
            wait_until(lambda: breaker.count(OUTPUTS), "the rows to be on their way")
            running.signal(signal.SIGTERM)
            run = running.wait()
    assert run.status == -signal.SIGTERM, run
    assert_accounted(run, expected=30, stored=0, spooled=30)
    assert kept_rows(spool) == expected
    assert_closed(site, run)


def test_a_run_that_is_stopped_while_a_new_connection_is_set_up_keeps_its_rows(
        site, server, snmpd, poller, spool, work):
    """Something in between (a proxy without a server behind it) welcomes the poller and then says nothing."""
    expected = seed(site, snmpd)
    with Breaker(server, work / "breaker") as breaker:
        poller.write_conf(poller.conf_text(DB_Host=breaker.path, Spool_File=spool))
        breaker.on(OUTPUTS, then=CUT_BEFORE)
        breaker.on("^SET SESSION", PASS, then=SWALLOW)
        with poller.start("-V", "3", first=0, last=99) as running:
            wait_until(lambda: breaker.count("^SET SESSION") == 2, "a connection to be set up again")
            running.signal(signal.SIGTERM)
            run = running.wait()
    assert run.status == -signal.SIGTERM, run
    assert_accounted(run, expected=30, stored=0, spooled=30)
    assert kept_rows(spool) == expected


def test_rows_that_may_not_be_stored_for_now_are_kept(site, server, snmpd, poller, spool, work):
    """A right that is missing is no reason to lose them; other tables are written to."""
    expected = seed(site, snmpd)
    with Breaker(server, work / "breaker") as breaker:
        poller.write_conf(poller.conf_text(DB_Host=breaker.path, Spool_File=spool))
        breaker.on(OUTPUTS, then=Error(1142))
        run = poll(poller)
    assert run.status == 75, run
    assert_accounted(run, expected=30, stored=0, spooled=30)
    assert kept_rows(spool) == expected
    assert site.device(1)["total_polls"] == 1


def test_rows_that_the_database_refuses_are_not_kept(site, snmpd, poller, spool):
    """They would be refused again."""
    expected = seed(site, snmpd)
    bad = sorted(expected)[3]
    site.sql("CREATE TRIGGER picky BEFORE INSERT ON poller_output FOR EACH ROW BEGIN "
             f"IF NEW.local_data_id = {bad[0]} THEN SIGNAL SQLSTATE '45000'; END IF; END")
    run = poll(poller)
    assert run.status == 75, run
    assert_accounted(run, expected=30, stored=29, lost=1)
    assert not spool.exists()


def test_a_spool_that_cannot_be_written_is_said_and_the_rows_are_counted(site, server, snmpd, poller, work):
    seed(site, snmpd)
    with Breaker(server, work / "breaker") as breaker:
        poller.write_conf(poller.conf_text(DB_Host=breaker.path, Spool_File="/nonexistent/spool"))
        breaker.on(OUTPUTS, then=Error(1142))
        run = poll(poller)
    assert run.status == 75, run
    assert_accounted(run, expected=30, stored=0, lost=30)
    assert len(run.log_lines("ERROR: 30 of 30 rows could not be kept: spool file /nonexistent/spool: ")) == 1, run


# ---- given back ----

def test_rows_too_old_and_a_torn_end_are_dropped_and_said(site, snmpd, poller, spool):
    expected = seed(site, snmpd, devices=(1,))
    now = int(time.time())
    keys = [(1000 + n, "x") for n in range(5)]
    young = [record(key, now - 500, "it's young") for key in keys[:3]]
    old = [record(key, now - 700, "old") for key in keys[3:]]
    spool.write_bytes(header() + old[0] + b"".join(young) + old[1] + young[0][:-3])
    run = poll(poller)
    assert run.status == 0, run
    assert_accounted(run, expected=5, stored=5)
    assert_stored(site, expected | dict.fromkeys(keys[:3], "it's young"))
    assert len(run.log_lines("NOTE: stored 3 rows of an earlier run")) == 1, run
    assert len(run.log_lines("WARNING: dropped 2 rows of an earlier run")) == 1, run
    assert len(run.log_lines(f"WARNING: the spool file ended with {len(young[0]) - 3} damaged bytes")) == 1, run
    assert spool.stat().st_size == 0


@pytest.mark.parametrize("head, words", (
    (header(database="other"), "belongs to poller 1 and database other"),
    (header(poller_id=2), "belongs to poller 2 and database cacti"),
    (b"my only copy of something\n", "not a spool file, or damaged"),
), ids=("database", "poller", "foreign"))
def test_a_file_that_is_not_this_poller_s_spool_is_left_alone(site, snmpd, poller, spool, head, words):
    expected = seed(site, snmpd, devices=(1,))
    content = head + record((1000, "x"), int(time.time()), "1")
    spool.write_bytes(content)
    spool.chmod(0o644)
    run = poll(poller)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert len(run.log_lines(words)) == 1, run
    assert spool.read_bytes() == content and spool.stat().st_mode & 0o7777 == 0o644


def test_rows_stay_in_the_spool_until_the_database_has_them(site, server, snmpd, poller, spool, work):
    """It refuses them for this run, after it has taken the new ones."""
    seed(site, snmpd, devices=(1,))
    content = header() + record((1000, "x"), int(time.time()), "1")
    spool.write_bytes(content)
    with Breaker(server, work / "breaker") as breaker:
        poller.write_conf(poller.conf_text(DB_Host=breaker.path, Spool_File=spool))
        breaker.on(r"^INSERT INTO poller_output .*\(1000,", then=Error(1142))
        run = poll(poller)
    assert run.status == 0 and accounts(run) == (5, 5, 0, 0), run
    assert len(run.log_lines(f"WARNING: rows of an earlier run stay in {spool}: ")) == 1, run
    assert spool.read_bytes() == content


def test_rows_of_the_spool_that_the_database_refuses_are_not_said_to_be_stored(
        site, server, snmpd, poller, spool, work):
    """They would be refused again: dropped, but counted."""
    seed(site, snmpd, devices=(1,))
    spool.write_bytes(header() + b"".join(record((1000 + n, "x"), int(time.time()), "1") for n in range(3)))
    with Breaker(server, work / "breaker") as breaker:
        poller.write_conf(poller.conf_text(DB_Host=breaker.path, Spool_File=spool))
        breaker.on(r"^INSERT INTO poller_output .*\(1001,", then=Error(1366))
        run = poll(poller)
    assert accounts(run) == (5, 5, 0, 0), run
    assert len(run.log_lines("NOTE: stored 2 rows of an earlier run")) == 1, run
    assert len(run.log_lines("ERROR: the database refuses 1 rows of an earlier run, dropped")) == 1, run
    assert spool.stat().st_size == 0 and {key[0] for key in site.outputs()} >= {1000, 1002}


def test_a_read_only_run_leaves_the_spool_as_it_is(site, snmpd, poller, spool):
    seed(site, snmpd, devices=(1,))
    content = header() + record((1000, "x"), int(time.time()), "1")
    spool.write_bytes(content)
    run = poll(poller, "--readonly")
    assert run.status == 0, run
    assert spool.read_bytes() == content and not site.outputs()


@pytest.mark.parametrize("what", ["/nonexistent/spool", "/dev/null", "a folder", "another file"])
def test_a_spool_that_could_not_be_used_is_said_at_the_start_of_each_cycle(site, snmpd, poller, work, what):
    """All rows are stored here: the warning comes before it is too late."""
    target = work / "target"
    if what == "a folder":
        target.mkdir()
    elif what == "another file":
        target.write_text("not a spool\n")
        target.chmod(0o644)
    path = target if " " in what else what
    poller.write_conf(poller.conf_text(Spool_File=path))
    device = site.add_device(1, port=snmpd.port)
    site.add_snmp_item(device, ".1.3.6.1.2.1.1.7.0", rrd_name="services")
    run = poller.run(first=0, last=1)
    assert run.status == 0, run
    lines = run.log_lines(f"WARNING: spool file {path}: ")
    assert len(lines) == 1 and "Set Spool_File to" in lines[0], run
    if what == "another file":
        assert target.read_text() == "not a spool\n" and target.stat().st_mode & 0o777 == 0o644
