#include "config.h"

#include "loop_private.h"

#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>

struct poll_loop {
    struct loop loop; /* first */

    struct loop_watch **watches; /* in step with polled; each knows its place */
    struct pollfd *polled;
    size_t watch_count, watch_cap;
    size_t first; /* where the next turn begins */
    bool holes;   /* watches that were stopped since the last turn began */
};

static struct poll_loop *poll_of(struct loop *loop)
{
    return (struct poll_loop *)loop;
}

static struct loop *poll_open(struct err *err UNUSED)
{
    struct poll_loop *p = mem_zalloc(1, sizeof(*p));
    return &p->loop;
}

static void poll_close(struct loop *loop)
{
    struct poll_loop *p = poll_of(loop);
    free(p->watches);
    free(p->polled);
    free(p);
}

/* ---- descriptors ---- */

static void poll_watch(struct loop_watch *w)
{
    struct poll_loop *p = poll_of(w->loop);
    if (p->watch_count == p->watch_cap) {
        p->watch_cap = p->watch_cap == 0 ? 16 : p->watch_cap * 2;
        p->watches = mem_realloc(p->watches, p->watch_cap, sizeof(p->watches[0]));
        p->polled = mem_realloc(p->polled, p->watch_cap, sizeof(p->polled[0]));
    }
    size_t place = w->storage.place = p->watch_count++;
    p->watches[place] = w;
    p->polled[place] =
        (struct pollfd){.fd = w->fd, .events = w->readiness == LOOP_READABLE ? POLLIN : POLLOUT};
}

/* The turn in progress may be going through the list, so a hole is left in it. */
static void poll_unwatch(struct loop_watch *w)
{
    struct poll_loop *p = poll_of(w->loop);
    p->watches[w->storage.place] = NULL;
    p->polled[w->storage.place] = (struct pollfd){.fd = -1};
    p->holes = true;
}

static void close_holes(struct poll_loop *p)
{
    size_t n = 0;
    if (!p->holes)
        return;
    for (size_t i = 0; i < p->watch_count; i++) {
        if (p->watches[i] == NULL)
            continue;
        p->watches[n] = p->watches[i];
        p->watches[n]->storage.place = n;
        p->polled[n] = p->polled[i];
        n++;
    }
    p->watch_count = n;
    p->holes = false;
}

/* ---- one turn ---- */

/* Rounded up, so that a timer is due after the wait. */
static int wait_ms(int64_t wait_us)
{
    if (wait_us < 0)
        return -1;
    int64_t ms = (wait_us + 999) / 1000;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void poll_turn(struct loop *loop, int64_t wait_us)
{
    struct poll_loop *p = poll_of(loop);
    close_holes(p);
    size_t count = p->watch_count; /* callbacks may add more, which were not polled */
    int n = poll(p->polled, count, wait_ms(wait_us));
    CHECK(n >= 0 || errno == EINTR || errno == EAGAIN || errno == ENOMEM);
    bool goes_on = n > 0;
    size_t first = p->first;
    for (size_t k = 0; goes_on && k < count; k++) {
        size_t i = (first + k) % count;
        if (p->watches[i] == NULL || p->polled[i].revents == 0)
            continue;
        p->first = i + 1; /* the next turn begins where this one ends */
        p->watches[i]->fn(p->watches[i]->arg);
        goes_on = loop_turn_goes_on(loop);
    }
}

const struct loop_backend loop_poll = {
    .open = poll_open,
    .close = poll_close,
    .turn = poll_turn,
    .watch = poll_watch,
    .unwatch = poll_unwatch,
};
