/* A device with re-index rows and one item, polled with an agent of the test's choice. */
#ifndef REINDEX_BENCH_H
#define REINDEX_BENCH_H

#include "model/devrun.h"

#include "../../support/within.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint32_t subtree[] = {1, 3, 6, 1, 9, 1};
enum { DEPTH = 6, ANSWER_MAX = 25 };

static struct varbind varbinds[ANSWER_MAX];

typedef struct snmp_reply reply_fn(const struct snmp_request *r);

/* What became of a device with re-index rows and one item. */
static struct {
    bool asked_item, runaway;
    int reindexed; /* data queries */
    bool spike_kill;
    char assertion[160]; /* stored last */
    struct buf log;
    size_t asks;
} outcome;

static UNUSED struct snmp_reply error_reply(long status, long index)
{
    return (struct snmp_reply){
        .outcome = SNMP_ANSWERED, .error_status = status, .error_index = index};
}

static struct snmp_reply value_reply(const struct varbind *vb, size_t count)
{
    return (struct snmp_reply){.outcome = SNMP_ANSWERED, .varbinds = vb, .count = count};
}

static const uint32_t item_name[] = {1, 3, 6, 1, 9};

static struct snmp_reply reply_to(const struct snmp_request *r, reply_fn *answer_fn)
{
    if (r->names[0].len != ARRAY_LEN(item_name))
        return answer_fn(r);
    outcome.asked_item = true;
    varbinds[0] = (struct varbind){.name = r->names[0], .type = VARBIND_COUNTER32, .number = 77};
    return value_reply(varbinds, 1);
}

static void note(const struct action *a)
{
    outcome.reindexed += a->kind == ACTION_RECACHE;
    if (a->kind == ACTION_ASSERT)
        snprintf(outcome.assertion, sizeof(outcome.assertion), "%s", a->assertion.value);
    if (a->kind == ACTION_LOG)
        buf_printf(&outcome.log, "%s\n", a->log.text);
    if (a->kind == ACTION_FINISHED) {
        outcome.spike_kill = a->finished.unknown[UNKNOWN_SPIKE] > 0;
        outcome.runaway = a->finished.unknown[UNKNOWN_RUNAWAY] > 0;
    }
}

static void poll_device(struct reindex_row *rows, size_t count, int version, int max_oids,
                        reply_fn *answer_fn)
{
    static const struct moment now = {1000000, 1000000};
    struct device d = {.id = 7, .max_oids = max_oids, .reindex = rows, .reindex_count = count};
    d.status = (struct device_status){.status = HOST_UP, .last_error = ""};
    d.snmp =
        (struct target){.hostname = "h", .port = 161, .community = "public", .timeout_ms = 500};
    d.snmp.version = (uint8_t)version;
    struct item item = {
        .local_data_id = 1, .rrd_name = "", .arg1 = ".1.3.6.1.9", .target = &d.snmp};
    item.oid = (struct oid){item_name, ARRAY_LEN(item_name)};
    d.items = &item;
    d.item_count = 1;
    struct devrun_options options = {
        .log_level = LOG_MEDIUM, .failure_count = 2, .recovery_count = 3};
    buf_done(&outcome.log);
    memset(&outcome, 0, sizeof(outcome));
    struct devrun *run = devrun_new(&d, &options);
    bool finished = false;
    devrun_start(run, &now);
    for (;;) {
        const struct action *a;
        struct ask ask = {0};
        while ((a = devrun_next_action(run)) != NULL) {
            note(a);
            finished |= a->kind == ACTION_FINISHED;
            if (a->kind == ACTION_ASK)
                ask = a->ask;
        }
        if (finished)
            break;
        assert_within(++outcome.asks, 1, 3 * DEVRUN_STEPS_COUNT);
        struct snmp_reply reply = reply_to(&ask.snmp, answer_fn);
        devrun_answer_snmp(run, ask.id, &reply, &now);
    }
    devrun_free(run);
}

static bool is_logged(const char *text)
{
    return strstr(buf_str(&outcome.log), text) != NULL;
}

static int end_bench(void **state UNUSED)
{
    buf_done(&outcome.log);
    return 0;
}

#endif
