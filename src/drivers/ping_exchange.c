#include "config.h"

#include "ping_private.h"

#include "base/mem.h"
#include "model/avail.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

/* state \ event  address found   address failed  ready                      time           give up
 *
 * IDLE           -               -               -                          -              -
 * NAMING         first attempt   over            -                          over           over
 * CONNECTING     -               -               alive: over, else SITTING  next attempt   over
 * LISTENING      -               -               alive: over                next attempt   over
 * BLOCKED        -               -               send, -> ECHOING           next attempt   over
 * ECHOING        -               -               reported: over if last     next attempt   over
 * SITTING        -               -               -                          next attempt   over
 * OVER           -               -               -                          -              -
 *
 * An attempt begins in CONNECTING (TCP), LISTENING (UDP), ECHOING (ICMP), BLOCKED (ICMP, the socket is
 * full), or in SITTING if TCP or UDP cannot make it: a failed attempt is not a shorter one.  In every state
 * of an ICMP ping an echo reply that has come ends it, whatever the event.  What the network reports
 * of the attempt that is in progress ends it, but the next one still begins when the time-out is over:
 * a router's message must not make the poller send faster.  After the last attempt: OVER.
 */
enum state { IDLE, NAMING, CONNECTING, LISTENING, BLOCKED, ECHOING, SITTING, OVER, STATES };

typedef void act_fn(struct ping_exchange *p, const struct exchange_event *event);

static act_fn pingx_found, pingx_name_failed, pingx_name_late, pingx_tcp_ready, pingx_udp_ready,
    pingx_echo, pingx_reported, pingx_time, pingx_give_up;

static act_fn *const rules[STATES][EXCHANGE_EVENT_KINDS] = {
    [NAMING] = {pingx_found, pingx_name_failed, NULL, NULL, pingx_name_late, pingx_give_up},
    [CONNECTING] = {NULL, NULL, NULL, pingx_tcp_ready, pingx_time, pingx_give_up},
    [LISTENING] = {NULL, NULL, NULL, pingx_udp_ready, pingx_time, pingx_give_up},
    [BLOCKED] = {NULL, NULL, NULL, pingx_echo, pingx_time, pingx_give_up},
    [ECHOING] = {NULL, NULL, NULL, pingx_reported, pingx_time, pingx_give_up},
    [SITTING] = {NULL, NULL, NULL, NULL, pingx_time, pingx_give_up},
};

enum method { METHOD_ICMP, METHOD_UDP, METHOD_TCP };

/* The outcome of an attempt; of several attempts the outcome that is last in this list counts. */
enum result {
    RESULT_TIMED_OUT,
    RESULT_UNREACHABLE, /* the network said so */
    RESULT_NO_CONNECT,
    RESULT_NO_SOCKET, /* from here on local failures: not a real attempt */
    RESULT_NOT_SENT,
    RESULT_GIVEN_UP,
    RESULTS
};

/* Spine's words, which Cacti's users know; not_sent, given_up and not_resolved are ours, for outcomes
 * that Spine does not know. */
struct texts {
    const char *up;
    const char *bad_name;
    const char *no_name;
    const char *not_resolved;
    const char *of[RESULTS];
};

const char ping_text_icmp_not_sent[] =
    "ICMP: Ping not sent for want of local buffers, threads or rights";

static const struct texts texts[] = {
    [METHOD_ICMP] =
        {
            .up = "ICMP: Device is Alive",
            .bad_name = "ICMP: Destination hostname invalid",
            .no_name = "ICMP: Destination address not specified",
            .not_resolved = "ICMP: Destination hostname could not be looked up",
            .of = {[RESULT_TIMED_OUT] = "ICMP: Ping timed out",
                   [RESULT_NO_CONNECT] = "ICMP: Ping timed out",
                   [RESULT_NO_SOCKET] = "ICMP: Ping unable to create ICMP Socket",
                   [RESULT_NOT_SENT] = ping_text_icmp_not_sent,
                   [RESULT_GIVEN_UP] = "ICMP: Ping given up, the poller is out of time"},
        },
    [METHOD_UDP] =
        {
            .up = "UDP: Device is Alive",
            .bad_name = "UDP: Destination hostname invalid",
            .no_name = "UDP: Destination address invalid or unable to create socket",
            .not_resolved = "UDP: Destination hostname could not be looked up",
            .of = {[RESULT_TIMED_OUT] = "UDP: Ping timed out",
                   [RESULT_UNREACHABLE] = "UDP: Device is Down",
                   [RESULT_NO_CONNECT] = "UDP: Cannot connect to host",
                   [RESULT_NO_SOCKET] =
                       "UDP: Destination address invalid or unable to create socket",
                   [RESULT_NOT_SENT] =
                       "UDP: Ping not sent for want of local buffers, ports or rights",
                   [RESULT_GIVEN_UP] = "UDP: Ping given up, the poller is out of time"},
        },
    [METHOD_TCP] =
        {
            .up = "TCP: Device is Alive",
            .bad_name = "TCP: Destination hostname invalid",
            .no_name = "TCP: Destination address invalid or unable to create socket",
            .not_resolved = "TCP: Destination hostname could not be looked up",
            .of = {[RESULT_TIMED_OUT] = "TCP: Cannot connect to host",
                   [RESULT_UNREACHABLE] = "TCP: Cannot connect to host",
                   [RESULT_NO_CONNECT] = "TCP: Cannot connect to host",
                   [RESULT_NO_SOCKET] =
                       "TCP: Destination address invalid or unable to create socket",
                   [RESULT_NOT_SENT] =
                       "TCP: Ping not sent for want of local buffers, ports or rights",
                   [RESULT_GIVEN_UP] = "TCP: Ping given up, the poller is out of time"},
        },
};

struct ping_exchange {
    struct exchange base; /* first */
    const struct wire *wire;
    struct ping_icmp *icmp;
    enum state state;

    const struct ping_request *request;
    enum method method; /* that is carried out */
    char *host;
    struct ping_echo echo; /* its `to` is the address for every method; with a port but for ICMP */
    unsigned attempts;     /* still to be made after this one */
    int64_t timeout_us, deadline_us;

    int64_t now_us; /* of the event in progress */

    /* this attempt */
    int64_t start_us, end_us;
    bool cut; /* by the deadline */
    enum result result;

    int fd; /* -1 = none */
    enum result worst;
    enum ping_report report; /* ICMP: which of the failures that the network has named came last */
    struct ping_reply reply;
};

/* ---- life ---- */

static void pingx_finish_up(struct ping_exchange *p, int64_t rtt_us);

static void pingx_take(struct exchange *x, const struct exchange_event *event)
{
    struct ping_exchange *p = (struct ping_exchange *)x;
    act_fn *act = rules[p->state][event->kind];
    int64_t rtt_us;
    p->now_us = event->now_us;
    if (ping_exchange_echo(p) != NULL && ping_icmp_answered(p->icmp, &p->echo, &rtt_us))
        pingx_finish_up(p, rtt_us);
    else if (act != NULL)
        act(p, event);
}

struct ping_exchange *ping_exchange_new(struct ping_icmp *icmp, const struct wire *wire,
                                        void (*woken)(void *arg), void *arg)
{
    struct ping_exchange *p = mem_zalloc(1, sizeof(*p));
    p->base.take = pingx_take;
    p->icmp = icmp;
    p->wire = wire;
    p->echo.woken = woken;
    p->echo.arg = arg;
    p->fd = -1;
    return p;
}

static void pingx_drop_socket(struct ping_exchange *p)
{
    if (p->fd >= 0)
        p->wire->close(p->wire->arg, p->fd);
    p->fd = -1;
}

void ping_exchange_free(struct ping_exchange *p)
{
    if (p == NULL)
        return;
    pingx_drop_socket(p);
    ping_icmp_forget(p->icmp, &p->echo);
    free(p->host);
    free(p);
}

struct exchange *ping_exchange_base(struct ping_exchange *p)
{
    return &p->base;
}

const struct ping_reply *ping_exchange_reply(const struct ping_exchange *p)
{
    CHECK(p->state == OVER);
    return &p->reply;
}

const struct ping_echo *ping_exchange_echo(const struct ping_exchange *p)
{
    bool attempting = p->state != IDLE && p->state != NAMING && p->state != OVER;
    return p->method == METHOD_ICMP && attempting ? &p->echo : NULL;
}

/* ---- how it ends ---- */

static void pingx_finish(struct ping_exchange *p, enum ping_outcome outcome, const char *text)
{
    pingx_drop_socket(p);
    ping_icmp_forget(p->icmp, &p->echo);
    p->reply.outcome = outcome;
    p->reply.text = text;
    p->request = NULL;
    p->state = OVER;
    p->base.want = (struct want){.kind = WANT_NOTHING};
}

static void pingx_finish_up(struct ping_exchange *p, int64_t rtt_us)
{
    p->reply.time_ms = (double)rtt_us / 1000;
    pingx_finish(p, PING_UP, texts[p->method].up);
}

/* A local failure says nothing about the device. */
static void pingx_finish_not_up(struct ping_exchange *p, enum result result)
{
    bool named = p->method == METHOD_ICMP && result == RESULT_UNREACHABLE;
    pingx_finish(p, result >= RESULT_NO_SOCKET ? PING_IMPOSSIBLE : PING_DOWN,
                 named ? ping_report_text(p->report) : texts[p->method].of[result]);
}

static void pingx_give_up(struct ping_exchange *p, const struct exchange_event *event UNUSED)
{
    pingx_finish_not_up(p, RESULT_GIVEN_UP);
}

/* ---- attempts ---- */

static void pingx_want(struct ping_exchange *p, enum state state, int fd, short events)
{
    p->state = state;
    p->base.want = (struct want){
        .kind = fd >= 0 ? WANT_IO : WANT_TIME, .until_us = p->end_us, .fd = fd, .events = events};
}

static void pingx_sit_out(struct ping_exchange *p, enum result result)
{
    p->result = result;
    pingx_drop_socket(p);
    pingx_want(p, SITTING, -1, 0);
}

static bool pingx_open_socket(struct ping_exchange *p, int type)
{
    int fd = p->wire->open(p->wire->arg, p->echo.to.sa.any.sa_family, type);
    p->fd = fd >= 0 ? fd : -1;
    return fd >= 0;
}

static int pingx_connect_socket(struct ping_exchange *p)
{
    return -p->wire->connect(p->wire->arg, p->fd, &p->echo.to);
}

/* A connection is a sign of life, and so is a refusal.  What is known at once waits for the socket to
 * be ready as well, which it is: so the time of the answer comes from a clock. */
static void pingx_begin_tcp(struct ping_exchange *p)
{
    pingx_drop_socket(p);
    if (!pingx_open_socket(p, SOCK_STREAM)) {
        pingx_sit_out(p, RESULT_NO_SOCKET);
        return;
    }
    int number = pingx_connect_socket(p);
    if (number == 0 || number == EINPROGRESS || number == ECONNREFUSED)
        pingx_want(p, CONNECTING, p->fd, POLLOUT);
    else
        pingx_sit_out(p, wire_own_trouble(number) ? RESULT_NOT_SENT : RESULT_UNREACHABLE);
}

static void pingx_tcp_ready(struct ping_exchange *p, const struct exchange_event *event UNUSED)
{
    int number = -p->wire->error(p->wire->arg, p->fd); /* 0 also after a refusal at once */
    if (number == 0 || number == ECONNREFUSED)
        pingx_finish_up(p, p->now_us - p->start_us);
    else if (number != EINPROGRESS)
        pingx_sit_out(p, RESULT_UNREACHABLE);
}

/* The socket of earlier attempts is kept, because late replies arrive at it. */
static bool pingx_connect_udp(struct ping_exchange *p)
{
    if (p->fd >= 0)
        return true;
    if (!pingx_open_socket(p, SOCK_DGRAM)) {
        pingx_sit_out(p, RESULT_NO_SOCKET);
        return false;
    }
    int number = pingx_connect_socket(p);
    if (number != 0)
        pingx_sit_out(p, wire_own_trouble(number) ? RESULT_NOT_SENT : RESULT_NO_CONNECT);
    return number == 0;
}

static void pingx_begin_udp(struct ping_exchange *p)
{
    if (!pingx_connect_udp(p))
        return;
    ssize_t n = p->wire->send(p->wire->arg, p->fd, PING_PAYLOAD, PING_PAYLOAD_LEN, NULL);
    if (n == -ECONNREFUSED) { /* to an earlier attempt */
        pingx_finish_up(p, p->now_us - p->start_us);
        return;
    }
    if (n < 0)
        p->result = wire_own_trouble((int)-n) ? RESULT_NOT_SENT : RESULT_UNREACHABLE;
    pingx_want(p, LISTENING, p->fd, POLLIN);
}

/* Any datagram, an empty one too, and "port unreachable". */
static void pingx_udp_ready(struct ping_exchange *p, const struct exchange_event *event UNUSED)
{
    char byte;
    ssize_t n = p->wire->receive(p->wire->arg, p->fd, &byte, 1, NULL);
    if (n >= 0 || n == -ECONNREFUSED)
        pingx_finish_up(p, p->now_us - p->start_us);
    else if (n != -EAGAIN && p->result == RESULT_TIMED_OUT)
        p->result = RESULT_UNREACHABLE;
}

/* An error that the network has reported is a failed attempt, but a complete one. After a request
 * that could not be sent the time-out is waited for as well: a reply to an earlier attempt may
 * come. */
static void pingx_echo(struct ping_exchange *p, const struct exchange_event *event UNUSED)
{
    int number = ping_icmp_send(p->icmp, &p->echo, p->now_us);
    p->result = RESULT_TIMED_OUT;
    if (number != 0 && wire_own_trouble(number)) {
        p->result = RESULT_NOT_SENT;
    } else if (number != 0) {
        p->result = RESULT_UNREACHABLE;
        p->report = ping_report_of_errno(number);
    }
    if (number == EAGAIN)
        pingx_want(p, BLOCKED, ping_icmp_socket(p->icmp, p->echo.to.sa.any.sa_family), POLLOUT);
    else
        pingx_want(p, ECHOING, -1, 0);
}

static void pingx_begin_attempt(struct ping_exchange *p)
{
    p->start_us = p->now_us;
    p->cut = p->deadline_us < p->start_us + p->timeout_us;
    p->end_us = p->cut ? p->deadline_us : p->start_us + p->timeout_us;
    p->result = RESULT_TIMED_OUT;
    switch (p->method) {
    case METHOD_ICMP: pingx_echo(p, NULL); break;
    case METHOD_UDP: pingx_begin_udp(p); break;
    case METHOD_TCP: pingx_begin_tcp(p); break;
    }
}

static void pingx_end_attempt(struct ping_exchange *p, enum result result)
{
    if (result > p->worst)
        p->worst = result;
    if (result == RESULT_GIVEN_UP || p->attempts == 0) {
        pingx_finish_not_up(p, p->worst);
        return;
    }
    p->attempts--;
    pingx_begin_attempt(p);
}

/* A report about an earlier attempt says why that one has failed, and the present one goes on. */
static void pingx_reported(struct ping_exchange *p, const struct exchange_event *event UNUSED)
{
    bool last;
    enum ping_report report = ping_icmp_take_report(p->icmp, &p->echo, &last);
    if (report == PING_REPORT_NONE)
        return;
    p->report = report;
    if (!last)
        p->worst = p->worst > RESULT_UNREACHABLE ? p->worst : RESULT_UNREACHABLE;
    else if (p->attempts == 0)
        pingx_end_attempt(p, RESULT_UNREACHABLE);
    else
        p->result = RESULT_UNREACHABLE;
}

static void pingx_time(struct ping_exchange *p, const struct exchange_event *event)
{
    if (p->state == ECHOING)
        pingx_reported(p, event);
    if (p->state != OVER && p->now_us >= p->end_us)
        pingx_end_attempt(p, p->cut ? RESULT_GIVEN_UP : p->result);
}

/* ---- the name ---- */

static void pingx_name_failed(struct ping_exchange *p, const struct exchange_event *event)
{
    const struct texts *t = &texts[p->method];
    if (event->err->kind != ERR_CONFIG) {
        pingx_finish(p, PING_IMPOSSIBLE, t->not_resolved);
        return;
    }
    snprintf(p->reply.bad_name, sizeof(p->reply.bad_name), "%.*s",
             (int)sizeof(p->reply.bad_name) - 1, event->err->text);
    pingx_finish(p, PING_DOWN, t->bad_name);
}

static void pingx_name_late(struct ping_exchange *p, const struct exchange_event *event UNUSED)
{
    if (p->now_us >= p->base.want.until_us)
        pingx_finish(p, PING_IMPOSSIBLE, texts[p->method].not_resolved);
}

/* ICMP without a socket of the address's family is UDP, if there is a port to ask. */
static void pingx_found(struct ping_exchange *p, const struct exchange_event *event)
{
    p->echo.to = *event->address;
    if (p->method == METHOD_ICMP && ping_icmp_socket(p->icmp, p->echo.to.sa.any.sa_family) < 0) {
        if (p->request->port == 0) {
            pingx_finish_not_up(p, RESULT_NO_SOCKET);
            return;
        }
        p->method = METHOD_UDP;
        p->reply.fell_back = true;
    }
    if (p->method != METHOD_ICMP)
        wire_set_port(&p->echo.to, p->request->port);
    pingx_begin_attempt(p);
}

static bool pingx_method_of(int number, enum method *ret)
{
    switch (number) {
    case PING_METHOD_ICMP: *ret = METHOD_ICMP; return true;
    case PING_METHOD_UDP: *ret = METHOD_UDP; return true;
    case PING_METHOD_TCP:
    case PING_METHOD_TCP_CLOSED: *ret = METHOD_TCP; return true;
    default: return false;
    }
}

static void pingx_want_name(struct ping_exchange *p)
{
    enum resolve_family family;
    int64_t latest_us = p->now_us + (int64_t)PING_RESOLVE_MS * 1000;
    const char *hostname = p->request->hostname;
    free(p->host);
    p->host = resolve_host_part(hostname != NULL ? hostname : "", &family);
    p->state = NAMING;
    p->base.want =
        (struct want){.kind = WANT_ADDRESS,
                      .until_us = p->deadline_us < latest_us ? p->deadline_us : latest_us,
                      .name = p->host,
                      .family = family};
    if (p->host[0] == '\0')
        pingx_finish(p, PING_DOWN, texts[p->method].no_name);
}

void ping_exchange_begin(struct ping_exchange *p, const struct ping_request *request,
                         int64_t now_us, int64_t deadline_us)
{
    CHECK(p->state == IDLE || p->state == OVER);
    p->request = request;
    p->attempts = (unsigned)avail_ping_attempts(request) - 1; /* after the first */
    p->timeout_us = (int64_t)avail_ping_timeout_ms(request) * 1000;
    p->deadline_us = deadline_us;
    p->now_us = now_us;
    p->worst = RESULT_TIMED_OUT;
    p->report = PING_REPORT_NONE;
    p->reply = (struct ping_reply){0};
    if (!pingx_method_of(request->method, &p->method))
        pingx_finish(p, PING_DOWN, "Ping not performed due to setting.");
    else if (now_us >= deadline_us)
        pingx_finish_not_up(p, RESULT_GIVEN_UP);
    else
        pingx_want_name(p);
}
