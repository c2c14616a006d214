# SPINE_CMOCKA - the library of the tests; without it `make check` says that it skips them.
AC_DEFUN([SPINE_CMOCKA], [
    CMOCKA_CFLAGS= CMOCKA_LIBS=-lcmocka
    SPINE_PKG_EXISTS([cmocka], [
        SPINE_FOREIGN_CPPFLAGS([CMOCKA_CFLAGS], [`$PKG_CONFIG --cflags cmocka`], [cmocka.h])
        CMOCKA_LIBS=`$PKG_CONFIG --libs cmocka`])
    AC_MSG_CHECKING([for cmocka])
    SPINE_TRY_LINK([$CMOCKA_CFLAGS], [$CMOCKA_LIBS],
        [[#include <stdarg.h>
          #include <stddef.h>
          #include <stdint.h>
          #include <setjmp.h>
          #include <cmocka.h>
          static void nothing(void **state) { (void)state; }]],
        [[const struct CMUnitTest tests[] = {cmocka_unit_test(nothing)};
          return cmocka_run_group_tests(tests, NULL, NULL);]],
        [have_cmocka=yes], [have_cmocka=no])
    AC_MSG_RESULT([$have_cmocka])
    AM_CONDITIONAL([HAVE_CMOCKA], [test $have_cmocka = yes])
    AC_SUBST([CMOCKA_CFLAGS])
    AC_SUBST([CMOCKA_LIBS])
])
