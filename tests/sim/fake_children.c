/* In the place of core/children.o and core/child.o: the same rules (core/child.h) for processes of the simulation. */
#include "config.h"

#include "core/children.h"

#include "process.h"
#include "sim.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/thr.h"
#include "core/child.h"
#include "core/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/queue.h>

enum { PATIENCE_MS = 500 };

enum state { RUNNING, LEFT, QUIET, TERMED, KILLED, OVER };

struct child {
    TAILQ_ENTRY(child) next;
    struct children *children;
    const struct child_calls *calls;
    void *arg;
    struct sim_process *process;
    int fd;
    struct loop_watch watch;
    struct loop_timer timer;
    enum state state;
    enum child_end end;
    enum child_force force;
    int64_t grace_ms, due_us, started_us, settled_us;
    size_t keep_bytes;
    uint64_t flood_bytes, bytes, lines;
    struct buf output;
    bool output_ended, complete, exited, settled, closed_told, input_closed, talk;
    int status;
};

struct at_end {
    struct at_end *next;
    children_fn *fn;
    void *arg;
};

struct children {
    struct loop *loop;
    TAILQ_HEAD(, child) live;
    struct at_end *at_end;
    struct loop_timer sweep;
    bool stopping, threaded, joined, clean;
    pthread_t thread;
    int64_t stop_by_ms;
    children_stopped_fn *stopped;
    void *stopped_arg;
};

static const struct child_calls no_calls = {NULL, NULL, NULL, NULL, NULL};

/* ---- a child ---- */

static void settle(struct child *c)
{
    if (c->settled)
        return;
    c->settled = true;
    c->settled_us = clock_mono_us();
    if (c->calls->settled != NULL)
        c->calls->settled(c->arg);
}

static void tell_closed(struct child *c)
{
    if (c->closed_told || c->settled)
        return;
    c->closed_told = true;
    if (c->calls->closed != NULL)
        c->calls->closed(c->arg);
}

static void release(struct child *c)
{
    loop_watch_stop(&c->watch);
    loop_timer_cancel(&c->timer);
    sim_process_drop(c->process);
    sim_fd_close(c->fd);
    buf_done(&c->output);
    TAILQ_REMOVE(&c->children->live, c, next);
    free(c);
}

static void bury(struct child *c)
{
    struct children *children = c->children;
    settle(c);
    stream_emit(&(struct happening){.type = EVENT_CHILD_ENDED, .figures = {1, c->status, 0}});
    if (c->calls->over != NULL)
        c->calls->over(c->arg);
    release(c);
    if (children->stopping)
        loop_timer_set(&children->sweep, 0);
}

static void set_timer(struct child *c, int64_t linger_us)
{
    int64_t at = c->due_us;
    if (linger_us != 0 && (at == 0 || linger_us < at))
        at = linger_us;
    if (at == 0)
        loop_timer_cancel(&c->timer);
    else
        loop_timer_set(&c->timer, (at - clock_mono_us() + 999) / 1000);
}

static void terminate(struct child *c)
{
    if (c->end == CHILD_BY_ITSELF)
        c->end = CHILD_STOPPED;
    c->force = CHILD_TERMED;
    c->state = TERMED;
    c->input_closed = true;
    sim_process_signal(c->process, SIGTERM);
    c->due_us = clock_mono_us() + c->grace_ms * 1000;
    loop_timer_set(&c->timer, c->grace_ms);
}

static void finish_if_both(struct child *c)
{
    if (!c->exited || !c->output_ended || c->state == OVER)
        return;
    c->state = OVER;
    loop_timer_set(&c->timer, 0);
}

static void take_output(struct child *c)
{
    struct process_seen *seen = sim_process_look(c->process);
    size_t len = seen->output.len;
    bool taken = !c->settled && c->state < TERMED;
    if (len == 0)
        return;
    char *bytes = buf_take(&seen->output);
    for (size_t at = 0; at < len && taken; at += 4096) {
        size_t n = len - at < 4096 ? len - at : 4096;
        c->bytes += n;
        for (size_t i = at; i < at + n; i++)
            c->lines += bytes[i] == '\n';
        if (c->calls->data != NULL)
            c->calls->data(c->arg, bytes + at, n);
        else if (c->output.len < c->keep_bytes)
            buf_append(&c->output, bytes + at,
                       n < c->keep_bytes - c->output.len ? n : c->keep_bytes - c->output.len);
        if (c->flood_bytes != 0 && c->bytes > c->flood_bytes && c->state < TERMED) {
            c->end = CHILD_FLOODED;
            c->output_ended = true;
            terminate(c);
        }
        taken = !c->settled && c->state < TERMED;
    }
    free(bytes);
}

/* The end of output without the exit, or the exit without the end of output. */
static void see_ends(struct child *c)
{
    const struct process_seen *seen = sim_process_look(c->process);
    if (seen->closed && !c->output_ended) {
        c->complete = !c->settled && c->state < TERMED;
        c->output_ended = true;
        if (c->state == RUNNING) {
            c->state = QUIET;
            set_timer(c, clock_mono_us() + CHILD_LINGER_MS * 1000);
        }
        tell_closed(c);
    }
    if (seen->exited && !c->exited) {
        c->exited = true;
        c->status = seen->status;
        if (c->state == RUNNING) {
            c->state = LEFT;
            set_timer(c, clock_mono_us() + CHILD_LINGER_MS * 1000);
        }
        tell_closed(c);
    }
    finish_if_both(c);
}

static void look(struct child *c)
{
    sim_bell_set(c->fd, false);
    take_output(c);
    see_ends(c);
}

static void on_ready(void *arg)
{
    look(arg);
}

static void pass_due(struct child *c)
{
    look(c);
    if (c->state != RUNNING && c->state != QUIET)
        return;
    if (c->end == CHILD_BY_ITSELF) {
        c->end = CHILD_OVERDUE;
        stream_emit(&(struct happening){.type = EVENT_CHILD_TIMEOUT, .figures = {1}});
    }
    terminate(c);
}

static void on_time(void *arg)
{
    struct child *c = arg;
    bool due = c->due_us != 0 && clock_mono_us() >= c->due_us;
    switch (c->state) {
    case RUNNING: pass_due(c); break;
    case QUIET:
        if (due) {
            pass_due(c);
        } else {
            set_timer(c, 0);
            settle(c);
        }
        break;
    case LEFT:
        if (c->end == CHILD_BY_ITSELF)
            c->end = CHILD_LEFT_OPEN;
        terminate(c);
        settle(c);
        break;
    case TERMED:
        c->force = CHILD_KILLED;
        c->state = KILLED;
        sim_process_signal(c->process, SIGKILL);
        loop_timer_set(&c->timer, PATIENCE_MS);
        break;
    case KILLED: sim_fail("a process survives SIGKILL"); break;
    case OVER: bury(c); break;
    }
}

enum spawn_result child_start(struct children *children, const struct child_order *order,
                              struct child **ret, struct err *err)
{
    if (children->stopping) {
        err_set_number(err, ERR_TEMPORARY, ECANCELED, "no more processes are started");
        return SPAWN_REFUSED;
    }
    struct child *c = mem_zalloc(1, sizeof(*c));
    *c = (struct child){.children = children,
                        .calls = order->calls == NULL ? &no_calls : order->calls,
                        .arg = order->arg,
                        .grace_ms = order->grace_ms,
                        .keep_bytes = order->keep_bytes,
                        .flood_bytes = order->flood_bytes,
                        .talk = order->talk,
                        .fd = sim_fd_open(0)};
    c->started_us = clock_mono_us();
    c->due_us = order->time_ms == 0 ? 0 : c->started_us + order->time_ms * 1000;
    c->process = sim_process_start(order->argv, c->fd);
    TAILQ_INSERT_TAIL(&children->live, c, next);
    loop_timer_init(&c->timer, children->loop, on_time, c);
    loop_watch_start(&c->watch, children->loop, c->fd, LOOP_READABLE, on_ready, c);
    set_timer(c, 0);
    *ret = c;
    stream_emit_text((struct happening){.type = EVENT_CHILD_STARTED, .figures = {1}}, order->path);
    return SPAWN_STARTED;
}

struct child_report child_get_report(const struct child *c)
{
    int64_t until_us = c->settled ? c->settled_us : clock_mono_us();
    return (struct child_report){.output = buf_str(&c->output),
                                 .len = c->output.len,
                                 .bytes = c->bytes,
                                 .lines = c->lines,
                                 .end = c->end,
                                 .force = c->force,
                                 .output_ended = c->complete,
                                 .exited = c->exited,
                                 .status = c->status,
                                 .elapsed_us = until_us - c->started_us};
}

void child_stop(struct child *c)
{
    if (c->state < TERMED)
        terminate(c);
}

void child_stop_within(struct child *c, int64_t delay_ms)
{
    if (c->state != RUNNING && c->state != QUIET)
        return;
    int64_t at = clock_mono_us() + delay_ms * 1000;
    if (c->due_us == 0 || at < c->due_us)
        c->due_us = at;
    c->end = CHILD_STOPPED;
    set_timer(c, 0);
}

void child_set_idle(struct child *c UNUSED, bool idle UNUSED)
{
}

void child_forget(struct child *c)
{
    c->calls = &no_calls;
}

bool child_write(struct child *c, const void *bytes, size_t len)
{
    CHECK(c->talk);
    if (c->input_closed || sim_process_look(c->process)->exited)
        return false;
    sim_process_input(c->process, bytes, len);
    return true;
}

void child_close_input(struct child *c)
{
    if (!c->input_closed)
        sim_process_close_input(c->process);
    c->input_closed = true;
}

void child_read_now(struct child *c)
{
    look(c);
}

bool child_when_consumed(struct child *c UNUSED)
{
    return false;
}

/* ---- all of them ---- */

static void stopped(struct children *c)
{
    children_stopped_fn *done = c->stopped;
    struct at_end *e;
    c->stopped = NULL;
    if (c->threaded)
        loop_close_posts(c->loop);
    while ((e = c->at_end) != NULL) {
        c->at_end = e->next;
        e->fn(e->arg);
        free(e);
    }
    if (done != NULL)
        done(c->stopped_arg, true);
}

static void on_sweep(void *arg)
{
    struct children *c = arg;
    if (c->stopping && c->stopped != NULL && TAILQ_EMPTY(&c->live))
        stopped(c);
}

struct children *children_new_on_loop(struct loop *loop,
                                      const struct children_options *options UNUSED,
                                      struct err *err UNUSED)
{
    struct children *c = mem_zalloc(1, sizeof(*c));
    TAILQ_INIT(&c->live);
    c->loop = loop;
    loop_timer_init(&c->sweep, loop, on_sweep, c);
    return c;
}

static void *supervise(void *arg)
{
    struct children *c = arg;
    loop_adopt(c->loop);
    loop_run(c->loop);
    return NULL;
}

struct children *children_new_on_thread(const struct children_options *options, struct err *err)
{
    struct children *c = children_new_on_loop(loop_new(LOOP_POLL, err), options, err);
    c->threaded = true;
    CHECK(thr_start(&c->thread, "children", supervise, c, err));
    return c;
}

struct loop *children_get_loop(struct children *c)
{
    return c->loop;
}

struct call {
    struct loop_letter letter;
    children_fn *fn;
    void *arg;
};

static void on_call(void *arg)
{
    struct call *call = arg;
    call->fn(call->arg);
    free(call);
}

bool children_call(struct children *c, children_fn *fn, void *arg)
{
    if (!c->threaded) {
        fn(arg);
        return true;
    }
    struct call *call = mem_zalloc(1, sizeof(*call));
    call->fn = fn;
    call->arg = arg;
    if (loop_try_post(c->loop, &call->letter, on_call, call))
        return true;
    free(call);
    return false;
}

void children_at_end(struct children *c, children_fn *fn, void *arg)
{
    struct at_end **e = &c->at_end, *found;
    while (*e != NULL && (*e)->arg != arg)
        e = &(*e)->next;
    found = *e;
    if (fn != NULL) {
        CHECK(found == NULL);
        *e = mem_zalloc(1, sizeof(**e));
        (*e)->fn = fn;
        (*e)->arg = arg;
    } else if (found != NULL) {
        *e = found->next;
        free(found);
    }
}

static void shorten_grace(struct child *c, int64_t grace_ms)
{
    if (c->grace_ms > grace_ms)
        c->grace_ms = grace_ms;
    if (c->state == TERMED && c->due_us - clock_mono_us() > grace_ms * 1000)
        loop_timer_set(&c->timer, grace_ms);
}

void children_stop(struct children *c, int64_t deadline_mono_ms, children_stopped_fn *done,
                   void *arg)
{
    int64_t left_ms = deadline_mono_ms - clock_mono_ms();
    int64_t share_ms = left_ms > 0 ? left_ms / 3 : 0;
    struct child *child, *following;
    c->stopping = true;
    c->stopped = done;
    c->stopped_arg = arg;
    c->stop_by_ms = deadline_mono_ms;
    for (child = TAILQ_FIRST(&c->live); child != NULL; child = following) {
        following = TAILQ_NEXT(child, next);
        shorten_grace(child, share_ms);
        if (child->end == CHILD_STOPPED)
            child_stop_within(child, share_ms);
        else
            child_stop(child);
    }
    loop_timer_set(&c->sweep, 0);
}

struct ending {
    struct children *c;
    int64_t deadline_mono_ms;
};

static void on_ended(void *arg, bool clean)
{
    struct children *c = arg;
    c->clean = clean;
    loop_stop(c->loop);
}

static void begin_end(void *arg)
{
    const struct ending *e = arg;
    children_stop(e->c, e->deadline_mono_ms, on_ended, e->c);
}

bool children_end(struct children *c, int64_t deadline_mono_ms)
{
    struct ending e = {c, deadline_mono_ms};
    if (c->joined)
        return c->clean;
    CHECK(children_call(c, begin_end, &e));
    thr_join(c->thread);
    loop_adopt(c->loop);
    c->joined = true;
    return c->clean;
}

/* No cycle is given up here. */
NORETURN void children_kill(const struct children *c UNUSED)
{
    CHECK(false);
    abort();
}

const char *children_get_left(const struct children *c UNUSED)
{
    return "";
}

void children_free(struct children *c)
{
    if (c == NULL)
        return;
    if (c->threaded)
        children_end(c, clock_mono_ms() + 1000);
    SIM_CHECK(TAILQ_EMPTY(&c->live), "a process is left");
    CHECK(c->at_end == NULL);
    loop_timer_cancel(&c->sweep);
    if (c->threaded)
        loop_free(c->loop);
    free(c);
}
