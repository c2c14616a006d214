# SPINE_IGNORED - options of the original that build scripts pass and that mean nothing here.
AC_DEFUN([SPINE_IGNORED], [
    SPINE_IGNORED_ENABLE([warnings])
    SPINE_IGNORED_ENABLE([popen])
    SPINE_IGNORED_ENABLE([solaris-priv])
    SPINE_IGNORED_ENABLE([lcap])
    SPINE_IGNORED_ENABLE([strict-snmp])
    SPINE_IGNORED_WITH([reentrant])
    SPINE_IGNORED_WITH([static])
    SPINE_IGNORED_WITH([max-mysql-buffer])
])

AC_DEFUN([SPINE_IGNORED_ENABLE], [
    AC_ARG_ENABLE([$1], [AS_HELP_STRING([--enable-$1], [accepted, has no effect])],
        [AC_MSG_NOTICE([--enable-$1 has no effect])])
])

AC_DEFUN([SPINE_IGNORED_WITH], [
    AC_ARG_WITH([$1], [AS_HELP_STRING([--with-$1], [accepted, has no effect])],
        [AC_MSG_NOTICE([--with-$1 has no effect])])
])
