/* drivers/ping_private.h - what ping.c and ping_icmp.c share, and what tests of the ICMP parser
 * call.
 *
 * ping.c       names, methods, UDP, TCP, the descriptor that ends every wait
 * ping_icmp.c  the sockets, the echo packets, the receiver thread
 */
#ifndef SPINE_DRIVERS_PING_PRIVATE_H
#define SPINE_DRIVERS_PING_PRIVATE_H

#include "drivers/ping.h"

#include <stddef.h>

#define PING_PAYLOAD                                                                               \
    "cacti-monitoring-system" /* contract operations 5.3; without the NUL on the wire */

enum {
    PING_PAYLOAD_LEN = sizeof(PING_PAYLOAD) - 1,
    PING_HEADER_LEN = 8, /* type, code, checksum, id, sequence: RFC 792, 4443 */
    PING_PACKET_LEN = PING_HEADER_LEN + PING_PAYLOAD_LEN,
};

/* A checked request. */
struct ping_plan {
    const struct address *to; /* with port, except for ICMP */
    unsigned attempts;        /* >= 1 */
    int64_t timeout_us;       /* of one attempt */
    int64_t deadline_us;      /* monotonic, of all */
};

/* The trouble is ours: it says nothing about the device. */
bool ping_own_trouble(int number);

enum ping_wait { PING_READY, PING_TIMED_OUT, PING_GIVEN_UP };

/* Waits for `events` on fd (-1: for nothing) until a monotonic time or until stop_fd is readable.
 */
enum ping_wait ping_wait_io(int fd, short events, int stop_fd, int64_t until_us);

/* ---- echo packets ---- */

/* type, code 0, checksum (IPv4; IPv6's is the kernel's), id, sequence, payload. */
void ping_build_request(int family, uint16_t id, uint16_t seq, uint8_t packet[PING_PACKET_LEN]);

/* Is this, as it came from a socket of that kind, the answer to an echo request of ours?  Datagram
 * sockets have ids of their own, which the kernel matches: `id` counts for raw ones only. */
bool ping_parse_reply(int family, enum ping_socket_kind kind, uint16_t id, const uint8_t *bytes,
                      size_t len, uint16_t *ret_seq);

/* ---- the ICMP half of a pinger ---- */

struct ping_icmp;

/* stop_fd: readable = end everything. */
struct ping_icmp *ping_icmp_new(const struct ping_sockets *s, int stop_fd);
void ping_icmp_free(struct ping_icmp *icmp); /* stop_fd is readable by now */
bool ping_icmp_usable(const struct ping_icmp *icmp, int family);
void ping_icmp_check(struct ping_icmp *icmp, const struct ping_plan *plan, struct ping_reply *ret);
void ping_icmp_give_up(struct ping_icmp *icmp);

extern const char ping_text_icmp_no_socket[];
extern const char ping_text_icmp_given_up[];

#endif
