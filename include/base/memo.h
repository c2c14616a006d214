/* base/memo.h - small values that are kept for a while: bounded, aged, counted.
 *
 * Why:     what one cycle has learned saves the next one time; but a table that only grows, or whose
 *          contents cannot be seen, is a fault of its own.
 * Use:     struct memo *m = memo_new(16384, 3600000, sizeof(value));
 *          memo_put(m, key, len, now_ms, &value);
 *          if (memo_get(m, key, len, now_ms, &value)) ...
 *          memo_drop(m, key, len, true);                  it was wrong
 *          memo_free(m);
 * Threads: any, but new and free.
 * Owns:    copies of keys and values.
 * Promise: at most that many values are kept; for one more the one goes that was put or got longest ago.
 *          A value is forgotten keep_ms after it was put last, whether it is used or not.
 */
#ifndef SPINE_BASE_MEMO_H
#define SPINE_BASE_MEMO_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memo;

struct memo_figures {
    size_t entries, most;
    int64_t keep_ms;
    uint64_t hits, misses, evicted, aged;
    uint64_t wrong;    /* dropped as such */
    int64_t oldest_ms; /* age of the value that was put longest ago */
};

NODISCARD struct memo *memo_new(size_t most, int64_t keep_ms, size_t value_size);
void memo_free(struct memo *m); /* NULL allowed */

NODISCARD bool memo_get(struct memo *m, const void *key, size_t key_len, int64_t now_ms, void *ret);
void memo_put(struct memo *m, const void *key, size_t key_len, int64_t now_ms, const void *value);
void memo_drop(struct memo *m, const void *key, size_t key_len, bool wrong);
/* Looks at all of them; all zero for NULL. */
struct memo_figures memo_figures(struct memo *m, int64_t now_ms);

#endif
