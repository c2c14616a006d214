/* What child.c, children.c and orphan.c share. */
#ifndef SPINE_CORE_CHILD_PRIVATE_H
#define SPINE_CORE_CHILD_PRIVATE_H

#include "core/child.h"
#include "core/children.h"
#include "core/loop.h"

#include "base/buf.h"

#include <sys/queue.h>
#include <sys/types.h>

struct warden;

TAILQ_HEAD(child_list, child);

/* ---- orphan.c: descendants that were adopted by us ---- */

struct orphan {
    pid_t pid;
    int64_t born_ticks; /* with the pid: its identity */
    int64_t kill_at_ms;
    bool seen;
};

enum { ORPHAN_NAME_BYTES = 160 };

struct orphans {
    struct orphan *list;
    size_t count, cap;
    uint64_t mark;          /* of what is ours */
    int64_t since_ticks;    /* older processes do not belong to the program, */
    struct orphan *foreign; /* nor are the children that we had then */
    size_t foreign_count;
    char last[ORPHAN_NAME_BYTES]; /* what to call the last one that was found */
    bool no_children_file;
    int64_t next_full_ms; /* looking at all of /proc is expensive */
};

struct orphan_view {
    pid_t *known; /* our children; sorted by orphan_sweep() */
    size_t count;
    int64_t oldest_ticks; /* start of the oldest child that may have run-away descendants */
    int64_t grace_ms;     /* from SIGTERM to SIGKILL */
};

void orphan_begin(struct orphans *o, uint64_t mark, bool no_children_file);
int64_t orphan_now_ticks(void); /* since boot, as in /proc/PID/stat */
/* One look.  all: processes of every child.  Returns how many are there that must end. */
size_t orphan_sweep(struct orphans *o, const struct orphan_view *view, bool all);
void orphan_done(struct orphans *o);

/* ---- child.c, for the supervisor ---- */

struct child {
    TAILQ_ENTRY(child) next;
    struct children *children;
    const struct child_calls *calls;
    void *arg;
    char *command; /* for people */
    pid_t pid;
    int pidfd, from, to;
    struct loop_watch watch_exit, watch_from, watch_to;
    struct loop_timer timer;
    int64_t grace_ms;
    uint64_t flood_bytes;
    size_t keep_bytes;

    int state;
    enum child_end end;
    enum child_force force;
    bool exited, output_ended, complete, settled, closed_told, stolen;
    int status;
    int64_t started_us, due_us, settled_us; /* due_us 0: no limit; from SIGTERM on: SIGKILL */
    int64_t busy_ticks;                     /* what is younger may be waited for; INT64_MAX: idle */

    struct buf output;
    uint64_t bytes, lines;
    struct buf input;     /* still to be written */
    bool close_when_sent; /* the input */
    bool tell_consumed, one_page;
};

/* SIGCHLD came: has this one ended? */
void child_look_for_exit(struct child *child);
/* The end of the cycle waits for it now. */
void child_shorten_grace(struct child *child, int64_t grace_ms);
/* Last resort, without the loop: SIGKILL to its group; reap it if it has ended; forget it. */
void child_kill_now(struct child *child);
bool child_reap_now(struct child *child);
void child_drop(struct child *child);

/* ---- children.c, for a child ---- */

struct children {
    struct loop *loop;
    char **env;
    char *directory; /* NULL: ours */
    bool no_pidfd, stopping;
    int sigchld; /* signalfd, -1 */
    struct loop_watch watch_sigchld;
    struct child_list live;
    size_t live_count;
    bool used; /* there has been a child */
    int64_t orphan_grace_ms;
    int64_t force_ms; /* children_free() of children that were not stopped */
    char *scratch;    /* CHILDREN_SCRATCH bytes to read into */

    uint64_t mark;         /* of all children and what they start */
    struct warden *warden; /* NULL: it could not be started */
    struct orphans orphans;
    struct loop_timer sweep;

    children_stopped_fn *stopped;
    void *stopped_arg;
    int64_t stop_by_ms;
    char left[ORPHAN_NAME_BYTES]; /* what could not be ended */

    struct children_end *at_end;    /* a list */
    struct children_thread *thread; /* NULL: the loop belongs to the caller */
};

enum { CHILDREN_SCRATCH = 65536 };

/* It has been started and put on the list. */
void children_one_more(struct children *c, struct child *child);
/* One has been reaped and taken off the list. */
void children_one_less(struct children *c);

#endif
