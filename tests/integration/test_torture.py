"""Cycles in which one call of the C library fails: of sockets, files, processes, threads and memory.

A plain run tries TORTURE_SAMPLE of some 1,000 cases a way, others each time; `make check-fault` tries all of them (TORTURE_SAMPLE=all),
TORTURE_CALLS names some functions, TORTURE_SEED repeats a sample.
"""

import os
import random

import pytest

from support import torture
from support.torture import Case, Torture


@pytest.fixture
def tortured(build, site, poller, agents, work):
    keys = torture.seed_site(site, agents(torture.SPEC).port, work / "php")
    poller.write_conf(poller.conf_text(Spool_File=work / "spool", Metrics_File=work / "metrics", Event_Log=work / "events"))
    t = Torture(site, poller, torture.file_of(build), keys)
    whole = t.count()
    assert whole.status == 0 and len(t.right) == len(keys), whole
    return t


def test_one_call_that_fails_costs_what_is_told_and_nothing_else(tortured):
    sample = os.environ.get("TORTURE_SAMPLE", "16")
    seed = int(os.environ.get("TORTURE_SEED") or random.randrange(1 << 30))
    cases = tortured.cases(None if sample == "all" else int(sample), seed)
    only = os.environ.get("TORTURE_CALLS", "").split()
    cases = [case for case in cases if not only or case.call in only]
    found = []
    for case in cases:
        found += tortured.run(case)
        if len(found) > 20:
            break
    print(f"{len(cases)} cases of {sum(tortured.counts.values())} calls, seed {seed}")
    assert not found, f"TORTURE_SEED={seed}, {len(found)} findings\n" + "\n".join(found[:20])


@pytest.mark.parametrize("call", ["poll", "recvfrom", "sendto", "read", "read_pipe", "read_socket", "write", "write_pipe", "write_socket",
                                  "waitid", "epoll_wait"])
def test_interrupted_calls_are_not_noticed(tortured, call):
    if call not in tortured.counts:
        return  # this way does without it
    run = tortured.run(Case(call, 1, "EINTR", every=3))
    assert not run, run
    assert {key: rows[0][1] for key, rows in tortured.site.outputs().items() if key[1] != "u"} == {
        key: value for key, value in tortured.right.items() if key[1] != "u"}


def test_the_oracle_sees_what_does_not_hold(tortured):
    """A fault that is planted beside the run: a value that no device has given, and a device that is down."""
    poll = tortured._poll

    def meddle(env):
        run = poll(env)
        tortured.site.sql("UPDATE poller_output SET output = '4711' WHERE rrd_name = 't' LIMIT 1")
        tortured.site.sql("UPDATE host SET status = 1 WHERE id = 1")
        tortured.site.sql("UPDATE poller_time SET end_time = 0")
        return run

    tortured._poll = meddle
    found = tortured.run(Case("waitid", 1, "EINTR"))
    assert len(found) == 3, found
