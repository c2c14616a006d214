#include "config.h"

#include "ping_bench.h"

/* ---- ICMP ---- */

static uint16_t sum16(const uint8_t *bytes, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* The reply to the echo request of that number, as a raw socket gives it, with one byte changed. */
static void give_reply(struct bench *b, size_t index, const struct address *from, size_t changed)
{
    bool six = from->sa.any.sa_family == AF_INET6;
    assert_true(index < b->wire.sent_count);
    uint8_t packet[20 + PING_PACKET_LEN] = {0x45, 0, 0, 51, 1, 2, 0, 0, 64, IPPROTO_ICMP};
    uint8_t *icmp = packet + 20;
    memcpy(icmp, b->wire.sent[index].bytes, PING_PACKET_LEN);
    icmp[0] = six ? 129 : 0;
    if (changed != 0)
        icmp[changed] ^= 1;
    icmp[2] = icmp[3] = 0;
    if (!six) {
        uint16_t sum = sum16(icmp, PING_PACKET_LEN);
        icmp[2] = (uint8_t)(sum >> 8);
        icmp[3] = (uint8_t)sum;
    }
    fake_wire_give(&b->wire, six ? icmp : packet, sizeof(packet) - (six ? 20 : 0), from, 0);
    b->wire.now_us = b->now_us;
    ping_icmp_drain(b->icmp, six ? AF_INET6 : AF_INET);
}

static void an_echo_reply_means_up_in_its_own_time(void **state UNUSED)
{
    static const char *const devices[] = {"192.0.2.1", "2001:db8::1"};
    for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
        struct bench b;
        bench_init(&b);
        b.device = fake_address(devices[i], 0);
        bench_ask(&b, ICMP, 2);
        assert_int_equal(b.x->want.kind, WANT_TIME);
        assert_int_equal(b.wire.sent_count, 1);
        assert_int_equal(b.wire.sent[0].len, PING_PACKET_LEN);
        assert_true(wire_same_address(&b.wire.sent[0].address, &b.device, true));
        b.now_us += 12 * MS + 345;
        give_reply(&b, 0, &b.device, 0);
        b.now_us += 1 * MS;
        give_reply(&b, 0, &b.device, 0); /* once more, which changes nothing */
        assert_int_equal(b.woken, 1);
        b.now_us += 4 * MS; /* who is woken comes later; the time of the answer counts */
        bench_feed(&b, EXCHANGE_READY);
        bench_up(&b, "ICMP: Device is Alive", 12 * MS + 345);
        bench_done(&b);
    }
}

/* A request may be sent and answered while earlier messages are read, so one time for all is wrong. */
static void a_reply_is_timed_when_it_is_read(void **state UNUSED)
{
    struct bench b;
    bench_init(&b);
    bench_ask(&b, ICMP, 2);
    b.wire.receive_us = 3 * MS;
    fake_wire_give(&b.wire, "junk", 4, &b.device, 0);
    fake_wire_give(&b.wire, "junk", 4, &b.device, 0);
    give_reply(&b, 0, &b.device, 0);
    b.now_us += 9 * MS;
    bench_feed(&b, EXCHANGE_READY);
    bench_up(&b, "ICMP: Device is Alive", 9 * MS);
    bench_done(&b);
}

static void attempts_have_their_exact_time_and_then_the_device_is_down(void **state UNUSED)
{
    static const int retries[] = {0, 1, 4};
    for (size_t i = 0; i < ARRAY_LEN(retries); i++) {
        struct bench b;
        bench_init(&b);
        bench_ask(&b, ICMP, retries[i]);
        for (int n = 0; n <= retries[i]; n++) {
            assert_int_equal(b.wire.sent_count, n + 1);
            assert_int_equal(b.x->want.until_us, START_US + (n + 1) * TIMEOUT_MS * MS);
            bench_time(&b);
        }
        bench_over(&b, PING_DOWN, "ICMP: Ping timed out");
        bench_done(&b);
    }
}

static void a_late_reply_to_an_earlier_attempt_counts_with_its_own_time(void **state UNUSED)
{
    for (size_t attempt = 0; attempt < 3; attempt++) {
        struct bench b;
        bench_init(&b);
        bench_ask(&b, ICMP, 3);
        bench_time(&b);
        bench_time(&b);
        b.now_us += 1 * MS;
        give_reply(&b, attempt, &b.device, 0);
        bench_feed(&b, EXCHANGE_READY);
        bench_up(&b, "ICMP: Device is Alive",
                 b.now_us - START_US - (int64_t)attempt * TIMEOUT_MS * MS);
        bench_done(&b);
    }
}

static void a_reply_wins_over_the_end_of_time_and_over_giving_up(void **state UNUSED)
{
    static const enum exchange_event_kind kinds[] = {EXCHANGE_TIME, EXCHANGE_GIVE_UP};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct bench b;
        bench_init(&b);
        bench_ask(&b, ICMP, 0);
        give_reply(&b, 0, &b.device, 0);
        b.now_us = b.x->want.until_us;
        bench_feed(&b, kinds[i]);
        bench_up(&b, "ICMP: Device is Alive", 0);
        bench_done(&b);
    }
}

/* By source, id, sequence and payload. */
static void a_reply_for_another_program_is_ignored(void **state UNUSED)
{
    static const size_t id = 5, sequence = 6, payload = 8, kind = 0;
    struct bench b;
    struct address other = fake_address("192.0.2.2", 0), six = fake_address("2001:db8::1", 0);
    bench_init(&b);
    bench_ask(&b, ICMP, 0);
    give_reply(&b, 0, &other, kind);
    give_reply(&b, 0, &six, kind);
    give_reply(&b, 0, &b.device, id);
    give_reply(&b, 0, &b.device, sequence);
    give_reply(&b, 0, &b.device, payload);
    bench_feed(&b, EXCHANGE_READY);
    assert_int_equal(b.woken, 0);
    assert_int_equal(b.wire.sent_count, 1); /* and nothing is sent early */
    give_reply(&b, 0, &b.device, kind);
    bench_feed(&b, EXCHANGE_READY);
    bench_up(&b, "ICMP: Device is Alive", 0);
    bench_done(&b);
}

static void a_reply_for_the_ping_before_is_not_taken_for_this_ones(void **state UNUSED)
{
    struct bench b;
    bench_init(&b);
    bench_ask(&b, ICMP, 0);
    bench_time(&b);
    bench_over(&b, PING_DOWN, "ICMP: Ping timed out");
    bench_ask(&b, ICMP, 0);
    give_reply(&b, 0, &b.device, 0);
    assert_int_equal(b.woken, 0);
    give_reply(&b, 1, &b.device, 0);
    bench_feed(&b, EXCHANGE_READY);
    bench_over(&b, PING_UP, "ICMP: Device is Alive");
    bench_done(&b);
}

static void many_pings_on_one_socket_get_their_own_replies(void **state UNUSED)
{
    struct bench b;
    struct ping_exchange *more[8];
    bench_init(&b);
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        more[i] = ping_exchange_new(b.icmp, &b.wire.wire, bench_woken, &b);
        struct ping_request request = {
            .method = ICMP, .hostname = "device", .timeout_ms = TIMEOUT_MS};
        ping_exchange_begin(more[i], &request, b.now_us, INT64_MAX);
        exchange_feed(ping_exchange_base(more[i]),
                      &(struct exchange_event){.kind = EXCHANGE_ADDRESS_FOUND,
                                               .now_us = b.now_us,
                                               .address = &b.device});
    }
    for (size_t i = ARRAY_LEN(more); i-- > 0;) {
        give_reply(&b, i, &b.device, 0);
        for (size_t k = 0; k < ARRAY_LEN(more); k++)
            exchange_feed(ping_exchange_base(more[k]),
                          &(struct exchange_event){.kind = EXCHANGE_READY, .now_us = b.now_us});
        for (size_t k = 0; k < ARRAY_LEN(more); k++)
            assert_int_equal(ping_exchange_base(more[k])->want.kind == WANT_NOTHING, k >= i);
    }
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        ping_exchange_free(more[i]);
    bench_done(&b);
}

/* When all 65,536 sequence numbers have been used, those of others are left alone. */
static void a_slow_ping_keeps_its_reply_while_others_come_and_go(void **state UNUSED)
{
    struct bench b;
    bench_init(&b);
    struct ping_exchange *slow = ping_exchange_new(b.icmp, &b.wire.wire, bench_woken, &b);
    struct ping_request request = {.method = ICMP, .hostname = "device", .timeout_ms = 1 << 30};
    ping_exchange_begin(slow, &request, b.now_us, INT64_MAX);
    exchange_feed(ping_exchange_base(slow), &(struct exchange_event){.kind = EXCHANGE_ADDRESS_FOUND,
                                                                     .now_us = b.now_us,
                                                                     .address = &b.device});
    for (int i = 0; i < 70000; i++) {
        b.wire.sent_count = 1;
        bench_ask(&b, ICMP, 0);
        bench_time(&b);
    }
    give_reply(&b, 0, &b.device, 0);
    assert_int_equal(b.woken, 1);
    ping_exchange_free(slow);
    bench_done(&b);
}

static void a_full_icmp_socket_is_waited_for(void **state UNUSED)
{
    struct bench b;
    bench_init(&b);
    b.wire.fail_send = EAGAIN;
    bench_ask(&b, ICMP, 0);
    assert_int_equal(b.x->want.kind, WANT_IO);
    assert_int_equal(b.x->want.fd, FD4);
    assert_int_equal(b.x->want.events, POLLOUT);
    assert_int_equal(b.x->want.until_us, START_US + TIMEOUT_MS * MS);
    for (int i = 0; i < 50; i++)
        bench_feed(&b, EXCHANGE_READY);
    assert_int_equal(b.x->want.kind, WANT_IO);
    b.wire.fail_send = 0;
    b.now_us += 3 * MS;
    bench_feed(&b, EXCHANGE_READY);
    assert_int_equal(b.x->want.kind, WANT_TIME);
    assert_int_equal(b.x->want.until_us, START_US + TIMEOUT_MS * MS);
    b.now_us += 2 * MS;
    give_reply(&b, 0, &b.device, 0);
    bench_feed(&b, EXCHANGE_READY);
    bench_up(&b, "ICMP: Device is Alive", 2 * MS);

    b.wire.fail_send = EAGAIN; /* to the end of time */
    bench_ask(&b, ICMP, 0);
    bench_time(&b);
    bench_over(&b, PING_IMPOSSIBLE,
               "ICMP: Ping not sent for want of local buffers, threads or rights");
    bench_done(&b);
}

static void without_an_icmp_socket_of_its_family_the_device_is_asked_by_udp(void **state UNUSED)
{
    for (int six = 0; six < 2; six++) {
        struct bench b;
        bench_init_sockets(&b, six, !six);
        b.device = fake_address(six ? "2001:db8::1" : "192.0.2.1", 0);
        bench_ask(&b, ICMP, 0);
        assert_int_equal(b.wire.type, SOCK_DGRAM);
        bench_receives(&b, "x", 1, 0);
        bench_up(&b, "UDP: Device is Alive", 0);
        assert_true(ping_exchange_reply(b.p)->fell_back);

        bench_begin(&b, ICMP, 0, INT64_MAX);
        b.request.port = 0; /* there is nothing to fall back to */
        bench_feed(&b, EXCHANGE_ADDRESS_FOUND);
        bench_over(&b, PING_IMPOSSIBLE, "ICMP: Ping unable to create ICMP Socket");
        assert_false(ping_exchange_reply(b.p)->fell_back);
        bench_done(&b);
    }
}

/* ---- whose fault it is ---- */

static void a_local_failure_is_not_the_devices_and_takes_its_time(void **state UNUSED)
{
    static const struct {
        int method, number;
        enum ping_outcome outcome;
        const char *text;
    } cases[] = {
        {ICMP, EPERM, PING_IMPOSSIBLE,
         "ICMP: Ping not sent for want of local buffers, threads or rights"},
        {ICMP, ENOBUFS, PING_IMPOSSIBLE,
         "ICMP: Ping not sent for want of local buffers, threads or rights"},
        {ICMP, EHOSTUNREACH, PING_DOWN, "ICMP: Host unreachable"},
        {ICMP, ENETUNREACH, PING_DOWN, "ICMP: Network unreachable"},
        {UDP, EPERM, PING_IMPOSSIBLE,
         "UDP: Ping not sent for want of local buffers, ports or rights"},
        {UDP, ENOBUFS, PING_IMPOSSIBLE,
         "UDP: Ping not sent for want of local buffers, ports or rights"},
        {UDP, ENETUNREACH, PING_DOWN, "UDP: Device is Down"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        bench_init(&b);
        b.wire.fail_send = cases[i].number;
        bench_ask(&b, cases[i].method, 1);
        bench_time(&b);
        bench_time(&b);
        bench_over(&b, cases[i].outcome, cases[i].text);
        assert_int_equal(b.now_us, START_US + 2 * TIMEOUT_MS * MS);
        bench_done(&b);
    }
}

static void without_a_descriptor_nothing_is_said_of_the_device(void **state UNUSED)
{
    static const int methods[] = {UDP, TCP};
    static const char *const texts[] = {
        "UDP: Destination address invalid or unable to create socket",
        "TCP: Destination address invalid or unable to create socket"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct bench b;
        bench_init(&b);
        b.wire.fail_open = EMFILE;
        bench_ask(&b, methods[i], 1);
        bench_time(&b);
        b.wire.fail_open = 0; /* one attempt that could not be made is enough to know nothing */
        bench_time(&b);
        bench_over(&b, PING_IMPOSSIBLE, texts[i]);
        bench_done(&b);
    }
}

/* ---- names, deadlines, giving up ---- */

static void name_failed(struct bench *b, int method, enum err_kind kind)
{
    struct err err = ERR_INIT;
    err_set(&err, kind, "no such name");
    bench_begin(b, method, 0, INT64_MAX);
    assert_string_equal(b->x->want.name, "device");
    assert_int_equal(b->x->want.until_us, b->now_us + (int64_t)PING_RESOLVE_MS * MS);
    exchange_feed(b->x, &(struct exchange_event){
                            .kind = EXCHANGE_ADDRESS_FAILED, .now_us = b->now_us, .err = &err});
}

static void a_wrong_name_means_down_and_a_silent_name_server_nothing(void **state UNUSED)
{
    struct bench b;
    bench_init(&b);
    name_failed(&b, UDP, ERR_CONFIG);
    bench_over(&b, PING_DOWN, "UDP: Destination hostname invalid");
    assert_string_equal(ping_exchange_reply(b.p)->bad_name, "no such name");
    name_failed(&b, ICMP, ERR_TEMPORARY);
    bench_over(&b, PING_IMPOSSIBLE, "ICMP: Destination hostname could not be looked up");
    assert_string_equal(ping_exchange_reply(b.p)->bad_name, "");
    name_failed(&b, TCP, ERR_OS);
    bench_over(&b, PING_IMPOSSIBLE, "TCP: Destination hostname could not be looked up");
    bench_begin(&b, TCP, 0, INT64_MAX);
    bench_time(&b);
    bench_over(&b, PING_IMPOSSIBLE, "TCP: Destination hostname could not be looked up");
    bench_done(&b);
}

static void a_connection_that_is_not_there_yet_is_no_sign_of_life(void **state UNUSED)
{
    struct bench b;
    bench_init(&b);
    b.wire.fail_connect = b.wire.error = EINPROGRESS;
    bench_ask(&b, TCP, 0);
    bench_feed(&b, EXCHANGE_READY);
    assert_int_equal(b.x->want.kind, WANT_IO);
    b.now_us += 30 * MS;
    b.wire.error = 0;
    bench_feed(&b, EXCHANGE_READY);
    bench_up(&b, "TCP: Device is Alive", 30 * MS);
    bench_done(&b);
}

static void an_attempt_that_the_deadline_cuts_says_nothing(void **state UNUSED)
{
    static const int methods[] = {ICMP, UDP, TCP};
    static const char *const texts[] = {"ICMP: Ping given up, the poller is out of time",
                                        "UDP: Ping given up, the poller is out of time",
                                        "TCP: Ping given up, the poller is out of time"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct bench b;
        bench_init(&b);
        b.wire.fail_connect = methods[i] == TCP ? EINPROGRESS : 0;
        bench_begin(&b, methods[i], 5, START_US + 250 * MS);
        bench_feed(&b, EXCHANGE_ADDRESS_FOUND);
        bench_time(&b);
        assert_int_equal(b.x->want.until_us, START_US + 250 * MS);
        bench_time(&b);
        bench_over(&b, PING_IMPOSSIBLE, texts[i]);
        bench_begin(&b, methods[i], 5, b.now_us);
        bench_over(&b, PING_IMPOSSIBLE, texts[i]);
        bench_done(&b);
    }
}

static void bench_ignores(struct bench *b, const enum exchange_event_kind *kinds, size_t count)
{
    struct want before = b->x->want;
    size_t sent = b->wire.sent_count;
    for (size_t i = 0; i < count; i++) {
        bench_feed(b, kinds[i]);
        assert_int_equal(b->x->want.kind, before.kind);
        assert_int_equal(b->x->want.until_us, before.until_us);
        assert_int_equal(b->wire.sent_count, sent);
    }
}

static void bench_given_up(struct bench *b, const char *text)
{
    static const enum exchange_event_kind all[] = {EXCHANGE_ADDRESS_FOUND, EXCHANGE_ADDRESS_FAILED,
                                                   EXCHANGE_JOB_DONE,      EXCHANGE_READY,
                                                   EXCHANGE_TIME,          EXCHANGE_GIVE_UP};
    bench_feed(b, EXCHANGE_GIVE_UP);
    bench_over(b, PING_IMPOSSIBLE, text);
    bench_ignores(b, all, ARRAY_LEN(all));
    b->wire.fail_send = b->wire.fail_connect = 0; /* the next cycle goes on */
    bench_ask(b, UDP, 0);
    bench_receives(b, "x", 1, 0);
    bench_over(b, PING_UP, "UDP: Device is Alive");
    bench_done(b);
}

static void giving_up_ends_every_state_and_other_events_change_nothing(void **state UNUSED)
{
    static const enum exchange_event_kind never[] = {
        EXCHANGE_ADDRESS_FOUND, EXCHANGE_ADDRESS_FAILED, EXCHANGE_JOB_DONE, EXCHANGE_TIME};
    static const struct {
        int method, connect, send;
        const char *text;
    } cases[] = {
        {ICMP, 0, 0, "ICMP: Ping given up, the poller is out of time"},      /* ECHOING */
        {ICMP, 0, EAGAIN, "ICMP: Ping given up, the poller is out of time"}, /* BLOCKED */
        {ICMP, 0, EPERM, "ICMP: Ping given up, the poller is out of time"},  /* ECHOING */
        {UDP, 0, 0, "UDP: Ping given up, the poller is out of time"},        /* LISTENING */
        {TCP, EINPROGRESS, 0, "TCP: Ping given up, the poller is out of time"},
        {TCP, ENETUNREACH, 0, "TCP: Ping given up, the poller is out of time"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        bench_init(&b);
        bench_ignores(&b, never, ARRAY_LEN(never));
        b.wire.fail_connect = cases[i].connect;
        b.wire.fail_send = cases[i].send;
        bench_ask(&b, cases[i].method, 3);
        bench_ignores(&b, never, ARRAY_LEN(never));
        bench_given_up(&b, cases[i].text);
    }
    struct bench b;
    bench_init(&b);
    bench_begin(&b, ICMP, 3, INT64_MAX); /* the name */
    bench_ignores(&b, never + 2, 2);
    bench_given_up(&b, "ICMP: Ping given up, the poller is out of time");
}

static void nonsense_numbers_get_their_defaults(void **state UNUSED)
{
    struct bench b;
    bench_init(&b);
    b.request = (struct ping_request){
        .method = UDP, .hostname = "device", .port = 9, .timeout_ms = 0, .retries = -1};
    ping_exchange_begin(b.p, &b.request, b.now_us, INT64_MAX);
    bench_feed(&b, EXCHANGE_ADDRESS_FOUND);
    for (int i = 0; i < 3; i++)
        bench_time(&b);
    bench_over(&b, PING_DOWN, "UDP: Ping timed out");
    assert_int_equal(b.now_us, START_US + 3 * 500 * MS);
    bench_ask(&b, UDP, 1000);
    for (int i = 0; i <= PING_RETRIES_MAX; i++)
        bench_time(&b);
    bench_over(&b, PING_DOWN, "UDP: Ping timed out");
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_echo_reply_means_up_in_its_own_time),
        cmocka_unit_test(a_reply_is_timed_when_it_is_read),
        cmocka_unit_test(attempts_have_their_exact_time_and_then_the_device_is_down),
        cmocka_unit_test(a_late_reply_to_an_earlier_attempt_counts_with_its_own_time),
        cmocka_unit_test(a_reply_wins_over_the_end_of_time_and_over_giving_up),
        cmocka_unit_test(a_reply_for_another_program_is_ignored),
        cmocka_unit_test(a_reply_for_the_ping_before_is_not_taken_for_this_ones),
        cmocka_unit_test(many_pings_on_one_socket_get_their_own_replies),
        cmocka_unit_test(a_slow_ping_keeps_its_reply_while_others_come_and_go),
        cmocka_unit_test(a_full_icmp_socket_is_waited_for),
        cmocka_unit_test(without_an_icmp_socket_of_its_family_the_device_is_asked_by_udp),
        cmocka_unit_test(a_local_failure_is_not_the_devices_and_takes_its_time),
        cmocka_unit_test(without_a_descriptor_nothing_is_said_of_the_device),
        cmocka_unit_test(a_wrong_name_means_down_and_a_silent_name_server_nothing),
        cmocka_unit_test(a_connection_that_is_not_there_yet_is_no_sign_of_life),
        cmocka_unit_test(an_attempt_that_the_deadline_cuts_says_nothing),
        cmocka_unit_test(giving_up_ends_every_state_and_other_events_change_nothing),
        cmocka_unit_test(nonsense_numbers_get_their_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
