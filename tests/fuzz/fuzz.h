/* fuzz.h - what a fuzz target is: one function that takes any bytes and aborts where a property does not hold.
 *
 * Why:     libFuzzer looks for bytes that break a property; replay.c runs the bytes of corpus/NAME by
 *          `make check`, so that what was found once stays found.
 * Use:     tests/fuzz/fuzz_NAME [FILE...]     the corpus, or these files
 *          make fuzz FUZZ=NAME                looks for new ones
 *          CHECK(x) of base/mem.h states a property.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "base/buf.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a row of fields: numbers, and texts that the rest of their line holds. When it is used up, zeros
 * and empty texts come. */
struct feed {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t feed_byte(struct feed *f)
{
    if (f->left == 0)
        return 0;
    f->left--;
    return *f->at++;
}

static inline uint64_t feed_number(struct feed *f, size_t bytes)
{
    uint64_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n = n << 8 | feed_byte(f);
    return n;
}

/* Up to the separator, which is taken too. */
static inline size_t feed_span(struct feed *f, char separator, const char **ret)
{
    const char *start = (const char *)f->at, *end = NULL;
    if (f->left > 0)
        end = memchr(start, separator, f->left);
    size_t len = end == NULL ? f->left : (size_t)(end - start);
    *ret = f->left == 0 ? "" : start;
    f->at += len + (end != NULL);
    f->left -= len + (end != NULL);
    return len;
}

/* The same as a text of its own, in which a sanitizer sees each step over its end.  A NUL ends it too.  free() it. */
static inline char *feed_text(struct feed *f, char separator)
{
    const char *start;
    size_t len = feed_span(f, separator, &start);
    return mem_strndup(start, strnlen(start, len));
}

#endif
