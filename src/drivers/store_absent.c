#include "config.h"

#include "drivers/store.h"

#include "store_private.h"

#include "base/num.h"

#include <string.h>

/* Lists longer than this are not explained id by id. */
enum { ABSENT_AT_MOST = 1000 };

struct absent {
    int poller_id;
    const uint32_t *ids;
    bool *found;
    size_t count;
    store_absent_fn *fn;
    void *arg;
};

#define ABSENT_COLUMNS "id,deleted,disabled,poller_id"
#define ABSENT_WIDTH   4

static enum store_absence absent_why(const struct absent *a, const char *const *fields)
{
    if (fields[1] != NULL && strcmp(fields[1], "on") == 0)
        return STORE_ABSENT_DELETED;
    if (fields[2] != NULL && strcmp(fields[2], "on") == 0)
        return STORE_ABSENT_DISABLED;
    if (fields[3] != NULL && num_leading(fields[3]) != a->poller_id)
        return STORE_ABSENT_ELSEWHERE;
    return STORE_ABSENT_SITE;
}

static bool absent_row(void *arg, const char *const *fields, const size_t *lengths UNUSED)
{
    struct absent *a = arg;
    uint32_t id = fields[0] == NULL ? 0 : (uint32_t)num_leading(fields[0]);
    for (size_t i = 0; i < a->count; i++) {
        if (a->ids[i] != id || a->found[i])
            continue;
        a->found[i] = true;
        a->fn(a->arg, id, absent_why(a, fields),
              fields[3] == NULL ? 0 : (int)num_leading(fields[3]));
    }
    return true;
}

bool store_explain_absent(struct store *s, int poller_id, const uint32_t *ids, size_t count,
                          store_absent_fn *fn, void *arg, struct err *err)
{
    bool found[ABSENT_AT_MOST] = {false};
    struct absent a = {poller_id, ids, found, count, fn, arg};
    const struct db_reader reader = {.columns = ABSENT_WIDTH, .on_row = absent_row, .arg = &a};
    struct buf sql = BUF_INIT;
    if (a.count > ABSENT_AT_MOST)
        a.count = ABSENT_AT_MOST;
    if (a.count == 0)
        return true;
    buf_puts(&sql, "SELECT " ABSENT_COLUMNS " FROM host WHERE id IN (");
    for (size_t i = 0; i < a.count; i++)
        buf_printf(&sql, "%s%u", i == 0 ? "" : ",", (unsigned)ids[i]);
    buf_putc(&sql, ')');
    bool ok = store_query(s, "cannot look for the devices that were asked for", &sql, &reader, err);
    buf_done(&sql);
    for (size_t i = 0; ok && i < a.count; i++)
        if (!found[i])
            fn(arg, ids[i], STORE_ABSENT_UNKNOWN, 0);
    return ok;
}
