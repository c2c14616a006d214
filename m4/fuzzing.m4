# SPINE_FUZZING - --enable-fuzzing: the fuzz targets get libFuzzer's main() instead of one that replays a corpus.
AC_DEFUN([SPINE_FUZZING], [
    AC_ARG_ENABLE([fuzzing],
        [AS_HELP_STRING([--enable-fuzzing], [build the targets of tests/fuzz for libFuzzer (clang)])],
        [], [enable_fuzzing=no])
    FUZZ_LDFLAGS=
    AS_IF([test "x$enable_fuzzing" != xno], [
        AC_MSG_CHECKING([whether $CC has libFuzzer])
        spine_save_CFLAGS=$CFLAGS
        CFLAGS="$CFLAGS -fsanitize=fuzzer"
        AC_LINK_IFELSE([AC_LANG_SOURCE([[
            #include <stddef.h>
            int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
            int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) { return data == NULL && size > 0; }
            ]])], [FUZZ_LDFLAGS="-fsanitize=fuzzer -Wl,--wrap=sigaction"], [])
        CFLAGS=$spine_save_CFLAGS
        AS_IF([test -n "$FUZZ_LDFLAGS"], [AC_MSG_RESULT([yes])], [
            AC_MSG_RESULT([no])
            AC_MSG_ERROR([$CC cannot link with -fsanitize=fuzzer; --enable-fuzzing needs clang and its runtime libraries])])
        SAN_CFLAGS="$SAN_CFLAGS -fsanitize=fuzzer-no-link"
    ])
    AC_SUBST([FUZZ_LDFLAGS])
    AM_CONDITIONAL([FUZZING], [test -n "$FUZZ_LDFLAGS"])
])
