#include "config.h"

#include "core/places.h"

#include "base/mem.h"
#include "base/thr.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

TAILQ_HEAD(places_claims, places_claim);

struct place {
    unsigned char key[PLACES_KEY_MAX];
    size_t key_len;
    size_t held;
    struct places_claims queue, last;
};

struct places {
    struct thr_mutex
        lock; /* guards all that follows, the places, users and claims; a loop's lock is taken within */
    void *all GUARDED; /* tsearch(3) of struct place; those that are in use */
    struct places_figures figures GUARDED;
};

struct places_user {
    struct places *places;
    bool dropped;
    struct places_claims claims;
};

/* ---- life ---- */

UNCHECKED_LOCKS struct places *places_new(void)
{
    struct places *p = mem_zalloc(1, sizeof(*p));
    thr_mutex_init(&p->lock);
    return p;
}

UNCHECKED_LOCKS void places_free(struct places *p)
{
    if (p == NULL)
        return;
    CHECK(p->all == NULL);
    thr_mutex_done(&p->lock);
    free(p);
}

struct places_figures places_figures(struct places *p)
{
    thr_lock(&p->lock);
    struct places_figures f = p->figures;
    thr_unlock(&p->lock);
    return f;
}

struct places_user *places_user_new(struct places *p)
{
    struct places_user *u = mem_zalloc(1, sizeof(*u));
    u->places = p;
    TAILQ_INIT(&u->claims);
    return u;
}

void places_user_free(struct places_user *u)
{
    if (u == NULL)
        return;
    CHECK(TAILQ_EMPTY(&u->claims));
    free(u);
}

/* ---- keys ---- */

static int place_compare(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    if (a->key_len != b->key_len)
        return a->key_len < b->key_len ? -1 : 1;
    return memcmp(a->key, b->key, a->key_len);
}

static struct place *place_get(struct places *p, const void *key, size_t len) REQUIRES(p->lock);
static void place_settle(struct places *p, struct place *place) REQUIRES(p->lock);

static struct place *place_get(struct places *p, const void *key, size_t len)
{
    struct place wanted = {.key_len = len};
    CHECK(len <= sizeof(wanted.key));
    memcpy(wanted.key, key, len);
    struct place *const *known = tfind(&wanted, &p->all, place_compare);
    if (known != NULL)
        return *known;
    struct place *place = mem_zalloc(1, sizeof(*place));
    *place = wanted;
    TAILQ_INIT(&place->queue);
    TAILQ_INIT(&place->last);
    (void)mem_need(tsearch(place, &p->all, place_compare));
    return place;
}

static struct places_claim *place_first(const struct place *place)
{
    return TAILQ_EMPTY(&place->queue) ? TAILQ_FIRST(&place->last) : TAILQ_FIRST(&place->queue);
}

static void place_settle(struct places *p, struct place *place)
{
    if (place->held > 0 || place_first(place) != NULL)
        return;
    tdelete(place, &p->all, place_compare);
    free(place);
}

static struct places_claims *place_queue_of(const struct places_claim *c)
{
    return c->last ? &c->place->last : &c->place->queue;
}

/* ---- giving ---- */

static void place_unqueue(struct places *p, struct places_claim *c) REQUIRES(p->lock);
static void place_hold(struct places *p, struct places_claim *c) REQUIRES(p->lock);
static struct places_claim *place_give(struct places *p, struct place *place,
                                       const struct loop *here) REQUIRES(p->lock);
static void place_release(struct places *p, struct places_claim *c) REQUIRES(p->lock);

static void place_unqueue(struct places *p, struct places_claim *c)
{
    TAILQ_REMOVE(place_queue_of(c), c, next);
    p->figures.waiting--;
}

static void place_hold(struct places *p, struct places_claim *c)
{
    c->held = true;
    c->place->held++;
    p->figures.held++;
}

/* Tells who gets a place, by letter under the lock, because its loop may be gone afterwards.  The first one
 * of the loop `here` is returned instead, for the caller to tell. */
static struct places_claim *place_give(struct places *p, struct place *place,
                                       const struct loop *here)
{
    struct places_claim *c, *own = NULL;
    while ((c = place_first(place)) != NULL && place->held < c->most) {
        place_unqueue(p, c);
        place_hold(p, c);
        if (c->user->dropped)
            continue; /* who drops it comes to this claim, too */
        if (own == NULL && c->loop == here)
            own = c;
        else if (!loop_try_post(c->loop, &c->letter, c->fn, c->arg)) /* it listens no longer */
            place_release(p, c);
    }
    return own;
}

static void place_release(struct places *p, struct places_claim *c)
{
    if (c->held) {
        c->place->held--;
        p->figures.held--;
    } else {
        place_unqueue(p, c);
    }
    c->held = false;
    c->place = NULL;
}

/* ---- for users ---- */

bool places_take(struct places_user *u, const struct places_terms *terms,
                 struct places_claim *claim)
{
    struct places *p = u->places;
    CHECK(claim->user == NULL);
    thr_lock(&p->lock);
    *claim = (struct places_claim){.user = u,
                                   .last = terms->last,
                                   .most = terms->most,
                                   .loop = terms->loop,
                                   .fn = terms->fn,
                                   .arg = terms->arg};
    TAILQ_INSERT_TAIL(&u->claims, claim, next_of_user);
    bool now = u->dropped;
    if (!now) {
        claim->place = place_get(p, terms->key, terms->key_len);
        now = claim->place->held < claim->most && place_first(claim->place) == NULL;
        if (now) {
            place_hold(p, claim);
        } else {
            TAILQ_INSERT_TAIL(place_queue_of(claim), claim, next);
            p->figures.waiting++;
            p->figures.waited++;
        }
    }
    thr_unlock(&p->lock);
    return now;
}

void places_leave(struct places_claim *claim)
{
    struct places_user *u = claim->user;
    struct places_claim *next = NULL;
    if (u == NULL)
        return;
    struct places *p = u->places;
    thr_lock(&p->lock);
    struct place *place = claim->place;
    TAILQ_REMOVE(&u->claims, claim, next_of_user);
    claim->user = NULL;
    if (place != NULL) {
        place_release(p, claim);
        next = place_give(p, place, claim->loop);
        place_settle(p, place);
    }
    loop_fn *fn = next == NULL ? NULL : next->fn;
    void *arg = next == NULL ? NULL : next->arg;
    thr_unlock(&p->lock);
    (void)loop_take_back(&claim->letter); /* it is no longer posted by others */
    if (fn != NULL)
        fn(arg);
}

void places_user_drop(struct places_user *u)
{
    struct places *p = u->places;
    struct places_claim *c;
    thr_lock(&p->lock);
    u->dropped = true;
    TAILQ_FOREACH (c, &u->claims, next_of_user) {
        struct place *place = c->place;
        if (place == NULL)
            continue;
        place_release(p, c);
        (void)place_give(p, place, NULL);
        place_settle(p, place);
    }
    thr_unlock(&p->lock);
}
