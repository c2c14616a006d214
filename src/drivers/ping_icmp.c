#include "config.h"

#include "ping_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/icmp.h> /* netinet/ip_icmp.h has no filter and cannot be had besides */
#endif

enum {
    ECHO_REPLY_V4 = 0, /* RFC 792 */
    ECHO_REQUEST_V4 = 8,
    ECHO_REQUEST_V6 = 128, /* RFC 4443 section 4 */
    ECHO_REPLY_V6 = 129,

    READ_AT_ONCE = 256,           /* then look whether to stop */
    RECEIVE_BUFFER = 1024 * 1024, /* a raw socket also gets what others have asked for */
};

const char ping_text_icmp_no_socket[] = "ICMP: Ping unable to create ICMP Socket";
const char ping_text_icmp_given_up[] = "ICMP: Ping given up, the poller is out of time";
static const char text_not_sent[] =
    "ICMP: Ping not sent for want of local buffers, threads or rights";

/* ---- sockets ---- */

static void only_echo_replies(int fd, int family)
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

static int open_one(int family, enum ping_socket_kind *ret_kind, int *ret_errno)
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
            only_echo_replies(fd, family);
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
    s.fd4 = open_one(AF_INET, &s.kind4, &s.errno4);
    s.fd6 = open_one(AF_INET6, &s.kind6, &s.errno6);
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
static uint16_t checksum(const uint8_t *bytes, size_t len)
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

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

void ping_build_request(int family, uint16_t id, uint16_t seq, uint8_t packet[PING_PACKET_LEN])
{
    memset(packet, 0, PING_HEADER_LEN);
    packet[0] = family == AF_INET6 ? ECHO_REQUEST_V6 : ECHO_REQUEST_V4;
    put16(packet + 4, id);
    put16(packet + 6, seq);
    memcpy(packet + PING_HEADER_LEN, PING_PAYLOAD, PING_PAYLOAD_LEN);
    if (family == AF_INET)
        put16(packet + 2, checksum(packet, PING_PACKET_LEN));
}

/* Takes the IP header off what a raw IPv4 socket gives (RFC 791). */
static bool strip_ip_header(const uint8_t **bytes, size_t *len)
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
    if (raw_v4 && !strip_ip_header(&bytes, &len))
        return false;
    if (len != PING_PACKET_LEN)
        return false;
    if (bytes[0] != (family == AF_INET6 ? ECHO_REPLY_V6 : ECHO_REPLY_V4) || bytes[1] != 0)
        return false;
    if (kind == PING_SOCKET_RAW && get16(bytes + 4) != id)
        return false;
    if (memcmp(bytes + PING_HEADER_LEN, PING_PAYLOAD, PING_PAYLOAD_LEN) != 0)
        return false;
    if (raw_v4 &&
        checksum(bytes, len) != 0) /* a raw socket gets packets before the kernel checks */
        return false;
    *ret_seq = get16(bytes + 6);
    return true;
}

/* ---- checks in progress ---- */

/* Lives on the stack of its caller; guarded by the lock. */
struct check {
    const struct address *to;
    pthread_cond_t wake;
    bool answered;
    bool troubled; /* an attempt could not be made, and that is our fault */
    int64_t rtt_us;
    unsigned sent; /* attempts with a sequence number */
    uint16_t seqs[PING_RETRIES_MAX + 1];
};

/* One attempt under way.  Sequence numbers are unique over all checks, so that even a late reply
 * belongs to one attempt and its time is right. */
struct slot {
    struct check *check; /* NULL = free */
    int64_t start_us;
};

enum { SLOTS = 65536 };

struct ping_icmp {
    struct ping_sockets sockets;
    int stop_fd;
    uint16_t id;
    pthread_mutex_t lock; /* all that follows */
    pthread_t receiver;
    bool receiving;
    bool given_up;
    uint16_t next_seq;
    struct slot *slots; /* by sequence number */
};

struct ping_icmp *ping_icmp_new(const struct ping_sockets *s, int stop_fd)
{
    struct ping_icmp *icmp = mem_zalloc(1, sizeof(*icmp));
    icmp->sockets = *s;
    icmp->stop_fd = stop_fd;
    icmp->id = (uint16_t)getpid();
    thr_mutex_init(&icmp->lock);
    icmp->slots = mem_zalloc(SLOTS, sizeof(*icmp->slots));
    /* Not where an earlier process of the same id began; any number does. */
    if (getrandom(&icmp->next_seq, sizeof(icmp->next_seq), GRND_NONBLOCK) < 0)
        icmp->next_seq = (uint16_t)clock_mono_us();
    return icmp;
}

void ping_icmp_free(struct ping_icmp *icmp)
{
    if (icmp->receiving)
        thr_join(icmp->receiver);
    if (icmp->sockets.fd4 >= 0)
        close(icmp->sockets.fd4);
    if (icmp->sockets.fd6 >= 0)
        close(icmp->sockets.fd6);
    pthread_mutex_destroy(&icmp->lock);
    free(icmp->slots);
    free(icmp);
}

bool ping_icmp_usable(const struct ping_icmp *icmp, int family)
{
    return (family == AF_INET6 ? icmp->sockets.kind6 : icmp->sockets.kind4) != PING_SOCKET_NONE;
}

static bool claim_seq(struct ping_icmp *icmp, struct check *check, uint16_t *ret_seq)
{
    for (unsigned tries = 0; tries < SLOTS; tries++) {
        uint16_t seq = icmp->next_seq++;
        if (icmp->slots[seq].check != NULL)
            continue;
        icmp->slots[seq] = (struct slot){.check = check, .start_us = clock_mono_us()};
        check->seqs[check->sent++] = seq;
        *ret_seq = seq;
        return true;
    }
    return false;
}

static void release_seqs(struct ping_icmp *icmp, struct check *check)
{
    for (unsigned i = 0; i < check->sent; i++)
        icmp->slots[check->seqs[i]].check = NULL;
}

/* ---- receiving ---- */

static bool same_source(const struct sockaddr_storage *from, const struct sockaddr_storage *to)
{
    if (from->ss_family != to->ss_family)
        return false;
    if (to->ss_family == AF_INET) {
        struct sockaddr_in a, b;
        memcpy(&a, from, sizeof(a));
        memcpy(&b, to, sizeof(b));
        return a.sin_addr.s_addr == b.sin_addr.s_addr;
    }
    struct sockaddr_in6 a, b;
    memcpy(&a, from, sizeof(a));
    memcpy(&b, to, sizeof(b));
    return memcmp(&a.sin6_addr, &b.sin6_addr, sizeof(a.sin6_addr)) == 0 &&
           (b.sin6_scope_id == 0 || a.sin6_scope_id == b.sin6_scope_id);
}

static void hand_over(struct ping_icmp *icmp, const struct sockaddr_storage *from, uint16_t seq,
                      int64_t now_us)
{
    thr_lock(&icmp->lock);
    const struct slot *slot = &icmp->slots[seq];
    struct check *check = slot->check;
    if (check != NULL && !check->answered && same_source(from, &check->to->sa)) {
        check->answered = true;
        check->rtt_us = now_us - slot->start_us;
        pthread_cond_signal(&check->wake);
    }
    thr_unlock(&icmp->lock);
}

static void drain(struct ping_icmp *icmp, int fd, int family, enum ping_socket_kind kind)
{
    for (int i = 0; i < READ_AT_ONCE; i++) {
        uint8_t bytes[256]; /* what is longer is cut, and is none of ours */
        struct sockaddr_storage from = {0};
        socklen_t from_len = sizeof(from);
        ssize_t len = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &from_len);
        if (len < 0)
            return; /* nothing left, or an error that reading has cleared: poll() tells */
        uint16_t seq;
        if (ping_parse_reply(family, kind, icmp->id, bytes, (size_t)len, &seq))
            hand_over(icmp, &from, seq, clock_mono_us());
    }
}

static void *receive(void *arg)
{
    struct ping_icmp *icmp = arg;
    const struct ping_sockets *s = &icmp->sockets;
    struct pollfd fds[] = {{.fd = icmp->stop_fd, .events = POLLIN},
                           {.fd = s->fd4, .events = POLLIN},
                           {.fd = s->fd6, .events = POLLIN}};
    while (fds[0].revents == 0) {
        int n = poll(fds, ARRAY_LEN(fds), -1);
        CHECK(n >= 0 || errno == EINTR || errno == ENOMEM);
        if (n <= 0)
            continue;
        if (fds[1].revents != 0)
            drain(icmp, s->fd4, AF_INET, s->kind4);
        if (fds[2].revents != 0)
            drain(icmp, s->fd6, AF_INET6, s->kind6);
    }
    return NULL;
}

/* ---- asking ---- */

static bool send_request(const struct ping_icmp *icmp, const struct address *to, uint16_t seq,
                         int64_t until_us, int *ret_errno)
{
    int family = to->sa.ss_family;
    int fd = family == AF_INET6 ? icmp->sockets.fd6 : icmp->sockets.fd4;
    uint8_t packet[PING_PACKET_LEN];
    ping_build_request(family, icmp->id, seq, packet);
    for (;;) {
        if (sendto(fd, packet, sizeof(packet), MSG_NOSIGNAL, (const struct sockaddr *)&to->sa,
                   to->len) >= 0)
            return true;
        *ret_errno = errno;
        if (*ret_errno == EINTR)
            continue;
        if (*ret_errno != EAGAIN)
            return false;
        if (ping_wait_io(fd, POLLOUT, icmp->stop_fd, until_us) != PING_READY) {
            *ret_errno = ENOBUFS;
            return false;
        }
    }
}

/* One attempt, with the lock held except while sending; ends with an answer, with its time, or with
 * everything. true: it was a real one, sent and waited for to its end. */
static bool attempt(struct ping_icmp *icmp, struct check *check, const struct ping_plan *plan)
{
    int64_t own_end_us = clock_mono_us() + plan->timeout_us;
    int64_t end_us = own_end_us < plan->deadline_us ? own_end_us : plan->deadline_us;
    uint16_t seq;
    bool sent = false;
    if (claim_seq(icmp, check, &seq)) {
        int number = 0;
        thr_unlock(&icmp->lock);
        sent = send_request(icmp, plan->to, seq, end_us, &number) || !ping_own_trouble(number);
        thr_lock(&icmp->lock);
    }
    bool in_time = true;
    while (in_time && !check->answered && !icmp->given_up)
        in_time = thr_wait_until(&check->wake, &icmp->lock, (end_us + 999) / 1000);
    check->troubled |= !sent;
    return sent && !in_time && end_us == own_end_us;
}

static bool provide_receiver(struct ping_icmp *icmp)
{
    if (!icmp->receiving)
        icmp->receiving = thr_start(&icmp->receiver, "ping", receive, icmp, NULL);
    return icmp->receiving;
}

void ping_icmp_check(struct ping_icmp *icmp, const struct ping_plan *plan, struct ping_reply *ret)
{
    struct check check = {.to = plan->to};
    unsigned made = 0;
    thr_cond_init(&check.wake);
    thr_lock(&icmp->lock);
    if (provide_receiver(icmp)) {
        for (unsigned i = 0; i < plan->attempts && !check.answered && !icmp->given_up; i++)
            made += attempt(icmp, &check, plan);
    } else {
        check.troubled = true;
    }
    release_seqs(icmp, &check);
    bool given_up = icmp->given_up;
    thr_unlock(&icmp->lock);
    pthread_cond_destroy(&check.wake);

    if (check.answered) {
        ret->outcome = PING_UP;
        ret->time_ms = (double)check.rtt_us / 1000;
        ret->text = "ICMP: Device is Alive";
    } else if (made == plan->attempts) {
        ret->outcome = PING_DOWN;
        ret->text = "ICMP: Ping timed out";
    } else {
        ret->outcome = PING_IMPOSSIBLE;
        ret->text = check.troubled && !given_up ? text_not_sent : ping_text_icmp_given_up;
    }
}

void ping_icmp_give_up(struct ping_icmp *icmp)
{
    thr_lock(&icmp->lock);
    icmp->given_up = true;
    for (unsigned i = 0; i < SLOTS; i++)
        if (icmp->slots[i].check != NULL)
            pthread_cond_signal(&icmp->slots[i].check->wake);
    thr_unlock(&icmp->lock);
}
