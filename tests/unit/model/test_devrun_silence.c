/* What a time-out costs: the objects without an answer, one silent agent among several, answers
 * that leave objects out. */
#include "config.h"

#include "model/devrun.h"

#include "devrun_bench.h"
#include "devrun_drive.h"

static const uint32_t uptime_name[] = {1, 3, 6, 1, 2, 1, 1, 3, 0};

/* ---- objects that are never answered ---- */

/* Which items the agent keeps silent about, together with all that is asked for with them. */
static bool mute[ITEMS_MAX];

static struct oid mute_name; /* and another object, for GETs */

static void partly_mute(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    for (size_t i = 0; i < rq->count; i++) {
        int k = item_of(rq->names[i]);
        bool named = rq->op == SNMP_OP_GET && oid_equal(rq->names[i], mute_name);
        if ((k >= 0 && mute[k]) || named)
            a->reply.outcome = SNMP_TIMED_OUT;
    }
}

/* No answer from the arg-th request on. */
static void dying(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    if (b.snmp_count >= b.arg)
        a->reply.outcome = SNMP_TIMED_OUT;
}

/* `items` items, those in `numbers` mute, after an answer to the availability check. */
static void poll_partly_mute(size_t items, int64_t max_oids, const int *numbers, size_t count)
{
    memset(mute, 0, sizeof(mute));
    for (size_t i = 0; i < count; i++)
        mute[numbers[i]] = true;
    add_items(items);
    b.agent = partly_mute;
    b.device.max_oids = max_oids;
    b.device.availability_method = AVAIL_SNMP_UPTIME;
    run_device();
}

#define ONE(...) {__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int)

static const struct {
    size_t items;
    int64_t max_oids;
    int mute[8];
    size_t count;
    int timeouts;
} mutes[] = {
    {12, 12, ONE(4), 5},       {12, 12, ONE(0), 5},
    {12, 12, ONE(11), 5},      {35, 10, ONE(23), 5},
    {100, 100, ONE(57), 8},    {3, 10, ONE(1), 3},
    {2, 10, ONE(1), 2},        {1, 10, ONE(0), 1},
    {12, 12, ONE(2, 9), 9},    {12, 12, ONE(6, 7, 8, 9, 10, 11), 12},
    {24, 12, ONE(6, 7, 8), 7}, {24, 12, ONE(3, 15), 10},
    {12, 1, ONE(4), 1},        {12, 1, ONE(0, 1, 2), 3},
    {12, 5, ONE(4, 5), 7},
};

static void one_object_that_is_never_answered_costs_itself(void **state)
{
    for (size_t k = 0; k < ARRAY_LEN(mutes); k++) {
        set_up(state);
        poll_partly_mute(mutes[k].items, mutes[k].max_oids, mutes[k].mute, mutes[k].count);
        assert_int_equal(b.result.values, mutes[k].items - mutes[k].count);
        assert_int_equal(b.result.unknown[UNKNOWN_NO_ANSWER], mutes[k].count);
        for (size_t i = 0; i < mutes[k].items; i++)
            assert_int_equal(strcmp(b.rows[i].output, "U") == 0, mute[i]);
        assert_within(b.timeouts, 1, mutes[k].timeouts);
        forget_run();
    }
}

static void the_log_names_the_object_that_is_never_answered(void **state)
{
    (void)state;
    const int number = 4;
    poll_partly_mute(12, 12, &number, 1);
    assert_logged(LOG_ALWAYS,
                  "Device[7] HT[1] DS[104] WARNING: SNMP timeout detected [500 ms] for OID "
                  "'.1.3.6.1.4.1.99.4.0' alone: '10.0.0.1' answers others.  It is not asked for "
                  "again in this cycle; disable what asks for it if the agent cannot be repaired");
    assert_silent("ignoring host");
}

static void an_object_that_is_never_answered_is_asked_for_alone_once(void **state)
{
    (void)state;
    add_items(6);
    memcpy(b.subs[5], b.subs[1], sizeof(b.subs[1]));
    memset(mute, 0, sizeof(mute));
    mute[1] = mute[5] = true;
    b.agent = partly_mute;
    b.device.max_oids = 1;
    b.device.availability_method = AVAIL_SNMP_UPTIME;
    run_device();
    assert_string_equal(buf_str(&b.asks), "C 1 1 1 1 1 1 "); /* four values, one more, its doubt */
    assert_int_equal(b.result.values, 4);
    assert_int_equal(lines_with("for OID"), 1);
}

/* The healthy ones come first, so that they have their values when patience ends. */
static void patience_with_mute_objects_is_bounded(void **state)
{
    (void)state;
    int numbers[60];
    for (int i = 0; i < 60; i++)
        numbers[i] = i;
    poll_partly_mute(100, 10, numbers, 60);
    assert_int_equal(b.result.values, 40);
    assert_int_equal(b.timeouts, 17);
    assert_int_equal(b.snmp_count, 1 + 4 + 17 + 16); /* check, values, unanswered, still alive? */
    assert_int_equal(lines_with("has left more than 16 requests unanswered"), 1);
}

/* tooBig for more than one item. */
static void narrow_and_partly_mute(const struct snmp_request *rq, struct answer *a)
{
    partly_mute(rq, a);
    if (rq->count == 1 || item_of(rq->names[0]) < 0)
        return;
    a->reply.outcome = SNMP_ANSWERED;
    a->reply.error_status = SNMP_ERROR_TOO_BIG;
}

/* The engine time, found before the agent had answered anything, and as many items as patience allows. */
static void more_mute_objects_than_patience_are_remembered(void **state)
{
    (void)state;
    static const uint32_t engine_time[] = {1, 3, 6, 1, 6, 3, 10, 2, 1, 3, 0};
    struct reindex_row row = {.data_query_id = 3,
                              .action = REINDEX_SNMP,
                              .op = '<',
                              .assert_value = "1",
                              .arg1 = ".1.3.6.1.2.1.1.3.0",
                              .oid = {uptime_name, SUBS}};
    b.device.reindex = &row;
    b.device.reindex_count = 1;
    b.device.max_oids = 2;
    mute_name = (struct oid){engine_time, ARRAY_LEN(engine_time)};
    memset(mute, 0, sizeof(mute));
    for (int i = 0; i < 16; i++)
        mute[i] = true;
    add_items(20);
    b.agent = narrow_and_partly_mute;
    run_device();
    assert_int_equal(lines_with("' alone: '"), 16);
    assert_int_equal(b.timeouts, 17);
    assert_int_equal(b.result.values, 4);
}

/* sysUpTime is not answered: whether the agent lives is asked with what it has answered. */
static void an_agent_is_known_by_what_it_has_answered(void **state)
{
    static const uint32_t mgmt[] = {1, 3}; /* GETNEXT has asked for what follows it */
    static const struct {
        int method;
        struct oid name;
    } checks[] = {{AVAIL_SNMP_DESC, {uptime_name, SUBS}}, {AVAIL_SNMP_GETNEXT, {mgmt, 2}}};
    for (size_t k = 0; k < ARRAY_LEN(checks); k++) {
        set_up(state);
        memset(mute, 0, sizeof(mute));
        mute[4] = true;
        mute_name = checks[k].name;
        add_items(8);
        b.agent = partly_mute;
        b.device.availability_method = checks[k].method;
        run_device();
        assert_int_equal(b.result.values, 7);
        forget_run();
    }
}

/* Two items of one object: the second time it is not answered, and there is nothing else to ask for. */
static void an_agent_silent_about_what_it_has_answered_is_silent(void **state)
{
    (void)state;
    add_items(3);
    memcpy(b.subs[1], b.subs[0], sizeof(b.subs[0]));
    b.device.max_oids = 1;
    b.agent = dying;
    b.arg = 2;
    run_device();
    assert_string_equal(buf_str(&b.asks), "1 1 ");
    assert_int_equal(b.result.values, 1);
    assert_silent("alone");
}

static void nothing_known_about_an_agent_a_time_out_is_silence(void **state)
{
    (void)state;
    add_items(12);
    memset(mute, 0, sizeof(mute));
    mute[3] = true;
    b.agent = partly_mute;
    run_device();
    assert_string_equal(buf_str(&b.asks), "10 ");
    assert_int_equal(b.result.unknown[UNKNOWN_NO_ANSWER], 12);
}

/* ---- agents that are silent ---- */

static struct target others[7];
static const struct target *silent_target;

static void one_is_silent(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    if (same_session(rq->target, silent_target))
        a->reply.outcome = SNMP_TIMED_OUT;
}

static void make_others(void)
{
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        others[i] = b.target;
    others[1].port = 1161;
    others[2].hostname = "10.0.0.2";
    others[3].version = 1;
    others[4].community = "secret";
    others[5].version = others[6].version = 3;
    others[5].username = "alice";
    others[6].username = "bob";
}

/* Of each the same number of items, wherever the silent one stands. */
static enum snmp_outcome trouble;

/* The check, a time-out, a failure in asking whether the agent lives, and answers from then on. */
static void troubled(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    if (b.snmp_count == 2)
        a->reply.outcome = SNMP_TIMED_OUT;
    else if (b.snmp_count == 3)
        a->reply.outcome = trouble;
}

static void a_local_failure_blames_neither_an_object_nor_the_agent(void **state)
{
    static const enum snmp_outcome outcomes[] = {SNMP_IMPOSSIBLE, SNMP_FAILED};
    for (size_t k = 0; k < 2 * ARRAY_LEN(outcomes); k++) {
        set_up(state);
        add_items(12);
        b.agent = troubled;
        trouble = outcomes[k / 2];
        b.device.max_oids = k % 2 == 0 ? 10 : 1;
        b.device.availability_method = AVAIL_SNMP_UPTIME;
        run_device();
        assert_int_equal(b.result.values, k % 2 == 0 ? 2 : 11);
        assert_logged(
            LOG_ALWAYS,
            trouble == SNMP_IMPOSSIBLE
                ? "Device[7] HT[1] ERROR: SNMP request to '10.0.0.1' failed: no route; "
                  "this is a failure of the poller's machine (descriptors, memory, rights, "
                  "name server), not of the device"
                : "Device[7] HT[1] ERROR: SNMP request to '10.0.0.1' failed: no route; "
                  "correct this in the device's settings");
        assert_silent("alone");
        assert_silent("ignoring host");
        forget_run();
    }
}

static void a_report_shows_that_an_agent_lives(void **state)
{
    (void)state;
    add_items(12);
    b.agent = troubled;
    trouble = SNMP_REFUSED;
    b.device.availability_method = AVAIL_SNMP_UPTIME;
    run_device();
    assert_int_equal(b.result.values, 12);
    assert_silent("failed");
}

static void one_silent_agent_does_not_silence_the_others_of_a_device(void **state)
{
    for (size_t k = 0; k < ARRAY_LEN(others); k++) {
        set_up(state);
        make_others();
        silent_target = &others[k];
        add_items(3 * ARRAY_LEN(others));
        for (size_t i = 0; i < b.device.item_count; i++)
            b.items[i].target = &others[i / 3];
        b.agent = one_is_silent;
        b.device.max_oids = 2;
        run_device();
        assert_int_equal(b.result.values, 3 * (ARRAY_LEN(others) - 1));
        assert_int_equal(b.result.unknown[UNKNOWN_NO_ANSWER], 3);
        assert_int_equal(b.timeouts, 1);
        for (size_t i = 0; i < b.device.item_count; i++)
            assert_int_equal(strcmp(b.rows[i].output, "U") == 0, i / 3 == k);
        forget_run();
    }
}

static void the_silent_agent_is_named_with_its_own_name_and_time_out(void **state)
{
    (void)state;
    make_others();
    others[2].timeout_ms = 700;
    silent_target = &others[2];
    add_items(2);
    b.items[1].target = &others[2];
    b.items[0].target = &others[0];
    b.agent = one_is_silent;
    run_device();
    assert_logged(LOG_ALWAYS, "Device[7] HT[1] DS[101] WARNING: SNMP timeout detected [700 ms], "
                              "ignoring host '10.0.0.2'");
}

/* Answers only requests with a time-out of more than 2 s. */
static void slow(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    if (rq->target->timeout_ms <= 2000)
        a->reply.outcome = SNMP_TIMED_OUT;
}

static void an_agent_that_was_silent_is_asked_with_a_longer_time_out(void **state)
{
    (void)state;
    const uint32_t times[] = {500, 500, 1000, 200, 2000, 3000, 100};
    struct target waits[ARRAY_LEN(times)];
    add_items(ARRAY_LEN(times));
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        waits[i] = b.target;
        waits[i].timeout_ms = times[i];
        b.items[i].target = &waits[i];
    }
    b.agent = slow;
    run_device();
    assert_string_equal(buf_str(&b.asks), "2 1 1 1 "); /* 500, 1000, 2000, 3000 */
    assert_int_equal(b.result.values, 1);
    assert_string_equal(b.rows[5].output, "1005");
}

static void dead_device(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    if (same_session(rq->target, &b.device.snmp))
        a->reply.outcome = SNMP_TIMED_OUT;
}

static void a_silent_re_index_probe_does_not_silence_other_agents(void **state)
{
    static const int actions[] = {REINDEX_SNMP, REINDEX_SNMP_COUNT};
    static const char *const names[] = {".1.3.6.1.2.1.1.3.0", ".1.3.6.1.2.1.2.2.1.1.7"};
    for (size_t k = 0; k < 4; k++) {
        set_up(state);
        struct reindex_row row = {.data_query_id = 3,
                                  .action = actions[k / 2],
                                  .op = '=',
                                  .assert_value = "5",
                                  .arg1 = names[k % 2],
                                  .oid = {uptime_name, SUBS}};
        make_others();
        b.device.reindex = &row;
        b.device.reindex_count = 1;
        add_items(9);
        for (size_t i = 0; i < 9; i++)
            b.items[i].target = &others[i % 3];
        b.agent = dead_device;
        run_device();
        assert_int_equal(b.result.values, 6);
        assert_int_equal(b.result.unknown[UNKNOWN_NO_ANSWER], 3);
        assert_null(strstr(buf_str(&b.asks), "C 3")); /* its own items are not asked for */
        assert_int_equal(lines_with("WARNING: SNMP timeout detected [500 ms], ignoring host"),
                         k < 2);
        forget_run();
    }
}

static int probes;

static void mute_probe(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    for (size_t i = 0; i < rq->count; i++)
        if (oid_equal(rq->names[i], mute_name)) {
            a->reply.outcome = SNMP_TIMED_OUT;
            probes++;
        }
}

static void a_re_index_object_that_is_never_answered_costs_no_value(void **state)
{
    static const uint32_t subs[] = {1, 3, 6, 1, 2, 1, 2, 2, 1};
    static const int actions[] = {REINDEX_SNMP, REINDEX_SNMP_COUNT};
    for (size_t k = 0; k < ARRAY_LEN(actions); k++) {
        set_up(state);
        struct reindex_row rows[2];
        for (size_t i = 0; i < 2; i++)
            rows[i] = (struct reindex_row){.data_query_id = (uint32_t)(3 + i),
                                           .action = actions[k],
                                           .op = '=',
                                           .assert_value = "5",
                                           .arg1 = ".1.3.6.1.2.1.2.2.1",
                                           .oid = {subs, SUBS}};
        b.device.reindex = rows;
        b.device.reindex_count = 2;
        b.device.availability_method = AVAIL_SNMP_UPTIME;
        add_items(12);
        b.items[5].oid = (struct oid){subs, SUBS}; /* known to be mute by then */
        probes = 0;
        mute_name = (struct oid){subs, SUBS};
        b.agent = mute_probe;
        run_device();
        assert_int_equal(b.result.values, 11);
        assert_int_equal(probes, k == 0 ? 1 : 2); /* a walk tries GETBULK and GETNEXT */
        assert_int_equal(lines_with("for OID '.1.3.6.1.2.1.2.2.1' alone"), 1);
        assert_silent("RECACHE ASSERT FAILED");
        forget_run();
    }
}

static void system_information_and_re_index_find_a_mute_engine_time_once(void **state)
{
    (void)state;
    static const uint32_t engine_time[] = {1, 3, 6, 1, 6, 3, 10, 2, 1, 3, 0};
    struct reindex_row row = {.data_query_id = 3,
                              .action = REINDEX_SNMP,
                              .op = '<',
                              .assert_value = "99999999",
                              .arg1 = ".1.3.6.1.2.1.1.3.0",
                              .oid = {uptime_name, SUBS}};
    b.device.reindex = &row;
    b.device.reindex_count = 1;
    b.device.availability_method = AVAIL_SNMP_UPTIME;
    b.options.system_info = true;
    probes = 0;
    mute_name = (struct oid){engine_time, ARRAY_LEN(engine_time)};
    b.agent = mute_probe;
    add_items(12);
    run_device();
    assert_int_equal(probes, 1);
    assert_int_equal(b.result.values, 0); /* a restart: they are spikes */
    assert_int_equal(b.result.unknown[UNKNOWN_SPIKE], 12);
    assert_true(b.result.host.system->has_uptime);
}

/* ---- answers that leave objects out ---- */

/* Only the first arg objects are answered. */
static void short_of_breath(const struct snmp_request *rq, struct answer *a)
{
    for (size_t i = 0; i < rq->count && i < (size_t)b.arg; i++)
        put(a, rq->names[i]);
}

/* Only the last arg. */
static void out_of_breath(const struct snmp_request *rq, struct answer *a)
{
    size_t n = (size_t)b.arg;
    for (size_t i = rq->count > n ? rq->count - n : 0; i < rq->count; i++)
        put(a, rq->names[i]);
}

static void objects_left_out_of_an_answer_are_asked_for_again(void **state)
{
    static const int counts[] = {1, 2, 5, 9};
    agent_fn *const agents[] = {short_of_breath, out_of_breath};
    for (size_t k = 0; k < 2 * ARRAY_LEN(counts); k++) {
        set_up(state);
        add_items(35);
        b.agent = agents[k % 2];
        b.arg = counts[k / 2];
        run_device();
        assert_int_equal(b.result.values, 35);
        assert_within(b.snmp_count, 1, 36);
        if (counts[k / 2] == 5)
            assert_string_equal(buf_str(&b.asks), "10 5 5 5 5 5 5 ");
        forget_run();
    }
}

static void the_log_names_the_remedy_for_answers_that_leave_objects_out(void **state)
{
    static const int counts[] = {1, 3, 9};
    for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
        char line[250];
        set_up(state);
        add_items(40);
        b.agent = short_of_breath;
        b.arg = counts[k];
        run_device();
        snprintf(line, sizeof(line),
                 "Device[7] HT[1] WARNING: '10.0.0.1' has left %d of 10 OIDs out of an answer and "
                 "answers them when asked again.  Set the device's 'Maximum OIDs Per Get Request' "
                 "to %d",
                 10 - counts[k], counts[k]);
        assert_logged(LOG_ALWAYS, line);
        assert_int_equal(lines_with("out of an answer"), 1);
        forget_run();
    }
}

static void a_whole_answer_changes_nothing(void **state)
{
    (void)state;
    struct target other = b.target;
    other.port = 1161;
    add_items(12);
    b.items[0].target = b.items[1].target = &other;
    b.options.system_info = true;
    b.device.max_oids = 100;
    b.device.availability_method = AVAIL_SNMP_UPTIME;
    run_device();
    assert_string_equal(buf_str(&b.asks), "C C 2 10 ");
    assert_silent("out of an answer");
}

/* Seven objects of a device with --mibs. */
static void system_information_is_asked_for_again_where_it_was_left_out(void **state)
{
    static const char *const asks[] = {"C C C C C C C C 1 1 1 1 ", "C C C C 3 1 ", "C C C 4 "};
    static const int counts[] = {1, 3, 4};
    for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
        set_up(state);
        add_items(4);
        b.options.system_info = true;
        b.device.max_oids = 100;
        b.device.availability_method = AVAIL_SNMP_UPTIME;
        b.agent = short_of_breath;
        b.arg = counts[k];
        run_device();
        assert_string_equal(buf_str(&b.asks), asks[k]);
        assert_string_equal(b.location, "1006");
        assert_int_equal(lines_with("out of an answer"), 1);
        forget_run();
    }
}

/* The last but one of the seven. */
static void forgetful_in_the_middle(const struct snmp_request *rq, struct answer *a)
{
    for (size_t i = 0; i < rq->count; i++)
        if (rq->count != 7 || i != 5)
            put(a, rq->names[i]);
}

static void an_object_left_out_in_the_middle_of_a_check_says_nothing_of_sizes(void **state)
{
    (void)state;
    add_items(10);
    b.options.system_info = true;
    b.device.max_oids = 100;
    b.device.availability_method = AVAIL_SNMP_UPTIME;
    b.agent = forgetful_in_the_middle;
    run_device();
    assert_string_equal(buf_str(&b.asks), "C C C 10 ");
}

/* Item 4 is in no answer. */
static void without_item_4(const struct snmp_request *rq, struct answer *a)
{
    for (size_t i = 0; i < rq->count; i++)
        if (item_of(rq->names[i]) != 4)
            put(a, rq->names[i]);
}

static void an_object_left_out_although_asked_for_alone_is_missing(void **state)
{
    (void)state;
    add_items(12);
    b.agent = without_item_4;
    run_device();
    assert_string_equal(buf_str(&b.asks), "10 1 2 ");
    assert_int_equal(b.result.values, 11);
    assert_int_equal(b.result.unknown[UNKNOWN_MISSING], 1);
    assert_silent("out of an answer"); /* no other setting would help */
}

/* sysUpTime and the engine time in one request: an answer to the first alone. */
static void a_re_index_probe_asks_again_for_what_was_left_out(void **state)
{
    (void)state;
    struct reindex_row row = {.data_query_id = 3,
                              .action = REINDEX_SNMP,
                              .op = '<',
                              .assert_value = "99999999",
                              .arg1 = ".1.3.6.1.2.1.1.3.0",
                              .oid = {uptime_name, SUBS}};
    b.device.reindex = &row;
    b.device.reindex_count = 1;
    b.agent = short_of_breath;
    b.arg = 1;
    run_device();
    assert_string_equal(buf_str(&b.asks), "C C ");
    assert_logged(LOG_ALWAYS, "Device[7] HT[1] DQ[3] RECACHE ASSERT FAILED: '99999999<1234500'");
}

/* At every verbosity where every U is reported. */
static void a_restart_is_told_as_loud_as_what_it_costs(void **state)
{
    static const uint32_t subs[] = {1, 3, 6, 1, 2, 1, 1, 3, 0};
    for (int invalid_log = 0; invalid_log <= 2; invalid_log++) {
        struct reindex_row row = {.data_query_id = 3,
                                  .action = REINDEX_SNMP,
                                  .op = '<',
                                  .assert_value = "99999999",
                                  .arg1 = ".1.3.6.1.2.1.1.3.0",
                                  .oid = {subs, SUBS}};
        set_up(state);
        b.device.reindex = &row;
        b.device.reindex_count = 1;
        b.options.invalid_log = invalid_log;
        run_device();
        assert_logged(invalid_log == 2 ? LOG_ALWAYS : LOG_MEDIUM,
                      "Device[7] HT[1] NOTICE: Spike Kill in Effect for '10.0.0.1'");
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_object_that_is_never_answered_costs_itself),
        TEST(the_log_names_the_object_that_is_never_answered),
        TEST(an_object_that_is_never_answered_is_asked_for_alone_once),
        TEST(patience_with_mute_objects_is_bounded),
        TEST(more_mute_objects_than_patience_are_remembered),
        TEST(an_agent_is_known_by_what_it_has_answered),
        TEST(an_agent_silent_about_what_it_has_answered_is_silent),
        TEST(nothing_known_about_an_agent_a_time_out_is_silence),
        TEST(a_local_failure_blames_neither_an_object_nor_the_agent),
        TEST(a_report_shows_that_an_agent_lives),
        TEST(one_silent_agent_does_not_silence_the_others_of_a_device),
        TEST(the_silent_agent_is_named_with_its_own_name_and_time_out),
        TEST(an_agent_that_was_silent_is_asked_with_a_longer_time_out),
        TEST(a_silent_re_index_probe_does_not_silence_other_agents),
        TEST(a_re_index_object_that_is_never_answered_costs_no_value),
        TEST(system_information_and_re_index_find_a_mute_engine_time_once),
        TEST(objects_left_out_of_an_answer_are_asked_for_again),
        TEST(the_log_names_the_remedy_for_answers_that_leave_objects_out),
        TEST(a_whole_answer_changes_nothing),
        TEST(a_restart_is_told_as_loud_as_what_it_costs),
        TEST(system_information_is_asked_for_again_where_it_was_left_out),
        TEST(an_object_left_out_in_the_middle_of_a_check_says_nothing_of_sizes),
        TEST(an_object_left_out_although_asked_for_alone_is_missing),
        TEST(a_re_index_probe_asks_again_for_what_was_left_out),
    };
    return cmocka_run_group_tests_name("devrun: silence", tests, NULL, NULL);
}
