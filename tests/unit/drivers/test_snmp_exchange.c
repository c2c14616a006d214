#include "config.h"

#include "snmp_bench.h"

/* ---- answers ---- */

static void the_agents_answer_is_taken_in_v1_and_v2c(void **state UNUSED)
{
    for (int version = 1; version <= 2; version++) {
        struct bench b;
        struct target t = bench_target(version);
        bench_init(&b, 2);
        bench_ask(&b, &t);
        assert_int_equal(bench_sent(&b, 0).version, version - 1);
        assert_int_equal(bench_sent(&b, 0).pdu, 0xa0);
        assert_true(wire_same_address(&b.wire.sent[0].address, &b.agent, true));
        b.now_us += 30 * MS;
        bench_message(&b, bench_reply(&b, 0, 4711));
        bench_answered(&b, 4711);
        assert_int_equal(b.reply.elapsed_us, 30 * MS);
        assert_int_equal(b.wire.sent_count, 1);
        bench_done(&b);
    }
}

static void bench_ignored(struct bench *b, struct bytes message, unsigned count)
{
    size_t sent = b->wire.sent_count;
    int64_t until_us = b->x->want.until_us;
    bench_message(b, message);
    bench_waits(b, sent);
    assert_int_equal(b->x->want.until_us, until_us);
    assert_int_equal(snmp_exchange_counts(b->s)->ignored, count);
}

static void what_only_looks_like_the_answer_is_ignored(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(2);
    bench_init(&b, 0);
    bench_ask(&b, &t);
    int32_t id = bench_sent(&b, 0).request_id;
    struct bytes right = bench_reply(&b, 0, 1), cut = right, rubbish = {.b = {1, 2, 3}, .len = 3};
    cut.len /= 2;
    static const uint8_t name[] = {0x2b, 6, 1, 2, 1, 1, 3, 0};
    struct bytes null = {.b = {5, 0}, .len = 2};
    bench_ignored(&b, message_of(1, "Secret", uptime_pdu(id, 2)), 1);
    bench_ignored(&b, message_of(1, "secre", uptime_pdu(id, 2)), 2);
    bench_ignored(&b, message_of(1, "", uptime_pdu(id, 2)), 3);
    bench_ignored(&b, message_of(0, "secret", uptime_pdu(id, 2)), 4);
    bench_ignored(&b, message_of(1, "secret", uptime_pdu(id + 1, 2)), 5);
    bench_ignored(&b, message_of(1, "secret", uptime_pdu(0, 2)), 6);
    bench_ignored(&b, cut, 7);
    bench_ignored(&b, rubbish, 8);
    bench_ignored(&b, message_of(1, "secret", pdu_of(0xa0, id, name, sizeof(name), null)), 9);
    bench_ignored(&b, message_of(1, "secret", pdu_of(0xa8, id, name, sizeof(name), null)), 10);
    BENCH_IGNORES(&b, EXCHANGE_READY); /* for nothing: that is no message */
    assert_int_equal(snmp_exchange_counts(b.s)->ignored, 10);
    bench_message(&b, right);
    bench_answered(&b, 1);
    bench_done(&b);
}

static void an_answer_from_another_address_is_taken_and_counted(void **state UNUSED)
{
    static const char *const from[] = {"192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.1"};
    static const uint16_t ports[] = {161, 161, 161, 162};
    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        struct bench b;
        struct target t = bench_target(2);
        bench_init(&b, 0);
        bench_ask(&b, &t);
        b.agent = fake_address(from[i], ports[i]);
        bench_message(&b, bench_reply(&b, 0, 5));
        bench_answered(&b, 5);
        assert_int_equal(snmp_exchange_counts(b.s)->strangers, i > 0);
        bench_done(&b);
    }
}

/* ---- time ---- */

static void silence_is_repeated_at_the_exact_time_and_then_believed(void **state UNUSED)
{
    static const int retries[] = {0, 1, 3};
    for (size_t i = 0; i < ARRAY_LEN(retries); i++) {
        struct bench b;
        struct target t = bench_target(2);
        bench_init(&b, retries[i]);
        bench_ask(&b, &t);
        for (int n = 0; n <= retries[i]; n++) {
            bench_waits(&b, (size_t)n + 1);
            assert_int_equal(b.x->want.until_us, START_US + (n + 1) * TIMEOUT_MS * MS);
            b.now_us = b.x->want.until_us - 1; /* too early */
            bench_feed(&b, EXCHANGE_TIME);
            bench_waits(&b, (size_t)n + 1);
            bench_time(&b);
        }
        bench_over(&b, SNMP_TIMED_OUT, "no answer");
        assert_int_equal(b.wire.sent_count, retries[i] + 1);
        assert_int_equal(b.reply.elapsed_us, (retries[i] + 1) * TIMEOUT_MS * MS);
        assert_int_equal(snmp_exchange_counts(b.s)->repeats, retries[i]);
        bench_done(&b);
    }
}

static void a_late_answer_to_any_earlier_attempt_counts(void **state UNUSED)
{
    for (size_t attempt = 0; attempt < 3; attempt++) {
        struct bench b;
        struct target t = bench_target(2);
        bench_init(&b, 3);
        bench_ask(&b, &t);
        for (size_t i = 0; i < 3; i++)
            bench_time(&b);
        bench_waits(&b, 4);
        bench_message(&b, bench_reply(&b, attempt, 99));
        bench_answered(&b, 99);
        bench_done(&b);
    }
}

static void an_answer_to_the_request_before_is_not_taken_for_this_ones(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(2);
    bench_init(&b, 0);
    bench_ask(&b, &t);
    bench_time(&b);
    bench_over(&b, SNMP_TIMED_OUT, "no answer");
    bench_begin(&b, &t);
    bench_ignored(&b, bench_reply(&b, 0, 1), 1);
    bench_message(&b, bench_reply(&b, 1, 2));
    bench_answered(&b, 2);
    bench_done(&b);
}

static void a_flood_of_invalid_messages_does_not_prevent_the_time_out(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(2);
    struct bytes rubbish = {.b = {0x30, 0}, .len = 2};
    bench_init(&b, 1);
    bench_ask(&b, &t);
    for (int i = 0; i < 19; i++) {
        b.now_us += 10 * MS;
        bench_message(&b, rubbish);
        bench_waits(&b, i < 9 ? 1 : 2);
    }
    b.now_us += 10 * MS;
    bench_message(&b, rubbish);
    bench_over(&b, SNMP_TIMED_OUT, "no answer");
    bench_done(&b);
}

static void the_deadline_ends_a_request_and_none_begins_after_it(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(2);
    bench_init(&b, 5);
    bench_begin_until(&b, &t, START_US + 150 * MS);
    bench_found(&b);
    bench_time(&b);
    bench_waits(&b, 2);
    assert_int_equal(b.x->want.until_us, START_US + 150 * MS);
    bench_time(&b);
    bench_over(&b, SNMP_TIMED_OUT, "out of time");
    for (int i = 0; i < 2; i++) {
        bench_begin_until(&b, &t, b.now_us - i);
        bench_found(&b);
        bench_over(&b, SNMP_TIMED_OUT, "out of time");
    }
    bench_begin_until(&b, &t, b.now_us + TIMEOUT_MS * MS); /* when a repeat would be due */
    bench_found(&b);
    bench_time(&b);
    bench_over(&b, SNMP_TIMED_OUT, "out of time");
    assert_int_equal(b.wire.sent_count, 3);
    bench_done(&b);
}

/* ---- what does not leave ---- */

static void a_request_that_fits_into_no_message_is_too_big(void **state UNUSED)
{
    enum { NAMES = 400, SUBS = 128 };
    static uint32_t subs[SUBS] = {1, 3};
    static struct oid names[NAMES];
    for (size_t i = 2; i < SUBS; i++)
        subs[i] = UINT32_MAX;
    for (size_t i = 0; i < NAMES; i++)
        names[i] = (struct oid){subs, SUBS};
    for (int by_socket = 0; by_socket < 2; by_socket++) {
        struct bench b;
        struct target t = bench_target(2);
        bench_init(&b, 2);
        b.wire.fail_send = by_socket ? EMSGSIZE : 0;
        struct snmp_request big = {
            .op = SNMP_OP_GET, .target = &t, .names = names, .count = by_socket ? 1 : NAMES};
        snmp_exchange_begin(b.s, &big, b.now_us, DEADLINE_US);
        bench_found(&b);
        bench_over(&b, SNMP_ANSWERED, "");
        assert_int_equal(b.reply.error_status, SNMP_ERROR_TOO_BIG);
        assert_int_equal(b.reply.error_index, 0);
        assert_int_equal(b.reply.count, 0);
        assert_int_equal(b.wire.sent_count, 0);
        b.wire.fail_send = 0; /* and the next one goes, in the same session */
        bench_begin(&b, &t);
        bench_message(&b, bench_reply(&b, 0, 3));
        bench_answered(&b, 3);
        bench_done(&b);
    }
}

/* The library keeps the request: nothing of it may meet the next one. */
static void a_repeat_that_fits_into_no_message_is_too_big(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(2);
    bench_init(&b, 3);
    bench_ask(&b, &t);
    bench_message(&b, bench_reply(&b, 0, 3));
    bench_answered(&b, 3);

    bench_begin(&b, &t);
    b.wire.fail_send = EMSGSIZE;
    bench_time(&b);
    bench_over(&b, SNMP_ANSWERED, "");
    assert_int_equal(b.reply.error_status, SNMP_ERROR_TOO_BIG);
    assert_int_equal(b.reply.error_index, 0);
    assert_int_equal(b.reply.count, 0);

    b.wire.fail_send = 0;
    bench_ask(&b, &t);
    bench_waits(&b, 3);
    bench_time(&b);
    bench_waits(&b, 4);
    bench_message(&b, bench_reply(&b, 3, 4));
    bench_answered(&b, 4);
    bench_done(&b);
}

static void a_local_failure_is_not_the_devices(void **state UNUSED)
{
    static const struct {
        int number;
        enum snmp_outcome outcome;
    } cases[] = {{ENOBUFS, SNMP_IMPOSSIBLE},       {ENOMEM, SNMP_IMPOSSIBLE},
                 {EPERM, SNMP_IMPOSSIBLE},         {EACCES, SNMP_IMPOSSIBLE},
                 {EADDRNOTAVAIL, SNMP_IMPOSSIBLE}, {ENETUNREACH, SNMP_TIMED_OUT},
                 {EHOSTUNREACH, SNMP_TIMED_OUT},   {ECONNREFUSED, SNMP_TIMED_OUT}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        struct target t = bench_target(2);
        bench_init(&b, 1);
        b.wire.fail_send = cases[i].number;
        bench_ask(&b, &t);
        bench_time(&b);
        bench_time(&b); /* not a shorter try */
        bench_over(&b, cases[i].outcome, strerror(cases[i].number));
        assert_int_equal(b.now_us, START_US + 2 * TIMEOUT_MS * MS);

        bench_begin(&b, &t);
        b.wire.fail_send = 0; /* one of two has left: silence is the device's */
        bench_time(&b);
        bench_time(&b);
        bench_over(&b, SNMP_TIMED_OUT, strerror(cases[i].number));
        bench_done(&b);
    }
}

static void
without_socket_or_address_to_leave_from_nothing_is_said_of_the_device(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(2);
    bench_init(&b, 0);
    b.wire.fail_open = EMFILE;
    bench_begin(&b, &t);
    bench_found(&b);
    bench_over(&b, SNMP_IMPOSSIBLE, "cannot create a socket: Too many open files");
    bench_done(&b);

    bench_init_options(&b, &(struct snmp_options){.retries = 0, .client_address = "192.0.2.200"});
    b.wire.fail_bind = EADDRNOTAVAIL;
    bench_begin(&b, &t);
    bench_found(&b);
    assert_string_equal(b.x->want.name, "192.0.2.200");
    bench_found(&b);
    bench_over(&b, SNMP_IMPOSSIBLE,
               "cannot use the client address: Cannot assign requested address");
    bench_begin(&b, &t);
    bench_found(&b);
    bench_failed(&b, ERR_CONFIG, "no such name");
    bench_over(&b, SNMP_IMPOSSIBLE, "client address: no such name");
    bench_done(&b);
}

static void a_client_address_counts_for_targets_of_its_family(void **state UNUSED)
{
    for (int six = 0; six < 2; six++) {
        struct bench b;
        struct target t = bench_target(2);
        bench_init_options(&b, &(struct snmp_options){.retries = 0, .client_address = "local"});
        bench_begin(&b, &t);
        bench_found(&b);
        struct address local = fake_address(six ? "2001:db8::7" : "192.0.2.7", 0);
        exchange_feed(b.x, &(struct exchange_event){.kind = EXCHANGE_ADDRESS_FOUND,
                                                    .now_us = b.now_us,
                                                    .address = &local});
        bench_waits(&b, 1);
        assert_int_equal(b.wire.bound, !six);
        bench_message(&b, bench_reply(&b, 0, 3));
        bench_answered(&b, 3);
        bench_done(&b);
    }
}

/* ---- names and parameters ---- */

static void a_wrong_name_is_data_and_a_silent_name_server_is_a_local_failure(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(2);
    t.hostname = "udp6:[router]:162";
    bench_init(&b, 0);
    bench_begin(&b, &t);
    assert_string_equal(b.x->want.name, "router");
    assert_int_equal(b.x->want.family, RESOLVE_V6);
    assert_int_equal(b.x->want.until_us, START_US + SNMP_RESOLVE_MS * MS);
    bench_failed(&b, ERR_CONFIG, "no such name");
    bench_over(&b, SNMP_FAILED, "no such name");
    bench_begin(&b, &t);
    bench_failed(&b, ERR_TEMPORARY, "no answer in time");
    bench_over(&b, SNMP_IMPOSSIBLE, "no answer in time");
    bench_begin(&b, &t);
    b.now_us += 1;
    BENCH_IGNORES(&b, EXCHANGE_TIME);
    bench_time(&b);
    bench_over(&b, SNMP_IMPOSSIBLE, "the name was not looked up in time");
    bench_done(&b);
}

static void what_can_never_work_fails_at_once(void **state UNUSED)
{
    static const uint8_t versions[] = {0, 4, 255};
    struct bench b;
    struct target t = bench_target(2);
    bench_init(&b, 0);
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        t.version = versions[i];
        char detail[64];
        snprintf(detail, sizeof(detail), "SNMP version %d is not supported", versions[i]);
        bench_begin(&b, &t);
        bench_over(&b, SNMP_FAILED, detail);
    }
    t.version = 2;
    t.port = 0;
    bench_begin(&b, &t);
    bench_over(&b, SNMP_FAILED, "port 0: Invalid argument");
    bench_done(&b);
}

/* ---- sessions ---- */

static void a_session_serves_its_target_until_another_one_comes(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(2), same = t, other = t;
    other.community = "public";
    bench_init(&b, 0);
    bench_ask(&b, &t);
    bench_message(&b, bench_reply(&b, 0, 1));
    bench_answered(&b, 1);
    bench_begin(&b, &same);
    bench_message(&b, bench_reply(&b, 1, 2));
    bench_answered(&b, 2);
    assert_int_equal(b.wire.opened, 1);
    bench_ask(&b, &other);
    assert_int_equal(b.wire.opened, 2);
    assert_int_equal(b.wire.closed, 1);
    bench_ignored(&b, bench_reply(&b, 2, 3), 1);
    bench_done(&b);
}

/* ---- streams ---- */

static void bench_stream(struct bench *b, struct target *t, int retries)
{
    *t = bench_target(2);
    t->hostname = "tcp:192.0.2.1";
    bench_init(b, retries);
    b->wire.fail_connect = EINPROGRESS;
    bench_begin(b, t);
    bench_found(b);
    assert_int_equal(b->x->want.kind, WANT_IO);
    assert_int_equal(b->x->want.events, POLLOUT);
    assert_int_equal(b->x->want.until_us, START_US + (retries + 1) * TIMEOUT_MS * MS);
    assert_int_equal(b->wire.type, SOCK_STREAM);
}

static void an_answer_may_come_in_pieces_over_a_stream(void **state UNUSED)
{
    struct bench b;
    struct target t;
    bench_stream(&b, &t, 1);
    bench_feed(&b, EXCHANGE_READY);
    bench_waits(&b, 1);
    struct bytes whole = bench_reply(&b, 0, 8);
    for (size_t i = 0; i < whole.len; i += 5) {
        bench_waits(&b, 1);
        size_t len = whole.len - i < 5 ? whole.len - i : 5;
        fake_wire_give(&b.wire, whole.b + i, len, NULL, 0);
        bench_feed(&b, EXCHANGE_READY);
        if (i + len < whole.len)
            bench_feed(&b, EXCHANGE_READY); /* for nothing: the stream is not at its end */
    }
    bench_answered(&b, 8);
    assert_int_equal(snmp_exchange_counts(b.s)->ignored, 0); /* a piece is no message */
    bench_done(&b);
}

/* Two late answers, the right one and one more, in one piece. */
static void each_message_of_a_stream_is_looked_at_by_itself(void **state UNUSED)
{
    struct bench b;
    struct target t;
    bench_stream(&b, &t, 1);
    bench_feed(&b, EXCHANGE_READY);
    int32_t id = bench_sent(&b, 0).request_id;
    struct bytes late = message_of(1, "secret", uptime_pdu(id - 1, 7));
    struct bytes right = bench_reply(&b, 0, 8);
    bench_message(&b, cat(cat(late, late), cat(right, late)));
    bench_answered(&b, 8);
    assert_int_equal(snmp_exchange_counts(b.s)->ignored, 3);
    bench_done(&b);
}

static void a_refused_or_unanswered_connection_is_a_device_that_is_down(void **state UNUSED)
{
    static const struct {
        int number;
        enum snmp_outcome at_once;
        const char *detail;
    } cases[] = {
        {ECONNREFUSED, SNMP_TIMED_OUT, "cannot connect: Connection refused"},
        {EHOSTUNREACH, SNMP_TIMED_OUT, "cannot connect: No route to host"},
        {ETIMEDOUT, SNMP_TIMED_OUT, "cannot connect: Connection timed out"},
        /* a local failure, but once the connection is under way the network's */
        {EACCES, SNMP_IMPOSSIBLE, "cannot connect: Permission denied"},
        {EPERM, SNMP_IMPOSSIBLE, "cannot connect: Operation not permitted"},
        {EADDRNOTAVAIL, SNMP_IMPOSSIBLE, "cannot connect: Cannot assign requested address"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        struct target t;
        bench_stream(&b, &t, 0);
        b.wire.error = cases[i].number;
        bench_feed(&b, EXCHANGE_READY);
        bench_over(&b, SNMP_TIMED_OUT, cases[i].detail);
        b.wire.fail_connect = cases[i].number; /* and at once */
        bench_begin(&b, &t);
        bench_found(&b);
        bench_over(&b, cases[i].at_once, cases[i].detail);
        bench_done(&b);

        bench_stream(&b, &t, 2);
        b.now_us += 1;
        BENCH_IGNORES(&b, EXCHANGE_TIME);
        bench_time(&b);
        bench_over(&b, SNMP_TIMED_OUT, "cannot connect: Connection timed out");
        bench_done(&b);
    }
}

static void a_connection_is_used_when_it_is_there_and_not_before(void **state UNUSED)
{
    struct bench b;
    struct target t;
    bench_stream(&b, &t, 1);
    b.wire.error = EINPROGRESS;
    BENCH_IGNORES(&b, EXCHANGE_READY, EXCHANGE_READY);
    b.wire.error = 0;
    bench_feed(&b, EXCHANGE_READY);
    bench_waits(&b, 1);
    bench_message(&b, bench_reply(&b, 0, 8));
    bench_answered(&b, 8);
    bench_done(&b);
}

static void bench_hang_up(struct bench *b)
{
    fake_wire_give(&b->wire, NULL, 0, NULL, 0);
    bench_feed(b, EXCHANGE_READY);
}

static void a_closed_connection_is_opened_again_once_if_it_has_served(void **state UNUSED)
{
    struct bench b;
    struct target t;
    bench_stream(&b, &t, 0);
    bench_feed(&b, EXCHANGE_READY);
    bench_hang_up(&b);
    bench_over(&b, SNMP_TIMED_OUT, "connection closed by the device");

    b.wire.fail_connect = 0;
    bench_begin(&b, &t);
    bench_found(&b);
    bench_message(&b, bench_reply(&b, 1, 5));
    bench_answered(&b, 5);
    bench_begin(&b, &t);
    bench_hang_up(&b);
    bench_found(&b); /* again, by itself */
    bench_message(&b, bench_reply(&b, 3, 6));
    bench_answered(&b, 6);

    bench_begin(&b, &t);
    bench_hang_up(&b);
    bench_found(&b);
    bench_hang_up(&b); /* this one has never served */
    bench_over(&b, SNMP_TIMED_OUT, "connection closed by the device");
    bench_done(&b);
}

static void a_stream_that_takes_nothing_more_is_as_good_as_gone(void **state UNUSED)
{
    struct bench b;
    struct target t;
    bench_stream(&b, &t, 0);
    b.wire.fail_send = EPIPE;
    bench_feed(&b, EXCHANGE_READY);
    bench_over(&b, SNMP_TIMED_OUT, "connection closed by the device");
    bench_done(&b);
}

/* ---- giving up, and events that come at the wrong time ---- */

static void bench_given_up(struct bench *b, const struct target *t)
{
    bench_feed(b, EXCHANGE_GIVE_UP);
    bench_over(b, SNMP_TIMED_OUT, "out of time");
    BENCH_IGNORES(b, EXCHANGE_ADDRESS_FOUND, EXCHANGE_ADDRESS_FAILED, EXCHANGE_JOB_DONE,
                  EXCHANGE_READY, EXCHANGE_TIME, EXCHANGE_GIVE_UP);
    assert_int_equal(b->wire.closed, b->wire.opened);
    size_t sent = b->wire.sent_count; /* the next cycle goes on */
    struct target udp = *t;
    udp.hostname = "192.0.2.1";
    bench_begin(b, &udp);
    bench_found(b);
    if (b->x->want.kind == WANT_ADDRESS)
        bench_found(b);
    bench_message(b, bench_reply(b, sent, 77));
    bench_answered(b, 77);
    bench_done(b);
}

static void giving_up_ends_every_state_and_other_events_change_nothing(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(2);
    bench_init_options(&b, &(struct snmp_options){.retries = 3, .client_address = "local"});
    BENCH_IGNORES(&b, EXCHANGE_ADDRESS_FOUND, EXCHANGE_ADDRESS_FAILED, EXCHANGE_JOB_DONE,
                  EXCHANGE_READY, EXCHANGE_TIME, EXCHANGE_GIVE_UP);
    bench_begin(&b, &t); /* the name */
    BENCH_IGNORES(&b, EXCHANGE_JOB_DONE, EXCHANGE_READY, EXCHANGE_TIME);
    bench_given_up(&b, &t);

    bench_init_options(&b, &(struct snmp_options){.retries = 3, .client_address = "local"});
    bench_begin(&b, &t);
    bench_found(&b); /* the client address */
    BENCH_IGNORES(&b, EXCHANGE_JOB_DONE, EXCHANGE_READY, EXCHANGE_TIME);
    bench_given_up(&b, &t);

    bench_init(&b, 3);
    bench_ask(&b, &t); /* the answer */
    BENCH_IGNORES(&b, EXCHANGE_ADDRESS_FOUND, EXCHANGE_ADDRESS_FAILED, EXCHANGE_JOB_DONE,
                  EXCHANGE_TIME);
    bench_given_up(&b, &t);

    bench_stream(&b, &t, 3); /* the connection */
    BENCH_IGNORES(&b, EXCHANGE_ADDRESS_FOUND, EXCHANGE_ADDRESS_FAILED, EXCHANGE_JOB_DONE,
                  EXCHANGE_TIME);
    bench_given_up(&b, &t);
}

static void an_exchange_may_be_freed_in_the_middle_of_a_wait(void **state UNUSED)
{
    struct bench b;
    struct target t = bench_target(2);
    bench_init(&b, 1);
    bench_begin(&b, &t);
    bench_done(&b);
    bench_init(&b, 1);
    bench_ask(&b, &t);
    bench_done(&b);
    bench_stream(&b, &t, 1);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_agents_answer_is_taken_in_v1_and_v2c),
        cmocka_unit_test(what_only_looks_like_the_answer_is_ignored),
        cmocka_unit_test(an_answer_from_another_address_is_taken_and_counted),
        cmocka_unit_test(silence_is_repeated_at_the_exact_time_and_then_believed),
        cmocka_unit_test(a_late_answer_to_any_earlier_attempt_counts),
        cmocka_unit_test(an_answer_to_the_request_before_is_not_taken_for_this_ones),
        cmocka_unit_test(a_flood_of_invalid_messages_does_not_prevent_the_time_out),
        cmocka_unit_test(the_deadline_ends_a_request_and_none_begins_after_it),
        cmocka_unit_test(a_request_that_fits_into_no_message_is_too_big),
        cmocka_unit_test(a_repeat_that_fits_into_no_message_is_too_big),
        cmocka_unit_test(a_local_failure_is_not_the_devices),
        cmocka_unit_test(without_socket_or_address_to_leave_from_nothing_is_said_of_the_device),
        cmocka_unit_test(a_client_address_counts_for_targets_of_its_family),
        cmocka_unit_test(a_wrong_name_is_data_and_a_silent_name_server_is_a_local_failure),
        cmocka_unit_test(what_can_never_work_fails_at_once),
        cmocka_unit_test(a_session_serves_its_target_until_another_one_comes),
        cmocka_unit_test(an_answer_may_come_in_pieces_over_a_stream),
        cmocka_unit_test(each_message_of_a_stream_is_looked_at_by_itself),
        cmocka_unit_test(a_refused_or_unanswered_connection_is_a_device_that_is_down),
        cmocka_unit_test(a_connection_is_used_when_it_is_there_and_not_before),
        cmocka_unit_test(a_closed_connection_is_opened_again_once_if_it_has_served),
        cmocka_unit_test(a_stream_that_takes_nothing_more_is_as_good_as_gone),
        cmocka_unit_test(giving_up_ends_every_state_and_other_events_change_nothing),
        cmocka_unit_test(an_exchange_may_be_freed_in_the_middle_of_a_wait),
    };
    return cmocka_run_group_tests(tests, library_start, library_stop);
}
