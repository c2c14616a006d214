"""Bad command lines, configuration files and databases: one line that says what is wrong, where and what to do,
the documented exit status, no crash, and no poller_time row left open."""

import re

import pytest

from support import cacti

pytestmark = pytest.mark.quick

OK, USAGE, UNAVAILABLE, CONFIG = 0, 64, 69, 78


def assert_refused(run, status, *words):
    """Ended with that status, and one line on standard error holds all the words."""
    assert run.status == status, run
    lines = run.stderr.splitlines()
    assert len(lines) == 1 and run.stderr.endswith("\n"), run
    for word in words:
        assert word in lines[0], run
    assert not run.stdout, run


def assert_logged_once(site, run, *words):
    """The same message stands once, as a well-formed line, in the Cacti log."""
    found = [line for line in run.log.splitlines() if all(word in line for word in words)]
    assert len(found) == 1, run
    assert re.match(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d - SPINE: Poller\[1\] PID\[\d+\] PT\[\d+\] ", found[0]), run


def assert_no_cycle(site):
    assert not site.cycles(), "a poller_time row although nothing was polled"


@pytest.fixture
def refuse(plain_poller):
    """Runs the poller with exactly these arguments (after -C and its file, unless conf=False)."""

    def run(*arguments, conf=True, **options):
        start = [plain_poller.binary.path] + (["-C", plain_poller.conf] if conf else [])
        return plain_poller.run_as(start + list(arguments), **options)

    return run


WRONG_COMMAND_LINES = [
    (["--nonsense"], "ERROR: --nonsense is an unknown command-line parameter"),
    (["--nonsense=3"], "ERROR: --nonsense is an unknown command-line parameter"),
    (["-Z"], "ERROR: -Z is an unknown command-line parameter"),
    (["word"], "ERROR: word is an unknown command-line parameter"),
    ([""], "ERROR: "),
    (["1", "2", "3"], "ERROR: 3 is an unknown command-line parameter"),
    (["--poller"], "ERROR: option --poller requires a parameter"),
    (["-f"], "ERROR: option -f requires a parameter"),
    (["-C"], "ERROR: option -C requires a parameter"),
    (["-O"], "ERROR: option -O requires a parameter"),
    (["-O", "x"], "ERROR: -O requires setting:value"),
    (["-O:x"], "ERROR: "),
    (["--first=1", "--first=2", "--last=3"], "ERROR: --first can only be used once"),
    (["--last=1", "--first=0", "-l", "3"], "ERROR: -l can only be used once"),
    (["--first=-1", "--last=3"], "ERROR: '--first=-1' is invalid first-host ID"),
    (["--first=0", "--last=-3"], "ERROR: '--last=-3' is invalid last-host ID"),
    (["--mode=sideways"], "ERROR: invalid polling mode 'sideways' specified"),
    (["-N", "sideways"], "ERROR: invalid polling mode 'sideways' specified"),
    (["--first=1"], "ERROR: must provide both -f/-l, a hostlist (-H/--hostlist), or neither"),
    (["--last=1"], "ERROR: must provide both -f/-l, a hostlist (-H/--hostlist), or neither"),
    (["--first=5", "--last=2"], "ERROR: Invalid row spec; first host_id must be less than the second"),
    (["--poller=abc"], "abc"),
    (["--poller=0"], "--poller"),
    (["--first=abc", "--last=3"], "abc"),
    (["--first=0", "--last=99999999999999999999"], "99999999999999999999"),
    (["--threads=0"], "--threads"),
    (["--threads=many"], "many"),
    (["--hostlist=1,2) OR (1=1"], "--hostlist"),
    (["--hostlist="], "--hostlist"),
    (["--verbosity=LOUD"], "LOUD"),
    (["--event-loop=maybe"], "maybe"),
]


@pytest.mark.parametrize("arguments, message", WRONG_COMMAND_LINES, ids=[" ".join(a) for a, _ in WRONG_COMMAND_LINES])
def test_a_wrong_command_line_is_refused_with_one_line(site, refuse, arguments, message):
    run = refuse(*arguments)
    assert_refused(run, USAGE, message)
    assert_no_cycle(site)


def test_a_very_long_argument_is_refused_with_one_bounded_line(site, refuse):
    run = refuse("--" + "x" * 100000)
    assert_refused(run, USAGE, "is an unknown command-line parameter")
    assert_no_cycle(site)


def test_a_line_break_in_an_argument_does_not_break_the_message(site, refuse):
    run = refuse("--bad\nERROR: forged")
    assert_refused(run, USAGE, "--bad", "is an unknown command-line parameter")


def test_a_thousand_overrides_are_taken(site, refuse):
    run = refuse("--first=0", "--last=0", *[f"-O=made_up_{n}:{n}" for n in range(1000)])
    assert run.status == OK, run
    assert [c["end_time"] for c in site.cycles()] != [None]


@pytest.mark.parametrize("arguments", (["--help"], ["-h"], ["--version"], ["-v"]))
def test_help_and_version_print_and_end_well(site, refuse, arguments):
    run = refuse(*arguments)
    assert run.status == OK and not run.stderr, run
    first = run.stdout.splitlines()[0]
    assert re.match(r"SPINE \S+  Copyright ", first) and first.find(cacti.version()) > 0, run
    assert_no_cycle(site)


def test_a_configuration_file_that_does_not_exist_is_named(site, refuse, work):
    run = refuse("-C", work / "nowhere.conf", conf=False)
    assert_refused(run, CONFIG, str(work / "nowhere.conf"))


def test_a_directory_as_configuration_file_is_refused_at_once(site, refuse, work):
    run = refuse("-C", work, conf=False)
    assert_refused(run, CONFIG, str(work), "not a regular file")


def test_no_configuration_file_at_all_is_said(site, plain_poller, work):
    """The search of docs/contract.md 1.6 finds nothing in an empty directory; only meaningful where no file is installed."""
    program = work / "bin" / "spine"
    program.parent.mkdir()
    program.symlink_to(plain_poller.binary.path)
    run = plain_poller.run_as([program, "--poller=1"], cwd=program.parent)
    assert_refused(run, CONFIG, "FATAL: Unable to read configuration file!")


def test_a_binary_file_as_configuration_is_refused_with_file_and_line(site, refuse, plain_poller):
    plain_poller.write_conf(bytes(range(256)) * 64)
    run = refuse("--poller=1")
    assert_refused(run, CONFIG, str(plain_poller.conf))
    assert all(c.isprintable() for c in run.stderr.rstrip("\n")), "control characters in the message"
    assert_no_cycle(site)


@pytest.mark.parametrize("ending", ("\n", "\r\n"))
@pytest.mark.parametrize("last", (True, False), ids=("final-newline", "no-final-newline"))
def test_a_configuration_file_is_read_with_any_line_ends(site, plain_poller, ending, last):
    text = "# a comment\n \n" + plain_poller.conf_text(DB_Port=None, DB_Pass=None) + f"\tDB_Pass \t{cacti.PASSWORD}"
    text += "\n" if last else ""
    plain_poller.write_conf(text.replace("\n", ending))
    run = plain_poller.run(first=0, last=0)
    assert run.status == OK, run
    assert site.cycles()[0]["end_time"] is not None


def test_a_value_that_is_not_a_number_is_refused_with_file_and_line(site, refuse, plain_poller):
    plain_poller.write_conf(plain_poller.conf_text(DB_Port="mysql"))
    run = refuse("--poller=1")
    assert_refused(run, CONFIG, f"{plain_poller.conf}:5", "DB_Port", "mysql")
    assert_no_cycle(site)


def test_a_wrong_database_password_is_said_on_stderr_and_in_the_log(site, refuse, plain_poller):
    plain_poller.write_conf(plain_poller.conf_text(DB_Pass="secret-guess", Cacti_Log=site.log))
    run = refuse("--poller=1")
    assert_refused(run, UNAVAILABLE, "FATAL: ", "1045", cacti.USER, "spine.conf")
    assert_logged_once(site, run, "FATAL: ", "1045")
    assert "secret-guess" not in run.stderr + run.log, run
    assert_no_cycle(site)


def test_a_database_that_does_not_exist_is_said_on_stderr_and_in_the_log(site, refuse, plain_poller):
    plain_poller.write_conf(plain_poller.conf_text(DB_Database="cacti_gone", Cacti_Log=site.log))
    run = refuse("--poller=1")
    assert_refused(run, UNAVAILABLE, "FATAL: ", "1049", "cacti_gone")
    assert_logged_once(site, run, "FATAL: ", "1049", "cacti_gone")


def test_a_database_without_cacti_s_tables_is_said_on_stderr_and_in_the_log(site, refuse, plain_poller):
    site.server.sql("CREATE DATABASE cacti_empty")
    plain_poller.write_conf(plain_poller.conf_text(DB_Database="cacti_empty", Cacti_Log=site.log))
    run = refuse("--poller=1")
    assert run.status in (UNAVAILABLE, CONFIG), run
    assert len(run.stderr.splitlines()) == 1 and "cacti_empty" in run.stderr, run
    assert_logged_once(site, run, "FATAL: ", "cacti_empty")


def test_a_database_server_that_is_down_is_reported_on_stderr_and_in_the_log(site, server, refuse, plain_poller):
    socket = server.socket
    plain_poller.write_conf(plain_poller.conf_text(Cacti_Log=site.log))
    server.stop()
    run = refuse("--poller=1")
    assert_refused(run, UNAVAILABLE, "FATAL: ", str(socket))
    assert_logged_once(site, run, "FATAL: ", str(socket))


def test_a_log_that_cannot_be_written_does_not_stop_the_cycle(site, snmpd, poller, work):
    site.settings(path_cactilog=work / "no" / "such" / "directory" / "cacti.log", log_verbosity=3)
    device = site.add_device(1, port=snmpd.port)
    site.add_snmp_item(device, ".1.3.6.1.2.1.1.7.0", rrd_name="services")
    run = poller.run(first=0, last=1)
    assert run.status == OK, run
    assert site.take_outputs() == {(1, "services"): ["72"]}
    assert run.stderr.count("ERROR: Spine Log File Could Not Be Opened/Created") == 1, run


def test_a_log_on_a_full_disk_is_said_once_and_does_not_stop_the_cycle(site, snmpd, poller):
    site.settings(path_cactilog="/dev/full", log_verbosity=5)
    device = site.add_device(1, port=snmpd.port)
    site.add_snmp_item(device, ".1.3.6.1.2.1.1.7.0", rrd_name="services")
    run = poller.run(first=0, last=1)
    assert run.status == OK, run
    assert site.take_outputs() == {(1, "services"): ["72"]}
    assert run.stderr.count("ERROR: Spine Log File Could Not Be Written: /dev/full: No space left") == 1, run


def test_an_unknown_word_in_the_configuration_is_no_reason_not_to_poll(site, plain_poller):
    plain_poller.write_conf(plain_poller.conf_text(Flux_Capacitor="on", DB_PreG=0))
    run = plain_poller.run(first=0, last=0)
    assert run.status == OK, run
    assert site.cycles()[0]["end_time"] is not None
