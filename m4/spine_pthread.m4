# SPINE_PTHREAD - POSIX threads; PTHREAD_CFLAGS goes to every compile and link line.
AC_DEFUN([SPINE_PTHREAD], [
    PTHREAD_CFLAGS=
    SPINE_TRY_CFLAG([PTHREAD_CFLAGS], [-pthread])
    SPINE_TRY_LINK([], [$PTHREAD_CFLAGS],
        [[#include <pthread.h>
          static void *run(void *arg) { return arg; }]],
        [[pthread_t t; return pthread_create(&t, 0, run, 0);]],
        [], [AC_MSG_ERROR([POSIX threads are needed])])
    AC_SUBST([PTHREAD_CFLAGS])
])
