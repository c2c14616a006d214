#!/bin/sh
# MariaDB 10.11 with Galera 4 (Debian 12: mariadb-server-core, libmariadb3, libmariadb-dev 1:10.11.19-0+deb12u1,
# galera-4 26.4.23-0+deb12u1)
#
# Behaviour: a node loses the rest of its cluster while an INSERT waits to be certified.  As text it fails with 1180 (or
# 1047, where the loss is noticed first), as it must.  The same INSERT by array binding (mysql_stmt_execute with STMT_ATTR_ARRAY_SIZE) succeeds, with the number of rows
# affected, and no node has the rows.
# Output seen: see the last lines.
. "$(dirname "$0")/common.sh"
install mariadb-server-core=1:10.11.19-0+deb12u1 libmariadb3=1:10.11.19-0+deb12u1 libmariadb-dev=1:10.11.19-0+deb12u1 \
    galera-4=26.4.23-0+deb12u1

# The state of all nodes is a copy of one directory, so a joining node is sent nothing but what has happened since.
cat >"$work/wsrep_sst_nothing" <<'SH'
#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in --role) role=$2 ;; --gtid) gtid=$2 ;; --address) address=$2 ;; esac
    shift
done
if [ "$role" = donor ]; then
    echo "$gtid" >"$CLUSTER/fifo" && echo "done $gtid"
else
    echo "ready $address" && read -r gtid <"$CLUSTER/fifo" && echo "$gtid"
fi
SH
chmod +x "$work/wsrep_sst_nothing"
mkfifo "$work/fifo"
export CLUSTER="$work" PATH="$work:$PATH"
provider=$work/root/usr/lib/galera/libgalera_smm.so
python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*(x.getsockname()[1] for x in s))' >"$work/ports"
read -r group_a group_b transfer_a transfer_b <"$work/ports"

# node NAME PORT TRANSFER-PORT PEERS: on the socket $work/NAME.sock.
node() {
    "$work/root/usr/sbin/mariadbd" --no-defaults --datadir="$work/$1" --socket="$work/$1.sock" --skip-networking --skip-grant-tables \
        --pid-file="$work/$1.pid" --tmpdir="$work" --user="$(id -un)" --lc-messages-dir="$work/root/usr/share/mysql" --binlog-format=ROW \
        --innodb-autoinc-lock-mode=2 --wsrep-on=ON --wsrep-provider="$provider" --wsrep-cluster-address="gcomm://$4" \
        --wsrep-node-address="127.0.0.1:$2" --wsrep-sst-method=nothing --wsrep-sst-receive-address="127.0.0.1:$3" \
        --wsrep-provider-options="gmcast.listen_addr=tcp://127.0.0.1:$2;ist.recv_addr=127.0.0.1:$3;gcache.dir=$work/$1;gcache.size=16M;pc.weight=$5" \
        >>"$work/$1.log" 2>&1 &
    nodes="$nodes $!"
}
nodes=
trap 'kill $nodes 2>/dev/null; wait; rm -rf "$work"' EXIT

cat >"$work/client.c" <<'C'
#include <mysql.h>
#include <stdio.h>
#include <string.h>

/* client SOCKET STATEMENT...: prints errors and first fields; "array" inserts 100 rows by array binding. */
static int by_array(MYSQL *m)
{
    static int numbers[100];
    unsigned rows = 100;
    MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_LONG, .buffer = numbers};
    MYSQL_STMT *s = mysql_stmt_init(m);
    const char *sql = "INSERT INTO t.x VALUES (?)";
    for (unsigned i = 0; i < rows; i++)
        numbers[i] = (int)i + 1000;
    mysql_stmt_prepare(s, sql, strlen(sql));
    mysql_stmt_attr_set(s, STMT_ATTR_ARRAY_SIZE, &rows);
    mysql_stmt_bind_param(s, &bind);
    int failed = mysql_stmt_execute(s);
    printf("array: error %u, rows affected %lld\n", mysql_stmt_errno(s), failed ? -1 : (long long)mysql_stmt_affected_rows(s));
    mysql_stmt_close(s);
    return 0;
}

int main(int argc, char **argv)
{
    MYSQL *m = mysql_init(NULL);
    if (!mysql_real_connect(m, NULL, "root", "", NULL, 0, argv[1], 0))
        return 1;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "array") == 0) {
            by_array(m);
            continue;
        }
        int failed = mysql_query(m, argv[i]);
        MYSQL_RES *r = failed ? NULL : mysql_store_result(m);
        MYSQL_ROW row = r ? mysql_fetch_row(r) : NULL;
        if (failed)
            printf("text: error %u\n", mysql_errno(m));
        else if (row)
            puts(row[mysql_num_fields(r) - 1]);
        mysql_free_result(r);
    }
    mysql_close(m);
    return 0;
}
C
lib=$(dirname "$(find "$work/root" -name 'libmariadb.so.3')")
gcc -I"$work/root/usr/include/mariadb" -o "$work/client" "$work/client.c" "$lib/libmariadb.so.3"
says() {
    LD_LIBRARY_PATH="$lib" "$work/client" "$work/$1.sock" "$2" ${3:+"$3"}
}

# until_says NODE STATEMENT TEXT
until_says() {
    tries=0
    until [ "$(says "$1" "$2" 2>/dev/null)" = "$3" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || {
            tail -n 20 "$work"/*.log
            exit 2
        }
        sleep 0.2
    done
}

mkdir "$work/founder"
printf '%s;\n' 'CREATE DATABASE mysql' 'CREATE DATABASE t' 'CREATE TABLE t.x (n INT PRIMARY KEY) ENGINE=InnoDB' |
    "$work/root/usr/sbin/mariadbd" --no-defaults --bootstrap --datadir="$work/founder" --user="$(id -un)" \
        --lc-messages-dir="$work/root/usr/share/mysql" >"$work/boot.log" 2>&1
node founder "$group_a" "$transfer_a" "" 1
until_says founder "SHOW STATUS LIKE 'wsrep_local_state_comment'" Synced
says founder "INSERT INTO t.x VALUES (1)"
kill $nodes
wait
nodes=

seen=
for way in text array; do
    rm -rf "$work/a" "$work/b" && cp -a "$work/founder" "$work/a" && cp -a "$work/founder" "$work/b"
    sed -i 's/safe_to_bootstrap: 1/safe_to_bootstrap: 0/' "$work/b/grastate.dat"
    node a "$group_a" "$transfer_a" "" 1
    until_says a "SHOW STATUS LIKE 'wsrep_local_state_comment'" Synced
    node b "$group_b" "$transfer_b" "127.0.0.1:$group_a" 3 # is the cluster without a
    until_says b "SHOW STATUS LIKE 'wsrep_local_state_comment'" Synced
    statement=array
    [ "$way" = array ] || statement="INSERT INTO t.x VALUES (1000), (1001), (1002)"
    seen="$seen$(says a "SET GLOBAL wsrep_provider_options='gmcast.isolate=1'" "$statement")
"
    until_says b "SHOW STATUS LIKE 'wsrep_cluster_size'" 1
    seen="$seen  rows of it on the other node: $(says b "SELECT COUNT(*) FROM t.x WHERE n >= 1000"), on this one: $(
        says a "SET SESSION wsrep_dirty_reads=1" "SELECT COUNT(*) FROM t.x WHERE n >= 1000")
"
    kill $nodes
    wait
    nodes=
done
expect "$(echo "$seen" | grep . | sed 's/1180/1047/')" "text: error 1047
  rows of it on the other node: 0, on this one: 0
array: error 0, rows affected 100
  rows of it on the other node: 0, on this one: 0"
