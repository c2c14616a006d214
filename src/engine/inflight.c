#include "config.h"

#include "engine/inflight.h"

#include "base/clock.h"
#include "base/mem.h"
#include "drivers/exchange_waiter.h"
#include "drivers/ping_exchange.h"
#include "drivers/snmp_exchange.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    KEY_THREADS = 2,      /* they compute */
    AGE_FIRST_US = 20000, /* as long as no round trip is known */
    AGE_ROUND_TRIPS = 4,  /* later */
    AGE_MIN_US = 5000,
    AGE_MAX_US = 200000,
    SMOOTHING = 8, /* as RFC 6298 smooths round trips */
    RESOLVE_MS = SNMP_RESOLVE_MS,
    SOCKETS_PER_DEVICE = 2,
};

TAILQ_HEAD(flights, flight);

struct inflight {
    struct inflight_options options;
    struct exchange_waiter_on on; /* what the waiters wait with */
    size_t devices, devices_max;
    struct flights young; /* in the order in which they began */
    size_t young_count;
    struct loop_timer ageing;
    int64_t round_trip_us; /* smoothed; 0: not known */
    loop_fn *on_room;
    void *on_room_arg;
};

enum flight_state { FLIGHT_IDLE, FLIGHT_NAMING, FLIGHT_QUEUED, FLIGHT_FLYING, FLIGHT_LANDING };

struct flight {
    struct inflight *f;
    enum flight_state state;
    const struct ask *ask;
    int64_t deadline_mono_ms;
    loop_fn *done;
    void *arg;

    /* whom it is for */
    const char *hostname; /* whose address the place is; borrowed from the site; NULL: none */
    struct resolver_query query;
    struct loop_letter letter;
    struct loop_timer timer;   /* for the name */
    struct places_claim claim; /* at its address, of all cycles of the process */
    bool was_down;

    /* the request */
    struct exchange_waiter waiter;
    struct snmp_exchange *snmp;    /* NULL: not needed yet */
    struct ping_exchange *ping;    /* NULL: none is on its way */
    struct ping_reply *ping_reply; /* of the last ping; NULL: there was none */
    bool young;
    TAILQ_ENTRY(flight) next_young;
    int64_t began_us;
};

static void flight_take_off(struct flight *fl);

/* ---- young requests ---- */

static int64_t inflight_age_us(const struct inflight *f)
{
    int64_t age_us = f->round_trip_us > 0 ? f->round_trip_us * AGE_ROUND_TRIPS : AGE_FIRST_US;
    if (age_us < AGE_MIN_US)
        return AGE_MIN_US;
    return age_us < AGE_MAX_US ? age_us : AGE_MAX_US;
}

static void inflight_tell_room(struct inflight *f)
{
    if (f->on_room != NULL && inflight_has_room(f))
        f->on_room(f->on_room_arg);
}

static void inflight_leave_young(struct flight *fl)
{
    if (!fl->young)
        return;
    fl->young = false;
    TAILQ_REMOVE(&fl->f->young, fl, next_young);
    fl->f->young_count--;
}

static void inflight_on_age(void *arg)
{
    struct inflight *f = arg;
    struct flight *fl;
    int64_t age_us = inflight_age_us(f), now_us = clock_mono_us();
    while ((fl = TAILQ_FIRST(&f->young)) != NULL && fl->began_us + age_us <= now_us)
        inflight_leave_young(fl);
    if (fl != NULL)
        loop_timer_set_at_us(&f->ageing, fl->began_us + age_us);
    inflight_tell_room(f);
}

static void inflight_join_young(struct flight *fl)
{
    struct inflight *f = fl->f;
    fl->young = true;
    TAILQ_INSERT_TAIL(&f->young, fl, next_young);
    f->young_count++;
    if (!loop_timer_is_set(&f->ageing))
        loop_timer_set_at_us(&f->ageing, fl->began_us + inflight_age_us(f));
}

static void inflight_note_round_trip(struct inflight *f, int64_t us)
{
    f->round_trip_us =
        f->round_trip_us == 0 ? us : f->round_trip_us + (us - f->round_trip_us) / SMOOTHING;
}

/* ---- addresses ---- */

/* A device that has begun goes on until it has finished: its next request must not wait behind devices that
 * are dead. */
static void flight_on_place(void *arg)
{
    struct flight *fl = arg;
    if (!give_up_is_set(fl->f->options.snmp.give_up)) /* else all are about to be given up */
        flight_take_off(fl);
}

static void flight_queue(struct flight *fl, const struct address *to)
{
    const struct places_terms terms = {
        .key = &to->sa, /* its port is 0 */
        .key_len = to->len,
        .most = (size_t)fl->f->options.address_limit,
        .last = fl->was_down,
        .loop = fl->f->options.loop,
        .fn = flight_on_place,
        .arg = fl,
    };
    fl->state = FLIGHT_QUEUED;
    if (places_take(fl->f->options.services->user, &terms, &fl->claim))
        flight_take_off(fl);
}

/* ---- names ---- */

static const char *flight_hostname(const struct flight *fl)
{
    const char *hostname =
        fl->ask->kind == ASK_SNMP ? fl->ask->snmp.target->hostname : fl->ask->ping.hostname;
    return hostname != NULL ? hostname : "";
}

/* Without an address nothing is sent: the exchange meets the same failure and tells it. */
static void flight_name(struct flight *fl)
{
    struct resolver *r = fl->f->options.services->resolver;
    const char *hostname = flight_hostname(fl);
    struct err err = ERR_INIT;
    struct address to;
    enum resolve_family family;
    if (fl->hostname != NULL && strcmp(fl->hostname, hostname) == 0) {
        flight_take_off(fl);
        return;
    }
    places_leave(&fl->claim);
    fl->hostname = NULL;
    fl->state = FLIGHT_NAMING;
    char *host = resolve_host_part(hostname, &family);
    switch (resolver_ask(r, host, family, &fl->query, &to, &err)) {
    case RESOLVE_FOUND:
        fl->hostname = hostname;
        flight_queue(fl, &to);
        break;
    case RESOLVE_FAILED: flight_take_off(fl); break;
    case RESOLVE_LATER:
        if (!loop_timer_is_set(&fl->timer))
            loop_timer_set(&fl->timer, RESOLVE_MS);
        if (fl->query.until_mono_ms < INT64_MAX)
            loop_timer_set_at_us(&fl->timer, fl->query.until_mono_ms * 1000);
        break;
    }
    free(host);
}

static void flight_on_name(void *arg)
{
    struct flight *fl = arg;
    flight_name(fl);
}

/* On a thread of the resolver's. */
static void flight_on_answer(void *arg)
{
    struct flight *fl = arg;
    loop_post(fl->f->options.loop, &fl->letter, flight_on_name, fl);
}

static void flight_on_late_name(void *arg)
{
    struct flight *fl = arg;
    struct err err = ERR_INIT;
    if (resolver_late(fl->f->options.services->resolver, &fl->query, &err))
        flight_take_off(fl);
}

/* ---- on its way ---- */

static void flight_nudge(void *arg)
{
    struct flight *fl = arg;
    exchange_waiter_nudge(&fl->waiter);
}

static int64_t flight_deadline_us(const struct flight *fl)
{
    static const int64_t latest_ms = INT64_MAX / 2000; /* far away, and no overflow */
    int64_t ms = fl->deadline_mono_ms < latest_ms ? fl->deadline_mono_ms : latest_ms;
    int64_t limit_ms = fl->ask->kind == ASK_SNMP ? fl->ask->snmp.limit_ms : 0;
    int64_t limit_us = fl->began_us + limit_ms * 1000;
    return limit_ms > 0 && limit_us < ms * 1000 ? limit_us : ms * 1000;
}

static struct exchange *flight_begin_snmp(struct flight *fl)
{
    if (fl->snmp == NULL)
        fl->snmp = snmp_exchange_new(&fl->f->options.snmp, exchange_waiter_wire(&fl->waiter));
    snmp_exchange_begin(fl->snmp, &fl->ask->snmp, fl->began_us, flight_deadline_us(fl));
    return snmp_exchange_base(fl->snmp);
}

/* NULL: it cannot be asked, the reply is there. */
static struct exchange *flight_begin_ping(struct flight *fl)
{
    if (fl->ping_reply == NULL)
        fl->ping_reply = mem_alloc(sizeof(*fl->ping_reply));
    fl->ping = pinger_open(fl->f->options.services->pinger, &fl->ask->ping,
                           exchange_waiter_wire(&fl->waiter), flight_nudge, fl, fl->ping_reply);
    if (fl->ping == NULL)
        return NULL;
    ping_exchange_begin(fl->ping, &fl->ask->ping, fl->began_us, flight_deadline_us(fl));
    return ping_exchange_base(fl->ping);
}

static void flight_land(struct flight *fl);

static void flight_on_landing(void *arg)
{
    flight_land(arg);
}

static void flight_take_off(struct flight *fl)
{
    loop_timer_cancel(&fl->timer);
    fl->state = FLIGHT_FLYING;
    fl->began_us = clock_mono_us();
    struct exchange *x = fl->ask->kind == ASK_SNMP ? flight_begin_snmp(fl) : flight_begin_ping(fl);
    if (x == NULL) {
        fl->state = FLIGHT_LANDING;
        loop_post(fl->f->options.loop, &fl->letter, flight_on_landing, fl);
        return;
    }
    inflight_join_young(fl);
    exchange_waiter_start(&fl->waiter, x);
}

static void flight_keep_ping_reply(struct flight *fl)
{
    if (fl->ping == NULL)
        return;
    *fl->ping_reply = *ping_exchange_reply(fl->ping);
    ping_exchange_free(fl->ping);
    fl->ping = NULL;
}

static void flight_end(struct flight *fl)
{
    flight_keep_ping_reply(fl);
    inflight_leave_young(fl);
    fl->state = FLIGHT_IDLE;
}

static void flight_land(struct flight *fl)
{
    if (fl->snmp != NULL && fl->ask->kind == ASK_SNMP) {
        struct snmp_reply reply;
        snmp_exchange_reply(fl->snmp, &reply);
        if (reply.outcome == SNMP_ANSWERED)
            inflight_note_round_trip(fl->f, reply.elapsed_us);
    }
    flight_end(fl);
    fl->done(fl->arg);
}

/* ---- for the asker ---- */

void flight_begin(struct flight *fl, const struct ask *ask, int64_t deadline_mono_ms, loop_fn *done,
                  void *arg)
{
    CHECK(fl->state == FLIGHT_IDLE);
    fl->ask = ask;
    fl->deadline_mono_ms = deadline_mono_ms;
    fl->done = done;
    fl->arg = arg;
    flight_name(fl);
}

bool flight_give_up(struct flight *fl)
{
    struct inflight *f = fl->f;
    switch (fl->state) {
    case FLIGHT_IDLE: break;
    case FLIGHT_NAMING:
        resolver_forget(f->options.services->resolver, &fl->query);
        loop_timer_cancel(&fl->timer);
        break;
    case FLIGHT_QUEUED:
        places_leave(&fl->claim);
        fl->hostname = NULL;
        break;
    case FLIGHT_FLYING:
        if (!exchange_waiter_give_up(&fl->waiter))
            return false;
        break;
    case FLIGHT_LANDING: break;
    }
    (void)loop_take_back(&fl->letter);
    flight_end(fl);
    return true;
}

void flight_get_snmp(const struct flight *fl, struct snmp_reply *ret)
{
    snmp_exchange_reply(fl->snmp, ret);
}

void flight_get_ping(const struct flight *fl, struct ping_reply *ret)
{
    *ret = *fl->ping_reply;
}

struct flight *flight_new(struct inflight *f, bool was_down)
{
    struct flight *fl = mem_zalloc(1, sizeof(*fl));
    fl->f = f;
    fl->was_down = was_down;
    fl->query.told = flight_on_answer;
    fl->query.arg = fl;
    loop_timer_init(&fl->timer, f->options.loop, flight_on_late_name, fl);
    exchange_waiter_init(&fl->waiter, &f->on, flight_on_landing, fl);
    f->devices++;
    return fl;
}

void flight_free(struct flight *fl)
{
    if (fl == NULL)
        return;
    CHECK(fl->state == FLIGHT_IDLE);
    places_leave(&fl->claim);
    snmp_exchange_free(fl->snmp);
    exchange_waiter_done(&fl->waiter);
    free(fl->ping_reply);
    fl->f->devices--;
    free(fl);
}

/* ---- all together ---- */

bool inflight_has_room(const struct inflight *f)
{
    return f->devices < f->devices_max && f->young_count < INFLIGHT_YOUNG_MAX;
}

void inflight_on_room(struct inflight *f, loop_fn *fn, void *arg)
{
    f->on_room = fn;
    f->on_room_arg = arg;
}

/* The SNMP session of a device stays open while it is pinged. */
static size_t inflight_count_descriptors(int other)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur <= (rlim_t)other)
        return 0;
    rlim_t devices = (files.rlim_cur - (rlim_t)other) / SOCKETS_PER_DEVICE;
    return devices < INFLIGHT_DEVICES_MAX ? (size_t)devices : INFLIGHT_DEVICES_MAX;
}

struct inflight *inflight_new(const struct inflight_options *options, struct err *err)
{
    size_t devices_max = inflight_count_descriptors(options->other_descriptors);
    if (devices_max < INFLIGHT_DEVICES_MIN) {
        err_set(err, ERR_OS, "not enough descriptors to ask devices on the event loop");
        return NULL;
    }
    struct pool *jobs = pool_new(options->loop, "keys", KEY_THREADS, err);
    if (jobs == NULL)
        return NULL;
    struct inflight *f = mem_zalloc(1, sizeof(*f));
    *f = (struct inflight){.options = *options,
                           .on = {options->loop, options->services->resolver, jobs},
                           .devices_max = devices_max};
    TAILQ_INIT(&f->young);
    loop_timer_init(&f->ageing, options->loop, inflight_on_age, f);
    return f;
}

void inflight_end(struct inflight *f)
{
    f->on_room = NULL;
    CHECK(pool_end(f->on.jobs, INT64_MAX) == 0);
}

void inflight_free(struct inflight *f)
{
    if (f == NULL)
        return;
    CHECK(f->devices == 0);
    loop_timer_cancel(&f->ageing);
    pool_free(f->on.jobs);
    free(f);
}
