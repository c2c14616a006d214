#include "config.h"

#include "engine/outbox.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/thr.h"
#include "engine/cycle.h"

#include <stdlib.h>

struct outbox {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct batch *pending; /* NULL = empty */
    int64_t oldest_mono_ms;
    bool relaxed; /* nobody is held back any more */
    bool closed;
};

struct outbox *outbox_new(void)
{
    struct outbox *o = mem_zalloc(1, sizeof(*o));
    thr_mutex_init(&o->lock);
    thr_cond_init(&o->changed);
    return o;
}

void outbox_free(struct outbox *o)
{
    if (o == NULL)
        return;
    batch_free(o->pending);
    pthread_cond_destroy(&o->changed);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

static bool overfull(const struct outbox *o)
{
    return !o->relaxed && cycle_batch_is_overfull(o->pending);
}

void outbox_put(struct outbox *o, struct batch *batch)
{
    thr_lock(&o->lock);
    if (overfull(o))
        stream_emit(&(struct happening){.type = EVENT_QUEUE_FULL,
                                        .figures = {(int64_t)o->pending->row_count}});
    while (overfull(o))
        thr_wait(&o->changed, &o->lock);
    if (o->pending == NULL) {
        o->pending = batch;
        o->oldest_mono_ms = clock_mono_ms();
    } else {
        batch_merge(o->pending, batch);
    }
    pthread_cond_broadcast(&o->changed);
    thr_unlock(&o->lock);
}

struct batch *outbox_take(struct outbox *o)
{
    thr_lock(&o->lock);
    for (;;) {
        if (o->closed || (o->pending != NULL && cycle_batch_is_full(o->pending)))
            break;
        if (o->pending == NULL)
            thr_wait(&o->changed, &o->lock);
        else if (!thr_wait_until(&o->changed, &o->lock, o->oldest_mono_ms + CYCLE_BATCH_WAIT_MS))
            break;
    }
    struct batch *taken = o->pending;
    o->pending = NULL;
    pthread_cond_broadcast(&o->changed);
    thr_unlock(&o->lock);
    return taken;
}

size_t outbox_rows(struct outbox *o)
{
    thr_lock(&o->lock);
    size_t rows = o->pending == NULL ? 0 : o->pending->row_count;
    thr_unlock(&o->lock);
    return rows;
}

void outbox_relax(struct outbox *o)
{
    thr_lock(&o->lock);
    o->relaxed = true;
    pthread_cond_broadcast(&o->changed);
    thr_unlock(&o->lock);
}

void outbox_close(struct outbox *o)
{
    thr_lock(&o->lock);
    o->closed = o->relaxed = true;
    pthread_cond_broadcast(&o->changed);
    thr_unlock(&o->lock);
}
