/* A device's run, written down as both drivers would, and what of it can be changed unnoticed: nothing. */
#include "config.h"

#include "app/replay.h"

#include "base/jsonout.h"
#include "base/mem.h"
#include "drivers/recording.h"
#include "model/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/spine-test-replay-XXXXXX";

/* ---- the run ---- */

static const uint32_t numbers[] = {1, 3, 6, 1, 4, 1, 99, 1};
static const struct oid name = {numbers, ARRAY_LEN(numbers)};
static struct item items[] = {
    {.local_data_id = 1, .action = ITEM_SNMP, .rrd_name = "in", .arg1 = ".1.3.6.1.4.1.99.1"},
    {.local_data_id = 1, .action = ITEM_SCRIPT, .rrd_name = "out", .arg1 = "echo 5"},
    {.local_data_id = 2, .action = ITEM_SERVER, .rrd_name = "", .arg1 = "/x.php f"},
    {.local_data_id = 3, .action = ITEM_SNMP, .rrd_name = "bad", .arg1 = "no oid"},
};
static struct device device = {
    .id = 7,
    .device_threads = 3,
    .max_oids = 10,
    .snmp = {.hostname = "h",
             .port = 161,
             .version = 2,
             .timeout_ms = 500,
             .community = "public",
             .username = "",
             .password = "",
             .auth_protocol = "",
             .priv_passphrase = "",
             .priv_protocol = "",
             .context = "",
             .engine_id = ""},
    .availability_method = AVAIL_PING_AND_SNMP,
    .ping_method = PING_METHOD_UDP,
    .status = {.status = HOST_UP, .last_error = ""},
    .items = items,
    .item_count = ARRAY_LEN(items),
};
static const struct devrun_options options = {
    .log_level = LOG_MEDIUM, .invalid_log = 1, .failure_count = 1, .recovery_count = 1};

/* ---- its recording: lines without their envelope ---- */

struct line {
    char *type, *data;
};

static struct line lines[200];
static size_t line_count;
static int64_t now_us;

static struct moment now(void)
{
    now_us += 1500;
    return (struct moment){.mono_us = now_us, .wall_us = 1700000000000000 + now_us};
}

static void add_line(const char *type, struct buf *data)
{
    assert_true(line_count < ARRAY_LEN(lines));
    lines[line_count].type = mem_strdup(type);
    lines[line_count++].data = buf_take(data);
}

static void on_event(void *arg UNUSED, const struct device *d, const struct devrun_options *o,
                     const struct devrun_event *e)
{
    struct buf b = BUF_INIT;
    record_event(d, o, e, &b);
    add_line("run.input", &b);
}

static void on_action(void *arg UNUSED, const struct device *d, const struct action *a)
{
    struct buf b = BUF_INIT;
    record_action(d, a, &b);
    add_line("run.action", &b);
}

static void answer(struct devrun *run, const struct ask *ask)
{
    struct moment at = now();
    struct varbind vb = {.type = VARBIND_COUNTER64, .number = 42};
    struct snmp_reply snmp = {.varbinds = &vb, .count = 1, .detail = "", .elapsed_us = 1500};
    struct ping_reply ping = {.outcome = PING_UP, .time_ms = 0.1, .text = "UDP: Device is Alive"};
    struct script_reply script = {.output = "5\n", .len = 2, .lines = 1};
    if (ask->kind == ASK_SNMP) {
        vb.name = ask->snmp.names[0];
        devrun_answer_snmp(run, ask->id, &snmp, &at);
    } else if (ask->kind == ASK_PING) {
        devrun_answer_ping(run, ask->id, &ping, &at);
    } else {
        devrun_answer_script(run, ask->id, &script, &at);
    }
}

/* To its end, or stopped after this number of answers. */
static void play(int answers)
{
    static const struct devrun_watcher watcher = {on_event, on_action, NULL};
    struct devrun *run = devrun_new(&device, &options);
    struct ask asks[8];
    size_t open = 0;
    const struct action *a;
    struct moment at = now();
    bool finished = false;
    devrun_watch(run, &watcher);
    devrun_start(run, &at);
    while (!finished) {
        while ((a = devrun_next_action(run)) != NULL) {
            finished |= a->kind == ACTION_FINISHED;
            if (a->kind == ACTION_ASK)
                asks[open++] = a->ask;
        }
        at = now();
        if (!finished && answers-- == 0)
            devrun_stop(run, &at);
        else if (!finished)
            answer(run, &asks[--open]); /* the last one first */
    }
    devrun_free(run);
}

/* ---- its file ---- */

static void put_line(FILE *f, const struct line *l, int number, const char *data)
{
    struct buf b = BUF_INIT;
    jsonout_open(&b, NULL, '{');
    jsonout_int(&b, "number", number);
    jsonout_int(&b, "pid", 1);
    jsonout_text(&b, "type", l->type);
    jsonout_int(&b, "device", device.id);
    jsonout_raw(&b, "data", data, strlen(data));
    jsonout_close(&b, '}');
    fprintf(f, "%s\n", b.data);
    buf_done(&b);
}

/* The whole recording, numbered without a gap, but without line `left_out`. */
static void write_file(size_t left_out)
{
    FILE *f = fopen(path, "we");
    int number = 0;
    for (size_t i = 0; i < line_count; i++)
        if (i != left_out)
            put_line(f, &lines[i], ++number, lines[i].data);
    assert_int_equal(fclose(f), 0);
}

static bool replays(struct err *err)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    bool ok = replay_file(path, NULL, NULL, out, err);
    fclose(out);
    assert_true(ok == (len > 0));
    free(text);
    return ok;
}

static int forget(void **state UNUSED)
{
    for (; line_count > 0; line_count--) {
        free(lines[line_count - 1].type);
        free(lines[line_count - 1].data);
    }
    return 0;
}

/* ---- the tests ---- */

static void a_run_replays_however_it_ended(void **state UNUSED)
{
    struct err err = ERR_INIT;
    for (int answers = 0; answers <= 6; answers++) {
        forget(NULL);
        play(answers);
        write_file(SIZE_MAX);
        if (!replays(&err))
            fail_msg("stopped after %d answers: %s", answers, err.text);
    }
}

static void a_line_that_was_taken_out_is_missed(void **state UNUSED)
{
    struct err err = ERR_INIT;
    play(100);
    for (size_t i = 0; i < line_count; i++) {
        write_file(i);
        if (replays(&err))
            fail_msg("without line %zu: %s", i + 1, lines[i].data);
        assert_int_equal(err.kind, ERR_DATA);
    }
}

/* A real number has more digits than it needs. */
static bool says_the_same(const char *a, const char *b)
{
    char *x = recording_canonical(a, strlen(a)), *y = recording_canonical(b, strlen(b));
    bool same = x != NULL && y != NULL && strcmp(x, y) == 0;
    free(x);
    free(y);
    return same;
}

/* Digits are what there is most of: ids, times, values. */
static void a_digit_that_was_changed_in_an_action_is_found_there(void **state UNUSED)
{
    struct err err = ERR_INIT;
    char where[300];
    int tried = 0;
    play(100);
    for (size_t i = 0; i < line_count; i++) {
        if (strcmp(lines[i].type, "run.action") != 0)
            continue;
        snprintf(where, sizeof(where), "ERROR: %s:%zu: Device[7]: recorded: ", path, i + 1);
        char *original = mem_strdup(lines[i].data);
        for (char *p = lines[i].data; (p = strpbrk(p, "0123456789")) != NULL; p++, tried++) {
            char was = *p;
            *p = was == '9' ? '8' : (char)(was + 1);
            write_file(SIZE_MAX);
            if (!says_the_same(original, lines[i].data) &&
                (replays(&err) || strncmp(err.text, where, strlen(where)) != 0))
                fail_msg("%s: %s", lines[i].data, err.text);
            *p = was;
        }
        free(original);
    }
    assert_true(tried > 50);
}

static void two_runs_may_be_mixed_and_one_process_may_follow_another(void **state UNUSED)
{
    struct err err = ERR_INIT;
    play(100);
    FILE *f = fopen(path, "we");
    for (int process = 0; process < 2; process++)
        for (size_t i = 0; i < line_count; i++)
            put_line(f, &lines[i], (int)i + 1, lines[i].data);
    fclose(f);
    assert_true(replays(&err));
    f = fopen(path, "we"); /* the second one begins before the first is done */
    for (size_t i = 0; i < line_count / 2; i++)
        put_line(f, &lines[i], (int)i + 1, lines[i].data);
    put_line(f, &lines[0], 1, lines[0].data);
    fclose(f);
    assert_false(replays(&err));
    assert_non_null(strstr(err.text, "its run, begun in line 1, has no end here"));
}

static void a_device_must_start_once_and_first(void **state UNUSED)
{
    struct err err = ERR_INIT;
    play(100);
    FILE *f = fopen(path, "we");
    put_line(f, &lines[0], 1, lines[0].data);
    put_line(f, &lines[0], 2, lines[0].data);
    fclose(f);
    assert_false(replays(&err));
    assert_non_null(strstr(err.text, ":2: Device[7]: starts again, after line 1"));
    f = fopen(path, "we");
    put_line(f, &lines[1], 1, lines[1].data);
    fclose(f);
    assert_false(replays(&err));
    assert_non_null(strstr(err.text, ":1: Device[7]: has not been started"));
}

static bool show_seven(void *arg, uint32_t id)
{
    ++*(int *)arg;
    return id == 7;
}

static void the_lines_of_a_device_can_be_shown(void **state UNUSED)
{
    char *text = NULL;
    size_t len = 0, shown = 0;
    int asked = 0;
    struct err err = ERR_INIT;
    play(100);
    write_file(SIZE_MAX);
    FILE *out = open_memstream(&text, &len);
    assert_true(replay_file(path, show_seven, &asked, out, &err));
    fclose(out);
    for (const char *p = text; *p != '\0'; p++)
        shown += *p == '\n';
    assert_int_equal(shown, line_count + 1); /* and the summary */
    assert_int_equal(asked, line_count);
    assert_non_null(strstr(text, ", 1 devices, "));
    assert_non_null(strstr(text, " 4 rows (1 U), "));
    free(text);
}

static int make_device(void **state UNUSED)
{
    int fd = mkstemp(path);
    items[0].oid = name;
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        items[i].target = &device.snmp;
    close(fd);
    return fd < 0;
}

static int remove_file(void **state UNUSED)
{
    return unlink(path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, forget)
    struct err why = ERR_INIT;
    const struct CMUnitTest tests[] = {
        TEST(a_run_replays_however_it_ended),
        TEST(a_line_that_was_taken_out_is_missed),
        TEST(a_digit_that_was_changed_in_an_action_is_found_there),
        TEST(two_runs_may_be_mixed_and_one_process_may_follow_another),
        TEST(a_device_must_start_once_and_first),
        TEST(the_lines_of_a_device_can_be_shown),
    };
    if (!recording_available(&why)) {
        printf("SKIP: nothing can be replayed: %s\n", why.text);
        return 77;
    }
    return cmocka_run_group_tests(tests, make_device, remove_file);
}
