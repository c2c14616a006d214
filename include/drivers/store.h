/* drivers/store.h - Cacti's schema as typed calls.
 *
 * Why:     statements live here and nowhere else; the engine asks for settings, devices and items
 *          and hands over batches.
 * Use:     struct store *s = store_open(&params, deadline, &err);
 *          store_load_settings(s, poller_id, on_setting, arg, &err);
 *          store_set_deadline(s, deadline);  store_open_cycle(s, &row, &err);
 *          store_load_roster(s, &selection, &roster, &err);
 *          store_load_devices(s, &selection, ids, count, devices, &err);       as often as it takes
 *          store_write(s, batch, boost, &outcome, &err);  store_close_cycle(s, &row, &err);
 *          store_close(s);
 * Threads: one at a time per store, except store_hurry(); blocking; call from a worker or while
 *          single-threaded. Each store is one connection.
 * Owns:    a roster and a device own all that was loaded into them.
 * Promise: a lost connection is opened again and the statement repeated until the deadline given
 *          by store_set_deadline(); all writes are idempotent. In read-only mode nothing is
 *          written at all.
 * Source:  docs/contract.md 2, 4, 5, 17 to 19, 22.
 */
#ifndef SPINE_DRIVERS_STORE_H
#define SPINE_DRIVERS_STORE_H

#include "base/arena.h"
#include "base/err.h"
#include "drivers/db.h"
#include "model/batch.h"
#include "model/device.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* Which devices (docs/contract.md 1.4, 5.1). */
struct selection {
    int poller_id;
    bool has_range;
    uint32_t first, last; /* inclusive */
    const uint32_t *ids;  /* host list; wins over the range */
    size_t id_count;
    bool only_due;     /* active_profiles != 1: items with rrd_next_step <= 0 only */
    bool with_reindex; /* also the assertions of poller_reindex (docs/contract.md 11.1) */
    bool down_first;   /* in polling order, those that were down come before the slowest */
};

/* One device of the selection, as far as a cycle plans with it. */
struct roster_entry {
    uint32_t id;
    bool deleted;  /* counted but not polled */
    bool was_down; /* when the last cycle ended */
};

/* In polling order: slowest first; device 0, if it has items, comes first. */
struct roster {
    struct roster_entry *entries;
    size_t count;
};

void roster_done(struct roster *r);

/* What became of a batch's outputs: stored + rejected + left is their number. */
struct store_outcome {
    size_t rows_stored;   /* in every table they belong to */
    size_t rows_rejected; /* refused by the server one by one */
    size_t rows_left;     /* that many at the END of the batch: no server, no table or no time; may
    be stored again, here or elsewhere */
    size_t retries;       /* statements repeated */
};

/* Called while a call is in progress, on its thread. */
struct store_event {
    enum {
        STORE_EVENT_LOST,
        STORE_EVENT_BACK,
        STORE_EVENT_REJECTED, /* once for each row that the outcome counts so */
        STORE_EVENT_WAY,      /* the first values are stored: how */
        STORE_EVENT_PLAIN, /* array binding, or MariaDB's own words, were refused where plain ones were taken */
    } kind;
    const struct err *why;        /* lost, rejected, plain */
    const char *lacks;            /* way: why there is no array binding; NULL: there is */
    int64_t away_ms;              /* back */
    const struct output_row *row; /* rejected */
};
typedef void store_event_fn(void *arg, const struct store_event *event);

NODISCARD struct store *store_open(const struct db_params *params, int64_t deadline_mono_ms,
                                   struct err *err);
/* The same without connecting, which the first statement does; store_set_deadline() comes before.
 */
NODISCARD struct store *store_new(const struct db_params *params);
/* Connect, unless there is a connection. */
NODISCARD bool store_reach(struct store *s, struct err *err);
void store_close(struct store *s);
/* No statement is repeated and no connection opened after this monotonic time. */
void store_set_deadline(struct store *s, int64_t deadline_mono_ms);
/* Behind this monotonic time the server is not even waited for.  Without a call: as long as the
 * deadline and the patience say. */
void store_set_latest(struct store *s, int64_t latest_mono_ms);
/* What comes has at least this long from now, whatever the deadline was, but not behind the latest. */
void store_grant(struct store *s, int64_t at_least_ms);
/* The same for the last statement of all.  If the latest time has passed before it (the process was
 * stopped: waiting for the server takes less time), another one begins. */
void store_grant_last(struct store *s, int64_t at_least_ms);
/* Any thread: as if these times had been set, as far as they are earlier. */
void store_hurry(struct store *s, int64_t deadline_mono_ms, int64_t latest_mono_ms);
/* How long the server may leave a statement unanswered before the connection counts as lost. */
void store_set_patience(struct store *s, int64_t patience_ms);
void store_set_listener(struct store *s, store_event_fn *on_event, void *arg);
/* Asked before each attempt to connect, on the thread of the call; false, with the reason: not now. */
typedef bool store_gate_fn(void *arg, int64_t deadline_mono_ms, struct err *err);
void store_set_gate(struct store *s, store_gate_fn *gate, void *arg);
void store_set_read_only(struct store *s, bool on);
/* Whose re-index commands are written (poller_command.poller_id); 1 until then. */
void store_set_poller(struct store *s, int poller_id);

/* Every row of `settings` whose name starts with a name we read, plus the pseudo settings "threads"
 * (of this poller's row) and "cacti_version": ONE query (UNION ALL); on_setting gets name and value
 * ("" for NULL). */
typedef void store_setting_fn(void *arg, const char *name, const char *value);
NODISCARD bool store_load_settings(struct store *s, int poller_id, store_setting_fn *on_setting,
                                   void *arg, struct err *err);

/* poller.threads of this poller; 0 = there is no such poller. */
NODISCARD bool store_load_threads(struct store *s, int poller_id, int *ret, struct err *err);

/* The widths in characters of the columns that take values; 0 = as Cacti's schema. */
NODISCARD bool store_load_widths(struct store *s, size_t *ret_output, size_t *ret_boost,
                                 struct err *err);

/* The devices of the selection in one query, which reads what a plan needs. */
NODISCARD bool store_load_roster(struct store *s, const struct selection *sel, struct roster *ret,
                                 struct err *err);

/* The devices with these ids, which are different ones of a roster, in one query, their due items in another,
 * their assertions in a third.  ret[] is in the order of ids[], the caller's references; NULL: since the roster was read
 * the device has been deleted, disabled or given to another poller. */
NODISCARD bool store_load_devices(struct store *s, const struct selection *sel, const uint32_t *ids,
                                  size_t count, struct device **ret, struct err *err);

/* Why devices that were asked for by id are not in the site. */
enum store_absence {
    STORE_ABSENT_UNKNOWN, /* no such id */
    STORE_ABSENT_DISABLED,
    STORE_ABSENT_DELETED,
    STORE_ABSENT_ELSEWHERE, /* another poller's */
    STORE_ABSENT_SITE,      /* its site is disabled */
};
/* poller_id: whose it is. */
typedef void store_absent_fn(void *arg, uint32_t id, enum store_absence why, int poller_id);
/* Each of the first 1,000 ids is explained once. */
NODISCARD bool store_explain_absent(struct store *s, int poller_id, const uint32_t *ids,
                                    size_t count, store_absent_fn *fn, void *arg, struct err *err);

/* What poller_output holds for these data sources: by id and name, the oldest first. */
typedef void store_output_fn(void *arg, const struct output_row *row);
NODISCARD bool store_load_outputs(struct store *s, const uint32_t *ids, size_t count,
                                  store_output_fn *fn, void *arg, struct err *err);

/* The row of one cycle in poller_time (docs/contract.md 19); zeroed but for the first two. */
struct store_row {
    int poller_id;
    int pid;
    bool asked;          /* the server may have it, whatever it has answered */
    _Atomic uint64_t id; /* 0: not known, the answer to the INSERT is missing */
};

/* Open before polling, close last, by any store.  Closing by the id touches no row of another cycle;
 * without it all open rows of this poller and process are closed.  A row that a crashed server has forgotten
 * is written again when closing. */
NODISCARD bool store_open_cycle(struct store *s, struct store_row *row, struct err *err);
NODISCARD bool store_close_cycle(struct store *s, const struct store_row *row, struct err *err);
/* Whatever has become of the row, which another process may have opened under this pid: afterwards there is one, and it is
 * closed. */
NODISCARD bool store_settle_cycle(struct store *s, const struct store_row *row, struct err *err);
NODISCARD bool store_write_date(struct store *s, struct err *err); /* settings.date */

/* Store a batch: outputs (also to poller_output_boost when `boost`), then host rows, then re-index
 * commands and assertions.  false only if not everything was stored; the outcome, which counts
 * outputs, is filled in either case. */
NODISCARD bool store_write(struct store *s, const struct batch *b, bool boost,
                           struct store_outcome *ret, struct err *err);
/* The same, but the outputs go to poller_output_boost alone. */
NODISCARD bool store_write_boost(struct store *s, const struct batch *b, struct store_outcome *ret,
                                 struct err *err);
NODISCARD bool store_advance_steps(struct store *s, int poller_id, int64_t interval_s,
                                   const uint32_t *device_ids, size_t count, struct err *err);

/* A remote collector's push (docs/contract.md 23.3): what the database `from` holds about this poller's
 * devices (only those of the list, if ids is not NULL) and items is written over what `to` has. Rows
 * that `to` lacks are left out. */
NODISCARD bool store_push_hosts(struct store *from, struct store *to, int poller_id,
                                const uint32_t *ids, size_t count, struct err *err);
NODISCARD bool store_push_steps(struct store *from, struct store *to, int poller_id,
                                struct err *err);

#endif
