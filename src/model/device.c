#include "config.h"

#include "model/device.h"

#include <string.h>

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
