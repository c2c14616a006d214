/* What script.c and phpserver.c share: waiting for a done() that comes on the supervising thread. */
#ifndef SPINE_DRIVERS_SCRIPT_PRIVATE_H
#define SPINE_DRIVERS_SCRIPT_PRIVATE_H

#include "drivers/script.h"

typedef void script_begin_fn(void *driver, const struct script_request *request,
                             int64_t deadline_mono_ms, script_done_fn *done, void *arg);

/* Have `begin` called on the supervising thread and wait for its done(). */
void script_wait(struct children *children, script_begin_fn *begin, void *driver,
                 const struct script_request *request, int64_t deadline_mono_ms,
                 struct script_answer *ret);

#endif
