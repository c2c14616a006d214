/* engine/rescue.h - what becomes of rows that no database has taken.
 *
 * Why:     with a spool file configured (Spool_File) they are kept for the next run; without one
 *          they are lost, and that is counted by the caller.
 * Use:     kept = rescue_rows(config, batch, left);
 *          rescue_replay(config, store);   once, when the database is known to work
 * Threads: rescue_rows: any.  rescue_replay: whoever owns the store.
 * Promise: both log what they have done, once per call.
 */
#ifndef SPINE_ENGINE_RESCUE_H
#define SPINE_ENGINE_RESCUE_H

#include "drivers/store.h"
#include "engine/config.h"

#include <stddef.h>

/* How many of the last `left` rows of the batch are in the spool file now. */
NODISCARD size_t rescue_rows(const struct config *config, const struct batch *batch, size_t left);

/* Store what an earlier run has left, as far as it is of use. */
void rescue_replay(const struct config *config, struct store *store);

#endif
