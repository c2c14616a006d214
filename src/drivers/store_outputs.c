#include "config.h"

#include "drivers/store.h"

#include "store_private.h"

/* Ids in one statement. */
enum { OUTPUTS_AT_MOST = 1000 };

struct outputs {
    store_output_fn *fn;
    void *arg;
};

static bool outputs_row(void *arg, const char *const *fields, const size_t *lengths)
{
    struct outputs *o = arg;
    struct output_row row = {.rrd_name = fields[1] == NULL ? "" : fields[1],
                             .output = fields[2] == NULL ? "" : fields[2],
                             .output_len = fields[2] == NULL ? 0 : lengths[2]};
    if (fields[0] != NULL && store_field_id(fields[0], &row.local_data_id))
        o->fn(o->arg, &row);
    return true;
}

bool store_load_outputs(struct store *s, const uint32_t *ids, size_t count, store_output_fn *fn,
                        void *arg, struct err *err)
{
    struct outputs o = {fn, arg};
    const struct db_reader reader = {.columns = 3, .on_row = outputs_row, .arg = &o};
    bool ok = true;
    for (size_t at = 0; ok && at < count; at += OUTPUTS_AT_MOST) {
        struct buf sql = BUF_INIT;
        size_t end = count - at < OUTPUTS_AT_MOST ? count : at + OUTPUTS_AT_MOST;
        buf_puts(&sql, "SELECT local_data_id,rrd_name,output FROM poller_output "
                       "WHERE local_data_id IN (");
        for (size_t i = at; i < end; i++)
            buf_printf(&sql, "%s%u", i == at ? "" : ",", (unsigned)ids[i]);
        buf_puts(&sql, ") ORDER BY local_data_id,rrd_name,time");
        ok = store_query(s, "cannot read the results of the last cycle", &sql, &reader, err);
        buf_done(&sql);
    }
    return ok;
}
