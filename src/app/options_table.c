#include "config.h"

#include "app/options.h"

#include "base/compiler.h"

#include <stdint.h>
#include <strings.h>

#define COUNT_TOP   1000000
#define SECONDS_TOP 86400

#ifdef HAVE_LIBEVENT
#define LOOP_STANDARD "on"
#else
#define LOOP_STANDARD "off"
#endif

#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)

static const struct option_word modes[] = {
    {"online", MODE_ONLINE}, {"offline", MODE_OFFLINE}, {"recovery", MODE_RECOVERY}, {NULL, 0}};
static const struct option_word details[] = {{"normal", 0}, {"full", 1}, {NULL, 0}};
static const struct option_word levels[] = {
    {"NONE", LOG_NONE}, {"LOW", LOG_ALWAYS},      {"MEDIUM", LOG_MEDIUM},
    {"HIGH", LOG_HIGH}, {"DEBUG", LOG_DEBUGGING}, {"DEVDBG", LOG_DEVDBG},
    {NULL, 0}};
static const struct option_word verify[] = {
    {"off", DB_VERIFY_OFF}, {"on", DB_VERIFY_ON}, {"auto", DB_VERIFY_AUTO}, {NULL, 0}};
static const struct option_word formats[] = {
    {"text", FORMAT_TEXT}, {"json", FORMAT_JSON}, {NULL, 0}};
static const struct option_word hosts[] = {{"auto", 1}, {"off", 0}, {NULL, 0}};
static const struct option_word bulk[] = {{"auto", DB_BULK_AUTO}, {"off", DB_BULK_OFF}, {NULL, 0}};
static const struct option_word destinations[] = {{"FILE", LOG_TO_FILE},
                                                  {"BOTH", LOG_TO_BOTH},
                                                  {"SYSLOG", LOG_TO_SYSLOG},
                                                  {"STDOUT", LOG_TO_STDOUT},
                                                  {NULL, 0}};

/* Rows of one shape; `...` are further initialisers.  ARG: has a long name of its own.  SETTING: a
 * row of the settings table.  KEY: only in spine.conf. */
#define ARG(letter_, long_, type_, section_, help_, ...)                                           \
    {                                                                                              \
        .name = long_, .letter = (letter_), .longs = {long_}, .type = OPTION_TYPE_##type_,         \
        .section = OPTION_##section_, .help = (help_), __VA_ARGS__                                 \
    }
#define SETTING(name_, type_, placeholder_, help_, ...)                                            \
    {                                                                                              \
        .name = (name_), .type = OPTION_TYPE_##type_, .section = OPTION_SETTING, .setting = true,  \
        .placeholder = (placeholder_), .help = (help_), __VA_ARGS__                                \
    }
#define NUMBER(name_, low, high, standard_, help_, ...)                                            \
    SETTING(name_, INTEGER, "N", help_, .min = (low), .max = (high), .standard = (standard_),      \
            __VA_ARGS__)
#define BOOLEAN(name_, help_) SETTING(name_, BOOLEAN, "on|off", help_, .standard = "off")
#define KEY(key_, type_, standard_, placeholder_, help_, ...)                                      \
    {                                                                                              \
        .name = (key_), .key = (key_), .type = OPTION_TYPE_##type_, .section = OPTION_FILE,        \
        .standard = (standard_), .placeholder = (placeholder_), .help = (help_), __VA_ARGS__       \
    }
#define OUTPUT_FILE(id, long_, key_, variable_, help_)                                             \
    [OPTION_##id] = {.name = (long_),                                                              \
                     .key = (key_),                                                                \
                     .variable = (variable_),                                                      \
                     .longs = {long_},                                                             \
                     .type = OPTION_TYPE_PATH,                                                     \
                     .section = OPTION_OUTPUT,                                                     \
                     .standard = "",                                                               \
                     .placeholder = "FILE",                                                        \
                     .help = (help_)}
#define DATABASE(PREFIX, which)                                                                    \
    [OPTION_##PREFIX##_HOST] =                                                                     \
        KEY(#PREFIX "_Host", TEXT, "localhost", "HOST", "host of the " which " database"),         \
    [OPTION_##PREFIX##_DATABASE] = KEY(#PREFIX "_Database", TEXT, "cacti", "NAME", "its name"),    \
    [OPTION_##PREFIX##_USER] = KEY(#PREFIX "_User", TEXT, "cactiuser", "NAME", "its user"),        \
    [OPTION_##PREFIX##_PASS] =                                                                     \
        KEY(#PREFIX "_Pass", SECRET, "cactiuser", "TEXT", "the user's password, may be empty"),    \
    [OPTION_##PREFIX##_PASS_FILE] =                                                                \
        KEY(#PREFIX "_Pass_File", PATH, "", "FILE",                                                \
            "file whose first line is the password; beats " #PREFIX "_Pass"),                      \
    [OPTION_##PREFIX##_PORT] =                                                                     \
        KEY(#PREFIX "_Port", INTEGER, "3306", "N", "TCP port; 0 means 3306", .max = 65535),        \
    [OPTION_##PREFIX##_USE_SSL] =                                                                  \
        KEY(#PREFIX "_UseSSL", BOOLEAN, "0", "0|1", "require an encrypted connection"),            \
    [OPTION_##PREFIX##_SSL_KEY] = KEY(#PREFIX "_SSL_Key", PATH, "", "FILE", "client key"),         \
    [OPTION_##PREFIX##_SSL_CERT] =                                                                 \
        KEY(#PREFIX "_SSL_Cert", PATH, "", "FILE", "client certificate"),                          \
    [OPTION_##PREFIX##_SSL_CA] =                                                                   \
        KEY(#PREFIX "_SSL_CA", PATH, "", "FILE", "certificates of authorities"),                   \
    [OPTION_##PREFIX##_SSL_VERIFY] =                                                               \
        KEY(#PREFIX "_SSL_Verify", WORD, "auto", "0|1|auto",                                       \
            "check the server's certificate; auto: if an authority is given", .words = verify,     \
            .min = DB_VERIFY_OFF, .max = DB_VERIFY_ON)

static const struct option_def table[OPTION_COUNT] = {
    [OPTION_CHECK] = ARG(0, "check", FLAG, COMMAND,
                         "check all that a cycle needs; nothing is written, no device is asked",
                         .command = COMMAND_CHECK),
    [OPTION_EXPLAIN] =
        ARG(0, "explain", IDS, COMMAND,
            "poll these devices, write nothing, and say what was asked, answered and why",
            .command = COMMAND_EXPLAIN, .min = 1, .placeholder = "ID,ID"),
    [OPTION_VERIFY] =
        ARG(0, "verify", IDS, COMMAND,
            "poll in all ways, write nothing, and say what differs; these devices, or all",
            .command = COMMAND_VERIFY, .attached_only = true, .placeholder = "ID,ID"),
    [OPTION_PLAN] = ARG(0, "plan", FLAG, COMMAND,
                        "what the next cycle would poll, in which order, and what bounds it",
                        .command = COMMAND_PLAN),
    [OPTION_REPLAY] = ARG(0, "replay", PATH, COMMAND,
                          "play a recorded event log back into the core; no network, no database",
                          .command = COMMAND_REPLAY, .min = 1, .placeholder = "FILE"),
    [OPTION_DAEMON] = ARG(0, "daemon", FLAG, COMMAND,
                          "stay, and carry out cycles for the processes that Cacti starts",
                          .command = COMMAND_DAEMON),
    [OPTION_STATUS] = ARG(0, "status", FLAG, COMMAND,
                          "what the daemon does, or what polls without one; status 3: no daemon",
                          .command = COMMAND_STATUS),
    [OPTION_EVENTS] =
        ARG(0, "events", FLAG, COMMAND, "the last events of the cycles that the daemon polls",
            .command = COMMAND_EVENTS),
    [OPTION_WAIT_FOR] =
        ARG(0, "wait-for", TEXT, COMMAND,
            "wait for an event, such as cycle.ended; status 75: not within --timeout",
            .command = COMMAND_WAIT, .min = 1, .placeholder = "TYPE,TYPE"),
    [OPTION_HELP] = ARG('h', "help", ACTION, COMMAND, "print this text and exit"),
    [OPTION_VERSION] = ARG('v', "version", ACTION, COMMAND, "print the version and exit"),
    [OPTION_POLLER] = ARG('p', "poller", INTEGER, SELECT, "id of this poller", .key = "Poller",
                          .min = 1, .max = INT32_MAX, .standard = "1", .placeholder = "N"),
    [OPTION_FIRST] = ARG('f', "first", ID, SELECT, "first device id of the range",
                         .max = UINT32_MAX, .placeholder = "ID"),
    [OPTION_LAST] = ARG('l', "last", ID, SELECT, "last device id of the range", .max = UINT32_MAX,
                        .placeholder = "ID"),
    [OPTION_HOST_LIST] = ARG('H', "hostlist", IDS, SELECT, "poll exactly these devices", .min = 1,
                             .placeholder = "ID,ID"),
    [OPTION_MODE] =
        ARG('N', "mode", WORD, SELECT, "online, offline or recovery (remote pollers)",
            .words = modes, .min = 1 /* no numbers */, .standard = "online", .placeholder = "MODE"),
    [OPTION_PING_ONLY] = ARG('P', "pingonly", FLAG, SELECT, "check availability only"),
    [OPTION_MIBS] = ARG('M', "mibs", FLAG, SELECT, "refresh the devices' system columns"),
    [OPTION_READ_ONLY] = {.name = "readonly",
                          .letter = 'R',
                          .longs = {"readonly", "read-only"},
                          .type = OPTION_TYPE_FLAG,
                          .section = OPTION_SELECT,
                          .help = "write nothing to the database"},
    [OPTION_RESUME] = ARG(0, "resume", FLAG, SELECT,
                          "only the devices that an interrupted cycle of this interval has left"),
    [OPTION_CONF] = ARG('C', "conf", PATH, RUN, "read this spine.conf and no other", .min = 1,
                        .placeholder = "FILE"),
    [OPTION_EVENT_LOOP] = {.name = "spine_event_loop",
                           .key = "Event_Loop",
                           .variable = "SPINE_EVENT_LOOP",
                           .longs = {"event-loop"},
                           .type = OPTION_TYPE_BOOLEAN,
                           .section = OPTION_RUN,
                           .setting = true,
                           .file_beats_settings = true,
                           .standard = LOOP_STANDARD,
                           .placeholder = "on|off",
                           .help = "poll by the event path or by the legacy loop"},
    [OPTION_ASYNC_SNMP] = {.name = "spine_async_snmp",
                           .key = "Async_SNMP",
                           .variable = "SPINE_ASYNC_SNMP",
                           .longs = {"async-snmp"},
                           .type = OPTION_TYPE_BOOLEAN,
                           .section = OPTION_RUN,
                           .setting = true,
                           .file_beats_settings = true,
                           .standard = "off",
                           .placeholder = "on|off",
                           .help =
                               "on the event path: SNMP and ping wait on the loop, not in threads"},
    [OPTION_THREADS] =
        ARG('t', "threads", INTEGER, RUN, "devices polled at the same time; not with async-snmp",
            .setting = true, .min = 1, .max = 100, .standard = "5", .placeholder = "N"),
    [OPTION_OVERRIDE] =
        ARG('O', "option", NAMED, RUN, "override a setting; repeatable, the last one wins",
            .placeholder = "NAME:VALUE"),
    [OPTION_STDOUT] = ARG('S', "stdout", FLAG, OUTPUT, "same as -O log_destination:STDOUT"),
    [OPTION_LOG_DESTINATION] = {.name = "log_destination",
                                .letter = 'D',
                                .longs = {"log"},
                                .type = OPTION_TYPE_WORD,
                                .section = OPTION_OUTPUT,
                                .setting = true,
                                .words = destinations,
                                .max = INT32_MAX,
                                .standard = "FILE",
                                .placeholder = "WORD",
                                .help = "FILE, BOTH, SYSLOG or STDOUT (1 to 4)"},
    [OPTION_LOG_VERBOSITY] = {.name = "log_verbosity",
                              .letter = 'V',
                              .longs = {"verbosity"},
                              .type = OPTION_TYPE_WORD,
                              .section = OPTION_OUTPUT,
                              .bounds = OPTION_LOW_DEFAULT,
                              .setting = true,
                              .words = levels,
                              .min = LOG_NONE,
                              .max = LOG_DEVDBG,
                              .standard = "LOW",
                              .placeholder = "LEVEL",
                              .help = "NONE, LOW, MEDIUM, HIGH, DEBUG or DEVDBG (1 to 6)"},
    [OPTION_EVENT_LOG] = {.name = "event-log",
                          .key = "Event_Log",
                          .variable = "SPINE_EVENT_LOG",
                          .longs = {"event-log"},
                          .type = OPTION_TYPE_PATH,
                          .section = OPTION_OUTPUT,
                          .standard = "",
                          .placeholder = "FILE",
                          .help = "append lifecycle events, one JSON object per line"},
    [OPTION_EVENT_DETAIL] = {.name = "event-detail",
                             .key = "Event_Detail",
                             .variable = "SPINE_EVENT_DETAIL",
                             .longs = {"event-detail"},
                             .type = OPTION_TYPE_WORD,
                             .section = OPTION_OUTPUT,
                             .words = details,
                             .min = 1, /* no numbers */
                             .standard = "normal",
                             .placeholder = "WORD",
                             .help = "normal, or full: all that --replay needs"},
    OUTPUT_FILE(METRICS_FILE, "metrics-file", "Metrics_File", "SPINE_METRICS_FILE",
                "figures of the cycle for node_exporter's textfile collector"),
    OUTPUT_FILE(REPORT_FILE, "report", "Report_File", "SPINE_REPORT",
                "slow and failing devices, and patterns over the last cycles, as JSON"),
    OUTPUT_FILE(TIMELINE_FILE, "timeline", "Timeline_File", "SPINE_TIMELINE",
                "a picture of the cycle, for a browser"),
    OUTPUT_FILE(TRACE_FILE, "trace", "Trace_File", "SPINE_TRACE",
                "the cycle in Chrome's trace-event format"),
    [OPTION_FORMAT] =
        ARG(0, "format", WORD, OUTPUT, "of what a command prints: text or json", .words = formats,
            .min = 1 /* no numbers */, .standard = "text", .placeholder = "WORD"),
    [OPTION_VERBOSE] = ARG(0, "verbose", FLAG, OUTPUT, "--status tells more"),
    [OPTION_EVENT_TYPES] =
        ARG(0, "type", TEXT, OUTPUT, "--events tells these only, such as device.finished,cycle.*",
            .min = 1, .placeholder = "TYPE,TYPE"),
    [OPTION_FOLLOW] = ARG(0, "follow", FLAG, OUTPUT, "--events goes on until the daemon ends"),
    [OPTION_EVENT_BUFFER] =
        ARG(0, "buffer", INTEGER, OUTPUT,
            "events that wait for one reader in the daemon; the oldest are dropped",
            .key = "Event_Buffer", .min = 16, .max = 65536, .power_of_two = true, .standard = "256",
            .placeholder = "N"),
    [OPTION_TIMEOUT] =
        ARG(0, "timeout", INTEGER, OUTPUT, "--wait-for waits no longer; 0: without an end",
            .max = SECONDS_TOP, .standard = "0", .placeholder = "N", .unit = "s"),
    [OPTION_PATH_CACTILOG] =
        SETTING("path_cactilog", PATH, "FILE", "log file; default <path_webroot>/log/cacti.log",
                .key = "Cacti_Log"),
    [OPTION_PATH_WEBROOT] =
        SETTING("path_webroot", PATH, "DIR", "Cacti's folder, holds script_server.php"),
    [OPTION_PATH_PHP_BINARY] =
        SETTING("path_php_binary", PATH, "FILE", "PHP for the script servers"),
    [OPTION_DEFAULT_DATECHAR] =
        NUMBER("default_datechar", 0, 2, "1", "date separator in the log: 0 '-', 1 '/', 2 '.'",
               .bounds = OPTION_DEFAULT),
    [OPTION_LOG_PERROR] = BOOLEAN("log_perror", "send ERROR and FATAL lines to syslog"),
    [OPTION_LOG_PWARN] = BOOLEAN("log_pwarn", "send WARNING lines to syslog"),
    [OPTION_LOG_PSTATS] = BOOLEAN("log_pstats", "send STATS lines to syslog"),
    [OPTION_SELECTIVE_DEVICE_DEBUG] = SETTING("selective_device_debug", IDS, "ID,ID",
                                              "devices logged in detail at any verbosity"),
    [OPTION_SPINE_LOG_LEVEL] =
        NUMBER("spine_log_level", 0, 2, "0", "invalid values: 0 quiet, 1 summary, 2 each"),
    [OPTION_POLLER_INTERVAL] = NUMBER("poller_interval", 1, SECONDS_TOP, "300", "length of a cycle",
                                      .bounds = OPTION_LOW_DEFAULT, .unit = "s"),
    [OPTION_SCRIPT_TIMEOUT] =
        NUMBER("script_timeout", 5, SECONDS_TOP, "25",
               "limit of a script and of a script server's answer", .unit = "s"),
    [OPTION_PHP_SERVERS] = NUMBER("php_servers", 1, 15, "2", "PHP script servers"),
    [OPTION_SNMP_RETRIES] = NUMBER("snmp_retries", 0, 100, "3", "repeats of every SNMP request",
                                   .bounds = OPTION_LOW_DEFAULT),
    [OPTION_PING_FAILURE_COUNT] =
        NUMBER("ping_failure_count", 1, COUNT_TOP, "2", "failed polls until a device is down",
               .bounds = OPTION_LOW_DEFAULT),
    [OPTION_PING_RECOVERY_COUNT] =
        NUMBER("ping_recovery_count", 1, COUNT_TOP, "3", "good polls until a device is up again",
               .bounds = OPTION_LOW_DEFAULT),
    [OPTION_ACTIVE_PROFILES] =
        NUMBER("active_profiles", 0, INT32_MAX, "0", "1: every item is due in every cycle"),
    [OPTION_BOOST_REDIRECT] =
        BOOLEAN("boost_redirect", "with boost_rrd_update_enable: also write boost rows"),
    [OPTION_BOOST_RRD_UPDATE_ENABLE] = BOOLEAN("boost_rrd_update_enable", "boost is in use"),
    [OPTION_USE_DAEMON] =
        SETTING("spine_daemon", WORD, "auto|off",
                "auto: let the daemon poll, if one runs for this file and user", .key = "Daemon",
                .variable = "SPINE_DAEMON", .words = hosts, .min = 1 /* no numbers */,
                .standard = "off", .file_beats_settings = true),
    [OPTION_AVAILABILITY_METHOD] = NUMBER("availability_method", 0, INT32_MAX, "0", "shown only"),
    [OPTION_PING_METHOD] = NUMBER("ping_method", 0, INT32_MAX, "0", "shown only"),
    [OPTION_PING_RETRIES] = NUMBER("ping_retries", 0, INT32_MAX, "0", "shown only"),
    [OPTION_PING_TIMEOUT] = NUMBER("ping_timeout", 0, INT32_MAX, "400", "shown only", .unit = "ms"),
    [OPTION_CONCURRENT_PROCESSES] = NUMBER("concurrent_processes", 0, INT32_MAX, "1", "shown only"),
    [OPTION_TOTAL_SNMP_PORTS] = NUMBER("total_snmp_ports", 0, INT32_MAX, "0", "shown only"),
    [OPTION_MAX_GET_SIZE] = NUMBER("max_get_size", 0, 128, "25", "shown only"),
    [OPTION_CACTI_VERSION] =
        SETTING("cacti_version", TEXT, "A.B.C", "named by --version where no database tells it",
                .row_only = true, .key = "Cacti_Version"),
    [OPTION_SNMP_CLIENTADDR] =
        KEY("SNMP_Clientaddr", TEXT, "", "ADDR", "local address of SNMP sockets"),
    [OPTION_ADDRESS_LIMIT] =
        KEY("Address_Limit", INTEGER, "4", "N",
            "devices asked at a time at one address, on the loop", .min = 1, .max = 1000),
    [OPTION_DB_CONNECTIONS] = KEY("DB_Connections", INTEGER, "3", "N",
                                  "connections to the database at a time", .min = 1, .max = 3),
    [OPTION_MAX_SCRIPTS] = KEY("Max_Scripts", INTEGER, TEXT_OF(SPINE_MAX_SCRIPTS), "N",
                               "scripts running at the same time", .min = 1, .max = 1000),
    [OPTION_SCRIPT_CPU] =
        KEY("Script_CPU", INTEGER, "0", "N", "CPU time of a script; 0: script_timeout and 5 s",
            .max = SECONDS_TOP, .unit = "s"),
    [OPTION_SCRIPT_FILES] =
        KEY("Script_Files", INTEGER, "1024", "N", "descriptors of a script or script server",
            .min = 16, .max = COUNT_TOP),
    [OPTION_SCRIPT_CORE] =
        KEY("Script_Core", BOOLEAN, "0", "0|1", "let scripts and script servers dump core"),
    [OPTION_DAEMON_SOCKET] = KEY("Daemon_Socket", PATH, "/run/spine/spine.sock", "FILE",
                                 "where the daemon listens", .min = 1),
    [OPTION_DAEMON_GROUP] =
        KEY("Daemon_Group", TEXT, "", "NAME",
            "group whose members may ask the daemon for its state; empty: none"),
    [OPTION_DAEMON_CYCLES] = KEY("Daemon_Cycles", INTEGER, "16", "N",
                                 "cycles that the daemon polls at a time", .min = 1, .max = 100),
    [OPTION_RELOAD_DEBOUNCE] =
        KEY("Reload_Debounce_ms", INTEGER, "500", "MS",
            "the daemon reads a changed spine.conf when it was left alone for that long", .min = 20,
            .max = 60000, .unit = "ms"),
    [OPTION_WATCH_FALLBACK] =
        KEY("Watch_Fallback", BOOLEAN, "on", "on|off",
            "let the daemon look at spine.conf where the kernel does not report changes"),
    [OPTION_WATCH_POLL] = KEY("Watch_Poll_s", INTEGER, "5", "N", "how often it looks then",
                              .min = 1, .max = 3600, .unit = "s"),
    [OPTION_SPOOL_FILE] = KEY("Spool_File", PATH, "", "FILE",
                              "keeps results while the database is away; empty: none"),
    [OPTION_SPOOL_SIZE] = KEY("Spool_Size", INTEGER, "64", "N", "largest size of Spool_File",
                              .min = 1, .max = 65536, .unit = "MB"),
    [OPTION_CHECKPOINT_FILE] =
        KEY("Checkpoint_File", PATH, "", "FILE",
            "devices done in an interrupted cycle, for --resume; empty: beside Spool_File"),
    [OPTION_EVENT_LOG_SIZE] =
        KEY("Event_Log_Size", INTEGER, "64", "N", "the event log grows to this size, no further",
            .min = 1, .max = COUNT_TOP, .unit = "MiB"),
    [OPTION_EVENT_LOG_QUEUE] =
        KEY("Event_Log_Queue", INTEGER, "8192", "N", "events that may wait to be written",
            .min = 16, .max = COUNT_TOP),
    [OPTION_EVENT_LOG_BUFFER] =
        KEY("Event_Log_Buffer", INTEGER, "8", "N", "details of waiting events take this at most",
            .min = 1, .max = 4096, .unit = "MiB"),
    [OPTION_TRACE_EVENTS] = KEY("Trace_Events", INTEGER, "200", "N",
                                "last events kept for a dump; 0: none", .max = COUNT_TOP),
    DATABASE(DB, "local"),
    DATABASE(RDB, "main"),
    [OPTION_RDB_PATIENCE] =
        KEY("RDB_Patience", INTEGER, "5000", "MS",
            "an online collector keeps locally what the main database has not taken by then",
            .min = 100, .max = 60000, .unit = "ms"),
    [OPTION_DB_BULK] =
        KEY("DB_Bulk", WORD, "auto", "auto|off",
            "send rows by array binding where MariaDB has it; off: statements of any server",
            .words = bulk, .min = DB_BULK_OFF, .max = DB_BULK_AUTO),
    [OPTION_DB_PREG] = KEY("DB_PreG", TEXT, NULL, "ANY", "obsolete, ignored"),
};

static const char *const titles[] = {
    [OPTION_COMMAND] = "Commands, instead of a poll",
    [OPTION_SELECT] = "What to poll",
    [OPTION_RUN] = "How",
    [OPTION_OUTPUT] = "Output",
    [OPTION_SETTING] = "Settings from the database, to be overridden with -O NAME:VALUE",
    [OPTION_FILE] = "Keys of spine.conf",
};

const char *option_section_title(enum option_section section)
{
    return section < ARRAY_LEN(titles) ? titles[section] : NULL;
}

const struct option_def *option_get(enum option_id id)
{
    return &table[id];
}

enum option_id option_id_of(const struct option_def *def)
{
    return (enum option_id)(def - table);
}

const struct option_def *option_by_setting(const char *name)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if (table[i].setting && strcasecmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

const struct option_def *option_by_key(const char *key)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if (table[i].key != NULL && strcasecmp(table[i].key, key) == 0)
            return &table[i];
    return NULL;
}
