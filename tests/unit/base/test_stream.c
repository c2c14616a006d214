#include "config.h"

#include "base/stream.h"

#include "../../support/within.h"

#include "base/clock.h"
#include "base/scope.h"
#include "base/thr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FAR_MS = 60000 };

static int64_t far(void)
{
    return clock_mono_ms() + FAR_MS;
}

static void emit(enum happening_type type, int64_t figure)
{
    stream_emit(&(struct happening){.type = type, .device = 5, .figures = {figure}});
}

static void detail(const char *json)
{
    struct buf b = BUF_INIT;
    buf_puts(&b, json);
    stream_emit_detail(EVENT_RUN_INPUT, 9, &b);
    assert_null(b.data); /* taken, although there is no reader */
}

static void release(struct stream_reader *r, struct stream_items *items)
{
    stream_unsubscribe(r);
    stream_items_done(items);
    free(items->items);
}

static void without_readers_events_are_counted_nevertheless(void **state UNUSED)
{
    struct stream_figures before = stream_figures();
    emit(EVENT_DB_STORED, 10);
    emit(EVENT_DB_STORED, 32);
    assert_int_equal(stream_figures().emitted, before.emitted + 2);
    assert_int_equal(stream_figures().subscribers, 0);
    assert_false(stream_wants_details());
    detail("{}");
}

static void a_reader_gets_what_comes_after_it_in_order_with_times(void **state UNUSED)
{
    struct stream_queue q = {.events = 10};
    struct stream_items items = {0};
    emit(EVENT_DEVICE_UP, 0);
    struct stream_reader *r = stream_subscribe(&q);
    int64_t before = clock_mono_us();
    emit(EVENT_DB_RETRY, 1);
    stream_emit_text(
        (struct happening){.type = EVENT_DB_DISCONNECTED, .mono_us = 17, .wall_us = 18}, "full");
    assert_true(stream_take(r, &items, far()));
    assert_int_equal(items.count, 2);
    assert_int_equal(items.items[0].event.type, EVENT_DB_RETRY);
    assert_int_equal(items.items[0].event.figures[0], 1);
    assert_int_equal(items.items[0].number, 1);
    assert_within(items.items[0].event.mono_us, before, clock_mono_us());
    assert_true(items.items[0].event.wall_us > 0);
    assert_int_equal(items.items[1].number, 2);
    assert_string_equal(items.items[1].event.text, "full");
    assert_int_equal(items.items[1].event.mono_us, 17);
    assert_false(stream_take(r, &items, clock_mono_ms())); /* nothing more */
    assert_int_equal(items.count, 0);
    release(r, &items);
}

static void a_full_queue_drops_for_its_reader_alone_and_counts(void **state UNUSED)
{
    struct stream_queue small = {.events = 3}, large = {.events = 10};
    struct stream_items a = {0}, b = {0};
    struct stream_figures before = stream_figures();
    struct stream_reader *slow = stream_subscribe(&small), *quick = stream_subscribe(&large);
    for (int i = 0; i < 5; i++)
        emit(EVENT_DB_RETRY, i);
    assert_true(stream_take(slow, &a, far()));
    assert_int_equal(a.count, 3);
    assert_int_equal(stream_offered(slow), 5);
    assert_true(stream_take(quick, &b, far()));
    assert_int_equal(b.count, 5);
    emit(EVENT_DB_RETRY, 5);
    assert_true(stream_take(slow, &a, far()));
    assert_int_equal(a.items[0].number, 6); /* 4 and 5 are missing */
    struct stream_figures f = stream_figures();
    assert_int_equal(f.subscribers, 2);
    assert_int_equal(f.deepest, 5);
    assert_int_equal(f.dropped, before.dropped + 2);
    assert_int_equal(f.emitted, before.emitted + 6);
    release(slow, &a);
    release(quick, &b);
    assert_int_equal(stream_figures().subscribers, 0);
}

static void details_go_to_the_reader_that_wants_them_within_its_bytes(void **state UNUSED)
{
    struct stream_queue plain = {.events = 10}, full = {.events = 10, .bytes = 10, .details = true};
    struct stream_items a = {0}, b = {0};
    uint64_t before = stream_figures().dropped;
    struct stream_reader *other = stream_subscribe(&plain), *r = stream_subscribe(&full);
    assert_true(stream_wants_details());
    emit(EVENT_ASK_STARTED, 1); /* a type for full detail */
    detail("12345");
    detail("123456"); /* one byte too many */
    detail("12345");
    detail("1");
    assert_true(stream_take(r, &b, far()));
    assert_int_equal(b.count, 3);
    assert_null(b.items[0].detail);
    assert_string_equal(b.items[1].detail, "12345");
    assert_int_equal(b.items[1].detail_len, 5);
    assert_int_equal(b.items[2].number, 4);
    assert_int_equal(stream_figures().dropped, before + 2);
    detail("1234567890"); /* there is room again */
    assert_true(stream_take(r, &b, far()));
    assert_int_equal(b.count, 1);
    assert_false(stream_take(other, &a, clock_mono_ms()));
    assert_int_equal(stream_offered(other), 0);
    detail("not taken");
    release(r, &b);
    assert_false(stream_wants_details());
    release(other, &a);
}

static void a_closed_reader_takes_what_is_left_and_no_more(void **state UNUSED)
{
    struct stream_queue q = {.events = 4, .gather_ms = FAR_MS};
    struct stream_items items = {0};
    struct stream_reader *r = stream_subscribe(&q);
    emit(EVENT_DB_RETRY, 1);
    stream_close(r);
    emit(EVENT_DB_RETRY, 2);
    assert_true(stream_is_closed(r));
    assert_true(stream_take(r, &items, far())); /* at once: no company can come */
    assert_int_equal(items.count, 1);
    assert_false(stream_take(r, &items, far()));
    assert_int_equal(stream_offered(r), 1);
    release(r, &items);
}

/* ---- the bus of a daemon ---- */

static void assert_numbers(struct stream_reader *r, struct stream_items *items, size_t most,
                           uint64_t first, size_t count)
{
    assert_true(stream_take_now(r, items, most));
    assert_int_equal(items->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(items->items[i].number, first + i);
        assert_int_equal(items->items[i].event.figures[0], first + i - 1);
    }
}

static void a_full_queue_drops_the_oldest_where_that_is_wanted(void **state UNUSED)
{
    struct stream_queue q = {.events = 4, .drop_oldest = true};
    struct stream_items items = {0};
    uint64_t before = stream_figures().dropped;
    struct stream_reader *r = stream_subscribe(&q);
    for (int i = 0; i < 10; i++)
        emit(EVENT_DB_RETRY, i);
    struct stream_reader_figures f = stream_reader_figures(r);
    assert_int_equal(f.offered, 10);
    assert_int_equal(f.dropped, 6);
    assert_int_equal(f.waiting, 4);
    assert_int_equal(f.deepest, 4);
    assert_int_equal(stream_figures().dropped, before + 6);
    assert_numbers(r, &items, 3, 7, 3);
    emit(EVENT_DB_RETRY, 10); /* there is room: around the end of the ring */
    emit(EVENT_DB_RETRY, 11);
    assert_int_equal(stream_reader_figures(r).dropped, 6);
    assert_numbers(r, &items, 3, 10, 3);
    assert_false(stream_take_now(r, &items, 3));
    emit(EVENT_DB_RETRY, 12);
    stream_close(r);
    emit(EVENT_DB_RETRY, 13);
    assert_numbers(r, &items, 3, 13, 1);
    assert_false(stream_take_now(r, &items, 3));
    release(r, &items);
}

static void a_reader_may_want_some_types_alone(void **state UNUSED)
{
    struct stream_queue q = {.events = 4, .drop_oldest = true};
    struct stream_items items = {0};
    q.types = UINT64_C(1) << EVENT_DEVICE_UP | UINT64_C(1) << EVENT_ASK_STARTED;
    struct stream_reader *r = stream_subscribe(&q);
    emit(EVENT_DEVICE_DOWN, 0);
    emit(EVENT_DEVICE_UP, 0);
    emit(EVENT_ASK_ANSWERED, 0);
    emit(EVENT_ASK_STARTED, 1);
    assert_int_equal(stream_reader_figures(r).offered, 2);
    assert_numbers(r, &items, 4, 1, 2);
    release(r, &items);
}

static void note_wake(void *arg)
{
    ++*(int *)arg;
}

static void a_reader_is_woken_by_the_first_event_and_when_half_full(void **state UNUSED)
{
    int woken = 0;
    struct stream_queue q = {
        .events = 16, .drop_oldest = true, .wake = note_wake, .wake_arg = &woken};
    struct stream_items items = {0};
    struct stream_reader *r = stream_subscribe(&q);
    emit(EVENT_DB_RETRY, 0);
    assert_int_equal(woken, 1);
    for (int i = 1; i < 8; i++)
        emit(EVENT_DB_RETRY, i);
    assert_int_equal(woken, 1);
    emit(EVENT_DB_RETRY, 8);
    assert_int_equal(woken, 2);
    for (int i = 9; i < 40; i++)
        emit(EVENT_DB_RETRY, i);
    assert_int_equal(woken, 2); /* a reader that does not take is not woken again */
    assert_numbers(r, &items, 16, 25, 16);
    emit(EVENT_DB_RETRY, 40);
    assert_int_equal(woken, 3);
    release(r, &items);
}

static void the_last_events_are_there_for_a_reader_that_comes_later(void **state UNUSED)
{
    struct stream_queue all = {.events = 16, .drop_oldest = true, .past = true},
                        few = {.events = 2, .drop_oldest = true, .past = true},
                        ups = {.events = 2, .drop_oldest = true, .past = true},
                        none = {.events = 16, .drop_oldest = true};
    struct stream_items items = {0};
    emit(EVENT_DB_RETRY, 17);
    stream_keep(4);
    uint64_t dropped = stream_figures().dropped;
    emit(EVENT_DEVICE_UP, 0);
    for (int i = 0; i < 4; i++)
        emit(EVENT_DB_RETRY, i);
    emit(EVENT_ASK_STARTED, 5);                          /* frequent: not kept */
    assert_int_equal(stream_figures().dropped, dropped); /* no reader has missed anything */
    assert_int_equal(stream_figures().subscribers, 0);
    struct stream_reader *r = stream_subscribe(&all);
    emit(EVENT_DB_RETRY, 4); /* none twice, none missing */
    assert_numbers(r, &items, 16, 1, 5);
    stream_unsubscribe(r);
    r = stream_subscribe(&few);
    assert_true(stream_take_now(r, &items, 16));
    assert_int_equal(items.count, 2);
    assert_int_equal(items.items[0].event.figures[0], 3);
    assert_int_equal(items.items[0].number, 1);
    stream_unsubscribe(r);
    ups.types = UINT64_C(1) << EVENT_DEVICE_UP;
    r = stream_subscribe(&ups);
    assert_false(stream_take_now(r, &items, 16)); /* too long ago */
    stream_unsubscribe(r);
    r = stream_subscribe(&none);
    assert_false(stream_take_now(r, &items, 16));
    stream_keep(0);
    release(r, &items);
}

/* Emits in a scope of its own, as a cycle in a daemon does. */
static void emit_in_a_scope(const struct stream_origin *origin, enum happening_type type,
                            int64_t figure)
{
    struct scope *s = scope_new(), *before = scope_enter(s);
    stream_own(origin);
    emit(type, figure);
    assert_int_equal(stream_figures().emitted, 1);
    (void)scope_enter(before);
    scope_unref(s);
}

static void events_of_a_cycle_reach_the_process_with_their_origin(void **state UNUSED)
{
    const struct stream_origin origin = {.poller = 3, .pid = 4711};
    struct stream_queue q = {.events = 16, .drop_oldest = true};
    struct stream_items items = {0};
    uint64_t emitted = stream_figures().emitted;
    emit_in_a_scope(&origin, EVENT_DB_RETRY, 0);
    assert_int_equal(stream_figures().emitted, emitted); /* no reader: nothing is done */
    struct stream_reader *r = stream_subscribe(&q);
    emit_in_a_scope(&origin, EVENT_DB_RETRY, 0);
    emit_in_a_scope(&origin, EVENT_ASK_STARTED, 0); /* not wanted */
    emit_in_a_scope(NULL, EVENT_DB_RETRY, 5);       /* a scope that does not forward */
    emit(EVENT_DB_RETRY, 1);
    assert_int_equal(stream_figures().emitted, emitted + 2);
    assert_numbers(r, &items, 16, 1, 2);
    assert_int_equal(items.items[0].origin.poller, 3);
    assert_int_equal(items.items[0].origin.pid, 4711);
    assert_int_equal(items.items[1].origin.pid, 0);
    release(r, &items);
}

/* ---- many threads ---- */

enum { EMITTERS = 4, EACH = 5000 };

static void *emit_many(void *arg)
{
    for (int i = 0; i < EACH; i++)
        stream_emit(&(struct happening){.type = EVENT_DB_STORED,
                                        .figures = {1, (int64_t)(intptr_t)arg, i}});
    return NULL;
}

/* Nothing is lost without being counted, and no emitter's order changes. */
static void every_event_of_many_threads_arrives_or_is_counted(void **state UNUSED)
{
    struct stream_queue q = {.events = 64, .gather_ms = 1};
    struct stream_items items = {0};
    pthread_t threads[EMITTERS];
    struct err err = ERR_INIT;
    int64_t last[EMITTERS] = {-1, -1, -1, -1};
    uint64_t got = 0, number = 0;
    struct stream_figures before = stream_figures();
    struct stream_reader *r = stream_subscribe(&q);
    for (intptr_t i = 0; i < EMITTERS; i++)
        assert_true(thr_start(&threads[i], "emit", emit_many, (void *)i, &err));
    for (bool closed = false;;) {
        bool some = stream_take(r, &items, closed ? far() : clock_mono_ms() + 5);
        for (size_t i = 0; i < items.count; i++, got++) {
            const int64_t *f = items.items[i].event.figures;
            assert_true(f[2] > last[f[1]]);
            last[f[1]] = f[2];
            assert_true(items.items[i].number > number);
            number = items.items[i].number;
        }
        if (!some && closed)
            break;
        if (!closed && stream_figures().emitted == before.emitted + EMITTERS * EACH) {
            stream_close(r);
            closed = true;
        }
    }
    for (int i = 0; i < EMITTERS; i++)
        thr_join(threads[i]);
    assert_int_equal(got + stream_figures().dropped - before.dropped, EMITTERS * EACH);
    assert_true(stream_figures().deepest <= 64);
    release(r, &items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_readers_events_are_counted_nevertheless),
        cmocka_unit_test(a_reader_gets_what_comes_after_it_in_order_with_times),
        cmocka_unit_test(a_full_queue_drops_for_its_reader_alone_and_counts),
        cmocka_unit_test(details_go_to_the_reader_that_wants_them_within_its_bytes),
        cmocka_unit_test(a_closed_reader_takes_what_is_left_and_no_more),
        cmocka_unit_test(a_full_queue_drops_the_oldest_where_that_is_wanted),
        cmocka_unit_test(a_reader_may_want_some_types_alone),
        cmocka_unit_test(a_reader_is_woken_by_the_first_event_and_when_half_full),
        cmocka_unit_test(the_last_events_are_there_for_a_reader_that_comes_later),
        cmocka_unit_test(events_of_a_cycle_reach_the_process_with_their_origin),
        cmocka_unit_test(every_event_of_many_threads_arrives_or_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
