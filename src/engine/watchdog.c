#include "config.h"

#include "engine/watchdog.h"

#include "base/clock.h"
#include "base/lastword.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/thr.h"
#include "base/trace.h"
#include "core/lease.h"
#include "engine/stopsig.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sysexits.h>
#include <unistd.h>

/* Waking up LATE_MS later than asked for means that the whole process was stopped meanwhile. */
enum { LOOK_MS = 1000, LATE_MS = 700, EXTENSIONS_AT_MOST = 3 };
/* A line that cannot be written in this time is dropped. */
enum { SAY_MS = 1000 };

/* One end to be watched; the watchdog's lock guards it, except what says otherwise. */
struct guard {
    TAILQ_ENTRY(guard) next;
    struct watchdog *watchdog; /* const */
    int64_t end_by;
    int signo; /* 0 = none */
    int extensions;
    _Atomic(const char *) doing[GUARD_PARTS]; /* any thread */
};

struct watchdog {
    pthread_t thread;
    int64_t started;       /* const */
    struct thr_mutex lock; /* held for a few instructions only */
    pthread_cond_t changed;
    bool stopping;              /* under lock */
    TAILQ_HEAD(, guard) guards; /* under lock */
    _Atomic int64_t beat;       /* 0 = the loop is not watched */
    _Atomic(void (*)(void)) on_stall;
    void (*instead)(void *arg, const char *line); /* NULL: the process is ended */
    void *instead_arg;
    int64_t reported_beat; /* the thread's: of the stall that was told last */
};

/* ---- logging, which may hang like everything else: the log may be on a dead file system ---- */

struct speech {
    char *line;
    void (*then)(void);
};

/* Frees what it has said, when it has been said. */
static void speech_say(struct speech *s)
{
    lastword_say(s->line);
    if (s->then != NULL)
        s->then();
    free(s->line);
    free(s);
}

static void speech_main(struct lease *l, void *arg)
{
    lease_enter(l);
    speech_say(arg);
    (void)!lease_leave(l);
}

/* On a thread of its own, which is abandoned with what it says if it does not return. */
static void watchdog_say(const char *line, void (*then)(void))
{
    struct speech *s = mem_zalloc(1, sizeof(*s));
    s->line = mem_strdup(line);
    s->then = then;
    struct lease *l = lease_start("last word", speech_main, s, NULL, NULL);
    if (l == NULL)
        speech_say(s);
    else
        lease_end(l, clock_mono_ms() + SAY_MS, NULL);
}

/* ---- looking ---- */

static void watchdog_print_end(const struct guard *g, const char *consequence, char *line,
                               size_t size)
{
    static const char *const who[GUARD_PARTS] = {"main thread", "database thread"};
    int n = snprintf(line, size, "ERROR: The cycle did not end in time; %s", consequence);
    for (int i = 0; i < GUARD_PARTS; i++) {
        const char *what = g->doing[i];
        if (what != NULL)
            n += snprintf(line + n, size - (size_t)n, "; %s: %s", who[i], what);
    }
}

static void watchdog_end_process(const struct guard *g)
{
    char line[400];
    watchdog_print_end(g, "the process is ended now", line, sizeof(line));
    int signo = g->signo;
    watchdog_say(line, trace_say);
    if (signo != 0)
        stopsig_die(signo);
    _exit(EX_TEMPFAIL);
}

/* Under the lock, except while another way is taken. */
static void watchdog_end(struct watchdog *w, struct guard *g) REQUIRES(w->lock);

static void watchdog_end(struct watchdog *w, struct guard *g)
{
    char line[400];
    if (w->instead == NULL)
        watchdog_end_process(g);
    watchdog_print_end(g, "it is given up", line, sizeof(line));
    g->end_by = INT64_MAX;
    thr_unlock(&w->lock);
    w->instead(w->instead_arg, line);
    thr_lock(&w->lock);
}

/* Under the lock, except while it is said. */
static void watchdog_look_at_loop(struct watchdog *w, int64_t now) REQUIRES(w->lock);

static void watchdog_look_at_loop(struct watchdog *w, int64_t now)
{
    int64_t beat = w->beat;
    if (beat == 0 || beat == w->reported_beat || now - beat <= WATCHDOG_BEAT_MS + WATCHDOG_STALL_MS)
        return;
    char line[160];
    w->reported_beat = beat;
    snprintf(line, sizeof(line), "WARNING: The event loop has not turned for %" PRId64 " ms",
             now - beat);
    stream_emit(&(struct happening){.type = EVENT_LOOP_STALLED, .figures = {(now - beat) * 1000}});
    thr_unlock(&w->lock);
    watchdog_say(line, w->on_stall);
    thr_lock(&w->lock);
}

/* The whole process was stopped: whatever was late because of that may end in order. */
static void watchdog_extend_ends(struct watchdog *w, int64_t now)
{
    struct guard *g;
    int64_t beat = 0;
    TAILQ_FOREACH (g, &w->guards, next)
        if (g->extensions++ < EXTENSIONS_AT_MOST && g->end_by < now + WATCHDOG_EXTENSION_MS)
            g->end_by = now + WATCHDOG_EXTENSION_MS;
    if ((beat = w->beat) != 0)
        atomic_compare_exchange_strong(&w->beat, &beat, now);
}

/* The guard that ends first; NULL: there is none. */
static struct guard *watchdog_first_guard(const struct watchdog *w)
{
    struct guard *g, *first = NULL;
    TAILQ_FOREACH (g, &w->guards, next)
        if (first == NULL || g->end_by < first->end_by)
            first = g;
    return first;
}

/* When to look again. */
static int64_t watchdog_next_look(const struct watchdog *w)
{
    int64_t now = clock_mono_ms(); /* saying may have taken a while */
    const struct guard *first = watchdog_first_guard(w);
    int64_t wake = now + LOOK_MS;
    if (first != NULL && first->end_by < wake)
        wake = first->end_by;
    return wake < now ? now : wake;
}

static void *watchdog_main(void *arg)
{
    struct watchdog *w = arg;
    int64_t wake = w->started;
    thr_lock(&w->lock);
    while (!w->stopping) {
        int64_t now = clock_mono_ms();
        if (now - wake > LATE_MS)
            watchdog_extend_ends(w, now);
        struct guard *first = watchdog_first_guard(w);
        if (first != NULL && now >= first->end_by)
            watchdog_end(w, first);
        watchdog_look_at_loop(w, now);
        if (w->stopping)
            break;
        wake = watchdog_next_look(w);
        (void)thr_wait_until(&w->changed, &w->lock, wake);
        now = clock_mono_ms();
        if (now < wake) /* woken early */
            wake = now;
    }
    thr_unlock(&w->lock);
    return NULL;
}

struct watchdog *watchdog_start(struct err *err)
{
    struct watchdog *w = mem_zalloc(1, sizeof(*w));
    thr_mutex_init(&w->lock);
    thr_cond_init(&w->changed);
    TAILQ_INIT(&w->guards);
    w->started = clock_mono_ms();
    if (thr_start(&w->thread, "watchdog", watchdog_main, w, err))
        return w;
    thr_cond_done(&w->changed);
    thr_mutex_done(&w->lock);
    free(w);
    return NULL;
}

void watchdog_stop(struct watchdog *w)
{
    if (w == NULL)
        return;
    CHECK(TAILQ_EMPTY(&w->guards));
    thr_lock(&w->lock);
    w->stopping = true;
    thr_wake_one(&w->changed);
    thr_unlock(&w->lock);
    thr_join(w->thread);
    thr_cond_done(&w->changed);
    thr_mutex_done(&w->lock);
    free(w);
}

/* ---- guards ---- */

struct guard *guard_new(struct watchdog *w, int64_t end_by_mono_ms)
{
    if (w == NULL)
        return NULL;
    struct guard *g = mem_zalloc(1, sizeof(*g));
    g->watchdog = w;
    g->end_by = end_by_mono_ms;
    thr_lock(&w->lock);
    TAILQ_INSERT_TAIL(&w->guards, g, next);
    thr_wake_one(&w->changed);
    thr_unlock(&w->lock);
    return g;
}

void guard_free(struct guard *g)
{
    if (g == NULL)
        return;
    thr_lock(&g->watchdog->lock);
    TAILQ_REMOVE(&g->watchdog->guards, g, next);
    thr_unlock(&g->watchdog->lock);
    free(g);
}

static void guard_move(struct guard *g, int64_t end_by, int signo, bool only_nearer)
{
    thr_lock(&g->watchdog->lock);
    if (signo != 0)
        g->signo = signo;
    if (!only_nearer || end_by < g->end_by)
        g->end_by = end_by;
    thr_wake_one(&g->watchdog->changed);
    thr_unlock(&g->watchdog->lock);
}

void guard_set_end(struct guard *g, int64_t end_by_mono_ms)
{
    if (g != NULL)
        guard_move(g, end_by_mono_ms, 0, false);
}

int64_t guard_get_end(struct guard *g)
{
    if (g == NULL)
        return INT64_MIN;
    thr_lock(&g->watchdog->lock);
    int64_t end_by = g->end_by;
    thr_unlock(&g->watchdog->lock);
    return end_by;
}

void guard_hurry(struct guard *g, int64_t end_by_mono_ms, int signo)
{
    if (g != NULL)
        guard_move(g, end_by_mono_ms, signo, true);
}

void guard_doing(struct guard *g, enum guard_part part, const char *what)
{
    if (g != NULL)
        g->doing[part] = what;
}

/* ---- the loop's beat ---- */

void watchdog_beat(struct watchdog *w)
{
    if (w != NULL)
        w->beat = clock_mono_ms();
}

void watchdog_rest(struct watchdog *w)
{
    if (w != NULL)
        w->beat = 0;
}

void watchdog_on_stall(struct watchdog *w, void (*fn)(void))
{
    if (w != NULL)
        w->on_stall = fn;
}

void watchdog_instead(struct watchdog *w, void (*fn)(void *arg, const char *line), void *arg)
{
    if (w == NULL)
        return;
    thr_lock(&w->lock);
    w->instead = fn;
    w->instead_arg = arg;
    thr_unlock(&w->lock);
}
