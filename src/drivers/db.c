#include "config.h"

#include "drivers/db.h"

#include "base/clock.h"
#include "base/mem.h"
#include "drivers/dberror.h"
#include "model/sqltext.h"

#include <errno.h>
#include <fcntl.h>
#include <mysql.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_S  5
#define IO_TIMEOUT_S       30
#define LOOK_UP_MS         250 /* how often a wait looks at its deadline again */
#define ANSWER_AT_LEAST_MS (2 * 1000)
#define OVERTIME_MS        1000 /* behind the deadline, for a statement sent right before it */
#define ANSWER_AT_MOST_MS  (IO_TIMEOUT_S * 1000)

/* MySQL's my_bool became bool in 8.0; both are one byte. */
typedef char db_flag;

struct db {
    MYSQL *mysql;
    size_t max_packet;
    int64_t patience_ms;
    int lock_wait_s;                 /* as the server knows it; 0 = not told yet */
    bool local_time;                 /* the site has DATETIME columns */
    const _Atomic int64_t *deadline; /* the owner's; NULL = none */
};

/* Where db_params.host leads. */
struct address {
    char *host;   /* NULL: socket */
    char *socket; /* NULL: the library's own for localhost, else TCP */
};

static void (*trace_fn)(const char *sql, size_t len);

void db_set_trace(void (*trace)(const char *sql, size_t len))
{
    trace_fn = trace;
}

bool db_library_start(struct err *err)
{
    if (mysql_library_init(0, NULL, NULL) != 0)
        return err_set(err, ERR_OS, "cannot start the database client library %s",
                       mysql_get_client_info());
    return true;
}

void db_library_stop(void)
{
    mysql_library_end();
}

void db_thread_start(void)
{
    CHECK(mysql_thread_init() == 0);
}

void db_thread_stop(void)
{
    mysql_thread_end();
}

const char *db_client_version(void)
{
    static char text[64];
#ifdef MARIADB_PACKAGE_VERSION
    snprintf(text, sizeof(text), "MariaDB Connector/C %s", mysql_get_client_info());
#else
    snprintf(text, sizeof(text), "MySQL client %s", mysql_get_client_info());
#endif
    return text;
}

/* ---- errors ---- */

static void one_line(struct err *err)
{
    if (err == NULL)
        return;
    for (char *p = err->text; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ')
            *p = ' ';
    }
}

static bool fail_statement(struct db *db, struct err *err)
{
    int number = (int)mysql_errno(db->mysql);
    err_set_number(err, dberror_kind(number), number, "database error %d: %s", number,
                   mysql_error(db->mysql));
    one_line(err);
    return false;
}

/* ---- waiting ---- */

/* The one place where a database driver waits without a descriptor: the server is away, nothing can
 * ring. */
static void pause_until(int64_t mono_ms, const _Atomic int64_t *deadline)
{
    for (;;) {
        int64_t now = clock_mono_ms();
        int64_t left = mono_ms - now;
        if (left <= 0 || *deadline <= now)
            return;
        poll(NULL, 0, left > LOOK_UP_MS ? LOOK_UP_MS : (int)left);
    }
}

bool db_back_off(unsigned tries, const _Atomic int64_t *deadline)
{
    int64_t until = clock_mono_ms() + dberror_back_off_ms(tries, clock_mono_us());
    if (until >= *deadline)
        return false; /* nothing would be left for the try itself */
    pause_until(until, deadline);
    return until < *deadline;
}

/* ---- connecting ---- */

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

static void set_tls(MYSQL *m, const struct db_params *p, const struct tls *t)
{
#ifdef MARIADB_PACKAGE_VERSION
    db_flag on = t->required;
    const char *ca = t->verify || t->offered ? or_null(p->ssl_ca) : NULL; /* checks the chain */
    db_flag check = t->name || (t->verify && ca == NULL);                 /* chain and name */
    if (t->required || t->offered)
        mysql_ssl_set(m, or_null(p->ssl_key), or_null(p->ssl_cert), ca, NULL, NULL);
    if (!t->offered)
        mysql_options(m, MYSQL_OPT_SSL_ENFORCE, &on);
    mysql_options(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &check);
#else
    unsigned mode = t->name       ? SSL_MODE_VERIFY_IDENTITY
                    : t->verify   ? SSL_MODE_VERIFY_CA
                    : t->required ? SSL_MODE_REQUIRED
                    : t->offered  ? SSL_MODE_PREFERRED
                                  : SSL_MODE_DISABLED;
    mysql_options(m, MYSQL_OPT_SSL_MODE, &mode);
    mysql_options(m, MYSQL_OPT_SSL_KEY, or_null(p->ssl_key));
    mysql_options(m, MYSQL_OPT_SSL_CERT, or_null(p->ssl_cert));
    mysql_options(m, MYSQL_OPT_SSL_CA, or_null(p->ssl_ca));
    db_flag get_key = 1; /* caching_sha2_password without TLS */
    mysql_options(m, MYSQL_OPT_GET_SERVER_PUBLIC_KEY, &get_key);
#endif
}

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
    MYSQL *m = mysql_init(NULL);
    CHECK(m != NULL);
    int64_t connect_ms = p->connect_ms > 0 && p->connect_ms < left_ms ? p->connect_ms : left_ms;
    unsigned connect_s = seconds(connect_ms, CONNECT_TIMEOUT_S);
    unsigned io_s = seconds(left_ms, IO_TIMEOUT_S); /* the handshake reads with this one */
    unsigned no_local_files = 0;
    mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &io_s);
    mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &io_s);
    mysql_options(m, MYSQL_OPT_LOCAL_INFILE, &no_local_files);
    mysql_options(m, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options4(m, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "spine");
    set_tls(m, p, tls);
    return m;
}

static int socket_of(MYSQL *m)
{
#ifdef MARIADB_PACKAGE_VERSION
    return (int)mysql_get_socket(m);
#else
    return (int)m->net.fd;
#endif
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
    return true;
}

/* A lock is waited for less long than an answer, so that the server says so.  If we went first the
 * statement would be left behind and carried out all the same, once for each repetition. */
static int lock_wait_s(const struct db *db)
{
    int s = (int)(db->patience_ms * 2 / 3 / 1000);
    return s < 1 ? 1 : s;
}

static bool exec_text(struct db *db, const char *sql, struct err *err)
{
    return db_exec(db, sql, strlen(sql), err);
}

/* A server (or something in between) that does not know one of the words gets the few that matter most. */
static bool set_session(struct db *db, struct err *err)
{
    struct buf set = BUF_INIT;
    struct err why = ERR_INIT;
    db->lock_wait_s = lock_wait_s(db);
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
    const struct db_reader about = {.columns = 2, .on_row = read_about_session, .arg = db};
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
    one_line(err);
    return false;
}

/* One try.  *err says why not.  The deadline counts for the first statements, too; after that only
 * if the owner says so. */
static struct db *connect_once(const struct db_params *p, const struct address *a,
                               const _Atomic int64_t *deadline, bool demand_tls, struct err *err)
{
    struct db *db = mem_zalloc(1, sizeof(*db));
    db_set_patience(db, p->patience_ms == 0 ? ANSWER_AT_MOST_MS : p->patience_ms);
    struct tls tls = tls_of(p, a->host != NULL && strcmp(a->host, "localhost") != 0, demand_tls);
    db->mysql = prepare(p, &tls, *deadline - clock_mono_ms());
    if (mysql_real_connect(db->mysql, a->socket != NULL ? NULL : a->host, p->user, p->password,
                           p->database, p->port, a->socket, 0) == NULL) {
        fail_connect(p, a, (int)mysql_errno(db->mysql), mysql_error(db->mysql), err);
        goto fail;
    }
    close_on_exec(socket_of(db->mysql));
    /* MariaDB's library takes "enforce" for a wish when the server has no TLS and no name is
     * checked. */
    if (tls.required && mysql_get_ssl_cipher(db->mysql) == NULL) {
        fail_connect(p, a, DBERROR_TLS_FAILED, "TLS is required, but the server offers none", err);
        goto fail;
    }
    struct err why = ERR_INIT;
    db->deadline = deadline;
    if (!begin_session(db, &why)) {
        fail_connect(p, a, why.number, why.text, err);
        goto fail;
    }
    db->deadline = NULL;
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

struct db *db_open(const struct db_params *params, const _Atomic int64_t *deadline, struct err *err)
{
    struct err why = ERR_INIT;
    struct address a = parse_address(params->host == NULL ? "" : params->host);
    struct db *db = NULL;
    for (unsigned tries = 1;; tries++) {
        if (tries > 1 && *deadline - clock_mono_ms() < 1000)
            break; /* the library counts in seconds: one more try would end too late */
        db = connect_once(params, &a, deadline, false, &why);
        if (db == NULL)
            db = connect_as_demanded(params, &a, deadline, why.number);
        if (db != NULL || !dberror_may_connect_later(why.number) || !db_back_off(tries, deadline))
            break;
    }
    if (db == NULL && err != NULL)
        *err = why;
    address_done(&a);
    return db;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    mysql_close(db->mysql);
    free(db);
}

void db_set_deadline(struct db *db, const _Atomic int64_t *deadline_mono_ms)
{
    db->deadline = deadline_mono_ms;
}

void db_set_patience(struct db *db, int64_t patience_ms)
{
    db->patience_ms = patience_ms;
    if (db->patience_ms < ANSWER_AT_LEAST_MS)
        db->patience_ms = ANSWER_AT_LEAST_MS;
    if (db->patience_ms > ANSWER_AT_MOST_MS)
        db->patience_ms = ANSWER_AT_MOST_MS;
}

size_t db_max_packet(const struct db *db)
{
    return db->max_packet;
}

/* ---- statements ---- */

/* Until when a statement sent at this time may stay unanswered; asked again and again, because the
 * deadline may be drawn near meanwhile. */
static int64_t answer_by(const struct db *db, int64_t sent)
{
    int64_t by = sent + db->patience_ms;
    if (db->deadline != NULL && *db->deadline < by)
        by = *db->deadline;
    int64_t least = sent + ANSWER_AT_LEAST_MS;
    if (db->deadline != NULL && *db->deadline < least - OVERTIME_MS)
        least = *db->deadline + OVERTIME_MS;
    if (least < sent + OVERTIME_MS / 2)
        least = sent + OVERTIME_MS / 2;
    return by < least ? least : by;
}

/* The library's read time-out is fixed when connecting; ours follows the deadline. */
static bool wait_for_answer(const struct db *db, int64_t sent)
{
    struct pollfd pfd = {.fd = socket_of(db->mysql), .events = POLLIN};
    for (;;) {
        int64_t left = answer_by(db, sent) - clock_mono_ms();
        if (left < 0)
            left = 0;
        int n = poll(&pfd, 1, left > LOOK_UP_MS ? LOOK_UP_MS : (int)left);
        if (n > 0 || (n < 0 && errno != EINTR))
            return true; /* the library finds out what it is */
        if (n == 0 && left == 0)
            return false;
    }
}

/* The one place where the shape of an answer is checked: whoever reads rows relies on it. */
static bool has_shape(struct db *db, unsigned columns, struct err *err)
{
    unsigned width = mysql_field_count(db->mysql);
    if (width == columns)
        return true;
    err_set_number(err, ERR_UNAVAILABLE, DBERROR_MALFORMED,
                   "database error %d: the answer to a statement has %u columns instead of %u",
                   DBERROR_MALFORMED, width, columns);
    return false;
}

static bool send_and_wait(struct db *db, const char *sql, size_t len, unsigned columns,
                          struct err *err)
{
    if (trace_fn != NULL)
        trace_fn(sql, len);
    int64_t sent = clock_mono_ms();
    if (mysql_send_query(db->mysql, sql, len) != 0)
        return fail_statement(db, err);
    if (!wait_for_answer(db, sent))
        return err_set_number(err, ERR_UNAVAILABLE, DBERROR_SERVER_LOST,
                              "database error %d: no answer to a statement within %d s",
                              DBERROR_SERVER_LOST, (int)((clock_mono_ms() - sent) / 1000));
    if (mysql_read_query_result(db->mysql) != 0)
        return fail_statement(db, err);
    return has_shape(db, columns, err);
}

/* The patience may have changed since the server was told. */
static bool run(struct db *db, const char *sql, size_t len, unsigned columns, struct err *err)
{
    char set[96];
    int wait_s = lock_wait_s(db);
    if (db->lock_wait_s != wait_s) {
        int set_len = snprintf(set, sizeof(set),
                               "SET SESSION lock_wait_timeout=%d,innodb_lock_wait_timeout=%d",
                               wait_s, wait_s);
        if (!send_and_wait(db, set, (size_t)set_len, 0, err))
            return false;
        db->lock_wait_s = wait_s;
    }
    return send_and_wait(db, sql, len, columns, err);
}

bool db_exec(struct db *db, const char *sql, size_t len, struct err *err)
{
    return run(db, sql, len, 0, err);
}

bool db_query(struct db *db, const char *sql, size_t len, const struct db_reader *reader,
              struct err *err)
{
    if (!run(db, sql, len, reader->columns, err))
        return false;
    MYSQL_RES *res = mysql_use_result(db->mysql);
    if (res == NULL)
        return fail_statement(db, err);
    unsigned width = reader->columns;
    size_t *sizes = mem_zalloc(width, sizeof(*sizes));
    bool more = true;
    MYSQL_ROW row = NULL;
    while (more && (row = mysql_fetch_row(res)) != NULL) {
        const unsigned long *lengths = mysql_fetch_lengths(res);
        for (unsigned i = 0; i < width; i++)
            sizes[i] = lengths[i];
        more = reader->on_row(reader->arg, (const char *const *)row, sizes);
    }
    bool done = row != NULL || mysql_errno(db->mysql) == 0;
    if (!done)
        fail_statement(db, err);
    free(sizes);
    mysql_free_result(res); /* reads what was left */
    return done;
}

/* ---- text ---- */

/* Bytes of the well-formed UTF-8 sequence at s (The Unicode Standard, table 3-7), 0 if there is
 * none. */
static size_t utf8_len(const unsigned char *s, size_t left)
{
    unsigned char c = s[0];
    size_t n;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF) {
        n = 2;
    } else if (c >= 0xE0 && c <= 0xEF) {
        n = 3;
        low = c == 0xE0 ? 0xA0 : 0x80;
        high = c == 0xED ? 0x9F : 0xBF;
    } else if (c >= 0xF0 && c <= 0xF4) {
        n = 4;
        low = c == 0xF0 ? 0x90 : 0x80;
        high = c == 0xF4 ? 0x8F : 0xBF;
    } else {
        return 0;
    }
    if (left < n || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++) {
        if (s[i] < 0x80 || s[i] > 0xBF)
            return 0;
    }
    return n;
}

static size_t valid_prefix(const unsigned char *s, size_t len)
{
    size_t i = 0;
    while (i < len) {
        size_t n = s[i] < 0x80 ? 1 : utf8_len(s + i, len - i);
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

static void escape_valid(struct db *db, const char *text, size_t len, struct buf *out)
{
    buf_reserve(out, len * 2 + 1);
    size_t n = mysql_real_escape_string(db->mysql, out->data + out->len, text, len);
    CHECK(n <= len * 2);
    out->len += n;
    out->data[out->len] = '\0';
}

/* A server would cut the text at a byte that is not UTF-8 (MySQL) or put '?' there (MariaDB).  Such
 * bytes are taken for Latin-1 instead, which is what old devices send ("25 °C"), and keeps which
 * byte it was. */
void db_escape(void *arg, const char *text, size_t len, struct buf *out)
{
    struct db *db = arg;
    size_t at = 0;
    while (at < len) {
        size_t n = valid_prefix((const unsigned char *)text + at, len - at);
        if (n > 0)
            escape_valid(db, text + at, n, out);
        at += n;
        if (at == len)
            break;
        unsigned char byte = (unsigned char)text[at++];
        buf_putc(out, (char)(0xC0 | byte >> 6));
        buf_putc(out, (char)(0x80 | (byte & 0x3F)));
    }
}
