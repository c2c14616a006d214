#include "config.h"

#include "db_private.h"

#include "base/buf.h"
#include "base/mem.h"
#include "drivers/dberror.h"

#include <mysql.h>
#include <stdlib.h>
#include <string.h>

/* What a cell takes on the wire at most, besides the bytes of a text: the indicator, and a number or a
 * length. */
enum { CELL_BYTES = 1, VALUE_BYTES = 8, LENGTH_BYTES = 9 };

/* In the form in which the client library reads them: an array per column. */
struct rows_column {
    enum db_cell kind;
    long long *numbers;
    size_t *offsets; /* in the text of the rows, which may still move */
    char **texts;    /* set when they are sent */
    unsigned long *lengths;
    char *indicators;
};

struct db_rows {
    struct rows_column *columns;
    unsigned column_count;
    size_t rows_at_most;
    size_t count;
    unsigned next; /* column of the next cell */
    struct buf text;
    size_t text_before; /* the row that is being added */
    size_t bytes;       /* of the complete rows */
    size_t row_bytes;   /* of the row that is being added */
};

struct db_rows *db_rows_new(const enum db_cell *columns, unsigned column_count, size_t rows_at_most)
{
    struct db_rows *r = mem_zalloc(1, sizeof(*r));
    r->columns = mem_zalloc(column_count, sizeof(r->columns[0]));
    r->column_count = column_count;
    r->rows_at_most = rows_at_most;
    for (unsigned i = 0; i < column_count; i++) {
        struct rows_column *c = &r->columns[i];
        c->kind = columns[i];
        c->indicators = mem_zalloc(rows_at_most, sizeof(c->indicators[0]));
        if (c->kind == DB_CELL_NUMBER) {
            c->numbers = mem_zalloc(rows_at_most, sizeof(c->numbers[0]));
        } else {
            c->offsets = mem_zalloc(rows_at_most, sizeof(c->offsets[0]));
            c->texts = mem_zalloc(rows_at_most, sizeof(c->texts[0]));
            c->lengths = mem_zalloc(rows_at_most, sizeof(c->lengths[0]));
        }
    }
    return r;
}

void db_rows_free(struct db_rows *r)
{
    if (r == NULL)
        return;
    for (unsigned i = 0; i < r->column_count; i++) {
        free(r->columns[i].numbers);
        free(r->columns[i].offsets);
        free(r->columns[i].texts);
        free(r->columns[i].lengths);
        free(r->columns[i].indicators);
    }
    free(r->columns);
    buf_done(&r->text);
    free(r);
}

void db_rows_clear(struct db_rows *r)
{
    buf_clear(&r->text);
    r->count = r->text_before = r->bytes = r->row_bytes = 0;
    r->next = 0;
}

size_t db_rows_count(const struct db_rows *r)
{
    return r->count;
}

static struct rows_column *next_cell(struct db_rows *r, bool is_null)
{
    CHECK(r->next < r->column_count && r->count < r->rows_at_most);
    struct rows_column *c = &r->columns[r->next++];
    c->indicators[r->count] = is_null;
    r->row_bytes += CELL_BYTES;
    return c;
}

void db_rows_number(struct db_rows *r, int64_t number)
{
    struct rows_column *c = next_cell(r, false);
    CHECK(c->kind == DB_CELL_NUMBER);
    c->numbers[r->count] = number;
    r->row_bytes += VALUE_BYTES;
}

void db_rows_text(struct db_rows *r, const char *text, size_t len)
{
    struct rows_column *c = next_cell(r, false);
    CHECK(c->kind == DB_CELL_TEXT);
    c->offsets[r->count] = r->text.len;
    db_put_text(text, len, &r->text);
    c->lengths[r->count] = r->text.len - c->offsets[r->count];
    r->row_bytes += LENGTH_BYTES + c->lengths[r->count];
}

void db_rows_null(struct db_rows *r)
{
    struct rows_column *c = next_cell(r, true);
    if (c->kind == DB_CELL_TEXT)
        c->offsets[r->count] = c->lengths[r->count] = 0;
}

bool db_rows_end(struct db_rows *r, size_t bytes_at_most)
{
    CHECK(r->next == r->column_count);
    bool fits = r->count == 0 || r->bytes + r->row_bytes <= bytes_at_most;
    if (fits) {
        r->count++;
        r->bytes += r->row_bytes;
        r->text_before = r->text.len;
    } else {
        buf_truncate(&r->text, r->text_before);
    }
    r->next = 0;
    r->row_bytes = 0;
    return fits;
}

/* ---- statements ---- */

#ifdef HAVE_MYSQL_BULK

struct db_prepared {
    struct db_prepared *next;
    const char *sql;
    MYSQL_STMT *stmt;
};

bool db_library_has_bulk(void)
{
    return true;
}

const char *db_bulk_lacks(const struct db *db)
{
    unsigned long has = 0;
    if (db->bulk == DB_BULK_OFF)
        return "DB_Bulk is off";
    /* MariaDB says that the rows are stored although the cluster has not taken them (10.11). */
    if (db->in_galera)
        return "the server is a node of a Galera cluster";
    if (mariadb_get_infov(db->mysql, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES, &has) != 0 ||
        (has & (MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32)) == 0)
        return "the server has no array binding";
    return NULL;
}

static struct db_prepared *find_prepared(const struct db *db, const char *sql)
{
    struct db_prepared *p = db->prepared;
    while (p != NULL && strcmp(p->sql, sql) != 0)
        p = p->next;
    return p;
}

bool db_bulk_is_prepared(const struct db *db, const char *sql)
{
    return find_prepared(db, sql) != NULL;
}

/* The connection must have been closed before: then nothing is sent and nothing is waited for. */
void db_bulk_done(struct db *db)
{
    while (db->prepared != NULL) {
        struct db_prepared *p = db->prepared;
        db->prepared = p->next;
        mysql_stmt_close(p->stmt);
        free(p);
    }
}

/* What is wrong may be the server's idea of the statement: it is prepared again.  On a lost connection it stays
 * until that is closed, because closing it alone would send something. */
static void forget_prepared(struct db *db, struct db_prepared *p)
{
    struct db_prepared **at = &db->prepared;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    db_wait_for(db, false);
    mysql_stmt_close(p->stmt);
    free(p);
}

static bool fail_bulk(struct db *db, struct db_prepared *p, struct err *err)
{
    int number = (int)mysql_stmt_errno(p->stmt);
    if (number == 0)
        number = DBERROR_SERVER_LOST; /* the library has let go of the connection */
    if (db->silent)
        return db_fail_silent(db, err);
    err_set_number(err, dberror_kind(number), number, "database error %d: %s", number,
                   mysql_stmt_error(p->stmt));
    if (dberror_class(number) != DBERROR_LOST)
        forget_prepared(db, p);
    return false;
}

static bool fail_shape(struct err *err)
{
    return err_set_number(
        err, ERR_UNAVAILABLE, DBERROR_MALFORMED,
        "database error %d: the answer to a prepared statement is that to another "
        "one",
        DBERROR_MALFORMED);
}

static struct db_prepared *prepare_bulk(struct db *db, const char *sql, unsigned columns,
                                        struct err *err)
{
    struct db_prepared *p = find_prepared(db, sql);
    if (p != NULL)
        return p;
    p = mem_zalloc(1, sizeof(*p));
    p->sql = sql;
    p->stmt = mem_need(mysql_stmt_init(db->mysql));
    p->next = db->prepared;
    db->prepared = p;
    db_wait_for(db, true);
    if (mysql_stmt_prepare(p->stmt, sql, strlen(sql)) != 0) {
        fail_bulk(db, p, err);
        return NULL;
    }
    if (mysql_stmt_param_count(p->stmt) != columns || mysql_stmt_field_count(p->stmt) != 0) {
        fail_shape(err);
        return NULL;
    }
    return p;
}

static void bind_column(struct rows_column *c, const struct db_rows *r, MYSQL_BIND *bind)
{
    bind->u.indicator = c->indicators;
    if (c->kind == DB_CELL_NUMBER) {
        bind->buffer_type = MYSQL_TYPE_LONGLONG;
        bind->buffer = c->numbers;
        return;
    }
    for (size_t i = 0; i < r->count; i++)
        c->texts[i] = r->text.data + c->offsets[i];
    bind->buffer_type = MYSQL_TYPE_STRING;
    bind->buffer = c->texts;
    bind->length = c->lengths;
}

static bool execute_bulk(struct db *db, struct db_prepared *p, struct db_rows *rows,
                         struct err *err)
{
    unsigned count = (unsigned)rows->count;
    MYSQL_BIND *binds = mem_zalloc(rows->column_count, sizeof(binds[0]));
    buf_reserve(&rows->text, 1); /* nothing but empty texts: there is a place where they are */
    for (unsigned i = 0; i < rows->column_count; i++)
        bind_column(&rows->columns[i], rows, &binds[i]);
    db_wait_for(db, true);
    bool ok = mysql_stmt_attr_set(p->stmt, STMT_ATTR_ARRAY_SIZE, &count) == 0 &&
              mysql_stmt_bind_param(p->stmt, binds) == 0 && mysql_stmt_execute(p->stmt) == 0;
    free(binds);
    if (!ok)
        return fail_bulk(db, p, err);
    return mysql_stmt_field_count(p->stmt) == 0 || fail_shape(err);
}

bool db_bulk(struct db *db, const char *sql, struct db_rows *rows, struct err *err)
{
    struct buf line = BUF_INIT;
    if (!db_tell_lock_wait(db, err))
        return false;
    buf_printf(&line, "%s (%zu rows)", sql, rows->count);
    db_trace(buf_str(&line), line.len);
    buf_done(&line);
    struct db_prepared *p = prepare_bulk(db, sql, rows->column_count, err);
    return p != NULL && execute_bulk(db, p, rows, err);
}

#else

static const char bulk_missing[] = "the client library has no array binding";

bool db_library_has_bulk(void)
{
    return false;
}

const char *db_bulk_lacks(const struct db *db)
{
    return db->bulk == DB_BULK_OFF ? "DB_Bulk is off" : bulk_missing;
}

bool db_bulk_is_prepared(const struct db *db UNUSED, const char *sql UNUSED)
{
    return false;
}

void db_bulk_done(struct db *db UNUSED)
{
}

bool db_bulk(struct db *db UNUSED, const char *sql UNUSED, struct db_rows *rows UNUSED,
             struct err *err)
{
    return err_set(err, ERR_INTERNAL, "%s", bulk_missing);
}

#endif
