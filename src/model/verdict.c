#include "config.h"

#include "model/verdict.h"

#include "base/mem.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool verdict_equal(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool verdict_number(const char *text, double *ret)
{
    char *end;
    if (text == NULL || *text == '\0')
        return false;
    *ret = strtod(text, &end);
    return *end == '\0' && isfinite(*ret);
}

/* Nothing, U and a text are each of their own kind. */
static int verdict_kind(const char *text)
{
    double ignored;
    if (text == NULL)
        return 0;
    if (strcmp(text, "U") == 0)
        return 1;
    return verdict_number(text, &ignored) ? 2 : 3;
}

static bool verdict_agrees(const char *const *round, size_t ways)
{
    for (size_t w = 1; w < ways; w++)
        if (!verdict_equal(round[0], round[w]))
            return false;
    return true;
}

/* Whether a way says the same in all rounds: the same kind, or the same text. */
static bool verdict_is_steady(const char *const *values, size_t rounds, size_t ways, size_t way,
                              bool by_text)
{
    for (size_t r = 1; r < rounds; r++) {
        const char *first = values[way], *now = values[r * ways + way];
        if (by_text ? !verdict_equal(first, now) : verdict_kind(first) != verdict_kind(now))
            return false;
    }
    return true;
}

static bool verdict_all_steady(const char *const *values, size_t rounds, size_t ways, bool by_text)
{
    for (size_t w = 0; w < ways; w++)
        if (!verdict_is_steady(values, rounds, ways, w, by_text))
            return false;
    return true;
}

/* Every number of this way is further from all numbers of the others than those are from each other. */
static bool verdict_is_apart(const double *numbers, size_t rounds, size_t ways, size_t way)
{
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (size_t i = 0; i < rounds * ways; i++) {
        if (i % ways == way)
            continue;
        low = fmin(low, numbers[i]);
        high = fmax(high, numbers[i]);
    }
    for (size_t r = 0; r < rounds; r++) {
        double own = numbers[r * ways + way];
        if (own >= low - (high - low) && own <= high + (high - low))
            return false;
    }
    return true;
}

/* All are numbers, and at least one of them has changed. */
static enum verdict verdict_of_numbers(const char *const *values, size_t rounds, size_t ways,
                                       size_t *way)
{
    double *numbers = mem_zalloc(rounds * ways, sizeof(numbers[0]));
    enum verdict v = VERDICT_MOVED;
    for (size_t i = 0; i < rounds * ways; i++)
        (void)verdict_number(values[i], &numbers[i]);
    for (*way = 0; *way < ways; (*way)++) {
        if (verdict_is_apart(numbers, rounds, ways, *way)) {
            v = VERDICT_DIFFERS;
            break;
        }
    }
    free(numbers);
    return v;
}

/* The way whose first value, or the kind of it, no other way has; `ways` if there are several such ways,
 * or none. */
static size_t verdict_odd_one(const char *const *values, size_t ways, bool by_kind)
{
    size_t odd = ways;
    for (size_t w = 0; w < ways; w++) {
        size_t same = 0;
        for (size_t other = 0; other < ways; other++)
            same += other != w && (by_kind ? verdict_kind(values[w]) == verdict_kind(values[other])
                                           : verdict_equal(values[w], values[other]));
        if (same > 0)
            continue;
        if (odd != ways)
            return ways;
        odd = w;
    }
    return odd;
}

enum verdict verdict_of(const char *const *values, size_t rounds, size_t ways, size_t *ret_way)
{
    size_t ignored, *way = ret_way != NULL ? ret_way : &ignored;
    bool numbers = true;
    *way = ways;
    for (size_t r = 0; r < rounds; r++)
        if (verdict_agrees(&values[r * ways], ways))
            return VERDICT_SAME;
    for (size_t i = 0; i < rounds * ways; i++)
        numbers &= verdict_kind(values[i]) == 2;
    /* Kinds that stay and differ are a difference, whatever the numbers among them do. */
    bool kinds_steady = verdict_all_steady(values, rounds, ways, false);
    bool kinds_differ = false;
    for (size_t w = 1; w < ways; w++)
        kinds_differ |= verdict_kind(values[0]) != verdict_kind(values[w]);
    if ((kinds_steady && kinds_differ) || verdict_all_steady(values, rounds, ways, true)) {
        *way = verdict_odd_one(values, ways, kinds_differ);
        return VERDICT_DIFFERS;
    }
    return numbers ? verdict_of_numbers(values, rounds, ways, way) : VERDICT_MOVED;
}
