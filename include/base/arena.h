/* base/arena.h - many small objects that live and die together.
 *
 * Why:     a cycle loads a hundred thousand strings and frees them in one go.
 * Use:     struct arena a = ARENA_INIT;  char *s = arena_strdup(&a, "x");  arena_done(&a);
 * Threads: one at a time per arena; reading what it holds is free for all.
 * Owns:    everything it handed out; nothing is freed singly.
 */
#ifndef SPINE_BASE_ARENA_H
#define SPINE_BASE_ARENA_H

#include "base/compiler.h"

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t bytes; /* held, for figures and limits */
};

#define ARENA_INIT                                                                                 \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

NODISCARD void *arena_zalloc(struct arena *a, size_t size); /* zeroed, aligned for any type */
NODISCARD const char *arena_strdup(struct arena *a, const char *s);
NODISCARD const char *arena_strndup(struct arena *a, const char *s, size_t len);
void arena_done(struct arena *a);

#endif
