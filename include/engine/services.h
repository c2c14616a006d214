/* engine/services.h - what asks devices and lives as long as the process.
 *
 * Why:     the resolver with its cache and the ICMP sockets serve one cycle after the other, or several
 *          at once; nothing of one cycle stays in them.
 * Use:     struct services *s = services_new(&sockets, &err);
 *          struct asker *a = asker_new(cycle, s, ...);               engine/asker.h
 *          services_free(s);
 * Threads: new and free on the main thread while no ask is in progress; the rest is const.
 * Owns:    the ping sockets, as soon as services_new() has succeeded.
 */
#ifndef SPINE_ENGINE_SERVICES_H
#define SPINE_ENGINE_SERVICES_H

#include "drivers/ping.h"
#include "drivers/resolve.h"
#include "model/device.h"

struct services {
    struct ping_sockets sockets;
    struct resolver *resolver;
    struct pinger *pinger;
};

NODISCARD struct services *services_new(const struct ping_sockets *sockets, struct err *err);
void services_free(struct services *s); /* NULL allowed */

/* If the device is pinged by ICMP: which sockets are used, or what to do to get one.  true: that was said, once
 * per cycle is enough. */
bool services_say_icmp(const struct services *s, const struct device *d);

#endif
