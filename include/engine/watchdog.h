/* engine/watchdog.h - ends the process when it does not end by itself.
 *
 * Why:     a library call that never comes back (a resolver module, a client library, a dead network
 *          file system) must not make this cycle overlap the next one.
 * Use:     struct watchdog *w = watchdog_start(end_by_mono_ms, &err);
 *          watchdog_doing(w, WATCH_STORE, "storing rows");        WATCH_STORE, NULL when done
 *          watchdog_beat(w);                     from a timer of the loop, every WATCHDOG_BEAT_MS
 *          watchdog_hurry(w, until, SIGTERM);    a stop signal draws the end near
 *          watchdog_stop(w);
 * Threads: start and stop on the main thread; the rest from any, NULL allowed and without effect.
 * Promise: nothing here takes a lock that anybody holds while working: it also bites when the log is
 *          stuck; what cannot be said within a second stays unsaid.  At the end: one line that says
 *          what was going on, then _exit(75), or the signal that has asked for the end; children go
 *          with us (parent-death signal).  A loop whose beat stays away for more than a second is
 *          reported once per stall.  Time during which the whole process was stopped is not held
 *          against it: what was due then gets some seconds to end in order.
 * Source:  facts/faults section 3, rows 84, 85.
 */
#ifndef SPINE_ENGINE_WATCHDOG_H
#define SPINE_ENGINE_WATCHDOG_H

#include "base/compiler.h"
#include "base/err.h"

#include <stdint.h>

enum { WATCHDOG_BEAT_MS = 500, WATCHDOG_STALL_MS = 1000, WATCHDOG_MERCY_MS = 6000 };

enum watch_part { WATCH_MAIN, WATCH_STORE, WATCH_PARTS };

struct watchdog;

NODISCARD struct watchdog *watchdog_start(int64_t end_by_mono_ms, struct err *err);
void watchdog_stop(struct watchdog *w);

/* Another end, before or after the one that was set. */
void watchdog_set_end(struct watchdog *w, int64_t end_by_mono_ms);
/* When it bites: later than asked for if the process was stopped meanwhile.  NULL: INT64_MIN. */
int64_t watchdog_get_end(struct watchdog *w);
/* An end that is near: only an earlier one counts.  The process then ends by this signal. */
void watchdog_hurry(struct watchdog *w, int64_t end_by_mono_ms, int signo);

/* A string that lives for ever; NULL: nothing. */
void watchdog_doing(struct watchdog *w, enum watch_part part, const char *what);

/* The first beat begins the watch over the loop, watchdog_rest() ends it. */
void watchdog_beat(struct watchdog *w);
void watchdog_rest(struct watchdog *w);

/* Called on a thread of its own when the loop has stalled. */
void watchdog_on_stall(struct watchdog *w, void (*fn)(void));

#endif
