/* engine/stopsig.h - stop signals for the legacy loop, taken by a thread of their own.
 *
 * Threads: start and stop on the main thread with all signals blocked in every thread; fn runs on
 *          the signal thread.
 * Promise: fn is called for the first of SIGTERM, SIGINT, SIGQUIT, SIGHUP; a second one ends the
 *          process by that signal at once.
 */
#ifndef SPINE_ENGINE_STOPSIG_H
#define SPINE_ENGINE_STOPSIG_H

#include "base/compiler.h"
#include "base/err.h"

struct stopsig;

NODISCARD struct stopsig *stopsig_start(void (*fn)(void *arg, int signo), void *arg,
                                        struct err *err);
void stopsig_stop(struct stopsig *s); /* NULL allowed */

/* The signals that stop a cycle, for both drivers; the list ends with 0. */
extern const int stopsig_list[];

/* The line that tells why the cycle stopped (contract operations 3.1, 3.2). */
void stopsig_log(int signo);

/* Default disposition, unblock, raise: does not return. */
NORETURN void stopsig_die(int signo);

#endif
