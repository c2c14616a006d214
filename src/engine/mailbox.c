#include "config.h"

#include "engine/mailbox.h"

#include "base/mem.h"
#include "base/thr.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct letter {
    struct reply reply; /* first: what is handed out */
    STAILQ_ENTRY(letter) next;
    char *output, *detail;
};

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t came;
    STAILQ_HEAD(, letter) letters; /* under lock */
};

struct mailbox *mailbox_new(void)
{
    struct mailbox *m = mem_zalloc(1, sizeof(*m));
    thr_mutex_init(&m->lock);
    thr_cond_init(&m->came);
    STAILQ_INIT(&m->letters);
    return m;
}

void mailbox_free(struct mailbox *m)
{
    if (m == NULL)
        return;
    CHECK(STAILQ_EMPTY(&m->letters));
    pthread_cond_destroy(&m->came);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

void mailbox_put(void *mailbox, const struct reply *reply)
{
    struct mailbox *m = mailbox;
    struct letter *l = mem_zalloc(1, sizeof(*l));
    const struct script_reply *from = &reply->script;
    l->reply = *reply;
    l->output = mem_alloc(from->len + 1);
    if (from->len > 0)
        memcpy(l->output, from->output, from->len);
    l->output[from->len] = '\0';
    l->reply.script.output = l->output;
    if (from->detail != NULL)
        l->reply.script.detail = l->detail = mem_strdup(from->detail);
    thr_lock(&m->lock);
    STAILQ_INSERT_TAIL(&m->letters, l, next);
    pthread_cond_signal(
        &m->came); /* under the lock: the box may be freed as soon as it is released */
    thr_unlock(&m->lock);
}

struct reply *mailbox_take(struct mailbox *m, bool wait)
{
    thr_lock(&m->lock);
    while (wait && STAILQ_EMPTY(&m->letters))
        thr_wait(&m->came, &m->lock);
    struct letter *l = STAILQ_FIRST(&m->letters);
    if (l != NULL)
        STAILQ_REMOVE_HEAD(&m->letters, next);
    thr_unlock(&m->lock);
    return l == NULL ? NULL : &l->reply;
}

void mailbox_free_reply(struct reply *r)
{
    struct letter *l = (struct letter *)r;
    free(l->output);
    free(l->detail);
    free(l);
}
