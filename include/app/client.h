/* app/client.h - lets a daemon carry out the cycle that this process was started for.
 *
 * Why:     Cacti starts a process for each cycle and waits for it.  With `Daemon auto` that process stays
 *          what it is for Cacti, and the daemon does the work.
 * Use:     switch (client_poll(config, started, argv, &end, &why)) ...
 * Threads: main thread, before there are others that receive signals.
 * Promise: a cycle is polled once.  Until the daemon has begun it, whatever goes wrong costs 200 ms at
 *          most, and the caller polls.  From then on the caller does not poll: it gets the end of the
 *          cycle, or CLIENT_ORPHANED, in the time that the cycle has.  Signals that come meanwhile go to
 *          the cycle; a second stop signal ends this process at once.
 * Source:  docs/daemon.md.
 */
#ifndef SPINE_APP_CLIENT_H
#define SPINE_APP_CLIENT_H

#include "app/app.h"
#include "base/err.h"
#include "engine/config.h"

#include <stdint.h>

enum client_outcome {
    CLIENT_ALONE,    /* no daemon polls: why says the reason */
    CLIENT_DONE,     /* ret_end is the cycle's end */
    CLIENT_ORPHANED, /* the daemon had begun and has not finished: why says what is known */
};

enum client_outcome client_poll(struct config *config, int64_t started_mono_us, char *const *argv,
                                struct app_end *ret_end, struct err *why);

#endif
