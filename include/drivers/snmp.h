/* drivers/snmp.h - asking agents by SNMP v1, v2c and v3 with net-snmp, blocking.
 *
 * Why:     a worker thread asks one request at a time; the rules are those of the machine behind it
 *          (drivers/snmp_exchange.h).  The files of this driver are the only ones that know the SNMP
 *          library, and what in it is not thread-safe (docs/adr/0004, docs/snmp.md).
 * Use:     snmp_library_start(&err);                          once, before threads exist
 *          struct snmp_agent *a = snmp_agent_new(&options);   one per device run
 *          snmp_agent_ask(a, &request, deadline, &reply);     as often as needed
 *          snmp_agent_free(a);
 * Threads: different agents may be used by different threads at the same time, one agent by one
 *          thread at a time.
 * Owns:    the reply's contents belong to the agent until its next ask or snmp_agent_free().  The
 *          resolver, the give-up object and the targets are borrowed and must outlive the agents.
 * Promise: an ask takes at most its patience, which is time-out x (retries + 1); twice that when a
 *          v3 session is opened (the agent's engine must be found first); once more for the
 *          connection of a stream; plus SNMP_RESOLVE_MS each for the name and for the client
 *          address.  When a session that has served turns out to be stale (the agent has closed the
 *          stream, or is another engine than at the last answer), one patience may be gone by then,
 *          and all of this begins once more.  It never takes longer than the deadline.
 *          When the give-up object is set, every ask that borrows it, in progress or to come, ends
 *          at once as timed out.  The session is opened once and kept while the target stays the
 *          same.  Repeats keep the request id.  Only an answer with the id, version and community
 *          (v1, v2c) or valid authentication (v3) of the request is taken.  Credentials and engine
 *          times of one agent never touch those of another, also if both claim one engine id.  No
 *          MIB and no configuration file is read, nothing is written to disk.  Descriptors are
 *          close-on-exec from birth and may be beyond 1023.
 * Errors:  never fails to give a reply; `detail` says why there is no answer.
 *          SNMP_TIMED_OUT: silence, or a network that says "unreachable" or "refused".
 *          SNMP_REFUSED: a v3 Report; the detail names it.
 *          SNMP_FAILED: wrong parameters, a name that does not exist.
 *          SNMP_IMPOSSIBLE: a failure of this machine: descriptors, buffers, memory, rights, local
 *          address, name server.  A connection that is under way can only fail for the network.
 *          A request that does not fit into a message is answered here: error status tooBig,
 *          index 0.
 * Source:  RFC 1157, 3414, 3416, 3826, 7860.
 */
#ifndef SPINE_DRIVERS_SNMP_H
#define SPINE_DRIVERS_SNMP_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/give_up.h"
#include "base/memo.h"
#include "drivers/resolve.h"
#include "model/ask.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SNMP_RESOLVE_MS = 10000,
    SNMP_RETRIES_MAX = 100,
};

struct snmp_options {
    int retries;                /* of every request; attempts = retries + 1 */
    const char *client_address; /* local address, "" = any; for targets of its family only */
    struct resolver *resolver;
    struct give_up *give_up; /* NULL: never */
    struct memo
        *engines; /* of snmp_engines_new(): what agents have told before; NULL: nothing is kept */
};

struct snmp_agent;

NODISCARD bool snmp_library_start(struct err *err);
/* The part of the start that takes milliseconds, once: called by the first agent, or before, by a thread that has time. */
void snmp_library_warm(void);
void snmp_library_stop(void); /* when no agent is left */
const char *snmp_library_version(void);
/* The SNMPv3 protocols that Cacti can name and the library has, after the start of the library: "MD5 SHA ..." */
void snmp_library_protocols(struct buf *auth, struct buf *priv);

/* Engine id, boots and time of v3 agents, from one session to the next: a session begins with the request that it is for, and
 * not with a search for the engine.  What is kept belongs to one address, port, host name, user, context and context engine.  An
 * agent that says anything else than an answer to such a request, or is silent, has its engine looked for at once; that
 * costs one message more than without, and within the same time. */
NODISCARD struct memo *snmp_engines_new(void);
/* Of the keys made from pass phrases, which the process keeps for a day after their last use. */
struct memo_figures snmp_key_figures(void);

NODISCARD struct snmp_agent *snmp_agent_new(const struct snmp_options *options);
void snmp_agent_free(struct snmp_agent *agent); /* NULL allowed; does not block */
void snmp_agent_ask(struct snmp_agent *agent, const struct snmp_request *request,
                    int64_t deadline_mono_ms, struct snmp_reply *ret);

#endif
