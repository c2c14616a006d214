/* app/run.h - one poll cycle, as Cacti starts it, and what the commands that poll share with it.
 *
 * Why:     there is one way up and one way down, whatever ends the cycle: its own end, the deadline, a
 *          signal, or something that could not be started.
 * Threads: main thread.
 */
#ifndef SPINE_APP_RUN_H
#define SPINE_APP_RUN_H

#include "app/app.h"
#include "base/err.h"
#include "drivers/ping.h"
#include "engine/config.h"

#include <stdbool.h>
#include <stdint.h>

/* config: the command line has been parsed.  started_mono_us: of the process. */
struct app_end run_once(struct config *config, const struct ping_sockets *sockets,
                        int64_t started_mono_us);

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
