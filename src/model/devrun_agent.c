#include "config.h"

#include "base/mem.h"
#include "devrun_private.h"

#include <inttypes.h>

static const uint32_t sys_uptime[] = {1, 3, 6, 1, 2, 1, 1, 3, 0};

static struct agent *agent_get(const struct devrun *run, const struct target *t)
{
    for (size_t i = 0; i < run->agents.count; i++)
        if (target_same_agent(run->agents.list[i].target, t))
            return &run->agents.list[i];
    return NULL;
}

static struct agent *agent_meet(struct devrun *run, const struct target *t)
{
    struct agent *a = agent_get(run, t);
    if (a != NULL)
        return a;
    run->agents.list = mem_grow(run->agents.list, run->agents.count, &run->agents.cap, 1,
                                sizeof(run->agents.list[0]));
    a = &run->agents.list[run->agents.count++];
    *a = (struct agent){.target = t};
    return a;
}

/* ---- time ---- */

/* The checks that may be skipped leave half of the time for the values. */
static bool agent_before_polling(const struct devrun *run)
{
    return run->phase == PHASE_SYSTEM || run->phase == PHASE_REINDEX;
}

/* Of what this agent, and all agents of the device, may take until the end of this part of the run.
 */
static int64_t agent_left_us(const struct devrun *run, const struct agent *a)
{
    int64_t whole = run->options.agent_ms * 1000;
    int64_t share = agent_before_polling(run) ? whole / 2 : whole;
    int64_t own = share - (a == NULL ? 0 : a->spent_us);
    int64_t all = 2 * share - run->agents.spent_us;
    if (run->options.agent_ms == 0)
        return INT64_MAX;
    return own < all ? own : all;
}

/* The fraction of a millisecond that a request limited in milliseconds may leave is no time. */
static bool agent_has_time(const struct devrun *run, const struct agent *a)
{
    return agent_left_us(run, a) >= 1000;
}

/* Once before the values are polled, and once then. */
static void agent_say_time(struct devrun *run, struct agent *a)
{
    bool before = agent_before_polling(run);
    bool *told = before ? &a->told_early : &a->told_late;
    if (*told || agent_has_time(run, a) || !(before || run->phase == PHASE_ITEMS))
        return;
    *told = true;
    devrun_say(run, LOG_ALWAYS,
               "Device[%" PRIu32 "] HT[1] WARNING: SNMP requests to '%s' have taken %.1f s (%.1f s "
               "to all agents of the device), %s.  A shorter SNMP time-out or a larger 'Maximum "
               "OIDs Per Get Request' makes them faster",
               run->device->id, a->target->hostname, (double)a->spent_us / 1e6,
               (double)run->agents.spent_us / 1e6,
               before ? "the remaining checks before polling are skipped"
                      : "which is all that they may take of a cycle: the remaining items are U");
}

/* ---- silence ---- */

bool devrun_agent_is_news(struct devrun *run, const struct target *t)
{
    struct agent *a = agent_meet(run, t);
    bool news = !a->told_trouble;
    a->told_trouble = true;
    return news;
}

bool devrun_agent_silence(struct devrun *run, const struct target *t)
{
    struct agent *a = agent_meet(run, t);
    if (run->agents.unexplained || !agent_has_time(run, a))
        return false;
    a->silent_ms = t->timeout_ms; /* more than before: else it would not have been asked */
    a->silent = true;
    devrun_say_silence(run, a);
    return true;
}

bool devrun_agent_gone(const struct devrun *run, const struct target *t)
{
    const struct agent *a = agent_get(run, t);
    bool silent = a != NULL && a->silent && t->timeout_ms <= a->silent_ms;
    return silent || !agent_has_time(run, a);
}

bool devrun_agent_is_mute(const struct devrun *run, const struct target *t, struct oid name)
{
    const struct agent *a = agent_get(run, t);
    for (size_t i = 0; a != NULL && i < a->mute_count; i++)
        if (oid_equal(a->mute[i], name))
            return true;
    return false;
}

void devrun_agent_note_mute(struct devrun *run, const struct target *t, struct oid name)
{
    struct agent *a = agent_meet(run, t);
    if (a->mute_count < ARRAY_LEN(a->mute))
        a->mute[a->mute_count++] = name;
}

void devrun_agent_blame(struct devrun *run, const struct target *t, struct oid name,
                        const char *whose)
{
    struct buf text = BUF_INIT;
    oid_print(name, &text);
    devrun_say(run, LOG_ALWAYS,
               "Device[%" PRIu32 "] HT[1] %sWARNING: SNMP timeout detected [%" PRIu32
               " ms] for OID '%s' alone: '%s' answers others.  It is not asked for again in this "
               "cycle; disable what asks for it if the agent cannot be repaired",
               run->device->id, whose, t->timeout_ms, buf_str(&text), t->hostname);
    buf_done(&text);
    devrun_agent_note_mute(run, t, name);
}

/* ---- answers with an error status ---- */

/* Some agents count from 0: an error about a single object needs no index. */
size_t devrun_agent_names(struct devrun *run, const struct snmp_reply *reply, size_t asked)
{
    if (asked == 1)
        return 0;
    if (reply->error_index >= 1 && (size_t)reply->error_index <= asked &&
        reply->error_status != SNMP_ERROR_TOO_BIG)
        return (size_t)reply->error_index - 1;
    run->max_oids = asked / 2;
    if (reply->error_status == SNMP_ERROR_TOO_BIG) /* another one may be about one bad object */
        run->learned_oids = run->max_oids;
    devrun_say(
        run, LOG_MEDIUM,
        "Device[%" PRIu32 "] HT[1] NOTE: A request for %zu OIDs was refused (error status "
        "%ld), asking for %zu at a time.  Set the device's 'Maximum OIDs Per Get Request' to "
        "that",
        run->device->id, asked, reply->error_status, run->max_oids);
    return asked;
}

/* ---- answers that leave objects out ---- */

void devrun_agent_omits(struct devrun *run, const struct target *t, size_t asked, size_t answered,
                        bool from_the_end)
{
    struct agent *a = agent_meet(run, t);
    if (a->left_out_of == 0) {
        a->left_out = asked - answered;
        a->left_out_of = asked;
    }
    if (answered == 0) {
        run->learned_oids = run->max_oids = asked / 2;
    } else if (from_the_end || answered <= asked / 2) {
        run->learned_oids = run->max_oids = answered;
        a->enough = answered;
    }
}

void devrun_agent_made_good(struct devrun *run, const struct target *t, size_t asked)
{
    struct agent *a = agent_meet(run, t);
    if (a->told_omits)
        return;
    a->told_omits = true;
    devrun_say(run, LOG_ALWAYS,
               "Device[%" PRIu32 "] HT[1] WARNING: '%s' has left %zu of %zu OIDs out of an answer "
               "and answers them when asked again.  Set the device's 'Maximum OIDs Per Get "
               "Request' to %zu",
               run->device->id, t->hostname, a->left_out, a->left_out_of,
               asked > a->enough ? asked : a->enough);
}

/* ---- asking ---- */

void devrun_ask_snmp(struct devrun *run, const struct snmp_request *request)
{
    const struct agent *a = agent_meet(run, request->target);
    struct snmp_request *r = &devrun_add_ask(run, ASK_SNMP)->snmp;
    int64_t left_us = agent_left_us(run, a);
    *r = *request;
    if (run->options.agent_ms > 0)
        r->limit_ms = left_us > 0 ? (left_us + 999) / 1000 : 1;
    run->agents.asked = (struct asked){
        .target = request->target,
        .is_get = request->op == SNMP_OP_GET,
        .name = request->names[0],
        .count = request->count,
    };
}

/* An object that it has answered for, or one that every agent has. */
static struct oid agent_known(const struct agent *a)
{
    return a->known.len > 0 ? a->known : (struct oid){sys_uptime, ARRAY_LEN(sys_uptime)};
}

static void agent_ask_known(struct devrun *run, const struct agent *a)
{
    run->agents.doubted = run->agents.asked;
    run->agents.doubt_name = agent_known(a);
    devrun_ask_snmp(run, &(struct snmp_request){
                             .op = SNMP_OP_GET,
                             .target = run->agents.doubted.target,
                             .names = &run->agents.doubt_name,
                             .count = 1,
                         });
    run->agents.asked.is_doubt = true;
}

/* Whether it is worth asking if the agent still lives.  It is not if it was asked for nothing else,
 * nor after as many time-outs as make no difference, nor without time for the answer. */
static bool agent_is_doubtful(struct devrun *run, struct agent *a)
{
    bool same = run->agents.asked.count == 1 && run->agents.asked.is_get &&
                oid_equal(run->agents.asked.name, agent_known(a));
    if (!a->answered || same || devrun_agent_gone(run, run->agents.asked.target))
        return false;
    if (++a->vain <= AGENT_VAIN_MAX)
        return true;
    devrun_say(run, LOG_ALWAYS,
               "Device[%" PRIu32 "] HT[1] WARNING: '%s' has left more than %d requests "
               "unanswered; it is not asked again in this cycle",
               run->device->id, run->agents.asked.target->hostname, AGENT_VAIN_MAX);
    a->told_trouble = true;
    devrun_agent_silence(run, run->agents.asked.target);
    return false;
}

/* What the availability check finds is told when the check is over; a refusal answers the question
 * whether an agent lives. */
static void agent_note_trouble(struct devrun *run, struct agent *a, const struct snmp_reply *reply)
{
    bool is_doubt = run->agents.asked.is_doubt && reply->outcome == SNMP_REFUSED;
    bool told_elsewhere = run->phase == PHASE_CHECK || is_doubt;
    if (reply->outcome == SNMP_TIMED_OUT && !a->told_trouble && reply->detail != NULL)
        a->silence = arena_strdup(&run->memory, reply->detail);
    else if (reply->outcome != SNMP_TIMED_OUT && reply->outcome != SNMP_ANSWERED && !told_elsewhere)
        devrun_say_failure(run, a->target, reply);
}

static void agent_note_reply(struct devrun *run, struct agent *a, const struct snmp_reply *reply)
{
    a->spent_us += reply->elapsed_us;
    run->agents.spent_us += reply->elapsed_us;
    agent_say_time(run, a);
    agent_note_trouble(run, a, reply);
    /* the driver itself says that a request is too big */
    if (reply->outcome != SNMP_ANSWERED || reply->error_status == SNMP_ERROR_TOO_BIG)
        return;
    a->answered = true;
    if (run->agents.asked.is_get)
        a->known = run->agents.asked.name;
}

/* Only an answer shows that it lives, and only silence that it does not: a failure of the poller's
 * machine leaves both open. */
static void agent_hear_doubt(struct devrun *run, const struct snmp_reply *reply)
{
    struct agents *all = &run->agents;
    const struct target *t = all->doubted.target;
    all->asked = all->doubted;
    switch (reply->outcome) {
    case SNMP_ANSWERED:
    case SNMP_REFUSED: all->about_objects = !devrun_agent_gone(run, t); break;
    case SNMP_TIMED_OUT: (void)devrun_agent_silence(run, t); break;
    case SNMP_FAILED:
    case SNMP_IMPOSSIBLE:
        all->unexplained = true; /* told already */
        break;
    }
}

const struct snmp_reply *devrun_agent_hear(struct devrun *run, const struct snmp_reply *reply)
{
    static const struct snmp_reply silence = {.outcome = SNMP_TIMED_OUT, .detail = ""};
    struct agent *a = agent_meet(run, run->agents.asked.target);
    bool timed_out = reply->outcome == SNMP_TIMED_OUT;
    run->agents.about_objects = run->agents.unexplained = false;
    agent_note_reply(run, a, reply);
    if (run->agents.asked.is_doubt) {
        agent_hear_doubt(run, reply);
        return &silence;
    }
    if (!timed_out || !agent_is_doubtful(run, a))
        return reply;
    agent_ask_known(run, a);
    return NULL;
}
