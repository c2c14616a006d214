/* base/jsonout.h - writes JSON, nothing more: one line at a time, into a buffer.
 *
 * Use:     struct buf b = BUF_INIT;
 *          jsonout_open(&b, NULL, '{');
 *          jsonout_int(&b, "id", 7);  jsonout_text(&b, "name", "x");
 *          jsonout_close(&b, '}');                    {"id":7,"name":"x"}
 *          In an array every key is NULL.
 * Threads: any, one at a time per buffer.
 * Promise: what comes out is valid JSON (RFC 8259) in UTF-8 without a line feed, whatever bytes go
 *          in, and nothing is lost: text that is not UTF-8, or holds a NUL, becomes {"hex":"00ff"};
 *          a number above 2^63-1 a string of digits; a real that is not finite {"bits":"7ff0..."}.
 *          Reals are exact and independent of the locale.
 */
#ifndef SPINE_BASE_JSONOUT_H
#define SPINE_BASE_JSONOUT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void jsonout_open(struct buf *out, const char *key, char bracket); /* '{' or '[' */
void jsonout_close(struct buf *out, char bracket);
void jsonout_null(struct buf *out, const char *key);
void jsonout_bool(struct buf *out, const char *key, bool value);
void jsonout_int(struct buf *out, const char *key, int64_t value);
void jsonout_unsigned(struct buf *out, const char *key, uint64_t value);
void jsonout_real(struct buf *out, const char *key, double value);
void jsonout_text(struct buf *out, const char *key, const char *text); /* NULL becomes null */
void jsonout_bytes(struct buf *out, const char *key, const void *bytes, size_t len);
/* A value that is JSON already. */
void jsonout_raw(struct buf *out, const char *key, const char *json, size_t len);

#endif
