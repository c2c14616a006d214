/* localhost.h - a minimal installation has no /etc/hosts, and does not know localhost.
 *
 * A test of that name asks first, and says that it has not been tried.
 */
#ifndef SPINE_TESTS_LOCALHOST_H
#define SPINE_TESTS_LOCALHOST_H

#include <netdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static inline bool localhost_is_known(void)
{
    struct addrinfo *found = NULL;
    int error = getaddrinfo("localhost", NULL, NULL, &found);
    if (error == 0) {
        freeaddrinfo(found);
        return true;
    }
    print_message("NOT TRIED: this system does not know localhost: %s\n", gai_strerror(error));
    return false;
}

#endif
