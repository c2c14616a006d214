#include "config.h"

#include "engine/asker.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/lease.h"
#include "core/pool.h"
#include "drivers/snmp.h"
#include "engine/inflight.h"
#include "engine/scripts.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct asker {
    struct cycle *c; /* a reference */
    struct services *services;
    struct loop *loop;
    struct pool *pool;         /* whose workers block, or NULL */
    struct inflight *inflight; /* what waits on the loop, or NULL; with neither, asks block in
                                * asker_wait_one() */
    struct scripts *scripts;   /* NULL: none are needed, or no supervisor can be started */
    int workers;
    TAILQ_HEAD(asker_sessions, asker_session) sessions;
    int session_count;
    size_t errands; /* scripts that have not been answered, of closed sessions too */
    struct asker_session *blocking; /* pool NULL: whose ask the next wait carries out */
    size_t delivered;               /* answers so far */
    loop_fn *on_room;
    void *on_room_arg;
    void (*on_wait)(void *arg, const struct asker_wait *wait);
    void *on_wait_arg;
};

/* A device while it is asked.  While `asking`, the worker has the agent, the ask and the reply. */
struct asker_session {
    TAILQ_ENTRY(asker_session) next;
    struct asker *a;
    struct cycle *c; /* a reference */
    struct services *services;
    const struct device *device; /* a reference: an abandoned call still reads it */
    struct snmp_agent *agent;    /* NULL: the flight asks */
    struct flight *flight;       /* NULL: the thread that blocks asks */
    asker_done_fn *done;         /* NULL: closed */
    void *arg;
    bool asking;    /* an ask that blocks has begun and has not been answered */
    size_t errands; /* scripts that have not been answered */
    bool delivering;
    struct asker_wait call;   /* the ask that blocks */
    struct asker_wait script; /* the script that was begun last */
    struct job job;
    struct ask ask;
    struct oid *names; /* the ask's own */
    struct reply reply;
};

/* A script ask on its way to the supervisor's thread and back. */
struct asker_errand {
    struct loop_letter letter;
    struct asker_session *s;
    struct reply reply;
    char *output, *detail; /* copies that the letter carries */
};

const char *asker_kind_text(enum ask_kind kind)
{
    switch (kind) {
    case ASK_SNMP: return "SNMP";
    case ASK_PING: return "a ping";
    case ASK_SCRIPT: return "a script";
    case ASK_SERVER: return "a script server";
    }
    return "nothing";
}

static bool asker_waits_on_loop(const struct asker *a)
{
    return a->pool != NULL || a->inflight != NULL;
}

/* ---- sessions ---- */

static void asker_free_session(struct asker_session *s)
{
    snmp_agent_free(s->agent);
    flight_free(s->flight);
    free(s->names);
    device_unref(s->device);
    cycle_unref(s->c);
    free(s);
}

/* A closed session is freed when all calls that it has begun have returned. */
static void asker_settle(struct asker_session *s)
{
    struct asker *a = s->a;
    if (s->done != NULL || s->asking || s->errands > 0 || s->delivering)
        return;
    TAILQ_REMOVE(&a->sessions, s, next);
    a->session_count--;
    asker_free_session(s);
    if (a->on_room != NULL)
        a->on_room(a->on_room_arg);
}

/* A silence because all are given up says nothing of the device. */
static void asker_doubt_name(const struct asker_session *s, const struct reply *reply)
{
    struct resolver *r = s->services->resolver;
    if (s->services->lender == NULL || give_up_is_set(&s->c->give_up))
        return;
    if (reply->kind == ASK_SNMP && reply->snmp.outcome == SNMP_TIMED_OUT)
        resolver_doubt(r, s->ask.snmp.target->hostname);
    else if (reply->kind == ASK_PING && reply->ping.outcome == PING_DOWN)
        resolver_doubt(r, s->ask.ping.hostname);
}

/* done() may close the session, which goes afterwards. */
static void asker_deliver(struct asker_session *s, const struct reply *reply)
{
    s->a->delivered++;
    asker_doubt_name(s, reply);
    s->delivering = true;
    if (s->done != NULL)
        s->done(s->arg, reply);
    s->delivering = false;
    asker_settle(s);
}

static struct snmp_options asker_snmp_options(const struct cycle *c,
                                              const struct services *services)
{
    return (struct snmp_options){
        .retries = c->config->snmp_retries,
        .client_address = c->config->snmp_client_address,
        .resolver = services->resolver,
        .give_up = (struct give_up *)(uintptr_t)&c->give_up,
        .engines = services->engines,
    };
}

struct asker_session *asker_open(struct asker *a, const struct device *device, asker_done_fn *done,
                                 void *arg)
{
    struct asker_session *s = mem_zalloc(1, sizeof(*s));
    loop_assert_here(a->loop);
    *s = (struct asker_session){
        .a = a,
        .c = cycle_ref(a->c),
        .services = a->services,
        .device = device_ref(device),
        .done = done,
        .arg = arg,
        .call = {.device_id = device->id},
        .script = {.device_id = device->id},
    };
    if (a->inflight != NULL) {
        s->flight = flight_new(a->inflight, device->status.status == HOST_DOWN);
    } else {
        const struct snmp_options snmp = asker_snmp_options(a->c, a->services);
        s->agent = snmp_agent_new(&snmp);
    }
    TAILQ_INSERT_TAIL(&a->sessions, s, next);
    a->session_count++;
    return s;
}

void asker_close(struct asker_session *s)
{
    if (s == NULL)
        return;
    s->done = NULL;
    if (s->a->blocking == s) { /* it has not begun and will not */
        s->a->blocking = NULL;
        s->asking = false;
    }
    if (s->flight != NULL && s->asking && flight_give_up(s->flight))
        s->asking = false;
    asker_settle(s);
}

void asker_orphan(struct asker_session *s)
{
    s->done = NULL;
}

struct asker_wait asker_get_wait(const struct asker_session *s)
{
    if (s->asking)
        return s->call;
    if (s->errands > 0)
        return s->script;
    return (struct asker_wait){.device_id = s->device->id};
}

/* ---- asks that block ---- */

/* The cycle's deadline, or the request's own limit. */
static int64_t asker_snmp_deadline(const struct asker_session *s)
{
    int64_t deadline = s->c->budget.poll_until;
    int64_t limit_ms = s->ask.snmp.limit_ms, limit = clock_mono_ms() + limit_ms;
    return limit_ms > 0 && limit < deadline ? limit : deadline;
}

/* A worker's, or the calling thread's. */
static void asker_carry_out(struct asker_session *s)
{
    int64_t deadline = s->c->budget.poll_until;
    struct reply *r = &s->reply;
    r->kind = s->ask.kind;
    r->ask_id = s->ask.id;
    if (s->ask.kind == ASK_SNMP)
        snmp_agent_ask(s->agent, &s->ask.snmp, asker_snmp_deadline(s), &r->snmp);
    else
        pinger_ask(s->services->pinger, &s->ask.ping, deadline, &s->c->give_up, &r->ping);
    r->at = cycle_now();
}

static struct asker_session *asker_session_of(struct job *job)
{
    return (struct asker_session *)((char *)job - offsetof(struct asker_session, job));
}

static void asker_run_job(struct job *job)
{
    asker_carry_out(asker_session_of(job));
}

static void asker_done_job(struct job *job, bool cancelled)
{
    struct asker_session *s = asker_session_of(job);
    s->asking = false;
    if (cancelled) { /* the cycle is over: it says nothing about the device */
        static const struct snmp_reply silence = {.outcome = SNMP_TIMED_OUT, .detail = ""};
        static const struct ping_reply nothing = {.outcome = PING_IMPOSSIBLE, .text = ""};
        s->reply = (struct reply){.kind = s->ask.kind, .ask_id = s->ask.id, .at = cycle_now()};
        if (s->ask.kind == ASK_SNMP)
            s->reply.snmp = silence;
        else
            s->reply.ping = nothing;
    }
    asker_deliver(s, &s->reply);
}

void asker_say_left_behind(const struct asker_wait *wait)
{
    log_line(LOG_ALWAYS,
             "WARNING: Device[%" PRIu32 "] A call for %s has not returned for %" PRId64
             " ms although it was given up; the cycle ends without it",
             wait->device_id, asker_kind_text(wait->kind), clock_mono_ms() - wait->since_mono_ms);
}

/* The worker has the session from now on. */
static void asker_leave_behind(struct job *job)
{
    struct asker_session *s = asker_session_of(job);
    asker_say_left_behind(&s->call);
    TAILQ_REMOVE(&s->a->sessions, s, next);
}

/* On an abandoned worker. */
static void asker_come_late(struct job *job)
{
    asker_free_session(asker_session_of(job));
}

/* On the loop: the request has ended. */
static void asker_on_flight(void *arg)
{
    struct asker_session *s = arg;
    s->asking = false;
    s->reply = (struct reply){.kind = s->ask.kind, .ask_id = s->ask.id, .at = cycle_now()};
    if (s->ask.kind == ASK_SNMP)
        flight_get_snmp(s->flight, &s->reply.snmp);
    else
        flight_get_ping(s->flight, &s->reply.ping);
    asker_deliver(s, &s->reply);
}

static const struct job_calls asker_job = {.run = asker_run_job,
                                           .done = asker_done_job,
                                           .left = asker_leave_behind,
                                           .late = asker_come_late};

static void asker_begin_blocking(struct asker_session *s, const struct ask *ask)
{
    struct asker *a = s->a;
    CHECK(!s->asking);
    s->ask = *ask;
    if (ask->kind == ASK_SNMP) { /* the run may be stopped, and change, while the ask goes on */
        size_t n = ask->snmp.count;
        s->names = mem_realloc(s->names, n, sizeof(s->names[0]));
        memcpy(s->names, ask->snmp.names, n * sizeof(s->names[0]));
        s->ask.snmp.names = s->names;
    }
    s->asking = true;
    if (a->inflight != NULL) {
        flight_begin(s->flight, &s->ask, s->c->budget.poll_until, asker_on_flight, s);
    } else if (a->pool != NULL) {
        pool_submit(a->pool, &s->job, &asker_job);
    } else {
        CHECK(a->blocking == NULL);
        a->blocking = s;
    }
}

/* ---- scripts ---- */

static void asker_take_errand(void *arg)
{
    struct asker_errand *e = arg;
    struct asker_session *s = e->s;
    s->errands--;
    s->a->errands--;
    asker_deliver(s, &e->reply);
    free(e->output);
    free(e->detail);
    free(e);
}

/* On the supervisor's thread: the loop's own, or another one, which sends copies. */
static void asker_on_script(void *arg, const struct script_reply *script)
{
    struct asker_errand *e = arg;
    struct asker *a = e->s->a;
    e->reply.script = *script;
    e->reply.at = cycle_now();
    if (asker_waits_on_loop(a)) {
        asker_take_errand(e);
        return;
    }
    e->output = mem_alloc(script->len + 1);
    if (script->len > 0)
        memcpy(e->output, script->output, script->len);
    e->output[script->len] = '\0';
    e->reply.script.output = e->output;
    if (script->detail != NULL)
        e->reply.script.detail = e->detail = mem_strdup(script->detail);
    loop_post(a->loop, &e->letter, asker_take_errand, e);
}

static void asker_begin_script(struct asker_session *s, const struct ask *ask)
{
    struct asker_errand *e = mem_zalloc(1, sizeof(*e));
    CHECK(s->a->scripts != NULL);
    e->s = s;
    e->reply.kind = ask->kind;
    e->reply.ask_id = ask->id;
    s->errands++;
    s->a->errands++;
    scripts_begin(s->a->scripts, ask, s->c->budget.poll_until, asker_on_script, e);
}

/* ---- asking ---- */

static bool asker_blocks(enum ask_kind kind)
{
    return kind == ASK_SNMP || kind == ASK_PING;
}

void asker_begin(struct asker_session *s, const struct ask *ask)
{
    loop_assert_here(s->a->loop);
    struct asker_wait *wait = asker_blocks(ask->kind) ? &s->call : &s->script;
    wait->kind = ask->kind;
    wait->since_mono_ms = clock_mono_ms();
    if (asker_blocks(ask->kind))
        asker_begin_blocking(s, ask);
    else
        asker_begin_script(s, ask);
}

bool asker_has_room(const struct asker *a)
{
    return a->inflight != NULL ? inflight_has_room(a->inflight) : a->session_count < a->workers;
}

void asker_on_room(struct asker *a, loop_fn *fn, void *arg)
{
    a->on_room = fn;
    a->on_room_arg = arg;
    if (a->inflight != NULL)
        inflight_on_room(a->inflight, fn, arg);
}

void asker_on_wait(struct asker *a, void (*fn)(void *arg, const struct asker_wait *wait), void *arg)
{
    a->on_wait = fn;
    a->on_wait_arg = arg;
}

static void asker_tell_wait(const struct asker *a, const struct asker_wait *wait)
{
    if (a->on_wait != NULL)
        a->on_wait(a->on_wait_arg, wait);
}

/* Answers of scripts that are there already. */
static bool asker_take_letters(struct asker *a)
{
    size_t before = a->delivered;
    if (a->errands > 0)
        loop_turn_now(a->loop);
    return a->delivered > before;
}

static bool asker_wait_blocking(struct asker *a, struct lease *lease)
{
    struct asker_session *s = a->blocking;
    const struct asker_wait none = {.device_id = s->device->id};
    a->blocking = NULL;
    asker_tell_wait(a, &s->call);
    if (lease != NULL)
        lease_enter(lease);
    asker_carry_out(s);
    if (lease != NULL && !lease_leave(lease))
        return false;
    asker_tell_wait(a, &none);
    s->asking = false;
    asker_deliver(s, &s->reply);
    return true;
}

bool asker_wait_one(struct asker *a, struct lease *lease)
{
    size_t before = a->delivered;
    CHECK(!asker_waits_on_loop(a) && (a->blocking != NULL || a->errands > 0));
    if (asker_take_letters(a))
        return true;
    if (a->blocking != NULL)
        return asker_wait_blocking(a, lease);
    const struct asker_session *s = TAILQ_LAST(&a->sessions, asker_sessions);
    const struct asker_wait wait = asker_get_wait(s), none = {.device_id = s->device->id};
    asker_tell_wait(a, &wait);
    while (a->delivered == before)
        loop_turn(a->loop);
    asker_tell_wait(a, &none);
    return true;
}

/* ---- life ---- */

static bool asker_hire(struct asker *a, int workers, struct err *err)
{
    a->pool = pool_new(a->loop, "ask", workers, err);
    if (a->pool == NULL)
        return false;
    a->workers = pool_started(a->pool);
    if (a->workers < workers)
        log_line(LOG_ALWAYS, "WARNING: only %d of %d threads: %s", a->workers, workers, err->text);
    return true;
}

/* Descriptors beside those for devices: a script has two or three, and the rest of the program some. */
enum { ASKER_OTHER_DESCRIPTORS = 64, ASKER_SCRIPT_DESCRIPTORS = 3 };

static bool asker_provide_inflight(struct asker *a, struct err *err)
{
    const struct config *config = a->c->config;
    int scripts = config->max_scripts + config->php_servers;
    const struct inflight_options o = {
        .loop = a->loop,
        .services = a->services,
        .snmp = asker_snmp_options(a->c, a->services),
        .address_limit = config->address_limit,
        .other_descriptors = ASKER_OTHER_DESCRIPTORS + ASKER_SCRIPT_DESCRIPTORS * scripts,
    };
    a->inflight = inflight_new(&o, err);
    return a->inflight != NULL;
}

struct asker *asker_new(struct cycle *c, struct services *services, struct loop *loop, int workers,
                        struct err *err)
{
    struct asker *a = mem_zalloc(1, sizeof(*a));
    *a = (struct asker){.c = cycle_ref(c), .services = services, .loop = loop, .workers = workers};
    TAILQ_INIT(&a->sessions);
    if (workers == 0 ||
        (c->config->async_snmp ? asker_provide_inflight(a, err) : asker_hire(a, workers, err)))
        return a;
    asker_free(a);
    return NULL;
}

void asker_set_scripts(struct asker *a, struct scripts *scripts)
{
    a->scripts = scripts;
}

size_t asker_end(struct asker *a, int64_t until_mono_ms)
{
    a->on_room = NULL;
    if (a->inflight != NULL) {
        inflight_end(a->inflight);
        return 0;
    }
    if (a->pool != NULL)
        return pool_end(a->pool, until_mono_ms);
    while (a->errands > 0) /* the supervisor has promised to answer */
        loop_turn(a->loop);
    return 0;
}

void asker_free(struct asker *a)
{
    struct asker_session *s;
    if (a == NULL)
        return;
    pool_free(a->pool);
    while ((s = TAILQ_FIRST(&a->sessions)) != NULL) {
        CHECK(s->errands == 0);
        TAILQ_REMOVE(&a->sessions, s, next);
        asker_free_session(s);
    }
    inflight_free(a->inflight);
    cycle_unref(a->c);
    free(a);
}

struct services *asker_get_services(const struct asker *a)
{
    return a->services;
}

void reply_deliver(const struct reply *r, struct devrun *run)
{
    switch (r->kind) {
    case ASK_SNMP: devrun_answer_snmp(run, r->ask_id, &r->snmp, &r->at); break;
    case ASK_PING: devrun_answer_ping(run, r->ask_id, &r->ping, &r->at); break;
    case ASK_SCRIPT:
    case ASK_SERVER: devrun_answer_script(run, r->ask_id, &r->script, &r->at); break;
    }
}
