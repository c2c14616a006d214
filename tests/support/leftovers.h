/* What a test of child processes must not leave: processes and descriptors.
 *
 * Every process that a test starts inherits a mark in its environment, so that one that ran away
 * (double fork, setsid, new parent) is found, too.  Before that: wait until a process has become what
 * the test is about. */
#ifndef SPINE_TESTS_LEFTOVERS_H
#define SPINE_TESTS_LEFTOVERS_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEFTOVERS_MARK "SPINE_TEST_MARK"

enum { LEFTOVERS_FAR_MS = 60000 };

static inline void leftovers_mark(void)
{
    char mark[24];
    snprintf(mark, sizeof(mark), "%d", (int)getpid());
    setenv(LEFTOVERS_MARK, mark, 1);
}

static inline size_t leftovers_read(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;
    buf_clear(out);
    if (fd < 0)
        return 0;
    do {
        buf_reserve(out, 4096);
        n = read(fd, out->data + out->len, 4095);
        if (n > 0)
            out->len += (size_t)n;
    } while (n > 0);
    close(fd);
    if (out->data != NULL)
        out->data[out->len] = '\0';
    return out->len;
}

/* 0: it has exited. */
static inline int leftovers_parent(int pid, struct buf *text)
{
    char path[64];
    int parent = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    const char *p = leftovers_read(path, text) > 0 ? strrchr(text->data, ')') : NULL;
    return p != NULL && sscanf(p + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

/* How many descendants of this process run exactly this command, its words parted by one blank. */
static inline int leftovers_count(const char *command)
{
    DIR *proc = opendir("/proc");
    const struct dirent *e;
    struct buf text = BUF_INIT;
    int found = 0;
    while (proc != NULL && (e = readdir(proc)) != NULL) {
        char path[300];
        int pid = atoi(e->d_name);
        snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
        size_t len = pid > 1 ? leftovers_read(path, &text) : 0;
        for (size_t i = 0; i + 1 < len; i++)
            if (text.data[i] == '\0')
                text.data[i] = ' ';
        if (len == 0 || strcmp(text.data, command) != 0)
            continue;
        while (pid > 1 && pid != getpid())
            pid = leftovers_parent(pid, &text);
        found += pid == getpid();
    }
    if (proc != NULL)
        closedir(proc);
    buf_done(&text);
    return found;
}

/* Waits until there are at least `count` of them. */
static inline void leftovers_await(const char *command, int count)
{
    int64_t until_ms = clock_mono_ms() + LEFTOVERS_FAR_MS;
    while (leftovers_count(command) < count) {
        CHECK(clock_mono_ms() < until_ms);
        clock_pause_ms(1); /* between two looks */
    }
}

/* How many processes but this one carry the mark, or are children of this one; dead but not reaped
 * counts.  They are ended. */
static inline int leftovers_processes(void)
{
    DIR *proc = opendir("/proc");
    const struct dirent *e;
    struct buf text = BUF_INIT;
    char path[300], mark[64];
    int found = 0;
    int len = snprintf(mark, sizeof(mark), LEFTOVERS_MARK "=%d", (int)getpid()) + 1;
    while (proc != NULL && (e = readdir(proc)) != NULL) {
        int pid = atoi(e->d_name), parent;
        if (pid <= 0 || pid == getpid())
            continue;
        snprintf(path, sizeof(path), "/proc/%d/environ", pid);
        size_t size = leftovers_read(path, &text);
        bool ours = size > 0 && memmem(text.data, size, mark, (size_t)len) != NULL;
        parent = leftovers_parent(pid, &text);
        if (ours || parent == getpid()) {
            snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
            leftovers_read(path, &text);
            fprintf(stderr, "still there: process %d (%s)\n", pid, buf_str(&text));
            kill(pid, SIGKILL); /* not for the next test to stumble over */
            if (parent == getpid())
                waitpid(pid, NULL, 0);
            found++;
        }
    }
    if (proc != NULL)
        closedir(proc);
    buf_done(&text);
    return found;
}

static inline int leftovers_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n;
}

#endif
