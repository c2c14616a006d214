#include "config.h"

#include "core/warden.h"

#include "base/clock.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process may be forking while it is killed, and has no environment for a moment when it executes
 * another program: one look that finds nothing is not enough. */
enum {
    GROUP_ROUNDS = 5,  /* a number that stays in use longer than that may be another process's */
    MARK_ROUNDS = 250, /* 5 s */
    QUIET_ROUNDS = 2,
    ROUND_MS = 20,
    CLOSE_ONE_BY_ONE = 65536
};

#define MARK_LEAST ((uint64_t)1 << 62)
/* Of wardens themselves, so that no supervisor takes another one's for a process that ran away; warden_make_mark() never
 * makes it. */
#define MARK_OF_WARDENS MARK_LEAST

struct warden {
    pid_t pid;
    int fd;
};

/* What goes through the pipe: a group, negative when it is removed, or WORD_NOW.  Less than PIPE_BUF: in one piece. */
typedef pid_t word;

#define WORD_NOW 0 /* as if the pipe had ended */

/* ---- the warden's own process: system calls only ---- */

static pid_t groups[WARDEN_GROUPS_MAX];

static void warden_note(word w)
{
    pid_t group = w > 0 ? w : -w;
    int vacant = -1;
    if (group <= 1) /* a signal to -1 goes to every process */
        return;
    for (int i = 0; i < WARDEN_GROUPS_MAX; i++) {
        if (groups[i] == group) {
            groups[i] = w > 0 ? group : 0;
            return;
        }
        if (groups[i] == 0 && vacant < 0)
            vacant = i;
    }
    if (w > 0 && vacant >= 0)
        groups[vacant] = group;
}

static void keep_only(int fd)
{
    if (dup2(fd, 0) < 0)
        _exit(1);
    if (syscall(SYS_close_range, 1U, ~0U, 0U) == 0)
        return;
    for (int i = 1; i < CLOSE_ONE_BY_ONE; i++)
        close(i);
}

static void warden_ignore_signals(void)
{
    struct sigaction ign = {.sa_handler = SIG_IGN};
    static const int signals[] = {SIGTERM, SIGINT,  SIGQUIT, SIGHUP, SIGPIPE,
                                  SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD};
    sigset_t none;
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        sigaction(signals[i], &ign, NULL);
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static size_t kill_groups(void)
{
    size_t killed = 0;
    for (int i = 0; i < WARDEN_GROUPS_MAX; i++)
        killed += groups[i] != 0 && kill(-groups[i], SIGKILL) == 0;
    return killed;
}

/* ---- what has left its group, found by its mark ---- */

static char bytes[8192];

/* A file of a process into `bytes`; nothing of it if the process has exited. */
static size_t read_proc(int proc, const char *pid, const char *file)
{
    char path[32];
    size_t len = 0, pid_len = strlen(pid), file_len = strlen(file);
    ssize_t n;
    if (pid_len + file_len >= sizeof(path))
        return 0;
    memcpy(path, pid, pid_len);
    memcpy(path + pid_len, file, file_len + 1);
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    while (len < sizeof(bytes) && (n = read(fd, bytes + len, sizeof(bytes) - len)) > 0)
        len += (size_t)n;
    close(fd);
    return len;
}

/* Limits of any user's process can be read, whatever it is doing. */
static bool has_mark(int proc, const char *pid, const char *mark)
{
    size_t len = read_proc(proc, pid, "/limits");
    return memmem(bytes, len, mark, strlen(mark)) != NULL;
}

/* Its parent may never reap it, as in a container without an init. */
static bool is_zombie(int proc, const char *pid)
{
    size_t len = read_proc(proc, pid, "/stat");
    const char *name_end = memrchr(bytes, ')', len);
    size_t left = name_end == NULL ? 0 : len - (size_t)(name_end - bytes);
    return left < 3 || name_end[2] == 'Z' || name_end[2] == 'X';
}

static bool is_ours(int proc, const char *pid, const char *mark)
{
    return has_mark(proc, pid, mark) && !is_zombie(proc, pid);
}

/* The descriptor is opened before the limits are read: should the process end and its number be
 * given away in between, the signal goes nowhere. */
static bool kill_if_marked(int proc, const char *name, const char *mark)
{
    pid_t pid = (pid_t)strtol(name, NULL, 10);
    int fd = -1;
    if (pid <= 1 || pid == getpid())
        return false;
    bool killed = false;
#if defined(SYS_pidfd_open) && defined(SYS_pidfd_send_signal)
    fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd >= 0)
        killed =
            is_ours(proc, name, mark) && syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0;
    else if (errno != ENOSYS && errno != EPERM)
        return false;
#endif
    if (fd < 0)
        return is_ours(proc, name, mark) && kill(pid, SIGKILL) == 0;
    close(fd);
    return killed;
}

static size_t kill_marked(const char *mark)
{
    static _Alignas(struct dirent64) char entries[32768];
    size_t killed = 0;
    int proc = mark == NULL ? -1 : open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0)
        return 0;
    for (;;) {
        long n = syscall(SYS_getdents64, proc, entries, sizeof(entries));
        if (n <= 0)
            break;
        for (long at = 0; at < n;) {
            const struct dirent64 *e = (const struct dirent64 *)(const void *)(entries + at);
            if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
                killed += kill_if_marked(proc, e->d_name, mark);
            at += e->d_reclen;
        }
    }
    close(proc);
    return killed;
}

static void kill_all(const char *mark)
{
    int quiet = 0;
    for (int round = 0; round < MARK_ROUNDS && quiet < QUIET_ROUNDS; round++) {
        size_t killed = round < GROUP_ROUNDS ? kill_groups() : 0;
        killed += kill_marked(mark);
        quiet = killed == 0 ? quiet + 1 : 0;
        clock_pause_ms(ROUND_MS);
    }
}

NORETURN static void guard(int fd, const char *mark)
{
    word words[64];
    struct rlimit marked;
    if (getrlimit(RLIMIT_RTTIME, &marked) == 0) {
        marked.rlim_cur = MARK_OF_WARDENS;
        (void)setrlimit(RLIMIT_RTTIME, &marked); /* refused where the hard limit is less */
    }
    setsid();
    warden_ignore_signals();
    prctl(PR_SET_NAME, "spine-warden", 0, 0, 0);
    keep_only(fd);
    for (bool now = false; !now;) {
        ssize_t n = read(0, words, sizeof(words));
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        for (ssize_t i = 0; i < n / (ssize_t)sizeof(words[0]); i++) {
            now |= words[i] == WORD_NOW;
            warden_note(words[i]);
        }
    }
    kill_all(mark);
    _exit(0);
}

/* ---- ours ---- */

uint64_t warden_make_mark(void)
{
    uint64_t mark = 0;
    if (getrandom(&mark, sizeof(mark), GRND_NONBLOCK) != (ssize_t)sizeof(mark))
        mark = (uint64_t)clock_wall_us() << 16 ^ (uint64_t)getpid(); /* a machine that starts */
    return mark >> 2 | MARK_LEAST | 1;                               /* not that of wardens */
}

/* A usual value of the limit would be found in processes of others. */
static bool is_mark(uint64_t mark)
{
    return mark >= MARK_LEAST && mark < 2 * MARK_LEAST;
}

uint64_t warden_get_mark(pid_t pid)
{
    static const char name[] = "Max realtime timeout ";
    char path[40], text[4096];
    snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *at = strstr(text, name);
    uint64_t mark = at == NULL ? 0 : strtoull(at + strlen(name), NULL, 10);
    return is_mark(mark) ? mark : 0;
}

struct warden *warden_start(uint64_t mark)
{
    int fds[2];
    char line[80]; /* of /proc/PID/limits */
    CHECK(mark == 0 || is_mark(mark));
    snprintf(line, sizeof(line), "Max realtime timeout      %-20" PRIu64 " ", mark);
    if (pipe2(fds, O_CLOEXEC) != 0)
        return NULL;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* until it ignores signals */
    pid_t pid = fork();
    if (pid == 0)
        guard(fds[0], mark == 0 ? NULL : line);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(fds[0]);
    if (pid < 0 || fcntl(fds[1], F_SETFL, O_NONBLOCK) != 0) {
        close(fds[1]);
        return NULL;
    }
    struct warden *w = mem_zalloc(1, sizeof(*w));
    *w = (struct warden){.pid = pid, .fd = fds[1]};
    return w;
}

static void tell(const struct warden *w, word what)
{
    if (w != NULL && write(w->fd, &what, sizeof(what)) < 0)
        return; /* the warden has exited: continue without it */
}

void warden_stop(struct warden *w)
{
    if (w == NULL)
        return;
    (void)kill(w->pid, SIGKILL); /* nothing is left to guard; it may have been stopped */
    close(w->fd);
    while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    free(w);
}

void warden_leave(struct warden *w)
{
    if (w == NULL)
        return;
    close(w->fd);
    free(w);
}

void warden_add(struct warden *w, pid_t group)
{
    tell(w, group);
}

void warden_remove(struct warden *w, pid_t group)
{
    tell(w, -group);
}

void warden_end_now(const struct warden *w)
{
    tell(w, WORD_NOW);
}
