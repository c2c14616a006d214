/*
 * Simulated agents: sets of objects, the agents that serve them, and one request's answer.
 *
 * A farm is filled by spec.c and asked by main.c, on one thread, without clock or I/O of its own:
 * the caller passes the time in and sends what comes out. Nothing is freed before the process ends;
 * a line that replaces an agent's behaviour leaves the old one behind, which is small and bounded
 * by what a test types.
 */
#ifndef FAKEAGENT_AGENT_H
#define FAKEAGENT_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ber.h"
#include "usm.h"

struct object {
    uint32_t *arcs;
    uint8_t *name; /* the same, as BER contents */
    uint16_t n;
    uint16_t name_len;
    uint32_t line;  /* order of appearance: of two with the same OID the later counts */
    uint32_t place; /* in the spec, for agents that do not sort */
    uint64_t hash;
    const struct value *value;
};

struct set {
    char *name;
    struct object *objects;
    size_t n;
    size_t cap;
    uint32_t places;
    uint32_t *index; /* open addressing over hash; object number + 1 */
    size_t mask;
    bool sorted;
    struct set *next;
};

enum missing { MISSING_AUTO, MISSING_OBJECT, MISSING_INSTANCE, MISSING_NULL, MISSING_NOSUCHNAME };
enum truncate { TRUNCATE_NO, TRUNCATE_AT, TRUNCATE_SWEEP };
enum source { SOURCE_OWN, SOURCE_PORT, SOURCE_ADDR };

/* One agent line, shared by all its agents. Times in ms; 0 or false is "does not do that". */
struct behaviour {
    /* what the agent is */
    struct set *set;
    char community[MAX_COMMUNITY + 1];
    size_t community_len;
    bool any_community;
    int version; /* -1: both */
    struct usm_user user;
    enum missing missing;
    bool file_order;
    uint32_t max_size;
    uint32_t toobig_above; /* UINT32_MAX: never */
    uint64_t uptime;       /* ticks at since_ms */
    int64_t since_ms;
    uint64_t seed;
    /* which requests it leaves unanswered, and how long the others take */
    double loss;
    uint64_t drop_first;
    uint64_t drop_n, drop_of;
    uint64_t die_after; /* UINT64_MAX: never */
    uint64_t recover;   /* UINT64_MAX: never */
    uint32_t delay_min, delay_max;
    /* faults, on the requests that during/share select */
    uint64_t during_first, during_last;
    uint64_t share_n, share_of;
    uint32_t late;
    uint32_t copies;
    uint32_t garbage;
    uint32_t corrupt;
    enum truncate truncate;
    uint32_t truncate_at;
    enum source source;
    int32_t error, error_index;   /* error -1: none */
    uint32_t other_oid;           /* number of the varbind, from 1 */
    uint32_t omit_after;          /* varbinds; 0: none is left out */
    const struct behaviour *kept; /* the one before it in the farm */
    bool silent, wrong_id, wrong_version, wrong_community, wrong_pdu, reorder, omit_first,
        omit_last, extra, zero_length, oversized, stuck, long_lengths;
};

struct agent {
    uint32_t addr; /* host order */
    const struct behaviour *b;
    uint64_t requests; /* well-formed, with the right community */
    uint64_t answers;
    uint64_t waiting, most_waiting; /* for an answer that is delayed */
    uint64_t rng;
    uint32_t sweep;
};

struct counters {
    uint64_t requests;
    uint64_t answers;
    uint64_t varbinds;
    uint64_t dropped;
    uint64_t decode_errors;
    uint64_t bad_community;
    uint64_t unknown_address;
    uint64_t not_loopback;
    uint64_t overflow;
    uint64_t send_errors;
};

struct farm {
    struct set *sets;
    struct value *values; /* all there ever were, likewise behaviours */
    const struct behaviour *behaviours;
    struct agent *agents; /* open addressing over addr; 0 is free */
    size_t n;
    size_t mask;
    struct counters counters;
    struct snmp_request request; /* the one being answered */
    bool v3;                     /* it came as the message below */
    struct usm_message message;
};

/* Sets. set_get creates what is not there if asked to; set_sort must follow additions before a
 * request. */
struct set *set_get(struct farm *f, const char *name, bool create);
void set_add(struct set *s, const uint32_t *arcs, size_t n, const struct value *v);
void set_sort(struct set *s);

/* An agent that does everything right. */
void behaviour_init(struct behaviour *b, struct set *set);
/* Who may ask it by SNMPv3; false: not as usm_user_parse wants it. */
static inline bool behaviour_user(struct behaviour *b, const char *text)
{
    return usm_user_parse(&b->user, text);
}

/* NULL if there is no agent. The pointer holds until the next agent_put. */
struct agent *agent_find(const struct farm *f, uint32_t addr);
struct agent *agent_put(struct farm *f, uint32_t addr, const struct behaviour *b);

enum fate { FATE_ANSWER, FATE_DROP, FATE_MALFORMED, FATE_COMMUNITY };

enum { REPLY_ROOM = ANSWER_MAX + 512 };

struct reply {
    uint8_t *buf; /* of REPLY_ROOM bytes, the caller's */
    size_t len;
    uint32_t copies;
    uint32_t delay_ms;
    enum source source;
};

/* One datagram for the agent. The reply is filled for FATE_ANSWER; f->request is valid but for
 * malformed. */
enum fate agent_handle(struct farm *f, struct agent *a, const uint8_t *data, size_t len,
                       int64_t now_ms, struct reply *reply);

#endif
