#include "config.h"

#include "model/pushtext.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum field_kind { FIELD_TEXT, FIELD_NUMBER, FIELD_DATE };

static const struct field {
    const char *column;
    enum field_kind kind;
} fields[PUSHTEXT_HOST_FIELDS] = {
    {"snmp_sysDescr", FIELD_TEXT},
    {"snmp_sysObjectID", FIELD_TEXT},
    {"snmp_sysUpTimeInstance", FIELD_NUMBER},
    {"snmp_sysContact", FIELD_TEXT},
    {"snmp_sysName", FIELD_TEXT},
    {"snmp_sysLocation", FIELD_TEXT},
    {"status", FIELD_NUMBER},
    {"status_event_count", FIELD_NUMBER},
    {"status_fail_date", FIELD_DATE},
    {"status_rec_date", FIELD_DATE},
    {"status_last_error", FIELD_TEXT},
    {"min_time", FIELD_NUMBER},
    {"max_time", FIELD_NUMBER},
    {"cur_time", FIELD_NUMBER},
    {"avg_time", FIELD_NUMBER},
    {"polling_time", FIELD_NUMBER},
    {"total_polls", FIELD_NUMBER},
    {"failed_polls", FIELD_NUMBER},
    {"availability", FIELD_NUMBER},
    {"last_updated", FIELD_DATE},
};

void pushtext_select_hosts(struct buf *out, int poller_id, uint32_t after_id, size_t limit)
{
    buf_puts(out, "SELECT id");
    for (size_t i = 0; i < PUSHTEXT_HOST_FIELDS; i++)
        buf_printf(out, fields[i].kind == FIELD_DATE ? ",UNIX_TIMESTAMP(%s)" : ",%s",
                   fields[i].column);
    buf_printf(out, " FROM host WHERE poller_id=%d AND id>%" PRIu32 " ORDER BY id LIMIT %zu",
               poller_id, after_id, limit);
}

void pushtext_select_steps(struct buf *out, int poller_id)
{
    buf_printf(out,
               "SELECT local_data_id,rrd_name,rrd_next_step FROM poller_item WHERE poller_id=%d"
               " ORDER BY local_data_id,rrd_name",
               poller_id);
}

/* ---- hosts ---- */

static bool pushtext_is_number(const char *text, size_t len)
{
    return len > 0 && strspn(text, "+-.0123456789eE") == len;
}

static void put_field(struct buf *out, const struct field *f, const char *text, size_t len,
                      sqltext_escape_fn *escape, void *arg)
{
    if (text == NULL) {
        buf_puts(out, "NULL");
    } else if (f->kind == FIELD_TEXT) {
        buf_putc(out, '\'');
        escape(arg, text, len, out);
        buf_putc(out, '\'');
    } else if (pushtext_is_number(text, len)) {
        buf_append(out, text, len);
    } else {
        buf_putc(out, '0');
    }
}

/* Column names stand in the first SELECT only; the rest of the union takes them over. */
static void pushtext_put_host(struct buf *out, const struct pushed_host *h, bool first,
                              sqltext_escape_fn *escape, void *arg)
{
    buf_printf(out, first ? "SELECT %" PRIu32 " AS id" : " UNION ALL SELECT %" PRIu32, h->id);
    for (size_t i = 0; i < PUSHTEXT_HOST_FIELDS; i++) {
        buf_putc(out, ',');
        put_field(out, &fields[i], h->fields[i], h->lengths[i], escape, arg);
        if (first)
            buf_printf(out, " AS c%zu", i);
    }
}

static void pushtext_hosts_tail(struct buf *out)
{
    buf_puts(out, ") AS d STRAIGHT_JOIN host AS h ON h.id=d.id SET ");
    for (size_t i = 0; i < PUSHTEXT_HOST_FIELDS; i++) {
        buf_printf(out, "%sh.%s=", i == 0 ? "" : ",", fields[i].column);
        if (fields[i].kind == FIELD_DATE)
            buf_printf(out, SQLTEXT_DATE("d.c%zu"), i, i);
        else
            buf_printf(out, "d.c%zu", i);
    }
}

size_t pushtext_hosts(struct buf *out, const struct pushed_host *rows, size_t count,
                      const struct sqltext_limits *limits, sqltext_escape_fn *escape, void *arg)
{
    if (count == 0)
        return 0;
    struct buf tail = BUF_INIT;
    pushtext_hosts_tail(&tail);
    size_t start = out->len;
    buf_puts(out, "UPDATE (");
    size_t n;
    for (n = 0; n < count && n < limits->rows; n++) {
        size_t before = out->len;
        pushtext_put_host(out, &rows[n], n == 0, escape, arg);
        if (n > 0 && out->len - start + tail.len > limits->bytes) {
            buf_truncate(out, before);
            break;
        }
    }
    buf_append(out, tail.data, tail.len);
    buf_done(&tail);
    return n;
}

/* ---- next steps ---- */

/* The rows from `open` on belong to one data source. */
static void close_source(struct pushed_steps *steps)
{
    if (steps->open == steps->count)
        return;
    struct pushed_step *first = steps->rows + steps->open;
    size_t n = steps->count - steps->open;
    bool agree = true;
    for (size_t i = 1; i < n; i++)
        agree = agree && first[i].next_step == first->next_step;
    if (agree) {
        first->rrd_name = NULL;
        steps->count = steps->open + 1;
    }
    steps->open = steps->count;
}

void pushed_steps_add(struct pushed_steps *steps, uint32_t local_data_id, const char *rrd_name,
                      int64_t next_step)
{
    if (steps->open < steps->count && steps->rows[steps->open].local_data_id != local_data_id)
        close_source(steps);
    steps->rows = mem_grow(steps->rows, steps->count, &steps->cap, 1024, sizeof(steps->rows[0]));
    steps->rows[steps->count++] = (struct pushed_step){
        .next_step = next_step,
        .local_data_id = local_data_id,
        .rrd_name = arena_strdup(&steps->names, rrd_name),
    };
}

static bool pushtext_same_kind(const struct pushed_step *a, const struct pushed_step *b)
{
    return a->next_step == b->next_step && (a->rrd_name == NULL) == (b->rrd_name == NULL);
}

static int compare_steps(const void *a, const void *b)
{
    const struct pushed_step *x = a;
    const struct pushed_step *y = b;
    if (x->next_step != y->next_step)
        return x->next_step < y->next_step ? -1 : 1;
    if ((x->rrd_name == NULL) != (y->rrd_name == NULL))
        return x->rrd_name == NULL ? -1 : 1;
    return (x->local_data_id > y->local_data_id) - (x->local_data_id < y->local_data_id);
}

void pushed_steps_end(struct pushed_steps *steps)
{
    close_source(steps);
    if (steps->count > 0)
        qsort(steps->rows, steps->count, sizeof(steps->rows[0]), compare_steps);
}

void pushed_steps_done(struct pushed_steps *steps)
{
    arena_done(&steps->names);
    free(steps->rows);
    *steps = (struct pushed_steps){0};
}

static void put_step(struct buf *out, const struct pushed_step *s, bool first,
                     sqltext_escape_fn *escape, void *arg)
{
    if (s->rrd_name == NULL) {
        buf_printf(out, first ? "local_data_id IN (%" PRIu32 : ",%" PRIu32, s->local_data_id);
        return;
    }
    buf_printf(out, "%slocal_data_id=%" PRIu32 " AND rrd_name='", first ? "" : " OR ",
               s->local_data_id);
    escape(arg, s->rrd_name, strlen(s->rrd_name), out);
    buf_putc(out, '\'');
}

size_t pushtext_steps(struct buf *out, const struct pushed_step *rows, size_t count,
                      const struct sqltext_limits *limits, sqltext_escape_fn *escape, void *arg)
{
    if (count == 0)
        return 0;
    size_t start = out->len;
    buf_printf(out, "UPDATE poller_item SET rrd_next_step=%" PRId64 " WHERE ", rows[0].next_step);
    size_t n;
    for (n = 0; n < count && n < limits->rows && pushtext_same_kind(&rows[n], &rows[0]); n++) {
        size_t before = out->len;
        put_step(out, &rows[n], n == 0, escape, arg);
        if (n > 0 && out->len - start + 1 > limits->bytes) {
            buf_truncate(out, before);
            break;
        }
    }
    if (rows[0].rrd_name == NULL)
        buf_putc(out, ')');
    return n;
}
