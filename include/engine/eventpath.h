/* engine/eventpath.h - the event driver: one loop decides, worker lanes block.
 *
 * Use:     struct loop *loop = loop_new(LOOP_LIBEVENT, &err);
 *          cycle_init(&c, ...);
 *          eventpath_run(&c, loop, &err);
 * Threads: called on the main thread, which becomes the loop's. All runs, batches and figures live
 *          there. Two lanes: "ask" (config->threads workers, one blocking ask each) and "store"
 *          (one worker, the database thread).
 * Promise: returns when every job is done and all workers have ended; otherwise as engine/legacy.
 * Errors:  false: the cycle could not be begun.
 */
#ifndef SPINE_ENGINE_EVENTPATH_H
#define SPINE_ENGINE_EVENTPATH_H

#include "core/loop.h"
#include "engine/cycle.h"

struct eventpath;

/* Takes what the path needs from the system; NULL: it cannot be had, and nothing has begun, so the
 * legacy loop can do the cycle instead. */
NODISCARD struct eventpath *eventpath_new(struct cycle *c, struct loop *loop, struct err *err);
NODISCARD bool eventpath_run(struct eventpath *e, struct err *err);
void eventpath_free(struct eventpath *e); /* NULL allowed */

#endif
