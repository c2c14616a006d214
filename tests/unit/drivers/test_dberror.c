#include "config.h"

#include "drivers/dberror.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void each_error_number_has_its_class(void **state UNUSED)
{
    static const struct {
        int number;
        enum dberror class;
    } cases[] = {
        {1213, DBERROR_RETRY}, {1205, DBERROR_RETRY}, {1020, DBERROR_RETRY}, {2002, DBERROR_LOST},
        {2003, DBERROR_LOST},  {2006, DBERROR_LOST},  {2013, DBERROR_LOST},  {1047, DBERROR_LOST},
        {1053, DBERROR_LOST},  {1927, DBERROR_LOST},  {4031, DBERROR_LOST},  {1040, DBERROR_WAIT},
        {1203, DBERROR_WAIT},  {1226, DBERROR_WAIT},  {1114, DBERROR_WAIT},  {1146, DBERROR_WAIT},
        {1290, DBERROR_WAIT},  {3032, DBERROR_WAIT},  {1153, DBERROR_SPLIT}, {2020, DBERROR_SPLIT},
        {1366, DBERROR_ROW},   {1406, DBERROR_ROW},   {1264, DBERROR_ROW},   {1044, DBERROR_FATAL},
        {1045, DBERROR_FATAL}, {2000, DBERROR_LOST},  {2027, DBERROR_LOST},  {1049, DBERROR_FATAL},
        {1054, DBERROR_FATAL}, {1064, DBERROR_FATAL}, {2026, DBERROR_FATAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (dberror_class(cases[i].number) != cases[i].class)
            fail_msg("%d has class %d", cases[i].number, dberror_class(cases[i].number));
    }
}

/* A trigger's own error, say: one row may be to blame, and the others must not suffer. */
static void an_unknown_number_is_looked_for_in_the_rows(void **state UNUSED)
{
    assert_int_equal(dberror_class(1644), DBERROR_ROW);
    assert_int_equal(dberror_class(0), DBERROR_ROW);
    assert_int_equal(dberror_class(-1), DBERROR_ROW);
    assert_int_equal(dberror_class(1000000), DBERROR_ROW);
}

static void a_server_that_is_away_or_full_is_tried_again_and_a_refusal_is_final(void **state UNUSED)
{
    static const int later[] = {2002, 2003, 2013, 1040, 1203, 1226, 1053, 1205, 3032};
    static const int final[] = {1044, 1045, 1049, 1130, 2026, 3159, 2020, 4711};
    for (size_t i = 0; i < ARRAY_LEN(later); i++)
        assert_true(dberror_may_connect_later(later[i]));
    for (size_t i = 0; i < ARRAY_LEN(final); i++)
        assert_false(dberror_may_connect_later(final[i]));
}

static void the_exit_status_tells_a_missing_server_from_a_wrong_configuration(void **state UNUSED)
{
    assert_int_equal(dberror_kind(2013), ERR_UNAVAILABLE);
    assert_int_equal(dberror_kind(1290), ERR_TEMPORARY);
    assert_int_equal(dberror_kind(1213), ERR_TEMPORARY);
    assert_int_equal(dberror_kind(DBERROR_TABLE_MISSING), ERR_CONFIG);
    assert_int_equal(dberror_kind(1054), ERR_CONFIG);
    assert_int_equal(dberror_kind(DBERROR_SYNTAX), ERR_INTERNAL);
}

static void every_refusal_comes_with_a_remedy(void **state UNUSED)
{
    for (int number = 1000; number < 5100; number++)
        assert_true(dberror_remedy(number)[0] != '\0');
    static const int of_their_own[] = {1045, 2000, 2026, 2027, 2059, 2061, 5010};
    for (size_t i = 0; i < ARRAY_LEN(of_their_own); i++)
        assert_string_not_equal(dberror_remedy(of_their_own[i]), dberror_remedy(2002));
}

static void the_pause_doubles_up_to_two_seconds_and_is_jittered_by_half(void **state UNUSED)
{
    static const int64_t most[] = {50, 100, 200, 400, 800, 1600, 2000, 2000};
    for (unsigned tries = 1; tries <= ARRAY_LEN(most); tries++) {
        int64_t top = most[tries - 1], least = top;
        assert_int_equal(dberror_back_off_ms(tries, 0), top);
        for (int64_t noise = 0; noise < 5000; noise++) {
            int64_t ms = dberror_back_off_ms(tries, noise);
            assert_true(ms >= top / 2 && ms <= top);
            least = ms < least ? ms : least;
        }
        assert_int_equal(least, top - top / 2);
    }
    assert_int_equal(dberror_back_off_ms(0, 0), 50);
    assert_int_equal(dberror_back_off_ms(UINT32_MAX, 0), 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_number_has_its_class),
        cmocka_unit_test(an_unknown_number_is_looked_for_in_the_rows),
        cmocka_unit_test(a_server_that_is_away_or_full_is_tried_again_and_a_refusal_is_final),
        cmocka_unit_test(the_exit_status_tells_a_missing_server_from_a_wrong_configuration),
        cmocka_unit_test(every_refusal_comes_with_a_remedy),
        cmocka_unit_test(the_pause_doubles_up_to_two_seconds_and_is_jittered_by_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
