#include "config.h"

#include "engine/ledger.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/stream.h"
#include "base/thr.h"

#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

/* Lines about one kind of database failure that a cycle writes; more of them have no new
 * information. */
enum { LEDGER_LINES_MAX = 20 };

/* Lines about devices that do not work, likewise: a broken switch must not fill the log's disk. */
enum { LEDGER_DEVICE_LINES_MAX = 100 };

void ledger_init(struct ledger *l)
{
    *l = (struct ledger){.figures = {0}};
    thr_mutex_init(&l->lock);
}

void ledger_done(struct ledger *l)
{
    thr_mutex_done(&l->lock);
}

struct ledger_figures ledger_get(struct ledger *l)
{
    thr_lock(&l->lock);
    struct ledger_figures f = l->figures;
    thr_unlock(&l->lock);
    return f;
}

size_t ledger_unknown(const struct ledger_figures *f)
{
    size_t n = 0;
    for (int i = 0; i < UNKNOWN_REASONS; i++)
        n += f->unknown[i];
    return n;
}

size_t ledger_rows(const struct ledger_figures *f)
{
    return f->values + ledger_unknown(f);
}

/* ---- devices ---- */

static void ledger_tell_status(const struct device *device, const struct host_row *host)
{
    if (!host->has_status || host->status.status == device->status.status)
        return;
    if (host->status.status == HOST_DOWN)
        stream_emit_text((struct happening){.type = EVENT_DEVICE_DOWN,
                                            .device = device->id,
                                            .figures = {host->status.failed_polls}},
                         host->status.last_error);
    else if (host->status.status == HOST_UP)
        stream_emit(&(struct happening){.type = EVENT_DEVICE_UP, .device = device->id});
}

static void ledger_tell_device(const struct device *device, const struct devrun_result *r)
{
    int64_t unknown = 0;
    for (int i = 1; i < UNKNOWN_REASONS; i++) {
        if (r->unknown[i] == 0)
            continue;
        unknown += (int64_t)r->unknown[i];
        stream_emit_text((struct happening){.type = EVENT_DEVICE_UNKNOWN,
                                            .device = device->id,
                                            .figures = {(int64_t)r->unknown[i]}},
                         unknown_reason_text((enum unknown_reason)i));
    }
    ledger_tell_status(device, &r->host);
    stream_emit(&(struct happening){
        .type = EVENT_DEVICE_FINISHED,
        .device = device->id,
        .figures = {(int64_t)r->values, unknown, (int64_t)r->skipped, (int64_t)r->unfinished,
                    r->down, (int64_t)(r->host.polling_time * 1e6)},
    });
}

void ledger_device_finished(struct ledger *l, const struct device *device,
                            const struct devrun_result *r)
{
    thr_lock(&l->lock);
    struct ledger_figures *f = &l->figures;
    f->devices++;
    f->down += r->down;
    f->values += r->values;
    f->unfinished += r->unfinished;
    f->skipped += r->skipped;
    for (int i = 0; i < UNKNOWN_REASONS; i++)
        f->unknown[i] += r->unknown[i];
    thr_unlock(&l->lock);
    ledger_tell_device(device, r);
}

bool ledger_takes_line(struct ledger *l)
{
    if (log_wants(LOG_MEDIUM))
        return true;
    thr_lock(&l->lock);
    size_t count = ++l->figures.device_lines;
    thr_unlock(&l->lock);
    return count <= LEDGER_DEVICE_LINES_MAX;
}

void ledger_device_dropped(struct ledger *l, uint32_t device_id, size_t items, bool started)
{
    thr_lock(&l->lock);
    l->figures.dropped++;
    if (!started) {
        l->figures.devices++;
        l->figures.unfinished += items;
    }
    thr_unlock(&l->lock);
    stream_emit(&(struct happening){
        .type = EVENT_DEVICE_DROPPED,
        .device = device_id,
        .figures = {started, started ? 0 : (int64_t)items},
    });
}

/* ---- rows and the database ---- */

void ledger_rows_stored(struct ledger *l, const struct ledger_write *w)
{
    thr_lock(&l->lock);
    bool counts = !l->closed;
    if (counts) {
        l->figures.stored += w->rows_stored;
        l->figures.retries += w->retries;
    }
    thr_unlock(&l->lock);
    if (!counts)
        return;
    stream_emit(&(struct happening){
        .type = EVENT_DB_STORED,
        .figures = {(int64_t)w->rows_stored, (int64_t)w->hosts, w->elapsed_us},
    });
    if (w->retries > 0)
        stream_emit(&(struct happening){.type = EVENT_DB_RETRY, .figures = {(int64_t)w->retries}});
}

void ledger_row_rejected(struct ledger *l, const struct output_row *row, bool earlier,
                         const struct err *why)
{
    thr_lock(&l->lock);
    struct ledger_figures *f = &l->figures;
    bool counts = !l->closed;
    if (counts && !earlier) {
        f->rejected++;
        f->lost++;
    } else if (counts) {
        f->rejected_earlier++;
    }
    size_t count = f->rejected + f->rejected_earlier;
    thr_unlock(&l->lock);
    if (!counts)
        return;
    stream_emit_text(
        (struct happening){.type = EVENT_DB_REJECTED, .figures = {row->local_data_id, earlier}},
        why->text);
    if (count <= LEDGER_LINES_MAX)
        log_line(LOG_ALWAYS, "ERROR: the database refuses the value of DS[%" PRIu32 "] %s: %s",
                 row->local_data_id, row->rrd_name, why->text);
}

void ledger_rows_spooled(struct ledger *l, size_t rows)
{
    if (rows == 0)
        return;
    thr_lock(&l->lock);
    bool counts = !l->closed;
    if (counts)
        l->figures.spooled += rows;
    thr_unlock(&l->lock);
    if (counts)
        stream_emit(&(struct happening){.type = EVENT_DB_SPOOLED, .figures = {(int64_t)rows}});
}

void ledger_rows_lost(struct ledger *l, size_t rows)
{
    if (rows == 0)
        return;
    thr_lock(&l->lock);
    bool counts = !l->closed;
    if (counts)
        l->figures.lost += rows;
    thr_unlock(&l->lock);
    if (counts)
        stream_emit(&(struct happening){.type = EVENT_DB_LOST, .figures = {(int64_t)rows}});
}

void ledger_uplink_ended(struct ledger *l, const struct ledger_uplink *u)
{
    thr_lock(&l->lock);
    bool counts = !l->closed;
    if (counts) {
        l->figures.stored += u->stored;
        l->figures.kept += u->kept;
        l->figures.lost += u->rejected;
        l->figures.retries += u->retries;
    }
    thr_unlock(&l->lock);
    if (!counts)
        return;
    stream_emit(&(struct happening){
        .type = EVENT_UPLINK_ENDED,
        .figures = {(int64_t)u->stored, (int64_t)u->kept, (int64_t)u->rejected,
                    (int64_t)u->retries},
    });
}

void ledger_connection_lost(struct ledger *l, const struct err *why)
{
    thr_lock(&l->lock);
    size_t count = ++l->figures.lost_connections;
    if (count == 1)
        l->figures.lost_why = *why;
    thr_unlock(&l->lock);
    stream_emit_text((struct happening){.type = EVENT_DB_DISCONNECTED}, why->text);
    if (count <= LEDGER_LINES_MAX)
        log_line(LOG_ALWAYS, "WARNING: lost the connection to the database: %s", why->text);
}

void ledger_connection_back(struct ledger *l, int64_t away_ms)
{
    thr_lock(&l->lock);
    size_t count = l->figures.lost_connections;
    thr_unlock(&l->lock);
    stream_emit(&(struct happening){.type = EVENT_DB_CONNECTED, .figures = {away_ms}});
    if (count <= LEDGER_LINES_MAX)
        log_line(LOG_ALWAYS, "NOTE: connected to the database again after %.1f s",
                 (double)away_ms / 1000);
}

void ledger_write_failed(struct ledger *l)
{
    thr_lock(&l->lock);
    l->figures.failed = true;
    thr_unlock(&l->lock);
}

void ledger_close_rows(struct ledger *l)
{
    thr_lock(&l->lock);
    struct ledger_figures *f = &l->figures;
    size_t accounted = f->stored + f->spooled + f->kept + f->lost, rows = ledger_rows(f);
    size_t lost = rows > accounted ? rows - accounted : 0;
    f->lost += lost;
    f->failed = true;
    l->closed = true;
    thr_unlock(&l->lock);
    if (lost > 0)
        stream_emit(&(struct happening){.type = EVENT_DB_LOST, .figures = {(int64_t)lost}});
}

/* ---- the closing lines ---- */

static void ledger_print_rows(struct buf *line, const struct ledger_figures *f, size_t expected)
{
    buf_printf(line, "; rows: %zu expected, %zu stored, %zu spooled, %zu lost", expected, f->stored,
               f->spooled, f->lost);
    if (f->kept > 0)
        buf_printf(line, ", %zu kept for Cacti's recovery", f->kept);
    if (f->retries > 0 || f->lost_connections > 0)
        buf_printf(line, " (%zu statements repeated, %zu connections lost)", f->retries,
                   f->lost_connections);
}

/* Every item and every row is in it once; lost rows make it a WARNING at every verbosity, with the
 * reason and the remedy. */
static void ledger_report_items(const struct ledger_figures *f,
                                const struct ledger_closing *closing)
{
    struct buf line = BUF_INIT;
    size_t expected = closing->read_only ? 0 : ledger_rows(f);
    bool all_stored = f->stored == expected;
    buf_printf(&line, "%s: Items: %zu due, %zu values, %zu U, %zu of down devices, %zu unfinished",
               all_stored ? "NOTE" : "WARNING", closing->items_due, f->values, ledger_unknown(f),
               f->skipped, f->unfinished);
    ledger_print_rows(&line, f, expected);
    buf_printf(&line, "; devices: %zu down, %zu unfinished", f->down, f->dropped);
    for (int i = 1; i < UNKNOWN_REASONS; i++)
        if (f->unknown[i] > 0)
            buf_printf(&line, "; U %s: %zu", unknown_reason_text((enum unknown_reason)i),
                       f->unknown[i]);
    if (closing->loop_lag_us > 0)
        buf_printf(&line, "; event loop late by %.1f ms at most",
                   (double)closing->loop_lag_us / 1000);
    if (!all_stored && f->lost_connections > 0)
        buf_printf(&line, "; %s", f->lost_why.text);
    log_line(all_stored ? LOG_MEDIUM : LOG_ALWAYS, "%s", buf_str(&line));
    buf_done(&line);
}

/* In the form of Cacti's own SYSTEM STATS, so that scripts which graph that can read this one. */
static void ledger_report_stats(const struct ledger_figures *f,
                                const struct ledger_closing *closing, int status)
{
    log_line(LOG_ALWAYS,
             "STATS: Time:%.4f Driver:%s Threads:%d Devices:%zu Down:%zu Dropped:%zu Items:%zu "
             "Values:%zu Unknown:%zu Skipped:%zu Unfinished:%zu Stored:%zu Spooled:%zu Kept:%zu "
             "Lost:%zu Retries:%zu Disconnects:%zu LoopLag:%.4f Status:%d",
             (double)closing->elapsed_us / 1e6, closing->driver, closing->threads, closing->devices,
             f->down, f->dropped, closing->items_due, f->values, ledger_unknown(f), f->skipped,
             f->unfinished, f->stored, f->spooled, f->kept, f->lost, f->retries,
             f->lost_connections, (double)closing->loop_lag_us / 1e6, status);
}

/* The fault of this program that such a number shows: a descriptor that is always ready, or a timer that sets itself. */
static void ledger_report_turns(const struct ledger_closing *closing)
{
    uint64_t allowed = LEDGER_TURNS + closing->devices * DEVRUN_STEPS +
                       closing->items_due * DEVRUN_STEPS_ITEM +
                       (uint64_t)(closing->elapsed_us / 1000000) * LEDGER_TURNS_SECOND;
    if (closing->loop_turns > allowed)
        log_line(LOG_ALWAYS,
                 "WARNING: The event loop has turned %" PRIu64 " times in %.1f s, more than %zu "
                 "devices with %zu items can need (%" PRIu64 "); its results are right, but "
                 "please report this defect",
                 closing->loop_turns, (double)closing->elapsed_us / 1e6, closing->devices,
                 closing->items_due, allowed);
}

int ledger_report(struct ledger *l, const struct ledger_closing *closing)
{
    struct ledger_figures f = ledger_get(l);
    int status = closing->out_of_time || f.dropped > 0 || f.failed ? EX_TEMPFAIL : EX_OK;
    char stats[128];
    if (f.dropped > 0)
        log_line(LOG_ALWAYS, "WARNING: There were %zu threads which did not run", f.dropped);
    if (f.device_lines > LEDGER_DEVICE_LINES_MAX)
        log_line(LOG_ALWAYS,
                 "WARNING: %zu more lines say why devices do not work; verbosity MEDIUM shows all "
                 "of them",
                 f.device_lines - LEDGER_DEVICE_LINES_MAX);
    ledger_report_turns(closing);
    ledger_report_items(&f, closing);
    ledger_report_stats(&f, closing, status);
    snprintf(stats, sizeof(stats), "Time: %.4f s, Threads: %d, Devices: %zu",
             (double)closing->elapsed_us / 1e6, closing->threads, closing->devices);
    if (log_wants(LOG_MEDIUM))
        log_line(LOG_MEDIUM, "%s", stats);
    else if (log_is_terminal(false))
        log_print(false, "%s\n", stats);
    return status;
}
