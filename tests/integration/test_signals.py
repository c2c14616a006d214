"""A poller that is told to stop, or runs out of time: what is complete is stored and its row in poller_time closed."""

import os
import signal

import pytest

from support.lab import SilentDevice
from support.snmpd import PLAYPEN

from conftest import real_value


@pytest.fixture
def silent(site):
    """Devices 1...40, silent for so long that no test waits for their end; `threads` of them are asked at once."""
    with SilentDevice() as device:
        site.settings(snmp_retries=5)
        for id in range(1, 41):
            host = site.add_device(id, port=device.port, snmp_timeout=20000)
            site.add_snmp_item(host, f"{PLAYPEN}.1.1", rrd_name="x")
        yield device


SIGNALS = [
    (signal.SIGTERM, "FATAL"),
    (signal.SIGINT, "Spine Interrupted by Console Operator"),
    (signal.SIGQUIT, "Spine Encountered a Keyboard Quit Command"),
    (signal.SIGHUP, "FATAL"),
]


@pytest.mark.parametrize("number, text", SIGNALS, ids=[number.name for number, _ in SIGNALS])
def test_a_signal_in_mid_cycle_closes_the_row_and_ends_the_poller(site, silent, poller, number, text):
    with poller.start(first=0, last=40) as running:
        silent.wait_for_request()
        assert site.wait_for_open_cycle()["pid"] == running.pid
        running.signal(number)
        run = running.wait()
    assert run.status == -number, run
    assert [c["end_time"] is not None for c in site.cycles()] == [True], "poller_time row left open"
    assert len(run.log_lines(text)) == 1, run
    assert not site.outputs()


def test_results_complete_before_the_signal_are_stored(site, snmpd, silent, poller):
    """The healthy device is the first in the queue: ordered by polling time, slowest first."""
    site.threads(2)
    healthy = site.add_device(50, port=snmpd.port, polling_time=9)
    expected = {site.add_snmp_item(healthy, f"{PLAYPEN}.1.{n}", rrd_name=f"v{n}"): [str(real_value(1, n))]
                for n in range(1, 6)}
    with poller.start("-V", "3", first=0, last=50) as running:
        silent.wait_for_request()
        silent.wait_for_request()  # both threads are busy with silent devices: the healthy one is done
        running.signal(signal.SIGTERM)
        run = running.wait()
    assert run.status == -signal.SIGTERM, run
    assert site.take_outputs() == expected
    assert site.cycles()[0]["end_time"] is not None


def test_the_end_of_the_interval_stores_what_is_complete_and_closes_the_row(site, snmpd, silent, poller):
    site.settings(poller_interval=5, log_verbosity=3)
    site.threads(2)
    healthy = site.add_device(50, port=snmpd.port, polling_time=9)
    key = site.add_snmp_item(healthy, f"{PLAYPEN}.1.1", rrd_name="x")
    run = poller.run(first=0, last=50)
    assert run.status == 75, run
    assert site.cycles()[0]["end_time"] is not None
    assert site.take_outputs()[key] == [str(real_value(1, 1))]
    assert run.log.splitlines()[-1].endswith("Threads: 2, Devices: 41"), run


def test_two_signals_end_the_poller_at_once(site, silent, poller):
    with poller.start(first=0, last=40) as running:
        silent.wait_for_request()
        running.signal(signal.SIGTERM)
        running.signal(signal.SIGTERM)
        run = running.wait()
    assert run.status == -signal.SIGTERM, run


def test_a_reader_of_the_output_that_went_away_does_not_end_a_cycle(site, snmpd, poller):
    device = site.add_device(1, port=snmpd.port)
    key = site.add_snmp_item(device, f"{PLAYPEN}.1.1", rrd_name="x")
    read_end, write_end = os.pipe()
    os.close(read_end)
    with poller.start("--stdout", "-V", "3", first=0, last=1, stdout=write_end) as running:
        os.close(write_end)
        run = running.wait()
    assert run.status == 0, run
    assert site.take_outputs() == {key: [str(real_value(1, 1))]}
    assert site.cycles()[0]["end_time"] is not None
