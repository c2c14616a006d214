/* drivers/resolve.h - host names to addresses, looked up once and kept for a while.
 *
 * Why:     ping and SNMP need the same answer, the system's resolver blocks, and the same name is
 *          asked for by many devices.
 * Use:     struct resolver *r = resolver_new();
 *          if (resolver_find(r, "router1", RESOLVE_ANY, deadline, give_up, &address, &err)) ...
 *          On an event loop, which must not wait:
 *          switch (resolver_ask(r, "router1", RESOLVE_ANY, &owner->query, &address, &err)) ...
 * Threads: find, ask, late and forget from any.  find blocks its caller at most until the deadline,
 *          or until the give-up object that it is passed is set.  The system's own call runs in one
 *          of at most four threads of the resolver's.  Callers that want the same name share one
 *          look-up.
 * Promise: numeric addresses never block.  An address is kept for RESOLVE_KEEP_MS, a failure for
 *          RESOLVE_KEEP_FAILURE_MS; then the next caller starts a new look-up.  IPv4 is preferred
 *          when a name has both (as net-snmp and Spine do).  When eight look-ups in a row have
 *          brought no real answer, a caller waits for a second at most, so that a dead name server
 *          does not eat the time of the devices that have numeric addresses; the first real answer
 *          ends that.  Giving up ends the waits of the callers that passed the object; the look-up
 *          itself goes on, and the waits of others with it.  resolver_free() does not wait for the
 *          system: a thread that is in its call is abandoned (core/lease).
 * Errors:  ERR_CONFIG: there is no such name, or it has no address of that family. Anything else:
 *          nothing is known of the name (name server silent or unable, deadline, given up, no
 *          thread). The text is Cacti's log line about it without the word in front.
 *          In a process that polls cycle after cycle, resolver_new_cycle() has failures, and addresses at which a
 *          device was silent (resolver_doubt()), looked up again when they are asked for next.
 * Limits:  RESOLVE_NAMES_MAX names of some hundred bytes are kept; for one more the one goes that was asked for
 *          longest ago.
 */
#ifndef SPINE_DRIVERS_RESOLVE_H
#define SPINE_DRIVERS_RESOLVE_H

#include "base/compiler.h"
#include "base/err.h"
#include "base/give_up.h"
#include "base/memo.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

struct resolver;

enum {
    RESOLVE_KEEP_MS = 5 * 60 * 1000,
    RESOLVE_KEEP_FAILURE_MS = 30 * 1000,
    RESOLVE_NAMES_MAX = 16384,
};

enum resolve_family { RESOLVE_ANY, RESOLVE_V4, RESOLVE_V6 };

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } sa; /* port 0; a sockaddr_storage takes four times the room */
    socklen_t len;
};

NODISCARD struct resolver *resolver_new(void);
void resolver_free(struct resolver *r); /* no find may be running; NULL allowed */
void resolver_new_cycle(struct resolver *r);
/* Nothing has answered at what this stored hostname means; its address may be another one by now. */
void resolver_doubt(struct resolver *r, const char *hostname);

/* A miss is a look-up; aged: an address was too old; wrong: a failure, or an address without an answer, was looked up
 * again. */
struct memo_figures resolver_figures(struct resolver *r);

NODISCARD bool resolver_find(struct resolver *r, const char *name, enum resolve_family family,
                             int64_t deadline_mono_ms, struct give_up *give_up, struct address *ret,
                             struct err *err); /* give_up may be NULL */

/* A question whose answer is not waited for.  The members but `told` and `arg` are private. */
struct resolver_query {
    TAILQ_ENTRY(resolver_query) next;
    void (*told)(void *arg); /* there is an answer: ask again.  Under the resolver's lock, on a
                              * thread of its own; it posts a message and does nothing else */
    void *arg;
    struct lookup *lookup; /* NULL: none is in progress */
    int64_t since_mono_ms;
    int64_t until_mono_ms; /* waiting longer than that is no use */
};

enum resolve_now { RESOLVE_FOUND, RESOLVE_FAILED, RESOLVE_LATER };

/* Does not wait.  RESOLVE_LATER: told() is called once, unless the query is forgotten before. */
NODISCARD enum resolve_now resolver_ask(struct resolver *r, const char *name,
                                        enum resolve_family family, struct resolver_query *query,
                                        struct address *ret, struct err *err);
/* The time that the caller has for it is over: forgets the query.  After a second without
 * an answer no caller waits for that name for a while.  false: told() has been called already,
 * there is an answer. */
NODISCARD bool resolver_late(struct resolver *r, struct resolver_query *query, struct err *err);
/* told() is no longer called when this returns.  Idempotent; a zeroed query may be forgotten. */
void resolver_forget(struct resolver *r, struct resolver_query *query);

/* The host part of a stored hostname: transport prefix, brackets and port taken off. *ret_family tells what the prefix demands.  The result is to be freed. */
NODISCARD char *resolve_host_part(const char *hostname, enum resolve_family *ret_family);

#endif
