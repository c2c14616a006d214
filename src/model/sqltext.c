#include "config.h"

#include "model/sqltext.h"

#include "base/num.h"
#include "model/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Widths of text columns: characters, not bytes. */
#define LAST_ERROR_CHARS 255 /* host.status_last_error */
#define SYSTEM_CHARS     300 /* host.snmp_sysDescr, sysContact, sysName, sysLocation */
#define OBJECT_ID_CHARS  128 /* host.snmp_sysObjectID */
#define ASSERT_CHARS     100 /* poller_reindex.assert_value */

/* ---- the session ---- */

void sqltext_session_least(struct buf *out, int lock_wait_s)
{
    buf_printf(out,
               "SET SESSION sql_mode='NO_ENGINE_SUBSTITUTION',autocommit=1,"
               "lock_wait_timeout=%d,innodb_lock_wait_timeout=%d,"
               "character_set_client=utf8mb4,character_set_results=utf8mb4,"
               "collation_connection=utf8mb4_general_ci",
               lock_wait_s, lock_wait_s);
}

/* Words that only one kind of server knows are comments to the other: M! is MariaDB's, and what begins with
 * a version of MySQL 5.7 or newer is MySQL's. */
void sqltext_session(struct buf *out, int lock_wait_s)
{
    sqltext_session_least(out, lock_wait_s);
    buf_puts(out, ",sql_select_limit=18446744073709551615,sql_safe_updates=0,sql_big_selects=1,"
                  "@spine_zone=@@session.time_zone,time_zone='+00:00'"
                  "/*M!100101 ,max_statement_time=0*//*!50708 ,max_execution_time=0*/");
}

const char sqltext_about_session[] =
    "SELECT @@max_allowed_packet,COUNT(*),/*!80020 1+*/0,"
    "/*M!100101 (SELECT COUNT(*) FROM information_schema.session_variables"
    " WHERE variable_name='wsrep_on' AND variable_value='ON')+*/0"
    " FROM information_schema.columns"
    " WHERE table_schema=DATABASE() AND table_name IN"
    " ('poller_output','poller_output_boost','poller_time','poller_command','host')"
    " AND column_name IN ('time','start_time','end_time','status_fail_date','status_rec_date')"
    " AND data_type='datetime'";

const char sqltext_local_time[] = "SET SESSION time_zone=IFNULL(@spine_zone,@@session.time_zone)";

const char sqltext_date[] =
    "REPLACE INTO settings (name,value) VALUES"
    " ('date',IFNULL(CONVERT_TZ(UTC_TIMESTAMP(),'+00:00',@spine_zone),NOW()))";

/* ---- rows ---- */

/* A row was just appended behind `before`.  Does it still belong to this statement?  If not it is
 * taken back. */
static bool row_fits(struct buf *out, size_t start, size_t before, size_t tail_len,
                     size_t rows_before, const struct sqltext_limits *limits)
{
    if (rows_before == 0 || out->len - start + tail_len <= limits->bytes)
        return true;
    buf_truncate(out, before);
    return false;
}

static size_t rows_wanted(size_t count, const struct sqltext_limits *limits)
{
    return limits->rows < count ? limits->rows : count;
}

const char *sqltext_output_value(const struct output_row *row, size_t chars, size_t *ret_len)
{
    size_t left_out;
    *ret_len = value_fit(row->output, row->output_len, chars, &left_out);
    if (*ret_len > 0 || row->output_len == 0)
        return row->output;
    *ret_len = 1;
    return "U";
}

static void put_output(struct buf *out, const struct output_row *r, size_t chars,
                       sqltext_escape_fn *escape, void *arg)
{
    size_t len;
    const char *value = sqltext_output_value(r, chars, &len);
    escape(arg, value, len, out);
}

/* FROM_UNIXTIME(0) is NULL from MariaDB 11.7 on, and NULL in a column that is not to be NULL becomes
 * the present. */
static void literal_date(struct buf *out, int64_t unix_s)
{
    if (unix_s > 0)
        buf_printf(out, "FROM_UNIXTIME(%" PRId64 ")", unix_s);
    else
        buf_puts(out, "'" SQLTEXT_ZERO_DATE "'");
}

#define OUTPUTS_COLUMNS " (local_data_id,rrd_name,time,output) VALUES "
#define OUTPUTS_TAIL    " ON DUPLICATE KEY UPDATE output=VALUES(output)"

size_t sqltext_outputs(struct buf *out, const char *table, const struct output_row *rows,
                       size_t count, size_t chars, const struct sqltext_limits *limits,
                       sqltext_escape_fn *escape, void *arg)
{
    static const char by_function[] = " ON DUPLICATE KEY UPDATE output=VALUES(output)";
    static const char by_alias[] = " AS new ON DUPLICATE KEY UPDATE output=new.output";
    const char *tail = limits->row_alias ? by_alias : by_function;
    if (count == 0)
        return 0;
    size_t start = out->len;
    buf_printf(out, "INSERT INTO %s" OUTPUTS_COLUMNS, table);
    size_t wanted = rows_wanted(count, limits);
    size_t n;
    for (n = 0; n < wanted; n++) {
        const struct output_row *r = &rows[n];
        size_t before = out->len;
        buf_printf(out, "%s(%" PRIu32 ",'", n == 0 ? "" : ",", r->local_data_id);
        escape(arg, r->rrd_name, strlen(r->rrd_name), out);
        buf_puts(out, "',");
        literal_date(out, r->time);
        buf_puts(out, ",'");
        put_output(out, r, chars, escape, arg);
        buf_puts(out, "')");
        if (!row_fits(out, start, before, strlen(tail), n, limits))
            break;
    }
    buf_puts(out, tail);
    return n;
}

const char *sqltext_outputs_bound(const char *table)
{
#define BOUND(table)                                                                               \
    "INSERT INTO " table OUTPUTS_COLUMNS "(?,?,IFNULL(FROM_UNIXTIME(?),CAST('" SQLTEXT_ZERO_DATE   \
    "' AS DATETIME)),?)" OUTPUTS_TAIL
    if (strcmp(table, "poller_output") == 0)
        return BOUND("poller_output");
    if (strcmp(table, "poller_output_boost") == 0)
        return BOUND("poller_output_boost");
    return NULL;
#undef BOUND
}

/* Numbers as the columns hold them: a server warns of each one that it has to cut or to round, so that is done
 * here, to what the server would make of it. */
#define COUNTER_MOST      UINT32_MAX  /* host.total_polls, failed_polls */
#define EVENT_COUNT_MOST  0xFFFFFF    /* host.status_event_count */
#define TIME_MOST         99999.99999 /* host.min_time, max_time, cur_time, avg_time */
#define AVAILABILITY_MOST 999.9999    /* host.availability */
#define POLLING_TIME_MOST 1e9

/* SQL has no word for NaN and infinity. */
static double sane(double v, double most)
{
    if (isnan(v))
        return 0;
    return fmax(-most, fmin(v, most));
}

static void put_counter(struct buf *out, int64_t v, int64_t most)
{
    if (v < 0)
        v = 0;
    buf_put_i64(out, v < most ? v : most);
}

/* Times are known to six decimals, their columns have five, and servers round half away from zero; five
 * decimals by printf() would be another number now and then. */
static void put_time(struct buf *out, double ms)
{
    enum { DECIMALS = 6, UNIT = 100000 };
    char text[32];
    double v = sane(ms, TIME_MOST);
    int n = snprintf(text, sizeof(text), "%.*f", DECIMALS, fabs(v));
    int64_t millionths =
        num_leading(text) * UNIT * 10 + num_leading(text + n - DECIMALS); /* in any locale */
    int64_t units = (millionths + 5) / 10;
    buf_printf(out, "%s%" PRId64 ".%05" PRId64, v < 0 && units > 0 ? "-" : "", units / UNIT,
               units % UNIT);
}

/* A timestamp column knows nothing before 1970; 0 becomes the zero date (docs/contract.md 4.5). */
static int64_t date(int64_t unix_s)
{
    return unix_s < 0 ? 0 : unix_s;
}

/* The bytes of the first `chars` characters; never more than 4 bytes for each, whatever the text
 * is. */
static size_t prefix_len(const char *text, size_t chars)
{
    const size_t most = chars * 4;
    size_t i;
    for (i = 0; text[i] != '\0' && i < most; i++) {
        bool starts_character = ((unsigned char)text[i] & 0xC0) != 0x80;
        if (starts_character && chars-- == 0)
            return i;
    }
    return i;
}

/* Which groups of columns a statement about hosts carries. */
struct host_kind {
    bool status, system, time;
};

static bool sqltext_same_kind(const struct host_row *a, const struct host_row *b)
{
    return a->has_status == b->has_status && a->has_polling_time == b->has_polling_time;
}

/* Of the leading run of equal kind; system information is optional within it. */
static struct host_kind kind_of_run(const struct host_row *rows, size_t wanted, size_t *ret_count)
{
    struct host_kind kind = {rows[0].has_status, false, rows[0].has_polling_time};
    size_t n;
    for (n = 0; n < wanted && sqltext_same_kind(&rows[n], &rows[0]); n++)
        kind.system = kind.system || rows[n].system != NULL;
    *ret_count = n;
    return kind;
}

/* Column names stand in the first SELECT only; the rest of the union takes them over. */
static void status_columns(struct buf *out, const struct device_status *s, bool first,
                           sqltext_escape_fn *escape, void *arg)
{
    const char *error = s->last_error == NULL ? "" : s->last_error;
    buf_printf(out, first ? ",%d AS st," : ",%d,", s->status);
    put_counter(out, s->event_count, EVENT_COUNT_MOST);
    buf_printf(
        out, first ? " AS ec,%" PRId64 " AS fd,%" PRId64 " AS rd,'" : ",%" PRId64 ",%" PRId64 ",'",
        date(s->fail_date), date(s->rec_date));
    escape(arg, error, prefix_len(error, LAST_ERROR_CHARS), out);
    buf_puts(out, first ? "' AS le," : "',");
    put_time(out, s->min_time);
    buf_puts(out, first ? " AS mi," : ",");
    put_time(out, s->max_time);
    buf_puts(out, first ? " AS ma," : ",");
    put_time(out, s->cur_time);
    buf_puts(out, first ? " AS cu," : ",");
    put_time(out, s->avg_time);
    buf_puts(out, first ? " AS av," : ",");
    put_counter(out, s->total_polls, COUNTER_MOST);
    buf_puts(out, first ? " AS tp," : ",");
    put_counter(out, s->failed_polls, COUNTER_MOST);
    buf_printf(out, first ? " AS fp,%.4f AS ab" : ",%.4f",
               sane(s->availability, AVAILABILITY_MOST));
}

/* NULL = keep the stored value. */
static void optional_text(struct buf *out, const char *text, size_t chars,
                          sqltext_escape_fn *escape, void *arg)
{
    if (text == NULL) {
        buf_puts(out, ",NULL");
        return;
    }
    buf_puts(out, ",'");
    escape(arg, text, prefix_len(text, chars), out);
    buf_putc(out, '\'');
}

static void system_columns(struct buf *out, const struct system_info *info, bool first,
                           sqltext_escape_fn *escape, void *arg)
{
    static const struct system_info nothing;
    const struct system_info *s = info == NULL ? &nothing : info;
    optional_text(out, s->descr, SYSTEM_CHARS, escape, arg);
    buf_puts(out, first ? " AS sd" : "");
    optional_text(out, s->object_id, OBJECT_ID_CHARS, escape, arg);
    buf_puts(out, first ? " AS so" : "");
    optional_text(out, s->contact, SYSTEM_CHARS, escape, arg);
    buf_puts(out, first ? " AS sc" : "");
    optional_text(out, s->name, SYSTEM_CHARS, escape, arg);
    buf_puts(out, first ? " AS sn" : "");
    optional_text(out, s->location, SYSTEM_CHARS, escape, arg);
    buf_puts(out, first ? " AS sl" : "");
    if (s->has_uptime)
        buf_printf(out, ",%" PRId64, s->uptime_ticks < 0 ? 0 : s->uptime_ticks);
    else
        buf_puts(out, ",NULL");
    buf_puts(out, first ? " AS su" : "");
}

/* ---- many rows of values as a derived table ---- */

/* A SELECT a row costs the server more than the row itself, so MariaDB gets all rows but the first, which names
 * the columns, as one list of values. */
static void sqltext_open_row(struct buf *out, enum sqltext_form form, size_t n)
{
    if (n == 0)
        buf_puts(out, "SELECT ");
    else if (form == SQLTEXT_ANY)
        buf_puts(out, " UNION ALL SELECT ");
    else
        buf_puts(out, n == 1 ? " UNION ALL VALUES (" : ",(");
}

static void sqltext_close_row(struct buf *out, enum sqltext_form form, size_t n)
{
    if (n > 0 && form != SQLTEXT_ANY)
        buf_putc(out, ')');
}

/* From a list of 1,000 ids on MariaDB makes a table of it, which costs more than the second statement. */
#define LISTED_ROWS 500

static size_t rows_wanted_of_join(size_t count, const struct sqltext_limits *limits)
{
    size_t wanted = rows_wanted(count, limits);
    return limits->form == SQLTEXT_MARIADB && wanted > LISTED_ROWS ? LISTED_ROWS : wanted;
}

#define ID_BYTES 11 /* ",4294967295" */

static void host_columns(struct buf *out, const struct host_row *r, const struct host_kind *kind,
                         bool first, sqltext_escape_fn *escape, void *arg)
{
    buf_printf(out, first ? "%" PRIu32 " AS id" : "%" PRIu32, r->device_id);
    if (kind->status)
        status_columns(out, &r->status, first, escape, arg);
    if (kind->system)
        system_columns(out, r->system, first, escape, arg);
    if (kind->time)
        buf_printf(out, first ? ",%.3f AS pt" : ",%.3f", sane(r->polling_time, POLLING_TIME_MOST));
}

/* STRAIGHT_JOIN: the few rows of the derived table come first and each finds its host by primary
 * key.  The other order would read, and lock, the whole table.
 *
 * MariaDB keeps the hits of the second table in another table, on disk, before it changes them; those of the
 * first it changes as it reads them.  So there the hosts come first, read by a list of their ids and no others
 * (FORCE INDEX), and the derived table gets an index from the server. */
static const char *const hosts_head[] = {
    [SQLTEXT_ANY] = "UPDATE (",
    [SQLTEXT_MARIADB] = "UPDATE host AS h FORCE INDEX (PRIMARY) STRAIGHT_JOIN (",
};
static const char *const hosts_join[] = {
    [SQLTEXT_ANY] = ") AS d STRAIGHT_JOIN host AS h ON h.id=d.id SET ",
    [SQLTEXT_MARIADB] = ") AS d ON d.id=h.id SET ",
};

static const char set_status[] =
    "h.status=d.st,h.status_event_count=d.ec,"
    "h.status_fail_date=" SQLTEXT_DATE("d.fd") ",h.status_rec_date=" SQLTEXT_DATE(
        "d.rd") ","
                "h.status_last_error=d.le,h.min_time=d.mi,h.max_time=d.ma,h.cur_time=d.cu,h.avg_"
                "time=d.av,h.total_polls=d.tp,h.failed_polls=d.fp,h.availability=d.ab";
/* An explicit collation: that of the column and ours differ, and IFNULL of two equally strong ones
 * is an error. CONVERT: a column of nothing but NULL is binary and has no collation. */
#define KEEP_TEXT(column, new)                                                                     \
    "h." column "=IFNULL(CONVERT(d." new " USING utf8mb4) COLLATE utf8mb4_bin,h." column "),"
static const char set_system[] =
    KEEP_TEXT("snmp_sysDescr", "sd") KEEP_TEXT("snmp_sysObjectID", "so")
        KEEP_TEXT("snmp_sysContact", "sc") KEEP_TEXT("snmp_sysName", "sn")
            KEEP_TEXT("snmp_sysLocation",
                      "sl") "h.snmp_sysUpTimeInstance=IFNULL(d.su,h.snmp_sysUpTimeInstance)";
static const char set_time[] = "h.polling_time=d.pt";

static void sqltext_hosts_tail(struct buf *out, const struct host_kind *kind,
                               enum sqltext_form form)
{
    const char *comma = "";
    buf_puts(out, hosts_join[form]);
    if (kind->status) {
        buf_puts(out, set_status);
        comma = ",";
    }
    if (kind->system) {
        buf_printf(out, "%s%s", comma, set_system);
        comma = ",";
    }
    if (kind->time)
        buf_printf(out, "%s%s", comma, set_time);
    if (form == SQLTEXT_MARIADB)
        buf_puts(out, " WHERE h.id IN (");
}

static void list_hosts(struct buf *out, const struct host_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, i == 0 ? "" : ",");
        buf_put_u64(out, rows[i].device_id);
    }
    buf_putc(out, ')');
}

size_t sqltext_hosts(struct buf *out, const struct host_row *rows, size_t count,
                     const struct sqltext_limits *limits, sqltext_escape_fn *escape, void *arg)
{
    if (count == 0)
        return 0;
    size_t wanted = rows_wanted_of_join(count, limits);
    const struct host_kind kind = kind_of_run(rows, wanted, &wanted);
    if (!kind.status && !kind.system && !kind.time)
        return wanted;
    struct buf tail = BUF_INIT;
    sqltext_hosts_tail(&tail, &kind, limits->form);
    size_t start = out->len, per_id = limits->form == SQLTEXT_MARIADB ? ID_BYTES : 0;
    buf_puts(out, hosts_head[limits->form]);
    size_t n;
    for (n = 0; n < wanted; n++) {
        size_t before = out->len;
        sqltext_open_row(out, limits->form, n);
        host_columns(out, &rows[n], &kind, n == 0, escape, arg);
        sqltext_close_row(out, limits->form, n);
        if (!row_fits(out, start, before, tail.len + (n + 1) * per_id, n, limits))
            break;
    }
    buf_append(out, tail.data, tail.len);
    if (limits->form == SQLTEXT_MARIADB)
        list_hosts(out, rows, n);
    buf_done(&tail);
    return n;
}

size_t sqltext_recaches(struct buf *out, int poller_id, const struct recache_row *rows,
                        size_t count, const struct sqltext_limits *limits)
{
    if (count == 0)
        return 0;
    size_t start = out->len;
    buf_puts(out, "REPLACE INTO poller_command (poller_id,time,action,command) VALUES ");
    size_t wanted = rows_wanted(count, limits);
    size_t n;
    for (n = 0; n < wanted; n++) {
        size_t before = out->len;
        buf_printf(out, "%s(%d,NOW(),1,'%" PRIu32 ":%" PRIu32 "')", n == 0 ? "" : ",", poller_id,
                   rows[n].device_id, rows[n].data_query_id);
        if (!row_fits(out, start, before, 0, n, limits))
            break;
    }
    return n;
}

/* The first two columns of the primary key find the few rows of a data query.  arg1 is compared as
 * bytes: the column's collation would take "/a" for "/A", and comparing it with ours is an error.
 * Which table comes first: see above.
 */
#define SAME_ROW                                                                                   \
    "r.host_id=d.id AND r.data_query_id=d.dq"                                                      \
    " AND CAST(CONVERT(r.arg1 USING utf8mb4) AS BINARY)=CAST(d.ar AS BINARY)"                      \
    " SET r.assert_value=d.va"
static const char *const asserts_head[] = {
    [SQLTEXT_ANY] = "UPDATE (",
    [SQLTEXT_MARIADB] = "UPDATE poller_reindex AS r FORCE INDEX (PRIMARY) STRAIGHT_JOIN (",
};
static const char *const asserts_tail[] = {
    [SQLTEXT_ANY] = ") AS d STRAIGHT_JOIN poller_reindex AS r ON " SAME_ROW,
    [SQLTEXT_MARIADB] = ") AS d ON " SAME_ROW " WHERE ",
};
#define QUERY_BYTES 64 /* of what list_asserts() writes for each data query, besides the ids */

/* The rows of these data queries and no others.  A data query is named once for each run of rows of it. */
static void list_asserts(struct buf *out, const struct assert_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct assert_row *r = &rows[i], *last = i == 0 ? NULL : r - 1;
        bool same = last != NULL && last->data_query_id == r->data_query_id;
        if (same && last->device_id == r->device_id)
            continue;
        if (!same)
            buf_printf(out, "%s(r.data_query_id=%" PRIu32 " AND r.host_id IN (",
                       last == NULL ? "" : ")) OR ", r->data_query_id);
        buf_printf(out, same ? ",%" PRIu32 : "%" PRIu32, r->device_id);
    }
    buf_puts(out, "))");
}

static void assert_columns(struct buf *out, const struct assert_row *r, bool first,
                           sqltext_escape_fn *escape, void *arg)
{
    buf_printf(out, first ? "%" PRIu32 " AS id,%" PRIu32 " AS dq,'" : "%" PRIu32 ",%" PRIu32 ",'",
               r->device_id, r->data_query_id);
    escape(arg, r->arg1, strlen(r->arg1), out);
    buf_puts(out, first ? "' AS ar,'" : "','");
    escape(arg, r->value, prefix_len(r->value, ASSERT_CHARS), out);
    buf_puts(out, first ? "' AS va" : "'");
}

size_t sqltext_asserts(struct buf *out, const struct assert_row *rows, size_t count,
                       const struct sqltext_limits *limits, sqltext_escape_fn *escape, void *arg)
{
    if (count == 0)
        return 0;
    const char *tail = asserts_tail[limits->form];
    size_t start = out->len, tail_len = strlen(tail);
    buf_puts(out, asserts_head[limits->form]);
    size_t wanted = rows_wanted_of_join(count, limits);
    size_t n;
    for (n = 0; n < wanted; n++) {
        size_t before = out->len;
        sqltext_open_row(out, limits->form, n);
        assert_columns(out, &rows[n], n == 0, escape, arg);
        sqltext_close_row(out, limits->form, n);
        if (limits->form == SQLTEXT_MARIADB) {
            bool same = n > 0 && rows[n - 1].data_query_id == rows[n].data_query_id;
            tail_len += same ? ID_BYTES : ID_BYTES + QUERY_BYTES;
        }
        if (!row_fits(out, start, before, tail_len, n, limits))
            break;
    }
    buf_puts(out, tail);
    if (limits->form == SQLTEXT_MARIADB)
        list_asserts(out, rows, n);
    return n;
}

size_t sqltext_next_step(struct buf *out, int poller_id, int64_t interval_s,
                         const uint32_t *device_ids, size_t count,
                         const struct sqltext_limits *limits)
{
    if (count == 0)
        return 0;
    size_t start = out->len;
    /* One assignment, so the old values count.  CAST: some schemas have unsigned columns, whose difference
     * must not be.  A row that was not due is counted down, never started again.  A step that is
     * not a multiple of the interval carries over by how much the row was late, or 30 s at 20 s
     * would become 40; it is never later than one cycle, whatever the column says. */
    buf_printf(out,
               "UPDATE poller_item SET rrd_next_step=CASE WHEN rrd_step=%" PRId64 " THEN 0"
               " WHEN rrd_next_step>0 THEN CAST(rrd_next_step AS SIGNED)-%" PRId64
               " WHEN rrd_step<%" PRId64 " OR MOD(rrd_step,%" PRId64 ")=0"
               " THEN CAST(rrd_step AS SIGNED)-%" PRId64
               " ELSE GREATEST(CAST(rrd_next_step AS SIGNED),1-%" PRId64 ")"
               "+CAST(rrd_step AS SIGNED)-%" PRId64 " END WHERE poller_id=%d AND host_id IN (",
               interval_s, interval_s, interval_s, interval_s, interval_s, interval_s, interval_s,
               poller_id);
    size_t wanted = rows_wanted(count, limits);
    size_t n;
    for (n = 0; n < wanted; n++) {
        size_t before = out->len;
        buf_printf(out, "%s%" PRIu32, n == 0 ? "" : ",", device_ids[n]);
        if (!row_fits(out, start, before, 1, n, limits))
            break;
    }
    buf_putc(out, ')');
    return n;
}
