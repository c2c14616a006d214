/* base/mem.h - allocation that cannot fail.
 *
 * Why:     there is no sensible way to go on with a half-allocated cycle; one policy, no dead
 *          branches.
 * Threads: any.
 * Promise: returns memory or ends the process by SIGABRT; one line says why, on standard error and as the
 *          last word of the log (base/lastword.h).
 */
#ifndef SPINE_BASE_MEM_H
#define SPINE_BASE_MEM_H

#include "base/compiler.h"

#include <stddef.h>

NODISCARD void *mem_alloc(size_t size);
NODISCARD void *mem_zalloc(size_t count, size_t size); /* zeroed, overflow-checked */
NODISCARD void *mem_realloc(void *p, size_t count, size_t size);
/* Room for one more element after `count` of them: an array that is full, or none, gets twice its room,
 * at first `first`. */
NODISCARD void *mem_grow(void *p, size_t count, size_t *cap, size_t first, size_t size);
NODISCARD char *mem_strdup(const char *s);
NODISCARD char *mem_strndup(const char *s, size_t len);

/* What a library has allocated: p, or the end of the process if it is NULL. */
void *mem_need(void *p);
/* A library has not found the memory that it needs. */
NORETURN void mem_lack(void);

/* A failed internal check: says where and aborts.  Always on. */
NORETURN void mem_check_failed(const char *what, const char *file, int line);
#define CHECK(x) ((x) ? (void)0 : mem_check_failed(#x, __FILE__, __LINE__))

#endif
