/* engine/loader.h - the thread that reads the devices of a cycle while others are polled.
 *
 * Why:     a large site takes longer to read than a device takes to poll, and more memory than what is
 *          polled or comes next.
 * Use:     struct loader *l = loader_new(cycle, services, on_change, arg, &err);    the thread is there
 *          loader_begin(l);                                 after WRITER_BEGUN
 *          while (loader_take(l, &device) == LOADER_DEVICE) ...   the caller's reference
 *          loader_stop(l);                                  or LOADER_OVER was seen
 *          loader_end(l, until);  loader_drop_rest(l);
 *          loader_unref(l);
 * Threads: take from any; everything else by the driver.  on_change comes on the loader's thread, without
 *          a lock held, whenever loader_take() may have another answer.
 * Owns:    the devices until they are taken; a connection of its own, unless the configuration allows one
 *          only or the server refuses another: then the writer's, which the two use in turn.
 * Promise: devices come in the order of the roster, each once; a device that the database no longer has
 *          is left out.  What waits to be taken is about LOADER_ITEMS_AHEAD items.
 * Errors:  devices that cannot be read are dropped, and one ERROR says why.
 */
#ifndef SPINE_ENGINE_LOADER_H
#define SPINE_ENGINE_LOADER_H

#include "engine/cycle.h"
#include "engine/services.h"

struct loader;

enum {
    LOADER_ITEMS_AHEAD = 5000, /* of a slice, and with fewer of them waiting the next one is read */
    LOADER_DEVICES_MAX = 500,  /* of a slice */
};

typedef void loader_change_fn(void *arg);

NODISCARD struct loader *loader_new(struct cycle *c, struct services *services,
                                    loader_change_fn *on_change, void *arg, struct err *err);
void loader_begin(struct loader *l);

enum loader_answer {
    LOADER_DEVICE, /* *ret is the next one */
    LOADER_LATER,  /* there will be more */
    LOADER_OVER,   /* all have been taken, or reading was stopped or has failed */
};
enum loader_answer loader_take(struct loader *l, const struct device **ret);
/* Waits while the answer is LOADER_LATER. */
enum loader_answer loader_wait(struct loader *l, const struct device **ret);

/* What the devices that have been read so far ask of scripts. */
struct loader_scripts {
    size_t asks;            /* scripts and script server asks that may come */
    size_t servers_at_once; /* that many script servers may be asked at the same time */
};
struct loader_scripts loader_get_scripts(struct loader *l);

/* No more devices. */
void loader_stop(struct loader *l);
/* Wait until a monotonic time for the thread to end.  false: it is lost in a call. */
bool loader_end(struct loader *l, int64_t until_mono_ms);
/* After loader_stop(): devices that no caller has taken are booked as dropped. */
void loader_drop_rest(struct loader *l);
void loader_unref(struct loader *l); /* after loader_end() */

#endif
