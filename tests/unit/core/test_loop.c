#include "config.h"

#include "loop_story.h"

#include "../../support/within.h"

#include "base/clock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- timers ---- */

static const int delays[] = {30, 10, 40, 0, 20, -5};

/* Set in one callback, so that all of them start at the same time. */
static void on_set_all(void *arg)
{
    struct event *e = arg;
    int64_t now_us = clock_mono_us();
    for (size_t i = 0; i < ARRAY_LEN(delays); i++)
        loop_timer_set_at_us(&e[i].timer, now_us + delays[i] * 1000);
}

static void timers_fire_in_the_order_of_their_times(void **state)
{
    struct story s;
    begin(&s, state);
    struct event e[ARRAY_LEN(delays)];
    struct loop_timer first;
    loop_timer_init(&first, s.loop, on_set_all, e);
    for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
        e[i] = event_of(&s, (char)('a' + i));
        loop_timer_init(&e[i].timer, s.loop, i == 2 ? on_last : on_tell, &e[i]);
    }
    loop_timer_set(&first, 0);
    run(&s);
    assert_true(memcmp(s.text, "df", 2) == 0 || memcmp(s.text, "fd", 2) == 0); /* both at once */
    assert_string_equal(s.text + 2, "beac");
    end(&s);
}

enum { MANY = 300 };

struct many {
    struct story *story;
    struct event events[MANY];
    int64_t last_due_us;
    int fired;
};

static void on_one_of_many(void *arg)
{
    struct event *e = arg;
    struct many *m = e->owner;
    assert_true(e->timer.due_us >= m->last_due_us);
    m->last_due_us = e->timer.due_us;
    if (++m->fired == MANY - MANY / 3)
        loop_stop(m->story->loop);
}

/* Every second timer is moved, every third cancelled, so that the heap must be restored inside. */
static void many_timers_that_are_moved_and_cancelled_keep_their_order(void **state)
{
    struct story s;
    struct many *m = mem_zalloc(1, sizeof(*m));
    begin(&s, state);
    m->story = &s;
    int64_t begun_us = clock_mono_us() + 20000;
    for (int i = 0; i < MANY; i++) {
        m->events[i] = event_of(&s, 'x');
        m->events[i].owner = m;
        loop_timer_init(&m->events[i].timer, s.loop, on_one_of_many, &m->events[i]);
        loop_timer_set_at_us(&m->events[i].timer, begun_us + i * 7919 % MANY * 100);
    }
    for (int i = 0; i < MANY; i++) {
        struct event *e = &m->events[i];
        if (i % 2 == 0)
            loop_timer_set_at_us(&e->timer, begun_us + i * 104729 % MANY * 100);
        if (i % 3 == 0)
            loop_timer_cancel(&e->timer);
    }
    run(&s);
    end(&s);
    free(m);
}

static void on_again(void *arg)
{
    struct event *e = arg;
    tell(e);
    if (--e->rounds > 0)
        loop_timer_set(&e->timer, 1);
    else
        loop_timer_set(e->other, 30);
}

static void a_timer_fires_once_and_can_be_set_again(void **state)
{
    struct story s;
    begin(&s, state);
    struct event again = event_of(&s, 'a'), last = event_of(&s, 'z');
    again.rounds = 3;
    again.other = &last.timer;
    loop_timer_init(&last.timer, s.loop, on_last, &last);
    set(&again, on_again, 1);
    assert_true(loop_timer_is_set(&again.timer));
    assert_false(loop_timer_is_set(&last.timer));
    run(&s);
    assert_string_equal(s.text, "aaaz");
    assert_false(loop_timer_is_set(&again.timer));
    /* the loop runs again, and setting moves a timer that is set already */
    loop_timer_set(&again.timer, 1);
    loop_timer_set(&again.timer, 60000);
    loop_timer_set(&last.timer, 30000);
    loop_timer_set(&last.timer, 20);
    run(&s);
    assert_string_equal(s.text, "aaazz");
    loop_timer_cancel(&again.timer);
    end(&s);
}

static void on_cancel_other(void *arg)
{
    struct event *e = arg;
    tell(e);
    loop_timer_cancel(e->other);
}

static void a_cancelled_timer_is_quiet(void **state)
{
    struct story s;
    begin(&s, state);
    struct event a = event_of(&s, 'a'), b = event_of(&s, 'b');
    struct event c = event_of(&s, 'c'), z = event_of(&s, 'z');
    a.other = &b.timer;
    loop_timer_init(&b.timer, s.loop, on_tell, &b);
    loop_timer_cancel(&b.timer); /* not set: nothing happens */
    set(&a, on_cancel_other, 10);
    loop_timer_set(&b.timer, 50);
    set(&c, on_tell, 5);
    loop_timer_cancel(&c.timer);
    loop_timer_cancel(&c.timer);
    set(&z, on_last, 100);
    run(&s);
    assert_string_equal(s.text, "az");
    loop_timer_set(&b.timer, 1); /* cancelled, not dead */
    loop_timer_set(&z.timer, 50);
    run(&s);
    assert_string_equal(s.text, "azbz");
    end(&s);
}

/* Both are due in the same turn, so whichever comes first silences the other. */
static void a_timer_may_cancel_another_that_is_due_in_the_same_turn(void **state)
{
    struct story s;
    begin(&s, state);
    struct event a = event_of(&s, 'x'), b = event_of(&s, 'x'), z = event_of(&s, 'z');
    a.other = &b.timer;
    b.other = &a.timer;
    set(&a, on_cancel_other, 1);
    set(&b, on_cancel_other, 1);
    set(&z, on_last, 30);
    while (clock_mono_us() < b.timer.due_us)
        ;
    run(&s);
    assert_string_equal(s.text, "xz");
    end(&s);
}

static void what_is_zeroed_may_be_cancelled_and_stopped(void **state)
{
    (void)state;
    struct event nothing = {0};
    loop_timer_cancel(&nothing.timer);
    loop_watch_stop(&nothing.watch);
    assert_false(loop_take_back(&nothing.post));
    assert_false(loop_timer_is_set(&nothing.timer));
    assert_false(loop_watch_is_started(&nothing.watch));
}

static void on_not_early(void *arg)
{
    struct event *e = arg;
    assert_true(clock_mono_us() >= e->due_us);
    if (--e->rounds == 0) {
        on_last(e);
        return;
    }
    /* The base's own idea of the time is old by then. */
    int64_t busy_until_us = clock_mono_us() + 300;
    while (clock_mono_us() < busy_until_us)
        ;
    e->due_us = clock_mono_us() + e->rounds * 37 % 1700;
    loop_timer_set_at_us(&e->timer, e->due_us);
}

static void no_timer_fires_before_its_time(void **state)
{
    struct story s;
    begin(&s, state);
    struct event e = event_of(&s, 'z');
    e.rounds = 300;
    e.due_us = clock_mono_us() + 1000;
    loop_timer_init(&e.timer, s.loop, on_not_early, &e);
    loop_timer_set_at_us(&e.timer, e.due_us);
    run(&s);
    assert_string_equal(s.text, "z");
    assert_true(loop_turns(s.loop) >= 300);
    end(&s);
}

/* Less than a whole millisecond is waited for, too, and not spent turning. */
static void waiting_for_a_timer_takes_few_turns(void **state)
{
    struct story s;
    begin(&s, state);
    struct event z = event_of(&s, 'z');
    loop_timer_init(&z.timer, s.loop, on_last, &z);
    loop_timer_set_at_us(&z.timer, clock_mono_us() + 5900);
    run(&s);
    assert_string_equal(s.text, "z");
    assert_within(loop_turns(s.loop), 1, 3);
    end(&s);
}

static void on_set_to_the_past(void *arg)
{
    struct event *e = arg;
    loop_timer_set_at_us(&e->timer, 1);
}

static void a_timer_always_set_to_the_past_does_not_starve_the_others(void **state)
{
    struct story s;
    begin(&s, state);
    struct event greedy = event_of(&s, 'g'), z = event_of(&s, 'z');
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    set(&greedy, on_set_to_the_past, 0);
    set(&z, on_tell, 5);
    loop_watch_start(&z.watch, s.loop, fds[0], LOOP_READABLE, on_tell, &z);
    while (s.len == 0 && !s.too_late)
        loop_turn(s.loop); /* the descriptor */
    loop_watch_stop(&z.watch);
    s.len = 0;
    while (s.len == 0 && !s.too_late)
        loop_turn(s.loop); /* the timer */
    assert_false(s.too_late);
    loop_timer_cancel(&greedy.timer);
    close(fds[0]);
    close(fds[1]);
    end(&s);
}

static void on_busy(void *arg)
{
    struct event *e = arg;
    int64_t until_us = e->other->due_us + 3000;
    while (clock_mono_us() < until_us)
        ;
}

static void the_lag_is_that_of_the_latest_timer(void **state)
{
    struct story s;
    begin(&s, state);
    struct event busy = event_of(&s, 'b'), z = event_of(&s, 'z');
    assert_int_equal(loop_take_lag_us(s.loop), 0);
    busy.other = &z.timer;
    set(&busy, on_busy, 0);
    set(&z, on_last, 1);
    run(&s);
    assert_true(loop_take_lag_us(s.loop) >= 3000);
    assert_int_equal(loop_take_lag_us(s.loop), 0);
    end(&s);
}

/* ---- descriptors ---- */

static void a_watch_calls_as_long_as_there_is_something(void **state)
{
    struct story s;
    int fds[2];
    begin(&s, state);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct event e = event_of(&s, '?'), y = event_of(&s, 'y');
    e.fd = fds[0];
    loop_watch_start(&e.watch, s.loop, fds[0], LOOP_READABLE, on_read_one, &e);
    assert_true(loop_watch_is_started(&e.watch));
    assert_int_equal(write(fds[1], "abcz", 4), 4);
    run(&s);
    assert_string_equal(s.text, "abcz");
    loop_watch_stop(&e.watch);
    loop_watch_stop(&e.watch);
    assert_int_equal(write(fds[1], "z", 1), 1); /* no longer watched */
    set(&y, on_last, 30);
    run(&s);
    assert_string_equal(s.text, "abczy");
    loop_watch_start(&e.watch, s.loop, fds[0], LOOP_READABLE, on_read_one, &e);
    run(&s);
    assert_string_equal(s.text, "abczyz");
    loop_watch_stop(&e.watch);
    close(fds[0]); /* still the caller's */
    close(fds[1]);
    end(&s);
}

static void on_write_one(void *arg)
{
    struct event *e = arg;
    assert_int_equal(write(e->fd, "w", 1), 1);
    tell(e);
    if (--e->rounds == 0) {
        loop_watch_stop(&e->watch);
        loop_stop(e->story->loop);
    }
}

static void a_writable_descriptor_is_reported(void **state)
{
    struct story s;
    int fds[2];
    begin(&s, state);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct event e = event_of(&s, 'w'), z = event_of(&s, 'z');
    e.fd = fds[1];
    e.rounds = 3;
    loop_watch_start(&e.watch, s.loop, fds[1], LOOP_WRITABLE, on_write_one, &e);
    run(&s);
    assert_string_equal(s.text, "www");
    set(&z, on_last, 20); /* no watch is left */
    run(&s);
    assert_string_equal(s.text, "wwwz");
    close(fds[0]);
    close(fds[1]);
    end(&s);
}

static void only_ready_descriptors_are_reported(void **state)
{
    struct story s;
    int quiet[2], ready[2];
    begin(&s, state);
    assert_int_equal(pipe2(quiet, O_CLOEXEC), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(write(ready[1], "z", 1), 1);
    struct event q = event_of(&s, 'q'), r = event_of(&s, 'r'), never = event_of(&s, 'n');
    r.fd = ready[0];
    loop_watch_start(&q.watch, s.loop, quiet[0], LOOP_READABLE, on_tell, &q);
    loop_watch_start(&r.watch, s.loop, ready[0], LOOP_READABLE, on_read_one, &r);
    loop_watch_start(&never.watch, s.loop, quiet[0], LOOP_READABLE, on_tell, &never);
    run(&s);
    assert_string_equal(s.text, "z");
    loop_watch_stop(&q.watch);
    loop_watch_stop(&r.watch);
    loop_watch_stop(&never.watch);
    for (int i = 0; i < 2; i++) {
        close(quiet[i]);
        close(ready[i]);
    }
    end(&s);
}

/* Each child of a long run starts and stops a few; poll(2) refuses a list that only grows. */
static void more_watches_come_and_go_than_there_can_be_descriptors(void **state)
{
    struct story s;
    struct rlimit before, few;
    int fds[2];
    begin(&s, state);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){.rlim_cur = 64, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct event last = event_of(&s, 'z');
    for (int i = 0; i < 200; i++) {
        loop_watch_start(&last.watch, s.loop, fds[0], LOOP_READABLE, on_last, &last);
        s.len = 0;
        run(&s);
        assert_string_equal(s.text, "z");
        loop_watch_stop(&last.watch);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(fds[0]);
    close(fds[1]);
    end(&s);
}

enum { CROWD = 64 };

struct crowd {
    struct story *story;
    struct loop_watch watches[CROWD];
    struct member {
        struct crowd *crowd;
        int calls;
    } members[CROWD];
    int calls, at_timer, heard, when_all_were_heard;
};

static void on_crowd(void *arg)
{
    struct member *m = arg;
    struct crowd *c = m->crowd;
    int64_t until_us = clock_mono_us() + 1000;
    while (clock_mono_us() < until_us) /* all of them together take longer than a turn may */
        ;
    c->calls++;
    if (m->calls++ == 0 && ++c->heard == CROWD) {
        c->when_all_were_heard = c->calls;
        loop_stop(c->story->loop); /* at the end of the turn */
    }
}

static void on_crowd_timer(void *arg)
{
    struct crowd *c = arg;
    c->at_timer = c->calls;
}

/* A burst of answers: timers go between them, and no watch is called again before all have been. */
static void a_burst_delays_no_timer_and_no_other_descriptor(void **state)
{
    struct story s;
    struct crowd c = {.story = &s};
    struct loop_timer t;
    int fds[2];
    begin(&s, state);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    for (size_t i = 0; i < CROWD; i++) {
        c.members[i].crowd = &c;
        loop_watch_start(&c.watches[i], s.loop, fds[0], LOOP_READABLE, on_crowd, &c.members[i]);
    }
    loop_timer_init(&t, s.loop, on_crowd_timer, &c);
    loop_timer_set(&t, 0);
    run(&s);
    assert_true(c.at_timer < CROWD);
    assert_int_equal(c.when_all_were_heard, CROWD);
    for (size_t i = 0; i < CROWD; i++)
        loop_watch_stop(&c.watches[i]);
    close(fds[0]);
    close(fds[1]);
    end(&s);
}

static void on_stop_other_watch(void *arg)
{
    struct event *e = arg;
    tell(e);
    loop_watch_stop(e->other_watch);
    loop_watch_stop(&e->watch);
    loop_stop(e->story->loop);
}

/* Both are ready in the same turn: whichever is called first silences the other. */
static void a_watch_stopped_in_the_turn_in_which_it_is_ready_is_not_called(void **state)
{
    struct story s;
    int fds[2];
    begin(&s, state);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct event a = event_of(&s, 'x'), b = event_of(&s, 'x'), z = event_of(&s, 'z');
    int copy = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
    a.other_watch = &b.watch;
    b.other_watch = &a.watch;
    assert_int_equal(write(fds[1], "x", 1), 1);
    loop_watch_start(&a.watch, s.loop, fds[0], LOOP_READABLE, on_stop_other_watch, &a);
    loop_watch_start(&b.watch, s.loop, copy, LOOP_READABLE, on_stop_other_watch, &b);
    run(&s);
    set(&z, on_last, 20);
    run(&s);
    assert_string_equal(s.text, "xz");
    close(copy);
    close(fds[0]);
    close(fds[1]);
    end(&s);
}

static void on_free_owner(void *arg)
{
    struct event *e = arg;
    struct story *s = e->story;
    tell(e);
    loop_watch_stop(&e->watch);
    loop_timer_cancel(&e->timer);
    free(e);
    loop_stop(s->loop);
}

static void an_owner_may_be_freed_by_its_own_callback(void **state)
{
    struct story s;
    int fds[2];
    begin(&s, state);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    struct event *e = mem_zalloc(1, sizeof(*e));
    *e = event_of(&s, 'w');
    loop_watch_start(&e->watch, s.loop, fds[0], LOOP_READABLE, on_free_owner, e);
    set(e, on_free_owner, 60000);
    run(&s);
    e = mem_zalloc(1, sizeof(*e));
    *e = event_of(&s, 't');
    set(e, on_free_owner, 0);
    run(&s);
    e = mem_zalloc(1, sizeof(*e));
    *e = event_of(&s, 'p');
    loop_post(s.loop, &e->post, on_free_owner, e);
    run(&s);
    assert_string_equal(s.text, "wtp");
    close(fds[0]);
    close(fds[1]);
    end(&s);
}

/* ---- signals ---- */

static void on_signal(void *arg, int signo)
{
    struct event *e = arg;
    e->letter = signo == SIGTERM ? 't' : (signo == SIGINT ? 'i' : '?');
    tell(e);
    if (--e->rounds == 0)
        loop_stop(e->story->loop);
    else
        raise(SIGINT);
}

static void signals_are_events(void **state)
{
    struct story s;
    begin(&s, state);
    struct event e = event_of(&s, '?');
    e.rounds = 2;
    loop_on_signal(s.loop, SIGTERM, on_signal, &e);
    loop_on_signal(s.loop, SIGINT, on_signal, &e);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(s.len, 0); /* not in the handler */
    run(&s);
    assert_string_equal(s.text, "ti");
    end(&s);
}

/* ---- the end ---- */

static void on_stop_then_tell(void *arg)
{
    struct event *e = arg;
    loop_stop(e->story->loop);
    tell(e);
}

static void stop_ends_the_run_and_only_that_run(void **state)
{
    struct story s;
    begin(&s, state);
    struct event a = event_of(&s, 'a'), b = event_of(&s, 'b');
    set(&a, on_stop_then_tell, 0);
    set(&b, on_last, 60000);
    run(&s);
    assert_string_equal(s.text, "a");
    loop_timer_set(&b.timer, 0);
    run(&s);
    assert_string_equal(s.text, "ab");
    end(&s);
}

static void a_turn_now_does_not_wait(void **state)
{
    struct story s;
    begin(&s, state);
    struct event due = event_of(&s, 'a'), later = event_of(&s, 'b');
    loop_turn_now(s.loop); /* nothing would ever end a wait */
    set(&due, on_tell, 0);
    set(&later, on_tell, 86400000);
    loop_turn_now(s.loop);
    assert_string_equal(s.text, "a");
    assert_false(s.too_late);
    loop_timer_cancel(&later.timer);
    end(&s);
}

static void the_library_has_a_version_where_it_is_built(void **state)
{
    (void)state;
    const char *version = loop_library_version();
    assert_int_equal(version != NULL, loop_kind_is_built(LOOP_LIBEVENT));
    assert_true(version == NULL || strlen(version) > 0);
    assert_true(loop_kind_is_built(LOOP_POLL));
    loop_free(NULL);
}

static void only_a_kind_that_is_built_is_made(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    struct loop *loop = loop_new(LOOP_LIBEVENT, &err);
    assert_int_equal(loop != NULL, loop_kind_is_built(LOOP_LIBEVENT));
    assert_string_equal(err.text, loop != NULL ? "" : "this build has no event loop (libevent)");
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_the_order_of_their_times),
        cmocka_unit_test(many_timers_that_are_moved_and_cancelled_keep_their_order),
        cmocka_unit_test(a_timer_fires_once_and_can_be_set_again),
        cmocka_unit_test(a_cancelled_timer_is_quiet),
        cmocka_unit_test(a_timer_may_cancel_another_that_is_due_in_the_same_turn),
        cmocka_unit_test(what_is_zeroed_may_be_cancelled_and_stopped),
        cmocka_unit_test(no_timer_fires_before_its_time),
        cmocka_unit_test(waiting_for_a_timer_takes_few_turns),
        cmocka_unit_test(a_timer_always_set_to_the_past_does_not_starve_the_others),
        cmocka_unit_test(the_lag_is_that_of_the_latest_timer),
        cmocka_unit_test(a_watch_calls_as_long_as_there_is_something),
        cmocka_unit_test(a_writable_descriptor_is_reported),
        cmocka_unit_test(only_ready_descriptors_are_reported),
        cmocka_unit_test(more_watches_come_and_go_than_there_can_be_descriptors),
        cmocka_unit_test(a_burst_delays_no_timer_and_no_other_descriptor),
        cmocka_unit_test(a_watch_stopped_in_the_turn_in_which_it_is_ready_is_not_called),
        cmocka_unit_test(an_owner_may_be_freed_by_its_own_callback),
        cmocka_unit_test(stop_ends_the_run_and_only_that_run),
        cmocka_unit_test(a_turn_now_does_not_wait),
        cmocka_unit_test(the_library_has_a_version_where_it_is_built),
        cmocka_unit_test(only_a_kind_that_is_built_is_made),
    };
    const struct CMUnitTest with_signals[] = {cmocka_unit_test(signals_are_events)};
    int failed = everyloop_run_tests(tests, ARRAY_LEN(tests));
    if (loop_kind_is_built(LOOP_LIBEVENT)) /* the only kind that handles them */
        failed += everyloop_run_kind(&everyloop_kinds[0], with_signals, ARRAY_LEN(with_signals));
    return failed;
}
