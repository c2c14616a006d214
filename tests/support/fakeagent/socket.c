#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* IP_PKTINFO */
#endif

#include "socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { SOCKET_BUFFER = 32 << 20 };

_Noreturn void die(const char *what)
{
    fprintf(stderr, "fakeagent: %s: %s\n", what, strerror(errno));
    exit(1);
}

int open_socket(int family)
{
    int on = 1, size = SOCKET_BUFFER;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        die("socket");
    if (family == AF_INET && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) != 0)
        die("IP_PKTINFO");
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
        die("IPV6_V6ONLY");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    /* a second bar besides the check of every datagram's address; may need a privilege */
    (void)setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof "lo");
    return fd;
}

bool bind_socket(int fd, int family, uint16_t port)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
    int rc = family == AF_INET ? bind(fd, (struct sockaddr *)&in4, sizeof in4)
                               : bind(fd, (struct sockaddr *)&in6, sizeof in6);
    if (rc != 0 && errno != EADDRINUSE)
        die("bind");
    return rc == 0;
}

uint16_t port_of(int fd)
{
    struct sockaddr_in in4;
    socklen_t len = sizeof in4;
    if (getsockname(fd, (struct sockaddr *)&in4, &len) != 0)
        die("getsockname");
    return ntohs(in4.sin_port);
}
