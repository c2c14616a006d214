#include "config.h"

#include "model/device.h"

#include <string.h>

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
