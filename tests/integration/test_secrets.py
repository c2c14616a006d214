"""No secret in anything that the program writes: passwords of the database, communities, pass phrases of SNMPv3."""

import pytest

from support import cacti
from support.snmpd import PLAYPEN

from test_snmp_v3 import OBJECT, credentials, v3_agent

COMMUNITY = "community-secret"
AUTH, PRIV = "authpass of secret", "privpass of secret"
SECRETS = (cacti.PASSWORD + "-secret", COMMUNITY, AUTH, PRIV)

#: Files that a run can be told to write: option and name.
OUTPUTS = {"--event-log": "events", "--report": "report.json", "--metrics-file": "metrics.prom", "--trace": "trace.json",
           "--timeline": "timeline.html"}


@pytest.fixture
def site_with_secrets(site, agents, work):
    """Devices whose credentials are right, wrong and unusable, and an account of the database with a password of its own."""
    farm = agents(f"agent 127.4.0.9 community={COMMUNITY}\n")
    good = credentials("SHA", "AES", user="u", auth_pass=AUTH, priv_pass=PRIV)
    site.server.sql(f"ALTER USER {cacti.USER}@localhost IDENTIFIED BY '{SECRETS[0]}'")
    with v3_agent(work / "v3", [good]) as v3:
        for id, columns in enumerate((
                dict(hostname="127.4.0.9", port=farm.port, snmp_community=COMMUNITY),
                dict(hostname="127.4.0.8", port=farm.port, snmp_community=COMMUNITY, snmp_timeout=100),
                good | dict(port=v3.port),
                good | dict(port=v3.port, snmp_username="eve", snmp_timeout=500),
                good | dict(port=v3.port, snmp_auth_protocol="ROT13")), 1):
            device = site.add_device(id, availability_method=2, **columns)
            site.add_snmp_item(device, f"{OBJECT}.1" if id > 2 else f"{PLAYPEN}.1.1", rrd_name="v")
        yield site


def assert_no_secret(where, text):
    found = [secret for secret in SECRETS if secret in text]
    assert not found, f"{where} has {found}"


def test_a_run_writes_no_secret_anywhere(site_with_secrets, poller, work):
    poller.write_conf(poller.conf_text(DB_Pass=SECRETS[0], Trace_Events=1000))
    files = [f"{option}={work / name}" for option, name in OUTPUTS.items()]
    run = poller.run("-V", "DEVDBG", "-O", "spine_log_level:2", "-O", "snmp_retries:0", "--event-detail=full", *files)
    assert run.status == 0, run
    assert "Device[1]" in run.log and "Device[5]" in run.log, run
    for name in ("log", "stdout", "stderr"):
        assert_no_secret(name, getattr(run, name))
    for name in OUTPUTS.values():
        text = (work / name).read_text(encoding="utf-8", errors="replace")
        assert text, f"{name} is empty"
        assert_no_secret(name, text)


@pytest.mark.parametrize("command", ("--explain=1,2,3,4,5", "--verify", "--plan", "--check", "--version"))
@pytest.mark.parametrize("form", ("text", "json"))
def test_a_command_prints_no_secret(site_with_secrets, plain_poller, command, form):
    plain_poller.write_conf(plain_poller.conf_text(DB_Pass=SECRETS[0]))
    run = plain_poller.run(command, f"--format={form}", "-V", "DEVDBG", "-O", "snmp_retries:0")
    assert run.stdout, run
    for name in ("log", "stdout", "stderr"):
        assert_no_secret(name, getattr(run, name))


def test_a_database_that_refuses_the_password_does_not_make_it_known(site_with_secrets, plain_poller):
    plain_poller.write_conf(plain_poller.conf_text(DB_Pass=SECRETS[1]))
    run = plain_poller.run("-V", "DEVDBG")
    assert run.status == 69 and "1045" in run.stderr, run
    for name in ("log", "stdout", "stderr"):
        assert_no_secret(name, getattr(run, name))
