/* within.h - an assertion that a number lies between two others, both included.
 *
 * cmocka 2.0 deprecates assert_in_range() for words that 1.1 does not know. As there, the numbers are seen as unsigned, so
 * that a negative one is outside.
 */
#ifndef SPINE_TESTS_WITHIN_H
#define SPINE_TESTS_WITHIN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>

#define assert_within(value, least, most)                                                          \
    within_at((uintmax_t)(value), (uintmax_t)(least), (uintmax_t)(most), #value, __FILE__, __LINE__)

static inline void within_at(uintmax_t value, uintmax_t least, uintmax_t most, const char *text,
                             const char *file, int line)
{
    if (value >= least && value <= most)
        return;
    print_error("%s is %" PRIuMAX ", not from %" PRIuMAX " to %" PRIuMAX "\n", text, value, least,
                most);
    _fail(file, line);
}

#endif
