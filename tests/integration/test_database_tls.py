"""TLS to the database: required means required, and every reason not to trust a server ends the connection and is
said. What the start does not depend on: one path is enough for all but the first test."""

import re

import pytest

from support import cacti
from support.authority import certificates
from support.checks import assert_closed, assert_stored
from support.lab import work_directory
from support.mariadb import VENDOR, MariaDB
from support.poller import Poller
from support.snmpd import PLAYPEN

from conftest import real_value

USER = f"{cacti.USER}@127.0.0.1"


@pytest.fixture(scope="module")
def authorities(tools):
    with work_directory() as directory:
        yield certificates(directory)


@pytest.fixture
def serve(template, work, authorities, snmpd):
    """Starts a server with this certificate (None: without TLS) and a site with one device; returns site and what
    must be stored."""
    servers = []

    def start(certificate, require="", host="127.0.0.1"):
        options = [VENDOR.without_tls]
        if certificate:
            options = [f"--ssl-cert={certificate[0]}", f"--ssl-key={certificate[1]}",
                       f"--ssl-ca={authorities.certificate}"]
        options.append(f"--bind-address={host}")
        server = MariaDB(work / "tls", template=template, tcp=True, options=options).start()
        servers.append(server)
        server.account(USER, cacti.PASSWORD, require)
        if certificate and "X509" not in require:
            server.remember(cacti.USER, cacti.PASSWORD)
        site = cacti.Site(server, work)
        device = site.add_device(1, port=snmpd.port)
        return site, {site.add_snmp_item(device, f"{PLAYPEN}.1.1", rrd_name="x"): str(real_value(1, 1))}

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def poll(build, work):
    """One cycle over TCP with these keys in spine.conf."""
    def run(site, loop="off", **keys):
        keys = {"DB_Host": "127.0.0.1", "DB_Port": site.server.port, "Cacti_Log": site.log, **keys}
        return Poller(build.binary, site, work / "poller", loop=loop, **keys).run()

    return run


def assert_polled(site, run, expected):
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_closed(site, run)


def assert_refused(site, run, *words, address="127.0.0.1"):
    """69, a line that gives the reason, and nothing has been done."""
    assert run.status == 69, run
    line = run.log_lines(f"FATAL: cannot connect to the database server at {address}")
    assert len(line) == 1 and all(word in line[0] for word in words), run
    assert not site.outputs() and not site.cycles()


def test_a_trusted_server_is_polled_over_tls(serve, poll, authorities, loop):
    site, expected = serve(authorities.right, require="REQUIRE SSL")
    run = poll(site, loop, DB_UseSSL=1, DB_SSL_CA=authorities.certificate)
    assert_polled(site, run, expected)


def test_a_server_of_another_authority_is_refused(serve, poll, authorities):
    site, _ = serve(authorities.right)
    run = poll(site, DB_UseSSL=1, DB_SSL_CA=authorities.other)
    assert_refused(site, run, "certificate", "DB_SSL_CA")


def test_a_server_with_another_name_is_refused(serve, poll, authorities):
    site, _ = serve(authorities.elsewhere, host="0.0.0.0")
    run = poll(site, DB_Host="127.0.0.2", DB_UseSSL=1, DB_SSL_CA=authorities.certificate)
    assert_refused(site, run, "(2026)", "DB_SSL_CA", address="127.0.0.2")


def test_an_expired_certificate_is_refused(serve, poll, authorities, build):
    site, _ = serve(authorities.expired)
    run = poll(site, DB_UseSSL=1, DB_SSL_CA=authorities.certificate)
    assert_refused(site, run, "expired" if client_library(build) else "certificate")


def test_a_server_without_tls_is_refused(serve, poll, authorities):
    site, _ = serve(None)
    for keys in ({"DB_UseSSL": 1}, {"DB_UseSSL": 1, "DB_SSL_CA": authorities.certificate},
                 {"DB_SSL_Verify": "on", "DB_SSL_CA": authorities.certificate}):
        run = poll(site, **keys)
        assert_refused(site, run, "TLS is required, but the server offers none (2026)")


def test_a_server_with_an_unknown_authority_is_refused_where_that_is_asked_for(serve, poll, authorities):
    """Without DB_SSL_CA the system's authorities are asked, and none of them knows it."""
    site, _ = serve(authorities.right)
    run = poll(site, DB_UseSSL=1, DB_SSL_Verify="on")
    assert_refused(site, run, "certificate")


@pytest.mark.parametrize("which", ("elsewhere", "expired"))
def test_a_server_that_need_not_be_trusted_is_polled_over_tls(serve, poll, authorities, which):
    site, expected = serve(getattr(authorities, which), require="REQUIRE SSL")
    run = poll(site, DB_UseSSL=1, DB_SSL_Verify="off", DB_SSL_CA=authorities.other)
    assert_polled(site, run, expected)


def test_an_account_that_wants_a_certificate_gets_it(serve, poll, authorities):
    site, expected = serve(authorities.right, require="REQUIRE X509")
    run = poll(site, DB_UseSSL=1, DB_SSL_CA=authorities.certificate)
    assert run.status == 69 and run.log_lines("refused user 'cactiuser'"), run
    certificate, key = authorities.client
    run = poll(site, DB_UseSSL=1, DB_SSL_CA=authorities.certificate, DB_SSL_Cert=certificate, DB_SSL_Key=key)
    assert_polled(site, run, expected)


def test_the_socket_does_not_make_an_unknown_user_known(serve, poll, authorities):
    site, _ = serve(authorities.right)
    run = poll(site, DB_Host=site.server.socket, DB_SSL_Verify="on")
    assert run.status == 69 and run.log_lines("certificate"), run


def test_a_key_that_cannot_be_read_is_said(serve, poll, authorities):
    site, _ = serve(authorities.right)
    run = poll(site, DB_UseSSL=1, DB_SSL_Cert=authorities.client[0], DB_SSL_Key="/nonexistent/key.pem")
    assert_refused(site, run, "DB_SSL_Key")


def test_an_account_that_requires_tls_needs_no_option_in_the_configuration(serve, poll, authorities):
    site, expected = serve(authorities.right, require="REQUIRE SSL")
    run = poll(site)
    assert_polled(site, run, expected)


def test_the_socket_needs_no_name(serve, poll, authorities):
    """There is no network in between; the chain counts."""
    site, expected = serve(authorities.elsewhere)
    run = poll(site, DB_Host=site.server.socket, DB_UseSSL=1, DB_SSL_CA=authorities.certificate)
    assert_polled(site, run, expected)


def test_the_chain_counts_on_the_socket_too(serve, poll, authorities):
    site, _ = serve(authorities.right)
    run = poll(site, DB_Host=site.server.socket, DB_UseSSL=1, DB_SSL_CA=authorities.other)
    assert run.status == 69 and run.log_lines("certificate"), run


#: What a configuration checks: the chain, and over TCP the server's name; "unknown": it knows another authority.
CHECKS = {
    "UseSSL": ({"DB_UseSSL": 1}, ""),
    "UseSSL and CA": ({"DB_UseSSL": 1, "DB_SSL_CA": "ours"}, "chain name"),
    "UseSSL and another CA": ({"DB_UseSSL": 1, "DB_SSL_CA": "other"}, "unknown"),
    "Verify and CA": ({"DB_SSL_Verify": "on", "DB_SSL_CA": "ours"}, "chain name"),
    "Verify": ({"DB_SSL_Verify": "on"}, "unknown"),
    "Verify off and another CA": ({"DB_UseSSL": 1, "DB_SSL_Verify": "off", "DB_SSL_CA": "other"}, ""),
    "CA": ({"DB_SSL_CA": "ours"}, "if offered, chain"),
    "another CA": ({"DB_SSL_CA": "other"}, "if offered, unknown"),
    "nothing": ({}, ""),
}


def client_library(build):
    """The version of MariaDB's client library; None: it is MySQL's."""
    found = re.search(r"MariaDB Connector/C (\d+)\.(\d+)", " ".join(build.binary.features))
    return tuple(map(int, found.groups())) if found else None


def is_refused(checked, certificate, address, library):
    """What the table "TLS" of docs/database.md says."""
    new_rules = library is not None and library >= (3, 4)
    if library is None and "if offered" in checked and not address.startswith("127."):
        return False  # MySQL's library offers no TLS on a socket
    if certificate != "elsewhere" or "unknown" in checked:
        return "unknown" in checked or certificate == "expired" and "chain" in checked
    if not address.startswith("127.") or address == "127.0.0.1" and new_rules:
        return False
    return "name" in checked or "chain" in checked and new_rules


@pytest.mark.parametrize("which", ("right", "elsewhere", "expired"))
def test_what_the_documentation_says_is_checked_is_checked(serve, poll, authorities, build, which):
    site, _ = serve(getattr(authorities, which), host="0.0.0.0")
    found, expected = {}, {}
    for title, (keys, checked) in CHECKS.items():
        authority = {"ours": authorities.certificate, "other": authorities.other}
        keys = {k: authority.get(v, v) for k, v in keys.items()}
        for address in ("127.0.0.1", "127.0.0.2", str(site.server.socket)):
            found[title, address] = poll(site, DB_Host=address, **keys).status
            refused = is_refused(checked, which, address, client_library(build))
            expected[title, address] = 69 if refused else 0
    assert found == expected
