#include "config.h"

#include "app/plan.h"

#include "app/run.h"
#include "base/clock.h"
#include "base/jsonout.h"
#include "base/mem.h"
#include "engine/budget.h"
#include "engine/cycle.h"
#include "model/avail.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

/* Devices that are read together. */
enum { PLAN_SLICE = 500 };

/* What one device costs. */
struct plan_device {
    size_t snmp, scripts, calls; /* items; calls: of the script servers */
    size_t requests;             /* SNMP, without checks */
    int64_t silent_ms;           /* that it takes to find out that it does not answer */
};

struct plan {
    const struct config *config;
    enum config_driver driver;
    size_t deleted, devices, down, items;
    struct plan_device sum;
    double last_s, slowest_s; /* of the last polls: all together, and the longest */
    uint32_t slowest;         /* its device */
    int64_t longest_silent_ms, down_silent_ms;
    struct buf out;
};

/* ---- one device ---- */

static struct plan_device plan_cost(const struct device *d, int retries)
{
    struct plan_device cost = {.silent_ms = avail_silent_ms(d, retries)};
    size_t at_most = devrun_max_oids(d);
    for (size_t i = 0; i < d->item_count; i++) {
        cost.snmp += d->items[i].action == ITEM_SNMP;
        cost.scripts += d->items[i].action == ITEM_SCRIPT;
        cost.calls += d->items[i].action == ITEM_SERVER;
    }
    cost.requests = (cost.snmp + at_most - 1) / at_most;
    return cost;
}

static void plan_add(struct plan *p, const struct device *d, const struct plan_device *cost)
{
    p->devices++;
    p->items += d->item_count;
    p->sum.snmp += cost->snmp;
    p->sum.scripts += cost->scripts;
    p->sum.calls += cost->calls;
    p->sum.requests += cost->requests;
    p->last_s += d->last_polling_s;
    if (d->last_polling_s > p->slowest_s) {
        p->slowest_s = d->last_polling_s;
        p->slowest = d->id;
    }
    if (d->status.status != HOST_DOWN)
        return;
    p->down++;
    p->down_silent_ms += cost->silent_ms;
    if (cost->silent_ms > p->longest_silent_ms)
        p->longest_silent_ms = cost->silent_ms;
}

static void plan_say_device(struct plan *p, const struct device *d, const struct plan_device *cost)
{
    if (p->config->format == FORMAT_JSON) {
        jsonout_open(&p->out, NULL, '{');
        jsonout_unsigned(&p->out, "device", d->id);
        jsonout_text(&p->out, "hostname", d->snmp.hostname);
        jsonout_bool(&p->out, "was_down", d->status.status == HOST_DOWN);
        jsonout_real(&p->out, "last_s", d->last_polling_s);
        jsonout_unsigned(&p->out, "snmp_items", cost->snmp);
        jsonout_unsigned(&p->out, "scripts", cost->scripts);
        jsonout_unsigned(&p->out, "script_server_calls", cost->calls);
        jsonout_unsigned(&p->out, "snmp_requests", cost->requests);
        jsonout_int(&p->out, "silent_ms", cost->silent_ms);
        jsonout_close(&p->out, '}');
        return;
    }
    buf_printf(&p->out, "%8zu %8" PRIu32 "  %-5s %9.3f %6zu %8zu %7zu %7zu %9.1f  %s\n", p->devices,
               d->id, d->status.status == HOST_DOWN ? "down" : "", d->last_polling_s, cost->snmp,
               cost->requests, cost->scripts, cost->calls, (double)cost->silent_ms / 1000,
               d->snmp.hostname);
}

/* ---- the site ---- */

static bool plan_slice(struct plan *p, struct store *s, const struct selection *sel,
                       const uint32_t *ids, size_t count, struct err *err)
{
    struct device *devices[PLAN_SLICE] = {NULL};
    if (count == 0)
        return true;
    if (!store_load_devices(s, sel, ids, count, devices, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (devices[i] == NULL)
            continue;
        struct plan_device cost = plan_cost(devices[i], p->config->snmp_retries);
        plan_add(p, devices[i], &cost);
        plan_say_device(p, devices[i], &cost);
        device_unref(devices[i]);
    }
    return true;
}

static bool plan_read(struct plan *p, struct store *s, struct err *err)
{
    struct selection sel = cycle_select(p->config, p->driver == CONFIG_ASYNC);
    struct roster roster = {NULL, 0};
    uint32_t ids[PLAN_SLICE];
    size_t count = 0;
    bool ok = store_load_roster(s, &sel, &roster, err);
    for (size_t i = 0; ok && i < roster.count; i++) {
        p->deleted += roster.entries[i].deleted;
        if (roster.entries[i].deleted)
            continue;
        ids[count++] = roster.entries[i].id;
        if (count < PLAN_SLICE)
            continue;
        ok = plan_slice(p, s, &sel, ids, count, err);
        count = 0;
    }
    ok = ok && plan_slice(p, s, &sel, ids, count, err);
    roster_done(&roster);
    return ok;
}

/* ---- what bounds it ---- */

/* From the last polls; silence is what the down ones will cost again. */
struct plan_bounds {
    double slowest_s; /* no device can be cut in two */
    double silent_s;  /* the longest wait for a device that was down */
    double shared_s;  /* all that is asked in turns, by `threads`; 0: nothing is */
    double polling_s; /* that a cycle of this interval has */
};

static struct plan_bounds plan_bounds(const struct plan *p)
{
    const struct config *c = p->config;
    struct budget b = budget_make(0, c->poller_interval_s);
    return (struct plan_bounds){
        .slowest_s = p->slowest_s,
        .silent_s = (double)p->longest_silent_ms / 1000,
        .shared_s = p->driver == CONFIG_ASYNC
                        ? 0
                        : (p->last_s + (double)p->down_silent_ms / 1000) / c->threads,
        .polling_s = (double)b.poll_until / 1000,
    };
}

/* The largest of them, in words. */
static const char *plan_what_bounds(const struct plan_bounds *b)
{
    if (b->shared_s > b->slowest_s && b->shared_s > b->silent_s)
        return "the number of threads";
    if (b->silent_s > b->slowest_s)
        return "the time-outs of one device that was down";
    return "the slowest device";
}

static double plan_expected_s(const struct plan_bounds *b)
{
    double most = b->shared_s > b->slowest_s ? b->shared_s : b->slowest_s;
    return most > b->silent_s ? most : b->silent_s;
}

static void plan_say_head(struct plan *p)
{
    if (p->config->format == FORMAT_JSON) {
        jsonout_open(&p->out, NULL, '{');
        jsonout_open(&p->out, "order", '[');
    } else {
        buf_puts(&p->out, "   order   device  was    last, s   SNMP requests scripts  server "
                          "silent, s  hostname\n");
    }
}

static void plan_json_sum(struct plan *p, const struct plan_bounds *b)
{
    struct buf *out = &p->out;
    jsonout_close(out, ']');
    jsonout_text(out, "driver", config_driver_text(p->driver));
    jsonout_unsigned(out, "devices", p->devices);
    jsonout_unsigned(out, "deleted", p->deleted);
    jsonout_unsigned(out, "down", p->down);
    jsonout_unsigned(out, "items", p->items);
    jsonout_unsigned(out, "snmp_items", p->sum.snmp);
    jsonout_unsigned(out, "snmp_requests", p->sum.requests);
    jsonout_unsigned(out, "scripts", p->sum.scripts);
    jsonout_unsigned(out, "script_server_calls", p->sum.calls);
    jsonout_int(out, "threads", p->config->threads);
    jsonout_int(out, "script_servers", p->config->php_servers);
    jsonout_int(out, "scripts_at_a_time", p->config->max_scripts);
    jsonout_real(out, "slowest_s", b->slowest_s);
    jsonout_unsigned(out, "slowest_device", p->slowest);
    jsonout_real(out, "silent_s", b->silent_s);
    jsonout_real(out, "shared_s", b->shared_s);
    jsonout_real(out, "expected_s", plan_expected_s(b));
    jsonout_real(out, "polling_s", b->polling_s);
    jsonout_text(out, "bound", plan_what_bounds(b));
    jsonout_close(out, '}');
    buf_putc(out, '\n');
}

static void plan_text_sum(struct plan *p, const struct plan_bounds *b)
{
    struct buf *out = &p->out;
    buf_printf(out,
               "\n%zu devices, driver %s; %zu of them down in the last cycle; %zu deleted ones are "
               "not polled\n",
               p->devices, config_driver_text(p->driver), p->down, p->deleted);
    buf_printf(out,
               "%zu items: %zu by SNMP in %zu requests, %zu scripts (%d at a time), %zu calls of "
               "%d script servers\n",
               p->items, p->sum.snmp, p->sum.requests, p->sum.scripts, p->config->max_scripts,
               p->sum.calls, p->config->php_servers);
    buf_printf(out, "slowest device: %.3f s (device %" PRIu32 ")\n", b->slowest_s, p->slowest);
    buf_printf(out, "a device that was down and stays silent: %.1f s\n", b->silent_s);
    if (b->shared_s > 0)
        buf_printf(out, "all devices, shared by %d threads: %.3f s\n", p->config->threads,
                   b->shared_s);
    buf_printf(out,
               "expected, from what the last polls took: %.3f s, bounded by %s; a cycle has %.1f s "
               "for polling\n",
               plan_expected_s(b), plan_what_bounds(b), b->polling_s);
}

/* ---- the command ---- */

static void plan_work(struct run *r, void *arg)
{
    struct err err = ERR_INIT;
    struct plan p = {.config = arg};
    /* Until the settings were read the shortest interval counted. */
    store_set_deadline(run_store(r),
                       budget_make(clock_mono_ms(), p.config->poller_interval_s).poll_until);
    p.driver = run_driver(r);
    plan_say_head(&p);
    if (plan_read(&p, run_store(r), &err)) {
        struct plan_bounds b = plan_bounds(&p);
        if (p.config->format == FORMAT_JSON)
            plan_json_sum(&p, &b);
        else
            plan_text_sum(&p, &b);
        fwrite(buf_str(&p.out), 1, p.out.len, stdout);
        run_set_status(r, p.devices == 0 ? EX_NOINPUT : EX_OK);
    } else {
        run_set_status(r, app_fail(&err));
    }
    buf_done(&p.out);
}

struct app_end plan_run(struct config *c, const struct ping_sockets *sockets,
                        int64_t started_mono_us)
{
    return run_command(c, sockets, started_mono_us, plan_work, c);
}
