#include "config.h"

#include "base/trace.h"

#include "base/clock.h"
#include "base/lastword.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/thr.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct trace {
    struct thr_mutex lock;
    struct happening *ring GUARDED; /* lock */
    size_t size GUARDED;            /* lock */
    uint64_t added GUARDED;         /* lock: the next one goes to added % size */
};

static struct trace trace_of_process = {.lock = THR_MUTEX_INITIALIZER};

static struct trace *trace_here(void)
{
    struct trace *t = scope_part(SCOPE_TRACE);
    return t != NULL ? t : &trace_of_process;
}

/* At its scope's end: no other thread has it. */
UNCHECKED_LOCKS static void trace_free(void *part)
{
    struct trace *t = part;
    free(t->ring);
    thr_mutex_done(&t->lock);
    free(t);
}

void trace_own(void)
{
    struct trace *t = mem_zalloc(1, sizeof(*t));
    thr_mutex_init(&t->lock);
    scope_put(SCOPE_TRACE, t, trace_free);
}

void trace_start(size_t events)
{
    struct happening *ring = events == 0 ? NULL : mem_zalloc(events, sizeof(ring[0]));
    struct trace *t = trace_here();
    thr_lock(&t->lock);
    free(t->ring);
    t->ring = ring;
    t->size = events;
    t->added = 0;
    thr_unlock(&t->lock);
}

void trace_stop(void)
{
    trace_start(0);
}

void trace_add(const struct happening *event)
{
    struct trace *t = trace_here();
    thr_lock(&t->lock);
    if (t->size > 0)
        t->ring[t->added++ % t->size] = *event;
    thr_unlock(&t->lock);
}

/* ---- for people ---- */

/* Free the result. */
static struct happening *copy_ring(size_t *ret_count)
{
    struct trace *t = trace_here();
    thr_lock(&t->lock);
    size_t n = t->added < t->size ? (size_t)t->added : t->size;
    struct happening *copy = mem_zalloc(n, sizeof(copy[0]));
    for (size_t i = 0; i < n; i++)
        copy[i] = t->ring[(t->added - n + i) % t->size];
    thr_unlock(&t->lock);
    *ret_count = n;
    return copy;
}

void trace_dump(const char *why)
{
    size_t n;
    struct happening *events = copy_ring(&n);
    int64_t now = clock_mono_us();
    struct buf line = BUF_INIT;
    log_line(LOG_ALWAYS, "NOTE: TRACE of the last %zu events: %s", n, why);
    for (size_t i = 0; i < n; i++) {
        buf_clear(&line);
        happening_print(&events[i], &line);
        log_line(LOG_ALWAYS, "NOTE: TRACE %.6f s ago: %s", (double)(now - events[i].mono_us) / 1e6,
                 buf_str(&line));
    }
    buf_done(&line);
    free(events);
}

/* ---- for the watchdog: no allocation, no wait ---- */

struct piece {
    char text[512];
    size_t len;
};

static void trace_put(struct piece *p, const char *fmt, ...) PRINTF(2, 3);

static void trace_put(struct piece *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(p->text + p->len, sizeof(p->text) - p->len, fmt, ap);
    va_end(ap);
    if (n > 0)
        p->len += (size_t)n;
    if (p->len >= sizeof(p->text))
        p->len = sizeof(p->text) - 1;
}

static void add_event(struct piece *p, const struct happening *e)
{
    if (e->type >= EVENT_TYPES)
        return;
    const struct happening_def *def = happening_get(e->type);
    trace_put(p, "%s", def->name);
    if (def->has_device)
        trace_put(p, " Device[%" PRIu32 "]", e->device);
    for (size_t i = 0; i < EVENT_FIGURES && def->figures[i] != NULL; i++)
        trace_put(p, " %s=%" PRId64, def->figures[i], e->figures[i]);
    size_t from = p->len;
    if (def->text != NULL)
        trace_put(p, " %s=%.*s", def->text, EVENT_TEXT, e->text);
    for (; from < p->len; from++)
        if ((unsigned char)p->text[from] < 0x20 || p->text[from] == 0x7f)
            p->text[from] = ' ';
}

/* The lock is not waited for. */
UNCHECKED_LOCKS void trace_say(void)
{
    struct trace *t = trace_here();
    int64_t now = clock_mono_us();
    uint64_t added = t->added;
    size_t n = added < t->size ? (size_t)added : t->size;
    for (size_t i = 0; i < n && t->ring != NULL; i++) {
        bool locked = thr_trylock(&t->lock);
        struct happening e = t->ring[(added - n + i) % t->size];
        if (locked)
            thr_unlock(&t->lock);
        struct piece line = {.len = 0};
        trace_put(&line, "NOTE: TRACE %.6f s ago: ", (double)(now - e.mono_us) / 1e6);
        add_event(&line, &e);
        lastword_say(line.text); /* not under the lock: this may hang */
    }
}
