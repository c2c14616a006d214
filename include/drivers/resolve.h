/* drivers/resolve.h - host names to addresses, once per name and run.
 *
 * Why:     ping and SNMP need the same answer, the system's resolver blocks, and the same name is
 *          asked for by many devices.
 * Use:     struct resolver *r = resolver_new();
 *          if (resolver_find(r, "router1", RESOLVE_ANY, deadline, &address, &err)) ...
 * Threads: find and give_up from any; a find blocks its caller at most until the deadline. The
 *          system's own call runs in one of at most four threads of the resolver's. Callers that
 *          want the same name share one look-up.
 * Promise: numeric addresses never block; answers, failures included, are kept until
 *          resolver_free(). IPv4 is preferred when a name has both (as net-snmp and Spine do).
 *          When nothing but silence has come back for a while (eight look-ups in a row), a caller
 *          waits for a second at most, so that a dead name server does not eat the time of the
 *          devices that have numeric addresses; the first real answer ends that. resolver_free()
 *          waits for no thread: one that hangs in the system's call is left behind and frees what
 *          it shares with us when it comes back, or never, which at the end of the process does no
 *          harm.
 * Errors:  ERR_CONFIG: there is no such name, or it has no address of that family. Anything else:
 *          nothing is known of the name (name server silent or unable, deadline, no thread). The
 *          text is the line of contract operations 5.5 without the word in front of it.
 * Source:  contract operations 5.5.
 */
#ifndef SPINE_DRIVERS_RESOLVE_H
#define SPINE_DRIVERS_RESOLVE_H

#include "base/compiler.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct resolver;

enum resolve_family { RESOLVE_ANY, RESOLVE_V4, RESOLVE_V6 };

struct address {
    struct sockaddr_storage sa; /* port 0 */
    socklen_t len;
};

NODISCARD struct resolver *resolver_new(void);
void resolver_free(struct resolver *r); /* no find may be running; NULL allowed */
NODISCARD bool resolver_find(struct resolver *r, const char *name, enum resolve_family family,
                             int64_t deadline_mono_ms, struct address *ret, struct err *err);

/* Every find in progress ends at once, and those to come give only what is already known. */
void resolver_give_up(struct resolver *r);

/* The host part of a stored hostname: transport prefix, brackets and port taken off (contract
 * operations 5.5). *ret_family tells what the prefix demands.  The result is to be freed. */
NODISCARD char *resolve_host_part(const char *hostname, enum resolve_family *ret_family);

#endif
