#include "config.h"

#include "../../../src/drivers/ping_private.h"

#include "../../support/localhost.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- what the tests share ---- */

static const struct ping_sockets no_sockets = {
    .fd4 = -1, .fd6 = -1, .errno4 = EPERM, .errno6 = EPERM};

struct world {
    struct resolver *resolver;
    struct pinger *pinger;
};

static struct world world_of(const struct ping_sockets *sockets)
{
    struct world w = {.resolver = resolver_new()};
    struct err err = ERR_INIT;
    w.pinger = pinger_new(sockets, w.resolver, &err);
    assert_non_null(w.pinger);
    return w;
}

static void world_done(struct world *w)
{
    pinger_free(w->pinger);
    resolver_free(w->resolver);
}

static int64_t far(void)
{
    return clock_mono_ms() + 3600 * 1000;
}

enum { ICMP = 1, UDP = 2, TCP = 3, TCP_TOO = 5 };

static struct ping_request request_of(int method, const char *host, uint16_t port)
{
    return (struct ping_request){
        .method = method, .hostname = host, .port = port, .timeout_ms = 20000, .retries = 0};
}

static struct ping_reply ask(struct pinger *p, struct ping_request request)
{
    struct ping_reply reply = {0};
    int64_t began_us = clock_mono_us();
    pinger_ask(p, &request, far(), NULL, &reply);
    double took_ms = (double)(clock_mono_us() - began_us) / 1000;
    CHECK(reply.outcome != PING_UP || (reply.time_ms >= 0 && reply.time_ms <= took_ms));
    return reply;
}

static void assert_reply(struct ping_reply reply, enum ping_outcome outcome, const char *text)
{
    assert_string_equal(reply.text, text);
    assert_int_equal(reply.outcome, outcome);
}

/* A socket of the test's own on a loopback address; -1: the host has none of that family. */
static int bound(int family, int type, uint16_t *ret_port)
{
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const void *any = family == AF_INET ? (const void *)&v4 : (const void *)&v6;
    socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);
    struct timeval patience = {.tv_sec = 30};
    if (bind(fd, any, len) != 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    struct sockaddr_in6 name; /* the port is at the same place in both */
    len = sizeof(name);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    *ret_port = ntohs(name.sin6_port);
    return fd;
}

static uint16_t closed_port(int family, int type)
{
    uint16_t port = 0;
    int fd = bound(family, type, &port);
    if (fd >= 0)
        close(fd);
    return port;
}

static const char *loopback(int family)
{
    return family == AF_INET ? "127.0.0.1" : "::1";
}

static bool without(int family)
{
    uint16_t port;
    int fd = bound(family, SOCK_DGRAM, &port);
    if (fd >= 0) {
        close(fd);
        return false;
    }
    print_message("NOT TRIED: this host has no %s\n", loopback(family));
    return true;
}

/* A question that is asked while the test does something else. */
struct asker {
    struct pinger *pinger;
    struct give_up *give_up; /* NULL: never */
    struct ping_request request;
    struct ping_reply reply;
    pthread_t thread;
};

static void *ask_there(void *arg)
{
    struct asker *a = arg;
    pinger_ask(a->pinger, &a->request, far(), a->give_up, &a->reply);
    return NULL;
}

static void start_asking(struct asker *a, struct pinger *p, struct ping_request request,
                         struct give_up *give_up)
{
    *a = (struct asker){.pinger = p, .request = request, .give_up = give_up};
    CHECK(thr_start(&a->thread, "asker", ask_there, a, NULL));
}

/* ---- UDP ---- */

static void expect_ping(int fd, struct sockaddr_storage *from, socklen_t *from_len)
{
    char bytes[64];
    *from_len = sizeof(*from);
    ssize_t len = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)from, from_len);
    assert_int_equal(len, 23);
    assert_memory_equal(bytes, "cacti-monitoring-system", 23);
}

static void udp_answer_to_number(int family, int number, const char *answer, size_t len)
{
    struct world w = world_of(&no_sockets);
    uint16_t port;
    int fd = bound(family, SOCK_DGRAM, &port);
    assert_true(fd >= 0);
    struct ping_request request = request_of(UDP, loopback(family), port);
    request.retries = number - 1;
    request.timeout_ms = number > 1 ? 200 : 20000;
    struct asker asker;
    start_asking(&asker, w.pinger, request, NULL);
    struct sockaddr_storage from;
    socklen_t from_len;
    for (int i = 0; i < number; i++)
        expect_ping(fd, &from, &from_len);
    assert_true(sendto(fd, answer, len, 0, (struct sockaddr *)&from, from_len) >= 0);
    thr_join(asker.thread);
    assert_reply(asker.reply, PING_UP, "UDP: Device is Alive");
    assert_false(asker.reply.fell_back);
    close(fd);
    world_done(&w);
}

static void any_datagram_means_up(void **state UNUSED)
{
    udp_answer_to_number(AF_INET, 1, "x", 1);
    udp_answer_to_number(AF_INET, 1, "", 0);
    if (!without(AF_INET6))
        udp_answer_to_number(AF_INET6, 1, "0123456789", 10);
}

static void an_answer_to_a_later_attempt_means_up(void **state UNUSED)
{
    udp_answer_to_number(AF_INET, 2, "x", 1);
    udp_answer_to_number(AF_INET, 3, "x", 1);
}

static void a_closed_port_means_up(void **state UNUSED)
{
    struct world w = world_of(&no_sockets);
    static const int families[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        int family = families[i];
        if (without(family))
            continue;
        uint16_t udp = closed_port(family, SOCK_DGRAM), tcp = closed_port(family, SOCK_STREAM);
        assert_reply(ask(w.pinger, request_of(UDP, loopback(family), udp)), PING_UP,
                     "UDP: Device is Alive");
        assert_reply(ask(w.pinger, request_of(TCP, loopback(family), tcp)), PING_UP,
                     "TCP: Device is Alive");
        assert_reply(ask(w.pinger, request_of(TCP_TOO, loopback(family), tcp)), PING_UP,
                     "TCP: Device is Alive");
    }
    world_done(&w);
}

static int attempts_at_silence(struct pinger *p, int retries)
{
    uint16_t port;
    int fd = bound(AF_INET, SOCK_DGRAM, &port);
    struct ping_request request = request_of(UDP, "127.0.0.1", port);
    request.retries = retries;
    request.timeout_ms = 15;
    assert_reply(ask(p, request), PING_DOWN, "UDP: Ping timed out");
    int attempts = 0;
    char bytes[64];
    while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) == 23)
        attempts++;
    close(fd);
    return attempts;
}

static void n_retries_are_n_plus_one_attempts(void **state UNUSED)
{
    struct world w = world_of(&no_sockets);
    assert_int_equal(attempts_at_silence(w.pinger, 0), 1);
    assert_int_equal(attempts_at_silence(w.pinger, 1), 2);
    assert_int_equal(attempts_at_silence(w.pinger, 5), 6);
    assert_int_equal(attempts_at_silence(w.pinger, -1), 3);
    assert_int_equal(attempts_at_silence(w.pinger, 1000000), PING_RETRIES_MAX + 1);
    world_done(&w);
}

static void a_nonsense_time_out_is_the_default(void **state UNUSED)
{
    struct world w = world_of(&no_sockets);
    uint16_t port;
    int fd = bound(AF_INET, SOCK_DGRAM, &port);
    struct ping_request request = request_of(UDP, "127.0.0.1", port);
    request.timeout_ms = 0;
    int64_t start = clock_mono_ms();
    assert_reply(ask(w.pinger, request), PING_DOWN, "UDP: Ping timed out");
    assert_true(clock_mono_ms() - start >=
                500); /* it never ends early; how late is the machine's affair */
    close(fd);
    world_done(&w);
}

/* ---- TCP ---- */

static void an_open_tcp_port_means_up(void **state UNUSED)
{
    struct world w = world_of(&no_sockets);
    static const int families[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        uint16_t port;
        int fd = without(families[i]) ? -1 : bound(families[i], SOCK_STREAM, &port);
        if (fd < 0)
            continue;
        assert_int_equal(listen(fd, 8), 0);
        assert_reply(ask(w.pinger, request_of(TCP, loopback(families[i]), port)), PING_UP,
                     "TCP: Device is Alive");
        assert_reply(ask(w.pinger, request_of(TCP_TOO, loopback(families[i]), port)), PING_UP,
                     "TCP: Device is Alive");
        close(fd);
    }
    world_done(&w);
}

/* A listener whose queue is full does not answer; false: it does here. */
struct deaf {
    int fd;
    int fill[4];
    uint16_t port;
};

static bool deaf_start(struct deaf *d)
{
    d->fd = bound(AF_INET, SOCK_STREAM, &d->port);
    assert_int_equal(listen(d->fd, 0), 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(d->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct pollfd last = {.events = POLLOUT};
    for (size_t i = 0; i < ARRAY_LEN(d->fill); i++) {
        last.fd = d->fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(d->fill[i], (struct sockaddr *)&to, sizeof(to));
    }
    if (poll(&last, 1, 0) == 0)
        return true;
    print_message("NOT TRIED: a full listen queue answers on this system\n");
    return false;
}

static void deaf_done(struct deaf *d)
{
    for (size_t i = 0; i < ARRAY_LEN(d->fill); i++)
        close(d->fill[i]);
    close(d->fd);
}

static void a_deaf_tcp_port_means_down(void **state UNUSED)
{
    struct world w = world_of(&no_sockets);
    struct deaf d;
    if (deaf_start(&d)) {
        struct ping_request request = request_of(TCP, "127.0.0.1", d.port);
        request.timeout_ms = 20;
        request.retries = 2;
        assert_reply(ask(w.pinger, request), PING_DOWN, "TCP: Cannot connect to host");
    }
    deaf_done(&d);
    world_done(&w);
}

/* ---- requests, names, failures ---- */

static void what_was_not_asked_for_is_not_done(void **state UNUSED)
{
    struct world w = world_of(&no_sockets);
    static const int methods[] = {0, 4, 6, -1};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        assert_reply(ask(w.pinger, request_of(methods[i], "127.0.0.1", 23)), PING_DOWN,
                     "Ping not performed due to setting.");
    world_done(&w);
}

static void a_missing_or_wrong_name_means_down(void **state UNUSED)
{
    struct world w = world_of(&no_sockets);
    static const char *const empty[] = {NULL, "", "udp:", "[]", ":161"};
    for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
        assert_reply(ask(w.pinger, request_of(ICMP, empty[i], 23)), PING_DOWN,
                     "ICMP: Destination address not specified");
        assert_reply(ask(w.pinger, request_of(UDP, empty[i], 23)), PING_DOWN,
                     "UDP: Destination address invalid or unable to create socket");
        assert_reply(ask(w.pinger, request_of(TCP, empty[i], 23)), PING_DOWN,
                     "TCP: Destination address invalid or unable to create socket");
    }
    static const char wrong[] = "udp6:[192.0.2.1]"; /* no name server is needed to know */
    assert_reply(ask(w.pinger, request_of(ICMP, wrong, 23)), PING_DOWN,
                 "ICMP: Destination hostname invalid");
    assert_reply(ask(w.pinger, request_of(UDP, wrong, 23)), PING_DOWN,
                 "UDP: Destination hostname invalid");
    assert_reply(ask(w.pinger, request_of(TCP, wrong, 23)), PING_DOWN,
                 "TCP: Destination hostname invalid");
    world_done(&w);
}

static void prefixes_and_ports_of_stored_names_do_not_matter(void **state UNUSED)
{
    struct world w = world_of(&no_sockets);
    uint16_t port = closed_port(AF_INET, SOCK_DGRAM);
    static const char *const names[] = {"tcp:127.0.0.1", "UDP:127.0.0.1:161", "127.0.0.1:161",
                                        "[127.0.0.1]",   "localhost",         "udp:localhost:161"};
    bool known = localhost_is_known();
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (known || strstr(names[i], "localhost") == NULL)
            assert_reply(ask(w.pinger, request_of(UDP, names[i], port)), PING_UP,
                         "UDP: Device is Alive");
    world_done(&w);
}

static void a_lack_of_descriptors_is_not_the_devices_fault(void **state UNUSED)
{
    struct world w = world_of(&no_sockets);
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3; /* what is open stays open */
    struct ping_request udp = request_of(UDP, "127.0.0.1", 9),
                        tcp = request_of(TCP, "127.0.0.1", 9);
    udp.timeout_ms = tcp.timeout_ms = 10;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct ping_reply udp_reply = ask(w.pinger, udp), tcp_reply = ask(w.pinger, tcp);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_reply(udp_reply, PING_IMPOSSIBLE,
                 "UDP: Destination address invalid or unable to create socket");
    assert_reply(tcp_reply, PING_IMPOSSIBLE,
                 "TCP: Destination address invalid or unable to create socket");
    world_done(&w);
}

static void a_deadline_is_not_the_devices_fault(void **state UNUSED)
{
    struct world w = world_of(&no_sockets);
    uint16_t port;
    int fd = bound(AF_INET, SOCK_DGRAM, &port);
    struct ping_request request = request_of(UDP, "127.0.0.1", port);
    struct ping_reply reply;
    static const int64_t left_ms[] = {-1, 0, 30};
    for (size_t i = 0; i < ARRAY_LEN(left_ms); i++) {
        pinger_ask(w.pinger, &request, clock_mono_ms() + left_ms[i], NULL, &reply);
        assert_reply(reply, PING_IMPOSSIBLE, "UDP: Ping given up, the poller is out of time");
    }
    close(fd);
    world_done(&w);
}

static void without_a_socket_icmp_falls_back_to_udp(void **state UNUSED)
{
    struct world w = world_of(&no_sockets);
    uint16_t port = closed_port(AF_INET, SOCK_DGRAM);
    struct ping_reply reply = ask(w.pinger, request_of(ICMP, "127.0.0.1", port));
    assert_reply(reply, PING_UP, "UDP: Device is Alive");
    assert_true(reply.fell_back);
    reply = ask(w.pinger, request_of(ICMP, "127.0.0.1", 0));
    assert_reply(reply, PING_IMPOSSIBLE, "ICMP: Ping unable to create ICMP Socket");
    assert_false(reply.fell_back);
    world_done(&w);
}

/* ---- giving up ---- */

/* 0.0.0.0 is this host, whose replies come from 127.0.0.1 and so do not match: silence on every
 * machine. */
#define SILENT "0.0.0.0"

/* The checks of one cycle; those of another one, with an object of their own, go on. */
static void giving_up_ends_twenty_checks_of_each_kind(void **state UNUSED)
{
    struct ping_sockets sockets = ping_open_sockets();
    bool icmp = sockets.kind4 != PING_SOCKET_NONE;
    struct world w = world_of(&sockets);
    struct give_up cycle, other;
    assert_true(give_up_init(&cycle, NULL) && give_up_init(&other, NULL));
    struct deaf d;
    uint16_t udp_port, other_port;
    int udp = bound(AF_INET, SOCK_DGRAM, &udp_port),
        other_udp = bound(AF_INET, SOCK_DGRAM, &other_port);
    bool tcp = deaf_start(&d);
    struct asker askers[60], beside;
    for (size_t i = 0; i < ARRAY_LEN(askers); i++) {
        struct ping_request request = request_of(UDP, "127.0.0.1", udp_port);
        if (i % 3 == 1 && tcp)
            request = request_of(TCP, "127.0.0.1", d.port);
        if (i % 3 == 2 && icmp)
            request = request_of(ICMP, SILENT, 0);
        request.timeout_ms = 1800 * 1000;
        start_asking(&askers[i], w.pinger, request, &cycle);
    }
    struct ping_request request = request_of(UDP, "127.0.0.1", other_port);
    request.timeout_ms = 1800 * 1000;
    start_asking(&beside, w.pinger, request, &other);
    struct sockaddr_storage from;
    socklen_t from_len;
    for (int i = 0; i < 20; i++)
        expect_ping(udp, &from, &from_len);
    expect_ping(other_udp, &from, &from_len);

    give_up_set(&cycle);
    for (size_t i = 0; i < ARRAY_LEN(askers); i++) {
        thr_join(askers[i].thread);
        assert_int_equal(askers[i].reply.outcome, PING_IMPOSSIBLE);
        assert_non_null(strstr(askers[i].reply.text, ": Ping given up, the poller is out of time"));
    }
    assert_true(sendto(other_udp, "x", 1, 0, (struct sockaddr *)&from, from_len) == 1);
    thr_join(beside.thread);
    assert_reply(beside.reply, PING_UP, "UDP: Device is Alive");

    struct ping_reply reply;
    struct ping_request closed = request_of(UDP, "127.0.0.1", closed_port(AF_INET, SOCK_DGRAM));
    pinger_ask(w.pinger, &closed, far(), &cycle, &reply);
    assert_int_equal(reply.outcome, PING_IMPOSSIBLE);
    give_up_done(&cycle);
    assert_true(give_up_init(&cycle, NULL)); /* the next cycle */
    pinger_ask(w.pinger, &closed, far(), &cycle, &reply);
    assert_reply(reply, PING_UP, "UDP: Device is Alive");
    deaf_done(&d);
    close(udp);
    close(other_udp);
    give_up_done(&cycle);
    give_up_done(&other);
    world_done(&w);
}

/* ---- tests ---- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_datagram_means_up),
        cmocka_unit_test(an_answer_to_a_later_attempt_means_up),
        cmocka_unit_test(a_closed_port_means_up),
        cmocka_unit_test(n_retries_are_n_plus_one_attempts),
        cmocka_unit_test(a_nonsense_time_out_is_the_default),
        cmocka_unit_test(an_open_tcp_port_means_up),
        cmocka_unit_test(a_deaf_tcp_port_means_down),
        cmocka_unit_test(what_was_not_asked_for_is_not_done),
        cmocka_unit_test(a_missing_or_wrong_name_means_down),
        cmocka_unit_test(prefixes_and_ports_of_stored_names_do_not_matter),
        cmocka_unit_test(a_lack_of_descriptors_is_not_the_devices_fault),
        cmocka_unit_test(a_deadline_is_not_the_devices_fault),
        cmocka_unit_test(without_a_socket_icmp_falls_back_to_udp),
        cmocka_unit_test(giving_up_ends_twenty_checks_of_each_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
