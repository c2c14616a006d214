/* One cycle by the real engine, from the opening of its store to the end of its process. */
#include "config.h"

#include "run.h"

#include "sim.h"
#include "tables.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "drivers/ping.h"
#include "drivers/spool.h"
#include "engine/cycle.h"
#include "engine/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EVENTS = 60000 };

static struct id_list host_list(const struct plan *p)
{
    static uint32_t ids[PLAN_DEVICES];
    struct id_list list = {.ids = ids};
    for (size_t i = 0; i < p->device_count; i++)
        if (p->devices[i].on && p->devices[i].listed)
            ids[list.count++] = p->devices[i].id;
    return list;
}

static struct config config_of(const struct plan *p, const char *spool)
{
    const struct id_list list = host_list(p);
    return (struct config){.poller_id = 1,
                           .pid = (int)getpid(),
                           .has_host_list = p->has_list && list.count > 0,
                           .host_list = list,
                           .event_loop = p->driver != DRIVER_LEGACY,
                           .async_snmp = p->driver == DRIVER_ASYNC,
                           .address_limit = p->address_limit,
                           .threads = p->threads,
                           .poller_interval_s = p->interval_s,
                           .active_profiles = p->active_profiles,
                           .read_only = p->read_only,
                           .ping_only = p->ping_only,
                           .mibs = p->mibs,
                           .snmp_retries = p->retries,
                           .snmp_client_address = "",
                           .ping_failure_count = p->failure_count,
                           .ping_recovery_count = p->recovery_count,
                           .script_timeout_s = p->script_timeout_s,
                           .max_scripts = p->max_scripts,
                           .script_files = 1024,
                           .php_servers = p->php_servers,
                           .path_php_binary = "/usr/bin/php",
                           .path_webroot = "/webroot",
                           .cacti_version_text = "1.2.30",
                           .cacti_version = 1230,
                           .boost = p->boost,
                           .spool_file = p->spool ? spool : "",
                           .spool_bytes = 1 << 20,
                           .db = {.host = "db", .database = "cacti", .user = "u", .password = "p"},
                           .db_connections = p->db_connections,
                           .log = {.level = p->seed % 5 == 0 ? LOG_DEBUGGING : LOG_ALWAYS,
                                   .destination = LOG_TO_NOTHING,
                                   .date_separator = '-',
                                   .poller_id = 1}};
}

/* ---- what the stream says ---- */

static struct stream_reader *subscribe(void)
{
    const struct stream_queue queue = {.events = EVENTS, .bytes = 1 << 22, .details = false};
    return stream_subscribe(&queue);
}

static void take_device(struct run *run, const struct happening *e)
{
    SIM_CHECK(e->device < RUN_DEVICES, "an event of device %u", e->device);
    struct run_device *d = &run->devices[e->device];
    if (e->type == EVENT_DEVICE_STARTED) {
        d->started++;
    } else if (e->type == EVENT_DEVICE_FINISHED) {
        d->finished++;
        d->values += (size_t)e->figures[0];
        d->unknown += (size_t)e->figures[1];
        d->skipped += (size_t)e->figures[2];
        d->unfinished += (size_t)e->figures[3];
        d->down |= e->figures[4] != 0;
    } else if (e->type == EVENT_DEVICE_DROPPED) {
        d->dropped++;
        d->dropped_unread += e->figures[0] == 0;
        d->dropped_items += (size_t)e->figures[1];
    }
}

static void take_events(struct run *run, struct stream_reader *reader)
{
    struct stream_items items = {0};
    stream_close(reader);
    while (stream_take(reader, &items, 0)) {
        for (size_t i = 0; i < items.count; i++) {
            const struct happening *e = &items.items[i].event;
            if (happening_get(e->type)->has_device)
                take_device(run, e);
            run->stored_sum += e->type == EVENT_DB_STORED ? (size_t)e->figures[0] : 0;
            run->spooled_sum += e->type == EVENT_DB_SPOOLED ? (size_t)e->figures[0] : 0;
            run->lost_sum += e->type == EVENT_DB_LOST ? (size_t)e->figures[0] : 0;
            run->retries_sum += e->type == EVENT_DB_RETRY ? (size_t)e->figures[0] : 0;
            run->rejected_count += e->type == EVENT_DB_REJECTED && e->figures[1] == 0;
            run->rejected_earlier += e->type == EVENT_DB_REJECTED && e->figures[1] != 0;
        }
    }
    stream_items_done(&items);
    free(items.items);
    stream_unsubscribe(reader);
}

/* ---- the spool ---- */

static struct spool_options spool_of(const struct config *config)
{
    return (struct spool_options){.path = config->spool_file,
                                  .cap_bytes = config->spool_bytes,
                                  .database = config->db.database,
                                  .poller_id = 1,
                                  .interval_s = config->poller_interval_s};
}

/* What an earlier run has left. */
static void fill_spool(const struct run *run, const struct config *config)
{
    const struct spool_options o = spool_of(config);
    struct err err = ERR_INIT;
    size_t kept;
    for (uint32_t i = 0; i < PLAN_EARLIER; i++) {
        const struct plan_earlier *e = &run->plan->earlier[i];
        int64_t age_s = (int64_t)config->poller_interval_s * (e->expired ? 4 : 0) + 1;
        const struct output_row row = {.local_data_id = PLAN_EARLIER_ID + i,
                                       .rrd_name = "earlier",
                                       .time = run->wall_first_s - age_s,
                                       .output = "1",
                                       .output_len = 1};
        if (e->on && config->spool_file[0] != '\0')
            SIM_CHECK(spool_append(&o, &row, 1, &kept, &err) && kept == 1, "%s", err.text);
    }
}

static bool is_earlier(uint32_t local_data_id)
{
    return local_data_id >= PLAN_EARLIER_ID && local_data_id < PLAN_EARLIER_ID + PLAN_EARLIER;
}

/* The rest of the checks are about this run's rows alone. */
static void take_earlier(struct run *run, struct table_outputs *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (is_earlier(t->rows[i].local_data_id))
            run->earlier[t->rows[i].local_data_id - PLAN_EARLIER_ID].stored = true;
        else
            t->rows[n++] = t->rows[i];
    }
    t->count = n;
}

static void read_spool(struct run *run, const struct config *config)
{
    struct err err = ERR_INIT;
    struct batch *b;
    struct spool_report report;
    const struct spool_options o = spool_of(config);
    if (config->spool_file[0] == '\0')
        return;
    /* The wall clock may have jumped: rows that have expired count as well. */
    struct spool *s = spool_take(&o, 0, &err);
    if (s != NULL) {
        while ((b = spool_next(s)) != NULL) {
            for (size_t i = 0; i < b->row_count; i++) {
                if (is_earlier(b->rows[i].local_data_id))
                    run->earlier[b->rows[i].local_data_id - PLAN_EARLIER_ID].kept = true;
                else
                    run->spooled_rows++;
            }
            batch_free(b);
        }
        spool_finish(s, true, &report);
        run->spooled_rows += report.expired;
    }
    (void)unlink(config->spool_file);
}

/* ---- the cycle ---- */

static void step_wall(void *arg UNUSED)
{
    sim_step_wall(sim_plan()->step_by_s * 1000000);
}

static void note_cycle(struct run *run, const struct cycle *c)
{
    run->items_due = c->items_due;
    run->left_behind = c->left_behind;
    run->out_of_time = c->out_of_time;
    run->loaded = c->loaded;
    run->writer_lost = c->writer_lost;
    run->stop_signal = c->stop_signal;
    run->budget = c->budget;
    run->ended_us = sim_now_us();
    run->wall_last_s = clock_wall_us() / 1000000;
}

static void live(struct run *run, const struct config *config)
{
    const struct plan *p = run->plan;
    struct err err = ERR_INIT;
    struct ping_sockets sockets = {.fd4 = -1, .fd6 = -1};
    struct stream_reader *reader = subscribe();
    log_configure(&config->log);
    if (p->step_ms > 0)
        sim_at(sim_now_us() + p->step_ms * 1000, step_wall, NULL);
    struct store *store = store_new(&config->db);
    struct process *process = process_new(config, &sockets, NULL, &err);
    CHECK(process != NULL);
    struct process_run one = {.cycle =
                                  cycle_new(config, store, sim_now_us() - p->age_ms * 1000, &err)};
    sim_net_until(one.cycle->budget.poll_until * 1000);
    run->begun_ms = clock_mono_ms();
    process_poll(process, &one, 1);
    run->polled = one.polled;
    note_cycle(run, one.cycle);
    run->figures = ledger_get(&one.cycle->ledger);
    run->status = cycle_report(one.cycle);
    take_events(run, reader);
    if (sim_hanging() > 0) {
        process_leave(process); /* as the program does */
        return;
    }
    bool lost = run->left_behind > 0 || run->writer_lost;
    SIM_CHECK(!lost, "a call was abandoned that returns");
    process_free(process);
    cycle_unref(one.cycle);
    store_close(store);
}

void run_plan(const struct plan *plan, struct buf *ret_result)
{
    struct run run = {.plan = plan};
    char spool[64];
    snprintf(spool, sizeof(spool), "/tmp/spine-sim-%d.spool", (int)getpid());
    const struct config config = config_of(plan, spool);
    sim_begin(plan);
    tables_begin();
    run.wall_first_s = clock_wall_us() / 1000000;
    fill_spool(&run, &config);
    live(&run, &config);
    read_spool(&run, &config);
    take_earlier(&run, &tables.output);
    take_earlier(&run, &tables.boost);
    run_check(&run);
    run_print_result(&run, ret_result);
    tables_end();
    sim_end();
}
