#include "config.h"

#include "script_private.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/loop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/wait.h>

enum {
    RETRY_MS = 50,   /* the first pause when the system has no descriptor or process to give */
    RETRIES_MAX = 5, /* pauses of 50, 100 ... 800 ms when it has no process or memory */
    COMMAND_SHOWN = 200
};

struct job {
    TAILQ_ENTRY(job) next; /* of waiting, then of running */
    struct script_runner *runner;
    char *command;
    bool count_lines;
    const char *source;
    uint32_t device_id, source_id;
    int64_t deadline_ms;
    script_done_fn *done; /* NULL: answered */
    void *arg;

    struct places_claim claim; /* of the first that waits, and of those that run */
    bool claimed, placed;
    struct child *child;
    bool cycle_bound; /* the deadline comes before the time-out */
    int retries;
    int64_t trouble_ms; /* since when it cannot be started */
    int64_t started_us;
    enum child_force told_force;
};

TAILQ_HEAD(job_list, job);

struct script_runner {
    struct children *children;
    struct script_options options;
    struct job_list waiting, running;
    struct loop_timer turn;
    int64_t turn_ms;   /* when it is set for, INT64_MAX: not */
    int64_t expire_ms; /* the soonest deadline of the waiting */
    int64_t pause_ms;  /* nothing is started before: the system has no process to give */
    bool given_up;
    struct script_figures figures;
};

static void script_on_turn(void *arg);
static void script_on_end(void *arg);

struct script_options script_default_options(void)
{
    return (struct script_options){
        .slots = SPINE_MAX_SCRIPTS,
        .timeout_ms = 25000,
        .grace_ms = 500,
        .output_cap = SPINE_RESULTS_BUFFER - 1,
        .flood_bytes = 1 << 20,
        .limits = {.cpu_s = 30, .files = 1024, .core_bytes = 0, .oom_score_adj = 200}};
}

struct script_runner *script_runner_new(struct children *children,
                                        const struct script_options *options)
{
    struct script_runner *s = mem_zalloc(1, sizeof(*s));
    s->children = children;
    s->options = *options;
    s->turn_ms = s->expire_ms = INT64_MAX;
    TAILQ_INIT(&s->waiting);
    TAILQ_INIT(&s->running);
    loop_timer_init(&s->turn, children_get_loop(children), script_on_turn, s);
    children_at_end(children, script_on_end, s);
    return s;
}

struct script_figures script_get_figures(const struct script_runner *s)
{
    return s->figures;
}

/* ---- answers ---- */

static void script_answer(struct job *job, struct script_reply *reply)
{
    struct script_figures *f = &job->runner->figures;
    script_done_fn *done = job->done;
    if (done == NULL)
        return;
    job->done = NULL;
    f->timed_out += reply->outcome == SCRIPT_TIMED_OUT;
    f->flooded += reply->outcome == SCRIPT_FLOODED;
    f->not_started += reply->outcome == SCRIPT_NOT_STARTED;
    f->cancelled += reply->outcome == SCRIPT_CANCELLED;
    done(job->arg, reply);
}

static void script_answer_short(struct job *job, enum script_outcome outcome, const char *detail)
{
    struct script_reply reply = {.outcome = outcome, .output = "", .detail = detail};
    script_answer(job, &reply);
}

static size_t whole_lines(const char *output, size_t len)
{
    const char *lf = len == 0 ? NULL : memrchr(output, '\n', len);
    return lf == NULL ? 0 : (size_t)(lf - output) + 1;
}

/* How much of the output is used: up to the cap, and the white space behind it, which shows that the last
 * word is whole. */
static size_t used(const struct script_terms *t, const struct child_report *r)
{
    if (r->len <= t->output_cap)
        return r->len;
    char next = r->output[t->output_cap];
    return t->output_cap + (strchr(" \t\r\n", next) != NULL && next != '\0');
}

struct script_worth script_weigh(const struct script_terms *t, const struct child_report *r)
{
    struct script_worth w = {.outcome = SCRIPT_OUTPUT, .len = used(t, r)};
    w.cut = r->bytes > w.len && !t->count_lines;
    switch (r->end) {
    case CHILD_FLOODED: w.outcome = SCRIPT_FLOODED; return w;
    case CHILD_STOPPED: w.outcome = SCRIPT_CANCELLED; return w;
    case CHILD_OVERDUE:
        if (t->cycle_bound) {
            w.outcome = SCRIPT_CANCELLED;
            return w;
        }
        if (!r->output_ended)
            w.len = whole_lines(r->output, w.len); /* a number cut short is a wrong number */
        if (w.len == 0 || (t->count_lines && !r->output_ended))
            w.outcome = SCRIPT_TIMED_OUT;
        return w;
    case CHILD_LEFT_OPEN:
        if (t->count_lines) {
            w.outcome = SCRIPT_TIMED_OUT;
            return w;
        }
        break;
    case CHILD_BY_ITSELF: break;
    }
    if (r->bytes == 0)
        w.outcome = SCRIPT_EMPTY;
    return w;
}

static void say_force(struct buf *out, enum child_force force)
{
    switch (force) {
    case CHILD_UNFORCED: break;
    case CHILD_TERMED: buf_puts(out, "; ended by SIGTERM"); break;
    case CHILD_KILLED: buf_puts(out, "; ignored SIGTERM, ended by SIGKILL"); break;
    case CHILD_OUT_OF_REACH:
        buf_puts(out, "; what keeps its output open has left its group");
        break;
    case CHILD_UNKILLABLE: buf_puts(out, "; not even SIGKILL could end it"); break;
    }
}

static void say_status(struct buf *out, const struct child_report *r)
{
    if (!r->exited)
        buf_puts(out, "it closed its output without printing anything and goes on");
    else if (WIFSIGNALED(r->status))
        buf_printf(out, "ended by signal %d%s", WTERMSIG(r->status),
                   WCOREDUMP(r->status) ? " (core dumped)" : "");
    else if (WEXITSTATUS(r->status) == 127)
        buf_puts(out, "exit status 127: the shell did not find the command");
    else if (WEXITSTATUS(r->status) == 126)
        buf_puts(out, "exit status 126: the shell could not execute the command");
    else
        buf_printf(out, "exit status %d", WEXITSTATUS(r->status));
}

static void say_end(struct buf *out, const struct script_runner *s, const struct child_report *r,
                    bool cut)
{
    switch (r->end) {
    case CHILD_OVERDUE:
        buf_printf(out, "limit: %" PRId64 " ms; it had not ended and had printed %" PRIu64 " bytes",
                   s->options.timeout_ms, r->bytes);
        break;
    case CHILD_FLOODED:
        buf_printf(out, "limit: %" PRIu64 " bytes of output", s->options.flood_bytes);
        break;
    case CHILD_LEFT_OPEN:
        buf_printf(out, "the shell ended, something that it started kept its output open");
        break;
    case CHILD_STOPPED: buf_puts(out, "the cycle is over"); break;
    case CHILD_BY_ITSELF:
        if (r->bytes == 0 || (r->exited && r->status != 0))
            say_status(out, r);
        break;
    }
    if (cut && r->end != CHILD_FLOODED)
        buf_printf(out, "%slimit: output cut to %zu of %" PRIu64 " bytes", out->len > 0 ? "; " : "",
                   s->options.output_cap, r->bytes);
    say_force(out, r->force);
}

static void on_settled(void *arg)
{
    struct job *job = arg;
    struct child_report r = child_get_report(job->child);
    const struct script_terms terms = {.output_cap = job->runner->options.output_cap,
                                       .count_lines = job->count_lines,
                                       .cycle_bound = job->cycle_bound};
    const struct script_worth worth = script_weigh(&terms, &r);
    struct script_reply reply = {.outcome = worth.outcome,
                                 .output = r.output,
                                 .len = worth.len,
                                 .lines = r.lines,
                                 .cut = worth.cut,
                                 .elapsed_us = r.elapsed_us};
    struct buf detail = BUF_INIT;
    say_end(&detail, job->runner, &r, worth.cut);
    reply.detail = detail.len == 0 ? NULL : detail.data;
    reply.limit_hit = r.end != CHILD_BY_ITSELF || reply.cut;
    job->told_force = r.force;
    script_answer(job, &reply);
    buf_done(&detail);
}

/* It was answered when its output ended; what had to be done later goes to the log. */
static void note_force(const struct job *job)
{
    const struct script_options *o = &job->runner->options;
    struct child_report r = child_get_report(job->child);
    struct buf line = BUF_INIT;
    if (o->note == NULL || r.force <= job->told_force || r.end == CHILD_STOPPED)
        return;
    if (job->source != NULL)
        buf_printf(&line, "Device[%" PRIu32 "] %s[%" PRIu32 "] ", job->device_id, job->source,
                   job->source_id);
    buf_printf(&line, "WARNING: Script went on after its result, for %" PRId64 " ms in all",
               (clock_mono_us() - job->started_us) / 1000);
    say_force(&line, r.force);
    buf_printf(&line, "; Command[%.*s]", COMMAND_SHOWN, job->command);
    o->note(o->note_arg, line.data);
    buf_done(&line);
}

/* ---- the queue ---- */

static void script_turn_within(struct script_runner *s, int64_t delay_ms)
{
    int64_t at_ms = clock_mono_ms() + delay_ms;
    if (at_ms >= s->turn_ms)
        return;
    s->turn_ms = at_ms;
    loop_timer_set(&s->turn, delay_ms);
}

/* Runners that share places take turns, because only the first that waits claims one. */
static void script_on_place(void *arg)
{
    struct job *job = arg;
    job->placed = true;
    script_turn_within(job->runner, 0);
}

static bool script_has_place(struct job *job)
{
    static const char key[] = "scripts";
    const struct script_runner *s = job->runner;
    const struct places_terms terms = {.key = key,
                                       .key_len = sizeof(key),
                                       .most = (size_t)s->options.slots,
                                       .loop = children_get_loop(s->children),
                                       .fn = script_on_place,
                                       .arg = job};
    if (s->options.places == NULL)
        return true;
    if (!job->claimed) {
        job->claimed = true;
        job->placed = places_take(s->options.places, &terms, &job->claim);
    }
    return job->placed;
}

static void script_leave_place(struct job *job)
{
    places_leave(&job->claim);
    job->claimed = job->placed = false;
}

static void free_job(struct job *job)
{
    script_leave_place(job);
    free(job->command);
    free(job);
}

static void script_on_over(void *arg)
{
    struct job *job = arg;
    struct script_runner *s = job->runner;
    note_force(job);
    TAILQ_REMOVE(&s->running, job, next);
    s->figures.running--;
    free_job(job);
    script_turn_within(s, 0);
}

static const struct child_calls calls = {.settled = on_settled, .over = script_on_over};

static void drop_waiting(struct job *job)
{
    struct script_runner *s = job->runner;
    TAILQ_REMOVE(&s->waiting, job, next);
    s->figures.waiting--;
    free_job(job);
}

static enum spawn_result start_child(struct job *job, struct err *err)
{
    static const char shell[] = "/bin/sh";
    static char sh[] = "sh", dash_c[] = "-c";
    const struct script_options *o = &job->runner->options;
    char *const argv[] = {sh, dash_c, job->command, NULL};
    int64_t left_ms = job->deadline_ms - clock_mono_ms();
    if (left_ms < 1)
        left_ms = 1;
    job->cycle_bound = left_ms < o->timeout_ms;
    struct child_order order = {.path = shell,
                                .argv = argv,
                                .time_ms = job->cycle_bound ? left_ms : o->timeout_ms,
                                .grace_ms = o->grace_ms,
                                .keep_bytes = o->output_cap + 1,
                                .flood_bytes = job->count_lines ? 0 : o->flood_bytes,
                                .limits = o->limits,
                                .calls = &calls,
                                .arg = job};
    return child_start(job->runner->children, &order, &job->child, err);
}

/* Returns how long to wait before the next try, 0: there is none. */
static int64_t retry_delay(struct job *job, enum spawn_result result)
{
    int64_t now_ms = clock_mono_ms();
    if (job->trouble_ms == 0)
        job->trouble_ms = now_ms;
    if (result == SPAWN_NO_DESCRIPTOR) /* one is free as soon as anything of ours ends */
        return now_ms - job->trouble_ms < job->runner->options.timeout_ms ? RETRY_MS : 0;
    if (result == SPAWN_NO_PROCESS && job->retries < RETRIES_MAX)
        return RETRY_MS << job->retries++;
    return 0;
}

static void script_refuse(struct job *job, const struct err *err)
{
    char detail[sizeof(err->text) + 80];
    if (err->number == ECANCELED) {
        script_answer_short(job, SCRIPT_CANCELLED, err->text);
    } else if (err->number == E2BIG) {
        snprintf(detail, sizeof(detail), "%s (the command has %zu bytes)", err->text,
                 strlen(job->command));
        script_answer_short(job, SCRIPT_NOT_STARTED, detail);
    } else if (job->trouble_ms != 0) {
        snprintf(detail, sizeof(detail), "%s (for %" PRId64 " ms)", err->text,
                 clock_mono_ms() - job->trouble_ms);
        script_answer_short(job, SCRIPT_NOT_STARTED, detail);
    } else {
        script_answer_short(job, SCRIPT_NOT_STARTED, err->text);
    }
}

/* false: the queue has to wait, the next turn is set. */
static bool start_first(struct script_runner *s)
{
    struct job *job = TAILQ_FIRST(&s->waiting);
    struct err err = ERR_INIT;
    enum spawn_result result = start_child(job, &err);
    if (result == SPAWN_STARTED) {
        job->started_us = clock_mono_us();
        TAILQ_REMOVE(&s->waiting, job, next);
        TAILQ_INSERT_TAIL(&s->running, job, next);
        s->figures.waiting--;
        s->figures.started++;
        if (++s->figures.running > s->figures.most_running)
            s->figures.most_running = s->figures.running;
        return true;
    }
    int64_t delay_ms = retry_delay(job, result);
    if (delay_ms > 0) {
        script_leave_place(job);
        if (result == SPAWN_NO_PROCESS)
            s->pause_ms = clock_mono_ms() + delay_ms;
        script_turn_within(s, delay_ms);
        return false;
    }
    script_refuse(job, &err);
    drop_waiting(job);
    return true;
}

/* Ends all requests in the queue whose time is over; the timer is set for the next one. */
static void script_expire(struct script_runner *s)
{
    int64_t now_ms = clock_mono_ms();
    struct job *job, *following;
    s->expire_ms = INT64_MAX; /* a request that is added during a callback lowers it, too */
    for (job = TAILQ_FIRST(&s->waiting); job != NULL; job = following) {
        following = TAILQ_NEXT(job, next);
        if (s->given_up || job->deadline_ms <= now_ms) {
            script_answer_short(job, SCRIPT_CANCELLED,
                                "the cycle ended while it waited for a free slot");
            drop_waiting(job);
        } else if (job->deadline_ms < s->expire_ms) {
            s->expire_ms = job->deadline_ms;
        }
    }
}

static void cancel_running(struct script_runner *s)
{
    struct job *job;
    TAILQ_FOREACH (job, &s->running, next)
        script_answer_short(job, SCRIPT_CANCELLED, "the cycle is over");
}

static void script_on_turn(void *arg)
{
    struct script_runner *s = arg;
    s->turn_ms = INT64_MAX;
    if (s->given_up)
        cancel_running(s);
    if (s->given_up || clock_mono_ms() >= s->expire_ms)
        script_expire(s);
    /* One a turn: a start takes 0.1 ms, up to 3 when the processors are busy, and the loop has other
     * things to do. */
    if (!TAILQ_EMPTY(&s->waiting) && s->figures.running < (size_t)s->options.slots &&
        clock_mono_ms() >= s->pause_ms && script_has_place(TAILQ_FIRST(&s->waiting)) &&
        start_first(s))
        script_turn_within(s, 0);
    if (TAILQ_EMPTY(&s->waiting))
        return;
    script_turn_within(s, s->expire_ms - clock_mono_ms());
    if (s->pause_ms > clock_mono_ms())
        script_turn_within(s, s->pause_ms - clock_mono_ms());
}

void script_start(struct script_runner *s, const struct script_request *request,
                  int64_t deadline_mono_ms, script_done_fn *done, void *arg)
{
    struct job *job = mem_zalloc(1, sizeof(*job));
    job->runner = s;
    job->command = mem_strdup(request->command);
    job->count_lines = request->count_lines;
    job->source = request->source;
    job->device_id = request->device_id;
    job->source_id = request->source_id;
    job->deadline_ms = deadline_mono_ms;
    job->done = done;
    job->arg = arg;
    TAILQ_INSERT_TAIL(&s->waiting, job, next);
    if (++s->figures.waiting > s->figures.most_waiting)
        s->figures.most_waiting = s->figures.waiting;
    if (deadline_mono_ms < s->expire_ms)
        s->expire_ms = deadline_mono_ms;
    if (s->given_up || s->figures.running < (size_t)s->options.slots)
        script_turn_within(s, 0);
    else
        script_turn_within(s, deadline_mono_ms - clock_mono_ms());
}

static void script_cancel_all(void *arg)
{
    struct script_runner *s = arg;
    struct job *job;
    s->given_up = true;
    TAILQ_FOREACH (job, &s->running, next)
        child_stop(job->child);
    script_turn_within(s, 0);
}

void script_give_up(struct script_runner *s)
{
    (void)!children_call(s->children, script_cancel_all, s); /* false: everything is over already */
}

/* No caller must wait for what will not come. */
static void script_on_end(void *arg)
{
    struct script_runner *s = arg;
    s->given_up = true;
    cancel_running(s);
    script_expire(s);
}

void script_runner_free(struct script_runner *s)
{
    struct job *job;
    if (s == NULL)
        return;
    children_at_end(s->children, NULL, s);
    script_on_end(s);
    while ((job = TAILQ_FIRST(&s->running)) != NULL) { /* not even SIGKILL could end it */
        child_forget(job->child);
        TAILQ_REMOVE(&s->running, job, next);
        free_job(job);
    }
    loop_timer_cancel(&s->turn);
    free(s);
}
