"""Mistakes that people make, each with a message that says what is wrong, where, and what to do about it."""

import pytest

from support import cacti
from support.lab import free_port
from support.mariadb import VENDOR
from support.snmpd import PLAYPEN

from test_snmp_v3 import GOOD, v3_agent

UPTIME = 2
SCRIPT = 1

#: What --check says: keys of spine.conf, settings of Cacti, SQL by root; words that one FAIL or WARN line holds.
CHECKED = {
    "wrong password": (dict(DB_Pass="guess"), {}, (), ("FAIL", "1045", "DB_Pass")),
    "wrong user": (dict(DB_User="guess"), {}, (), ("FAIL", "1045", "DB_User")),
    "wrong database": (dict(DB_Database="cacti_gone"), {}, (), ("FAIL", "1049", "DB_Database")),
    "database server on another port": (dict(DB_Host="127.0.0.1", DB_Port="CLOSED"), {}, (), ("FAIL", "DB_Port")),
    "socket of no server": (dict(DB_Host="/nowhere/mysql.sock"), {}, (), ("FAIL", "/nowhere/mysql.sock", "DB_Host")),
    "TLS that the server has not": (dict(DB_UseSSL=1), {}, (), ("FAIL", "DB_UseSSL")),
    "unknown key": (dict(DB_Hots="x"), {}, (), ("WARN", "line 6", "DB_Host")),
    "number out of range": (dict(DB_Connections=9), {}, (), ("FAIL", "spine.conf:6", "DB_Connections", "1 to 3")),
    "password file missing": (dict(DB_Pass_File="/nowhere"), {}, (), ("FAIL", "DB_Pass_File", "/nowhere")),
    "folder of the event log missing": (dict(Event_Log="/nowhere/x"), {}, (), ("FAIL", "/nowhere", "Event_Log")),
    "folder of the spool missing": (dict(Spool_File="/nowhere/x"), {}, (), ("FAIL", "/nowhere", "Spool_File")),
    "folder of the log missing": ({}, dict(path_cactilog="/nowhere/cacti.log"), (), ("FAIL", "/nowhere", "path_cactilog")),
    "PHP missing": ({}, dict(path_php_binary="/nowhere/php"), (), ("WARN", "/nowhere/php", "path_php_binary")),
    "script server missing": ({}, dict(path_webroot="/nowhere"), (), ("WARN", "script_server.php", "path_webroot")),
    "table missing": ({}, {}, ("DROP TABLE poller_command",), ("FAIL", "poller_command")),
    "right missing": ({}, {}, (f"REVOKE ALL ON `cacti%`.* FROM {cacti.USER}@localhost",
                               f"GRANT SELECT ON `cacti%`.* TO {cacti.USER}@localhost"),
                      ("FAIL", "poller_output", "GRANT")),
    "poller that does not exist": (dict(Poller=7), {}, (), ("FAIL", "7", "--poller")),
}


@pytest.mark.parametrize("keys, settings, statements, words", CHECKED.values(), ids=CHECKED)
def test_a_check_says_what_where_and_what_to_do(site, plain_poller, keys, settings, statements, words):
    site.settings(**settings)
    if "DB_UseSSL" in keys:
        site.server.options.append(VENDOR.without_tls)
        site.server.restart()
    keys = {key: free_port() if value == "CLOSED" else value for key, value in keys.items()}
    plain_poller.write_conf(plain_poller.conf_text(**keys))
    for statement in statements:
        site.server.sql(statement) if "GRANT" in statement or "REVOKE" in statement else site.sql(statement)
    done = plain_poller.run_as([plain_poller.binary.path, "-C", plain_poller.conf, "--check"])
    lines = [line for line in done.stdout.splitlines() if all(word in line for word in words)]
    told = [line for line in done.stdout.splitlines() if line.startswith(("WARN", "FAIL"))]
    assert lines and done.status == (2 if words[0] == "FAIL" else 1), "\n".join(["what was said:"] + told)
    assert "guess" not in done.stdout or "DB_User" in words, done


#: What the command line gets: arguments; status and words of the one line on standard error.
TYPED = {
    "spine.conf missing": (["-C", "/nowhere/spine.conf"], 78, ("/nowhere/spine.conf",)),
    "one end of a range": (["--first=1"], 64, ("-f/-l",)),
    "hosts that are no ids": (["--hostlist=router"], 64, ("--hostlist", "device ids")),
    "option that does not exist": (["--event_loop=on"], 64, ("--event_loop", "did you mean --event-loop?")),
    "two commands": (["--check", "--verify"], 64, ("--check", "--verify")),
}


@pytest.mark.parametrize("arguments, status, words", TYPED.values(), ids=TYPED)
def test_a_command_line_is_refused_in_one_line(plain_poller, arguments, status, words):
    start = [plain_poller.binary.path] + ([] if "-C" in arguments else ["-C", plain_poller.conf])
    run = plain_poller.run_as(start + arguments)
    assert run.status == status and len(run.stderr.splitlines()) == 1, run
    assert all(word in run.stderr for word in words), run


@pytest.fixture
def devices(site, snmpd, agents, work):
    """Devices that are set up wrong: {name: (id, words that a line about it holds)}."""
    plain = work / "plain.sh"
    plain.write_text("#!/bin/sh\necho 1\n")
    plain.chmod(0o644)
    farm = agents("agent 127.4.0.9 community=right-community\n")
    with v3_agent(work / "v3", [GOOD]) as v3:
        table = {
            "wrong community": (dict(hostname="127.4.0.9", port=farm.port, snmp_community="wrong-community"), None,
                                ("no answer", "check the community")),
            "wrong pass phrase": (GOOD | dict(port=v3.port, snmp_password="not-the-pass-phrase"), None,
                                  ("usmStatsWrongDigests", "pass phrases")),
            "closed port": (dict(port=free_port()), None, ("no answer", "that an agent runs")),
            "name that does not exist": (dict(hostname="no-such-host.invalid", port=snmpd.port), None,
                                         ("no-such-host.invalid",)),
            "script that is no program": (dict(port=snmpd.port), str(plain), ("exit status 126", "could not execute the command", "plain.sh")),
            "script that does not exist": (dict(port=snmpd.port), "/nowhere/script", ("exit status 127", "/nowhere/script")),
        }
        found = {}
        for id, (name, (columns, script, words)) in enumerate(table.items(), 1):
            device = site.add_device(id, availability_method=UPTIME, **{"snmp_timeout": 1000, **columns})
            item = {"device": device, "arg1": script or f"{PLAYPEN}.{id}.1", "rrd_name": "v"}
            site.add_items([item | ({"action": SCRIPT} if script else {})])
            found[name] = (id, words)
        yield found


def test_a_device_that_is_set_up_wrong_is_named_with_the_reason(devices, poller):
    run = poller.run("-O", "snmp_retries:1")
    assert run.status == 0, run
    for name, (id, words) in devices.items():
        lines = [line for line in run.log.splitlines() if f"Device[{id}]" in line]
        assert any(all(word in line for word in words) for line in lines), (name, words, lines)
