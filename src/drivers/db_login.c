#include "config.h"

#include "db_private.h"

#include "base/mem.h"
#include "drivers/dberror.h"

#include <mysql.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* MariaDB's library has what is needed here from 3.3 on. */
#if defined(MARIADB_PACKAGE_VERSION_ID) && MARIADB_PACKAGE_VERSION_ID >= 30300
#define DB_HAS_GATE 1
#include <mysql/plugin_auth.h>
#else
#define DB_HAS_GATE 0
#endif

/* Where client libraries would look for code or for permission to be careless. */
static const char *const login_environment[] = {
    "MARIADB_PLUGINS",    "MARIADB_PLUGIN_DIR",   "LIBMYSQL_PLUGINS",
    "LIBMYSQL_PLUGIN_DIR", "LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN"};

void db_login_ignore_environment(void)
{
    for (size_t i = 0; i < ARRAY_LEN(login_environment); i++)
        unsetenv(login_environment[i]);
}

#if DB_HAS_GATE

/* Ways to log in that do not hand the password over: only a hash of it, mixed with what the
 * server sends. */
#define LOGIN_BY_HASH "mysql_native_password,client_ed25519,parsec"
/* MySQL's way: the same, but a server that does not remember the hash is given the password,
 * encrypted with a key of the server's over TCP without TLS, else as it is. */
#define LOGIN_BY_SHA2 ",caching_sha2_password"
/* Ways that send it as it is. */
#define LOGIN_IN_CLEAR ",sha256_password,mysql_clear_password,dialog"

static const char *const login_ways[] = {
    [DB_TRUST_HASH] = LOGIN_BY_HASH,
    [DB_TRUST_SHA2] = LOGIN_BY_HASH LOGIN_BY_SHA2,
    [DB_TRUST_ALL] = LOGIN_BY_HASH LOGIN_BY_SHA2 LOGIN_IN_CLEAR,
};

/* The library looks for TLS only after it has chosen a way to log in, and asked only for what to
 * send first. So the first way is one of ours, which sends nothing of the password and nothing
 * at all without TLS.  The server does not know it and asks for the account's own way, as the
 * protocol has it; until then no other way is allowed. */
#define GATE_NAME "spine_tls_first"

static _Thread_local bool gate_is_shut;
static _Thread_local const char *gate_opens;

static int gate_authenticate(MYSQL_PLUGIN_VIO *vio, MYSQL *m)
{
    static const unsigned char nothing[1];
    gate_is_shut = (m->server_capabilities & CLIENT_SSL) == 0;
    if (gate_is_shut || vio->write_packet(vio, nothing, 0) != 0)
        return CR_ERROR;
    gate_is_shut = mysql_get_ssl_cipher(m) == NULL;
    if (gate_is_shut || mysql_optionsv(m, MARIADB_OPT_RESTRICTED_AUTH, gate_opens) != 0)
        return CR_ERROR;
    return CR_OK;
}

/* As mysql/client_plugin.h has it, which Debian 12 installs without a header that it includes. */
struct login_plugin {
    int type;
    unsigned interface_version;
    const char *name, *author, *desc;
    unsigned version[3];
    const char *license;
    void *mysql_api;
    int (*init)(char *error, size_t size, int argc, va_list args);
    int (*deinit)(void);
    int (*options)(const char *option, const void *value);
    int (*authenticate_user)(MYSQL_PLUGIN_VIO *vio, MYSQL *m);
};
struct st_mysql_client_plugin;
struct st_mysql_client_plugin *STDCALL
mysql_client_register_plugin(MYSQL *m, struct st_mysql_client_plugin *plugin);

enum { LOGIN_PLUGIN_TYPE = 2, LOGIN_PLUGIN_INTERFACE = 0x0100 };

static struct login_plugin gate = {
    .type = LOGIN_PLUGIN_TYPE,
    .interface_version = LOGIN_PLUGIN_INTERFACE,
    .name = GATE_NAME,
    .author = "spine",
    .desc = "no login without TLS",
    .version = {1, 0, 0},
    .license = "LGPL",
    .authenticate_user = gate_authenticate,
};

bool db_login_start(struct err *err)
{
    MYSQL *m = mysql_init(NULL);
    CHECK(m != NULL);
    void *plugin = &gate;
    bool ok = mysql_client_register_plugin(m, plugin) != NULL;
    if (!ok)
        err_set(err, ERR_OS, "cannot start the database client library %s: %s",
                mysql_get_client_info(), mysql_error(m));
    mysql_close(m);
    return ok;
}

void db_login_prepare(void *mysql, bool tls_required, enum db_trust trust)
{
    MYSQL *m = mysql;
    gate_is_shut = false;
    gate_opens = login_ways[trust];
    if (tls_required)
        mysql_options(m, MYSQL_DEFAULT_AUTH, GATE_NAME);
    mysql_optionsv(m, MARIADB_OPT_RESTRICTED_AUTH, tls_required ? GATE_NAME : gate_opens);
}

/* Or it does not even know that there are several ways, and the gate was never reached. */
bool db_login_missed_tls(void *mysql, bool tls_required)
{
    const MYSQL *m = mysql;
    return gate_is_shut || (tls_required && mysql_errno(mysql) == DBERROR_LOGIN_REFUSED &&
                            (m->server_capabilities & CLIENT_SSL) == 0);
}

#else

bool db_login_start(struct err *err UNUSED)
{
    return true;
}

/* MySQL's library refuses by itself to log in without TLS where that is required, and knows no
 * open way to log in but this one. */
void db_login_prepare(void *mysql, bool tls_required UNUSED, enum db_trust trust)
{
#ifndef MARIADB_PACKAGE_VERSION
    bool in_clear = trust == DB_TRUST_ALL;
    mysql_options(mysql, MYSQL_ENABLE_CLEARTEXT_PLUGIN, &in_clear);
#else
    (void)mysql;
    (void)trust;
#endif
}

bool db_login_missed_tls(void *mysql UNUSED, bool tls_required UNUSED)
{
    return false;
}

#endif
