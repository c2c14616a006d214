/* What the tests of core/filewatch have in common: a directory, a file in it, its watch, and who waits for that. */
#ifndef SPINE_TESTS_FILEWATCH_BENCH_H
#define SPINE_TESTS_FILEWATCH_BENCH_H

#include "../../support/everyloop.h"

#include "base/compiler.h"
#include "core/filewatch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONG_MS = 3600 * 1000, FAR_MS = 60000 };

static const char *top; /* the directory of a file system, "/tmp" */

struct bench {
    struct loop *loop;
    struct filewatch *watch;
    struct loop_timer stopper; /* turns a hang into a failure */
    bool too_late;
    int reports, told;
    enum filewatch_way way;
    char why[200];
    char home[64], path[128];
};

/* ---- files ---- */

static inline const char *in(const char *directory, const char *name)
{
    static char full[4][256];
    static int next;
    next = (next + 1) % 4;
    snprintf(full[next], sizeof(full[0]), "%s/%s", directory, name);
    return full[next];
}

static inline void put_as(const char *path, int flags, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static inline void put(const char *path, const char *text)
{
    put_as(path, O_TRUNC, text);
}

static inline void append(const char *path)
{
    put_as(path, O_APPEND, "more\n");
}

static inline void make_directory(const char *path)
{
    assert_int_equal(mkdir(path, 0700), 0);
}

static inline void move(const char *from, const char *to)
{
    assert_int_equal(rename(from, to), 0);
}

/* Another link takes the place of one that is there, as deployment tools do it. */
static inline void switch_link(const char *target, const char *link)
{
    char beside[300];
    snprintf(beside, sizeof(beside), "%s.new", link);
    assert_int_equal(symlink(target, beside), 0);
    move(beside, link);
}

static inline void remove_all(const char *directory)
{
    char command[100];
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    FILE *done = popen(command, "r");
    assert_non_null(done);
    pclose(done);
}

/* ---- the bench ---- */

static inline void on_changed(void *arg)
{
    struct bench *b = arg;
    b->reports++;
}

static inline void on_told(void *arg, enum filewatch_way way, const char *why)
{
    struct bench *b = arg;
    b->told++;
    b->way = way;
    snprintf(b->why, sizeof(b->why), "%s", why == NULL ? "" : why);
}

static inline void on_too_late(void *arg)
{
    struct bench *b = arg;
    b->too_late = true;
}

static inline void begin(struct bench *b, void **state)
{
    *b = (struct bench){.loop = loop_new(everyloop_kind_of(state), NULL)};
    assert_non_null(b->loop);
    snprintf(b->home, sizeof(b->home), "%s/filewatch.XXXXXX", top);
    assert_non_null(mkdtemp(b->home));
    snprintf(b->path, sizeof(b->path), "%s", in(b->home, "file"));
    loop_timer_init(&b->stopper, b->loop, on_too_late, b);
    loop_timer_set(&b->stopper, FAR_MS);
}

static inline void start(struct bench *b, int debounce_ms)
{
    const struct filewatch_options options = {.loop = b->loop,
                                              .path = b->path,
                                              .debounce_ms = debounce_ms,
                                              .poll_ms = 1,
                                              .again_ms = LONG_MS,
                                              .changed = on_changed,
                                              .told = on_told,
                                              .arg = b};
    b->watch = filewatch_start(&options);
}

static inline void end(struct bench *b)
{
    filewatch_stop(b->watch);
    loop_timer_cancel(&b->stopper);
    loop_free(b->loop);
    remove_all(b->home);
}

static inline void wait_for_reports(struct bench *b, int count)
{
    while (b->reports < count && !b->too_late)
        loop_turn(b->loop);
    assert_false(b->too_late);
}

static inline void wait_for_changes(struct bench *b, uint64_t count)
{
    while (filewatch_get(b->watch).changes < count && !b->too_late)
        loop_turn(b->loop);
    assert_false(b->too_late);
}

/* What happens from here on is reported, and so is what happens to the file as it is then. */
static inline void assert_seen(struct bench *b, const char *what)
{
    print_message("# %s\n", what);
    wait_for_reports(b, b->reports + 1);
    if (access(b->path, F_OK) != 0)
        return;
    for (int i = 0; i < 3; i++) /* nothing is left of the first change */
        loop_turn_now(b->loop);
    append(b->path);
    wait_for_reports(b, b->reports + 1);
}

/* No descriptor is left for the kernel's way. */
static inline rlim_t refuse_descriptors(void)
{
    struct rlimit limit;
    int next = dup(STDERR_FILENO);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static inline void allow_descriptors(rlim_t count)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static inline void start_without_the_kernel(struct bench *b, int debounce_ms)
{
    rlim_t before = refuse_descriptors();
    start(b, debounce_ms);
    allow_descriptors(before);
    assert_int_equal(filewatch_get(b->watch).way, FILEWATCH_BY_LOOKING);
}

#endif
