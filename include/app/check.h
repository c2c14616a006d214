/* app/check.h - the command --check: is all there that a cycle needs?
 *
 * Why:     an operator sees before the first cycle, and when something is wrong, what is missing, where, and
 *          what to do: one line for each thing, OK, WARN or FAIL.
 * Use:     end = check_run(config, &sockets);
 * Threads: the main thread.
 * Promise: nothing is written, neither to the database nor to a file, and no file is created; no device is
 *          asked. Everything that is tried has a deadline.
 * Errors:  the exit status: 0 all is well, 1 there are warnings, 2 a cycle would fail, or not do what it is configured to do.
 */
#ifndef SPINE_APP_CHECK_H
#define SPINE_APP_CHECK_H

#include "app/app.h"
#include "drivers/ping.h"
#include "engine/config.h"

/* config: the command line has been parsed. */
struct app_end check_run(struct config *config, const struct ping_sockets *sockets);

#endif
