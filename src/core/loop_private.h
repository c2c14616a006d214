/* What loop.c and its back ends share. */
#ifndef SPINE_CORE_LOOP_PRIVATE_H
#define SPINE_CORE_LOOP_PRIVATE_H

#include "core/loop.h"

#include "base/thr.h"

TAILQ_HEAD(loop_letter_list, loop_letter);

/* What a back end can do: wait and watch descriptors. */
struct loop_backend {
    /* The loop is the first member of what this returns, zeroed; the bell is not there yet. */
    struct loop *(*open)(struct err *err);
    void (*close)(struct loop *loop); /* all but the bell */
    /* Wait for descriptors that are ready, at most that long (0: not at all, negative: without a
     * limit), and call their watches. */
    void (*turn)(struct loop *loop, int64_t wait_us);
    void (*watch)(struct loop_watch *w);
    void (*unwatch)(struct loop_watch *w);
    void (*on_signal)(struct loop *loop, int signo, loop_signal_fn *fn, void *arg); /* or NULL */
    const char *(*version)(void);                                                   /* or NULL */
};

extern const struct loop_backend loop_libevent, loop_poll;

struct loop {
    const struct loop_backend *backend;
    pthread_t thread;
    bool turning, stopping;
    size_t watches_started;
    uint64_t turns;
    int64_t lag_us;
    int64_t turn_ends_us; /* of callbacks; 0: the turn has had none yet */

    struct loop_timer **heap; /* those that are set, the next one first */
    size_t timer_count, timer_cap;

    int bell[2]; /* a non-blocking pair, 0 to read from, 1 to write to */
    struct loop_watch bell_watch;
    struct loop_letter_list taken; /* off the queue, not yet delivered */

    struct thr_mutex lock;
    struct loop_letter_list posted; /* under lock, like the rest */
    uint64_t round GUARDED;         /* how often the queue was taken */
    bool closed GUARDED;
};

/* After a callback: may the turn go on?  Else what is ready waits for the next one, after the timers. */
bool loop_turn_goes_on(struct loop *loop);

/* ---- loop_bell.c: the descriptor by which other threads wake the loop ---- */

NODISCARD bool loop_bell_open(struct loop *loop, struct err *err);
void loop_bell_close(struct loop *loop);
void loop_bell_ring(struct loop *loop); /* any thread */
void loop_bell_drain(struct loop *loop);

/* ---- loop_libevent.c ---- */

/* The bell's two ends, made by evutil; false: errno says why not. */
NODISCARD bool loop_libevent_pair(int pair[2]);

/* ---- loop_timer.c ---- */

/* Until the next timer is due: 0 = it is, negative = none is set. */
int64_t loop_timers_wait_us(const struct loop *loop);
void loop_timers_fire(struct loop *loop);
void loop_timers_done(struct loop *loop);

#endif
