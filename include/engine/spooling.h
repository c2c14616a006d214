/* engine/spooling.h - what becomes of rows that no database has taken.
 *
 * Why:     with a spool file configured (Spool_File) they are kept for the next run; without one
 *          they are lost, and that is counted by the caller.
 * Use:     kept = spooling_keep(config, batch, left);
 *          spooling_restore(config, store);   once, when the database is known to work
 * Threads: spooling_keep: any.  spooling_restore: the thread that owns the store.
 * Promise: both log what they have done, once per call.
 */
#ifndef SPINE_ENGINE_SPOOLING_H
#define SPINE_ENGINE_SPOOLING_H

#include "drivers/store.h"
#include "engine/config.h"

#include <stddef.h>

/* One WARNING at the start of a cycle if the spool file could not be used when it is needed. */
void spooling_check(const struct config *config);

/* How many of the last `left` rows of the batch are in the spool file now. */
NODISCARD size_t spooling_keep(const struct config *config, const struct batch *batch, size_t left);

/* Store what an earlier run has left, as far as it is of use. */
void spooling_restore(const struct config *config, struct store *store);

#endif
