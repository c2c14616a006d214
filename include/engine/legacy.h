/* engine/legacy.h - the classic driver: threads with blocking calls.
 *
 * Why:     rollback is a flag; and a build without libevent needs a driver.
 * Use:     cycle_init(&c, ...);
 *          legacy_run(&c, &err);
 * Threads: called on the main thread with all signals blocked. It starts `threads` polling threads
 *          (each takes a device and drives its devrun to the end), one database thread, and one
 *          that waits for signals; the main thread waits for the end, the deadline or a signal.
 * Promise: returns when all its threads have ended; poller_time is closed if the database can be
 *          reached. A first signal stops the cycle in order (c->stop_signal), a second one ends
 *          the process by that signal at once.
 * Errors:  false: the cycle could not be begun.
 */
#ifndef SPINE_ENGINE_LEGACY_H
#define SPINE_ENGINE_LEGACY_H

#include "engine/cycle.h"

NODISCARD bool legacy_run(struct cycle *c, struct err *err);

#endif
