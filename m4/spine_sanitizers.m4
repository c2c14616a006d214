# SPINE_SANITIZERS - --enable-sanitizers=LIST, to compile and to link.
AC_DEFUN([SPINE_SANITIZERS], [
    AC_ARG_ENABLE([sanitizers],
        [AS_HELP_STRING([--enable-sanitizers=LIST],
            [check at run time, for tests (address,undefined when no list is given; or thread)])],
        [], [enable_sanitizers=no])
    AS_IF([test "x$enable_sanitizers" = xyes], [enable_sanitizers=address,undefined])
    SAN_CFLAGS=
    AS_IF([test "x$enable_sanitizers" != xno], [
        spine_san="-fsanitize=$enable_sanitizers -fno-omit-frame-pointer"
        AS_CASE([",$enable_sanitizers,"],
            [*,undefined,*], [spine_san="$spine_san -fno-sanitize-recover=undefined"])
        AC_MSG_CHECKING([whether $CC builds with $spine_san])
        spine_save_CFLAGS=$CFLAGS
        CFLAGS="$CFLAGS -Werror $spine_san"
        AC_LINK_IFELSE([AC_LANG_SOURCE([[int main(void) { return 0; }]])],
            [SAN_CFLAGS=$spine_san], [])
        CFLAGS=$spine_save_CFLAGS
        AS_IF([test -n "$SAN_CFLAGS"], [AC_MSG_RESULT([yes])], [
            AC_MSG_RESULT([no])
            AC_MSG_ERROR([$CC cannot build with the sanitizers "$enable_sanitizers"])])
    ])
    AC_SUBST([SAN_CFLAGS])
])
