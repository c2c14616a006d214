"""One cycle with everything that scripts and script servers can do wrong, all at the same time.

Each fault is a data source of a device of its own; between them are good script-server items, which must get their
own values. A test looks at one fault: what was stored for it, and which lines of the log name it.
"""

import dataclasses
import os
import re

from . import cacti, phpsite
from .mariadb import MariaDB
from .poller import Poller
from .processes import run_alone

TIMEOUT_S = 5  # the least that script_timeout can be
SERVERS = 8
GOOD = 60  # script-server items without fault
WRONG = "9992"  # what a script server prints without a request
STARTS = "warn,die,more"  # how the first servers start

STAYS = "while :; do sleep 99; done"
STUBBORN = f"trap '' TERM; {STAYS}"
#: A daemon as in a book: two forks and a session, with the output closed.
DAEMON = ("python3 -c 'import os, time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); "
          "os.close(1); time.sleep(99)'")

#: name: (action, command); {files} is the directory of FILES.
FAULTS = {name: (cacti.SCRIPT, command) for name, command in {
    "a number": "echo 42",
    "prints, then stays": "echo 7; sleep 99",
    "prints half a line, then stays": "printf 12; sleep 99",
    "closes its output, stays": "echo 7; exec >&-; sleep 99",
    "closes its output without printing": "exec >&-; sleep 99",
    "never prints": "sleep 99; :",
    "never prints, nor its helper": "sh -c 'sleep 99; :' | cat",
    "ignores SIGTERM": STUBBORN,
    "double fork": f"{DAEMON}; echo 8",
    "setsid": "(setsid sleep 99 >/dev/null 2>&1 &); echo 8",
    "setsid, holds the output": "(setsid sleep 99 &); echo 8",
    "setsid, ignores SIGTERM": f"(setsid sh -c 'trap \"\" TERM; {STAYS}' >/dev/null 2>&1 &); echo 8",
    "yes": "yes",
    "zeros": "cat /dev/zero",
    "two chunks": "printf 'a:1 '; sleep 0.3; echo b:2",
    "byte by byte": "for i in 1 2 3 4 5 6; do printf $i; done",
    "no newline": "printf 5",
    "CR LF": "printf '5\\r\\n'",
    "NUL": "printf '12\\00034'",
    "8 bit": "printf '\\303\\244\\377\\n'",
    "fails with output": "echo 12; exit 9",
    "fails without output": "exit 9",
    "killed": "kill -KILL $$",
    "core": "echo 4; kill -SEGV $$",
    "not executable": "{files}/no-right 1",
    "no interpreter": "{files}/no-interpreter 1",
    "bad interpreter": "{files}/bad-interpreter 1",
    "no format": "{files}/no-format 1",
    "no such command": "no-such-command-anywhere 1",
    "directory": "{files} 1",
    "quotes": "x='4'; printf '%s' \"$x\" '' `echo 2`\"\" $(\n:\n) # 'q",
    "long": f": '{'x' * 3000}'; echo 5",
    "very long": f": '{'x' * 60000}'; echo 5",
    "descriptors": "[ \"$(ls /proc/self/fd | tr '\\n' ' ')\" = '0 1 2 3 ' ] && echo 1",
    "standard input": "[ \"$(readlink /proc/self/fd/0)\" = /dev/null ] && cat && echo 1",
    "signals": "grep -cE '^Sig(Blk|Ign):.*[1-9a-f]' /proc/self/status",
    "capabilities": "grep -cE '^Cap(Inh|Amb):.*[1-9a-f]' /proc/self/status",
    "secrets": f"env | grep -c {cacti.PASSWORD}",
    "limits": "[ \"$(ulimit -n) $(ulimit -c)\" = '1024 0' ] && echo 1",
}.items()} | {name: (cacti.SCRIPT_SERVER, f"f {command}") for name, command in {
    "extra line": f"two 5 {WRONG}",
    "delayed line": f"delayed 0.2 5 {WRONG}",
    "parse error": "parse",
    "backtick": "backtick",
    "empty line": "empty",
    "partial line, then nothing": "partial 12",
    "partial line, then it ends": "partdie 12",
    "10 MB": "big 10",
    "NUL line": "nul",
    "binary": "binary",
    "ends each time": "die",
    "ends once": "dieonce {files}/once 5",
    "ends after its answer": "lastword 7",
    "closes it": "close",
    "silent": "silent",
    "wedged": "wedge",
    "never reads again": "deaf 5",
}.items()}

FILES = {
    "no-right": (0o644, b"#!/bin/sh\necho 5\n"),
    "no-interpreter": (0o755, b"#!/nowhere/at/all\necho 5\n"),
    "bad-interpreter": (0o755, b"#!/etc\necho 5\n"),
    "no-format": (0o755, b"\x7fELF and no more"),
}


@dataclasses.dataclass
class Fault:
    value: str  #: what was stored
    lines: list  #: of the log, that name its data source or its command


class FaultCycle:
    """What came of it; can be pickled."""

    def __init__(self, work, site, binary, loop):
        self._keys = self._seed(work, site)
        poller = Poller(binary, site, work / "poller", loop=loop, Max_Scripts=60)
        (work / "starts").mkdir()
        env = {"FAKESERVER_START": STARTS, "FAKESERVER_STARTS": str(work / "starts")}
        self.run = run_alone(poller, first=0, last=9999, env=env)
        self._values = {key: rows[0][1] for key, rows in site.outputs().items() if len(rows) == 1}

    def _seed(self, work, site):
        files = work / "files"
        files.mkdir()
        for name, (mode, text) in FILES.items():
            (files / name).write_bytes(text)
            (files / name).chmod(mode)
        phpsite.fake(site, work / "web")
        site.settings(script_timeout=TIMEOUT_S, php_servers=SERVERS, log_verbosity=2)
        site.threads(len(FAULTS) + 20)
        self._commands = {name: command.replace("{files}", str(files)) for name, (_, command) in FAULTS.items()}
        names = {name: (FAULTS[name][0], command) for name, command in self._commands.items()}
        names |= {f"good {n}": (cacti.SCRIPT_SERVER, f"f value {1000 + n}") for n in range(GOOD)}
        devices = site.add_devices([{"id": n, "hostname": "127.0.0.1", "availability_method": 0}
                                    for n in range(1, len(FAULTS) + 11)])
        items = [{"device": devices[n if n < len(FAULTS) else len(FAULTS) + n % 10], "action": action, "arg1": command,
                  "rrd_name": "v"} for n, (action, command) in enumerate(names.values())]
        return dict(zip(names, site.add_items(items)))

    def fault(self, name):
        key = self._keys[name]
        mine = re.compile(rf"\bDS\[{key[0]}\]")
        command = f"[{self._commands[name]}]"  # of a script server's line, which names no data source
        lines = [line for line in self.run.log.splitlines() if mine.search(line) or command in line]
        return Fault(self._values.get(key), lines)

    def good(self):
        """What was stored for the items without fault, and what should have been."""
        return ([self._values.get(self._keys[f"good {n}"]) for n in range(GOOD)],
                [str(1000 + n) for n in range(GOOD)])

    def all_values(self):
        return list(self._values.values())


def fault_cycle(work, template, binary, loop):
    """Runs it; the database has ended when this returns."""
    os.mkdir(work)
    with MariaDB(work / "mariadb", template=template) as server:
        return FaultCycle(work, cacti.Site(server, work), binary, loop)
