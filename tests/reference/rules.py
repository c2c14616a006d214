"""The deliberate differences from Spine as predicates. Each id is a row of docs/differences.md.

A rule looks at one difference (see dump.Difference) and says whether its row explains it. Rules that hold
everywhere are tried always; the others only in comparisons that name them in `expect`, and there they must occur.
"""

import collections
import dataclasses
import pathlib
import re

from support.agent import mix32

from dump import DATES, RESPONSE_TIMES

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "differences.md"

NEWER = (1, 2, 30)
RULES = {}
_seen = collections.Counter()
_gone = collections.Counter()


@dataclasses.dataclass
class Case:
    """A difference with its surroundings: dumps of this and of earlier cycles, the last one is this cycle's."""

    d: object
    theirs: list
    ours: list
    raw: dict

    @property
    def options(self):
        return self.ours[-1].cycle.options

    @property
    def before(self):
        return self.ours[-1].before

    @property
    def item(self):
        """The poller_item row that a difference of poller_output or poller_item is about."""
        return self.ours[-1].items[self.d.key]

    @property
    def device(self):
        """The host row, as seeded or left by the last cycle, that the difference is about."""
        if self.d.table == "host":
            return self.before.host[self.d.key[0]]
        if self.d.table in ("poller_output", "poller_output_boost", "poller_item"):
            return self.before.host.get(self.item["host_id"])
        if self.d.table == "poller_reindex":
            return self.before.host.get(self.d.key[0])
        if self.d.table == "log":
            found = re.search(r"Device\[(\d+)\]", self.d.key[0])
            return self.before.host.get(int(found[1])) if found else None
        return None


def rule(id, everywhere=False, newer=False):
    """Registers a predicate under the number of its row; `newer`: of Spine 1.2.30 (True) or another version and those after
    it, where it holds everywhere."""
    def add(predicate):
        RULES[id, predicate.__name__] = (predicate, everywhere, NEWER if newer is True else newer)
        return predicate
    return add


def documented():
    """The numbers of the rows of docs/differences.md."""
    return re.findall(r"^\| ([VSCPN]\d+) \|", DOCUMENT.read_text(encoding="utf-8"), re.M)


def seen():
    found = collections.Counter()
    for (id, _), n in _seen.items():
        found[id] += n
    return found


def gone():
    """{number: tests} of the differences from 1.2.24 that tests expected and a newer Spine does not show."""
    return _gone


def unseen():
    return [f"{id} {name}" for id, name in RULES if (id, name) not in _seen]


class Judge:
    """Explains the differences of one comparison."""

    def __init__(self, expect, raw, version):
        """`version`: of the reference, "1.2.24"."""
        self.version = tuple(map(int, version.split(".")))
        self.newer = self.version >= NEWER
        self.wanted = {i for i in expect if not i.endswith("?")}
        self.allowed = {i.rstrip("?") for i in expect}
        self.raw = raw
        self.values = set()  # local_data_ids whose other value has been explained

    def explains(self, difference, theirs, ours):
        case = Case(difference, theirs, ours, self.raw)
        if follows(case, self.values):
            return True
        for (id, name), (predicate, everywhere, newer) in RULES.items():
            if (self.version >= newer if newer else everywhere or id in self.allowed) and predicate(case):
                _seen[id, name] += 1
                self.wanted.discard(id)
                if is_output(case):
                    self.values.add(difference.key[0])
                return True
        return False

    def disappointed(self):
        if self.newer:
            _gone.update(self.wanted)
            return []
        return [f"expected a difference {id} and found none" for id in sorted(self.wanted)]


# ---- what rules ask ----

#: Where the simulated agents of these tests have counters with predictable values.
COUNTERS = ".1.3.6.1.4.1.99999.1."


def right(c):
    """What the agent answers for the item of a difference of poller_output."""
    return str(mix32(c.item["hostname"], c.item["arg1"]))


def is_output(c):
    return c.d.table == "poller_output" and c.d.column == "output"


def is_row(c, theirs, ours):
    """A row of poller_output (its output and time) that one has and the other has not."""
    return c.d.table == "poller_output" and (c.d.theirs is not None, c.d.ours is not None) == (theirs, ours)


def is_line(c, *words):
    return c.d.table == "log" and all(w in c.d.key[0] for w in words)


def no_community(row):
    return row["snmp_version"] < 3 and not row["snmp_community"]


def new(c, dumps):
    """The device's row as one program left it in this cycle."""
    return dumps[-1].host[c.device["id"]]


def check_failed(c, dumps):
    row, old = new(c, dumps), dumps[-1].before.host[c.device["id"]]
    return row["failed_polls"] > old["failed_polls"]


# ---- program ----


@rule("P8", everywhere=True)
def capabilities_are_not_written(c):
    return c.d.table == "settings" and c.d.key == ("spine_capabilities",) and c.d.ours is None


# ---- SNMP ----


@rule("S1")
def values_by_object_not_by_place(c):
    if is_line(c, "OIDs out of an answer and answers them when asked again"):
        return c.d.theirs is None
    others = {str(mix32(i["hostname"], i["arg1"])) for i in c.ours[-1].items.values()}
    return is_output(c) and c.d.theirs != [right(c)] and c.d.theirs[0] in others | {"U"} \
        and c.d.ours in ([right(c)], ["U"])


@rule("S2")
def asked_again_in_halves(c):
    return is_output(c) and c.d.theirs == ["U"] and c.d.ours == [right(c)]


@rule("S3")
def every_item_after_a_time_out_is_U(c):
    timed_out = any("SNMP timeout detected" in line for line in c.theirs[-1].lines)
    if is_output(c) and c.d.theirs in (["U"], None) and c.d.ours == [right(c)]:
        return timed_out
    if is_line(c, "SNMP timeout detected"):
        return timed_out
    return timed_out and is_row(c, False, True) and c.d.ours in (["U"], ["now"])


@rule("S4")
def own_session_for_host_and_time_out(c):
    return is_output(c) and c.d.theirs != [right(c)] and c.d.ours == [right(c)]


@rule("S5")
def an_unsupported_version_costs_one_item(c):
    if is_line(c, "SNMP Version Error") or is_line(c, "SNMP version 7 is not supported"):
        return True
    if is_line(c, "SNMP timeout detected"):
        return c.d.ours is None
    return is_row(c, False, True) or (is_output(c) and c.d.theirs == ["U"] and c.d.ours == [right(c)])


@rule("S6")
def one_bad_object_costs_one_item(c):
    if is_line(c, "Problems parsing Multi SNMP OID! (oid: .9.9.9)"):
        return c.d.theirs is None
    return is_output(c) and c.d.theirs == ["U"] and c.d.ours == [right(c)]


@rule("S13")
def a_foreign_community_is_not_an_answer(c):
    if is_line(c, "SNMP timeout detected"):
        return c.d.theirs is None
    return is_output(c) and c.d.theirs == [right(c)] and c.d.ours == ["U"]


# ---- devices ----


@rule("S7")
def text_and_time_of_the_test_that_decided(c):
    if c.d.table == "host" and c.d.column == "status_last_error":
        return c.device["availability_method"] in (5, 6) and c.d.theirs == "Ping not performed due to setting." \
            and c.d.ours.startswith("Device did not respond to SNMP")
    if c.d.table == "log" and "Device is DOWN Message: " in c.d.key[0]:
        return c.device["availability_method"] in (5, 6) and \
            ("Ping not performed" in c.d.key[0]) == (c.d.theirs is not None)
    # what a check by SNMP took; later, what the times were before counts as well
    return c.d.table == "host" and c.d.column in RESPONSE_TIMES and c.device["availability_method"] in (4, 5, 6) \
        and (c.d.theirs, c.d.ours) == ("zero", "measured")


@rule("S8")
def nothing_tested_is_up(c):
    if c.device is None or c.device["availability_method"] not in (5, 6) or not no_community(c.device):
        return False
    if c.d.table == "log":
        return "Device is DOWN" in c.d.key[0] and c.d.ours is None or "SNMP timeout detected" in c.d.key[0]
    if c.d.table == "poller_output":
        return is_row(c, False, True)
    return check_failed(c, c.theirs) and not check_failed(c, c.ours)


@rule("S9")
def no_SNMP_after_a_failed_ping(c):
    if c.device is None or c.device["availability_method"] != 1:
        return False
    text = "SNMP not performed due to setting or ping result, "
    if c.d.table == "host":
        return c.d.column == "status_last_error" and \
            c.d.ours == text + c.d.theirs.split(", ", 1)[-1]
    return is_line(c, "Device is DOWN Message: ") and (text in c.d.key[0]) == (c.d.ours is not None)


@rule("S10")
def default_counts(c):
    if is_line(c, "HOST EVENT"):
        return c.d.ours is None
    return c.d.table == "host" and c.d.column in ("status", "status_fail_date", "status_rec_date")


@rule("S18", everywhere=True)
def system_information_only_with_mibs(c):
    return (c.d.table == "host" and c.d.column.startswith("snmp_sys") and "--mibs" not in c.options
            and c.d.ours == c.before.host[c.d.key[0]][c.d.column])


@rule("S18")
def polled_without_system_information(c):
    """The reference drops a device whose system group it cannot get, and that is up for another reason."""
    if c.device is None or c.device["availability_method"] in (0, 3) or check_failed(c, c.ours):
        return False
    if any(c.theirs[-1].items[k]["host_id"] == c.device["id"] for k in c.theirs[-1].outputs):
        return False
    return is_row(c, False, True) or is_line(c, "SNMP timeout detected")


@rule("S14")
def an_answer_to_a_UDP_ping_is_a_sign_of_life(c):
    return c.device is not None and c.device["ping_method"] == 2 and down_for_them_only(c)


@rule("S14")
def text_of_an_unanswered_UDP_ping(c):
    """Sometimes the reference takes its own time-out for an error."""
    text, ours = "UDP: Device is Down", "UDP: Ping timed out"
    if c.d.table == "host" and c.d.column == "status_last_error":
        return text in c.d.theirs and c.d.theirs.replace(text, ours).split(", ")[-1] == c.d.ours.split(", ")[-1]
    return is_line(c, "Device is DOWN Message: ", text if c.d.ours is None else ours)


@rule("S15")
def localhost_and_IPv6_are_pinged(c):
    if c.device is None or not ("localhost" in c.device["hostname"] or ":" in c.device["hostname"]):
        return False
    if c.d.column in RESPONSE_TIMES:
        return (c.d.theirs, c.d.ours) in (("zero", "measured"), ("kept", "measured"))
    return down_for_them_only(c) or check_failed(c, c.ours)


@rule("S17")
def ping_method_5_is_TCP(c):
    return c.device is not None and c.device["ping_method"] == 5 and down_for_them_only(c)


def down_for_them_only(c):
    """The difference follows from a check that failed in the reference and not here."""
    if not check_failed(c, c.theirs) or check_failed(c, c.ours):
        return False
    if c.d.table == "log":
        return "HOST EVENT: Device is DOWN" in c.d.key[0] and c.d.ours is None
    return c.d.table == "host" or is_row(c, False, True)


def no_result(c):
    """A check of the device whose probe has no result: the reference takes it for empty or `U`, ours for nothing."""
    text = r"RECACHE ASSERT FAILED: '[^']*[<>=]'"
    return any(re.search(text, line) and f"Device[{c.device['id']}] " in line for line in c.theirs[-1].lines)


@rule("S19")
def a_failed_probe_concludes_nothing(c):
    if c.d.table == "poller_reindex":
        return c.d.column == "assert_value" and c.d.theirs in ("", "U") and \
            c.d.ours == c.before.reindex[c.d.key]["assert_value"]
    if c.d.table == "poller_command":
        return c.d.ours is None
    if is_line(c, "RECACHE ASSERT FAILED"):
        return c.d.ours is None and no_result(c)
    if is_output(c) and c.d.theirs == ["U"]:
        return c.d.ours == [right(c)] and no_result(c)
    return is_row(c, False, True) and silenced(c)


def silenced(c):
    """The reference has no row of this device although it was up."""
    return not any(c.theirs[-1].items[k]["host_id"] == c.device["id"] for k in c.theirs[-1].outputs) and \
        not check_failed(c, c.theirs)


@rule("S20")
def the_uptime_is_always_in_hundredths(c):
    """Follows from the other value: what was compared, whether it failed, what was stored."""
    engine_time = ".1.3.6.1.6.3.10.2.1.3.0"
    mine = [row for key, row in c.before.reindex.items() if engine_time in key[2]]
    if c.d.table == "poller_reindex":
        return engine_time in c.d.key[2] and int(c.d.ours) == 100 * int(c.d.theirs)
    if c.d.table == "poller_command":
        return c.d.key[2] in {f"{row['host_id']}:{row['data_query_id']}" for row in mine} and c.d.ours is None
    if is_line(c, "RECACHE ASSERT FAILED"):
        return c.device["id"] in {row["host_id"] for row in mine}
    return is_output(c) and c.item["host_id"] in {row["host_id"] for row in mine} and c.d.theirs == ["U"] \
        and c.d.ours == [right(c)]


@rule("S21")
def rows_at_the_end_of_the_view_are_counted_once(c):
    if c.d.table == "poller_reindex":
        return c.before.reindex[c.d.key]["action"] == 10 and int(c.d.theirs) == int(c.d.ours) + 1
    return c.d.table in ("poller_command", "log") and c.d.ours is None


@rule("S22")
def spike_kill_forgets_nothing(c):
    return is_output(c) and c.d.theirs == [right(c)] and c.d.ours == ["U"] and \
        any("RECACHE ASSERT FAILED" in line for line in c.ours[-1].lines)


@rule("S23")
def polling_time_with_several_threads(c):
    return c.d.table == "host" and c.d.column == "polling_time" and c.device["device_threads"] > 1 \
        and (c.d.theirs, c.d.ours) == ("kept", "set")


@rule("S23")
def every_thread_checks_by_itself(c):
    """A later thread of the reference may find the assertion updated, and not kill its spikes."""
    if is_output(c) and c.device is not None and c.device["device_threads"] > 1:
        return c.d.theirs == [right(c)] and c.d.ours == ["U"] and \
            any("RECACHE ASSERT FAILED" in line for line in c.ours[-1].lines)
    if is_line(c, " DQ[", "ERROR: Empty result ") and c.device["device_threads"] > 1:
        return c.d.ours == 1
    found = re.search(r"HT\[(\d+)\]", c.d.key[0]) if c.d.table == "log" else None
    return found is not None and int(found[1]) > 1 and c.d.ours is None and c.device["device_threads"] > 1


@rule("S25")
def what_can_never_work_is_refused_at_once(c):
    if c.device is not None and c.device["snmp_auth_protocol"] == "[None]" and c.device["snmp_password"]:
        return down_for_them_only(c)
    return c.d.table == "host" and c.d.column == "status_last_error" and len(c.device["snmp_password"]) < 8 and \
        (c.d.theirs, c.d.ours) == ("Device did not respond to SNMP", "Invalid SNMP Session")


@rule("S26")
def a_report_ends_the_request(c):
    return is_line(c, ": the agent refuses: ") and c.d.theirs is None


@rule("P19", everywhere=True)
def why_a_device_is_down_is_told(c):
    return c.d.theirs is None and (is_line(c, "WARNING: The device ", "; ") or
                                   is_line(c, "WARNING: '", "' does not answer by SNMP v", "; "))


@rule("S27")
def system_texts_up_to_their_columns(c):
    """Not cut at half a buffer: the stored text goes on where the reference's ends."""
    limit = {"snmp_sysDescr": 298, "snmp_sysLocation": 298, "snmp_sysObjectID": 78, "snmp_sysContact": 148,
             "snmp_sysName": 148}
    return c.d.table == "host" and len(c.d.theirs) == limit.get(c.d.column) and c.d.ours.startswith(c.d.theirs) \
        and len(c.d.ours) > len(c.d.theirs)


@rule("S18")
def what_is_missing_keeps_its_value(c):
    if c.d.table != "host" or not c.d.column.startswith("snmp_sys"):
        return False
    old = c.before.host[c.d.key[0]][c.d.column]
    return (c.d.theirs == "" and c.d.ours == old) or (c.d.theirs == old and c.d.ours != old and silenced(c))


@rule("S24")
def all_listed_protocols_of_v3_work(c):
    row = c.device
    if row is None or row["snmp_auth_protocol"] not in ("SHA384", "SHA512") and \
            row["snmp_priv_protocol"] not in ("AES", "AES192", "AES256", "AES192C", "AES256C"):
        return False
    return down_for_them_only(c)


@rule("S29")
def a_missing_row_is_noticed(c):
    """With v2c as with v1; the assertion is empty afterwards."""
    if c.d.table == "poller_reindex":
        return c.d.column == "assert_value" and c.d.ours == "" and c.before.reindex[c.d.key]["op"] == "="
    if c.d.table == "poller_command":
        return c.d.theirs is None
    return is_line(c, "RECACHE ASSERT FAILED") and c.d.theirs is None and c.d.key[0].endswith("='")


@rule("S30")
def what_is_not_a_positive_number_is_not_a_clock(c):
    """The agents of these tests have been up for 500000 hundredths of a second."""
    if c.d.table == "poller_reindex":
        return c.d.column == "assert_value" and c.d.ours == "500000"
    if c.d.table == "host":
        return c.d.column == "snmp_sysUpTimeInstance" and str(c.d.ours) == "500000"
    if is_output(c):
        return [right(c)] in (c.d.theirs, c.d.ours) and ["U"] in (c.d.theirs, c.d.ours)
    return c.d.table == "poller_command" or is_line(c, "RECACHE ASSERT FAILED")


@rule("S31")
def texts_are_compared_as_cacti_has_stored_them(c):
    if c.d.table == "poller_reindex":
        return c.d.column == "assert_value" and c.d.ours == c.before.reindex[c.d.key]["assert_value"]
    return (c.d.table == "poller_command" or is_line(c, "RECACHE ASSERT FAILED")) and c.d.ours is None


@rule("S28")
def texts_of_full_width(c):
    if is_output(c) and c.d.theirs == ["U"] and c.d.ours == [right(c)]:
        return len(c.item["arg1"]) > 511 or len(c.item["snmp_community"]) >= 100
    if c.device is not None and len(c.device["snmp_community"]) >= 100:
        return is_line(c, "SNMP timeout detected") or is_row(c, False, True)
    return c.d.table in ("poller_command", "log") and c.d.ours is None and \
        any(len(row["assert_value"]) > 99 for row in c.before.reindex.values())


# ---- database ----


@rule("P2")
def the_last_override_wins(c):
    return c.options.count("-O") > 1 and c.d.table == "poller_item" and c.d.column == "rrd_next_step"


@rule("P3")
def the_command_line_beats_the_file(c):
    """The reference polls for the poller of its file; everything that it writes is that poller's."""
    return {row["poller_id"] for row in c.theirs[-1].cycles} != {row["poller_id"] for row in c.ours[-1].cycles}


@rule("P6")
def read_only_writes_nothing(c):
    if {"-R", "--readonly"}.isdisjoint(c.options) or not c.ours[-1].unchanged():
        return False
    return (c.d.table, c.d.column) in {("host", "polling_time"), ("poller_item", "rrd_next_step")}


@rule("P17")
def a_row_that_was_not_due_is_not_started_again(c):
    """Rows whose turn comes between two cycles: they are off by less than an interval, or their step is."""
    if c.d.table not in ("poller_output", "poller_item") or c.d.table == "poller_item" and c.d.column != "rrd_next_step":
        return False
    interval = int(c.before.settings["poller_interval"])
    first = c.ours[0].before.items[c.d.key]
    step, left = first["rrd_step"], first["rrd_next_step"]
    return step % interval != 0 or left > 0 and left % interval != 0


@rule("P12")
def texts_are_escaped(c):
    """Rows of a device one of whose items has a quote in its name or in its value."""
    quoted = {row["host_id"] for key, row in c.ours[-1].items.items()
              if "'" in key[1] or b"'" in (c.raw[key] if isinstance(c.raw.get(key), bytes) else b"")}
    if is_line(c, "SQL Failed"):
        return bool(quoted) and c.d.ours is None
    return is_row(c, False, True) and c.item["host_id"] in quoted


@rule("S12")
def items_without_device_belong_to_one_process(c):
    return is_row(c, True, False) and c.item["host_id"] == 0 and c.ours[-1].cycle.first > 0


# ---- scripts ----


def a_script(c):
    return is_output(c) and c.item["action"] == 1


@rule("C1")
def the_whole_output_counts(c):
    """What is printed in several writes; the reference takes the first one's."""
    if not is_output(c):
        return bool(c.before.reindex) and (c.d.table in ("poller_reindex", "poller_command") or
                                           is_line(c, "RECACHE ASSERT FAILED: '3=1'")) and c.d.ours in (None, "3")
    return a_script(c) and "sleep" in c.item["arg1"] and c.d.ours[0].startswith(c.d.theirs[0])


@rule("C3")
def a_value_does_not_wait_for_the_end(c):
    return is_line(c, "WARNING: Script has a result: limit: ") and c.d.theirs is None


@rule("C6")
def commands_of_full_length(c):
    long = [row for row in c.ours[-1].items.values() if len(row["arg1"]) > 511]
    if is_output(c):
        return c.item in long and c.d.theirs == ["U"]
    return is_line(c, "Empty result") and c.d.ours is None and any(row["arg1"][:511] in c.d.key[0] for row in long)


@rule("C13")
def what_became_of_a_script_is_told(c):
    return is_line(c, "WARNING: Script ", "; Command[") and c.d.theirs is None and \
        "has a result" not in c.d.key[0]


# ---- values ----


@rule("V1")
def leading_blanks_are_trimmed_from_script_output(c):
    """The reference trims before no test but the last; what it takes for hex or cuts then is a plain number."""
    text = c.raw.get(c.d.key) if is_output(c) else None
    return isinstance(text, str) and text[:1] in tuple(" \t") and c.item["action"] == 1 and \
        c.d.ours == [text_of(c)] and re.fullmatch(r"-?[\d.]+", text_of(c)) is not None


@rule("V8")
def pairs_without_the_quote_or_blank_before_them(c):
    text = c.raw.get(c.d.key) if is_output(c) else None
    return isinstance(text, str) and ":" in text and c.d.ours == [text_of(c)] and \
        c.d.theirs[0].lstrip(TRIMMED) == text_of(c) and text[:1] in tuple(" \"'\t")


@rule("V10")
def text_beyond_ascii_is_text_and_other_octets_are_numbers(c):
    octets = c.raw.get(c.d.key) if is_output(c) else None
    octets = octets.encode() if isinstance(octets, str) else octets
    if octets is None or re.fullmatch(rb"[\t-\r -~]*", octets):
        return False
    text = octets.rstrip(b"\0\xff").decode("latin-1")
    if re.search(r"[\0-\x08\x0e-\x1f\x7f-\x9f]", text) or not re.search("[ -~]", text):
        return c.d.ours == [str(int.from_bytes(octets, "big")) if len(octets) <= 8 else "U"]
    return c.d.ours == [leading_number(text.strip(TRIMMED)) or fields(text) or "U"]


#: Of the column of a result, in Cacti's schema.
COLUMN = 512


@rule("V13")
def never_half_a_number(c):
    """A whole field ends where the reference's goes on, to its cut; what its buffer cuts, beyond 2,047 bytes, is U there."""
    text = text_of(c)
    if is_line(c, "WARNING: Not all is stored: ") or is_line(c, "limit: output cut to 2047 of "):
        return c.d.theirs is None
    return text is not None and len(text) > COLUMN and c.d.theirs in ([text[:COLUMN]], ["U"]) and \
        (text[:len(c.d.ours[0]) + 1] == c.d.ours[0] + " " and len(text[:COLUMN + 1].rsplit(" ", 1)[0]) == len(c.d.ours[0]))


@rule("V14")
def system_texts_are_text(c):
    if c.d.table != "host" or not c.d.column.startswith("snmp_sys"):
        return False
    if re.fullmatch(r"[0-9A-F]{2}( [0-9A-F]{2})*", c.d.theirs):
        octets = bytes.fromhex(c.d.theirs)
        return c.d.ours.encode() == octets or c.d.ours.encode("latin-1", "replace") == octets
    return c.d.ours != c.d.theirs and c.d.ours == re.sub(r'\\(["\\])', r"\1", c.d.theirs)


TRIMMED = " \"'\\\t\n\r"
HEX_CHARACTERS = re.compile(r'[0-9A-Fa-f" \t:-]+')


def text_of(c):
    """What the agent sent for the item of a difference in a value, trimmed; None for other differences."""
    text = c.raw.get(c.d.key) if is_output(c) else None
    if isinstance(text, bytes) and text.isascii():
        text = text.decode()
    return text.strip(TRIMMED) if isinstance(text, str) and c.d.theirs and c.d.ours else None


def fields(text):
    """The fields of a text, with single blanks between them (docs/values.md); None for a text without."""
    words = [word.strip(TRIMMED) for word in text.split()]
    found = [word for word in words if re.fullmatch(r"[A-Za-z0-9_.-]+[:!](U|[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?)", word)
             and len(word) < 300]
    if any(not re.search("[:!]", word) for word in words):
        found = [word for word in found if re.match(r"[0-9.-]*[A-Za-z_]", word)]
    return " ".join(found) or None


def hexadecimal(text):
    """The number of two-digit groups, None for other texts (docs/differences.md, V3)."""
    groups = re.fullmatch(r"[0-9A-Fa-f]{2}(?:[ -][0-9A-Fa-f]{2}){1,7}", text)
    return str(int(re.sub(r"[ -]", "", text), 16)) if groups else None


@rule("V2")
def hexadecimal_notation_is_not_a_number(c):
    return bool(re.fullmatch(r"0x[0-9A-Fa-fp.]+", text_of(c) or "")) and c.d.theirs == [text_of(c)] \
        and c.d.ours == ["U"]


@rule("V11")
def nan_and_inf_are_U(c):
    return bool(re.fullmatch(r"(?i)[+-]?(nan|inf)|u", text_of(c) or "")) and c.d.theirs == [text_of(c)] \
        and c.d.ours == ["U"]


@rule("V12")
def an_invalid_value_is_named_as_it_was_sent(c):
    return is_line(c, "WARNING: Invalid Response, ", ", value: ") or \
        is_line(c, "WARNING: Invalid Response, ", "] SCRIPT: ", ", output: ")


@rule("V6")
def any_white_space_between_pairs(c):
    text = text_of(c) or ""
    return ":" in text and c.d.ours == [" ".join(text.split())] and c.d.theirs != c.d.ours and \
        all(re.fullmatch(r"[^:]+[:!][^:]*", field) for field in text.split())


@rule("V7")
def pairs_without_a_usable_field_are_U(c):
    text = text_of(c) or ""
    return c.d.theirs == [text[:COLUMN]] and c.d.ours == ["U"] and ":" in text and fields(text) is None


@rule("V9")
def words_that_are_not_fields_are_dropped(c):
    text = text_of(c) or ""
    return c.d.ours == [fields(text)] and len(c.d.ours[0].split()) < len(text.split()) and \
        c.d.theirs in (["0"], [text], [text[:COLUMN]], ["U"])


@rule("V3")
def hexadecimal_groups(c):
    """What the reference takes for hex, and we only if it consists of groups of two digits, exactly."""
    text = text_of(c)
    if text is None or not HEX_CHARACTERS.fullmatch(text) or not re.search(r"[ :-]", text):
        return False
    number = hexadecimal(text)
    return c.d.theirs[0].isdigit() and c.d.ours == ([number] if number else [leading_number(text) or "U"])


def leading_number(text):
    """The number that stripping leaves: text behind it has no digit."""
    found = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\D*", text, re.I)
    return found[1] if found else None


@rule("V4")
def trailing_text_is_stripped_everywhere(c):
    text = text_of(c)
    if text is None or c.d.theirs != ["U"] or c.d.ours == ["U"]:
        return False
    return c.d.ours == [leading_number(text)] or (":" in c.d.ours[0] and text.startswith(c.d.ours[0] + " "))


# ---- Spine 1.2.30 and 1.2.31 ----


@rule("N1", newer=True)
def a_refused_TCP_ping_is_down(c):
    """The text of the check tells: these Spines say otherwise where no port has refused."""
    text = "TCP: Cannot connect to host"
    if c.device is None or c.device["ping_method"] not in (3, 5):
        return False
    if c.d.table == "host" and c.d.column == "status_last_error":
        return text in c.d.theirs
    if is_line(c, "HOST EVENT: Device is DOWN") or is_line(c, "SNMP timeout detected") and c.d.theirs is None:
        return text in new(c, c.theirs)["status_last_error"]
    return text in new(c, c.theirs)["status_last_error"] and down_for_them_only(c)


@rule("N2", newer=True)
def one_profile_polls_as_many_items_as_are_due(c):
    rows = [row for row in c.ours[-1].before.items.values() if row["host_id"] == c.item["host_id"]] \
        if c.d.table == "poller_output" else []
    return c.before.settings["active_profiles"] == "1" and is_row(c, False, True) and \
        any(row["rrd_next_step"] > 0 for row in rows)


@rule("N4", newer=True)
def a_number_behind_text_counts(c):
    text = text_of(c) or ":"
    found = re.search(r"-?[0-9.]+", text)
    return ":" not in text and found is not None and found.start() > 0 and c.d.ours == ["U"] and c.d.theirs == [found[0]]


@rule("N5", newer=True)
def words_beside_a_pair_make_a_number_of_it(c):
    text = text_of(c) or ""
    found = re.findall(r"[0-9.]+", text)
    return ":" in text and len(text.split()) > 1 and len(found) == 1 and c.d.theirs == found and \
        c.d.ours == [fields(text) or "U"]


@rule("N6", newer=True)
def only_a_clock_that_is_less_kills_spikes(c):
    """The check of the uptime has failed by another comparison."""
    if not is_output(c) or c.item["action"] != 0 or c.d.theirs != [right(c)] or c.d.ours != ["U"]:
        return False
    rows = [row for key, row in c.before.reindex.items() if key[0] == c.item["host_id"]]
    return bool(rows) and all(row["op"] != "<" for row in rows)


@rule("N7", newer=True)
def a_command_is_a_file(c):
    """What begins with a word of the shell is not run; the reference cuts the command in its line."""
    refused = [found[1] for line in c.theirs[-1].lines
               for found in re.finditer(r"Problem executing POPEN\. +File '(.*)' does not exist or is not executable", line)]
    if is_output(c):
        return c.d.theirs == ["U"] and any(c.item["arg1"].startswith(command) for command in refused)
    if is_line(c, "Problem executing POPEN", "is not executable"):
        return c.d.ours is None
    if is_line(c, "ERROR: Empty result ["):
        return c.d.theirs is None and any(command in c.d.key[0] for command in refused)
    return is_line(c, "RECACHE ASSERT FAILED") and c.d.ours is None and \
        any(row["arg1"] in refused for row in c.before.reindex.values())


@rule("N8", newer=(1, 2, 31))
def the_sentence_about_a_missing_object_is_stored(c):
    return c.d.table == "host" and c.d.column.startswith("snmp_sys") and c.d.theirs.startswith("No Such Object available") \
        and c.d.ours == c.before.host[c.d.key[0]][c.d.column]


@rule("N13", newer=True)
def no_community_is_up_whatever_the_ping_says(c):
    """Method 4, SNMP or ping: SNMP is not asked, and counts as answered."""
    if c.device is None or c.device["availability_method"] != 4 or not no_community(c.device) or \
            not check_failed(c, c.ours) or check_failed(c, c.theirs):
        return False
    return c.d.table == "host" or is_row(c, True, False) or \
        c.d.table == "log" and c.d.theirs is None and "Device is DOWN" in c.d.key[0] or is_line(c, "SNMP timeout detected")


def has_v3_without_privacy(c, host_id):
    return any(row["snmp_version"] == 3 and row["snmp_priv_protocol"] in ("", "[None]")
               for row in c.ours[-1].items.values() if row["host_id"] == host_id)


@rule("N14", newer=(1, 2, 31))
def v3_without_privacy_is_not_polled(c):
    """Nor is what comes after it on the same device."""
    if c.device is None or not has_v3_without_privacy(c, c.device["id"]):
        return False
    if c.d.table == "poller_output":
        return c.d.theirs in (None, ["U"])
    if is_line(c, "SNMP timeout detected") or is_line(c, "Invalid SNMP Session"):
        return c.d.ours is None
    return down_for_them_only(c) or c.d.table == "host" and c.d.column == "status_last_error"


@rule("N11", newer=True)
def the_dates_of_a_device_that_never_failed_stay_zero(c):
    return c.d.table == "host" and c.d.column in DATES and c.d.ours == "never"


def follows(c, values):
    """Whether a line about invalid values differs only because of values whose difference is explained."""
    if not is_line(c, "Invalid Response"):
        return False
    line = c.d.key[0]
    if "Invalid Response(s)" not in line:
        return int(re.search(r"DS\[(\d+)\]", line)[1]) in values
    def listed(dump):
        lines = [text for text in dump.lines if "Invalid Response(s)" in text and f"Device[{c.device['id']}]" in text]
        return {int(n) for text in lines for n in re.search(r"DS\[([\d, ]+)\]", text)[1].split(", ")}
    return bool(listed(c.theirs[-1]) ^ listed(c.ours[-1])) and \
        listed(c.theirs[-1]) ^ listed(c.ours[-1]) <= values
