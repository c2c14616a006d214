# SPINE_COMPILER - C17, warnings, debug and coverage builds.
#
# SPINE_DEBUG_EARLY must stand before AC_PROG_CC, which otherwise picks -g -O2.
AC_DEFUN([SPINE_DEBUG_EARLY], [
    AC_ARG_ENABLE([debug],
        [AS_HELP_STRING([--enable-debug], [build with -O0 -g3; CFLAGS given by you win])],
        [], [enable_debug=no])
    AS_IF([test "x$enable_debug" != xno], [: "${CFLAGS=-O0 -g3}"])
])

AC_DEFUN([SPINE_COMPILER], [
    STD_CFLAGS=
    SPINE_TRY_CFLAG([STD_CFLAGS], [-std=gnu17])
    AS_IF([test -z "$STD_CFLAGS"], [AC_MSG_ERROR([a C17 compiler is needed (gcc 8, clang 7 or newer)])])
    SPINE_WARNINGS
    SPINE_COVERAGE
    AC_SUBST([STD_CFLAGS])
])

# Left out on purpose: -Wswitch-enum (a default label is an answer), -Wnull-dereference (guesses).
AC_DEFUN([SPINE_WARNINGS], [
    AC_ARG_ENABLE([werror],
        [AS_HELP_STRING([--enable-werror], [turn warnings into errors])],
        [], [enable_werror=no])
    WARN_CFLAGS=
    m4_foreach_w([flag], [-Wall -Wextra -Wshadow -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes
            -Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla
            -Wimplicit-fallthrough -Wswitch -Wduplicated-cond -Wlogical-op -Wdouble-promotion -Wthread-safety
            -Werror=format-security -Werror=implicit-function-declaration -Werror=return-type],
        [SPINE_TRY_CFLAG([WARN_CFLAGS], flag)])
    AS_IF([test "x$enable_werror" != xno], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
    AC_SUBST([WARN_CFLAGS])
])

# Counters are updated atomically, or threads make gcov's figures nonsense.
AC_DEFUN([SPINE_COVERAGE], [
    AC_ARG_ENABLE([coverage],
        [AS_HELP_STRING([--enable-coverage], [count executed lines for gcov])],
        [], [enable_coverage=no])
    COVERAGE_CFLAGS=
    AS_IF([test "x$enable_coverage" != xno], [
        SPINE_TRY_CFLAG([COVERAGE_CFLAGS], [--coverage])
        AS_IF([test -z "$COVERAGE_CFLAGS"], [AC_MSG_ERROR([$CC does not know --coverage])])
        SPINE_TRY_CFLAG([COVERAGE_CFLAGS], [-fprofile-update=atomic])
    ])
    AC_SUBST([COVERAGE_CFLAGS])
])
