#include "config.h"

#include "engine/legacy.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thr.h"
#include "core/lease.h"
#include "core/loop.h"
#include "drivers/snmp.h"
#include "engine/asker.h"
#include "engine/loader.h"
#include "engine/progress.h"
#include "engine/scripts.h"
#include "engine/visit.h"
#include "engine/writer.h"

#include <stdlib.h>

/* What all threads share; everything mutable is under `lock`. */
struct legacy {
    struct cycle *c;
    struct services *services;
    struct writer *writer;
    struct loader *loader;
    struct scripts *scripts;    /* main thread's, written under lock; NULL: none */
    size_t warmed;              /* the main thread's: script servers that were asked to start */
    bool wants_scripts GUARDED; /* a thread waits until there are scripts */
    bool hired GUARDED;         /* there are, or there will be none */
    struct stopsig_listener listener;
    struct thr_mutex lock;
    pthread_cond_t changed;
    bool stopping GUARDED; /* deadline or signal: no new device, runs in progress are stopped */
    int64_t stopped_mono_ms GUARDED;
    bool begun GUARDED;
    bool stuck;                  /* the main thread's: threads hang outside a leased call */
    struct poller **pollers;     /* written under lock; NULL: abandoned, or ended */
    struct lease **leases;       /* the main thread's */
    int poller_count;            /* the main thread's, constant while polling */
    struct visit *taken GUARDED; /* from a thread that hangs */
    struct asker_wait taken_wait GUARDED;
    int active GUARDED;          /* pollers that still take devices */
    size_t device_count GUARDED; /* begun so far */
    int64_t last_dump_mono_ms;
};

/* A polling thread. If it is abandoned in a call it keeps the asker and touches nothing of `l`. */
struct poller {
    struct legacy *l;
    int place;              /* in l->pollers */
    struct cycle *c;        /* a reference */
    struct loop *loop;      /* the thread's: answers of scripts come here */
    struct asker *asker;    /* the thread's */
    struct visit *visit;    /* l->lock: NULL between two devices */
    struct asker_wait wait; /* l->lock */
    bool retired;           /* l->lock: takes no more devices */
};

/* ---- the end of polling ---- */

static void legacy_give_up(struct legacy *l)
{
    give_up_set(&l->c->give_up);
    writer_relax(l->writer);
    loader_stop(l->loader);
    thr_lock(&l->lock); /* a signal may come before there are any */
    struct scripts *scripts = l->scripts;
    thr_unlock(&l->lock);
    if (scripts != NULL)
        scripts_give_up(scripts);
}

/* true: this was the first call. */
static bool legacy_stop(struct legacy *l)
{
    thr_lock(&l->lock);
    bool first = !l->stopping;
    if (first) {
        l->stopping = true;
        l->stopped_mono_ms = clock_mono_ms();
        thr_wake_all(&l->changed);
    }
    thr_unlock(&l->lock);
    if (first)
        legacy_give_up(l);
    return first;
}

static bool legacy_is_stopping(struct legacy *l)
{
    thr_lock(&l->lock);
    bool stopping = l->stopping;
    thr_unlock(&l->lock);
    return stopping;
}

/* Whether polling is over at that moment; the first thread to see the deadline stops the cycle. */
static bool legacy_stop_at(struct legacy *l, const struct moment *at)
{
    if (cycle_out_of_time(l->c, at) && legacy_stop(l))
        (void)cycle_pass_deadline(l->c);
    return legacy_is_stopping(l);
}

/* ---- polling threads ---- */

/* The main thread starts what runs scripts. */
static void legacy_want_scripts(struct legacy *l)
{
    thr_lock(&l->lock);
    l->wants_scripts = true;
    thr_wake_all(&l->changed);
    while (!l->hired && !l->stopping)
        thr_wait(&l->changed, &l->lock);
    thr_unlock(&l->lock);
}

/* NULL: there are no more. */
static const struct device *legacy_take_device(struct legacy *l)
{
    const struct device *d;
    if (!writer_wait(l->writer, WRITER_ROOM, l->c->budget.poll_until)) {
        struct moment now = cycle_now();
        (void)legacy_stop_at(l, &now);
    }
    if (loader_wait(l->loader, &d) != LOADER_DEVICE)
        return NULL;
    if (device_asks_scripts(d))
        legacy_want_scripts(l);
    thr_lock(&l->lock);
    bool stopping = l->stopping;
    l->device_count += !stopping;
    thr_unlock(&l->lock);
    if (!stopping)
        return d;
    cycle_drop(l->c, d, false);
    device_unref(d);
    return NULL;
}

static bool poller_go_on(void *arg, struct visit *v, const struct moment *at)
{
    struct poller *p = arg;
    if (!legacy_stop_at(p->l, at))
        return true;
    visit_stop(v);
    return false;
}

static void poller_on_over(void *arg, struct visit *v)
{
    struct poller *p = arg;
    thr_lock(&p->l->lock);
    p->visit = NULL;
    thr_unlock(&p->l->lock);
    visit_free(v);
}

static const struct visit_calls poller_calls = {.go_on = poller_go_on, .over = poller_on_over};

static void poller_on_wait(void *arg, const struct asker_wait *wait)
{
    struct poller *p = arg;
    thr_lock(&p->l->lock);
    p->wait = *wait;
    thr_unlock(&p->l->lock);
}

static bool poller_is_busy(struct poller *p)
{
    thr_lock(&p->l->lock);
    bool busy = p->visit != NULL;
    thr_unlock(&p->l->lock);
    return busy;
}

static struct scripts *legacy_scripts(struct legacy *l)
{
    thr_lock(&l->lock);
    struct scripts *scripts = l->scripts;
    thr_unlock(&l->lock);
    return scripts;
}

/* false: the thread has been abandoned. */
static bool poller_visit(struct poller *p, struct lease *lease, const struct device *device)
{
    struct legacy *l = p->l;
    asker_set_scripts(p->asker, legacy_scripts(l));
    struct visit *v = visit_new(l->c, device, p->asker, l->writer, &poller_calls, p);
    thr_lock(&l->lock);
    p->visit = v;
    p->wait = asker_get_wait(v->session);
    thr_unlock(&l->lock);
    visit_start(v);
    while (poller_is_busy(p))
        if (!asker_wait_one(p->asker, lease))
            return false;
    return true;
}

static void poller_retire(struct poller *p)
{
    thr_lock(&p->l->lock);
    if (!p->retired)
        p->l->active--;
    p->retired = true;
    thr_wake_all(&p->l->changed);
    thr_unlock(&p->l->lock);
}

/* On the thread that used it last. */
static void poller_close(struct poller *p)
{
    (void)asker_end(p->asker, 0);
    asker_free(p->asker);
    loop_free(p->loop);
    p->asker = NULL;
    p->loop = NULL;
}

static void poller_free(struct poller *p)
{
    cycle_unref(p->c);
    free(p);
}

static void poller_come_late(void *arg)
{
    struct poller *p = arg;
    poller_close(p);
    poller_free(p);
}

static void poller_main(struct lease *lease, void *arg)
{
    struct poller *p = arg;
    const struct device *d;
    loop_adopt(p->loop);
    while ((d = legacy_take_device(p->l)) != NULL)
        if (!poller_visit(p, lease, d))
            return;
    poller_retire(p); /* the end of polling does not wait for children of stopped runs */
    poller_close(p);
}

static struct poller *poller_new(struct legacy *l, struct err *err)
{
    struct poller *p = mem_zalloc(1, sizeof(*p));
    p->l = l;
    p->c = cycle_ref(l->c);
    p->loop = loop_new(LOOP_POLL, err);
    if (p->loop == NULL) {
        poller_free(p);
        return NULL;
    }
    p->asker = asker_new(l->c, l->services, p->loop, 0, err);
    asker_on_wait(p->asker, poller_on_wait, p);
    return p;
}

/* ---- threads that hang ---- */

static bool hanging_go_on(void *arg UNUSED, struct visit *v UNUSED, const struct moment *at UNUSED)
{
    return false;
}

static void hanging_on_over(void *arg UNUSED, struct visit *v)
{
    visit_free(v);
}

static const struct visit_calls hanging_calls = {.go_on = hanging_go_on, .over = hanging_on_over};

/* Under the lease's lock: the visit is the main thread's, the asker stays with the call. */
static void poller_salvage(void *arg)
{
    struct poller *p = arg;
    thr_lock(&p->l->lock);
    p->l->taken = p->visit;
    p->l->taken_wait = p->wait;
    visit_take_away(p->visit, &hanging_calls, NULL);
    p->l->pollers[p->place] = NULL; /* the thread's own, with all that it may still use */
    p->l->active--;
    thr_unlock(&p->l->lock);
}

/* The main thread ends the runs of threads that hang in a call. */
static void legacy_leave_hanging(struct legacy *l)
{
    for (int i = 0; i < l->poller_count; i++) {
        if (l->leases[i] == NULL || !lease_revoke(l->leases[i], poller_salvage))
            continue;
        lease_free(l->leases[i]);
        l->leases[i] = NULL;
        l->c->left_behind++;
        thr_lock(&l->lock);
        struct visit *taken = l->taken;
        struct asker_wait wait = l->taken_wait;
        thr_unlock(&l->lock);
        asker_say_left_behind(&wait);
        visit_stop(taken);
    }
}

/* ---- signals ---- */

static void legacy_on_signal(void *arg, int signo)
{
    struct legacy *l = arg;
    cycle_hurry(l->c, signo); /* first: it logs once why all runs are stopped */
    (void)legacy_stop(l);
    thr_lock(&l->lock);
    thr_wake_all(&l->changed); /* the end is nearer than it was */
    thr_unlock(&l->lock);
}

static const char *legacy_doing(const struct legacy *l) REQUIRES(l->lock);

static const char *legacy_doing(const struct legacy *l)
{
    if (!l->begun)
        return "reading devices";
    if (l->active == 0)
        return "closing the row";
    return l->stopping ? "stopping" : "polling";
}

static void legacy_on_dump(void *arg)
{
    struct legacy *l = arg;
    if (!progress_is_due(&l->last_dump_mono_ms))
        return;
    size_t rows = writer_rows(l->writer);
    thr_lock(&l->lock);
    struct progress p = {
        .driver = "legacy loop",
        .doing = legacy_doing(l),
        .begun = l->device_count,
        .rows_waiting = rows,
        .waits = mem_zalloc((size_t)l->poller_count + 1, sizeof(p.waits[0])),
    };
    for (int i = 0; i < l->poller_count; i++)
        if (l->pollers[i] != NULL && l->pollers[i]->visit != NULL)
            p.waits[p.wait_count++] = l->pollers[i]->wait;
    thr_unlock(&l->lock);
    progress_log(l->c, &p);
    free(p.waits);
}

/* ---- main thread: begin ---- */

static void legacy_on_change(void *arg)
{
    struct legacy *l = arg;
    thr_lock(&l->lock);
    thr_wake_all(&l->changed);
    thr_unlock(&l->lock);
}

/* A stop signal moves the time nearer while this waits. */
static bool legacy_wait_writer(struct legacy *l, enum writer_step step)
{
    /* A thread that is late because the whole process was stopped has not waited yet. */
    int64_t now = clock_mono_ms(), least = now + BUDGET_RESCUE_MS / 3;
    thr_lock(&l->lock);
    bool there;
    while (!(there = writer_is(l->writer, step))) {
        int64_t until = cycle_writer_until(l->c);
        if (until < least)
            until = least;
        if (clock_mono_ms() >= until)
            break;
        (void)thr_wait_until(&l->changed, &l->lock, until);
    }
    thr_unlock(&l->lock);
    return there;
}

static bool legacy_begin(struct legacy *l, struct err *err)
{
    if (!legacy_wait_writer(l, WRITER_BEGUN))
        return err_set(err, ERR_TEMPORARY, "the devices could not be read in time");
    if (!writer_get_begun(l->writer, err))
        return false;
    loader_begin(l->loader);
    thr_lock(&l->lock);
    l->begun = true;
    thr_unlock(&l->lock);
    return true;
}

/* Once, before the first device that has scripts begins. */
static void legacy_hire(struct legacy *l)
{
    struct err err = ERR_INIT;
    struct scripts *scripts = scripts_new(l->c->config, l->services, NULL, &err);
    if (scripts == NULL)
        cycle_refuse_scripts(l->c, &err);
    thr_lock(&l->lock);
    l->scripts = scripts;
    l->hired = true;
    bool over = l->stopping;
    thr_wake_all(&l->changed);
    thr_unlock(&l->lock);
    if (over && scripts != NULL)
        scripts_give_up(scripts);
}

/* What the devices that have been read ask for, so that script servers have started when they are asked. */
static void legacy_warm(struct legacy *l)
{
    struct loader_scripts needed = loader_get_scripts(l->loader);
    thr_lock(&l->lock);
    bool wanted = l->wants_scripts || needed.asks > 0, hired = l->hired, over = l->stopping;
    thr_unlock(&l->lock);
    if (!wanted || over)
        return;
    if (!hired)
        legacy_hire(l);
    if (l->scripts != NULL && needed.servers_at_once > l->warmed)
        scripts_warm(l->scripts, needed.servers_at_once);
    l->warmed = needed.servers_at_once;
}

/* ---- main thread: polling ---- */

static void legacy_forget_poller(struct legacy *l, int i)
{
    struct poller *p = l->pollers[i];
    thr_lock(&l->lock);
    l->pollers[i] = NULL;
    thr_unlock(&l->lock);
    poller_close(p);
    poller_free(p);
}

/* Before any of them runs, so that each finds a descriptor left for its socket. */
static int legacy_make_pollers(struct legacy *l, struct err *err)
{
    int made = 0;
    for (; made < l->poller_count; made++) {
        struct poller *p = poller_new(l, err);
        if (p == NULL)
            break;
        p->place = made;
        thr_lock(&l->lock);
        l->pollers[made] = p;
        thr_unlock(&l->lock);
        if (made > 0 && !loop_can_open(made + 1, err)) {
            legacy_forget_poller(l, made);
            break;
        }
    }
    return made;
}

static bool legacy_start_poller(struct legacy *l, int i, struct err *err)
{
    thr_lock(&l->lock);
    l->active++;
    thr_unlock(&l->lock);
    l->leases[i] = lease_start("poll", poller_main, l->pollers[i], poller_come_late, err);
    if (l->leases[i] != NULL)
        return true;
    thr_lock(&l->lock);
    l->active--;
    thr_unlock(&l->lock);
    return false;
}

/* As many threads as can be started; false: none. */
static bool legacy_start_pollers(struct legacy *l)
{
    struct err err = ERR_INIT;
    int made = legacy_make_pollers(l, &err), started = 0;
    while (started < made && legacy_start_poller(l, started, &err))
        started++;
    for (int i = started; i < made; i++)
        legacy_forget_poller(l, i);
    if (started < l->poller_count)
        log_line(LOG_ALWAYS, "WARNING: only %d of %d threads: %s", started, l->poller_count,
                 err.text);
    return started > 0;
}

/* While the main thread polls, no other thread can. */
static void legacy_hire_alone(struct legacy *l)
{
    thr_lock(&l->lock);
    bool hired = l->hired;
    thr_unlock(&l->lock);
    if (!hired)
        legacy_hire(l);
}

/* No thread can be started: the main thread does the work. */
static void legacy_poll_alone(struct legacy *l)
{
    struct err err = ERR_INIT;
    struct poller *p = poller_new(l, &err);
    if (p == NULL) {
        log_line(LOG_ALWAYS, "ERROR: no device can be polled: %s", err.text);
        return;
    }
    legacy_hire_alone(l);
    thr_lock(&l->lock);
    l->active++;
    thr_unlock(&l->lock);
    poller_main(NULL, p);
    poller_free(p);
}

/* When something is to be done about threads that still poll. */
static int64_t legacy_patience(const struct legacy *l) REQUIRES(l->lock);

static int64_t legacy_patience(const struct legacy *l)
{
    if (!l->stopping)
        return l->c->budget.poll_until;
    int64_t until = l->stopped_mono_ms + cycle_patience_ms(l->c);
    return clock_mono_ms() < until ? until : cycle_writer_until(l->c);
}

/* false: threads hang outside a leased call; nothing can be taken from them. */
static bool legacy_wait_polled(struct legacy *l)
{
    bool in_vain = false;
    thr_lock(&l->lock);
    while (l->active > 0 && !in_vain) {
        thr_unlock(&l->lock);
        legacy_warm(l);
        thr_lock(&l->lock);
        if (l->active == 0)
            break;
        bool stopping = l->stopping;
        int64_t until = legacy_patience(l);
        if (thr_wait_until(&l->changed, &l->lock, until))
            continue;
        in_vain = stopping && until == cycle_writer_until(l->c);
        thr_unlock(&l->lock);
        struct moment now = cycle_now();
        if (stopping)
            legacy_leave_hanging(l);
        else
            (void)legacy_stop_at(l, &now);
        thr_lock(&l->lock);
    }
    bool all = l->active == 0;
    if (!all)
        l->c->left_behind += (size_t)l->active;
    thr_unlock(&l->lock);
    return all;
}

static void legacy_poll(struct legacy *l)
{
    struct moment now = cycle_now();
    (void)legacy_stop_at(l, &now); /* loading may have taken all the time */
    int wanted = l->c->config->threads;
    if ((size_t)wanted > l->c->roster.count)
        wanted = (int)l->c->roster.count;
    thr_lock(&l->lock);
    l->pollers = mem_zalloc((size_t)wanted + 1, sizeof(l->pollers[0]));
    l->leases = mem_zalloc((size_t)wanted + 1, sizeof(l->leases[0]));
    l->poller_count = wanted;
    thr_unlock(&l->lock);
    legacy_warm(l);
    if (wanted > 0 && !legacy_start_pollers(l))
        legacy_poll_alone(l);
    l->stuck = !legacy_wait_polled(l);
}

/* ---- main thread: the end ---- */

static void legacy_join_pollers(struct legacy *l)
{
    for (int i = 0; i < l->poller_count; i++) {
        if (l->pollers[i] == NULL)
            continue;
        while (!lease_wait(l->leases[i], INT64_MAX))
            ;
        lease_free(l->leases[i]);
        struct poller *p = l->pollers[i];
        thr_lock(&l->lock); /* SIGUSR1 is still handled and looks at all of them */
        l->pollers[i] = NULL;
        thr_unlock(&l->lock);
        poller_free(p);
    }
}

/* Everything that was begun is ended here, in this order, whatever the cycle came to. */
static void legacy_end(struct legacy *l, struct stopsig *signals)
{
    struct batch *waiting;
    loader_stop(l->loader);
    writer_end(l->writer);
    if (l->scripts != NULL) /* while the writer stores and closes the row */
        scripts_end(l->scripts, cycle_children_until(l->c));
    (void)legacy_wait_writer(l, WRITER_ENDED);
    if (!l->stuck)
        legacy_join_pollers(l);
    stopsig_forget(signals, &l->listener);
    l->c->left_behind += !loader_end(l->loader, cycle_writer_until(l->c));
    loader_drop_rest(l->loader);
    if (!writer_join(l->writer, &waiting))
        cycle_end_without_writer(l->c, waiting);
}

static void legacy_free(struct legacy *l)
{
    if (l->stuck)
        return; /* a thread that hangs may still use it, and the writer */
    scripts_free(l->scripts);
    if (l->loader != NULL)
        loader_unref(l->loader);
    if (l->writer != NULL)
        writer_unref(l->writer);
    thr_cond_done(&l->changed);
    thr_mutex_done(&l->lock);
    free(l->pollers);
    free(l->leases);
    free(l);
}

bool legacy_run(struct cycle *c, struct services *services, struct stopsig *signals,
                struct err *err)
{
    struct legacy *l = mem_zalloc(1, sizeof(*l));
    bool ok = false;
    *l = (struct legacy){.c = c,
                         .services = services,
                         .listener = {.stop = legacy_on_signal, .dump = legacy_on_dump, .arg = l}};
    thr_mutex_init(&l->lock);
    thr_cond_init(&l->changed);
    l->writer = writer_new(c, legacy_on_change, l, err);
    if (l->writer != NULL)
        l->loader = loader_new(c, services, legacy_on_change, l, err);
    if (l->loader != NULL) {
        stopsig_listen(signals, &l->listener);
        writer_begin(l->writer);
        snmp_library_warm(); /* meanwhile */
        ok = legacy_begin(l, err);
        if (ok)
            legacy_poll(l);
        legacy_end(l, signals);
    } else if (l->writer != NULL) {
        struct batch *none;
        CHECK(writer_join(l->writer, &none)); /* it has not begun */
    }
    legacy_free(l);
    return ok;
}
