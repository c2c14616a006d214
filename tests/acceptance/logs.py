"""Whether Cacti's own page "Log" reads the lines of a poller: its filters, and the links that it makes of numbers."""

import json
import pathlib
import re
import subprocess

import installed
from support.lab import LabError, tail, tool

_SPINE = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d - SPINE: Poller\[\d+\] PID\[\d+\] (PT\[\d+\] )?\S.*")
_STATS = re.compile(r".* - SYSTEM STATS: Time:\d+\.\d+ Method:spine Processes:\d+ Threads:\d+ Hosts:\d+ HostsPerProcess:\d+ "
                    r"DataSources:\d+ RRDsProcessed:\d+")
_NUMBER = re.compile(r"\b(?:Device|DS|DQ|Poller)\[[1-9]\d*\]")  # device 0 is none and has no page
_COMPLAINT = re.compile(r" - (?:POLLER|SYSTEM|BOOST|PCOMMAND|SPINE)[: ].*(?:WARN|ERROR|FATAL)")


def of_spine(lines):
    return [line for line in lines if " - SPINE: " in line]


def complaints(lines, known=()):
    """Warnings and errors of Cacti's poller, and of spine, but those with one of the `known` words."""
    return [line for line in lines if _COMPLAINT.search(line) and not any(word in line for word in known)]


def wrong(cacti, lines):
    """What Cacti's page does not read as it must."""
    found = [f"no line of this form: {line}" for line in of_spine(lines) if not _SPINE.fullmatch(line)]
    found += [f"not as Cacti writes it: {line}" for line in lines if "SYSTEM STATS: Time" in line and not _STATS.fullmatch(line)]
    for item in shown(of_spine(lines)):
        numbers = len(_NUMBER.findall(item["line"]))
        if item["html"].count("<a ") < numbers:
            found.append(f"no link: {item['html']}")
        for kind, word in (("warnings", "WARN"), ("errors", "ERROR")):
            if (kind in item["shown"]) != (word in item["line"]):
                found.append(f"not shown among the {kind}: {item['line']}")
    return found


def shown(lines):
    """The lines as Cacti's page shows them."""
    script = pathlib.Path(__file__).with_name("clog.php")
    done = subprocess.run(installed.as_owner(tool("php", "php-cli"), "-q", script), input="".join(f"{line}\n" for line in lines),
                          capture_output=True, text=True, timeout=120)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    if len(found) != len(lines):
        raise LabError(f"clog.php has not shown all lines: {tail(done.stdout + done.stderr)}")
    return found
