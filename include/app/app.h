/* app/app.h - the program: what comes before any input is read, and which command runs.
 *
 * Why:     one file per command (app/run.h, app/replay.h, ...); this one chooses.
 * Threads: main thread.
 */
#ifndef SPINE_APP_APP_H
#define SPINE_APP_APP_H

#include "base/err.h"

#include <stdbool.h>

struct app_end {
    int status;   /* sysexits */
    int signo;    /* the process is to end by this signal; 0 = none */
    bool at_once; /* by _exit(): a thread hangs in a library, nothing may be torn down */
};

struct app_end app_main(int argc, char **argv);

/* Reports why a run cannot go on: on standard error if it was started by hand, in the log under
 * Cacti. Returns the exit status. */
int app_fail(const struct err *err);

#endif
