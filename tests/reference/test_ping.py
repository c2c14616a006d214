"""Pings that loopback can tell apart: answers, names, IPv6, the numbers of newer Cacti."""

import contextlib
import socket
import threading

from support.lab import need_localhost

OBJECT = ".1.3.6.1.4.1.99999.1"
OBJECTS = f"object {OBJECT}.{{1-50}} counter32 @mix\nagent 127.0.0.1\nagent 127.3.0.1\n"
QUICK = {"snmp_timeout": 500, "ping_timeout": 500, "ping_retries": 1}
ICMP, UDP, TCP = 1, 2, 3


@contextlib.contextmanager
def echo():
    """A UDP port that sends back what it gets, as an old-fashioned echo service does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))

        def run():
            while True:
                data, peer = s.recvfrom(2048)
                if data == b"end":
                    return
                s.sendto(data, peer)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield s.getsockname()[1]
        finally:
            s.sendto(b"end", s.getsockname())
            thread.join()


def pinged(*rows):
    def seed(site):
        for id, columns in enumerate(rows, 1):
            device = site.add_device(id, **({"hostname": "127.0.0.1", "port": site.agents, "availability_method": 3}
                                            | QUICK | columns))
            site.add_snmp_item(device, f"{OBJECT}.{id}", rrd_name="x", hostname="127.0.0.1")
    return seed


def test_a_UDP_service_that_answers(compare):
    with echo() as port:
        compare(pinged({"ping_method": UDP, "ping_port": port}), OBJECTS, expect=("S14",))


def test_a_TCP_service_that_accepts(compare):
    with socket.create_server(("127.0.0.1", 0)) as server:
        compare(pinged({"ping_method": TCP, "ping_port": server.getsockname()[1]}), OBJECTS)


def pinged_by_all(*hostnames):
    return pinged(*({"hostname": name, "ping_method": method, "ping_port": 1} for name in hostnames
                    for method in (ICMP, UDP, TCP)))


def test_localhost(compare):
    need_localhost()
    compare(pinged_by_all("localhost"), OBJECTS, expect=("S15",))


def test_an_IPv6_address(compare):
    compare(pinged_by_all("::1"), OBJECTS, expect=("S15",))


def test_another_address_and_an_impossible_name(compare):
    compare(pinged_by_all("127.3.0.1", "a..b"), OBJECTS)


def test_other_ping_methods(compare):
    compare(pinged(*({"ping_method": method, "ping_port": 1} for method in (0, 4, 5, 9))), OBJECTS, expect=("S17",))
