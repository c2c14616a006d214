#include "config.h"

#include "app/verify.h"

#include "app/look.h"
#include "app/run.h"
#include "base/jsonout.h"
#include "base/mem.h"
#include "base/num.h"
#include "drivers/store.h"
#include "model/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { VERIFY_WAYS = CONFIG_ASYNC + 1, VERIFY_ROUNDS = 3 }; /* a way is an enum config_driver */

struct verify {
    struct config *config;
    struct look *looks[VERIFY_ROUNDS * VERIFY_WAYS]; /* NULL: not taken */
    size_t ways, rounds;
    struct id_list open; /* devices that are polled again */
    size_t devices, items, same, moved, differing, unfinished;
    size_t devices_moved, devices_differing; /* up or down, as their items may be the same */
    size_t stored, unlike_stored; /* rows of the last cycle, and those that had a value */
    struct buf out;
};

static const char *verify_way(size_t way)
{
    return config_driver_text((enum config_driver)way);
}

/* ---- polling ---- */

static const struct look_device *verify_device(const struct verify *v, size_t round, size_t way,
                                               uint32_t id)
{
    return look_find(v->looks[round * v->ways + way], id);
}

static bool verify_poll(struct verify *v, struct run *r, struct err *err)
{
    struct config *c = v->config;
    for (size_t w = 0; w < v->ways; w++) {
        struct look *l = look_new(false, LOG_NONE);
        c->event_loop = w != CONFIG_LEGACY;
        c->async_snmp = w == CONFIG_ASYNC;
        v->looks[v->rounds * v->ways + w] = l;
        if (!run_look(r, l, err))
            return false;
        look_sort(l);
        if (run_driver(r) != (enum config_driver)w)
            return err_set(err, ERR_OS,
                           "the event loop cannot be started, so that nothing can be compared with "
                           "it (%s); the line above says why",
                           verify_way(w));
        if (run_is_left_behind(r)) {
            *err = (struct err)ERR_INIT;
            return err_set(err, ERR_TEMPORARY,
                           "a call does not return, so that nothing more can be polled (%s)",
                           verify_way(w));
        }
        if (run_is_stopped(r))
            return err_set(err, ERR_TEMPORARY, "stopped by a signal");
    }
    v->rounds++;
    return true;
}

static void verify_open(struct verify *v, uint32_t id)
{
    v->open.ids = mem_realloc(v->open.ids, v->open.count + 1, sizeof(v->open.ids[0]));
    v->open.ids[v->open.count++] = id;
}

static bool verify_same_item(const struct look_item *a, const struct look_device *other)
{
    const struct look_item *b = look_find_item(other, a->local_data_id, a->rrd_name);
    return b != NULL && strcmp(a->value, b->value) == 0;
}

static bool verify_same_device(const struct look_device *a, const struct look_device *b)
{
    if (b == NULL || a->item_count != b->item_count || a->result.down != b->result.down)
        return false;
    for (size_t i = 0; i < a->item_count; i++)
        if (!verify_same_item(&a->items[i], b))
            return false;
    return true;
}

/* The devices that any way has seen. */
static void verify_collect(const struct verify *v, struct id_list *ret)
{
    size_t count = 0;
    for (size_t w = 0; w < v->ways; w++)
        count += look_count(v->looks[w]);
    ret->ids = mem_zalloc(count + 1, sizeof(ret->ids[0]));
    for (size_t w = 0; w < v->ways; w++)
        for (size_t i = 0; i < look_count(v->looks[w]); i++)
            ret->ids[ret->count++] = look_at(v->looks[w], i)->id;
    qsort(ret->ids, ret->count, sizeof(ret->ids[0]), num_compare_u32);
    size_t kept = 0;
    for (size_t i = 0; i < ret->count; i++)
        if (kept == 0 || ret->ids[kept - 1] != ret->ids[i])
            ret->ids[kept++] = ret->ids[i];
    ret->count = kept;
}

static void verify_find_open(struct verify *v, const struct id_list *all)
{
    for (size_t i = 0; i < all->count; i++) {
        bool same = true;
        const struct look_device *first = verify_device(v, 0, 0, all->ids[i]);
        for (size_t w = 1; w < v->ways && same; w++)
            same = first != NULL && verify_same_device(first, verify_device(v, 0, w, all->ids[i]));
        if (!same)
            verify_open(v, all->ids[i]);
    }
}

/* ---- judging ---- */

/* The items of a device that any way has a row for, as keys; to be freed. */
static struct look_item *verify_items(const struct verify *v, uint32_t id, size_t *ret_count)
{
    struct look_item *keys = NULL;
    size_t count = 0, cap = 0;
    for (size_t w = 0; w < v->ways; w++) {
        const struct look_device *d = verify_device(v, 0, w, id);
        for (size_t i = 0; d != NULL && i < d->item_count; i++) {
            bool known = false;
            for (size_t before = 0; before < w && !known; before++) {
                const struct look_device *b = verify_device(v, 0, before, id);
                known = b != NULL &&
                        look_find_item(b, d->items[i].local_data_id, d->items[i].rrd_name) != NULL;
            }
            if (known)
                continue;
            keys = mem_grow(keys, count, &cap, 20, sizeof(keys[0]));
            keys[count++] = d->items[i];
        }
    }
    *ret_count = count;
    return keys;
}

/* Of devices that were polled once alone, the first round is all there is. */
static size_t verify_values(const struct verify *v, uint32_t id, const struct look_item *key,
                            const char **values)
{
    size_t rounds = id_list_contains(&v->open, id) ? v->rounds : 1;
    for (size_t r = 0; r < rounds; r++) {
        for (size_t w = 0; w < v->ways; w++) {
            const struct look_device *d = verify_device(v, r, w, id);
            const struct look_item *it =
                d == NULL ? NULL : look_find_item(d, key->local_data_id, key->rrd_name);
            values[r * v->ways + w] = it == NULL ? NULL : it->value;
        }
    }
    return rounds;
}

static const char *verify_why(const struct verify *v, uint32_t id, const struct look_item *key,
                              size_t way)
{
    const struct look_device *d = verify_device(v, 0, way, id);
    const struct look_item *it =
        d == NULL ? NULL : look_find_item(d, key->local_data_id, key->rrd_name);
    if (d == NULL)
        return "not polled";
    if (it != NULL)
        return it->why;
    return d->result.down ? "the device does not pass its availability check" : "no row";
}

static void verify_say_item(struct verify *v, uint32_t id, const struct look_item *key,
                            const char *const *values, const char *verdict)
{
    if (v->config->format == FORMAT_JSON) {
        jsonout_open(&v->out, NULL, '{');
        jsonout_unsigned(&v->out, "device", id);
        jsonout_unsigned(&v->out, "local_data_id", key->local_data_id);
        jsonout_text(&v->out, "rrd_name", key->rrd_name);
        jsonout_text(&v->out, "verdict", verdict);
        for (size_t w = 0; w < v->ways; w++)
            jsonout_text(&v->out, verify_way(w), values[w]);
        jsonout_close(&v->out, '}');
        return;
    }
    buf_printf(&v->out, "Device %" PRIu32 " DS %" PRIu32 " %s %s:", id, key->local_data_id,
               key->rrd_name, verdict);
    for (size_t w = 0; w < v->ways; w++) {
        const char *why = verify_why(v, id, key, w);
        buf_printf(&v->out, "%s %s %s%s%s%s%s", w == 0 ? "" : ",", verify_way(w),
                   values[w] == NULL ? "" : "'", values[w] == NULL ? why : values[w],
                   values[w] == NULL ? "" : "'", values[w] == NULL || why == NULL ? "" : ", ",
                   values[w] == NULL || why == NULL ? "" : why);
    }
    buf_putc(&v->out, '\n');
}

static void verify_item(struct verify *v, uint32_t id, const struct look_item *key)
{
    const char *values[VERIFY_ROUNDS * VERIFY_WAYS];
    size_t rounds = verify_values(v, id, key, values);
    v->items++;
    switch (verdict_of(values, rounds, v->ways)) {
    case VERDICT_SAME: v->same++; break;
    case VERDICT_MOVED: v->moved++; break;
    case VERDICT_DIFFERS:
        v->differing++;
        verify_say_item(v, id, key, values, "differs");
        break;
    }
}

static bool verify_is_finished(const struct verify *v, uint32_t id)
{
    for (size_t w = 0; w < v->ways; w++) {
        const struct look_device *d = verify_device(v, 0, w, id);
        if (d != NULL && !(d->finished && d->result.complete))
            return false;
    }
    return true;
}

static void verify_say_device(struct verify *v, uint32_t id, const char *const *states)
{
    if (v->config->format == FORMAT_JSON) {
        jsonout_open(&v->out, NULL, '{');
        jsonout_unsigned(&v->out, "device", id);
        jsonout_text(&v->out, "verdict", "device differs");
        for (size_t w = 0; w < v->ways; w++)
            jsonout_text(&v->out, verify_way(w), states[w]);
        jsonout_close(&v->out, '}');
        return;
    }
    buf_printf(&v->out, "Device %" PRIu32 " differs:", id);
    for (size_t w = 0; w < v->ways; w++) {
        const struct look_device *d = verify_device(v, 0, w, id);
        const char *why = d != NULL && d->result.down ? d->result.host.status.last_error : NULL;
        buf_printf(&v->out, "%s %s %s%s%s", w == 0 ? "" : ",", verify_way(w),
                   states[w] == NULL ? "not polled" : states[w], why == NULL ? "" : ", ",
                   why == NULL ? "" : why);
    }
    buf_putc(&v->out, '\n');
}

/* Whether it is up or down is judged as an item's text is: of a device without items it is all there is. */
static void verify_device_itself(struct verify *v, uint32_t id)
{
    const char *states[VERIFY_ROUNDS * VERIFY_WAYS];
    size_t rounds = id_list_contains(&v->open, id) ? v->rounds : 1;
    for (size_t r = 0; r < rounds; r++) {
        for (size_t w = 0; w < v->ways; w++) {
            const struct look_device *d = verify_device(v, r, w, id);
            states[r * v->ways + w] = d == NULL ? NULL : d->result.down ? "down" : "up";
        }
    }
    switch (verdict_of(states, rounds, v->ways)) {
    case VERDICT_SAME: break;
    case VERDICT_MOVED: v->devices_moved++; break;
    case VERDICT_DIFFERS:
        v->devices_differing++;
        verify_say_device(v, id, states);
        break;
    }
}

static void verify_judge(struct verify *v, uint32_t id)
{
    size_t count;
    struct look_item *keys = verify_items(v, id, &count);
    v->devices++;
    if (verify_is_finished(v, id))
        verify_device_itself(v, id);
    else
        v->unfinished++;
    for (size_t i = 0; i < count; i++)
        verify_item(v, id, &keys[i]);
    free(keys);
}

/* ---- what the last cycle has stored ---- */

struct verify_stored {
    uint32_t local_data_id;
    uint32_t device;
    const struct look_item *now;
    bool seen, had_value;
    char *text;
};

struct verify_rows {
    struct verify_stored *rows;
    size_t count;
};

static int verify_compare_stored(const void *a, const void *b)
{
    const struct verify_stored *x = a, *y = b;
    int order = num_compare_u32(&x->local_data_id, &y->local_data_id);
    return order != 0 ? order : strcmp(x->now->rrd_name, y->now->rrd_name);
}

/* The newest of an item comes last. */
static void verify_on_output(void *arg, const struct output_row *row)
{
    struct verify_rows *all = arg;
    const struct look_item name = {.rrd_name = row->rrd_name};
    const struct verify_stored key = {.local_data_id = row->local_data_id, .now = &name};
    struct verify_stored *s =
        bsearch(&key, all->rows, all->count, sizeof(key), verify_compare_stored);
    if (s == NULL)
        return;
    s->seen = true;
    s->had_value = strcmp(row->output, "U") != 0;
    free(s->text);
    s->text = mem_strdup(row->output);
}

static void verify_say_stored(struct verify *v, const struct verify_stored *s)
{
    if (v->config->format == FORMAT_JSON) {
        jsonout_open(&v->out, NULL, '{');
        jsonout_unsigned(&v->out, "device", s->device);
        jsonout_unsigned(&v->out, "local_data_id", s->local_data_id);
        jsonout_text(&v->out, "rrd_name", s->now->rrd_name);
        jsonout_text(&v->out, "verdict", "lost since the last cycle");
        jsonout_text(&v->out, "stored", s->text);
        jsonout_close(&v->out, '}');
        return;
    }
    buf_printf(&v->out,
               "Device %" PRIu32 " DS %" PRIu32
               " %s is U now (%s), and the last cycle has stored '%s'\n",
               s->device, s->local_data_id, s->now->rrd_name, s->now->why, s->text);
}

static bool verify_against_stored(struct verify *v, struct run *r, struct err *err)
{
    struct verify_rows all = {NULL, 0};
    size_t cap = 0;
    const struct look *l = v->looks[0];
    for (size_t i = 0; i < look_count(l); i++) {
        const struct look_device *d = look_at(l, i);
        for (size_t k = 0; k < d->item_count; k++) {
            all.rows = mem_grow(all.rows, all.count, &cap, 64, sizeof(all.rows[0]));
            all.rows[all.count++] =
                (struct verify_stored){d->items[k].local_data_id, d->id, &d->items[k], 0, 0, NULL};
        }
    }
    uint32_t *ids = mem_zalloc(all.count + 1, sizeof(ids[0]));
    size_t id_count = 0;
    if (all.count > 0)
        qsort(all.rows, all.count, sizeof(all.rows[0]), verify_compare_stored);
    for (size_t i = 0; i < all.count; i++)
        if (i == 0 || all.rows[i].local_data_id != all.rows[i - 1].local_data_id)
            ids[id_count++] = all.rows[i].local_data_id;
    bool ok = all.count == 0 ||
              store_load_outputs(run_store(r), ids, id_count, verify_on_output, &all, err);
    for (size_t i = 0; i < all.count; i++) {
        struct verify_stored *s = &all.rows[i];
        v->stored += s->seen;
        if (s->seen && s->had_value && s->now->reason != UNKNOWN_NOT) {
            v->unlike_stored++;
            verify_say_stored(v, s);
        }
        free(s->text);
    }
    free(ids);
    free(all.rows);
    return ok;
}

/* ---- the command ---- */

static void verify_say_sum(struct verify *v)
{
    struct buf ways = BUF_INIT;
    for (size_t w = 0; w < v->ways; w++)
        buf_printf(&ways, "%s%s", w == 0 ? "" : ", ", verify_way(w));
    if (v->config->format == FORMAT_JSON) {
        jsonout_close(&v->out, ']');
        jsonout_text(&v->out, "ways", buf_str(&ways));
        jsonout_unsigned(&v->out, "devices", v->devices);
        jsonout_unsigned(&v->out, "items", v->items);
        jsonout_unsigned(&v->out, "same", v->same);
        jsonout_unsigned(&v->out, "moved", v->moved);
        jsonout_unsigned(&v->out, "differ", v->differing);
        jsonout_unsigned(&v->out, "devices_moved", v->devices_moved);
        jsonout_unsigned(&v->out, "devices_differ", v->devices_differing);
        jsonout_unsigned(&v->out, "unfinished_devices", v->unfinished);
        jsonout_unsigned(&v->out, "stored_by_last_cycle", v->stored);
        jsonout_unsigned(&v->out, "lost_since_last_cycle", v->unlike_stored);
        jsonout_close(&v->out, '}');
        buf_putc(&v->out, '\n');
    } else {
        buf_printf(&v->out,
                   "%zu devices, %zu items by %s: %zu the same, %zu not compared because their "
                   "values move, %zu differ\n",
                   v->devices, v->items, buf_str(&ways), v->same, v->moved, v->differing);
        if (v->devices_differing > 0)
            buf_printf(&v->out, "%zu devices are up one way and down another\n",
                       v->devices_differing);
        if (v->devices_moved > 0)
            buf_printf(&v->out, "%zu devices were up at one time and down at another\n",
                       v->devices_moved);
        if (v->unfinished > 0)
            buf_printf(&v->out, "%zu devices were not polled to their end\n", v->unfinished);
        buf_printf(&v->out,
                   "%zu items were found in poller_output as the last cycle has stored them; %zu "
                   "of these had a value and are U now\n",
                   v->stored, v->unlike_stored);
        if (v->ways < VERIFY_WAYS)
            buf_puts(&v->out, "This build has no event loop: nothing was compared with it\n");
    }
    buf_done(&ways);
}

static int verify_status(const struct verify *v)
{
    if (v->differing > 0 || v->devices_differing > 0 || v->unlike_stored > 0)
        return EX_DATAERR;
    if (v->unfinished > 0)
        return EX_TEMPFAIL;
    return v->devices == 0 ? EX_NOINPUT : EX_OK;
}

static bool verify_all(struct verify *v, struct run *r, struct err *err)
{
    struct id_list all = {NULL, 0};
    bool ok = verify_poll(v, r, err);
    if (ok) {
        verify_collect(v, &all);
        verify_find_open(v, &all);
        v->config->has_host_list = true;
        v->config->host_list = v->open;
    }
    while (ok && v->open.count > 0 && v->rounds < VERIFY_ROUNDS)
        ok = verify_poll(v, r, err);
    if (ok && v->config->format == FORMAT_JSON) {
        jsonout_open(&v->out, NULL, '{');
        jsonout_open(&v->out, "differences", '[');
    }
    for (size_t i = 0; ok && i < all.count; i++)
        verify_judge(v, all.ids[i]);
    free(all.ids);
    return ok && verify_against_stored(v, r, err);
}

static void verify_work(struct run *r, void *arg)
{
    struct err err = ERR_INIT;
    struct verify v = {.config = arg, .ways = VERIFY_WAYS};
    struct config before = *v.config;
#ifndef HAVE_LIBEVENT
    v.ways = 1;
#endif
    if (verify_all(&v, r, &err)) {
        verify_say_sum(&v);
        fwrite(buf_str(&v.out), 1, v.out.len, stdout);
        run_set_status(r, verify_status(&v));
    } else {
        run_set_status(r, app_fail(&err));
    }
    if (run_is_left_behind(r))
        return;
    for (size_t i = 0; i < VERIFY_ROUNDS * VERIFY_WAYS; i++)
        look_free(v.looks[i]);
    buf_done(&v.out);
    free(v.open.ids);
    *v.config = before;
}

struct app_end verify_run(struct config *c, const struct ping_sockets *sockets,
                          int64_t started_mono_us)
{
    return run_command(c, sockets, started_mono_us, verify_work, c);
}
