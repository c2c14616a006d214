#!/bin/sh
# MariaDB 11.8 (Debian 13: mariadb-server-core 1:11.8.9+ds-0+deb13u1) beside 10.11 (Debian 12)
#
# Behaviour: in 10.11 FROM_UNIXTIME(0) is 1970-01-01 00:00:00 in the session's zone, and stored in a TIMESTAMP it becomes
# 0000-00-00 00:00:00, the "never" of many schemas.  From 11.7 on it is NULL; and NULL assigned to a
# TIMESTAMP NOT NULL is the present moment, without an error: "never" silently becomes "now".  Written as
# IF(x=0,'0000-00-00 00:00:00',FROM_UNIXTIME(x)) both do the same.
# Output seen: see the last lines.
. "$(dirname "$0")/common.sh"
release trixie
install_whole mariadb-server-core=1:11.8.9+ds-0+deb13u1
mkdir "$work/data"
cat >"$work/statements" <<SQL
CREATE DATABASE t;
CREATE TABLE t.x (id INT, ts TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00') ENGINE=Aria;
SET sql_mode = 'NO_ENGINE_SUBSTITUTION', time_zone = '+00:00';
INSERT INTO t.x VALUES (1, '2001-01-01'), (2, '2001-01-01');
UPDATE t.x SET ts = FROM_UNIXTIME(0) WHERE id = 1;
UPDATE t.x SET ts = IF(0 = 0, '0000-00-00 00:00:00', FROM_UNIXTIME(0)) WHERE id = 2;
SELECT IFNULL(FROM_UNIXTIME(0), 'null'), id, IF(ts = 0, 'never', IF(ts > NOW() - INTERVAL 1 HOUR, 'now', ts)) FROM t.x ORDER BY id INTO OUTFILE '$work/seen';
SQL
inside usr/sbin/mariadbd --no-defaults --bootstrap --datadir="$work/data" --user="$(id -un)" \
    --lc-messages-dir="$work/root/usr/share/mariadb" <"$work/statements" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 2
}
expect "$(tr '\t' ' ' <"$work/seen")" "null 1 now
null 2 never"
