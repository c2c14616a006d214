/* engine/stopsig.h - the signals that a running cycle hears, and the thread that takes them for the
 * legacy loop (the event loop has them as events).
 *
 * Why:     a poller that is told to stop stores what is complete and closes its row; one that is asked
 *          what it does says so; whatever else comes has no effect.
 * Use:     stopsig_normalise();                        first of all
 *          struct stopsig *s = stopsig_start(&calls, arg, &err);  ...  stopsig_stop(s);
 * Threads: normalise, start and stop on the main thread; calls on the signal thread.
 * Promise: calls->stop for the first of SIGTERM, SIGINT, SIGQUIT, SIGHUP; a second one ends the
 *          process by that signal at once.  calls->dump for SIGUSR1.  Until a driver hears them stop
 *          signals end the process by their default action (nothing is open then), and SIGUSR1 waits.
 * Source:  contract operations 3.2; facts/faults rows 79 to 82.
 */
#ifndef SPINE_ENGINE_STOPSIG_H
#define SPINE_ENGINE_STOPSIG_H

#include "base/compiler.h"
#include "base/err.h"

struct stopsig;

struct stopsig_calls {
    void (*stop)(void *arg, int signo);
    void (*dump)(void *arg);
};

/* What cron, nohup or a shell may have left us, ignored or blocked, is put right: contract
 * "normalised at start", SIGHUP of nohup included. */
void stopsig_normalise(void);

NODISCARD struct stopsig *stopsig_start(const struct stopsig_calls *calls, void *arg,
                                        struct err *err);
void stopsig_stop(struct stopsig *s); /* NULL allowed */

/* For the event loop, on the main thread: let the signals in, keep them out again. */
void stopsig_unblock(void);
void stopsig_block(void);

/* The signals that stop a cycle, for both drivers; the list ends with 0. */
extern const int stopsig_list[];

/* The line that tells why the cycle stopped (contract operations 3.1, 3.2). */
void stopsig_log(int signo);

/* Default disposition, unblock, raise: does not return. */
NORETURN void stopsig_die(int signo);

#endif
