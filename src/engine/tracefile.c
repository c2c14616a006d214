#include "config.h"

#include "engine/tracefile.h"

#include "base/jsonout.h"
#include "base/mem.h"
#include "drivers/wholefile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The processes of the trace: groups of lanes in the viewer, from top to bottom. */
enum group { GROUP_CYCLE = 1, GROUP_DEVICES, GROUP_SCRIPTS, GROUP_DATABASE };

/* Written in pieces of this size; counters at most this often. */
enum { PIECE = 64 * 1024, COUNTER_US = 5000 };

/* Until when each lane is in use; 0: it is free. */
struct lanes {
    int64_t *until;
    size_t count, cap;
    size_t lowest; /* none below is free */
};

struct tracefile {
    struct wholefile *file;
    struct buf out;
    uint64_t bytes;
    bool truncated;
    struct lanes devices, scripts, batches;
    int64_t counted_at, being_polled;
};

/* ---- lanes ---- */

static size_t lanes_add(struct lanes *l)
{
    if (l->count == l->cap) {
        l->cap = l->cap == 0 ? 16 : l->cap * 2;
        l->until = mem_realloc(l->until, l->cap, sizeof(l->until[0]));
    }
    l->until[l->count] = 0;
    return l->count++;
}

/* The lowest free one, in use until lanes_free(). */
static size_t lanes_take(struct lanes *l)
{
    size_t i = l->lowest;
    while (i < l->count && l->until[i] != 0)
        i++;
    if (i == l->count)
        i = lanes_add(l);
    l->until[i] = INT64_MAX;
    l->lowest = i + 1;
    return i;
}

static void lanes_free(struct lanes *l, size_t i)
{
    if (i >= l->count)
        return;
    l->until[i] = 0;
    if (i < l->lowest)
        l->lowest = i;
}

/* The lowest one that has nothing after `start`; it is in use until `end`. */
static size_t lanes_place(struct lanes *l, int64_t start, int64_t end)
{
    size_t i = 0;
    while (i < l->count && l->until[i] > start)
        i++;
    if (i == l->count)
        i = lanes_add(l);
    l->until[i] = end;
    return i;
}

/* ---- records ---- */

static void tracefile_flush(struct tracefile *t, size_t from)
{
    if (t->out.len < from)
        return;
    t->bytes += t->out.len;
    wholefile_put(t->file, t->out.data, t->out.len);
    buf_clear(&t->out);
    t->truncated = t->truncated || t->bytes > TRACEFILE_BYTES_MAX;
}

/* ph is the format's letter for what it is; arguments may follow in "args", then tracefile_close(). */
static void tracefile_open(struct tracefile *t, const char *ph, enum group group, size_t lane,
                           const char *name)
{
    buf_puts(&t->out, ",\n");
    jsonout_open(&t->out, NULL, '{'); /* no comma of its own after a line feed */
    jsonout_text(&t->out, "ph", ph);
    jsonout_int(&t->out, "pid", (int64_t)group);
    jsonout_int(&t->out, "tid", (int64_t)lane);
    jsonout_text(&t->out, "name", name);
}

static void tracefile_close(struct tracefile *t)
{
    jsonout_close(&t->out, '}');
    jsonout_close(&t->out, '}');
    tracefile_flush(t, PIECE);
}

static void tracefile_span(struct tracefile *t, enum group group, size_t lane, const char *category,
                           const char *name, int64_t start, int64_t end)
{
    tracefile_open(t, "X", group, lane, name);
    jsonout_text(&t->out, "cat", category);
    jsonout_int(&t->out, "ts", start);
    jsonout_int(&t->out, "dur", end > start ? end - start : 0);
    jsonout_open(&t->out, "args", '{');
}

static void tracefile_count(struct tracefile *t, const char *name, int64_t at, int64_t value)
{
    tracefile_open(t, "C", GROUP_CYCLE, 0, name);
    jsonout_int(&t->out, "ts", at);
    jsonout_open(&t->out, "args", '{');
    jsonout_int(&t->out, "value", value);
    tracefile_close(t);
}

static void tracefile_name(struct tracefile *t, enum group group, const char *name)
{
    tracefile_open(t, "M", group, 0, "process_name");
    jsonout_open(&t->out, "args", '{');
    jsonout_text(&t->out, "name", name);
    tracefile_close(t);
    tracefile_open(t, "M", group, 0, "process_sort_index");
    jsonout_open(&t->out, "args", '{');
    jsonout_int(&t->out, "sort_index", (int64_t)group);
    tracefile_close(t);
}

/* ---- what happens ---- */

static int64_t tracefile_time(const struct census *c, const struct happening *e)
{
    int64_t us = e->mono_us - census_sums(c)->started_mono_us;
    return us > 0 ? us : 0;
}

static void tracefile_counters(struct tracefile *t, const struct census *c, int64_t at, bool now)
{
    if (!now && at - t->counted_at < COUNTER_US)
        return;
    t->counted_at = at;
    tracefile_count(t, "devices being polled", at, t->being_polled);
    tracefile_count(t, "rows stored", at, (int64_t)census_sums(c)->stored);
}

static void tracefile_ask(struct tracefile *t, const struct census_ask *a)
{
    static const char *const purposes[] = {[ASK_FOR_CHECK] = "check",
                                           [ASK_FOR_SYSTEM] = "system",
                                           [ASK_FOR_REINDEX] = "reindex",
                                           [ASK_FOR_ITEMS] = "values"};
    bool script = a->kind == ASK_SCRIPT || a->kind == ASK_SERVER;
    char name[80];
    if (script)
        snprintf(name, sizeof(name), "%s of device %" PRIu32, census_kind_text(a->kind),
                 a->device->id);
    else
        snprintf(name, sizeof(name), "%s: %s", census_kind_text(a->kind), purposes[a->purpose]);
    size_t lane = script ? lanes_place(&t->scripts, a->started, a->ended) : a->device->lane;
    tracefile_span(t, script ? GROUP_SCRIPTS : GROUP_DEVICES, lane, census_kind_text(a->kind), name,
                   a->started, a->ended);
    jsonout_int(&t->out, "device", a->device->id);
    jsonout_text(&t->out, "purpose", purposes[a->purpose]);
    jsonout_int(&t->out, "names", a->names);
    jsonout_int(&t->out, "repeats", a->repeats);
    if (a->failed)
        jsonout_text(&t->out, "failed", a->text);
    tracefile_close(t);
}

static void tracefile_device(struct tracefile *t, const struct census_device *d)
{
    char name[EVENT_TEXT + 32];
    snprintf(name, sizeof(name), "%" PRIu32 " %s", d->id, d->hostname);
    tracefile_span(t, GROUP_DEVICES, d->lane, "device", name, d->started,
                   (int64_t)d->started + d->duration);
    jsonout_int(&t->out, "device", d->id);
    jsonout_text(&t->out, "hostname", d->hostname);
    jsonout_int(&t->out, "items", d->items);
    jsonout_int(&t->out, "values", d->values);
    jsonout_int(&t->out, "unknown", d->unknown);
    jsonout_int(&t->out, "unfinished", d->unfinished);
    jsonout_bool(&t->out, "down", d->down);
    if (d->why != NULL)
        jsonout_text(&t->out, "why", d->why);
    tracefile_close(t);
    lanes_free(&t->devices, d->lane);
}

static void tracefile_batch(struct tracefile *t, const struct happening *e, int64_t at)
{
    char name[64];
    int64_t start = at > e->figures[2] ? at - e->figures[2] : 0;
    snprintf(name, sizeof(name), "%" PRId64 " rows, %" PRId64 " devices", e->figures[0],
             e->figures[1]);
    tracefile_span(t, GROUP_DATABASE, lanes_place(&t->batches, start, at), "database", name, start,
                   at);
    jsonout_int(&t->out, "rows", e->figures[0]);
    jsonout_int(&t->out, "hosts", e->figures[1]);
    tracefile_close(t);
}

static void tracefile_instant(struct tracefile *t, const struct happening *e, int64_t at)
{
    const struct happening_def *def = happening_get(e->type);
    tracefile_open(t, "i", GROUP_CYCLE, 1, def->name);
    jsonout_text(&t->out, "s", "g");
    jsonout_int(&t->out, "ts", at);
    jsonout_open(&t->out, "args", '{');
    happening_json(e, &t->out);
    tracefile_close(t);
}

void tracefile_take(struct tracefile *t, struct census *c, const struct happening *e,
                    const struct census_ask *ended)
{
    int64_t at = tracefile_time(c, e);
    struct census_device *d = happening_get(e->type)->has_device ? census_find(c, e->device) : NULL;
    if (t->truncated)
        return;
    if (ended != NULL)
        tracefile_ask(t, ended);
    switch (e->type) {
    case EVENT_DEVICE_STARTED:
        t->being_polled++;
        if (d != NULL)
            d->lane = (uint32_t)lanes_take(&t->devices);
        tracefile_counters(t, c, at, false);
        break;
    case EVENT_DEVICE_FINISHED:
        t->being_polled -= t->being_polled > 0;
        if (d != NULL)
            tracefile_device(t, d);
        tracefile_counters(t, c, at, false);
        break;
    case EVENT_DB_STORED: tracefile_batch(t, e, at); break;
    default:
        if (census_is_mark(e->type))
            tracefile_instant(t, e, at);
    }
}

/* ---- life ---- */

struct tracefile *tracefile_begin(const char *path, struct err *err)
{
    struct wholefile *file = wholefile_begin(path, 0640, err);
    if (file == NULL)
        return NULL;
    struct tracefile *t = mem_zalloc(1, sizeof(*t));
    t->file = file;
    buf_puts(&t->out, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n");
    jsonout_open(&t->out, NULL, '{');
    jsonout_text(&t->out, "ph", "M");
    jsonout_int(&t->out, "pid", GROUP_CYCLE);
    jsonout_int(&t->out, "tid", 1);
    jsonout_text(&t->out, "name", "thread_name");
    jsonout_open(&t->out, "args", '{');
    jsonout_text(&t->out, "name", "cycle");
    tracefile_close(t);
    tracefile_name(t, GROUP_CYCLE, "cycle");
    tracefile_name(t, GROUP_DEVICES, "devices");
    tracefile_name(t, GROUP_SCRIPTS, "scripts");
    tracefile_name(t, GROUP_DATABASE, "database");
    return t;
}

static void tracefile_free(struct tracefile *t)
{
    buf_done(&t->out);
    free(t->devices.until);
    free(t->scripts.until);
    free(t->batches.until);
    free(t);
}

/* Of devices whose end has not come: the viewer shows them until the last event. */
static void tracefile_end_open(struct tracefile *t, const struct census *c)
{
    int64_t end = census_sums(c)->elapsed_us;
    const struct census_device *d;
    for (size_t i = 0; (d = census_device(c, i)) != NULL; i++) {
        if (d->state != CENSUS_POLLING)
            continue;
        struct census_device open = *d;
        open.duration = end > d->started ? (uint32_t)(end - d->started) : 0;
        tracefile_device(t, &open);
    }
}

bool tracefile_end(struct tracefile *t, const struct census *c, const struct census_facts *facts,
                   struct err *err)
{
    const struct census_sums *s = census_sums(c);
    struct wholefile *file = t->file;
    tracefile_end_open(t, c);
    tracefile_counters(t, c, s->elapsed_us, true);
    tracefile_span(t, GROUP_CYCLE, 1, "cycle", "cycle", 0, s->elapsed_us);
    jsonout_int(&t->out, "devices", (int64_t)s->roster);
    tracefile_close(t);
    buf_puts(&t->out, "\n],\"otherData\":");
    struct buf other = BUF_INIT;
    jsonout_open(&other, NULL, '{');
    jsonout_text(&other, "version", PACKAGE_VERSION);
    jsonout_int(&other, "poller", facts->poller);
    jsonout_text(&other, "driver", facts->driver);
    jsonout_int(&other, "started_us", s->started_wall_us);
    jsonout_int(&other, "status", facts->status);
    jsonout_unsigned(&other, "missing_events", facts->missing);
    jsonout_bool(&other, "truncated", t->truncated);
    jsonout_close(&other, '}');
    buf_append(&t->out, other.data, other.len);
    buf_done(&other);
    buf_puts(&t->out, "}\n");
    tracefile_flush(t, 0);
    tracefile_free(t);
    return wholefile_end(file, err);
}

void tracefile_abandon(struct tracefile *t)
{
    if (t == NULL)
        return;
    wholefile_abandon(t->file);
    tracefile_free(t);
}
