/* base/utf8.h - bytes that may be UTF-8 (RFC 3629), seen as characters.
 *
 * Why:     texts of devices, scripts and the database hold any bytes; what is a character is decided
 *          here once.  What a control character or a blank means is the caller's rule.
 * Threads: any; pure.
 */
#ifndef SPINE_BASE_UTF8_H
#define SPINE_BASE_UTF8_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* The length of the character at the start of `len` bytes (1 for each of ASCII, NUL too); 0: there
 * is none.  Overlong forms, surrogates and what is beyond U+10FFFF are none. */
size_t utf8_length(const void *bytes, size_t len);

bool utf8_is_valid(const void *bytes, size_t len);

/* Where a text is to be cut so that at most `at` bytes are left and no half of a character; at is
 * not beyond the text's end. */
size_t utf8_cut(const char *text, size_t at);

/* A character of ISO 8859-1, as UTF-8. */
void utf8_put_latin1(struct buf *out, unsigned char c);

#endif
