#!/bin/sh
# MariaDB 11.8 (Debian 13: mariadb-server-core 1:11.8.9+ds-0+deb13u1) beside 10.11 (Debian 12)
#
# Behaviour: FROM_UNIXTIME() gives a TIMESTAMP, which holds seconds since 1970, and no longer a DATETIME.  Two moments of the
# hour that comes twice at the end of summer time print the same text and are not equal, and both are stored exactly; in 10.11
# they are equal, and the first is stored an hour late (mariadb-from-unixtime-in-a-repeated-hour.sh).  A join or a GROUP BY on
# FROM_UNIXTIME() finds one row there and two here.
# Output seen: see the last lines.
. "$(dirname "$0")/common.sh"
release trixie
install_whole mariadb-server-core=1:11.8.9+ds-0+deb13u1
mkdir "$work/data"
cat >"$work/statements" <<SQL
CREATE DATABASE t;
CREATE TABLE t.x (id INT, ts TIMESTAMP NULL) ENGINE=Aria;
INSERT INTO t.x VALUES (1, FROM_UNIXTIME(1792888200)), (2, FROM_UNIXTIME(1792891800));
SELECT FROM_UNIXTIME(1792888200) = FROM_UNIXTIME(1792891800), CAST(FROM_UNIXTIME(1792888200) AS CHAR), CAST(FROM_UNIXTIME(1792891800) AS CHAR) INTO OUTFILE '$work/compared';
SELECT id, UNIX_TIMESTAMP(ts) FROM t.x ORDER BY id INTO OUTFILE '$work/stored';
SQL
TZ=CET-1CEST,M3.5.0,M10.5.0/3 inside usr/sbin/mariadbd --no-defaults --bootstrap --datadir="$work/data" --user="$(id -un)" \
    --lc-messages-dir="$work/root/usr/share/mariadb" <"$work/statements" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 2
}
expect "$(cat "$work/compared" "$work/stored" | tr '\t' ' ')" "0 2026-10-25 02:30:00 2026-10-25 02:30:00
1 1792888200
2 1792891800"
