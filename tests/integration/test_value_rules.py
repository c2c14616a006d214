"""What devices send and scripts print, through the whole program on both paths: docs/values.md tells the rules."""

import re

import pytest

from support import phpsite
from support.checks import assert_stored
from support.lab import MissingTool, tool
from support.valuecases import cases

from conftest import SYSTEM_GROUP

OBJECT = ".1.3.6.1.4.1.99999.1"

#: All that may be in a result table.
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
STORABLE = re.compile(rf"U|{NUMBER}|[\w.-]+[:!](U|{NUMBER})( [\w.-]+[:!](U|{NUMBER}))*", re.ASCII)


def poll_objects(site, agents, poller, types, columns=None, **settings):
    """One agent with an object of each type, on a device with these columns; returns the run and the items' keys."""
    spec = SYSTEM_GROUP + "".join(f"object {OBJECT}.{n} {text}\n" for n, text in enumerate(types, 1))
    farm = agents(spec + "agent 127.4.0.1\n")
    site.settings(**settings)
    device = site.add_device(1, hostname="127.4.0.1", port=farm.port, snmp_timeout=500, max_oids=20, **(columns or {}))
    keys = [site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name=f"v{n}") for n in range(1, len(types) + 1)]
    return poller.run(), keys


def poll_scripts(site, work, poller, outputs, **settings):
    """A script for each output."""
    site.settings(**settings)
    device = site.add_device(1, availability_method=0)
    keys = []
    for n, output in enumerate(outputs):
        (work / f"output{n}").write_bytes(output)
        [key] = site.add_items([{"device": device, "action": 1, "arg1": f"cat {work}/output{n}", "rrd_name": f"v{n}"}])
        keys.append(key)
    return poller.run(), keys


def fields(site, table="poller_output"):
    return [row["output"].split() for row in site.sql(f"SELECT output FROM {table}")]


def octets(value):
    return "hex " + value.hex()


def test_text_is_never_read_as_a_binary_number(site, agents, poller):
    """Texts with padding or with characters beyond ASCII."""
    texts = {
        b"1234\0": "1234", b"0\0": "0", b"-34\0": "-34", "30°C".encode(): "30", "30°C".encode("latin-1"): "30",
        b"12.5\xff\xff": "12.5", b"-7\0\xff": "-7", "21.5 °C".encode(): "21.5", "5 µA".encode("latin-1"): "5",
        "98 % humidité relative".encode(): "98", b"123456789012\0\0\0\0": "123456789012", b"n/a\0": "U",
        b"in:5 out:6\0": "in:5 out:6", b"rx:1 tx:2\xff\xff": "rx:1 tx:2", b"a:U\0": "a:U",
        "北京".encode(): "U", "℃".encode(): "U",
        b"\x00\x1a\x2b": "6699", b"\xde\xad\xbe\xef": "3735928559", b"\x80": "128",
    }
    run, keys = poll_objects(site, agents, poller, [octets(text) for text in texts])
    assert run.status == 0, run
    assert_stored(site, dict(zip(keys, texts.values())))


def test_empty_texts_in_an_answer_cost_no_other_item(site, agents, poller):
    run, keys = poll_objects(site, agents, poller, ['string ""', "int 5", 'string ""', "hex 00", 'string ""', "ipaddress 192.0.2.1"])
    assert run.status == 0, run
    assert_stored(site, dict(zip(keys, ["U", "5", "U", "0", "U", "U"])))


def test_a_long_integer_is_not_cut_to_32_bits(site, agents, poller):
    values = {"00ee6b2800": "4000000000", "0080000000": "2147483648", "00ffffffff": "4294967295",
              "00000000ee6b2800": "4000000000", "7fffffff": "2147483647", "80000000": "-2147483648", "ffffffffff": "-1"}
    run, keys = poll_objects(site, agents, poller, [f"raw 02 {octets}" for octets in values])
    assert run.status == 0, run
    assert_stored(site, dict(zip(keys, values.values())))


def test_an_empty_text_alone_in_an_answer_is_unknown(site, agents, poller):
    """And the only answer of the session. With sanitizers: no arithmetic on null pointers."""
    run, keys = poll_objects(site, agents, poller, ['string ""'], columns={"availability_method": 0})
    assert run.status == 0, run
    assert_stored(site, {keys[0]: "U"})


HOSTILE = [b"in:5 out:6 note:10:30", b"in:5 out:6 url:http://x/y", b"ifDescr:Uplink to core 2 traffic_in:5",
           b"in:1'),(2,'x',now(),'9 out:2", b"<script>alert:1</script> a:1", b"x:$(reboot)", b"../../etc/passwd:1",
           b"a:1;DROP b:2", b"DS:x:GAUGE:600:0:U", b"in:5\\ out:6", b"a:`id` b:3", b"a:nan b:0x10 c:4", "größe:5 b:6".encode(),
           b"N:1:2:3", b"12:30:00", b"1 day, 2:03", b"a,b:1", b"x:{y} z:1", b"\x1b[31mred:1\x1b[0m ok:1", b"a:1 --step:5"]


def test_only_numbers_and_usable_fields_reach_the_result_tables(site, work, agents, poller):
    site.settings(boost_redirect="on", boost_rrd_update_enable="on")
    texts = HOSTILE + [given for _, kind, given, _ in cases() if kind == "text" and b"\0" not in given and len(given) < 600]
    run, keys = poll_scripts(site, work, poller, texts)
    assert run.status == 0, run
    for table in ("poller_output", "poller_output_boost"):
        stored = [row["output"] for row in site.sql(f"SELECT output FROM {table}")]
        assert len(stored) == len(keys)
        assert not [text for text in stored if not STORABLE.fullmatch(text)], table
    outputs = {key: rows[0][1] for key, rows in site.outputs().items()}
    assert [outputs[key] for key in keys[:3]] == ["in:5 out:6", "in:5 out:6", "traffic_in:5"]


def test_a_device_cannot_send_anything_else_either(site, agents, poller):
    run, keys = poll_objects(site, agents, poller, [octets(text) for text in HOSTILE])
    assert run.status == 0, run
    outputs = {key: rows[0][1] for key, rows in site.outputs().items()}
    assert not [text for text in outputs.values() if not STORABLE.fullmatch(text)]
    assert [outputs[key] for key in keys[:3]] == ["in:5 out:6", "in:5 out:6", "traffic_in:5"]


def test_neither_can_a_script_server(site, work, poller):
    """Cacti's own, with a function that returns what stands in a file."""
    try:
        tool("php", "php-cli")
    except MissingTool as e:
        pytest.skip(str(e))
    root = phpsite.real(site, work / "web")
    (root / "ss_file.php").write_text("<?php function ss_file($path) { return file_get_contents($path); }")
    device = site.add_device(1, availability_method=0)
    keys = []
    for n, text in enumerate(HOSTILE):
        (work / f"output{n}").write_bytes(text)
        [key] = site.add_items([{"device": device, "action": 2, "rrd_name": f"v{n}",
                                 "arg1": f"{root}/ss_file.php ss_file {work}/output{n}"}])
        keys.append(key)
    run = poller.run()
    assert run.status == 0, run
    outputs = {key: rows[0][1] for key, rows in site.outputs().items()}
    assert outputs.keys() == set(keys)
    assert not [text for text in outputs.values() if not STORABLE.fullmatch(text)]
    assert [outputs[key] for key in keys[:5]] == ["in:5 out:6", "in:5 out:6", "traffic_in:5", "out:2", "a:1"]


def pairs(chars, last="last:42"):
    """Fields with exactly `chars` characters in all; the last one ends in a number that can be cut."""
    text = ""
    while len(text) + 20 + len(last) < chars:
        text += f"field{len(text)}:1e12 "
    text += "x" * (chars - len(text) - len(last) - 3) + ":1 " + last
    assert len(text) == chars
    return text


def whole_fields(text, chars):
    kept = text.split()
    while len(" ".join(kept)) > chars:
        kept.pop()
    return " ".join(kept)


def assert_told_once(run, key, *words):
    lines = run.log_lines("WARNING: Not all is stored")
    assert len(lines) == 1, run
    for word in (f"Device[1] HT[1] DS[{key[0]}] ", *words):
        assert word in lines[0], lines[0]


def test_fields_that_the_column_cannot_take_are_left_out_whole_and_told_once(site, agents, poller):
    text = pairs(513)
    run, keys = poll_objects(site, agents, poller, [f'string "{text}"', f'string "{pairs(512)}"'])
    assert run.status == 0, run
    kept = whole_fields(text, 512)
    assert kept and not kept.endswith("last:4")
    assert_stored(site, {keys[0]: kept, keys[1]: pairs(512)})
    assert_told_once(run, keys[0], "513 characters", "poller_output takes 512", f"1 of {len(text.split())} fields are left out")


def test_a_widened_column_takes_more(site, agents, poller):
    for table in ("poller_output", "poller_output_boost"):
        site.sql(f"ALTER TABLE {table} MODIFY output VARCHAR(900) NOT NULL DEFAULT ''")
    text = pairs(1000)
    run, keys = poll_objects(site, agents, poller, [f'string "{pairs(900)}"', f'string "{text}"'],
                             boost_redirect="on", boost_rrd_update_enable="on")
    assert run.status == 0, run
    expected = {keys[0]: pairs(900), keys[1]: whole_fields(text, 900)}
    assert_stored(site, expected)
    assert sorted(fields(site, "poller_output_boost")) == sorted(value.split() for value in expected.values())
    assert_told_once(run, keys[1], "1000 characters", "takes 900")


def test_each_result_table_gets_what_it_can_take(site, agents, poller):
    site.sql("ALTER TABLE poller_output MODIFY output VARCHAR(2000) NOT NULL DEFAULT ''")
    text = pairs(1500)
    run, keys = poll_objects(site, agents, poller, [f'string "{text}"'], boost_redirect="on", boost_rrd_update_enable="on")
    assert run.status == 0, run
    assert_stored(site, {keys[0]: text})
    assert fields(site, "poller_output_boost") == [whole_fields(text, 512).split()]
    assert_told_once(run, keys[0], "1500 characters", "poller_output_boost takes 512")


def test_a_boost_table_that_is_not_written_limits_nothing(site, agents, poller):
    site.sql("ALTER TABLE poller_output MODIFY output TEXT NOT NULL, ENGINE=InnoDB")
    text = pairs(3000)
    run, keys = poll_objects(site, agents, poller, [f'string "{text}"'])
    assert run.status == 0, run
    assert_stored(site, {keys[0]: text})
    assert not run.log_lines("Not all is stored"), run


def test_a_number_that_the_column_cannot_take_is_unknown(site, agents, poller):
    site.sql("ALTER TABLE poller_output MODIFY output VARCHAR(10) NOT NULL DEFAULT ''")
    run, keys = poll_objects(site, agents, poller, ["string 12345678901", "string 1234567890", "counter64 123456789012"])
    assert run.status == 0, run
    assert_stored(site, {keys[0]: "U", keys[1]: "1234567890", keys[2]: "U"})
    assert len(run.log_lines("WARNING: Not all is stored")) == 2, run


def test_output_beyond_the_limit_of_scripts_keeps_whole_fields_and_is_told_once(site, work, poller):
    """The 2,047 bytes that are read end in the last field."""
    site.sql("ALTER TABLE poller_output MODIFY output VARCHAR(4000) NOT NULL DEFAULT ''")
    texts = [pairs(2048), pairs(2047), pairs(5000), "\n".join(pairs(2060).split()), "9" * 3000, pairs(2047) + "\n"]
    run, keys = poll_scripts(site, work, poller, [text.encode() for text in texts])
    assert run.status == 0, run
    expected = [whole_fields(text, 2047) for text in texts]
    expected[3] = " ".join(expected[3].split())
    expected[4], expected[5] = "U", expected[1]
    assert_stored(site, dict(zip(keys, expected)))
    for key, length in zip(keys, (2048, None, 5000, 2060, 3000, None)):
        lines = [line for line in run.log_lines("WARNING") if f"DS[{key[0]}]" in line]
        assert len(lines) == (0 if length is None else 1), run
        if length is not None:
            assert f"Device[1] DS[{key[0]}] " in lines[0] and f"output cut to 2047 of {length} bytes" in lines[0]


def test_output_that_neither_script_nor_column_can_hold_is_told_once(site, work, poller):
    text = pairs(5000)
    run, keys = poll_scripts(site, work, poller, [text.encode()])
    assert_stored(site, {keys[0]: whole_fields(text, 512)})
    [line] = run.log_lines("WARNING")
    assert "output cut to 2047 of 5000 bytes" in line and "takes 512" in line and "fields are left out" in line


def test_system_texts_are_stored_as_text(site, agents, poller):
    texts = {"sysDescr": "Zürich".encode(), "sysContact": 'say "hi" to \\me at once'.encode(), "sysName": "Büro".encode("latin-1"),
             "sysLocation": "北京 5\0".encode()}
    numbers = {"sysDescr": 1, "sysContact": 4, "sysName": 5, "sysLocation": 6}
    system = "".join(f"object .1.3.6.1.2.1.1.{numbers[name]}.0 hex {text.hex()}\n" for name, text in texts.items())
    farm = agents(SYSTEM_GROUP + system + "agent 127.4.0.1\n")
    device = site.add_device(1, hostname="127.4.0.1", port=farm.port, snmp_timeout=500)
    site.add_snmp_item(device, ".1.3.6.1.2.1.1.3.0", rrd_name="x")
    run = poller.run("--mibs")
    assert run.status == 0, run
    [row] = site.sql("SELECT " + ", ".join(f"HEX(CONVERT(snmp_{name} USING utf8mb4)) AS {name}" for name in texts) + " FROM host")
    assert {name: bytes.fromhex(value).decode() for name, value in row.items()} == {
        "sysDescr": "Zürich", "sysContact": 'say "hi" to \\me at once', "sysName": "Büro", "sysLocation": "北京 5"}
