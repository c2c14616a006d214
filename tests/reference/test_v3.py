"""SNMPv3 against a real agent: what the reference masters gives the same rows, what it does not is polled here."""

import pytest

from support.snmpd import PLAYPEN, Snmpd

AUTH = {"MD5": "MD5", "SHA": "SHA", "SHA224": "SHA-224", "SHA256": "SHA-256", "SHA384": "SHA-384", "SHA512": "SHA-512"}
PRIV = {"DES": "DES", "AES128": "AES", "AES192": "AES-192", "AES256": "AES-256"}
THEIRS = [(None, None)] + [(a, p) for a in ("MD5", "SHA", "SHA224", "SHA256") for p in (None, "DES", "AES128")]
OURS = [("SHA384", None), ("SHA512", "AES128"), ("SHA256", "AES192"), ("SHA", "AES256")]


def name(auth, priv):
    return f"user{auth or ''}{priv or ''}"


def user(auth, priv):
    """snmpd's configuration for a user whose pass phrases are made of its name."""
    words = f"createUser {name(auth, priv)}"
    if auth:
        words += f" {AUTH[auth]} authpass-{name(auth, priv)}"
    if priv:
        words += f" {PRIV[priv]} privpass-{name(auth, priv)}"
    return f"{words}\nrouser {name(auth, priv)} {'priv' if priv else 'auth' if auth else 'noauth'}\n"


def columns(auth, priv):
    return {"snmp_version": 3, "snmp_username": name(auth, priv), "snmp_community": "", "snmp_timeout": 500,
            "snmp_auth_protocol": auth or "[None]", "snmp_password": f"authpass-{name(auth, priv)}" if auth else "",
            "snmp_priv_protocol": priv or "[None]",
            "snmp_priv_passphrase": f"privpass-{name(auth, priv)}" if priv else ""}


@pytest.fixture(scope="module")
def agent(world):
    objects = {f"{PLAYPEN}.1.{n}": ("integer", 1000 + n) for n in range(1, 31)}
    users = "".join(user(*pair) for pair in THEIRS + OURS)
    with Snmpd(world.work / "snmpd", objects=objects, extra=users) as agent:
        yield agent


def seed_with(agent, rows):
    def seed(site):
        for id, row in enumerate(rows, 1):
            device = site.add_device(id, port=agent.port, **row)
            for n in range(1, 13):
                site.add_snmp_item(device, f"{PLAYPEN}.1.{n}", rrd_name="x")
    return seed


def test_every_pair_of_protocols_that_the_reference_has(compare, agent):
    found = compare(seed_with(agent, [columns(*pair) for pair in THEIRS]))
    for name, dumps in found.items():
        assert name == "reference" or len(dumps[0].outputs) == 12 * len(THEIRS)
        assert all(rows[0][1].startswith("10") for rows in dumps[0].outputs.values())


def test_pairs_that_the_reference_fails_with(compare, agent):
    found = compare(seed_with(agent, [columns(*pair) for pair in OURS]), expect=("S24",))
    for dumps in (found["legacy"], found["event"]):
        assert len(dumps[0].outputs) == 12 * len(OURS)


WRONG = [{"snmp_password": "not the password"}, {"snmp_username": "nobody"}, {"snmp_auth_protocol": "MD5"},
         {"snmp_priv_passphrase": "not the passphrase"}, {"snmp_password": "short"}]


def test_wrong_credentials(compare, agent):
    """Down nevertheless; what is wrong shows in the log, or in the text where nothing needed to be sent."""
    rows = [columns("SHA", "AES128") | {"snmp_timeout": 200} | wrong for wrong in WRONG]
    compare(seed_with(agent, rows + [columns("SHA", None)]), expect=("S25", "S26"))


def test_a_stored_password_without_a_protocol(compare, agent):
    left_over = columns(None, None) | {"snmp_password": "old value", "snmp_timeout": 200}
    found = compare(seed_with(agent, [left_over, columns("SHA", None)]), expect=("S25",))
    for path in ("legacy", "event"):
        assert all(rows[0][1] != "U" for rows in found[path][0].outputs.values())
        assert len(found[path][0].outputs) == 24


def test_items_of_several_users_and_versions_on_one_device(compare, agent):
    def seed(site):
        device = site.add_device(1, port=agent.port, max_oids=4, snmp_timeout=500)
        ways = [{}, columns("SHA", "AES128"), columns("MD5", None), {"snmp_version": 1}, columns(None, None)]
        for n in range(1, 21):
            site.add_snmp_item(device, f"{PLAYPEN}.1.{n}", rrd_name="x", **ways[n % len(ways)])

    for name, dumps in compare(seed).items():
        assert name == "reference" or all(rows[0][1] != "U" for rows in dumps[0].outputs.values())


def test_reindex_by_v3(compare, agent):
    def seed(site):
        seed_with(agent, [columns("SHA256", "DES")])(site)
        for query, op, value, oid in ((1, "=", "1001", 1), (2, "=", "1", 2), (3, "<", "2000", 3)):
            site.sql("INSERT INTO poller_reindex (host_id, data_query_id, action, op, assert_value, arg1) "
                     "VALUES (1, %s, 0, %s, %s, %s)", query, op, value, f"{PLAYPEN}.1.{oid}")

    compare(seed)
