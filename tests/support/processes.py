"""Which processes a run has left, and a run that is searched for them.

Everything that is started inherits a mark in its environment, so that what ran away (double fork, setsid, another
parent) is found, too.
"""

import os
import pathlib
import signal

MARK = "SPINE_TEST_MARK"


def marked(text):
    """{pid: command line} of the processes that were started with this mark and live, or are not reaped."""
    wanted = f"{MARK}={text}".encode()
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            pass  # it has exited meanwhile, or belongs to another user
    return found


def run_alone(poller, *extra, env=None, **how):
    """poller.run, after which no process is left that it or its children have started."""
    text = f"{os.getpid()}.{poller.directory}"
    run = poller.run(*extra, env={MARK: text, **(env or {})}, **how)
    left = marked(text)
    for pid in left:
        os.kill(pid, signal.SIGKILL)  # not for the next test to stumble over
    assert not left, f"still running: {left}\n{run!r}"
    return run
