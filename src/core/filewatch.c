#include "config.h"

#include "core/filewatch.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
    FILEWATCH_LINKS = 40,       /* symbolic links on the way, as the kernel has it */
    FILEWATCH_READS = 16,       /* of the queue, in one turn of the loop */
    FILEWATCH_ROOM = 16 * 1024, /* bytes, some hundred events */
};

/* Of a directory only its names matter; of the file, all that changes what a reader gets. */
#define FILEWATCH_GONE (IN_DELETE_SELF | IN_MOVE_SELF)
#define FILEWATCH_DIRECTORY                                                                        \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | FILEWATCH_GONE |            \
     IN_ONLYDIR | IN_MASK_ADD)
#define FILEWATCH_THROUGH (FILEWATCH_GONE | IN_ONLYDIR | IN_MASK_ADD)
#define FILEWATCH_FILE    (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | FILEWATCH_GONE | IN_MASK_ADD)

/* A name in a directory that is watched; the file itself has none. */
struct filewatch_place {
    int wd;
    char *path, *name;
    bool through; /* watched without names */
};

struct filewatch_places {
    struct filewatch_place *places;
    size_t count, cap;
};

/* What stat(2) says of the file. */
struct filewatch_identity {
    int number; /* errno; 0: it is there, and what follows is known */
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
};

struct filewatch {
    struct filewatch_options options;
    char *path;
    int fd; /* -1: the kernel does not tell */
    struct loop_watch watch;
    struct loop_timer quiet, look;
    struct filewatch_places places;
    struct filewatch_identity known; /* not by the kernel */
    int64_t again_mono_ms;           /* likewise: when it is asked again */
    struct filewatch_figures figures;
    struct err why;
};

/* ---- the way to the file ---- */

struct filewatch_walk {
    int fd;
    struct filewatch_places found;
    struct buf at;   /* a directory, without a symbolic link in its name; "" is the root */
    struct buf rest; /* what remains of the path */
    int links;
    bool names;    /* wanted of all directories */
    bool complete; /* the file was found */
    struct err *err;
};

static void filewatch_put(struct filewatch_places *p, int wd, const char *path, const char *name,
                          bool through)
{
    p->places = mem_grow(p->places, p->count, &p->cap, 8, sizeof(p->places[0]));
    p->places[p->count++] = (struct filewatch_place){.wd = wd,
                                                     .path = mem_strdup(path),
                                                     .name = name == NULL ? NULL : mem_strdup(name),
                                                     .through = through};
}

static void filewatch_forget(struct filewatch_places *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->places[i].path);
        free(p->places[i].name);
    }
    free(p->places);
    *p = (struct filewatch_places){.count = 0};
}

static bool filewatch_has(const struct filewatch_places *p, int wd)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->places[i].wd == wd)
            return true;
    return false;
}

/* What another machine or a program changes there, the kernel does not tell; nor what it makes up itself. */
static bool filewatch_is_told(const char *directory)
{
    static const unsigned long silent[] = {
        0x6969,     /* NFS */
        0xff534d42, /* CIFS */
        0xfe534d42, /* SMB2 */
        0x517b,     /* SMB */
        0x65735546, /* FUSE */
        0x01021997, /* 9P */
        0x00c36400, /* Ceph */
        0x5346414f, /* AFS */
        0x6b414653, /* kAFS */
        0x0bd00bd0, /* Lustre */
        0x01161970, /* GFS2 */
        0x7461636f, /* OCFS2 */
        0x9fa0,     /* proc */
        0x62656572, /* sysfs */
    };
    struct statfs fs;
    if (statfs(directory, &fs) != 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(silent); i++)
        if (((unsigned long)fs.f_type & 0xffffffff) == silent[i])
            return false;
    return true;
}

/* false: the kernel does not tell what happens there.  One that is not there, or no more, is told by the directory
 * above it. */
static bool filewatch_add(struct filewatch_walk *k, const char *path, uint32_t mask,
                          const char *name)
{
    int wd = inotify_add_watch(k->fd, path, mask);
    if (wd >= 0) {
        filewatch_put(&k->found, wd, path, name, mask == FILEWATCH_THROUGH);
        k->complete = name == NULL;
        return name == NULL || filewatch_is_told(path) ||
               err_set(k->err, ERR_OS, "the file system of %.300s does not tell", path);
    }
    bool unreadable = name == NULL && errno == EACCES; /* its rights are told by its directory */
    if (errno == ENOENT || errno == ENOTDIR || unreadable)
        return true;
    return err_set_number(k->err, ERR_OS, errno, "%.300s cannot be watched: %s", path,
                          errno == ENOSPC ? "fs.inotify.max_user_watches is reached"
                                          : strerror(errno));
}

/* The next name of the rest, which loses it; free() it.  NULL: nothing remains. */
static char *filewatch_next_name(struct buf *rest)
{
    const char *from = buf_str(rest) + strspn(buf_str(rest), "/");
    size_t len = strcspn(from, "/");
    char *name = len == 0 ? NULL : mem_strndup(from, len);
    char *left = mem_strdup(from + len);
    buf_clear(rest);
    buf_puts(rest, left);
    free(left);
    return name;
}

/* false: it cannot be read, or there are too many. */
static bool filewatch_follow(struct filewatch_walk *k, const char *link)
{
    char target[4096];
    ssize_t len = readlink(link, target, sizeof(target) - 1);
    if (len <= 0 || ++k->links > FILEWATCH_LINKS)
        return false;
    target[len] = '\0';
    if (*target == '/')
        buf_clear(&k->at);
    char *rest = mem_strdup(buf_str(&k->rest));
    buf_clear(&k->rest);
    buf_printf(&k->rest, "%s%s", target, rest);
    free(rest);
    return true;
}

static void filewatch_go_up(struct buf *at)
{
    const char *slash = strrchr(buf_str(at), '/');
    if (slash != NULL)
        buf_truncate(at, (size_t)(slash - at->data));
}

static bool filewatch_is_directory(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* One name of the way: watched first and looked at then, so that no change falls in between.  ret_more: there is
 * another one. */
static bool filewatch_step(struct filewatch_walk *k, const char *name, bool *ret_more)
{
    struct stat st;
    struct buf full = BUF_INIT;
    buf_printf(&full, "%s/%s", buf_str(&k->at), name);
    bool through = !k->names && k->rest.len > 0 && filewatch_is_directory(buf_str(&full));
    bool ok = filewatch_add(k, k->at.len == 0 ? "/" : buf_str(&k->at),
                            through ? FILEWATCH_THROUGH : FILEWATCH_DIRECTORY, name);
    *ret_more = false;
    if (!ok || lstat(buf_str(&full), &st) != 0) {
        /* or it is waited for */
    } else if (S_ISDIR(st.st_mode) && k->rest.len > 0) {
        buf_clear(&k->at);
        buf_puts(&k->at, buf_str(&full));
        *ret_more = true;
    } else if (through) {
        /* something else since: names are needed */
    } else if (S_ISLNK(st.st_mode)) {
        *ret_more = filewatch_follow(k, buf_str(&full));
    } else {
        ok = filewatch_add(k, buf_str(&full), FILEWATCH_FILE, NULL);
    }
    buf_done(&full);
    return ok;
}

static bool filewatch_go(struct filewatch_walk *k, const char *path)
{
    bool ok = true, more = true;
    k->links = 0;
    buf_clear(&k->at);
    buf_clear(&k->rest);
    buf_puts(&k->rest, path);
    while (ok && more) {
        char *name = filewatch_next_name(&k->rest);
        if (name == NULL)
            more = false;
        else if (strcmp(name, "..") == 0)
            filewatch_go_up(&k->at);
        else if (strcmp(name, ".") != 0)
            ok = filewatch_step(k, name, &more);
        free(name);
    }
    return ok;
}

static bool filewatch_has_names(const struct filewatch_places *p, int wd)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->places[i].wd == wd && !p->places[i].through)
            return true;
    return false;
}

/* The file is there again: names that were waited for are not needed. */
static void filewatch_quieten(int fd, const struct filewatch_places *before,
                              const struct filewatch_places *now)
{
    for (size_t i = 0; i < now->count; i++) {
        const struct filewatch_place *place = &now->places[i];
        if (filewatch_has_names(now, place->wd) || !filewatch_has_names(before, place->wd))
            continue;
        int wd = inotify_add_watch(fd, place->path, FILEWATCH_GONE | IN_ONLYDIR);
        if (wd >= 0 && !filewatch_has(now, wd)) /* another one since, which is told */
            (void)inotify_rm_watch(fd, wd);
    }
}

/* Finds the places to be watched, as the way is now, and watches these alone.
 *
 * While the file is there, a directory above its own says itself when it is moved or removed: what is made beside it, as in a directory
 * for temporary files, costs no wake-up.  While the file is missing, names are waited for in all directories, because one that is a process's
 * working directory is removed without an event of its own. */
static bool filewatch_find_places(struct filewatch *w, struct err *err)
{
    struct filewatch_walk k = {.fd = w->fd, .at = BUF_INIT, .rest = BUF_INIT, .err = err};
    bool ok = filewatch_go(&k, w->path);
    if (ok && k.complete)
        filewatch_quieten(w->fd, &w->places, &k.found);
    k.names = true;
    if (ok && !k.complete)
        ok = filewatch_go(&k, w->path);
    for (size_t i = 0; i < w->places.count; i++)
        if (!filewatch_has(&k.found, w->places.places[i].wd))
            (void)inotify_rm_watch(w->fd, w->places.places[i].wd);
    filewatch_forget(&w->places);
    w->places = k.found;
    buf_done(&k.at);
    buf_done(&k.rest);
    return ok;
}

/* ---- by looking ---- */

static struct filewatch_identity filewatch_identify(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return (struct filewatch_identity){.number = errno};
    return (struct filewatch_identity){.dev = st.st_dev,
                                       .ino = st.st_ino,
                                       .size = st.st_size,
                                       .mtime = st.st_mtim,
                                       .ctime = st.st_ctim};
}

static bool filewatch_is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool filewatch_is_same(const struct filewatch_identity *a,
                              const struct filewatch_identity *b)
{
    return a->number == b->number && a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           filewatch_is_same_time(&a->mtime, &b->mtime) &&
           filewatch_is_same_time(&a->ctime, &b->ctime);
}

static void filewatch_note_change(struct filewatch *w)
{
    w->figures.changes++;
    loop_timer_set(&w->quiet, w->options.debounce_ms);
}

static void filewatch_look(struct filewatch *w)
{
    struct filewatch_identity now = filewatch_identify(w->path);
    bool differs = !filewatch_is_same(&now, &w->known);
    w->known = now;
    if (differs)
        filewatch_note_change(w);
}

/* ---- by the kernel ---- */

static void filewatch_close(struct filewatch *w)
{
    loop_watch_stop(&w->watch);
    filewatch_forget(&w->places);
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

static void filewatch_tell_way(struct filewatch *w)
{
    if (w->options.told != NULL)
        w->options.told(w->options.arg, w->figures.way, w->fd < 0 ? w->why.text : NULL);
}

static void filewatch_set_look(struct filewatch *w)
{
    w->figures.way = w->options.poll_ms > 0 ? FILEWATCH_BY_LOOKING : FILEWATCH_NOT;
    if (w->options.poll_ms > 0)
        loop_timer_set(&w->look, w->options.poll_ms);
    else
        loop_timer_set_at_us(&w->look, w->again_mono_ms * 1000);
}

/* From now on it is looked at; why: w->why.  What the kernel had not told yet is not known, which counts as a change. */
static void filewatch_lose(struct filewatch *w)
{
    bool was_told = loop_watch_is_started(&w->watch);
    filewatch_close(w);
    w->figures.errors += w->figures.way == FILEWATCH_BY_KERNEL;
    w->again_mono_ms = clock_mono_ms() + w->options.again_ms;
    filewatch_set_look(w);
    if (!was_told)
        return;
    w->known = filewatch_identify(w->path);
    filewatch_note_change(w);
}

/* The kind of an event: no matter, of the content, or of the way to it. */
enum filewatch_kind { FILEWATCH_ELSEWHERE, FILEWATCH_CONTENT, FILEWATCH_WAY };

static enum filewatch_kind filewatch_sort(const struct filewatch *w, const struct inotify_event *e)
{
    if ((e->mask & IN_Q_OVERFLOW) != 0)
        return FILEWATCH_WAY;
    for (size_t i = 0; i < w->places.count; i++) {
        const struct filewatch_place *p = &w->places.places[i];
        if (p->wd != e->wd)
            continue;
        bool of_itself = e->len == 0;
        if (of_itself && p->name == NULL)
            return (e->mask & (FILEWATCH_GONE | IN_IGNORED | IN_UNMOUNT)) != 0 ? FILEWATCH_WAY
                                                                               : FILEWATCH_CONTENT;
        if (of_itself || (p->name != NULL && strcmp(p->name, e->name) == 0))
            return FILEWATCH_WAY;
    }
    return FILEWATCH_ELSEWHERE;
}

/* Whether the way has changed. */
static bool filewatch_take_events(struct filewatch *w, const char *bytes, size_t len)
{
    bool way = false;
    for (size_t at = 0; at + sizeof(struct inotify_event) <= len;) {
        const struct inotify_event *e = (const void *)(bytes + at);
        enum filewatch_kind kind = filewatch_sort(w, e);
        w->figures.events++;
        w->figures.overflows += (e->mask & IN_Q_OVERFLOW) != 0;
        if (kind != FILEWATCH_ELSEWHERE)
            filewatch_note_change(w);
        way |= kind == FILEWATCH_WAY;
        at += sizeof(*e) + e->len;
    }
    return way;
}

static void filewatch_on_readable(void *arg)
{
    struct filewatch *w = arg;
    _Alignas(struct inotify_event) char room[FILEWATCH_ROOM];
    bool way = false, ok = true;
    for (int i = 0; i < FILEWATCH_READS; i++) {
        ssize_t n = read(w->fd, room, sizeof(room));
        if (n > 0) {
            way |= filewatch_take_events(w, room, (size_t)n);
            continue;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            ok = err_set_number(&w->why, ERR_OS, errno, "what it tells cannot be read: %s",
                                strerror(errno));
        break;
    }
    if (ok && (!way || filewatch_find_places(w, &w->why)))
        return;
    filewatch_lose(w);
    filewatch_tell_way(w);
}

/* false: w->why says why the kernel does not tell. */
static bool filewatch_ask_kernel(struct filewatch *w)
{
    w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->fd < 0)
        return err_set_number(&w->why, ERR_OS, errno, "inotify: %s",
                              errno == EMFILE ? "fs.inotify.max_user_instances, or the limit of "
                                                "open files, is reached"
                                              : strerror(errno));
    if (!filewatch_find_places(w, &w->why))
        return false;
    loop_watch_start(&w->watch, w->options.loop, w->fd, LOOP_READABLE, filewatch_on_readable, w);
    w->figures.way = FILEWATCH_BY_KERNEL;
    return true;
}

/* ---- timers ---- */

static void filewatch_on_look(void *arg)
{
    struct filewatch *w = arg;
    bool again = false;
    if (clock_mono_ms() >= w->again_mono_ms && !(again = filewatch_ask_kernel(w)))
        filewatch_lose(w);
    if (again || w->options.poll_ms > 0)
        filewatch_look(w);
    if (again)
        filewatch_tell_way(w);
    else
        filewatch_set_look(w);
}

/* What waits in the queue, or is seen only now, is a change too. */
static void filewatch_on_quiet(void *arg)
{
    struct filewatch *w = arg;
    if (w->fd >= 0)
        filewatch_on_readable(w);
    else
        filewatch_look(w);
    if (loop_timer_is_set(&w->quiet))
        return;
    w->figures.reports++;
    w->figures.last_wall_us = clock_wall_us();
    w->options.changed(w->options.arg);
}

/* ---- life ---- */

static char *filewatch_absolute(const char *path)
{
    struct buf full = BUF_INIT;
    char *here = *path == '/' ? NULL : getcwd(NULL, 0);
    if (here != NULL)
        buf_printf(&full, "%s/", here);
    buf_puts(&full, path);
    free(here);
    return buf_take(&full);
}

struct filewatch *filewatch_start(const struct filewatch_options *options)
{
    struct filewatch *w = mem_zalloc(1, sizeof(*w));
    w->options = *options;
    w->path = filewatch_absolute(options->path);
    w->fd = -1;
    loop_timer_init(&w->quiet, options->loop, filewatch_on_quiet, w);
    loop_timer_init(&w->look, options->loop, filewatch_on_look, w);
    w->known = filewatch_identify(w->path);
    bool known_way =
        *w->path == '/' || err_set(&w->why, ERR_OS, "the working directory is not known");
    if (known_way && filewatch_ask_kernel(w))
        return w;
    filewatch_lose(w);
    filewatch_tell_way(w);
    return w;
}

void filewatch_set(struct filewatch *w, int debounce_ms, int poll_ms)
{
    bool differs = poll_ms != w->options.poll_ms;
    w->options.debounce_ms = debounce_ms;
    w->options.poll_ms = poll_ms;
    if (!differs || w->fd >= 0)
        return;
    enum filewatch_way before = w->figures.way;
    filewatch_set_look(w);
    if (w->figures.way != before)
        filewatch_tell_way(w);
}

void filewatch_settle(struct filewatch *w)
{
    loop_timer_cancel(&w->quiet);
}

struct filewatch_figures filewatch_get(const struct filewatch *w)
{
    struct filewatch_figures f = w->figures;
    f.why = w->fd < 0 ? w->why.text : NULL;
    return f;
}

void filewatch_stop(struct filewatch *w)
{
    if (w == NULL)
        return;
    filewatch_close(w);
    loop_timer_cancel(&w->quiet);
    loop_timer_cancel(&w->look);
    free(w->path);
    free(w);
}
