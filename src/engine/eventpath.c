#include "config.h"

#include "engine/eventpath.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/stream.h"
#include "core/pool.h"
#include "engine/scripts.h"
#include "engine/state.h"
#include "engine/stopsig.h"
#include "engine/watchdog.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Beside a socket for every thread that asks. */
enum { LOOKUP_DESCRIPTORS = 2 };

/* Everything here belongs to the loop's thread, except what a job carries. */
struct eventpath {
    struct cycle *c;
    struct loop *loop;
    struct pool *ask_lane;
    struct pool *store_lane;
    struct scripts *scripts; /* NULL: none are needed, or there is no supervisor to be had */
    struct loop_timer deadline;
    struct loop_timer flush;
    struct loop_timer beat;     /* for the watchdog */
    struct loop_timer patience; /* with what was given up, then with the database thread */
    int64_t last_dump_mono_ms;

    TAILQ_HEAD(, flight) flights;
    int active;
    size_t next_device;
    bool begun;       /* the site is loaded */
    bool dispatching; /* dispatch() is further up the stack */
    bool held;        /* no new device: the database is too far behind */
    bool stopping;
    bool ending;
    bool stored; /* the row is closed, nothing more goes to the database */
    bool children_ending;
    bool children; /* may still run: they are ended while the database is at work */

    struct batch
        *pending;   /* rows that wait for company, or for the batch before them to be stored */
    bool storing;   /* a batch is on the store lane */
    bool flush_due; /* the oldest pending row has waited long enough */

    bool begin_ok;
    struct err begin_err;
};

/* A device in the air.  At most one of its asks is on a worker; those for scripts are errands. */
struct flight {
    TAILQ_ENTRY(flight) next;
    struct eventpath *e;
    const struct device *device;
    struct devrun *run;
    struct contact *contact; /* the worker's while asking */
    bool finished;
    bool asking;
    size_t errands; /* open ones */
    bool retired;   /* it has given all it will ever give, and does not count any more */
    bool left;      /* behind: the same, but its ask may hang for ever */
    struct state_flight state;

    struct job job;
    struct ask ask;
    struct oid *names; /* an SNMP request's own copy */
    struct reply reply;
};

struct store_job {
    struct job job;
    struct eventpath *e;
    struct batch *batch; /* cycle_write takes it */
};

static void dispatch(struct eventpath *e);
static void on_deadline(void *arg);
static void done_write(struct job *job, bool cancelled);

/* ---- results on their way to the store lane ---- */

static void run_write(struct job *job)
{
    struct store_job *j = (struct store_job *)job;
    cycle_write(j->e->c, j->batch);
    j->batch = NULL;
}

static void submit_pending(struct eventpath *e)
{
    struct store_job *j = mem_zalloc(1, sizeof(*j));
    j->e = e;
    j->batch = e->pending;
    e->pending = NULL;
    e->storing = true;
    e->flush_due = false;
    loop_timer_cancel(&e->flush);
    pool_submit(e->store_lane, &j->job, run_write, done_write);
}

/* One batch at a time: while the database is slow, what waits grows into one large batch instead of
 * many small ones. */
static void flush_pending(struct eventpath *e)
{
    if (e->storing || e->pending == NULL)
        return;
    bool over = e->active == 0 && (e->stopping || e->next_device == e->c->site.device_count);
    if (over || e->flush_due || cycle_batch_is_full(e->pending))
        submit_pending(e);
}

static void done_write(struct job *job, bool cancelled UNUSED)
{
    struct store_job *j = (struct store_job *)job;
    struct eventpath *e = j->e;
    batch_free(j->batch);
    free(j);
    e->storing = false;
    flush_pending(e);
    dispatch(e);
}

static void on_flush_due(void *arg)
{
    struct eventpath *e = arg;
    e->flush_due = true;
    flush_pending(e);
}

static struct batch *get_pending(struct eventpath *e)
{
    if (e->pending == NULL) {
        e->pending = batch_new();
        loop_timer_set(&e->flush, CYCLE_BATCH_WAIT_MS);
    }
    return e->pending;
}

/* ---- devices ---- */

static void run_ask(struct job *job)
{
    struct flight *f = (struct flight *)((char *)job - offsetof(struct flight, job));
    world_ask(f->e->c->world, f->contact, &f->ask, f->e->c->poll_until_mono_ms, &f->reply);
}

static void carry_on(struct flight *f);

/* A wait cut short says nothing about the device: polling is over then, and the run stopped.  What
 * keeps f from landing is released by the caller afterwards. */
static bool worth_telling(const struct flight *f, const struct reply *reply)
{
    if (!f->finished && cycle_out_of_time(f->e->c, &reply->at))
        on_deadline(f->e);
    return !f->finished;
}

static void done_ask(struct job *job, bool cancelled)
{
    struct flight *f = (struct flight *)((char *)job - offsetof(struct flight, job));
    bool tell = worth_telling(f, &f->reply);
    f->asking = false;
    if (tell && !cancelled)
        reply_deliver(&f->reply, f->run);
    carry_on(f);
}

static void done_errand(void *arg, const struct reply *reply)
{
    struct flight *f = arg;
    bool tell = worth_telling(f, reply);
    f->errands--;
    if (tell)
        reply_deliver(reply, f->run);
    carry_on(f);
}

static void begin_ask(struct flight *f, const struct ask *ask)
{
    f->state = (struct state_flight){
        .device_id = f->device->id, .kind = ask->kind, .since_mono_ms = clock_mono_ms()};
    if (!world_takes(ask->kind)) {
        f->errands++;
        scripts_begin(f->e->scripts, ask, f->e->c->poll_until_mono_ms, done_errand, f);
        return;
    }
    f->ask = *ask;
    if (ask->kind == ASK_SNMP) { /* the run may be stopped, and change, while a worker still asks */
        size_t n = ask->snmp.count;
        f->names = mem_realloc(f->names, n, sizeof(f->names[0]));
        memcpy(f->names, ask->snmp.names, n * sizeof(f->names[0]));
        f->ask.snmp.names = f->names;
    }
    f->asking = true;
    pool_submit(f->e->ask_lane, &f->job, run_ask, done_ask);
}

/* Nobody waits for it any more: its run is over and no worker has it. */
static void retire(struct flight *f)
{
    if (f->left)
        f->e->c->left_behind--; /* it has come back after all */
    else if (!f->retired)
        f->e->active--;
    f->left = false;
    f->retired = true;
}

/* A run that was stopped may still have scripts running, which the supervisor ends. */
static void land(struct flight *f)
{
    struct eventpath *e = f->e;
    retire(f);
    if (f->errands == 0) {
        TAILQ_REMOVE(&e->flights, f, next);
        contact_free(f->contact);
        devrun_free(f->run);
        free(f->names);
        free(f);
    }
    dispatch(e);
}

static void finish_flight(struct flight *f, const struct action *a)
{
    struct eventpath *e = f->e;
    f->finished = true;
    if (!a->finished.complete)
        cycle_drop(e->c, f->device, true, &e->c->tally);
    flush_pending(e);
}

/* Carry out what the run asks for; land when it is over. */
static void carry_on(struct flight *f)
{
    const struct action *a;
    while ((a = devrun_next_action(f->run)) != NULL) {
        if (a->kind == ACTION_ASK) {
            struct ask ask = a->ask;
            begin_ask(f, &ask);
        } else if (cycle_apply(f->e->c, f->device, a, &f->e->c->tally,
                               a->kind == ACTION_LOG ? NULL : get_pending(f->e))) {
            finish_flight(f, a);
        }
    }
    CHECK(f->finished || f->asking || f->errands > 0);
    if (f->finished && !f->asking)
        land(f);
}

static void launch(struct eventpath *e, const struct device *device)
{
    struct flight *f = mem_zalloc(1, sizeof(*f));
    struct moment now = cycle_now();
    f->e = e;
    f->device = device;
    f->run = cycle_new_run(e->c, device);
    f->contact = contact_new(e->c->world);
    TAILQ_INSERT_TAIL(&e->flights, f, next);
    e->active++;
    devrun_start(f->run, &now);
    carry_on(f);
}

/* ---- the end ---- */

static void leave_when_done(struct eventpath *e)
{
    if (e->stored && !e->children)
        loop_stop(e->loop);
}

static void on_children_stopped(void *arg)
{
    struct eventpath *e = arg;
    e->children = false;
    leave_when_done(e);
}

/* Nobody asks them any more; the row need not wait for them. */
static void end_children(struct eventpath *e)
{
    if (e->scripts == NULL || e->children_ending)
        return;
    e->children_ending = e->children = true;
    scripts_stop(e->scripts, cycle_children_until(e->c), on_children_stopped, e);
}

static void run_end(struct job *job)
{
    struct store_job *j = (struct store_job *)job;
    cycle_end(j->e->c);
}

static void done_end(struct job *job, bool cancelled UNUSED)
{
    struct store_job *j = (struct store_job *)job;
    struct eventpath *e = j->e;
    free(j);
    e->stored = true;
    leave_when_done(e);
}

static void begin_end(struct eventpath *e)
{
    struct store_job *j = mem_zalloc(1, sizeof(*j));
    j->e = e;
    e->ending = true;
    pool_submit(e->store_lane, &j->job, run_end, done_end);
}

static void end_when_idle(struct eventpath *e)
{
    if (e->ending || e->active > 0)
        return;
    if (!e->stopping && e->next_device < e->c->site.device_count)
        return;
    loop_timer_cancel(&e->deadline); /* storing has a deadline of its own */
    end_children(e);
    flush_pending(e);
    if (!e->storing)
        begin_end(e);
}

static void tell_held(struct eventpath *e)
{
    bool held = !e->stopping && e->next_device < e->c->site.device_count &&
                cycle_batch_is_overfull(e->pending);
    if (held && !e->held)
        stream_emit(&(struct happening){.type = EVENT_QUEUE_FULL,
                                        .figures = {(int64_t)e->pending->row_count}});
    e->held = held;
}

/* Fill the free places; called whenever one may have become free. */
static void dispatch(struct eventpath *e)
{
    if (e->dispatching)
        return; /* a device that needed no ask has landed already; the loop below goes on */
    e->dispatching = true;
    while (!e->stopping && !cycle_batch_is_overfull(e->pending) &&
           e->active < e->c->config->threads && e->next_device < e->c->site.device_count) {
        const struct device *d = &e->c->site.devices[e->next_device++];
        if (!d->deleted)
            launch(e, d);
    }
    e->dispatching = false;
    tell_held(e);
    end_when_idle(e);
}

static void drop_the_rest(struct eventpath *e)
{
    for (; e->next_device < e->c->site.device_count; e->next_device++)
        if (!e->c->site.devices[e->next_device].deleted)
            cycle_drop(e->c, &e->c->site.devices[e->next_device], false, &e->c->tally);
}

static void stop_polling(struct eventpath *e)
{
    if (e->stopping)
        return;
    e->stopping = true;
    loop_timer_cancel(&e->deadline);
    world_give_up(e->c->world);
    if (e->scripts != NULL)
        scripts_give_up(e->scripts);
    loop_timer_set(&e->patience, cycle_patience_ms(e->c));
    if (!e->begun)
        return; /* the site belongs to the store lane until done_begin() */
    struct moment now = cycle_now();
    struct flight *f, *following;
    for (f = TAILQ_FIRST(&e->flights); f != NULL; f = following) {
        following = TAILQ_NEXT(f, next);
        devrun_stop(f->run, &now);
        carry_on(f);
    }
    drop_the_rest(e);
    end_when_idle(e);
}

/* The database thread does not come back: go without it. */
static void leave_store(struct eventpath *e)
{
    e->c->store_left_behind = e->stored = true;
    end_children(e);
    leave_when_done(e);
}

/* What has been given up has not come back: a library call that hangs.  Its device has given its
 * rows already; what is complete is stored without waiting for it. */
static void leave_flights(struct eventpath *e)
{
    struct flight *f;
    TAILQ_FOREACH (f, &e->flights, next) {
        if (!f->asking || f->left)
            continue;
        f->left = true;
        e->active--;
        e->c->left_behind++;
        cycle_say_left_behind(f->device, &f->state);
    }
    end_when_idle(e);
}

static void on_patience(void *arg)
{
    struct eventpath *e = arg;
    int64_t left_ms = cycle_store_patience(e->c) - clock_mono_ms();
    if (e->begun && e->stopping && e->active > 0)
        leave_flights(e);
    if (left_ms <= 0)
        leave_store(e);
    else
        loop_timer_set(&e->patience, left_ms);
}

static void on_deadline(void *arg)
{
    struct eventpath *e = arg;
    e->c->out_of_time = true;
    if (!e->stopping)
        stream_emit(&(struct happening){.type = EVENT_CYCLE_DEADLINE});
    stop_polling(e);
}

static void on_stop_signal(void *arg, int signo)
{
    struct eventpath *e = arg;
    if (e->c->stop_signal != 0)
        return; /* came together with the first one */
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    for (int i = 0; stopsig_list[i] != 0; i++)
        sigaction(stopsig_list[i], &dfl,
                  NULL); /* a second one ends the process even if the loop is stuck */
    cycle_hurry(e->c, signo);
    stop_polling(e);
    loop_timer_set(&e->patience, cycle_patience_ms(e->c)); /* the end is nearer than it was */
}

/* ---- telling ---- */

static void on_beat(void *arg)
{
    struct eventpath *e = arg;
    watchdog_beat(e->c->watchdog);
    loop_timer_set(&e->beat, WATCHDOG_BEAT_MS);
}

static const char *doing(const struct eventpath *e)
{
    if (e->ending)
        return "closing the row";
    if (!e->begun)
        return "loading the site";
    return e->stopping ? "stopping" : "polling";
}

static void on_dump(void *arg, int signo UNUSED)
{
    struct eventpath *e = arg;
    if (!state_is_due(&e->last_dump_mono_ms))
        return;
    struct state s = {
        .driver = "event loop",
        .doing = doing(e),
        .begun = e->next_device,
        .rows_waiting = e->pending == NULL ? 0 : e->pending->row_count,
        .flights = mem_zalloc((size_t)e->c->config->threads, sizeof(s.flights[0])),
    };
    const struct flight *f;
    TAILQ_FOREACH (f, &e->flights, next)
        if (!f->retired && s.flight_count < (size_t)e->c->config->threads)
            s.flights[s.flight_count++] = f->state;
    state_log(e->c, &s);
    free(s.flights);
}

/* ---- the begin ---- */

static void run_begin(struct job *job)
{
    struct store_job *j = (struct store_job *)job;
    j->e->begin_ok = cycle_begin(j->e->c, &j->e->begin_err);
}

static void hire_children(struct eventpath *e)
{
    struct err err = ERR_INIT;
    if (e->stopping || e->c->script_asks == 0)
        return;
    e->scripts = scripts_new(e->c->config, e->loop, &err);
    if (e->scripts == NULL)
        cycle_refuse_scripts(e->c, &err);
    else
        scripts_warm(e->scripts, e->c->servers_at_once);
}

static void done_begin(struct job *job, bool cancelled UNUSED)
{
    struct store_job *j = (struct store_job *)job;
    struct eventpath *e = j->e;
    free(j);
    if (!e->begin_ok) {
        begin_end(e); /* the row may be open */
        return;
    }
    struct moment now = cycle_now();
    e->begun = true;
    hire_children(e);
    if (e->stopping)
        drop_the_rest(e);
    else if (cycle_out_of_time(e->c, &now))
        on_deadline(e);
    else
        loop_timer_set(&e->deadline, e->c->poll_until_mono_ms - clock_mono_ms());
    dispatch(e);
}

static bool open_lanes(struct eventpath *e, struct err *err)
{
    struct pool_options ask = {.name = "ask", .threads = e->c->config->threads};
    struct pool_options store = {.name = "store",
                                 .threads = 1,
                                 .thread_begin = db_thread_start,
                                 .thread_end = db_thread_stop};
    e->store_lane = pool_new(e->loop, &store, err); /* first: it needs only one thread */
    if (e->store_lane == NULL)
        return false;
    e->ask_lane = pool_new(e->loop, &ask, err);
    if (e->ask_lane == NULL)
        return false;
    if (pool_started(e->ask_lane) < ask.threads)
        log_line(LOG_ALWAYS, "WARNING: only %d of %d threads: %s", pool_started(e->ask_lane),
                 ask.threads, err->text);
    return true;
}

static void accept_signals(struct eventpath *e)
{
    for (int i = 0; stopsig_list[i] != 0; i++)
        loop_on_signal(e->loop, stopsig_list[i], on_stop_signal, e);
    loop_on_signal(e->loop, SIGUSR1, on_dump, e);
    stopsig_unblock();
}

struct eventpath *eventpath_new(struct cycle *c, struct loop *loop, struct err *err)
{
    struct eventpath *e = mem_zalloc(1, sizeof(*e));
    e->c = c;
    e->loop = loop;
    TAILQ_INIT(&e->flights);
    loop_timer_init(&e->deadline, loop, on_deadline, e);
    loop_timer_init(&e->flush, loop, on_flush_due, e);
    loop_timer_init(&e->beat, loop, on_beat, e);
    loop_timer_init(&e->patience, loop, on_patience, e);
    /* What is left must do for the devices, or the legacy loop, which needs less, does better. */
    if (open_lanes(e, err) && loop_can_open(c->config->threads + LOOKUP_DESCRIPTORS, err))
        return e;
    eventpath_free(e);
    return NULL;
}

bool eventpath_run(struct eventpath *e, struct err *err)
{
    struct store_job *begin = mem_zalloc(1, sizeof(*begin));
    begin->e = e;
    accept_signals(e);
    pool_submit(e->store_lane, &begin->job, run_begin, done_begin);
    on_beat(e);
    loop_timer_set(&e->patience, cycle_store_patience(e->c) - clock_mono_ms());
    loop_run(e->loop);
    watchdog_rest(e->c->watchdog);
    stopsig_block();
    if (e->begun)
        return true;
    if (e->c->store_left_behind)
        return err_set(err, ERR_TEMPORARY, "the site could not be loaded in time");
    *err = e->begin_err;
    return false;
}

void eventpath_free(struct eventpath *e)
{
    if (e == NULL)
        return;
    scripts_free(e->scripts);
    if (cycle_is_left_behind(e->c))
        return; /* whoever comes back yet finds all as it was; the process ends soon */
    pool_free(e->ask_lane);
    pool_free(e->store_lane);
    loop_timer_cancel(&e->patience);
    loop_timer_cancel(&e->beat);
    loop_timer_cancel(&e->flush);
    loop_timer_cancel(&e->deadline);
    free(e);
}
