#include "config.h"

#include "loop_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long callbacks may go on in one turn, so that a flood of answers or letters does not delay
 * the timers; one of them may be longer. */
enum { TURN_US = 5000 };

static void on_bell(void *arg);

/* ---- back ends ---- */

static const struct loop_backend *const backends[] = {
#ifdef HAVE_LIBEVENT
    [LOOP_LIBEVENT] = &loop_libevent,
#endif
    [LOOP_POLL] = &loop_poll,
};

bool loop_kind_is_built(enum loop_kind kind)
{
    return backends[kind] != NULL;
}

const char *loop_library_version(void)
{
    const struct loop_backend *b = backends[LOOP_LIBEVENT];
    return b == NULL ? NULL : b->version();
}

/* ---- the loop ---- */

struct loop *loop_new(enum loop_kind kind, struct err *err)
{
    if (!loop_kind_is_built(kind)) {
        err_set(err, ERR_OS, "this build has no event loop (libevent)");
        return NULL;
    }
    struct loop *loop = backends[kind]->open(err);
    if (loop == NULL)
        return NULL;
    loop->backend = backends[kind];
    if (!loop_bell_open(loop, err)) {
        loop->backend->close(loop);
        return NULL;
    }
    loop->thread = thr_self();
    TAILQ_INIT(&loop->taken);
    TAILQ_INIT(&loop->posted);
    thr_mutex_init(&loop->lock);
    loop_watch_start(&loop->bell_watch, loop, loop->bell[0], LOOP_READABLE, on_bell, loop);
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    loop_assert_here(loop);
    loop_watch_stop(&loop->bell_watch);
    CHECK(loop->watches_started == 0);
    loop_timers_done(loop);
    CHECK(TAILQ_EMPTY(&loop->taken) && TAILQ_EMPTY(&loop->posted));
    loop_bell_close(loop);
    thr_mutex_done(&loop->lock);
    loop->backend->close(loop);
}

void loop_adopt(struct loop *loop)
{
    CHECK(!loop->turning);
    loop->thread = thr_self();
}

void loop_assert_here(const struct loop *loop)
{
    CHECK(pthread_equal(loop->thread, thr_self()));
}

static void turn_within(struct loop *loop, int64_t wait_us)
{
    loop_assert_here(loop);
    CHECK(!loop->turning);
    loop->turning = true;
    loop->turns++;
    loop->turn_ends_us = 0;
    loop->backend->turn(loop, wait_us);
    loop_timers_fire(loop);
    loop->turning = false;
}

bool loop_turn_goes_on(struct loop *loop)
{
    int64_t now_us = clock_mono_us();
    if (loop->turn_ends_us == 0)
        loop->turn_ends_us = now_us + TURN_US;
    return now_us < loop->turn_ends_us;
}

void loop_turn(struct loop *loop)
{
    turn_within(loop, loop_timers_wait_us(loop));
}

void loop_turn_now(struct loop *loop)
{
    turn_within(loop, 0);
}

void loop_run(struct loop *loop)
{
    do
        loop_turn(loop);
    while (!loop->stopping);
    loop->stopping = false;
}

void loop_stop(struct loop *loop)
{
    loop_assert_here(loop);
    loop->stopping = true;
}

uint64_t loop_turns(const struct loop *loop)
{
    return loop->turns;
}

int64_t loop_take_lag_us(struct loop *loop)
{
    int64_t lag_us = loop->lag_us;
    loop->lag_us = 0;
    return lag_us;
}

bool loop_can_open(int count, struct err *err)
{
    int *probe = mem_zalloc((size_t)count, sizeof(*probe));
    int got = 0, reason = 0;
    while (got < count && reason == 0) {
        int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        if (fd < 0 && errno == EBADF)
            fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            reason = errno;
        else
            probe[got++] = fd;
    }
    while (got > 0)
        close(probe[--got]);
    free(probe);
    if (reason != 0)
        err_set_number(err, ERR_OS, reason, "not enough descriptors: %s", strerror(reason));
    return reason == 0;
}

void loop_on_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *arg)
{
    loop_assert_here(loop);
    CHECK(loop->backend->on_signal != NULL);
    loop->backend->on_signal(loop, signo, fn, arg);
}

/* ---- descriptors ---- */

void loop_watch_start(struct loop_watch *w, struct loop *loop, int fd,
                      enum loop_readiness readiness, loop_fn *fn, void *arg)
{
    loop_assert_here(loop);
    CHECK(w->loop == NULL);
    *w = (struct loop_watch){.loop = loop, .fn = fn, .arg = arg, .fd = fd, .readiness = readiness};
    loop->watches_started++;
    loop->backend->watch(w);
}

void loop_watch_stop(struct loop_watch *w)
{
    if (w->loop == NULL)
        return;
    loop_assert_here(w->loop);
    w->loop->backend->unwatch(w);
    w->loop->watches_started--;
    w->loop = NULL;
}

bool loop_watch_is_started(const struct loop_watch *w)
{
    return w->loop != NULL;
}

/* ---- posts ---- */

bool loop_try_post(struct loop *loop, struct loop_letter *letter, loop_fn *fn, void *arg)
{
    thr_lock(&loop->lock);
    bool accepted = !loop->closed;
    bool first = TAILQ_EMPTY(&loop->posted);
    if (accepted) {
        CHECK(letter->loop == NULL);
        letter->loop = loop;
        letter->fn = fn;
        letter->arg = arg;
        letter->round = loop->round;
        TAILQ_INSERT_TAIL(&loop->posted, letter, next);
        if (first) /* under the lock: the loop may be freed once the letter can be delivered */
            loop_bell_ring(loop);
    }
    thr_unlock(&loop->lock);
    return accepted;
}

void loop_post(struct loop *loop, struct loop_letter *letter, loop_fn *fn, void *arg)
{
    CHECK(loop_try_post(loop, letter, fn, arg));
}

static void take_posted(struct loop *loop)
{
    thr_lock(&loop->lock);
    TAILQ_CONCAT(&loop->taken, &loop->posted, next);
    loop->round++;
    thr_unlock(&loop->lock);
}

static void deliver_first(struct loop *loop)
{
    struct loop_letter *letter = TAILQ_FIRST(&loop->taken);
    TAILQ_REMOVE(&loop->taken, letter, next);
    letter->loop = NULL;
    letter->fn(letter->arg);
}

/* The bell is drained before the queue is taken, so that a letter posted in between rings again. */
static void on_bell(void *arg)
{
    struct loop *loop = arg;
    loop_bell_drain(loop);
    take_posted(loop);
    do
        if (!TAILQ_EMPTY(&loop->taken))
            deliver_first(loop);
    while (!TAILQ_EMPTY(&loop->taken) && loop_turn_goes_on(loop));
    if (!TAILQ_EMPTY(&loop->taken))
        loop_bell_ring(loop);
}

bool loop_take_back(struct loop_letter *letter)
{
    struct loop *loop = letter->loop;
    if (loop == NULL)
        return false;
    loop_assert_here(loop);
    thr_lock(&loop->lock);
    if (letter->round == loop->round)
        TAILQ_REMOVE(&loop->posted, letter, next);
    else
        TAILQ_REMOVE(&loop->taken, letter, next);
    letter->loop = NULL;
    thr_unlock(&loop->lock);
    return true;
}

void loop_close_posts(struct loop *loop)
{
    loop_assert_here(loop);
    thr_lock(&loop->lock);
    loop->closed = true;
    thr_unlock(&loop->lock);
    take_posted(loop);
    while (!TAILQ_EMPTY(&loop->taken))
        deliver_first(loop);
}
