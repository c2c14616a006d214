/* The real engine/loader and engine/cycle on a database of our own (fake_store).  The test is the driver: it takes devices
 * as if they were polled. */
#include "config.h"

#include "../support/within.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thr.h"
#include "engine/cycle.h"
#include "engine/loader.h"
#include "fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEVICES = 1200, ITEMS = 20, FIRST_SLICE = 64 };

static struct config config;
static struct services services;
static struct store *store;
static struct cycle *cycle;
static struct loader *loader;

static void on_change(void *arg)
{
    (void)arg;
}

static void start(struct fake_store database)
{
    struct err err = ERR_INIT;
    fake_store = database;
    config = (struct config){.poller_id = 1,
                             .pid = (int)getpid(),
                             .poller_interval_s = 300,
                             .active_profiles = 1,
                             .db_connections = 2,
                             .db = {.host = "local"},
                             .spool_file = "",
                             .log = {.level = LOG_ALWAYS, .destination = LOG_TO_NOTHING}};
    db_thread_start();
    store = store_open(&config.db, 0, &err);
    cycle = cycle_new(&config, store, clock_mono_us(), &err);
    assert_non_null(cycle);
    loader = loader_new(cycle, &services, on_change, NULL, &err);
    assert_non_null(loader);
    assert_true(cycle_begin(cycle, &err));
    loader_begin(loader);
}

static struct ledger_figures finish(void)
{
    assert_true(loader_end(loader, INT64_MAX));
    loader_drop_rest(loader);
    loader_unref(loader);
    cycle_end(cycle);
    struct ledger_figures figures = ledger_get(&cycle->ledger);
    cycle_unref(cycle);
    store_close(store);
    buf_done(&fake_store.calls);
    buf_done(&fake_store.reader_calls);
    db_thread_stop();
    return figures;
}

/* Takes up to `most` devices; their number.  Ids ascend. */
static size_t take(size_t most, uint32_t *last)
{
    const struct device *d;
    size_t count = 0;
    while (count < most && loader_wait(loader, &d) == LOADER_DEVICE) {
        assert_true(d->id > *last);
        assert_int_equal(d->item_count, ITEMS);
        assert_int_equal(cycle->roster.entries[d->place].id, d->id);
        *last = d->id;
        device_unref(d);
        count++;
    }
    return count;
}

static const struct fake_store site = {
    .groups = {{.hostname = "a", .devices = DEVICES, .items = ITEMS}}};

static void all_devices_come_once_and_in_order(void **state)
{
    (void)state;
    uint32_t last = 0;
    start(site);
    assert_int_equal(take(SIZE_MAX, &last), DEVICES);
    assert_int_equal(last, DEVICES);
    assert_int_equal(cycle->items_due, DEVICES * ITEMS);
    assert_string_equal(buf_str(&fake_store.calls), "open load ");
    assert_string_equal(buf_str(&fake_store.reader_calls), "load ");
    assert_int_equal(finish().dropped, 0);
}

static void only_what_comes_next_is_read(void **state)
{
    (void)state;
    uint32_t last = 0;
    start(site);
    assert_int_equal(take(FIRST_SLICE + 1, &last), FIRST_SLICE + 1); /* it has read ahead by now */
    size_t read = cycle->items_due / ITEMS;
    assert_within(read, FIRST_SLICE + 1, FIRST_SLICE + 1 + 2 * LOADER_ITEMS_AHEAD / ITEMS);
    struct ledger_figures figures = finish();
    assert_int_equal(figures.dropped, DEVICES - FIRST_SLICE - 1);
    assert_int_equal(figures.devices, figures.dropped);
    assert_true(figures.unfinished % ITEMS == 0 &&
                figures.unfinished > 0); /* of those that were read */
}

static void one_slice_needs_no_second_connection(void **state)
{
    (void)state;
    uint32_t last = 0;
    start(
        (struct fake_store){.groups = {{.hostname = "a", .devices = FIRST_SLICE, .items = ITEMS}}});
    assert_int_equal(take(SIZE_MAX, &last), FIRST_SLICE);
    assert_string_equal(buf_str(&fake_store.reader_calls), "");
    finish();
}

static void without_a_second_connection_the_first_serves_both(void **state)
{
    (void)state;
    uint32_t last = 0;
    struct fake_store refusing = site;
    refusing.reader_refused = true;
    start(refusing);
    assert_int_equal(take(SIZE_MAX, &last), DEVICES);
    assert_string_equal(buf_str(&fake_store.reader_calls), "");
    assert_int_equal(finish().dropped, 0);
}

static void a_device_that_was_deleted_meanwhile_is_left_out(void **state)
{
    (void)state;
    uint32_t last = 0;
    struct fake_store changed = site;
    changed.gone = 700;
    start(changed);
    assert_int_equal(take(SIZE_MAX, &last), DEVICES - 1);
    assert_int_equal(cycle->items_due, (DEVICES - 1) * ITEMS);
    assert_int_equal(finish().dropped, 0);
}

static void deleted_devices_are_counted_but_not_read(void **state)
{
    (void)state;
    uint32_t last = 0;
    start((struct fake_store){
        .groups = {{.hostname = "a", .devices = 60, .items = ITEMS},
                   {.hostname = "b", .devices = 300, .items = 1, .deleted = true},
                   {.hostname = "c", .devices = 60, .items = ITEMS},
                   {.hostname = "d", .devices = 9, .items = 1, .deleted = true}}});
    assert_int_equal(take(SIZE_MAX, &last), 120);
    assert_int_equal(cycle->roster.count, 429);
    assert_int_equal(finish().dropped, 0);
}

static void devices_that_cannot_be_read_are_dropped(void **state)
{
    (void)state;
    uint32_t last = 0;
    struct fake_store failing = site;
    failing.slices_end_at = 200;
    start(failing);
    size_t taken = take(SIZE_MAX, &last);
    assert_within(taken, FIRST_SLICE, DEVICES - 1);
    struct ledger_figures figures = finish();
    assert_int_equal(figures.dropped, DEVICES - taken);
    assert_int_equal(figures.unfinished, 0); /* it is not known how many items they have */
}

static void after_a_stop_nothing_is_handed_out(void **state)
{
    (void)state;
    const struct device *d;
    start((struct fake_store){.groups = {{.hostname = "a", .devices = 1, .items = 1}}});
    loader_stop(loader);
    assert_int_equal(loader_take(loader, &d), LOADER_OVER);
    assert_int_equal(finish().dropped, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_devices_come_once_and_in_order),
        cmocka_unit_test(only_what_comes_next_is_read),
        cmocka_unit_test(one_slice_needs_no_second_connection),
        cmocka_unit_test(without_a_second_connection_the_first_serves_both),
        cmocka_unit_test(a_device_that_was_deleted_meanwhile_is_left_out),
        cmocka_unit_test(deleted_devices_are_counted_but_not_read),
        cmocka_unit_test(devices_that_cannot_be_read_are_dropped),
        cmocka_unit_test(after_a_stop_nothing_is_handed_out),
    };
    log_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_stop();
    return failed;
}
