/* A kernel that has no room for what is to be watched. */
#include "config.h"

#include "loop_story.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

static int refusals; /* this number of calls to come fail */

/* In the place of the C library's, for libevent. */
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    if (op != EPOLL_CTL_DEL && refusals > 0) {
        refusals--;
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

static void read_one_while(void **state, int refused)
{
    struct story s;
    int quiet[2], ready[2];
    begin(&s, state);
    assert_int_equal(pipe2(quiet, O_CLOEXEC), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(write(ready[1], "z", 1), 1);
    struct event q = event_of(&s, 'q'), r = event_of(&s, 'r'), never = event_of(&s, 'n');
    r.fd = ready[0];
    refusals = refused;
    loop_watch_start(&q.watch, s.loop, quiet[0], LOOP_READABLE, on_tell, &q);
    loop_watch_start(&r.watch, s.loop, ready[0], LOOP_READABLE, on_read_one, &r);
    loop_watch_start(&never.watch, s.loop, ready[0], LOOP_WRITABLE, on_tell, &never);
    loop_watch_stop(&never.watch);
    run(&s);
    assert_string_equal(s.text, "z");
    loop_watch_stop(&q.watch);
    loop_watch_stop(&r.watch);
    refusals = 0;
    for (int i = 0; i < 2; i++) {
        close(quiet[i]);
        close(ready[i]);
    }
    end(&s);
}

static void what_the_kernel_does_not_watch_is_told_nevertheless(void **state)
{
    read_one_while(state, INT_MAX);
}

static void what_the_kernel_watches_later_is_told(void **state)
{
    read_one_while(state, 1);
    read_one_while(state, 5);
}

static void without_room_for_signals_there_is_no_loop(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    refusals = INT_MAX;
    assert_null(loop_new(LOOP_LIBEVENT, &err));
    assert_string_not_equal(err.text, "");
    refusals = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_kernel_does_not_watch_is_told_nevertheless),
        cmocka_unit_test(what_the_kernel_watches_later_is_told),
    };
    const struct CMUnitTest of_libevent[] = {
        cmocka_unit_test(without_room_for_signals_there_is_no_loop),
    };
    int failed = everyloop_run_tests(tests, ARRAY_LEN(tests));
    if (loop_kind_is_built(LOOP_LIBEVENT))
        failed += everyloop_run_kind(&everyloop_kinds[0], of_libevent, ARRAY_LEN(of_libevent));
    return failed;
}
