#include "config.h"

#include "engine/services.h"

#include "base/log.h"
#include "base/mem.h"
#include "drivers/snmp.h"

#include <stdlib.h>

struct services *services_new(const struct ping_sockets *sockets, struct err *err)
{
    struct services *s = mem_zalloc(1, sizeof(*s));
    s->sockets = *sockets;
    s->places = places_new();
    s->user = places_user_new(s->places);
    s->resolver = resolver_new();
    s->pinger = pinger_new(sockets, s->resolver, err);
    if (s->pinger != NULL)
        return s;
    services_free(s);
    return NULL;
}

struct services *services_lend(struct services *lender)
{
    struct services *s = mem_zalloc(1, sizeof(*s));
    if (lender->engines == NULL)
        lender->engines = snmp_engines_new();
    *s = *lender;
    s->lender = lender;
    s->user = places_user_new(s->places);
    return s;
}

void services_drop(struct services *lent)
{
    places_user_drop(lent->user);
}

void services_free(struct services *s)
{
    if (s == NULL)
        return;
    places_user_free(s->user);
    if (s->lender == NULL) {
        pinger_free(s->pinger);
        resolver_free(s->resolver);
        places_free(s->places);
        memo_free(s->engines);
    }
    free(s);
}

static struct services_cache services_cache_of(struct memo *m)
{
    const struct memo_figures f = memo_figures(m);
    return (struct services_cache){.entries = f.entries,
                                   .most = f.most,
                                   .keep_s = f.keep_ms / 1000,
                                   .hits = f.hits,
                                   .misses = f.misses,
                                   .evicted = f.evicted,
                                   .aged = f.aged,
                                   .wrong = f.wrong};
}

struct services_figures services_figures(struct services *s)
{
    struct places_figures places = places_figures(s->places);
    return (struct services_figures){
        .engines = services_cache_of(s->engines),
        .places_held = places.held,
        .places_waiting = places.waiting,
        .places_waited = places.waited,
    };
}

bool services_say_icmp(const struct services *s, const struct device *d)
{
    bool pinged = d->availability_method == AVAIL_PING_AND_SNMP ||
                  d->availability_method == AVAIL_PING ||
                  d->availability_method == AVAIL_PING_OR_SNMP;
    if (!pinged || d->ping_method != PING_METHOD_ICMP)
        return false;
    bool works = s->sockets.fd4 >= 0;
    log_line(works ? LOG_MEDIUM : LOG_ALWAYS, "%s%s",
             works ? "NOTE: " : "WARNING: ", ping_sockets_text(&s->sockets));
    return true;
}
