#include "config.h"

#include "engine/cycle.h"

#include "cycle_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "engine/resume.h"
#include "engine/scripts.h"
#include "engine/spooling.h"
#include "engine/watchdog.h"
#include "engine/witness.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>

static void cycle_on_store_event(void *arg, const struct store_event *event)
{
    struct cycle *c = arg;
    switch (event->kind) {
    case STORE_EVENT_LOST: ledger_connection_lost(&c->ledger, event->why); return;
    case STORE_EVENT_BACK: ledger_connection_back(&c->ledger, event->away_ms); return;
    case STORE_EVENT_REJECTED:
        ledger_row_rejected(&c->ledger, event->row, false, event->why);
        return;
    case STORE_EVENT_WAY:
        if (event->lacks == NULL)
            log_line(LOG_DEBUGGING, "DEBUG: results are stored by array binding");
        else
            log_line(LOG_DEBUGGING, "DEBUG: results are stored by multi-row statements: %s",
                     event->lacks);
        return;
    case STORE_EVENT_PLAIN:
        log_line(LOG_MEDIUM,
                 "NOTE: the database has refused array binding or MariaDB's own statements, plain "
                 "ones are used from now on: %s",
                 event->why->text);
        return;
    }
}

/* While rows of an earlier run are stored. */
static void cycle_on_restore_event(void *arg, const struct store_event *event)
{
    struct cycle *c = arg;
    if (event->kind == STORE_EVENT_REJECTED)
        ledger_row_rejected(&c->ledger, event->row, true, event->why);
    else
        cycle_on_store_event(arg, event);
}

struct cycle *cycle_new(const struct config *config, struct store *store, int64_t started_mono_us,
                        struct err *err)
{
    struct cycle *c = mem_zalloc(1, sizeof(*c));
    int64_t interval_ms = (int64_t)config->poller_interval_s * 1000;
    if (!give_up_init(&c->give_up, err)) {
        free(c);
        return NULL;
    }
    c->references = 1;
    c->config = config;
    c->store = store;
    c->row = (struct store_row){.poller_id = config->poller_id, .pid = config->pid};
    c->started_mono_us = started_mono_us;
    c->budget = budget_make(resume_begin(config, started_mono_us / 1000, &c->resumed),
                            config->poller_interval_s);
    c->end_by_mono_ms = c->budget.end_by;
    c->store_until_mono_ms = c->budget.store_until;
    ledger_init(&c->ledger);
    thr_mutex_init(&c->store_lock);
    thr_mutex_init(&c->spool_lock);
    store_set_deadline(store, c->budget.poll_until); /* what is loaded later is not polled */
    store_set_latest(store, c->budget.close_until);
    store_set_patience(store, interval_ms / 10); /* a stall must not eat the whole cycle */
    store_set_listener(store, cycle_on_store_event, c);
    store_set_read_only(store, config->read_only);
    store_set_poller(store, config->poller_id);
    stream_emit(&(struct happening){
        .type = EVENT_CYCLE_STARTED,
        .figures = {config->poller_id, config->threads, config->event_loop, interval_ms},
    });
    return c;
}

void cycle_allow_storing(struct cycle *c, struct store *s)
{
    store_set_deadline(s, c->store_until_mono_ms);
    store_hurry(s, c->store_until_mono_ms, INT64_MAX); /* a signal may have come meanwhile */
}

struct cycle *cycle_ref(struct cycle *c)
{
    c->references++;
    return c;
}

void cycle_unref(struct cycle *c)
{
    if (c == NULL || --c->references > 0)
        return;
    cycle_slice_done(&c->first);
    roster_done(&c->roster);
    free(c->advance);
    checkpoint_done(&c->resumed);
    store_close(c->second);
    thr_mutex_done(&c->spool_lock);
    thr_mutex_done(&c->store_lock);
    ledger_done(&c->ledger);
    give_up_done(&c->give_up);
    free(c);
}

/* ---- the writer: begin ---- */

/* Cacti empties poller_output of a collector that is not online. */
static void cycle_warn_of_waste(const struct config *cf)
{
    if (cf->poller_id > 1 && cf->mode != MODE_ONLINE && !cf->boost && !cf->ping_only)
        log_line(LOG_ALWAYS, "WARNING: boost is off, so Cacti throws away what this collector "
                             "stores until the main server is back");
}

static bool cycle_open(struct cycle *c, struct err *err)
{
    const struct config *cf = c->config;
    cycle_warn_of_waste(cf);
    spooling_check(cf);
    if (c->uplink != NULL) {
        uplink_begin(c->uplink, cf, &c->row, c->budget.store_until, c->budget.close_until);
        c->opened = true;
    } else if (!cf->ping_only) { /* no row, no date, no steps then */
        bool ok = store_open_cycle(c->store, &c->row, err);
        /* A server that has not answered may have done it, or may do it still. */
        c->opened = ok || err->kind == ERR_UNAVAILABLE || err->kind == ERR_TEMPORARY;
        if (!ok)
            return false;
    }
    return cycle_load_roster(c, err);
}

bool cycle_begin(struct cycle *c, struct err *err)
{
    thr_role_adopt(&c->writer);
    guard_doing(c->guard, GUARD_STORE, "opening the row and reading devices");
    thr_lock(&c->store_lock);
    bool ok = cycle_open(c, err);
    cycle_allow_storing(c, c->store);
    thr_unlock(&c->store_lock);
    guard_doing(c->guard, GUARD_STORE, NULL);
    return ok;
}

/* ---- the writer: write ---- */

/* The last `left` rows of the batch found no place in the database. */
static void cycle_keep_rest(struct cycle *c, const struct batch *batch, size_t left)
{
    thr_lock(&c->spool_lock);
    size_t kept = spooling_keep(c->config, batch, left);
    thr_unlock(&c->spool_lock);
    ledger_rows_spooled(&c->ledger, kept);
    ledger_rows_lost(&c->ledger, left - kept);
}

/* Once, and only after the database has taken rows: new results come first.  What this cycle has
 * spooled itself is the next one's: it is counted as spooled.  A collector's rows go to the main server,
 * which the uplink does. */
static void cycle_restore(struct cycle *c)
{
    if (!c->restored && c->uplink == NULL && ledger_get(&c->ledger).spooled == 0) {
        store_set_listener(c->store, cycle_on_restore_event, c);
        spooling_restore(c->config, c->store);
        store_set_listener(c->store, cycle_on_store_event, c);
    }
    c->restored = true;
}

/* The next cycle has stored newer values by now, and Cacti would refuse older ones (the process was
 * stopped or starved): only what is counted and the row are still worth something. */
static bool cycle_is_stale(const struct cycle *c)
{
    return clock_mono_ms() >= c->budget.stale_from;
}

static void cycle_lose_stale(struct cycle *c, struct batch *batch)
{
    ledger_write_failed(&c->ledger);
    if (batch->row_count > 0)
        log_line(LOG_ALWAYS, "ERROR: %zu rows were not stored: the next cycle has begun",
                 batch->row_count);
    ledger_rows_lost(&c->ledger, batch->row_count);
    batch_free(batch);
}

static void cycle_say_not_written(const struct store_outcome *out, const struct err *why)
{
    size_t rows = out->rows_rejected + out->rows_left;
    if (rows > 0)
        log_line(LOG_ALWAYS, "ERROR: %zu rows could not be stored: %s", rows, why->text);
    else
        log_line(LOG_ALWAYS, "ERROR: not everything about devices could be stored: %s", why->text);
}

/* true: everything has found a place in the database. */
static bool cycle_store(struct cycle *c, struct store *s, const struct batch *batch)
{
    struct err err = ERR_INIT;
    struct store_outcome out = {0};
    int64_t began_us = clock_mono_us();
    bool ok = store_write(s, batch, c->config->boost, &out, &err);
    if (!ok) {
        ledger_write_failed(&c->ledger);
        cycle_say_not_written(&out, &err);
    }
    const struct ledger_write written = {.rows_stored = out.rows_stored,
                                         .hosts = batch->host_count,
                                         .retries = out.retries,
                                         .elapsed_us = clock_mono_us() - began_us};
    ledger_rows_stored(&c->ledger, &written);
    cycle_keep_rest(c, batch, out.rows_left);
    return out.rows_left == 0;
}

static void cycle_write_here(struct cycle *c, const struct batch *batch)
{
    guard_doing(c->guard, GUARD_STORE, "storing rows");
    thr_lock(&c->store_lock);
    if (cycle_store(c, c->store, batch))
        cycle_restore(c);
    thr_unlock(&c->store_lock);
    guard_doing(c->guard, GUARD_STORE, NULL);
}

/* Neither the main server nor the local database has taken these. */
static void cycle_keep_left(struct cycle *c)
{
    struct batch *left = uplink_take_left(c->uplink);
    if (left != NULL)
        cycle_keep_rest(c, left, left->row_count);
    batch_free(left);
}

void cycle_write(struct cycle *c, struct batch *batch)
{
    thr_role_assert(&c->writer);
    if (cycle_is_stale(c)) {
        cycle_lose_stale(c, batch);
        return;
    }
    if (c->uplink == NULL) {
        cycle_write_here(c, batch);
        batch_free(batch);
        return;
    }
    /* Results go to the main server; the status of devices is written here and pushed at the end.
     * */
    struct batch here = *batch;
    here.row_count = here.recache_count = 0;
    cycle_write_here(c, &here);
    batch->host_count = batch->assert_count = 0;
    uplink_put(c->uplink, batch);
    cycle_keep_left(c);
}

/* ---- the second writer ---- */

enum { CYCLE_CONNECT_MS = 1000, CYCLE_SECOND_LATE_MS = 1500 };

struct store *cycle_new_store(const struct cycle *c, int64_t until_mono_ms)
{
    struct store *s = store_new(&c->config->db);
    int64_t soon = clock_mono_ms() + CYCLE_CONNECT_MS;
    store_set_deadline(s, soon < until_mono_ms ? soon : until_mono_ms);
    store_set_latest(s, c->budget.close_until);
    store_set_patience(s, (int64_t)c->config->poller_interval_s * 1000 / 10);
    store_set_poller(s, c->config->poller_id);
    return s;
}

bool cycle_may_have_second(const struct cycle *c)
{
    const struct config *cf = c->config;
    return cf->db_connections > 2 && c->uplink == NULL && !cf->read_only && !cf->ping_only;
}

bool cycle_open_second(struct cycle *c)
{
    struct err err = ERR_INIT;
    struct store *s = cycle_new_store(c, c->store_until_mono_ms);
    c->second = s; /* a signal moves its end nearer */
    if (!store_reach(s, &err)) {
        log_line(LOG_MEDIUM,
                 "NOTE: results are stored by one connection, because there is no other: %s",
                 err.text);
        return false;
    }
    store_set_listener(s, cycle_on_store_event, c);
    cycle_allow_storing(c, s);
    return true;
}

void cycle_write_second(struct cycle *c, struct batch *batch)
{
    if (cycle_is_stale(c)) {
        cycle_lose_stale(c, batch);
        return;
    }
    (void)cycle_store(c, c->second, batch);
    batch_free(batch);
}

int64_t cycle_second_until(const struct cycle *c)
{
    int64_t until = c->store_until_mono_ms + CYCLE_SECOND_LATE_MS, latest = c->budget.close_until;
    return until < latest ? until : latest;
}

void cycle_lose_second(struct cycle *c)
{
    log_line(LOG_ALWAYS, "ERROR: The second database thread does not return from a call; "
                         "the rows that it holds are lost");
    ledger_close_rows(&c->ledger);
    ledger_write_failed(&c->ledger);
}

/* ---- the writer: end ---- */

static bool cycle_advance_steps(struct cycle *c, struct err *err)
{
    if (c->config->active_profiles == 1 || c->config->ping_only || c->roster.count == 0)
        return true;
    uint32_t *ids = mem_zalloc(c->roster.count, sizeof(ids[0]));
    size_t count = 0;
    for (size_t i = 0; i < c->roster.count; i++)
        if (c->advance[i])
            ids[count++] = c->roster.entries[i].id;
    bool ok = count == 0 || store_advance_steps(c->store, c->config->poller_id,
                                                c->config->poller_interval_s, ids, count, err);
    free(ids);
    return ok;
}

static void cycle_close_row(struct cycle *c)
{
    struct err err = ERR_INIT;
    /* Whatever happened before, the row is worth one more connection. */
    int64_t left_ms = cycle_writer_until(c) - clock_mono_ms(), least_ms = BUDGET_RESCUE_MS / 3;
    store_grant_last(c->store, left_ms > BUDGET_CLOSE_MS ? BUDGET_CLOSE_MS
                               : left_ms > least_ms      ? left_ms
                                                         : least_ms);
    if (store_close_cycle(c->store, &c->row, &err))
        return;
    ledger_write_failed(&c->ledger);
    log_line(LOG_ALWAYS, "ERROR: the poller_time row could not be closed: %s", err.text);
}

static void cycle_book_uplink(struct cycle *c)
{
    struct uplink_result r = uplink_take_result(c->uplink);
    const struct ledger_uplink ended = {
        .stored = r.stored, .kept = r.kept, .rejected = r.rejected, .retries = r.retries};
    ledger_uplink_ended(&c->ledger, &ended);
    if (r.failed)
        ledger_write_failed(&c->ledger);
    cycle_keep_left(c);
}

static void cycle_finish(struct cycle *c)
{
    struct err err = ERR_INIT;
    guard_doing(c->guard, GUARD_STORE, "closing the row");
    bool finish = c->loaded && !cycle_is_stale(c);
    if (finish)
        cycle_restore(c);
    if (finish && !cycle_advance_steps(c, &err)) {
        ledger_write_failed(&c->ledger);
        log_line(LOG_ALWAYS, "ERROR: rrd_next_step could not be advanced: %s", err.text);
    }
    if (finish && c->config->poller_id == 1 && !store_write_date(c->store, &err)) {
        ledger_write_failed(&c->ledger);
        log_line(LOG_ALWAYS, "ERROR: settings.date could not be written: %s", err.text);
    }
    if (c->uplink != NULL) {
        uplink_end(c->uplink, c->store, c->loaded);
        cycle_book_uplink(c);
    } else {
        cycle_close_row(c);
    }
    c->opened = false;
    guard_doing(c->guard, GUARD_STORE, NULL);
}

void cycle_end(struct cycle *c)
{
    thr_role_assert(&c->writer);
    thr_lock(&c->store_lock);
    if (c->opened)
        cycle_finish(c);
    store_set_listener(c->store, NULL, NULL);
    thr_unlock(&c->store_lock);
}

/* ---- the driver ---- */

void cycle_refuse_scripts(struct cycle *c, const struct err *why)
{
    c->no_scripts = true;
    log_line(LOG_ALWAYS, "ERROR: No script can be run, all their items are U: %s", why->text);
}

bool cycle_pass_deadline(struct cycle *c)
{
    if (atomic_exchange(&c->out_of_time, true))
        return false;
    stream_emit(&(struct happening){.type = EVENT_CYCLE_DEADLINE});
    return true;
}

int64_t cycle_patience_ms(const struct cycle *c)
{
    int64_t half = (c->budget.store_until - c->budget.poll_until) / 2;
    return half < BUDGET_PATIENCE_MS ? half : BUDGET_PATIENCE_MS;
}

int64_t cycle_writer_until(const struct cycle *c)
{
    int64_t guarded = guard_get_end(c->guard); /* later than asked for if the process was stopped */
    int64_t end_by = c->end_by_mono_ms;
    return (guarded > end_by ? guarded : end_by) - BUDGET_RESCUE_MS;
}

int64_t cycle_children_until(const struct cycle *c)
{
    int64_t now = clock_mono_ms(), least = now + SCRIPTS_END_MS / 4;
    int64_t until = c->budget.store_until - SCRIPTS_END_MS / 4;
    if (until > now + SCRIPTS_END_MS)
        until = now + SCRIPTS_END_MS;
    return until > least ? until : least;
}

/* true: the uplink has closed the row, or has said why it could not. */
static bool cycle_end_uplink_alone(struct cycle *c)
{
    int64_t until = cycle_writer_until(c) + BUDGET_RESCUE_MS / 3;
    if (c->uplink == NULL)
        return false;
    bool ended = uplink_end_until(c->uplink, until);
    cycle_book_uplink(c);
    return ended;
}

static void cycle_close_row_anew(struct cycle *c)
{
    struct err err = ERR_INIT;
    const struct config *cf = c->config;
    const struct db_params *db = c->uplink != NULL ? &cf->rdb : &cf->db;
    struct store *s = store_open(db, cycle_writer_until(c) + BUDGET_RESCUE_MS * 2 / 3, &err);
    bool ok = s != NULL && (cf->read_only || cf->ping_only || store_close_cycle(s, &c->row, &err));
    if (!ok)
        log_line(LOG_ALWAYS, "ERROR: the poller_time row could not be closed: %s", err.text);
    store_close(s);
}

void cycle_end_without_writer(struct cycle *c, struct batch *waiting)
{
    c->writer_lost = true;
    guard_doing(c->guard, GUARD_MAIN, "closing the row by a new connection");
    log_line(LOG_ALWAYS, "ERROR: The database thread does not return from a call; "
                         "the rows that it holds are lost");
    if (waiting != NULL)
        cycle_keep_rest(c, waiting, waiting->row_count);
    batch_free(waiting);
    bool closed = cycle_end_uplink_alone(c);
    if (!c->config->read_only)
        ledger_close_rows(&c->ledger);
    ledger_write_failed(&c->ledger);
    if (!closed)
        cycle_close_row_anew(c);
}

int cycle_report(struct cycle *c)
{
    const struct ledger_closing closing = {
        .items_due = c->items_due,
        .devices = c->loaded ? c->roster.count : 0, /* else the roster may be the writer's still */
        .threads = c->config->threads,
        .driver = config_driver_text(c->driver),
        .elapsed_us = clock_mono_us() - c->started_mono_us,
        .loop_lag_us = c->loop_lag_us,
        .loop_turns = c->loop_turns,
        .read_only = c->config->read_only,
        .out_of_time = c->out_of_time,
    };
    int status = ledger_report(&c->ledger, &closing);
    return status == EX_OK && c->none_found ? EX_NOINPUT : status;
}

/* ---- any thread ---- */

void cycle_hurry(struct cycle *c, int signo)
{
    int64_t now = clock_mono_ms();
    int64_t end_by = now + BUDGET_HURRY_MS + 2 * BUDGET_CLOSE_MS + BUDGET_RESCUE_MS;
    stream_emit(&(struct happening){.type = EVENT_SIGNAL_RECEIVED, .figures = {signo}});
    c->stop_signal = signo;
    if (end_by < c->end_by_mono_ms)
        c->end_by_mono_ms = end_by;
    if (now + BUDGET_HURRY_MS < c->store_until_mono_ms)
        c->store_until_mono_ms = now + BUDGET_HURRY_MS;
    store_hurry(c->store, now + BUDGET_HURRY_MS, now + BUDGET_HURRY_MS + BUDGET_CLOSE_MS);
    struct store *second = c->second;
    if (second != NULL)
        store_hurry(second, now + BUDGET_HURRY_MS, now + BUDGET_HURRY_MS + BUDGET_CLOSE_MS);
    guard_hurry(c->guard, end_by, signo);
    if (c->uplink != NULL)
        uplink_hurry(c->uplink, now + BUDGET_HURRY_MS);
}

struct devrun *cycle_new_run(const struct cycle *c, const struct device *device, size_t known_oids)
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
        .output_chars = c->output_chars,
        .boost_chars = cf->boost ? c->boost_chars : 0,
        .agent_ms = c->budget.agent_ms,
        .known_oids = known_oids,
    };
    struct devrun *run = devrun_new(device, &o);
    devrun_watch(run, c->watcher != NULL ? c->watcher : &witness);
    return run;
}

struct moment cycle_now(void)
{
    return (struct moment){.mono_us = clock_mono_us(), .wall_us = clock_wall_us()};
}

bool cycle_out_of_time(const struct cycle *c, const struct moment *at)
{
    return at->mono_us / 1000 >= c->budget.poll_until;
}

bool cycle_apply(struct cycle *c, const struct device *device, const struct action *action,
                 struct batch *rows)
{
    switch (action->kind) {
    case ACTION_LOG:
        if (c->watcher != NULL) /* its reader shows them */
            return false;
        if (!action->log.of_many || ledger_takes_line(&c->ledger))
            log_line(action->log.level, "%s", action->log.text);
        return false;
    case ACTION_ROW: batch_add_row(rows, &action->row); return false;
    case ACTION_RECACHE: batch_add_recache(rows, &action->recache); return false;
    case ACTION_ASSERT: batch_add_assert(rows, &action->assertion); return false;
    case ACTION_FINISHED:
        ledger_device_finished(&c->ledger, device, &action->finished);
        c->advance[device->place] = action->finished.complete;
        if (device->id != 0 && (action->finished.complete || action->finished.host.has_status))
            batch_add_host(rows, &action->finished.host);
        return true;
    case ACTION_ASK: break;
    }
    return false;
}

/* Without a stop signal; else one line tells why all of them stopped. */
static void cycle_say_dropped(const struct cycle *c, uint32_t device_id, bool started)
{
    if (c->stop_signal != 0)
        return;
    log_line(LOG_ALWAYS,
             started ? "ERROR: Device[%" PRIu32
                       "] HT[1] Spine Timed Out While Processing Devices Internal"
                     : "ERROR: Device[%" PRIu32
                       "] HT[1] polling timed out while acquiring Available Thread Lock",
             device_id);
}

void cycle_drop(struct cycle *c, const struct device *device, bool started)
{
    ledger_device_dropped(&c->ledger, device->id, device->item_count, started);
    cycle_say_dropped(c, device->id, started);
}

void cycle_drop_unread(struct cycle *c, uint32_t device_id, bool is_said)
{
    ledger_device_dropped(&c->ledger, device_id, 0, false);
    if (is_said)
        cycle_say_dropped(c, device_id, false);
}
