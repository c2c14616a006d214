/* app/wait.h - returns when something has happened: --wait-for.
 *
 * Why:     a script that works on what a cycle has stored begins when the cycle has ended, and not some time later.
 * Use:     exit_status = wait_run(config);
 * Threads: main thread.
 * Promise: the start and the end of a cycle are seen in poller_time too, every WAIT_LOOK_MS, with a daemon or without:
 *          a dropped event, a daemon that ends and a process that polls by itself cost time only.
 * Source:  docs/daemon.md.
 */
#ifndef SPINE_APP_WAIT_H
#define SPINE_APP_WAIT_H

#include "engine/config.h"

enum { WAIT_LOOK_MS = 5000 };

/* The database whose poller_time has the rows of this poller. */
const struct db_params *wait_database(const struct config *config);

/* 0: it has happened; 69: it is told by a daemon alone, and there is none; 75: not in time. */
int wait_run(struct config *config);

#endif
