#include "config.h"

#include "core/lease.h"

#include "base/mem.h"
#include "base/thr.h"

#include <stdlib.h>

enum lease_state { LEASE_RUNNING, LEASE_IN_CALL, LEASE_REVOKED, LEASE_ENDED };

struct lease {
    pthread_t thread; /* the owner's */
    bool joined;      /* the owner's */
    lease_fn *fn;
    void *arg;
    lease_late_fn *late;
    struct thr_mutex lock;
    pthread_cond_t changed;         /* ended, or in a call while `ending` */
    enum lease_state state GUARDED; /* under lock, like the rest */
    bool ending GUARDED;            /* the owner waits for the next call or the end */
    int references GUARDED;         /* the owner and the thread */
};

static void lease_drop(struct lease *l)
{
    thr_lock(&l->lock);
    bool last = --l->references == 0;
    thr_unlock(&l->lock);
    if (!last)
        return;
    thr_cond_done(&l->changed);
    thr_mutex_done(&l->lock);
    free(l);
}

static void *lease_main(void *arg)
{
    struct lease *l = arg;
    l->fn(l, l->arg);
    thr_lock(&l->lock);
    bool late = l->state == LEASE_REVOKED;
    if (!late)
        l->state = LEASE_ENDED;
    thr_wake_all(&l->changed);
    thr_unlock(&l->lock);
    if (late && l->late != NULL)
        l->late(l->arg);
    lease_drop(l);
    return NULL;
}

UNCHECKED_LOCKS struct lease *lease_start(const char *name, lease_fn *fn, void *arg,
                                          lease_late_fn *late, struct err *err)
{
    struct lease *l = mem_zalloc(1, sizeof(*l));
    *l = (struct lease){.fn = fn, .arg = arg, .late = late, .references = 2};
    thr_mutex_init(&l->lock);
    thr_cond_init(&l->changed);
    if (thr_start(&l->thread, name, lease_main, l, err))
        return l;
    l->references = 1;
    l->joined = true;
    lease_free(l);
    return NULL;
}

void lease_enter(struct lease *l)
{
    thr_lock(&l->lock);
    if (l->state == LEASE_RUNNING)
        l->state = LEASE_IN_CALL;
    if (l->ending)
        thr_wake_all(&l->changed);
    thr_unlock(&l->lock);
}

bool lease_leave(struct lease *l)
{
    thr_lock(&l->lock);
    if (l->state == LEASE_IN_CALL)
        l->state = LEASE_RUNNING;
    bool kept = l->state != LEASE_REVOKED;
    thr_unlock(&l->lock);
    return kept;
}

static void lease_join(struct lease *l)
{
    if (!l->joined)
        thr_join(l->thread);
    l->joined = true;
}

static void lease_detach(struct lease *l)
{
    thr_detach(l->thread);
    l->joined = true;
}

bool lease_wait(struct lease *l, int64_t until_mono_ms)
{
    thr_lock(&l->lock);
    while (l->state != LEASE_ENDED && thr_wait_until(&l->changed, &l->lock, until_mono_ms))
        ;
    bool ended = l->state == LEASE_ENDED;
    thr_unlock(&l->lock);
    if (ended)
        lease_join(l);
    return ended;
}

static bool lease_take(struct lease *l, lease_salvage_fn *salvage) REQUIRES(l->lock);

static bool lease_take(struct lease *l, lease_salvage_fn *salvage)
{
    if (l->state != LEASE_IN_CALL)
        return false;
    l->state = LEASE_REVOKED;
    if (salvage != NULL)
        salvage(l->arg);
    return true;
}

bool lease_revoke(struct lease *l, lease_salvage_fn *salvage)
{
    thr_lock(&l->lock);
    bool revoked = lease_take(l, salvage);
    thr_unlock(&l->lock);
    if (revoked)
        lease_detach(l);
    return revoked;
}

bool lease_end(struct lease *l, int64_t until_mono_ms, lease_salvage_fn *salvage)
{
    thr_lock(&l->lock);
    while (l->state != LEASE_ENDED && thr_wait_until(&l->changed, &l->lock, until_mono_ms))
        ;
    l->ending = true;
    while (l->state == LEASE_RUNNING)
        thr_wait(&l->changed, &l->lock);
    bool revoked = lease_take(l, salvage);
    thr_unlock(&l->lock);
    if (revoked)
        lease_detach(l);
    else
        lease_join(l);
    lease_drop(l);
    return !revoked;
}

void lease_free(struct lease *l)
{
    if (l == NULL)
        return;
    CHECK(l->joined);
    lease_drop(l);
}
