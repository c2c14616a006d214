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
    struct stream_item *items; /* a ring with room for queue.events */
    size_t first, count;       /* first: 0 unless the oldest are taken or dropped alone */
    size_t bytes;              /* of the details among them */
    size_t deepest;
    uint64_t offered, dropped;
    bool closed;
};

struct stream {
    struct thr_mutex lock;
    TAILQ_HEAD(, stream_reader) readers GUARDED; /* lock */
    struct stream_figures figures GUARDED;       /* lock */
    struct stream_reader *detailed
        GUARDED; /* lock: the one that takes details; a detail has one owner */
    struct stream_reader *kept GUARDED; /* lock: the last events; NULL: none are kept */
    atomic_bool wants_details;
    atomic_uint_least64_t wanted; /* types that some reader wants */
    struct stream_origin origin;  /* const */
    bool forwards;                /* const: to the process's stream */
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

UNCHECKED_LOCKS void stream_own(const struct stream_origin *origin)
{
    struct stream *s = mem_zalloc(1, sizeof(*s));
    s->forwards = origin != NULL;
    if (origin != NULL)
        s->origin = *origin;
    thr_mutex_init(&s->lock);
    TAILQ_INIT(&s->readers);
    scope_put(SCOPE_STREAM, s, stream_free);
}

/* ---- emitting ---- */

static bool stream_is_wanted(const struct stream_queue *q, enum happening_type type)
{
    if (q->types != 0)
        return (q->types >> type & 1) != 0;
    return q->details || q->frequent || !happening_get(type)->detail;
}

static struct stream_item *stream_at(const struct stream_reader *r, size_t i)
{
    return &r->items[(r->first + i) % r->queue.events];
}

/* The next ones are called under the stream's lock. */

/* Room for one event more.  false: it finds the queue full. */
static bool stream_make_room(struct stream_reader *r, size_t detail_len)
{
    bool full = r->count == r->queue.events;
    if (!full && detail_len <= r->queue.bytes - r->bytes)
        return true;
    r->dropped++;
    if (!full || !r->queue.drop_oldest)
        return false;
    r->first = (r->first + 1) % r->queue.events; /* such a reader takes no details */
    r->count--;
    return true;
}

/* Puts an event behind those that wait. */
static void stream_queue_item(struct stream_reader *r, const struct stream_item *item,
                              uint64_t number)
{
    struct stream_item *at = stream_at(r, r->count++);
    *at = *item;
    at->number = number;
    r->bytes += item->detail_len;
    if (r->count > r->deepest)
        r->deepest = r->count;
}

static void stream_wake(struct stream_reader *r)
{
    if (r->count != 1 && r->count != r->queue.events / 2 + 1)
        return;
    if (r->queue.wake != NULL)
        r->queue.wake(r->queue.wake_arg);
    else
        thr_wake_one(&r->changed);
}

/* true: queued; the detail is the queue's. */
static bool offer(struct stream *s, struct stream_reader *r, const struct stream_item *item)
    REQUIRES(s->lock);

static bool offer(struct stream *s, struct stream_reader *r, const struct stream_item *item)
{
    uint64_t dropped = r->dropped;
    if (r->closed || !stream_is_wanted(&r->queue, item->event.type))
        return false;
    r->offered++;
    bool fits = stream_make_room(r, item->detail_len);
    s->figures.dropped += r->dropped - dropped;
    if (!fits)
        return false;
    stream_queue_item(r, item, r->offered);
    if (r->deepest > s->figures.deepest)
        s->figures.deepest = r->deepest;
    stream_wake(r);
    return true;
}

static void stream_stamp(struct happening *e)
{
    if (e->mono_us == 0)
        e->mono_us = clock_mono_us();
    if (e->wall_us == 0)
        e->wall_us = clock_wall_us();
}

static void stream_offer_all(struct stream *s, const struct stream_item *item)
{
    struct stream_reader *r;
    thr_lock(&s->lock);
    s->figures.emitted++;
    TAILQ_FOREACH (r, &s->readers, next)
        offer(s, r, item);
    if (s->kept != NULL && !happening_get(item->event.type)->detail) {
        (void)stream_make_room(s->kept, 0);
        stream_queue_item(s->kept, item, 0);
    }
    thr_unlock(&s->lock);
}

void stream_emit(const struct happening *event)
{
    struct stream *s = stream_here();
    struct stream_item item = {.event = *event, .origin = s->origin};
    stream_stamp(&item.event);
    stream_offer_all(s, &item);
    uint64_t wanted = atomic_load_explicit(&stream_of_process.wanted, memory_order_relaxed);
    if (s->forwards && (wanted >> event->type & 1) != 0)
        stream_offer_all(&stream_of_process, &item);
    trace_add(&item.event);
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
    struct stream *s = stream_here();
    struct stream_item item = {
        .event = {.type = type, .device = device}, .origin = s->origin, .detail_len = json->len};
    item.detail = buf_take(json);
    stream_stamp(&item.event);
    thr_lock(&s->lock);
    s->figures.emitted++;
    bool taken = s->detailed != NULL && offer(s, s->detailed, &item);
    thr_unlock(&s->lock);
    if (!taken)
        free(item.detail);
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

/* What some reader wants, and what is kept, has changed. */
static void stream_note_wants(struct stream *s) REQUIRES(s->lock);
/* A new reader that begins with the past. */
static void stream_give_past(struct stream *s, struct stream_reader *r) REQUIRES(s->lock);

static void stream_note_wants(struct stream *s)
{
    uint64_t wanted = 0;
    const struct stream_reader *r;
    for (int type = 0; type < EVENT_TYPES; type++) {
        bool some = s->kept != NULL && !happening_get((enum happening_type)type)->detail;
        TAILQ_FOREACH (r, &s->readers, next)
            some = some || stream_is_wanted(&r->queue, (enum happening_type)type);
        wanted |= (uint64_t)some << type;
    }
    atomic_store(&s->wanted, wanted);
    atomic_store(&s->wants_details, s->detailed != NULL);
}

static void stream_give_past(struct stream *s, struct stream_reader *r)
{
    size_t left = 0;
    for (size_t i = 0; i < s->kept->count; i++)
        left += stream_is_wanted(&r->queue, stream_at(s->kept, i)->event.type);
    for (size_t i = 0; i < s->kept->count; i++) {
        const struct stream_item *item = stream_at(s->kept, i);
        if (stream_is_wanted(&r->queue, item->event.type) && left-- <= r->queue.events)
            stream_queue_item(r, item, ++r->offered);
    }
}

static struct stream_reader *stream_new_reader(struct stream *s, const struct stream_queue *queue)
{
    struct stream_reader *r = mem_zalloc(1, sizeof(*r));
    CHECK(queue->events > 0 && !(queue->drop_oldest && queue->details));
    r->stream = s;
    r->queue = *queue;
    r->items = mem_zalloc(queue->events, sizeof(r->items[0]));
    thr_cond_init(&r->changed);
    return r;
}

static void stream_free_reader(struct stream_reader *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(stream_at(r, i)->detail);
    thr_cond_done(&r->changed);
    free(r->items);
    free(r);
}

struct stream_reader *stream_subscribe(const struct stream_queue *queue)
{
    struct stream *s = stream_here();
    struct stream_reader *r = stream_new_reader(s, queue);
    thr_lock(&s->lock);
    CHECK(!queue->details || s->detailed == NULL);
    if (queue->past && s->kept != NULL)
        stream_give_past(s, r);
    TAILQ_INSERT_TAIL(&s->readers, r, next);
    s->figures.subscribers++;
    if (queue->details)
        s->detailed = r;
    stream_note_wants(s);
    thr_unlock(&s->lock);
    return r;
}

void stream_keep(size_t events)
{
    struct stream *s = &stream_of_process;
    struct stream_queue queue = {.events = events, .drop_oldest = true};
    struct stream_reader *r = events == 0 ? NULL : stream_new_reader(s, &queue);
    thr_lock(&s->lock);
    struct stream_reader *before = s->kept;
    s->kept = r;
    stream_note_wants(s);
    thr_unlock(&s->lock);
    if (before != NULL)
        stream_free_reader(before);
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

static void stream_get_ready(struct stream_items *items, size_t cap)
{
    stream_items_done(items);
    if (items->items != NULL)
        return;
    items->cap = cap;
    items->items = mem_zalloc(cap, sizeof(items->items[0]));
}

bool stream_take(struct stream_reader *r, struct stream_items *ret, int64_t until_mono_ms)
{
    CHECK(!r->queue.drop_oldest); /* first is 0 */
    stream_get_ready(ret, r->queue.events);
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

bool stream_take_now(struct stream_reader *r, struct stream_items *ret, size_t most)
{
    CHECK(r->queue.drop_oldest); /* no details, and stream_take() is not used beside it */
    stream_get_ready(ret, most);
    thr_lock(&r->stream->lock);
    ret->count = r->count < ret->cap ? r->count : ret->cap;
    for (size_t i = 0; i < ret->count; i++)
        ret->items[i] = *stream_at(r, i);
    r->first = (r->first + ret->count) % r->queue.events;
    r->count -= ret->count;
    thr_unlock(&r->stream->lock);
    return ret->count > 0;
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

struct stream_reader_figures stream_reader_figures(struct stream_reader *r)
{
    thr_lock(&r->stream->lock);
    struct stream_reader_figures figures = {
        .offered = r->offered, .dropped = r->dropped, .waiting = r->count, .deepest = r->deepest};
    thr_unlock(&r->stream->lock);
    return figures;
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
    stream_note_wants(r->stream);
    thr_unlock(&r->stream->lock);
    stream_free_reader(r);
}
