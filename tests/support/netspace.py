"""A network of a test's own, with a router in it that refuses: what loopback cannot do.

    with RefusingNetwork() as network:
        run = poller.run_as(network.inside(poller.command(first=0, last=9)))

What is run inside has these addresses to ask, each also in IPv6 (as 2001:db8:PREFIX::N):

    198.51.100.N   the router itself answers         (prefix 1)
    192.0.2.N      from 9 on: on the link, and does not exist              (prefix 0)
    203.0.113.N    the router says "administratively prohibited"           (prefix 2)
    anything else  the router says "network unreachable"

The kernel says "host unreachable" of what is on the link and does not exist, without limit; what a router says is limited.
NoNetwork, with the reason, where the kernel does not let the test have a network.
"""

import subprocess

from .lab import HANG_S, LabError, spawn, tool

#: Rights to make networks come with a user namespace, so that no test needs root.
_HOLD = "echo ready; exec sleep infinity"
_LINK = """
ip link set lo up
ip link add near type veth peer name far
ip address add 192.0.2.1/24 dev near
ip -6 address add 2001:db8:0::1/64 dev near nodad
ip link set near up
sysctl -qw net.ipv4.icmp_ratemask=0
ip ntable change name arp_cache dev near retrans 20
ip ntable change name ndisc_cache dev near retrans 20
"""
_ROUTER = """
ip link set lo up
ip address add 192.0.2.2/24 dev far
ip -6 address add 2001:db8:0::2/64 dev far nodad
ip link set far up
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
ip route add local 198.51.100.0/24 dev lo
ip route add prohibit 203.0.113.0/24
ip -6 route add local 2001:db8:1::/64 dev lo
ip -6 route add prohibit 2001:db8:2::/64
"""
_ROUTES = """
ip route add default via 192.0.2.2
ip -6 route add default via 2001:db8:0::2
"""


class NoNetwork(LabError):
    """The kernel does not let this user have a network of its own."""


class RefusingNetwork:
    def __init__(self, datagram_pings=False):
        """datagram_pings: datagram sockets for pings are allowed, which is not the kernel's default."""
        for name, package in (("ip", "iproute2"), ("unshare", "util-linux"), ("nsenter", "util-linux"),
                              ("sysctl", "procps")):
            tool(name, package)
        self._held = []
        try:
            self._near = self._hold([tool("unshare", "util-linux"), "--user", "--map-root-user", "--net"])
            far = self._hold(self._enter(self._near) + ["unshare", "--net"])
            allow = "sysctl -qw net.ipv4.ping_group_range='0 0'\n" if datagram_pings else ""
            self._do(self._near, _LINK + f"ip link set far netns {far}\n" + allow)
            self._do(far, _ROUTER)
            self._do(self._near, _ROUTES)
        except BaseException:
            self.stop()
            raise

    def _hold(self, command):
        """Starts what keeps a network alive; its process id."""
        process = spawn(command + ["sh", "-c", _HOLD], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._held.append(process)
        if process.stdout.readline() != b"ready\n":
            raise NoNetwork(process.stderr.read().decode().strip() or "no network of its own")
        return process.pid

    @staticmethod
    def _enter(pid):
        return [tool("nsenter", "util-linux"), f"--target={pid}", "--user", "--net", "--preserve-credentials", "--"]

    def _do(self, pid, script):
        done = subprocess.run(self._enter(pid) + ["sh", "-ec", script], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=HANG_S)
        if done.returncode != 0:
            raise NoNetwork(done.stderr.strip())

    def inside(self, command):
        """The command line that runs this one in the network."""
        return self._enter(self._near) + list(command)

    def stop(self):
        for process in reversed(self._held):
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
        self._held = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
