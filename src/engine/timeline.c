#include "config.h"

#include "engine/timeline.h"

#include "timeline_page.h"

#include "base/jsonout.h"
#include "base/mem.h"

#include <string.h>

/* Where the data goes into the page. */
static const char mark[] = "@DATA@";

/* ---- the data; docs/timeline.md has its form ---- */

static void timeline_put_names(struct buf *out)
{
    jsonout_open(out, "phases", '[');
    for (int i = 0; i < CENSUS_PHASES; i++)
        jsonout_text(out, NULL, census_phase_text((enum census_phase)i));
    jsonout_close(out, ']');
    jsonout_open(out, "reasons", '[');
    for (int i = 0; i < UNKNOWN_REASONS; i++)
        jsonout_text(out, NULL, unknown_reason_text((enum unknown_reason)i));
    jsonout_close(out, ']');
}

static void timeline_put_cycle(struct buf *out, const struct census_sums *s,
                               const struct census_facts *facts)
{
    jsonout_open(out, "cycle", '{');
    jsonout_text(out, "version", PACKAGE_VERSION);
    jsonout_int(out, "poller", facts->poller);
    jsonout_text(out, "driver", facts->driver);
    jsonout_int(out, "threads", s->threads);
    jsonout_int(out, "started", s->started_wall_us);
    jsonout_int(out, "duration", s->elapsed_us);
    jsonout_int(out, "interval", s->interval_ms * 1000);
    jsonout_int(out, "status", facts->status);
    jsonout_bool(out, "out_of_time", s->out_of_time);
    jsonout_unsigned(out, "due", s->roster);
    jsonout_unsigned(out, "values", s->values);
    jsonout_unsigned(out, "unknown", s->unknown);
    jsonout_unsigned(out, "skipped", s->skipped);
    jsonout_unsigned(out, "unfinished", s->unfinished);
    jsonout_unsigned(out, "stored", s->stored);
    jsonout_unsigned(out, "spooled", s->spooled);
    jsonout_unsigned(out, "kept", s->kept);
    jsonout_unsigned(out, "lost", s->lost + s->rejected);
    jsonout_int(out, "lag", s->loop_lag_us);
    jsonout_int(out, "cpu", facts->cpu_us);
    jsonout_int(out, "memory", facts->resident_bytes);
    jsonout_unsigned(out, "missing", facts->missing);
    jsonout_unsigned(out, "left_out", s->devices_left_out);
    jsonout_close(out, '}');
}

static void timeline_put_phases(struct buf *out, const struct census_device *d)
{
    jsonout_open(out, NULL, '[');
    for (int i = 0; i < CENSUS_PHASES; i++)
        jsonout_int(out, NULL, d->phase[i]);
    jsonout_close(out, ']');
    jsonout_open(out, NULL, '[');
    for (size_t i = 0; i < d->segments; i++) {
        jsonout_int(out, NULL, d->segment_phase[i]);
        jsonout_int(out, NULL, d->segment_end[i]);
    }
    jsonout_close(out, ']');
}

static void timeline_put_reasons(struct buf *out, const struct census_device *d)
{
    jsonout_open(out, NULL, '[');
    for (int i = 1; i < UNKNOWN_REASONS; i++) {
        if (d->reasons[i] == 0)
            continue;
        jsonout_int(out, NULL, i);
        jsonout_int(out, NULL, d->reasons[i]);
    }
    jsonout_close(out, ']');
}

/* An array and no object: there may be many thousands of them. */
static void timeline_put_device(struct buf *out, const struct census_device *d)
{
    const int64_t figures[] = {d->state,      d->down,   d->started, d->duration,
                               d->items,      d->values, d->unknown, d->skipped,
                               d->unfinished, d->asks,   d->failed,  d->repeats};
    jsonout_open(out, NULL, '[');
    jsonout_int(out, NULL, d->id);
    jsonout_text(out, NULL, d->hostname);
    for (size_t i = 0; i < ARRAY_LEN(figures); i++)
        jsonout_int(out, NULL, figures[i]);
    timeline_put_phases(out, d);
    timeline_put_reasons(out, d);
    jsonout_text(out, NULL, d->why);
    jsonout_close(out, ']');
}

static void timeline_put_batches(struct buf *out, const struct census *c)
{
    size_t count;
    const struct census_batch *b = census_batches(c, &count);
    jsonout_open(out, "batches", '[');
    for (size_t i = 0; i < count; i++) {
        jsonout_open(out, NULL, '[');
        jsonout_int(out, NULL, b[i].ended);
        jsonout_int(out, NULL, b[i].elapsed_us);
        jsonout_int(out, NULL, b[i].rows);
        jsonout_int(out, NULL, b[i].hosts);
        jsonout_close(out, ']');
    }
    jsonout_close(out, ']');
}

static void timeline_put_marks(struct buf *out, const struct census *c)
{
    size_t count;
    const struct census_mark *m = census_marks(c, &count);
    jsonout_open(out, "marks", '[');
    for (size_t i = 0; i < count; i++) {
        jsonout_open(out, NULL, '[');
        jsonout_int(out, NULL, m[i].at);
        jsonout_text(out, NULL, happening_get(m[i].type)->name);
        jsonout_int(out, NULL, m[i].figure);
        jsonout_text(out, NULL, m[i].text);
        jsonout_close(out, ']');
    }
    jsonout_close(out, ']');
}

static void timeline_put_data(struct buf *out, const struct census *c,
                              const struct census_facts *facts)
{
    const struct census_device *d;
    jsonout_open(out, NULL, '{');
    timeline_put_names(out);
    timeline_put_cycle(out, census_sums(c), facts);
    jsonout_open(out, "devices", '[');
    for (size_t i = 0; (d = census_device(c, i)) != NULL; i++)
        timeline_put_device(out, d);
    jsonout_close(out, ']');
    timeline_put_batches(out, c);
    timeline_put_marks(out, c);
    jsonout_close(out, '}');
}

/* ---- the page ---- */

/* In JSON a "<" can only be within a text, where it may be written as its number; so nothing in it can
 * end the element of the page that it is in. */
static void timeline_put_harmless(struct buf *out, const struct buf *json)
{
    const char *p = buf_str(json), *end = p + json->len;
    while (p < end) {
        const char *next = memchr(p, '<', (size_t)(end - p));
        size_t plain = (size_t)((next != NULL ? next : end) - p);
        buf_append(out, p, plain);
        p += plain;
        if (next == NULL)
            return;
        buf_puts(out, "\\u003c");
        p++;
    }
}

void timeline_print(const struct census *c, const struct census_facts *facts, struct buf *out)
{
    const char *page = (const char *)timeline_page;
    const char *at = memmem(page, timeline_page_len, mark, sizeof(mark) - 1);
    CHECK(at != NULL);
    const char *rest = at + sizeof(mark) - 1;
    struct buf data = BUF_INIT;
    timeline_put_data(&data, c, facts);
    buf_append(out, page, (size_t)(at - page));
    timeline_put_harmless(out, &data);
    buf_append(out, rest, timeline_page_len - (size_t)(rest - page));
    buf_done(&data);
}
