"""System information: stored with --mibs, as the reference does every cycle."""

from world import SYSTEM, Cycle

OBJECT = ".1.3.6.1.4.1.99999.1"
ENGINE_TIME = ".1.3.6.1.6.3.10.2.1.3.0"
QUICK = {"snmp_timeout": 500}
ALL = {"snmp_sysDescr": "old", "snmp_sysObjectID": "old", "snmp_sysUpTimeInstance": "1", "snmp_sysContact": "old",
       "snmp_sysName": "old", "snmp_sysLocation": "old"}


MIBS = [Cycle(options=("--mibs",))]


def devices(*rows):
    """Device n at 127.3.0.n, each with these columns and one item."""
    def seed(site):
        for id, columns in enumerate(rows, 1):
            device = site.add_device(id, hostname=f"127.3.0.{id}", port=site.agents, **(QUICK | ALL | columns))
            site.add_snmp_item(device, f"{OBJECT}.1", rrd_name="x")
    return seed


def agents(*own, spec=""):
    """Spec of one agent per list of lines, which it has beside the whole system group."""
    text = spec + f"object {OBJECT}.1 counter32 @mix\n"
    for n, lines in enumerate(own, 1):
        text += f"set own{n}\nuse default\n" + "".join(line + "\n" for line in lines) + "end\n"
    return text + "".join(f"agent 127.3.0.{n} set=own{n}\n" for n in range(1, len(own) + 1))


def everywhere(value):
    return [f"object .1.3.6.1.2.1.1.{n}.0 {value}" for n in (1, 4, 5, 6)]


def test_when_it_is_stored(compare):
    rows = [{"availability_method": method, "snmp_version": version, "ping_method": 2, "ping_port": 1}
            for method in (0, 2, 3, 4, 5, 6) for version in (1, 2)]
    compare(devices(*rows), agents(*([] for _ in rows)), cycles=[Cycle(options=("-M",))], expect=("S7",))


def test_without_mibs_it_is_left_alone(compare):
    compare(devices({}), agents([]))


def test_a_device_that_is_down_keeps_it(compare):
    compare(devices({}), agents([])[:-1] + " silent\n", cycles=MIBS)


def test_texts_that_are_odd(compare):
    values = ['string "it\'s \\"quoted\\" and \\\\ here"', 'string "  blanks around  "', 'string "two\\nlines\\n"',
              'string ""', "hex de ad be ef", "hex 67 72 fc 6e", 'string "gr\\xc3\\xbcn"', "int 5", "null"]
    compare(devices(*({} for _ in values)), agents(*map(everywhere, values)), cycles=MIBS, expect=("V14",))


def test_long_texts(compare):
    lengths = (79, 148, 149, 200, 298, 299, 400)
    oid = ".1.3.6.1.4.1." + ".".join(["123456789"] * 13)
    own = [everywhere(f"fill {n}") for n in lengths] + [[f"object .1.3.6.1.2.1.1.2.0 oid {oid}"]]
    compare(devices(*({} for _ in own)), agents(*own), cycles=MIBS, expect=("S27",))


def test_an_engine_time_replaces_the_uptime_and_a_text_does_not(compare):
    own = [f"object {ENGINE_TIME} int 7000"], [f"object {ENGINE_TIME} string soon"], \
        ["object .1.3.6.1.2.1.1.3.0 string five"]
    compare(devices({}, {}, {}), agents(*own), cycles=MIBS)


def test_what_a_device_lacks_keeps_its_value_and_the_device_is_polled(compare):
    """Each object of the group is missing once for version 1, once for 2c."""
    text, lines = "", SYSTEM.splitlines()
    rows = [(missing, version) for missing in (1, 2, 3, 4, 5, 6) for version in (1, 2)]
    for n, (missing, _) in enumerate(rows, 1):
        own = [line for line in lines if f".1.1.{missing}.0 " not in line] + [f"object {OBJECT}.1 counter32 @mix"]
        text += f"set own{n}\n" + "\n".join(own) + f"\nend\nagent 127.3.0.{n} set=own{n}\n"
    compare(devices(*({"snmp_version": version} for _, version in rows)), text, cycles=MIBS, expect=("S18",))
