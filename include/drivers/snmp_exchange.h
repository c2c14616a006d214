/* drivers/snmp_exchange.h - SNMP requests to one agent as a machine that never waits.
 *
 * Why:     what counts as an answer, Reports, resynchronisation, re-opening a stale session, tooBig
 *          and what causes a silence are decided here, for every way of waiting
 *          (drivers/exchange.h).
 * Use:     struct snmp_exchange *s = snmp_exchange_new(&options, &wire_sockets);
 *          snmp_exchange_begin(s, &request, now_us, deadline_us);
 *          ... serve or feed snmp_exchange_base(s) until it wants nothing ...
 *          snmp_exchange_reply(s, &reply);              and the next one
 *          snmp_exchange_free(s);
 * Threads: one at a time per exchange.  Different ones may be on different threads: what touches the
 *          library's global state is under the library's lock, which is never held while waiting
 *          (docs/snmp.md).
 * Owns:    the session, which is kept while the target stays the same.  The wire, the client address
 *          and the targets are borrowed; the request until it is over; the reply's contents belong
 *          to the exchange until the next begin.
 * Promise: the clock is that of the events.  A time-out is counted from the event that caused the
 *          sending.  begin only while nothing is wanted; free at any time but during WANT_JOB.
 */
#ifndef SPINE_DRIVERS_SNMP_EXCHANGE_H
#define SPINE_DRIVERS_SNMP_EXCHANGE_H

#include "drivers/exchange.h"
#include "drivers/snmp.h"
#include "drivers/wire.h"

/* Of one exchange since it was made. */
struct snmp_counts {
    unsigned requests;    /* asked of the library, repeats not counted */
    unsigned repeats;     /* sent again after a time-out or a lost clock */
    unsigned answers;     /* taken */
    unsigned strangers;   /* of these, from another address or port than was asked */
    unsigned ignored;     /* whole messages that were not answers: undecodable, foreign, late */
    unsigned discoveries; /* v3 engines found */
    unsigned reports;     /* v3 Reports that ended a request */
};

struct snmp_exchange;

NODISCARD struct snmp_exchange *snmp_exchange_new(const struct snmp_options *options,
                                                  const struct wire *wire);
void snmp_exchange_free(struct snmp_exchange *s); /* NULL allowed; does not block */

struct exchange *snmp_exchange_base(struct snmp_exchange *s);
void snmp_exchange_begin(struct snmp_exchange *s, const struct snmp_request *request,
                         int64_t now_us, int64_t deadline_us);
void snmp_exchange_reply(const struct snmp_exchange *s, struct snmp_reply *ret);
const struct snmp_counts *snmp_exchange_counts(const struct snmp_exchange *s);

#endif
