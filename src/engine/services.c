#include "config.h"

#include "engine/services.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "drivers/snmp.h"

#include <stdlib.h>
#include <string.h>

enum { SIZES_MOST = 16384, SIZES_KEEP_MS = 60 * 60 * 1000 };

struct services *services_new(const struct ping_sockets *sockets, struct err *err)
{
    struct services *s = mem_zalloc(1, sizeof(*s));
    thr_mutex_init(&s->lock);
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
    if (lender->engines == NULL) {
        lender->engines = snmp_engines_new();
        lender->sizes = memo_new(SIZES_MOST, SIZES_KEEP_MS, sizeof(size_t));
    }
    resolver_new_cycle(lender->resolver);
    *s = (struct services){.sockets = lender->sockets,
                           .resolver = lender->resolver,
                           .pinger = lender->pinger,
                           .places = lender->places,
                           .engines = lender->engines,
                           .sizes = lender->sizes,
                           .lender = lender};
    thr_mutex_init(&s->lock);
    s->user = places_user_new(s->places);
    return s;
}

void services_drop(struct services *lent)
{
    places_user_drop(lent->user);
    thr_lock(&lent->lock);
    if (lent->children != NULL)
        children_kill(lent->children);
    thr_unlock(&lent->lock);
}

void services_set_children(struct services *s, const struct children *children)
{
    thr_lock(&s->lock);
    s->children = children;
    thr_unlock(&s->lock);
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
        memo_free(s->sizes);
    }
    thr_mutex_done(&s->lock);
    free(s);
}

static struct services_cache services_cache_from(struct memo_figures f)
{
    return (struct services_cache){.entries = f.entries,
                                   .most = f.most,
                                   .keep_s = f.keep_ms / 1000,
                                   .oldest_s = f.oldest_ms / 1000,
                                   .hits = f.hits,
                                   .misses = f.misses,
                                   .evicted = f.evicted,
                                   .aged = f.aged,
                                   .wrong = f.wrong};
}

static struct services_cache services_cache_of(struct memo *m)
{
    return services_cache_from(memo_figures(m, clock_mono_ms()));
}

struct services_figures services_figures(struct services *s)
{
    struct places_figures places = places_figures(s->places);
    return (struct services_figures){
        .names = services_cache_from(resolver_figures(s->resolver)),
        .keys = services_cache_from(snmp_key_figures()),
        .engines = services_cache_of(s->engines),
        .sizes = services_cache_of(s->sizes),
        .places_held = places.held,
        .places_waiting = places.waiting,
        .places_waited = places.waited,
    };
}

/* ---- sizes of requests ---- */

struct size_key {
    uint64_t device_id, max_oids, how; /* how: a digest, as pass phrases are among it */
};

static struct size_key size_key_of(const struct device *d)
{
    const struct target *t = &d->snmp;
    const char *const texts[] = {t->hostname,      t->community,     t->username,
                                 t->password,      t->auth_protocol, t->priv_passphrase,
                                 t->priv_protocol, t->context,       t->engine_id};
    const uint32_t numbers[] = {t->port, t->version};
    uint64_t how = num_digest(NUM_DIGEST_OF_NOTHING, numbers, sizeof(numbers));
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i] != NULL)
            how = num_digest(how, texts[i], strlen(texts[i]) + 1);
    return (struct size_key){.device_id = d->id, .max_oids = (uint64_t)d->max_oids, .how = how};
}

size_t services_known_oids(const struct services *s, const struct device *d)
{
    const struct size_key key = size_key_of(d);
    size_t oids = 0;
    if (s->sizes == NULL || !memo_get(s->sizes, &key, sizeof(key), clock_mono_ms(), &oids))
        return 0;
    return oids;
}

void services_learn_oids(const struct services *s, const struct device *d, size_t oids)
{
    const struct size_key key = size_key_of(d);
    if (s->sizes != NULL && oids > 0)
        memo_put(s->sizes, &key, sizeof(key), clock_mono_ms(), &oids);
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
