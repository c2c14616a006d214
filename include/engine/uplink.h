/* engine/uplink.h - a remote collector's way to the main server.
 *
 * Why:     an online collector (poller id > 1) leaves results, re-index commands and its poller_time
 *          row in the main server's database and everything else in its own. That server may be far
 *          away, slow or gone; polling is not affected, and nothing collected is lost: what the
 *          main server does not take goes to the local poller_output_boost, where Cacti's own
 *          recovery looks for it.
 * Use:     u = uplink_start(config, &err);  threads = uplink_threads(u);
 *          uplink_begin(u, config, &row, until);
 *          uplink_put(u, batch);  while ((left = uplink_take_left(u)) != NULL) ...
 *          uplink_end(u, local, push);  uplink_take_result(u);  uplink_free(u);
 * Threads: start, threads, end_until and free: main thread. widths, begin, put, end: the database thread.
 *          take_left, take_result and hurry: any. Everything that waits for the main server does so on a thread of its own.
 * Owns:    two stores: the main server's, and one of the local database that is opened only while
 *          the main server is away. The local store lent to uplink_end() is used until it returns.
 * Promise: every row put is stored in the main database, kept in the local poller_output_boost, given
 *          back by uplink_take_left(), or counted as rejected. A row whose fate in the main database
 *          is unknown is kept as well: it has the same key there and is the same row.
 *          uplink_put() waits only while batcher_is_overfull() (engine/batcher.h).
 * Source:  docs/contract.md 23; docs/remote.md.
 */
#ifndef SPINE_ENGINE_UPLINK_H
#define SPINE_ENGINE_UPLINK_H

#include "base/err.h"
#include "drivers/store.h"
#include "engine/config.h"
#include "model/batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How long the start waits for the main server to say how many threads this collector has. */
enum { UPLINK_START_MS = 1000 };
/* How long a server that refuses is asked again meanwhile. */
enum { UPLINK_FIRST_MS = 100 };
/* A batch that the main server has not taken within RDB_Patience is kept locally, and so are those
 * after it, until one of the attempts that are made this often, each at most that long, succeeds. */
enum { UPLINK_RETRY_MS = 10000, UPLINK_ATTEMPT_MS = 2000 };
/* One attempt to connect, and before it to find the server's name. */
enum { UPLINK_CONNECT_MS = 2000 };
/* Reserved for storing locally what the main server did not take until the end; UPLINK_KEEP_MS is
 * granted in any case. */
enum { UPLINK_RESERVE_MS = 2000, UPLINK_KEEP_MS = 1000 };

struct uplink;

struct uplink_result {
    size_t stored;   /* rows in the main database */
    size_t kept;     /* rows in the local poller_output_boost */
    size_t rejected; /* rows refused one by one */
    size_t retries;  /* statements repeated */
    bool failed;     /* the main server lacks something that Cacti will miss */
};

NODISCARD struct uplink *uplink_start(const struct config *config, struct err *err);
void uplink_free(struct uplink *u); /* NULL allowed; before uplink_end(): nothing more is written */

/* poller.threads of the main server; 0 = it has not answered in time, or knows no such poller. */
int uplink_threads(struct uplink *u);

/* The widths of the main server's columns that take values (struct site).  Left as they are if it has not
 * answered in time. */
void uplink_widths(struct uplink *u, size_t *output, size_t *boost);

/* The configuration is complete: open the poller_time row as soon as the main server can be reached.
 * Does not wait.  The row is the uplink's until it has ended, but for the id, which every thread
 * may read.
 * latest: as in store_set_latest(), for closing the row. */
void uplink_begin(struct uplink *u, const struct config *config, struct store_row *row,
                  int64_t until_mono_ms, int64_t latest_mono_ms);
void uplink_put(struct uplink *u, struct batch *batch); /* takes the batch: outputs and recaches */
/* Rows that neither server has taken so far; NULL = none. */
NODISCARD struct batch *uplink_take_left(struct uplink *u);

/* Store the rest, push (docs/contract.md 23.3) what the local database holds, close the row. */
void uplink_end(struct uplink *u, struct store *local, bool push);
/* The same without the push, if the database thread is lost: true: it has ended before that monotonic
 * time. */
bool uplink_end_until(struct uplink *u, int64_t until_mono_ms);
/* What has been counted since it was taken last. */
struct uplink_result uplink_take_result(struct uplink *u);

/* Any thread: all of it ends by this monotonic time, closing the row BUDGET_CLOSE_MS later. */
void uplink_hurry(struct uplink *u, int64_t deadline_mono_ms);

#endif
