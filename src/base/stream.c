#include "config.h"

#include "base/stream.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/thr.h"
#include "base/trace.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct stream_reader {
    TAILQ_ENTRY(stream_reader) next;
    struct stream *stream; /* const; whose it is */
    struct stream_queue queue;
    pthread_cond_t changed;
    struct stream_item *items; /* room for queue.events */
    size_t count;
    size_t bytes; /* of the details among them */
    uint64_t offered;
    bool closed;
};

struct stream {
    struct thr_mutex lock;
    TAILQ_HEAD(, stream_reader) readers GUARDED; /* lock */
    struct stream_figures figures GUARDED;       /* lock */
    struct stream_reader *detailed
        GUARDED; /* lock: the one that takes details; a detail has one owner */
    atomic_bool wants_details;
};

static struct stream stream_of_process = {
    .lock = THR_MUTEX_INITIALIZER, .readers = TAILQ_HEAD_INITIALIZER(stream_of_process.readers)};

static struct stream *stream_here(void)
{
    struct stream *s = scope_part(SCOPE_STREAM);
    return s != NULL ? s : &stream_of_process;
}

static void stream_free(void *part)
{
    struct stream *s = part;
    thr_mutex_done(&s->lock);
    free(s);
}

UNCHECKED_LOCKS void stream_own(void)
{
    struct stream *s = mem_zalloc(1, sizeof(*s));
    thr_mutex_init(&s->lock);
    TAILQ_INIT(&s->readers);
    scope_put(SCOPE_STREAM, s, stream_free);
}

/* ---- emitting ---- */

/* true: queued; the detail is the queue's. */
static bool offer(struct stream *s, struct stream_reader *r, const struct happening *e,
                  char *detail, size_t detail_len) REQUIRES(s->lock);

static bool offer(struct stream *s, struct stream_reader *r, const struct happening *e,
                  char *detail, size_t detail_len)
{
    bool wanted = r->queue.details || r->queue.frequent || !happening_get(e->type)->detail;
    if (r->closed || !wanted)
        return false;
    r->offered++;
    if (r->count == r->queue.events || detail_len > r->queue.bytes - r->bytes) {
        s->figures.dropped++;
        return false;
    }
    r->items[r->count++] = (struct stream_item){
        .event = *e, .number = r->offered, .detail = detail, .detail_len = detail_len};
    r->bytes += detail_len;
    if (r->count > s->figures.deepest)
        s->figures.deepest = r->count;
    if (r->count == 1 || r->count == r->queue.events / 2 + 1)
        thr_wake_one(&r->changed);
    return true;
}

static void stream_stamp(struct happening *e)
{
    if (e->mono_us == 0)
        e->mono_us = clock_mono_us();
    if (e->wall_us == 0)
        e->wall_us = clock_wall_us();
}

void stream_emit(const struct happening *event)
{
    struct happening e = *event;
    struct stream *s = stream_here();
    struct stream_reader *r;
    stream_stamp(&e);
    thr_lock(&s->lock);
    s->figures.emitted++;
    TAILQ_FOREACH (r, &s->readers, next)
        offer(s, r, &e, NULL, 0);
    thr_unlock(&s->lock);
    trace_add(&e);
}

void stream_emit_text(struct happening event, const char *text)
{
    happening_set_text(&event, text);
    stream_emit(&event);
}

bool stream_wants_details(void)
{
    return atomic_load_explicit(&stream_here()->wants_details, memory_order_relaxed);
}

void stream_emit_detail(enum happening_type type, uint32_t device, struct buf *json)
{
    struct happening e = {.type = type, .device = device};
    struct stream *s = stream_here();
    size_t len = json->len;
    char *detail = buf_take(json);
    stream_stamp(&e);
    thr_lock(&s->lock);
    s->figures.emitted++;
    bool taken = s->detailed != NULL && offer(s, s->detailed, &e, detail, len);
    thr_unlock(&s->lock);
    if (!taken)
        free(detail);
}

/* ---- figures ---- */

struct stream_figures stream_figures(void)
{
    struct stream *s = stream_here();
    thr_lock(&s->lock);
    struct stream_figures figures = s->figures;
    thr_unlock(&s->lock);
    return figures;
}

/* ---- reading ---- */

struct stream_reader *stream_subscribe(const struct stream_queue *queue)
{
    struct stream_reader *r = mem_zalloc(1, sizeof(*r));
    struct stream *s = stream_here();
    CHECK(queue->events > 0);
    r->stream = s;
    r->queue = *queue;
    r->items = mem_zalloc(queue->events, sizeof(r->items[0]));
    thr_cond_init(&r->changed);
    thr_lock(&s->lock);
    CHECK(!queue->details || s->detailed == NULL);
    TAILQ_INSERT_TAIL(&s->readers, r, next);
    s->figures.subscribers++;
    if (queue->details)
        s->detailed = r;
    atomic_store(&s->wants_details, s->detailed != NULL);
    thr_unlock(&s->lock);
    return r;
}

static bool wait_for_some(struct stream_reader *r, int64_t until_mono_ms) REQUIRES(r->stream->lock);
static void wait_for_company(struct stream_reader *r) REQUIRES(r->stream->lock);

static bool wait_for_some(struct stream_reader *r, int64_t until_mono_ms)
{
    while (r->count == 0 && !r->closed)
        if (!thr_wait_until(&r->changed, &r->stream->lock, until_mono_ms))
            return r->count > 0;
    return r->count > 0;
}

static void wait_for_company(struct stream_reader *r)
{
    int64_t until = clock_mono_ms() + r->queue.gather_ms;
    while (!r->closed && r->queue.gather_ms > 0 && r->count <= r->queue.events / 2)
        if (!thr_wait_until(&r->changed, &r->stream->lock, until))
            return;
}

bool stream_take(struct stream_reader *r, struct stream_items *ret, int64_t until_mono_ms)
{
    stream_items_done(ret);
    if (ret->items == NULL) {
        ret->cap = r->queue.events;
        ret->items = mem_zalloc(ret->cap, sizeof(ret->items[0]));
    }
    thr_lock(&r->stream->lock);
    bool some = wait_for_some(r, until_mono_ms);
    if (some)
        wait_for_company(r);
    struct stream_item *empty = ret->items;
    ret->items = r->items;
    ret->count = r->count;
    r->items = empty;
    r->count = 0;
    r->bytes = 0;
    thr_unlock(&r->stream->lock);
    return some;
}

void stream_items_done(struct stream_items *items)
{
    for (size_t i = 0; i < items->count; i++)
        free(items->items[i].detail);
    items->count = 0;
}

void stream_close(struct stream_reader *r)
{
    thr_lock(&r->stream->lock);
    r->closed = true;
    thr_wake_one(&r->changed);
    thr_unlock(&r->stream->lock);
}

bool stream_is_closed(struct stream_reader *r)
{
    thr_lock(&r->stream->lock);
    bool closed = r->closed;
    thr_unlock(&r->stream->lock);
    return closed;
}

uint64_t stream_offered(struct stream_reader *r)
{
    thr_lock(&r->stream->lock);
    uint64_t n = r->offered;
    thr_unlock(&r->stream->lock);
    return n;
}

void stream_unsubscribe(struct stream_reader *r)
{
    if (r == NULL)
        return;
    thr_lock(&r->stream->lock);
    TAILQ_REMOVE(&r->stream->readers, r, next);
    r->stream->figures.subscribers--;
    if (r->stream->detailed == r)
        r->stream->detailed = NULL;
    atomic_store(&r->stream->wants_details, r->stream->detailed != NULL);
    thr_unlock(&r->stream->lock);
    for (size_t i = 0; i < r->count; i++)
        free(r->items[i].detail);
    thr_cond_done(&r->changed);
    free(r->items);
    free(r);
}
