/* The inside of a device run, shared by the files of model/devrun: devrun.c (events, actions, the
 * end), one file per phase, and the probe that two phases use.  Every phase has a step: it opens an
 * ask or moves the run on. */
#ifndef SPINE_MODEL_DEVRUN_PRIVATE_H
#define SPINE_MODEL_DEVRUN_PRIVATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "devrun_agent.h"
#include "devrun_probe.h"
#include "devrun_reason.h"
#include "model/avail.h"
#include "model/devrun.h"

enum phase {
    PHASE_NEW,
    PHASE_CHECK,   /* devrun_check.c: is it up */
    PHASE_SYSTEM,  /* devrun_system.c: system information */
    PHASE_REINDEX, /* devrun_reindex.c: has a data query changed */
    PHASE_ITEMS,   /* devrun_items.c */
    PHASE_FINISHED,
};

/* An ask that has not ended. */
struct open_ask {
    uint32_t id;
    enum ask_kind kind;
    size_t item; /* of a script ask while items are polled */
};

/* What became of one item. */
struct outcome {
    bool done;
    bool left_out; /* of an answer; asked for again */
    enum unknown_reason reason;
    const char *why; /* the reason more precisely; NULL: no more is known, or none is wanted */
    uint32_t ask_id; /* that was answered last for it */
    uint32_t text_len;
    size_t text_at; /* in run->text */
};

/* The SNMP items [first, end) of the polling order that go into one GET, less those that are done.
 */
struct span {
    size_t first, end;
    struct oid *names; /* of the open request */
    size_t *asked;     /* item index of each name */
    size_t count;
    int64_t started_us; /* 0: not asked yet */
    bool open;          /* a request of it is */
};

/* Items that were asked for together and without an answer. */
struct suspects {
    size_t first, end;
};

/* A few objects of the device's own session, fetched in as few GETs as the agent allows; each ends
 * with a text or without, and a failing one never takes another along (docs/contract.md 6.6). */
enum { PROBE_MAX = 7 };

struct probe {
    size_t count;
    struct oid wanted[PROBE_MAX];
    bool pending[PROBE_MAX];
    bool left_out[PROBE_MAX]; /* of an answer; asked for again */
    bool got[PROBE_MAX];
    bool missing[PROBE_MAX]; /* the agent says that it has no such object */
    struct buf text[PROBE_MAX];
    struct oid names[PROBE_MAX]; /* of the open request */
    size_t asked[PROBE_MAX];     /* slot of each name */
    size_t asked_count;
    size_t at_most;  /* in one request: a request for more was not answered */
    bool guessed;    /* that the silence was about the optional one: it is left out */
    size_t optional; /* the slot that some agents and filters are silent about; PROBE_MAX = none */
};

struct reindex {
    size_t row;      /* being looked at */
    bool probing;    /* the probe or walk of this row is under way */
    bool skip_query; /* an assertion of this query has failed: its other rows are not probed */
    uint32_t failed_query;
    bool has_uptime;
    struct buf uptime; /* in 1/100 s, remembered for all rows of the uptime family */
    bool equal;        /* the value of this row is the one that Cacti has stored */
    bool looked_below; /* the agent has no such object: whether it is a column has been asked */
    bool is_column;
    /* of the walk */
    uint32_t *last; /* as stray: OID_MAX_LEN numbers of the run's memory; NULL: no walk yet */
    size_t last_len;
    struct oid last_name;
    uint64_t walked;
    size_t walk_asks;  /* of this row */
    int64_t walked_us; /* of all rows */
    bool one_by_one;   /* the agent fails at GETBULK */
    bool has_stray;    /* GETBULK has named a row out of order; without it no count is complete */
    bool stray_counted;
    uint32_t *stray;
    size_t stray_len;
};

struct devrun {
    const struct device *device;
    struct devrun_options options;
    struct devrun_watcher watcher;
    enum phase phase;

    struct action *actions;
    size_t action_count, action_cap, action_next;

    size_t steps, step_limit; /* turns of the machine */
    uint32_t last_ask;
    uint32_t answered;     /* the ask whose answer is looked at; 0: none */
    struct open_ask *asks; /* open ones */
    size_t ask_count, ask_limit;

    struct moment started;
    struct oid check_name;
    struct avail_check check;
    struct why why;
    struct device_status status;
    bool has_status;
    bool down;

    struct probe *probe; /* NULL: none has begun, as for a device that never answers */
    struct system_info system;
    bool has_system;
    struct reindex reindex;
    struct action *verdicts; /* of the re-index checks; only a complete run gives them out */
    size_t verdict_count, verdict_cap;
    bool spike_kill; /* values without ':' become U (docs/contract.md 11.8) */

    size_t slice_items; /* items per device thread, for HT[n] (docs/contract.md 5.6) */
    struct outcome *outcomes;
    struct buf text;
    struct span span;
    size_t next_snmp;          /* item: all SNMP items before it have been asked */
    struct suspects *suspects; /* are asked in smaller requests when all others have been asked */
    size_t suspects_count, suspects_cap, suspects_next;
    size_t next_script; /* item: all scripts before it have been asked */
    size_t max_oids;
    size_t learned_oids; /* max_oids when an agent last said that more are too many; 0: none has */
    struct agents agents;
    struct arena memory;
};

/* devrun.c */
struct action *devrun_add_action(struct devrun *run, enum action_kind kind);
struct ask *devrun_add_ask(struct devrun *run, enum ask_kind kind);
/* An action that comes with the rows, or not at all. */
struct action *devrun_add_verdict(struct devrun *run, enum action_kind kind);
bool devrun_listening(const struct devrun *run, enum log_level level);
void devrun_say(struct devrun *run, enum log_level level, const char *fmt, ...) PRINTF(3, 4);
/* The one line about something that does not work, with reason and remedy. */
void devrun_say_trouble(struct devrun *run, const char *fmt, ...) PRINTF(2, 3);
void devrun_finish(struct devrun *run, bool complete, const struct moment *now);

/* The phases: begin is called once on entering; step opens an ask or changes run->phase; snmp takes
 * an answer. */
void devrun_check_step(struct devrun *run, const struct moment *now);
void devrun_check_snmp(struct devrun *run, const struct snmp_reply *reply);
void devrun_check_ping(struct devrun *run, const struct ping_reply *reply);

void devrun_system_begin(struct devrun *run);
void devrun_system_step(struct devrun *run);
void devrun_system_snmp(struct devrun *run, const struct snmp_reply *reply);
/* The text of a system value: as it is if it is text in ASCII, UTF-8 or ISO 8859-1, else hex pairs. */
void devrun_system_text(const struct varbind *vb, struct buf *out);

void devrun_reindex_begin(struct devrun *run);
void devrun_reindex_step(struct devrun *run);
void devrun_reindex_snmp(struct devrun *run, const struct snmp_reply *reply);
void devrun_reindex_script(struct devrun *run, enum ask_kind kind,
                           const struct script_reply *reply);

int devrun_items_slice(const struct devrun *run, size_t item); /* from 1 */
void devrun_items_begin(struct devrun *run);
void devrun_items_step(struct devrun *run, const struct moment *now);
void devrun_items_snmp(struct devrun *run, const struct snmp_reply *reply,
                       const struct moment *now);
void devrun_settle_unknown(struct devrun *run, size_t item, enum unknown_reason reason);
/* What was appended to run->text from there on is the item's value, or U. */
void devrun_settle_text(struct devrun *run, size_t item, enum unknown_reason reason,
                        size_t text_at);
/* How much of the value the column does not take, in words at the end of out; false: it takes all. */
bool devrun_value_too_wide(const struct devrun *run, size_t item, struct buf *out);
void devrun_say_width(struct devrun *run, size_t item);
/* After logging and before storing (docs/contract.md 11.8). */
void devrun_kill_spike(struct devrun *run, size_t item);

/* devrun_script.c: the script items */
void devrun_script_ask(struct devrun *run, size_t item);
void devrun_items_script(struct devrun *run, const struct open_ask *ask,
                         const struct script_reply *reply);
/* What is worth a line whatever the script was run for; source "DS" or "DQ". */
void devrun_say_script(struct devrun *run, enum ask_kind kind, const char *source,
                       uint32_t source_id, const char *command, const struct script_reply *reply);

#endif
