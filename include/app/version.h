/* app/version.h - what --version prints.
 *
 * Why:     Cacti's GUI reads the first line and looks for its own version in it (docs/contract.md 1.3); people read
 *          the others.
 * Threads: main thread.
 * Promise: nothing is written. The database is asked for the version of Cacti for at most VERSION_ASK_MS, and what goes
 *          wrong with it, or with spine.conf, is not told: then spine.conf names the version, or the build.
 */
#ifndef SPINE_APP_VERSION_H
#define SPINE_APP_VERSION_H

#include "app/app.h"
#include "drivers/ping.h"
#include "engine/config.h"

enum { VERSION_ASK_MS = 1000 };

/* config: the command line has been parsed. */
/* Of a text "a.b.c": a*1000 + b*100 + c (docs/contract.md 2.5); 0: it is none. */
int version_number(const char *text);

struct app_end version_run(struct config *config, const struct ping_sockets *sockets);

#endif
