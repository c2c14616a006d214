#include "config.h"

#include "core/wake.h"

#include "base/mem.h"

#include <errno.h>
#include <event2/util.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct wake {
    evutil_socket_t pair[2]; /* 0: the loop reads, 1: threads write */
    struct loop_watch *watch;
    loop_fn *fn;
    void *arg;
};

static void on_rung(void *arg)
{
    struct wake *w = arg;
    char drained[64];
    while (read(w->pair[0], drained, sizeof(drained)) > 0)
        ;
    w->fn(w->arg);
}

struct wake *wake_new(struct loop *loop, loop_fn *fn, void *arg, struct err *err)
{
    struct wake *w = mem_zalloc(1, sizeof(*w));
    if (evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, w->pair) != 0) {
        err_set_number(err, ERR_OS, errno, "cannot create the doorbell: %s", strerror(errno));
        free(w);
        return NULL;
    }
    for (int i = 0; i < 2; i++) {
        evutil_make_socket_nonblocking(w->pair[i]);
        evutil_make_socket_closeonexec(w->pair[i]);
    }
    w->fn = fn;
    w->arg = arg;
    w->watch = loop_watch_new(loop, w->pair[0], on_rung, w);
    return w;
}

void wake_free(struct wake *w)
{
    if (w == NULL)
        return;
    loop_watch_free(w->watch);
    evutil_closesocket(w->pair[0]);
    evutil_closesocket(w->pair[1]);
    free(w);
}

void wake_ring(struct wake *w)
{
    ssize_t n;
    do
        n = write(w->pair[1], "", 1);
    while (n < 0 && errno == EINTR);
    CHECK(n == 1 || errno == EAGAIN); /* EAGAIN: full, so it is ringing already */
}
