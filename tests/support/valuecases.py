"""The table of contract 13.3 and more, from tests/unit/model/value_cases.txt (syntax at its head)."""

import pathlib
import re

FILE = pathlib.Path(__file__).resolve().parents[1] / "unit" / "model" / "value_cases.txt"

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
    text = text.strip(b" \t")
    for repeat in re.finditer(rb"\{(.*?)\*(\d+)\}", text):
        out += _unescape(text[at:repeat.start()]) + _unescape(repeat[1]) * int(repeat[2])
        at = repeat.end()
    return out + _unescape(text[at:])


def cases():
    """(line number, kind, input bytes, expected bytes) of every case."""
    found = []
    for number, line in enumerate(FILE.read_bytes().splitlines(), 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        kind, given, expected = line.split(b"|")[:3]
        found.append((number, kind.strip().decode(), _field(given), _field(expected)))
    return found
