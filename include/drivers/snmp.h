/* drivers/snmp.h - asking agents by SNMP with net-snmp, blocking.
 *
 * Why:     the only place that knows the SNMP library, and the only one that knows what in it is
 * not thread-safe. Use:     snmp_library_start(&err);                        once, before threads
 * exist struct snmp_agent *a = snmp_agent_new(&options);  one per device run snmp_agent_ask(a,
 * &request, deadline, &reply);    as often as needed snmp_agent_free(a); Threads: different agents
 * may be used by different threads at the same time, one agent by one thread at a time.
 *          snmp_give_up() from any.
 * Owns:    the reply's contents belong to the agent until its next ask or snmp_agent_free().
 * Promise: an ask takes at most time-out x (retries + 1) plus name resolution, and never longer
 * than the deadline; the session is opened once and kept while the target stays the same.  Only an
 * answer with the id, version and community of the request is taken.  No MIB and no configuration
 * file is read, nothing is written to disk. Descriptors are close-on-exec. Errors:  never fails to
 * give a reply: trouble of our own is SNMP_FAILED with a detail. Source:  contract 10, 11; RFC
 * 1157, 3416.
 */
#ifndef SPINE_DRIVERS_SNMP_H
#define SPINE_DRIVERS_SNMP_H

#include "base/compiler.h"
#include "base/err.h"
#include "model/ask.h"

#include <stdbool.h>
#include <stdint.h>

struct snmp_options {
    int retries;                /* of every request; attempts = retries + 1 (contract 10.4) */
    const char *client_address; /* local address, "" = any; must outlive the agents */
};

struct snmp_agent;

NODISCARD bool snmp_library_start(struct err *err);
void snmp_library_stop(void);
const char *snmp_library_version(void);

NODISCARD struct snmp_agent *snmp_agent_new(const struct snmp_options *options);
void snmp_agent_free(struct snmp_agent *agent); /* NULL allowed; does not block */
void snmp_agent_ask(struct snmp_agent *agent, const struct snmp_request *request,
                    int64_t deadline_mono_ms, struct snmp_reply *ret);

/* Every ask in progress and to come ends at once as timed out: the cycle is over. */
void snmp_give_up(void);

#endif
