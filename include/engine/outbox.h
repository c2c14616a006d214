/* engine/outbox.h - where the legacy loop's polling threads leave results for the database thread.
 *
 * Why:     many small results become few large statements: a batch is handed on when it is full or
 *          its oldest row has waited CYCLE_BATCH_WAIT_MS.
 * Use:     poller: outbox_put(o, batch);
 *          database thread: while ((b = outbox_take(o)) != NULL) cycle_write(c, b);
 * Threads: any.
 * Owns:    what was put, until it is taken.
 * Promise: everything put before outbox_close() is taken exactly once. outbox_put() waits while
 *          cycle_batch_is_overfull(), so memory is bounded and only new work is held back.
 */
#ifndef SPINE_ENGINE_OUTBOX_H
#define SPINE_ENGINE_OUTBOX_H

#include "base/compiler.h"
#include "model/batch.h"

struct outbox;

NODISCARD struct outbox *outbox_new(void);
void outbox_free(struct outbox *o); /* NULL allowed */
void outbox_put(struct outbox *o, struct batch *batch);
NODISCARD struct batch *outbox_take(struct outbox *o); /* NULL: closed and empty */
size_t outbox_rows(struct outbox *o);                  /* that wait */
void outbox_relax(struct outbox *o); /* polling is over: put does not wait any more */
void outbox_close(struct outbox *o);

#endif
