#include "config.h"

#include "engine/batcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct batch *batch_of(uint32_t first, uint32_t count, size_t width)
{
    static char text[1 << 16];
    struct batch *b = batch_new();
    memset(text, '1', sizeof(text));
    for (uint32_t i = first; i < first + count; i++) {
        const struct output_row row = {.local_data_id = i,
                                       .rrd_name = "in",
                                       .time = 1700000000,
                                       .output = text,
                                       .output_len = width};
        batch_add_row(b, &row);
    }
    return b;
}

static void put(struct batcher *b, uint32_t first, uint32_t count, int64_t now_ms)
{
    batcher_put(b, batch_of(first, count, 1), now_ms);
}

static void nothing_waits_at_first(void **state)
{
    struct batcher b = {0};
    (void)state;
    assert_false(batcher_is_due(&b, INT64_MAX - 1));
    assert_true(batcher_due_ms(&b) == INT64_MAX);
    assert_false(batcher_is_overfull(&b));
    assert_int_equal(batcher_rows(&b), 0);
    assert_null(batcher_take(&b));
}

static void the_oldest_row_sets_the_time(void **state)
{
    struct batcher b = {0};
    (void)state;
    put(&b, 1, 1, 1000);
    put(&b, 2, 1, 1200);
    assert_int_equal(batcher_due_ms(&b), 1000 + BATCHER_WAIT_MS);
    assert_false(batcher_is_due(&b, 1000 + BATCHER_WAIT_MS - 1));
    assert_true(batcher_is_due(&b, 1000 + BATCHER_WAIT_MS));
    batch_free(batcher_take(&b));
    put(&b, 3, 1, 5000);
    assert_int_equal(batcher_due_ms(&b), 5000 + BATCHER_WAIT_MS);
    batch_free(batcher_take(&b));
}

static void enough_rows_are_due_at_once(void **state)
{
    struct batcher b = {0};
    (void)state;
    put(&b, 1, BATCHER_ROWS - 1, 1000);
    assert_false(batcher_is_due(&b, 1000));
    put(&b, BATCHER_ROWS, 1, 1000);
    assert_true(batcher_is_due(&b, 1000));
    assert_true(batcher_due_ms(&b) <= 1000);
    batch_free(batcher_take(&b));
}

static void enough_hosts_are_due_at_once(void **state)
{
    struct batcher b = {0};
    struct batch *hosts = batch_new();
    (void)state;
    for (uint32_t i = 0; i < BATCHER_HOSTS; i++) {
        const struct host_row host = {.device_id = i, .status = {.last_error = ""}};
        assert_false(batcher_is_due(&(struct batcher){.waiting = hosts}, -1));
        batch_add_host(hosts, &host);
    }
    batcher_put(&b, hosts, 7);
    assert_true(batcher_is_due(&b, 7));
    batch_free(batcher_take(&b));
}

static void rows_keep_their_order_and_none_is_lost(void **state)
{
    struct batcher b = {0};
    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        put(&b, i * 10, 10, i);
    struct batch *all = batcher_take(&b);
    assert_int_equal(all->row_count, 1000);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(all->rows[i].local_data_id, i);
    batch_free(all);
}

static void too_many_rows_hold_back(void **state)
{
    struct batcher b = {0};
    (void)state;
    put(&b, 1, BATCHER_ROWS_MAX - 1, 0);
    assert_false(batcher_is_overfull(&b));
    put(&b, BATCHER_ROWS_MAX, 1, 0);
    assert_true(batcher_is_overfull(&b));
    batch_free(batcher_take(&b));
    assert_false(batcher_is_overfull(&b));
}

static void too_many_bytes_hold_back(void **state)
{
    struct batcher b = {0};
    (void)state;
    batcher_put(&b, batch_of(1, 127, 1 << 16), 0);
    assert_false(batcher_is_overfull(&b));
    batcher_put(&b, batch_of(200, 2, 1 << 16), 0);
    assert_true(batcher_is_overfull(&b));
    batch_free(batcher_take(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_waits_at_first),
        cmocka_unit_test(the_oldest_row_sets_the_time),
        cmocka_unit_test(enough_rows_are_due_at_once),
        cmocka_unit_test(enough_hosts_are_due_at_once),
        cmocka_unit_test(rows_keep_their_order_and_none_is_lost),
        cmocka_unit_test(too_many_rows_hold_back),
        cmocka_unit_test(too_many_bytes_hold_back),
    };
    return cmocka_run_group_tests_name("batcher", tests, NULL, NULL);
}
