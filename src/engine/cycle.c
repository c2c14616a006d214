#include "config.h"

#include "engine/cycle.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/stream.h"
#include "engine/budget.h"
#include "engine/rescue.h"
#include "engine/scripts.h"
#include "engine/state.h"
#include "engine/watchdog.h"
#include "engine/witness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

/* Lines about the database that one cycle may write; more would say nothing new. */
enum { STORE_LINES_MAX = 20 };

static void tell_store_event(const struct store_event *event)
{
    switch (event->kind) {
    case STORE_EVENT_LOST:
        stream_emit_text((struct happening){.type = EVENT_DB_DISCONNECTED}, event->why->text);
        return;
    case STORE_EVENT_BACK:
        stream_emit(&(struct happening){.type = EVENT_DB_CONNECTED, .figures = {event->away_ms}});
        return;
    case STORE_EVENT_REJECTED:
        stream_emit_text(
            (struct happening){.type = EVENT_DB_REJECTED, .figures = {event->row->local_data_id}},
            event->why->text);
        return;
    }
}

static void on_store_event(void *arg, const struct store_event *event)
{
    struct cycle *c = arg;
    tell_store_event(event);
    switch (event->kind) {
    case STORE_EVENT_LOST:
        if (++c->rows.lost_connections <= STORE_LINES_MAX)
            log_line(LOG_ALWAYS, "WARNING: lost the connection to the database: %s",
                     event->why->text);
        return;
    case STORE_EVENT_BACK:
        if (c->rows.lost_connections <= STORE_LINES_MAX)
            log_line(LOG_ALWAYS, "NOTE: connected to the database again after %.1f s",
                     (double)event->away_ms / 1000);
        return;
    case STORE_EVENT_REJECTED:
        if (++c->rows.rejected <= STORE_LINES_MAX)
            log_line(LOG_ALWAYS, "ERROR: the database refuses the value of DS[%" PRIu32 "] %s: %s",
                     event->row->local_data_id, event->row->rrd_name, event->why->text);
        return;
    }
}

void cycle_init(struct cycle *c, const struct config *config, struct store *store,
                struct world *world, int64_t started_mono_us)
{
    int64_t interval_ms = (int64_t)config->poller_interval_s * 1000;
    struct budget budget = budget_make(started_mono_us / 1000, config->poller_interval_s);
    *c = (struct cycle){
        .config = config,
        .store = store,
        .started_mono_us = started_mono_us,
        .poll_until_mono_ms = budget.poll_until,
        .store_until_mono_ms = budget.store_until,
        .stale_from_mono_ms = budget.stale_from,
        .end_by_mono_ms = budget.end_by,
        .world = world,
    };
    store_set_deadline(store, c->store_until_mono_ms);
    store_set_patience(store, interval_ms / 10); /* a stall must not eat the whole cycle */
    store_set_listener(store, on_store_event, c);
    store_set_read_only(store, config->read_only);
    store_set_poller(store, config->poller_id);
    stream_forget();
    stream_emit(&(struct happening){
        .type = EVENT_CYCLE_STARTED,
        .figures = {config->poller_id, config->threads, config->event_loop, interval_ms},
    });
}

void cycle_done(struct cycle *c)
{
    site_done(&c->site);
    free(c->advance);
}

/* ---- database thread ---- */

/* Once per run, and only if it matters: a device is pinged by ICMP (operations 9.1). */
static void report_icmp(const struct cycle *c)
{
    for (size_t i = 0; i < c->site.device_count; i++) {
        const struct device *d = &c->site.devices[i];
        bool pinged = d->availability_method == AVAIL_PING_AND_SNMP ||
                      d->availability_method == AVAIL_PING ||
                      d->availability_method == AVAIL_PING_OR_SNMP;
        if (!pinged || d->ping_method != PING_METHOD_ICMP || d->deleted)
            continue;
        bool works;
        const char *text = world_ping_text(c->world, &works);
        log_line(works ? LOG_MEDIUM : LOG_ALWAYS, "%s%s", works ? "NOTE: " : "WARNING: ", text);
        return;
    }
}

static size_t count_server_asks(const struct device *d)
{
    size_t n = 0;
    for (size_t k = 0; k < d->item_count; k++)
        n += d->items[k].action == ITEM_SERVER;
    for (size_t k = 0; k < d->reindex_count; k++)
        n += d->reindex[k].action == REINDEX_SERVER || d->reindex[k].action == REINDEX_SERVER_COUNT;
    return n;
}

static size_t count_script_asks(const struct device *d)
{
    size_t n = 0;
    for (size_t k = 0; k < d->item_count; k++)
        n += item_is_script(&d->items[k]);
    for (size_t k = 0; k < d->reindex_count; k++)
        n += reindex_is_script(&d->reindex[k]);
    return n;
}

static void count_children(struct cycle *c)
{
    for (size_t i = 0; i < c->site.device_count && !c->config->ping_only; i++) {
        const struct device *d = &c->site.devices[i];
        if (d->deleted)
            continue;
        size_t at_once = d->device_threads < 1 ? 1 : (size_t)d->device_threads;
        size_t servers = count_server_asks(d);
        c->script_asks += count_script_asks(d);
        c->servers_at_once += servers < at_once ? servers : at_once;
    }
}

static bool load_site(struct cycle *c, struct err *err)
{
    const struct config *cf = c->config;
    struct selection sel = {
        .poller_id = cf->poller_id,
        .has_range = cf->has_range && !cf->has_host_list,
        .first = cf->first,
        .last = cf->last,
        .ids = cf->has_host_list ? cf->host_list.ids : NULL,
        .id_count = cf->has_host_list ? cf->host_list.count : 0,
        .only_due = cf->active_profiles != 1,
        .with_reindex = !cf->ping_only,
    };
    if (!store_load_site(c->store, &sel, &c->site, err))
        return false;
    c->advance = mem_zalloc(c->site.device_count, sizeof(c->advance[0]));
    c->loaded = true;
    count_children(c);
    stream_emit(&(struct happening){
        .type = EVENT_CYCLE_LOADED,
        .figures = {(int64_t)c->site.device_count, (int64_t)c->site.item_count,
                    clock_mono_us() - c->started_mono_us},
    });
    report_icmp(c);
    return true;
}

/* Cacti empties poller_output of a collector that is not online (contract 17.1). */
static void warn_of_waste(const struct config *cf)
{
    if (cf->poller_id > 1 && cf->mode != MODE_ONLINE && !cf->boost && !cf->ping_only)
        log_line(LOG_ALWAYS, "WARNING: boost is off, so Cacti throws away what this collector "
                             "stores until the main server is back");
}

static bool begin(struct cycle *c, struct err *err)
{
    const struct config *cf = c->config;
    warn_of_waste(cf);
    if (c->uplink != NULL) {
        uplink_begin(c->uplink, cf, c->store_until_mono_ms);
        c->opened = true;
    } else if (!cf->ping_only) { /* no row, no date, no steps then (operations 9.4) */
        c->opened = store_open_cycle(c->store, cf->poller_id, (int)getpid(), err);
        if (!c->opened)
            return false;
    }
    return load_site(c, err);
}

bool cycle_begin(struct cycle *c, struct err *err)
{
    watchdog_doing(c->watchdog, WATCH_STORE, "opening the row and loading the site");
    bool ok = begin(c, err);
    watchdog_doing(c->watchdog, WATCH_STORE, NULL);
    return ok;
}

static void tell_lost(size_t rows)
{
    if (rows > 0)
        stream_emit(&(struct happening){.type = EVENT_DB_LOST, .figures = {(int64_t)rows}});
}

/* The last `left` rows of the batch found no place in the database. */
static void keep_rest(struct cycle *c, const struct batch *batch, size_t left)
{
    size_t kept = rescue_rows(c->config, batch, left);
    c->rows.spooled += kept;
    c->rows.lost += left - kept;
    if (kept > 0)
        stream_emit(&(struct happening){.type = EVENT_DB_SPOOLED, .figures = {(int64_t)kept}});
    tell_lost(left - kept);
}

static void tell_written(const struct batch *batch, const struct store_outcome *out,
                         int64_t began_us)
{
    stream_emit(&(struct happening){
        .type = EVENT_DB_STORED,
        .figures = {(int64_t)out->rows_stored, (int64_t)batch->host_count,
                    clock_mono_us() - began_us},
    });
    if (out->retries > 0)
        stream_emit(
            &(struct happening){.type = EVENT_DB_RETRY, .figures = {(int64_t)out->retries}});
}

/* Once, and only when the database has proved to take rows: new results come first.  A collector's go
 * to the main server, which is the uplink's business. */
static void replay(struct cycle *c)
{
    if (!c->replayed && c->uplink == NULL)
        rescue_replay(c->config, c->store);
    c->replayed = true;
}

/* The next cycle has stored newer values by now, and Cacti would refuse older ones (we were stopped
 * or starved): only what is counted and the row are still worth something. */
static bool is_stale(const struct cycle *c)
{
    return clock_mono_ms() >= c->stale_from_mono_ms;
}

static void lose_stale(struct cycle *c, struct batch *batch)
{
    c->store_failed = true;
    c->rows.lost += batch->row_count;
    if (batch->row_count > 0)
        log_line(LOG_ALWAYS, "ERROR: %zu rows were not stored: the next cycle has begun",
                 batch->row_count);
    tell_lost(batch->row_count);
    batch_free(batch);
}

static void write_here(struct cycle *c, const struct batch *batch)
{
    struct err err = ERR_INIT;
    struct store_outcome out = {0};
    int64_t began_us = clock_mono_us();
    watchdog_doing(c->watchdog, WATCH_STORE, "storing rows");
    bool ok = store_write(c->store, batch, c->config->boost, &out, &err);
    c->rows.stored += out.rows_stored;
    c->rows.lost += out.rows_rejected;
    c->rows.retries += out.retries;
    if (!ok) {
        c->store_failed = true;
        size_t rows = out.rows_rejected + out.rows_left;
        if (rows > 0)
            log_line(LOG_ALWAYS, "ERROR: %zu rows could not be stored: %s", rows, err.text);
        else
            log_line(LOG_ALWAYS, "ERROR: not everything about devices could be stored: %s",
                     err.text);
    }
    tell_written(batch, &out, began_us);
    keep_rest(c, batch, out.rows_left);
    if (out.rows_left == 0)
        replay(c);
    watchdog_doing(c->watchdog, WATCH_STORE, NULL);
}

/* Neither the main server nor the local database takes these. */
static void keep_left(struct cycle *c)
{
    struct batch *left = uplink_take_left(c->uplink);
    if (left != NULL)
        keep_rest(c, left, left->row_count);
    batch_free(left);
}

void cycle_write(struct cycle *c, struct batch *batch)
{
    if (is_stale(c)) {
        lose_stale(c, batch);
        return;
    }
    if (c->uplink == NULL) {
        write_here(c, batch);
        batch_free(batch);
        return;
    }
    /* What devices gave is for the main server, what they are is written here and pushed in the
     * end (contract 17.1). */
    struct batch here = *batch;
    here.row_count = here.recache_count = 0;
    write_here(c, &here);
    batch->host_count = batch->assert_count = 0;
    uplink_put(c->uplink, batch);
    keep_left(c);
}

static bool advance_steps(struct cycle *c, struct err *err)
{
    if (c->config->active_profiles == 1 || c->config->ping_only || c->site.device_count == 0)
        return true;
    uint32_t *ids = mem_zalloc(c->site.device_count, sizeof(ids[0]));
    size_t count = 0;
    for (size_t i = 0; i < c->site.device_count; i++)
        if (c->advance[i])
            ids[count++] = c->site.devices[i].id;
    bool ok = count == 0 || store_advance_steps(c->store, c->config->poller_id,
                                                c->config->poller_interval_s, ids, count, err);
    free(ids);
    return ok;
}

static void close_row(struct cycle *c)
{
    struct err err = ERR_INIT;
    /* Whatever happened before, the row is worth one more connection (Q28). */
    store_grant(c->store, CYCLE_CLOSE_MS);
    if (store_close_cycle(c->store, c->config->poller_id, (int)getpid(), &err))
        return;
    c->store_failed = true;
    log_line(LOG_ALWAYS, "ERROR: the poller_time row could not be closed: %s", err.text);
}

static void end_uplink(struct cycle *c)
{
    uplink_end(c->uplink, c->store, c->loaded);
    struct uplink_result r = uplink_get_result(c->uplink);
    stream_emit(&(struct happening){
        .type = EVENT_UPLINK_ENDED,
        .figures = {(int64_t)r.stored, (int64_t)r.kept, (int64_t)r.rejected, (int64_t)r.retries},
    });
    c->rows.stored += r.stored;
    c->rows.kept += r.kept;
    c->rows.lost += r.rejected;
    c->rows.retries += r.retries;
    c->store_failed |= r.failed;
    keep_left(c);
}

void cycle_end(struct cycle *c)
{
    struct err err = ERR_INIT;
    if (!c->opened)
        return;
    watchdog_doing(c->watchdog, WATCH_STORE, "closing the row");
    bool finish = c->loaded && !is_stale(c);
    if (finish && c->rows.spooled == 0)
        replay(c);
    if (finish && !advance_steps(c, &err)) {
        c->store_failed = true;
        log_line(LOG_ALWAYS, "ERROR: rrd_next_step could not be advanced: %s", err.text);
    }
    if (finish && c->config->poller_id == 1 && !store_write_date(c->store, &err)) {
        c->store_failed = true;
        log_line(LOG_ALWAYS, "ERROR: settings.date could not be written: %s", err.text);
    }
    if (c->uplink != NULL)
        end_uplink(c);
    else
        close_row(c);
    c->opened = false;
    watchdog_doing(c->watchdog, WATCH_STORE, NULL);
}

void cycle_refuse_scripts(struct cycle *c, const struct err *why)
{
    c->no_scripts = true;
    log_line(LOG_ALWAYS, "ERROR: No script can be run, %zu items are U: %s", c->script_asks,
             why->text);
}

/* ---- any thread ---- */

void cycle_hurry(struct cycle *c, int signo)
{
    stream_emit(&(struct happening){.type = EVENT_SIGNAL_RECEIVED, .figures = {signo}});
    int64_t now = clock_mono_ms();
    int64_t end_by = now + CYCLE_HURRY_MS + 2 * CYCLE_CLOSE_MS + CYCLE_RESCUE_MS;
    c->stop_signal = signo;
    if (end_by < c->end_by_mono_ms)
        c->end_by_mono_ms = end_by;
    store_hurry(c->store, now + CYCLE_HURRY_MS);
    watchdog_hurry(c->watchdog, end_by, signo);
    if (c->uplink != NULL)
        uplink_hurry(c->uplink, now + CYCLE_HURRY_MS);
}

struct devrun *cycle_new_run(const struct cycle *c, const struct device *device)
{
    const struct config *cf = c->config;
    struct devrun_options o = {
        .log_level = cf->log.level,
        .debug_device = id_list_contains(&cf->debug_devices, device->id),
        .invalid_log = cf->invalid_log,
        .failure_count = cf->ping_failure_count,
        .recovery_count = cf->ping_recovery_count,
        .system_info = cf->mibs,
        .ping_only = cf->ping_only,
        .no_scripts = c->no_scripts,
    };
    struct devrun *run = devrun_new(device, &o);
    devrun_watch(run, &witness);
    return run;
}

struct moment cycle_now(void)
{
    return (struct moment){.mono_us = clock_mono_us(), .wall_us = clock_wall_us()};
}

bool cycle_out_of_time(const struct cycle *c, const struct moment *at)
{
    return at->mono_us / 1000 >= c->poll_until_mono_ms;
}

static void count_result(struct cycle *c, const struct device *device,
                         const struct devrun_result *r, struct tally *tally)
{
    tally->devices++;
    tally->down += r->down;
    tally->values += r->values;
    tally->unfinished += r->unfinished;
    tally->skipped += r->skipped;
    for (int i = 0; i < UNKNOWN_REASONS; i++)
        tally->unknown[i] += r->unknown[i];
    c->advance[device - c->site.devices] = r->complete;
}

bool cycle_apply(struct cycle *c, const struct device *device, const struct action *action,
                 struct tally *tally, struct batch *rows)
{
    switch (action->kind) {
    case ACTION_LOG: log_line(action->log.level, "%s", action->log.text); return false;
    case ACTION_ROW: batch_add_row(rows, &action->row); return false;
    case ACTION_RECACHE: batch_add_recache(rows, &action->recache); return false;
    case ACTION_ASSERT: batch_add_assert(rows, &action->assertion); return false;
    case ACTION_FINISHED:
        count_result(c, device, &action->finished, tally);
        if (device->id != 0 && (action->finished.complete || action->finished.host.has_status))
            batch_add_host(rows, &action->finished.host);
        return true;
    case ACTION_ASK: break;
    }
    return false;
}

bool cycle_batch_is_full(const struct batch *b)
{
    return b->row_count >= CYCLE_BATCH_ROWS || b->host_count >= CYCLE_BATCH_HOSTS;
}

bool cycle_batch_is_overfull(const struct batch *b)
{
    return b != NULL && (b->row_count >= (size_t)CYCLE_BATCH_ROWS * CYCLE_BATCHES_MAX ||
                         b->bytes >= CYCLE_BYTES_MAX);
}

void tally_add(struct tally *to, const struct tally *from)
{
    to->devices += from->devices;
    to->down += from->down;
    to->dropped += from->dropped;
    to->values += from->values;
    to->unfinished += from->unfinished;
    to->skipped += from->skipped;
    for (int i = 0; i < UNKNOWN_REASONS; i++)
        to->unknown[i] += from->unknown[i];
}

void cycle_drop(struct cycle *c, const struct device *device, bool started, struct tally *tally)
{
    tally->dropped++;
    stream_emit(&(struct happening){
        .type = EVENT_DEVICE_DROPPED,
        .device = device->id,
        .figures = {started, started ? 0 : (int64_t)device->item_count},
    });
    if (!started) {
        tally->devices++;
        tally->unfinished += device->item_count;
    }
    if (c->stop_signal != 0)
        return; /* one line tells why all of them stopped */
    log_line(LOG_ALWAYS,
             started ? "ERROR: Device[%" PRIu32
                       "] HT[1] Spine Timed Out While Processing Devices Internal"
                     : "ERROR: Device[%" PRIu32
                       "] HT[1] polling timed out while acquiring Available Thread Lock",
             device->id);
}

void cycle_say_left_behind(const struct device *device, const struct state_flight *what)
{
    log_line(LOG_ALWAYS,
             "WARNING: Device[%" PRIu32 "] A call for %s has not come back for %" PRId64
             " ms, although it was told to; the cycle ends without it",
             device->id, state_ask_text(what->kind), clock_mono_ms() - what->since_mono_ms);
}

bool cycle_is_left_behind(const struct cycle *c)
{
    return c->left_behind > 0 || c->store_left_behind;
}

int64_t cycle_children_until(const struct cycle *c)
{
    int64_t now = clock_mono_ms(), least = now + SCRIPTS_END_MS / 4;
    int64_t until = c->store_until_mono_ms - SCRIPTS_END_MS / 4;
    if (until > now + SCRIPTS_END_MS)
        until = now + SCRIPTS_END_MS;
    return until > least ? until : least;
}

int64_t cycle_patience_ms(const struct cycle *c)
{
    int64_t half = (c->store_until_mono_ms - c->poll_until_mono_ms) / 2;
    return half < CYCLE_PATIENCE_MS ? half : CYCLE_PATIENCE_MS;
}

int64_t cycle_store_patience(const struct cycle *c)
{
    int64_t end_by = watchdog_get_end(c->watchdog); /* who was stopped gets some time */
    if (end_by < c->end_by_mono_ms)
        end_by = c->end_by_mono_ms;
    return end_by - CYCLE_RESCUE_MS;
}

/* ---- the end ---- */

void cycle_rescue(struct cycle *c)
{
    struct err err = ERR_INIT;
    watchdog_doing(c->watchdog, WATCH_MAIN, "closing the row by a new connection");
    log_line(LOG_ALWAYS, "ERROR: The database thread has not come back; what it holds is lost");
    const struct db_params *db = c->uplink != NULL ? &c->config->rdb : &c->config->db;
    struct store *s = store_open(db, cycle_store_patience(c) + CYCLE_RESCUE_MS * 2 / 3, &err);
    bool ok = s != NULL && (c->config->read_only || c->config->ping_only ||
                            store_close_cycle(s, c->config->poller_id, (int)getpid(), &err));
    if (!ok)
        log_line(LOG_ALWAYS, "ERROR: the poller_time row could not be closed: %s", err.text);
    store_close(s);
}

static size_t unknown_total(const struct tally *t)
{
    size_t n = 0;
    for (int i = 0; i < UNKNOWN_REASONS; i++)
        n += t->unknown[i];
    return n;
}

static void add_rows(struct buf *line, const struct ledger *rows, size_t expected)
{
    buf_printf(line, "; rows: %zu expected, %zu stored, %zu spooled, %zu lost", expected,
               rows->stored, rows->spooled, rows->lost);
    if (rows->kept > 0)
        buf_printf(line, ", %zu kept for Cacti's recovery", rows->kept);
    if (rows->retries > 0 || rows->lost_connections > 0)
        buf_printf(line, " (%zu statements repeated, %zu connections lost)", rows->retries,
                   rows->lost_connections);
}

/* Every item and every row is in it once; whoever loses a row finds it here whatever the verbosity. */
static void report_items(const struct cycle *c)
{
    const struct tally *t = &c->tally;
    struct buf line = BUF_INIT;
    size_t expected = c->config->read_only ? 0 : t->values + unknown_total(t);
    struct ledger rows = {.lost = expected};
    if (!c->store_left_behind) /* else it belongs to a thread that still runs */
        rows = c->rows;
    bool all_stored = rows.stored == expected;
    buf_printf(&line, "%s: Items: %zu due, %zu values, %zu U, %zu of down devices, %zu unfinished",
               all_stored ? "NOTE" : "WARNING", c->site.item_count, t->values, unknown_total(t),
               t->skipped, t->unfinished);
    add_rows(&line, &rows, expected);
    buf_printf(&line, "; devices: %zu down, %zu unfinished", t->down, t->dropped);
    for (int i = 1; i < UNKNOWN_REASONS; i++)
        if (t->unknown[i] > 0)
            buf_printf(&line, "; U %s: %zu", unknown_reason_text((enum unknown_reason)i),
                       t->unknown[i]);
    log_line(all_stored ? LOG_MEDIUM : LOG_ALWAYS, "%s", buf_str(&line));
    buf_done(&line);
}

int cycle_report(const struct cycle *c)
{
    double seconds = (double)(clock_mono_us() - c->started_mono_us) / 1e6;
    if (c->tally.dropped > 0)
        log_line(LOG_ALWAYS, "WARNING: There were %zu threads which did not run", c->tally.dropped);
    report_items(c);
    char stats[128];
    snprintf(stats, sizeof(stats), "Time: %.4f s, Threads: %d, Devices: %zu", seconds,
             c->config->threads, c->site.device_count);
    if (log_wants(LOG_MEDIUM))
        log_line(LOG_MEDIUM, "%s", stats);
    else if (isatty(STDOUT_FILENO))
        puts(stats);
    bool lost = c->out_of_time || c->tally.dropped > 0 || c->store_left_behind || c->store_failed;
    return lost ? EX_TEMPFAIL : EX_OK;
}
