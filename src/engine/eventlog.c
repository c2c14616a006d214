#include "config.h"

#include "engine/eventlog.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/thr.h"
#include "core/lease.h"
#include "engine/eventline.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Lines are gathered for this time, or up to this size, before they are written. */
enum { GATHER_MS = 100, CHUNK = 64 * 1024 };

/* What stop has to say. */
struct eventlog_outcome {
    uint64_t lost;
    char why[128];
};

struct eventlog {
    struct eventlog_options options;
    char *path;
    struct stream_reader *reader;
    struct lease *lease;              /* stop's, like the next one */
    struct eventlog_outcome *outcome; /* where it is noted if the thread is abandoned */

    struct thr_mutex lock;
    pthread_cond_t changed;
    int64_t give_up_mono_ms GUARDED; /* lock: INT64_MAX until stop */
    uint64_t written GUARDED;        /* lock: events in the file */
    int error GUARDED;               /* lock: errno of the last failure, 0 = none */
    bool troubled GUARDED;           /* lock: nothing has been written since that failure */
    bool capped GUARDED;             /* lock: the size was the reason */

    /* the thread's */
    int fd;
    dev_t dev;
    ino_t ino;
    bool regular;
    int64_t size; /* of the file, as far as we know */
    struct stream_items items;
    struct buf out; /* formatted, not written; whole lines but for the first one */
};

/* ---- the file ---- */

static void eventlog_note_trouble(struct eventlog *e, int error)
{
    thr_lock(&e->lock);
    e->error = error;
    e->troubled = true;
    thr_unlock(&e->lock);
}

static void eventlog_close_file(struct eventlog *e)
{
    if (e->fd >= 0)
        close(e->fd);
    e->fd = -1;
}

/* Open, and still the one of that name.  Non-blocking, because the name may be that of a FIFO. */
static bool eventlog_look_at_file(struct eventlog *e)
{
    struct stat st;
    bool gone = stat(e->path, &st) != 0 || st.st_dev != e->dev || st.st_ino != e->ino;
    if (e->fd >= 0 && gone)
        eventlog_close_file(e);
    if (e->fd < 0)
        e->fd =
            open(e->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (e->fd < 0 || fstat(e->fd, &st) != 0) {
        eventlog_note_trouble(e, errno);
        return false;
    }
    e->dev = st.st_dev;
    e->ino = st.st_ino;
    e->regular = S_ISREG(st.st_mode);
    e->size = st.st_size;
    return true;
}

/* false: the time for that is over. */
static bool eventlog_wait_a_little(struct eventlog *e)
{
    int64_t now = clock_mono_ms(), until = now + EVENTLOG_RETRY_MS;
    thr_lock(&e->lock);
    if (until > e->give_up_mono_ms)
        until = e->give_up_mono_ms;
    while (thr_wait_until(&e->changed, &e->lock, until))
        if (until > e->give_up_mono_ms)
            until = e->give_up_mono_ms;
    bool over = clock_mono_ms() >= e->give_up_mono_ms;
    thr_unlock(&e->lock);
    return !over;
}

static bool eventlog_open_file(struct eventlog *e)
{
    while (!eventlog_look_at_file(e))
        if (!eventlog_wait_a_little(e))
            return false;
    return true;
}

static bool eventlog_is_over(struct eventlog *e)
{
    thr_lock(&e->lock);
    bool over = clock_mono_ms() >= e->give_up_mono_ms;
    thr_unlock(&e->lock);
    return over;
}

static void eventlog_drop_written(struct eventlog *e, size_t len)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < len; i++)
        lines += e->out.data[i] == '\n';
    memmove(e->out.data, e->out.data + len, e->out.len - len);
    buf_truncate(&e->out, e->out.len - len);
    e->size += (int64_t)len;
    thr_lock(&e->lock);
    e->written += lines;
    e->troubled = false;
    thr_unlock(&e->lock);
}

/* A FIFO whose reader sleeps: wait for it, but not too long at a time. */
static bool eventlog_wait_for_room(struct eventlog *e)
{
    struct pollfd pfd = {.fd = e->fd, .events = POLLOUT};
    eventlog_note_trouble(e, EAGAIN);
    if (poll(&pfd, 1, EVENTLOG_RETRY_MS) == 0)
        return !eventlog_is_over(e);
    return !eventlog_is_over(e) && ((pfd.revents & POLLOUT) != 0 || eventlog_wait_a_little(e));
}

/* A write has failed; false: no time left to try again. */
static bool eventlog_try_again(struct eventlog *e, int error)
{
    if (error == EINTR)
        return true;
    if (error == EAGAIN)
        return eventlog_wait_for_room(e);
    eventlog_note_trouble(e, error);
    if (error == EPIPE)
        eventlog_close_file(e);
    return eventlog_wait_a_little(e);
}

/* false: it cannot be written, and there is no time left to try. */
static bool eventlog_write_out(struct eventlog *e)
{
    while (e->out.len > 0) {
        if (e->fd < 0 && !eventlog_open_file(e))
            return false;
        size_t piece = e->regular || e->out.len < PIPE_BUF ? e->out.len : PIPE_BUF;
        ssize_t n = write(e->fd, e->out.data, piece);
        if (n > 0)
            eventlog_drop_written(e, (size_t)n);
        else if (n < 0 && !eventlog_try_again(e, errno))
            return false;
    }
    return true;
}

/* ---- lines ---- */

static void eventlog_add_line(struct eventlog *e, const struct stream_item *item)
{
    size_t before = e->out.len;
    eventline_json(&e->out, item, EVENTLINE_OF_A_CYCLE);
    if (!e->regular || e->size + (int64_t)e->out.len <= e->options.max_bytes)
        return;
    buf_truncate(&e->out, before);
    thr_lock(&e->lock);
    e->capped = true;
    thr_unlock(&e->lock);
}

static bool eventlog_write_items(struct eventlog *e)
{
    bool ok = eventlog_open_file(e);
    for (size_t i = 0; ok && i < e->items.count; i++) {
        eventlog_add_line(e, &e->items.items[i]);
        if (e->out.len >= CHUNK)
            ok = eventlog_write_out(e);
    }
    return ok && eventlog_write_out(e);
}

/* ---- life ---- */

static void eventlog_release(struct eventlog *e)
{
    stream_unsubscribe(e->reader);
    stream_items_done(&e->items);
    free(e->items.items);
    buf_done(&e->out);
    eventlog_close_file(e);
    thr_cond_done(&e->changed);
    thr_mutex_done(&e->lock);
    free(e->path);
    free(e);
}

/* The thread has returned from the file system long after the end. */
static void eventlog_come_late(void *arg)
{
    eventlog_release(arg);
}

/* All that touches the file may hang and is done under the lease.  closed: nothing more comes.
 * false: all is written, or there is no time left for the rest. */
static bool eventlog_turn(struct eventlog *e, bool closed)
{
    bool more = e->items.count > 0 ? eventlog_write_items(e) : !closed;
    if (!more)
        eventlog_close_file(e);
    return more;
}

static void eventlog_main(struct lease *l, void *arg)
{
    struct eventlog *e = arg;
    bool more = true;
    while (more) {
        bool closed = stream_is_closed(e->reader);
        (void)stream_take(e->reader, &e->items, clock_mono_ms() + 60000);
        lease_enter(l);
        more = eventlog_turn(e, closed);
        if (!lease_leave(l))
            return;
    }
}

UNCHECKED_LOCKS struct eventlog *eventlog_start(const struct eventlog_options *options,
                                                struct err *err)
{
    struct eventlog *e = mem_zalloc(1, sizeof(*e));
    struct stream_queue queue = {.events = options->queue_events,
                                 .bytes = options->queue_bytes,
                                 .details = options->full,
                                 .gather_ms = GATHER_MS};
    e->options = *options;
    e->path = mem_strdup(options->path);
    e->give_up_mono_ms = INT64_MAX;
    e->fd = -1;
    thr_mutex_init(&e->lock);
    thr_cond_init(&e->changed);
    e->reader = stream_subscribe(&queue);
    e->lease = lease_start("eventlog", eventlog_main, e, eventlog_come_late, err);
    if (e->lease != NULL)
        return e;
    eventlog_release(e);
    return NULL;
}

static const char *eventlog_reason(const struct eventlog *e) REQUIRES(e->lock);

static const char *eventlog_reason(const struct eventlog *e)
{
    if (e->capped)
        return "the file has reached its greatest size";
    return e->error != 0 ? strerror(e->error) : "the queue was full";
}

/* why: NULL = what the thread has met last. */
static void eventlog_note_outcome(struct eventlog *e, const char *why)
{
    struct eventlog_outcome *out = e->outcome;
    thr_lock(&e->lock);
    out->lost = stream_offered(e->reader) - e->written;
    snprintf(out->why, sizeof(out->why), "%s", why != NULL ? why : eventlog_reason(e));
    thr_unlock(&e->lock);
}

/* While the thread has not returned: once it does, it releases all that could be looked at.  A file that was refusing
 * everything is the reason, however late a busy machine lets the thread see that its time is over. */
static void eventlog_salvage(void *arg)
{
    struct eventlog *e = arg;
    thr_lock(&e->lock);
    bool troubled = e->troubled;
    thr_unlock(&e->lock);
    eventlog_note_outcome(e, troubled ? NULL : "the file system does not answer");
}

/* Returns until when the thread is waited for; a file that takes nothing is given up before that. */
static int64_t eventlog_close(struct eventlog *e)
{
    int64_t until = clock_mono_ms() + EVENTLOG_END_MS;
    stream_close(e->reader);
    thr_lock(&e->lock);
    e->give_up_mono_ms = until - EVENTLOG_RETRY_MS;
    thr_wake_all(&e->changed);
    thr_unlock(&e->lock);
    return until;
}

uint64_t eventlog_stop(struct eventlog *e)
{
    struct eventlog_outcome out = {0};
    if (e == NULL)
        return 0;
    char *path = mem_strdup(e->path);
    e->outcome = &out;
    if (lease_end(e->lease, eventlog_close(e), eventlog_salvage)) {
        eventlog_note_outcome(e, NULL);
        eventlog_release(e);
    }
    if (out.lost > 0)
        log_line(LOG_ALWAYS, "WARNING: Event log %s: %" PRIu64 " events are missing: %s", path,
                 out.lost, out.why);
    free(path);
    return out.lost;
}
