#include "config.h"

#include "model/sqltext.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* host.status_last_error is varchar(255): characters, not bytes. */
#define LAST_ERROR_CHARS 255

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

size_t sqltext_outputs(struct buf *out, const char *table, const struct output_row *rows,
                       size_t count, const struct sqltext_limits *limits, sqltext_escape_fn *escape,
                       void *arg)
{
    static const char tail[] = " ON DUPLICATE KEY UPDATE output=VALUES(output)";
    if (count == 0)
        return 0;
    size_t start = out->len;
    buf_printf(out, "INSERT INTO %s (local_data_id,rrd_name,time,output) VALUES ", table);
    size_t wanted = rows_wanted(count, limits);
    size_t n;
    for (n = 0; n < wanted; n++) {
        const struct output_row *r = &rows[n];
        size_t before = out->len;
        buf_printf(out, "%s(%" PRIu32 ",'", n == 0 ? "" : ",", r->local_data_id);
        escape(arg, r->rrd_name, strlen(r->rrd_name), out);
        buf_printf(out, "',FROM_UNIXTIME(%" PRId64 "),'", r->time < 0 ? 0 : r->time);
        escape(arg, r->output, r->output_len, out);
        buf_puts(out, "')");
        if (!row_fits(out, start, before, sizeof(tail) - 1, n, limits))
            break;
    }
    buf_puts(out, tail);
    return n;
}

/* What a decimal column can hold; SQL has no word for NaN and infinity. */
static double sane(double v)
{
    static const double most = 1e9;
    if (isnan(v))
        return 0;
    return fmax(-most, fmin(v, most));
}

/* A timestamp column knows nothing before 1970; 0 becomes the zero date (contract 1.4). */
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

/* Column names stand in the first SELECT only; the rest of the union takes them over. */
static void status_row(struct buf *out, const struct host_row *r, bool first,
                       sqltext_escape_fn *escape, void *arg)
{
    const struct device_status *s = &r->status;
    const char *error = s->last_error == NULL ? "" : s->last_error;
    buf_printf(out,
               first ? "SELECT %" PRIu32 " AS id,%d AS st,%" PRId64 " AS ec,%" PRId64
                       " AS fd,%" PRId64 " AS rd,'"
                     : " UNION ALL SELECT %" PRIu32 ",%d,%" PRId64 ",%" PRId64 ",%" PRId64 ",'",
               r->device_id, s->status, s->event_count, date(s->fail_date), date(s->rec_date));
    escape(arg, error, prefix_len(error, LAST_ERROR_CHARS), out);
    buf_printf(out,
               first ? "' AS le,%.6f AS mi,%.6f AS ma,%.6f AS cu,%.6f AS av,%" PRId64
                       " AS tp,%" PRId64 " AS fp,%.4f AS ab,%.3f AS pt"
                     : "',%.6f,%.6f,%.6f,%.6f,%" PRId64 ",%" PRId64 ",%.4f,%.3f",
               sane(s->min_time), sane(s->max_time), sane(s->cur_time), sane(s->avg_time),
               s->total_polls, s->failed_polls, sane(s->availability), sane(r->polling_time));
}

static void time_row(struct buf *out, const struct host_row *r, bool first)
{
    buf_printf(out,
               first ? "SELECT %" PRIu32 " AS id,%.3f AS pt" : " UNION ALL SELECT %" PRIu32 ",%.3f",
               r->device_id, sane(r->polling_time));
}

/* STRAIGHT_JOIN: the few rows of the derived table come first and each finds its host by primary
 * key.  The other order would read, and lock, the whole table. */
#define HOSTS_HEAD "UPDATE ("
#define HOSTS_JOIN ") AS d STRAIGHT_JOIN host AS h ON h.id=d.id SET "

static const char status_tail[] = HOSTS_JOIN
    "h.status=d.st,h.status_event_count=d.ec,h.status_fail_date=FROM_UNIXTIME(d.fd),"
    "h.status_rec_date=FROM_UNIXTIME(d.rd),h.status_last_error=d.le,h.min_time=d.mi,h.max_time=d."
    "ma,"
    "h.cur_time=d.cu,h.avg_time=d.av,h.total_polls=d.tp,h.failed_polls=d.fp,h.availability=d.ab,"
    "h.polling_time=d.pt";
static const char time_tail[] = HOSTS_JOIN "h.polling_time=d.pt";

size_t sqltext_hosts(struct buf *out, const struct host_row *rows, size_t count,
                     const struct sqltext_limits *limits, sqltext_escape_fn *escape, void *arg)
{
    if (count == 0)
        return 0;
    bool with_status = rows[0].has_status;
    const char *tail = with_status ? status_tail : time_tail;
    size_t start = out->len;
    buf_puts(out, HOSTS_HEAD);
    size_t wanted = rows_wanted(count, limits);
    size_t n;
    for (n = 0; n < wanted && rows[n].has_status == with_status; n++) {
        size_t before = out->len;
        if (with_status)
            status_row(out, &rows[n], n == 0, escape, arg);
        else
            time_row(out, &rows[n], n == 0);
        if (!row_fits(out, start, before, strlen(tail), n, limits))
            break;
    }
    buf_puts(out, tail);
    return n;
}

size_t sqltext_next_step(struct buf *out, int poller_id, int64_t interval_s,
                         const uint32_t *device_ids, size_t count,
                         const struct sqltext_limits *limits)
{
    if (count == 0)
        return 0;
    size_t start = out->len;
    /* MySQL evaluates from left to right and there is one assignment only: the old values count.
     * CAST: some schemas have unsigned columns, whose difference must not be. */
    buf_printf(out,
               "UPDATE poller_item SET rrd_next_step=CASE WHEN rrd_step=%" PRId64 " THEN 0"
               " WHEN rrd_next_step<%" PRId64 " THEN CAST(rrd_step AS SIGNED)-%" PRId64
               " ELSE CAST(rrd_next_step AS SIGNED)-%" PRId64
               " END WHERE poller_id=%d AND host_id IN (",
               interval_s, interval_s, interval_s, interval_s, poller_id);
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
