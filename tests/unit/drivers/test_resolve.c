#include "config.h"

#include "drivers/resolve.h"

#include "../../support/await.h"
#include "../../support/localhost.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the system's resolver, as the tests want it: names that end in .test are ours ---- */

static struct {
    struct thr_mutex lock;
    pthread_cond_t changed;
    unsigned calls;           /* for names of ours */
    unsigned inside, most;    /* at the same time */
    bool gate_open;           /* "gate...": waits for it */
    unsigned callers;         /* threads that are about to ask */
    _Atomic int64_t later_ms; /* what the clock is ahead; without the lock */
} net = {.lock = THR_MUTEX_INITIALIZER};

static char own_mark[] = "own";

static struct addrinfo *own_address(const char *text, struct addrinfo *next)
{
    struct addrinfo *a = mem_zalloc(1, sizeof(*a));
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        a->ai_family = AF_INET6;
        a->ai_addrlen = sizeof(v6);
        a->ai_addr = mem_alloc(sizeof(v6));
        memcpy(a->ai_addr, &v6, sizeof(v6));
    } else {
        CHECK(inet_pton(AF_INET, text, &v4.sin_addr) == 1);
        a->ai_family = AF_INET;
        a->ai_addrlen = sizeof(v4);
        a->ai_addr = mem_alloc(sizeof(v4));
        memcpy(a->ai_addr, &v4, sizeof(v4));
    }
    a->ai_canonname = own_mark;
    a->ai_next = next;
    return a;
}

static bool starts(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

static int own_answer(const char *name, int family, struct addrinfo **ret)
{
    if (starts(name, "silent"))
        return EAI_AGAIN;
    if (starts(name, "none"))
        return EAI_NONAME;
    if (starts(name, "mapped"))
        *ret = own_address("::ffff:192.0.2.9", NULL);
    else if (family == AF_INET6)
        *ret = own_address("2001:db8::1", NULL);
    else if (family == AF_INET)
        *ret = own_address("192.0.2.1", NULL);
    else
        *ret = own_address("2001:db8::1", own_address("192.0.2.1", NULL));
    return 0;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    const char *end = strrchr(name, '.');
    if (end == NULL || strcmp(end, ".test") != 0 || (hints->ai_flags & AI_NUMERICHOST) != 0) {
        int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
        return real(name, service, hints, ret);
    }
    thr_lock(&net.lock);
    net.calls++;
    if (++net.inside > net.most)
        net.most = net.inside;
    pthread_cond_broadcast(&net.changed);
    while (starts(name, "gate") && !net.gate_open)
        thr_wait(&net.changed, &net.lock);
    net.inside--;
    pthread_cond_broadcast(&net.changed);
    thr_unlock(&net.lock);
    return own_answer(name, hints->ai_family, ret);
}

void freeaddrinfo(struct addrinfo *list)
{
    if (list != NULL && list->ai_canonname != own_mark) {
        void (*real)(struct addrinfo *);
        *(void **)&real = dlsym(RTLD_NEXT, "freeaddrinfo");
        real(list);
        return;
    }
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        free(list->ai_addr);
        free(list);
        list = next;
    }
}

/* The clock, as the tests want it. */
int clock_gettime(clockid_t id, struct timespec *ret)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(id, ret);
    ret->tv_sec += net.later_ms / 1000;
    return rc;
}

static int64_t far(void)
{
    return clock_mono_ms() + 3600 * 1000;
}

/* Waits until *number is at least `wanted`. */
static void wait_for(const unsigned *number, unsigned wanted)
{
    int64_t until = await_far();
    thr_lock(&net.lock);
    while (*number < wanted)
        await_change(&net.changed, &net.lock, until, "calls of the system's resolver");
    thr_unlock(&net.lock);
}

static void open_gate(void)
{
    int64_t until = await_far();
    thr_lock(&net.lock);
    net.gate_open = true;
    pthread_cond_broadcast(&net.changed);
    /* An abandoned helper has ended before the next test counts. */
    while (net.inside > 0)
        await_change(&net.changed, &net.lock, until, "no call of the system's resolver is left");
    thr_unlock(&net.lock);
}

static int fresh(void **state)
{
    thr_lock(&net.lock);
    net.calls = net.most = net.callers = 0;
    net.gate_open = false;
    net.later_ms = 0;
    thr_unlock(&net.lock);
    *state = resolver_new();
    return 0;
}

static int finish(void **state)
{
    resolver_free(*state);
    return 0;
}

static const char *text_of(const struct address *a)
{
    static char text[INET6_ADDRSTRLEN];
    if (a->sa.any.sa_family == AF_INET6)
        return inet_ntop(AF_INET6, &a->sa.v6.sin6_addr, text, sizeof(text));
    return inet_ntop(AF_INET, &a->sa.v4.sin_addr, text, sizeof(text));
}

static void assert_found(struct resolver *r, const char *name, enum resolve_family family,
                         const char *expected)
{
    struct address a;
    struct err err = ERR_INIT;
    if (!resolver_find(r, name, family, far(), NULL, &a, &err))
        fail_msg("%s", err.text);
    assert_string_equal(text_of(&a), expected);
}

static enum err_kind kind_of_failure(struct resolver *r, const char *name, int64_t deadline)
{
    struct address a;
    struct err err = ERR_INIT;
    assert_false(resolver_find(r, name, RESOLVE_ANY, deadline, NULL, &a, &err));
    assert_true(starts(err.text, "Unable to determine address info for "));
    return err.kind;
}

/* ---- threads that ask ---- */

struct asker {
    struct resolver *r;
    struct give_up *give_up; /* NULL: never */
    char name[32];
    pthread_t thread;
    bool found;
    struct err err;
};

static void *ask(void *arg)
{
    struct asker *a = arg;
    struct address address;
    thr_lock(&net.lock);
    net.callers++;
    pthread_cond_broadcast(&net.changed);
    thr_unlock(&net.lock);
    a->found = resolver_find(a->r, a->name, RESOLVE_ANY, far(), a->give_up, &address, &a->err);
    return NULL;
}

static void start_asking(struct asker *a, struct resolver *r, const char *name, unsigned number,
                         struct give_up *give_up)
{
    *a = (struct asker){.r = r, .give_up = give_up};
    snprintf(a->name, sizeof(a->name), "%s%u.test", name, number);
    CHECK(thr_start(&a->thread, "asker", ask, a, NULL));
}

/* ---- tests ---- */

static void a_numeric_address_needs_no_look_up(void **state)
{
    struct resolver *r = *state;
    assert_found(r, "192.0.2.7", RESOLVE_ANY, "192.0.2.7");
    assert_found(r, "2001:db8::7", RESOLVE_ANY, "2001:db8::7");
    assert_found(r, "::ffff:192.0.2.9", RESOLVE_ANY, "192.0.2.9");
    struct address a;
    assert_true(resolver_find(r, "::1", RESOLVE_V6, 0, NULL, &a, NULL));
    assert_int_equal(net.calls, 0);
    assert_int_equal(kind_of_failure(r, "", far()), ERR_CONFIG);
}

static void ipv4_is_preferred_unless_ipv6_is_demanded(void **state)
{
    struct resolver *r = *state;
    assert_found(r, "both.test", RESOLVE_ANY, "192.0.2.1");
    assert_found(r, "both.test", RESOLVE_V6, "2001:db8::1");
    assert_found(r, "both.test", RESOLVE_V4, "192.0.2.1");
    assert_found(r, "mapped.test", RESOLVE_ANY, "192.0.2.9");
    assert_int_equal(net.calls, 4);
}

static void an_answer_is_asked_for_once_in_any_case(void **state)
{
    struct resolver *r = *state;
    assert_found(r, "once.test", RESOLVE_ANY, "192.0.2.1");
    assert_found(r, "ONCE.test", RESOLVE_ANY, "192.0.2.1");
    assert_int_equal(net.calls, 1);
}

static void a_wrong_name_is_not_a_local_failure_and_both_are_kept(void **state)
{
    struct resolver *r = *state;
    assert_int_equal(kind_of_failure(r, "none.test", far()), ERR_CONFIG);
    assert_int_equal(kind_of_failure(r, "silent.test", far()), ERR_TEMPORARY);
    unsigned calls = net.calls;
    assert_int_equal(kind_of_failure(r, "none.test", 0), ERR_CONFIG);
    assert_int_equal(kind_of_failure(r, "silent.test", 0), ERR_TEMPORARY);
    assert_int_equal(net.calls, calls);
}

static void sixty_callers_share_one_look_up(void **state)
{
    struct asker askers[60];
    for (size_t i = 0; i < ARRAY_LEN(askers); i++)
        start_asking(&askers[i], *state, "gate", 0, NULL);
    wait_for(&net.callers, ARRAY_LEN(askers));
    wait_for(&net.calls, 1);
    open_gate();
    for (size_t i = 0; i < ARRAY_LEN(askers); i++) {
        thr_join(askers[i].thread);
        assert_true(askers[i].found);
    }
    assert_int_equal(net.calls, 1);
}

static void at_most_four_look_ups_run_at_once_and_all_are_answered(void **state)
{
    struct asker askers[12];
    for (unsigned i = 0; i < ARRAY_LEN(askers); i++)
        start_asking(&askers[i], *state, "gate", i, NULL);
    wait_for(&net.callers, ARRAY_LEN(askers));
    wait_for(&net.inside, 4);
    open_gate();
    for (size_t i = 0; i < ARRAY_LEN(askers); i++) {
        thr_join(askers[i].thread);
        assert_true(askers[i].found);
    }
    assert_int_equal(net.calls, ARRAY_LEN(askers));
    assert_int_equal(net.most, 4);
}

static void a_hanging_look_up_delays_neither_caller_nor_end(void **state UNUSED)
{
    struct resolver *r = resolver_new();
    assert_int_equal(kind_of_failure(r, "gate.test", clock_mono_ms() + 20), ERR_TEMPORARY);
    wait_for(&net.inside, 1);
    assert_found(r, "other.test", RESOLVE_ANY, "192.0.2.1");
    resolver_free(r);
    open_gate();
}

/* One asker's waits; another one waits on, for the same look-ups. */
static void giving_up_ends_every_wait_of_one_cycle_only(void **state)
{
    struct give_up cycle, other;
    assert_true(give_up_init(&cycle, NULL) && give_up_init(&other, NULL));
    struct asker askers[20], beside;
    for (unsigned i = 0; i < ARRAY_LEN(askers); i++) {
        start_asking(&askers[i], *state, "gate", i, &cycle);
    }
    start_asking(&beside, *state, "gate", 0, &other);
    wait_for(&net.inside, 4);
    wait_for(&net.callers, ARRAY_LEN(askers) + 1);
    give_up_set(&cycle);
    for (size_t i = 0; i < ARRAY_LEN(askers); i++) {
        thr_join(askers[i].thread);
        assert_false(askers[i].found);
        assert_int_equal(askers[i].err.kind, ERR_TEMPORARY);
    }
    struct address a;
    struct err err = ERR_INIT;
    assert_false(resolver_find(*state, "both.test", RESOLVE_ANY, far(), &cycle, &a, &err));
    assert_int_equal(err.kind, ERR_TEMPORARY);
    assert_true(resolver_find(*state, "192.0.2.7", RESOLVE_ANY, far(), &cycle, &a, &err));
    open_gate();
    thr_join(beside.thread);
    assert_true(beside.found);

    give_up_done(&cycle);
    assert_true(give_up_init(&cycle, NULL)); /* the next cycle finds what this one has given up */
    assert_true(resolver_find(*state, "both.test", RESOLVE_ANY, far(), &cycle, &a, &err));
    assert_true(resolver_find(*state, "gate7.test", RESOLVE_ANY, far(), &cycle, &a, &err));
    give_up_done(&cycle);
    give_up_done(&other);
}

static void assert_calls(struct resolver *r, const char *name, int64_t later_ms, unsigned calls)
{
    net.later_ms = later_ms;
    struct address a;
    (void)!resolver_find(r, name, RESOLVE_ANY, far(), NULL, &a, NULL);
    assert_int_equal(net.calls, calls);
}

static void an_address_is_looked_up_again_after_five_minutes(void **state)
{
    static const int64_t minute = 60 * 1000;
    assert_calls(*state, "moved.test", 0, 1);
    assert_calls(*state, "moved.test", 4 * minute, 1);
    assert_calls(*state, "moved.test", 6 * minute, 2);
    assert_calls(*state, "moved.test", 10 * minute, 2);
    assert_calls(*state, "MOVED.test", 12 * minute, 3);
}

/* A wrong name costs two calls: with and without families that this host lacks. */
static void a_failure_is_looked_up_again_after_thirty_seconds(void **state)
{
    assert_calls(*state, "silent.test", 0, 1);
    assert_calls(*state, "silent.test", 20 * 1000, 1);
    assert_calls(*state, "silent.test", 40 * 1000, 2);
    assert_calls(*state, "none.test", 40 * 1000, 4);
    assert_calls(*state, "none.test", 60 * 1000, 4);
    assert_calls(*state, "none.test", 80 * 1000, 6);
}

/* Would last an hour each if it did not work. */
static void a_new_cycle_looks_up_failures_and_what_was_silent_and_nothing_else(void **state)
{
    struct resolver *r = *state;
    assert_calls(r, "one.test", 0, 1);
    assert_calls(r, "two.test", 0, 2);
    assert_calls(r, "none.test", 0, 4); /* a wrong name costs two calls */
    resolver_doubt(r, "TWO.test:161");
    resolver_doubt(r, "192.0.2.1");
    assert_calls(r, "two.test", 0, 4); /* in its own cycle it stays */
    assert_calls(r, "none.test", 0, 4);
    resolver_new_cycle(r);
    assert_calls(r, "one.test", 0, 4);
    assert_calls(r, "two.test", 0, 5);
    assert_calls(r, "none.test", 0, 7);
    assert_calls(r, "two.test", 0, 7); /* once a cycle */
    assert_calls(r, "none.test", 0, 7);
    resolver_new_cycle(r);
    assert_calls(r, "two.test", 0, 7);
    const struct memo_figures f = resolver_figures(r);
    assert_int_equal(f.entries, 3);
    assert_int_equal(f.misses, 5);
    assert_int_equal(f.wrong, 2);
    assert_int_equal(f.hits, 6);
}

static void no_more_names_are_kept_than_there_may_be(void **state)
{
    struct resolver *r = *state;
    char name[40];
    for (int i = 0; i <= RESOLVE_NAMES_MAX; i++) {
        snprintf(name, sizeof(name), "n%d.test", i);
        assert_calls(r, name, 0, (unsigned)i + 1);
    }
    const struct memo_figures f = resolver_figures(r);
    assert_int_equal(f.entries, RESOLVE_NAMES_MAX);
    assert_int_equal(f.evicted, 1);
    assert_calls(r, name, 0, RESOLVE_NAMES_MAX + 1);
    assert_calls(r, "n0.test", 0, RESOLVE_NAMES_MAX + 2);
}

static void a_dead_name_server_costs_the_next_names_a_second_each(void **state)
{
    struct resolver *r = *state;
    for (unsigned i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof(name), "silent%u.test", i);
        assert_int_equal(kind_of_failure(r, name, far()), ERR_TEMPORARY);
    }
    assert_int_equal(kind_of_failure(r, "gate.test", far()), ERR_TEMPORARY);
    assert_found(r, "alive.test", RESOLVE_ANY, "192.0.2.1");
    struct asker asker;
    start_asking(&asker, r, "gate", 1, NULL);
    wait_for(&net.inside, 2);
    open_gate();
    thr_join(asker.thread);
    assert_true(asker.found);
}

static void the_systems_own_names_work(void **state)
{
    struct address a;
    if (localhost_is_known())
        assert_true(resolver_find(*state, "localhost", RESOLVE_ANY, far(), NULL, &a, NULL));
}

static void stored_hostnames_lose_what_is_not_the_host(void **state UNUSED)
{
    static const struct {
        const char *stored, *host;
        enum resolve_family family;
    } cases[] = {
        {"router", "router", RESOLVE_ANY},
        {"router:161", "router", RESOLVE_ANY},
        {"router:", "router", RESOLVE_ANY},
        {"router:abc", "router:abc", RESOLVE_ANY},
        {"192.0.2.1", "192.0.2.1", RESOLVE_ANY},
        {"192.0.2.1:161", "192.0.2.1", RESOLVE_ANY},
        {"udp:192.0.2.1", "192.0.2.1", RESOLVE_V4},
        {"TCP:router:161", "router", RESOLVE_V4},
        {"udp:[::1]:161", "::1", RESOLVE_ANY},
        {"udp:2001:db8::1", "2001:db8::1", RESOLVE_ANY},
        {"udp6:[2001:db8::1]:161", "2001:db8::1", RESOLVE_V6},
        {"udp6:2001:db8::1", "2001:db8::1", RESOLVE_V6},
        {"Tcp6:router:161", "router", RESOLVE_V6},
        {"udpv6:router", "router", RESOLVE_V6},
        {"[::1]", "::1", RESOLVE_ANY},
        {"[::1]:161", "::1", RESOLVE_ANY},
        {"[::1", "::1", RESOLVE_ANY},
        {"[fe80::1%eth0]", "fe80::1%eth0", RESOLVE_ANY},
        {"fe80::1%eth0", "fe80::1%eth0", RESOLVE_ANY},
        {"::1", "::1", RESOLVE_ANY},
        {"2001:db8::161", "2001:db8::161", RESOLVE_ANY},
        {"udp:", "", RESOLVE_V4},
        {"[]", "", RESOLVE_ANY},
        {":161", "", RESOLVE_ANY},
        {"", "", RESOLVE_ANY},
        {"udphost", "udphost", RESOLVE_ANY},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum resolve_family family;
        char *host = resolve_host_part(cases[i].stored, &family);
        assert_string_equal(host, cases[i].host);
        assert_int_equal(family, cases[i].family);
        free(host);
    }
}

/* ---- callers that do not wait ---- */

struct inquirer {
    struct resolver_query query;
    unsigned told;
};

static void inquirer_told(void *arg)
{
    struct inquirer *i = arg;
    thr_lock(&net.lock);
    i->told++;
    pthread_cond_broadcast(&net.changed);
    thr_unlock(&net.lock);
}

static enum resolve_now inquire(struct resolver *r, struct inquirer *i, const char *name,
                                struct err *err)
{
    struct address a;
    i->query.told = inquirer_told;
    i->query.arg = i;
    enum resolve_now now = resolver_ask(r, name, RESOLVE_ANY, &i->query, &a, err);
    if (now == RESOLVE_FOUND)
        assert_string_equal(text_of(&a), strchr(name, ':') != NULL ? name : "192.0.2.1");
    return now;
}

static void who_does_not_wait_is_told_once_and_finds_the_answer(void **state)
{
    struct resolver *r = *state;
    struct inquirer one = {0}, other = {0}, third = {0};
    struct err err = ERR_INIT;
    assert_int_equal(inquire(r, &one, "2001:db8::7", &err), RESOLVE_FOUND);
    assert_int_equal(inquire(r, &one, "", &err), RESOLVE_FAILED);
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_int_equal(inquire(r, &one, "gate.test", &err), RESOLVE_LATER);
    assert_int_equal(inquire(r, &other, "gate.test", &err), RESOLVE_LATER);
    assert_int_equal(inquire(r, &third, "gate.test", &err), RESOLVE_LATER);
    resolver_forget(r, &third.query);
    resolver_forget(r, &third.query);
    assert_int_equal(one.told + other.told, 0);
    open_gate();
    wait_for(&one.told, 1);
    wait_for(&other.told, 1);
    assert_int_equal(third.told, 0);
    assert_int_equal(inquire(r, &one, "gate.test", &err), RESOLVE_FOUND);
    assert_int_equal(inquire(r, &third, "gate.test", &err), RESOLVE_FOUND);
    assert_int_equal(net.calls, 1);
    assert_int_equal(one.told, 1);
}

static void a_caller_that_does_not_wait_gets_a_failure_too(void **state)
{
    static const struct {
        const char *name;
        enum err_kind kind;
    } cases[] = {{"none.test", ERR_CONFIG}, {"silent.test", ERR_TEMPORARY}};
    struct resolver *r = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct inquirer q = {0};
        struct err err = ERR_INIT;
        assert_int_equal(inquire(r, &q, cases[i].name, &err), RESOLVE_LATER);
        wait_for(&q.told, 1);
        assert_int_equal(inquire(r, &q, cases[i].name, &err), RESOLVE_FAILED);
        assert_int_equal(err.kind, cases[i].kind);
    }
}

static void a_name_that_got_no_answer_in_time_is_left_alone_for_a_while(void **state)
{
    struct resolver *r = *state;
    struct inquirer q = {0}, next = {0};
    struct err err = ERR_INIT;
    assert_int_equal(inquire(r, &q, "gate.test", &err), RESOLVE_LATER);
    assert_true(q.query.until_mono_ms == INT64_MAX);
    assert_true(resolver_late(r, &q.query, &err)); /* too soon to conclude anything */
    assert_int_equal(inquire(r, &q, "gate.test", &err), RESOLVE_LATER);
    net.later_ms += 1000;
    assert_true(resolver_late(r, &q.query, &err));
    assert_int_equal(err.kind, ERR_TEMPORARY);
    assert_int_equal(inquire(r, &next, "gate.test", &err), RESOLVE_FAILED);
    net.later_ms += RESOLVE_KEEP_FAILURE_MS;
    assert_int_equal(inquire(r, &next, "gate.test", &err), RESOLVE_LATER);
    open_gate();
    wait_for(&next.told, 1);
    assert_false(resolver_late(r, &next.query, &err)); /* the answer was faster */
    assert_int_equal(q.told, 0);
}

static void with_a_dead_name_server_a_second_is_enough(void **state)
{
    struct resolver *r = *state;
    struct inquirer q = {0};
    struct err err = ERR_INIT;
    char name[32];
    for (unsigned i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "silent%u.test", i);
        assert_int_equal(kind_of_failure(r, name, far()), ERR_TEMPORARY);
    }
    assert_int_equal(inquire(r, &q, "gate.test", &err), RESOLVE_LATER);
    assert_true(q.query.until_mono_ms <= clock_mono_ms() + 1000);
    resolver_forget(r, &q.query);
    open_gate();
}

#define ON_A_RESOLVER(test) cmocka_unit_test_setup_teardown(test, fresh, finish)

int main(void)
{
    thr_cond_init(&net.changed);
    const struct CMUnitTest tests[] = {
        ON_A_RESOLVER(a_numeric_address_needs_no_look_up),
        ON_A_RESOLVER(ipv4_is_preferred_unless_ipv6_is_demanded),
        ON_A_RESOLVER(an_answer_is_asked_for_once_in_any_case),
        ON_A_RESOLVER(a_wrong_name_is_not_a_local_failure_and_both_are_kept),
        ON_A_RESOLVER(sixty_callers_share_one_look_up),
        ON_A_RESOLVER(at_most_four_look_ups_run_at_once_and_all_are_answered),
        ON_A_RESOLVER(a_hanging_look_up_delays_neither_caller_nor_end),
        ON_A_RESOLVER(giving_up_ends_every_wait_of_one_cycle_only),
        ON_A_RESOLVER(an_address_is_looked_up_again_after_five_minutes),
        ON_A_RESOLVER(a_failure_is_looked_up_again_after_thirty_seconds),
        ON_A_RESOLVER(a_new_cycle_looks_up_failures_and_what_was_silent_and_nothing_else),
        ON_A_RESOLVER(no_more_names_are_kept_than_there_may_be),
        ON_A_RESOLVER(a_dead_name_server_costs_the_next_names_a_second_each),
        ON_A_RESOLVER(the_systems_own_names_work),
        ON_A_RESOLVER(who_does_not_wait_is_told_once_and_finds_the_answer),
        ON_A_RESOLVER(a_caller_that_does_not_wait_gets_a_failure_too),
        ON_A_RESOLVER(a_name_that_got_no_answer_in_time_is_left_alone_for_a_while),
        ON_A_RESOLVER(with_a_dead_name_server_a_second_is_enough),
        cmocka_unit_test(stored_hostnames_lose_what_is_not_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
