"""Fixtures of the integration tests: the builds under test, and a fresh site for every test.

Each test that takes `poller` runs for every build and every way to run a cycle (support.poller.LOOPS), those with an
event loop only where the build has libevent. Without options the build is $SPINE, or ./spine; `--build=NAME=DIRECTORY` (repeatable)
names build directories, and `--quick-build` those in which only tests marked `quick` run.
"""

import contextlib
import fcntl
import os
import pathlib
import pickle
import sys
import zlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import cacti  # noqa: E402
from support.agent import FakeAgent  # noqa: E402
from support.faultcycle import fault_cycle  # noqa: E402
from support.lab import HANG_S, HeldDevice, LabError, file_text, need, work_directory  # noqa: E402
from support.mariadb import VENDOR, MariaDB  # noqa: E402
from support.poller import (LOOPS, Binary, Poller, add_database_options, apply_database_options,  # noqa: E402
                            find_program)
from support.resident import Resident  # noqa: E402
from support.snmpd import PLAYPEN, Snmpd  # noqa: E402
from support.vendor import MYSQL  # noqa: E402

TOOLS = {**VENDOR.packages, "snmpd": "snmpd", "snmpget": "snmp", "openssl": "openssl", "dpkg-deb": "dpkg"}


class Build:
    """A build directory: the program, the simulated agent beside it, and how much of the suite it gets."""

    def __init__(self, name, directory=None, ways=None, quick=False):
        self.name = name
        self.quick = quick
        self.ways = tuple(ways.split(",")) if ways else LOOPS
        if not set(self.ways) <= set(LOOPS):
            raise LabError(f"{ways}: the ways to run a cycle are {', '.join(LOOPS)}")
        if directory is None:
            spine = find_program("SPINE", "spine")
            self.fakeagent = os.environ.get("FAKEAGENT") or spine.parent / "tests/support/fakeagent/fakeagent"
        else:
            spine = pathlib.Path(directory) / "spine"
            self.fakeagent = pathlib.Path(directory).resolve() / "tests/support/fakeagent/fakeagent"
        self.binary = Binary(spine)


def pytest_addoption(parser):
    group = parser.getgroup("spine")
    group.addoption("--build", action="append", default=[], metavar="NAME=DIRECTORY[=WAY,WAY]",
                    help="a build to test, by all ways to run a cycle or by these")
    group.addoption("--spread", action="store_true", help="each test by one build and way, not by all")
    group.addoption("--quick-build", action="append", default=[], metavar="NAME=DIRECTORY",
                    help="a build for which only tests marked quick run")
    group.addoption("--resident", action="store_true", help="every poller hands its cycles to a daemon of its own")
    add_database_options(group)


def pytest_collection_modifyitems(config, items):
    """--spread: of the cases that differ in build and way alone, one is kept, always the same; of several, each has its
    share of the tests.  Builds given with --quick-build keep all of theirs."""
    if not config.getoption("--spread"):
        return
    cases = {}
    for item in items:
        callspec = getattr(item, "callspec", None)
        build = callspec.params.get("build") if callspec else None
        if isinstance(build, Build) and not build.quick:
            way = (build.name, callspec.params["loop"]) if "loop" in callspec.params else (build.name,)
            name = item.nodeid.replace("-".join(way), "", 1)
            cases.setdefault(name, []).append(item)
    dropped = {other for name, same in cases.items()
               for i, other in enumerate(same) if i != zlib.crc32(name.encode()) % len(same)}
    config.hook.pytest_deselected(items=list(dropped))
    items[:] = [item for item in items if item not in dropped]


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: also runs for builds given with --quick-build")
    config.addinivalue_line("markers", "first_build: runs only for the first of several builds")
    config.addinivalue_line("markers", "libevent(yes): runs only for builds with (True) or without (False) libevent")
    config.addinivalue_line("markers", "mariadb(why): what MySQL's server does not have; left out where that is the server")
    config.addinivalue_line("markers", "mariadb_library(why): left out for builds with MySQL's client library")
    config.addinivalue_line("markers", "alone(why): left out with --resident, where the process that polls is not the one started")
    config.addinivalue_line("markers", "both_bulks: runs with DB_Bulk auto and off")
    apply_database_options(config)
    try:
        builds = [Build(*text.split("=", 2)) for text in config.getoption("--build")]
        builds += [Build(*text.split("=", 1), quick=True) for text in config.getoption("--quick-build")]
        config.builds = builds or [Build("spine")]
    except (LabError, OSError, TypeError) as e:
        raise pytest.UsageError(str(e)) from None


def pytest_runtest_setup(item):
    callspec = getattr(item, "callspec", None)
    build = callspec.params.get("build") if callspec else None
    for mark in item.iter_markers("mariadb"):
        if VENDOR is MYSQL:
            pytest.skip(f"MariaDB's server only: {mark.args[0]}")
    for mark in item.iter_markers("alone"):
        if item.config.getoption("--resident"):
            pytest.skip(f"without a daemon only: {mark.args[0]}")
    for mark in item.iter_markers("mariadb_library"):
        if build is not None and build.binary.has_mysql_library:
            pytest.skip(f"MariaDB's client library only: {mark.args[0]}")


def pytest_report_header(config):
    return [f"{b.name}: {b.binary.version}; libevent: {'yes' if b.binary.has_libevent else 'no'}"
            for b in config.builds]


def pytest_generate_tests(metafunc):
    if metafunc.definition.get_closest_marker("both_bulks"):
        metafunc.parametrize("bulk", ("auto", "off"))
    if "build" not in metafunc.fixturenames:
        return
    builds = metafunc.config.builds
    wanted = metafunc.definition.get_closest_marker("libevent")
    if metafunc.definition.get_closest_marker("quick") is None:
        builds = [b for b in builds if not b.quick]
    if metafunc.definition.get_closest_marker("first_build"):
        builds = builds[:1]
    if wanted:
        builds = [b for b in builds if b.binary.has_libevent == wanted.args[0]]
    if "loop" in metafunc.fixturenames:
        cases = [(b, loop) for b in builds for loop in b.ways if loop == "off" or b.binary.has_libevent]
        metafunc.parametrize("build,loop", cases, scope="session", ids=[f"{b.name}-{loop}" for b, loop in cases])
    else:
        metafunc.parametrize("build", builds, scope="session", ids=[b.name for b in builds])


@pytest.fixture(scope="session")
def tools():
    """What everything that needs servers needs."""
    need(TOOLS)


@pytest.fixture
def work():
    with work_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def template(tools, tmp_path_factory):
    """A data directory with Cacti's schema that every test's server starts from a copy of."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        with work_directory() as directory:
            yield cacti.prepare(directory / "template")
        return
    shared = tmp_path_factory.getbasetemp().parent  # of all workers; the first one prepares it
    with open(shared / "template.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = shared / "template.ready"
        if not ready.exists():
            ready.write_text(str(cacti.prepare(shared / "template")))
    yield pathlib.Path(ready.read_text())


@pytest.fixture
def server(template, work):
    with MariaDB(work / "mariadb", template=template) as server:
        yield server


@pytest.fixture
def site(server, work):
    """A Cacti site without devices. Two tries for an unanswered request keep tests short."""
    site = cacti.Site(server, work)
    site.settings(snmp_retries=1)
    return site


@contextlib.contextmanager
def held_device(site, id=99):
    """A device without items, first in the queue, which keeps the cycle open until its let_go()."""
    with HeldDevice() as device:
        site.add_device(id, port=device.port, snmp_timeout=HANG_S * 1000, polling_time=9)
        yield device


@pytest.fixture
def bulk(request):
    """DB_Bulk; tests marked both_bulks have it from their parameter."""
    return request.config.getoption("--bulk")


@pytest.fixture
def poller(request, build, loop, site, work, bulk):
    poller = Poller(build.binary, site, work / "poller", loop=loop)
    if bulk != Poller.keys.get("DB_Bulk", "auto"):
        poller.keys = {**Poller.keys, "DB_Bulk": bulk}
        poller.write_conf(poller.conf_text())
    if not request.config.getoption("--resident"):
        yield poller
        return
    with Resident(poller) as daemon:
        yield poller
        if "STATS:" in file_text(site.log) and daemon.state()["cycles"]["begun"] == 0:
            raise LabError(f"no cycle was the daemon's\n{daemon.log()}")


@pytest.fixture
def faults(build, loop, template, tmp_path_factory):
    """One cycle with every fault of scripts and script servers, run once per path; see support/faultcycle.py."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # the first worker runs it for all
    ready = shared / f"faults.{build.name}.{loop}"
    with open(f"{ready}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            with work_directory() as directory:
                cycle = fault_cycle(directory / "faults", template, build.binary, loop)
            ready.write_bytes(pickle.dumps(cycle))
    return pickle.loads(ready.read_bytes())


@pytest.fixture
def plain_poller(build, site, work):
    """A poller without an --event-loop option on its command line."""
    return Poller(build.binary, site, work / "poller")


def real_value(device, number):
    """What the real agent answers for the given device's object."""
    return device * 1000 + number


@pytest.fixture(scope="session")
def snmpd(tools):
    """One real agent on five loopback addresses. Object PLAYPEN.d.n holds real_value(d, n), for 50 devices d."""
    objects = {f"{PLAYPEN}.{d}.{n}": ("integer", real_value(d, n)) for d in range(1, 51) for n in range(1, 21)}
    with work_directory() as directory:
        addresses = [f"127.0.0.{n}" for n in range(1, 6)]
        with Snmpd(directory / "snmpd", objects=objects, addresses=addresses) as agent:
            yield agent


#: What every agent has, as lines of the simulated agent's spec.
SYSTEM_GROUP = """\
object .1.3.6.1.2.1.1.1.0 string "simulated"
object .1.3.6.1.2.1.1.2.0 oid .1.3.6.1.4.1.99999
object .1.3.6.1.2.1.1.3.0 timeticks @uptime
object .1.3.6.1.2.1.1.4.0 string "nobody"
object .1.3.6.1.2.1.1.5.0 string "simulated"
object .1.3.6.1.2.1.1.6.0 string "on the bench"
"""


@pytest.fixture
def agents(build):
    """Starts simulated agents: agents(spec, log=False, ports=1) returns a running FakeAgent; all end with the test."""
    with contextlib.ExitStack() as running:
        yield lambda spec, **how: running.enter_context(FakeAgent(spec, binary=str(build.fakeagent), **how))
