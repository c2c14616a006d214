/* The watchdog ends whole processes: each case runs in a child of its own, whose standard error is
 * read here. */
#include "config.h"

#include "engine/watchdog.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

/* A child that hangs although the watchdog should have ended it is ended by SIGALRM.  STOPPED_MS:
 * how long one of them is stopped, which must be long enough to be on the way into it. */
enum { FAR_S = 60, STOPPED_MS = 3000 };

static char said[4096];
static int child_says; /* read end: what the child writes to its standard error */
static pid_t child;

static void begin(void (*fn)(void))
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(FAR_S);
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        fn();
        _exit(0);
    }
    close(fds[1]);
    child_says = fds[0];
    said[0] = '\0';
}

/* Waits until the child has said a line more. */
static void listen_for_line(void)
{
    size_t len = strlen(said);
    char c;
    while (len < sizeof(said) - 1 && read(child_says, &c, 1) == 1) {
        said[len++] = c;
        said[len] = '\0';
        if (c == '\n')
            return;
    }
}

static int finish(void)
{
    int status;
    for (size_t before = 1; before != strlen(said);) {
        before = strlen(said);
        listen_for_line();
    }
    close(child_says);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_said(const char *text)
{
    if (strstr(said, text) == NULL)
        fail_msg("'%s' does not say '%s'", said, text);
}

static void hang(void)
{
    for (;;)
        clock_pause_ms(1000);
}

static struct guard *guard;

static struct watchdog *start(int64_t after_ms)
{
    struct watchdog *w = watchdog_start(NULL);
    if (w == NULL)
        _exit(99);
    guard = guard_new(w, clock_mono_ms() + after_ms);
    return w;
}

static void stop_watchdog(struct watchdog *w)
{
    guard_free(guard);
    watchdog_stop(w);
}

/* ---- cases ---- */

/* The end comes near only when all is said that the last words contain. */
static void hang_while_storing(void)
{
    (void)start(3600000);
    guard_doing(guard, GUARD_MAIN, "polling");
    guard_doing(guard, GUARD_STORE, "storing rows");
    guard_set_end(guard, clock_mono_ms() + 50);
    hang();
}

static void a_process_that_hangs_says_where_and_ends_with_75(void **state UNUSED)
{
    begin(hang_while_storing);
    int status = finish();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EX_TEMPFAIL);
    assert_said("ERROR: The cycle did not end in time; the process is ended now; main thread: "
                "polling; database thread: storing rows\n");
}

/* ---- in place of the end ---- */

static char given_up[400];
static int times_given_up;

static void on_given_up(void *arg UNUSED, const char *line)
{
    snprintf(given_up, sizeof(given_up), "%s", line);
    times_given_up++;
}

static void give_up_one_of_two(void)
{
    struct watchdog *w = start(3600000);
    struct guard *other = guard_new(w, clock_mono_ms() + 3600000);
    watchdog_instead(w, on_given_up, NULL);
    guard_doing(guard, GUARD_MAIN, "polling");
    guard_set_end(guard, clock_mono_ms());
    while (guard_get_end(guard) != INT64_MAX)
        clock_pause_ms(1);
    guard_free(other);
    stop_watchdog(w); /* joins its thread */
    fprintf(stderr, "%d: %s\n", times_given_up, given_up);
}

/* In a daemon it is one of several cycles. */
static void a_cycle_that_hangs_is_given_up_once_and_the_process_lives(void **state UNUSED)
{
    begin(give_up_one_of_two);
    int status = finish();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_said("1: ERROR: The cycle did not end in time; it is given up; main thread: polling\n");
}

static void hang_after_signal(void)
{
    (void)start(3600000);
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    guard_hurry(guard, clock_mono_ms() + 50, SIGTERM);
    guard_hurry(guard, clock_mono_ms() + 3600000, SIGTERM);
    hang();
}

static void a_process_that_was_asked_to_end_and_hangs_ends_by_that_signal(void **state UNUSED)
{
    begin(hang_after_signal);
    int status = finish();
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
    assert_said("is ended now\n");
}

static void end_in_time(void)
{
    struct watchdog *w = start(3600000);
    watchdog_beat(w);
    stop_watchdog(w);
    w = start(0 + 3600000);
    guard_set_end(guard, clock_mono_ms() + 7200000);
    stop_watchdog(w);
    watchdog_stop(NULL);
    watchdog_beat(NULL);
}

static void a_process_that_ends_in_time_is_left_alone(void **state UNUSED)
{
    begin(end_in_time);
    assert_int_equal(finish(), 0);
    assert_string_equal(said, "");
}

/* The first cycle is in time, the second one beside it is not. */
static void one_of_two_hangs(void)
{
    struct watchdog *w = start(3600000);
    struct guard *other = guard_new(w, clock_mono_ms() + 3600000);
    guard_doing(guard, GUARD_MAIN, "the first");
    guard_doing(other, GUARD_MAIN, "the second");
    guard_set_end(other, clock_mono_ms() + 50);
    hang();
}

static void each_cycle_has_an_end_of_its_own(void **state UNUSED)
{
    begin(one_of_two_hangs);
    int status = finish();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EX_TEMPFAIL);
    assert_said("main thread: the second\n");
}

static void mark(void)
{
    static const char text[] = "stalled\n";
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(98);
    _exit(7);
}

static void stall(void)
{
    struct watchdog *w = start(3600000);
    watchdog_on_stall(w, mark);
    watchdog_beat(w);
    hang();
}

static void a_loop_that_does_not_turn_for_a_second_is_reported(void **state UNUSED)
{
    begin(stall);
    int status = finish();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_said("WARNING: The event loop has not turned for ");
    assert_said("\nstalled\n");
}

/* As if the log were on a file system that hangs. */
static void stall_with_a_stuck_log(void)
{
    struct watchdog *w = start(3000);
    watchdog_on_stall(w, hang);
    watchdog_beat(w);
    hang();
}

static void
a_watchdog_whose_line_cannot_be_written_ends_the_process_nevertheless(void **state UNUSED)
{
    begin(stall_with_a_stuck_log);
    int status = finish();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EX_TEMPFAIL);
    assert_said("WARNING: The event loop has not turned for ");
    assert_said("is ended now\n");
}

/* Stops itself; goes on when its parent says so, after its end was due.  The watchdog has a look first. */
static void be_stopped(void)
{
    struct watchdog *w = start(3600000);
    int64_t end = clock_mono_ms() + STOPPED_MS;
    watchdog_beat(w);
    guard_set_end(guard, end);
    kill(getpid(), SIGSTOP);
    while (guard_get_end(guard) == end)
        clock_pause_ms(1);
    stop_watchdog(w);
}

static void a_process_that_was_stopped_may_end_in_order_when_it_goes_on(void **state UNUSED)
{
    int status;
    begin(be_stopped);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    clock_pause_ms(STOPPED_MS); /* what is to be survived */
    kill(child, SIGCONT);
    assert_int_equal(finish(), 0);
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_ends_in_time_is_left_alone),
        cmocka_unit_test(a_process_that_hangs_says_where_and_ends_with_75),
        cmocka_unit_test(a_cycle_that_hangs_is_given_up_once_and_the_process_lives),
        cmocka_unit_test(a_process_that_was_asked_to_end_and_hangs_ends_by_that_signal),
        cmocka_unit_test(each_cycle_has_an_end_of_its_own),
        cmocka_unit_test(a_loop_that_does_not_turn_for_a_second_is_reported),
        cmocka_unit_test(a_watchdog_whose_line_cannot_be_written_ends_the_process_nevertheless),
        cmocka_unit_test(a_process_that_was_stopped_may_end_in_order_when_it_goes_on),
    };
    return cmocka_run_group_tests_name("watchdog", tests, NULL, NULL);
}
