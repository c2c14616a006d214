"""Cycles in each of which one call of the C library fails, and what must hold afterwards.

    torture = Torture(site, poller, library)
    for case in torture.cases(sample=20, seed=1):
        problems = torture.run(case)

A first run counts the calls; each case then names one of them and an error that it may have. `make check-fault` tries
all of them.
"""

import collections
import errno
import random
import re
import signal
import struct

from . import cacti
from .checks import accounts
from .traces import Traces

#: What fails, and how. Not here: close(), which has no error that one could act on, and clocks.
CALLS = {
    "socket": ("EMFILE", "ENOBUFS", "EACCES"),
    "socketpair": ("EMFILE",),
    "bind": ("EADDRINUSE", "EACCES"),
    "connect": ("ENETUNREACH", "EAGAIN"),
    "setsockopt": ("ENOBUFS",),
    "getsockopt": ("ENOBUFS",),
    "send": ("EINTR", "ECONNRESET", "EPIPE"),
    "sendto": ("ENOBUFS", "EPERM", "EAGAIN", "EINTR"),
    "sendmsg": ("ENOBUFS", "EINTR"),
    "recv": ("EINTR", "ECONNRESET"),
    "recvfrom": ("EAGAIN", "EINTR", "ECONNREFUSED"),
    "recvmsg": ("EAGAIN", "EINTR"),
    "pipe2": ("EMFILE",),
    "epoll_create1": ("EMFILE",),
    "epoll_ctl": ("ENOMEM", "ENOSPC"),
    "epoll_wait": ("EINTR",),
    "poll": ("EINTR", "ENOMEM"),
    "eventfd": ("EMFILE",),
    "timerfd_create": ("EMFILE",),
    "signalfd": ("EMFILE",),
    "open": ("EMFILE", "EACCES"),
    "openat": ("EMFILE",),
    "fopen": ("EMFILE",),
    "opendir": ("EMFILE",),
    "read": ("EINTR", "EIO"),
    "read_pipe": ("EINTR",),
    "read_socket": ("EINTR",),
    "write": ("EINTR", "ENOSPC", "EIO"),
    "write_pipe": ("EINTR",),  # both ends are ours, or a child is at the other one, which has tests of its own
    "write_socket": ("EINTR", "ENOBUFS"),
    "pwrite": ("ENOSPC",),
    "fsync": ("EIO",),
    "ftruncate": ("EIO",),
    "rename": ("EACCES",),
    "fstat": ("EIO",),
    "stat": ("EACCES",),
    "clone": ("EAGAIN", "ENOMEM"),
    "fork": ("EAGAIN",),
    "waitid": ("EINTR",),
    "pthread_create": ("EAGAIN",),
    "getrandom": ("EINTR", "ENOSYS"),
    "malloc": ("ENOMEM",),
    "calloc": ("ENOMEM",),
    "realloc": ("ENOMEM",),
}
#: Lack of something of the machine: says nothing about a device.
OURS = {"EMFILE", "ENOBUFS", "ENOMEM", "ENOSPC", "EAGAIN", "EINTR", "EIO", "EACCES", "EPERM"}
MEMORY = ("malloc", "calloc", "realloc")
#: Of sysexits(3), as docs/operations.md lists them.
STATUSES = {0, 69, 70, 71, 75, 78}

SPEC = """object .1.3.6.1.2.1.1.3.0 timeticks @uptime
object .1.3.6.1.2.1.31.1.1.1.6.{1-6} counter64 @mix
agent 127.7.0.1-127.7.0.3
"""
#: Answers each request of a script server at once; the line it prints first is the one that Cacti's own prints.
SERVER = """#!/bin/sh
echo "PHP Script Server has Started - Parent is spine"
while read line; do
    [ "$line" = quit ] && exit 0
    echo 1
done
"""

Case = collections.namedtuple("Case", "call nth error every", defaults=(0,))


def seed_site(site, port, php):
    """SNMP devices by v2c and v3, one of which is pinged, scripts and a script server. Returns the keys of all items."""
    php.write_text(SERVER, encoding="utf-8")
    php.chmod(0o755)
    site.settings(path_php_binary=php, php_servers=1, snmp_retries=1, log_verbosity=3)
    devices = site.add_devices([
        {"id": 1, "hostname": "127.7.0.1", "snmp_port": port, "snmp_timeout": 500},
        {"id": 2, "hostname": "127.7.0.2", "snmp_port": port, "snmp_timeout": 500, "availability_method": 3, "ping_method": 1,
         "ping_timeout": 500, "ping_retries": 1},
        {"id": 3, "hostname": "127.7.0.3", "snmp_port": port, "snmp_timeout": 500, "snmp_version": 1},
        {"id": 4, "hostname": "127.0.0.1", "availability_method": 0}])
    items = [{"device": d, "arg1": f".1.3.6.1.2.1.31.1.1.1.6.{k}", "rrd_name": "t"} for d in devices[:2] for k in range(1, 7)]
    items += [{"device": devices[2], "arg1": ".1.3.6.1.2.1.1.3.0", "rrd_name": "u"}]
    items += [{"device": devices[3], "action": cacti.SCRIPT, "rrd_name": "s", "arg1": f"/bin/echo {n}"} for n in (7, 8)]
    items += [{"device": devices[3], "action": cacti.SCRIPT_SERVER, "rrd_name": "p", "arg1": "x.php f", "arg2": "1"}]
    keys = site.add_items(items)
    site.threads(4)
    return keys


class Torture:
    def __init__(self, site, poller, library, keys):
        self.site, self.poller, self.library, self.keys = site, poller, library, keys
        self.spool = poller.directory / "spool"
        self.counts = {}
        self.right = {}

    def count(self):
        """The calls of a run in which nothing fails: {name: number}. Returns its Run."""
        file = self.poller.directory / "calls"
        run = self._poll({"FAIL_COUNTS": str(file)})
        data = file.read_bytes()
        pairs = (struct.unpack_from("24sQ", data, at) for at in range(0, len(data), 32))
        self.counts = {name.rstrip(b"\0").decode(): n for name, n in pairs if n > 0}
        self.right = {key: rows[0][1] for key, rows in self.site.outputs().items()}
        return run

    def cases(self, sample=None, seed=0):
        """All of them, or a sample in which each function comes in turn."""
        every = {name: [Case(name, nth, error) for nth in range(1, self.counts.get(name, 0) + 1) for error in errors]
                 for name, errors in CALLS.items()}
        if sample is None:
            return [case for cases in every.values() for case in cases]
        dice = random.Random(seed)
        names = [name for name, cases in every.items() if cases]
        dice.shuffle(names)
        return [dice.choice(every[names[i % len(names)]]) for i in range(sample)]

    def run(self, case):
        """What does not hold, as texts."""
        env = {"FAIL_CALL": case.call, "FAIL_NTH": str(case.nth), "FAIL_EVERY": str(case.every),
               "FAIL_ERRNO": str(getattr(errno, case.error))}
        traces = Traces()
        self.spool.unlink(missing_ok=True)
        run = self._poll({**env, **traces.env})
        found = [*self._look_at_end(case, run), *self._look_at_rows(run), *self._look_at_devices(case)]
        traces.wait_gone()
        last = "\n    ".join((run.stderr + run.log).splitlines()[-4:])
        return [f"{case.call} {case.nth} {case.error}: status {run.status}, {text}\n    {last}" for text in found]

    def _poll(self, env):
        for table in ("poller_output", "poller_time"):
            self.site.sql(f"DELETE FROM {table}")
        self.site.sql("UPDATE host SET status = 3, status_event_count = 0, status_last_error = ''")
        return self.poller.run(first=0, last=99, env={"LD_PRELOAD": str(self.library), **env})

    def _look_at_end(self, case, run):
        no_memory = run.status == -signal.SIGABRT and case.call in MEMORY and "out of memory" in run.log + run.stderr
        if run.status not in STATUSES and not no_memory:
            yield f"it ended with {run.status}"
        if run.status != 0 and not re.search("ERROR|WARNING|FATAL", run.log + run.stderr):
            yield "it has failed and has not said why"
        rows = self.site.cycles()
        if len(rows) > 1:
            yield f"{len(rows)} rows of poller_time"
        if any(row["end_time"] is None for row in rows) and not no_memory and "poller_time row" not in run.log:
            yield "an open row of poller_time, and nothing about it"

    def _look_at_rows(self, run):
        stored = self.site.outputs()
        twice = [key for key, rows in stored.items() if len(rows) > 1]
        wrong = {key: rows[0][1] for key, rows in stored.items()
                 if rows[0][1] not in ("U", self.right.get(key)) and key[1] != "u"}
        if twice or wrong or stored.keys() - set(self.keys):
            yield f"rows that no device has given: {twice} {wrong} {stored.keys() - set(self.keys)}"
        if run.status == 0 and stored.keys() != set(self.keys):
            yield "not all is stored, and the exit status is 0"
        if "Items: " in run.log:
            expected, here, spooled, lost = accounts(run)
            if expected != here + spooled + lost or here > len(stored):
                yield f"{accounts(run)} rows are told, {len(stored)} are stored"

    def _look_at_devices(self, case):
        down = self.site.sql("SELECT id, status_last_error FROM host WHERE status = 1 OR status_event_count > 0")
        if down and case.error in OURS:
            yield f"a fault of this machine makes devices down: {down}"


def file_of(build):
    return build.binary.path.parent / "tests/support/failcall.so"
