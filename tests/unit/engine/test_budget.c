#include "config.h"

#include "engine/budget.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What Cacti offers as poller interval. */
static const int offered[] = {10, 15, 20, 30, 60, 300};

static void the_points_in_time_keep_their_order(void **state UNUSED)
{
    for (int interval_s = -1; interval_s <= 86400; interval_s++) {
        struct budget b = budget_make(1000000, interval_s);
        int64_t interval_ms = (interval_s > 0 ? interval_s : 1) * INT64_C(1000);
        assert_true(b.poll_until >= 1000000 + interval_ms / 2);
        assert_true(b.poll_until < b.store_until);
        assert_true(b.store_until < b.close_until);
        assert_true(b.close_until < b.end_by);
        assert_true(b.end_by < b.stale_from);
        assert_true(b.stale_from == 1000000 + interval_ms);
    }
}

static void all_is_stored_half_a_second_before_cacti_gives_up(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_LEN(offered); i++) {
        struct budget b = budget_make(0, offered[i]);
        assert_true(b.store_until <= offered[i] * INT64_C(1000) - 2000 - 500);
        assert_true(b.store_until - b.poll_until >= 1000);
    }
}

static void a_silent_database_is_given_up_before_cacti_and_the_drivers_give_up(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_LEN(offered); i++) {
        struct budget b = budget_make(0, offered[i]);
        assert_true(b.close_until - b.store_until >= 250);
        assert_true(b.close_until <= offered[i] * INT64_C(1000) - 2000 - 250);
        assert_true(b.close_until < b.end_by - BUDGET_RESCUE_MS);
    }
}

static void
the_watchdog_leaves_time_to_close_the_row_and_none_to_meet_the_next_cycle(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_LEN(offered); i++) {
        struct budget b = budget_make(0, offered[i]);
        assert_true(b.end_by - b.store_until >= 2000);
        assert_true(b.stale_from - b.end_by >= 250);
    }
}

static void five_minutes_as_documented(void **state UNUSED)
{
    struct budget b = budget_make(0, 300);
    assert_true(b.poll_until == 282000);
    assert_true(b.store_until == 291000);
    assert_true(b.close_until == 292500);
    assert_true(b.end_by == 293500);
    assert_true(b.agent_ms == 94000);
}

static void two_waves_of_endless_agents_leave_time_for_the_others(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_LEN(offered); i++) {
        struct budget b = budget_make(1000000, offered[i]);
        assert_true(2 * b.agent_ms <= (b.poll_until - 1000000) * 2 / 3);
        assert_true(b.agent_ms >= 2000); /* four tries of Cacti's default time-out */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_points_in_time_keep_their_order),
        cmocka_unit_test(all_is_stored_half_a_second_before_cacti_gives_up),
        cmocka_unit_test(a_silent_database_is_given_up_before_cacti_and_the_drivers_give_up),
        cmocka_unit_test(the_watchdog_leaves_time_to_close_the_row_and_none_to_meet_the_next_cycle),
        cmocka_unit_test(five_minutes_as_documented),
        cmocka_unit_test(two_waves_of_endless_agents_leave_time_for_the_others),
    };
    return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
