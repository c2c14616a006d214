/* What the network reports of an echo request: the parser, and what a ping makes of it. */
#include "config.h"

#include "ping_bench.h"

static const struct {
    int family;
    uint8_t type, code;
    const char *text; /* NULL: nothing that ends an attempt */
} kinds[] = {
    {AF_INET, 3, 0, "ICMP: Network unreachable"},
    {AF_INET, 3, 1, "ICMP: Host unreachable"},
    {AF_INET, 3, 2, "ICMP: Protocol unreachable"},
    {AF_INET, 3, 3, "ICMP: Port unreachable"},
    {AF_INET, 3, 4, NULL}, /* a message of 51 bytes is never too long */
    {AF_INET, 3, 5, "ICMP: Destination unreachable"},
    {AF_INET, 3, 6, "ICMP: Network unreachable"},
    {AF_INET, 3, 7, "ICMP: Host unreachable"},
    {AF_INET, 3, 9, "ICMP: Administratively prohibited"},
    {AF_INET, 3, 10, "ICMP: Administratively prohibited"},
    {AF_INET, 3, 13, "ICMP: Administratively prohibited"},
    {AF_INET, 3, 16, "ICMP: Destination unreachable"},
    {AF_INET, 3, 255, "ICMP: Destination unreachable"},
    {AF_INET, 11, 0, "ICMP: Time to live exceeded"},
    {AF_INET, 4, 0, NULL},  /* source quench */
    {AF_INET, 5, 1, NULL},  /* redirect */
    {AF_INET, 12, 0, NULL}, /* parameter problem */
    {AF_INET, 1, 3, NULL},  /* IPv6's */
    {AF_INET6, 1, 0, "ICMP: Network unreachable"},
    {AF_INET6, 1, 1, "ICMP: Administratively prohibited"},
    {AF_INET6, 1, 3, "ICMP: Host unreachable"},
    {AF_INET6, 1, 4, "ICMP: Port unreachable"},
    {AF_INET6, 1, 5, "ICMP: Administratively prohibited"},
    {AF_INET6, 1, 7, "ICMP: Destination unreachable"},
    {AF_INET6, 3, 0, "ICMP: Time to live exceeded"},
    {AF_INET6, 2, 0, NULL}, /* packet too big */
    {AF_INET6, 4, 0, NULL},
};

/* That kind of message returns the echo request of that number, with one byte changed. */
static void give_report_changed(struct bench *b, size_t index, size_t kind, size_t len,
                                size_t changed)
{
    uint8_t bytes[PING_PACKET_LEN];
    struct wire_report report = {kinds[kind].family, kinds[kind].type, kinds[kind].code, b->device};
    assert_true(index < b->wire.sent_count);
    memcpy(bytes, b->wire.sent[index].bytes, sizeof(bytes));
    if (changed < sizeof(bytes))
        bytes[changed] ^= 1;
    fake_wire_report(&b->wire, bytes, len, &report);
    b->wire.now_us = b->now_us;
    ping_icmp_drain(b->icmp, kinds[kind].family);
}

static void give_report(struct bench *b, size_t index, size_t kind)
{
    give_report_changed(b, index, kind, PING_PACKET_LEN, PING_PACKET_LEN);
}

enum { HOST = 1, PROHIBITED = 10 }; /* of kinds */

static void give_answer(struct bench *b, size_t index)
{
    uint8_t packet[20 + PING_PACKET_LEN] = {0x45, 0, 0, 51, 1, 2, 0, 0, 64, IPPROTO_ICMP};
    memcpy(packet + 20, b->wire.sent[index].bytes, PING_PACKET_LEN);
    packet[20] = 0;
    uint32_t sum = (uint32_t)(packet[22] << 8 | packet[23]) + 0x0800; /* without the type */
    sum = (sum & 0xffff) + (sum >> 16);
    packet[22] = (uint8_t)(sum >> 8);
    packet[23] = (uint8_t)sum;
    fake_wire_give(&b->wire, packet, sizeof(packet), &b->device, 0);
    b->wire.now_us = b->now_us;
    ping_icmp_drain(b->icmp, AF_INET);
}

static void bench_at(struct bench *b, size_t kind, int retries)
{
    bench_init(b);
    b->device = fake_address(kinds[kind].family == AF_INET6 ? "2001:db8::1" : "192.0.2.1", 0);
    bench_ask(b, ICMP, retries);
}

static void a_ping_that_the_network_refuses_is_over_at_once_and_says_why(void **state UNUSED)
{
    for (size_t kind = 0; kind < ARRAY_LEN(kinds); kind++) {
        struct bench b;
        bench_at(&b, kind, 0);
        b.now_us += 3 * MS;
        give_report(&b, 0, kind);
        assert_int_equal(b.woken, kinds[kind].text != NULL);
        bench_feed(&b, EXCHANGE_READY);
        if (kinds[kind].text == NULL)
            bench_time(&b);
        bench_over(&b, PING_DOWN,
                   kinds[kind].text != NULL ? kinds[kind].text : "ICMP: Ping timed out");
        bench_done(&b);
    }
}

/* However often the network refuses, a device gets its requests at the pace that was set. */
static void refusals_never_make_it_send_early(void **state UNUSED)
{
    struct bench b;
    bench_at(&b, HOST, 2);
    for (size_t n = 0; n < 2; n++) {
        for (int i = 0; i < 5; i++) {
            b.now_us += MS;
            give_report(&b, n, HOST);
            bench_feed(&b, EXCHANGE_READY);
            assert_int_equal(b.wire.sent_count, n + 1);
            assert_int_equal(b.x->want.kind, WANT_TIME);
            assert_int_equal(b.x->want.until_us, START_US + ((int64_t)n + 1) * TIMEOUT_MS * MS);
        }
        bench_time(&b);
    }
    assert_int_equal(b.wire.sent_count, 3);
    b.now_us += MS;
    give_report(&b, 2, PROHIBITED);
    bench_feed(&b, EXCHANGE_READY);
    bench_over(&b, PING_DOWN, "ICMP: Administratively prohibited");
    bench_done(&b);
}

static void a_device_that_answers_a_later_attempt_is_up(void **state UNUSED)
{
    for (size_t answered = 0; answered < 2; answered++) {
        struct bench b;
        bench_at(&b, HOST, 1);
        give_report(&b, 0, HOST);
        bench_feed(&b, EXCHANGE_READY);
        bench_time(&b);
        b.now_us += 2 * MS;
        give_answer(&b, answered);
        bench_feed(&b, EXCHANGE_READY);
        bench_over(&b, PING_UP, "ICMP: Device is Alive");
        bench_done(&b);
    }
}

static void an_answer_beside_a_refusal_wins(void **state UNUSED)
{
    for (int answer_first = 0; answer_first < 2; answer_first++) {
        struct bench b;
        bench_at(&b, HOST, 0);
        if (answer_first)
            give_answer(&b, 0);
        give_report(&b, 0, HOST);
        if (!answer_first)
            give_answer(&b, 0);
        bench_feed(&b, EXCHANGE_READY);
        bench_over(&b, PING_UP, "ICMP: Device is Alive");
        bench_done(&b);
    }
}

static void a_refusal_of_an_earlier_attempt_gives_the_reason_and_ends_nothing(void **state UNUSED)
{
    struct bench b;
    bench_at(&b, HOST, 1);
    bench_time(&b);
    b.now_us += MS;
    give_report(&b, 0, HOST);
    bench_feed(&b, EXCHANGE_READY);
    assert_int_equal(b.x->want.kind, WANT_TIME);
    bench_time(&b);
    bench_over(&b, PING_DOWN, "ICMP: Host unreachable");

    bench_ask(&b, ICMP, 1); /* both are read before the ping looks: the one that ends it counts */
    bench_time(&b);
    give_report(&b, 3, PROHIBITED);
    give_report(&b, 2, HOST);
    bench_feed(&b, EXCHANGE_READY);
    bench_over(&b, PING_DOWN, "ICMP: Administratively prohibited");
    bench_done(&b);
}

static void a_refusal_that_is_seen_with_the_time_out_is_still_the_reason(void **state UNUSED)
{
    struct bench b;
    bench_at(&b, HOST, 0);
    give_report(&b, 0, HOST);
    b.now_us = b.x->want.until_us;
    bench_feed(&b, EXCHANGE_TIME);
    bench_over(&b, PING_DOWN, "ICMP: Host unreachable");
    bench_done(&b);
}

/* Another program's, another device's, made up, too short, or about a ping that is over. */
static void a_refusal_of_anything_else_changes_nothing(void **state UNUSED)
{
    static const size_t type = 0, code = 1, id = 5, payload = PING_HEADER_LEN;
    const size_t all = PING_PACKET_LEN;
    struct bench b;
    bench_at(&b, HOST, 0);
    give_report_changed(&b, 0, HOST, all, type);
    give_report_changed(&b, 0, HOST, all, code);
    give_report_changed(&b, 0, HOST, all, id);
    give_report_changed(&b, 0, HOST, all, id + 1); /* the sequence number */
    give_report_changed(&b, 0, HOST, all, id + 2);
    give_report_changed(&b, 0, HOST, all, payload);
    give_report_changed(&b, 0, HOST, PING_HEADER_LEN - 1, all);
    struct address device = b.device;
    b.device = fake_address("192.0.2.2", 0);
    give_report(&b, 0, HOST);
    b.device = device;
    struct wire_report own_host = {.family = AF_UNSPEC, .type = 3, .code = 1, .to = device};
    fake_wire_report(&b.wire, b.wire.sent[0].bytes, all, &own_host);
    ping_icmp_drain(b.icmp, AF_INET);
    bench_feed(&b, EXCHANGE_READY);
    assert_int_equal(b.woken, 0);
    assert_int_equal(b.x->want.kind, WANT_TIME);
    bench_time(&b);
    bench_over(&b, PING_DOWN, "ICMP: Ping timed out");

    bench_ask(&b, ICMP, 0);
    give_report(&b, 0, HOST); /* of the ping before */
    assert_int_equal(b.woken, 0);
    bench_time(&b);
    bench_over(&b, PING_DOWN, "ICMP: Ping timed out");
    bench_done(&b);
}

static void eight_bytes_of_the_request_are_enough(void **state UNUSED)
{
    for (size_t len = PING_HEADER_LEN; len <= PING_PACKET_LEN; len++) {
        struct bench b;
        bench_at(&b, HOST, 0);
        give_report_changed(&b, 0, HOST, len, PING_PACKET_LEN);
        bench_feed(&b, EXCHANGE_READY);
        bench_over(&b, PING_DOWN, "ICMP: Host unreachable");
        bench_done(&b);
    }
}

/* The kernel gives a datagram socket's requests an id of its own, and reports to that socket alone. */
static void a_datagram_sockets_id_is_the_kernels(void **state UNUSED)
{
    uint8_t packet[PING_PACKET_LEN];
    struct wire_report report = {.family = AF_INET, .type = 3, .code = 1};
    uint16_t seq = 0;
    ping_build_request(AF_INET, ID + 1, 0xfffe, packet);
    assert_int_equal(
        ping_parse_report(AF_INET, PING_SOCKET_DATAGRAM, ID, &report, packet, sizeof(packet), &seq),
        PING_REPORT_HOST);
    assert_int_equal(seq, 0xfffe);
    assert_int_equal(
        ping_parse_report(AF_INET, PING_SOCKET_RAW, ID, &report, packet, sizeof(packet), &seq),
        PING_REPORT_NONE);
}

/* The kernel announces a report also by an error of the next call on the socket that all share. */
static void a_refusal_for_one_device_fails_no_request_to_another(void **state UNUSED)
{
    static const int numbers[] = {EHOSTUNREACH, ENETUNREACH, EACCES, EPROTO, ECONNREFUSED};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct bench b;
        bench_init(&b);
        b.wire.fail_once = numbers[i];
        bench_ask(&b, ICMP, 0);
        assert_int_equal(b.wire.sent_count, 1);
        give_answer(&b, 0);
        bench_feed(&b, EXCHANGE_READY);
        bench_over(&b, PING_UP, "ICMP: Device is Alive");
        bench_done(&b);
    }
}

static void an_attempt_that_the_deadline_cuts_is_complete_once_it_is_refused(void **state UNUSED)
{
    struct bench b;
    bench_init(&b);
    bench_begin(&b, ICMP, 0, START_US + 50 * MS);
    bench_feed(&b, EXCHANGE_ADDRESS_FOUND);
    give_report(&b, 0, HOST);
    bench_feed(&b, EXCHANGE_READY);
    bench_over(&b, PING_DOWN, "ICMP: Host unreachable");

    bench_begin(&b, ICMP, 1, b.now_us + 50 * MS); /* another one would follow */
    bench_feed(&b, EXCHANGE_ADDRESS_FOUND);
    give_report(&b, 1, HOST);
    bench_feed(&b, EXCHANGE_READY);
    bench_time(&b);
    bench_over(&b, PING_IMPOSSIBLE, "ICMP: Ping given up, the poller is out of time");
    bench_done(&b);
}

static void random_bytes_do_no_harm(void **state UNUSED)
{
    unsigned seed = 20261128;
    for (unsigned round = 0; round < 100000; round++) {
        size_t kind = round % ARRAY_LEN(kinds);
        int family = kinds[kind].family;
        struct wire_report report = {family, kinds[kind].type, kinds[kind].code, {.len = 0}};
        uint8_t packet[PING_PACKET_LEN];
        uint16_t seq;
        ping_build_request(family, ID, (uint16_t)round, packet);
        seed = seed * 1103515245 + 12345;
        size_t len = (seed >> 16) % (sizeof(packet) + 1);
        uint8_t *copy = mem_alloc(len + 1); /* of that size, so that reading beyond it is seen */
        memcpy(copy + 1, packet, len);
        seed = seed * 1103515245 + 12345;
        if (len > 0)
            copy[1 + (seed >> 8) % len] = (uint8_t)(seed >> 24);
        (void)ping_parse_report(family, round % 2 ? PING_SOCKET_RAW : PING_SOCKET_DATAGRAM, ID,
                                &report, copy + 1, len, &seq);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ping_that_the_network_refuses_is_over_at_once_and_says_why),
        cmocka_unit_test(refusals_never_make_it_send_early),
        cmocka_unit_test(a_device_that_answers_a_later_attempt_is_up),
        cmocka_unit_test(an_answer_beside_a_refusal_wins),
        cmocka_unit_test(a_refusal_of_an_earlier_attempt_gives_the_reason_and_ends_nothing),
        cmocka_unit_test(a_refusal_that_is_seen_with_the_time_out_is_still_the_reason),
        cmocka_unit_test(a_refusal_of_anything_else_changes_nothing),
        cmocka_unit_test(eight_bytes_of_the_request_are_enough),
        cmocka_unit_test(a_datagram_sockets_id_is_the_kernels),
        cmocka_unit_test(a_refusal_for_one_device_fails_no_request_to_another),
        cmocka_unit_test(an_attempt_that_the_deadline_cuts_is_complete_once_it_is_refused),
        cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests_name("ping_report", tests, NULL, NULL);
}
