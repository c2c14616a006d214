/* core/wake.h - a doorbell: any thread rings, the loop gets a call.
 *
 * Why:     the event base has no locks; this is its one door.
 * Threads: wake_ring from any thread; new and free on the loop; fn runs on the loop.
 * Promise: after a ring fn is called at least once; rings that come before that call may share it.
 * The descriptor is drained before fn is called, so a ring during fn leads to another call.
 */
#ifndef SPINE_CORE_WAKE_H
#define SPINE_CORE_WAKE_H

#include "core/loop.h"

struct wake;

NODISCARD struct wake *wake_new(struct loop *loop, loop_fn *fn, void *arg, struct err *err);
void wake_free(struct wake *w); /* no thread may ring any more; NULL allowed */
void wake_ring(struct wake *w);

#endif
