/* Index counts: what a walk concludes, and above all when it concludes nothing (contract 8.5, Q6, Q7); and the engine
 * time, about which some agents are silent (contract 5.2, 8.3). */
#include "config.h"

#include "base/mem.h"
#include "model/devrun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum trouble { NO_TROUBLE, BULK_IS_SILENT, BULK_IS_TOO_BIG, ALL_IS_SILENT, NEXT_FAILS };

/* An agent with `rows` rows below .1.3.6.1.9.1 and one foreign object behind them. */
static struct {
    enum trouble trouble;
    uint32_t rows;
    int version;
    int bulks, nexts;
} agent;

static const uint32_t subtree[] = {1, 3, 6, 1, 9, 1};
enum { DEPTH = 6, ANSWER_MAX = 25 };

static uint32_t names[ANSWER_MAX][DEPTH + 1];
static struct varbind varbinds[ANSWER_MAX];

static struct snmp_reply rows_after(struct oid name, int count)
{
    uint32_t at = name.len > DEPTH ? name.sub[DEPTH] : 0;
    size_t n = 0;
    for (; n < (size_t)count; n++) {
        uint32_t row = at + (uint32_t)n + 1;
        bool inside = row <= agent.rows;
        memcpy(names[n], subtree, sizeof(subtree));
        names[n][DEPTH - 1] = inside ? 1 : 2;
        names[n][DEPTH] = row;
        varbinds[n] = (struct varbind){.name = {names[n], DEPTH + 1}, .type = VARBIND_INTEGER};
    }
    return (struct snmp_reply){.outcome = SNMP_ANSWERED, .varbinds = varbinds, .count = n};
}

static struct snmp_reply answer(const struct snmp_request *r)
{
    bool bulk = r->op == SNMP_OP_GETBULK;
    agent.bulks += bulk;
    agent.nexts += r->op == SNMP_OP_GETNEXT;
    if (agent.trouble == ALL_IS_SILENT || (bulk && agent.trouble == BULK_IS_SILENT))
        return (struct snmp_reply){.outcome = SNMP_TIMED_OUT};
    if (bulk && agent.trouble == BULK_IS_TOO_BIG)
        return (struct snmp_reply){.outcome = SNMP_ANSWERED, .error_status = SNMP_ERROR_TOO_BIG};
    if (!bulk && agent.trouble == NEXT_FAILS && agent.nexts > 3)
        return (struct snmp_reply){.outcome = SNMP_ANSWERED, .error_status = 5, .error_index = 1};
    bool over =
        agent.version == 1 && r->names[0].len > DEPTH && r->names[0].sub[DEPTH] >= agent.rows;
    if (over)
        return (struct snmp_reply){
            .outcome = SNMP_ANSWERED, .error_status = SNMP_ERROR_NO_SUCH_NAME, .error_index = 1};
    return rows_after(r->names[0], bulk ? r->bulk_rows : 1);
}

/* Polls a device with one counted data query; true if it is to be re-indexed. */
static bool is_reindexed(const char *assert_value)
{
    static const struct moment now = {1000000, 1000000};
    struct reindex_row row = {.data_query_id = 3,
                              .action = REINDEX_SNMP_COUNT,
                              .op = '=',
                              .assert_value = assert_value,
                              .arg1 = ".1.3.6.1.9.1",
                              .oid = {subtree, DEPTH}};
    struct device d = {.id = 7,
                       .max_oids = 10,
                       .reindex = &row,
                       .reindex_count = 1,
                       .status = {.status = HOST_UP, .last_error = ""}};
    d.snmp = (struct target){.hostname = "h",
                             .port = 161,
                             .version = (uint8_t)agent.version,
                             .community = "public",
                             .timeout_ms = 500};
    struct devrun_options options = {
        .log_level = LOG_ALWAYS, .failure_count = 2, .recovery_count = 3};
    struct devrun *run = devrun_new(&d, &options);
    bool reindexed = false, finished = false;
    devrun_start(run, &now);
    while (!finished) {
        const struct action *a;
        struct ask ask = {0};
        while ((a = devrun_next_action(run)) != NULL) {
            reindexed |= a->kind == ACTION_RECACHE;
            finished |= a->kind == ACTION_FINISHED;
            if (a->kind == ACTION_ASK)
                ask = a->ask;
        }
        if (finished)
            break;
        assert_in_range(agent.bulks + agent.nexts, 0, 1000);
        struct snmp_reply reply = answer(&ask.snmp);
        devrun_answer_snmp(run, ask.id, &reply, &now);
    }
    devrun_free(run);
    return reindexed;
}

static int fresh(void **state)
{
    (void)state;
    memset(&agent, 0, sizeof(agent));
    agent.version = 2;
    agent.rows = 60;
    return 0;
}

static void rows_are_counted_many_at_a_time(void **state)
{
    (void)state;
    assert_false(is_reindexed("60"));
    assert_int_equal(agent.bulks, 3);
    assert_int_equal(agent.nexts, 0);
    assert_true(is_reindexed("59"));
}

static void a_v1_view_ends_with_an_error(void **state)
{
    (void)state;
    agent.version = 1;
    assert_false(is_reindexed("60"));
    assert_int_equal(agent.bulks, 0);
}

static void an_agent_that_cannot_answer_for_many_rows_is_asked_for_one(void **state)
{
    const enum trouble troubles[] = {BULK_IS_SILENT, BULK_IS_TOO_BIG};
    for (size_t i = 0; i < ARRAY_LEN(troubles); i++) {
        fresh(state);
        agent.trouble = troubles[i];
        assert_false(is_reindexed("60"));
        assert_int_equal(agent.bulks, 1);
        assert_int_equal(agent.nexts, 61);
    }
}

static void a_count_that_was_cut_short_concludes_nothing(void **state)
{
    const enum trouble troubles[] = {ALL_IS_SILENT, NEXT_FAILS};
    for (size_t i = 0; i < ARRAY_LEN(troubles); i++) {
        fresh(state);
        agent.trouble = troubles[i];
        agent.version = troubles[i] == NEXT_FAILS ? 1 : 2;
        assert_false(is_reindexed("60"));
        assert_false(is_reindexed("3"));
    }
}

/* ---- the engine time ---- */

enum engine { ENGINE_SILENT, ENGINE_ERROR, ENGINE_MISSING };

/* sysUpTime is 5000; the engine time fails in one of three ways. */
static struct snmp_reply answer_uptime(const struct snmp_request *r, enum engine engine)
{
    for (size_t i = 0; i < r->count; i++) {
        bool is_engine = r->names[i].len == 11;
        if (is_engine && engine == ENGINE_SILENT)
            return (struct snmp_reply){.outcome = SNMP_TIMED_OUT};
        if (is_engine && engine == ENGINE_ERROR)
            return (struct snmp_reply){
                .outcome = SNMP_ANSWERED, .error_status = 5, .error_index = (long)i + 1};
        varbinds[i] = (struct varbind){.name = r->names[i], .type = VARBIND_TIMETICKS};
        varbinds[i].number = 5000;
        if (is_engine)
            varbinds[i].type = VARBIND_NO_SUCH_OBJECT;
    }
    return (struct snmp_reply){.outcome = SNMP_ANSWERED, .varbinds = varbinds, .count = r->count};
}

/* Polls a device with an uptime assertion and one item; what became of both. */
static void poll_uptime(enum engine engine, int max_oids, bool *ret_reindexed, bool *ret_asked_item)
{
    static const struct moment now = {1000000, 1000000};
    static const uint32_t item_name[] = {1, 3, 6, 1, 9};
    struct reindex_row row = {.data_query_id = 3,
                              .action = REINDEX_SNMP,
                              .op = '<',
                              .assert_value = "6000",
                              .arg1 = ".1.3.6.1.2.1.1.3.0"};
    struct device d = {.id = 7,
                       .max_oids = max_oids,
                       .reindex = &row,
                       .reindex_count = 1,
                       .status = {.status = HOST_UP, .last_error = ""}};
    d.snmp = (struct target){
        .hostname = "h", .port = 161, .version = 2, .community = "public", .timeout_ms = 500};
    struct item item = {.local_data_id = 1,
                        .rrd_name = "",
                        .arg1 = ".1.3.6.1.9",
                        .target = &d.snmp,
                        .oid = {item_name, 5}};
    d.items = &item;
    d.item_count = 1;
    struct devrun_options options = {
        .log_level = LOG_ALWAYS, .failure_count = 2, .recovery_count = 3};
    struct devrun *run = devrun_new(&d, &options);
    bool finished = false;
    *ret_reindexed = *ret_asked_item = false;
    devrun_start(run, &now);
    while (!finished) {
        const struct action *a;
        struct ask ask = {0};
        while ((a = devrun_next_action(run)) != NULL) {
            *ret_reindexed |= a->kind == ACTION_RECACHE;
            finished |= a->kind == ACTION_FINISHED;
            if (a->kind == ACTION_ASK)
                ask = a->ask;
        }
        if (finished)
            break;
        *ret_asked_item |= ask.snmp.names[0].len == 5;
        struct snmp_reply reply = answer_uptime(&ask.snmp, engine);
        devrun_answer_snmp(run, ask.id, &reply, &now);
    }
    devrun_free(run);
}

static void silence_about_the_engine_time_is_not_the_device_s(void **state)
{
    (void)state;
    for (int max_oids = 1; max_oids <= 10; max_oids += 9) {
        bool reindexed, asked;
        poll_uptime(ENGINE_SILENT, max_oids, &reindexed, &asked);
        assert_true(asked);
        assert_true(reindexed); /* 5000 < 6000 by sysUpTime */
        poll_uptime(ENGINE_MISSING, max_oids, &reindexed, &asked);
        assert_true(asked && reindexed);
    }
}

static void an_engine_time_that_fails_once_concludes_nothing(void **state)
{
    (void)state;
    bool reindexed, asked;
    poll_uptime(ENGINE_ERROR, 10, &reindexed, &asked);
    assert_true(asked);
    assert_false(reindexed);
}

/* An index that never ends would keep the device for the whole cycle, and the next one again. */
static void an_endless_index_costs_the_device_its_values_and_nothing_else(void **state UNUSED)
{
    static const struct moment now = {1000000, 1000000};
    struct target target = {
        .hostname = "h", .port = 161, .version = 2, .community = "public", .timeout_ms = 500};
    struct item items[2] = {{.local_data_id = 1, .rrd_name = "a", .arg1 = ".1", .target = &target},
                            {.local_data_id = 2, .rrd_name = "b", .arg1 = ".1", .target = &target}};
    struct reindex_row row = {.data_query_id = 3,
                              .action = REINDEX_SNMP_COUNT,
                              .op = '=',
                              .assert_value = "1",
                              .arg1 = ".1.3.6.1.9.1",
                              .oid = {subtree, DEPTH}};
    struct device d = {.id = 7, .max_oids = 10, .snmp = target, .items = items, .item_count = 2};
    struct devrun_options options = {.log_level = LOG_ALWAYS};
    d.status = (struct device_status){.status = HOST_UP, .last_error = ""};
    d.reindex = &row;
    d.reindex_count = 1;
    struct devrun *run = devrun_new(&d, &options);
    struct devrun_result result = {0};
    bool finished = false;
    size_t asks = 0, rows = 0, errors = 0;
    agent.rows = UINT32_MAX;
    devrun_start(run, &now);
    while (!finished) {
        const struct action *a;
        struct ask ask = {0};
        while ((a = devrun_next_action(run)) != NULL) {
            assert_int_not_equal(a->kind, ACTION_RECACHE);
            rows += a->kind == ACTION_ROW && a->row.output[0] == 'U';
            errors += a->kind == ACTION_LOG && strstr(a->log.text, "ERROR: Device[7] ") != NULL;
            if (a->kind == ACTION_ASK)
                ask = a->ask;
            finished = a->kind == ACTION_FINISHED;
            if (finished)
                result = a->finished;
        }
        assert_in_range(++asks, 1, DEVRUN_STEPS_COUNT + 2 * DEVRUN_STEPS);
        if (finished)
            break;
        struct snmp_reply reply = answer(&ask.snmp);
        devrun_answer_snmp(run, ask.id, &reply, &now);
    }
    devrun_free(run);
    assert_int_equal(rows, 2);
    assert_int_equal(errors, 1);
    assert_true(result.complete);
    assert_int_equal(result.unknown[UNKNOWN_RUNAWAY], 2);
    assert_in_range(asks, DEVRUN_STEPS_COUNT, DEVRUN_STEPS_COUNT + 2 * DEVRUN_STEPS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(rows_are_counted_many_at_a_time, fresh),
        cmocka_unit_test_setup(a_v1_view_ends_with_an_error, fresh),
        cmocka_unit_test_setup(an_agent_that_cannot_answer_for_many_rows_is_asked_for_one, fresh),
        cmocka_unit_test_setup(a_count_that_was_cut_short_concludes_nothing, fresh),
        cmocka_unit_test(silence_about_the_engine_time_is_not_the_device_s),
        cmocka_unit_test(an_engine_time_that_fails_once_concludes_nothing),
        cmocka_unit_test_setup(an_endless_index_costs_the_device_its_values_and_nothing_else,
                               fresh),
    };
    return cmocka_run_group_tests_name("re-index checks", tests, NULL, NULL);
}
