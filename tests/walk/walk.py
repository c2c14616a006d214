"""STEPS=walk scripts/chroots: an operator's way through docs/getting-started.md and docs/rollout.md on a machine with Debian's
own Cacti, and back. Run by scripts/chroots, as root.

    walk.py ROOT PACKAGES      ROOT: a minimal installation, fresh; PACKAGES: the folder with the Debian package

Into ROOT go MariaDB's server, Cacti and Spine as Debian's packages set them up (dbconfig), Cacti's installer, and devices 3, 5,
8 and 42 with a real SNMP agent; then each command of the documents, as it stands there and in their order. After each block that
switches something poller.php runs a cycle, which must be polled by the program and the driver that the document names, close its
row, keep all devices up, leave no result behind, reach every RRD file and warn of nothing. Nothing but apt has a network.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.lab import TOP, LabError, spawn, tail, tool, wait_until  # noqa: E402
from support.machine import blocks_of_markdown  # noqa: E402

STARTED, ROLLOUT = "docs/getting-started.md", "docs/rollout.md"
BACK = "## 6. Back"
DEVICES = (3, 5, 8, 42)
PORT = 1161  #: of the agent, on an address for each device
LOG = pathlib.Path("var/log/cacti/cacti.log")
CLI = "/usr/share/cacti/cli"
DEBIAN = "Debian's Spine"

#: What polls after each block of docs/rollout.md that is run, in their order; None: it switches nothing.
SWITCHED = [None, None, None,  # the figures to note
            "legacy", DEBIAN,  # stage 0, and back
            None,  # stage 1 only compares
            "event", "legacy",  # stage 2, and back
            "event", "legacy",  # stage 3, and back
            "async", "async", "event",  # stage 4: on one collector, everywhere, and back
            "event", "legacy",  # stage 5, and how to stay
            DEBIAN]  # back to Spine from any stage
AGAIN = 4  #: the way back of stage 0, after which stage 0 is entered again

_BASE = r"""
mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" &&
    exec chroot "$1" sh -c "echo ready && exec sleep infinity"
"""

#: Cacti's installer wants these writable, and the time zones of the server.
_PREPARE = f"""
for name in resource/snmp_queries resource/script_server resource/script_queries scripts; do
    chown www-data: "$(readlink -f /usr/share/cacti/site/$name)"
done
mariadb-tzinfo-to-sql --skip-write-binlog /usr/share/zoneinfo/UTC UTC | mariadb mysql
mariadb -e 'GRANT SELECT ON mysql.time_zone_name TO cacti@localhost'
runuser -u www-data -- php -q {CLI}/install_cacti.php --accept-eula --install --force --mode=1 \
    --path=rrdtool:/usr/bin/rrdtool --path=php_binary:/usr/bin/php --template=Local_Linux_Machine.xml.gz:1 \
    --template=NetSNMP_Device.xml.gz:1 --template=Generic_SNMP_Device.xml.gz:1
mariadb cacti -e "UPDATE automation_networks SET enabled = ''
    ; REPLACE INTO settings (name, value) VALUES ('automation_graphs_enabled', ''), ('automation_tree_enabled', ''),
        ('poller_type', '2'), ('path_spine', '/usr/sbin/spine'), ('log_verbosity', '3')"
for host in $(mariadb cacti -N -e 'SELECT hostname FROM host'); do
    runuser -u www-data -- php -q {CLI}/remove_device.php --ip=$host --confirm
done
"""

_DEVICE = """
mariadb cacti -e "ALTER TABLE host AUTO_INCREMENT = {id}"
cd /usr/share/cacti/cli
as="runuser -u www-data -- php -q"
$as add_device.php --description="device {id}" --ip=127.0.0.{id} --template=0 --version=2 --community=public --port={port} --avail=snmp
query=$(mariadb cacti -N -e "SELECT id FROM snmp_query WHERE name = 'SNMP - Interface Statistics'")
$as add_data_query.php --host-id={id} --data-query-id=$query --reindex-method=1
set -- $(mariadb cacti -N -e "SELECT id, graph_template_id FROM snmp_query_graph WHERE snmp_query_id = $query AND name = 'In/Out Bits (64-bit)'")
$as add_graphs.php --host-id={id} --graph-type=ds --graph-template-id=$2 --snmp-query-id=$query --snmp-query-type-id=$1 \\
    --snmp-field=ifDescr --snmp-value=lo
"""


class Walker:
    """The machine: commands as root types them."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        unshare = tool("unshare", "util-linux")
        self.base = spawn([unshare, "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _BASE, "sh", self.root],
                          stdout=subprocess.PIPE, text=True)
        self.net = spawn([unshare, "--net", "sh", "-c", "ip link set lo up && echo ready && exec sleep infinity"],
                         stdout=subprocess.PIPE, text=True)
        for process in (self.base, self.net):
            if process.stdout.readline() != "ready\n":
                raise LabError("no mounts or no network of our own")
        self.first = pathlib.Path(f"/proc/{self.base.pid}/task/{self.base.pid}/children").read_text().split()[0]

    def end(self):
        for process in (self.base, self.net):
            process.kill()
            process.wait()

    def command(self, script, network=False):
        enter = [tool("nsenter", "util-linux"), "--target", self.first, "--mount", "--root", "--wd", "--pid"]
        if not network:
            enter.append(f"--net=/proc/{self.net.pid}/ns/net")
        return [*enter, "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
                "DEBIAN_FRONTEND=noninteractive", "bash", "-e", "-o", "pipefail", "-c", script]

    def run(self, script, network=False, timeout=600):
        done = subprocess.run(self.command(script, network), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=timeout)
        if done.returncode != 0:
            raise LabError(f"ended with {done.returncode}:\n{script}\n{tail(done.stdout, 40)}")
        return done.stdout

    def sql(self, statement):
        """Rows as lists of texts."""
        return [line.split("\t") for line in self.run(f"mariadb cacti -N -e \"{statement}\"").splitlines()]

    def install(self, *packages):
        self.run(f"apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends {' '.join(packages)}", network=True)

    # The site

    def make_site(self):
        policy = self.root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")  # no service is started
        policy.chmod(0o755)
        self.install("mariadb-server", "snmpd")
        self.server = spawn(self.command("exec mariadbd-safe --skip-networking"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: subprocess.run(self.command("mariadb-admin ping"), capture_output=True).returncode == 0,
                   "the database server", 120, pause=0.5)
        self.install("cacti", "cacti-spine", "iputils-ping", "libcap2-bin", "tzdata")
        (self.root / "etc/snmp/walk.conf").write_text("rocommunity public\n")
        addresses = " ".join(f"udp:127.0.0.{id}:{PORT}" for id in DEVICES)
        self.agent = spawn(self.command(f"exec snmpd -f -Lo -C -c /etc/snmp/walk.conf {addresses}"), stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        self.run(_PREPARE)
        for id in DEVICES:
            self.run(_DEVICE.format(id=id, port=PORT))
        found = [int(row[0]) for row in self.sql("SELECT DISTINCT host_id FROM poller_item ORDER BY host_id")]
        if found != list(DEVICES):
            raise LabError(f"items of devices {found}, not of {DEVICES}")

    # A cycle

    def files(self):
        """{RRD file: the time of its last update}."""
        return dict(line.split() for line in
                    self.run("for file in $(find /var/lib/cacti/rra -name '*.rrd'); do echo $file $(rrdtool last $file); done").splitlines())

    def cycle(self, driver):
        """One run of poller.php as cron starts it; what is wrong with it."""
        log = self.root / LOG
        before, seen = self.files(), len(log.read_text(errors="replace")) if log.exists() else 0
        newest = max(map(int, before.values()), default=0)
        wait_until(lambda: time.time() > newest + 1, "the next second, since RRD files take one row in each", 60, pause=0.1)
        self.run("runuser -u www-data -- php -q /usr/share/cacti/site/poller.php --force")
        said = log.read_text(errors="replace")[seen:]
        drivers = set(re.findall(r"STATS: .* Driver:(\w+) ", said)) or {DEBIAN}  # Cacti may start several processes
        if drivers != {driver}:
            raise LabError(f"polled by {drivers}, not by {driver}:\n{tail(said, 40)}")
        wrong = [f"{statement}: {rows}" for statement, wanted in (
            ("SELECT COUNT(*) FROM poller_time WHERE end_time = 0", "0"), ("SELECT COUNT(*) FROM poller_output", "0"),
            ("SELECT COUNT(*) FROM host WHERE status <> 3", "0")) for rows in [self.sql(statement)] if rows != [[wanted]]]
        after = self.files()
        wrong += [f"{file} was not updated" for file in after if after[file] == before.get(file)]
        wrong += [] if after else ["there is no RRD file"]
        wrong += re.findall(r".*\b(?:ERROR|FATAL)\b.*", said)
        wrong += re.findall(r".* SPINE: .*\bWARNING\b.*", said) if driver != DEBIAN else []
        if wrong:
            raise LabError("\n".join(wrong) + "\n" + tail(said, 40))
        return f"{len(after)} RRD files updated"


def runs(file):
    return [block for block in blocks_of_markdown(file) if block.mark == "run"]


def line_of(file, heading):
    return (TOP / file).read_text(encoding="utf-8").split("\n").index(heading) + 1


def show(what, said=""):
    print(f"{what}: ok", flush=True)
    for line in said.splitlines():
        print(f"    {line}", flush=True)


def step(walker, block, shown=False):
    said = walker.run(f"cd /root\n{block.text}")
    show(block, said if shown else "")


def start(walker, package):
    """docs/getting-started.md up to the first cycles; its install command with the package that scripts/package has made."""
    shutil.copy(package, walker.root / "root" / package.name)
    install = [b for b in blocks_of_markdown(STARTED) if "apt install" in b.text][0]
    show(install, walker.run(f"cd /root\nexport APT_LISTCHANGES_FRONTEND=none\n{install.text.replace('apt install', 'apt-get -q -y install')}", network=True)[-400:])
    for block in runs(STARTED):
        if block.line < line_of(STARTED, BACK):
            step(walker, block, shown="--check" in block.text)
    show("a cycle", walker.cycle("legacy"))


def roll_out(walker):
    blocks = runs(ROLLOUT)
    if len(blocks) != len(SWITCHED):
        raise LabError(f"{ROLLOUT} has {len(blocks)} blocks to run; SWITCHED knows {len(SWITCHED)}")
    order = list(range(len(blocks)))
    order.insert(order.index(AGAIN) + 1, AGAIN - 1)
    for n in order:
        step(walker, blocks[n])
        if SWITCHED[n]:
            show(f"    a cycle by {SWITCHED[n]}", walker.cycle(SWITCHED[n]))
    show("metrics and reports", walker.run("ls -l /var/lib/prometheus/node-exporter/spine_*.prom /var/log/cacti/spine_*.report.json"))


def leave(walker):
    """The last section of docs/getting-started.md: back, and the package removed."""
    for block in runs(STARTED):
        if block.line > line_of(STARTED, BACK):
            step(walker, block)
    show("    a cycle", walker.cycle(DEBIAN))
    purge = [b for b in blocks_of_markdown(STARTED) if "apt purge" in b.text][0]
    walker.run(purge.text.replace("apt purge", "apt-get -q -y purge"))
    walker.run("! command -v spine-libevent && ! find /etc /usr/share -name '*spine-libevent*' | grep . && test -s /etc/cacti/spine.conf")
    show(purge)
    show("    a cycle", walker.cycle(DEBIAN))


def main():
    root, packages = sys.argv[1:]
    package, = [p for p in pathlib.Path(packages).glob("*.deb") if "dbgsym" not in p.name]
    walker = Walker(root)
    try:
        walker.make_site()
        show("Debian's Cacti", walker.run("dpkg-query -W cacti cacti-spine mariadb-server"))
        show("    a cycle", walker.cycle(DEBIAN))
        start(walker, package)
        roll_out(walker)
        leave(walker)
    finally:
        walker.end()
    print("The whole way and back: all right.")


if __name__ == "__main__":
    try:
        main()
    except LabError as error:
        sys.exit(f"walk: {error}")
