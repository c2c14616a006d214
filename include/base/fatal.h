/* base/fatal.h - signals that mean that this process is broken: one line, then the default action.
 *
 * Why:     the standard error of a program that Cacti starts has no reader; without a line in the log
 *          a crash looks as if the poller had never run.
 * Use:     fatal_start();                                  first of all, on the main thread
 *          void *stack = fatal_thread_begin(); ... fatal_thread_end(stack);      base/thr does
 * Threads: start on the main thread; begin and end on the thread itself.
 * Promise: the handler uses nothing but system calls, runs on a stack of its own (the usual one may
 *          be what has overflowed), and never lets the program go on: the signal is raised again
 *          with its default action, so that the parent sees it.  A handler that is there
 *          already, a sanitizer's, is left in place.
 * Source:  docs/contract.md 21.3.
 */
#ifndef SPINE_BASE_FATAL_H
#define SPINE_BASE_FATAL_H

#include "base/compiler.h"

#include <signal.h>

void fatal_start(void);

/* These signals must never be blocked: a fault whose signal is blocked ends the process without a
 * line in the log. */
void fatal_unblock(sigset_t *blocked);

NODISCARD void *fatal_thread_begin(void);
void fatal_thread_end(void *stack); /* NULL allowed */

#endif
