"""What is stored for what a script prints (docs/contract.md 16), and the checks of data queries by scripts (11.2)."""

import pytest

from test_values import TEXTS

SCRIPT = 1
GET, COUNT = 1, 11


def printing(site, number, text):
    """A command that prints the text with one write."""
    path = site.log.parent / f"text.{number}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return f"cat {path}"


def device_with_scripts(site, id, commands, **columns):
    device = site.add_device(id, availability_method=0, **columns)
    return site.add_items([{"device": device, "action": SCRIPT, "arg1": command, "rrd_name": f"x{n}"}
                           for n, command in enumerate(commands)])


@pytest.mark.parametrize("log_level", [0, 1, 2])
def test_texts(compare, log_level):
    """Every text of the table as the output of a script, with the line feed that scripts end with."""
    texts = [text + "\n" for text in TEXTS] + ["7", "12\r\n", "apples", "5\0006\n"]

    def seed(site):
        site.settings(spine_log_level=log_level)
        site.threads(1)  # the reference sometimes loses one of two lines that are written at once
        for n, text in enumerate(texts, 1):
            device = site.add_device(n, availability_method=0)
            site.add_items([{"device": device, "action": SCRIPT, "arg1": printing(site, n, text), "rrd_name": "x"}])

    compare(seed, raw={(n, "x"): text.split("\0")[0] for n, text in enumerate(texts, 1)},
            expect=("V1", "V2", "V3", "V6", "V7", "V8", "V9", "V11", "P12?") + (("V12",) if log_level == 2 else ()))


def test_ends_of_scripts(compare):
    """An exit status never matters, nothing printed is U with a line."""
    def seed(site):
        site.threads(1)
        device_with_scripts(site, 1, [
            "echo 12; exit 9", "echo 5; echo oops >/dev/null", "true", "false", "/does/not/exist 2>/dev/null", "/etc/passwd 2>/dev/null",
            "echo 1 | cat", "for i in 3; do echo $i; done", "echo '4 5' | cut -c1", "kill -TERM $$",
            "printf 7", "echo \"$MIBS.5\"", "cat", "X=8 sh -c 'echo $X'"])

    compare(seed, expect=("C13",))


@pytest.mark.parametrize("log_level", [1, 2])
def test_a_script_that_prints_nothing_is_an_invalid_value(compare, log_level):
    def seed(site):
        site.settings(spine_log_level=log_level)
        site.threads(1)
        device_with_scripts(site, 1, ["true", "echo", "/does/not/exist 2>/dev/null", "echo 5"])

    compare(seed, expect=("C13",) + (("V12",) if log_level == 2 else ()))


def test_a_long_command(compare):
    def seed(site):
        device_with_scripts(site, 1, [f"echo 4; : {'x' * 400}", f": {'x' * 600}; echo 5"])

    found = compare(seed, expect=("C6", "C13?"))
    assert found["event" if "event" in found else "legacy"][0].outputs[2, "x1"][0][1] == "5"


def test_output_in_several_writes(compare):
    def seed(site):
        device_with_scripts(site, 1, ["printf 'a:1 '; sleep 0.3; echo b:2"])

    found = compare(seed, expect=("C1",))
    assert found["legacy"][0].outputs[1, "x0"][0][1] == "a:1 b:2"


def test_a_script_that_does_not_end(compare):
    """The reference waits for the one that has printed; both lose the one that has not."""
    def seed(site):
        site.settings(script_timeout=5)
        device_with_scripts(site, 1, ["sleep 20"])
        device_with_scripts(site, 2, ["echo 4; exec sleep 6"])
        device_with_scripts(site, 3, ["echo 3"])

    compare(seed, expect=("C3", "C13"))


@pytest.mark.parametrize("threads", [1, 3])
def test_checks_of_data_queries(compare, threads):
    """Actions 1 and 11: the output, trimmed, and the number of its lines."""
    rows = [("=", "7", "echo 7", GET), ("=", "8", "echo 7", GET), ("=", "it 's", "echo \"it 's \"", GET),
            ("=", "3", r"printf 'a\nb\nc\n'", COUNT), ("=", "4", r"printf 'a\nb\nc\n'", COUNT),
            ("<", "9", "echo 8", GET), (">", "9", "echo 10", GET), ("=", "1", "true", GET), ("=", "1", "echo U", GET),
            ("=", "0", "printf 5", COUNT), ("=", "", "echo", GET)]

    def seed(site):
        site.threads(1)
        for id, (op, value, command, action) in enumerate(rows, 1):
            device_with_scripts(site, id, ["echo 1", "echo a:2"], device_threads=threads)
            site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
                     "VALUES (%s, 1, %s, %s, %s, %s)", id, action, op, value, command)

    compare(seed, expect=("C13",) + (("S23?",) if threads > 1 else ()))


def test_lines_printed_one_by_one_are_all_counted(compare):
    def seed(site):
        device_with_scripts(site, 1, ["echo 1"])
        site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
                 "VALUES (1, 1, %s, '=', '3', 'for i in 1 2 3; do echo $i; sleep 0.1; done')", COUNT)

    found = compare(seed, expect=("C1",))
    assert not found["legacy"][0].commands and len(found["reference"][0].commands) == 1
