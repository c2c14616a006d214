/* A database in the place of drivers/db*.o, which fails as the plan says; what statements do is in fake_sql.c. */
#include "config.h"

#include "sim.h"
#include "tables.h"

#include "base/clock.h"
#include "base/mem.h"
#include "drivers/db.h"
#include "drivers/dberror.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 2000, LATE_MS = 1000, ROW_CELLS = 4, NUMBER_GONE = 2006 };

struct db {
    const _Atomic int64_t *deadline, *latest;
    int64_t patience_ms;
    uint64_t insert_id;
    bool in_use, prepared, lost;
};

static struct {
    int struck[PLAN_DB_FAULTS];
    size_t open;
} faults;

void tables_begin(void)
{
    memset(&tables, 0, sizeof(tables));
    memset(&faults, 0, sizeof(faults));
}

void tables_end(void)
{
    if (sim_hanging() == 0)
        SIM_CHECK(tables.connections == 0, "%u connections are left", tables.connections);
}

/* ---- faults ---- */

static int64_t now_ms(void)
{
    return (sim_now_us() - sim_start_us()) / 1000;
}

/* NULL: the statement goes well. */
static const struct plan_db_fault *next_fault(void)
{
    const struct plan *p = sim_plan();
    for (size_t i = 0; i < p->db_fault_count; i++) {
        const struct plan_db_fault *f = &p->db[i];
        if (!f->on || now_ms() < f->at_ms || f->kind == DB_AWAY || faults.struck[i] >= f->times)
            continue;
        faults.struck[i]++;
        tables.faults++;
        return f;
    }
    return NULL;
}

static const struct plan_db_fault *outage(void)
{
    const struct plan *p = sim_plan();
    for (size_t i = 0; i < p->db_fault_count; i++) {
        const struct plan_db_fault *f = &p->db[i];
        if (f->on && f->kind == DB_AWAY && now_ms() >= f->at_ms && now_ms() < f->at_ms + f->ms) {
            tables.faults++;
            return f;
        }
    }
    return NULL;
}

static bool fail(struct db *db, int number, struct err *err)
{
    tables.broken = true;
    if (dberror_class(number) == DBERROR_LOST)
        db->lost = true;
    return err_set_number(err, dberror_kind(number), number, "database error %d: simulated",
                          number);
}

static bool never(void *arg UNUSED)
{
    return false;
}

/* The server is silent for that time.  false: the client gives up before, as drivers/db.h promises. */
static bool wait_for_server(const struct db *db, int64_t ms)
{
    int64_t start = clock_mono_ms(), until = ms < INT64_MAX - start ? start + ms : INT64_MAX;
    for (;;) {
        int64_t now = clock_mono_ms(), deadline = *db->deadline;
        bool had_time = now >= start + PATIENCE_MS;
        if (now >= until)
            return true;
        if (had_time && (now >= deadline + LATE_MS || now >= start + db->patience_ms))
            return false;
        if (db->latest != NULL && now >= *db->latest)
            return false;
        (void)sim_wait(never, NULL, (now + 20) * 1000);
    }
}

/* ---- statements ---- */

NORETURN static void get_stuck(void)
{
    tables.broken = true;
    sim_hang();
}

/* false: it fails; the fault *ret may also come when it is done. */
static bool statement_begins(struct db *db, const struct plan_db_fault **ret, struct err *err)
{
    SIM_CHECK(!db->in_use, "two threads use one connection");
    SIM_CHECK(!db->lost, "a connection is used that was lost");
    db->in_use = true;
    tables.statements++;
    sim_sleep(sim_plan()->db_us / 2 + sim_rand((uint32_t)sim_plan()->db_us + 1));
    const struct plan_db_fault *f = *ret = next_fault();
    bool ok = true;
    if (outage() != NULL)
        ok = fail(db, NUMBER_GONE, err);
    else if (f != NULL && f->kind == DB_FAILS_BEFORE)
        ok = fail(db, f->number, err);
    else if (f != NULL && (f->kind == DB_SILENT || f->kind == DB_SLOW))
        ok = wait_for_server(db, f->kind == DB_SLOW ? f->ms : INT64_MAX) ||
             fail(db, DBERROR_SERVER_LOST, err);
    else if (f != NULL && f->kind == DB_STUCK)
        get_stuck();
    if (!ok)
        db->in_use = false;
    return ok;
}

static bool statement_ends(struct db *db, const struct plan_db_fault *f, int number,
                           struct err *err)
{
    if (sim_chance(200))
        sim_sleep(sim_rand((uint32_t)sim_plan()->db_us + 1));
    db->in_use = false;
    if (number != 0)
        return fail(db, number, err);
    return f == NULL || f->kind != DB_FAILS_AFTER || fail(db, f->number, err);
}

bool db_exec(struct db *db, const char *sql, size_t len, struct err *err)
{
    const struct plan_db_fault *f;
    SIM_CHECK(strlen(sql) == len, "a statement of another length");
    return statement_begins(db, &f, err) &&
           statement_ends(db, f, sql_carry_out(sql, &db->insert_id), err);
}

bool db_query(struct db *db, const char *sql, size_t len UNUSED, const struct db_reader *reader,
              struct err *err)
{
    const struct plan_db_fault *f;
    if (!statement_begins(db, &f, err))
        return false;
    sql_answer(sql, reader);
    return statement_ends(db, f, 0, err);
}

uint64_t db_insert_id(const struct db *db)
{
    return db->insert_id;
}

void db_escape(void *db UNUSED, const char *text, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'' || text[i] == '\\')
            buf_putc(out, '\\');
        buf_putc(out, text[i]);
    }
}

/* ---- array binding ---- */

struct db_rows {
    struct {
        int64_t numbers[2];
        char texts[2][TABLE_TEXT];
        size_t number_count, text_count;
    } * rows;
    size_t count, capacity;
};

struct db_rows *db_rows_new(const enum db_cell *columns UNUSED, unsigned column_count,
                            size_t rows_at_most)
{
    struct db_rows *r = mem_zalloc(1, sizeof(*r));
    CHECK(column_count == ROW_CELLS);
    r->rows = mem_zalloc(rows_at_most + 1, sizeof(r->rows[0]));
    r->capacity = rows_at_most;
    return r;
}

void db_rows_free(struct db_rows *r)
{
    if (r == NULL)
        return;
    free(r->rows);
    free(r);
}

void db_rows_clear(struct db_rows *r)
{
    r->count = 0;
    memset(r->rows, 0, sizeof(r->rows[0]));
}

void db_rows_number(struct db_rows *r, int64_t number)
{
    r->rows[r->count].numbers[r->rows[r->count].number_count++] = number;
}

void db_rows_null(struct db_rows *r)
{
    db_rows_number(r, 0);
}

void db_rows_text(struct db_rows *r, const char *text, size_t len)
{
    char *to = r->rows[r->count].texts[r->rows[r->count].text_count++];
    snprintf(to, TABLE_TEXT, "%.*s", (int)len, text);
}

bool db_rows_end(struct db_rows *r, size_t bytes_at_most UNUSED)
{
    CHECK(r->count < r->capacity);
    memset(&r->rows[++r->count], 0, sizeof(r->rows[0]));
    return true;
}

size_t db_rows_count(const struct db_rows *r)
{
    return r->count;
}

bool db_library_has_bulk(void)
{
    return true;
}

const char *db_bulk_lacks(const struct db *db UNUSED)
{
    return sim_plan()->bulk ? NULL : "simulated";
}

bool db_bulk_is_prepared(const struct db *db, const char *sql UNUSED)
{
    return db->prepared;
}

/* After an error the first rows may have been stored. */
bool db_bulk(struct db *db, const char *sql, struct db_rows *rows, struct err *err)
{
    const struct plan_db_fault *f;
    int number = 0;
    if (!statement_begins(db, &f, err))
        return false;
    struct table_outputs *t = sql_output_table(&sql);
    SIM_CHECK(t != NULL, "array binding for another table: %.80s", sql);
    db->prepared = true;
    for (size_t i = 0; i < rows->count && number == 0; i++) {
        uint32_t id = (uint32_t)rows->rows[i].numbers[0];
        if (sql_refuses(id))
            number = 1366;
        else
            sql_put_output(t, id, rows->rows[i].texts[0], rows->rows[i].numbers[1],
                           rows->rows[i].texts[1]);
    }
    return statement_ends(db, f, number, err);
}

/* ---- connections ---- */

bool db_library_start(struct err *err UNUSED)
{
    return true;
}

void db_library_stop(void)
{
}

void db_thread_start(void)
{
}

void db_thread_stop(void)
{
}

bool db_back_off(unsigned tries, const _Atomic int64_t *deadline_mono_ms)
{
    int64_t now = clock_mono_ms(), ms = dberror_back_off_ms(tries, (int64_t)sim_rand(1000));
    if (now >= *deadline_mono_ms)
        return false;
    sim_sleep((now + ms > *deadline_mono_ms ? *deadline_mono_ms - now : ms) * 1000);
    return clock_mono_ms() < *deadline_mono_ms;
}

unsigned db_count_servers(const char *host UNUSED)
{
    return 1;
}

struct db *db_open(const struct db_params *params, const _Atomic int64_t *deadline_mono_ms,
                   struct err *err)
{
    unsigned tries = 0;
    do {
        sim_sleep(sim_plan()->db_us);
        if (outage() != NULL) {
            tables.broken = true;
            err_set_number(err, ERR_UNAVAILABLE, 2003, "simulated: no connection");
            continue;
        }
        struct db *db = mem_zalloc(1, sizeof(*db));
        db->deadline = deadline_mono_ms;
        db->latest = params->latest;
        db->patience_ms = params->patience_ms > 0 ? params->patience_ms : 30000;
        if (++tables.connections > tables.most_connections)
            tables.most_connections = tables.connections;
        return db;
    } while (db_back_off(++tries, deadline_mono_ms));
    return NULL;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    SIM_CHECK(!db->in_use, "a connection is closed while it is used");
    tables.connections--;
    free(db);
}

void db_set_deadline(struct db *db, const _Atomic int64_t *deadline_mono_ms)
{
    db->deadline = deadline_mono_ms;
}

void db_set_patience(struct db *db, int64_t patience_ms)
{
    db->patience_ms = patience_ms;
}

size_t db_max_packet(const struct db *db UNUSED)
{
    return 1 << 24;
}

bool db_has_row_alias(const struct db *db UNUSED)
{
    return false;
}

const char *db_client_version(void)
{
    return "simulated";
}

void db_set_trace(void (*trace)(const char *sql, size_t len) UNUSED)
{
}
