#include "config.h"

#include "engine/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Devices that have a rank. */
enum { METRICS_RANKS = 10 };

/* One metric while it is printed. */
struct sheet {
    struct buf *out;
    char labels[64]; /* of every sample */
    const char *name;
};

static void sheet_head(struct sheet *s, const char *name, const char *type, const char *help)
{
    s->name = name;
    buf_printf(s->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sheet_gauge(struct sheet *s, const char *name, const char *help)
{
    sheet_head(s, name, "gauge", help);
}

/* suffix: of the name.  label: NULL, or one more with its value. */
static void sheet_begin(struct sheet *s, const char *suffix, const char *label, const char *value)
{
    buf_printf(s->out, "%s%s{%s", s->name, suffix, s->labels);
    if (label != NULL)
        buf_printf(s->out, ",%s=\"%s\"", label, value);
    buf_puts(s->out, "} ");
}

static void sheet_count(struct sheet *s, const char *label, const char *value, uint64_t n)
{
    sheet_begin(s, "", label, value);
    buf_printf(s->out, "%" PRIu64 "\n", n);
}

/* Without a decimal point of the locale. */
static void sheet_put_seconds(struct sheet *s, int64_t us)
{
    us = us < 0 ? 0 : us;
    buf_printf(s->out, "%" PRId64 ".%06" PRId64 "\n", us / 1000000, us % 1000000);
}

static void sheet_seconds(struct sheet *s, const char *label, const char *value, int64_t us)
{
    sheet_begin(s, "", label, value);
    sheet_put_seconds(s, us);
}

/* ---- the cycle ---- */

static void metrics_cycle(struct sheet *s, const struct census_sums *sums,
                          const struct census_facts *facts)
{
    sheet_gauge(s, "spine_build_info", "The version of spine; always 1.");
    sheet_count(s, "version", PACKAGE_VERSION, 1);
    sheet_gauge(s, "spine_cycle_driver_info",
                "How the cycle was polled: legacy, event or async; always 1.");
    sheet_count(s, "driver", facts->driver, 1);
    sheet_gauge(s, "spine_cycle_start_time_seconds",
                "When the cycle began, in Unix time; 0 if it could not.");
    sheet_seconds(s, NULL, NULL, sums->started_wall_us);
    sheet_gauge(s, "spine_cycle_end_time_seconds", "When this file was written, in Unix time.");
    sheet_seconds(s, NULL, NULL, facts->ended_wall_us);
    sheet_gauge(s, "spine_cycle_duration_seconds",
                "From the start of the cycle to its last event.");
    sheet_seconds(s, NULL, NULL, sums->elapsed_us);
    sheet_gauge(s, "spine_cycle_interval_seconds", "The polling interval.");
    sheet_seconds(s, NULL, NULL, sums->interval_ms * 1000);
    sheet_gauge(
        s, "spine_cycle_exit_status",
        "The exit status of the process, or 128 and the signal that ended it; 0 is success.");
    sheet_count(s, NULL, NULL, (uint64_t)facts->status);
    sheet_gauge(s, "spine_cycle_deadline_passed", "1 if polling ended because its time was over.");
    sheet_count(s, NULL, NULL, sums->out_of_time);
    sheet_gauge(s, "spine_cycle_threads", "The setting threads.");
    sheet_count(s, NULL, NULL, (uint64_t)sums->threads);
}

/* ---- devices ---- */

static void metrics_devices(struct sheet *s, const struct census_sums *sums)
{
    sheet_gauge(s, "spine_cycle_devices_due", "Devices that were to be polled.");
    sheet_count(s, NULL, NULL, sums->roster);
    sheet_gauge(
        s, "spine_cycle_devices",
        "Devices by what became of them: up, down, unfinished (there was no time to poll them "
        "to the end), not_begun (there was no time at all).");
    sheet_count(s, "state", "up", sums->finished > sums->down ? sums->finished - sums->down : 0);
    sheet_count(s, "state", "down", sums->down);
    sheet_count(s, "state", "unfinished", sums->stopped);
    sheet_count(s, "state", "not_begun", sums->skipped_devices);
    sheet_gauge(s, "spine_cycle_status_changes", "Devices whose status has become up or down.");
    sheet_count(s, "to", "up", sums->came_up);
    sheet_count(s, "to", "down", sums->went_down);
    sheet_gauge(s, "spine_cycle_reindexes", "Data queries that Cacti is told to re-index.");
    sheet_count(s, NULL, NULL, sums->reindexed);
}

static void metrics_items(struct sheet *s, const struct census_sums *sums)
{
    sheet_gauge(s, "spine_cycle_items_due", "Poller items that were due.");
    sheet_count(s, NULL, NULL, sums->items_due);
    sheet_gauge(
        s, "spine_cycle_items",
        "Items by what became of them: value, unknown (U), down (of a device that is down), "
        "unfinished.");
    sheet_count(s, "result", "value", sums->values);
    sheet_count(s, "result", "unknown", sums->unknown);
    sheet_count(s, "result", "down", sums->skipped);
    sheet_count(s, "result", "unfinished", sums->unfinished);
    sheet_gauge(s, "spine_cycle_unknown_items", "Items that are U, by the reason.");
    for (int i = 1; i < UNKNOWN_REASONS; i++)
        sheet_count(s, "reason", unknown_reason_text((enum unknown_reason)i), sums->reasons[i]);
}

/* The duration that this many of all devices do not exceed, as a fraction of 100. */
static int64_t metrics_quantile(const struct census *c, const size_t *slowest, size_t count,
                                size_t percent)
{
    if (count == 0)
        return 0;
    size_t at = (count * (100 - percent)) / 100;
    return census_device(c, slowest[at < count ? at : count - 1])->duration;
}

static void metrics_durations(struct sheet *s, const struct census *c)
{
    static const struct {
        const char *text;
        size_t percent;
    } quantiles[] = {{"0.5", 50}, {"0.9", 90}, {"0.99", 99}, {"1", 100}};
    size_t count, ranks;
    int64_t sum = 0;
    size_t *slowest = census_slowest(c, SIZE_MAX, &count);
    for (size_t i = 0; i < count; i++)
        sum += census_device(c, i)->duration;
    sheet_head(s, "spine_cycle_device_seconds", "summary", "How long devices took.");
    for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
        sheet_seconds(s, "quantile", quantiles[i].text,
                      metrics_quantile(c, slowest, count, quantiles[i].percent));
    sheet_begin(s, "_sum", NULL, NULL);
    sheet_put_seconds(s, sum);
    sheet_begin(s, "_count", NULL, NULL);
    buf_printf(s->out, "%zu\n", count);
    sheet_gauge(s, "spine_cycle_slow_device_seconds",
                "How long the slowest devices took, by their id; ten at most.");
    ranks = count < METRICS_RANKS ? count : METRICS_RANKS;
    for (size_t i = 0; i < ranks; i++) {
        const struct census_device *d = census_device(c, slowest[i]);
        char id[16];
        snprintf(id, sizeof(id), "%" PRIu32, d->id);
        sheet_seconds(s, "device", id, d->duration);
    }
    free(slowest);
}

/* ---- what was asked ---- */

static void metrics_asks(struct sheet *s, const struct census_sums *sums)
{
    static const char *const names[] = {"spine_cycle_asks_answered", "spine_cycle_asks_failed",
                                        "spine_cycle_ask_repeats", "spine_cycle_ask_seconds"};
    static const char *const helps[] = {
        "SNMP requests, pings and scripts that gave an answer.",
        "Those that gave none, or an error.",
        "SNMP requests that were sent again.",
        "How long answers and failures took, added up.",
    };
    for (size_t m = 0; m < ARRAY_LEN(names); m++) {
        sheet_gauge(s, names[m], helps[m]);
        for (size_t i = 0; i < ARRAY_LEN(sums->kinds); i++) {
            const struct census_kind_sums *k = &sums->kinds[i];
            const char *kind = census_kind_text((enum ask_kind)i);
            const uint64_t counts[] = {k->asks - k->failed, k->failed, k->repeats};
            if (m < ARRAY_LEN(counts))
                sheet_count(s, "kind", kind, counts[m]);
            else
                sheet_seconds(s, "kind", kind, (int64_t)k->elapsed_us);
        }
    }
    sheet_gauge(s, "spine_cycle_phase_seconds",
                "What the time of all devices went into, added up: check, system, reindex, snmp, "
                "script, server, queue (waits for its turn), other.");
    for (int i = 0; i < CENSUS_PHASES; i++)
        sheet_seconds(s, "phase", census_phase_text((enum census_phase)i),
                      (int64_t)sums->phase_us[i]);
    sheet_gauge(
        s, "spine_cycle_children",
        "Processes of scripts and script servers that were started, that ended with an error, "
        "that used up their time.");
    sheet_count(s, "fate", "started", sums->children);
    sheet_count(s, "fate", "failed", sums->children_failed);
    sheet_count(s, "fate", "timed_out", sums->children_timed_out);
}

/* ---- the database ---- */

static void metrics_rows(struct sheet *s, const struct census_sums *sums)
{
    sheet_gauge(
        s, "spine_cycle_rows",
        "Rows of results: stored, spooled (in Spool_File), kept (for Cacti's recovery), lost.");
    sheet_count(s, "result", "stored", sums->stored);
    sheet_count(s, "result", "spooled", sums->spooled);
    sheet_count(s, "result", "kept", sums->kept);
    sheet_count(s, "result", "lost", sums->lost + sums->rejected);
    sheet_gauge(s, "spine_cycle_db_batches", "Batches that went to the database.");
    sheet_count(s, NULL, NULL, sums->batches);
    sheet_gauge(s, "spine_cycle_db_write_seconds", "How long they took, added up.");
    sheet_seconds(s, NULL, NULL, sums->batch_us);
    sheet_gauge(s, "spine_cycle_db_longest_write_seconds", "How long the longest of them took.");
    sheet_seconds(s, NULL, NULL, sums->batch_longest_us);
    sheet_gauge(s, "spine_cycle_db_repeats", "Statements that were repeated.");
    sheet_count(s, NULL, NULL, sums->retries);
    sheet_gauge(s, "spine_cycle_db_disconnects", "Connections to the database that were lost.");
    sheet_count(s, NULL, NULL, sums->disconnects);
    sheet_gauge(s, "spine_cycle_db_stalls",
                "How often new devices had to wait until the database had caught up.");
    sheet_count(s, NULL, NULL, sums->queue_full);
}

static void metrics_process(struct sheet *s, const struct census_sums *sums,
                            const struct census_facts *facts)
{
    sheet_gauge(s, "spine_cycle_loop_lag_seconds",
                "By how much the event loop was late with a timer, at most; 0 on the legacy loop.");
    sheet_seconds(s, NULL, NULL, sums->loop_lag_us);
    sheet_gauge(s, "spine_cycle_loop_stalls",
                "How often the event loop did not turn for more than a second.");
    sheet_count(s, NULL, NULL, (uint64_t)sums->stalls);
    sheet_gauge(
        s, "spine_process_cpu_seconds",
        "Processor time of the process without its scripts; of a daemon, since the cycle began.");
    sheet_seconds(s, NULL, NULL, facts->cpu_us);
    sheet_gauge(s, "spine_process_resident_memory_max_bytes",
                "The most memory that it had; of a daemon, since it was started.");
    sheet_count(s, NULL, NULL, (uint64_t)facts->resident_bytes);
    sheet_gauge(
        s, "spine_events_missing",
        "Events that these figures lack, because there were too many at a time; 0 is usual.");
    sheet_count(s, NULL, NULL, facts->missing);
}

void metrics_print(const struct census *c, const struct census_facts *facts, struct buf *out)
{
    const struct census_sums *sums = census_sums(c);
    struct sheet s = {.out = out};
    snprintf(s.labels, sizeof(s.labels), "poller=\"%d\",first=\"%" PRIu32 "\"", facts->poller,
             facts->has_range ? facts->first : 0);
    metrics_cycle(&s, sums, facts);
    metrics_devices(&s, sums);
    metrics_items(&s, sums);
    metrics_durations(&s, c);
    metrics_asks(&s, sums);
    metrics_rows(&s, sums);
    metrics_process(&s, sums, facts);
}
