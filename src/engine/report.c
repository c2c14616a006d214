#include "config.h"

#include "engine/report.h"

#include "base/jsonout.h"

#include <stdlib.h>

/* ---- the cycle ---- */

static void report_put_sums(struct buf *out, const struct census_sums *s)
{
    jsonout_open(out, "devices", '{');
    jsonout_unsigned(out, "due", s->roster);
    jsonout_unsigned(out, "up", s->finished > s->down ? s->finished - s->down : 0);
    jsonout_unsigned(out, "down", s->down);
    jsonout_unsigned(out, "unfinished", s->stopped);
    jsonout_unsigned(out, "not_begun", s->skipped_devices);
    jsonout_unsigned(out, "became_up", s->came_up);
    jsonout_unsigned(out, "became_down", s->went_down);
    jsonout_close(out, '}');
    jsonout_open(out, "items", '{');
    jsonout_unsigned(out, "due", s->items_due);
    jsonout_unsigned(out, "values", s->values);
    jsonout_unsigned(out, "unknown", s->unknown);
    jsonout_unsigned(out, "down", s->skipped);
    jsonout_unsigned(out, "unfinished", s->unfinished);
    jsonout_close(out, '}');
    jsonout_open(out, "rows", '{');
    jsonout_unsigned(out, "stored", s->stored);
    jsonout_unsigned(out, "spooled", s->spooled);
    jsonout_unsigned(out, "kept", s->kept);
    jsonout_unsigned(out, "lost", s->lost + s->rejected);
    jsonout_close(out, '}');
    jsonout_open(out, "database", '{');
    jsonout_unsigned(out, "batches", s->batches);
    jsonout_int(out, "write_us", s->batch_us);
    jsonout_int(out, "longest_us", s->batch_longest_us);
    jsonout_unsigned(out, "repeats", s->retries);
    jsonout_unsigned(out, "disconnects", s->disconnects);
    jsonout_close(out, '}');
}

static void report_put_asks(struct buf *out, const struct census_sums *s)
{
    jsonout_open(out, "asks", '{');
    for (size_t i = 0; i < ARRAY_LEN(s->kinds); i++) {
        const struct census_kind_sums *k = &s->kinds[i];
        jsonout_open(out, census_kind_text((enum ask_kind)i), '{');
        jsonout_unsigned(out, "asks", k->asks);
        jsonout_unsigned(out, "failed", k->failed);
        jsonout_unsigned(out, "repeats", k->repeats);
        jsonout_unsigned(out, "elapsed_us", k->elapsed_us);
        jsonout_close(out, '}');
    }
    jsonout_close(out, '}');
    jsonout_open(out, "phases_us", '{');
    for (int i = 0; i < CENSUS_PHASES; i++)
        jsonout_unsigned(out, census_phase_text((enum census_phase)i), s->phase_us[i]);
    jsonout_close(out, '}');
    jsonout_open(out, "reasons", '{');
    for (int i = 1; i < UNKNOWN_REASONS; i++)
        if (s->reasons[i] > 0)
            jsonout_unsigned(out, unknown_reason_text((enum unknown_reason)i), s->reasons[i]);
    jsonout_close(out, '}');
}

static void report_put_cycle(struct buf *out, const struct census_sums *s,
                             const struct census_facts *facts)
{
    jsonout_int(out, "report", PAST_REPORT);
    jsonout_text(out, "version", PACKAGE_VERSION);
    jsonout_int(out, "poller", facts->poller);
    jsonout_int(out, "first", facts->has_range ? facts->first : 0);
    jsonout_int(out, "last", facts->has_range ? facts->last : 0);
    jsonout_text(out, "driver", facts->driver);
    jsonout_int(out, "threads", s->threads);
    jsonout_int(out, "started_us", s->started_wall_us);
    jsonout_int(out, "duration_us", s->elapsed_us);
    jsonout_int(out, "interval_us", s->interval_ms * 1000);
    jsonout_int(out, "status", facts->status);
    jsonout_bool(out, "out_of_time", s->out_of_time);
    jsonout_int(out, "loop_lag_us", s->loop_lag_us);
    jsonout_int(out, "cpu_us", facts->cpu_us);
    jsonout_int(out, "memory_bytes", facts->resident_bytes);
    jsonout_unsigned(out, "missing_events", facts->missing);
}

/* ---- devices ---- */

static const char *report_state(const struct census_device *d)
{
    switch ((enum census_state)d->state) {
    case CENSUS_SKIPPED: return "not begun";
    case CENSUS_STOPPED:
    case CENSUS_POLLING: return "unfinished";
    case CENSUS_FINISHED: break;
    }
    return d->down ? "down" : "up";
}

static void report_put_device(struct buf *out, const struct census_device *d)
{
    jsonout_open(out, NULL, '{');
    jsonout_int(out, "device", d->id);
    jsonout_text(out, "hostname", d->hostname);
    jsonout_text(out, "state", report_state(d));
    jsonout_int(out, "start_us", d->started);
    jsonout_int(out, "duration_us", d->duration);
    jsonout_open(out, "phases_us", '{');
    for (int i = 0; i < CENSUS_PHASES; i++)
        if (d->phase[i] > 0)
            jsonout_int(out, census_phase_text((enum census_phase)i), d->phase[i]);
    jsonout_close(out, '}');
    jsonout_int(out, "asks", d->asks);
    jsonout_int(out, "failed", d->failed);
    jsonout_int(out, "repeats", d->repeats);
    jsonout_int(out, "items", d->items);
    jsonout_int(out, "values", d->values);
    jsonout_int(out, "unknown", d->unknown);
    jsonout_open(out, "reasons", '{');
    for (int i = 1; i < UNKNOWN_REASONS; i++)
        if (d->reasons[i] > 0)
            jsonout_int(out, unknown_reason_text((enum unknown_reason)i), d->reasons[i]);
    jsonout_close(out, '}');
    jsonout_text(out, "why", d->why);
    jsonout_close(out, '}');
}

static bool report_is_failing(const struct census_device *d)
{
    return d->down || d->state != CENSUS_FINISHED || d->unknown > 0;
}

static void report_put_failing(struct buf *out, const struct census *c)
{
    size_t failing = 0;
    const struct census_device *d;
    jsonout_open(out, "failing", '[');
    for (size_t i = 0; (d = census_device(c, i)) != NULL; i++)
        if (report_is_failing(d) && failing++ < REPORT_FAILING)
            report_put_device(out, d);
    jsonout_close(out, ']');
    jsonout_unsigned(out, "failing_devices", failing);
}

/* From this duration on a device is slow. */
static uint32_t report_slow_from(const struct census *c, const size_t *slowest, size_t count)
{
    uint64_t median = count == 0 ? 0 : census_device(c, slowest[count / 2])->duration;
    uint64_t from = median * REPORT_SLOW_TIMES;
    return from < REPORT_SLOW_US ? REPORT_SLOW_US : from > UINT32_MAX ? UINT32_MAX : (uint32_t)from;
}

void report_print(const struct census *c, const struct census_facts *facts, struct pastreport *past,
                  struct buf *out)
{
    const struct census_sums *s = census_sums(c);
    size_t count;
    size_t *slowest = census_slowest(c, SIZE_MAX, &count);
    uint32_t slow_from = report_slow_from(c, slowest, count);
    jsonout_open(out, NULL, '{');
    report_put_cycle(out, s, facts);
    report_put_sums(out, s);
    report_put_asks(out, s);
    jsonout_int(out, "slow_from_us", slow_from);
    jsonout_open(out, "slowest", '[');
    for (size_t i = 0; i < count && i < REPORT_SLOWEST; i++)
        report_put_device(out, census_device(c, slowest[i]));
    jsonout_close(out, ']');
    free(slowest);
    report_put_failing(out, c);
    report_add_cycle(past, c, facts, slow_from);
    report_put_history(past, out);
    jsonout_close(out, '}');
    buf_putc(out, '\n');
}
