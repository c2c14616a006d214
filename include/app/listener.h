/* app/listener.h - one process that reads a daemon's events through its socket.
 *
 * Why:     what waits for it waits in a buffer of its own (base/stream), so a reader that stops reading costs its own
 *          events and nothing else.
 * Use:     struct listener *l = listener_new(&options, &request, &why);
 *          listener_finish(l);        over() follows
 *          listener_free(l);
 * Threads: the daemon's, which has the loop.
 * Owns:    neither the loop nor the descriptor.
 * Promise: nothing waits for the process: what its socket does not take stays in its buffer, which drops the
 *          oldest.  over() comes once: all that was asked for is sent, or cannot be.
 * Source:  docs/daemon.md.
 */
#ifndef SPINE_APP_LISTENER_H
#define SPINE_APP_LISTENER_H

#include "app/handover.h"
#include "app/status.h"
#include "core/loop.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LISTENER_BUFFER_LEAST = 16,
    LISTENER_BUFFER_MOST = 65536,
    LISTENER_END_MS = 1000, /* for what waits at the end of the daemon */
};

/* What a process asks for. */
struct listener_request {
    bool json;
    bool past;         /* beginning with the last events */
    bool follow;       /* and those that come */
    int64_t buffer;    /* events */
    int64_t poller;    /* of this one alone; 0: all */
    const char *types; /* "" = all of normal detail */
};

void listener_put_request(struct buf *message, const struct listener_request *request);
bool listener_is_request(const struct handover *message);

struct listener;

struct listener_options {
    struct loop *loop;
    int fd;
    int pid, uid; /* of the process */
    void (*over)(void *arg);
    void *arg;
};

/* NULL: what was asked for is not available, *why says the reason. */
NODISCARD struct listener *listener_new(const struct listener_options *options,
                                        const struct handover *message, struct err *why);
/* Nothing more comes: sends what waits. */
void listener_finish(struct listener *l);
void listener_free(struct listener *l); /* NULL allowed */
/* Lent: what it points to. */
struct status_listener listener_get(const struct listener *l);

#endif
