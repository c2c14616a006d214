#include "config.h"

#include "ping_private.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEFAULT_TIMEOUT_MS = 500, DEFAULT_RETRIES = 2 };

enum method { METHOD_ICMP, METHOD_UDP, METHOD_TCP };

/* Contract operations 5.4; the last three of each are ours, for outcomes that Spine does not know.
 */
struct texts {
    const char *up;
    const char *timed_out;
    const char *unreachable; /* an error came back */
    const char *no_connect;
    const char *bad_name;
    const char *no_name;
    const char *no_socket;
    const char *not_sent;
    const char *not_resolved;
    const char *given_up;
};

static const struct texts texts[] = {
    [METHOD_ICMP] = {.bad_name = "ICMP: Destination hostname invalid",
                     .no_name = "ICMP: Destination address not specified",
                     .no_socket = ping_text_icmp_no_socket,
                     .not_resolved = "ICMP: Destination hostname could not be looked up",
                     .given_up = ping_text_icmp_given_up},
    [METHOD_UDP] = {.up = "UDP: Device is Alive",
                    .timed_out = "UDP: Ping timed out",
                    .unreachable = "UDP: Device is Down",
                    .no_connect = "UDP: Cannot connect to host",
                    .bad_name = "UDP: Destination hostname invalid",
                    .no_name = "UDP: Destination address invalid or unable to create socket",
                    .no_socket = "UDP: Destination address invalid or unable to create socket",
                    .not_sent = "UDP: Ping not sent for want of local buffers, ports or rights",
                    .not_resolved = "UDP: Destination hostname could not be looked up",
                    .given_up = "UDP: Ping given up, the poller is out of time"},
    [METHOD_TCP] = {.up = "TCP: Device is Alive",
                    .timed_out = "TCP: Cannot connect to host",
                    .unreachable = "TCP: Cannot connect to host",
                    .no_connect = "TCP: Cannot connect to host",
                    .bad_name = "TCP: Destination hostname invalid",
                    .no_name = "TCP: Destination address invalid or unable to create socket",
                    .no_socket = "TCP: Destination address invalid or unable to create socket",
                    .not_sent = "TCP: Ping not sent for want of local buffers, ports or rights",
                    .not_resolved = "TCP: Destination hostname could not be looked up",
                    .given_up = "TCP: Ping given up, the poller is out of time"},
};

struct pinger {
    int stop_read, stop_write; /* readable = given up, for good */
    struct resolver *resolver;
    struct ping_icmp *icmp;
};

struct pinger *pinger_new(const struct ping_sockets *s, struct resolver *resolver, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        err_set_number(err, ERR_OS, errno, "cannot create a pipe for pings: %s", strerror(errno));
        return NULL;
    }
    struct pinger *p = mem_zalloc(1, sizeof(*p));
    p->stop_read = ends[0];
    p->stop_write = ends[1];
    p->resolver = resolver;
    p->icmp = ping_icmp_new(s, p->stop_read);
    return p;
}

/* The byte is never read: every poll() from now on sees it. */
static void stop_all(struct pinger *p)
{
    while (write(p->stop_write, "", 1) < 0 && errno == EINTR)
        ;
    ping_icmp_give_up(p->icmp);
}

void pinger_give_up(struct pinger *p)
{
    stop_all(p);
    resolver_give_up(p->resolver);
}

void pinger_free(struct pinger *p)
{
    if (p == NULL)
        return;
    stop_all(p);
    ping_icmp_free(p->icmp);
    close(p->stop_read);
    close(p->stop_write);
    free(p);
}

/* ---- shared with ICMP ---- */

bool ping_own_trouble(int number)
{
    switch (number) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EPERM: /* a local packet filter */
    case EACCES:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
    case EADDRNOTAVAIL: /* no port or no source address left */
    case EADDRINUSE:
    case EAGAIN: return true;
    default: return false;
    }
}

enum ping_wait ping_wait_io(int fd, short events, int stop_fd, int64_t until_us)
{
    struct pollfd fds[] = {{.fd = stop_fd, .events = POLLIN}, {.fd = fd, .events = events}};
    for (;;) {
        int64_t left_us = until_us - clock_mono_us();
        int64_t left_ms = left_us > 0 ? (left_us + 999) / 1000 : 0;
        int n = poll(fds, ARRAY_LEN(fds), left_ms < INT32_MAX ? (int)left_ms : INT32_MAX);
        if (n > 0)
            return fds[0].revents != 0 ? PING_GIVEN_UP : PING_READY;
        if (left_ms == 0 || (n == 0 && left_ms < INT32_MAX))
            return PING_TIMED_OUT;
    }
}

/* ---- UDP and TCP ---- */

enum result {
    RESULT_UP,
    RESULT_TIMED_OUT,
    RESULT_UNREACHABLE, /* the network said so */
    RESULT_NO_CONNECT,
    RESULT_NO_SOCKET, /* from here on our own trouble: not a real attempt */
    RESULT_NOT_SENT,
    RESULT_GIVEN_UP,
};

struct udp_or_tcp {
    const struct pinger *p;
    const struct ping_plan *plan;
    int fd;         /* -1 = none */
    int64_t end_us; /* of this attempt */
};

static int open_socket(const struct address *to, int type)
{
    return socket(to->sa.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int connect_socket(int fd, const struct address *to)
{
    return connect(fd, (const struct sockaddr *)&to->sa, to->len) == 0 ? 0 : errno;
}

static void drop_socket(struct udp_or_tcp *io)
{
    if (io->fd >= 0)
        close(io->fd);
    io->fd = -1;
}

static enum ping_wait wait_for(const struct udp_or_tcp *io, short events)
{
    return ping_wait_io(io->fd, events, io->p->stop_read, io->end_us);
}

/* What an attempt came to when its time is over. */
static enum result ended(enum ping_wait how, enum result so_far)
{
    return how == PING_GIVEN_UP ? RESULT_GIVEN_UP : so_far;
}

/* A failed attempt is not a shorter one. */
static enum result sit_out(struct udp_or_tcp *io, enum result so_far)
{
    drop_socket(io);
    return ended(wait_for(io, 0), so_far);
}

/* The socket of earlier attempts is kept: what comes back late comes back to it. */
static enum result udp_connect(struct udp_or_tcp *io)
{
    if (io->fd >= 0)
        return RESULT_TIMED_OUT;
    io->fd = open_socket(io->plan->to, SOCK_DGRAM);
    if (io->fd < 0)
        return RESULT_NO_SOCKET;
    int number = connect_socket(io->fd, io->plan->to);
    if (number == 0)
        return RESULT_TIMED_OUT;
    return ping_own_trouble(number) ? RESULT_NOT_SENT : RESULT_NO_CONNECT;
}

static enum result udp_send(const struct udp_or_tcp *io)
{
    if (send(io->fd, PING_PAYLOAD, PING_PAYLOAD_LEN, MSG_NOSIGNAL) >= 0)
        return RESULT_TIMED_OUT;
    if (errno == ECONNREFUSED)
        return RESULT_UP; /* to an earlier attempt */
    return ping_own_trouble(errno) ? RESULT_NOT_SENT : RESULT_UNREACHABLE;
}

static enum result udp_attempt(struct udp_or_tcp *io)
{
    enum result result = udp_connect(io);
    if (result != RESULT_TIMED_OUT)
        return sit_out(io, result);
    result = udp_send(io);
    while (result != RESULT_UP) {
        enum ping_wait how = wait_for(io, POLLIN);
        if (how != PING_READY)
            return ended(how, result);
        char byte;
        if (recv(io->fd, &byte, 1, MSG_TRUNC) >= 0 || errno == ECONNREFUSED)
            result = RESULT_UP;
        else if (errno != EAGAIN && errno != EINTR && result == RESULT_TIMED_OUT)
            result = RESULT_UNREACHABLE;
    }
    return result;
}

static enum result tcp_attempt(struct udp_or_tcp *io)
{
    drop_socket(io);
    io->fd = open_socket(io->plan->to, SOCK_STREAM);
    if (io->fd < 0)
        return sit_out(io, RESULT_NO_SOCKET);
    int number = connect_socket(io->fd, io->plan->to);
    if (number != EINPROGRESS && number != EINTR && ping_own_trouble(number))
        return sit_out(io, RESULT_NOT_SENT);
    if (number == EINPROGRESS || number == EINTR) {
        enum ping_wait how = wait_for(io, POLLOUT);
        if (how != PING_READY)
            return ended(how, RESULT_TIMED_OUT);
        socklen_t len = sizeof(number);
        CHECK(getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &number, &len) == 0);
    }
    if (number == 0 || number == ECONNREFUSED)
        return RESULT_UP;
    return sit_out(io, RESULT_UNREACHABLE);
}

static const char *text_of(enum method method, enum result result)
{
    const struct texts *t = &texts[method];
    switch (result) {
    case RESULT_UP: return t->up;
    case RESULT_TIMED_OUT: return t->timed_out;
    case RESULT_UNREACHABLE: return t->unreachable;
    case RESULT_NO_CONNECT: return t->no_connect;
    case RESULT_NO_SOCKET: return t->no_socket;
    case RESULT_NOT_SENT: return t->not_sent;
    case RESULT_GIVEN_UP: return t->given_up;
    }
    return t->given_up;
}

/* The result that tells most: trouble of our own before an error before silence. */
static void check_by(enum method method, struct pinger *p, const struct ping_plan *plan,
                     struct ping_reply *ret)
{
    struct udp_or_tcp io = {.p = p, .plan = plan, .fd = -1};
    enum result worst = RESULT_TIMED_OUT;
    for (unsigned i = 0; i < plan->attempts; i++) {
        int64_t start_us = clock_mono_us();
        bool cut = plan->deadline_us < start_us + plan->timeout_us;
        io.end_us = cut ? plan->deadline_us : start_us + plan->timeout_us;
        enum result result = method == METHOD_UDP ? udp_attempt(&io) : tcp_attempt(&io);
        if (result == RESULT_UP) {
            worst = result;
            ret->time_ms = (double)(clock_mono_us() - start_us) / 1000;
            break;
        }
        if (cut)
            result = RESULT_GIVEN_UP;
        if (result > worst)
            worst = result;
        if (result == RESULT_GIVEN_UP)
            break;
    }
    drop_socket(&io);
    ret->text = text_of(method, worst);
    if (worst == RESULT_UP)
        ret->outcome = PING_UP;
    else
        ret->outcome = worst >= RESULT_NO_SOCKET ? PING_IMPOSSIBLE : PING_DOWN;
}

/* ---- one question ---- */

static bool method_of(int number, enum method *ret)
{
    switch (number) {
    case PING_METHOD_ICMP: *ret = METHOD_ICMP; return true;
    case PING_METHOD_UDP: *ret = METHOD_UDP; return true;
    case PING_METHOD_TCP:
    case PING_METHOD_TCP_CLOSED: *ret = METHOD_TCP; return true;
    default: return false;
    }
}

static struct ping_plan plan_of(const struct ping_request *request, const struct address *to,
                                int64_t deadline_mono_ms)
{
    int timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : DEFAULT_TIMEOUT_MS;
    int retries = request->retries >= 0 ? request->retries : DEFAULT_RETRIES;
    if (retries > PING_RETRIES_MAX)
        retries = PING_RETRIES_MAX;
    int64_t latest_ms = INT64_MAX / 2000;
    return (struct ping_plan){
        .to = to,
        .attempts = (unsigned)retries + 1,
        .timeout_us = (int64_t)timeout_ms * 1000,
        .deadline_us = (deadline_mono_ms < latest_ms ? deadline_mono_ms : latest_ms) * 1000,
    };
}

static void set_port(struct address *a, uint16_t port)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (a->sa.ss_family == AF_INET6) {
        memcpy(&v6, &a->sa, sizeof(v6));
        v6.sin6_port = htons(port);
        memcpy(&a->sa, &v6, sizeof(v6));
    } else {
        memcpy(&v4, &a->sa, sizeof(v4));
        v4.sin_port = htons(port);
        memcpy(&a->sa, &v4, sizeof(v4));
    }
}

/* false: *ret is the answer already. */
static bool find_address(struct pinger *p, const struct ping_request *request, enum method method,
                         int64_t deadline_mono_ms, struct address *ret_address,
                         struct ping_reply *ret)
{
    enum resolve_family family;
    int64_t latest_ms = clock_mono_ms() + PING_RESOLVE_MS;
    struct err err = ERR_INIT;
    char *host = resolve_host_part(request->hostname != NULL ? request->hostname : "", &family);
    bool named = host[0] != '\0';
    bool found = named && resolver_find(p->resolver, host, family,
                                        deadline_mono_ms < latest_ms ? deadline_mono_ms : latest_ms,
                                        ret_address, &err);
    free(host);
    if (found)
        return true;
    if (!named) {
        ret->text = texts[method].no_name;
    } else if (err.kind == ERR_CONFIG) {
        ret->text = texts[method].bad_name;
        snprintf(ret->bad_name, sizeof(ret->bad_name), "%s", err.text);
    } else {
        ret->outcome = PING_IMPOSSIBLE;
        ret->text = texts[method].not_resolved;
    }
    return false;
}

void pinger_ask(struct pinger *p, const struct ping_request *request, int64_t deadline_mono_ms,
                struct ping_reply *ret)
{
    *ret = (struct ping_reply){.outcome = PING_DOWN, .text = "Ping not performed due to setting."};
    enum method method;
    if (!method_of(request->method, &method))
        return;
    if (clock_mono_ms() >= deadline_mono_ms ||
        ping_wait_io(-1, 0, p->stop_read, 0) == PING_GIVEN_UP) {
        ret->outcome = PING_IMPOSSIBLE;
        ret->text = texts[method].given_up;
        return;
    }
    struct address address;
    if (!find_address(p, request, method, deadline_mono_ms, &address, ret))
        return;
    struct ping_plan plan = plan_of(request, &address, deadline_mono_ms);
    if (method == METHOD_ICMP && ping_icmp_usable(p->icmp, address.sa.ss_family)) {
        ping_icmp_check(p->icmp, &plan, ret);
        return;
    }
    if (method == METHOD_ICMP && request->port == 0) {
        ret->outcome = PING_IMPOSSIBLE; /* there is nothing to fall back to */
        ret->text = ping_text_icmp_no_socket;
        return;
    }
    ret->fell_back = method == METHOD_ICMP;
    set_port(&address, request->port);
    check_by(method == METHOD_TCP ? METHOD_TCP : METHOD_UDP, p, &plan, ret);
}
