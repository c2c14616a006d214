#include "config.h"

#include "drivers/store.h"

#include "store_private.h"

#include "base/mem.h"
#include "base/num.h"
#include "model/pushtext.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define HOSTS_AT_ONCE 1000 /* read and written in one go */
#define STEPS_AT_MOST 5000 /* of a statement */

static uint32_t id_of(const char *text)
{
    int64_t id = text == NULL ? 0 : num_leading(text);
    return id < 0 || id > UINT32_MAX ? 0 : (uint32_t)id;
}

/* ---- how many threads ---- */

static bool threads_row(void *arg, const char *const *fields, const size_t *lengths UNUSED)
{
    int64_t threads = fields[0] == NULL ? 0 : num_leading(fields[0]);
    *(int *)arg = threads < 0 ? 0 : threads > INT_MAX ? INT_MAX : (int)threads;
    return true;
}

bool store_load_threads(struct store *s, int poller_id, int *ret, struct err *err)
{
    int threads = 0;
    const struct db_reader reader = {.columns = 1, .on_row = threads_row, .arg = &threads};
    struct buf sql = BUF_INIT;
    buf_printf(&sql, "SELECT threads FROM poller WHERE id=%d", poller_id);
    bool ok = store_query(s, "cannot read the table poller", &sql, &reader, err);
    buf_done(&sql);
    if (ok)
        *ret = threads;
    return ok;
}

/* ---- status of devices ---- */

struct slice {
    struct arena text;
    struct pushed_host *hosts;
    size_t count;
    size_t seen;         /* rows of the slice, wanted or not */
    uint32_t after;      /* the slice's ids are larger */
    uint32_t last;       /* the largest so far */
    const uint32_t *ids; /* sorted; NULL = all */
    size_t id_count;
};

static int compare_id(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void forget_slice(void *arg)
{
    struct slice *s = arg;
    arena_done(&s->text);
    s->count = s->seen = 0;
    s->last = s->after;
}

static bool host_row(void *arg, const char *const *fields, const size_t *lengths)
{
    struct slice *s = arg;
    uint32_t id = id_of(fields[0]);
    s->seen++;
    s->last = id;
    if (s->ids != NULL && bsearch(&id, s->ids, s->id_count, sizeof(id), compare_id) == NULL)
        return true;
    struct pushed_host *h = &s->hosts[s->count++];
    h->id = id;
    for (size_t i = 0; i < PUSHTEXT_HOST_FIELDS; i++) {
        h->lengths[i] = lengths[i + 1];
        h->fields[i] =
            fields[i + 1] == NULL ? NULL : arena_strndup(&s->text, fields[i + 1], lengths[i + 1]);
    }
    return true;
}

static size_t remote_build_hosts(struct store *s, const struct job *job, size_t at,
                                 const struct sqltext_limits *limits, struct buf *sql)
{
    const struct pushed_host *rows = job->rows;
    return pushtext_hosts(sql, rows + at, job->count - at, limits, db_escape, s->db);
}

static bool push_slice(struct store *from, struct store *to, int poller_id, struct slice *slice,
                       struct err *err)
{
    const struct db_reader reader = {.columns = 1 + PUSHTEXT_HOST_FIELDS,
                                     .on_row = host_row,
                                     .restart = forget_slice,
                                     .arg = slice};
    struct buf sql = BUF_INIT;
    slice->after = slice->last;
    pushtext_select_hosts(&sql, poller_id, slice->after, HOSTS_AT_ONCE);
    bool ok = store_query(from, "cannot read the status of the devices", &sql, &reader, err);
    buf_done(&sql);
    struct job job = {.table = "host on the main server",
                      .build = remote_build_hosts,
                      .rows = slice->hosts,
                      .count = slice->count};
    if (ok) {
        store_write_job(to, &job);
        ok = store_report_job(&job, err);
    }
    return ok;
}

bool store_push_hosts(struct store *from, struct store *to, int poller_id, const uint32_t *ids,
                      size_t count, struct err *err)
{
    struct slice slice = {.ids = ids, .id_count = count};
    bool ok = true;
    if (to->read_only)
        return true;
    slice.hosts = mem_zalloc(HOSTS_AT_ONCE, sizeof(slice.hosts[0]));
    do
        ok = push_slice(from, to, poller_id, &slice, err);
    while (ok && slice.seen == HOSTS_AT_ONCE);
    arena_done(&slice.text);
    free(slice.hosts);
    return ok;
}

/* ---- next steps of items ---- */

static void forget_steps(void *arg)
{
    pushed_steps_done(arg);
}

static bool remote_step_row(void *arg, const char *const *fields, const size_t *lengths UNUSED)
{
    pushed_steps_add(arg, id_of(fields[0]), fields[1] == NULL ? "" : fields[1],
                     fields[2] == NULL ? 0 : num_leading(fields[2]));
    return true;
}

static size_t remote_build_steps(struct store *s, const struct job *job, size_t at,
                                 const struct sqltext_limits *limits, struct buf *sql)
{
    const struct pushed_step *rows = job->rows;
    return pushtext_steps(sql, rows + at, job->count - at, limits, db_escape, s->db);
}

bool store_push_steps(struct store *from, struct store *to, int poller_id, struct err *err)
{
    struct pushed_steps steps = {0};
    const struct db_reader reader = {.columns = PUSHTEXT_STEP_FIELDS,
                                     .on_row = remote_step_row,
                                     .restart = forget_steps,
                                     .arg = &steps};
    struct buf sql = BUF_INIT;
    if (to->read_only)
        return true;
    pushtext_select_steps(&sql, poller_id);
    bool ok = store_query(from, "cannot read the next steps of the items", &sql, &reader, err);
    buf_done(&sql);
    if (ok) {
        pushed_steps_end(&steps);
        struct job job = {.table = "poller_item on the main server",
                          .build = remote_build_steps,
                          .rows = steps.rows,
                          .count = steps.count,
                          .rows_at_most = STEPS_AT_MOST};
        store_write_job(to, &job);
        ok = store_report_job(&job, err);
    }
    pushed_steps_done(&steps);
    return ok;
}
