/* engine/ledger.h - what became of every device, item and row of one cycle.
 *
 * Why:     the closing lines of the log, the exit status and the stream of lifecycle events must never
 *          disagree.  Each happening is booked by one call, which counts it and emits its event.
 * Use:     ledger_init(&l);
 *          ledger_device_finished(&l, device, &result);  ledger_rows_lost(&l, 3);  ...
 *          struct ledger_figures f = ledger_get(&l);
 *          ledger_done(&l);
 * Threads: any.
 * Promise: every device that is booked once is counted once; rows: each is booked as stored, kept,
 *          spooled or lost, and its event is emitted if and only if it was counted.  Nothing is held while an event is
 *          emitted.
 */
#ifndef SPINE_ENGINE_LEDGER_H
#define SPINE_ENGINE_LEDGER_H

#include "base/err.h"
#include "base/thr.h"
#include "model/devrun.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger_figures {
    /* devices and their items */
    size_t devices, down, dropped; /* dropped: not polled to the end */
    size_t values, unfinished, skipped;
    size_t unknown[UNKNOWN_REASONS];
    size_t device_lines; /* about what does not work, below MEDIUM; not all are written */

    /* the rows that devices gave */
    size_t stored, spooled, lost;
    size_t kept;             /* for Cacti's recovery, in the local poller_output_boost */
    size_t rejected;         /* of the lost ones: refused by the server one by one */
    size_t rejected_earlier; /* the same of rows of an earlier run, none of this cycle */

    /* the database */
    size_t retries; /* statements repeated */
    size_t lost_connections;
    bool failed;         /* something that Cacti will miss could not be written */
    struct err lost_why; /* of the first connection that was lost */
};

struct ledger {
    struct thr_mutex lock;
    struct ledger_figures figures GUARDED; /* under lock */
    bool closed GUARDED;                   /* ledger_close_rows() */
};

void ledger_init(struct ledger *l);
void ledger_done(struct ledger *l);
struct ledger_figures ledger_get(struct ledger *l);
size_t ledger_unknown(const struct ledger_figures *f); /* of all reasons */
/* Rows that devices gave: what the database should have got. */
size_t ledger_rows(const struct ledger_figures *f);

/* ---- devices ---- */

void ledger_device_finished(struct ledger *l, const struct device *device,
                            const struct devrun_result *result);
/* There was no time for it; started: its run was stopped, and has been booked as finished. */
void ledger_device_dropped(struct ledger *l, uint32_t device_id, size_t items, bool started);

/* Books a line about a device that does not work; false: this cycle has had its number of them, and
 * it is left out.  At MEDIUM none is. */
bool ledger_takes_line(struct ledger *l);

/* ---- rows and the database ---- */

struct ledger_write {
    size_t rows_stored, hosts, retries;
    int64_t elapsed_us;
};
void ledger_rows_stored(struct ledger *l, const struct ledger_write *w);
/* The server refuses it: lost.  earlier: it was spooled by an earlier run. */
void ledger_row_rejected(struct ledger *l, const struct output_row *row, bool earlier,
                         const struct err *why);
void ledger_rows_spooled(struct ledger *l, size_t rows);
void ledger_rows_lost(struct ledger *l, size_t rows);
/* What the main server of a remote collector got. */
struct ledger_uplink {
    size_t stored, kept, rejected, retries;
};
void ledger_uplink_ended(struct ledger *l, const struct ledger_uplink *u);
void ledger_connection_lost(struct ledger *l, const struct err *why);
void ledger_connection_back(struct ledger *l, int64_t away_ms);
void ledger_write_failed(struct ledger *l);
/* Everything that is neither stored nor spooled nor kept by now counts as lost, also if an
 * abandoned writer returns and stores it: each row is booked once. */
void ledger_close_rows(struct ledger *l);

/* The closing lines; the exit status of sysexits(3).  A loop that turned more often than its devices may take steps
 * (DEVRUN_STEPS, DEVRUN_STEPS_ITEM) and LEDGER_TURNS_SECOND a second is reported, and the cycle counts as it is. */
enum { LEDGER_TURNS = 10000, LEDGER_TURNS_SECOND = 2000 };
struct ledger_closing {
    size_t items_due, devices; /* of the site */
    int threads;
    const char *driver; /* config_driver_text() of the one that polled */
    int64_t elapsed_us;
    int64_t loop_lag_us; /* 0: no event loop */
    uint64_t loop_turns;
    bool read_only;
    bool out_of_time;
};
int ledger_report(struct ledger *l, const struct ledger_closing *closing);

#endif
