/* Every test on every kind of loop that is built; the kind is in the test's name and is the test's
 * initial state. */
#ifndef SPINE_TESTS_EVERYLOOP_H
#define SPINE_TESTS_EVERYLOOP_H

#include "base/mem.h"
#include "core/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct everyloop_kind {
    const char *name;
    enum loop_kind kind;
};

static struct everyloop_kind everyloop_kinds[] = {
    {"libevent", LOOP_LIBEVENT},
    {"poll", LOOP_POLL},
};

static inline enum loop_kind everyloop_kind_of(void **state)
{
    const struct everyloop_kind *k = *state;
    return k->kind;
}

static inline int everyloop_run_kind(struct everyloop_kind *k, const struct CMUnitTest *all,
                                     size_t count)
{
    enum { NAME_MAX_LEN = 200 };
    struct CMUnitTest *tests = mem_zalloc(count, sizeof(tests[0]));
    char(*names)[NAME_MAX_LEN] = mem_zalloc(count, sizeof(names[0]));
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "%s: %s", k->name, all[i].name);
        tests[i] = all[i];
        tests[i].name = names[i];
        tests[i].initial_state = k;
    }
    int failed = _cmocka_run_group_tests(k->name, tests, count, NULL, NULL);
    free(names);
    free(tests);
    return failed;
}

/* Returns how many failed. */
static inline int everyloop_run_tests(const struct CMUnitTest *all, size_t count)
{
    int failed = 0;
    for (size_t i = 0; i < ARRAY_LEN(everyloop_kinds); i++)
        if (loop_kind_is_built(everyloop_kinds[i].kind))
            failed += everyloop_run_kind(&everyloop_kinds[i], all, count);
    return failed;
}

#endif
