# SPINE_MANUAL - manual pages and completions are made by a program of the build from the option table; where programs of
# the build cannot be run they are left out.
AC_DEFUN([SPINE_MANUAL], [
    AS_IF([test "$cross_compiling" = yes],
        [spine_manual="no (cross-compiling: the program that makes them cannot be run)"],
        [spine_manual=yes])
    AM_CONDITIONAL([HAVE_MANUAL], [test "$spine_manual" = yes])
])
