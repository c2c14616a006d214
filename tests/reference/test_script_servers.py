"""Items of Cacti's own script_server.php, on the site's database."""

import pytest

from support import cacti, phpsite
from support.lab import work_directory

FUNCTIONS = """<?php
function r_value($a) { return $a; }
function r_pairs($a, $b) { return "in:$a out:$b"; }
function r_float($a) { return $a / 8; }
function r_hosts() { return db_fetch_cell('SELECT COUNT(*) FROM host'); }
function r_nothing() { }
"""

DEVICES = 20
CALLS = ("r_value {n}", "r_pairs {n} '{n} 5'", "r_float {n}", 'r_value "-{n}.5"', "r_hosts", "r_nothing",
         "r_value x:{n}", "r_float '{n}'", "r_value {n} more", "r_value '0.{n}'")


@pytest.fixture
def functions(world):
    with work_directory() as directory:
        root = phpsite.real(world.site, directory / "web")
        (root / "functions.php").write_text(FUNCTIONS)
        yield root / "functions.php"


def seed_with(functions, servers):
    def seed(site):
        site.settings(path_webroot=functions.parent, php_servers=servers)
        site.threads(10)
        for id in range(1, DEVICES + 1):
            device = site.add_device(id, availability_method=0)
            site.add_items([{"device": device, "action": cacti.SCRIPT_SERVER, "rrd_name": f"x{k}",
                             "arg1": f"{functions} {call.format(n=100 * id + k)}"} for k, call in enumerate(CALLS)])
    return seed


@pytest.mark.parametrize("servers", [1, 4, 10])
def test_two_hundred_items(compare, functions, servers):
    """The same values whatever the number of servers; most would be wrong for any other item."""
    pairs = CALLS.index("r_pairs {n} '{n} 5'")
    raw = {((id - 1) * len(CALLS) + pairs + 1, f"x{pairs}"): f"in:{100 * id + pairs} out:{100 * id + pairs} 5"
           for id in range(1, DEVICES + 1)}
    found = compare(seed_with(functions, servers), raw=raw, expect=("V9",))
    for program, (dump,) in found.items():
        assert len(dump.outputs) == DEVICES * len(CALLS), program
