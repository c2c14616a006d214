/* engine/writer.h - the threads that store a cycle's results.
 *
 * Why:     both drivers hand over rows the same way and never wait for the database unless they want
 *          to; one place turns many small batches into few large statements.
 * Use:     struct writer *w = writer_new(cycle, on_change, arg, &err);     the thread is there
 *          writer_begin(w);                        open the row, read the roster
 *          writer_put(w, batch);                   callers wait for WRITER_ROOM before
 *          writer_end(w);                          no more rows: store what waits, close the row
 *          if (writer_wait(w, WRITER_ENDED, until)) ...
 *          if (!writer_join(w, &waiting)) ...
 *          writer_unref(w);
 * Threads: new, begin, end, join and unref by the driver; the rest from any.  on_change comes on the writer's
 *          thread, without a lock held, whenever one of the answers below may have changed.
 *          The first thread opens and closes the row and stores; a second one, by a connection of its own, stores
 *          what waits while the first is busy with enough for a statement.
 * Owns:    what was put, until it is written.  The thread has a reference of its own: one that
 *          returns from a call after writer_join() uses no freed memory.  A driver whose threads
 *          may still call writer_put() keeps its reference.
 * Promise: everything put before writer_end() is written exactly once, and then the row is closed;
 *          writer_put() never waits.  A writer that does not return from a call costs its thread
 *          and its connection: writer_join() takes the rows from it that it has not begun to write.  A second writer that does not is
 *          not waited for longer than cycle_second_until().
 */
#ifndef SPINE_ENGINE_WRITER_H
#define SPINE_ENGINE_WRITER_H

#include "engine/cycle.h"

struct writer;

enum writer_step {
    WRITER_BEGUN, /* the roster and the first devices are there, or could not be read */
    WRITER_ROOM,  /* not too many rows wait, or polling is over */
    WRITER_ENDED, /* all is written and the row is closed */
};

typedef void writer_change_fn(void *arg);

NODISCARD struct writer *writer_new(struct cycle *c, writer_change_fn *on_change, void *arg,
                                    struct err *err);
void writer_begin(struct writer *w);
void writer_put(struct writer *w, struct batch *batch); /* takes the batch */
/* Polling is over: no poller is held back. */
void writer_relax(struct writer *w);
void writer_end(struct writer *w);

bool writer_is(struct writer *w, enum writer_step step);
/* Waits for the step until a monotonic time; INT64_MAX: as long as it takes. */
bool writer_wait(struct writer *w, enum writer_step step, int64_t until_mono_ms);
/* After WRITER_BEGUN: whether devices can be polled; err says why not. */
bool writer_get_begun(struct writer *w, struct err *err);
size_t writer_rows(struct writer *w); /* that wait */

/* true: the writer has ended, which it has if WRITER_ENDED was seen or if it never began.  false: it is
 * lost in a call, and *ret_waiting is what it had not begun to write (NULL: nothing), the caller's. */
NODISCARD bool writer_join(struct writer *w, struct batch **ret_waiting);
/* After writer_join(). */
void writer_unref(struct writer *w);

#endif
