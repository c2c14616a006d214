/* base/clock.h - the two clocks.
 *
 * Monotonic time measures durations and deadlines; wall time stamps what is stored and shown.
 * Only drivers and the engine ask; the model gets times inside its events.
 * clock_pause_ms() is for the pause between two tries of something that does not report when it
 * changes: a server that is away, a lock of another process, processes that are to disappear.  The
 * caller's loop looks at what it waits for, and at its deadline, before and after each pause.
 * Where a descriptor, a condition or the loop can tell, that is waited for instead.
 * Threads: any.
 */
#ifndef SPINE_BASE_CLOCK_H
#define SPINE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

int64_t clock_mono_us(void);
int64_t clock_mono_ms(void);
int64_t clock_wall_us(void); /* since 1970-01-01 UTC */

/* Some milliseconds, less if a signal comes. */
void clock_pause_ms(int ms);

/* A monotonic point in time for pthread_cond_timedwait() on a CLOCK_MONOTONIC condition. */
struct timespec clock_timespec_ms(int64_t mono_ms);

#endif
