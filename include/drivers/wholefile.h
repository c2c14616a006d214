/* drivers/wholefile.h - a file that is replaced as a whole: its readers see the old one or the new one.
 *
 * Why:     node_exporter, a browser or a script may read while a cycle writes.
 * Use:     struct wholefile *f = wholefile_begin(path, 0644, &err);
 *          wholefile_put(f, text, len);  ...
 *          ok = wholefile_end(f, &err);                     or wholefile_abandon(f)
 *          ok = wholefile_read(path, most, &text, &err);
 * Threads: one at a time per file.
 * Promise: what is written goes to PATH.PID.N beside it, which takes the name at the end and is removed if
 *          anything fails; the first failure is kept and reported there.  A symbolic link stays, what it names is
 *          replaced.  Devices, FIFOs and directories are refused.
 */
#ifndef SPINE_DRIVERS_WHOLEFILE_H
#define SPINE_DRIVERS_WHOLEFILE_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct wholefile;

/* mode: as it is, whatever the umask. */
NODISCARD struct wholefile *wholefile_begin(const char *path, mode_t mode, struct err *err);
void wholefile_put(struct wholefile *f, const void *bytes, size_t len);
/* Frees it, like the next one. */
NODISCARD bool wholefile_end(struct wholefile *f, struct err *err);
void wholefile_abandon(struct wholefile *f); /* NULL allowed */

/* All of it at once. */
NODISCARD bool wholefile_write(const char *path, mode_t mode, const void *bytes, size_t len,
                               struct err *err);
/* Appends what is there: nothing if there is no such file.  Larger ones and symbolic links are refused. */
NODISCARD bool wholefile_read(const char *path, size_t most, struct buf *out, struct err *err);

#endif
