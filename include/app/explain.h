/* app/explain.h - the command --explain: what a poll of some devices asks, gets and stores, and why.
 *
 * Why:     "why is this value U" and "why is this device slow" are answered by the poller itself.
 * Threads: the main thread.
 * Promise: polls the devices once, by the path that the configuration names, writes nothing to the
 *          database, and prints what happened: text for people, or JSON (docs/explain.schema.json).
 * Errors:  the exit status: EX_OK, EX_NOINPUT if none of the devices can be polled, EX_TEMPFAIL if a
 *          device was not polled to its end.
 */
#ifndef SPINE_APP_EXPLAIN_H
#define SPINE_APP_EXPLAIN_H

#include "app/app.h"
#include "drivers/ping.h"
#include "engine/config.h"

#include <stdint.h>

struct app_end explain_run(struct config *c, const struct ping_sockets *sockets,
                           int64_t started_mono_us);

#endif
