#include "config.h"

#include "engine/app.h"

#include "base/clock.h"
#include "base/fatal.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/trace.h"
#include "drivers/ping.h"
#include "drivers/privilege.h"
#include "drivers/snmp.h"
#include "drivers/store.h"
#include "engine/config.h"
#include "engine/cycle.h"
#include "engine/eventlog.h"
#include "engine/eventpath.h"
#include "engine/legacy.h"
#include "engine/options.h"
#include "engine/replay.h"
#include "engine/stopsig.h"
#include "engine/uplink.h"
#include "engine/watchdog.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

/* One run: what is known before any input is read, and what has been started. */
struct app {
    int64_t mono_us;
    struct ping_sockets ping; /* opened first of all, then every right is given up for good */
    struct config *config;
    struct watchdog *watchdog;
    struct uplink *uplink; /* NULL: this is no collector that is online */
    struct eventlog *events;
    struct store *store;
    struct cycle cycle;
    struct app_end end;
};

/* How long an unreachable database is tried at start, and what the watchdog grants until the length
 * of the cycle is known: that, and one unanswered query. */
enum { DATABASE_START_MS = 5000, START_AT_MOST_MS = 45000 };

/* Sockets are cheap, the usual soft limit of 1,024 is not meant for us. */
static void raise_descriptor_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void print_version(void)
{
    const char *libevent = loop_library_version();
    puts(options_version_line());
    if (libevent != NULL)
        printf("event loop: yes (libevent %s)\n", libevent);
    else
        puts("event loop: no (built without libevent)");
    printf("SNMP: net-snmp %s\n", snmp_library_version());
    printf("database client: %s\n", db_client_version());
}

/* The last word of a run that cannot go on: on standard error for whoever started us by hand, in
 * the log for those who did not. */
static int fail(const struct err *err)
{
    bool classed = strncmp(err->text, "ERROR:", 6) == 0 || strncmp(err->text, "FATAL:", 6) == 0;
    const char *class = classed ? "" : "FATAL: ";
    if (!isatty(STDERR_FILENO))
        fprintf(stderr, "%s%s\n", class, err->text);
    log_line(LOG_ALWAYS, "%s%s", class, err->text);
    return err_exit_status(err);
}

static void log_warnings(struct config *c)
{
    char *text;
    while ((text = config_take_warning(c)) != NULL) {
        log_line(LOG_ALWAYS, "%s", text);
        free(text);
    }
}

static void log_configuration(struct config *c)
{
    if (!log_wants(LOG_DEBUGGING))
        return;
    const char *line;
    for (size_t i = 0; (line = config_describe(c, i)) != NULL; i++)
        log_line(LOG_DEBUGGING, "DEBUG: %s", line);
}

static void on_setting(void *arg, const char *name, const char *value)
{
    config_set_setting(arg, name, value);
}

static struct store *open_store(struct config *c, struct err *err)
{
    struct store *s = store_open(&c->db, clock_mono_ms() + DATABASE_START_MS, err);
    if (s == NULL)
        return NULL;
    if (store_load_settings(s, c->poller_id, on_setting, c, err) && config_finish(c, err)) {
        log_configure(&c->log);
        return s;
    }
    store_close(s);
    return NULL;
}

static bool poll_on_event_path(struct cycle *cycle, bool *ret_done, struct err *err)
{
    struct err why = ERR_INIT;
    struct loop *loop = loop_new(LOOP_LIBEVENT, &why);
    struct eventpath *path = loop == NULL ? NULL : eventpath_new(cycle, loop, &why);
    bool ok = false;
    *ret_done = path != NULL;
    if (path == NULL)
        log_line(LOG_ALWAYS, "WARNING: %s; polling by the legacy loop", why.text);
    else
        ok = eventpath_run(path, err);
    eventpath_free(path);
    if (!cycle_is_left_behind(cycle))
        loop_free(loop);
    return ok;
}

static bool poll_site(struct cycle *cycle, struct err *err)
{
    bool done = false;
    if (cycle->config->event_loop) {
        bool ok = poll_on_event_path(cycle, &done, err);
        if (done)
            return ok;
    }
    return legacy_run(cycle, err);
}

static void tell_end(const struct app *a)
{
    const struct cycle *c = &a->cycle;
    int64_t unknown = 0;
    for (int i = 0; i < UNKNOWN_REASONS; i++)
        unknown += (int64_t)c->tally.unknown[i];
    stream_emit(&(struct happening){
        .type = EVENT_CYCLE_ENDED,
        .figures = {(int64_t)c->tally.devices, (int64_t)c->tally.values, unknown,
                    (int64_t)c->rows.stored, a->end.signo != 0 ? -a->end.signo : a->end.status,
                    clock_mono_us() - c->started_mono_us},
    });
}

static void run_cycle(struct app *a)
{
    struct err err = ERR_INIT;
    struct cycle *c = &a->cycle;
    struct world *world = world_new(a->config, &a->ping, &err);
    if (world == NULL) {
        a->end.status = fail(&err);
        return;
    }
    cycle_init(c, a->config, a->store, world, a->mono_us);
    c->uplink = a->uplink;
    c->watchdog = a->watchdog;
    watchdog_set_end(a->watchdog, c->end_by_mono_ms);
    bool polled = poll_site(c, &err);
    if (c->store_left_behind)
        cycle_rescue(c);
    if (c->stop_signal != 0)
        stopsig_log(c->stop_signal);
    a->end.status = polled ? cycle_report(c) : fail(&err);
    a->end.signo = c->stop_signal;
    a->end.at_once = cycle_is_left_behind(c);
    tell_end(a);
    if (a->end.at_once)
        return;
    cycle_done(c);
    world_free(world);
}

static void trace_sql(const char *sql, size_t len)
{
    log_line(LOG_DEVDBG, "DEVDBG: SQL:%.*s", (int)len, sql);
}

static bool configure(struct config *c, struct err *err)
{
    bool ok = config_read_file(c, err) && config_read_environment(c, err) && config_finish(c, err);
    log_configure(&c->log);
    log_warnings(c);
    return ok;
}

/* Without one a hanging library hangs us; that is no reason not to poll. */
static void start_watchdog(struct app *a)
{
    struct err err = ERR_INIT;
    a->watchdog = watchdog_start(a->mono_us / 1000 + START_AT_MOST_MS, &err);
    if (a->watchdog == NULL)
        log_line(LOG_ALWAYS, "WARNING: no watchdog: %s", err.text);
    watchdog_on_stall(a->watchdog, trace_say);
    watchdog_doing(a->watchdog, WATCH_MAIN, "connecting and reading settings");
}

/* The main server knows how many threads its collector shall have; the local copy may be old. */
static bool adopt_threads(struct config *c, struct uplink *uplink, struct err *err)
{
    char text[16];
    int threads = uplink_threads(uplink);
    snprintf(text, sizeof(text), "%d", threads);
    if (threads > 0)
        config_set_setting(c, "threads", text);
    else
        log_line(LOG_MEDIUM, "NOTE: the number of threads is that of the local database, because "
                             "the main server has not told it");
    return config_finish(c, err);
}

/* A collector begins with the main server, in the background. */
static struct store *open_stores(struct app *a, struct err *err)
{
    struct config *c = a->config;
    if (c->poller_id > 1 && c->mode == MODE_ONLINE && (a->uplink = uplink_start(c, err)) == NULL)
        return NULL;
    struct store *store = open_store(c, err);
    if (store == NULL || a->uplink == NULL || adopt_threads(c, a->uplink, err))
        return store;
    store_close(store);
    return NULL;
}

static void start_telling(struct app *a)
{
    struct err err = ERR_INIT;
    const struct config *c = a->config;
    struct eventlog_options o = {
        .path = c->event_log,
        .full = c->event_detail_full,
        .max_bytes = c->event_log_bytes,
        .queue_events = (size_t)c->event_log_queue,
        .queue_bytes = (size_t)c->event_log_buffer_bytes,
    };
    trace_start((size_t)c->trace_events);
    if (*o.path == '\0')
        return;
    a->events = eventlog_start(&o, &err);
    if (a->events == NULL)
        log_line(LOG_ALWAYS, "WARNING: Event log %s: %s", o.path, err.text);
}

static void stop_telling(struct app *a)
{
    struct stream_figures f = stream_figures();
    if (a->events == NULL)
        return;
    log_line(LOG_MEDIUM,
             "NOTE: Events: %" PRIu64 " emitted, %zu readers, deepest queue %zu, %" PRIu64
             " dropped",
             f.emitted, f.subscribers, f.deepest, f.dropped);
    eventlog_stop(a->events);
    a->events = NULL;
}

static bool connect_store(struct app *a, struct err *err)
{
    struct err why = ERR_INIT;
    if (isatty(STDOUT_FILENO))
        printf("SPINE: Using spine config file [%s]\n", config_file_path(a->config));
    db_set_trace(trace_sql); /* before there are threads; the log decides */
    a->store = open_stores(a, &why);
    if (a->store == NULL)
        return err_set(err, why.kind, "%s (configuration file %s)", why.text,
                       config_file_path(a->config));
    log_warnings(a->config);
    log_configuration(a->config);
    log_line(LOG_DEBUGGING, "DEBUG: Version %s starting, driver: %s", PACKAGE_VERSION,
             a->config->event_loop ? "event loop" : "legacy loop");
    return true;
}

/* The way down, from wherever the way up has got to. */
static void stop(struct app *a)
{
    if (a->end.at_once) {
        stop_telling(a);
        return;
    }
    watchdog_doing(a->watchdog, WATCH_MAIN, "leaving");
    uplink_free(a->uplink);
    store_close(a->store);
    snmp_library_stop();
    stop_telling(a);
    watchdog_stop(a->watchdog);
    trace_stop();
    db_library_stop();
}

static void run(struct app *a)
{
    struct err err = ERR_INIT;
    if (!configure(a->config, &err) || !db_library_start(&err)) {
        a->end.status = fail(&err);
        return;
    }
    start_telling(a);
    bool ok = snmp_library_start(&err);
    if (ok)
        start_watchdog(a);
    ok = ok && connect_store(a, &err);
    watchdog_doing(a->watchdog, WATCH_MAIN, "the cycle");
    if (ok)
        run_cycle(a);
    else
        a->end.status = fail(&err);
    stop(a);
}

/* Devices that were asked for by id are shown. */
static bool is_selected(void *arg, uint32_t device)
{
    const struct config *c = arg;
    return c->has_host_list ? id_list_contains(&c->host_list, device)
                            : c->has_range && device >= c->first && device <= c->last;
}

static int replay(struct config *c)
{
    struct err err = ERR_INIT;
    if (replay_file(c->replay, is_selected, c, stdout, &err))
        return EX_OK;
    fflush(stdout);
    fprintf(stderr, "%s\n", err.text);
    return err_exit_status(&err);
}

/* A usage error reaches Cacti's log too, if spine.conf names one: under Cacti nobody reads standard
 * error. */
static int refuse(struct config *c, const struct err *err)
{
    if (config_read_file(c, NULL))
        log_configure(&c->log);
    return fail(err);
}

struct app_end app_main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct app *a = mem_zalloc(1, sizeof(*a));
    *a = (struct app){.mono_us = clock_mono_us(), .ping = ping_open_sockets()};
    bool dropped = privilege_drop(&err);
    stopsig_normalise();
    fatal_start();
    raise_descriptor_limit();
    a->config = config_new();
    log_start();
    if (!dropped) {
        a->end.status = fail(&err);
    } else {
        switch (config_parse_args(a->config, argc, argv, &err)) {
        case CONFIG_HELP: config_print_help(); break;
        case CONFIG_VERSION: print_version(); break;
        case CONFIG_ERROR: a->end.status = refuse(a->config, &err); break;
        case CONFIG_RUN:
            if (*a->config->replay != '\0')
                a->end.status = replay(a->config);
            else
                run(a);
            break;
        }
    }
    fflush(stdout);
    struct app_end end = a->end;
    if (end.at_once)
        return end; /* with all that a thread may still be using */
    log_stop();
    config_free(a->config);
    free(a);
    return end;
}
