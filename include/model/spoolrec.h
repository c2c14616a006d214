/* model/spoolrec.h - results as the bytes of a spool file.
 *
 * Why:     what the database could not take is kept in a file until the next run; the bytes are made
 *          and judged here, without a file, so that every kind of damage can be tested and fuzzed.
 * Format:  all numbers little-endian.  A file is a header and then records.
 *            header  "SPINESP1" | u32 size of the rest | u32 CRC-32 of the rest | rest:
 *                    i32 poller, u32 interval in seconds, u16 length + name of the database
 *            record  u32 size of the row | u32 CRC-32 of the row | row:
 *                    u32 local_data_id, i64 time, u16 length + rrd_name, u32 length + output
 * Use:     spoolrec_put_header(&out, &header);  spoolrec_put_row(&out, &row);
 *          spoolrec_get_header(data, len, &header);  spoolrec_get_row(data, len, &row);
 * Threads: any; pure.
 * Owns:    what is got points into `data`, except texts, which are not NUL-terminated there: the
 *          caller copies them (batch_add_row() makes them from `name_len` and `output_len`).
 * Promise: getting never reads outside data[0..len), whatever is in it.
 */
#ifndef SPINE_MODEL_SPOOLREC_H
#define SPINE_MODEL_SPOOLREC_H

#include "base/buf.h"
#include "model/batch.h"

#include <stddef.h>
#include <stdint.h>

/* No header or record is larger. */
enum { SPOOLREC_SIZE_MAX = 1024 * 1024 };

struct spoolrec_header {
    const char *database;
    size_t database_len;
    int32_t poller_id;
    uint32_t interval_s;
};

struct spoolrec_row {
    uint32_t local_data_id;
    int64_t time;
    const char *name, *output;
    size_t name_len, output_len;
};

/* What data[0..len) begins with. */
enum spoolrec_result {
    SPOOLREC_OK,
    SPOOLREC_MORE,    /* the beginning of something good, cut short; at the end of a file: torn */
    SPOOLREC_DAMAGED, /* nothing that we have written */
};

uint32_t spoolrec_crc32(const void *data, size_t len); /* IEEE 802.3 */

void spoolrec_put_header(struct buf *out, const struct spoolrec_header *header);
/* Returns the bytes appended; 0: the row is too large for a record. */
size_t spoolrec_put_row(struct buf *out, const struct output_row *row);

/* *ret_size: the bytes of it, when OK. */
enum spoolrec_result spoolrec_get_header(const char *data, size_t len, struct spoolrec_header *ret,
                                         size_t *ret_size);
enum spoolrec_result spoolrec_get_row(const char *data, size_t len, struct spoolrec_row *ret,
                                      size_t *ret_size);

#endif
