/* drivers/script.h - data input scripts: a command for /bin/sh, its output or its lines.
 *
 * Use:     struct script_options o = script_default_options();  o.timeout_ms = ...;
 *          struct script_runner *s = script_runner_new(children, &o);
 *          script_start(s, &request, deadline, done, arg);
 *          script_give_up(s);  ... children_stop() or children_end() ...  script_runner_free(s);
 * Threads: new and free before and after everything else; start on the supervising thread
 * (children_call() takes you there); give_up on the loop or, with a supervisor that has a thread of
 * its own, on any.  done comes on the supervising thread.
 * Owns:    a reply's contents are valid during done().  The request is copied.
 * Promise: each request is answered exactly once, never from within script_start() or
 * script_give_up(), and at the latest a kill schedule (grace_ms + 1 s) after its deadline.  At most `slots` scripts
 * run, of all runners that share their places, the others wait in the order they came, until their deadline
 * (runners take turns); the time-out counts from a script's own start.  Lack of descriptors delays, lack of processes or memory is tried again for
 * about a second.  A script that did not end by itself is ended with all it started before it is
 * reported, and reply.detail says how.
 *   output until its end, or half a second after the shell ended, or the time-out   -> SCRIPT_OUTPUT
 *   time-out, but whole lines were printed: those, and it is ended                  -> SCRIPT_OUTPUT
 *   time-out otherwise; lines to be counted that are not known to be all    -> SCRIPT_TIMED_OUT
 *   more than output_cap: cut, detail says so; more than flood_bytes        -> SCRIPT_FLOODED
 *   nothing printed: detail has the exit status (127, 126 by name)          -> SCRIPT_EMPTY
 *   deadline, script_give_up(), children_stop()                             -> SCRIPT_CANCELLED
 * Source:  docs/contract.md 14.
 */
#ifndef SPINE_DRIVERS_SCRIPT_H
#define SPINE_DRIVERS_SCRIPT_H

#include "base/compiler.h"
#include "core/children.h"
#include "core/places.h"
#include "core/spawn.h"
#include "model/ask.h"

#include <stddef.h>
#include <stdint.h>

struct script_runner;

typedef void script_done_fn(void *arg, const struct script_reply *reply);
/* A line for the log about something that has no reply, or has been answered already. */
typedef void script_note_fn(void *arg, const char *line);

struct script_options {
    int slots;
    struct places_user
        *places; /* counts what runs, of others too; NULL: the slots are this runner's alone */
    int64_t timeout_ms;
    int64_t grace_ms;     /* from SIGTERM to SIGKILL */
    size_t output_cap;    /* bytes of a value; the rest is read and thrown away */
    uint64_t flood_bytes; /* this much is no accident; not for counted lines */
    struct spawn_limits limits;
    script_note_fn *note; /* on the supervising thread; may be NULL */
    void *note_arg;
};

struct script_figures {
    uint64_t started, timed_out, flooded, not_started, cancelled;
    size_t running, most_running, waiting, most_waiting;
};

/* 20 slots, 25 s, 2047 bytes, 1 MiB; CPU time-out + 5 s, 1024 files, no core, preferred by the
 * OOM killer (docs/children.md). */
struct script_options script_default_options(void);

NODISCARD struct script_runner *script_runner_new(struct children *children,
                                                  const struct script_options *options);
/* After the supervisor has stopped, which answers what is outstanding, and before it is freed. */
void script_runner_free(struct script_runner *s); /* NULL allowed */

void script_start(struct script_runner *s, const struct script_request *request,
                  int64_t deadline_mono_ms, script_done_fn *done, void *arg);
/* The cycle is over: every request, waiting, running or to come, is cancelled; what runs is ended. */
void script_give_up(struct script_runner *s);
/* On the supervising thread, or after its end. */
struct script_figures script_get_figures(const struct script_runner *s);

#endif
