#include "config.h"

#include "app/app.h"

#include "app/check.h"
#include "app/configuration.h"
#include "app/daemon.h"
#include "app/events.h"
#include "app/explain.h"
#include "app/plan.h"
#include "app/replay.h"
#include "app/run.h"
#include "app/status.h"
#include "app/verify.h"
#include "app/version.h"
#include "app/wait.h"
#include "base/clock.h"
#include "base/fatal.h"
#include "base/log.h"
#include "drivers/ping.h"
#include "drivers/privilege.h"
#include "engine/stopsig.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

/* Sockets are cheap, the usual soft limit of 1,024 is not meant for us. */
static void app_raise_descriptor_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* Reports why a run cannot go on: on standard error if it was started by hand, in the log under
 * Cacti. */
int app_fail(const struct err *err)
{
    bool classed = strncmp(err->text, "ERROR:", 6) == 0 || strncmp(err->text, "FATAL:", 6) == 0;
    const char *class = classed ? "" : "FATAL: ";
    if (!log_shows_errors())
        log_print(true, "%s%s\n", class, err->text);
    log_line(LOG_ALWAYS, "%s%s", class, err->text);
    return err_exit_status(err);
}

/* A usage error reaches Cacti's log too, if spine.conf names one: under Cacti standard error has no
 * reader.  Other commands have a person in front of them. */
static int app_refuse(struct config *c, const struct err *err)
{
    if (c->command == COMMAND_POLL && configuration_read_file(c, NULL))
        log_configure(&c->log);
    return app_fail(err);
}

static struct app_end app_carry_out(struct config *c, const struct ping_sockets *sockets,
                                    int64_t started_us, int argc, char *const *argv)
{
    struct app_end end = {.status = EX_OK};
    switch (c->command) {
    case COMMAND_POLL: return run_once(c, sockets, started_us, argv);
    case COMMAND_DAEMON: return daemon_run(c, sockets, argc, argv);
    case COMMAND_STATUS: end.status = status_run(c); break;
    case COMMAND_EVENTS: end.status = events_run(c); break;
    case COMMAND_WAIT: end.status = wait_run(c); break;
    case COMMAND_REPLAY: end.status = replay_run(c); break;
    case COMMAND_EXPLAIN: return explain_run(c, sockets, started_us);
    case COMMAND_PLAN: return plan_run(c, sockets, started_us);
    case COMMAND_VERIFY: return verify_run(c, sockets, started_us);
    case COMMAND_CHECK: return check_run(c, sockets);
    }
    return end;
}

struct app_end app_main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct app_end end = {.status = EX_OK};
    int64_t started_us = clock_mono_us();
    struct ping_sockets sockets = ping_open_sockets(); /* then every right is given up */
    bool dropped = privilege_drop(&err);
    stopsig_normalise();
    fatal_start();
    app_raise_descriptor_limit();
    struct config *config = configuration_new();
    log_start();
    if (!dropped) {
        end.status = app_fail(&err);
    } else {
        switch (configuration_parse_args(config, argc, argv, &err)) {
        case CONFIG_HELP: configuration_print_help(); break;
        case CONFIG_VERSION: end = version_run(config, &sockets); break;
        case CONFIG_ERROR: end.status = app_refuse(config, &err); break;
        case CONFIG_RUN: end = app_carry_out(config, &sockets, started_us, argc, argv); break;
        }
    }
    fflush(stdout);
    if (end.at_once)
        return end; /* with everything that a thread may still use */
    log_stop();
    configuration_free(config);
    return end;
}
