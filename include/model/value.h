/* model/value.h - from raw output to the text that Cacti stores: one rule for all three item kinds.
 *
 * Threads: any; pure; independent of the locale.
 * Source:  docs/contract.md 16.
 */
#ifndef SPINE_MODEL_VALUE_H
#define SPINE_MODEL_VALUE_H

#include "base/buf.h"
#include "base/compiler.h"
#include "model/varbind.h"

#include <stdbool.h>
#include <stddef.h>

/* Characters of poller_output.output and poller_output_boost.output in Cacti's schema. */
#define VALUE_COLUMN_CHARS 512

/* Normalise raw[0..len) (may hold any byte; a NUL ends it) and append the result to out.
 * true:  a value was appended: a finite decimal number (that of a hex value included), or fields of a
 * name of letters, digits, '_', '-' and '.', a separator (':' or '!'), and a number or U, with single
 * blanks between them. false: "U" was appended: unknown.  docs/values.md is the table of it. */
bool value_normalise(const char *raw, size_t len, struct buf *out);

/* The same for the first `len` bytes of a longer text: half a number or half a field at the end is
 * left out. */
bool value_normalise_cut(const char *raw, size_t len, struct buf *out);

/* How many bytes of a value, text[0..len), a column of `chars` characters takes without half a
 * number in it: whole fields from the front; 0 if not even one fits.  *ret_left_out fields are left
 * out. */
size_t value_fit(const char *text, size_t len, size_t chars, size_t *ret_left_out);

/* The number of fields of a value; 1 for a number. */
size_t value_fields(const char *text, size_t len);

/* The same as value_normalise() for an SNMP value.  Octets that are text in ASCII, UTF-8 or ISO 8859-1
 * once NUL and FF octets at their end are cut are that text; of others one to eight are an unsigned
 * big-endian number, more are unknown. */
bool value_from_varbind(const struct varbind *vb, struct buf *out);

/* Appends raw[0..len) up to a NUL, trimmed at both ends (docs/contract.md 16.1). */
void value_trim(const char *raw, size_t len, struct buf *out);

/* Holds a ':' : exempt from the spike kill (docs/contract.md 11.8). */
bool value_is_pairs(const char *text);

#endif
