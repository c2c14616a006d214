/* A plan out of a seed. */
#include "config.h"

#include "plan.h"

#include "base/compiler.h"
#include "model/device.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

const char *const plan_driver_names[DRIVERS] = {"legacy", "event", "async"};

/* ---- dice ---- */

static uint64_t dice;

static uint32_t roll(uint32_t n)
{
    dice = plan_mix(dice, 3);
    return (uint32_t)((dice >> 20) % n);
}

static bool one_in(uint32_t n)
{
    return roll(n) == 0;
}

static int64_t between(int64_t low, int64_t high)
{
    return low + (int64_t)roll((uint32_t)(high - low + 1));
}

#define PICK(list) ((list)[roll(ARRAY_LEN(list))])

/* ---- the site ---- */

static void make_item(struct plan_device *d, size_t i, bool scripts)
{
    static const enum plan_script ends[] = {
        SCRIPT_GOOD,  SCRIPT_GOOD, SCRIPT_GOOD,   SCRIPT_SILENT, SCRIPT_NAN, SCRIPT_HANGS,
        SCRIPT_STUCK, SCRIPT_OPEN, SCRIPT_FLOODS, SCRIPT_HALF,   SCRIPT_LATE};
    struct plan_item *item = &d->items[i], *before = i > 0 ? &d->items[i - 1] : NULL;
    *item = (struct plan_item){.on = true, .due = !one_in(5), .step_s = 300};
    item->local_data_id = d->id * 100 + (uint32_t)i;
    if (before != NULL && one_in(4)) { /* one more value of the same data source */
        item->local_data_id = before->local_data_id;
        item->field = before->field + 1;
        item->due = before->due;
    }
    if (one_in(20))
        item->missing = true;
    else if (one_in(40))
        item->bad_oid = true;
    else if (one_in(40))
        item->kind = KIND_UNKNOWN;
    else if (scripts && one_in(3))
        item->kind = one_in(3) ? KIND_SERVER : KIND_SCRIPT;
    item->script = PICK(ends);
}

static void make_agent(struct plan_device *d, bool calm)
{
    d->agent = one_in(6) ? AGENT_DEAD : one_in(12) ? AGENT_REFUSES : AGENT_ALIVE;
    d->delay_us = between(100, one_in(4) ? 20000 : 3000);
    d->jitter_us = between(0, d->delay_us);
    d->copies = one_in(4) ? 300 : 0;
    d->reverses = one_in(6);
    d->too_big_above = one_in(5) ? (uint32_t)between(1, 5) : 0;
    if (calm)
        return;
    if (one_in(3))
        d->loss = (uint32_t)between(20, 500);
    if (one_in(5))
        d->late = (uint32_t)between(20, 400);
    if (one_in(6)) {
        d->agent = one_in(2) ? AGENT_DIES : AGENT_RETURNS;
        d->agent_ms = between(1, 3000);
    }
}

static void make_device(struct plan_device *d, uint32_t id, bool calm, bool scripts)
{
    static const int versions[] = {2, 2, 2, 1, 1, 3}, statuses[] = {0, 1, 1, 2, 2, 3, 3, 3, 3, 3};
    static const int methods[] = {0, 1, 2, 2, 2, 3, 4, 5, 6, 6, 7};
    static const int timeouts[] = {100, 200, 500, 1000};
    *d = (struct plan_device){.on = true, .id = id, .deleted = one_in(30)};
    d->version = PICK(versions);
    d->timeout_ms = PICK(timeouts);
    d->max_oids = (int)between(1, 10);
    d->threads = one_in(3) ? (int)between(2, 4) : 1;
    d->method = PICK(methods);
    d->ping_method = (int)between(1, 3);
    d->ping_timeout_ms = PICK(timeouts);
    d->ping_retries = (int)between(0, 2);
    d->status = PICK(statuses);
    d->event_count = between(0, 4);
    d->failed_polls = between(0, 50);
    d->total_polls = d->failed_polls + between(0, 200);
    d->min_time = one_in(2) ? 9.99999 : 0.5;
    d->max_time = (double)between(0, 300);
    d->avg_time = (double)between(0, 90);
    make_agent(d, calm);
    d->item_count = one_in(8) ? 0 : (size_t)between(1, one_in(3) ? PLAN_ITEMS : 6);
    for (size_t i = 0; i < d->item_count; i++)
        make_item(d, i, scripts);
    d->reindex_count = one_in(4) ? (size_t)between(1, PLAN_REINDEX) : 0;
    for (size_t i = 0; i < d->reindex_count; i++) {
        static const char ops[] = {'=', '=', '<', '>'};
        d->reindex[i].on = true;
        d->reindex[i].op = PICK(ops);
        d->reindex[i].expected = (int64_t)id * 1000 + 90 + (int64_t)i + between(-1, 1);
    }
}

/* ---- what goes wrong ---- */

static void make_db_fault(struct plan_db_fault *f)
{
    static const int numbers[] = {1213, 1205, 1213, 2006, 2013, 1053, 1047, 1114, 1040, 1153,
                                  1366, 1064, 1290, 1146, 1836, 2027, 1927, 1020, 1317, 1412};
    static const enum plan_db_fault_kind kinds[] = {
        DB_FAILS_BEFORE, DB_FAILS_BEFORE, DB_FAILS_AFTER, DB_SLOW, DB_AWAY, DB_SILENT};
    *f = (struct plan_db_fault){.on = true, .kind = PICK(kinds), .number = PICK(numbers)};
    f->at_ms = one_in(3) ? between(0, 20) : between(0, 1500);
    f->times = one_in(3) ? (int)between(1, 12) : 1;
    f->ms = one_in(6) ? between(1, 60000) : between(1, 4000);
    if (one_in(40)) {
        f->kind = DB_STUCK;
        f->times = 1; /* the watchdog ends a process of which all connections are stuck */
    }
    /* What was carried out is not refused for what it says. */
    if (f->kind == DB_FAILS_AFTER)
        f->number = one_in(2) ? 2013 : 2006;
}

static void make_faults(struct plan *p)
{
    if (one_in(2)) {
        p->db_fault_count = (size_t)between(1, PLAN_DB_FAULTS);
        for (size_t i = 0, stuck = 0; i < p->db_fault_count; i++) {
            make_db_fault(&p->db[i]);
            if (p->db[i].kind == DB_STUCK && stuck++ > 0)
                p->db[i].kind = DB_SLOW;
        }
    }
    if (one_in(5)) {
        p->signal_ms = one_in(2) ? between(1, 40) : between(1, 1500);
        p->signal = one_in(2) ? SIGTERM : SIGINT;
    }
    if (one_in(5)) /* polling ends soon */
        p->age_ms =
            (int64_t)p->interval_s * 1000 - between(3500, 20000) - (int64_t)p->interval_s * 40;
    if (p->age_ms < 0)
        p->age_ms = 0;
    if (one_in(6)) {
        p->step_ms = between(1, 1000);
        p->step_by_s = one_in(2) ? between(1, 7200) : -between(1, 7200);
    }
    for (size_t d = 0; one_in(6) && d < p->device_count; d++)
        if (p->devices[d].item_count > 0)
            p->devices[d].items[0].refused = true;
}

static void make_settings(struct plan *p)
{
    static const int intervals[] = {300, 300, 60, 60, 30, 20};
    p->interval_s = PICK(intervals);
    p->threads = (int)between(1, 6);
    p->retries = (int)between(0, 3);
    p->failure_count = (int)between(1, 3);
    p->recovery_count = (int)between(1, 3);
    p->active_profiles = (int)between(1, 2);
    p->address_limit = (int)between(1, 3);
    p->db_connections = (int)between(1, 4);
    p->php_servers = (int)between(1, 3);
    p->max_scripts = (int)between(1, 6);
    p->script_timeout_s = (int)between(1, 3);
    p->boost = one_in(4);
    p->read_only = one_in(25);
    p->ping_only = one_in(40);
    p->bulk = one_in(2);
    p->spool = one_in(4);
    p->mibs = one_in(8);
    p->db_us = between(50, one_in(4) ? 60000 : 3000);
    p->yields = one_in(4) ? 0 : (uint32_t)between(0, 300);
    p->starves = one_in(3) ? 0 : (uint32_t)between(0, 120);
    p->starve_us = between(1, one_in(5) ? 60000 : 3000);
}

/* From dice of their own, so that a seed's plan stays as it was without them. */
static void make_more(struct plan *p)
{
    dice = plan_mix(p->seed, 4);
    p->has_list = one_in(5);
    for (size_t i = 0; i < p->device_count; i++)
        p->devices[i].listed = !p->devices[i].deleted && !one_in(3);
    for (size_t i = 0; p->spool && one_in(2) && i < PLAN_EARLIER; i++)
        p->earlier[i] = (struct plan_earlier){
            .on = !one_in(4), .expired = one_in(4), .refused = p->db_fault_count > 0 && one_in(4)};
}

bool plan_selects(const struct plan *p, const struct plan_device *d)
{
    bool any = false;
    for (size_t i = 0; i < p->device_count; i++)
        any |= p->devices[i].on && p->devices[i].listed;
    return d->on && (!p->has_list || !any || d->listed);
}

void plan_make(struct plan *p, uint64_t seed)
{
    *p = (struct plan){.seed = seed};
    dice = plan_mix(seed, 1);
    bool calm = one_in(3), scripts = one_in(3);
    p->driver = (enum plan_driver)roll(DRIVERS);
    make_settings(p);
    p->device_count = (size_t)between(1, one_in(4) ? PLAN_DEVICES : 5);
    for (size_t i = 0; i < p->device_count; i++)
        make_device(&p->devices[i], (uint32_t)i + 1, calm, scripts);
    if (!calm)
        make_faults(p);
    make_more(p);
}

/* ---- what is to be expected of it ---- */

int64_t plan_most_ms(const struct plan *p)
{
    int64_t most = 4000 + plan_slack_ms(p) * 10;
    for (size_t i = 0; i < p->device_count; i++) {
        const struct plan_device *d = &p->devices[i];
        bool silent = d->agent != AGENT_ALIVE;
        most += (int64_t)(silent ? 5 : 1) *
                (d->timeout_ms * (p->retries + 1) + d->ping_timeout_ms * (d->ping_retries + 1));
        for (size_t k = 0; k < d->item_count; k++) {
            bool script = d->items[k].kind == KIND_SCRIPT || d->items[k].kind == KIND_SERVER;
            most += (script ? (p->script_timeout_s + 2) * 1000 : 0) + d->delay_us / 100;
        }
    }
    return most;
}

bool plan_is_timeless(const struct plan *p)
{
    if (p->signal_ms > 0 || p->age_ms > 0 || p->step_ms > 0 ||
        plan_most_ms(p) > p->interval_s * INT64_C(800))
        return false;
    for (size_t i = 0; i < p->db_fault_count; i++)
        if (p->db[i].on)
            return false;
    for (size_t i = 0; i < p->device_count; i++) {
        const struct plan_device *d = &p->devices[i];
        if (!d->on)
            continue;
        if (d->loss > 0 || d->late > 0 || d->agent == AGENT_DIES || d->agent == AGENT_RETURNS)
            return false;
        for (size_t k = 0; k < d->item_count; k++)
            if (d->items[k].refused)
                return false;
    }
    return true;
}

int64_t plan_slack_ms(const struct plan *p)
{
    return 20 + (p->starves > 0 ? p->starve_us * 20 / 1000 : 0) + p->db_us * 4 / 1000;
}

/* ---- for people ---- */

static void print_device(const struct plan_device *d)
{
    static const char *const agents[] = {"alive", "dead", "refuses", "dies", "returns"};
    printf("  device %u%s%s: v%d %s", d->id, d->deleted ? " (deleted)" : "",
           d->listed ? " (listed)" : "", d->version, agents[d->agent]);
    if (d->agent >= AGENT_DIES)
        printf(" at %" PRId64 " ms", d->agent_ms);
    printf(", time-out %d ms, max_oids %d, threads %d, method %d, ping %d %d ms x %d, status "
           "%d/%" PRId64,
           d->timeout_ms, d->max_oids, d->threads, d->method, d->ping_method, d->ping_timeout_ms,
           d->ping_retries + 1, d->status, d->event_count);
    printf(", delay %" PRId64 "+%" PRId64
           " us, loss %u, copies %u, late %u, tooBig above %u%s\n   ",
           d->delay_us, d->jitter_us, d->loss, d->copies, d->late, d->too_big_above,
           d->reverses ? ", reversed" : "");
    for (size_t i = 0; i < d->item_count; i++) {
        const struct plan_item *item = &d->items[i];
        static const char *const kinds[] = {"snmp", "script", "server", "unknown"};
        if (item->on)
            printf(" %u.%d:%s%s%s%s%s", item->local_data_id, item->field, kinds[item->kind],
                   item->missing ? "(missing)" : "", item->bad_oid ? "(no oid)" : "",
                   item->refused ? "(refused)" : "", item->due ? "" : "(not due)");
        if (item->on && (item->kind == KIND_SCRIPT || item->kind == KIND_SERVER))
            printf("/%d", (int)item->script);
    }
    for (size_t i = 0; i < d->reindex_count; i++)
        if (d->reindex[i].on)
            printf(" [%zu %c %" PRId64 "]", i + 1, d->reindex[i].op, d->reindex[i].expected);
    putchar('\n');
}

void plan_print(const struct plan *p)
{
    static const char *const kinds[] = {"fails before", "fails after", "slow",
                                        "away",         "silent",      "stuck"};
    printf("seed %" PRIu64 " on %s: threads %d, interval %d s, retries %d, F %d R %d, profiles %d, "
           "connections %d%s%s%s%s%s%s%s, db %" PRId64 " us, age %" PRId64
           " ms, yields %u starves %u "
           "x %" PRId64 " us\n",
           p->seed, plan_driver_names[p->driver], p->threads, p->interval_s, p->retries,
           p->failure_count, p->recovery_count, p->active_profiles, p->db_connections,
           p->boost ? ", boost" : "", p->read_only ? ", read-only" : "",
           p->ping_only ? ", ping only" : "", p->bulk ? ", bulk" : "", p->spool ? ", spool" : "",
           p->mibs ? ", mibs" : "", p->has_list ? ", host list" : "", p->db_us, p->age_ms,
           p->yields, p->starves, p->starve_us);
    for (size_t i = 0; i < p->device_count; i++)
        if (p->devices[i].on)
            print_device(&p->devices[i]);
    for (size_t i = 0; i < p->db_fault_count; i++)
        if (p->db[i].on)
            printf("  database %s (%d) from %" PRId64 " ms, %d times, for %" PRId64 " ms\n",
                   kinds[p->db[i].kind], p->db[i].number, p->db[i].at_ms, p->db[i].times,
                   p->db[i].ms);
    for (size_t i = 0; i < PLAN_EARLIER; i++)
        if (p->earlier[i].on)
            printf("  a row of an earlier run%s%s\n", p->earlier[i].expired ? ", too old" : "",
                   p->earlier[i].refused ? ", refused" : "");
    if (p->signal_ms > 0)
        printf("  signal %d at %" PRId64 " ms\n", p->signal, p->signal_ms);
    if (p->step_ms > 0)
        printf("  the wall clock jumps by %" PRId64 " s at %" PRId64 " ms\n", p->step_by_s,
               p->step_ms);
}
