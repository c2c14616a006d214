#include "config.h"

#include "model/target.h"

#include <string.h>

bool target_usable(const struct target *t)
{
    if (t->version == 1 || t->version == 2)
        return t->community[0] != '\0';
    return t->version == 3;
}

static int compare_numbers(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
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

int target_compare(const struct target *a, const struct target *b)
{
    if (a == b)
        return 0;
    int c = compare_numbers(a->port, b->port); /* Cacti's order: by port first */
    if (c == 0)
        c = strcmp(a->hostname, b->hostname);
    if (c == 0)
        c = compare_numbers(a->version, b->version);
    if (c == 0)
        c = compare_numbers(a->timeout_ms, b->timeout_ms);
    if (c == 0)
        c = a->version < 3 ? strcmp(a->community, b->community) : compare_v3(a, b);
    return c;
}
