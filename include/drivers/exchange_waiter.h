/* drivers/exchange_waiter.h - waits for an exchange on an event loop, without a thread of its own.
 *
 * Why:     thousands of exchanges wait at the same time at the price of some hundred bytes each; the
 *          rules are those of the machines (drivers/exchange.h), which do not know who waits.
 * Use:     exchange_waiter_init(&w, &on, over, arg);
 *          s = snmp_exchange_new(&options, exchange_waiter_wire(&w));
 *          snmp_exchange_begin(s, &request, now_us, deadline_us);
 *          exchange_waiter_start(&w, snmp_exchange_base(s));            over(arg) comes once
 *          ... the same again, or another exchange ...
 *          snmp_exchange_free(s);
 *          exchange_waiter_done(&w);
 * Threads: the loop's, but for exchange_waiter_nudge() and the functions of the wire, which are for
 *          one thread at a time.
 * Limits:  one direction of a descriptor at a time: POLLIN, or POLLOUT.  An exchange closes descriptors
 *          by its wire alone, because the waiter goes on watching them between two requests.
 * Owns:    nothing.  The loop, the resolver and the pool are borrowed and outlive the waiter; an
 *          exchange and all that was made with the waiter's wire go before it.
 * Promise: over() is called once for each start, on the loop's thread and never from within a call
 *          of the waiter; afterwards the waiter may be started again, by over() itself, too.
 *          What has arrived is read before a time-out is judged, so that a loop that is late makes
 *          no device silent.  A job runs on the pool; it is waited for, whatever is given up.
 */
#ifndef SPINE_DRIVERS_EXCHANGE_WAITER_H
#define SPINE_DRIVERS_EXCHANGE_WAITER_H

#include "core/loop.h"
#include "core/pool.h"
#include "drivers/exchange.h"
#include "drivers/wire.h"

#include <stdatomic.h>
#include <stdbool.h>

/* What waiting is done with. */
struct exchange_waiter_on {
    struct loop *loop;
    struct resolver *resolver;
    struct pool *jobs; /* on that loop */
};

/* The members are private. */
struct exchange_waiter {
    const struct exchange_waiter_on *on;
    loop_fn *over;
    void *arg;
    struct exchange *x; /* NULL: none has been started, or it is over */
    struct wire wire;

    struct loop_watch watch; /* of fd; it outlives a want, because the next one is often the same */
    int fd;
    short events;
    struct loop_timer timer;
    struct resolver_query query;
    struct loop_letter letter; /* from the resolver, or from who nudges */
    atomic_bool nudged;        /* any thread: the letter is on its way */
    bool naming, working;      /* the query, the job is in progress */
    bool starting;             /* over() must wait for the loop */
};

void exchange_waiter_init(struct exchange_waiter *w, const struct exchange_waiter_on *on,
                          loop_fn *over, void *arg);
/* Nothing is started, and what was made with the wire has been freed. */
void exchange_waiter_done(struct exchange_waiter *w);
/* The system's sockets, for exchanges of this waiter: the wire reports a close to it. */
const struct wire *exchange_waiter_wire(const struct exchange_waiter *w);

/* The exchange has begun a request. */
void exchange_waiter_start(struct exchange_waiter *w, struct exchange *x);
/* true: the exchange is over, and over() will not be called.  false: a job is running, over() is
 * called when it has returned. */
NODISCARD bool exchange_waiter_give_up(struct exchange_waiter *w);

/* From any thread, while the exchange is not over: it is fed EXCHANGE_READY soon, once for several
 * nudges.  The thread that receives ICMP replies calls it. */
void exchange_waiter_nudge(struct exchange_waiter *w);

#endif
