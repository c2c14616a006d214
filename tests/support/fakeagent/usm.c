#include "usm.h"

#include <string.h>

enum {
    FLAG_AUTH = 1,
    FLAG_PRIV = 2,
    FLAG_REPORTABLE = 4,
    BOOTS = 1,
    WINDOW_S = 150,
    DIGEST_BYTES = 12,
    SALT_BYTES = 8,
    PHRASE_BYTES = 1 << 20, /* RFC 3414 A.2.2 */
    PHRASE_MIN = 8,
};

/* .1.3.6.1.6.3.15.1.1.N.0 */
enum {
    UNSUPPORTED_LEVEL = 1,
    NOT_IN_WINDOW = 2,
    UNKNOWN_USER = 3,
    UNKNOWN_ENGINE = 4,
    WRONG_DIGEST = 5
};

/* What a message says about its security. */
struct params {
    struct ber_in engine, user, digest, salt;
    int64_t boots, time;
};

/* ---- users and keys ---- */

static void phrase_key(const char *phrase, size_t len, uint8_t key[SHA1_BYTES])
{
    struct sha1 s;
    sha1_init(&s);
    for (size_t done = 0; done < PHRASE_BYTES; done += len)
        sha1_add(&s, phrase, len < PHRASE_BYTES - done ? len : PHRASE_BYTES - done);
    sha1_end(&s, key);
}

static void local_key(const uint8_t key[SHA1_BYTES], const uint8_t engine[USM_ENGINE_BYTES],
                      uint8_t out[SHA1_BYTES])
{
    struct sha1 s;
    sha1_init(&s);
    sha1_add(&s, key, SHA1_BYTES);
    sha1_add(&s, engine, USM_ENGINE_BYTES);
    sha1_add(&s, key, SHA1_BYTES);
    sha1_end(&s, out);
}

bool usm_user_parse(struct usm_user *u, const char *text)
{
    size_t name = strcspn(text, ":");
    if (name == 0 || name > USM_NAME_MAX || text[name] != ':')
        return false;
    const char *auth = text + name + 1;
    size_t auth_len = strcspn(auth, ":");
    if (auth_len < PHRASE_MIN)
        return false;
    *u = (struct usm_user){.set = true, .private = auth[auth_len] == ':'};
    memcpy(u->name, text, name);
    phrase_key(auth, auth_len, u->auth);
    if (!u->private)
        return true;
    const char *priv = auth + auth_len + 1;
    if (strlen(priv) < PHRASE_MIN)
        return false;
    phrase_key(priv, strlen(priv), u->priv);
    return true;
}

/* RFC 3411 5: the enterprise's number with the first bit set, 1 for an IPv4 address, the address. */
static void make_engine(uint32_t addr, uint8_t out[USM_ENGINE_BYTES])
{
    const uint8_t id[USM_ENGINE_BYTES] = {
        0x80,
        0x00,
        0x7e,
        0xd9,
        0x01,
        (uint8_t)(addr >> 24),
        (uint8_t)(addr >> 16),
        (uint8_t)(addr >> 8),
        (uint8_t)addr,
    };
    memcpy(out, id, sizeof id);
}

/* ---- what comes in ---- */

static bool take(struct ber_in *in, uint8_t want, struct ber_in *content)
{
    uint8_t tag;
    return ber_take(in, &tag, content) && tag == want;
}

static size_t length(const struct ber_in *in)
{
    return (size_t)(in->end - in->at);
}

static bool same(const struct ber_in *in, const void *data, size_t len)
{
    return length(in) == len && (len == 0 || memcmp(in->at, data, len) == 0);
}

/* Everything before msgData, of which `data` is the rest. */
static bool take_head(struct ber_in in, struct usm_message *m, struct params *p,
                      struct ber_in *data)
{
    struct ber_in msg, header, flags, octets, list;
    int64_t version, id, size, model;
    if (!take(&in, BER_SEQUENCE, &msg) || in.at != in.end || !ber_take_int(&msg, &version) ||
        version != SNMP_V3)
        return false;
    if (!take(&msg, BER_SEQUENCE, &header) || !ber_take_int(&header, &id) ||
        !ber_take_int(&header, &size) || !take(&header, BER_OCTETS, &flags) ||
        length(&flags) != 1 || !ber_take_int(&header, &model) || model != 3)
        return false;
    if (!take(&msg, BER_OCTETS, &octets) || !take(&octets, BER_SEQUENCE, &list) ||
        !take(&list, BER_OCTETS, &p->engine) || !ber_take_int(&list, &p->boots) ||
        !ber_take_int(&list, &p->time) || !take(&list, BER_OCTETS, &p->user) ||
        !take(&list, BER_OCTETS, &p->digest) || !take(&list, BER_OCTETS, &p->salt))
        return false;
    m->id = (int32_t)id;
    m->flags = flags.at[0];
    *data = msg;
    return true;
}

static bool digest_fits(const struct usm_message *m, const struct params *p, const uint8_t *data,
                        size_t len)
{
    static uint8_t copy[ANSWER_MAX + 1];
    uint8_t digest[SHA1_BYTES];
    if (length(&p->digest) != DIGEST_BYTES || len > sizeof copy)
        return false;
    memcpy(copy, data, len);
    memset(copy + (p->digest.at - data), 0, DIGEST_BYTES);
    hmac_sha1(m->auth, copy, len, digest);
    return memcmp(digest, p->digest.at, DIGEST_BYTES) == 0;
}

static void make_iv(int64_t boots, int64_t time, const uint8_t salt[SALT_BYTES],
                    uint8_t iv[AES_BLOCK_BYTES])
{
    for (int i = 0; i < 4; i++) {
        iv[i] = (uint8_t)(boots >> (24 - 8 * i));
        iv[4 + i] = (uint8_t)(time >> (24 - 8 * i));
    }
    memcpy(iv + 8, salt, SALT_BYTES);
}

/* The scoped PDU, decrypted into m if need be. */
static bool open_data(struct usm_message *m, const struct params *p, struct ber_in data,
                      struct ber_in *scoped)
{
    struct ber_in sealed;
    uint8_t iv[AES_BLOCK_BYTES];
    if (!(m->flags & FLAG_PRIV))
        return take(&data, BER_SEQUENCE, scoped);
    if (!take(&data, BER_OCTETS, &sealed) || length(&p->salt) != SALT_BYTES ||
        length(&sealed) > sizeof m->scoped)
        return false;
    size_t len = length(&sealed);
    memcpy(m->scoped, sealed.at, len);
    make_iv(p->boots, p->time, p->salt.at, iv);
    aes_cfb_decrypt(m->priv, iv, m->scoped, len);
    struct ber_in plain = {m->scoped, m->scoped + len};
    return take(&plain, BER_SEQUENCE, scoped);
}

/* RFC 3414 3.2, in its order; 0 if the message may be opened. */
static uint8_t objection(const struct usm_message *m, const struct params *p, const uint8_t *data,
                         size_t len)
{
    uint8_t level = FLAG_AUTH | (m->user->private ? FLAG_PRIV : 0);
    if (!same(&p->engine, m->engine, sizeof m->engine))
        return UNKNOWN_ENGINE;
    if (!same(&p->user, m->user->name, strlen(m->user->name)))
        return UNKNOWN_USER;
    if ((m->flags & (FLAG_AUTH | FLAG_PRIV)) != level)
        return UNSUPPORTED_LEVEL;
    if (!digest_fits(m, p, data, len))
        return WRONG_DIGEST;
    if (p->boots != m->boots || p->time < m->time - WINDOW_S || p->time > m->time + WINDOW_S)
        return NOT_IN_WINDOW;
    return 0;
}

/* RFC 3412 7.1 3: a Report bears the id of the request if that could be read. */
static int32_t readable_id(const struct usm_message *m, struct ber_in data)
{
    struct ber_in scoped, engine, name, pdu;
    uint8_t tag;
    int64_t id;
    if (m->flags & FLAG_PRIV || !take(&data, BER_SEQUENCE, &scoped) ||
        !take(&scoped, BER_OCTETS, &engine) || !take(&scoped, BER_OCTETS, &name) ||
        !ber_take(&scoped, &tag, &pdu) || !ber_take_int(&pdu, &id))
        return 0;
    return (int32_t)id;
}

enum usm_verdict usm_take(struct usm_message *m, const struct usm_user *user, uint32_t addr,
                          int64_t now_ms, const uint8_t *data, size_t len, struct snmp_request *req)
{
    struct params p;
    struct ber_in rest, scoped, engine;
    m->user = user;
    m->report = 0;
    m->boots = BOOTS;
    m->time = (int32_t)(now_ms / 1000) + 1;
    make_engine(addr, m->engine);
    if (!take_head((struct ber_in){data, data + len}, m, &p, &rest))
        return USM_MALFORMED;
    local_key(user->auth, m->engine, m->auth);
    local_key(user->priv, m->engine, m->priv);
    m->report = objection(m, &p, data, len);
    if (m->report != 0) {
        m->request_id = readable_id(m, rest);
        m->context = (struct ber_in){m->scoped, m->scoped};
        m->flags &= m->report == NOT_IN_WINDOW ? FLAG_REPORTABLE | FLAG_AUTH : FLAG_REPORTABLE;
        return m->flags & FLAG_REPORTABLE ? USM_REPORT : USM_MALFORMED;
    }
    if (!open_data(m, &p, rest, &scoped) || !take(&scoped, BER_OCTETS, &engine) ||
        !take(&scoped, BER_OCTETS, &m->context) || length(&m->context) > USM_NAME_MAX)
        return USM_MALFORMED;
    return snmp_decode_pdu(scoped, SNMP_V2C, req) ? USM_REQUEST : USM_MALFORMED;
}

/* ---- what goes out ---- */

void usm_put_report(const struct usm_message *m, struct ber_out *body)
{
    const uint8_t name[] = {0x2b, 6, 1, 6, 3, 15, 1, 1, m->report, 0};
    ber_put_head(body, BER_SEQUENCE, 2 + sizeof name + 3);
    ber_put_bytes(body, BER_OID, name, sizeof name);
    ber_put_uint(body, SNMP_COUNTER32, 1);
}

/* The salt is a count, which never comes twice with one key. */
static void next_salt(struct usm_message *m, uint8_t salt[SALT_BYTES])
{
    uint64_t n = ++m->salt;
    for (int i = SALT_BYTES - 1; i >= 0; i--, n >>= 8)
        salt[i] = (uint8_t)n;
}

static void put_params(const struct usm_message *m, uint8_t flags, const uint8_t salt[SALT_BYTES],
                       struct ber_out *out, size_t *digest_at)
{
    static const uint8_t zero[DIGEST_BYTES];
    uint8_t inner[USM_ROOM], list[USM_ROOM];
    struct ber_out in = {.buf = inner, .cap = sizeof inner};
    struct ber_out seq = {.buf = list, .cap = sizeof list};
    size_t digest = flags & FLAG_AUTH ? DIGEST_BYTES : 0;
    size_t salt_len = flags & FLAG_PRIV ? SALT_BYTES : 0;
    ber_put_bytes(&in, BER_OCTETS, m->engine, sizeof m->engine);
    ber_put_int(&in, BER_INTEGER, m->boots);
    ber_put_int(&in, BER_INTEGER, m->time);
    ber_put_bytes(&in, BER_OCTETS, m->user->name, flags & FLAG_AUTH ? strlen(m->user->name) : 0);
    ber_put_bytes(&in, BER_OCTETS, zero, digest);
    ber_put_bytes(&in, BER_OCTETS, salt, salt_len);
    ber_put_bytes(&seq, BER_SEQUENCE, inner, in.len);
    ber_put_bytes(out, BER_OCTETS, list, seq.len);
    *digest_at = out->len - (2 + salt_len) - digest;
}

static void put_header(const struct usm_message *m, uint8_t flags, struct ber_out *out)
{
    uint8_t inner[64];
    struct ber_out in = {.buf = inner, .cap = sizeof inner};
    ber_put_int(&in, BER_INTEGER, m->id);
    ber_put_int(&in, BER_INTEGER, ANSWER_MAX);
    ber_put_bytes(&in, BER_OCTETS, &flags, 1);
    ber_put_int(&in, BER_INTEGER, 3);
    ber_put_bytes(out, BER_SEQUENCE, inner, in.len);
}

/* Into m->scoped, whose request has been decoded and answered by now. */
static size_t put_scoped(struct usm_message *m, const struct snmp_head *head,
                         const struct ber_out *body)
{
    uint8_t name[USM_NAME_MAX], front[USM_ROOM];
    size_t name_len = length(&m->context);
    if (name_len > 0)
        memcpy(name, m->context.at, name_len); /* it may lie in m->scoped */
    struct ber_out in = {.buf = front, .cap = sizeof front};
    ber_put_bytes(&in, BER_OCTETS, m->engine, sizeof m->engine);
    ber_put_bytes(&in, BER_OCTETS, name, name_len);
    snmp_put_pdu_head(&in, head, body->len);
    struct ber_out out = {.buf = m->scoped, .cap = sizeof m->scoped};
    ber_put_head(&out, BER_SEQUENCE, in.len + body->len);
    ber_put_raw(&out, front, in.len);
    ber_put_raw(&out, body->buf, body->len);
    return out.len;
}

void usm_put(struct usm_message *m, const struct snmp_head *head, const struct ber_out *body,
             struct ber_out *out)
{
    uint8_t flags = m->flags & (FLAG_AUTH | FLAG_PRIV);
    uint8_t salt[SALT_BYTES], iv[AES_BLOCK_BYTES], front[USM_ROOM], digest[SHA1_BYTES];
    size_t digest_at, len = put_scoped(m, head, body);
    next_salt(m, salt);
    struct ber_out in = {.buf = front, .cap = sizeof front};
    ber_put_int(&in, BER_INTEGER, SNMP_V3);
    put_header(m, flags, &in);
    put_params(m, flags, salt, &in, &digest_at);
    if (flags & FLAG_PRIV) {
        make_iv(m->boots, m->time, salt, iv);
        aes_cfb_encrypt(m->priv, iv, m->scoped, len);
        ber_put_head(&in, BER_OCTETS, len);
    }
    ber_put_head(out, BER_SEQUENCE, in.len + len);
    digest_at += out->len;
    ber_put_raw(out, front, in.len);
    ber_put_raw(out, m->scoped, len);
    if (flags & FLAG_AUTH && !out->full) {
        hmac_sha1(m->auth, out->buf, out->len, digest);
        memcpy(out->buf + digest_at, digest, DIGEST_BYTES);
    }
}
