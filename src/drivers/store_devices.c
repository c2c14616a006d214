#include "config.h"

#include "drivers/store.h"

#include "store_private.h"

#include "base/mem.h"
#include "base/num.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- fields ---- */

/* NULL gives the fallback of docs/contract.md 4.3, nonsense the nearest bound. */
int64_t store_field_number(const char *text, int64_t fallback, int64_t min, int64_t max)
{
    if (text == NULL)
        return fallback;
    int64_t v = num_leading(text);
    if (v < min)
        return min;
    return v > max ? max : v;
}

static double real(const char *text, double fallback)
{
    if (text == NULL)
        return fallback;
    double v = strtod(text, NULL);
    return isfinite(v) ? v : fallback;
}

/* A port that does not exist becomes 0, so that no request goes to another service. */
static uint16_t port(const char *text, uint16_t fallback)
{
    int64_t v = store_field_number(text, fallback, -1, UINT16_MAX + 1);
    return v < 0 || v > UINT16_MAX ? 0 : (uint16_t)v;
}

/* false: no id that a row could have. */
bool store_field_id(const char *text, uint32_t *ret)
{
    int64_t v = store_field_number(text, -1, -1, (int64_t)UINT32_MAX + 1);
    if (v < 0 || v > UINT32_MAX)
        return false;
    *ret = (uint32_t)v;
    return true;
}

static const char *text_of(const char *field)
{
    return field == NULL ? "" : field;
}

/* Both tables have these columns, read in this order by borrow_target(). */
#define TARGET_COLUMNS                                                                             \
    "hostname,snmp_port,snmp_version,snmp_timeout,snmp_community,snmp_username,snmp_password,"     \
    "snmp_auth_protocol,"                                                                          \
    "snmp_priv_passphrase,snmp_priv_protocol,snmp_context,snmp_engine_id"
#define TARGET_WIDTH   12
#define TARGET_STRINGS 9

static struct target borrow_target(const char *const *f)
{
    int64_t version = store_field_number(f[2], 1, 0, UINT8_MAX);
    return (struct target){
        .hostname = text_of(f[0]),
        .port = port(f[1], 161),
        .version = (uint8_t)version,
        .timeout_ms = target_timeout_ms(store_field_number(f[3], 0, INT32_MIN, INT32_MAX)),
        .community = text_of(f[4]),
        .username = text_of(f[5]),
        .password = text_of(f[6]),
        .auth_protocol = text_of(f[7]),
        .priv_passphrase = text_of(f[8]),
        .priv_protocol = text_of(f[9]),
        .context = text_of(f[10]),
        .engine_id = text_of(f[11]),
    };
}

static void target_strings(struct target *t, const char **ret[TARGET_STRINGS])
{
    const char **all[TARGET_STRINGS] = {&t->hostname,      &t->community,     &t->username,
                                        &t->password,      &t->auth_protocol, &t->priv_passphrase,
                                        &t->priv_protocol, &t->context,       &t->engine_id};
    memcpy(ret, all, sizeof(all));
}

static const char *own_text(struct arena *memory, const char *text)
{
    return *text == '\0' ? "" : arena_strdup(memory, text);
}

static void own_target(struct target *t, struct arena *memory)
{
    const char **strings[TARGET_STRINGS];
    target_strings(t, strings);
    for (size_t i = 0; i < TARGET_STRINGS; i++)
        *strings[i] = own_text(memory, *strings[i]);
}

/* ---- loading ---- */

/* A session that items of one device share. */
struct known_target {
    struct known_target *next;
    struct target target;
};

struct found_item {
    size_t index; /* in load.devices */
    struct item item;
};

struct found_reindex {
    size_t index; /* in load.devices */
    struct reindex_row row;
};

struct load {
    const struct selection *sel;
    uint32_t *ids; /* ascending */
    size_t id_count;
    struct device **devices; /* by ids[]; NULL: not there */
    struct known_target **targets;
    size_t last; /* index of the device that was found last */
    struct found_item *items;
    size_t item_count, item_cap;
    struct found_reindex *reindex;
    size_t reindex_count, reindex_cap;
};

static void load_init(struct load *l, const struct selection *sel, const uint32_t *ids,
                      size_t count)
{
    *l = (struct load){.sel = sel, .id_count = count};
    l->ids = mem_zalloc(count, sizeof(l->ids[0]));
    memcpy(l->ids, ids, count * sizeof(l->ids[0]));
    qsort(l->ids, count, sizeof(l->ids[0]), num_compare_u32);
    l->devices = mem_zalloc(count, sizeof(l->devices[0]));
    l->targets = mem_zalloc(count, sizeof(l->targets[0]));
}

static void load_done(struct load *l)
{
    for (size_t i = 0; i < l->id_count; i++)
        device_unref(l->devices[i]);
    free(l->ids);
    free(l->devices);
    free(l->targets);
    free(l->items);
    free(l->reindex);
}

static void add_ids(const struct load *l, const char *column, struct buf *sql)
{
    buf_puts(sql, column);
    for (size_t i = 0; i < l->id_count; i++) {
        buf_puts(sql, i == 0 ? " IN (" : ",");
        buf_put_u64(sql, l->ids[i]);
    }
    buf_putc(sql, ')');
}

/* Rows of one device come one after the other.  false: not one of ours. */
static bool find_id(struct load *l, uint32_t device_id, size_t *ret)
{
    if (l->ids[l->last] != device_id) {
        const uint32_t *found =
            bsearch(&device_id, l->ids, l->id_count, sizeof(l->ids[0]), num_compare_u32);
        if (found == NULL)
            return false;
        l->last = (size_t)(found - l->ids);
    }
    *ret = l->last;
    return true;
}

/* NULL: its row no longer exists, or is no longer one of ours. */
static struct device *find_device(struct load *l, uint32_t device_id, size_t *ret)
{
    return find_id(l, device_id, ret) ? l->devices[*ret] : NULL;
}

/* ---- devices ---- */

#define DEVICE_COLUMNS                                                                             \
    "id,device_threads,max_oids,availability_method,ping_method,ping_port,ping_timeout,"           \
    "ping_retries,status,"                                                                         \
    "status_event_count,UNIX_TIMESTAMP(status_fail_date),UNIX_TIMESTAMP(status_rec_date),status_"  \
    "last_error,min_time,"                                                                         \
    "max_time,cur_time,avg_time,total_polls,failed_polls,availability,polling_time"
#define DEVICE_WIDTH 21

/* Items without a device. */
static struct device *new_zero(void)
{
    struct device *d = device_new();
    d->device_threads = 1;
    d->max_oids = 1;
    d->availability_method = AVAIL_NONE;
    d->snmp = borrow_target((const char *const[TARGET_WIDTH]){NULL});
    d->status = (struct device_status){.status = HOST_UP, .last_error = "", .availability = 100};
    return d;
}

static void forget_devices(void *arg)
{
    struct load *l = arg;
    for (size_t i = 0; i < l->id_count; i++) {
        device_unref(l->devices[i]);
        l->devices[i] = l->ids[i] == 0 ? new_zero() : NULL;
    }
}

static struct device_status read_status(const char *const *f, struct arena *memory)
{
    return (struct device_status){
        .status = (int)store_field_number(f[8], HOST_UP, 0, UINT8_MAX),
        .event_count = store_field_number(f[9], 0, 0, INT64_MAX),
        .fail_date = store_field_number(f[10], 0, 0, INT64_MAX),
        .rec_date = store_field_number(f[11], 0, 0, INT64_MAX),
        .last_error = own_text(memory, text_of(f[12])),
        .min_time = real(f[13], 0),
        .max_time = real(f[14], 0),
        .cur_time = real(f[15], 0),
        .avg_time = real(f[16], 0),
        .total_polls = store_field_number(f[17], 0, 0, INT64_MAX),
        .failed_polls = store_field_number(f[18], 0, 0, INT64_MAX),
        .availability = real(f[19], 100),
    };
}

static bool device_row(void *arg, const char *const *f, const size_t *lengths UNUSED)
{
    struct load *l = arg;
    uint32_t device_id;
    size_t at;
    if (!store_field_id(f[0], &device_id) || !find_id(l, device_id, &at) ||
        l->devices[at] != NULL || strcmp(text_of(f[DEVICE_WIDTH + TARGET_WIDTH]), "1") != 0)
        return true; /* or it is no longer ours */
    struct device *d = l->devices[at] = device_new();
    d->id = device_id;
    d->device_threads = (int)store_field_number(f[1], 1, 1, INT_MAX);
    d->max_oids = store_field_number(f[2], 10, INT64_MIN, INT64_MAX);
    d->availability_method = (int)store_field_number(f[3], AVAIL_NONE, 0, INT_MAX);
    d->ping_method = (int)store_field_number(f[4], 0, 0, INT_MAX);
    d->ping_port = port(f[5], 23);
    d->ping_timeout_ms = (int)store_field_number(f[6], 500, 0, INT_MAX);
    d->ping_retries = (int)store_field_number(f[7], 2, 0, INT_MAX);
    d->status = read_status(f, &d->memory);
    d->last_polling_s = real(f[20], 0);
    d->snmp = borrow_target(f + DEVICE_WIDTH);
    own_target(&d->snmp, &d->memory);
    return true;
}

/* The conditions are columns, and those on items are made unfit for an index, because the ids alone lead to the rows:
 * with conditions to choose from, a server may read the whole site by poller_id for each slice. */
static bool load_devices(struct store *s, struct load *l, struct err *err)
{
    const struct db_reader reader = {.columns = DEVICE_WIDTH + TARGET_WIDTH + 1,
                                     .on_row = device_row,
                                     .restart = forget_devices,
                                     .arg = l};
    struct buf sql = BUF_INIT;
    buf_puts(&sql, "SELECT " DEVICE_COLUMNS "," TARGET_COLUMNS ",");
    store_add_enabled(s, l->sel->poller_id, &sql);
    buf_puts(&sql, " AND deleted='' FROM host WHERE ");
    add_ids(l, "id", &sql);
    bool ok = store_query(s, "cannot read the devices", &sql, &reader, err);
    buf_done(&sql);
    return ok;
}

/* ---- items ---- */

static bool same_target(struct target *a, struct target *b)
{
    if (a->port != b->port || a->version != b->version || a->timeout_ms != b->timeout_ms)
        return false;
    const char **x[TARGET_STRINGS];
    const char **y[TARGET_STRINGS];
    target_strings(a, x);
    target_strings(b, y);
    for (size_t i = 0; i < TARGET_STRINGS; i++) {
        if (strcmp(*x[i], *y[i]) != 0)
            return false;
    }
    return true;
}

/* The items of a device share a few sessions, mostly the device's own. */
static const struct target *intern_target(struct load *l, size_t index, const char *const *f)
{
    struct device *d = l->devices[index];
    struct target t = borrow_target(f);
    if (same_target(&d->snmp, &t))
        return &d->snmp;
    for (struct known_target *k = l->targets[index]; k != NULL; k = k->next)
        if (same_target(&k->target, &t))
            return &k->target;
    struct known_target *k = arena_zalloc(&d->memory, sizeof(*k));
    own_target(&t, &d->memory);
    *k = (struct known_target){.next = l->targets[index], .target = t};
    l->targets[index] = k;
    return &k->target;
}

static struct oid read_oid(struct arena *memory, const char *text)
{
    uint32_t sub[OID_MAX_LEN];
    size_t len = oid_parse(text, sub);
    if (len == 0)
        return (struct oid){NULL, 0};
    uint32_t *copy = arena_zalloc(memory, len * sizeof(*copy));
    memcpy(copy, sub, len * sizeof(*copy));
    return (struct oid){copy, len};
}

#define ITEM_COLUMNS "local_data_id,host_id,action,rrd_name,arg1,rrd_step"
#define ITEM_WIDTH   6

static void forget_items(void *arg)
{
    struct load *l = arg;
    l->item_count = 0;
}

static bool item_row(void *arg, const char *const *f, const size_t *lengths)
{
    struct load *l = arg;
    uint32_t device_id;
    size_t at;
    struct item item = {0};
    if (!store_field_id(f[0], &item.local_data_id) || !store_field_id(f[1], &device_id))
        return true;
    struct device *d = find_device(l, device_id, &at);
    if (d == NULL)
        return true;
    item.action = (int)store_field_number(f[2], -1, INT_MIN, INT_MAX);
    item.rrd_name = arena_strndup(&d->memory, text_of(f[3]), f[3] == NULL ? 0 : lengths[3]);
    item.arg1 = arena_strndup(&d->memory, text_of(f[4]), f[4] == NULL ? 0 : lengths[4]);
    item.step_s = (int)store_field_number(f[5], 0, 0, INT_MAX);
    item.target = intern_target(l, at, f + ITEM_WIDTH);
    if (item.action == ITEM_SNMP)
        item.oid = read_oid(&d->memory, item.arg1);
    l->items = mem_grow(l->items, l->item_count, &l->item_cap, 1024, sizeof(*l->items));
    l->items[l->item_count++] = (struct found_item){.index = at, .item = item};
    return true;
}

static bool load_items(struct store *s, struct load *l, struct err *err)
{
    const struct db_reader reader = {.columns = ITEM_WIDTH + TARGET_WIDTH,
                                     .on_row = item_row,
                                     .restart = forget_items,
                                     .arg = l};
    struct buf sql = BUF_INIT;
    buf_puts(&sql, "SELECT " ITEM_COLUMNS "," TARGET_COLUMNS " FROM poller_item WHERE ");
    add_ids(l, "host_id", &sql);
    buf_printf(&sql, " AND poller_id+0=%d", l->sel->poller_id);
    if (l->sel->only_due)
        buf_puts(&sql, " AND rrd_next_step+0<=0");
    bool ok = store_query(s, "cannot read the poller items", &sql, &reader, err);
    buf_done(&sql);
    return ok;
}

/* Give each device its items, in polling order, in one array. */
static void deal_items(struct load *l)
{
    for (size_t i = 0; i < l->item_count; i++)
        l->devices[l->items[i].index]->item_count++;
    for (size_t i = 0; i < l->id_count; i++) {
        struct device *d = l->devices[i];
        if (d == NULL || d->item_count == 0)
            continue;
        d->items = arena_zalloc(&d->memory, d->item_count * sizeof(d->items[0]));
        d->item_count = 0;
    }
    for (size_t i = 0; i < l->item_count; i++) {
        struct device *d = l->devices[l->items[i].index];
        d->items[d->item_count++] = l->items[i].item;
    }
    for (size_t i = 0; i < l->id_count; i++) {
        struct device *d = l->devices[i];
        if (d != NULL && d->item_count > 1)
            qsort(d->items, d->item_count, sizeof(d->items[0]), item_compare);
    }
}

/* ---- assertions ---- */

#define REINDEX_COLUMNS "host_id,data_query_id,action,op,assert_value,arg1"
#define REINDEX_WIDTH   6

static void forget_reindex(void *arg)
{
    ((struct load *)arg)->reindex_count = 0;
}

static bool reindex_row(void *arg, const char *const *f, const size_t *lengths UNUSED)
{
    struct load *l = arg;
    uint32_t device_id;
    size_t at;
    struct reindex_row row = {0};
    if (!store_field_id(f[0], &device_id) || device_id == 0 ||
        !store_field_id(f[1], &row.data_query_id))
        return true;
    struct device *d = find_device(l, device_id, &at);
    if (d == NULL)
        return true;
    row.action = (int)store_field_number(f[2], -1, INT_MIN, INT_MAX);
    row.op = text_of(f[3])[0];
    row.assert_value = own_text(&d->memory, text_of(f[4]));
    row.arg1 = own_text(&d->memory, text_of(f[5]));
    if (row.action == REINDEX_SNMP || row.action == REINDEX_SNMP_COUNT)
        row.oid = read_oid(&d->memory, row.arg1);
    l->reindex = mem_grow(l->reindex, l->reindex_count, &l->reindex_cap, 256, sizeof(*l->reindex));
    l->reindex[l->reindex_count++] = (struct found_reindex){.index = at, .row = row};
    return true;
}

static bool load_reindex(struct store *s, struct load *l, struct err *err)
{
    const struct db_reader reader = {
        .columns = REINDEX_WIDTH, .on_row = reindex_row, .restart = forget_reindex, .arg = l};
    if (!l->sel->with_reindex)
        return true;
    struct buf sql = BUF_INIT;
    buf_puts(&sql, "SELECT " REINDEX_COLUMNS " FROM poller_reindex WHERE ");
    add_ids(l, "host_id", &sql);
    bool ok = store_query(s, "cannot read the re-index assertions", &sql, &reader, err);
    buf_done(&sql);
    return ok;
}

static int compare_reindex(const void *a, const void *b)
{
    const struct found_reindex *x = a;
    const struct found_reindex *y = b;
    if (x->index != y->index)
        return x->index < y->index ? -1 : 1;
    if (x->row.data_query_id != y->row.data_query_id)
        return x->row.data_query_id < y->row.data_query_id ? -1 : 1;
    return strcmp(x->row.arg1, y->row.arg1);
}

static void deal_reindex(struct load *l)
{
    if (l->reindex_count == 0)
        return;
    qsort(l->reindex, l->reindex_count, sizeof(*l->reindex), compare_reindex);
    for (size_t i = 0, n; i < l->reindex_count; i += n) {
        struct device *d = l->devices[l->reindex[i].index];
        for (n = 1; i + n < l->reindex_count && l->reindex[i + n].index == l->reindex[i].index;)
            n++;
        d->reindex = arena_zalloc(&d->memory, n * sizeof(d->reindex[0]));
        d->reindex_count = n;
        for (size_t k = 0; k < n; k++)
            d->reindex[k] = l->reindex[i + k].row;
    }
}

bool store_load_devices(struct store *s, const struct selection *sel, const uint32_t *ids,
                        size_t count, struct device **ret, struct err *err)
{
    struct load l;
    load_init(&l, sel, ids, count);
    bool ok = store_know_schema(s, err) && load_devices(s, &l, err) && load_items(s, &l, err) &&
              load_reindex(s, &l, err);
    if (ok) {
        deal_items(&l);
        deal_reindex(&l);
    }
    for (size_t i = 0; ok && i < count; i++) {
        size_t at;
        CHECK(find_id(&l, ids[i], &at));
        ret[i] = l.devices[at];
        l.devices[at] = NULL;
    }
    load_done(&l);
    return ok;
}
