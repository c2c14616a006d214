#include "config.h"

#include "base/log.h"

#include "../../support/within.h"
#include "fake_syslog.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/thr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* ---- fixture: a folder of its own, standard output and error in files ---- */

static char dir[] = "/tmp/test_log.XXXXXX";
static char file[64], other[64], out_file[64], err_file[64];
static int saved_out, saved_err;

static char *read_file(const char *path)
{
    struct buf b = BUF_INIT;
    char chunk[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t n; fd >= 0 && (n = read(fd, chunk, sizeof(chunk))) > 0;)
        buf_append(&b, chunk, (size_t)n);
    if (fd >= 0)
        close(fd);
    return buf_take(&b);
}

static void redirect(int fd, const char *path)
{
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    assert_true(to >= 0);
    assert_int_equal(dup2(to, fd), fd);
    close(to);
}

static int set_up(void **state UNUSED)
{
    unlink(file);
    unlink(other);
    buf_clear(&sent);
    sent_ident[0] = '\0';
    fflush(stdout);
    saved_out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    saved_err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    redirect(STDOUT_FILENO, out_file);
    redirect(STDERR_FILENO, err_file);
    log_start();
    return 0;
}

static int tear_down(void **state UNUSED)
{
    log_stop();
    fflush(stdout);
    dup2(saved_out, STDOUT_FILENO);
    dup2(saved_err, STDERR_FILENO);
    close(saved_out);
    close(saved_err);
    return 0;
}

static struct log_options to_file(void)
{
    return (struct log_options){.level = LOG_ALWAYS,
                                .destination = LOG_TO_FILE,
                                .path = file,
                                .date_separator = '/',
                                .poller_id = 3};
}

static void configure(enum log_level level, enum log_destination destination)
{
    struct log_options o = to_file();
    o.level = level;
    o.destination = destination;
    log_configure(&o);
}

static void assert_file(const char *path, const char *expected)
{
    char *text = read_file(path);
    assert_string_equal(text, expected);
    free(text);
}

/* The extended regular expression must match the whole of the text. */
static void assert_text_matches(const char *text, const char *pattern)
{
    struct buf whole = BUF_INIT;
    buf_printf(&whole, "^%s$", pattern);
    regex_t regex;
    assert_int_equal(regcomp(&regex, whole.data, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, text, 0, NULL, 0) != 0)
        fail_msg("'%.2000s' does not match '%s'", text, pattern);
    regfree(&regex);
    buf_done(&whole);
}

static void assert_matches(const char *path, const char *pattern)
{
    char *text = read_file(path);
    assert_text_matches(text, pattern);
    free(text);
}

static int count_lines(const char *path)
{
    char *text = read_file(path);
    int n = 0;
    for (const char *p = text; *p != '\0'; p++)
        n += *p == '\n';
    free(text);
    return n;
}

#define PREFIX                                                                                     \
    "[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} - SPINE: Poller\\[3\\] "                \
    "PID\\[[0-9]+\\] "                                                                             \
    "PT\\[[0-9]+\\] "

/* ---- lines ---- */

static void a_line_has_cactis_format(void **state UNUSED)
{
    configure(LOG_ALWAYS, LOG_TO_FILE);
    log_line(LOG_ALWAYS, "Device[%d] hello", 7);
    char pattern[256];
    snprintf(pattern, sizeof(pattern),
             "[0-9/]{10} [0-9:]{8} - SPINE: Poller\\[3\\] PID\\[%ld\\] PT\\[%ju\\] Device\\[7\\] "
             "hello\n",
             (long)getpid(), (uintmax_t)(uintptr_t)pthread_self());
    assert_matches(file, pattern);
    assert_file(out_file, "");
    assert_file(err_file, "");
}

static void the_date_is_local_time_with_the_chosen_separator(void **state UNUSED)
{
    struct log_options o = to_file();
    for (const char *s = "-/."; *s != '\0'; s++) {
        time_t before = time(NULL);
        unlink(file);
        o.date_separator = *s;
        log_configure(&o);
        log_line(LOG_ALWAYS, "x");
        char *text = read_file(file);
        bool found = false;
        for (time_t t = before; t <= time(NULL) && !found; t++) {
            struct tm tm;
            char expected[64];
            localtime_r(&t, &tm);
            strftime(expected, sizeof(expected), "%Y-%m-%d %H:%M:%S - ", &tm);
            expected[4] = expected[7] = *s;
            found = strncmp(text, expected, strlen(expected)) == 0;
        }
        assert_true(found);
        free(text);
    }
}

static void levels_above_the_configured_one_are_dropped(void **state UNUSED)
{
    for (int level = LOG_NONE; level <= LOG_DEVDBG; level++) {
        unlink(file);
        configure((enum log_level)level, LOG_TO_FILE);
        for (int l = LOG_ALWAYS; l <= LOG_DEVDBG; l++) {
            assert_int_equal(log_wants((enum log_level)l), l == LOG_ALWAYS || l <= level);
            log_line((enum log_level)l, "line");
        }
        assert_int_equal(count_lines(file), level - 1);
    }
}

static void verbosity_none_writes_nothing_to_the_file(void **state UNUSED)
{
    configure(LOG_NONE, LOG_TO_FILE);
    log_line(LOG_ALWAYS, "ERROR: x");
    assert_int_equal(access(file, F_OK), -1);
}

static void a_device_cannot_forge_lines(void **state UNUSED)
{
    static const struct {
        const char *raw, *shown;
    } cases[] = {
        {"a\nb\r\nc", "a b  c"},
        {"end\n", "end"},
        {"end\r\n\n", "end"},
        {"\ttab \033[31mred\x7f", " tab  \\[31mred "},
        {"<?php x ?>", "< \\?php x \\?>"},
        {"<<??", "<< \\?\\?"},
        {"<\n?", "< \\?"},
        {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
         "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"c1 \xc2\x9b"
         "31m",
         "c1  31m"},
        {"raw \x9b"
         "31m",
         "raw  31m"},
        {"", ""},
    };
    configure(LOG_ALWAYS, LOG_TO_FILE);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char pattern[300];
        unlink(file);
        log_line(LOG_ALWAYS, "%s", cases[i].raw);
        snprintf(pattern, sizeof(pattern), PREFIX "%s\n", cases[i].shown);
        assert_matches(file, pattern);
    }
}

/* PHP's htmlspecialchars(), and with it Cacti's log viewer, shows nothing of a line that is not UTF-8. */
static void a_line_with_bytes_of_latin1_is_utf8(void **state)
{
    (void)state;
    configure(LOG_ALWAYS, LOG_TO_FILE);
    unlink(file);
    log_line(LOG_ALWAYS, "25 \xb0\x43 gr\xfc\xdf");
    assert_matches(file, PREFIX "25 \xc2\xb0\x43 gr\xc3\xbc\xc3\x9f\n");
    unlink(file);
    log_line(LOG_ALWAYS, "cut \xe2\x82");
    assert_matches(file, PREFIX "cut \xc3\xa2 \n");
}

static void a_line_ends_at_64_kib_and_at_a_character(void **state UNUSED)
{
    char *big = mem_alloc(200001);
    for (int shift = 0; shift < 3; shift++) {
        memset(big, 'x', 200000);
        for (int i = shift; i + 2 < 200000; i += 3)
            memcpy(big + i, "\xe2\x82\xac", 3);
        big[200000] = '\0';
        unlink(file);
        configure(LOG_ALWAYS, LOG_TO_FILE);
        log_line(LOG_ALWAYS, "%s", big);
        log_line(LOG_ALWAYS, "next");
        char *text = read_file(file);
        size_t len = (size_t)(strchr(text, '\n') - text) + 1;
        assert_within(len, 65536 - 3, 65536);
        assert_memory_equal(text + len - 7, "\xe2\x82\xac...\n", 7);
        assert_non_null(strstr(text + len, "] next\n"));
        free(text);
    }
    free(big);
}

static void errno_survives(void **state UNUSED)
{
    struct log_options o = to_file();
    o.path = "/nonexistent/x";
    log_configure(&o);
    errno = EXDEV;
    log_line(LOG_ALWAYS, "x");
    assert_int_equal(errno, EXDEV);
}

/* ---- the file ---- */

static void the_file_is_appended_to_and_not_readable_by_all_users(void **state UNUSED)
{
    mode_t mask = umask(0);
    configure(LOG_ALWAYS, LOG_TO_FILE);
    log_line(LOG_ALWAYS, "one");
    log_stop();
    log_start();
    configure(LOG_ALWAYS, LOG_TO_FILE);
    log_line(LOG_ALWAYS, "two");
    umask(mask);
    assert_matches(file, PREFIX "one\n" PREFIX "two\n");
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void a_renamed_removed_or_replaced_file_is_opened_again(void **state UNUSED)
{
    configure(LOG_ALWAYS, LOG_TO_FILE);
    log_line(LOG_ALWAYS, "one");
    assert_int_equal(rename(file, other), 0);
    log_line(LOG_ALWAYS, "two");
    assert_matches(other, PREFIX "one\n");
    assert_matches(file, PREFIX "two\n");
    unlink(file);
    log_line(LOG_ALWAYS, "three");
    assert_matches(file, PREFIX "three\n");
    assert_int_equal(rename(other, file), 0);
    log_line(LOG_ALWAYS, "four");
    assert_matches(file, PREFIX "one\n" PREFIX "four\n");
    assert_int_equal(truncate(file, 0), 0);
    log_line(LOG_ALWAYS, "five");
    assert_matches(file, PREFIX "five\n");
}

static void another_path_takes_effect_at_once(void **state UNUSED)
{
    struct log_options o = to_file();
    log_configure(&o);
    log_line(LOG_ALWAYS, "one");
    o.path = other;
    log_configure(&o);
    log_line(LOG_ALWAYS, "two");
    assert_matches(file, PREFIX "one\n");
    assert_matches(other, PREFIX "two\n");
}

/* One notice on standard output; errors and warnings go to the system log, other lines nowhere. */
static void expect_notice(const char *path, const char *what)
{
    struct log_options o = to_file();
    o.path = path;
    log_start();
    buf_clear(&sent);
    assert_int_equal(ftruncate(STDERR_FILENO, 0), 0);
    log_configure(&o);
    log_line(LOG_ALWAYS, "ERROR: one");
    log_line(LOG_ALWAYS, "WARNING: two");
    log_line(LOG_ALWAYS, "three");
    assert_matches(err_file, what);
    assert_non_null(strstr(buf_str(&sent), "ERROR: one"));
    assert_non_null(strstr(buf_str(&sent), "WARNING: two"));
    assert_null(strstr(buf_str(&sent), "three"));
}

#define NOTICE_END ": [^\n]+: [^\n]+; errors and warnings go to the system log\n"

static void a_file_that_cannot_be_opened_costs_one_notice_and_no_error(void **state UNUSED)
{
    assert_int_equal(mkfifo(other, 0600), 0);
    const char *const paths[] = {"/nonexistent/cacti.log", dir, other};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        expect_notice(paths[i], "ERROR: Spine Log File Could Not Be Opened/Created" NOTICE_END);
    assert_file(out_file, "");
}

static void a_full_disk_costs_one_notice_and_no_error(void **state UNUSED)
{
    expect_notice("/dev/full", "ERROR: Spine Log File Could Not Be Written" NOTICE_END);
}

/* A line that the system log gets anyway is not sent twice. */
static void both_destinations_share_what_the_file_does_not_take(void **state UNUSED)
{
    struct log_options o = to_file();
    o.path = "/dev/full";
    o.destination = LOG_TO_BOTH;
    o.syslog_errors = true;
    log_configure(&o);
    log_line(LOG_ALWAYS, "ERROR: once");
    const char *first = strstr(buf_str(&sent), "ERROR: once");
    assert_non_null(first);
    assert_null(strstr(first + 1, "ERROR: once"));
}

static void writers_do_not_mix_their_lines(void **state UNUSED)
{
    enum { WRITERS = 4, LINES = 300 };
    configure(LOG_ALWAYS, LOG_TO_FILE);
    char *filler = mem_alloc(3001);
    memset(filler, 'y', 3000);
    filler[3000] = '\0';
    pid_t pids[WRITERS];
    for (int w = 0; w < WRITERS; w++) {
        pids[w] = fork();
        if (pids[w] == 0) {
            for (int i = 0; i < LINES; i++)
                log_line(LOG_ALWAYS, "begin %s end", filler);
            _exit(0);
        }
    }
    int status;
    for (int w = 0; w < WRITERS; w++) {
        assert_int_equal(waitpid(pids[w], &status, 0), pids[w]);
        assert_int_equal(status, 0);
    }
    free(filler);
    char *text = read_file(file), *rest = text;
    int n = 0;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0'; n++) {
        assert_non_null(strstr(line, " - SPINE: Poller[3] PID["));
        assert_null(strstr(strstr(line, "begin") + 1, "begin"));
        assert_string_equal(line + strlen(line) - 4, " end");
    }
    assert_int_equal(n, WRITERS * LINES);
    free(text);
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < 500; i++)
        log_line(LOG_ALWAYS, "thread %d line %d", *(int *)arg, i);
    return NULL;
}

static void threads_do_not_mix_their_lines(void **state UNUSED)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int ids[THREADS];
    configure(LOG_ALWAYS, LOG_TO_FILE);
    for (int i = 0; i < THREADS; i++) {
        ids[i] = i;
        assert_true(thr_start(&threads[i], "writer", write_lines, &ids[i], NULL));
    }
    for (int i = 0; i < 50; i++) /* renamed by others meanwhile */
        rename(file, other);
    for (int i = 0; i < THREADS; i++)
        thr_join(threads[i]);
    log_line(LOG_ALWAYS, "last"); /* the last rename may have come after all the others */
    assert_true(count_lines(file) + count_lines(other) <= THREADS * 500 + 1);
    assert_true(count_lines(file) > 0);
}

/* ---- other destinations ---- */

static void standard_output_gets_seconds_and_text_at_once(void **state UNUSED)
{
    configure(LOG_MEDIUM, LOG_TO_STDOUT);
    log_line(LOG_MEDIUM, "Time: 1 s\n");
    log_line(LOG_ALWAYS, "ERROR: <?x");
    log_line(LOG_HIGH, "no");
    assert_matches(out_file, "Total\\[[0-9]+\\.[0-9]{4}\\] Time: 1 s\n"
                             "Total\\[[0-9]+\\.[0-9]{4}\\] ERROR: < \\?x\n");
    assert_int_equal(access(file, F_OK), -1);
    assert_string_equal(buf_str(&sent), "");
}

static void an_undefined_destination_gets_nothing(void **state UNUSED)
{
    configure(LOG_ALWAYS, LOG_TO_NOTHING);
    log_line(LOG_ALWAYS, "ERROR: x");
    assert_int_equal(access(file, F_OK), -1);
    assert_file(out_file, "");
    assert_file(err_file, "");
    log_stop();
    assert_string_equal(buf_str(&sent), "");
}

static void the_system_log_gets_the_classes_that_are_on(void **state UNUSED)
{
    struct log_options o = to_file();
    o.destination = LOG_TO_BOTH;
    o.syslog_errors = o.syslog_stats = true;
    log_configure(&o);
    log_line(LOG_ALWAYS, "plain");
    log_line(LOG_ALWAYS, "WARNING: w");
    log_line(LOG_ALWAYS, "ERROR: e");
    log_line(LOG_ALWAYS, "STATS: with FATAL");
    assert_int_equal(count_lines(file), 4);
    assert_text_matches(buf_str(&sent), "<2> " PREFIX "ERROR: e\n<2> " PREFIX
                                        "STATS: with FATAL\n<5> " PREFIX "STATS: with FATAL\n");
    assert_string_equal(sent_ident, "Cacti");
    assert_int_equal(sent_facility, FACILITY_SYSLOG);
    assert_int_equal(sent_option & WITH_PID, WITH_PID);
    buf_clear(&sent);
    o.destination = LOG_TO_SYSLOG;
    o.level = LOG_NONE;
    o.syslog_warnings = true;
    log_configure(&o);
    log_line(LOG_ALWAYS, "WARNING: w 100%%");
    assert_text_matches(buf_str(&sent), "<4> " PREFIX "WARNING: w 100%\n");
    assert_int_equal(count_lines(file), 4);
}

/* ---- the console ---- */

/* Replace the stream by a terminal; what is written to it can be read from the result. */
static int terminal_at(int fd)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master) | unlockpt(master), 0);
    char name[64];
    assert_int_equal(ptsname_r(master, name, sizeof(name)), 0);
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(slave >= 0);
    struct termios raw;
    assert_int_equal(tcgetattr(slave, &raw), 0);
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    dup2(slave, fd);
    close(slave);
    fcntl(master, F_SETFL, O_NONBLOCK);
    return master;
}

static char *read_terminal(int master)
{
    static char text[4096];
    ssize_t n = read(master, text, sizeof(text) - 1);
    text[n < 0 ? 0 : n] = '\0';
    return text;
}

static void a_terminal_gets_lines_too_errors_on_standard_error(void **state UNUSED)
{
    int out = terminal_at(STDOUT_FILENO), err = terminal_at(STDERR_FILENO);
    log_start();
    configure(LOG_NONE, LOG_TO_FILE);
    log_line(LOG_ALWAYS, "plain");
    assert_text_matches(read_terminal(out), PREFIX "plain\n");
    static const char *const words[] = {"ERROR", "WARNING", "FATAL"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        char pattern[256];
        log_line(LOG_ALWAYS, "a %s b", words[i]);
        snprintf(pattern, sizeof(pattern), PREFIX "a %s b\n", words[i]);
        assert_text_matches(read_terminal(err), pattern);
        assert_string_equal(read_terminal(out), "");
    }
    configure(LOG_ALWAYS, LOG_TO_STDOUT);
    log_line(LOG_ALWAYS, "ERROR: x");
    assert_text_matches(read_terminal(out), "Total\\[[0-9.]+\\] ERROR: x\n");
    assert_string_equal(read_terminal(err), "");
    close(out);
    close(err);
}

static void the_progress_line_gives_way_to_lines_of_the_log(void **state UNUSED)
{
    int out = terminal_at(STDOUT_FILENO), err = terminal_at(STDERR_FILENO);
    log_start();
    configure(LOG_NONE, LOG_TO_FILE);
    log_progress("1 of 2");
    assert_string_equal(read_terminal(err), "\r1 of 2\033[K");
    log_line(LOG_ALWAYS, "plain");
    assert_string_equal(read_terminal(err), "\r\033[K");
    assert_text_matches(read_terminal(out), PREFIX "plain\n");
    log_progress("2 of 2");
    assert_string_equal(read_terminal(err), "\r2 of 2\033[K");
    log_end_progress();
    assert_string_equal(read_terminal(err), "\r\033[K");
    log_progress("too late");
    log_line(LOG_ALWAYS, "plain");
    assert_string_equal(read_terminal(err), "");
    close(out);
    close(err);
}

/* ---- before the file is known ---- */

static void early_lines_reach_the_file_in_order(void **state UNUSED)
{
    struct log_options o = to_file();
    log_line(LOG_ALWAYS, "one");
    log_line(LOG_MEDIUM, "too detailed");
    o.path = "";
    o.level = LOG_MEDIUM;
    log_configure(&o);
    log_line(LOG_MEDIUM, "two");
    log_line(LOG_ALWAYS, "ERROR: three");
    assert_int_equal(access(file, F_OK), -1);
    o.path = file;
    o.level = LOG_ALWAYS;
    log_configure(&o);
    log_line(LOG_ALWAYS, "four");
    assert_matches(file, PREFIX "one\n" PREFIX "ERROR: three\n" PREFIX "four\n");
    log_stop();
    assert_string_equal(buf_str(&sent), "");
}

static void early_errors_without_a_file_reach_the_system_log(void **state UNUSED)
{
    log_line(LOG_ALWAYS, "plain");
    log_line(LOG_ALWAYS, "WARNING: w");
    log_line(LOG_ALWAYS, "FATAL: f");
    log_stop();
    assert_text_matches(buf_str(&sent), "<4> [^\n]+ Poller\\[1\\] [^\n]+ WARNING: w\n"
                                        "<2> [^\n]+ FATAL: f\n");
    buf_clear(&sent);
    log_stop();
    assert_string_equal(buf_str(&sent), "");
}

static void what_a_person_saw_is_not_sent_to_the_system_log(void **state UNUSED)
{
    int err = terminal_at(STDERR_FILENO);
    log_start();
    log_line(LOG_ALWAYS, "ERROR: e");
    log_stop();
    assert_string_equal(buf_str(&sent), "");
    close(err);
}

static void early_lines_follow_a_change_to_another_destination(void **state UNUSED)
{
    log_line(LOG_ALWAYS, "one");
    configure(LOG_ALWAYS, LOG_TO_STDOUT);
    assert_matches(out_file, "Total\\[[0-9.]+\\] one\n");
    log_start();
    struct log_options o = to_file();
    log_line(LOG_ALWAYS, "ERROR: two");
    o.destination = LOG_TO_SYSLOG;
    o.path = NULL;
    o.syslog_errors = true;
    log_configure(&o);
    assert_text_matches(buf_str(&sent), "<2> " PREFIX "ERROR: two\n");
    assert_int_equal(access(file, F_OK), -1);
}

static void early_lines_are_bounded(void **state UNUSED)
{
    for (int i = 0; i < 205; i++)
        log_line(LOG_ALWAYS, "line %d", i);
    configure(LOG_ALWAYS, LOG_TO_FILE);
    char *text = read_file(file);
    assert_int_equal(count_lines(file), 201);
    assert_non_null(strstr(text, "] line 199\n"));
    assert_null(strstr(text, "] line 200\n"));
    assert_non_null(strstr(text, "] WARNING: 5 early log lines were not kept\n"));
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_line_has_cactis_format),
        TEST(the_date_is_local_time_with_the_chosen_separator),
        TEST(levels_above_the_configured_one_are_dropped),
        TEST(verbosity_none_writes_nothing_to_the_file),
        TEST(a_device_cannot_forge_lines),
        TEST(a_line_with_bytes_of_latin1_is_utf8),
        TEST(a_line_ends_at_64_kib_and_at_a_character),
        TEST(errno_survives),
        TEST(the_file_is_appended_to_and_not_readable_by_all_users),
        TEST(a_renamed_removed_or_replaced_file_is_opened_again),
        TEST(another_path_takes_effect_at_once),
        TEST(a_file_that_cannot_be_opened_costs_one_notice_and_no_error),
        TEST(a_full_disk_costs_one_notice_and_no_error),
        TEST(both_destinations_share_what_the_file_does_not_take),
        TEST(writers_do_not_mix_their_lines),
        TEST(threads_do_not_mix_their_lines),
        TEST(standard_output_gets_seconds_and_text_at_once),
        TEST(an_undefined_destination_gets_nothing),
        TEST(the_system_log_gets_the_classes_that_are_on),
        TEST(a_terminal_gets_lines_too_errors_on_standard_error),
        TEST(the_progress_line_gives_way_to_lines_of_the_log),
        TEST(early_lines_reach_the_file_in_order),
        TEST(early_errors_without_a_file_reach_the_system_log),
        TEST(what_a_person_saw_is_not_sent_to_the_system_log),
        TEST(early_lines_follow_a_change_to_another_destination),
        TEST(early_lines_are_bounded),
    };
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(file, sizeof(file), "%s/cacti.log", dir);
    snprintf(other, sizeof(other), "%s/other.log", dir);
    snprintf(out_file, sizeof(out_file), "%s/out", dir);
    snprintf(err_file, sizeof(err_file), "%s/err", dir);
    int failed = cmocka_run_group_tests_name("log", tests, NULL, NULL);
    unlink(file);
    unlink(other);
    unlink(out_file);
    unlink(err_file);
    rmdir(dir);
    buf_done(&sent);
    return failed;
}
