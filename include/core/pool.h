/* core/pool.h - a named lane of worker threads: `run` on a worker, then `done` on the loop, always,
 * once.
 *
 * Why:     blocking calls must not stop the loop, nor one kind of call another: one lane per kind.
 * Use:     struct my_job {
 *              struct job job;
 *              ...copies of the inputs, room for the result...
 *          };
 *          static const struct job_calls calls = {.run = run, .done = done};
 *          pool_submit(pool, &my->job, &calls);
 * Threads: new, submit, cancel, end, free on the loop; run and late on a worker; done and left on the
 *          loop.
 * Owns:    a submitted job is the pool's until its done() is called; then it is the submitter's again.
 *          An abandoned job is its worker's until late(), which frees it.
 * Promise: done is called exactly once per submitted job, cancelled or not, in no particular order,
 *          except for a job whose run has not returned when pool_end() gives up (core/lease.h):
 *          left is called for it at that time, and late if run ever returns.
 * Never:   run touches anything of the loop's; done does not block.
 */
#ifndef SPINE_CORE_POOL_H
#define SPINE_CORE_POOL_H

#include "core/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct pool;
struct job;

struct job_calls {
    void (*run)(struct job *job);
    void (*done)(struct job *job, bool cancelled);
    /* NULL allowed.  left: the submitter takes out of its lists what run still uses; late: frees it. */
    void (*left)(struct job *job);
    void (*late)(struct job *job);
};

/* The members are private. */
struct job {
    TAILQ_ENTRY(job) next;
    struct loop_letter letter;
    struct pool *pool;
    const struct job_calls *calls;
    bool cancelled;
};

/* On a loop of either kind.  threads: as many as the system has, at least 1 (pool_started()); fewer than
 * asked for: err says why. */
NODISCARD struct pool *pool_new(struct loop *loop, const char *name, int threads, struct err *err);
int pool_started(const struct pool *p);
void pool_submit(struct pool *p, struct job *job, const struct job_calls *calls);
/* Jobs not yet begun are done as cancelled, on the loop, soon; running ones end by themselves. */
void pool_cancel_waiting(struct pool *p);
/* Jobs not yet begun are cancelled; running ones are waited for until a monotonic time; every done() that
 * is outstanding is called.  Returns how many workers are abandoned.  Idempotent. */
size_t pool_end(struct pool *p, int64_t until_mono_ms);
void pool_free(struct pool *p); /* ends first, as long as that takes; NULL allowed */

#endif
