"""Every row of the table of values through the real normaliser and store, and back out of MariaDB byte for byte."""

import subprocess

import pytest

from support import cacti
from support.valuecases import cases

COLUMN = 512  # characters of poller_output.output

#: More than the table: what breaks statements. All are of pairs shape, so they are stored as they are.
HOSTILE = [b"x:it's", b'x:"quoted"y', b"x:back\\slash", b"x:\\'z", b"x:1'),(2,'a',now(),'b", b"x:%s%n", b"x:1;--",
           b"x:" + b"y" * 3000, "x:gr\u00fc\u00dfe".encode(), "x:\U0001f600".encode(), b"x:\x1b[31m"]


def as_column(value):
    """What the column holds: valid UTF-8, cut to its width; a byte that is no UTF-8 is taken as Latin-1."""
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


@pytest.mark.parametrize("mode", ["", "TRADITIONAL,NO_BACKSLASH_ESCAPES,ANSI_QUOTES"])
def test_every_value_comes_back_byte_for_byte(build, site, server, mode):
    server.sql(f"SET GLOBAL sql_mode='{mode}'")
    wanted = [("t" if kind == "text" else "o", given, expected) for _, kind, given, expected in cases()]
    wanted += [("t", value, value) for value in HOSTILE]
    lines = "".join(f"{kind} {given.hex()}\n" for kind, given, _ in wanted)
    probe = build.binary.path.parent / "tests/support/storeprobe"
    done = subprocess.run([probe, server.socket, cacti.DATABASE, cacti.USER, cacti.PASSWORD], input=lines,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    rows = site.sql("SELECT local_data_id, HEX(output) AS output FROM poller_output")
    stored = {r["local_data_id"]: bytes.fromhex(r["output"]) for r in rows}
    wrong = [(given, stored.get(n), as_column(expected)) for n, (_, given, expected) in enumerate(wanted, 1)
             if stored.get(n) != as_column(expected)]
    assert not wrong, f"{len(wrong)} of {len(wanted)} differ (input, stored, right), first: {wrong[:3]}"
    assert len(stored) == len(wanted)
