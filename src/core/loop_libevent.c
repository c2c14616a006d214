#include "config.h"

#include "loop_private.h"

#include "base/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/util.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

_Static_assert(sizeof(struct event) <= LOOP_EVENT_BYTES, "room for an event");
_Static_assert(_Alignof(struct event) <= _Alignof(union loop_storage), "an event can be placed");

/* libevent ends the process when a part of a new base cannot be made, so this number of descriptors
 * must be available first: epoll, timer, signal pair, and the bell. */
enum { BASE_DESCRIPTORS = 6, SIGNALS_MAX = 16 };

struct libevent_signal {
    struct event event;
    loop_signal_fn *fn;
    void *arg;
};

struct libevent_loop {
    struct loop loop; /* first */
    struct event_base *base;
    struct event wait; /* until the next timer is due */
    struct libevent_signal signals[SIGNALS_MAX];
    int signal_count;
    TAILQ_HEAD(, loop_watch) refused; /* by the kernel, which limits what is watched for a user */
};

/* How often what the kernel refuses to watch is looked at. */
enum { REFUSED_US = 10000 };

static struct event_base *base_of(struct loop *loop)
{
    return ((struct libevent_loop *)loop)->base;
}

static struct event *event_of(union loop_storage *storage)
{
    return (struct event *)(void *)storage->event;
}

/* ---- the base ---- */

static void quiet(int severity UNUSED, const char *text UNUSED)
{
}

/* Without locks: other threads post and do not touch the base.  Precise: its own clock is as coarse
 * as the kernel's tick, so that a timer of 1 ms would take 4. */
static struct event_base *new_base(void)
{
    struct event_config *cfg = event_config_new();
    struct event_base *base = NULL;
    if (cfg == NULL)
        return NULL;
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(cfg, EVENT_BASE_FLAG_IGNORE_ENV);
#if LIBEVENT_VERSION_NUMBER >= 0x02010200
    event_config_set_flag(cfg, EVENT_BASE_FLAG_PRECISE_TIMER);
#endif
    base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    return base;
}

bool loop_libevent_pair(int pair[2])
{
    if (evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return false;
    for (int i = 0; i < 2; i++) {
        evutil_make_socket_nonblocking(pair[i]);
        evutil_make_socket_closeonexec(pair[i]);
    }
    return true;
}

static void on_nothing(evutil_socket_t signo UNUSED, short what UNUSED, void *arg UNUSED)
{
}

/* With the first signal the library watches a descriptor of its own, which may be refused. */
static bool can_hear_signals(struct event_base *base)
{
    struct event probe;
    CHECK(event_assign(&probe, base, SIGUSR1, EV_SIGNAL | EV_PERSIST, on_nothing, NULL) == 0);
    bool ok = event_add(&probe, NULL) == 0;
    event_del(&probe);
    return ok;
}

static void on_waited(evutil_socket_t fd UNUSED, short what UNUSED, void *arg UNUSED)
{
}

static struct loop *libevent_open(struct err *err)
{
    CHECK(event_get_struct_event_size() <= LOOP_EVENT_BYTES); /* of the library at run time */
    event_set_log_callback(quiet);
    if (!loop_can_open(BASE_DESCRIPTORS, err))
        return NULL;
    struct event_base *base = new_base();
    if (base != NULL && !can_hear_signals(base)) {
        event_base_free(base);
        base = NULL;
    }
    if (base == NULL) {
        err_set(err, ERR_OS, "cannot create the event base");
        return NULL;
    }
    struct libevent_loop *l = mem_zalloc(1, sizeof(*l));
    l->base = base;
    TAILQ_INIT(&l->refused);
    CHECK(event_assign(&l->wait, base, -1, 0, on_waited, NULL) == 0);
    return &l->loop;
}

static void libevent_close(struct loop *loop)
{
    struct libevent_loop *l = (struct libevent_loop *)loop;
    for (int i = 0; i < l->signal_count; i++)
        event_del(&l->signals[i].event);
    event_del(&l->wait);
    event_base_free(l->base);
    free(l);
}

/* ---- descriptors ---- */

static void on_ready(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
    struct loop_watch *w = arg;
    struct loop *loop = w->loop;
    w->fn(w->arg);
    if (!loop_turn_goes_on(loop))
        event_base_loopbreak(base_of(loop)); /* what is active stays so */
}

static bool kernel_watches(struct loop_watch *w)
{
    short what = w->readiness == LOOP_READABLE ? EV_READ : EV_WRITE;
    CHECK(event_assign(event_of(&w->storage), base_of(w->loop), w->fd, (short)(what | EV_PERSIST),
                       on_ready, w) == 0);
    return event_add(event_of(&w->storage), NULL) == 0;
}

static void put_refused(struct libevent_loop *l, struct loop_watch *w)
{
    w->refused = true;
    TAILQ_INSERT_TAIL(&l->refused, w, storage.refused);
}

static void libevent_watch(struct loop_watch *w)
{
    if (!kernel_watches(w))
        put_refused((struct libevent_loop *)w->loop, w);
}

static void libevent_unwatch(struct loop_watch *w)
{
    struct libevent_loop *l = (struct libevent_loop *)w->loop;
    if (w->refused)
        TAILQ_REMOVE(&l->refused, w, storage.refused);
    else
        event_del(event_of(&w->storage));
}

/* The kernel is asked again: it may have room by now.  Callbacks may stop any of the watches. */
static void look_at_refused(struct libevent_loop *l)
{
    size_t count = 0;
    struct loop_watch *w;
    TAILQ_FOREACH (w, &l->refused, storage.refused)
        count++;
    for (; count > 0 && (w = TAILQ_FIRST(&l->refused)) != NULL; count--) {
        struct pollfd p = {.fd = w->fd, .events = w->readiness == LOOP_READABLE ? POLLIN : POLLOUT};
        TAILQ_REMOVE(&l->refused, w, storage.refused);
        w->refused = false;
        if (kernel_watches(w))
            continue;
        put_refused(l, w);
        if (poll(&p, 1, 0) > 0)
            w->fn(w->arg);
    }
}

/* ---- one turn ---- */

/* A timer that comes early, as those of a coarse clock do, makes one turn more. */
static void libevent_turn(struct loop *loop, int64_t wait_us)
{
    struct libevent_loop *l = (struct libevent_loop *)loop;
    if (!TAILQ_EMPTY(&l->refused) && (wait_us < 0 || wait_us > REFUSED_US))
        wait_us = REFUSED_US;
    struct timeval tv = {.tv_sec = (time_t)(wait_us / 1000000),
                         .tv_usec = (suseconds_t)(wait_us % 1000000)};
    if (wait_us <= 0)
        event_del(&l->wait);
    else if (event_add(&l->wait, &tv) != 0)
        mem_lack();
    CHECK(event_base_loop(l->base, wait_us == 0 ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE) >=
          0);
    look_at_refused(l);
}

/* ---- signals ---- */

static void on_signal(evutil_socket_t signo, short what UNUSED, void *arg)
{
    struct libevent_signal *s = arg;
    s->fn(s->arg, (int)signo);
}

static void libevent_on_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *arg)
{
    struct libevent_loop *l = (struct libevent_loop *)loop;
    CHECK(l->signal_count < SIGNALS_MAX);
    struct libevent_signal *s = &l->signals[l->signal_count++];
    s->fn = fn;
    s->arg = arg;
    CHECK(event_assign(&s->event, l->base, signo, EV_SIGNAL | EV_PERSIST, on_signal, s) == 0);
    if (event_add(&s->event, NULL) != 0) /* its descriptor is watched already */
        mem_lack();
}

const struct loop_backend loop_libevent = {
    .open = libevent_open,
    .close = libevent_close,
    .turn = libevent_turn,
    .watch = libevent_watch,
    .unwatch = libevent_unwatch,
    .on_signal = libevent_on_signal,
    .version = event_get_version,
};
