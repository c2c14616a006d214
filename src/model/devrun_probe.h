/* The inside of a device run, third part: a few objects that are asked for together, such as the system
 * information and the uptime (devrun_probe.c). */
#ifndef SPINE_MODEL_DEVRUN_PROBE_H
#define SPINE_MODEL_DEVRUN_PROBE_H

#include "model/ask.h"
#include "model/varbind.h"

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct devrun;

void devrun_probe_begin(struct devrun *run);
void devrun_probe_add(struct devrun *run, struct oid name);
/* The same for the engine time: silence about it says nothing about the device. */
void devrun_probe_add_optional(struct devrun *run, struct oid name);
bool devrun_probe_ask(struct devrun *run); /* false: nothing is pending */
void devrun_probe_take(struct devrun *run, const struct snmp_reply *reply);
bool devrun_probe_missing(const struct devrun *run, size_t slot);
const char *devrun_probe_text(const struct devrun *run, size_t slot); /* NULL: no result */
/* How long the agent has been up, in 1/100 s; false: not known.  The engine time wins, because
 * sysUpTime wraps; what is not a positive number (a text, NULL, an error, always 0) is not a clock.
 * */
bool devrun_probe_uptime(const struct devrun *run, size_t uptime, size_t engine,
                         int64_t *ret_ticks);
void devrun_probe_done(struct devrun *run);
/* Cacti's text of a system or re-index value: quotes and backslashes inside escaped, trimmed
 * (docs/contract.md 10.3, 11.3). */
void devrun_probe_value(const struct varbind *vb, struct buf *out);

#endif
