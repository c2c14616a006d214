/* Single objects: whether a device has restarted, and whether the rows of an index are as they were. */
#include "config.h"

#include "reindex_bench.h"

/* ---- the uptime ---- */

enum { ENGINE_ARCS = 11 }; /* of the engine time; sysUpTime has 9 */

static struct {
    struct snmp_reply error; /* about the engine time, unless ANSWERED without error */
    struct varbind engine;   /* its value */
    bool no_uptime;          /* sysUpTime is missing; otherwise it is 5000 */
} clocks;

static struct snmp_reply answer_clocks(const struct snmp_request *r)
{
    for (size_t i = 0; i < r->count; i++) {
        bool is_engine = r->names[i].len == ENGINE_ARCS;
        struct snmp_reply error = clocks.error;
        if (is_engine && (error.outcome != SNMP_ANSWERED || error.error_status != 0)) {
            error.error_index = error.error_index == 0 ? 0 : (long)i + 1;
            return error;
        }
        varbinds[i] = (struct varbind){.type = VARBIND_TIMETICKS, .number = 5000};
        if (clocks.no_uptime)
            varbinds[i].type = VARBIND_NO_SUCH_INSTANCE;
        if (is_engine)
            varbinds[i] = clocks.engine;
        varbinds[i].name = r->names[i];
    }
    return value_reply(varbinds, r->count);
}

/* A device that was up for a minute when it was last asked. */
static void poll_uptime(const char *arg1, int version, int max_oids)
{
    struct reindex_row row = {.data_query_id = 3,
                              .action = REINDEX_SNMP,
                              .op = '<',
                              .assert_value = "6000",
                              .arg1 = arg1};
    poll_device(&row, 1, version, max_oids, answer_clocks);
}

/* After a restart: 50 s by sysUpTime. */
static void expect_restart_found(void)
{
    static const char *const objects[] = {".1.3.6.1.2.1.1.3.0", ".1.3.6.1.6.3.10.2.1.3.0"};
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        for (int max_oids = 1; max_oids <= 10; max_oids += 9) {
            poll_uptime(objects[i], 2, max_oids);
            assert_true(outcome.asked_item);
            assert_int_equal(outcome.reindexed, 1);
            assert_true(outcome.spike_kill);
            assert_string_equal(outcome.assertion, "5000");
        }
    }
}

static int fresh_clocks(void **state UNUSED)
{
    memset(&clocks, 0, sizeof(clocks));
    return 0;
}

static void silence_about_the_engine_time_is_not_the_device_s(void **state UNUSED)
{
    clocks.error.outcome = SNMP_TIMED_OUT;
    expect_restart_found();
}

static void a_restart_is_noticed_whatever_error_the_engine_time_gets(void **state UNUSED)
{
    /* tooBig, noSuchName, genErr, noAccess, resourceUnavailable, authorizationError, an unknown one
     * */
    const long errors[] = {1, 2, 5, 6, 13, 16, 99};
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        clocks.error = error_reply(errors[i], 1);
        expect_restart_found();
        clocks.error = error_reply(errors[i], 0); /* without saying which object it is about */
        expect_restart_found();
    }
    clocks.error = (struct snmp_reply){.outcome = SNMP_ANSWERED};
}

static void a_restart_is_noticed_whatever_the_engine_time_is(void **state UNUSED)
{
    const struct varbind engines[] = {
        {.type = VARBIND_NO_SUCH_OBJECT},
        {.type = VARBIND_NO_SUCH_INSTANCE},
        {.type = VARBIND_NULL},
        {.type = VARBIND_INTEGER, .integer = 0},
        {.type = VARBIND_INTEGER, .integer = -5},
        {.type = VARBIND_INTEGER, .integer = INT64_C(4000000000)},
        {.type = VARBIND_OCTETS, .octets = {(const uint8_t *)"0:01:02", 7}},
        {.type = VARBIND_OCTETS, .octets = {NULL, 0}},
        {.type = VARBIND_OCTETS, .octets = {(const uint8_t *)"12.5", 4}},
        {.type = VARBIND_OBJECT_ID, .oid = {subtree, DEPTH}},
        {.type = VARBIND_OPAQUE_FLOAT, .real = 50000},
        {.type = VARBIND_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(engines); i++) {
        clocks.engine = engines[i];
        expect_restart_found();
    }
}

static void an_engine_time_is_believed_before_an_uptime_that_wraps(void **state UNUSED)
{
    clocks.engine = (struct varbind){.type = VARBIND_INTEGER, .integer = 70};
    poll_uptime(".1.3.6.1.2.1.1.3.0", 2, 10);
    assert_int_equal(outcome.reindexed, 0);
    assert_string_equal(outcome.assertion, "7000");
    clocks.no_uptime = true;
    poll_uptime(".1.3.6.1.2.1.1.3.0", 2, 10);
    assert_int_equal(outcome.reindexed, 0);
    assert_string_equal(outcome.assertion, "7000");
    clocks.engine =
        (struct varbind){.type = VARBIND_OCTETS, .octets = {(const uint8_t *)" \"71\" ", 6}};
    poll_uptime(".1.3.6.1.2.1.1.3.0", 2, 10);
    assert_string_equal(outcome.assertion, "7100");
}

static void without_any_clock_nothing_is_concluded(void **state UNUSED)
{
    clocks.no_uptime = true;
    clocks.engine = (struct varbind){.type = VARBIND_INTEGER, .integer = 0};
    poll_uptime(".1.3.6.1.2.1.1.3.0", 2, 10);
    assert_true(outcome.asked_item);
    assert_int_equal(outcome.reindexed, 0);
    assert_string_equal(outcome.assertion, "");
    assert_true(is_logged("DQ[3] Legacy Uptime Result: U, Is Numeric: 0\n"));
    assert_true(is_logged("DQ[3] Extended Uptime Result: 0, Is Numeric: 1\n"));
    assert_true(is_logged("DQ[3] RECACHE OID: .1.3.6.1.2.1.1.3.0, (assert: 6000 < output: U)\n"));
}

/* ---- rows to be verified ---- */

static const uint32_t row_name[] = {1, 3, 6, 1, 9, 1, 4};
static const uint32_t scalar_name[] = {1, 3, 6, 1, 9, 7, 0};
static struct snmp_reply get_reply, next_reply;
static struct varbind get_value, next_value;

static struct snmp_reply answer_row(const struct snmp_request *r)
{
    if (r->op == SNMP_OP_GETNEXT)
        return next_reply;
    get_value.name = r->names[0];
    return get_reply;
}

static int fresh_row(void **state UNUSED)
{
    static const uint32_t behind[] = {1, 3, 6, 1, 9, 1, 5};
    get_value = (struct varbind){.type = VARBIND_OCTETS, .octets = {(const uint8_t *)"eth0", 4}};
    next_value = (struct varbind){.name = {behind, ARRAY_LEN(behind)}, .type = VARBIND_INTEGER};
    get_reply = value_reply(&get_value, 1);
    next_reply = value_reply(&next_value, 1);
    return 0;
}

static void poll_row_at(const char *stored, struct oid name, int version)
{
    struct reindex_row row = {.data_query_id = 3,
                              .action = REINDEX_SNMP,
                              .op = '=',
                              .assert_value = stored,
                              .arg1 = ".1.3.6.1.9.1.4",
                              .oid = name};
    poll_device(&row, 1, version, 10, answer_row);
    assert_true(outcome.asked_item || get_reply.outcome == SNMP_TIMED_OUT);
}

static void poll_row(const char *stored, int version)
{
    poll_row_at(stored, (struct oid){row_name, ARRAY_LEN(row_name)}, version);
}

static void a_row_that_is_as_it_was_stays(void **state UNUSED)
{
    poll_row("eth0", 2);
    assert_int_equal(outcome.reindexed, 0);
    get_value.octets.data = (const uint8_t *)"\"e\\0";
    poll_row("e0", 2); /* as Cacti stores it */
    assert_int_equal(outcome.reindexed, 0);
    poll_row("eth0", 2);
    assert_int_equal(outcome.reindexed, 1);
    assert_string_equal(outcome.assertion, "e0");
}

static void a_row_is_found_behind_what_was_not_asked_for(void **state UNUSED)
{
    static const uint32_t other[] = {1, 3, 6, 1, 9, 1, 9};
    struct varbind both[] = {
        {.name = {other, ARRAY_LEN(other)}, .type = VARBIND_INTEGER, .integer = 1},
        {.name = {row_name, ARRAY_LEN(row_name)}, .type = VARBIND_INTEGER, .integer = 24}};
    get_reply = value_reply(both, 2);
    poll_row("24", 2);
    assert_int_equal(outcome.reindexed, 0);
    poll_row("1", 2);
    assert_int_equal(outcome.reindexed, 1);
    assert_string_equal(outcome.assertion, "24");
}

static void a_missing_row_is_noticed_once(void **state UNUSED)
{
    const struct varbind absent[] = {{.type = VARBIND_NO_SUCH_INSTANCE},
                                     {.type = VARBIND_NO_SUCH_OBJECT},
                                     {.type = VARBIND_END_OF_MIB_VIEW}};
    for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
        get_value = absent[i];
        poll_row("eth0", 2);
        assert_int_equal(outcome.reindexed, 1);
        assert_true(is_logged("RECACHE ASSERT FAILED: 'eth0='"));
        assert_string_equal(outcome.assertion, "");
        poll_row("", 2); /* the next cycle, if the re-index has not changed anything */
        assert_int_equal(outcome.reindexed, 0);
    }
}

static void a_missing_row_is_noticed_by_error_too(void **state UNUSED)
{
    for (int version = 1; version <= 2; version++) {
        for (long index = 0; index <= 2;
             index++) { /* a wrong one must do, it is about one object */
            get_reply = error_reply(SNMP_ERROR_NO_SUCH_NAME, index);
            poll_row("eth0", version);
            assert_int_equal(outcome.reindexed, 1);
        }
    }
}

static void a_missing_row_is_noticed_whatever_the_agent_says_about_the_next_one(void **state UNUSED)
{
    get_value.type = VARBIND_NO_SUCH_INSTANCE;
    const struct snmp_reply nexts[] = {{.outcome = SNMP_TIMED_OUT},
                                       {.outcome = SNMP_ANSWERED},
                                       error_reply(SNMP_ERROR_NO_SUCH_NAME, 1),
                                       error_reply(5, 1)};
    for (size_t i = 0; i < ARRAY_LEN(nexts); i++) {
        next_reply = nexts[i];
        poll_row("eth0", 2);
        assert_int_equal(outcome.reindexed, 1);
        assert_true(outcome.asked_item);
    }
}

static void what_is_not_an_answer_about_the_row_concludes_nothing(void **state UNUSED)
{
    const struct snmp_reply replies[] = {{.outcome = SNMP_TIMED_OUT},
                                         {.outcome = SNMP_REFUSED, .detail = ""},
                                         {.outcome = SNMP_IMPOSSIBLE, .detail = ""},
                                         {.outcome = SNMP_ANSWERED},
                                         error_reply(5, 1),
                                         error_reply(6, 1),
                                         error_reply(16, 1),
                                         error_reply(SNMP_ERROR_TOO_BIG, 0)};
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        get_reply = replies[i];
        poll_row("eth0", 2);
        assert_int_equal(outcome.reindexed, 0);
    }
    get_reply = value_reply(&get_value, 1);
    get_value.type = VARBIND_NULL;
    poll_row("eth0", 2);
    assert_int_equal(outcome.reindexed, 0);
}

/* Cacti writes the column's name where the field is the index itself. */
static void a_column_is_not_taken_for_a_deleted_row(void **state UNUSED)
{
    get_value.type = VARBIND_NO_SUCH_INSTANCE;
    for (int version = 1; version <= 2; version++) {
        poll_row_at("4", (struct oid){subtree, DEPTH}, version);
        assert_int_equal(outcome.reindexed, 0);
        get_reply = error_reply(SNMP_ERROR_NO_SUCH_NAME, 1);
    }
}

/* Cacti counts the indexes itself, so the assertion would fail again after each re-index. */
static void
an_agent_without_the_number_of_indexes_is_not_re_indexed_every_cycle(void **state UNUSED)
{
    get_value.type = VARBIND_NO_SUCH_OBJECT;
    poll_row_at("24", (struct oid){scalar_name, ARRAY_LEN(scalar_name)}, 2);
    assert_int_equal(outcome.reindexed, 0);
    poll_row_at("eth0", (struct oid){scalar_name, ARRAY_LEN(scalar_name)},
                2); /* index 0 of a table */
    assert_int_equal(outcome.reindexed, 1);
}

/* ---- several rows ---- */

/* Clocks, the row as get_value has it, and no other object. */
static struct snmp_reply answer_several(const struct snmp_request *r)
{
    bool is_row = oid_equal(r->names[0], (struct oid){row_name, ARRAY_LEN(row_name)});
    if (!is_row && r->names[0].len != ARRAY_LEN(row_name))
        return answer_clocks(r);
    varbinds[0] = get_value;
    varbinds[0].name = r->names[0];
    if (!is_row)
        varbinds[0].type = VARBIND_NO_SUCH_OBJECT;
    return value_reply(varbinds, 1);
}

static struct reindex_row verified_row(uint32_t query, const uint32_t *name, const char *stored)
{
    return (struct reindex_row){.data_query_id = query,
                                .action = REINDEX_SNMP,
                                .op = '=',
                                .assert_value = stored,
                                .arg1 = "",
                                .oid = {name, ARRAY_LEN(row_name)}};
}

static void the_uptime_is_asked_for_once_and_is_no_other_row_s_value(void **state UNUSED)
{
    struct reindex_row rows[3] = {{.data_query_id = 3,
                                   .action = REINDEX_SNMP,
                                   .op = '<',
                                   .assert_value = "4000",
                                   .arg1 = ".1.3.6.1.2.1.1.3.0"}};
    fresh_clocks(NULL);
    get_value = (struct varbind){.type = VARBIND_INTEGER, .integer = 5};
    rows[1] = verified_row(4, row_name, " 5"); /* is written in another way, and means the same */
    rows[2] = rows[0];
    rows[2].data_query_id = 5;
    poll_device(rows, 3, 2, 10, answer_several);
    assert_int_equal(outcome.reindexed, 0);
    assert_int_equal(outcome.asks, 3); /* both clocks, the row, the item */
}

/* It is known by being alone in its data query; rows of other ones may stand on both sides. */
static void the_number_of_indexes_is_the_only_row_of_its_data_query(void **state UNUSED)
{
    const struct {
        uint32_t before, behind; /* data queries of its neighbours */
        size_t count;            /* rows; what stands behind them is not looked at */
        int reindexed;
    } cases[] = {{2, 4, 3, 0}, {2, 3, 2, 0}, {3, 4, 3, 1}, {2, 3, 3, 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reindex_row rows[3];
        rows[0] = verified_row(cases[i].before, row_name, "eth0");
        rows[1] = verified_row(3, scalar_name, "24");
        rows[2] = verified_row(cases[i].behind, row_name, "eth0");
        poll_device(rows, cases[i].count, 2, 10, answer_several);
        assert_int_equal(outcome.reindexed, cases[i].reindexed);
    }
}

static void
a_row_without_a_name_that_can_be_asked_has_not_the_value_of_the_last_one(void **state UNUSED)
{
    struct reindex_row rows[2] = {{.data_query_id = 3,
                                   .action = REINDEX_SNMP,
                                   .op = '=',
                                   .assert_value = "eth0",
                                   .arg1 = ".1"},
                                  {.data_query_id = 4,
                                   .action = REINDEX_SNMP,
                                   .op = '=',
                                   .assert_value = "eth1",
                                   .arg1 = "x"}};
    rows[0].oid = (struct oid){row_name, ARRAY_LEN(row_name)};
    poll_device(rows, 2, 2, 10, answer_row);
    assert_int_equal(outcome.reindexed, 0);
    get_value.type = VARBIND_NO_SUCH_INSTANCE; /* the first one alone is missing */
    poll_device(rows, 2, 2, 10, answer_row);
    assert_int_equal(outcome.reindexed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(silence_about_the_engine_time_is_not_the_device_s, fresh_clocks),
        cmocka_unit_test_setup(a_restart_is_noticed_whatever_error_the_engine_time_gets,
                               fresh_clocks),
        cmocka_unit_test_setup(a_restart_is_noticed_whatever_the_engine_time_is, fresh_clocks),
        cmocka_unit_test_setup(an_engine_time_is_believed_before_an_uptime_that_wraps,
                               fresh_clocks),
        cmocka_unit_test_setup(without_any_clock_nothing_is_concluded, fresh_clocks),
        cmocka_unit_test_setup(a_row_that_is_as_it_was_stays, fresh_row),
        cmocka_unit_test_setup(a_row_is_found_behind_what_was_not_asked_for, fresh_row),
        cmocka_unit_test_setup(a_missing_row_is_noticed_once, fresh_row),
        cmocka_unit_test_setup(a_missing_row_is_noticed_by_error_too, fresh_row),
        cmocka_unit_test_setup(a_missing_row_is_noticed_whatever_the_agent_says_about_the_next_one,
                               fresh_row),
        cmocka_unit_test_setup(what_is_not_an_answer_about_the_row_concludes_nothing, fresh_row),
        cmocka_unit_test_setup(a_column_is_not_taken_for_a_deleted_row, fresh_row),
        cmocka_unit_test_setup(an_agent_without_the_number_of_indexes_is_not_re_indexed_every_cycle,
                               fresh_row),
        cmocka_unit_test_setup(the_uptime_is_asked_for_once_and_is_no_other_row_s_value, fresh_row),
        cmocka_unit_test_setup(the_number_of_indexes_is_the_only_row_of_its_data_query, fresh_row),
        cmocka_unit_test_setup(
            a_row_without_a_name_that_can_be_asked_has_not_the_value_of_the_last_one, fresh_row),
    };
    return cmocka_run_group_tests_name("re-index checks of values", tests, NULL, end_bench);
}
