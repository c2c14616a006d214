"""A real net-snmp agent on loopback ports, with its own configuration and state directory.

    with Snmpd(work / "snmpd", objects={".1.3.6.1.4.1.8072.9999.9999.1": ("integer", 42)}) as agent:
        ... agent.port ...
"""

import os
import subprocess

from .lab import Server, free_port, tool

#: Under this OID net-snmp reserves room for experiments; `objects` of the tests live there.
PLAYPEN = ".1.3.6.1.4.1.8072.9999.9999"


class Snmpd(Server):
    """`objects` maps OIDs to (type, value) with snmpd's `override` types; `extra` is more configuration text."""

    name = "snmpd"

    def __init__(self, directory, objects=None, community="public", addresses=("127.0.0.1",), extra=""):
        super().__init__(directory)
        self.objects = dict(objects or {})
        self.community = community
        self.addresses = list(addresses)
        self.extra = extra
        self.port = free_port(address=self.addresses[0])

    @property
    def _conf(self):
        return self.directory / "snmpd.conf"

    @property
    def _state(self):
        return self.directory / "state"

    def configuration(self):
        listen = ",".join(f"udp:{a}:{self.port}" for a in self.addresses)
        lines = [f"agentAddress {listen}",
                 f"rocommunity {self.community} 127.0.0.0/8",
                 "sysDescr spine lab agent",
                 "sysContact lab@localhost",
                 "sysName lab.localdomain",
                 "sysLocation on the bench",
                 "sysServices 72"]
        for oid, (kind, value) in self.objects.items():
            text = f'"{value}"' if kind == "octet_str" else value
            lines.append(f"override {oid} {kind} {text}")
        return "\n".join(lines) + "\n" + self.extra + "\n"

    def environment(self):
        return {**os.environ, "SNMP_PERSISTENT_DIR": str(self._state), "SNMPCONFPATH": str(self.directory),
                "MIBS": "", "MIBDIRS": str(self.directory)}

    def arguments(self):
        self._state.mkdir(exist_ok=True)
        self._conf.write_text(self.configuration())
        self._conf.chmod(0o600)
        return [tool("snmpd", "snmpd"), "-f", "-Lf", self.directory / "snmpd.log", "-C", "-c", self._conf,
                "-I", "-smux", "-p", self.directory / "snmpd.pid"]

    def answers(self):
        return self.get(".1.3.6.1.2.1.1.3.0") is not None

    def get(self, oid, address=None):
        """The agent's answer as net-snmp's own client prints it, None without an answer."""
        command = [tool("snmpget", "snmp"), "-v2c", "-c", self.community, "-r0", "-t0.2", "-Onqv", "-m", "",
                   f"{address or self.addresses[0]}:{self.port}", oid]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env=self.environment())
        return done.stdout.strip() if done.returncode == 0 else None
