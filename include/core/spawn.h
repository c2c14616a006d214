/* core/spawn.h - start one process, safely and cheaply, from a program with threads.
 *
 * Why:     fork() copies page tables (2 ms at 200 MB) and runs our code in a half-copied process;
 * posix_spawn() can neither set limits nor tie the child's life to ours.  So: clone() with the
 * parent's memory and the parent held until exec (as vfork and posix_spawn do), and nothing but
 * system calls in between.
 * Use:     char **env = spawn_env_new(set, drop);           once, before threads change it
 *          struct spawn_order order = {.path = "/bin/sh", .argv = argv, .envp = env};
 *          switch (spawn_start(&order, &child, &err)) { ... }
 *          read child.from to its end; waitpid(child.pid); close both; spawn_env_free(env);
 * Threads: any.  With die_with_parent the *thread* that calls must live until the child has ended:
 *          the kernel takes the end of that thread for the end of the parent (prctl(2)).
 * Owns:    the caller gets the descriptors and the duty to reap.
 * Promise: the process has its own process group; descriptors 0 (/dev/null or a pipe), 1 (a pipe),
 * 2 (ours, /dev/null if we have none) and no other; every signal at its default, none blocked; the
 * given limits, never above what the program has.  Its descriptors are close-on-exec from
 * birth, never 0, 1 or 2; `from` and `to` are non-blocking.  Whether exec worked is known on
 * return.  Source:  docs/contract.md 14.2; docs/children.md.
 */
#ifndef SPINE_CORE_SPAWN_H
#define SPINE_CORE_SPAWN_H

#include "base/compiler.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum spawn_result {
    SPAWN_STARTED,
    SPAWN_NO_DESCRIPTOR, /* EMFILE, ENFILE: wait until one is free */
    SPAWN_NO_PROCESS,    /* EAGAIN, ENOMEM: try again a little later */
    SPAWN_REFUSED,       /* will not get better: err->number is E2BIG, ENOENT, EACCES, ENOEXEC... */
};

/* SPAWN_KEEP leaves ours as it is. */
#define SPAWN_KEEP (-1)

struct spawn_limits {
    int64_t cpu_s;      /* RLIMIT_CPU: SIGXCPU, a second later SIGKILL */
    int64_t files;      /* RLIMIT_NOFILE */
    int64_t core_bytes; /* RLIMIT_CORE */
    int oom_score_adj;  /* -1000 to 1000, added to nothing; raising needs no right */
};

#define SPAWN_LIMITS_KEEP                                                                          \
    {                                                                                              \
        SPAWN_KEEP, SPAWN_KEEP, SPAWN_KEEP, SPAWN_KEEP                                             \
    }

struct spawn_order {
    const char *path; /* executed as it is: no search, no shell */
    char *const *argv;
    char *const *envp;
    const char *directory; /* that it starts in; NULL: ours */
    bool talk;             /* descriptor 0 is a pipe from `to`, else /dev/null */
    bool die_with_parent;  /* SIGKILL when the calling thread ends */
    bool no_pidfd;         /* as on a kernel without */
    uint64_t mark;         /* core/warden's, 0: none */
    struct spawn_limits limits;
};

struct spawned {
    pid_t pid; /* also the process group */
    int pidfd; /* readable when the process has ended; -1: the kernel has none (before 5.2) */
    int from;  /* its standard output */
    int to;    /* its standard input; -1 without `talk` */
};

NODISCARD enum spawn_result spawn_start(const struct spawn_order *order, struct spawned *ret,
                                        struct err *err);

/* A copy of the environment `base` (NULL: ours) with the "NAME=value" entries of `set` (NULL-terminated, may be NULL) in
 * place of what was there and without the names of `drop` (likewise). */
NODISCARD char **spawn_env_new(const char *const *base, const char *const *set,
                               const char *const *drop);
void spawn_env_free(char **env); /* NULL allowed */

#endif
