"""What the log says of devices that are down and of values that are U: the reason and what to do about it, at the
verbosities that sites have (docs/operations.md, docs/contract.md 3.12 and 3.14)."""

import re

import pytest

from support.checks import assert_stored
from support.lab import SilentDevice, free_port

from conftest import SYSTEM_GROUP
from test_snmp_v3 import GOOD, OBJECT, credentials, v3_agent

NONE, PING_AND_SNMP, UPTIME, PING, PING_OR_SNMP, DESCR, GETNEXT = range(7)
UDP = 2
LOW, MEDIUM = 2, 3
ITEMS = 12  # of each device: a line for each of them would be seen

DOWN = "WARNING: The device does not pass its availability check: "
LOOK = "check the community, the port and that an agent runs and lets this host in"
USER = "check the device's SNMPv3 user name, pass phrases, protocols, engine id and context"
SETTINGS = "correct this in the device's settings"
ALIVE = "check that the host is up and that port "

#: Communities and pass phrases of these tests; no line may have one.
SECRETS = ("wrong-community", "authpass of bob", "privpass of bob", "not-the-pass-phrase", "seven77", "right-community")


def assert_no_secrets(text):
    found = [secret for secret in SECRETS if secret in text]
    assert not found, found


def lines_of(run, device):
    return [line for line in (run.log + run.stdout).splitlines() if re.search(rf"\bDevice\[{device}\]", line)]


def add_device(site, number, columns):
    """A device with many items."""
    device = site.add_device(number, **{"snmp_timeout": 150, "ping_timeout": 150, "ping_retries": 0, **columns})
    site.add_items([{"device": device, "arg1": f"{OBJECT}.{n}", "rrd_name": f"x{n}"} for n in range(ITEMS)])


@pytest.fixture
def broken(site, agents, work):
    """Devices that cannot be up, each for a reason of its own: {name: (columns, words of the reason, remedy)}."""
    farm = agents(SYSTEM_GROUP + "agent 127.4.0.1 community=right-community\nagent 127.4.0.2 version=1\n")
    closed = free_port()
    with v3_agent(work / "agent", [GOOD, credentials("SHA")]) as agent, SilentDevice() as silent:
        v3 = GOOD | {"port": agent.port, "snmp_timeout": 1000}
        v2 = {"port": farm.port, "snmp_community": "wrong-community"}
        yield {
            "a wrong community": (v2 | {"hostname": "127.4.0.1"}, f"SNMP v2c, port {farm.port}: no answer", LOOK),
            "a wrong community, v1": (v2 | {"hostname": "127.4.0.1", "snmp_version": 1, "availability_method": DESCR},
                                      f"SNMP v1, port {farm.port}: no answer", LOOK),
            "a version that the agent has not": ({"hostname": "127.4.0.2", "port": farm.port},
                                                 f"SNMP v2c, port {farm.port}: no answer", LOOK),
            "a closed port": ({"port": closed}, f"SNMP v2c, port {closed}: no answer", LOOK),
            "a closed port, GETNEXT": ({"port": closed, "availability_method": GETNEXT},
                                       f"SNMP v2c, port {closed}: no answer", LOOK),
            "a closed port, TCP": ({"port": closed, "hostname": "tcp:127.0.0.1"},
                                   f"SNMP v2c, port {closed}: cannot connect: Connection refused", LOOK),
            "a silent host": ({"port": silent.port}, f"SNMP v2c, port {silent.port}: no answer", LOOK),
            "a silent host, v3": (GOOD | {"port": silent.port}, f"SNMP v3, port {silent.port}: no answer",
                                  "check the port and that an agent runs and lets this host in"),
            "port 0": ({"port": 0}, "port 0", SETTINGS),
            "an unknown user": (v3 | {"snmp_username": "eve"}, "usmStatsUnknownUserNames", USER),
            "a wrong pass phrase": (v3 | {"snmp_password": "not-the-pass-phrase"},
                                    "usmStatsWrongDigests", USER),
            "another authentication protocol": (v3 | {"snmp_auth_protocol": "MD5"},
                                                "usmStatsWrongDigests", USER),
            "privacy that the user has not": (
                credentials("SHA", "AES", user="user-SHA", auth_pass="authpass of user-SHA")
                | {"port": agent.port, "snmp_timeout": 1000}, "usmStatsUnsupportedSecLevels", USER),
            "a short pass phrase": (v3 | {"snmp_password": "seven77"}, "authentication pass phrase: it is shorter",
                                    SETTINGS),
            "a short privacy pass phrase": (v3 | {"snmp_priv_passphrase": "seven77"},
                                            "privacy pass phrase: it is shorter", SETTINGS),
            "an unknown protocol": (v3 | {"snmp_priv_protocol": "ROT13"}, "unknown SNMPv3 privacy protocol 'ROT13'",
                                    SETTINGS),
            "an unknown authentication protocol": (v3 | {"snmp_auth_protocol": "ROT13"},
                                                   "no known authentication protocol", SETTINGS),
            "a bad engine id": (v3 | {"snmp_engine_id": "0xgg"}, "hexadecimal", SETTINGS),
            "no user": (v3 | {"snmp_username": ""}, "user name", SETTINGS),
            "an unknown version": (v3 | {"snmp_version": 7}, "SNMP version 7 is not supported", SETTINGS),
            "no such name": ({"hostname": "no-such-host.invalid"}, "Unable to determine address info for "
                             "no-such-host.invalid", None),
            "no ping": ({"availability_method": PING, "ping_method": UDP, "ping_port": silent.port},
                        "UDP: Ping timed out", f"{ALIVE}{silent.port} is not filtered"),
            "no ping, SNMP not asked": ({"availability_method": PING_AND_SNMP, "ping_method": UDP,
                                         "ping_port": silent.port}, "UDP: Ping timed out", ALIVE),
            "neither ping nor SNMP": ({"availability_method": PING_OR_SNMP, "ping_method": UDP,
                                       "ping_port": silent.port, "port": closed},
                                      f"SNMP v2c, port {closed}: no answer; {LOOK}; UDP: Ping timed out",
                                      ALIVE),
            "ping by no method": ({"availability_method": PING, "ping_method": 9}, "Ping not performed", "method 9"),
            "checked by no method": ({"availability_method": 99}, "availability method 99 is unknown",
                                     "choose another"),
        }


@pytest.mark.parametrize("level", (LOW, MEDIUM))
def test_one_line_a_device_says_why_it_is_down_and_what_to_do(site, broken, poller, level):
    """The name is looked up by whatever the machine has; without a name server that is a failure of its own."""
    site.settings(log_verbosity=level)
    for id, (columns, _, _) in enumerate(broken.values(), 1):
        add_device(site, id, columns)
    run = poller.run()
    assert run.status == 0, run
    for id, (name, (_, reason, remedy)) in enumerate(broken.items(), 1):
        why = [line for line in lines_of(run, id) if "WARNING: The device " in line]
        assert len(why) == 1, (name, why, run)
        assert reason in why[0], (name, why)
        assert f"Device[{id}] Hostname[" in why[0], (name, why)
        if remedy is not None:
            assert DOWN in why[0] and remedy in why[0].split(reason, 1)[1], (name, why)
        if level == LOW and DOWN in why[0]:
            assert lines_of(run, id) == why, (name, run)
    assert_no_secrets(run.log + run.stdout)


def test_a_device_that_is_down_in_every_cycle_is_explained_in_every_cycle(site, poller):
    """The log of each minute has it; the line of the event stays as log tools know it."""
    port = free_port()
    add_device(site, 1, {"port": port})
    runs = [poller.run() for _ in range(3)]
    for n, run in enumerate(runs, 1):
        why, event = run.log_lines(DOWN), run.log_lines("HOST EVENT")
        assert len(why) == 1 and len(event) == (n == 2), (n, run)
    assert event == [] and runs[1].log_lines("Device[1] Hostname[127.0.0.1] ERROR: HOST EVENT: Device is DOWN "
                                             "Message: Device did not respond to SNMP"), runs[1]


def test_a_device_that_is_up_has_no_such_line(site, snmpd, poller):
    for id, method in enumerate((NONE, UPTIME, DESCR, GETNEXT), 1):
        site.add_device(id, port=snmpd.port, availability_method=method)
    run = poller.run()
    assert run.status == 0, run
    assert not run.log_lines("Device["), run


@pytest.mark.parametrize("level", (LOW, MEDIUM))
def test_credentials_that_can_never_work_are_told_once_where_no_check_finds_out(site, broken, poller, level):
    """Devices without a check, and a healthy one with items of two agents that cannot work."""
    site.settings(log_verbosity=level)
    cases = {name: case for name, case in broken.items() if case[2] in (USER, SETTINGS)}
    assert len(cases) >= 10
    for id, (columns, _, _) in enumerate(cases.values(), 1):
        add_device(site, id, columns | {"availability_method": NONE})
    run = poller.run()
    assert run.status == 0, run
    for id, (name, (_, reason, remedy)) in enumerate(cases.items(), 1):
        said = [line for line in lines_of(run, id) if " ERROR: " in line]
        assert len(said) == 1 and reason in said[0] and remedy in said[0], (name, said, run)
        if level == LOW:
            assert lines_of(run, id) == said, (name, run)
    assert {value for rows in site.outputs().values() for _, value in rows} == {"U"}
    assert_no_secrets(run.log + run.stdout)


def test_items_with_agents_of_their_own_have_a_line_for_each_agent(site, agents, poller):
    farm = agents(SYSTEM_GROUP + f"object {OBJECT}.{{0-11}} int 5\nagent 127.4.0.1\n")
    device = site.add_device(1, hostname="127.4.0.1", port=farm.port)
    own = ({}, {"snmp_version": 3, "snmp_username": ""}, {"snmp_version": 3, "snmp_username": "",
                                                          "hostname": "127.4.0.9"}, {"snmp_version": 9})
    keys = site.add_items([{"device": device, "arg1": f"{OBJECT}.{n}", "rrd_name": "x", **columns}
                           for columns in own for n in range(ITEMS)])
    run = poller.run()
    assert run.status == 0, run
    assert_stored(site, {key: "5" if n < ITEMS else "U" for n, key in enumerate(keys)})
    said = lines_of(run, 1)
    assert len(said) == 3 and all(SETTINGS in line for line in said), run
    assert len(run.log_lines("ERROR: SNMP Version Error for Device '127.4.0.1'")) == 1, run
    assert len(run.log_lines("SNMP request to '127.4.0.9' failed: ")) == 1, run


SILENT = {
    "a wrong community": ({"hostname": "127.4.0.1", "snmp_community": "wrong-community"}, "no answer", LOOK),
    "another version": ({"hostname": "127.4.0.2"}, "no answer", LOOK),
    "an unused address": ({"hostname": "127.4.0.9"}, "no answer", LOOK),
    "a closed port": ({"port": None}, "no answer", LOOK),
    "a closed port, TCP": ({"port": None, "hostname": "tcp:127.0.0.1"}, "cannot connect: Connection refused", LOOK),
    "silent since the check": ({"hostname": "127.4.0.3", "availability_method": UPTIME}, "no answer",
                               "it has answered before in this cycle"),
}


@pytest.mark.parametrize("level", (LOW, MEDIUM))
def test_a_silent_agent_that_no_check_has_found_is_told_once(site, agents, poller, level):
    """Spine's own lines, one for each object of the request, are there as well; log tools know them."""
    farm = agents(SYSTEM_GROUP + "agent 127.4.0.1 community=right-community\nagent 127.4.0.2 version=1\n"
                                 "agent 127.4.0.3 die-after=1\n")
    site.settings(log_verbosity=level)
    for id, (columns, _, _) in enumerate(SILENT.values(), 1):
        add_device(site, id, {"port": farm.port, "availability_method": NONE, "max_oids": 5, **columns} |
                   ({"port": free_port()} if "port" in columns else {}))
    run = poller.run()
    assert run.status == 0, run
    for id, (name, (_, reason, remedy)) in enumerate(SILENT.items(), 1):
        said = [line for line in lines_of(run, id) if "does not answer by SNMP v2c, port" in line]
        assert len(said) == 1 and f": {reason}; {remedy}" in said[0] and "WARNING" in said[0], (name, said, run)
        known = [line for line in lines_of(run, id) if "WARNING: SNMP timeout detected [150 ms], ignoring host '" in line]
        assert len(known) == 5, (name, run)
        if level == LOW:
            assert sorted(lines_of(run, id)) == sorted(said + known), (name, run)
    assert_no_secrets(run.log + run.stdout)


# ---- values that are U ----

TEXTS = {"no number": 'string "up"', "a time": 'string "12:30:00"', "a number in prose": 'string "apples 12"',
         "a NULL": "null", "a wide binary": "hex 00 01 02 03 04 05 06 07 08 09",
         "an object id": "oid .1.3.6.1"}

#: What no agent says: {name: (columns of the item, words of the reason)}.
OTHERS = {
    "an unknown action": ({"action": 7}, "the poller action is unknown"),
    "an invalid object id": ({"arg1": "not an oid"}, "the object identifier cannot be read"),
    "an unknown version": ({"snmp_version": 9, "arg1": OBJECT}, "SNMP version 9 is not supported"),
    "a wrong community": ({"snmp_community": "wrong-community", "arg1": OBJECT}, "no answer in time"),
    "a script that prints nothing": ({"action": 1, "arg1": "true"}, "the script printed nothing"),
    "a script that is not there": ({"action": 1, "arg1": "/does/not/exist 2>/dev/null"}, "the script printed nothing"),
    "a script that prints words": ({"action": 1, "arg1": "echo no route to host"}, "'no route to host' is neither"),
    "a script that prints too much": ({"action": 1, "arg1": "yes 1234567 | head -c 3000000"},
                                      "the script printed too much"),
}
ENDLESS = {"action": 1, "arg1": "sleep 60"}


def unknown_lines(run):
    """{local_data_id: [reason, ...]} of the lines that say why a value is U."""
    found = {}
    for line in (run.log + run.stdout).splitlines():
        said = re.search(r"Device\[\d+\] HT\[\d+\] DS\[(\d+)\] NOTE: '.*' is U: (.+)", line)
        if said:
            found.setdefault(int(said[1]), []).append(said[2])
    return found


def seed_unknown(site, agents, endless=False):
    """Devices with good and bad items; returns {local_data_id: words of the reason}, only of the bad ones."""
    spec = SYSTEM_GROUP + f"object {OBJECT}.1 int 5\nobject {OBJECT}.9 int 6\n"
    spec += "".join(f"object {OBJECT}.5.{n} {text}\n" for n, text in enumerate(TEXTS.values()))
    spec += "".join(f"agent 127.4.0.{n} {how}\n" for n, how in enumerate(
        ("", "missing=object", "missing=instance", "error=genErr:2 during=2-", "error=noAccess:2 during=2-"), 1))
    farm = agents(spec)
    expected = {}

    def device(id, hostname="127.4.0.1", **columns):
        return site.add_device(id, hostname=hostname, port=farm.port, snmp_timeout=150, **columns)

    def item(device, reason, **columns):
        [(id, _)] = site.add_items([{"device": device, "rrd_name": "x", **columns}])
        if reason is not None:
            expected[id] = reason

    lacks = {(1, 1): "noSuchName", (2, 2): "noSuchObject", (3, 2): "noSuchInstance"}
    for (n, version), name in lacks.items():
        d = device(n, hostname=f"127.4.0.{n}", snmp_version=version)
        for arc, reason in ((1, None), (404, f"the agent has no such object ({name})"), (9, None)):
            item(d, reason, arg1=f"{OBJECT}.{arc}")
    for n, name in ((4, "genErr"), (5, "noAccess")):
        d = device(n, hostname=f"127.4.0.{n}", max_oids=2, availability_method=UPTIME)
        item(d, f"the agent answers with an error ({name})", arg1=f"{OBJECT}.1")
        item(d, f"the agent answers with an error ({name})", arg1=f"{OBJECT}.9")
    d = device(6)
    for n in range(len(TEXTS)):
        item(d, "is neither a number nor pairs of name and number", arg1=f"{OBJECT}.5.{n}")
    d = device(7, device_threads=4)
    for columns, reason in OTHERS.values():
        item(d, reason, **columns)
    item(d, None, action=1, arg1="echo 4")
    if endless:
        site.settings(script_timeout=5)
        item(d, "the script timed out", **ENDLESS)
    return expected


def test_every_U_has_its_reason_at_medium(site, agents, poller):
    site.settings(log_verbosity=MEDIUM)
    expected = seed_unknown(site, agents, endless=True)
    run = poller.run()
    assert run.status == 0, run
    said = unknown_lines(run)
    unknown = {id for (id, _), rows in site.outputs().items() if rows[0][1] == "U"}
    assert unknown == set(expected), (unknown ^ set(expected), run)
    assert set(said) == unknown, (set(said) ^ unknown, run)
    for id, reason in expected.items():
        assert len(said[id]) == 1 and reason in said[id][0], (id, reason, said[id])
    assert_no_secrets(run.log + run.stdout)


def test_at_low_no_U_has_a_line_of_its_own(site, agents, poller):
    expected = seed_unknown(site, agents)
    run = poller.run()
    assert run.status == 0, run
    assert expected and not unknown_lines(run), run


@pytest.mark.parametrize("level", (0, 1, 2))
def test_spine_log_level_reports_objects_that_the_agent_lacks(site, agents, poller, level):
    """At any verbosity; time-outs, what could not be asked for and unknown actions are not invalid values."""
    site.settings(spine_log_level=level)
    expected = seed_unknown(site, agents)
    run = poller.run()
    assert run.status == 0, run
    answered = ("no such object", "answers with an error", "is neither", "printed nothing")
    invalid = {id for id, reason in expected.items() if any(word in reason for word in answered)}
    assert len(invalid) > 10
    each = {int(re.search(r"DS\[(\d+)\]", line)[1]) for line in run.log_lines("WARNING: Invalid Response, Device[")}
    lists = [re.search(r"Errors\[(\d+)\] Device\[\d+\] Thread\[\d+\] DS\[([\d, ]+)\]", line)
             for line in run.log_lines("WARNING: Invalid Response(s), ")]
    listed = [int(n) for found in lists for n in found[2].split(", ")]
    assert each == (invalid if level == 2 else set()), run
    assert sorted(listed) == (sorted(invalid) if level == 1 else []), run
    assert sum(int(found[1]) for found in lists) == len(listed)


def test_a_U_that_was_meant_is_told_apart_from_one_that_was_not(site, agents, poller):
    """Scripts print U for what they do not know; some agents send it, or nothing."""
    site.settings(log_verbosity=MEDIUM)
    farm = agents(SYSTEM_GROUP + f'object {OBJECT}.1 string "U"\nobject {OBJECT}.2 string ""\nagent 127.4.0.1\n')
    device = site.add_device(1, hostname="127.4.0.1", port=farm.port)
    keys = site.add_items([{"device": device, "rrd_name": "x", **columns} for columns in (
        {"arg1": f"{OBJECT}.1"}, {"arg1": f"{OBJECT}.2"}, {"action": 1, "arg1": "echo U"}, {"action": 1, "arg1": "echo"},
        {"action": 1, "arg1": "echo in:U out:U"}, {"action": 1, "arg1": "exit 3"})])
    run = poller.run()
    assert run.status == 0, run
    said = unknown_lines(run)
    assert [said.get(id) for id, _ in keys] == [
        ["the answer is U itself"], ["the answer is empty"], ["the answer is U itself"], ["the answer is empty"], None,
        ["the script printed nothing: exit status 3"]], run
    assert site.outputs()[keys[4]][0][1] == "in:U out:U"


# ---- the command for support ----

def support(poller, device):
    """As --help has it."""
    return poller.run("-R", "-S", "-V", "MEDIUM", "-f", str(device), "-l", str(device))


def test_the_support_command_shows_why_a_device_is_down_and_stores_nothing(site, broken, poller):
    for id, (columns, _, _) in enumerate(broken.values(), 1):
        add_device(site, id, columns)
    before = site.snapshot()
    for name in ("a wrong community", "a closed port", "an unknown user", "a short pass phrase",
                 "an unknown protocol", "a bad engine id", "no ping", "checked by no method"):
        id = list(broken).index(name) + 1
        _, reason, remedy = broken[name]
        run = support(poller, id)
        assert run.status == 0, run
        said = [line for line in run.stdout.splitlines() if reason in line and remedy in line]
        assert len(said) == 1, (name, run)
        assert run.log_but_stats == "", (name, run)
    assert not before.changes(site.snapshot())


def test_the_support_command_shows_why_a_value_is_U(site, agents, poller):
    expected = seed_unknown(site, agents)
    before = site.snapshot()
    said = {}
    for device in (2, 4, 6):
        run = support(poller, device)
        assert run.status == 0 and run.log_but_stats == "", run
        said |= unknown_lines(run)
    assert len(said) > 5
    for id, (reason,) in said.items():
        assert expected[id] in reason, (id, reason)
    assert not before.changes(site.snapshot())


# ---- many at a time ----

def test_a_site_that_is_down_does_not_fill_the_log(site, poller):
    """A hundred lines of this kind a cycle; at MEDIUM all of them."""
    count = 130
    site.threads(10)
    site.add_devices([{"id": n, "hostname": f"127.4.1.{n}", "snmp_version": 3} for n in range(1, count + 1)])
    run = poller.run()
    assert run.status == 0, run
    assert len(run.log_lines(DOWN)) == 100, run
    assert len(run.log_lines("WARNING: 30 more lines say why devices do not work; verbosity MEDIUM shows")) == 1, run
    site.settings(log_verbosity=MEDIUM)
    run = poller.run()
    assert len(run.log_lines(DOWN)) == count, run
    assert not run.log_lines("more lines say why"), run
