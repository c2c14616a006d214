/* app/plan.h - the command --plan: what the next cycle would poll, in which order, and what bounds it.
 *
 * Why:     an operator sees what a cycle has to do before it is too long, and which figure to change.
 * Threads: the main thread.
 * Promise: reads the database, asks no device and writes nothing.  Text for people, or JSON
 *          (docs/plan.schema.json).
 * Errors:  the exit status: EX_OK, or EX_NOINPUT if there is no device.
 */
#ifndef SPINE_APP_PLAN_H
#define SPINE_APP_PLAN_H

#include "app/app.h"
#include "drivers/ping.h"
#include "engine/config.h"

#include <stdint.h>

struct app_end plan_run(struct config *c, const struct ping_sockets *sockets,
                        int64_t started_mono_us);

#endif
