/* engine/stopsig.h - the signals that a running cycle handles.
 *
 * Why:     a poller that is told to stop stores what is complete and closes its row; one that is asked
 *          what it does says so; other signals have no effect.
 * Use:     stopsig_normalise();                        first of all
 *          struct stopsig *s = stopsig_start(loop, &err);     loop NULL: a thread of its own
 *          stopsig_listen(s, &listener);  ...  stopsig_forget(s, &listener);
 *          s = stopsig_leave_loop(s, &err);                   before the loop goes, if polling goes on
 *          stopsig_stop(s);
 *          struct stopsig *s = stopsig_new_told(loop);   for a cycle in a process whose signals are not its own
 *          stopsig_tell(s, signo);  ...  stopsig_stop(s);
 * Threads: tell on any.  Normalise, start, leave_loop and stop on the main thread; listen and forget on any.  Listeners are called on the loop, or on the signal thread.
 * Owns:    a listener is its owner's, who forgets it before it goes.
 * Promise: every listener's stop() is called for the first of SIGTERM, SIGINT, SIGQUIT, SIGHUP; a second
 *          one ends the process by that signal at once; while the loop is stuck, a second one of the same
 *          number does.  dump() is called
 *          for SIGUSR1.  A listener that comes after the first stop signal is told at once.  Before
 *          stopsig_start() stop signals end the process by their default action (nothing is open then),
 *          and SIGUSR1 waits.
 */
#ifndef SPINE_ENGINE_STOPSIG_H
#define SPINE_ENGINE_STOPSIG_H

#include "base/compiler.h"
#include "base/err.h"

#include <sys/queue.h>

struct loop;
struct stopsig;

struct stopsig_listener {
    TAILQ_ENTRY(stopsig_listener) next; /* private */
    void (*stop)(void *arg, int signo);
    void (*dump)(void *arg);
    void *arg;
};

/* Dispositions and masks that cron, nohup or a shell may have left are set right, an ignored SIGHUP
 * included. */
void stopsig_normalise(void);

NODISCARD struct stopsig *stopsig_start(struct loop *loop, struct err *err);
/* Handles no signal itself: stopsig_tell() says which has come.  Without a loop listeners are called on a thread of its own; if
 * none can be started, not at all, which one WARNING says.  stopsig_leave_loop() always succeeds. */
NODISCARD struct stopsig *stopsig_new_told(struct loop *loop);
/* Does not wait.  SIGUSR1 leads to dump(), others to stop().  A second stop has no effect. */
void stopsig_tell(struct stopsig *s, int signo);
/* What was started with a loop gets a thread of its own; no signal is lost on the way, and the listeners
 * stay.  NULL: no thread can be started, s is freed and stop signals act by default. */
NODISCARD struct stopsig *stopsig_leave_loop(struct stopsig *s, struct err *err);
void stopsig_stop(struct stopsig *s); /* NULL allowed */

/* s NULL: no effect. */
void stopsig_listen(struct stopsig *s, struct stopsig_listener *l);
void stopsig_forget(struct stopsig *s, struct stopsig_listener *l);

/* The line that tells why the cycle stopped, as Cacti's administrators know it. */
void stopsig_log(int signo);

/* Default disposition, unblock, raise: does not return. */
NORETURN void stopsig_die(int signo);

#endif
