#include "config.h"

#include "engine/legacy.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/thr.h"
#include "engine/mailbox.h"
#include "engine/outbox.h"
#include "engine/scripts.h"
#include "engine/state.h"
#include "engine/stopsig.h"

#include <signal.h>
#include <stdlib.h>

struct visit;

/* A polling thread; under the lock. */
struct poller {
    struct legacy *l;
    pthread_t thread;
    bool started;
    struct visit *visit; /* NULL: between two devices, or the visit has been taken away */
    bool retired;        /* gives nothing any more */
    bool left;           /* behind, in a call that hangs: it may touch nothing when it comes back */
    struct state_flight state;
};

/* What all threads share; everything mutable is under `lock`.  It is never freed if one of them is
 * left behind. */
struct legacy {
    struct cycle *c;
    struct outbox *outbox;
    struct scripts *scripts; /* NULL: none are needed, or there is no supervisor to be had */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool begun; /* the database thread has tried to begin */
    bool begin_ok;
    struct err begin_err;
    bool stored; /* the database thread is through */
    bool stop;   /* deadline or signal: no new device, runs in progress end */
    int64_t stopped_mono_ms;
    struct poller *pollers;
    int poller_count;
    int active; /* not retired */
    size_t next_device;
    struct tally tally;
    int64_t last_dump_mono_ms;
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
    thr_lock(&l->lock);
    l->stored = true;
    pthread_cond_broadcast(&l->changed);
    thr_unlock(&l->lock);
    return NULL;
}

/* ---- polling threads ---- */

/* Polling is over; under the lock. */
static void stop(struct legacy *l)
{
    if (l->stop)
        return;
    l->stop = true;
    l->stopped_mono_ms = clock_mono_ms();
    pthread_cond_broadcast(&l->changed);
}

static void give_up(struct legacy *l)
{
    world_give_up(l->c->world);
    outbox_relax(l->outbox);
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
    if (first) {
        l->c->out_of_time = true;
        stop(l);
    }
    bool over = l->stop;
    thr_unlock(&l->lock);
    if (first) {
        stream_emit(&(struct happening){.type = EVENT_CYCLE_DEADLINE});
        give_up(l);
    }
    return over;
}

/* Under the lock, because the signal thread may be writing c->stop_signal. */
static void drop(struct legacy *l, const struct device *device, bool started, struct tally *tally)
{
    thr_lock(&l->lock);
    cycle_drop(l->c, device, started, tally);
    thr_unlock(&l->lock);
}

static bool is_stopping(struct legacy *l)
{
    thr_lock(&l->lock);
    bool over = l->stop;
    thr_unlock(&l->lock);
    return over;
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
    struct poller *p;
    const struct device *device;
    struct devrun *run;
    struct contact *contact;
    struct mailbox *box;
    struct batch *rows;
    struct tally tally;
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
            v->finished = cycle_apply(v->l->c, v->device, a, &v->tally, v->rows);
            v->complete = !v->finished || a->finished.complete;
        }
    }
}

static void begin_wait(struct visit *v, enum ask_kind kind)
{
    thr_lock(&v->l->lock);
    v->p->state = (struct state_flight){
        .device_id = v->device->id, .kind = kind, .since_mono_ms = clock_mono_ms()};
    thr_unlock(&v->l->lock);
}

/* Whoever was left behind meanwhile has nothing any more: neither his device nor the cycle. */
static void end_wait(struct visit *v)
{
    thr_lock(&v->l->lock);
    bool left = v->p->left;
    v->p->state.since_mono_ms = 0;
    thr_unlock(&v->l->lock);
    if (left)
        pthread_exit(NULL);
}

/* One answer, of whichever ask; blocks until there is one. */
static void hear(struct visit *v)
{
    CHECK(v->asked || v->errands > 0);
    struct reply *letter = NULL;
    if (v->errands > 0) {
        begin_wait(v, ASK_SCRIPT);
        letter = mailbox_take(v->box, !v->asked);
        end_wait(v);
    }
    if (letter != NULL) {
        v->errands--;
        deliver(v, letter);
        mailbox_free_reply(letter);
        return;
    }
    struct reply reply;
    v->asked = false;
    begin_wait(v, v->ask.kind);
    world_ask(v->l->c->world, v->contact, &v->ask, v->l->c->poll_until_mono_ms, &reply);
    end_wait(v);
    deliver(v, &reply);
}

/* The thread takes no device any more, or was left behind. */
static void retire(struct poller *p)
{
    struct legacy *l = p->l;
    thr_lock(&l->lock);
    if (!p->retired)
        l->active--;
    p->retired = true;
    pthread_cond_broadcast(&l->changed);
    thr_unlock(&l->lock);
}

/* What the visit came to. */
static void hand_over(struct visit *v)
{
    struct legacy *l = v->l;
    if (!v->complete)
        drop(l, v->device, true, &v->tally);
    outbox_put(l->outbox, v->rows);
    thr_lock(&l->lock);
    tally_add(&l->tally, &v->tally);
    v->p->visit = NULL;
    thr_unlock(&l->lock);
}

/* On the heap: if it is taken away from its thread, both go on using it. */
static struct visit *begin_visit(struct poller *p, const struct device *device)
{
    struct legacy *l = p->l;
    struct visit *v = mem_zalloc(1, sizeof(*v));
    *v = (struct visit){
        .l = l,
        .p = p,
        .device = device,
        .run = cycle_new_run(l->c, device),
        .contact = contact_new(l->c->world),
        .box = mailbox_new(),
        .rows = batch_new(),
    };
    thr_lock(&l->lock);
    p->visit = v;
    p->state = (struct state_flight){.device_id = device->id};
    thr_unlock(&l->lock);
    return v;
}

static void poll_device(struct poller *p, const struct device *device)
{
    struct visit *v = begin_visit(p, device);
    struct moment now = cycle_now();
    devrun_start(v->run, &now);
    for (obey(v); !v->finished; obey(v))
        hear(v);
    hand_over(v);
    if (v->errands > 0 && is_stopping(p->l))
        retire(p); /* nobody need wait for its scripts to be ended */
    for (; v->errands > 0; v->errands--)
        mailbox_free_reply(mailbox_take(v->box, true));
    contact_free(v->contact);
    devrun_free(v->run);
    mailbox_free(v->box);
    free(v);
}

static void *poll_devices(void *arg)
{
    struct poller *p = arg;
    const struct device *d;
    while ((d = take_device(p->l)) != NULL)
        poll_device(p, d);
    retire(p);
    return NULL;
}

/* ---- who hangs ---- */

/* A visit whose thread hangs in a call, taken away from it; NULL: there is none. */
static struct visit *take_hanging(struct legacy *l, struct state_flight *ret_state)
{
    struct visit *v = NULL;
    thr_lock(&l->lock);
    for (int i = 0; i < l->poller_count && v == NULL; i++) {
        struct poller *p = &l->pollers[i];
        if (p->retired || p->visit == NULL || p->state.since_mono_ms == 0 ||
            !world_takes(p->state.kind))
            continue;
        p->left = p->retired = true;
        l->active--;
        l->c->left_behind++;
        *ret_state = p->state;
        v = p->visit;
    }
    thr_unlock(&l->lock);
    return v;
}

/* The main thread ends their runs for them. */
static void leave_hanging(struct legacy *l)
{
    struct visit *v;
    struct state_flight state;
    while ((v = take_hanging(l, &state)) != NULL) {
        struct moment now = cycle_now();
        cycle_say_left_behind(v->device, &state);
        devrun_stop(v->run, &now);
        obey(v);
        hand_over(v);
    }
}

/* ---- main thread ---- */

static void on_stop_signal(void *arg, int signo)
{
    struct legacy *l = arg;
    thr_lock(&l->lock);
    stop(l);
    cycle_hurry(l->c, signo);
    pthread_cond_broadcast(&l->changed);
    thr_unlock(&l->lock);
    give_up(l);
}

static const char *doing(const struct legacy *l)
{
    if (!l->begun)
        return "loading the site";
    if (l->active == 0)
        return "closing the row";
    return l->stop ? "stopping" : "polling";
}

static void on_dump(void *arg)
{
    struct legacy *l = arg;
    if (!state_is_due(&l->last_dump_mono_ms))
        return;
    thr_lock(&l->lock);
    struct state s = {
        .driver = "legacy loop",
        .doing = doing(l),
        .begun = l->next_device,
        .flights = mem_zalloc((size_t)l->poller_count, sizeof(s.flights[0])),
    };
    for (int i = 0; i < l->poller_count; i++)
        if (l->pollers[i].visit != NULL)
            s.flights[s.flight_count++] = l->pollers[i].state;
    thr_unlock(&l->lock);
    s.rows_waiting = outbox_rows(l->outbox);
    state_log(l->c, &s);
    free(s.flights);
}

/* Until then the database thread is waited for; a stop signal draws it near.  Under the lock. */
static bool wait_for_store(struct legacy *l, const bool *done)
{
    /* Who comes late himself, because all of us were stopped, has not waited yet. */
    int64_t now = clock_mono_ms(), least = now + CYCLE_RESCUE_MS / 3;
    for (; !*done; now = clock_mono_ms()) {
        int64_t until = cycle_store_patience(l->c);
        if (until < least)
            until = least;
        if (now >= until)
            break;
        (void)thr_wait_until(&l->changed, &l->lock, until);
    }
    if (!*done)
        l->c->store_left_behind = true;
    return *done;
}

static bool wait_begun(struct legacy *l, struct err *err)
{
    thr_lock(&l->lock);
    bool ok = wait_for_store(l, &l->begun);
    if (!ok)
        err_set(err, ERR_TEMPORARY, "the site could not be loaded in time");
    else if (!l->begin_ok)
        *err = l->begin_err;
    ok = ok && l->begin_ok;
    thr_unlock(&l->lock);
    return ok;
}

/* When something is to be done about those who still poll. */
static int64_t patience(const struct legacy *l)
{
    if (!l->stop)
        return l->c->poll_until_mono_ms;
    int64_t until = l->stopped_mono_ms + cycle_patience_ms(l->c);
    return clock_mono_ms() < until ? until : cycle_store_patience(l->c);
}

static void wait_polled(struct legacy *l)
{
    thr_lock(&l->lock);
    while (l->active > 0) {
        bool stopping = l->stop;
        int64_t until = patience(l);
        if (thr_wait_until(&l->changed, &l->lock, until))
            continue;
        bool over = stopping && until == cycle_store_patience(l->c);
        thr_unlock(&l->lock);
        struct moment now = cycle_now();
        if (stopping)
            leave_hanging(l);
        else
            (void)stop_at(l, &now);
        thr_lock(&l->lock);
        if (over && l->active > 0) { /* not in a call of ours: nothing can be taken from them */
            l->c->left_behind += (size_t)l->active;
            break;
        }
    }
    thr_unlock(&l->lock);
}

static void hire_children(struct legacy *l)
{
    struct err err = ERR_INIT;
    if (l->c->script_asks == 0)
        return;
    struct scripts *scripts = scripts_new(l->c->config, NULL, &err);
    if (scripts == NULL) {
        cycle_refuse_scripts(l->c, &err);
        return;
    }
    thr_lock(&l->lock);
    l->scripts = scripts;
    bool over = l->stop;
    thr_unlock(&l->lock);
    if (over)
        scripts_give_up(scripts);
    else
        scripts_warm(scripts, l->c->servers_at_once);
}

/* As many threads as can be had; false: none. */
static bool start_pollers(struct legacy *l, int wanted)
{
    struct err err = ERR_INIT;
    for (int i = 0; i < wanted; i++) {
        struct poller *p = &l->pollers[i];
        thr_lock(&l->lock);
        l->active++;
        l->poller_count++;
        thr_unlock(&l->lock);
        p->started = thr_start(&p->thread, "poll", poll_devices, p, &err);
        if (p->started)
            continue;
        retire(p);
        log_line(LOG_ALWAYS, "WARNING: only %d of %d threads: %s", i, wanted, err.text);
        return i > 0;
    }
    return true;
}

static void poll_site(struct legacy *l)
{
    struct moment now = cycle_now();
    (void)stop_at(l, &now); /* loading may have taken all the time */
    int wanted = l->c->config->threads;
    if ((size_t)wanted > l->c->site.device_count)
        wanted = (int)l->c->site.device_count;
    struct poller *pollers = mem_zalloc((size_t)wanted, sizeof(pollers[0]));
    for (int i = 0; i < wanted; i++)
        pollers[i].l = l;
    thr_lock(&l->lock);
    l->pollers = pollers;
    thr_unlock(&l->lock);
    if (!start_pollers(l, wanted)) { /* no thread to be had: the main thread does the work */
        thr_lock(&l->lock);
        pollers[0].retired = false;
        l->active = 1;
        thr_unlock(&l->lock);
        poll_devices(&pollers[0]);
    }
    wait_polled(l);
    for (; l->next_device < l->c->site.device_count; l->next_device++)
        if (!l->c->site.devices[l->next_device].deleted)
            drop(l, &l->c->site.devices[l->next_device], false, &l->tally);
}

/* But not who hangs. */
static void join_pollers(struct legacy *l)
{
    for (int i = 0; i < l->poller_count; i++) {
        const struct poller *p = &l->pollers[i];
        thr_lock(&l->lock);
        bool ends = p->started && p->retired && !p->left;
        thr_unlock(&l->lock);
        if (ends)
            thr_join(p->thread);
    }
}

/* Everything that was begun is ended here, in this order, whatever the cycle came to. */
static void end(struct legacy *l, pthread_t keeper)
{
    outbox_close(l->outbox);
    if (l->scripts != NULL) /* while the database thread stores and closes the row */
        scripts_end(l->scripts, cycle_children_until(l->c));
    thr_lock(&l->lock);
    bool stored = wait_for_store(l, &l->stored);
    l->c->tally = l->tally;
    thr_unlock(&l->lock);
    if (stored)
        thr_join(keeper);
    join_pollers(l);
}

bool legacy_run(struct cycle *c, struct err *err)
{
    static const struct stopsig_calls calls = {.stop = on_stop_signal, .dump = on_dump};
    struct legacy *l = mem_zalloc(1, sizeof(*l));
    pthread_t keeper;
    l->c = c;
    l->outbox = outbox_new();
    thr_mutex_init(&l->lock);
    thr_cond_init(&l->changed);
    struct stopsig *signals = stopsig_start(&calls, l, err); /* before the row is opened */
    if (signals == NULL)
        log_line(LOG_ALWAYS, "WARNING: stop signals are not heard: %s", err->text);
    bool ok = thr_start(&keeper, "store", keep_store, l, err);
    if (ok) {
        ok = wait_begun(l, err);
        if (ok) {
            hire_children(l);
            poll_site(l);
        }
        end(l, keeper);
    }
    stopsig_stop(signals);
    if (cycle_is_left_behind(c))
        return ok; /* whoever comes back yet finds all as it was */
    scripts_free(l->scripts);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    outbox_free(l->outbox);
    free(l->pollers);
    free(l);
    return ok;
}
