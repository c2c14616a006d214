"""What was written to RRD files, what is in them, and what must be in them."""

import dataclasses
import math
import re
import subprocess

_UPDATE = re.compile(r"update (\S+) (?:--skip-past-updates )?--template (\S+) ([-:.\w ]+)")


@dataclasses.dataclass(frozen=True)
class Update:
    file: str
    time: int
    values: tuple  #: of (data source, text)


def updates(text):
    """The updates in what was written to rrdtool."""
    found = []
    for file, names, rows in _UPDATE.findall(text):
        for row in rows.split():
            time, *values = row.split(":")
            found.append(Update(file, int(time), tuple(zip(names.split(":"), values))))
    return found


def fetch(file, start, end, step):
    """{data source: {time: value}} of the rows of averages; unknown ones are NaN."""
    done = subprocess.run(["/usr/bin/rrdtool", "fetch", file, "AVERAGE", "--resolution", str(step), "--start", str(start),
                           "--end", str(end)], capture_output=True, text=True, check=True)
    head, _, *lines = done.stdout.splitlines()
    rows = {name: {} for name in head.split()}
    for line in lines:
        time, values = line.split(":")
        for name, value in zip(rows, values.split()):
            rows[name][int(time)] = float(value)
    return rows


def rates(points, kind, heartbeat):
    """[(from, to, value per second)] between updates (time, text); of a gauge the value itself; None if unknown."""
    found = []
    for (before, old), (after, new) in zip(points, points[1:]):
        if after - before > heartbeat or new == "U" or (kind != "gauge" and old == "U"):
            value = None
        elif kind == "gauge":
            value = float(new)
        else:
            value = (int(new) - int(old)) / (after - before)
        found.append((before, after, value))
    return found


def rows(points, kind, step, heartbeat):
    """{time: value} that an RRD file must have after these updates: what rrdtool calls primary data points."""
    parts = rates(points, kind, heartbeat)
    if not parts:
        return {}
    first, last = parts[0][0], parts[-1][1]
    found = {}
    for end in range((first // step + 2) * step, last // step * step + 1, step):
        total = known = 0.0
        for begin, until, value in parts:
            seconds = min(until, end) - max(begin, end - step)
            if seconds > 0 and value is not None:
                total, known = total + seconds * value, known + seconds
        found[end] = total / known if known else math.nan
    return found


def same(one, other):
    """Equal but for the last of the ten digits that `rrdtool fetch` prints."""
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
