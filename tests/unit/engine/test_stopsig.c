/* Signals belong to the process: nothing else in this program handles them. */
#include "config.h"

#include "engine/stopsig.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"
#include "core/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAR_MS = 60000 };

static struct thr_mutex lock = THR_MUTEX_INITIALIZER; /* all that follows */
static pthread_cond_t changed;
static int stopped_by, stops, dumps;

static void on_stop(void *arg UNUSED, int signo)
{
    thr_lock(&lock);
    stopped_by = signo;
    stops++;
    pthread_cond_broadcast(&changed);
    thr_unlock(&lock);
}

static void on_dump(void *arg UNUSED)
{
    thr_lock(&lock);
    dumps++;
    pthread_cond_broadcast(&changed);
    thr_unlock(&lock);
}

static struct stopsig_listener listener;

static int begin(void **state UNUSED)
{
    stopsig_normalise();
    stopped_by = stops = dumps = 0;
    listener = (struct stopsig_listener){.stop = on_stop, .dump = on_dump};
    return 0;
}

static void await(const int *what, int wanted)
{
    int64_t until = clock_mono_ms() + FAR_MS;
    bool in_time = true;
    thr_lock(&lock);
    while (in_time && *what != wanted)
        in_time = thr_wait_until(&changed, &lock, until);
    thr_unlock(&lock);
    assert_true(in_time);
}

static void send(int signo)
{
    assert_int_equal(kill(getpid(), signo), 0);
}

static bool acts_by_default(int signo)
{
    struct sigaction now;
    assert_int_equal(sigaction(signo, NULL, &now), 0);
    return now.sa_handler == SIG_DFL;
}

/* ---- a thread of its own ---- */

static void a_thread_gets_the_first_stop_and_each_request_for_a_dump(void **state UNUSED)
{
    struct stopsig *s = stopsig_start(NULL, NULL);
    assert_non_null(s);
    stopsig_listen(s, &listener);
    send(SIGUSR1);
    await(&dumps, 1);
    send(SIGUSR1);
    await(&dumps, 2);
    send(SIGHUP);
    await(&stops, 1);
    assert_int_equal(stopped_by, SIGHUP);
    stopsig_forget(s, &listener);
    stopsig_stop(s);
}

static void a_late_listener_is_told_at_once(void **state UNUSED)
{
    struct stopsig_listener late = listener;
    struct stopsig *s = stopsig_start(NULL, NULL);
    assert_non_null(s);
    stopsig_listen(s, &listener);
    send(SIGINT);
    await(&stops, 1);
    stopsig_listen(s, &late);
    assert_int_equal(stops, 2);
    assert_int_equal(stopped_by, SIGINT);
    stopsig_forget(s, &late);
    stopsig_forget(s, &listener);
    stopsig_stop(s);
}

static void assert_ended_by(void (*fn)(void), int signo)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(FAR_MS / 1000);
        fn();
        for (;;)
            pause();
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), signo);
}

static void stop_a_thread_twice(void)
{
    struct stopsig *s = stopsig_start(NULL, NULL);
    stopsig_listen(s, &listener);
    send(SIGTERM);
    await(&stops, 1);
    send(SIGINT);
}

static void a_second_stop_ends_the_process(void **state UNUSED)
{
    assert_ended_by(stop_a_thread_twice, SIGINT);
}

/* ---- with a loop ---- */

static void stop_a_loop_twice(void)
{
    struct loop *loop = loop_new(LOOP_LIBEVENT, NULL);
    struct stopsig *s = stopsig_start(loop, NULL);
    stopsig_listen(s, &listener);
    send(SIGTERM);
    loop_turn(loop);
    send(SIGINT);
}

static void a_second_stop_ends_a_process_with_a_loop(void **state UNUSED)
{
    assert_ended_by(stop_a_loop_twice, SIGINT);
}

static void stop_a_stuck_loop_twice(void)
{
    struct stopsig *s = stopsig_start(loop_new(LOOP_LIBEVENT, NULL), NULL);
    CHECK(s != NULL);
    send(SIGTERM);
    send(SIGTERM);
}

static void a_second_stop_ends_a_process_whose_loop_is_stuck(void **state UNUSED)
{
    assert_ended_by(stop_a_stuck_loop_twice, SIGTERM);
}

static void a_loop_handles_the_same_signals(void **state UNUSED)
{
    struct loop *loop = loop_new(LOOP_LIBEVENT, NULL);
    struct stopsig *s = stopsig_start(loop, NULL);
    stopsig_listen(s, &listener);
    send(SIGUSR1);
    send(SIGTERM);
    assert_int_equal(stops, 0); /* not in the handler */
    loop_turn(loop);
    assert_int_equal(dumps, 1);
    assert_int_equal(stops, 1);
    assert_int_equal(stopped_by, SIGTERM);
    stopsig_forget(s, &listener);
    stopsig_stop(s);
    loop_free(loop);
    assert_true(acts_by_default(SIGTERM));
}

/* The loop has not turned when it goes: the legacy loop polls instead. */
static void a_stop_that_the_loop_has_not_told_is_told_after_it(void **state UNUSED)
{
    struct loop *loop = loop_new(LOOP_LIBEVENT, NULL);
    struct stopsig *s = stopsig_start(loop, NULL);
    send(SIGTERM);
    s = stopsig_leave_loop(s, NULL);
    assert_non_null(s);
    loop_free(loop);
    stopsig_listen(s, &listener);
    assert_int_equal(stops, 1);
    assert_int_equal(stopped_by, SIGTERM);
    stopsig_forget(s, &listener);
    stopsig_stop(s);
    assert_true(acts_by_default(SIGTERM));
}

static void signals_that_left_the_loop_are_handled_by_a_thread(void **state UNUSED)
{
    struct loop *loop = loop_new(LOOP_LIBEVENT, NULL);
    struct stopsig *s = stopsig_start(loop, NULL);
    stopsig_listen(s, &listener);
    s = stopsig_leave_loop(s, NULL);
    assert_non_null(s);
    loop_free(loop);
    send(SIGUSR1);
    await(&dumps, 1);
    send(SIGQUIT);
    await(&stops, 1);
    assert_int_equal(stopped_by, SIGQUIT);
    stopsig_forget(s, &listener);
    stopsig_stop(s);
}

/* ---- told, in a process that has other cycles ---- */

static void
what_is_told_reaches_the_listeners_and_changes_no_signal_of_the_process(void **state UNUSED)
{
    struct stopsig *s = stopsig_new_told(NULL);
    stopsig_listen(s, &listener);
    stopsig_tell(s, SIGUSR1);
    await(&dumps, 1);
    stopsig_tell(s, SIGINT);
    await(&stops, 1);
    stopsig_tell(s, SIGTERM); /* the first one counts */
    stopsig_tell(s, SIGUSR1);
    await(&dumps, 2);
    assert_int_equal(stops, 1);
    assert_int_equal(stopped_by, SIGINT);
    assert_true(acts_by_default(SIGTERM));
    stopsig_forget(s, &listener);
    stopsig_stop(s);
}

static void what_is_told_is_called_on_the_loop_and_after_it_on_a_thread(void **state UNUSED)
{
    struct err err = ERR_INIT;
    struct loop *loop = loop_new(LOOP_POLL, &err);
    struct stopsig *s = stopsig_new_told(loop);
    stopsig_listen(s, &listener);
    stopsig_tell(s, SIGUSR1);
    stopsig_tell(s, SIGUSR1);
    assert_int_equal(dumps, 0);
    loop_turn(loop);
    assert_int_equal(dumps, 1); /* they came together */
    stopsig_tell(s, SIGQUIT);
    s = stopsig_leave_loop(s, &err);
    loop_free(loop);
    await(&stops, 1);
    assert_int_equal(stopped_by, SIGQUIT);
    stopsig_forget(s, &listener);
    stopsig_stop(s);
}

int main(void)
{
    const struct CMUnitTest with_a_thread[] = {
        cmocka_unit_test_setup(a_thread_gets_the_first_stop_and_each_request_for_a_dump, begin),
        cmocka_unit_test_setup(a_late_listener_is_told_at_once, begin),
        cmocka_unit_test_setup(a_second_stop_ends_the_process, begin),
        cmocka_unit_test_setup(what_is_told_is_called_on_the_loop_and_after_it_on_a_thread, begin),
        cmocka_unit_test_setup(
            what_is_told_reaches_the_listeners_and_changes_no_signal_of_the_process, begin),
    };
    const struct CMUnitTest with_a_loop[] = {
        cmocka_unit_test_setup(a_loop_handles_the_same_signals, begin),
        cmocka_unit_test_setup(a_second_stop_ends_a_process_with_a_loop, begin),
        cmocka_unit_test_setup(a_second_stop_ends_a_process_whose_loop_is_stuck, begin),
        cmocka_unit_test_setup(a_stop_that_the_loop_has_not_told_is_told_after_it, begin),
        cmocka_unit_test_setup(signals_that_left_the_loop_are_handled_by_a_thread, begin),
    };
    thr_cond_init(&changed);
    int failed = cmocka_run_group_tests(with_a_thread, NULL, NULL);
    if (loop_kind_is_built(LOOP_LIBEVENT))
        failed += cmocka_run_group_tests(with_a_loop, NULL, NULL);
    return failed;
}
