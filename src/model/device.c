#include "config.h"

#include "model/device.h"

#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct device *device_new(void)
{
    struct device *d = mem_zalloc(1, sizeof(*d));
    d->memory = (struct arena)ARENA_INIT;
    d->references = 1;
    return d;
}

/* Who holds a reference sees the device as const; only the count changes. */
static struct device *device_counted(const struct device *d)
{
    return (struct device *)(uintptr_t)d;
}

const struct device *device_ref(const struct device *d)
{
    device_counted(d)->references++;
    return d;
}

void device_unref(const struct device *d)
{
    if (d == NULL || --device_counted(d)->references > 0)
        return;
    struct device *last = device_counted(d);
    arena_done(&last->memory);
    free(last);
}

bool item_is_script(const struct item *item)
{
    return item->action == ITEM_SCRIPT || item->action == ITEM_SERVER;
}

bool item_step_fits(const struct item *item, int64_t interval_s)
{
    return item->step_s <= 0 || interval_s <= 0 || item->step_s % interval_s == 0;
}

bool reindex_is_script(const struct reindex_row *row)
{
    return row->action == REINDEX_SCRIPT || row->action == REINDEX_SCRIPT_COUNT ||
           row->action == REINDEX_SERVER || row->action == REINDEX_SERVER_COUNT;
}

bool device_asks_scripts(const struct device *d)
{
    for (size_t i = 0; i < d->item_count; i++)
        if (item_is_script(&d->items[i]))
            return true;
    for (size_t i = 0; i < d->reindex_count; i++)
        if (reindex_is_script(&d->reindex[i]))
            return true;
    return false;
}

int item_compare(const void *a, const void *b)
{
    const struct item *x = a;
    const struct item *y = b;
    int c = target_compare(x->target, y->target);
    if (c == 0)
        c = (x->local_data_id > y->local_data_id) - (x->local_data_id < y->local_data_id);
    if (c == 0)
        c = strcmp(x->rrd_name, y->rrd_name);
    return c;
}
