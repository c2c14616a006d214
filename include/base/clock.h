/* base/clock.h - the two clocks.
 *
 * Monotonic time measures durations and deadlines; wall time stamps what is stored and shown.
 * Only drivers and the engine ask; the model gets times inside its events.
 * Threads: any.
 */
#ifndef SPINE_BASE_CLOCK_H
#define SPINE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

int64_t clock_mono_us(void);
int64_t clock_mono_ms(void);
int64_t clock_wall_us(void); /* since 1970-01-01 UTC */

/* A monotonic point in time for pthread_cond_timedwait() on a CLOCK_MONOTONIC condition. */
struct timespec clock_timespec_ms(int64_t mono_ms);

#endif
