#include "config.h"

#include "drivers/store.h"

#include "store_private.h"

#include "base/mem.h"
#include "base/num.h"

#include <stdlib.h>
#include <string.h>

#define LIST_IN_SQL 1000 /* ids; longer lists are asked for as a range and filtered here */

struct roster_load {
    const struct selection *sel;
    uint32_t *ids; /* of the list, ascending */
    bool zero;     /* device 0 has items */
    struct roster roster;
    size_t cap;
};

static bool roster_in_list(const struct roster_load *l, uint32_t device_id)
{
    return l->ids == NULL ||
           bsearch(&device_id, l->ids, l->sel->id_count, sizeof(*l->ids), num_compare_u32) != NULL;
}

/* Device 0 belongs to the selection (docs/contract.md 5.3). */
static bool roster_wants_zero(const struct roster_load *l)
{
    const struct selection *sel = l->sel;
    return sel->poller_id == 1 &&
           (l->ids != NULL ? roster_in_list(l, 0) : !sel->has_range || sel->first == 0);
}

static void roster_add(struct roster_load *l, const struct roster_entry *entry)
{
    struct roster *r = &l->roster;
    r->entries = mem_grow(r->entries, r->count, &l->cap, 64, sizeof(r->entries[0]));
    r->entries[r->count++] = *entry;
}

static bool roster_zero_row(void *arg, const char *const *fields UNUSED,
                            const size_t *lengths UNUSED)
{
    struct roster_load *l = arg;
    l->zero = true;
    return true;
}

/* It exists when it has items, also if none is due: their steps are advanced. */
static bool roster_look_for_zero(struct store *s, struct roster_load *l, struct err *err)
{
    const struct db_reader reader = {.columns = 1, .on_row = roster_zero_row, .arg = l};
    if (!roster_wants_zero(l))
        return true;
    struct buf sql = BUF_INIT;
    buf_puts(&sql, "SELECT 1 FROM poller_item WHERE host_id=0 AND poller_id=1 LIMIT 1");
    bool ok = store_query(s, "cannot read the poller items", &sql, &reader, err);
    buf_done(&sql);
    return ok;
}

static void roster_restart(void *arg)
{
    struct roster_load *l = arg;
    l->roster.count = 0;
    if (l->zero)
        roster_add(l, &(struct roster_entry){.id = 0});
}

static bool roster_row(void *arg, const char *const *f, const size_t *lengths UNUSED)
{
    struct roster_load *l = arg;
    struct roster_entry entry = {.deleted = f[1] != NULL && f[1][0] != '\0',
                                 .was_down =
                                     store_field_number(f[2], HOST_UP, 0, UINT8_MAX) == HOST_DOWN};
    if (store_field_id(f[0], &entry.id) && entry.id != 0 && roster_in_list(l, entry.id))
        roster_add(l, &entry);
    return true;
}

void store_add_enabled(const struct store *s, int poller_id, struct buf *sql)
{
    buf_printf(sql, "disabled='' AND poller_id=%d", poller_id);
    if (s->sites_can_be_disabled > 0) /* docs/contract.md 5.2 */
        buf_puts(sql, " AND NOT EXISTS (SELECT 1 FROM sites AS s WHERE s.id=host.site_id AND "
                      "s.disabled='on')");
}

/* false: it is all devices. */
static bool roster_add_selection(const struct roster_load *l, struct buf *sql)
{
    const struct selection *sel = l->sel;
    if (sel->id_count > LIST_IN_SQL)
        buf_printf(sql, "id BETWEEN %u AND %u", l->ids[0], l->ids[sel->id_count - 1]);
    else if (sel->id_count > 0)
        for (size_t i = 0; i < sel->id_count; i++)
            buf_printf(sql, "%s%u", i == 0 ? "id IN (" : ",", l->ids[i]);
    else if (sel->has_range)
        buf_printf(sql, "id BETWEEN %u AND %u", sel->first, sel->last);
    else
        return false;
    if (sel->id_count > 0 && sel->id_count <= LIST_IN_SQL)
        buf_putc(sql, ')');
    return true;
}

/* Where ids are given they lead to the rows: "+0" makes the other conditions unfit for an index, because by the one on
 * `disabled` a server would find nearly all devices, and each of them by a search of its own. */
static void roster_add_where(struct store *s, const struct roster_load *l, struct buf *sql)
{
    bool some = roster_add_selection(l, sql);
    buf_puts(sql, some ? " AND (" : "");
    store_add_enabled(s, l->sel->poller_id, sql);
    buf_puts(sql, some ? ")+0" : "");
}

static bool roster_load_entries(struct store *s, struct roster_load *l, struct err *err)
{
    const struct db_reader reader = {
        .columns = 3, .on_row = roster_row, .restart = roster_restart, .arg = l};
    struct buf sql = BUF_INIT;
    buf_puts(&sql, "SELECT id,deleted,status FROM host WHERE ");
    roster_add_where(s, l, &sql);
    buf_printf(&sql, " ORDER BY %spolling_time DESC,id",
               l->sel->down_first ? "status=1 DESC," : "");
    bool ok = store_query(s, "cannot read the devices", &sql, &reader, err);
    buf_done(&sql);
    return ok;
}

bool store_load_roster(struct store *s, const struct selection *sel, struct roster *ret,
                       struct err *err)
{
    struct roster_load l = {.sel = sel};
    if (sel->id_count > 0) {
        l.ids = mem_zalloc(sel->id_count, sizeof(*l.ids));
        memcpy(l.ids, sel->ids, sel->id_count * sizeof(*l.ids));
        qsort(l.ids, sel->id_count, sizeof(*l.ids), num_compare_u32);
    }
    bool ok = store_know_schema(s, err) && roster_look_for_zero(s, &l, err) &&
              roster_load_entries(s, &l, err);
    free(l.ids);
    if (ok)
        *ret = l.roster;
    else
        roster_done(&l.roster);
    return ok;
}

void roster_done(struct roster *r)
{
    free(r->entries);
    *r = (struct roster){NULL, 0};
}
