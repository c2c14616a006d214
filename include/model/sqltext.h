/* model/sqltext.h - the text of Cacti's multi-row statements, bounded in rows and bytes.
 *
 * Why:     one place knows how rows become SQL, and it can be tested and fuzzed without a server:
 *          the escaper is handed in.
 * Use:     struct sqltext_limits lim = {.rows = 1000, .bytes = 1 << 20};
 *          for (size_t at = 0; at < n;) {
 *          buf_clear(&sql);
 *          at += sqltext_outputs(&sql, "poller_output", rows + at, n - at, chars, &lim, escape,
 *                                arg);
 *          run(&sql);
 *          }
 * Threads: any; pure.
 * Source:  docs/contract.md 4, 8.6, 10, 11.6, 11.7, 17, 18.
 */
#ifndef SPINE_MODEL_SQLTEXT_H
#define SPINE_MODEL_SQLTEXT_H

#include "base/buf.h"
#include "model/batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whose words a statement may have. */
enum sqltext_form {
    SQLTEXT_ANY,     /* MariaDB and MySQL */
    SQLTEXT_MARIADB, /* MariaDB from 10.3 on: less work for the server */
};

struct sqltext_limits {
    size_t rows;  /* at most, at least 1 */
    size_t bytes; /* of the statement; a single row may exceed it, then it goes alone */
    bool
        row_alias; /* the server is MySQL from 8.0.20 on, which warns of VALUES(); others know no alias */
    enum sqltext_form form;
};

/* SET SESSION: everything that statements of ours rely on, whatever the server's defaults and init_connect
 * say: no strict mode, zero dates, backslash escapes, utf8mb4, every statement its own transaction, no limit
 * on what is read or how long that takes, and times in UTC, in which no hour comes twice.  The session's own
 * time zone is kept in @spine_zone. */
void sqltext_session(struct buf *out, int lock_wait_s);
/* The same for a server that does not know one of those words: what nothing works without. */
void sqltext_session_least(struct buf *out, int lock_wait_s);

/* Behind it: one row of max_allowed_packet, the number of DATETIME columns that statements of ours write, whether
 * rows may have an alias (sqltext_limits.row_alias), which a comment tells that only such a MySQL reads, and
 * whether the server is a node of a Galera cluster, which only a MariaDB reads.
 * A site that has grown up with Cacti 0.8 has such columns; they hold local time, which Cacti reads. */
extern const char sqltext_about_session[];
extern const char sqltext_local_time[]; /* SET SESSION: for such a site */

/* REPLACE INTO settings: the row `date`, which people read, in the server's time zone. */
extern const char sqltext_date[];

/* A column of Unix seconds as a date; 0 is the zero date, which FROM_UNIXTIME() gives only until MariaDB
 * 11.6. */
#define SQLTEXT_ZERO_DATE    "0000-00-00 00:00:00"
#define SQLTEXT_DATE(column) "IF(" column "=0,'" SQLTEXT_ZERO_DATE "',FROM_UNIXTIME(" column "))"

/* Append text[0..len) to out, escaped for use between single quotes on the connection that `arg`
 * stands for. */
typedef void sqltext_escape_fn(void *arg, const char *text, size_t len, struct buf *out);

/* INSERT INTO <table> (local_data_id, rrd_name, time, output) ... ON DUPLICATE KEY UPDATE
 * output=VALUES(output), or with an alias. Appends one statement for the first rows that fit; returns how many (>= 1
 * when count >= 1).  chars: what the column takes (SIZE_MAX: everything); wider values lose whole
 * fields, never half a number; one of which nothing fits is U. */
size_t sqltext_outputs(struct buf *out, const char *table, const struct output_row *rows,
                       size_t count, size_t chars, const struct sqltext_limits *limits,
                       sqltext_escape_fn *escape, void *arg);

/* The same for array binding: the statement, a constant, with SQLTEXT_OUTPUT_CELLS places; for each row its
 * cells are local_data_id, rrd_name, time (NULL, if it is 0 or less) and output. NULL: not for this table. */
#define SQLTEXT_OUTPUT_CELLS 4
const char *sqltext_outputs_bound(const char *table);
/* What the column gets of the row's output, as above. */
const char *sqltext_output_value(const struct output_row *row, size_t chars, size_t *ret_len);

/* UPDATE of many host rows joined with a derived table, so that a device deleted meanwhile is never
 * created again. One call makes one statement of the leading run of rows with equal has_status and
 * equal has_polling_time; within it system information is optional, and what was not obtained keeps
 * its stored value.  A run with nothing to write gives its length and no statement. */
size_t sqltext_hosts(struct buf *out, const struct host_row *rows, size_t count,
                     const struct sqltext_limits *limits, sqltext_escape_fn *escape, void *arg);

/* REPLACE INTO poller_command: these data queries must be re-indexed (docs/contract.md 11.6). */
size_t sqltext_recaches(struct buf *out, int poller_id, const struct recache_row *rows,
                        size_t count, const struct sqltext_limits *limits);

/* UPDATE of many poller_reindex rows, never creating one; arg1 must be the same to the byte
 * (docs/contract.md 11.7). */
size_t sqltext_asserts(struct buf *out, const struct assert_row *rows, size_t count,
                       const struct sqltext_limits *limits, sqltext_escape_fn *escape, void *arg);

/* UPDATE poller_item: advance rrd_next_step of all items of these devices, due or not.  A row is polled by the
 * first cycle at or after it is due, whatever its step is (docs/database.md, "Intervals"). */
size_t sqltext_next_step(struct buf *out, int poller_id, int64_t interval_s,
                         const uint32_t *device_ids, size_t count,
                         const struct sqltext_limits *limits);

#endif
