/* model/varbind.h - one variable binding of an answer, in words of no library, and its text.
 *
 * Threads: any; pure.  Views are borrowed from the answer that holds them.
 */
#ifndef SPINE_MODEL_VARBIND_H
#define SPINE_MODEL_VARBIND_H

#include "base/buf.h"
#include "model/oid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum varbind_type {
    VARBIND_INTEGER,
    VARBIND_COUNTER32,
    VARBIND_GAUGE32, /* and Unsigned32 */
    VARBIND_TIMETICKS,
    VARBIND_COUNTER64,
    VARBIND_OCTETS, /* OCTET STRING, BITS, NsapAddress */
    VARBIND_IPADDRESS,
    VARBIND_OBJECT_ID,
    VARBIND_NULL,
    VARBIND_OPAQUE,       /* undecoded */
    VARBIND_OPAQUE_FLOAT, /* net-snmp's special Opaque types */
    VARBIND_OPAQUE_DOUBLE,
    VARBIND_OPAQUE_COUNTER64,
    VARBIND_OPAQUE_INT64,
    VARBIND_OPAQUE_UINT64,
    VARBIND_NO_SUCH_OBJECT, /* RFC 3416 section 3 exceptions */
    VARBIND_NO_SUCH_INSTANCE,
    VARBIND_END_OF_MIB_VIEW,
    VARBIND_UNKNOWN, /* a type this program does not know */
};

struct varbind {
    struct oid name;
    enum varbind_type type;
    union {
        int64_t integer; /* INTEGER, OPAQUE_INT64 */
        uint64_t number; /* counters, gauges, ticks, OPAQUE_UINT64 */
        double real;     /* OPAQUE_FLOAT, OPAQUE_DOUBLE */
        struct {
            const uint8_t *data;
            size_t len;
        } octets;       /* OCTETS, IPADDRESS, OPAQUE */
        struct oid oid; /* OBJECT_ID */
    };
};

/* noSuchObject, noSuchInstance, endOfMibView: the agent has no value here. */
bool varbind_is_exception(const struct varbind *vb);

/* The value as text, appended to out, as Cacti expects it before normalising
 * (docs/contract.md 13.9): numbers in decimal, Opaque reals with six decimals, printable octets (net-snmp's
 * test, C locale: every byte isprint or isspace) as they are, other octets as upper-case hex bytes
 * separated by blanks, object identifiers as "iso.3.6...", IpAddress dotted, NULL as "NULL",
 * exceptions as a sentence that can never be taken for a value. A NUL inside octets makes them "not
 * printable". */
void varbind_text(const struct varbind *vb, struct buf *out);

#endif
