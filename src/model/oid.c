#include "config.h"

#include "model/oid.h"

#include <string.h>

/* What net-snmp calls the three arcs at the top when no MIB is loaded. */
static const char *const root_names[] = {"ccitt", "iso", "joint-iso-ccitt"};

static bool oid_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One sub-identifier; returns what follows it, or NULL. */
static const char *parse_sub(const char *p, uint32_t *ret)
{
    if (!oid_is_digit(*p))
        return NULL;
    uint64_t n = 0;
    for (; oid_is_digit(*p); p++) {
        n = n * 10 + (uint64_t)(*p - '0');
        if (n > UINT32_MAX)
            return NULL;
    }
    *ret = (uint32_t)n;
    return p;
}

static bool encodable(const uint32_t *sub, size_t len)
{
    return len >= 2 && sub[0] <= 2 && (sub[0] == 2 || sub[1] <= 39);
}

size_t oid_parse(const char *text, uint32_t sub[OID_MAX_LEN])
{
    uint32_t found[OID_MAX_LEN];
    size_t len = 0;
    const char *p = text;
    if (strncmp(p, "iso.", 4) == 0) {
        found[len++] = 1;
        p += 4;
    } else if (*p == '.') {
        p++;
    }
    while ((p = parse_sub(p, &found[len])) != NULL) {
        len++;
        if (*p == '\0')
            break;
        if (*p++ != '.' || len == OID_MAX_LEN)
            return 0;
    }
    if (p == NULL || !encodable(found, len))
        return 0;
    memcpy(sub, found, len * sizeof(found[0]));
    return len;
}

static void print_from(struct oid oid, size_t first, struct buf *out)
{
    for (size_t i = first; i < oid.len; i++)
        buf_printf(out, ".%lu", (unsigned long)oid.sub[i]);
}

void oid_print_iso(struct oid oid, struct buf *out)
{
    if (oid.len == 0 || oid.sub[0] >= ARRAY_LEN(root_names)) {
        print_from(oid, 0, out);
        return;
    }
    buf_puts(out, root_names[oid.sub[0]]);
    print_from(oid, 1, out);
}

void oid_print(struct oid oid, struct buf *out)
{
    print_from(oid, 0, out);
}

int oid_compare(struct oid a, struct oid b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < common; i++) {
        if (a.sub[i] != b.sub[i])
            return a.sub[i] < b.sub[i] ? -1 : 1;
    }
    return (a.len > b.len) - (a.len < b.len);
}

bool oid_equal(struct oid a, struct oid b)
{
    return a.len == b.len && oid_compare(a, b) == 0;
}

bool oid_within(struct oid subtree, struct oid oid)
{
    return oid.len >= subtree.len && oid_equal(subtree, (struct oid){oid.sub, subtree.len});
}
