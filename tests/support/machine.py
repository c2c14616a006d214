"""An operator's machine, for the commands of the documents: this machine's files with a Cacti site on them, in mounts
of its own.

    with Machine(work, site, binary) as machine:
        done = machine.run("spine -R -S -f 42 -l 42")

What a command writes to /etc, /usr, /var and /root is in memory and lost with the machine; /tmp is that of the system.
There are /usr/sbin/spine and spine-libevent, as the packages install them, Cacti's files in /usr/share/cacti/site,
/etc/cacti/spine.conf for them, root's ~/.my.cnf for the site's database, and /var/log/cacti/cacti.log. Whatever is started there ends with it. NoMachine, with the reason, where the kernel does not let us have one.
"""

import os
import pathlib
import re
import subprocess

from . import cacti, phpsite
from .lab import LabError, TOP, file_text, spawn, tool
from .poller import Poller

LOG = "/var/log/cacti/cacti.log"
WEBROOT = "/usr/share/cacti/site"
SOCKET = "/var/lib/mysql/mysql.sock"

#: $1 is the folder for what is written, $2 the folder with the files to put in, $3 the program, $4 the unpacked package
#: of Cacti, $5 the folder of the database server.
_MOUNT = r"""
set -e
mount -t tmpfs none "$1"
for place in etc usr var root; do
    mkdir -p "$1/$place.new" "$1/$place.work"
    more=
    [ $place != usr ] || more=$4/usr:
    mount -t overlay -o "lowerdir=$more/$place,upperdir=$1/$place.new,workdir=$1/$place.work" overlay "/$place"
done
mkdir -p /var/lib/mysql
mount --bind "$5" /var/lib/mysql
install "$3" "$1/spine"
rm -rf /etc/spine.conf /etc/cacti /usr/sbin/spine /usr/sbin/spine-libevent
install -D -m 0640 -g www-data "$2/spine.conf" /etc/cacti/spine.conf
install -m 0600 "$2/my.cnf" /root/.my.cnf
for name in spine spine-libevent; do
    install "$1/spine" "/usr/sbin/$name"
    setcap cap_net_raw+ep "/usr/sbin/$name"
done
rm -f /usr/share/cacti/site/include/config.php
cp "$2/config.php" /usr/share/cacti/site/include/config.php
rm -rf /var/log/cacti
install -d -o www-data -g www-data /var/log/cacti
install -o www-data -g www-data -m 0640 /dev/null /var/log/cacti/cacti.log
echo ready
exec sleep infinity
"""


class NoMachine(LabError):
    """The kernel does not let this user have mounts of its own."""


class Machine:
    def __init__(self, work, site, binary):
        self.work = pathlib.Path(work) / "machine"
        self.work.mkdir()
        poller = Poller(binary, site, self.work)
        poller.write_conf(poller.conf_text(DB_Host=SOCKET))
        (self.work / "my.cnf").write_text(f"[client]\nsocket={SOCKET}\nuser={cacti.USER}\npassword={cacti.PASSWORD}\n")
        (self.work / "config.php").write_text(phpsite.config(SOCKET))
        site.settings(path_cactilog=LOG, path_webroot=WEBROOT)
        self.binary = binary
        self.database = site.server.directory
        self.holder = None

    def __enter__(self):
        written = self.work / "written"
        written.mkdir()
        unshare = [tool("unshare", "util-linux"), "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        folders = [written, self.work, self.binary.path, cacti.package_tree(), self.database]
        self.holder = spawn([*unshare, "sh", "-c", _MOUNT, "sh", *folders], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, cwd="/")
        said = self.holder.stdout.readline()
        if said != "ready\n":
            said += self.holder.stdout.read()
            self.__exit__()
            raise NoMachine(f"no mounts of our own: {said.strip()}")
        self.first = file_text(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").split()[0]
        return self

    def __exit__(self, *exc):
        if self.holder.poll() is None:
            self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()

    def run(self, script, timeout=120):
        """Runs shell commands there, as root at a prompt would, up to the first that fails."""
        variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
                     "LC_ALL": "C.UTF-8"}
        variables |= {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
        enter = [tool("nsenter", "util-linux"), "--target", self.first, "--mount", "--root", "--wd", "--pid"]
        return subprocess.run([*enter, "bash", "-e", "-o", "pipefail", "-c", f"cd {TOP}\n{script}"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, env=variables)


#: What stands above a block of a document: it is run here, another file runs it, or it is no command.
MARKS = re.compile(r"(run)|tested by (\S+)|(shown)")


class Block:
    """A block of a document: its text, where it is, and its mark (None where it has none)."""

    def __init__(self, file, line, mark, text):
        self.file, self.line, self.mark, self.text = file, line, mark, text

    def __repr__(self):
        return f"{self.file}:{self.line}"


def blocks_of_markdown(file):
    """Indented and fenced blocks; `<!-- MARK -->` above one is its mark."""
    lines = (TOP / file).read_text(encoding="utf-8").split("\n")
    mark, n = None, 0
    while n < len(lines):
        line = lines[n]
        comment = re.fullmatch(r"<!-- (.+) -->", line)
        after_blank = n == 0 or not lines[n - 1].strip()
        if comment:
            mark = comment[1]
        elif line.startswith("```"):
            end = lines.index("```", n + 1)
            yield Block(file, n + 1, mark, "\n".join(lines[n + 1:end]))
            mark, n = None, end
        elif line.startswith("    ") and line.strip() and after_blank:
            end = n
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            yield Block(file, n + 1, mark, "\n".join(text[4:] for text in lines[n:end]).rstrip())
            mark, n = None, end - 1
        elif line.strip():
            mark = None
        n += 1


def blocks_of_manual(file):
    """What stands between .EX and .EE; a comment above it is its mark."""
    mark, text, start = None, None, 0
    for n, line in enumerate((TOP / file).read_text(encoding="utf-8").split("\n"), 1):
        if line == ".EX":
            text, start = [], n + 1
        elif line == ".EE":
            yield Block(file, start, mark, "\n".join(text))
            mark, text = None, None
        elif text is not None:
            text.append(re.sub(r"\\(\(aq|-|&)", lambda found: {"(aq": "'", "-": "-", "&": ""}[found[1]], line))
        elif line.startswith('.\\" '):
            mark = line[4:]
        else:
            mark = None
