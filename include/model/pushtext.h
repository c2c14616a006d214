/* model/pushtext.h - the statements that take a remote collector's results to the main server.
 *
 * Why:     at the end of a cycle the main server gets the status of the collector's devices and the
 *          next steps of its items. Rows that the main server does not have stay unknown to it:
 *          an INSERT, as Spine uses, makes empty devices of them (docs/differences.md R2).
 * Use:     pushtext_select_hosts(&sql, poller_id, after_id, 1000);   on the local database
 *          pushtext_hosts(&sql, rows, n, &limits, escape, main);     on the main one, in slices
 * Threads: any; pure.
 * Promise: every row is in exactly one statement, whatever the limits are; dates travel as Unix
 *          seconds, everything else as the local server wrote it.
 * Source:  docs/contract.md 23.3.
 */
#ifndef SPINE_MODEL_PUSHTEXT_H
#define SPINE_MODEL_PUSHTEXT_H

#include "base/arena.h"
#include "base/buf.h"
#include "model/sqltext.h"

#include <stddef.h>
#include <stdint.h>

enum { PUSHTEXT_HOST_FIELDS = 20, PUSHTEXT_STEP_FIELDS = 3 };

/* A row of the local `host`, as pushtext_select_hosts() asks for it. */
struct pushed_host {
    uint32_t id;
    const char *fields[PUSHTEXT_HOST_FIELDS]; /* NULL = NULL */
    size_t lengths[PUSHTEXT_HOST_FIELDS];
};

/* The next step of a data source, or of one of its items. */
struct pushed_step {
    int64_t next_step;
    uint32_t local_data_id;
    const char *rrd_name; /* NULL: all items of the data source have this step */
};

struct pushed_steps {
    struct arena names;
    struct pushed_step *rows;
    size_t count, cap;
    size_t open; /* where the data source begins that rows may still be added to */
};

/* The columns are id and then the fields. */
void pushtext_select_hosts(struct buf *out, int poller_id, uint32_t after_id, size_t limit);
/* local_data_id, rrd_name and rrd_next_step, in this order of columns and rows. */
void pushtext_select_steps(struct buf *out, int poller_id);

/* UPDATE of many hosts.  Appends one statement for the first rows that fit; returns how many. */
size_t pushtext_hosts(struct buf *out, const struct pushed_host *rows, size_t count,
                      const struct sqltext_limits *limits, sqltext_escape_fn *escape, void *arg);

/* Rows come in the order of pushtext_select_steps(); those of a data source that agree become one.
 */
void pushed_steps_add(struct pushed_steps *steps, uint32_t local_data_id, const char *rrd_name,
                      int64_t next_step);
/* No more rows come; equal steps stand side by side. */
void pushed_steps_end(struct pushed_steps *steps);
void pushed_steps_done(struct pushed_steps *steps);

/* UPDATE of poller_item: the leading run of rows with one step that fits; returns how many. */
size_t pushtext_steps(struct buf *out, const struct pushed_step *rows, size_t count,
                      const struct sqltext_limits *limits, sqltext_escape_fn *escape, void *arg);

#endif
