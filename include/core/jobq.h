/* core/jobq.h - a first-in first-out queue between threads, closable.
 *
 * Use:     jobq_push(q, p);        p = jobq_pop(q);   NULL: closed and empty
 * Threads: any.
 * Owns:    nothing: pointers travel through; the thread that takes one owns it.
 * Promise: what was accepted comes out exactly once, in order.  After jobq_close() nothing is
 * accepted; what is inside can still be taken.
 */
#ifndef SPINE_CORE_JOBQ_H
#define SPINE_CORE_JOBQ_H

#include "base/compiler.h"

#include <stdbool.h>

struct jobq;

NODISCARD struct jobq *jobq_new(void);
void jobq_free(struct jobq *q); /* must be empty; NULL allowed */

/* Never waits.  false: closed, the caller keeps the item. */
NODISCARD bool jobq_push(struct jobq *q, void *item);
/* Waits for an item; NULL: closed and empty. */
NODISCARD void *jobq_pop(struct jobq *q);
/* An item if there is one now. */
NODISCARD void *jobq_try_pop(struct jobq *q);
void jobq_close(struct jobq *q);

#endif
