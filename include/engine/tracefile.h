/* engine/tracefile.h - a cycle in Chrome's trace-event format, for ui.perfetto.dev or chrome://tracing.
 *
 * Use:     struct tracefile *t = tracefile_begin(path, &err);
 *          tracefile_take(t, census, &event, ended);    after census_take(), with what that has ended or NULL
 *          ok = tracefile_end(t, census, &facts, &err);
 * Threads: one at a time.
 * Promise: valid JSON also if the disk is full or the trace too long (then no file, or no further events and
 *          "truncated").  On one thread of the trace spans nest and never overlap: a device with its SNMP
 *          requests and pings has a lane for itself while it is polled, scripts and batches have lanes of their own.
 * Source:  docs/trace.md.
 */
#ifndef SPINE_ENGINE_TRACEFILE_H
#define SPINE_ENGINE_TRACEFILE_H

#include "base/err.h"
#include "engine/census.h"

/* A trace ends when it has grown to this. */
enum { TRACEFILE_BYTES_MAX = 256 * 1024 * 1024 };

struct tracefile;

NODISCARD struct tracefile *tracefile_begin(const char *path, struct err *err);
void tracefile_take(struct tracefile *t, struct census *c, const struct happening *e,
                    const struct census_ask *ended);
/* Frees it, like the next one. */
NODISCARD bool tracefile_end(struct tracefile *t, const struct census *c,
                             const struct census_facts *facts, struct err *err);
void tracefile_abandon(struct tracefile *t); /* NULL allowed */

#endif
