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

#define MISSING_TABLE_MS 5000

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
    s->params.server = &s->server;
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
    db_rows_free(s->rows);
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

void store_tell(struct store *s, const struct store_event *event)
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

/* The next connection goes to another server, if there are several. */
static void leave_server(struct store *s, const struct err *why)
{
    disconnect(s, why);
    s->server = (s->server + 1) % db_count_servers(s->params.host);
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
    bool leave = dberror_is_of_this_server(number) && db_count_servers(s->params.host) > 1;
    a->tries++;
    switch (dberror_class(number)) {
    case DBERROR_RETRY:
        if (++a->conflicts > a->conflicts_at_most)
            return STORE_REFUSED;
        break;
    case DBERROR_LOST:
        if (leave)
            leave_server(s, why);
        else
            disconnect(s, why);
        if (++a->lost > (dberror_is_nonsense(number) && !a->has_other_way ? STORE_LOST_AT_MOST
                                                                          : a->lost_at_most))
            return STORE_REFUSED;
        break;
    case DBERROR_WAIT:
        if (number == DBERROR_TABLE_MISSING && missing_too_long(a))
            return STORE_REFUSED;
        if (number == DBERROR_TABLE_FULL && a->may_split)
            return STORE_REFUSED;
        if (leave)
            leave_server(s, why);
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
    struct store_attempt a = {.lost_at_most = STORE_LOST_AT_MOST,
                              .conflicts_at_most = STORE_CONFLICTS_AT_MOST};
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

bool store_settle_cycle(struct store *s, const struct store_row *row, struct err *err)
{
    return store_close_cycle(s, row, err) &&
           store_restore_row(s, row, "cannot close the row of this cycle in poller_time", err);
}

bool store_write_date(struct store *s, struct err *err)
{
    return exec_single(s, "cannot write settings.date", sqltext_date, NULL, err);
}

bool store_load_widths(struct store *s, size_t *ret_output, size_t *ret_boost, struct err *err)
{
    if (!store_know_schema(s, err))
        return false;
    *ret_output = s->output_chars;
    *ret_boost = s->boost_chars;
    return true;
}
