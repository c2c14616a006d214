/* drivers/db_private.h - what the files of drivers/db share. No other file includes it. */
#ifndef SPINE_DRIVERS_DB_PRIVATE_H
#define SPINE_DRIVERS_DB_PRIVATE_H

#include "drivers/db.h"

#include <stdatomic.h>

enum { DB_CONNECT_S = 5, DB_IO_S = 30 };

struct db {
    void *mysql; /* a MYSQL: the client library's header stays in .c files */
    size_t max_packet;
    int64_t patience_ms;
    int lock_wait_s;                 /* as the server knows it; 0 = not told yet */
    bool local_time;                 /* the site has DATETIME columns */
    bool row_alias;                  /* sqltext_limits.row_alias */
    bool in_galera;                  /* the server is a node of a Galera cluster */
    enum db_bulk bulk;               /* as the configuration says */
    struct db_prepared *prepared;    /* db_bulk.c's */
    const _Atomic int64_t *deadline; /* the owner's; NULL = none */
    const _Atomic int64_t *latest;   /* the same: behind it nothing is waited for */
    int64_t sent_mono_ms;            /* when what goes on now began */
    bool connecting;                 /* until the first statements were answered */
    bool leaving;                    /* nothing is waited for from now on */
    bool silent;                     /* a wait has ended without the server */
};

/* Before a statement is sent: for db_set_trace(). */
void db_trace(const char *sql, size_t len);

/* The patience may have changed since the server was told how long it may wait for a lock. */
NODISCARD bool db_tell_lock_wait(struct db *db, struct err *err);

/* As db_escape(), but what is sent apart from the statement needs no escaping. */
void db_put_text(const char *text, size_t len, struct buf *out);

/* ---- array binding ---- */

/* After the connection was closed: what it had prepared. */
void db_bulk_done(struct db *db);

/* ---- login: who learns the password (docs/security.md) ---- */

/* Before the library is started: no code and no permission comes from the environment. */
void db_login_ignore_environment(void);
/* After it was started, before any connection. */
NODISCARD bool db_login_start(struct err *err);
/* On the thread that connects.  `known`: TLS is required, and the server is verified; only a
 * verified server is given the password itself. */
void db_login_prepare(void *mysql, bool tls_required, bool known);
/* Why the attempt to connect of this thread has failed: DBERROR_TLS_FAILED if the server has no
 * TLS (and has been sent nothing), DBERROR_LOGIN_REFUSED if it asked for the password. */
int db_login_error(void *mysql, bool tls_required);
/* Whether the server that has greeted offers TLS. */
bool db_login_has_tls(const void *mysql);

/* ---- waiting ---- */

/* How long the server may wait for a lock of others. */
int db_lock_wait_s(const struct db *db);

/* Every wait of the client library goes through db_wait.c, so that it ends when ours would: before
 * each call of the library that may wait, on the thread of the call. `begins`: it has all its time. */
void db_wait_prepare(void *mysql);
void db_wait_for(struct db *db, bool begins);

/* Around the call that connects: ends its waits where the library has no time-out of its own. NULL
 * where it has, or where no thread can be started. */
struct db_guard *db_guard_start(struct db *db);
void db_guard_stop(struct db_guard *guard);

/* Waits until the connection has something to read; false: not in time. */
bool db_wait_for_answer(struct db *db);

/* Why a wait has ended without the server; with the remedy, except while connecting, where the text
 * becomes a part of another one. */
NODISCARD bool db_fail_silent(const struct db *db, struct err *err);

int db_socket_of(const struct db *db);

#endif
