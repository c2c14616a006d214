#include "config.h"

#include "engine/loader.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/thr.h"
#include "core/lease.h"

#include <inttypes.h>
#include <stdlib.h>

enum { LOADER_STEPS_SAID = 4 };

/* Steps of items that are not multiples of the interval. */
struct odd_steps {
    int steps[LOADER_STEPS_SAID + 1];
    size_t count;
    size_t items; /* that have one */
};

struct loader {
    struct cycle *c; /* a reference */
    struct services *services;
    loader_change_fn *on_change;
    void *arg;
    struct lease *lease;
    struct store *reader; /* the thread's; NULL: the cycle's is used; loader_stop(): any */

    struct thr_mutex lock; /* all that follows */
    pthread_cond_t changed;
    int references GUARDED;               /* the thread's and the driver's */
    bool begun GUARDED, stopping GUARDED; /* stopping: also before it has begun */
    bool over GUARDED;                    /* nothing more is read */
    bool failed GUARDED;
    struct err why GUARDED;
    struct device **ready GUARDED; /* ready[first] to ready[count - 1] */
    size_t first GUARDED, count GUARDED, capacity GUARDED;
    size_t items_ahead GUARDED;
    size_t next GUARDED; /* in the roster: not read */
    size_t devices_read GUARDED;
    struct loader_scripts scripts GUARDED;
    struct odd_steps odd GUARDED;
    bool icmp_said GUARDED;
};

UNCHECKED_LOCKS void loader_unref(struct loader *l)
{
    thr_lock(&l->lock);
    bool last = --l->references == 0;
    thr_unlock(&l->lock);
    if (!last)
        return;
    for (size_t i = l->first; i < l->count; i++)
        device_unref(l->ready[i]);
    free(l->ready);
    store_close(l->reader);
    thr_cond_done(&l->changed);
    thr_mutex_done(&l->lock);
    cycle_unref(l->c);
    free(l);
}

static void loader_come_late(void *arg)
{
    loader_unref(arg);
}

/* ---- what is known of the devices ---- */

static bool reindex_asks_server(const struct reindex_row *row)
{
    return row->action == REINDEX_SERVER || row->action == REINDEX_SERVER_COUNT;
}

static void loader_note_scripts(struct loader *l, const struct device *d) REQUIRES(l->lock);
static void loader_note_steps(struct loader *l, const struct device *d) REQUIRES(l->lock);
static void loader_note(struct loader *l, const struct device *d) REQUIRES(l->lock);

static void loader_note_scripts(struct loader *l, const struct device *d)
{
    size_t servers = 0, at_once = d->device_threads < 1 ? 1 : (size_t)d->device_threads;
    for (size_t i = 0; i < d->item_count; i++) {
        servers += d->items[i].action == ITEM_SERVER;
        l->scripts.asks += item_is_script(&d->items[i]);
    }
    for (size_t i = 0; i < d->reindex_count; i++) {
        servers += reindex_asks_server(&d->reindex[i]);
        l->scripts.asks += reindex_is_script(&d->reindex[i]);
    }
    l->scripts.servers_at_once += servers < at_once ? servers : at_once;
}

static void loader_note_steps(struct loader *l, const struct device *d)
{
    struct odd_steps *odd = &l->odd;
    for (size_t i = 0; i < d->item_count; i++) {
        if (item_step_fits(&d->items[i], l->c->config->poller_interval_s))
            continue;
        odd->items++;
        size_t at = 0;
        while (at < odd->count && odd->steps[at] != d->items[i].step_s)
            at++;
        if (at == odd->count && odd->count <= LOADER_STEPS_SAID)
            odd->steps[odd->count++] = d->items[i].step_s;
    }
}

static void loader_note(struct loader *l, const struct device *d)
{
    l->devices_read++;
    l->items_ahead += d->item_count;
    l->c->items_due += d->item_count;
    if (!l->icmp_said)
        l->icmp_said = services_say_icmp(l->services, d);
    if (l->c->config->ping_only)
        return;
    loader_note_scripts(l, d);
    if (l->c->config->active_profiles != 1)
        loader_note_steps(l, d);
}

static void loader_say_odd_steps(const struct loader *l, const struct odd_steps *odd)
{
    struct buf list = BUF_INIT;
    if (odd->items == 0)
        return;
    for (size_t i = 0; i < odd->count && i < LOADER_STEPS_SAID; i++)
        buf_printf(&list, "%s%d", i == 0 ? "" : ", ", odd->steps[i]);
    log_line(LOG_ALWAYS,
             "NOTE: %zu items have a step (%s%s s) that is not a multiple of the poller interval "
             "of %d s; "
             "each is polled by the first cycle at or after it is due",
             odd->items, buf_str(&list), odd->count > LOADER_STEPS_SAID ? ", ..." : "",
             l->c->config->poller_interval_s);
    buf_done(&list);
}

/* All of the roster has been read. */
static void loader_say_read(struct loader *l)
{
    thr_lock(&l->lock);
    struct odd_steps odd = l->odd;
    thr_unlock(&l->lock);
    loader_say_odd_steps(l, &odd);
    stream_emit(&(struct happening){
        .type = EVENT_CYCLE_LOADED,
        .figures = {(int64_t)l->c->roster.count, (int64_t)l->c->items_due,
                    clock_mono_us() - l->c->started_mono_us},
    });
}

/* ---- slices ---- */

static bool loader_is_through(const struct loader *l) REQUIRES(l->lock);
static void loader_publish(struct loader *l, struct cycle_slice *slice) REQUIRES(l->lock);
static size_t loader_next_size(const struct loader *l) REQUIRES(l->lock);

static bool loader_is_through(const struct loader *l)
{
    return l->next >= l->c->roster.count;
}

/* Takes the slice; one that comes after the stop is dropped with the rest. */
static void loader_publish(struct loader *l, struct cycle_slice *slice)
{
    if (!l->stopping) {
        if (l->first == l->count)
            l->first = l->count = 0;
        for (size_t i = 0; i < slice->count; i++) {
            if (slice->devices[i] == NULL)
                continue; /* gone since the roster was read */
            loader_note(l, slice->devices[i]);
            l->ready =
                mem_grow(l->ready, l->count, &l->capacity, LOADER_DEVICES_MAX, sizeof(l->ready[0]));
            l->ready[l->count++] = slice->devices[i];
            slice->devices[i] = NULL;
        }
        l->next = slice->next;
        l->over = loader_is_through(l);
    }
    cycle_slice_done(slice);
}

/* As many devices as have about that many items, if they are like those before. */
static size_t loader_next_size(const struct loader *l)
{
    size_t items = l->c->items_due, devices = l->devices_read;
    size_t size = items == 0 ? LOADER_DEVICES_MAX : LOADER_ITEMS_AHEAD * devices / items;
    if (size < 1)
        return 1;
    return size > LOADER_DEVICES_MAX ? LOADER_DEVICES_MAX : size;
}

/* ---- the thread ---- */

/* How many devices the next slice shall have; 0: there is none. */
static size_t loader_wait_for_need(struct loader *l, size_t *ret_next)
{
    thr_lock(&l->lock);
    while (!l->stopping && (!l->begun || (!l->over && l->items_ahead >= LOADER_ITEMS_AHEAD)))
        thr_wait(&l->changed, &l->lock);
    size_t size = l->stopping || l->over ? 0 : loader_next_size(l);
    *ret_next = l->next;
    thr_unlock(&l->lock);
    return size;
}

static void loader_set_reader(struct loader *l, struct store *s)
{
    thr_lock(&l->lock);
    l->reader = s;
    if (s != NULL && l->stopping)
        store_hurry(s, 0, 0);
    thr_unlock(&l->lock);
}

/* Without a second connection at once the first one serves, so this does not wait for one. */
static void loader_connect(struct loader *l)
{
    const struct cycle *c = l->c;
    struct err err = ERR_INIT;
    if (c->config->db_connections < 2)
        return;
    struct store *s = cycle_new_store(c, c->budget.poll_until);
    store_set_read_only(s, true);
    loader_set_reader(l, s); /* so that loader_stop() ends the wait */
    if (store_reach(s, &err)) {
        store_set_deadline(s, c->budget.poll_until);
        loader_set_reader(l, s);
        return;
    }
    loader_set_reader(l, NULL);
    store_close(s);
    log_line(LOG_MEDIUM,
             "NOTE: devices are read by the connection that stores, because there is no second "
             "one: %s",
             err.text);
}

static void loader_fail(struct loader *l, const struct err *why)
{
    thr_lock(&l->lock);
    if (!l->stopping) {
        l->failed = true;
        l->why = *why;
    }
    l->over = true;
    thr_unlock(&l->lock);
}

static bool loader_read(struct loader *l, size_t at, size_t size)
{
    struct err err = ERR_INIT;
    struct cycle_slice slice;
    if (!cycle_load_slice(l->c, l->reader, at, size, &slice, &err)) {
        loader_fail(l, &err);
        return false;
    }
    thr_lock(&l->lock);
    loader_publish(l, &slice);
    bool over = l->over;
    thr_unlock(&l->lock);
    if (over)
        loader_say_read(l);
    return !over;
}

static void loader_tell(struct loader *l)
{
    thr_lock(&l->lock);
    thr_wake_all(&l->changed);
    thr_unlock(&l->lock);
    l->on_change(l->arg);
}

static void loader_main(struct lease *lease, void *arg)
{
    struct loader *l = arg;
    bool more = true, connected = false;
    size_t at, size;
    db_thread_start();
    while (more && (size = loader_wait_for_need(l, &at)) > 0) {
        lease_enter(lease);
        if (!connected)
            loader_connect(l);
        connected = true;
        more = loader_read(l, at, size);
        if (!lease_leave(lease))
            return;
        loader_tell(l);
    }
    db_thread_stop();
}

/* ---- the others ---- */

UNCHECKED_LOCKS struct loader *loader_new(struct cycle *c, struct services *services,
                                          loader_change_fn *on_change, void *arg, struct err *err)
{
    struct loader *l = mem_zalloc(1, sizeof(*l));
    l->c = cycle_ref(c);
    l->services = services;
    l->on_change = on_change;
    l->arg = arg;
    thr_mutex_init(&l->lock);
    thr_cond_init(&l->changed);
    l->references = 2;
    l->lease = lease_start("load", loader_main, l, loader_come_late, err);
    if (l->lease != NULL)
        return l;
    l->references = 1;
    loader_unref(l);
    return NULL;
}

void loader_begin(struct loader *l)
{
    thr_lock(&l->lock);
    loader_publish(l, &l->c->first);
    l->begun = true;
    bool over = l->over;
    thr_wake_all(&l->changed);
    thr_unlock(&l->lock);
    if (over)
        loader_say_read(l);
}

static enum loader_answer loader_take_locked(struct loader *l, const struct device **ret)
    REQUIRES(l->lock);

static enum loader_answer loader_take_locked(struct loader *l, const struct device **ret)
{
    if (l->stopping || (l->first == l->count && l->over))
        return LOADER_OVER;
    if (l->first == l->count)
        return LOADER_LATER;
    struct device *d = l->ready[l->first++];
    bool enough = l->items_ahead >= LOADER_ITEMS_AHEAD;
    l->items_ahead -= d->item_count;
    if (enough && l->items_ahead < LOADER_ITEMS_AHEAD && !l->over)
        thr_wake_all(&l->changed);
    *ret = d;
    return LOADER_DEVICE;
}

enum loader_answer loader_take(struct loader *l, const struct device **ret)
{
    thr_lock(&l->lock);
    enum loader_answer answer = loader_take_locked(l, ret);
    thr_unlock(&l->lock);
    return answer;
}

enum loader_answer loader_wait(struct loader *l, const struct device **ret)
{
    enum loader_answer answer;
    thr_lock(&l->lock);
    while ((answer = loader_take_locked(l, ret)) == LOADER_LATER)
        thr_wait(&l->changed, &l->lock);
    thr_unlock(&l->lock);
    return answer;
}

struct loader_scripts loader_get_scripts(struct loader *l)
{
    thr_lock(&l->lock);
    struct loader_scripts scripts = l->scripts;
    thr_unlock(&l->lock);
    return scripts;
}

void loader_stop(struct loader *l)
{
    int64_t now = clock_mono_ms();
    thr_lock(&l->lock);
    l->stopping = true;
    if (l->reader != NULL)
        store_hurry(l->reader, now, now); /* what it reads now would not be polled */
    thr_wake_all(&l->changed);
    thr_unlock(&l->lock);
}

bool loader_end(struct loader *l, int64_t until_mono_ms)
{
    loader_stop(l);
    bool ended = lease_end(l->lease, until_mono_ms, NULL);
    if (ended)
        loader_unref(l); /* the thread's reference */
    return ended;
}

static size_t loader_drop_unread(struct loader *l, size_t from, bool each_is_said)
{
    size_t count = 0;
    for (size_t i = from; i < l->c->roster.count; i++) {
        const struct roster_entry *entry = &l->c->roster.entries[i];
        if (entry->deleted)
            continue;
        cycle_drop_unread(l->c, entry->id, each_is_said);
        count++;
    }
    return count;
}

/* NULL: no more wait. */
static struct device *loader_take_rest(struct loader *l)
{
    thr_lock(&l->lock);
    struct device *d = l->first < l->count ? l->ready[l->first++] : NULL;
    thr_unlock(&l->lock);
    return d;
}

void loader_drop_rest(struct loader *l)
{
    struct device *d;
    thr_lock(&l->lock);
    size_t next = l->next;
    bool begun = l->begun, failed = l->failed;
    struct err why = l->why;
    thr_unlock(&l->lock);
    if (!begun)
        return; /* the roster may be the writer's still */
    while ((d = loader_take_rest(l)) != NULL) {
        cycle_drop(l->c, d, false);
        device_unref(d);
    }
    size_t unread = loader_drop_unread(l, next, !failed);
    if (failed)
        log_line(LOG_ALWAYS, "ERROR: %zu devices are not polled: %s", unread, why.text);
}
