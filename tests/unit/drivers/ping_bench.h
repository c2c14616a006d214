/* ping_bench.h - one ping on a wire of the test's own: the test is waiter, clock and network. */
#ifndef PING_BENCH_H
#define PING_BENCH_H

#include "../../../src/drivers/ping_private.h"

#include "../../support/fake_wire.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ICMP = 1, UDP = 2, TCP = 3 };
enum { MS = 1000, START_US = 9000000, TIMEOUT_MS = 200, ID = 0x1234, FD4 = 4004, FD6 = 4006 };

/* ---- the bench: the test is waiter, clock and network ---- */

struct bench {
    struct fake_wire wire;
    struct ping_icmp *icmp;
    struct ping_exchange *p;
    struct exchange *x;
    struct address device;
    int64_t now_us;
    int woken;
    struct ping_request request;
};

static inline void bench_woken(void *arg)
{
    ((struct bench *)arg)->woken++;
}

static inline void bench_init_sockets(struct bench *b, bool four, bool six)
{
    struct ping_sockets s = {.fd4 = four ? FD4 : -1,
                             .fd6 = six ? FD6 : -1,
                             .kind4 = four ? PING_SOCKET_RAW : PING_SOCKET_NONE,
                             .kind6 = six ? PING_SOCKET_RAW : PING_SOCKET_NONE};
    *b = (struct bench){.now_us = START_US, .device = fake_address("192.0.2.1", 0)};
    fake_wire_init(&b->wire);
    b->icmp = ping_icmp_new(&s, &b->wire.wire, ID);
    b->wire.opened = four + six;
    b->p = ping_exchange_new(b->icmp, &b->wire.wire, bench_woken, b);
    b->x = ping_exchange_base(b->p);
}

static inline void bench_init(struct bench *b)
{
    bench_init_sockets(b, true, true);
}

static inline void bench_done(struct bench *b)
{
    ping_exchange_free(b->p);
    ping_icmp_free(b->icmp);
    assert_int_equal(b->wire.closed, b->wire.opened);
}

static inline void bench_feed(struct bench *b, enum exchange_event_kind kind)
{
    exchange_feed(
        b->x, &(struct exchange_event){.kind = kind, .now_us = b->now_us, .address = &b->device});
}

static inline void bench_begin(struct bench *b, int method, int retries, int64_t deadline_us)
{
    b->request = (struct ping_request){.method = method,
                                       .hostname = "device",
                                       .port = 33439,
                                       .timeout_ms = TIMEOUT_MS,
                                       .retries = retries};
    ping_exchange_begin(b->p, &b->request, b->now_us, deadline_us);
}

static inline void bench_ask(struct bench *b, int method, int retries)
{
    bench_begin(b, method, retries, INT64_MAX);
    assert_int_equal(b->x->want.kind, WANT_ADDRESS);
    bench_feed(b, EXCHANGE_ADDRESS_FOUND);
}

static inline void bench_over(const struct bench *b, enum ping_outcome outcome, const char *text)
{
    assert_int_equal(b->x->want.kind, WANT_NOTHING);
    const struct ping_reply *r = ping_exchange_reply(b->p);
    assert_string_equal(r->text, text);
    assert_int_equal(r->outcome, outcome);
}

static inline void bench_up(const struct bench *b, const char *text, int64_t rtt_us)
{
    bench_over(b, PING_UP, text);
    assert_int_equal((int64_t)(ping_exchange_reply(b->p)->time_ms * 1000 + 0.5), rtt_us);
}

/* The time that it waits for, and before that a moment that is too early. */
static inline void bench_time(struct bench *b)
{
    enum want_kind kind = b->x->want.kind;
    b->now_us = b->x->want.until_us - 1;
    bench_feed(b, EXCHANGE_TIME);
    assert_int_equal(b->x->want.kind, kind);
    b->now_us++;
    bench_feed(b, EXCHANGE_TIME);
}

static inline void bench_receives(struct bench *b, const char *bytes, size_t len, int number)
{
    fake_wire_give(&b->wire, bytes, len, &b->device, number);
    bench_feed(b, EXCHANGE_READY);
}

#endif
