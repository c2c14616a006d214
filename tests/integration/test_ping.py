"""Is a device there: pings by UDP and TCP, with SNMP and without, and what the database says about it afterwards.

ICMP, which needs rights, is in test_privileges.py.
"""

import contextlib
import select
import socket
import socketserver
import threading

import pytest

from support.checks import assert_closed, assert_only_a_cycle_changed, assert_stored
from support.lab import SilentDevice, free_port, need_localhost

from conftest import SYSTEM_GROUP

OBJECT = ".1.3.6.1.4.1.99999.1.1"
SPEC = SYSTEM_GROUP + f"object {OBJECT} int 7\n"
PING_AND_SNMP, PING, PING_OR_SNMP = 1, 3, 4
ICMP, UDP, TCP, TCP_CLOSED = 1, 2, 3, 5
NO_SNMP = "SNMP not performed due to setting or ping result"
SILENT_SNMP = "Device did not respond to SNMP"
PAYLOAD = b"cacti-monitoring-system"
EVENT = "ERROR: HOST EVENT: Device is DOWN Message: "


# ---- what can be behind a port: contexts of (address), giving the port ----

@contextlib.contextmanager
def udp_closed(address):
    yield free_port(address=address)


@contextlib.contextmanager
def udp_silent(address):
    with SilentDevice(address) as device:
        yield device.port


@contextlib.contextmanager
def udp_answering(address):
    class Echo(socketserver.BaseRequestHandler):
        def handle(self):
            data, sock = self.request
            sock.sendto(data, self.client_address)

    with socketserver.UDPServer((address, 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def tcp_open(address):
    with socket.create_server((address, 0)) as listener:
        yield listener.getsockname()[1]


@contextlib.contextmanager
def tcp_closed(address):
    yield free_port(socket.SOCK_STREAM, address)


@contextlib.contextmanager
def tcp_silent(address):
    """A listener whose queue is full, so that the kernel drops what comes in."""
    with socket.create_server((address, 0), backlog=0) as listener, socket.create_connection(listener.getsockname()):
        yield listener.getsockname()[1]


def bound(family, address, kind=socket.SOCK_DGRAM):
    s = socket.socket(family, kind)
    s.bind((address, 0))
    return s


def received(listener):
    """The packets that have come in at a UDP socket."""
    found = []
    while select.select([listener], [], [], 0)[0]:
        found.append(listener.recv(65536))
    return found


@pytest.fixture
def farm(agents):
    return agents(SPEC + "agent 127.4.0.1-127.4.0.9\n")


@pytest.fixture
def add(site, farm):
    """add(id, method, port, ...) adds a device at 127.4.0.ID with one item and returns what is stored if it is up."""
    def add(id, method, port, items=1, **columns):
        device = site.add_device(id, **{"hostname": f"127.4.0.{id}", "port": farm.port, "availability_method": method,
                                        "ping_port": port, "ping_timeout": 100, "ping_retries": 2,
                                        **columns})
        return {site.add_snmp_item(device, OBJECT, rrd_name=f"v{n}"): "7" for n in range(items)}

    site.settings(ping_failure_count=1)
    return add


def requests(farm, ids):
    return [farm.counters(f"127.4.0.{id}")["requests"] for id in ids]


def assert_up(site, id, polls=1):
    row = site.device(id)
    assert (row["status"], row["total_polls"], row["failed_polls"], row["availability"]) == (3, polls, 0, 100), row
    assert 0 < row["cur_time"] == row["max_time"] == row["min_time"] == row["avg_time"] < 10000, row


def assert_down(site, run, id, text, hostname=None):
    row = site.device(id)
    assert (row["status"], row["total_polls"], row["failed_polls"], row["availability"]) == (1, 1, 1, 0), row
    assert row["status_last_error"] == text
    assert row["cur_time"] == 0, row
    assert row["fail_date"] > "2000", row
    hostname = f"127.4.0.{id}" if hostname is None else hostname
    assert len(run.log_lines(f"Device[{id}] Hostname[{hostname}] {EVENT}{text}")) == 1, run


UP = [(UDP, udp_closed), (UDP, udp_answering), (TCP, tcp_open), (TCP, tcp_closed), (TCP_CLOSED, tcp_closed)]


@pytest.mark.parametrize("method, service", UP, ids=[f"{m}_{service.__name__}" for m, service in UP])
def test_a_device_that_shows_a_sign_of_life_is_up_and_polled(site, farm, add, poller, method, service):
    """By ping and SNMP, by ping alone, and by ping or SNMP, where SNMP is not asked."""
    expected = {}
    with contextlib.ExitStack() as running:
        for id, availability in ((1, PING_AND_SNMP), (2, PING), (3, PING_OR_SNMP)):
            port = running.enter_context(service(f"127.4.0.{id}"))
            expected |= add(id, availability, port, ping_method=method, ping_timeout=2000, min_time=10000)
        before = site.snapshot()
        run = poller.run(first=0, last=3)
    assert run.status == 0 and not run.log_but_stats, run
    assert_stored(site, expected)
    assert_closed(site, run)
    assert_only_a_cycle_changed(before, site.snapshot(), devices=(1, 2, 3))
    for id in (1, 2, 3):
        assert_up(site, id)
    assert requests(farm, (1, 2, 3)) == [2, 1, 1]


DOWN = [(UDP, udp_silent, "UDP: Ping timed out"), (TCP, tcp_silent, "TCP: Cannot connect to host"),
        (TCP_CLOSED, tcp_silent, "TCP: Cannot connect to host")]


@pytest.mark.parametrize("method, service, text", DOWN, ids=[f"{m}_{service.__name__}" for m, service, _ in DOWN])
def test_a_device_that_shows_none_is_down_unless_SNMP_will_do(site, farm, add, poller, method, service, text):
    """Device 1 needs both, so SNMP is no longer asked; device 3 needs one of them, and its time is SNMP's."""
    with contextlib.ExitStack() as running:
        for id, availability in ((1, PING_AND_SNMP), (2, PING), (3, PING_OR_SNMP)):
            port = running.enter_context(service(f"127.4.0.{id}"))
            expected = add(id, availability, port, ping_method=method, min_time=10000)
        run = poller.run(first=0, last=3)
    assert run.status == 0, run
    assert_stored(site, expected)
    assert_down(site, run, 1, f"{NO_SNMP}, {text}")
    assert_down(site, run, 2, text)
    assert_up(site, 3)
    assert requests(farm, (1, 2, 3)) == [0, 0, 2]


def test_SNMP_that_is_needed_too_decides(site, farm, add, poller):
    """A sign of life by UDP, but none by SNMP; and none of both. The time-out of a silent agent is waited for twice."""
    farm.send("agent 127.4.0.1 silent\nagent 127.4.0.2 silent")
    with udp_closed("127.4.0.1") as closed, SilentDevice("127.4.0.2") as silent:
        add(1, PING_AND_SNMP, closed, snmp_timeout=100)
        add(2, PING_OR_SNMP, silent.port, snmp_timeout=100)
        run = poller.run(first=0, last=2)
        assert silent.requests() == 3
    assert run.status == 0, run
    assert_stored(site, {})
    assert_down(site, run, 1, f"{SILENT_SNMP}, UDP: Device is Alive")
    assert_down(site, run, 2, f"{SILENT_SNMP}, UDP: Ping timed out")
    assert requests(farm, (1, 2)) == [2, 2]


def test_without_a_community_the_ping_alone_decides(site, farm, add, poller):
    with SilentDevice("127.4.0.2") as silent, SilentDevice("127.4.0.4") as other, udp_closed("127.4.0.1") as closed:
        for id, method, port in ((1, PING_AND_SNMP, closed), (2, PING_AND_SNMP, silent.port),
                                 (3, PING_OR_SNMP, closed), (4, PING_OR_SNMP, other.port)):
            add(id, method, port, items=0, snmp_community="", min_time=10000)
        run = poller.run(first=0, last=4)
    assert run.status == 0, run
    assert_up(site, 1)
    assert_up(site, 3)
    assert_down(site, run, 2, "UDP: Ping timed out")
    assert_down(site, run, 4, "UDP: Ping timed out")
    assert requests(farm, range(1, 5)) == [0, 0, 0, 0]


def test_a_silent_device_is_pinged_once_and_once_more_for_every_retry(add, poller):
    with contextlib.ExitStack() as running:
        listeners = [running.enter_context(bound(socket.AF_INET, f"127.4.0.{id}")) for id in (1, 2, 3)]
        for id, retries in ((1, 0), (2, 1), (3, 4)):
            add(id, PING, listeners[id - 1].getsockname()[1], ping_retries=retries)
        run = poller.run(first=0, last=3)
        assert [received(listener) for listener in listeners] == [[PAYLOAD], [PAYLOAD] * 2, [PAYLOAD] * 5], run


def test_a_device_with_several_threads_is_checked_once(site, farm, add, poller):
    with SilentDevice("127.4.0.1") as first, SilentDevice("127.4.0.2") as second:
        expected = add(1, PING_OR_SNMP, first.port, items=10, device_threads=5, max_oids=1)
        add(2, PING, second.port, items=10, device_threads=5, max_oids=1)
        run = poller.run(first=0, last=2)
        assert (first.requests(), second.requests()) == (3, 3), run
    assert run.status == 0, run
    assert_stored(site, expected)
    assert requests(farm, (1, 2)) == [1 + 10, 0]
    assert site.device(1)["total_polls"] == site.device(2)["total_polls"] == 1


def test_a_name_that_does_not_exist_is_a_device_that_is_down(site, add, poller):
    """No name server is asked: two dots in a row are in no name."""
    name = "no..such.device"
    unknown = "PING: Device is Unknown or is IPV6.  Please use the SNMP ping options only."
    cases = [(1, PING, name, ICMP, unknown),
             (2, PING, name, UDP, unknown),
             (3, PING, name, TCP, unknown),
             (4, PING_AND_SNMP, name, ICMP, f"{NO_SNMP}, ICMP: Destination hostname invalid"),
             (5, PING_AND_SNMP, name, UDP, f"{NO_SNMP}, UDP: Destination hostname invalid"),
             (6, PING_AND_SNMP, name, TCP, f"{NO_SNMP}, TCP: Destination hostname invalid"),
             (7, PING, "", ICMP, "ICMP: Destination address not specified"),
             (8, PING, "", UDP, "UDP: Destination address invalid or unable to create socket"),
             (9, PING, "", TCP, "TCP: Destination address invalid or unable to create socket")]
    for id, availability, hostname, method, _ in cases:
        add(id, availability, 7, hostname=hostname, ping_method=method)
    run = poller.run(first=0, last=len(cases))
    assert run.status == 0, run
    assert_stored(site, {})
    for id, _, hostname, _, text in cases:
        assert_down(site, run, id, text, hostname)
    assert len(run.log_lines(f"WARNING: Unable to determine address info for {name} (")) == 6, run


def test_a_ping_method_that_does_not_exist_is_no_sign_of_life(site, add, poller):
    for id, method in ((1, 0), (2, 4), (3, 6)):
        add(id, PING, 7, ping_method=method)
    run = poller.run(first=0, last=3)
    assert run.status == 0, run
    for id in (1, 2, 3):
        assert_down(site, run, id, "Ping not performed due to setting.")


def test_localhost_is_tested_like_every_other_device(site, add, poller):
    need_localhost()
    with SilentDevice() as silent:
        add(1, PING, silent.port, hostname="localhost", snmp_port=1)
        add(2, PING, free_port(), items=0, hostname="localhost", min_time=10000)
        run = poller.run(first=0, last=2)
        assert silent.requests() == 3, run
    assert_down(site, run, 1, "UDP: Ping timed out", "localhost")
    assert_up(site, 2)


def test_the_address_is_taken_out_of_what_SNMP_calls_a_transport(site, farm, add, poller):
    """The ping goes to ping_port nevertheless."""
    with contextlib.ExitStack() as running:
        silent = {id: running.enter_context(SilentDevice(f"127.4.0.{id}")) for id in (1, 2, 3)}
        add(1, PING, silent[1].port, hostname="udp:127.4.0.1")
        add(2, PING, silent[2].port, hostname="TCP:127.4.0.2:161")
        add(3, PING, silent[3].port, hostname="127.4.0.3:161")
        run = poller.run(first=0, last=3)
        assert [silent[id].requests() for id in (1, 2, 3)] == [3, 3, 3], run


def at_ipv6(kind):
    """A socket at ::1."""
    try:
        return bound(socket.AF_INET6, "::1", kind)
    except OSError as e:
        pytest.skip(f"this host has no ::1: {e.strerror}")


def test_devices_with_an_IPv6_address_are_pinged_as_well(site, add, poller):
    with at_ipv6(socket.SOCK_DGRAM) as silent, at_ipv6(socket.SOCK_STREAM) as listener:
        listener.listen()
        with at_ipv6(socket.SOCK_DGRAM) as s:
            closed = s.getsockname()[1]
        up = {1: ("::1", UDP, closed), 2: ("::1", TCP, listener.getsockname()[1]), 3: ("::1", TCP, closed),
              4: ("udp6:[::1]:161", UDP, closed), 5: ("[::1]", ICMP, closed)}
        for id, (hostname, method, port) in up.items():
            add(id, PING, port, items=0, hostname=hostname, ping_method=method, ping_timeout=2000, min_time=10000)
        add(6, PING, silent.getsockname()[1], hostname="tcp6:[::1]")
        run = poller.run(first=0, last=6)
        assert run.status == 0, run
        assert len(received(silent)) == 3
    for id in up:
        assert_up(site, id)
    assert_down(site, run, 6, "UDP: Ping timed out", "tcp6:[::1]")


def test_the_time_of_a_device_that_needs_both_is_the_mean_of_both(site, farm, add, poller):
    """The agent answers after 400 ms, the port at once: the mean is above 200 ms, and below the agent's time."""
    farm.send("agent 127.4.0.1 delay=400\nagent 127.4.0.2 delay=400")
    with udp_closed("127.4.0.1") as port, SilentDevice("127.4.0.2") as silent:
        add(1, PING_AND_SNMP, port, items=0, snmp_timeout=5000, min_time=10000)
        add(2, PING_OR_SNMP, silent.port, items=0, snmp_timeout=5000, min_time=10000)
        run = poller.run(first=0, last=2)
    assert run.status == 0, run
    assert_up(site, 1)
    assert_up(site, 2)
    assert site.device(1)["cur_time"] >= 200
    assert site.device(2)["cur_time"] >= 400
