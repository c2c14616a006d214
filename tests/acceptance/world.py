"""The devices that Cacti polls, made by its own command-line scripts, and what their data sources must hold.

Two real net-snmp agents (v2c and v3 at one snmpd), simulated agents whose counters say when they were read, a device that
never answers, one that is only pinged, and one that only has scripts.
"""

import contextlib
import dataclasses
import subprocess

import installed
from support.agent import FakeAgent
from support.lab import SilentDevice, tool, wait_until
from support.snmpd import Snmpd

REAL = ("127.0.0.1", "127.0.0.2")
SWITCH, SENSORS, PINGED, SPARE = "127.1.0.1", "127.1.0.2", "127.1.0.3", "127.1.0.4"
DEAD, SCRIPTED = "127.1.0.5", "127.0.0.3"
INTERFACES = 4
USER, AUTH, PRIV = "acceptance", "authentication phrase", "privacy phrase"
CONSTANTS = {1: ("int", 42), 2: ("int", 7), 3: ("gauge32", 4294967295), 4: ("string", "12.5"), 5: ("timeticks", 8640000)}
CLOSED_PORT = 9  #: of UDP: the kernel says so, which shows that the host is there
AVERAGES = [f".1.3.6.1.4.1.2021.11.{n}.0" for n in (7, 8, 9, 10, 11)]
UPTIME = ".1.3.6.1.2.1.1.3.0"
COUNTER = 2  #: of data_source_type_id
SENSOR = ".1.3.6.1.4.1.32473.7"

#: Columns of ifTable and ifXTable whose counters Cacti's templates ask for: (32 bits, 64 bits).
_COUNTERS32 = [f".1.3.6.1.2.1.2.2.1.{n}" for n in (10, 11, 12, 13, 14, 16, 17, 18, 19, 20)]
_COUNTERS64 = [f".1.3.6.1.2.1.31.1.1.1.{n}" for n in (6, 7, 8, 9, 10, 11, 12, 13)]

#: What a script prints, and the values of its data sources; the columns "input string" of two of Cacti's data input methods.
SCRIPTS = {"Unix - Get Load Average": ("/bin/echo 1min:0.25 5min:0.5 10min:0.75",
                                       {"load_1min": "0.25", "load_5min": "0.5", "load_15min": "0.75"}),
           "Unix - Get Logged In Users": ("/bin/echo 17", {"users": "17"})}
DISK_UNIT = 4096
DISK = {"hdd_total": 1000, "hdd_used": 250}


def factor(oid):
    """By how much a simulated counter grows in a hundredth of a second: another for each object."""
    arcs = [int(arc) for arc in oid.strip(".").split(".")]
    return arcs[-1] * 100 + arcs[-2] + (50 if ".31.1.1.1." in oid else 0)


def _system(name):
    """What Cacti and Spine ask of every agent; Debian's spine leaves out a device that lacks one of these."""
    return [f'object .1.3.6.1.2.1.1.1.0 string "simulated {name}"', "object .1.3.6.1.2.1.1.2.0 oid .1.3.6.1.4.1.32473.1",
            "object .1.3.6.1.2.1.1.3.0 timeticks @uptime", "object .1.3.6.1.2.1.1.4.0 string nobody",
            f"object .1.3.6.1.2.1.1.5.0 string {name}", "object .1.3.6.1.2.1.1.6.0 string nowhere",
            "object .1.3.6.1.6.3.10.2.1.3.0 int @uptime"]


def _interface(i):
    table = {"1": f"int {i}", "2": f"string port{i}", "3": "int 6", "4": "int 1500", "5": "gauge32 1000000000",
             "6": f"hex 02 00 00 00 00 0{i}", "7": "int 1", "8": "int 1"}
    lines = [f"object .1.3.6.1.2.1.2.2.1.{column}.{i} {value}" for column, value in table.items()]
    lines += [f"object .1.3.6.1.2.1.31.1.1.1.1.{i} string port{i}", f"object .1.3.6.1.2.1.31.1.1.1.15.{i} gauge32 1000",
              f"object .1.3.6.1.2.1.31.1.1.1.18.{i} string alias{i}"]
    lines += [f"object {c}.{i} counter32 @uptime*{factor(f'{c}.{i}')}" for c in _COUNTERS32]
    return lines + [f"object {c}.{i} counter64 @uptime*{factor(f'{c}.{i}')}" for c in _COUNTERS64]


def _switch():
    lines = [*_system("switch"), f"object .1.3.6.1.2.1.2.1.0 int {INTERFACES}"]
    for i in range(1, INTERFACES + 1):
        lines += _interface(i)
    storage = {"1": "int 1", "2": "oid .1.3.6.1.2.1.25.2.1.4", "3": "string /data", "4": f"int {DISK_UNIT}",
               "5": f"int {DISK['hdd_total']}", "6": f"int {DISK['hdd_used']}", "7": "counter32 0"}
    lines += [f"object .1.3.6.1.2.1.25.2.3.1.{column}.1 {value}" for column, value in storage.items()]
    return lines


def _sensors():
    return [*_system("sensors"), *(f"object {SENSOR}.{n}.0 {kind} {value}" for n, (kind, value) in CONSTANTS.items())]


def specification():
    return "\n".join(["set switch", *_switch(), "end", "set sensors", *_sensors(), "end", f"agent {SWITCH} set=switch",
                      f"agent {SENSORS} set=sensors", f"agent {SPARE} set=sensors"])


@dataclasses.dataclass(frozen=True)
class Source:
    """One data source of an RRD file, and what may be stored for it."""

    file: str
    name: str
    device: int
    kind: str  #: "exact": always `value`; "ticks": a counter of a simulated agent; "count": of the real one; "live": a number
    value: str = ""
    counts: bool = False  #: a counter, whose rate is stored
    factor: int = 0
    oid: str = ""


class World:
    def __init__(self, cacti):
        self.cacti = cacti
        self.devices = {}  #: {name: id}
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        work = self.cacti.work
        extra = (f'createUser {USER} SHA "{AUTH}" AES "{PRIV}"\nrouser {USER} priv\n')
        self.snmpd = self._stack.enter_context(Snmpd(work / "snmpd", addresses=REAL, extra=extra))
        self.farm = self._stack.enter_context(FakeAgent(specification()))
        self.silent = self._stack.enter_context(SilentDevice(DEAD))
        self.mute = self._stack.enter_context(SilentDevice(PINGED))
        return self

    def __exit__(self, *exc):
        self._stack.close()

    def build(self):
        """Makes everything by Cacti's scripts."""
        for name, (text, _) in SCRIPTS.items():
            self.cacti.sql("UPDATE data_input SET input_string = %s WHERE name = %s", text, name)
        self._remove_all()
        self._real()
        self._simulated()
        self._others()
        self.wait_for_averages()

    def wait_for_averages(self):
        """The real agent measures for a while before it has them."""
        wait_until(lambda: "such" not in " ".join(self._get(f"{REAL[0]}:{self.snmpd.port}", AVERAGES)).lower(),
                   "the agent's averages", 120, pause=1)

    def _remove_all(self):
        """Cacti's installer makes a device of this machine."""
        for row in self.cacti.sql("SELECT hostname FROM host"):
            self.cacti.cli("remove_device.php", f"--ip={row['hostname']}", "--confirm")
        self.cacti.settings(automation_graphs_enabled="", automation_tree_enabled="")
        self.cacti.sql("UPDATE automation_networks SET enabled = ''")

    def _add(self, name, ip, template, **options):
        number = self.cacti.id_of("host_template", template) if template else 0
        self.devices[name] = self.cacti.add_device(description=name, ip=ip, template=number, **options)
        return self.devices[name]

    def _real(self):
        c = self.cacti
        device = self._add("real v2c", REAL[0], "Net-SNMP Device", version=2, community=self.snmpd.community,
                           port=self.snmpd.port, avail="snmp")
        c.add_data_query(device, "SNMP - Interface Statistics", "uptime")
        c.add_data_query(device, "SNMP - Get Mounted Partitions", "uptime")
        c.add_query_graph(device, "SNMP - Interface Statistics", "In/Out Bits (64-bit)", "ifDescr", "lo")
        c.add_query_graph(device, "SNMP - Interface Statistics", "In/Out (Unicast)", "ifDescr", "lo")
        c.add_query_graph(device, "SNMP - Get Mounted Partitions", "Disk Space", "hrStorageDescr", "Physical memory")
        for template in ("Net-SNMP - Load Average", "Net-SNMP - Memory Usage", "Net-SNMP - CPU Utilization", "Device - Uptime",
                         "Host MIB - Processes"):
            c.add_graph(device, template)
        device = self._add("real v3", REAL[1], "Generic SNMP Device", version=3, username=USER, password=AUTH,
                           authproto="SHA", privpass=PRIV, privproto="AES128", port=self.snmpd.port, avail="snmp")
        c.add_data_query(device, "SNMP - Interface Statistics", "fields")
        c.add_query_graph(device, "SNMP - Interface Statistics", "In/Out Bits (64-bit)", "ifDescr", "lo")
        for template in ("Net-SNMP - Context Switches", "Net-SNMP - Interrupts"):
            c.add_graph(device, template)

    def _simulated(self):
        c = self.cacti
        device = self._add("switch", SWITCH, "Generic SNMP Device", version=2, community="public", port=self.farm.port, avail="snmp")
        c.add_data_query(device, "SNMP - Interface Statistics", "index")
        c.add_data_query(device, "SNMP - Get Mounted Partitions", "index")
        for kind in ("In/Out Bits (64-bit)", "In/Out (Errors/Discards)", "In/Out (Unicast)"):
            for i in range(1, INTERFACES + 1):
                c.add_query_graph(device, "SNMP - Interface Statistics", kind, "ifDescr", f"port{i}")
        c.add_query_graph(device, "SNMP - Get Mounted Partitions", "Disk Space", "hrStorageDescr", "/data")
        self._add("sensors", SENSORS, "", version=2, community="public", port=self.farm.port, avail="pingsnmp",
                  ping_method="udp", ping_port=CLOSED_PORT)
        self.add_sensor_graphs("sensors")

    def add_sensor_graphs(self, name, count=len(CONSTANTS)):
        for n in list(CONSTANTS)[:count]:
            self.cacti.add_graph(self.devices[name], "SNMP - Generic OID Template", input_fields=f"oid={SENSOR}.{n}.0", force=None)

    def _others(self):
        c = self.cacti
        device = self._add("dead", DEAD, "", version=2, community="public", port=self.silent.port, avail="snmp",
                           timeout=200)
        c.add_graph(device, "SNMP - Generic OID Template", input_fields=f"oid={SENSOR}.1.0")
        self._add("pinged", PINGED, "", version=0, avail="ping", ping_method="icmp")
        device = self._add("scripts", SCRIPTED, "Local Linux Machine", version=0, avail="none")
        for template in ("Linux - Memory Usage", "Unix - Load Average", "Unix - Logged in Users", "Unix - Processes",
                         "Device - Polling Time"):
            c.add_graph(device, template)
        # From 1.2.31 on the template leaves the address to each data source, and without one the script is given none.
        asked = c.value("SELECT COUNT(*) FROM data_input_data AS v JOIN data_input_fields AS f ON f.id = v.data_input_field_id "
                        "JOIN data_template_data AS d ON d.id = v.data_template_data_id "
                        "WHERE d.local_data_id = 0 AND d.name LIKE '%Ping Host' AND f.type_code = 'hostname' AND v.t_value = 'on'")
        c.add_graph(device, "Unix - Ping Latency", **({"input_fields": f"ip={SCRIPTED}"} if asked else {}))

    # What happens

    def grow(self):
        """The switch gets one interface more."""
        new = INTERFACES + 1
        self._change("set grown", "use switch", f"object .1.3.6.1.2.1.2.1.0 int {new}", *_interface(new), "end",
                     f"agent {SWITCH} set=grown uptime={self.ticks()}")

    def recover(self):
        """The switch is as it was built."""
        self.delay(0)

    def delay(self, milliseconds):
        """By how much the switch's answers are late."""
        self._change(f"agent {SWITCH} set=switch uptime={self.ticks()}" + (f" delay={milliseconds}" if milliseconds else ""))

    def patience(self, milliseconds):
        """How long Cacti waits for an answer of the switch."""
        self.cacti.cli("change_device.php", f"--id={self.devices['switch']}", f"--ip={SWITCH}", f"--timeout={milliseconds}")

    def _change(self, *lines):
        self.farm.send("\n".join(lines))

    def add_spare(self):
        self._add("spare", SPARE, "", version=2, community="public", port=self.farm.port, avail="snmp")
        self.add_sensor_graphs("spare", 2)

    # What must come out

    def sources(self):
        """{(file, data source): Source} of the devices that are polled."""
        rows = self.cacti.sql(
            "SELECT r.local_data_id, r.data_source_name, r.data_source_type_id, l.host_id, i.action, i.arg1, i.rrd_name, "
            "i.rrd_path, n.name AS input FROM data_template_rrd AS r JOIN data_local AS l ON l.id = r.local_data_id "
            "JOIN poller_item AS i ON i.local_data_id = l.id AND i.rrd_name IN ('', r.data_source_name) "
            "JOIN data_template_data AS d ON d.local_data_id = l.id JOIN data_input AS n ON n.id = d.data_input_id "
            "JOIN host AS h ON h.id = l.host_id WHERE h.disabled = '' AND h.id != %s",
            self.devices["dead"])
        return {(s.file, s.name): s for s in map(self._source, rows)}

    def _source(self, row):
        device = {v: k for k, v in self.devices.items()}[row["host_id"]]
        name, oid = row["data_source_name"], row["arg1"]
        common = {"file": row["rrd_path"].replace("<path_rra>", f"{installed.ROOT}/rra"), "name": name,
                  "device": row["host_id"], "oid": oid, "counts": row["data_source_type_id"] == COUNTER}
        if oid.startswith(SENSOR):
            return Source(kind="exact", value=str(CONSTANTS[int(oid.split(".")[-2])][1]), **common)
        if row["input"] in SCRIPTS:
            return Source(kind="exact", value=SCRIPTS[row["input"]][1][name], **common)
        if device == "switch" and row["action"] == 2:
            return Source(kind="exact", value=str(DISK[name] * DISK_UNIT), **common)
        if device == "switch":
            return Source(kind="ticks", factor=factor(oid), **common)
        if device.startswith("real") and row["action"] == 0 and common["counts"]:
            return Source(kind="count", **common)
        return Source(kind="live", **common)

    def ticks(self):
        """The clock of the simulated agents, which began together."""
        return int(self._get(f"{SPARE}:{self.farm.port}", [UPTIME])[0])

    def counts(self):
        """{(device, object): value} of the counters of the real agent that Cacti stores."""
        keys = sorted({(s.device, s.oid) for s in self.sources().values() if s.kind == "count"})
        values = self._get(f"{REAL[0]}:{self.snmpd.port}", [oid for _, oid in keys])
        return dict(zip(keys, map(int, values)))

    def _get(self, agent, oids):
        done = subprocess.run([tool("snmpget", "snmp"), "-v2c", "-c", "public", "-m", "", "-Oqvt", agent, *oids],
                              capture_output=True, text=True, check=True)
        return done.stdout.split()
