#include "config.h"

#include "app/look.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/thr.h"
#include "engine/witness.h"
#include "model/record.h"

#include <stdlib.h>
#include <string.h>

struct look {
    bool with_story;
    enum log_level level;
    struct thr_mutex lock; /* for the list; a device belongs to the thread that runs it */
    struct look_device **devices;
    size_t count, cap;
    struct look_device **places; /* by the place in the cycle's roster */
    size_t place_cap;
    struct devrun_watcher watcher;
};

/* ---- the list ---- */

static struct look_device *look_of(struct look *l, const struct device *device)
{
    thr_lock(&l->lock);
    struct look_device *d = l->places[device->place];
    thr_unlock(&l->lock);
    return d;
}

static void look_place(struct look *l, size_t place, struct look_device *d)
{
    size_t before = l->place_cap;
    while (l->place_cap <= place)
        l->place_cap = l->place_cap == 0 ? 64 : 2 * l->place_cap;
    if (l->place_cap > before)
        l->places = mem_realloc(l->places, l->place_cap, sizeof(struct look_device *));
    l->places[place] = d;
}

static struct look_device *look_add(struct look *l, const struct device *device)
{
    struct look_device *d = mem_zalloc(1, sizeof(*d));
    d->id = device->id;
    d->hostname = arena_strdup(&d->memory, device->snmp.hostname);
    d->snmp_version = device->snmp.version;
    d->snmp_port = device->snmp.port;
    d->availability_method = device->availability_method;
    thr_lock(&l->lock);
    l->devices = mem_grow(l->devices, l->count, &l->cap, 16, sizeof(struct look_device *));
    l->devices[l->count++] = d;
    look_place(l, device->place, d);
    thr_unlock(&l->lock);
    return d;
}

static void look_free_device(struct look_device *d)
{
    free(d->asks);
    free(d->items);
    free(d->queries);
    free(d->lines);
    arena_done(&d->memory);
    free(d);
}

/* ---- what goes in ---- */

static struct look_ask *look_find_ask(struct look_device *d, uint32_t id)
{
    for (size_t i = d->ask_count; i > 0; i--)
        if (d->asks[i - 1].id == id)
            return &d->asks[i - 1];
    return NULL;
}

static void look_take_snmp(struct look_device *d, struct look_ask *ask, const struct snmp_reply *r)
{
    ask->failed = r->outcome != SNMP_ANSWERED || r->error_status != SNMP_ERROR_NONE;
    ask->outcome = record_word(RECORD_SNMP_OUTCOMES, (int)r->outcome);
    ask->elapsed_us = r->elapsed_us;
    ask->traffic = r->traffic;
    if (r->outcome != SNMP_ANSWERED && r->detail != NULL)
        ask->detail = arena_strdup(&d->memory, r->detail);
    if (r->outcome != SNMP_ANSWERED || r->error_status == SNMP_ERROR_NONE)
        return;
    struct buf text = BUF_INIT;
    buf_printf(&text, "error status %ld at object %ld", r->error_status, r->error_index);
    ask->detail = arena_strdup(&d->memory, buf_str(&text));
    buf_done(&text);
}

static void look_take_script(struct look_device *d, struct look_ask *ask,
                             const struct script_reply *r)
{
    ask->failed = r->outcome != SCRIPT_OUTPUT;
    ask->outcome = record_word(RECORD_SCRIPT_OUTCOMES, (int)r->outcome);
    ask->elapsed_us = r->elapsed_us;
    ask->output_bytes = r->len;
    if (r->detail != NULL)
        ask->detail = arena_strdup(&d->memory, r->detail);
}

static void look_take_ping(struct look_device *d, struct look_ask *ask, const struct ping_reply *r)
{
    ask->failed = r->outcome != PING_UP;
    ask->outcome = record_word(RECORD_PING_OUTCOMES, (int)r->outcome);
    ask->elapsed_us = (int64_t)(r->time_ms * 1000);
    ask->detail = arena_strdup(&d->memory, r->bad_name[0] != '\0' ? r->bad_name : r->text);
}

static void look_take_answer(struct look_device *d, const struct devrun_event *e)
{
    struct look_ask *ask = look_find_ask(d, e->ask_id);
    if (ask == NULL || ask->answered)
        return;
    ask->answered = true;
    if (e->kind == DEVRUN_SNMP)
        look_take_snmp(d, ask, e->snmp);
    else if (e->kind == DEVRUN_SCRIPT)
        look_take_script(d, ask, e->script);
    else
        look_take_ping(d, ask, e->ping);
    if (ask->elapsed_us == 0) /* of a ping without an answer */
        ask->elapsed_us = e->at.mono_us - d->started_us - ask->began_us;
}

static void look_take_queries(struct look_device *d, const struct device *device)
{
    for (size_t i = 0; i < device->reindex_count; i++) {
        uint32_t id = device->reindex[i].data_query_id;
        if (d->query_count == 0 || d->queries[d->query_count - 1].data_query_id != id) {
            d->queries =
                mem_grow(d->queries, d->query_count, &d->query_cap, 4, sizeof(d->queries[0]));
            d->queries[d->query_count++] = (struct look_query){.data_query_id = id};
        }
        d->queries[d->query_count - 1].assertions++;
    }
}

static void look_on_event(void *arg, const struct device *device,
                          const struct devrun_options *options, const struct devrun_event *e)
{
    struct look *l = arg;
    struct look_device *d = e->kind == DEVRUN_START ? look_add(l, device) : look_of(l, device);
    witness.event(witness.arg, device, options, e);
    if (e->kind == DEVRUN_START) {
        d->started_us = e->at.mono_us;
        if (l->with_story)
            look_take_queries(d, device);
    } else if (e->kind != DEVRUN_STOP && l->with_story) {
        look_take_answer(d, e);
    }
}

/* ---- what comes out ---- */

static void look_say_snmp(const struct snmp_request *r, struct buf *out)
{
    static const char *const ops[] = {
        [SNMP_OP_GET] = "GET", [SNMP_OP_GETNEXT] = "GETNEXT", [SNMP_OP_GETBULK] = "GETBULK"};
    buf_printf(out, "%s ", ops[r->op]);
    oid_print(r->names[0], out);
    if (r->count > 1)
        buf_printf(out, " and %zu more", r->count - 1);
    if (r->op == SNMP_OP_GETBULK)
        buf_printf(out, ", %d rows", r->bulk_rows);
}

static void look_say_ping(const struct ping_request *r, struct buf *out)
{
    switch (r->method) {
    case PING_METHOD_ICMP: buf_puts(out, "ICMP echo"); break;
    case PING_METHOD_UDP: buf_printf(out, "UDP port %u", (unsigned)r->port); break;
    case PING_METHOD_TCP:
    case PING_METHOD_TCP_CLOSED: buf_printf(out, "TCP port %u", (unsigned)r->port); break;
    default: buf_printf(out, "ping method %d", r->method); break;
    }
}

static void look_note_ask(struct look_device *d, const struct ask *ask, int64_t began_us)
{
    struct buf what = BUF_INIT;
    if (ask->kind == ASK_SNMP)
        look_say_snmp(&ask->snmp, &what);
    else if (ask->kind == ASK_PING)
        look_say_ping(&ask->ping, &what);
    else
        buf_puts(&what, ask->script.command);
    d->asks = mem_grow(d->asks, d->ask_count, &d->ask_cap, 8, sizeof(d->asks[0]));
    d->asks[d->ask_count++] = (struct look_ask){
        .id = ask->id,
        .kind = ask->kind,
        .began_us = began_us,
        .what = arena_strdup(&d->memory, buf_str(&what)),
        .names = ask->kind == ASK_SNMP ? ask->snmp.count : 0,
    };
    buf_done(&what);
}

static void look_note_row(struct look_device *d, const struct output_row *row,
                          const struct row_origin *origin)
{
    d->items = mem_grow(d->items, d->item_count, &d->item_cap, 20, sizeof(d->items[0]));
    d->items[d->item_count++] = (struct look_item){
        .local_data_id = row->local_data_id,
        .rrd_name = arena_strdup(&d->memory, row->rrd_name),
        .action = origin->item->action,
        .arg1 = arena_strdup(&d->memory, origin->item->arg1),
        .ask_id = origin->ask_id,
        .reason = origin->reason,
        .why = origin->why == NULL ? NULL : arena_strdup(&d->memory, origin->why),
        .value = arena_strndup(&d->memory, row->output, row->output_len),
    };
}

static void look_note_line(struct look_device *d, const char *text)
{
    d->lines = mem_grow(d->lines, d->line_count, &d->line_cap, 8, sizeof(d->lines[0]));
    d->lines[d->line_count++] = arena_strdup(&d->memory, text);
}

static struct look_query *look_query(struct look_device *d, uint32_t data_query_id)
{
    for (size_t i = 0; i < d->query_count; i++)
        if (d->queries[i].data_query_id == data_query_id)
            return &d->queries[i];
    return NULL;
}

static int look_compare_items(const void *a, const void *b)
{
    const struct look_item *x = a, *y = b;
    int order = num_compare_u32(&x->local_data_id, &y->local_data_id);
    return order != 0 ? order : strcmp(x->rrd_name, y->rrd_name);
}

static void look_note_end(struct look_device *d, const struct devrun_result *result)
{
    d->finished = true;
    d->result = *result;
    d->result.host.system = NULL;
    if (d->result.host.status.last_error != NULL)
        d->result.host.status.last_error =
            arena_strdup(&d->memory, d->result.host.status.last_error);
    if (d->item_count > 0)
        qsort(d->items, d->item_count, sizeof(d->items[0]), look_compare_items);
}

static void look_note_story(const struct look *l, struct look_device *d, const struct action *a)
{
    struct look_query *q;
    switch (a->kind) {
    case ACTION_ASK: look_note_ask(d, &a->ask, clock_mono_us() - d->started_us); break;
    case ACTION_LOG:
        if (a->log.level <= l->level || a->log.level <= LOG_ALWAYS)
            look_note_line(d, a->log.text);
        break;
    case ACTION_RECACHE:
        if ((q = look_query(d, a->recache.data_query_id)) != NULL)
            q->reindex = true;
        break;
    case ACTION_ASSERT:
        if ((q = look_query(d, a->assertion.data_query_id)) != NULL)
            q->changed++;
        break;
    case ACTION_ROW:
    case ACTION_FINISHED: break;
    }
}

static void look_on_action(void *arg, const struct device *device, const struct action *a)
{
    struct look *l = arg;
    struct look_device *d = look_of(l, device);
    witness.action(witness.arg, device, a);
    if (a->kind == ACTION_ROW)
        look_note_row(d, &a->row, &a->origin);
    else if (a->kind == ACTION_FINISHED)
        look_note_end(d, &a->finished);
    else if (l->with_story)
        look_note_story(l, d, a);
}

/* ---- the whole ---- */

struct look *look_new(bool with_story, enum log_level level)
{
    struct look *l = mem_zalloc(1, sizeof(*l));
    l->with_story = with_story;
    l->level = level;
    thr_mutex_init(&l->lock);
    l->watcher = (struct devrun_watcher){look_on_event, look_on_action, l};
    return l;
}

void look_free(struct look *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->count; i++)
        look_free_device(l->devices[i]);
    free(l->devices);
    free(l->places);
    thr_mutex_done(&l->lock);
    free(l);
}

const struct devrun_watcher *look_watcher(const struct look *l)
{
    return &l->watcher;
}

size_t look_count(const struct look *l)
{
    return l->count;
}

static int look_compare(const void *a, const void *b)
{
    const struct look_device *const *x = a, *const *y = b;
    return num_compare_u32(&(*x)->id, &(*y)->id);
}

void look_sort(struct look *l)
{
    if (l->count > 0)
        qsort(l->devices, l->count, sizeof(struct look_device *), look_compare);
}

const struct look_device *look_at(const struct look *l, size_t i)
{
    return l->devices[i];
}

const struct look_device *look_find(const struct look *l, uint32_t id)
{
    const struct look_device key = {.id = id}, *wanted = &key;
    struct look_device **found =
        l->count == 0 ? NULL : bsearch(&wanted, l->devices, l->count, sizeof(wanted), look_compare);
    return found == NULL ? NULL : *found;
}

const struct look_item *look_find_item(const struct look_device *d, uint32_t local_data_id,
                                       const char *rrd_name)
{
    const struct look_item key = {.local_data_id = local_data_id, .rrd_name = rrd_name};
    return d->item_count == 0
               ? NULL
               : bsearch(&key, d->items, d->item_count, sizeof(key), look_compare_items);
}
