#include "config.h"

#include "engine/legacy.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"
#include "engine/mailbox.h"
#include "engine/outbox.h"
#include "engine/scripts.h"
#include "engine/stopsig.h"

#include <signal.h>
#include <stdlib.h>

/* The polling threads' shared state; everything mutable is under `lock`. */
struct legacy {
    struct cycle *c;
    struct outbox *outbox;
    struct scripts *scripts; /* NULL: none are needed, or there is no supervisor to be had */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool begun; /* the database thread has tried to begin */
    bool begin_ok;
    struct err begin_err;
    bool stop;   /* deadline or signal: no new device, runs in progress end */
    int pollers; /* still at work */
    size_t next_device;
    struct tally tally;
};

/* ---- database thread ---- */

static void *keep_store(void *arg)
{
    struct legacy *l = arg;
    struct err err = ERR_INIT;
    db_thread_start();
    bool ok = cycle_begin(l->c, &err);
    thr_lock(&l->lock);
    l->begun = true;
    l->begin_ok = ok;
    l->begin_err = err;
    pthread_cond_broadcast(&l->changed);
    thr_unlock(&l->lock);
    struct batch *b;
    while ((b = outbox_take(l->outbox)) != NULL)
        cycle_write(l->c, b);
    cycle_end(l->c);
    db_thread_stop();
    return NULL;
}

/* ---- polling threads ---- */

static void give_up(struct legacy *l)
{
    world_give_up(l->c->world);
    thr_lock(&l->lock); /* the signal thread may come before there are any */
    struct scripts *scripts = l->scripts;
    thr_unlock(&l->lock);
    if (scripts != NULL)
        scripts_give_up(scripts);
}

/* Whether polling is over at this moment; whoever sees the deadline first says so for all. */
static bool stop_at(struct legacy *l, const struct moment *now)
{
    thr_lock(&l->lock);
    bool first = !l->stop && cycle_out_of_time(l->c, now);
    if (first)
        l->stop = l->c->out_of_time = true;
    bool stop = l->stop;
    thr_unlock(&l->lock);
    if (first)
        give_up(l);
    return stop;
}

/* Under the lock, because the signal thread may be writing c->stop_signal. */
static void drop(struct legacy *l, const struct device *device, bool started, struct tally *tally)
{
    thr_lock(&l->lock);
    cycle_drop(l->c, device, started, tally);
    thr_unlock(&l->lock);
}

static const struct device *take_device(struct legacy *l)
{
    const struct device *d = NULL;
    thr_lock(&l->lock);
    while (!l->stop && d == NULL && l->next_device < l->c->site.device_count) {
        d = &l->c->site.devices[l->next_device++];
        if (d->deleted)
            d = NULL;
    }
    thr_unlock(&l->lock);
    return d;
}

/* A device while a thread polls it. */
struct visit {
    struct legacy *l;
    const struct device *device;
    struct devrun *run;
    struct contact *contact;
    struct mailbox *box;
    struct batch *rows;
    struct tally *tally;
    struct ask ask; /* the one that blocks */
    bool asked;
    size_t errands; /* answers that will come to the box */
    bool finished, complete;
};

static void deliver(struct visit *v, const struct reply *reply)
{
    if (stop_at(v->l, &reply->at))
        devrun_stop(v->run, &reply->at); /* a wait cut short says nothing about the device */
    else
        reply_deliver(reply, v->run);
}

/* Carries out what the run asks for, as far as that does not block. */
static void obey(struct visit *v)
{
    const struct action *a;
    while (!v->finished && (a = devrun_next_action(v->run)) != NULL) {
        if (a->kind == ACTION_ASK && world_takes(a->ask.kind)) {
            v->ask = a->ask;
            v->asked = true;
        } else if (a->kind == ACTION_ASK) {
            v->errands++;
            scripts_begin(v->l->scripts, &a->ask, v->l->c->poll_until_mono_ms, mailbox_put, v->box);
        } else {
            v->finished = cycle_apply(v->l->c, v->device, a, v->tally, v->rows);
            v->complete = !v->finished || a->finished.complete;
        }
    }
}

/* One answer, of whichever ask; blocks until there is one. */
static void hear(struct visit *v)
{
    CHECK(v->asked || v->errands > 0);
    struct reply *letter = v->errands > 0 ? mailbox_take(v->box, !v->asked) : NULL;
    if (letter != NULL) {
        v->errands--;
        deliver(v, letter);
        mailbox_free_reply(letter);
        return;
    }
    struct reply reply;
    v->asked = false;
    world_ask(v->l->c->world, v->contact, &v->ask, v->l->c->poll_until_mono_ms, &reply);
    deliver(v, &reply);
}

static void poll_device(struct legacy *l, const struct device *device, struct tally *tally)
{
    struct visit v = {
        .l = l,
        .device = device,
        .run = cycle_new_run(l->c, device),
        .contact = contact_new(l->c->world),
        .box = mailbox_new(),
        .rows = batch_new(),
        .tally = tally,
    };
    struct moment now = cycle_now();
    devrun_start(v.run, &now);
    for (obey(&v); !v.finished; obey(&v))
        hear(&v);
    for (; v.errands > 0; v.errands--) /* of a run that was stopped */
        mailbox_free_reply(mailbox_take(v.box, true));
    if (!v.complete)
        drop(l, device, true, tally);
    contact_free(v.contact);
    devrun_free(v.run);
    mailbox_free(v.box);
    outbox_put(l->outbox, v.rows);
}

static void *poll_devices(void *arg)
{
    struct legacy *l = arg;
    struct tally tally = {0};
    const struct device *d;
    while ((d = take_device(l)) != NULL)
        poll_device(l, d, &tally);
    thr_lock(&l->lock);
    tally_add(&l->tally, &tally);
    l->pollers--;
    pthread_cond_broadcast(&l->changed);
    thr_unlock(&l->lock);
    return NULL;
}

/* ---- main thread ---- */

static void on_stop_signal(void *arg, int signo)
{
    struct legacy *l = arg;
    thr_lock(&l->lock);
    l->stop = true;
    l->c->stop_signal = signo;
    pthread_cond_broadcast(&l->changed);
    thr_unlock(&l->lock);
    give_up(l);
    cycle_hurry(l->c);
}

static bool wait_begun(struct legacy *l, struct err *err)
{
    thr_lock(&l->lock);
    while (!l->begun)
        thr_wait(&l->changed, &l->lock);
    bool ok = l->begin_ok;
    if (!ok)
        *err = l->begin_err;
    thr_unlock(&l->lock);
    return ok;
}

static void wait_polled(struct legacy *l)
{
    thr_lock(&l->lock);
    while (l->pollers > 0) {
        if (l->stop) {
            thr_wait(&l->changed, &l->lock);
        } else if (!thr_wait_until(&l->changed, &l->lock, l->c->poll_until_mono_ms)) {
            thr_unlock(&l->lock);
            struct moment now = cycle_now();
            (void)stop_at(l, &now);
            thr_lock(&l->lock);
        }
    }
    thr_unlock(&l->lock);
}

static void hire_children(struct legacy *l)
{
    struct err err = ERR_INIT;
    if (l->c->scripts + l->c->servers == 0)
        return;
    struct scripts *scripts = scripts_new(l->c->config, NULL, &err);
    if (scripts == NULL) {
        cycle_refuse_scripts(l->c, &err);
        return;
    }
    thr_lock(&l->lock);
    l->scripts = scripts;
    bool stop = l->stop;
    thr_unlock(&l->lock);
    if (stop)
        scripts_give_up(scripts);
    else
        scripts_warm(scripts, l->c->servers);
}

static void poll_site(struct legacy *l)
{
    struct moment now = cycle_now();
    (void)stop_at(l, &now); /* loading may have taken all the time */
    int wanted = l->c->config->threads;
    if ((size_t)wanted > l->c->site.device_count)
        wanted = (int)l->c->site.device_count;
    pthread_t *threads = mem_zalloc((size_t)wanted, sizeof(threads[0]));
    struct err err = ERR_INIT;
    int started = 0;
    for (; started < wanted; started++) {
        thr_lock(&l->lock);
        l->pollers++;
        thr_unlock(&l->lock);
        if (thr_start(&threads[started], "poll", poll_devices, l, &err))
            continue;
        thr_lock(&l->lock);
        l->pollers--;
        thr_unlock(&l->lock);
        log_line(LOG_ALWAYS, "WARNING: only %d of %d threads: %s", started, wanted, err.text);
        break;
    }
    if (started == 0 && wanted > 0) { /* no thread to be had: the main thread does the work */
        thr_lock(&l->lock);
        l->pollers++;
        thr_unlock(&l->lock);
        poll_devices(l);
    }
    wait_polled(l);
    for (int i = 0; i < started; i++)
        thr_join(threads[i]);
    free(threads);
    for (; l->next_device < l->c->site.device_count; l->next_device++)
        if (!l->c->site.devices[l->next_device].deleted)
            drop(l, &l->c->site.devices[l->next_device], false, &l->tally);
}

bool legacy_run(struct cycle *c, struct err *err)
{
    struct legacy l = {.c = c, .outbox = outbox_new()};
    pthread_t keeper;
    thr_mutex_init(&l.lock);
    thr_cond_init(&l.changed);
    bool ok = thr_start(&keeper, "store", keep_store, &l, err);
    struct stopsig *signals = ok ? stopsig_start(on_stop_signal, &l, err) : NULL;
    if (ok && signals == NULL)
        log_line(LOG_ALWAYS, "WARNING: stop signals are not heard: %s", err->text);
    if (ok) {
        ok = wait_begun(&l, err);
        if (ok) {
            hire_children(&l);
            poll_site(&l);
        }
        outbox_close(l.outbox);
        if (l.scripts != NULL) /* while the database thread stores and closes the row */
            scripts_end(l.scripts, clock_mono_ms() + SCRIPTS_END_MS);
        thr_join(keeper);
        c->tally = l.tally;
    }
    stopsig_stop(signals);
    scripts_free(l.scripts);
    pthread_cond_destroy(&l.changed);
    pthread_mutex_destroy(&l.lock);
    outbox_free(l.outbox);
    return ok;
}
