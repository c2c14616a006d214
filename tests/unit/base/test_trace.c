#include "config.h"

#include "base/trace.h"

#include "base/log.h"
#include "base/stream.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/spine-test-trace-XXXXXX";
static char text[8192];

static const char *read_back(void)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
    return text;
}

static void begin(size_t events)
{
    assert_int_equal(truncate(path, 0), 0);
    struct log_options o = {
        .level = LOG_ALWAYS, .destination = LOG_TO_FILE, .path = path, .date_separator = '/'};
    log_start();
    log_configure(&o);
    trace_start(events);
}

static void end(void)
{
    trace_stop();
    log_stop();
}

static void emit(int64_t figure)
{
    stream_emit(
        &(struct happening){.type = EVENT_DEVICE_REINDEX, .device = 7, .figures = {figure}});
}

static int lines(const char *s)
{
    int n = 0;
    for (; *s != '\0'; s++)
        n += *s == '\n';
    return n;
}

static void the_last_events_are_dumped_oldest_first(void **state UNUSED)
{
    begin(3);
    for (int i = 1; i <= 5; i++)
        emit(i * 11);
    trace_dump("loop stalled");
    const char *log = read_back();
    assert_int_equal(lines(log), 4);
    assert_non_null(strstr(log, "NOTE: TRACE of the last 3 events: loop stalled\n"));
    const char *a = strstr(log, " s ago: device.reindex Device[7] data_query=33\n");
    const char *b = strstr(log, " s ago: device.reindex Device[7] data_query=44\n");
    const char *c = strstr(log, " s ago: device.reindex Device[7] data_query=55\n");
    assert_true(a != NULL && b != NULL && c != NULL && a < b && b < c);
    end();
}

static void an_empty_trace_says_so(void **state UNUSED)
{
    begin(3);
    trace_dump("SIGUSR1");
    assert_non_null(strstr(read_back(), "TRACE of the last 0 events: SIGUSR1\n"));
    trace_say();
    end();
    begin(0);
    emit(1);
    trace_dump("SIGUSR1");
    assert_non_null(strstr(read_back(), "TRACE of the last 0 events: SIGUSR1\n"));
    end();
}

/* No class word of Cacti's log viewer may make an error of a trace. */
static void texts_of_devices_cannot_break_a_line(void **state UNUSED)
{
    begin(2);
    stream_emit_text((struct happening){.type = EVENT_DEVICE_DOWN, .device = 1}, "a\nb\x1b[1m");
    trace_dump("x");
    assert_non_null(strstr(read_back(), "error=a b [1m\n"));
    assert_int_equal(lines(read_back()), 2);
    end();
}

/* By base/lastword, which knows the log's descriptor. */
static void the_watchdog_can_have_it_said(void **state UNUSED)
{
    begin(2);
    emit(-5);
    stream_emit_text((struct happening){.type = EVENT_DEVICE_DOWN, .device = 4000000000u}, "a\nb");
    trace_say();
    const char *log = read_back();
    assert_int_equal(lines(log), 2);
    assert_non_null(strstr(log, " s ago: device.reindex Device[7] data_query=-5\n"));
    assert_non_null(
        strstr(log, " s ago: device.down Device[4000000000] failed_polls=0 error=a b\n"));
    assert_non_null(strstr(log, " NOTE: TRACE "));
    end();
}

static int make_file(void **state UNUSED)
{
    int fd = mkstemp(path);
    close(fd);
    return fd < 0;
}

static int remove_file(void **state UNUSED)
{
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_events_are_dumped_oldest_first),
        cmocka_unit_test(an_empty_trace_says_so),
        cmocka_unit_test(texts_of_devices_cannot_break_a_line),
        cmocka_unit_test(the_watchdog_can_have_it_said),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
