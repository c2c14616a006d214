/* drivers/store_private.h - what the files of drivers/store share. No other file includes it. */
#ifndef SPINE_DRIVERS_STORE_PRIVATE_H
#define SPINE_DRIVERS_STORE_PRIVATE_H

#include "drivers/store.h"
#include "model/sqltext.h"

struct store {
    struct arena memory; /* the strings of params */
    struct db_params params;
    unsigned server; /* of several: the one that is, or was, connected */
    struct db *db;   /* NULL: lost, opened again by the next statement */
    _Atomic int64_t deadline, latest;
    struct err lost_why; /* as long as there is no connection: how the last one ended */
    bool read_only;
    int poller_id;             /* whose commands are written */
    int sites_can_be_disabled; /* sites.disabled exists: 1 yes, 0 no, -1 not asked yet */
    size_t output_chars;       /* width of poller_output.output */
    size_t boost_chars;        /* and of poller_output_boost.output */
    struct db_rows *rows;      /* for array binding; NULL: not used yet */
    bool plain;                /* what MariaDB alone knows was refused: it is not tried again */
    bool told_way;             /* STORE_EVENT_WAY */
    size_t retries;
    int64_t lost_mono_ms; /* when the connection was lost */
    size_t reconnects;
    store_gate_fn *gate; /* may be NULL */
    void *gate_arg;
    store_event_fn *on_event; /* may be NULL */
    void *on_event_arg;
};

enum store_result {
    STORE_DONE,
    STORE_REFUSED, /* this statement failed and is not repeated; another one may succeed */
    STORE_OVER,    /* no connection and no time or right to open one */
};

enum {
    STORE_CONFLICTS_AT_MOST = 30,
    STORE_LOST_AT_MOST = 10, /* connections that one statement may cost */
};

/* How often one statement has been tried. */
struct store_attempt {
    unsigned tries;
    unsigned conflicts, conflicts_at_most;
    unsigned lost, lost_at_most;
    bool has_other_way;    /* nonsense may be about the way in which it was sent */
    bool may_split;        /* fewer rows may fit */
    int64_t missing_since; /* table not found; 0 = it was there */
};

/* Have a connection.  Fails when the deadline has passed or the server refuses. */
NODISCARD bool store_connect(struct store *s, struct err *err);

/* Ask what differs from one Cacti's schema to another's, unless it is known (the settings bring it). */
NODISCARD bool store_know_schema(struct store *s, struct err *err);

/* A statement failed: shall it be sent again?  Waits and drops the connection as
 * needed. */
NODISCARD enum store_result store_again(struct store *s, struct store_attempt *a,
                                        const struct err *why);

/* One kind of rows on its way into one table. */
struct job {
    const char *table; /* for messages, and for outputs the target */
    size_t (*build)(struct store *s, const struct job *job, size_t at,
                    const struct sqltext_limits *limits, struct buf *sql);
    /* For array binding: the statement, and what puts rows of the job into s->rows; NULL = text alone. */
    const char *bound;
    size_t (*bind)(struct store *s, const struct job *job, size_t at,
                   const struct sqltext_limits *limits);
    bool has_mariadb_form; /* build() can make two */
    const void *rows;
    size_t count;
    size_t rows_at_most; /* of one statement; 0 = the usual */
    int poller_id;       /* recaches and steps */
    int64_t interval_s;
    size_t output_chars; /* width of the column that outputs go to */
    char **refused;      /* by row: why the server refused it; NULL = only counted */
    size_t refused_count;
    size_t plain_until; /* rows before this one go as plain text */
    size_t left;        /* that many at the end are not stored for another reason */
    struct err why;     /* of the first loss */
};

void store_tell(struct store *s, const struct store_event *event);

/* Statements of a bounded number of rows, until each row is stored, refused or left. */
void store_write_job(struct store *s, struct job *job);
/* false, with the reason: not all of it is stored. */
bool store_report_job(const struct job *job, struct err *err);

/* A query, as often as it makes sense. */
NODISCARD bool store_query(struct store *s, const char *what, const struct buf *sql,
                           const struct db_reader *reader, struct err *err);

/* Fields of a row.  NULL gives the fallback of docs/contract.md 4.3, nonsense the nearest bound. */
int64_t store_field_number(const char *text, int64_t fallback, int64_t min, int64_t max);
NODISCARD bool store_field_id(const char *text, uint32_t *ret); /* false: no id a row could have */

/* The condition on `host` that an enabled device of this poller meets; store_know_schema() comes before. */
void store_add_enabled(const struct store *s, int poller_id, struct buf *sql);

/* Put `what` in front of the reason. */
void store_explain(struct err *err, const char *what);

#endif
