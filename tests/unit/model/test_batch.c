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

static void system_information_survives_its_source(void **state)
{
    (void)state;
    struct batch *b = batch_new();
    char name[] = "router";
    struct system_info info = {.name = name, .has_uptime = true, .uptime_ticks = 77};
    batch_add_host(b, &(struct host_row){.device_id = 3, .system = &info});
    batch_add_host(b, &(struct host_row){.device_id = 4});
    memset(name, 'x', sizeof(name) - 1);
    info.uptime_ticks = 0;
    struct batch *all = batch_new();
    batch_add_host(all, &(struct host_row){.device_id = 2});
    batch_merge(all, b); /* a copy of the copy; the first is freed */
    assert_int_equal(all->host_count, 3);
    const struct system_info *kept = all->hosts[1].system;
    assert_string_equal(kept->name, "router");
    assert_null(kept->descr);
    assert_null(kept->location);
    assert_true(kept->has_uptime);
    assert_int_equal(kept->uptime_ticks, 77);
    assert_null(all->hosts[2].system);
    batch_free(all);
}

/* NULL: the device has not told it. */
static void every_text_of_a_system_survives_or_stays_absent(void **state)
{
    const struct system_info infos[] = {
        {.descr = "d", .object_id = "o", .contact = "c", .name = "n", .location = "l"},
        {.descr = NULL, .object_id = NULL, .contact = NULL, .name = NULL, .location = NULL}};
    (void)state;
    struct batch *b = batch_new();
    for (size_t i = 0; i < 2; i++)
        batch_add_host(b, &(struct host_row){.device_id = 1, .system = &infos[i]});
    const struct system_info *full = b->hosts[0].system, *none = b->hosts[1].system;
    assert_string_equal(full->descr, "d");
    assert_string_equal(full->object_id, "o");
    assert_string_equal(full->contact, "c");
    assert_string_equal(full->name, "n");
    assert_string_equal(full->location, "l");
    assert_null(none->descr);
    assert_null(none->object_id);
    assert_null(none->contact);
    assert_null(none->name);
    assert_null(none->location);
    batch_free(b);
}

static void reindex_rows_survive_their_source(void **state)
{
    (void)state;
    struct batch *b = batch_new();
    char arg1[] = ".1.3.6";
    char value[] = "12";
    batch_add_recache(b, &(struct recache_row){3, 5});
    batch_add_assert(b, &(struct assert_row){3, 5, arg1, value});
    batch_add_assert(b, &(struct assert_row){3, 6, NULL, NULL});
    memset(arg1, 'x', sizeof(arg1) - 1);
    memset(value, 'x', sizeof(value) - 1);
    struct batch *all = batch_new();
    batch_add_recache(all, &(struct recache_row){1, 1});
    batch_add_assert(all, &(struct assert_row){1, 1, "a", "b"});
    batch_merge(all, b);
    assert_int_equal(all->recache_count, 2);
    assert_int_equal(all->recaches[1].device_id, 3);
    assert_int_equal(all->recaches[1].data_query_id, 5);
    assert_int_equal(all->assert_count, 3);
    assert_string_equal(all->asserts[1].arg1, ".1.3.6");
    assert_string_equal(all->asserts[1].value, "12");
    assert_string_equal(all->asserts[2].arg1, "");
    assert_string_equal(all->asserts[2].value, "");
    batch_free(all);
}

static void merging_into_an_empty_batch_keeps_everything(void **state)
{
    (void)state;
    struct batch *all = batch_new();
    struct batch *b = batch_new();
    batch_add_recache(b, &(struct recache_row){3, 5});
    batch_merge(all, b);
    b = batch_new();
    batch_add_assert(b, &(struct assert_row){3, 5, "a", "1"});
    add(b, 9, "1", 1);
    batch_merge(all, b);
    assert_int_equal(all->recache_count, 1);
    assert_int_equal(all->assert_count, 1);
    assert_int_equal(all->row_count, 1);
    batch_free(all);
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
        cmocka_unit_test(system_information_survives_its_source),
        cmocka_unit_test(every_text_of_a_system_survives_or_stays_absent),
        cmocka_unit_test(reindex_rows_survive_their_source),
        cmocka_unit_test(merging_into_an_empty_batch_keeps_everything),
        cmocka_unit_test(merging_keeps_the_order),
        cmocka_unit_test(merging_nothing_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
