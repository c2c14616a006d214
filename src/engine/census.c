#include "config.h"

#include "engine/census.h"

#include "base/arena.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* An ask that is under way, in the list of its device. */
struct open_entry {
    uint32_t device; /* index */
    uint32_t next;   /* index + 1, also of free entries */
    uint32_t ask, names, started;
    uint8_t kind, purpose;
};

struct census {
    struct census_sums sums;
    struct census_device *devices;
    size_t count, cap;
    uint32_t *places; /* hash table: index of the device + 1, 0 = free */
    size_t place_count;
    struct open_entry *open;
    size_t open_count, open_cap;
    uint32_t open_free;
    struct census_batch *batches;
    size_t batch_count, batch_cap;
    struct census_mark marks[CENSUS_MARKS_MAX];
    size_t mark_count;
    struct arena texts;
};

/* A gap between two asks that is shorter than this has no segment of its own. */
enum { GAP_US = 2000 };

const char *census_phase_text(enum census_phase phase)
{
    static const char *const texts[CENSUS_PHASES] = {
        [CENSUS_CHECK] = "check", [CENSUS_SYSTEM] = "system", [CENSUS_REINDEX] = "reindex",
        [CENSUS_SNMP] = "snmp",   [CENSUS_SCRIPT] = "script", [CENSUS_SERVER] = "server",
        [CENSUS_QUEUE] = "queue", [CENSUS_OTHER] = "other",
    };
    return texts[phase];
}

static const char *const kinds[] = {
    [ASK_SNMP] = "snmp", [ASK_PING] = "ping", [ASK_SCRIPT] = "script", [ASK_SERVER] = "server"};

const char *census_kind_text(enum ask_kind kind)
{
    return kinds[kind];
}

/* ---- life ---- */

struct census *census_new(void)
{
    return mem_zalloc(1, sizeof(struct census));
}

void census_free(struct census *c)
{
    if (c == NULL)
        return;
    arena_done(&c->texts);
    free(c->devices);
    free(c->places);
    free(c->open);
    free(c->batches);
    free(c);
}

/* ---- the table ---- */

/* Where the id is, or where it is to be put. */
static uint32_t *census_place(const struct census *c, uint32_t id)
{
    size_t mask = c->place_count - 1;
    for (size_t i = (id * UINT32_C(2654435761)) & mask;; i = (i + 1) & mask)
        if (c->places[i] == 0 || c->devices[c->places[i] - 1].id == id)
            return &c->places[i];
}

static void census_widen(struct census *c)
{
    free(c->places);
    c->place_count = c->place_count == 0 ? 64 : c->place_count * 2;
    c->places = mem_zalloc(c->place_count, sizeof(c->places[0]));
    for (size_t i = 0; i < c->count; i++)
        *census_place(c, c->devices[i].id) = (uint32_t)i + 1;
}

struct census_device *census_find(struct census *c, uint32_t id)
{
    uint32_t at = c->place_count == 0 ? 0 : *census_place(c, id);
    return at == 0 ? NULL : &c->devices[at - 1];
}

/* NULL: the table is full. */
static struct census_device *census_add(struct census *c, uint32_t id)
{
    if (c->count == CENSUS_DEVICES_MAX) {
        c->sums.devices_left_out++;
        return NULL;
    }
    if (c->count == c->cap) {
        c->cap = c->cap == 0 ? 32 : c->cap + c->cap / 2;
        c->devices = mem_realloc(c->devices, c->cap, sizeof(c->devices[0]));
    }
    struct census_device *d = &c->devices[c->count++];
    *d = (struct census_device){.id = id, .hostname = ""};
    if (2 * c->count > c->place_count)
        census_widen(c);
    else
        *census_place(c, id) = (uint32_t)c->count;
    return d;
}

/* Since the start of the cycle; what does not fit is the most that does, after 71 minutes. */
static uint32_t census_since(const struct census *c, int64_t mono_us)
{
    int64_t us = mono_us - c->sums.started_mono_us;
    return us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* Since the start of the device, and not before what is accounted for. */
static uint32_t census_device_time(const struct census *c, const struct census_device *d,
                                   int64_t mono_us)
{
    uint32_t at = census_since(c, mono_us);
    at = at > d->started ? at - d->started : 0;
    return at > d->accounted ? at : d->accounted;
}

static void census_keep_why(struct census *c, struct census_device *d, const char *text)
{
    if (d->why == NULL && *text != '\0')
        d->why = arena_strdup(&c->texts, text);
}

/* ---- phases ---- */

static enum census_phase census_phase_of(const struct open_entry *o)
{
    switch ((enum ask_purpose)o->purpose) {
    case ASK_FOR_CHECK: return CENSUS_CHECK;
    case ASK_FOR_SYSTEM: return CENSUS_SYSTEM;
    case ASK_FOR_REINDEX: return CENSUS_REINDEX;
    case ASK_FOR_ITEMS: break;
    }
    return o->kind == ASK_SCRIPT   ? CENSUS_SCRIPT
           : o->kind == ASK_SERVER ? CENSUS_SERVER
                                   : CENSUS_SNMP;
}

static enum census_phase census_current(const struct census *c, const struct census_device *d)
{
    enum census_phase first = CENSUS_OTHER;
    for (uint32_t i = d->open; i != 0; i = c->open[i - 1].next) {
        enum census_phase p = census_phase_of(&c->open[i - 1]);
        first = p < first ? p : first;
    }
    return first;
}

static void census_draw(struct census_device *d, enum census_phase phase, uint32_t until)
{
    size_t last = d->segments == 0 ? 0 : d->segments - 1u;
    bool gap = phase == CENSUS_OTHER && until - d->accounted < GAP_US;
    bool same = d->segments > 0 && d->segment_phase[last] == phase;
    if (d->segments == 0 || (!gap && !same && d->segments < CENSUS_SEGMENTS)) {
        last = d->segments++;
        d->segment_phase[last] = (uint8_t)phase;
    }
    d->segment_end[last] = until;
}

/* The time until then went into that. */
static void census_spend(struct census *c, struct census_device *d, enum census_phase phase,
                         uint32_t until)
{
    if (until <= d->accounted)
        return;
    census_draw(d, phase, until);
    d->phase[phase] += until - d->accounted;
    c->sums.phase_us[phase] += until - d->accounted;
    d->accounted = until;
}

/* ---- asks ---- */

static uint32_t census_new_entry(struct census *c)
{
    uint32_t at = c->open_free;
    if (at != 0) {
        c->open_free = c->open[at - 1].next;
        return at;
    }
    if (c->open_count == CENSUS_OPEN_MAX)
        return 0;
    if (c->open_count == c->open_cap) {
        c->open_cap = c->open_cap == 0 ? 64 : c->open_cap * 2;
        c->open = mem_realloc(c->open, c->open_cap, sizeof(c->open[0]));
    }
    return (uint32_t)++c->open_count;
}

static enum ask_kind census_kind_of(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strncmp(text, kinds[i], strlen(kinds[i])) == 0)
            return (enum ask_kind)i;
    return ASK_SNMP;
}

static void census_ask_started(struct census *c, struct census_device *d, const struct happening *e)
{
    census_spend(c, d, census_current(c, d), census_device_time(c, d, e->mono_us));
    uint32_t at = census_new_entry(c);
    if (at == 0)
        return;
    c->open[at - 1] = (struct open_entry){
        .device = (uint32_t)(d - c->devices),
        .next = d->open,
        .ask = (uint32_t)e->figures[0],
        .names = (uint32_t)e->figures[1],
        .started = census_since(c, e->mono_us),
        .kind = (uint8_t)census_kind_of(e->text),
        .purpose = (uint8_t)e->figures[2],
    };
    d->open = at;
}

/* false: its start has not come here. */
static bool census_close_ask(struct census *c, struct census_device *d, uint32_t ask,
                             struct open_entry *ret)
{
    for (uint32_t *at = &d->open; *at != 0; at = &c->open[*at - 1].next) {
        struct open_entry *o = &c->open[*at - 1];
        if (o->ask != ask)
            continue;
        uint32_t freed = *at;
        *ret = *o;
        *at = o->next;
        o->next = c->open_free;
        c->open_free = freed;
        return true;
    }
    return false;
}

/* Until an ask that was answered was sent, it has waited for its turn.  Where others were open too, or
 * nothing was answered, that is not known. */
static void census_spend_on_ask(struct census *c, struct census_device *d,
                                const struct open_entry *o, const struct happening *e)
{
    uint32_t until = census_device_time(c, d, e->mono_us);
    bool measured = e->type == EVENT_ASK_ANSWERED && o->kind != ASK_PING && d->open == 0;
    if (measured && (int64_t)until - e->figures[1] > (int64_t)d->accounted + GAP_US)
        census_spend(c, d, CENSUS_QUEUE, until - (uint32_t)e->figures[1]);
    enum census_phase phase = census_phase_of(o), others = census_current(c, d);
    census_spend(c, d, phase < others ? phase : others, until);
}

static bool census_ask_ended(struct census *c, struct census_device *d, const struct happening *e,
                             struct census_ask *ret)
{
    struct open_entry o;
    bool failed = e->type == EVENT_ASK_FAILED;
    if (!census_close_ask(c, d, (uint32_t)e->figures[0], &o))
        return false;
    census_spend_on_ask(c, d, &o, e);
    struct census_kind_sums *k = &c->sums.kinds[o.kind];
    k->asks++;
    k->failed += failed;
    k->repeats += (uint64_t)e->figures[2];
    k->elapsed_us += (uint64_t)e->figures[1];
    d->asks++;
    d->failed += failed;
    d->repeats += (uint32_t)e->figures[2];
    if (failed)
        census_keep_why(c, d, e->text);
    *ret = (struct census_ask){
        .device = d,
        .kind = (enum ask_kind)o.kind,
        .purpose = (enum ask_purpose)o.purpose,
        .failed = failed,
        .names = o.names,
        .repeats = (uint32_t)e->figures[2],
        .started = o.started,
        .ended = census_since(c, e->mono_us),
        .text = e->text,
    };
    return true;
}

/* ---- devices ---- */

static void census_begin_device(struct census *c, const struct happening *e)
{
    struct census_device *d = census_find(c, e->device);
    c->sums.begun++;
    if (d == NULL)
        d = census_add(c, e->device);
    if (d == NULL)
        return;
    d->started = census_since(c, e->mono_us);
    d->items = (uint32_t)e->figures[0];
    if (*d->hostname == '\0' && *e->text != '\0')
        d->hostname = arena_strdup(&c->texts, e->text);
}

static void census_count_result(struct census *c, const struct happening *e)
{
    struct census_sums *s = &c->sums;
    s->finished++;
    s->values += (uint64_t)e->figures[0];
    s->unknown += (uint64_t)e->figures[1];
    s->skipped += (uint64_t)e->figures[2];
    s->unfinished += (uint64_t)e->figures[3];
    s->down += e->figures[4] != 0;
}

static void census_finish_device(struct census *c, struct census_device *d,
                                 const struct happening *e)
{
    struct open_entry o;
    census_spend(c, d, census_current(c, d), census_device_time(c, d, e->mono_us));
    while (d->open != 0)
        (void)census_close_ask(c, d, c->open[d->open - 1].ask, &o);
    d->duration = d->accounted;
    d->state = CENSUS_FINISHED;
    d->values = (uint32_t)e->figures[0];
    d->unknown = (uint32_t)e->figures[1];
    d->skipped = (uint32_t)e->figures[2];
    d->unfinished = (uint32_t)e->figures[3];
    d->down = e->figures[4] != 0;
}

static void census_drop_device(struct census *c, const struct happening *e)
{
    bool started = e->figures[0] != 0;
    struct census_device *d = census_find(c, e->device);
    c->sums.finished -= started && c->sums.finished > 0;
    c->sums.stopped += started;
    c->sums.skipped_devices += !started;
    c->sums.unfinished += (uint64_t)e->figures[1];
    if (d == NULL)
        d = census_add(c, e->device);
    if (d == NULL)
        return;
    d->state = started ? CENSUS_STOPPED : CENSUS_SKIPPED;
    if (!started) {
        d->started = census_since(c, e->mono_us);
        d->items = d->unfinished = (uint32_t)e->figures[1];
    }
}

static void census_note_reason(struct census *c, struct census_device *d, const struct happening *e)
{
    int reason = UNKNOWN_REASONS - 1;
    while (reason > 0 && strcmp(unknown_reason_text((enum unknown_reason)reason), e->text) != 0)
        reason--;
    c->sums.reasons[reason] += (uint64_t)e->figures[0];
    if (d == NULL)
        return;
    int64_t n = d->reasons[reason] + e->figures[0];
    d->reasons[reason] = n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
}

/* Events of a device that is in the table, or of one that is not (NULL). */
static bool census_take_device(struct census *c, struct census_device *d, const struct happening *e,
                               struct census_ask *ended)
{
    bool polling = d != NULL && d->state == CENSUS_POLLING;
    switch (e->type) {
    case EVENT_DEVICE_UNKNOWN: census_note_reason(c, d, e); break;
    case EVENT_DEVICE_UP: c->sums.came_up++; break;
    case EVENT_DEVICE_REINDEX: c->sums.reindexed++; break;
    case EVENT_DEVICE_DOWN:
        c->sums.went_down++;
        if (d != NULL)
            census_keep_why(c, d, e->text);
        break;
    case EVENT_DEVICE_FINISHED:
        census_count_result(c, e);
        if (polling)
            census_finish_device(c, d, e);
        break;
    case EVENT_ASK_STARTED:
        if (polling)
            census_ask_started(c, d, e);
        break;
    case EVENT_ASK_ANSWERED:
    case EVENT_ASK_FAILED: return polling && census_ask_ended(c, d, e, ended);
    default: break;
    }
    return false;
}

/* ---- the cycle ---- */

static void census_begin_cycle(struct census *c, const struct happening *e)
{
    struct census_sums *s = &c->sums;
    s->started_mono_us = e->mono_us;
    s->started_wall_us = e->wall_us;
    s->poller = e->figures[0];
    s->threads = e->figures[1];
    s->interval_ms = e->figures[3];
}

static void census_end_cycle(struct census *c, const struct happening *e)
{
    c->sums.ended = true;
    c->sums.status = e->figures[4];
    c->sums.loop_lag_us = e->figures[6];
}

static void census_add_batch(struct census *c, const struct happening *e)
{
    struct census_sums *s = &c->sums;
    s->batches++;
    s->stored += (uint64_t)e->figures[0];
    s->hosts += (uint64_t)e->figures[1];
    s->batch_us += e->figures[2];
    s->batch_longest_us = e->figures[2] > s->batch_longest_us ? e->figures[2] : s->batch_longest_us;
    if (c->batch_count == CENSUS_BATCHES_MAX)
        return;
    if (c->batch_count == c->batch_cap) {
        c->batch_cap = c->batch_cap == 0 ? 64 : c->batch_cap * 2;
        c->batches = mem_realloc(c->batches, c->batch_cap, sizeof(c->batches[0]));
    }
    c->batches[c->batch_count++] = (struct census_batch){
        .ended = census_since(c, e->mono_us),
        .elapsed_us = e->figures[2],
        .rows = (uint32_t)e->figures[0],
        .hosts = (uint32_t)e->figures[1],
    };
}

static void census_add_mark(struct census *c, const struct happening *e)
{
    if (c->mark_count == CENSUS_MARKS_MAX)
        return;
    struct census_mark *m = &c->marks[c->mark_count++];
    *m = (struct census_mark){
        .at = census_since(c, e->mono_us), .type = e->type, .figure = e->figures[0]};
    memcpy(m->text, e->text, sizeof(m->text));
}

static void census_take_rows(struct census *c, const struct happening *e)
{
    struct census_sums *s = &c->sums;
    uint64_t n = (uint64_t)e->figures[0];
    switch (e->type) {
    case EVENT_DB_STORED: census_add_batch(c, e); break;
    case EVENT_DB_RETRY: s->retries += n; break;
    case EVENT_DB_REJECTED: s->rejected += e->figures[1] == 0; break;
    case EVENT_DB_SPOOLED: s->spooled += n; break;
    case EVENT_DB_LOST: s->lost += n; break;
    case EVENT_UPLINK_ENDED:
        s->stored += n;
        s->kept += (uint64_t)e->figures[1];
        s->lost += (uint64_t)e->figures[2];
        s->retries += (uint64_t)e->figures[3];
        break;
    case EVENT_QUEUE_FULL: s->queue_full++; break;
    case EVENT_DB_DISCONNECTED: s->disconnects++; break;
    default: break;
    }
}

static void census_take_cycle(struct census *c, const struct happening *e)
{
    struct census_sums *s = &c->sums;
    switch (e->type) {
    case EVENT_CYCLE_STARTED: census_begin_cycle(c, e); break;
    case EVENT_CYCLE_ROSTER: s->roster = (size_t)e->figures[0]; break;
    case EVENT_CYCLE_LOADED: s->items_due = (size_t)e->figures[1]; break;
    case EVENT_CYCLE_DEADLINE: s->out_of_time = true; break;
    case EVENT_CYCLE_ENDED: census_end_cycle(c, e); break;
    case EVENT_LOOP_STALLED: s->stalls++; break;
    case EVENT_CHILD_STARTED: s->children++; break;
    case EVENT_CHILD_ENDED: s->children_failed += e->figures[1] != 0; break;
    case EVENT_CHILD_TIMEOUT: s->children_timed_out++; break;
    case EVENT_DEVICE_STARTED: census_begin_device(c, e); break;
    case EVENT_DEVICE_DROPPED: census_drop_device(c, e); break;
    default: census_take_rows(c, e); break;
    }
}

bool census_is_mark(enum happening_type type)
{
    return type == EVENT_CYCLE_DEADLINE || type == EVENT_SIGNAL_RECEIVED ||
           type == EVENT_LOOP_STALLED || type == EVENT_QUEUE_FULL ||
           type == EVENT_DB_DISCONNECTED || type == EVENT_DB_CONNECTED;
}

bool census_take(struct census *c, const struct happening *e, struct census_ask *ended)
{
    struct census_sums *s = &c->sums;
    if (s->started_mono_us == 0)
        s->started_mono_us = e->mono_us;
    if (e->mono_us - s->started_mono_us > s->elapsed_us)
        s->elapsed_us = e->mono_us - s->started_mono_us;
    if (census_is_mark(e->type))
        census_add_mark(c, e);
    census_take_cycle(c, e);
    return happening_get(e->type)->has_device &&
           census_take_device(c, census_find(c, e->device), e, ended);
}

/* ---- reading ---- */

const struct census_sums *census_sums(const struct census *c)
{
    return &c->sums;
}

size_t census_count(const struct census *c)
{
    return c->count;
}

const struct census_device *census_device(const struct census *c, size_t i)
{
    return i < c->count ? &c->devices[i] : NULL;
}

const struct census_batch *census_batches(const struct census *c, size_t *count)
{
    *count = c->batch_count;
    return c->batches;
}

const struct census_mark *census_marks(const struct census *c, size_t *count)
{
    *count = c->mark_count;
    return c->marks;
}

size_t census_bytes(const struct census *c)
{
    return sizeof(*c) + c->cap * sizeof(c->devices[0]) + c->place_count * sizeof(c->places[0]) +
           c->open_cap * sizeof(c->open[0]) + c->batch_cap * sizeof(c->batches[0]) + c->texts.bytes;
}

struct census_order {
    uint32_t duration, id;
    size_t at;
};

static int census_slower_first(const void *a, const void *b)
{
    const struct census_order *x = a, *y = b;
    if (x->duration != y->duration)
        return x->duration < y->duration ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

size_t *census_slowest(const struct census *c, size_t most, size_t *count)
{
    struct census_order *order = mem_zalloc(c->count + 1, sizeof(order[0]));
    *count = most < c->count ? most : c->count;
    size_t *ret = mem_zalloc(*count + 1, sizeof(ret[0]));
    for (size_t i = 0; i < c->count; i++)
        order[i] = (struct census_order){c->devices[i].duration, c->devices[i].id, i};
    qsort(order, c->count, sizeof(order[0]), census_slower_first);
    for (size_t i = 0; i < *count; i++)
        ret[i] = order[i].at;
    free(order);
    return ret;
}
