#include "config.h"

#include "drivers/db.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static const enum db_cell cells[] = {DB_CELL_NUMBER, DB_CELL_TEXT};

static bool add(struct db_rows *r, const char *text, size_t len, size_t bytes)
{
    db_rows_number(r, 7);
    db_rows_text(r, text, len);
    return db_rows_end(r, bytes);
}

/* A number is 9 bytes, a text 10 and its own. */
static void rows_are_added_as_long_as_their_bytes_fit(void **state UNUSED)
{
    struct db_rows *r = db_rows_new(cells, ARRAY_LEN(cells), 10);
    assert_true(add(r, "abc", 3, 44));
    assert_true(add(r, "abc", 3, 44));
    assert_false(add(r, "", 0, 44));
    assert_int_equal(db_rows_count(r), 2);
    assert_true(add(r, "", 0, 63)); /* the one that was taken back takes no room */
    assert_int_equal(db_rows_count(r), 3);
    db_rows_clear(r);
    assert_int_equal(db_rows_count(r), 0);
    assert_true(add(r, "abc", 3, 44));
    db_rows_free(r);
}

static void the_first_row_stays_however_large_it_is(void **state UNUSED)
{
    static char text[5000];
    struct db_rows *r = db_rows_new(cells, ARRAY_LEN(cells), 10);
    assert_true(add(r, text, sizeof(text), 1));
    assert_false(add(r, "", 0, 1));
    assert_int_equal(db_rows_count(r), 1);
    db_rows_free(r);
}

/* A byte that is not UTF-8 is sent as two. */
static void the_bytes_are_those_that_are_sent(void **state UNUSED)
{
    struct db_rows *r = db_rows_new(cells, ARRAY_LEN(cells), 10);
    assert_true(add(r, "", 0, 1));
    assert_false(add(r, "\xb0", 1, 19 + 20));
    assert_true(add(r, "\xb0", 1, 19 + 21));
    db_rows_free(r);
}

static void nothing_takes_a_byte(void **state UNUSED)
{
    struct db_rows *r = db_rows_new(cells, ARRAY_LEN(cells), 10);
    assert_true(add(r, "", 0, 1));
    db_rows_null(r);
    db_rows_null(r);
    assert_true(db_rows_end(r, 19 + 2));
    assert_int_equal(db_rows_count(r), 2);
    db_rows_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_added_as_long_as_their_bytes_fit),
        cmocka_unit_test(the_first_row_stays_however_large_it_is),
        cmocka_unit_test(the_bytes_are_those_that_are_sent),
        cmocka_unit_test(nothing_takes_a_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
