#include "config.h"

#include "base/memo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 3, KEEP_MS = 1000 };

static void put(struct memo *m, const char *key, int64_t now_ms, int value)
{
    memo_put(m, key, strlen(key), now_ms, &value);
}

/* 0: it is not there. */
static int get(struct memo *m, const char *key, int64_t now_ms)
{
    int value = 0;
    bool there = memo_get(m, key, strlen(key), now_ms, &value);
    assert_int_equal(there, value != 0);
    return value;
}

static void a_value_is_there_until_it_is_too_old(void **state UNUSED)
{
    struct memo *m = memo_new(MOST, KEEP_MS, sizeof(int));
    put(m, "a", 0, 1);
    put(m, "aa", 0, 2);
    assert_int_equal(get(m, "a", KEEP_MS - 1), 1);
    assert_int_equal(get(m, "a", KEEP_MS), 0); /* use makes it no younger */
    put(m, "aa", KEEP_MS - 1, 3);
    assert_int_equal(get(m, "aa", KEEP_MS), 3);
    const struct memo_figures f = memo_figures(m, 0);
    assert_int_equal(f.entries, 1);
    assert_int_equal(f.hits, 2);
    assert_int_equal(f.misses, 1);
    assert_int_equal(f.aged, 1);
    memo_free(m);
}

static void what_is_used_stays_when_there_are_too_many(void **state UNUSED)
{
    struct memo *m = memo_new(MOST, KEEP_MS, sizeof(int));
    put(m, "a", 0, 1);
    put(m, "b", 0, 2);
    put(m, "c", 0, 3);
    assert_int_equal(get(m, "a", 1), 1);
    put(m, "d", 1, 4);
    assert_int_equal(get(m, "b", 1), 0);
    assert_int_equal(get(m, "a", 1), 1);
    assert_int_equal(get(m, "c", 1), 3);
    assert_int_equal(get(m, "d", 1), 4);
    put(m, "d", 1, 5); /* no new one */
    assert_int_equal(memo_figures(m, 7).oldest_ms, 7);
    assert_int_equal(memo_figures(m, 0).entries, MOST);
    assert_int_equal(memo_figures(m, 0).evicted, 1);
    memo_free(m);
}

static void what_is_wrong_is_counted(void **state UNUSED)
{
    struct memo *m = memo_new(MOST, KEEP_MS, sizeof(int));
    put(m, "a", 0, 1);
    put(m, "b", 0, 2);
    memo_drop(m, "a", 1, true);
    memo_drop(m, "a", 1, true);
    memo_drop(m, "b", 1, false);
    assert_int_equal(get(m, "a", 0), 0);
    assert_int_equal(memo_figures(m, 0).entries, 0);
    assert_int_equal(memo_figures(m, 0).wrong, 1);
    memo_free(m);
    memo_free(NULL);
    assert_int_equal(memo_figures(NULL, 0).most, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_there_until_it_is_too_old),
        cmocka_unit_test(what_is_used_stays_when_there_are_too_many),
        cmocka_unit_test(what_is_wrong_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
