/* drivers/db.h - one connection to a MariaDB or MySQL server.
 *
 * Why:     the only place that knows the client library; everything above speaks of statements
 *          and rows.
 * Use:     db_library_start(&err);   once, before any thread exists
 *          struct db *db = db_open(&params, deadline, &err);
 *          db_exec(db, sql, len, &err);  db_query(db, sql, len, &reader, &err);
 *          db_close(db);
 * Threads: a connection belongs to one thread at a time; a thread that uses connections calls
 *          db_thread_start() first and db_thread_stop() last.
 * Promise: no automatic reconnect, no KILL; session state (sql_mode without strict and zero-date
 *          modes, docs/contract.md 22.2) is set in one statement right after connecting; connect attempts
 *          end by the deadline; every descriptor of the library is close-on-exec after db_open().
 *          An answer of another shape (another number of columns, none, or some to a statement that asks
 *          for nothing) is DBERROR_MALFORMED: the sender is not a database that has understood the
 *          statement.
 * Errors:  err->number is the server's or client's number; dberror_class() says what to do. After
 *          DBERROR_LOST close the connection and open another one.
 * Source:  docs/contract.md 22; classes: docs/database.md.
 */
#ifndef SPINE_DRIVERS_DB_H
#define SPINE_DRIVERS_DB_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;

/* Is the server's certificate checked (chain, and over TCP its name)? */
enum db_verify {
    DB_VERIFY_OFF,
    DB_VERIFY_ON,   /* against ssl_ca, or the system's authorities; TLS is required then */
    DB_VERIFY_AUTO, /* if ssl_ca is given */
};

/* Are rows sent by array binding, and MariaDB's own words used? */
enum db_bulk {
    DB_BULK_OFF,
    DB_BULK_AUTO, /* if the client library and the server have it */
};

struct db_params {
    const char *host; /* name, address, path of a socket, or "host:socket"; several: "a,b,c" */
    unsigned *server; /* of several: tried first, and then the one reached; NULL: the first */
    const char *database;
    const char *user;
    const char *password;
    unsigned port;
    bool use_ssl; /* required */
    enum db_verify ssl_verify;
    enum db_bulk bulk;
    const char *ssl_key, *ssl_cert, *ssl_ca; /* "" = not set */
    int64_t patience_ms;                     /* see db_set_patience(); 0 = 30 s */
    int64_t connect_ms;                      /* of one attempt to connect; 0 = 5 s */
    bool is_main;                            /* its keys in spine.conf are RDB_*, not DB_* */
    const _Atomic int64_t *latest; /* nothing is waited for behind this monotonic time, which may be
                                      drawn near; NULL = none */
};

NODISCARD bool db_library_start(struct err *err);
void db_library_stop(void);
void db_thread_start(void);
void db_thread_stop(void);

/* How many servers a host names. */
unsigned db_count_servers(const char *host);

/* Connect, to one server after the other if there are several; unreachable ones are tried again until
 * the monotonic deadline, which is looked at again between the tries, because another thread may move it
 * nearer; refusals (wrong password, unknown database) are final at once.  Fails with ERR_UNAVAILABLE
 * and a text that names server, user and remedy. */
NODISCARD struct db *db_open(const struct db_params *params,
                             const _Atomic int64_t *deadline_mono_ms, struct err *err);
void db_close(struct db *db); /* NULL allowed */

/* A statement is answered to its end by this monotonic time, and the server is silent no longer than
 * the patience meanwhile, but it has at least 2 s, of which at most 1 s behind the deadline and at
 * most half of the time up to db_params.latest; otherwise it fails with DBERROR_LOST.  The time is
 * the caller's and looked at again while waiting, so another thread may draw it near.  Without a
 * call: the patience, which is 2 to 30 s. */
void db_set_deadline(struct db *db, const _Atomic int64_t *deadline_mono_ms);
void db_set_patience(struct db *db, int64_t patience_ms);

/* Before try number `tries` (1 = the first repetition): pause 50 ms, doubled each time, capped at 2
 * s, with jitter, never past the deadline.  false: the deadline has passed, do not try. */
bool db_back_off(unsigned tries, const _Atomic int64_t *deadline_mono_ms);

NODISCARD bool db_exec(struct db *db, const char *sql, size_t len, struct err *err);

/* The number that the last statement of db_exec() has given to a row; 0: it has given none. */
uint64_t db_insert_id(const struct db *db);

/* Rows are streamed.  fields[i] is NULL for NULL, else NUL-terminated with lengths[i] bytes; both
 * are valid during the call.  on_row returns false to stop reading (not an error). */
typedef bool db_row_fn(void *arg, const char *const *fields, const size_t *lengths);
struct db_reader {
    unsigned columns; /* that the statement asks for: as many fields has each row */
    db_row_fn *on_row;
    void (*restart)(void *arg); /* store_query(): forget the rows of a failed try; may be NULL */
    void *arg;
};
NODISCARD bool db_query(struct db *db, const char *sql, size_t len, const struct db_reader *reader,
                        struct err *err);

/* Append text escaped for this connection, without quotes; a sqltext_escape_fn with the connection
 * as arg. */
void db_escape(void *db, const char *text, size_t len, struct buf *out);

/* ---- array binding: a statement is prepared once, and many rows of values follow it ---- */

bool db_library_has_bulk(void);
/* Why this connection has no array binding; NULL: it has, and the server is a MariaDB. */
const char *db_bulk_lacks(const struct db *db);

/* Rows on their way to a statement: the cells of each in order, then db_rows_end(). */
enum db_cell { DB_CELL_NUMBER, DB_CELL_TEXT };
struct db_rows;
NODISCARD struct db_rows *db_rows_new(const enum db_cell *columns, unsigned column_count,
                                      size_t rows_at_most);
void db_rows_free(struct db_rows *r); /* NULL allowed */
void db_rows_clear(struct db_rows *r);
void db_rows_number(struct db_rows *r, int64_t number);
void db_rows_text(struct db_rows *r, const char *text, size_t len); /* copied */
void db_rows_null(struct db_rows *r);
/* false: with this row they would be more than that many bytes on the wire, so it was taken back.  The
 * first row stays in any case. */
bool db_rows_end(struct db_rows *r, size_t bytes_at_most);
size_t db_rows_count(const struct db_rows *r);

/* An INSERT or the like with one ? per column, carried out for each row.  After a failure the first rows may
 * have been stored.  `sql` is a constant: a connection prepares it once and keeps it. */
NODISCARD bool db_bulk(struct db *db, const char *sql, struct db_rows *rows, struct err *err);
bool db_bulk_is_prepared(const struct db *db, const char *sql);

/* max_allowed_packet of the session, bytes. */
size_t db_max_packet(const struct db *db);
/* Whether rows of an INSERT may have a name (model/sqltext.h). */
bool db_has_row_alias(const struct db *db);

/* "Name version" of the client library, for --version. */
const char *db_client_version(void);

/* Called for each statement before it is sent (developer-debug logging); set before threads exist.
 */
void db_set_trace(void (*trace)(const char *sql, size_t len));

#endif
