#include "config.h"

#include "child_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/thr.h"
#include "core/warden.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    SWEEP_AFTER_MS = 50,   /* a child's end: one look for many of them */
    SWEEP_AGAIN_MS = 50,   /* while something is there to be ended */
    STOPPING_AGAIN_MS = 5, /* the same, when the end of the cycle waits for it */
    GRACE_MS = 500,        /* an orphan's, from SIGTERM to SIGKILL */
    FORCE_MS = 1000,       /* children_free() of children that were not stopped */
    FORCE_LOOK_MS = 20     /* if SIGCHLD should not come */
};

/* A call on its way to the supervisor's own thread. */
struct call {
    struct loop_letter letter;
    children_fn *fn;
    void *arg;
};

struct children_end {
    struct children_end *next;
    children_fn *fn;
    void *arg;
};

/* The supervisor's own thread, for the legacy loop. */
struct children_thread {
    pthread_t thread;
    bool joined, clean; /* the maker's, after the join */
};

static void on_sweep(void *arg);

/* ---- SIGCHLD, where the kernel has no pidfd ---- */

static void on_sigchld(void *arg)
{
    struct children *c = arg;
    struct signalfd_siginfo info;
    struct child *child, *following;
    while (read(c->sigchld, &info, sizeof(info)) > 0)
        ;
    for (child = TAILQ_FIRST(&c->live); child != NULL; child = following) {
        following = TAILQ_NEXT(child, next); /* signals come together: one for many exits */
        child_look_for_exit(child);
    }
}

/* A blocked signal reaches a signalfd and nothing else; before SIGCHLD is blocked everywhere it
 * might be thrown away. */
static bool open_sigchld(struct children *c, struct err *err)
{
    struct sigaction now;
    sigset_t set;
    if (sigaction(SIGCHLD, NULL, &now) == 0 && now.sa_handler == SIG_IGN) {
        now.sa_handler = SIG_DFL; /* inherited: children would vanish unreaped */
        sigaction(SIGCHLD, &now, NULL);
    }
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    c->sigchld = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (c->sigchld < 0)
        return err_set_number(err, ERR_OS, errno, "cannot create a signalfd: %s", strerror(errno));
    return true;
}

/* ---- new and free ---- */

static struct children *children_begin(const struct children_options *options, struct err *err)
{
    struct children *c = mem_zalloc(1, sizeof(*c));
    struct sigaction pipe;
    TAILQ_INIT(&c->live);
    if (!open_sigchld(c, err)) {
        free(c);
        return NULL;
    }
    if (sigaction(SIGPIPE, NULL, &pipe) == 0 && pipe.sa_handler == SIG_DFL) {
        /* Writing to a child that has exited is an error, not the end of the poller. */
        pipe.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &pipe, NULL);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    c->env = spawn_env_new(options->env, options->env_set, options->env_drop);
    c->directory = options->directory != NULL ? mem_strdup(options->directory) : NULL;
    c->no_pidfd = options->no_pidfd;
    c->force_ms = options->force_ms > 0 ? options->force_ms : FORCE_MS;
    c->orphan_grace_ms = options->orphan_grace_ms > 0 ? options->orphan_grace_ms : GRACE_MS;
    c->scratch = mem_alloc(CHILDREN_SCRATCH);
    c->mark = warden_make_mark();
    c->warden = warden_start(c->mark); /* first: it is not an orphan */
    orphan_begin(&c->orphans, c->mark, options->no_children_file);
    return c;
}

static void children_attach(struct children *c, struct loop *loop)
{
    c->loop = loop;
    loop_timer_init(&c->sweep, loop, on_sweep, c);
}

struct children *children_new_on_loop(struct loop *loop, const struct children_options *options,
                                      struct err *err)
{
    struct children *c = children_begin(options, err);
    if (c != NULL)
        children_attach(c, loop);
    return c;
}

struct loop *children_get_loop(struct children *c)
{
    return c->loop;
}

/* ---- what child.c reports ---- */

static void children_set_sweep(struct children *c, int64_t delay_ms)
{
    if (!loop_timer_is_set(&c->sweep))
        loop_timer_set(&c->sweep, delay_ms);
}

void children_one_more(struct children *c, struct child *child)
{
    c->used = true;
    c->live_count++;
    warden_add(c->warden, child->pid);
    if (child->pidfd < 0 && !loop_watch_is_started(&c->watch_sigchld))
        loop_watch_start(&c->watch_sigchld, c->loop, c->sigchld, LOOP_READABLE, on_sigchld, c);
}

void children_one_less(struct children *c)
{
    c->live_count--;
    if (c->stopping && TAILQ_EMPTY(&c->live))
        loop_timer_cancel(&c->sweep);
    children_set_sweep(c, c->stopping ? 0 : SWEEP_AFTER_MS);
}

/* ---- orphans, and the end ---- */

static size_t children_sweep(struct children *c)
{
    pid_t *known = mem_zalloc(c->live_count + 1, sizeof(known[0]));
    struct orphan_view view = {
        .known = known, .oldest_ticks = INT64_MAX, .grace_ms = c->orphan_grace_ms};
    const struct child *child;
    TAILQ_FOREACH (child, &c->live, next) {
        known[view.count++] = child->pid;
        if (child->busy_ticks < view.oldest_ticks)
            view.oldest_ticks = child->busy_ticks;
    }
    if (c->stopping && (c->stop_by_ms - clock_mono_ms()) / 2 < view.grace_ms)
        view.grace_ms = (c->stop_by_ms - clock_mono_ms()) / 2;
    size_t left = orphan_sweep(&c->orphans, &view, c->stopping);
    free(known);
    return left;
}

void children_at_end(struct children *c, children_fn *fn, void *arg)
{
    struct children_end **e = &c->at_end, *found;
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

const char *children_get_left(const struct children *c)
{
    return c->left;
}

/* Before anything is forgotten. */
static void name_left(struct children *c)
{
    const struct child *first = TAILQ_FIRST(&c->live);
    if (first != NULL)
        snprintf(c->left, sizeof(c->left), "%.120s (pid %d)", first->command, (int)first->pid);
    else
        memcpy(c->left, c->orphans.last, sizeof(c->left));
}

static void children_stopped(struct children *c, bool clean)
{
    if (!clean)
        name_left(c);
    children_stopped_fn *done = c->stopped;
    struct children_end *e;
    c->stopped = NULL;
    loop_timer_cancel(&c->sweep);
    if (c->thread != NULL)
        loop_close_posts(c->loop); /* what has been called is run, what comes now is refused */
    while ((e = c->at_end) != NULL) {
        c->at_end = e->next;
        e->fn(e->arg);
        free(e);
    }
    if (done != NULL)
        done(c->stopped_arg, clean);
}

static void on_sweep(void *arg)
{
    struct children *c = arg;
    size_t left = children_sweep(c);
    if (c->stopping && c->stopped != NULL) {
        bool clean = left == 0 && TAILQ_EMPTY(&c->live);
        if (clean || clock_mono_ms() >= c->stop_by_ms) {
            children_stopped(c, clean);
            return;
        }
    }
    if (left > 0 || c->stopped != NULL)
        children_set_sweep(c, c->stopping ? STOPPING_AGAIN_MS : SWEEP_AGAIN_MS);
}

void children_stop(struct children *c, int64_t deadline_mono_ms, children_stopped_fn *done,
                   void *arg)
{
    int64_t left_ms = deadline_mono_ms - clock_mono_ms();
    int64_t share_ms = left_ms > 0 ? left_ms / 3 : 0; /* to quit; to react to SIGTERM; the rest */
    struct child *child, *following;
    CHECK(c->stopped == NULL);
    c->stopping = true;
    c->stopped = done;
    c->stopped_arg = arg;
    c->stop_by_ms = deadline_mono_ms;
    for (child = TAILQ_FIRST(&c->live); child != NULL; child = following) {
        following = TAILQ_NEXT(child, next);
        child_shorten_grace(child, share_ms);
        if (child->end == CHILD_STOPPED)
            child_stop_within(child, share_ms); /* it was asked to quit */
        else
            child_stop(child);
    }
    loop_timer_set(&c->sweep, 0);
}

/* They were not stopped, or did not end: SIGKILL, and a bounded wait for each SIGCHLD.  false: some
 * are still there. */
static bool children_end_by_force(struct children *c)
{
    int64_t until_ms = clock_mono_ms() + c->force_ms;
    struct child *child, *following;
    struct pollfd p = {.fd = c->sigchld, .events = POLLIN};
    struct signalfd_siginfo info;
    bool clean;
    c->stopping = true;
    TAILQ_FOREACH (child, &c->live, next)
        child_kill_now(child);
    for (;;) {
        for (child = TAILQ_FIRST(&c->live); child != NULL; child = following) {
            following = TAILQ_NEXT(child, next);
            if (child_reap_now(child))
                child_drop(child);
        }
        clean = children_sweep(c) == 0 && TAILQ_EMPTY(&c->live);
        if (clean || clock_mono_ms() >= until_ms)
            break;
        (void)poll(&p, 1, FORCE_LOOK_MS);
        while (read(c->sigchld, &info, sizeof(info)) > 0)
            ;
    }
    while (!TAILQ_EMPTY(&c->live))
        child_drop(TAILQ_FIRST(&c->live));
    return clean;
}

void children_kill(const struct children *c)
{
    warden_end_now(c->warden);
}

static void children_release(struct children *c)
{
    bool clean = true;
    if (!TAILQ_EMPTY(&c->live) || c->orphans.count > 0 || c->used)
        clean = children_end_by_force(c);
    CHECK(c->at_end == NULL); /* the drivers go first */
    loop_timer_cancel(&c->sweep);
    loop_watch_stop(&c->watch_sigchld);
    if (clean)
        warden_stop(c->warden);
    else
        warden_leave(c->warden); /* it continues where this function has to give up */
    close(c->sigchld);
    spawn_env_free(c->env);
    orphan_done(&c->orphans);
    free(c->directory);
    free(c->scratch);
    free(c);
}

/* ---- a thread of its own ---- */

static void *children_supervise(void *arg)
{
    struct children *c = arg;
    loop_adopt(c->loop);
    loop_run(c->loop);
    return NULL;
}

static void on_call(void *arg)
{
    struct call *call = arg;
    call->fn(call->arg);
    free(call);
}

bool children_call(struct children *c, children_fn *fn, void *arg)
{
    if (c->thread == NULL) {
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

/* After its thread, or without one: the loop is the caller's. */
static void release_thread(struct children *c)
{
    struct loop *loop = c->loop;
    free(c->thread);
    c->thread = NULL;
    children_release(c);
    loop_free(loop);
}

struct children *children_new_on_thread(const struct children_options *options, struct err *err)
{
    struct loop *loop = loop_new(LOOP_POLL, err);
    struct children *c = loop == NULL ? NULL : children_new_on_loop(loop, options, err);
    if (c == NULL) {
        loop_free(loop);
        return NULL;
    }
    c->thread = mem_zalloc(1, sizeof(*c->thread));
    if (!thr_start(&c->thread->thread, "children", children_supervise, c, err)) {
        release_thread(c);
        return NULL;
    }
    return c;
}

struct ending {
    struct children *c;
    int64_t deadline_mono_ms;
};

static void on_ended(void *arg, bool clean)
{
    struct children *c = arg;
    c->thread->clean = clean;
    loop_stop(c->loop);
}

static void begin_end(void *arg)
{
    const struct ending *e = arg;
    children_stop(e->c, e->deadline_mono_ms, on_ended, e->c);
}

bool children_end(struct children *c, int64_t deadline_mono_ms)
{
    struct children_thread *t = c->thread;
    struct ending e = {c, deadline_mono_ms};
    if (t->joined)
        return t->clean;
    CHECK(children_call(c, begin_end, &e));
    thr_join(t->thread);
    loop_adopt(c->loop);
    t->joined = true;
    return t->clean;
}

void children_free(struct children *c)
{
    if (c == NULL)
        return;
    if (c->thread == NULL) {
        children_release(c);
        return;
    }
    children_end(c, clock_mono_ms() + c->force_ms);
    release_thread(c);
}
