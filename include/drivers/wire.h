/* drivers/wire.h - the socket calls that an exchange makes, as a table of functions.
 *
 * Why:     a test feeds an exchange bytes without a socket; many exchanges can share one socket
 *          behind the same table.
 * Use:     wire_sockets are the system's calls.
 * Threads: wire_sockets from any.
 * Promise: no function waits.  A failure is a negative errno, never -EINTR.
 */
#ifndef SPINE_DRIVERS_WIRE_H
#define SPINE_DRIVERS_WIRE_H

#include "drivers/resolve.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A message that was sent and that an ICMP message returns (RFC 792, 4443). */
struct wire_report {
    int family;         /* of the ICMP message; AF_UNSPEC: the error is not from the network */
    uint8_t type, code; /* of the ICMP message */
    struct address to;  /* to whom the message was sent */
};

struct wire {
    /* A socket of that family and type: close-on-exec, non-blocking. */
    int (*open)(void *arg, int family, int type);
    int (*bind)(void *arg, int fd, const struct address *local);
    int (*connect)(void *arg, int fd, const struct address *to);
    /* What a connect in progress came to: 0 or -errno; -EINPROGRESS: nothing yet. */
    int (*error)(void *arg, int fd);
    /* to == NULL: the address that the socket is connected to. */
    ssize_t (*send)(void *arg, int fd, const void *bytes, size_t len, const struct address *to);
    /* A datagram, cut at size, or some bytes of a stream.  ret_from may be NULL. */
    ssize_t (*receive)(void *arg, int fd, void *bytes, size_t size, struct address *ret_from);
    /* The beginning of a returned message, without its IP header, from a socket that keeps
     * reports; -EAGAIN: there is none. */
    ssize_t (*receive_report)(void *arg, int fd, void *bytes, size_t size, struct wire_report *ret);
    /* Would poll(2) say that one of these events is there now? */
    bool (*ready)(void *arg, int fd, short events);
    void (*close)(void *arg, int fd);
    int64_t (*now_us)(void *arg); /* the monotonic clock, for the time of what was received */
    void *arg;
};

extern const struct wire wire_sockets;

/* Have the socket keep what the network reports of its messages, for receive_report().  An error that is
 * kept also ends one call of the socket, for whatever address that call is.  Without effect where the system keeps none. */
void wire_keep_reports(int fd, int family);

/* errno: a local failure (descriptors, memory, rights, ports), which says nothing about a device.
 * */
bool wire_own_trouble(int number);

void wire_set_port(struct address *a, uint16_t port);
/* The same address; a scope counts only where `b` has one. */
bool wire_same_address(const struct address *a, const struct address *b, bool and_port);

#endif
