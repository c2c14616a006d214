/* base/stream.h - the one stream of lifecycle events: emitted anywhere, read by event log, trace and, in a
 * daemon, by the processes that ask it for events.
 *
 * Why:     reporting must never slow polling down (a full disk, a reader that has stopped), and all
 *          reports of an event must agree.
 * Use:     stream_emit(&(struct happening){.type = EVENT_DEVICE_UP, .device = id});
 *          struct stream_reader *r = stream_subscribe(&queue);
 *          while (stream_take(r, &items, until_mono_ms)) ... stream_items_done(&items);
 *          stream_unsubscribe(r);
 * Threads: any; a reader belongs to one thread, except stream_close(), stream_offered() and
 *          stream_reader_figures() (any).  At most one reader of a stream takes details.
 * Promise: each scope (base/scope) that has called stream_own() has a stream of its own; with an origin its
 *          events reach the readers of the process's stream as well, which is the bus of a daemon, and cost
 *          nothing there if no reader wants them.  Emitting takes no longer than copying the event into each queue and the trace, never
 *          waits and allocates nothing but a detail's text. A reader's queue is bounded in events
 *          and in bytes; what finds it full, or else what has waited longest (drop_oldest), is dropped for
 *          that reader, and counted. Each event that a reader's queue is offered gets the next number
 *          of that reader, so a gap shows what was dropped.
 * Source:  docs/events.md.
 */
#ifndef SPINE_BASE_STREAM_H
#define SPINE_BASE_STREAM_H

#include "base/happening.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream_reader;

/* Of which cycle an event is, in a process that has several; zeroed: of none. */
struct stream_origin {
    int poller, pid; /* of the process that Cacti has started */
};

struct stream_queue {
    size_t events;    /* the most that may wait */
    size_t bytes;     /* of details, the most that may wait */
    uint64_t types;   /* wants these alone (happening_parse_types()); 0: what the next two say */
    bool frequent;    /* wants the types marked `detail` */
    bool details;     /* wants them, and the texts that go with them */
    bool drop_oldest; /* when full; such a reader uses stream_take_now() */
    bool past;        /* begins with what stream_keep() has kept, as far as it has room */
    int gather_ms;    /* after the first event take waits this long for more, less if half full */
    /* NULL, or told when a first event waits, and when the queue is half full.  On the emitting thread, under
     * the stream's lock: posts a message and does nothing else. */
    void (*wake)(void *arg);
    void *wake_arg;
};

struct stream_item {
    struct happening event;
    struct stream_origin origin;
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

/* Of one. */
struct stream_reader_figures {
    uint64_t offered, dropped;
    size_t waiting, deepest;
};

/* The calling thread's scope gets a stream of its own.  origin: its events go to the process's stream too; NULL: they
 * do not. */
void stream_own(const struct stream_origin *origin);
/* The process's stream keeps its last events of normal detail from now on, for readers that come later; 0: none. */
void stream_keep(size_t events);

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
/* What waits, the oldest first and no more than `most` of it, which is to be the same in each call; does not wait. */
bool stream_take_now(struct stream_reader *r, struct stream_items *ret, size_t most);
/* Closes the queue: its reader takes what is left and no longer waits; nothing new is queued. */
void stream_close(struct stream_reader *r);
bool stream_is_closed(struct stream_reader *r);
/* So far: events meant for this reader, those that found its queue full too. */
uint64_t stream_offered(struct stream_reader *r);
struct stream_reader_figures stream_reader_figures(struct stream_reader *r);
void stream_items_done(struct stream_items *items);
void stream_unsubscribe(struct stream_reader *r); /* NULL allowed */

#endif
