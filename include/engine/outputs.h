/* engine/outputs.h - the reader of the event stream that writes what an operator looks at after a cycle.
 *
 * Use:     struct outputs *o = outputs_start(&options, &err);       NULL without an error: nothing is wanted
 *          ... the run ...
 *          outputs_stop(o, driver, status);
 * Threads: start and stop on the main thread; one thread of its own follows the events and writes the files.
 * Promise: polling never waits for it.  Events that come faster than it reads are dropped and counted, and each
 *          output has that number.  Files are written at the end, as wholes (drivers/wholefile); what cannot be
 *          written costs one WARNING.  stop takes no longer than OUTPUTS_END_MS; a thread that hangs in the file
 *          system is then abandoned.
 * Source:  docs/metrics.md.
 */
#ifndef SPINE_ENGINE_OUTPUTS_H
#define SPINE_ENGINE_OUTPUTS_H

#include "base/compiler.h"
#include "base/err.h"
#include "engine/config.h"

#include <stdbool.h>
#include <stdint.h>

enum { OUTPUTS_END_MS = 3000 };

struct outputs;

/* The file that is meant by metrics_file and the like; NULL: by "", none.  %p is the poller's id, %f the first
 * device id of the range, %% a percent sign: processes of one poller share spine.conf and must not write to one
 * file.  free() it. */
NODISCARD char *outputs_path(const struct config *config, const char *pattern);

NODISCARD struct outputs *outputs_start(const struct config *config, struct err *err);
/* There was no cycle here: stop leaves the files as they are.  o may be NULL. */
void outputs_drop(struct outputs *o);
/* driver: what has polled, or was to.  status: the exit status, or 128 and the signal that ends the process.
 * o may be NULL. */
void outputs_stop(struct outputs *o, enum config_driver driver, int status);

#endif
