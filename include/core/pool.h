/* core/pool.h - a named lane of worker threads: `run` on a worker, then `done` on the loop, always,
 * once.
 *
 * Why:     blocking calls must not stop the loop, nor one kind of call another: one lane per kind.
 * Use:     struct my_job {
 *              struct job job;
 *              ...copies of the inputs, room for the result...
 *          };
 *          pool_submit(pool, &my->job, run, done);
 * Threads: new, submit, cancel, stop, free on the loop; run on a worker; done on the loop.
 * Owns:    a submitted job is the pool's until its done() is called; then it is the submitter's
 *          again.
 * Promise: done is called exactly once per submitted job, cancelled or not, in no particular
 *          order.
 * Never:   run touches anything of the loop's; done does not block.
 */
#ifndef SPINE_CORE_POOL_H
#define SPINE_CORE_POOL_H

#include "core/loop.h"

#include <stdbool.h>
#include <sys/queue.h>

struct pool;
struct job;

typedef void job_run_fn(struct job *job);
typedef void job_done_fn(struct job *job, bool cancelled);

/* The members are private. */
struct job {
    TAILQ_ENTRY(job) next;
    struct loop_letter letter;
    struct pool *pool;
    job_run_fn *run;
    job_done_fn *done;
    bool cancelled;
};

struct pool_options {
    const char *name;
    int threads;
    void (*thread_begin)(void); /* first and last call on each worker; may be NULL */
    void (*thread_end)(void);
};

/* On a loop of either kind. */
NODISCARD struct pool *pool_new(struct loop *loop, const struct pool_options *options,
                                struct err *err);
/* Threads that could be started; at least 1, less than asked for if the system has no more (err
 * then says why). */
int pool_started(const struct pool *p);
void pool_submit(struct pool *p, struct job *job, job_run_fn *run, job_done_fn *done);
/* Jobs not yet begun are done as cancelled, on the loop, soon; running ones end by themselves. */
void pool_cancel_waiting(struct pool *p);
/* Wait for the running jobs, join the threads, deliver every outstanding done().  Idempotent. */
void pool_stop(struct pool *p);
void pool_free(struct pool *p); /* stops first; NULL allowed */

#endif
