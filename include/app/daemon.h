/* app/daemon.h - stays, and carries out cycles for the processes that Cacti starts.
 *
 * Why:     what each start does again (libraries, keys, names) is done once; what a cycle needs of its
 *          own it still has alone.
 * Use:     end = daemon_run(config, &sockets, argc, argv);       until SIGTERM
 * Threads: main thread; each cycle has one of its own (app/hosting.h).
 * Promise: the daemon's thread never waits for a device, a database or a cycle.  Who may ask: the
 *          daemon's own user for cycles, and root and the members of Daemon_Group for its state.  A stop
 *          signal ends all cycles in order, each client by that signal, and then the daemon with 0.
 * Source:  docs/daemon.md.
 */
#ifndef SPINE_APP_DAEMON_H
#define SPINE_APP_DAEMON_H

#include "app/app.h"
#include "drivers/ping.h"
#include "engine/config.h"

struct app_end daemon_run(struct config *config, const struct ping_sockets *sockets, int argc,
                          char *const *argv);

#endif
