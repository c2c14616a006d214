/* engine/budget.h - how the time of a cycle is divided.
 *
 * Why:     poller.php gives up 2 s before the next cycle is due; results in memory and an open row
 *          then are lost work and a false alarm.  One set of points in time, made once from the
 *          start of the process, caps every wait.
 * Use:     struct budget b = budget_make(started_mono_ms, 300);
 * Threads: any; pure.
 * Promise: poll_until < store_until < close_until < end_by < stale_from, whatever the interval.
 * Source:  docs/contract.md 20.1; docs/operations.md.
 */
#ifndef SPINE_ENGINE_BUDGET_H
#define SPINE_ENGINE_BUDGET_H

#include <stdint.h>

/* Monotonic milliseconds. */
struct budget {
    int64_t poll_until;  /* soft stop: no device is begun, asks are given up */
    int64_t store_until; /* hard stop: everything is stored and the row closed; half a second or
                            more before poller.php gives up (from an interval of 10 s on) */
    int64_t close_until; /* a database that does not answer is no longer waited for, not even to
                            close the row; before poller.php gives up, too */
    int64_t end_by;      /* the watchdog ends what has not ended by itself */
    int64_t stale_from;  /* the next cycle has begun: results of this one are no longer stored */
    int64_t agent_ms; /* no time but a length: what one SNMP agent may take of the polling.  With a
                            third of it, as many endless agents as there are polling threads leave
                            time for the others. */
};

/* The shortest interval that Cacti offers. */
enum { BUDGET_SHORTEST_S = 10 };

/* After a stop signal the database has BUDGET_HURRY_MS to take what is complete, and closing the row
 * BUDGET_CLOSE_MS more.  Asks that were given up are waited for BUDGET_PATIENCE_MS at most; the writer
 * until BUDGET_RESCUE_MS before the watchdog ends the process, so that the row can be closed without it. */
enum {
    BUDGET_HURRY_MS = 3000,
    BUDGET_CLOSE_MS = 2000,
    BUDGET_PATIENCE_MS = 1000,
    BUDGET_RESCUE_MS = 750,
};

struct budget budget_make(int64_t started_mono_ms, int interval_s);

#endif
