/* app/hosting.h - one cycle in a daemon, on a thread and in a scope of its own.
 *
 * Why:     a cycle waits for its database, its devices and its files; the daemon does not.
 * Use:     struct hosting *h = hosting_start(&options, &err);
 *          hosting_tell(h, SIGTERM);
 *          options.over(arg, &end);      then hosting_free(h)
 * Threads: the daemon's, which has the loop; over(), until() and lost() are called on it.
 * Owns:    the request, and the descriptors that came with it.
 * Promise: over() comes once, when the thread has ended.  lost() comes before that, or instead of it,
 *          when the cycle does not end in its time.
 */
#ifndef SPINE_APP_HOSTING_H
#define SPINE_APP_HOSTING_H

#include "app/app.h"
#include "app/conffile.h"
#include "app/handover.h"
#include "core/loop.h"
#include "engine/services.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct hosting;

/* What a client asks for; made by hosting_read_request(). */
struct hosting_request {
    struct handover message;
    int fds[HANDOVER_FDS];
    int poller, pid;
    int64_t started_mono_us;
    const char *version, *file, *digest, *directory;
    mode_t mask;                  /* umask(2) */
    struct conffile_image *image; /* what the file held; NULL: it is read */
    char **argv;                  /* NULL-terminated, like the next */
    const char *const *environment;
};

/* Takes the message and the descriptors, if it is a request to poll. */
NODISCARD bool hosting_read_request(struct handover *message, int fds[HANDOVER_FDS],
                                    struct hosting_request *ret);
void hosting_request_done(struct hosting_request *r);

struct hosting_options {
    struct loop *loop;
    struct services *services;
    void (*until)(void *arg, int64_t mono_ms);
    void (*over)(void *arg, const struct app_end *end);
    void (*lost)(void *arg, const char *line);
    void *arg;
};

/* Takes the request, whether it succeeds or not. */
NODISCARD struct hosting *hosting_start(const struct hosting_options *options,
                                        struct hosting_request *request, struct err *err);
void hosting_tell(struct hosting *h, int signo);
/* After over().  false: a thread of the cycle hangs in a call and keeps what it uses. */
bool hosting_free(struct hosting *h);
/* After lost(): nothing of it is told from then on, except that it has ended after all and is freed. */
void hosting_abandon(struct hosting *h, void (*returned)(void *arg), void *arg);

#endif
