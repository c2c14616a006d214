#include "config.h"

#include "check_private.h"

#include "app/configuration.h"
#include "base/clock.h"
#include "base/mem.h"
#include "core/lease.h"
#include "drivers/dberror.h"
#include "drivers/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHECK_LOGIN_MS = 3000,    /* how long a server that cannot be reached is tried */
    CHECK_DATABASE_MS = 8000, /* all questions to one */
    CHECK_HANG_MS = 4000,     /* beyond that: a name service or a library that does not return */
    CHECK_CLOCK_S = 2,        /* the clocks are read in whole seconds */
};

struct check_setting {
    char *name, *value;
};

/* One database, looked at on a thread of its own, which may hang in a name look-up.  It uses nothing but this. */
struct check_base {
    const struct config *config;
    const struct db_params *params;
    bool is_main;
    struct findings findings;
    struct store_check_server server;
    bool server_known;
    struct store_check_site site;
    struct check_setting *settings;
    size_t setting_count;
    bool settings_known;
};

/* The names of the findings about the local and the main database. */
enum check_name { NAME_LOGIN, NAME_TLS, NAME_RIGHTS, NAME_CONNECTIONS, NAME_CLOCK, NAME_BULK };

static const char *check_name(const struct check_base *b, enum check_name name)
{
    static const char *const names[][2] = {
        [NAME_LOGIN] = {"database", "main database"},
        [NAME_TLS] = {"TLS", "main TLS"},
        [NAME_RIGHTS] = {"tables", "main tables"},
        [NAME_CONNECTIONS] = {"connections", "main connections"},
        [NAME_CLOCK] = {"clock", "main clock"},
        [NAME_BULK] = {"array binding", "main array binding"},
    };
    return names[name][b->is_main];
}

static bool check_is_far(const struct db_params *p)
{
    return strcmp(p->host, "localhost") != 0 && strchr(p->host, '/') == NULL;
}

/* ---- the server ---- */

static void check_login(struct check_base *b, const struct store_check_server *server)
{
    findings_add(&b->findings, FINDING_OK, check_name(b, NAME_LOGIN), NULL,
                 "%s at %s, database %s, user %s", server->version, b->params->host,
                 b->params->database, b->params->user);
    if (server->read_only)
        findings_add(&b->findings, FINDING_WARN, check_name(b, NAME_LOGIN),
                     "is this a replica? name the server that is written to (DB_Host)",
                     "the server is read-only for users without special rights");
}

static void check_tls(struct check_base *b, const struct store_check_server *server)
{
    const struct db_params *p = b->params;
    const char *name = check_name(b, NAME_TLS), *prefix = b->is_main ? "RDB" : "DB";
    char remedy[128];
    bool verified = p->ssl_verify == DB_VERIFY_ON ||
                    (p->ssl_verify == DB_VERIFY_AUTO && p->use_ssl && *p->ssl_ca != '\0');
    snprintf(remedy, sizeof(remedy), "set %s_UseSSL 1 and %s_SSL_CA FILE in spine.conf", prefix,
             prefix);
    if (*server->cipher == '\0' && check_is_far(p))
        findings_add(&b->findings, FINDING_WARN, name, remedy,
                     "the connection to %s is not encrypted", p->host);
    else if (*server->cipher == '\0')
        findings_add(&b->findings, FINDING_OK, name, NULL,
                     "not encrypted, the server is on this machine");
    else if (!verified && check_is_far(p))
        findings_add(&b->findings, FINDING_WARN, name, remedy,
                     "%s, %s, but it is not verified that it is the right server", server->tls,
                     server->cipher);
    else
        findings_add(&b->findings, FINDING_OK, name, NULL, "%s, %s, %s", server->tls,
                     server->cipher, verified ? "the server is verified" : "on this machine");
}

static void check_clock(struct check_base *b, const struct store_check_server *server)
{
    int64_t off_s = server->ahead_s < 0 ? -server->ahead_s : server->ahead_s;
    if (off_s <= CHECK_CLOCK_S)
        findings_add(&b->findings, FINDING_OK, check_name(b, NAME_CLOCK), NULL,
                     "the database server and this machine agree within %d s", CHECK_CLOCK_S);
    else
        findings_add(&b->findings, FINDING_WARN, check_name(b, NAME_CLOCK),
                     "let NTP set both clocks: values get the time of this machine",
                     "the clock of the database server is %" PRId64 " s %s this machine's", off_s,
                     server->ahead_s > 0 ? "ahead of" : "behind");
}

static void check_bulk(struct check_base *b, const struct store_check_server *server)
{
    if (server->lacks_bulk == NULL)
        findings_add(&b->findings, FINDING_OK, check_name(b, NAME_BULK), NULL, "on");
    else
        findings_add(&b->findings, FINDING_OK, check_name(b, NAME_BULK), NULL, "off: %s",
                     server->lacks_bulk);
}

/* A cycle takes its own connections, and each script server one.  How many there are is a setting. */
static void check_connections(struct check_base *b)
{
    const struct store_check_server *server = &b->server;
    const struct config *c = b->config;
    int64_t processes = b->site.processes > 0 ? b->site.processes : 1;
    int64_t each = b->is_main ? 1 : c->db_connections, servers = b->is_main ? 0 : c->php_servers;
    int64_t needed = processes * (each + servers);
    int64_t most = server->user_at_most > 0 && server->user_at_most < server->connections_at_most
                       ? server->user_at_most
                       : server->connections_at_most;
    const char *limit =
        most == server->connections_at_most ? "max_connections" : "max_user_connections";
    int64_t others = server->connected > 0 ? server->connected - 1 : 0;
    bool fits = needed <= most, fits_now = needed + others <= server->connections_at_most;
    char remedy[160];
    snprintf(remedy, sizeof(remedy),
             "raise %s of the server, or set DB_Connections 1 or fewer processes of this poller",
             limit);
    findings_add(&b->findings,
                 !fits      ? FINDING_FAIL
                 : fits_now ? FINDING_OK
                            : FINDING_WARN,
                 check_name(b, NAME_CONNECTIONS), fits && fits_now ? NULL : remedy,
                 "a cycle needs %" PRId64 ": processes %" PRId64 ", of each %" PRId64
                 " and script servers %" PRId64 "; %s is %" PRId64 ", in use by others: %" PRId64,
                 needed, processes, each, servers, limit, most, others);
}

/* ---- the site ---- */

static void check_on_setting(void *arg, const char *name, const char *value)
{
    struct check_base *b = arg;
    b->settings = mem_realloc(b->settings, b->setting_count + 1, sizeof(*b->settings));
    b->settings[b->setting_count++] =
        (struct check_setting){.name = mem_strdup(name), .value = mem_strdup(value)};
}

static void check_on_trouble(void *arg, const char *does, const char *table, const struct err *why)
{
    struct check_base *b = arg;
    struct buf remedy = BUF_INIT;
    if (why->number == DBERROR_TABLE_MISSING)
        buf_printf(&remedy, "is %s Cacti's database, and complete? Cacti's cacti.sql has the table",
                   b->params->database);
    else if (dberror_kind(why->number) == ERR_CONFIG)
        buf_printf(&remedy,
                   "GRANT SELECT, INSERT, UPDATE, DELETE ON `%s`.* TO the user '%s', and let Cacti "
                   "upgrade its tables",
                   b->params->database, b->params->user);
    findings_add(&b->findings, FINDING_FAIL, check_name(b, NAME_RIGHTS),
                 remedy.len == 0 ? NULL : buf_str(&remedy), "cannot %s %s: %s", does, table,
                 why->text);
    buf_done(&remedy);
}

/* Reads as a cycle would: the roster, and of one device everything. */
static bool check_reading(const struct check_base *b, struct store *s, struct err *err)
{
    struct selection sel = {.poller_id = b->config->poller_id, .with_reindex = true};
    struct roster roster = {0};
    struct device *device = NULL;
    bool ok = store_load_roster(s, &sel, &roster, err);
    uint32_t id = ok && roster.count > 0 ? roster.entries[0].id : 1;
    ok = ok && store_load_devices(s, &sel, &id, 1, &device, err);
    device_unref(device);
    roster_done(&roster);
    return ok;
}

static void check_tables(struct check_base *b, struct store *s)
{
    struct err err = ERR_INIT;
    size_t before = b->findings.count;
    if (!b->is_main && !check_reading(b, s, &err))
        findings_add(&b->findings, FINDING_FAIL, check_name(b, NAME_RIGHTS), NULL, "%s",
                     check_plain(err.text));
    store_check_statements(s, check_on_trouble, b);
    if (b->findings.count == before)
        findings_add(&b->findings, FINDING_OK, check_name(b, NAME_RIGHTS), NULL,
                     "all that a cycle reads and writes are there, and the user may use them");
}

static void check_site(struct check_base *b, struct store *s)
{
    struct err err = ERR_INIT;
    int id = b->config->poller_id;
    struct store_check_site *site = &b->site;
    if (!store_check_site(s, id, site, &err))
        findings_add(&b->findings, FINDING_FAIL, "poller", NULL, "%s", check_plain(err.text));
    else if (!site->known)
        findings_add(&b->findings, FINDING_FAIL, "poller",
                     "check --poller, Poller in spine.conf, and Cacti's data collectors",
                     "Cacti knows no poller %d", id);
    else if (site->disabled)
        findings_add(&b->findings, FINDING_WARN, "poller", "enable it in Cacti's data collectors",
                     "poller %d is disabled", id);
    else
        findings_add(
            &b->findings, site->devices + site->items == 0 ? FINDING_WARN : FINDING_OK, "poller",
            site->devices + site->items == 0 ? "add devices in Cacti, or check --poller" : NULL,
            "poller %d has %" PRId64 " enabled devices and %" PRId64 " items", id, site->devices,
            site->items);
}

/* ---- one database ---- */

static void check_ask_base(struct check_base *b, struct store *s)
{
    struct err err = ERR_INIT;
    store_set_deadline(s, clock_mono_ms() + CHECK_DATABASE_MS);
    store_set_read_only(s, true);
    b->server_known = store_check_server(s, &b->server, &err);
    if (!b->server_known) {
        findings_add(&b->findings, FINDING_FAIL, check_name(b, NAME_LOGIN), NULL, "%s",
                     check_plain(err.text));
        return;
    }
    check_login(b, &b->server);
    check_tls(b, &b->server);
    if (!b->is_main) {
        b->settings_known = store_load_settings(s, b->config->poller_id, check_on_setting, b, &err);
        if (b->settings_known)
            check_site(b, s);
        else
            findings_add(&b->findings, FINDING_FAIL, "settings", NULL, "%s", check_plain(err.text));
    }
    if (b->is_main || b->settings_known)
        check_tables(b, s);
    check_clock(b, &b->server);
    check_bulk(b, &b->server);
}

static void check_base_main(struct lease *l, void *arg)
{
    struct check_base *b = arg;
    struct err err = ERR_INIT;
    lease_enter(l);
    db_thread_start();
    struct store *s = store_open(b->params, clock_mono_ms() + CHECK_LOGIN_MS, &err);
    if (s == NULL)
        findings_add(&b->findings, FINDING_FAIL, check_name(b, NAME_LOGIN), NULL, "%s",
                     check_plain(err.text));
    else
        check_ask_base(b, s);
    store_close(s);
    db_thread_stop();
    (void)!lease_leave(l);
}

static void check_take(struct check *k, struct check_base *b)
{
    if (!b->is_main)
        k->site = b->site;
    k->settings_known |= b->settings_known;
    for (size_t i = 0; i < b->setting_count; i++) {
        configuration_set_setting(k->config, b->settings[i].name, b->settings[i].value);
        free(b->settings[i].name);
        free(b->settings[i].value);
    }
    if (b->server_known)
        check_connections(b);
    findings_take(&k->findings, &b->findings);
    store_check_server_done(&b->server);
    free(b->settings);
    free(b);
}

static void check_base(struct check *k, const struct db_params *params, int64_t processes)
{
    struct err err = ERR_INIT;
    struct check_base *b = mem_zalloc(1, sizeof(*b));
    *b = (struct check_base){.config = k->config, .params = params, .is_main = params->is_main};
    b->site.processes = processes;
    struct lease *l = lease_start("check", check_base_main, b, NULL, &err);
    bool ended =
        l != NULL &&
        lease_end(l, clock_mono_ms() + CHECK_LOGIN_MS + CHECK_DATABASE_MS + CHECK_HANG_MS, NULL);
    if (ended) {
        check_take(k, b);
        return;
    }
    k->left_behind |= l != NULL;
    findings_add(&k->findings, FINDING_FAIL, check_name(b, NAME_LOGIN),
                 "does the name service of this machine answer?",
                 "looking for the server %s does not end%s%s", params->host, l == NULL ? ": " : "",
                 err.text);
}

/* Settings decide what a connection of a cycle is used for, so they come before the main database. */
void check_databases(struct check *k)
{
    struct config *c = k->config;
    check_base(k, &c->db, 0);
    if (k->left_behind)
        return;
    configuration_finish(c);
    if (c->poller_id > 1 && c->mode == MODE_ONLINE)
        check_base(k, &c->rdb, k->site.processes);
}
