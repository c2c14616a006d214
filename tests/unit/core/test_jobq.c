#include "config.h"

#include "core/jobq.h"

#include "base/mem.h"
#include "base/thr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PRODUCERS = 4, CONSUMERS = 4, EACH = 20000 };

static int numbers[PRODUCERS * EACH];

static pthread_t start(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    struct err err = ERR_INIT;
    CHECK(thr_start(&t, "test", fn, arg, &err));
    return t;
}

static void comes_out_in_order(void **state)
{
    (void)state;
    struct jobq *q = jobq_new();
    assert_null(jobq_try_pop(q));
    for (int i = 0; i < 1000; i++)
        assert_true(jobq_push(q, &numbers[i]));
    for (int i = 0; i < 1000; i++)
        assert_ptr_equal(jobq_pop(q), &numbers[i]);
    assert_null(jobq_try_pop(q));
    jobq_free(q);
    jobq_free(NULL);
}

/* The ring grows while its content is wrapped around the end. */
static void grows_without_losing_the_order(void **state)
{
    (void)state;
    struct jobq *q = jobq_new();
    int in = 0, out = 0;
    for (int round = 1; round < 200; round++) {
        for (int i = 0; i < round; i++)
            assert_true(jobq_push(q, &numbers[in++]));
        for (int i = 0; i < round / 2; i++)
            assert_ptr_equal(jobq_try_pop(q), &numbers[out++]);
    }
    while (out < in)
        assert_ptr_equal(jobq_pop(q), &numbers[out++]);
    jobq_free(q);
}

static void a_closed_queue_gives_what_it_has(void **state)
{
    (void)state;
    struct jobq *q = jobq_new();
    assert_true(jobq_push(q, &numbers[0]));
    jobq_close(q);
    jobq_close(q);
    assert_false(jobq_push(q, &numbers[1]));
    assert_ptr_equal(jobq_pop(q), &numbers[0]);
    assert_null(jobq_pop(q));
    assert_null(jobq_try_pop(q));
    jobq_free(q);
}

static void *pop_one(void *q)
{
    return jobq_pop(q);
}

static void closing_wakes_all_who_wait_for_an_item(void **state)
{
    (void)state;
    struct jobq *q = jobq_new();
    pthread_t t[8];
    for (int i = 0; i < 8; i++)
        t[i] = start(pop_one, q);
    jobq_close(q);
    for (int i = 0; i < 8; i++) {
        void *item = q;
        assert_int_equal(pthread_join(t[i], &item), 0);
        assert_null(item);
    }
    jobq_free(q);
}

static void an_item_wakes_one_waiting_thread(void **state)
{
    (void)state;
    struct jobq *q = jobq_new();
    pthread_t t[8];
    int seen = 0;
    for (int i = 0; i < 8; i++)
        t[i] = start(pop_one, q);
    for (int i = 0; i < 8; i++)
        assert_true(jobq_push(q, &numbers[i]));
    for (int i = 0; i < 8; i++) {
        void *item = NULL;
        assert_int_equal(pthread_join(t[i], &item), 0);
        seen |= 1 << ((int *)item - numbers);
    }
    assert_int_equal(seen, 0xff);
    jobq_free(q);
}

/* ---- many at once ---- */

struct mill {
    struct jobq *q;
    struct thr_mutex lock;
    bool taken[PRODUCERS * EACH];
    bool out_of_order;
    int refused;
};

struct producer {
    struct mill *mill;
    int *first;
};

static void *produce(void *arg)
{
    struct producer *p = arg;
    int refused = 0;
    for (int i = 0; i < EACH; i++)
        refused += !jobq_push(p->mill->q, p->first + i);
    thr_lock(&p->mill->lock);
    p->mill->refused += refused;
    thr_unlock(&p->mill->lock);
    return NULL;
}

/* What one consumer sees of one producer is in order. */
static void *consume(void *arg)
{
    struct mill *m = arg;
    int last[PRODUCERS] = {-1, -1, -1, -1};
    void *item;
    while ((item = jobq_pop(m->q)) != NULL) {
        int n = (int)((int *)item - numbers);
        thr_lock(&m->lock);
        m->out_of_order |= n <= last[n / EACH] || m->taken[n];
        m->taken[n] = true;
        thr_unlock(&m->lock);
        last[n / EACH] = n;
    }
    return NULL;
}

static void many_threads_lose_nothing(void **state)
{
    (void)state;
    struct mill *m = mem_zalloc(1, sizeof(*m));
    struct producer producers[PRODUCERS];
    pthread_t p[PRODUCERS], c[CONSUMERS];
    m->q = jobq_new();
    thr_mutex_init(&m->lock);
    for (int i = 0; i < CONSUMERS; i++)
        c[i] = start(consume, m);
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){m, numbers + i * EACH};
        p[i] = start(produce, &producers[i]);
    }
    for (int i = 0; i < PRODUCERS; i++)
        thr_join(p[i]);
    jobq_close(m->q);
    for (int i = 0; i < CONSUMERS; i++)
        thr_join(c[i]);
    assert_false(m->out_of_order);
    assert_int_equal(m->refused, 0);
    for (int i = 0; i < PRODUCERS * EACH; i++)
        assert_true(m->taken[i]);
    jobq_free(m->q);
    thr_mutex_done(&m->lock);
    free(m);
}

static void close_on_producers(void)
{
    struct mill *m = mem_zalloc(1, sizeof(*m));
    struct producer producers[PRODUCERS];
    pthread_t p[PRODUCERS];
    m->q = jobq_new();
    thr_mutex_init(&m->lock);
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){m, numbers + i * EACH};
        p[i] = start(produce, &producers[i]);
    }
    for (int i = 0; i < 200; i++)
        assert_non_null(jobq_pop(m->q));
    jobq_close(m->q);
    for (int i = 0; i < PRODUCERS; i++)
        thr_join(p[i]);
    int left = 0;
    while (jobq_pop(m->q) != NULL)
        left++;
    assert_int_equal(m->refused, PRODUCERS * EACH - 200 - left);
    jobq_free(m->q);
    thr_mutex_done(&m->lock);
    free(m);
}

/* At which of their items the queue closes is a matter of luck, so this is repeated. */
static void what_comes_after_the_close_is_refused_and_what_came_before_comes_out(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++)
        close_on_producers();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_out_in_order),
        cmocka_unit_test(grows_without_losing_the_order),
        cmocka_unit_test(a_closed_queue_gives_what_it_has),
        cmocka_unit_test(closing_wakes_all_who_wait_for_an_item),
        cmocka_unit_test(an_item_wakes_one_waiting_thread),
        cmocka_unit_test(many_threads_lose_nothing),
        cmocka_unit_test(what_comes_after_the_close_is_refused_and_what_came_before_comes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
