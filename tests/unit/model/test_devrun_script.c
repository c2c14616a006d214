/* The script items of a device run, and those of its re-index checks. */
#include "config.h"

#include "devrun_drive.h"

static void mute(const struct snmp_request *rq, struct answer *a)
{
    (void)rq;
    a->reply.outcome = SNMP_TIMED_OUT;
}

static void scripts_between_do_not_flush(void **state)
{
    (void)state;
    const int actions[] = {ITEM_SNMP, ITEM_SCRIPT, ITEM_SERVER};
    for (int i = 0; i < 12; i++)
        add_item(actions[i % 3]);
    b.device.max_oids = 4; /* scripts do not count */
    run_device();
    assert_string_equal(buf_str(&b.asks), "4 S V S V S V S V ");
    assert_int_equal(b.result.values, 12);
    assert_logged(LOG_MEDIUM, "Device[7] HT[1] DS[101] TT[1.50] SCRIPT: n1, output: 1001");
    assert_logged(LOG_MEDIUM, "Device[7] HT[1] DS[102] TT[1.50] SS[0] SERVER: n2, output: 1002");
}

static void scripts_are_asked_though_snmp_is_silent(void **state)
{
    (void)state;
    add_item(ITEM_SNMP);
    add_item(ITEM_SCRIPT);
    add_item(ITEM_SNMP);
    add_item(ITEM_SERVER);
    b.device.max_oids = 1;
    b.agent = mute;
    run_device();
    assert_string_equal(buf_str(&b.asks), "1 S V ");
    assert_int_equal(b.result.values, 2);
    assert_int_equal(b.result.unknown[UNKNOWN_NO_ANSWER], 2);
}

static size_t newest(size_t open)
{
    return open - 1;
}

static void device_threads_let_scripts_run_beside_each_other(void **state)
{
    (void)state;
    add_items(4);
    for (int i = 0; i < 6; i++)
        add_item(ITEM_SCRIPT);
    b.device.device_threads = 3;
    b.device.max_oids = 2;
    b.choose = newest; /* the GET stays open: no other one is sent meanwhile */
    run_device();
    assert_string_equal(buf_str(&b.asks), "S S S S S S 2 2 ");
    assert_int_equal(b.most_open, 3);
    assert_int_equal(b.result.values, 10);
}

/* It has items and nothing else, not even a check. */
static void ping_only_means_nothing_for_device_0(void **state)
{
    (void)state;
    b.device.id = 0;
    add_items(2);
    add_item(ITEM_SCRIPT);
    b.options.ping_only = true;
    run_device();
    assert_string_equal(buf_str(&b.asks), "");
    assert_true(b.result.complete && !b.result.host.has_status && !b.result.host.has_polling_time);
    assert_int_equal(b.result.skipped, 3);
    assert_silent("Polling Items");
}

static struct script_reply script_says;

static void says(int item, struct script_reply *reply)
{
    (void)item;
    *reply = script_says;
}

static void each_end_of_a_script_has_its_reason(void **state)
{
    static const struct {
        enum script_outcome outcome;
        const char *output;
        enum unknown_reason reason;
    } cases[] = {
        {SCRIPT_OUTPUT, "5 apples\n", UNKNOWN_NOT},
        {SCRIPT_OUTPUT, "apples\n", UNKNOWN_INVALID},
        {SCRIPT_EMPTY, "", UNKNOWN_EMPTY},
        {SCRIPT_TIMED_OUT, "", UNKNOWN_NO_ANSWER},
        {SCRIPT_FLOODED, "11111111", UNKNOWN_FLOODED},
        {SCRIPT_NOT_STARTED, "", UNKNOWN_FAILED},
        {SCRIPT_LOST, "7", UNKNOWN_FAILED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases) * 2; i++) {
        set_up(state);
        add_item(i % 2 == 0 ? ITEM_SCRIPT : ITEM_SERVER);
        script_says = (struct script_reply){.outcome = cases[i / 2].outcome,
                                            .output = cases[i / 2].output,
                                            .len = strlen(cases[i / 2].output)};
        b.script = says;
        b.arg = 'i'; /* the output is not the item's number */
        struct devrun *run = devrun_new(&b.device, &b.options);
        struct moment when = now();
        devrun_start(run, &when);
        assert_true(take_actions(run));
        answer_one(run);
        assert_false(take_actions(run));
        devrun_free(run);
        const struct devrun_result *r = &b.result;
        bool value = cases[i / 2].reason == UNKNOWN_NOT;
        assert_int_equal(r->values, value);
        assert_int_equal(r->unknown[cases[i / 2].reason], !value);
        assert_string_equal(b.rows[0].output, value ? "5" : "U");
    }
}

/* As Cacti's log viewer and operators know them (docs/contract.md 3.11). */
static void each_failure_has_its_line_and_no_other(void **state)
{
#define SS "SS[14] "
    static const struct {
        int action;
        enum script_outcome outcome;
        enum log_level level;
        const char *line; /* NULL: none */
    } cases[] = {
        {ITEM_SCRIPT, SCRIPT_OUTPUT, LOG_ALWAYS, NULL},
        {ITEM_SCRIPT, SCRIPT_EMPTY, LOG_ALWAYS,
         "Device[7] DS[100] ERROR: Empty result [10.0.0.1]: 'n0'"},
        {ITEM_SCRIPT, SCRIPT_TIMED_OUT, LOG_MEDIUM, "Device[7] ERROR: The NIFTY POPEN timed out"},
        {ITEM_SCRIPT, SCRIPT_FLOODED, LOG_ALWAYS, NULL},
        {ITEM_SCRIPT, SCRIPT_NOT_STARTED, LOG_ALWAYS,
         "Device[7] ERROR: Problem executing POPEN [10.0.0.1]: 'n0'"},
        {ITEM_SCRIPT, SCRIPT_LOST, LOG_ALWAYS, NULL},
        {ITEM_SERVER, SCRIPT_OUTPUT, LOG_ALWAYS, NULL},
        {ITEM_SERVER, SCRIPT_EMPTY, LOG_ALWAYS, NULL},
        {ITEM_SERVER, SCRIPT_TIMED_OUT, LOG_ALWAYS,
         "WARNING: " SS "The PHP Script Server did not respond in time for Timeout[2.50], "
         "Command[n0] and will therefore be restarted"},
        {ITEM_SERVER, SCRIPT_FLOODED, LOG_ALWAYS,
         "ERROR: " SS "The Script Server result was longer than the acceptable range"},
        {ITEM_SERVER, SCRIPT_NOT_STARTED, LOG_ALWAYS, NULL},
        {ITEM_SERVER, SCRIPT_LOST, LOG_ALWAYS,
         "ERROR: " SS "PHP Script Server communications lost sending Command[n0].  Restarting PHP "
         "Script Server"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        set_up(state);
        add_item(cases[i].action);
        script_says = (struct script_reply){
            .outcome = cases[i].outcome, .output = "", .server = 14, .elapsed_us = 2500000};
        b.script = says;
        b.arg = 'i';
        run_device();
        if (cases[i].line != NULL)
            assert_logged(cases[i].level, cases[i].line);
        assert_int_equal(lines_with("ERROR") + lines_with("WARNING"), cases[i].line != NULL);
    }
}

/* What is said beside a result of a script is a remark; anything else is a warning. */
static void a_detail_is_a_remark_or_a_warning(void **state)
{
    static const struct {
        int action;
        enum script_outcome outcome;
        enum log_level level;
        const char *line;
    } cases[] = {
        {ITEM_SCRIPT, SCRIPT_OUTPUT, LOG_HIGH, "NOTE: Script has a result"},
        {ITEM_SCRIPT, SCRIPT_LOST, LOG_ALWAYS, "WARNING: Script lost"},
        {ITEM_SERVER, SCRIPT_OUTPUT, LOG_ALWAYS, "WARNING: PHP Script Server has a result"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char line[120];
        set_up(state);
        add_item(cases[i].action);
        script_says = (struct script_reply){
            .outcome = cases[i].outcome, .output = "1000", .len = 4, .detail = "exit status 1"};
        b.script = says;
        b.options.log_level = LOG_HIGH;
        run_device();
        snprintf(line, sizeof(line), "Device[7] DS[100] %s: exit status 1; Command[n0]",
                 cases[i].line);
        assert_logged(cases[i].level, line);
    }
}

static void a_cancelled_script_leaves_no_row(void **state)
{
    (void)state;
    add_items(2);
    add_item(ITEM_SCRIPT);
    script_says = (struct script_reply){.outcome = SCRIPT_CANCELLED, .output = ""};
    b.script = says;
    run_device();
    assert_false(b.result.complete);
    assert_int_equal(b.row_count, 2);
    assert_int_equal(b.result.unfinished, 1);
}

static void what_a_limit_did_to_a_script_is_logged(void **state)
{
    (void)state;
    add_item(ITEM_SCRIPT);
    script_says = (struct script_reply){.outcome = SCRIPT_OUTPUT,
                                        .output = "1000",
                                        .len = 4,
                                        .limit_hit = true,
                                        .detail = "limit: 25000 ms; ended by SIGTERM"};
    b.script = says;
    b.options.log_level = LOG_ALWAYS;
    run_device();
    assert_logged(LOG_ALWAYS, "Device[7] DS[100] WARNING: Script has a result: limit: 25000 ms; "
                              "ended by SIGTERM; Command[n0]");
}

static void the_absence_of_script_servers_is_reported_where_their_start_failed(void **state)
{
    static const char line[] =
        "Device[7] DS[100] WARNING: PHP Script Server not started: no script "
        "server; Command[n0]";
    (void)state;
    for (int limit = 0; limit < 2; limit++) {
        forget_run();
        b.device.item_count = 0;
        add_item(ITEM_SERVER);
        script_says = (struct script_reply){.outcome = SCRIPT_NOT_STARTED,
                                            .output = "",
                                            .limit_hit = limit,
                                            .detail = "no script server"};
        b.script = says;
        b.options.log_level = LOG_ALWAYS;
        run_device();
        if (limit)
            assert_logged(LOG_ALWAYS, line);
        else
            assert_silent(line);
    }
}

static void without_a_supervisor_script_items_are_unknown(void **state)
{
    (void)state;
    add_items(2);
    add_item(ITEM_SCRIPT);
    add_item(ITEM_SERVER);
    b.options.no_scripts = true;
    run_device();
    assert_string_equal(buf_str(&b.asks), "2 ");
    assert_int_equal(b.result.unknown[UNKNOWN_FAILED], 2);
}

static void a_re_index_check_has_the_output_of_a_script_or_counts_its_lines(void **state)
{
    static const struct {
        int action;
        const char *wanted, *asks, *line;
    } cases[] = {
        {REINDEX_SCRIPT, "7", "S ", "CMD: count, output: 7"},
        {REINDEX_SCRIPT_COUNT, "2", "S ", "CMD COUNT: count, output: 2"},
        {REINDEX_SERVER, "7", "V ", "SERVER: count, output: 7"},
        {REINDEX_SERVER_COUNT, "2", "V ", "SERVER COUNT: count, output: 2"},
    };
    script_says =
        (struct script_reply){.outcome = SCRIPT_OUTPUT, .output = "7\n", .len = 2, .lines = 2};
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        struct reindex_row row = {.data_query_id = 3, .op = '=', .arg1 = "count"};
        char line[100];
        bool changed = i % 2 == 1;
        set_up(state);
        row.action = cases[i / 2].action;
        row.assert_value = changed ? "9" : cases[i / 2].wanted;
        b.device.reindex = &row;
        b.device.reindex_count = 1;
        b.script = says;
        run_device();
        snprintf(line, sizeof(line), "Device[7] HT[1] DQ[3] RECACHE %s", cases[i / 2].line);
        assert_logged(LOG_MEDIUM, line);
        assert_string_equal(buf_str(&b.asks), cases[i / 2].asks);
        assert_int_equal(lines_with("RECACHE ASSERT FAILED"), changed);
    }
}

/* Cacti has stored the quotes. */
static void what_a_script_prints_in_quotes_is_what_was_stored(void **state)
{
    (void)state;
    struct reindex_row row = {.data_query_id = 3,
                              .action = REINDEX_SCRIPT,
                              .op = '=',
                              .assert_value = "\"eth0\"",
                              .arg1 = "name"};
    script_says = (struct script_reply){.outcome = SCRIPT_OUTPUT, .output = "\"eth0\"\n", .len = 7};
    b.device.reindex = &row;
    b.device.reindex_count = 1;
    b.script = says;
    run_device();
    assert_silent("RECACHE ASSERT FAILED");
    row.assert_value = "\"eth1\"";
    forget_run();
    run_device();
    assert_int_equal(lines_with("RECACHE ASSERT FAILED"), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(scripts_between_do_not_flush),
        TEST(scripts_are_asked_though_snmp_is_silent),
        TEST(device_threads_let_scripts_run_beside_each_other),
        TEST(each_end_of_a_script_has_its_reason),
        TEST(each_failure_has_its_line_and_no_other),
        TEST(a_detail_is_a_remark_or_a_warning),
        TEST(a_cancelled_script_leaves_no_row),
        TEST(what_a_limit_did_to_a_script_is_logged),
        TEST(the_absence_of_script_servers_is_reported_where_their_start_failed),
        TEST(ping_only_means_nothing_for_device_0),
        TEST(without_a_supervisor_script_items_are_unknown),
        TEST(a_re_index_check_has_the_output_of_a_script_or_counts_its_lines),
        TEST(what_a_script_prints_in_quotes_is_what_was_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
