/* base/trace.h - the last events, kept to be shown when something is wrong.
 *
 * Why:     when a loop stalls, a call does not return or SIGUSR1 asks for the state, the last few
 *          hundred events say more than any counter.
 * Use:     trace_start(512);  ... stream_emit() fills it ...  trace_dump("loop stalled");
 *          trace_stop();
 * Threads: add and dump from any; start and stop on the main thread, when no other emits.
 * Promise: each scope (base/scope) that has called trace_own() has events of its own.  Adding copies one event under a mutex that is never held while waiting for anything, so
 *          a dump comes through even when other threads hang in a library.
 */
#ifndef SPINE_BASE_TRACE_H
#define SPINE_BASE_TRACE_H

#include "base/happening.h"

#include <stddef.h>

/* The calling thread's scope gets a trace of its own. */
void trace_own(void);
void trace_start(size_t events); /* 0: keep none */
void trace_stop(void);
void trace_add(const struct happening *event); /* stream_emit() does */

/* Oldest first, one line of the log each, with the age of the event; why: "loop stalled". */
void trace_dump(const char *why);

/* The same by base/lastword: for the watchdog, when the log and whatever it needs may hang. It
 * takes no lock, so an event that is being added at that moment may be garbled. */
void trace_say(void);

#endif
