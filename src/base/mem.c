#include "config.h"

#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p)
{
    if (p == NULL) {
        fputs("FATAL: out of memory\n", stderr);
        abort();
    }
    return p;
}

void *mem_alloc(size_t size)
{
    return checked(malloc(size == 0 ? 1 : size));
}

void *mem_zalloc(size_t count, size_t size)
{
    return checked(calloc(count == 0 ? 1 : count, size == 0 ? 1 : size));
}

void *mem_realloc(void *p, size_t count, size_t size)
{
    CHECK(size == 0 || count <= SIZE_MAX / size);
    return checked(realloc(p, count * size == 0 ? 1 : count * size));
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t len)
{
    char *copy = mem_alloc(len + 1);
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

void mem_check_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "FATAL: internal check failed: %s (%s:%d)\n", what, file, line);
    abort();
}
