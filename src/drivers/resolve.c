#include "config.h"

#include "drivers/resolve.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/thr.h"
#include "core/lease.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

enum {
    HELPERS_MAX = 4,
    SILENCE_LIMIT = 8,      /* look-ups in a row without a real answer */
    SILENCE_WAIT_MS = 1000, /* then no caller waits longer */
};

enum lookup_state { LOOKUP_NEW, LOOKUP_QUEUED, LOOKUP_DONE };

/* What the system said. */
struct answer {
    int code;   /* of getaddrinfo(), 0 = there is an address */
    int number; /* errno with EAI_SYSTEM */
    struct address address;
};

struct lookup {
    STAILQ_ENTRY(lookup) next; /* while queued */
    char *name;
    enum resolve_family family;
    enum lookup_state state;
    int64_t old_ms;   /* DONE: from this time on the answer is too old */
    int64_t avoid_ms; /* a caller has waited long enough: until then none waits */
    uint64_t cycle;   /* of the answer, and of avoid_ms */
    bool doubted;
    unsigned waiters;        /* threads that hold on to it */
    TAILQ_ENTRY(lookup) use; /* the one asked for longest ago first */
    struct answer answer;
    TAILQ_HEAD(, resolver_query) queries; /* who is to be told */
};

struct resolver {
    struct thr_mutex lock; /* guards all that follows, and the lookups but for name and family */
    pthread_cond_t work;   /* for helpers */
    pthread_cond_t done;   /* for callers: some look-up has ended, or some caller is to give up */
    bool closing GUARDED;
    void *lookups GUARDED; /* tsearch(3) */
    STAILQ_HEAD(, lookup) queue;
    unsigned queued GUARDED, idle GUARDED;
    struct lease *helpers[HELPERS_MAX] GUARDED;
    unsigned helper_count GUARDED;
    unsigned silent GUARDED; /* look-ups without a real answer since the last one with */
    uint64_t cycle GUARDED;
    TAILQ_HEAD(, lookup) used;
    struct memo_figures figures GUARDED;
};

UNCHECKED_LOCKS struct resolver *resolver_new(void)
{
    struct resolver *r = mem_zalloc(1, sizeof(*r));
    thr_mutex_init(&r->lock);
    thr_cond_init(&r->work);
    thr_cond_init(&r->done);
    STAILQ_INIT(&r->queue);
    TAILQ_INIT(&r->used);
    r->figures = (struct memo_figures){.most = RESOLVE_NAMES_MAX, .keep_ms = RESOLVE_KEEP_MS};
    return r;
}

static void resolver_free_lookup(void *node)
{
    struct lookup *l = node;
    free(l->name);
    free(l);
}

/* The helpers that look something up are abandoned, each with its own copy of the question. */
UNCHECKED_LOCKS static void resolver_end_helpers(struct resolver *r)
{
    thr_lock(&r->lock);
    r->closing = true;
    thr_wake_all(&r->work);
    thr_unlock(&r->lock);
    for (unsigned i = 0; i < r->helper_count; i++)
        (void)lease_end(r->helpers[i], 0, NULL);
}

UNCHECKED_LOCKS void resolver_free(struct resolver *r)
{
    if (r == NULL)
        return;
    resolver_end_helpers(r);
    tdestroy(r->lookups, resolver_free_lookup);
    thr_cond_done(&r->work);
    thr_cond_done(&r->done);
    thr_mutex_done(&r->lock);
    free(r);
}

/* ---- asking the system ---- */

/* The name is wrong, as opposed to: we could not find out. */
static bool resolver_is_definite(int code)
{
    switch (code) {
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
    case EAI_ADDRFAMILY:
#endif
    case EAI_FAMILY: return true;
    default: return false;
    }
}

/* ::ffff:192.0.2.1 is an IPv4 device. */
static void resolver_unmap_v4(struct address *a)
{
    const struct sockaddr_in6 *v6 = &a->sa.v6;
    if (v6->sin6_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        return;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    memcpy(&v4.sin_addr, &v6->sin6_addr.s6_addr[12], sizeof(v4.sin_addr));
    *a = (struct address){.sa.v4 = v4, .len = sizeof(v4)};
}

static struct answer resolver_ask_system(const char *name, enum resolve_family family, int flags)
{
    static const int families[] = {
        [RESOLVE_ANY] = AF_UNSPEC, [RESOLVE_V4] = AF_INET, [RESOLVE_V6] = AF_INET6};
    struct addrinfo hints = {
        .ai_family = families[family], .ai_socktype = SOCK_DGRAM, .ai_flags = flags};
    struct answer answer = {.code = EAI_NONAME};
    struct addrinfo *list = NULL;
    answer.code = getaddrinfo(name, NULL, &hints, &list);
    if (answer.code != 0) {
        answer.number = answer.code == EAI_SYSTEM ? errno : 0;
        return answer;
    }
    const struct addrinfo *best = NULL;
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
            continue;
        if (best == NULL || (best->ai_family != AF_INET && a->ai_family == AF_INET))
            best = a;
    }
    if (best == NULL || best->ai_addrlen > sizeof(answer.address.sa)) {
        answer.code = EAI_NONAME;
    } else {
        memcpy(&answer.address.sa, best->ai_addr, best->ai_addrlen);
        answer.address.len = best->ai_addrlen;
        if (family == RESOLVE_ANY)
            resolver_unmap_v4(&answer.address);
    }
    freeaddrinfo(list);
    return answer;
}

/* Families this host cannot use are left out first.  That an address of one of them
 * is all there is must not look as if the name were wrong. */
static struct answer resolver_ask_by_name(const char *name, enum resolve_family family)
{
    struct answer answer = {.code = EAI_NONAME};
    if (family == RESOLVE_ANY)
        answer = resolver_ask_system(name, family, AI_ADDRCONFIG);
    if (resolver_is_definite(answer.code))
        answer = resolver_ask_system(name, family, 0);
    return answer;
}

/* ---- helper threads ---- */

static void resolver_settle(struct resolver *r, struct lookup *l, const struct answer *answer)
    REQUIRES(r->lock);
static bool resolver_provide_helper(struct resolver *r, struct err *err) REQUIRES(r->lock);

static void resolver_drop_query(struct resolver_query *q)
{
    TAILQ_REMOVE(&q->lookup->queries, q, next);
    q->lookup = NULL;
}

static void resolver_settle(struct resolver *r, struct lookup *l, const struct answer *answer)
{
    l->answer = *answer;
    l->state = LOOKUP_DONE;
    l->cycle = r->cycle;
    l->doubted = false;
    l->old_ms = clock_mono_ms() + (answer->code == 0 ? RESOLVE_KEEP_MS : RESOLVE_KEEP_FAILURE_MS);
    if (answer->code == 0 || resolver_is_definite(answer->code))
        r->silent = 0;
    else
        r->silent++;
    thr_wake_all(&r->done);
    struct resolver_query *q;
    while ((q = TAILQ_FIRST(&l->queries)) != NULL) {
        resolver_drop_query(q);
        q->told(q->arg);
    }
}

/* What a helper keeps when it is abandoned in the system's call. */
struct helper {
    struct resolver *resolver;
    char *name; /* of the look-up in progress */
    enum resolve_family family;
};

static void helper_free(void *arg)
{
    struct helper *h = arg;
    free(h->name);
    free(h);
}

/* Returns NULL when the resolver is closing. */
static struct lookup *resolver_take(struct resolver *r) REQUIRES(r->lock);

static struct lookup *resolver_take(struct resolver *r)
{
    while (!r->closing && STAILQ_EMPTY(&r->queue)) {
        r->idle++;
        thr_wait(&r->work, &r->lock);
        r->idle--;
    }
    if (r->closing)
        return NULL;
    struct lookup *l = STAILQ_FIRST(&r->queue);
    STAILQ_REMOVE_HEAD(&r->queue, next);
    r->queued--;
    return l;
}

/* false: the resolver has been freed. */
static bool helper_ask(struct helper *h, struct lease *lease, const struct lookup *l,
                       struct answer *ret)
{
    free(h->name);
    h->name = mem_strdup(l->name);
    h->family = l->family;
    lease_enter(lease);
    *ret = resolver_ask_by_name(h->name, h->family);
    return lease_leave(lease);
}

static void helper_main(struct lease *lease, void *arg)
{
    struct helper *h = arg;
    struct resolver *r = h->resolver;
    struct lookup *l;
    struct answer answer;
    thr_lock(&r->lock);
    while ((l = resolver_take(r)) != NULL) {
        thr_unlock(&r->lock);
        if (!helper_ask(h, lease, l, &answer))
            return;
        thr_lock(&r->lock);
        resolver_settle(r, l, &answer);
    }
    thr_unlock(&r->lock);
    helper_free(h);
}

/* false: there is no thread for the work. */
static bool resolver_provide_helper(struct resolver *r, struct err *err)
{
    if (r->idle >= r->queued || r->helper_count == HELPERS_MAX)
        return true;
    struct helper *h = mem_zalloc(1, sizeof(*h));
    h->resolver = r;
    struct scope *before = scope_enter(NULL); /* it outlives the cycle that asks first */
    struct lease *lease = lease_start("resolve", helper_main, h, helper_free, err);
    (void)scope_enter(before);
    if (lease == NULL) {
        helper_free(h);
        return r->helper_count > 0;
    }
    r->helpers[r->helper_count++] = lease;
    return true;
}

/* ---- callers ---- */

static int resolver_compare_lookups(const void *left, const void *right)
{
    const struct lookup *a = left, *b = right;
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    return strcasecmp(a->name, b->name);
}

static struct lookup *resolver_find_lookup(struct resolver *r, const char *name,
                                           enum resolve_family family) REQUIRES(r->lock);
static void resolver_make_room(struct resolver *r) REQUIRES(r->lock);
static void resolver_judge(struct resolver *r, struct lookup *l) REQUIRES(r->lock);
static struct lookup *resolver_get_lookup(struct resolver *r, const char *name,
                                          enum resolve_family family) REQUIRES(r->lock);

static struct lookup *resolver_find_lookup(struct resolver *r, const char *name,
                                           enum resolve_family family)
{
    struct lookup key = {.name = (char *)(uintptr_t)name, .family = family};
    struct lookup *const *known = tfind(&key, &r->lookups, resolver_compare_lookups);
    return known == NULL ? NULL : *known;
}

/* One that is not waited for, if there is one. */
static void resolver_make_room(struct resolver *r)
{
    struct lookup *l = TAILQ_FIRST(&r->used);
    if (r->figures.entries < RESOLVE_NAMES_MAX)
        return;
    while (l != NULL && (l->state == LOOKUP_QUEUED || l->waiters > 0))
        l = TAILQ_NEXT(l, use);
    if (l == NULL)
        return;
    TAILQ_REMOVE(&r->used, l, use);
    tdelete(l, &r->lookups, resolver_compare_lookups);
    resolver_free_lookup(l);
    r->figures.entries--;
    r->figures.evicted++;
}

/* An answer that is too old does not count, nor one that an earlier cycle had no use of. */
static void resolver_judge(struct resolver *r, struct lookup *l)
{
    bool earlier = l->cycle != r->cycle;
    if (earlier)
        l->avoid_ms = 0;
    bool old = l->state == LOOKUP_DONE && clock_mono_ms() >= l->old_ms;
    bool useless = l->state == LOOKUP_DONE && earlier && (l->answer.code != 0 || l->doubted);
    if (old || useless)
        l->state = LOOKUP_NEW;
    r->figures.aged += old;
    r->figures.wrong += useless && !old;
}

static struct lookup *resolver_get_lookup(struct resolver *r, const char *name,
                                          enum resolve_family family)
{
    struct lookup *l = resolver_find_lookup(r, name, family);
    if (l != NULL) {
        resolver_judge(r, l);
        TAILQ_REMOVE(&r->used, l, use);
        TAILQ_INSERT_TAIL(&r->used, l, use);
        return l;
    }
    resolver_make_room(r);
    l = mem_zalloc(1, sizeof(*l));
    l->cycle = r->cycle;
    TAILQ_INSERT_TAIL(&r->used, l, use);
    r->figures.entries++;
    l->name = mem_strdup(name);
    l->family = family;
    TAILQ_INIT(&l->queries);
    (void)mem_need(tsearch(l, &r->lookups, resolver_compare_lookups));
    return l;
}

static bool resolver_fail(struct err *err, enum err_kind kind, int number, const char *name,
                          const char *reason)
{
    return err_set_number(err, kind, number, "Unable to determine address info for %s (%s)", name,
                          reason);
}

static bool resolver_deliver(const char *name, const struct answer *answer, struct address *ret,
                             struct err *err)
{
    if (answer->code == 0) {
        *ret = answer->address;
        return true;
    }
    const char *reason =
        answer->code == EAI_SYSTEM ? strerror(answer->number) : gai_strerror(answer->code);
    return resolver_fail(err, resolver_is_definite(answer->code) ? ERR_CONFIG : ERR_TEMPORARY,
                         answer->number, name, reason);
}

static bool resolver_wait(struct resolver *r, struct lookup *l, int64_t deadline_mono_ms,
                          const struct give_up *give_up, struct err *err) REQUIRES(r->lock);

static bool resolver_wait(struct resolver *r, struct lookup *l, int64_t deadline_mono_ms,
                          const struct give_up *give_up, struct err *err)
{
    int64_t now_ms = clock_mono_ms(), patience_ends = now_ms + SILENCE_WAIT_MS;
    if (r->silent >= SILENCE_LIMIT && deadline_mono_ms > patience_ends)
        deadline_mono_ms = patience_ends;
    if (now_ms < l->avoid_ms)
        deadline_mono_ms = 0;
    bool in_time = true;
    while (l->state != LOOKUP_DONE && !give_up_is_set(give_up) && in_time)
        in_time = thr_wait_until(&r->done, &r->lock, deadline_mono_ms);
    if (l->state == LOOKUP_DONE)
        return true;
    if (!in_time && deadline_mono_ms >= patience_ends) {
        r->silent++;
        l->avoid_ms = clock_mono_ms() + RESOLVE_KEEP_FAILURE_MS;
        l->cycle = r->cycle;
    }
    return resolver_fail(err, ERR_TEMPORARY, 0, l->name,
                         in_time ? "given up, the poller is out of time" : "no answer in time");
}

/* Called by the thread that gives up. */
static void resolver_wake(void *arg)
{
    struct resolver *r = arg;
    thr_lock(&r->lock);
    thr_wake_all(&r->done);
    thr_unlock(&r->lock);
}

/* Has the name looked up, if that is not in progress already.  false: there is no helper for it. */
static bool resolver_start(struct resolver *r, struct lookup *l, struct err *err) REQUIRES(r->lock);

static bool resolver_start(struct resolver *r, struct lookup *l, struct err *err)
{
    struct err own = ERR_INIT;
    r->figures.misses += l->state == LOOKUP_NEW;
    r->figures.hits += l->state == LOOKUP_DONE;
    if (l->state == LOOKUP_NEW) {
        STAILQ_INSERT_TAIL(&r->queue, l, next);
        r->queued++;
        l->state = LOOKUP_QUEUED;
        thr_wake_one(&r->work);
    }
    return l->state == LOOKUP_DONE || resolver_provide_helper(r, &own) ||
           resolver_fail(err, ERR_OS, own.number, l->name, own.text);
}

static bool resolver_find_by_name(struct resolver *r, const char *name, enum resolve_family family,
                                  int64_t deadline_mono_ms, const struct give_up *give_up,
                                  struct address *ret, struct err *err)
{
    thr_lock(&r->lock);
    struct lookup *l = resolver_get_lookup(r, name, family);
    l->waiters++;
    bool begun = give_up_is_set(give_up) || resolver_start(r, l, err);
    bool done = begun && resolver_wait(r, l, deadline_mono_ms, give_up, err);
    struct answer answer = l->answer;
    l->waiters--;
    thr_unlock(&r->lock);
    return done && resolver_deliver(name, &answer, ret, err);
}

bool resolver_find(struct resolver *r, const char *name, enum resolve_family family,
                   int64_t deadline_mono_ms, struct give_up *give_up, struct address *ret,
                   struct err *err)
{
    if (name[0] == '\0')
        return resolver_fail(err, ERR_CONFIG, 0, name, "empty name");
    struct answer numeric = resolver_ask_system(name, family, AI_NUMERICHOST);
    if (numeric.code == 0)
        return resolver_deliver(name, &numeric, ret, err);
    struct give_up_watch watch = {.told = resolver_wake, .arg = r};
    give_up_watch(give_up, &watch);
    bool found = resolver_find_by_name(r, name, family, deadline_mono_ms, give_up, ret, err);
    give_up_unwatch(give_up, &watch);
    return found;
}

/* ---- callers that do not wait ---- */

static enum resolve_now resolver_ask_lookup(struct resolver *r, const char *name,
                                            enum resolve_family family,
                                            struct resolver_query *query, struct answer *ret,
                                            struct err *err) REQUIRES(r->lock);

static enum resolve_now resolver_ask_lookup(struct resolver *r, const char *name,
                                            enum resolve_family family,
                                            struct resolver_query *query, struct answer *ret,
                                            struct err *err)
{
    struct lookup *l = resolver_get_lookup(r, name, family);
    int64_t now_ms = clock_mono_ms();
    if (!resolver_start(r, l, err))
        return RESOLVE_FAILED;
    *ret = l->answer;
    if (l->state == LOOKUP_DONE)
        return RESOLVE_FOUND;
    if (now_ms < l->avoid_ms) {
        (void)resolver_fail(err, ERR_TEMPORARY, 0, name, "no answer in time");
        return RESOLVE_FAILED;
    }
    query->lookup = l;
    query->since_mono_ms = now_ms;
    query->until_mono_ms = r->silent >= SILENCE_LIMIT ? now_ms + SILENCE_WAIT_MS : INT64_MAX;
    TAILQ_INSERT_TAIL(&l->queries, query, next);
    return RESOLVE_LATER;
}

enum resolve_now resolver_ask(struct resolver *r, const char *name, enum resolve_family family,
                              struct resolver_query *query, struct address *ret, struct err *err)
{
    enum resolve_now now = RESOLVE_FAILED;
    CHECK(query->lookup == NULL);
    if (name[0] == '\0') {
        (void)resolver_fail(err, ERR_CONFIG, 0, name, "empty name");
        return now;
    }
    struct answer answer = resolver_ask_system(name, family, AI_NUMERICHOST);
    if (answer.code == 0) {
        now = RESOLVE_FOUND;
    } else {
        thr_lock(&r->lock);
        now = resolver_ask_lookup(r, name, family, query, &answer, err);
        thr_unlock(&r->lock);
    }
    if (now == RESOLVE_FOUND && !resolver_deliver(name, &answer, ret, err))
        now = RESOLVE_FAILED;
    return now;
}

bool resolver_late(struct resolver *r, struct resolver_query *query, struct err *err)
{
    thr_lock(&r->lock);
    struct lookup *l = query->lookup;
    int64_t now_ms = clock_mono_ms();
    if (l != NULL) {
        if (now_ms - query->since_mono_ms >= SILENCE_WAIT_MS && now_ms >= l->avoid_ms) {
            r->silent++;
            l->avoid_ms = now_ms + RESOLVE_KEEP_FAILURE_MS;
            l->cycle = r->cycle;
        }
        resolver_drop_query(query);
        (void)resolver_fail(err, ERR_TEMPORARY, 0, l->name, "no answer in time");
    }
    thr_unlock(&r->lock);
    return l != NULL;
}

void resolver_forget(struct resolver *r, struct resolver_query *query)
{
    thr_lock(&r->lock);
    if (query->lookup != NULL)
        resolver_drop_query(query);
    thr_unlock(&r->lock);
}

/* ---- stored names ---- */

/* Takes a transport prefix off; those of net-snmp's that mean plain UDP or TCP. */
static const char *resolver_after_prefix(const char *hostname, enum resolve_family *ret_family)
{
    static const struct {
        const char *text;
        enum resolve_family family;
    } prefixes[] = {
        {"udp:", RESOLVE_V4},     {"tcp:", RESOLVE_V4},     {"udp6:", RESOLVE_V6},
        {"tcp6:", RESOLVE_V6},    {"udpv6:", RESOLVE_V6},   {"tcpv6:", RESOLVE_V6},
        {"udpipv6:", RESOLVE_V6}, {"tcpipv6:", RESOLVE_V6},
    };
    *ret_family = RESOLVE_ANY;
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        size_t len = strlen(prefixes[i].text);
        if (strncasecmp(hostname, prefixes[i].text, len) == 0) {
            *ret_family = prefixes[i].family;
            return hostname + len;
        }
    }
    return hostname;
}

static bool resolver_is_v6_literal(const char *text)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    size_t len = strcspn(text, "%"); /* inet_pton() takes no scope */
    if (len >= sizeof(address))
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    return inet_pton(AF_INET6, address, &parsed) == 1;
}

static size_t resolver_len_without_port(const char *text)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon[1 + strspn(colon + 1, "0123456789")] != '\0')
        return strlen(text);
    return (size_t)(colon - text);
}

char *resolve_host_part(const char *hostname, enum resolve_family *ret_family)
{
    const char *host = resolver_after_prefix(hostname, ret_family);
    char *part;
    if (host[0] == '[')
        part = mem_strndup(host + 1, strcspn(host + 1, "]"));
    else if (resolver_is_v6_literal(host))
        part = mem_strdup(host);
    else
        part = mem_strndup(host, resolver_len_without_port(host));
    if (*ret_family == RESOLVE_V4 && resolver_is_v6_literal(part))
        *ret_family =
            RESOLVE_ANY; /* the prefixes without a 6 are also written for any transport address */
    return part;
}

/* ---- from cycle to cycle ---- */

void resolver_new_cycle(struct resolver *r)
{
    thr_lock(&r->lock);
    r->cycle++;
    thr_unlock(&r->lock);
}

void resolver_doubt(struct resolver *r, const char *hostname)
{
    enum resolve_family family;
    char *host = resolve_host_part(hostname, &family);
    thr_lock(&r->lock);
    struct lookup *l = resolver_find_lookup(r, host, family);
    if (l != NULL)
        l->doubted = true;
    thr_unlock(&r->lock);
    free(host);
}

struct memo_figures resolver_figures(struct resolver *r)
{
    thr_lock(&r->lock);
    struct memo_figures f = r->figures;
    int64_t now_ms = clock_mono_ms();
    const struct lookup *l;
    TAILQ_FOREACH (l, &r->used, use) {
        int64_t age_ms = now_ms - (l->old_ms - RESOLVE_KEEP_MS);
        if (l->state == LOOKUP_DONE && l->answer.code == 0 && age_ms > f.oldest_ms)
            f.oldest_ms = age_ms;
    }
    thr_unlock(&r->lock);
    return f;
}
