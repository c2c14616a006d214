#include "config.h"

#include "db_private.h"

#include "base/mem.h"
#include "drivers/dberror.h"

#include <mysql.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

/* Where client libraries would look for code or for permission to be careless. */
static const char *const login_code[] = {"MARIADB_PLUGINS", "MARIADB_PLUGIN_DIR",
                                         "LIBMYSQL_PLUGINS", "LIBMYSQL_PLUGIN_DIR",
                                         "LIBMYSQL_ENABLE_CLEARTEXT_PLUGIN"};

/* Where they would connect to.  An operator may set these, but not a user who starts a program that
 * has more rights than that user. */
static const char *const login_address[] = {"MARIADB_UNIX_PORT", "MYSQL_UNIX_PORT",
                                            "MYSQL_TCP_PORT"};

void db_login_ignore_environment(void)
{
    for (size_t i = 0; i < ARRAY_LEN(login_code); i++)
        unsetenv(login_code[i]);
    if (getauxval(AT_SECURE) == 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(login_address); i++)
        unsetenv(login_address[i]);
}

bool db_login_has_tls(const void *mysql)
{
    const MYSQL *m = mysql;
    return (m->server_capabilities & CLIENT_SSL) != 0;
}

#ifdef MARIADB_PACKAGE_VERSION

#include <mysql/plugin_auth.h>

#define SHA2_NAME "caching_sha2_password"
/* Ways to log in that do not hand the password over: only a hash of it, mixed with what the
 * server sends. */
#define LOGIN_BY_HASH "mysql_native_password,client_ed25519,parsec"
/* Ways that send it as it is. */
#define LOGIN_IN_CLEAR ",sha256_password,mysql_clear_password,dialog"

/* What the attempt to connect of this thread is about, and why it was given up. */
struct login {
    bool known;   /* it is verified who is at the other end */
    bool no_tls;  /* given up: TLS is required, and there is none */
    bool refused; /* given up: the password itself was asked for */
};

static _Thread_local struct login login;

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
struct st_mysql_client_plugin *STDCALL mysql_client_find_plugin(MYSQL *m, const char *name,
                                                                int type);

enum { LOGIN_PLUGIN_TYPE = 2, LOGIN_PLUGIN_INTERFACE = 0x0100 };

#define LOGIN_PLUGIN(name_, desc_, authenticate_)                                                  \
    {                                                                                              \
        .type = LOGIN_PLUGIN_TYPE, .interface_version = LOGIN_PLUGIN_INTERFACE, .name = (name_),   \
        .author = "spine", .desc = (desc_), .version = {1, 0, 0}, .license = "LGPL",               \
        .authenticate_user = (authenticate_),                                                      \
    }

/* Which ways to log in a server may ask for.  MariaDB's library can be told so from 3.3 on; an
 * older one finds no plugin but those that are built in, or were loaded at the start. */
static bool allow(MYSQL *m, const char *ways)
{
#if MARIADB_PACKAGE_VERSION_ID >= 30300
    return mysql_optionsv(m, MARIADB_OPT_RESTRICTED_AUTH, ways) == 0;
#else
    (void)ways;
    return login.known || mysql_options(m, MYSQL_PLUGIN_DIR, "/dev/null") == 0;
#endif
}

static bool allow_accounts_way(MYSQL *m);

/* ---- TLS first ---- */

/* The library looks for TLS only after it has chosen a way to log in, and asked only for what to
 * send first.  So the first way is one of ours, which sends nothing of the password and nothing
 * at all without TLS.  The server does not know it and asks for the account's own way, as the
 * protocol has it; until then no other way is allowed. */
#define GATE_NAME "spine_tls_first"

static int gate_authenticate(MYSQL_PLUGIN_VIO *vio, MYSQL *m)
{
    static const unsigned char nothing[1];
    login.no_tls = (m->server_capabilities & CLIENT_SSL) == 0;
    if (login.no_tls || vio->write_packet(vio, nothing, 0) != 0)
        return CR_ERROR;
    login.no_tls = mysql_get_ssl_cipher(m) == NULL;
    return login.no_tls || !allow_accounts_way(m) ? CR_ERROR : CR_OK;
}

static struct login_plugin gate =
    LOGIN_PLUGIN(GATE_NAME, "no login without TLS", gate_authenticate);

/* ---- MySQL's own way ---- */

/* caching_sha2_password sends a hash first.  A server that does not remember the account is then
 * given the password: inside TLS or a socket as it is, else encrypted with a key that the server
 * names, which a program in the server's place can decrypt. So the library's
 * plugin writes through a guard, which lets a server that is not known have the hash alone. */
struct sha2_vio {
    MYSQL_PLUGIN_VIO vio;
    MYSQL_PLUGIN_VIO *server;
    const char *password;
    bool hash_sent;
};

/* Versions of the library differ. */
typedef __typeof__(_Generic(((MYSQL_PLUGIN_VIO *)NULL)->write_packet,
                            int (*)(MYSQL_PLUGIN_VIO *, const unsigned char *, int) : 0, default
                            : (size_t)0)) login_length;

enum { SHA2_HASH_LEN = 32 };

static int (*sha2_of_library)(MYSQL_PLUGIN_VIO *vio, MYSQL *m);

static struct sha2_vio *sha2_of(MYSQL_PLUGIN_VIO *vio)
{
    return (struct sha2_vio *)vio; /* its first member */
}

static int sha2_read(MYSQL_PLUGIN_VIO *vio, unsigned char **packet)
{
    MYSQL_PLUGIN_VIO *server = sha2_of(vio)->server;
    return server->read_packet(server, packet);
}

/* Some versions send the password at once where TLS is on; it may be as long as a hash. */
static bool sha2_is_hash(const char *password, const unsigned char *data, size_t len)
{
    bool is_password = len == strlen(password) + 1 && memcmp(data, password, len) == 0;
    return len == SHA2_HASH_LEN && !is_password;
}

static int sha2_write(MYSQL_PLUGIN_VIO *vio, const unsigned char *data, login_length len)
{
    struct sha2_vio *v = sha2_of(vio);
    bool hash = !v->hash_sent && (len == 0 || sha2_is_hash(v->password, data, (size_t)len));
    v->hash_sent = true;
    login.refused = !login.known && !hash && v->password[0] != '\0';
    return login.refused ? 1 : v->server->write_packet(v->server, data, len);
}

static void sha2_info(MYSQL_PLUGIN_VIO *vio, MYSQL_PLUGIN_VIO_INFO *info)
{
    sha2_of(vio)->server->info(sha2_of(vio)->server, info);
}

static int sha2_authenticate(MYSQL_PLUGIN_VIO *vio, MYSQL *m)
{
    struct sha2_vio v = {
        .vio = {.read_packet = sha2_read, .write_packet = sha2_write, .info = sha2_info},
        .server = vio,
        .password = m->passwd == NULL ? "" : m->passwd,
    };
    return sha2_of_library(&v.vio, m);
}

static struct login_plugin sha2 = LOGIN_PLUGIN(NULL, "the hash to every server", sha2_authenticate);

static bool sha2_is_guarded;

/* ---- the start ---- */

static bool register_plugin(MYSQL *m, struct login_plugin *plugin, struct err *err)
{
    void *p = plugin;
    return mysql_client_register_plugin(m, p) != NULL ||
           err_set(err, ERR_OS, "cannot start the database client library %s: %s",
                   mysql_get_client_info(), mysql_error(m));
}

static struct login_plugin *find_plugin(MYSQL *m, const char *name)
{
    void *plugin = mysql_client_find_plugin(m, name, LOGIN_PLUGIN_TYPE);
    return plugin;
}

/* The library refuses a second plugin of a name, and finds the last one: ours takes the name when
 * it is registered.  Whether that has worked is looked at, not believed. */
static bool guard_sha2(MYSQL *m, struct err *err)
{
    const struct login_plugin *plugin = find_plugin(m, SHA2_NAME);
    sha2_is_guarded = false;
    if (plugin == NULL)
        return true; /* not installed */
    sha2_of_library = plugin->authenticate_user;
    sha2.name = "spine_sha2";
    if (!register_plugin(m, &sha2, err))
        return false;
    sha2.name = SHA2_NAME;
    sha2_is_guarded = find_plugin(m, SHA2_NAME) == &sha2;
    return true;
}

bool db_login_start(struct err *err)
{
    MYSQL *m = mem_need(mysql_init(NULL));
    find_plugin(m, "client_ed25519"); /* for an old library: see allow() */
    bool ok = register_plugin(m, &gate, err) && guard_sha2(m, err);
    mysql_close(m);
    return ok;
}

/* ---- each connection ---- */

static bool allow_accounts_way(MYSQL *m)
{
    if (login.known)
        return allow(m, LOGIN_BY_HASH "," SHA2_NAME LOGIN_IN_CLEAR);
    return allow(m, sha2_is_guarded ? LOGIN_BY_HASH "," SHA2_NAME : LOGIN_BY_HASH);
}

void db_login_prepare(void *mysql, bool tls_required, bool known)
{
    MYSQL *m = mysql;
    login = (struct login){.known = known};
    if (tls_required) {
        mysql_options(m, MYSQL_DEFAULT_AUTH, GATE_NAME);
        CHECK(allow(m, GATE_NAME));
    } else {
        CHECK(allow_accounts_way(m));
    }
}

/* A server that does not even know that there are several ways never reaches the gate. */
int db_login_error(void *mysql, bool tls_required)
{
    int number = (int)mysql_errno(mysql);
    if (login.no_tls ||
        (tls_required && number == DBERROR_LOGIN_REFUSED && !db_login_has_tls(mysql)))
        return DBERROR_TLS_FAILED;
    return login.refused ? DBERROR_LOGIN_REFUSED : number;
}

#else

bool db_login_start(struct err *err UNUSED)
{
    return true;
}

/* MySQL's library refuses by itself to log in without TLS where that is required, and knows no
 * open way to log in but this one. */
void db_login_prepare(void *mysql, bool tls_required UNUSED, bool known)
{
    mysql_options(mysql, MYSQL_ENABLE_CLEARTEXT_PLUGIN, &known);
}

int db_login_error(void *mysql, bool tls_required UNUSED)
{
    return (int)mysql_errno(mysql);
}

#endif
