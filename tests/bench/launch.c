/*
 * Runs a program and writes down what it took:
 *
 *     launch RESULT SECONDS PROGRAM [ARGUMENT...]
 *
 * RESULT gets one line: start and end on the monotonic clock in microseconds, the wait status, processor time of the user
 * and of the system in microseconds, and the largest resident set in KiB. The kernel counts to a process what it had in
 * memory before it became PROGRAM, as a copy of what started it; so it is started by something as small as this.
 * PROGRAM is killed after SECONDS, and when the launcher ends.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
    fprintf(stderr, "launch: %s: %s\n", what, strerror(errno));
    exit(126);
}

static int64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t microseconds(struct timeval t)
{
    return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

static void become(char **command, const sigset_t *mask)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execv(command[0], command);
    _exit(127);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: launch RESULT SECONDS PROGRAM [ARGUMENT...]\n");
        return 126;
    }
    sigset_t child, before;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &before);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    FILE *result = fopen(argv[1], "we");
    if (result == NULL)
        die(argv[1]);
    int64_t start = clock_us(), until = start + (int64_t)strtol(argv[2], NULL, 10) * 1000000;
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0)
        become(argv + 3, &before);
    for (;;) {
        int64_t left = until - clock_us();
        struct timespec wait = {.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000};
        if (left > 0 && sigtimedwait(&child, NULL, &wait) == SIGCHLD)
            break;
        if (left <= 0) {
            kill(pid, SIGKILL);
            break;
        }
    }
    int64_t end = clock_us();
    int status;
    struct rusage usage;
    if (wait4(pid, &status, 0, &usage) != pid)
        die("wait4");
    fprintf(result, "%" PRId64 " %" PRId64 " %d %" PRId64 " %" PRId64 " %ld\n", start, end, status,
            microseconds(usage.ru_utime), microseconds(usage.ru_stime), usage.ru_maxrss);
    return fclose(result) == 0 ? 0 : 126;
}
