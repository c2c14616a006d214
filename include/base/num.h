/* base/num.h - text to numbers, strictly, and Cacti's lenient forms under their own names; the order of
 * numbers; and a number for a text.
 *
 * Threads: any; pure.  Independent of the locale.
 */
#ifndef SPINE_BASE_NUM_H
#define SPINE_BASE_NUM_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whole text is a decimal integer within [min, max]; *ret only on success. */
NODISCARD bool num_parse(const char *text, int64_t min, int64_t max, int64_t *ret);

/* 0 to 15, -1 if it is no hexadecimal digit. */
int num_hex_digit(char c);

/* -1, 0 or 1: a is less than b, the same, more. */
int num_order(int64_t a, int64_t b);
/* The same of two uint32_t or pid_t, for qsort() and bsearch(). */
int num_compare_u32(const void *a, const void *b);
int num_compare_pids(const void *a, const void *b);

/* Leading integer part, else 0; saturates (docs/contract.md 2.2: how settings rows are read). */
int64_t num_leading(const char *text);

/* FNV-1a, 64 bits: tells texts apart, and is no protection.  Begins with NUM_DIGEST_OF_NOTHING, and goes on with what it
 * has returned. */
#define NUM_DIGEST_OF_NOTHING UINT64_C(0xcbf29ce484222325)
uint64_t num_digest(uint64_t before, const void *bytes, size_t len);

/* on/yes/true/1 and off/no/false/0 in any case; anything else gives fallback (docs/contract.md 2.2). */
bool num_bool(const char *text, bool fallback);

#endif
