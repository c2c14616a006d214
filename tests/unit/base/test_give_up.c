#include "config.h"

#include "base/give_up.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool readable(const struct give_up *g)
{
    struct pollfd fd = {.fd = give_up_fd(g), .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

static void assert_set(const struct give_up *g, bool set)
{
    assert_int_equal(give_up_is_set(g), set);
    assert_int_equal(readable(g), set);
}

static void setting_one_object_leaves_another_one_alone(void **state UNUSED)
{
    struct give_up a, b;
    assert_true(give_up_init(&a, NULL) && give_up_init(&b, NULL));
    assert_set(&a, false);
    give_up_set(&a);
    give_up_set(&a);
    assert_set(&a, true);
    assert_set(&b, false);
    give_up_done(&a);
    give_up_done(&b);
}

static void children_do_not_inherit_the_descriptors(void **state UNUSED)
{
    struct give_up g;
    assert_true(give_up_init(&g, NULL));
    for (int i = 0; i < 2; i++)
        assert_true((fcntl(g.fds[i], F_GETFD) & FD_CLOEXEC) != 0);
    give_up_done(&g);
}

static void without_an_object_nothing_is_given_up(void **state UNUSED)
{
    struct give_up_watch watch = {.told = NULL};
    assert_false(give_up_is_set(NULL));
    assert_int_equal(give_up_fd(NULL), -1);
    give_up_watch(NULL, &watch);
    give_up_unwatch(NULL, &watch);
}

static void count(void *arg)
{
    ++*(int *)arg;
}

static void a_watch_is_told_once_and_at_once_if_it_comes_late(void **state UNUSED)
{
    int early = 0, gone = 0, late = 0;
    struct give_up_watch watches[] = {{.told = count, .arg = &early},
                                      {.told = count, .arg = &gone},
                                      {.told = count, .arg = &late}};
    struct give_up g;
    assert_true(give_up_init(&g, NULL));
    give_up_watch(&g, &watches[0]);
    give_up_watch(&g, &watches[1]);
    give_up_unwatch(&g, &watches[1]);
    give_up_set(&g);
    give_up_set(&g);
    give_up_watch(&g, &watches[2]);
    assert_int_equal(early, 1);
    assert_int_equal(gone, 0);
    assert_int_equal(late, 1);
    give_up_unwatch(&g, &watches[0]);
    give_up_unwatch(&g, &watches[2]);
    give_up_done(&g);
}

/* ---- threads that wait on a condition ---- */

struct waiter {
    struct give_up *g;
    struct thr_mutex lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool ended;
};

static void wake(void *arg)
{
    struct waiter *w = arg;
    thr_lock(&w->lock);
    pthread_cond_signal(&w->wake);
    thr_unlock(&w->lock);
}

static void *wait_there(void *arg)
{
    struct waiter *w = arg;
    struct give_up_watch watch = {.told = wake, .arg = w};
    int64_t deadline = clock_mono_ms() + 60000;
    give_up_watch(w->g, &watch);
    thr_lock(&w->lock);
    bool in_time = true;
    while (!give_up_is_set(w->g) && in_time)
        in_time = thr_wait_until(&w->wake, &w->lock, deadline);
    thr_unlock(&w->lock);
    give_up_unwatch(w->g, &watch);
    w->ended = in_time;
    return NULL;
}

static void no_waiter_on_a_condition_misses_it(void **state UNUSED)
{
    struct waiter waiters[16];
    for (int round = 0; round < 200; round++) {
        struct give_up g;
        assert_true(give_up_init(&g, NULL));
        for (size_t i = 0; i < ARRAY_LEN(waiters); i++) {
            waiters[i] = (struct waiter){.g = &g};
            thr_mutex_init(&waiters[i].lock);
            thr_cond_init(&waiters[i].wake);
            CHECK(thr_start(&waiters[i].thread, "waiter", wait_there, &waiters[i], NULL));
        }
        give_up_set(&g);
        for (size_t i = 0; i < ARRAY_LEN(waiters); i++) {
            thr_join(waiters[i].thread);
            assert_true(waiters[i].ended);
            pthread_cond_destroy(&waiters[i].wake);
            thr_mutex_done(&waiters[i].lock);
        }
        give_up_done(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_one_object_leaves_another_one_alone),
        cmocka_unit_test(children_do_not_inherit_the_descriptors),
        cmocka_unit_test(without_an_object_nothing_is_given_up),
        cmocka_unit_test(a_watch_is_told_once_and_at_once_if_it_comes_late),
        cmocka_unit_test(no_waiter_on_a_condition_misses_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
