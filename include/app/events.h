/* app/events.h - the events of the cycles that a daemon polls: --events.
 *
 * Use:     exit_status = events_run(config);
 * Threads: main thread.
 * Promise: what the daemon sends is printed as it comes.  A reader that closes the pipe is a quiet end.
 * Source:  docs/daemon.md, docs/events.md.
 */
#ifndef SPINE_APP_EVENTS_H
#define SPINE_APP_EVENTS_H

#include "app/listener.h"
#include "base/buf.h"
#include "base/err.h"
#include "engine/config.h"

#include <stdbool.h>

/* The types that are asked for name events; false: err says which does not. */
NODISCARD bool events_check_types(const char *types, uint64_t *ret, struct err *err);

/* A connection on which the daemon's events come; -1: there is none. */
NODISCARD int events_connect(const struct config *config, const struct listener_request *request,
                             struct err *err);

enum events_news {
    EVENTS_LINES,   /* whole lines are in *ret_lines */
    EVENTS_NOTHING, /* yet */
    EVENTS_OVER,    /* all that was asked for has come, or the daemon has ended in order */
    EVENTS_REFUSED, /* err says why */
    EVENTS_LOST,    /* the daemon no longer exists */
};
/* What has come on it; does not wait. */
enum events_news events_receive(int fd, struct buf *ret_lines, struct err *err);

int events_run(struct config *config);

#endif
