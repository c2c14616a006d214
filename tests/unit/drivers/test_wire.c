/* The system's socket calls as an exchange sees them. */
#include "config.h"

#include "drivers/wire.h"

#include "base/compiler.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { CALLERS = 16, PATIENCE_MS = 60000 };

static struct address loopback(int fd)
{
    struct address a = {.len = sizeof(a.sa)};
    const struct sockaddr_in any = {.sin_family = AF_INET,
                                    .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
    assert_int_equal(getsockname(fd, &a.sa.any, &a.len), 0);
    return a;
}

/* More callers than the listener's queue takes: the last ones are left waiting. */
static void a_connection_under_way_is_neither_there_nor_refused(void **state UNUSED)
{
    const struct wire *w = &wire_sockets;
    int listener = w->open(w->arg, AF_INET, SOCK_STREAM), fds[CALLERS];
    assert_true(listener >= 0);
    struct address to = loopback(listener);
    assert_int_equal(listen(listener, 0), 0);
    for (size_t i = 0; i < CALLERS; i++) {
        fds[i] = w->open(w->arg, AF_INET, SOCK_STREAM);
        assert_true(fds[i] >= 0);
        int made = w->connect(w->arg, fds[i], &to);
        assert_true(made == 0 || made == -EINPROGRESS);
    }
    struct pollfd first = {.fd = fds[0], .events = POLLOUT};
    assert_int_equal(poll(&first, 1, PATIENCE_MS), 1);
    assert_int_equal(w->error(w->arg, fds[0]), 0);
    assert_int_equal(w->error(w->arg, fds[CALLERS - 1]), -EINPROGRESS);
    for (size_t i = 0; i < CALLERS; i++)
        w->close(w->arg, fds[i]);
    w->close(w->arg, listener);
}

static void a_refused_connection_is_refused(void **state UNUSED)
{
    const struct wire *w = &wire_sockets;
    int bound = w->open(w->arg, AF_INET, SOCK_STREAM), fd = w->open(w->arg, AF_INET, SOCK_STREAM);
    assert_true(bound >= 0 && fd >= 0);
    struct address to = loopback(bound); /* where nothing listens */
    int made = w->connect(w->arg, fd, &to);
    if (made == -EINPROGRESS) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
        made = w->error(w->arg, fd);
    }
    assert_int_equal(made, -ECONNREFUSED);
    w->close(w->arg, fd);
    w->close(w->arg, bound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_under_way_is_neither_there_nor_refused),
        cmocka_unit_test(a_refused_connection_is_refused),
    };
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
