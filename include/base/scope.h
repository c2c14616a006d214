/* base/scope.h - what a thread works for: the process, or one of several cycles in it.
 *
 * Why:     log, events and trace are reached from everywhere without an argument.  Where several cycles
 *          run in one process, each has its own, and no cycle's lines or events reach another one.
 * Use:     struct scope *s = scope_new();
 *          struct scope *before = scope_enter(s);
 *          log_own(out, err);  stream_own(NULL);  trace_own();       what is not owned is the process's
 *          ... thr_start() ...                                 the new thread is in the same scope
 *          scope_enter(before);
 *          scope_unref(s);
 * Threads: any; scope_put() by the thread that made the scope, before another one is in it.
 * Owns:    the parts, which are freed with the last reference.  Each thread in a scope holds a reference,
 *          so what is abandoned in a call that hangs never uses freed memory.
 * Promise: a program without a scope_new() behaves as if there were no scopes.
 */
#ifndef SPINE_BASE_SCOPE_H
#define SPINE_BASE_SCOPE_H

#include "base/compiler.h"

struct scope;

/* A module's state; NULL in a scope that has none of its own. */
enum scope_part { SCOPE_LOG, SCOPE_STREAM, SCOPE_TRACE, SCOPE_PARTS };

NODISCARD struct scope *scope_new(void);
struct scope *scope_ref(struct scope *s); /* NULL allowed, as below: the process's */
void scope_unref(struct scope *s);

/* Of the calling thread; NULL: the process's. */
struct scope *scope_get(void);
/* Returns the scope that the thread was in.  The caller sees to it that the scope outlives the stay. */
struct scope *scope_enter(struct scope *s);

/* The part of the calling thread's scope; NULL: it has none. */
void *scope_part(enum scope_part part);
void scope_put(enum scope_part part, void *state, void (*free_part)(void *state));

#endif
