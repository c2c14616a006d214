"""The programs that poller.php starts: ours in its three ways, and Debian's spine."""

import pathlib
import shutil
import subprocess

import installed
from support.lab import tool

GATES = {"legacy": "Event_Loop off\n", "event": "Event_Loop on\n", "async": "Event_Loop on\nAsync_SNMP on\n", "Debian": ""}
NAMES = tuple(GATES)


class Poller:
    """A copy of a program with its spine.conf, readable for www-data; `pings`: with the capability to send ICMP."""

    def __init__(self, name, program, work, pings=True):
        self.name = name
        self.pings = pings
        directory = pathlib.Path(work) / f"{name}{'' if pings else '-without-icmp'}"
        directory.mkdir(parents=True)
        self.program = directory / "spine"
        shutil.copyfile(program, self.program)
        self.program.chmod(0o755)
        if pings:
            subprocess.run([tool("setcap", "libcap2-bin"), "cap_net_raw+ep", self.program], check=True)
        self.conf = directory / "spine.conf"
        self.conf.write_text(f"DB_Host {installed.SOCKET}\nDB_Database {installed.DATABASE}\nDB_User {installed.USER}\n"
                             f"DB_Pass {installed.PASSWORD}\nDB_Port 3306\n{GATES[name]}")
        shutil.chown(self.conf, "root", installed.OWNER)
        self.conf.chmod(0o640)

    def choose(self, cacti):
        """As on Cacti's page of settings."""
        cacti.settings(path_spine=self.program, path_spine_config=self.conf, poller_type=2)


def make(work, spine, reference, pings=True):
    return {name: Poller(name, reference if name == "Debian" else spine, work, pings) for name in NAMES}
