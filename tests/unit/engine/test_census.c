#include "config.h"

#include "engine/census.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The cycle begins here. */
enum { START = 1000000 };

static struct census_ask ended;

static bool tell(struct census *c, enum happening_type type, uint32_t device, int64_t at_us,
                 const char *text, int64_t a, int64_t b, int64_t d)
{
    struct happening e = {.type = type,
                          .device = device,
                          .mono_us = START + at_us,
                          .wall_us = 1,
                          .figures = {a, b, d}};
    happening_set_text(&e, text);
    return census_take(c, &e, &ended);
}

static struct census *begin(void)
{
    struct census *c = census_new();
    tell(c, EVENT_CYCLE_STARTED, 0, 0, "", 1, 60, 1);
    tell(c, EVENT_CYCLE_ROSTER, 0, 10, "", 2, 10, 0);
    return c;
}

static void finish(struct census *c, uint32_t id, int64_t at_us, int64_t values, int64_t down)
{
    struct happening e = {.type = EVENT_DEVICE_FINISHED,
                          .device = id,
                          .mono_us = START + at_us,
                          .wall_us = 1,
                          .figures = {values, 2, 0, 0, down, at_us}};
    assert_false(census_take(c, &e, &ended));
}

static uint64_t phases_of(const struct census_device *d)
{
    uint64_t sum = 0;
    for (int i = 0; i < CENSUS_PHASES; i++)
        sum += d->phase[i];
    return sum;
}

static void the_time_of_a_device_is_divided_among_its_phases(void **state UNUSED)
{
    struct census *c = begin();
    tell(c, EVENT_DEVICE_STARTED, 7, 5000, "switch", 4, 0, 0);
    tell(c, EVENT_ASK_STARTED, 7, 5000, "ping", 1, 1, ASK_FOR_CHECK);
    assert_true(tell(c, EVENT_ASK_ANSWERED, 7, 8000, "ping", 1, 10, 0));
    assert_int_equal(ended.kind, ASK_PING);
    assert_int_equal(ended.started, 5000);
    tell(c, EVENT_ASK_STARTED, 7, 8000, "snmp", 2, 1, ASK_FOR_REINDEX);
    tell(c, EVENT_ASK_ANSWERED, 7, 18000, "snmp", 2, 10000, 1);
    tell(c, EVENT_ASK_STARTED, 7, 18000, "snmp", 3, 4, ASK_FOR_ITEMS);
    tell(c, EVENT_ASK_ANSWERED, 7, 48000, "snmp", 3, 10000, 0); /* it has waited for 20 ms */
    finish(c, 7, 58000, 4, 0);
    const struct census_device *d = census_device(c, 0);
    assert_int_equal(d->phase[CENSUS_CHECK], 3000);
    assert_int_equal(d->phase[CENSUS_REINDEX], 10000);
    assert_int_equal(d->phase[CENSUS_QUEUE], 20000);
    assert_int_equal(d->phase[CENSUS_SNMP], 10000);
    assert_int_equal(d->phase[CENSUS_OTHER], 10000);
    assert_int_equal(d->duration, 53000);
    assert_int_equal(phases_of(d), d->duration);
    assert_int_equal(d->segments, 5);
    assert_int_equal(d->segment_phase[2], CENSUS_QUEUE);
    assert_int_equal(d->segment_end[4], 53000);
    assert_string_equal(d->hostname, "switch");
    assert_int_equal(d->asks, 3);
    assert_int_equal(d->repeats, 1);
    census_free(c);
}

/* Scripts beside an SNMP request: the time counts once. */
static void asks_that_overlap_are_not_counted_twice(void **state UNUSED)
{
    struct census *c = begin();
    tell(c, EVENT_DEVICE_STARTED, 7, 0, "switch", 4, 0, 0);
    tell(c, EVENT_ASK_STARTED, 7, 0, "snmp", 1, 4, ASK_FOR_ITEMS);
    tell(c, EVENT_ASK_STARTED, 7, 0, "script", 2, 1, ASK_FOR_ITEMS);
    tell(c, EVENT_ASK_STARTED, 7, 0, "server", 3, 1, ASK_FOR_ITEMS);
    tell(c, EVENT_ASK_ANSWERED, 7, 10000, "snmp", 1, 10000, 0);
    assert_true(tell(c, EVENT_ASK_ANSWERED, 7, 30000, "script", 3, 30000, 0));
    assert_int_equal(ended.kind, ASK_SERVER);
    tell(c, EVENT_ASK_FAILED, 7, 60000, "script timed-out", 2, 60000, 0);
    finish(c, 7, 60000, 4, 0);
    const struct census_device *d = census_device(c, 0);
    assert_int_equal(d->phase[CENSUS_SNMP], 10000);
    assert_int_equal(d->phase[CENSUS_SCRIPT], 50000);
    assert_int_equal(phases_of(d), 60000);
    assert_int_equal(d->failed, 1);
    assert_string_equal(d->why, "script timed-out");
    assert_int_equal(census_sums(c)->kinds[ASK_SCRIPT].failed, 1);
    census_free(c);
}

static void a_device_that_is_stopped_is_not_counted_as_finished(void **state UNUSED)
{
    struct census *c = begin();
    tell(c, EVENT_DEVICE_STARTED, 7, 0, "switch", 4, 0, 0);
    tell(c, EVENT_ASK_STARTED, 7, 0, "snmp", 1, 4, ASK_FOR_ITEMS);
    finish(c, 7, 90000, 1, 0);
    tell(c, EVENT_DEVICE_DROPPED, 7, 90000, "", 1, 0, 0);
    tell(c, EVENT_DEVICE_DROPPED, 8, 90000, "", 0, 6, 0);
    const struct census_sums *s = census_sums(c);
    assert_int_equal(s->finished, 0);
    assert_int_equal(s->stopped, 1);
    assert_int_equal(s->skipped_devices, 1);
    assert_int_equal(s->unfinished, 6);
    assert_int_equal(census_find(c, 7)->state, CENSUS_STOPPED);
    assert_int_equal(census_find(c, 8)->state, CENSUS_SKIPPED);
    assert_null(census_find(c, 9));
    /* an answer after the end belongs to nothing */
    assert_false(tell(c, EVENT_ASK_ANSWERED, 7, 99000, "snmp", 1, 99000, 0));
    census_free(c);
}

static void events_that_were_dropped_leave_a_gap_and_no_nonsense(void **state UNUSED)
{
    struct census *c = census_new();
    tell(c, EVENT_ASK_STARTED, 7, 0, "snmp", 1, 4, ASK_FOR_ITEMS); /* of no device */
    assert_false(tell(c, EVENT_ASK_ANSWERED, 7, 5, "snmp", 1, 4, 0));
    finish(c, 7, 10, 3, 1);
    assert_int_equal(census_sums(c)->values, 3);
    assert_int_equal(census_sums(c)->down, 1);
    assert_int_equal(census_count(c), 0);
    tell(c, EVENT_DEVICE_STARTED, 8, 100, "switch", 4, 0, 0);
    assert_false(tell(c, EVENT_ASK_ANSWERED, 8, 200, "snmp", 5, 4, 0)); /* its start is missing */
    finish(c, 8, 50, 4, 0);                                             /* earlier than its start */
    assert_int_equal(census_device(c, 0)->duration, 0);
    census_free(c);
}

static void reasons_and_the_first_failure_are_kept(void **state UNUSED)
{
    struct census *c = begin();
    tell(c, EVENT_DEVICE_STARTED, 7, 0, "switch", 4, 0, 0);
    tell(c, EVENT_DEVICE_UNKNOWN, 7, 5, unknown_reason_text(UNKNOWN_EMPTY), 70000, 0, 0);
    tell(c, EVENT_DEVICE_UNKNOWN, 7, 5, unknown_reason_text(UNKNOWN_MISSING), 2, 0, 0);
    tell(c, EVENT_DEVICE_DOWN, 7, 5, "no route", 2, 0, 0);
    tell(c, EVENT_DEVICE_DOWN, 7, 5, "another", 2, 0, 0);
    const struct census_device *d = census_device(c, 0);
    assert_int_equal(d->reasons[UNKNOWN_EMPTY], UINT16_MAX);
    assert_int_equal(census_sums(c)->reasons[UNKNOWN_EMPTY], 70000);
    assert_int_equal(d->reasons[UNKNOWN_MISSING], 2);
    assert_string_equal(d->why, "no route");
    census_free(c);
}

static void many_phases_end_in_the_last_segment(void **state UNUSED)
{
    struct census *c = begin();
    tell(c, EVENT_DEVICE_STARTED, 7, 0, "switch", 4, 0, 0);
    for (int i = 0; i < 20; i++) {
        tell(c, EVENT_ASK_STARTED, 7, i * 10000, i % 2 ? "snmp" : "script", i, 1, ASK_FOR_ITEMS);
        tell(c, EVENT_ASK_ANSWERED, 7, (i + 1) * 10000, "snmp", i, 10000, 0);
    }
    finish(c, 7, 200000, 4, 0);
    const struct census_device *d = census_device(c, 0);
    assert_int_equal(d->segments, CENSUS_SEGMENTS);
    assert_int_equal(d->segment_end[CENSUS_SEGMENTS - 1], 200000);
    assert_int_equal(phases_of(d), 200000);
    census_free(c);
}

static void twenty_thousand_devices_take_some_200_bytes_each(void **state UNUSED)
{
    enum { MANY = 20000 };
    struct census *c = begin();
    for (uint32_t id = 1; id <= MANY; id++) {
        tell(c, EVENT_DEVICE_STARTED, id, id, "10.20.30.40", 20, 0, 0);
        tell(c, EVENT_ASK_STARTED, id, id, "snmp", 1, 20, ASK_FOR_ITEMS);
        tell(c, EVENT_ASK_ANSWERED, id, id + 5000, "snmp", 1, 5000, 0);
        finish(c, id, id + 5000, 20, 0);
        tell(c, EVENT_DB_STORED, 0, id, "", 20, 1, 5);
    }
    size_t count;
    assert_int_equal(census_count(c), MANY);
    assert_true(census_bytes(c) / MANY < 330); /* arrays grow by half */
    assert_true(sizeof(struct census_device) <= 200);
    assert_non_null(census_batches(c, &count));
    assert_int_equal(count, CENSUS_BATCHES_MAX);
    assert_int_equal(census_sums(c)->stored, 20 * MANY);
    for (uint32_t id = 1; id <= MANY; id++)
        assert_int_equal(census_find(c, id)->id, id);
    census_free(c);
}

static void the_slowest_come_first(void **state UNUSED)
{
    struct census *c = begin();
    for (uint32_t id = 1; id <= 9; id++) {
        tell(c, EVENT_DEVICE_STARTED, id, 0, "h", 1, 0, 0);
        finish(c, id, 100 * (id % 5), 1, 0);
    }
    size_t count;
    size_t *order = census_slowest(c, 3, &count);
    assert_int_equal(count, 3);
    assert_int_equal(census_device(c, order[0])->id, 4);
    assert_int_equal(census_device(c, order[1])->id, 9);
    assert_int_equal(census_device(c, order[2])->id, 3);
    free(order);
    census_free(c);
}

static void what_happened_to_the_cycle_is_marked(void **state UNUSED)
{
    struct census *c = begin();
    tell(c, EVENT_DB_DISCONNECTED, 0, 700, "gone away", 0, 0, 0);
    tell(c, EVENT_DB_CONNECTED, 0, 900, "", 200, 0, 0);
    tell(c, EVENT_CYCLE_DEADLINE, 0, 1000, "", 0, 0, 0);
    size_t count;
    const struct census_mark *m = census_marks(c, &count);
    assert_int_equal(count, 3);
    assert_int_equal(m[0].at, 700);
    assert_string_equal(m[0].text, "gone away");
    assert_int_equal(m[1].figure, 200);
    assert_true(census_sums(c)->out_of_time);
    assert_int_equal(census_sums(c)->disconnects, 1);
    assert_int_equal(census_sums(c)->elapsed_us, 1000);
    for (int i = 0; i < 1000; i++)
        tell(c, EVENT_QUEUE_FULL, 0, 1100, "", 9000, 0, 0);
    census_marks(c, &count);
    assert_int_equal(count, CENSUS_MARKS_MAX);
    census_free(c);
}

static void refused_rows_of_an_earlier_run_are_not_this_cycles_losses(void **state UNUSED)
{
    struct census *c = begin();
    tell(c, EVENT_DB_REJECTED, 0, 20, "Incorrect value", 12, 0, 0);
    tell(c, EVENT_DB_REJECTED, 0, 30, "Incorrect value", 13, 1, 0);
    assert_int_equal(census_sums(c)->rejected, 1);
    census_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_time_of_a_device_is_divided_among_its_phases),
        cmocka_unit_test(asks_that_overlap_are_not_counted_twice),
        cmocka_unit_test(a_device_that_is_stopped_is_not_counted_as_finished),
        cmocka_unit_test(events_that_were_dropped_leave_a_gap_and_no_nonsense),
        cmocka_unit_test(reasons_and_the_first_failure_are_kept),
        cmocka_unit_test(many_phases_end_in_the_last_segment),
        cmocka_unit_test(twenty_thousand_devices_take_some_200_bytes_each),
        cmocka_unit_test(the_slowest_come_first),
        cmocka_unit_test(what_happened_to_the_cycle_is_marked),
        cmocka_unit_test(refused_rows_of_an_earlier_run_are_not_this_cycles_losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
