#include "config.h"

#include <net-snmp/net-snmp-config.h>

#include <net-snmp/net-snmp-includes.h>

#include "snmp_private.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    MESSAGE_MAX_UDP = 65507,        /* what fits into a datagram */
    MESSAGE_MAX_TCP = 0x7fffffff,   /* the library's own */
    RECEIVED_MAX = 4 * 1024 * 1024, /* of a stream for one answer */
};

bool snmp_peer_is_own_trouble(int number)
{
    switch (number) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EAGAIN:
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT: return true;
    default: return false;
    }
}

uint32_t snmp_peer_timeout_ms(const struct target *t)
{
    bool stored_negative = t->timeout_ms > INT32_MAX;
    return t->timeout_ms == 0 || stored_negative ? SNMP_DEFAULT_TIMEOUT_MS : t->timeout_ms;
}

int64_t snmp_peer_patience_ms(const struct target *t, const struct snmp_options *options)
{
    return (int64_t)snmp_peer_timeout_ms(t) * (options->retries + 1);
}

/* ---- the transport's functions, called by the library ---- */

static int send_datagram(netsnmp_transport *t, const void *bytes, int len, void **opaque UNUSED,
                         int *opaque_len UNUSED)
{
    struct snmp_peer *p = (struct snmp_peer *)t;
    ssize_t n;
    do
        n = sendto(t->sock, bytes, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL,
                   (const struct sockaddr *)&p->address, p->address_len);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        p->sent = true;
    else if (errno == EMSGSIZE)
        return -1;
    else
        p->send_errno = errno; /* as good as lost on the way: the timer sends it again */
    return len;
}

static bool is_from(const struct snmp_peer *p, const struct sockaddr_storage *from)
{
    if (from->ss_family != p->address.ss_family)
        return false;
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)from;
        const struct sockaddr_in *b = (const struct sockaddr_in *)&p->address;
        return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)from;
    const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)&p->address;
    return a->sin6_port == b->sin6_port && IN6_ARE_ADDR_EQUAL(&a->sin6_addr, &b->sin6_addr);
}

static int receive_datagram(netsnmp_transport *t, void *bytes, int size, void **opaque,
                            int *opaque_len)
{
    struct snmp_peer *p = (struct snmp_peer *)t;
    struct sockaddr_storage from;
    socklen_t from_len;
    ssize_t n;
    do {
        from_len = sizeof(from);
        n = recvfrom(t->sock, bytes, (size_t)size, MSG_DONTWAIT, (struct sockaddr *)&from,
                     &from_len);
    } while (n < 0 && errno == EINTR);
    *opaque = NULL;
    *opaque_len = 0;
    p->from_elsewhere = n >= 0 && !is_from(p, &from);
    return (int)n;
}

/* A request is far smaller than a socket's buffer: what does not go in at once never will. */
static int send_stream(netsnmp_transport *t, const void *bytes, int len, void **opaque UNUSED,
                       int *opaque_len UNUSED)
{
    struct snmp_peer *p = (struct snmp_peer *)t;
    if (t->sock < 0)
        return len;
    ssize_t n = send(t->sock, bytes, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n == len) {
        p->sent = true;
    } else {
        p->send_errno = n < 0 ? errno : EPIPE;
        t->f_close(t);
    }
    return len;
}

static int receive_stream(netsnmp_transport *t, void *bytes, int size, void **opaque,
                          int *opaque_len)
{
    struct snmp_peer *p = (struct snmp_peer *)t;
    *opaque = NULL;
    *opaque_len = 0;
    p->from_elsewhere = false;
    ssize_t n = recv(t->sock, bytes, (size_t)size, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        t->flags |= NETSNMP_TRANSPORT_FLAG_EMPTY_PKT; /* nothing, but not the end */
        return 0;
    }
    if (n > 0)
        p->received += (size_t)n;
    return p->received > RECEIVED_MAX ? -1 : (int)n;
}

static int close_socket(netsnmp_transport *t)
{
    int rc = t->sock >= 0 ? close(t->sock) : 0;
    t->sock = -1;
    return rc;
}

void snmp_peer_begin(struct snmp_peer *p)
{
    p->received = 0;
    p->sent = false;
    p->send_errno = 0;
}

void snmp_peer_free(struct snmp_peer *p)
{
    if (p == NULL)
        return;
    close_socket(&p->transport);
    free(p);
}

static struct snmp_peer *new_peer(bool stream)
{
    struct snmp_peer *p = mem_zalloc(1, sizeof(*p));
    netsnmp_transport *t = &p->transport;
    t->sock = -1;
    t->flags = NETSNMP_TRANSPORT_FLAG_OPENED | (stream ? NETSNMP_TRANSPORT_FLAG_STREAM : 0U);
    t->msgMaxSize = stream ? MESSAGE_MAX_TCP : MESSAGE_MAX_UDP;
    t->f_send = stream ? send_stream : send_datagram;
    t->f_recv = stream ? receive_stream : receive_datagram;
    t->f_close = close_socket;
    return p;
}

/* ---- opening ---- */

static bool fail(enum snmp_outcome *why, enum snmp_outcome outcome, struct buf *detail,
                 const char *what, int number)
{
    *why = outcome;
    buf_printf(detail, "%s: %s", what, strerror(number));
    return false;
}

static bool wants_stream(const char *hostname)
{
    static const char *const prefixes[] = {"tcp:", "tcp6:", "tcpv6:", "tcpipv6:"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (strncasecmp(hostname, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static void set_port(struct sockaddr_storage *sa, uint16_t port)
{
    if (sa->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)sa)->sin_port = htons(port);
}

static bool resolve(const char *hostname, struct resolver *resolver, int64_t deadline_mono_ms,
                    struct address *ret, struct err *err)
{
    int64_t patience = clock_mono_ms() + SNMP_RESOLVE_MS;
    if (deadline_mono_ms > patience)
        deadline_mono_ms = patience;
    enum resolve_family family;
    char *name = resolve_host_part(hostname, &family);
    bool ok = resolver_find(resolver, name, family, deadline_mono_ms, ret, err);
    free(name);
    return ok;
}

/* The local address counts for targets of its own family; others leave from where the system
 * likes. */
static bool bind_client(const struct snmp_peer *p, const struct snmp_options *options,
                        int64_t deadline_mono_ms, enum snmp_outcome *why, struct buf *detail)
{
    struct err err = ERR_INIT;
    struct address local;
    if (options->client_address == NULL || options->client_address[0] == '\0')
        return true;
    if (!resolve(options->client_address, options->resolver, deadline_mono_ms, &local, &err)) {
        *why = SNMP_IMPOSSIBLE;
        buf_printf(detail, "client address: %s", err.text);
        return false;
    }
    if (local.sa.ss_family != p->address.ss_family)
        return true;
    if (bind(p->transport.sock, (const struct sockaddr *)&local.sa, local.len) != 0)
        return fail(why, SNMP_IMPOSSIBLE, detail, "cannot use the client address", errno);
    return true;
}

static bool connect_stream(struct snmp_peer *p, int64_t until_mono_ms, enum snmp_outcome *why,
                           struct buf *detail)
{
    int number = 0;
    if (connect(p->transport.sock, (const struct sockaddr *)&p->address, p->address_len) != 0)
        number = errno;
    if (number == EINPROGRESS) {
        struct pollfd fds[2] = {{.fd = p->transport.sock, .events = POLLOUT},
                                {.fd = snmp_give_up_fd(), .events = POLLIN}};
        int n;
        do {
            int64_t left = until_mono_ms - clock_mono_ms();
            n = poll(fds, 2, left > 0 ? (int)left : 0);
        } while (n < 0 && errno == EINTR);
        socklen_t len = sizeof(number);
        number = ETIMEDOUT;
        if (n > 0 && fds[0].revents != 0)
            getsockopt(p->transport.sock, SOL_SOCKET, SO_ERROR, &number, &len);
    }
    if (number == 0)
        return true;
    return fail(why, snmp_peer_is_own_trouble(number) ? SNMP_IMPOSSIBLE : SNMP_TIMED_OUT, detail,
                "cannot connect", number);
}

static bool open_socket(struct snmp_peer *p, const struct target *t,
                        const struct snmp_options *options, int64_t deadline_mono_ms,
                        enum snmp_outcome *why, struct buf *detail)
{
    struct err err = ERR_INIT;
    struct address address;
    bool stream = p->transport.flags & NETSNMP_TRANSPORT_FLAG_STREAM;
    if (t->port == 0)
        return fail(why, SNMP_FAILED, detail, "port 0", EINVAL);
    if (!resolve(t->hostname, options->resolver, deadline_mono_ms, &address, &err)) {
        *why = err.kind == ERR_CONFIG ? SNMP_FAILED : SNMP_IMPOSSIBLE;
        buf_puts(detail, err.text);
        return false;
    }
    p->address = address.sa;
    p->address_len = address.len;
    set_port(&p->address, t->port);
    p->transport.sock =
        socket(address.sa.ss_family,
               (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->transport.sock < 0)
        return fail(why, SNMP_IMPOSSIBLE, detail, "cannot create a socket", errno);
    if (!bind_client(p, options, deadline_mono_ms, why, detail))
        return false;
    int64_t until = clock_mono_ms() + snmp_peer_patience_ms(t, options);
    if (until > deadline_mono_ms)
        until = deadline_mono_ms;
    return !stream || connect_stream(p, until, why, detail);
}

struct snmp_peer *snmp_peer_open(const struct target *t, const struct snmp_options *options,
                                 int64_t deadline_mono_ms, enum snmp_outcome *ret_why,
                                 struct buf *detail)
{
    struct snmp_peer *p = new_peer(wants_stream(t->hostname));
    if (open_socket(p, t, options, deadline_mono_ms, ret_why, detail))
        return p;
    snmp_peer_free(p);
    return NULL;
}
