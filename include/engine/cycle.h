/* engine/cycle.h - the life of one poll cycle: begin, write, end.
 *
 * Why:     the drivers (engine/legacy, engine/eventpath) differ in who waits where; what is loaded,
 *          said, counted and stored must not differ, so it is here once.
 * Use:     struct cycle *c = cycle_new(config, store, started);
 *          cycle_begin(c, &err);  cycle_write(c, batch);  cycle_end(c);     engine/writer does that
 *          run = cycle_new_run(c, device);  cycle_apply(c, device, action, rows);   per device
 *          status = cycle_report(c);
 *          cycle_unref(c);
 * Threads: marked per function.  "writer": the thread of engine/writer, which alone uses the store.
 *          The site is const from the return of cycle_begin() on.
 * Owns:    the site and the ledger; the configuration, the store and the uplink are lent.  A thread
 *          that may be abandoned in a call that hangs (core/lease) holds a reference, so that it
 *          never uses freed memory; the last cycle_unref() frees.
 * Promise: poller_time is opened before any device is polled and closed last; every due item is booked
 *          exactly once in the ledger, and so is every row: stored, kept, spooled or lost.  Nothing here
 *          is global: several cycles may exist at once in one process.
 */
#ifndef SPINE_ENGINE_CYCLE_H
#define SPINE_ENGINE_CYCLE_H

#include "base/give_up.h"
#include "drivers/store.h"
#include "engine/budget.h"
#include "engine/config.h"
#include "engine/ledger.h"
#include "engine/uplink.h"
#include "model/devrun.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guard;
struct process;

struct cycle {
    atomic_int references;
    const struct config *config; /* const */
    struct store *store;         /* writer */
    struct uplink *uplink;       /* const; NULL: there is no main server but the store's */
    struct guard *guard;         /* const; NULL: no watchdog */
    int64_t started_mono_us;     /* const: of the process */
    struct budget budget;        /* const */
    struct ledger ledger;        /* any */
    struct give_up give_up;      /* any: ends all waits for devices */

    struct site site;   /* writer until cycle_begin() returns, then const */
    bool *advance;      /* per device: all its items were dealt with; one thread each */
    size_t script_asks; /* as the site: scripts and script server asks that may come */
    size_t
        servers_at_once; /* as the site: that many script servers may be asked at the same time */
    bool none_found;     /* as the site: none of the devices asked for by id can be polled */
    bool no_scripts;     /* driver, before the first run: no script can be started */

    struct store_row row; /* writer, or the uplink; its id: any */
    struct thr_role
        writer;         /* adopted by cycle_begin(), asserted by cycle_write() and cycle_end() */
    atomic_bool loaded; /* the site is complete */
    bool opened;        /* writer: the poller_time row exists, or may exist */
    bool restored;      /* writer: the spool file has been looked at */

    atomic_bool out_of_time;             /* polling was ended by the deadline */
    atomic_int stop_signal;              /* the signal that ended the cycle, 0 = none */
    _Atomic int64_t store_until_mono_ms; /* budget.store_until; a stop signal moves it nearer */
    _Atomic int64_t end_by_mono_ms;      /* the watchdog's time; a stop signal moves it nearer */
    int64_t loop_lag_us; /* driver: the latest timer of the event loop; 0 = there is none */
    size_t left_behind;  /* driver: asks that have not returned although given up */
    bool writer_lost;    /* driver: nor has the writer */
};

NODISCARD struct cycle *cycle_new(const struct config *config, struct store *store,
                                  int64_t started_mono_us, struct err *err);
struct cycle *cycle_ref(struct cycle *c);
void cycle_unref(struct cycle *c); /* NULL allowed */

/* ---- writer ---- */

NODISCARD bool cycle_begin(struct cycle *c, struct err *err); /* open poller_time, load the site */
void cycle_write(struct cycle *c, struct batch *batch);       /* takes the batch */
void cycle_end(struct cycle *c); /* next steps, date, close poller_time */

/* ---- the driver ---- */

/* Before the first run: there is no supervisor for children, all script items are U. */
void cycle_refuse_scripts(struct cycle *c, const struct err *why);
/* The time for polling is over: told once.  true: this was the first call. */
bool cycle_pass_deadline(struct cycle *c);
/* Until then asks that were given up are waited for. */
int64_t cycle_patience_ms(const struct cycle *c);
/* From then on the writer is not waited for. */
int64_t cycle_writer_until(const struct cycle *c);
/* When the last child is to be gone: soon, and if possible before everything is to be stored. */
int64_t cycle_children_until(const struct cycle *c);
/* The writer is lost in a call: spool what it has not taken (NULL: nothing), count the rest as lost and
 * close the row by a new connection. */
void cycle_end_without_writer(struct cycle *c, struct batch *waiting);
/* The closing lines.  Returns the exit status. */
int cycle_report(struct cycle *c);

/* ---- any thread ---- */

/* Once, a signal asks for the end; what is complete is stored if the database takes it soon. */
void cycle_hurry(struct cycle *c, int signo);
NODISCARD struct devrun *cycle_new_run(const struct cycle *c, const struct device *device);
struct moment cycle_now(void);
/* The moment is past the time for polling. */
bool cycle_out_of_time(const struct cycle *c, const struct moment *at);
/* Log, row and finish actions; true: the run is finished.  Asks are the driver's. */
bool cycle_apply(struct cycle *c, const struct device *device, const struct action *action,
                 struct batch *rows);
/* A device that the cycle had no time for; started: its run was stopped. */
void cycle_drop(struct cycle *c, const struct device *device, bool started);

#endif
