#include "ber.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ber_take(struct ber_in *in, uint8_t *tag, struct ber_in *content)
{
    size_t left = (size_t)(in->end - in->at);
    if (left < 2)
        return false;
    *tag = in->at[0];
    size_t len = in->at[1];
    size_t used = 2;
    if (len >= 0x80) {
        size_t octets = len & 0x7f;
        if (octets == 0 || octets > 4 || left < 2 + octets)
            return false;
        len = 0;
        for (size_t i = 0; i < octets; i++)
            len = len << 8 | in->at[used++];
    }
    if (len > left - used)
        return false;
    content->at = in->at + used;
    content->end = content->at + len;
    in->at = content->end;
    return true;
}

bool ber_take_int(struct ber_in *in, int64_t *value)
{
    uint8_t tag;
    struct ber_in c;
    if (!ber_take(in, &tag, &c) || tag != BER_INTEGER || c.at == c.end || c.end - c.at > 8)
        return false;
    uint64_t v = *c.at & 0x80 ? UINT64_MAX : 0;
    while (c.at < c.end)
        v = v << 8 | *c.at++;
    *value = (int64_t)v;
    return true;
}

static bool take_int32(struct ber_in *in, int32_t *value)
{
    int64_t v;
    if (!ber_take_int(in, &v) || v < INT32_MIN || v > INT32_MAX)
        return false;
    *value = (int32_t)v;
    return true;
}

static bool take_tagged(struct ber_in *in, uint8_t want, struct ber_in *content)
{
    uint8_t tag;
    return ber_take(in, &tag, content) && tag == want;
}

void ber_put_raw(struct ber_out *out, const void *data, size_t len)
{
    if (out->full || len > out->cap - out->len) {
        out->full = true;
        return;
    }
    if (len > 0)
        memcpy(out->buf + out->len, data, len);
    out->len += len;
}

size_t ber_head_size(const struct ber_out *out, size_t len)
{
    if (out->long_form || len > 0xff)
        return 4;
    return len < 0x80 ? 2 : 3;
}

void ber_put_head(struct ber_out *out, uint8_t tag, size_t len)
{
    size_t size = ber_head_size(out, len);
    uint8_t hi = (uint8_t)(len >> 8);
    uint8_t lo = (uint8_t)len;
    if (len > 0xffff)
        out->full = true;
    else if (size == 2)
        ber_put_raw(out, (uint8_t[]){tag, lo}, 2);
    else if (size == 3)
        ber_put_raw(out, (uint8_t[]){tag, 0x81, lo}, 3);
    else
        ber_put_raw(out, (uint8_t[]){tag, 0x82, hi, lo}, 4);
}

void ber_put_bytes(struct ber_out *out, uint8_t tag, const void *data, size_t len)
{
    ber_put_head(out, tag, len);
    ber_put_raw(out, data, len);
}

void ber_put_int(struct ber_out *out, uint8_t tag, int64_t value)
{
    uint8_t b[8];
    uint64_t v = (uint64_t)value;
    for (int i = 7; i >= 0; i--, v >>= 8)
        b[i] = (uint8_t)v;
    int skip = 0;
    while (skip < 7 &&
           ((b[skip] == 0 && b[skip + 1] < 0x80) || (b[skip] == 0xff && b[skip + 1] >= 0x80)))
        skip++;
    ber_put_bytes(out, tag, b + skip, (size_t)(8 - skip));
}

void ber_put_uint(struct ber_out *out, uint8_t tag, uint64_t value)
{
    uint8_t b[9] = {0};
    for (int i = 8; i > 0; i--, value >>= 8)
        b[i] = (uint8_t)value;
    int skip = 0;
    while (skip < 8 && b[skip] == 0 && b[skip + 1] < 0x80)
        skip++;
    ber_put_bytes(out, tag, b + skip, (size_t)(9 - skip));
}

static size_t put_arc(uint8_t *out, uint64_t arc)
{
    size_t n = 1;
    for (uint64_t rest = arc >> 7; rest != 0; rest >>= 7)
        n++;
    for (size_t i = n; i-- > 0; arc >>= 7)
        out[i] = (uint8_t)((arc & 0x7f) | (i + 1 < n ? 0x80 : 0));
    return n;
}

size_t ber_oid_encode(const uint32_t *arcs, size_t n, uint8_t *out)
{
    uint64_t second = n > 1 ? arcs[1] : 0;
    size_t len = put_arc(out, (uint64_t)(n > 0 ? arcs[0] : 0) * 40 + second);
    for (size_t i = 2; i < n; i++)
        len += put_arc(out + len, arcs[i]);
    return len;
}

bool ber_oid_decode(const uint8_t *data, size_t len, uint32_t arcs[OID_MAX_ARCS], size_t *n)
{
    size_t count = 0;
    size_t i = 0;
    while (i < len) {
        uint64_t arc = 0;
        uint8_t b;
        do {
            if (i == len)
                return false;
            b = data[i++];
            arc = arc << 7 | (b & 0x7f);
            if (arc > (uint64_t)UINT32_MAX + 80)
                return false;
        } while (b & 0x80);
        if (count == 0) {
            uint32_t first = arc < 40 ? 0 : arc < 80 ? 1 : 2;
            arcs[count++] = first;
            arc -= 40 * (uint64_t)first;
        }
        if (arc > UINT32_MAX || count == OID_MAX_ARCS)
            return false;
        arcs[count++] = (uint32_t)arc;
    }
    *n = count;
    return count > 0;
}

static bool take_varbinds(struct ber_in list, struct snmp_request *req)
{
    req->n = 0;
    while (list.at < list.end) {
        struct ber_in vb, name, value;
        uint8_t tag;
        if (req->n == SNMP_MAX_VARBINDS || !take_tagged(&list, BER_SEQUENCE, &vb) ||
            !take_tagged(&vb, BER_OID, &name) || name.at == name.end)
            return false;
        const uint8_t *tlv = vb.at;
        if (!ber_take(&vb, &tag, &value) || vb.at != vb.end)
            return false;
        req->vb[req->n++] = (struct snmp_varbind){
            .name = name.at,
            .name_len = (size_t)(name.end - name.at),
            .value = tlv,
            .value_len = (size_t)(value.end - tlv),
        };
    }
    return true;
}

bool snmp_decode_pdu(struct ber_in in, int version, struct snmp_request *req)
{
    struct ber_in pdu, list;
    if (!ber_take(&in, &req->pdu, &pdu) || in.at != in.end)
        return false;
    if (req->pdu != SNMP_GET && req->pdu != SNMP_GETNEXT && req->pdu != SNMP_SET &&
        (req->pdu != SNMP_GETBULK || version == SNMP_V1))
        return false;
    if (!take_int32(&pdu, &req->id) || !take_int32(&pdu, &req->non_repeaters) ||
        !take_int32(&pdu, &req->max_repetitions))
        return false;
    if (!take_tagged(&pdu, BER_SEQUENCE, &list) || pdu.at != pdu.end)
        return false;
    req->version = version;
    req->community_len = 0;
    return take_varbinds(list, req);
}

int32_t snmp_version(const uint8_t *data, size_t len)
{
    struct ber_in in = {data, data + len};
    struct ber_in msg;
    int32_t version;
    return take_tagged(&in, BER_SEQUENCE, &msg) && take_int32(&msg, &version) ? version : -1;
}

bool snmp_decode(const uint8_t *data, size_t len, struct snmp_request *req)
{
    struct ber_in in = {data, data + len};
    struct ber_in msg, community;
    int32_t version;
    if (!take_tagged(&in, BER_SEQUENCE, &msg) || in.at != in.end)
        return false;
    if (!take_int32(&msg, &version) || (version != SNMP_V1 && version != SNMP_V2C))
        return false;
    if (!take_tagged(&msg, BER_OCTETS, &community) || !snmp_decode_pdu(msg, version, req))
        return false;
    req->community = community.at;
    req->community_len = (size_t)(community.end - community.at);
    return true;
}

/* The size of a 32-bit INTEGER's TLV. */
static size_t int_size(const struct ber_out *out, int32_t value)
{
    size_t n = 1;
    for (int64_t v = value; v < -128 || v > 127; v >>= 8)
        n++;
    return ber_head_size(out, n) + n;
}

static size_t pdu_size(const struct ber_out *out, const struct snmp_head *head, size_t body_len)
{
    return int_size(out, head->id) + int_size(out, head->status) + int_size(out, head->index) +
           ber_head_size(out, body_len) + body_len;
}

void snmp_put_pdu_head(struct ber_out *out, const struct snmp_head *head, size_t body_len)
{
    ber_put_head(out, head->pdu, pdu_size(out, head, body_len));
    ber_put_int(out, BER_INTEGER, head->id);
    ber_put_int(out, BER_INTEGER, head->status);
    ber_put_int(out, BER_INTEGER, head->index);
    ber_put_head(out, BER_SEQUENCE, body_len);
}

void snmp_put_head(struct ber_out *out, const struct snmp_head *head, size_t body_len)
{
    size_t pdu_len = pdu_size(out, head, body_len);
    size_t msg_len = int_size(out, head->version) + ber_head_size(out, head->community_len) +
                     head->community_len + ber_head_size(out, pdu_len) + pdu_len;
    ber_put_head(out, BER_SEQUENCE, msg_len);
    ber_put_int(out, BER_INTEGER, head->version);
    ber_put_bytes(out, BER_OCTETS, head->community, head->community_len);
    snmp_put_pdu_head(out, head, body_len);
}

/* ---- values ---- */

const char *const value_type_names[T_COUNT] = {
    "int",          "counter32",     "gauge32",      "counter64",      "timeticks",
    "string",       "hex",           "fill",         "ipaddress",      "oid",
    "null",         "raw",           "opaque-float", "opaque-double",  "opaque-counter64",
    "opaque-int64", "opaque-uint64", "nosuchobject", "nosuchinstance", "endofmib",
    "mute",
};

void *must_realloc(void *p, size_t size)
{
    void *q = realloc(p, size > 0 ? size : 1);
    if (q == NULL) {
        fprintf(stderr, "fakeagent: out of memory\n");
        abort();
    }
    return q;
}

void *must_copy(const void *p, size_t size)
{
    void *q = must_realloc(NULL, size);
    if (size > 0)
        memcpy(q, p, size);
    return q;
}

uint64_t fmix64(uint64_t h)
{
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
}

uint64_t oid_hash(const uint32_t *arcs, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ arcs[i]) * 0x100000001b3u;
    return h;
}

uint64_t mix64(uint32_t addr, uint64_t hash)
{
    return fmix64(hash + addr * 0x9e3779b97f4a7c15u);
}

static uint64_t number_of(const struct value *v, enum gen gen, const struct value_ctx *c)
{
    uint64_t h;
    switch (gen) {
    case GEN_CONST: return v->number;
    case GEN_ADDR: return c->addr;
    case GEN_REQS: return c->requests;
    case GEN_UPTIME: return c->uptime;
    case GEN_LAST: return c->last;
    case GEN_MIX:
        h = mix64(c->addr, c->hash);
        switch (v->type) {
        case T_INT: return h >> 32 & 0x7fffffff;
        case T_COUNTER64:
        case T_OPAQUE_COUNTER64:
        case T_OPAQUE_INT64:
        case T_OPAQUE_UINT64: return h >> 1;
        default: return h >> 32;
        }
    }
    return 0;
}

static const struct {
    const char *name;
    enum gen gen;
} text_gens[] = {
    {"addr", GEN_ADDR}, {"mix", GEN_MIX},  {"reqs", GEN_REQS}, {"uptime", GEN_UPTIME},
    {"last", GEN_LAST}, {"ip", GEN_CONST}, {"@", GEN_CONST},
};

size_t text_generator(const char *s, size_t len)
{
    for (size_t i = 0; i < sizeof text_gens / sizeof *text_gens; i++) {
        size_t n = strlen(text_gens[i].name);
        if (n <= len && memcmp(s, text_gens[i].name, n) == 0)
            return n;
    }
    return 0;
}

static size_t expand_one(char *buf, size_t size, const char *name, size_t len,
                         const struct value *v, const struct value_ctx *c)
{
    if (name[0] == '@')
        return (size_t)snprintf(buf, size, "@");
    if (name[0] == 'i') {
        if (c->addr == ADDR_V6_LOOPBACK)
            return (size_t)snprintf(buf, size, "::1");
        struct in_addr in = {.s_addr = htonl(c->addr)};
        return inet_ntop(AF_INET, &in, buf, (socklen_t)size) != NULL ? strlen(buf) : 0;
    }
    enum gen gen = GEN_CONST;
    for (size_t i = 0; i < sizeof text_gens / sizeof *text_gens; i++)
        if (strlen(text_gens[i].name) == len && memcmp(text_gens[i].name, name, len) == 0)
            gen = text_gens[i].gen;
    return (size_t)snprintf(buf, size, "%llu", (unsigned long long)number_of(v, gen, c));
}

static void put_text(struct ber_out *out, const struct value *v, const struct value_ctx *c)
{
    static uint8_t text[ANSWER_MAX];
    struct ber_out t = {.buf = text, .cap = sizeof text};
    const char *s = (const char *)v->bytes, *end = s + v->len;
    while (s < end) {
        char one[64];
        const char *stop = memchr(s, '@', (size_t)(end - s));
        if (stop == NULL)
            stop = end;
        ber_put_raw(&t, s, (size_t)(stop - s));
        s = stop;
        if (s == end)
            break;
        size_t len = text_generator(s + 1, (size_t)(end - s - 1));
        ber_put_raw(&t, one, expand_one(one, sizeof one, s + 1, len, v, c));
        s += 1 + len;
    }
    ber_put_bytes(out, BER_OCTETS, t.buf, t.len);
    out->full |= t.full;
}

/* net-snmp's special types: an Opaque holding 0x9f, a type, and a nested value. */
static void put_opaque(struct ber_out *out, uint8_t type, const uint8_t *data, size_t len)
{
    uint8_t inner[16] = {0x9f, type, (uint8_t)len};
    memcpy(inner + 3, data, len);
    ber_put_bytes(out, SNMP_OPAQUE, inner, 3 + len);
}

static void put_opaque_bits(struct ber_out *out, uint8_t type, uint64_t bits, size_t len)
{
    uint8_t b[8];
    for (size_t i = len; i-- > 0; bits >>= 8)
        b[i] = (uint8_t)bits;
    put_opaque(out, type, b, len);
}

static void put_opaque_number(struct ber_out *out, uint8_t type, uint64_t n, bool is_signed)
{
    uint8_t buf[16];
    struct ber_out o = {.buf = buf, .cap = sizeof buf};
    if (is_signed)
        ber_put_int(&o, 0, (int64_t)n);
    else
        ber_put_uint(&o, 0, n);
    put_opaque(out, type, buf + 2, o.len - 2);
}

static void put_real(struct ber_out *out, enum type type, double d)
{
    float f = (float)d;
    uint32_t bits32;
    uint64_t bits64;
    memcpy(&bits32, &f, sizeof bits32);
    memcpy(&bits64, &d, sizeof bits64);
    if (type == T_OPAQUE_FLOAT)
        put_opaque_bits(out, 0x78, bits32, 4);
    else
        put_opaque_bits(out, 0x79, bits64, 8);
}

static void put_fill(struct ber_out *out, size_t len)
{
    ber_put_head(out, BER_OCTETS, len);
    for (size_t i = 0; i < len && !out->full; i++)
        ber_put_raw(out, "x", 1);
}

void value_put(struct ber_out *out, const struct value *v, const struct value_ctx *c)
{
    if (v->template_text) {
        put_text(out, v, c);
        return;
    }
    uint64_t n = number_of(v, v->gen, c) * v->factor + v->offset;
    uint32_t n32 = (uint32_t)n;
    switch (v->type) {
    case T_INT: ber_put_int(out, BER_INTEGER, (int32_t)n32); break;
    case T_COUNTER32: ber_put_uint(out, SNMP_COUNTER32, n32); break;
    case T_GAUGE32: ber_put_uint(out, SNMP_GAUGE32, n32); break;
    case T_TIMETICKS: ber_put_uint(out, SNMP_TIMETICKS, n32); break;
    case T_COUNTER64: ber_put_uint(out, SNMP_COUNTER64, n); break;
    case T_STRING:
    case T_HEX: ber_put_bytes(out, BER_OCTETS, v->bytes, v->len); break;
    case T_FILL: put_fill(out, n32); break;
    case T_IPADDRESS:
        n32 = htonl(n32);
        ber_put_bytes(out, SNMP_IPADDRESS, &n32, 4);
        break;
    case T_OID: ber_put_bytes(out, BER_OID, v->bytes, v->len); break;
    case T_NULL: ber_put_raw(out, (uint8_t[]){BER_NULL, 0}, 2); break;
    case T_RAW: ber_put_bytes(out, v->raw_tag, v->bytes, v->len); break;
    case T_OPAQUE_FLOAT:
    case T_OPAQUE_DOUBLE:
        put_real(out, v->type, v->gen == GEN_CONST ? v->real : (double)(int64_t)n);
        break;
    case T_OPAQUE_COUNTER64: put_opaque_number(out, 0x76, n, false); break;
    case T_OPAQUE_INT64: put_opaque_number(out, 0x7a, n, true); break;
    case T_OPAQUE_UINT64: put_opaque_number(out, 0x7b, n, false); break;
    case T_NOSUCHOBJECT: ber_put_raw(out, (uint8_t[]){SNMP_NOSUCHOBJECT, 0}, 2); break;
    case T_NOSUCHINSTANCE: ber_put_raw(out, (uint8_t[]){SNMP_NOSUCHINSTANCE, 0}, 2); break;
    case T_ENDOFMIB: ber_put_raw(out, (uint8_t[]){SNMP_ENDOFMIB, 0}, 2); break;
    case T_MUTE: break; /* never gets here */
    case T_COUNT: break;
    }
}

void value_prepare(struct value *v)
{
    if (v->gen != GEN_CONST || v->template_text)
        return;
    uint8_t *buf = must_realloc(NULL, ANSWER_MAX);
    struct ber_out out = {.buf = buf, .cap = ANSWER_MAX};
    value_put(&out, v, NULL);
    v->tlv = must_copy(buf, out.len);
    v->tlv_len = out.len;
    free(buf);
}
