#!/bin/sh
# cmocka 1.1.5 (Debian 12: libcmocka-dev 1.1.5-2.1)
#
# Behaviour: assert_in_range(value, min, max) and assert_not_in_range() compare as unsigned numbers of
# 64 bits.  With a negative lower bound the range is empty: 3 is not within -5 and 5, and -1 is "not in
# the range" -5 to 5.  A test of a small signed number that may be negative fails for every value, and
# one with assert_not_in_range() cannot fail.
# Output seen: "3 is not within the range 18446744073709551611-5".
. "$(dirname "$0")/common.sh"
install libcmocka0=1.1.5-2.1 libcmocka-dev=1.1.5-2.1
cat >"$work/range.c" <<'C'
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void inside(void **state)
{
    (void)state;
    assert_in_range(3, -5, 5);
}

static void inside_and_negative(void **state)
{
    (void)state;
    assert_in_range(-1, -5, 5);
}

static void not_outside(void **state)
{
    (void)state;
    assert_not_in_range(-1, -5, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(inside), cmocka_unit_test(inside_and_negative),
                                       cmocka_unit_test(not_outside)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
C
lib=$(dirname "$(find "$work/root" -name 'libcmocka.so.0*' | head -n 1)")
gcc -I"$work/root/usr/include" -o "$work/range" "$work/range.c" "$lib"/libcmocka.so.0.*
seen=$(LD_LIBRARY_PATH="$lib" "$work/range" 2>&1 | grep -E '^\[  (FAILED|     OK) .*[a-z]$|is not within|OK \]' |
    grep -vE 'test\(s\)' | sort -u)
expect "$seen" "[       OK ] not_outside
[  ERROR   ] --- 18446744073709551615 is not within the range 18446744073709551611-5
[  ERROR   ] --- 3 is not within the range 18446744073709551611-5
[  FAILED  ] inside
[  FAILED  ] inside_and_negative"
