#include "config.h"

#include "engine/world.h"

#include "base/clock.h"
#include "base/give_up.h"
#include "base/mem.h"
#include "drivers/resolve.h"
#include "drivers/snmp.h"

#include <stdlib.h>

struct world {
    struct ping_sockets sockets;
    struct resolver *resolver;
    struct pinger *pinger;
    struct snmp_options snmp;
    struct give_up give_up; /* of every ask */
};

struct contact {
    struct snmp_agent *agent;
};

struct world *world_new(const struct config *config, const struct ping_sockets *sockets,
                        struct err *err)
{
    struct world *w = mem_zalloc(1, sizeof(*w));
    if (!give_up_init(&w->give_up, err)) {
        free(w);
        return NULL;
    }
    w->sockets = *sockets;
    w->resolver = resolver_new();
    w->pinger = pinger_new(sockets, w->resolver, err);
    w->snmp = (struct snmp_options){
        .retries = config->snmp_retries,
        .client_address = config->snmp_client_address,
        .resolver = w->resolver,
        .give_up = &w->give_up,
    };
    if (w->pinger == NULL) {
        world_free(w);
        return NULL;
    }
    return w;
}

void world_free(struct world *w)
{
    if (w == NULL)
        return;
    pinger_free(w->pinger);
    resolver_free(w->resolver);
    give_up_done(&w->give_up);
    free(w);
}

void world_give_up(struct world *w)
{
    give_up_set(&w->give_up);
}

const char *world_ping_text(const struct world *w, bool *ret_works)
{
    *ret_works = w->sockets.fd4 >= 0;
    return ping_sockets_text(&w->sockets);
}

struct contact *contact_new(struct world *w)
{
    struct contact *c = mem_zalloc(1, sizeof(*c));
    c->agent = snmp_agent_new(&w->snmp);
    return c;
}

void contact_free(struct contact *c)
{
    if (c == NULL)
        return;
    snmp_agent_free(c->agent);
    free(c);
}

void world_ask(struct world *w, struct contact *c, const struct ask *ask, int64_t deadline_mono_ms,
               struct reply *ret)
{
    ret->kind = ask->kind;
    ret->ask_id = ask->id;
    switch (ask->kind) {
    case ASK_SNMP: snmp_agent_ask(c->agent, &ask->snmp, deadline_mono_ms, &ret->snmp); break;
    case ASK_PING:
        pinger_ask(w->pinger, &ask->ping, deadline_mono_ms, &w->give_up, &ret->ping);
        break;
    case ASK_SCRIPT:
    case ASK_SERVER: CHECK(!"an ask for engine/scripts"); break;
    }
    ret->at = reply_moment();
}

bool world_takes(enum ask_kind kind)
{
    return kind == ASK_SNMP || kind == ASK_PING;
}

struct moment reply_moment(void)
{
    return (struct moment){.mono_us = clock_mono_us(), .wall_us = clock_wall_us()};
}

void reply_deliver(const struct reply *r, struct devrun *run)
{
    switch (r->kind) {
    case ASK_SNMP: devrun_answer_snmp(run, r->ask_id, &r->snmp, &r->at); break;
    case ASK_PING: devrun_answer_ping(run, r->ask_id, &r->ping, &r->at); break;
    case ASK_SCRIPT:
    case ASK_SERVER: devrun_answer_script(run, r->ask_id, &r->script, &r->at); break;
    }
}
