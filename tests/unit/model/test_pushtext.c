#include "config.h"

#include "model/pushtext.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sqltext_limits wide = {.rows = 1000, .bytes = 1 << 20};

/* Marks what went through it, so that unescaped text shows. */
static void fake_escape(void *arg, const char *text, size_t len, struct buf *out)
{
    (void)arg;
    buf_putc(out, '<');
    buf_append(out, text, len);
    buf_putc(out, '>');
}

static size_t occurrences(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, word)) != NULL; p++)
        n++;
    return n;
}

/* ---- hosts ---- */

static struct pushed_host host(uint32_t id)
{
    struct pushed_host h = {.id = id};
    for (size_t i = 0; i < PUSHTEXT_HOST_FIELDS; i++) {
        h.fields[i] = "7";
        h.lengths[i] = 1;
    }
    return h;
}

static void the_query_has_a_column_for_every_field(void **state)
{
    (void)state;
    struct buf sql = BUF_INIT;
    pushtext_select_hosts(&sql, 2, 4294967295u, 1000);
    const char *from = strstr(buf_str(&sql), " FROM host WHERE poller_id=2 AND id>4294967295 "
                                             "ORDER BY id LIMIT 1000");
    assert_non_null(from);
    buf_truncate(&sql, (size_t)(from - sql.data));
    assert_int_equal(occurrences(buf_str(&sql), ","), PUSHTEXT_HOST_FIELDS);
    assert_int_equal(occurrences(buf_str(&sql), "UNIX_TIMESTAMP("), 3);
    assert_memory_equal(buf_str(&sql), "SELECT id,snmp_sysDescr,", 24);
    buf_done(&sql);
}

static void status_reaches_devices_that_exist_and_creates_none(void **state)
{
    (void)state;
    const struct pushed_host rows[] = {host(4), host(5)};
    struct buf sql = BUF_INIT;
    assert_int_equal(pushtext_hosts(&sql, rows, 2, &wide, fake_escape, NULL), 2);
    const char *text = buf_str(&sql);
    assert_memory_equal(text, "UPDATE (SELECT 4 AS id,'<7>' AS c0,'<7>' AS c1,7 AS c2,", 55);
    assert_non_null(strstr(text, " UNION ALL SELECT 5,'<7>','<7>',7,"));
    assert_non_null(strstr(text, ") AS d STRAIGHT_JOIN host AS h ON h.id=d.id SET "
                                 "h.snmp_sysDescr=d.c0,"));
    assert_non_null(strstr(text, ",h.status=d.c6,"));
    /* FROM_UNIXTIME(0) is NULL on new servers, and becomes the present. */
    assert_non_null(strstr(text, ",h.status_fail_date="
                                 "IF(d.c8=0,'0000-00-00 00:00:00',FROM_UNIXTIME(d.c8)),"));
    static const char end[] =
        ",h.last_updated=IF(d.c19=0,'0000-00-00 00:00:00',FROM_UNIXTIME(d.c19))";
    assert_string_equal(text + sql.len - (sizeof(end) - 1), end);
    assert_null(strstr(text, "INSERT"));
    assert_int_equal(occurrences(text, "'<"), 12); /* six texts each */
    buf_done(&sql);
}

static void what_is_not_a_number_is_not_sent_as_one(void **state)
{
    (void)state;
    struct pushed_host h = host(1);
    h.fields[2] = "1),(2";
    h.lengths[2] = 5;
    h.fields[6] = NULL;
    h.fields[0] = "a\0b";
    h.lengths[0] = 3;
    struct buf sql = BUF_INIT;
    assert_int_equal(pushtext_hosts(&sql, &h, 1, &wide, fake_escape, NULL), 1);
    static const char want[] = "SELECT 1 AS id,'<a\0b>' AS c0,'<7>' AS c1,0 AS c2,";
    assert_memory_equal(buf_str(&sql) + 8, want, sizeof(want) - 1);
    static const char null[] = ",NULL AS c6,";
    assert_non_null(memmem(buf_str(&sql), sql.len, null, sizeof(null) - 1));
    buf_done(&sql);
}

static void a_number_without_digits_is_zero(void **state)
{
    (void)state;
    struct pushed_host h = host(1);
    h.fields[2] = "";
    h.lengths[2] = 0;
    struct buf sql = BUF_INIT;
    assert_int_equal(pushtext_hosts(&sql, &h, 1, &wide, fake_escape, NULL), 1);
    assert_non_null(strstr(buf_str(&sql), ",0 AS c2,"));
    buf_done(&sql);
}

static size_t hosts_within(const struct sqltext_limits *limits, size_t *ret_len)
{
    const struct pushed_host rows[] = {host(10), host(11), host(12)};
    struct buf sql = BUF_INIT;
    size_t n = pushtext_hosts(&sql, rows, 3, limits, fake_escape, NULL);
    *ret_len = sql.len;
    buf_done(&sql);
    return n;
}

static void hosts_fill_a_statement_up_to_its_limits(void **state)
{
    (void)state;
    size_t full, len;
    assert_int_equal(hosts_within(&(struct sqltext_limits){.rows = 2, .bytes = 1 << 20}, &full), 2);
    assert_int_equal(hosts_within(&(struct sqltext_limits){.rows = 9, .bytes = full}, &len), 2);
    assert_int_equal(len, full);
    assert_int_equal(hosts_within(&(struct sqltext_limits){.rows = 9, .bytes = full - 1}, &len), 1);
    assert_int_equal(hosts_within(&(struct sqltext_limits){.rows = 9, .bytes = 1}, &len), 1);
}

/* Every row in exactly one statement: the 501st as well. */
static void no_host_is_left_out_at_any_edge(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 499, 500, 501, 999, 1000, 1001, 1500, 2001};
    static const struct sqltext_limits limits[] = {{.rows = 500, .bytes = 1 << 20},
                                                   {.rows = 1000, .bytes = 1 << 20},
                                                   {.rows = 1000, .bytes = 3000}};
    struct pushed_host *rows = mem_zalloc(2001, sizeof(rows[0]));
    for (uint32_t i = 0; i < 2001; i++)
        rows[i] = host(i + 10000);
    for (size_t l = 0; l < 3; l++) {
        for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
            struct buf sql = BUF_INIT;
            size_t at = 0, n;
            while ((n = pushtext_hosts(&sql, rows + at, counts[c] - at, &limits[l], fake_escape,
                                       NULL)) > 0) {
                at += n;
                buf_puts(&sql, ",");
            }
            assert_int_equal(at, counts[c]);
            const char *p = buf_str(&sql);
            for (uint32_t i = 0; i < counts[c]; i++) { /* in order, none missing, none twice */
                assert_non_null(p = strstr(p, "SELECT "));
                assert_int_equal(strtoul(p += 7, NULL, 10), i + 10000);
            }
            assert_null(strstr(p, "SELECT "));
            buf_done(&sql);
        }
    }
    free(rows);
}

/* ---- next steps ---- */

static char *step_statements(struct pushed_steps *steps, struct sqltext_limits limits)
{
    struct buf sql = BUF_INIT;
    pushed_steps_end(steps);
    size_t at = 0;
    while (at < steps->count) {
        size_t n =
            pushtext_steps(&sql, steps->rows + at, steps->count - at, &limits, fake_escape, NULL);
        assert_true(n > 0);
        at += n;
        buf_putc(&sql, '\n');
    }
    assert_int_equal(at, steps->count);
    pushed_steps_done(steps);
    buf_puts(&sql, "");
    return buf_take(&sql);
}

static void no_items_no_statement(void **state)
{
    (void)state;
    struct pushed_steps steps = {0};
    char *text = step_statements(&steps, wide);
    assert_string_equal(text == NULL ? "" : text, "");
    free(text);
}

static void equal_steps_share_a_statement(void **state)
{
    (void)state;
    struct pushed_steps steps = {0};
    pushed_steps_add(&steps, 1, "in", 60);
    pushed_steps_add(&steps, 1, "out", 60);
    pushed_steps_add(&steps, 2, "", -60);
    pushed_steps_add(&steps, 3, "a", 60);
    char *text = step_statements(&steps, wide);
    assert_string_equal(text,
                        "UPDATE poller_item SET rrd_next_step=-60 WHERE local_data_id IN (2)\n"
                        "UPDATE poller_item SET rrd_next_step=60 WHERE local_data_id IN (1,3)\n");
    free(text);
}

static void items_of_one_source_that_disagree_keep_their_own_step(void **state)
{
    (void)state;
    struct pushed_steps steps = {0};
    pushed_steps_add(&steps, 1, "in", 60);
    pushed_steps_add(&steps, 2, "in", 60);
    pushed_steps_add(&steps, 2, "o'ut", 0);
    pushed_steps_add(&steps, 3, "in", 0);
    pushed_steps_add(&steps, 3, "out", 60);
    char *text = step_statements(&steps, wide);
    assert_string_equal(
        text,
        "UPDATE poller_item SET rrd_next_step=0 WHERE local_data_id=2 AND rrd_name='<o'ut>' OR "
        "local_data_id=3 AND rrd_name='<in>'\n"
        "UPDATE poller_item SET rrd_next_step=60 WHERE local_data_id IN (1)\n"
        "UPDATE poller_item SET rrd_next_step=60 WHERE local_data_id=2 AND rrd_name='<in>' OR "
        "local_data_id=3 AND rrd_name='<out>'\n");
    free(text);
}

static void no_step_is_left_out_at_any_edge(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 499, 500, 501, 1000, 1001, 10000, 10001};
    static const struct sqltext_limits limits[] = {{.rows = 500, .bytes = 1 << 20},
                                                   {.rows = 10000, .bytes = 1 << 20},
                                                   {.rows = 5000, .bytes = 200}};
    for (size_t l = 0; l < 3; l++) {
        for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
            struct pushed_steps steps = {0};
            for (uint32_t i = 1; i <= counts[c]; i++)
                pushed_steps_add(&steps, i, "x", 300);
            char *text = step_statements(&steps, limits[l]);
            uint32_t next = 1;
            for (char *p = strchr(text, '('); p != NULL; p = strchr(p, '(')) {
                for (p++; *p != ')'; p += *p == ',')
                    assert_int_equal(strtoul(p, &p, 10), next++);
            }
            assert_int_equal(next, counts[c] + 1);
            free(text);
        }
    }
}

static void the_last_item_of_a_source_counts_as_the_others_do(void **state)
{
    (void)state;
    struct pushed_steps steps = {0};
    pushed_steps_add(&steps, 1, "a", 60);
    pushed_steps_add(&steps, 1, "b", 60);
    pushed_steps_add(&steps, 1, "c", 0);
    pushed_steps_end(&steps);
    assert_int_equal(steps.count, 3);
    assert_string_equal(steps.rows[0].rrd_name, "c");
    pushed_steps_done(&steps);
}

static size_t steps_within(const struct sqltext_limits *limits, size_t *ret_len)
{
    const struct pushed_step rows[] = {{60, 10, NULL}, {60, 11, NULL}, {60, 12, NULL}};
    struct buf sql = BUF_INIT;
    size_t n = pushtext_steps(&sql, rows, 3, limits, fake_escape, NULL);
    *ret_len = sql.len;
    buf_done(&sql);
    return n;
}

static void steps_fill_a_statement_up_to_its_limits(void **state)
{
    (void)state;
    size_t full, len;
    assert_int_equal(steps_within(&(struct sqltext_limits){.rows = 2, .bytes = 1 << 20}, &full), 2);
    assert_int_equal(steps_within(&(struct sqltext_limits){.rows = 9, .bytes = full}, &len), 2);
    assert_int_equal(len, full);
    assert_int_equal(steps_within(&(struct sqltext_limits){.rows = 9, .bytes = full - 1}, &len), 1);
    assert_int_equal(steps_within(&(struct sqltext_limits){.rows = 9, .bytes = 1}, &len), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_query_has_a_column_for_every_field),
        cmocka_unit_test(status_reaches_devices_that_exist_and_creates_none),
        cmocka_unit_test(what_is_not_a_number_is_not_sent_as_one),
        cmocka_unit_test(a_number_without_digits_is_zero),
        cmocka_unit_test(hosts_fill_a_statement_up_to_its_limits),
        cmocka_unit_test(no_host_is_left_out_at_any_edge),
        cmocka_unit_test(no_items_no_statement),
        cmocka_unit_test(equal_steps_share_a_statement),
        cmocka_unit_test(items_of_one_source_that_disagree_keep_their_own_step),
        cmocka_unit_test(no_step_is_left_out_at_any_edge),
        cmocka_unit_test(the_last_item_of_a_source_counts_as_the_others_do),
        cmocka_unit_test(steps_fill_a_statement_up_to_its_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
