/*
 * SHA-1 with its HMAC (FIPS 180-4, RFC 2104) and AES-128 in cipher feedback mode (FIPS 197, SP 800-38A): what
 * SNMPv3's usual user needs. The agents' own, like their BER codec, so that a mistake cannot hide by being made
 * on both sides.
 */
#ifndef FAKEAGENT_DIGEST_H
#define FAKEAGENT_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { SHA1_BYTES = 20, AES_KEY_BYTES = 16, AES_BLOCK_BYTES = 16 };

struct sha1 {
    uint32_t h[5];
    uint64_t len;
    uint8_t block[64];
};

void sha1_init(struct sha1 *s);
void sha1_add(struct sha1 *s, const void *data, size_t len);
void sha1_end(struct sha1 *s, uint8_t out[SHA1_BYTES]);

void hmac_sha1(const uint8_t key[SHA1_BYTES], const void *data, size_t len,
               uint8_t out[SHA1_BYTES]);

/* In place. */
void aes_cfb_encrypt(const uint8_t key[AES_KEY_BYTES], const uint8_t iv[AES_BLOCK_BYTES],
                     uint8_t *data, size_t len);
void aes_cfb_decrypt(const uint8_t key[AES_KEY_BYTES], const uint8_t iv[AES_BLOCK_BYTES],
                     uint8_t *data, size_t len);

#endif
