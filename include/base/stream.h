/* base/stream.h - the one stream of lifecycle events: emitted anywhere, read by event log and trace.
 *
 * Why:     reporting must never slow polling down (a full disk, a reader that has stopped), and all
 *          reports of an event must agree.
 * Use:     stream_emit(&(struct happening){.type = EVENT_DEVICE_UP, .device = id});
 *          struct stream_reader *r = stream_subscribe(&queue);
 *          while (stream_take(r, &items, until_mono_ms)) ... stream_items_done(&items);
 *          stream_unsubscribe(r);
 * Threads: any; a reader belongs to one thread, except stream_close() and stream_offered() (any).
 *          At most one reader takes details.
 * Promise: each scope (base/scope) that has called stream_own() has a stream of its own.  Emitting takes no longer than copying the event into each queue and the trace, never
 *          waits and allocates nothing but a detail's text. A reader's queue is bounded in events
 *          and in bytes; what finds it full is dropped for that reader, and counted. Each event
 *          that a reader's queue is offered gets the next number of that reader, so a gap shows
 *          what was dropped.
 * Source:  docs/events.md.
 */
#ifndef SPINE_BASE_STREAM_H
#define SPINE_BASE_STREAM_H

#include "base/happening.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream_reader;

struct stream_queue {
    size_t events; /* the most that may wait */
    size_t bytes;  /* of details, the most that may wait */
    bool frequent; /* wants the types marked `detail` */
    bool details;  /* wants them, and the texts that go with them */
    int gather_ms; /* after the first event take waits this long for more, less if half full */
};

struct stream_item {
    struct happening event;
    uint64_t number; /* of this reader, from 1 */
    char *detail;    /* JSON, or NULL; the taker's until stream_items_done() */
    size_t detail_len;
};

struct stream_items {
    struct stream_item *items;
    size_t count, cap;
};

/* Of all readers. */
struct stream_figures {
    size_t subscribers;
    size_t deepest; /* most events that ever waited in one queue */
    uint64_t emitted, dropped;
};

/* The calling thread's scope gets a stream of its own. */
void stream_own(void);

void stream_emit(const struct happening *event);
/* The same with a text, which is cut to fit. */
void stream_emit_text(struct happening event, const char *text);

/* Whether making a detail is worth while; then stream_emit_detail() takes the buffer's text. */
bool stream_wants_details(void);
void stream_emit_detail(enum happening_type type, uint32_t device, struct buf *json);

struct stream_figures stream_figures(void);

NODISCARD struct stream_reader *stream_subscribe(const struct stream_queue *queue);
/* Everything that waits; waits for a first event until the time given.  false: nothing came, or
 * closed and empty. */
bool stream_take(struct stream_reader *r, struct stream_items *ret, int64_t until_mono_ms);
/* Closes the queue: its reader takes what is left and no longer waits; nothing new is queued. */
void stream_close(struct stream_reader *r);
bool stream_is_closed(struct stream_reader *r);
/* So far: events meant for this reader, those that found its queue full too. */
uint64_t stream_offered(struct stream_reader *r);
void stream_items_done(struct stream_items *items);
void stream_unsubscribe(struct stream_reader *r); /* NULL allowed */

#endif
