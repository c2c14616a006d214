#include "config.h"

#include "base/scope.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/thr.h"
#include "base/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/test_scope.XXXXXX";

static char *place(const char *name)
{
    static char path[2][64];
    static int turn;
    turn ^= 1;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
    return path[turn];
}

static void aim_log(const char *name, int poller_id)
{
    const struct log_options o = {.level = LOG_ALWAYS,
                                  .destination = LOG_TO_FILE,
                                  .path = place(name),
                                  .date_separator = '/',
                                  .poller_id = poller_id,
                                  .pid = poller_id * 1000};
    log_start();
    log_configure(&o);
}

static char *read_log(const char *name)
{
    struct buf b = BUF_INIT;
    char chunk[4096];
    int fd = open(place(name), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    buf_puts(&b, "");
    for (ssize_t n; (n = read(fd, chunk, sizeof(chunk))) > 0;)
        buf_append(&b, chunk, (size_t)n);
    close(fd);
    return buf_take(&b);
}

static struct scope *enter_new(const char *log_name, int poller_id)
{
    struct scope *s = scope_new();
    assert_null(scope_enter(s));
    log_own(-1, -1);
    stream_own(NULL);
    trace_own();
    aim_log(log_name, poller_id);
    return s;
}

static void leave(struct scope *s)
{
    log_stop();
    assert_ptr_equal(scope_enter(NULL), s);
    scope_unref(s);
}

static void *say(void *arg)
{
    log_line(LOG_ALWAYS, "NOTE: %s", (const char *)arg);
    stream_emit(&(struct happening){.type = EVENT_DEVICE_UP, .device = 7});
    return NULL;
}

static void say_on_a_thread(const char *text)
{
    pthread_t t;
    assert_true(thr_start(&t, "says", say, (char *)(uintptr_t)text, NULL));
    thr_join(t);
}

static void assert_has(const char *name, const char *text, bool expected)
{
    char *all = read_log(name);
    if ((strstr(all, text) != NULL) != expected)
        fail_msg("%s %s %s:\n%s", name, expected ? "lacks" : "has", text, all);
    free(all);
}

static void test_lines_of_two_cycles_go_to_their_own_logs(void **state UNUSED)
{
    struct scope *one = enter_new("one", 1);
    struct scope *two = scope_new();
    assert_ptr_equal(scope_enter(two), one);
    log_own(-1, -1);
    aim_log("two", 2);
    say_on_a_thread("from two");
    assert_ptr_equal(scope_enter(one), two);
    say_on_a_thread("from one");
    assert_has("one", "Poller[1] PID[1000]", true);
    assert_has("one", "from one", true);
    assert_has("one", "from two", false);
    assert_has("two", "Poller[2] PID[2000]", true);
    assert_has("two", "from two", true);
    assert_has("two", "from one", false);
    leave(one);
    assert_null(scope_enter(two));
    leave(two);
}

static void test_a_verbose_cycle_leaves_the_others_quiet(void **state UNUSED)
{
    struct scope *s = enter_new("quiet", 1);
    struct log_options o = {.level = LOG_DEBUGGING, .destination = LOG_TO_NOTHING};
    log_configure(&o);
    assert_true(log_wants(LOG_DEBUGGING));
    scope_enter(NULL);
    assert_false(log_wants(LOG_DEBUGGING));
    scope_enter(s);
    leave(s);
}

static size_t take_all(struct stream_reader *r)
{
    struct stream_items items = {0};
    (void)stream_take(r, &items, clock_mono_ms());
    size_t n = items.count;
    stream_items_done(&items);
    free(items.items);
    return n;
}

static void test_events_of_a_cycle_reach_its_own_readers_only(void **state UNUSED)
{
    static const struct stream_queue queue = {.events = 16};
    struct stream_reader *outer = stream_subscribe(&queue);
    struct scope *s = enter_new("events", 1);
    struct stream_reader *inner = stream_subscribe(&queue);
    say_on_a_thread("inside");
    assert_int_equal(take_all(inner), 1);
    assert_int_equal(stream_figures().emitted, 1);
    scope_enter(NULL);
    assert_int_equal(take_all(outer), 0);
    say_on_a_thread("outside");
    assert_int_equal(take_all(outer), 1);
    scope_enter(s);
    assert_int_equal(take_all(inner), 0);
    stream_unsubscribe(inner);
    leave(s);
    stream_unsubscribe(outer);
}

static void test_the_trace_of_a_cycle_has_its_own_events(void **state UNUSED)
{
    trace_start(8);
    struct scope *s = enter_new("trace", 1);
    trace_start(8);
    say_on_a_thread("once");
    scope_enter(NULL);
    aim_log("outer trace", 3);
    trace_dump("outside");
    log_stop();
    scope_enter(s);
    trace_dump("inside");
    assert_has("trace", "last 1 events", true);
    leave(s);
    assert_has("outer trace", "last 0 events", true);
    trace_stop();
}

/* A thread that is abandoned in a call goes on to use its scope. */
struct late {
    struct thr_mutex lock;
    pthread_cond_t changed;
    bool go GUARDED;
};

static void *say_late(void *arg)
{
    struct late *late = arg;
    thr_lock(&late->lock);
    while (!late->go)
        thr_wait(&late->changed, &late->lock);
    thr_unlock(&late->lock);
    log_line(LOG_ALWAYS, "NOTE: late");
    stream_emit(&(struct happening){.type = EVENT_DEVICE_UP});
    return NULL;
}

static void test_a_thread_that_is_late_still_has_its_scope(void **state UNUSED)
{
    struct late late = {.go = false};
    pthread_t t;
    thr_mutex_init(&late.lock);
    thr_cond_init(&late.changed);
    struct scope *s = enter_new("late", 1);
    assert_true(thr_start(&t, "late", say_late, &late, NULL));
    scope_enter(NULL);
    scope_unref(s);
    thr_lock(&late.lock);
    late.go = true;
    thr_wake_all(&late.changed);
    thr_unlock(&late.lock);
    thr_join(t); /* the sanitized builds see a use of freed memory */
    assert_has("late", "NOTE: late", true);
    thr_cond_done(&late.changed);
    thr_mutex_done(&late.lock);
}

static void test_what_a_cycle_prints_goes_to_the_descriptors_it_was_given(void **state UNUSED)
{
    int fds[2];
    char got[64] = "";
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct scope *s = scope_new();
    scope_enter(s);
    log_own(fds[1], -1);
    log_start();
    assert_false(log_is_terminal(false));
    log_print(false, "printed\n");
    log_print(true, "not printed\n");
    leave(s); /* closes it */
    assert_int_equal(read(fds[0], got, sizeof(got) - 1), 8);
    assert_string_equal(got, "printed\n");
    assert_int_equal(read(fds[0], got, sizeof(got)), 0);
    close(fds[0]);
}

static int set_up_all(void **state UNUSED)
{
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int tear_down_all(void **state UNUSED)
{
    static const char *const names[] = {"one",   "two",         "quiet", "events",
                                        "trace", "outer trace", "late"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unlink(place(names[i]));
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_two_cycles_go_to_their_own_logs),
        cmocka_unit_test(test_a_verbose_cycle_leaves_the_others_quiet),
        cmocka_unit_test(test_events_of_a_cycle_reach_its_own_readers_only),
        cmocka_unit_test(test_the_trace_of_a_cycle_has_its_own_events),
        cmocka_unit_test(test_a_thread_that_is_late_still_has_its_scope),
        cmocka_unit_test(test_what_a_cycle_prints_goes_to_the_descriptors_it_was_given),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
