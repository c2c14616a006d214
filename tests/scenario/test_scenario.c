/* Whole poll cycles by the real engine on agents and a database of our own (fake_snmp, fake_store),
 * on both drivers.
 *
 * Each cycle runs in a child process, so that a signal, a hang or a crash ends one case and not the
 * test. */
#include "config.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thr.h"
#include "check_stream.h"
#include "core/loop.h"
#include "engine/batcher.h"
#include "engine/cycle.h"
#include "engine/process.h"
#include "engine/stopsig.h"
#include "fake_snmp.h"
#include "fake_store.h"
#include "scene.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { HANGS_AFTER_MS = 60000, FAR_AWAY_MS = 200000 };

/* As if the process had been started as long ago as is needed for polling to end poll_ms from now. */
static struct cycle *new_cycle(const struct config *config, struct store *store, int poll_ms)
{
    struct err err = ERR_INIT;
    int64_t polls_ms = budget_make(0, config->poller_interval_s).poll_until;
    int64_t start_ms = clock_mono_ms() + (poll_ms == 0 ? FAR_AWAY_MS : poll_ms) - polls_ms;
    struct cycle *c = cycle_new(config, store, start_ms * 1000, &err);
    CHECK(c != NULL);
    return c;
}

/* The figures of one cycle; each due item and each row is in them once. */
static void check_figures(const struct cycle *c, const struct ledger_figures *f)
{
    CHECK(f->values + ledger_unknown(f) + f->unfinished + f->skipped == c->items_due);
    CHECK(c->config->read_only || f->stored + f->spooled + f->lost == ledger_rows(f));
    CHECK(heard.count[EVENT_CYCLE_LOADED] <= c->loaded);
    CHECK(heard.count[EVENT_CYCLE_DEADLINE] == c->out_of_time);
    CHECK(heard.count[EVENT_SIGNAL_RECEIVED] == (c->stop_signal != 0));
}

static void tell_result(struct cycle *c, FILE *out)
{
    struct ledger_figures f = ledger_get(&c->ledger);
    check_stream(&f, 1);
    check_figures(c, &f);
    fprintf(out, "devices %zu, down %zu, dropped %zu\n", f.devices, f.down, f.dropped);
    fprintf(out, "items %zu: values %zu, U %zu, unfinished %zu, skipped %zu\n",
            (size_t)c->items_due, f.values, ledger_unknown(&f), f.unfinished, f.skipped);
    fprintf(out, "stored %zu, lost %zu\n", f.stored, f.lost);
    fprintf(out, "rows %zu, hosts %zu\n", fake_store.rows, fake_store.hosts);
    fprintf(out, "signal %d\n", c->stop_signal);
    CHECK(f.stored == fake_store.rows);
}

static void tell_figures(const struct scene *s, const struct cycle *c, FILE *out)
{
    CHECK(s->store.late || fake_snmp.alive <= c->left_behind); /* which may have ended since */
    fprintf(out, "abandoned %zu\n", c->left_behind);
    CHECK(fake_snmp.peak <= s->threads);
    CHECK(fake_snmp.stack < 32768);
    fprintf(out, "calls %s\n", buf_str(&fake_store.calls));
    fprintf(out, "peak %d\n", fake_snmp.peak);
    fprintf(out, "hurried %d\n", atomic_load(&fake_store_hurried));
    fprintf(out, "backlog %zu\n", fake_snmp.backlog);
}

static struct config config_of(const struct scene *s, const struct driver *driver)
{
    return (struct config){.poller_id = 1,
                           .pid = (int)getpid(),
                           .spool_file = "",
                           .event_loop = driver->event_loop,
                           .threads = s->threads,
                           .poller_interval_s = 300,
                           .active_profiles = s->active_profiles == 0 ? 1 : s->active_profiles,
                           .read_only = s->read_only,
                           .snmp_client_address = "",
                           .max_scripts = 20,
                           .script_files = 1024,
                           .script_timeout_s = 25,
                           .php_servers = 1,
                           .path_php_binary = "",
                           .path_webroot = "",
                           .cacti_version_text = "",
                           .ping_failure_count = 1,
                           .ping_recovery_count = 1,
                           .log = {.level = s->log == 0 ? LOG_ALWAYS : s->log,
                                   .destination = LOG_TO_STDOUT,
                                   .date_separator = '/',
                                   .poller_id = 1}};
}

static void set_scene(const struct scene *s)
{
    fake_store = s->store;
    memcpy(fake_store.groups, s->groups, sizeof(s->groups));
    fake_snmp = s->snmp;
    for (size_t i = 0; i < ARRAY_LEN(s->moods) && s->moods[i].hostname != NULL; i++)
        fake_snmp_mood(s->moods[i].hostname, s->moods[i].mood);
}

static void act(const struct scene *s, const struct driver *driver, FILE *out)
{
    struct err err = ERR_INIT;
    const struct config config = config_of(s, driver);
    struct ping_sockets sockets = ping_open_sockets();
    stopsig_normalise(); /* as the program does first of all */
    log_start();
    log_configure(&config.log);
    set_scene(s);
    check_stream_begin();
    struct store *store = store_open(&config.db, 0, &err);
    struct process *process = process_new(&config, &sockets, NULL, &err);
    CHECK(process != NULL);
    struct process_run run = {.cycle = new_cycle(&config, store, s->poll_ms)};
    if (s->snmp.over_asks > 0)
        fake_snmp.over_at_ms = run.cycle->budget.poll_until;
    process_poll(process, &run, 1);
    fprintf(out, "%s%s\n", run.polled ? "begun" : "not begun: ", run.err.text);
    check_stream_end();
    tell_figures(s, run.cycle, out);
    fputs("-- result\n", out); /* the same on both drivers */
    if (run.polled) {
        tell_result(run.cycle, out);
        fprintf(out, "status %d\n", cycle_report(run.cycle));
    }
    fake_store_sort();
    fputs(buf_str(&fake_store.results), out);
    if (run.cycle->left_behind > 0) /* as the program does */
        _exit(fclose(out));
    fake_snmp_await_bells();
    process_free(process);
    cycle_unref(run.cycle);
    store_close(store);
    buf_done(&fake_store.calls);
    buf_done(&fake_store.results);
    log_stop();
}

/* ---- in the test ---- */

/* Of the last play; static, so that a failing test leaves nothing behind that the next child would
 * be blamed for. */
static struct outcome {
    int status; /* of waitpid() */
    char *text; /* what the child told */
    char *log;
} last;
static char *first_result; /* to compare with */

static void forget(void)
{
    free(last.text);
    free(last.log);
    last = (struct outcome){0};
}

/* The next scene of the same test has another result. */
static void forget_first(void)
{
    free(first_result);
    first_result = NULL;
}

static int set_up(void **state UNUSED)
{
    forget();
    forget_first();
    return 0;
}

static char *read_back(FILE *f)
{
    struct buf b = BUF_INIT;
    char part[4096];
    size_t n;
    rewind(f);
    while ((n = fread(part, 1, sizeof(part), f)) > 0)
        buf_append(&b, part, n);
    fclose(f);
    return b.len == 0 ? mem_strdup("") : buf_take(&b);
}

static void play_child(const struct scene *s, const struct driver *driver, FILE *out, FILE *log)
{
    CHECK(dup2(fileno(log), STDOUT_FILENO) >= 0);
    act(s, driver, out);
    CHECK(fclose(out) == 0);
    exit(0);
}

/* The pipe has an end when the child has; a child that hangs is ended with a core of all its
 * threads. */
static void play(const struct scene *s, const struct driver *driver)
{
    FILE *out = tmpfile(), *log = tmpfile();
    int alive[2];
    forget();
    assert_true(out != NULL && log != NULL && pipe(alive) == 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        close(alive[0]);
        play_child(s, driver, out, log);
    }
    close(alive[1]);
    struct pollfd p = {.fd = alive[0], .events = POLLIN};
    if (poll(&p, 1, HANGS_AFTER_MS) == 0) {
        print_error("%s: hangs\n", driver->name);
        kill(child, SIGABRT);
    }
    assert_true(child > 0 && waitpid(child, &last.status, 0) == child);
    close(alive[0]);
    last.text = read_back(out);
    last.log = read_back(log);
}

static int count_lines(const char *text, const char *line, bool prefixed)
{
    int n = 0;
    size_t len = strcspn(line, "*");
    for (const char *p = text, *end; (end = strchr(p, '\n')) != NULL; p = end + 1) {
        const char *from = prefixed && strchr(p, ' ') != NULL ? strchr(p, ' ') + 1 : p;
        n += strncmp(from, line, len) == 0 && (line[len] == '*' || from[len] == '\n');
    }
    return n;
}

/* cmocka cuts its messages at 1 KiB. */
static void fail_scene(const struct scene *s, const struct driver *driver, const char *what)
{
    fprintf(stderr, "%s\nlog:\n%s", last.text, last.log);
    fail_msg("%s, %d threads, wait status %x: %s", driver->name, s->threads, (unsigned)last.status,
             what);
}

/* "line" is told or logged once, "!part" nowhere; "line*" may go on. */
static void check_line(const struct scene *s, const struct driver *driver, const char *line)
{
    bool ok;
    if (*line == '!')
        ok = strstr(last.text, line + 1) == NULL && strstr(last.log, line + 1) == NULL;
    else
        ok = count_lines(last.text, line, false) + count_lines(last.log, line, true) == 1;
    if (!ok)
        fail_scene(s, driver, line);
}

static void check_exit(const struct scene *s, const struct driver *driver, int signo)
{
    bool ok = signo == 0 ? WIFEXITED(last.status) && WEXITSTATUS(last.status) == 0
                         : WIFSIGNALED(last.status) && WTERMSIG(last.status) == signo;
    if (!ok)
        fail_scene(s, driver, "ended in another way");
}

/* What is stored and counted must be the same in all plays of a test. */
static void compare_result(const struct scene *s, const struct driver *driver)
{
    const char *result = strstr(last.text, "-- result");
    if (first_result == NULL)
        first_result = mem_strdup(result);
    else if (strcmp(first_result, result) != 0)
        fail_scene(s, driver, first_result);
}

/* Plays the scene on each driver and expects the lines of each. */
static void expect(const struct scene *scene, bool racy, const char *const *lines)
{
    struct scene s = *scene;
    s.threads = s.threads == 0 ? 3 : s.threads;
    for (size_t i = 0; i < driver_count(); i++) {
        play(&s, &drivers[i]);
        check_exit(&s, &drivers[i], 0);
        for (size_t k = 0; lines[k] != NULL; k++)
            check_line(&s, &drivers[i], lines[k]);
        if (!racy)
            compare_result(&s, &drivers[i]);
    }
}
#define LINES(...)              ((const char *const[]){__VA_ARGS__, NULL})
#define EXPECT(scene, ...)      expect(scene, false, LINES(__VA_ARGS__))
#define EXPECT_RACY(scene, ...) expect(scene, true, LINES(__VA_ARGS__))

static void expect_death(const struct scene *scene, int signo)
{
    struct scene s = *scene;
    s.threads = 3;
    for (size_t i = 0; i < driver_count(); i++) {
        play(&s, &drivers[i]);
        check_exit(&s, &drivers[i], signo);
    }
}

/* ---- whole cycles ---- */

static void a_healthy_site_is_stored(void **state)
{
    (void)state;
    const struct scene s = {.groups = {CHECKED("a", 20, 7, AVAIL_SNMP_UPTIME, HOST_UP),
                                       DEVICES("b", 3, 0), DEVICES("c", 5, 25)},
                            .log = LOG_MEDIUM};
    EXPECT(&s, "begun", "hurried 0", "calls open load write date close ",
           "devices 28, down 0, dropped 0", "items 265: values 265, U 0, unfinished 0, skipped 0",
           "stored 265, lost 0", "rows 265, hosts 28", "status 0",
           "host 1 status 3 polls 1 failed 0 ", "row 28024 28024",
           "NOTE: Items: 265 due, 265 values, 0 U, 0 of down devices, 0 unfinished; rows: 265 "
           "expected, 265 stored, 0 spooled, 0 lost; devices: 0 down, 0 unfinished*",
           "!ERROR", "!WARNING");
}

static void the_number_of_threads_changes_nothing(void **state)
{
    (void)state;
    const int threads[] = {1, 3, 60};
    struct scene s = {
        .groups = {CHECKED("a", 70, 12, AVAIL_SNMP_UPTIME, HOST_UP),
                   CHECKED("dead", 10, 5, AVAIL_SNMP_UPTIME, HOST_UP), DEVICES("mute", 10, 15),
                   DEVICES("narrow", 10, 9)},
        .moods = {{"dead", FAKE_TIMES_OUT}, {"mute", FAKE_TIMES_OUT}, {"narrow", FAKE_TOO_BIG}}};
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        s.threads = threads[i];
        EXPECT(&s, "items 1130: values 930, U 150, unfinished 0, skipped 50",
               "devices 100, down 10, dropped 0", "rows 1080, hosts 100", "status 0");
    }
}

static void sixty_threads_ask_sixty_agents_at_once(void **state)
{
    (void)state;
    const struct scene s = {.groups = {DEVICES("a", 90, 3)}, .threads = 60, .snmp = {.crowd = 60}};
    EXPECT(&s, "peak 60", "rows 270, hosts 90", "status 0");
}

static void dead_devices_have_a_status_and_no_rows(void **state)
{
    (void)state;
    const struct scene s = {.groups = {CHECKED("dead", 4, 9, AVAIL_SNMP_UPTIME, HOST_UP),
                                       CHECKED("closed", 1, 9, AVAIL_SNMP_DESC, HOST_UP),
                                       CHECKED("good", 2, 9, AVAIL_SNMP_UPTIME, HOST_DOWN)},
                            .moods = {{"dead", FAKE_TIMES_OUT}, {"closed", FAKE_FAILS}}};
    EXPECT(&s, "devices 7, down 5, dropped 0", "items 63: values 18, U 0, unfinished 0, skipped 45",
           "rows 18, hosts 7", "status 0",
           "host 4 status 1 polls 1 failed 1 Device did not respond to SNMP",
           "host 5 status 1 polls 1 failed 1 Invalid SNMP Session",
           "host 6 status 3 polls 1 failed 0 ",
           "Device[1] Hostname[dead] ERROR: HOST EVENT: Device is DOWN Message: Device did not "
           "respond to SNMP",
           "Device[7] Hostname[good] NOTICE: HOST EVENT: Device Returned from DOWN State");
}

static void a_ping_decides_where_the_method_says_so(void **state)
{
    (void)state;
    const struct scene s = {.groups = {CHECKED("up", 2, 3, AVAIL_PING, HOST_UP),
                                       CHECKED("down", 1, 3, AVAIL_PING, HOST_UP),
                                       CHECKED("down", 1, 3, AVAIL_PING_AND_SNMP, HOST_UP),
                                       CHECKED("up", 2, 3, AVAIL_PING_AND_SNMP, HOST_UP)},
                            .moods = {{"down", FAKE_TIMES_OUT}}};
    EXPECT(&s, "devices 6, down 2, dropped 0", "rows 12, hosts 6",
           "host 3 status 1 polls 1 failed 1 UDP: Ping timed out", "status 0");
}

static void deleted_devices_are_left_alone(void **state)
{
    (void)state;
    const struct scene s = {
        .groups = {DELETED("gone", 5, 4), DEVICES("a", 5, 4), DELETED("gone", 5, 4)},
        .log = LOG_MEDIUM};
    EXPECT(&s, "devices 5, down 0, dropped 0", "rows 20, hosts 5", "!host 1 ", "!host 15 ",
           "!row 1000 ", "status 0");
    forget_first();
    const struct scene all = {.groups = {DELETED("gone", 5, 4)}};
    EXPECT(&all, "devices 0, down 0, dropped 0", "rows 0, hosts 0", "calls open load date close ",
           "status 0");
}

static void a_site_without_devices_is_a_cycle(void **state)
{
    (void)state;
    const struct scene s = {.threads = 60};
    EXPECT(&s, "begun", "calls open load date close ", "devices 0, down 0, dropped 0", "status 0");
}

/* tell_figures() looks at the stack. */
static void two_thousand_devices_that_need_no_ask(void **state)
{
    (void)state;
    const struct scene s = {.groups = {DEVICES("idle", 2000, 0)}};
    EXPECT(&s, "devices 2000, down 0, dropped 0", "rows 0, hosts 2000", "peak 0", "status 0");
}

static void steps_advance_for_what_was_dealt_with(void **state)
{
    (void)state;
    const struct scene s = {.groups = {DEVICES("a", 1, 4),
                                       CHECKED("dead", 1, 4, AVAIL_SNMP_UPTIME, HOST_UNKNOWN),
                                       DELETED("gone", 1, 4)},
                            .moods = {{"dead", FAKE_TIMES_OUT}},
                            .active_profiles = 2};
    EXPECT(&s, "calls open load write advance date close ", "advance 1", "advance 2", "!advance 3",
           "status 0");
}

static void read_only_writes_nothing(void **state)
{
    (void)state;
    const struct scene s = {
        .groups = {DEVICES("a", 20, 7)}, .read_only = true, .active_profiles = 2};
    EXPECT(&s, "begun", "calls load ", "rows 0, hosts 0",
           "items 140: values 140, U 0, unfinished 0, skipped 0", "status 0", "!ERROR");
}

/* ---- the database fails ---- */

static void nothing_is_polled_when_the_site_cannot_be_loaded(void **state)
{
    (void)state;
    const struct scene s = {.groups = {DEVICES("a", 5, 5)}, .store = {.load_fails = true}};
    EXPECT(&s, "not begun: fake: cannot load", "calls open load close ", "peak 0");
}

static void nothing_is_polled_when_the_cycle_cannot_be_opened(void **state)
{
    (void)state;
    const struct scene s = {.groups = {DEVICES("a", 5, 5)}, .store = {.open_fails = true}};
    EXPECT(&s, "not begun: fake: cannot open", "calls open close ", "peak 0");
    const struct scene unanswered = {.groups = {DEVICES("a", 5, 5)},
                                     .store = {.open_unanswered = true}};
    EXPECT(&unanswered, "not begun: fake: no answer", "calls open close ", "peak 0");
}

static void lost_rows_are_told_and_the_cycle_is_closed(void **state)
{
    (void)state;
    const struct scene s = {.groups = {DEVICES("a", 100, 30)}, .store = {.write_fails = 1}};
    EXPECT_RACY(&s, "calls open load write date close ",
                "items 3000: values 3000, U 0, unfinished 0, skipped 0", "status 75");
    const struct scene small = {.groups = {DEVICES("a", 10, 3)}, .store = {.write_fails = 1}};
    EXPECT_RACY(&small, "calls open load write date close ", "status 75");
}

static void a_failing_end_is_a_failed_cycle(void **state)
{
    (void)state;
    const struct scene s[] = {
        {.groups = {DEVICES("a", 2, 2)}, .store = {.date_fails = true}},
        {.groups = {DEVICES("a", 2, 2)}, .store = {.close_fails = true}},
        {.groups = {DEVICES("a", 2, 2)}, .store = {.advance_fails = true}, .active_profiles = 2}};
    EXPECT_RACY(&s[0], "calls open load write date close ", "status 75",
                "ERROR: settings.date could not be written: fake: no date");
    EXPECT_RACY(&s[1], "calls open load write date close ", "status 75",
                "ERROR: the poller_time row could not be closed: fake: cannot close");
    EXPECT_RACY(&s[2], "calls open load write advance date close ", "status 75",
                "ERROR: rrd_next_step could not be advanced: fake: no advance");
}

/* Full batches may wait for a slow database, but not the whole site. */
static void a_slow_database_holds_polling_back(void **state)
{
    (void)state;
    const size_t bound = 2 * BATCHER_ROWS_MAX + 12 * 50;
    struct scene s = {.groups = {DEVICES("a", 800, 50)}, .threads = 8, .store = {.slow = bound}};
    for (size_t i = 0; i < driver_count(); i++) {
        play(&s, &drivers[i]);
        check_exit(&s, &drivers[i], 0);
        check_line(&s, &drivers[i], "rows 40000, hosts 800");
        size_t backlog = strtoul(strstr(last.text, "\nbacklog ") + 9, NULL, 10);
        if (backlog == 0 || backlog > bound)
            fail_scene(&s, &drivers[i], "backlog");
    }
}

/* ---- the time is over ---- */

static void at_the_deadline_what_is_complete_is_stored(void **state)
{
    (void)state;
    const struct scene s = {.groups = {CHECKED("good", 10, 4, AVAIL_SNMP_UPTIME, HOST_UP),
                                       CHECKED("hangs", 2, 6, AVAIL_SNMP_UPTIME, HOST_UP),
                                       CHECKED("end", 1, 6, AVAIL_SNMP_UPTIME, HOST_UP),
                                       DELETED("gone", 1, 6), DEVICES("late", 5, 8)},
                            .moods = {{"hangs", FAKE_UNTIL_GIVE_UP}, {"end", FAKE_AT_THE_END}},
                            .snmp = {.over_through = 10, .over_asks = 3},
                            .active_profiles = 2};
    EXPECT(&s, "calls open load write advance date close ", "status 75",
           "devices 18, down 0, dropped 8", "rows 40, hosts 10",
           "items 98: values 40, U 0, unfinished 58, skipped 0", "advance 10", "!advance 11",
           "ERROR: Device[11] HT[1] Spine Timed Out While Processing Devices Internal",
           "ERROR: Device[12] HT[1] Spine Timed Out While Processing Devices Internal",
           "ERROR: Device[13] HT[1] Spine Timed Out While Processing Devices Internal",
           "!Device[14]",
           "ERROR: Device[15] HT[1] polling timed out while acquiring Available Thread Lock",
           "ERROR: Device[19] HT[1] polling timed out while acquiring Available Thread Lock",
           "WARNING: There were 8 threads which did not run", "!Device[10]", "!SNMP timeout",
           "!HOST EVENT");
}

/* An ask that our own deadline has cut short says nothing about the device. */
static void the_deadline_is_not_taken_for_a_dead_device(void **state)
{
    (void)state;
    const struct scene s = {.groups = {CHECKED("slow", 60, 6, AVAIL_SNMP_UPTIME, HOST_UP)},
                            .moods = {{"slow", FAKE_UNTIL_DEADLINE}},
                            .threads = 30,
                            .snmp = {.over_asks = 30}};
    EXPECT(&s, "!HOST EVENT", "devices 60, down 0, dropped 60", "rows 0, hosts 0", "status 75");
}

static void nor_for_a_silent_agent_of_the_items(void **state)
{
    (void)state;
    const struct scene s = {.groups = {DEVICES("slow", 60, 6)},
                            .moods = {{"slow", FAKE_UNTIL_DEADLINE}},
                            .threads = 30,
                            .snmp = {.over_asks = 30}};
    EXPECT(&s, "!SNMP timeout", "devices 60, down 0, dropped 60", "rows 0, hosts 30", "status 75");
}

/* The deadline is long past when polling could begin. */
static void a_late_start_polls_nothing_and_says_so(void **state)
{
    (void)state;
    const struct scene s = {.groups = {CHECKED("late", 4, 6, AVAIL_SNMP_UPTIME, HOST_UP)},
                            .moods = {{"late", FAKE_UNTIL_DEADLINE}},
                            .threads = 2,
                            .poll_ms = -5000};
    EXPECT_RACY(&s, "!HOST EVENT", "devices 4, down 0, dropped 4", "rows 0, hosts 0", "status 75",
                "calls open load date close ");
}

/* ---- signals ---- */

static struct scene ring(int first, int second, enum fake_mood mood)
{
    return (struct scene){
        .groups = {DEVICES("good", 10, 4), DEVICES("bell", 3, 6), DEVICES("late", 5, 8)},
        .moods = {{"bell", mood}},
        .snmp = {.bell = {first, second}, .bell_after = 10}};
}

static void a_stop_signal_ends_the_cycle_in_order(void **state)
{
    (void)state;
    const int signals[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        char line[32];
        struct scene s = ring(signals[i], 0, FAKE_BELL);
        snprintf(line, sizeof(line), "signal %d", signals[i]);
        forget_first();
        EXPECT_RACY(&s, line, "hurried 1", "calls open load write date close ",
                    "devices 18, down 0, dropped 8",
                    "items 98: values 40, U 0, unfinished 58, skipped 0", "!Timed Out",
                    "!timed out");
    }
}

/* Whether the signal is still seen is a matter of luck. */
static void a_signal_after_the_deadline_is_too_late_to_harm(void **state)
{
    (void)state;
    struct scene s = ring(SIGTERM, 0, FAKE_PARTING);
    s.groups[1].devices = 2;
    s.groups[3] = s.groups[2];
    s.groups[2] = (struct fake_group)DEVICES("end", 1, 6);
    s.moods[1] = (struct mood){"end", FAKE_AT_THE_END};
    s.snmp.over_through = 10;
    s.snmp.over_asks = 3;
    EXPECT_RACY(&s, "calls open load write date close ", "devices 18, down 0, dropped 8",
                "items 98: values 40, U 0, unfinished 58, skipped 0", "status 75");
}

static void a_second_signal_ends_the_process_at_once(void **state)
{
    (void)state;
    const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        const struct scene s = ring(signals[i], 0, FAKE_STUCK);
        expect_death(&s, signals[i]);
    }
}

static void a_stray_signal_does_not_make_it_deaf(void **state)
{
    (void)state;
    const struct scene s = ring(SIGUSR2, SIGTERM, FAKE_BELL);
    EXPECT_RACY(&s, "signal 15", "items 98: values 40, U 0, unfinished 58, skipped 0",
                "calls open load write date close ");
}

static void a_hanging_library_costs_its_device_and_nothing_else(void **state)
{
    (void)state;
    const struct scene s = {.groups = {DEVICES("good", 10, 4), DEVICES("hangs", 2, 6),
                                       CHECKED("hangs", 1, 5, AVAIL_SNMP_UPTIME, HOST_UP),
                                       DEVICES("good", 5, 8), DEVICES("end", 1, 3)},
                            .moods = {{"hangs", FAKE_HANGS}, {"end", FAKE_AT_THE_END}},
                            .threads = 4,
                            .snmp = {.over_through = 15, .over_asks = 4},
                            .active_profiles = 2};
    EXPECT(&s, "abandoned 3", "calls open load write advance date close ", "status 75",
           "devices 19, down 0, dropped 4", "rows 80, hosts 18", "advance 10", "!advance 11",
           "items 100: values 80, U 0, unfinished 20, skipped 0",
           "ERROR: Device[11] HT[1] Spine Timed Out While Processing Devices Internal",
           "WARNING: There were 4 threads which did not run", "!HOST EVENT");
    const struct scene told = ring(SIGTERM, 0, FAKE_HANGS);
    EXPECT_RACY(&told, "signal 15", "items 98: values 40, U 0, unfinished 58, skipped 0");
}

/* Its device has been given up meanwhile, while the scripts of it were still to be answered. */
static void a_library_call_that_returns_late_has_no_effect(void **state)
{
    (void)state;
    const struct scene s = {
        .groups = {DEVICES("good", 4, 4),
                   {.hostname = "late", .devices = 3, .items = 6, .sleepers = 3, .threads = 4},
                   DEVICES("end", 1, 3)},
        .moods = {{"late", FAKE_LATE}, {"end", FAKE_AT_THE_END}},
        .threads = 4,
        .snmp = {.over_through = 4, .over_asks = 4},
        .store = {.late = true}};
    EXPECT(&s, "calls open load write date close ", "status 75", "devices 8, down 0, dropped 4",
           "rows 16, hosts 8", "items 37: values 16, U 0, unfinished 21, skipped 0", "!HOST EVENT");
}

/* Scripts of the same device are asked beside it and have begun later. */
static void a_call_that_hangs_is_told_by_its_kind(void **state)
{
    (void)state;
    const struct scene s = {
        .groups = {{.hostname = "hangs", .devices = 1, .items = 3, .sleepers = 2, .threads = 3},
                   DEVICES("end", 1, 1)},
        .moods = {{"hangs", FAKE_HANGS}, {"end", FAKE_AT_THE_END}},
        .snmp = {.over_asks = 2}};
    EXPECT(&s, "abandoned 1", "items 4: values 0, U 0, unfinished 4, skipped 0",
           "!A call for a script", "status 75");
    if (strstr(last.log, "WARNING: Device[1] A call for SNMP has not returned") == NULL)
        fail_scene(&s, &drivers[0], "A call for SNMP");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_healthy_site_is_stored),
        TEST(the_number_of_threads_changes_nothing),
        TEST(sixty_threads_ask_sixty_agents_at_once),
        TEST(dead_devices_have_a_status_and_no_rows),
        TEST(a_ping_decides_where_the_method_says_so),
        TEST(deleted_devices_are_left_alone),
        TEST(a_site_without_devices_is_a_cycle),
        TEST(two_thousand_devices_that_need_no_ask),
        TEST(steps_advance_for_what_was_dealt_with),
        TEST(read_only_writes_nothing),
        TEST(nothing_is_polled_when_the_site_cannot_be_loaded),
        TEST(nothing_is_polled_when_the_cycle_cannot_be_opened),
        TEST(lost_rows_are_told_and_the_cycle_is_closed),
        TEST(a_failing_end_is_a_failed_cycle),
        TEST(a_slow_database_holds_polling_back),
        TEST(at_the_deadline_what_is_complete_is_stored),
        TEST(the_deadline_is_not_taken_for_a_dead_device),
        TEST(nor_for_a_silent_agent_of_the_items),
        TEST(a_late_start_polls_nothing_and_says_so),
        TEST(a_stop_signal_ends_the_cycle_in_order),
        TEST(a_signal_after_the_deadline_is_too_late_to_harm),
        TEST(a_second_signal_ends_the_process_at_once),
        TEST(a_hanging_library_costs_its_device_and_nothing_else),
        TEST(a_library_call_that_returns_late_has_no_effect),
        TEST(a_call_that_hangs_is_told_by_its_kind),
        TEST(a_stray_signal_does_not_make_it_deaf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
