#!/bin/sh
# MySQL 9.7 (Debian unstable: mysql-server-core and mysql-client-core 9.7.4-2)
#
# Behaviour: warning 6414 says that a "statement or transaction updates both" a table in memory and one of InnoDB.  With
# autocommit it is given to a statement that updates one table alone, if the statement before it updated a table in memory:
# two transactions.  A SELECT of constants in between changes nothing; COMMIT, or reading an InnoDB table, does.
# Output seen: see the last lines.
. "$(dirname "$0")/common.sh"
install mysql-server-core=9.7.4-2 mysql-client-core=9.7.4-2
start_mysql
mysql_says "CREATE DATABASE t; CREATE TABLE t.disk (x INT) ENGINE=InnoDB; CREATE TABLE t.memory (x INT) ENGINE=MEMORY"
warnings() {
    mysql_says "SET autocommit = 1; INSERT INTO t.memory VALUES (1); $1 INSERT INTO t.disk VALUES (1); SHOW WARNINGS" |
        grep -c '6414.*InnoDB table t.disk and the MEMORY table t.memory' || true
}
expect "at once: $(warnings '')
after a constant: $(warnings 'DO 1;')
after COMMIT: $(warnings 'COMMIT;')
after reading: $(warnings 'SELECT COUNT(*) INTO @n FROM t.disk;')" "at once: 1
after a constant: 1
after COMMIT: 0
after reading: 0"
