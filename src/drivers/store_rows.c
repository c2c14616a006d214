#include "config.h"

#include "drivers/store_rows.h"

#include "store_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct rows_reading {
    store_cycle_fn *on_cycle;
    void *arg;
};

static bool store_cycle_row(void *arg, const char *const *f, const size_t *lengths UNUSED)
{
    const struct rows_reading *r = arg;
    const struct store_cycle cycle = {
        .id = store_field_number(f[0], 0, 0, INT64_MAX),
        .pid = store_field_number(f[1], 0, 0, INT64_MAX),
        .start = f[2] == NULL ? "" : f[2],
        .end = f[3] == NULL ? "" : f[3],
        .open = store_field_number(f[4], 1, 0, 1) != 0,
        .age_s = store_field_number(f[5], 0, 0, INT64_MAX),
        .started_in = store_field_number(f[6], 0, 0, 1) != 0,
        .closed_in = store_field_number(f[7], 0, 0, 1) != 0,
    };
    r->on_cycle(r->arg, &cycle);
    return true;
}

/* Times are whole seconds there: of what is younger than NOW() minus whole seconds it is certain that it is not older. */
bool store_load_cycles(struct store *s, int poller_id, int64_t since_s, store_cycle_fn *on_cycle,
                       void *arg, struct err *err)
{
    struct rows_reading reading = {.on_cycle = on_cycle, .arg = arg};
    const struct db_reader reader = {.columns = 8, .on_row = store_cycle_row, .arg = &reading};
    struct buf sql = BUF_INIT;
    buf_printf(&sql,
               "SELECT id,pid,start_time,end_time,end_time='0000-00-00 00:00:00',"
               "TIMESTAMPDIFF(SECOND,start_time,NOW()),"
               "start_time>NOW()-INTERVAL %" PRId64 " SECOND,end_time>NOW()-INTERVAL %" PRId64
               " SECOND FROM poller_time WHERE poller_id=%d ORDER BY id DESC LIMIT 1000",
               since_s, since_s, poller_id);
    bool ok = store_query(s, "cannot read the rows of poller_time", &sql, &reader, err);
    buf_done(&sql);
    return ok;
}
