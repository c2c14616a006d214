# SPINE_LIMITS - the sizes operators may set, and the Cacti version the program claims to serve.
AC_DEFUN([SPINE_LIMITS], [
    SPINE_LIMIT([results-buffer], [SPINE_RESULTS_BUFFER], [2048], [512], [1048576],
        [bytes kept of one result])
    SPINE_LIMIT([max-scripts], [SPINE_MAX_SCRIPTS], [20], [1], [1000],
        [scripts running at the same time])
    SPINE_LIMITS_COMPAT
])

# SPINE_LIMIT(OPTION, MACRO, DEFAULT, LEAST, MOST, MEANING)
AC_DEFUN([SPINE_LIMIT], [
    AC_ARG_WITH([$1],
        [AS_HELP_STRING([--with-$1=N], [$6 (default $3; $4 to $5)])],
        [], [AS_VAR_SET(AS_TR_SH([with_$1]), [$3])])
    spine_value=$AS_TR_SH([with_$1])
    # No leading zero, which C would take for octal; eight digits, so that the comparison cannot overflow.
    AS_CASE([$spine_value], [''|0*|*@<:@!0-9@:>@*|?????????*], [spine_value=-1])
    AS_IF([test "$spine_value" -lt $4 || test "$spine_value" -gt $5],
        [AC_MSG_ERROR([--with-$1=$AS_TR_SH([with_$1]): a number from $4 to $5 is needed])])
    AC_DEFINE_UNQUOTED([$2], [$AS_TR_SH([with_$1])], [Build-time limit: $6.])
])

AC_DEFUN([SPINE_LIMITS_COMPAT], [
    AC_ARG_WITH([cacti-version],
        [AS_HELP_STRING([--with-cacti-version=V],
            [Cacti version named by spine --version where no database tells (default 1.2.24)])],
        [], [with_cacti_version=1.2.24])
    AC_ARG_WITH([compat-version],
        [AS_HELP_STRING([--with-compat-version=V], [older name of --with-cacti-version])],
        [with_cacti_version=$with_compat_version])
    AS_CASE([$with_cacti_version],
        [*@<:@!0-9.@:>@*|.*|*.|*..*], [spine_value=bad],
        [*.*], [spine_value=good],
        [spine_value=bad])
    AS_IF([test $spine_value = bad],
        [AC_MSG_ERROR([--with-cacti-version=$with_cacti_version: a version such as 1.2.24 is needed])])
    AC_DEFINE_UNQUOTED([SPINE_COMPAT_VERSION], ["$with_cacti_version"],
        [The Cacti version named by spine --version.])
])
