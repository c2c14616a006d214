#include "config.h"

#include "loop_private.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>

/* ---- a binary heap; each timer knows its place ---- */

static void loop_timer_put(struct loop *loop, size_t place, struct loop_timer *t)
{
    loop->heap[place] = t;
    t->place = place;
}

static void sift_up(struct loop *loop, size_t place)
{
    struct loop_timer *t = loop->heap[place];
    for (; place > 0 && loop->heap[(place - 1) / 2]->due_us > t->due_us; place = (place - 1) / 2)
        loop_timer_put(loop, place, loop->heap[(place - 1) / 2]);
    loop_timer_put(loop, place, t);
}

static void sift_down(struct loop *loop, size_t place)
{
    struct loop_timer *t = loop->heap[place];
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= loop->timer_count)
            break;
        if (child + 1 < loop->timer_count &&
            loop->heap[child + 1]->due_us < loop->heap[child]->due_us)
            child++;
        if (loop->heap[child]->due_us >= t->due_us)
            break;
        loop_timer_put(loop, place, loop->heap[child]);
        place = child;
    }
    loop_timer_put(loop, place, t);
}

static void loop_timer_insert(struct loop *loop, struct loop_timer *t)
{
    loop->heap =
        mem_grow(loop->heap, loop->timer_count, &loop->timer_cap, 16, sizeof(loop->heap[0]));
    t->set = true;
    loop_timer_put(loop, loop->timer_count, t);
    sift_up(loop, loop->timer_count++);
}

static void loop_timer_take_out(struct loop *loop, struct loop_timer *t)
{
    struct loop_timer *last = loop->heap[--loop->timer_count];
    t->set = false;
    if (last == t)
        return;
    loop_timer_put(loop, t->place, last);
    sift_up(loop, last->place);
    sift_down(loop, last->place);
}

/* ---- for the owner ---- */

void loop_timer_init(struct loop_timer *t, struct loop *loop, loop_fn *fn, void *arg)
{
    *t = (struct loop_timer){.loop = loop, .fn = fn, .arg = arg};
}

/* Never due before now, so that a timer which is always set to the past cannot keep
 * loop_timers_fire() busy forever. */
void loop_timer_set_at_us(struct loop_timer *t, int64_t mono_us)
{
    int64_t now_us = clock_mono_us();
    loop_timer_cancel(t);
    t->due_us = mono_us < now_us ? now_us : mono_us;
    loop_timer_insert(t->loop, t);
}

void loop_timer_set(struct loop_timer *t, int64_t delay_ms)
{
    loop_timer_set_at_us(t, clock_mono_us() + delay_ms * 1000);
}

void loop_timer_cancel(struct loop_timer *t)
{
    if (t->loop == NULL)
        return;
    loop_assert_here(t->loop);
    if (t->set)
        loop_timer_take_out(t->loop, t);
}

bool loop_timer_is_set(const struct loop_timer *t)
{
    return t->set;
}

/* ---- for the loop ---- */

int64_t loop_timers_wait_us(const struct loop *loop)
{
    if (loop->timer_count == 0)
        return -1;
    int64_t left_us = loop->heap[0]->due_us - clock_mono_us();
    return left_us < 0 ? 0 : left_us;
}

/* A timer that a callback sets is due later than now_us, so this ends. */
void loop_timers_fire(struct loop *loop)
{
    if (loop->timer_count == 0)
        return;
    int64_t now_us = clock_mono_us();
    while (loop->timer_count > 0 && loop->heap[0]->due_us <= now_us) {
        struct loop_timer *t = loop->heap[0];
        int64_t late_us = clock_mono_us() - t->due_us;
        if (late_us > loop->lag_us)
            loop->lag_us = late_us;
        loop_timer_take_out(loop, t);
        t->fn(t->arg); /* t may be gone afterwards */
    }
}

void loop_timers_done(struct loop *loop)
{
    CHECK(loop->timer_count == 0);
    free(loop->heap);
}
