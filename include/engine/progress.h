/* engine/progress.h - what a cycle does at this moment, as lines of the log.
 *
 * Why:     an operator must be able to ask a slow cycle what it waits for, while it waits: SIGUSR1.
 * Use:     if (progress_is_due(&last_dump)) progress_log(cycle, &progress);
 * Threads: the one that has the state: the loop's, or on the legacy loop the one that takes
 *          signals.
 * Promise: at most one dump a second, however many signals come; at most PROGRESS_WAITS_SHOWN devices
 *          by name, those that wait longest first.
 */
#ifndef SPINE_ENGINE_PROGRESS_H
#define SPINE_ENGINE_PROGRESS_H

#include "engine/asker.h"
#include "engine/cycle.h"

enum { PROGRESS_WAITS_SHOWN = 20, PROGRESS_PAUSE_MS = 1000 };

struct progress {
    const char *driver;
    const char *doing;
    size_t begun;             /* devices */
    size_t rows_waiting;      /* for the database */
    struct asker_wait *waits; /* of the devices in work; sorted by progress_log() */
    size_t wait_count;
};

/* last_mono_ms: of the last dump, 0 = none. */
bool progress_is_due(int64_t *last_mono_ms);
void progress_log(const struct cycle *c, struct progress *p);

#endif
