"""Many cycles in a row on one site: nothing grows, neither from process to process nor in a daemon that polls all of them.
SOAK_CYCLES chooses how many; `make check-soak` runs 1,000."""

import os

import pytest

from support import torture
from support.lab import wait_until
from support.resident import Resident
from support.traces import Traces


def connections(site):
    return site.sql("SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE USER = 'cactiuser'")[0]["n"]


def files_of(directory):
    return sorted(p.relative_to(directory).as_posix() for p in directory.rglob("*"))


def is_flat(sizes):
    """The last fifth takes hardly more memory than the first."""
    fifth = max(1, len(sizes) // 5)
    return max(sizes[-fifth:]) <= max(sizes[:fifth]) * 1.2


def goes_on_growing(sizes):
    """More than a third of the cycles in the second half take a hundredth more than any before. What a heap takes once, it takes in
    few steps; what is less is seen by the last fifth of many cycles."""
    half = len(sizes) // 2
    records = [n for n in range(half, len(sizes)) if sizes[n] > max(sizes[:n]) * 1.01]
    return len(records) > (len(sizes) - half) // 3


def test_growth_would_be_seen():
    assert is_flat([100, 103, 99] * 10) and not is_flat([100 + n for n in range(30)])
    assert goes_on_growing([100 + 3 * n for n in range(20)]) and goes_on_growing([100 + 6 * (n // 2) for n in range(20)])
    assert not goes_on_growing([100] * 7 + [130] * 5 + [140] * 8)


def soak(site, poller, agents, work, measure, *arguments):
    """SOAK_CYCLES cycles; returns what measure(run) has said after each, which is printed, too."""
    count = int(os.environ.get("SOAK_CYCLES", 20))
    keys = torture.seed_site(site, agents(torture.SPEC).port, work / "php")
    poller.write_conf(poller.conf_text(Spool_File=work / "spool", Metrics_File=work / "metrics", Report_File=work / "report"))
    traces, found, files = Traces(), [], None
    for cycle in range(count):
        site.sql("DELETE FROM poller_output")
        run = poller.run(*arguments, first=0, last=99, env=traces.env)
        assert run.status == 0 and site.outputs().keys() == set(keys), (cycle, run)
        found.append(measure(run))
        if cycle == 1:
            files = files_of(work / "poller")
    traces.wait_gone()
    assert connections(site) == 0
    assert files_of(work / "poller") == files
    assert [c for c in site.cycles() if c["end_time"] is None] == [] and len(site.cycles()) == count
    print(f"{count} cycles, at most {max(found)}, {found[-1]} after the last one")
    return found


def test_nothing_grows_from_cycle_to_cycle(site, poller, agents, work):
    sizes = soak(site, poller, agents, work, lambda run: run.usage.ru_maxrss)
    assert is_flat(sizes), sizes


@pytest.mark.libevent(True)
@pytest.mark.alone("it starts daemons itself")
def test_nothing_grows_in_a_daemon_from_cycle_to_cycle(site, poller, agents, work):
    """The first fifth of them makes what is kept. On a busy machine a process may poll by itself, and says why."""
    by_themselves = []
    with Resident(poller) as daemon:
        def measure(run):
            by_themselves.extend(run.log_lines("has not answered within 200 ms"))
            return daemon.memory_kib(), daemon.threads(), daemon.descriptors()

        found = soak(site, poller, agents, work, measure, "-V", "3")
        _, *held = (min(figures) for figures in zip(*found[1:len(found) // 5 + 2]))  # the last connection may be there still
        wait_until(lambda: [daemon.threads(), daemon.descriptors()] == held, f"{held} threads and descriptors, as early on")
        print(f"{len(by_themselves)} of them polled by the processes themselves")
        assert len(by_themselves) <= len(found) // 2, by_themselves
        assert daemon.state()["cycles"]["ended"] == len(found) - len(by_themselves), "the daemon has polled the others"
    sizes = [size for size, *_ in found[len(found) // 5:]]
    assert not goes_on_growing(sizes), sizes
    assert len(found) < 500 or is_flat(sizes), sizes  # the heaps have their sizes after some hundred cycles
