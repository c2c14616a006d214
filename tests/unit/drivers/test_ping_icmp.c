#include "config.h"

#include "../../../src/drivers/ping_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/icmp.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { ID = 0x1234, SEQ = 0xfffe, IP_HEADER_LEN = 20 };

/* ---- packets ---- */

static uint32_t sum16(const uint8_t *bytes, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void mend_checksum(uint8_t *icmp)
{
    icmp[2] = icmp[3] = 0;
    uint32_t sum = ~sum16(icmp, PING_PACKET_LEN);
    icmp[2] = (uint8_t)(sum >> 8);
    icmp[3] = (uint8_t)sum;
}

/* What a socket of that kind gives for the right answer; the length. */
static size_t right_reply(int family, enum ping_socket_kind kind, uint8_t *bytes)
{
    uint8_t *icmp = bytes;
    if (family == AF_INET && kind == PING_SOCKET_RAW) {
        static const uint8_t header[IP_HEADER_LEN] = {0x45, 0, 0,   51, 1, 2, 0,   0, 64, 1,
                                                      0,    0, 127, 0,  0, 1, 127, 0, 0,  1};
        memcpy(bytes, header, sizeof(header));
        icmp += IP_HEADER_LEN;
    }
    ping_build_request(family, ID, SEQ, icmp);
    icmp[0] = family == AF_INET ? 0 : 129;
    if (family == AF_INET)
        mend_checksum(icmp);
    return (size_t)(icmp - bytes) + PING_PACKET_LEN;
}

/* From memory of exactly that size, so that reading beyond it is seen. */
static bool accepted(int family, enum ping_socket_kind kind, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = mem_alloc(len);
    memcpy(copy, bytes, len);
    uint16_t seq = 0;
    bool ok = ping_parse_reply(family, kind, ID, copy, len, &seq);
    assert_true(!ok || seq == SEQ || len > 0);
    free(copy);
    return ok;
}

static const struct {
    int family;
    enum ping_socket_kind kind;
} kinds[] = {{AF_INET, PING_SOCKET_DATAGRAM},
             {AF_INET, PING_SOCKET_RAW},
             {AF_INET6, PING_SOCKET_DATAGRAM},
             {AF_INET6, PING_SOCKET_RAW}};

static void a_request_is_31_bytes_as_the_contract_says(void **state UNUSED)
{
    uint8_t packet[PING_PACKET_LEN];
    ping_build_request(AF_INET, 0x1234, 0x5678, packet);
    assert_int_equal(sizeof(packet), 31);
    static const uint8_t begin[] = {8, 0}, end[] = {0x12, 0x34, 0x56, 0x78};
    assert_memory_equal(packet, begin, sizeof(begin));
    assert_memory_equal(packet + 4, end, sizeof(end));
    assert_memory_equal(packet + 8, "cacti-monitoring-system", 23);
    assert_int_equal(sum16(packet, sizeof(packet)), 0xffff);
    ping_build_request(AF_INET6, 0x1234, 0x5678, packet);
    assert_int_equal(packet[0], 128);
}

static void the_right_reply_is_taken(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        uint8_t bytes[64];
        size_t len = right_reply(kinds[i].family, kinds[i].kind, bytes);
        uint16_t seq = 0;
        assert_true(ping_parse_reply(kinds[i].family, kinds[i].kind, ID, bytes, len, &seq));
        assert_int_equal(seq, SEQ);
    }
}

static void a_reply_of_any_other_length_is_ignored(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        uint8_t bytes[2048] = {0};
        size_t right = right_reply(kinds[i].family, kinds[i].kind, bytes);
        for (size_t len = 0; len <= sizeof(bytes); len++)
            assert_int_equal(accepted(kinds[i].family, kinds[i].kind, bytes, len), len == right);
    }
}

/* Everything but the sequence number is checked, bit by bit; with a good checksum, so that it is
 * not that. */
static void a_reply_that_differs_in_one_bit_is_ignored(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        bool raw = kinds[i].kind == PING_SOCKET_RAW;
        size_t icmp = raw && kinds[i].family == AF_INET ? IP_HEADER_LEN : 0;
        for (size_t bit = 0; bit < PING_PACKET_LEN * 8; bit++) {
            uint8_t bytes[64];
            size_t len = right_reply(kinds[i].family, kinds[i].kind, bytes);
            size_t at = bit / 8;
            bytes[icmp + at] ^= (uint8_t)(1 << bit % 8);
            if (kinds[i].family == AF_INET && at != 2 && at != 3)
                mend_checksum(bytes + icmp);
            bool checksum = at == 2 || at == 3, id = at == 4 || at == 5, seq = at == 6 || at == 7;
            bool free_to_differ = seq || (id && !raw) || (checksum && icmp == 0);
            assert_int_equal(accepted(kinds[i].family, kinds[i].kind, bytes, len), free_to_differ);
        }
    }
}

static void a_wrong_checksum_is_noticed_where_the_kernel_does_not(void **state UNUSED)
{
    uint8_t bytes[64];
    size_t len = right_reply(AF_INET, PING_SOCKET_RAW, bytes);
    bytes[IP_HEADER_LEN + 7] ^= 1;
    assert_false(accepted(AF_INET, PING_SOCKET_RAW, bytes, len));
}

static void ip_options_are_skipped_and_lies_about_them_ignored(void **state UNUSED)
{
    uint8_t plain[64], bytes[128] = {0};
    size_t len = right_reply(AF_INET, PING_SOCKET_RAW, plain);
    for (unsigned words = 0; words <= 15; words++) {
        size_t header = words * 4;
        memcpy(bytes, plain, IP_HEADER_LEN);
        bytes[0] = (uint8_t)(0x40 | words);
        if (header >= IP_HEADER_LEN)
            memcpy(bytes + header, plain + IP_HEADER_LEN, len - IP_HEADER_LEN);
        bool good = header >= IP_HEADER_LEN;
        size_t whole = good ? header + PING_PACKET_LEN : len;
        assert_int_equal(accepted(AF_INET, PING_SOCKET_RAW, bytes, whole), good);
        bytes[0] = (uint8_t)(0x60 | words);
        assert_false(accepted(AF_INET, PING_SOCKET_RAW, bytes, whole));
        bytes[0] = (uint8_t)(0x40 | words);
        bytes[9] = IPPROTO_UDP;
        assert_false(accepted(AF_INET, PING_SOCKET_RAW, bytes, whole));
        for (size_t cut = 0; cut < whole; cut++)
            assert_false(accepted(AF_INET, PING_SOCKET_RAW, bytes, cut));
    }
}

static void random_bytes_do_no_harm(void **state UNUSED)
{
    unsigned seed = 20261123;
    for (unsigned round = 0; round < 200000; round++) {
        size_t which = round % ARRAY_LEN(kinds);
        uint8_t bytes[128];
        size_t len = right_reply(kinds[which].family, kinds[which].kind, bytes);
        seed = seed * 1103515245 + 12345;
        unsigned changes = 1 + (seed >> 16) % 8;
        for (unsigned i = 0; i < changes; i++) {
            seed = seed * 1103515245 + 12345;
            bytes[(seed >> 8) % len] = (uint8_t)(seed >> 24);
        }
        seed = seed * 1103515245 + 12345;
        (void)accepted(kinds[which].family, kinds[which].kind, bytes, (seed >> 16) % (len + 1));
        (void)accepted(kinds[which].family, kinds[which].kind, bytes, len);
    }
}

/* ---- sockets ---- */

struct world {
    struct ping_sockets sockets;
    struct resolver *resolver;
    struct pinger *pinger;
};

static struct world world_new(void)
{
    struct world w = {.sockets = ping_open_sockets(), .resolver = resolver_new()};
    w.pinger = pinger_new(&w.sockets, w.resolver, NULL);
    assert_non_null(w.pinger);
    return w;
}

static void world_done(struct world *w)
{
    pinger_free(w->pinger);
    resolver_free(w->resolver);
}

static bool lacks_icmp(const struct world *w, int family)
{
    int number = family == AF_INET ? w->sockets.errno4 : w->sockets.errno6;
    if (number != 0)
        print_message("NOT TRIED: no ICMP socket for IPv%d: %s\n", family == AF_INET ? 4 : 6,
                      strerror(number));
    return number != 0;
}

static struct ping_reply ask(struct pinger *p, const char *host, int timeout_ms, int retries,
                             struct give_up *give_up)
{
    struct ping_request request = {
        .method = 1, .hostname = host, .timeout_ms = timeout_ms, .retries = retries};
    struct ping_reply reply = {0};
    int64_t began_us = clock_mono_us();
    pinger_ask(p, &request, clock_mono_ms() + 3600 * 1000, give_up, &reply);
    double took_ms = (double)(clock_mono_us() - began_us) / 1000;
    CHECK(reply.outcome != PING_UP || (reply.time_ms >= 0 && reply.time_ms <= took_ms));
    return reply;
}

static void the_sockets_do_not_block_and_are_not_inherited(void **state UNUSED)
{
    struct ping_sockets s = ping_open_sockets();
    int fds[] = {s.fd4, s.fd6};
    enum ping_socket_kind socket_kinds[] = {s.kind4, s.kind6};
    int numbers[] = {s.errno4, s.errno6};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        assert_int_equal(fds[i] < 0, socket_kinds[i] == PING_SOCKET_NONE);
        assert_int_equal(fds[i] < 0, numbers[i] != 0);
        if (fds[i] < 0)
            continue;
        assert_true((fcntl(fds[i], F_GETFD) & FD_CLOEXEC) != 0);
        assert_true((fcntl(fds[i], F_GETFL) & O_NONBLOCK) != 0);
        close(fds[i]);
    }
}

/* And no word in it by which Cacti's log viewer would class the line. */
static void every_set_of_sockets_has_its_line(void **state UNUSED)
{
    static const char *const words[] = {"ERROR", "FATAL", "WARN", " SQL ", "DEBUG", "STATS", "\n"};
    for (int kind4 = 0; kind4 <= PING_SOCKET_RAW; kind4++) {
        for (int kind6 = 0; kind6 <= PING_SOCKET_RAW; kind6++) {
            struct ping_sockets s = {.kind4 = (enum ping_socket_kind)kind4,
                                     .kind6 = (enum ping_socket_kind)kind6};
            const char *text = ping_sockets_text(&s);
            for (size_t i = 0; i < ARRAY_LEN(words); i++)
                assert_null(strstr(text, words[i]));
            bool lacking = kind4 == 0 || kind6 == 0;
            assert_int_equal(strstr(text, "cap_net_raw") != NULL, lacking);
        }
    }
}

static void this_host_answers(void **state UNUSED)
{
    struct world w = world_new();
    static const char *const hosts[] = {"127.0.0.1", "::1"};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        if (lacks_icmp(&w, i == 0 ? AF_INET : AF_INET6))
            continue;
        struct ping_reply reply = ask(w.pinger, hosts[i], 5000, 1, NULL);
        if (i == 1 && reply.outcome != PING_UP) {
            print_message("NOT TRIED: there is no ::1 here: %s\n", reply.text);
            continue;
        }
        assert_string_equal(reply.text, "ICMP: Device is Alive");
        assert_int_equal(reply.outcome, PING_UP);
        assert_false(reply.fell_back);
    }
    world_done(&w);
}

struct asker {
    struct pinger *pinger;
    struct give_up *give_up; /* NULL: never */
    char host[32];
    struct ping_reply reply;
    pthread_t thread;
};

static void *ask_there(void *arg)
{
    struct asker *a = arg;
    for (int i = 0; i < 10; i++) {
        a->reply = ask(a->pinger, a->host, 10000, 2, a->give_up);
        if (a->reply.outcome != PING_UP)
            break;
    }
    return NULL;
}

static void fifty_checks_at_once_get_their_own_replies(void **state UNUSED)
{
    struct world w = world_new();
    if (!lacks_icmp(&w, AF_INET)) {
        struct asker askers[50];
        for (unsigned i = 0; i < ARRAY_LEN(askers); i++) {
            askers[i] = (struct asker){.pinger = w.pinger};
            snprintf(askers[i].host, sizeof(askers[i].host), "127.0.%u.%u", i / 8, i + 1);
            CHECK(thr_start(&askers[i].thread, "asker", ask_there, &askers[i], NULL));
        }
        for (size_t i = 0; i < ARRAY_LEN(askers); i++)
            thr_join(askers[i].thread);
        for (size_t i = 0; i < ARRAY_LEN(askers); i++)
            assert_int_equal(askers[i].reply.outcome, PING_UP);
    }
    world_done(&w);
}

/* 0.0.0.0 is this host, whose replies come from 127.0.0.1: right in all but the source. */
static void a_reply_from_elsewhere_is_ignored(void **state UNUSED)
{
    struct world w = world_new();
    if (!lacks_icmp(&w, AF_INET)) {
        struct ping_reply reply = ask(w.pinger, "0.0.0.0", 50, 1, NULL);
        assert_string_equal(reply.text, "ICMP: Ping timed out");
        assert_int_equal(reply.outcome, PING_DOWN);
    }
    world_done(&w);
}

static void send_raw(int fd, const uint8_t *icmp, size_t len)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(sendto(fd, icmp, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
}

/* What stands in the requests of this pinger and of no other program's: the kernel chooses it for a
 * datagram socket. */
static uint16_t own_id(const struct world *w)
{
    struct sockaddr_in name = {0};
    socklen_t len = sizeof(name);
    if (w->sockets.kind4 == PING_SOCKET_RAW)
        return (uint16_t)getpid();
    assert_int_equal(getsockname(w->sockets.fd4, (struct sockaddr *)&name, &len), 0);
    return ntohs(name.sin_port);
}

static bool is_own_request(const struct world *w, const uint8_t *packet)
{
    const uint8_t *icmp = packet + IP_HEADER_LEN;
    return icmp[0] == 8 && (icmp[4] << 8 | icmp[5]) == own_id(w);
}

/* Sees every echo request on this host, and nothing else; -1: no right to. */
static int request_watcher(void)
{
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
    struct icmp_filter filter = {.data = ~(UINT32_C(1) << 8)};
    if (fd >= 0)
        assert_int_equal(setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter)), 0);
    return fd;
}

static int requests_seen(const struct world *w, int fd)
{
    uint8_t packet[64];
    int requests = 0;
    while (recv(fd, packet, sizeof(packet), 0) >= IP_HEADER_LEN + PING_HEADER_LEN)
        requests += is_own_request(w, packet);
    return requests;
}

static void send_forgeries(int fd)
{
    for (uint8_t type = 0; type < 20; type++) {
        uint8_t packet[64];
        if (type == 8)
            continue;
        (void)right_reply(AF_INET, PING_SOCKET_DATAGRAM, packet);
        packet[0] = type;
        mend_checksum(packet);
        send_raw(fd, packet, PING_PACKET_LEN);
    }
}

/* "Unreachable" and forgeries by the dozen while a check runs, and nothing is sent early. */
static void other_messages_never_make_it_send_again(void **state UNUSED)
{
    struct world w = world_new();
    int fd = request_watcher();
    if (fd < 0 || lacks_icmp(&w, AF_INET)) {
        print_message("NOT TRIED: no raw socket to forge with\n");
        world_done(&w);
        return;
    }
    struct give_up give_up;
    assert_true(give_up_init(&give_up, NULL));
    struct asker asker = {.pinger = w.pinger, .give_up = &give_up, .host = "0.0.0.0"};
    CHECK(thr_start(&asker.thread, "asker", ask_there, &asker, NULL));
    struct pollfd watch = {.fd = fd, .events = POLLIN};
    int requests = 0;
    while (requests == 0 && poll(&watch, 1, 60000) > 0)
        requests += requests_seen(&w, fd);
    for (int i = 0; i < 500; i++) {
        send_forgeries(fd);
        requests += requests_seen(&w, fd);
    }
    assert_int_equal(requests, 1); /* the time-out of an attempt is ten seconds */
    give_up_set(&give_up);
    thr_join(asker.thread);
    assert_int_equal(asker.reply.outcome, PING_IMPOSSIBLE);
    give_up_done(&give_up);
    close(fd);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_31_bytes_as_the_contract_says),
        cmocka_unit_test(the_right_reply_is_taken),
        cmocka_unit_test(a_reply_of_any_other_length_is_ignored),
        cmocka_unit_test(a_reply_that_differs_in_one_bit_is_ignored),
        cmocka_unit_test(a_wrong_checksum_is_noticed_where_the_kernel_does_not),
        cmocka_unit_test(ip_options_are_skipped_and_lies_about_them_ignored),
        cmocka_unit_test(random_bytes_do_no_harm),
        cmocka_unit_test(the_sockets_do_not_block_and_are_not_inherited),
        cmocka_unit_test(every_set_of_sockets_has_its_line),
        cmocka_unit_test(this_host_answers),
        cmocka_unit_test(fifty_checks_at_once_get_their_own_replies),
        cmocka_unit_test(a_reply_from_elsewhere_is_ignored),
        cmocka_unit_test(other_messages_never_make_it_send_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
