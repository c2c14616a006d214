/*
 * SNMPv3 of the simulated agents: one user, SHA-1 and AES-128 (RFC 3412, RFC 3414, RFC 3826).
 *
 * Each agent is an engine of its own: its id is made of its address. Messages come in by usm_take, which says what is to
 * be done with them; answers and Reports go out by usm_put, under the keys and the level of the message taken last.
 */
#ifndef FAKEAGENT_USM_H
#define FAKEAGENT_USM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ber.h"
#include "digest.h"

enum {
    SNMP_V3 = 3,
    SNMP_REPORT = 0xa8,
    USM_NAME_MAX = 32,
    USM_ENGINE_BYTES = 9,
    USM_ROOM = 320, /* what stands before the variable bindings, at most */
};

/* NAME:AUTHENTICATION:PRIVACY, the latter two pass phrases of 8 bytes and more; the last may be left out. */
struct usm_user {
    char name[USM_NAME_MAX + 1];
    bool set, private;
    uint8_t auth[SHA1_BYTES], priv[SHA1_BYTES]; /* not yet local to an engine */
};

bool usm_user_parse(struct usm_user *u, const char *text);

/* A message being answered. */
struct usm_message {
    const struct usm_user *user;
    int32_t id, boots, time;
    int32_t request_id;
    uint8_t flags;
    uint8_t engine[USM_ENGINE_BYTES];
    uint8_t auth[SHA1_BYTES], priv[SHA1_BYTES];
    struct ber_in context; /* name */
    uint8_t report;        /* which of usmStats; 0: none */
    uint64_t salt;
    uint8_t scoped[ANSWER_MAX + 1];
};

enum usm_verdict { USM_REQUEST, USM_REPORT, USM_MALFORMED };

/* For USM_REQUEST req is filled, as if by SNMPv2c, and points into the message or into m. */
enum usm_verdict usm_take(struct usm_message *m, const struct usm_user *user, uint32_t addr,
                          int64_t now_ms, const uint8_t *data, size_t len,
                          struct snmp_request *req);

/* The bindings of a Report: the counter's object. */
void usm_put_report(const struct usm_message *m, struct ber_out *body);

/* The whole message of the body's bindings into out, at most USM_ROOM bytes longer. */
void usm_put(struct usm_message *m, const struct snmp_head *head, const struct ber_out *body,
             struct ber_out *out);

#endif
