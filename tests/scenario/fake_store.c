#include "config.h"

#include "fake_store.h"

#include "base/mem.h"
#include "base/thr.h"
#include "drivers/store.h"
#include "fake_snmp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OID_SUBS = 9, WAIT_MS = 400 };

struct fake_store fake_store;
atomic_int fake_store_hurried;
_Atomic int64_t fake_store_boost_until;

enum role { LOCAL, MAIN, BOOST, READER };

struct store {
    enum role role;
    bool read_only;
    bool open; /* the poller_time row */
    uint64_t row_id;
    bool has_thread;
    pthread_t thread;
    int writes;
};

static struct thr_mutex lock = THR_MUTEX_INITIALIZER; /* of what is kept below */
static _Thread_local bool announced;                  /* db_thread_start() */

/* ---- the calls ---- */

/* false: read-only. */
static bool note_call(struct store *s, const char *what)
{
    bool load = strcmp(what, "load") == 0; /* with one connection, also by the loader */
    if (!s->has_thread && !load)
        s->thread = pthread_self();
    s->has_thread = s->has_thread || !load;
    CHECK(load || pthread_equal(s->thread, pthread_self()));
    CHECK(announced);
    if (s->read_only && !load && strcmp(what, "explain") != 0)
        return false;
    struct buf *calls[] = {&fake_store.calls, &fake_store.main_calls, &fake_store.boost_calls,
                           &fake_store.reader_calls};
    struct buf *c = calls[s->role];
    size_t n = strlen(what);
    thr_lock(&lock);
    if (c->len < n + 1 || strncmp(c->data + c->len - n - 1, what, n) != 0)
        buf_printf(c, "%s ", what);
    thr_unlock(&lock);
    return true;
}

static bool main_is_gone(const struct store *s)
{
    return s->role == MAIN && (fake_store.main_is_gone || fake_store.main_takes == 0);
}

/* ---- the devices ---- */

void roster_done(struct roster *r)
{
    free(r->entries);
    memset(r, 0, sizeof(*r));
}

static struct device *make_device(uint32_t id, const struct fake_group *g)
{
    struct device *d = device_new();
    d->id = id;
    d->device_threads = g->threads == 0 ? 1 : g->threads;
    d->max_oids = 10;
    d->availability_method = g->method;
    d->ping_method = 2;
    d->status = (struct device_status){.status = g->status, .last_error = "", .min_time = 9.99999};
    d->item_count = (size_t)g->items;
    d->snmp = (struct target){.hostname = arena_strdup(&d->memory, g->hostname),
                              .port = 161,
                              .version = 2,
                              .timeout_ms = 500,
                              .community = g->community == NULL ? "public" : g->community,
                              .username = "",
                              .password = "",
                              .auth_protocol = "",
                              .priv_passphrase = "",
                              .priv_protocol = "",
                              .context = "",
                              .engine_id = ""};
    d->items = arena_zalloc(&d->memory, (size_t)g->items * sizeof(d->items[0]) + 1);
    for (uint32_t i = 0; i < d->item_count; i++) {
        const uint32_t numbers[OID_SUBS] = {1, 3, 6, 1, 4, 1, 99, id, i};
        uint32_t *sub = arena_zalloc(&d->memory, sizeof(numbers));
        memcpy(sub, numbers, sizeof(numbers));
        d->items[i] = (struct item){.local_data_id = id * 1000 + i,
                                    .action = ITEM_SNMP,
                                    .rrd_name = "traffic_in",
                                    .arg1 = "arg1",
                                    .target = &d->snmp,
                                    .oid = {sub, OID_SUBS}};
        if (i + (uint32_t)g->sleepers < d->item_count)
            continue;
        d->items[i].action = ITEM_SCRIPT;
        d->items[i].arg1 = "exec sleep 600";
    }
    return d;
}

static bool is_selected(const struct selection *sel, uint32_t id)
{
    return !sel->has_range || (id >= sel->first && id <= sel->last);
}

/* Ids count through the groups from 1 on; NULL: there is none. */
static const struct fake_group *group_of(uint32_t id)
{
    const struct fake_group *g = fake_store.groups;
    uint32_t last = 0;
    for (int i = 0; i < FAKE_GROUPS_MAX && g[i].hostname != NULL; i++) {
        last += (uint32_t)g[i].devices;
        if (id <= last)
            return &g[i];
    }
    return NULL;
}

bool store_load_roster(struct store *s, const struct selection *sel, struct roster *ret,
                       struct err *err)
{
    const struct fake_group *g;
    CHECK(sel->poller_id > 0);
    note_call(s, "load");
    if (fake_store.load_fails)
        return err_set(err, ERR_UNAVAILABLE, "fake: cannot load");
    uint32_t id = 1;
    while (group_of(id) != NULL)
        id++;
    *ret = (struct roster){.entries = mem_zalloc(id, sizeof(ret->entries[0]))};
    for (id = 1; (g = group_of(id)) != NULL; id++)
        if (is_selected(sel, id))
            ret->entries[ret->count++] = (struct roster_entry){
                .id = id, .deleted = g->deleted, .was_down = g->status == HOST_DOWN};
    return true;
}

bool store_load_devices(struct store *s, const struct selection *sel UNUSED, const uint32_t *ids,
                        size_t count, struct device **ret, struct err *err)
{
    note_call(s, "load");
    if (fake_store.slices_end_at > 0 && ids[0] >= fake_store.slices_end_at)
        return err_set(err, ERR_UNAVAILABLE, "fake: cannot load a slice");
    for (size_t i = 0; i < count; i++) {
        CHECK(!group_of(ids[i])->deleted);
        ret[i] = ids[i] == fake_store.gone ? NULL : make_device(ids[i], group_of(ids[i]));
    }
    return true;
}

bool store_explain_absent(struct store *s, int poller_id UNUSED, const uint32_t *ids UNUSED,
                          size_t count UNUSED, store_absent_fn *fn UNUSED, void *arg UNUSED,
                          struct err *err UNUSED)
{
    note_call(s, "explain");
    return true;
}

/* ---- writing ---- */

bool store_open_cycle(struct store *s, struct store_row *row, struct err *err)
{
    CHECK(row->poller_id > 0 && row->pid == (int)getpid() && row->id == 0);
    if (!note_call(s, "open"))
        return true;
    CHECK(!s->open);
    if (fake_store.open_fails || (s->role == MAIN && fake_store.main_is_gone))
        return err_set(err, ERR_UNAVAILABLE, "fake: cannot open");
    s->open = true;
    thr_lock(&lock);
    s->row_id = ++fake_store.last_row;
    fake_store.open_rows |= UINT64_C(1) << s->row_id;
    thr_unlock(&lock);
    if (fake_store.open_unanswered)
        return err_set(err, ERR_UNAVAILABLE, "fake: no answer");
    row->id = s->row_id;
    return true;
}

bool store_close_cycle(struct store *s, const struct store_row *row, struct err *err)
{
    if (!note_call(s, "close"))
        return true;
    CHECK(s->open || fake_store.open_fails); /* it may be open though nothing said so */
    if (fake_store.late)
        fake_snmp_bring_back();
    CHECK(row->id == (fake_store.open_unanswered ? 0 : s->row_id));
    thr_lock(&lock);
    fake_store.open_rows &= ~(UINT64_C(1) << s->row_id);
    thr_unlock(&lock);
    s->open = false;
    return !fake_store.close_fails || err_set(err, ERR_TEMPORARY, "fake: cannot close");
}

bool store_write_date(struct store *s, struct err *err)
{
    if (!note_call(s, "date"))
        return true;
    CHECK(s->open);
    return !fake_store.date_fails || err_set(err, ERR_TEMPORARY, "fake: no date");
}

static void keep_rows(const struct batch *b, size_t count, const char *how)
{
    for (size_t i = 0; i < count; i++) {
        const struct output_row *r = &b->rows[i];
        char value[16];
        snprintf(value, sizeof(value), "%" PRIu32, r->local_data_id);
        CHECK(strcmp(r->rrd_name, "traffic_in") == 0 && r->time > 1600000000);
        CHECK(strcmp(r->output, value) == 0 || strcmp(r->output, "U") == 0);
        buf_printf(&fake_store.results, "%s %" PRIu32 " %s\n", how, r->local_data_id, r->output);
    }
}

static void keep_hosts(const struct batch *b)
{
    for (size_t i = 0; i < b->host_count; i++) {
        const struct host_row *h = &b->hosts[i];
        buf_printf(&fake_store.results,
                   "host %" PRIu32 " status %d polls %" PRId64 " failed %" PRId64 " %s\n",
                   h->device_id, h->status.status, h->status.total_polls, h->status.failed_polls,
                   h->status.last_error);
    }
    fake_store.hosts += b->host_count;
}

/* How many rows it takes. */
static size_t take_rows(const struct store *s, size_t wanted)
{
    if (main_is_gone(s))
        return 0;
    if (s->role != MAIN || fake_store.main_takes < 0)
        return wanted;
    size_t taken = wanted < (size_t)fake_store.main_takes ? wanted : (size_t)fake_store.main_takes;
    fake_store.main_takes -= (int)taken;
    return taken;
}

bool store_write(struct store *s, const struct batch *b, bool boost UNUSED,
                 struct store_outcome *ret, struct err *err)
{
    *ret = (struct store_outcome){0};
    if (!note_call(s, b->recache_count > 0 && s->role == MAIN ? "recache" : "write"))
        return true;
    CHECK(s->open || (fake_store.remote && s->role == LOCAL && b->row_count == 0));
    CHECK(s->role != MAIN || b->host_count + b->assert_count == 0);
    s->writes++;
    if (fake_store.slow > 0 && s->writes == 1)
        fake_snmp_wait_backlog(fake_store.slow, WAIT_MS);
    fake_snmp_written(b->row_count);
    if (s->writes == fake_store.write_fails) {
        ret->rows_left = b->row_count;
        return err_set(err, ERR_TEMPORARY, "fake: disk full");
    }
    thr_lock(&lock);
    ret->rows_stored = take_rows(s, b->row_count);
    ret->rows_left = b->row_count - ret->rows_stored;
    keep_rows(b, ret->rows_stored, "row");
    keep_hosts(b);
    fake_store.rows += ret->rows_stored;
    thr_unlock(&lock);
    return ret->rows_left == 0 || err_set(err, ERR_UNAVAILABLE, "fake: gone");
}

bool store_write_boost(struct store *s, const struct batch *b, struct store_outcome *ret,
                       struct err *err)
{
    *ret = (struct store_outcome){0};
    CHECK(s->role == BOOST && b->host_count + b->assert_count == 0);
    CHECK(note_call(s, "write"));
    CHECK(b->recache_count == 0 || note_call(s, "recache"));
    if (fake_store.boost_fails) {
        ret->rows_left = b->row_count;
        return err_set(err, ERR_TEMPORARY, "fake: no boost");
    }
    thr_lock(&lock);
    keep_rows(b, b->row_count, "kept");
    fake_store.kept += b->row_count;
    thr_unlock(&lock);
    ret->rows_stored = b->row_count;
    return true;
}

static bool push(const struct store *from, struct store *to, const char *what, struct err *err)
{
    CHECK(from->role == LOCAL && to->role == MAIN && !to->read_only);
    CHECK(note_call(to, what));
    return !main_is_gone(to) || err_set(err, ERR_UNAVAILABLE, "fake: gone");
}

bool store_push_hosts(struct store *from, struct store *to, int poller_id UNUSED,
                      const uint32_t *ids UNUSED, size_t count UNUSED, struct err *err)
{
    return push(from, to, "hosts", err);
}

bool store_push_steps(struct store *from, struct store *to, int poller_id UNUSED, struct err *err)
{
    return push(from, to, "steps", err);
}

bool store_advance_steps(struct store *s, int poller_id UNUSED, int64_t interval_s UNUSED,
                         const uint32_t *device_ids, size_t count, struct err *err)
{
    if (!note_call(s, "advance"))
        return true;
    CHECK(s->open || fake_store.remote);
    if (fake_store.advance_fails)
        return err_set(err, ERR_TEMPORARY, "fake: no advance");
    thr_lock(&lock);
    for (size_t i = 0; i < count; i++)
        buf_printf(&fake_store.results, "advance %" PRIu32 "\n", device_ids[i]);
    thr_unlock(&lock);
    return true;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void fake_store_sort(void)
{
    size_t n = 0, cap = 1;
    char *text = buf_take(&fake_store.results), *rest = text;
    for (const char *p = text; *p != '\0'; p++)
        cap += *p == '\n';
    char **lines = mem_zalloc(cap, sizeof(lines[0]));
    while (rest != NULL && *rest != '\0')
        lines[n++] = strsep(&rest, "\n");
    qsort(lines, n, sizeof(lines[0]), compare_lines);
    for (size_t i = 0; i < n; i++) {
        CHECK(i == 0 || strcmp(lines[i], lines[i - 1]) != 0); /* nothing is written twice */
        buf_printf(&fake_store.results, "%s\n", lines[i]);
    }
    free(lines);
    free(text);
}

/* ---- the connection ---- */

struct store *store_open(const struct db_params *params UNUSED, int64_t deadline_mono_ms UNUSED,
                         struct err *err UNUSED)
{
    return mem_zalloc(1, sizeof(struct store));
}

struct store *store_new(const struct db_params *params)
{
    struct store *s = mem_zalloc(1, sizeof(*s));
    s->role = strcmp(params->host, "main") == 0 ? MAIN : BOOST;
    return s;
}

bool store_reach(struct store *s, struct err *err)
{
    CHECK(s->read_only && announced);
    s->role = READER; /* no other store is connected in this way */
    return !fake_store.reader_refused ||
           err_set(err, ERR_UNAVAILABLE, "fake: too many connections");
}

bool store_load_threads(struct store *s, int poller_id UNUSED, int *ret, struct err *err)
{
    CHECK(s->role == MAIN && announced);
    *ret = 7;
    return !main_is_gone(s) || err_set(err, ERR_UNAVAILABLE, "fake: gone");
}

bool store_load_widths(struct store *s, size_t *ret_output, size_t *ret_boost, struct err *err)
{
    CHECK(s->role != BOOST && announced);
    *ret_output = s->role == MAIN ? 900 : 0;
    *ret_boost = s->role == MAIN ? 600 : 0;
    return !main_is_gone(s) || err_set(err, ERR_UNAVAILABLE, "fake: gone");
}

void store_close(struct store *s)
{
    CHECK(s == NULL || !s->open); /* poller_time is closed, whatever happened */
    free(s);
}

void store_set_deadline(struct store *s, int64_t deadline_mono_ms)
{
    if (s->role == BOOST)
        fake_store_boost_until = deadline_mono_ms;
}

void store_grant(struct store *s UNUSED, int64_t at_least_ms)
{
    CHECK(at_least_ms > 0);
}

void store_grant_last(struct store *s UNUSED, int64_t at_least_ms)
{
    CHECK(at_least_ms > 0);
}

void store_set_latest(struct store *s UNUSED, int64_t latest_mono_ms UNUSED)
{
}

void store_hurry(struct store *s UNUSED, int64_t deadline_mono_ms UNUSED, int64_t latest_mono_ms)
{
    if (latest_mono_ms != INT64_MAX)
        atomic_fetch_add(&fake_store_hurried, 1);
}

void store_set_patience(struct store *s UNUSED, int64_t patience_ms)
{
    CHECK(patience_ms > 0);
}

void store_set_listener(struct store *s UNUSED, store_event_fn *on_event UNUSED, void *arg UNUSED)
{
}

void store_set_gate(struct store *s UNUSED, store_gate_fn *gate UNUSED, void *arg UNUSED)
{
}

void store_set_poller(struct store *s UNUSED, int poller_id)
{
    CHECK(poller_id > 0);
}

void store_set_read_only(struct store *s, bool on)
{
    s->read_only = on;
}

bool store_load_settings(struct store *s UNUSED, int poller_id UNUSED,
                         store_setting_fn *on_setting UNUSED, void *arg UNUSED,
                         struct err *err UNUSED)
{
    return true;
}

void db_thread_start(void)
{
    CHECK(!announced);
    announced = true;
}

void db_thread_stop(void)
{
    CHECK(announced);
    announced = false;
}

bool db_library_start(struct err *err UNUSED)
{
    return true;
}

void db_library_stop(void)
{
}

const char *db_client_version(void)
{
    return "fake";
}

void db_set_trace(void (*trace)(const char *sql, size_t len) UNUSED)
{
}
