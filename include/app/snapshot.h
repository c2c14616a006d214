/* app/snapshot.h - the last good reading of a daemon's configuration file.
 *
 * Why:     a cycle runs with exactly the bytes that its client has read, whatever is written meanwhile; and
 *          the daemon's own keys follow the file.
 * Use:     struct snapshot *s = snapshot_start(&options);
 *          image = snapshot_take(s, digest);     the bytes for a cycle; conffile_image_unref() them
 *          snapshot_stop(s);                           at the begin of the daemon's end: nothing is read from then on
 *          snapshot_free(s);
 * Threads: the loop's.  An image is constant and may be used and given back by any thread.
 * Owns:    the configuration that was read last, which it lends.
 * Promise: a file that cannot be used changes nothing.  Why not is said once, and once that it is in order again.  A reading
 *          names the keys of the file that have another value, in one line.
 */
#ifndef SPINE_APP_SNAPSHOT_H
#define SPINE_APP_SNAPSHOT_H

#include "app/conffile.h"
#include "base/compiler.h"
#include "base/err.h"
#include "core/filewatch.h"
#include "core/loop.h"
#include "engine/config.h"

#include <stdbool.h>
#include <stdint.h>

struct snapshot;

struct snapshot_options {
    struct loop *loop;
    struct config *config; /* as the daemon has read it at its start; lent */
    int argc;              /* its arguments, which count for each reading */
    char *const *argv;
    /* Whether it may be used; if so it lives until the next one is, or snapshot_free(). */
    bool (*adopt)(void *arg, const struct config *config, struct err *err);
    void *arg;
};

struct snapshot_figures {
    struct filewatch_figures watch;
    uint64_t readings;           /* of the file, after the first one */
    uint64_t adopted;            /* of these: other bytes, and in order */
    uint64_t refused;            /* of these: not in order */
    int64_t last_adopted_wall_s; /* 0: none yet */
    const char
        *trouble; /* the file as it is now is not used, because ...; NULL: it is; lent, as below */
};

NODISCARD struct snapshot *snapshot_start(const struct snapshot_options *options);
/* The file that the daemon was started with has this name, as realpath(3) has it. */
bool snapshot_is_file(struct snapshot *s, const char *real);
/* A reference to the bytes with this digest; if these are not the last ones, the file is read again.  NULL: nor
 * is it those now. */
NODISCARD struct conffile_image *snapshot_take(struct snapshot *s, const char *digest);
struct snapshot_figures snapshot_get(const struct snapshot *s);
void snapshot_stop(struct snapshot *s);
void snapshot_free(struct snapshot *s); /* NULL allowed, as above */

#endif
