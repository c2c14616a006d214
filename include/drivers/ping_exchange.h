/* drivers/ping_exchange.h - one ping as a machine that never waits.
 *
 * Why:     attempts, time-outs, what counts as a sign of life and what causes a failure are decided
 *          here, for every way of waiting (drivers/exchange.h).
 * Use:     struct ping_exchange *p = ping_exchange_new(icmp, &wire_sockets, woken, arg);
 *          ping_exchange_begin(p, &request, now_us, deadline_us);
 *          ... serve or feed ping_exchange_base(p) until it wants nothing ...
 *          reply = *ping_exchange_reply(p);             and the next one
 *          ping_exchange_free(p);
 * Threads: one at a time per exchange.  `woken` is called by the thread that reads the ICMP
 *          sockets, under the lock of `icmp`, when an echo reply for this exchange has come: it
 *          wakes the thread that feeds the exchange (with EXCHANGE_READY) and does nothing else.
 * Owns:    its UDP or TCP socket.  The ICMP half and the wire are borrowed, the request until it is
 *          over; the reply until the next begin.
 * Promise: the clock is that of the events; an attempt ends at its own time-out, counted from the
 *          event that began it, or with a sign of life.
 */
#ifndef SPINE_DRIVERS_PING_EXCHANGE_H
#define SPINE_DRIVERS_PING_EXCHANGE_H

#include "drivers/exchange.h"
#include "drivers/ping.h"
#include "drivers/wire.h"

struct ping_exchange;
struct ping_icmp;

NODISCARD struct ping_exchange *ping_exchange_new(struct ping_icmp *icmp, const struct wire *wire,
                                                  void (*woken)(void *arg), void *arg);
void ping_exchange_free(struct ping_exchange *p); /* NULL allowed; does not block */

struct exchange *ping_exchange_base(struct ping_exchange *p);
void ping_exchange_begin(struct ping_exchange *p, const struct ping_request *request,
                         int64_t now_us, int64_t deadline_us);
const struct ping_reply *ping_exchange_reply(const struct ping_exchange *p);

#endif
