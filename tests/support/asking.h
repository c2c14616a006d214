/* One way to ask a script runner or a script server pool, on the loop or from waiting threads. */
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
    void (*run)(void *driver, const struct script_request *request, int64_t deadline_mono_ms,
                struct script_answer *ret);
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
    pthread_t thread;
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

static inline struct script_request asking_request(const struct question *q)
{
    return (struct script_request){.command = q->command, .count_lines = q->count_lines};
}

static inline int64_t asking_deadline(const struct question *q)
{
    return clock_mono_ms() + (q->within_ms == 0 ? 60000 : q->within_ms);
}

static inline void *asking_run(void *arg)
{
    struct question *q = arg;
    struct script_request request = asking_request(q);
    struct script_answer answer;
    q->asking->run(q->asking->driver, &request, asking_deadline(q), &answer);
    asking_take(q, &answer.reply);
    script_answer_done(&answer);
    return NULL;
}

static inline void ask(struct asking *a, struct question *q)
{
    q->asking = a;
    if (a->face->kind->on_loop) {
        struct script_request request = asking_request(q);
        q->inside = true;
        a->start(a->driver, &request, asking_deadline(q), asking_on_done, q);
        q->inside = false;
    } else {
        assert_int_equal(pthread_create(&q->thread, NULL, asking_run, q), 0);
    }
}

/* For the answers to all of them. */
static inline void wait_for(struct asking *a, struct question *q, size_t count)
{
    if (a->face->kind->on_loop)
        face_wait(a->face, (int)count);
    else
        for (size_t i = 0; i < count; i++)
            assert_int_equal(pthread_join(q[i].thread, NULL), 0);
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
