/* app/check.h - the command --check: can spine.conf and the environment be used?
 *
 * Why:     an operator sees before the first cycle what is wrong in them, where, and what to do: one line
 *          for each thing, OK, WARN or FAIL.
 * Use:     status = check_run(config);
 * Threads: the main thread.
 * Promise: nothing is written; neither the database nor a device is asked.
 * Errors:  the exit status: 0 nothing is wrong, 1 there are warnings, 2 a cycle could not begin.
 */
#ifndef SPINE_APP_CHECK_H
#define SPINE_APP_CHECK_H

#include "engine/config.h"

/* config: the command line has been parsed. */
int check_run(struct config *config);

#endif
