/* What the tests of the loop have in common: a loop, what happened on it, and who stops it. */
#ifndef SPINE_TESTS_LOOP_STORY_H
#define SPINE_TESTS_LOOP_STORY_H

#include "core/loop.h"

#include "../../support/everyloop.h"

#include <string.h>
#include <unistd.h>

/* A letter for each thing that happened. */
struct story {
    struct loop *loop;
    struct loop_timer stopper; /* turns a hang into a failure */
    char text[64];
    size_t len;
    bool too_late;
};

struct event {
    struct story *story;
    char letter;
    struct loop_timer timer;
    struct loop_timer *other;
    struct loop_watch watch;
    struct loop_watch *other_watch;
    struct loop_letter post;
    int fd;
    int rounds;
    int64_t due_us;
    void *owner;
};

static inline void tell(struct event *e)
{
    assert_true(e->story->len < sizeof(e->story->text) - 1);
    e->story->text[e->story->len++] = e->letter;
}

static inline void on_tell(void *arg)
{
    tell(arg);
}

static inline void on_last(void *arg)
{
    struct event *e = arg;
    tell(e);
    loop_stop(e->story->loop);
}

static inline void on_too_late(void *arg)
{
    struct story *s = arg;
    s->too_late = true;
    loop_stop(s->loop);
}

static inline void begin(struct story *s, void **state)
{
    struct err err = ERR_INIT;
    memset(s, 0, sizeof(*s));
    s->loop = loop_new(everyloop_kind_of(state), &err);
    assert_non_null(s->loop);
    loop_timer_init(&s->stopper, s->loop, on_too_late, s);
    loop_timer_set(&s->stopper, 60000);
}

static inline void run(struct story *s)
{
    loop_run(s->loop);
    assert_false(s->too_late);
}

static inline void end(struct story *s)
{
    loop_timer_cancel(&s->stopper);
    loop_free(s->loop);
}

static inline struct event event_of(struct story *s, char letter)
{
    return (struct event){.story = s, .letter = letter};
}

static inline void set(struct event *e, loop_fn *fn, int64_t delay_ms)
{
    loop_timer_init(&e->timer, e->story->loop, fn, e);
    loop_timer_set(&e->timer, delay_ms);
}

/* Tells the letter that it reads; z stops the loop. */
static inline void on_read_one(void *arg)
{
    struct event *e = arg;
    char c;
    assert_int_equal(read(e->fd, &c, 1), 1);
    e->letter = c;
    tell(e);
    if (c == 'z')
        loop_stop(e->story->loop);
}

#endif
