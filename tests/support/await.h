/* Waits of tests have a deadline that is far away: what has not happened by then never does.  Such a test
 * ends with what it waited for, and does not hang.  Usable on any thread, and where a hang is shown by
 * something else than a condition, too: AWAIT_FAR_MS. */
#ifndef SPINE_TESTS_AWAIT_H
#define SPINE_TESTS_AWAIT_H

#include "base/clock.h"
#include "base/thr.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { AWAIT_FAR_MS = 60000 };

static inline int64_t await_far(void)
{
    return clock_mono_ms() + AWAIT_FAR_MS;
}

/* One wait of a loop that looks at its condition. */
static inline void await_change(pthread_cond_t *changed, struct thr_mutex *lock, int64_t until_ms,
                                const char *what) REQUIRES(*lock);

static inline void await_change(pthread_cond_t *changed, struct thr_mutex *lock, int64_t until_ms,
                                const char *what)
{
    if (thr_wait_until(changed, lock, until_ms))
        return;
    fprintf(stderr, "waited for a minute without success: %s\n", what);
    abort(); /* also on a thread that no test runs on */
}

#endif
