/* faults.so - library calls that hang and a wall clock that jumps, for programs started with
 * LD_PRELOAD.  Never part of the product.
 *
 *   FAULT_SEND_PORT=1161        a call that sends to this UDP port never returns
 *   FAULT_STATEMENT=TEXT        a call that sends a statement with this text never returns
 *   FAULT_WRITE=TEXT            nor a call that writes this text
 *   FAULT_WALL=SECONDS@AFTER_MS from then on the wall clock is wrong by this time
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int port;
static const char *statement, *text;
static int64_t wall_s, wall_from_ms;

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

/* By the kernel: dlsym() frees memory, and a sanitizer that begins with that asks for the time. */
static int clock_really(clockid_t id, struct timespec *ts)
{
    return (int)syscall(SYS_clock_gettime, id, ts);
}

static int64_t mono_ms(void)
{
    struct timespec ts;
    clock_really(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

__attribute__((constructor)) static void begin(void)
{
    const char *wall = getenv("FAULT_WALL"), *send_port = getenv("FAULT_SEND_PORT");
    long long seconds = 0, after = 0;
    statement = getenv("FAULT_STATEMENT");
    text = getenv("FAULT_WRITE");
    port = send_port == NULL ? 0 : (int)strtol(send_port, NULL, 10);
    if (wall != NULL && sscanf(wall, "%lld@%lld", &seconds, &after) == 2) {
        wall_from_ms = mono_ms() + after;
        wall_s = seconds;
    }
}

static void hang(void)
{
    for (;;)
        poll(NULL, 0, 1000);
}

static int64_t wrong_by(void)
{
    return wall_s != 0 && mono_ms() >= wall_from_ms ? wall_s : 0;
}

/* ---- clocks ---- */

int clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = clock_really(id, ts);
    if (id == CLOCK_REALTIME && rc == 0)
        ts->tv_sec += wrong_by();
    return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec ts;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    if (ret != NULL)
        *ret = ts.tv_sec;
    return ts.tv_sec;
}

/* ---- calls that hang ---- */

static void look_at(const struct sockaddr *to)
{
    struct sockaddr_in in;
    if (port == 0 || to == NULL || to->sa_family != AF_INET)
        return;
    memcpy(&in, to, sizeof(in));
    if (ntohs(in.sin_port) == port)
        hang();
}

ssize_t sendto(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
               socklen_t to_len)
{
    typedef ssize_t fn(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    look_at(to);
    return ((fn *)(uintptr_t)real("sendto"))(fd, bytes, len, flags, to, to_len);
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    typedef ssize_t fn(int, const void *, size_t, int);
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof(peer);
    if (port != 0 && getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0)
        look_at((struct sockaddr *)&peer);
    return ((fn *)(uintptr_t)real("send"))(fd, bytes, len, flags);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    typedef ssize_t fn(int, const void *, size_t);
    if (text != NULL && memmem(bytes, len, text, strlen(text)) != NULL)
        hang();
    return ((fn *)(uintptr_t)real("write"))(fd, bytes, len);
}

int mysql_send_query(void *mysql, const char *sql, unsigned long len);
int mysql_send_query(void *mysql, const char *sql, unsigned long len)
{
    typedef int fn(void *, const char *, unsigned long);
    if (statement != NULL && memmem(sql, len, statement, strlen(statement)) != NULL)
        hang();
    return ((fn *)(uintptr_t)real("mysql_send_query"))(mysql, sql, len);
}
