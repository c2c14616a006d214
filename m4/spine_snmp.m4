# SPINE_SNMP - the manager side of Net-SNMP; SNMP_CFLAGS, SNMP_LIBS. The agent libraries stay out.
#
# net-snmp-config advertises the flags the library was built with. Kept are its folders and its
# NETSNMP_ defines, which the headers look at.
AC_DEFUN([SPINE_SNMP], [
    AC_ARG_WITH([snmp],
        [AS_HELP_STRING([--with-snmp=DIR], [prefix of Net-SNMP])],
        [], [with_snmp=yes])
    have_snmp=no spine_snmp_version=
    AS_CASE([$with_snmp],
        [no], [AC_MSG_ERROR([Net-SNMP is needed, --without-snmp is not possible])],
        [yes], [
            SPINE_SNMP_CONFIG([$PATH])
            SPINE_SNMP_FOLDERS([/usr /usr/local /opt /opt/net-snmp /usr/pkg /usr/sfw])],
        [
            SPINE_SNMP_CONFIG([$with_snmp/bin])
            SPINE_SNMP_FOLDERS([$with_snmp])])
    AS_IF([test $have_snmp = no], [
        AS_IF([test "x$with_snmp" = xyes], [spine_where=], [spine_where=" under $with_snmp"])
        AC_MSG_ERROR([no usable Net-SNMP library found$spine_where.
Install libsnmp-dev (Debian, Ubuntu) or net-snmp-devel (Fedora, RHEL, SUSE), or name its place with
--with-snmp=DIR.])])
    spine_snmp="`AS_ECHO(["$SNMP_LIBS"]) | sed 's/^ *//'`${spine_snmp_version:+, $spine_snmp_version}"
    AC_SUBST([SNMP_CFLAGS])
    AC_SUBST([SNMP_LIBS])
])

# SPINE_SNMP_TRY(FROM, CFLAGS, LIBS) - keep these when a program links with them.
AC_DEFUN([SPINE_SNMP_TRY], [
    AS_IF([test $have_snmp = no], [
        AC_MSG_CHECKING([for Net-SNMP, $1])
        SPINE_TRY_LINK([$2], [$3],
            [[#include <net-snmp/net-snmp-config.h>
              #include <net-snmp/net-snmp-includes.h>]],
            [[netsnmp_session s; snmp_sess_init(&s); return snmp_sess_open(&s) != 0;]],
            [have_snmp=yes SNMP_CFLAGS="$2" SNMP_LIBS="$3"])
        AC_MSG_RESULT([$have_snmp])
    ])
])

# SPINE_SNMP_CONFIG(PATH) - a static library needs its own libraries named as well, hence two tries.
AC_DEFUN([SPINE_SNMP_CONFIG], [
    AC_PATH_PROG([spine_snmp_config], [net-snmp-config], [], [$1])
    AS_IF([test -n "$spine_snmp_config"], [
        SPINE_FOREIGN_CPPFLAGS([spine_cflags], [`$spine_snmp_config --base-cflags`],
            [net-snmp/net-snmp-config.h], [-DNETSNMP_*|-UNETSNMP_*])
        spine_libs=
        for spine_word in `$spine_snmp_config --netsnmp-libs`; do
            AS_CASE([$spine_word], [-L*], [spine_libs="$spine_libs $spine_word"])
        done
        spine_libs="$spine_libs -lnetsnmp"
        SPINE_SNMP_TRY([$spine_snmp_config], [$spine_cflags], [$spine_libs])
        spine_libs="$spine_libs `$spine_snmp_config --external-libs`"
        SPINE_SNMP_TRY([with its own libraries], [$spine_cflags], [$spine_libs])
        AS_IF([test $have_snmp = yes], [spine_snmp_version=`$spine_snmp_config --version`])
    ])
])

AC_DEFUN([SPINE_SNMP_FOLDERS], [
    for spine_prefix in $1; do
        test -f "$spine_prefix/include/net-snmp/net-snmp-config.h" || continue
        AS_IF([test "$spine_prefix" = /usr], [spine_cflags=], [spine_cflags="-isystem $spine_prefix/include"])
        spine_libs="-lnetsnmp"
        for spine_lib in lib64 lib; do
            AS_IF([ls "$spine_prefix/$spine_lib/libnetsnmp".* >/dev/null 2>&1],
                [spine_libs="-L$spine_prefix/$spine_lib -lnetsnmp"; break])
        done
        SPINE_SNMP_TRY([$spine_prefix], [$spine_cflags], [$spine_libs])
    done
])
