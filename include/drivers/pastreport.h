/* drivers/pastreport.h - the history in the report of an earlier cycle (Report_File).
 *
 * Use:     struct pastreport past = {0};
 *          if (!pastreport_read(path, &past, &err)) ...       it is empty then
 *          pastreport_done(&past);
 * Threads: one at a time.
 * Owns:    its devices and their names, until pastreport_done().
 * Promise: no file, an unreadable one and one with anything else in it than engine/report writes give an empty
 *          history.  Reading needs jansson; without it there is never a history.
 * Source:  docs/report.md.
 */
#ifndef SPINE_DRIVERS_PASTREPORT_H
#define SPINE_DRIVERS_PASTREPORT_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PAST_CYCLES = 24,          /* the newest are kept */
    PAST_DEVICES_MAX = 20000,  /* with something to tell */
    PAST_BYTES_MAX = 64 << 20, /* of a report that is read */
    PAST_REPORT = 1,           /* the number of its form */
};

struct past_cycle {
    int64_t started_us, duration_us; /* of the Unix epoch */
    int64_t devices, down, unknown, status;
};

/* One character for each cycle, the oldest first.  states: '.' nothing to tell, 'd' down, 'x' not polled to
 * the end, 'A' and following: U, mostly for the reason of this number, 'A' is 1.  slow: '0' or '1'. */
struct past_device {
    uint32_t id;
    const char *hostname;
    char states[PAST_CYCLES + 1], slow[PAST_CYCLES + 1];
};

struct pastreport {
    int64_t poller, first;
    struct past_cycle cycles[PAST_CYCLES];
    size_t cycle_count;
    struct past_device *devices; /* by id */
    size_t device_count;
    struct arena memory;
};

bool pastreport_is_built(void);
/* true without a file, too.  false: err says why there is no history. */
NODISCARD bool pastreport_read(const char *path, struct pastreport *ret, struct err *err);
void pastreport_done(struct pastreport *past);

#endif
