/* One way to ask a script runner or a script server pool, whichever thread supervises. */
#ifndef SPINE_TESTS_ASKING_H
#define SPINE_TESTS_ASKING_H

#include "everyface.h"

#include "base/buf.h"
#include "drivers/script.h"

struct asking {
    struct face *face;
    void *driver;
    void (*start)(void *driver, const struct script_request *request, int64_t deadline_mono_ms,
                  script_done_fn *done, void *arg);
    struct buf notes; /* what the driver had to say besides; read it after the end */
    int turns;
};

struct question {
    const char *command;
    bool count_lines;
    int64_t within_ms; /* of the cycle that is left; 0: much */

    struct asking *asking;
    struct script_reply reply;
    char *output, *detail;
    int answers, turn; /* turn: which one to be answered it was */
    bool inside;       /* start() has not returned yet */
};

static inline void asking_note(void *arg, const char *line)
{
    struct asking *a = arg;
    buf_printf(&a->notes, "%s\n", line);
}

static inline void asking_take(struct question *q, const struct script_reply *reply)
{
    q->reply = *reply;
    q->output = mem_alloc(reply->len + 1);
    memcpy(q->output, reply->output, reply->len);
    q->output[reply->len] = '\0';
    q->detail = mem_strdup(reply->detail == NULL ? "" : reply->detail);
    thr_lock(&q->asking->face->lock);
    q->answers++;
    q->turn = q->asking->turns++;
    thr_unlock(&q->asking->face->lock);
}

static inline void asking_on_done(void *arg, const struct script_reply *reply)
{
    struct question *q = arg;
    assert_false(q->inside);
    asking_take(q, reply);
    face_arrive(q->asking->face);
}

static inline void asking_start(void *arg)
{
    struct question *q = arg;
    struct script_request request = {.command = q->command, .count_lines = q->count_lines};
    int64_t within_ms = q->within_ms == 0 ? 60000 : q->within_ms;
    q->inside = true;
    q->asking->start(q->asking->driver, &request, clock_mono_ms() + within_ms, asking_on_done, q);
    q->inside = false;
}

static inline void ask(struct asking *a, struct question *q)
{
    q->asking = a;
    face_call(a->face, asking_start, q);
}

/* For the answers to all of them. */
static inline void wait_for(struct asking *a, struct question *q, size_t count)
{
    face_wait(a->face, (int)count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(q[i].answers, 1);
}

static inline void ask_all(struct asking *a, struct question *q, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ask(a, &q[i]);
    wait_for(a, q, count);
}

static inline void forget(struct question *q, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(q[i].output);
        free(q[i].detail);
    }
}

#endif
