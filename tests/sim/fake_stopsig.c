/* In the place of engine/stopsig.o: the plan's signal comes when it says. */
#include "config.h"

#include "engine/stopsig.h"

#include "sim.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/thr.h"
#include "core/loop.h"

#include <stdlib.h>

struct stopsig {
    struct loop *loop; /* NULL: a thread of its own */
    struct loop_letter letter;
    pthread_t thread;
    struct thr_mutex lock;
    bool ending, due;
    int signo;
    TAILQ_HEAD(, stopsig_listener) listeners;
};

static struct stopsig *listening; /* whom the event tells; NULL: none */

void stopsig_normalise(void)
{
}

void stopsig_log(int signo)
{
    log_line(LOG_ALWAYS, "FATAL: signal %d", signo);
}

void stopsig_die(int signo)
{
    sim_fail("the process ends by signal %d", signo);
}

static void tell_stop(struct stopsig *s)
{
    struct stopsig_listener *l;
    thr_lock(&s->lock);
    s->signo = sim_plan()->signal;
    sim_net_until(sim_now_us());
    TAILQ_FOREACH (l, &s->listeners, next)
        l->stop(l->arg, s->signo);
    thr_unlock(&s->lock);
}

static void on_letter(void *arg)
{
    tell_stop(arg);
}

static void on_signal(void *arg)
{
    struct stopsig *s = arg;
    if (s != listening)
        return;
    s->due = true;
    sim_kick();
}

static bool is_due(void *arg)
{
    const struct stopsig *s = arg;
    return s->due || s->ending;
}

/* On a loop the thread stands for the kernel. */
static void *wait_signal(void *arg)
{
    struct stopsig *s = arg;
    (void)sim_wait(is_due, s, INT64_MAX);
    if (s->ending)
        return NULL;
    if (s->loop != NULL)
        loop_post(s->loop, &s->letter, on_letter, s);
    else
        tell_stop(s);
    return NULL;
}

struct stopsig *stopsig_start(struct loop *loop, struct err *err)
{
    struct stopsig *s = mem_zalloc(1, sizeof(*s));
    s->loop = loop;
    TAILQ_INIT(&s->listeners);
    thr_mutex_init(&s->lock);
    listening = s;
    CHECK(thr_start(&s->thread, "signals", wait_signal, s, err));
    if (sim_plan()->signal_ms > 0)
        sim_at(sim_start_us() + sim_plan()->signal_ms * 1000, on_signal, s);
    return s;
}

struct stopsig *stopsig_new_told(struct loop *loop UNUSED)
{
    sim_fail("no cycle of the simulation has a host");
    return NULL;
}

void stopsig_tell(struct stopsig *s UNUSED, int signo UNUSED)
{
}

struct stopsig *stopsig_leave_loop(struct stopsig *s, struct err *err UNUSED)
{
    (void)loop_take_back(&s->letter);
    s->loop = NULL;
    return s;
}

void stopsig_stop(struct stopsig *s)
{
    if (s == NULL)
        return;
    s->ending = true;
    listening = NULL;
    sim_kick();
    thr_join(s->thread);
    if (s->loop != NULL)
        (void)loop_take_back(&s->letter);
    thr_mutex_done(&s->lock);
    free(s);
}

void stopsig_listen(struct stopsig *s, struct stopsig_listener *l)
{
    thr_lock(&s->lock);
    TAILQ_INSERT_TAIL(&s->listeners, l, next);
    if (s->signo != 0)
        l->stop(l->arg, s->signo);
    thr_unlock(&s->lock);
}

void stopsig_forget(struct stopsig *s, struct stopsig_listener *l)
{
    thr_lock(&s->lock);
    TAILQ_REMOVE(&s->listeners, l, next);
    thr_unlock(&s->lock);
}
