#include "config.h"

#include "db_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"
#include "drivers/dberror.h"

#include <inttypes.h>

#include <errno.h>
#include <mysql.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_UP_MS         250 /* how often a wait looks at its deadline again */
#define ANSWER_AT_LEAST_MS (2 * 1000)
#define OVERTIME_MS        1000 /* behind the deadline, for a statement sent right before it */
#define ANSWER_AT_MOST_MS  (DB_IO_S * 1000)

/* The one place where a database driver waits without a descriptor: the server is away, nothing can
 * ring. */
static void pause_until(int64_t mono_ms, const _Atomic int64_t *deadline)
{
    for (;;) {
        int64_t now = clock_mono_ms();
        int64_t left = mono_ms - now;
        if (left <= 0 || *deadline <= now)
            return;
        clock_pause_ms(left > LOOK_UP_MS ? LOOK_UP_MS : (int)left);
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

/* ---- for an answer ---- */

int db_socket_of(const struct db *db)
{
    MYSQL *m = db->mysql;
#ifdef MARIADB_PACKAGE_VERSION
    return (int)mysql_get_socket(m);
#else
    return (int)m->net.fd;
#endif
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

/* A lock is waited for less long than an answer, so that the server reports it. If the client gave
 * up first, the statement would stay queued and be carried out nevertheless, once for each
 * repetition. */
int db_lock_wait_s(const struct db *db)
{
    int s = (int)(db->patience_ms * 2 / 3 / 1000);
    return s < 1 ? 1 : s;
}

/* Behind the deadline: half of the rest is for later statements. */
static int64_t overtime_ms(int64_t deadline, int64_t latest)
{
    int64_t half = latest / 2 - deadline / 2;
    if (half > OVERTIME_MS)
        return OVERTIME_MS;
    return half < 0 ? 0 : half;
}

/* Until when this wait may go on.  The patience is with a silence, which began at `since`; the
 * deadline with all of the statement.  Asked again and again, because the times may be drawn near
 * meanwhile. */
static int64_t answer_by(const struct db *db, int64_t since)
{
    int64_t deadline = db->deadline != NULL ? *db->deadline : INT64_MAX;
    int64_t latest = db->latest != NULL ? *db->latest : INT64_MAX;
    int64_t overtime = overtime_ms(deadline, latest);
    int64_t by = since + db->patience_ms;
    int64_t least = db->sent_mono_ms + ANSWER_AT_LEAST_MS;
    if (deadline < by)
        by = deadline;
    if (deadline < least - overtime)
        least = deadline + overtime;
    if (least < db->sent_mono_ms + overtime / 2)
        least = db->sent_mono_ms + overtime / 2;
    if (by < least)
        by = least;
    return by < latest ? by : latest;
}

/* As poll(2).  `at_most`: not longer in any case. */
static int db_wait(struct db *db, int fd, short events, int64_t at_most_ms)
{
    struct pollfd pfd = {.fd = fd, .events = events};
    int64_t since = clock_mono_ms();
    for (;;) {
        int64_t by = answer_by(db, since), now = clock_mono_ms();
        if (by - since > at_most_ms)
            by = since + at_most_ms;
        int64_t left = db->leaving || by < now ? 0 : by - now;
        int n = poll(&pfd, 1, left > LOOK_UP_MS ? LOOK_UP_MS : (int)left);
        if (n > 0 || (n < 0 && errno != EINTR))
            return n;
        if (n == 0 && left == 0) {
            db->silent = true;
            return 0;
        }
    }
}

/* The library's time-outs are of one read each and fixed when connecting; ours follow the deadline. */
bool db_wait_for_answer(struct db *db)
{
    return db_wait(db, db_socket_of(db), POLLIN, INT64_MAX) !=
           0; /* the library finds out what it is */
}

bool db_fail_silent(const struct db *db, struct err *err)
{
    return err_set_number(err, ERR_UNAVAILABLE, DBERROR_SERVER_LOST,
                          "database error %d: no answer to a statement, or no end of it, within "
                          "%" PRId64 " s%s%s",
                          DBERROR_SERVER_LOST, (clock_mono_ms() - db->sent_mono_ms) / 1000,
                          db->connecting ? "" : "; ",
                          db->connecting ? "" : dberror_remedy(DBERROR_SERVER_LOST));
}

/* ---- in the library ---- */

/* Whose call is in progress on this thread: the library does not say. */
static _Thread_local struct db *db_of_call;

void db_wait_for(struct db *db, bool begins)
{
    db_of_call = db;
    if (begins)
        db->sent_mono_ms = clock_mono_ms();
}

/* MariaDB's library asks who waits from 3.3 on. */
#if defined(MARIADB_PACKAGE_VERSION_ID) && MARIADB_PACKAGE_VERSION_ID >= 30300

/* The first wait of an attempt to connect is when the library has found the server's name.  Only
 * while it connects its own time-out counts, too. */
static int db_on_wait(my_socket fd, my_bool reads, int timeout_ms)
{
    struct db *db = db_of_call;
    if (db->sent_mono_ms == 0)
        db->sent_mono_ms = clock_mono_ms();
    int n = db_wait(db, (int)fd, reads ? POLLIN : POLLOUT,
                    db->connecting && timeout_ms > 0 ? timeout_ms : INT64_MAX);
    if (n == 0)
        errno = ETIMEDOUT;
    return n;
}

void db_wait_prepare(void *mysql)
{
    mysql_optionsv(mysql, MARIADB_OPT_IO_WAIT, db_on_wait);
}

#else

void db_wait_prepare(void *mysql UNUSED)
{
}

#endif

#ifdef MARIADB_PACKAGE_VERSION

struct db_guard *db_guard_start(struct db *db UNUSED)
{
    return NULL;
}

void db_guard_stop(struct db_guard *guard UNUSED)
{
}

#else

/* MySQL's library (9.7) reads from a TLS connection without a time-out, from the first byte of the
 * handshake on.  A read ends when the socket is shut down, which another thread has to do. */
struct db_guard {
    struct db *db;
    pthread_t thread;
    struct thr_mutex mutex;
    pthread_cond_t changed;
    int64_t began_mono_ms;
    bool over GUARDED;     /* by the mutex */
    bool too_late GUARDED; /* by the mutex */
};

static int64_t guard_until(const struct db_guard *g)
{
    int64_t by = g->began_mono_ms + DB_CONNECT_S * 1000 + g->db->patience_ms;
    int64_t deadline = *g->db->deadline;
    return deadline < by ? deadline : by;
}

/* The library's first descriptor is 0, until it has a socket. */
static void guard_shut_down(struct db_guard *g)
{
    int fd = db_socket_of(g->db);
    if (fd > STDERR_FILENO)
        shutdown(fd, SHUT_RDWR);
}

static void *guard_run(void *arg)
{
    struct db_guard *g = arg;
    thr_lock(&g->mutex);
    while (!g->over) {
        int64_t now = clock_mono_ms(), left = guard_until(g) - now;
        g->too_late = left <= 0;
        if (g->too_late)
            guard_shut_down(g);
        thr_wait_until(&g->changed, &g->mutex,
                       now + (left > 0 && left < LOOK_UP_MS ? left : LOOK_UP_MS));
    }
    thr_unlock(&g->mutex);
    return NULL;
}

struct db_guard *db_guard_start(struct db *db)
{
    struct db_guard *g = mem_zalloc(1, sizeof(*g));
    g->db = db;
    g->began_mono_ms = clock_mono_ms();
    thr_mutex_init(&g->mutex);
    thr_cond_init(&g->changed);
    if (thr_start(&g->thread, "connecting", guard_run, g, NULL))
        return g;
    thr_cond_done(&g->changed);
    thr_mutex_done(&g->mutex);
    free(g);
    return NULL;
}

void db_guard_stop(struct db_guard *g)
{
    if (g == NULL)
        return;
    thr_lock(&g->mutex);
    g->over = true;
    g->db->silent = g->too_late;
    thr_wake_one(&g->changed);
    thr_unlock(&g->mutex);
    thr_join(g->thread);
    thr_cond_done(&g->changed);
    thr_mutex_done(&g->mutex);
    free(g);
}

#endif
