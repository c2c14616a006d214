/* app/run.h - one poll cycle, as Cacti starts it, and what the commands that poll share with it.
 *
 * Why:     there is one way up and one way down, whatever ends the cycle: its own end, the deadline, a
 *          signal, or something that could not be started.
 * Threads: main thread, except what says otherwise.
 */
#ifndef SPINE_APP_RUN_H
#define SPINE_APP_RUN_H

#include "app/app.h"
#include "base/err.h"
#include "base/thr.h"
#include "drivers/ping.h"
#include "engine/config.h"

#include <stdbool.h>
#include <stdint.h>

struct process;
struct services;

/* config: the command line has been parsed.  started_mono_us: of the process.  With `Daemon auto` the cycle may be handed over
 * (app/client.h); argv is what the process was started with. */
struct app_end run_once(struct config *config, const struct ping_sockets *sockets,
                        int64_t started_mono_us, char *const *argv);

/* Reads file, environment and passwords, and logs by what they say. */
NODISCARD bool run_configure(struct config *config, struct err *err);

/* ---- a cycle in a process that has others ---- */

/* How the cycle is reached from other threads. */
struct run_told {
    struct thr_mutex lock;
    int signo GUARDED;               /* lock: the first stop signal, 0 = none */
    struct process *process GUARDED; /* lock: NULL: it does not poll */
    struct store *reading GUARDED;   /* lock: the settings; NULL: no */
};

void run_told_init(struct run_told *told);
void run_told_done(struct run_told *told);
/* Any thread: a signal for the cycle, which may not poll yet, or no longer. */
void run_tell(struct run_told *told, int signo);

struct run_host {
    struct services *services; /* lent, until a run returns without at_once */
    struct run_told *told;     /* likewise */
    /* Any thread: by when, on the monotonic clock, the cycle ends, or is over for its client. */
    void (*until)(void *arg, int64_t mono_ms);
    /* The watchdog's thread: the cycle does not end; run_hosted() may never return. */
    void (*lost)(void *arg, const char *line);
    void *arg;
};

/* On a thread of its own, in a scope of its own (base/scope) whose log has started.  The libraries have been started by
 * run_start_libraries(), and db_thread_start() on this thread.  at_once: what was lent, and the configuration, may still be in use
 * and must stay. */
struct app_end run_hosted(struct config *config, const struct run_host *host,
                          int64_t started_mono_us);

/* Database and SNMP, once in a process, before there are threads. */
NODISCARD bool run_start_libraries(struct err *err);
void run_stop_libraries(void);

/* ---- commands ---- */

struct look;
struct run; /* what has been started: log, database connection, settings, SNMP, watchdog */
struct store;

/* Called with all of that; the run's exit status is what run_set_status() was given last. */
typedef void run_work_fn(struct run *r, void *arg);
struct app_end run_command(struct config *config, const struct ping_sockets *sockets,
                           int64_t started_mono_us, run_work_fn *work, void *arg);

void run_set_status(struct run *r, int status);
/* Polls what the configuration selects, by the path that it names, which may change from one call to
 * the next; config->read_only must be set.  All items, whether due or not, and with the reasons of a U.
 * false: it could not begin, err says why.  run_driver() tells what has polled. */
NODISCARD bool run_look(struct run *r, struct look *l, struct err *err);
/* A thread hangs in a call: what was lent to it is not to be freed, and nothing more can be polled. */
bool run_is_left_behind(const struct run *r);
bool run_is_stopped(const struct run *r); /* by a signal */
struct store *run_store(struct run *r);   /* NULL: hangs in a call */
/* What has polled last: the legacy loop also where an event loop is wanted and could not be started. */
enum config_driver run_driver(const struct run *r);

#endif
