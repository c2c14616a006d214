"""Cycles that a daemon carries out while their clients, the daemon or the database are killed, anywhere in them.

KILL_COUNT, KILL_SEED and KILL_SECONDS (how long an end may take) choose how often, where and how fast;
`make check-kill-daemon COUNT=50` does each of them 50 times.
"""

import os
import random

import pytest

from support.killloop import SPEC, DaemonKillLoop, ResidentKillLoop, kill_database, seed_site
from support.lab import wait_until
from support.poller import LOOPS, Poller
from support.resident import Resident

from test_database_faults import KILL_DEVICES, durable, five_hundred  # noqa: F401
from test_kill_loop import use_slow_server

pytestmark = [pytest.mark.libevent(True), pytest.mark.alone("it starts daemons itself")]


@pytest.fixture
def pollers(build, site, work):
    """One for each way to run a cycle, with one spine.conf, so that one daemon polls for all of them."""
    return {loop: Poller(build.binary, site, work / "poller", loop=loop) for loop in LOOPS}


def count_of(default):
    return int(os.environ.get("KILL_COUNT", default))


@pytest.mark.parametrize("kills", (ResidentKillLoop, DaemonKillLoop), ids=("clients", "daemons"))
def test_each_cycle_is_polled_once_and_closed_if_one_side_is_killed_at_any_moment(site, work, agents, pollers, kills):
    seed = int(os.environ.get("KILL_SEED") or random.randrange(1 << 30))
    seconds = float(os.environ["KILL_SECONDS"]) if "KILL_SECONDS" in os.environ else None
    tally = work / "tally"
    use_slow_server(site, work)
    seed_site(site, agents(SPEC).port, tally)
    with Resident(pollers["async"]) as daemon:
        idle = daemon.threads()
        whole = [poller.run(first=0, last=99) for poller in pollers.values()]
        assert all(run.status == 0 for run in whole), whole
        wait_until(lambda: daemon.threads() == idle, "the thread of the last cycle to end")
        loop = kills(site, pollers, max(run.seconds for run in whole), seed, daemon, tally, seconds=seconds)
        found = loop.run(count_of(6))
    print(f"{count_of(6)} kills, seed {seed}, statuses {loop.ended}, slowest end {loop.slowest:.2f} s after the signal")
    assert not found, f"KILL_SEED={seed}\n" + "\n".join(found)


def test_a_database_killed_at_any_moment_of_a_cycle_in_the_daemon_costs_nothing(site, five_hundred, pollers):  # noqa: F811
    durable(site)
    with Resident(pollers["async"]) as daemon:
        kill_database(site, list(pollers.values()), five_hundred, count_of(1), KILL_DEVICES, os.environ.get("KILL_SEED"))
        assert daemon.state()["cycles"]["given_up"] == 0
