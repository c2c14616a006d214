#include "config.h"

#include "engine/ledger.h"

#include "base/log.h"
#include "base/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct output_row row = {.local_data_id = 12, .rrd_name = "traffic"};
static const struct err why = {.text = "Incorrect value"};
static const struct device device = {.id = 7, .item_count = 10};

/* A device that gave ten values. */
static void begin(struct ledger *l)
{
    const struct devrun_result result = {.values = 10, .host = {.device_id = 7}};
    ledger_init(l);
    ledger_device_finished(l, &device, &result);
}

static size_t booked(const struct ledger_figures *f)
{
    return f->stored + f->spooled + f->kept + f->lost;
}

static void what_is_left_when_rows_are_closed_is_lost(void **state)
{
    struct ledger l;
    (void)state;
    begin(&l);
    ledger_rows_stored(&l, &(struct ledger_write){.rows_stored = 5});
    ledger_row_rejected(&l, &row, false, &why);
    ledger_rows_spooled(&l, 2);
    ledger_close_rows(&l);
    struct ledger_figures f = ledger_get(&l);
    assert_int_equal(f.stored, 5);
    assert_int_equal(f.spooled, 2);
    assert_int_equal(f.lost, 3);
    assert_true(f.failed);
    ledger_done(&l);
}

static void nothing_is_lost_when_all_was_booked(void **state)
{
    struct ledger l;
    (void)state;
    begin(&l);
    ledger_rows_stored(&l, &(struct ledger_write){.rows_stored = 10});
    ledger_close_rows(&l);
    assert_int_equal(ledger_get(&l).lost, 0);
    ledger_done(&l);
}

/* ---- what the event stream says about lost rows ---- */

struct stream_sum {
    size_t lost, rejected, earlier;
};

static struct stream_reader *listen(void)
{
    const struct stream_queue queue = {.events = 100, .bytes = 1 << 16};
    return stream_subscribe(&queue);
}

static void hear(struct stream_reader *reader, struct stream_sum *sum)
{
    struct stream_items items = {0};
    *sum = (struct stream_sum){0};
    stream_close(reader);
    while (stream_take(reader, &items, 0)) {
        for (size_t i = 0; i < items.count; i++) {
            const struct happening *e = &items.items[i].event;
            sum->lost += e->type == EVENT_DB_LOST ? (size_t)e->figures[0] : 0;
            sum->rejected += e->type == EVENT_DB_REJECTED && e->figures[1] == 0;
            sum->earlier += e->type == EVENT_DB_REJECTED && e->figures[1] != 0;
        }
    }
    stream_items_done(&items);
    free(items.items);
    stream_unsubscribe(reader);
}

/* The database thread was abandoned in a call that has returned after all. */
static void a_writer_that_returns_late_books_no_row_twice(void **state)
{
    struct ledger l;
    (void)state;
    begin(&l);
    ledger_close_rows(&l);
    ledger_rows_stored(&l, &(struct ledger_write){.rows_stored = 4});
    ledger_row_rejected(&l, &row, false, &why);
    ledger_rows_spooled(&l, 3);
    ledger_rows_lost(&l, 2);
    struct ledger_figures f = ledger_get(&l);
    assert_int_equal(booked(&f), 10);
    assert_int_equal(f.lost, 10);
    ledger_done(&l);
}

/* Also when the writer that has told it gets lost: the rest is lost, this row is not lost once more. */
static void a_refused_row_is_lost_once(void **state)
{
    struct ledger l;
    struct stream_sum told;
    (void)state;
    struct stream_reader *reader = listen();
    begin(&l);
    ledger_row_rejected(&l, &row, false, &why);
    ledger_close_rows(&l);
    ledger_row_rejected(&l, &row, false, &why);
    struct ledger_figures f = ledger_get(&l);
    hear(reader, &told);
    assert_int_equal(f.lost, 10);
    assert_int_equal(told.lost + told.rejected, 10);
    assert_int_equal(told.rejected, 1);
    assert_int_equal(f.rejected, 1);
    ledger_done(&l);
}

static void a_refused_row_of_an_earlier_run_is_not_lost_by_this_one(void **state)
{
    struct ledger l;
    struct stream_sum told;
    (void)state;
    struct stream_reader *reader = listen();
    begin(&l);
    ledger_row_rejected(&l, &row, true, &why);
    ledger_rows_stored(&l, &(struct ledger_write){.rows_stored = 10});
    ledger_close_rows(&l);
    struct ledger_figures f = ledger_get(&l);
    hear(reader, &told);
    assert_int_equal(f.lost, 0);
    assert_int_equal(f.rejected_earlier, 1);
    assert_int_equal(told.rejected, 0);
    assert_int_equal(told.earlier, 1);
    ledger_done(&l);
}

/* A broken switch must not fill the log's disk; MEDIUM shows all. */
static void lines_about_devices_are_bounded_below_medium(void **state)
{
    struct ledger l;
    struct log_options options = {.level = LOG_ALWAYS, .destination = LOG_TO_NOTHING};
    size_t written = 0;
    (void)state;
    log_configure(&options);
    ledger_init(&l);
    for (int i = 0; i < 130; i++)
        written += ledger_takes_line(&l);
    assert_int_equal(written, 100);
    assert_int_equal(ledger_get(&l).device_lines, 130);
    options.level = LOG_MEDIUM;
    log_configure(&options);
    assert_true(ledger_takes_line(&l));
    assert_int_equal(ledger_get(&l).device_lines, 130);
    ledger_done(&l);
}

/* Whether the closing lines of ten devices with 100 items after two seconds complain about that number of turns. */
static bool complains(uint64_t turns)
{
    char path[] = "/tmp/test_ledger.XXXXXX", text[4096] = "";
    struct ledger l;
    struct log_options options = {.level = LOG_ALWAYS, .destination = LOG_TO_FILE, .path = path};
    const struct ledger_closing closing = {.devices = 10,
                                           .items_due = 100,
                                           .driver = "event",
                                           .elapsed_us = 2000000,
                                           .loop_turns = turns};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    log_configure(&options);
    begin(&l);
    (void)ledger_report(&l, &closing);
    ledger_done(&l);
    log_stop();
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    assert_non_null(strstr(text, "STATS"));
    close(fd);
    unlink(path);
    return strstr(text, "turned") != NULL;
}

static void a_loop_that_turns_more_often_than_devices_need_is_reported(void **state)
{
    const uint64_t most =
        LEDGER_TURNS + 2 * LEDGER_TURNS_SECOND + 10 * DEVRUN_STEPS + 100 * DEVRUN_STEPS_ITEM;
    (void)state;
    assert_false(complains(0));
    assert_false(complains(most));
    assert_true(complains(most + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_when_rows_are_closed_is_lost),
        cmocka_unit_test(nothing_is_lost_when_all_was_booked),
        cmocka_unit_test(a_writer_that_returns_late_books_no_row_twice),
        cmocka_unit_test(a_refused_row_is_lost_once),
        cmocka_unit_test(a_refused_row_of_an_earlier_run_is_not_lost_by_this_one),
        cmocka_unit_test(lines_about_devices_are_bounded_below_medium),
        cmocka_unit_test(a_loop_that_turns_more_often_than_devices_need_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
