/* The limit of a statement in bytes, to the byte. */
#include "config.h"

#include "model/sqltext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void put_as_it_is(void *arg UNUSED, const char *text, size_t len, struct buf *out)
{
    buf_append(out, text, len);
}

static size_t outputs(struct buf *sql, const struct output_row *rows, size_t count, size_t bytes)
{
    const struct sqltext_limits limits = {.rows = 1000, .bytes = bytes};
    buf_clear(sql);
    return sqltext_outputs(sql, "poller_output", rows, count, SIZE_MAX, &limits, put_as_it_is,
                           NULL);
}

static void a_statement_may_be_as_long_as_the_limit(void **state UNUSED)
{
    const struct output_row rows[] = {
        {1, "a", 1, "1", 1}, {2, "b", 1, "2", 1}, {3, "c", 1, "3", 1}};
    struct buf sql = BUF_INIT;
    assert_int_equal(outputs(&sql, rows, 2, SIZE_MAX), 2);
    size_t len = sql.len;
    assert_int_equal(outputs(&sql, rows, 3, len), 2);
    assert_int_equal(sql.len, len);
    assert_int_equal(outputs(&sql, rows, 3, len - 1), 1);
    buf_done(&sql);
}

/* The second statement begins with a data query that the first one has named, too. */
static void each_statement_names_its_first_data_query(void **state UNUSED)
{
    struct assert_row rows[20];
    for (uint32_t i = 0; i < ARRAY_LEN(rows); i++)
        rows[i] = (struct assert_row){UINT32_MAX - i, UINT32_MAX, "a", "1"};
    struct buf sql = BUF_INIT;
    for (size_t bytes = 500; bytes < 800; bytes++) {
        const struct sqltext_limits limits = {
            .rows = 1000, .bytes = bytes, .form = SQLTEXT_MARIADB};
        buf_clear(&sql);
        assert_true(
            sqltext_asserts(&sql, rows + 1, ARRAY_LEN(rows) - 1, &limits, put_as_it_is, NULL) > 1);
        assert_true(sql.len <= bytes);
    }
    buf_done(&sql);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_may_be_as_long_as_the_limit),
        cmocka_unit_test(each_statement_names_its_first_data_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
