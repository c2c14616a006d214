"""Many cycles in a row on one site: nothing grows. SOAK_CYCLES chooses how many; `make check-soak` runs 1,000."""

import os

from support import torture
from support.traces import Traces


def connections(site):
    return site.sql("SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE USER = 'cactiuser'")[0]["n"]


def files_of(directory):
    return sorted(p.relative_to(directory).as_posix() for p in directory.rglob("*"))


def is_flat(sizes):
    """The last fifth takes hardly more memory than the first."""
    fifth = max(1, len(sizes) // 5)
    return max(sizes[-fifth:]) <= max(sizes[:fifth]) * 1.2


def test_growth_would_be_seen():
    assert is_flat([100, 103, 99] * 10) and not is_flat([100 + n for n in range(30)])


def test_nothing_grows_from_cycle_to_cycle(site, poller, agents, work):
    count = int(os.environ.get("SOAK_CYCLES", 20))
    keys = torture.seed_site(site, agents(torture.SPEC).port, work / "php")
    poller.write_conf(poller.conf_text(Spool_File=work / "spool", Metrics_File=work / "metrics", Report_File=work / "report"))
    traces, sizes, files = Traces(), [], None
    for cycle in range(count):
        site.sql("DELETE FROM poller_output")
        run = poller.run(first=0, last=99, env=traces.env)
        assert run.status == 0 and site.outputs().keys() == set(keys), (cycle, run)
        sizes.append(run.usage.ru_maxrss)
        if cycle == 1:
            files = files_of(work / "poller")
    traces.wait_gone()
    assert connections(site) == 0
    assert files_of(work / "poller") == files
    assert [c for c in site.cycles() if c["end_time"] is None] == [] and len(site.cycles()) == count
    print(f"{count} cycles, at most {max(sizes)} KiB, {sizes[-1]} KiB in the last one")
    assert is_flat(sizes), sizes
