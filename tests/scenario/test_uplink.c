/* A collector's cycle by the real engine/cycle and engine/uplink, on two databases of our own (fake_store).  The test is
 * the driver: it hands over batches as if devices had given them. */
#include "config.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thr.h"
#include "engine/cycle.h"
#include "fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct config config;
static struct cycle *cycle;
static struct ledger_figures figures; /* at the end */
static int64_t stop_by_mono_ms;       /* a stop signal comes before the cycle begins; 0 = none */

static void start(struct fake_store databases)
{
    struct err err = ERR_INIT;
    fake_store = databases;
    fake_store.remote = true;
    config.poller_id = 2;
    config.pid = (int)getpid();
    config.poller_interval_s = 300;
    config.active_profiles = 2;
    config.db.host = "local";
    config.rdb.host = "main";
    config.rdb_patience_ms = 1000;
    config.spool_file = "";
    config.log = (struct log_options){.level = LOG_ALWAYS, .destination = LOG_TO_NOTHING};
    db_thread_start();
    struct store *store = store_open(&config.db, 0, &err);
    cycle = cycle_new(&config, store, clock_mono_us(), &err);
    assert_non_null(cycle);
    cycle->uplink = uplink_start(&config, &err);
    assert_non_null(cycle->uplink);
    bool gone = databases.main_is_gone || databases.main_takes == 0;
    assert_int_equal(uplink_threads(cycle->uplink), gone ? 0 : 7);
    if (stop_by_mono_ms != 0)
        uplink_hurry(cycle->uplink, stop_by_mono_ms);
    assert_true(cycle_begin(cycle, &err));
    assert_int_equal(cycle->output_chars, gone ? 0 : 900); /* the main server's, if it has said */
    assert_int_equal(cycle->boost_chars, gone ? 0 : 600);
}

static struct batch *rows(uint32_t first, uint32_t count)
{
    struct batch *b = batch_new();
    for (uint32_t i = first; i < first + count; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%u", i);
        struct output_row row = {i, "traffic_in", 1700000000, text, strlen(text)};
        batch_add_row(b, &row);
    }
    return b;
}

static void put_host(struct batch *b, uint32_t id)
{
    struct host_row host = {.device_id = id, .has_status = true, .status = {.last_error = ""}};
    batch_add_host(b, &host);
}

static void leave(void)
{
    figures = ledger_get(&cycle->ledger);
    fake_store_sort(); /* nothing is written twice */
    assert_int_equal(figures.stored, fake_store.rows);
    assert_int_equal(figures.kept, fake_store.kept);
    uplink_free(cycle->uplink);
    store_close(cycle->store);
    cycle_unref(cycle);
    db_thread_stop();
}

static void end(void)
{
    cycle_end(cycle);
    leave();
}

/* The database thread is lost; `values` values were collected, and some of them have not been
 * written. */
static void end_without_writer(size_t values, struct batch *waiting)
{
    const struct device device = {.id = 1};
    const struct devrun_result result = {.values = values};
    ledger_device_finished(&cycle->ledger, &device, &result);
    cycle_end_without_writer(cycle, waiting);
    leave();
}

static int tear_down(void **state)
{
    (void)state;
    buf_done(&fake_store.calls);
    buf_done(&fake_store.main_calls);
    buf_done(&fake_store.boost_calls);
    buf_done(&fake_store.results);
    memset(&config, 0, sizeof(config));
    return 0;
}

static void values_go_to_the_main_server_and_status_stays_here(void **state)
{
    (void)state;
    start((struct fake_store){.main_takes = -1});
    struct batch *b = rows(1, 3);
    put_host(b, 5);
    struct recache_row recache = {.device_id = 5, .data_query_id = 1};
    batch_add_recache(b, &recache);
    cycle_write(cycle, b);
    end();
    assert_string_equal(buf_str(&fake_store.calls), "load write ");
    assert_string_equal(buf_str(&fake_store.main_calls), "open write recache hosts steps close ");
    assert_string_equal(buf_str(&fake_store.boost_calls), "");
    assert_string_equal(buf_str(&fake_store.results),
                        "host 5 status 0 polls 0 failed 0 \nrow 1 1\nrow 2 2\nrow 3 3\n");
    assert_int_equal(figures.stored, 3);
    assert_false(figures.failed);
}

static void a_cycle_without_devices_is_closed_and_pushed(void **state)
{
    (void)state;
    start((struct fake_store){.main_takes = -1});
    end();
    assert_string_equal(buf_str(&fake_store.main_calls), "open hosts steps close ");
    assert_false(figures.failed);
}

static void read_only_writes_to_neither(void **state)
{
    (void)state;
    config.read_only = true;
    start((struct fake_store){.main_takes = -1});
    store_set_read_only(cycle->store, true);
    struct batch *b = rows(1, 3);
    put_host(b, 5);
    cycle_write(cycle, b);
    end();
    assert_string_equal(buf_str(&fake_store.calls), "load ");
    assert_string_equal(buf_str(&fake_store.main_calls), "");
    assert_string_equal(buf_str(&fake_store.boost_calls), "");
}

static void pings_alone_push_status_and_open_no_row(void **state)
{
    (void)state;
    config.ping_only = true;
    start((struct fake_store){.main_takes = -1});
    struct batch *b = batch_new();
    put_host(b, 5);
    cycle_write(cycle, b);
    end();
    assert_string_equal(buf_str(&fake_store.calls), "load write ");
    assert_string_equal(buf_str(&fake_store.main_calls), "hosts ");
}

/* Wherever it breaks: each row is in one database, and in one only. */
static void what_a_lost_main_server_has_not_taken_is_kept(void **state)
{
    static const uint32_t batches[] = {1001, 500, 1};
    static const int edges[] = {0, 1, 499, 500, 501, 999, 1000, 1001, 1500, 1501};
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        start((struct fake_store){.main_takes = edges[i]});
        uint32_t next = 1;
        for (size_t k = 0; k < ARRAY_LEN(batches); k++) {
            cycle_write(cycle, rows(next, batches[k]));
            next += batches[k];
        }
        end();
        assert_int_equal(figures.stored, edges[i]);
        assert_int_equal(figures.kept, 1502 - edges[i]);
        assert_int_equal(figures.lost, 0);
        tear_down(state);
    }
}

static void a_command_the_main_server_has_not_taken_is_kept(void **state)
{
    (void)state;
    start((struct fake_store){.main_takes = 0});
    struct batch *b = rows(1, 1);
    struct recache_row recache = {.device_id = 5, .data_query_id = 1};
    batch_add_recache(b, &recache);
    cycle_write(cycle, b);
    end();
    assert_string_equal(buf_str(&fake_store.boost_calls), "write recache ");
}

static void without_a_main_server_all_is_kept_and_said(void **state)
{
    (void)state;
    start((struct fake_store){.main_takes = -1, .main_is_gone = true});
    cycle_write(cycle, rows(1, 2000));
    cycle_write(cycle, rows(2001, 2000));
    end();
    assert_int_equal(figures.kept, 4000);
    assert_true(figures.failed); /* poller.php waits for a row that is not there */
}

static void a_stop_before_the_begin_is_not_forgotten(void **state)
{
    (void)state;
    stop_by_mono_ms = clock_mono_ms() + 3000;
    start((struct fake_store){.main_takes = -1, .main_is_gone = true});
    cycle_write(cycle, rows(1, 10));
    end();
    assert_int_equal(figures.kept, 10);
    assert_int_equal(fake_store_boost_until, stop_by_mono_ms);
    stop_by_mono_ms = 0;
}

static void what_no_database_takes_is_counted_lost(void **state)
{
    (void)state;
    start((struct fake_store){.main_takes = 500, .boost_fails = true});
    cycle_write(cycle, rows(1, 2000));
    end();
    assert_int_equal(figures.stored, 500);
    assert_int_equal(figures.lost, 1500);
    assert_true(figures.failed);
}

static void a_lost_database_thread_takes_nothing_from_what_the_main_server_has(void **state)
{
    (void)state;
    start((struct fake_store){.main_takes = -1});
    cycle_write(cycle, rows(1, 10));
    end_without_writer(15, rows(11, 5));
    assert_string_equal(buf_str(&fake_store.main_calls), "open write close ");
    assert_int_equal(figures.stored, 10);
    assert_int_equal(figures.lost, 5); /* there is no spool file */
    assert_true(figures.failed);
}

static void a_lost_database_thread_loses_only_what_no_database_takes(void **state)
{
    (void)state;
    start((struct fake_store){.main_takes = 500});
    cycle_write(cycle, rows(1, 2000));
    end_without_writer(2000, NULL);
    assert_int_equal(figures.stored, 500);
    assert_int_equal(figures.kept, 1500);
    assert_int_equal(figures.lost, 0);
}

/* More than the queue holds: who puts waits, nothing is lost. */
static void a_slow_main_server_holds_back(void **state)
{
    (void)state;
    start((struct fake_store){.main_takes = -1});
    for (uint32_t i = 0; i < 100; i++)
        cycle_write(cycle, rows(i * 1000 + 1, 1000));
    end();
    assert_int_equal(figures.stored, 100000);
}

static void a_run_that_never_began_writes_nothing(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    fake_store = (struct fake_store){.remote = true, .main_takes = -1};
    config = (struct config){.poller_id = 2,
                             .pid = (int)getpid(),
                             .db.host = "local",
                             .rdb.host = "main",
                             .rdb_patience_ms = 1000,
                             .spool_file = ""};
    struct uplink *u = uplink_start(&config, &err);
    assert_non_null(u);
    uplink_free(u);
    assert_string_equal(buf_str(&fake_store.main_calls), "");
    uplink_free(NULL);
}

#define TEST(f) cmocka_unit_test_teardown(f, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_go_to_the_main_server_and_status_stays_here),
        TEST(a_cycle_without_devices_is_closed_and_pushed),
        TEST(read_only_writes_to_neither),
        TEST(pings_alone_push_status_and_open_no_row),
        TEST(what_a_lost_main_server_has_not_taken_is_kept),
        TEST(a_command_the_main_server_has_not_taken_is_kept),
        TEST(without_a_main_server_all_is_kept_and_said),
        TEST(a_stop_before_the_begin_is_not_forgotten),
        TEST(what_no_database_takes_is_counted_lost),
        TEST(a_lost_database_thread_takes_nothing_from_what_the_main_server_has),
        TEST(a_lost_database_thread_loses_only_what_no_database_takes),
        TEST(a_slow_main_server_holds_back),
        TEST(a_run_that_never_began_writes_nothing),
    };
    log_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_stop();
    return failed;
}
