#include "config.h"

#include "base/jsonout.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buf b;

static const char *of_bytes(const char *bytes, size_t len)
{
    buf_clear(&b);
    jsonout_bytes(&b, NULL, bytes, len);
    return buf_str(&b);
}

static const char *of_real(double real)
{
    buf_clear(&b);
    jsonout_real(&b, NULL, real);
    return buf_str(&b);
}

static void commas_stand_between_values_and_nowhere_else(void **state UNUSED)
{
    buf_clear(&b);
    for (int line = 0; line < 2; line++) {
        jsonout_open(&b, NULL, '{');
        jsonout_int(&b, "a", -1);
        jsonout_open(&b, "list", '[');
        jsonout_bool(&b, NULL, true);
        jsonout_open(&b, NULL, '{');
        jsonout_close(&b, '}');
        jsonout_null(&b, NULL);
        jsonout_close(&b, ']');
        jsonout_text(&b, "none", NULL);
        jsonout_raw(&b, "raw", "[1]", 3);
        jsonout_close(&b, '}');
        buf_putc(&b, '\n');
    }
    assert_string_equal(b.data, "{\"a\":-1,\"list\":[true,{},null],\"none\":null,\"raw\":[1]}\n"
                                "{\"a\":-1,\"list\":[true,{},null],\"none\":null,\"raw\":[1]}\n");
}

/* Also where a text ends like the beginning of a list. */
static void text_that_looks_like_json_stays_text(void **state UNUSED)
{
    buf_clear(&b);
    jsonout_open(&b, NULL, '[');
    jsonout_text(&b, NULL, "[{");
    jsonout_text(&b, NULL, "\",\"x\":\"\\");
    jsonout_close(&b, ']');
    assert_string_equal(b.data, "[\"[{\",\"\\\",\\\"x\\\":\\\"\\\\\"]");
}

static void no_byte_can_break_the_line_or_the_encoding(void **state UNUSED)
{
    assert_string_equal(of_bytes("a\n\r\t\x1b\x7f", 6), "\"a\\u000a\\u000d\\u0009\\u001b\\u007f\"");
    assert_string_equal(of_bytes("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9),
                        "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
    assert_string_equal(of_bytes(NULL, 0), "\"\"");
    assert_string_equal(of_bytes("a\0b", 3), "{\"hex\":\"610062\"}");
    static const char *const invalid[] = {
        "\x80",         "\xc3",     "\xc0\x80",      "\xc1\xbf",         "\xe0\x80\x80",
        "\xed\xa0\x80", "\xe2\x82", "\xf0\x80\x80",  "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
        "\xf5\x80",     "\xff",     "a\xe2\x28\xa1", "\xf0\x9f\x98z",
    };
    for (size_t i = 0; i < ARRAY_LEN(invalid); i++)
        assert_memory_equal(of_bytes(invalid[i], strlen(invalid[i])), "{\"hex\":\"", 8);
}

static void numbers_that_json_readers_round_become_text(void **state UNUSED)
{
    buf_clear(&b);
    jsonout_open(&b, NULL, '[');
    jsonout_int(&b, NULL, INT64_MIN);
    jsonout_unsigned(&b, NULL, INT64_MAX);
    jsonout_unsigned(&b, NULL, UINT64_MAX);
    jsonout_close(&b, ']');
    assert_string_equal(b.data,
                        "[-9223372036854775808,9223372036854775807,\"18446744073709551615\"]");
}

static void reals_are_read_back_bit_by_bit(void **state UNUSED)
{
    static const double reals[] = {0.0, -0.0, 0.1, 1.0 / 3, 1e300, 5e-324, -123456.789, 2.5e-7};
    for (size_t i = 0; i < ARRAY_LEN(reals); i++) {
        double back = strtod(of_real(reals[i]), NULL);
        assert_memory_equal(&back, &reals[i], sizeof(back));
    }
    assert_string_equal(of_real(-0.0), "-0.0");
    assert_string_equal(of_real(0.1), "0.10000000000000001");
    assert_string_equal(of_real(1e300), "1.0000000000000001e+300");
    assert_string_equal(of_real(1e22), "1e+22");
    assert_string_equal(of_real((double)INFINITY), "{\"bits\":\"7ff0000000000000\"}");
    assert_string_equal(of_real(-(double)INFINITY), "{\"bits\":\"fff0000000000000\"}");
    assert_memory_equal(of_real((double)NAN), "{\"bits\":\"7ff8", 13);
}

static void a_locale_with_a_decimal_comma_changes_nothing(void **state UNUSED)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF.UTF-8", "fa_IR.UTF-8"};
    size_t i = 0;
    while (i < ARRAY_LEN(names) && setlocale(LC_ALL, names[i]) == NULL)
        i++;
    if (i == ARRAY_LEN(names))
        print_message("no locale with a decimal comma here: tested in the C locale\n");
    assert_string_equal(of_real(1.5), "1.5");
    assert_non_null(setlocale(LC_ALL, "C"));
}

static int release(void **state UNUSED)
{
    buf_done(&b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_stand_between_values_and_nowhere_else),
        cmocka_unit_test(text_that_looks_like_json_stays_text),
        cmocka_unit_test(no_byte_can_break_the_line_or_the_encoding),
        cmocka_unit_test(numbers_that_json_readers_round_become_text),
        cmocka_unit_test(reals_are_read_back_bit_by_bit),
        cmocka_unit_test(a_locale_with_a_decimal_comma_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
