/* model/checkpoint.h - which devices of an interrupted cycle are done, as text.
 *
 * Why:     a cycle that was stopped can be resumed within its interval; then only the others are polled.
 *          The text is made and judged here, without a file.
 * Format:  lines, in this order; the ids ascend, neighbours are a range:
 *            spine-checkpoint 1
 *            database NAME
 *            poller ID
 *            start SECONDS            of the cycle, Unix time
 *            interval SECONDS
 *            devices FIRST-LAST       that it was to poll, or: devices all
 *            done 0 3-17 20           may be empty
 *            sum HEX                  CRC-32 of all lines before
 * Use:     checkpoint_put(&out, &c);
 *          if (checkpoint_get(text, len, &c)) why = checkpoint_objection(&c, &wanted, now);
 *          checkpoint_has(&c, id);  checkpoint_done(&c);
 * Threads: any; pure.
 * Owns:    what is got owns its name and its ids.
 * Promise: what was changed, cut or made by something else is not got.
 */
#ifndef SPINE_MODEL_CHECKPOINT_H
#define SPINE_MODEL_CHECKPOINT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHECKPOINT_BYTES_MAX = 1024 * 1024, /* longer ones are neither written nor read */
    CHECKPOINT_DEVICES_MAX = 1000 * 1000,
};

struct checkpoint {
    const char *database;
    int poller_id;
    int64_t start_s; /* Unix time */
    int interval_s;
    bool has_range; /* false: all devices of the poller */
    uint32_t first, last;
    uint32_t *ids; /* done; ascending, each once */
    size_t count, capacity;
    char *text; /* of one that was got: where the name lies */
};

void checkpoint_put(struct buf *out, const struct checkpoint *c);
/* false: it is none, or damaged, and *ret is empty. */
NODISCARD bool checkpoint_get(const char *text, size_t len, struct checkpoint *ret);
void checkpoint_done(struct checkpoint *c); /* of one that was got; a zeroed one is allowed */
/* Why a cycle like `wanted`, whose start and ids do not count, cannot go on with it at that time; NULL: it can. */
const char *checkpoint_objection(const struct checkpoint *c, const struct checkpoint *wanted,
                                 int64_t now_s);
bool checkpoint_has(const struct checkpoint *c, uint32_t id);

#endif
