/* engine/cycle.h - the life of one poll cycle: begin, write, end.
 *
 * Why:     the drivers (engine/legacy, engine/eventpath) differ in who waits where; what is loaded,
 *          said, counted and stored must not differ, so it is here once.
 * Use:     struct cycle *c = cycle_new(config, store, started);
 *          cycle_begin(c, &err);  cycle_write(c, batch);  cycle_end(c);     engine/writer does that
 *          cycle_load_slice(c, reader, at, size, &slice, &err);                 engine/loader does that
 *          run = cycle_new_run(c, device, 0);  cycle_apply(c, device, action, rows);   per device
 *          status = cycle_report(c);
 *          cycle_unref(c);
 * Threads: marked per function.  "writer": the thread of engine/writer, which alone uses the store.
 *          The roster is const from the return of cycle_begin() on.
 * Owns:    the roster and the ledger; the configuration, the store and the uplink are lent.  A thread
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
#include "model/checkpoint.h"
#include "model/devrun.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guard;
struct process;

/* Devices of the roster that were read together, in its order; NULL: gone meanwhile. */
struct cycle_slice {
    struct device **devices;
    size_t count;
    size_t next; /* in the roster: where the next slice begins */
};

void cycle_slice_done(struct cycle_slice *slice);

struct cycle {
    atomic_int references;
    const struct config *config; /* const */
    struct store *store;         /* writer */
    struct uplink *uplink;       /* const; NULL: there is no main server but the store's */
    struct guard *guard;         /* const; NULL: no watchdog */
    const struct devrun_watcher *
        watcher; /* const, lent: of all runs, whose log lines it alone gets; NULL: engine/witness */
    int64_t started_mono_us;   /* const: of the process */
    struct budget budget;      /* const */
    struct checkpoint resumed; /* const: of the cycle that is continued; no ids: none is */
    struct ledger ledger;      /* any */
    struct give_up give_up;    /* any: ends all waits for devices */

    struct thr_mutex store_lock;    /* for the store, which the loader may use, too */
    struct thr_mutex spool_lock;    /* for the spool file */
    _Atomic(struct store *) second; /* second writer; NULL: not needed, or refused */
    struct roster roster;           /* writer until cycle_begin() returns, then const */
    struct cycle_slice first;       /* as the roster, until the loader takes it */
    size_t output_chars,
        boost_chars; /* as the roster: widths of the columns that take values; 0 = as
                                         Cacti's schema */
    bool *advance;   /* per entry of the roster: all its items were dealt with; one thread each */
    bool none_found; /* as the roster: none of the devices asked for by id can be polled */
    bool down_first; /* driver, before cycle_begin(): the order of the roster */
    enum config_driver
        driver;              /* the one that polls; legacy until the event path is known to do it */
    atomic_size_t items_due; /* of the devices that have been read */
    atomic_bool no_scripts;  /* no script can be started */

    struct store_row row; /* writer, or the uplink; its id: any */
    struct thr_role
        writer;         /* adopted by cycle_begin(), asserted by cycle_write() and cycle_end() */
    atomic_bool loaded; /* the roster and the first slice are there */
    bool opened;        /* writer: the poller_time row exists, or may exist */
    bool restored;      /* writer: the spool file has been looked at */

    atomic_bool out_of_time;             /* polling was ended by the deadline */
    atomic_int stop_signal;              /* the signal that ended the cycle, 0 = none */
    _Atomic int64_t store_until_mono_ms; /* budget.store_until; a stop signal moves it nearer */
    _Atomic int64_t end_by_mono_ms;      /* the watchdog's time; a stop signal moves it nearer */
    int64_t loop_lag_us; /* driver: the latest timer of the event loop; 0 = there is none */
    uint64_t loop_turns; /* driver: of the event loop in this cycle */
    size_t left_behind;  /* driver: asks that have not returned although given up */
    bool writer_lost;    /* driver: nor has the writer */
};

NODISCARD struct cycle *cycle_new(const struct config *config, struct store *store,
                                  int64_t started_mono_us, struct err *err);
struct cycle *cycle_ref(struct cycle *c);
void cycle_unref(struct cycle *c); /* NULL allowed */

/* ---- writer ---- */

/* Open poller_time, load the roster and its first slice. */
NODISCARD bool cycle_begin(struct cycle *c, struct err *err);
void cycle_write(struct cycle *c, struct batch *batch); /* takes the batch */
void cycle_end(struct cycle *c);                        /* next steps, date, close poller_time */
/* The second writer has not returned in time: what it holds counts as lost. */
void cycle_lose_second(struct cycle *c);

/* ---- second writer: a thread that stores beside the first, by a connection of its own ---- */

bool cycle_may_have_second(const struct cycle *c);
/* false: the server does not give a connection at once. */
NODISCARD bool cycle_open_second(struct cycle *c);
void cycle_write_second(struct cycle *c, struct batch *batch); /* takes the batch */
/* Until then it is waited for before the row is closed. */
int64_t cycle_second_until(const struct cycle *c);

/* ---- loader ---- */

/* One more connection to the cycle's database, which is not open yet: it is tried for a second at most, because
 * the cycle can do without.  until: the monotonic time in ms at which what it is for ends. */
NODISCARD struct store *cycle_new_store(const struct cycle *c, int64_t until_mono_ms);
/* `size` devices of the roster from entry `at` on, by the reader, or by the cycle's own store (NULL) in turn
 * with the writer. */
NODISCARD bool cycle_load_slice(struct cycle *c, struct store *reader, size_t at, size_t size,
                                struct cycle_slice *ret, struct err *err);

/* Which devices and items a cycle with this configuration polls; the configuration is lent. */
struct selection cycle_select(const struct config *config, bool down_first);

/* ---- the driver ---- */

/* Before the first run of a device that has scripts: there is no supervisor for children, script items are
 * U. */
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
/* known_oids: see struct devrun_options. */
NODISCARD struct devrun *cycle_new_run(const struct cycle *c, const struct device *device,
                                       size_t known_oids);
struct moment cycle_now(void);
/* The moment is past the time for polling. */
bool cycle_out_of_time(const struct cycle *c, const struct moment *at);
/* Log, row and finish actions; true: the run is finished.  Asks are the driver's. */
bool cycle_apply(struct cycle *c, const struct device *device, const struct action *action,
                 struct batch *rows);
/* A device that the cycle had no time for; started: its run was stopped. */
void cycle_drop(struct cycle *c, const struct device *device, bool started);
/* The same for one that has not been read, so that its items are not known. */
void cycle_drop_unread(struct cycle *c, uint32_t device_id, bool is_said);

#endif
