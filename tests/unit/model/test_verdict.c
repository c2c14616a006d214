#include "config.h"

#include "model/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WAYS = 3, ROUNDS = 3 };

/* Equal texts in different places. */
static const char here[] = "a:5", there[] = "a:5";

static const struct {
    const char *what;
    const char *values[ROUNDS * WAYS];
    enum item_verdict verdict;
} cases[] = {
    {"a constant", {"5", "5", "5", "5", "5", "5", "5", "5", "5"}, VERDICT_SAME},
    {"a slow counter", {"5", "5", "6", "6", "6", "6", "7", "7", "7"}, VERDICT_SAME},
    {"a fast counter", {"1", "2", "3", "4", "5", "6", "7", "8", "9"}, VERDICT_MOVED},
    {"a gauge", {"8", "3", "5", "9", "4", "7", "2", "6", "1"}, VERDICT_MOVED},
    {"a gauge that rests on two ways",
     {"0.5", "0.6", "0.5", "0.5", "0.5", "0.7", "0.5", "0.6", "0.5"},
     VERDICT_MOVED},
    {"another item's counter on one way",
     {"100", "2000", "120", "150", "2100", "170", "200", "2200", "220"},
     VERDICT_DIFFERS},
    {"another constant on one way", {"5", "5", "6", "5", "5", "6", "5", "5", "6"}, VERDICT_DIFFERS},
    {"U on one way", {"1", "U", "2", "3", "U", "4", "5", "U", "6"}, VERDICT_DIFFERS},
    {"U once", {"1", "U", "2", "3", "4", "5", "6", "7", "8"}, VERDICT_MOVED},
    {"no row on one way", {"7", "7", NULL, "7", "7", NULL, "7", "7", NULL}, VERDICT_DIFFERS},
    {"a U everywhere", {"U", "U", "U", "U", "U", "U", "U", "U", "U"}, VERDICT_SAME},
    {"no row anywhere", {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}, VERDICT_SAME},
    {"pairs that move",
     {"a:1", "a:2", "a:3", "a:4", "a:5", "a:6", "a:7", "a:8", "a:9"},
     VERDICT_MOVED},
    {"other pairs on one way",
     {"a:1", "a:1", "b:1", "a:1", "a:1", "b:1", "a:1", "a:1", "b:1"},
     VERDICT_DIFFERS},
    {"pairs on one way, moving numbers on the others",
     {"1", "2", "a:1", "3", "4", "a:1", "5", "6", "a:1"},
     VERDICT_DIFFERS},
    {"a constant from three places",
     {here, there, "a:5", here, there, "a:5", here, there, "a:5"},
     VERDICT_SAME},
    {"the same once, before it moves", {"5", "5", "5", "6", "7", "8", "7", "8", "9"}, VERDICT_SAME},
    {"no row on the first way", {NULL, "7", "7", NULL, "7", "7", NULL, "7", "7"}, VERDICT_DIFFERS},
    {"a row that comes on the first way",
     {NULL, "a:7", "a:6", "a:7", "a:6", "a:7", "a:6", "a:7", "a:6"},
     VERDICT_MOVED},
    {"nothing in the row of one way", {"1", "", "2", "3", "", "4", "5", "", "6"}, VERDICT_DIFFERS},
    {"U until the last round", {"1", "U", "2", "3", "U", "4", "5", "7", "6"}, VERDICT_MOVED},
    {"as far below the others as those are apart",
     {"10", "12", "0", "14", "15", "0", "20", "18", "0"},
     VERDICT_MOVED},
    {"further below", {"10", "12", "-1", "14", "15", "-1", "20", "18", "-1"}, VERDICT_DIFFERS},
    {"as far above the others as those are apart",
     {"10", "12", "30", "14", "15", "30", "20", "18", "30"},
     VERDICT_MOVED},
    {"further above", {"10", "12", "31", "14", "15", "31", "20", "18", "31"}, VERDICT_DIFFERS},
    {"three constants", {"1", "2", "3", "1", "2", "3", "1", "2", "3"}, VERDICT_DIFFERS},
};

static void a_verdict_tells_differences_from_movement(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum item_verdict v = verdict_of(cases[i].values, ROUNDS, WAYS);
        if (v != cases[i].verdict)
            fail_msg("%s: verdict %d", cases[i].what, (int)v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verdict_tells_differences_from_movement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
