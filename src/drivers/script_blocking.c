#include "config.h"

#include "script_private.h"

#include "base/mem.h"
#include "base/thr.h"

#include <stdlib.h>

struct waiting {
    script_begin_fn *begin;
    void *driver;
    const struct script_request *request;
    int64_t deadline_mono_ms;
    struct script_answer *answer;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool answered; /* under lock */
};

static void on_done(void *arg, const struct script_reply *reply)
{
    struct waiting *w = arg;
    struct script_answer *a = w->answer;
    a->reply = *reply;
    a->output = mem_strndup(reply->output == NULL ? "" : reply->output, 0);
    if (reply->len > 0) {
        free(a->output);
        a->output = mem_alloc(reply->len + 1);
        for (size_t i = 0; i < reply->len; i++)
            a->output[i] = reply->output[i];
        a->output[reply->len] = '\0';
    }
    a->detail = reply->detail == NULL ? NULL : mem_strdup(reply->detail);
    a->reply.output = a->output;
    a->reply.detail = a->detail;
    thr_lock(&w->lock);
    w->answered = true;
    pthread_cond_signal(&w->changed);
    thr_unlock(&w->lock);
}

static void on_supervising_thread(void *arg)
{
    struct waiting *w = arg;
    w->begin(w->driver, w->request, w->deadline_mono_ms, on_done, w);
}

void script_wait(struct children *children, script_begin_fn *begin, void *driver,
                 const struct script_request *request, int64_t deadline_mono_ms,
                 struct script_answer *ret)
{
    struct waiting w = {.begin = begin,
                        .driver = driver,
                        .request = request,
                        .deadline_mono_ms = deadline_mono_ms,
                        .answer = ret};
    thr_mutex_init(&w.lock);
    thr_cond_init(&w.changed);
    if (!children_call(children, on_supervising_thread, &w)) {
        const struct script_reply cancelled = {.outcome = SCRIPT_CANCELLED, .output = ""};
        on_done(&w, &cancelled);
    }
    thr_lock(&w.lock); /* without a time of its own: the driver promises an answer */
    while (!w.answered)
        thr_wait(&w.changed, &w.lock);
    thr_unlock(&w.lock);
    pthread_cond_destroy(&w.changed);
    pthread_mutex_destroy(&w.lock);
}

void script_answer_done(struct script_answer *a)
{
    free(a->output);
    free(a->detail);
    a->output = a->detail = NULL;
}
