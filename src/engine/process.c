#include "config.h"

#include "engine/process.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/thr.h"
#include "core/loop.h"
#include "drivers/snmp.h"
#include "engine/eventpath.h"
#include "engine/legacy.h"
#include "engine/services.h"
#include "engine/stopsig.h"
#include "engine/watchdog.h"

#include <stdlib.h>

struct process {
    struct watchdog *watchdog; /* NULL: none */
    struct services *services;
    bool hosted;             /* const: the services are another's, and so are the signals */
    struct loop *loop;       /* NULL: the legacy loop polls */
    struct stopsig *signals; /* NULL: none are handled */
    struct loop_timer beat;
    size_t running; /* cycles on the loop and beside it */
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

/* One cycle while it is polled. */
struct process_work {
    struct process *p;
    struct process_run *run;
    struct eventpath *path; /* NULL: by the legacy loop */
    pthread_t thread;       /* of the legacy loop, if threaded */
    struct loop_letter over;
    bool threaded, done;
};

/* What the loop did for its cycles, and by how much it was late. */
struct process_turns {
    uint64_t count;
    int64_t lag_us;
};

static void process_say_fallback(const struct err *why)
{
    log_line(LOG_ALWAYS, "WARNING: %s; polling by the legacy loop", why->text);
}

static void process_start_path(struct process_work *w)
{
    struct err err = ERR_INIT;
    struct process *p = w->p;
    w->path =
        eventpath_start(w->run->cycle, p->services, p->loop, p->signals, process_on_over, p, &err);
    if (w->path != NULL)
        p->running++;
    else
        process_say_fallback(&err);
}

/* Until every cycle is over that is polled on the loop or beside it. */
static struct process_turns process_turn_loop(struct process *p)
{
    uint64_t before = loop_turns(p->loop);
    (void)loop_take_lag_us(p->loop); /* of earlier cycles */
    process_on_beat(p);
    loop_run(p->loop);
    loop_timer_cancel(&p->beat);
    watchdog_rest(p->watchdog);
    return (struct process_turns){.count = loop_turns(p->loop) - before,
                                  .lag_us = loop_take_lag_us(p->loop)};
}

static void process_finish_path(struct process_work *w, struct process_turns turns)
{
    w->run->cycle->loop_lag_us = turns.lag_us;
    w->run->cycle->loop_turns = turns.count;
    w->run->polled = eventpath_finish(w->path, &w->run->err);
    w->done = true;
}

/* ---- by threads ---- */

static void process_run_legacy(struct process_work *w)
{
    struct process *p = w->p;
    w->run->polled = legacy_run(w->run->cycle, p->services, p->signals, &w->run->err);
}

static void *process_legacy_main(void *arg)
{
    struct process_work *w = arg;
    process_run_legacy(w);
    if (w->p->loop != NULL) /* which receives the signals meanwhile */
        loop_post(w->p->loop, &w->over, process_on_over, w->p);
    return NULL;
}

static void process_start_thread(struct process_work *w)
{
    w->threaded = thr_start(&w->thread, "cycle", process_legacy_main, w, NULL);
    if (w->threaded && w->p->loop != NULL)
        w->p->running++;
}

static void process_join(struct process_work *w)
{
    if (w->threaded && !w->done)
        thr_join(w->thread);
    w->done |= w->threaded;
}

/* ---- both ---- */

static void process_say_deaf(const struct err *why)
{
    log_line(LOG_ALWAYS, "WARNING: stop signals are not handled: %s", why->text);
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

/* No cycle waits for another one: what cannot be polled on the loop is polled beside it. */
static void process_poll_on_loop(struct process *p, struct process_work *all, size_t count)
{
    bool rest = false;
    for (size_t i = 0; i < count; i++)
        if (all[i].path == NULL)
            process_start_thread(&all[i]);
    struct process_turns turns = process_turn_loop(p);
    for (size_t i = 0; i < count; i++) {
        if (all[i].path != NULL)
            process_finish_path(&all[i], turns);
        process_join(&all[i]);
        rest |= !all[i].done;
    }
    if (rest)
        process_drop_loop(p);
}

/* All but the first on threads of their own, and those for which there is no thread after it. */
static void process_poll_by_threads(struct process_work *all, size_t count)
{
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        if (!all[i].done && !first)
            process_start_thread(&all[i]);
        first &= all[i].done;
    }
    for (size_t i = 0; i < count; i++)
        if (!all[i].done && !all[i].threaded)
            process_run_legacy(&all[i]);
    for (size_t i = 0; i < count; i++)
        process_join(&all[i]);
}

void process_poll(struct process *p, struct process_run *runs, size_t count)
{
    struct process_work *all = mem_zalloc(count + 1, sizeof(*all));
    for (size_t i = 0; i < count; i++) {
        all[i].p = p;
        all[i].run = &runs[i];
        if (p->loop != NULL)
            process_start_path(&all[i]);
    }
    if (p->running > 0) {
        snmp_library_warm(); /* while the writers open rows and read the first devices */
        process_poll_on_loop(p, all, count);
    } else if (p->loop != NULL)
        process_drop_loop(p); /* it takes descriptors that the legacy loop may need */
    process_poll_by_threads(all, count);
    free(all);
}

static struct process *process_make(const struct config *config, struct services *services,
                                    struct watchdog *watchdog)
{
    struct process *p = mem_zalloc(1, sizeof(*p));
    struct err why = ERR_INIT;
    p->watchdog = watchdog;
    p->services = services;
    if (config->event_loop && (p->loop = loop_new(LOOP_LIBEVENT, &why)) == NULL)
        process_say_fallback(&why);
    if (config->async_snmp && !config->event_loop)
        log_line(LOG_ALWAYS,
                 "WARNING: SNMP and ping cannot wait on the loop (async-snmp) without the "
                 "event loop (event-loop); polled as before");
    if (p->loop != NULL)
        loop_timer_init(&p->beat, p->loop, process_on_beat, p);
    return p;
}

struct process *process_new(const struct config *config, const struct ping_sockets *sockets,
                            struct watchdog *watchdog, struct err *err)
{
    struct services *services = services_new(sockets, err);
    if (services == NULL)
        return NULL;
    struct process *p = process_make(config, services, watchdog);
    process_hear(p); /* before a row is opened */
    return p;
}

struct process *process_new_hosted(const struct config *config, struct services *services,
                                   struct watchdog *watchdog)
{
    struct process *p = process_make(config, services, watchdog);
    p->hosted = true;
    p->signals = stopsig_new_told(p->loop);
    return p;
}

void process_signal(struct process *p, int signo)
{
    stopsig_tell(p->signals, signo);
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
    if (!p->hosted)
        services_free(p->services);
    loop_free(p->loop);
    free(p);
}
