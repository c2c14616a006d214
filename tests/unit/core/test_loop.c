#include "config.h"

#include "core/loop.h"

#include "base/mem.h"
#include "base/thr.h"
#include "core/wake.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What happened, a letter each, and who stops the loop. */
struct story {
    struct loop *loop;
    struct loop_timer *stopper; /* turns a hang into a failure */
    char text[64];
    size_t len;
    bool too_late;
};

struct event {
    struct story *story;
    char letter;
    struct loop_timer *timer;
    struct loop_timer *other;
    int fd;
    int rounds;
};

static void tell(struct event *e)
{
    assert_true(e->story->len < sizeof(e->story->text) - 1);
    e->story->text[e->story->len++] = e->letter;
}

static void on_tell(void *arg)
{
    tell(arg);
}

static void on_last(void *arg)
{
    struct event *e = arg;
    tell(e);
    loop_stop(e->story->loop);
}

static void on_too_late(void *arg)
{
    struct story *s = arg;
    s->too_late = true;
    loop_stop(s->loop);
}

static void begin(struct story *s)
{
    struct err err = ERR_INIT;
    memset(s, 0, sizeof(*s));
    s->loop = loop_new(&err);
    assert_non_null(s->loop);
    s->stopper = loop_timer_new(s->loop, on_too_late, s);
    loop_timer_set(s->stopper, 60000);
}

static void run(struct story *s)
{
    loop_run(s->loop);
    assert_false(s->too_late);
}

static void end(struct story *s)
{
    loop_timer_free(s->stopper);
    loop_free(s->loop);
}

/* ---- timers ---- */

static const int delays[] = {30, 10, 40, 0, 20, -5};

/* Armed in one callback, so that all of them start at the same time. */
static void on_arm_all(void *arg)
{
    struct event *e = arg;
    for (size_t i = 0; i < ARRAY_LEN(delays); i++)
        loop_timer_set(e[i].timer, delays[i]);
}

static void timers_fire_in_the_order_of_their_times(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct event e[ARRAY_LEN(delays)];
    struct loop_timer *first = loop_timer_new(s.loop, on_arm_all, e);
    for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
        e[i] = (struct event){.story = &s, .letter = (char)('a' + i)};
        e[i].timer = loop_timer_new(s.loop, i == 2 ? on_last : on_tell, &e[i]);
    }
    loop_timer_set(first, 0);
    run(&s);
    assert_true(memcmp(s.text, "df", 2) == 0 || memcmp(s.text, "fd", 2) == 0); /* both at once */
    assert_string_equal(s.text + 2, "beac");
    for (size_t i = 0; i < ARRAY_LEN(delays); i++)
        loop_timer_free(e[i].timer);
    loop_timer_free(first);
    end(&s);
}

static void on_again(void *arg)
{
    struct event *e = arg;
    tell(e);
    if (--e->rounds > 0)
        loop_timer_set(e->timer, 1);
    else
        loop_timer_set(e->other, 30);
}

static void a_timer_fires_once_and_can_be_armed_again(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct event again = {.story = &s, .letter = 'a', .rounds = 3};
    struct event last = {.story = &s, .letter = 'z'};
    again.timer = loop_timer_new(s.loop, on_again, &again);
    last.timer = loop_timer_new(s.loop, on_last, &last);
    again.other = last.timer;
    loop_timer_set(again.timer, 1);
    run(&s);
    assert_string_equal(s.text, "aaaz");
    /* the loop runs again, and arming moves a timer that is armed already */
    loop_timer_set(again.timer, 1);
    loop_timer_set(again.timer, 60000);
    loop_timer_set(last.timer, 30000);
    loop_timer_set(last.timer, 20);
    run(&s);
    assert_string_equal(s.text, "aaazz");
    loop_timer_free(again.timer);
    loop_timer_free(last.timer);
    loop_timer_free(NULL);
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
    (void)state;
    struct story s;
    begin(&s);
    struct event a = {.story = &s, .letter = 'a'}, b = {.story = &s, .letter = 'b'};
    struct event c = {.story = &s, .letter = 'c'}, z = {.story = &s, .letter = 'z'};
    a.timer = loop_timer_new(s.loop, on_cancel_other, &a);
    b.timer = loop_timer_new(s.loop, on_tell, &b);
    c.timer = loop_timer_new(s.loop, on_tell, &c);
    z.timer = loop_timer_new(s.loop, on_last, &z);
    a.other = b.timer;
    loop_timer_cancel(b.timer); /* not armed: nothing happens */
    loop_timer_set(a.timer, 10);
    loop_timer_set(b.timer, 50);
    loop_timer_set(c.timer, 5);
    loop_timer_cancel(c.timer);
    loop_timer_set(z.timer, 100);
    run(&s);
    assert_string_equal(s.text, "az");
    loop_timer_set(b.timer, 1); /* cancelled, not dead */
    loop_timer_set(z.timer, 50);
    run(&s);
    assert_string_equal(s.text, "azbz");
    loop_timer_free(a.timer);
    loop_timer_free(b.timer);
    loop_timer_free(c.timer);
    loop_timer_free(z.timer);
    end(&s);
}

/* ---- descriptors ---- */

static void on_read_one(void *arg)
{
    struct event *e = arg;
    char c;
    assert_int_equal(read(e->fd, &c, 1), 1);
    e->letter = c;
    tell(e);
    if (c == 'z')
        loop_stop(e->story->loop);
}

static void a_watch_calls_as_long_as_there_is_something(void **state)
{
    (void)state;
    struct story s;
    int fds[2];
    begin(&s);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct event e = {.story = &s, .fd = fds[0]};
    struct loop_watch *w = loop_watch_new(s.loop, fds[0], on_read_one, &e);
    assert_int_equal(write(fds[1], "abcz", 4), 4);
    run(&s);
    assert_string_equal(s.text, "abcz");
    loop_watch_free(w);
    loop_watch_free(NULL);
    struct event z = {.story = &s, .letter = 'y'};
    struct loop_timer *t = loop_timer_new(s.loop, on_last, &z);
    assert_int_equal(write(fds[1], "z", 1), 1); /* nobody watches any more */
    loop_timer_set(t, 30);
    run(&s);
    assert_string_equal(s.text, "abczy");
    loop_timer_free(t);
    close(fds[0]); /* still the caller's */
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
    (void)state;
    struct story s;
    begin(&s);
    struct event e = {.story = &s, .rounds = 2};
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
    (void)state;
    struct story s;
    begin(&s);
    struct event a = {.story = &s, .letter = 'a'}, b = {.story = &s, .letter = 'b'};
    a.timer = loop_timer_new(s.loop, on_stop_then_tell, &a);
    b.timer = loop_timer_new(s.loop, on_last, &b);
    loop_timer_set(a.timer, 0);
    loop_timer_set(b.timer, 60000);
    run(&s);
    assert_string_equal(s.text, "a");
    loop_timer_set(b.timer, 0);
    run(&s);
    assert_string_equal(s.text, "ab");
    loop_timer_free(a.timer);
    loop_timer_free(b.timer);
    end(&s);
}

static void the_library_has_a_version(void **state)
{
    (void)state;
    assert_true(strlen(loop_library_version()) > 0);
    loop_free(NULL);
}

/* ---- the doorbell ---- */

enum { RINGS = 20000 };

struct bell {
    struct story *story;
    struct wake *wake;
    pthread_mutex_t lock;
    int rung, heard, calls;
};

static void *ring(void *arg)
{
    struct bell *b = arg;
    for (int i = 0; i < RINGS; i++) {
        thr_lock(&b->lock);
        b->rung++;
        thr_unlock(&b->lock);
        wake_ring(b->wake);
    }
    return NULL;
}

static void on_bell(void *arg)
{
    struct bell *b = arg;
    b->calls++;
    thr_lock(&b->lock);
    b->heard = b->rung;
    thr_unlock(&b->lock);
    if (b->heard == 2 * RINGS)
        loop_stop(b->story->loop);
}

static void no_ring_is_missed(void **state)
{
    (void)state;
    struct story s;
    struct err err = ERR_INIT;
    begin(&s);
    struct bell b = {.story = &s};
    thr_mutex_init(&b.lock);
    b.wake = wake_new(s.loop, on_bell, &b, &err);
    assert_non_null(b.wake);
    for (int i = 0; i < 1000; i++) /* before anybody listens: may share one call */
        wake_ring(b.wake);
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        assert_true(thr_start(&t[i], "ring", ring, &b, &err));
    run(&s);
    for (int i = 0; i < 2; i++)
        thr_join(t[i]);
    assert_int_equal(b.heard, 2 * RINGS);
    assert_in_range(b.calls, 1, 2 * RINGS + 1000);
    wake_free(b.wake);
    wake_free(NULL);
    pthread_mutex_destroy(&b.lock);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_the_order_of_their_times),
        cmocka_unit_test(a_timer_fires_once_and_can_be_armed_again),
        cmocka_unit_test(a_cancelled_timer_is_quiet),
        cmocka_unit_test(a_watch_calls_as_long_as_there_is_something),
        cmocka_unit_test(signals_are_events),
        cmocka_unit_test(stop_ends_the_run_and_only_that_run),
        cmocka_unit_test(the_library_has_a_version),
        cmocka_unit_test(no_ring_is_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
