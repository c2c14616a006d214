#include "config.h"

#include "engine/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_line(const struct census_sums *s, int64_t now_us, const char *expected)
{
    struct buf b = BUF_INIT;
    meter_print(s, now_us, &b);
    assert_string_equal(buf_str(&b), expected);
    buf_done(&b);
}

static void how_far_a_cycle_is_and_what_is_left(void **state UNUSED)
{
    struct census_sums s = {.started_mono_us = 1000000};
    assert_line(&s, 1500000, "0 devices, 0 down, 0 U, 0.5 s");
    s.roster = 100;
    assert_line(&s, 3000000, "0 of 100 devices, 0 down, 0 U, 2.0 s");
    s.finished = 20;
    s.down = 3;
    s.unknown = 7;
    assert_line(&s, 1500000, "20 of 100 devices, 3 down, 7 U, 0.5 s");
    assert_line(&s, 4000000, "20 of 100 devices, 3 down, 7 U, 3.0 s, about 12 s left");
    s.stopped = 40;
    s.skipped_devices = 40;
    assert_line(&s, 13500000, "100 of 100 devices, 3 down, 7 U, 12 s");
}

static void before_the_cycle_there_is_nothing_to_say(void **state UNUSED)
{
    const struct census_sums none = {.roster = 5};
    assert_line(&none, 1500000, "");
}

static void the_line_fits_a_terminal(void **state UNUSED)
{
    const struct census_sums s = {.started_mono_us = 1,
                                  .roster = SIZE_MAX,
                                  .finished = SIZE_MAX / 2,
                                  .down = SIZE_MAX / 3,
                                  .unknown = UINT64_MAX};
    struct buf b = BUF_INIT;
    meter_print(&s, INT64_MAX, &b);
    assert_int_equal(b.len, METER_WIDTH);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_far_a_cycle_is_and_what_is_left),
        cmocka_unit_test(before_the_cycle_there_is_nothing_to_say),
        cmocka_unit_test(the_line_fits_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
