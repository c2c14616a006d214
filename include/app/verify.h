/* app/verify.h - the command --verify: do all ways of polling give the same?
 *
 * Why:     an operator sees on the own devices, before anything is switched, that the new way stores
 *          what the old one does.
 * Threads: the main thread.
 * Promise: polls the devices by the legacy loop, the event path and the event path with SNMP on the
 *          loop, as far as the build has them, one after the other, and writes nothing to the database.
 *          Items that disagree are polled again in two more rounds; model/verdict.h says which of
 *          them only move.  What Cacti has not yet taken out of poller_output is compared as well.
 * Errors:  the exit status: EX_OK nothing differs; EX_DATAERR something does; EX_NOINPUT no device;
 *          EX_TEMPFAIL a device was not polled to its end.
 * Source:  docs/rollout.md, "Verify"; docs/verify.schema.json.
 */
#ifndef SPINE_APP_VERIFY_H
#define SPINE_APP_VERIFY_H

#include "app/app.h"
#include "drivers/ping.h"
#include "engine/config.h"

#include <stdint.h>

struct app_end verify_run(struct config *c, const struct ping_sockets *sockets,
                          int64_t started_mono_us);

#endif
