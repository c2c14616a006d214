#include "config.h"

#include "model/target.h"

#include "base/num.h"

#include <string.h>

enum { TARGET_DEFAULT_TIMEOUT_MS = 500 };

uint32_t target_timeout_ms(int64_t stored)
{
    if (stored <= 0)
        return TARGET_DEFAULT_TIMEOUT_MS;
    return stored < INT32_MAX ? (uint32_t)stored : INT32_MAX;
}

bool target_usable(const struct target *t)
{
    if (t->version == 1 || t->version == 2)
        return t->community[0] != '\0';
    return t->version == 3;
}

static int compare_v3(const struct target *a, const struct target *b)
{
    const char *const pairs[][2] = {
        {a->username, b->username},           {a->password, b->password},
        {a->auth_protocol, b->auth_protocol}, {a->priv_passphrase, b->priv_passphrase},
        {a->priv_protocol, b->priv_protocol}, {a->context, b->context},
        {a->engine_id, b->engine_id},
    };
    for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        int c = strcmp(pairs[i][0], pairs[i][1]);
        if (c != 0)
            return c;
    }
    return 0;
}

static int compare_place(const struct target *a, const struct target *b)
{
    int c = num_order(a->port, b->port); /* Cacti's order: by port first */
    if (c == 0)
        c = strcmp(a->hostname, b->hostname);
    if (c == 0)
        c = num_order(a->version, b->version);
    return c;
}

/* Of one version. */
static int compare_credentials(const struct target *a, const struct target *b)
{
    return a->version < 3 ? strcmp(a->community, b->community) : compare_v3(a, b);
}

int target_compare(const struct target *a, const struct target *b)
{
    if (a == b)
        return 0;
    int c = compare_place(a, b);
    if (c == 0)
        c = num_order(a->timeout_ms, b->timeout_ms);
    if (c == 0)
        c = compare_credentials(a, b);
    return c;
}

bool target_same_agent(const struct target *a, const struct target *b)
{
    return a == b || (compare_place(a, b) == 0 && compare_credentials(a, b) == 0);
}

static bool is_used(const char *protocol, const char *passphrase)
{
    return passphrase[0] != '\0' && protocol[0] != '\0' && strcmp(protocol, "[None]") != 0;
}

enum target_security target_security(const struct target *t)
{
    if (is_used(t->priv_protocol, t->priv_passphrase))
        return TARGET_AUTH_PRIV;
    return is_used(t->auth_protocol, t->password) ? TARGET_AUTH : TARGET_NO_AUTH;
}
