/* drivers/exchange.h - the interface between a machine that asks a device and its waiter.
 *
 * Why:     an exchange (one SNMP request, one ping) knows its rules but never waits: it says what
 *          it waits for and is fed.  A worker waits in poll(2), an event loop with its own means;
 *          the rules are written once.
 * Use:     snmp_exchange_begin(s, &request, now, deadline);      or ping_exchange_begin()
 *          while (x->want.kind != WANT_NOTHING)
 *              exchange_serve(x, resolver, give_up);             or feed it otherwise
 *          snmp_exchange_reply(s, &reply);
 * Threads: one thread at a time per exchange; a job of WANT_JOB on any thread meanwhile.
 * Promise: one event is fed for each want at the least: what was wanted, EXCHANGE_TIME not before
 *          until_us, or EXCHANGE_GIVE_UP.  After EXCHANGE_TIME or EXCHANGE_GIVE_UP the earlier want
 *          is void: the answer of a look-up that comes later is not fed.  A job that has begun is
 *          never void: EXCHANGE_JOB_DONE is fed for it, also after EXCHANGE_GIVE_UP.  An event that
 *          means nothing in the present state changes nothing: EXCHANGE_TIME before until_us, and
 *          EXCHANGE_READY of a descriptor that is not ready, as each machine looks for itself.  All
 *          times are monotonic; the machines never look at a clock.
 */
#ifndef SPINE_DRIVERS_EXCHANGE_H
#define SPINE_DRIVERS_EXCHANGE_H

#include "base/err.h"
#include "base/give_up.h"
#include "drivers/resolve.h"

#include <stdint.h>

enum want_kind {
    WANT_NOTHING, /* it is over: the reply is there */
    WANT_ADDRESS, /* the address of `name`, of that family */
    WANT_JOB,     /* job(arg) run once, on any thread; takes milliseconds of processor time */
    WANT_IO,      /* `events` of poll(2) on fd */
    WANT_TIME,    /* only until_us */
};

struct want {
    enum want_kind kind;
    int64_t until_us; /* INT64_MAX: no limit */
    const char *name; /* valid until the next event */
    enum resolve_family family;
    void (*job)(void *arg);
    void *arg;
    int fd;
    short events;
};

enum exchange_event_kind {
    EXCHANGE_ADDRESS_FOUND,
    EXCHANGE_ADDRESS_FAILED,
    EXCHANGE_JOB_DONE,
    EXCHANGE_READY, /* the descriptor; for a ping on a shared socket: its reply is there */
    EXCHANGE_TIME,
    EXCHANGE_GIVE_UP,
    EXCHANGE_EVENT_KINDS
};

struct exchange_event {
    enum exchange_event_kind kind;
    int64_t now_us;
    const struct address *address; /* EXCHANGE_ADDRESS_FOUND */
    const struct err *err;         /* EXCHANGE_ADDRESS_FAILED; ERR_CONFIG: the name is wrong */
};

/* What every machine begins with. */
struct exchange {
    struct want want; /* read by the waiter, written by the machine */
    void (*take)(struct exchange *x, const struct exchange_event *event);
};

static inline void exchange_feed(struct exchange *x, const struct exchange_event *event)
{
    x->take(x, event);
}

/* Waits, blocking, for what it wants and feeds it.  give_up may be NULL. */
void exchange_serve(struct exchange *x, struct resolver *resolver, struct give_up *give_up);

#endif
