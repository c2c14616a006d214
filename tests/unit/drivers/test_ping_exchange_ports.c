#include "config.h"

#include "ping_bench.h"

/* ---- UDP ---- */

static void a_datagram_or_a_closed_port_means_up_by_udp(void **state UNUSED)
{
    static const struct {
        const char *bytes;
        size_t len;
        int number;
    } signs[] = {{"x", 1, 0}, {"", 0, 0}, {"0123456789", 10, 0}, {"", 0, ECONNREFUSED}};
    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        struct bench b;
        bench_init(&b);
        bench_ask(&b, UDP, 0);
        assert_int_equal(b.wire.sent[0].len, PING_PAYLOAD_LEN);
        assert_memory_equal(b.wire.sent[0].bytes, "cacti-monitoring-system", PING_PAYLOAD_LEN);
        b.now_us += 7 * MS;
        bench_receives(&b, signs[i].bytes, signs[i].len, signs[i].number);
        bench_up(&b, "UDP: Device is Alive", 7 * MS);
        bench_done(&b);
    }
}

static void
an_error_of_the_network_is_a_failed_udp_attempt_and_not_a_shorter_one(void **state UNUSED)
{
    static const int numbers[] = {EHOSTUNREACH, ENETUNREACH, EPROTO};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct bench b;
        bench_init(&b);
        bench_ask(&b, UDP, 1);
        bench_feed(&b, EXCHANGE_READY); /* for nothing */
        bench_receives(&b, NULL, 0, numbers[i]);
        assert_int_equal(b.x->want.until_us, START_US + TIMEOUT_MS * MS);
        bench_time(&b);
        assert_int_equal(b.wire.opened, 3); /* one socket for all attempts */
        bench_time(&b);
        bench_over(&b, PING_DOWN, "UDP: Device is Down");
        bench_ask(&b, UDP, 0);
        bench_receives(&b, NULL, 0, numbers[i]);
        bench_receives(&b, "x", 1, 0);
        bench_over(&b, PING_UP, "UDP: Device is Alive");
        bench_ask(&b, UDP, 0);
        bench_feed(&b, EXCHANGE_READY); /* for nothing */
        bench_time(&b);
        bench_over(&b, PING_DOWN, "UDP: Ping timed out");
        bench_done(&b);
    }
}

/* ---- TCP ---- */

static void a_connection_or_a_refusal_means_up_by_tcp(void **state UNUSED)
{
    static const struct {
        int at_once, later;
    } cases[] = {{0, 0}, {ECONNREFUSED, 0}, {EINPROGRESS, 0}, {EINPROGRESS, ECONNREFUSED}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        bench_init(&b);
        b.wire.fail_connect = cases[i].at_once;
        b.wire.error = cases[i].later;
        bench_ask(&b, TCP, 0);
        assert_int_equal(b.wire.type, SOCK_STREAM);
        assert_int_equal(b.x->want.kind, WANT_IO);
        assert_int_equal(b.x->want.events, POLLOUT);
        b.now_us += 4 * MS;
        bench_feed(&b, EXCHANGE_READY);
        bench_up(&b, "TCP: Device is Alive", 4 * MS);
        bench_done(&b);
    }
}

static void a_failed_connect_is_not_a_shorter_attempt_and_the_next_one_is_new(void **state UNUSED)
{
    static const struct {
        int at_once, later;
        enum ping_outcome outcome;
        const char *text;
    } cases[] = {
        {EINPROGRESS, EHOSTUNREACH, PING_DOWN, "TCP: Cannot connect to host"},
        {ENETUNREACH, 0, PING_DOWN, "TCP: Cannot connect to host"},
        {EADDRNOTAVAIL, 0, PING_IMPOSSIBLE,
         "TCP: Ping not sent for want of local buffers, ports or rights"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        bench_init(&b);
        b.wire.fail_connect = cases[i].at_once;
        b.wire.error = cases[i].later;
        bench_ask(&b, TCP, 1);
        for (int n = 1; n <= 2; n++) {
            if (cases[i].at_once == EINPROGRESS)
                bench_feed(&b, EXCHANGE_READY);
            assert_int_equal(b.x->want.kind, WANT_TIME);
            assert_int_equal(b.wire.opened, n + 2);
            assert_int_equal(b.wire.closed, n);
            bench_time(&b);
        }
        bench_over(&b, cases[i].outcome, cases[i].text);
        assert_int_equal(b.now_us, START_US + 2 * TIMEOUT_MS * MS);
        bench_done(&b);
    }
}

static void silence_is_down_by_tcp(void **state UNUSED)
{
    struct bench b;
    bench_init(&b);
    b.wire.fail_connect = EINPROGRESS;
    bench_ask(&b, TCP, 2);
    for (int i = 0; i < 3; i++)
        bench_time(&b);
    bench_over(&b, PING_DOWN, "TCP: Cannot connect to host");
    assert_int_equal(b.wire.opened, 2 + 3);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_datagram_or_a_closed_port_means_up_by_udp),
        cmocka_unit_test(an_error_of_the_network_is_a_failed_udp_attempt_and_not_a_shorter_one),
        cmocka_unit_test(a_connection_or_a_refusal_means_up_by_tcp),
        cmocka_unit_test(a_failed_connect_is_not_a_shorter_attempt_and_the_next_one_is_new),
        cmocka_unit_test(silence_is_down_by_tcp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
