"""A remote collector beside Debian's spine: the same rows in the same database of the two, in every mode."""

import pytest

from support import cacti, collector
from support.agent import FakeAgent
from support.collector import BOOST, POLLER_ID
from support.lab import work_directory
from support.poller import find_program

from world import SYSTEM

OID = ".1.3.6.1.4.1.99999.1"
SPEC = SYSTEM + "".join(f"object {OID}.{n} int {100 + n}\n" for n in range(1, 6)) + "agent 127.4.0.1\n"


@pytest.fixture(scope="module")
def pair(programs):
    with work_directory() as work, collector.servers(work, cacti.prepare(work / "template")) as pair:
        yield pair


@pytest.fixture(scope="module")
def agent(programs):
    with FakeAgent(SPEC, binary=str(find_program("FAKEAGENT", "tests/support/fakeagent/fakeagent"))) as agent:
        yield agent


def left_behind(both):
    """What a cycle has left, without what differs from run to run."""
    found = {}
    for name, site in (("local", both.local), ("main", both.main)):
        for table in ("poller_output", BOOST):
            found[name, table] = {key: [text for _, text in rows] for key, rows in site.outputs(table).items()}
        found[name, "poller_time"] = [(c["poller_id"], c["end_time"] is None) for c in site.cycles()]
        found[name, "poller_command"] = [(r["poller_id"], r["action"], r["command"])
                                         for r in site.sql("SELECT * FROM poller_command")]
        found[name, "poller_reindex"] = [r["assert_value"] for r in site.sql("SELECT * FROM poller_reindex")]
        found[name, "poller_item"] = both.next_steps(site)
        found[name, "host"] = [tuple(r.values()) for r in site.sql(
            "SELECT id, status, status_event_count, status_last_error, total_polls, failed_polls, availability, "
            "snmp_sysDescr, snmp_sysName FROM host ORDER BY id")]
    pushed = [{id: row for id, row in both.pushed(site).items()} for site in both.both]
    found["main knows what the collector knows"] = pushed[0] == pushed[1]
    return found


def poll(pair, work, program, seed, *options):
    both = collector.Collector(*pair, work / program.name)
    seed(both)
    run = both.poller(program.binary, loop=program.loop).run("--mibs", *options, first=1, last=99)
    assert run.status == 0, run
    return both, run


@pytest.mark.parametrize("boost", ("on", ""))
@pytest.mark.parametrize("mode", ("online", "offline", "recovery"))
def test_every_mode_leaves_the_same_rows_in_the_same_database(programs, pair, agent, mode, boost):
    def seed(both):
        both.settings(active_profiles=2, boost_redirect=boost)
        both.main.threads(2, POLLER_ID)
        for id in (1, 2):
            device = both.add_device(id, hostname="127.4.0.1", port=agent.port)
            both.add_items([{"device": device, "arg1": f"{OID}.{n}", "rrd_name": f"v{n}", "rrd_step": 60 * n,
                             "rrd_next_step": 0 if n < 4 else 300} for n in range(1, 6)])
        both.add_device(3, hostname="127.4.0.1", port=agent.port, disabled="on")
        both.add_device(4, hostname="127.4.0.1", port=agent.port, poller_id=3)
        both.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
                 "VALUES (1, 7, 0, '=', 'before', %s)", f"{OID}.1")

    found, threads = {}, {}
    with work_directory() as work:
        for program in programs:
            both, run = poll(pair, work, program, seed, f"--mode={mode}", "-V", "3")
            found[program.name] = left_behind(both)
            threads[program.name] = bool(run.log_lines("Threads: 2,"))
    theirs = found.pop("reference")
    assert theirs["main" if mode == "online" else "local", "poller_output"]
    for name, ours in found.items():
        different = {key: (theirs[key], ours[key]) for key in theirs if theirs[key] != ours[key]}
        assert not different, f"{name} (reference, ours): {different}"
        assert threads[name] == (mode == "online"), "row R4 of docs/differences.md"
    assert not threads["reference"]


def test_the_501st_device_is_pushed_here_and_was_not_there(programs, pair, agent):
    """Row R2 of docs/differences.md."""
    def seed(both):
        both.add_devices([{"id": id, "hostname": "127.4.0.1", "snmp_port": agent.port} for id in range(1, 1003)])
        both.local.sql("UPDATE host SET status_last_error = CONCAT('seen ', id)")
        both.main.sql("DELETE FROM host WHERE id = 7")

    with work_directory() as work:
        for program in programs:
            both, _ = poll(pair, work, program, seed, "--mode=online")
            missing = {r["id"] for r in both.main.sql("SELECT id FROM host WHERE status_last_error = ''")}
            created = both.main.sql("SELECT id FROM host WHERE id = 7")
            if program.name == "reference":
                assert missing == {501, 1002} and created
            else:
                assert not missing and not created
