#include "config.h"

#include "app/run.h"

#include "app/client.h"
#include "app/configuration.h"
#include "app/look.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/trace.h"
#include "drivers/snmp.h"
#include "drivers/store.h"
#include "engine/cycle.h"
#include "engine/eventlog.h"
#include "engine/outputs.h"
#include "engine/process.h"
#include "engine/resume.h"
#include "engine/stopsig.h"
#include "engine/uplink.h"
#include "engine/watchdog.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

/* What has been started. */
struct run {
    int64_t started_mono_us;
    const struct ping_sockets *sockets; /* NULL: there is a host */
    const struct run_host *host;        /* NULL: the process is the cycle's alone */
    struct config *config;
    struct watchdog *watchdog;
    struct guard *guard;
    struct uplink *uplink; /* NULL: this is not a collector that is online */
    struct eventlog *events;
    struct outputs *outputs; /* NULL: none are wanted */
    struct store *store;
    enum config_driver driver; /* of the last cycle, or of the one that is to come */
    bool left_behind;          /* a thread that hangs may still use what its cycle was lent */
    struct app_end end;
};

/* How long an unreachable database is tried at start, and what the watchdog grants until the length
 * of the cycle is known: that, and a name server that does not answer. */
enum { DATABASE_START_MS = 5000, START_AT_MOST_MS = 45000 };

static void log_warnings(struct config *c)
{
    char *text;
    while ((text = configuration_take_warning(c)) != NULL) {
        log_line(LOG_ALWAYS, "%s", text);
        free(text);
    }
}

static void log_configuration(struct config *c)
{
    if (!log_wants(LOG_DEBUGGING))
        return;
    const char *line;
    for (size_t i = 0; (line = configuration_describe(c, i)) != NULL; i++)
        log_line(LOG_DEBUGGING, "DEBUG: %s", line);
}

static void tell_end(const struct run *r, struct cycle *c)
{
    struct ledger_figures f = ledger_get(&c->ledger);
    stream_emit(&(struct happening){
        .type = EVENT_CYCLE_ENDED,
        .figures = {(int64_t)f.devices, (int64_t)f.values, (int64_t)ledger_unknown(&f),
                    (int64_t)f.stored, r->end.signo != 0 ? -r->end.signo : r->end.status,
                    clock_mono_us() - c->started_mono_us, c->loop_lag_us},
    });
}

/* ---- in a process that has other cycles ---- */

void run_told_init(struct run_told *told)
{
    *told = (struct run_told){.signo = 0};
    thr_mutex_init(&told->lock);
}

void run_told_done(struct run_told *told)
{
    thr_mutex_done(&told->lock);
}

void run_tell(struct run_told *told, int signo)
{
    thr_lock(&told->lock);
    if (told->signo == 0 && signo != SIGUSR1)
        told->signo = signo;
    if (told->process != NULL)
        process_signal(told->process, signo);
    if (told->reading != NULL && told->signo != 0)
        store_hurry(told->reading, clock_mono_ms(), clock_mono_ms());
    thr_unlock(&told->lock);
}

/* A stop signal ends its statements; NULL: none. */
static void run_set_reading(struct run_told *told, struct store *s)
{
    if (told == NULL)
        return;
    thr_lock(&told->lock);
    told->reading = s;
    if (s != NULL && told->signo != 0)
        store_hurry(s, clock_mono_ms(), clock_mono_ms());
    thr_unlock(&told->lock);
}

/* From now on signals reach this one; NULL: none. */
static void run_set_told(struct run *r, struct process *process)
{
    struct run_told *told = r->host == NULL ? NULL : r->host->told;
    if (told == NULL)
        return;
    thr_lock(&told->lock);
    told->process = process;
    if (process != NULL && told->signo != 0)
        process_signal(process, told->signo);
    thr_unlock(&told->lock);
}

/* A stop signal that comes before anything is open ends the run, as it would end a process. */
static bool run_was_told(struct run *r)
{
    struct run_told *told = r->host == NULL ? NULL : r->host->told;
    if (told == NULL)
        return false;
    thr_lock(&told->lock);
    r->end.signo = told->signo;
    thr_unlock(&told->lock);
    return r->end.signo != 0;
}

/* After the last use of a cycle and a process. */
static void run_release(struct run *r, struct process *process, struct cycle *c)
{
    run_set_told(r, NULL);
    r->driver = c->driver;
    r->left_behind = c->left_behind > 0 || c->writer_lost;
    r->end.at_once |= r->left_behind;
    if (r->left_behind)
        process_leave(process);
    else
        process_free(process);
    if (c->stop_signal != 0)
        stopsig_log(c->stop_signal);
    r->end.signo = c->stop_signal;
    if (c->writer_lost)
        r->store = NULL; /* the writer's, which may still return */
    else
        store_set_listener(r->store, NULL, NULL);
}

/* Everything that polls, for one cycle; NULL: err says why not. */
static struct process *run_prepare(struct run *r, int64_t started_mono_us, struct cycle **ret,
                                   struct err *err)
{
    struct process *process = NULL;
    /* The cycle first: it needs few descriptors, and a loop does without what is not left. */
    struct cycle *c = cycle_new(r->config, r->store, started_mono_us, err);
    if (c != NULL && r->host != NULL)
        process = process_new_hosted(r->config, r->host->services, r->watchdog);
    else if (c != NULL)
        process = process_new(r->config, r->sockets, r->watchdog, err);
    if (process == NULL) {
        cycle_unref(c);
        return NULL;
    }
    c->guard = r->guard;
    guard_set_end(r->guard, c->end_by_mono_ms);
    if (r->host != NULL)
        r->host->until(r->host->arg, c->end_by_mono_ms);
    run_set_told(r, process);
    *ret = c;
    return process;
}

static void poll_site(struct run *r, void *arg UNUSED)
{
    struct err err = ERR_INIT;
    struct cycle *c;
    struct process *process = run_prepare(r, r->started_mono_us, &c, &err);
    if (process == NULL) {
        r->end.status = app_fail(&err);
        return;
    }
    struct process_run run = {.cycle = c};
    c->uplink = r->uplink;
    process_poll(process, &run, 1);
    run_release(r, process, c);
    r->end.status = run.polled ? EX_OK : app_fail(&run.err);
    log_end_progress();
    int reported = cycle_report(c);
    resume_end(c);
    if (run.polled)
        r->end.status = reported;
    tell_end(r, c);
    cycle_unref(c);
}

bool run_look(struct run *r, struct look *l, struct err *err)
{
    struct cycle *c;
    r->config->active_profiles = 1;
    if (r->config->log.level < LOG_MEDIUM)
        r->config->log.level = LOG_MEDIUM; /* the core notes reasons where they are wanted */
    struct process *process = run_prepare(r, clock_mono_us(), &c, err);
    if (process == NULL)
        return false;
    struct process_run run = {.cycle = c};
    c->watcher = look_watcher(l);
    process_poll(process, &run, 1);
    run_release(r, process, c);
    *err = run.err;
    cycle_unref(c);
    return run.polled;
}

static void trace_sql(const char *sql, size_t len)
{
    log_line(LOG_DEVDBG, "DEVDBG: SQL:%.*s", (int)len, sql);
}

static bool read_configuration(struct config *c, struct err *err)
{
    bool ok = configuration_read_file(c, err) && configuration_read_environment(c, err) &&
              configuration_read_secrets(c, err);
    if (ok)
        configuration_finish(c);
    return ok;
}

bool run_configure(struct config *c, struct err *err)
{
    bool ok = read_configuration(c, err);
    log_configure(&c->log);
    log_warnings(c);
    return ok;
}

/* Without a watchdog a hanging library hangs the process; polling is possible nevertheless. */
static void start_watchdog(struct run *r)
{
    struct err err = ERR_INIT;
    r->watchdog = watchdog_start(&err);
    if (r->watchdog == NULL)
        log_line(LOG_ALWAYS, "WARNING: no watchdog: %s", err.text);
    watchdog_on_stall(r->watchdog, trace_say);
    if (r->host != NULL)
        watchdog_instead(r->watchdog, r->host->lost, r->host->arg);
    r->guard = guard_new(r->watchdog, r->started_mono_us / 1000 + START_AT_MOST_MS);
    guard_doing(r->guard, GUARD_MAIN, "connecting and reading settings");
}

static void on_setting(void *arg, const char *name, const char *value)
{
    configuration_set_setting(arg, name, value);
}

static struct store *open_store(struct run *r, struct err *err)
{
    struct config *c = r->config;
    struct run_told *told = r->host == NULL ? NULL : r->host->told;
    struct store *s = store_open(&c->db, clock_mono_ms() + DATABASE_START_MS, err);
    if (s == NULL)
        return NULL;
    /* The interval is one of the settings: until then it is the shortest. */
    store_set_deadline(s, budget_make(r->started_mono_us / 1000, BUDGET_SHORTEST_S).poll_until);
    run_set_reading(told, s);
    bool ok = store_load_settings(s, c->poller_id, on_setting, c, err);
    run_set_reading(told, NULL);
    if (ok) {
        configuration_finish(c);
        log_configure(&c->log);
        return s;
    }
    store_close(s);
    return NULL;
}

/* The main server knows how many threads its collector is to have; the local copy may be old. */
static void adopt_threads(struct config *c, struct uplink *uplink)
{
    char text[16];
    int threads = uplink_threads(uplink);
    snprintf(text, sizeof(text), "%d", threads);
    if (threads > 0)
        configuration_set_setting(c, "threads", text);
    else
        log_line(LOG_MEDIUM, "NOTE: the number of threads is that of the local database, because "
                             "the main server has not told it");
    configuration_finish(c);
}

/* A collector begins with the main server, in the background. */
static struct store *open_stores(struct run *r, struct err *err)
{
    struct config *c = r->config;
    bool online = c->poller_id > 1 && c->mode == MODE_ONLINE && c->command == COMMAND_POLL;
    if (online && (r->uplink = uplink_start(c, err)) == NULL)
        return NULL;
    struct store *store = open_store(r, err);
    if (store != NULL && r->uplink != NULL)
        adopt_threads(c, r->uplink);
    return store;
}

static void start_telling(struct run *r)
{
    struct err err = ERR_INIT;
    const struct config *c = r->config;
    struct eventlog_options o = {
        .path = c->event_log,
        .full = c->event_detail_full,
        .max_bytes = c->event_log_bytes,
        .queue_events = (size_t)c->event_log_queue,
        .queue_bytes = (size_t)c->event_log_buffer_bytes,
    };
    trace_start((size_t)c->trace_events);
    if (c->command == COMMAND_POLL)
        r->outputs = outputs_start(c, &err);
    if (err.kind != ERR_NONE)
        log_line(LOG_ALWAYS, "WARNING: neither metrics nor reports: %s", err.text);
    if (*o.path == '\0')
        return;
    r->events = eventlog_start(&o, &err);
    if (r->events == NULL)
        log_line(LOG_ALWAYS, "WARNING: Event log %s: %s", o.path, err.text);
}

static void stop_telling(struct run *r)
{
    struct stream_figures f = stream_figures();
    outputs_stop(r->outputs, r->driver, r->end.signo != 0 ? 128 + r->end.signo : r->end.status);
    r->outputs = NULL;
    if (r->events == NULL)
        return;
    log_line(LOG_MEDIUM,
             "NOTE: Events: %" PRIu64 " emitted, %zu readers, deepest queue %zu, %" PRIu64
             " dropped",
             f.emitted, f.subscribers, f.deepest, f.dropped);
    eventlog_stop(r->events);
    r->events = NULL;
}

static bool connect_store(struct run *r, struct err *err)
{
    struct err why = ERR_INIT;
    if (log_is_terminal(false) && r->config->command == COMMAND_POLL)
        log_print(false, "SPINE: Using spine config file [%s]\n",
                  configuration_file_path(r->config));
    r->store = open_stores(r, &why);
    if (r->store == NULL)
        return err_set(err, why.kind, "%s (configuration file %s)", why.text,
                       configuration_file_path(r->config));
    log_warnings(r->config);
    log_configuration(r->config);
    r->driver = config_driver(r->config); /* the settings are known */
    log_line(LOG_DEBUGGING, "DEBUG: Version %s starting, driver: %s", PACKAGE_VERSION,
             config_driver_text(r->driver));
    return true;
}

/* Ends what was started, however far the start has come. */
static void stop(struct run *r)
{
    if (r->end.at_once) {
        guard_set_end(r->guard, INT64_MAX); /* in a daemon it stays, with what uses it */
        stop_telling(r);
        return;
    }
    guard_doing(r->guard, GUARD_MAIN, "leaving");
    uplink_free(r->uplink);
    store_close(r->store);
    stop_telling(r);
    guard_free(r->guard);
    watchdog_stop(r->watchdog);
    trace_stop();
}

static void run_carry_out(struct run *r, run_work_fn *work, void *arg)
{
    struct err err = ERR_INIT;
    r->driver = config_driver(r->config);
    start_telling(r);
    start_watchdog(r);
    bool ok = connect_store(r, &err), told = run_was_told(r);
    guard_doing(r->guard, GUARD_MAIN, "the cycle");
    if (told)
        outputs_drop(r->outputs); /* a process of its own would have been ended by the signal */
    else if (ok)
        work(r, arg);
    else
        r->end.status = app_fail(&err);
    stop(r);
}

bool run_start_libraries(struct err *err)
{
    if (!db_library_start(err))
        return false;
    db_set_trace(trace_sql); /* the log decides */
    if (snmp_library_start(err))
        return true;
    db_library_stop();
    return false;
}

void run_stop_libraries(void)
{
    snmp_library_stop();
    db_library_stop();
}

/* The configuration has been read. */
static struct app_end run_alone(struct run *r, run_work_fn *work, void *arg)
{
    struct err err = ERR_INIT;
    if (!run_start_libraries(&err)) {
        r->end.status = app_fail(&err);
        return r->end;
    }
    run_carry_out(r, work, arg);
    if (!r->end.at_once)
        run_stop_libraries();
    return r->end;
}

struct app_end run_command(struct config *config, const struct ping_sockets *sockets,
                           int64_t started_mono_us, run_work_fn *work, void *arg)
{
    struct err err = ERR_INIT;
    struct run r = {.started_mono_us = started_mono_us, .sockets = sockets, .config = config};
    if (run_configure(config, &err))
        return run_alone(&r, work, arg);
    r.end.status = app_fail(&err);
    return r.end;
}

struct app_end run_hosted(struct config *config, const struct run_host *host,
                          int64_t started_mono_us)
{
    struct err err = ERR_INIT;
    struct run r = {.started_mono_us = started_mono_us, .host = host, .config = config};
    if (run_configure(config, &err))
        run_carry_out(&r, poll_site, NULL);
    else
        r.end.status = app_fail(&err);
    return r.end;
}

/* ---- with a daemon ---- */

/* What became of the request to a daemon. */
struct once {
    struct err why; /* no daemon polls, or it has not finished; ERR_NONE: nothing is to be said */
    char *const *argv;
    bool asked;
};

/* The daemon has begun the cycle and ended: nothing is polled again. */
static void settle_row(struct run *r, void *arg)
{
    const struct once *o = arg;
    struct err err = ERR_INIT;
    const struct config *c = r->config;
    struct store_row row = {.poller_id = c->poller_id, .pid = c->pid};
    int64_t until = clock_mono_ms() + DATABASE_START_MS;
    bool is_main = r->uplink != NULL; /* which has the rows of its collectors */
    struct store *s = is_main ? store_open(&c->rdb, until, &err) : r->store;
    bool needless = c->read_only || c->ping_only;
    outputs_drop(r->outputs);
    if (!is_main)
        store_grant_last(s, DATABASE_START_MS); /* its cycle's time may be over */
    bool ok = needless || (s != NULL && store_settle_cycle(s, &row, &err));
    if (is_main)
        store_close(s);
    log_line(LOG_ALWAYS, "ERROR: %s; what it had not stored is lost, and the row in poller_time %s",
             o->why.text, ok ? "is closed" : "could not be closed");
    if (!ok)
        log_line(LOG_ALWAYS, "ERROR: %s", err.text);
    r->end.status = EX_TEMPFAIL;
}

/* Also where `Daemon` is a row of the settings table, which is read by now. */
static void poll_site_or_ask(struct run *r, void *arg)
{
    struct once *o = arg;
    if (!o->asked && r->config->daemon) {
        guard_set_end(r->guard, INT64_MAX);
        switch (client_poll(r->config, r->started_mono_us, o->argv, &r->end, &o->why)) {
        case CLIENT_ALONE: break;
        case CLIENT_DONE: outputs_drop(r->outputs); return;
        case CLIENT_ORPHANED: settle_row(r, o); return;
        }
    }
    if (o->why.kind != ERR_NONE)
        log_line(LOG_MEDIUM, "NOTE: %s; this process polls by itself", o->why.text);
    poll_site(r, NULL);
}

static struct app_end run_orphaned(struct run *r, struct once *o)
{
    r->started_mono_us = clock_mono_us(); /* the cycle's time may be over */
    struct app_end end = run_alone(r, settle_row, o);
    end.status = EX_TEMPFAIL; /* also if the database cannot be reached */
    return end;
}

struct app_end run_once(struct config *config, const struct ping_sockets *sockets,
                        int64_t started_mono_us, char *const *argv)
{
    struct err err = ERR_INIT;
    struct once o = {.why = ERR_INIT, .argv = argv};
    struct run r = {.started_mono_us = started_mono_us, .sockets = sockets, .config = config};
    bool ok = read_configuration(config, &err);
    enum client_outcome outcome = CLIENT_ALONE;
    if (ok && config->daemon) {
        o.asked = true;
        outcome = client_poll(config, started_mono_us, argv, &r.end, &o.why);
    }
    if (outcome == CLIENT_DONE)
        return r.end; /* the cycle has said what is to be said */
    log_configure(&config->log);
    log_warnings(config);
    if (!ok) {
        r.end.status = app_fail(&err);
        return r.end;
    }
    return outcome == CLIENT_ORPHANED ? run_orphaned(&r, &o) : run_alone(&r, poll_site_or_ask, &o);
}

/* ---- for the commands ---- */

void run_set_status(struct run *r, int status)
{
    r->end.status = status;
}

bool run_is_left_behind(const struct run *r)
{
    return r->left_behind;
}

bool run_is_stopped(const struct run *r)
{
    return r->end.signo != 0;
}

struct store *run_store(struct run *r)
{
    return r->store;
}

enum config_driver run_driver(const struct run *r)
{
    return r->driver;
}
