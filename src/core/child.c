#include "config.h"

#include "child_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/stream.h"
#include "core/warden.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 500,    /* after SIGKILL, for the exit and for the end of output */
    KILL_AGAIN_MS = 1000, /* what SIGKILL did not end */
    DRAIN_ROUNDS = 16 /* reads in one go; a pipe holds less, unless a process keeps filling it */
};

/* state \ event   exited        output ended   time                     stop
 *
 * RUNNING         -> LEFT       -> QUIET       TERM, -> TERMED          TERM, -> TERMED
 * QUIET           -> OVER                      settle; overdue: TERM    TERM, -> TERMED
 * LEFT                          -> OVER        settle, TERM, -> TERMED  TERM, -> TERMED
 * TERMED          both: OVER    both: OVER     KILL, -> KILLED
 * KILLED          both: OVER    both: OVER     exited: give up output, OVER;
 *                                              else settle, KILL again
 * OVER                                         reap, settle, over, free
 */
enum state { RUNNING, QUIET, LEFT, TERMED, KILLED, OVER, STATES };
enum event { EV_EXITED, EV_OUTPUT_ENDED, EV_TIME, EV_STOP, EVENTS };

typedef void act_fn(struct child *c);

static act_fn child_go_left, child_go_quiet, child_finish, child_finish_if_both,
    child_check_overdue, child_check_quiet, child_end_left, child_terminate, child_kill_hard,
    child_give_up, child_bury;

static act_fn *const rules[STATES][EVENTS] = {
    [RUNNING] = {child_go_left, child_go_quiet, child_check_overdue, child_terminate},
    [QUIET] = {child_finish, NULL, child_check_quiet, child_terminate},
    [LEFT] = {NULL, child_finish, child_end_left, child_terminate},
    [TERMED] = {child_finish_if_both, child_finish_if_both, child_kill_hard, NULL},
    [KILLED] = {child_finish_if_both, child_finish_if_both, child_give_up, NULL},
    [OVER] = {NULL, NULL, child_bury, NULL},
};

static void child_handle(struct child *c, enum event event)
{
    act_fn *act = rules[c->state][event];
    if (act != NULL)
        act(c);
}

static const struct child_calls no_calls = {NULL, NULL, NULL, NULL, NULL};

/* ---- telling the owner ---- */

static void tell_closed(struct child *c)
{
    if (c->closed_told || c->settled)
        return;
    c->closed_told = true;
    if (c->calls->closed != NULL)
        c->calls->closed(c->arg);
}

static void child_settle(struct child *c)
{
    if (c->settled)
        return;
    c->settled = true;
    c->settled_us = clock_mono_us();
    if (c->calls->settled != NULL)
        c->calls->settled(c->arg);
}

static int64_t age_us(const struct child *c)
{
    return clock_mono_us() - c->started_us;
}

/* ---- descriptors ---- */

static void close_output(struct child *c)
{
    loop_watch_stop(&c->watch_from);
    if (c->from >= 0)
        close(c->from);
    c->from = -1;
    c->output_ended = true;
}

static void close_input(struct child *c)
{
    loop_watch_stop(&c->watch_to);
    if (c->to >= 0)
        close(c->to);
    c->to = -1;
    c->tell_consumed = false;
    buf_clear(&c->input);
}

static void close_exit(struct child *c)
{
    loop_watch_stop(&c->watch_exit);
    if (c->pidfd >= 0)
        close(c->pidfd);
    c->pidfd = -1;
}

static void child_release(struct child *c)
{
    close_output(c);
    close_input(c);
    close_exit(c);
    loop_timer_cancel(&c->timer);
    buf_done(&c->output);
    buf_done(&c->input);
    free(c->command);
    TAILQ_REMOVE(&c->children->live, c, next);
    free(c);
}

/* ---- time ---- */

/* Until the sooner of linger (0: none) and due (0: none). */
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

static bool is_overdue(const struct child *c)
{
    return c->due_us != 0 && clock_mono_us() >= c->due_us;
}

static void on_time(void *arg)
{
    child_handle(arg, EV_TIME);
}

/* ---- the acts ---- */

/* Its zombie is kept until the end, so the group id is ours. */
static void child_signal_group(const struct child *c, int signo)
{
    if (c->stolen)
        return;
    kill(-c->pid, signo);
    if (!c->exited) /* it may have left its group */
        kill(c->pid, signo);
}

static void child_go_left(struct child *c)
{
    c->state = LEFT;
    set_timer(c, clock_mono_us() + CHILD_LINGER_MS * 1000);
}

static void child_go_quiet(struct child *c)
{
    c->state = QUIET;
    set_timer(c, clock_mono_us() + CHILD_LINGER_MS * 1000);
}

/* From a later turn of the loop, so that no owner is called back from within its own call. */
static void child_finish(struct child *c)
{
    c->state = OVER;
    loop_timer_set(&c->timer, 0);
}

static void child_finish_if_both(struct child *c)
{
    if (c->exited && c->output_ended)
        child_finish(c);
}

static void child_terminate(struct child *c)
{
    if (c->end == CHILD_BY_ITSELF)
        c->end = CHILD_STOPPED;
    c->force = CHILD_TERMED;
    c->state = TERMED;
    close_input(c); /* nothing more to say, nothing more to hear about it */
    child_signal_group(c, SIGTERM);
    c->due_us = clock_mono_us() + c->grace_ms * 1000;
    loop_timer_set(&c->timer, c->grace_ms);
}

static void child_read_all(struct child *c);

/* A late turn of the loop must not make a punctual child overdue: look again first. */
static void child_check_overdue(struct child *c)
{
    child_read_all(c);
    child_look_for_exit(c);
    if (c->state != RUNNING && c->state != QUIET)
        return;
    if (c->end == CHILD_BY_ITSELF) {
        c->end = CHILD_OVERDUE;
        stream_emit(
            &(struct happening){.type = EVENT_CHILD_TIMEOUT, .figures = {c->pid, age_us(c)}});
    }
    child_terminate(c);
}

static void child_check_quiet(struct child *c)
{
    if (is_overdue(c)) {
        child_check_overdue(c);
        return;
    }
    set_timer(c, 0);
    child_settle(c);
}

static void child_end_left(struct child *c)
{
    if (c->end == CHILD_BY_ITSELF)
        c->end = CHILD_LEFT_OPEN;
    child_terminate(c);
    child_settle(c);
}

static void child_kill_hard(struct child *c)
{
    c->force = CHILD_KILLED;
    c->state = KILLED;
    child_signal_group(c, SIGKILL);
    loop_timer_set(&c->timer, PATIENCE_MS);
}

static void child_give_up(struct child *c)
{
    if (c->exited) {
        c->force = CHILD_OUT_OF_REACH;
        close_output(c);
        child_bury(c);
        return;
    }
    c->force = CHILD_UNKILLABLE;
    child_signal_group(c, SIGKILL);
    loop_timer_set(&c->timer, KILL_AGAIN_MS);
    child_settle(c);
}

static void child_reap(struct child *c)
{
    warden_remove(c->children->warden, c->pid); /* before its number can be another's */
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static void child_bury(struct child *c)
{
    struct children *children = c->children;
    child_settle(c);
    child_reap(c);
    stream_emit(
        &(struct happening){.type = EVENT_CHILD_ENDED, .figures = {c->pid, c->status, age_us(c)}});
    if (c->calls->over != NULL)
        c->calls->over(c->arg);
    child_release(c);
    children_one_less(children);
}

/* ---- output ---- */

static void child_flood(struct child *c)
{
    c->end = CHILD_FLOODED;
    close_output(c); /* it cannot go on while it is being ended */
    child_terminate(c);
}

static uint64_t count_lines(const char *bytes, size_t len)
{
    uint64_t n = 0;
    for (const char *end = bytes + len, *lf;
         (lf = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL; bytes = lf + 1)
        n++;
    return n;
}

static void child_take(struct child *c, const char *bytes, size_t len)
{
    if (c->settled || c->state >= TERMED)
        return; /* read so that it can end; the output is dropped */
    c->bytes += len;
    c->lines += count_lines(bytes, len);
    if (c->calls->data != NULL) {
        c->calls->data(c->arg, bytes, len);
    } else if (c->output.len < c->keep_bytes) {
        size_t room = c->keep_bytes - c->output.len;
        buf_append(&c->output, bytes, len < room ? len : room);
    }
    if (c->flood_bytes != 0 && c->bytes > c->flood_bytes && c->state < TERMED)
        child_flood(c);
}

static void output_ends(struct child *c)
{
    bool complete = !c->settled && c->state < TERMED;
    close_output(c);
    c->complete = complete;
    child_handle(c, EV_OUTPUT_ENDED);
    tell_closed(c);
}

/* false: nothing more for now, or ever. */
static bool read_once(struct child *c)
{
    char *scratch = c->children->scratch;
    if (c->from < 0)
        return false;
    ssize_t n = read(c->from, scratch, CHILDREN_SCRATCH);
    if (n > 0) {
        child_take(c, scratch, (size_t)n);
        return true;
    }
    if (n < 0 && errno == EINTR)
        return true;
    if (n == 0 || errno != EAGAIN)
        output_ends(c);
    return false;
}

static void child_read_all(struct child *c)
{
    for (int i = 0; i < DRAIN_ROUNDS && read_once(c); i++)
        ;
}

static void on_readable(void *arg)
{
    (void)read_once(arg);
}

/* ---- exit ---- */

static int wait_status(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return (info->si_status & 0xff) << 8;
    return info->si_status | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

void child_look_for_exit(struct child *c)
{
    siginfo_t info;
    if (c->exited)
        return;
    memset(&info, 0, sizeof(info));
    if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
        if (info.si_pid == 0)
            return;
        c->status = wait_status(&info);
    } else {
        if (errno != ECHILD)
            return;
        c->stolen = true; /* reaped by another part of the program; the pid may have been reused */
    }
    c->exited = true;
    close_exit(c);
    child_read_all(c);
    child_handle(c, EV_EXITED);
    tell_closed(c);
}

static void on_exit_readable(void *arg)
{
    child_look_for_exit(arg);
}

/* ---- input ---- */

static void watch_input(struct child *c);

/* false: the child has closed its input. */
static bool send_input(struct child *c)
{
    while (c->to >= 0 && c->input.len > 0) {
        ssize_t n = write(c->to, c->input.data, c->input.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            close_input(c);
            return false;
        }
        size_t left = c->input.len - (size_t)n;
        memmove(c->input.data, c->input.data + n, left);
        buf_truncate(&c->input, left);
    }
    if (c->close_when_sent && c->input.len == 0)
        close_input(c);
    return true;
}

static bool has_read_everything(const struct child *c)
{
    int unread = 0;
    return c->to >= 0 && c->input.len == 0 && ioctl(c->to, FIONREAD, &unread) == 0 && unread == 0;
}

static bool is_input_broken(const struct child *c)
{
    struct pollfd p = {.fd = c->to, .events = POLLOUT};
    return c->to >= 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLERR) != 0;
}

static void on_writable(void *arg)
{
    struct child *c = arg;
    bool broken = !send_input(c);
    if (!broken && c->tell_consumed && has_read_everything(c)) {
        /* What it said before it read again comes first; that may stop it. */
        child_read_all(c);
        if (c->tell_consumed) {
            c->tell_consumed = false;
            watch_input(c);
            if (c->calls->consumed != NULL)
                c->calls->consumed(c->arg);
            return;
        }
    }
    if (is_input_broken(c)) {
        close_input(c);
        broken = true;
    }
    watch_input(c);
    if (broken)
        tell_closed(c);
}

/* Watched while there is something to wait for. */
static void watch_input(struct child *c)
{
    bool wanted = c->to >= 0 && (c->input.len > 0 || c->tell_consumed);
    if (!wanted)
        loop_watch_stop(&c->watch_to);
    else if (!loop_watch_is_started(&c->watch_to))
        loop_watch_start(&c->watch_to, c->children->loop, c->to, LOOP_WRITABLE, on_writable, c);
}

bool child_write(struct child *c, const void *bytes, size_t len)
{
    if (c->to < 0)
        return false;
    buf_append(&c->input, bytes, len);
    bool ok = send_input(c);
    watch_input(c);
    return ok;
}

void child_close_input(struct child *c)
{
    c->close_when_sent = true;
    c->tell_consumed = false;
    (void)send_input(c);
    watch_input(c);
}

bool child_when_consumed(struct child *c)
{
    if (!c->one_page || c->to < 0)
        return false;
    c->tell_consumed = true;
    watch_input(c);
    return true;
}

void child_read_now(struct child *c)
{
    child_read_all(c);
}

/* ---- start, stop, look ---- */

static bool limit_to_one_page(int fd)
{
    int page = (int)sysconf(_SC_PAGESIZE);
    return fcntl(fd, F_SETPIPE_SZ, page) == page;
}

/* The last argument of a shell is the command, of a script server its mode: enough to tell them. */
static const char *command_of(const struct child_order *order)
{
    const char *command = order->path;
    for (char *const *arg = order->argv; *arg != NULL; arg++)
        command = *arg;
    return command;
}

static struct child *child_adopt(struct children *children, const struct child_order *order,
                                 const struct spawned *s)
{
    struct child *c = mem_zalloc(1, sizeof(*c));
    c->children = children;
    c->calls = order->calls == NULL ? &no_calls : order->calls;
    c->arg = order->arg;
    c->command = mem_strdup(command_of(order));
    c->pid = s->pid;
    c->pidfd = s->pidfd;
    c->from = s->from;
    c->to = s->to;
    c->grace_ms = order->grace_ms;
    c->flood_bytes = order->flood_bytes;
    c->keep_bytes = order->keep_bytes;
    c->one_page = s->to >= 0 && limit_to_one_page(s->to);
    TAILQ_INSERT_TAIL(&children->live, c, next);
    loop_timer_init(&c->timer, children->loop, on_time, c);
    loop_watch_start(&c->watch_from, children->loop, c->from, LOOP_READABLE, on_readable, c);
    if (c->pidfd >= 0)
        loop_watch_start(&c->watch_exit, children->loop, c->pidfd, LOOP_READABLE, on_exit_readable,
                         c);
    return c;
}

static void tell_started(const struct child *c)
{
    stream_emit_text((struct happening){.type = EVENT_CHILD_STARTED, .figures = {c->pid}},
                     c->command);
}

enum spawn_result child_start(struct children *children, const struct child_order *order,
                              struct child **ret, struct err *err)
{
    struct spawn_order so = {.path = order->path,
                             .argv = order->argv,
                             .envp = children->env,
                             .directory = children->directory,
                             .talk = order->talk,
                             .die_with_parent = true,
                             .no_pidfd = children->no_pidfd,
                             .mark = children->mark,
                             .limits = order->limits};
    struct spawned s;
    int64_t now_us = clock_mono_us(), now_ticks = orphan_now_ticks();
    if (children->stopping) {
        err_set_number(err, ERR_TEMPORARY, ECANCELED, "no more processes are started");
        return SPAWN_REFUSED;
    }
    enum spawn_result result = spawn_start(&so, &s, err);
    if (result != SPAWN_STARTED)
        return result;
    struct child *c = child_adopt(children, order, &s);
    c->started_us = now_us;
    c->busy_ticks = now_ticks;
    c->due_us = order->time_ms == 0 ? 0 : now_us + order->time_ms * 1000;
    set_timer(c, 0);
    children_one_more(children, c);
    *ret = c;
    tell_started(c);
    return result;
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
    child_handle(c, EV_STOP);
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

void child_set_idle(struct child *c, bool idle)
{
    if (idle)
        c->busy_ticks = INT64_MAX;
    else if (c->busy_ticks == INT64_MAX)
        c->busy_ticks = orphan_now_ticks();
}

void child_forget(struct child *c)
{
    c->calls = &no_calls;
}

void child_shorten_grace(struct child *c, int64_t grace_ms)
{
    if (c->grace_ms > grace_ms)
        c->grace_ms = grace_ms;
    if (c->state == TERMED && c->due_us - clock_mono_us() > grace_ms * 1000)
        loop_timer_set(&c->timer, grace_ms);
}

void child_kill_now(struct child *c)
{
    child_signal_group(c, SIGKILL);
}

bool child_reap_now(struct child *c)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
        return false;
    child_reap(c);
    return true;
}

void child_drop(struct child *c)
{
    child_release(c);
}
