#include "config.h"

#include "app/wait.h"

#include "app/app.h"
#include "app/events.h"
#include "app/run.h"
#include "base/clock.h"
#include "base/happening.h"
#include "base/log.h"
#include "base/mem.h"
#include "drivers/store_rows.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { WAIT_DATABASE_MS = 2000 };

/* A row as it was when the wait began. */
struct wait_row {
    int64_t id;
    char start[24], end[24];
};

struct wait {
    const struct config *config;
    uint64_t types;
    int64_t started_mono_ms, until_mono_ms; /* INT64_MAX: without an end */
    int fd;                                 /* -1: there is no daemon now */
    struct err no_daemon;                   /* why */
    int64_t look_mono_ms, connect_mono_ms;  /* the next one */
    bool known;                             /* rows are those of the first look */
    struct wait_row *rows;
    size_t row_count, row_room;
    struct err said; /* about the database; each error once */
    bool happened;
};

const struct db_params *wait_database(const struct config *config)
{
    bool is_main = config->poller_id > 1 && config->mode == MODE_ONLINE;
    return is_main ? &config->rdb : &config->db;
}

static bool wait_is_for(const struct wait *w, enum happening_type type)
{
    return (w->types >> type & 1) != 0;
}

static bool wait_can_look(const struct wait *w)
{
    return wait_is_for(w, EVENT_CYCLE_STARTED) || wait_is_for(w, EVENT_CYCLE_ENDED);
}

/* ---- the database ---- */

static void wait_remember(struct wait *w, const struct store_cycle *c)
{
    if (w->row_count == w->row_room) {
        w->row_room = w->row_room * 2 + 16;
        w->rows = mem_realloc(w->rows, w->row_room, sizeof(w->rows[0]));
    }
    struct wait_row *row = &w->rows[w->row_count++];
    row->id = c->id;
    snprintf(row->start, sizeof(row->start), "%s", c->start);
    snprintf(row->end, sizeof(row->end), "%s", c->end);
}

static const struct wait_row *wait_find(const struct wait *w, const struct store_cycle *c)
{
    for (size_t i = 0; i < w->row_count; i++)
        if (w->rows[i].id == c->id && strcmp(w->rows[i].start, c->start) == 0)
            return &w->rows[i];
    return NULL;
}

/* A later look compares with the first one, which has to go by the times. */
static void wait_on_cycle(void *arg, const struct store_cycle *c)
{
    struct wait *w = arg;
    const struct wait_row *before = wait_find(w, c);
    bool started = w->known ? before == NULL : c->started_in;
    bool ended = w->known ? before == NULL || strcmp(before->end, c->end) != 0 : c->closed_in;
    w->happened |= started && wait_is_for(w, EVENT_CYCLE_STARTED);
    w->happened |= ended && !c->open && wait_is_for(w, EVENT_CYCLE_ENDED);
    if (!w->known)
        wait_remember(w, c);
}

static void wait_say(struct wait *w, const struct err *err)
{
    if (strcmp(w->said.text, err->text) == 0)
        return;
    w->said = *err;
    log_line(LOG_ALWAYS, "WARNING: poller_time cannot be read: %s", err->text);
}

static void wait_look(struct wait *w)
{
    struct err err = ERR_INIT;
    int64_t now = clock_mono_ms(), until = now + WAIT_DATABASE_MS;
    until = until < w->until_mono_ms ? until : w->until_mono_ms;
    struct store *s = store_open(wait_database(w->config), until, &err);
    int64_t since_s = (clock_mono_ms() - w->started_mono_ms) / 1000;
    bool ok =
        s != NULL && store_load_cycles(s, w->config->poller_id, since_s, wait_on_cycle, w, &err);
    store_close(s);
    if (ok) {
        w->known = true;
    } else {
        if (!w->known)
            w->row_count = 0;
        wait_say(w, &err);
    }
    w->look_mono_ms = now + WAIT_LOOK_MS;
}

/* ---- the daemon ---- */

static void wait_hang_up(struct wait *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

static void wait_connect(struct wait *w)
{
    const struct listener_request request = {.json = true,
                                             .follow = true,
                                             .buffer = w->config->event_buffer,
                                             .poller = w->config->poller_id,
                                             .types = w->config->event_types};
    int64_t now = clock_mono_ms();
    if (w->fd >= 0 || now < w->connect_mono_ms)
        return;
    w->connect_mono_ms = now + WAIT_LOOK_MS;
    w->fd = events_connect(w->config, &request, &w->no_daemon);
}

/* What is missing in a gap may be what is waited for: the database knows. */
static void wait_take_lines(struct wait *w, const char *lines)
{
    static const char gap[] = "{\"type\":\"events.dropped\"";
    for (const char *line = lines; *line != '\0'; line += strcspn(line, "\n") + 1)
        if (strncmp(line, gap, sizeof(gap) - 1) != 0)
            w->happened = true;
        else
            w->look_mono_ms = 0;
}

static void wait_listen(struct wait *w)
{
    struct buf lines = BUF_INIT;
    switch (events_receive(w->fd, &lines, &w->no_daemon)) {
    case EVENTS_LINES: wait_take_lines(w, buf_str(&lines)); break;
    case EVENTS_NOTHING: break;
    case EVENTS_REFUSED: wait_hang_up(w); break;
    case EVENTS_OVER:
    case EVENTS_LOST:
        err_set(&w->no_daemon, ERR_UNAVAILABLE, "the daemon has ended");
        wait_hang_up(w);
        break;
    }
    buf_done(&lines);
}

static void wait_sleep(const struct wait *w)
{
    struct pollfd pfd = {.fd = w->fd, .events = POLLIN};
    int64_t now = clock_mono_ms(), until = now + WAIT_LOOK_MS;
    if (wait_can_look(w) && w->look_mono_ms < until)
        until = w->look_mono_ms;
    if (w->until_mono_ms < until)
        until = w->until_mono_ms;
    (void)poll(&pfd, 1, until > now ? (int)(until - now) : 0);
}

/* ---- the command ---- */

static int wait_until_it_happens(struct wait *w)
{
    struct err err = ERR_INIT;
    while (!w->happened) {
        wait_connect(w);
        if (w->fd < 0 && !wait_can_look(w)) {
            err_set(&err, ERR_UNAVAILABLE,
                    "ERROR: %.200s is told by a daemon alone: %.500s; see --daemon",
                    w->config->event_types, w->no_daemon.text);
            return app_fail(&err);
        }
        if (clock_mono_ms() >= w->until_mono_ms)
            return EX_TEMPFAIL;
        if (wait_can_look(w) && clock_mono_ms() >= w->look_mono_ms)
            wait_look(w);
        if (w->happened)
            break;
        wait_sleep(w);
        if (w->fd >= 0)
            wait_listen(w);
    }
    return EX_OK;
}

int wait_run(struct config *config)
{
    struct err err = ERR_INIT;
    struct wait w = {.config = config, .fd = -1, .no_daemon = ERR_INIT};
    w.started_mono_ms = clock_mono_ms();
    if (!events_check_types(config->event_types, &w.types, &err) || !run_configure(config, &err) ||
        !run_start_libraries(&err))
        return app_fail(&err);
    w.until_mono_ms =
        config->timeout_s == 0 ? INT64_MAX : w.started_mono_ms + config->timeout_s * INT64_C(1000);
    int status = wait_until_it_happens(&w);
    wait_hang_up(&w);
    free(w.rows);
    run_stop_libraries();
    return status;
}
