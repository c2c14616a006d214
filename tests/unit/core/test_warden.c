/* A "poller" is forked, starts a pipeline in a group of its own, and ends in some way; the test is
 * the subreaper of all of them and sees who is left. */
#include "config.h"

#include "core/warden.h"

#include "../../support/leftovers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAR_MS = 60000 };

static pid_t poller;
static int from_poller; /* the groups that it has started; ends when all of them have ended */

/* A shell and two sleepers in a group of their own, all holding `out` open. */
static pid_t start_pipeline(int out)
{
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        if (out >= 0)
            dup2(out, STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", "sleep 600 | sleep 601; :", (char *)NULL);
        _exit(127);
    }
    setpgid(pid, pid);
    return pid;
}

static uint64_t mark;

static void begin(void (*fn)(int out))
{
    int fds[2];
    mark = warden_make_mark(); /* a new one for each case */
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    poller = fork();
    assert_true(poller >= 0);
    if (poller == 0) {
        close(fds[0]);
        fn(fds[1]);
        _exit(0);
    }
    close(fds[1]);
    from_poller = fds[0];
}

static pid_t heard_group(void)
{
    pid_t group = 0;
    assert_int_equal(read(from_poller, &group, sizeof(group)), sizeof(group));
    return group;
}

/* The pipe is closed at all its ends: poller, shell and sleepers have exited. */
static bool all_gone(void)
{
    char c;
    struct pollfd p = {.fd = from_poller, .events = POLLIN};
    if (poll(&p, 1, FAR_MS) != 1)
        return false;
    ssize_t n = read(from_poller, &c, 1);
    close(from_poller);
    return n == 0;
}

static void reap_all(void)
{
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
}

static void tell(int out, pid_t group)
{
    if (write(out, &group, sizeof(group)) != sizeof(group))
        _exit(1);
}

static void hang(void)
{
    for (;;)
        pause();
}

static struct warden *start(void)
{
    struct warden *w = warden_start(mark);
    if (w == NULL)
        _exit(2);
    return w;
}

/* ---- cases ---- */

static void guard_a_pipeline(int out)
{
    struct warden *w = start();
    pid_t group = start_pipeline(out);
    warden_add(w, group);
    tell(out, group);
    hang();
}

static void a_pipeline_does_not_outlive_a_poller_that_was_killed(void **state UNUSED)
{
    begin(guard_a_pipeline);
    pid_t group = heard_group();
    assert_int_equal(kill(-group, 0), 0);
    assert_int_equal(kill(poller, SIGKILL), 0);
    assert_true(all_gone());
    reap_all();
}

static void remove_one_of_two(int out)
{
    struct warden *w = start();
    pid_t first = start_pipeline(out), second = start_pipeline(-1);
    warden_add(w, first);
    warden_add(w, second);
    warden_remove(w, second);
    tell(out, first);
    tell(out, second);
    hang();
}

static void what_was_removed_is_left_alone(void **state UNUSED)
{
    begin(remove_one_of_two);
    (void)heard_group();
    pid_t removed = heard_group();
    assert_int_equal(kill(poller, SIGKILL), 0);
    assert_true(all_gone());
    assert_int_equal(waitpid(poller, NULL, 0), poller);    /* what it leaves is ours by then */
    assert_int_equal(waitpid(-removed, NULL, WNOHANG), 0); /* nothing to be reaped: all live */
    assert_int_equal(kill(-removed, SIGKILL), 0);
    reap_all();
}

/* More than the table and the pipe hold, and a warden that is not there. */
static void many_and_none(int out)
{
    struct warden *w = start();
    for (int i = 0; i < 100000; i++) {
        warden_add(w, 1000000000 + i);
        warden_remove(w, 1000000000 + i);
    }
    for (int i = 0; i < 2 * WARDEN_GROUPS_MAX; i++)
        warden_add(w, 1000000000 + i);
    warden_stop(w);
    warden_add(NULL, 1);
    warden_remove(NULL, 1);
    warden_stop(NULL);
    tell(out, 4711);
}

static void nothing_waits_for_the_warden_and_a_stopped_one_has_exited(void **state UNUSED)
{
    begin(many_and_none);
    assert_int_equal(heard_group(), 4711);
    assert_true(all_gone());
    assert_int_equal(waitpid(poller, NULL, 0), poller);
    assert_int_equal(waitpid(-1, NULL, 0), -1); /* no warden was left to us */
}

/* As a terminal or an impatient operator would: to the whole group. */
static void be_stopped_by_group(int out)
{
    setpgid(0, 0);
    struct warden *w = start();
    pid_t group = start_pipeline(out);
    warden_add(w, group);
    tell(out, group);
    kill(0, SIGTERM);
    hang();
}

static void a_signal_to_our_group_does_not_reach_the_warden(void **state UNUSED)
{
    begin(be_stopped_by_group);
    (void)heard_group();
    assert_true(all_gone());
    reap_all();
}

/* ---- what has left its group ---- */

static void put_mark(uint64_t value)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_RTTIME, &limit) != 0)
        _exit(3);
    limit.rlim_cur = value;
    if (setrlimit(RLIMIT_RTTIME, &limit) != 0)
        _exit(4);
}

/* No group is added here: only the mark tells whose these are. */
static void start_runaway(int out, const char *command)
{
    if (fork() != 0)
        return;
    put_mark(mark);
    setsid();
    dup2(out, STDOUT_FILENO);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static const char *const runaways[] = {
    "exec sleep 600",
    "setsid sleep 600",
    "(setsid sh -c 'setsid sleep 600; :' &); sleep 601",
    "nohup setsid sleep 600 2>&1 | cat",
    "trap '' TERM HUP INT; while :; do sleep 0.01; done",
    "while :; do setsid sh -c 'sleep 0.02' & sleep 0.01; done",
    "setsid env -i /bin/sleep 600",
    "cd /; umask 077; exec setsid env -i HOME=/ /bin/sh -c 'exec sleep 600 </dev/null'",
};

/* They have their mark before they become what they are here. */
static void await_runaways(void)
{
    leftovers_await("sleep 600", 5);
    leftovers_await("sleep 601", 1);
    leftovers_await("/bin/sleep 600", 1);
    for (size_t i = 4; i <= 5; i++) {
        char command[200];
        snprintf(command, sizeof(command), "sh -c %s", runaways[i]);
        leftovers_await(command, 1);
    }
}

static void let_them_run_away(int out)
{
    (void)start();
    for (size_t i = 0; i < ARRAY_LEN(runaways); i++)
        start_runaway(out, runaways[i]);
    tell(out, 4711);
    hang();
}

static void what_has_left_its_group_does_not_outlive_a_poller_that_was_killed(void **state UNUSED)
{
    begin(let_them_run_away);
    (void)heard_group();
    await_runaways();
    assert_int_equal(kill(poller, SIGKILL), 0);
    assert_true(all_gone());
    reap_all();
}

static pid_t start_stranger(uint64_t value)
{
    pid_t pid = fork();
    if (pid == 0) {
        put_mark(value);
        setsid();
        execl("/bin/sleep", "sleep", "600", (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void have_a_neighbour(int out)
{
    (void)start();
    tell(out, start_stranger(warden_make_mark()));
    tell(out, start_stranger(mark / 10));
    start_runaway(out, runaways[0]);
    hang();
}

static void the_children_of_other_pollers_and_programs_are_left_alone(void **state UNUSED)
{
    begin(have_a_neighbour);
    pid_t theirs = heard_group(), stranger = heard_group();
    leftovers_await("sleep 600", 3);
    assert_int_equal(kill(poller, SIGKILL), 0);
    assert_true(all_gone());
    assert_int_equal(waitpid(poller, NULL, 0), poller);  /* what it leaves is ours by then */
    assert_int_equal(waitpid(theirs, NULL, WNOHANG), 0); /* nothing to be reaped: it lives */
    assert_int_equal(waitpid(stranger, NULL, WNOHANG), 0);
    assert_int_equal(kill(theirs, SIGKILL), 0);
    assert_int_equal(kill(stranger, SIGKILL), 0);
    reap_all();
}

/* Looking through all processes has its price, so that an end in order does without. */
static void stop_in_order(int out)
{
    struct warden *w = start();
    pid_t pid = start_stranger(mark);
    leftovers_await("sleep 600", 1);
    warden_stop(w); /* it has exited when this returns */
    tell(out, waitpid(pid, NULL, WNOHANG));
    w = start();
    start_runaway(out, runaways[0]);
    leftovers_await("sleep 600", 2);
    warden_leave(w);
    tell(out, 0);
}

static void a_warden_that_was_left_ends_what_is_left_and_a_stopped_one_nothing(void **state UNUSED)
{
    begin(stop_in_order);
    assert_int_equal(heard_group(), 0); /* nothing to be reaped: it lives */
    assert_int_equal(heard_group(), 0);
    assert_true(all_gone());
    reap_all();
}

/* With what has left its group; the poller lives. */
static void have_all_killed(int out)
{
    struct warden *w = start();
    pid_t group = start_pipeline(out);
    warden_add(w, group);
    start_runaway(out, runaways[0]);
    leftovers_await("sleep 600", 2);
    tell(out, group);
    close(out);
    warden_end_now(w);
    hang();
}

static void all_are_killed_when_that_is_asked_for(void **state UNUSED)
{
    begin(have_all_killed);
    (void)heard_group();
    assert_true(all_gone());
    assert_int_equal(waitpid(poller, NULL, WNOHANG), 0);
    assert_int_equal(kill(poller, SIGKILL), 0);
    reap_all();
}

/* A usual value would be found in the processes of others. */
static void a_warden_with_anything_but_a_mark_is_refused(void **state UNUSED)
{
    static const uint64_t values[] = {1, 1000000, INT64_MAX / 2, (uint64_t)INT64_MAX + 1,
                                      RLIM_INFINITY};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        int status;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct sigaction dfl = {.sa_handler = SIG_DFL};
            sigaction(SIGABRT, &dfl, NULL); /* cmocka's own */
            close(STDERR_FILENO);
            warden_stop(warden_start(values[i]));
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
}

static void no_two_marks_are_alike(void **state UNUSED)
{
    uint64_t before = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t value = warden_make_mark();
        assert_true(value != before && value > INT64_MAX / 2 && value <= INT64_MAX);
        before = value;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warden_with_anything_but_a_mark_is_refused),
        cmocka_unit_test(no_two_marks_are_alike),
        cmocka_unit_test(a_pipeline_does_not_outlive_a_poller_that_was_killed),
        cmocka_unit_test(what_was_removed_is_left_alone),
        cmocka_unit_test(nothing_waits_for_the_warden_and_a_stopped_one_has_exited),
        cmocka_unit_test(a_signal_to_our_group_does_not_reach_the_warden),
        cmocka_unit_test(what_has_left_its_group_does_not_outlive_a_poller_that_was_killed),
        cmocka_unit_test(the_children_of_other_pollers_and_programs_are_left_alone),
        cmocka_unit_test(a_warden_that_was_left_ends_what_is_left_and_a_stopped_one_nothing),
        cmocka_unit_test(all_are_killed_when_that_is_asked_for),
    };
    return cmocka_run_group_tests_name("warden", tests, NULL, NULL);
}
