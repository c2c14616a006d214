#include "config.h"

#include "core/places.h"

#include "../../support/await.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- one loop ---- */

struct guest {
    struct places_claim claim;
    int told;
    struct guest *leaves; /* when it is told */
};

static void guest_on_place(void *arg)
{
    struct guest *g = arg;
    g->told++;
    if (g->leaves != NULL)
        places_leave(&g->leaves->claim);
}

static bool guest_take(struct places_user *u, struct loop *loop, struct guest *g, const char *key,
                       size_t most, bool last)
{
    const struct places_terms terms = {key, strlen(key), most, last, loop, guest_on_place, g};
    return places_take(u, &terms, &g->claim);
}

struct bench {
    struct places *places;
    struct places_user *user, *other;
    struct loop *loop;
    struct guest a, b, c, d;
};

static void begin(struct bench *b)
{
    struct err err = ERR_INIT;
    *b = (struct bench){.places = places_new(), .loop = loop_new(LOOP_POLL, &err)};
    b->user = places_user_new(b->places);
    b->other = places_user_new(b->places);
}

static void end(struct bench *b)
{
    struct guest *all[] = {&b->a, &b->b, &b->c, &b->d};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        places_leave(&all[i]->claim);
    const struct places_figures f = places_figures(b->places);
    assert_int_equal(f.held, 0);
    assert_int_equal(f.waiting, 0);
    places_user_free(b->user);
    places_user_free(b->other);
    places_free(b->places);
    loop_free(b->loop);
}

static void test_who_waits_gets_the_place_in_the_order_of_coming(void **state UNUSED)
{
    struct bench b;
    begin(&b);
    assert_true(guest_take(b.user, b.loop, &b.a, "x", 1, false));
    assert_false(guest_take(b.user, b.loop, &b.b, "x", 1, false));
    assert_false(guest_take(b.other, b.loop, &b.c, "x", 1, false));
    assert_true(guest_take(b.user, b.loop, &b.d, "y", 1, false));
    assert_int_equal(places_figures(b.places).waited, 2);
    places_leave(&b.a.claim);
    assert_int_equal(b.b.told, 1);
    assert_int_equal(b.c.told, 0);
    places_leave(&b.b.claim);
    assert_int_equal(b.c.told, 1);
    assert_int_equal(b.b.told, 1);
    end(&b);
}

static void test_what_was_down_comes_last(void **state UNUSED)
{
    struct bench b;
    begin(&b);
    assert_true(guest_take(b.user, b.loop, &b.a, "x", 1, false));
    assert_false(guest_take(b.user, b.loop, &b.b, "x", 1, true));
    assert_false(guest_take(b.other, b.loop, &b.c, "x", 1, false));
    places_leave(&b.a.claim);
    assert_int_equal(b.c.told, 1);
    assert_int_equal(b.b.told, 0);
    end(&b);
}

static void test_who_no_longer_waits_is_not_told(void **state UNUSED)
{
    struct bench b;
    begin(&b);
    assert_true(guest_take(b.user, b.loop, &b.a, "x", 1, false));
    assert_false(guest_take(b.user, b.loop, &b.b, "x", 1, false));
    assert_false(guest_take(b.user, b.loop, &b.c, "x", 1, false));
    places_leave(&b.b.claim);
    places_leave(&b.b.claim);
    places_leave(&b.a.claim);
    assert_int_equal(b.b.told, 0);
    assert_int_equal(b.c.told, 1);
    end(&b);
}

static void test_a_place_that_was_given_and_not_told_goes_on(void **state UNUSED)
{
    struct bench b;
    struct err err = ERR_INIT;
    begin(&b);
    struct loop *loop = loop_new(LOOP_POLL, &err);
    assert_true(guest_take(b.user, b.loop, &b.a, "x", 1, false));
    assert_false(guest_take(b.other, loop, &b.b, "x", 1, false));
    assert_false(guest_take(b.user, b.loop, &b.c, "x", 1, false));
    places_leave(&b.a.claim); /* a letter is on its way to b */
    assert_int_equal(b.b.told, 0);
    places_leave(&b.b.claim);
    loop_turn_now(loop);
    loop_turn_now(b.loop);
    assert_int_equal(b.b.told, 0);
    assert_int_equal(b.c.told, 1);
    loop_free(loop);
    end(&b);
}

static void test_a_loop_that_listens_no_longer_keeps_no_place(void **state UNUSED)
{
    struct bench b;
    struct err err = ERR_INIT;
    begin(&b);
    struct loop *loop = loop_new(LOOP_POLL, &err);
    assert_true(guest_take(b.user, b.loop, &b.a, "x", 1, false));
    assert_false(guest_take(b.other, loop, &b.b, "x", 1, false));
    assert_false(guest_take(b.user, b.loop, &b.c, "x", 1, false));
    loop_close_posts(loop);
    places_leave(&b.a.claim);
    assert_int_equal(b.b.told, 0);
    assert_int_equal(b.c.told, 1);
    places_leave(&b.b.claim);
    loop_free(loop);
    end(&b);
}

static void test_each_claim_counts_by_its_own_limit(void **state UNUSED)
{
    struct bench b;
    begin(&b);
    assert_true(guest_take(b.user, b.loop, &b.a, "x", 2, false));
    assert_true(guest_take(b.user, b.loop, &b.b, "x", 2, false));
    assert_false(guest_take(b.other, b.loop, &b.c, "x", 1, false));
    assert_false(guest_take(b.user, b.loop, &b.d, "x", 2, false));
    places_leave(&b.a.claim);
    assert_int_equal(b.c.told + b.d.told,
                     0); /* the first one still cannot, and no other overtakes it */
    places_leave(&b.b.claim);
    loop_turn_now(b.loop);
    assert_int_equal(b.c.told, 1);
    assert_int_equal(b.d.told, 1); /* two are held now, which is its limit */
    end(&b);
}

static void test_what_is_told_may_leave_others(void **state UNUSED)
{
    struct bench b;
    begin(&b);
    assert_true(guest_take(b.user, b.loop, &b.a, "x", 1, false));
    assert_false(guest_take(b.user, b.loop, &b.b, "x", 1, false));
    assert_false(guest_take(b.user, b.loop, &b.c, "x", 1, false));
    b.b.leaves = &b.c;
    places_leave(&b.a.claim);
    assert_int_equal(b.b.told, 1);
    places_leave(&b.b.claim);
    assert_int_equal(b.c.told, 0);
    end(&b);
}

static void test_places_of_a_cycle_that_hangs_are_for_others(void **state UNUSED)
{
    struct bench b;
    begin(&b);
    assert_true(guest_take(b.other, b.loop, &b.a, "x", 1, false));
    assert_false(guest_take(b.other, b.loop, &b.b, "x", 1, false));
    assert_false(guest_take(b.user, b.loop, &b.c, "x", 1, false));
    places_user_drop(b.other);
    loop_turn_now(b.loop);
    assert_int_equal(b.c.told, 1);
    assert_int_equal(b.b.told, 0);
    assert_int_equal(places_figures(b.places).held, 1);
    assert_true(
        guest_take(b.other, b.loop, &b.d, "x", 1, false)); /* it goes on after all, uncounted */
    assert_int_equal(places_figures(b.places).held, 1);
    places_leave(&b.a.claim);
    assert_int_equal(places_figures(b.places).held, 1);
    end(&b);
}

/* ---- a loop per thread ---- */

enum { CYCLES = 4, DEVICES = 60, ROUNDS = 40, KEYS = 3, MOST = 2 };

struct crowd;

struct device {
    struct places_claim claim;
    struct cycle *cycle;
    struct loop_timer rest;
    int key, rounds;
    bool has;
};

struct cycle {
    struct crowd *crowd;
    struct places_user *user;
    struct loop *loop;
    pthread_t thread;
    struct device devices[DEVICES];
    int left, given;
};

struct crowd {
    struct places *places;
    struct cycle cycles[CYCLES];
    atomic_int inside[KEYS], most[KEYS];
};

static void device_enter(struct device *d)
{
    struct crowd *all = d->cycle->crowd;
    int now = atomic_fetch_add(&all->inside[d->key], 1) + 1, most = atomic_load(&all->most[d->key]);
    while (now > most && !atomic_compare_exchange_weak(&all->most[d->key], &most, now))
        ;
    d->has = true;
    d->cycle->given++;
    loop_timer_set_at_us(&d->rest, clock_mono_us() + 20);
}

static void device_on_place(void *arg)
{
    device_enter(arg);
}

static void device_ask(struct device *d)
{
    const struct places_terms terms = {
        .key = &d->key,
        .key_len = sizeof(d->key),
        .most = MOST,
        .last = d->rounds % 2 == 1,
        .loop = d->cycle->loop,
        .fn = device_on_place,
        .arg = d,
    };
    if (places_take(d->cycle->user, &terms, &d->claim))
        device_enter(d);
    else if (d->rounds % 5 == 4) /* changes its mind, at once or while a letter is on its way */
        loop_timer_set_at_us(&d->rest, clock_mono_us() + 10);
}

static void device_on_rest(void *arg)
{
    struct device *d = arg;
    if (d->has)
        atomic_fetch_sub(&d->cycle->crowd->inside[d->key], 1);
    d->has = false;
    loop_timer_cancel(&d->rest);
    places_leave(&d->claim);
    d->key = (d->key + 1) % KEYS;
    if (--d->rounds > 0)
        device_ask(d);
    else if (--d->cycle->left == 0)
        loop_stop(d->cycle->loop);
}

static void *cycle_main(void *arg)
{
    struct cycle *c = arg;
    loop_adopt(c->loop);
    for (size_t i = 0; i < DEVICES; i++)
        device_ask(&c->devices[i]);
    loop_run(c->loop);
    return NULL;
}

static void cycle_begin(struct crowd *all, struct cycle *c)
{
    struct err err = ERR_INIT;
    *c = (struct cycle){.crowd = all, .user = places_user_new(all->places), .left = DEVICES};
    c->loop = loop_new(LOOP_POLL, &err);
    assert_non_null(c->loop);
    for (int i = 0; i < DEVICES; i++) {
        struct device *d = &c->devices[i];
        *d = (struct device){.cycle = c, .key = i % KEYS, .rounds = ROUNDS};
        loop_timer_init(&d->rest, c->loop, device_on_rest, d);
    }
}

static void test_cycles_on_threads_never_hold_more_together_and_lose_nothing(void **state UNUSED)
{
    struct crowd *all = mem_zalloc(1, sizeof(*all));
    all->places = places_new();
    for (size_t i = 0; i < CYCLES; i++)
        cycle_begin(all, &all->cycles[i]);
    for (size_t i = 0; i < CYCLES; i++)
        assert_true(thr_start(&all->cycles[i].thread, "cycle", cycle_main, &all->cycles[i], NULL));
    for (size_t i = 0; i < CYCLES; i++) {
        struct cycle *c = &all->cycles[i];
        thr_join(c->thread);
        loop_adopt(c->loop);
        assert_int_equal(c->left, 0);
        assert_true(c->given >= DEVICES * ROUNDS / 2);
        places_user_free(c->user);
        loop_free(c->loop);
    }
    for (size_t i = 0; i < KEYS; i++)
        assert_int_equal(atomic_load(&all->most[i]), MOST);
    assert_int_equal(places_figures(all->places).held, 0);
    assert_int_equal(places_figures(all->places).waiting, 0);
    assert_true(places_figures(all->places).waited > 0);
    places_free(all->places);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_waits_gets_the_place_in_the_order_of_coming),
        cmocka_unit_test(test_what_was_down_comes_last),
        cmocka_unit_test(test_who_no_longer_waits_is_not_told),
        cmocka_unit_test(test_a_place_that_was_given_and_not_told_goes_on),
        cmocka_unit_test(test_a_loop_that_listens_no_longer_keeps_no_place),
        cmocka_unit_test(test_each_claim_counts_by_its_own_limit),
        cmocka_unit_test(test_what_is_told_may_leave_others),
        cmocka_unit_test(test_places_of_a_cycle_that_hangs_are_for_others),
        cmocka_unit_test(test_cycles_on_threads_never_hold_more_together_and_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
