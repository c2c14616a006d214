#include "config.h"

#include "ping_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/icmp.h> /* netinet/ip_icmp.h has no filter and cannot be included as well */
#endif

enum {
    ECHO_REPLY_V4 = 0, /* RFC 792 */
    ECHO_REQUEST_V4 = 8,
    ECHO_REQUEST_V6 = 128, /* RFC 4443 section 4 */
    ECHO_REPLY_V6 = 129,

    READ_AT_ONCE = 256,           /* then look whether to stop */
    SEND_TRIES = 8,               /* a report about another request ends one of them */
    RECEIVE_BUFFER = 1024 * 1024, /* a raw socket also gets what others have asked for */
};

/* ---- sockets ---- */

static void icmp_only_echo_replies(int fd, int family)
{
    if (family == AF_INET6) {
        struct icmp6_filter filter;
        ICMP6_FILTER_SETBLOCKALL(&filter);
        ICMP6_FILTER_SETPASS(ECHO_REPLY_V6, &filter);
        (void)setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
        return;
    }
#ifdef ICMP_FILTER
    struct icmp_filter filter = {.data = ~(UINT32_C(1) << ECHO_REPLY_V4)};
    (void)setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter));
#endif
}

static int icmp_open_one(int family, enum ping_socket_kind *ret_kind, int *ret_errno)
{
    static const struct {
        int type;
        enum ping_socket_kind kind;
    } tries[] = {{SOCK_DGRAM, PING_SOCKET_DATAGRAM}, {SOCK_RAW, PING_SOCKET_RAW}};
    int protocol = family == AF_INET6 ? (int)IPPROTO_ICMPV6 : (int)IPPROTO_ICMP;
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        int fd = socket(family, tries[i].type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
        if (fd < 0) {
            *ret_errno = errno;
            continue;
        }
        if (tries[i].kind == PING_SOCKET_RAW)
            icmp_only_echo_replies(fd, family);
        wire_keep_reports(fd, family);
        int size = RECEIVE_BUFFER;
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        *ret_kind = tries[i].kind;
        *ret_errno = 0;
        return fd;
    }
    *ret_kind = PING_SOCKET_NONE;
    return -1;
}

struct ping_sockets ping_open_sockets(void)
{
    struct ping_sockets s;
    s.fd4 = icmp_open_one(AF_INET, &s.kind4, &s.errno4);
    s.fd6 = icmp_open_one(AF_INET6, &s.kind6, &s.errno6);
    return s;
}

#define ADVICE                                                                                     \
    "allow the poller's group in the sysctl net.ipv4.ping_group_range or run "                     \
    "'setcap cap_net_raw+ep' on the program"
#define NOT_WITHOUT(what) what ", UDP instead; to change that " ADVICE

const char *ping_sockets_text(const struct ping_sockets *s)
{
    static const char *const texts[3][3] = {
        [PING_SOCKET_NONE] = {NOT_WITHOUT("ICMP ping: no socket for IPv4 and IPv6"),
                              NOT_WITHOUT("ICMP ping: no socket for IPv4, IPv6 by datagram socket"),
                              NOT_WITHOUT("ICMP ping: no socket for IPv4, IPv6 by raw socket")},
        [PING_SOCKET_DATAGRAM] = {NOT_WITHOUT(
                                      "ICMP ping: IPv4 by datagram socket, no socket for IPv6"),
                                  "ICMP ping: IPv4 and IPv6 by datagram socket",
                                  "ICMP ping: IPv4 by datagram socket, IPv6 by raw socket"},
        [PING_SOCKET_RAW] = {NOT_WITHOUT("ICMP ping: IPv4 by raw socket, no socket for IPv6"),
                             "ICMP ping: IPv4 by raw socket, IPv6 by datagram socket",
                             "ICMP ping: IPv4 and IPv6 by raw socket"},
    };
    if (s->kind4 != PING_SOCKET_NONE && s->errno6 == EAFNOSUPPORT)
        return s->kind4 == PING_SOCKET_RAW
                   ? "ICMP ping: IPv4 by raw socket, this host has no IPv6"
                   : "ICMP ping: IPv4 by datagram socket, this host has no IPv6";
    return texts[s->kind4][s->kind6];
}

/* ---- packets ---- */

/* The internet checksum, in the byte order of the packet (RFC 1071); 0 over a packet that carries
 * its own. */
static uint16_t icmp_checksum(const uint8_t *bytes, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < len; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    if (len % 2 != 0)
        sum += (uint32_t)bytes[len - 1] << 8;
    while (sum > UINT16_MAX)
        sum = (sum & UINT16_MAX) + (sum >> 16);
    return (uint16_t)~sum;
}

static void icmp_put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint16_t icmp_get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

void ping_build_request(int family, uint16_t id, uint16_t seq, uint8_t packet[PING_PACKET_LEN])
{
    memset(packet, 0, PING_HEADER_LEN);
    packet[0] = family == AF_INET6 ? ECHO_REQUEST_V6 : ECHO_REQUEST_V4;
    icmp_put16(packet + 4, id);
    icmp_put16(packet + 6, seq);
    memcpy(packet + PING_HEADER_LEN, PING_PAYLOAD, PING_PAYLOAD_LEN);
    if (family == AF_INET)
        icmp_put16(packet + 2, icmp_checksum(packet, PING_PACKET_LEN));
}

/* Takes the IP header off what a raw IPv4 socket gives (RFC 791). */
static bool icmp_strip_ip_header(const uint8_t **bytes, size_t *len)
{
    if (*len < 20 || (*bytes)[0] >> 4 != 4 || (*bytes)[9] != IPPROTO_ICMP)
        return false;
    size_t header = (size_t)((*bytes)[0] & 0x0f) * 4;
    if (header < 20 || header > *len)
        return false;
    *bytes += header;
    *len -= header;
    return true;
}

bool ping_parse_reply(int family, enum ping_socket_kind kind, uint16_t id, const uint8_t *bytes,
                      size_t len, uint16_t *ret_seq)
{
    bool raw_v4 = family == AF_INET && kind == PING_SOCKET_RAW;
    if (raw_v4 && !icmp_strip_ip_header(&bytes, &len))
        return false;
    if (len != PING_PACKET_LEN)
        return false;
    if (bytes[0] != (family == AF_INET6 ? ECHO_REPLY_V6 : ECHO_REPLY_V4) || bytes[1] != 0)
        return false;
    if (kind == PING_SOCKET_RAW && icmp_get16(bytes + 4) != id)
        return false;
    if (memcmp(bytes + PING_HEADER_LEN, PING_PAYLOAD, PING_PAYLOAD_LEN) != 0)
        return false;
    if (raw_v4 &&
        icmp_checksum(bytes, len) != 0) /* a raw socket gets packets before the kernel checks */
        return false;
    *ret_seq = icmp_get16(bytes + 6);
    return true;
}

/* ---- checks in progress ---- */

/* One attempt under way.  Sequence numbers are unique over all checks, so that even a late reply
 * belongs to one attempt and its time is right. */
struct slot {
    struct ping_echo *echo; /* NULL = free */
    int64_t start_us;
};

enum { SLOTS = 65536 };

struct ping_icmp {
    struct ping_sockets sockets; /* const, as wire and id */
    const struct wire *wire;
    uint16_t id;
    struct thr_mutex
        lock; /* guards all that follows, and the echoes; taken alone, but while giving up */
    uint16_t next_seq;
    struct slot *slots; /* by sequence number */
};

struct ping_icmp *ping_icmp_new(const struct ping_sockets *s, const struct wire *wire, uint16_t id)
{
    struct ping_icmp *icmp = mem_zalloc(1, sizeof(*icmp));
    icmp->sockets = *s;
    icmp->wire = wire;
    icmp->id = id;
    thr_mutex_init(&icmp->lock);
    icmp->slots = mem_zalloc(SLOTS, sizeof(*icmp->slots));
    /* Not where an earlier process of the same id began; any number does. */
    if (getrandom(&icmp->next_seq, sizeof(icmp->next_seq), GRND_NONBLOCK) < 0)
        icmp->next_seq = (uint16_t)clock_mono_us();
    return icmp;
}

void ping_icmp_free(struct ping_icmp *icmp)
{
    if (icmp == NULL)
        return;
    if (icmp->sockets.fd4 >= 0)
        icmp->wire->close(icmp->wire->arg, icmp->sockets.fd4);
    if (icmp->sockets.fd6 >= 0)
        icmp->wire->close(icmp->wire->arg, icmp->sockets.fd6);
    thr_mutex_done(&icmp->lock);
    free(icmp->slots);
    free(icmp);
}

int ping_icmp_socket(const struct ping_icmp *icmp, int family)
{
    return family == AF_INET6 ? icmp->sockets.fd6 : icmp->sockets.fd4;
}

static bool icmp_claim_seq(struct ping_icmp *icmp, struct ping_echo *echo, int64_t now_us,
                           uint16_t *ret_seq)
{
    for (unsigned tries = 0; tries < SLOTS; tries++) {
        uint16_t seq = icmp->next_seq++;
        if (icmp->slots[seq].echo != NULL)
            continue;
        icmp->slots[seq] = (struct slot){.echo = echo, .start_us = now_us};
        echo->seqs[echo->sent++] = seq;
        *ret_seq = seq;
        return true;
    }
    return false;
}

void ping_icmp_forget(struct ping_icmp *icmp, struct ping_echo *echo)
{
    thr_lock(&icmp->lock);
    for (unsigned i = 0; i < echo->sent; i++)
        icmp->slots[echo->seqs[i]].echo = NULL;
    echo->sent = 0;
    echo->answered = false;
    echo->report = PING_REPORT_NONE;
    thr_unlock(&icmp->lock);
}

/* ---- sending ---- */

/* A report about any request on the socket also ends the next call with an error, whatever that call is
 * for.  What is wrong with this request comes each time. */
static ssize_t icmp_send_packet(const struct ping_icmp *icmp, const struct address *to,
                                const uint8_t *packet, size_t len)
{
    const struct wire *w = icmp->wire;
    int fd = ping_icmp_socket(icmp, to->sa.any.sa_family);
    ssize_t n = -EAGAIN;
    for (int i = 0; i < SEND_TRIES; i++) {
        n = w->send(w->arg, fd, packet, len, to);
        if (n >= 0 || n == -EAGAIN)
            break;
    }
    return n;
}

int ping_icmp_send(struct ping_icmp *icmp, struct ping_echo *echo, int64_t now_us)
{
    uint8_t packet[PING_PACKET_LEN];
    uint16_t seq = 0;
    thr_lock(&icmp->lock);
    bool claimed = echo->sent < ARRAY_LEN(echo->seqs) && icmp_claim_seq(icmp, echo, now_us, &seq);
    thr_unlock(&icmp->lock);
    if (!claimed)
        return ENOBUFS;

    ping_build_request(echo->to.sa.any.sa_family, icmp->id, seq, packet);
    ssize_t n = icmp_send_packet(icmp, &echo->to, packet, sizeof(packet));
    if (n >= 0)
        return 0;

    thr_lock(&icmp->lock); /* nothing has left, so nothing can answer */
    icmp->slots[seq].echo = NULL;
    echo->sent--;
    thr_unlock(&icmp->lock);
    return (int)-n;
}

/* ---- receiving ---- */

/* Timed here: a check may have been sent, and answered, while earlier messages were read. */
static void icmp_hand_over(struct ping_icmp *icmp, const struct address *from, uint16_t seq)
{
    int64_t now_us = icmp->wire->now_us(icmp->wire->arg);
    thr_lock(&icmp->lock);
    const struct slot *slot = &icmp->slots[seq];
    struct ping_echo *echo = slot->echo;
    if (echo != NULL && !echo->answered && wire_same_address(from, &echo->to, false)) {
        echo->answered = true;
        echo->rtt_us = now_us - slot->start_us;
        echo->woken(echo->arg);
    }
    thr_unlock(&icmp->lock);
}

static enum ping_socket_kind icmp_kind(const struct ping_icmp *icmp, int family)
{
    return family == AF_INET6 ? icmp->sockets.kind6 : icmp->sockets.kind4;
}

static void icmp_drain_replies(struct ping_icmp *icmp, int family)
{
    const struct wire *w = icmp->wire;
    int fd = ping_icmp_socket(icmp, family);
    enum ping_socket_kind kind = icmp_kind(icmp, family);
    for (int i = 0; i < READ_AT_ONCE; i++) {
        uint8_t bytes[256]; /* longer messages are cut; none of them is an expected reply */
        struct address from;
        ssize_t len = w->receive(w->arg, fd, bytes, sizeof(bytes), &from);
        if (len < 0)
            return; /* nothing left, or an error that reading has cleared: poll() tells */
        uint16_t seq;
        if (ping_parse_reply(family, kind, icmp->id, bytes, (size_t)len, &seq))
            icmp_hand_over(icmp, &from, seq);
    }
}

/* A report about an earlier attempt must not hide one about the last. */
static void icmp_hand_over_report(struct ping_icmp *icmp, const struct address *to, uint16_t seq,
                                  enum ping_report report)
{
    thr_lock(&icmp->lock);
    struct ping_echo *echo = icmp->slots[seq].echo;
    if (echo != NULL && !echo->answered && wire_same_address(to, &echo->to, false) &&
        (echo->report == PING_REPORT_NONE || seq == echo->seqs[echo->sent - 1])) {
        echo->report = report;
        echo->report_seq = seq;
        echo->woken(echo->arg);
    }
    thr_unlock(&icmp->lock);
}

static void icmp_drain_reports(struct ping_icmp *icmp, int family)
{
    const struct wire *w = icmp->wire;
    int fd = ping_icmp_socket(icmp, family);
    for (int i = 0; i < READ_AT_ONCE; i++) {
        uint8_t bytes[PING_PACKET_LEN];
        struct wire_report from_network;
        uint16_t seq;
        ssize_t len = w->receive_report(w->arg, fd, bytes, sizeof(bytes), &from_network);
        if (len < 0)
            return;
        enum ping_report report = ping_parse_report(family, icmp_kind(icmp, family), icmp->id,
                                                    &from_network, bytes, (size_t)len, &seq);
        if (report != PING_REPORT_NONE)
            icmp_hand_over_report(icmp, &from_network.to, seq, report);
    }
}

/* Replies first: a sign of life wins over what a router believes. */
void ping_icmp_drain(struct ping_icmp *icmp, int family)
{
    icmp_drain_replies(icmp, family);
    icmp_drain_reports(icmp, family);
}

/* ---- waiting ---- */

bool ping_icmp_answered(struct ping_icmp *icmp, const struct ping_echo *echo, int64_t *ret_rtt_us)
{
    thr_lock(&icmp->lock);
    bool answered = echo->answered;
    *ret_rtt_us = echo->rtt_us;
    thr_unlock(&icmp->lock);
    return answered;
}

enum ping_report ping_icmp_take_report(struct ping_icmp *icmp, struct ping_echo *echo,
                                       bool *ret_last)
{
    thr_lock(&icmp->lock);
    enum ping_report report = echo->report;
    *ret_last = report != PING_REPORT_NONE && echo->sent > 0 &&
                echo->report_seq == echo->seqs[echo->sent - 1];
    echo->report = PING_REPORT_NONE;
    thr_unlock(&icmp->lock);
    return report;
}

void ping_icmp_wait(struct ping_icmp *icmp, const struct ping_echo *echo, pthread_cond_t *wake,
                    int64_t until_us, const struct give_up *give_up)
{
    thr_lock(&icmp->lock);
    bool in_time = true;
    while (in_time && !echo->answered && echo->report == PING_REPORT_NONE &&
           !give_up_is_set(give_up))
        in_time = thr_wait_until(wake, &icmp->lock, (until_us + 999) / 1000);
    thr_unlock(&icmp->lock);
}

void ping_icmp_wake(struct ping_icmp *icmp, pthread_cond_t *wake)
{
    thr_lock(&icmp->lock);
    thr_wake_one(wake);
    thr_unlock(&icmp->lock);
}
