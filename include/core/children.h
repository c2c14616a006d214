/* core/children.h - the supervisor: all processes that we start, and their descendants.
 *
 * Why:     one place reaps, one place kills, one place knows whether a process of the program still runs.
 * Use:     struct children *c = children_new_on_loop(loop, &options, &err);      event path
 *          struct children *c = children_new_on_thread(&options, &err);          legacy loop
 *          child_start(c, &order, &err);                            see core/child.h
 *          children_stop(c, deadline, on_stopped, arg);             loop: then on_stopped()
 *          children_end(c, deadline);                               thread: blocks
 *          children_free(c);
 * Threads: on the loop: everything on the loop's thread.  With a thread of its own: new, call, end
 * and free from the thread that made it or, call, any; all the rest from within children_call().
 * That thread lives as long as the supervisor, so children may be tied to it (PR_SET_PDEATHSIG).
 * Owns:    the environment for children; SIGCHLD, where the kernel has no pidfd.
 * Promise: several supervisors may live at once in one process, each with its own children.  Only processes started here, and what came to us from them, are ever signalled or
 * reaped: a process of the program's own group or older than the supervisor is left alone.  Descendants that
 * ran away (double fork, setsid) are ended once no child that could have started them lives, and at
 * the end all of them; they are known by the mark (core/warden) that they inherit, and one that has put its mark off is
 * ended when no other supervisor lives that it may belong to.  Makes us a child subreaper, SIGPIPE ignored and SIGCHLD not ignored.  All
 * threads must have SIGCHLD blocked (docs/threads.md) where there is no pidfd.
 * Source:  docs/contract.md 14, 21.5; docs/children.md.
 */
#ifndef SPINE_CORE_CHILDREN_H
#define SPINE_CORE_CHILDREN_H

#include "base/compiler.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct children;
struct loop;

struct children_options {
    const char *const *env;      /* NULL-terminated; NULL: ours */
    const char *directory;       /* that children start in; NULL: ours */
    const char *const *env_set;  /* see spawn_env_new() */
    const char *const *env_drop; /* names that no child may see */
    bool no_pidfd;               /* as on an old kernel: by SIGCHLD */
    bool no_children_file;       /* as without CONFIG_PROC_CHILDREN: look at all of /proc */
    int64_t force_ms;            /* how long children_free() waits at most; 0: a second */
    int64_t orphan_grace_ms;     /* from SIGTERM to SIGKILL of what scripts leave; 0: the usual */
};

NODISCARD struct children *
children_new_on_loop(struct loop *loop, const struct children_options *options, struct err *err);
NODISCARD struct children *children_new_on_thread(const struct children_options *options,
                                                  struct err *err);
/* Kills and reaps what is left, waiting no longer than the options say; NULL allowed. */
void children_free(struct children *c);

typedef void children_fn(void *arg);

/* Run fn on the supervising thread: at once on the loop, soon with a thread.  Calls keep their
 * order.  false: children_end() has been, fn will not be run. */
NODISCARD bool children_call(struct children *c, children_fn *fn, void *arg);

/* Have fn called once, on the supervising thread, when everything has stopped (before done()): for
 * drivers that have requests to answer. fn NULL: no call. */
void children_at_end(struct children *c, children_fn *fn, void *arg);

/* No more children are started; all are ended (TERM, KILL) by the deadline, orphans too.  done()
 * comes once, not before this returns; clean: nothing is left. */
typedef void children_stopped_fn(void *arg, bool clean);
void children_stop(struct children *c, int64_t deadline_mono_ms, children_stopped_fn *done,
                   void *arg);
/* With a thread of its own: the same, and wait for it.  Idempotent. */
bool children_end(struct children *c, int64_t deadline_mono_ms);

/* Any thread, while the supervisor hangs: all are killed, orphans too, and no longer guarded. */
void children_kill(const struct children *c);

/* On the supervising thread. */
/* After a stop that was not clean: what is still there, for the log; "" if nothing. */
const char *children_get_left(const struct children *c);

struct loop *children_get_loop(struct children *c);

#endif
