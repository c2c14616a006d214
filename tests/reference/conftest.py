"""Ours beside Debian's spine: fixtures of the comparison (`make check-reference`).

One database server and one farm of simulated agents serve the whole run; `compare` starts every program of a
comparison from the same freshly seeded database. Without the reference program everything is skipped, and fails
where CI is set.
"""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import cacti, reference  # noqa: E402
from support.lab import LabError, leave_out, need, work_directory  # noqa: E402
from support.mariadb import VENDOR, MariaDB  # noqa: E402
from support.poller import Binary, add_database_options, apply_database_options, find_program  # noqa: E402

import rules  # noqa: E402
from world import Program, World  # noqa: E402

TOOLS = {**VENDOR.packages, "snmpd": "snmpd", "snmpget": "snmp", "dpkg-deb": "dpkg"}


def pytest_addoption(parser):
    group = parser.getgroup("spine")
    group.addoption("--resident", action="store_true", help="ours hands its cycles to daemons")
    add_database_options(group)


def pytest_configure(config):
    apply_database_options(config)


@pytest.fixture(scope="session")
def programs():
    need(TOOLS)
    try:
        theirs = reference.binary()
    except (LabError, OSError) as e:
        leave_out(str(e))
    ours = Binary(find_program("SPINE", "spine"))
    found = [Program("reference", theirs, None), Program("legacy", ours, "off")]
    return found + ([Program("event", ours, "on"), Program("async", ours, "async")] if ours.has_libevent else [])


@pytest.fixture(scope="session")
def world(programs, request):
    fakeagent = find_program("FAKEAGENT", "tests/support/fakeagent/fakeagent")
    with work_directory() as work:
        template = cacti.prepare(work / "template")
        with MariaDB(work / "db", template=template) as server:
            yield World(server, work, programs, fakeagent, resident=request.config.getoption("--resident"))


@pytest.fixture
def compare(world, request):
    """compare(seed, ...) polls one seeded site with every program and fails on what no rule explains; see World."""
    def run(*args, **kwargs):
        return world.compare(*args, name=request.node.name, **kwargs)
    return run


def pytest_terminal_summary(terminalreporter):
    seen = rules.seen()
    if seen:
        terminalreporter.write_line("differences from Spine that were seen and explained: " +
                                    ", ".join(f"{i} ({n})" for i, n in sorted(seen.items())))
        if rules.gone():
            terminalreporter.write_line("differences from 1.2.24 that this Spine does not show: " +
                                        ", ".join(f"{i} ({n})" for i, n in sorted(rules.gone().items())))
        unseen = rules.unseen()
        if unseen and not terminalreporter.stats.get("deselected"):
            terminalreporter.write_line("rules that explained nothing in this run: " + ", ".join(unseen))
        without = [id for id in rules.documented() if id not in {i for i, _ in rules.RULES}]
        terminalreporter.write_line("rows of docs/differences.md without a rule: " + ", ".join(without))
