/* Drives the device on the bench to the end of its run and holds devrun.h to its promises. */
#ifndef DEVRUN_DRIVE_H
#define DEVRUN_DRIVE_H

#include "devrun_bench.h"

static struct moment now(void)
{
    return (struct moment){.mono_us = START_US + b.ask_count * STEP_US,
                           .wall_us = WALL_S * INT64_C(1000000) + b.ask_count * JUMP_US};
}

/* In words of its own, as target_compare() is under test. */
static bool same_session(const struct target *a, const struct target *t)
{
    return strcmp(a->hostname, t->hostname) == 0 && a->port == t->port &&
           a->version == t->version && a->timeout_ms == t->timeout_ms &&
           strcmp(a->community, t->community) == 0;
}

static void note_request(const struct snmp_request *rq)
{
    b.snmp_count++;
    if (rq->target == &b.device.snmp) {
        buf_puts(&b.asks, "C ");
        return;
    }
    buf_printf(&b.asks, "%zu ", rq->count);
    assert_false(b.silent); /* a silent device is left alone */
    for (size_t i = 0; i < rq->count; i++) {
        int k = item_of(rq->names[i]);
        assert_in_range(k, 0, ITEMS_MAX);
        assert_int_equal(b.items[k].action, ITEM_SNMP);
        assert_true(same_session(b.items[k].target, rq->target));
        assert_false(b.answered[k]); /* what is known is not asked again */
    }
}

static void note_reply(const struct snmp_request *rq, const struct snmp_reply *reply)
{
    bool check = rq->target == &b.device.snmp;
    b.silent |= !check && reply->outcome == SNMP_TIMED_OUT;
    if (check || reply->outcome != SNMP_ANSWERED || reply->error_status != SNMP_ERROR_NONE)
        return;
    for (size_t i = 0; i < rq->count; i++)
        for (size_t k = 0; k < reply->count; k++)
            if (oid_equal(rq->names[i], reply->varbinds[k].name) &&
                !varbind_is_exception(&reply->varbinds[k]))
                b.answered[item_of(rq->names[i])] = true;
}

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

/* Takes all actions; true: an ask is open. */
static bool take_actions(struct devrun *run, struct ask *ret)
{
    const struct action *a;
    bool asked = false;
    while ((a = devrun_next_action(run)) != NULL) {
        assert_int_equal(b.finished, 0); /* finished is the last word */
        if (a->kind == ACTION_ROW) {
            note_row(&a->row);
        } else if (a->kind == ACTION_LOG) {
            buf_printf(&b.log, "%d %s\n", (int)a->log.level, a->log.text);
        } else if (a->kind == ACTION_FINISHED) {
            b.finished++;
            b.result = a->finished;
        } else if (a->kind == ACTION_ASK) {
            assert_false(asked); /* one at a time */
            assert_true(a->ask.id > ret->id);
            asked = true;
            *ret = a->ask;
        }
    }
    assert_true(asked != (b.finished == 1));
    return asked;
}

static void answer_ask(struct devrun *run, const struct ask *ask)
{
    static struct answer a;
    struct moment when;
    b.ask_count++;
    when = now();
    if (ask->kind == ASK_PING) {
        buf_puts(&b.asks, "P ");
        devrun_answer_ping(run, ask->id, &b.ping, &when);
        return;
    }
    a.reply = (struct snmp_reply){.varbinds = a.vb, .elapsed_us = STEP_US, .detail = "no route"};
    note_request(&ask->snmp);
    b.agent(&ask->snmp, &a);
    note_reply(&ask->snmp, &a.reply);
    devrun_answer_snmp(run, ask->id, &a.reply, &when);
}

/* Answers nobody waits for have no effect. */
static void answer_strangers(struct devrun *run, uint32_t id)
{
    struct moment when = now();
    struct snmp_reply no = {.outcome = SNMP_TIMED_OUT};
    const uint32_t ids[] = {0, id - 1, id + 1, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        devrun_answer_snmp(run, ids[i], &no, &when);
        devrun_answer_ping(run, ids[i], &b.ping, &when);
    }
    assert_null(devrun_next_action(run));
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
    for (size_t i = 0; i < due; i++)
        at += check_row(i, at);
    assert_int_equal(at, b.row_count); /* in polling order, each due item once */
    assert_in_range(b.snmp_count, 0, due + 20);
}

static void run_device(void)
{
    struct devrun *run = devrun_new(&b.device, &b.options);
    struct moment when = now();
    struct ask ask = {0};
    devrun_start(run, &when);
    while (b.finished == 0) {
        bool stop = b.ask_count == b.stop_after;
        if (!(stop && b.stop_blind) && !take_actions(run, &ask))
            break;
        if (stop) {
            when = now();
            devrun_stop(run, &when);
            assert_false(take_actions(run, &ask));
        } else {
            answer_strangers(run, ask.id);
            answer_ask(run, &ask);
        }
    }
    struct snmp_reply late = {.outcome = SNMP_ANSWERED};
    devrun_answer_snmp(run, ask.id, &late, &when);
    answer_strangers(run, ask.id);
    devrun_stop(run, &when);
    assert_null(devrun_next_action(run));
    devrun_free(run);
    check_promises();
}

#endif
