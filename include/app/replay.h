/* app/replay.h - plays a recorded event log back into the core: same inputs, same actions?
 *
 * Why:     a recorded cycle can be run again without its network and its database, to find out why
 *          a device got U, or what a changed core does differently.
 * Use:     if (!replay_file(path, NULL, NULL, stdout, &err)) ... err.text
 * Threads: the main thread.
 * Promise: reads the file and nothing else.  Every action that the runs take is compared with the
 *          recorded one, in order; the first that differs, is missing or is surplus ends it, and so
 *          do a line that cannot be read, missing lines and a run without an end.
 * Errors:  true: all as recorded, a summary is printed.  false: ERR_DATA, err names file, line,
 *          device, what was recorded and what came; or ERR_UNAVAILABLE, ERR_OS.
 * Source:  docs/events.md, "Recordings".
 */
#ifndef SPINE_APP_REPLAY_H
#define SPINE_APP_REPLAY_H

#include "base/compiler.h"
#include "base/err.h"
#include "engine/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Devices whose recorded lines are to be printed as they are played; NULL: none. */
typedef bool replay_show_fn(void *arg, uint32_t device);

NODISCARD bool replay_file(const char *path, replay_show_fn *show, void *arg, FILE *out,
                           struct err *err);

/* The command --replay: plays config->replay on standard output.  Returns the exit status. */
int replay_run(struct config *c);

#endif
