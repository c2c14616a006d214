#include "config.h"

#include "base/give_up.h"

#include "base/mem.h"
#include "base/thr.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool give_up_init(struct give_up *g, struct err *err)
{
    if (pipe2(g->fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_set_number(err, ERR_OS, errno, "cannot create a pipe: %s", strerror(errno));
    atomic_init(&g->set, false);
    thr_mutex_init(&g->lock);
    LIST_INIT(&g->watches);
    return true;
}

void give_up_done(struct give_up *g)
{
    CHECK(LIST_EMPTY(&g->watches));
    close(g->fds[0]);
    close(g->fds[1]);
    thr_mutex_done(&g->lock);
}

/* The pipe is empty, so there is room. */
static void give_up_ring(struct give_up *g)
{
    ssize_t n;
    do
        n = write(g->fds[1], "", 1);
    while (n < 0 && errno == EINTR);
    CHECK(n == 1);
}

void give_up_set(struct give_up *g)
{
    thr_lock(&g->lock);
    if (!atomic_exchange(&g->set, true)) {
        give_up_ring(g);
        struct give_up_watch *w;
        LIST_FOREACH (w, &g->watches, next)
            w->told(w->arg);
    }
    thr_unlock(&g->lock);
}

bool give_up_is_set(const struct give_up *g)
{
    return g != NULL && atomic_load(&g->set);
}

int give_up_fd(const struct give_up *g)
{
    return g != NULL ? g->fds[0] : -1;
}

void give_up_watch(struct give_up *g, struct give_up_watch *w)
{
    if (g == NULL)
        return;
    thr_lock(&g->lock);
    LIST_INSERT_HEAD(&g->watches, w, next);
    if (atomic_load(&g->set))
        w->told(w->arg);
    thr_unlock(&g->lock);
}

void give_up_unwatch(struct give_up *g, struct give_up_watch *w)
{
    if (g == NULL)
        return;
    thr_lock(&g->lock);
    LIST_REMOVE(w, next);
    thr_unlock(&g->lock);
}
