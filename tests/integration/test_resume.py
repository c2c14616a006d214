"""A cycle that was stopped leaves which devices are done; `--resume` polls the others within its interval."""

import contextlib
import os
import re
import signal
import stat
import time
import zlib

import pytest

from support.checks import assert_stored
from support.lab import wait_until
from support.resident import Resident

from conftest import SYSTEM_GROUP, held_device

OBJECT = ".1.3.6.1.4.1.99999.1"
DEVICES, ITEMS, HELD = 6, 4, 99
RESUMED = "NOTE: An interrupted cycle is resumed"
REFUSED = "WARNING: Nothing is resumed from"


class Interrupted:
    """A site with devices that answer and one that does not; a cycle of it is stopped while it waits for that one."""

    def __init__(self, site, farm, poller, base):
        self.site, self.farm, self.poller, self.base = site, farm, poller, base
        devices = site.add_devices([{"id": n, "hostname": f"127.9.0.{n}", "snmp_port": farm.port}
                                    for n in range(1, DEVICES + 1)])
        items = [(d["id"], n, d) for d in devices for n in range(1, ITEMS + 1)]
        keys = site.add_items([{"device": d, "arg1": f"{OBJECT}.{n}", "rrd_name": "v"} for _, n, d in items])
        self.expected = {key: str(100 + n) for key, (_, n, _) in zip(keys, items)}
        self.path = base.with_name(f"{base.name}.1.0-{HELD}")

    def poll(self, *arguments):
        return self.poller.run(*arguments, first=0, last=HELD)

    def stop(self, held, *arguments, number=signal.SIGTERM, stored=None):
        """The cycle is stopped when everything else is stored."""
        stored = len(self.expected) if stored is None else stored
        with self.poller.start(*arguments, first=0, last=HELD) as running:
            held.wait_for_request()
            wait_until(lambda: len(self.site.outputs()) == stored, "the other devices to be stored")
            running.signal(number)
            run = running.wait()
        assert run.status == -number, run
        return run

    def asked(self):
        """How many requests the devices that answer have had."""
        return len(self.farm.log)

    def give_held_one_item(self):
        """The silent device answers from now on."""
        self.site.sql("UPDATE host SET hostname = '127.9.0.99', snmp_port = %s, snmp_timeout = 500 WHERE id = 99", self.farm.port)
        self.site.sql("UPDATE poller_item SET hostname = '127.9.0.99', snmp_port = %s, snmp_timeout = 500 WHERE host_id = 99", self.farm.port)


@pytest.fixture
def farm(agents):
    return agents(SYSTEM_GROUP + "".join(f"object {OBJECT}.{n} int {100 + n}\n" for n in range(1, ITEMS + 1)) +
                  f"agent 127.9.0.1-127.9.0.{DEVICES}\nagent 127.9.0.99\n", log=True)


def case_of(site, farm, poller, base, **keys):
    poller.keys = {**poller.keys, **keys}
    poller.write_conf(poller.conf_text())
    return Interrupted(site, farm, poller, base)


@pytest.fixture
def interrupted(site, farm, poller, work):
    return case_of(site, farm, poller, work / "checkpoint", Checkpoint_File=work / "checkpoint")


@contextlib.contextmanager
def held(case):
    """The device that does not answer, with an item."""
    with held_device(case.site, HELD) as device:
        host = {k: v for k, v in case.site.device(HELD).items() if v is not None}
        case.keys_held = case.site.add_items([{"device": host, "arg1": f"{OBJECT}.1", "rrd_name": "v"}])
        yield device


def resume(case):
    """Nothing of the devices that are done is asked again, and each item is stored once, over both runs."""
    case.give_held_one_item()
    before = [line.address for line in case.farm.log]
    run = case.poll("--resume")
    assert run.status == 0, run
    assert len(run.log_lines(RESUMED)) == 1, run
    after = [line.address for line in case.farm.log][len(before):]
    assert set(after) == {"127.9.0.99"}, "devices that were done were asked again"
    assert_stored(case.site, case.expected | {case.keys_held[0]: "101"})
    assert [bool(c["end_time"]) for c in case.site.cycles()] == [True, True]
    assert not case.path.exists()
    return run


def test_a_stopped_cycle_is_resumed_with_the_devices_that_are_left(interrupted):
    with held(interrupted) as device:
        run = interrupted.stop(device)
    lines = run.log_lines("WARNING: The cycle was interrupted: ")
    assert len(lines) == 1 and f"1 of {DEVICES + 1} devices are unfinished ({HELD}); --resume polls them" in lines[0], run
    assert stat.S_IMODE(os.stat(interrupted.path).st_mode) == 0o600
    assert f"\ndone 1-{DEVICES}\nsum " in interrupted.path.read_text()
    assert "Devices:1 " in resume(interrupted).log_lines("STATS: ")[0]


def test_the_file_is_beside_the_spool_file_if_it_has_no_name(site, farm, plain_poller, work):
    case = case_of(site, farm, plain_poller, work / "spool.checkpoint", Spool_File=work / "spool")
    with held(case) as device:
        case.stop(device)
    resume(case)


@pytest.mark.libevent(True)
@pytest.mark.alone("it starts daemons itself")
def test_a_stopped_cycle_in_a_daemon_is_resumed_in_the_daemon(interrupted):
    with Resident(interrupted.poller) as daemon, held(interrupted) as device:
        interrupted.stop(device)
        resume(interrupted)
        assert daemon.state()["cycles"]["ended"] == 2


@pytest.mark.libevent(True)
@pytest.mark.alone("it starts daemons itself")
def test_a_cycle_that_is_stopped_with_its_daemon_is_resumed_without(interrupted):
    with Resident(interrupted.poller) as daemon, held(interrupted) as device:
        with interrupted.poller.start(first=0, last=HELD) as running:
            device.wait_for_request()
            wait_until(lambda: len(interrupted.site.outputs()) == len(interrupted.expected), "the others to be stored")
            daemon.process.send_signal(signal.SIGTERM)
            assert running.wait().status == -signal.SIGTERM
        assert daemon.wait_for_end() == 0
        resume(interrupted)


def test_a_resumed_cycle_that_is_stopped_again_is_resumed_once_more(interrupted):
    with held(interrupted) as device:
        interrupted.stop(device)
        first = interrupted.path.read_text()
        run = interrupted.stop(device, "--resume")
        assert run.log_lines(RESUMED) and interrupted.path.read_text() == first
    interrupted.site.sql("DELETE FROM poller_time ORDER BY id LIMIT 1")
    resume(interrupted)


def test_the_next_cycle_forgets_what_was_interrupted(interrupted):
    with held(interrupted) as device:
        interrupted.stop(device)
    interrupted.give_held_one_item()
    interrupted.site.take_outputs()
    run = interrupted.poll()
    assert run.status == 0 and not run.log_lines("resumed"), run
    assert not interrupted.path.exists()
    assert_stored(interrupted.site, interrupted.expected | {interrupted.keys_held[0]: "101"})


def rewrite(text, **lines):
    """The text with other lines, and the sum that belongs to them."""
    for word, value in lines.items():
        text = re.sub(rf"(?m)^{word} .*$", f"{word} {value}", text)
    body = text[:text.rindex("sum ")]
    return f"{body}sum {zlib.crc32(body.encode()):08x}\n"


WRONG = {
    "another poller's": lambda text: rewrite(text, poller=2),
    "of another database": lambda text: rewrite(text, database="other"),
    "of other devices": lambda text: rewrite(text, devices="0-5"),
    "too old": lambda text: rewrite(text, start=int(time.time()) - 300),
    "from the future": lambda text: rewrite(text, start=int(time.time()) + 300),
    "of another interval": lambda text: rewrite(text, interval=60),
    "nearly over": lambda text: rewrite(text, start=int(time.time()) - 290),
    "cut": lambda text: text[:-5],
    "changed": lambda text: text.replace("done 1-6", "done 1-99"),
    "another file": lambda text: "precious\n",
    "gone": lambda text: None,
}


@pytest.mark.first_build
@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_to_be_resumed_is_said_and_everything_is_polled(site, farm, plain_poller, work, case):
    interrupted = case_of(site, farm, plain_poller, work / "checkpoint", Checkpoint_File=work / "checkpoint")
    with held(interrupted) as device:
        interrupted.stop(device)
    text = WRONG[case](interrupted.path.read_text())
    if text is None:
        interrupted.path.unlink()
    else:
        interrupted.path.write_text(text)
    interrupted.give_held_one_item()
    interrupted.site.take_outputs()
    run = interrupted.poll("--resume")
    assert run.status == 0 and len(run.log_lines(REFUSED)) == 1, run
    assert_stored(interrupted.site, interrupted.expected | {interrupted.keys_held[0]: "101"})
    assert interrupted.path.exists() == (case in ("cut", "changed", "another file")), "only a checkpoint is removed"


def test_rows_that_were_lost_are_polled_again(site, server, farm, poller, work):
    """The database goes away and stays away, and there is no spool file: nothing counts as done."""
    server.make_durable()
    case = case_of(site, farm, poller, work / "checkpoint", Checkpoint_File=work / "checkpoint")
    site.threads(1)
    with held(case) as device:
        with poller.start(first=0, last=HELD) as running:
            device.wait_for_request()
            site.wait_for_open_cycle()
            server.kill()
            device.let_go()
            wait_until(lambda: case.asked() >= DEVICES, "the others to be asked")
            running.signal(signal.SIGTERM)
            run = running.wait()
        server.start()
    assert not case.path.exists(), run


def test_it_says_so_where_nothing_can_be_resumed(site, farm, plain_poller):
    run = plain_poller.run("--resume", first=0, last=50)
    assert run.status == 0 and "that needs Checkpoint_File or Spool_File" in run.log, run
