#include "config.h"

#include "drivers/exchange_waiter.h"

#include "../../support/everyloop.h"
#include "../../support/localhost.h"

#include "base/clock.h"
#include "base/thr.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FAR_MS = 60000, FEEDS_MAX = 16 };

/* ---- the exchange: it wants one thing after the other, and keeps what it was fed ---- */

struct fake {
    struct exchange base; /* first */
    struct want wants[4]; /* what follows the first one; zeroed: nothing */
    size_t next;
    enum exchange_event_kind fed[FEEDS_MAX];
    size_t count;
    struct address address;
    enum err_kind failure;
    int64_t now_us;
    char byte; /* what was read at EXCHANGE_READY */
};

static void fake_take(struct exchange *x, const struct exchange_event *event)
{
    struct fake *f = (struct fake *)x;
    assert_true(f->count < FEEDS_MAX);
    f->fed[f->count++] = event->kind;
    f->now_us = event->now_us;
    if (event->address != NULL)
        f->address = *event->address;
    if (event->err != NULL)
        f->failure = event->err->kind;
    if (event->kind == EXCHANGE_READY && f->base.want.kind == WANT_IO)
        assert_int_equal(recv(f->base.want.fd, &f->byte, 1, MSG_DONTWAIT), 1);
    if (event->kind == EXCHANGE_GIVE_UP && f->base.want.kind == WANT_JOB)
        return; /* it is noted, and the job awaited */
    f->base.want = f->wants[f->next++];
}

/* ---- the bench ---- */

struct bench {
    struct loop *loop;
    struct resolver *resolver;
    struct exchange_waiter_on on;
    struct exchange_waiter waiter;
    struct loop_timer too_late;
    struct fake fake;
    int pair[2];
    int over;
    bool inside; /* a call of the waiter */
};

static void bench_over(void *arg)
{
    struct bench *b = arg;
    assert_false(b->inside);
    b->over++;
    loop_stop(b->loop);
}

static void bench_too_late(void *arg UNUSED)
{
    fail_msg("too late");
}

static void bench_init(struct bench *b, void **state)
{
    struct err err = ERR_INIT;
    *b = (struct bench){.fake.base.take = fake_take};
    b->loop = loop_new(everyloop_kind_of(state), &err);
    b->resolver = resolver_new();
    b->on = (struct exchange_waiter_on){b->loop, b->resolver, pool_new(b->loop, "jobs", 1, &err)};
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, b->pair), 0);
    exchange_waiter_init(&b->waiter, &b->on, bench_over, b);
    loop_timer_init(&b->too_late, b->loop, bench_too_late, NULL);
    loop_timer_set(&b->too_late, FAR_MS);
}

static void bench_done(struct bench *b)
{
    exchange_waiter_done(&b->waiter);
    loop_timer_cancel(&b->too_late);
    pool_free(b->on.jobs);
    resolver_free(b->resolver);
    loop_free(b->loop);
    close(b->pair[0]);
    close(b->pair[1]);
}

static struct want bench_io(const struct bench *b, int64_t until_us)
{
    return (struct want){.kind = WANT_IO, .until_us = until_us, .fd = b->pair[0], .events = POLLIN};
}

static void bench_start(struct bench *b, struct want want)
{
    b->fake.base.want = want;
    b->fake.count = b->fake.next = 0;
    b->inside = true;
    exchange_waiter_start(&b->waiter, &b->fake.base);
    b->inside = false;
}

static void bench_run(struct bench *b)
{
    int before = b->over;
    loop_run(b->loop);
    assert_int_equal(b->over, before + 1);
}

static void bench_send(const struct bench *b, char byte)
{
    assert_int_equal(send(b->pair[1], &byte, 1, 0), 1);
}

static void bench_was_fed(const struct bench *b, size_t count,
                          const enum exchange_event_kind *kinds)
{
    assert_int_equal(b->fake.count, count);
    assert_memory_equal(b->fake.fed, kinds, count * sizeof(kinds[0]));
}

#define WAS_FED(b, ...)                                                                            \
    bench_was_fed((b), sizeof((enum exchange_event_kind[]){__VA_ARGS__}) / sizeof(b)->fake.fed[0], \
                  (enum exchange_event_kind[]){__VA_ARGS__})

/* ---- descriptors and time ---- */

static void what_arrives_is_read_and_the_end_is_told_once(void **state)
{
    struct bench b;
    bench_init(&b, state);
    b.fake.wants[0] = bench_io(&b, INT64_MAX);
    bench_start(&b, bench_io(&b, INT64_MAX));
    bench_send(&b, 'x');
    bench_send(&b, 'y');
    bench_run(&b);
    WAS_FED(&b, EXCHANGE_READY, EXCHANGE_READY);
    assert_int_equal(b.fake.byte, 'y');
    bench_done(&b);
}

static void what_is_over_at_the_start_is_told_by_the_loop(void **state)
{
    struct bench b;
    bench_init(&b, state);
    bench_start(&b, (struct want){.kind = WANT_NOTHING});
    assert_int_equal(b.over, 0);
    bench_run(&b);
    assert_int_equal(b.fake.count, 0);
    bench_done(&b);
}

static void a_time_does_not_come_early(void **state)
{
    struct bench b;
    bench_init(&b, state);
    int64_t until_us = clock_mono_us() + 3000;
    bench_start(&b, (struct want){.kind = WANT_TIME, .until_us = until_us});
    bench_run(&b);
    WAS_FED(&b, EXCHANGE_TIME);
    assert_true(b.fake.now_us >= until_us);
    bench_done(&b);
}

/* The loop was late: the answer came in time. */
static void what_has_arrived_is_read_before_the_time_is_judged(void **state)
{
    struct bench b;
    bench_init(&b, state);
    bench_send(&b, 'x');
    bench_start(&b, bench_io(&b, clock_mono_us() - 1));
    bench_run(&b);
    WAS_FED(&b, EXCHANGE_READY);
    bench_done(&b);
}

static void a_time_ends_the_wait_for_what_does_not_arrive(void **state)
{
    struct bench b;
    bench_init(&b, state);
    bench_start(&b, bench_io(&b, clock_mono_us() - 1));
    bench_run(&b);
    WAS_FED(&b, EXCHANGE_TIME);
    bench_done(&b);
}

static void look(void *arg)
{
    struct bench *b = arg;
    loop_stop(b->loop);
}

/* Between two requests nothing reads; what has come then is there for the next one. */
static void what_arrives_between_two_requests_makes_no_noise(void **state)
{
    struct bench b;
    bench_init(&b, state);
    bench_send(&b, 'x');
    bench_start(&b, bench_io(&b, INT64_MAX));
    bench_run(&b);
    bench_send(&b, 'y');
    struct loop_letter letter = {0};
    for (int i = 0; i < 3; i++) {
        loop_post(b.loop, &letter, look, &b);
        loop_run(b.loop);
    }
    assert_int_equal(b.fake.count, 1);
    bench_start(&b, bench_io(&b, INT64_MAX));
    bench_run(&b);
    WAS_FED(&b, EXCHANGE_READY);
    assert_int_equal(b.fake.byte, 'y');
    bench_done(&b);
}

/* A session that is opened again mostly gets the number of the descriptor before. */
static void a_new_descriptor_of_the_same_number_is_watched(void **state)
{
    struct bench b;
    bench_init(&b, state);
    b.fake.wants[0] = bench_io(&b, INT64_MAX);
    bench_start(&b, bench_io(&b, INT64_MAX));
    const struct wire *wire = exchange_waiter_wire(&b.waiter);
    int before = b.pair[0], pair[2];
    wire->close(wire->arg, before);
    close(b.pair[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    b.pair[1] = pair[1];
    if (pair[0] != before) {
        assert_int_equal(dup2(pair[0], before), before);
        close(pair[0]);
    }
    exchange_waiter_nudge(&b.waiter); /* as an event in which the exchange did that */
    bench_send(&b, 'x');
    bench_send(&b, 'y');
    bench_run(&b);
    WAS_FED(&b, EXCHANGE_READY, EXCHANGE_READY);
    bench_done(&b);
}

/* ---- names ---- */

static struct want name(const char *text)
{
    return (struct want){.kind = WANT_ADDRESS,
                         .until_us = clock_mono_us() + FAR_MS * 1000,
                         .name = text,
                         .family = RESOLVE_ANY};
}

static void an_address_is_its_own_name(void **state)
{
    struct bench b;
    bench_init(&b, state);
    b.fake.wants[0] = name("2001:db8::7");
    bench_start(&b, name("192.0.2.7"));
    bench_run(&b);
    WAS_FED(&b, EXCHANGE_ADDRESS_FOUND, EXCHANGE_ADDRESS_FOUND);
    assert_int_equal(b.fake.address.sa.any.sa_family, AF_INET6);
    bench_done(&b);
}

static void a_name_is_looked_up_by_others_and_its_failure_is_told(void **state)
{
    struct bench b;
    if (!localhost_is_known())
        return;
    bench_init(&b, state);
    b.fake.wants[0] = name("");
    bench_start(&b, name("localhost"));
    bench_run(&b);
    WAS_FED(&b, EXCHANGE_ADDRESS_FOUND, EXCHANGE_ADDRESS_FAILED);
    assert_int_equal(b.fake.failure, ERR_CONFIG);
    bench_done(&b);
}

static void a_name_that_was_given_up_is_not_reported(void **state)
{
    struct bench b;
    bench_init(&b, state);
    bench_start(&b, name("localhost"));
    assert_true(exchange_waiter_give_up(&b.waiter));
    bench_start(&b, (struct want){.kind = WANT_TIME, .until_us = clock_mono_us() + 2000});
    bench_run(&b);
    WAS_FED(&b, EXCHANGE_TIME);
    bench_done(&b);
}

/* ---- jobs and other threads ---- */

struct work {
    struct thr_mutex lock;
    pthread_cond_t changed;
    bool begun, may_end;
    pthread_t thread;
};

static void do_work(void *arg)
{
    struct work *w = arg;
    thr_lock(&w->lock);
    w->begun = true;
    w->thread = pthread_self();
    pthread_cond_signal(&w->changed);
    while (!w->may_end)
        thr_wait(&w->changed, &w->lock);
    thr_unlock(&w->lock);
}

static void let_end(struct work *w)
{
    thr_lock(&w->lock);
    while (!w->begun)
        CHECK(thr_wait_until(&w->changed, &w->lock, clock_mono_ms() + FAR_MS));
    w->may_end = true;
    pthread_cond_signal(&w->changed);
    thr_unlock(&w->lock);
}

static struct want job(struct work *w)
{
    thr_mutex_init(&w->lock);
    thr_cond_init(&w->changed);
    return (struct want){.kind = WANT_JOB, .until_us = INT64_MAX, .job = do_work, .arg = w};
}

static void a_job_runs_on_a_thread_of_the_pool(void **state)
{
    struct bench b;
    struct work w = {0};
    bench_init(&b, state);
    bench_start(&b, job(&w));
    let_end(&w);
    bench_run(&b);
    WAS_FED(&b, EXCHANGE_JOB_DONE);
    assert_false(pthread_equal(w.thread, pthread_self()));
    bench_done(&b);
}

static void a_job_that_runs_is_waited_for_when_it_is_given_up(void **state)
{
    struct bench b;
    struct work w = {0};
    bench_init(&b, state);
    bench_start(&b, job(&w));
    assert_false(exchange_waiter_give_up(&b.waiter));
    let_end(&w);
    bench_run(&b);
    WAS_FED(&b, EXCHANGE_GIVE_UP, EXCHANGE_JOB_DONE);
    bench_done(&b);
}

static void what_is_given_up_is_over_at_once_and_not_told(void **state)
{
    struct bench b;
    bench_init(&b, state);
    bench_start(&b, bench_io(&b, INT64_MAX));
    assert_true(exchange_waiter_give_up(&b.waiter));
    WAS_FED(&b, EXCHANGE_GIVE_UP);
    bench_start(&b, (struct want){.kind = WANT_NOTHING});
    assert_true(exchange_waiter_give_up(&b.waiter)); /* before the loop could tell */
    bench_send(&b, 'x');
    bench_start(&b, bench_io(&b, INT64_MAX));
    bench_run(&b);
    assert_int_equal(b.over, 1);
    bench_done(&b);
}

static void *nudge(void *arg)
{
    exchange_waiter_nudge(arg);
    return NULL;
}

static void another_thread_may_say_that_it_is_ready(void **state)
{
    struct bench b;
    pthread_t thread;
    bench_init(&b, state);
    bench_start(&b, (struct want){.kind = WANT_TIME, .until_us = INT64_MAX});
    assert_true(thr_start(&thread, "nudge", nudge, &b.waiter, NULL));
    bench_run(&b);
    WAS_FED(&b, EXCHANGE_READY);
    thr_join(thread);
    bench_done(&b);
}

/* A router's message and the reply may come before the loop turns, and a late one when it is over. */
static void who_is_nudged_again_before_it_looks_looks_once(void **state)
{
    struct bench b;
    bench_init(&b, state);
    for (int round = 0; round < 2; round++) {
        b.fake.wants[0] = (struct want){.kind = WANT_TIME, .until_us = INT64_MAX};
        bench_start(&b, (struct want){.kind = WANT_TIME, .until_us = INT64_MAX});
        for (int i = 0; i < 3; i++)
            exchange_waiter_nudge(&b.waiter);
        loop_turn(b.loop);
        WAS_FED(&b, EXCHANGE_READY);
        exchange_waiter_nudge(&b.waiter);
        exchange_waiter_nudge(&b.waiter);
        bench_run(&b);
        WAS_FED(&b, EXCHANGE_READY, EXCHANGE_READY);
        b.fake.wants[0] = (struct want){.kind = WANT_NOTHING};
        bench_start(&b, (struct want){.kind = WANT_TIME, .until_us = INT64_MAX});
        exchange_waiter_nudge(&b.waiter);
        assert_true(exchange_waiter_give_up(&b.waiter)); /* and the nudge goes with it */
    }
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_arrives_is_read_and_the_end_is_told_once),
        cmocka_unit_test(what_is_over_at_the_start_is_told_by_the_loop),
        cmocka_unit_test(a_time_does_not_come_early),
        cmocka_unit_test(what_has_arrived_is_read_before_the_time_is_judged),
        cmocka_unit_test(a_time_ends_the_wait_for_what_does_not_arrive),
        cmocka_unit_test(what_arrives_between_two_requests_makes_no_noise),
        cmocka_unit_test(a_new_descriptor_of_the_same_number_is_watched),
        cmocka_unit_test(an_address_is_its_own_name),
        cmocka_unit_test(a_name_is_looked_up_by_others_and_its_failure_is_told),
        cmocka_unit_test(a_name_that_was_given_up_is_not_reported),
        cmocka_unit_test(a_job_runs_on_a_thread_of_the_pool),
        cmocka_unit_test(a_job_that_runs_is_waited_for_when_it_is_given_up),
        cmocka_unit_test(what_is_given_up_is_over_at_once_and_not_told),
        cmocka_unit_test(another_thread_may_say_that_it_is_ready),
        cmocka_unit_test(who_is_nudged_again_before_it_looks_looks_once),
    };
    return everyloop_run_tests(tests, ARRAY_LEN(tests));
}
