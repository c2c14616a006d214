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

/* All are numbers, and at least one of them has changed, which explains no way that stays apart. */
static bool verdict_one_is_apart(const char *const *values, size_t rounds, size_t ways)
{
    double *numbers = mem_zalloc(rounds * ways, sizeof(numbers[0]));
    bool apart = false;
    for (size_t i = 0; i < rounds * ways; i++)
        (void)verdict_number(values[i], &numbers[i]);
    for (size_t w = 0; w < ways; w++)
        apart |= verdict_is_apart(numbers, rounds, ways, w);
    free(numbers);
    return apart;
}

enum item_verdict verdict_of(const char *const *values, size_t rounds, size_t ways)
{
    bool numbers = true;
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
    if ((kinds_steady && kinds_differ) || verdict_all_steady(values, rounds, ways, true))
        return VERDICT_DIFFERS;
    return numbers && verdict_one_is_apart(values, rounds, ways) ? VERDICT_DIFFERS : VERDICT_MOVED;
}
