#include "config.h"

#include "model/device.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_step_fits_if_it_is_a_multiple_of_the_interval(void **state UNUSED)
{
    static const struct {
        int step_s;
        int64_t interval_s;
        bool fits;
    } cases[] = {{300, 300, true}, {600, 300, true}, {60, 300, false}, {450, 300, false},
                 {0, 300, true},   {-1, 300, true},  {300, 0, true},   {300, -1, true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct item item = {.step_s = cases[i].step_s};
        assert_int_equal(item_step_fits(&item, cases[i].interval_s), cases[i].fits);
    }
}

static void a_device_asks_scripts_by_an_item_or_by_a_check(void **state UNUSED)
{
    struct item items[] = {{.action = ITEM_SNMP}, {.action = ITEM_SNMP}};
    struct reindex_row rows[] = {{.action = REINDEX_SNMP}, {.action = REINDEX_SNMP_COUNT}};
    struct device d = {.items = items, .item_count = 2, .reindex = rows, .reindex_count = 2};
    static const int item_actions[] = {ITEM_SCRIPT, ITEM_SERVER};
    static const int row_actions[] = {REINDEX_SCRIPT, REINDEX_SERVER, REINDEX_SCRIPT_COUNT,
                                      REINDEX_SERVER_COUNT};
    assert_false(device_asks_scripts(&(struct device){.id = 1}));
    assert_false(device_asks_scripts(&d));
    for (size_t i = 0; i < ARRAY_LEN(item_actions); i++) {
        items[1].action = item_actions[i];
        assert_true(device_asks_scripts(&d));
    }
    items[1].action = ITEM_SNMP;
    for (size_t i = 0; i < ARRAY_LEN(row_actions); i++) {
        rows[1].action = row_actions[i];
        assert_true(device_asks_scripts(&d));
    }
}

/* What is asked of one agent stands together. */
static void items_are_in_the_order_of_agent_data_source_and_name(void **state UNUSED)
{
    static const struct target near = {.hostname = "10.0.0.1"}, far = {.hostname = "10.0.0.2"};
    struct item items[] = {{.target = &far, .local_data_id = 1, .rrd_name = "a"},
                           {.target = &near, .local_data_id = 3, .rrd_name = "b"},
                           {.target = &near, .local_data_id = 3, .rrd_name = "a"},
                           {.target = &near, .local_data_id = 2, .rrd_name = "c"}};
    qsort(items, ARRAY_LEN(items), sizeof(items[0]), item_compare);
    assert_int_equal(items[0].local_data_id, 2);
    assert_string_equal(items[1].rrd_name, "a");
    assert_string_equal(items[2].rrd_name, "b");
    assert_ptr_equal(items[3].target, &far);
    assert_int_equal(item_compare(&items[1], &items[1]), 0);
}

static void a_device_lives_until_the_last_reference_is_given_back(void **state UNUSED)
{
    const struct device *d = device_new(), *again = device_ref(d);
    assert_ptr_equal(again, d);
    assert_int_equal(d->references, 2);
    device_unref(d);
    assert_int_equal(again->references, 1);
    device_unref(again);
    device_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_fits_if_it_is_a_multiple_of_the_interval),
        cmocka_unit_test(a_device_asks_scripts_by_an_item_or_by_a_check),
        cmocka_unit_test(items_are_in_the_order_of_agent_data_source_and_name),
        cmocka_unit_test(a_device_lives_until_the_last_reference_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
