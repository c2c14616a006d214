/* What must hold after any cycle, whatever went wrong. */
#include "config.h"

#include "run.h"

#include "sim.h"
#include "tables.h"

#include "base/compiler.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- items ---- */

static bool is_due(const struct run *run, const struct plan_item *item)
{
    return item->on && (item->due || run->plan->active_profiles == 1);
}

static void expected_value(const struct plan_device *d, size_t i, char text[16])
{
    snprintf(text, 16, "%u", d->id * 1000 + (unsigned)i);
}

/* The item can never have a value. */
static bool is_surely_unknown(const struct plan_device *d, const struct plan_item *item)
{
    switch (item->kind) {
    case KIND_UNKNOWN: return true;
    case KIND_SNMP:
        return item->missing || item->bad_oid || d->agent == AGENT_DEAD ||
               d->agent == AGENT_REFUSES;
    case KIND_SCRIPT:
        return item->script == SCRIPT_SILENT || item->script == SCRIPT_NAN ||
               item->script == SCRIPT_HANGS || item->script == SCRIPT_STUCK ||
               item->script == SCRIPT_FLOODS || item->script == SCRIPT_HALF;
    case KIND_SERVER: return false;
    }
    return false;
}

/* Nothing of the plan can take the value away, once the device's run is complete. */
static bool is_surely_known(const struct plan_device *d, const struct plan_item *item)
{
    if (is_surely_unknown(d, item))
        return false;
    if (item->kind == KIND_SNMP)
        return d->agent == AGENT_ALIVE && d->loss == 0 && d->late == 0;
    return item->kind == KIND_SCRIPT &&
           (item->script == SCRIPT_GOOD || item->script == SCRIPT_OPEN);
}

/* A decreased counter makes all values of the device U (docs/contract.md 11.8). */
static bool may_spike(const struct plan_device *d)
{
    for (size_t i = 0; i < d->reindex_count; i++)
        if (d->reindex[i].on && d->reindex[i].op == '<')
            return true;
    return false;
}

static const struct plan_device *find_item(const struct run *run, const struct table_output *r,
                                           size_t *ret)
{
    for (size_t d = 0; d < run->plan->device_count; d++) {
        const struct plan_device *device = &run->plan->devices[d];
        for (size_t i = 0; plan_selects(run->plan, device) && i < device->item_count; i++) {
            char name[24];
            snprintf(name, sizeof(name), "value%d", device->items[i].field);
            *ret = i;
            if (device->items[i].local_data_id == r->local_data_id &&
                strcmp(name, r->rrd_name) == 0)
                return device;
        }
    }
    return NULL;
}

#define MUST(condition, what)                                                                      \
    SIM_CHECK(condition, "item %u %s = %s: " what, r->local_data_id, r->rrd_name, r->output)

static void check_row(const struct run *run, const struct table_output *r, struct run_device *sum,
                      int64_t *times)
{
    size_t i;
    char value[16];
    const struct plan_device *d = find_item(run, r, &i);
    MUST(d != NULL, "there is no such item");
    const struct plan_item *item = &d->items[i];
    expected_value(d, i, value);
    bool unknown = strcmp(r->output, "U") == 0;
    MUST(is_due(run, item), "it is not due");
    MUST(!d->deleted, "its device is deleted");
    MUST(unknown || strcmp(r->output, value) == 0, "not what the device said");
    MUST(unknown || !is_surely_unknown(d, item), "no device said so");
    bool whole = run->devices[d->id].unfinished == 0 && run->stop_signal == 0 && !run->out_of_time;
    MUST(!unknown || !whole || may_spike(d) || !is_surely_known(d, item), "a value has got lost");
    MUST(tables.broken || r->writes == 1, "stored twice");
    MUST(times[d->id] == 0 || times[d->id] == r->time, "another time than its device's");
    times[d->id] = r->time;
    int64_t step = run->plan->step_ms > 0 ? run->plan->step_by_s : 0;
    int64_t first = run->wall_first_s + (step < 0 ? step : 0);
    int64_t last = run->wall_last_s + (step < 0 ? -step : step);
    MUST(r->time >= first && r->time <= last, "a time outside the cycle");
    sum[d->id].values += !unknown;
    sum[d->id].unknown += unknown;
}

#undef MUST

/* All values of a data source or none (docs/contract.md 17.2). */
static void check_torn(const struct run *run, const struct plan_device *d)
{
    for (size_t i = 1; i < d->item_count; i++) {
        bool found[2] = {false, false};
        if (d->items[i].local_data_id != d->items[i - 1].local_data_id ||
            !is_due(run, &d->items[i]) || !is_due(run, &d->items[i - 1]))
            continue;
        for (size_t k = 0; k < tables.output.count; k++) {
            const struct table_output *r = &tables.output.rows[k];
            if (r->local_data_id != d->items[i].local_data_id)
                continue;
            int field = atoi(r->rrd_name + 5);
            found[0] |= field == d->items[i - 1].field;
            found[1] |= field == d->items[i].field;
        }
        SIM_CHECK(found[0] == found[1], "data source %u is torn", d->items[i].local_data_id);
    }
}

/* ---- devices ---- */

static size_t count_due(const struct run *run, const struct plan_device *d)
{
    size_t n = 0;
    for (size_t i = 0; i < d->item_count; i++)
        n += is_due(run, &d->items[i]);
    return n;
}

#define MUST(condition, what) SIM_CHECK(condition, "device %u: " what, d->id)

static void check_steps(const struct run *run, const struct plan_device *d, bool complete)
{
    bool wanted = complete && run->plan->active_profiles != 1 && !run->plan->ping_only &&
                  !run->plan->read_only;
    MUST(wanted || tables.advanced[d->id] == 0, "its steps advance, and should not");
    MUST(!wanted || tables.broken || tables.advanced[d->id] == 1, "its steps do not advance once");
}

static void check_device(const struct run *run, const struct plan_device *d,
                         const struct run_device *stored)
{
    const struct run_device *said = &run->devices[d->id];
    const struct table_host *h = &tables.hosts[d->id];
    size_t due = run->plan->ping_only ? count_due(run, d) : count_due(run, d);
    bool complete = said->finished == 1 && said->dropped == 0;
    MUST(said->started == said->finished && said->finished <= 1, "it is not begun and ended once");
    MUST(said->dropped <= 1, "it is dropped twice");
    if (d->deleted || !run->loaded) {
        MUST(said->finished == 0 && h->statuses == 0, "it is polled, although it is deleted");
        return;
    }
    MUST(said->finished + said->dropped_unread == 1, "it is neither polled nor counted as dropped");
    size_t booked = said->values + said->unknown + said->skipped + said->unfinished;
    MUST(said->finished == 0 || booked == due, "not every item is booked once");
    MUST(!said->down || said->values + said->unknown == 0, "it is down and has rows");
    MUST(stored->values <= said->values && stored->unknown <= said->unknown,
         "more is stored than it gave");
    bool all = !tables.broken && !run->plan->read_only;
    MUST(!all || (stored->values == said->values && stored->unknown == said->unknown),
         "a row is missing");
    MUST(run->plan->read_only == 0 || h->statuses == 0, "a status in read-only mode");
    if (h->statuses > 0)
        status_check(run, d);
    MUST(!all || !complete || h->statuses == 1, "its status is not written once");
    MUST(!all || !complete || h->times == !run->plan->ping_only,
         "its polling time is not written once");
    MUST(tables.broken || h->statuses <= 1, "its status is written twice");
    check_steps(run, d, complete);
}

/* Not in the host list. */
static void check_left_alone(const struct run *run, const struct plan_device *d)
{
    const struct run_device *said = &run->devices[d->id];
    const struct table_host *h = &tables.hosts[d->id];
    MUST(said->started + said->finished + said->dropped == 0,
         "it is polled, and was not asked for");
    MUST(h->statuses + h->times + tables.advanced[d->id] == 0,
         "it is changed, and was not asked for");
}

#undef MUST

/* ---- rows of an earlier run ---- */

static bool is_calm(const struct run *run)
{
    return !tables.broken && run->plan->signal_ms == 0 && run->plan->age_ms == 0 &&
           run->plan->step_ms == 0 && !run->out_of_time;
}

static void check_earlier(const struct run *run)
{
    size_t refused = 0;
    for (size_t i = 0; i < PLAN_EARLIER; i++) {
        const struct plan_earlier *e = &run->plan->earlier[i];
        const struct run_earlier *now = &run->earlier[i];
        bool may_be_expired = e->expired || run->plan->step_ms > 0;
        if (!e->on || !run->plan->spool)
            continue;
        refused += e->refused;
        SIM_CHECK(!now->stored || (!e->expired && !e->refused) || run->plan->step_ms > 0,
                  "a row of an earlier run is stored that is too old or was refused");
        SIM_CHECK(!now->stored || !run->plan->read_only, "a row of an earlier run, read-only");
        SIM_CHECK(now->stored || now->kept || e->refused || may_be_expired,
                  "a row of an earlier run is neither stored nor kept");
        SIM_CHECK(!is_calm(run) || run->figures.stored == 0 || !now->kept,
                  "a row of an earlier run is kept although the database takes rows");
    }
    SIM_CHECK(run->rejected_earlier == run->figures.rejected_earlier &&
                  run->rejected_earlier <= refused * (tables.broken ? PLAN_EARLIER : 1),
              "%zu rows of an earlier run are told as refused", run->rejected_earlier);
}

/* ---- the cycle ---- */

static void check_ledger(const struct run *run)
{
    const struct ledger_figures *f = &run->figures;
    size_t rows = ledger_rows(f), dropped = 0, unfinished = 0, down = 0;
    SIM_CHECK(f->values + ledger_unknown(f) + f->unfinished + f->skipped == run->items_due,
              "the items do not add up");
    SIM_CHECK(run->plan->read_only || f->stored + f->spooled + f->lost + f->kept == rows,
              "of %zu rows %zu are stored, %zu spooled, %zu lost", rows, f->stored, f->spooled,
              f->lost);
    SIM_CHECK(f->stored == run->stored_sum && f->spooled == run->spooled_sum &&
                  f->lost == run->lost_sum + run->rejected_count &&
                  f->rejected == run->rejected_count && f->retries == run->retries_sum,
              "the ledger and the event stream differ");
    SIM_CHECK(f->spooled == run->spooled_rows, "%zu rows are spooled, %zu are in the file",
              f->spooled, run->spooled_rows);
    for (size_t i = 0; i < RUN_DEVICES; i++) {
        dropped += run->devices[i].dropped;
        unfinished += run->devices[i].unfinished + run->devices[i].dropped_items;
        down += run->devices[i].down;
    }
    SIM_CHECK(dropped == f->dropped && unfinished == f->unfinished && down == f->down,
              "the ledger and the events of devices differ");
}

static void check_tables(const struct run *run)
{
    const struct ledger_figures *f = &run->figures;
    size_t open = 0;
    for (size_t i = 0; i < tables.cycle_count; i++)
        open += tables.cycles[i].open;
    SIM_CHECK(tables.output.count >= f->stored || run->plan->read_only,
              "%zu rows are counted as stored, %zu are", f->stored, tables.output.count);
    SIM_CHECK(tables.broken || tables.output.count == f->stored || run->plan->read_only,
              "%zu rows are stored, %zu are counted", tables.output.count, f->stored);
    SIM_CHECK(tables.broken || !run->plan->boost || tables.boost.count == tables.output.count,
              "poller_output_boost differs");
    SIM_CHECK(run->plan->boost || tables.boost.count == 0, "poller_output_boost without boost");
    bool has_row = !run->plan->read_only && !run->plan->ping_only;
    bool no_time = run->begun_ms >= run->budget.poll_until && tables.cycle_count == 0;
    SIM_CHECK(tables.broken || no_time || (tables.cycle_count == has_row && open == 0),
              "%zu rows of poller_time, %zu of them open", tables.cycle_count, open);
    SIM_CHECK(tables.cycle_count <= 1, "%zu rows of poller_time", tables.cycle_count);
    SIM_CHECK(!has_row || tables.broken || !run->loaded || tables.dates == 1,
              "settings.date is written %u times", tables.dates);
    unsigned most = run->plan->db_connections < 1 ? 1 : (unsigned)run->plan->db_connections;
    SIM_CHECK(tables.most_connections <= most + (run->writer_lost ? 1 : 0),
              "%u connections at a time", tables.most_connections);
}

static void check_time(const struct run *run)
{
    int64_t ended = run->ended_us / 1000, slack = plan_slack_ms(run->plan);
    if (run->writer_lost) /* the watchdog has the last word, and is not simulated */
        slack += 5000;
    SIM_CHECK(ended <= run->budget.end_by + slack, "the cycle ends %" PRId64 " ms late",
              ended - run->budget.end_by);
    SIM_CHECK(tables.last_write_us / 1000 <= run->budget.stale_from,
              "rows are written when the next cycle has begun");
}

/* Without any fault nothing may be late, lost or left out. */
static void check_calm(const struct run *run)
{
    const struct plan *p = run->plan;
    int64_t took_ms = (run->ended_us - sim_start_us()) / 1000;
    if (!plan_is_timeless(p))
        return;
    SIM_CHECK(run->polled && !run->out_of_time && run->figures.dropped == 0,
              "nothing goes wrong, and not all is polled");
    SIM_CHECK(run->status == 0, "nothing goes wrong, and the exit status is %d", run->status);
    SIM_CHECK(took_ms <= plan_most_ms(p), "nothing goes wrong, and the cycle takes %" PRId64 " ms",
              took_ms);
}

static void check_status(const struct run *run)
{
    const struct ledger_figures *f = &run->figures;
    bool wrong = run->out_of_time || f->dropped > 0 || f->lost > 0 || f->spooled > 0;
    if (!run->polled)
        return;
    SIM_CHECK(!wrong || run->status != 0, "not all is stored, and the exit status is 0");
    SIM_CHECK(run->plan->signal_ms > 0 || run->stop_signal == 0, "a signal that was not sent");
}

void run_check(const struct run *run)
{
    struct run_device stored[RUN_DEVICES] = {{0}};
    int64_t times[RUN_DEVICES] = {0};
    for (size_t i = 0; i < tables.output.count; i++)
        check_row(run, &tables.output.rows[i], stored, times);
    for (size_t i = 0; i < run->plan->device_count; i++) {
        if (!plan_selects(run->plan, &run->plan->devices[i])) {
            check_left_alone(run, &run->plan->devices[i]);
            continue;
        }
        check_device(run, &run->plan->devices[i], &stored[run->plan->devices[i].id]);
        if (!tables.broken)
            check_torn(run, &run->plan->devices[i]);
    }
    check_earlier(run);
    check_ledger(run);
    check_tables(run);
    check_time(run);
    check_status(run);
    check_calm(run);
}

/* ---- what all drivers have in common ---- */

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_lines(struct buf *out)
{
    char *lines[TABLE_ROWS + 200], *text = buf_take(out), *rest = text;
    size_t n = 0;
    while (rest != NULL && *rest != '\0' && n < ARRAY_LEN(lines))
        lines[n++] = strsep(&rest, "\n");
    qsort(lines, n, sizeof(lines[0]), compare_lines);
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s\n", lines[i]);
    free(text);
}

void run_print_result(const struct run *run, struct buf *out)
{
    for (size_t i = 0; i < tables.output.count; i++) {
        const struct table_output *r = &tables.output.rows[i];
        buf_printf(out, "row %u %s %s\n", r->local_data_id, r->rrd_name, r->output);
    }
    for (size_t i = 1; i < TABLE_HOSTS; i++) {
        const struct table_host *h = &tables.hosts[i];
        if (h->statuses > 0)
            buf_printf(out, "host %zu %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %s\n", i,
                       h->status, h->event_count, h->total_polls, h->failed_polls, h->last_error);
    }
    for (size_t i = 0; i < tables.command_count; i++)
        buf_printf(out, "command %u %u\n", tables.commands[i].device, tables.commands[i].query);
    for (size_t i = 0; i < tables.assert_count; i++)
        buf_printf(out, "assert %u %u %s\n", tables.asserts[i].device, tables.asserts[i].query,
                   tables.assert_values[i]);
    buf_printf(out, "exit status %d\n", run->status);
    sort_lines(out);
}
