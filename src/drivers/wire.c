#include "config.h"

#include "drivers/wire.h"

#include "base/clock.h"
#include "base/compiler.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/errqueue.h>
#endif

/* ---- the system's calls ---- */

static int wire_open(void *arg UNUSED, int family, int type)
{
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 ? fd : -errno;
}

static int wire_bind(void *arg UNUSED, int fd, const struct address *local)
{
    return bind(fd, &local->sa.any, local->len) == 0 ? 0 : -errno;
}

/* Interrupted, a connect goes on by itself. */
static int wire_connect(void *arg UNUSED, int fd, const struct address *to)
{
    if (connect(fd, &to->sa.any, to->len) == 0)
        return 0;
    return errno == EINTR ? -EINPROGRESS : -errno;
}

/* The socket has no error either while it connects: whether it does is known by poll(2) alone. */
static int wire_error(void *arg UNUSED, int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int number = 0;
    socklen_t len = sizeof(number);
    if (poll(&ready, 1, 0) == 0)
        return -EINPROGRESS;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &len) == 0 ? -number : -errno;
}

static ssize_t wire_send(void *arg UNUSED, int fd, const void *bytes, size_t len,
                         const struct address *to)
{
    ssize_t n;
    do
        n = sendto(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL, to != NULL ? &to->sa.any : NULL,
                   to != NULL ? to->len : 0);
    while (n < 0 && errno == EINTR);
    return n >= 0 ? n : -errno;
}

static ssize_t wire_receive(void *arg UNUSED, int fd, void *bytes, size_t size,
                            struct address *ret_from)
{
    struct address from;
    ssize_t n;
    do {
        from = (struct address){.len = sizeof(from.sa)};
        n = recvfrom(fd, bytes, size, MSG_DONTWAIT, &from.sa.any, &from.len);
    } while (n < 0 && errno == EINTR);
    if (ret_from != NULL)
        *ret_from = from;
    return n >= 0 ? n : -errno;
}

#ifdef __linux__

void wire_keep_reports(int fd, int family)
{
    int on = 1;
    if (family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
    else
        (void)setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
}

static int wire_report_family(const struct sock_extended_err *e)
{
    switch (e->ee_origin) {
    case SO_EE_ORIGIN_ICMP: return AF_INET;
    case SO_EE_ORIGIN_ICMP6: return AF_INET6;
    default: return AF_UNSPEC;
    }
}

static void wire_read_report(struct msghdr *m, struct wire_report *ret)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
        bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
        struct sock_extended_err e;
        if ((!v4 && !v6) || c->cmsg_len < CMSG_LEN(sizeof(e)))
            continue;
        memcpy(&e, CMSG_DATA(c), sizeof(e));
        ret->family = wire_report_family(&e);
        ret->type = e.ee_type;
        ret->code = e.ee_code;
    }
}

static ssize_t wire_receive_report(void *arg UNUSED, int fd, void *bytes, size_t size,
                                   struct wire_report *ret)
{
    _Alignas(struct cmsghdr) char control[256]; /* the error, and from whom it is */
    struct iovec iov = {.iov_base = bytes, .iov_len = size};
    struct msghdr m;
    ssize_t n;
    do {
        *ret = (struct wire_report){.family = AF_UNSPEC};
        m = (struct msghdr){.msg_name = &ret->to.sa,
                            .msg_namelen = sizeof(ret->to.sa),
                            .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
        n = recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    ret->to.len = m.msg_namelen;
    wire_read_report(&m, ret);
    return n;
}

#else

void wire_keep_reports(int fd UNUSED, int family UNUSED)
{
}

static ssize_t wire_receive_report(void *arg UNUSED, int fd UNUSED, void *bytes UNUSED,
                                   size_t size UNUSED, struct wire_report *ret UNUSED)
{
    return -EAGAIN;
}

#endif

static bool wire_ready(void *arg UNUSED, int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, 0) > 0;
}

static void wire_close(void *arg UNUSED, int fd)
{
    close(fd);
}

static int64_t wire_now_us(void *arg UNUSED)
{
    return clock_mono_us();
}

const struct wire wire_sockets = {
    .open = wire_open,
    .bind = wire_bind,
    .connect = wire_connect,
    .error = wire_error,
    .send = wire_send,
    .receive = wire_receive,
    .receive_report = wire_receive_report,
    .ready = wire_ready,
    .close = wire_close,
    .now_us = wire_now_us,
};
