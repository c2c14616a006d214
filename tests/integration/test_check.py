"""spine --check on real parts: what it finds, its exit status, and that it leaves no trace; spine --version."""

import json

import pytest

from support import cacti
from support.lab import TOP, leave_out


@pytest.fixture
def check(site, plain_poller):
    """Runs the check with these keys in spine.conf; returns the run and its findings by name."""
    def run(**keys):
        plain_poller.write_conf(plain_poller.conf_text(**keys))
        done = plain_poller.run_as([plain_poller.binary.path, "-C", plain_poller.conf, "--check", "--format=json"])
        report = json.loads(done.stdout)
        try:
            import jsonschema
        except ImportError:
            leave_out("python3-jsonschema is not installed")
        with open(TOP / "docs/check.schema.json", encoding="utf-8") as file:
            jsonschema.validate(report, json.load(file))
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


def test_files_that_a_cycle_would_not_be_able_to_write_are_found(work, check):
    (work / "folder").mkdir()
    done, found = check(Metrics_File=f"{work}/spine_%p_%f.prom", Report_File=f"{work}/none/report.json", Timeline_File=f"{work}/folder",
                        Trace_File=f"{work}/none/trace.json", Event_Log=f"{work}/none/events")
    assert found["metrics file"] == [("OK", f"{work}/spine_1_0.prom can be written; None")], done
    assert [found[name][0][0] for name in ("report", "timeline", "trace", "event log")] == ["FAIL"] * 4, done
    assert f"its folder {work}/none: No such file" in found["report"][0][1] and "correct Report_File" in found["report"][0][1]
    assert "is not a regular file" in found["timeline"][0][1], done
    assert done.status == 2 and [p.name for p in work.iterdir() if p.suffix in (".prom", ".json")] == []


def test_a_clock_that_differs_is_found(site, check):
    site.server.sql("SET GLOBAL init_connect = 'SET timestamp = UNIX_TIMESTAMP() + 100'")
    assert check()[1]["clock"][0][0] == "WARN"


def test_the_version_line_follows_the_database(site, plain_poller):
    site.sql("UPDATE version SET cacti = '1.2.77'")
    run = plain_poller.run_as([plain_poller.binary.path, "-C", plain_poller.conf, "--version"])
    assert run.status == 0 and run.stdout.startswith("SPINE 1.2.77  Copyright "), run
