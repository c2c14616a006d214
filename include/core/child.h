/* core/child.h - one child process, from its start until it is reaped.
 *
 * Why:     a child that hangs, floods, ignores signals or leaves descendants must cost no more than
 *          its time; this module has all rules for that, for scripts and script servers on both
 *          paths.
 * Use:     struct child *child = NULL;
 *          struct child_order order = {.path = "/bin/sh", .argv = argv, .time_ms = 25000, ...};
 *          if (child_start(children, &order, &child, &err) == SPAWN_STARTED) ...
 *          calls->settled(arg):  look at child_get_report()
 *          calls->over(arg):     reaped; the child is freed after this
 * Threads: the supervising thread (core/children.h).
 * Owns:    the supervisor owns the child; the report is valid until over() returns.
 * Promise: settled once, over once, in this order, never from within child_start(), child_stop()
 * or any other function of this module; data, consumed and closed before settled.  A child is over
 * when its exit and the end of its output have both been seen, in either order.  Its time runs from
 * start to exit; then SIGTERM to its process group, grace_ms later SIGKILL, at most half a second
 * later its output is given up (something that ran away keeps it open), and only a process that the
 * kernel cannot end keeps a child from being over.
 *
 *   settled comes       end of output and exit, in either order; or
 *                       CHILD_LINGER_MS after the one without the other; or
 *                       when it has been ended by force (see enum child_force)
 */
#ifndef SPINE_CORE_CHILD_H
#define SPINE_CORE_CHILD_H

#include "base/compiler.h"
#include "base/err.h"
#include "core/children.h"
#include "core/spawn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How long the end of output waits for the exit, and the exit for the end of output. */
enum { CHILD_LINGER_MS = 500 };

struct child;

struct child_calls {
    /* Output as it comes; NULL: it is kept for the report. */
    void (*data)(void *arg, const char *bytes, size_t len);
    /* See child_when_consumed(). */
    void (*consumed)(void *arg);
    /* Once: the end of its output, or its exit (with what was in the pipe delivered before), or it
     * no longer reads its input. */
    void (*closed)(void *arg);
    void (*settled)(void *arg);
    void (*over)(void *arg);
};

struct child_order {
    const char *path;
    char *const *argv;
    bool talk;            /* has a standard input that child_write() writes to */
    int64_t time_ms;      /* from its start; 0 = no limit */
    int64_t grace_ms;     /* from SIGTERM to SIGKILL */
    size_t keep_bytes;    /* of the output; the rest is read and counted only */
    uint64_t flood_bytes; /* more output than that ends it at once; 0 = no limit */
    struct spawn_limits limits;
    const struct child_calls *calls; /* each may be NULL; must outlive the child */
    void *arg;
};

enum child_end {
    CHILD_BY_ITSELF,
    CHILD_LEFT_OPEN, /* it exited, but something that it started kept its output open */
    CHILD_OVERDUE,
    CHILD_FLOODED,
    CHILD_STOPPED, /* by us */
};

enum child_force {
    CHILD_UNFORCED,
    CHILD_TERMED,
    CHILD_KILLED,
    CHILD_OUT_OF_REACH, /* killed; something outside its group kept its output open until the end */
    CHILD_UNKILLABLE,   /* so far */
};

struct child_report {
    const char *output; /* at most keep_bytes of it; NUL-terminated, may hold NULs */
    size_t len;
    uint64_t bytes; /* printed */
    uint64_t lines; /* line feeds in all of it */
    enum child_end end;
    enum child_force force;
    bool output_ended; /* everything that it will ever print is counted */
    bool exited;       /* then status is as from waitpid(2) */
    int status;
    int64_t elapsed_us; /* from its start until it settled */
};

/* Copies what it needs of the order, except calls. */
NODISCARD enum spawn_result child_start(struct children *children, const struct child_order *order,
                                        struct child **ret, struct err *err);
struct child_report child_get_report(const struct child *child);

/* SIGTERM to its group now, and so on. */
void child_stop(struct child *child);
/* The same, but it has this long to end by itself. */
void child_stop_within(struct child *child, int64_t delay_ms);
/* A child that lives long is idle when it has nothing to do: what ran away from it before then belongs to no child,
 * and is ended.  Busy from its start. */
void child_set_idle(struct child *child, bool idle);
/* The owner no longer needs the child: none of its calls is made from now on. */
void child_forget(struct child *child);

/* Non-blocking; what does not fit is written later.  false: the child has closed its input. */
bool child_write(struct child *child, const void *bytes, size_t len);
/* After what is still to be written. */
void child_close_input(struct child *child);
/* Take what it has printed by now: data(), perhaps closed(), before this returns. */
void child_read_now(struct child *child);

/* consumed() is called when the child has read all that was written to it: then it reads again, and
 * all that it printed before is in its output already. false: this kernel cannot tell, and
 * consumed() is never called.  (A pipe of one page is writable only when it is empty.) */
bool child_when_consumed(struct child *child);

#endif
