#include "config.h"

#include "base/notify.h"

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct {
    int fd;
    struct sockaddr_un to;
    socklen_t to_len;
    int64_t watchdog_ms;
} notify = {.fd = -1};

/* Of this process, and not of the one that started it: WATCHDOG_PID says whose it is. */
static int64_t notify_read_watchdog(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
        return 0;
    long long us = strtoll(usec, NULL, 10);
    return us >= 1000 ? us / 1000 : 0;
}

/* false: it is no address of a socket; '@' stands for the NUL of an abstract one. */
static bool notify_set_address(const char *name)
{
    size_t len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(notify.to.sun_path))
        return false;
    notify.to = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(notify.to.sun_path, name, len);
    if (name[0] == '@')
        notify.to.sun_path[0] = '\0';
    notify.to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

void notify_start(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    if (name != NULL && notify_set_address(name))
        notify.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    notify.watchdog_ms = notify.fd < 0 ? 0 : notify_read_watchdog();
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_stop(void)
{
    if (notify.fd >= 0)
        close(notify.fd);
    notify.fd = -1;
    notify.watchdog_ms = 0;
}

void notify_say(const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list ap;
    if (notify.fd < 0)
        return;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    (void)!sendto(notify.fd, buf_str(&text), text.len, MSG_NOSIGNAL,
                  (const struct sockaddr *)&notify.to, notify.to_len);
    buf_done(&text);
}

int64_t notify_watchdog_ms(void)
{
    return notify.watchdog_ms;
}
