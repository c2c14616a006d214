/* The writer's thread over a cycle of the test's own, which notes what it is called for and can hang. */
#include "config.h"

#include "engine/writer.h"

#include "base/clock.h"
#include "base/thr.h"
#include "engine/batcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum { FAR_MS = 60000 };

static struct cycle cycle;
static struct thr_mutex lock = THR_MUTEX_INITIALIZER; /* all that follows */
static pthread_cond_t changed;
static char calls[256]; /* in their order */
static bool begin_fails, hangs, hanging, closed;
static bool has_second, second_refused, second_hangs, second_hanging;
static int64_t second_until_ms;
static int references;

static void call(const char *what, size_t rows)
{
    size_t len = strlen(calls);
    snprintf(calls + len, sizeof(calls) - len, "%s%s", len == 0 ? "" : " ", what);
    len = strlen(calls);
    if (rows > 0)
        snprintf(calls + len, sizeof(calls) - len, " %zu", rows);
    pthread_cond_broadcast(&changed);
}

/* ---- in place of the cycle and the database ---- */

struct cycle *cycle_ref(struct cycle *c)
{
    thr_lock(&lock);
    references++;
    thr_unlock(&lock);
    return c;
}

void cycle_unref(struct cycle *c UNUSED)
{
    thr_lock(&lock);
    references--;
    pthread_cond_broadcast(&changed);
    thr_unlock(&lock);
}

bool cycle_begin(struct cycle *c UNUSED, struct err *err)
{
    thr_lock(&lock);
    call("begin", 0);
    bool ok = !begin_fails;
    thr_unlock(&lock);
    return ok || err_set(err, ERR_UNAVAILABLE, "no such table");
}

void cycle_write(struct cycle *c UNUSED, struct batch *batch)
{
    thr_lock(&lock);
    call("write", batch->row_count);
    hanging = hangs;
    pthread_cond_broadcast(&changed);
    while (hangs)
        thr_wait(&changed, &lock);
    thr_unlock(&lock);
    batch_free(batch);
}

bool cycle_may_have_second(const struct cycle *c UNUSED)
{
    return has_second;
}

bool cycle_open_second(struct cycle *c UNUSED)
{
    thr_lock(&lock);
    call("open second", 0);
    bool ok = !second_refused;
    thr_unlock(&lock);
    return ok;
}

void cycle_write_second(struct cycle *c UNUSED, struct batch *batch)
{
    thr_lock(&lock);
    call("second", batch->row_count);
    second_hanging = second_hangs;
    pthread_cond_broadcast(&changed);
    while (second_hangs)
        thr_wait(&changed, &lock);
    thr_unlock(&lock);
    batch_free(batch);
}

int64_t cycle_second_until(const struct cycle *c UNUSED)
{
    return second_until_ms;
}

void cycle_lose_second(struct cycle *c UNUSED)
{
    thr_lock(&lock);
    call("lose second", 0);
    thr_unlock(&lock);
}

void cycle_end(struct cycle *c UNUSED)
{
    thr_lock(&lock);
    call("end", 0);
    thr_unlock(&lock);
}

void store_close(struct store *s UNUSED)
{
    thr_lock(&lock);
    closed = true;
    pthread_cond_broadcast(&changed);
    thr_unlock(&lock);
}

void db_thread_start(void)
{
}

void db_thread_stop(void)
{
}

/* ---- the driver ---- */

static void on_change(void *arg UNUSED)
{
}

static int begin(void **state UNUSED)
{
    thr_lock(&lock);
    calls[0] = '\0';
    begin_fails = hangs = hanging = closed = false;
    has_second = second_refused = second_hangs = second_hanging = false;
    second_until_ms = INT64_MAX;
    thr_unlock(&lock);
    return 0;
}

static struct writer *start(void)
{
    struct writer *w = writer_new(&cycle, on_change, NULL, NULL);
    assert_non_null(w);
    writer_begin(w);
    assert_true(writer_wait(w, WRITER_BEGUN, clock_mono_ms() + FAR_MS));
    return w;
}

static void put(struct writer *w, uint32_t count)
{
    struct batch *b = batch_new();
    for (uint32_t i = 0; i < count; i++) {
        const struct output_row row = {
            .local_data_id = i, .rrd_name = "in", .output = "1", .output_len = 1};
        batch_add_row(b, &row);
    }
    writer_put(w, b);
}

static void set(bool *what, bool yes)
{
    thr_lock(&lock);
    *what = yes;
    pthread_cond_broadcast(&changed);
    thr_unlock(&lock);
}

static void await(const bool *what, bool wanted)
{
    int64_t until = clock_mono_ms() + FAR_MS;
    bool in_time = true;
    thr_lock(&lock);
    while (in_time && *what != wanted)
        in_time = thr_wait_until(&changed, &lock, until);
    thr_unlock(&lock);
    assert_true(in_time);
}

static void await_references(int wanted)
{
    int64_t until = clock_mono_ms() + FAR_MS;
    bool in_time = true;
    thr_lock(&lock);
    while (in_time && references != wanted)
        in_time = thr_wait_until(&changed, &lock, until);
    thr_unlock(&lock);
    assert_true(in_time);
}

/* A writer that has ended. */
static void end(struct writer *w)
{
    struct batch *waiting;
    assert_true(writer_join(w, &waiting));
    assert_null(waiting);
    writer_unref(w);
    assert_int_equal(references, 0);
}

/* ---- cases ---- */

static void what_was_put_is_written_together_and_then_the_row_is_closed(void **state UNUSED)
{
    struct writer *w = start();
    set(&hangs, true);
    put(w, BATCHER_ROWS); /* due at once */
    await(&hanging, true);
    put(w, 2);
    put(w, 3);
    assert_int_equal(writer_rows(w), 5);
    writer_end(w);
    set(&hangs, false);
    assert_true(writer_wait(w, WRITER_ENDED, clock_mono_ms() + FAR_MS));
    end(w);
    assert_string_equal(calls, "begin write 1000 write 5 end");
    assert_false(closed); /* the store is the cycle's */
}

static void one_that_was_not_told_to_begin_opens_nothing(void **state UNUSED)
{
    struct writer *w = writer_new(&cycle, on_change, NULL, NULL);
    assert_non_null(w);
    end(w);
    assert_string_equal(calls, "");
}

static void a_site_that_cannot_be_loaded_is_told_and_the_row_closed(void **state UNUSED)
{
    struct err err = ERR_INIT;
    begin_fails = true;
    struct writer *w = start();
    assert_false(writer_get_begun(w, &err));
    assert_string_equal(err.text, "no such table");
    writer_end(w);
    assert_true(writer_wait(w, WRITER_ENDED, clock_mono_ms() + FAR_MS));
    end(w);
    assert_string_equal(calls, "begin end");
}

static void too_many_rows_leave_no_room_until_polling_is_over(void **state UNUSED)
{
    struct writer *w = start();
    set(&hangs, true);
    put(w, BATCHER_ROWS);
    await(&hanging, true);
    assert_true(writer_is(w, WRITER_ROOM));
    put(w, BATCHER_ROWS_MAX);
    assert_false(writer_is(w, WRITER_ROOM));
    assert_false(writer_wait(w, WRITER_ROOM, clock_mono_ms()));
    writer_relax(w);
    assert_true(writer_is(w, WRITER_ROOM));
    writer_end(w);
    set(&hangs, false);
    assert_true(writer_wait(w, WRITER_ENDED, clock_mono_ms() + FAR_MS));
    end(w);
    assert_string_equal(calls, "begin write 1000 write 8000 end");
}

/* A polling thread of the legacy loop may hang, too, and put its rows when it returns. */
static void a_lost_writer_gives_back_what_waits_and_lives_as_long_as_it_is_used(void **state UNUSED)
{
    struct batch *waiting;
    has_second = true;
    struct writer *w = start();
    set(&hangs, true);
    put(w, 1);
    writer_end(w);
    await(&hanging, true);
    put(w, 2);
    assert_false(writer_join(w, &waiting));
    assert_non_null(waiting);
    assert_int_equal(waiting->row_count, 2);
    batch_free(waiting);
    set(&hangs, false);
    await(&closed, true);
    put(w, 3);
    writer_unref(w);
    await_references(0);
    assert_string_equal(calls, "begin write 1"); /* it has done nothing more */
}

static void a_second_writer_stores_while_the_first_one_is_busy(void **state UNUSED)
{
    has_second = true;
    struct writer *w = start();
    put(w, 1);
    set(&hangs, true);
    set(&second_hangs, true);
    put(w, BATCHER_ROWS);
    await(&hanging, true);
    put(w, BATCHER_ROWS);
    await(&second_hanging, true);
    put(w, 7);
    writer_end(w);
    set(&hangs, false);
    assert_false(writer_wait(w, WRITER_ENDED, clock_mono_ms())); /* it waits for the second */
    set(&second_hangs, false);
    assert_true(writer_wait(w, WRITER_ENDED, clock_mono_ms() + FAR_MS));
    end(w);
    assert_non_null(strstr(calls, "open second second 1000 write 7 end"));
    assert_null(strstr(calls, "lose"));
}

static void a_second_writer_that_is_not_needed_opens_nothing(void **state UNUSED)
{
    has_second = true;
    struct writer *w = start();
    put(w, 5);
    writer_end(w);
    assert_true(writer_wait(w, WRITER_ENDED, clock_mono_ms() + FAR_MS));
    end(w);
    assert_string_equal(calls, "begin write 5 end");
}

static void without_a_second_connection_the_first_writer_stores_all(void **state UNUSED)
{
    has_second = second_refused = true;
    struct writer *w = start();
    set(&hangs, true);
    put(w, BATCHER_ROWS);
    await(&hanging, true);
    put(w, BATCHER_ROWS);
    writer_end(w);
    set(&hangs, false);
    assert_true(writer_wait(w, WRITER_ENDED, clock_mono_ms() + FAR_MS));
    end(w);
    assert_null(strstr(calls, "second 1"));
    assert_non_null(strstr(calls, "write 1000 end"));
}

static void a_lost_second_writer_does_not_keep_the_row_open(void **state UNUSED)
{
    has_second = second_hangs = true;
    size_t before = cycle.left_behind;
    struct writer *w = start();
    set(&hangs, true);
    put(w, BATCHER_ROWS);
    await(&hanging, true);
    put(w, BATCHER_ROWS);
    await(&second_hanging, true);
    second_until_ms = clock_mono_ms();
    writer_end(w);
    set(&hangs, false);
    assert_true(writer_wait(w, WRITER_ENDED, clock_mono_ms() + FAR_MS));
    struct batch *waiting;
    assert_true(writer_join(w, &waiting));
    assert_null(waiting);
    assert_int_equal(cycle.left_behind, before + 1);
    writer_unref(w);
    assert_non_null(strstr(calls, "second 1000 lose second end"));
    set(&second_hangs, false);
    await_references(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_put_is_written_together_and_then_the_row_is_closed, begin),
        cmocka_unit_test_setup(one_that_was_not_told_to_begin_opens_nothing, begin),
        cmocka_unit_test_setup(a_site_that_cannot_be_loaded_is_told_and_the_row_closed, begin),
        cmocka_unit_test_setup(too_many_rows_leave_no_room_until_polling_is_over, begin),
        cmocka_unit_test_setup(a_second_writer_stores_while_the_first_one_is_busy, begin),
        cmocka_unit_test_setup(a_second_writer_that_is_not_needed_opens_nothing, begin),
        cmocka_unit_test_setup(without_a_second_connection_the_first_writer_stores_all, begin),
        cmocka_unit_test_setup(a_lost_second_writer_does_not_keep_the_row_open, begin),
        cmocka_unit_test_setup(a_lost_writer_gives_back_what_waits_and_lives_as_long_as_it_is_used,
                               begin),
    };
    thr_cond_init(&changed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
