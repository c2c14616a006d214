#include "config.h"

#include "engine/report.h"

#include "base/mem.h"

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

static char path[] = "/tmp/test_report.XXXXXX";
static struct census_facts facts = {.poller = 1, .driver = "event"};

enum fate { WELL, DOWN, NO_ANSWER, INVALID, SLOW, STOPPED };

static void tell(struct census *c, enum happening_type type, uint32_t device, int64_t at_us,
                 const char *text, int64_t a, int64_t e)
{
    struct census_ask ended;
    struct happening h = {.type = type,
                          .device = device,
                          .mono_us = 1000 + at_us,
                          .wall_us = 1700000000,
                          .figures = {a, 0, 0, 0, e}};
    happening_set_text(&h, text);
    (void)census_take(c, &h, &ended);
}

static void poll_device(struct census *c, uint32_t id, enum fate fate)
{
    tell(c, EVENT_DEVICE_STARTED, id, 0, id == 9 ? "\xff" : "host", 2, 0);
    if (fate == NO_ANSWER)
        tell(c, EVENT_DEVICE_UNKNOWN, id, 10, unknown_reason_text(UNKNOWN_NO_ANSWER), 2, 0);
    if (fate == INVALID)
        tell(c, EVENT_DEVICE_UNKNOWN, id, 10, unknown_reason_text(UNKNOWN_INVALID), 2, 0);
    struct happening h = {
        .type = EVENT_DEVICE_FINISHED,
        .device = id,
        .mono_us = 1000 + (fate == SLOW ? 5000000 : 20000),
        .wall_us = 1,
        .figures = {2, fate == NO_ANSWER || fate == INVALID ? 2 : 0, 0, 0, fate == DOWN}};
    struct census_ask ended;
    (void)census_take(c, &h, &ended);
    if (fate == STOPPED)
        tell(c, EVENT_DEVICE_DROPPED, id, 30000, "", 1, 0);
}

/* A cycle of devices 1, 2, ... with these fates; the report that is in the file becomes the next one. */
static char *cycle(const enum fate *fates, size_t count)
{
    struct census *c = census_new();
    struct buf text = BUF_INIT;
    struct pastreport past;
    struct err err = ERR_INIT;
    tell(c, EVENT_CYCLE_STARTED, 0, 0, "", 1, 0);
    for (size_t i = 0; i < count; i++)
        poll_device(c, (uint32_t)i + 1, fates[i]);
    bool read = pastreport_read(path, &past, &err);
    assert_true(read);
    report_print(c, &facts, &past, &text);
    pastreport_done(&past);
    census_free(c);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(buf_str(&text), f);
    fclose(f);
    return buf_take(&text);
}

static char *cycles(const enum fate *fates, size_t count, size_t devices)
{
    char *last = NULL;
    for (size_t i = 0; i < count; i++) {
        free(last);
        last = cycle(fates + i * devices, devices);
    }
    return last;
}

static void assert_has(const char *report, const char *text)
{
    if (strstr(report, text) == NULL)
        fail_msg("no %s in %s", text, strstr(report, "\"patterns\""));
}

static int before(void **state UNUSED)
{
    unlink(path);
    facts = (struct census_facts){.poller = 1, .driver = "event"};
    return 0;
}

static void need_history(void)
{
    if (pastreport_is_built())
        return;
    puts("NOT TRIED: this build has no jansson");
    skip();
}

static void devices_that_fail_in_the_same_way_are_patterns(void **state UNUSED)
{
    static const enum fate fates[][5] = {{DOWN, NO_ANSWER, SLOW, STOPPED, WELL},
                                         {DOWN, NO_ANSWER, SLOW, STOPPED, INVALID},
                                         {DOWN, NO_ANSWER, SLOW, STOPPED, NO_ANSWER}};
    need_history();
    char *early = cycles(fates[0], 2, 5);
    assert_has(early, "\"patterns\":[]");
    free(early);
    char *report = cycle(fates[2], 5);
    assert_has(report,
               "{\"device\":1,\"hostname\":\"host\",\"pattern\":\"always down\",\"cycles\":3}");
    assert_has(report, "{\"device\":2,\"hostname\":\"host\",\"pattern\":\"U by the same "
                       "reason\",\"cycles\":3,\"reason\":\"no answer\"}");
    assert_has(report,
               "{\"device\":3,\"hostname\":\"host\",\"pattern\":\"always slow\",\"cycles\":3}");
    assert_has(report, "{\"device\":4,\"hostname\":\"host\",\"pattern\":\"never finished\"");
    assert_null(
        strstr(strstr(report, "\"patterns\""), "{\"device\":5,\"hostname\":\"host\",\"pattern\""));
    assert_has(report, "{\"device\":5,\"hostname\":\"host\",\"states\":\".AB\",\"slow\":\"000\"}");
    free(report);
}

static void a_device_that_comes_and_goes_flaps(void **state UNUSED)
{
    static const enum fate fates[] = {WELL, DOWN, WELL, DOWN};
    need_history();
    char *report = cycles(fates, 4, 1);
    assert_has(report, "\"pattern\":\"flapping\",\"cycles\":3");
    free(report);
    report = cycle(fates, 0); /* it is disabled: nothing to tell, which is a change */
    assert_has(report, "\"states\":\".d.d.\"");
    free(report);
}

static void
only_the_newest_cycles_and_the_devices_with_something_to_tell_are_kept(void **state UNUSED)
{
    static const enum fate bad[] = {WELL, DOWN}, good[] = {WELL, WELL};
    need_history();
    free(cycle(bad, 2));
    for (int i = 1; i < PAST_CYCLES; i++)
        free(cycle(good, 2));
    struct pastreport past;
    struct err err = ERR_INIT;
    assert_true(pastreport_read(path, &past, &err));
    assert_int_equal(past.cycle_count, PAST_CYCLES);
    assert_int_equal(past.cycles[0].down, 1);
    assert_int_equal(past.device_count, 1);
    assert_int_equal(past.devices[0].id, 2);
    pastreport_done(&past);
    free(cycle(good, 2));
    assert_true(pastreport_read(path, &past, &err));
    assert_int_equal(past.cycle_count, PAST_CYCLES);
    assert_int_equal(past.cycles[0].down, 0);
    assert_int_equal(past.device_count, 0);
    pastreport_done(&past);
}

static void another_poller_has_another_history(void **state UNUSED)
{
    static const enum fate bad[] = {DOWN};
    need_history();
    free(cycle(bad, 1));
    facts.poller = 2;
    char *report = cycle(bad, 1);
    assert_has(report, "\"states\":\"d\"");
    free(report);
    facts.has_range = true;
    facts.first = 5;
    report = cycle(bad, 1);
    assert_has(report, "\"states\":\"d\"");
    free(report);
}

static void a_name_that_is_not_utf8_does_not_spoil_the_history(void **state UNUSED)
{
    static const enum fate fates[9] = {[8] = DOWN};
    need_history();
    free(cycle(fates, 9));
    char *report = cycle(fates, 9);
    assert_has(report, "\"states\":\"dd\"");
    free(report);
}

static void assert_unusable(const char *text, size_t len)
{
    struct pastreport past;
    struct err err = ERR_INIT;
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fwrite(text, 1, len, f);
    fclose(f);
    assert_false(pastreport_read(path, &past, &err));
    assert_int_equal(past.device_count, 0);
    assert_int_equal(past.cycle_count, 0);
    assert_true(err.text[0] != '\0');
}

static void a_damaged_report_gives_no_history(void **state UNUSED)
{
    static const enum fate fates[] = {DOWN, NO_ANSWER};
    struct pastreport past;
    struct err err = ERR_INIT;
    need_history();
    char *report = cycles(fates, 1, 2);
    for (size_t len = 0; len + 2 < strlen(report); len += 7)
        assert_unusable(report, len);
    char *at = strstr(report, "\"states\":\"d\"");
    assert_non_null(at);
    at[10] = '?';
    assert_unusable(report, strlen(report));
    free(report);
    assert_unusable("{\"report\":2}", 12);
    assert_unusable("[]", 2);
    assert_false(pastreport_read("/dev/null", &past, &err));
    err = (struct err)ERR_INIT;
    unlink(path);
    assert_true(pastreport_read(path, &past, &err)); /* the first report */
    assert_int_equal(past.cycle_count, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, before)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(devices_that_fail_in_the_same_way_are_patterns),
        TEST(a_device_that_comes_and_goes_flaps),
        TEST(only_the_newest_cycles_and_the_devices_with_something_to_tell_are_kept),
        TEST(another_poller_has_another_history),
        TEST(a_name_that_is_not_utf8_does_not_spoil_the_history),
        TEST(a_damaged_report_gives_no_history),
    };
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
