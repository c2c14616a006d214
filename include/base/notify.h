/* base/notify.h - tells a service manager what a daemon does: ready, alive, stopping.
 *
 * Why:     a manager that starts the daemon waits until it is ready, shows its state, and ends one that
 *          hangs.  The protocol is one datagram per message to the socket that $NOTIFY_SOCKET names, so
 *          no library is needed.
 * Use:     notify_start();                               before there are threads
 *          notify_say("READY=1\nSTATUS=%s", text);       several assignments, a line each
 *          every notify_watchdog_ms() / 2: notify_say("WATCHDOG=1");
 *          notify_stop();
 * Threads: the main thread.
 * Promise: without a manager nothing happens.  Nothing here fails or waits: a message that the manager
 *          does not take at once is dropped.  The variables are taken out of the environment, so that
 *          no child is mistaken for the daemon.
 * Source:  sd_notify(3), "Notes"; sd_watchdog_enabled(3).
 */
#ifndef SPINE_BASE_NOTIFY_H
#define SPINE_BASE_NOTIFY_H

#include "base/compiler.h"

#include <stdint.h>

void notify_start(void);
void notify_stop(void);
void notify_say(const char *fmt, ...) PRINTF(1, 2);
/* The manager expects a sign of life within this time; 0: it expects none. */
int64_t notify_watchdog_ms(void);

#endif
