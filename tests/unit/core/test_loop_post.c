#include "config.h"

#include "loop_story.h"

#include "../../support/await.h"

#include "base/clock.h"

#include "base/thr.h"

static void letters_are_delivered_later_and_in_order(void **state)
{
    struct story s;
    begin(&s, state);
    struct event e[] = {event_of(&s, 'a'), event_of(&s, 'b'), event_of(&s, 'c')};
    for (size_t i = 0; i < ARRAY_LEN(e); i++)
        loop_post(s.loop, &e[i].post, i == 2 ? on_last : on_tell, &e[i]);
    assert_int_equal(s.len, 0);
    run(&s);
    assert_string_equal(s.text, "abc");
    loop_post(s.loop, &e[0].post, on_last, &e[0]); /* the owner's again, so it can be used again */
    run(&s);
    assert_string_equal(s.text, "abca");
    end(&s);
}

static void on_post_again(void *arg)
{
    struct event *e = arg;
    tell(e);
    e->letter = '+';
    if (--e->rounds > 0)
        loop_post(e->story->loop, &e->post, on_post_again, e);
}

static void what_a_callback_posts_comes_in_a_later_turn(void **state)
{
    struct story s;
    begin(&s, state);
    struct event e = event_of(&s, 'a');
    e.rounds = 3;
    loop_post(s.loop, &e.post, on_post_again, &e);
    for (size_t n = 1; n <= 3; n++) {
        loop_turn(s.loop);
        assert_false(s.too_late);
        assert_int_equal(s.len, n);
    }
    assert_string_equal(s.text, "a++");
    end(&s);
}

struct flood {
    struct story *story;
    size_t delivered, at_timer;
};

static void on_flood(void *arg)
{
    struct flood *f = arg;
    int64_t now_us = clock_mono_us();
    while (clock_mono_us() == now_us) /* all of them together take longer than a turn may */
        ;
    f->delivered++;
}

static void on_flood_timer(void *arg)
{
    struct flood *f = arg;
    f->at_timer = f->delivered;
    loop_stop(f->story->loop);
}

static void a_flood_of_letters_does_not_delay_the_timers(void **state)
{
    enum { FLOOD = 20000 };
    struct story s;
    begin(&s, state);
    struct loop_letter *letters = mem_zalloc(FLOOD, sizeof(letters[0]));
    struct flood f = {.story = &s};
    struct loop_timer t;
    loop_timer_init(&t, s.loop, on_flood_timer, &f);
    loop_timer_set(&t, 0);
    for (size_t i = 0; i < FLOOD; i++)
        loop_post(s.loop, &letters[i], on_flood, &f);
    run(&s);
    assert_true(f.at_timer < FLOOD);
    while (f.delivered < FLOOD && !s.too_late)
        loop_turn(s.loop);
    assert_false(s.too_late);
    free(letters);
    end(&s);
}

static void on_take_back_other(void *arg)
{
    struct event *e = arg;
    tell(e);
    assert_true(loop_take_back(&e[1].post));  /* taken off the queue, due in this turn */
    assert_true(loop_take_back(&e[-1].post)); /* posted since */
}

static void on_post_previous(void *arg)
{
    struct event *e = arg;
    tell(e);
    loop_post(e->story->loop, &e->post, on_tell, e);
}

static void a_letter_can_be_taken_back_until_it_is_delivered(void **state)
{
    struct story s;
    begin(&s, state);
    struct event e[] = {event_of(&s, 'a'), event_of(&s, 'b'), event_of(&s, 'c'), event_of(&s, 'd')};
    loop_post(s.loop, &e[0].post, on_post_previous, &e[0]);
    loop_post(s.loop, &e[1].post, on_take_back_other, &e[1]);
    loop_post(s.loop, &e[2].post, on_tell, &e[2]);
    loop_post(s.loop, &e[3].post, on_last, &e[3]);
    run(&s);
    assert_string_equal(s.text, "abd");
    assert_false(loop_take_back(&e[0].post));
    loop_post(s.loop, &e[0].post, on_tell, &e[0]);
    assert_true(loop_take_back(&e[0].post));
    assert_false(loop_take_back(&e[0].post));
    loop_post(s.loop, &e[1].post, on_last, &e[1]); /* the bell still rings */
    run(&s);
    assert_string_equal(s.text, "abdb");
    end(&s);
}

static void what_is_posted_before_the_close_is_delivered_and_nothing_later(void **state)
{
    struct story s;
    begin(&s, state);
    struct event e[] = {event_of(&s, 'a'), event_of(&s, 'b'), event_of(&s, 'c')};
    assert_true(loop_try_post(s.loop, &e[0].post, on_tell, &e[0]));
    assert_true(loop_try_post(s.loop, &e[1].post, on_tell, &e[1]));
    loop_close_posts(s.loop);
    assert_string_equal(s.text, "ab");
    assert_false(loop_try_post(s.loop, &e[2].post, on_tell, &e[2]));
    end(&s);
}

/* ---- posts from many threads ---- */

enum { POSTERS = 4, POSTS = 20000 };

struct poster {
    struct crowd *crowd;
    int next; /* the one that is to be delivered next */
};

struct numbered {
    struct loop_letter letter; /* first */
    struct poster *poster;
    int number;
};

struct crowd {
    struct story story;
    pthread_t home;
    struct poster posters[POSTERS];
    struct numbered letters[POSTERS][POSTS];
    int delivered;
    bool one_by_one;
    struct thr_mutex lock; /* for one_by_one: how many each poster has had delivered */
    pthread_cond_t changed;
    int seen[POSTERS];
};

static void on_numbered(void *arg)
{
    struct numbered *n = arg;
    struct crowd *c = n->poster->crowd;
    assert_true(pthread_equal(pthread_self(), c->home));
    assert_int_equal(n->number, n->poster->next);
    n->poster->next++;
    if (c->one_by_one) {
        thr_lock(&c->lock);
        c->seen[n->poster - c->posters]++;
        pthread_cond_broadcast(&c->changed);
        thr_unlock(&c->lock);
    }
    if (++c->delivered == POSTERS * POSTS)
        loop_stop(c->story.loop);
}

static void wait_seen(struct crowd *c, ptrdiff_t poster, int wanted)
{
    int64_t until = await_far();
    thr_lock(&c->lock);
    while (c->seen[poster] < wanted)
        await_change(&c->changed, &c->lock, until, "a letter is delivered");
    thr_unlock(&c->lock);
}

static void *post_all(void *arg)
{
    struct poster *p = arg;
    struct crowd *c = p->crowd;
    ptrdiff_t who = p - c->posters;
    for (int i = 0; i < POSTS; i++) {
        struct numbered *n = &c->letters[who][i];
        loop_post(c->story.loop, &n->letter, on_numbered, n);
        if (c->one_by_one)
            wait_seen(c, who, i + 1);
    }
    return NULL;
}

static void run_crowd(void **state, bool one_by_one)
{
    struct crowd *c = mem_zalloc(1, sizeof(*c));
    struct err err = ERR_INIT;
    pthread_t t[POSTERS];
    begin(&c->story, state);
    c->home = pthread_self();
    c->one_by_one = one_by_one;
    thr_mutex_init(&c->lock);
    thr_cond_init(&c->changed);
    for (int i = 0; i < POSTERS; i++) {
        c->posters[i].crowd = c;
        for (int k = 0; k < POSTS; k++)
            c->letters[i][k] = (struct numbered){.poster = &c->posters[i], .number = k};
    }
    for (int i = 0; i < POSTERS; i++)
        assert_true(thr_start(&t[i], "post", post_all, &c->posters[i], &err));
    run(&c->story);
    for (int i = 0; i < POSTERS; i++) {
        thr_join(t[i]);
        assert_int_equal(c->posters[i].next, POSTS);
    }
    end(&c->story);
    pthread_cond_destroy(&c->changed);
    thr_mutex_done(&c->lock);
    free(c);
}

static void letters_of_many_threads_come_once_each_and_in_order(void **state)
{
    run_crowd(state, false);
}

/* The queue is empty between any two letters of a thread: each of them has to wake the loop. */
static void no_letter_is_left_lying_while_the_loop_sleeps(void **state)
{
    run_crowd(state, true);
}

struct adopted {
    struct story story;
    struct event last;
};

static void *run_adopted(void *arg)
{
    struct adopted *a = arg;
    loop_adopt(a->story.loop);
    loop_run(a->story.loop);
    loop_timer_cancel(&a->story.stopper);
    return NULL;
}

static void a_loop_made_by_one_thread_can_be_run_by_another(void **state)
{
    struct adopted a;
    struct err err = ERR_INIT;
    pthread_t t;
    begin(&a.story, state);
    a.last = event_of(&a.story, 'z');
    assert_true(thr_start(&t, "loop", run_adopted, &a, &err));
    loop_post(a.story.loop, &a.last.post, on_last, &a.last);
    thr_join(t);
    loop_adopt(a.story.loop);
    assert_string_equal(a.story.text, "z");
    end(&a.story);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_are_delivered_later_and_in_order),
        cmocka_unit_test(what_a_callback_posts_comes_in_a_later_turn),
        cmocka_unit_test(a_flood_of_letters_does_not_delay_the_timers),
        cmocka_unit_test(a_letter_can_be_taken_back_until_it_is_delivered),
        cmocka_unit_test(what_is_posted_before_the_close_is_delivered_and_nothing_later),
        cmocka_unit_test(letters_of_many_threads_come_once_each_and_in_order),
        cmocka_unit_test(no_letter_is_left_lying_while_the_loop_sleeps),
        cmocka_unit_test(a_loop_made_by_one_thread_can_be_run_by_another),
    };
    return everyloop_run_tests(tests, ARRAY_LEN(tests));
}
