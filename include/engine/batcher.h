/* engine/batcher.h - many small results become few large statements.
 *
 * Why:     a statement for each device costs the database more than its rows; rows that wait too long
 *          are late.  When rows are due, and when too many wait, is decided here for all modules
 *          that hand rows to a database.
 * Use:     batcher_put(&b, batch, now);
 *          if (batcher_is_due(&b, now)) store(batcher_take(&b));
 *          if (batcher_is_overfull(&b)) hold new devices back;
 * Threads: any, one at a time; its users guard a batcher that they share.
 * Owns:    what was put, until it is taken.
 * Promise: no clock, no lock, no wait: times come in as monotonic milliseconds.
 */
#ifndef SPINE_ENGINE_BATCHER_H
#define SPINE_ENGINE_BATCHER_H

#include "base/compiler.h"
#include "model/batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows or hosts that make a statement worth its cost, and the longest time a row waits for more. */
enum { BATCHER_ROWS = 1000, BATCHER_HOSTS = 500, BATCHER_WAIT_MS = 250 };
/* Rows, or bytes of text, that may wait before new devices are held back. */
enum { BATCHER_ROWS_MAX = 8 * BATCHER_ROWS, BATCHER_BYTES_MAX = 8 * 1024 * 1024 };

struct batcher {
    struct batch *waiting; /* NULL = nothing */
    int64_t oldest_ms;     /* when the first of it came */
};

/* Takes the batch. */
void batcher_put(struct batcher *b, struct batch *batch, int64_t now_ms);
/* When what waits is due at the latest; INT64_MAX: nothing waits. */
int64_t batcher_due_ms(const struct batcher *b);
bool batcher_is_full(const struct batcher *b); /* enough waits for a statement */
bool batcher_is_due(const struct batcher *b, int64_t now_ms);
bool batcher_is_overfull(const struct batcher *b);
size_t batcher_rows(const struct batcher *b);
/* Everything that waits, the caller's; NULL: nothing. */
NODISCARD struct batch *batcher_take(struct batcher *b);

#endif
