/* Single things of a plan that can be switched off. */
#include "config.h"

#include "plan.h"

#include "base/compiler.h"

enum { SETTINGS = 15 + PLAN_EARLIER };

size_t plan_parts(const struct plan *p)
{
    return PLAN_DEVICES + PLAN_DB_FAULTS + SETTINGS + p->device_count * (PLAN_ITEMS + 8);
}

static bool drop_flag(bool *flag)
{
    bool was = *flag;
    *flag = false;
    return was;
}

static bool drop_number(int64_t *number, int64_t plain)
{
    bool was = *number != plain;
    *number = plain;
    return was;
}

static bool drop_small(uint32_t *number)
{
    bool was = *number != 0;
    *number = 0;
    return was;
}

static bool drop_int(int *number, int plain)
{
    bool was = *number != plain;
    *number = plain;
    return was;
}

static bool drop_setting(struct plan *p, size_t which)
{
    switch (which) {
    case 0: return drop_number(&p->signal_ms, 0);
    case 1: return drop_number(&p->step_ms, 0);
    case 2: return drop_number(&p->age_ms, 0);
    case 3: return drop_flag(&p->boost);
    case 4: return drop_flag(&p->mibs);
    case 5: return drop_flag(&p->spool);
    case 6: return drop_flag(&p->bulk);
    case 7: return drop_small(&p->starves);
    case 8: return drop_small(&p->yields);
    case 9: return drop_number(&p->db_us, 500);
    case 10: return drop_int(&p->threads, 1);
    case 11: return drop_int(&p->db_connections, 1);
    case 12: return drop_int(&p->active_profiles, 1);
    case 13: return drop_int(&p->retries, 0);
    case 14: return drop_flag(&p->has_list);
    default: return drop_flag(&p->earlier[which - 15].on);
    }
}

static bool drop_of_device(struct plan_device *d, size_t which)
{
    if (!d->on)
        return false;
    if (which < PLAN_ITEMS)
        return which < d->item_count && drop_flag(&d->items[which].on);
    switch (which - PLAN_ITEMS) {
    case 0: return drop_small(&d->loss);
    case 1: return drop_small(&d->late);
    case 2: return drop_small(&d->copies);
    case 3: return drop_small(&d->too_big_above);
    case 4: return drop_flag(&d->reverses);
    case 5: return drop_int(&d->threads, 1);
    case 6: return drop_number(&d->jitter_us, 0);
    default: break;
    }
    bool was = d->reindex_count > 0;
    d->reindex_count = 0;
    return was;
}

bool plan_drop(struct plan *p, size_t part)
{
    if (part < PLAN_DEVICES)
        return part < p->device_count && drop_flag(&p->devices[part].on);
    part -= PLAN_DEVICES;
    if (part < PLAN_DB_FAULTS)
        return part < p->db_fault_count && drop_flag(&p->db[part].on);
    part -= PLAN_DB_FAULTS;
    if (part < SETTINGS)
        return drop_setting(p, part);
    part -= SETTINGS;
    return drop_of_device(&p->devices[part / (PLAN_ITEMS + 8)], part % (PLAN_ITEMS + 8));
}
