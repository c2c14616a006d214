/* snmp_ber.h - BER, enough to read what the library sends and to answer it. */
#ifndef SNMP_BER_H
#define SNMP_BER_H

#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    uint8_t b[600];
    size_t len;
};

static inline struct bytes cat(struct bytes a, struct bytes b)
{
    CHECK(a.len + b.len <= sizeof(a.b));
    memcpy(a.b + a.len, b.b, b.len);
    a.len += b.len;
    return a;
}

static inline struct bytes tlv(uint8_t tag, struct bytes content)
{
    struct bytes head = {.b = {tag, 0x82, (uint8_t)(content.len >> 8), (uint8_t)content.len},
                         .len = 4};
    return cat(head, content);
}

static inline struct bytes octets(const void *data, size_t len)
{
    struct bytes s = {.len = len};
    CHECK(len <= sizeof(s.b));
    memcpy(s.b, data, len);
    return tlv(0x04, s);
}

static inline struct bytes integer(uint8_t tag, int32_t v)
{
    struct bytes s = {.b = {(uint8_t)((uint32_t)v >> 24), (uint8_t)((uint32_t)v >> 16),
                            (uint8_t)((uint32_t)v >> 8), (uint8_t)v},
                      .len = 4};
    return tlv(tag, s);
}

/* One TLV off the front. */
struct field {
    uint8_t tag;
    const uint8_t *at;
    size_t len;
};

static inline struct field take(struct field *in)
{
    CHECK(in->len >= 2);
    size_t head = 2, len = in->at[1];
    if (len > 0x80) {
        head += len - 0x80;
        len = 0;
        for (size_t i = 2; i < head; i++)
            len = len << 8 | in->at[i];
    }
    CHECK(head + len <= in->len);
    struct field f = {in->at[0], in->at + head, len};
    in->at += head + len;
    in->len -= head + len;
    return f;
}

static inline int32_t number(struct field f)
{
    int32_t v = f.len > 0 && (f.at[0] & 0x80) != 0 ? -1 : 0;
    for (size_t i = 0; i < f.len; i++)
        v = (int32_t)((uint32_t)v << 8 | f.at[i]);
    return v;
}

/* What is needed of a request, v1, v2c or v3. */
struct seen {
    int32_t version, msg_id, request_id;
    uint8_t pdu, flags;
    char user[32];
    uint8_t engine[32];
    size_t engine_len;
    int32_t boots;
};

static inline struct seen see(const uint8_t *message_bytes, size_t message_len)
{
    struct seen r = {0};
    struct field all = {0, message_bytes, message_len}, message = take(&all);
    r.version = number(take(&message));
    struct field pdu;
    if (r.version == 3) {
        struct field head = take(&message), security = take(&message), inner = take(&security);
        r.msg_id = number(take(&head));
        (void)take(&head);
        r.flags = take(&head).at[0];
        struct field engine = take(&inner);
        r.engine_len = engine.len;
        CHECK(engine.len <= sizeof(r.engine));
        memcpy(r.engine, engine.at, engine.len);
        r.boots = number(take(&inner));
        (void)take(&inner);
        struct field user = take(&inner);
        memcpy(r.user, user.at, user.len);
        struct field scoped = take(&message);
        if ((r.flags & 2) != 0)
            return r; /* what follows is encrypted */
        (void)take(&scoped);
        (void)take(&scoped);
        pdu = take(&scoped);
    } else {
        (void)take(&message); /* community */
        pdu = take(&message);
    }
    r.pdu = pdu.tag;
    r.request_id = number(take(&pdu));
    return r;
}

/* name = value in a PDU; name in BER. */
static inline struct bytes pdu_of(uint8_t tag, int32_t id, const uint8_t *name, size_t name_len,
                                  struct bytes value)
{
    struct bytes subs = {.len = name_len};
    memcpy(subs.b, name, name_len);
    struct bytes list = tlv(0x30, tlv(0x30, cat(tlv(0x06, subs), value)));
    return tlv(tag, cat(cat(integer(2, id), integer(2, 0)), cat(integer(2, 0), list)));
}

static inline struct bytes uptime_pdu(int32_t id, int32_t value)
{
    static const uint8_t name[] = {0x2b, 6, 1, 2, 1, 1, 3, 0};
    return pdu_of(0xa2, id, name, sizeof(name), integer(0x43, value));
}

static inline struct bytes message_of(int32_t version, const char *community, struct bytes pdu)
{
    return tlv(0x30, cat(cat(integer(2, version), octets(community, strlen(community))), pdu));
}

#endif
