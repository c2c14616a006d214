/* engine/services.h - what asks devices and lives as long as the process.
 *
 * Why:     the resolver with its cache and the ICMP sockets serve one cycle after the other, or several
 *          at once; nothing of one cycle stays in them.
 * Use:     struct services *s = services_new(&sockets, &err);
 *          struct asker *a = asker_new(cycle, s, ...);               engine/asker.h
 *          services_free(s);
 *          struct services *lent = services_lend(s);                 for a cycle of a daemon
 * Threads: new, lend and free on the main thread while no ask is in progress; drop, figures and children from any; the
 *          rest is const.
 * Owns:    the ping sockets, as soon as services_new() has succeeded.
 * Limits:  what is kept for the next cycle is in services_lend() alone: a process with one cycle has none.
 */
#ifndef SPINE_ENGINE_SERVICES_H
#define SPINE_ENGINE_SERVICES_H

#include "base/thr.h"
#include "core/children.h"
#include "core/places.h"
#include "drivers/ping.h"
#include "drivers/resolve.h"
#include "model/device.h"

/* What is kept for the next cycle, of one kind. */
struct services_cache {
    size_t entries, most; /* there are, there may be */
    int64_t keep_s;       /* the age after which one is forgotten */
    int64_t oldest_s;     /* since the oldest one was written, of keys: used */
    uint64_t hits, misses, evicted, aged;
    uint64_t wrong; /* was there and no longer true, which the agent has said */
};

/* What all cycles share, for a look at it. */
struct services_figures {
    struct services_cache names;   /* addresses of host names */
    struct services_cache keys;    /* of SNMPv3, made from pass phrases */
    struct services_cache engines; /* of SNMPv3 agents: id, boots and time */
    struct services_cache sizes;   /* of requests that an agent can answer */
    size_t places_held;            /* devices in flight and scripts, of all cycles */
    size_t places_waiting;
    uint64_t places_waited; /* claims that were not granted at once */
};

struct services {
    struct ping_sockets sockets;
    struct resolver *resolver;
    struct pinger *pinger;
    struct places *places;    /* for devices at an address, and for scripts */
    struct places_user *user; /* in whose name they are taken */
    struct memo *engines;     /* of SNMPv3 agents; NULL until something is lent, as the next */
    struct memo *sizes;       /* of requests */
    struct services *lender;  /* whose all but the user and the supervisor is; NULL: its own */

    struct thr_mutex lock;
    const struct children *children GUARDED; /* lock: the cycle's; NULL: it has none */
};

NODISCARD struct services *services_new(const struct ping_sockets *sockets, struct err *err);
/* For one of several cycles: all is shared, but what it takes is known as its own.  Freed before the lender. */
NODISCARD struct services *services_lend(struct services *lender);
/* The cycle hangs: the places that it has are for others, and its scripts are killed. */
void services_drop(struct services *lent);
/* Those that are killed then; NULL: none.  Before they are freed. */
void services_set_children(struct services *s, const struct children *children);
void services_free(struct services *s);                       /* NULL allowed */
struct services_figures services_figures(struct services *s); /* any thread */

/* How many objects its agents answer at once, if an earlier cycle has learned that more are too many; 0: not known.  It is
 * forgotten after an hour, and when anything has changed of how the device is asked. */
size_t services_known_oids(const struct services *s, const struct device *d);
void services_learn_oids(const struct services *s, const struct device *d, size_t oids);

/* If the device is pinged by ICMP: which sockets are used, or what to do to get one.  true: that was said, once
 * per cycle is enough. */
bool services_say_icmp(const struct services *s, const struct device *d);

#endif
