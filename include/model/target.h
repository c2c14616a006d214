/* model/target.h - whom to ask by SNMP and how: everything that identifies a session.
 *
 * Threads: any; const after loading.
 * Source:  docs/contract.md 12 (hostname, port, version, credentials, context and time-out all
 * identify a session).
 */
#ifndef SPINE_MODEL_TARGET_H
#define SPINE_MODEL_TARGET_H

#include <stdbool.h>
#include <stdint.h>

struct target {
    const char *hostname; /* as stored; may carry a transport prefix */
    uint16_t port;
    uint8_t version;     /* 1, 2 (= v2c), 3; others cannot be asked */
    uint32_t timeout_ms; /* of one attempt, as target_timeout_ms() gives it: never 0 */
    const char *community;
    const char *username;
    const char *password;
    const char *auth_protocol;
    const char *priv_passphrase;
    const char *priv_protocol;
    const char *context;
    const char *engine_id;
};

/* The time-out of a stored one: 0 or less is 500 ms (docs/contract.md 13.2), for the code that
 * waits and the code that compares. */
uint32_t target_timeout_ms(int64_t stored);

/* SNMP is configured: v1 or v2c with a community, or v3 (docs/contract.md 12.1). */
bool target_usable(const struct target *t);

/* A total order in which equal means "one session serves both"; only fields that matter for the
 * version count. */
int target_compare(const struct target *a, const struct target *b);

/* The same except for the time-out: both reach the same agent. */
bool target_same_agent(const struct target *a, const struct target *b);

enum target_security { TARGET_NO_AUTH, TARGET_AUTH, TARGET_AUTH_PRIV };

/* Of v3, as Cacti means it: a protocol that is "[None]" or empty, or has no pass phrase, is not
 * used, whatever the other column has kept.  Privacy that is asked for needs authentication: it is
 * never dropped because that is missing. */
enum target_security target_security(const struct target *t);

#endif
