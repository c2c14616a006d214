#include "config.h"

#include "drivers/store_check.h"

#include "store_private.h"

#include "base/mem.h"
#include "base/num.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* ---- the server ---- */

/* By name and value, so that servers that lack one of them still tell the others.  UNIX_TIMESTAMP() does not depend
 * on any time zone. */
static const char variables_sql[] =
    "SELECT VERSION(),@@max_connections,@@max_user_connections,@@global.read_only,UNIX_TIMESTAMP()";
static const char status_sql[] =
    "SHOW STATUS WHERE Variable_name IN ('Ssl_cipher','Ssl_version','Threads_connected')";

static void store_check_keep(char **to, const char *text)
{
    free(*to);
    *to = mem_strdup(text == NULL ? "" : text);
}

static bool store_check_variables_row(void *arg, const char *const *f, const size_t *lengths UNUSED)
{
    struct store_check_server *server = arg;
    store_check_keep(&server->version, f[0]);
    server->connections_at_most = store_field_number(f[1], 0, 0, INT32_MAX);
    server->user_at_most = store_field_number(f[2], 0, 0, INT32_MAX);
    server->read_only = f[3] != NULL && (num_bool(f[3], false) || num_leading(f[3]) > 0);
    if (f[4] != NULL)
        server->ahead_s = num_leading(f[4]) - (int64_t)time(NULL);
    return true;
}

static bool store_check_status_row(void *arg, const char *const *f, const size_t *lengths UNUSED)
{
    struct store_check_server *server = arg;
    if (f[0] == NULL)
        return true;
    if (strcasecmp(f[0], "Ssl_cipher") == 0)
        store_check_keep(&server->cipher, f[1]);
    else if (strcasecmp(f[0], "Ssl_version") == 0)
        store_check_keep(&server->tls, f[1]);
    else if (strcasecmp(f[0], "Threads_connected") == 0)
        server->connected = store_field_number(f[1], 0, 0, INT32_MAX);
    return true;
}

static bool store_check_ask(struct store *s, const char *what, const char *text, unsigned columns,
                            db_row_fn *on_row, void *arg, struct err *err)
{
    const struct db_reader reader = {.columns = columns, .on_row = on_row, .arg = arg};
    struct buf sql = BUF_INIT;
    buf_puts(&sql, text);
    bool ok = store_query(s, what, &sql, &reader, err);
    buf_done(&sql);
    return ok;
}

bool store_check_server(struct store *s, struct store_check_server *ret, struct err *err)
{
    struct store_check_server server = {
        .version = mem_strdup(""), .cipher = mem_strdup(""), .tls = mem_strdup("")};
    if (!store_check_ask(s, "cannot read the server's variables", variables_sql, 5,
                         store_check_variables_row, &server, err) ||
        !store_check_ask(s, "cannot read the server's status", status_sql, 2,
                         store_check_status_row, &server, err)) {
        store_check_server_done(&server);
        return false;
    }
    server.lacks_bulk = db_bulk_lacks(s->db);
    *ret = server;
    return true;
}

void store_check_server_done(struct store_check_server *server)
{
    free(server->version);
    free(server->cipher);
    free(server->tls);
    *server = (struct store_check_server){0};
}

/* ---- the site ---- */

static bool store_check_poller_row(void *arg, const char *const *f, const size_t *lengths UNUSED)
{
    struct store_check_site *site = arg;
    site->known = true;
    site->processes = store_field_number(f[0], 1, 1, INT32_MAX);
    site->disabled = f[1] != NULL && num_bool(f[1], false);
    return true;
}

/* Device 0 is not in host. */
static bool store_check_count_row(void *arg, const char *const *f, const size_t *lengths UNUSED)
{
    struct store_check_site *site = arg;
    site->devices = store_field_number(f[0], 0, 0, INT64_MAX);
    site->pinged = store_field_number(f[1], 0, 0, INT64_MAX);
    site->items = store_field_number(f[2], 0, 0, INT64_MAX);
    site->served = store_field_number(f[3], 0, 0, INT64_MAX);
    return true;
}

bool store_check_site(struct store *s, int poller_id, struct store_check_site *ret, struct err *err)
{
    char sql[512];
    struct store_check_site site = {.processes = 1};
    snprintf(sql, sizeof(sql), "SELECT processes,disabled FROM poller WHERE id=%d", poller_id);
    if (!store_check_ask(s, "cannot read table poller", sql, 2, store_check_poller_row, &site, err))
        return false;
    /* availability_method 1, 3, 4: with a ping; ping_method 1: by ICMP. */
    snprintf(sql, sizeof(sql),
             "SELECT COUNT(*),COALESCE(SUM(availability_method IN (1,3,4) AND ping_method=1),0),"
             "(SELECT COUNT(*) FROM poller_item WHERE poller_id=%d),"
             "(SELECT COUNT(*) FROM poller_item WHERE poller_id=%d AND action=2) FROM host"
             " WHERE poller_id=%d AND disabled='' AND deleted=''",
             poller_id, poller_id, poller_id);
    if (!store_check_ask(s, "cannot count devices and items", sql, 4, store_check_count_row, &site,
                         err))
        return false;
    *ret = site;
    return true;
}

/* ---- rights and columns ---- */

/* One for each table and way in which a cycle writes, with every column that it needs. */
struct store_check_statement {
    const char *does, *table, *sql;
};

#define STORE_CHECK_OUTPUTS(table)                                                                 \
    "INSERT INTO " table " (local_data_id,rrd_name,time,output) VALUES (?,?,?,?)"                  \
    " ON DUPLICATE KEY UPDATE output=VALUES(output)"

static const struct store_check_statement statements[] = {
    {"store values in", "poller_output", STORE_CHECK_OUTPUTS("poller_output")},
    {"store values in", "poller_output_boost", STORE_CHECK_OUTPUTS("poller_output_boost")},
    {"store the status of devices in", "host",
     "UPDATE host SET status=?,status_event_count=?,status_fail_date=?,status_rec_date=?,"
     "status_last_error=?,min_time=?,max_time=?,cur_time=?,avg_time=?,total_polls=?,failed_polls=?,"
     "availability=?,snmp_sysDescr=?,snmp_sysObjectID=?,snmp_sysUpTimeInstance=?,snmp_sysContact=?,"
     "snmp_sysName=?,snmp_sysLocation=?,polling_time=? WHERE id=?"},
    {"store the next step of items in", "poller_item",
     "UPDATE poller_item SET rrd_next_step=? WHERE poller_id=? AND host_id=?"},
    {"store the results of re-index checks in", "poller_reindex",
     "UPDATE poller_reindex SET assert_value=? WHERE host_id=? AND data_query_id=?"},
    {"ask for re-indexing in", "poller_command",
     "REPLACE INTO poller_command (poller_id,time,action,command) VALUES (?,?,?,?)"},
    {"open the row of a cycle in", "poller_time",
     "INSERT INTO poller_time (poller_id,pid,start_time,end_time) VALUES (?,?,?,?)"},
    {"close the row of a cycle in", "poller_time", "UPDATE poller_time SET end_time=? WHERE id=?"},
    {"store the date of a cycle in", "settings", "REPLACE INTO settings (name,value) VALUES (?,?)"},
};

static bool store_check_exec(struct store *s, const char *sql, struct err *err)
{
    return store_connect(s, err) && db_exec(s->db, sql, strlen(sql), err);
}

/* The statements hold no quotes. */
static bool store_check_prepare(struct store *s, const char *statement, struct err *err)
{
    struct buf sql = BUF_INIT;
    buf_printf(&sql, "PREPARE spine_check FROM '%s'", statement);
    bool ok = store_check_exec(s, buf_str(&sql), err);
    buf_done(&sql);
    return ok && store_check_exec(s, "DEALLOCATE PREPARE spine_check", err);
}

void store_check_statements(struct store *s, store_check_trouble_fn *trouble, void *arg)
{
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        const struct store_check_statement *one = &statements[i];
        struct err why = ERR_INIT;
        if (!store_check_prepare(s, one->sql, &why))
            trouble(arg, one->does, one->table, &why);
    }
}
