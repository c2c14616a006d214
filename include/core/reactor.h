/* core/reactor.h - timers and descriptors for code that runs on the loop and in the legacy loop.
 *
 * Why:     child processes are watched the same way on both paths, so that code is written once;
 * this is what it waits with: the event loop, or a poll(2) of its own for a thread that has none.
 * Use:     struct reactor *r = reactor_new_on_loop(loop);       events come from loop_run()
 *          struct reactor *r = reactor_new_on_poll(&err);       while (...) reactor_turn(r);
 *          struct reactor_timer *t = reactor_timer_new(r, fn, arg);  reactor_timer_set(t, 500);
 * Threads: everything on one thread, the loop's or the one that calls reactor_turn(); reactor_ring()
 * from any.
 * Promise: the meaning of core/loop.h: a timer fires once per set, a watch as long as its
 * descriptor is ready, callbacks never nest and may free any timer or watch, their own too.  No
 * timer fires early.
 */
#ifndef SPINE_CORE_REACTOR_H
#define SPINE_CORE_REACTOR_H

#include "base/compiler.h"
#include "base/err.h"

#include <stdint.h>

struct loop;
struct reactor;
struct reactor_timer;
struct reactor_watch;

typedef void reactor_fn(void *arg);

enum reactor_readiness { REACTOR_READABLE, REACTOR_WRITABLE };

NODISCARD struct reactor *reactor_new_on_loop(struct loop *loop); /* built with libevent only */
NODISCARD struct reactor *reactor_new_on_poll(struct err *err);
void reactor_free(struct reactor *r); /* after its timers and watches; NULL allowed */

/* Only on poll: wait for the next event, ring or timer and carry out what is due. */
void reactor_turn(struct reactor *r);
/* Only on poll: let the turn in progress, or the next one, return without waiting. */
void reactor_ring(struct reactor *r);

NODISCARD struct reactor_timer *reactor_timer_new(struct reactor *r, reactor_fn *fn, void *arg);
void reactor_timer_set(struct reactor_timer *t, int64_t delay_ms);
void reactor_timer_cancel(struct reactor_timer *t);
void reactor_timer_free(struct reactor_timer *t); /* NULL allowed */

/* The descriptor stays the caller's; free the watch before closing it. */
NODISCARD struct reactor_watch *reactor_watch_new(struct reactor *r, int fd,
                                                  enum reactor_readiness readiness, reactor_fn *fn,
                                                  void *arg);
void reactor_watch_free(struct reactor_watch *w); /* NULL allowed */

#endif
