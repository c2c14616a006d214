/* Drives the device on the bench to the end of its run and holds devrun.h to its promises. */
#ifndef DEVRUN_DRIVE_H
#define DEVRUN_DRIVE_H

#include "devrun_answers.h"

static void note_row(const struct output_row *row)
{
    struct row *r = &b.rows[b.row_count++];
    assert_true(b.row_count <= b.device.item_count);
    assert_int_equal(row->time, WALL_S); /* all rows carry the time of the start */
    assert_int_equal(strlen(row->output), row->output_len);
    r->id = row->local_data_id;
    snprintf(r->name, sizeof(r->name), "%s", row->rrd_name);
    snprintf(r->output, sizeof(r->output), "%s", row->output);
}

static void note_ask(const struct ask *ask)
{
    assert_true(ask->id > b.last_id);
    assert_true(b.open_count < OPEN_MAX);
    for (size_t i = 0; i < b.open_count; i++) /* one SNMP ask at most, and nothing beside a ping */
        assert_false((b.open[i].kind == ASK_SNMP && ask->kind == ASK_SNMP) ||
                     b.open[i].kind == ASK_PING || ask->kind == ASK_PING);
    b.last_id = ask->id;
    b.open[b.open_count++] = *ask;
    if (b.open_count > b.most_open)
        b.most_open = b.open_count;
}

/* Takes all actions; true: an ask is open. */
static bool take_actions(struct devrun *run)
{
    const struct action *a;
    while ((a = devrun_next_action(run)) != NULL) {
        assert_int_equal(b.finished, 0); /* finished is the last word */
        if (a->kind == ACTION_ROW) {
            note_row(&a->row);
        } else if (a->kind == ACTION_LOG) {
            buf_printf(&b.log, "%d %s\n", (int)a->log.level, a->log.text);
        } else if (a->kind == ACTION_FINISHED) {
            b.finished++;
            b.result = a->finished;
            if (a->finished.host.system != NULL) { /* the run's own */
                b.system = *a->finished.host.system;
                snprintf(b.location, sizeof(b.location), "%s", b.system.location);
                b.result.host.system = &b.system;
            }
            b.open_count = 0;
        } else if (a->kind == ACTION_ASK) {
            note_ask(&a->ask);
        }
    }
    assert_true((b.open_count > 0) != (b.finished == 1));
    return b.open_count > 0;
}

static size_t unknown_total(void)
{
    size_t n = 0;
    for (int i = 0; i < UNKNOWN_REASONS; i++)
        n += b.result.unknown[i];
    return n;
}

/* A row that is there belongs to the item; returns false if there is none. */
static bool check_row(size_t i, size_t at)
{
    const struct item *it = &b.items[i];
    const struct row *row = &b.rows[at];
    char expected[24];
    if (at == b.row_count || row->id != it->local_data_id || strcmp(row->name, it->rrd_name) != 0) {
        for (size_t k = 0; k < b.row_count; k++) /* all rows of a data source or none */
            assert_int_not_equal(b.rows[k].id, it->local_data_id);
        return false;
    }
    snprintf(expected, sizeof(expected), "%" PRId64, value_of(it->oid));
    bool known = b.answered[i] && b.arg != 'i' && b.result.unknown[UNKNOWN_SPIKE] == 0;
    assert_string_equal(row->output, known ? expected : "U");
    return true;
}

/* What devrun.h promises of every run. */
static void check_promises(void)
{
    const struct devrun_result *r = &b.result;
    size_t due = b.device.item_count, at = 0;
    assert_int_equal(b.finished, 1);
    assert_int_equal(r->values + unknown_total() + r->unfinished + r->skipped, due);
    assert_int_equal(r->values + unknown_total(), b.row_count);
    assert_int_equal(r->skipped, r->down || (b.options.ping_only && r->complete) ? due : 0);
    assert_int_equal(r->host.device_id, b.device.id);
    if (r->complete)
        assert_int_equal(r->unfinished, 0);
    /* a device that was not polled to its end keeps its polling time, and with it its place */
    assert_int_equal(r->host.has_polling_time, r->complete && !b.options.ping_only);
    for (size_t i = 0; i < due; i++)
        at += check_row(i, at);
    assert_int_equal(at, b.row_count); /* in polling order, each due item once */
    assert_within(b.snmp_count, 0, due + 20 + 3 * (size_t)b.timeouts);
}

static UNUSED void run_device(void)
{
    struct devrun *run = devrun_new(&b.device, &b.options);
    struct moment when = now();
    devrun_start(run, &when);
    while (b.finished == 0) {
        bool stop = b.ask_count == b.stop_after;
        if (!(stop && b.stop_blind) && !take_actions(run))
            break;
        if (stop) {
            when = now();
            devrun_stop(run, &when);
            assert_false(take_actions(run));
        } else {
            answer_strangers(run);
            answer_one(run);
        }
    }
    struct snmp_reply late = {.outcome = SNMP_ANSWERED};
    for (uint32_t id = 1; id <= b.last_id; id++)
        devrun_answer_snmp(run, id, &late, &when);
    answer_strangers(run);
    devrun_stop(run, &when);
    assert_null(devrun_next_action(run));
    b.learned = devrun_learned_oids(run);
    devrun_free(run);
    check_promises();
    assert_within(b.most_open, 0, b.device.device_threads < 1 ? 1 : b.device.device_threads);
}

#endif
