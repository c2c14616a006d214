#include "config.h"

#include "core/loop.h"

#include "base/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIGNALS_MAX = 16 };

struct loop_signal {
    struct event *event;
    loop_signal_fn *fn;
    void *arg;
};

struct loop {
    struct event_base *base;
    pthread_t thread;
    struct loop_signal signals[SIGNALS_MAX];
    int signal_count;
};

struct loop_timer {
    struct loop *loop;
    struct event *event;
    loop_fn *fn;
    void *arg;
};

struct loop_watch {
    struct event *event;
    loop_fn *fn;
    void *arg;
};

static void quiet(int severity UNUSED, const char *text UNUSED)
{
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
        err_set_number(err, ERR_OS, reason, "not enough descriptors for the event path: %s",
                       strerror(reason));
    return reason == 0;
}

/* libevent ends the process when a part of a new base cannot be had, so ask for as many descriptors
 * first as it will take: epoll, timer, signal pair, and a doorbell's pair. */
enum { BASE_DESCRIPTORS = 6 };

struct loop *loop_new(struct err *err)
{
    event_set_log_callback(quiet);
    if (!loop_can_open(BASE_DESCRIPTORS, err))
        return NULL;
    struct event_config *cfg = event_config_new();
    struct event_base *base = NULL;
    if (cfg != NULL) {
        event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
        event_config_set_flag(cfg, EVENT_BASE_FLAG_IGNORE_ENV);
        base = event_base_new_with_config(cfg);
        event_config_free(cfg);
    }
    if (base == NULL) {
        err_set(err, ERR_OS, "cannot create the event base");
        return NULL;
    }
    struct loop *loop = mem_zalloc(1, sizeof(*loop));
    loop->base = base;
    loop->thread = pthread_self();
    return loop;
}

void loop_assert_here(const struct loop *loop)
{
    CHECK(pthread_equal(loop->thread, pthread_self()));
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    loop_assert_here(loop);
    for (int i = 0; i < loop->signal_count; i++)
        event_free(loop->signals[i].event);
    event_base_free(loop->base);
    free(loop);
}

void loop_run(struct loop *loop)
{
    loop_assert_here(loop);
    CHECK(event_base_dispatch(loop->base) >= 0);
}

void loop_stop(struct loop *loop)
{
    loop_assert_here(loop);
    event_base_loopexit(loop->base, NULL);
}

/* ---- timers ---- */

static void on_timer(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
    struct loop_timer *t = arg;
    t->fn(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg)
{
    loop_assert_here(loop);
    struct loop_timer *t = mem_zalloc(1, sizeof(*t));
    t->loop = loop;
    t->fn = fn;
    t->arg = arg;
    t->event = evtimer_new(loop->base, on_timer, t);
    CHECK(t->event != NULL);
    return t;
}

void loop_timer_set(struct loop_timer *t, int64_t delay_ms)
{
    loop_assert_here(t->loop);
    if (delay_ms < 0)
        delay_ms = 0;
    struct timeval tv = {.tv_sec = (time_t)(delay_ms / 1000),
                         .tv_usec = (suseconds_t)(delay_ms % 1000) * 1000};
    CHECK(evtimer_add(t->event, &tv) == 0);
}

void loop_timer_cancel(struct loop_timer *t)
{
    loop_assert_here(t->loop);
    evtimer_del(t->event);
}

void loop_timer_free(struct loop_timer *t)
{
    if (t == NULL)
        return;
    event_free(t->event);
    free(t);
}

/* ---- descriptors ---- */

static void on_ready(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
    struct loop_watch *w = arg;
    w->fn(w->arg);
}

static struct loop_watch *watch(struct loop *loop, int fd, short what, loop_fn *fn, void *arg)
{
    loop_assert_here(loop);
    struct loop_watch *w = mem_zalloc(1, sizeof(*w));
    w->fn = fn;
    w->arg = arg;
    w->event = event_new(loop->base, fd, (short)(what | EV_PERSIST), on_ready, w);
    CHECK(w->event != NULL && event_add(w->event, NULL) == 0);
    return w;
}

struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_fn *fn, void *arg)
{
    return watch(loop, fd, EV_READ, fn, arg);
}

struct loop_watch *loop_watch_new_write(struct loop *loop, int fd, loop_fn *fn, void *arg)
{
    return watch(loop, fd, EV_WRITE, fn, arg);
}

void loop_watch_free(struct loop_watch *w)
{
    if (w == NULL)
        return;
    event_free(w->event);
    free(w);
}

/* ---- signals ---- */

static void on_signal(evutil_socket_t signo, short what UNUSED, void *arg)
{
    struct loop_signal *s = arg;
    s->fn(s->arg, (int)signo);
}

void loop_on_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *arg)
{
    loop_assert_here(loop);
    CHECK(loop->signal_count < SIGNALS_MAX);
    struct loop_signal *s = &loop->signals[loop->signal_count++];
    s->fn = fn;
    s->arg = arg;
    s->event = evsignal_new(loop->base, signo, on_signal, s);
    CHECK(s->event != NULL && evsignal_add(s->event, NULL) == 0);
}

const char *loop_library_version(void)
{
    return event_get_version();
}
