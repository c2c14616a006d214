#include "config.h"

#include "app/status.h"

#include "app/app.h"
#include "app/configuration.h"
#include "app/handover.h"
#include "app/options.h"
#include "app/run.h"
#include "base/clock.h"
#include "base/jsonout.h"
#include "core/loop.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

enum { STATUS_NOT_RUNNING = 3, STATUS_ANSWER_MS = 5000 };

/* ---- text ---- */

/* Where the value of an option comes from. */
static const char *status_source(const struct config *c, enum option_id id)
{
    struct configuration_entry e;
    struct config *described =
        (struct config *)(uintptr_t)c; /* of which a buffer for texts changes */
    for (size_t i = 0; configuration_entry(described, i, &e); i++)
        if (e.name == option_get(id)->name)
            return e.source;
    return "";
}

/* Why cycles are polled in this way. */
static const char *status_driver_why(const struct config *c)
{
    if (c->event_loop && !loop_kind_is_built(LOOP_LIBEVENT))
        return "this build has no libevent";
    return status_source(c, c->event_loop ? OPTION_ASYNC_SNMP : OPTION_EVENT_LOOP);
}

static void status_print_way(const struct config *c, struct buf *out)
{
    static const char *const ways[] = {[CONFIG_LEGACY] = "legacy loop",
                                       [CONFIG_EVENT] = "event loop",
                                       [CONFIG_ASYNC] = "event loop, SNMP on the loop"};
    buf_printf(out, "cycles      by the %s (%s)\n", ways[config_driver(c)], status_driver_why(c));
    buf_printf(out, "handed over %s (Daemon %s, %s)\n", c->daemon ? "yes" : "no",
               c->daemon ? "auto" : "off", status_source(c, OPTION_USE_DAEMON));
}

static void status_print_cycle(const char *what, const struct status_cycle *c, struct buf *out)
{
    buf_printf(out, "%-11s poller %d, client %d, %.3f s", what, c->poller, c->client_pid,
               (double)c->elapsed_ms / 1000);
}

static void status_print_events(const struct status_facts *f, struct buf *out)
{
    buf_printf(out,
               "events      %" PRIu64 " emitted, %zu subscribers, deepest queue %zu, %" PRIu64
               " dropped\n",
               f->events.emitted, f->listener_count, f->events.deepest, f->events.dropped);
    for (size_t i = 0; f->verbose && i < f->listener_count; i++) {
        const struct status_listener *l = &f->listeners[i];
        buf_printf(out,
                   "subscriber  process %d of user %d: %s; %" PRIu64 " offered, %" PRIu64
                   " dropped, %zu of %" PRId64 " wait, %zu at most\n",
                   l->pid, l->uid, *l->types == '\0' ? "all" : l->types, l->offered, l->dropped,
                   l->waiting, l->buffer, l->deepest);
    }
}

static void status_print_text(const struct status_facts *f, struct buf *out)
{
    if (f->why_not != NULL)
        buf_printf(out, "daemon      none: %s\n", f->why_not);
    else
        buf_printf(out, "daemon      pid %d, up %" PRId64 " s%s\n", f->pid, f->uptime_s,
                   f->stopping ? ", stopping" : "");
    buf_printf(out, "version     " PACKAGE_VERSION "\nfile        %s\nsocket      %s\n",
               configuration_file_path(f->config), f->config->daemon_socket);
    status_print_way(f->config, out);
    if (f->alone != NULL)
        status_print_alone(f->alone, out);
    if (f->why_not != NULL)
        return;
    for (size_t i = 0; i < f->running_count; i++) {
        status_print_cycle("running", &f->running[i], out);
        buf_putc(out, '\n');
    }
    if (f->last != NULL) {
        status_print_cycle("last", f->last, out);
        buf_printf(out, f->last->signo != 0 ? ", ended by signal %d\n" : ", exit status %d\n",
                   f->last->signo != 0 ? f->last->signo : f->last->status);
    }
    buf_printf(out,
               "since start %" PRIu64 " begun, %" PRIu64 " ended, %" PRIu64
               " of them failed, %" PRIu64 " given up, %" PRIu64 " refused; %" PRIu64
               " abandoned in calls that hang\n",
               f->begun, f->ended, f->failed, f->lost, f->refused, f->abandoned);
    buf_printf(out, "loop        late by %.4f s at most\n", (double)f->lag_us / 1e6);
    status_print_watch(&f->snapshot, out);
    status_print_events(f, out);
    status_print_shared(&f->shared, out);
}

/* ---- JSON ---- */

static void status_put_cycle(const char *key, const struct status_cycle *c, bool ended,
                             struct buf *out)
{
    jsonout_open(out, key, '{');
    jsonout_int(out, "poller", c->poller);
    jsonout_int(out, "client_pid", c->client_pid);
    jsonout_int(out, "began", c->began_wall_s);
    jsonout_real(out, "elapsed_s", (double)c->elapsed_ms / 1000);
    if (ended) {
        jsonout_int(out, "exit_status", c->status);
        jsonout_int(out, "signal", c->signo);
    }
    jsonout_close(out, '}');
}

static void status_put_counts(const struct status_facts *f, struct buf *out)
{
    jsonout_open(out, "cycles", '{');
    jsonout_unsigned(out, "begun", f->begun);
    jsonout_unsigned(out, "ended", f->ended);
    jsonout_unsigned(out, "failed", f->failed);
    jsonout_unsigned(out, "given_up", f->lost);
    jsonout_unsigned(out, "refused", f->refused);
    jsonout_unsigned(out, "abandoned", f->abandoned);
    jsonout_close(out, '}');
}

static void status_put_events(const struct status_facts *f, struct buf *out)
{
    jsonout_open(out, "events", '{');
    jsonout_unsigned(out, "emitted", f->events.emitted);
    jsonout_unsigned(out, "dropped", f->events.dropped);
    jsonout_unsigned(out, "deepest", f->events.deepest);
    jsonout_open(out, "subscribers", '[');
    for (size_t i = 0; i < f->listener_count; i++) {
        const struct status_listener *l = &f->listeners[i];
        jsonout_open(out, NULL, '{');
        jsonout_int(out, "pid", l->pid);
        jsonout_int(out, "uid", l->uid);
        jsonout_text(out, "types", l->types);
        jsonout_int(out, "buffer", l->buffer);
        jsonout_unsigned(out, "offered", l->offered);
        jsonout_unsigned(out, "dropped", l->dropped);
        jsonout_unsigned(out, "waiting", l->waiting);
        jsonout_unsigned(out, "deepest", l->deepest);
        jsonout_close(out, '}');
    }
    jsonout_close(out, ']');
    jsonout_close(out, '}');
}

static void status_put_daemon(const struct status_facts *f, struct buf *out)
{
    jsonout_open(out, "daemon", '{');
    jsonout_int(out, "pid", f->pid);
    jsonout_int(out, "uptime_s", f->uptime_s);
    jsonout_bool(out, "stopping", f->stopping);
    status_put_counts(f, out);
    jsonout_open(out, "running", '[');
    for (size_t i = 0; i < f->running_count; i++)
        status_put_cycle(NULL, &f->running[i], false, out);
    jsonout_close(out, ']');
    if (f->last != NULL)
        status_put_cycle("last", f->last, true, out);
    else
        jsonout_null(out, "last");
    jsonout_open(out, "loop", '{');
    jsonout_real(out, "late_s", (double)f->lag_us / 1e6);
    jsonout_close(out, '}');
    status_put_events(f, out);
    status_put_watch(&f->snapshot, out);
    status_put_shared(&f->shared, out);
    jsonout_close(out, '}');
}

static void status_print_json(const struct status_facts *f, struct buf *out)
{
    const struct config *c = f->config;
    jsonout_open(out, NULL, '{');
    jsonout_text(out, "schema", "spine-status-1");
    jsonout_bool(out, "running", f->why_not == NULL);
    jsonout_text(out, "why_not", f->why_not);
    jsonout_text(out, "version", PACKAGE_VERSION);
    jsonout_text(out, "file", configuration_file_path(c));
    jsonout_text(out, "socket", c->daemon_socket);
    jsonout_bool(out, "handed_over", c->daemon);
    jsonout_text(out, "handed_over_by", status_source(c, OPTION_USE_DAEMON));
    jsonout_text(out, "driver", config_driver_text(config_driver(c)));
    jsonout_text(out, "driver_by", status_driver_why(c));
    if (f->why_not == NULL)
        status_put_daemon(f, out);
    else
        jsonout_null(out, "daemon");
    if (f->alone != NULL)
        status_put_alone(f->alone, out);
    else
        jsonout_null(out, "alone");
    jsonout_close(out, '}');
    buf_putc(out, '\n');
}

void status_facts_done(struct status_facts *f)
{
    free(f->running);
    free(f->listeners);
}

void status_print(const struct status_facts *facts, enum config_format format, struct buf *out)
{
    if (format == FORMAT_JSON)
        status_print_json(facts, out);
    else
        status_print_text(facts, out);
}

/* ---- asking ---- */

/* The daemon's text; false: why says why there is none. */
static bool status_ask(const struct config *c, struct buf *out, struct err *why)
{
    struct ucred peer;
    struct handover answer = {.count = 0};
    int none[HANDOVER_FDS];
    int fd = handover_connect(c->daemon_socket, &peer, why);
    if (fd < 0)
        return false;
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    struct buf m = BUF_INIT;
    handover_put(&m, "status");
    handover_put(&m, c->format == FORMAT_JSON ? "json" : "text");
    if (c->verbose)
        handover_put(&m, "verbose");
    (void)handover_send(fd, &m, NULL); /* one that has hung up has said why, perhaps */
    bool ok = poll(&pfd, 1, STATUS_ANSWER_MS) == 1 &&
              handover_receive(fd, &answer, none) == HANDOVER_MESSAGE;
    if (ok && handover_is(&answer, "status", 2))
        buf_puts(out, answer.words[1]);
    else if (ok && handover_is(&answer, "refused", 2))
        ok = err_set(why, ERR_UNAVAILABLE, "the daemon (pid %d) refuses: %.500s", (int)peer.pid,
                     answer.words[1]);
    else
        ok = err_set(why, ERR_UNAVAILABLE, "the daemon (pid %d) does not answer", (int)peer.pid);
    handover_done(&answer);
    buf_done(&m);
    close(fd);
    return ok;
}

int status_run(struct config *config)
{
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT;
    if (!run_configure(config, &err))
        return app_fail(&err);
    bool running = status_ask(config, &out, &err);
    if (!running) {
        struct status_alone alone;
        status_look(config, &alone);
        const struct status_facts facts = {
            .config = config, .verbose = config->verbose, .why_not = err.text, .alone = &alone};
        status_print(&facts, config->format, &out);
        status_alone_done(&alone);
    }
    fputs(buf_str(&out), stdout);
    buf_done(&out);
    return running ? EX_OK : STATUS_NOT_RUNNING;
}
