/* engine/cycle.h - one poll cycle: what both drivers share.
 *
 * Why:     the drivers (engine/legacy, engine/eventpath) differ in who waits where; what is
 *          loaded, said, counted and stored must not differ, so it is here once.
 * Use:     cycle_init(&c, config, store, world, started);
 *          driver: cycle_begin() on the database thread, a devrun per device, cycle_apply() per
 *          action, cycle_write() and finally cycle_end() on the database thread;
 *          cycle_report(&c);  cycle_done(&c);
 * Threads: marked per function. "database thread": whichever thread owns the store at that time,
 *          one at a time. The site is const between cycle_begin() and cycle_done().
 * Promise: poller_time is opened before any device is polled and closed last; every due item is
 *          counted exactly once, and so is every row: stored, kept, spooled or lost.
 * Source:  contract 2, 4.5, 9.3, 14-16; operations 4.2, 9.
 */
#ifndef SPINE_ENGINE_CYCLE_H
#define SPINE_ENGINE_CYCLE_H

#include "drivers/store.h"
#include "engine/config.h"
#include "engine/uplink.h"
#include "engine/world.h"
#include "model/devrun.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows or hosts in a batch that make it worth a statement, and the longest time a row waits for
 * company. */
enum { CYCLE_BATCH_ROWS = 1000, CYCLE_BATCH_HOSTS = 500, CYCLE_BATCH_WAIT_MS = 250 };
/* Batches on their way to the database, or bytes of text, before new devices are held back. */
enum { CYCLE_BATCHES_MAX = 8, CYCLE_BYTES_MAX = 8 * 1024 * 1024 };
/* After a stop signal the database has this long to take what is complete; closing the row gets a
 * little more. */
enum { CYCLE_HURRY_MS = 3000, CYCLE_CLOSE_MS = 2000 };
/* Who does not come back so long (at most) after he was told to give up is left behind; the database
 * thread, which may be closing the row, so long before the watchdog ends the process. */
enum { CYCLE_PATIENCE_MS = 1000, CYCLE_RESCUE_MS = 750 };

/* What came of the devices; one per polling thread, added up at the end. */
struct tally {
    size_t devices, down, dropped; /* dropped: not polled to the end */
    size_t values, unfinished, skipped;
    size_t unknown[UNKNOWN_REASONS];
};

/* What became of the rows that devices gave: all of them are stored, kept, spooled or lost. */
struct ledger {
    size_t stored, spooled, lost;
    size_t kept;             /* for Cacti's recovery, in the local poller_output_boost */
    size_t retries;          /* statements repeated */
    size_t lost_connections; /* to the database */
    size_t rejected;         /* of the lost: refused by the server one by one */
};
struct watchdog;

struct cycle {
    const struct config *config; /* const */
    struct store *store;         /* database thread */
    struct uplink *uplink;       /* const; NULL: there is no main server but the store's */
    int64_t started_mono_us;     /* const: of the process */
    int64_t poll_until_mono_ms;  /* const: no device is polled after this */
    int64_t store_until_mono_ms; /* const: nothing is stored after this */
    int64_t stale_from_mono_ms;  /* const: results are too old to be stored at all */
    struct world *world;         /* const: the drivers that answer asks */

    struct site site;
    bool *advance;          /* per device: all its items were dealt with; one writer each */
    bool loaded;            /* database thread: the site is complete */
    size_t script_asks;     /* that may come, those for script servers too */
    size_t servers_at_once; /* so many script servers may be asked at the same time */
    bool no_scripts;        /* driver, before the first run: there is no supervisor for them */
    bool opened;            /* database thread: the poller_time row exists */

    struct tally tally; /* driver, when all threads are through */
    struct ledger rows; /* database thread */
    bool replayed;      /* database thread: the spool file has been looked at */
    bool store_failed;  /* database thread: something could not be written */
    bool out_of_time;   /* driver */
    int stop_signal;    /* driver: the signal that ended the cycle, 0 = none */

    int64_t end_by_mono_ms;    /* driver: the watchdog's time; a stop signal draws it near */
    size_t left_behind;        /* driver: asks that have not come back although given up */
    bool store_left_behind;    /* driver: nor has the database thread */
    struct watchdog *watchdog; /* any; NULL = none */
};

void cycle_init(struct cycle *c, const struct config *config, struct store *store,
                struct world *world, int64_t started_mono_us);
void cycle_done(struct cycle *c);

/* Database thread. */
NODISCARD bool cycle_begin(struct cycle *c, struct err *err); /* open poller_time, load the site */
void cycle_write(struct cycle *c, struct batch *batch);       /* takes the batch */
void cycle_end(struct cycle *c); /* next steps, date, close poller_time */

/* The driver, before the first run: there is no supervisor for children, all script items are U. */
void cycle_refuse_scripts(struct cycle *c, const struct err *why);

/* Driver, once: a signal asks for the end; what is complete is stored if the database takes it soon.
 */
void cycle_hurry(struct cycle *c, int signo);

/* Any thread. */
NODISCARD struct devrun *cycle_new_run(const struct cycle *c, const struct device *device);
struct moment cycle_now(void);
/* The moment is past the time for polling. */
bool cycle_out_of_time(const struct cycle *c, const struct moment *at);
/* Log, row and finish actions; true: the run is finished.  Asks are the driver's. */
bool cycle_apply(struct cycle *c, const struct device *device, const struct action *action,
                 struct tally *tally, struct batch *rows);
bool cycle_batch_is_full(const struct batch *b);
/* More is waiting (NULL = nothing) than the database may be behind: no new device until it has caught
 * up. */
bool cycle_batch_is_overfull(const struct batch *b);
void tally_add(struct tally *to, const struct tally *from);

/* The driver's thread, for a device that the cycle had no time for; started: its run was stopped.
 */
void cycle_drop(struct cycle *c, const struct device *device, bool started, struct tally *tally);

/* The driver's thread: this device's ask has been given up and has not come back (row 85).  The
 * caller counts. */
struct state_flight;
void cycle_say_left_behind(const struct device *device, const struct state_flight *what);
/* When the last child is to be gone: soon, and if possible before everything is to be stored. */
int64_t cycle_children_until(const struct cycle *c);
/* How long those who were told to give up are waited for: half of the time kept for storing. */
int64_t cycle_patience_ms(const struct cycle *c);
/* From then on the database thread is not waited for. */
int64_t cycle_store_patience(const struct cycle *c);
/* Somebody may still be using all this: nothing of it is freed, and the process ends by _exit(). */
bool cycle_is_left_behind(const struct cycle *c);
/* Main thread, after the driver: the database thread has not come back; close the row without it. */
void cycle_rescue(struct cycle *c);

/* Main thread, after the driver: the lines that close the log of a cycle.  Returns the exit status.
 */
int cycle_report(const struct cycle *c);

#endif
