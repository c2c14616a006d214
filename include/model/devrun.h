/* model/devrun.h - one device's run through one cycle: state + event -> new state + requested
 * actions.
 *
 * Why:     what a cycle *means* is decided here and only here, so both drivers give the same
 *          results, whole cycles run without any I/O, and a recorded run can be replayed.
 * Use:     struct devrun *run = devrun_new(device, &options);
 *          devrun_start(run, &now);
 *          for (;;) {
 *              const struct action *a;
 *              while ((a = devrun_next_action(run)) != NULL)
 *                  carry it out: ACTION_ASK begins something that ends in devrun_answer_...()
 *              feed the next answer; leave after ACTION_FINISHED
 *          }
 *          devrun_free(run);
 * Threads: one at a time; pure (no clock, no I/O; times come inside the events).
 * Owns:    its results and the actions it hands out; those stay valid until the next event or
 *          devrun_free().
 * Promise: every due item ends in exactly one of value, U with a reason, or - only after
 *          devrun_stop() or a failed availability check - no row (docs/contract.md 6.3). ACTION_FINISHED
 *          comes exactly once and last; rows of one local_data_id come all or not at all. Polling
 *          items, up to `device_threads` asks are open, one of them SNMP at most; before that one.
 *          An answer to an ask that is not open is ignored.
 * Source:  docs/contract.md 5 to 16, with the decisions in docs/differences.md.
 */
#ifndef SPINE_MODEL_DEVRUN_H
#define SPINE_MODEL_DEVRUN_H

#include "base/log.h"
#include "model/ask.h"
#include "model/batch.h"
#include "model/device.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct devrun;

/* The same for all devices of a cycle, except log_level, which selective debugging raises
 * (docs/contract.md 3.10). */
struct devrun_options {
    enum log_level log_level; /* lines above it are not made at all */
    bool debug_device;        /* MEDIUM lines are unconditional for this device */
    int invalid_log;          /* docs/contract.md 3.12 */
    int failure_count, recovery_count;
    bool system_info; /* collect it (--mibs) */
    bool ping_only;   /* the availability check and nothing else */
    bool no_scripts;  /* none can be run: script items are U */
    /* Widths of the columns that take values, poller_output's and poller_output_boost's; 0: the first
     * as in Cacti's schema, the second not written. */
    size_t output_chars, boost_chars;
    /* What the requests to one agent may take of the cycle, those to all agents of a device twice
     * that, and half of it before the first value is polled; 0 = no limit.  A device with a slow or
     * endless agent holds a polling thread all that time. */
    int64_t agent_ms;
    size_t
        known_oids; /* what devrun_learned_oids() of an earlier run has said; 0: nothing is known */
};

struct moment {
    int64_t mono_us; /* measures */
    int64_t wall_us; /* stamps */
};

/* A run is stopped if it takes more steps (about one per ask) than a base, a number per item, a
 * base per re-index check and a number per index count: its items are U, the cycle goes on.  An
 * item is asked for again at most once per halving of its request and per error inside replies.  A
 * count of that many requests (half a million rows, 20,000 by GETNEXT) ends by itself, as not
 * known. */
enum { DEVRUN_STEPS = 1000, DEVRUN_STEPS_ITEM = 32, DEVRUN_STEPS_COUNT = 20000 };

/* Why an item is U; UNKNOWN_NOT means it has a value. */
enum unknown_reason {
    UNKNOWN_NOT = 0,
    UNKNOWN_INVALID,     /* the output is not a value */
    UNKNOWN_NO_ANSWER,   /* time-out: SNMP, script, script server */
    UNKNOWN_MISSING,     /* the agent has no such object, or left it out */
    UNKNOWN_AGENT_ERROR, /* error status of the agent */
    UNKNOWN_BAD_OID,     /* cannot be asked */
    UNKNOWN_FAILED,      /* no session, send error, script not started, script server lost */
    UNKNOWN_EMPTY,       /* the script printed nothing */
    UNKNOWN_FLOODED,     /* the script printed too much */
    UNKNOWN_UNSUPPORTED, /* action unknown */
    UNKNOWN_SPIKE,       /* value dropped because the device restarted (docs/contract.md 11.8) */
    UNKNOWN_RUNAWAY,     /* the run was stopped, see DEVRUN_STEPS */
    UNKNOWN_REASONS
};

const char *unknown_reason_text(enum unknown_reason reason);

struct devrun_result {
    bool complete; /* false: stopped before the end */
    bool down;     /* the availability check failed: no rows */
    struct host_row host;
    size_t values;
    size_t unknown[UNKNOWN_REASONS];
    size_t unfinished; /* due items without a row because of devrun_stop() */
    size_t skipped;    /* due items without a row because the device is down */
};

enum action_kind {
    ACTION_ASK,
    ACTION_ROW,
    ACTION_LOG,
    ACTION_RECACHE, /* the data query must be re-indexed */
    ACTION_ASSERT,  /* the assertion has a new value */
    ACTION_FINISHED,
};

/* Where a row comes from: what explains it, not for the database. */
struct row_origin {
    const struct item *item;
    uint32_t ask_id; /* that was answered last for it; 0: it was not asked for */
    enum unknown_reason reason;
    const char *why; /* of a U, in words; NULL: there is a value */
};

struct action {
    enum action_kind kind;
    union {
        struct ask ask;
        struct {
            struct output_row row;
            struct row_origin origin;
        };
        struct {
            enum log_level level;
            bool
                of_many; /* many devices may have one cause: not all such lines are worth the log */
            char *text;
        } log;
        struct recache_row recache;
        struct assert_row assertion;
        struct devrun_result finished;
    };
};

/* How many objects one request to its agents asks for (docs/contract.md 13.1). */
size_t devrun_max_oids(const struct device *device);

/* After a run: to how many objects the requests of its agents had to shrink, because more were refused as too big, or left
 * out of answers.  0: they had not, or it was about one object alone, which says nothing of the others. */
size_t devrun_learned_oids(const struct devrun *run);

NODISCARD struct devrun *devrun_new(const struct device *device,
                                    const struct devrun_options *options);
void devrun_free(struct devrun *run); /* NULL allowed */

void devrun_start(struct devrun *run, const struct moment *now);
void devrun_answer_snmp(struct devrun *run, uint32_t ask_id, const struct snmp_reply *reply,
                        const struct moment *now);
void devrun_answer_ping(struct devrun *run, uint32_t ask_id, const struct ping_reply *reply,
                        const struct moment *now);
void devrun_answer_script(struct devrun *run, uint32_t ask_id, const struct script_reply *reply,
                          const struct moment *now); /* of a script server too */
void devrun_stop(struct devrun *run, const struct moment *now);

const struct action *devrun_next_action(struct devrun *run);

/* What goes into a run, as one value: for the modules that record runs and play them back. */
enum devrun_event_kind { DEVRUN_START, DEVRUN_SNMP, DEVRUN_PING, DEVRUN_SCRIPT, DEVRUN_STOP };

struct devrun_event {
    enum devrun_event_kind kind;
    uint32_t ask_id; /* of the answers */
    struct moment at;
    union { /* borrowed */
        const struct snmp_reply *snmp;
        const struct ping_reply *ping;
        const struct script_reply *script;
    };
};

void devrun_feed(struct devrun *run, const struct devrun_event *event);

/* Called for every event before the run looks at it, and for every action when it is handed out. It
 * only reports: it must not touch the run. */
struct devrun_watcher {
    void (*event)(void *arg, const struct device *device, const struct devrun_options *options,
                  const struct devrun_event *event);
    void (*action)(void *arg, const struct device *device, const struct action *action);
    void *arg;
};

void devrun_watch(struct devrun *run, const struct devrun_watcher *watcher); /* before the start */

#endif
