#include "config.h"

#include "child_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "core/warden.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FULL_LOOK_EVERY_MS = 1000 }; /* at all of /proc, where the kernel has no list of children */

/* That live in this process. */
static atomic_int orphan_supervisors;

struct pids {
    pid_t *list;
    size_t count, cap;
};

static void orphan_add_pid(struct pids *p, pid_t pid)
{
    p->list = mem_grow(p->list, p->count, &p->cap, 64, sizeof(p->list[0]));
    p->list[p->count++] = pid;
}

/* ---- /proc ---- */

static bool read_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n;
    buf_clear(out);
    do {
        buf_reserve(out, 4096);
        n = read(fd, out->data + out->len, 4096);
        if (n > 0)
            out->len += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    close(fd);
    buf_reserve(out, 1);
    out->data[out->len] = '\0';
    return n == 0;
}

struct stat_line {
    char state;
    char name[17];
    pid_t parent, group;
    int64_t born_ticks;
};

/* proc(5): "pid (name) state ppid pgrp ..."; the name may hold anything, field 22 is starttime. */
static bool parse_stat(const char *text, struct stat_line *ret)
{
    const char *p = strrchr(text, ')'), *name = strchr(text, '(');
    int parent, group;
    if (p == NULL || name == NULL || name > p ||
        sscanf(p + 1, " %c %d %d", &ret->state, &parent, &group) != 3)
        return false;
    snprintf(ret->name, sizeof(ret->name), "%.*s", (int)(p - name - 1), name + 1);
    for (int field = 2; field < 22; field++) {
        p = strchr(p, ' ');
        if (p == NULL)
            return false;
        p++;
    }
    ret->parent = parent;
    ret->group = group;
    ret->born_ticks = strtoll(p, NULL, 10);
    return true;
}

static bool orphan_look_at(pid_t pid, struct stat_line *ret)
{
    char path[40];
    struct buf text = BUF_INIT;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    bool ok = read_file(path, &text) && parse_stat(text.data, ret) && ret->parent == getpid();
    buf_done(&text);
    return ok;
}

static bool list_of_thread(pid_t tid, struct pids *ret)
{
    char path[64];
    struct buf text = BUF_INIT;
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)tid);
    bool ok = read_file(path, &text);
    char *end;
    for (const char *p = buf_str(&text); ok; p = end) {
        long pid = strtol(p, &end, 10);
        if (end == p)
            break;
        orphan_add_pid(ret, (pid_t)pid);
    }
    buf_done(&text);
    return ok;
}

static void each_number(const char *directory, struct pids *ret)
{
    DIR *d = opendir(directory);
    const struct dirent *e;
    if (d == NULL)
        return;
    while ((e = readdir(d)) != NULL)
        if (isdigit((unsigned char)e->d_name[0]))
            orphan_add_pid(ret, (pid_t)strtol(e->d_name, NULL, 10));
    closedir(d);
}

static bool list_of_all_threads(struct pids *ret)
{
    struct pids threads = {NULL, 0, 0};
    bool ok = false;
    each_number("/proc/self/task", &threads);
    for (size_t i = 0; i < threads.count; i++)
        ok = list_of_thread(threads.list[i], ret) || ok;
    free(threads.list);
    return ok;
}

/* Our children.  The kernel gives orphans to the first thread that lives, in practice the main
 * one; our own are with the thread that started them, which is the one that runs here. */
static bool list_children(struct orphans *o, bool all, struct pids *ret)
{
    if (!o->no_children_file) {
        pid_t self = (pid_t)syscall(SYS_gettid);
        if (all ? list_of_all_threads(ret)
                : list_of_thread(getpid(), ret) && (self == getpid() || list_of_thread(self, ret)))
            return true;
        o->no_children_file = true;
        ret->count = 0;
    }
    int64_t now_ms = clock_mono_ms();
    if (!all && now_ms < o->next_full_ms)
        return false;
    o->next_full_ms = now_ms + FULL_LOOK_EVERY_MS;
    each_number("/proc", ret);
    return true;
}

int64_t orphan_now_ticks(void)
{
    struct timespec ts;
    static long per_second;
    if (per_second == 0)
        per_second = sysconf(_SC_CLK_TCK);
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * per_second + (int64_t)ts.tv_nsec / (1000000000 / per_second);
}

/* ---- what to do with one ---- */

static bool orphan_is_known(const struct orphan_view *view, pid_t pid)
{
    return bsearch(&pid, view->known, view->count, sizeof(pid), num_compare_pids) != NULL;
}

/* The command line, unless the kernel may keep the reader waiting for it. */
static void name_process(pid_t pid, const struct stat_line *line, char ret[ORPHAN_NAME_BYTES])
{
    char path[40];
    struct buf text = BUF_INIT;
    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    if (line->state == 'D' || !read_file(path, &text) || text.len == 0)
        buf_puts(&text, line->name);
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.data[i] == '\0')
            text.data[i] = ' ';
    snprintf(ret, ORPHAN_NAME_BYTES, "%.120s (pid %d)", buf_str(&text), (int)pid);
    buf_done(&text);
}

static struct orphan *orphan_find(struct orphans *o, pid_t pid, int64_t born_ticks)
{
    for (size_t i = 0; i < o->count; i++)
        if (o->list[i].pid == pid && o->list[i].born_ticks == born_ticks)
            return &o->list[i];
    return NULL;
}

static struct orphan *orphan_add(struct orphans *o, pid_t pid, int64_t born_ticks)
{
    o->list = mem_grow(o->list, o->count, &o->cap, 8, sizeof(o->list[0]));
    struct orphan *one = &o->list[o->count++];
    *one = (struct orphan){.pid = pid, .born_ticks = born_ticks};
    return one;
}

/* It is our child and not reaped, so its pid and its group's number are taken: no other process can
 * be hit. */
static void orphan_send(pid_t pid, const struct stat_line *line, const struct orphan_view *view,
                        int signo)
{
    if (!orphan_is_known(view, line->group))
        kill(-line->group, signo);
    kill(pid, signo);
}

static void orphan_end_one(struct orphans *o, pid_t pid, const struct stat_line *line,
                           const struct orphan_view *view)
{
    int64_t now_ms = clock_mono_ms();
    struct orphan *one = orphan_find(o, pid, line->born_ticks);
    if (one == NULL) {
        one = orphan_add(o, pid, line->born_ticks);
        one->kill_at_ms = INT64_MAX;
        name_process(pid, line, o->last);
        orphan_send(pid, line, view, SIGTERM);
    } else if (now_ms >= one->kill_at_ms) {
        orphan_send(pid, line, view, SIGKILL);
    }
    if (now_ms + view->grace_ms < one->kill_at_ms)
        one->kill_at_ms = now_ms + view->grace_ms;
    one->seen = true;
}

static bool is_foreign(const struct orphans *o, pid_t pid, int64_t born_ticks)
{
    for (size_t i = 0; i < o->foreign_count; i++)
        if (o->foreign[i].pid == pid && o->foreign[i].born_ticks == born_ticks)
            return true;
    return born_ticks < o->since_ticks;
}

/* Another supervisor's child, descendant or warden has another mark.  Without one, because the limit was changed or could not be
 * set, it may be that of any supervisor while there are several. */
static bool orphan_is_ours(const struct orphans *o, pid_t pid)
{
    uint64_t mark = warden_get_mark(pid);
    return mark == o->mark || (mark == 0 && orphan_supervisors == 1);
}

/* A child with our own group was started by another part of this program, one older than the
 * supervisor by the process that exec'ed this one: not to be ended here.  A child that lives may be waiting for what
 * it started, so a descendant younger than any of them is left alone as well. */
static bool orphan_may_end(const struct orphans *o, pid_t pid, const struct stat_line *line,
                           const struct orphan_view *view, bool all)
{
    if (line->group == getpgrp() || is_foreign(o, pid, line->born_ticks))
        return false;
    bool may =
        all || (line->born_ticks < view->oldest_ticks && !orphan_is_known(view, line->group));
    return may && orphan_is_ours(o, pid);
}

size_t orphan_sweep(struct orphans *o, const struct orphan_view *view, bool all)
{
    struct pids children = {NULL, 0, 0};
    size_t left = 0;
    if (!list_children(o, all, &children))
        return o->count; /* not now; come again for those that we know of */
    qsort(view->known, view->count, sizeof(view->known[0]), num_compare_pids);
    for (size_t i = 0; i < o->count; i++)
        o->list[i].seen = false;
    for (size_t i = 0; i < children.count; i++) {
        pid_t pid = children.list[i];
        struct stat_line line;
        if (orphan_is_known(view, pid) || !orphan_look_at(pid, &line) ||
            !orphan_may_end(o, pid, &line, view, all))
            continue;
        if (line.state == 'Z' || line.state == 'X')
            waitpid(pid, NULL, WNOHANG);
        else
            orphan_end_one(o, pid, &line, view);
        left++; /* a zombie's children are seen next time */
    }
    size_t n = 0;
    for (size_t i = 0; i < o->count; i++)
        if (o->list[i].seen)
            o->list[n++] = o->list[i];
    o->count = n;
    free(children.list);
    return left;
}

void orphan_begin(struct orphans *o, uint64_t mark, bool no_children_file)
{
    orphan_supervisors++;
    o->mark = mark;
    struct pids children = {NULL, 0, 0};
    struct stat_line line;
    o->no_children_file = no_children_file;
    o->since_ticks = orphan_now_ticks();
    list_children(o, true, &children);
    o->foreign = mem_zalloc(children.count + 1, sizeof(o->foreign[0]));
    for (size_t i = 0; i < children.count; i++)
        if (orphan_look_at(children.list[i], &line))
            o->foreign[o->foreign_count++] =
                (struct orphan){.pid = children.list[i], .born_ticks = line.born_ticks};
    free(children.list);
}

void orphan_done(struct orphans *o)
{
    orphan_supervisors--;
    free(o->list);
    free(o->foreign);
}
