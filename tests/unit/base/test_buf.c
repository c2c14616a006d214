#include "config.h"

#include "base/buf.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void an_unused_buffer_is_an_empty_text(void **state UNUSED)
{
    struct buf b = BUF_INIT;
    assert_string_equal(buf_str(&b), "");
    buf_clear(&b);
    buf_truncate(&b, 0);
    buf_done(&b);
    buf_done(&b);
}

static void appending_keeps_the_terminating_nul(void **state UNUSED)
{
    struct buf b = BUF_INIT;
    buf_append(&b, NULL, 0);
    assert_string_equal(b.data, "");
    buf_puts(&b, "abc");
    buf_putc(&b, 'd');
    buf_append(&b, "ef", 2);
    buf_puts(&b, "");
    assert_string_equal(b.data, "abcdef");
    assert_int_equal(b.len, 6);
    buf_truncate(&b, 3);
    assert_string_equal(b.data, "abc");
    buf_truncate(&b, 100);
    assert_int_equal(b.len, 3);
    buf_clear(&b);
    assert_string_equal(b.data, "");
    assert_true(b.cap > 0);
    buf_done(&b);
    assert_null(b.data);
}

static void bytes_may_contain_nul(void **state UNUSED)
{
    struct buf b = BUF_INIT;
    buf_append(&b, "a\0b", 3);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.data, "a\0b", 4);
    buf_done(&b);
}

/* Every length around the powers of two at which the buffer grows. */
static void growing_loses_no_byte(void **state UNUSED)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < 5000; i++) {
        buf_putc(&b, (char)('a' + i % 26));
        assert_int_equal(b.len, i + 1);
        assert_true(b.cap > b.len);
        assert_int_equal(b.data[b.len], 0);
    }
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(b.data[i], 'a' + i % 26);
    buf_done(&b);
}

static void printf_grows_exactly_when_needed(void **state UNUSED)
{
    char text[400];
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        struct buf b = BUF_INIT;
        memset(text, 'x', len);
        text[len] = '\0';
        buf_printf(&b, "%s", text);
        assert_int_equal(b.len, len);
        buf_printf(&b, "%d%s", 7, text);
        assert_int_equal(b.len, 2 * len + 1);
        assert_int_equal(strlen(b.data), b.len);
        assert_int_equal(b.data[len], '7');
        buf_done(&b);
    }
}

static void numbers_are_as_printf_has_them(void **state UNUSED)
{
    struct buf b = BUF_INIT;
    static const int64_t numbers[] = {0, 1, -1, 9, 10, 1000000007, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char expected[32];
        buf_clear(&b);
        buf_put_i64(&b, numbers[i]);
        snprintf(expected, sizeof(expected), "%" PRId64, numbers[i]);
        assert_string_equal(buf_str(&b), expected);
    }
    buf_clear(&b);
    buf_put_u64(&b, UINT64_MAX);
    assert_string_equal(buf_str(&b), "18446744073709551615");
    buf_done(&b);
}

static void taken_memory_is_the_callers(void **state UNUSED)
{
    struct buf b = BUF_INIT;
    char *empty = buf_take(&b);
    assert_string_equal(empty, "");
    free(empty);
    buf_puts(&b, "mine");
    char *text = buf_take(&b);
    assert_string_equal(text, "mine");
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.cap, 0);
    buf_puts(&b, "new");
    assert_string_equal(text, "mine");
    free(text);
    buf_done(&b);
}

/* In a child without a core file and without its last words. */
static bool aborts(void (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        static const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        close(STDERR_FILENO);
        fn();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void reserve_too_much(void)
{
    struct buf b = BUF_INIT;
    buf_puts(&b, "x");
    buf_reserve(&b, SIZE_MAX);
}

static void reserve_half(void)
{
    struct buf b = BUF_INIT;
    buf_reserve(&b, SIZE_MAX / 2);
}

static void sizes_that_overflow_end_the_program(void **state UNUSED)
{
    assert_true(aborts(reserve_too_much));
    assert_true(aborts(reserve_half));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unused_buffer_is_an_empty_text),
        cmocka_unit_test(appending_keeps_the_terminating_nul),
        cmocka_unit_test(bytes_may_contain_nul),
        cmocka_unit_test(growing_loses_no_byte),
        cmocka_unit_test(printf_grows_exactly_when_needed),
        cmocka_unit_test(numbers_are_as_printf_has_them),
        cmocka_unit_test(taken_memory_is_the_callers),
        cmocka_unit_test(sizes_that_overflow_end_the_program),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
