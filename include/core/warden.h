/* core/warden.h - a process that outlives us by a moment, to end what we can no longer end ourselves.
 *
 * Why:     PR_SET_PDEATHSIG reaches the processes that we have started, not what those have started:
 *          after SIGKILL, a crash or the watchdog the parts of a pipeline would live on.
 * Use:     struct warden *w = warden_start();             NULL: it could not be started, go on without
 *          warden_add(w, group);  ...  warden_remove(w, group);      before the leader is reaped
 *          warden_stop(w);
 * Threads: one at a time.
 * Owns:    one child process and the writing end of a pipe to it.
 * Promise: when the pipe closes, however we end, every group that was added and not removed gets
 *          SIGKILL, and the warden exits.  It has no other descriptors, its own session, ignores stop
 *          signals, and uses nothing but system calls.  Where it has died or is not listening, nothing
 *          here fails or waits.
 * Source:  docs/contract.md 21.5.
 */
#ifndef SPINE_CORE_WARDEN_H
#define SPINE_CORE_WARDEN_H

#include "base/compiler.h"

#include <sys/types.h>

/* Groups that it can keep in mind; more are not guarded. */
enum { WARDEN_GROUPS_MAX = 4096 };

struct warden;

/* Before children whose descendants are looked for: it must not be taken for one. */
NODISCARD struct warden *warden_start(void);
void warden_stop(struct warden *w); /* NULL allowed, as below */
void warden_add(struct warden *w, pid_t group);
void warden_remove(struct warden *w, pid_t group);

#endif
