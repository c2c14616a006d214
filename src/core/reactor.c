#include "config.h"

#include "core/reactor.h"

#include "base/clock.h"
#include "base/mem.h"
#ifdef HAVE_LIBEVENT
#include "core/loop.h"
#endif

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { NOT_ARMED = -1 };

struct reactor {
    struct loop *loop; /* NULL: the rest is in use */
    int bell;          /* eventfd */

    struct reactor_timer **heap; /* armed timers, the next one first */
    size_t timer_count, timer_cap;

    struct reactor_watch **watches; /* in step with polled[1...] */
    struct pollfd *polled;          /* [0] is the bell */
    size_t watch_count, watch_cap;
    bool holes; /* watches freed during a turn */
};

struct reactor_timer {
    struct reactor *reactor;
    struct loop_timer *on_loop;
    reactor_fn *fn;
    void *arg;
    int64_t due_us;
    long place; /* in the heap, or NOT_ARMED */
};

struct reactor_watch {
    struct reactor *reactor;
    struct loop_watch *on_loop;
    reactor_fn *fn;
    void *arg;
    size_t place;
};

#ifdef HAVE_LIBEVENT
struct reactor *reactor_new_on_loop(struct loop *loop)
{
    struct reactor *r = mem_zalloc(1, sizeof(*r));
    loop_assert_here(loop);
    r->loop = loop;
    r->bell = -1;
    return r;
}
#endif

struct reactor *reactor_new_on_poll(struct err *err)
{
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell < 0) {
        err_set_number(err, ERR_OS, errno, "cannot create an eventfd: %s", strerror(errno));
        return NULL;
    }
    struct reactor *r = mem_zalloc(1, sizeof(*r));
    r->bell = bell;
    r->polled = mem_zalloc(1, sizeof(r->polled[0]));
    r->polled[0] = (struct pollfd){.fd = bell, .events = POLLIN};
    return r;
}

void reactor_free(struct reactor *r)
{
    if (r == NULL)
        return;
    CHECK(r->watch_count == 0 || r->holes);
    CHECK(r->timer_count == 0);
    if (r->bell >= 0)
        close(r->bell);
    free(r->heap);
    free(r->watches);
    free(r->polled);
    free(r);
}

void reactor_ring(struct reactor *r)
{
    const uint64_t one = 1;
    ssize_t n;
    do
        n = write(r->bell, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
    CHECK(n == (ssize_t)sizeof(one) || errno == EAGAIN); /* EAGAIN: it is ringing already */
}

/* ---- timers: a binary heap ---- */

static void put(struct reactor *r, size_t place, struct reactor_timer *t)
{
    r->heap[place] = t;
    t->place = (long)place;
}

static void sift_up(struct reactor *r, size_t place)
{
    struct reactor_timer *t = r->heap[place];
    for (; place > 0 && r->heap[(place - 1) / 2]->due_us > t->due_us; place = (place - 1) / 2)
        put(r, place, r->heap[(place - 1) / 2]);
    put(r, place, t);
}

static void sift_down(struct reactor *r, size_t place)
{
    struct reactor_timer *t = r->heap[place];
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= r->timer_count)
            break;
        if (child + 1 < r->timer_count && r->heap[child + 1]->due_us < r->heap[child]->due_us)
            child++;
        if (r->heap[child]->due_us >= t->due_us)
            break;
        put(r, place, r->heap[child]);
        place = child;
    }
    put(r, place, t);
}

static void disarm(struct reactor_timer *t)
{
    struct reactor *r = t->reactor;
    if (t->place == NOT_ARMED)
        return;
    size_t place = (size_t)t->place;
    struct reactor_timer *last = r->heap[--r->timer_count];
    t->place = NOT_ARMED;
    if (last == t)
        return;
    put(r, place, last);
    sift_up(r, place);
    sift_down(r, (size_t)last->place);
}

#ifdef HAVE_LIBEVENT
static void on_loop_timer(void *arg)
{
    struct reactor_timer *t = arg;
    int64_t left_us = t->due_us - clock_mono_us();
    if (left_us > 0) /* the loop's clock is coarse and its waits are whole milliseconds */
        loop_timer_set(t->on_loop, (left_us + 999) / 1000);
    else
        t->fn(t->arg);
}
#endif

struct reactor_timer *reactor_timer_new(struct reactor *r, reactor_fn *fn, void *arg)
{
    struct reactor_timer *t = mem_zalloc(1, sizeof(*t));
    t->reactor = r;
    t->fn = fn;
    t->arg = arg;
    t->place = NOT_ARMED;
#ifdef HAVE_LIBEVENT
    if (r->loop != NULL)
        t->on_loop = loop_timer_new(r->loop, on_loop_timer, t);
#endif
    return t;
}

void reactor_timer_set(struct reactor_timer *t, int64_t delay_ms)
{
    struct reactor *r = t->reactor;
    if (delay_ms < 0)
        delay_ms = 0;
    t->due_us = clock_mono_us() + delay_ms * 1000;
#ifdef HAVE_LIBEVENT
    if (r->loop != NULL) {
        loop_timer_set(t->on_loop, delay_ms);
        return;
    }
#endif
    disarm(t);
    if (r->timer_count == r->timer_cap) {
        r->timer_cap = r->timer_cap == 0 ? 16 : r->timer_cap * 2;
        r->heap = mem_realloc(r->heap, r->timer_cap, sizeof(r->heap[0]));
    }
    put(r, r->timer_count, t);
    sift_up(r, r->timer_count++);
}

void reactor_timer_cancel(struct reactor_timer *t)
{
#ifdef HAVE_LIBEVENT
    if (t->reactor->loop != NULL) {
        loop_timer_cancel(t->on_loop);
        return;
    }
#endif
    disarm(t);
}

void reactor_timer_free(struct reactor_timer *t)
{
    if (t == NULL)
        return;
    disarm(t);
#ifdef HAVE_LIBEVENT
    loop_timer_free(t->on_loop);
#endif
    free(t);
}

/* ---- descriptors ---- */

struct reactor_watch *reactor_watch_new(struct reactor *r, int fd, enum reactor_readiness readiness,
                                        reactor_fn *fn, void *arg)
{
    struct reactor_watch *w = mem_zalloc(1, sizeof(*w));
    w->reactor = r;
    w->fn = fn;
    w->arg = arg;
#ifdef HAVE_LIBEVENT
    if (r->loop != NULL) {
        w->on_loop = readiness == REACTOR_READABLE ? loop_watch_new(r->loop, fd, fn, arg)
                                                   : loop_watch_new_write(r->loop, fd, fn, arg);
        return w;
    }
#endif
    if (r->watch_count == r->watch_cap) {
        r->watch_cap = r->watch_cap == 0 ? 16 : r->watch_cap * 2;
        r->watches = mem_realloc(r->watches, r->watch_cap, sizeof(r->watches[0]));
        r->polled = mem_realloc(r->polled, r->watch_cap + 1, sizeof(r->polled[0]));
    }
    w->place = r->watch_count++;
    r->watches[w->place] = w;
    r->polled[w->place + 1] =
        (struct pollfd){.fd = fd, .events = readiness == REACTOR_READABLE ? POLLIN : POLLOUT};
    return w;
}

void reactor_watch_free(struct reactor_watch *w)
{
    if (w == NULL)
        return;
    struct reactor *r = w->reactor;
#ifdef HAVE_LIBEVENT
    loop_watch_free(w->on_loop);
#endif
    if (r->loop == NULL) { /* the turn in progress may be looking at the list: leave a hole */
        r->watches[w->place] = NULL;
        r->polled[w->place + 1].fd = -1;
        r->polled[w->place + 1].revents = 0;
        r->holes = true;
    }
    free(w);
}

static void close_holes(struct reactor *r)
{
    size_t n = 0;
    if (!r->holes)
        return;
    for (size_t i = 0; i < r->watch_count; i++) {
        if (r->watches[i] == NULL)
            continue;
        r->watches[n] = r->watches[i];
        r->watches[n]->place = n;
        r->polled[n + 1] = r->polled[i + 1];
        n++;
    }
    r->watch_count = n;
    r->holes = false;
}

/* ---- one turn of the poll(2) kind ---- */

static int wait_ms(const struct reactor *r)
{
    if (r->timer_count == 0)
        return -1;
    int64_t left_us = r->heap[0]->due_us - clock_mono_us();
    if (left_us <= 0)
        return 0;
    int64_t ms = (left_us + 999) / 1000;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void fire_timers(struct reactor *r)
{
    int64_t now_us = clock_mono_us(); /* timers set from here on are not due before the next turn */
    while (r->timer_count > 0 && r->heap[0]->due_us <= now_us) {
        struct reactor_timer *t = r->heap[0];
        disarm(t);
        t->fn(t->arg);
    }
}

void reactor_turn(struct reactor *r)
{
    CHECK(r->loop == NULL);
    close_holes(r);
    size_t count = r->watch_count;
    int n = poll(r->polled, count + 1, wait_ms(r));
    if (n < 0) {
        CHECK(errno == EINTR || errno == EAGAIN || errno == ENOMEM);
        n = 0;
    }
    if (n > 0 && r->polled[0].revents != 0) {
        uint64_t rung;
        while (read(r->bell, &rung, sizeof(rung)) < 0 && errno == EINTR)
            ;
    }
    for (size_t i = 0; n > 0 && i < count; i++) {
        struct reactor_watch *w = r->watches[i];
        if (w != NULL && r->polled[i + 1].revents != 0)
            w->fn(w->arg);
    }
    fire_timers(r);
}
