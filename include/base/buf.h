/* base/buf.h - a growable byte buffer that is always NUL-terminated.
 *
 * Use:     struct buf b = BUF_INIT;  buf_printf(&b, "%d", 1);  puts(b.data);  buf_done(&b);
 * Threads: any, one at a time per buffer.
 * Owns:    its memory; buf_take() gives it away.  `data` is never NULL after the first append;
 * before that buf_str() gives "".
 */
#ifndef SPINE_BASE_BUF_H
#define SPINE_BASE_BUF_H

#include "base/compiler.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data;
    size_t len; /* bytes in use, without the terminating NUL */
    size_t cap;
};

#define BUF_INIT                                                                                   \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

void buf_done(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory */
void buf_reserve(struct buf *b, size_t extra);
void buf_append(struct buf *b, const void *bytes, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_put_u64(struct buf *b, uint64_t v); /* decimal; several times as fast as buf_printf() */
void buf_put_i64(struct buf *b, int64_t v);
void buf_truncate(struct buf *b, size_t len);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF(2, 0);
const char *buf_str(const struct buf *b);
NODISCARD char *buf_take(struct buf *b); /* free() it; b is empty afterwards */

#endif
