/* fake_clock.h - the clock of base/clock, which a scenario can put forward.
 *
 * Why:     "what is complete when the time is over" needs the time to be over when something is complete,
 *          however fast the machine is.
 * Use:     fake_clock_jump(cycle->budget.poll_until);
 * Threads: any.
 * Promise: the clock runs as the real one and never goes back.  A wait that has begun before a jump lasts
 *          as long as it would have without it: the code that jumps must wake the threads that are
 *          to notice.
 */
#ifndef FAKE_CLOCK_H
#define FAKE_CLOCK_H

#include <stdint.h>

void fake_clock_jump(int64_t mono_ms);

#endif
