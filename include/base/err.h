/* base/err.h - what went wrong, in a form the top can act on.
 *
 * Use:     struct err err = ERR_INIT;
 *          if (!thing(&err)) { log_line(..., "%s", err.text); return err_exit_status(&err); }
 * Threads: any; a struct err belongs to its caller.
 * Promise: `text` is one line that says what, where and, if possible, what to do; control characters of names and of
 *          foreign messages in it become blanks.
 *          Kinds map to exit statuses of sysexits(3); see err_exit_status().
 */
#ifndef SPINE_BASE_ERR_H
#define SPINE_BASE_ERR_H

#include "base/compiler.h"

#include <stdarg.h>
#include <stdbool.h>

enum err_kind {
    ERR_NONE = 0,
    ERR_USAGE,       /* 64: command line */
    ERR_DATA,        /* 65: a file given to us is not what it should be */
    ERR_UNAVAILABLE, /* 69: database not reachable; not in this build */
    ERR_INTERNAL,    /* 70: our own promise broken */
    ERR_OS,          /* 71: descriptors, memory, threads */
    ERR_TEMPORARY,   /* 75: deadline hit or results only partly stored */
    ERR_CONFIG,      /* 78: spine.conf or schema */
};

struct err {
    enum err_kind kind;
    int number; /* errno or the database's error number, 0 if neither */
    char text[1024];
};

#define ERR_INIT                                                                                   \
    {                                                                                              \
        ERR_NONE, 0, ""                                                                            \
    }

/* Fill *err (may be NULL) and return false, so that `return err_set(...)` ends a failing function.
 */
bool err_set(struct err *err, enum err_kind kind, const char *fmt, ...) PRINTF(3, 4);
bool err_set_number(struct err *err, enum err_kind kind, int number, const char *fmt, ...)
    PRINTF(4, 5);

int err_exit_status(const struct err *err);

#endif
