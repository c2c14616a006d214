#include "config.h"

#include "base/utf8.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The form of RFC 3629 section 3 for that code point, whether it may be encoded or not. */
static size_t encode(uint32_t code, size_t len, uint8_t *out)
{
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len; i-- > 1; code >>= 6)
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
    out[0] = (uint8_t)(leads[len] | code);
    return len;
}

static size_t shortest(uint32_t code)
{
    return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

static void every_code_point_is_a_character_in_its_shortest_form_alone(void **state UNUSED)
{
    for (uint32_t code = 0; code < 0x110000 + 0x100; code++) {
        bool is_character = code < 0x110000 && (code < 0xd800 || code > 0xdfff);
        for (size_t len = shortest(code); len <= 4; len++) {
            uint8_t bytes[5] = {0};
            encode(code, len, bytes);
            size_t expected = is_character && len == shortest(code) ? len : 0;
            if (utf8_length(bytes, sizeof(bytes)) != expected)
                fail_msg("U+%04X in %zu bytes", (unsigned)code, len);
            for (size_t left = 0; left < len; left++)
                assert_int_equal(utf8_length(bytes, left), 0);
        }
    }
}

static void a_byte_that_continues_nothing_is_no_character(void **state UNUSED)
{
    static const char *const bad[] = {
        "\x80",  "\xbf",     "\xc0\x80",  "\xc1\xbf",  "\xf5\x80\x80\x80", "\xff",         "\xc3",
        "\xc3(", "\xe2\x82", "\xe2(\xac", "\xe2\x82(", "\xf0\x9f\x98(",    "\xf0\x9f(\x80"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(utf8_length(bad[i], strlen(bad[i])), 0);
        assert_false(utf8_is_valid(bad[i], strlen(bad[i])));
    }
}

static void a_text_is_valid_if_all_of_it_is(void **state UNUSED)
{
    static const char good[] = "a\0b \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80";
    assert_true(utf8_is_valid(good, sizeof(good) - 1));
    assert_false(utf8_is_valid(good, sizeof(good) - 2));
    assert_true(utf8_is_valid("", 0));
}

static void a_cut_leaves_no_half_of_a_character(void **state UNUSED)
{
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
    static const size_t cuts[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
    for (size_t at = 0; at < ARRAY_LEN(cuts); at++)
        assert_int_equal(utf8_cut(text, at), cuts[at]);
    assert_int_equal(utf8_cut("\x80\x80\x80", 2), 0);
}

static void iso_8859_1_becomes_utf_8(void **state UNUSED)
{
    for (unsigned c = 0; c < 256; c++) {
        struct buf out = BUF_INIT;
        uint8_t expected[2];
        size_t len = encode(c, shortest(c), expected);
        utf8_put_latin1(&out, (unsigned char)c);
        assert_int_equal(out.len, len);
        assert_memory_equal(out.data, expected, len);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_a_character_in_its_shortest_form_alone),
        cmocka_unit_test(a_byte_that_continues_nothing_is_no_character),
        cmocka_unit_test(a_text_is_valid_if_all_of_it_is),
        cmocka_unit_test(a_cut_leaves_no_half_of_a_character),
        cmocka_unit_test(iso_8859_1_becomes_utf_8),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
