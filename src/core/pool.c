#include "config.h"

#include "core/pool.h"

#include "base/mem.h"
#include "base/thr.h"
#include "core/jobq.h"

#include <stdlib.h>

TAILQ_HEAD(job_list, job);

struct pool {
    struct loop *loop;
    struct pool_options options;
    struct jobq *waiting;
    pthread_t *threads;
    int started;
    bool stopped;
    struct job_list outstanding; /* submitted and not done; the loop's */
};

static void pool_finish(struct job *job)
{
    TAILQ_REMOVE(&job->pool->outstanding, job, next);
    job->done(job, job->cancelled);
}

static void on_letter(void *arg)
{
    pool_finish(arg);
}

static void pool_send(struct job *job)
{
    loop_post(job->pool->loop, &job->letter, on_letter, job);
}

static void *pool_work(void *arg)
{
    struct pool *p = arg;
    struct job *job;
    if (p->options.thread_begin != NULL)
        p->options.thread_begin();
    while ((job = jobq_pop(p->waiting)) != NULL) {
        job->run(job);
        pool_send(job);
    }
    if (p->options.thread_end != NULL)
        p->options.thread_end();
    return NULL;
}

struct pool *pool_new(struct loop *loop, const struct pool_options *options, struct err *err)
{
    struct pool *p = mem_zalloc(1, sizeof(*p));
    p->loop = loop;
    p->options = *options;
    p->waiting = jobq_new();
    p->threads = mem_zalloc((size_t)options->threads, sizeof(p->threads[0]));
    TAILQ_INIT(&p->outstanding);
    for (; p->started < options->threads; p->started++)
        if (!thr_start(&p->threads[p->started], options->name, pool_work, p, err))
            break; /* fewer workers than asked for still do the work */
    if (p->started > 0)
        return p;
    pool_free(p);
    return NULL;
}

int pool_started(const struct pool *p)
{
    return p->started;
}

void pool_submit(struct pool *p, struct job *job, job_run_fn *run, job_done_fn *done)
{
    loop_assert_here(p->loop);
    *job = (struct job){.pool = p, .run = run, .done = done};
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

/* No worker is left, so every job is a letter on its way.  A done() may submit again: that job is
 * done as cancelled. */
static void deliver_all(struct pool *p)
{
    struct job *job;
    while ((job = TAILQ_FIRST(&p->outstanding)) != NULL) {
        CHECK(loop_take_back(&job->letter));
        pool_finish(job);
    }
}

void pool_stop(struct pool *p)
{
    loop_assert_here(p->loop);
    if (p->stopped)
        return;
    p->stopped = true;
    jobq_close(p->waiting);
    pool_cancel_waiting(p);
    for (int i = 0; i < p->started; i++)
        thr_join(p->threads[i]);
    deliver_all(p);
}

void pool_free(struct pool *p)
{
    if (p == NULL)
        return;
    pool_stop(p);
    deliver_all(p); /* what was submitted after the stop */
    jobq_free(p->waiting);
    free(p->threads);
    free(p);
}
