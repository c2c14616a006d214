#include "config.h"

#include "drivers/store.h"

#include "store_private.h"

#include "base/num.h"
#include "model/value.h"

#include <string.h>

#define LOST_AT_MOST      5
#define CONFLICTS_AT_MOST 30
#define SITES_SETTING     "\tsites" /* rows of the settings query that are ours */
#define OUTPUT_SETTING    "\toutput"
#define BOOST_SETTING     "\tboost"
#define SETTINGS_WIDTH    2 /* name and value */

/* ---- one query, as often as it makes sense ---- */

bool store_query(struct store *s, const char *what, const struct buf *sql,
                 const struct db_reader *reader, struct err *err)
{
    struct err why = ERR_INIT;
    struct store_attempt a = {.lost_at_most = LOST_AT_MOST, .conflicts_at_most = CONFLICTS_AT_MOST};
    for (;;) {
        if (reader->restart != NULL)
            reader->restart(reader->arg);
        if (!store_connect(s, &why))
            break;
        if (db_query(s->db, buf_str(sql), sql->len, reader, &why))
            return true;
        if (store_again(s, &a, &why) != STORE_DONE)
            break;
    }
    store_explain(&why, what);
    if (err != NULL)
        *err = why;
    return false;
}

/* ---- settings ---- */

#define SITES_DISABLED_SQL                                                                         \
    "SELECT '" SITES_SETTING "',CONVERT(COUNT(*) USING utf8mb4) FROM information_schema.columns"   \
    " WHERE table_schema=DATABASE() AND table_name='sites' AND column_name='disabled'"

/* How many characters a column takes, whatever a site has made of it; no row: there is no such table. */
#define WIDTH_SQL(setting, table)                                                                  \
    "SELECT '" setting "',CONVERT(character_maximum_length USING utf8mb4) FROM "                   \
    "information_schema.columns WHERE table_schema=DATABASE() AND table_name='" table              \
    "' AND column_name='output'"
#define SCHEMA_SQL                                                                                 \
    SITES_DISABLED_SQL                                                                             \
    " UNION ALL " WIDTH_SQL(OUTPUT_SETTING, "poller_output") " UNION ALL " WIDTH_SQL(              \
        BOOST_SETTING, "poller_output_boost")

/* CONVERT gives all parts one character set and collation; tables of an upgraded Cacti differ, and
 * a union of different ones is an error. */
static const char settings_sql[] =
    "SELECT CONVERT(name USING utf8mb4),CONVERT(value USING utf8mb4) FROM settings WHERE name IN ("
    "'log_verbosity','path_webroot','path_cactilog','default_datechar','log_destination','path_php_"
    "binary',"
    "'availability_method','ping_recovery_count','ping_failure_count','ping_method','ping_retries',"
    "'ping_timeout',"
    "'snmp_retries','log_perror','log_pwarn','log_pstats','boost_redirect','boost_rrd_update_"
    "enable',"
    "'poller_interval','concurrent_processes','script_timeout','selective_device_debug','php_"
    "servers',"
    "'active_profiles','total_snmp_ports','max_get_size') OR name LIKE 'spine|_%' ESCAPE '|'"
    " UNION ALL SELECT 'threads',CONVERT(threads USING utf8mb4) FROM poller WHERE id=";
static const char settings_rest_sql[] =
    " UNION ALL (SELECT 'cacti_version',CONVERT(cacti USING utf8mb4) FROM version LIMIT 1)"
    " UNION ALL " SCHEMA_SQL;

struct settings {
    struct store *store;
    store_setting_fn *on_setting;
    void *arg;
};

/* A column without a width (a number, say) is taken for what Cacti's schema has. */
static size_t width(const char *text)
{
    int64_t chars = num_leading(text);
    return chars > 0 ? (size_t)chars : VALUE_COLUMN_CHARS;
}

static bool settings_row(void *arg, const char *const *fields, const size_t *lengths UNUSED)
{
    const struct settings *to = arg;
    const char *name = fields[0] == NULL ? "" : fields[0];
    const char *value = fields[1] == NULL ? "" : fields[1];
    if (strcmp(name, SITES_SETTING) == 0)
        to->store->sites_can_be_disabled = num_leading(value) > 0;
    else if (strcmp(name, OUTPUT_SETTING) == 0)
        to->store->output_chars = width(value);
    else if (strcmp(name, BOOST_SETTING) == 0)
        to->store->boost_chars = width(value);
    else if (to->on_setting != NULL)
        to->on_setting(to->arg, name, value);
    return true;
}

bool store_load_settings(struct store *s, int poller_id, store_setting_fn *on_setting, void *arg,
                         struct err *err)
{
    struct settings to = {.store = s, .on_setting = on_setting, .arg = arg};
    const struct db_reader reader = {.columns = SETTINGS_WIDTH, .on_row = settings_row, .arg = &to};
    struct buf sql = BUF_INIT;
    buf_printf(&sql, "%s%d%s", settings_sql, poller_id, settings_rest_sql);
    bool ok = store_query(s, "cannot read the settings", &sql, &reader, err);
    buf_done(&sql);
    return ok;
}

bool store_know_schema(struct store *s, struct err *err)
{
    if (s->sites_can_be_disabled >= 0)
        return true;
    struct settings to = {.store = s};
    const struct db_reader reader = {.columns = SETTINGS_WIDTH, .on_row = settings_row, .arg = &to};
    struct buf sql = BUF_INIT;
    buf_puts(&sql, SCHEMA_SQL);
    bool ok = store_query(s, "cannot read the schema", &sql, &reader, err);
    buf_done(&sql);
    return ok;
}
