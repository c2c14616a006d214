#include "config.h"

#include "engine/legacy.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"
#include "engine/outbox.h"
#include "engine/stopsig.h"

#include <signal.h>
#include <stdlib.h>

/* The polling threads' shared state; everything mutable is under `lock`. */
struct legacy {
    struct cycle *c;
    struct outbox *outbox;
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
        world_give_up(l->c->world);
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

/* Blocks until the ask has ended; the answer is the run's next event. */
static void carry_out(struct legacy *l, struct devrun *run, struct contact *contact,
                      const struct ask *ask)
{
    struct reply reply;
    world_ask(l->c->world, contact, ask, l->c->poll_until_mono_ms, &reply);
    if (stop_at(l, &reply.at))
        devrun_stop(run, &reply.at); /* a wait cut short says nothing about the device */
    else
        reply_deliver(&reply, run);
}

static void poll_device(struct legacy *l, const struct device *device, struct tally *tally)
{
    struct devrun *run = cycle_new_run(l->c, device);
    struct contact *contact = contact_new(l->c->world);
    struct batch *rows = batch_new();
    struct moment now = cycle_now();
    struct ask ask = {0};
    bool finished = false, complete = true;
    devrun_start(run, &now);
    while (!finished) {
        const struct action *a;
        bool asked = false;
        while (!finished && (a = devrun_next_action(run)) != NULL) {
            if (a->kind == ACTION_ASK) {
                ask = a->ask;
                asked = true;
                continue;
            }
            finished = cycle_apply(l->c, device, a, tally, rows);
            complete = !finished || a->finished.complete;
        }
        CHECK(finished || asked);
        if (asked)
            carry_out(l, run, contact, &ask);
    }
    if (!complete)
        drop(l, device, true, tally);
    contact_free(contact);
    devrun_free(run);
    outbox_put(l->outbox, rows);
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
    world_give_up(l->c->world);
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
        if (ok)
            poll_site(&l);
        outbox_close(l.outbox);
        thr_join(keeper);
        c->tally = l.tally;
    }
    stopsig_stop(signals);
    pthread_cond_destroy(&l.changed);
    pthread_mutex_destroy(&l.lock);
    outbox_free(l.outbox);
    return ok;
}
