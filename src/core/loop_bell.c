#include "config.h"

#include "loop_private.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* libevent's own where it is built in: it knows more systems. */
static bool bell_pair(int pair[2])
{
#ifdef HAVE_LIBEVENT
    return loop_libevent_pair(pair);
#else
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0;
#endif
}

bool loop_bell_open(struct loop *loop, struct err *err)
{
    if (bell_pair(loop->bell))
        return true;
    return err_set_number(err, ERR_OS, errno, "cannot create the loop's bell: %s", strerror(errno));
}

void loop_bell_close(struct loop *loop)
{
    close(loop->bell[0]);
    close(loop->bell[1]);
}

void loop_bell_ring(struct loop *loop)
{
    while (write(loop->bell[1], "", 1) != 1) {
        if (errno == EAGAIN)
            return; /* the pair is full, so the bell rings already */
        CHECK(errno == EINTR || errno == ENOBUFS || errno == ENOMEM);
        if (errno != EINTR)
            clock_pause_ms(1); /* a bell that does not ring would be a loop that does not wake */
    }
}

void loop_bell_drain(struct loop *loop)
{
    char drained[64];
    ssize_t n;
    do
        n = read(loop->bell[0], drained, sizeof(drained));
    while (n > 0 || (n < 0 && errno == EINTR));
}
