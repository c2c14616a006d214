#include "config.h"

#include "engine/writer.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/thr.h"
#include "core/lease.h"
#include "engine/batcher.h"

#include <stdlib.h>

/* How long writer_join() waits for a thread that has ended but for its last steps. */
enum { WRITER_JOIN_MS = 100 };

struct writer {
    struct cycle *c; /* a reference */
    writer_change_fn *on_change;
    void *arg;
    struct lease *lease;
    struct lease *second; /* NULL: there is no second writer */

    struct thr_mutex lock; /* all that follows */
    pthread_cond_t changed;
    int references GUARDED; /* the threads' and the driver's */
    struct batcher rows GUARDED;
    bool told_to_begin GUARDED, never GUARDED; /* never: it is freed before it was told */
    bool begun GUARDED, begin_ok GUARDED;
    struct err begin_err GUARDED;
    bool relaxed GUARDED;                         /* no poller is held back */
    bool first_busy GUARDED, second_busy GUARDED; /* storing */
    bool ending GUARDED;
    bool ended GUARDED;
    bool over GUARDED;               /* the second thread is no longer needed */
    struct batch **salvaged GUARDED; /* where the waiting rows go if the thread is abandoned */
};

UNCHECKED_LOCKS void writer_unref(struct writer *w)
{
    thr_lock(&w->lock);
    bool last = --w->references == 0;
    thr_unlock(&w->lock);
    if (!last)
        return;
    batch_free(batcher_take(&w->rows));
    thr_cond_done(&w->changed);
    thr_mutex_done(&w->lock);
    cycle_unref(w->c);
    free(w);
}

/* The call has returned late: the connection has no other user and is closed. */
static void writer_come_late(void *arg)
{
    struct writer *w = arg;
    store_close(w->c->store);
    writer_unref(w);
}

static void writer_tell(struct writer *w)
{
    thr_lock(&w->lock);
    thr_wake_all(&w->changed);
    thr_unlock(&w->lock);
    w->on_change(w->arg);
}

/* ---- the thread ---- */

/* false: it never begins. */
static bool writer_wait_to_begin(struct writer *w)
{
    thr_lock(&w->lock);
    while (!w->told_to_begin && !w->never)
        thr_wait(&w->changed, &w->lock);
    bool begin = w->told_to_begin;
    thr_unlock(&w->lock);
    return begin;
}

static bool writer_load(struct writer *w, struct lease *l)
{
    struct err err = ERR_INIT;
    lease_enter(l);
    bool ok = cycle_begin(w->c, &err);
    if (!lease_leave(l))
        return false;
    thr_lock(&w->lock);
    w->begun = true;
    w->begin_ok = ok;
    w->begin_err = err;
    thr_unlock(&w->lock);
    writer_tell(w);
    return true;
}

/* NULL: nothing is left and nothing will come. */
static struct batch *writer_take(struct writer *w)
{
    thr_lock(&w->lock);
    w->first_busy = false;
    while (!w->ending && !batcher_is_due(&w->rows, clock_mono_ms())) {
        int64_t due = batcher_due_ms(&w->rows);
        if (due == INT64_MAX)
            thr_wait(&w->changed, &w->lock);
        else
            (void)thr_wait_until(&w->changed, &w->lock, due);
    }
    struct batch *taken = batcher_take(&w->rows);
    w->first_busy = taken != NULL;
    thr_unlock(&w->lock);
    return taken;
}

/* The row is closed when all rows are stored; a second writer that hangs is not waited for. */
static void writer_await_second(struct writer *w)
{
    int64_t until = cycle_second_until(w->c);
    bool in_time = true;
    thr_lock(&w->lock);
    while (w->second_busy && in_time)
        in_time = thr_wait_until(&w->changed, &w->lock, until);
    bool lost = w->second_busy;
    thr_unlock(&w->lock);
    if (lost)
        cycle_lose_second(w->c);
}

static bool writer_write(struct writer *w, struct lease *l)
{
    struct batch *b;
    while ((b = writer_take(w)) != NULL) {
        writer_tell(w); /* there is room again */
        lease_enter(l);
        cycle_write(w->c, b);
        if (!lease_leave(l))
            return false;
    }
    return true;
}

static void writer_main(struct lease *l, void *arg)
{
    struct writer *w = arg;
    if (!writer_wait_to_begin(w))
        return;
    db_thread_start();
    if (!writer_load(w, l) || !writer_write(w, l))
        return;
    writer_await_second(w);
    lease_enter(l);
    cycle_end(w->c);
    db_thread_stop();
    if (!lease_leave(l))
        return;
    thr_lock(&w->lock);
    w->ended = true;
    thr_unlock(&w->lock);
    writer_tell(w);
}

/* ---- the second thread ---- */

/* Waits until there is a statement's worth of rows while the first thread stores others.  false: it is not
 * needed. */
static bool writer_wait_for_second(struct writer *w)
{
    thr_lock(&w->lock);
    while (!w->over && !(w->first_busy && batcher_is_full(&w->rows)))
        thr_wait(&w->changed, &w->lock);
    bool needed = !w->over;
    thr_unlock(&w->lock);
    return needed;
}

/* NULL: the first thread was quicker. */
static struct batch *writer_take_for_second(struct writer *w)
{
    thr_lock(&w->lock);
    struct batch *taken = batcher_is_full(&w->rows) ? batcher_take(&w->rows) : NULL;
    w->second_busy = taken != NULL;
    thr_unlock(&w->lock);
    return taken;
}

/* false: the thread has been abandoned. */
static bool writer_write_second(struct writer *w, struct lease *l)
{
    struct batch *b = writer_take_for_second(w);
    if (b == NULL)
        return true;
    writer_tell(w);
    lease_enter(l);
    cycle_write_second(w->c, b);
    if (!lease_leave(l))
        return false;
    thr_lock(&w->lock);
    w->second_busy = false;
    thr_wake_all(&w->changed);
    thr_unlock(&w->lock);
    return true;
}

static void writer_second_main(struct lease *l, void *arg)
{
    struct writer *w = arg;
    if (!writer_wait_for_second(w))
        return;
    db_thread_start();
    lease_enter(l);
    bool connected = cycle_open_second(w->c);
    if (!lease_leave(l))
        return;
    while (connected && writer_wait_for_second(w))
        if (!writer_write_second(w, l))
            return;
    db_thread_stop();
}

static void writer_second_comes_late(void *arg)
{
    writer_unref(arg);
}

/* Without a thread for it the first writer does everything. */
static void writer_hire_second(struct writer *w)
{
    struct err err = ERR_INIT;
    thr_lock(&w->lock);
    w->references++;
    thr_unlock(&w->lock);
    w->second = lease_start("store 2", writer_second_main, w, writer_second_comes_late, &err);
    if (w->second == NULL)
        writer_unref(w);
}

static void writer_join_second(struct writer *w)
{
    if (w->second == NULL)
        return;
    thr_lock(&w->lock);
    w->over = true;
    thr_wake_all(&w->changed);
    thr_unlock(&w->lock);
    if (lease_end(w->second, clock_mono_ms() + WRITER_JOIN_MS, NULL))
        writer_unref(w); /* the thread's reference */
    else
        w->c->left_behind++;
    w->second = NULL;
}

/* ---- the others ---- */

UNCHECKED_LOCKS struct writer *writer_new(struct cycle *c, writer_change_fn *on_change, void *arg,
                                          struct err *err)
{
    struct writer *w = mem_zalloc(1, sizeof(*w));
    w->c = cycle_ref(c);
    w->on_change = on_change;
    w->arg = arg;
    thr_mutex_init(&w->lock);
    thr_cond_init(&w->changed);
    w->references = 2;
    w->lease = lease_start("store", writer_main, w, writer_come_late, err);
    if (w->lease != NULL) {
        if (cycle_may_have_second(c))
            writer_hire_second(w);
        return w;
    }
    w->references = 1;
    writer_unref(w);
    return NULL;
}

void writer_begin(struct writer *w)
{
    thr_lock(&w->lock);
    w->told_to_begin = true;
    thr_wake_all(&w->changed);
    thr_unlock(&w->lock);
}

static bool writer_has_room(const struct writer *w) REQUIRES(w->lock);
static bool writer_is_locked(const struct writer *w, enum writer_step step) REQUIRES(w->lock);

static bool writer_has_room(const struct writer *w)
{
    return w->relaxed || !batcher_is_overfull(&w->rows);
}

void writer_put(struct writer *w, struct batch *batch)
{
    thr_lock(&w->lock);
    bool had_room = writer_has_room(w);
    bool is_first = batcher_due_ms(&w->rows) == INT64_MAX;
    batcher_put(&w->rows, batch, clock_mono_ms());
    bool filled = had_room && !writer_has_room(w);
    int64_t rows = (int64_t)batcher_rows(&w->rows);
    /* In between, nothing is due earlier than a thread that waits knows already. */
    if (is_first || batcher_is_full(&w->rows))
        thr_wake_all(&w->changed);
    thr_unlock(&w->lock);
    if (filled)
        stream_emit(&(struct happening){.type = EVENT_QUEUE_FULL, .figures = {rows}});
}

void writer_relax(struct writer *w)
{
    thr_lock(&w->lock);
    w->relaxed = true;
    thr_wake_all(&w->changed);
    thr_unlock(&w->lock);
}

void writer_end(struct writer *w)
{
    thr_lock(&w->lock);
    w->ending = w->relaxed = true;
    thr_wake_all(&w->changed);
    thr_unlock(&w->lock);
}

static bool writer_is_locked(const struct writer *w, enum writer_step step)
{
    switch (step) {
    case WRITER_BEGUN: return w->begun;
    case WRITER_ROOM: return writer_has_room(w);
    case WRITER_ENDED: return w->ended;
    }
    return false;
}

bool writer_is(struct writer *w, enum writer_step step)
{
    thr_lock(&w->lock);
    bool is = writer_is_locked(w, step);
    thr_unlock(&w->lock);
    return is;
}

bool writer_wait(struct writer *w, enum writer_step step, int64_t until_mono_ms)
{
    thr_lock(&w->lock);
    bool in_time = true;
    while (in_time && !writer_is_locked(w, step)) {
        if (until_mono_ms == INT64_MAX)
            thr_wait(&w->changed, &w->lock);
        else
            in_time = thr_wait_until(&w->changed, &w->lock, until_mono_ms);
    }
    bool is = writer_is_locked(w, step);
    thr_unlock(&w->lock);
    return is;
}

bool writer_get_begun(struct writer *w, struct err *err)
{
    thr_lock(&w->lock);
    bool ok = w->begin_ok;
    if (!ok && err != NULL)
        *err = w->begin_err;
    thr_unlock(&w->lock);
    return ok;
}

size_t writer_rows(struct writer *w)
{
    thr_lock(&w->lock);
    size_t rows = batcher_rows(&w->rows);
    thr_unlock(&w->lock);
    return rows;
}

static void writer_salvage(void *arg)
{
    struct writer *w = arg;
    thr_lock(&w->lock);
    *w->salvaged = batcher_take(&w->rows);
    thr_unlock(&w->lock);
}

bool writer_join(struct writer *w, struct batch **ret_waiting)
{
    struct lease *l = w->lease;
    *ret_waiting = NULL;
    thr_lock(&w->lock);
    w->salvaged = ret_waiting;
    w->never = !w->told_to_begin;
    thr_wake_all(&w->changed);
    thr_unlock(&w->lock);
    bool ended;
    while (!(ended = lease_wait(l, clock_mono_ms() + WRITER_JOIN_MS))) {
        if (!writer_is(w, WRITER_ENDED) && lease_revoke(l, writer_salvage))
            break;
    }
    lease_free(l);
    if (ended)
        writer_unref(w); /* the thread's reference */
    writer_join_second(w);
    return ended;
}
