# SPINE_LIBEVENT - the event path, on libevent_core and nothing else of libevent.
#
#   --with-libevent          needed; an error when it is not there
#   --with-libevent=PREFIX   taken from PREFIX/include and PREFIX/lib
#   --without-libevent       legacy loop only
#   (nothing said)           used when found
AC_DEFUN([SPINE_LIBEVENT], [
    AC_ARG_WITH([libevent],
        [AS_HELP_STRING([--with-libevent@<:@=PREFIX@:>@],
            [build the event path (default: when libevent_core 2.0.22 or newer is found)])],
        [], [with_libevent=auto])
    LIBEVENT_CFLAGS= LIBEVENT_LIBS= spine_libevent_why=
    have_libevent=no
    AS_IF([test "x$with_libevent" != xno], [
        AS_CASE([$with_libevent],
            [yes|auto], [SPINE_PKG_EXISTS([libevent_core], [
                SPINE_FOREIGN_CPPFLAGS([LIBEVENT_CFLAGS], [`$PKG_CONFIG --cflags libevent_core`],
                    [event2/event.h])
                LIBEVENT_LIBS=`$PKG_CONFIG --libs-only-L libevent_core`])],
            [LIBEVENT_CFLAGS="-isystem $with_libevent/include"
             LIBEVENT_LIBS="-L$with_libevent/lib"
             AS_IF([test ! -f "$with_libevent/include/event2/event.h"],
                [spine_libevent_why="no $with_libevent/include/event2/event.h"])])
        LIBEVENT_LIBS="$LIBEVENT_LIBS -levent_core"
        AS_IF([test -z "$spine_libevent_why"], [SPINE_LIBEVENT_PROBE])
        AS_IF([test $have_libevent = no && test "x$with_libevent" != xauto],
            [AC_MSG_ERROR([--with-libevent: $spine_libevent_why.
Install libevent-dev (Debian, Ubuntu) or libevent-devel (Fedora, RHEL, SUSE), name its place with
--with-libevent=PREFIX, or build without the event path: --without-libevent.])])
    ])
    AS_IF([test $have_libevent = yes], [
        AC_DEFINE([HAVE_LIBEVENT], [1], [Define to 1 to build the event path on libevent_core.])
        spine_libevent="yes, libevent_core $spine_libevent_version"
        AS_IF([test $spine_libevent_number -lt $((0x02010c))],
            [spine_libevent="$spine_libevent (older than 2.1.12: works, an update is advised)"])
    ], [
        LIBEVENT_CFLAGS= LIBEVENT_LIBS=
        spine_libevent="no, legacy loop only${spine_libevent_why:+ ($spine_libevent_why)}"])
    AM_CONDITIONAL([HAVE_LIBEVENT], [test $have_libevent = yes])
    AC_SUBST([LIBEVENT_CFLAGS])
    AC_SUBST([LIBEVENT_LIBS])
])

# Sets have_libevent, spine_libevent_version and spine_libevent_number (0x02010c for 2.1.12).
AC_DEFUN([SPINE_LIBEVENT_PROBE], [
    AC_MSG_CHECKING([for libevent_core])
    SPINE_TRY_LINK([$LIBEVENT_CFLAGS], [$LIBEVENT_LIBS],
        [[#include <event2/event.h>]], [[event_base_free(event_base_new());]],
        [SPINE_HEADER_NUMBER([spine_libevent_number], [LIBEVENT_VERSION_NUMBER >> 8],
            [$LIBEVENT_CFLAGS], [[#include <event2/event.h>]])
         n=$spine_libevent_number
         spine_libevent_version=$((n >> 16)).$(((n >> 8) & 255)).$((n & 255))
         AS_IF([test $n -ge $((0x020016))],
            [have_libevent=yes],
            [spine_libevent_why="libevent_core $spine_libevent_version is older than 2.0.22"])
         AC_MSG_RESULT([$spine_libevent_version])],
        [spine_libevent_why="libevent_core not found"
         AC_MSG_RESULT([no])])
])
