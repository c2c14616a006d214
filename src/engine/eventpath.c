#include "config.h"

#include "engine/eventpath.h"

#include "base/clock.h"
#include "base/mem.h"
#include "engine/asker.h"
#include "engine/loader.h"
#include "engine/progress.h"
#include "engine/scripts.h"
#include "engine/visit.h"
#include "engine/writer.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Beside a socket for every worker, or for the first devices on the loop. */
enum { EVENTPATH_SPARE_DESCRIPTORS = 2 };

/* Everything here belongs to the loop's thread, except what says so. */
struct eventpath {
    struct cycle *c;
    struct services *services;
    struct loop *loop;
    struct stopsig *signals;
    struct stopsig_listener listener;
    loop_fn *over;
    void *over_arg;

    struct asker *asker;
    struct writer *writer;
    struct loader *loader;
    struct scripts *scripts; /* NULL: none are needed, or no supervisor could be started */
    struct loop_timer deadline;
    struct loop_timer patience; /* with the writer */
    struct loop_letter news;    /* from the writer and the loader */
    atomic_bool has_news;       /* any thread: the letter is on its way */
    int64_t last_dump_mono_ms;

    TAILQ_HEAD(, visit) visits;
    size_t visit_count;
    size_t device_count; /* begun so far */
    int64_t stopped_mono_ms;
    bool begun;       /* the first devices are there */
    bool all_begun;   /* there are no more */
    bool dispatching; /* eventpath_dispatch() is further up the stack */
    bool stopping;    /* deadline or signal: no new device, all runs are stopped */
    bool ending;      /* no more rows come */
    bool stored;      /* the row is closed, or the writer is lost */
    bool has_children;
    size_t warmed; /* script servers that were asked to start */
};

static void eventpath_dispatch(struct eventpath *e);
static void eventpath_stop(struct eventpath *e);

/* ---- the end ---- */

static void eventpath_leave(struct eventpath *e)
{
    if (!e->stored || e->has_children)
        return;
    loop_timer_cancel(&e->patience);
    e->over(e->over_arg);
}

static void eventpath_on_children_stopped(void *arg)
{
    struct eventpath *e = arg;
    e->has_children = false;
    eventpath_leave(e);
}

/* Nothing more is asked; the row need not wait for children to end. */
static void eventpath_end(struct eventpath *e)
{
    if (e->ending)
        return;
    e->ending = true;
    loop_timer_cancel(&e->deadline); /* storing has a deadline of its own */
    loader_stop(e->loader);
    writer_end(e->writer);
    if (e->scripts == NULL)
        return;
    e->has_children = true;
    scripts_stop(e->scripts, cycle_children_until(e->c), eventpath_on_children_stopped, e);
}

static bool eventpath_is_through(const struct eventpath *e)
{
    return e->visit_count == 0 && (e->stopping || e->all_begun);
}

/* ---- devices ---- */

static bool eventpath_go_on(void *arg, struct visit *v UNUSED, const struct moment *at)
{
    struct eventpath *e = arg;
    if (!cycle_out_of_time(e->c, at))
        return true;
    (void)cycle_pass_deadline(e->c);
    eventpath_stop(e); /* this visit too */
    return false;
}

static void eventpath_on_over(void *arg, struct visit *v)
{
    struct eventpath *e = arg;
    TAILQ_REMOVE(&e->visits, v, next);
    e->visit_count--;
    visit_free(v);
    eventpath_dispatch(e);
}

static const struct visit_calls eventpath_calls = {.go_on = eventpath_go_on,
                                                   .over = eventpath_on_over};

static void eventpath_hire(struct eventpath *e);

static bool eventpath_has_room(const struct eventpath *e)
{
    return !e->stopping && !e->all_begun && asker_has_room(e->asker) &&
           writer_is(e->writer, WRITER_ROOM);
}

static void eventpath_visit(struct eventpath *e, const struct device *device)
{
    if (device_asks_scripts(device))
        eventpath_hire(e);
    e->device_count++;
    struct visit *v = visit_new(e->c, device, e->asker, e->writer, &eventpath_calls, e);
    TAILQ_INSERT_TAIL(&e->visits, v, next);
    e->visit_count++;
    visit_start(v);
}

/* Begin as many devices as there is room for; called whenever room may have appeared. */
static void eventpath_dispatch(struct eventpath *e)
{
    if (e->dispatching || !e->begun)
        return; /* a device that needed no ask is over already; the loop below goes on */
    e->dispatching = true;
    const struct device *device;
    enum loader_answer answer = LOADER_DEVICE;
    while (answer == LOADER_DEVICE && eventpath_has_room(e)) {
        answer = loader_take(e->loader, &device);
        if (answer == LOADER_DEVICE)
            eventpath_visit(e, device);
    }
    e->all_begun = e->all_begun || answer == LOADER_OVER;
    e->dispatching = false;
    if (eventpath_is_through(e))
        eventpath_end(e);
}

static void eventpath_on_room(void *arg)
{
    eventpath_dispatch(arg);
}

static void eventpath_stop(struct eventpath *e)
{
    struct visit *v;
    if (e->stopping)
        return;
    e->stopping = true;
    e->stopped_mono_ms = clock_mono_ms();
    loop_timer_cancel(&e->deadline);
    give_up_set(&e->c->give_up);
    if (e->scripts != NULL)
        scripts_give_up(e->scripts);
    loader_stop(e->loader);
    while ((v = TAILQ_FIRST(&e->visits)) != NULL)
        visit_stop(v);
    eventpath_dispatch(e);
}

/* ---- time and signals ---- */

static void eventpath_on_deadline(void *arg)
{
    struct eventpath *e = arg;
    (void)cycle_pass_deadline(e->c);
    eventpath_stop(e);
}

/* The writer does not return: the cycle ends without it. */
static void eventpath_on_patience(void *arg)
{
    struct eventpath *e = arg;
    int64_t left_ms = cycle_writer_until(e->c) - clock_mono_ms();
    if (left_ms > 0) {
        loop_timer_set(&e->patience, left_ms);
        return;
    }
    eventpath_stop(e);
    eventpath_end(e);
    e->stored = true;
    eventpath_leave(e);
}

static void eventpath_on_signal(void *arg, int signo)
{
    struct eventpath *e = arg;
    cycle_hurry(e->c, signo);
    eventpath_stop(e);
    if (!e->stored) /* the end is nearer than it was */
        loop_timer_set(&e->patience, cycle_writer_until(e->c) - clock_mono_ms());
}

static const char *eventpath_doing(const struct eventpath *e)
{
    if (e->ending)
        return "closing the row";
    if (!e->begun)
        return "reading devices";
    return e->stopping ? "stopping" : "polling";
}

static void eventpath_on_dump(void *arg)
{
    struct eventpath *e = arg;
    if (!progress_is_due(&e->last_dump_mono_ms))
        return;
    struct progress p = {
        .driver = "event loop",
        .doing = eventpath_doing(e),
        .begun = e->device_count,
        .rows_waiting = writer_rows(e->writer),
        .waits = mem_zalloc(e->visit_count + 1, sizeof(p.waits[0])),
    };
    const struct visit *v;
    TAILQ_FOREACH (v, &e->visits, next)
        p.waits[p.wait_count++] = asker_get_wait(v->session);
    progress_log(e->c, &p);
    free(p.waits);
}

/* ---- the begin ---- */

/* Before the first device that needs them. */
static void eventpath_hire(struct eventpath *e)
{
    struct err err = ERR_INIT;
    if (e->scripts != NULL || e->c->no_scripts)
        return;
    e->scripts = scripts_new(e->c->config, e->services, e->loop, &err);
    if (e->scripts == NULL)
        cycle_refuse_scripts(e->c, &err);
    asker_set_scripts(e->asker, e->scripts);
}

static void eventpath_warm(struct eventpath *e)
{
    struct loader_scripts needed = loader_get_scripts(e->loader);
    if (e->stopping || needed.asks == 0)
        return;
    eventpath_hire(e);
    if (e->scripts != NULL && needed.servers_at_once > e->warmed)
        scripts_warm(e->scripts, needed.servers_at_once);
    e->warmed = needed.servers_at_once;
}

static void eventpath_begin(struct eventpath *e)
{
    if (!writer_get_begun(e->writer, NULL)) {
        eventpath_end(e); /* the row may be open */
        return;
    }
    struct moment now = cycle_now();
    e->begun = true;
    loader_begin(e->loader);
    if (e->stopping)
        return;
    if (cycle_out_of_time(e->c, &now))
        eventpath_on_deadline(e);
    else
        loop_timer_set(&e->deadline, e->c->budget.poll_until - clock_mono_ms());
}

/* ---- notifications of the writer and the loader ---- */

static void eventpath_take_news(void *arg)
{
    struct eventpath *e = arg;
    e->has_news = false;
    if (!e->begun && !e->ending && writer_is(e->writer, WRITER_BEGUN))
        eventpath_begin(e);
    if (e->ending && !e->stored && writer_is(e->writer, WRITER_ENDED)) {
        e->stored = true;
        eventpath_leave(e);
        return;
    }
    if (e->begun)
        eventpath_warm(e);
    eventpath_dispatch(e);
}

/* On the writer's or the loader's thread. */
static void eventpath_on_change(void *arg)
{
    struct eventpath *e = arg;
    if (!atomic_exchange(&e->has_news, true))
        loop_post(e->loop, &e->news, eventpath_take_news, e);
}

/* ---- life ---- */

static void eventpath_free(struct eventpath *e)
{
    loop_timer_cancel(&e->patience);
    loop_timer_cancel(&e->deadline);
    asker_free(e->asker);
    scripts_free(e->scripts);
    free(e);
}

/* Nothing has begun. */
static void eventpath_give_way(struct eventpath *e)
{
    struct batch *none;
    if (e->loader != NULL) {
        CHECK(loader_end(e->loader, INT64_MAX));
        loader_unref(e->loader);
    }
    if (e->writer != NULL) {
        CHECK(writer_join(e->writer, &none));
        writer_unref(e->writer);
    }
    eventpath_free(e);
}

struct eventpath *eventpath_start(struct cycle *c, struct services *services, struct loop *loop,
                                  struct stopsig *signals, loop_fn *over, void *arg,
                                  struct err *err)
{
    struct eventpath *e = mem_zalloc(1, sizeof(*e));
    *e = (struct eventpath){
        .c = c,
        .services = services,
        .loop = loop,
        .signals = signals,
        .listener = {.stop = eventpath_on_signal, .dump = eventpath_on_dump, .arg = e},
        .over = over,
        .over_arg = arg};
    TAILQ_INIT(&e->visits);
    loop_timer_init(&e->deadline, loop, eventpath_on_deadline, e);
    loop_timer_init(&e->patience, loop, eventpath_on_patience, e);
    /* These first: they need a thread each, and the workers use those that remain. */
    e->writer = writer_new(c, eventpath_on_change, e, err);
    if (e->writer != NULL)
        e->loader = loader_new(c, services, eventpath_on_change, e, err);
    if (e->loader != NULL)
        e->asker = asker_new(c, services, loop, c->config->threads, err);
    /* The remaining descriptors must suffice for the devices; otherwise the legacy loop polls,
     * which needs fewer. */
    if (e->asker == NULL || !loop_can_open(c->config->threads + EVENTPATH_SPARE_DESCRIPTORS, err)) {
        eventpath_give_way(e);
        return NULL;
    }
    asker_on_room(e->asker, eventpath_on_room, e);
    loop_timer_set(&e->patience, cycle_writer_until(c) - clock_mono_ms());
    stopsig_listen(signals, &e->listener);
    c->driver = config_driver(c->config);
    c->down_first = c->driver == CONFIG_ASYNC; /* on the loop their long waits cost nothing */
    writer_begin(e->writer);
    return e;
}

bool eventpath_finish(struct eventpath *e, struct err *err)
{
    struct batch *waiting;
    struct cycle *c = e->c;
    bool begun = e->begun;
    stopsig_forget(e->signals, &e->listener);
    if (!begun && writer_is(e->writer, WRITER_BEGUN))
        (void)writer_get_begun(e->writer, err);
    else if (!begun)
        err_set(err, ERR_TEMPORARY, "the devices could not be read in time");
    c->left_behind += asker_end(e->asker, e->stopped_mono_ms + cycle_patience_ms(c));
    c->left_behind += !loader_end(e->loader, cycle_writer_until(c));
    loader_drop_rest(e->loader);
    loader_unref(e->loader);
    if (!writer_join(e->writer, &waiting))
        cycle_end_without_writer(c, waiting);
    writer_unref(e->writer);
    if (loop_take_back(&e->news)) /* both threads have ended, so it is not posted again */
        e->has_news = false;
    eventpath_free(e);
    return begun;
}
