/* What a failed re-index check, and a missing supervisor for scripts, do to the rest of the run. */
#include "config.h"

#include "model/devrun.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SYS_UPTIME ".1.3.6.1.2.1.1.3.0"

enum { ITEM_VALUE, ITEM_PAIRS, ITEM_SCRIPT_VALUE, ITEM_SERVER_VALUE, ITEMS, ROWS_MAX = 4 };

/* Names of the items' and the rows' objects; the last number tells which one. */
static uint32_t item_names[ITEMS][3], row_names[ROWS_MAX][4];

static struct {
    struct devrun_options options;
    struct reindex_row rows[ROWS_MAX];
    size_t row_count;
    int64_t seen[ROWS_MAX]; /* what the agent says to a row */

    char output[ITEMS][24];
    bool row_asked[ROWS_MAX];
    size_t script_asks;
    size_t recached[3]; /* by data query */
    size_t asserted;
    struct devrun_result result;
} b;

static void add_row(uint32_t query, char op, const char *wanted, int64_t seen, const char *arg1)
{
    size_t i = b.row_count++;
    const uint32_t name[] = {1, 3, 9, (uint32_t)i};
    memcpy(row_names[i], name, sizeof(name));
    b.rows[i] = (struct reindex_row){.data_query_id = query,
                                     .action = REINDEX_SNMP,
                                     .op = op,
                                     .assert_value = wanted,
                                     .arg1 = arg1,
                                     .oid = {row_names[i], ARRAY_LEN(name)}};
    b.seen[i] = seen;
}

static int set_up(void **state UNUSED)
{
    memset(&b, 0, sizeof(b));
    b.options =
        (struct devrun_options){.log_level = LOG_ALWAYS, .failure_count = 2, .recovery_count = 3};
    return 0;
}

/* ---- the device ---- */

static struct varbind answer_for(struct oid name)
{
    static const uint8_t pairs[] = "in:5 out:6";
    struct varbind v = {.name = name, .type = VARBIND_INTEGER, .integer = 77};
    if (name.len == 9) { /* sysUpTime, for the row that asks for the uptime */
        v = (struct varbind){
            .name = name, .type = VARBIND_TIMETICKS, .number = (uint64_t)b.seen[0]};
    } else if (name.len > 9) { /* snmpEngineTime */
        v.type = VARBIND_NO_SUCH_INSTANCE;
    } else if (name.len == ARRAY_LEN(row_names[0])) {
        b.row_asked[name.sub[3]] = true;
        v.integer = b.seen[name.sub[3]];
    } else if (name.sub[2] == ITEM_PAIRS) {
        v = (struct varbind){
            .name = name, .type = VARBIND_OCTETS, .octets = {pairs, sizeof(pairs) - 1}};
    }
    return v;
}

static void answer(struct devrun *run, const struct ask *ask, const struct moment *now)
{
    struct varbind vb[ITEMS];
    if (ask->kind == ASK_SNMP) {
        for (size_t i = 0; i < ask->snmp.count; i++)
            vb[i] = answer_for(ask->snmp.names[i]);
        const struct snmp_reply reply = {
            .outcome = SNMP_ANSWERED, .varbinds = vb, .count = ask->snmp.count};
        devrun_answer_snmp(run, ask->id, &reply, now);
        return;
    }
    const struct script_reply printed = {
        .outcome = SCRIPT_OUTPUT, .output = "88", .len = 2, .lines = 1};
    b.script_asks++;
    devrun_answer_script(run, ask->id, &printed, now);
}

static void note(const struct action *a)
{
    if (a->kind == ACTION_ROW)
        snprintf(b.output[a->row.local_data_id], sizeof(b.output[0]), "%s", a->row.output);
    if (a->kind == ACTION_RECACHE)
        b.recached[a->recache.data_query_id]++;
    b.asserted += a->kind == ACTION_ASSERT;
    if (a->kind == ACTION_FINISHED)
        b.result = a->finished;
}

static void poll_device(void)
{
    static const struct moment now = {1000000, 1000000};
    static const int actions[ITEMS] = {ITEM_SNMP, ITEM_SNMP, ITEM_SCRIPT, ITEM_SERVER};
    struct item items[ITEMS];
    struct device d = {
        .id = 7, .max_oids = 10, .reindex = b.rows, .reindex_count = b.row_count, .items = items};
    d.status = (struct device_status){.status = HOST_UP, .last_error = ""};
    d.snmp = (struct target){
        .hostname = "h", .port = 161, .version = 2, .community = "public", .timeout_ms = 500};
    d.item_count = ITEMS;
    for (uint32_t i = 0; i < ITEMS; i++) {
        const uint32_t name[] = {1, 3, i};
        memcpy(item_names[i], name, sizeof(name));
        items[i] = (struct item){.local_data_id = i,
                                 .action = actions[i],
                                 .rrd_name = "",
                                 .arg1 = "arg1",
                                 .target = &d.snmp,
                                 .oid = {item_names[i], ARRAY_LEN(name)}};
    }
    struct devrun *run = devrun_new(&d, &b.options);
    devrun_start(run, &now);
    for (bool finished = false; !finished;) {
        const struct action *a;
        struct ask ask = {0};
        while ((a = devrun_next_action(run)) != NULL) {
            note(a);
            finished |= a->kind == ACTION_FINISHED;
            if (a->kind == ACTION_ASK)
                ask = a->ask;
        }
        if (!finished)
            answer(run, &ask, &now);
    }
    devrun_free(run);
}

static void assert_outputs(const char *value, const char *pairs, const char *script,
                           const char *server)
{
    assert_string_equal(b.output[ITEM_VALUE], value);
    assert_string_equal(b.output[ITEM_PAIRS], pairs);
    assert_string_equal(b.output[ITEM_SCRIPT_VALUE], script);
    assert_string_equal(b.output[ITEM_SERVER_VALUE], server);
}

/* ---- spike kill ---- */

static void after_a_restart_no_single_value_is_stored(void **state UNUSED)
{
    add_row(1, '<', "6000", 5000, SYS_UPTIME);
    poll_device();
    assert_int_equal(b.recached[1], 1);
    assert_outputs("U", "in:5 out:6", "U", "U");
    assert_int_equal(b.result.unknown[UNKNOWN_SPIKE], 3);
    assert_int_equal(b.result.values, 1);
}

static void any_value_that_went_backwards_counts_as_a_restart(void **state UNUSED)
{
    add_row(1, '<', "6000", 5999, ".1.3.6.1.4.1.9");
    poll_device();
    assert_outputs("U", "in:5 out:6", "U", "U");
}

static void an_uptime_that_differs_counts_as_a_restart(void **state UNUSED)
{
    add_row(1, '=', "6000", 7000, SYS_UPTIME);
    poll_device();
    assert_int_equal(b.recached[1], 1);
    assert_outputs("U", "in:5 out:6", "U", "U");
}

static void a_changed_index_alone_is_not_a_restart(void **state UNUSED)
{
    add_row(1, '=', "12", 13, ".1.3.6.1.2.1.2.1.0");
    add_row(2, '>', "12", 13, ".1.3.6.1.2.1.2.1.0");
    poll_device();
    assert_int_equal(b.recached[1] + b.recached[2], 2);
    assert_outputs("77", "in:5 out:6", "88", "88");
    assert_int_equal(b.result.unknown[UNKNOWN_SPIKE], 0);
}

static void an_uptime_that_grows_changes_nothing(void **state UNUSED)
{
    add_row(1, '<', "6000", 6001, SYS_UPTIME);
    poll_device();
    assert_int_equal(b.recached[1], 0);
    assert_outputs("77", "in:5 out:6", "88", "88");
}

/* ---- what a check concludes ---- */

static void each_operator_holds_or_fails(void **state UNUSED)
{
    static const struct {
        char op;
        const char *stored;
        int64_t seen;
        bool fails, is_stored;
    } cases[] = {
        {'=', "12", 12, false, false},  {'=', "12", 13, true, true},
        {'=', " 12", 12, false, false}, /* written in another way */
        {'>', "12", 12, false, false},  {'>', "12", 13, true, true},
        {'>', "12", 11, false, true},   {'<', "12", 12, false, false},
        {'<', "12", 11, true, true},    {'<', "12", 13, false, true},
        {'<', "0", -1, false, true},    {'!', "12", 13, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        set_up(NULL);
        add_row(1, cases[i].op, cases[i].stored, cases[i].seen, "a");
        poll_device();
        if (b.recached[1] != cases[i].fails || b.asserted != cases[i].is_stored)
            fail_msg("'%s' %c %d: failed %zu, stored %zu", cases[i].stored, cases[i].op,
                     (int)cases[i].seen, b.recached[1], b.asserted);
    }
}

/* ---- one failed check is enough for a data query ---- */

static void the_other_rows_of_a_failed_query_are_not_asked(void **state UNUSED)
{
    add_row(1, '=', "12", 13, "a");
    add_row(1, '=', "12", 13, "b");
    add_row(1, '=', "12", 12, "c");
    add_row(2, '=', "12", 13, "d");
    poll_device();
    assert_true(b.row_asked[0]);
    assert_false(b.row_asked[1] || b.row_asked[2]);
    assert_true(b.row_asked[3]);
    assert_int_equal(b.recached[1], 1);
    assert_int_equal(b.recached[2], 1);
}

static void all_rows_of_a_query_that_holds_are_asked(void **state UNUSED)
{
    add_row(1, '=', "12", 12, "a");
    add_row(1, '=', "12", 12, "b");
    add_row(1, '=', "12", 13, "c");
    poll_device();
    assert_true(b.row_asked[0] && b.row_asked[1] && b.row_asked[2]);
    assert_int_equal(b.recached[1], 1);
}

/* ---- no supervisor for scripts ---- */

static void without_a_supervisor_script_checks_conclude_nothing(void **state UNUSED)
{
    static const int actions[] = {REINDEX_SCRIPT, REINDEX_SCRIPT_COUNT, REINDEX_SERVER,
                                  REINDEX_SERVER_COUNT};
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        set_up(NULL);
        b.options.no_scripts = true;
        add_row(1, '=', "12", 0, "script");
        b.rows[0].action = actions[i];
        poll_device();
        assert_int_equal(b.script_asks, 0);
        assert_int_equal(b.recached[1] + b.asserted, 0);
        assert_outputs("77", "in:5 out:6", "U", "U");
        assert_int_equal(b.result.unknown[UNKNOWN_FAILED], 2);
    }
}

static void with_a_supervisor_script_checks_are_asked(void **state UNUSED)
{
    add_row(1, '=', "12", 0, "script");
    b.rows[0].action = REINDEX_SCRIPT;
    poll_device();
    assert_int_equal(b.script_asks, 3);
    assert_int_equal(b.recached[1], 1);
    assert_outputs("77", "in:5 out:6", "88", "88");
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(after_a_restart_no_single_value_is_stored),
        TEST(any_value_that_went_backwards_counts_as_a_restart),
        TEST(an_uptime_that_differs_counts_as_a_restart),
        TEST(a_changed_index_alone_is_not_a_restart),
        TEST(an_uptime_that_grows_changes_nothing),
        TEST(each_operator_holds_or_fails),
        TEST(the_other_rows_of_a_failed_query_are_not_asked),
        TEST(all_rows_of_a_query_that_holds_are_asked),
        TEST(without_a_supervisor_script_checks_conclude_nothing),
        TEST(with_a_supervisor_script_checks_are_asked),
    };
    return cmocka_run_group_tests_name("devrun effects", tests, NULL, NULL);
}
