/* base/give_up.h - an object by which one owner ends a group of waits early.
 *
 * Why:     a cycle that is out of time ends its own waits; the waits of another cycle, before,
 *          after or beside it, go on.
 * Use:     struct give_up g;
 *          if (!give_up_init(&g, &err)) ...
 *          give_up_set(&g);            every wait that borrows it ends
 *          give_up_done(&g);
 *          A wait in poll(2) includes give_up_fd(&g), POLLIN.  A wait on a condition registers a
 *          watch that signals the condition, and looks at give_up_is_set() each time it wakes.
 * Threads: set, is_set, watch and unwatch from any thread; init and done while no thread waits.
 * Owns:    two descriptors, close-on-exec.  A watch belongs to its caller and stays where it is
 *          between watch and unwatch.
 * Locks:   `lock` guards the watches.  It is held while a watch is called:
 *          a watch may take the lock of its condition, so a watch is never registered or removed with
 *          that lock held.
 * Promise: NULL is an object that is never set; the descriptor of NULL is -1.
 */
#ifndef SPINE_BASE_GIVE_UP_H
#define SPINE_BASE_GIVE_UP_H

#include "base/compiler.h"
#include "base/err.h"
#include "base/thr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

struct give_up_watch {
    LIST_ENTRY(give_up_watch) next;
    void (*told)(void *arg); /* from the thread that sets; must not wait */
    void *arg;
};

struct give_up {
    atomic_bool set;
    int fds[2]; /* a pipe that holds a byte while set */
    struct thr_mutex lock;
    LIST_HEAD(, give_up_watch) watches; /* lock */
};

NODISCARD bool give_up_init(struct give_up *g, struct err *err); /* ERR_OS: no descriptors */
void give_up_done(struct give_up *g);
void give_up_set(struct give_up *g); /* again: nothing */
bool give_up_is_set(const struct give_up *g);
int give_up_fd(const struct give_up *g); /* readable while set; never read from */

void give_up_watch(struct give_up *g, struct give_up_watch *w); /* called at once if already set */
void give_up_unwatch(struct give_up *g, struct give_up_watch *w);

#endif
