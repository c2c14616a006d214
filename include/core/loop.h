/* core/loop.h - the one event base: timers, descriptors, signals.
 *
 * Why:     everything that can happen in the event path happens here, one at a time; no libevent
 *          type leaks out.
 * Use:     struct loop *loop = loop_new(&err);
 *          struct loop_timer *t = loop_timer_new(loop, on_time, arg);
 *          loop_timer_set(t, 500);
 *          loop_on_signal(loop, SIGTERM, on_signal, arg);
 *          loop_run(loop);
 *          until loop_stop() loop_timer_free(t);
 *          loop_free(loop);
 * Threads: the thread that made the loop, and no other; checked at run time. Other threads ring a
 *          core/wake.
 * Promise: the base is created without locks; callbacks never nest.
 */
#ifndef SPINE_CORE_LOOP_H
#define SPINE_CORE_LOOP_H

#include "base/compiler.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_timer;
struct loop_watch;

NODISCARD struct loop *loop_new(struct err *err);
/* Whether so many more descriptors can be had at this moment; none is kept.  Any thread. */
bool loop_can_open(int count, struct err *err);
void loop_free(struct loop *loop); /* after all its timers, watches and wakes; NULL allowed */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); /* loop_run() returns after the current callbacks */
void loop_assert_here(const struct loop *loop);

typedef void loop_fn(void *arg);
typedef void loop_signal_fn(void *arg, int signo);

/* A timer is armed by set (again), fires once, and is quiet until the next set. */
NODISCARD struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg);
void loop_timer_set(struct loop_timer *t, int64_t delay_ms);
void loop_timer_cancel(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* NULL allowed */

/* Calls fn whenever fd is readable.  The descriptor stays the caller's; free the watch before
 * closing it. */
NODISCARD struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_fn *fn, void *arg);
/* The same for writable. */
NODISCARD struct loop_watch *loop_watch_new_write(struct loop *loop, int fd, loop_fn *fn,
                                                  void *arg);
void loop_watch_free(struct loop_watch *w); /* NULL allowed */

/* fn is called on the loop, not in a handler; lives until loop_free(). */
void loop_on_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *arg);

const char *loop_library_version(void);

#endif
