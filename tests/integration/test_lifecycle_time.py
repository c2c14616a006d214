"""What the end of the interval and idle waiting cost. Mostly, both paths run side by side, on devices of their own."""

import contextlib
import re
import stat

import pytest

from support import cacti
from support.breaker import MUTE, Breaker
from support.lab import SilentDevice
from support.poller import LOOPS, Poller, cpu_seconds
from support.snmpd import PLAYPEN
from support.traces import Traces

from conftest import real_value

INTERVAL_S = 10
GIVES_UP_S = INTERVAL_S - 2  # poller.php
WAITED_S = 8  # for a device that does not answer
RANGE = 1000  # device ids of one way
BASES = [i * RANGE for i in range(len(LOOPS))]

#: A script server that starts, takes requests, answers none and ignores requests to quit.
WEDGED = """#!/bin/sh
trap '' TERM
echo "PHP Script Server has Started - Parent is spine"
while :; do /bin/sleep 600; done
"""


@contextlib.contextmanager
def side_by_side(build, site, work, *extra):
    """Starts a poller for every path on its range of devices; yields {first id of the range: (loop, Running)}."""
    loops = [loop for loop in LOOPS if loop == "off" or build.binary.has_libevent]
    traces = Traces()
    with contextlib.ExitStack() as stack:
        running = {}
        for i, loop in enumerate(loops):
            poller = Poller(build.binary, site, work / f"poller-{loop}", loop=loop)
            running[i * RANGE] = loop, stack.enter_context(
                poller.start(*extra, first=i * RANGE, last=(i + 1) * RANGE - 1, env=traces.env))
        yield running
    traces.wait_gone()


def add_hopeless(site, base, port, healthy_port):
    """200 dead devices, ten scripts that hang, ten items of a script server that does not answer, one good device."""
    healthy = site.add_device(base + 1, port=healthy_port, polling_time=99)
    good = site.add_snmp_item(healthy, f"{PLAYPEN}.1.1", rrd_name="x")
    dead = site.add_devices([{"id": base + 100 + n, "hostname": "127.0.0.1", "snmp_port": port,
                              "snmp_timeout": 5000} for n in range(200)])
    hanging = site.add_devices([{"id": base + 400 + n, "hostname": "127.0.0.1", "availability_method": 0,
                                 "snmp_version": 0, "polling_time": 50} for n in range(10)])
    items = [{"device": d, "arg1": f"{PLAYPEN}.1.1"} for d in dead]
    items += [{"device": d, "action": cacti.SCRIPT, "arg1": "/bin/sleep 600 | /bin/sleep 601"} for d in hanging]
    items += [{"device": d, "action": cacti.SCRIPT_SERVER, "arg1": "x.php f"} for d in hanging]
    site.add_items(items)
    return good, len(items) + 1


def seconds_said(run, pid):
    """How long it took by the clock of the program, which counts from the start of the process and not until the test has
    noticed the end."""
    return float(re.search(rf"PID\[{pid}\].* Time: (\d+\.\d+) s, Threads: ", run.log)[1])


@pytest.mark.first_build
def test_an_interval_of_10_seconds_with_everything_hanging_ends_before_cacti_gives_up(build, site, work, snmpd):
    php = work / "php"
    php.write_text(WEDGED, encoding="utf-8")
    php.chmod(php.stat().st_mode | stat.S_IXUSR)
    site.settings(poller_interval=INTERVAL_S, snmp_retries=1, path_php_binary=php, php_servers=2)
    site.threads(30)
    with SilentDevice() as dead:
        wanted = {base: add_hopeless(site, base, dead.port, snmpd.port) for base in BASES}
        with side_by_side(build, site, work, "-V", "3") as running:
            runs = {base: r.wait() for base, (_, r) in running.items()}
            starts = {base: r.pid for base, (_, r) in running.items()}
            ways = {base: loop for base, (loop, _) in running.items()}
    stored = site.take_outputs()
    text = site.log.read_text()
    for base, run in runs.items():
        key, due = wanted[base]
        assert run.status == 75, run
        assert seconds_said(run, starts[base]) <= GIVES_UP_S, run
        assert stored[key] == [str(real_value(1, 1))]
        line = next(line for line in text.splitlines() if f"PID[{starts[base]}]" in line and "Items: " in line)
        numbers = [int(n) for n in re.findall(r"\d+", line.split("Items: ")[1])]
        assert numbers[0] == due and sum(numbers[1:5]) == due, line
        # Each dead agent is given up after a third of the time; scripts that hang hold threads, but no place at an address.
        assert numbers[4] >= 200 - (60 if ways[base] == "async" else 30), line
    assert all(c["end_time"] is not None for c in site.cycles())


@pytest.mark.first_build
def test_a_run_whose_database_falls_silent_ends_before_cacti_gives_up(site, server, work, snmpd, poller):
    """By its own clock, which counts from the start of the process."""
    site.settings(poller_interval=INTERVAL_S)
    site.add_snmp_item(site.add_device(1, port=snmpd.port), f"{PLAYPEN}.1.1", rrd_name="x")
    with Breaker(server, work / "breaker") as breaker:
        poller.write_conf(poller.conf_text(DB_Host=breaker.path))
        breaker.on("^INSERT INTO poller_output ", MUTE)
        with poller.start("-V", "3", first=0, last=1) as running:
            run = running.wait()
    assert run.status == 75, run
    assert run.log_lines("1 expected, 0 stored, 0 spooled, 1 lost"), run
    assert seconds_said(run, running.pid) <= GIVES_UP_S, run


@pytest.mark.first_build
def test_waiting_for_one_silent_device_costs_nothing(build, site, work):
    """Fewer than 50 voluntary context switches per second, and a loop that turns would use up the whole time."""
    with SilentDevice() as silent:
        site.settings(snmp_retries=0)
        for base in BASES:
            device = site.add_device(base + 1, port=silent.port, snmp_timeout=WAITED_S * 1000)
            site.add_snmp_item(device, f"{PLAYPEN}.1.1", rrd_name="x")
        with side_by_side(build, site, work) as running:
            runs = [(loop, r._reap(60), r) for loop, r in running.values()]
    for loop, usage, r in runs:
        figures = f"{loop}: {cpu_seconds(usage) * 1000:.1f} ms CPU, {usage.ru_nvcsw} voluntary switches in {WAITED_S} s"
        print(figures)
        assert cpu_seconds(usage) < WAITED_S / 20, figures
        assert usage.ru_nvcsw < 50 * WAITED_S, figures
