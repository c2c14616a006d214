/* Texts that Cacti's re-index has stored in one form and agents and scripts send in another. */
#include "config.h"

#include "model/indextext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEN     "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* stored, and the octets that the agent sends */
struct pair {
    const char *stored, *sent;
    size_t len;
};

#define PAIR(stored, sent)                                                                         \
    {                                                                                              \
        stored, sent, sizeof(sent) - 1                                                             \
    }

static struct varbind octets(const char *bytes, size_t len)
{
    return (struct varbind){.type = VARBIND_OCTETS, .octets = {(const uint8_t *)bytes, len}};
}

static void check(const struct pair *pairs, size_t count, bool expected)
{
    for (size_t i = 0; i < count; i++) {
        struct varbind vb = octets(pairs[i].sent, pairs[i].len);
        if (indextext_equal(pairs[i].stored, &vb) != expected)
            fail_msg("'%s' is %sthe text of pair %zu", pairs[i].stored, expected ? "not " : "", i);
    }
}

static void odd_but_legal_texts_are_what_cacti_has_stored(void **state UNUSED)
{
    const struct pair pairs[] = {
        PAIR("eth0", "eth0"),
        PAIR("", ""),
        /* blanks and line ends around it */
        PAIR("eth0", " eth0"),
        PAIR("eth0", "eth0  "),
        PAIR("eth0", "\teth0\r\n"),
        PAIR("uplink 1", "  uplink 1\v"),
        /* quotes and backslashes, which Cacti removes */
        PAIR("C: Label:System  Serial Number 1", "C:\\ Label:System  Serial Number 1"),
        PAIR("to core", "to \"core\""),
        PAIR("to core", "\"to core\""),
        PAIR("Bobs desk", "Bob's desk"),
        PAIR("a  b", "<a> \\ b"),
        PAIR("nic02", "nic\\0\\2"),
        /* the same bytes, for a Cacti that keeps them */
        PAIR("to \"core\"", "to \"core\""),
        PAIR("C:\\", "C:\\"),
        PAIR("\\\"eth0\\\"", "\"eth0\""),
        /* padding */
        PAIR("eth0", "eth0\0"),
        PAIR("eth0", "eth0\0\0\0\0"),
        PAIR("eth0", "eth0\xff\xff"),
        PAIR("65 74 68 30 00", "eth0\0"),
        /* 16 bytes a line in the output of net-snmp's tools, lines joined */
        PAIR("00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F10 11",
             "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11"),
        /* lines */
        PAIR("line 1line 2", "line 1\nline 2"),
        PAIR("line 1 line 2", "line 1\nline 2"),
        /* labels that Cacti takes for types */
        PAIR("tank 5", "Gauge: tank 5"),
        PAIR("my cheese", "mystring: cheese"),
        PAIR("Counter: 5", "Counter: 5"),
        /* sentences that it takes for absence */
        PAIR("", "No more than 5"),
        PAIR("", "End of MIB"),
    };
    check(pairs, ARRAY_LEN(pairs), true);
}

static void
texts_that_are_not_ASCII_are_what_cacti_and_its_database_have_stored(void **state UNUSED)
{
    const struct pair pairs[] = {
        /* UTF-8 */
        PAIR("Z\xc3\xbcrich", "Z\xc3\xbcrich"),
        PAIR("Zrich", "Z\xc3\xbcrich"),
        PAIR("5A C3 BC 72 69 63 68", "Z\xc3\xbcrich"),
        PAIR("\xe2\x82\xac 5", "\xe2\x82\xac 5 "),
        PAIR("???? ok", "\xf0\x9f\x98\x80 ok"),
        PAIR("\xf0\x9f\x98\x80 ok", "\xf0\x9f\x98\x80 ok"),
        PAIR("\xc3\x83\xc2\xbc", "\xc3\xbc"), /* made UTF-8 a second time */
        /* Latin-1 */
        PAIR("Z\xfcrich", "Z\xfcrich"),
        PAIR("Zrich", "Z\xfcrich"),
        PAIR("Z?rich", "Z\xfcrich"),
        PAIR("Z\xc3\xbcrich", "Z\xfcrich"),
        PAIR("Z", "Z\xfcrich"),
        PAIR("5afc72696368", "Z\xfcrich"),
        PAIR("5A:FC:72:69:63:68", "Z\xfcrich"),
        PAIR("5A FC 72 69 63 68", "Z\xfcrich"),
        PAIR("Z?rich", "Z\xfcrich\xff\xff"), /* padded */
        PAIR("eth0?", "eth0\xff"),
        /* lines */
        PAIR("Z\xfcrich Bern", "Z\xfcrich\nBern"),
        PAIR("ZrichBern", "Z\xfcrich\nBern"),
        /* both in one text */
        PAIR("\xc3\xbc Zrich", "\xc3\xbc Z\xfcrich"),
        PAIR("\xc3\xbc Z?rich", "\xc3\xbc Z\xfcrich"),
        PAIR("\xf0\x9f\x98\x80 Zrich", "\xf0\x9f\x98\x80 Z\xfcrich"),
        PAIR("\xf0\x9f\x98\x80 Z?rich", "\xf0\x9f\x98\x80 Z\xfcrich"),
    };
    check(pairs, ARRAY_LEN(pairs), true);
}

static void addresses_are_what_cacti_has_stored(void **state UNUSED)
{
    const struct pair pairs[] = {
        PAIR("00:1B:21:3C:4D:5E", "\x00\x1b\x21\x3c\x4d\x5e"),
        PAIR("00:1b:21:3c:4d:5e", "\x00\x1b\x21\x3c\x4d\x5e"),
        PAIR("00 1B 21 3C 4D 5E", "\x00\x1b\x21\x3c\x4d\x5e"),
        PAIR("Hex- 00 1B 21 3C 4D 5E", "\x00\x1b\x21\x3c\x4d\x5e"),
        PAIR("001b213c4d5e", "\x00\x1b\x21\x3c\x4d\x5e"),
        PAIR("00-1B-21-3C-4D-5E", "\x00\x1b\x21\x3c\x4d\x5e"),
        PAIR("!M^", "\x00\x1b\x21\x3c\x4d\x5e"),
        PAIR("", "\0\0\0\0\0\0"),
        PAIR("00:00:00:00:00:00", "\0\0\0\0\0\0"),
        PAIR("192.168.1.254", "\xc0\xa8\x01\xfe"),
        PAIR("C0 A8 01 FE", "\xc0\xa8\x01\xfe"),
        PAIR("Hex- 80", "\x80"),
        PAIR("20 01 0D B8 00 00 00 00 00 00 00 00 00 00 00 01",
             "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"),
    };
    check(pairs, ARRAY_LEN(pairs), true);
}

static void a_text_that_has_changed_is_seen(void **state UNUSED)
{
    const struct pair pairs[] = {
        PAIR("eth0", "eth1"),
        PAIR("eth0", "eth"),
        PAIR("eth0", "eth01"),
        PAIR("eth0", ""),
        PAIR("", "eth0"),
        PAIR("ETH0", "eth0"),
        PAIR("Port 11", "Port 1 1"),
        PAIR("Z\xc3\xbcrich", "Zurich"),
        PAIR("Z\xc3\xbcrich", "Zrich"),
        PAIR("35", "5"),
        PAIR("5", "35"),
        PAIR("6162", "ab"),
        PAIR("00:1B:21:3C:4D:5E", "\x00\x1b\x21\x3c\x4d\x5f"),
        PAIR("00:1B:21:3C:4D", "\x00\x1b\x21\x3c\x4d\x5e"),
        PAIR("00:1B:21:3C:4D:5E:", "\x00\x1b\x21\x3c\x4d\x5e"),
        PAIR("00:1B-21", "\x00\x1b\x21"),
        PAIR("00 1B 2", "\x00\x1b\x21"),
        PAIR("", "No\xff more"), /* none of the sentences about absence */
        PAIR("192.168.1.254", "\xc0\xa8\x01\xfd"),
        PAIR(TEN TEN TEN, TEN TEN TEN TEN),
    };
    check(pairs, ARRAY_LEN(pairs), false);
    struct varbind shorter = octets(HUNDRED, 99);
    assert_false(indextext_equal(HUNDRED, &shorter));
}

static void a_text_is_compared_up_to_the_width_of_the_column(void **state UNUSED)
{
#define UMLAUTS "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc"
#define QUOTES  "\"\"\"\"\"\"\"\"\"\""
#define BLANKS  "          "
#define FIFTY   UMLAUTS UMLAUTS UMLAUTS UMLAUTS UMLAUTS UMLAUTS UMLAUTS UMLAUTS UMLAUTS UMLAUTS
    const struct pair pairs[] = {
        PAIR(HUNDRED, HUNDRED),
        PAIR(HUNDRED, HUNDRED "0"),
        PAIR(HUNDRED, HUNDRED HUNDRED),
        PAIR(HUNDRED "abc", HUNDRED "abcd"), /* a site may have widened the column */
        PAIR(FIFTY FIFTY, FIFTY FIFTY "\xc3\xbc and more"),
        PAIR(TEN TEN TEN TEN TEN TEN TEN TEN TEN "123456789 ",
             TEN TEN TEN TEN TEN TEN TEN TEN TEN "123456789 more"),
        /* 34 bytes in hex, cut within a byte or behind a separator */
        PAIR("80 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 11 12 13 14 15 16 17 18 19 1A 1B "
             "1C "
             "1D 1E 1F 20 2",
             "\x80\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14"
             "\x15"
             "\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x20\x21\x22"),
    };
    check(pairs, ARRAY_LEN(pairs), true);
    const struct pair others[] = {
        PAIR(HUNDRED, TEN TEN TEN TEN TEN TEN TEN TEN TEN "012345678x" TEN),
        PAIR(FIFTY "short", FIFTY "shorter"),
        /* nothing remains of what is stored */
        PAIR(QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES QUOTES, "eth0"),
        PAIR("Hex-" BLANKS BLANKS BLANKS BLANKS BLANKS BLANKS BLANKS BLANKS BLANKS BLANKS, "\x80"),
    };
    check(others, ARRAY_LEN(others), false);
}

static void
hex_pairs_are_compared_up_to_the_end_of_the_column_and_of_the_octets(void **state UNUSED)
{
    enum { FULL = INDEXTEXT_COLUMN_CHARS / 2 };
    uint8_t bytes[FULL + 1];
    struct buf stored = BUF_INIT;
    for (size_t i = 0; i < ARRAY_LEN(bytes); i++)
        bytes[i] = (uint8_t)(0x80 + i);
    for (size_t i = 0; i < FULL; i++)
        buf_printf(&stored, "%02X", bytes[i]);
    struct varbind vb = {.type = VARBIND_OCTETS, .octets = {bytes, FULL}};
    assert_true(indextext_equal(buf_str(&stored), &vb));
    vb.octets.len = FULL + 1; /* the column takes no more */
    assert_true(indextext_equal(buf_str(&stored), &vb));
    vb.octets.len = FULL - 1; /* what stands behind the octets does not count */
    assert_false(indextext_equal(buf_str(&stored), &vb));
    buf_done(&stored);
}

static void an_object_identifier_is_the_same_however_it_is_written(void **state UNUSED)
{
    static const uint32_t sub[] = {1, 3, 6, 1, 4, 1, 8072, 3, 2, 10};
    const struct varbind vb = {.type = VARBIND_OBJECT_ID, .oid = {sub, ARRAY_LEN(sub)}};
    assert_true(indextext_equal(".1.3.6.1.4.1.8072.3.2.10", &vb));
    assert_true(indextext_equal("1.3.6.1.4.1.8072.3.2.10", &vb));
    assert_true(indextext_equal("iso.3.6.1.4.1.8072.3.2.10", &vb));
    assert_true(indextext_equal("OID: .1.3.6.1.4.1.8072.3.2.10", &vb)); /* by snmpget */
    assert_false(indextext_equal(".1.3.6.1.4.1.8072.3.2.1", &vb));
    assert_false(indextext_equal(".1.3.6.1.4.1.8072.3.2.101", &vb));
    assert_false(indextext_equal("", &vb));
    struct buf out = BUF_INIT;
    indextext_put(&vb, &out);
    assert_string_equal(buf_str(&out), ".1.3.6.1.4.1.8072.3.2.10");
    buf_done(&out);
}

static void an_object_identifier_without_parts_is_no_other_text(void **state UNUSED)
{
    const struct varbind vb = {.type = VARBIND_OBJECT_ID, .oid = {NULL, 0}};
    assert_true(indextext_equal("", &vb));
    assert_false(indextext_equal("eth0", &vb));
}

static void a_long_object_identifier_is_compared_up_to_the_width_of_the_column(void **state UNUSED)
{
    uint32_t sub[40] = {1, 3};
    struct buf text = BUF_INIT;
    for (size_t i = 2; i < ARRAY_LEN(sub); i++)
        sub[i] = 1000 + (uint32_t)i;
    struct varbind vb = {.type = VARBIND_OBJECT_ID, .oid = {sub, ARRAY_LEN(sub)}};
    indextext_put(&vb, &text);
    buf_truncate(&text, INDEXTEXT_COLUMN_CHARS);
    assert_true(indextext_equal(buf_str(&text), &vb));
    struct buf labelled = BUF_INIT;
    buf_printf(&labelled, "OID: %.95s", buf_str(&text));
    assert_true(indextext_equal(buf_str(&labelled), &vb));
    buf_done(&labelled);
    sub[5]++;
    assert_false(indextext_equal(buf_str(&text), &vb));
    buf_done(&text);
}

static void numbers_and_addresses_are_compared_as_they_are_shown(void **state UNUSED)
{
    const struct varbind five = {.type = VARBIND_INTEGER, .integer = 5};
    const struct varbind big = {.type = VARBIND_COUNTER64, .number = UINT64_MAX};
    const struct varbind ip = {.type = VARBIND_IPADDRESS,
                               .octets = {(const uint8_t *)"\x0a\x00\x00\x01", 4}};
    const struct varbind hour = {.type = VARBIND_TIMETICKS, .number = 360001};
    assert_true(indextext_equal("360001", &hour));
    assert_true(indextext_equal("0:1:00:00.01", &hour)); /* by snmpbulkwalk */
    assert_false(indextext_equal("0:1:00:00.00", &hour));
    assert_true(indextext_equal("5", &five));
    assert_true(indextext_equal(" 5", &five));
    assert_false(indextext_equal("55", &five));
    assert_false(indextext_equal("", &five));
    assert_true(indextext_equal("18446744073709551615", &big));
    assert_true(indextext_equal("10.0.0.1", &ip));
    assert_false(indextext_equal("10.0.0.2", &ip));
}

static void an_opaque_value_is_the_same_with_the_labels_that_snmpget_prints(void **state UNUSED)
{
    const struct varbind load = {.type = VARBIND_OPAQUE_FLOAT, .real = 1.5};
    const struct varbind big = {.type = VARBIND_OPAQUE_DOUBLE, .real = 1e300};
    const struct varbind octets64 = {.type = VARBIND_OPAQUE_COUNTER64, .number = 7};
    const struct varbind less = {.type = VARBIND_OPAQUE_INT64, .integer = -7};
    const struct varbind more = {.type = VARBIND_OPAQUE_UINT64, .number = 9};
    const struct varbind raw = {.type = VARBIND_OPAQUE, .octets = {(const uint8_t *)"\x12\x34", 2}};
    const struct varbind none = {.type = VARBIND_OPAQUE, .octets = {(const uint8_t *)"", 0}};
    const struct {
        const char *stored;
        const struct varbind *vb;
    } same[] = {
        {"1.500000", &load},       {"Opaque:  1.500000", &load}, {"7", &octets64},
        {"Opaque:  7", &octets64}, {"Opaque: Int64: -7", &less}, {"Opaque: UInt64: 9", &more},
        {"12 34", &raw},           {"OPAQUE: 12 34", &raw},      {"", &none},
        {"OPAQUE:", &none},
    };
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        if (!indextext_equal(same[i].stored, same[i].vb))
            fail_msg("'%s' is not the value", same[i].stored);
    assert_false(indextext_equal("Opaque:  1.600000", &load));
    assert_false(indextext_equal("Opaque:  1.5000001", &load));
    assert_false(indextext_equal("Opaque: Int64: 7", &less));
    assert_false(indextext_equal("OPAQUE: 12 35", &raw));
    const struct varbind five = {.type = VARBIND_INTEGER, .integer = 5};
    assert_false(indextext_equal("Opaque: 5", &five));
    struct buf text = BUF_INIT, cut = BUF_INIT;
    varbind_text(&big, &text);
    buf_printf(&cut, "Opaque:  %.91s", buf_str(&text)); /* as many characters as the column takes */
    assert_true(indextext_equal(buf_str(&cut), &big));
    buf_done(&text);
    buf_done(&cut);
}

static void a_script_s_output_is_trimmed_and_otherwise_compared_as_it_is(void **state UNUSED)
{
    const struct pair same[] = {
        PAIR("eth0", "eth0\n"),
        PAIR("eth0", " eth0 \r\n"),
        PAIR("\"eth0\"", "\"eth0\"\n"),
        PAIR("it's", "it's\n"),
        PAIR("C:\\", "C:\\\n"),
        PAIR("a<b", "a<b"),
        PAIR("Z\xc3\xbcrich", "Z\xc3\xbcrich\n"),
        PAIR("Z?rich", "Z\xfcrich\n"),
        PAIR("5A FC 72 69 63 68", "Z\xfcrich"),
        PAIR("", "\n"),
        PAIR("Gauge: 5", "Gauge: 5\n"),
        PAIR(HUNDRED, HUNDRED " and\n"),
    };
    const struct pair others[] = {
        PAIR("eth0", "eth1\n"), PAIR("its", "it's\n"), PAIR("ab", "a<b"),
        PAIR("5", "Gauge: 5"),  PAIR("eth0", "\n"),    PAIR("65 74 68 30", "eth0"),
    };
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        if (!indextext_equal_output(same[i].stored, same[i].sent, same[i].len))
            fail_msg("'%s' is not found in output %zu", same[i].stored, i);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(indextext_equal_output(others[i].stored, others[i].sent, others[i].len));
}

/* What is stored after a change must be found equal in the next cycle. */
static void what_the_poller_stores_itself_is_equal_afterwards(void **state UNUSED)
{
    const struct pair pairs[] = {
        PAIR("eth0", "eth0\0"),
        PAIR("to core", " to \"core\" "),
        PAIR("Z\xc3\xbcrich", "Z\xc3\xbcrich"),
        PAIR("5A FC 72 69 63 68", "Z\xfcrich"),
        PAIR("00 1B 21 3C 4D 5E", "\x00\x1b\x21\x3c\x4d\x5e"),
        PAIR("80", "\x80"),
        PAIR("", " \t"),
        PAIR("line 1line 2", "line 1\rline 2"),
        PAIR("65 00 30", "e\0"
                         "0"),
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct varbind vb = octets(pairs[i].sent, pairs[i].len);
        struct buf out = BUF_INIT;
        indextext_put(&vb, &out);
        assert_string_equal(buf_str(&out), pairs[i].stored);
        assert_true(indextext_equal(buf_str(&out), &vb));
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_but_legal_texts_are_what_cacti_has_stored),
        cmocka_unit_test(texts_that_are_not_ASCII_are_what_cacti_and_its_database_have_stored),
        cmocka_unit_test(addresses_are_what_cacti_has_stored),
        cmocka_unit_test(a_text_that_has_changed_is_seen),
        cmocka_unit_test(a_text_is_compared_up_to_the_width_of_the_column),
        cmocka_unit_test(hex_pairs_are_compared_up_to_the_end_of_the_column_and_of_the_octets),
        cmocka_unit_test(an_object_identifier_is_the_same_however_it_is_written),
        cmocka_unit_test(an_object_identifier_without_parts_is_no_other_text),
        cmocka_unit_test(a_long_object_identifier_is_compared_up_to_the_width_of_the_column),
        cmocka_unit_test(numbers_and_addresses_are_compared_as_they_are_shown),
        cmocka_unit_test(an_opaque_value_is_the_same_with_the_labels_that_snmpget_prints),
        cmocka_unit_test(a_script_s_output_is_trimmed_and_otherwise_compared_as_it_is),
        cmocka_unit_test(what_the_poller_stores_itself_is_equal_afterwards),
    };
    return cmocka_run_group_tests_name("texts of indexes", tests, NULL, NULL);
}
