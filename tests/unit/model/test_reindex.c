/* Index counts: what a walk concludes, and above all when it concludes nothing. */
#include "config.h"

#include "reindex_bench.h"

enum trouble { NO_TROUBLE, BULK_IS_SILENT, BULK_IS_TOO_BIG, ALL_IS_SILENT, NEXT_FAILS };

/* An agent with `rows` rows below .1.3.6.1.9.1 and one foreign object behind them. */
static struct {
    enum trouble trouble;
    uint32_t rows;
    int version;
    int bulks, nexts;
} agent;

static uint32_t names[ANSWER_MAX][DEPTH + 1];

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

/* The device has one counted data query; true if it is to be re-indexed. */
static bool is_reindexed(const char *assert_value)
{
    struct reindex_row row = {.data_query_id = 3,
                              .action = REINDEX_SNMP_COUNT,
                              .op = '=',
                              .assert_value = assert_value,
                              .arg1 = ".1.3.6.1.9.1",
                              .oid = {subtree, DEPTH}};
    poll_device(&row, 1, agent.version, 10, answer);
    return outcome.reindexed > 0;
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
    assert_true(is_logged("DQ[3] RECACHE OID COUNT: .1.3.6.1.9.1, output: 60\n"));
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
        assert_true(is_logged("DQ[3] RECACHE OID COUNT: .1.3.6.1.9.1, output: U\n"));
    }
}

/* ---- broken tables ---- */

enum {
    TABLE_MAX = 40,
    ECHO = 100,   /* the request's own name, and NULL */
    NOTHING,      /* no varbinds */
    NULL_ROW,     /* the next row, with NULL */
    START_OF_MIB, /* .1.3.6.1.2.1.1.1.0, by an agent that begins again behind its end */
    ZERO,         /* .0.0 and NULL, behind the end */
    END,
};

/* What follows each row, by GETNEXT (0: the table's own name) and as a whole, by GETBULK. */
static struct {
    int next[TABLE_MAX];
    int bulk[TABLE_MAX + 2];
} table;

static struct varbind row_of(int n, struct oid asked, uint32_t *storage)
{
    static const uint32_t sys_descr[] = {1, 3, 6, 1, 2, 1, 1, 1, 0}, zero[] = {0, 0};
    if (n == ECHO)
        return (struct varbind){.name = asked, .type = VARBIND_NULL};
    if (n == START_OF_MIB)
        return (struct varbind){.name = {sys_descr, 9}, .type = VARBIND_INTEGER};
    if (n == ZERO)
        return (struct varbind){.name = {zero, 2}, .type = VARBIND_NULL};
    memcpy(storage, subtree, sizeof(subtree));
    storage[DEPTH - 1] += n == END;
    storage[DEPTH] = n == NULL_ROW ? 39 : (uint32_t)n;
    struct varbind vb = {.name = {storage, DEPTH + 1}, .type = VARBIND_INTEGER};
    vb.type = n == NULL_ROW ? VARBIND_NULL : VARBIND_INTEGER;
    return vb;
}

static struct snmp_reply answer_table(const struct snmp_request *r)
{
    struct oid asked = r->names[0];
    size_t at = asked.len > DEPTH ? asked.sub[DEPTH] : 0;
    size_t n = 0;
    if (r->op == SNMP_OP_GETNEXT) {
        if (table.next[at] == NOTHING)
            return (struct snmp_reply){.outcome = SNMP_ANSWERED};
        varbinds[n] = row_of(table.next[at], asked, names[n]);
        return value_reply(varbinds, 1);
    }
    size_t from = 0;
    for (size_t i = 0; at > 0 && table.bulk[i] != 0 && from == 0; i++)
        from = (size_t)table.bulk[i] == at ? i + 1 : 0;
    for (; n < 5 && table.bulk[from] != 0 && table.bulk[from] != NOTHING; n++, from++)
        varbinds[n] = row_of(table.bulk[from], asked, names[n]);
    return n == 0 ? (struct snmp_reply){.outcome = SNMP_ANSWERED} : value_reply(varbinds, n);
}

static int fresh_table(void **state UNUSED)
{
    memset(&table, 0, sizeof(table));
    for (int i = 0; i < 6; i++)
        table.next[i] = i + 1;
    table.next[6] = END;
    return 0;
}

static void set_bulk(const int *rows)
{
    memset(table.bulk, 0, sizeof(table.bulk));
    for (size_t i = 0; rows[i] != 0; i++)
        table.bulk[i] = rows[i];
}

static void poll_table(const char *stored, int version)
{
    struct reindex_row row = {.data_query_id = 3,
                              .action = REINDEX_SNMP_COUNT,
                              .op = '=',
                              .assert_value = stored,
                              .arg1 = ".1.3.6.1.9.1",
                              .oid = {subtree, DEPTH}};
    poll_device(&row, 1, version, 10, answer_table);
    assert_true(outcome.asked_item);
    assert_false(outcome.runaway);
}

/* Six rows, whatever GETBULK makes of them. */
static void expect_six(void)
{
    poll_table("6", 2);
    assert_int_equal(outcome.reindexed, 0);
    assert_false(is_logged("is not known"));
    poll_table("5", 2);
    assert_int_equal(outcome.reindexed, 1);
    assert_string_equal(outcome.assertion, "6");
}

static void expect_unknown(int version)
{
    static const char *const counts[] = {"0", "2", "3", "5", "6", "25", "30"};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        poll_table(counts[i], version);
        assert_int_equal(outcome.reindexed, 0);
        assert_true(is_logged("the number of indexes below .1.3.6.1.9.1 is not known"));
    }
}

static void a_table_that_GETBULK_gets_wrong_is_counted_by_GETNEXT(void **state UNUSED)
{
    static const int broken[][12] = {
        {NOTHING},
        {1, 2, 3, 4, 5, NOTHING},
        {ECHO},
        {1, 2, ECHO, ECHO},
        {1, 2, NULL_ROW, END},
        {6, 5, 4, 3, 2, 1, END},
        {1, 3, 2, 4, 5, 6, END},
        {2, 1, 3, 4, 5, 6, END},
        {1, 2, 3, 1, 2, 3, 1, 2, 3},
        {1, 2, 3, 3, 4, 5, 6, END},
        {1, 2, 3, 4, 5, 4, 5, 6, END},
        {1, 2, START_OF_MIB},
        {ZERO},
        {END, 5, 4},
        {1, 2, 3, 4, 5, END, 6},
    };
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        set_bulk(broken[i]);
        expect_six();
    }
}

static void set_next(const int *rows)
{
    memset(table.next, 0, sizeof(table.next));
    int at = 0;
    for (size_t i = 0; rows[i] != 0; i++) {
        table.next[at] = rows[i];
        at = rows[i] < TABLE_MAX ? rows[i] : 0;
    }
}

static void a_table_that_cannot_be_walked_has_no_count(void **state UNUSED)
{
    static const int broken[][12] = {
        {NOTHING},       {1, 2, 3, NOTHING}, {ECHO},
        {1, 2, 3, ECHO}, {1, 2, NULL_ROW},   {1, 3, 2, 4, 5, 6, END},
        {1, 2, 3, 1},    {1, 2, 2},          {START_OF_MIB},
        {ZERO},
    };
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        set_next(broken[i]);
        set_bulk(broken[i]);
        expect_unknown(1);
        expect_unknown(2);
    }
}

/* The second and the third row in the wrong order in a file: a search for the first row behind 1
 * finds 3, behind 3 finds 4. */
static void rows_that_an_agent_leaves_out_are_missed(void **state UNUSED)
{
    static const int left_out[] = {1, 3, 4, 5, 6, END, 0};
    static const int whole[] = {1, 3, 2, 4, 5, 6, END, 0};
    set_next(left_out);
    set_bulk(whole);
    expect_unknown(2);
}

static void an_agent_that_begins_again_behind_its_last_row_is_counted(void **state UNUSED)
{
    static const int ends[][8] = {{1, 2, 3, 4, 5, 6, START_OF_MIB}, {1, 2, 3, 4, 5, 6, ZERO}};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        set_next(ends[i]);
        set_bulk(ends[i]);
        expect_six();
    }
}

/* ---- long tables ---- */

static struct snmp_reply answer_long(const struct snmp_request *r)
{
    struct snmp_reply reply = answer(r);
    reply.elapsed_us = agent.trouble == BULK_IS_SILENT ? 100000 : 0;
    return reply;
}

/* An index that never ends, or is too long for GETNEXT, takes nothing from the values. */
static void an_index_too_long_to_be_counted_costs_the_device_nothing(void **state UNUSED)
{
    struct reindex_row rows[2] = {{.data_query_id = 3,
                                   .action = REINDEX_SNMP_COUNT,
                                   .op = '=',
                                   .assert_value = "1",
                                   .arg1 = ".1.3.6.1.9.1",
                                   .oid = {subtree, DEPTH}}};
    const struct {
        uint32_t rows;
        int version;
    } cases[] = {{UINT32_MAX, 2}, {UINT32_MAX, 1}, {21500, 1}, {600000, 2}};
    rows[1] = rows[0];
    for (size_t count = 1; count <= 2; count++) {
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            agent.rows = cases[i].rows;
            agent.version = cases[i].version;
            poll_device(rows, count, cases[i].version, 10, answer_long);
            assert_int_equal(outcome.reindexed, 0);
            assert_true(outcome.asked_item);
            assert_false(outcome.runaway);
            assert_true(is_logged("WARNING: Too many rows to be counted in a cycle; the number of "
                                  "indexes below .1.3.6.1.9.1 is not known"));
        }
    }
}

/* 0.1 s for each row: the walk ends while there is time for the values. */
static void an_index_that_takes_too_long_is_not_counted_to_its_end(void **state UNUSED)
{
    struct reindex_row row = {.data_query_id = 3,
                              .action = REINDEX_SNMP_COUNT,
                              .op = '=',
                              .assert_value = "1",
                              .arg1 = ".1.3.6.1.9.1",
                              .oid = {subtree, DEPTH}};
    agent.trouble = BULK_IS_SILENT;
    agent.rows = 1000;
    poll_device(&row, 1, 2, 10, answer_long);
    assert_int_equal(outcome.reindexed, 0);
    assert_true(outcome.asked_item);
    assert_within(outcome.asks, 300, 310);
}

static void the_longest_index_that_can_be_counted_is(void **state UNUSED)
{
    struct reindex_row row = {.data_query_id = 3,
                              .action = REINDEX_SNMP_COUNT,
                              .op = '=',
                              .assert_value = "19999",
                              .arg1 = ".1.3.6.1.9.1",
                              .oid = {subtree, DEPTH}};
    agent.rows = 19999;
    agent.version = 1;
    poll_device(&row, 1, 1, 10, answer_long);
    assert_false(is_logged("is not known"));
    row.assert_value = "1";
    poll_device(&row, 1, 1, 10, answer_long);
    assert_int_equal(outcome.reindexed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(rows_are_counted_many_at_a_time, fresh),
        cmocka_unit_test_setup(a_v1_view_ends_with_an_error, fresh),
        cmocka_unit_test_setup(an_agent_that_cannot_answer_for_many_rows_is_asked_for_one, fresh),
        cmocka_unit_test_setup(a_count_that_was_cut_short_concludes_nothing, fresh),
        cmocka_unit_test_setup(a_table_that_GETBULK_gets_wrong_is_counted_by_GETNEXT, fresh_table),
        cmocka_unit_test_setup(a_table_that_cannot_be_walked_has_no_count, fresh_table),
        cmocka_unit_test_setup(rows_that_an_agent_leaves_out_are_missed, fresh_table),
        cmocka_unit_test_setup(an_agent_that_begins_again_behind_its_last_row_is_counted,
                               fresh_table),
        cmocka_unit_test_setup(an_index_too_long_to_be_counted_costs_the_device_nothing, fresh),
        cmocka_unit_test_setup(an_index_that_takes_too_long_is_not_counted_to_its_end, fresh),
        cmocka_unit_test_setup(the_longest_index_that_can_be_counted_is, fresh),
    };
    return cmocka_run_group_tests_name("index counts", tests, NULL, end_bench);
}
