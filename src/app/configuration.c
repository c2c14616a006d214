#include "config.h"

#include "app/configuration.h"

#include "configuration_private.h"

#include "app/options.h"
#include "app/version.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#if __has_include(<sys/auxv.h>)
#include <sys/auxv.h>
#endif

/* ---- warnings ---- */

static void add_warning(struct state *s, char *text)
{
    s->warnings = mem_realloc(s->warnings, s->warning_count + 1, sizeof(*s->warnings));
    s->warnings[s->warning_count++] = text;
}

static void warn(struct state *s, const char *fmt, ...) PRINTF(2, 3);

static void warn(struct state *s, const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    add_warning(s, buf_take(&b));
}

char *configuration_take_warning(struct config *c)
{
    struct state *s = state_of(c);
    if (s->warnings_taken == s->warning_count)
        return NULL;
    char *text = s->warnings[s->warnings_taken];
    s->warnings[s->warnings_taken++] = NULL;
    return text;
}

/* ---- from values to the configuration ---- */

const struct option_value *configuration_effective(const struct state *s, enum option_id id,
                                                   enum config_source *source)
{
    static const enum config_source usual[] = {SOURCE_COMMAND_LINE, SOURCE_ENVIRONMENT,
                                               SOURCE_SETTINGS, SOURCE_FILE};
    static const enum config_source turned[] = {SOURCE_COMMAND_LINE, SOURCE_ENVIRONMENT,
                                                SOURCE_FILE, SOURCE_SETTINGS};
    const enum config_source *order = option_get(id)->file_beats_settings ? turned : usual;
    for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
        if (s->values[id][order[i]].set) {
            *source = order[i];
            return &s->values[id][order[i]];
        }
    }
    *source = SOURCE_DEFAULT;
    return &s->values[id][SOURCE_DEFAULT];
}

static const struct option_value *value_of(const struct state *s, enum option_id id)
{
    enum config_source source;
    return configuration_effective(s, id, &source);
}

static int configuration_number(const struct state *s, enum option_id id)
{
    return (int)value_of(s, id)->number;
}

static bool boolean(const struct state *s, enum option_id id)
{
    return value_of(s, id)->number != 0;
}

static const char *configuration_text(const struct state *s, enum option_id id)
{
    const struct option_value *v = value_of(s, id);
    return v->text == NULL ? "" : v->text;
}

static void fill_log(struct state *s)
{
    struct log_options *log = &s->public.log;
    buf_clear(&s->log_path);
    if (*configuration_text(s, OPTION_PATH_CACTILOG) != '\0')
        buf_puts(&s->log_path, configuration_text(s, OPTION_PATH_CACTILOG));
    else if (*configuration_text(s, OPTION_PATH_WEBROOT) != '\0')
        buf_printf(&s->log_path, "%s/log/cacti.log", configuration_text(s, OPTION_PATH_WEBROOT));
    int64_t destination = value_of(s, OPTION_LOG_DESTINATION)->number;
    bool known = destination >= LOG_TO_FILE && destination <= LOG_TO_STDOUT;
    log->level = (enum log_level)configuration_number(s, OPTION_LOG_VERBOSITY);
    log->destination = known ? (enum log_destination)destination : LOG_TO_NOTHING;
    /* What a person runs writes nothing among the lines of cycles; a check looks at where those would go. */
    enum command command = s->public.command;
    if (command != COMMAND_POLL && command != COMMAND_CHECK && destination != LOG_TO_STDOUT)
        log->destination = command == COMMAND_DAEMON ? LOG_TO_JOURNAL : LOG_TO_STDERR;
    log->path = buf_str(&s->log_path);
    log->date_separator = "-/."[configuration_number(s, OPTION_DEFAULT_DATECHAR)];
    log->poller_id = s->public.poller_id;
    log->pid = s->public.pid;
    log->syslog_errors = boolean(s, OPTION_LOG_PERROR);
    log->syslog_warnings = boolean(s, OPTION_LOG_PWARN);
    log->syslog_stats = boolean(s, OPTION_LOG_PSTATS);
}

/* `first` is OPTION_DB_HOST or OPTION_RDB_HOST; the others follow in the same order. */
static void fill_db(const struct state *s, enum option_id first, struct db_params *db)
{
    int shift = (int)first - OPTION_DB_HOST;
    const char *host = configuration_text(s, first);
    int port = configuration_number(s, (enum option_id)(OPTION_DB_PORT + shift));
    db->host = *host == '\0' ? option_get(first)->standard : host;
    db->database = configuration_text(s, (enum option_id)(OPTION_DB_DATABASE + shift));
    db->user = configuration_text(s, (enum option_id)(OPTION_DB_USER + shift));
    db->password = configuration_text(s, (enum option_id)(OPTION_DB_PASS + shift));
    db->port = port == 0 ? 3306 : (unsigned)port;
    db->use_ssl = boolean(s, (enum option_id)(OPTION_DB_USE_SSL + shift));
    db->ssl_key = configuration_text(s, (enum option_id)(OPTION_DB_SSL_KEY + shift));
    db->ssl_cert = configuration_text(s, (enum option_id)(OPTION_DB_SSL_CERT + shift));
    db->ssl_ca = configuration_text(s, (enum option_id)(OPTION_DB_SSL_CA + shift));
    db->is_main = first == OPTION_RDB_HOST;
    db->bulk = (enum db_bulk)configuration_number(s, OPTION_DB_BULK);
    db->ssl_verify =
        (enum db_verify)configuration_number(s, (enum option_id)(OPTION_DB_SSL_VERIFY + shift));
}

/* Which one names the devices. */
static enum option_id selecting_option(const struct state *s)
{
    const struct option_value *verify = value_of(s, OPTION_VERIFY);
    if (value_of(s, OPTION_EXPLAIN)->set)
        return OPTION_EXPLAIN;
    return verify->set && verify->ids.count > 0 ? OPTION_VERIFY : OPTION_HOST_LIST;
}

static void fill_selection(struct state *s)
{
    struct config *c = &s->public;
    const struct option_value *first = value_of(s, OPTION_FIRST), *last = value_of(s, OPTION_LAST);
    const struct option_value *list = value_of(s, selecting_option(s));
    c->poller_id = configuration_number(s, OPTION_POLLER);
    c->has_range = first->set && last->set;
    c->first = (uint32_t)first->number;
    c->last = (uint32_t)last->number;
    c->has_host_list = list->set && list->ids.count > 0;
    c->host_list = list->ids;
    c->mode = (enum config_mode)configuration_number(s, OPTION_MODE);
    c->mibs = boolean(s, OPTION_MIBS);
    c->read_only = boolean(s, OPTION_READ_ONLY) || c->command == COMMAND_EXPLAIN ||
                   c->command == COMMAND_VERIFY || c->command == COMMAND_PLAN;
    c->ping_only = boolean(s, OPTION_PING_ONLY);
}

static enum command chosen_command(const struct state *s)
{
    for (int id = 0; id < OPTION_COUNT; id++) {
        const struct option_def *def = option_get((enum option_id)id);
        if (def->command != COMMAND_POLL && value_of(s, (enum option_id)id)->set)
            return def->command;
    }
    return COMMAND_POLL;
}

/* What spine.conf names belongs to Cacti's cycles: a run by hand that stores nothing has no place in their figures. */
static const char *output_file(const struct state *s, enum option_id id)
{
    enum config_source source;
    (void)configuration_effective(s, id, &source);
    return s->public.read_only && source == SOURCE_FILE ? "" : configuration_text(s, id);
}

static void fill_telling(struct state *s)
{
    struct config *c = &s->public;
    c->replay = configuration_text(s, OPTION_REPLAY);
    c->event_log = configuration_text(s, OPTION_EVENT_LOG);
    c->event_detail_full = boolean(s, OPTION_EVENT_DETAIL);
    c->event_log_bytes = (int64_t)configuration_number(s, OPTION_EVENT_LOG_SIZE) * 1024 * 1024;
    c->event_log_queue = configuration_number(s, OPTION_EVENT_LOG_QUEUE);
    c->event_log_buffer_bytes =
        (int64_t)configuration_number(s, OPTION_EVENT_LOG_BUFFER) * 1024 * 1024;
    c->trace_file = output_file(s, OPTION_TRACE_FILE);
    c->timeline_file = output_file(s, OPTION_TIMELINE_FILE);
    c->report_file = output_file(s, OPTION_REPORT_FILE);
    c->metrics_file = output_file(s, OPTION_METRICS_FILE);
    c->trace_events = configuration_number(s, OPTION_TRACE_EVENTS);
}

/* Derive everything again; called after each change, so that the public part is valid at any time.
 */
static void refresh(struct state *s)
{
    struct config *c = &s->public;
    c->command = chosen_command(s);
    c->format = (enum config_format)configuration_number(s, OPTION_FORMAT);
    fill_selection(s);
    c->event_loop =
        configuration_effective(s, OPTION_EVENT_LOOP, &c->event_loop_source)->number != 0;
    c->async_snmp = boolean(s, OPTION_ASYNC_SNMP);
    c->address_limit = configuration_number(s, OPTION_ADDRESS_LIMIT);
    c->db_connections = configuration_number(s, OPTION_DB_CONNECTIONS);
    c->threads = configuration_number(s, OPTION_THREADS);
    c->poller_interval_s = configuration_number(s, OPTION_POLLER_INTERVAL);
    c->active_profiles = configuration_number(s, OPTION_ACTIVE_PROFILES);
    c->snmp_retries = configuration_number(s, OPTION_SNMP_RETRIES);
    c->snmp_client_address = configuration_text(s, OPTION_SNMP_CLIENTADDR);
    c->ping_failure_count = configuration_number(s, OPTION_PING_FAILURE_COUNT);
    c->ping_recovery_count = configuration_number(s, OPTION_PING_RECOVERY_COUNT);
    c->script_timeout_s = configuration_number(s, OPTION_SCRIPT_TIMEOUT);
    c->max_scripts = configuration_number(s, OPTION_MAX_SCRIPTS);
    c->script_cpu_s = configuration_number(s, OPTION_SCRIPT_CPU);
    c->script_files = configuration_number(s, OPTION_SCRIPT_FILES);
    c->script_core = boolean(s, OPTION_SCRIPT_CORE);
    c->php_servers = configuration_number(s, OPTION_PHP_SERVERS);
    c->path_php_binary = configuration_text(s, OPTION_PATH_PHP_BINARY);
    c->path_webroot = configuration_text(s, OPTION_PATH_WEBROOT);
    c->boost = boolean(s, OPTION_BOOST_REDIRECT) && boolean(s, OPTION_BOOST_RRD_UPDATE_ENABLE);
    c->invalid_log = configuration_number(s, OPTION_SPINE_LOG_LEVEL);
    c->cacti_version_text = configuration_text(s, OPTION_CACTI_VERSION);
    c->cacti_version = version_number(configuration_text(s, OPTION_CACTI_VERSION));
    c->debug_devices = value_of(s, OPTION_SELECTIVE_DEVICE_DEBUG)->ids;
    fill_telling(s);
    fill_log(s);
    c->spool_file = configuration_text(s, OPTION_SPOOL_FILE);
    c->spool_bytes = value_of(s, OPTION_SPOOL_SIZE)->number * 1024 * 1024;
    c->checkpoint_file = configuration_text(s, OPTION_CHECKPOINT_FILE);
    c->resume = boolean(s, OPTION_RESUME);
    fill_db(s, OPTION_DB_HOST, &c->db);
    fill_db(s, OPTION_RDB_HOST, &c->rdb);
    c->rdb_patience_ms = configuration_number(s, OPTION_RDB_PATIENCE);
    c->daemon = boolean(s, OPTION_USE_DAEMON);
    c->daemon_socket = configuration_text(s, OPTION_DAEMON_SOCKET);
    c->daemon_group = configuration_text(s, OPTION_DAEMON_GROUP);
    c->daemon_cycles = configuration_number(s, OPTION_DAEMON_CYCLES);
    c->event_buffer = configuration_number(s, OPTION_EVENT_BUFFER);
    c->verbose = boolean(s, OPTION_VERBOSE);
    c->follow = boolean(s, OPTION_FOLLOW);
    c->event_types =
        configuration_text(s, c->command == COMMAND_WAIT ? OPTION_WAIT_FOR : OPTION_EVENT_TYPES);
    c->timeout_s = configuration_number(s, OPTION_TIMEOUT);
    c->reload_debounce_ms = configuration_number(s, OPTION_RELOAD_DEBOUNCE);
    c->watch_poll_ms =
        boolean(s, OPTION_WATCH_FALLBACK) ? configuration_number(s, OPTION_WATCH_POLL) * 1000 : 0;
}

static void configuration_put(struct state *s, enum option_id id, enum config_source source,
                              const struct option_value *value)
{
    struct option_value *slot = &s->values[id][source];
    option_value_done(slot);
    *slot = *value;
}

static void clear(struct state *s, enum option_id id, enum config_source source)
{
    option_value_done(&s->values[id][source]);
}

struct config *configuration_new(void)
{
    struct state *s = mem_zalloc(1, sizeof(*s));
    struct buf why = BUF_INIT;
    for (int id = 0; id < OPTION_COUNT; id++) {
        const struct option_def *def = option_get((enum option_id)id);
        struct option_value value;
        if (def->standard == NULL)
            continue;
        CHECK(option_parse(def, def->standard, &value, &why));
        configuration_put(s, (enum option_id)id, SOURCE_DEFAULT, &value);
    }
    buf_done(&why);
    s->public.pid = (int)getpid();
    refresh(s);
    return &s->public;
}

void configuration_use_image(struct config *c, const char *path, struct conffile_image *image)
{
    struct state *s = state_of(c);
    struct option_value file = {.set = true, .text = mem_strdup(path)};
    configuration_put(s, OPTION_CONF, SOURCE_COMMAND_LINE, &file);
    conffile_image_unref(s->image);
    s->image = conffile_image_ref(image);
}

void configuration_adopt(struct config *c, const struct configuration_origin *origin)
{
    struct state *s = state_of(c);
    configuration_use_image(c, origin->file, origin->image);
    c->pid = origin->pid;
    c->environment = origin->environment;
    c->directory = origin->directory;
    refresh(s);
}

void configuration_free(struct config *c)
{
    if (c == NULL)
        return;
    struct state *s = state_of(c);
    for (int id = 0; id < OPTION_COUNT; id++)
        for (int source = 0; source < SOURCE_COUNT; source++)
            option_value_done(&s->values[id][source]);
    for (size_t i = s->warnings_taken; i < s->warning_count; i++)
        free(s->warnings[i]);
    free(s->warnings);
    free(s->path);
    conffile_image_unref(s->image);
    buf_done(&s->log_path);
    buf_done(&s->value);
    buf_done(&s->description);
    free(s);
}

/* ---- command line ---- */

static void on_argument(void *arg, enum option_id id, struct option_value *value)
{
    configuration_put(arg, id, SOURCE_COMMAND_LINE, value);
}

static void on_argument_warning(void *arg, const char *text_)
{
    add_warning(arg, mem_strdup(text_));
}

/* docs/contract.md 1.4: an absent last id counts as -1, also next to a host list. */
static bool check_range(const struct config *c, bool has_first, bool has_last, struct err *err)
{
    if (has_first != has_last && !c->has_host_list)
        return err_set(err, ERR_USAGE,
                       "ERROR: must provide both -f/-l, a hostlist (-H/--hostlist), or neither; "
                       "see spine --help");
    if (has_first && (!has_last || c->first > c->last))
        return err_set(err, ERR_USAGE,
                       "ERROR: Invalid row spec; first host_id must be less than the second; "
                       "see spine --help");
    return true;
}

enum configuration_request configuration_parse_args(struct config *c, int argc, char *const *argv,
                                                    struct err *err)
{
    struct state *s = state_of(c);
    struct options_sink sink = {on_argument, on_argument_warning, s};
    enum configuration_request request = options_parse_args(argc, argv, &sink, err);
    refresh(s);
    if (request == CONFIG_RUN &&
        !check_range(c, value_of(s, OPTION_FIRST)->set, value_of(s, OPTION_LAST)->set, err))
        return CONFIG_ERROR;
    return request;
}

/* ---- spine.conf ---- */

static bool is_privileged(void)
{
#ifdef AT_SECURE
    return getauxval(AT_SECURE) != 0;
#else
    return geteuid() != getuid() || getegid() != getgid();
#endif
}

/* Whatever the key was meant to be, its value may be a password, and so may what follows the first sign that no
 * key has: neither is shown. */
static void warn_unknown_key(struct state *s, const struct conffile_entry *e)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    struct buf hint = BUF_INIT;
    size_t key_len = strspn(e->key, letters);
    char *key = mem_strndup(e->key, key_len);
    const char *best = option_nearest_key(key);
    if (e->key[key_len] == '=')
        buf_puts(&hint, "; key and value are separated by blanks, not by '='");
    else if (best != NULL)
        buf_printf(&hint, "; did you mean %s?", best);
    else
        buf_puts(&hint, "; all keys: spine --help");
    warn(s, "WARNING: Unrecongized directive: %.200s=*** in %s, line %d%s", key, s->path, e->line,
         buf_str(&hint));
    free(key);
    buf_done(&hint);
}

static void set_from_file(struct state *s, enum option_id id, const char *value)
{
    struct option_value v;
    struct buf why = BUF_INIT;
    CHECK(option_parse(option_get(id), value, &v, &why));
    configuration_put(s, id, SOURCE_FILE, &v);
    buf_done(&why);
}

static bool set_entry(struct state *s, const struct option_def *def, const struct conffile_entry *e,
                      struct err *err)
{
    enum option_id id = option_id_of(def);
    bool is_text = def->type == OPTION_TYPE_TEXT || def->type == OPTION_TYPE_SECRET;
    if (*e->value == '\0' && !is_text) {
        clear(s, id, SOURCE_FILE); /* "DB_Port" alone, as packages write it: the default */
        if (id == OPTION_PATH_CACTILOG)
            clear(s, OPTION_LOG_DESTINATION, SOURCE_FILE);
        return true;
    }
    struct option_value v;
    struct buf why = BUF_INIT;
    bool ok = option_parse(def, e->value, &v, &why);
    if (ok)
        configuration_put(s, id, SOURCE_FILE, &v);
    else
        err_set(err, ERR_CONFIG,
                "ERROR: %.300s:%d: %s %s, not '%.200s'; correct or remove the line", s->path,
                e->line, def->key, why.data, e->value);
    buf_done(&why);
    if (ok && id == OPTION_PATH_CACTILOG) /* docs/contract.md 1.10 */
        set_from_file(s, OPTION_LOG_DESTINATION, "BOTH");
    return ok;
}

static bool on_entry(void *arg, const struct conffile_entry *e, struct err *err)
{
    struct state *s = arg;
    const struct option_def *def = option_by_key(e->key);
    if (def == NULL) {
        warn_unknown_key(s, e);
        return true;
    }
    if (option_id_of(def) == OPTION_DB_PREG) {
        warn(s, "WARNING: DB_PreG is no longer supported");
        return true;
    }
    if (e->has_rest)
        warn(s,
             "WARNING: %s:%d: only the first word of the value of %s is used; put a value with "
             "blanks into double quotes",
             s->path, e->line, def->key);
    return set_entry(s, def, e, err);
}

/* Of the bytes that are lent, or of the file. */
static bool configuration_read_image(struct state *s, const char *path, struct err *err)
{
    struct conffile_image *image =
        s->image != NULL ? conffile_image_ref(s->image) : conffile_image_read(path, err);
    if (image == NULL)
        return false;
    memcpy(s->digest, image->digest, sizeof(s->digest));
    bool ok = conffile_image_parse(image, path, on_entry, s, err);
    if (image->world_readable)
        warn(s,
             "WARNING: %s holds passwords and can be read by every user; chmod 640 it and give it "
             "to the web server's group",
             path);
    conffile_image_unref(image);
    return ok;
}

bool configuration_read_file(struct config *c, struct err *err)
{
    struct state *s = state_of(c);
    const struct option_value *conf = value_of(s, OPTION_CONF);
    struct buf unusable = BUF_INIT;
    char *path = conf->set ? mem_strdup(conf->text) : conffile_find(is_privileged(), &unusable);
    bool ok = false;
    if (path == NULL) {
        err_set(
            err, ERR_CONFIG,
            "FATAL: Unable to read configuration file!%s%.700s%s Create /etc/cacti/spine.conf or "
            "name a file with -C",
            unusable.len > 0 ? " (" : "", buf_str(&unusable), unusable.len > 0 ? ")" : "");
    } else {
        free(s->path);
        s->path = path;
        ok = configuration_read_image(s, path, err);
    }
    buf_done(&unusable);
    refresh(s);
    return ok;
}

const char *configuration_digest(const struct config *c)
{
    return ((const struct state *)c)->digest;
}

const char *configuration_file_path(const struct config *c)
{
    return ((const struct state *)c)->path;
}

/* ---- environment and settings ---- */

bool configuration_read_environment(struct config *c, struct err *err)
{
    struct state *s = state_of(c);
    struct buf why = BUF_INIT;
    bool ok = true;
    for (int id = 0; ok && id < OPTION_COUNT; id++) {
        const struct option_def *def = option_get((enum option_id)id);
        const char *given =
            def->variable == NULL ? NULL : config_variable(s->public.environment, def->variable);
        struct option_value value;
        if (given == NULL || *given == '\0')
            continue;
        ok = option_parse(def, given, &value, &why);
        if (ok)
            configuration_put(s, (enum option_id)id, SOURCE_ENVIRONMENT, &value);
        else
            err_set(err, ERR_CONFIG,
                    "ERROR: environment variable %s %s, not '%.200s'; correct or unset it",
                    def->variable, why.data, given);
    }
    buf_done(&why);
    refresh(s);
    return ok;
}

/* ---- passwords in files of their own ---- */

static void configuration_put_secret(struct state *s, enum option_id id, enum config_source source,
                                     char *text, const char *from)
{
    struct option_value value = {.set = true, .text = text};
    configuration_put(s, id, source, &value);
    if (id == OPTION_DB_PASS)
        s->pass_source = from;
    else
        s->rdb_pass_source = from;
}

static bool take_secret(struct state *s, enum option_id id, enum config_source source,
                        const char *path, const char *from, struct err *err)
{
    struct err why = ERR_INIT;
    bool others = false;
    char *text = conffile_read_secret(path, &others, &why);
    if (text == NULL)
        return err_set(err, ERR_CONFIG,
                       "ERROR: %s: %s; let it be a file with the password that this user can read",
                       from, why.text);
    if (others)
        warn(s, "WARNING: %s: %s can be read or changed by every user; chmod 640 it", from, path);
    configuration_put_secret(s, id, source, text, from);
    return true;
}

/* A service manager's credential is a part of the environment, and wins as that does. */
static bool read_credential(struct state *s, enum option_id id, const char *name, const char *from,
                            bool *ret_found, struct err *err)
{
    const char *folder = config_variable(s->public.environment, "CREDENTIALS_DIRECTORY");
    struct buf path = BUF_INIT;
    bool ok = true;
    if (folder != NULL && *folder != '\0') {
        buf_printf(&path, "%s/%s", folder, name);
        *ret_found = access(buf_str(&path), F_OK) == 0;
        if (*ret_found)
            ok = take_secret(s, id, SOURCE_ENVIRONMENT, buf_str(&path), from, err);
    }
    buf_done(&path);
    return ok;
}

static bool read_pass_file(struct state *s, enum option_id id, struct err *err)
{
    const struct option_def *key = option_get((enum option_id)(id + 1));
    const char *path = configuration_text(s, option_id_of(key));
    if (*path == '\0')
        return true;
    const char *from = id == OPTION_DB_PASS ? s->pass_source : s->rdb_pass_source;
    if (s->values[id][SOURCE_FILE].set && from == NULL)
        warn(s, "WARNING: %s in %s is not used, because %s is set; remove the line",
             option_get(id)->key, s->path == NULL ? "spine.conf" : s->path, key->key);
    return take_secret(s, id, SOURCE_FILE, path, key->key, err);
}

bool configuration_read_secrets(struct config *c, struct err *err)
{
    struct state *s = state_of(c);
    bool found = false, rdb_found = false;
    bool ok = read_credential(s, OPTION_DB_PASS, "spine.db_pass", "credential spine.db_pass",
                              &found, err) &&
              (found || read_pass_file(s, OPTION_DB_PASS, err)) &&
              read_credential(s, OPTION_RDB_PASS, "spine.rdb_pass", "credential spine.rdb_pass",
                              &rdb_found, err) &&
              (rdb_found || read_pass_file(s, OPTION_RDB_PASS, err));
    refresh(s);
    return ok;
}

void configuration_set_setting(struct config *c, const char *name, const char *value)
{
    struct state *s = state_of(c);
    const struct option_def *def = option_by_setting(name);
    if (def == NULL)
        return;
    enum option_id id = option_id_of(def);
    enum config_source source;
    struct option_value v;
    struct buf why = BUF_INIT;
    if (option_parse_row(def, value, &v, &why))
        configuration_put(s, id, SOURCE_SETTINGS, &v);
    else
        clear(s, id, SOURCE_SETTINGS);
    configuration_effective(s, id, &source);
    if (why.len > 0 && source <= SOURCE_SETTINGS)
        warn(s, "WARNING: setting %s: %s; correct it in Cacti's settings", def->name, why.data);
    buf_done(&why);
    refresh(s);
}

void configuration_finish(struct config *c)
{
    struct state *s = state_of(c);
    refresh(s);
    bool needs_main = c->poller_id > 1 && c->mode == MODE_ONLINE;
    if (needs_main && !s->values[OPTION_RDB_HOST][SOURCE_FILE].set && !s->main_checked)
        warn(s,
             "WARNING: poller %d is online, but %s has no RDB_Host; the main database is looked "
             "for on this machine",
             c->poller_id, s->path == NULL ? "spine.conf" : s->path);
    s->main_checked = true;
}
