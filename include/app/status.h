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

#include "base/buf.h"
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

struct status_facts {
    const struct config *config;
    const char *why_not; /* NULL: a daemon answers; else why none does */
    int pid;
    int64_t uptime_s;
    bool stopping;
    struct status_cycle *running;
    size_t running_count;
    const struct status_cycle *last; /* NULL: none has ended */
    uint64_t begun, ended, failed, lost, refused, abandoned;
    int64_t lag_us; /* the most by which its loop was late */
    struct services_figures shared;
};

/* ---- status_shared.c ---- */
void status_print_shared(const struct services_figures *f, struct buf *out);
void status_put_shared(const struct services_figures *f, struct buf *out); /* JSON */

void status_print(const struct status_facts *facts, enum config_format format, struct buf *out);
int status_run(struct config *config);

#endif
