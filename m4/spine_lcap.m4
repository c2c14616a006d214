# SPINE_LCAP - --enable-lcap: keep cap_net_raw instead of root (Linux capabilities); LCAP_LIBS.
AC_DEFUN([SPINE_LCAP], [
    AC_ARG_ENABLE([lcap],
        [AS_HELP_STRING([--enable-lcap], [use Linux capabilities (libcap) to send ICMP])],
        [], [enable_lcap=no])
    LCAP_LIBS=
    AS_IF([test "x$enable_lcap" != xno], [
        AC_MSG_CHECKING([for libcap])
        SPINE_TRY_LINK([], [-lcap],
            [[#include <sys/capability.h>]], [[return cap_free(cap_get_proc());]],
            [LCAP_LIBS=-lcap
             enable_lcap=yes
             AC_DEFINE([HAVE_LCAP], [1], [Define to 1 to use Linux capabilities.])
             AC_MSG_RESULT([yes])],
            [AC_MSG_RESULT([no])
             AC_MSG_ERROR([--enable-lcap: libcap not found.
Install libcap-dev (Debian, Ubuntu) or libcap-devel (Fedora, RHEL, SUSE).])])
    ])
    AC_SUBST([LCAP_LIBS])
])
