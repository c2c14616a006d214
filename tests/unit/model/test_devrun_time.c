/* What an agent that takes too long costs: the time of a cycle is shared out among the checks before
 * polling, the values, and the agents of a device. */
#include "config.h"

#include "model/devrun.h"

#include "devrun_bench.h"
#include "devrun_drive.h"

static const uint32_t uptime_name[] = {1, 3, 6, 1, 2, 1, 1, 3, 0};

static int64_t limits[ITEMS_MAX];

/* A second for every answer of the device's own agent. */
static void sluggish(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    limits[b.snmp_count - 1] = rq->limit_ms;
    if (strcmp(rq->target->hostname, b.target.hostname) == 0)
        a->reply.elapsed_us = 1000000;
}

static void late(const struct snmp_request *rq, struct answer *a)
{
    honest(rq, a);
    limits[b.snmp_count - 1] = rq->limit_ms;
    a->reply.elapsed_us = b.snmp_count == 1 ? 0 : 2000000;
    if (b.snmp_count > 1)
        a->reply.outcome = SNMP_TIMED_OUT;
}

static void an_agent_takes_no_more_than_its_part_of_the_cycle(void **state)
{
    (void)state;
    struct target other = b.target;
    other.hostname = "10.0.0.2";
    add_items(20);
    b.items[18].target = b.items[19].target = &other;
    b.device.max_oids = 1;
    b.options.agent_ms = 5000;
    b.agent = sluggish;
    run_device();
    assert_int_equal(b.result.values, 7); /* five and the two others */
    assert_int_equal(b.result.unknown[UNKNOWN_NO_ANSWER], 13);
    for (int i = 0; i < 5; i++)
        assert_int_equal(limits[i], 5000 - 1000 * i);
    assert_int_equal(lines_with("all that they may take of a cycle"), 1);
}

static void the_last_millisecond_is_time_and_less_is_none(void **state)
{
    (void)state;
    add_items(3);
    b.device.max_oids = 1;
    b.options.agent_ms = 1001;
    b.agent = sluggish;
    run_device();
    assert_int_equal(limits[1], 1);
    assert_int_equal(b.result.values, 2);
}

/* A time-out that ends with its time: it is not even asked whether it lives. */
static void an_agent_without_time_left_is_not_asked_again(void **state)
{
    (void)state;
    add_items(12);
    b.device.availability_method = AVAIL_SNMP_UPTIME;
    b.options.agent_ms = 2000;
    b.agent = late;
    run_device();
    assert_string_equal(buf_str(&b.asks), "C 10 ");
    assert_int_equal(b.result.unknown[UNKNOWN_NO_ANSWER], 12);
    assert_int_equal(limits[1], 2000);
}

static void without_a_limit_an_agent_may_take_as_long_as_it_likes(void **state)
{
    (void)state;
    add_items(20);
    b.device.max_oids = 1;
    b.agent = sluggish;
    run_device();
    assert_int_equal(b.result.values, 20);
    assert_int_equal(limits[7], 0);
}

/* Six agents, each within its part. */
static void a_device_takes_no_more_than_twice_the_part_of_an_agent(void **state)
{
    (void)state;
    struct target ports[6];
    add_items(18);
    for (size_t i = 0; i < 18; i++) {
        ports[i / 3] = b.target;
        ports[i / 3].port = (uint16_t)(1000 + i / 3);
        b.items[i].target = &ports[i / 3];
    }
    b.device.max_oids = 1;
    b.options.agent_ms = 5000;
    b.agent = sluggish;
    run_device();
    assert_int_equal(b.result.values, 10);
    assert_int_equal(lines_with("all that they may take of a cycle"), 1);
}

/* A row for every GETNEXT and GETBULK, without end. */
static void endless(const struct snmp_request *rq, struct answer *a)
{
    static uint32_t subs[OID_MAX_LEN];
    sluggish(rq, a);
    if (rq->op == SNMP_OP_GET)
        return;
    size_t n = rq->names[0].len;
    uint32_t last = n > SUBS ? rq->names[0].sub[SUBS] : 0;
    memcpy(subs, rq->names[0].sub, SUBS * sizeof(subs[0]));
    subs[SUBS] = last + 1;
    a->vb[0].name = (struct oid){subs, SUBS + 1};
}

static void an_endless_index_leaves_half_of_the_time_for_the_values(void **state)
{
    (void)state;
    struct reindex_row row = {.data_query_id = 3,
                              .action = REINDEX_SNMP_COUNT,
                              .op = '=',
                              .assert_value = "5",
                              .arg1 = ".1.3.6.1.2.1.1.3.0",
                              .oid = {uptime_name, SUBS}};
    b.device.reindex = &row;
    b.device.reindex_count = 1;
    b.options.agent_ms = 20000;
    add_items(100);
    b.agent = endless;
    run_device();
    assert_int_equal(b.result.values, 100);
    assert_int_equal(lines_with("the remaining checks before polling are skipped"), 1);
    assert_silent("RECACHE ASSERT FAILED");
}

/* ---- checks before polling that take too long ---- */

static const uint32_t mute_subs[] = {1, 3, 6, 1, 2, 1, 2, 2, 1};
static struct reindex_row mute_row;
static int64_t early_us;

/* No answer to a request for that one object within two seconds, which is all that is waited for; to
 * others within 90 ms.  A limit is a deadline on a clock of whole milliseconds. */
static void dozing(const struct snmp_request *rq, struct answer *a)
{
    bool is_mute = oid_equal(rq->names[0], (struct oid){mute_subs, SUBS});
    int64_t takes_us = is_mute ? 2000000 : b.snmp_count == 1 ? STEP_US : 90000;
    honest(rq, a);
    limits[b.snmp_count - 1] = rq->limit_ms;
    if (is_mute || takes_us > 1000 * rq->limit_ms)
        a->reply.outcome = SNMP_TIMED_OUT;
    a->reply.elapsed_us =
        takes_us < 1000 * rq->limit_ms ? takes_us : 1000 * rq->limit_ms - early_us;
}

static void poll_dozing(int action, int64_t agent_ms)
{
    mute_row = (struct reindex_row){.data_query_id = 3,
                                    .action = action,
                                    .op = '=',
                                    .assert_value = "5",
                                    .arg1 = ".1.3.6.1.2.1.2.2.1",
                                    .oid = {mute_subs, SUBS}};
    b.device.reindex = &mute_row;
    b.device.reindex_count = 1;
    b.device.availability_method = AVAIL_SNMP_UPTIME;
    b.options.agent_ms = agent_ms;
    add_items(12);
    b.agent = dozing;
    run_device();
}

static void a_living_agent_that_uses_up_the_time_of_the_checks_keeps_its_values(void **state)
{
    static const int actions[] = {REINDEX_SNMP, REINDEX_SNMP_COUNT};
    static const int64_t parts[] = {2000, 3000, 3990, 4000};
    for (size_t k = 0; k < 2 * ARRAY_LEN(actions) * ARRAY_LEN(parts); k++) {
        set_up(state);
        early_us = k < ARRAY_LEN(actions) * ARRAY_LEN(parts) ? 0 : 999;
        poll_dozing(actions[k % 2], parts[k / 2 % ARRAY_LEN(parts)]);
        assert_int_equal(b.result.values, 12);
        assert_int_equal(lines_with("the remaining checks before polling are skipped"), 1);
        assert_silent("ignoring host");
        assert_silent("RECACHE ASSERT FAILED");
        forget_run();
    }
}

/* The check, the object, whether the agent lives, the values. */
static void the_checks_before_polling_may_take_half_of_the_time(void **state)
{
    (void)state;
    early_us = 0;
    poll_dozing(REINDEX_SNMP, 10000);
    assert_string_equal(buf_str(&b.asks), "C C C 10 2 ");
    assert_int_equal(limits[0], 10000);
    assert_int_equal(limits[1], 5000 - 1); /* the check has taken 1.5 ms */
    assert_int_equal(limits[2], 3000 - 1);
    assert_int_equal(limits[3], 8000 - 91);
    assert_int_equal(b.result.values, 12);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_agent_takes_no_more_than_its_part_of_the_cycle),
        TEST(the_last_millisecond_is_time_and_less_is_none),
        TEST(an_agent_without_time_left_is_not_asked_again),
        TEST(without_a_limit_an_agent_may_take_as_long_as_it_likes),
        TEST(a_device_takes_no_more_than_twice_the_part_of_an_agent),
        TEST(an_endless_index_leaves_half_of_the_time_for_the_values),
        TEST(a_living_agent_that_uses_up_the_time_of_the_checks_keeps_its_values),
        TEST(the_checks_before_polling_may_take_half_of_the_time),
    };
    return cmocka_run_group_tests_name("devrun: time", tests, NULL, NULL);
}
