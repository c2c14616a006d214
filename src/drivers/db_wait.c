#include "config.h"

#include "db_private.h"

#include "base/clock.h"
#include "drivers/dberror.h"

#include <errno.h>
#include <mysql.h>
#include <poll.h>

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

/* A lock is waited for less long than an answer, so that the server says so.  If we went first the
 * statement would be left behind and carried out all the same, once for each repetition. */
int db_lock_wait_s(const struct db *db)
{
    int s = (int)(db->patience_ms * 2 / 3 / 1000);
    return s < 1 ? 1 : s;
}

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
bool db_wait_for_answer(const struct db *db, int64_t sent)
{
    struct pollfd pfd = {.fd = db_socket_of(db), .events = POLLIN};
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
