/* engine/eventlog.h - the stream of lifecycle events as a file: one JSON object per line.
 *
 * Use:     struct eventlog *log = eventlog_start(&options, &err);
 *          ... the run ...
 *          eventlog_stop(log);
 * Threads: start and stop on the main thread; one thread of its own formats and writes.
 * Promise: only its own thread ever waits for the file: what a full, stuck or capped file
 *          does not take is dropped and counted, and stop says how much, and why, in one line of the
 *          log.  stop takes no longer than EVENTLOG_END_MS; a writer that hangs in a system call is
 *          then abandoned.  Lines are appended whole.  The file is created with mode 0640, is
 *          opened again when it was renamed or removed, and never grows beyond max_bytes.
 * Source:  docs/events.md.
 */
#ifndef SPINE_ENGINE_EVENTLOG_H
#define SPINE_ENGINE_EVENTLOG_H

#include "base/compiler.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest stop waits, and how soon a file that did not take anything is tried again. */
enum { EVENTLOG_END_MS = 1000, EVENTLOG_RETRY_MS = 250 };

struct eventlog;

struct eventlog_options {
    const char *path;
    bool full;           /* details too, so that the run can be replayed */
    int64_t max_bytes;   /* of a regular file */
    size_t queue_events; /* that wait to be written */
    size_t queue_bytes;  /* of their details */
};

NODISCARD struct eventlog *eventlog_start(const struct eventlog_options *options, struct err *err);
/* Writes what waits.  Returns how many events are missing in the file.  NULL allowed. */
uint64_t eventlog_stop(struct eventlog *log);

#endif
