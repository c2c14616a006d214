"""Command line and configuration, as far as they show in the database."""

from world import Cycle

OBJECT = ".1.3.6.1.4.1.99999.1"
OBJECTS = f"object {OBJECT}.{{1-50}} counter32 @mix\nagent 127.3.0.1\n"


def seed(site):
    site.settings(active_profiles=2, poller_interval=300)
    for id in (1, 2):
        device = site.add_device(id, hostname="127.3.0.1", port=site.agents, snmp_timeout=20000, poller_id=id)
        site.add_snmp_item(device, f"{OBJECT}.{id}", rrd_name="x", rrd_step=300)


def test_an_override_beats_the_settings(compare):
    compare(seed, OBJECTS, cycles=[Cycle(options=("-O", "poller_interval:60"))])


def test_the_last_of_several_overrides_wins(compare):
    compare(seed, OBJECTS, cycles=[Cycle(options=("-O", "poller_interval:60", "-O", "poller_interval:300"))],
            expect=("P2",))


def test_the_command_line_beats_the_file(compare):
    found = compare(seed, OBJECTS, conf={"Poller": 2}, expect=("P3",))
    assert found["legacy"][0].cycles[0]["poller_id"] == 1
