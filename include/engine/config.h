/* engine/config.h - the effective configuration of one run, and where each value came from.
 *
 * Why:     values come from five places; everybody else sees one struct that is const after start-
 *          up.
 * Use:     struct config *c = config_new();
 *          switch (config_parse_args(c, argc, argv, &err)) ...
 *          config_read_file(c, &err);  config_read_environment(c, &err);
 *          config_set_setting(c, name, value);   per row of the settings table
 *          config_finish(c, &err);
 * Threads: set-up by the main thread; const afterwards, then readable by all.
 * Owns:    all its strings.
 * Promise: precedence, weaker to stronger: built-in default, spine.conf, settings table,
 *          environment, command line (the last of repeated ones wins) - except `Event_Loop`, where
 *          spine.conf beats the settings table. Out-of-range numbers from the database fall back
 *          or are clamped with a warning; on the command line and in spine.conf they are errors.
 *          Warnings are collected, not printed: config_warnings().
 * Source:  contract "process and operations" 1.2-1.9, 10.1; "database" 3.
 */
#ifndef SPINE_ENGINE_CONFIG_H
#define SPINE_ENGINE_CONFIG_H

#include "base/err.h"
#include "base/log.h"
#include "drivers/db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
    int cacti_version;            /* a*1000 + b*100 + c; 0 = unknown (contract database 3.5) */
    struct id_list debug_devices; /* selective_device_debug */

    /* who tells of it, beside the log */
    const char *replay;    /* a file to be played back instead of a cycle, "" = none */
    const char *event_log; /* "" = none */
    bool event_detail_full;
    int64_t event_log_bytes;
    int event_log_queue; /* events */
    int64_t event_log_buffer_bytes;
    int trace_events;

    /* where the log goes; ready for log_configure() at any time after config_read_file() */
    struct log_options log;

    const char *spool_file; /* "" = none */
    int64_t spool_bytes;

    /* databases: strings owned by the config */
    struct db_params db;
    struct db_params rdb;
    int rdb_patience_ms;
};

enum config_request { CONFIG_RUN, CONFIG_HELP, CONFIG_VERSION, CONFIG_ERROR };

NODISCARD struct config *config_new(void); /* built-in defaults */
void config_free(struct config *c);

enum config_request config_parse_args(struct config *c, int argc, char *const *argv,
                                      struct err *err);
/* Finds (contract 1.5) or takes -C, reads and applies.  ERR_CONFIG with file:line. */
NODISCARD bool config_read_file(struct config *c, struct err *err);
const char *config_file_path(const struct config *c); /* NULL before a file was read */
NODISCARD bool config_read_environment(struct config *c, struct err *err);
void config_set_setting(struct config *c, const char *name, const char *value);
/* Derive what depends on several values; checks that need all sources.  May be called again. */
NODISCARD bool config_finish(struct config *c, struct err *err);

/* Warnings collected so far, one per call, oldest first; NULL when there are no more.  free() each.
 */
char *config_take_warning(struct config *c);

/* "name = value (source)" for each option, to be logged at debug level: i from 0 until NULL.
 * Secrets are masked. Borrowed until the next call. */
const char *config_describe(struct config *c, size_t i);

/* For --help: version line, empty line, usage made from the option table. */
void config_print_help(void);

bool id_list_contains(const struct id_list *list, uint32_t id);

#endif
