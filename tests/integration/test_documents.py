"""Every command that the documents for operators show is run, as it stands there, on a machine with a Cacti site.

A block is marked by a comment above it: `<!-- run -->`, `<!-- tested by FILE -->` (a test or script that does the same and names
the document), or `<!-- shown -->` (output, a file, or what needs a machine that no test has). Commands within the text are run as
well. The demo of README.md is run here; its commands to build are those of scripts/test.
"""

import os
import re
import subprocess
import sys

import pytest

from support.lab import TOP, leave_out, need, tool
from support.machine import MARKS, Machine, NoMachine, blocks_of_manual, blocks_of_markdown

DOCUMENTS = ["README.md", "docs/getting-started.md", "docs/metrics.md", "docs/operations.md", "docs/report.md", "docs/rollout.md",
             "docs/security.md", "docs/timeline.md", "docs/trace.md", "docs/tuning.md"]
MANUALS = ["man/spine.1.in", "man/spine.conf.5.in", "man/spine-rollout.7.in"]


#: A command in backquotes within the text.
INLINE = re.compile(r"(?<!`)`((?:spine|spine-libevent|mariadb|grep|tail) [^`\n]*)`(?!`)")


def inline(file):
    return INLINE.findall((TOP / file).read_text(encoding="utf-8"))


def blocks(file):
    return list(blocks_of_manual(file) if file in MANUALS else blocks_of_markdown(file))


@pytest.mark.parametrize("file", DOCUMENTS + MANUALS)
def test_every_block_says_what_tests_it(file):
    found = blocks(file)
    assert found
    for block in found:
        mark = block.mark or ("shown" if file in MANUALS else "")
        kind = MARKS.fullmatch(mark)
        assert kind, f"{block}: no mark, or an unknown one ({mark!r}), above:\n{block.text}"
        if kind[2]:
            assert file in (TOP / kind[2]).read_text(encoding="utf-8"), f"{kind[2]} does not say that it tests {file}"


@pytest.fixture
def machine(build, site, agents, work):
    """Devices 3, 5, 8 and 42, which answer."""
    need({"jq": "jq", "mariadb": "mariadb-client", "php": "php-cli", "setcap": "libcap2-bin", "runuser": "util-linux", "nsenter": "util-linux"})
    objects = "".join(f"object .1.3.6.1.4.1.99999.{n} int {n}\n" for n in range(1, 6))
    agent = agents("object .1.3.6.1.2.1.1.3.0 timeticks 4711\n" + objects + "agent 127.2.0.1\n")
    for id in (3, 5, 8, 42):
        device = site.add_device(id, hostname="127.2.0.1", port=agent.port)
        for n in range(1, 6):
            site.add_snmp_item(device, f".1.3.6.1.4.1.99999.{n}", f"value_{n}")
    site.settings(path_spine="/usr/sbin/spine", poller_type=2, path_rrdtool=tool("true", "coreutils"), log_verbosity=3)
    try:
        with Machine(work, site, build.binary) as running:
            yield running
    except NoMachine as e:
        leave_out(str(e))


@pytest.mark.first_build
@pytest.mark.libevent(True)
@pytest.mark.parametrize("file", [f for f in DOCUMENTS + MANUALS if inline(f) or any(b.mark == "run" for b in blocks(f))])
def test_the_commands_of_a_document_work_in_its_order(machine, file):
    machine.run("spine")  # the site has been polled before
    for command in inline(file):
        done = machine.run(command)
        assert done.returncode == 0, f"{file}: `{command}` ends with {done.returncode}:\n{done.stdout}"
    for block in blocks(file):
        if block.mark == "run":
            done = machine.run(block.text)
            assert done.returncode == 0, f"{block} ends with {done.returncode}:\n{block.text}\n{done.stdout}"


@pytest.mark.first_build
def test_cactis_poller_starts_the_program_that_path_spine_names(machine, site):
    site.settings(path_spine="/usr/sbin/spine-libevent")
    machine.run("rm /usr/sbin/spine")
    done = machine.run("runuser -u www-data -- php -q /usr/share/cacti/site/poller.php --force")
    assert done.returncode == 0 and "Hosts:4" in done.stdout, done.stdout
    assert site.cycles() and all(cycle["end_time"] for cycle in site.cycles())
    assert site.device(42)["total_polls"] == 1


@pytest.mark.first_build
def test_the_demo_shows_equal_rows_on_every_path(build, tools):
    done = subprocess.run([sys.executable, TOP / "tests/support/demo.py"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "SPINE": str(build.binary.path)}, timeout=120)
    assert done.returncode == 0 and "All rows are as they must be, on every path." in done.stdout, done.stdout


@pytest.mark.first_build
def test_a_command_that_fails_is_noticed(machine):
    assert machine.run("spine-libevent --no-such-option\ntrue").returncode == 64
    assert machine.run("spine-libevent -R -S -f 77 -l 77").returncode == 66
