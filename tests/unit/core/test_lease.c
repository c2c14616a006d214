#include "config.h"

#include "core/lease.h"

#include "../../support/await.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A call that returns when the test lets it. */
struct scene {
    struct thr_mutex lock;
    pthread_cond_t changed;
    bool outside, go_in, in_call, let_go, kept, after, salvaged, late;
};

static void scene_set(struct scene *s, bool *what)
{
    thr_lock(&s->lock);
    *what = true;
    pthread_cond_broadcast(&s->changed);
    thr_unlock(&s->lock);
}

#define SCENE_WAIT(s, what) scene_wait((s), &(s)->what, #what)

static void scene_wait(struct scene *s, const bool *what, const char *name)
{
    int64_t until = await_far();
    thr_lock(&s->lock);
    while (!*what)
        await_change(&s->changed, &s->lock, until, name);
    thr_unlock(&s->lock);
}

static void lease_story(struct lease *l, void *arg)
{
    struct scene *s = arg;
    lease_enter(l);
    scene_set(s, &s->in_call);
    SCENE_WAIT(s, let_go);
    s->kept = lease_leave(l);
    if (!s->kept)
        return;
    scene_set(s, &s->after);
}

static void on_late(void *arg)
{
    struct scene *s = arg;
    scene_set(s, &s->late);
}

static void on_salvage(void *arg)
{
    struct scene *s = arg;
    s->salvaged = !s->late;
}

static int set_up(void **state)
{
    struct scene *s = mem_zalloc(1, sizeof(*s));
    thr_mutex_init(&s->lock);
    thr_cond_init(&s->changed);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    pthread_cond_destroy(&s->changed);
    thr_mutex_done(&s->lock);
    free(s);
    return 0;
}

static struct lease *start(struct scene *s)
{
    struct err err = ERR_INIT;
    struct lease *l = lease_start("test", lease_story, s, on_late, &err);
    assert_non_null(l);
    return l;
}

static void a_call_that_returns_keeps_its_owner(void **state)
{
    struct scene *s = *state;
    struct lease *l = start(s);
    SCENE_WAIT(s, in_call);
    scene_set(s, &s->let_go);
    assert_true(lease_wait(l, await_far()));
    lease_free(l);
    assert_true(s->kept && s->after);
    assert_false(s->late);
}

static void a_call_that_hangs_is_not_waited_for(void **state)
{
    struct scene *s = *state;
    struct lease *l = start(s);
    SCENE_WAIT(s, in_call);
    assert_false(lease_wait(l, clock_mono_ms()));
    scene_set(s, &s->let_go);
    assert_true(lease_wait(l, await_far()));
    lease_free(l);
}

static void what_hangs_is_abandoned_and_cleans_up_when_it_returns(void **state)
{
    struct scene *s = *state;
    struct lease *l = start(s);
    SCENE_WAIT(s, in_call);
    assert_true(lease_revoke(l, on_salvage));
    assert_true(s->salvaged);
    lease_free(l);
    scene_set(s, &s->let_go);
    SCENE_WAIT(s, late);
    assert_false(s->kept || s->after);
}

static void run_at_once(struct lease *l, void *arg)
{
    struct scene *s = arg;
    (void)l;
    scene_set(s, &s->in_call);
    SCENE_WAIT(s, let_go);
}

static void a_thread_outside_a_call_cannot_be_taken_away(void **state)
{
    struct scene *s = *state;
    struct err err = ERR_INIT;
    struct lease *l = lease_start("test", run_at_once, s, NULL, &err);
    assert_non_null(l);
    SCENE_WAIT(s, in_call);
    assert_false(lease_revoke(l, on_salvage));
    assert_false(s->salvaged);
    scene_set(s, &s->let_go);
    assert_true(lease_wait(l, await_far()));
    assert_false(lease_revoke(l, on_salvage));
    lease_free(l);
}

/* Either the owner or the late thread has it, never both and never neither. */
static void revoking_at_the_moment_of_return_has_one_winner(void **state)
{
    for (int i = 0; i < 500; i++) {
        struct scene *s = *state;
        s->in_call = s->let_go = s->kept = s->after = s->salvaged = s->late = false;
        struct lease *l = start(s);
        SCENE_WAIT(s, in_call);
        scene_set(s, &s->let_go);
        if (lease_revoke(l, on_salvage)) {
            SCENE_WAIT(s, late);
            assert_false(s->after);
        } else {
            assert_true(lease_wait(l, await_far()));
            assert_true(s->after);
            assert_false(s->late);
        }
        lease_free(l);
    }
}

static void go_in_and_hang(struct lease *l, void *arg)
{
    struct scene *s = arg;
    scene_set(s, &s->outside);
    SCENE_WAIT(s, go_in);
    lease_story(l, arg);
}

/* The owner waits for the next call, whichever of the two is first. */
static void a_thread_that_is_between_two_calls_is_abandoned_in_the_next(void **state)
{
    for (int i = 0; i < 500; i++) {
        struct scene *s = *state;
        struct err err = ERR_INIT;
        s->outside = s->go_in = s->in_call = s->let_go = false;
        s->kept = s->after = s->salvaged = s->late = false;
        struct lease *l = lease_start("test", go_in_and_hang, s, on_late, &err);
        assert_non_null(l);
        SCENE_WAIT(s, outside);
        scene_set(s, &s->go_in);
        assert_false(lease_end(l, clock_mono_ms(), on_salvage));
        assert_true(s->salvaged);
        scene_set(s, &s->let_go);
        SCENE_WAIT(s, late);
        assert_false(s->kept || s->after);
    }
}

static void a_thread_that_ends_in_time_is_joined_and_not_salvaged(void **state)
{
    struct scene *s = *state;
    struct lease *l = start(s);
    SCENE_WAIT(s, in_call);
    scene_set(s, &s->let_go);
    assert_true(lease_end(l, INT64_MAX, on_salvage));
    assert_true(s->kept && s->after);
    assert_false(s->salvaged || s->late);
}

/* Its time was over long ago; it only had not ended. */
static void a_thread_that_makes_no_further_call_is_waited_for(void **state)
{
    struct scene *s = *state;
    struct err err = ERR_INIT;
    struct lease *l = lease_start("test", run_at_once, s, NULL, &err);
    assert_non_null(l);
    SCENE_WAIT(s, in_call);
    scene_set(s, &s->let_go);
    assert_true(lease_end(l, 0, on_salvage));
    assert_false(s->salvaged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_call_that_returns_keeps_its_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_that_hangs_is_not_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_hangs_is_abandoned_and_cleans_up_when_it_returns,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_thread_outside_a_call_cannot_be_taken_away, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(revoking_at_the_moment_of_return_has_one_winner, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_thread_that_is_between_two_calls_is_abandoned_in_the_next,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_thread_that_ends_in_time_is_joined_and_not_salvaged,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_thread_that_makes_no_further_call_is_waited_for, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
