#include "config.h"

#include "db_private.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "drivers/dberror.h"

#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void (*trace_fn)(const char *sql, size_t len);

void db_set_trace(void (*trace)(const char *sql, size_t len))
{
    trace_fn = trace;
}

void db_trace(const char *sql, size_t len)
{
    if (trace_fn != NULL)
        trace_fn(sql, len);
}

bool db_library_start(struct err *err)
{
    db_login_ignore_environment();
    if (mysql_library_init(0, NULL, NULL) != 0)
        return err_set(err, ERR_OS, "cannot start the database client library %s",
                       mysql_get_client_info());
    return db_login_start(err);
}

void db_library_stop(void)
{
    mysql_library_end();
}

void db_thread_start(void)
{
    CHECK(mysql_thread_init() == 0);
}

void db_thread_stop(void)
{
    mysql_thread_end();
}

const char *db_client_version(void)
{
    static char text[64];
#ifdef MARIADB_PACKAGE_VERSION
    snprintf(text, sizeof(text), "MariaDB Connector/C %s", mysql_get_client_info());
#else
    snprintf(text, sizeof(text), "MySQL client %s", mysql_get_client_info());
#endif
    return text;
}

/* ---- errors ---- */

static bool fail_statement(struct db *db, struct err *err)
{
    int number = (int)mysql_errno(db->mysql);
    if (db->silent)
        return db_fail_silent(db, err);
    err_set_number(err, dberror_kind(number), number, "database error %d: %s", number,
                   mysql_error(db->mysql));
    return false;
}

size_t db_max_packet(const struct db *db)
{
    return db->max_packet;
}

bool db_has_row_alias(const struct db *db)
{
    return db->row_alias;
}

/* ---- statements ---- */

/* The one place where the shape of an answer is checked: the code that reads rows relies on it. */
static bool has_shape(struct db *db, unsigned columns, struct err *err)
{
    unsigned width = mysql_field_count(db->mysql);
    if (width == columns)
        return true;
    err_set_number(err, ERR_UNAVAILABLE, DBERROR_MALFORMED,
                   "database error %d: the answer to a statement has %u columns instead of %u",
                   DBERROR_MALFORMED, width, columns);
    return false;
}

static bool send_and_wait(struct db *db, const char *sql, size_t len, unsigned columns,
                          struct err *err)
{
    db_trace(sql, len);
    db_wait_for(db, true);
    if (mysql_send_query(db->mysql, sql, len) != 0)
        return fail_statement(db, err);
    if (!db_wait_for_answer(db))
        return db_fail_silent(db, err);
    if (mysql_read_query_result(db->mysql) != 0)
        return fail_statement(db, err);
    return has_shape(db, columns, err);
}

bool db_tell_lock_wait(struct db *db, struct err *err)
{
    char set[96];
    int wait_s = db_lock_wait_s(db);
    if (db->lock_wait_s == wait_s)
        return true;
    int len =
        snprintf(set, sizeof(set), "SET SESSION lock_wait_timeout=%d,innodb_lock_wait_timeout=%d",
                 wait_s, wait_s);
    if (!send_and_wait(db, set, (size_t)len, 0, err))
        return false;
    db->lock_wait_s = wait_s;
    return true;
}

static bool run(struct db *db, const char *sql, size_t len, unsigned columns, struct err *err)
{
    return db_tell_lock_wait(db, err) && send_and_wait(db, sql, len, columns, err);
}

bool db_exec(struct db *db, const char *sql, size_t len, struct err *err)
{
    return run(db, sql, len, 0, err);
}

uint64_t db_insert_id(const struct db *db)
{
    return mysql_insert_id(db->mysql);
}

bool db_query(struct db *db, const char *sql, size_t len, const struct db_reader *reader,
              struct err *err)
{
    if (!run(db, sql, len, reader->columns, err))
        return false;
    MYSQL_RES *res = mysql_use_result(db->mysql);
    if (res == NULL)
        return fail_statement(db, err);
    unsigned width = reader->columns;
    size_t *sizes = mem_zalloc(width, sizeof(*sizes));
    bool more = true;
    MYSQL_ROW row = NULL;
    while (more && (row = mysql_fetch_row(res)) != NULL) {
        const unsigned long *lengths = mysql_fetch_lengths(res);
        for (unsigned i = 0; i < width; i++)
            sizes[i] = lengths[i];
        more = reader->on_row(reader->arg, (const char *const *)row, sizes);
        db_wait_for(db, false); /* a reader may use another connection */
    }
    bool done = row != NULL || mysql_errno(db->mysql) == 0;
    if (!done)
        fail_statement(db, err);
    free(sizes);
    mysql_free_result(res); /* reads what was left */
    return done;
}

/* ---- text ---- */

static size_t valid_prefix(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        size_t n = (unsigned char)text[at] < 0x80 ? 1 : utf8_length(text + at, len - at);
        if (n == 0)
            break;
        at += n;
    }
    return at;
}

static void db_put_escaped(struct db *db, const char *text, size_t len, struct buf *out)
{
    buf_reserve(out, len * 2 + 1);
    size_t n = mysql_real_escape_string(db->mysql, out->data + out->len, text, len);
    CHECK(n <= len * 2);
    out->len += n;
    out->data[out->len] = '\0';
}

/* A server would cut the text at a byte that is not UTF-8 (MySQL) or put '?' there (MariaDB).  Such
 * bytes are taken for Latin-1 instead, which is what old devices send ("25 °C"), and keeps which
 * byte it was.  `db`: escape for it; NULL = as it is. */
static void put_valid(struct db *db, const char *text, size_t len, struct buf *out)
{
    size_t at = 0;
    while (at < len) {
        size_t n = valid_prefix(text + at, len - at);
        if (n > 0 && db != NULL)
            db_put_escaped(db, text + at, n, out);
        else if (n > 0)
            buf_append(out, text + at, n);
        at += n;
        if (at < len)
            utf8_put_latin1(out, (unsigned char)text[at++]);
    }
}

void db_escape(void *db, const char *text, size_t len, struct buf *out)
{
    put_valid(db, text, len, out);
}

void db_put_text(const char *text, size_t len, struct buf *out)
{
    put_valid(NULL, text, len, out);
}
