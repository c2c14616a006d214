"""spine --check on real parts: what it finds, its exit status, and that it leaves no trace; spine --version."""

import json

import pytest

from support import cacti


@pytest.fixture
def check(site, plain_poller):
    """Runs the check with these keys in spine.conf; returns the run and its findings by name."""
    def run(**keys):
        plain_poller.write_conf(plain_poller.conf_text(**keys))
        done = plain_poller.run_as([plain_poller.binary.path, "-C", plain_poller.conf, "--check", "--format=json"])
        report = json.loads(done.stdout)
        assert done.status == report["status"], done
        found = {}
        for one in report["checks"]:
            found.setdefault(one["name"], []).append((one["verdict"], f"{one['text']}; {one['remedy']}"))
        return done, found

    return run


def test_a_check_writes_nothing_and_creates_no_log(site, check):
    before = site.snapshot()
    done, found = check()
    assert found["tables"][0][0] == "OK" and found["Cacti"] == [("OK", f"{cacti.version()}; None")], done
    assert not before.changes(site.snapshot())
    assert not site.log.exists()


MISTAKES = {
    "wrong password": (dict(DB_Pass="guess"), "database", "FAIL", ("1045", "DB_Pass")),
    "wrong database": (dict(DB_Database="cacti_gone"), "database", "FAIL", ("1049", "DB_Database")),
    "unknown key": (dict(DB_Hots="x"), "configuration", "WARN", ("line 6", "DB_Host")),
    "event log without folder": (dict(Event_Log="/nowhere/x"), "event log", "FAIL", ("/nowhere", "Event_Log")),
    "spool without folder": (dict(Spool_File="/nowhere/x"), "spool file", "FAIL", ("/nowhere", "Spool_File")),
    "number out of range": (dict(DB_Connections=9), "configuration", "FAIL", ("spine.conf:6", "DB_Connections", "1 to 3")),
    "password file missing": (dict(DB_Pass_File="/nowhere"), "configuration", "FAIL", ("DB_Pass_File", "/nowhere")),
}


@pytest.mark.parametrize("keys, name, verdict, words", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_configuration_is_found_with_what_to_do(check, keys, name, verdict, words):
    done, found = check(**keys)
    assert done.status == (2 if verdict == "FAIL" else 1), done
    assert any(v == verdict and all(w in text for w in words) for v, text in found[name]), done


def test_a_missing_table_is_named(site, check):
    site.sql("DROP TABLE poller_command")
    done, found = check()
    assert done.status == 2 and any("poller_command" in text and v == "FAIL" for v, text in found["tables"]), done


def test_a_clock_that_differs_is_found(site, check):
    site.server.sql("SET GLOBAL init_connect = 'SET timestamp = UNIX_TIMESTAMP() + 100'")
    assert check()[1]["clock"][0][0] == "WARN"


def test_the_version_line_follows_the_database(site, plain_poller):
    site.sql("UPDATE version SET cacti = '1.2.77'")
    run = plain_poller.run_as([plain_poller.binary.path, "-C", plain_poller.conf, "--version"])
    assert run.status == 0 and run.stdout.startswith("SPINE 1.2.77  Copyright "), run
