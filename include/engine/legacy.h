/* engine/legacy.h - the driver that polls a site by threads that block.
 *
 * Why:     built everywhere, needs no event loop, and is what an operator falls back to.
 * Use:     ok = legacy_run(cycle, services, signals, &err);
 * Threads: any; blocks until the cycle is over.  Several may run at once.
 * Promise: `threads` threads, each takes a device and asks it to the end.  Returns when all its threads
 *          have ended or are abandoned in a call that hangs; poller_time is closed if the database
 *          can be reached.  false: the cycle could not begin.
 */
#ifndef SPINE_ENGINE_LEGACY_H
#define SPINE_ENGINE_LEGACY_H

#include "engine/cycle.h"
#include "engine/services.h"
#include "engine/stopsig.h"

NODISCARD bool legacy_run(struct cycle *c, struct services *services, struct stopsig *signals,
                          struct err *err);

#endif
