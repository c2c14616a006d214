/* The inside of a device run, second part: which agents to ask, and what a time-out means.
 *
 * Rule: silence belongs to an agent, not to the device: its items may have others.  A time-out of an
 *       agent that has answered before is looked into first: the agent is asked for an object that
 *       it has answered.  If it answers, the time-out is due to the objects that were asked for;
 *       if it times out, the agent has fallen silent.  A request that ends with the time for the
 *       checks before polling says nothing of the agent: the items ask it again. */
#ifndef SPINE_MODEL_DEVRUN_AGENT_H
#define SPINE_MODEL_DEVRUN_AGENT_H

#include "model/ask.h"

struct devrun;

enum { AGENT_VAIN_MAX = 16 }; /* time-outs after which it is no longer asked, although it answers */

/* An agent as this run has come to know it: all targets that differ in their time-out alone. */
struct agent {
    const struct target *target;
    bool answered;    /* a request of this run, with whatever */
    struct oid known; /* an object of the last GET that it answered; len 0: none */
    bool silent;      /* for targets whose time-out is not longer than silent_ms */
    uint32_t silent_ms;
    size_t vain; /* time-outs after it had answered */
    struct oid mute[AGENT_VAIN_MAX];
    size_t mute_count;
    int64_t spent_us;
    bool told_early, told_late; /* that its time is over: before polling, while polling */
    size_t left_out, left_out_of;
    size_t enough; /* this number is in its answers */
    bool told_omits;
    const char *silence; /* of its last time-out, from the driver; NULL: there was none */
    bool told_trouble;
};

/* The SNMP request that is open, or whose answer is looked at. */
struct asked {
    const struct target *target;
    bool is_get;
    struct oid name; /* the first */
    size_t count;
    bool is_doubt; /* it only asks whether the agent lives */
};

struct agents {
    struct agent *list; /* that have been asked */
    size_t count, cap;
    int64_t spent_us; /* all of them together */
    struct asked asked;
    struct asked doubted;  /* asked.is_doubt: the request whose time-out is looked into */
    struct oid doubt_name; /* of the request that does */
    bool about_objects;    /* the time-out is due to what was asked for: the agent lives */
    bool unexplained;      /* whether it lives could not be asked */
};

void devrun_ask_snmp(struct devrun *run, const struct snmp_request *request);

/* Every answer comes here first.  Returns what the phase has to look at (with about_objects if it
 * is a time-out); NULL: that depends on one more question, which is open now. */
const struct snmp_reply *devrun_agent_hear(struct devrun *run, const struct snmp_reply *reply);

/* A request has timed out, and not for its objects: the agent is silent.  false: it may live; its
 * time in this part of the run was over before it could answer, or it could not be asked. */
bool devrun_agent_silence(struct devrun *run, const struct target *t);

/* That it does not answer, or not as it should, is told once; false: it has been. */
bool devrun_agent_is_news(struct devrun *run, const struct target *t);

/* It is silent, or has used up its time: it is no longer asked. */
bool devrun_agent_gone(const struct devrun *run, const struct target *t);

/* The object was asked for without an answer: it is not asked for again. */
void devrun_agent_note_mute(struct devrun *run, const struct target *t, struct oid name);
/* The same for one that was asked for alone, with a line in the log.  whose: "DS[3] " or "". */
void devrun_agent_blame(struct devrun *run, const struct target *t, struct oid name,
                        const char *whose);
bool devrun_agent_is_mute(const struct devrun *run, const struct target *t, struct oid name);

/* Which of `asked` objects an error status is about, from 0.  `asked`: none of them; the next
 * request is half as large. */
size_t devrun_agent_names(struct devrun *run, const struct snmp_reply *reply, size_t asked);

/* Objects are missing in an answer to more than one: they are asked for again, in smaller requests
 * if that seems to be the reason.  Then: one of them has come, in an answer to a request for that
 * many. */
void devrun_agent_omits(struct devrun *run, const struct target *t, size_t asked, size_t answered,
                        bool from_the_end);
void devrun_agent_made_good(struct devrun *run, const struct target *t, size_t asked);

#endif
