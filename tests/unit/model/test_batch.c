#include "config.h"

#include "model/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void add(struct batch *b, uint32_t id, const char *output, size_t len)
{
    struct output_row row = {.local_data_id = id,
                             .rrd_name = "load",
                             .time = 1700000000,
                             .output = output,
                             .output_len = len};
    batch_add_row(b, &row);
}

static void rows_survive_their_source(void **state)
{
    (void)state;
    struct batch *b = batch_new();
    char name[] = "traffic_in";
    char output[] = "1\0002";
    char error[] = "no answer";
    batch_add_row(b, &(struct output_row){7, name, 1700000000, output, 3});
    batch_add_host(
        b, &(struct host_row){.device_id = 3, .has_status = true, .status.last_error = error});
    memset(name, 'x', sizeof(name) - 1);
    memset(output, 'x', sizeof(output) - 1);
    memset(error, 'x', sizeof(error) - 1);
    assert_int_equal(b->row_count, 1);
    assert_string_equal(b->rows[0].rrd_name, "traffic_in");
    assert_int_equal(b->rows[0].output_len, 3);
    assert_memory_equal(b->rows[0].output, "1\0002", 4);
    assert_string_equal(b->hosts[0].status.last_error, "no answer");
    batch_free(b);
}

static void missing_texts_are_empty(void **state)
{
    (void)state;
    struct batch *b = batch_new();
    batch_add_row(b, &(struct output_row){.local_data_id = 1, .output_len = 9});
    batch_add_host(b, &(struct host_row){.device_id = 1});
    assert_string_equal(b->rows[0].rrd_name, "");
    assert_string_equal(b->rows[0].output, "");
    assert_int_equal(b->rows[0].output_len, 0);
    assert_string_equal(b->hosts[0].status.last_error, "");
    batch_free(b);
}

static void merging_keeps_the_order(void **state)
{
    (void)state;
    struct batch *all = batch_new();
    for (uint32_t part = 0; part < 10; part++) {
        struct batch *b = batch_new();
        for (uint32_t i = 0; i < 100; i++) {
            char text[16];
            int len = snprintf(text, sizeof(text), "%u", part * 100 + i);
            add(b, part * 100 + i, text, (size_t)len);
        }
        batch_add_host(b, &(struct host_row){.device_id = part, .polling_time = part});
        batch_merge(all, b);
    }
    assert_int_equal(all->row_count, 1000);
    assert_int_equal(all->host_count, 10);
    for (uint32_t i = 0; i < 1000; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%u", i);
        assert_int_equal(all->rows[i].local_data_id, i);
        assert_string_equal(all->rows[i].output, text);
    }
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(all->hosts[i].device_id, i);
    batch_free(all);
}

static void merging_nothing_changes_nothing(void **state)
{
    (void)state;
    struct batch *b = batch_new();
    batch_merge(b, batch_new());
    assert_int_equal(b->row_count, 0);
    add(b, 1, "1", 1);
    batch_merge(b, batch_new());
    assert_int_equal(b->row_count, 1);
    batch_free(b);
    batch_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_survive_their_source),
        cmocka_unit_test(missing_texts_are_empty),
        cmocka_unit_test(merging_keeps_the_order),
        cmocka_unit_test(merging_nothing_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
