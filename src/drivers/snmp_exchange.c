#include "config.h"

#include <net-snmp/net-snmp-config.h>

#include <net-snmp/net-snmp-includes.h>

#include "snmp_private.h"

#include "base/mem.h"
#include "base/thr.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* state \ event  address found    address failed  job done        ready           time      give up
 *
 * IDLE           -                -               -               -               -         -
 * KEYING         -                -               look up name    -               -         note it
 * NAMING         local | connect  fail            -               -               fail      over
 * NAMING_LOCAL   connect          fail            -               -               fail      over
 * CONNECTING     -                -               -               open session    fail      over
 * DISCOVERING    -                -               -               read            run timer over
 * ASKING         -                -               -               read            run timer over
 * OVER           -                -               -               -               -         -
 *
 * begin: IDLE or OVER; with a session for the target ask, without one: v3 keys that must be made
 *        -> KEYING, else -> NAMING
 * open session: v3 -> DISCOVERING, else -> ASKING
 * DISCOVERING and ASKING end as snmpx_end() says; a stale session is opened again, once: from
 * KEYING or NAMING on.
 */
enum state { IDLE, KEYING, NAMING, NAMING_LOCAL, CONNECTING, DISCOVERING, ASKING, OVER, STATES };

typedef void act_fn(struct snmp_exchange *s, const struct exchange_event *event);

static act_fn snmpx_go_local, snmpx_go_connect, snmpx_name_failed, snmpx_local_failed, snmpx_keyed,
    snmpx_note_give_up, snmpx_connected, snmpx_connect_late, snmpx_name_late, snmpx_read,
    snmpx_time, snmpx_give_up;

static act_fn *const rules[STATES][EXCHANGE_EVENT_KINDS] = {
    [KEYING] = {NULL, NULL, snmpx_keyed, NULL, NULL, snmpx_note_give_up},
    [NAMING] = {snmpx_go_local, snmpx_name_failed, NULL, NULL, snmpx_name_late, snmpx_give_up},
    [NAMING_LOCAL] = {snmpx_go_connect, snmpx_local_failed, NULL, NULL, snmpx_name_late,
                      snmpx_give_up},
    [CONNECTING] = {NULL, NULL, NULL, snmpx_connected, snmpx_connect_late, snmpx_give_up},
    [DISCOVERING] = {NULL, NULL, NULL, snmpx_read, snmpx_time, snmpx_give_up},
    [ASKING] = {NULL, NULL, NULL, snmpx_read, snmpx_time, snmpx_give_up},
};

/* How a request that was sent ends. */
enum end {
    END_ANSWERED,
    END_REPORTED, /* v3: the agent reports an error, or its engine id */
    END_SILENCE,
    END_TOO_BIG,      /* our request does not fit into a message */
    END_DISCONNECTED, /* a stream */
    END_OUT_OF_TIME,  /* the deadline, or given up */
    END_NOT_SENT,     /* outcome and detail say why */
};

/* Every request in the library is due at once: a time-out that lies a second in the past.  So
 * snmp_sess_timeout() repeats the request or ends it whenever it is called, and it is called when a
 * time of our clock has come; the library's own clock decides nothing. */
enum { LIBRARY_TIMEOUT_US = -1000000 };

struct snmp_exchange {
    struct exchange base; /* first */
    struct snmp_options options;
    const struct wire *wire;
    int state;
    bool given_up; /* in KEYING: when the job is done, it is over */
    struct snmp_counts counts;

    /* the request in progress */
    const struct snmp_request *request;
    int64_t now_us; /* of the event in progress */
    int64_t started_us, deadline_us;
    int64_t limit_us; /* of this try: the deadline or less */
    int64_t timer_us; /* when to send again or to give up */
    struct snmp_traffic traffic;

    /* the session */
    const struct target *target;
    char *name;             /* that is being looked up */
    struct snmp_peer *peer; /* the library's as soon as there is a session */
    struct snmp_v3 *v3;     /* credentials, NULL for v1 and v2c */
    void *session;          /* net-snmp's single-session handle, NULL = none */
    bool used;              /* a request has been answered in this session */

    /* the request as the library's callback sees it */
    bool open; /* the library has it */
    bool settled, noticed, puzzled;
    enum end end;
    int report;
    struct snmp_answer answer;

    enum snmp_outcome outcome; /* if not answered */
    struct buf detail;
};

static void snmpx_start(struct snmp_exchange *s);
static void snmpx_look(struct snmp_exchange *s);

/* ---- life ---- */

static void snmpx_take(struct exchange *x, const struct exchange_event *event)
{
    struct snmp_exchange *s = (struct snmp_exchange *)x;
    act_fn *act = rules[s->state][event->kind];
    s->now_us = event->now_us;
    if (act != NULL)
        act(s, event);
}

struct snmp_exchange *snmp_exchange_new(const struct snmp_options *options, const struct wire *wire)
{
    struct snmp_exchange *s = mem_zalloc(1, sizeof(*s));
    snmp_library_warm();
    s->base.take = snmpx_take;
    s->options = *options;
    s->wire = wire;
    if (s->options.retries < 0)
        s->options.retries = 0;
    if (s->options.retries > SNMP_RETRIES_MAX)
        s->options.retries = SNMP_RETRIES_MAX;
    return s;
}

static void snmpx_close_session(struct snmp_exchange *s)
{
    if (s->session != NULL) {
        thr_lock(&snmp_library_lock);
        snmp_sess_close(s->session); /* and the peer */
        thr_unlock(&snmp_library_lock);
        s->peer = NULL;
    }
    snmp_peer_free(s->peer);
    snmp_v3_free(s->v3);
    s->session = NULL;
    s->peer = NULL;
    s->v3 = NULL;
    s->target = NULL;
    s->used = false;
}

void snmp_exchange_free(struct snmp_exchange *s)
{
    if (s == NULL)
        return;
    CHECK(s->state != KEYING); /* the job uses the credentials */
    snmpx_close_session(s);
    snmp_decode_done(&s->answer);
    buf_done(&s->detail);
    free(s->name);
    free(s);
}

struct exchange *snmp_exchange_base(struct snmp_exchange *s)
{
    return &s->base;
}

const struct snmp_counts *snmp_exchange_counts(const struct snmp_exchange *s)
{
    return &s->counts;
}

void snmp_exchange_begin(struct snmp_exchange *s, const struct snmp_request *request,
                         int64_t now_us, int64_t deadline_us)
{
    CHECK(s->state == IDLE || s->state == OVER);
    s->request = request;
    s->now_us = s->started_us = now_us;
    s->deadline_us = deadline_us;
    s->given_up = false;
    s->traffic = (struct snmp_traffic){0};
    buf_clear(&s->detail);
    snmp_decode_clear(&s->answer);
    snmpx_start(s);
}

void snmp_exchange_reply(const struct snmp_exchange *s, struct snmp_reply *ret)
{
    CHECK(s->state == OVER);
    *ret = (struct snmp_reply){
        .outcome = s->outcome,
        .error_status = s->answer.error_status,
        .error_index = s->answer.error_index,
        .varbinds = s->answer.varbinds,
        .count = s->answer.count,
        .detail = buf_str(&s->detail),
        .elapsed_us = s->now_us - s->started_us,
        .traffic = s->traffic,
    };
}

/* ---- states ---- */

static int64_t snmpx_before(const struct snmp_exchange *s, int64_t after_us)
{
    return s->deadline_us < s->now_us + after_us ? s->deadline_us : s->now_us + after_us;
}

static int64_t snmpx_timeout_us(const struct snmp_exchange *s)
{
    return (int64_t)s->target->timeout_ms * 1000;
}

static int64_t snmpx_patience_us(const struct snmp_exchange *s)
{
    return snmp_peer_patience_ms(s->target, &s->options) * 1000;
}

static void snmpx_want_io(struct snmp_exchange *s, enum state state, short events, int64_t until_us)
{
    s->state = state;
    s->base.want =
        (struct want){.kind = WANT_IO, .until_us = until_us, .fd = s->peer->fd, .events = events};
}

static void snmpx_want_name(struct snmp_exchange *s, enum state state, const char *hostname)
{
    enum resolve_family family;
    free(s->name);
    s->name = resolve_host_part(hostname, &family);
    s->state = state;
    s->base.want = (struct want){.kind = WANT_ADDRESS,
                                 .until_us = snmpx_before(s, (int64_t)SNMP_RESOLVE_MS * 1000),
                                 .name = s->name,
                                 .family = family};
}

/* The outcome and its detail are there. */
static void snmpx_over(struct snmp_exchange *s, enum snmp_outcome outcome, bool keep_session)
{
    s->outcome = outcome;
    if (!keep_session)
        snmpx_close_session(s);
    s->request = NULL;
    s->state = OVER;
    s->base.want = (struct want){.kind = WANT_NOTHING};
}

static void snmpx_fail(struct snmp_exchange *s, enum snmp_outcome outcome, const char *detail)
{
    buf_puts(&s->detail, detail);
    snmpx_over(s, outcome, false);
}

static void snmpx_give_up(struct snmp_exchange *s, const struct exchange_event *event UNUSED)
{
    snmpx_fail(s, SNMP_TIMED_OUT, "out of time");
}

static void snmpx_note_give_up(struct snmp_exchange *s, const struct exchange_event *event UNUSED)
{
    s->given_up = true;
}

/* ---- from the target to the session ---- */

static void snmpx_name(struct snmp_exchange *s)
{
    if (s->target->port == 0)
        snmpx_fail(s, SNMP_FAILED, "port 0: Invalid argument");
    else
        snmpx_want_name(s, NAMING, s->target->hostname);
}

static void snmpx_keyed(struct snmp_exchange *s, const struct exchange_event *event)
{
    if (!snmp_v3_check_keys(s->v3, &s->detail))
        snmpx_over(s, SNMP_FAILED, false);
    else if (s->given_up)
        snmpx_give_up(s, event);
    else
        snmpx_name(s);
}

static void snmpx_make_keys(struct snmp_exchange *s)
{
    s->v3 = snmp_v3_new(s->target, &s->detail);
    if (s->v3 == NULL) {
        snmpx_over(s, SNMP_FAILED, false);
    } else if (snmp_v3_has_keys(s->v3)) {
        snmpx_keyed(s, NULL);
    } else {
        s->state = KEYING;
        s->base.want = (struct want){
            .kind = WANT_JOB, .until_us = INT64_MAX, .job = snmp_v3_make_keys, .arg = s->v3};
    }
}

static void snmpx_name_failed(struct snmp_exchange *s, const struct exchange_event *event)
{
    bool wrong = event->err->kind == ERR_CONFIG;
    snmpx_fail(s, wrong ? SNMP_FAILED : SNMP_IMPOSSIBLE, event->err->text);
}

static void snmpx_local_failed(struct snmp_exchange *s, const struct exchange_event *event)
{
    buf_puts(&s->detail, "client address: ");
    snmpx_fail(s, SNMP_IMPOSSIBLE, event->err->text);
}

static void snmpx_name_late(struct snmp_exchange *s, const struct exchange_event *event UNUSED)
{
    if (s->now_us >= s->base.want.until_us)
        snmpx_fail(s, SNMP_IMPOSSIBLE, "the name was not looked up in time");
}

static void snmpx_describe(const struct snmp_exchange *s, netsnmp_session *wanted)
{
    const struct target *t = s->target;
    snmp_sess_init(wanted);
    wanted->timeout = LIBRARY_TIMEOUT_US;
    wanted->retries = s->options.retries;
    if (t->version == 3) {
        snmp_v3_describe(s->v3, wanted);
        return;
    }
    wanted->version = t->version == 1 ? SNMP_VERSION_1 : SNMP_VERSION_2c;
    wanted->community = (unsigned char *)(uintptr_t)t->community;
    wanted->community_len = strlen(t->community);
}

static void snmpx_ask(struct snmp_exchange *s);

/* The library would look for a v3 agent's engine by itself, blocking, in the first request: it is
 * told not to after the opening, which resets that. */
static void snmpx_open_session(struct snmp_exchange *s)
{
    netsnmp_session wanted;
    thr_lock(&snmp_library_lock);
    snmpx_describe(s, &wanted);
    s->session = snmp_sess_add(&wanted, &s->peer->transport, snmp_peer_note_message, NULL);
    if (s->session != NULL)
        snmp_sess_session(s->session)->flags |= SNMP_FLAGS_DONT_PROBE;
    thr_unlock(&snmp_library_lock);
    if (s->session != NULL) {
        snmpx_ask(s);
        return;
    }
    s->peer = NULL; /* the library has freed it */
    buf_puts(&s->detail, "cannot open a session: ");
    snmpx_fail(s, SNMP_IMPOSSIBLE, snmp_api_errstring(wanted.s_snmp_errno));
}

static void snmpx_go_on(struct snmp_exchange *s, enum snmp_peer_step step, enum snmp_outcome why)
{
    switch (step) {
    case SNMP_PEER_OPEN: snmpx_open_session(s); break;
    case SNMP_PEER_CONNECTING:
        snmpx_want_io(s, CONNECTING, POLLOUT, snmpx_before(s, snmpx_patience_us(s)));
        break;
    case SNMP_PEER_FAILED: snmpx_over(s, why, false); break;
    }
}

static void snmpx_connect(struct snmp_exchange *s, const struct address *local)
{
    enum snmp_outcome why = SNMP_IMPOSSIBLE;
    enum snmp_peer_step step = snmp_peer_open(s->peer, local, &why, &s->detail);
    snmpx_go_on(s, step, why);
}

static void snmpx_go_local(struct snmp_exchange *s, const struct exchange_event *event)
{
    const char *local = s->options.client_address;
    s->peer = snmp_peer_new(s->target, event->address, s->wire, &s->traffic);
    if (local != NULL && local[0] != '\0')
        snmpx_want_name(s, NAMING_LOCAL, local);
    else
        snmpx_connect(s, NULL);
}

static void snmpx_go_connect(struct snmp_exchange *s, const struct exchange_event *event)
{
    snmpx_connect(s, event->address);
}

static void snmpx_connect_end(struct snmp_exchange *s, int number)
{
    enum snmp_outcome why = SNMP_TIMED_OUT;
    enum snmp_peer_step step = snmp_peer_connected(number, &why, &s->detail);
    snmpx_go_on(s, step, why);
}

static void snmpx_connected(struct snmp_exchange *s, const struct exchange_event *event UNUSED)
{
    int number = -s->wire->error(s->wire->arg, s->peer->fd);
    if (number != EINPROGRESS)
        snmpx_connect_end(s, number);
}

static void snmpx_connect_late(struct snmp_exchange *s, const struct exchange_event *event UNUSED)
{
    if (s->now_us >= s->base.want.until_us)
        snmpx_connect_end(s, ETIMEDOUT);
}

/* ---- what the library tells ---- */

static bool snmpx_belongs(const struct snmp_exchange *s, const netsnmp_pdu *pdu)
{
    const struct target *t = s->target;
    if (t->version == 3) /* the library has checked everything */
        return pdu->version == SNMP_VERSION_3 &&
               (pdu->command == SNMP_MSG_RESPONSE || pdu->command == SNMP_MSG_REPORT);
    return pdu->command == SNMP_MSG_RESPONSE &&
           pdu->version == (t->version == 1 ? SNMP_VERSION_1 : SNMP_VERSION_2c) &&
           pdu->community_len == strlen(t->community) &&
           memcmp(pdu->community, t->community, pdu->community_len) == 0;
}

static void snmpx_settle(struct snmp_exchange *s, enum end end)
{
    s->end = end;
    s->settled = true;
}

static int snmpx_take_message(struct snmp_exchange *s, const netsnmp_pdu *pdu)
{
    if (s->settled || !snmpx_belongs(s, pdu))
        return 0; /* leaves the request open: what only looks like the answer takes no place */
    s->noticed = true;
    if (pdu->command == SNMP_MSG_REPORT) {
        s->report = snmpv3_get_report_type((netsnmp_pdu *)(uintptr_t)pdu);
        snmpx_settle(s, END_REPORTED);
        return 1;
    }
    snmp_decode_answer(pdu, &s->answer);
    s->counts.answers++;
    s->counts.strangers += s->peer->from_elsewhere;
    snmpx_settle(s, END_ANSWERED);
    return 1;
}

/* What could be sent once is not a wrong request: a repeat that cannot is a failure of this
 * machine. */
static void snmpx_settle_unsent(struct snmp_exchange *s, const netsnmp_session *session)
{
    if (session->s_snmp_errno == SNMPERR_TOO_LONG || session->s_errno == EMSGSIZE) {
        snmpx_settle(s, END_TOO_BIG);
        return;
    }
    bool ours =
        s->open || session->s_snmp_errno == SNMPERR_MALLOC || wire_own_trouble(session->s_errno);
    s->outcome = ours ? SNMP_IMPOSSIBLE : SNMP_FAILED;
    buf_printf(&s->detail, "cannot send: %s", snmp_api_errstring(session->s_snmp_errno));
    snmpx_settle(s, END_NOT_SENT);
}

static void snmpx_start_timer(struct snmp_exchange *s)
{
    s->timer_us = s->now_us + snmpx_timeout_us(s);
}

/* Runs inside snmp_sess_async_send(), snmp_sess_read2(), snmp_sess_timeout() and snmp_sess_close().
 */
static int snmpx_on_event(int op, netsnmp_session *session, int reqid UNUSED, netsnmp_pdu *pdu,
                          void *arg)
{
    struct snmp_exchange *s = arg;
    switch (op) {
    case NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE: return snmpx_take_message(s, pdu);
    case NETSNMP_CALLBACK_OP_TIMED_OUT: snmpx_settle(s, END_SILENCE); break;
    case NETSNMP_CALLBACK_OP_SEND_FAILED: snmpx_settle_unsent(s, session); break;
    case NETSNMP_CALLBACK_OP_RESEND:
        s->noticed = true;
        s->counts.repeats++;
        s->traffic.repeats++;
        snmpx_start_timer(s);
        break;
    default: break; /* a Report comes twice: as a security error first */
    }
    return 1;
}

/* ---- one request ---- */

/* Only one thread at a time uses the library for a v3 session, which depends on global tables. */
UNCHECKED_LOCKS static void snmpx_enter_library(struct snmp_exchange *s)
{
    if (s->v3 != NULL)
        snmp_v3_enter(s->v3);
}

UNCHECKED_LOCKS static void snmpx_leave_library(struct snmp_exchange *s)
{
    if (s->v3 != NULL)
        snmp_v3_leave(s->v3, snmp_sess_session(s->session));
}

/* The pdu is the library's or gone in any case. */
static void snmpx_send(struct snmp_exchange *s, enum state state, netsnmp_pdu *pdu)
{
    if (pdu == NULL) {
        snmpx_fail(s, SNMP_IMPOSSIBLE, "cannot build the request: out of memory");
        return;
    }
    snmp_decode_clear(&s->answer);
    snmp_peer_begin(s->peer);
    s->open = s->settled = s->puzzled = false;
    s->counts.requests++;
    s->state = state;
    snmpx_start_timer(s);

    snmpx_enter_library(s);
    s->open = snmp_sess_async_send(s->session, pdu, snmpx_on_event, s) != 0;
    snmpx_leave_library(s);

    if (!s->open) {
        snmp_free_pdu(pdu);
        snmpx_settle_unsent(s, snmp_sess_session(s->session));
    }
    snmpx_look(s);
}

/* The agent's engine first (RFC 3414 section 4), by hand: the library's own search blocks.  Both
 * requests together have twice the patience. */
static void snmpx_ask(struct snmp_exchange *s)
{
    s->limit_us = s->deadline_us;
    if (s->now_us >= s->deadline_us) {
        snmpx_give_up(s, NULL);
    } else if (s->v3 != NULL && !snmp_v3_ready(s->v3)) {
        s->limit_us = snmpx_before(s, 2 * snmpx_patience_us(s));
        snmpx_send(s, DISCOVERING, snmp_v3_discovery());
    } else {
        snmpx_send(s, ASKING, snmp_decode_build(s->request));
    }
}

static void snmpx_start(struct snmp_exchange *s)
{
    const struct target *t = s->request->target;
    s->limit_us = s->deadline_us;
    if (s->session != NULL && target_compare(s->target, t) == 0) {
        snmpx_ask(s);
        return;
    }
    snmpx_close_session(s);
    s->target = t;
    if (t->version < 1 || t->version > 3) {
        buf_printf(&s->detail, "SNMP version %d is not supported", t->version);
        snmpx_over(s, SNMP_FAILED, false);
    } else if (t->version == 3) {
        snmpx_make_keys(s);
    } else {
        snmpx_name(s);
    }
}

/* ---- how it ends ---- */

/* What was valid for the last answer may have become stale: the agent has closed an idle
 * connection, or it talks, but not as the engine that was found (a restart with a new engine id).
 * */
static bool snmpx_is_stale(const struct snmp_exchange *s, enum end end)
{
    return s->used &&
           (end == END_DISCONNECTED || (end == END_SILENCE && s->v3 != NULL && s->puzzled));
}

/* Silence is the device's, unless not one message could leave for a reason of our own. */
static void snmpx_end_silent(struct snmp_exchange *s)
{
    const struct snmp_peer *p = s->peer;
    bool ours = !p->sent && wire_own_trouble(p->send_errno);
    buf_puts(&s->detail, p->send_errno != 0 ? strerror(p->send_errno) : "no answer");
    snmpx_over(s, ours ? SNMP_IMPOSSIBLE : SNMP_TIMED_OUT, true);
}

static void snmpx_end_reported(struct snmp_exchange *s)
{
    s->counts.reports++;
    buf_printf(&s->detail, "the agent refuses: %s", snmp_v3_report_text(s->report));
    snmpx_over(s, SNMP_REFUSED,
               s->report != SNMPERR_UNKNOWN_ENG_ID && s->report != SNMPERR_NOT_IN_TIME_WINDOW);
}

static void snmpx_end_asking(struct snmp_exchange *s, enum end end)
{
    switch (end) {
    case END_TOO_BIG:
        s->answer.error_status = SNMP_ERROR_TOO_BIG;
        snmpx_over(s, SNMP_ANSWERED, !s->open);
        break;
    case END_ANSWERED:
        s->used = true;
        snmpx_over(s, SNMP_ANSWERED, true);
        break;
    case END_REPORTED: snmpx_end_reported(s); break;
    case END_SILENCE: snmpx_end_silent(s); break;
    case END_DISCONNECTED: snmpx_fail(s, SNMP_TIMED_OUT, "connection closed by the device"); break;
    case END_OUT_OF_TIME: snmpx_give_up(s, NULL); break;
    case END_NOT_SENT: snmpx_over(s, s->outcome, false); break;
    }
}

static void snmpx_found_engine(struct snmp_exchange *s)
{
    s->counts.discoveries++;
    if (snmp_v3_settle(s->v3, snmp_sess_session(s->session), &s->detail))
        snmpx_send(s, ASKING, snmp_decode_build(s->request));
    else
        snmpx_over(s, SNMP_FAILED, false);
}

/* Where this ends with the request still open in the library the session is closed, so that no late
 * answer is taken for that of a later request. */
static void snmpx_end(struct snmp_exchange *s, enum end end)
{
    if (s->state == DISCOVERING && (end == END_REPORTED || end == END_ANSWERED)) {
        snmpx_found_engine(s);
    } else if (snmpx_is_stale(s, end)) {
        snmpx_close_session(s);
        snmpx_start(s);
    } else {
        snmpx_end_asking(s, end);
    }
}

/* The library sends again or gives up; if it can do neither (no memory), it would try forever. */
static void snmpx_run_timer(struct snmp_exchange *s)
{
    s->noticed = false;
    snmpx_enter_library(s);
    snmp_sess_timeout(s->session);
    snmpx_leave_library(s);
    if (!s->settled && !s->noticed)
        snmpx_settle(s, END_OUT_OF_TIME);
}

/* The time is checked whatever was received, so that a flood of invalid messages cannot prevent a
 * time-out. */
static void snmpx_look(struct snmp_exchange *s)
{
    bool open = s->peer->fd >= 0;
    if (!s->settled && open && s->now_us < s->limit_us && s->now_us >= s->timer_us) {
        snmpx_run_timer(s);
        open = s->peer->fd >= 0;
    }
    if (!s->settled && s->peer->send_errno == EMSGSIZE)
        snmpx_settle(s, END_TOO_BIG);
    if (s->settled)
        snmpx_end(s, s->end);
    else if (!open)
        snmpx_end(s, END_DISCONNECTED);
    else if (s->now_us >= s->limit_us)
        snmpx_end(s, END_OUT_OF_TIME);
    else
        snmpx_want_io(s, s->state, POLLIN, s->timer_us < s->limit_us ? s->timer_us : s->limit_us);
}

static void snmpx_read(struct snmp_exchange *s, const struct exchange_event *event UNUSED)
{
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(SNMP_PEER_SOCK, &readable);
    s->noticed = false;
    s->peer->messages = 0;
    snmpx_enter_library(s);
    snmp_sess_read(s->session, &readable);
    snmpx_leave_library(s);
    unsigned ignored = s->peer->messages - (s->noticed && s->peer->messages > 0);
    s->counts.ignored += ignored;
    s->puzzled = s->puzzled || ignored > 0;
    snmpx_look(s);
}

static void snmpx_time(struct snmp_exchange *s, const struct exchange_event *event UNUSED)
{
    snmpx_look(s);
}
