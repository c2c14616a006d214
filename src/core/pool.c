#include "config.h"

#include "core/pool.h"

#include "base/mem.h"
#include "base/thr.h"
#include "core/jobq.h"
#include "core/wake.h"

#include <stdlib.h>

STAILQ_HEAD(job_list, job);

struct pool {
    struct loop *loop;
    struct pool_options options;
    struct jobq *waiting;
    pthread_t *threads;
    int started;
    bool stopped;
    struct wake *doorbell;
    pthread_mutex_t lock;
    struct job_list finished; /* under lock */
};

static void finish(struct pool *p, struct job *job)
{
    thr_lock(&p->lock);
    bool first = STAILQ_EMPTY(&p->finished);
    STAILQ_INSERT_TAIL(&p->finished, job, next);
    thr_unlock(&p->lock);
    if (first)
        wake_ring(p->doorbell);
}

static void *work(void *arg)
{
    struct pool *p = arg;
    struct job *job;
    if (p->options.thread_begin != NULL)
        p->options.thread_begin();
    while ((job = jobq_pop(p->waiting)) != NULL) {
        job->run(job);
        finish(p, job);
    }
    if (p->options.thread_end != NULL)
        p->options.thread_end();
    return NULL;
}

static void deliver(void *arg)
{
    struct pool *p = arg;
    struct job_list list = STAILQ_HEAD_INITIALIZER(list);
    thr_lock(&p->lock);
    STAILQ_CONCAT(&list, &p->finished);
    thr_unlock(&p->lock);
    while (!STAILQ_EMPTY(&list)) {
        struct job *job = STAILQ_FIRST(&list);
        STAILQ_REMOVE_HEAD(&list, next);
        job->done(job, job->cancelled);
    }
}

struct pool *pool_new(struct loop *loop, const struct pool_options *options, struct err *err)
{
    struct pool *p = mem_zalloc(1, sizeof(*p));
    p->loop = loop;
    p->options = *options;
    p->waiting = jobq_new();
    p->threads = mem_zalloc((size_t)options->threads, sizeof(p->threads[0]));
    thr_mutex_init(&p->lock);
    STAILQ_INIT(&p->finished);
    p->doorbell = wake_new(loop, deliver, p, err);
    if (p->doorbell == NULL)
        goto fail;
    for (; p->started < options->threads; p->started++) {
        if (thr_start(&p->threads[p->started], options->name, work, p, err))
            continue;
        if (p->started == 0)
            goto fail;
        break; /* fewer workers than asked for still do the work */
    }
    return p;
fail:
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
    job->run = run;
    job->done = done;
    job->cancelled = false;
    if (!jobq_push(p->waiting, job)) {
        job->cancelled = true;
        finish(p, job);
    }
}

void pool_cancel_waiting(struct pool *p)
{
    struct job *job;
    loop_assert_here(p->loop);
    while ((job = jobq_try_pop(p->waiting)) != NULL) {
        job->cancelled = true;
        finish(p, job);
    }
}

static bool has_finished(struct pool *p)
{
    thr_lock(&p->lock);
    bool any = !STAILQ_EMPTY(&p->finished);
    thr_unlock(&p->lock);
    return any;
}

/* A done() may submit again: that job is done as cancelled. */
static void deliver_all(struct pool *p)
{
    while (has_finished(p))
        deliver(p);
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
    wake_free(p->doorbell);
    pthread_mutex_destroy(&p->lock);
    jobq_free(p->waiting);
    free(p->threads);
    free(p);
}
