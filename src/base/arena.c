#include "config.h"

#include "base/arena.h"

#include "base/mem.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A block is as large as half of all before it, so that a small arena is small and a large one has few. */
#define BLOCK_BYTES_MIN ((size_t)1024 - sizeof(struct arena_block))
#define BLOCK_BYTES_MAX ((size_t)64 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t size;
    alignas(max_align_t) unsigned char data[];
};

static struct arena_block *add_block(struct arena *a, size_t size)
{
    struct arena_block *b = mem_alloc(sizeof(*b) + size);
    b->used = 0;
    b->size = size;
    b->next = a->blocks;
    a->blocks = b;
    a->bytes += sizeof(*b) + size;
    return b;
}

static size_t next_block_bytes(const struct arena *a)
{
    size_t half = a->bytes / 2;
    if (half < BLOCK_BYTES_MIN)
        return BLOCK_BYTES_MIN;
    return half < BLOCK_BYTES_MAX ? half : BLOCK_BYTES_MAX;
}

static void *arena_take(struct arena *a, size_t size, size_t align)
{
    CHECK(size < SIZE_MAX / 2);
    struct arena_block *b = a->blocks;
    size_t start = 0;
    if (b != NULL)
        start = (b->used + align - 1) & ~(align - 1);
    if (b == NULL || start > b->size || b->size - start < size) {
        size_t block = next_block_bytes(a);
        b = add_block(a, size > block ? size : block);
        start = 0;
    }
    b->used = start + size;
    return b->data + start;
}

void *arena_zalloc(struct arena *a, size_t size)
{
    return memset(arena_take(a, size, alignof(max_align_t)), 0, size);
}

const char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

const char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    char *copy = arena_take(a, len + 1, 1);
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

void arena_done(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    a->bytes = 0;
}
