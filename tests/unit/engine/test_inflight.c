/* Pings by UDP to sockets of the test's own, which count what comes and answer when the test says so. */
#include "config.h"

#include "engine/inflight.h"

#include "../../support/everyloop.h"

#include "base/clock.h"
#include "base/give_up.h"
#include "model/ask.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FAR_MS = 60000, DEVICES = 8, LIMIT = 2 };

/* ---- a device: a UDP socket on a loopback address ---- */

struct host {
    int fd;
    char address[INET_ADDRSTRLEN];
    uint16_t port;
    struct sockaddr_in asked[DEVICES]; /* by whom, not answered yet */
    size_t count;
};

static void host_open(struct host *h, const char *address)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof(sa);
    *h = (struct host){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    snprintf(h->address, sizeof(h->address), "%s", address);
    assert_int_equal(inet_pton(AF_INET, address, &sa.sin_addr), 1);
    assert_int_equal(bind(h->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(getsockname(h->fd, (struct sockaddr *)&sa, &len), 0);
    h->port = ntohs(sa.sin_port);
}

/* What loopback has sent is there at once. */
static size_t host_count(struct host *h)
{
    char bytes[64];
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    while (recvfrom(h->fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&from, &len) > 0)
        h->asked[h->count++] = from;
    return h->count;
}

static void host_answer(struct host *h)
{
    assert_true(host_count(h) > 0);
    h->count--;
    assert_int_equal(
        sendto(h->fd, "here", 4, 0, (struct sockaddr *)&h->asked[0], sizeof(h->asked[0])), 4);
    memmove(h->asked, h->asked + 1, h->count * sizeof(h->asked[0]));
}

/* ---- the bench ---- */

struct bench;

struct probe {
    struct bench *b;
    char address[INET_ADDRSTRLEN];
    struct flight *flight;
    struct ask ask;
    int done;
    struct ping_reply reply;
};

struct bench {
    struct loop *loop;
    struct services *services;
    struct give_up give_up;
    struct inflight *f;
    struct loop_timer too_late;
    struct probe devices[DEVICES];
    int done; /* of all */
    bool inside, room;
};

static void bench_too_late(void *arg UNUSED)
{
    fail_msg("too late");
}

static void bench_on_room(void *arg)
{
    struct bench *b = arg;
    b->room = true;
    loop_stop(b->loop);
}

static void bench_init(struct bench *b, void **state)
{
    const struct ping_sockets none = {.fd4 = -1, .fd6 = -1};
    struct err err = ERR_INIT;
    *b = (struct bench){0};
    b->loop = loop_new(everyloop_kind_of(state), &err);
    b->services = services_new(&none, &err);
    assert_true(give_up_init(&b->give_up, &err));
    const struct inflight_options o = {
        .loop = b->loop,
        .services = b->services,
        .snmp = {.resolver = b->services->resolver, .give_up = &b->give_up},
        .address_limit = LIMIT,
    };
    b->f = inflight_new(&o, &err);
    assert_non_null(b->f);
    inflight_on_room(b->f, bench_on_room, b);
    loop_timer_init(&b->too_late, b->loop, bench_too_late, NULL);
    loop_timer_set(&b->too_late, FAR_MS);
    for (size_t i = 0; i < DEVICES; i++)
        b->devices[i] = (struct probe){.b = b, .flight = flight_new(b->f, false)};
}

static void bench_done(struct bench *b)
{
    for (size_t i = 0; i < DEVICES; i++)
        flight_free(b->devices[i].flight);
    inflight_end(b->f);
    inflight_free(b->f);
    loop_timer_cancel(&b->too_late);
    give_up_done(&b->give_up);
    services_free(b->services);
    loop_free(b->loop);
}

static void bench_on_done(void *arg)
{
    struct probe *d = arg;
    assert_false(d->b->inside);
    d->done++;
    d->b->done++;
    flight_get_ping(d->flight, &d->reply);
    loop_stop(d->b->loop);
}

static void bench_ping(struct bench *b, size_t i, const char *hostname, uint16_t port,
                       int timeout_ms)
{
    struct probe *d = &b->devices[i];
    d->ask = (struct ask){.kind = ASK_PING,
                          .ping = {.method = PING_METHOD_UDP,
                                   .hostname = hostname,
                                   .port = port,
                                   .timeout_ms = timeout_ms}};
    b->inside = true;
    flight_begin(d->flight, &d->ask, clock_mono_ms() + FAR_MS, bench_on_done, d);
    b->inside = false;
}

static void bench_ping_host(struct bench *b, size_t i, const struct host *h)
{
    bench_ping(b, i, h->address, h->port, FAR_MS);
}

/* The device has finished: its address is free for the next one. */
static void bench_close(struct bench *b, size_t i, bool was_down)
{
    flight_free(b->devices[i].flight);
    b->devices[i].flight = flight_new(b->f, was_down);
}

static void bench_run_until(struct bench *b, int done)
{
    while (b->done < done)
        loop_run(b->loop);
    assert_int_equal(b->done, done);
}

/* ---- tests ---- */

static void an_answer_is_told_once_and_the_next_request_is_the_next(void **state)
{
    struct bench b;
    struct host h;
    bench_init(&b, state);
    host_open(&h, "127.0.0.1");
    for (int n = 1; n <= 3; n++) {
        bench_ping_host(&b, 0, &h);
        assert_int_equal(host_count(&h), 1);
        host_answer(&h);
        bench_run_until(&b, n);
        assert_int_equal(b.devices[0].done, n);
        assert_int_equal(b.devices[0].reply.outcome, PING_UP);
    }
    close(h.fd);
    bench_done(&b);
}

static void silence_ends_at_its_time_and_others_do_not_wait_for_it(void **state)
{
    struct bench b;
    struct host silent, living;
    bench_init(&b, state);
    host_open(&silent, "127.0.0.2");
    host_open(&living, "127.0.0.3");
    bench_ping_host(&b, 0, &silent);
    bench_ping(&b, 1, silent.address, silent.port, 1);
    bench_ping_host(&b, 2, &living);
    host_answer(&living);
    bench_run_until(&b, 2);
    assert_int_equal(b.devices[1].reply.outcome, PING_DOWN);
    assert_int_equal(b.devices[2].reply.outcome, PING_UP);
    assert_true(flight_give_up(b.devices[0].flight));
    close(silent.fd);
    close(living.fd);
    bench_done(&b);
}

/* Two ports of one address, and a third device elsewhere. */
static void no_more_than_the_limit_is_asked_of_one_address_at_a_time(void **state)
{
    struct bench b;
    struct host h[2], elsewhere;
    bench_init(&b, state);
    host_open(&h[0], "127.0.0.4");
    host_open(&h[1], "127.0.0.4");
    host_open(&elsewhere, "127.0.0.5");
    for (size_t i = 0; i < 6; i++)
        bench_ping_host(&b, i, &h[i % 2]);
    bench_ping_host(&b, 6, &elsewhere);
    assert_int_equal(host_count(&elsewhere), 1);
    assert_int_equal(host_count(&h[0]) + host_count(&h[1]), LIMIT);
    for (int n = 1; n <= 6; n++) {
        struct host *asked = host_count(&h[0]) > 0 ? &h[0] : &h[1];
        host_answer(asked);
        bench_run_until(&b, n);
        for (size_t i = 0; i < 6; i++)
            if (b.devices[i].done > 0)
                bench_close(&b, i, false);
        int left = 6 - n;
        assert_int_equal(host_count(&h[0]) + host_count(&h[1]), left < LIMIT ? left : LIMIT);
    }
    host_answer(&elsewhere);
    bench_run_until(&b, 7);
    assert_int_equal(b.devices[6].done, 1);
    close(h[0].fd);
    close(h[1].fd);
    close(elsewhere.fd);
    bench_done(&b);
}

/* Its next request does not wait behind others; devices that were down come last. */
static void who_has_begun_goes_on_and_the_dead_come_last(void **state)
{
    struct bench b;
    struct host h, late;
    bench_init(&b, state);
    host_open(&h, "127.0.0.7");
    host_open(&late, "127.0.0.7");
    bench_close(&b, 2, true);
    for (size_t i = 0; i < 3; i++)
        bench_ping_host(&b, i, &h);
    bench_ping_host(&b, 3, &late);
    for (int n = 1; n <= 3; n++) {
        assert_int_equal(host_count(&h), LIMIT);
        host_answer(&h);
        bench_run_until(&b, n);
        bench_ping_host(&b, b.devices[0].done > b.devices[1].done ? 0 : 1,
                        &h); /* who was answered */
    }
    assert_int_equal(host_count(&late), 0);
    assert_true(flight_give_up(b.devices[0].flight));
    bench_close(&b, 0, false);
    assert_int_equal(host_count(&late), 1);
    assert_int_equal(b.devices[2].done, 0);
    for (size_t i = 1; i < 4; i++)
        assert_true(flight_give_up(b.devices[i].flight));
    close(h.fd);
    close(late.fd);
    bench_done(&b);
}

static void who_gives_up_makes_room_for_the_next_unless_all_give_up(void **state)
{
    for (int all = 0; all <= 1; all++) {
        struct bench b;
        struct host h;
        bench_init(&b, state);
        host_open(&h, "127.0.0.6");
        for (size_t i = 0; i < 4; i++)
            bench_ping_host(&b, i, &h);
        assert_int_equal(host_count(&h), 2);
        assert_true(flight_give_up(b.devices[2].flight)); /* it has waited for the address */
        if (all)
            give_up_set(&b.give_up);
        assert_true(flight_give_up(b.devices[0].flight));
        bench_close(&b, 0, false);
        assert_int_equal(host_count(&h), all ? 2 : 3);
        assert_true(flight_give_up(b.devices[1].flight));
        assert_true(flight_give_up(b.devices[3].flight));
        assert_int_equal(b.done, 0);
        for (size_t i = 0; i < 4; i++)
            bench_close(&b, i, false);
        bench_ping_host(&b, 0, &h); /* the address is free again */
        assert_int_equal(host_count(&h), all ? 3 : 4);
        assert_true(flight_give_up(b.devices[0].flight));
        close(h.fd);
        bench_done(&b);
    }
}

static void a_name_is_looked_up_without_waiting(void **state)
{
    struct bench b;
    bench_init(&b, state);
    bench_ping(&b, 0, "", 7, FAR_MS);
    bench_ping(&b, 1, "no host name at all", 7, FAR_MS);
    bench_ping(&b, 2, "no host name at all", 7, FAR_MS);
    assert_true(flight_give_up(b.devices[2].flight));
    bench_run_until(&b, 2);
    assert_int_equal(b.devices[0].reply.outcome, PING_DOWN);
    assert_true(b.devices[1].reply.outcome != PING_UP);
    bench_done(&b);
}

/* Dead devices do not keep others from beginning for long. */
static void young_requests_are_bounded_and_old_ones_make_room(void **state)
{
    struct bench b;
    static struct probe many[INFLIGHT_YOUNG_MAX];
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    bench_init(&b, state);
    struct host h;
    host_open(&h, "0.0.0.0");
    for (int i = 0; i < INFLIGHT_YOUNG_MAX; i++) {
        assert_true(inflight_has_room(b.f));
        struct probe *d = &many[i];
        *d = (struct probe){.b = &b, .flight = flight_new(b.f, false)};
        snprintf(d->address, sizeof(d->address), "127.1.%d.%d", i / 200, i % 200 + 1);
        d->ask = (struct ask){.kind = ASK_PING,
                              .ping = {.method = PING_METHOD_UDP,
                                       .hostname = d->address,
                                       .port = h.port,
                                       .timeout_ms = FAR_MS}};
        flight_begin(d->flight, &d->ask, clock_mono_ms() + FAR_MS, bench_on_done, d);
    }
    b.room = false;
    while (!b.room)
        loop_run(b.loop);
    assert_true(inflight_has_room(b.f));
    assert_int_equal(b.done, 0);
    for (int i = 0; i < INFLIGHT_YOUNG_MAX; i++) {
        assert_true(flight_give_up(many[i].flight));
        flight_free(many[i].flight);
    }
    close(h.fd);
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_told_once_and_the_next_request_is_the_next),
        cmocka_unit_test(silence_ends_at_its_time_and_others_do_not_wait_for_it),
        cmocka_unit_test(no_more_than_the_limit_is_asked_of_one_address_at_a_time),
        cmocka_unit_test(who_has_begun_goes_on_and_the_dead_come_last),
        cmocka_unit_test(who_gives_up_makes_room_for_the_next_unless_all_give_up),
        cmocka_unit_test(a_name_is_looked_up_without_waiting),
        cmocka_unit_test(young_requests_are_bounded_and_old_ones_make_room),
    };
    return everyloop_run_tests(tests, ARRAY_LEN(tests));
}
