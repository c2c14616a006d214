#include "config.h"

#include "model/sqltext.h"

#include "../../support/within.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ON_DUPLICATE " ON DUPLICATE KEY UPDATE output=VALUES(output)"

static const struct sqltext_limits wide = {.rows = 1000, .bytes = 1 << 20};

/* Marks what went through it, so that unescaped text shows. */
static void fake_escape(void *arg, const char *text, size_t len, struct buf *out)
{
    if (arg != NULL)
        ++*(size_t *)arg;
    buf_putc(out, '<');
    buf_append(out, text, len);
    buf_putc(out, '>');
}

static size_t outputs(struct buf *sql, const struct output_row *rows, size_t count,
                      struct sqltext_limits limits)
{
    buf_clear(sql);
    return sqltext_outputs(sql, "poller_output", rows, count, SIZE_MAX, &limits, fake_escape, NULL);
}

static void results_become_one_statement(void **state)
{
    (void)state;
    const struct output_row rows[] = {
        {1, "traffic_in", 1700000000, "42", 2},
        {4294967295u, "", 0, "a:1 b:2", 7},
    };
    struct buf sql = BUF_INIT;
    size_t escaped = 0;
    assert_int_equal(sqltext_outputs(&sql, "poller_output_boost", rows, 2, SIZE_MAX, &wide,
                                     fake_escape, &escaped),
                     2);
    assert_string_equal(
        buf_str(&sql),
        "INSERT INTO poller_output_boost (local_data_id,rrd_name,time,output) VALUES "
        "(1,'<traffic_in>',FROM_UNIXTIME(1700000000),'<42>'),"
        "(4294967295,'<>','0000-00-00 00:00:00','<a:1 b:2>')" ON_DUPLICATE);
    assert_int_equal(escaped, 4);
    buf_done(&sql);
}

static void a_column_gets_no_half_of_a_number(void **state)
{
    (void)state;
    static const char pairs[] = "in:5 out:6 last:42";
    const struct output_row rows[] = {{1, "", 1, pairs, sizeof(pairs) - 1},
                                      {2, "", 1, "123456789012345678", 18},
                                      {3, "", 1, "12345678901234567", 17},
                                      {4, "", 1, "U", 1},
                                      {5, "", 1, "", 0}};
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_outputs(&sql, "poller_output", rows, 5, 17, &wide, fake_escape, NULL),
                     5);
    assert_string_equal(
        buf_str(&sql),
        "INSERT INTO poller_output (local_data_id,rrd_name,time,output) VALUES "
        "(1,'<>',FROM_UNIXTIME(1),'<in:5 out:6>'),(2,'<>',FROM_UNIXTIME(1),'<U>'),"
        "(3,'<>',FROM_UNIXTIME(1),'<12345678901234567>'),"
        "(4,'<>',FROM_UNIXTIME(1),'<U>'),(5,'<>',FROM_UNIXTIME(1),'<>')" ON_DUPLICATE);
    buf_done(&sql);
}

static void a_nul_in_a_result_reaches_the_escaper(void **state)
{
    (void)state;
    const struct output_row row = {1, "", -5, "a\0b", 3};
    struct buf sql = BUF_INIT;
    assert_int_equal(outputs(&sql, &row, 1, wide), 1);
    static const char want[] = "(1,'<>','0000-00-00 00:00:00','<a\0b>')";
    const char *at = strstr(buf_str(&sql), "(1,");
    assert_memory_equal(at, want, sizeof(want) - 1);
    buf_done(&sql);
}

static void statements_respect_the_row_limit(void **state)
{
    (void)state;
    struct output_row rows[25];
    for (uint32_t i = 0; i < 25; i++)
        rows[i] = (struct output_row){i, "x", 1, "1", 1};
    struct buf sql = BUF_INIT;
    struct sqltext_limits ten = {.rows = 10, .bytes = 1 << 20};
    assert_int_equal(outputs(&sql, rows, 25, ten), 10);
    assert_int_equal(outputs(&sql, rows + 10, 15, ten), 10);
    assert_int_equal(outputs(&sql, rows + 20, 5, ten), 5);
    assert_non_null(strstr(buf_str(&sql), "VALUES (20,"));
    assert_non_null(strstr(buf_str(&sql), ",(24,"));
    buf_done(&sql);
}

static void statements_respect_the_byte_limit(void **state)
{
    (void)state;
    struct output_row rows[100];
    for (uint32_t i = 0; i < 100; i++)
        rows[i] = (struct output_row){i, "name", 1, "123456789", 9};
    struct buf sql = BUF_INIT;
    size_t at = 0;
    for (size_t limit = 200; limit < 3000; limit += 7) {
        struct sqltext_limits limits = {.rows = 1000, .bytes = limit};
        size_t n = outputs(&sql, rows, 100, limits);
        assert_true(n >= at && n >= 1 && n < 100);
        assert_true(sql.len <= limit || n == 1);
        assert_string_equal(buf_str(&sql) + sql.len - strlen(ON_DUPLICATE), ON_DUPLICATE);
        at = n;
    }
    assert_true(at > 20);
    buf_done(&sql);
}

static void mysql_from_8_0_20_is_not_asked_for_what_it_warns_of(void **state)
{
    (void)state;
    const struct output_row rows[] = {{1, "a", 1700000000, "1", 1}};
    struct buf sql = BUF_INIT;
    struct sqltext_limits limits = {.rows = 1000, .bytes = 1000, .row_alias = true};
    assert_int_equal(outputs(&sql, rows, 1, limits), 1);
    assert_string_equal(buf_str(&sql),
                        "INSERT INTO poller_output (local_data_id,rrd_name,time,output) VALUES "
                        "(1,'<a>',FROM_UNIXTIME(1700000000),'<1>')"
                        " AS new ON DUPLICATE KEY UPDATE output=new.output");
    buf_done(&sql);
}

static void the_byte_limit_counts_this_statement_only(void **state)
{
    (void)state;
    const struct output_row rows[] = {{1, "a", 1, "1", 1}, {2, "b", 1, "2", 1}};
    struct buf sql = BUF_INIT;
    for (int i = 0; i < 100; i++)
        buf_puts(&sql, "something before; ");
    struct sqltext_limits limits = {.rows = 1000, .bytes = 400};
    assert_int_equal(
        sqltext_outputs(&sql, "poller_output", rows, 2, SIZE_MAX, &limits, fake_escape, NULL), 2);
    buf_done(&sql);
}

static void a_huge_result_goes_alone(void **state)
{
    (void)state;
    char *big = malloc(5000);
    memset(big, 'x', 5000);
    const struct output_row rows[] = {
        {1, "a", 1, "1", 1}, {2, "b", 1, big, 5000}, {3, "c", 1, "3", 1}};
    struct buf sql = BUF_INIT;
    struct sqltext_limits limits = {.rows = 1000, .bytes = 1000};
    assert_int_equal(outputs(&sql, rows, 3, limits), 1);
    assert_null(strstr(buf_str(&sql), "xxx"));
    assert_int_equal(outputs(&sql, rows + 1, 2, limits), 1);
    assert_true(sql.len > 5000);
    assert_int_equal(outputs(&sql, rows + 2, 1, limits), 1);
    buf_done(&sql);
    free(big);
}

static void nothing_to_do_makes_no_statement(void **state)
{
    (void)state;
    struct buf sql = BUF_INIT;
    assert_int_equal(outputs(&sql, NULL, 0, wide), 0);
    assert_int_equal(sqltext_hosts(&sql, NULL, 0, &wide, fake_escape, NULL), 0);
    assert_int_equal(sqltext_next_step(&sql, 1, 300, NULL, 0, &wide), 0);
    assert_int_equal(sqltext_recaches(&sql, 1, NULL, 0, &wide), 0);
    assert_int_equal(sqltext_asserts(&sql, NULL, 0, &wide, fake_escape, NULL), 0);
    assert_int_equal(sql.len, 0);
    buf_done(&sql);
}

#define SET_STATUS                                                                                 \
    ") AS d STRAIGHT_JOIN host AS h ON h.id=d.id SET h.status=d.st,h.status_event_count=d.ec,"     \
    "h.status_fail_date=IF(d.fd=0,'0000-00-00 00:00:00',FROM_UNIXTIME(d.fd)),"                     \
    "h.status_rec_date=IF(d.rd=0,'0000-00-00 00:00:00',FROM_UNIXTIME(d.rd)),"                      \
    "h.status_last_error=d.le,"                                                                    \
    "h.min_time=d.mi,h.max_time=d.ma,h.cur_time=d.cu,h.avg_time=d.av,h.total_polls=d.tp,h.failed_" \
    "polls=d.fp,"                                                                                  \
    "h.availability=d.ab,h.polling_time=d.pt"

static struct host_row host(uint32_t id, const char *last_error)
{
    return (struct host_row){.device_id = id,
                             .has_status = true,
                             .has_polling_time = true,
                             .polling_time = 1.23456,
                             .status = {.status = HOST_DOWN,
                                        .event_count = 2,
                                        .fail_date = 1700000000,
                                        .last_error = last_error,
                                        .min_time = 0.1234567,
                                        .max_time = 10,
                                        .cur_time = 5,
                                        .avg_time = 7.5,
                                        .total_polls = 100,
                                        .failed_polls = 3,
                                        .availability = 97.00004}};
}

static void host_status_updates_and_never_inserts(void **state)
{
    (void)state;
    const struct host_row rows[] = {host(7, "it's down"), host(8, NULL)};
    struct buf sql = BUF_INIT;
    size_t escaped = 0;
    assert_int_equal(sqltext_hosts(&sql, rows, 2, &wide, fake_escape, &escaped), 2);
    assert_string_equal(
        buf_str(&sql),
        "UPDATE (SELECT 7 AS id,1 AS st,2 AS ec,1700000000 AS fd,0 AS rd,'<it's down>' AS le,"
        "0.12346 AS mi,10.00000 AS ma,5.00000 AS cu,7.50000 AS av,100 AS tp,3 AS fp,97.0000 AS "
        "ab,"
        "1.235 AS pt UNION ALL SELECT 8,1,2,1700000000,0,'<>',"
        "0.12346,10.00000,5.00000,7.50000,100,3,97.0000,1.235" SET_STATUS);
    assert_int_equal(escaped, 2);
    buf_done(&sql);
}

static void host_rows_of_two_kinds_go_apart(void **state)
{
    (void)state;
    struct host_row rows[] = {host(1, ""), host(2, ""), host(3, ""), host(4, "")};
    rows[1].has_status = rows[2].has_status = false;
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_hosts(&sql, rows, 4, &wide, fake_escape, NULL), 1);
    buf_clear(&sql);
    assert_int_equal(sqltext_hosts(&sql, rows + 1, 3, &wide, fake_escape, NULL), 2);
    assert_string_equal(buf_str(&sql),
                        "UPDATE (SELECT 2 AS id,1.235 AS pt UNION ALL SELECT 3,1.235) AS d "
                        "STRAIGHT_JOIN host AS h ON h.id=d.id SET h.polling_time=d.pt");
    buf_clear(&sql);
    assert_int_equal(sqltext_hosts(&sql, rows + 3, 1, &wide, fake_escape, NULL), 1);
    buf_done(&sql);
}

static void a_ping_only_run_leaves_the_polling_time_alone(void **state)
{
    (void)state;
    struct host_row rows[] = {host(1, ""), host(2, ""), host(3, "")};
    rows[0].has_polling_time = rows[1].has_polling_time = false;
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_hosts(&sql, rows, 3, &wide, fake_escape, NULL), 2);
    assert_null(strstr(buf_str(&sql), "pt"));
    assert_null(strstr(buf_str(&sql), "polling_time"));
    static const char end[] = "h.availability=d.ab";
    assert_string_equal(buf_str(&sql) + sql.len - strlen(end), end);
    buf_done(&sql);
}

#define KEEP(column, new)                                                                          \
    "h.snmp_sys" column                                                                            \
    "=IFNULL(CONVERT(d." new " USING utf8mb4) COLLATE utf8mb4_bin,h.snmp_sys" column "),"
#define SET_SYSTEM                                                                                 \
    KEEP("Descr", "sd")                                                                            \
    KEEP("ObjectID", "so")                                                                         \
    KEEP("Contact", "sc")                                                                          \
    KEEP("Name", "sn")                                                                             \
    KEEP("Location", "sl") "h.snmp_sysUpTimeInstance=IFNULL(d.su,h.snmp_sysUpTimeInstance)"

static void system_information_that_was_not_obtained_stays(void **state)
{
    (void)state;
    const struct system_info some = {.object_id = "iso.3", .name = "r'1", .location = ""};
    const struct system_info all = {"d", "o", "c", "n", "l", true, 4294967296};
    struct host_row rows[] = {{.device_id = 1, .has_polling_time = true, .polling_time = 2},
                              {.device_id = 2, .has_polling_time = true, .system = &some},
                              {.device_id = 3, .has_polling_time = true, .system = &all}};
    struct buf sql = BUF_INIT;
    size_t escaped = 0;
    assert_int_equal(sqltext_hosts(&sql, rows, 3, &wide, fake_escape, &escaped), 3);
    assert_string_equal(
        buf_str(&sql),
        "UPDATE (SELECT 1 AS id,NULL AS sd,NULL AS so,NULL AS sc,NULL AS sn,NULL AS sl,NULL AS su,"
        "2.000 AS pt UNION ALL SELECT 2,NULL,'<iso.3>',NULL,'<r'1>','<>',NULL,0.000"
        " UNION ALL SELECT 3,'<d>','<o>','<c>','<n>','<l>',4294967296,0.000"
        ") AS d STRAIGHT_JOIN host AS h ON h.id=d.id SET " SET_SYSTEM ",h.polling_time=d.pt");
    assert_int_equal(escaped, 8);
    buf_clear(&sql);
    rows[1].has_polling_time = false;
    assert_int_equal(sqltext_hosts(&sql, rows + 1, 1, &wide, fake_escape, NULL), 1);
    assert_string_equal(
        buf_str(&sql),
        "UPDATE (SELECT 2 AS id,NULL AS sd,'<iso.3>' AS so,NULL AS sc,'<r'1>' AS sn,'<>' AS sl,"
        "NULL AS su) AS d STRAIGHT_JOIN host AS h ON h.id=d.id SET " SET_SYSTEM);
    buf_done(&sql);
}

static void status_and_system_information_share_a_statement(void **state)
{
    (void)state;
    const struct system_info info = {.has_uptime = true, .uptime_ticks = -5};
    struct host_row rows[] = {host(1, ""), host(2, "")};
    rows[1].system = &info;
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_hosts(&sql, rows, 2, &wide, fake_escape, NULL), 2);
    assert_non_null(strstr(buf_str(&sql), "97.0000 AS ab,NULL AS sd,"));
    assert_non_null(strstr(buf_str(&sql), "NULL AS su,1.235 AS pt UNION ALL"));
    assert_non_null(strstr(buf_str(&sql), ",NULL,0,1.235) AS d"));
    assert_non_null(strstr(buf_str(&sql), "h.availability=d.ab," SET_SYSTEM ",h.polling_time="));
    buf_clear(&sql);
    struct sqltext_limits one = {.rows = 1, .bytes = 1 << 20};
    assert_int_equal(sqltext_hosts(&sql, rows, 2, &one, fake_escape, NULL), 1);
    assert_null(strstr(buf_str(&sql), "snmp_sys")); /* no row of this statement has any */
    buf_done(&sql);
}

static void a_host_with_nothing_to_write_makes_no_statement(void **state)
{
    (void)state;
    const struct host_row rows[] = {{.device_id = 1}, {.device_id = 2}, host(3, "")};
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_hosts(&sql, rows, 3, &wide, fake_escape, NULL), 2);
    assert_int_equal(sql.len, 0);
    buf_done(&sql);
}

static size_t quoted_len(const struct buf *sql, const char *after)
{
    const char *from = strstr(buf_str(sql), after);
    assert_non_null(from);
    from = strchr(from, '<');
    return (size_t)(strchr(from, '>') - from - 1);
}

static void system_information_is_cut_to_the_columns(void **state)
{
    (void)state;
    char text[1001] = "";
    for (size_t i = 0; i < 500; i++)
        memcpy(text + i * 2, "\xC3\xA9", 3);
    const struct system_info info = {text, text, text, text, text, false, 0};
    const struct host_row row = {.device_id = 1, .system = &info};
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_hosts(&sql, &row, 1, &wide, fake_escape, NULL), 1);
    assert_int_equal(quoted_len(&sql, "SELECT"), 300 * 2);
    assert_int_equal(quoted_len(&sql, "AS sd"), 128 * 2);
    assert_int_equal(quoted_len(&sql, "AS so"), 300 * 2);
    assert_int_equal(quoted_len(&sql, "AS sc"), 300 * 2);
    assert_int_equal(quoted_len(&sql, "AS sn"), 300 * 2);
    buf_done(&sql);
}

static void a_failed_assertion_becomes_a_command_for_cacti(void **state)
{
    (void)state;
    const struct recache_row rows[] = {{3, 5}, {4294967295u, 1}, {7, 7}};
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_recaches(&sql, 2, rows, 3, &wide), 3);
    assert_string_equal(buf_str(&sql),
                        "REPLACE INTO poller_command (poller_id,time,action,command) VALUES "
                        "(2,NOW(),1,'3:5'),(2,NOW(),1,'4294967295:1'),(2,NOW(),1,'7:7')");
    buf_clear(&sql);
    struct sqltext_limits small = {.rows = 2, .bytes = 1 << 20};
    assert_int_equal(sqltext_recaches(&sql, 2, rows, 3, &small), 2);
    buf_clear(&sql);
    small = (struct sqltext_limits){.rows = 9, .bytes = 1};
    assert_int_equal(sqltext_recaches(&sql, 2, rows, 3, &small), 1);
    buf_done(&sql);
}

#define SET_ASSERT                                                                                 \
    ") AS d STRAIGHT_JOIN poller_reindex AS r ON r.host_id=d.id AND r.data_query_id=d.dq AND "     \
    "CAST(CONVERT(r.arg1 USING utf8mb4) AS BINARY)=CAST(d.ar AS BINARY) SET r.assert_value=d.va"

static void assertions_update_and_never_insert(void **state)
{
    (void)state;
    const struct assert_row rows[] = {{3, 5, ".1.3.6'", "12"}, {4, 1, "perl x.pl", ""}};
    struct buf sql = BUF_INIT;
    size_t escaped = 0;
    assert_int_equal(sqltext_asserts(&sql, rows, 2, &wide, fake_escape, &escaped), 2);
    assert_string_equal(buf_str(&sql),
                        "UPDATE (SELECT 3 AS id,5 AS dq,'<.1.3.6'>' AS ar,'<12>' AS va"
                        " UNION ALL SELECT 4,1,'<perl x.pl>','<>'" SET_ASSERT);
    assert_int_equal(escaped, 4);
    buf_clear(&sql);
    struct sqltext_limits small = {.rows = 1000, .bytes = 1};
    assert_int_equal(sqltext_asserts(&sql, rows, 2, &small, fake_escape, NULL), 1);
    assert_string_equal(buf_str(&sql) + sql.len - strlen(SET_ASSERT), SET_ASSERT);
    buf_done(&sql);
}

static void an_assertion_is_cut_to_the_column(void **state)
{
    (void)state;
    char text[151];
    memset(text, '7', 150);
    text[150] = '\0';
    const struct assert_row row = {3, 5, text, text};
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_asserts(&sql, &row, 1, &wide, fake_escape, NULL), 1);
    assert_int_equal(quoted_len(&sql, "AS dq"), 150);
    assert_int_equal(quoted_len(&sql, "AS ar"), 100);
    buf_done(&sql);
}

static void host_rows_respect_the_limits(void **state)
{
    (void)state;
    struct host_row rows[20];
    for (uint32_t i = 0; i < 20; i++)
        rows[i] = host(i + 1, "x");
    struct buf sql = BUF_INIT;
    struct sqltext_limits few = {.rows = 3, .bytes = 1 << 20};
    assert_int_equal(sqltext_hosts(&sql, rows, 20, &few, fake_escape, NULL), 3);
    buf_clear(&sql);
    struct sqltext_limits small = {.rows = 1000, .bytes = 1500};
    size_t n = sqltext_hosts(&sql, rows, 20, &small, fake_escape, NULL);
    assert_true(n > 1 && n < 20 && sql.len <= 1500);
    assert_string_equal(buf_str(&sql) + sql.len - strlen(SET_STATUS), SET_STATUS);
    buf_clear(&sql);
    small.bytes = 10;
    assert_int_equal(sqltext_hosts(&sql, rows, 20, &small, fake_escape, NULL), 1);
    buf_done(&sql);
}

static void last_error_is_cut_to_the_column(void **state)
{
    (void)state;
    char text[4001] = "";
    for (size_t i = 0; i < 2000; i++)
        memcpy(text + i * 2, "\xC3\xA9", 3); /* one character, two bytes */
    struct host_row row = host(1, text);
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_hosts(&sql, &row, 1, &wide, fake_escape, NULL), 1);
    const char *from = strchr(buf_str(&sql), '<');
    const char *to = strchr(buf_str(&sql), '>');
    assert_int_equal(to - from - 1, 255 * 2);
    memset(text, 0x80, sizeof(text) - 1); /* no character starts here */
    buf_clear(&sql);
    assert_int_equal(sqltext_hosts(&sql, &row, 1, &wide, fake_escape, NULL), 1);
    from = strchr(buf_str(&sql), '<');
    to = strchr(buf_str(&sql), '>');
    assert_true(to - from - 1 <= 255 * 4);
    buf_done(&sql);
}

static void numbers_that_sql_has_no_word_for_do_no_harm(void **state)
{
    (void)state;
    struct host_row row = host(1, "");
    row.status.min_time = (double)NAN;
    row.status.max_time = (double)INFINITY;
    row.status.cur_time = -(double)INFINITY;
    row.status.availability = 1e308;
    row.polling_time = -0.5;
    row.status.rec_date = -1;
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_hosts(&sql, &row, 1, &wide, fake_escape, NULL), 1);
    assert_null(strstr(buf_str(&sql), "nan"));
    assert_null(strstr(buf_str(&sql), "inf"));
    assert_non_null(strstr(buf_str(&sql), ",0 AS rd,"));
    assert_non_null(strstr(buf_str(&sql), "0.00000 AS mi,99999.99999 AS ma,-99999.99999 AS cu"));
    buf_done(&sql);
}

/* A server warns of what it has to cut, and rounds six decimals half away from zero. */
static void numbers_are_what_their_columns_hold(void **state)
{
    (void)state;
    struct host_row row = host(1, "");
    row.status = (struct device_status){.min_time = 9.9999947, /* 9.999995 first */
                                        .max_time = 100000,
                                        .cur_time = -0.000004,
                                        .avg_time = 26.5138044,
                                        .event_count = INT64_MAX,
                                        .total_polls = (int64_t)UINT32_MAX + 1,
                                        .failed_polls = -1,
                                        .availability = -1e6};
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_hosts(&sql, &row, 1, &wide, fake_escape, NULL), 1);
    assert_non_null(strstr(buf_str(&sql), ",16777215 AS ec,"));
    assert_non_null(strstr(buf_str(&sql),
                           ",10.00000 AS mi,99999.99999 AS ma,0.00000 AS cu,26.51380 "
                           "AS av,4294967295 AS tp,0 AS fp,-999.9999 AS ab,"));
    buf_done(&sql);
}

/* Everything that a site may have set globally and that would change what we read or write; what only one
 * of the servers knows stands where the other one sees a comment. */
static void the_session_is_what_this_program_needs_on_every_server(void **state)
{
    (void)state;
    struct buf sql = BUF_INIT;
    sqltext_session(&sql, 20);
    const char *text = buf_str(&sql);
    assert_memory_equal(text, "SET SESSION sql_mode='NO_ENGINE_SUBSTITUTION',autocommit=1,", 58);
    assert_non_null(strstr(text, ",lock_wait_timeout=20,innodb_lock_wait_timeout=20,"));
    assert_non_null(strstr(text, ",sql_select_limit=18446744073709551615,"));
    assert_non_null(strstr(text, ",sql_safe_updates=0,sql_big_selects=1,"));
    assert_non_null(strstr(text, "/*M!100101 ,max_statement_time=0*/"));
    assert_non_null(strstr(text, "/*!50708 ,max_execution_time=0*/"));
    /* The zone of the server is remembered before it is left. */
    assert_non_null(strstr(text, ",@spine_zone=@@session.time_zone,time_zone='+00:00'"));
    buf_clear(&sql);
    sqltext_session_least(&sql, 7);
    assert_string_equal(buf_str(&sql), "SET SESSION sql_mode='NO_ENGINE_SUBSTITUTION',autocommit=1,"
                                       "lock_wait_timeout=7,innodb_lock_wait_timeout=7,"
                                       "character_set_client=utf8mb4,character_set_results=utf8mb4,"
                                       "collation_connection=utf8mb4_general_ci");
    buf_done(&sql);
}

static void next_step_covers_all_items_of_the_devices(void **state)
{
    (void)state;
    const uint32_t ids[] = {0, 5, 4294967295u};
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_next_step(&sql, 2, 60, ids, 3, &wide), 3);
    assert_string_equal(buf_str(&sql),
                        "UPDATE poller_item SET rrd_next_step=CASE WHEN rrd_step=60 THEN 0"
                        " WHEN rrd_next_step>0 THEN CAST(rrd_next_step AS SIGNED)-60"
                        " WHEN rrd_step<60 OR MOD(rrd_step,60)=0 THEN CAST(rrd_step AS SIGNED)-60"
                        " ELSE GREATEST(CAST(rrd_next_step AS SIGNED),1-60)"
                        "+CAST(rrd_step AS SIGNED)-60 END"
                        " WHERE poller_id=2 AND host_id IN (0,5,4294967295)");
    buf_clear(&sql);
    struct sqltext_limits two = {.rows = 2, .bytes = 1 << 20};
    assert_int_equal(sqltext_next_step(&sql, 2, 60, ids, 3, &two), 2);
    assert_non_null(strstr(buf_str(&sql), "IN (0,5)"));
    buf_clear(&sql);
    struct sqltext_limits tiny = {.rows = 9, .bytes = 1};
    assert_int_equal(sqltext_next_step(&sql, 2, 60, ids + 1, 2, &tiny), 1);
    assert_non_null(strstr(buf_str(&sql), "IN (5)"));
    buf_done(&sql);
}

static const struct sqltext_limits mariadb = {
    .rows = 1000, .bytes = 1 << 20, .form = SQLTEXT_MARIADB};

static void mariadb_reads_the_rows_as_one_list_and_the_hosts_by_their_ids(void **state)
{
    (void)state;
    struct host_row rows[] = {host(7, ""), host(9, ""), host(8, "")};
    for (size_t i = 0; i < 3; i++)
        rows[i].has_status = false;
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_hosts(&sql, rows, 3, &mariadb, fake_escape, NULL), 3);
    assert_string_equal(
        buf_str(&sql),
        "UPDATE host AS h FORCE INDEX (PRIMARY) STRAIGHT_JOIN (SELECT 7 AS id,1.235 AS pt UNION ALL"
        " VALUES (9,1.235),(8,1.235)) AS d ON d.id=h.id SET h.polling_time=d.pt"
        " WHERE h.id IN (7,9,8)");
    buf_clear(&sql);
    assert_int_equal(sqltext_hosts(&sql, rows, 1, &mariadb, fake_escape, NULL), 1);
    assert_string_equal(buf_str(&sql),
                        "UPDATE host AS h FORCE INDEX (PRIMARY) STRAIGHT_JOIN (SELECT 7 AS id,1.235"
                        " AS pt) AS d ON d.id=h.id SET h.polling_time=d.pt WHERE h.id IN (7)");
    buf_done(&sql);
}

#define MARIADB_ASSERT                                                                             \
    ") AS d ON r.host_id=d.id AND r.data_query_id=d.dq AND "                                       \
    "CAST(CONVERT(r.arg1 USING utf8mb4) AS BINARY)=CAST(d.ar AS BINARY) SET r.assert_value=d.va"   \
    " WHERE "

static void mariadb_reads_the_rows_of_these_data_queries_alone(void **state)
{
    (void)state;
    const struct assert_row rows[] = {
        {3, 5, "a", "1"}, {4, 5, "a", "2"}, {4, 5, "b", "3"}, {4, 6, "a", "4"}, {5, 6, "a", "5"}};
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_asserts(&sql, rows, 5, &mariadb, fake_escape, NULL), 5);
    assert_string_equal(
        buf_str(&sql),
        "UPDATE poller_reindex AS r FORCE INDEX (PRIMARY) STRAIGHT_JOIN ("
        "SELECT 3 AS id,5 AS dq,'<a>' AS ar,'<1>' AS va UNION ALL VALUES (4,5,'<a>','<2>'),"
        "(4,5,'<b>','<3>'),(4,6,'<a>','<4>'),(5,6,'<a>','<5>')" MARIADB_ASSERT
        "(r.data_query_id=5 AND r.host_id IN (3,4)) OR (r.data_query_id=6 AND r.host_id IN (4,5))");
    buf_clear(&sql);
    assert_int_equal(sqltext_asserts(&sql, rows, 1, &mariadb, fake_escape, NULL), 1);
    assert_string_equal(
        buf_str(&sql), "UPDATE poller_reindex AS r FORCE INDEX (PRIMARY) STRAIGHT_JOIN (SELECT 3 AS"
                       " id,5 AS dq,'<a>' AS ar,'<1>' AS va" MARIADB_ASSERT
                       "(r.data_query_id=5 AND r.host_id IN (3))");
    buf_done(&sql);
}

/* A list of 1,000 ids or more is something else to the server. */
static void the_lists_for_mariadb_stay_short(void **state)
{
    (void)state;
    struct host_row hosts[600];
    struct assert_row asserts[600];
    for (uint32_t i = 0; i < 600; i++) {
        hosts[i] = host(i + 1, "");
        asserts[i] = (struct assert_row){i + 1, 1, "a", "1"};
    }
    struct buf sql = BUF_INIT;
    assert_int_equal(sqltext_hosts(&sql, hosts, 600, &mariadb, fake_escape, NULL), 500);
    buf_clear(&sql);
    assert_int_equal(sqltext_asserts(&sql, asserts, 600, &mariadb, fake_escape, NULL), 500);
    buf_clear(&sql);
    assert_int_equal(sqltext_hosts(&sql, hosts, 600, &wide, fake_escape, NULL), 600);
    buf_done(&sql);
}

/* The longest ids, each assertion of another data query than the one before. */
static void the_byte_limit_counts_the_lists_for_mariadb(void **state)
{
    (void)state;
    struct host_row hosts[100];
    struct assert_row asserts[100];
    for (uint32_t i = 0; i < 100; i++) {
        hosts[i] = (struct host_row){.device_id = UINT32_MAX - i, .has_polling_time = true};
        asserts[i] = (struct assert_row){UINT32_MAX - i, UINT32_MAX - i, "a", "1"};
    }
    struct buf sql = BUF_INIT;
    for (size_t bytes = 1000; bytes < 3000; bytes++) {
        struct sqltext_limits small = {.rows = 1000, .bytes = bytes, .form = SQLTEXT_MARIADB};
        buf_clear(&sql);
        assert_within(sqltext_hosts(&sql, hosts, 100, &small, fake_escape, NULL), 2, 99);
        assert_true(sql.len <= bytes);
        buf_clear(&sql);
        assert_within(sqltext_asserts(&sql, asserts, 100, &small, fake_escape, NULL), 2, 99);
        assert_true(sql.len <= bytes);
    }
    buf_done(&sql);
}

static void results_are_bound_to_a_statement_for_each_table(void **state)
{
    (void)state;
    assert_string_equal(
        sqltext_outputs_bound("poller_output"),
        "INSERT INTO poller_output (local_data_id,rrd_name,time,output) VALUES (?,?,"
        "IFNULL(FROM_UNIXTIME(?),CAST('0000-00-00 00:00:00' AS DATETIME)),?)" ON_DUPLICATE);
    assert_memory_equal(sqltext_outputs_bound("poller_output_boost"),
                        "INSERT INTO poller_output_boost (", 33);
    assert_null(sqltext_outputs_bound("host"));
}

static void nothing_of_a_value_that_fits_nowhere_is_unknown(void **state)
{
    (void)state;
    const struct output_row wide_row = {1, "", 1, "123456", 6}, empty = {1, "", 1, "", 0};
    size_t len = 9;
    assert_string_equal(sqltext_output_value(&wide_row, 5, &len), "U");
    assert_int_equal(len, 1);
    assert_ptr_equal(sqltext_output_value(&wide_row, 6, &len), wide_row.output);
    assert_int_equal(len, 6);
    assert_ptr_equal(sqltext_output_value(&empty, 5, &len), empty.output);
    assert_int_equal(len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_become_one_statement),
        cmocka_unit_test(a_column_gets_no_half_of_a_number),
        cmocka_unit_test(a_nul_in_a_result_reaches_the_escaper),
        cmocka_unit_test(statements_respect_the_row_limit),
        cmocka_unit_test(statements_respect_the_byte_limit),
        cmocka_unit_test(mysql_from_8_0_20_is_not_asked_for_what_it_warns_of),
        cmocka_unit_test(the_byte_limit_counts_this_statement_only),
        cmocka_unit_test(a_huge_result_goes_alone),
        cmocka_unit_test(nothing_to_do_makes_no_statement),
        cmocka_unit_test(host_status_updates_and_never_inserts),
        cmocka_unit_test(host_rows_of_two_kinds_go_apart),
        cmocka_unit_test(a_ping_only_run_leaves_the_polling_time_alone),
        cmocka_unit_test(system_information_that_was_not_obtained_stays),
        cmocka_unit_test(status_and_system_information_share_a_statement),
        cmocka_unit_test(a_host_with_nothing_to_write_makes_no_statement),
        cmocka_unit_test(system_information_is_cut_to_the_columns),
        cmocka_unit_test(a_failed_assertion_becomes_a_command_for_cacti),
        cmocka_unit_test(assertions_update_and_never_insert),
        cmocka_unit_test(an_assertion_is_cut_to_the_column),
        cmocka_unit_test(host_rows_respect_the_limits),
        cmocka_unit_test(last_error_is_cut_to_the_column),
        cmocka_unit_test(numbers_that_sql_has_no_word_for_do_no_harm),
        cmocka_unit_test(numbers_are_what_their_columns_hold),
        cmocka_unit_test(the_session_is_what_this_program_needs_on_every_server),
        cmocka_unit_test(next_step_covers_all_items_of_the_devices),
        cmocka_unit_test(mariadb_reads_the_rows_as_one_list_and_the_hosts_by_their_ids),
        cmocka_unit_test(mariadb_reads_the_rows_of_these_data_queries_alone),
        cmocka_unit_test(the_lists_for_mariadb_stay_short),
        cmocka_unit_test(the_byte_limit_counts_the_lists_for_mariadb),
        cmocka_unit_test(results_are_bound_to_a_statement_for_each_table),
        cmocka_unit_test(nothing_of_a_value_that_fits_nowhere_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
