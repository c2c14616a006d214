"""The daemon follows its spine.conf: what is written there counts without a restart, what cannot be used changes nothing, and no cycle
runs with anything but what its client has read (docs/daemon.md)."""

import contextlib
import errno
import grp
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from support.checks import assert_stored
from support.lab import HANG_S, wait_until
from support.resident import Resident
from support.snmpd import PLAYPEN

from conftest import held_device, real_value

pytestmark = [pytest.mark.libevent(True), pytest.mark.alone("it starts daemons itself")]

#: What a client says when it polls by itself, at verbosity MEDIUM.
ALONE = "this process polls by itself"

#: Longer than any test takes: only what needs no quiet is done.
NEVER_MS = 60000


def seed(site, snmpd):
    device = site.add_device(1, hostname=snmpd.addresses[0], port=snmpd.port)
    return {site.add_snmp_item(device, f"{PLAYPEN}.1.{n}", rrd_name=f"v{n}"): str(real_value(1, n)) for n in range(1, 4)}


def replace(poller, text=None, **keys):
    """Another file takes the place of spine.conf."""
    beside = poller.conf.with_name("spine.conf.new")
    beside.touch(mode=0o600)
    beside.write_text(poller.conf_text(**keys) if text is None else text)
    beside.rename(poller.conf)


def readings(daemon):
    """How many changes each reading says it follows."""
    return [int(n) for n in re.findall(r"was read again after (\d+) changes", daemon.log())]


def wait_for_line(daemon, text, count=1):
    wait_until(lambda: daemon.log().count(text) >= count, f"the daemon to say {text!r}")
    assert daemon.log().count(text) == count, daemon.log()


def cycles_of(poller):
    done = subprocess.run([poller.binary.path, "-C", poller.conf, "--status", "--format=json"], capture_output=True,
                          text=True, timeout=HANG_S)
    return json.loads(done.stdout)["daemon"]["cycles"]


def assert_polls(poller, begun):
    """The next cycle is the daemon's, and it is that many since its start."""
    run = poller.run("-V", "3", first=0, last=50)
    assert run.status == 0 and not run.log_lines(ALONE), run
    assert cycles_of(poller)["begun"] == begun


# ---- storms, and the end ----


def test_a_thousand_changes_are_one_reading(plain_poller):
    with Resident(plain_poller, Reload_Debounce_ms=3000) as daemon:
        for n in range(1000):
            if n % 2:
                replace(plain_poller, Daemon_Cycles=n % 50 + 1)
            else:
                plain_poller.write_conf(plain_poller.conf_text(Daemon_Cycles=n % 50 + 1))
        wait_for_line(daemon, "was read again")
        replace(plain_poller, Daemon_Cycles=77, Reload_Debounce_ms=20)
        wait_for_line(daemon, "was read again", 2)
        assert readings(daemon)[0] >= 1000, daemon.log()
        assert "other values: Daemon_Cycles, Reload_Debounce_ms" in daemon.log()
        replace(plain_poller, Reload_Debounce_ms=20)  # which counts already
        wait_for_line(daemon, "was read again", 3)


@pytest.mark.parametrize("with_a_cycle", [False, True], ids=["idle", "with a cycle"])
def test_nothing_is_read_once_the_daemon_stops(site, plain_poller, with_a_cycle):
    with Resident(plain_poller, Reload_Debounce_ms=20) as daemon, contextlib.ExitStack() as more:
        if with_a_cycle:
            device = more.enter_context(held_device(site))
            running = more.enter_context(plain_poller.start(first=99, last=99))
            device.wait_for_request()
        replace(plain_poller, Daemon_Cycles=4, Reload_Debounce_ms=NEVER_MS)
        wait_for_line(daemon, "was read again")
        for n in range(100):
            replace(plain_poller, Daemon_Cycles=n % 50 + 1)
        daemon.process.send_signal(signal.SIGTERM)
        if with_a_cycle:
            assert running.wait().status == -signal.SIGTERM
        assert daemon.wait_for_end() == 0
        assert len(readings(daemon)) == 1, daemon.log()


def test_who_may_read_the_file_is_looked_at_as_for_a_process_of_its_own(plain_poller):
    """Its text does not change."""
    with Resident(plain_poller, Reload_Debounce_ms=20) as daemon:
        for mode in (0o644, 0o600, 0o644):
            before = daemon.state()["configuration"]["reloads"]
            plain_poller.conf.chmod(mode)
            wait_until(lambda before=before: daemon.state()["configuration"]["reloads"] > before, "the file to be looked at")
            run = plain_poller.run("-V", "3", first=0, last=50)
            assert len(run.log_lines("can be read by every user")) == (mode == 0o644), run
        assert cycles_of(plain_poller)["begun"] == 3


# ---- what can be done to a file ----


def truncate_and_write(poller, text):
    with open(poller.conf, "w") as file:
        file.write(text[:20])
        file.flush()
        file.write(text[20:])


def replace_by_another(poller, text):
    replace(poller, text)


def move_away_and_write(poller, text):
    poller.conf.rename(poller.conf.with_name("spine.conf~"))
    poller.conf.touch(mode=0o600)
    poller.conf.write_text(text)


def replace_the_directory(poller, text):
    directory = poller.conf.parent
    shutil.rmtree(directory)
    directory.mkdir()
    poller.conf.touch(mode=0o600)
    poller.conf.write_text(text)


def exchange_the_directory(poller, text):
    directory = poller.conf.parent
    other = directory.with_name("other")
    other.mkdir()
    (other / "spine.conf").write_text(text)
    directory.rename(directory.with_name("old"))
    other.rename(directory)


OPERATIONS = [truncate_and_write, replace_by_another, move_away_and_write, replace_the_directory, exchange_the_directory]


@pytest.fixture(params=["disk", "memory"])
def moved_poller(request, plain_poller, work):
    """Its spine.conf is in a directory of its own, on a file system with a disk or on one without."""
    top = work if request.param == "disk" else pathlib.Path("/dev/shm")
    if not os.access(top, os.W_OK):
        pytest.skip(f"{top} cannot be written")
    with tempfile.TemporaryDirectory(dir=top) as directory:
        plain_poller.conf = pathlib.Path(directory) / "etc" / "spine.conf"
        plain_poller.conf.parent.mkdir()
        plain_poller.write_conf("")
        yield plain_poller


@pytest.mark.parametrize("operation", OPERATIONS, ids=[o.__name__ for o in OPERATIONS])
def test_however_the_file_is_changed_it_counts(site, moved_poller, operation):
    with Resident(moved_poller) as daemon:
        operation(moved_poller, moved_poller.conf_text(Daemon_Cycles=5))
        wait_for_line(daemon, "other values: Daemon_Cycles")
        replace(moved_poller)  # what is there now is watched
        wait_for_line(daemon, "other values: Daemon_Cycles", 2)
        assert_polls(moved_poller, 1)


def test_links_to_the_file_and_to_its_directory_may_be_switched(site, moved_poller):
    """As Kubernetes mounts a ConfigMap: spine.conf -> ..data/spine.conf, ..data -> ..1, which becomes ..2."""
    top, link = moved_poller.conf.parent, moved_poller.conf
    link.unlink()
    (top / "..1").mkdir()
    (top / "..data").symlink_to("..1")
    link.symlink_to("..data/spine.conf")
    with Resident(moved_poller) as daemon:
        assert_polls(moved_poller, 1)
        (top / "..2").mkdir()
        (top / "..2" / "spine.conf").write_text(moved_poller.conf_text(Daemon_Cycles=5))
        (top / "..new").symlink_to("..2")
        (top / "..new").rename(top / "..data")
        shutil.rmtree(top / "..1")
        wait_for_line(daemon, "other values: Daemon_Cycles")
        assert_polls(moved_poller, 2)
        (top / "third").write_text(moved_poller.conf_text(Daemon_Cycles=6))
        (top / "new").symlink_to("third")
        (top / "new").rename(link)
        wait_for_line(daemon, "other values: Daemon_Cycles", 2)
        assert_polls(moved_poller, 3)


def test_a_file_that_is_missing_for_a_while_is_waited_for(site, plain_poller):
    with Resident(plain_poller, Reload_Debounce_ms=20) as daemon:
        plain_poller.conf.unlink()
        wait_for_line(daemon, "No such file or directory")
        replace(plain_poller, Daemon_Cycles=5)
        wait_for_line(daemon, "and is in order again; other values: Daemon_Cycles")
        assert_polls(plain_poller, 1)


# ---- what is written there ----


def test_a_broken_file_changes_nothing_and_is_told_once(site, plain_poller):
    with Resident(plain_poller, Reload_Debounce_ms=20, Daemon_Cycles=3) as daemon:
        good = plain_poller.conf.read_text()
        for n in range(3):
            replace(plain_poller, good.replace("Daemon_Cycles 3", "Daemon_Cycles three") + f"# {n}\n")
            if n == 0:
                wait_for_line(daemon, "Daemon_Cycles must be a number from 1 to 100, not 'three'")
        replace(plain_poller, good + "DB_Port none\n")
        wait_for_line(daemon, "DB_Port must be a number")
        assert daemon.log().count("WARNING") == 2, daemon.log()
        replace(plain_poller, good)
        wait_for_line(daemon, "is in order again")
        assert_polls(plain_poller, 1)


def test_passwords_are_named_and_not_shown(plain_poller):
    with Resident(plain_poller, Reload_Debounce_ms=20) as daemon:
        replace(plain_poller, DB_Pass="verysecret")
        wait_for_line(daemon, "other values: DB_Pass")
        assert "secret" not in daemon.log()


def test_the_number_of_cycles_counts_at_once(site, plain_poller):
    with Resident(plain_poller, Reload_Debounce_ms=20, Daemon_Cycles=1) as daemon, held_device(site) as device:
        with plain_poller.start(first=99, last=99) as running:
            device.wait_for_request()
            run = plain_poller.run("-V", "3", first=0, last=50)
            assert run.status == 0 and "as many cycles as it may" in run.log_lines(ALONE)[0], run
            replace(plain_poller, Daemon_Cycles=2)
            wait_for_line(daemon, "other values: Daemon_Cycles")
            assert_polls(plain_poller, 2)
            running.signal(signal.SIGTERM)
            running.wait()


def test_the_group_counts_at_once_and_an_unknown_one_changes_nothing(plain_poller):
    own = {grp.getgrgid(g).gr_name for g in os.getgroups() if g != os.getegid()}
    foreign = next(g.gr_name for g in grp.getgrall() if g.gr_gid != os.getegid() and g.gr_name not in own)
    with Resident(plain_poller, Reload_Debounce_ms=20) as daemon:
        replace(plain_poller, Daemon_Group="no-such-group")
        wait_for_line(daemon, "there is no group no-such-group")
        replace(plain_poller, Daemon_Group=foreign)  # a daemon has no right to that, even if root starts it
        wait_for_line(daemon, f"cannot be given to the group {foreign}")
        name = min(own, default=grp.getgrgid(os.getegid()).gr_name)
        replace(plain_poller, Daemon_Group=name)
        wait_for_line(daemon, "other values: Daemon_Group")
        assert daemon.socket.stat().st_gid == grp.getgrnam(name).gr_gid
        replace(plain_poller)
        wait_for_line(daemon, "other values: Daemon_Group", 2)
        assert daemon.socket.stat().st_gid == os.getegid()


def test_another_socket_needs_a_restart(site, plain_poller):
    with Resident(plain_poller, Reload_Debounce_ms=20) as daemon:
        replace(plain_poller, Daemon_Socket=daemon.socket.with_name("other.sock"))
        wait_for_line(daemon, "Daemon_Socket; Daemon_Socket counts when the daemon is started again")
        assert daemon.socket.exists()
        replace(plain_poller)
        wait_for_line(daemon, "other values: Daemon_Socket", 2)
        assert_polls(plain_poller, 1)


# ---- a cycle has what its client has read ----


def digest_of(text):
    digest = 0xcbf29ce484222325
    for byte in text.encode():
        digest = (digest ^ byte) * 0x100000001b3 % 2**64
    return f"{digest:016x}-{len(text.encode())}"


class Client:
    """Asks the daemon as a process does that has read this text in its spine.conf."""

    def __init__(self, daemon, text, *arguments):
        poller = daemon.poller
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(HANG_S)
        self._socket.connect(str(daemon.socket))
        argv = [str(a) for a in poller.command(*arguments, first=0, last=50)]
        version = re.search(r"\(spine (\S+),", poller.binary.version)[1]
        words = ["poll", version, os.path.realpath(poller.conf), digest_of(text), "1", str(os.getpid()),
                 str(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000), "/", "18", str(len(argv)), *argv, "PATH=/bin"]
        with open(os.devnull, "wb") as null:
            socket.send_fds(self._socket, [b"".join(w.encode() + b"\0" for w in words)], [null.fileno()] * 2)

    def hears(self):
        return self._socket.recv(1 << 16).decode().rstrip("\0").split("\0")

    def go(self):
        """Until the end of the cycle, which is returned."""
        self._socket.send(b"go\0")
        for _ in range(10):
            heard = self.hears()
            if heard[0] not in ("begun", "until"):
                return heard
        raise AssertionError(heard)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._socket.close()


def test_a_file_that_is_half_written_hurts_no_cycle(site, snmpd, plain_poller):
    expected = seed(site, snmpd)
    with Resident(plain_poller, Reload_Debounce_ms=NEVER_MS) as daemon:
        good = plain_poller.conf.read_text()
        with Client(daemon, good) as client:
            assert client.hears() == ["offer"]
            plain_poller.conf.write_text("DB_Host nowhere.invalid\nDB_Po")
            assert client.go() == ["ended", "0", "0"]
        assert_stored(site, expected)
        site.take_outputs()
        with Client(daemon, good) as client:
            assert client.hears() == ["offer"]
            assert client.go() == ["ended", "0", "0"]
        assert_stored(site, expected)
        assert not readings(daemon)


def test_a_client_that_has_read_a_changed_file_need_not_wait_for_its_rest(site, snmpd, plain_poller):
    expected = seed(site, snmpd)
    with Resident(plain_poller, Reload_Debounce_ms=NEVER_MS) as daemon:
        replace(plain_poller, Daemon_Cycles=5)
        assert_polls(plain_poller, 1)
        assert_stored(site, expected)
        wait_for_line(daemon, "other values: Daemon_Cycles")


def test_a_client_that_has_read_another_state_is_refused(site, plain_poller):
    with Resident(plain_poller, Reload_Debounce_ms=NEVER_MS) as daemon:
        good = plain_poller.conf.read_text()
        with Client(daemon, good + "# before\n") as client:
            assert client.hears() == ["refused", "the process has read another state of the configuration file"]
        with Client(daemon, good) as client:
            assert client.hears() == ["offer"]
        assert "WARNING" not in daemon.log()


def test_a_cycle_keeps_the_configuration_that_it_began_with(site, snmpd, plain_poller):
    """It goes on and ends as if nothing had been written."""
    expected = seed(site, snmpd)
    with Resident(plain_poller, Reload_Debounce_ms=20) as daemon, held_device(site) as device:
        with plain_poller.start(first=99, last=99) as running:
            device.wait_for_request()
            replace(plain_poller, DB_Pass="another", DB_Port=1)
            wait_for_line(daemon, "other values: ")
            running.signal(signal.SIGTERM)
            assert running.wait().status == -signal.SIGTERM
        assert all(c["end_time"] for c in site.cycles())
        replace(plain_poller)
        wait_for_line(daemon, "other values: ", 2)
        assert_polls(plain_poller, 2)
    assert_stored(site, expected)


# ---- where the kernel does not tell ----


class Deaf(Resident):
    """A daemon in a user namespace whose kernel gives no inotify instance."""

    def arguments(self):
        return ["unshare", "--user", "--map-root-user", "sh", "-c",
                'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"', "sh", *super().arguments()]


def failing(build, call, number):
    return {"LD_PRELOAD": str(build.binary.path.parent / "tests/support/failcall.so"), "FAIL_CALL": call, "FAIL_NTH": "1",
            "FAIL_EVERY": "1", "FAIL_ERRNO": str(number)}


REFUSED = {
    "no instance": ("inotify_init1", errno.EMFILE, "max_user_instances"),
    "no watch": ("inotify_add_watch", errno.ENOSPC, "max_user_watches is reached"),
    "no right": ("inotify_add_watch", errno.EACCES, "cannot be watched: Permission denied"),
    "not in this kernel": ("inotify_init1", errno.ENOSYS, "Function not implemented"),
}


def assert_looks(site, poller, daemon, why):
    wait_for_line(daemon, "WARNING: the kernel does not report changes of")
    assert why in daemon.log()
    replace(poller, Daemon_Cycles=5, Watch_Poll_s=1)
    wait_for_line(daemon, "other values: Daemon_Cycles")
    assert_polls(poller, 1)
    assert daemon.log().count("WARNING") == 1, daemon.log()


@pytest.mark.parametrize("case", REFUSED)
def test_where_the_kernel_does_not_tell_the_file_is_looked_at(build, site, plain_poller, case):
    call, number, why = REFUSED[case]
    with Resident(plain_poller, env=failing(build, call, number), Watch_Poll_s=1, Reload_Debounce_ms=20) as daemon:
        assert_looks(site, plain_poller, daemon, why)


def test_where_the_limit_of_inotify_is_reached_the_file_is_looked_at(site, plain_poller):
    tried = subprocess.run(["unshare", "--user", "--map-root-user", "sh", "-c", "echo 0 >/proc/sys/user/max_inotify_instances"],
                           capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"no user namespace with a limit of its own: {tried.stderr}")
    with Deaf(plain_poller, Watch_Poll_s=1, Reload_Debounce_ms=20) as daemon:
        assert_looks(site, plain_poller, daemon, "max_user_instances")


def test_without_watch_fallback_a_change_counts_when_the_next_cycle_is_handed_over(build, site, snmpd, plain_poller):
    expected = seed(site, snmpd)
    with Resident(plain_poller, env=failing(build, "inotify_init1", errno.EMFILE), Watch_Fallback="off") as daemon:
        wait_for_line(daemon, "are not seen before a cycle is handed over")
        replace(plain_poller, Daemon_Cycles=5)
        assert_polls(plain_poller, 1)
        wait_for_line(daemon, "other values: Daemon_Cycles")
        assert daemon.log().count("WARNING") == 1, daemon.log()
    assert_stored(site, expected)
