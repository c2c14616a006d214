/* core/filewatch.h - tells when a file has changed, and has been left alone for a while since.
 *
 * Why:     a resident process reads its configuration again when a person has finished writing it, by
 *          whatever operations the editor or the deployment tool has done that.
 * Use:     struct filewatch *w = filewatch_start(&options);
 *          changed():  read the file
 *          filewatch_settle(w);       it was read for another reason: what is pending needs no report
 *          filewatch_stop(w);
 * Threads: the loop's.  The callbacks are called on it, told() also from within filewatch_start().
 * Owns:    its descriptor and a copy of the path.
 * Promise: changed() is called once `debounce_ms` after the last change of the file: of its content, its rights, its
 *          name, its directories, and of every symbolic link on the way to it.  A file or directory that is missing is waited for.
 *          What happens after changed() was called leads to another call.  The queue of the kernel may overflow: that is a
 *          change.  After filewatch_stop() nothing is called.
 *          Where the kernel cannot tell (no room, no right, a file system of another machine) the file is looked at every `poll_ms`,
 *          and from time to time the kernel is asked again.  A file system that is mounted over a directory on the way is not
 *          noticed.
 */
#ifndef SPINE_CORE_FILEWATCH_H
#define SPINE_CORE_FILEWATCH_H

#include "base/compiler.h"
#include "core/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct filewatch;

enum filewatch_way {
    FILEWATCH_BY_KERNEL,  /* inotify */
    FILEWATCH_BY_LOOKING, /* every poll_ms */
    FILEWATCH_NOT,        /* changes are not seen */
};

struct filewatch_options {
    struct loop *loop;
    const char *path;
    int debounce_ms;
    int poll_ms;  /* 0: the file is not looked at */
    int again_ms; /* after which the kernel is asked again */
    void (*changed)(void *arg);
    /* The way has become another one than the kernel's, or the kernel's again; why: NULL, or why not by the kernel. */
    void (*told)(void *arg, enum filewatch_way way, const char *why);
    void *arg;
};

struct filewatch_figures {
    enum filewatch_way way;
    uint64_t events;      /* of the kernel, those of other files too */
    uint64_t changes;     /* events of the file and its way, or differences that were seen */
    uint64_t reports;     /* calls of changed() */
    uint64_t overflows;   /* of the kernel's queue */
    uint64_t errors;      /* the kernel could not be asked */
    int64_t last_wall_us; /* of the last report; 0: none yet */
    const char *why; /* not by the kernel; NULL: by the kernel; lent until the loop's next turn */
};

NODISCARD struct filewatch *filewatch_start(const struct filewatch_options *options);
/* From now on. */
void filewatch_set(struct filewatch *w, int debounce_ms, int poll_ms);
/* What has been seen so far is not reported. */
void filewatch_settle(struct filewatch *w);
struct filewatch_figures filewatch_get(const struct filewatch *w);
void filewatch_stop(struct filewatch *w); /* NULL allowed */

#endif
