#include "config.h"

#include "core/pool.h"

#include "../../support/await.h"
#include "../../support/everyloop.h"
#include "../../support/within.h"

#include "base/clock.h"
#include "base/thr.h"

/* ---- jobs that count what happens to them ---- */

struct bench;

struct work {
    struct job job; /* first */
    struct bench *bench;
    int runs, done, cancelled, left;
    int again; /* submit itself from done() as often */
};

struct bench {
    struct loop *loop;
    struct loop_timer stopper; /* turns a hang into a failure */
    struct pool *pool;
    pthread_t home;
    size_t wanted, done;
    struct work *work;
    size_t count;

    struct thr_mutex lock; /* a gate that run() waits at */
    pthread_cond_t changed;
    bool open;
    int waiting, late;
};

static void on_too_late(void *arg)
{
    (void)arg;
    fail_msg("the jobs were not done in time");
}

static struct bench *begin(void **state, int threads, size_t count)
{
    struct bench *b = mem_zalloc(1, sizeof(*b));
    struct err err = ERR_INIT;
    b->home = pthread_self();
    b->loop = loop_new(everyloop_kind_of(state), &err);
    assert_non_null(b->loop);
    b->pool = pool_new(b->loop, "test", threads, &err);
    assert_non_null(b->pool);
    loop_timer_init(&b->stopper, b->loop, on_too_late, b);
    loop_timer_set(&b->stopper, AWAIT_FAR_MS);
    b->count = count;
    b->work = mem_zalloc(count, sizeof(b->work[0]));
    for (size_t i = 0; i < count; i++)
        b->work[i].bench = b;
    thr_mutex_init(&b->lock);
    thr_cond_init(&b->changed);
    return b;
}

static void end(struct bench *b)
{
    pool_free(b->pool);
    loop_timer_cancel(&b->stopper);
    loop_free(b->loop);
    pthread_cond_destroy(&b->changed);
    thr_mutex_done(&b->lock);
    free(b->work);
    free(b);
}

static void run(struct job *job)
{
    struct work *w = (struct work *)job;
    CHECK(!pthread_equal(pthread_self(), w->bench->home));
    w->runs++;
}

static void run_at_gate(struct job *job)
{
    struct bench *b = ((struct work *)job)->bench;
    int64_t until = await_far();
    thr_lock(&b->lock);
    b->waiting++;
    pthread_cond_broadcast(&b->changed);
    while (!b->open)
        await_change(&b->changed, &b->lock, until, "the test opens the gate");
    thr_unlock(&b->lock);
    run(job);
}

static void wait_at_gate(struct bench *b, int n)
{
    int64_t until = await_far();
    thr_lock(&b->lock);
    while (b->waiting < n)
        await_change(&b->changed, &b->lock, until, "jobs at the gate");
    thr_unlock(&b->lock);
}

static void open_gate(struct bench *b)
{
    thr_lock(&b->lock);
    b->open = true;
    pthread_cond_broadcast(&b->changed);
    thr_unlock(&b->lock);
}

static void done(struct job *job, bool cancelled);

static const struct job_calls plain = {.run = run, .done = done};
static const struct job_calls gated = {.run = run_at_gate, .done = done};

static void done(struct job *job, bool cancelled)
{
    struct work *w = (struct work *)job;
    struct bench *b = w->bench;
    assert_true(pthread_equal(pthread_self(), b->home));
    w->done++;
    w->cancelled += cancelled;
    b->done++;
    if (w->again-- > 0)
        pool_submit(b->pool, job, &plain);
    if (b->done == b->wanted)
        loop_stop(b->loop);
}

static void submit_all(struct bench *b, const struct job_calls *calls)
{
    for (size_t i = 0; i < b->count; i++)
        pool_submit(b->pool, &b->work[i].job, calls);
}

static void run_until(struct bench *b, size_t wanted)
{
    b->wanted = wanted;
    loop_run(b->loop);
    assert_int_equal(b->done, wanted);
}

/* Every job was done once, and run once or else cancelled; returns how many were cancelled. */
static size_t check_all(const struct bench *b)
{
    size_t cancelled = 0;
    for (size_t i = 0; i < b->count; i++) {
        const struct work *w = &b->work[i];
        assert_int_equal(w->done, 1);
        assert_int_equal(w->runs + w->cancelled, 1);
        cancelled += (size_t)w->cancelled;
    }
    return cancelled;
}

/* ---- tests ---- */

static void a_job_is_run_and_then_done(void **state)
{
    struct bench *b = begin(state, 1, 1);
    submit_all(b, &plain);
    run_until(b, 1);
    assert_int_equal(check_all(b), 0);
    end(b);
    pool_free(NULL);
}

static void four_hundred_thousand_jobs_are_done_once_each(void **state)
{
    struct bench *b = begin(state, 8, 400000);
    submit_all(b, &plain);
    run_until(b, b->count);
    assert_int_equal(check_all(b), 0);
    assert_int_equal(pool_started(b->pool), 8);
    end(b);
}

/* Few jobs at a time: the loop's bell rings and falls silent over and over. */
static void jobs_may_submit_jobs_when_done(void **state)
{
    struct bench *b = begin(state, 8, 16);
    for (size_t i = 0; i < b->count; i++)
        b->work[i].again = 2000;
    submit_all(b, &plain);
    run_until(b, 16 * 2001);
    for (size_t i = 0; i < b->count; i++) {
        assert_int_equal(b->work[i].done, 2001);
        assert_int_equal(b->work[i].runs, 2001);
    }
    end(b);
}

static void waiting_jobs_can_be_cancelled_running_ones_end(void **state)
{
    struct bench *b = begin(state, 3, 20);
    submit_all(b, &gated);
    wait_at_gate(b, 3);
    pool_cancel_waiting(b->pool);
    pool_cancel_waiting(b->pool); /* nothing is left to cancel */
    assert_int_equal(b->done, 0); /* soon, not at once */
    run_until(b, 17);
    open_gate(b);
    run_until(b, 20);
    assert_int_equal(check_all(b), 17);
    end(b);
}

static void on_open(void *arg)
{
    struct bench *b = arg;
    open_gate(b);
    assert_int_equal(pool_end(b->pool, await_far()), 0);
    loop_stop(b->loop);
}

static void stop_does_what_runs_and_cancels_what_waits(void **state)
{
    struct bench *b = begin(state, 3, 20);
    submit_all(b, &gated);
    wait_at_gate(b, 3);
    struct loop_timer t;
    loop_timer_init(&t, b->loop, on_open, b);
    loop_timer_set(&t, 0);
    loop_run(b->loop);
    assert_int_equal(b->done, 20);
    size_t cancelled = check_all(b);
    assert_within(cancelled, 0, 17); /* workers may have taken some between gate and stop */
    assert_int_equal(pool_end(b->pool, await_far()), 0);
    end(b);
}

static void done_may_submit_while_the_pool_stops(void **state)
{
    struct bench *b = begin(state, 2, 10);
    for (size_t i = 0; i < b->count; i++)
        b->work[i].again = 5;
    submit_all(b, &plain);
    assert_int_equal(pool_end(b->pool, await_far()), 0);
    for (size_t i = 0; i < b->count; i++) {
        assert_int_equal(b->work[i].done, 6);
        assert_int_equal(b->work[i].runs + b->work[i].cancelled, 6);
    }
    end(b);
}

static void a_job_submitted_after_stop_is_done_as_cancelled(void **state)
{
    struct bench *b = begin(state, 2, 3);
    assert_int_equal(pool_end(b->pool, await_far()), 0);
    submit_all(b, &plain);
    run_until(b, 3);
    assert_int_equal(check_all(b), 3);
    end(b);
}

/* The loop no longer runs, so pool_free() is the last chance. */
static void a_job_submitted_after_stop_is_done_by_free_at_the_latest(void **state)
{
    struct bench *b = begin(state, 2, 3);
    assert_int_equal(pool_end(b->pool, await_far()), 0);
    submit_all(b, &plain);
    pool_free(b->pool);
    b->pool = NULL;
    assert_int_equal(b->done, 3);
    end(b);
}

static void a_pool_without_jobs_ends_too(void **state)
{
    struct bench *b = begin(state, 60, 0);
    assert_int_equal(pool_end(b->pool, await_far()), 0);
    end(b);
}

/* ---- workers that hang ---- */

static void on_left(struct job *job)
{
    struct work *w = (struct work *)job;
    assert_true(pthread_equal(pthread_self(), w->bench->home));
    w->left++;
}

static void on_late(struct job *job)
{
    struct bench *b = ((struct work *)job)->bench;
    thr_lock(&b->lock);
    b->late++;
    pthread_cond_broadcast(&b->changed);
    thr_unlock(&b->lock);
}

static const struct job_calls hanging = {
    .run = run_at_gate, .done = done, .left = on_left, .late = on_late};

static void what_hangs_is_abandoned_and_the_rest_is_done(void **state)
{
    struct bench *b = begin(state, 3, 5);
    submit_all(b, &hanging);
    wait_at_gate(b, 3);
    assert_int_equal(pool_end(b->pool, clock_mono_ms()), 3);
    assert_int_equal(b->done, 2); /* those that had not begun */
    for (size_t i = 0; i < b->count; i++)
        assert_int_equal(b->work[i].left + b->work[i].cancelled, 1);
    pool_free(b->pool);
    b->pool = NULL;
    open_gate(b);
    int64_t until = await_far();
    thr_lock(&b->lock);
    while (b->late < 3)
        await_change(&b->changed, &b->lock, until, "what was abandoned returns");
    thr_unlock(&b->lock);
    assert_int_equal(b->done, 2);
    end(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_run_and_then_done),
        cmocka_unit_test(four_hundred_thousand_jobs_are_done_once_each),
        cmocka_unit_test(jobs_may_submit_jobs_when_done),
        cmocka_unit_test(waiting_jobs_can_be_cancelled_running_ones_end),
        cmocka_unit_test(stop_does_what_runs_and_cancels_what_waits),
        cmocka_unit_test(done_may_submit_while_the_pool_stops),
        cmocka_unit_test(a_job_submitted_after_stop_is_done_as_cancelled),
        cmocka_unit_test(a_job_submitted_after_stop_is_done_by_free_at_the_latest),
        cmocka_unit_test(a_pool_without_jobs_ends_too),
        cmocka_unit_test(what_hangs_is_abandoned_and_the_rest_is_done),
    };
    return everyloop_run_tests(tests, ARRAY_LEN(tests));
}
