/* model/value.h - from raw output to the text that Cacti stores: one rule for all three item kinds.
 *
 * Threads: any; pure; independent of the locale.
 * Source:  contract 13.1-13.4, column "Target".
 */
#ifndef SPINE_MODEL_VALUE_H
#define SPINE_MODEL_VALUE_H

#include "base/buf.h"
#include "base/compiler.h"
#include "model/varbind.h"

#include <stdbool.h>
#include <stddef.h>

/* Normalise raw[0..len) (may hold any byte; a NUL ends it) and append the result to out.
 * true:  a value was appended: a finite decimal number, name:value pairs, or the decimal form of a
 * hex value. false: "U" was appended: unknown. */
bool value_normalise(const char *raw, size_t len, struct buf *out);

/* The same for an SNMP value.  Octets that are not printable are decoded from the raw octets: one
 * to eight bytes are an unsigned big-endian number (contract Q32, Q33), more are unknown. */
bool value_from_varbind(const struct varbind *vb, struct buf *out);

/* Appends raw[0..len) up to a NUL, trimmed at both ends (contract 13.1). */
void value_trim(const char *raw, size_t len, struct buf *out);

/* Exactly "U". */
bool value_is_unknown(const char *text);

/* Holds a ':' : exempt from the spike kill (contract 13.5). */
bool value_is_pairs(const char *text);

#endif
