/* core/warden.h - a process that outlives the poller by a moment and ends what the poller can no
 * longer end.
 *
 * Why:     PR_SET_PDEATHSIG reaches the processes that we have started, not what those have started:
 *          after SIGKILL, a crash or the watchdog the parts of a pipeline would live on, and what has
 *          left its process group as well.
 * Use:     mark = warden_make_mark();         every child gets it (core/spawn)
 *          struct warden *w = warden_start(mark);         NULL: it could not be started, go on without
 *          warden_add(w, group);  ...  warden_remove(w, group);      before the leader is reaped
 *          warden_stop(w);                    all have ended; or warden_leave(w): some have not
 * Threads: one at a time for each warden; a process may have several.
 * Owns:    one child process and the writing end of a pipe to it.
 * Promise: when the pipe closes, however we end, every group that was added and not removed gets
 *          SIGKILL, and so does every process with the mark, again and again for a few seconds until
 *          none is found; then the warden exits.  It does not find a process that has changed its
 *          limit of realtime CPU time (ulimit -R, or pam_limits with rttime), and cannot end one
 *          that belongs to another user.  The warden has no other descriptors, its own session,
 *          ignores stop signals, and uses nothing but system calls.  Where it has died, was stopped
 *          or is not listening, nothing here fails or waits for it.
 * Source:  docs/contract.md 21.5.
 */
#ifndef SPINE_CORE_WARDEN_H
#define SPINE_CORE_WARDEN_H

#include "base/compiler.h"

#include <stdint.h>
#include <sys/types.h>

/* The number of groups that it remembers; further ones are not guarded. */
enum { WARDEN_GROUPS_MAX = 4096 };

struct warden;

/* A number that no other process on this machine has as its soft RLIMIT_RTTIME: that limit passes from
 * parent to child whatever either does to its session, group, parent or environment, every user may
 * read it, and a value beyond 100,000 years limits no process. */
uint64_t warden_make_mark(void);

/* The mark that a process has; 0: none. */
uint64_t warden_get_mark(pid_t pid);

/* Before children whose descendants are looked for: it must not be taken for one.  mark 0: groups
 * only. */
NODISCARD struct warden *warden_start(uint64_t mark);
/* All groups have ended. */
void warden_stop(struct warden *w); /* NULL allowed, as below */
/* It ends by itself, after the remaining groups. */
void warden_leave(struct warden *w);
void warden_add(struct warden *w, pid_t group);
void warden_remove(struct warden *w, pid_t group);
/* Any thread: it does what it would do at the end of this process, and exits. */
void warden_end_now(const struct warden *w);

#endif
