/* core/loop.h - timers, descriptors, signals and posts from other threads, for one thread.
 *
 * Why:     everything that waits without blocking waits here, one callback at a time.  There are
 *          two back ends, libevent and poll(2), behind this one header; no type of theirs shows.
 * Use:     struct loop *loop = loop_new(LOOP_POLL, &err);
 *          loop_timer_init(&owner->timer, loop, on_time, owner);
 *          loop_timer_set(&owner->timer, 500);
 *          loop_watch_start(&owner->watch, loop, fd, LOOP_READABLE, on_readable, owner);
 *          loop_run(loop);                                   until loop_stop()
 *          loop_watch_stop(&owner->watch);
 *          loop_timer_cancel(&owner->timer);
 *          loop_free(loop);
 *          loop_post(loop, &owner->letter, on_letter, owner);     from any thread
 * Threads: loop_post(), loop_try_post(), loop_timer_init(), loop_kind_is_built() and
 *          loop_can_open() from any thread; everything else on the loop's thread, which is checked
 *          at run time.
 * Owns:    nothing of its users: timers, watches and letters are embedded in their owners.  An
 *          owner cancels its timers and stops its watches before it is freed.
 * Promise: callbacks never nest, except in loop_close_posts().  A callback may set, cancel, start and stop any timer or watch,
 *          its own too, and may free its owner.  Timers fire in the order of their times, none before
 *          its time.
 */
#ifndef SPINE_CORE_LOOP_H
#define SPINE_CORE_LOOP_H

#include "base/compiler.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct loop;

enum loop_kind { LOOP_LIBEVENT, LOOP_POLL };

typedef void loop_fn(void *arg);
typedef void loop_signal_fn(void *arg, int signo);

/* ---- the loop ---- */

/* LOOP_POLL is always built. */
bool loop_kind_is_built(enum loop_kind kind);
/* NULL if this build has no libevent. */
const char *loop_library_version(void);

/* The loop belongs to the calling thread. */
NODISCARD struct loop *loop_new(enum loop_kind kind, struct err *err);
/* After all its timers, watches and letters; NULL allowed. */
void loop_free(struct loop *loop);
/* The calling thread becomes the loop's.  The thread that had it must not use it at that time:
 * before it starts the other one, or after it has joined it. */
void loop_adopt(struct loop *loop);
void loop_assert_here(const struct loop *loop);

/* Turn until loop_stop().  A stop that came before ends the run after one turn. */
void loop_run(struct loop *loop);
/* Wait for the next event, timer or letter and carry out what is due. */
void loop_turn(struct loop *loop);
/* The same without waiting. */
void loop_turn_now(struct loop *loop);
/* loop_run() returns at the end of the current turn. */
void loop_stop(struct loop *loop);

/* Figures: the number of turns, and by how much the latest timer was late since this was asked last. */
uint64_t loop_turns(const struct loop *loop);
int64_t loop_take_lag_us(struct loop *loop);

/* Whether that number of descriptors can be opened now; none is kept. */
bool loop_can_open(int count, struct err *err);

/* ---- timers ---- */

/* The members are private.  A zeroed timer is not set and may be cancelled. */
struct loop_timer {
    struct loop *loop;
    loop_fn *fn;
    void *arg;
    int64_t due_us;
    size_t place; /* in the loop's heap */
    bool set;
};

/* A timer fires once per set.  Setting a timer that is set moves it; a time in the past means now,
 * but never from within the call. */
void loop_timer_init(struct loop_timer *t, struct loop *loop, loop_fn *fn, void *arg);
void loop_timer_set(struct loop_timer *t, int64_t delay_ms);
void loop_timer_set_at_us(struct loop_timer *t, int64_t mono_us);
void loop_timer_cancel(struct loop_timer *t); /* idempotent */
bool loop_timer_is_set(const struct loop_timer *t);

/* ---- descriptors ---- */

enum loop_readiness { LOOP_READABLE, LOOP_WRITABLE };

/* Room for libevent's struct event, or for a place in the list of the poll(2) back end. */
enum { LOOP_EVENT_BYTES = 160 };

struct loop_watch;

union loop_storage {
    size_t place;
    TAILQ_ENTRY(loop_watch) refused;
    _Alignas(max_align_t) unsigned char event[LOOP_EVENT_BYTES];
};

/* The members are private.  A zeroed watch is not started and may be stopped. */
struct loop_watch {
    struct loop *loop; /* NULL: not started */
    loop_fn *fn;
    void *arg;
    int fd;
    enum loop_readiness readiness;
    bool refused; /* the kernel has no room for it: looked at in each turn */
    union loop_storage storage;
};

/* Calls fn in each turn in which fd is ready, which includes errors and hang-ups.  The descriptor
 * stays the caller's; stop the watch before closing it.  The watch must not be started already. */
void loop_watch_start(struct loop_watch *w, struct loop *loop, int fd,
                      enum loop_readiness readiness, loop_fn *fn, void *arg);
/* Idempotent.  fn is not called again, even if fd is ready in the current turn. */
void loop_watch_stop(struct loop_watch *w);
bool loop_watch_is_started(const struct loop_watch *w);

/* ---- posts ---- */

/* The members are private.  A letter must be zeroed before it is posted for the first time. */
struct loop_letter {
    TAILQ_ENTRY(loop_letter) next;
    struct loop *loop; /* NULL: not posted */
    loop_fn *fn;
    void *arg;
    uint64_t round;
};

/* Have fn(arg) called once on the loop's thread, in the order of the posts and never from within
 * this call.  The letter is the loop's until fn begins, then the owner's again.  What a callback
 * posts is delivered in a later turn. */
void loop_post(struct loop *loop, struct loop_letter *letter, loop_fn *fn, void *arg);
/* The same; false: loop_close_posts() has been called and fn will not be called. */
NODISCARD bool loop_try_post(struct loop *loop, struct loop_letter *letter, loop_fn *fn, void *arg);
/* On the loop's thread, not while another thread may be posting the letter: true if it was posted
 * and not yet delivered; it is the owner's again and fn will not be called. */
bool loop_take_back(struct loop_letter *letter);
/* Deliver all letters now and refuse those that come later. */
void loop_close_posts(struct loop *loop);

/* ---- signals ---- */

/* LOOP_LIBEVENT only.  fn is called on the loop, not in a handler, until loop_free(). */
void loop_on_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *arg);

#endif
