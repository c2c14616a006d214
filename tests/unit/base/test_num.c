#include "config.h"

#include "base/num.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void whole_numbers_within_bounds_are_taken(void **state UNUSED)
{
    static const struct {
        const char *text;
        int64_t min, max, expected;
    } cases[] = {
        {"0", 0, 0, 0},
        {"-1", -1, 1, -1},
        {"+7", 0, 9, 7},
        {"007", 0, 9, 7},
        {"4294967295", 0, UINT32_MAX, UINT32_MAX},
        {"9223372036854775807", 0, INT64_MAX, INT64_MAX},
        {"-9223372036854775808", INT64_MIN, 0, INT64_MIN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t n = 99;
        assert_true(num_parse(cases[i].text, cases[i].min, cases[i].max, &n));
        assert_int_equal(n, cases[i].expected);
    }
}

static void anything_else_is_refused_and_changes_nothing(void **state UNUSED)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "+",
                                      " 1",
                                      "1 ",
                                      "1x",
                                      "x1",
                                      "0x10",
                                      "1.0",
                                      "1e3",
                                      "--1",
                                      "+-1",
                                      "11",
                                      "-2",
                                      "\n1",
                                      "1\n",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t n = 42;
        if (num_parse(bad[i], -1, 10, &n))
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(n, 42);
    }
    int64_t n = 42;
    assert_false(num_parse("9223372036854775808", INT64_MIN, INT64_MAX, &n));
    assert_false(num_parse("-9223372036854775809", INT64_MIN, INT64_MAX, &n));
    assert_int_equal(n, 42);
}

static void settings_rows_give_their_leading_number(void **state UNUSED)
{
    assert_int_equal(num_leading("25"), 25);
    assert_int_equal(num_leading("25 s"), 25);
    assert_int_equal(num_leading(" 25"), 25);
    assert_int_equal(num_leading("-3x"), -3);
    assert_int_equal(num_leading(""), 0);
    assert_int_equal(num_leading("abc"), 0);
    assert_int_equal(num_leading("-"), 0);
    assert_int_equal(num_leading("--3"), 0);
    assert_int_equal(num_leading("-0"), 0);
    assert_int_equal(num_leading("+5"), 5);
    assert_int_equal(num_leading("\t-5"), -5);
    assert_int_equal(num_leading("0x10"), 0);
    assert_true(num_leading("999999999999999999") == 999999999999999999);
    assert_true(num_leading("-999999999999999999.5") == -999999999999999999);
    assert_true(num_leading("0000000000000000000000000007") == 7);
    assert_true(num_leading("9223372036854775807") == INT64_MAX);
    assert_true(num_leading("9223372036854775808") == INT64_MAX);
    assert_true(num_leading("-9223372036854775808") == INT64_MIN);
    assert_true(num_leading("99999999999999999999999") == INT64_MAX);
    assert_true(num_leading("-99999999999999999999999") == INT64_MIN);
}

static void cacti_booleans_in_any_case(void **state UNUSED)
{
    static const char *const yes[] = {"on", "ON", "Yes", "tRUE", "1"};
    static const char *const no[] = {"off", "OFF", "No", "False", "0"};
    static const char *const neither[] = {"", "2", "onn", " on", "y", "-1", "01"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(num_bool(yes[i], false));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_false(num_bool(no[i], true));
    for (size_t i = 0; i < ARRAY_LEN(neither); i++) {
        assert_true(num_bool(neither[i], true));
        assert_false(num_bool(neither[i], false));
    }
}

static void hexadecimal_digits_are_read_in_either_case(void **state UNUSED)
{
    static const char digits[] = "0123456789abcdef", capitals[] = "0123456789ABCDEF";
    for (int c = -128; c < 128; c++) {
        const char *at = c == 0 ? NULL : strchr(digits, c);
        const char *capital = c == 0 ? NULL : strchr(capitals, c);
        int expected = at != NULL        ? (int)(at - digits)
                       : capital != NULL ? (int)(capital - capitals)
                                         : -1;
        assert_int_equal(num_hex_digit((char)c), expected);
    }
}

static void ids_are_in_the_order_of_their_numbers(void **state UNUSED)
{
    static const uint32_t ids[] = {0, 1, INT32_MAX, (uint32_t)INT32_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        for (size_t k = 0; k < ARRAY_LEN(ids); k++)
            assert_int_equal(num_compare_u32(&ids[i], &ids[k]), (i > k) - (i < k));
    static const int64_t numbers[] = {INT64_MIN, -1, 0, UINT32_MAX, INT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        for (size_t k = 0; k < ARRAY_LEN(numbers); k++)
            assert_int_equal(num_order(numbers[i], numbers[k]), (i > k) - (i < k));
}

/* The values are those of the page of FNV's authors. */
static void texts_have_their_digest(void **state UNUSED)
{
    assert_true(num_digest(NUM_DIGEST_OF_NOTHING, "", 0) == UINT64_C(0xcbf29ce484222325));
    assert_true(num_digest(NUM_DIGEST_OF_NOTHING, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    uint64_t foo = num_digest(NUM_DIGEST_OF_NOTHING, "foo", 3);
    assert_true(num_digest(foo, "bar", 3) == UINT64_C(0x85944171f73967e8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_within_bounds_are_taken),
        cmocka_unit_test(anything_else_is_refused_and_changes_nothing),
        cmocka_unit_test(settings_rows_give_their_leading_number),
        cmocka_unit_test(cacti_booleans_in_any_case),
        cmocka_unit_test(hexadecimal_digits_are_read_in_either_case),
        cmocka_unit_test(ids_are_in_the_order_of_their_numbers),
        cmocka_unit_test(texts_have_their_digest),
    };
    return cmocka_run_group_tests_name("num", tests, NULL, NULL);
}
