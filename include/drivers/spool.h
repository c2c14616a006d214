/* drivers/spool.h - the file that keeps results while the database is away.
 *
 * Why:     what was collected and could not be stored until the end of a cycle is stored by the next
 *          run that reaches the database.
 * Use:     spool_append(&options, rows, count, &kept, &err);
 *          struct spool *s = spool_take(&options, now, &err);
 *          while (ok && (batch = spool_next(s)) != NULL) ok = write(batch);
 *          spool_finish(s, ok, &report);
 * Threads: any; blocking.  An advisory lock on the file keeps threads and processes apart; no
 *          caller waits for it longer than a second.
 * Promise: mode 0600, never through a symbolic link, never larger than its cap.  A file that is not
 *          a spool of this database and poller is refused and left as it is, its mode too.  A torn or damaged end
 *          costs the records in it, never those before, and the next append cuts it off.  Taken rows
 *          stay in the file until spool_finish() is told that they are stored.
 * Errors:  ERR_OS.
 */
#ifndef SPINE_DRIVERS_SPOOL_H
#define SPINE_DRIVERS_SPOOL_H

#include "base/err.h"
#include "model/batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spool_options {
    const char *path;
    int64_t cap_bytes;
    const char *database; /* its name */
    int poller_id;
    int interval_s;
};

struct spool_report {
    size_t rows;          /* given out */
    size_t expired;       /* older than two intervals of the run that wrote them */
    size_t damaged_bytes; /* at the end of the file */
};

struct spool;

/* Append rows; *ret_kept: how many, from the first on, are in the file.  false if not all of them
 * are. */
NODISCARD bool spool_append(const struct spool_options *o, const struct output_row *rows,
                            size_t count, size_t *ret_kept, struct err *err);

/* Can rows be kept there when they must be?  Changes nothing. */
NODISCARD bool spool_check(const struct spool_options *o, struct err *err);

/* NULL: there is nothing to store, or another process is storing it (no error), or the file is
 * refused (*err). */
NODISCARD struct spool *spool_take(const struct spool_options *o, int64_t now_unix_s,
                                   struct err *err);
/* Up to 1,000 rows that are young enough, oldest first; NULL: no more. */
NODISCARD struct batch *spool_next(struct spool *s);
/* `stored`: all rows given out are in the database, the file is emptied. */
void spool_finish(struct spool *s, bool stored, struct spool_report *ret);

#endif
