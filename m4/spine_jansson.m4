# SPINE_JANSSON - reading recordings (spine --replay), by jansson.
#
#   --with-jansson      needed; an error when it is not there
#   --without-jansson   no --replay
#   (nothing said)      used when found
AC_DEFUN([SPINE_JANSSON], [
    AC_ARG_WITH([jansson],
        [AS_HELP_STRING([--with-jansson], [build --replay (default: when jansson 2.7 or newer is found)])],
        [], [with_jansson=auto])
    JANSSON_LIBS=
    have_jansson=no
    AS_IF([test "x$with_jansson" != xno], [
        AC_MSG_CHECKING([for jansson])
        SPINE_TRY_LINK([], [-ljansson],
            [[#include <jansson.h>
              #if JANSSON_VERSION_HEX < 0x020700
              #error too old
              #endif]], [[json_decref(json_loadb("1", 1, JSON_REJECT_DUPLICATES, 0));]],
            [JANSSON_LIBS=-ljansson
             have_jansson=yes
             AC_DEFINE([HAVE_JANSSON], [1], [Define to 1 to read recordings by jansson.])
             AC_MSG_RESULT([yes])],
            [AC_MSG_RESULT([no])
             AS_IF([test "x$with_jansson" != xauto], [AC_MSG_ERROR([--with-jansson: jansson 2.7 or newer not found.
Install libjansson-dev (Debian, Ubuntu) or jansson-devel (Fedora, RHEL), or build --without-jansson.])])])
    ])
    AS_IF([test $have_jansson = yes], [spine_replay="yes, by jansson"],
        [spine_replay="no, jansson not found or not wanted"])
    AC_SUBST([JANSSON_LIBS])
])
