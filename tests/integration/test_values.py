"""Every text and OCTET STRING of docs/values.md through the real normaliser and store, and back out of MariaDB byte for byte."""

import subprocess

import pytest

from support import cacti
from support.lab import HANG_S
from support.mariadb import VENDOR
from support.valuecases import cases
from support.vendor import MARIADB

pytestmark = pytest.mark.both_bulks

COLUMN = 512  # characters of poller_output.output

#: What breaks statements, straight to the store: no normaliser lets it through.
HOSTILE = [b"x:it's", b'x:"quoted"y', b"x:back\\slash", b"x:\\'z", b"x:1'),(2,'a',now(),'b", b"x:%s%n", b"x:1;--",
           "x:gr\u00fc\u00dfe".encode(), "x:\U0001f600".encode(), b"x:\x1b[31m"]


def as_column(value):
    """What the column holds: valid UTF-8, cut to its width, pairs behind a whole field; a byte that is not UTF-8 is taken
    as Latin-1."""
    if b":" in value and len(value) > COLUMN:
        value = value[:value[:COLUMN + 1].rindex(b" ")]
    text, at = "", 0
    while at < len(value):
        for width in (1, 2, 3, 4):
            try:
                text += value[at:at + width].decode()
                break
            except UnicodeDecodeError:
                continue
        else:
            text, width = text + value[at:at + 1].decode("latin-1"), 1
        at += width
    return text[:COLUMN].encode()


def store_and_read(build, site, server, wanted, bulk):
    """[(kind, given), ...] through the probe; returns what poller_output holds: {number: UTF-8}."""
    lines = "".join(f"{kind} {given.hex()}\n" for kind, given in wanted)
    probe = build.binary.path.parent / "tests/support/storeprobe"
    done = subprocess.run([probe, server.socket, cacti.DATABASE, cacti.USER, cacti.PASSWORD, bulk], input=lines,
                          capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done
    rows = site.sql("SELECT local_data_id, HEX(CONVERT(output USING utf8mb4)) AS output FROM poller_output")
    return {r["local_data_id"]: bytes.fromhex(r["output"]) for r in rows}


@pytest.mark.parametrize("mode", ["", "TRADITIONAL,NO_BACKSLASH_ESCAPES,ANSI_QUOTES"])
def test_every_value_is_stored_byte_for_byte(build, site, server, mode, bulk):
    server.sql(f"SET GLOBAL sql_mode='{mode}'")
    wanted = [("t" if kind == "text" else "o", given, expected) for _, kind, given, expected in cases()]
    wanted += [("r", value, value) for value in HOSTILE]
    stored = store_and_read(build, site, server, [(kind, given) for kind, given, _ in wanted], bulk)
    wrong = [(given, stored.get(n), as_column(expected)) for n, (_, given, expected) in enumerate(wanted, 1)
             if stored.get(n) != as_column(expected)]
    assert not wrong, f"{len(wrong)} of {len(wanted)} differ (input, stored, right), first: {wrong[:3]}"
    assert len(stored) == len(wanted)


#: What no normaliser lets through, straight to the store.
RAW = [b"a\0b", b"\0", b"'", b"\\", b"\\'", b"it''s", b'"', b"`", b"\n\r\x1a\t", b"\xff\xfe", b"25 \xb0C", b"\xc3", b"\xe2\x82",
       "25 °C".encode(), "\U0001f600".encode(), b"x" * 65536, b"'" * 65536, b"\xe9" * 65536, b"\\" * 511 + b"'"]

MODES = ["", "ANSI", "TRADITIONAL", "NO_BACKSLASH_ESCAPES", "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE",
         "PAD_CHAR_TO_FULL_LENGTH", "HIGH_NOT_PRECEDENCE,PIPES_AS_CONCAT",
         "NO_AUTO_VALUE_ON_ZERO,ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES"]
if VENDOR is MARIADB:
    MODES += ["ORACLE", "MSSQL", "DB2", "EMPTY_STRING_IS_NULL"]


@pytest.mark.parametrize("charset", ("utf8mb4", "latin1"))
def test_hostile_bytes_break_no_statement_in_any_sql_mode(build, site, server, charset, bulk):
    """A column in "latin1" (Windows-1252) gets a question mark for what it cannot hold."""
    site.sql(f"ALTER TABLE poller_output MODIFY output VARCHAR({COLUMN}) CHARACTER SET {charset} NOT NULL")
    for mode in MODES:
        server.sql("SET GLOBAL sql_mode = %s", mode)
        stored = store_and_read(build, site, server, [("r", value) for value in RAW], bulk)
        for n, value in enumerate(RAW, 1):
            right = as_column(value)
            if charset == "latin1":
                right = right.decode().encode("cp1252", "replace").decode("cp1252").encode()
            assert stored.get(n) == right, (mode, value[:20])
        site.sql("TRUNCATE poller_output")


#: A name cannot hold a NUL.
NAMES = [b"", b"'", b"\\", b"\\'", b'"', b"%s", b"\n\r\x1a\t", b"\xff\xfe", b"25 \xb0C", b"\xc3", "\u20ac".encode(),
         "\U0001f600".encode(), b"x" * 19, b"?", b"1'),(2,'a", b"NULL"]


def test_names_and_times_are_stored_as_they_are(build, site, server, bulk):
    """A row without a time has the zero date and not the present."""
    wanted = [("n", name) for name in NAMES] + [("z", value) for value in (b"5", b"'")]
    stored = store_and_read(build, site, server, wanted, bulk)
    rows = site.sql("SELECT HEX(CONVERT(rrd_name USING utf8mb4)) AS name, CAST(time AS CHAR) AS time FROM poller_output "
                    "ORDER BY local_data_id")
    assert [bytes.fromhex(r["name"]) for r in rows] == [as_column(name) for name in NAMES] + [b"value"] * 2
    assert [r["time"] == "0000-00-00 00:00:00" for r in rows] == [False] * len(NAMES) + [True] * 2
    assert list(stored.values()) == [b"1"] * len(NAMES) + [b"5", b"'"]
