#include "config.h"

#include "model/varbind.h"

#include "model/value.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OCTETS(bytes)                                                                              \
    {                                                                                              \
        .data = (const uint8_t *)(bytes), .len = sizeof(bytes) - 1                                 \
    }
#define OID(...)                                                                                   \
    {                                                                                              \
        (const uint32_t[]){__VA_ARGS__},                                                           \
            sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)                             \
    }

/* Text of the varbind and what Cacti stores of it. */
struct row {
    struct varbind vb;
    const char *text;
    const char *stored;
};

static void check(const struct row *row)
{
    struct buf out = BUF_INIT;
    buf_puts(&out, "<");
    varbind_text(&row->vb, &out);
    assert_string_equal(buf_str(&out) + 1, row->text);
    buf_truncate(&out, 1);
    bool known = value_from_varbind(&row->vb, &out);
    assert_string_equal(buf_str(&out) + 1, row->stored);
    assert_int_equal(buf_str(&out)[0], '<');
    assert_int_equal(known, strcmp(row->stored, "U") != 0);
    buf_done(&out);
}

static void check_all(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(&rows[i]);
}

static void integers_are_decimal(void **state)
{
    (void)state;
    const struct row rows[] = {
        {{.type = VARBIND_INTEGER, .integer = 42}, "42", "42"},
        {{.type = VARBIND_INTEGER, .integer = -7}, "-7", "-7"},
        {{.type = VARBIND_INTEGER, .integer = INT32_MIN}, "-2147483648", "-2147483648"},
        {{.type = VARBIND_INTEGER, .integer = 0}, "0", "0"},
        {{.type = VARBIND_COUNTER32, .number = UINT32_MAX}, "4294967295", "4294967295"},
        {{.type = VARBIND_GAUGE32, .number = UINT32_MAX}, "4294967295", "4294967295"},
        {{.type = VARBIND_TIMETICKS, .number = 123456}, "123456", "123456"},
        {{.type = VARBIND_COUNTER64, .number = UINT64_MAX},
         "18446744073709551615",
         "18446744073709551615"},
        {{.type = VARBIND_OPAQUE_COUNTER64, .number = 4660}, "4660", "4660"},
        {{.type = VARBIND_OPAQUE_UINT64, .number = 4660}, "4660", "4660"},
        {{.type = VARBIND_OPAQUE_INT64, .integer = -10}, "-10", "-10"},
        {{.type = VARBIND_OPAQUE_INT64, .integer = INT64_MIN},
         "-9223372036854775808",
         "-9223372036854775808"},
    };
    check_all(rows, ARRAY_LEN(rows));
}

static void reals_have_six_decimals_and_must_be_finite(void **state)
{
    (void)state;
    const struct row rows[] = {
        {{.type = VARBIND_OPAQUE_FLOAT, .real = 1.5}, "1.500000", "1.500000"},
        {{.type = VARBIND_OPAQUE_DOUBLE, .real = 2.25}, "2.250000", "2.250000"},
        {{.type = VARBIND_OPAQUE_DOUBLE, .real = -0.5}, "-0.500000", "-0.500000"},
        {{.type = VARBIND_OPAQUE_DOUBLE, .real = 1e-30}, "0.000000", "0.000000"},
        {{.type = VARBIND_OPAQUE_FLOAT, .real = (double)INFINITY}, "inf", "U"},
        {{.type = VARBIND_OPAQUE_DOUBLE, .real = -(double)INFINITY}, "-inf", "U"},
    };
    check_all(rows, ARRAY_LEN(rows));
    struct buf out = BUF_INIT;
    const struct varbind nan = {.type = VARBIND_OPAQUE_FLOAT, .real = (double)NAN};
    assert_false(value_from_varbind(&nan, &out));
    buf_clear(&out);
    const struct varbind huge = {.type = VARBIND_OPAQUE_DOUBLE, .real = DBL_MAX};
    assert_true(value_from_varbind(&huge, &out));
    assert_int_equal(out.len, 309 + 1 + 6);
    buf_done(&out);
}

static char locales[] = "/tmp/test_varbind.XXXXXX";

/* Compiled here: few systems have one installed. */
static bool use_decimal_comma(void)
{
    char command[200];
    assert_non_null(mkdtemp(locales));
    snprintf(command, sizeof(command), "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 2>&1", locales);
    bool made = system(command) == 0;
    setenv("LOCPATH", locales, 1);
    bool used = made && setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
    snprintf(command, sizeof(command), "rm -r %s", locales);
    assert_int_equal(system(command), 0);
    return used;
}

static void reals_have_a_dot_whatever_the_locale(void **state)
{
    (void)state;
    if (!use_decimal_comma()) {
        print_message("SKIP: localedef cannot compile de_DE; install the package locales\n");
        skip();
    }
    assert_string_equal(localeconv()->decimal_point, ",");
    const struct row row = {
        {.type = VARBIND_OPAQUE_DOUBLE, .real = 1234567.5}, "1234567.500000", "1234567.500000"};
    check(&row);
    assert_non_null(setlocale(LC_ALL, "C"));
}

static void printable_octets_are_text(void **state)
{
    (void)state;
    const struct row rows[] = {
        {{.type = VARBIND_OCTETS, .octets = OCTETS("")}, "", "U"},
        {{.type = VARBIND_OCTETS, .octets = {NULL, 0}}, "", "U"},
        {{.type = VARBIND_OCTETS, .octets = OCTETS("5 ms")}, "5 ms", "5"},
        {{.type = VARBIND_OCTETS, .octets = OCTETS("a \"b\" \\c")}, "a \"b\" \\c", "U"},
        {{.type = VARBIND_OCTETS, .octets = OCTETS("\t\n\v\f\r 7~")}, "\t\n\v\f\r 7~", "U"},
        {{.type = VARBIND_OCTETS, .octets = OCTETS("in:1 out:2")}, "in:1 out:2", "in:1 out:2"},
    };
    check_all(rows, ARRAY_LEN(rows));
}

static void other_octets_are_hex_and_a_number(void **state)
{
    (void)state;
    const struct row rows[] = {
        {{.type = VARBIND_OCTETS, .octets = OCTETS("\xde\xad\xbe\xef")},
         "DE AD BE EF",
         "3735928559"},
        {{.type = VARBIND_OCTETS, .octets = OCTETS("\x80")}, "80", "128"},
        {{.type = VARBIND_OCTETS, .octets = OCTETS("\x1f")}, "1F", "31"},
        {{.type = VARBIND_OCTETS, .octets = OCTETS("\x7f")}, "7F", "127"},
        {{.type = VARBIND_OCTETS, .octets = OCTETS("\0")}, "00", "0"},
        {{.type = VARBIND_OCTETS, .octets = OCTETS("5\1")}, "35 01", "13569"},
        {{.type = VARBIND_OCTETS, .octets = OCTETS("\1\2\3\4\5\6\7\x08\x0b")},
         "01 02 03 04 05 06 07 08 0B",
         "U"},
        {{.type = VARBIND_OPAQUE, .octets = OCTETS("\x12\x34")}, "12 34", "4660"},
        {{.type = VARBIND_OPAQUE, .octets = OCTETS("AB")}, "41 42", "16706"},
        {{.type = VARBIND_OPAQUE, .octets = OCTETS("")}, "", "U"},
    };
    check_all(rows, ARRAY_LEN(rows));
}

static void names_and_addresses_are_not_values(void **state)
{
    (void)state;
    const struct row rows[] = {
        {{.type = VARBIND_IPADDRESS, .octets = OCTETS("\xc0\xa8\x01\xfe")}, "192.168.1.254", "U"},
        {{.type = VARBIND_IPADDRESS, .octets = OCTETS("\x0a\x01")}, "10.1", "U"},
        {{.type = VARBIND_OBJECT_ID, .oid = OID(1, 3, 6, 1, 4, 1, 8072)},
         "iso.3.6.1.4.1.8072",
         "U"},
        {{.type = VARBIND_OBJECT_ID, .oid = OID(0, 0)}, "ccitt.0", "U"},
        {{.type = VARBIND_OBJECT_ID, .oid = OID(5)}, ".5", "U"},
        {{.type = VARBIND_NULL}, "NULL", "U"},
    };
    check_all(rows, ARRAY_LEN(rows));
}

static void absence_is_unknown_and_reads_like_no_value(void **state)
{
    (void)state;
    static const enum varbind_type types[] = {VARBIND_NO_SUCH_OBJECT, VARBIND_NO_SUCH_INSTANCE,
                                              VARBIND_END_OF_MIB_VIEW, VARBIND_UNKNOWN};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        const struct varbind vb = {.type = types[i]};
        struct buf text = BUF_INIT, out = BUF_INIT;
        varbind_text(&vb, &text);
        assert_true(text.len > 5);
        assert_int_equal(strcspn(text.data, ":!0123456789"), text.len);
        assert_false(value_normalise(text.data, text.len, &out));
        assert_false(value_from_varbind(&vb, &out));
        assert_string_equal(buf_str(&out), "UU");
        assert_int_equal(varbind_is_exception(&vb), types[i] != VARBIND_UNKNOWN);
        buf_done(&text);
        buf_done(&out);
    }
}

static void a_value_is_no_exception(void **state)
{
    (void)state;
    for (int type = VARBIND_INTEGER; type < VARBIND_NO_SUCH_OBJECT; type++) {
        const struct varbind vb = {.type = (enum varbind_type)type};
        assert_false(varbind_is_exception(&vb));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_decimal),
        cmocka_unit_test(reals_have_six_decimals_and_must_be_finite),
        cmocka_unit_test(reals_have_a_dot_whatever_the_locale),
        cmocka_unit_test(printable_octets_are_text),
        cmocka_unit_test(other_octets_are_hex_and_a_number),
        cmocka_unit_test(names_and_addresses_are_not_values),
        cmocka_unit_test(absence_is_unknown_and_reads_like_no_value),
        cmocka_unit_test(a_value_is_no_exception),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
