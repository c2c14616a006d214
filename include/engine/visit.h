/* engine/visit.h - one device while a driver polls it.
 *
 * Why:     what happens between a device's run, its asks and its rows is the same on both drivers.
 * Use:     struct visit *v = visit_new(cycle, device, asker, writer, &calls, arg);
 *          visit_start(v);  ...  calls->over(arg, v):  visit_free(v);
 * Threads: the asker's, except visit_stop() after visit_take_away().
 * Owns:    a reference to the device, the run, and its rows until they are handed to the writer; all others are lent.
 * Promise: over() comes once, also from within visit_start() or visit_stop(); the rows have been handed
 *          over and the session has been closed before.
 */
#ifndef SPINE_ENGINE_VISIT_H
#define SPINE_ENGINE_VISIT_H

#include "engine/asker.h"
#include "engine/cycle.h"
#include "engine/writer.h"

#include <sys/queue.h>

struct visit;

struct visit_calls {
    /* An answer came at that moment.  false: polling is over, and the driver has stopped the visit or
     * stops it now; an answer that was cut short says nothing about the device. */
    bool (*go_on)(void *arg, struct visit *v, const struct moment *at);
    void (*over)(void *arg, struct visit *v);
};

struct visit {
    TAILQ_ENTRY(visit) next; /* the driver's */
    struct cycle *c;
    const struct device *device;
    struct devrun *run;
    struct asker_session *session; /* NULL: closed, or taken away */
    struct services *services;
    struct writer *writer;
    struct batch *rows;
    bool finished;
    const struct visit_calls *calls;
    void *arg;
};

/* Takes the caller's reference to the device. */
NODISCARD struct visit *visit_new(struct cycle *c, const struct device *device, struct asker *asker,
                                  struct writer *writer, const struct visit_calls *calls,
                                  void *arg);
void visit_start(struct visit *v);
/* The cycle has no more time for it. */
void visit_stop(struct visit *v);
/* Its thread hangs in the session's call and keeps the session; the visit is the caller's from now on. */
void visit_take_away(struct visit *v, const struct visit_calls *calls, void *arg);
void visit_free(struct visit *v); /* NULL allowed */

#endif
