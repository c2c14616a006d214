# SPINE_MYSQL - the MariaDB or MySQL client library; MYSQL_CFLAGS, MYSQL_LIBS.
#
# Asked in this order: pkg-config, mariadb_config or mysql_config, the usual folders.
# --with-mysql=DIR asks only DIR/bin/*_config and the folders under DIR.
AC_DEFUN([SPINE_MYSQL], [
    AC_ARG_WITH([mysql],
        [AS_HELP_STRING([--with-mysql=DIR], [prefix of the MariaDB or MySQL client library])],
        [], [with_mysql=yes])
    have_mysql=no
    AS_CASE([$with_mysql],
        [no], [AC_MSG_ERROR([a MariaDB or MySQL client library is needed, --without-mysql is not possible])],
        [yes], [
            SPINE_MYSQL_PKGCONFIG
            SPINE_MYSQL_CONFIG([$PATH])
            SPINE_MYSQL_FOLDERS([/usr /usr/local /opt /opt/mysql /usr/pkg /usr/local/mysql])],
        [
            SPINE_MYSQL_CONFIG([$with_mysql/bin])
            SPINE_MYSQL_FOLDERS([$with_mysql])])
    AS_IF([test $have_mysql = no], [
        AS_IF([test "x$with_mysql" = xyes], [spine_where=], [spine_where=" under $with_mysql"])
        AC_MSG_ERROR([no usable MariaDB or MySQL client library found$spine_where.
Install libmariadb-dev or default-libmysqlclient-dev (Debian, Ubuntu), mariadb-connector-c-devel
(Fedora, RHEL) or libmariadb-devel (SUSE), or name its place with --with-mysql=DIR.])])
    SPINE_MYSQL_VERSION
    SPINE_MYSQL_BULK
    AC_SUBST([MYSQL_CFLAGS])
    AC_SUBST([MYSQL_LIBS])
])

# SPINE_MYSQL_TRY(FROM, CFLAGS, LIBS) - keep these when a program links with them.
AC_DEFUN([SPINE_MYSQL_TRY], [
    AS_IF([test $have_mysql = no], [
        AC_MSG_CHECKING([for the database client library, $1])
        SPINE_TRY_LINK([$2], [$3],
            [[#include <mysql.h>]],
            [[MYSQL *my = mysql_init(0); return mysql_real_connect(my, 0, 0, 0, 0, 0, 0, 0) != 0;]],
            [have_mysql=yes MYSQL_CFLAGS="$2" MYSQL_LIBS="$3"])
        AC_MSG_RESULT([$have_mysql])
    ])
])

AC_DEFUN([SPINE_MYSQL_PKGCONFIG], [
    for spine_pkg in libmariadb mariadb mysqlclient perconaserverclient; do
        SPINE_PKG_EXISTS([$spine_pkg], [
            SPINE_FOREIGN_CPPFLAGS([spine_cflags], [`$PKG_CONFIG --cflags $spine_pkg`], [mysql.h])
            spine_libs=`$PKG_CONFIG --libs $spine_pkg`
            SPINE_MYSQL_TRY([pkg-config $spine_pkg], [$spine_cflags], [$spine_libs])])
    done
])

# SPINE_MYSQL_CONFIG(PATH) - the scripts that come with the libraries.
AC_DEFUN([SPINE_MYSQL_CONFIG], [
    AS_IF([test $have_mysql = no],
        [AC_PATH_PROGS([spine_mysql_config], [mariadb_config mysql_config], [], [$1])])
    AS_IF([test $have_mysql = no && test -n "$spine_mysql_config"], [
        SPINE_FOREIGN_CPPFLAGS([spine_cflags], [`$spine_mysql_config --include`], [mysql.h])
        spine_libs=`$spine_mysql_config --libs`
        SPINE_MYSQL_TRY([$spine_mysql_config], [$spine_cflags], [$spine_libs])])
])

# SPINE_MYSQL_FOLDERS(PREFIXES) - every header folder with every library that exists. No -L when the
# library lies in none of the folders: the linker may know a better one (multiarch).
AC_DEFUN([SPINE_MYSQL_FOLDERS], [
    for spine_prefix in $1; do
        for spine_inc in include/mariadb include/mysql include mysql; do
            test -f "$spine_prefix/$spine_inc/mysql.h" || continue
            AS_CASE([$spine_inc],
                [*/mariadb], [spine_names="mariadb mariadbclient mysqlclient"],
                [spine_names="mysqlclient perconaserverclient mariadbclient mariadb"])
            for spine_name in $spine_names; do
                spine_libs="-l$spine_name"
                for spine_lib in lib64 lib lib64/mysql lib/mysql lib64/mariadb lib/mariadb; do
                    AS_IF([ls "$spine_prefix/$spine_lib/lib$spine_name".* >/dev/null 2>&1],
                        [spine_libs="-L$spine_prefix/$spine_lib -l$spine_name"; break])
                done
                SPINE_MYSQL_TRY([$spine_prefix/$spine_inc with $spine_libs],
                    [-isystem $spine_prefix/$spine_inc], [$spine_libs])
            done
        done
    done
])

# For the summary only: 101119 is 10.11.19.
AC_DEFUN([SPINE_MYSQL_VERSION], [
    SPINE_HEADER_NUMBER([n], [MYSQL_VERSION_ID], [$MYSQL_CFLAGS], [[#include <mysql.h>]])
    spine_mysql=`AS_ECHO(["$MYSQL_LIBS"]) | sed 's/^ *//; s/ *$//'`
    spine_mysql="$spine_mysql, headers of $((n / 10000)).$((n / 100 % 100)).$((n % 100))"
])

# Array binding (one prepared statement, many rows of values) is MariaDB's.  It is used only where the library lets
# the program wait in its place as well, because the calls for it have no other time limit.
AC_DEFUN([SPINE_MYSQL_BULK], [
    AC_CACHE_CHECK([whether the database client library has array binding], [spine_cv_mysql_bulk],
        [SPINE_TRY_LINK([$MYSQL_CFLAGS], [$MYSQL_LIBS],
            [[#include <mysql.h>
              static int on_wait(my_socket fd, my_bool reads, int ms) { return reads + ms + (int)fd; }]],
            [[MYSQL *my = mysql_init(0);
              MYSQL_STMT *stmt = mysql_stmt_init(my);
              MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_LONGLONG};
              char indicator = STMT_INDICATOR_NULL;
              unsigned rows = 1;
              unsigned long has = 0;
              bind.u.indicator = &indicator;
              return mysql_optionsv(my, MARIADB_OPT_IO_WAIT, on_wait) +
                     mysql_stmt_attr_set(stmt, STMT_ATTR_ARRAY_SIZE, &rows) + mysql_stmt_bind_param(stmt, &bind) +
                     mariadb_get_infov(my, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES, &has) +
                     (has & (MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32) ? 1 : 0);]],
            [spine_cv_mysql_bulk=yes], [spine_cv_mysql_bulk=no])])
    AS_IF([test $spine_cv_mysql_bulk = yes],
        [AC_DEFINE([HAVE_MYSQL_BULK], [1], [Define to 1 if the database client library has array binding.])])
])
