#include "config.h"

#include "engine/process.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/thr.h"
#include "core/loop.h"
#include "engine/eventpath.h"
#include "engine/legacy.h"
#include "engine/services.h"
#include "engine/stopsig.h"
#include "engine/watchdog.h"

#include <stdlib.h>

struct process {
    struct watchdog *watchdog; /* NULL: none */
    struct services *services;
    struct loop *loop;       /* NULL: the legacy loop polls */
    struct stopsig *signals; /* NULL: none are heard */
    struct loop_timer beat;
    size_t running; /* event paths on the loop */
};

/* ---- on the event loop ---- */

static void process_on_beat(void *arg)
{
    struct process *p = arg;
    watchdog_beat(p->watchdog);
    loop_timer_set(&p->beat, WATCHDOG_BEAT_MS);
}

static void process_on_over(void *arg)
{
    struct process *p = arg;
    if (--p->running == 0)
        loop_stop(p->loop);
}

static void process_swap(struct process_run *a, struct process_run *b)
{
    struct process_run kept = *a;
    *a = *b;
    *b = kept;
}

static void process_say_fallback(const struct err *why)
{
    log_line(LOG_ALWAYS, "WARNING: %s; polling by the legacy loop", why->text);
}

/* Returns how many runs are left for the legacy loop; they come first in `runs` then. */
static size_t process_poll_on_loop(struct process *p, struct process_run *runs, size_t count)
{
    struct eventpath **paths = mem_zalloc(count + 1, sizeof(*paths));
    struct err err = ERR_INIT;
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        paths[i] = eventpath_start(runs[i].cycle, p->services, p->loop, p->signals, process_on_over,
                                   p, &err);
        if (paths[i] != NULL)
            p->running++;
        else
            process_say_fallback(&err);
    }
    process_on_beat(p);
    if (p->running > 0)
        loop_run(p->loop);
    loop_timer_cancel(&p->beat);
    watchdog_rest(p->watchdog);
    for (size_t i = 0; i < count; i++) {
        if (paths[i] != NULL)
            runs[i].polled = eventpath_finish(paths[i], &runs[i].err);
        else
            process_swap(&runs[left++], &runs[i]);
    }
    free(paths);
    return left;
}

/* ---- by threads ---- */

struct process_legacy {
    struct process *p;
    struct process_run *run;
    struct stopsig *signals;
};

static void *process_run_legacy(void *arg)
{
    struct process_legacy *l = arg;
    l->run->polled = legacy_run(l->run->cycle, l->p->services, l->signals, &l->run->err);
    return NULL;
}

/* All but the first on threads of their own. */
static void process_poll_by_threads(struct process *p, struct process_run *runs, size_t count,
                                    struct stopsig *signals)
{
    pthread_t *threads = mem_zalloc(count + 1, sizeof(*threads));
    bool *started = mem_zalloc(count + 1, sizeof(*started));
    struct process_legacy *all = mem_zalloc(count + 1, sizeof(*all));
    for (size_t i = 0; i < count; i++) {
        all[i] = (struct process_legacy){p, &runs[i], signals};
        started[i] = i > 0 && thr_start(&threads[i], "cycle", process_run_legacy, &all[i], NULL);
    }
    for (size_t i = 0; i < count; i++)
        if (!started[i])
            process_run_legacy(&all[i]);
    for (size_t i = 0; i < count; i++)
        if (started[i])
            thr_join(threads[i]);
    free(all);
    free(started);
    free(threads);
}

/* ---- both ---- */

static void process_say_deaf(const struct err *why)
{
    log_line(LOG_ALWAYS, "WARNING: stop signals are not heard: %s", why->text);
}

static void process_hear(struct process *p)
{
    struct err err = ERR_INIT;
    p->signals = stopsig_start(p->loop, &err);
    if (p->signals == NULL)
        process_say_deaf(&err);
}

static void process_drop_loop(struct process *p)
{
    struct err err = ERR_INIT;
    p->signals = stopsig_leave_loop(p->signals, &err);
    if (p->signals == NULL)
        process_say_deaf(&err);
    loop_free(p->loop);
    p->loop = NULL;
}

void process_poll(struct process *p, struct process_run *runs, size_t count)
{
    if (p->loop == NULL) {
        process_poll_by_threads(p, runs, count, p->signals);
        return;
    }
    size_t left = process_poll_on_loop(p, runs, count);
    if (left == 0)
        return;
    process_drop_loop(p); /* it takes descriptors that the legacy loop may need */
    process_poll_by_threads(p, runs, left, p->signals);
}

struct process *process_new(const struct config *config, const struct ping_sockets *sockets,
                            struct watchdog *watchdog, struct err *err)
{
    struct process *p = mem_zalloc(1, sizeof(*p));
    struct err why = ERR_INIT;
    p->watchdog = watchdog;
    p->services = services_new(sockets, err);
    if (p->services == NULL) {
        free(p);
        return NULL;
    }
    if (config->event_loop && (p->loop = loop_new(LOOP_LIBEVENT, &why)) == NULL)
        process_say_fallback(&why);
    if (config->async_snmp && p->loop == NULL)
        log_line(LOG_ALWAYS,
                 "WARNING: SNMP and ping cannot wait on the loop (async-snmp) without the "
                 "event loop (event-loop); polled as before");
    if (p->loop != NULL)
        loop_timer_init(&p->beat, p->loop, process_on_beat, p);
    process_hear(p); /* before a row is opened */
    return p;
}

void process_leave(struct process *p)
{
    stopsig_stop(p->signals);
    p->signals = NULL;
}

void process_free(struct process *p)
{
    if (p == NULL)
        return;
    stopsig_stop(p->signals);
    services_free(p->services);
    loop_free(p->loop);
    free(p);
}
