"""Who learns the password of the database: nobody who merely asks for it. A server, or whoever has put himself in its
place, is played by tests/support/fakedb.py, which notes every byte that it gets."""

import os
import subprocess

import pytest

from support import cacti
from support.authority import certificates
from support.checks import assert_closed, assert_stored
from support.fakedb import CLIENT_PLUGIN_AUTH, OK, FakeDatabase, File, Say, Switch
from support.lab import work_directory
from support.poller import Poller, environment
from support.snmpd import PLAYPEN

from conftest import real_value

USER, PASSWORD = b"pollster", b"not for everybody"
REFUSED = "the server asks for a way to log in that would give the password away (5010); turn on DB_UseSSL"
FULL_LOGIN = Say(b"\x01\x04")  # of caching_sha2_password: send me the password
ASK_FOR_IT = Say(b"\x04Password: ")

#: What a server may ask for that wants the password as it is, or as good as that.
IN_CLEAR = {
    "clear text": [Switch("mysql_clear_password", b"")],
    "dialog": [Switch("dialog", b"\x04Password: ")],
    "dialog, a question later": [Switch("dialog", b"\x02Who? "), ASK_FOR_IT],
    "sha256": [Switch("sha256_password")],
    "of MySQL 4.0": [Switch("mysql_old_password")],
    "of MySQL 4.0, in a word": [Say(b"\xfe")],
    "unheard of": [Switch("give_me_all")],
}


@pytest.fixture(scope="module")
def authority(tools):
    with work_directory() as directory:
        yield certificates(directory)


@pytest.fixture
def run(build, loop, work):
    """One run against a fake server, with these keys in spine.conf; what it says is in `stderr`."""
    def start(fake, env=None, **keys):
        conf = {"DB_Host": "127.0.0.1", "DB_Port": fake.port, "DB_Database": "cacti", "DB_User": USER.decode(),
                "DB_Pass": f'"{PASSWORD.decode()}"', "Cacti_Log": work / "log", **keys}
        path = work / "spine.conf"
        path.write_text("".join(f"{k} {v}\n" for k, v in conf.items() if v is not None))
        command = [build.binary.path, "-C", path, "--poller=1", f"--event-loop={loop}"]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=30,
                              env=environment(work / "sanitizer", **(env or {})))

    return start


def assert_kept(fake, done, *words):
    """The run has ended with the reason, and the password is still ours."""
    assert PASSWORD not in fake.heard
    assert done.returncode == 69 and all(word in done.stderr for word in words), done
    assert fake.connections >= 1


# ---- the password ----

@pytest.mark.parametrize("acts", IN_CLEAR.values(), ids=IN_CLEAR)
@pytest.mark.parametrize("tls", ("no", "unknown"))
def test_a_server_that_asks_for_the_password_does_not_get_it(run, authority, acts, tls):
    """Neither over plain text nor over TLS with somebody whom nobody knows."""
    with FakeDatabase(*acts, certificate=authority.right if tls == "unknown" else None) as fake:
        done = run(fake, **({"DB_UseSSL": 1} if tls == "unknown" else {}))
    assert_kept(fake, done, REFUSED)


@pytest.mark.parametrize("plugin", ("mysql_clear_password", "dialog", "sha256_password"))
def test_a_server_that_asks_for_it_in_its_greeting_does_not_even_learn_the_user(run, plugin):
    with FakeDatabase(plugin=plugin) as fake:
        done = run(fake)
    assert_kept(fake, done, REFUSED)
    assert fake.heard == b""


def test_a_server_on_the_socket_does_not_get_it_either(run, work):
    path = work / "fake.sock"
    with FakeDatabase(*IN_CLEAR["clear text"], path=path) as fake:
        done = run(fake, DB_Host=path, DB_Port=None)
    assert_kept(fake, done, REFUSED)


@pytest.mark.parametrize("acts", ([Switch("mysql_clear_password", b"")], [Switch("caching_sha2_password"), FULL_LOGIN]),
                         ids=("clear text", "sha2"))
def test_a_known_server_gets_it_over_tls(run, authority, acts):
    """Accounts that are checked elsewhere (PAM, LDAP) need that."""
    with FakeDatabase(*acts, certificate=authority.right) as fake:
        run(fake, DB_UseSSL=1, DB_SSL_CA=authority.certificate)
    assert PASSWORD in fake.heard
    assert PASSWORD not in fake.plain and USER not in fake.plain
    assert fake.statements


def test_the_way_of_mysql_8_gives_it_to_nobody_unknown(run, authority):
    """A server that does not remember the account is given the password inside TLS: only if it is known, or if that was
    declared not to matter."""
    acts = [Switch("caching_sha2_password"), FULL_LOGIN]
    with FakeDatabase(*acts, certificate=authority.right) as fake:
        done = run(fake, DB_UseSSL=1)
    assert_kept(fake, done, REFUSED)
    with FakeDatabase(*acts, certificate=authority.right) as fake:
        run(fake, DB_UseSSL=1, DB_SSL_Verify="off")
    assert PASSWORD in fake.heard and PASSWORD not in fake.plain


# ---- TLS comes first ----

@pytest.mark.parametrize("keys", ({"DB_UseSSL": 1}, {"DB_SSL_Verify": "on"}, {"DB_UseSSL": 1, "DB_SSL_Verify": "off"}),
                         ids=("required", "verified", "unverified"))
@pytest.mark.parametrize("without", (0, CLIENT_PLUGIN_AUTH), ids=("a new server", "an old server"))
def test_where_tls_is_required_a_server_without_it_hears_nothing_at_all(run, keys, without):
    with FakeDatabase(*IN_CLEAR["clear text"], without=without) as fake:
        done = run(fake, **keys)
    assert_kept(fake, done, "(2026)")
    assert fake.heard == b""


@pytest.mark.parametrize("which", ("elsewhere", "expired", "stranger"))
def test_a_server_that_is_not_the_right_one_does_not_learn_the_user(run, authority, which):
    """Another name, an old certificate, another authority."""
    certificate = authority.right if which == "stranger" else getattr(authority, which)
    with FakeDatabase(certificate=certificate) as fake:
        done = run(fake, DB_UseSSL=1, DB_SSL_CA=authority.other if which == "stranger" else authority.certificate)
    assert_kept(fake, done, "(2026)")
    assert USER not in fake.heard


# ---- files and code ----

@pytest.mark.parametrize("name", ("secret", "spine.conf", "/etc/passwd", "/proc/self/environ"))
def test_a_server_that_asks_for_a_file_gets_none(run, work, name):
    """In the place of an answer to the first statement."""
    (work / "secret").write_text("for us alone")
    with FakeDatabase(Say(OK), File(work / name)) as fake:
        done = run(fake)
    assert_kept(fake, done, "local infile forbidden")
    for content in (b"for us alone", b"root:", b"PATH=", b"DB_Host"):
        assert content not in fake.heard


@pytest.mark.parametrize("variable", ("MARIADB_PLUGIN_DIR", "LIBMYSQL_PLUGIN_DIR"))
def test_no_code_is_loaded_from_a_folder_of_the_environment(run, work, variable):
    """Whoever reads the pipe that lies there in the place of a plugin waits for ever."""
    os.mkfifo(work / "caching_sha2_password.so")
    os.mkfifo(work / "evil.so")
    with FakeDatabase(Switch("caching_sha2_password")) as fake:
        done = run(fake, env={variable: str(work)})
    assert_kept(fake, done)
    assert str(work / "caching") not in done.stderr


@pytest.mark.parametrize("variable", ("LIBMYSQL_PLUGINS", "MARIADB_PLUGINS"))
def test_no_code_is_loaded_because_the_environment_names_it(run, work, variable):
    os.mkfifo(work / "evil.so")
    with FakeDatabase() as fake:
        done = run(fake, env={variable: "evil", "MARIADB_PLUGIN_DIR": str(work), "LIBMYSQL_PLUGIN_DIR": str(work)})
    assert_kept(fake, done)


# ---- who may come in still does ----

def polled(site, server, snmpd, build, loop, work, user, **keys):
    device = site.add_device(1, port=snmpd.port)
    expected = {site.add_snmp_item(device, f"{PLAYPEN}.1.1", rrd_name="x"): str(real_value(1, 1))}
    run = Poller(build.binary, site, work / "poller", loop=loop, DB_User=user, **keys).run()
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)


def test_an_account_with_an_elliptic_key_is_served(site, server, snmpd, build, loop, work):
    server.sql("INSTALL SONAME 'auth_ed25519'")
    server.sql(f"CREATE USER modern@localhost IDENTIFIED VIA ed25519 USING PASSWORD('{cacti.PASSWORD}')")
    server.sql(f"GRANT ALL ON {cacti.DATABASE}.* TO modern@localhost")
    polled(site, server, snmpd, build, loop, work, "modern")


def test_an_account_that_the_socket_vouches_for_is_served(site, server, snmpd, build, loop, work):
    me = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    server.sql(f"CREATE OR REPLACE USER {me}@localhost IDENTIFIED VIA unix_socket")
    server.sql(f"GRANT ALL ON {cacti.DATABASE}.* TO {me}@localhost")
    polled(site, server, snmpd, build, loop, work, me, DB_Pass="")
