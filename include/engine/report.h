/* engine/report.h - the cycle as JSON for scripts and people: the slowest devices and where their time went, the
 * failing ones and why, and patterns over the last cycles.
 *
 * Use:     report_print(census, &facts, &past, &text);       past is changed: the cycle is added to it
 * Threads: any; pure.
 * Promise: valid against docs/report.schema.json.  Bounded: REPORT_SLOWEST and REPORT_FAILING devices, REPORT_PATTERNS
 *          patterns, and the history of drivers/pastreport.
 * Source:  docs/report.md.
 */
#ifndef SPINE_ENGINE_REPORT_H
#define SPINE_ENGINE_REPORT_H

#include "base/buf.h"
#include "drivers/pastreport.h"
#include "engine/census.h"

enum {
    REPORT_SLOWEST = 50,
    REPORT_FAILING = 1000,
    REPORT_PATTERNS = 1000,
    REPORT_RUN = 3,           /* cycles in a row that make a pattern */
    REPORT_FLAPS = 3,         /* changes between down and not down that make a device flap */
    REPORT_SLOW_US = 1000000, /* no device is slow below this */
    REPORT_SLOW_TIMES = 3,    /* nor below this multiple of the median */
};

void report_print(const struct census *c, const struct census_facts *facts, struct pastreport *past,
                  struct buf *out);

/* The history with the cycle in it; a history of another poller or range is dropped before. */
void report_add_cycle(struct pastreport *past, const struct census *c,
                      const struct census_facts *facts, uint32_t slow_from_us);
/* "patterns" and "history" into an open object. */
void report_put_history(const struct pastreport *past, struct buf *out);

#endif
