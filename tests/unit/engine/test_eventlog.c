#include "config.h"

#include "engine/eventlog.h"

#include "../../support/await.h"
#include "../../support/within.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/stream.h"
#include "base/thr.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/spine-test-eventlog-XXXXXX";
static char path[64], other[64], cacti_log[64];
static struct eventlog_options options;

/* ---- a file system that does not answer ---- */

static struct thr_mutex lock = THR_MUTEX_INITIALIZER;
static pthread_cond_t changed; /* CLOCK_MONOTONIC */
static bool stuck, sleeping;
static int refusals;

/* Takes the place of the C library's: the event log's thread hangs in it while `stuck`. */
ssize_t write(int fd, const void *bytes, size_t len)
{
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof(name));
    if (strcmp(name, "eventlog") != 0)
        return syscall(SYS_write, fd, bytes, len);
    thr_lock(&lock);
    sleeping = stuck;
    pthread_cond_broadcast(&changed);
    while (stuck)
        thr_wait(&changed, &lock);
    sleeping = false;
    ssize_t n = syscall(SYS_write, fd, bytes, len);
    if (n < 0)
        refusals++;
    pthread_cond_broadcast(&changed);
    thr_unlock(&lock);
    return n;
}

static void set_stuck(bool yes)
{
    thr_lock(&lock);
    stuck = yes;
    pthread_cond_broadcast(&changed);
    thr_unlock(&lock);
}

/* ---- helpers ---- */

static char *read_file(const char *name)
{
    char chunk[4096];
    struct buf b = BUF_INIT;
    FILE *f = fopen(name, "re");
    for (size_t n; f != NULL && (n = fread(chunk, 1, sizeof(chunk), f)) > 0;)
        buf_append(&b, chunk, n);
    if (f != NULL)
        fclose(f);
    return buf_take(&b);
}

static int count_lines(const char *name)
{
    char *text = read_file(name);
    int n = 0;
    for (const char *p = text; *p != '\0'; p++)
        n += *p == '\n';
    if (*text != '\0')
        assert_int_equal(text[strlen(text) - 1], '\n');
    free(text);
    return n;
}

static bool log_says(const char *what)
{
    char *text = read_file(cacti_log);
    bool found = strstr(text, what) != NULL;
    free(text);
    return found;
}

static struct eventlog *start(void)
{
    struct err err = ERR_INIT;
    struct eventlog *e = eventlog_start(&options, &err);
    assert_non_null(e);
    return e;
}

static void emit(int n)
{
    for (int i = 0; i < n; i++)
        stream_emit(&(struct happening){.type = EVENT_DB_RETRY, .figures = {i}});
}

static void await_lines(const char *name, int n)
{
    int64_t until = clock_mono_ms() + AWAIT_FAR_MS;
    while (count_lines(name) < n) {
        assert_true(clock_mono_ms() < until);
        clock_pause_ms(1); /* between two looks */
    }
}

/* Until the writer has been refused twice: what it has noted of the first time is in place then. */
static void await_refusal(void)
{
    int64_t until = await_far();
    thr_lock(&lock);
    for (int seen = refusals; refusals < seen + 2;)
        await_change(&changed, &lock, until, "a file that takes nothing");
    thr_unlock(&lock);
}

static void await_no_subscribers(void)
{
    int64_t until = await_far();
    while (stream_figures().subscribers > 0) {
        assert_true(clock_mono_ms() < until);
        clock_pause_ms(1); /* between two looks */
    }
}

/* Makes a FIFO with a reader take nothing more. */
static void fill(const char *name)
{
    static const char zeros[4096];
    int fd = open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    while (write(fd, zeros, sizeof(zeros)) > 0)
        ;
    assert_int_equal(errno, EAGAIN);
    close(fd);
}

static int begin(void **state UNUSED)
{
    struct log_options o = {
        .level = LOG_ALWAYS, .destination = LOG_TO_FILE, .path = cacti_log, .date_separator = '/'};
    options = (struct eventlog_options){
        .path = path, .max_bytes = 1 << 20, .queue_events = 1000, .queue_bytes = 1 << 16};
    log_start();
    log_configure(&o);
    return 0;
}

static int end(void **state UNUSED)
{
    set_stuck(false);
    log_stop();
    unlink(path);
    unlink(other);
    unlink(cacti_log);
    return 0;
}

/* ---- the tests ---- */

static void each_event_is_one_line_when_stop_returns(void **state UNUSED)
{
    struct stat st;
    struct eventlog *e = start();
    emit(500);
    assert_int_equal(eventlog_stop(e), 0);
    assert_int_equal(count_lines(path), 500);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07137, 0);
    assert_false(log_says("WARNING"));
    assert_int_equal(eventlog_stop(NULL), 0);
}

static void a_line_says_what_when_and_who(void **state UNUSED)
{
    struct buf expected = BUF_INIT;
    struct eventlog *e = start();
    stream_emit_text((struct happening){.type = EVENT_DEVICE_DOWN,
                                        .device = 7,
                                        .figures = {3},
                                        .mono_us = 99,
                                        .wall_us = 1700000000000042},
                     "no answer");
    eventlog_stop(e);
    buf_printf(
        &expected,
        "{\"number\":1,\"pid\":%d,\"time\":\"2023-11-14T22:13:20.000042Z\",\"mono_us\":99,"
        "\"type\":\"device.down\",\"device\":7,\"failed_polls\":3,\"error\":\"no answer\"}\n",
        (int)getpid());
    char *text = read_file(path);
    assert_string_equal(text, expected.data);
    free(text);
    buf_done(&expected);
}

static void details_come_with_full_detail_only(void **state UNUSED)
{
    struct buf json = BUF_INIT;
    struct eventlog *e = start();
    assert_false(stream_wants_details());
    stream_emit(&(struct happening){.type = EVENT_ASK_STARTED});
    eventlog_stop(e);
    assert_int_equal(count_lines(path), 0);
    options.full = true;
    e = start();
    assert_true(stream_wants_details());
    stream_emit(&(struct happening){.type = EVENT_ASK_STARTED});
    buf_puts(&json, "{\"input\":\"stop\"}");
    stream_emit_detail(EVENT_RUN_INPUT, 3, &json);
    eventlog_stop(e);
    char *text = read_file(path);
    assert_non_null(strstr(text, "\"device\":3,\"data\":{\"input\":\"stop\"}}\n"));
    assert_int_equal(count_lines(path), 2);
    free(text);
}

static void the_next_process_appends(void **state UNUSED)
{
    for (int i = 1; i <= 2; i++) {
        struct eventlog *e = start();
        emit(3);
        eventlog_stop(e);
        assert_int_equal(count_lines(path), 3 * i);
    }
}

static void a_renamed_file_is_closed_and_created_again(void **state UNUSED)
{
    struct eventlog *e = start();
    emit(2);
    await_lines(path, 2);
    assert_int_equal(rename(path, other), 0);
    emit(3);
    await_lines(path, 3);
    assert_int_equal(unlink(path), 0);
    emit(4);
    assert_int_equal(eventlog_stop(e), 0);
    assert_int_equal(count_lines(other), 2);
    assert_int_equal(count_lines(path), 4);
}

static void a_file_at_its_greatest_size_takes_no_more(void **state UNUSED)
{
    struct stat st;
    options.max_bytes = 5000;
    struct eventlog *e = start();
    emit(500);
    uint64_t lost = eventlog_stop(e);
    assert_int_equal(stat(path, &st), 0);
    assert_within(st.st_size, 4800, 5000);
    assert_int_equal(count_lines(path) + lost, 500);
    assert_true(log_says("events are missing: the file has reached its greatest size"));
    e = start();
    emit(1);
    assert_int_equal(eventlog_stop(e), 1);
    assert_int_equal(stat(path, &st), 0);
    assert_within(st.st_size, 4800, 5000);
}

/* What comes while the disk is full is dropped; no thread waits for it. */
static void a_full_disk_costs_events_and_a_line_in_the_log(void **state UNUSED)
{
    options.path = "/dev/full";
    options.queue_events = 10;
    struct eventlog *e = start();
    emit(500);
    int64_t before = clock_mono_ms();
    assert_int_equal(eventlog_stop(e), 500);
    assert_true(clock_mono_ms() - before < AWAIT_FAR_MS);
    assert_true(log_says("WARNING: Event log /dev/full: 500 events are missing: No space left"));
}

static void a_path_that_cannot_be_opened_costs_the_same(void **state UNUSED)
{
    options.path = "/nonexistent/folder/file";
    struct eventlog *e = start();
    emit(3);
    assert_int_equal(eventlog_stop(e), 3);
    assert_true(log_says("3 events are missing: No such file or directory"));
}

static void a_fifo_without_a_reader_delays_nothing(void **state UNUSED)
{
    assert_int_equal(mkfifo(path, 0600), 0);
    struct eventlog *e = start(); /* without a reader */
    emit(5);
    assert_int_equal(eventlog_stop(e), 5);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* open, but not read: it fills up */
    assert_true(fd >= 0);
    options.queue_events = 5000;
    e = start();
    emit(5000);
    await_refusal();
    assert_within(eventlog_stop(e), 1, 4999);
    assert_true(log_says("events are missing: Resource temporarily unavailable"));
    close(fd);
}

/* The reason stays that of the file where the thread gets no processor, or no answer, before its time is over. */
static void
a_file_that_refuses_everything_is_the_reason_however_late_the_writer_is(void **state UNUSED)
{
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    fill(path);
    struct eventlog *e = start();
    emit(5);
    await_refusal();
    set_stuck(true);
    assert_int_equal(eventlog_stop(e), 5);
    assert_true(log_says("5 events are missing: Resource temporarily unavailable"));
    set_stuck(false);
    await_no_subscribers();
    close(fd);
}

static void a_fifo_with_a_slow_reader_gets_every_line(void **state UNUSED)
{
    char chunk[1000];
    int lines = 0;
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    options.queue_events = 5000;
    struct eventlog *e = start();
    emit(5000);
    int64_t until = clock_mono_ms() + AWAIT_FAR_MS;
    while (lines < 5000) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        assert_true(clock_mono_ms() < until);
        for (ssize_t i = 0; i < n; i++)
            lines += chunk[i] == '\n';
    }
    assert_int_equal(eventlog_stop(e), 0);
    close(fd);
}

/* A hanging NFS server: the writer sleeps in write(2) forever. */
static void a_file_system_that_does_not_answer_delays_nothing(void **state UNUSED)
{
    options.queue_events = 100;
    set_stuck(true);
    struct eventlog *e = start();
    emit(1);
    int64_t until = await_far();
    thr_lock(&lock);
    while (!sleeping)
        await_change(&changed, &lock, until, "the writer is stuck");
    thr_unlock(&lock);
    emit(1000); /* none of them waits */
    assert_int_equal(eventlog_stop(e), 1001);
    assert_true(log_says("1001 events are missing: the file system does not answer"));
    assert_int_equal(count_lines(path), 0);
    set_stuck(false); /* what the thread has is freed when the file system answers at last */
    await_no_subscribers();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(each_event_is_one_line_when_stop_returns),
        TEST(a_line_says_what_when_and_who),
        TEST(details_come_with_full_detail_only),
        TEST(the_next_process_appends),
        TEST(a_renamed_file_is_closed_and_created_again),
        TEST(a_file_at_its_greatest_size_takes_no_more),
        TEST(a_full_disk_costs_events_and_a_line_in_the_log),
        TEST(a_path_that_cannot_be_opened_costs_the_same),
        TEST(a_fifo_without_a_reader_delays_nothing),
        TEST(a_file_that_refuses_everything_is_the_reason_however_late_the_writer_is),
        TEST(a_fifo_with_a_slow_reader_gets_every_line),
        TEST(a_file_system_that_does_not_answer_delays_nothing),
    };
    if (mkdtemp(dir) == NULL)
        return 1;
    signal(SIGPIPE, SIG_IGN);
    snprintf(path, sizeof(path), "%s/events", dir);
    snprintf(other, sizeof(other), "%s/events.1", dir);
    snprintf(cacti_log, sizeof(cacti_log), "%s/cacti.log", dir);
    thr_cond_init(&changed);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return failed;
}
