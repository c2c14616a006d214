#include "config.h"

#include "db_private.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "drivers/dberror.h"
#include "model/sqltext.h"

#include <fcntl.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* MySQL's my_bool became bool in 8.0; both are one byte. */
typedef char db_flag;

/* Where db_params.host leads. */
struct address {
    char *host;   /* NULL: socket */
    char *socket; /* NULL: the library's own for localhost, else TCP */
};

static bool is_set(const char *s)
{
    return s != NULL && s[0] != '\0';
}

static const char *or_null(const char *s)
{
    return is_set(s) ? s : NULL;
}

/* docs/contract.md 22.1.  A path is a socket even while it does not exist: the server
 * may be restarting.  A colon only starts a socket when a path follows: IPv6 addresses have colons,
 * too. */
static struct address parse_address(const char *host)
{
    struct address a = {NULL, NULL};
    const char *colon = strstr(host, ":/");
    size_t len = strlen(host);
    if (host[0] == '/')
        a.socket = mem_strdup(host);
    else if (colon != NULL)
        a.socket = mem_strdup(colon + 1);
    else if (len > 2 && host[0] == '[' && host[len - 1] == ']')
        a.host = mem_strndup(host + 1, len - 2);
    else
        a.host = mem_strdup(len == 0 ? "localhost" : host);
    return a;
}

unsigned db_count_servers(const char *host)
{
    unsigned n = 1;
    for (; host != NULL && *host != '\0'; host++)
        n += *host == ',';
    return n;
}

/* One of "a, b,c", from 0 on. */
static struct address nth_address(const char *hosts, unsigned n)
{
    while (n-- > 0)
        hosts = strchr(hosts, ',') + 1;
    hosts += strspn(hosts, " ");
    char *host = mem_strndup(hosts, strcspn(hosts, ","));
    struct address a = parse_address(host);
    free(host);
    return a;
}

static void address_done(struct address *a)
{
    free(a->host);
    free(a->socket);
}

/* TLS as the configuration asks for it (docs/database.md).  Everything is set, because the defaults
 * of the client libraries differ. */
struct tls {
    bool required; /* no TLS, no connection */
    bool offered;  /* used if the server has it, as Spine did with files and no more */
    bool verify;   /* the chain */
    bool name;     /* the server's name, too: a network is in between */
};

static struct tls tls_of(const struct db_params *p, bool tcp, bool demanded)
{
    struct tls t = {.required = p->use_ssl || demanded || p->ssl_verify == DB_VERIFY_ON};
    t.offered = !t.required && (is_set(p->ssl_key) || is_set(p->ssl_cert) || is_set(p->ssl_ca));
    t.verify = p->ssl_verify == DB_VERIFY_ON ||
               (p->ssl_verify == DB_VERIFY_AUTO && t.required && is_set(p->ssl_ca));
    t.name = t.verify && tcp;
    return t;
}

/* Without a file of authorities, MariaDB's library from 3.4 on believes every server at 127.0.0.1 or
 * on a socket, and elsewhere one that knows the password's hash; MySQL's refuses every server. */
static const char *system_authorities(void)
{
    static const char *const files[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt",
                                        "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (access(files[i], R_OK) == 0)
            return files[i];
    }
    return NULL;
}

#ifdef MARIADB_PACKAGE_VERSION

static void set_tls(MYSQL *m, const struct db_params *p, const struct tls *t)
{
    db_flag on = t->required;
    const char *ca = t->verify || t->offered ? or_null(p->ssl_ca) : NULL; /* checks the chain */
    const char *folder = NULL;
    if (t->verify && ca == NULL) {
        ca = system_authorities();
        folder =
            ca == NULL ? "/etc/ssl/certs" : NULL; /* empty, or not there: no authority is known */
    }
    db_flag check = t->name; /* and the chain */
    if (t->required || t->offered)
        mysql_ssl_set(m, or_null(p->ssl_key), or_null(p->ssl_cert), ca, folder, NULL);
    if (!t->offered)
        mysql_options(m, MYSQL_OPT_SSL_ENFORCE, &on);
    mysql_options(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &check);
}

#else

/* A file of authorities makes the library check the chain in every mode. */
static void set_tls(MYSQL *m, const struct db_params *p, const struct tls *t)
{
    const char *ca = t->verify || t->offered ? or_null(p->ssl_ca) : NULL;
    unsigned mode = t->name       ? SSL_MODE_VERIFY_IDENTITY
                    : t->verify   ? SSL_MODE_VERIFY_CA
                    : t->required ? SSL_MODE_REQUIRED
                    : t->offered  ? SSL_MODE_PREFERRED
                                  : SSL_MODE_DISABLED;
    mysql_options(m, MYSQL_OPT_SSL_MODE, &mode);
    mysql_options(m, MYSQL_OPT_SSL_KEY, or_null(p->ssl_key));
    mysql_options(m, MYSQL_OPT_SSL_CERT, or_null(p->ssl_cert));
    mysql_options(m, MYSQL_OPT_SSL_CA, t->verify && ca == NULL ? system_authorities() : ca);
}

#endif

/* Whole seconds, as the library wants them; at least one. */
static unsigned seconds(int64_t ms, unsigned at_most)
{
    int64_t s = ms / 1000;
    if (s < 1)
        return 1;
    return s > at_most ? at_most : (unsigned)s;
}

static MYSQL *prepare(const struct db_params *p, const struct tls *tls, int64_t left_ms)
{
    MYSQL *m = mem_need(mysql_init(NULL));
    int64_t connect_ms = p->connect_ms > 0 && p->connect_ms < left_ms ? p->connect_ms : left_ms;
    unsigned connect_s = seconds(connect_ms, DB_CONNECT_S);
    unsigned io_s = seconds(left_ms, DB_IO_S); /* the handshake reads with this one */
    unsigned no_local_files = 0;
    mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &io_s);
    mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &io_s);
    mysql_options(m, MYSQL_OPT_LOCAL_INFILE, &no_local_files);
    mysql_options(m, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options4(m, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "spine");
    set_tls(m, p, tls);
    db_wait_prepare(m);
    db_login_prepare(m, tls->required, tls->required && tls->verify);
    return m;
}

static void close_on_exec(int fd)
{
    int flags = fcntl(fd, F_GETFD);
    if (flags >= 0)
        fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

static bool read_about_session(void *arg, const char *const *fields, const size_t *lengths UNUSED)
{
    struct db *db = arg;
    if (fields[0] != NULL)
        db->max_packet = strtoul(fields[0], NULL, 10);
    db->local_time = fields[1] != NULL && strcmp(fields[1], "0") != 0;
    db->row_alias = fields[2] != NULL && strcmp(fields[2], "1") == 0;
    db->in_galera = fields[3] != NULL && strcmp(fields[3], "0") != 0;
    return true;
}

static bool exec_text(struct db *db, const char *sql, struct err *err)
{
    return db_exec(db, sql, strlen(sql), err);
}

/* A server (or something in between) that does not know one of the words gets the few that
 * matter most. */
static bool set_session(struct db *db, struct err *err)
{
    struct buf set = BUF_INIT;
    struct err why = ERR_INIT;
    db->lock_wait_s = db_lock_wait_s(db);
    sqltext_session(&set, db->lock_wait_s);
    bool ok = exec_text(db, buf_str(&set), &why);
    if (!ok && dberror_is_about_text(why.number)) {
        buf_clear(&set);
        sqltext_session_least(&set, db->lock_wait_s);
        ok = exec_text(db, buf_str(&set), &why);
    }
    buf_done(&set);
    if (!ok)
        *err = why;
    return ok;
}

static bool begin_session(struct db *db, struct err *err)
{
    const struct db_reader about = {.columns = 4, .on_row = read_about_session, .arg = db};
    db->max_packet = 1024; /* the smallest a server can have */
    return set_session(db, err) &&
           db_query(db, sqltext_about_session, strlen(sqltext_about_session), &about, err) &&
           (!db->local_time || exec_text(db, sqltext_local_time, err));
}

/* What to do, in terms of spine.conf. */
static void put_remedy(struct buf *out, const struct db_params *p, int number)
{
    const char *text = dberror_remedy(number);
    for (const char *key; p->is_main && (key = strstr(text, "DB_")) != NULL; text = key + 3) {
        buf_append(out, text, (size_t)(key - text));
        buf_puts(out, "RDB_");
    }
    buf_puts(out, text);
}

static bool fail_connect(const struct db_params *p, const struct address *a, int number,
                         const char *message, struct err *err)
{
    char where[300];
    struct buf remedy = BUF_INIT;
    put_remedy(&remedy, p, number);
    if (a->socket != NULL)
        snprintf(where, sizeof(where), "localhost (socket %s)", a->socket);
    else if (strcmp(a->host, "localhost") == 0)
        snprintf(where, sizeof(where), "localhost");
    else
        snprintf(where, sizeof(where), "%s (port %u)", a->host, p->port);
    if (dberror_class(number) == DBERROR_FATAL && number < 2000)
        err_set_number(err, ERR_UNAVAILABLE, number,
                       "database server at %s refused user '%s' (%d): %s; %s", where, p->user,
                       number, message, buf_str(&remedy));
    else
        err_set_number(err, ERR_UNAVAILABLE, number,
                       "cannot connect to the database server at %s as user %s: %s (%d); %s", where,
                       p->user, message, number, buf_str(&remedy));
    buf_done(&remedy);
    return false;
}

static const char no_tls[] = "TLS is required, but the server offers none";

/* The library's own text about a refused way to log in may be in memory that has been reused. */
static const char *why_no_login(const struct db *db, int number)
{
    if (number == DBERROR_SERVER_LOST && mysql_errno(db->mysql) == DBERROR_TLS_FAILED)
        return "no end of the TLS handshake";
    if (number == DBERROR_LOGIN_REFUSED)
        return "the server asks for a way to log in that gives the password away or is unknown";
    if (number == DBERROR_TLS_FAILED && !db_login_has_tls(db->mysql))
        return no_tls;
    return mysql_error(db->mysql);
}

/* The library takes the end of a wait in the TLS handshake for a failure of TLS, which is final. */
static void fail_login(const struct db *db, const struct db_params *p, const struct address *a,
                       const struct tls *tls, struct err *err)
{
    int number = db_login_error(db->mysql, tls->required);
    if (number == DBERROR_TLS_FAILED && db->silent)
        number = DBERROR_SERVER_LOST;
    fail_connect(p, a, number, why_no_login(db, number), err);
}

static bool log_in(struct db *db, const struct db_params *p, const struct address *a)
{
    struct db_guard *guard = db_guard_start(db);
    db_wait_for(db, false);
    bool ok = mysql_real_connect(db->mysql, a->socket != NULL ? NULL : a->host, p->user,
                                 p->password, p->database, p->port, a->socket, 0) != NULL;
    db_guard_stop(guard);
    return ok;
}

/* One try.  *err says why not.  The deadline counts for the first statements, too; after that only
 * if the owner says so. */
static struct db *connect_once(const struct db_params *p, const struct address *a,
                               const _Atomic int64_t *deadline, bool demand_tls, struct err *err)
{
    struct db *db = mem_zalloc(1, sizeof(*db));
    db_set_patience(db, p->patience_ms == 0 ? DB_IO_S * 1000 : p->patience_ms);
    struct tls tls = tls_of(p, a->host != NULL && strcmp(a->host, "localhost") != 0, demand_tls);
    db->deadline = deadline;
    db->latest = p->latest;
    db->bulk = p->bulk;
    db->connecting = true;
    db->mysql = prepare(p, &tls, *deadline - clock_mono_ms());
    if (!log_in(db, p, a)) {
        fail_login(db, p, a, &tls, err);
        goto fail;
    }
    close_on_exec(db_socket_of(db));
    if (tls.required && mysql_get_ssl_cipher(db->mysql) == NULL) {
        fail_connect(p, a, DBERROR_TLS_FAILED, no_tls, err);
        goto fail;
    }
    struct err why = ERR_INIT;
    if (!begin_session(db, &why)) {
        fail_connect(p, a, why.number, why.text, err);
        goto fail;
    }
    db->deadline = NULL;
    db->connecting = false;
    return db;
fail:
    db_close(db);
    return NULL;
}

/* Plain text was refused.  MySQL says so; MariaDB says "access denied", as for a wrong password:
 * one try with TLS tells. */
static struct db *connect_as_demanded(const struct db_params *p, const struct address *a,
                                      const _Atomic int64_t *deadline, int number)
{
    if (tls_of(p, false, false).required ||
        (number != DBERROR_ACCESS_DENIED && number != DBERROR_SERVER_WANTS_TLS))
        return NULL;
    return connect_once(p, a, deadline, true, NULL);
}

/* One try of one of several servers, which has its share of the time: a dead one must not take that of the others. */
static struct db *connect_to(const struct db_params *params, unsigned server, unsigned servers,
                             const _Atomic int64_t *deadline, struct err *why)
{
    struct db_params p = *params;
    struct address a = nth_address(p.host == NULL ? "" : p.host, server);
    int64_t share_ms = (*deadline - clock_mono_ms()) / servers;
    if (servers > 1 && (p.connect_ms == 0 || p.connect_ms > share_ms))
        p.connect_ms = share_ms > 0 ? share_ms : 1;
    struct db *db = connect_once(&p, &a, deadline, false, why);
    if (db == NULL)
        db = connect_as_demanded(&p, &a, deadline, why->number);
    address_done(&a);
    return db;
}

/* All of them, from the one that served last. *ret_later: one of those that failed may do later. */
static struct db *connect_to_any(const struct db_params *params, const _Atomic int64_t *deadline,
                                 bool *ret_later, struct err *why)
{
    unsigned servers = db_count_servers(params->host);
    unsigned first = params->server == NULL ? 0 : *params->server;
    *ret_later = false;
    for (unsigned i = 0; i < servers; i++) {
        unsigned server = (first + i) % servers;
        if (i > 0 && *deadline - clock_mono_ms() < 1000)
            break;
        struct db *db = connect_to(params, server, servers, deadline, why);
        if (db != NULL && params->server != NULL)
            *params->server = server;
        if (db != NULL)
            return db;
        *ret_later |= dberror_may_connect_later(why->number);
    }
    return NULL;
}

struct db *db_open(const struct db_params *params, const _Atomic int64_t *deadline, struct err *err)
{
    struct err why = ERR_INIT;
    struct db *db = NULL;
    for (unsigned tries = 1;; tries++) {
        bool later;
        if (tries > 1 && *deadline - clock_mono_ms() < 1000)
            break; /* the library counts in seconds: one more try would end too late */
        db = connect_to_any(params, deadline, &later, &why);
        if (db != NULL || !later || !db_back_off(tries, deadline))
            break;
    }
    if (db == NULL && err != NULL)
        *err = why;
    return db;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    db->leaving = true;
    db_wait_for(db, false);
    mysql_close(db->mysql);
    db_bulk_done(db);
    free(db);
}
