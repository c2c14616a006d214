#include "config.h"

#include "core/jobq.h"

#include "base/mem.h"
#include "base/thr.h"

#include <stdlib.h>

struct jobq {
    struct thr_mutex lock;
    pthread_cond_t not_empty;
    void **ring GUARDED; /* cap is a power of two */
    size_t cap GUARDED, head GUARDED, count GUARDED;
    bool closed GUARDED;
};

UNCHECKED_LOCKS struct jobq *jobq_new(void)
{
    struct jobq *q = mem_zalloc(1, sizeof(*q));
    thr_mutex_init(&q->lock);
    thr_cond_init(&q->not_empty);
    q->cap = 16;
    q->ring = mem_zalloc(q->cap, sizeof(q->ring[0]));
    return q;
}

UNCHECKED_LOCKS void jobq_free(struct jobq *q)
{
    if (q == NULL)
        return;
    CHECK(q->count == 0);
    thr_cond_done(&q->not_empty);
    thr_mutex_done(&q->lock);
    free(q->ring);
    free(q);
}

static void grow_locked(struct jobq *q) REQUIRES(q->lock);
static void *take_locked(struct jobq *q) REQUIRES(q->lock);

static void grow_locked(struct jobq *q)
{
    void **ring = mem_zalloc(q->cap * 2, sizeof(ring[0]));
    for (size_t i = 0; i < q->count; i++)
        ring[i] = q->ring[(q->head + i) & (q->cap - 1)];
    free(q->ring);
    q->ring = ring;
    q->cap *= 2;
    q->head = 0;
}

static void *take_locked(struct jobq *q)
{
    if (q->count == 0)
        return NULL;
    void *item = q->ring[q->head];
    q->head = (q->head + 1) & (q->cap - 1);
    q->count--;
    return item;
}

bool jobq_push(struct jobq *q, void *item)
{
    CHECK(item != NULL);
    thr_lock(&q->lock);
    bool accepted = !q->closed;
    if (accepted) {
        if (q->count == q->cap)
            grow_locked(q);
        q->ring[(q->head + q->count++) & (q->cap - 1)] = item;
        thr_wake_one(&q->not_empty);
    }
    thr_unlock(&q->lock);
    return accepted;
}

void *jobq_pop(struct jobq *q)
{
    thr_lock(&q->lock);
    while (q->count == 0 && !q->closed)
        thr_wait(&q->not_empty, &q->lock);
    void *item = take_locked(q);
    thr_unlock(&q->lock);
    return item;
}

void *jobq_try_pop(struct jobq *q)
{
    thr_lock(&q->lock);
    void *item = take_locked(q);
    thr_unlock(&q->lock);
    return item;
}

void jobq_close(struct jobq *q)
{
    thr_lock(&q->lock);
    q->closed = true;
    thr_wake_all(&q->not_empty);
    thr_unlock(&q->lock);
}
