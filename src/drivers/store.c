#include "config.h"

#include "drivers/store.h"

#include "store_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "drivers/dberror.h"
#include "model/sqltext.h"
#include "model/value.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_AT_MOST 1000 /* more of them are no faster */
#define DEVICES_AT_MOST                                                                            \
    5000 /* of a statement about steps: fewer statements read the table less often */
#define BYTES_AT_MOST     ((size_t)1 << 20)
#define CONFLICTS_AT_MOST 30
#define CONFLICTS_OF_MANY 5  /* then the rows are sent in smaller statements */
#define LOST_AT_MOST      10 /* connections that one statement may cost */
#define GROW_AFTER        16 /* statements of the largest size that went well */
#define MISSING_TABLE_MS  5000

/* ---- connection ---- */

static void copy_params(struct store *s, const struct db_params *p)
{
    const char **strings[] = {&s->params.host,     &s->params.database, &s->params.user,
                              &s->params.password, &s->params.ssl_key,  &s->params.ssl_cert,
                              &s->params.ssl_ca};
    s->params = *p;
    for (size_t i = 0; i < ARRAY_LEN(strings); i++)
        *strings[i] = arena_strdup(&s->memory, *strings[i] == NULL ? "" : *strings[i]);
}

struct store *store_new(const struct db_params *params)
{
    struct store *s = mem_zalloc(1, sizeof(*s));
    copy_params(s, params);
    s->sites_can_be_disabled = -1;
    s->output_chars = s->boost_chars = VALUE_COLUMN_CHARS;
    s->poller_id = 1;
    s->deadline = s->latest = INT64_MAX;
    err_set(&s->lost_why, ERR_TEMPORARY, "no time is left for a connection to the database");
    s->params.latest = &s->latest;
    return s;
}

struct store *store_open(const struct db_params *params, int64_t deadline_mono_ms, struct err *err)
{
    struct store *s = store_new(params);
    s->deadline = deadline_mono_ms;
    s->db = db_open(&s->params, &s->deadline, err);
    if (s->db == NULL) {
        store_close(s);
        return NULL;
    }
    return s; /* statements have 30 s until store_set_deadline() says otherwise */
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    db_close(s->db);
    arena_done(&s->memory);
    free(s);
}

void store_set_deadline(struct store *s, int64_t deadline_mono_ms)
{
    s->deadline = deadline_mono_ms;
    if (s->db != NULL)
        db_set_deadline(s->db, &s->deadline);
}

void store_grant(struct store *s, int64_t at_least_ms)
{
    int64_t least = clock_mono_ms() + at_least_ms;
    if (least > s->latest)
        least = s->latest;
    if (s->deadline < least)
        store_set_deadline(s, least);
}

void store_grant_last(struct store *s, int64_t at_least_ms)
{
    int64_t now = clock_mono_ms();
    if (now >= s->latest)
        s->latest = now + at_least_ms;
    store_grant(s, at_least_ms);
}

void store_set_latest(struct store *s, int64_t latest_mono_ms)
{
    s->latest = latest_mono_ms;
}

static void store_draw_near(_Atomic int64_t *time, int64_t mono_ms)
{
    int64_t old = *time;
    while (mono_ms < old)
        if (atomic_compare_exchange_weak(time, &old, mono_ms))
            break;
}

void store_hurry(struct store *s, int64_t deadline_mono_ms, int64_t latest_mono_ms)
{
    store_draw_near(&s->deadline, deadline_mono_ms);
    store_draw_near(&s->latest, latest_mono_ms);
}

void store_set_patience(struct store *s, int64_t patience_ms)
{
    s->params.patience_ms = patience_ms;
    if (s->db != NULL)
        db_set_patience(s->db, patience_ms);
}

void store_set_listener(struct store *s, store_event_fn *on_event, void *arg)
{
    s->on_event = on_event;
    s->on_event_arg = arg;
}

void store_set_gate(struct store *s, store_gate_fn *gate, void *arg)
{
    s->gate = gate;
    s->gate_arg = arg;
}

void store_set_read_only(struct store *s, bool on)
{
    s->read_only = on;
}

void store_set_poller(struct store *s, int poller_id)
{
    s->poller_id = poller_id;
}

static void store_tell(struct store *s, const struct store_event *event)
{
    if (s->on_event != NULL)
        s->on_event(s->on_event_arg, event);
}

bool store_connect(struct store *s, struct err *err)
{
    if (s->db != NULL)
        return true;
    if (clock_mono_ms() >= s->deadline) {
        if (err != NULL)
            *err = s->lost_why;
        return false;
    }
    if (s->gate != NULL && !s->gate(s->gate_arg, s->deadline, err))
        return false;
    s->db = db_open(&s->params, &s->deadline, err);
    if (s->db == NULL) {
        /* An attempt that our own time has cut short says less than how the last connection ended. */
        if (err != NULL && s->lost_mono_ms != 0 && clock_mono_ms() >= s->deadline)
            *err = s->lost_why;
        return false;
    }
    db_set_deadline(s->db, &s->deadline);
    if (s->lost_mono_ms == 0)
        return true; /* the first one */
    s->reconnects++;
    struct store_event back = {.kind = STORE_EVENT_BACK,
                               .away_ms = clock_mono_ms() - s->lost_mono_ms};
    store_tell(s, &back);
    return true;
}

bool store_reach(struct store *s, struct err *err)
{
    return store_connect(s, err);
}

static void disconnect(struct store *s, const struct err *why)
{
    db_close(s->db);
    s->db = NULL;
    s->lost_mono_ms = clock_mono_ms();
    s->lost_why = *why;
    struct store_event lost = {.kind = STORE_EVENT_LOST, .why = why};
    store_tell(s, &lost);
}

/* ---- one statement, as often as it makes sense ---- */

static bool missing_too_long(struct store_attempt *a)
{
    int64_t now = clock_mono_ms();
    if (a->missing_since == 0)
        a->missing_since = now;
    return now - a->missing_since > MISSING_TABLE_MS;
}

enum store_result store_again(struct store *s, struct store_attempt *a, const struct err *why)
{
    int number = why->number;
    a->tries++;
    switch (dberror_class(number)) {
    case DBERROR_RETRY:
        if (++a->conflicts > a->conflicts_at_most)
            return STORE_REFUSED;
        break;
    case DBERROR_LOST:
        disconnect(s, why);
        if (++a->lost > (dberror_is_nonsense(number) ? LOST_AT_MOST : a->lost_at_most))
            return STORE_REFUSED;
        break;
    case DBERROR_WAIT:
        if (number == DBERROR_TABLE_MISSING && missing_too_long(a))
            return STORE_REFUSED;
        if (number == DBERROR_TABLE_FULL && a->may_split)
            return STORE_REFUSED;
        break;
    case DBERROR_SPLIT:
    case DBERROR_ROW:
    case DBERROR_FATAL: return STORE_REFUSED;
    }
    if (!db_back_off(a->tries, &s->deadline))
        return STORE_OVER;
    s->retries++;
    return STORE_DONE;
}

/* `after_lost` (may be NULL) replaces the statement when it is unknown whether the first one was
 * carried out. */
static enum store_result exec(struct store *s, struct store_attempt *a, const char *sql,
                              const char *after_lost, struct err *err)
{
    for (;;) {
        if (!store_connect(s, err))
            return STORE_OVER;
        const char *text = a->lost > 0 && after_lost != NULL ? after_lost : sql;
        if (db_exec(s->db, text, strlen(text), err))
            return STORE_DONE;
        enum store_result r = store_again(s, a, err);
        if (r != STORE_DONE)
            return r;
    }
}

void store_explain(struct err *err, const char *what)
{
    char reason[sizeof(err->text)];
    memcpy(reason, err->text, sizeof(reason));
    if (err->kind == ERR_CONFIG)
        err_set_number(
            err, err->kind, err->number,
            "%s: %.800s; does the database belong to Cacti 1.2 or newer and may the user use it?",
            what, reason);
    else
        err_set_number(err, err->kind, err->number, "%s: %.900s", what, reason);
}

static bool exec_single(struct store *s, const char *what, const char *sql, const char *after_lost,
                        struct err *err)
{
    if (s->read_only)
        return true;
    struct err why = ERR_INIT;
    struct store_attempt a = {.lost_at_most = LOST_AT_MOST, .conflicts_at_most = CONFLICTS_AT_MOST};
    if (exec(s, &a, sql, after_lost, &why) == STORE_DONE)
        return true;
    store_explain(&why, what);
    if (err != NULL)
        *err = why;
    return false;
}

/* ---- bookkeeping of the cycle (docs/contract.md 19) ---- */

/* No column is needed to tell which row it is, so the answer is. */
static void store_note_row(const struct store *s, struct store_row *row)
{
    if (s->db != NULL && !s->read_only)
        row->id = db_insert_id(s->db);
}

bool store_open_cycle(struct store *s, struct store_row *row, struct err *err)
{
    char sql[256];
    char after_lost[512];
    snprintf(sql, sizeof(sql),
             "INSERT INTO poller_time (poller_id,pid,start_time,end_time) VALUES (%d,%d,NOW(),"
             "'0000-00-00 00:00:00')",
             row->poller_id, row->pid);
    /* Two open rows of one cycle would make poller.php believe that two have finished. */
    snprintf(after_lost, sizeof(after_lost),
             "INSERT INTO poller_time (poller_id,pid,start_time,end_time) SELECT %d,%d,NOW(),"
             "'0000-00-00 00:00:00' FROM (SELECT COUNT(*) AS n FROM poller_time WHERE poller_id=%d "
             "AND pid=%d"
             " AND end_time='0000-00-00 00:00:00') AS t WHERE t.n=0",
             row->poller_id, row->pid, row->poller_id, row->pid);
    const char *first = row->asked ? after_lost : sql; /* the last answer may have got lost */
    row->asked = true;
    if (!exec_single(s, "cannot open the row of this cycle in poller_time", first, after_lost, err))
        return false;
    store_note_row(s, row);
    return true;
}

/* Text for the WHERE of the cycle's own row.  After a crash the server may give its id to another process. */
static void store_put_row(const struct store_row *row, const char *unless_id, char text[128])
{
    int n = snprintf(text, 128, "poller_id=%d AND pid=%d", row->poller_id, row->pid);
    if (row->id != 0)
        snprintf(text + n, 128 - (size_t)n, " AND id=%" PRIu64, row->id);
    else
        snprintf(text + n, 128 - (size_t)n, "%s", unless_id);
}

/* A server that crashed may have forgotten what it had acknowledged (docs/contract.md 19.2: without this row
 * poller.php waits for the whole interval). */
static bool store_restore_row(struct store *s, const struct store_row *row, const char *what,
                              struct err *err)
{
    static const char insert[] =
        "INSERT INTO poller_time (poller_id,pid,start_time,end_time) SELECT %d,%d,NOW(),NOW()"
        " FROM (SELECT COUNT(*) AS n FROM poller_time WHERE %s) AS t WHERE t.n=0";
    char sql[512], after_lost[512], own[128], any[128];
    store_put_row(row, "", own);
    store_put_row(&(struct store_row){row->poller_id, row->pid, true, 0}, "", any);
    snprintf(sql, sizeof(sql), insert, row->poller_id, row->pid, own);
    /* The new row has another id. */
    snprintf(after_lost, sizeof(after_lost), insert, row->poller_id, row->pid, any);
    return exec_single(s, what, sql, after_lost, err);
}

bool store_close_cycle(struct store *s, const struct store_row *row, struct err *err)
{
    static const char what[] = "cannot close the row of this cycle in poller_time";
    char sql[512], own[128];
    store_put_row(row, " AND end_time='0000-00-00 00:00:00'", own);
    snprintf(sql, sizeof(sql), "UPDATE poller_time SET end_time=NOW() WHERE %s", own);
    if (!exec_single(s, what, sql, NULL, err))
        return false;
    return s->reconnects == 0 || store_restore_row(s, row, what, err);
}

bool store_write_date(struct store *s, struct err *err)
{
    return exec_single(s, "cannot write settings.date", sqltext_date, NULL, err);
}

/* ---- many rows ---- */

static size_t build_outputs(struct store *s, const struct job *job, size_t at,
                            const struct sqltext_limits *limits, struct buf *sql)
{
    const struct output_row *rows = job->rows;
    return sqltext_outputs(sql, job->table, rows + at, job->count - at, job->output_chars, limits,
                           db_escape, s->db);
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
static void refuse(struct store *s, struct job *job, size_t at, size_t rows, const struct err *why)
{
    if (job->refused_count == 0)
        job->why = *why;
    job->refused_count += rows;
    for (size_t i = at; job->refused != NULL && i < at + rows; i++) {
        const struct output_row *outputs = job->rows;
        struct store_event event = {.kind = STORE_EVENT_REJECTED, .why = why, .row = &outputs[i]};
        if (!job->refused[i])
            store_tell(s, &event);
        job->refused[i] = true;
    }
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

static enum store_result write_some(struct store *s, const struct job *job, size_t at, size_t rows,
                                    struct buf *sql, size_t *ret_count, struct err *why)
{
    if (clock_mono_ms() >= s->deadline) {
        err_set(why, ERR_TEMPORARY, "the time for storing is over");
        return STORE_OVER;
    }
    if (!store_connect(s, why))
        return STORE_OVER;
    struct sqltext_limits limits = {
        .rows = rows, .bytes = statement_bytes(s), .row_alias = db_has_row_alias(s->db)};
    buf_clear(sql);
    size_t n = *ret_count = job->build(s, job, at, &limits, sql);
    struct store_attempt a = {
        .lost_at_most = n > 1 ? 1 : LOST_AT_MOST / 2,
        .conflicts_at_most = n > 1 ? CONFLICTS_OF_MANY : CONFLICTS_AT_MOST,
        .may_split = n > 1,
    };
    return sql->len == 0 ? STORE_DONE : exec(s, &a, buf_str(sql), NULL, why);
}

void store_write_job(struct store *s, struct job *job)
{
    struct buf sql = BUF_INIT;
    size_t most = job->rows_at_most > 0 ? job->rows_at_most : ROWS_AT_MOST;
    struct size size = {.next = most, .largest = most, .most = most};
    size_t at = 0;
    while (at < job->count) {
        struct err why = ERR_INIT;
        size_t n = 0;
        enum store_result r = write_some(s, job, at, size.next, &sql, &n, &why);
        if (r == STORE_DONE) {
            at += n;
            size_went_well(&size);
        } else if (r == STORE_OVER || hopeless(why.number)) {
            leave(job, at, &why);
            break;
        } else if (n > 1 && smaller_may_do(why.number)) {
            size_was_too_much(&size, n, why.number);
        } else {
            refuse(s, job, at, n, &why);
            at += n;
        }
    }
    buf_done(&sql);
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

/* What concerns devices, not values. */
static bool write_devices(struct store *s, const struct batch *b, struct err *err)
{
    size_t recache_count;
    struct host_row *host_rows = group_hosts(b);
    struct recache_row *recache_rows = unique_recaches(b, &recache_count);
    struct job jobs[] = {
        {.table = "host", .build = build_hosts, .rows = host_rows, .count = b->host_count},
        {.table = "poller_command",
         .build = build_recaches,
         .rows = recache_rows,
         .count = recache_count,
         .poller_id = s->poller_id},
        {.table = "poller_reindex",
         .build = build_asserts,
         .rows = b->asserts,
         .count = b->assert_count},
    };
    bool ok = true;
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        store_write_job(s, &jobs[i]);
        ok = store_report_job(&jobs[i], ok ? err : NULL) && ok;
    }
    free(recache_rows);
    free(host_rows);
    return ok;
}

static void count_outputs(struct store_outcome *out, size_t count, const struct job *outputs,
                          const struct job *copies)
{
    out->rows_left = outputs->left > copies->left ? outputs->left : copies->left;
    size_t tried = count - out->rows_left;
    for (size_t i = 0; i < tried; i++)
        out->rows_rejected += outputs->refused[i];
    out->rows_stored = tried - out->rows_rejected;
}

bool store_load_widths(struct store *s, size_t *ret_output, size_t *ret_boost, struct err *err)
{
    if (!store_know_schema(s, err))
        return false;
    *ret_output = s->output_chars;
    *ret_boost = s->boost_chars;
    return true;
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
    bool *refused = mem_zalloc(b->row_count, sizeof(*refused));
    struct job outputs = {.table = "poller_output",
                          .build = build_outputs,
                          .rows = b->rows,
                          .count = output ? b->row_count : 0,
                          .output_chars = s->output_chars,
                          .refused = refused};
    struct job copies = outputs;
    copies.table = "poller_output_boost";
    copies.output_chars = s->boost_chars;
    copies.count = boost ? b->row_count : 0;
    store_write_job(s, &outputs);
    store_write_job(s, &copies);
    bool ok = write_devices(s, b, &why);
    count_outputs(ret, b->row_count, &outputs, &copies);
    ret->retries = s->retries - retries_before;
    free(refused);
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
