/* engine/eventpath.h - the driver that polls a site on the event loop.
 *
 * Why:     devices wait on one loop, workers carry out what blocks, the writer stores.
 * Use:     struct eventpath *e = eventpath_start(cycle, services, loop, signals, over, arg, &err);
 *          loop_run(loop);      until over(arg)
 *          ok = eventpath_finish(e, &err);
 * Threads: the loop's thread.
 * Owns:    nothing after eventpath_finish(); the cycle, the services and the loop are lent.
 * Promise: over() comes once, from the loop, when the row is closed and no child is left, or when the
 *          writer is lost.  Several event paths may run on one loop.
 */
#ifndef SPINE_ENGINE_EVENTPATH_H
#define SPINE_ENGINE_EVENTPATH_H

#include "core/loop.h"
#include "engine/cycle.h"
#include "engine/services.h"
#include "engine/stopsig.h"

struct eventpath;

NODISCARD struct eventpath *eventpath_start(struct cycle *c, struct services *services,
                                            struct loop *loop, struct stopsig *signals,
                                            loop_fn *over, void *arg, struct err *err);
/* After over().  false: the cycle could not begin. */
NODISCARD bool eventpath_finish(struct eventpath *e, struct err *err);

#endif
