"""Pollers killed anywhere in a cycle with SNMP, scripts, script servers and the database at work.

KILL_COUNT and KILL_SEED choose how often and where; `make check-kill` does it 200 times. FLEET_COUNT and FLEET_DEVICES
are those of the fleet, FLEET_SECONDS how long an end may take.
"""

import os
import random
import stat

import pytest

from support.killloop import FLEET_KINDS, SPEC, KillLoop, fleet_spec, seed_fleet, seed_site
from support.poller import LOOPS, Poller

#: A script server that answers, slowly: the line it prints first is the one that Cacti's own prints.
SERVER = """#!/bin/sh
echo "PHP Script Server has Started - Parent is spine"
while read line; do
    [ "$line" = quit ] && exit 0
    sleep 0.2 | cat
    echo 1
done
"""


def use_slow_server(site, work):
    php = work / "php"
    php.write_text(SERVER, encoding="utf-8")
    php.chmod(php.stat().st_mode | stat.S_IXUSR)
    site.settings(path_php_binary=php, php_servers=2)


def test_a_poller_may_be_killed_at_any_moment(build, site, work, agents):
    count = int(os.environ.get("KILL_COUNT", 12))
    seed = int(os.environ.get("KILL_SEED") or random.randrange(1 << 30))
    use_slow_server(site, work)
    seed_site(site, agents(SPEC).port)
    loops = [loop for loop in LOOPS if loop == "off" or build.binary.has_libevent]
    pollers = {loop: Poller(build.binary, site, work / f"poller-{loop}", loop=loop) for loop in loops}
    whole = {loop: p.run(first=0, last=99) for loop, p in pollers.items()}
    assert all(run.status == 0 for run in whole.values()), whole
    kills = KillLoop(site, pollers, max(run.seconds for run in whole.values()), seed)
    found = kills.run(count)
    print(f"{count} kills, seed {seed}, statuses {kills.ended}, slowest end {kills.slowest:.2f} s after the signal")
    assert not found, f"KILL_SEED={seed}\n" + "\n".join(found)


@pytest.mark.libevent(True)
def test_a_poller_with_a_fleet_in_flight_may_be_stopped_at_any_moment(build, site, work, agents):
    """By the way on which all of them wait at once. How long the end takes is printed."""
    count, devices = int(os.environ.get("FLEET_COUNT", 3)), int(os.environ.get("FLEET_DEVICES", 400))
    seed = int(os.environ.get("KILL_SEED") or random.randrange(1 << 30))
    seed_fleet(site, agents(fleet_spec(devices)).port, devices)
    poller = Poller(build.binary, site, work / "poller", loop="async")
    whole = poller.run(first=0, last=devices)
    assert whole.status == 0, whole
    seconds = float(os.environ["FLEET_SECONDS"]) if "FLEET_SECONDS" in os.environ else None
    kills = KillLoop(site, {"async": poller}, whole.seconds, seed, FLEET_KINDS, devices, seconds, whole_devices=True)
    found = kills.run(count)
    print(f"{devices} devices, {count} stops, seed {seed}, statuses {kills.ended}, "
          f"slowest end {kills.slowest:.2f} s after the signal, {kills.stored} rows stored")
    assert not found, f"KILL_SEED={seed}\n" + "\n".join(found)
