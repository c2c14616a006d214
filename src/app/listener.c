#include "config.h"

#include "app/listener.h"

#include "base/mem.h"
#include "base/stream.h"
#include "engine/eventline.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What the kernel holds for a process is little, so that a gap is where the process has been too slow: a message has
 * LISTENER_BYTES and one event at most. */
enum { LISTENER_BATCH = 32, LISTENER_BYTES = 8 * 1024, LISTENER_KERNEL_BYTES = 32 * 1024 };

/* A reader is woken for this time's events at once, or as soon as its buffer is half full. */
enum { LISTENER_GATHER_MS = 50 };

/* Messages to one reader before the daemon's thread does something else. */
enum { LISTENER_ROUNDS = 8 };

/* --status tells all of them in one message. */
enum { LISTENER_TYPES_LEN = 1000 };

struct listener {
    struct listener_options options;
    bool json;
    char *types;
    int64_t buffer, poller;
    struct stream_reader *reader;
    struct stream_items items;
    size_t next;     /* of the items, to be put into a message */
    uint64_t number; /* of the last event that was put */
    struct buf lines, message;
    struct loop_timer gather, end;
    struct loop_watch room;
    bool finishing;

    atomic_bool woken; /* the letter is posted */
    struct loop_letter letter;
};

/* ---- the request ---- */

enum {
    WORD_FORMAT = 1,
    WORD_PAST,
    WORD_FOLLOW,
    WORD_BUFFER,
    WORD_POLLER,
    WORD_TYPES,
    LISTENER_WORDS
};

void listener_put_request(struct buf *message, const struct listener_request *request)
{
    handover_put(message, "events");
    handover_put(message, request->json ? "json" : "text");
    handover_put_number(message, request->past);
    handover_put_number(message, request->follow);
    handover_put_number(message, request->buffer);
    handover_put_number(message, request->poller);
    handover_put(message, request->types);
}

bool listener_is_request(const struct handover *message)
{
    return handover_is(message, "events", LISTENER_WORDS);
}

/* From another process, which may be of another version. */
static bool listener_read_request(const struct handover *m, struct listener_request *ret,
                                  uint64_t *ret_types, struct err *why)
{
    int64_t past, follow;
    const char *bad;
    bool ok = handover_number(m, WORD_PAST, 0, 1, &past) &&
              handover_number(m, WORD_FOLLOW, 0, 1, &follow) &&
              handover_number(m, WORD_BUFFER, LISTENER_BUFFER_LEAST, LISTENER_BUFFER_MOST,
                              &ret->buffer) &&
              (ret->buffer & (ret->buffer - 1)) == 0 &&
              strlen(m->words[WORD_TYPES]) <= LISTENER_TYPES_LEN &&
              handover_number(m, WORD_POLLER, 0, INT32_MAX, &ret->poller);
    if (!ok)
        return err_set(why, ERR_USAGE, "it does not understand the request");
    ret->json = strcmp(m->words[WORD_FORMAT], "json") == 0;
    ret->past = past != 0;
    ret->follow = follow != 0;
    ret->types = m->words[WORD_TYPES];
    *ret_types = 0;
    return *ret->types == '\0' || happening_parse_types(ret->types, ret_types, &bad) ||
           err_set(why, ERR_USAGE, "it does not know these events");
}

/* ---- sending ---- */

static void listener_over(struct listener *l)
{
    l->options.over(l->options.arg); /* frees l */
}

/* A gap is told where it is. */
static void listener_put(struct listener *l, const struct stream_item *item)
{
    uint64_t gap = item->number - l->number - 1;
    l->number = item->number;
    if (gap > 0)
        (l->json ? eventline_json_gap : eventline_text_gap)(&l->lines, gap);
    if (l->poller != 0 && l->poller != item->origin.poller)
        return;
    if (l->json)
        eventline_json(&l->lines, item, EVENTLINE_OF_MANY);
    else
        eventline_text(&l->lines, item);
}

/* What was taken becomes the message, unless none of it is wanted. */
static void listener_fill(struct listener *l)
{
    buf_clear(&l->lines);
    for (; l->next < l->items.count && l->lines.len < LISTENER_BYTES; l->next++)
        listener_put(l, &l->items.items[l->next]);
    if (l->lines.len == 0)
        return;
    handover_put(&l->message, "lines");
    handover_put(&l->message, buf_str(&l->lines));
}

/* false: there is nothing to send. */
static bool listener_take(struct listener *l)
{
    while (l->message.len == 0) {
        bool some = l->next < l->items.count;
        if (!some)
            l->next = 0;
        if (!some && !stream_take_now(l->reader, &l->items, LISTENER_BATCH))
            return false;
        listener_fill(l);
    }
    return true;
}

static void listener_send(void *arg);

/* The socket has not taken a message. */
static void listener_on_refused(struct listener *l, int number)
{
    if (number == EAGAIN)
        loop_watch_start(&l->room, l->options.loop, l->options.fd, LOOP_WRITABLE, listener_send, l);
    else
        listener_over(l);
}

static void listener_send(void *arg)
{
    struct listener *l = arg;
    loop_watch_stop(&l->room);
    for (int rounds = 0; listener_take(l); rounds++) {
        if (rounds == LISTENER_ROUNDS) {
            loop_timer_set(&l->gather, 0);
            return;
        }
        if (!handover_send(l->options.fd, &l->message, NULL)) {
            listener_on_refused(l, errno);
            return;
        }
        buf_clear(&l->message);
    }
    if (!l->finishing)
        return;
    (void)handover_say(l->options.fd, "over", NULL);
    listener_over(l);
}

static void listener_on_gathered(void *arg)
{
    struct listener *l = arg;
    if (!loop_watch_is_started(&l->room))
        listener_send(l);
}

static void listener_on_end(void *arg)
{
    listener_over(arg);
}

/* ---- being woken ---- */

static void listener_on_letter(void *arg)
{
    struct listener *l = arg;
    l->woken = false;
    if (loop_watch_is_started(&l->room))
        return; /* its socket is full */
    if (stream_reader_figures(l->reader).waiting > (size_t)l->buffer / 2)
        listener_send(l);
    else if (!loop_timer_is_set(&l->gather))
        loop_timer_set(&l->gather, LISTENER_GATHER_MS);
}

/* On the thread of a cycle, under the stream's lock. */
static void listener_wake(void *arg)
{
    struct listener *l = arg;
    if (!atomic_exchange(&l->woken, true))
        loop_post(l->options.loop, &l->letter, listener_on_letter, l);
}

/* ---- life ---- */

struct listener *listener_new(const struct listener_options *options,
                              const struct handover *message, struct err *why)
{
    struct listener_request q;
    int kernel_bytes = LISTENER_KERNEL_BYTES;
    uint64_t types;
    if (!listener_read_request(message, &q, &types, why))
        return NULL;
    (void)setsockopt(options->fd, SOL_SOCKET, SO_SNDBUF, &kernel_bytes, sizeof(kernel_bytes));
    struct listener *l = mem_zalloc(1, sizeof(*l));
    l->options = *options;
    l->json = q.json;
    l->types = mem_strdup(q.types);
    l->buffer = q.buffer;
    l->poller = q.poller;
    loop_timer_init(&l->gather, options->loop, listener_on_gathered, l);
    loop_timer_init(&l->end, options->loop, listener_on_end, l);
    const struct stream_queue queue = {.events = (size_t)q.buffer,
                                       .types = types,
                                       .drop_oldest = true,
                                       .past = q.past,
                                       .wake = listener_wake,
                                       .wake_arg = l};
    l->reader = stream_subscribe(&queue);
    loop_timer_set(&l->gather, 0);
    l->finishing = !q.follow;
    if (l->finishing)
        stream_close(l->reader);
    return l;
}

void listener_finish(struct listener *l)
{
    if (loop_timer_is_set(&l->end))
        return;
    l->finishing = true;
    stream_close(l->reader);
    loop_timer_set(&l->gather, 0);
    loop_timer_set(&l->end, LISTENER_END_MS);
}

void listener_free(struct listener *l)
{
    if (l == NULL)
        return;
    stream_unsubscribe(l->reader); /* nothing wakes it from here on */
    (void)loop_take_back(&l->letter);
    loop_timer_cancel(&l->gather);
    loop_timer_cancel(&l->end);
    loop_watch_stop(&l->room);
    stream_items_done(&l->items);
    free(l->items.items);
    buf_done(&l->message);
    buf_done(&l->lines);
    free(l->types);
    free(l);
}

struct status_listener listener_get(const struct listener *l)
{
    struct stream_reader_figures f = stream_reader_figures(l->reader);
    return (struct status_listener){.pid = l->options.pid,
                                    .uid = l->options.uid,
                                    .types = l->types,
                                    .buffer = l->buffer,
                                    .offered = f.offered,
                                    .dropped = f.dropped,
                                    .waiting = f.waiting,
                                    .deepest = f.deepest};
}
