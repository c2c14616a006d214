#include "config.h"

#include "engine/cycle.h"

#include "cycle_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "engine/resume.h"

#include <inttypes.h>
#include <stdlib.h>

static void cycle_say_absent(void *arg UNUSED, uint32_t id, enum store_absence why, int poller_id)
{
    static const char *const reasons[] = {
        [STORE_ABSENT_UNKNOWN] = "there is no such device",
        [STORE_ABSENT_DISABLED] = "it is disabled; enable it in Cacti",
        [STORE_ABSENT_DELETED] = "it is deleted",
        [STORE_ABSENT_SITE] = "its site is disabled; enable that in Cacti",
    };
    if (why == STORE_ABSENT_ELSEWHERE)
        log_line(LOG_ALWAYS,
                 "WARNING: Device[%" PRIu32 "] is not polled: it belongs to poller %d; use "
                 "--poller=%d",
                 id, poller_id, poller_id);
    else
        log_line(LOG_ALWAYS, "WARNING: Device[%" PRIu32 "] is not polled: %s", id, reasons[why]);
}

static bool cycle_has_device(const struct cycle *c, uint32_t id)
{
    for (size_t i = 0; i < c->roster.count; i++)
        if (c->roster.entries[i].id == id && !c->roster.entries[i].deleted)
            return true;
    return false;
}

/* Devices that were asked for by id and are not polled are named. */
static void cycle_explain_absent(struct cycle *c, const uint32_t *ids, size_t id_count)
{
    struct err err = ERR_INIT;
    uint32_t *absent = mem_zalloc(id_count, sizeof(absent[0]));
    size_t count = 0;
    for (size_t i = 0; i < id_count; i++)
        if (!cycle_has_device(c, ids[i]))
            absent[count++] = ids[i];
    c->none_found = count == id_count;
    if (!store_explain_absent(c->store, c->config->poller_id, absent, count, cycle_say_absent, NULL,
                              &err))
        log_line(LOG_ALWAYS, "WARNING: %zu devices are not polled: %s", count, err.text);
    free(absent);
}

/* Device 0 stands for items without a device; a range of one id is how support asks for a device. */
static void cycle_explain_selection(struct cycle *c)
{
    const struct config *cf = c->config;
    if (cf->has_host_list)
        cycle_explain_absent(c, cf->host_list.ids, cf->host_list.count);
    else if (cf->has_range && cf->first == cf->last && cf->first != 0)
        cycle_explain_absent(c, &cf->first, 1);
    else if (cf->has_range && c->roster.count == 0)
        log_line(LOG_MEDIUM,
                 "NOTE: poller %d has no enabled device with an id from %" PRIu32 " to %" PRIu32,
                 cf->poller_id, cf->first, cf->last);
    else if (c->roster.count == 0)
        log_line(LOG_MEDIUM, "NOTE: poller %d has no enabled device", cf->poller_id);
}

struct selection cycle_select(const struct config *cf, bool down_first)
{
    return (struct selection){
        .poller_id = cf->poller_id,
        .has_range = cf->has_range && !cf->has_host_list,
        .first = cf->first,
        .last = cf->last,
        .ids = cf->has_host_list ? cf->host_list.ids : NULL,
        .id_count = cf->has_host_list ? cf->host_list.count : 0,
        .only_due = cf->active_profiles != 1,
        .with_reindex = !cf->ping_only,
        .down_first = down_first,
    };
}

static struct selection cycle_selection(const struct cycle *c)
{
    return cycle_select(c->config, c->down_first);
}

/* ---- slices ---- */

void cycle_slice_done(struct cycle_slice *slice)
{
    for (size_t i = 0; i < slice->count; i++)
        device_unref(slice->devices[i]);
    free(slice->devices);
    *slice = (struct cycle_slice){NULL, 0, 0};
}

/* Deleted devices are in the roster but in no slice. */
static size_t cycle_collect(const struct cycle *c, size_t size, uint32_t *ids, size_t *places,
                            size_t *next)
{
    size_t count = 0, i = *next;
    for (; i < c->roster.count && count < size; i++) {
        if (c->roster.entries[i].deleted)
            continue;
        ids[count] = c->roster.entries[i].id;
        places[count++] = i;
    }
    while (i < c->roster.count && c->roster.entries[i].deleted)
        i++;
    *next = i;
    return count;
}

static bool cycle_read_slice(struct cycle *c, struct store *s, size_t at, size_t size,
                             struct cycle_slice *ret, struct err *err)
{
    struct selection sel = cycle_selection(c);
    uint32_t *ids = mem_zalloc(size, sizeof(ids[0]));
    size_t *places = mem_zalloc(size, sizeof(places[0]));
    *ret = (struct cycle_slice){.next = at};
    ret->count = cycle_collect(c, size, ids, places, &ret->next);
    ret->devices = mem_zalloc(ret->count + 1, sizeof(ret->devices[0]));
    bool ok = ret->count == 0 || store_load_devices(s, &sel, ids, ret->count, ret->devices, err);
    for (size_t i = 0; ok && i < ret->count; i++)
        if (ret->devices[i] != NULL)
            ret->devices[i]->place = places[i];
    free(ids);
    free(places);
    if (!ok)
        cycle_slice_done(ret);
    return ok;
}

bool cycle_load_slice(struct cycle *c, struct store *reader, size_t at, size_t size,
                      struct cycle_slice *ret, struct err *err)
{
    if (reader != NULL)
        return cycle_read_slice(c, reader, at, size, ret, err);
    thr_lock(&c->store_lock);
    store_set_deadline(c->store, c->budget.poll_until);
    bool ok = cycle_read_slice(c, c->store, at, size, ret, err);
    cycle_allow_storing(c, c->store);
    thr_unlock(&c->store_lock);
    return ok;
}

/* Few devices, so that the first question leaves early; but the rest of a small site is not worth a connection. */
enum { CYCLE_FIRST_DEVICES = 64, CYCLE_SMALL_SITE = 128 };

static size_t cycle_first_size(const struct cycle *c)
{
    return c->roster.count <= CYCLE_SMALL_SITE ? CYCLE_SMALL_SITE : CYCLE_FIRST_DEVICES;
}

bool cycle_load_roster(struct cycle *c, struct err *err)
{
    struct selection sel = cycle_selection(c);
    if (!store_load_roster(c->store, &sel, &c->roster, err) ||
        !store_load_widths(c->store, &c->output_chars, &c->boost_chars, err))
        return false;
    resume_skip(&c->resumed, &c->roster);
    stream_emit(&(struct happening){
        .type = EVENT_CYCLE_ROSTER,
        .figures = {(int64_t)c->roster.count, clock_mono_us() - c->started_mono_us},
    });
    if (c->uplink != NULL) /* results go to the main server */
        uplink_widths(c->uplink, &c->output_chars, &c->boost_chars);
    c->advance = mem_zalloc(c->roster.count + 1, sizeof(c->advance[0]));
    if (!cycle_read_slice(c, c->store, 0, cycle_first_size(c), &c->first, err))
        return false;
    c->loaded = true;
    if (c->resumed.count == 0)
        cycle_explain_selection(c);
    return true;
}
