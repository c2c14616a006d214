"""Availability and host status: every method, up and down, several cycles in sequence."""

import contextlib
import socket

import pytest

from world import Cycle

OBJECT = ".1.3.6.1.4.1.99999.1"
OBJECTS = f"object {OBJECT}.{{1-50}} counter32 @mix\n"
QUICK = {"snmp_timeout": 500, "ping_timeout": 500, "ping_retries": 1}


@contextlib.contextmanager
def deaf_tcp_port():
    """A listening port whose queue is full: further connections are neither accepted nor refused."""
    with socket.socket() as listener, contextlib.ExitStack() as queue:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            s = queue.enter_context(socket.socket())
            s.setblocking(False)
            s.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextlib.contextmanager
def deaf_udp_port():
    """Takes datagrams and answers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        yield s.getsockname()[1]


@contextlib.contextmanager
def closed_port(kind):
    """A port that answers nothing; it is held, so that no other program takes it meanwhile."""
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_DGRAM:
            s.connect(s.getsockname())
        yield s.getsockname()[1]


def test_a_device_that_goes_down_and_up_again_has_the_same_history(compare):
    """Failure count 2, recovery count 3: up, three failures, an interrupted recovery, a whole
    one, a single failure."""
    def seed(site):
        site.settings(ping_failure_count=2, ping_recovery_count=3)
        for id, status in ((1, 3), (2, 0)):
            device = site.add_device(id, hostname=f"127.3.0.{id}", port=site.agents, status=status, **QUICK)
            for n in range(1, 4):
                site.add_snmp_item(device, f"{OBJECT}.{n}", rrd_name="x")

    up, down = "agent 127.3.0.1-127.3.0.2\n", "agent 127.3.0.1-127.3.0.2 silent\n"
    history = [up, down, down, down, up, down, up, up, up, up, down, up]
    found = compare(seed, spec_agents(up), cycles=[Cycle(agents=line) for line in history])
    states = [(3, 0), (3, 1), (1, 2), (1, 3), (2, 1), (1, 1), (2, 1), (2, 2), (3, 0), (3, 0), (3, 1), (3, 0)]
    for dumps in found.values():
        assert [(d.host[1]["status"], d.host[1]["status_event_count"]) for d in dumps] == states
        assert [sum(n for line, n in d.lines.items() if "HOST EVENT: Device is DOWN" in line and "Device[1]" in line)
                for d in dumps] == [0, 0, 1] + [0] * 9
        assert [bool(d.outputs) for d in dumps] == [line is up for line in history]


def spec_agents(lines):
    return OBJECTS + lines


@pytest.mark.parametrize("failures,recoveries", [(1, 1), (2, 1)])
def test_other_failure_and_recovery_counts(compare, failures, recoveries):
    def seed(site):
        site.settings(ping_failure_count=failures, ping_recovery_count=recoveries)
        for id, status in enumerate((0, 1, 2, 3), 1):
            device = site.add_device(id, hostname="127.3.0.1", port=site.agents, status=status,
                                     status_event_count=4 if status == 1 else 0, **QUICK)
            site.add_snmp_item(device, f"{OBJECT}.{id}", rrd_name="x")

    up, down = "agent 127.3.0.1\n", "agent 127.3.0.1 silent\n"
    compare(seed, spec_agents(up), cycles=[Cycle(agents=line) for line in (up, down, down, up, up, down)])


def test_absent_failure_and_recovery_counts(compare):
    def seed(site):
        site.sql("DELETE FROM settings WHERE name IN ('ping_failure_count', 'ping_recovery_count')")
        device = site.add_device(1, hostname="127.3.0.1", port=site.agents, **QUICK)
        site.add_snmp_item(device, f"{OBJECT}.1", rrd_name="x")

    compare(seed, spec_agents("agent 127.3.0.1 silent\n"), expect=("S10",))


def matrix(deaf_udp, deaf_tcp, closed_udp, closed_tcp):
    """Columns of a device for every availability method, ping method and outcome that loopback can give. Only what is
    to answer is waited for."""
    ports = {(2, True): closed_udp, (2, False): deaf_udp, (3, True): closed_tcp, (3, False): deaf_tcp, (1, True): 1}
    patience = {True: 5000, False: 100}
    for snmp_up in (True, False):
        snmp = {"snmp_up": snmp_up, "snmp_timeout": patience[snmp_up], "ping_retries": 1}
        for method in (0, 2, 5, 6, 7):
            yield snmp | {"availability_method": method}
        for method in (1, 3, 4):
            for (ping, ping_up), port in ports.items():
                yield snmp | {"availability_method": method, "ping_method": ping, "ping_port": port,
                              "ping_timeout": patience[ping_up]}


@pytest.mark.parametrize("community", ["public", ""])
def test_every_availability_method_with_every_ping_up_and_down(compare, community):
    with deaf_udp_port() as deaf_udp, deaf_tcp_port() as deaf_tcp, closed_port(socket.SOCK_DGRAM) as closed_udp, \
            closed_port(socket.SOCK_STREAM) as closed_tcp:
        columns = list(matrix(deaf_udp, deaf_tcp, closed_udp, closed_tcp))

        def seed(site):
            site.settings(ping_failure_count=2, ping_recovery_count=3)
            site.threads(40)
            for id, row in enumerate(columns, 1):
                row = dict(row)
                host = "127.0.0.1" if row.pop("snmp_up") else "127.0.0.2"
                device = site.add_device(id, hostname=host, port=site.agents, snmp_community=community, **row)
                site.add_snmp_item(device, f"{OBJECT}.{id}", rrd_name="x", snmp_community="public")

        compare(seed, spec_agents("agent 127.0.0.1\nagent 127.0.0.2 silent\n"), cycles=[Cycle(), Cycle()],
                expect=("S7", "S9", "S18", "S14?") if community else ("S7", "S8", "S14?"))
