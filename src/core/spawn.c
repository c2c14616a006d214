#include "config.h"

#include "core/spawn.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Older C libraries do not name what newer kernels have. */
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* The thread sanitizer takes every clone() for a fork(); the C library's other name for it is left
 * alone. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SPAWN_UNDER_TSAN 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define SPAWN_UNDER_TSAN 1
#endif
#ifdef SPAWN_UNDER_TSAN
extern int __clone(int (*fn)(void *arg), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

enum {
    STACK_BYTES = 16384,
    FIRST_FREE = 3,          /* the lowest descriptor a child may not keep */
    CLOSE_ONE_BY_ONE = 65536 /* the most, where the kernel has no close_range() */
};

/* ---- in the child, on the parent's memory: system calls, and nothing else ----
 *
 * The parent thread stands still meanwhile, but the others run: no lock may be taken, no library
 * state changed.  The sanitizers' own records would be, so these functions are left out of them;
 * system calls go past the wrappers that they intercept. */

#if defined(__clang__) || defined(__GNUC__)
#define BARE __attribute__((no_sanitize("address", "thread", "undefined")))
#else
#define BARE
#endif

enum stage { STAGE_SETUP, STAGE_EXEC };

struct birth {
    const struct spawn_order *order;
    int in, out; /* the child's ends; in is -1 for /dev/null */
    pid_t parent;
    volatile enum stage stage;
    volatile int number; /* why it failed; 0 = exec worked */
};

struct kernel_limit {
    uint64_t soft, hard;
};

/* The kernel's, all zero: SIG_DFL, no flags.  Larger than any architecture has it. */
struct kernel_sigaction {
    unsigned long words[8];
};

BARE static void default_signals(void)
{
    struct kernel_sigaction dfl = {{0}};
    for (int signo = 1; signo < _NSIG; signo++)
        syscall(SYS_rt_sigaction, signo, &dfl, NULL, _NSIG / 8);
}

BARE static void unblock_signals(void)
{
    unsigned long none[4] = {0};
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, _NSIG / 8);
}

BARE static void limit(int resource, int64_t wanted, uint64_t beyond)
{
    struct kernel_limit now;
    if (wanted < 0 || syscall(SYS_prlimit64, 0, resource, NULL, &now) != 0)
        return;
    struct kernel_limit then = {(uint64_t)wanted, (uint64_t)wanted + beyond};
    if (then.soft > now.hard)
        then.soft = now.hard;
    if (then.hard > now.hard)
        then.hard = now.hard;
    syscall(SYS_prlimit64, 0, resource, &then, NULL);
}

BARE static void put_mark(uint64_t mark)
{
    struct kernel_limit then;
    if (mark == 0 || syscall(SYS_prlimit64, 0, RLIMIT_RTTIME, NULL, &then) != 0)
        return;
    then.soft = mark; /* refused where the hard limit is less: then there is no mark */
    syscall(SYS_prlimit64, 0, RLIMIT_RTTIME, &then, NULL);
}

BARE static void prefer_for_oom(int score)
{
    char text[8];
    size_t at = sizeof(text);
    unsigned int left = score < 0 ? -(unsigned int)score : (unsigned int)score;
    if (score == SPAWN_KEEP)
        return;
    do
        text[--at] = (char)('0' + left % 10);
    while ((left /= 10) > 0 && at > 1);
    if (score < 0)
        text[--at] = '-';
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY);
    if (fd >= 0) {
        syscall(SYS_write, fd, text + at, sizeof(text) - at);
        syscall(SYS_close, fd);
    }
}

BARE static bool move(int from, int to)
{
    return from == to || syscall(SYS_dup3, from, to, 0) == to;
}

/* Our ends of pipes are never 0, 1, 2, so the order is free; descriptor 2 comes last because only
 * then an open() gives it to a parent that has none. */
BARE static bool place_descriptors(const struct birth *b)
{
    int in = b->in;
    if (!move(b->out, STDOUT_FILENO))
        return false;
    if (in < 0) {
        in = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);
        if (in < 0)
            return false;
    }
    if (!move(in, STDIN_FILENO))
        return false;
    if (syscall(SYS_fcntl, STDERR_FILENO, F_SETFD, 0) < 0) {
        int null = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY);
        if (null < 0 || !move(null, STDERR_FILENO))
            return false;
    }
    return true;
}

BARE static void close_others(void)
{
    struct kernel_limit files = {0, 0};
    if (syscall(SYS_close_range, FIRST_FREE, ~0U, 0) == 0)
        return;
    syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &files);
    if (files.soft > CLOSE_ONE_BY_ONE)
        files.soft = CLOSE_ONE_BY_ONE;
    for (uint64_t fd = FIRST_FREE; fd < files.soft; fd++)
        syscall(SYS_close, (int)fd);
}

BARE static int be_born(void *arg)
{
    struct birth *b = arg;
    const struct spawn_order *o = b->order;
    default_signals(); /* before unblocking: none of the program's handlers may run here */
    if (o->die_with_parent) {
        syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (syscall(SYS_getppid) != b->parent) /* too late: it has exited already */
            goto fail;
    }
    if (syscall(SYS_setpgid, 0, 0) != 0 || !place_descriptors(b))
        goto fail;
    if (o->directory != NULL && syscall(SYS_chdir, o->directory) != 0)
        goto fail;
    close_others();
    limit(RLIMIT_CPU, o->limits.cpu_s, 1);
    limit(RLIMIT_NOFILE, o->limits.files, 0);
    limit(RLIMIT_CORE, o->limits.core_bytes, 0);
    put_mark(o->mark);
    prefer_for_oom(o->limits.oom_score_adj);
    unblock_signals();
    b->stage = STAGE_EXEC;
    syscall(SYS_execve, o->path, o->argv, o->envp);
fail:
    b->number = errno != 0 ? errno : ECHILD;
    syscall(SYS_exit_group, 127);
    return 127;
}

/* ---- in the parent ---- */

static enum spawn_result spawn_classify(int number)
{
    switch (number) {
    case EMFILE:
    case ENFILE: return SPAWN_NO_DESCRIPTOR;
    case EAGAIN:
    case ENOMEM: return SPAWN_NO_PROCESS;
    default: return SPAWN_REFUSED;
    }
}

static enum spawn_result spawn_fail(struct err *err, int number, const char *what, const char *path)
{
    err_set_number(err, ERR_OS, number, "cannot %s %s: %s", what, path, strerror(number));
    return spawn_classify(number);
}

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            close(pair[i]);
        pair[i] = -1;
    }
}

/* A parent may have been started without 0, 1 or 2; a pipe must not land there. */
static bool spawn_lift(int *fd)
{
    if (*fd >= FIRST_FREE)
        return true;
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_FREE);
    if (high < 0)
        return false;
    close(*fd);
    *fd = high;
    return true;
}

static bool open_pipe(int pair[2], int ours)
{
    if (pipe2(pair, O_CLOEXEC) != 0)
        return false;
    if (!spawn_lift(&pair[0]) || !spawn_lift(&pair[1]) ||
        fcntl(pair[ours], F_SETFL, O_NONBLOCK) != 0) {
        int number = errno;
        close_pair(pair);
        errno = number;
        return false;
    }
    return true;
}

/* Returns the pid or -1 with errno; the child has exec'ed or exited when this returns. */
static pid_t give_birth(struct birth *b, int *ret_pidfd)
{
    alignas(16) char stack[STACK_BYTES];
    int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
    pid_t pid = -1;
    *ret_pidfd = -1;
    errno = 0;
    if (!b->order->no_pidfd)
        pid = clone(be_born, stack + sizeof(stack), flags | CLONE_PIDFD, b, ret_pidfd);
    if (pid < 0 && (errno == 0 || errno == EINVAL)) {
        *ret_pidfd = -1;
        pid = clone(be_born, stack + sizeof(stack), flags, b);
    }
    return pid;
}

static void reap_stillborn(pid_t pid, int pidfd)
{
    siginfo_t info;
    while (waitid(P_PID, (id_t)pid, &info, WEXITED) != 0 && errno == EINTR)
        ;
    if (pidfd >= 0)
        close(pidfd);
}

enum spawn_result spawn_start(const struct spawn_order *order, struct spawned *ret, struct err *err)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    int pidfd = -1;
    enum spawn_result result = SPAWN_STARTED;
    sigset_t all, before;

    if (!open_pipe(out, 0) || (order->talk && !open_pipe(in, 1))) {
        result = spawn_fail(err, errno, "open a pipe for", order->path);
        goto out;
    }
    struct birth b = {.order = order, .in = in[0], .out = out[1], .parent = getpid()};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler may run on the shared memory */
    pid_t pid = give_birth(&b, &pidfd);
    int number = pid < 0 ? errno : b.number;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        result = spawn_fail(err, number, "start a process for", order->path);
    } else if (number != 0) {
        reap_stillborn(pid, pidfd);
        result =
            spawn_fail(err, number, b.stage == STAGE_EXEC ? "execute" : "prepare", order->path);
    } else {
        *ret = (struct spawned){.pid = pid, .pidfd = pidfd, .from = out[0], .to = in[1]};
        out[0] = in[1] = -1;
    }
out:
    close_pair(in);
    close_pair(out);
    return result;
}

/* ---- environment ---- */

/* Is `entry` ("NAME=value") of the name that `name` starts with ("NAME" or "NAME=value")? */
static bool same_name(const char *entry, const char *name)
{
    size_t len = strcspn(name, "=");
    return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

static bool is_listed(const char *entry, const char *const *list)
{
    for (; list != NULL && *list != NULL; list++)
        if (same_name(entry, *list))
            return true;
    return false;
}

char **spawn_env_new(const char *const *base, const char *const *set, const char *const *drop)
{
    const char *const *from = base != NULL ? base : (const char *const *)environ;
    size_t count = 0, n = 0;
    while (from != NULL && from[count] != NULL)
        count++;
    size_t entries = count;
    for (const char *const *s = set; s != NULL && *s != NULL; s++)
        entries++;
    char **env = mem_zalloc(entries + 1, sizeof(env[0]));
    for (size_t i = 0; i < count; i++)
        if (!is_listed(from[i], set) && !is_listed(from[i], drop))
            env[n++] = mem_strdup(from[i]);
    for (const char *const *s = set; s != NULL && *s != NULL; s++)
        env[n++] = mem_strdup(*s);
    return env;
}

void spawn_env_free(char **env)
{
    if (env == NULL)
        return;
    for (char **e = env; *e != NULL; e++)
        free(*e);
    free(env);
}
