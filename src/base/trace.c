#include "config.h"

#include "base/trace.h"

#include "base/clock.h"
#include "base/lastword.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thr.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct thr_mutex lock = THR_MUTEX_INITIALIZER;

static struct {
    struct happening *ring;
    size_t size;
    uint64_t added; /* the next one goes to added % size */
} state GUARDED_BY(lock);

void trace_start(size_t events)
{
    struct happening *ring = events == 0 ? NULL : mem_zalloc(events, sizeof(ring[0]));
    thr_lock(&lock);
    free(state.ring);
    state.ring = ring;
    state.size = events;
    state.added = 0;
    thr_unlock(&lock);
}

void trace_stop(void)
{
    trace_start(0);
}

void trace_add(const struct happening *event)
{
    thr_lock(&lock);
    if (state.size > 0)
        state.ring[state.added++ % state.size] = *event;
    thr_unlock(&lock);
}

/* ---- for people ---- */

/* Free the result. */
static struct happening *copy_ring(size_t *ret_count)
{
    thr_lock(&lock);
    size_t n = state.added < state.size ? (size_t)state.added : state.size;
    struct happening *copy = mem_zalloc(n, sizeof(copy[0]));
    for (size_t i = 0; i < n; i++)
        copy[i] = state.ring[(state.added - n + i) % state.size];
    thr_unlock(&lock);
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
    int64_t now = clock_mono_us();
    uint64_t added = state.added;
    size_t n = added < state.size ? (size_t)added : state.size;
    for (size_t i = 0; i < n && state.ring != NULL; i++) {
        bool locked = thr_trylock(&lock);
        struct happening e = state.ring[(added - n + i) % state.size];
        if (locked)
            thr_unlock(&lock);
        struct piece line = {.len = 0};
        trace_put(&line, "NOTE: TRACE %.6f s ago: ", (double)(now - e.mono_us) / 1e6);
        add_event(&line, &e);
        lastword_say(line.text); /* not under the lock: this may hang */
    }
}
