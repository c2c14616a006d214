#include "digest.h"

#include <string.h>

/* ---- SHA-1 ---- */

void sha1_init(struct sha1 *s)
{
    *s = (struct sha1){.h = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
}

static uint32_t left(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static void sha1_block(struct sha1 *s, const uint8_t *p)
{
    uint32_t w[80], a = s->h[0], b = s->h[1], c = s->h[2], d = s->h[3], e = s->h[4];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 80; i++)
        w[i] = left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20) {
            f = (b & c) | (~b & d);
            k = 0x5a827999;
        } else if (i < 40 || i >= 60) {
            f = b ^ c ^ d;
            k = i < 40 ? 0x6ed9eba1 : 0xca62c1d6;
        } else {
            f = (b & c) | (b & d) | (c & d);
            k = 0x8f1bbcdc;
        }
        uint32_t t = left(a, 5) + f + e + k + w[i];
        e = d;
        d = c;
        c = left(b, 30);
        b = a;
        a = t;
    }
    s->h[0] += a;
    s->h[1] += b;
    s->h[2] += c;
    s->h[3] += d;
    s->h[4] += e;
}

void sha1_add(struct sha1 *s, const void *data, size_t len)
{
    const uint8_t *p = data;
    size_t used = s->len % 64;
    s->len += len;
    while (len > 0) {
        size_t n = 64 - used < len ? 64 - used : len;
        memcpy(s->block + used, p, n);
        used += n;
        p += n;
        len -= n;
        if (used == 64) {
            sha1_block(s, s->block);
            used = 0;
        }
    }
}

void sha1_end(struct sha1 *s, uint8_t out[SHA1_BYTES])
{
    uint64_t bits = s->len * 8;
    uint8_t tail[8];
    for (int i = 7; i >= 0; i--, bits >>= 8)
        tail[i] = (uint8_t)bits;
    sha1_add(s, "\x80", 1);
    while (s->len % 64 != 56)
        sha1_add(s, "", 1);
    sha1_add(s, tail, sizeof tail);
    for (int i = 0; i < SHA1_BYTES; i++)
        out[i] = (uint8_t)(s->h[i / 4] >> (24 - i % 4 * 8));
}

void hmac_sha1(const uint8_t key[SHA1_BYTES], const void *data, size_t len, uint8_t out[SHA1_BYTES])
{
    struct sha1 s;
    uint8_t pad[64];
    memset(pad, 0x36, sizeof pad);
    for (int i = 0; i < SHA1_BYTES; i++)
        pad[i] ^= key[i];
    sha1_init(&s);
    sha1_add(&s, pad, sizeof pad);
    sha1_add(&s, data, len);
    sha1_end(&s, out);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    sha1_init(&s);
    sha1_add(&s, pad, sizeof pad);
    sha1_add(&s, out, SHA1_BYTES);
    sha1_end(&s, out);
}

/* ---- AES-128, of which feedback needs encryption alone ---- */

enum { AES_ROUNDS = 10 };

static uint8_t sbox[256];

static uint8_t twice(uint8_t x)
{
    return (uint8_t)(x << 1 ^ (x & 0x80 ? 0x1b : 0));
}

static uint8_t left8(uint8_t x, int n)
{
    return (uint8_t)(x << n | x >> (8 - n));
}

/* FIPS 197 5.1.1, by walking the field with a generator and its inverse. */
static void make_sbox(void)
{
    uint8_t p = 1, q = 1;
    do {
        p ^= twice(p);
        q = (uint8_t)(q ^ q << 1);
        q = (uint8_t)(q ^ q << 2);
        q = (uint8_t)(q ^ q << 4);
        if (q & 0x80)
            q ^= 0x09;
        sbox[p] = (uint8_t)(q ^ left8(q, 1) ^ left8(q, 2) ^ left8(q, 3) ^ left8(q, 4) ^ 0x63);
    } while (p != 1);
    sbox[0] = 0x63;
}

static void expand_key(const uint8_t key[AES_KEY_BYTES], uint8_t round[AES_ROUNDS + 1][16])
{
    uint8_t *w = round[0], rcon = 1;
    if (sbox[0] == 0)
        make_sbox();
    memcpy(w, key, AES_KEY_BYTES);
    for (int i = 16; i < 16 * (AES_ROUNDS + 1); i += 4) {
        uint8_t t[4];
        memcpy(t, w + i - 4, 4);
        if (i % 16 == 0) {
            uint8_t first = t[0];
            t[0] = sbox[t[1]] ^ rcon;
            t[1] = sbox[t[2]];
            t[2] = sbox[t[3]];
            t[3] = sbox[first];
            rcon = twice(rcon);
        }
        for (int n = 0; n < 4; n++)
            w[i + n] = w[i + n - 16] ^ t[n];
    }
}

static void mix_columns(uint8_t s[16])
{
    for (int i = 0; i < 16; i += 4) {
        uint8_t *c = s + i, all = c[0] ^ c[1] ^ c[2] ^ c[3], first = c[0];
        c[0] ^= all ^ twice(c[0] ^ c[1]);
        c[1] ^= all ^ twice(c[1] ^ c[2]);
        c[2] ^= all ^ twice(c[2] ^ c[3]);
        c[3] ^= all ^ twice(c[3] ^ first);
    }
}

static void encrypt_block(uint8_t round[AES_ROUNDS + 1][16], const uint8_t in[16], uint8_t out[16])
{
    uint8_t s[16];
    for (int i = 0; i < 16; i++)
        s[i] = in[i] ^ round[0][i];
    for (int r = 1; r <= AES_ROUNDS; r++) {
        uint8_t t[16];
        for (int i = 0; i < 16; i++) /* SubBytes and ShiftRows in one */
            t[i] = sbox[s[(i + 4 * (i % 4)) % 16]];
        if (r < AES_ROUNDS)
            mix_columns(t);
        for (int i = 0; i < 16; i++)
            s[i] = t[i] ^ round[r][i];
    }
    memcpy(out, s, 16);
}

static void feed_back(const uint8_t key[AES_KEY_BYTES], const uint8_t iv[AES_BLOCK_BYTES],
                      uint8_t *data, size_t len, int encrypting)
{
    uint8_t round[AES_ROUNDS + 1][16], last[16], stream[16];
    expand_key(key, round);
    memcpy(last, iv, sizeof last);
    for (size_t at = 0; at < len; at += 16) {
        size_t n = len - at < 16 ? len - at : 16;
        encrypt_block(round, last, stream);
        for (size_t i = 0; i < n; i++) {
            uint8_t in = data[at + i];
            data[at + i] ^= stream[i];
            last[i] = encrypting ? data[at + i] : in;
        }
    }
}

void aes_cfb_encrypt(const uint8_t key[AES_KEY_BYTES], const uint8_t iv[AES_BLOCK_BYTES],
                     uint8_t *data, size_t len)
{
    feed_back(key, iv, data, len, 1);
}

void aes_cfb_decrypt(const uint8_t key[AES_KEY_BYTES], const uint8_t iv[AES_BLOCK_BYTES],
                     uint8_t *data, size_t len)
{
    feed_back(key, iv, data, len, 0);
}
