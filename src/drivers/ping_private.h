/* drivers/ping_private.h - what the files of the ping driver share, and what tests of them call.
 *
 * ping.c           the pinger: blocking, a loop around the machine, and the receiver thread
 * ping_exchange.c  the machine: one ping from the name to the reply
 * ping_report.c    what the network reports of an echo request
 * ping_icmp.c      the ICMP sockets, echo packets, which exchange waits for which reply
 */
#ifndef SPINE_DRIVERS_PING_PRIVATE_H
#define SPINE_DRIVERS_PING_PRIVATE_H

#include "drivers/ping_exchange.h"

#include <stddef.h>

#define PING_PAYLOAD "cacti-monitoring-system" /* as Spine sends it; without the NUL on the wire */

enum {
    PING_PAYLOAD_LEN = sizeof(PING_PAYLOAD) - 1,
    PING_HEADER_LEN = 8, /* type, code, checksum, id, sequence: RFC 792, 4443 */
    PING_PACKET_LEN = PING_HEADER_LEN + PING_PAYLOAD_LEN,
};

/* ---- echo packets ---- */

/* type, code 0, checksum (IPv4; IPv6's is the kernel's), id, sequence, payload. */
void ping_build_request(int family, uint16_t id, uint16_t seq, uint8_t packet[PING_PACKET_LEN]);

/* Is this, as it came from a socket of that kind, the answer to an echo request of ours?  Datagram
 * sockets have ids of their own, which the kernel matches: `id` counts for raw ones only. */
bool ping_parse_reply(int family, enum ping_socket_kind kind, uint16_t id, const uint8_t *bytes,
                      size_t len, uint16_t *ret_seq);

/* ---- what the network reports of an echo request ---- */

enum ping_report {
    PING_REPORT_NONE, /* nothing that ends an attempt */
    PING_REPORT_NETWORK,
    PING_REPORT_HOST,
    PING_REPORT_PROTOCOL,
    PING_REPORT_PORT,
    PING_REPORT_PROHIBITED,
    PING_REPORT_TIME_TO_LIVE,
    PING_REPORT_UNREACHABLE, /* for another reason */
    PING_REPORTS
};

/* Is what the network returns an echo request of ours, and what of it?  Routers quote 8 bytes of a message
 * at the least; what they quote must be right. */
enum ping_report ping_parse_report(int family, enum ping_socket_kind kind, uint16_t id,
                                   const struct wire_report *report, const uint8_t *bytes,
                                   size_t len, uint16_t *ret_seq);
enum ping_report ping_report_of_errno(int number); /* with which sending has failed */
const char *ping_report_text(enum ping_report r);  /* the outcome of a ping; NULL: none */

/* ---- the ICMP sockets and who waits for what on them ---- */

/* One check's echo requests: a late reply to an earlier attempt counts as well.  `to` and `woken`
 * are const while it is in use; the rest is guarded by the lock of the struct ping_icmp.  woken is
 * called for the reply and for each report. */
struct ping_echo {
    struct address to;
    void (*woken)(void *arg); /* under the lock */
    void *arg;
    bool answered;
    int64_t rtt_us;
    enum ping_report report; /* not taken yet */
    uint16_t report_seq;     /* of the attempt that it is about */
    unsigned sent;           /* requests with a sequence number */
    uint16_t seqs[PING_RETRIES_MAX + 1];
};

struct ping_icmp;

/* Takes the sockets. */
struct ping_icmp *ping_icmp_new(const struct ping_sockets *s, const struct wire *wire, uint16_t id);
void ping_icmp_free(struct ping_icmp *icmp);
int ping_icmp_socket(const struct ping_icmp *icmp, int family); /* -1: none */

/* From any thread.  0, or an errno: EAGAIN if the socket is full. */
int ping_icmp_send(struct ping_icmp *icmp, struct ping_echo *echo, int64_t now_us);
bool ping_icmp_answered(struct ping_icmp *icmp, const struct ping_echo *echo, int64_t *ret_rtt_us);
/* Takes what the network has reported; *ret_last: of the last attempt, so that nothing is left to wait
 * for. */
enum ping_report ping_icmp_take_report(struct ping_icmp *icmp, struct ping_echo *echo,
                                       bool *ret_last);
void ping_icmp_forget(struct ping_icmp *icmp, struct ping_echo *echo); /* no more replies for it */

/* Called by the thread that reads the sockets: a limited number of messages and of reports of that
 * family's socket. */
void ping_icmp_drain(struct ping_icmp *icmp, int family);

/* Waits until the echo is answered or reported, the time has come or give_up is set; woken must signal wake. */
void ping_icmp_wait(struct ping_icmp *icmp, const struct ping_echo *echo, pthread_cond_t *wake,
                    int64_t until_us, const struct give_up *give_up);
/* Signals wake; called by the thread that gives up. */
void ping_icmp_wake(struct ping_icmp *icmp, pthread_cond_t *wake);

/* ---- the machine ---- */

/* Is a reply on a shared socket what it waits for?  NULL: no. */
const struct ping_echo *ping_exchange_echo(const struct ping_exchange *p);

extern const char ping_text_icmp_not_sent[];

#endif
