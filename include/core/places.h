/* core/places.h - places that several loops share: some at a time for each key, the others wait their turn.
 *
 * Why:     one agent, and one machine, must cope with all cycles of a process together; each cycle has
 *          a thread and a loop of its own.
 * Use:     struct places *all = places_new();
 *          struct places_user *u = places_user_new(all);                     one per cycle
 *          if (places_take(u, &terms, &owner->claim)) ... there is room ...
 *          else ... terms.fn(terms.arg) comes on the loop when there is ...
 *          places_leave(&owner->claim);                                      both ways, at any time
 *          places_user_free(u);  places_free(all);
 * Threads: take and leave on the claim's loop; all others from any.
 * Owns:    nothing of its users: a claim is embedded in its owner, who leaves before he is freed.
 * Promise: first come, first served per key, the claims that may wait (`last`) after all others.  A
 *          claim gets its place when fewer than its own `most` are held.  fn comes once for each claim that
 *          had to wait, within the places_leave() of another claim of its loop, or by a letter; not after
 *          its own places_leave(), which also gives a place back that has not been told yet.  What a
 *          user holds can be taken from all of it: places_user_drop() is for a cycle whose thread
 *          hangs.  A key takes memory only while it is held or waited for.
 */
#ifndef SPINE_CORE_PLACES_H
#define SPINE_CORE_PLACES_H

#include "core/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum { PLACES_KEY_MAX = 32 };

struct places;
struct places_user;

/* Copied, but for the key's bytes, which are copied with the first claim of a key. */
struct places_terms {
    const void *key;
    size_t key_len; /* PLACES_KEY_MAX at most */
    size_t most;
    bool last;
    struct loop *loop;
    loop_fn *fn;
    void *arg;
};

/* The members are private.  A zeroed claim holds nothing and may be left. */
struct places_claim {
    TAILQ_ENTRY(places_claim) next; /* while it waits */
    TAILQ_ENTRY(places_claim) next_of_user;
    struct places_user *user; /* NULL: nothing is claimed */
    struct place *place;      /* NULL: it was dropped with its user */
    bool held, last;
    size_t most;
    struct loop_letter letter;
    struct loop *loop;
    loop_fn *fn;
    void *arg;
};

struct places_figures {
    size_t held, waiting;
    uint64_t waited; /* claims that had to, so far */
};

NODISCARD struct places *places_new(void);
void places_free(struct places *p); /* after its users; NULL allowed */
struct places_figures places_figures(struct places *p);

NODISCARD struct places_user *places_user_new(struct places *p);
/* Its claims have been left; NULL allowed. */
void places_user_free(struct places_user *u);
/* Its places go to others and its waiting claims are forgotten; from now on it gets what it takes, and that is not
 * counted.  The claims are to be left as before. */
void places_user_drop(struct places_user *u);

/* true: it has a place.  The claim must hold nothing. */
NODISCARD bool places_take(struct places_user *u, const struct places_terms *terms,
                           struct places_claim *claim);
void places_leave(struct places_claim *claim); /* idempotent */

#endif
