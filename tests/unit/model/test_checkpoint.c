#include "config.h"

#include "model/checkpoint.h"

#include "model/spoolrec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static uint32_t ids[] = {0, 3, 4, 5, 9, 11, UINT32_MAX};

static struct checkpoint made(void)
{
    return (struct checkpoint){.database = "cacti",
                               .poller_id = 2,
                               .start_s = 1700000000,
                               .interval_s = 300,
                               .has_range = true,
                               .first = 0,
                               .last = UINT32_MAX,
                               .ids = ids,
                               .count = sizeof(ids) / sizeof(ids[0])};
}

static const char made_lines[] = "spine-checkpoint 1\ndatabase cacti\npoller 2\nstart 1700000000\n"
                                 "interval 300\ndevices 0-4294967295\ndone 0 3-5 9 11 4294967295\n";

/* With the sum that belongs to it, so that only the lines can be wrong. */
static bool are_got(const char *lines, size_t len)
{
    struct buf text = BUF_INIT;
    struct checkpoint got;
    buf_append(&text, lines, len);
    buf_printf(&text, "sum %08" PRIx32 "\n", spoolrec_crc32(lines, len));
    bool ok = checkpoint_get(text.data, text.len, &got);
    checkpoint_done(&got);
    buf_done(&text);
    return ok;
}

static bool is_got(const char *lines)
{
    return are_got(lines, strlen(lines));
}

static void what_was_written_is_read_back(void **state UNUSED)
{
    struct buf text = BUF_INIT;
    struct checkpoint c = made(), got;
    checkpoint_put(&text, &c);
    assert_memory_equal(text.data, made_lines, strlen(made_lines));
    assert_true(checkpoint_get(text.data, text.len, &got));
    assert_string_equal(got.database, "cacti");
    assert_int_equal(got.poller_id, 2);
    assert_int_equal(got.start_s, 1700000000);
    assert_int_equal(got.interval_s, 300);
    assert_true(got.has_range);
    assert_int_equal(got.last, UINT32_MAX);
    assert_int_equal(got.count, c.count);
    assert_memory_equal(got.ids, ids, sizeof(ids));
    checkpoint_done(&got);
    buf_done(&text);
}

static void all_devices_and_none_done(void **state UNUSED)
{
    struct buf text = BUF_INIT;
    struct checkpoint c = made(), got;
    c.has_range = false;
    c.count = 0;
    checkpoint_put(&text, &c);
    assert_non_null(strstr(text.data, "\ndevices all\ndone\n"));
    assert_true(checkpoint_get(text.data, text.len, &got));
    assert_false(got.has_range);
    assert_int_equal(got.count, 0);
    assert_false(checkpoint_has(&got, 0));
    checkpoint_done(&got);
    buf_done(&text);
}

static void devices_are_done_or_not(void **state UNUSED)
{
    struct checkpoint c = made();
    for (size_t i = 0; i < c.count; i++)
        assert_true(checkpoint_has(&c, ids[i]));
    assert_false(checkpoint_has(&c, 1));
    assert_false(checkpoint_has(&c, 6));
    assert_false(checkpoint_has(&c, UINT32_MAX - 1));
}

static void nothing_that_was_changed_or_cut_is_got(void **state UNUSED)
{
    struct buf text = BUF_INIT;
    struct checkpoint c = made(), got;
    checkpoint_put(&text, &c);
    for (size_t i = 0; i < text.len; i++) {
        assert_false(checkpoint_get(text.data, i, &got));
        for (unsigned bit = 0; bit < 8; bit++) {
            text.data[i] = (char)(text.data[i] ^ 1 << bit);
            assert_false(checkpoint_get(text.data, text.len, &got));
            assert_null(got.ids);
            text.data[i] = (char)(text.data[i] ^ 1 << bit);
        }
    }
    buf_putc(&text, '\n');
    assert_false(checkpoint_get(text.data, text.len, &got));
    buf_done(&text);
}

static void lines_that_lie_are_not_got(void **state UNUSED)
{
    static const char head[] =
        "spine-checkpoint 1\ndatabase cacti\npoller 2\nstart 17\ninterval 300\n";
    static const struct {
        const char *rest;
        bool ok;
    } cases[] = {
        {"devices all\ndone 1 2-3\n", true},
        {"devices all\ndone 3 2\n", false},
        {"devices all\ndone 2 2\n", false},
        {"devices all\ndone 1-5 5\n", false},
        {"devices all\ndone 5-1\n", false},
        {"devices all\ndone -1\n", false},
        {"devices all\ndone 4294967296\n", false},
        {"devices all\ndone 0-4294967295\n", false}, /* more than any site has */
        {"devices all\ndone x\n", false},
        {"devices all\n", false},
        {"devices 5-4\ndone\n", false},
        {"devices\ndone\n", false},
        {"devices all\ndone\nmore\n", false},
        {"done\ndevices all\n", false},
        {"done\n", false},
        {"devices all\ndone 1-1000000\n", true},
        {"devices all\ndone 1-1000001\n", false},
        {"devices all\ndone 1-999999 2000000-2000001\n", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf lines = BUF_INIT;
        buf_printf(&lines, "%s%s", head, cases[i].rest);
        assert_int_equal(is_got(lines.data), cases[i].ok);
        buf_done(&lines);
    }
    assert_true(is_got(made_lines));
    assert_false(is_got(
        "spine-checkpoint 2\ndatabase a\npoller 2\nstart 17\ninterval 300\ndevices all\ndone\n"));
    assert_false(is_got(
        "spine-checkpoint 1\ndatabase a\npoller 0\nstart 17\ninterval 300\ndevices all\ndone\n"));
    assert_false(is_got(
        "spine-checkpoint 1\ndatabase a\npoller 1\nstart -1\ninterval 300\ndevices all\ndone\n"));
    assert_false(is_got(""));
}

/* What belongs to the longest text has a long name of a database. */
static void a_text_is_got_up_to_the_longest(void **state UNUSED)
{
    enum { SUM_LINE = 4 + 8 + 1 };
    static const char rest[] = "\npoller 2\nstart 17\ninterval 300\ndevices all\ndone\n";
    struct buf lines = BUF_INIT;
    buf_puts(&lines, "spine-checkpoint 1\ndatabase ");
    while (lines.len + strlen(rest) + SUM_LINE < CHECKPOINT_BYTES_MAX)
        buf_putc(&lines, 'a');
    buf_puts(&lines, rest);
    assert_true(are_got(lines.data, lines.len));
    lines.len -= strlen(rest);
    buf_puts(&lines, "a");
    buf_puts(&lines, rest);
    assert_false(are_got(lines.data, lines.len));
    buf_done(&lines);
}

static void a_text_with_a_NUL_is_not_got(void **state UNUSED)
{
    char lines[sizeof(made_lines)];
    memcpy(lines, made_lines, sizeof(lines));
    assert_true(are_got(lines, sizeof(lines) - 1));
    assert_false(are_got(lines, sizeof(lines)));
}

static void it_is_for_the_same_cycle_alone(void **state UNUSED)
{
    const struct checkpoint c = made();
    struct checkpoint wanted = made();
    wanted.start_s = 0;
    assert_null(checkpoint_objection(&c, &wanted, c.start_s));
    assert_null(checkpoint_objection(&c, &wanted, c.start_s + 299));
    assert_string_equal(checkpoint_objection(&c, &wanted, c.start_s + 300), "its interval is over");
    assert_string_equal(checkpoint_objection(&c, &wanted, c.start_s - 1), "it is from the future");
    wanted.last = 7;
    assert_string_equal(checkpoint_objection(&c, &wanted, c.start_s), "it is of other devices");
    wanted.has_range = false;
    assert_string_equal(checkpoint_objection(&c, &wanted, c.start_s), "it is of other devices");
    wanted = made();
    wanted.interval_s = 60;
    assert_non_null(strstr(checkpoint_objection(&c, &wanted, c.start_s), "interval"));
    wanted.poller_id = 1;
    assert_string_equal(checkpoint_objection(&c, &wanted, c.start_s), "it is another poller's");
    wanted = made();
    wanted.database = "other";
    assert_string_equal(checkpoint_objection(&c, &wanted, c.start_s), "it is another poller's");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(all_devices_and_none_done),
        cmocka_unit_test(devices_are_done_or_not),
        cmocka_unit_test(nothing_that_was_changed_or_cut_is_got),
        cmocka_unit_test(lines_that_lie_are_not_got),
        cmocka_unit_test(a_text_is_got_up_to_the_longest),
        cmocka_unit_test(a_text_with_a_NUL_is_not_got),
        cmocka_unit_test(it_is_for_the_same_cycle_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
