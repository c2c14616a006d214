#include "config.h"

#include "drivers/exchange_waiter.h"

#include "base/clock.h"
#include "base/mem.h"

#include <poll.h>
#include <stdlib.h>

static void waiter_on_ready(void *arg);
static void waiter_on_time(void *arg);
static void waiter_on_letter(void *arg);
static void waiter_on_answer(void *arg);

/* Few exchanges need one: keys are made once for many devices. */
struct waiter_job {
    struct job job; /* first */
    struct exchange_waiter *waiter;
};

/* ---- the wire: as the system's, but a watched descriptor is left before it is closed ---- */

static void waiter_close(void *arg, int fd)
{
    struct exchange_waiter *w = arg;
    if (w->fd == fd)
        loop_watch_stop(&w->watch);
    wire_sockets.close(wire_sockets.arg, fd);
}

const struct wire *exchange_waiter_wire(const struct exchange_waiter *w)
{
    return &w->wire;
}

void exchange_waiter_init(struct exchange_waiter *w, const struct exchange_waiter_on *on,
                          loop_fn *over, void *arg)
{
    *w = (struct exchange_waiter){.on = on, .over = over, .arg = arg, .fd = -1};
    w->wire = wire_sockets;
    w->wire.close = waiter_close;
    w->wire.arg = w;
    w->query.told = waiter_on_answer;
    w->query.arg = w;
    loop_timer_init(&w->timer, on->loop, waiter_on_time, w);
}

/* ---- feeding ---- */

static void waiter_tell(struct exchange_waiter *w, enum exchange_event_kind kind)
{
    exchange_feed(w->x, &(struct exchange_event){.kind = kind, .now_us = clock_mono_us()});
}

static void waiter_tell_address(struct exchange_waiter *w, const struct address *address,
                                const struct err *err)
{
    exchange_feed(w->x, &(struct exchange_event){.kind = address != NULL ? EXCHANGE_ADDRESS_FOUND
                                                                         : EXCHANGE_ADDRESS_FAILED,
                                                 .now_us = clock_mono_us(),
                                                 .address = address,
                                                 .err = err});
}

/* ---- what is wanted ---- */

static void waiter_set_timer(struct exchange_waiter *w, int64_t until_us)
{
    if (until_us == INT64_MAX)
        loop_timer_cancel(&w->timer);
    else
        loop_timer_set_at_us(&w->timer, until_us);
}

static void waiter_watch(struct exchange_waiter *w, int fd, short events)
{
    if (loop_watch_is_started(&w->watch) && w->fd == fd && w->events == events)
        return;
    loop_watch_stop(&w->watch);
    w->fd = fd;
    w->events = events;
    loop_watch_start(&w->watch, w->on->loop, fd, events & POLLOUT ? LOOP_WRITABLE : LOOP_READABLE,
                     waiter_on_ready, w);
}

static void waiter_run_job(struct job *job)
{
    const struct want *want = &((struct waiter_job *)job)->waiter->x->want;
    want->job(want->arg);
}

static void waiter_go_on(struct exchange_waiter *w);

static void waiter_done_job(struct job *job, bool cancelled UNUSED)
{
    struct exchange_waiter *w = ((struct waiter_job *)job)->waiter;
    free(job);
    w->working = false;
    waiter_tell(w, EXCHANGE_JOB_DONE);
    waiter_go_on(w);
}

static void waiter_work(struct exchange_waiter *w)
{
    static const struct job_calls calls = {.run = waiter_run_job, .done = waiter_done_job};
    if (w->working)
        return;
    struct waiter_job *job = mem_zalloc(1, sizeof(*job));
    job->waiter = w;
    w->working = true;
    loop_timer_cancel(&w->timer);
    pool_submit(w->on->jobs, &job->job, &calls);
}

/* true: it has been fed an answer. */
static bool waiter_name(struct exchange_waiter *w)
{
    const struct want *want = &w->x->want;
    struct address address;
    struct err err = ERR_INIT;
    enum resolve_now now = RESOLVE_LATER;
    if (!w->naming)
        now = resolver_ask(w->on->resolver, want->name, want->family, &w->query, &address, &err);
    w->naming = now == RESOLVE_LATER;
    if (w->naming) {
        int64_t until_ms = w->query.until_mono_ms;
        waiter_set_timer(w, until_ms < want->until_us / 1000 ? until_ms * 1000 : want->until_us);
        return false;
    }
    waiter_tell_address(w, now == RESOLVE_FOUND ? &address : NULL, &err);
    return true;
}

static void waiter_stop_naming(struct exchange_waiter *w)
{
    if (w->naming)
        resolver_forget(w->on->resolver, &w->query);
    w->naming = false;
}

/* No other thread posts the letter now: the query is forgotten, and the exchange is over. */
static void waiter_end(struct exchange_waiter *w)
{
    waiter_stop_naming(w);
    (void)loop_take_back(&w->letter);
    atomic_store(&w->nudged, false);
    loop_timer_cancel(&w->timer);
    w->x = NULL;
}

/* Until it has to wait.  The descriptor is watched on when the exchange is over: the next request
 * mostly waits for it, too. */
static void waiter_go_on(struct exchange_waiter *w)
{
    while (w->x->want.kind == WANT_ADDRESS && waiter_name(w))
        continue;
    const struct want *want = &w->x->want;
    if (want->kind != WANT_ADDRESS)
        waiter_stop_naming(w);
    switch (want->kind) {
    case WANT_ADDRESS: break;
    case WANT_JOB: waiter_work(w); break;
    case WANT_IO:
        waiter_watch(w, want->fd, want->events);
        waiter_set_timer(w, want->until_us);
        break;
    case WANT_TIME: waiter_set_timer(w, want->until_us); break;
    case WANT_NOTHING:
        if (w->starting) {
            loop_timer_set_at_us(&w->timer, 0);
        } else {
            waiter_end(w);
            w->over(w->arg);
        }
        break;
    }
}

void exchange_waiter_start(struct exchange_waiter *w, struct exchange *x)
{
    CHECK(w->x == NULL);
    w->x = x;
    w->starting = true;
    waiter_go_on(w);
    w->starting = false;
}

bool exchange_waiter_give_up(struct exchange_waiter *w)
{
    CHECK(w->x != NULL);
    waiter_stop_naming(w);
    if (w->x->want.kind != WANT_NOTHING)
        waiter_tell(w, EXCHANGE_GIVE_UP);
    if (w->working)
        return false;
    CHECK(w->x->want.kind == WANT_NOTHING);
    waiter_end(w);
    return true;
}

/* ---- what happens ---- */

/* A message for an exchange that is over is ignored. */
static void waiter_on_ready(void *arg)
{
    struct exchange_waiter *w = arg;
    if (w->x == NULL || w->x->want.kind != WANT_IO) {
        loop_watch_stop(&w->watch);
        return;
    }
    waiter_tell(w, EXCHANGE_READY);
    waiter_go_on(w);
}

static bool waiter_has_io(const struct want *want)
{
    return want->kind == WANT_IO && wire_sockets.ready(wire_sockets.arg, want->fd, want->events);
}

static void waiter_on_time(void *arg)
{
    struct exchange_waiter *w = arg;
    struct err err = ERR_INIT;
    if (w->naming && clock_mono_us() < w->x->want.until_us) {
        if (!resolver_late(w->on->resolver, &w->query, &err))
            return; /* the letter is on its way */
        w->naming = false;
        waiter_tell_address(w, NULL, &err);
    } else {
        if (waiter_has_io(&w->x->want))
            waiter_tell(w, EXCHANGE_READY);
        if (w->x->want.kind != WANT_NOTHING && clock_mono_us() >= w->x->want.until_us)
            waiter_tell(w, EXCHANGE_TIME);
    }
    waiter_go_on(w);
}

static void waiter_on_letter(void *arg)
{
    struct exchange_waiter *w = arg;
    atomic_store(&w->nudged, false);
    if (w->naming)
        w->naming = false; /* it is asked for again, and the answer is there */
    else
        waiter_tell(w, EXCHANGE_READY);
    waiter_go_on(w);
}

/* On a thread of the resolver's. */
static void waiter_on_answer(void *arg)
{
    exchange_waiter_nudge(arg);
}

void exchange_waiter_nudge(struct exchange_waiter *w)
{
    if (!atomic_exchange(&w->nudged, true))
        loop_post(w->on->loop, &w->letter, waiter_on_letter, w);
}

void exchange_waiter_done(struct exchange_waiter *w)
{
    CHECK(w->x == NULL);
    loop_watch_stop(&w->watch);
}
