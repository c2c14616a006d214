"""make acceptance: Cacti's own poller.php judges spine. Run by scripts/acceptance, as root, in a chroot of its own.

A table at the end has a line for each check and a column for each poller; the exit status is 0 only if all is right with
ours in its three ways. Debian's spine is there to compare with: what it does not pass is shown and does not count.
"""

import argparse
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import cycles  # noqa: E402
import pollers  # noqa: E402
import situations  # noqa: E402
from installed import Cacti  # noqa: E402
from support.lab import LabError  # noqa: E402
from world import World  # noqa: E402

MINUTE = 60
SHOWN = 6
THEIRS = "Debian"


class Table:
    """{check: {poller: what is wrong}}, in the order in which they came."""

    def __init__(self, names):
        self.names = names
        self.rows = {}

    def add(self, check, poller, wrong):
        self.rows.setdefault(check, {})[poller] = wrong
        print(f"{poller}: {check}: {'right' if not wrong else f'{len(wrong)} wrong'}", flush=True)
        for text in wrong[:SHOWN]:
            print(f"    {text}")

    def __str__(self):
        lines = ["| check | " + " | ".join(self.names) + " |", "|---" * (len(self.names) + 1) + "|"]
        for check, found in self.rows.items():
            cells = ["-" if name not in found else self._cell(name, found[name]) for name in self.names]
            lines.append(f"| {check} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    @staticmethod
    def _cell(name, wrong):
        return "right" if not wrong else f"no ({len(wrong)})" if name == THEIRS else f"WRONG ({len(wrong)})"

    def is_right(self):
        ours = [wrong for found in self.rows.values() for name, wrong in found.items() if name != THEIRS]
        return bool(ours) and not any(ours)


def guarded(judge, *arguments):
    """What is wrong, also if the check itself could not go on."""
    try:
        return judge(*arguments)
    except (LabError, OSError, AssertionError) as error:
        return [f"{type(error).__name__}: {error}"]


def each_minute(things):
    """As cron does: poller.php ends at once where its last start is not a minute ago."""
    first = time.monotonic() + MINUTE
    for n, thing in enumerate(things):
        time.sleep(max(0, first + n * MINUTE - time.monotonic()))
        yield thing


def alternate(table, work, options):
    """Twelve cycles with each poller."""
    per_run = MINUTE // options.interval
    runs = -(-options.cycles // per_run)
    cacti = Cacti(work / "cycles", options.interval)
    try:
        cacti.install()
        with World(cacti) as world:
            world.build()
            programs = pollers.make(work / "cycles-programs", options.spine, options.reference)
            runner = cycles.Runner(cacti, world)
            for n, name in enumerate(each_minute(options.pollers * runs)):
                print(f"poller.php with {name}, run {n + 1} of {len(options.pollers) * runs}", flush=True)
                runner.run(programs[name], per_run)
            for name in options.pollers:
                judge = cycles.Judge(runner, name, runs * per_run)
                for check, find in judge.checks().items():
                    table.add(check, name, guarded(find))
            for name in each_minute(options.pollers if "overrun" in options.parts else ()):
                table.add(cycles.OVERRUN, name, guarded(cycles.overrun, runner, programs[name], per_run))
    finally:
        cacti.end_processes()
        cacti.server.kill()


def meet(table, work, options):
    """The situations."""
    cacti = Cacti(work / "situations", 300)
    try:
        cacti.install()
        with World(cacti) as world:
            world.build()
            cacti.keep()
            programs = {pings: pollers.make(work / f"programs-{pings}", options.spine, options.reference, pings)
                        for pings in (True, False)}
            for title, situation, pings in situations.ALL:
                if options.only in title:
                    for name in options.pollers:
                        table.add(title, name, guarded(situations.judge, cacti, world, situation, programs[pings][name]))
    finally:
        cacti.end_processes()
        cacti.server.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spine", required=True)
    parser.add_argument("--reference", required=True, help="Debian's spine")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--interval", type=int, default=20, help="seconds of a cycle (default: %(default)s)")
    parser.add_argument("--cycles", type=int, default=12)
    parser.add_argument("--pollers", type=lambda text: text.split(","), default=list(pollers.NAMES))
    parser.add_argument("--parts", type=lambda text: text.split(","), default=["cycles", "overrun", "situations"])
    parser.add_argument("--only", default="", help="situations with this in their title")
    options = parser.parse_args()
    table = Table(options.pollers)
    if "cycles" in options.parts:
        alternate(table, options.work, options)
    if "situations" in options.parts:
        meet(table, options.work, options)
    print(table)
    return 0 if table.is_right() else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"acceptance: {error}")
