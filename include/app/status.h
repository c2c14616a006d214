/* app/status.h - what polls, and what it does at this moment: --status.
 *
 * Why:     a person wants to know whether a daemon runs, and if cycles do not reach it, why.
 * Use:     exit_status = status_run(config);
 *          status_print(&facts, FORMAT_JSON, &out);        by the daemon, which answers with the text
 * Threads: main thread.
 * Promise: exit status 0: a daemon answers; 3: none does, and what is known without it is printed.
 * Source:  docs/daemon.md, docs/status.schema.json.
 */
#ifndef SPINE_APP_STATUS_H
#define SPINE_APP_STATUS_H

#include "app/snapshot.h"
#include "base/buf.h"
#include "base/stream.h"
#include "engine/config.h"
#include "engine/services.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A cycle that is polled, or the last one that was. */
struct status_cycle {
    int poller, client_pid;
    int64_t began_wall_s, elapsed_ms;
    int status, signo; /* how it has ended */
};

/* A process that reads the daemon's events. */
struct status_listener {
    int pid, uid;
    const char *types; /* lent; "" = all of normal detail */
    int64_t buffer;
    uint64_t offered, dropped;
    size_t waiting, deepest;
};

/* What files and database tell where there is no daemon. */
struct status_alone {
    struct err database; /* why it does not answer; ERR_NONE: it does */
    bool has_row;        /* the youngest one of this poller in poller_time */
    int64_t row_pid, row_age_s;
    bool row_open;
    char row_start[24], row_end[24];
    int64_t spool_bytes;   /* that wait; -1: no Spool_File */
    char *report;          /* NULL: none is written */
    int64_t report_wall_s; /* when the last one was; 0: there is none */
};

struct status_facts {
    const struct config *config;
    bool verbose;
    const struct status_alone *alone; /* NULL: a daemon answers */
    const char *why_not;              /* NULL: a daemon answers; else why none does */
    int pid;
    int64_t uptime_s;
    bool stopping;
    struct status_cycle *running;
    size_t running_count;
    const struct status_cycle *last; /* NULL: none has ended */
    uint64_t begun, ended, failed, lost, refused, abandoned;
    int64_t lag_us; /* the most by which its loop was late */
    struct stream_figures events;
    struct status_listener *listeners;
    size_t listener_count;
    struct snapshot_figures snapshot;
    struct services_figures shared;
};

void status_facts_done(struct status_facts *f);

/* ---- status_watch.c: the configuration file that a daemon follows ---- */

void status_put_watch(const struct snapshot_figures *f, struct buf *out); /* JSON */
void status_print_watch(const struct snapshot_figures *f, struct buf *out);

/* ---- status_alone.c ---- */
/* Also reads the settings, which may decide how cycles are polled. */
void status_look(struct config *config, struct status_alone *ret);
void status_alone_done(struct status_alone *a);
void status_put_alone(const struct status_alone *a, struct buf *out); /* JSON */
void status_print_alone(const struct status_alone *a, struct buf *out);

/* ---- status_shared.c ---- */
void status_print_shared(const struct services_figures *f, struct buf *out);
void status_put_shared(const struct services_figures *f, struct buf *out); /* JSON */

void status_print(const struct status_facts *facts, enum config_format format, struct buf *out);
int status_run(struct config *config);

#endif
