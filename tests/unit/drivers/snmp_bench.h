/* snmp_bench.h - an SNMP exchange with the real library, on a wire of the test's own: the test is
 * waiter, clock and agent. */
#ifndef SNMP_BENCH_H
#define SNMP_BENCH_H

#include "../../support/fake_wire.h"
#include "snmp_ber.h"

#include "drivers/snmp_exchange.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { MS = 1000, START_US = 7000000, TIMEOUT_MS = 100, DEADLINE_US = START_US + 60000 * MS };

static const uint32_t uptime_subs[] = {1, 3, 6, 1, 2, 1, 1, 3, 0};

/* ---- the bench ---- */

struct bench {
    struct fake_wire wire;
    struct snmp_exchange *s;
    struct exchange *x;
    int64_t now_us;
    struct address agent; /* whose answers these are */
    struct oid name;
    struct snmp_request request;
    struct snmp_reply reply;
};

static inline struct target bench_target(int version)
{
    return (struct target){.hostname = "192.0.2.1",
                           .port = 161,
                           .version = (uint8_t)version,
                           .timeout_ms = TIMEOUT_MS,
                           .community = "secret",
                           .username = "user",
                           .password = "",
                           .auth_protocol = "SHA",
                           .priv_passphrase = "",
                           .priv_protocol = "[None]",
                           .context = "",
                           .engine_id = ""};
}

static inline void bench_init_options(struct bench *b, const struct snmp_options *options)
{
    *b = (struct bench){.now_us = START_US, .agent = fake_address("192.0.2.1", 161)};
    fake_wire_init(&b->wire);
    b->s = snmp_exchange_new(options, &b->wire.wire);
    b->x = snmp_exchange_base(b->s);
}

static inline void bench_init(struct bench *b, int retries)
{
    bench_init_options(b, &(struct snmp_options){.retries = retries, .client_address = ""});
}

static inline void bench_done(struct bench *b)
{
    snmp_exchange_free(b->s);
    assert_int_equal(b->wire.closed, b->wire.opened);
}

static inline void bench_feed(struct bench *b, enum exchange_event_kind kind)
{
    exchange_feed(
        b->x, &(struct exchange_event){.kind = kind, .now_us = b->now_us, .address = &b->agent});
}

static inline void bench_begin_until(struct bench *b, const struct target *t, int64_t deadline_us)
{
    b->name = (struct oid){uptime_subs, ARRAY_LEN(uptime_subs)};
    b->request =
        (struct snmp_request){.op = SNMP_OP_GET, .target = t, .names = &b->name, .count = 1};
    snmp_exchange_begin(b->s, &b->request, b->now_us, deadline_us);
}

static inline void bench_begin(struct bench *b, const struct target *t)
{
    bench_begin_until(b, t, DEADLINE_US);
}

static inline void bench_found(struct bench *b)
{
    assert_int_equal(b->x->want.kind, WANT_ADDRESS);
    bench_feed(b, EXCHANGE_ADDRESS_FOUND);
}

static inline void bench_failed(struct bench *b, enum err_kind kind, const char *text)
{
    struct err err = ERR_INIT;
    err_set(&err, kind, "%s", text);
    assert_int_equal(b->x->want.kind, WANT_ADDRESS);
    exchange_feed(b->x, &(struct exchange_event){
                            .kind = EXCHANGE_ADDRESS_FAILED, .now_us = b->now_us, .err = &err});
}

/* A request is under way for the first time in a session, as far as a request of that target goes. */
static inline void bench_ask(struct bench *b, const struct target *t)
{
    bench_begin(b, t);
    bench_found(b);
    assert_int_equal(b->x->want.kind, WANT_IO);
    assert_int_equal(b->x->want.events, POLLIN);
}

static inline void bench_message(struct bench *b, struct bytes message)
{
    fake_wire_give(&b->wire, message.b, message.len, &b->agent, 0);
    bench_feed(b, EXCHANGE_READY);
}

static inline struct seen bench_sent(const struct bench *b, size_t index)
{
    assert_true(index < b->wire.sent_count);
    return see(b->wire.sent[index].bytes, b->wire.sent[index].len);
}

/* The right answer to that request, v1 or v2c. */
static inline struct bytes bench_reply(const struct bench *b, size_t index, int32_t value)
{
    struct seen r = bench_sent(b, index);
    return message_of(r.version, "secret", uptime_pdu(r.request_id, value));
}

/* The time that it waits for has come. */
static inline void bench_time(struct bench *b)
{
    assert_true(b->x->want.kind != WANT_NOTHING);
    b->now_us = b->x->want.until_us;
    bench_feed(b, EXCHANGE_TIME);
}

static inline void bench_waits(const struct bench *b, size_t sent)
{
    assert_int_equal(b->x->want.kind, WANT_IO);
    assert_int_equal(b->wire.sent_count, sent);
}

static inline void bench_over(struct bench *b, enum snmp_outcome outcome, const char *detail)
{
    assert_int_equal(b->x->want.kind, WANT_NOTHING);
    snmp_exchange_reply(b->s, &b->reply);
    assert_string_equal(b->reply.detail, detail);
    assert_int_equal(b->reply.outcome, outcome);
}

static inline void bench_answered(struct bench *b, uint64_t value)
{
    bench_over(b, SNMP_ANSWERED, "");
    assert_int_equal(b->reply.error_status, SNMP_ERROR_NONE);
    assert_int_equal(b->reply.count, 1);
    assert_int_equal(b->reply.varbinds[0].type, VARBIND_TIMETICKS);
    assert_int_equal(b->reply.varbinds[0].number, value);
}

/* Events that mean nothing now change nothing. */
static inline void bench_ignores(struct bench *b, const enum exchange_event_kind *kinds,
                                 size_t count)
{
    struct want before = b->x->want;
    size_t sent = b->wire.sent_count;
    for (size_t i = 0; i < count; i++) {
        bench_feed(b, kinds[i]);
        assert_int_equal(b->x->want.kind, before.kind);
        assert_int_equal(b->x->want.until_us, before.until_us);
        assert_int_equal(b->x->want.fd, before.fd);
        assert_int_equal(b->wire.sent_count, sent);
    }
}

#define BENCH_IGNORES(b, ...)                                                                      \
    do {                                                                                           \
        static const enum exchange_event_kind kinds_[] = {__VA_ARGS__};                            \
        bench_ignores(b, kinds_, ARRAY_LEN(kinds_));                                               \
    } while (0)

static inline int library_start(void **state UNUSED)
{
    return snmp_library_start(NULL) ? 0 : -1;
}

static inline int library_stop(void **state UNUSED)
{
    snmp_library_stop();
    return 0;
}

#endif
