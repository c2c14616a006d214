#include "config.h"

#include "core/warden.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A group may be forking while it is killed. */
enum { ROUNDS = 5, ROUND_MS = 20, CLOSE_ONE_BY_ONE = 65536 };

struct warden {
    pid_t pid;
    int fd;
};

/* What goes through the pipe: a group, negative when it is removed.  Less than PIPE_BUF: in one
 * piece. */
typedef pid_t word;

/* ---- the warden's own process: system calls only ---- */

static pid_t groups[WARDEN_GROUPS_MAX];

static void note(word w)
{
    pid_t group = w > 0 ? w : -w;
    int vacant = -1;
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

static void kill_all(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        int left = 0;
        for (int i = 0; i < WARDEN_GROUPS_MAX; i++)
            left += groups[i] != 0 && kill(-groups[i], SIGKILL) == 0;
        if (left == 0)
            return;
        poll(NULL, 0, ROUND_MS);
    }
}

NORETURN static void guard(int fd)
{
    word words[64];
    setsid();
    warden_ignore_signals();
    prctl(PR_SET_NAME, "spine-warden", 0, 0, 0);
    keep_only(fd);
    for (;;) {
        ssize_t n = read(0, words, sizeof(words));
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        for (ssize_t i = 0; i < n / (ssize_t)sizeof(words[0]); i++)
            note(words[i]);
    }
    kill_all();
    _exit(0);
}

/* ---- ours ---- */

struct warden *warden_start(void)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return NULL;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* until it ignores signals */
    pid_t pid = fork();
    if (pid == 0)
        guard(fds[0]);
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

void warden_stop(struct warden *w)
{
    if (w == NULL)
        return;
    close(w->fd);
    while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    free(w);
}

static void tell(const struct warden *w, word what)
{
    if (w != NULL && write(w->fd, &what, sizeof(what)) < 0)
        return; /* the warden has gone: go on without it */
}

void warden_add(struct warden *w, pid_t group)
{
    tell(w, group);
}

void warden_remove(struct warden *w, pid_t group)
{
    tell(w, -group);
}
