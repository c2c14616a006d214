#!/bin/sh
# MariaDB 10.11 (Debian 12: mariadb-server-core 1:10.11.19-0+deb12u1)
#
# Behaviour: FROM_UNIXTIME() gives a date and time of the session's zone, without saying which of two
# equal ones it is.  Stored in a TIMESTAMP, which holds seconds since 1970, it is read back in that zone:
# in the hour that comes twice at the end of summer time the first one becomes the second.  What was put in
# as 1792888200 (02:30 in Berlin, still summer time) comes out as 1792891800, an hour later.  With the session's
# time zone '+00:00' both are exact.
# Output seen: see the last lines.
. "$(dirname "$0")/common.sh"
install mariadb-server-core=1:10.11.19-0+deb12u1
mkdir "$work/data"
cat >"$work/statements" <<SQL
CREATE DATABASE t;
CREATE TABLE t.x (id INT, ts TIMESTAMP NULL) ENGINE=Aria;
INSERT INTO t.x VALUES (1, FROM_UNIXTIME(1792888200)), (2, FROM_UNIXTIME(1792891800));
SET time_zone = '+00:00';
INSERT INTO t.x VALUES (3, FROM_UNIXTIME(1792888200)), (4, FROM_UNIXTIME(1792891800));
SELECT id, UNIX_TIMESTAMP(ts) FROM t.x ORDER BY id INTO OUTFILE '$work/seen';
SQL
TZ=Europe/Berlin "$work/root/usr/sbin/mariadbd" --no-defaults --bootstrap --datadir="$work/data" --user="$(id -un)" \
    --lc-messages-dir="$work/root/usr/share/mysql" <"$work/statements" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 2
}
expect "$(tr '\t' ' ' <"$work/seen")" "1 1792891800
2 1792891800
3 1792888200
4 1792891800"
