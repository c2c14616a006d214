/* engine/config.h - the effective configuration of a cycle.
 *
 * Why:     all layers below the command line see plain values, whatever source they come from.
 * Use:     a const struct config is lent to a cycle and does not change while the cycle runs.
 * Threads: const, so any.
 * Owns:    nothing: its maker (app/configuration.h) owns the strings.
 */
#ifndef SPINE_ENGINE_CONFIG_H
#define SPINE_ENGINE_CONFIG_H

#include "base/err.h"
#include "base/log.h"
#include "drivers/db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the program was started for. */
enum command {
    COMMAND_POLL,
    COMMAND_REPLAY,
    COMMAND_CHECK,
    COMMAND_EXPLAIN,
    COMMAND_VERIFY,
    COMMAND_PLAN,
    COMMAND_DAEMON,
    COMMAND_STATUS,
    COMMAND_EVENTS,
    COMMAND_WAIT
};

/* What a command other than a poll writes on standard output. */
enum config_format { FORMAT_TEXT, FORMAT_JSON };

enum config_mode { MODE_ONLINE, MODE_OFFLINE, MODE_RECOVERY };

enum config_source {
    SOURCE_DEFAULT,
    SOURCE_FILE,
    SOURCE_SETTINGS,
    SOURCE_ENVIRONMENT,
    SOURCE_COMMAND_LINE,
};

struct id_list {
    uint32_t *ids; /* sorted, each once */
    size_t count;
};

struct config {
    enum command command;
    enum config_format format;

    /* of the process that Cacti has started: this one, or the client of a daemon */
    int pid;
    const char *const *environment; /* NULL-terminated; NULL: this process's, which no daemon is */
    const char *directory;          /* NULL: this process's */

    /* the daemon */
    bool daemon;               /* a cycle is handed over to it, if there is one */
    const char *daemon_socket; /* never "" */
    const char *daemon_group;  /* "" = none */
    int daemon_cycles;         /* at a time; > 0 */
    int event_buffer;          /* events that wait for one reader; a power of two */

    /* what is asked of it */
    bool verbose;
    bool follow;
    const char *event_types; /* of COMMAND_EVENTS and COMMAND_WAIT; "" = all */
    int timeout_s;           /* 0 = none */
    int reload_debounce_ms;  /* the file is left alone for that long; > 0 */
    int watch_poll_ms;       /* where the kernel does not tell; 0: not at all */

    /* what to poll */
    int poller_id;
    bool has_range;
    uint32_t first, last;
    bool has_host_list;
    struct id_list host_list;
    enum config_mode mode;
    bool mibs;
    bool read_only;
    bool ping_only;

    /* how */
    bool event_loop; /* wanted; the build may not have it */
    enum config_source event_loop_source;
    bool async_snmp;       /* wanted; the event path only */
    int address_limit;     /* devices at a time at one address, of async_snmp; > 0 */
    int threads;           /* 1..100 */
    int poller_interval_s; /* > 0 */
    int active_profiles;   /* 1 = rrd_next_step is ignored */
    int snmp_retries;
    const char *snmp_client_address;             /* "" = none */
    int ping_failure_count, ping_recovery_count; /* >= 1 */
    int script_timeout_s;
    int max_scripts;
    int script_cpu_s; /* limits of a child's own; 0 = its time-out and 5 s */
    int script_files;
    bool script_core;
    int php_servers;
    const char *path_php_binary;
    const char *path_webroot;
    bool boost;      /* boost_redirect and boost_rrd_update_enable */
    int invalid_log; /* spine_log_level: 0, 1, 2 */
    const char *cacti_version_text;
    int cacti_version;            /* a*1000 + b*100 + c; 0 = unknown (docs/contract.md 2.5) */
    struct id_list debug_devices; /* selective_device_debug */

    /* what reports the cycle, in addition to the log */
    const char *replay;    /* the file of COMMAND_REPLAY */
    const char *event_log; /* "" = none */
    bool event_detail_full;
    int64_t event_log_bytes;
    int event_log_queue; /* events */
    int64_t event_log_buffer_bytes;
    int trace_events;
    /* Written when a cycle has ended, "" = not; %p and %f as engine/outputs has them. */
    const char *metrics_file, *report_file, *timeline_file, *trace_file;

    /* where the log goes; ready for log_configure() at any time after config_read_file() */
    struct log_options log;

    const char *spool_file; /* "" = none */
    int64_t spool_bytes;

    bool resume;                 /* what an interrupted cycle has left */
    const char *checkpoint_file; /* "" = beside the spool file; NULL = none */

    /* databases: strings owned by the config */
    struct db_params db;
    struct db_params rdb;
    int db_connections; /* of a cycle to `db`, at most; > 0 */
    int rdb_patience_ms;
};

/* What polls a cycle. */
enum config_driver {
    CONFIG_LEGACY, /* the legacy loop */
    CONFIG_EVENT,  /* the event path; calls for SNMP block a worker */
    CONFIG_ASYNC,  /* the event path; SNMP and ping wait on the loop */
};

/* What is to poll; struct cycle knows what did, since an event loop cannot always be started. */
enum config_driver config_driver(const struct config *c);
const char *config_driver_text(enum config_driver driver); /* "legacy", "event", "async" */

/* A variable of such an environment (NULL: this process's); NULL: it is not set. */
const char *config_variable(const char *const *environment, const char *name);

bool id_list_contains(const struct id_list *list, uint32_t id);

#endif
