#include "config.h"

#include "fake_snmp.h"

#include "../support/await.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"
#include "drivers/ping.h"
#include "drivers/snmp.h"
#include "fake_clock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOSTS_MAX = 16, NAMES_MAX = 100, ITEM_SUBS = 9 };

struct fake_snmp fake_snmp;

static struct {
    const char *hostname;
    enum fake_mood mood;
} hosts[HOSTS_MAX];
static int host_count;

static struct thr_mutex lock = THR_MUTEX_INITIALIZER;
static pthread_cond_t changed; /* CLOCK_MONOTONIC */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int in_progress, parting;
static bool rung, brought_back;
static int64_t jumped_to_ms;

struct snmp_agent {
    struct give_up *give_up;
    bool asking;
    struct varbind varbinds[NAMES_MAX];
};

/* ---- what the scenario says ---- */

static void init(void)
{
    thr_cond_init(&changed);
}

static void enter(void) ACQUIRE(lock);
static void leave(void) RELEASE(lock);
static size_t backlog_locked(void) REQUIRES(lock);
static void ring_locked(bool again) REQUIRES(lock);
static void wait_given_up_locked(const struct give_up *give_up) REQUIRES(lock);
static void answer_locked(struct snmp_agent *a, const struct snmp_request *rq,
                          struct snmp_reply *ret) REQUIRES(lock);
static void react_locked(struct snmp_agent *a, const struct snmp_request *rq,
                         int64_t deadline_mono_ms, struct snmp_reply *ret) REQUIRES(lock);
static void measure_stack_locked(void) REQUIRES(lock);
static void look_at_time_locked(void) REQUIRES(lock);

static void enter(void)
{
    pthread_once(&once, init);
    thr_lock(&lock);
}

static void leave(void)
{
    pthread_cond_broadcast(&changed);
    thr_unlock(&lock);
}

void fake_snmp_mood(const char *hostname, enum fake_mood mood)
{
    int i = 0;
    while (i < host_count && strcmp(hosts[i].hostname, hostname) != 0)
        i++;
    CHECK(i < HOSTS_MAX);
    hosts[i].hostname = hostname;
    hosts[i].mood = mood;
    if (i == host_count)
        host_count++;
}

static enum fake_mood mood_of(const char *hostname)
{
    for (int i = 0; i < host_count; i++)
        if (strcmp(hosts[i].hostname, hostname) == 0)
            return hosts[i].mood;
    return FAKE_ANSWERS;
}

void fake_snmp_written(size_t rows)
{
    enter();
    fake_snmp.written += rows;
    leave();
}

/* Rows that are U were written and never answered. */
static size_t backlog_locked(void)
{
    return fake_snmp.answered > fake_snmp.written ? fake_snmp.answered - fake_snmp.written : 0;
}

void fake_snmp_wait_backlog(size_t limit, int ms)
{
    int64_t until = clock_mono_ms() + ms;
    enter();
    while (backlog_locked() <= limit)
        if (!thr_wait_until(&changed, &lock, until))
            break;
    leave();
}

void fake_snmp_forget_asks(void)
{
    enter();
    in_progress = 0;
    leave();
}

void fake_snmp_bring_back(void)
{
    enter();
    brought_back = true;
    pthread_cond_broadcast(&changed);
    while (fake_snmp.alive > 0)
        thr_wait(&changed, &lock);
    leave();
}

void fake_snmp_await_bells(void)
{
    int64_t until = await_far();
    sigset_t pending;
    for (size_t i = 0; i < ARRAY_LEN(fake_snmp.bell); i++) {
        int signo = fake_snmp.bell[i];
        bool stops = signo != 0 && signo != SIGUSR2; /* which no thread takes */
        while (stops && sigpending(&pending) == 0 && sigismember(&pending, signo)) {
            CHECK(clock_mono_ms() < until);
            clock_pause_ms(1);
        }
    }
}

/* ---- answers, with the lock held ---- */

/* Whenever a device has finished or an ask begins. */
static void look_at_time_locked(void)
{
    if (fake_snmp.over_at_ms <= jumped_to_ms || fake_snmp.through < fake_snmp.over_through ||
        in_progress < fake_snmp.over_asks)
        return;
    jumped_to_ms = fake_snmp.over_at_ms;
    fake_clock_jump(jumped_to_ms);
    pthread_cond_broadcast(&changed);
}

/* Sends the signals to the process once; `again` does so after the first time. */
static void ring_locked(bool again)
{
    while (fake_snmp.through < fake_snmp.bell_after)
        thr_wait(&changed, &lock);
    if (rung && !again)
        return;
    rung = true;
    for (int i = 0; i < 2; i++)
        if (fake_snmp.bell[i] != 0)
            CHECK(kill(getpid(), fake_snmp.bell[i]) == 0);
}

static void wait_given_up_locked(const struct give_up *give_up)
{
    while (!give_up_is_set(give_up))
        thr_wait(&changed, &lock);
}

/* On the thread that gives up; the bell rings before it goes on. */
static void wake_all(void *arg UNUSED)
{
    enter();
    if (parting > 0)
        ring_locked(false);
    leave();
}

static void answer_locked(struct snmp_agent *a, const struct snmp_request *rq,
                          struct snmp_reply *ret)
{
    CHECK(rq->count <= NAMES_MAX);
    for (size_t i = 0; i < rq->count; i++) {
        struct oid name = rq->names[i];
        bool item = name.len == ITEM_SUBS && name.sub[6] == 99;
        a->varbinds[i] = (struct varbind){.name = name,
                                          .type = VARBIND_INTEGER,
                                          .integer = item ? name.sub[7] * 1000 + name.sub[8] : 1};
        fake_snmp.answered += item;
    }
    if (backlog_locked() > fake_snmp.backlog)
        fake_snmp.backlog = backlog_locked();
    ret->outcome = SNMP_ANSWERED;
    ret->varbinds = a->varbinds;
    ret->count = rq->count;
}

static void react_locked(struct snmp_agent *a, const struct snmp_request *rq,
                         int64_t deadline_mono_ms, struct snmp_reply *ret)
{
    switch (mood_of(rq->target->hostname)) {
    case FAKE_ANSWERS: answer_locked(a, rq, ret); break;
    case FAKE_TIMES_OUT: break;
    case FAKE_FAILS: ret->outcome = SNMP_FAILED; break;
    case FAKE_TOO_BIG:
        answer_locked(a, rq, ret);
        if (rq->count > 1) {
            ret->error_status = SNMP_ERROR_TOO_BIG;
            fake_snmp.answered -= rq->count;
        }
        break;
    case FAKE_UNTIL_DEADLINE:
        while (!give_up_is_set(a->give_up) && clock_mono_ms() < deadline_mono_ms)
            (void)thr_wait_until(&changed, &lock, deadline_mono_ms);
        break;
    case FAKE_AT_THE_END:
        while (jumped_to_ms < fake_snmp.over_at_ms)
            thr_wait(&changed, &lock);
        answer_locked(a, rq, ret);
        break;
    case FAKE_HANGS:
        if (fake_snmp.bell[0] != 0)
            ring_locked(false);
        for (;;)
            thr_wait(&changed, &lock);
    case FAKE_LATE:
        while (!brought_back)
            thr_wait(&changed, &lock);
        break;
    case FAKE_STUCK:
        ring_locked(false);
        wait_given_up_locked(a->give_up);
        ring_locked(true);
        for (;;)
            thr_wait(&changed, &lock);
    case FAKE_BELL:
        ring_locked(false);
        wait_given_up_locked(a->give_up);
        break;
    case FAKE_PARTING:
        parting++;
        wait_given_up_locked(a->give_up);
        parting--;
        break;
    case FAKE_UNTIL_GIVE_UP: wait_given_up_locked(a->give_up); break;
    }
}

/* ---- drivers/snmp.h ---- */

bool snmp_library_start(struct err *err UNUSED)
{
    return true;
}

void snmp_library_warm(void)
{
}

void snmp_library_stop(void)
{
}

struct memo *snmp_engines_new(void)
{
    return memo_new(1, 1, 1);
}

struct memo_figures snmp_key_figures(void)
{
    return (struct memo_figures){.entries = 0};
}

const char *snmp_library_version(void)
{
    return "fake";
}

/* A device that needs no ask must not leave anything on the stack of the next one. */
static void measure_stack_locked(void)
{
    static _Thread_local const char *first;
    const char *here = __builtin_frame_address(0);
    if (first == NULL)
        first = here;
    size_t distance = (size_t)(here > first ? here - first : first - here);
    if (distance > fake_snmp.stack)
        fake_snmp.stack = distance;
}

struct snmp_agent *snmp_agent_new(const struct snmp_options *options)
{
    CHECK(options->client_address != NULL);
    enter();
    fake_snmp.alive++;
    measure_stack_locked();
    leave();
    struct snmp_agent *a = mem_zalloc(1, sizeof(*a));
    a->give_up = options->give_up;
    return a;
}

void snmp_agent_free(struct snmp_agent *agent)
{
    if (agent == NULL)
        return;
    CHECK(!agent->asking);
    free(agent);
    enter();
    fake_snmp.alive--;
    fake_snmp.through++;
    look_at_time_locked();
    leave();
}

void snmp_agent_ask(struct snmp_agent *agent, const struct snmp_request *request,
                    int64_t deadline_mono_ms, struct snmp_reply *ret)
{
    int64_t started_us = clock_mono_us();
    struct give_up_watch watch = {.told = wake_all};
    give_up_watch(agent->give_up, &watch);
    enter();
    CHECK(!agent->asking); /* one agent by one thread at a time */
    agent->asking = true;
    bool given_up = give_up_is_set(agent->give_up); /* before this ask may end the time itself */
    if (++in_progress > fake_snmp.peak)
        fake_snmp.peak = in_progress;
    look_at_time_locked();
    pthread_cond_broadcast(&changed);
    while (fake_snmp.peak < fake_snmp.crowd) {
        thr_wait(&changed, &lock);
        given_up = give_up_is_set(agent->give_up);
    }
    *ret = (struct snmp_reply){.outcome = SNMP_TIMED_OUT, .detail = "fake"};
    if (!given_up)
        react_locked(agent, request, deadline_mono_ms, ret);
    ret->elapsed_us = clock_mono_us() - started_us;
    in_progress--;
    agent->asking = false;
    leave();
    give_up_unwatch(agent->give_up, &watch);
}

/* ---- drivers/ping.h: the same hosts; who times out does not answer pings either ---- */

struct pinger {
    char nothing;
};

struct ping_sockets ping_open_sockets(void)
{
    return (struct ping_sockets){.fd4 = -1, .fd6 = -1};
}

const char *ping_sockets_text(const struct ping_sockets *s UNUSED)
{
    return "fake";
}

struct pinger *pinger_new(const struct ping_sockets *s UNUSED, struct resolver *resolver UNUSED,
                          struct err *err UNUSED)
{
    return mem_zalloc(1, sizeof(struct pinger));
}

void pinger_free(struct pinger *p)
{
    free(p);
}

void pinger_ask(struct pinger *p UNUSED, const struct ping_request *request,
                int64_t deadline_mono_ms UNUSED, struct give_up *give_up, struct ping_reply *ret)
{
    struct give_up_watch watch = {.told = wake_all};
    *ret = (struct ping_reply){.outcome = PING_UP, .time_ms = 1, .text = "UDP: Device is Alive"};
    give_up_watch(give_up, &watch);
    enter();
    enum fake_mood mood = mood_of(request->hostname);
    if (mood == FAKE_TIMES_OUT)
        *ret = (struct ping_reply){.outcome = PING_DOWN, .text = "UDP: Ping timed out"};
    if (mood == FAKE_UNTIL_GIVE_UP) {
        wait_given_up_locked(give_up);
        *ret = (struct ping_reply){.outcome = PING_IMPOSSIBLE, .text = "given up"};
    }
    leave();
    give_up_unwatch(give_up, &watch);
}
