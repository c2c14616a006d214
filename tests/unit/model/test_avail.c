#include "config.h"

#include "model/avail.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- which test, and the verdict (docs/contract.md 7) ---- */

/* P ask the ping, S ask by SNMP, u up, d down, ? untested.  Four letters for an SNMP test not made,
 * up, down, impossible; one row for a ping not made, up, down, impossible. */
static const struct {
    int method;
    bool community;
    const char *next[4];
} table[] = {
    {AVAIL_NONE, true, {"uuuu", "uuuu", "uuuu", "uuuu"}},
    {AVAIL_NONE, false, {"uuuu", "uuuu", "uuuu", "uuuu"}},
    {AVAIL_PING_AND_SNMP, true, {"PPPP", "Sud?", "dddd", "Sud?"}},
    {AVAIL_PING_AND_SNMP, false, {"PPPP", "uuuu", "dddd", "????"}},
    {AVAIL_SNMP_UPTIME, true, {"Sud?", "Sud?", "Sud?", "Sud?"}},
    {AVAIL_SNMP_UPTIME, false, {"uuuu", "uuuu", "uuuu", "uuuu"}},
    {AVAIL_PING, true, {"PPPP", "uuuu", "dddd", "????"}},
    {AVAIL_PING, false, {"PPPP", "uuuu", "dddd", "????"}},
    {AVAIL_PING_OR_SNMP, true, {"PPPP", "uuuu", "Sud?", "Su??"}},
    {AVAIL_PING_OR_SNMP, false, {"PPPP", "uuuu", "dddd", "????"}},
    {AVAIL_SNMP_DESC, true, {"Sud?", "Sud?", "Sud?", "Sud?"}},
    {AVAIL_SNMP_DESC, false, {"uuuu", "uuuu", "uuuu", "uuuu"}},
    {AVAIL_SNMP_GETNEXT, true, {"Sud?", "Sud?", "Sud?", "Sud?"}},
    {AVAIL_SNMP_GETNEXT, false, {"uuuu", "uuuu", "uuuu", "uuuu"}},
    {7, true, {"dddd", "dddd", "dddd", "dddd"}},
    {-1, false, {"dddd", "dddd", "dddd", "dddd"}},
};

static struct device device_with(int method, int version, const char *community)
{
    return (struct device){.id = 1,
                           .availability_method = method,
                           .snmp = {.version = (uint8_t)version, .community = community}};
}

static struct avail_check check_with(int ping, int snmp)
{
    struct avail_check c;
    avail_init(&c);
    c.ping.done = ping > 0;
    c.ping.up = ping == 1;
    c.ping.impossible = ping == 3;
    c.snmp.done = snmp > 0;
    c.snmp.up = snmp == 1;
    c.snmp.impossible = snmp == 3;
    return c;
}

static void the_verdict_follows_the_table(void **state)
{
    (void)state;
    const char letters[] = {[AVAIL_ASK_PING] = 'P',
                            [AVAIL_ASK_SNMP] = 'S',
                            [AVAIL_DECIDED_UP] = 'u',
                            [AVAIL_DECIDED_DOWN] = 'd',
                            [AVAIL_DECIDED_UNTESTED] = '?'};
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        for (int ping = 0; ping < 4; ping++)
            for (int snmp = 0; snmp < 4; snmp++) {
                struct avail_check c = check_with(ping, snmp);
                struct device d =
                    device_with(table[i].method, 1 + snmp % 2, table[i].community ? "public" : "");
                char next = letters[avail_next(&d, &c)];
                if (next != table[i].next[ping][snmp])
                    fail_msg("method %d, community %d, ping %d, snmp %d: %c, expected %c",
                             table[i].method, table[i].community, ping, snmp, next,
                             table[i].next[ping][snmp]);
            }
}

static void only_v1_and_v2c_without_community_need_no_snmp(void **state)
{
    (void)state;
    struct avail_check c = check_with(0, 0);
    const enum avail_next next[] = {AVAIL_DECIDED_UP, AVAIL_DECIDED_UP, AVAIL_DECIDED_UP,
                                    AVAIL_ASK_SNMP};
    for (int version = 0; version < 4; version++) {
        struct device d = device_with(AVAIL_SNMP_UPTIME, version, "");
        assert_int_equal(avail_next(&d, &c), next[version]);
    }
}

/* ---- how long silence takes ---- */

/* A ping waits 400 ms three times, an SNMP request 500 ms twice. */
static const struct {
    int method, ping_method;
    bool community;
    int64_t ms;
} silences[] = {
    {AVAIL_NONE, 2, true, 0},
    {AVAIL_PING_AND_SNMP, 2, true, 1200}, /* the ping decides */
    {AVAIL_SNMP_UPTIME, 2, true, 1000},
    {AVAIL_SNMP_UPTIME, 2, false, 0},
    {AVAIL_PING, 1, true, 1200},
    {AVAIL_PING, 5, true, 1200},
    {AVAIL_PING, 4, true, 0},
    {AVAIL_PING_OR_SNMP, 3, true, 2200},
    {AVAIL_PING_OR_SNMP, 3, false, 1200},
    {AVAIL_SNMP_DESC, 2, true, 1000},
    {AVAIL_SNMP_GETNEXT, 2, true, 1000},
    {7, 2, true, 0},
};

static void a_silent_device_takes_the_tests_that_are_made(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(silences); i++) {
        struct device d = device_with(silences[i].method, 2, silences[i].community ? "public" : "");
        d.ping_method = silences[i].ping_method;
        d.ping_timeout_ms = 400;
        d.ping_retries = 2;
        d.snmp.timeout_ms = 500;
        if (avail_silent_ms(&d, 1) != silences[i].ms)
            fail_msg("method %d by %d: %d ms, expected %d", silences[i].method,
                     silences[i].ping_method, (int)avail_silent_ms(&d, 1), (int)silences[i].ms);
    }
}

static void a_ping_out_of_range_takes_the_time_that_it_is_given(void **state)
{
    (void)state;
    struct device d = device_with(AVAIL_PING, 2, "public");
    d.ping_method = PING_METHOD_UDP;
    d.ping_timeout_ms = 0;
    d.ping_retries = -1;
    assert_int_equal(avail_silent_ms(&d, 3), 3 * 500);
    d.ping_timeout_ms = 10;
    d.ping_retries = 0; /* is no mistake */
    assert_int_equal(avail_silent_ms(&d, 3), 10);
    d.ping_retries = 1000;
    assert_int_equal(avail_silent_ms(&d, 3), (PING_RETRIES_MAX + 1) * 10);
}

/* ---- the state machine (docs/contract.md 8.2, 8.3) ---- */

/* Steps "o3/0": o up or x down, then status and event count afterwards; D or U if an event is told;
 * f or r if the fail or recovery date is set.  Starts from status/count. */
static const struct {
    const char *name;
    int failure_count, recovery_count;
    int status, count;
    const char *steps;
} sequences[] = {
    {"observed with 2 and 3", 2, 3, HOST_UP, 0,
     "o3/0 x3/1f x1/2D x1/3 o2/1r x1/1 o2/1r o2/2 o3/0U o3/0 x3/1f o3/0"},
    {"down and back", 2, 3, HOST_UP, 0, "x3/1f x1/2D x1/3 o2/1r o2/2 o3/0U"},
    {"counts of 1", 1, 1, HOST_UP, 0, "x1/1Df x1/2 o3/0Ur o3/0 x1/1Df"},
    {"failure count 0 sets no date", 0, 1, HOST_UP, 0, "x1/1D"},
    {"failure count 4", 4, 2, HOST_UP, 0, "x3/1f x3/2 x3/3 x1/4D x1/5 o2/1r o3/0U"},
    {"two failures between successes do not count", 3, 3, HOST_UP, 0,
     "x3/1f x3/2 o3/0 x3/1f x3/2 o3/0"},
    {"a new device that is up", 2, 3, HOST_UNKNOWN, 0, "o3/0 o3/0"},
    {"a new device that is down", 2, 3, HOST_UNKNOWN, 5, "x1/0 x1/1 o2/1r"},
    {"recovery that fails", 2, 3, HOST_RECOVERING, 2, "x1/1 x1/2"},
    {"recovery that ends", 2, 3, HOST_RECOVERING, 2, "o3/0U"},
    {"a lower recovery count", 2, 2, HOST_RECOVERING, 5, "o3/0U"},
    {"unknown status, down", 2, 3, 7, 1, "x7/2 x7/3"},
    {"unknown status, up", 2, 3, 7, 1, "o3/0"},
};

static void walk(size_t k, const char *step, struct device_status *s, int64_t when,
                 struct arena *memory)
{
    struct device d = device_with(AVAIL_PING, 2, "public");
    struct avail_check c = check_with(*step == 'o' ? 1 : 2, 0);
    struct device_status before = *s;
    char seen[32];
    enum avail_event e = avail_settle(&d, &c, *step == 'o', sequences[k].failure_count,
                                      sequences[k].recovery_count, when, s, memory);
    snprintf(seen, sizeof(seen), "%c%d/%d%s%s%s", *step, s->status, (int)s->event_count,
             e == AVAIL_WENT_DOWN ? "D" : (e == AVAIL_CAME_BACK ? "U" : ""),
             s->fail_date != before.fail_date ? "f" : "",
             s->rec_date != before.rec_date ? "r" : "");
    if (strncmp(seen, step, strlen(seen)) != 0 || strchr(" ", step[strlen(seen)]) == NULL)
        fail_msg("%s: %s, expected %s", sequences[k].name, seen, step);
    assert_true(s->fail_date == before.fail_date || s->fail_date == when);
    assert_true(s->rec_date == before.rec_date || s->rec_date == when);
    assert_int_equal(s->total_polls, before.total_polls + 1);
    assert_int_equal(s->failed_polls, before.failed_polls + (*step == 'x'));
}

static void status_and_count_follow_the_observed_sequences(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(sequences); k++) {
        struct arena memory = ARENA_INIT;
        struct device_status s = {
            .status = sequences[k].status, .event_count = sequences[k].count, .last_error = ""};
        int64_t when = 1700000000;
        for (const char *p = sequences[k].steps; p != NULL; p = strchr(p, ' '), when += 60) {
            p += *p == ' ';
            walk(k, p, &s, when, &memory);
        }
        arena_done(&memory);
    }
}

/* ---- figures ---- */

/* What the ping (4 ms) and SNMP (2 ms) tests mean for cur_time. */
static const struct {
    int method;
    bool community;
    int ping, snmp;
    double sample;
} samples[] = {
    {AVAIL_NONE, true, 0, 0, 0},           {AVAIL_PING_AND_SNMP, true, 1, 1, 3},
    {AVAIL_PING_AND_SNMP, false, 1, 0, 4}, {AVAIL_SNMP_UPTIME, true, 0, 1, 2},
    {AVAIL_SNMP_UPTIME, false, 0, 0, 0},   {AVAIL_PING, true, 1, 0, 4},
    {AVAIL_PING_OR_SNMP, true, 1, 0, 4},   {AVAIL_PING_OR_SNMP, true, 2, 1, 2},
    {AVAIL_SNMP_DESC, true, 0, 1, 2},      {AVAIL_SNMP_GETNEXT, true, 0, 1, 2},
    {AVAIL_SNMP_DESC, false, 0, 0, 0},
};

static struct device_status settle(int method, bool community, const struct avail_check *c, bool up,
                                   struct device_status s, struct arena *memory)
{
    struct device d = device_with(method, 2, community ? "public" : "");
    avail_settle(&d, c, up, 2, 3, 1700000000, &s, memory);
    return s;
}

static void assert_near(double a, double b)
{
    if (fabs(a - b) > 1e-9)
        fail_msg("%.12g, expected %.12g", a, b);
}

static void the_time_is_that_of_the_test_that_counts(void **state)
{
    (void)state;
    struct arena memory = ARENA_INIT;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct avail_check c = check_with(samples[i].ping, samples[i].snmp);
        c.ping.time_ms = samples[i].ping == 1 ? 4 : 0;
        c.snmp.time_ms = 2;
        struct device_status s = settle(samples[i].method, samples[i].community, &c, true,
                                        (struct device_status){.min_time = 9.99999}, &memory);
        assert_near(s.cur_time, samples[i].sample);
        assert_near(s.avg_time, samples[i].sample);
    }
    arena_done(&memory);
}

/* An impossible ping says nothing, so the time is the SNMP test's alone. */
static void an_impossible_ping_does_not_halve_the_time(void **state)
{
    (void)state;
    struct arena memory = ARENA_INIT;
    struct avail_check c = check_with(3, 1);
    c.snmp.time_ms = 2;
    struct device_status s =
        settle(AVAIL_PING_AND_SNMP, true, &c, true, (struct device_status){.min_time = 9}, &memory);
    assert_near(s.cur_time, 2);
    arena_done(&memory);
}

static void average_and_extremes_follow_the_contract(void **state)
{
    (void)state;
    struct arena memory = ARENA_INIT;
    struct avail_check up = check_with(1, 0), down = check_with(2, 0);
    struct device_status s = {.status = HOST_UP,
                              .min_time = 2,
                              .max_time = 10,
                              .cur_time = 5,
                              .avg_time = 5,
                              .total_polls = 10,
                              .failed_polls = 2};
    up.ping.time_ms = 14;
    s = settle(AVAIL_PING, true, &up, true, s, &memory);
    assert_near(s.avg_time, (8 * 5 + 14) / 9.0);
    assert_near(s.cur_time, 14);
    assert_near(s.min_time, 2);
    assert_near(s.max_time, 14);
    assert_near(s.availability, 100 * 9.0 / 11);
    s = settle(AVAIL_PING, true, &down, false, s, &memory);
    assert_near(s.avg_time, (8 * 5 + 14) / 9.0); /* times stay */
    assert_near(s.cur_time, 14);
    assert_near(s.availability, 100 * 9.0 / 12);
    up.ping.time_ms = 0.5;
    s = settle(AVAIL_PING, true, &up, true, s, &memory);
    assert_near(s.min_time, 0.5);
    assert_near(s.max_time, 14);
    assert_near(s.availability, 100 * 10.0 / 13);
    arena_done(&memory);
}

static void the_first_poll_starts_the_figures(void **state)
{
    (void)state;
    struct arena memory = ARENA_INIT;
    struct avail_check up = check_with(1, 0), down = check_with(2, 0);
    const struct device_status fresh = {.status = HOST_UNKNOWN, .min_time = 9.99999};
    up.ping.time_ms = 3.25;
    struct device_status s = settle(AVAIL_PING, true, &up, true, fresh, &memory);
    assert_near(s.avg_time, 3.25);
    assert_near(s.min_time, 3.25);
    assert_near(s.max_time, 3.25);
    assert_near(s.availability, 100);
    s = settle(AVAIL_PING, true, &down, false, fresh, &memory);
    assert_near(s.availability, 0);
    assert_near(s.avg_time, 0);
    assert_near(s.min_time, 9.99999);
    s = settle(AVAIL_PING, true, &up, true, s, &memory);
    assert_near(s.avg_time, 3.25);
    assert_near(s.availability, 50);
    /* damaged figures: more failures than polls */
    for (int64_t more = 1; more <= 50; more += 49) {
        s.failed_polls = s.total_polls + more;
        s = settle(AVAIL_PING, true, &up, true, s, &memory);
        assert_true(isfinite(s.avg_time) && isfinite(s.availability));
    }
    arena_done(&memory);
}

/* ---- the text (docs/contract.md 8.5) ---- */

#define PING_TEXT  "ICMP: Ping timed out"
#define SNMP_TEXT  "Device did not respond to SNMP"
#define NOT_PINGED "Ping not performed due to setting."
#define NOT_ASKED  "SNMP not performed due to setting or ping result"

static const struct {
    int method;
    bool community;
    bool pinged, asked;
    const char *text;
} errors[] = {
    {AVAIL_PING_AND_SNMP, true, true, true, SNMP_TEXT ", " PING_TEXT},
    {AVAIL_PING_AND_SNMP, true, true, false, NOT_ASKED ", " PING_TEXT},
    {AVAIL_PING_AND_SNMP, false, true, false, PING_TEXT},
    {AVAIL_SNMP_UPTIME, true, false, true, SNMP_TEXT},
    {AVAIL_PING, true, true, false, PING_TEXT},
    {AVAIL_PING, false, true, false, PING_TEXT},
    {AVAIL_PING_OR_SNMP, true, true, true, SNMP_TEXT ", " PING_TEXT},
    {AVAIL_PING_OR_SNMP, false, true, false, PING_TEXT},
    {AVAIL_SNMP_DESC, true, false, true, SNMP_TEXT},
    {AVAIL_SNMP_GETNEXT, true, false, true, SNMP_TEXT},
    {7, true, false, false, NOT_PINGED},
};

static void the_last_error_names_the_tests_that_failed(void **state)
{
    (void)state;
    struct arena memory = ARENA_INIT;
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        char ping[] = PING_TEXT; /* not the caller's for long */
        struct avail_check c = check_with(errors[i].pinged ? 2 : 0, errors[i].asked ? 2 : 0);
        if (errors[i].pinged)
            c.ping.text = ping;
        if (errors[i].asked)
            c.snmp.text = SNMP_TEXT;
        struct device_status s = settle(errors[i].method, errors[i].community, &c, false,
                                        (struct device_status){.last_error = "old"}, &memory);
        memset(ping, 'x', sizeof(ping) - 1);
        assert_string_equal(s.last_error, errors[i].text);
    }
    arena_done(&memory);
}

static void the_last_error_stays_when_the_device_is_up(void **state)
{
    (void)state;
    struct arena memory = ARENA_INIT;
    struct avail_check c = check_with(1, 1);
    struct device_status s =
        settle(AVAIL_PING, true, &c, true, (struct device_status){.last_error = "old"}, &memory);
    assert_string_equal(s.last_error, "old");
    arena_done(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_verdict_follows_the_table),
        cmocka_unit_test(only_v1_and_v2c_without_community_need_no_snmp),
        cmocka_unit_test(a_silent_device_takes_the_tests_that_are_made),
        cmocka_unit_test(a_ping_out_of_range_takes_the_time_that_it_is_given),
        cmocka_unit_test(status_and_count_follow_the_observed_sequences),
        cmocka_unit_test(the_time_is_that_of_the_test_that_counts),
        cmocka_unit_test(an_impossible_ping_does_not_halve_the_time),
        cmocka_unit_test(average_and_extremes_follow_the_contract),
        cmocka_unit_test(the_first_poll_starts_the_figures),
        cmocka_unit_test(the_last_error_names_the_tests_that_failed),
        cmocka_unit_test(the_last_error_stays_when_the_device_is_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
