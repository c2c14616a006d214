/* engine/world.h - the drivers that answer asks by blocking, made once per run and shared by both paths.
 *
 * Why:     one place knows which ask goes to which driver, and how to end all waits at once.
 *          (Asks for scripts do not block: engine/scripts.)
 * Use:     struct world *w = world_new(config, &sockets, &err);
 *          struct contact *c = contact_new(w);
 *          one per device run world_ask(w, c, &ask, deadline, &reply);
 *          contact_free(c);
 *          world_free(w);
 * Threads: new and free on the main thread; ask from any (one contact by one thread at a time),
 *          blocking; give_up from any.
 * Owns:    a reply's contents belong to the contact until its next ask or contact_free().
 */
#ifndef SPINE_ENGINE_WORLD_H
#define SPINE_ENGINE_WORLD_H

#include "drivers/ping.h"
#include "engine/config.h"
#include "model/devrun.h"

struct world;
struct contact;

/* The answer to an ask of any kind, and when it came. */
struct reply {
    enum ask_kind kind;
    uint32_t ask_id;
    struct moment at;
    union {
        struct snmp_reply snmp;
        struct ping_reply ping;
        struct script_reply script;
    };
};

NODISCARD struct world *world_new(const struct config *config, const struct ping_sockets *sockets,
                                  struct err *err);
void world_free(struct world *w); /* NULL allowed */
void world_give_up(struct world *w);
/* Which sockets ICMP uses, or what to do to get one; *ret_works: IPv4 at least. */
const char *world_ping_text(const struct world *w, bool *ret_works);

NODISCARD struct contact *contact_new(struct world *w);
void contact_free(struct contact *c); /* NULL allowed */

/* The others are for engine/scripts. */
bool world_takes(enum ask_kind kind);
void world_ask(struct world *w, struct contact *c, const struct ask *ask, int64_t deadline_mono_ms,
               struct reply *ret);
struct moment reply_moment(void); /* now, for a reply */
/* Feed it to the run that asked. */
void reply_deliver(const struct reply *reply, struct devrun *run);

#endif
