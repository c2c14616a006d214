/* engine/watchdog.h - ends the process when something in it does not end by itself.
 *
 * Why:     a library call that never returns (a resolver module, a client library, a dead network
 *          file system) must not make this cycle overlap the next one.
 * Use:     struct watchdog *w = watchdog_start(&err);                 one per process
 *          struct guard *g = guard_new(w, end_by_mono_ms);            one per cycle
 *          guard_doing(g, GUARD_STORE, "storing rows");               NULL when done
 *          guard_hurry(g, until, SIGTERM);                            a stop signal moves the end nearer
 *          watchdog_beat(w);                                          by the loop, every WATCHDOG_BEAT_MS
 *          guard_free(g);  watchdog_stop(w);
 * Threads: start and stop on the main thread; the rest from any, NULL allowed and without effect.
 * Promise: nothing here takes a lock that another thread holds while working: it also acts when the
 *          log is stuck; a line that cannot be written within a second is dropped. When a guard's
 *          end has passed: one line that says what was in progress, then _exit(75), or the signal
 *          that has asked for the end, unless watchdog_instead() has another way; children go with the process (parent-death signal).  A loop
 *          whose beat stays away for more than a second is reported once per stall.  Time during
 *          which the whole process was stopped does not count: whatever was due then gets some
 *          seconds to end in order, at most three times per guard.
 */
#ifndef SPINE_ENGINE_WATCHDOG_H
#define SPINE_ENGINE_WATCHDOG_H

#include "base/compiler.h"
#include "base/err.h"

#include <stdint.h>

enum { WATCHDOG_BEAT_MS = 500, WATCHDOG_STALL_MS = 1000, WATCHDOG_EXTENSION_MS = 6000 };

enum guard_part { GUARD_MAIN, GUARD_STORE, GUARD_PARTS };

struct watchdog;
struct guard;

NODISCARD struct watchdog *watchdog_start(struct err *err);
void watchdog_stop(struct watchdog *w); /* after its guards */

/* The first beat begins the watch over the loop, watchdog_rest() ends it. */
void watchdog_beat(struct watchdog *w);
void watchdog_rest(struct watchdog *w);
/* Called on a thread of its own when the loop has stalled. */
void watchdog_on_stall(struct watchdog *w, void (*fn)(void));

/* Called on the watchdog's thread in place of ending the process, once per guard, with what would have been its last line:
 * where several cycles run in one process, only one of them is over. */
void watchdog_instead(struct watchdog *w, void (*fn)(void *arg, const char *line), void *arg);

struct guard *guard_new(struct watchdog *w, int64_t end_by_mono_ms);
void guard_free(struct guard *g);
/* Another end, before or after the one that was set. */
void guard_set_end(struct guard *g, int64_t end_by_mono_ms);
/* When it acts: later than asked for if the process was stopped meanwhile.  NULL: INT64_MIN. */
int64_t guard_get_end(struct guard *g);
/* An end that is near: only an earlier one counts.  The process then ends by this signal. */
void guard_hurry(struct guard *g, int64_t end_by_mono_ms, int signo);
/* A string constant; NULL: nothing. */
void guard_doing(struct guard *g, enum guard_part part, const char *what);

#endif
