#include "config.h"

#include <net-snmp/net-snmp-config.h>

#include <net-snmp/net-snmp-includes.h>

#include "snmp_private.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    MESSAGE_MAX_UDP = 65507,        /* what fits into a datagram */
    MESSAGE_MAX_TCP = 0x7fffffff,   /* the library's own */
    RECEIVED_MAX = 4 * 1024 * 1024, /* of a stream for one answer */
};

int64_t snmp_peer_patience_ms(const struct target *t, const struct snmp_options *options)
{
    return (int64_t)t->timeout_ms * (options->retries + 1);
}

/* ---- the transport's functions, called by the library ---- */

static void peer_count_sent(const struct snmp_peer *p, ssize_t n)
{
    p->traffic->sent++;
    p->traffic->bytes_sent += (uint32_t)n;
}

static void peer_count_received(const struct snmp_peer *p, ssize_t n)
{
    if (n <= 0)
        return;
    p->traffic->received++;
    p->traffic->bytes_received += (uint32_t)n;
}

/* A message that cannot leave is as good as lost on the way, unless it is too big: the timer sends
 * it again.  The library forgets a request whose repeat has failed, and leaks it: it is not told. */
static int peer_send_datagram(netsnmp_transport *t, const void *bytes, int len,
                              void **opaque UNUSED, int *opaque_len UNUSED)
{
    struct snmp_peer *p = (struct snmp_peer *)t;
    ssize_t n = p->wire->send(p->wire->arg, p->fd, bytes, (size_t)len, &p->address);
    bool first = !p->tried;
    p->tried = true;
    if (n == -EMSGSIZE && first) {
        errno = EMSGSIZE; /* where the library looks for it */
        return -1;
    }
    if (n >= 0) {
        p->sent = true;
        peer_count_sent(p, n);
    } else {
        p->send_errno = (int)-n;
    }
    return len;
}

static int peer_receive_datagram(netsnmp_transport *t, void *bytes, int size, void **opaque,
                                 int *opaque_len)
{
    struct snmp_peer *p = (struct snmp_peer *)t;
    struct address from;
    ssize_t n = p->wire->receive(p->wire->arg, p->fd, bytes, (size_t)size, &from);
    *opaque = NULL;
    *opaque_len = 0;
    peer_count_received(p, n);
    p->from_elsewhere = n >= 0 && !wire_same_address(&from, &p->address, true);
    return n >= 0 ? (int)n : -1;
}

/* A request is far smaller than a socket's buffer: if it does not fit at once it never fits. */
static int peer_send_stream(netsnmp_transport *t, const void *bytes, int len, void **opaque UNUSED,
                            int *opaque_len UNUSED)
{
    struct snmp_peer *p = (struct snmp_peer *)t;
    if (p->fd < 0)
        return len;
    ssize_t n = p->wire->send(p->wire->arg, p->fd, bytes, (size_t)len, NULL);
    if (n == len) {
        p->sent = true;
        peer_count_sent(p, n);
    } else {
        p->send_errno = n < 0 ? (int)-n : EPIPE;
        t->f_close(t);
    }
    return len;
}

static int peer_receive_stream(netsnmp_transport *t, void *bytes, int size, void **opaque,
                               int *opaque_len)
{
    struct snmp_peer *p = (struct snmp_peer *)t;
    *opaque = NULL;
    *opaque_len = 0;
    p->from_elsewhere = false;
    ssize_t n = p->wire->receive(p->wire->arg, p->fd, bytes, (size_t)size, NULL);
    if (n == -EAGAIN) {
        t->flags |= NETSNMP_TRANSPORT_FLAG_EMPTY_PKT; /* nothing, but not the end */
        return 0;
    }
    peer_count_received(p, n);
    if (n > 0)
        p->received += (size_t)n;
    return n < 0 || p->received > RECEIVED_MAX ? -1 : (int)n;
}

static int peer_close(netsnmp_transport *t)
{
    struct snmp_peer *p = (struct snmp_peer *)t;
    if (p->fd >= 0)
        p->wire->close(p->wire->arg, p->fd);
    p->fd = t->sock = -1;
    return 0;
}

/* The library says so before it looks at what is in a message. */
int snmp_peer_note_message(netsnmp_session *session UNUSED, netsnmp_transport *t,
                           void *opaque UNUSED, int opaque_len UNUSED)
{
    struct snmp_peer *p = (struct snmp_peer *)t;
    p->messages++;
    return 1;
}

void snmp_peer_begin(struct snmp_peer *p)
{
    p->received = 0;
    p->tried = p->sent = false;
    p->send_errno = 0;
}

/* ---- opening ---- */

static bool peer_is_stream(const char *hostname)
{
    static const char *const prefixes[] = {"tcp:", "tcp6:", "tcpv6:", "tcpipv6:"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (strncasecmp(hostname, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

struct snmp_peer *snmp_peer_new(const struct target *target, const struct address *to,
                                const struct wire *wire, struct snmp_traffic *traffic)
{
    bool stream = peer_is_stream(target->hostname);
    struct snmp_peer *p = mem_zalloc(1, sizeof(*p));
    netsnmp_transport *t = &p->transport;
    p->wire = wire;
    p->traffic = traffic;
    p->address = *to;
    wire_set_port(&p->address, target->port);
    p->fd = t->sock = -1;
    t->flags = NETSNMP_TRANSPORT_FLAG_OPENED | (stream ? NETSNMP_TRANSPORT_FLAG_STREAM : 0U);
    t->msgMaxSize = stream ? MESSAGE_MAX_TCP : MESSAGE_MAX_UDP;
    t->f_send = stream ? peer_send_stream : peer_send_datagram;
    t->f_recv = stream ? peer_receive_stream : peer_receive_datagram;
    t->f_close = peer_close;
    return p;
}

void snmp_peer_free(struct snmp_peer *p)
{
    if (p == NULL)
        return;
    peer_close(&p->transport);
    free(p);
}

static enum snmp_peer_step peer_fail(enum snmp_outcome *why, enum snmp_outcome outcome,
                                     struct buf *detail, const char *what, int number)
{
    *why = outcome;
    buf_printf(detail, "%s: %s", what, strerror(number));
    return SNMP_PEER_FAILED;
}

enum snmp_peer_step snmp_peer_connected(int number, enum snmp_outcome *ret_why, struct buf *detail)
{
    if (number == 0)
        return SNMP_PEER_OPEN;
    return peer_fail(ret_why, SNMP_TIMED_OUT, detail, "cannot connect", number);
}

enum snmp_peer_step snmp_peer_open(struct snmp_peer *p, const struct address *local,
                                   enum snmp_outcome *ret_why, struct buf *detail)
{
    const struct wire *w = p->wire;
    bool stream = p->transport.flags & NETSNMP_TRANSPORT_FLAG_STREAM;
    int family = p->address.sa.any.sa_family;

    int fd = w->open(w->arg, family, stream ? SOCK_STREAM : SOCK_DGRAM);
    if (fd < 0)
        return peer_fail(ret_why, SNMP_IMPOSSIBLE, detail, "cannot create a socket", -fd);
    p->fd = fd;
    p->transport.sock = SNMP_PEER_SOCK;

    int number = 0;
    if (local != NULL && local->sa.any.sa_family == family)
        number = -w->bind(w->arg, fd, local);
    if (number != 0)
        return peer_fail(ret_why, SNMP_IMPOSSIBLE, detail, "cannot use the client address", number);

    if (stream)
        number = -w->connect(w->arg, fd, &p->address);
    if (number == EINPROGRESS)
        return SNMP_PEER_CONNECTING;
    if (wire_own_trouble(number))
        return peer_fail(ret_why, SNMP_IMPOSSIBLE, detail, "cannot connect", number);
    return snmp_peer_connected(number, ret_why, detail);
}
