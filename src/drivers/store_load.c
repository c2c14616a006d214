#include "config.h"

#include "drivers/store.h"

#include "store_private.h"

#include "base/mem.h"
#include "base/num.h"
#include "model/value.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LIST_IN_SQL       1000 /* ids; longer lists are asked for as a range and filtered here */
#define TARGET_BUCKETS    16384
#define LOST_AT_MOST      5
#define CONFLICTS_AT_MOST 30
#define SITES_SETTING     "\tsites" /* rows of the settings query that are ours */
#define OUTPUT_SETTING    "\toutput"
#define BOOST_SETTING     "\tboost"
#define SETTINGS_WIDTH    2 /* name and value */

/* ---- one query, as often as it makes sense ---- */

bool store_query(struct store *s, const char *what, const struct buf *sql,
                 const struct db_reader *reader, struct err *err)
{
    struct err why = ERR_INIT;
    struct store_attempt a = {.lost_at_most = LOST_AT_MOST, .conflicts_at_most = CONFLICTS_AT_MOST};
    for (;;) {
        if (reader->restart != NULL)
            reader->restart(reader->arg);
        if (!store_connect(s, &why))
            break;
        if (db_query(s->db, buf_str(sql), sql->len, reader, &why))
            return true;
        if (store_again(s, &a, &why) != STORE_DONE)
            break;
    }
    store_explain(&why, what);
    if (err != NULL)
        *err = why;
    return false;
}

/* ---- settings ---- */

#define SITES_DISABLED_SQL                                                                         \
    "SELECT '" SITES_SETTING "',CONVERT(COUNT(*) USING utf8mb4) FROM information_schema.columns"   \
    " WHERE table_schema=DATABASE() AND table_name='sites' AND column_name='disabled'"

/* How many characters a column takes, whatever a site has made of it; no row: there is no such table. */
#define WIDTH_SQL(setting, table)                                                                  \
    "SELECT '" setting "',CONVERT(character_maximum_length USING utf8mb4) FROM "                   \
    "information_schema.columns WHERE table_schema=DATABASE() AND table_name='" table              \
    "' AND column_name='output'"
#define SCHEMA_SQL                                                                                 \
    SITES_DISABLED_SQL                                                                             \
    " UNION ALL " WIDTH_SQL(OUTPUT_SETTING, "poller_output") " UNION ALL " WIDTH_SQL(              \
        BOOST_SETTING, "poller_output_boost")

/* CONVERT gives all parts one character set and collation; tables of an upgraded Cacti differ, and
 * a union of different ones is an error. */
static const char settings_sql[] =
    "SELECT CONVERT(name USING utf8mb4),CONVERT(value USING utf8mb4) FROM settings WHERE name IN ("
    "'log_verbosity','path_webroot','path_cactilog','default_datechar','log_destination','path_php_"
    "binary',"
    "'availability_method','ping_recovery_count','ping_failure_count','ping_method','ping_retries',"
    "'ping_timeout',"
    "'snmp_retries','log_perror','log_pwarn','log_pstats','boost_redirect','boost_rrd_update_"
    "enable',"
    "'poller_interval','concurrent_processes','script_timeout','selective_device_debug','php_"
    "servers',"
    "'active_profiles','total_snmp_ports','max_get_size') OR name LIKE 'spine|_%' ESCAPE '|'"
    " UNION ALL SELECT 'threads',CONVERT(threads USING utf8mb4) FROM poller WHERE id=";
static const char settings_rest_sql[] =
    " UNION ALL (SELECT 'cacti_version',CONVERT(cacti USING utf8mb4) FROM version LIMIT 1)"
    " UNION ALL " SCHEMA_SQL;

struct settings {
    struct store *store;
    store_setting_fn *on_setting;
    void *arg;
};

/* A column without a width (a number, say) is taken for what Cacti's schema has. */
static size_t width(const char *text)
{
    int64_t chars = num_leading(text);
    return chars > 0 ? (size_t)chars : VALUE_COLUMN_CHARS;
}

static bool settings_row(void *arg, const char *const *fields, const size_t *lengths UNUSED)
{
    const struct settings *to = arg;
    const char *name = fields[0] == NULL ? "" : fields[0];
    const char *value = fields[1] == NULL ? "" : fields[1];
    if (strcmp(name, SITES_SETTING) == 0)
        to->store->sites_can_be_disabled = num_leading(value) > 0;
    else if (strcmp(name, OUTPUT_SETTING) == 0)
        to->store->output_chars = width(value);
    else if (strcmp(name, BOOST_SETTING) == 0)
        to->store->boost_chars = width(value);
    else if (to->on_setting != NULL)
        to->on_setting(to->arg, name, value);
    return true;
}

bool store_load_settings(struct store *s, int poller_id, store_setting_fn *on_setting, void *arg,
                         struct err *err)
{
    struct settings to = {.store = s, .on_setting = on_setting, .arg = arg};
    const struct db_reader reader = {.columns = SETTINGS_WIDTH, .on_row = settings_row, .arg = &to};
    struct buf sql = BUF_INIT;
    buf_printf(&sql, "%s%d%s", settings_sql, poller_id, settings_rest_sql);
    bool ok = store_query(s, "cannot read the settings", &sql, &reader, err);
    buf_done(&sql);
    return ok;
}

bool store_know_schema(struct store *s, struct err *err)
{
    if (s->sites_can_be_disabled >= 0)
        return true;
    struct settings to = {.store = s};
    const struct db_reader reader = {.columns = SETTINGS_WIDTH, .on_row = settings_row, .arg = &to};
    struct buf sql = BUF_INIT;
    buf_puts(&sql, SCHEMA_SQL);
    bool ok = store_query(s, "cannot read the schema", &sql, &reader, err);
    buf_done(&sql);
    return ok;
}

/* ---- fields ---- */

/* NULL gives the fallback of docs/contract.md 4.3, nonsense the nearest bound. */
static int64_t load_number(const char *text, int64_t fallback, int64_t min, int64_t max)
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
    int64_t v = load_number(text, fallback, -1, UINT16_MAX + 1);
    return v < 0 || v > UINT16_MAX ? 0 : (uint16_t)v;
}

/* false: no id that a row could have. */
static bool parse_id(const char *text, uint32_t *ret)
{
    int64_t v = load_number(text, -1, -1, (int64_t)UINT32_MAX + 1);
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
    int64_t version = load_number(f[2], 1, 0, UINT8_MAX);
    return (struct target){
        .hostname = text_of(f[0]),
        .port = port(f[1], 161),
        .version = (uint8_t)version,
        .timeout_ms = target_timeout_ms(load_number(f[3], 0, INT32_MIN, INT32_MAX)),
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

static void own_target(struct target *t, struct arena *memory)
{
    const char **strings[TARGET_STRINGS];
    target_strings(t, strings);
    for (size_t i = 0; i < TARGET_STRINGS; i++)
        *strings[i] = **strings[i] == '\0' ? "" : arena_strdup(memory, *strings[i]);
}

/* ---- loading ---- */

struct known_target {
    struct known_target *next;
    uint64_t hash;
    struct target target;
};

struct slot {
    uint32_t id;
    uint32_t index; /* in load.devices */
};

struct found_item {
    uint32_t index; /* in load.devices */
    struct item item;
};

struct found_reindex {
    uint32_t index; /* in load.devices */
    struct reindex_row row;
};

struct load {
    const struct selection *sel;
    struct arena memory;
    uint32_t *ids; /* of the list, ascending */
    bool zero;     /* device 0 belongs to the selection (docs/contract.md 5.3) */
    bool zero_exists;
    struct device *devices; /* [0] is device 0, used or not */
    size_t device_count, device_cap;
    struct slot *slots; /* of devices[], by id */
    struct slot last;
    struct found_item *items;
    size_t item_count, item_cap;
    struct found_reindex *reindex;
    size_t reindex_count, reindex_cap;
    struct known_target **targets;
};

static bool in_list(const struct load *l, uint32_t device_id)
{
    return bsearch(&device_id, l->ids, l->sel->id_count, sizeof(*l->ids), num_compare_u32) != NULL;
}

static void load_init(struct load *l, const struct selection *sel)
{
    *l = (struct load){.sel = sel, .memory = ARENA_INIT};
    l->targets = mem_zalloc(TARGET_BUCKETS, sizeof(struct known_target *));
    if (sel->id_count > 0) {
        l->ids = mem_zalloc(sel->id_count, sizeof(*l->ids));
        memcpy(l->ids, sel->ids, sel->id_count * sizeof(*l->ids));
        qsort(l->ids, sel->id_count, sizeof(*l->ids), num_compare_u32);
    }
    bool named = sel->id_count > 0 ? in_list(l, 0) : !sel->has_range || sel->first == 0;
    l->zero = sel->poller_id == 1 && named;
}

static void load_done(struct load *l)
{
    arena_done(&l->memory);
    free(l->ids);
    free(l->devices);
    free(l->slots);
    free(l->items);
    free(l->reindex);
    free(l->targets);
}

static void add_selection(const struct load *l, const char *column, struct buf *sql)
{
    const struct selection *sel = l->sel;
    if (sel->id_count > LIST_IN_SQL) {
        buf_printf(sql, " AND %s BETWEEN %u AND %u", column, l->ids[0], l->ids[sel->id_count - 1]);
    } else if (sel->id_count > 0) {
        buf_printf(sql, " AND %s IN (%u", column, l->ids[0]);
        for (size_t i = 1; i < sel->id_count; i++)
            buf_printf(sql, ",%u", l->ids[i]);
        buf_putc(sql, ')');
    } else if (sel->has_range) {
        buf_printf(sql, " AND %s BETWEEN %u AND %u", column, sel->first, sel->last);
    }
}

/* ---- devices ---- */

#define DEVICE_COLUMNS                                                                             \
    "id,deleted,device_threads,max_oids,availability_method,ping_method,ping_port,ping_timeout,"   \
    "ping_retries,status,"                                                                         \
    "status_event_count,UNIX_TIMESTAMP(status_fail_date),UNIX_TIMESTAMP(status_rec_date),status_"  \
    "last_error,min_time,"                                                                         \
    "max_time,cur_time,avg_time,total_polls,failed_polls,availability"
#define DEVICE_WIDTH 21

static struct device *new_device(struct load *l)
{
    l->devices = mem_grow(l->devices, l->device_count, &l->device_cap, 64, sizeof(*l->devices));
    return &l->devices[l->device_count++];
}

static void forget_devices(void *arg)
{
    struct load *l = arg;
    l->device_count = 0;
    struct device *zero = new_device(l);
    *zero = (struct device){.device_threads = 1, .max_oids = 1, .availability_method = AVAIL_NONE};
    zero->snmp = borrow_target((const char *const[TARGET_WIDTH]){NULL});
    zero->status = (struct device_status){.status = HOST_UP, .last_error = "", .availability = 100};
}

static struct device_status read_status(const char *const *f, struct arena *memory)
{
    return (struct device_status){
        .status = (int)load_number(f[9], HOST_UP, 0, UINT8_MAX),
        .event_count = load_number(f[10], 0, 0, INT64_MAX),
        .fail_date = load_number(f[11], 0, 0, INT64_MAX),
        .rec_date = load_number(f[12], 0, 0, INT64_MAX),
        .last_error = arena_strdup(memory, text_of(f[13])),
        .min_time = real(f[14], 0),
        .max_time = real(f[15], 0),
        .cur_time = real(f[16], 0),
        .avg_time = real(f[17], 0),
        .total_polls = load_number(f[18], 0, 0, INT64_MAX),
        .failed_polls = load_number(f[19], 0, 0, INT64_MAX),
        .availability = real(f[20], 100),
    };
}

static bool device_row(void *arg, const char *const *f, const size_t *lengths UNUSED)
{
    struct load *l = arg;
    uint32_t device_id;
    if (!parse_id(f[0], &device_id) || device_id == 0 || (l->ids != NULL && !in_list(l, device_id)))
        return true;
    struct device *d = new_device(l);
    *d = (struct device){
        .id = device_id,
        .deleted = text_of(f[1])[0] != '\0',
        .device_threads = (int)load_number(f[2], 1, 1, INT_MAX),
        .max_oids = load_number(f[3], 10, INT64_MIN, INT64_MAX),
        .snmp = borrow_target(f + DEVICE_WIDTH),
        .availability_method = (int)load_number(f[4], AVAIL_NONE, 0, INT_MAX),
        .ping_method = (int)load_number(f[5], 0, 0, INT_MAX),
        .ping_port = port(f[6], 23),
        .ping_timeout_ms = (int)load_number(f[7], 500, 0, INT_MAX),
        .ping_retries = (int)load_number(f[8], 2, 0, INT_MAX),
        .status = read_status(f, &l->memory),
    };
    own_target(&d->snmp, &l->memory);
    return true;
}

static bool load_devices(struct store *s, struct load *l, struct err *err)
{
    const struct db_reader reader = {.columns = DEVICE_WIDTH + TARGET_WIDTH,
                                     .on_row = device_row,
                                     .restart = forget_devices,
                                     .arg = l};
    struct buf sql = BUF_INIT;
    buf_puts(&sql, "SELECT " DEVICE_COLUMNS "," TARGET_COLUMNS " FROM host WHERE disabled=''");
    buf_printf(&sql, " AND poller_id=%d", l->sel->poller_id);
    add_selection(l, "id", &sql);
    if (s->sites_can_be_disabled > 0) /* docs/contract.md 5.2 */
        buf_puts(&sql, " AND NOT EXISTS (SELECT 1 FROM sites AS s WHERE s.id=host.site_id AND "
                       "s.disabled='on')");
    buf_puts(&sql, " ORDER BY polling_time DESC,id");
    bool ok = store_query(s, "cannot read the devices", &sql, &reader, err);
    buf_done(&sql);
    return ok;
}

static int compare_slots(const void *a, const void *b)
{
    return num_compare_u32(&((const struct slot *)a)->id, &((const struct slot *)b)->id);
}

static void index_devices(struct load *l)
{
    l->slots = mem_zalloc(l->device_count, sizeof(*l->slots));
    for (size_t i = 0; i < l->device_count; i++)
        l->slots[i] = (struct slot){.id = l->devices[i].id, .index = (uint32_t)i};
    qsort(l->slots, l->device_count, sizeof(*l->slots), compare_slots);
    l->last = l->slots[0];
}

/* ---- items ---- */

static const struct slot *find_device(struct load *l, uint32_t device_id)
{
    if (l->last.id == device_id)
        return &l->last;
    const struct slot key = {.id = device_id};
    const struct slot *found =
        bsearch(&key, l->slots, l->device_count, sizeof(*l->slots), compare_slots);
    if (found != NULL)
        l->last = *found;
    return found;
}

/* FNV-1a, with a mark between the fields. */
static uint64_t hash_target(const char *const *f)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < TARGET_WIDTH; i++) {
        for (const char *p = text_of(f[i]); *p != '\0'; p++)
            h = (h ^ (unsigned char)*p) * UINT64_C(1099511628211);
        h = (h ^ 0xFF) * UINT64_C(1099511628211);
    }
    return h;
}

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

/* A hundred thousand items share a few thousand targets. */
static const struct target *intern_target(struct load *l, const char *const *f)
{
    uint64_t hash = hash_target(f);
    struct target t = borrow_target(f);
    struct known_target **bucket = &l->targets[hash % TARGET_BUCKETS];
    for (struct known_target *k = *bucket; k != NULL; k = k->next) {
        if (k->hash == hash && same_target(&k->target, &t))
            return &k->target;
    }
    struct known_target *k = arena_zalloc(&l->memory, sizeof(*k));
    own_target(&t, &l->memory);
    *k = (struct known_target){.next = *bucket, .hash = hash, .target = t};
    *bucket = k;
    return &k->target;
}

static struct oid read_oid(struct load *l, const char *text)
{
    uint32_t sub[OID_MAX_LEN];
    size_t len = oid_parse(text, sub);
    if (len == 0)
        return (struct oid){NULL, 0};
    uint32_t *copy = arena_zalloc(&l->memory, len * sizeof(*copy));
    memcpy(copy, sub, len * sizeof(*copy));
    return (struct oid){copy, len};
}

#define ITEM_COLUMNS "local_data_id,host_id,action,rrd_name,arg1,rrd_step"
#define ITEM_WIDTH   6

static void forget_items(void *arg)
{
    struct load *l = arg;
    l->item_count = 0;
    l->zero_exists = false;
}

static bool item_row(void *arg, const char *const *f, const size_t *lengths)
{
    struct load *l = arg;
    uint32_t device_id;
    struct item item = {0};
    if (!parse_id(f[0], &item.local_data_id) || !parse_id(f[1], &device_id) ||
        (device_id == 0 && !l->zero))
        return true;
    const struct slot *slot = find_device(l, device_id);
    if (slot == NULL)
        return true; /* its device is disabled or another poller's */
    l->zero_exists = l->zero_exists || device_id == 0;
    item.action = (int)load_number(f[2], -1, INT_MIN, INT_MAX);
    item.rrd_name = arena_strndup(&l->memory, text_of(f[3]), f[3] == NULL ? 0 : lengths[3]);
    item.arg1 = arena_strndup(&l->memory, text_of(f[4]), f[4] == NULL ? 0 : lengths[4]);
    item.step_s = (int)load_number(f[5], 0, 0, INT_MAX);
    item.target = intern_target(l, f + ITEM_WIDTH);
    if (item.action == ITEM_SNMP)
        item.oid = read_oid(l, item.arg1);
    l->items = mem_grow(l->items, l->item_count, &l->item_cap, 1024, sizeof(*l->items));
    l->items[l->item_count++] = (struct found_item){.index = slot->index, .item = item};
    return true;
}

static bool load_items(struct store *s, struct load *l, struct err *err)
{
    const struct db_reader reader = {.columns = ITEM_WIDTH + TARGET_WIDTH,
                                     .on_row = item_row,
                                     .restart = forget_items,
                                     .arg = l};
    struct buf sql = BUF_INIT;
    buf_printf(&sql,
               "SELECT " ITEM_COLUMNS "," TARGET_COLUMNS " FROM poller_item WHERE poller_id=%d",
               l->sel->poller_id);
    if (l->sel->only_due)
        buf_puts(&sql, " AND rrd_next_step<=0");
    add_selection(l, "host_id", &sql);
    bool ok = store_query(s, "cannot read the poller items", &sql, &reader, err);
    buf_done(&sql);
    return ok;
}

static bool zero_row(void *arg, const char *const *fields UNUSED, const size_t *lengths UNUSED)
{
    struct load *l = arg;
    l->zero_exists = true;
    return true;
}

/* Device 0 also exists when none of its items is due: their steps are advanced. */
static bool look_for_zero(struct store *s, struct load *l, struct err *err)
{
    const struct db_reader reader = {.columns = 1, .on_row = zero_row, .arg = l};
    if (!l->zero || l->zero_exists || !l->sel->only_due)
        return true;
    struct buf sql = BUF_INIT;
    buf_puts(&sql, "SELECT 1 FROM poller_item WHERE host_id=0 AND poller_id=1 LIMIT 1");
    bool ok = store_query(s, "cannot read the poller items", &sql, &reader, err);
    buf_done(&sql);
    return ok;
}

/* Give each device its items, in polling order, in one array. */
static void deal_items(struct load *l)
{
    struct item *next = arena_zalloc(&l->memory, l->item_count * sizeof(*next));
    for (size_t i = 0; i < l->item_count; i++)
        l->devices[l->items[i].index].item_count++;
    for (size_t i = 0; i < l->device_count; i++) {
        l->devices[i].items = next;
        next += l->devices[i].item_count;
        l->devices[i].item_count = 0;
    }
    for (size_t i = 0; i < l->item_count; i++) {
        struct device *d = &l->devices[l->items[i].index];
        d->items[d->item_count++] = l->items[i].item;
    }
    for (size_t i = 0; i < l->device_count; i++) {
        struct device *d = &l->devices[i];
        qsort(d->items, d->item_count, sizeof(*d->items), item_compare);
    }
}

/* ---- assertions ---- */

#define REINDEX_COLUMNS "r.host_id,r.data_query_id,r.action,r.op,r.assert_value,r.arg1"
#define REINDEX_WIDTH   6

static void forget_reindex(void *arg)
{
    ((struct load *)arg)->reindex_count = 0;
}

static bool reindex_row(void *arg, const char *const *f, const size_t *lengths UNUSED)
{
    struct load *l = arg;
    uint32_t device_id;
    struct reindex_row row = {0};
    if (!parse_id(f[0], &device_id) || device_id == 0 || !parse_id(f[1], &row.data_query_id))
        return true;
    const struct slot *slot = find_device(l, device_id);
    if (slot == NULL)
        return true;
    row.action = (int)load_number(f[2], -1, INT_MIN, INT_MAX);
    row.op = text_of(f[3])[0];
    row.assert_value = arena_strdup(&l->memory, text_of(f[4]));
    row.arg1 = arena_strdup(&l->memory, text_of(f[5]));
    if (row.action == REINDEX_SNMP || row.action == REINDEX_SNMP_COUNT)
        row.oid = read_oid(l, row.arg1);
    l->reindex = mem_grow(l->reindex, l->reindex_count, &l->reindex_cap, 256, sizeof(*l->reindex));
    l->reindex[l->reindex_count++] = (struct found_reindex){.index = slot->index, .row = row};
    return true;
}

/* The table does not say whose devices these are: joined, only our own cross the network. */
static bool load_reindex(struct store *s, struct load *l, struct err *err)
{
    const struct db_reader reader = {
        .columns = REINDEX_WIDTH, .on_row = reindex_row, .restart = forget_reindex, .arg = l};
    if (!l->sel->with_reindex)
        return true;
    struct buf sql = BUF_INIT;
    buf_printf(&sql,
               "SELECT " REINDEX_COLUMNS
               " FROM poller_reindex AS r JOIN host AS h ON h.id=r.host_id"
               " WHERE h.poller_id=%d AND h.disabled=''",
               l->sel->poller_id);
    add_selection(l, "r.host_id", &sql);
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
    struct reindex_row *rows = arena_zalloc(&l->memory, l->reindex_count * sizeof(*rows));
    for (size_t i = 0; i < l->reindex_count; i++) {
        struct device *d = &l->devices[l->reindex[i].index];
        rows[i] = l->reindex[i].row;
        if (d->reindex_count++ == 0)
            d->reindex = &rows[i];
    }
}

static void hand_over(struct load *l, struct site *ret)
{
    size_t skip = l->zero_exists ? 0 : 1;
    size_t count = l->device_count - skip;
    struct device *devices = arena_zalloc(&l->memory, (count + 1) * sizeof(*devices));
    memcpy(devices, l->devices + skip, count * sizeof(*devices));
    *ret = (struct site){.memory = l->memory,
                         .devices = devices,
                         .device_count = count,
                         .item_count = l->item_count};
    l->memory = (struct arena)ARENA_INIT;
}

bool store_load_site(struct store *s, const struct selection *sel, struct site *ret,
                     struct err *err)
{
    struct load l;
    load_init(&l, sel);
    bool ok = store_know_schema(s, err) && load_devices(s, &l, err);
    if (ok) {
        index_devices(&l);
        ok = load_items(s, &l, err) && look_for_zero(s, &l, err) && load_reindex(s, &l, err);
    }
    if (ok) {
        deal_items(&l);
        deal_reindex(&l);
        hand_over(&l, ret);
        ret->output_chars = s->output_chars;
        ret->boost_chars = s->boost_chars;
    }
    load_done(&l);
    return ok;
}

void site_done(struct site *site)
{
    arena_done(&site->memory);
    *site = (struct site){.memory = ARENA_INIT};
}
