#include "config.h"

#include "drivers/wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

bool wire_own_trouble(int number)
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
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
    case EAGAIN: return true;
    default: return false;
    }
}

void wire_set_port(struct address *a, uint16_t port)
{
    if (a->sa.any.sa_family == AF_INET6)
        a->sa.v6.sin6_port = htons(port);
    else
        a->sa.v4.sin_port = htons(port);
}

bool wire_same_address(const struct address *a, const struct address *b, bool and_port)
{
    if (a->sa.any.sa_family != b->sa.any.sa_family)
        return false;
    if (b->sa.any.sa_family == AF_INET) {
        const struct sockaddr_in *a4 = &a->sa.v4, *b4 = &b->sa.v4;
        return a4->sin_addr.s_addr == b4->sin_addr.s_addr &&
               (!and_port || a4->sin_port == b4->sin_port);
    }
    const struct sockaddr_in6 *a6 = &a->sa.v6, *b6 = &b->sa.v6;
    return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0 &&
           (b6->sin6_scope_id == 0 || a6->sin6_scope_id == b6->sin6_scope_id) &&
           (!and_port || a6->sin6_port == b6->sin6_port);
}
