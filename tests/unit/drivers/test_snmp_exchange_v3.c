#include "config.h"

#include "snmp_bench.h"

/* ---- an agent ---- */

struct engine {
    const char *id;
    int32_t boots, time;
};

static const struct engine engine = {"\x80\x00\x1f\x88\x04lab1", 3, 1000};

enum { UNSUPPORTED_LEVEL = 1, NOT_IN_TIME = 2, UNKNOWN_USER = 3, UNKNOWN_ENGINE = 4 };

static struct bytes v3_message(const struct engine *e, const struct seen *r, struct bytes pdu)
{
    static const uint8_t flags = 0; /* noAuthNoPriv */
    struct bytes head =
        cat(cat(integer(2, r->msg_id), integer(2, 65507)), cat(octets(&flags, 1), integer(2, 3)));
    struct bytes usm = cat(cat(octets(e->id, strlen(e->id)), integer(2, e->boots)),
                           cat(integer(2, e->time), octets(r->user, strlen(r->user))));
    usm = tlv(0x30, cat(usm, cat(octets("", 0), octets("", 0))));
    struct bytes scoped = tlv(0x30, cat(cat(octets(e->id, strlen(e->id)), octets("", 0)), pdu));
    return tlv(0x30, cat(cat(integer(2, 3), tlv(0x30, head)), cat(tlv(0x04, usm), scoped)));
}

/* The usmStats object of that number (RFC 3414). */
static struct bytes report(const struct engine *e, const struct seen *r, uint8_t which)
{
    const uint8_t name[] = {0x2b, 6, 1, 6, 3, 15, 1, 1, which, 0};
    return v3_message(e, r, pdu_of(0xa8, r->request_id, name, sizeof(name), integer(0x41, 1)));
}

static struct bytes answer(const struct engine *e, const struct seen *r, int32_t value)
{
    return v3_message(e, r, uptime_pdu(r->request_id, value));
}

/* Tells its engine to the request of that number, which asks for it. */
static void tell_engine(struct bench *b, const struct engine *e, size_t index)
{
    struct seen r = bench_sent(b, index);
    assert_int_equal(r.version, 3);
    assert_int_equal(r.engine_len, 0);
    assert_string_equal(r.user, "");
    bench_message(b, report(e, &r, UNKNOWN_ENGINE));
}

static void answer_request(struct bench *b, const struct engine *e, size_t index, int32_t value)
{
    struct seen r = bench_sent(b, index);
    assert_string_equal(r.user, "user");
    assert_int_equal(r.engine_len, strlen(e->id));
    assert_memory_equal(r.engine, e->id, r.engine_len);
    bench_message(b, answer(e, &r, value));
}

/* A session that has answered once: two messages sent. */
static void start_session(struct bench *b, const struct target *t, int retries)
{
    bench_init(b, retries);
    bench_ask(b, t);
    tell_engine(b, &engine, 0);
    bench_waits(b, 2);
    answer_request(b, &engine, 1, 5);
    bench_answered(b, 5);
}

/* ---- tests ---- */

static void the_agents_engine_is_found_once_and_then_asked(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(3);
    start_session(&b, &t, 1);
    assert_int_equal(bench_sent(&b, 1).boots, engine.boots);
    bench_begin(&b, &t);
    bench_waits(&b, 3);
    answer_request(&b, &engine, 2, 6);
    bench_answered(&b, 6);
    assert_int_equal(snmp_exchange_counts(b.s)->discoveries, 1);
    assert_int_equal(snmp_exchange_counts(b.s)->reports, 0);
    bench_done(&b);
}

static void a_report_ends_the_request(void **state UNUSED)
{
    static const struct {
        uint8_t which;
        const char *detail;
    } cases[] = {
        {UNKNOWN_USER, "the agent refuses: unknown user name (usmStatsUnknownUserNames)"},
        {UNSUPPORTED_LEVEL,
         "the agent refuses: unsupported security level (usmStatsUnsupportedSecLevels)"},
        {UNKNOWN_ENGINE, "the agent refuses: unknown engine id (usmStatsUnknownEngineIDs)"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        struct target t = bench_target(3);
        bench_init(&b, 3);
        bench_ask(&b, &t);
        tell_engine(&b, &engine, 0);
        struct seen r = bench_sent(&b, 1);
        bench_message(&b, report(&engine, &r, cases[i].which));
        bench_over(&b, SNMP_REFUSED, cases[i].detail);
        assert_int_equal(b.wire.sent_count, 2);
        assert_int_equal(snmp_exchange_counts(b.s)->reports, 1);

        bench_begin(&b, &t); /* only an unknown engine ends the session */
        bool again = cases[i].which == UNKNOWN_ENGINE;
        assert_int_equal(b.x->want.kind, again ? WANT_ADDRESS : WANT_IO);
        assert_int_equal(b.wire.closed, again);
        bench_done(&b);
    }
}

static void a_lost_clock_is_resynchronised_at_once(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(3);
    struct engine restarted = engine;
    restarted.boots++;
    restarted.time = 1;
    start_session(&b, &t, 1);
    bench_begin(&b, &t);
    struct seen r = bench_sent(&b, 2);
    b.now_us += 10 * MS;
    bench_message(&b, report(&restarted, &r, NOT_IN_TIME));
    bench_waits(&b, 4); /* without waiting for the time-out, which begins again */
    assert_int_equal(b.x->want.until_us, b.now_us + TIMEOUT_MS * MS);
    assert_int_equal(bench_sent(&b, 3).request_id, r.request_id);
    answer_request(&b, &restarted, 3, 9);
    bench_answered(&b, 9);
    assert_int_equal(snmp_exchange_counts(b.s)->repeats, 1);
    bench_done(&b);
}

static void a_clock_that_cannot_be_kept_is_a_refusal_and_ends_the_session(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(3);
    struct engine restarted = engine;
    start_session(&b, &t, 0);
    bench_begin(&b, &t);
    for (size_t i = 2; i < 4; i++) {
        struct seen r = bench_sent(&b, i);
        restarted.boots++;
        bench_message(&b, report(&restarted, &r, NOT_IN_TIME));
    }
    bench_over(&b, SNMP_REFUSED,
               "the agent refuses: not in time window (usmStatsNotInTimeWindows)");
    assert_int_equal(b.wire.sent_count, 4);
    bench_begin(&b, &t);
    bench_found(&b);
    assert_int_equal(bench_sent(&b, 4).engine_len, 0);
    bench_done(&b);
}

static void discovery_and_request_take_twice_the_patience_at_most(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(3);
    bench_init(&b, 0);
    bench_ask(&b, &t);
    b.now_us = b.x->want.until_us - 1;
    tell_engine(&b, &engine, 0);
    b.now_us = b.x->want.until_us - 1;
    struct seen r = bench_sent(&b, 1);
    bench_message(&b, report(&engine, &r, NOT_IN_TIME)); /* a repeat, and its time-out */
    bench_waits(&b, 3);
    assert_int_equal(b.x->want.until_us, START_US + 2 * TIMEOUT_MS * MS);
    bench_time(&b);
    bench_over(&b, SNMP_TIMED_OUT, "out of time");
    bench_done(&b);
}

static void an_agent_that_speaks_as_another_engine_is_looked_for_again_once(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(3);
    const struct engine replaced = {"\x80\x00\x1f\x88\x04other", 1, 1};
    start_session(&b, &t, 0);
    bench_begin(&b, &t);
    struct seen r = bench_sent(&b, 2);
    r.msg_id++; /* it says something, but nothing that belongs to the request */
    bench_message(&b, report(&replaced, &r, UNKNOWN_ENGINE));
    bench_waits(&b, 3);
    bench_time(&b);
    bench_found(&b);
    tell_engine(&b, &replaced, 3);
    answer_request(&b, &replaced, 4, 12);
    bench_answered(&b, 12);
    bench_done(&b);

    start_session(&b, &t, 0);
    bench_begin(&b, &t);
    r = bench_sent(&b, 2);
    r.msg_id++;
    bench_message(&b, report(&replaced, &r, UNKNOWN_ENGINE));
    answer_request(&b, &engine, 2, 13);
    bench_answered(&b, 13);
    bench_begin(&b, &t); /* mere silence is no reason, whatever came during the request before */
    BENCH_IGNORES(&b, EXCHANGE_READY); /* nor a descriptor that is ready for nothing */
    bench_time(&b);
    bench_over(&b, SNMP_TIMED_OUT, "no answer");
    assert_int_equal(b.wire.opened, 1);
    bench_done(&b);
}

static void a_dead_v3_agent_costs_its_attempts_and_no_more(void **state UNUSED)
{
    static const int retries[] = {0, 2, 3};
    for (size_t i = 0; i < ARRAY_LEN(retries); i++) {
        struct bench b;
        struct target t = bench_target(3);
        bench_init(&b, retries[i]);
        bench_ask(&b, &t);
        for (int n = 0; n <= retries[i]; n++)
            bench_time(&b);
        bench_over(&b, SNMP_TIMED_OUT, "no answer");
        assert_int_equal(b.now_us, START_US + (retries[i] + 1) * TIMEOUT_MS * MS);
        assert_int_equal(b.wire.sent_count, retries[i] + 1);
        bench_done(&b);
    }
}

static void finding_the_engine_late_leaves_the_request_its_own_attempts(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(3);
    bench_init(&b, 1);
    bench_ask(&b, &t);
    bench_time(&b);
    b.now_us = b.x->want.until_us - 1;
    tell_engine(&b, &engine, 1);
    bench_time(&b);
    bench_waits(&b, 4);
    bench_time(&b);
    bench_over(&b, SNMP_TIMED_OUT, "no answer");
    assert_int_equal(b.now_us, START_US + 4 * TIMEOUT_MS * MS - 1);
    bench_done(&b);
}

/* ---- an engine that is known from an earlier session ---- */

static const struct engine replaced_engine = {"\x80\x00\x1f\x88\x04other", 1, 1};

static void begin_session(struct bench *b, struct memo *engines, int retries)
{
    bench_init_options(
        b, &(struct snmp_options){.retries = retries, .client_address = "", .engines = engines});
}

/* What it has learned is in the table. */
static struct memo *learn(const struct target *t)
{
    struct bench b;
    struct memo *engines = snmp_engines_new();
    begin_session(&b, engines, 1);
    bench_ask(&b, t);
    tell_engine(&b, &engine, 0);
    answer_request(&b, &engine, 1, 5);
    bench_answered(&b, 5);
    bench_done(&b);
    assert_int_equal(memo_figures(engines, 0).entries, 1);
    return engines;
}

/* The first message asks for the value. */
static void ask_warm(struct bench *b, struct memo *engines, const struct target *t, int retries)
{
    begin_session(b, engines, retries);
    bench_ask(b, t);
    struct seen r = bench_sent(b, 0);
    assert_int_equal(r.engine_len, strlen(engine.id));
    assert_string_equal(r.user, "user");
}

/* It looks for the engine, with the message of that number. */
static void go_on_cold(struct bench *b, const struct engine *e, size_t index)
{
    bench_found(b);
    bench_waits(b, index + 1);
    tell_engine(b, e, index);
    answer_request(b, e, index + 1, 12);
    bench_answered(b, 12);
    assert_int_equal(b->wire.sent_count, index + 2);
}

static void a_known_engine_is_asked_at_once(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(3);
    struct memo *engines = learn(&t);
    ask_warm(&b, engines, &t, 1);
    assert_int_equal(bench_sent(&b, 0).boots, engine.boots);
    answer_request(&b, &engine, 0, 7);
    bench_answered(&b, 7);
    assert_int_equal(snmp_exchange_counts(b.s)->discoveries, 0);
    bench_begin(&b, &t); /* now it has all its attempts */
    bench_time(&b);
    bench_waits(&b, 3);
    answer_request(&b, &engine, 2, 8);
    bench_answered(&b, 8);
    bench_done(&b);
    assert_int_equal(memo_figures(engines, 0).hits, 1);
    memo_free(engines);
}

static void an_engine_is_known_for_an_hour(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(3);
    struct memo *engines = learn(&t);
    begin_session(&b, engines, 1);
    b.now_us += memo_figures(engines, 0).keep_ms * MS;
    bench_begin_until(&b, &t, b.now_us + 60000 * MS);
    bench_found(&b);
    tell_engine(&b, &engine, 0);
    answer_request(&b, &engine, 1, 7);
    bench_answered(&b, 7);
    bench_done(&b);
    assert_int_equal(memo_figures(engines, 0).aged, 1);
    memo_free(engines);
}

static void an_engine_belongs_to_one_address_port_user_and_context(void **state UNUSED)
{
    struct target t = bench_target(3), others[4] = {t, t, t, t};
    struct memo *engines = learn(&t);
    others[0].username = "other";
    others[1].context = "blue";
    others[2].engine_id = "80001f8804636163";
    others[3].hostname = "192.0.2.2";
    for (size_t i = 0; i < ARRAY_LEN(others) + 2; i++) {
        struct bench b;
        begin_session(&b, engines, 1);
        if (i == ARRAY_LEN(others))
            b.agent = fake_address("192.0.2.2", 161);
        else if (i > ARRAY_LEN(others))
            t.port = 162;
        bench_ask(&b, i < ARRAY_LEN(others) ? &others[i] : &t);
        assert_int_equal(bench_sent(&b, 0).engine_len, 0);
        bench_done(&b);
    }
    memo_free(engines);
}

static void an_agent_that_has_restarted_costs_no_more_than_without(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(3);
    struct engine restarted = engine;
    struct memo *engines = learn(&t);
    restarted.boots++;
    restarted.time = 1;
    ask_warm(&b, engines, &t, 0);
    struct seen r = bench_sent(&b, 0);
    bench_message(&b, report(&restarted, &r, NOT_IN_TIME));
    bench_waits(&b, 2);
    answer_request(&b, &restarted, 1, 9);
    bench_answered(&b, 9);
    bench_done(&b);
    ask_warm(&b, engines, &t, 0); /* and is known as it is now */
    assert_int_equal(bench_sent(&b, 0).boots, restarted.boots);
    bench_done(&b);
    memo_free(engines);
}

static void whatever_an_agent_reports_its_engine_is_looked_for_at_once(void **state UNUSED)
{
    static const uint8_t reports[] = {UNKNOWN_ENGINE, UNKNOWN_USER, UNSUPPORTED_LEVEL};
    for (size_t i = 0; i < ARRAY_LEN(reports); i++) {
        struct bench b;
        struct target t = bench_target(3);
        struct memo *engines = learn(&t);
        ask_warm(&b, engines, &t, 0);
        struct seen r = bench_sent(&b, 0);
        bench_message(&b, report(&replaced_engine, &r, reports[i]));
        go_on_cold(&b, &replaced_engine, 1);
        bench_done(&b);
        assert_int_equal(memo_figures(engines, 0).wrong, 1);
        begin_session(&b, engines, 0);
        bench_ask(&b, &t);
        assert_int_equal(bench_sent(&b, 0).engine_len, strlen(replaced_engine.id));
        bench_done(&b);
        memo_free(engines);
    }
}

static void an_agent_that_says_something_else_has_its_engine_looked_for_at_once(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(3);
    struct memo *engines = learn(&t);
    ask_warm(&b, engines, &t, 0);
    struct seen r = bench_sent(&b, 0);
    r.msg_id++;
    bench_message(&b, report(&replaced_engine, &r, UNKNOWN_ENGINE));
    go_on_cold(&b, &replaced_engine, 1);
    bench_done(&b);
    memo_free(engines);
}

static void
an_agent_that_says_nothing_has_its_engine_looked_for_with_the_next_attempt(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(3);
    struct memo *engines = learn(&t);
    ask_warm(&b, engines, &t, 0);
    bench_time(&b);
    assert_int_equal(b.now_us, START_US + TIMEOUT_MS * MS);
    go_on_cold(&b, &replaced_engine, 1);
    bench_done(&b);
    memo_free(engines);
}

/* Without repeats it is one more: else a lost message would cost the value. */
static void an_agent_that_has_died_since_costs_its_attempts(void **state UNUSED)
{
    static const int retries[] = {0, 1, 3};
    for (size_t i = 0; i < ARRAY_LEN(retries); i++) {
        struct bench b;
        struct target t = bench_target(3);
        struct memo *engines = learn(&t);
        int attempts = retries[i] > 0 ? retries[i] + 1 : 2;
        ask_warm(&b, engines, &t, retries[i]);
        bench_time(&b);
        bench_found(&b);
        for (int n = 1; n < attempts; n++)
            bench_time(&b);
        assert_int_equal(b.x->want.kind, WANT_NOTHING);
        snmp_exchange_reply(b.s, &b.reply);
        assert_int_equal(b.reply.outcome, SNMP_TIMED_OUT);
        assert_int_equal(b.wire.sent_count, attempts);
        assert_int_equal(b.now_us, START_US + attempts * TIMEOUT_MS * MS);
        bench_done(&b);
        assert_int_equal(memo_figures(engines, 0).entries, 0);
        memo_free(engines);
    }
}

static void credentials_that_an_agent_refuses_are_refused(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(3);
    struct memo *engines = learn(&t);
    ask_warm(&b, engines, &t, 3);
    struct seen r = bench_sent(&b, 0);
    bench_message(&b, report(&engine, &r, UNKNOWN_USER));
    bench_found(&b);
    tell_engine(&b, &engine, 1);
    r = bench_sent(&b, 2);
    bench_message(&b, report(&engine, &r, UNKNOWN_USER));
    bench_over(&b, SNMP_REFUSED, "the agent refuses: unknown user name (usmStatsUnknownUserNames)");
    assert_int_equal(b.wire.sent_count, 3);
    bench_done(&b);
    assert_int_equal(memo_figures(engines, 0).entries, 0);
    memo_free(engines);
}

/* ---- keys ---- */

static struct target target_with_keys(const char *password, const char *priv)
{
    struct target t = bench_target(3);
    t.password = password;
    t.priv_passphrase = priv;
    t.priv_protocol = "AES";
    return t;
}

static void run_job(struct bench *b)
{
    assert_int_equal(b->x->want.kind, WANT_JOB);
    b->x->want.job(b->x->want.arg);
    bench_feed(b, EXCHANGE_JOB_DONE);
}

static void keys_are_a_job_once_for_each_pass_phrase(void **state UNUSED)
{
    static const struct {
        const char *password, *priv;
        bool job;
    } cases[] = {{"authentication 1", "", true},
                 {"authentication 1", "", false},
                 {"authentication 1", "privacy number 1", true},
                 {"privacy number 1", "authentication 1", false},
                 {"authentication 2", "privacy number 1", true}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        struct target t = target_with_keys(cases[i].password, cases[i].priv);
        bench_init(&b, 0);
        bench_begin(&b, &t);
        if (cases[i].job)
            run_job(&b);
        bench_found(&b);
        tell_engine(&b, &engine, 0);
        bench_waits(&b, 2);
        assert_int_equal(bench_sent(&b, 1).flags & 3, cases[i].priv[0] != '\0' ? 3 : 1);
        bench_done(&b);
    }
}

static void an_answer_that_is_not_authentic_is_ignored(void **state UNUSED)
{
    struct bench b;
    struct target t = target_with_keys("authentication 1", "");
    bench_init(&b, 0);
    bench_begin(&b, &t);
    if (b.x->want.kind == WANT_JOB)
        run_job(&b);
    bench_found(&b);
    tell_engine(&b, &engine, 0);
    struct seen r = bench_sent(&b, 1);
    bench_message(&b, answer(&engine, &r, 1));
    bench_waits(&b, 2);
    assert_int_equal(snmp_exchange_counts(b.s)->ignored, 1);
    bench_time(&b);
    bench_over(&b, SNMP_TIMED_OUT, "no answer");
    bench_done(&b);
}

static void credentials_that_can_never_work_fail_at_once(void **state UNUSED)
{
    static const struct {
        const char *password, *auth, *priv;
        const char *detail;
    } cases[] = {
        {"short", "SHA", "",
         "Error generating SNMPv3 Ku from authentication pass phrase: it is shorter than 8 "
         "characters"},
        {"long enough", "SHA", "short",
         "Error generating SNMPv3 Ku from privacy pass phrase: it is shorter than 8 characters"},
        {"", "SHA", "long enough",
         "Error generating SNMPv3 Ku from authentication pass phrase: it is empty"},
        {"long enough", "ROT13", "",
         "Error generating SNMPv3 Ku from authentication pass phrase: no known authentication "
         "protocol"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        struct target t = target_with_keys(cases[i].password, cases[i].priv);
        t.auth_protocol = cases[i].auth;
        bench_init(&b, 0);
        bench_begin(&b, &t);
        bench_over(&b, SNMP_FAILED, cases[i].detail);
        bench_done(&b);
    }
}

/* ---- giving up ---- */

static void giving_up_waits_for_a_job_that_uses_the_credentials(void **state UNUSED)
{
    struct bench b;
    struct target t = target_with_keys("given up phrase", "");
    bench_init(&b, 0);
    bench_begin(&b, &t);
    BENCH_IGNORES(&b, EXCHANGE_ADDRESS_FOUND, EXCHANGE_ADDRESS_FAILED, EXCHANGE_READY,
                  EXCHANGE_TIME, EXCHANGE_GIVE_UP);
    run_job(&b);
    bench_over(&b, SNMP_TIMED_OUT, "out of time");
    bench_begin(&b, &t); /* the next cycle has the key already */
    bench_found(&b);
    bench_waits(&b, 1);
    bench_done(&b);
}

static void giving_up_ends_discovery_and_the_request_after_it(void **state UNUSED)
{
    for (int told = 0; told < 2; told++) {
        struct bench b;
        struct target t = bench_target(3);
        bench_init(&b, 3);
        bench_ask(&b, &t);
        if (told)
            tell_engine(&b, &engine, 0);
        BENCH_IGNORES(&b, EXCHANGE_ADDRESS_FOUND, EXCHANGE_ADDRESS_FAILED, EXCHANGE_JOB_DONE,
                      EXCHANGE_TIME);
        bench_feed(&b, EXCHANGE_GIVE_UP);
        bench_over(&b, SNMP_TIMED_OUT, "out of time");
        assert_int_equal(b.wire.closed, 1);
        bench_done(&b);
    }
}

/* ---- several agents ---- */

static void two_agents_with_one_engine_id_do_not_disturb_each_other(void **state UNUSED)
{
    struct bench a, b;
    struct target t = bench_target(3);
    struct engine twin = engine;
    twin.boots = 50;
    bench_init(&a, 0);
    bench_init(&b, 0);
    bench_ask(&a, &t);
    bench_ask(&b, &t);
    tell_engine(&a, &engine, 0);
    tell_engine(&b, &twin, 0);
    assert_int_equal(bench_sent(&a, 1).boots, engine.boots);
    assert_int_equal(bench_sent(&b, 1).boots, twin.boots);
    answer_request(&b, &twin, 1, 2);
    answer_request(&a, &engine, 1, 1);
    bench_answered(&a, 1);
    bench_answered(&b, 2);
    bench_begin(&a, &t);
    bench_begin(&b, &t);
    answer_request(&a, &engine, 2, 3);
    answer_request(&b, &twin, 2, 4);
    bench_answered(&a, 3);
    bench_answered(&b, 4);
    bench_done(&a);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_agents_engine_is_found_once_and_then_asked),
        cmocka_unit_test(a_report_ends_the_request),
        cmocka_unit_test(a_lost_clock_is_resynchronised_at_once),
        cmocka_unit_test(a_clock_that_cannot_be_kept_is_a_refusal_and_ends_the_session),
        cmocka_unit_test(discovery_and_request_take_twice_the_patience_at_most),
        cmocka_unit_test(an_agent_that_speaks_as_another_engine_is_looked_for_again_once),
        cmocka_unit_test(a_dead_v3_agent_costs_its_attempts_and_no_more),
        cmocka_unit_test(finding_the_engine_late_leaves_the_request_its_own_attempts),
        cmocka_unit_test(a_known_engine_is_asked_at_once),
        cmocka_unit_test(an_engine_is_known_for_an_hour),
        cmocka_unit_test(an_engine_belongs_to_one_address_port_user_and_context),
        cmocka_unit_test(an_agent_that_has_restarted_costs_no_more_than_without),
        cmocka_unit_test(whatever_an_agent_reports_its_engine_is_looked_for_at_once),
        cmocka_unit_test(an_agent_that_says_something_else_has_its_engine_looked_for_at_once),
        cmocka_unit_test(
            an_agent_that_says_nothing_has_its_engine_looked_for_with_the_next_attempt),
        cmocka_unit_test(an_agent_that_has_died_since_costs_its_attempts),
        cmocka_unit_test(credentials_that_an_agent_refuses_are_refused),
        cmocka_unit_test(keys_are_a_job_once_for_each_pass_phrase),
        cmocka_unit_test(an_answer_that_is_not_authentic_is_ignored),
        cmocka_unit_test(credentials_that_can_never_work_fail_at_once),
        cmocka_unit_test(giving_up_waits_for_a_job_that_uses_the_credentials),
        cmocka_unit_test(giving_up_ends_discovery_and_the_request_after_it),
        cmocka_unit_test(two_agents_with_one_engine_id_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, library_start, library_stop);
}
