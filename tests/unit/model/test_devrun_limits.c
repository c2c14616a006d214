/* Limits of a device run: its steps, its lines, what is counted among many. */
#include "config.h"

#include "devrun_drive.h"

#include "../../../src/model/devrun_private.h"

static void sends_no_values(const struct snmp_request *rq, struct answer *a)
{
    for (size_t i = 0; i < rq->count; i++)
        a->vb[a->reply.count++] = (struct varbind){.name = rq->names[i],
                                                   .type = VARBIND_OCTETS,
                                                   .octets = {(const uint8_t *)"no value", 8}};
}

/* No agent is known that needs more steps than a run may take, so the limit is lowered. */
static void a_run_with_too_many_steps_is_stopped_and_keeps_its_values(void **state)
{
    (void)state;
    char line[160];
    add_items(5);
    b.device.max_oids = 1;
    struct devrun *run = devrun_new(&b.device, &b.options);
    struct moment when = now();
    devrun_start(run, &when);
    run->step_limit = run->steps + 2;
    snprintf(line, sizeof(line),
             "ERROR: Device[7] HT[1] Polling stopped after %zu steps, more than its 5 items can "
             "need",
             run->step_limit + 1);
    while (take_actions(run))
        answer_one(run);
    devrun_free(run);
    assert_logged(LOG_ALWAYS, line);
    assert_string_equal(buf_str(&b.asks), "1 1 1 ");
    assert_int_equal(b.result.values, 3);
    assert_int_equal(b.result.unknown[UNKNOWN_RUNAWAY], 2);
    check_promises();
}

/* 291 numbers of five digits are 2035 characters, and up to 12 more must fit into 2047. */
static void a_list_of_invalid_values_is_as_long_as_its_line_may_be(void **state)
{
    (void)state;
    add_items(ITEMS_MAX);
    for (uint32_t i = 0; i < ITEMS_MAX; i++)
        b.items[i].local_data_id = 10000 + i;
    b.device.max_oids = 100;
    b.agent = sends_no_values;
    b.arg = 'i';
    b.options.invalid_log = 1;
    run_device();
    assert_int_equal(lines_with("Errors[292] Device[7] Thread[1] DS[10000, "), 1);
    assert_int_equal(lines_with("Errors[108] Device[7] Thread[1] DS[10292, "), 1);
}

/* Lines of a debug device are never left out. */
static void only_the_line_about_a_failure_is_one_of_many(void **state)
{
    for (int debug = 0; debug < 2; debug++) {
        set_up(state);
        b.device.availability_method = AVAIL_PING;
        b.ping.outcome = PING_DOWN;
        b.options.debug_device = debug;
        struct devrun *run = devrun_new(&b.device, &b.options);
        struct moment when = now();
        const struct action *a;
        int failures = 0;
        devrun_start(run, &when);
        for (bool finished = false; !finished;) {
            uint32_t ask = 0;
            while ((a = devrun_next_action(run)) != NULL) {
                bool failure = a->kind == ACTION_LOG && strstr(a->log.text, "does not pass its");
                failures += failure;
                if (a->kind == ACTION_LOG)
                    assert_int_equal(a->log.of_many, failure && !debug);
                if (a->kind == ACTION_ASK)
                    ask = a->ask.id;
                finished |= a->kind == ACTION_FINISHED;
            }
            devrun_answer_ping(run, ask, &b.ping, &when);
        }
        assert_int_equal(failures, 1);
        devrun_free(run);
    }
}

static void no_run_can_be_freed(void **state)
{
    (void)state;
    devrun_free(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_run_with_too_many_steps_is_stopped_and_keeps_its_values),
        TEST(a_list_of_invalid_values_is_as_long_as_its_line_may_be),
        TEST(only_the_line_about_a_failure_is_one_of_many),
        TEST(no_run_can_be_freed),
    };
    return cmocka_run_group_tests_name("devrun: limits", tests, NULL, NULL);
}
