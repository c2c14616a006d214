"""Rights: with what the poller may be started, what it keeps while it polls, and what becomes of ICMP pings.

The poller runs in a network of its own where the kernel lets it have one, so that net.ipv4.ping_group_range is what
the test wants, and every echo request in it is the poller's.
"""

import concurrent.futures
import contextlib
import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import struct

import pytest

from support.checks import assert_closed, assert_stored
from support.fakedb import WELCOME, FakeDatabase, Switch
from support.lab import HANG_S, SilentDevice, free_port, tool, wait_until
from support.poller import Binary

from conftest import SYSTEM_GROUP

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="only root can start programs with different rights"),
              pytest.mark.alone("it starts the process with other rights, and in another network")]

NOBODY = 65534
DAC_OVERRIDE, NET_RAW = 1 << 1, 1 << 13
CLONE_NEWNET, SIOCSIFFLAGS, IFF_UP = 0x40000000, 0x8914, 1
CLOSE_ON_EXEC = 0o2000000
RANGE = "ipv4/ping_group_range"
EVERYBODY, NO_GROUP = "0 2147483647", "1 0"
OBJECT = ".1.3.6.1.4.1.99999.1.1"
ICMP = 1
PING_AND_SNMP, SNMP_UPTIME, PING, PING_OR_SNMP = 1, 2, 3, 4
FALLBACK = "] DEBUG Falling back to UDP Ping Due to SetUID Issues"


class Network:
    """A thread with a network of its own, in which only loopback is; what it starts and opens is there, too."""

    def __init__(self):
        self._thread = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self.why_shared = self.do(self._separate)

    def do(self, what, *arguments, **named):
        """Calls what(...) in that network."""
        return self._thread.submit(what, *arguments, **named).result(timeout=HANG_S)

    @staticmethod
    def _separate():
        """None, or why it is the network of the machine."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            return os.strerror(ctypes.get_errno())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        return None

    def set(self, name, value):
        """Sets a sysctl of the network; skips the test if this is the network of the machine and has another value."""
        file = pathlib.Path("/proc/sys/net") / name
        if self.why_shared is None:
            self.do(file.write_text, value)
        elif file.read_text().split() != value.split():
            pytest.skip(f"{name} is not {value!r}, and there is no network to change it in: {self.why_shared}")

    def echo_requests(self):
        """How many echo requests have come in."""
        if self.why_shared is not None:
            pytest.skip(f"the network is not the poller's own: {self.why_shared}")
        lines = [line.split() for line in self.do(pathlib.Path("/proc/thread-self/net/snmp").read_text).splitlines()]
        names, values = [line for line in lines if line[0] == "Icmp:"]
        return int(values[names.index("InEchos")])

    def close(self):
        self._thread.shutdown()


@pytest.fixture
def network():
    with contextlib.closing(Network()) as network:
        yield network


@pytest.fixture
def farm(network, agents):
    """Simulated agents in that network; they end before it does."""
    return network.do(agents, SYSTEM_GROUP + f"object {OBJECT} int 7\nagent 127.3.0.1-127.3.0.9\n")


class Silent:
    """The ports of one SNMP agent and one UDP service in the network that never answer."""

    def __init__(self, network):
        self.agent = network.do(SilentDevice, "127.3.1.1")
        self.service = network.do(SilentDevice, "127.3.0.2")
        self.closed_port = network.do(free_port, address="127.3.0.1")


@pytest.fixture
def silent(network):
    silent = Silent(network)
    with silent.agent, silent.service:
        yield silent


@pytest.fixture
def copy(poller, site, work):
    """Makes `poller` run a copy of its program that every user can start, reading and writing files of its own."""
    program = work / "spine"
    shutil.copyfile(poller.binary.path, program)
    program.chmod(0o755)
    work.chmod(0o755)
    for path in (poller.directory, poller.conf, site.log.parent):
        os.chown(path, NOBODY, NOBODY)
    poller.binary = Binary(program)
    return program


def needs_rights_of_files(path):
    if os.statvfs(path).f_flag & os.ST_NOSUID:
        pytest.skip(f"{path} is on a file system that gives programs no rights (nosuid)")


def nobody(*more):
    return [tool("setpriv", "util-linux"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
            *(more or ("--inh-caps=-all",)), "--"]


def as_nobody(program):
    return nobody()


def as_nobody_with_file_capability(program):
    needs_rights_of_files(program)
    try:  # struct vfs_cap_data of linux/capability.h: revision 2, effective; permitted, inheritable, twice
        os.setxattr(program, "security.capability", struct.pack("<5I", 0x02000001, NET_RAW, 0, 0, 0))
    except OSError as e:
        pytest.skip(f"no capabilities on files in {program.parent}: {e.strerror}")
    return nobody()


def as_nobody_with_ambient_capability(program):
    return nobody("--inh-caps=-all,+net_raw", "--ambient-caps=-all,+net_raw")


def as_root(program):
    return []


def as_nobody_with_set_user_id_root(program):
    needs_rights_of_files(program)
    program.chmod(0o4755)
    return nobody()


#: How it is started; whose it is then; who may ping by datagram socket; what it pings by.
STARTS = [
    (as_nobody, NOBODY, NO_GROUP, None),
    (as_nobody, NOBODY, EVERYBODY, "datagram"),
    (as_nobody_with_file_capability, NOBODY, NO_GROUP, "raw"),
    (as_nobody_with_ambient_capability, NOBODY, NO_GROUP, "raw"),
    (as_nobody_with_set_user_id_root, NOBODY, NO_GROUP, "raw"),
    (as_root, 0, NO_GROUP, "raw"),
    (as_root, 0, EVERYBODY, "datagram"),
]


def status_of(path):
    return dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)


def threads_of(pid):
    return [status_of(task / "status") for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]


def assert_no_rights(pid, user):
    """Every thread: all ids are the user's, no groups, no capability but the one that docs/security.md gives root."""
    mine = int(status_of(pathlib.Path("/proc/self/status"))["CapPrm"], 16)
    kept = mine & DAC_OVERRIDE if user == 0 else 0
    threads = threads_of(pid)
    assert len(threads) > 2, threads
    for thread in threads:
        assert thread["Uid"].split() == [str(user)] * 4, thread
        assert thread["Gid"].split() == [str(user)] * 4, thread
        assert thread["Groups"].split() == [], thread
        sets = {name: int(thread[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
        assert sets == {"CapInh": 0, "CapPrm": kept, "CapEff": kept, "CapAmb": 0}, thread


def descriptors_of(pid):
    """{number: (what it is, open flags)} of those beyond the three standard ones."""
    found = {}
    folder = pathlib.Path(f"/proc/{pid}/fd")
    for number in [int(entry.name) for entry in folder.iterdir()]:
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            info = pathlib.Path(f"/proc/{pid}/fdinfo/{number}").read_text()
            flags = next(int(line.split()[1], 8) for line in info.splitlines() if line.startswith("flags:"))
            if number > 2:
                found[number] = (os.readlink(folder / str(number)), flags)
    return found


def add_pinged(site, farm, silent):
    """Devices with a closed UDP port, a silent one and none; device 9 keeps the poller busy. Returns what is stored
    if the first three are polled."""
    ports = {1: silent.closed_port, 2: silent.service.port, 3: 0}
    expected = {}
    for id, port in ports.items():
        device = site.add_device(id, hostname=f"127.3.0.{id}", port=farm.port, availability_method=PING,
                                 ping_method=ICMP, ping_port=port, ping_timeout=200, ping_retries=0)
        expected[site.add_snmp_item(device, OBJECT, rrd_name="x")] = "7"
    site.add_device(9, hostname="127.3.1.1", port=silent.agent.port, snmp_timeout=20000, polling_time=9)
    return expected


@pytest.mark.parametrize("start, user, groups, kind", STARTS, ids=[f"{s[0].__name__}-{s[3]}" for s in STARTS])
def test_devices_are_pinged_by_what_may_be_used_and_no_right_is_left(site, network, farm, silent, poller, copy,
                                                                    start, user, groups, kind):
    network.set(RANGE, groups)
    expected = add_pinged(site, farm, silent)
    if kind is None:
        del expected[list(expected)[1]]  # its UDP port is silent, so it is down
    command = [*start(copy), *poller.command("-V", "3", first=0, last=9)]
    with network.do(poller.start_as, command, cwd=copy.parent) as running:
        silent.agent.wait_for_request()
        wait_until(lambda: site.outputs().keys() >= expected.keys() and site.device(2)["total_polls"] == 1,
                   "the answers of the devices to be stored")
        assert_no_rights(running.pid, user)
        descriptors = descriptors_of(running.pid)
        running.signal(signal.SIGTERM)
        run = running.wait()
    assert run.status == -signal.SIGTERM, run
    assert len(descriptors) >= 3, descriptors  # the database, the log, the SNMP socket
    inherited = {n: d for n, d in descriptors.items() if not d[1] & CLOSE_ON_EXEC}
    assert not inherited, f"scripts would get {inherited}"

    assert_stored(site, expected)
    said = run.log_lines("ICMP ping: ")
    assert len(said) == 1, run
    states = {id: (row["status"], row["total_polls"]) for id in (1, 2, 3) for row in [site.device(id)]}
    if kind:
        assert "NOTE: " in said[0] and f"{kind} socket" in said[0], run
        assert not run.log_lines(FALLBACK), run
        assert states == {1: (3, 1), 2: (3, 1), 3: (3, 1)}
    else:
        assert "WARNING: " in said[0] and "no socket for IPv4" in said[0], run
        assert [len(run.log_lines(f" Device[{id}{FALLBACK}")) for id in (1, 2, 3)] == [1, 1, 0], run
        assert site.device(2)["status_last_error"] == "UDP: Ping timed out"
        assert states == {1: (3, 1), 2: (3, 1), 3: (3, 0)}  # the first failure of device 2; device 3 was not tested


@pytest.mark.parametrize("status", (1, 3), ids=("down", "up"))
def test_a_right_that_we_lack_says_nothing_about_a_device(site, network, farm, poller, copy, status):
    """No ICMP, and no port to fall back to: the devices are polled. The one that is only pinged keeps its status,
    whatever it is; of the other one SNMP says that it is up."""
    network.set(RANGE, NO_GROUP)
    expected, before = {}, {}
    for id, method in enumerate((PING, PING_AND_SNMP), 1):
        device = site.add_device(id, hostname=f"127.3.0.{id}", port=farm.port, availability_method=method,
                                 ping_method=ICMP, ping_port=0, status=status, status_event_count=4)
        expected[site.add_snmp_item(device, OBJECT, rrd_name="x")] = "7"
        before[id] = device_state(site, id)
    site.settings(ping_failure_count=1, ping_recovery_count=1)
    run = network.do(poller.run_as, [*as_nobody(copy), *poller.command(first=0, last=2)], cwd=copy.parent)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    assert device_state(site, 1) == before[1]
    assert len(run.log_lines("HOST EVENT")) == (1 if status == 1 else 0), run  # device 2, if it was down
    assert site.device(2)["failed_polls"] == 0 and site.device(2)["status"] == 3
    assert len(run.log_lines("WARNING: ICMP ping: no socket")) == 1, run


def device_state(site, id):
    row = site.device(id)
    return {name: row[name] for name in ("status", "status_event_count", "status_last_error", "fail_date", "rec_date",
                                         "total_polls", "failed_polls", "availability", "cur_time")}


@pytest.mark.parametrize("how", ("raw", "datagram"))
def test_a_device_that_answers_no_echo_is_down_after_one_request_and_its_retries(site, network, farm, poller, how):
    """The 1st device has several threads and is still checked once; method 1 no longer asks by SNMP."""
    network.set(RANGE, EVERYBODY if how == "datagram" else NO_GROUP)
    network.set("ipv4/icmp_echo_ignore_all", "1")
    site.settings(ping_failure_count=1)
    for id, method in enumerate((PING, PING_AND_SNMP, PING_OR_SNMP), 1):
        device = site.add_device(id, hostname=f"127.3.0.{id}", port=farm.port, availability_method=method,
                                 ping_method=ICMP, ping_timeout=60, ping_retries=2, device_threads=5 if id == 1 else 1)
        keys = [site.add_snmp_item(device, OBJECT, rrd_name=f"v{n}") for n in range(1, 11)]
    before = network.echo_requests()
    run = network.do(poller.run, first=0, last=3)
    assert run.status == 0, run
    assert network.echo_requests() - before == 3 * 3
    assert_stored(site, dict.fromkeys(keys, "7"))  # of the last one, which SNMP says is up
    assert [site.device(id)["status"] for id in (1, 2, 3)] == [1, 1, 3]
    assert site.device(1)["status_last_error"] == "ICMP: Ping timed out"
    assert site.device(2)["status_last_error"] == (
        "SNMP not performed due to setting or ping result, ICMP: Ping timed out")
    assert site.device(3)["cur_time"] > 0
    assert [farm.counters(f"127.3.0.{id}")["requests"] for id in (1, 2)] == [0, 0]
    for id in (1, 2):
        error = site.device(id)["status_last_error"]
        line = f"Device[{id}] Hostname[127.3.0.{id}] ERROR: HOST EVENT: Device is DOWN Message: {error}"
        assert len(run.log_lines(line)) == 1, run


def test_root_can_append_to_the_log_of_the_web_server(site, network, farm, poller, copy):
    """An operator who runs the poller by hand to look for a fault finds its lines where Cacti's are."""
    site.log.touch(mode=0o600)
    site.log.parent.chmod(0o700)
    os.chown(site.log, NOBODY, NOBODY)
    device = site.add_device(1, hostname="127.3.0.1", port=farm.port)
    key = site.add_snmp_item(device, OBJECT, rrd_name="x")
    run = network.do(poller.run_as, poller.command("-V", "3", first=0, last=1), cwd=copy.parent)
    assert run.status == 0, run
    assert_stored(site, {key: "7"})
    assert len(run.log_lines("Threads: 4, Devices: 1")) == 1, run
    assert not run.stdout and not run.stderr, run
    assert site.log.stat().st_uid == NOBODY


@pytest.mark.parametrize("start", (as_nobody, as_nobody_with_file_capability, as_nobody_with_set_user_id_root))
def test_who_starts_a_program_with_rights_does_not_say_where_the_password_goes(poller, copy, work, start):
    """Nor what code it runs. The first one has no rights, and may say where the database is."""
    path = work / "his.sock"
    os.mkfifo(work / "evil.so")  # reading it waits forever
    os.mkfifo(work / "caching_sha2_password.so")
    os.chmod(work / "evil.so", 0o644)
    os.chmod(work / "caching_sha2_password.so", 0o644)
    env = {name: str(path) for name in ("MYSQL_UNIX_PORT", "MARIADB_UNIX_PORT")}
    env |= {name: str(work) for name in ("MARIADB_PLUGIN_DIR", "LIBMYSQL_PLUGIN_DIR")}
    env |= {name: "evil" for name in ("MARIADB_PLUGINS", "LIBMYSQL_PLUGINS")}
    poller.write_conf(poller.conf_text(DB_Host="localhost"))
    with FakeDatabase(Switch("caching_sha2_password"), WELCOME, path=path) as his:
        path.chmod(0o777)
        run = poller.run_as([*start(copy), *poller.command(first=0, last=1)], env=env, cwd=copy.parent)
    assert run.status == 69, run
    assert bool(his.connections) == (start is as_nobody)
