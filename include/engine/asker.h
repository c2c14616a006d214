/* engine/asker.h - the one way to ask: SNMP, ping, script and script server alike.
 *
 * Why:     a driver does not care what answers an ask: a worker thread, the calling thread
 *          or a child process.  One place knows which ask goes where, how many devices may be asked at
 *          the same time, how all waits end, and what is abandoned.
 * Use:     struct asker *a = asker_new(cycle, services, loop, workers, &err);
 *          if (asker_has_room(a)) s = asker_open(a, device, done, arg);      one session per device
 *          asker_begin(s, &ask);                   done(arg, &reply) comes once
 *          asker_close(s);                         no more done()
 *          asker_end(a, until);  asker_free(a);
 *          With workers 0 the asks that block do so in asker_wait_one(a, lease), on the calling thread.
 * Threads: the loop's thread; an asker belongs to one thread.  Its asks that block are
 *          given up by the cycle's give_up object, from any thread; those that wait on the loop end
 *          with asker_close().
 * Owns:    copies of the asks.  A reply's contents are valid during done().
 * Promise: each ask that asker_begin() has taken is answered exactly once, on the loop's thread, never
 *          from within asker_begin(), unless the session is closed before.  At most one ask of a
 *          session blocks (SNMP or ping), any number of scripts may run beside it.  A closed
 *          session takes up room until all calls that it has begun have returned. A call that does
 *          not return is abandoned with all that it may still use.
 */
#ifndef SPINE_ENGINE_ASKER_H
#define SPINE_ENGINE_ASKER_H

#include "core/loop.h"
#include "drivers/ping.h"
#include "engine/cycle.h"
#include "engine/services.h"

struct asker;
struct asker_session;
struct lease;
struct scripts;

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

typedef void asker_done_fn(void *arg, const struct reply *reply);

/* What a session waits for. */
struct asker_wait {
    uint32_t device_id;
    enum ask_kind kind;
    int64_t since_mono_ms; /* 0: for nothing */
};

/* workers: threads for asks that block, or 0.  Fewer than asked for are a WARNING, none is an error.
 * With the cycle's async_snmp, and workers not 0, SNMP and pings wait on the loop and no thread blocks. */
NODISCARD struct asker *asker_new(struct cycle *c, struct services *services, struct loop *loop,
                                  int workers, struct err *err);
/* The supervisor that answers scripts; without one the cycle has no_scripts set. */
void asker_set_scripts(struct asker *a, struct scripts *scripts);

/* May one more device begin? */
bool asker_has_room(const struct asker *a);
/* Called on the loop's thread when room appears. */
void asker_on_room(struct asker *a, loop_fn *fn, void *arg);

NODISCARD struct asker_session *asker_open(struct asker *a, const struct device *device,
                                           asker_done_fn *done, void *arg);
void asker_begin(struct asker_session *s, const struct ask *ask);
void asker_close(struct asker_session *s); /* NULL allowed */
/* Under the lock of the lease whose thread hangs in the session's call: the session stays with that
 * thread, and done() is called neither for that call nor for scripts that run at the same time. */
void asker_orphan(struct asker_session *s);
struct asker_wait asker_get_wait(const struct asker_session *s);

/* Workers 0: block until one answer has been delivered, of whichever session. A thread that may be
 * abandoned names its lease; false: it has been abandoned, and owns the asker now, which it must
 * free. */
NODISCARD bool asker_wait_one(struct asker *a, struct lease *lease);
/* Called before and after a wait of asker_wait_one(), without any lock: for reports of what a
 * thread does. */
void asker_on_wait(struct asker *a, void (*fn)(void *arg, const struct asker_wait *wait),
                   void *arg);

/* One line about a wait that cannot be ended. */
void asker_say_left_behind(const struct asker_wait *wait);

/* Everything was given up: wait until a monotonic time for calls that have not returned; log which
 * are abandoned. Returns their number. */
size_t asker_end(struct asker *a, int64_t until_mono_ms);
/* After asker_end(); an abandoned call frees its data if it ever returns.  NULL allowed. */
void asker_free(struct asker *a);

struct services *asker_get_services(const struct asker *a);

/* Feed a reply to the run that asked. */
void reply_deliver(const struct reply *reply, struct devrun *run);

/* "SNMP", "a ping", ... */
const char *asker_kind_text(enum ask_kind kind);

#endif
