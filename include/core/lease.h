/* core/lease.h - a thread that may never return from a call, and what it keeps then.
 *
 * Why:     a library call that hangs (a name service module, a database client, a dead network file
 *          system) must cost its thread and what that thread works on, never the process.
 * Use:     the owner                                    the thread, in fn
 *          l = lease_start("ask", fn, arg, late, &err);
 *                                                       lease_enter(l);
 *                                                       blocking_call();
 *                                                       if (!lease_leave(l)) return;
 *          if (lease_end(l, until, NULL)) ... it has ended, arg is the owner's
 *          else ... arg is the thread's
 *          or, where the thread works on: lease_wait(), lease_revoke() and then lease_free().
 * Threads: lease_enter() and lease_leave() on the thread, everything else on the owner's.
 * Owns:    arg is the thread's and the owner's, guarded as the two agree, until lease_revoke() returns
 *          true; from then on it is the thread's alone, which calls late(arg) if it ever returns.
 *          What the call does not use is taken out of arg by salvage().
 * Promise: exactly one of these happens: lease_wait() returns true and the thread has been joined, or
 *          lease_revoke() returns true and lease_leave() returns false (or fn returns) afterwards and
 *          late(arg) is called once on that thread.  A thread that is not in a call cannot be revoked.
 */
#ifndef SPINE_CORE_LEASE_H
#define SPINE_CORE_LEASE_H

#include "base/compiler.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct lease;

typedef void lease_fn(struct lease *l, void *arg);
typedef void lease_late_fn(void *arg);
typedef void lease_salvage_fn(void *arg);

/* late may be NULL: nothing is to be done when the thread returns late. */
NODISCARD struct lease *lease_start(const char *name, lease_fn *fn, void *arg, lease_late_fn *late,
                                    struct err *err);

/* The thread: what follows may never return. */
void lease_enter(struct lease *l);
/* The thread: it has returned.  false: it is too late, arg is the thread's and fn must return at once. */
NODISCARD bool lease_leave(struct lease *l);

/* The owner: wait until fn has returned, at most until that monotonic time.  true: it has. */
bool lease_wait(struct lease *l, int64_t until_mono_ms);
/* The owner: true: the thread is in a call and has no owner from now on. salvage(arg), if not NULL,
 * is called before this returns and before the thread can leave the call. */
bool lease_revoke(struct lease *l, lease_salvage_fn *salvage);
/* The owner: waits until fn has returned, at most until that monotonic time, then revokes; a thread that
 * is between two calls then is waited for until it enters the next one or ends.  true: fn has returned;
 * false: the thread is abandoned, and salvage(arg) was called.  Frees the lease. */
bool lease_end(struct lease *l, int64_t until_mono_ms, lease_salvage_fn *salvage);
/* After lease_wait() or lease_revoke() returned true; NULL allowed. */
void lease_free(struct lease *l);

#endif
