/* Sockets of the agents: they receive what was sent to 127.0.0.0/8 or ::1, and tell to which address. */
#ifndef FAKEAGENT_SOCKET_H
#define FAKEAGENT_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

/* Prints the reason of errno and ends the program. */
_Noreturn void die(const char *what);

int open_socket(int family); /* AF_INET or AF_INET6, not bound */
/* False only if the port is taken. */
bool bind_socket(int fd, int family, uint16_t port);
uint16_t port_of(int fd);

#endif
