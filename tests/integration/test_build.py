"""What the built program needs at run time and says about itself."""

import re
import subprocess

import pytest

from support import cacti
from support.lab import tool

pytestmark = pytest.mark.quick


def needed_libraries(build):
    done = subprocess.run([tool("readelf", "binutils"), "--dynamic", "--wide", build.binary.path], check=True,
                          capture_output=True, text=True)
    return re.findall(r"\(NEEDED\).*\[(.+)\]", done.stdout)


def symbols(build):
    """Names of all symbols, those of the dynamic table and, if the program is not stripped, all others."""
    done = subprocess.run([tool("readelf", "binutils"), "--symbols", "--wide", build.binary.path], check=True,
                          capture_output=True, text=True)
    return {line.split()[7] for line in done.stdout.splitlines() if len(line.split()) > 7}


@pytest.mark.libevent(False)
def test_a_build_without_libevent_has_nothing_of_it(build):
    assert not [name for name in needed_libraries(build) if "event" in name]
    assert not [name for name in symbols(build) if re.match(r"_?(event|evutil|evthread|evsignal|bufferevent)_", name)]


@pytest.mark.libevent(True)
def test_a_build_with_libevent_needs_only_its_core(build):
    names = [re.sub(r"-.*", "", name) for name in needed_libraries(build) if "event" in name]
    assert names and set(names) <= {"libevent_core", "libevent_pthreads"}


def test_the_version_line_satisfies_cacti_and_the_lines_after_it_name_the_libraries(build):
    assert re.match(r"SPINE \S+  Copyright ", build.binary.version)
    assert build.binary.version.find(cacti.version()) > 0, "Cacti would warn of another version"
    text = "\n".join(build.binary.features).lower()
    for words in ("libevent", "snmp", "mariadb|mysql"):
        assert re.search(words, text), build.binary.features
