"""What is stored for a text that an agent sends (docs/contract.md 16), in batches that the reference strips and in
those that it does not. Which rule explains what is decided from the text alone."""

import pytest

OBJECT = ".1.3.6.1.4.1.99999.1"
LIVE = {"snmp_timeout": 20000}

TEXTS = ["42", "-7", "+5", ".5", "5.", "010", "1e5", "-1e5", '"12"', "'12'", " 5", " 12", "  12 ", " 1.5", " -1",
         "\t12", "12\r\n", "12\\", "12.5", "12.5%", "12 apples", "5 ms", "5ms", "3.3V", "-12.3 dBm", "5°C", "5*",
         "apples 12", "Temp -5", "1,234", "0x1F", "0x1p3", "DE AD BE EF", "de ad be ef", '"DE AD"', "12 34", "A B",
         "DE-AD-BE-EF", "DE:AD:BE:EF", "00:0d:ad:be:ef:01", "12:30:00", "FF FF FF FF FF FF FF FF",
         "00 20 00 00 00 00 00 01", "01 02 03 04 05 06 07 08 09", "deadbeef", "2024-01-02", "--5", "- 5", "nan", "NaN",
         "inf", "nan ", "-inf", "+inf", "+nan", "1e400", "18446744073709551615", "123456789012345678901234567890",
         "9" * 300, "9" * 400, "U", "u", "", " ", "a:1 b:2", "a:1 b:U", "in:-1 out:1.5e3", "in: out:2", "in!1 out!2",
         "in:1,out:2", "a:1\nb:2", " in:1 out:2", "in:1 out:2 ", '"in:1 out:2"', "in:1 out:2 x", "in:1  out:2",
         "a:1  b:2", "ERROR:", "Error:failed", "http://x", ":", "Error: something bad", "1 day, 2:03", "http://x/ y",
         "<b>5</b>", "true", "5; 6", "1 2 x", "1\n2\n3", "x:" + "6" * 600, "AB", "a\\5", "it's 5", "5\n6",
         "1:02:03.4", "in:1 out:2\n", "in:1\tout:2", "+", "-", ".", "1e", "5e-", "0", "-0", "00", "1-2", "1 -2",
         "5 %", "100%", "99.9 percent 1", "a:1 b:2 c", "a: b:", "no colon here", "x:1 2", "x:1 y", "x :1"]


def spec_text(text):
    return "".join(rf"\x{b:02x}" if b < 32 or b > 126 or chr(b) in '"\\' else "@@" if b == 64 else chr(b)
                   for b in text.encode())


@pytest.mark.parametrize("max_oids,log_level", [(100, 0), (100, 1), (100, 2), (1, 0)])
def test_texts(compare, max_oids, log_level):
    def seed(site):
        site.settings(spine_log_level=log_level)
        site.threads(1)  # the reference sometimes loses one of two lines that are written at once
        for id in range(1, (len(TEXTS) + 39) // 40 + 1):
            device = site.add_device(id, hostname="127.3.0.1", port=site.agents, max_oids=max_oids, **LIVE)
            for n in range((id - 1) * 40 + 1, min(id * 40, len(TEXTS)) + 1):
                site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x")

    lines = "".join(f'object {OBJECT}.{n} string "{spec_text(text)}"\n' for n, text in enumerate(TEXTS, 1))
    compare(seed, lines + "agent 127.3.0.1\n", raw={(n, "x"): text for n, text in enumerate(TEXTS, 1)},
            expect=("V2", "V3", "V6", "V7", "V9", "V10", "V11") + (("V4",) if max_oids == 1 else ()) +
            (("V12",) if log_level == 2 else ()))


#: As far as an SNMP string can hold it; how the reference differs with each, if it does.
ODD = [(b"a:b\\c\\", "V7"), (b"x:" + b"1" * 3000, "V7"), (b"5\0006", None), ("x:gr\xfcn".encode(), "V10"),
       ("x:gr\xfcn".encode("latin-1"), "V10"), (b"x:1'2", "P12"), (b"x:','1'),(2,'y", "P12")]


def test_odd_texts_cost_no_other_item(compare):
    """Each device has one of them between two others."""
    def seed(site):
        for id in range(1, len(ODD) + 1):
            device = site.add_device(id, hostname="127.3.0.1", port=site.agents, **LIVE)
            for n in (31, id, 32):
                site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x")

    lines = "".join(f"object {OBJECT}.{n} hex {octets.hex()}\n" for n, (octets, _) in enumerate(ODD, 1))
    compare(seed, f"object {OBJECT}.{{31-32}} counter32 @mix\n{lines}agent 127.3.0.1\n", expect=("P12", "V7", "V10"),
            raw={(3 * n - 1, "x"): octets for n, (octets, _) in enumerate(ODD, 1)})


#: Octets that are not ASCII alone: texts with padding, in UTF-8 and in ISO 8859-1, and binary ones.
OCTETS = [b"1234\0", b"0\0", b"-34\0", "30°C".encode(), "30°C".encode("latin-1"), b"12.5\xff\xff", b"in:5 out:6\0",
          "23.5 °C inside".encode(), b"n/a\0", b"\xde\xad\xbe\xef", b"\x80", b"\0\x1a\x2b", b"\x07\xe8\x0a\x1e\x0b\x0c\x0d\0",
          b"\1\2\3\4\5\6\7\1\2", b"\0\x20\0\0\0\0\0\1"]


def test_octets(compare):
    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **LIVE)
        for n in range(1, len(OCTETS) + 1):
            site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x")

    lines = "".join(f"object {OBJECT}.{n} hex {octets.hex()}\n" for n, octets in enumerate(OCTETS, 1))
    found = compare(seed, lines + "agent 127.3.0.1\n", raw={(n, "x"): octets for n, octets in enumerate(OCTETS, 1)},
                    expect=("V10",))
    for program in found.keys() - {"reference"}:
        assert [found[program][0].outputs[n, "x"][0][1] for n in range(1, 10)] == \
            ["1234", "0", "-34", "30", "30", "12.5", "in:5 out:6", "23.5", "U"]


def test_pairs_wider_than_the_column(compare):
    wide = [" ".join(f"p{n}:{n}" for n in range(100, 100 + count)) for count in (56, 57, 58, 100, 400)]

    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **LIVE)
        for n in range(1, len(wide) + 1):
            site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x")

    lines = "".join(f'object {OBJECT}.{n} string "{text}"\n' for n, text in enumerate(wide, 1))
    compare(seed, lines + "agent 127.3.0.1\n", raw={(n, "x"): text for n, text in enumerate(wide, 1)}, expect=("V13",))


def test_a_quote_in_a_name_costs_nothing(compare):
    def seed(site):
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **LIVE)
        site.add_snmp_item(device, f"{OBJECT}.1", rrd_name="x")
        site.add_snmp_item(device, f"{OBJECT}.2", rrd_name="it's")

    compare(seed, f"object {OBJECT}.{{1-4}} counter32 @mix\nagent 127.3.0.1\n", expect=("P12",))
