/*
 * The simulated agents' own BER codec for SNMPv1 and v2c (RFC 1157, RFC 3416, X.690), and for the PDU of v3.
 *
 * It shares nothing with the product, so that a mistake cannot hide by being made on both sides,
 * and it can be told to encode in unusual ways. Reading never copies: everything a struct
 * snmp_request points at lies in the datagram, which must outlive it. The second half is what an
 * object's value may be and how it is encoded, generators included.
 */
#ifndef FAKEAGENT_BER_H
#define FAKEAGENT_BER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BER_INTEGER = 0x02,
    BER_OCTETS = 0x04,
    BER_NULL = 0x05,
    BER_OID = 0x06,
    BER_SEQUENCE = 0x30,
    SNMP_IPADDRESS = 0x40,
    SNMP_COUNTER32 = 0x41,
    SNMP_GAUGE32 = 0x42,
    SNMP_TIMETICKS = 0x43,
    SNMP_OPAQUE = 0x44,
    SNMP_COUNTER64 = 0x46,
    SNMP_NOSUCHOBJECT = 0x80,
    SNMP_NOSUCHINSTANCE = 0x81,
    SNMP_ENDOFMIB = 0x82,
    SNMP_GET = 0xa0,
    SNMP_GETNEXT = 0xa1,
    SNMP_RESPONSE = 0xa2,
    SNMP_SET = 0xa3,
    SNMP_GETBULK = 0xa5,
};

enum {
    SNMP_V1 = 0,
    SNMP_V2C = 1,
    OID_MAX_ARCS = 128,
    OID_MAX_BYTES = 5 * OID_MAX_ARCS,
    SNMP_MAX_VARBINDS = 4096,
    MAX_COMMUNITY = 255,
    ANSWER_MAX = 65507,   /* the largest UDP payload over IPv4 */
    ADDR_V6_LOOPBACK = 1, /* how ::1 appears where an IPv4 address is expected */
};

/* A stretch of bytes still to be read. */
struct ber_in {
    const uint8_t *at;
    const uint8_t *end;
};

/* One TLV off the front; false if it does not fit or its length is indefinite. */
bool ber_take(struct ber_in *in, uint8_t *tag, struct ber_in *content);
bool ber_take_int(struct ber_in *in, int64_t *value);

/* An output buffer. What no longer fits sets `full` and is left out; a caller checks once at the
 * end. */
struct ber_out {
    uint8_t *buf;
    size_t len;
    size_t cap;
    bool full;
    bool long_form; /* every length in three bytes (0x82 hi lo): legal BER, seldom seen */
};

void ber_put_raw(struct ber_out *out, const void *data, size_t len);
void ber_put_head(struct ber_out *out, uint8_t tag, size_t len);
size_t ber_head_size(const struct ber_out *out, size_t len);
void ber_put_bytes(struct ber_out *out, uint8_t tag, const void *data, size_t len);
void ber_put_int(struct ber_out *out, uint8_t tag, int64_t value);
void ber_put_uint(struct ber_out *out, uint8_t tag, uint64_t value);

/* OBJECT IDENTIFIER contents. Encoding writes at most OID_MAX_BYTES and returns how many. */
size_t ber_oid_encode(const uint32_t *arcs, size_t n, uint8_t *out);
bool ber_oid_decode(const uint8_t *data, size_t len, uint32_t arcs[OID_MAX_ARCS], size_t *n);

struct snmp_varbind {
    const uint8_t *name; /* contents of the OBJECT IDENTIFIER */
    size_t name_len;
    const uint8_t *value; /* the whole value TLV */
    size_t value_len;
};

struct snmp_request {
    int version;
    uint8_t pdu;
    const uint8_t *community;
    size_t community_len;
    int32_t id;
    int32_t non_repeaters;   /* GETBULK; the error status otherwise */
    int32_t max_repetitions; /* GETBULK; the error index otherwise */
    size_t n;
    struct snmp_varbind vb[SNMP_MAX_VARBINDS];
};

/* A whole message. False: not an SNMPv1/v2c request, or malformed anywhere; req is then undefined.
 */
bool snmp_decode(const uint8_t *data, size_t len, struct snmp_request *req);

/* The PDU alone, which is all that is left; a request without a community. */
bool snmp_decode_pdu(struct ber_in in, int version, struct snmp_request *req);

/* What a message says it is; -1 if it is none. */
int32_t snmp_version(const uint8_t *data, size_t len);

/* Everything in front of the variable bindings, whose contents are body_len bytes. */
struct snmp_head {
    int version;
    uint8_t pdu;
    const uint8_t *community;
    size_t community_len;
    int32_t id;
    int32_t status;
    int32_t index;
};

void snmp_put_head(struct ber_out *out, const struct snmp_head *head, size_t body_len);
/* The PDU's part of it. */
void snmp_put_pdu_head(struct ber_out *out, const struct snmp_head *head, size_t body_len);

/* ---- values ---- */

/* What a value may be; value_type_names has their names in the spec. */
enum type {
    T_INT,
    T_COUNTER32,
    T_GAUGE32,
    T_COUNTER64,
    T_TIMETICKS,
    T_STRING,
    T_HEX,
    T_FILL,
    T_IPADDRESS,
    T_OID,
    T_NULL,
    T_RAW,
    T_OPAQUE_FLOAT,
    T_OPAQUE_DOUBLE,
    T_OPAQUE_COUNTER64,
    T_OPAQUE_INT64,
    T_OPAQUE_UINT64,
    T_NOSUCHOBJECT,
    T_NOSUCHINSTANCE,
    T_ENDOFMIB,
    T_MUTE,
    T_COUNT
};

extern const char *const value_type_names[T_COUNT];

enum gen { GEN_CONST, GEN_ADDR, GEN_MIX, GEN_REQS, GEN_UPTIME, GEN_LAST };

/* What an object answers: bytes made once, or a number (number * factor + offset), or a text with
 * generators. */
struct value {
    enum type type;
    enum gen gen;
    uint64_t number; /* GEN_CONST */
    uint64_t factor;
    uint64_t offset;
    double real;    /* GEN_CONST of the two floating types */
    uint8_t *bytes; /* T_STRING: the template; T_HEX, T_OID, T_RAW: contents */
    size_t len;
    uint8_t raw_tag;
    bool template_text; /* T_STRING with generators inside */
    struct value *kept; /* the one before it in the farm */
    uint8_t *tlv;       /* ready-made encoding, NULL if it must be computed */
    size_t tlv_len;
};

/* What generators depend on. */
struct value_ctx {
    uint32_t addr; /* host order */
    uint32_t last; /* the OID's last arc */
    uint64_t hash; /* oid_hash of the OID */
    uint64_t requests;
    uint64_t uptime;
};

/* The hash behind @mix; README.md has the formula. */
uint64_t fmix64(uint64_t h);
uint64_t oid_hash(const uint32_t *arcs, size_t n);
uint64_t mix64(uint32_t addr, uint64_t hash);

/* Appends the value's TLV. */
void value_put(struct ber_out *out, const struct value *v, const struct value_ctx *c);
/* Computes tlv ahead if the value is the same for all agents. */
void value_prepare(struct value *v);
/* Length of the generator's name at s (after the '@' in a text), 0 if there is none. */
size_t text_generator(const char *s, size_t len);

/* Memory that is there or the process is not. */
void *must_realloc(void *p, size_t size);
void *must_copy(const void *p, size_t size);

#endif
