"""The rows of the tables of docs/values.md, which describes their syntax."""

import pathlib
import re

FILE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "values.md"

#: Output of a script or a script server, and an SNMP OCTET STRING; the tables have rows of other SNMP types, too.
KINDS = ("text", "octets")

_SIMPLE = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0", b"\\": b"\\", b"s": b" "}


def _unescape(text):
    out, at = b"", 0
    while at < len(text):
        if text[at:at + 1] != b"\\":
            out, at = out + text[at:at + 1], at + 1
        elif text[at + 1:at + 2] == b"x":
            out, at = out + bytes([int(text[at + 2:at + 4], 16)]), at + 4
        else:
            out, at = out + _SIMPLE[text[at + 1:at + 2]], at + 2
    return out


def _field(text):
    out, at = b"", 0
    text = text.strip(b" ")
    if len(text) >= 2 and text[:1] == text[-1:] == b"`":
        text = text[1:-1]
    for repeat in re.finditer(rb"\{(.*?)\*(\d+)\}", text):
        out += _unescape(text[at:repeat.start()]) + _unescape(repeat[1]) * int(repeat[2])
        at = repeat.end()
    return out + _unescape(text[at:])


def cases():
    """(line number, kind, input bytes, expected bytes) of every row of these kinds."""
    found = []
    for number, line in enumerate(FILE.read_bytes().splitlines(), 1):
        kind, given, expected = (line.split(b"|") + [b""] * 4)[1:4]
        if kind.strip().decode() in KINDS:
            found.append((number, kind.strip().decode(), _field(given), _field(expected)))
    return found
