#include "config.h"

#include "core/pool.h"

#include "base/mem.h"
#include "core/jobq.h"
#include "core/lease.h"

#include <stdlib.h>

TAILQ_HEAD(job_list, job);

/* An abandoned worker keeps this and its job. */
struct worker {
    struct pool *pool;
    struct job *job; /* the worker's: in run */
};

struct pool {
    struct loop *loop;
    struct jobq *waiting;
    struct worker **workers; /* NULL: abandoned */
    struct lease **leases;   /* NULL: ended or abandoned */
    int started;
    bool ended;
    size_t left_behind;
    struct job_list outstanding; /* submitted and not done; the loop's */
};

/* ---- workers ---- */

static void pool_finish(struct job *job)
{
    TAILQ_REMOVE(&job->pool->outstanding, job, next);
    job->calls->done(job, job->cancelled);
}

static void pool_on_letter(void *arg)
{
    pool_finish(arg);
}

static void pool_send(struct job *job)
{
    loop_post(job->pool->loop, &job->letter, pool_on_letter, job);
}

static void pool_work(struct lease *lease, void *arg)
{
    struct worker *w = arg;
    while ((w->job = jobq_pop(w->pool->waiting)) != NULL) {
        lease_enter(lease);
        w->job->calls->run(w->job);
        if (!lease_leave(lease))
            return;
        pool_send(w->job);
    }
}

/* On the loop's thread, while the worker hangs. */
static void pool_salvage(void *arg)
{
    struct worker *w = arg;
    TAILQ_REMOVE(&w->pool->outstanding, w->job, next);
    if (w->job->calls->left != NULL)
        w->job->calls->left(w->job);
}

static void pool_come_late(void *arg)
{
    struct worker *w = arg;
    if (w->job->calls->late != NULL)
        w->job->calls->late(w->job);
    free(w);
}

/* ---- jobs ---- */

void pool_submit(struct pool *p, struct job *job, const struct job_calls *calls)
{
    loop_assert_here(p->loop);
    *job = (struct job){.pool = p, .calls = calls};
    TAILQ_INSERT_TAIL(&p->outstanding, job, next);
    if (!jobq_push(p->waiting, job)) {
        job->cancelled = true;
        pool_send(job);
    }
}

void pool_cancel_waiting(struct pool *p)
{
    struct job *job;
    loop_assert_here(p->loop);
    while ((job = jobq_try_pop(p->waiting)) != NULL) {
        job->cancelled = true;
        pool_send(job);
    }
}

/* No worker has one, so every job is a letter on its way.  A done() may submit again: that job is done
 * as cancelled. */
static void pool_deliver_all(struct pool *p)
{
    struct job *job;
    while ((job = TAILQ_FIRST(&p->outstanding)) != NULL) {
        CHECK(loop_take_back(&job->letter));
        pool_finish(job);
    }
}

/* ---- life ---- */

struct pool *pool_new(struct loop *loop, const char *name, int threads, struct err *err)
{
    struct pool *p = mem_zalloc(1, sizeof(*p));
    p->loop = loop;
    p->waiting = jobq_new();
    p->workers = mem_zalloc((size_t)threads, sizeof(p->workers[0]));
    p->leases = mem_zalloc((size_t)threads, sizeof(p->leases[0]));
    TAILQ_INIT(&p->outstanding);
    for (; p->started < threads; p->started++) {
        struct worker *w = mem_zalloc(1, sizeof(*w));
        w->pool = p;
        p->leases[p->started] = lease_start(name, pool_work, w, pool_come_late, err);
        if (p->leases[p->started] == NULL) {
            free(w);
            break; /* fewer workers than asked for still do the work */
        }
        p->workers[p->started] = w;
    }
    if (p->started > 0)
        return p;
    pool_free(p);
    return NULL;
}

int pool_started(const struct pool *p)
{
    return p->started;
}

/* true: the worker has ended; false: it is abandoned. */
static bool pool_end_worker(struct pool *p, int i, int64_t until_mono_ms)
{
    bool ended = lease_end(p->leases[i], until_mono_ms, pool_salvage);
    if (ended)
        free(p->workers[i]);
    p->workers[i] = NULL;
    p->leases[i] = NULL;
    return ended;
}

size_t pool_end(struct pool *p, int64_t until_mono_ms)
{
    loop_assert_here(p->loop);
    if (p->ended)
        return p->left_behind;
    p->ended = true;
    jobq_close(p->waiting);
    pool_cancel_waiting(p);
    for (int i = 0; i < p->started; i++)
        p->left_behind += !pool_end_worker(p, i, until_mono_ms);
    pool_deliver_all(p);
    return p->left_behind;
}

void pool_free(struct pool *p)
{
    if (p == NULL)
        return;
    (void)pool_end(p, INT64_MAX);
    pool_deliver_all(p); /* what was submitted after the end */
    jobq_free(p->waiting);
    free(p->workers);
    free(p->leases);
    free(p);
}
