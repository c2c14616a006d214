/* engine/eventpath.h - the event driver: one loop decides, worker lanes block.
 *
 * Use:     struct loop *loop = loop_new(&err);   cycle_init(&c, ...);  eventpath_run(&c, loop,
 * &err); Threads: called on the main thread, which becomes the loop's.  All runs, batches and
 * figures live there.  Two lanes: "ask" (config->threads workers, one blocking ask each) and
 * "store" (one worker, the database thread). Promise: returns when every job is done and all
 * workers have ended; otherwise as engine/legacy. Errors:  false: the cycle could not be begun.
 */
#ifndef SPINE_ENGINE_EVENTPATH_H
#define SPINE_ENGINE_EVENTPATH_H

#include "core/loop.h"
#include "engine/cycle.h"

NODISCARD bool eventpath_run(struct cycle *c, struct loop *loop, struct err *err);

#endif
