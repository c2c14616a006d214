"""Which server learns the password of the database: none that merely asks for it. A server, or a program in its
place, is played by tests/support/fakedb.py, which notes every byte that it gets."""

import hashlib
import os
import subprocess

import pytest

from support import cacti
from support.authority import certificates
from support.breaker import Breaker
from support.checks import assert_accounted, assert_closed, assert_stored
from support.fakedb import (CLIENT_PLUGIN_AUTH, CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, OK, SCRAMBLE, WELCOME,
                            FakeDatabase, File, Say, Switch, Tell)
from support.lab import HANG_S, SilentDevice, work_directory
from support.mariadb import MariaDB
from support.poller import Poller, environment, gates
from support.snmpd import PLAYPEN

from conftest import real_value

USER, PASSWORD = b"pollster", b"not for all users"
LONG_PASSWORD = b"as long as a hash, with its zero"
REFUSED = "the server asks for a way to log in that gives the password away or is unknown (5010); turn on DB_UseSSL"
REMEMBERED, FULL_LOGIN = Tell(b"\x01\x03"), Say(b"\x01\x04")  # of caching_sha2_password: I know you; send me the password
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
    "after another way": [Switch("mysql_native_password"), Switch("mysql_clear_password", b"")],
    "after two of them": [Switch("caching_sha2_password"), Switch("mysql_native_password"), Switch("dialog", b"\x04?")],
    "in capitals": [Switch("MYSQL_CLEAR_PASSWORD", b"")],
    "two at once": [Switch("mysql_native_password,mysql_clear_password", b"")],
    "in a folder": [Switch("../plugin/mysql_clear_password", b"")],
}


pytestmark = pytest.mark.mariadb_library("MySQL's decides by itself who gets the password, docs/security.md")


@pytest.fixture(scope="module")
def authority(tools):
    with work_directory() as directory:
        yield certificates(directory)


@pytest.fixture
def run(build, loop, work):
    """One run against a fake server, with these keys in spine.conf; what it says is in `stderr`."""
    def start(fake, env=None, password=PASSWORD, **keys):
        conf = {"DB_Host": "127.0.0.1", "DB_Port": fake.port, "DB_Database": "cacti", "DB_User": USER.decode(),
                "DB_Pass": f'"{password.decode()}"', "Cacti_Log": work / "log", **keys}
        path = work / "spine.conf"
        path.write_text("".join(f"{k} {v}\n" for k, v in conf.items() if v is not None))
        command = [build.binary.path, "-C", path, "--poller=1", *gates(loop)]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=HANG_S,
                              env=environment(work / "sanitizer", **(env or {})))

    return start


@pytest.fixture(scope="module")
def public_key(tools):
    """What a server gives to clients that encrypt the password."""
    def openssl(*arguments, **how):
        return subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=HANG_S, **how).stdout

    return openssl("pkey", "-pubout", input=openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"))


def assert_kept(fake, done, *words):
    """The run has ended with the reason, and the password is still ours."""
    assert PASSWORD not in fake.heard and LONG_PASSWORD not in fake.heard
    assert done.returncode == 69 and all(word in done.stderr for word in words), done
    assert fake.connections >= 1


def sha2_hash(password):
    """What caching_sha2_password sends to any server."""
    once = hashlib.sha256(password).digest()
    twice = hashlib.sha256(once).digest()
    return bytes(a ^ b for a, b in zip(once, hashlib.sha256(twice + SCRAMBLE).digest()))


# ---- the password ----

@pytest.mark.parametrize("acts", IN_CLEAR.values(), ids=IN_CLEAR)
@pytest.mark.parametrize("tls", ("no", "unknown"))
def test_a_server_that_asks_for_the_password_does_not_get_it(run, authority, acts, tls):
    """Neither over plain text nor over TLS with an unknown server."""
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


@pytest.mark.parametrize("acts", ([Switch("mysql_clear_password", b"")], [Switch("sha256_password")],
                                  [Switch("dialog", b"\x04Password: ")], [Switch("caching_sha2_password"), FULL_LOGIN]),
                         ids=("clear text", "sha256", "dialog", "sha2"))
def test_a_known_server_gets_it_over_tls(run, authority, acts):
    """Accounts that are checked elsewhere (PAM, LDAP) need that."""
    with FakeDatabase(*acts, WELCOME, certificate=authority.right) as fake:
        done = run(fake, DB_UseSSL=1, DB_SSL_CA=authority.certificate)
    assert fake.answers[-1] == PASSWORD + b"\0"
    assert PASSWORD not in fake.plain and USER not in fake.plain
    assert "(1049): you may come in" in done.stderr, done


#: Who asks, and what is configured: none of these is known.
UNKNOWN = {
    "plain text": {},
    "the socket": {},
    "TLS": {"DB_UseSSL": 1},
    "TLS that is not verified": {"DB_UseSSL": 1, "DB_SSL_Verify": "off"},
    "TLS if there is any": {"DB_SSL_Key": "", "DB_SSL_CA": "CA"},
}


@pytest.fixture(params=UNKNOWN)
def ask(request, run, authority, work):
    """One run against a server without a known authority."""
    def start(*acts, password=PASSWORD, **how):
        keys = {k: authority.certificate if v == "CA" else v for k, v in UNKNOWN[request.param].items()}
        if request.param == "the socket":
            how["path"] = keys["DB_Host"] = work / "fake.sock"
        if "TLS" in request.param:
            how["certificate"] = authority.right
        with FakeDatabase(*acts, **how) as fake:
            done = run(fake, password=password, **{"DB_Port": fake.port, **keys})
        return fake, done

    return start


@pytest.mark.parametrize("password", (PASSWORD, LONG_PASSWORD[:31]), ids=("short", "as long as a hash"))
@pytest.mark.parametrize("demand", (b"\x01\x04", b"\x04", b"\x01\x04\x04"), ids=bytes.hex)
def test_the_way_of_mysql_8_gives_the_hash_to_every_server_and_the_password_to_no_unknown_one(ask, public_key, password,
                                                                                              demand):
    """A server that does not remember the account asks for the password, encrypted with a key that it names itself
    where TLS is off: a program in its place can read that."""
    acts = [Switch("caching_sha2_password"), Say(demand), Say(b"\x01" + public_key)]
    fake, done = ask(*acts, password=password)
    assert_kept(fake, done, REFUSED)
    assert fake.answers == [sha2_hash(password)] and password not in fake.heard


def test_a_server_that_remembers_the_account_needs_no_more_than_the_hash(ask):
    """It is one of MySQL's, known or not."""
    fake, done = ask(Switch("caching_sha2_password"), REMEMBERED, WELCOME)
    assert_kept(fake, done, "(1049): you may come in")
    assert fake.answers == [sha2_hash(PASSWORD)]


def test_an_account_without_a_password_has_nothing_to_hide(ask):
    fake, done = ask(Switch("caching_sha2_password"), WELCOME, password=b"")
    assert_kept(fake, done, "(1049): you may come in")
    assert fake.answers in ([b""], [b"\0"])


@pytest.mark.parametrize("without", (CLIENT_PROTOCOL_41, CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION,
                                     CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH))
def test_a_server_that_plays_an_old_one_does_not_get_the_hash_of_old(run, without):
    """That of MySQL 4.0 is as good as the password."""
    with FakeDatabase(plugin="mysql_old_password", without=without) as fake:
        done = run(fake)
    assert_kept(fake, done, REFUSED)
    assert fake.heard == b""


# ---- TLS comes first ----

@pytest.mark.parametrize("keys", ({"DB_UseSSL": 1}, {"DB_SSL_Verify": "on"}, {"DB_UseSSL": 1, "DB_SSL_Verify": "off"}),
                         ids=("required", "verified", "unverified"))
@pytest.mark.parametrize("without", (0, CLIENT_PLUGIN_AUTH), ids=("a new server", "an old server"))
def test_where_tls_is_required_a_server_without_it_gets_nothing_at_all(run, keys, without):
    with FakeDatabase(*IN_CLEAR["clear text"], without=without) as fake:
        done = run(fake, **keys)
    assert_kept(fake, done, "(2026)")
    assert fake.heard == b""


@pytest.mark.parametrize("which", ("elsewhere", "expired", "unknown"))
def test_a_server_that_is_not_the_right_one_does_not_learn_the_user(run, authority, which):
    """Another name, an old certificate, another authority. The name is that of an address at which every client library
    checks it (docs/database.md)."""
    certificate = authority.right if which == "unknown" else getattr(authority, which)
    address = "127.0.0.2" if which == "elsewhere" else "127.0.0.1"
    with FakeDatabase(certificate=certificate, address=address) as fake:
        done = run(fake, DB_Host=address, DB_UseSSL=1,
                   DB_SSL_CA=authority.other if which == "unknown" else authority.certificate)
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
    assert_no_file(fake)


def assert_no_file(fake):
    for content in (b"for us alone", b"root:", b"PATH=", b"DB_Host"):
        assert content not in fake.heard


@pytest.mark.parametrize("when", ("before the login", "in the middle of it", "for the second statement"))
def test_a_server_that_asks_for_a_file_at_another_time_gets_none(run, work, when):
    (work / "secret").write_text("for us alone")
    acts = {"before the login": [], "in the middle of it": [Switch("mysql_native_password")],
            "for the second statement": [Say(OK), Say(OK)]}[when]
    with FakeDatabase(*acts, File(work / "secret")) as fake:
        done = run(fake)
    assert_kept(fake, done)
    assert_no_file(fake)


def test_a_known_server_gets_no_file_either(run, work, authority):
    (work / "secret").write_text("for us alone")
    with FakeDatabase(Say(OK), File(work / "secret"), certificate=authority.right) as fake:
        done = run(fake, DB_UseSSL=1, DB_SSL_CA=authority.certificate)
    assert_kept(fake, done, "local infile forbidden")
    assert_no_file(fake)


@pytest.mark.parametrize("variable", ("MARIADB_PLUGIN_DIR", "LIBMYSQL_PLUGIN_DIR"))
def test_no_code_is_loaded_from_a_folder_of_the_environment(run, work, variable):
    """A library that reads the pipe in the place of a plugin waits forever."""
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


@pytest.mark.mariadb("it has no such accounts")
def test_an_account_with_an_elliptic_key_is_served(site, server, snmpd, build, loop, work):
    server.sql("INSTALL SONAME 'auth_ed25519'")
    server.sql(f"CREATE USER modern@localhost IDENTIFIED VIA ed25519 USING PASSWORD('{cacti.PASSWORD}')")
    server.sql(f"GRANT ALL ON {cacti.DATABASE}.* TO modern@localhost")
    polled(site, server, snmpd, build, loop, work, "modern")


@pytest.mark.mariadb("its plugin for that is another one")
def test_an_account_that_the_socket_vouches_for_is_served(site, server, snmpd, build, loop, work):
    me = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    server.sql(f"CREATE OR REPLACE USER {me}@localhost IDENTIFIED VIA unix_socket")
    server.sql(f"GRANT ALL ON {cacti.DATABASE}.* TO {me}@localhost")
    polled(site, server, snmpd, build, loop, work, me, DB_Pass="")


# ---- real servers ----

#: Ways that give the password away, as a real server asks for them.
REAL = {
    "dialog": ("pam", ["--plugin-load-add=auth_pam_v1"]),
    "clear text": ("pam", ["--plugin-load-add=auth_pam_v1", "--pam-use-cleartext-plugin"]),
    "of MySQL 4.0": ("mysql_old_password USING '7c786c222596437b'", ["--secure-auth=OFF"]),
}


@pytest.fixture(params=REAL)
def elsewhere(request, template, work, authority):
    """A server with TLS and an account that is checked in such a way; what the way is called."""
    via, options = REAL[request.param]
    options = [f"--ssl-cert={authority.right[0]}", f"--ssl-key={authority.right[1]}", *options]
    with MariaDB(work / "tcp", template=template, tcp=True, options=options) as server:
        server.sql(f"CREATE USER {USER.decode()}@'%' IDENTIFIED VIA {via}")
        yield server, request.param


@pytest.mark.mariadb("it has no such accounts")
def test_a_real_server_that_asks_for_it_does_not_get_it(run, elsewhere, work):
    server, _ = elsewhere
    with Breaker(server, work / "breaker", tcp=True) as between:
        done = run(between)
    assert done.returncode == 69 and REFUSED in done.stderr, done
    assert len(between.others) == 1 and USER in between.others[0] and PASSWORD not in between.others[0]


@pytest.mark.mariadb("it has no such accounts")
def test_a_real_server_that_is_known_gets_it_and_says_no(run, elsewhere, authority):
    """PAM knows no such user; that of MySQL 4.0 is never given."""
    server, way = elsewhere
    done = run(server, DB_UseSSL=1, DB_SSL_CA=authority.certificate)
    assert done.returncode == 69, done
    assert ("(5010)" if way == "of MySQL 4.0" else "(1045)") in done.stderr, done


# ---- nothing is lost ----

@pytest.mark.parametrize("acts", ([Switch("mysql_clear_password", b"")], [Switch("caching_sha2_password"), FULL_LOGIN]),
                         ids=("clear text", "sha2"))
def test_what_was_polled_before_another_server_took_the_place_of_the_database_is_kept(site, server, snmpd, poller, work, acts):
    """The next run stores it, in the right one."""
    server.make_durable()
    site.settings(poller_interval=10)
    site.threads(1)
    spool = work / "poller" / "spool"
    poller.write_conf(poller.conf_text(Spool_File=spool))
    device = site.add_device(1, port=snmpd.port)
    expected = {site.add_snmp_item(device, f"{PLAYPEN}.1.{n}", rrd_name=f"v{n}"): str(real_value(1, n))
                for n in range(1, 6)}
    with SilentDevice() as silent:
        site.add_device(99, port=silent.port, snmp_timeout=100, polling_time=9)
        with poller.start("-V", "3", first=0, last=99) as running:
            silent.wait_for_request()
            site.wait_for_open_cycle()
            server.kill()
            server.socket.unlink(missing_ok=True)
            with FakeDatabase(*acts, path=server.socket) as fake:
                run = running.wait()
        assert run.status == 75, run
        assert fake.connections and cacti.PASSWORD.encode() + b"\0" not in b"".join(fake.answers)
        assert "(5010)" in run.log and run.log_lines(f"rows are kept in {spool} until the next run"), run
        assert_accounted(run, expected=5, stored=0, spooled=5)

        server.socket.unlink(missing_ok=True)
        server.start()
        for table in ("poller_item", "poller_time"):
            site.sql(f"DELETE FROM {table}")
        run = poller.run("-V", "3", first=0, last=99)
    assert run.status == 0, run
    assert_stored(site, expected)
