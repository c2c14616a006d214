#!/bin/sh
# MariaDB 10.11 (Debian 12: mariadb-server-core 1:10.11.19-0+deb12u1)
#
# Behaviour: places in a list of values (table value constructor) of a prepared statement lose what they are
# given: "SELECT * FROM (VALUES (?),(?)) AS d" executed with 1 and 2 has two rows that are empty, without an error or a
# warning.  The types of the columns are found when the statement is prepared, from places that have no
# value yet.  The same rows as "SELECT ? UNION ALL SELECT ?" are right, and so is the list without places.
# Output seen: see the last lines.
. "$(dirname "$0")/common.sh"
install mariadb-server-core=1:10.11.19-0+deb12u1
mkdir "$work/data"
cat >"$work/statements" <<SQL
CREATE DATABASE t;
CREATE TABLE t.x (way VARCHAR(10), value VARCHAR(10)) ENGINE=Aria;
SET @a = 1, @b = 2;
PREPARE list FROM 'INSERT INTO t.x SELECT "list", d.* FROM (VALUES (?),(?)) AS d';
EXECUTE list USING @a, @b;
PREPARE parts FROM 'INSERT INTO t.x SELECT "union", d.* FROM (SELECT ? UNION ALL SELECT ?) AS d';
EXECUTE parts USING @a, @b;
INSERT INTO t.x SELECT "literal", d.* FROM (VALUES (1),(2)) AS d;
SELECT way, CONCAT('<', value, '>') FROM t.x ORDER BY way, value INTO OUTFILE '$work/seen';
SQL
"$work/root/usr/sbin/mariadbd" --no-defaults --bootstrap --datadir="$work/data" --user="$(id -un)" \
    --lc-messages-dir="$work/root/usr/share/mysql" <"$work/statements" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 2
}
expect "$(tr '\t' ' ' <"$work/seen")" "list <>
list <>
literal <1>
literal <2>
union <1>
union <2>"
