/* model/oid.h - object identifiers as numbers.
 *
 * Threads: any; pure.  A struct oid is a borrowed view: its maker keeps the numbers.
 */
#ifndef SPINE_MODEL_OID_H
#define SPINE_MODEL_OID_H

#include "base/buf.h"
#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OID_MAX_LEN 128 /* RFC 3416 section 4.1: at most 128 sub-identifiers */

struct oid {
    const uint32_t *sub;
    size_t len; /* 0 = none */
};

/* Text to numbers: ".1.3.6", "1.3.6" or "iso.3.6" (docs/contract.md 13.7), surrounding white space
 * not accepted.  At least two sub-identifiers, each at most 2^32-1, the first at most 2, the second at
 * most 39 unless the first is 2 (X.690 8.19.4).  Returns the number of sub-identifiers written to
 * sub[OID_MAX_LEN], 0 if unparsable. */
size_t oid_parse(const char *text, uint32_t sub[OID_MAX_LEN]);

/* As Cacti shows them: "iso.3.6.1" (docs/contract.md 13.9), or ".1.3.6.1". */
void oid_print_iso(struct oid oid, struct buf *out);
void oid_print(struct oid oid, struct buf *out);

int oid_compare(struct oid a, struct oid b); /* lexicographic, as agents order them */
bool oid_equal(struct oid a, struct oid b);
bool oid_within(struct oid subtree, struct oid oid); /* oid is in the subtree (or its root) */

#endif
