#include "config.h"

#include "model/oid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OID(...)                                                                                   \
    ((struct oid){(const uint32_t[]){__VA_ARGS__},                                                 \
                  sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)})

static void assert_parses(const char *text, struct oid expected)
{
    uint32_t sub[OID_MAX_LEN];
    size_t len = oid_parse(text, sub);
    if (!oid_equal((struct oid){sub, len}, expected))
        fail_msg("\"%s\" gave %zu other sub-identifiers", text, len);
}

static void assert_unparsable(const char *text)
{
    uint32_t sub[OID_MAX_LEN] = {4711};
    if (oid_parse(text, sub) != 0)
        fail_msg("\"%s\" was accepted", text);
    assert_int_equal(sub[0], 4711);
}

static void the_three_spellings_mean_the_same(void **state)
{
    (void)state;
    assert_parses(".1.3.6.1.2.1", OID(1, 3, 6, 1, 2, 1));
    assert_parses("1.3.6.1.2.1", OID(1, 3, 6, 1, 2, 1));
    assert_parses("iso.3.6.1.2.1", OID(1, 3, 6, 1, 2, 1));
}

static void limits_of_the_standard_are_accepted(void **state)
{
    (void)state;
    assert_parses("0.0", OID(0, 0));
    assert_parses("iso.3", OID(1, 3));
    assert_parses(".1.39.0", OID(1, 39, 0));
    assert_parses(".2.999.4294967295", OID(2, 999, UINT32_MAX));
    assert_parses(".1.03.006", OID(1, 3, 6));
}

static void what_is_not_an_identifier_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ".",
        "1",
        ".1",
        "iso",
        "iso.",
        ".iso.3.6",
        "ISO.3.6",
        "isolde.3",
        "iso3.6",
        "1.3.",
        "1..3",
        "..1.3",
        "1.3 ",
        " 1.3",
        "1.3\n",
        "1. 3",
        "-1.3",
        "1.-3",
        "1.+3",
        "1.3.0x10",
        "sysUpTime.0",
        "1.3.a",
        "1.3.6.",
        "3.1",
        "1.40",
        "0.40",
        "1.3.4294967296",
        "1,3",
        "1.3.6/2",
        "1.3.99999999999999999999999999999999999999",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_unparsable(bad[i]);
}

static void identifiers_of_128_parts_fit_and_longer_ones_do_not(void **state)
{
    (void)state;
    static const char *const heads[] = {"1.3", ".1.3", "iso.3"};
    for (size_t h = 0; h < ARRAY_LEN(heads); h++) {
        struct buf text = BUF_INIT;
        buf_puts(&text, heads[h]);
        for (uint32_t i = 2; i < OID_MAX_LEN; i++)
            buf_printf(&text, ".%u", (unsigned)i);
        uint32_t sub[OID_MAX_LEN];
        assert_int_equal(oid_parse(text.data, sub), OID_MAX_LEN);
        assert_int_equal(sub[OID_MAX_LEN - 1], OID_MAX_LEN - 1);
        buf_putc(&text, '.');
        assert_unparsable(text.data);
        buf_putc(&text, '1');
        assert_unparsable(text.data);
        buf_done(&text);
    }
}

static void assert_prints(struct oid oid, const char *iso, const char *dotted)
{
    struct buf out = BUF_INIT;
    buf_puts(&out, "<");
    oid_print_iso(oid, &out);
    buf_puts(&out, ">");
    oid_print(oid, &out);
    struct buf expected = BUF_INIT;
    buf_printf(&expected, "<%s>%s", iso, dotted);
    assert_string_equal(buf_str(&out), buf_str(&expected));
    buf_done(&expected);
    buf_done(&out);
}

static void identifiers_are_shown_as_cacti_knows_them(void **state)
{
    (void)state;
    assert_prints(OID(1, 3, 6, 1), "iso.3.6.1", ".1.3.6.1");
    assert_prints(OID(1, 3, UINT32_MAX), "iso.3.4294967295", ".1.3.4294967295");
    assert_prints(OID(1), "iso", ".1");
    assert_prints(OID(0, 0), "ccitt.0", ".0.0");
    assert_prints(OID(2, 5), "joint-iso-ccitt.5", ".2.5");
    assert_prints(OID(3, 5), ".3.5", ".3.5");
    assert_prints((struct oid){NULL, 0}, "", "");
}

static void order_is_that_of_an_agent(void **state)
{
    (void)state;
    static const uint32_t tens[] = {1, 3, 10};
    static const uint32_t nines[] = {1, 3, 9, 9};
    struct oid ten = {tens, 3}, nine = {nines, 4};
    assert_true(oid_compare(nine, ten) < 0);
    assert_true(oid_compare(ten, nine) > 0);
    assert_true(oid_compare(OID(1, 3), ten) < 0);
    assert_true(oid_compare(ten, OID(1, 3)) > 0);
    assert_true(oid_compare(OID(1, 3, UINT32_MAX), OID(1, 3, 1)) > 0);
    assert_int_equal(oid_compare(ten, OID(1, 3, 10)), 0);
    assert_true(oid_compare((struct oid){NULL, 0}, OID(0)) < 0);
    assert_true(oid_equal((struct oid){NULL, 0}, (struct oid){NULL, 0}));
    assert_true(oid_equal(ten, OID(1, 3, 10)));
    assert_false(oid_equal(ten, OID(1, 3)));
    assert_false(oid_equal(ten, OID(1, 3, 11)));
}

static void a_walk_ends_where_the_subtree_ends(void **state)
{
    (void)state;
    assert_true(oid_within(OID(1, 3, 6), OID(1, 3, 6, 1)));
    assert_true(oid_within(OID(1, 3, 6), OID(1, 3, 6)));
    assert_false(oid_within(OID(1, 3, 6), OID(1, 3)));
    assert_false(oid_within(OID(1, 3, 6), OID(1, 3, 7)));
    assert_false(oid_within(OID(1, 3, 6), OID(1, 3, 61)));
    assert_true(oid_within((struct oid){NULL, 0}, OID(1, 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_spellings_mean_the_same),
        cmocka_unit_test(limits_of_the_standard_are_accepted),
        cmocka_unit_test(what_is_not_an_identifier_is_refused),
        cmocka_unit_test(identifiers_of_128_parts_fit_and_longer_ones_do_not),
        cmocka_unit_test(identifiers_are_shown_as_cacti_knows_them),
        cmocka_unit_test(order_is_that_of_an_agent),
        cmocka_unit_test(a_walk_ends_where_the_subtree_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
