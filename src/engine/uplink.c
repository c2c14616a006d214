#include "config.h"

#include "engine/uplink.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thr.h"
#include "drivers/resolve.h"
#include "engine/batcher.h"
#include "engine/budget.h"
#include "engine/spooling.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct uplink {
    pthread_t thread;
    int poller_id;
    char *host; /* of the main database */
    int64_t started_mono_ms;
    int64_t patience_ms;

    struct thr_mutex lock; /* the next block */
    pthread_cond_t changed;
    bool answered GUARDED; /* the main server, or the attempt has failed */
    int threads GUARDED;
    size_t output_chars GUARDED, boost_chars GUARDED; /* 0: the main server has not said */
    bool begun GUARDED, ending GUARDED, ended GUARDED, quit GUARDED;
    struct batcher waiting GUARDED;
    struct batch *left GUARDED; /* NULL = none */
    struct store *local;        /* lent by uplink_end() */
    bool push GUARDED;
    struct uplink_result result GUARDED; /* what has not been taken of it */

    const struct config *config; /* const from uplink_begin() on, like the next two */
    struct store_row *row;       /* lent by uplink_begin() */
    _Atomic int64_t until;

    /* the uplink's thread */
    struct store *main;
    struct store *shelter; /* the local database; connects when it is needed */
    bool away;             /* the main server has not taken something */
    int64_t retry_mono_ms; /* when it is asked again */
    struct err why;        /* it is away */
    bool opened;           /* the poller_time row exists */
    size_t kept;           /* rows in the local poller_output_boost */
};

/* ---- how long ---- */

/* The main server has this many milliseconds for the next statements, but never the last ones. */
static void allow_main(struct uplink *u, int64_t ms)
{
    int64_t end = clock_mono_ms() + ms;
    int64_t latest = u->until - UPLINK_RESERVE_MS;
    store_set_deadline(u->main, end < latest ? end : latest);
    /* uplink_hurry() may have been called meanwhile */
    store_hurry(u->main, u->until - UPLINK_RESERVE_MS, INT64_MAX);
}

/* Nearer only: a stop signal may come at any time, even before the cycle says how long it has. */
static void uplink_draw_near(struct uplink *u, int64_t deadline_mono_ms)
{
    int64_t old = u->until;
    while (deadline_mono_ms < old)
        if (atomic_compare_exchange_weak(&u->until, &old, deadline_mono_ms))
            break;
}

/* What a silent local database takes is not taken from closing the row in the main one. */
static void uplink_draw_latest(struct uplink *u, int64_t until_mono_ms, int64_t latest_mono_ms)
{
    int64_t between = until_mono_ms + (latest_mono_ms - until_mono_ms) / 2;
    store_hurry(u->main, until_mono_ms - UPLINK_RESERVE_MS, latest_mono_ms);
    store_hurry(u->shelter, until_mono_ms, between);
}

void uplink_hurry(struct uplink *u, int64_t deadline_mono_ms)
{
    uplink_draw_near(u, deadline_mono_ms);
    uplink_draw_latest(u, deadline_mono_ms, deadline_mono_ms + BUDGET_CLOSE_MS);
}

/* ---- is the main server there? ---- */

static void went_away(struct uplink *u, const struct err *why)
{
    u->retry_mono_ms = clock_mono_ms() + UPLINK_RETRY_MS;
    u->why = *why;
    if (u->away)
        return;
    u->away = true;
    log_line(LOG_ALWAYS,
             "WARNING: the main server does not take the results, which are kept in the local "
             "poller_output_boost for Cacti's recovery: %s",
             why->text);
}

static void came_back(struct uplink *u)
{
    if (u->away)
        log_line(LOG_ALWAYS, "NOTE: the main server takes results again");
    u->away = false;
}

/* Within the time that was allowed.  The row comes first: poller.php finds it before the
 * results. */
static bool reach_main(struct uplink *u)
{
    struct err err = ERR_INIT;
    int threads;
    bool ok = true;
    if (!u->opened && !u->config->ping_only)
        ok = u->opened = store_open_cycle(u->main, u->row, &err);
    else if (u->away)
        ok = store_load_threads(u->main, u->poller_id, &threads, &err); /* anything it answers */
    else
        return true;
    if (ok)
        came_back(u);
    else
        went_away(u, &err);
    return ok;
}

static bool may_try_main(struct uplink *u)
{
    if (u->away && clock_mono_ms() < u->retry_mono_ms)
        return false;
    bool brief = u->away && u->patience_ms > UPLINK_ATTEMPT_MS;
    allow_main(u, brief ? UPLINK_ATTEMPT_MS : u->patience_ms);
    return reach_main(u);
}

/* ---- one batch ---- */

static void uplink_leave(struct uplink *u, const struct output_row *rows, size_t count)
{
    thr_lock(&u->lock);
    if (u->left == NULL)
        u->left = batch_new();
    for (size_t i = 0; i < count; i++)
        batch_add_row(u->left, &rows[i]);
    thr_unlock(&u->lock);
}

static void uplink_count(struct uplink *u, const struct uplink_result *more)
{
    thr_lock(&u->lock);
    u->result.stored += more->stored;
    u->result.kept += more->kept;
    u->result.rejected += more->rejected;
    u->result.retries += more->retries;
    u->result.failed |= more->failed;
    thr_unlock(&u->lock);
}

static void uplink_fail(struct uplink *u, const char *what, const struct err *err)
{
    uplink_count(u, &(struct uplink_result){.failed = true});
    log_line(LOG_ALWAYS, "ERROR: %s: %s", what, err->text);
}

/* Returns how many of the last rows it has not taken.  In pieces, so that a slow line needs more
 * time but is not given up. */
static size_t send_rows(struct uplink *u, const struct batch *b)
{
    size_t at = 0;
    while (at < b->row_count) {
        size_t rest = b->row_count - at;
        const struct batch piece = {.rows = b->rows + at,
                                    .row_count = rest < BATCHER_ROWS ? rest : BATCHER_ROWS};
        struct store_outcome out = {0};
        struct err err = ERR_INIT;
        allow_main(u, u->patience_ms);
        bool ok = store_write(u->main, &piece, u->config->boost, &out, &err);
        uplink_count(u, &(struct uplink_result){.stored = out.rows_stored,
                                                .rejected = out.rows_rejected,
                                                .retries = out.retries});
        at += piece.row_count - out.rows_left;
        if (out.rows_left > 0) {
            went_away(u, &err);
            break;
        }
        if (!ok)
            log_line(LOG_ALWAYS, "ERROR: the main server: %s", err.text);
    }
    return b->row_count - at;
}

static bool send_recaches(struct uplink *u, const struct batch *b)
{
    const struct batch recaches = {.recaches = b->recaches, .recache_count = b->recache_count};
    struct store_outcome out;
    struct err err = ERR_INIT;
    if (b->recache_count == 0 || store_write(u->main, &recaches, false, &out, &err))
        return true;
    went_away(u, &err);
    return false;
}

static void uplink_keep(struct uplink *u, const struct batch *b)
{
    struct store_outcome out = {0};
    struct err err = ERR_INIT;
    store_set_deadline(u->shelter, u->until);
    store_hurry(u->shelter, u->until, INT64_MAX); /* as in allow_main() */
    store_grant(u->shelter, UPLINK_KEEP_MS);
    if (!store_write_boost(u->shelter, b, &out, &err))
        uplink_fail(u, "results could not be kept for the main server", &err);
    u->kept += out.rows_stored;
    uplink_count(u, &(struct uplink_result){.kept = out.rows_stored,
                                            .rejected = out.rows_rejected,
                                            .retries = out.retries});
    if (out.rows_left > 0)
        uplink_leave(u, b->rows + b->row_count - out.rows_left, out.rows_left);
}

static void uplink_deliver(struct uplink *u, struct batch *b)
{
    struct batch kept = {0};
    size_t left = b->row_count;
    bool commanded = false;
    if (may_try_main(u)) {
        left = send_rows(u, b);
        commanded = left == 0 && send_recaches(u, b);
    }
    kept.rows = left == 0 ? NULL : b->rows + (b->row_count - left);
    kept.row_count = left;
    kept.recaches = b->recaches;
    kept.recache_count = commanded ? 0 : b->recache_count;
    if (kept.row_count + kept.recache_count > 0)
        uplink_keep(u, &kept);
    batch_free(b);
}

/* ---- the end ---- */

static bool uplink_push_state(struct uplink *u, struct err *err)
{
    const struct config *cf = u->config;
    const uint32_t *ids = cf->has_host_list ? cf->host_list.ids : NULL;
    size_t id_count = cf->has_host_list ? cf->host_list.count : 0;
    log_line(LOG_MEDIUM, "Pushing Host Status to Main Server");
    if (!store_push_hosts(u->local, u->main, u->poller_id, ids, id_count, err))
        return false;
    if (cf->ping_only)
        return true;
    log_line(LOG_MEDIUM, "Pushing Poller Item RRD Next Step to Main Server");
    return store_push_steps(u->local, u->main, u->poller_id, err);
}

static void say_kept(const struct uplink *u)
{
    if (u->kept > 0)
        log_line(LOG_ALWAYS,
                 "WARNING: %zu rows are in the local poller_output_boost; Cacti's recovery will "
                 "take them to the main server",
                 u->kept);
}

static void close_row(struct uplink *u)
{
    struct err err = ERR_INIT;
    /* Whatever happened before, the row is worth one more connection (docs/contract.md 19.2). */
    store_grant_last(u->main, BUDGET_CLOSE_MS);
    if (!u->opened)
        uplink_fail(u, "the main server has no poller_time row of this process", &u->why);
    else if (!store_close_cycle(u->main, u->row, &err))
        uplink_fail(u, "the poller_time row could not be closed", &err);
}

static bool uplink_must_push(struct uplink *u)
{
    thr_lock(&u->lock);
    bool push = u->push;
    thr_unlock(&u->lock);
    return push;
}

static void uplink_finish(struct uplink *u)
{
    static const char unaware[] = "the main server does not know the status of the devices";
    struct err err = ERR_INIT;
    if (u->config->read_only)
        return;
    say_kept(u);
    u->retry_mono_ms = 0; /* the last attempt */
    if (!may_try_main(u)) {
        uplink_fail(u, unaware, &u->why);
    } else {
        allow_main(u, u->until - clock_mono_ms());
        spooling_restore(u->config, u->main); /* of an earlier run that found neither database */
        if (uplink_must_push(u) && !uplink_push_state(u, &err))
            uplink_fail(u, unaware, &err);
    }
    if (!u->config->ping_only)
        close_row(u);
}

/* ---- the thread ---- */

/* true: the cycle begins; false: it will not. */
static bool ask_first(struct uplink *u)
{
    int threads = 0;
    size_t output = 0, boost = 0;
    store_set_deadline(u->main, u->started_mono_ms + UPLINK_FIRST_MS);
    bool ok = store_load_threads(u->main, u->poller_id, &threads, NULL);
    thr_lock(&u->lock);
    u->threads = ok ? threads : 0;
    thr_unlock(&u->lock);
    store_set_deadline(u->main, u->started_mono_ms + UPLINK_START_MS);
    ok = ok && store_load_widths(u->main, &output, &boost, NULL);
    thr_lock(&u->lock);
    u->answered = true;
    u->output_chars = ok ? output : 0;
    u->boost_chars = ok ? boost : 0;
    thr_wake_all(&u->changed);
    while (!u->begun && !u->quit)
        thr_wait(&u->changed, &u->lock);
    bool begun = u->begun;
    thr_unlock(&u->lock);
    return begun;
}

/* NULL with `ending`: the last one was taken; NULL without: time to ask whether the server is back. */
static struct batch *uplink_take_waiting(struct uplink *u, bool *ret_ending)
{
    thr_lock(&u->lock);
    while (u->waiting.waiting == NULL && !u->ending) {
        if (!u->away)
            thr_wait(&u->changed, &u->lock);
        else if (!thr_wait_until(&u->changed, &u->lock, u->retry_mono_ms))
            break;
    }
    struct batch *b = batcher_take(&u->waiting);
    *ret_ending = u->ending && b == NULL;
    thr_wake_all(&u->changed);
    thr_unlock(&u->lock);
    return b;
}

static void uplink_work(struct uplink *u)
{
    bool ending = false;
    (void)may_try_main(u);
    while (!ending) {
        struct batch *b = uplink_take_waiting(u, &ending);
        if (b != NULL)
            uplink_deliver(u, b);
        else if (!ending)
            (void)may_try_main(u);
    }
    uplink_finish(u);
}

static void *keep_main(void *arg)
{
    struct uplink *u = arg;
    db_thread_start();
    if (ask_first(u))
        uplink_work(u);
    db_thread_stop();
    thr_lock(&u->lock);
    u->ended = true;
    thr_wake_all(&u->changed);
    thr_unlock(&u->lock);
    return NULL;
}

/* ---- the others ---- */

/* Before each attempt to connect.  From now on the patience counts, whatever time was left: the
 * push may take the rest of the interval as long as the server answers. The client library asks the
 * name server without a limit, and a broken line interrupts the name server as well. */
static bool find_main(void *arg, int64_t deadline_mono_ms, struct err *err)
{
    struct uplink *u = arg;
    store_hurry(u->main, clock_mono_ms() + u->patience_ms, INT64_MAX);
    int64_t until = clock_mono_ms() + UPLINK_CONNECT_MS;
    enum resolve_family family;
    struct address address;
    struct err why = ERR_INIT;
    if (strchr(u->host, '/') != NULL)
        return true; /* a socket */
    char *name = resolve_host_part(u->host, &family);
    struct resolver *r = resolver_new(); /* not what it knew before */
    bool ok =
        resolver_find(r, name, RESOLVE_ANY, until < deadline_mono_ms ? until : deadline_mono_ms,
                      NULL, &address, &why);
    resolver_free(r);
    free(name);
    return ok || err_set(err, ERR_UNAVAILABLE, "the name of the main database is not known: %s",
                         why.text);
}

UNCHECKED_LOCKS struct uplink *uplink_start(const struct config *config, struct err *err)
{
    struct db_params params = config->rdb;
    struct uplink *u = mem_zalloc(1, sizeof(*u));
    thr_mutex_init(&u->lock);
    thr_cond_init(&u->changed);
    u->poller_id = config->poller_id;
    u->started_mono_ms = clock_mono_ms();
    u->patience_ms = config->rdb_patience_ms;
    u->until = INT64_MAX;
    params.connect_ms = UPLINK_CONNECT_MS;
    u->main = store_new(&params);
    u->host = mem_strdup(params.host);
    store_set_gate(u->main, find_main, u);
    u->shelter = store_new(&config->db);
    store_set_patience(u->main, u->patience_ms);
    store_set_poller(u->main, u->poller_id);
    store_set_poller(u->shelter, u->poller_id);
    if (thr_start(&u->thread, "main server", keep_main, u, err))
        return u;
    u->ended = u->quit = true;
    uplink_free(u);
    return NULL;
}

UNCHECKED_LOCKS void uplink_free(struct uplink *u)
{
    if (u == NULL)
        return;
    thr_lock(&u->lock);
    bool started = !(u->quit && u->ended);
    u->quit = true;
    u->ending = true;
    thr_wake_all(&u->changed);
    thr_unlock(&u->lock);
    if (started) {
        int64_t now = clock_mono_ms();
        store_hurry(u->main, now, now);
        thr_join(u->thread);
    }
    batch_free(batcher_take(&u->waiting));
    batch_free(u->left);
    store_close(u->main);
    store_close(u->shelter);
    free(u->host);
    thr_cond_done(&u->changed);
    thr_mutex_done(&u->lock);
    free(u);
}

int uplink_threads(struct uplink *u)
{
    int64_t until = u->started_mono_ms + UPLINK_START_MS;
    thr_lock(&u->lock);
    while (!u->answered)
        if (!thr_wait_until(&u->changed, &u->lock, until))
            break;
    int threads = u->threads;
    thr_unlock(&u->lock);
    return threads;
}

void uplink_widths(struct uplink *u, size_t *output, size_t *boost)
{
    thr_lock(&u->lock);
    if (u->output_chars > 0) {
        *output = u->output_chars;
        *boost = u->boost_chars;
    }
    thr_unlock(&u->lock);
}

void uplink_begin(struct uplink *u, const struct config *config, struct store_row *row,
                  int64_t until_mono_ms, int64_t latest_mono_ms)
{
    store_set_read_only(u->main, config->read_only);
    store_set_read_only(u->shelter, config->read_only);
    u->config = config;
    u->row = row;
    uplink_draw_near(u, until_mono_ms);
    uplink_draw_latest(u, until_mono_ms, latest_mono_ms);
    thr_lock(&u->lock);
    u->begun = true;
    thr_wake_all(&u->changed);
    thr_unlock(&u->lock);
}

void uplink_put(struct uplink *u, struct batch *batch)
{
    thr_lock(&u->lock);
    while (batcher_is_overfull(&u->waiting))
        thr_wait(&u->changed, &u->lock);
    batcher_put(&u->waiting, batch, clock_mono_ms());
    thr_wake_all(&u->changed);
    thr_unlock(&u->lock);
}

struct batch *uplink_take_left(struct uplink *u)
{
    thr_lock(&u->lock);
    struct batch *left = u->left;
    u->left = NULL;
    thr_unlock(&u->lock);
    return left;
}

void uplink_end(struct uplink *u, struct store *local, bool push_too)
{
    thr_lock(&u->lock);
    u->local = local;
    u->push = push_too;
    u->ending = true;
    thr_wake_all(&u->changed);
    while (!u->ended)
        thr_wait(&u->changed, &u->lock);
    thr_unlock(&u->lock);
}

bool uplink_end_until(struct uplink *u, int64_t until_mono_ms)
{
    thr_lock(&u->lock);
    u->ending = true;
    thr_wake_all(&u->changed);
    while (!u->ended && thr_wait_until(&u->changed, &u->lock, until_mono_ms))
        ;
    bool ended = u->ended;
    thr_unlock(&u->lock);
    return ended;
}

struct uplink_result uplink_take_result(struct uplink *u)
{
    thr_lock(&u->lock);
    struct uplink_result r = u->result;
    u->result = (struct uplink_result){0};
    thr_unlock(&u->lock);
    return r;
}
