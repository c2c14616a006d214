#include "config.h"

#include "drivers/phpserver.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/child.h"
#include "core/loop.h"
#include "model/phpproto.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    LEAVE_MS = 500,     /* from quit to SIGTERM */
    GRACE_MS = 1500,    /* from SIGTERM to SIGKILL */
    DESCRIPTOR_MS = 50, /* until there may be a descriptor again */
    COMMAND_SHOWN = 200
};

struct job {
    TAILQ_ENTRY(job) next;
    struct phpserver_pool *pool;
    char *command;
    int64_t deadline_ms, sent_us;
    script_done_fn *done;
    void *arg;
    bool retried;
};

TAILQ_HEAD(job_list, job);

/* One process of a slot; replaced ones live on until they are reaped. */
struct process {
    TAILQ_ENTRY(process) next;
    struct slot *slot; /* NULL: replaced */
    struct phpserver_pool *pool;
    struct child *child;
};

struct slot {
    struct phpserver_pool *pool;
    int index;
    struct phpproto proto;
    struct process *process; /* NULL: none */
    struct job *job;         /* in flight */
    struct loop_timer timer;
    int64_t trouble_ms; /* since when there is no descriptor for it */
};

struct phpserver_pool {
    struct children *children;
    struct phpserver_options options;
    char **argv;
    struct slot slots[PHPSERVER_MAX];
    struct job_list refused, waiting;
    struct loop_timer turn;
    int64_t turn_ms;   /* when it is set for, INT64_MAX: not */
    int64_t expire_ms; /* the soonest deadline of the waiting */
    size_t warm;
    bool quitting;
    TAILQ_HEAD(, process) processes; /* replaced ones, too */
    char *last_failure;
    struct phpserver_figures figures;
};

static void phpserver_on_turn(void *arg);
static void on_slot_time(void *arg);
static void quit(void *arg);
static void phpserver_on_end(void *arg);

struct phpserver_options phpserver_default_options(void)
{
    return (struct phpserver_options){
        .count = 2,
        .php = "",
        .script = "",
        .version = "",
        .poller_id = 1,
        .mode = "online",
        .timeout_ms = 25000,
        .line_max = SPINE_RESULTS_BUFFER - 1,
        .limits = {
            .cpu_s = SPAWN_KEEP, .files = 1024, .core_bytes = 0, .oom_score_adj = SPAWN_KEEP}};
}

struct phpserver_pool *phpserver_pool_new(struct children *children,
                                          const struct phpserver_options *options)
{
    struct phpserver_pool *p = mem_zalloc(1, sizeof(*p));
    struct loop *loop = children_get_loop(children);
    struct phpproto_options proto = {.timeout_ms = options->timeout_ms,
                                     .line_max = options->line_max,
                                     .no_fence = options->no_fence};
    CHECK(options->count >= 1 && options->count <= PHPSERVER_MAX);
    p->children = children;
    p->options = *options;
    p->argv = phpproto_argv(options->php, options->script, options->version, options->poller_id,
                            options->mode);
    p->turn_ms = p->expire_ms = INT64_MAX;
    TAILQ_INIT(&p->refused);
    TAILQ_INIT(&p->waiting);
    TAILQ_INIT(&p->processes);
    loop_timer_init(&p->turn, loop, phpserver_on_turn, p);
    for (int i = 0; i < options->count; i++) {
        struct slot *s = &p->slots[i];
        s->pool = p;
        s->index = i;
        phpproto_init(&s->proto, &proto);
        loop_timer_init(&s->timer, loop, on_slot_time, s);
    }
    children_at_end(children, phpserver_on_end, p);
    return p;
}

struct phpserver_figures phpserver_get_figures(const struct phpserver_pool *p)
{
    return p->figures;
}

static void phpserver_turn_within(struct phpserver_pool *p, int64_t delay_ms)
{
    int64_t at_ms = clock_mono_ms() + delay_ms;
    if (at_ms >= p->turn_ms)
        return;
    p->turn_ms = at_ms;
    loop_timer_set(&p->turn, delay_ms);
}

/* ---- answers and notes ---- */

static void phpserver_answer(struct job *job, struct script_reply *reply)
{
    struct phpserver_figures *f = &job->pool->figures;
    f->answered += reply->outcome == SCRIPT_OUTPUT;
    f->timed_out += reply->outcome == SCRIPT_TIMED_OUT;
    f->flooded += reply->outcome == SCRIPT_FLOODED;
    f->lost += reply->outcome == SCRIPT_LOST;
    f->not_started += reply->outcome == SCRIPT_NOT_STARTED;
    f->cancelled += reply->outcome == SCRIPT_CANCELLED;
    job->done(job->arg, reply);
    free(job->command);
    free(job);
}

static void phpserver_answer_short(struct job *job, enum script_outcome outcome, const char *detail)
{
    struct script_reply reply = {.outcome = outcome, .output = "", .detail = detail};
    phpserver_answer(job, &reply);
}

static void answer_in_flight(struct slot *s, const struct phpproto_do *d)
{
    struct job *job = s->job;
    struct script_reply reply = {.outcome = d->outcome,
                                 .output = d->output == NULL ? "" : d->output,
                                 .len = d->len,
                                 .lines = d->outcome == SCRIPT_OUTPUT,
                                 .server = s->index,
                                 .detail = d->detail,
                                 .elapsed_us = clock_mono_us() - job->sent_us};
    s->job = NULL;
    phpserver_answer(job, &reply);
}

static void phpserver_note(struct phpserver_pool *p, const char *line)
{
    if (p->options.note != NULL)
        p->options.note(p->options.note_arg, line);
}

static void note_event(const struct slot *s, const struct phpproto_do *d)
{
    struct phpserver_pool *p = s->pool;
    struct buf line = BUF_INIT;
    if (d->start_failed) {
        p->figures.failed_starts++;
        free(p->last_failure);
        p->last_failure = mem_strdup(d->note);
        buf_printf(&line,
                   "ERROR: SS[%d] Script Server did not start properly return message was: '%s' "
                   "(%s%s)",
                   s->index, d->said[0] == '\0' ? "U" : d->said, d->note,
                   s->proto.state == PHPPROTO_DEAD ? "; it is no longer used in this cycle" : "");
    } else if (d->retry) {
        buf_printf(&line,
                   "ERROR: SS[%d] PHP Script Server communications lost sending Command[%.*s].  "
                   "Restarting PHP Script Server",
                   s->index, COMMAND_SHOWN, s->job->command);
    } else {
        buf_printf(&line, "WARNING: SS[%d] The PHP Script Server %s", s->index, d->note);
    }
    phpserver_note(p, line.data);
    buf_done(&line);
}

/* ---- what the protocol decides ---- */

static void set_slot_timer(struct slot *s)
{
    int64_t due_ms = s->proto.due_ms;
    if (s->job != NULL && s->job->deadline_ms < due_ms)
        due_ms = s->job->deadline_ms;
    if (due_ms == INT64_MAX)
        loop_timer_cancel(&s->timer);
    else
        loop_timer_set(&s->timer, due_ms - clock_mono_ms());
}

static void phpserver_replace(struct slot *s)
{
    struct process *process = s->process;
    s->process = NULL;
    if (process == NULL)
        return;
    process->slot = NULL;
    child_stop(process->child);
}

static void retry(struct slot *s, const struct phpproto_do *d)
{
    struct job *job = s->job;
    if (job->retried) {
        answer_in_flight(s, d);
        return;
    }
    s->job = NULL;
    job->retried = true;
    s->pool->figures.retried++;
    TAILQ_INSERT_HEAD(&s->pool->waiting, job, next);
    s->pool->figures.waiting++;
    if (job->deadline_ms < s->pool->expire_ms)
        s->pool->expire_ms = job->deadline_ms;
}

static void act(struct slot *s, struct phpproto_do d)
{
    if (d.note != NULL)
        note_event(s, &d);
    if (d.end)
        phpserver_replace(s);
    if (d.fence) {
        if (!child_write(s->process->child, " ", 1)) {
            act(s, phpproto_closed(&s->proto, clock_mono_ms()));
            return;
        }
        if (!child_when_consumed(s->process->child)) {
            act(s, phpproto_no_fence(&s->proto, clock_mono_ms()));
            return;
        }
    }
    if (d.retry)
        retry(s, &d);
    else if (d.answer)
        answer_in_flight(s, &d);
    if (s->proto.state == PHPPROTO_IDLE)
        child_set_idle(s->process->child, true);
    if (s->proto.state == PHPPROTO_IDLE && s->pool->options.ready != NULL)
        s->pool->options.ready(s->pool->options.ready_arg);
    set_slot_timer(s);
    phpserver_turn_within(s->pool, 0);
}

/* ---- what a process does ---- */

static void on_data(void *arg, const char *bytes, size_t len)
{
    struct process *process = arg;
    struct slot *s = process->slot;
    if (s != NULL)
        act(s, phpproto_bytes(&s->proto, clock_mono_ms(), bytes, len));
}

static void on_consumed(void *arg)
{
    struct process *process = arg;
    struct slot *s = process->slot;
    if (s != NULL)
        act(s, phpproto_consumed(&s->proto, clock_mono_ms()));
}

static void on_closed(void *arg)
{
    struct process *process = arg;
    struct slot *s = process->slot;
    if (s != NULL)
        act(s, phpproto_closed(&s->proto, clock_mono_ms()));
}

static void phpserver_on_over(void *arg)
{
    struct process *process = arg;
    TAILQ_REMOVE(&process->pool->processes, process, next);
    free(process);
}

static const struct child_calls calls = {
    .data = on_data, .consumed = on_consumed, .closed = on_closed, .over = phpserver_on_over};

/* A late turn of the loop must not make a punctual answer late: look again first. */
static void on_slot_time(void *arg)
{
    struct slot *s = arg;
    if (s->process != NULL)
        child_read_now(s->process->child);
    int64_t now_ms = clock_mono_ms();
    if (s->job != NULL && now_ms >= s->job->deadline_ms) {
        struct job *job = s->job;
        s->job = NULL;
        phpproto_drop(&s->proto, now_ms);
        phpserver_replace(s);
        phpserver_answer_short(job, SCRIPT_CANCELLED, "the cycle is over");
        set_slot_timer(s);
        return;
    }
    act(s, phpproto_time(&s->proto, now_ms));
}

/* ---- starting ---- */

static void phpserver_start_failed(struct slot *s, enum spawn_result result, const struct err *err)
{
    int64_t now_ms = clock_mono_ms();
    if (err->number == ECANCELED) {
        quit(s->pool); /* the supervisor is stopping, and so is the pool */
        return;
    }
    if (result == SPAWN_NO_DESCRIPTOR) {
        if (s->trouble_ms == 0)
            s->trouble_ms = now_ms;
        if (now_ms - s->trouble_ms < s->pool->options.timeout_ms) {
            s->proto.start_at_ms = now_ms + DESCRIPTOR_MS;
            return;
        }
    }
    act(s, phpproto_not_started(&s->proto, now_ms, err->text, result == SPAWN_REFUSED));
}

static void start_process(struct slot *s)
{
    struct phpserver_pool *p = s->pool;
    struct err err = ERR_INIT;
    struct process *process = mem_zalloc(1, sizeof(*process));
    struct child_order order = {.path = p->argv[0],
                                .argv = p->argv,
                                .talk = true,
                                .grace_ms = GRACE_MS,
                                .limits = p->options.limits,
                                .calls = &calls,
                                .arg = process};
    process->slot = s;
    process->pool = p;
    enum spawn_result result = child_start(p->children, &order, &process->child, &err);
    if (result != SPAWN_STARTED) {
        free(process);
        phpserver_start_failed(s, result, &err);
        return;
    }
    TAILQ_INSERT_TAIL(&p->processes, process, next);
    p->figures.started++;
    s->process = process;
    s->trouble_ms = 0;
    act(s, phpproto_started(&s->proto, clock_mono_ms()));
}

struct census {
    size_t dead, starting, alive; /* alive: starting, idle, busy */
    int64_t next_start_ms;
};

static struct census count_slots(const struct phpserver_pool *p)
{
    struct census n = {.next_start_ms = INT64_MAX};
    for (int i = 0; i < p->options.count; i++) {
        const struct slot *s = &p->slots[i];
        n.dead += s->proto.state == PHPPROTO_DEAD;
        n.alive += s->process != NULL;
        n.starting += s->proto.state == PHPPROTO_STARTING || s->proto.state == PHPPROTO_SETTLING;
        if (s->proto.state == PHPPROTO_DOWN && s->proto.start_at_ms < n.next_start_ms)
            n.next_start_ms = s->proto.start_at_ms;
    }
    return n;
}

/* One for each request that waits, and as many as were asked to be warm; one a turn, because the
 * loop has other things to do. */
static void start_one(struct phpserver_pool *p)
{
    int64_t now_ms = clock_mono_ms();
    struct census n = count_slots(p);
    if (n.alive + n.dead >= p->warm)
        p->warm = 0;
    if (n.starting >= p->figures.waiting && p->warm == 0)
        return;
    for (int i = 0; i < p->options.count; i++) {
        struct slot *s = &p->slots[i];
        if (s->proto.state == PHPPROTO_DOWN && s->proto.start_at_ms <= now_ms) {
            start_process(s);
            phpserver_turn_within(p, 0);
            return;
        }
    }
    if (n.next_start_ms != INT64_MAX)
        phpserver_turn_within(p, n.next_start_ms - now_ms);
}

/* ---- the queue ---- */

static struct job *take_first(struct phpserver_pool *p)
{
    struct job *job = TAILQ_FIRST(&p->waiting);
    if (job != NULL) {
        TAILQ_REMOVE(&p->waiting, job, next);
        p->figures.waiting--;
    }
    return job;
}

static void send_to(struct slot *s, struct job *job)
{
    struct buf line = BUF_INIT;
    s->job = job;
    job->sent_us = clock_mono_us();
    s->pool->figures.asked++;
    child_set_idle(s->process->child, false);
    phpproto_ask(&s->proto, clock_mono_ms(), job->command, &line);
    bool sent = child_write(s->process->child, line.data, line.len);
    buf_done(&line);
    if (sent)
        set_slot_timer(s);
    else
        act(s, phpproto_closed(&s->proto, clock_mono_ms()));
}

static void hand_out(struct phpserver_pool *p)
{
    for (int i = 0; i < p->options.count && !TAILQ_EMPTY(&p->waiting); i++) {
        struct slot *s = &p->slots[i];
        if (s->proto.state != PHPPROTO_IDLE)
            continue;
        child_read_now(s->process->child); /* anything there is not an answer */
        if (s->proto.state == PHPPROTO_IDLE)
            send_to(s, take_first(p));
    }
}

/* Ends all requests in the queue whose time is over; the timer is set for the next one. */
static void phpserver_expire(struct phpserver_pool *p)
{
    int64_t now_ms = clock_mono_ms();
    struct job *job, *following;
    p->expire_ms = INT64_MAX; /* a request that is added during a callback lowers it, too */
    for (job = TAILQ_FIRST(&p->waiting); job != NULL; job = following) {
        following = TAILQ_NEXT(job, next);
        if (job->deadline_ms > now_ms) {
            if (job->deadline_ms < p->expire_ms)
                p->expire_ms = job->deadline_ms;
            continue;
        }
        TAILQ_REMOVE(&p->waiting, job, next);
        p->figures.waiting--;
        phpserver_answer_short(job, SCRIPT_CANCELLED,
                               "the cycle ended while it waited for a script server");
    }
}

static void answer_all(struct phpserver_pool *p, enum script_outcome outcome, const char *detail)
{
    struct job_list list = TAILQ_HEAD_INITIALIZER(list);
    struct job *job;
    TAILQ_CONCAT(&list, &p->waiting, next);
    p->figures.waiting = 0;
    while ((job = TAILQ_FIRST(&list)) != NULL) {
        TAILQ_REMOVE(&list, job, next);
        phpserver_answer_short(job, outcome, detail);
    }
}

static void cancel_in_flight(struct phpserver_pool *p)
{
    for (int i = 0; i < p->options.count; i++) {
        struct job *job = p->slots[i].job;
        p->slots[i].job = NULL;
        if (job != NULL)
            phpserver_answer_short(job, SCRIPT_CANCELLED, "the cycle is over");
    }
}

/* What no script server can be asked is told without one. */
static void phpserver_refuse(struct phpserver_pool *p)
{
    struct job *job;
    while ((job = TAILQ_FIRST(&p->refused)) != NULL) {
        struct script_reply reply = {.outcome = SCRIPT_NOT_STARTED,
                                     .output = "",
                                     .limit_hit = true,
                                     .detail = phpproto_refuses(job->command)};
        TAILQ_REMOVE(&p->refused, job, next);
        phpserver_answer(job, &reply);
    }
}

static void phpserver_on_turn(void *arg)
{
    struct phpserver_pool *p = arg;
    p->turn_ms = INT64_MAX;
    phpserver_refuse(p);
    if (p->quitting) {
        cancel_in_flight(p);
        answer_all(p, SCRIPT_CANCELLED, "the cycle is over");
        return;
    }
    hand_out(p);
    start_one(p);
    if (count_slots(p).dead == (size_t)p->options.count) {
        struct buf why = BUF_INIT;
        buf_printf(&why, "no script server could be started: %s", p->last_failure);
        answer_all(p, SCRIPT_NOT_STARTED, why.data);
        buf_done(&why);
    }
    if (clock_mono_ms() >= p->expire_ms)
        phpserver_expire(p);
    if (!TAILQ_EMPTY(&p->waiting))
        phpserver_turn_within(p, p->expire_ms - clock_mono_ms());
}

void phpserver_start(struct phpserver_pool *p, const struct script_request *request,
                     int64_t deadline_mono_ms, script_done_fn *done, void *arg)
{
    struct job *job = mem_zalloc(1, sizeof(*job));
    job->pool = p;
    job->command = mem_strdup(request->command);
    job->deadline_ms = deadline_mono_ms;
    job->done = done;
    job->arg = arg;
    phpserver_turn_within(p, 0);
    if (phpproto_refuses(job->command) != NULL) {
        TAILQ_INSERT_TAIL(&p->refused, job, next);
        return;
    }
    TAILQ_INSERT_TAIL(&p->waiting, job, next);
    if (++p->figures.waiting > p->figures.most_waiting)
        p->figures.most_waiting = p->figures.waiting;
    if (deadline_mono_ms < p->expire_ms)
        p->expire_ms = deadline_mono_ms;
}

/* ---- from outside ---- */

struct warm_call {
    struct phpserver_pool *pool;
    size_t requests;
};

static void warm(void *arg)
{
    struct warm_call *w = arg;
    size_t most = (size_t)w->pool->options.count;
    w->pool->warm = w->requests < most ? w->requests : most;
    phpserver_turn_within(w->pool, 0);
    free(w);
}

void phpserver_warm(struct phpserver_pool *p, size_t requests)
{
    struct warm_call *w = mem_zalloc(1, sizeof(*w));
    w->pool = p;
    w->requests = requests;
    if (!children_call(p->children, warm, w))
        free(w);
}

static void phpserver_leave(struct slot *s)
{
    struct process *process = s->process;
    bool idle = s->proto.state == PHPPROTO_IDLE;
    phpproto_drop(&s->proto, clock_mono_ms());
    if (process == NULL)
        return;
    s->process = NULL;
    process->slot = NULL;
    if (!idle) { /* it does not read its input before it has finished */
        child_stop(process->child);
        return;
    }
    (void)child_write(process->child, "quit\r\n", 6);
    child_close_input(process->child);
    child_stop_within(process->child, LEAVE_MS);
}

static void quit(void *arg)
{
    struct phpserver_pool *p = arg;
    if (p->quitting)
        return;
    p->quitting = true;
    for (int i = 0; i < p->options.count; i++) {
        phpserver_leave(&p->slots[i]);
        loop_timer_cancel(&p->slots[i].timer);
    }
    phpserver_turn_within(p, 0);
}

void phpserver_quit(struct phpserver_pool *p)
{
    (void)!children_call(p->children, quit, p); /* false: everything is over already */
}

/* No caller must wait for what will not come. */
static void phpserver_on_end(void *arg)
{
    struct phpserver_pool *p = arg;
    quit(p);
    phpserver_refuse(p);
    cancel_in_flight(p);
    answer_all(p, SCRIPT_CANCELLED, "the cycle is over");
}

void phpserver_pool_free(struct phpserver_pool *p)
{
    struct process *process;
    if (p == NULL)
        return;
    children_at_end(p->children, NULL, p);
    phpserver_on_end(p);
    for (int i = 0; i < p->options.count; i++) {
        struct slot *s = &p->slots[i];
        phpproto_done(&s->proto);
        loop_timer_cancel(&s->timer);
    }
    while ((process = TAILQ_FIRST(&p->processes)) != NULL) { /* not even SIGKILL could end it */
        child_forget(process->child);
        TAILQ_REMOVE(&p->processes, process, next);
        free(process);
    }
    loop_timer_cancel(&p->turn);
    phpproto_free_argv(p->argv);
    free(p->last_failure);
    free(p);
}
