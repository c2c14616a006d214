#include "config.h"

#include "drivers/store.h"

#include "store_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "drivers/dberror.h"
#include "model/sqltext.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_AT_MOST 1000 /* more of them are no faster */
#define DEVICES_AT_MOST                                                                            \
    5000 /* of a statement about steps: fewer statements read the table less often */
#define BYTES_AT_MOST     ((size_t)1 << 20)
#define CONFLICTS_OF_MANY 5  /* then the rows are sent in smaller statements */
#define GROW_AFTER        16 /* statements of the largest size that went well */
#define BIND_FROM         16 /* rows: preparing costs the server about as much as they save */

/* ---- many rows ---- */

static size_t build_outputs(struct store *s, const struct job *job, size_t at,
                            const struct sqltext_limits *limits, struct buf *sql)
{
    const struct output_row *rows = job->rows;
    return sqltext_outputs(sql, job->table, rows + at, job->count - at, job->output_chars, limits,
                           db_escape, s->db);
}

static size_t bind_outputs(struct store *s, const struct job *job, size_t at,
                           const struct sqltext_limits *limits)
{
    static const enum db_cell cells[SQLTEXT_OUTPUT_CELLS] = {DB_CELL_NUMBER, DB_CELL_TEXT,
                                                             DB_CELL_NUMBER, DB_CELL_TEXT};
    const struct output_row *rows = job->rows;
    if (s->rows == NULL)
        s->rows = db_rows_new(cells, SQLTEXT_OUTPUT_CELLS, ROWS_AT_MOST);
    db_rows_clear(s->rows);
    for (size_t i = at; i < job->count && i - at < limits->rows; i++) {
        size_t len;
        const char *value = sqltext_output_value(&rows[i], job->output_chars, &len);
        db_rows_number(s->rows, rows[i].local_data_id);
        db_rows_text(s->rows, rows[i].rrd_name, strlen(rows[i].rrd_name));
        if (rows[i].time > 0)
            db_rows_number(s->rows, rows[i].time);
        else
            db_rows_null(s->rows);
        db_rows_text(s->rows, value, len);
        if (!db_rows_end(s->rows, limits->bytes))
            break;
    }
    return db_rows_count(s->rows);
}

static size_t build_hosts(struct store *s, const struct job *job, size_t at,
                          const struct sqltext_limits *limits, struct buf *sql)
{
    const struct host_row *rows = job->rows;
    return sqltext_hosts(sql, rows + at, job->count - at, limits, db_escape, s->db);
}

static size_t build_recaches(struct store *s UNUSED, const struct job *job, size_t at,
                             const struct sqltext_limits *limits, struct buf *sql)
{
    const struct recache_row *rows = job->rows;
    return sqltext_recaches(sql, job->poller_id, rows + at, job->count - at, limits);
}

static size_t build_asserts(struct store *s, const struct job *job, size_t at,
                            const struct sqltext_limits *limits, struct buf *sql)
{
    const struct assert_row *rows = job->rows;
    return sqltext_asserts(sql, rows + at, job->count - at, limits, db_escape, s->db);
}

static size_t build_steps(struct store *s UNUSED, const struct job *job, size_t at,
                          const struct sqltext_limits *limits, struct buf *sql)
{
    const uint32_t *ids = job->rows;
    return sqltext_next_step(sql, job->poller_id, job->interval_s, ids + at, job->count - at,
                             limits);
}

/* These rows are not stored and never will be. */
static void refuse(struct job *job, size_t at, size_t rows, const struct err *why)
{
    if (job->refused_count == 0)
        job->why = *why;
    job->refused_count += rows;
    for (size_t i = at; job->refused != NULL && i < at + rows; i++)
        if (job->refused[i] == NULL)
            job->refused[i] = mem_strdup(why->text);
}

static void leave(struct job *job, size_t at, const struct err *why)
{
    job->left = job->count - at;
    job->why = *why;
}

static size_t statement_bytes(const struct store *s)
{
    size_t half = db_max_packet(s->db) / 2;
    return half < BYTES_AT_MOST ? half : BYTES_AT_MOST;
}

/* Can a smaller statement succeed where this one did not? */
static bool smaller_may_do(int number)
{
    switch (dberror_class(number)) {
    case DBERROR_ROW:   /* one row is bad, the others are not */
    case DBERROR_SPLIT: /* too large */
    case DBERROR_RETRY: /* repeatedly: a smaller statement conflicts with fewer others */
    case DBERROR_LOST:
        return true; /* repeatedly: some servers and proxies answer "too large" in this way */
    case DBERROR_FATAL: return number == DBERROR_SYNTAX;
    case DBERROR_WAIT: return number == DBERROR_TABLE_FULL;
    }
    return false;
}

/* The table is missing or forbidden, or what answers is not a database: no row of this job will do
 * better. */
static bool hopeless(int number)
{
    enum dberror class = dberror_class(number);
    return number == DBERROR_TABLE_MISSING || dberror_is_nonsense(number) ||
           (class == DBERROR_FATAL && number != DBERROR_SYNTAX);
}

/* How many rows the next statement gets.  A failing one is halved until a single row is left to
 * blame, and each success doubles the size again, up to the largest that the server is known to
 * take; whether it takes more by now is tried once in a while. */
struct size {
    size_t next, largest, most;
    unsigned good;
};

static void size_went_well(struct size *z)
{
    if (z->next >= z->largest && ++z->good >= GROW_AFTER) {
        z->good = 0;
        z->largest = z->largest * 2 < z->most ? z->largest * 2 : z->most;
    }
    z->next = z->next * 2 < z->largest ? z->next * 2 : z->largest;
}

static void size_was_too_much(struct size *z, size_t rows, int number)
{
    enum dberror class = dberror_class(number);
    z->next = rows / 2;
    z->good = 0;
    if (class == DBERROR_SPLIT || class == DBERROR_LOST)
        z->largest = z->next;
}

/* How the next rows go. */
enum way {
    WAY_PLAIN, /* text that every server knows */
    WAY_TEXT,  /* MariaDB's own */
    WAY_BOUND, /* array binding */
};

/* A row alone is sent as plain text, so that it is never refused for the way in which it was sent. */
static enum way choose_way(struct store *s, const struct job *job, size_t at, size_t rows)
{
    const char *lacks = s->plain ? "" : db_bulk_lacks(s->db);
    if (job->bound != NULL && !s->told_way) {
        store_tell(s, &(struct store_event){.kind = STORE_EVENT_WAY, .lacks = lacks});
        s->told_way = true;
    }
    if (lacks != NULL || at < job->plain_until || rows < 2)
        return WAY_PLAIN;
    if (job->bound != NULL && (rows >= BIND_FROM || db_bulk_is_prepared(s->db, job->bound)))
        return WAY_BOUND;
    return job->has_mariadb_form ? WAY_TEXT : WAY_PLAIN;
}

/* The next statement of a job. */
struct next {
    enum way way;
    size_t rows;
    struct buf sql; /* not when the rows are bound; "": there is nothing to write */
};

static enum store_result send_next(struct store *s, struct store_attempt *a, const struct job *job,
                                   const struct next *next, struct err *err)
{
    for (;;) {
        if (!store_connect(s, err))
            return STORE_OVER;
        if (next->way == WAY_BOUND ? db_bulk(s->db, job->bound, s->rows, err)
                                   : db_exec(s->db, next->sql.data, next->sql.len, err))
            return STORE_DONE;
        enum store_result r = store_again(s, a, err);
        if (r != STORE_DONE)
            return r;
    }
}

static enum store_result write_some(struct store *s, const struct job *job, size_t at, size_t rows,
                                    struct next *next, struct err *why)
{
    if (clock_mono_ms() >= s->deadline) {
        err_set(why, ERR_TEMPORARY, "the time for storing is over");
        return STORE_OVER;
    }
    if (!store_connect(s, why))
        return STORE_OVER;
    next->way = choose_way(s, job, at, rows < job->count - at ? rows : job->count - at);
    struct sqltext_limits limits = {
        .rows = rows,
        .bytes = statement_bytes(s),
        .row_alias = db_has_row_alias(s->db),
        .form = next->way == WAY_TEXT ? SQLTEXT_MARIADB : SQLTEXT_ANY,
    };
    buf_clear(&next->sql);
    next->rows = next->way == WAY_BOUND ? job->bind(s, job, at, &limits)
                                        : job->build(s, job, at, &limits, &next->sql);
    bool many = next->rows > 1;
    struct store_attempt a = {
        .lost_at_most = many ? 1 : STORE_LOST_AT_MOST / 2,
        .has_other_way = next->way != WAY_PLAIN,
        .conflicts_at_most = many ? CONFLICTS_OF_MANY : STORE_CONFLICTS_AT_MOST,
        .may_split = many,
    };
    if (next->way != WAY_BOUND && next->sql.len == 0)
        return STORE_DONE;
    return send_next(s, &a, job, next, why);
}

/* May the way of the statement be the reason, and not its rows or its size? */
static bool plain_may_do(int number)
{
    enum dberror class = dberror_class(number);
    return class == DBERROR_ROW || class == DBERROR_FATAL || class == DBERROR_LOST;
}

/* What was refused in another way has been taken as plain text, all of it at once: the other ways are not tried
 * again. */
static void blame_the_way(struct store *s, const struct err *why)
{
    s->plain = true;
    store_tell(s, &(struct store_event){.kind = STORE_EVENT_PLAIN, .why = why});
}

void store_write_job(struct store *s, struct job *job)
{
    struct next next = {.sql = BUF_INIT};
    struct err suspect = ERR_INIT; /* why the rows up to plain_until go as plain text */
    size_t most = job->rows_at_most > 0 ? job->rows_at_most : ROWS_AT_MOST;
    struct size size = {.next = most, .largest = most, .most = most};
    size_t at = 0, suspected = 0; /* that number of rows, from `at` on */
    while (at < job->count) {
        struct err why = ERR_INIT;
        enum store_result r = write_some(s, job, at, size.next, &next, &why);
        size_t n = next.rows;
        if (r == STORE_DONE) {
            if (suspected > 0 && suspected == n)
                blame_the_way(s, &suspect);
            suspected = 0;
            at += n;
            size_went_well(&size);
        } else if (r == STORE_REFUSED && next.way != WAY_PLAIN && plain_may_do(why.number)) {
            job->plain_until = at + n;
            suspected = size.next = n;
            suspect = why;
        } else if (r == STORE_OVER || hopeless(why.number)) {
            leave(job, at, &why);
            break;
        } else if (n > 1 && smaller_may_do(why.number)) {
            suspected = 0;
            size_was_too_much(&size, n, why.number);
        } else {
            refuse(job, at, n, &why);
            at += n;
        }
    }
    buf_done(&next.sql);
}

bool store_report_job(const struct job *job, struct err *err)
{
    size_t lost = job->refused_count + job->left;
    if (lost == 0)
        return true;
    err_set_number(err, ERR_TEMPORARY, job->why.number, "%zu of %zu rows of %s not stored: %.800s",
                   lost, job->count, job->table, job->why.text);
    return false;
}

static int host_kind(const struct host_row *h)
{
    return h->has_status * 2 + h->has_polling_time;
}

/* Rows of one kind side by side make few statements. */
static struct host_row *group_hosts(const struct batch *b)
{
    struct host_row *copy = mem_zalloc(b->host_count, sizeof(*copy));
    size_t n = 0;
    for (int kind = 3; kind >= 0; kind--) {
        for (size_t i = 0; i < b->host_count; i++) {
            if (host_kind(&b->hosts[i]) == kind)
                copy[n++] = b->hosts[i];
        }
    }
    return copy;
}

static int compare_recaches(const void *a, const void *b)
{
    const struct recache_row *x = a;
    const struct recache_row *y = b;
    if (x->device_id != y->device_id)
        return x->device_id < y->device_id ? -1 : 1;
    return (x->data_query_id > y->data_query_id) - (x->data_query_id < y->data_query_id);
}

/* Each data query once, however many of its assertions failed. */
static struct recache_row *unique_recaches(const struct batch *b, size_t *ret_count)
{
    struct recache_row *copy = mem_zalloc(b->recache_count, sizeof(*copy));
    size_t n = 0;
    if (b->recache_count > 0) {
        memcpy(copy, b->recaches, b->recache_count * sizeof(*copy));
        qsort(copy, b->recache_count, sizeof(*copy), compare_recaches);
    }
    for (size_t i = 0; i < b->recache_count; i++) {
        if (n == 0 || compare_recaches(&copy[n - 1], &copy[i]) != 0)
            copy[n++] = copy[i];
    }
    *ret_count = n;
    return copy;
}

/* By data query, then by device: a statement names each data query once, and the server finds the rows in the
 * order of its key. */
static int compare_asserts(const void *a, const void *b)
{
    const struct assert_row *x = a;
    const struct assert_row *y = b;
    if (x->data_query_id != y->data_query_id)
        return x->data_query_id < y->data_query_id ? -1 : 1;
    if (x->device_id != y->device_id)
        return x->device_id < y->device_id ? -1 : 1;
    return strcmp(x->arg1, y->arg1);
}

static struct assert_row *sorted_asserts(const struct batch *b)
{
    struct assert_row *copy = mem_zalloc(b->assert_count, sizeof(*copy));
    if (b->assert_count > 0) {
        memcpy(copy, b->asserts, b->assert_count * sizeof(*copy));
        qsort(copy, b->assert_count, sizeof(*copy), compare_asserts);
    }
    return copy;
}

/* What concerns devices, not values. */
static bool write_devices(struct store *s, const struct batch *b, struct err *err)
{
    size_t recache_count;
    struct host_row *host_rows = group_hosts(b);
    struct recache_row *recache_rows = unique_recaches(b, &recache_count);
    struct assert_row *assert_rows = sorted_asserts(b);
    struct job jobs[] = {
        {.table = "host",
         .build = build_hosts,
         .has_mariadb_form = true,
         .rows = host_rows,
         .count = b->host_count},
        {.table = "poller_command",
         .build = build_recaches,
         .rows = recache_rows,
         .count = recache_count,
         .poller_id = s->poller_id},
        {.table = "poller_reindex",
         .build = build_asserts,
         .has_mariadb_form = true,
         .rows = assert_rows,
         .count = b->assert_count},
    };
    bool ok = true;
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        store_write_job(s, &jobs[i]);
        ok = store_report_job(&jobs[i], ok ? err : NULL) && ok;
    }
    free(assert_rows);
    free(recache_rows);
    free(host_rows);
    return ok;
}

static void tell_refused(struct store *s, const struct output_row *row, const char *text)
{
    struct err why;
    err_set(&why, ERR_TEMPORARY, "%s", text);
    store_tell(s, &(struct store_event){.kind = STORE_EVENT_REJECTED, .why = &why, .row = row});
}

/* A row that one table refuses and another one does not come to is left, so that it is told once. */
static void count_outputs(struct store *s, struct store_outcome *out, const struct batch *b,
                          const struct job *outputs, const struct job *copies)
{
    out->rows_left = outputs->left > copies->left ? outputs->left : copies->left;
    size_t tried = b->row_count - out->rows_left;
    for (size_t i = 0; i < tried; i++) {
        if (outputs->refused[i] == NULL)
            continue;
        out->rows_rejected++;
        tell_refused(s, &b->rows[i], outputs->refused[i]);
    }
    out->rows_stored = tried - out->rows_rejected;
}

static void free_refused(char **refused, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(refused[i]);
    free(refused);
}

static bool write_batch(struct store *s, const struct batch *b, bool output, bool boost,
                        struct store_outcome *ret, struct err *err)
{
    *ret = (struct store_outcome){0};
    if (s->read_only)
        return true;
    size_t retries_before = s->retries;
    struct err why = ERR_INIT; /* of the devices: the reason for a lost value takes precedence */
    if (b->row_count > 0)
        (void)!store_know_schema(s, NULL); /* else the widths of Cacti's schema do */
    char **refused = mem_zalloc(b->row_count, sizeof(*refused));
    struct job outputs = {.table = "poller_output",
                          .build = build_outputs,
                          .bound = sqltext_outputs_bound("poller_output"),
                          .bind = bind_outputs,
                          .rows = b->rows,
                          .count = output ? b->row_count : 0,
                          .output_chars = s->output_chars,
                          .refused = refused};
    struct job copies = outputs;
    copies.table = "poller_output_boost";
    copies.bound = sqltext_outputs_bound(copies.table);
    copies.output_chars = s->boost_chars;
    copies.count = boost ? b->row_count : 0;
    store_write_job(s, &outputs);
    store_write_job(s, &copies);
    bool ok = write_devices(s, b, &why);
    count_outputs(s, ret, b, &outputs, &copies);
    ret->retries = s->retries - retries_before;
    free_refused(refused, b->row_count);
    if (!store_report_job(&outputs, err) || !store_report_job(&copies, err))
        return false;
    if (!ok && err != NULL)
        *err = why;
    return ok;
}

bool store_write(struct store *s, const struct batch *b, bool boost, struct store_outcome *ret,
                 struct err *err)
{
    return write_batch(s, b, true, boost, ret, err);
}

bool store_write_boost(struct store *s, const struct batch *b, struct store_outcome *ret,
                       struct err *err)
{
    return write_batch(s, b, false, true, ret, err);
}

/* In the order of ids, so that a statement touches neighbours. */
bool store_advance_steps(struct store *s, int poller_id, int64_t interval_s,
                         const uint32_t *device_ids, size_t count, struct err *err)
{
    if (s->read_only || count == 0)
        return true;
    uint32_t *ids = mem_zalloc(count, sizeof(*ids));
    memcpy(ids, device_ids, count * sizeof(*ids));
    qsort(ids, count, sizeof(*ids), num_compare_u32);
    struct job steps = {.table = "poller_item (next step)",
                        .build = build_steps,
                        .rows = ids,
                        .count = count,
                        .rows_at_most = DEVICES_AT_MOST,
                        .poller_id = poller_id,
                        .interval_s = interval_s};
    store_write_job(s, &steps);
    free(ids);
    return store_report_job(&steps, err);
}
