#include "config.h"

#include "base/lastword.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int saved_err;
static int pipe_read, pipe_write;

/* Standard error goes to a pipe of its own and is not looked at, unless a test does. */
static int begin(void **state UNUSED)
{
    int fds[2];
    saved_err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (saved_err < 0 || null < 0 || dup2(null, STDERR_FILENO) < 0 || pipe2(fds, O_CLOEXEC) != 0)
        return -1;
    close(null);
    pipe_read = fds[0];
    pipe_write = fds[1];
    setenv("TZ", "UTC-05:30", 1);
    tzset();
    lastword_aim(pipe_write, '-', 7);
    return 0;
}

static int end(void **state UNUSED)
{
    lastword_aim(-1, '/', 1);
    dup2(saved_err, STDERR_FILENO);
    close(saved_err);
    close(pipe_read);
    close(pipe_write);
    return 0;
}

static const char *read_pipe(void)
{
    static char text[2048];
    ssize_t n = read(pipe_read, text, sizeof(text) - 1);
    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

static bool matches(const char *pattern, const char *text)
{
    regex_t re;
    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool yes = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    return yes;
}

static void dates_are_those_of_the_c_library(void **state UNUSED)
{
    static const int64_t odd[] = {0,          951782399,  951782400,  2147483647,
                                  2147483648, 4107542399, 4107542400, 13569465600};
    for (int64_t i = 0; i < 60000; i++) {
        int64_t at = i < (int64_t)ARRAY_LEN(odd) ? odd[i] : i * 86400 + i % 86400;
        time_t seconds = (time_t)at;
        struct tm tm;
        char ours[20], theirs[80];
        assert_non_null(gmtime_r(&seconds, &tm));
        snprintf(theirs, sizeof(theirs), "%04d/%02d/%02d %02d:%02d:%02d", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        lastword_date(at, '/', ours);
        assert_string_equal(ours, theirs);
    }
}

static void the_line_looks_like_any_other_of_the_log(void **state UNUSED)
{
    char pattern[200], date[20];
    lastword_date((int64_t)time(NULL) + 19800, '-', date);
    date[10] = '\0';
    snprintf(pattern, sizeof(pattern),
             "^%s [0-9:]{8} - SPINE: Poller\\[7\\] PID\\[%d\\] FATAL: it is over\n$", date,
             (int)getpid());
    errno = ENOENT;
    lastword_say("FATAL: it is over");
    assert_int_equal(errno, ENOENT);
    const char *text = read_pipe();
    if (!matches(pattern, text))
        fail_msg("'%s' does not match '%s'", text, pattern);
}

static void a_text_that_is_too_long_is_cut(void **state UNUSED)
{
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    lastword_say(text);
    const char *got = read_pipe();
    assert_int_equal(strlen(got), 512);
    assert_int_equal(got[511], '\n');
}

static void a_full_pipe_and_a_missing_file_never_block(void **state UNUSED)
{
    char filler[4096] = {0};
    assert_int_equal(fcntl(pipe_write, F_SETFL, O_NONBLOCK), 0);
    while (write(pipe_write, filler, sizeof(filler)) > 0)
        continue;
    assert_int_equal(fcntl(pipe_write, F_SETFL, 0), 0);
    lastword_say("FATAL: a full pipe");
    lastword_aim(-1, '/', 1);
    lastword_say("FATAL: no file");
    lastword_aim(9999, '/', 1);
    lastword_say("FATAL: no such descriptor");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_those_of_the_c_library),
        cmocka_unit_test_setup_teardown(the_line_looks_like_any_other_of_the_log, begin, end),
        cmocka_unit_test_setup_teardown(a_text_that_is_too_long_is_cut, begin, end),
        cmocka_unit_test_setup_teardown(a_full_pipe_and_a_missing_file_never_block, begin, end),
    };
    return cmocka_run_group_tests_name("lastword", tests, NULL, NULL);
}
