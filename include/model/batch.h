/* model/batch.h - rows on their way to the database.
 *
 * Why:     devices finish one by one, the database wants a thousand rows at once; between them
 *          stands a batch that owns its bytes and can be handed to another thread as a whole.
 * Threads: one at a time; ownership moves with the pointer.
 * Owns:    copies of everything added.
 * Source:  poller_output: docs/contract.md 17; host: 8.6 and 6.8.
 */
#ifndef SPINE_MODEL_BATCH_H
#define SPINE_MODEL_BATCH_H

#include "base/arena.h"
#include "model/device.h"

#include <stddef.h>
#include <stdint.h>

struct output_row {
    uint32_t local_data_id;
    const char *rrd_name;
    int64_t time; /* Unix seconds, one value for all rows of a device (docs/contract.md 5.7) */
    const char *output;
    size_t output_len;
};

struct host_row {
    uint32_t device_id;
    struct device_status status;
    bool has_status;
    const struct system_info *system; /* NULL = not collected */
    bool has_polling_time;
    double polling_time; /* seconds */
};

/* A data query to be re-indexed by Cacti: a row of poller_command (docs/contract.md 11.6). */
struct recache_row {
    uint32_t device_id;
    uint32_t data_query_id;
};

/* The new assert_value of a row of poller_reindex. */
struct assert_row {
    uint32_t device_id;
    uint32_t data_query_id;
    const char *arg1;
    const char *value;
};

struct batch {
    struct arena text;
    size_t bytes; /* of all texts */
    struct output_row *rows;
    size_t row_count, row_cap;
    struct host_row *hosts;
    size_t host_count, host_cap;
    struct recache_row *recaches;
    size_t recache_count, recache_cap;
    struct assert_row *asserts;
    size_t assert_count, assert_cap;
};

NODISCARD struct batch *batch_new(void);
void batch_free(struct batch *b); /* NULL allowed */
void batch_add_row(struct batch *b, const struct output_row *row);
void batch_add_host(struct batch *b, const struct host_row *host);
void batch_add_recache(struct batch *b, const struct recache_row *recache);
void batch_add_assert(struct batch *b, const struct assert_row *assertion);
/* Move all of `from` to the end of `to`; `from` is freed. */
void batch_merge(struct batch *to, struct batch *from);

#endif
