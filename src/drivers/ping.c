#include "config.h"

#include "ping_private.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/thr.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct pinger {
    struct resolver *resolver;
    struct ping_icmp *icmp;
    bool icmp_usable;    /* for one family at least; const */
    struct give_up stop; /* of the receiver, at the end of the pinger */

    struct thr_mutex lock; /* guards what follows; taken alone */
    pthread_t receiver;
    bool receiving;
};

struct pinger *pinger_new(const struct ping_sockets *s, struct resolver *resolver, struct err *err)
{
    struct pinger *p = mem_zalloc(1, sizeof(*p));
    if (!give_up_init(&p->stop, err)) {
        free(p);
        return NULL;
    }
    thr_mutex_init(&p->lock);
    p->resolver = resolver;
    p->icmp = ping_icmp_new(s, &wire_sockets, (uint16_t)getpid());
    p->icmp_usable = s->fd4 >= 0 || s->fd6 >= 0;
    return p;
}

void pinger_free(struct pinger *p)
{
    if (p == NULL)
        return;
    give_up_set(&p->stop);
    if (p->receiving)
        thr_join(p->receiver);
    ping_icmp_free(p->icmp);
    give_up_done(&p->stop);
    thr_mutex_done(&p->lock);
    free(p);
}

/* ---- the receiver, one thread for all who wait for echo replies ---- */

static void *pinger_receive(void *arg)
{
    struct pinger *p = arg;
    struct pollfd fds[] = {{.fd = give_up_fd(&p->stop), .events = POLLIN},
                           {.fd = ping_icmp_socket(p->icmp, AF_INET), .events = POLLIN},
                           {.fd = ping_icmp_socket(p->icmp, AF_INET6), .events = POLLIN}};
    while (fds[0].revents == 0) {
        int n = poll(fds, ARRAY_LEN(fds), -1);
        CHECK(n >= 0 || errno == EINTR || errno == ENOMEM);
        if (n <= 0)
            continue;
        if (fds[1].revents != 0)
            ping_icmp_drain(p->icmp, AF_INET);
        if (fds[2].revents != 0)
            ping_icmp_drain(p->icmp, AF_INET6);
    }
    return NULL;
}

static bool pinger_provide_receiver(struct pinger *p)
{
    thr_lock(&p->lock);
    struct scope *before = scope_enter(NULL); /* it outlives the cycle that pings first */
    if (!p->receiving)
        p->receiving = thr_start(&p->receiver, "ping", pinger_receive, p, NULL);
    (void)scope_enter(before);
    bool receiving = p->receiving;
    thr_unlock(&p->lock);
    return receiving;
}

/* ---- asking ---- */

/* A thread that waits for an echo reply: on a condition, which the receiver and giving up signal.
 * */
struct pinger_waiter {
    struct ping_icmp *icmp;
    pthread_cond_t wake; /* with the lock of icmp */
};

static void pinger_woken(void *arg)
{
    struct pinger_waiter *w = arg;
    thr_wake_one(&w->wake);
}

static void pinger_given_up(void *arg)
{
    struct pinger_waiter *w = arg;
    ping_icmp_wake(w->icmp, &w->wake);
}

static void pinger_wait_echo(struct pinger_waiter *w, struct exchange *x,
                             const struct ping_echo *echo, const struct give_up *give_up)
{
    struct exchange_event event = {.kind = EXCHANGE_READY};
    ping_icmp_wait(w->icmp, echo, &w->wake, x->want.until_us, give_up);
    event.now_us = clock_mono_us();
    if (give_up_is_set(give_up))
        event.kind = EXCHANGE_GIVE_UP;
    else if (event.now_us >= x->want.until_us)
        event.kind = EXCHANGE_TIME;
    exchange_feed(x, &event);
}

static void pinger_serve(struct pinger *p, struct pinger_waiter *w, struct ping_exchange *ping,
                         struct give_up *give_up)
{
    struct exchange *x = ping_exchange_base(ping);
    struct give_up_watch watch = {.told = pinger_given_up, .arg = w};
    give_up_watch(give_up, &watch);
    while (x->want.kind != WANT_NOTHING) {
        const struct ping_echo *echo = ping_exchange_echo(ping);
        if (echo != NULL && x->want.kind == WANT_TIME)
            pinger_wait_echo(w, x, echo, give_up);
        else
            exchange_serve(x, p->resolver, give_up);
    }
    give_up_unwatch(give_up, &watch);
}

struct ping_exchange *pinger_open(struct pinger *p, const struct ping_request *request,
                                  const struct wire *wire, void (*woken)(void *arg), void *arg,
                                  struct ping_reply *ret)
{
    if (request->method == PING_METHOD_ICMP && p->icmp_usable && !pinger_provide_receiver(p)) {
        *ret = (struct ping_reply){.outcome = PING_IMPOSSIBLE, .text = ping_text_icmp_not_sent};
        return NULL;
    }
    return ping_exchange_new(p->icmp, wire, woken, arg);
}

void pinger_ask(struct pinger *p, const struct ping_request *request, int64_t deadline_mono_ms,
                struct give_up *give_up, struct ping_reply *ret)
{
    int64_t latest_ms = INT64_MAX / 2000; /* far away, and no overflow in microseconds */
    int64_t deadline_ms = deadline_mono_ms < latest_ms ? deadline_mono_ms : latest_ms;
    struct pinger_waiter w = {.icmp = p->icmp};
    struct ping_exchange *ping = pinger_open(p, request, &wire_sockets, pinger_woken, &w, ret);
    if (ping == NULL)
        return;
    thr_cond_init(&w.wake);
    ping_exchange_begin(ping, request, clock_mono_us(), deadline_ms * 1000);
    pinger_serve(p, &w, ping, give_up);
    *ret = *ping_exchange_reply(ping);
    ping_exchange_free(ping);
    thr_cond_done(&w.wake);
}
