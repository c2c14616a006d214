# SPINE_TRY_CFLAG(VAR, FLAG) - append FLAG to VAR when compiler and linker driver take it silently,
# next to what VAR has already (-Werror=format-security is nothing without -Wformat).
#
# With -Werror, because clang only warns about flags it does not know. A whole program is linked,
# because some flags (-fsanitize, -fstack-protector) need a library as well.
AC_DEFUN([SPINE_TRY_CFLAG], [
    AS_VAR_PUSHDEF([cache], [spine_cv_cflag_$2])
    AC_CACHE_CHECK([whether $CC accepts $2], [cache], [
        spine_save_CFLAGS=$CFLAGS
        CFLAGS="$CFLAGS -Werror $$1 $2"
        AC_LINK_IFELSE([AC_LANG_SOURCE([[int main(void) { return 0; }]])],
            [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
        CFLAGS=$spine_save_CFLAGS
    ])
    AS_VAR_IF([cache], [yes], [$1="$$1 $2"])
    AS_VAR_POPDEF([cache])
])

# SPINE_TRY_LDFLAG(VAR, FLAG) - the same for a flag of the link line alone.
AC_DEFUN([SPINE_TRY_LDFLAG], [
    AS_VAR_PUSHDEF([cache], [spine_cv_ldflag_$2])
    AC_CACHE_CHECK([whether the linker accepts $2], [cache], [
        spine_save_LDFLAGS=$LDFLAGS
        spine_save_CFLAGS=$CFLAGS
        CFLAGS="$CFLAGS -Werror"
        LDFLAGS="$LDFLAGS $2"
        AC_LINK_IFELSE([AC_LANG_SOURCE([[int main(void) { return 0; }]])],
            [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
        CFLAGS=$spine_save_CFLAGS
        LDFLAGS=$spine_save_LDFLAGS
    ])
    AS_VAR_IF([cache], [yes], [$1="$$1 $2"])
    AS_VAR_POPDEF([cache])
])

# SPINE_TRY_LINK(CPPFLAGS, LIBS, PROLOGUE, BODY, IF-OK, IF-NOT) - link a program with foreign flags.
AC_DEFUN([SPINE_TRY_LINK], [
    spine_save_CPPFLAGS=$CPPFLAGS
    spine_save_LIBS=$LIBS
    CPPFLAGS="$CPPFLAGS $1"
    LIBS="$2 $LIBS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([$3], [$4])], [spine_linked=yes], [spine_linked=no])
    CPPFLAGS=$spine_save_CPPFLAGS
    LIBS=$spine_save_LIBS
    AS_IF([test $spine_linked = yes], [$5], [$6])
])

# SPINE_HEADER_NUMBER(VAR, EXPRESSION, CPPFLAGS, PROLOGUE) - a number a foreign header knows,
# 0 when it does not. Works when cross-compiling.
AC_DEFUN([SPINE_HEADER_NUMBER], [
    spine_save_CPPFLAGS=$CPPFLAGS
    CPPFLAGS="$CPPFLAGS $3"
    AC_COMPUTE_INT([$1], [$2], [$4], [$1=0])
    CPPFLAGS=$spine_save_CPPFLAGS
])

# SPINE_FOREIGN_CPPFLAGS(VAR, FLAGS, HEADER, [KEEP-PATTERN]) - what is worth keeping of the compiler
# flags a package advertises: folders that hold HEADER, as system folders so that their headers cannot
# warn, and words matching the shell pattern. Optimisation, warnings and folders of others are dropped.
AC_DEFUN([SPINE_FOREIGN_CPPFLAGS], [
    $1=
    for spine_word in $2; do
        AS_CASE([$spine_word],
            [-I/usr/include|-I/usr/include/], [],
            [-I*], [
                spine_dir=`AS_ECHO(["$spine_word"]) | sed 's/^-I//; s,/*$,,'`
                AS_IF([test -f "$spine_dir/$3"], [$1="$$1 -isystem $spine_dir"])],
            m4_ifval([$4], [[$4], [$1="$$1 $spine_word"],])
            [])
    done
])
