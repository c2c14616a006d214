#include "config.h"

#include "engine/app.h"

#include "base/clock.h"
#include "base/mem.h"
#include "drivers/ping.h"
#include "drivers/privilege.h"
#include "drivers/snmp.h"
#include "drivers/store.h"
#include "engine/config.h"
#include "engine/cycle.h"
#include "engine/legacy.h"
#include "engine/options.h"
#include "engine/stopsig.h"
#ifdef HAVE_LIBEVENT
#include "engine/eventpath.h"
#endif

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

/* What is known before any input is read. */
struct start {
    int64_t mono_us;
    struct ping_sockets ping; /* opened first of all, then every right is given up for good */
};

/* How long an unreachable database is tried at start. */
enum { DATABASE_START_MS = 5000 };

/* What cron, nohup or a shell may have left us is put right before anything else.  Stop signals end
 * the process at once until a driver takes them: before that nothing is open. */
static void normalise_signals(void)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    struct sigaction ign = {.sa_handler = SIG_IGN};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    for (int i = 0; stopsig_list[i] != 0; i++)
        sigaction(stopsig_list[i], &dfl, NULL);
    sigaction(SIGCHLD, &dfl, NULL);
    sigaction(SIGPIPE, &ign, NULL);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

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
    puts(options_version_line());
#ifdef HAVE_LIBEVENT
    printf("event loop: yes (libevent %s)\n", loop_library_version());
#else
    puts("event loop: no (built without libevent)");
#endif
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

#ifdef HAVE_LIBEVENT
static bool poll_on_event_path(struct cycle *cycle, bool *ret_done, struct err *err)
{
    struct err why = ERR_INIT;
    struct loop *loop = loop_new(&why);
    struct eventpath *path = loop == NULL ? NULL : eventpath_new(cycle, loop, &why);
    bool ok = false;
    *ret_done = path != NULL;
    if (path == NULL)
        log_line(LOG_ALWAYS, "WARNING: %s; polling by the legacy loop", why.text);
    else
        ok = eventpath_run(path, err);
    eventpath_free(path);
    loop_free(loop);
    return ok;
}
#else
static bool poll_on_event_path(struct cycle *cycle UNUSED, bool *ret_done, struct err *err UNUSED)
{
    log_line(LOG_ALWAYS, "WARNING: this build has no event loop (libevent); polling by the legacy "
                         "loop");
    *ret_done = false;
    return false;
}
#endif

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

static int run_cycle(struct config *c, struct store *store, const struct start *start)
{
    struct err err = ERR_INIT;
    struct cycle cycle;
    int status;
    struct world *world = world_new(c, &start->ping, &err);
    if (world == NULL)
        return fail(&err);
    cycle_init(&cycle, c, store, world, start->mono_us);
    bool polled = poll_site(&cycle, &err);
    if (cycle.stop_signal != 0)
        stopsig_log(cycle.stop_signal);
    status = polled ? cycle_report(&cycle) : fail(&err);
    if (cycle.stop_signal != 0)
        status = -cycle.stop_signal;
    cycle_done(&cycle);
    world_free(world);
    return status;
}

static void trace_sql(const char *sql, size_t len)
{
    log_line(LOG_DEVDBG, "DEVDBG: SQL:%.*s", (int)len, sql);
}

static int run(struct config *c, const struct start *start)
{
    struct err err = ERR_INIT;
    bool ok =
        config_read_file(c, &err) && config_read_environment(c, &err) && config_finish(c, &err);
    log_configure(&c->log);
    log_warnings(c);
    if (!ok)
        return fail(&err);
    if (!db_library_start(&err) || !snmp_library_start(&err))
        return fail(&err);
    if (isatty(STDOUT_FILENO))
        printf("SPINE: Using spine config file [%s]\n", config_file_path(c));
    struct store *store = open_store(c, &err);
    int status;
    if (store == NULL) {
        struct err where = err;
        err_set(&where, err.kind, "%s (configuration file %s)", err.text, config_file_path(c));
        status = fail(&where);
    } else {
        log_warnings(c);
        log_configuration(c);
        if (log_wants(LOG_DEVDBG))
            db_set_trace(trace_sql);
        log_line(LOG_DEBUGGING, "DEBUG: Version %s starting, driver: %s", PACKAGE_VERSION,
                 c->event_loop ? "event loop" : "legacy loop");
        status = run_cycle(c, store, start);
    }
    store_close(store);
    snmp_library_stop();
    db_library_stop();
    return status;
}

/* A usage error reaches Cacti's log too, if spine.conf names one: under Cacti nobody reads standard
 * error. */
static int refuse(struct config *c, const struct err *err)
{
    if (config_read_file(c, NULL))
        log_configure(&c->log);
    return fail(err);
}

int app_main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    int status = EX_OK;
    struct start start = {.mono_us = clock_mono_us(), .ping = ping_open_sockets()};
    bool dropped = privilege_drop(&err);
    normalise_signals();
    raise_descriptor_limit();
    struct config *c = config_new();
    log_start();
    if (!dropped) {
        status = fail(&err);
        log_stop();
        config_free(c);
        return status;
    }
    switch (config_parse_args(c, argc, argv, &err)) {
    case CONFIG_HELP: config_print_help(); break;
    case CONFIG_VERSION: print_version(); break;
    case CONFIG_ERROR: status = refuse(c, &err); break;
    case CONFIG_RUN: status = run(c, &start); break;
    }
    log_stop();
    config_free(c);
    return status;
}
