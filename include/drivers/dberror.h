/* drivers/dberror.h - what an error number of the database asks for.
 *
 * Why:     one table decides what is worth repeating, how, and how long to pause before; it can be
 *          tested without a server.
 * Use:     switch (dberror_class(err.number)) ...
 *          pause for dberror_back_off_ms(tries, noise);
 * Threads: any; pure.
 * Source:  docs/database.md, "Errors".
 */
#ifndef SPINE_DRIVERS_DBERROR_H
#define SPINE_DRIVERS_DBERROR_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Numbers that are treated apart. */
enum {
    DBERROR_ACCESS_DENIED = 1045,
    DBERROR_SYNTAX = 1064,
    DBERROR_TABLE_FULL = 1114,
    DBERROR_TABLE_MISSING = 1146,
    DBERROR_UNKNOWN = 2000,        /* the client library's, say for a request to send a file */
    DBERROR_SERVER_LOST = 2013,    /* the client library's */
    DBERROR_MALFORMED = 2027,      /* the client library's */
    DBERROR_TLS_FAILED = 2026,     /* the client library's */
    DBERROR_PLUGIN_MISSING = 2059, /* the client library's */
    DBERROR_PLUGIN_FAILED = 2061,  /* the client library's: say MySQL's, without TLS */
    DBERROR_SERVER_WANTS_TLS = 3159,
    DBERROR_LOGIN_REFUSED = 5010, /* the client library's: this way to log in is not allowed */
};

enum dberror {
    DBERROR_RETRY, /* deadlock, lock wait: repeat the statement */
    DBERROR_LOST,  /* gone away, lost, shutting down, malformed: connect again, repeat */
    DBERROR_WAIT,  /* too many connections, table full, renamed away, read-only: repeat later */
    DBERROR_SPLIT, /* packet too large: fewer rows */
    DBERROR_ROW,   /* one row is bad; also every number that is not known */
    DBERROR_FATAL, /* access denied, no such database or column, syntax, TLS */
};

enum dberror dberror_class(int number);

/* Does the server not understand, or not allow, what the statement says?  A plainer one may do. */
bool dberror_is_about_text(int number);

/* A state of this server: another one that has the same data may take the statement. */
bool dberror_is_of_this_server(int number);

/* Is it an answer that no database gives? No row is the cause of that. */
bool dberror_is_nonsense(int number);

/* How the failure of a statement ends a run that depended on it. */
enum err_kind dberror_kind(int number);

/* May connecting succeed a little later? */
bool dberror_may_connect_later(int number);

/* What an operator can do about a refused connection. */
const char *dberror_remedy(int number);

/* The pause before try number `tries` (1 = the first repetition): 50 ms, doubled each time, capped
 * at 2 s, of which `noise` (any number >= 0) takes away up to a half: pollers that failed together
 * do not return together. */
int64_t dberror_back_off_ms(unsigned tries, int64_t noise);

#endif
