"""SNMPv3 against real agents: every protocol, wrong credentials, engines that restart or share an id (docs/contract.md 12)."""

import contextlib
import re

import pytest

from support.checks import assert_closed, assert_stored
from support.lab import SilentDevice
from support.relay import UdpRelay
from support.snmpd import PLAYPEN, Snmpd

#: Cacti's names and those of snmpd's createUser.
AUTH = {"MD5": "MD5", "SHA": "SHA", "SHA224": "SHA-224", "SHA256": "SHA-256", "SHA384": "SHA-384", "SHA512": "SHA-512"}
PRIV = {"DES": "DES", "AES": "AES", "AES128": "AES", "AES192": "AES-192", "AES256": "AES-256",
        "AES192C": "AES-192-C", "AES256C": "AES-256-C"}
OBJECT = f"{PLAYPEN}.7"


def credentials(auth=None, priv=None, user=None, auth_pass=None, priv_pass=None):
    """The columns of a device whose user and pass phrases carry the names of its protocols."""
    user = user or "-".join(["user", *filter(None, (auth, priv))])
    return {"snmp_version": 3, "snmp_username": user, "snmp_community": "",
            "snmp_auth_protocol": auth or "[None]",
            "snmp_password": auth_pass or (f"authpass of {user}" if auth else ""),
            "snmp_priv_protocol": priv or "[None]",
            "snmp_priv_passphrase": priv_pass or (f"privpass of {user}" if priv else "")}


def user_lines(columns):
    """snmpd's configuration for the user with these credentials."""
    name, auth, priv = columns["snmp_username"], columns["snmp_auth_protocol"], columns["snmp_priv_protocol"]
    words = [f"createUser {name}"]
    if auth != "[None]":
        words.append(f'{AUTH[auth]} "{columns["snmp_password"]}"')
    if priv != "[None]":
        words.append(f'{PRIV[priv]} "{columns["snmp_priv_passphrase"]}"')
    level = "priv" if priv != "[None]" else "auth" if auth != "[None]" else "noauth"
    return f"{' '.join(words)}\nrouser {name} {level}"


class RememberingSnmpd(Snmpd):
    """Finds its configuration by itself: only then net-snmp's agent keeps engine id and boots over a restart."""

    def environment(self):
        return {**super().environment(), "SNMPCONFPATH": f"{self.directory}:{self._state}"}

    def arguments(self):
        arguments = super().arguments()
        at = arguments.index("-C")
        return arguments[:at] + arguments[at + 3:]


def v3_agent(directory, users, value=42, extra=""):
    return RememberingSnmpd(directory, objects={OBJECT: ("integer", value)},
                            extra="\n".join([*map(user_lines, users), extra]))


def add_device(site, number, port, columns, **more):
    """A device with one item; returns the item's key."""
    device = site.add_device(number, **{"port": port, "snmp_timeout": 2000, **columns, **more})
    return site.add_snmp_item(device, OBJECT, rrd_name="x")


def widen(site):
    """Cacti 1.2.24's column is one character too narrow for the longest names."""
    for table in ("host", "poller_item"):
        site.sql(f"ALTER TABLE {table} MODIFY snmp_priv_protocol varchar(7) NOT NULL DEFAULT ''")


@pytest.mark.quick
def test_every_pair_of_protocols_is_polled(site, work, poller):
    users = [credentials(), *(credentials(a) for a in AUTH), *(credentials(a, p) for a in AUTH for p in PRIV)]
    widen(site)
    with v3_agent(work / "agent", users) as agent:
        expected = {add_device(site, n, agent.port, user): "42" for n, user in enumerate(users, 1)}
        run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)
    down = site.sql("SELECT id FROM host WHERE status <> 3")
    assert not down, down


GOOD = credentials("SHA", "AES", user="bob")
WRONG = {
    "a wrong authentication pass phrase": ({"snmp_password": "not this one"}, "usmStatsWrongDigests"),
    "another authentication protocol": ({"snmp_auth_protocol": "MD5"}, "usmStatsWrongDigests"),
    "an unknown user": ({"snmp_username": "eve"}, "usmStatsUnknownUserNames"),
    "privacy that the user has not": (credentials("SHA", "AES", user="user-SHA", auth_pass="authpass of user-SHA"),
                                      "usmStatsUnsupportedSecLevels"),
    "a short authentication pass phrase": ({"snmp_password": "seven77"}, "authentication pass phrase: it is shorter"),
    "a short privacy pass phrase": ({"snmp_priv_passphrase": "seven77"}, "privacy pass phrase: it is shorter"),
    "privacy without an authentication protocol": ({"snmp_auth_protocol": "[None]"}, "no known authentication protocol"),
    "an unknown authentication protocol": ({"snmp_auth_protocol": "ROT13"}, "no known authentication protocol"),
    "privacy without authentication": ({"snmp_password": ""}, "authentication pass phrase: it is empty"),
    "an unknown privacy protocol": ({"snmp_priv_protocol": "ROT13"}, "unknown SNMPv3 privacy protocol 'ROT13'"),
    "no user": ({"snmp_username": ""}, ""),
    "an invalid engine id": ({"snmp_engine_id": "0xgg"}, "hexadecimal"),
}


def test_wrong_credentials_give_U_with_the_reason_and_disturb_no_other_device(site, work, poller):
    """Each has a neighbour with the right credentials of the same user at the same agent before and after it."""
    expected, reasons = {}, {}
    with v3_agent(work / "agent", [GOOD, credentials("SHA")]) as agent:
        for n, (wrong, reason) in enumerate(WRONG.values()):
            id = 10 * n + 1
            expected[add_device(site, id, agent.port, GOOD)] = "42"
            expected[add_device(site, id + 1, agent.port, GOOD | wrong, availability_method=0)] = "U"
            expected[add_device(site, id + 2, agent.port, GOOD)] = "42"
            reasons[id + 1] = reason
        run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)
    for id, reason in reasons.items():
        assert reason in "\n".join(run.log_lines(f"Device[{id}] ")), (id, reason, run)


#: What Cacti's own command line and older versions leave in the columns, and how it is meant.
LEFT_OVER = {
    "a password without a protocol": (None, None, {"snmp_password": "old value from v2"}),
    "a short password without a protocol": (None, None, {"snmp_password": "x"}),
    "a password with an empty protocol": (None, None, {"snmp_auth_protocol": "", "snmp_password": "old value"}),
    "both pass phrases without protocols": (None, None, {"snmp_password": "old value",
                                                         "snmp_priv_passphrase": "old value"}),
    "both pass phrases with empty protocols": (None, None, {"snmp_auth_protocol": "", "snmp_password": "old value",
                                                            "snmp_priv_protocol": "",
                                                            "snmp_priv_passphrase": "old value"}),
    "a protocol without a password": (None, None, {"snmp_auth_protocol": "SHA"}),
    "a privacy pass phrase without a protocol": ("SHA", None, {"snmp_priv_passphrase": "old value"}),
    "a privacy pass phrase with an empty protocol": ("SHA", None, {"snmp_priv_protocol": "",
                                                                   "snmp_priv_passphrase": "old value"}),
    "an empty privacy protocol": ("SHA", None, {"snmp_priv_protocol": ""}),
    "a privacy protocol without a pass phrase": ("SHA", None, {"snmp_priv_protocol": "AES"}),
}


@pytest.mark.quick
def test_a_stored_pass_phrase_without_a_protocol_is_not_used(site, work, poller):
    """cmd.php polls such rows without authentication, or without privacy."""
    with v3_agent(work / "agent", [credentials(), credentials("SHA")]) as agent:
        expected = {add_device(site, n, agent.port, credentials(auth, priv) | columns): "42"
                    for n, (auth, priv, columns) in enumerate(LEFT_OVER.values(), 1)}
        run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)
    down = site.sql("SELECT id FROM host WHERE status <> 3")
    assert not down, down


def test_a_wrong_privacy_pass_phrase_gives_U_and_disturbs_no_other_device(site, work, poller):
    """The agent cannot read such a request, and net-snmp's then keeps silent."""
    with v3_agent(work / "agent", [GOOD]) as agent:
        wrong = GOOD | {"snmp_priv_passphrase": "not this one", "snmp_timeout": 200}
        expected = {add_device(site, 1, agent.port, GOOD): "42",
                    add_device(site, 2, agent.port, wrong, availability_method=0): "U",
                    add_device(site, 3, agent.port, GOOD): "42"}
        run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)


def test_a_device_that_refuses_the_credentials_goes_down_without_waiting(site, work, poller):
    with v3_agent(work / "agent", [GOOD]) as agent:
        add_device(site, 1, agent.port, GOOD | {"snmp_password": "not this one"}, availability_method=2)
        with UdpRelay(agent.port) as relay:
            site.sql("UPDATE host SET snmp_port = %s", relay.port)
            run = poller.run()
    assert run.status == 0, run
    assert site.device(1)["failed_polls"] == 1
    assert len(relay.requests) <= 4, "a Report is an answer: it must not be asked again"


@pytest.mark.quick
def test_an_agent_that_restarts_in_mid_cycle_costs_one_more_message_and_no_value(site, work, poller):
    """Its engineBoots is one more: it answers "not in time window" once, then takes the corrected request."""
    with v3_agent(work / "agent", [GOOD]) as agent:
        def restart(n, _):
            if n == 4:  # discovery, check, first item; the second item then meets another boot
                agent.restart()

        with UdpRelay(agent.port, before=restart) as relay:
            device = site.add_device(1, port=relay.port, snmp_timeout=15000, max_oids=1, **GOOD)
            expected = {site.add_snmp_item(device, OBJECT, rrd_name=f"v{n}"): "42" for n in range(6)}
            run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)
    assert len(relay.requests) == 2 + 6 + 1


def test_an_agent_that_restarts_as_another_engine_in_mid_cycle_is_found_again(site, work, poller):
    with v3_agent(work / "agent", [GOOD]) as agent:
        def restart(n, _):
            if n == 4:
                agent.stop()
                for path in (agent.directory / "state").glob("*.conf"):
                    path.unlink()
                agent.start()

        with UdpRelay(agent.port, before=restart) as relay:
            device = site.add_device(1, port=relay.port, snmp_timeout=4000, max_oids=1, **GOOD)
            expected = {site.add_snmp_item(device, OBJECT, rrd_name=f"v{n}"): "42" for n in range(6)}
            run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)


def set_boots(agent, boots):
    agent.stop()
    state = agent.directory / "state" / "snmpd.conf"
    text, count = re.subn(r"(?m)^engineBoots \d+$", f"engineBoots {boots}", state.read_text())
    assert count == 1, text
    state.write_text(text)
    agent.start()


@pytest.mark.quick
def test_two_agents_with_one_engine_id_are_both_polled_in_one_cycle(site, work, poller):
    """Different clocks, and one user name with different pass phrases; many devices at each, several threads."""
    engine = "exactEngineID 0x8000000001020304\n"
    other = GOOD | {"snmp_password": "another authpass", "snmp_priv_passphrase": "another privpass"}
    with contextlib.ExitStack() as running:
        agents = [running.enter_context(v3_agent(work / f"agent{n}", [user], value=n, extra=engine))
                  for n, user in enumerate((GOOD, other))]
        set_boots(agents[0], 51)
        site.threads(8)
        expected = {}
        for id in range(1, 41):
            device = site.add_device(id, port=agents[id % 2].port, snmp_timeout=2000, max_oids=1,
                                     **(GOOD, other)[id % 2])
            for n in range(3):
                expected[site.add_snmp_item(device, OBJECT, rrd_name=f"v{n}")] = str(id % 2)
        swapped = add_device(site, 50, agents[0].port, other, availability_method=0)
        run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected | {swapped: "U"})
    assert site.sql("SELECT COUNT(*) AS n FROM host WHERE status <> 3")[0]["n"] == 0


@pytest.mark.parametrize("stored", ("80001f8804636163", "0x80001F8804636163"))
def test_the_engine_id_of_a_device_names_the_context_in_bytes(site, work, poller, stored):
    with v3_agent(work / "agent", [credentials()]) as agent, UdpRelay(agent.port) as relay:
        expected = {add_device(site, 1, relay.port, credentials(), snmp_engine_id=stored): "42"}
        run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)
    assert relay.requests
    for request in relay.requests:
        assert bytes.fromhex("0408" "80001f8804636163") in request


def test_the_context_of_a_device_is_sent(site, work, poller):
    with v3_agent(work / "agent", [credentials()]) as agent, UdpRelay(agent.port) as relay:
        add_device(site, 1, relay.port, credentials(), snmp_context="blue", snmp_timeout=100, availability_method=0)
        run = poller.run()
    assert run.status == 0, run
    assert any(b"\x04\x04blue" in request for request in relay.requests)


def test_silent_v3_devices_do_not_delay_the_others(site, work, poller):
    with v3_agent(work / "agent", [GOOD]) as agent, SilentDevice() as silent:
        expected = {}
        for id in range(1, 21):
            expected[add_device(site, id, agent.port, GOOD)] = "42"
            expected[add_device(site, 100 + id, silent.port, GOOD, snmp_timeout=200, availability_method=0)] = "U"
        run = poller.run()
        # The second one is not sent where a busy machine lets the time for both go by.
        assert 20 <= silent.requests() <= 20 * 2, "two tries to find each engine, and no more"
    assert run.status == 0, run
    assert_stored(site, expected)


def test_names_and_pass_phrases_of_full_width_are_used(site, work, poller):
    wide = credentials("SHA256", "AES", user="u" * 32, auth_pass="a" * 50, priv_pass="p" * 200)
    with v3_agent(work / "agent", [wide]) as agent:
        expected = {add_device(site, 1, agent.port, wide): "42"}
        run = poller.run()
    assert run.status == 0, run
    assert_stored(site, expected)
