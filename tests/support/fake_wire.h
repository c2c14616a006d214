/* fake_wire.h - a wire without a socket: what is sent is kept, what comes in is what the test gives.
 *
 * Use:     struct fake_wire f;  fake_wire_init(&f);  ... &f.wire ...
 *          fake_wire_give(&f, bytes, len, &from);   the next receive
 *          f.fail_send = ENOBUFS;                   until it is 0 again
 *          f.fail_once = EHOSTUNREACH;              of the next send alone
 *          fake_wire_report(&f, bytes, len, &report);   the next returned message
 */
#ifndef FAKE_WIRE_H
#define FAKE_WIRE_H

#include "base/compiler.h"
#include "base/mem.h"
#include "drivers/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum { FAKE_WIRE_KEPT = 64, FAKE_WIRE_BYTES = 1500, FAKE_WIRE_FIRST_FD = 5000 };

struct fake_message {
    uint8_t bytes[FAKE_WIRE_BYTES];
    size_t len;
    struct address address; /* to or from */
    int number;             /* errno instead of a message */
};

struct fake_report {
    uint8_t bytes[FAKE_WIRE_BYTES];
    size_t len;
    struct wire_report report;
};

struct fake_wire {
    struct wire wire;
    int fail_open, fail_bind, fail_connect, fail_send; /* errno, 0: works */
    int fail_once;                                     /* errno of the next send alone */
    int error;                                         /* of a connect in progress */
    int next_fd, last_fd, opened, closed, bound;
    int type; /* of the last socket */
    struct fake_message sent[FAKE_WIRE_KEPT], incoming[FAKE_WIRE_KEPT];
    size_t sent_count, incoming_count, taken;
    struct fake_report reports[FAKE_WIRE_KEPT];
    size_t report_count, reports_taken;
    int64_t now_us, receive_us; /* the clock, and by how much it goes on with each message */
};

static inline int fake_wire_open(void *arg, int family UNUSED, int type)
{
    struct fake_wire *f = arg;
    if (f->fail_open != 0)
        return -f->fail_open;
    f->opened++;
    f->type = type;
    return f->last_fd = f->next_fd++;
}

static inline int fake_wire_bind(void *arg, int fd UNUSED, const struct address *local UNUSED)
{
    struct fake_wire *f = arg;
    f->bound++;
    return -f->fail_bind;
}

static inline int fake_wire_connect(void *arg, int fd UNUSED, const struct address *to UNUSED)
{
    return -((struct fake_wire *)arg)->fail_connect;
}

static inline int fake_wire_error(void *arg, int fd UNUSED)
{
    return -((struct fake_wire *)arg)->error;
}

static inline ssize_t fake_wire_send(void *arg, int fd UNUSED, const void *bytes, size_t len,
                                     const struct address *to)
{
    struct fake_wire *f = arg;
    int number = f->fail_once != 0 ? f->fail_once : f->fail_send;
    f->fail_once = 0;
    if (number != 0)
        return -number;
    CHECK(f->sent_count < FAKE_WIRE_KEPT && len <= FAKE_WIRE_BYTES);
    struct fake_message *m = &f->sent[f->sent_count++];
    *m = (struct fake_message){.len = len};
    memcpy(m->bytes, bytes, len);
    if (to != NULL)
        m->address = *to;
    return (ssize_t)len;
}

static inline ssize_t fake_wire_receive(void *arg, int fd UNUSED, void *bytes, size_t size,
                                        struct address *ret_from)
{
    struct fake_wire *f = arg;
    if (f->taken == f->incoming_count)
        return -EAGAIN;
    const struct fake_message *m = &f->incoming[f->taken++];
    f->now_us += f->receive_us;
    if (ret_from != NULL)
        *ret_from = m->address;
    size_t len = m->len < size ? m->len : size;
    memcpy(bytes, m->bytes, len);
    return m->number != 0 ? -m->number : (ssize_t)len;
}

static inline ssize_t fake_wire_receive_report(void *arg, int fd UNUSED, void *bytes, size_t size,
                                               struct wire_report *ret)
{
    struct fake_wire *f = arg;
    if (f->reports_taken == f->report_count)
        return -EAGAIN;
    const struct fake_report *r = &f->reports[f->reports_taken++];
    *ret = r->report;
    size_t len = r->len < size ? r->len : size;
    memcpy(bytes, r->bytes, len);
    return (ssize_t)len;
}

static inline void fake_wire_close(void *arg, int fd UNUSED)
{
    ((struct fake_wire *)arg)->closed++;
}

static inline int64_t fake_wire_now_us(void *arg)
{
    return ((struct fake_wire *)arg)->now_us;
}

static inline void fake_wire_init(struct fake_wire *f)
{
    memset(f, 0, sizeof(*f));
    f->next_fd = FAKE_WIRE_FIRST_FD;
    f->wire = (struct wire){
        .open = fake_wire_open,
        .bind = fake_wire_bind,
        .connect = fake_wire_connect,
        .error = fake_wire_error,
        .send = fake_wire_send,
        .receive = fake_wire_receive,
        .receive_report = fake_wire_receive_report,
        .close = fake_wire_close,
        .now_us = fake_wire_now_us,
        .arg = f,
    };
}

/* number: an errno instead of bytes. */
static inline void fake_wire_give(struct fake_wire *f, const void *bytes, size_t len,
                                  const struct address *from, int number)
{
    CHECK(f->incoming_count < FAKE_WIRE_KEPT && len <= FAKE_WIRE_BYTES);
    struct fake_message *m = &f->incoming[f->incoming_count++];
    *m = (struct fake_message){.len = len, .number = number};
    if (len > 0)
        memcpy(m->bytes, bytes, len);
    if (from != NULL)
        m->address = *from;
}

static inline void fake_wire_report(struct fake_wire *f, const void *bytes, size_t len,
                                    const struct wire_report *report)
{
    CHECK(f->report_count < FAKE_WIRE_KEPT && len <= FAKE_WIRE_BYTES);
    struct fake_report *r = &f->reports[f->report_count++];
    *r = (struct fake_report){.len = len, .report = *report};
    memcpy(r->bytes, bytes, len);
}

static inline struct address fake_address(const char *text, uint16_t port)
{
    struct address a = {0};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        a.sa.v6 = v6;
        a.len = sizeof(v6);
    } else {
        CHECK(inet_pton(AF_INET, text, &v4.sin_addr) == 1);
        a.sa.v4 = v4;
        a.len = sizeof(v4);
    }
    wire_set_port(&a, port);
    return a;
}

#endif
