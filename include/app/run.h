/* app/run.h - one poll cycle, as Cacti starts it.
 *
 * Why:     there is one way up and one way down, whatever ends the cycle: its own end, the deadline, a
 *          signal, or something that could not be started.
 * Threads: main thread.
 */
#ifndef SPINE_APP_RUN_H
#define SPINE_APP_RUN_H

#include "app/app.h"
#include "drivers/ping.h"
#include "engine/config.h"

#include <stdint.h>

/* config: the command line has been parsed.  started_mono_us: of the process. */
struct app_end run_once(struct config *config, const struct ping_sockets *sockets,
                        int64_t started_mono_us);

#endif
