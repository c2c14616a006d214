/* failcall.so - one call of the C library fails, for programs started with LD_PRELOAD.  Never part of the product.
 *
 *   FAIL_COUNTS=FILE   how often each function was called, one line each, in binary (struct count)
 *   FAIL_CALL=NAME     this function ...
 *   FAIL_NTH=N         ... fails when it is called for the Nth time, by any thread
 *   FAIL_EVERY=N       ... and every N calls after that; 0: once
 *   FAIL_ERRNO=NUMBER  with this error
 *
 * Only calls of the process itself count: its children are started without this library.  What the C library
 * calls for itself is not seen, nor is memory that a client library asks for: net-snmp 5.9.3, OpenSSL 3.0 and
 * Connector/C 3.3 use some of it without a look, which no user of them can repair.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FUNCTIONS = 64, NAME_CHARS = 24 };

struct count {
    char name[NAME_CHARS];
    _Atomic uint64_t calls;
};

static struct count own[FUNCTIONS], *counts = own;
static _Atomic int used;
static const char *call;
static unsigned long nth, every;
static int number;
static pid_t me;

/* Where the code of libraries is whose memory is always there. */
static struct range {
    const char *name;
    uintptr_t begins, ends;
} careless[] = {{.name = "/libc.so"},   {.name = "/libnetsnmp.so"}, {.name = "/libcrypto.so"},
                {.name = "/libssl.so"}, {.name = "/libmariadb.so"}, {.name = "/libmysqlclient.so"}};
enum { CARELESS = sizeof(careless) / sizeof(careless[0]) };

static int note_range(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    for (int i = 0; i < CARELESS; i++)
        for (int k = 0; strstr(info->dlpi_name, careless[i].name) != NULL && k < info->dlpi_phnum;
             k++)
            if (info->dlpi_phdr[k].p_type == PT_LOAD && (info->dlpi_phdr[k].p_flags & PF_X) != 0) {
                careless[i].begins = info->dlpi_addr + info->dlpi_phdr[k].p_vaddr;
                careless[i].ends = careless[i].begins + info->dlpi_phdr[k].p_memsz;
            }
    return 0;
}

static bool is_careless(const void *caller)
{
    for (int i = 0; i < CARELESS; i++)
        if ((uintptr_t)caller >= careless[i].begins && (uintptr_t)caller < careless[i].ends)
            return true;
    return false;
}

__attribute__((constructor)) static void begin(void)
{
    dl_iterate_phdr(note_range, NULL);
    const char *file = getenv("FAIL_COUNTS"), *n = getenv("FAIL_NTH"), *e = getenv("FAIL_ERRNO");
    const char *again = getenv("FAIL_EVERY");
    int fd = file == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CREAT, 0600);
    if (fd >= 0 && syscall(SYS_ftruncate, fd, sizeof(own)) == 0) {
        void *shared = mmap(NULL, sizeof(own), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (shared != MAP_FAILED) {
            memcpy(shared, own, sizeof(own));
            counts = shared;
        }
    }
    if (fd >= 0)
        syscall(SYS_close, fd);
    nth = n == NULL ? 0 : strtoul(n, NULL, 10);
    every = again == NULL ? 0 : strtoul(again, NULL, 10);
    number = e == NULL ? 0 : (int)strtol(e, NULL, 10);
    call = getenv("FAIL_CALL");
    unsetenv("LD_PRELOAD");
    me = getpid();
}

/* Where a function's calls are counted; the first call of it finds a place. */
static struct count *place_of(_Atomic int *at, const char *name)
{
    int i = *at;
    if (i == 0) {
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        pthread_mutex_lock(&lock);
        if (*at == 0) {
            strncpy(counts[used].name, name, NAME_CHARS - 1);
            *at = ++used;
        }
        pthread_mutex_unlock(&lock);
        i = *at;
    }
    return &counts[i - 1];
}

static bool fails(_Atomic int *at, const char *name)
{
    if (me == 0 || getpid() != me)
        return false;
    unsigned long n = atomic_fetch_add(&place_of(at, name)->calls, 1) + 1;
    if (call == NULL || strcmp(call, name) != 0 || n < nth)
        return false;
    if (n != nth && (every == 0 || (n - nth) % every != 0))
        return false;
    errno = number;
    return true;
}

#define FAILS(name)                                                                                \
    ({                                                                                             \
        static _Atomic int at;                                                                     \
        fails(&at, name);                                                                          \
    })

/* TYPE NAME(DECLARED) calls the real one with PASSED, or gives FAILURE. */
#define WRAP_AS(type, name, counted, failure, declared, passed)                                    \
    type name declared;                                                                            \
    type name declared                                                                             \
    {                                                                                              \
        static type(*real) declared;                                                               \
        if (real == NULL)                                                                          \
            real = (type(*) declared)(uintptr_t)dlsym(RTLD_NEXT, #name);                           \
        return FAILS(counted) ? (failure) : real passed;                                           \
    }
#define WRAP(type, name, failure, declared, passed)                                                \
    WRAP_AS(type, name, #name, failure, declared, passed)

/* ---- sockets ---- */

WRAP(int, socket, -1, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, socketpair, -1, (int domain, int type, int protocol, int fds[2]),
     (domain, type, protocol, fds))
WRAP(int, bind, -1, (int fd, const struct sockaddr *a, socklen_t len), (fd, a, len))
WRAP(int, connect, -1, (int fd, const struct sockaddr *a, socklen_t len), (fd, a, len))
WRAP(int, getsockopt, -1, (int fd, int level, int name, void *value, socklen_t *len),
     (fd, level, name, value, len))
WRAP(int, setsockopt, -1, (int fd, int level, int name, const void *value, socklen_t len),
     (fd, level, name, value, len))
WRAP(ssize_t, send, -1, (int fd, const void *bytes, size_t len, int flags), (fd, bytes, len, flags))
WRAP(ssize_t, sendto, -1,
     (int fd, const void *bytes, size_t len, int flags, const struct sockaddr *a, socklen_t alen),
     (fd, bytes, len, flags, a, alen))
WRAP(ssize_t, sendmsg, -1, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
WRAP(ssize_t, recv, -1, (int fd, void *bytes, size_t len, int flags), (fd, bytes, len, flags))
WRAP(ssize_t, recvfrom, -1,
     (int fd, void *bytes, size_t len, int flags, struct sockaddr *a, socklen_t *alen),
     (fd, bytes, len, flags, a, alen))
WRAP(ssize_t, recvmsg, -1, (int fd, struct msghdr *m, int flags), (fd, m, flags))

/* ---- files, pipes, waiting ---- */

WRAP(int, pipe2, -1, (int fds[2], int flags), (fds, flags))
WRAP(int, epoll_create1, -1, (int flags), (flags))
WRAP(int, epoll_ctl, -1, (int fd, int op, int of, struct epoll_event *e), (fd, op, of, e))
WRAP(int, epoll_wait, -1, (int fd, struct epoll_event *e, int max, int ms), (fd, e, max, ms))
WRAP(int, poll, -1, (struct pollfd * p, nfds_t n, int ms), (p, n, ms))
WRAP(int, eventfd, -1, (unsigned value, int flags), (value, flags))
WRAP(int, timerfd_create, -1, (int clock, int flags), (clock, flags))
WRAP(int, inotify_init1, -1, (int flags), (flags))
WRAP(int, inotify_add_watch, -1, (int fd, const char *path, uint32_t mask), (fd, path, mask))
WRAP(int, signalfd, -1, (int fd, const void *mask, int flags), (fd, mask, flags))
WRAP(ssize_t, pwrite, -1, (int fd, const void *bytes, size_t len, off_t at), (fd, bytes, len, at))
WRAP(int, fsync, -1, (int fd), (fd))
WRAP(int, ftruncate, -1, (int fd, off_t len), (fd, len))
WRAP(int, fstat, -1, (int fd, struct stat *st), (fd, st))
WRAP(int, stat, -1, (const char *restrict path, struct stat *restrict st), (path, st))
WRAP(int, rename, -1, (const char *from, const char *to), (from, to))
WRAP(FILE *, fopen, NULL, (const char *restrict path, const char *restrict mode), (path, mode))
WRAP(void *, opendir, NULL, (const char *path), (path))

/* A file, a pipe, a socket or something else: each has errors of its own. */
static mode_t kind_of(int fd)
{
    struct stat st;
    return syscall(SYS_fstat, fd, &st) == 0 ? st.st_mode & S_IFMT : 0;
}

static bool read_fails(int fd)
{
    switch (kind_of(fd)) {
    case S_IFIFO: return FAILS("read_pipe");
    case S_IFSOCK: return FAILS("read_socket");
    case 0: return FAILS("read_other");
    default: return FAILS("read");
    }
}

static bool write_fails(int fd)
{
    switch (kind_of(fd)) {
    case S_IFIFO: return FAILS("write_pipe");
    case S_IFSOCK: return FAILS("write_socket");
    case 0: return FAILS("write_other");
    default: return FAILS("write");
    }
}

ssize_t read(int fd, void *bytes, size_t len)
{
    return read_fails(fd) ? -1 : syscall(SYS_read, fd, bytes, len);
}

ssize_t __read_chk(int fd, void *bytes, size_t len, size_t room);
ssize_t __read_chk(int fd, void *bytes, size_t len, size_t room)
{
    return read(fd, bytes, len < room ? len : room);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    return write_fails(fd) ? -1 : syscall(SYS_write, fd, bytes, len);
}

#define MODE_OF(flags)                                                                             \
    mode_t mode = 0;                                                                               \
    if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {                                                  \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode = va_arg(more, mode_t);                                                               \
        va_end(more);                                                                              \
    }

int open(const char *path, int flags, ...)
{
    MODE_OF(flags)
    return FAILS("open") ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int openat(int fd, const char *path, int flags, ...)
{
    MODE_OF(flags)
    return FAILS("openat") ? -1 : (int)syscall(SYS_openat, fd, path, flags, mode);
}

/* ---- processes and threads ---- */

typedef int clone_fn(int (*fn)(void *), void *stack, int flags, void *arg, void *tid);

int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
    static clone_fn *real;
    va_list more;
    va_start(more, arg);
    void *tid = va_arg(more, void *);
    va_end(more);
    if (real == NULL)
        real = (clone_fn *)(uintptr_t)dlsym(RTLD_NEXT, "clone");
    return FAILS("clone") ? -1 : real(fn, stack, flags, arg, tid);
}

WRAP(pid_t, fork, -1, (void), ())
WRAP(int, waitid, -1, (idtype_t type, id_t id, siginfo_t *info, int options),
     (type, id, info, options))
WRAP(int, pthread_create, number,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg),
     (thread, attr, fn, arg))
WRAP(ssize_t, getrandom, -1, (void *bytes, size_t len, unsigned flags), (bytes, len, flags))

/* ---- memory ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);

#define ASKED_BY_CARELESS is_careless(__builtin_return_address(0))

void *malloc(size_t size)
{
    return !ASKED_BY_CARELESS && FAILS("malloc") ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return !ASKED_BY_CARELESS && FAILS("calloc") ? NULL : __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
    return !ASKED_BY_CARELESS && FAILS("realloc") ? NULL : __libc_realloc(p, size);
}
