#include "config.h"

#include "engine/report.h"

#include "base/jsonout.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the cycle that has ended ---- */

static int history_reason(const struct census_device *d)
{
    int most = 1;
    for (int i = 2; i < UNKNOWN_REASONS; i++)
        if (d->reasons[i] > d->reasons[most])
            most = i;
    return most;
}

static char history_state(const struct census_device *d)
{
    if (d->down)
        return 'd';
    if (d->state != CENSUS_FINISHED)
        return 'x';
    return d->unknown > 0 ? (char)('A' + history_reason(d) - 1) : '.';
}

static int history_by_id(const void *a, const void *b)
{
    const struct census_device *const *x = a, *const *y = b;
    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static const struct census_device **history_sorted(const struct census *c)
{
    size_t n = census_count(c);
    const struct census_device **ret = mem_zalloc(n + 1, sizeof(ret[0]));
    for (size_t i = 0; i < n; i++)
        ret[i] = census_device(c, i);
    qsort(ret, n, sizeof(ret[0]), history_by_id);
    return ret;
}

/* The oldest cycle leaves if there are as many as are kept. */
static void history_make_room(struct pastreport *past)
{
    if (past->cycle_count < PAST_CYCLES)
        return;
    past->cycle_count--;
    memmove(&past->cycles[0], &past->cycles[1], past->cycle_count * sizeof(past->cycles[0]));
    for (size_t i = 0; i < past->device_count; i++) {
        memmove(past->devices[i].states, past->devices[i].states + 1, past->cycle_count + 1);
        memmove(past->devices[i].slow, past->devices[i].slow + 1, past->cycle_count + 1);
    }
}

/* One that has not been told about before. */
static struct past_device history_fresh(struct pastreport *past, const struct census_device *d)
{
    struct past_device ret = {.id = d->id, .hostname = arena_strdup(&past->memory, d->hostname)};
    memset(ret.states, '.', past->cycle_count);
    memset(ret.slow, '0', past->cycle_count);
    return ret;
}

/* d: NULL, it was not polled. */
static void history_extend(const struct pastreport *past, struct past_device *p,
                           const struct census_device *d, uint32_t slow_from_us)
{
    p->states[past->cycle_count] = d != NULL ? history_state(d) : '.';
    p->slow[past->cycle_count] = d != NULL && d->duration >= slow_from_us ? '1' : '0';
    p->states[past->cycle_count + 1] = p->slow[past->cycle_count + 1] = '\0';
}

static bool history_is_worth(const struct past_device *p)
{
    return p->states[strspn(p->states, ".")] != '\0' || strchr(p->slow, '1') != NULL;
}

/* Both lists are in the order of ids. */
static void history_merge(struct pastreport *past, const struct census *c, uint32_t slow_from_us)
{
    const struct census_device **now = history_sorted(c);
    size_t n = census_count(c), old = 0, count = 0;
    struct past_device *merged = mem_zalloc(n + past->device_count + 1, sizeof(merged[0]));
    for (size_t i = 0; (i < n || old < past->device_count) && count < PAST_DEVICES_MAX;) {
        bool is_old = old < past->device_count && (i == n || past->devices[old].id <= now[i]->id);
        bool is_now = i < n && (!is_old || past->devices[old].id == now[i]->id);
        struct past_device p = is_old ? past->devices[old] : history_fresh(past, now[i]);
        history_extend(past, &p, is_now ? now[i] : NULL, slow_from_us);
        if (history_is_worth(&p))
            merged[count++] = p;
        old += is_old;
        i += is_now;
    }
    free(now);
    free(past->devices);
    past->devices = merged;
    past->device_count = count;
}

void report_add_cycle(struct pastreport *past, const struct census *c,
                      const struct census_facts *facts, uint32_t slow_from_us)
{
    const struct census_sums *s = census_sums(c);
    int64_t first = facts->has_range ? facts->first : 0;
    if (past->poller != facts->poller || past->first != first)
        pastreport_done(past);
    past->poller = facts->poller;
    past->first = first;
    history_make_room(past);
    history_merge(past, c, slow_from_us);
    past->cycles[past->cycle_count++] = (struct past_cycle){
        .started_us = s->started_wall_us,
        .duration_us = s->elapsed_us,
        .devices = (int64_t)(s->finished + s->stopped + s->skipped_devices),
        .down = (int64_t)s->down,
        .unknown = (int64_t)s->unknown,
        .status = facts->status,
    };
}

/* ---- patterns ---- */

/* Cycles in a row, up to the newest, with this character. */
static size_t history_run(const char *marks, char c)
{
    size_t len = strlen(marks), n = 0;
    while (n < len && marks[len - 1 - n] == c)
        n++;
    return n;
}

static size_t history_flaps(const char *states)
{
    size_t n = 0;
    for (const char *p = states; p[0] != '\0' && p[1] != '\0'; p++)
        n += (p[0] == 'd') != (p[1] == 'd');
    return n;
}

struct patterns {
    struct buf *out;
    size_t count;
};

static void history_put_pattern(struct patterns *p, const struct past_device *d, const char *kind,
                                size_t cycles, const char *reason)
{
    if (p->count++ >= REPORT_PATTERNS)
        return;
    jsonout_open(p->out, NULL, '{');
    jsonout_int(p->out, "device", d->id);
    jsonout_text(p->out, "hostname", d->hostname);
    jsonout_text(p->out, "pattern", kind);
    jsonout_unsigned(p->out, "cycles", cycles);
    if (reason != NULL)
        jsonout_text(p->out, "reason", reason);
    jsonout_close(p->out, '}');
}

static void history_find(struct patterns *p, const struct past_device *d)
{
    size_t len = strlen(d->states), flaps = history_flaps(d->states);
    char last = len > 0 ? d->states[len - 1] : '.';
    size_t same = history_run(d->states, last), slow = history_run(d->slow, '1');
    if (flaps >= REPORT_FLAPS)
        history_put_pattern(p, d, "flapping", flaps, NULL);
    if (last == 'd' && same >= REPORT_RUN)
        history_put_pattern(p, d, "always down", same, NULL);
    if (last == 'x' && same >= REPORT_RUN)
        history_put_pattern(p, d, "never finished", same, NULL);
    if (last >= 'A' && last < 'A' + UNKNOWN_REASONS - 1 && same >= REPORT_RUN)
        history_put_pattern(p, d, "U by the same reason", same,
                            unknown_reason_text((enum unknown_reason)(last - 'A' + 1)));
    if (slow >= REPORT_RUN)
        history_put_pattern(p, d, "always slow", slow, NULL);
}

static void history_put_cycles(const struct pastreport *past, struct buf *out)
{
    jsonout_open(out, "cycles", '[');
    for (size_t i = 0; i < past->cycle_count; i++) {
        const struct past_cycle *c = &past->cycles[i];
        jsonout_open(out, NULL, '{');
        jsonout_int(out, "started_us", c->started_us);
        jsonout_int(out, "duration_us", c->duration_us);
        jsonout_int(out, "devices", c->devices);
        jsonout_int(out, "down", c->down);
        jsonout_int(out, "unknown", c->unknown);
        jsonout_int(out, "status", c->status);
        jsonout_close(out, '}');
    }
    jsonout_close(out, ']');
}

static void history_put_devices(const struct pastreport *past, struct buf *out)
{
    jsonout_open(out, "devices", '[');
    for (size_t i = 0; i < past->device_count; i++) {
        const struct past_device *d = &past->devices[i];
        jsonout_open(out, NULL, '{');
        jsonout_int(out, "device", d->id);
        jsonout_text(out, "hostname", d->hostname);
        jsonout_text(out, "states", d->states);
        jsonout_text(out, "slow", d->slow);
        jsonout_close(out, '}');
    }
    jsonout_close(out, ']');
}

void report_put_history(const struct pastreport *past, struct buf *out)
{
    struct patterns p = {.out = out};
    if (pastreport_is_built()) {
        jsonout_open(out, "patterns", '[');
        for (size_t i = 0; i < past->device_count; i++)
            history_find(&p, &past->devices[i]);
        jsonout_close(out, ']');
    } else {
        jsonout_null(out, "patterns");
    }
    jsonout_open(out, "history", '{');
    history_put_cycles(past, out);
    history_put_devices(past, out);
    jsonout_close(out, '}');
}
