#include "config.h"

#include "model/octets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OCTETS(s) (const uint8_t *)(s), sizeof(s) - 1

static void text_is_told_from_binary_octets(void **state)
{
    (void)state;
    static const struct {
        const char *octets;
        size_t len, kept;
        enum octets_kind kind;
    } cases[] = {
#define ROW(s, kept, kind) {s, sizeof(s) - 1, kept, OCTETS_##kind}
        ROW("", 0, BINARY),
        ROW("abc 12\r\n\t", 9, ASCII),
        ROW("\n", 1, ASCII),
        ROW("\n\0", 1, BINARY),
        ROW("5\0", 1, ASCII),
        ROW("5\xff", 1, ASCII),
        ROW("5\0\xff\xff\0", 1, ASCII),
        ROW("\0", 0, BINARY),
        ROW("\xff\xff", 0, BINARY),
        ROW("\0"
            "5",
            2, BINARY),
        ROW("5\0"
            "6",
            3, BINARY),
        ROW("\x7f", 1, BINARY),
        ROW("\x1b[0m", 4, BINARY),
        ROW("\xc2\xb0", 2, UTF8),
        ROW("30 \xc2\xb0\x43", 6, UTF8),
        ROW("\xe2\x82\xac", 3, UTF8),
        ROW("\xf0\x9f\x98\x80", 4, UTF8),
        ROW("a\xc3", 2, LATIN1),
        ROW("a\xb0", 2, LATIN1),
        ROW("a\xe2\x82", 3, BINARY),         /* 82 is a control character in ISO 8859-1 */
        ROW("a\xc2\x80", 3, BINARY),         /* a control character in UTF-8 */
        ROW("a\xc2\x9f", 3, BINARY),         /* the last of them */
        ROW("a\xc2\xa0", 3, UTF8),           /* a no-break space */
        ROW("a\xc0\xb0", 3, LATIN1),         /* overlong */
        ROW("a\xe0\xa0", 3, LATIN1),         /* cut */
        ROW("a\xed\xa0\xa0", 4, LATIN1),     /* a surrogate */
        ROW("a\xf5\xa0\xa0\xa0", 5, LATIN1), /* beyond Unicode */
        ROW("\xb0\xb1", 2, BINARY),          /* nothing of ASCII */
        ROW("a\x80", 2, BINARY),
#undef ROW
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t kept = 99;
        uint8_t *copy =
            malloc(cases[i].len + 1); /* so that the address sanitizer sees a step too far */
        assert_non_null(copy);
        memcpy(copy + 1, cases[i].octets, cases[i].len);
        enum octets_kind kind = octets_kind(copy + 1, cases[i].len, &kept);
        free(copy);
        if (kind != cases[i].kind || kept != cases[i].kept)
            fail_msg("row %zu: kind %d, %zu octets", i, (int)kind, kept);
    }
}

static void text_comes_out_in_utf8(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    octets_put_text(OCTETS("a\xb0\xff z"), OCTETS_LATIN1, &out);
    octets_put_text(OCTETS("\xc2\xb0"), OCTETS_UTF8, &out);
    octets_put_text(OCTETS("b"), OCTETS_ASCII, &out);
    assert_string_equal(buf_str(&out), "a\xc2\xb0\xc3\xbf z\xc2\xb0"
                                       "b");
    buf_done(&out);
}

static void no_octets_may_be_no_address(void **state)
{
    (void)state;
    size_t kept = 1, ascii, beyond;
    assert_int_equal(octets_kind(NULL, 0, &kept), OCTETS_BINARY);
    assert_int_equal(kept, 0);
    octets_count(NULL, 0, &ascii, &beyond);
    assert_int_equal(ascii + beyond, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_told_from_binary_octets),
        cmocka_unit_test(text_comes_out_in_utf8),
        cmocka_unit_test(no_octets_may_be_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
