/* The inside of a device run, third part: what the log says of failures.
 *
 * Rule: the log at its usual verbosity says in one line per device what does not work,
 *       why, and what to do about it. */
#ifndef SPINE_MODEL_DEVRUN_REASON_H
#define SPINE_MODEL_DEVRUN_REASON_H

#include "model/ask.h"
#include "model/devrun.h"

struct devrun;
struct agent;
struct outcome;

/* Why parts of the check have failed and what to do about it; NULL: they have not. */
struct why {
    const char *snmp, *ping;
    bool snmp_is_wrong; /* it was no time-out: waiting does not help */
};

/* An answer of the check that is no success. */
void devrun_note_snmp(struct devrun *run, const struct snmp_reply *reply);
void devrun_note_ping(struct devrun *run, const struct ping_reply *reply);
/* When the check is over; tested: it has said something about the device. */
void devrun_say_why(struct devrun *run, bool tested);

/* A request to the agent cannot work; the agent is silent.  Once for each agent. */
void devrun_say_failure(struct devrun *run, const struct target *t, const struct snmp_reply *reply);
void devrun_say_silence(struct devrun *run, const struct agent *a);

/* Why the item is U, more precisely than by its enum; costs nothing where it is not logged. */
void devrun_note_reason(struct devrun *run, size_t item, const char *fmt, ...) PRINTF(3, 4);
void devrun_note_no_value(struct devrun *run, size_t item, const char *sent);
/* In words; NULL: it has a value. */
const char *devrun_unknown_text(const struct outcome *o);
void devrun_say_unknown(struct devrun *run, size_t item); /* nothing if it has a value */

const char *devrun_error_name(long status); /* RFC 3416 section 3 */
const char *devrun_exception_name(const struct varbind *vb);

bool devrun_is_invalid(enum unknown_reason reason); /* spine_log_level reports it */

#endif
