"""A Galera cluster of MariaDB servers on loopback: three processes that have the same tables.

    with Cluster(work / "cluster", template, 3) as cluster:
        site = cacti.Site(cluster.nodes[1], work)
        cluster.nodes[0].kill()

A founder of one node, whose data directory all nodes are copies of, gives the tables a history. So what a node lacks when it joins
is sent by Galera itself, and the script by which servers transfer a whole state has nothing to transfer.
"""

import contextlib
import os
import pathlib
import socket

import pymysql

from .cacti import DATABASE
from .lab import LabError, free_port, wait_until
from .mariadb import MariaDB

PROVIDER = pathlib.Path("/usr/lib/galera/libgalera_smm.so")

#: Called by the servers, donor and joiner: the donor says from which position on the joiner is told the rest.
TRANSFER = """#!/bin/sh
set -eu
while [ $# -gt 0 ]; do
    case $1 in
    --role) role=$2 ;;
    --address) address=$2 ;;
    --gtid) gtid=$2 ;;
    esac
    shift
done
fifo=$CLUSTER_DIRECTORY/${address##*:}.fifo
if [ "$role" = donor ]; then
    cat >/dev/null # from 11.8 on a name and a password
    echo "$gtid" >"$fifo"
    echo "done $gtid"
else
    mkfifo "$fifo"
    echo "ready $address"
    read -r gtid <"$fifo"
    rm "$fifo"
    echo "$gtid"
fi
"""


class Node(MariaDB):
    """`peers`: the ports of all nodes' group communication; empty: it begins a cluster."""

    def __init__(self, directory, template, port=None, peers=()):
        super().__init__(directory, template=template)
        self.port_of_group = port or free_port(socket.SOCK_STREAM)
        self.port_of_transfer = free_port(socket.SOCK_STREAM)
        self.peers = peers

    def arguments(self):
        address, transfer = f"127.0.0.1:{self.port_of_group}", f"127.0.0.1:{self.port_of_transfer}"
        options = [f"gmcast.listen_addr=tcp://{address}", f"ist.recv_addr={transfer}", f"gcache.dir={self.datadir}", "gcache.size=16M"]
        return [*super().arguments(), "--wsrep-on=ON", f"--wsrep-provider={PROVIDER}", f"--wsrep-node-address={address}",
                "--wsrep-cluster-address=gcomm://" + ",".join(f"127.0.0.1:{port}" for port in self.peers),
                "--wsrep-sst-method=nothing", f"--wsrep-sst-receive-address={transfer}",
                f"--wsrep-provider-options={';'.join(options)}", "--binlog-format=ROW", "--innodb-autoinc-lock-mode=2",
                "--loose-plugin-wsrep-provider=OFF"]  # 11.8's, which does not let isolate() change an option

    def environment(self):
        here = self.directory.parent
        return {**os.environ, "PATH": f"{here}:{os.environ['PATH']}", "CLUSTER_DIRECTORY": str(here)}

    def status(self, name):
        """None where it does not answer, as while it joins."""
        try:
            with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
                cursor.execute(f"SHOW STATUS LIKE 'wsrep_{name}'")
                rows = cursor.fetchall()
        except pymysql.err.OperationalError:
            return None
        return rows[0]["Value"] if rows else None

    def isolate(self):
        """From now on nothing passes between it and the others."""
        self.sql("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'")

    def wait_until_one_of(self, count):
        wait_until(lambda: self.status("local_state_comment") == "Synced" and self.status("cluster_size") == str(count),
                   f"a node to be one of {count}")


class Cluster:
    """nodes[0] begins it; the first `joined` nodes are in it when it is entered. All of Cacti's tables are InnoDB's, which Galera
    replicates."""

    def __init__(self, directory, template, count, joined=None):
        if not PROVIDER.exists():
            raise LabError(f"no {PROVIDER}: the package galera-4")
        directory.mkdir()
        script = directory / "wsrep_sst_nothing"
        script.write_text(TRANSFER, encoding="ascii")
        script.chmod(0o755)
        founder = _found(Node(directory / "founder", template))
        ports = [free_port(socket.SOCK_STREAM) for _ in range(count)]
        self.nodes = [Node(directory / f"node{n}", founder, port, ports if n else ()) for n, port in enumerate(ports)]
        for node in self.nodes[1:]:
            _edit(node.datadir / "grastate.dat", "safe_to_bootstrap: 1", "safe_to_bootstrap: 0")
        self.joined = count if joined is None else joined

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for node in self.nodes:
                stack.callback(node.kill)
            for n, node in enumerate(self.nodes[:self.joined], 1):
                node.start()
                node.wait_until_one_of(n)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc):
        return self._stack.__exit__(*exc)

    @property
    def hosts(self):
        return ",".join(str(node.socket) for node in self.nodes)


def _found(node):
    """Its data directory, in order and with a position in the cluster's history."""
    with node:
        node.wait_until_one_of(1)
        for row in node.sql("SELECT table_name AS t FROM information_schema.tables WHERE table_schema = %s AND engine <> 'InnoDB'",
                            DATABASE):
            node.sql(f"ALTER TABLE `{DATABASE}`.`{row['t']}` ENGINE = InnoDB")
        node.sql(f"UPDATE `{DATABASE}`.version SET cacti = CONCAT(cacti, '')")
        node.stop()
    return node.datadir


def _edit(path, before, after):
    text = path.read_text(encoding="ascii")
    if before not in text:
        raise LabError(f"{path} does not have '{before}': {text}")
    path.write_text(text.replace(before, after), encoding="ascii")
