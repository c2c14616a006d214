/* model/octets.h - is an OCTET STRING text, and in which character set?
 *
 * Why:     agents send numbers and names as texts that end in padding or hold characters beyond ASCII;
 *          such a text must not be read as a binary number, nor shown as pairs of hex digits.
 * Threads: any; pure; independent of the locale.
 */
#ifndef SPINE_MODEL_OCTETS_H
#define SPINE_MODEL_OCTETS_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

enum octets_kind {
    OCTETS_BINARY, /* cannot be text */
    OCTETS_ASCII,
    OCTETS_UTF8,   /* with characters beyond ASCII */
    OCTETS_LATIN1, /* the same in ISO 8859-1, beside characters of ASCII */
};

/* What data[0..len) is once NUL and FF octets at its end, which pad a text, are cut; *ret_len is the
 * length without them.  Text has no control characters but white space. */
enum octets_kind octets_kind(const uint8_t *data, size_t len, size_t *ret_len);

/* How many octets are printable ASCII, and how many are beyond ASCII. */
void octets_count(const uint8_t *data, size_t len, size_t *ret_ascii, size_t *ret_beyond);

/* Appends data[0..len), which is text of this kind, as UTF-8. */
void octets_put_text(const uint8_t *data, size_t len, enum octets_kind kind, struct buf *out);

#endif
