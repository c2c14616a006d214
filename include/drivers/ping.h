/* drivers/ping.h - checks whether a device answers: ICMP echo, UDP, TCP; IPv4 and IPv6; blocking.
 *
 * Why:     a worker thread asks one ping at a time; the rules are those of the machine behind it
 *          (drivers/ping_exchange.h).
 * Use:     struct ping_sockets s = ping_open_sockets();      the very first action of the program
 *          privilege_drop();                                 then never again (drivers/privilege.h)
 *          struct pinger *p = pinger_new(&s, resolver, &err);
 *          pinger_ask(p, &request, deadline, give_up, &reply);
 *          pinger_free(p);                                   when no ask is running
 * Threads: ask from any number of threads at once, it blocks its caller.  One thread of the
 *          pinger's own, started by the first ICMP check, reads the ICMP sockets.
 * Owns:    the sockets, as soon as pinger_new() has succeeded; reply.text is constant.  The
 *          resolver and the give-up objects are borrowed.
 * Promise: N retries = N + 1 attempts of exactly timeout_ms each, measured from each attempt's own
 *          start; ICMP replies are matched by source, id, sequence and payload, anything else is
 *          ignored and nothing is ever resent early; one shared socket per family, demultiplexed;
 *          a late reply to an earlier attempt counts while the check is running. UDP: any datagram
 *          and "port unreachable" are an answer. TCP: a connection and a refusal are. An error
 *          that the network reports (unreachable) makes the attempt a failure, but not a shorter
 *          one; by ICMP it is named, and ends the ping if it is about the last attempt. Time-outs and
 *          retries out of range are what model/avail says. Names are waited for PING_RESOLVE_MS at
 *          most, on top of the attempts. ICMP without a socket of the address's family is UDP to request.port (reply.fell_back).
 * Errors:  no descriptor, no right, no buffer, no name server, out of time (deadline, the give-up
 *          object that was passed): PING_IMPOSSIBLE, never "down". A name that does not exist is
 *          data and means down.
 * Source:  RFC 792, 4443.
 */
#ifndef SPINE_DRIVERS_PING_H
#define SPINE_DRIVERS_PING_H

#include "base/give_up.h"
#include "drivers/resolve.h"
#include "model/ask.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PING_RESOLVE_MS = 10000,
};

enum ping_socket_kind { PING_SOCKET_NONE, PING_SOCKET_DATAGRAM, PING_SOCKET_RAW };

struct ping_sockets {
    int fd4, fd6; /* -1 = none */
    enum ping_socket_kind kind4, kind6;
    int errno4, errno6; /* why there is none */
};

struct pinger;

/* Unprivileged datagram sockets first, then raw ones; close-on-exec, non-blocking.  Never fails. */
struct ping_sockets ping_open_sockets(void);

/* One line that says which sockets are in use, or what to do to get one: to be logged once.
 * Constant. */
const char *ping_sockets_text(const struct ping_sockets *s);

NODISCARD struct pinger *pinger_new(const struct ping_sockets *s, struct resolver *resolver,
                                    struct err *err);
void pinger_free(struct pinger *p); /* NULL allowed */
void pinger_ask(struct pinger *p, const struct ping_request *request, int64_t deadline_mono_ms,
                struct give_up *give_up, struct ping_reply *ret); /* give_up may be NULL */

/* The machine behind it (drivers/ping_exchange.h), on the pinger's ICMP sockets, for who waits by other
 * means; it goes before the pinger.  NULL: it cannot be asked, *ret says why. */
struct ping_exchange;
struct wire;
NODISCARD struct ping_exchange *pinger_open(struct pinger *p, const struct ping_request *request,
                                            const struct wire *wire, void (*woken)(void *arg),
                                            void *arg, struct ping_reply *ret);

#endif
