#include "config.h"

#include <net-snmp/net-snmp-config.h>

#include <net-snmp/net-snmp-includes.h>

#include "snmp_machine.h"

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
 *        also a v3 one whose engine is known from an earlier session -> ASKING; if that is no longer its engine,
 *        it is opened again, without what is known
 * DISCOVERING and ASKING end as snmpx_end() says; a stale session is opened again, once: from
 * KEYING or NAMING on.
 */
static act_fn snmpx_read, snmpx_time;

static act_fn *const rules[STATES][EXCHANGE_EVENT_KINDS] = {
    [KEYING] = {NULL, NULL, snmpx_keyed, NULL, NULL, snmpx_note_give_up},
    [NAMING] = {snmpx_go_local, snmpx_name_failed, NULL, NULL, snmpx_name_late, snmpx_give_up},
    [NAMING_LOCAL] = {snmpx_go_connect, snmpx_local_failed, NULL, NULL, snmpx_name_late,
                      snmpx_give_up},
    [CONNECTING] = {NULL, NULL, NULL, snmpx_connected, snmpx_connect_late, snmpx_give_up},
    [DISCOVERING] = {NULL, NULL, NULL, snmpx_read, snmpx_time, snmpx_give_up},
    [ASKING] = {NULL, NULL, NULL, snmpx_read, snmpx_time, snmpx_give_up},
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

void snmp_exchange_free(struct snmp_exchange *s)
{
    if (s == NULL)
        return;
    CHECK(s->state != KEYING); /* the job uses the credentials */
    snmpx_keep_engine(s);
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
    s->open_by_us = INT64_MAX;
    s->given_up = s->cold = false;
    s->vain = 0;
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
void snmpx_ask(struct snmp_exchange *s)
{
    bool ready = s->v3 == NULL || snmp_v3_ready(s->v3);
    s->limit_us = s->deadline_us;
    if (!ready || s->recalled)
        s->limit_us = snmpx_before(s, 2 * snmpx_patience_us(s));
    if (s->limit_us > s->open_by_us)
        s->limit_us = s->open_by_us;
    if (s->now_us >= s->limit_us) {
        snmpx_give_up(s, NULL);
    } else if (!ready) {
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
    snmpx_keep_engine(s);
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

/* It may be another engine than the one that is known. */
static bool snmpx_is_outdated(const struct snmp_exchange *s, enum end end)
{
    return s->recalled && (end == END_REPORTED || end == END_SILENCE);
}

static void snmpx_open_again(struct snmp_exchange *s)
{
    snmpx_close_session(s);
    snmpx_start(s);
}

static void snmpx_open_cold(struct snmp_exchange *s, bool wrong)
{
    snmpx_forget_engine(s, wrong);
    s->cold = true;
    s->vain = wrong ? 0 : 1;
    s->open_by_us = s->limit_us;
    snmpx_open_again(s);
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
        if (s->recalled)
            snmpx_set_retries(s, s->options.retries);
        s->recalled = false;
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
    snmpx_set_retries(s, s->options.retries);
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
    } else if (snmpx_is_outdated(s, end)) {
        snmpx_open_cold(s, end == END_REPORTED);
    } else if (snmpx_is_stale(s, end)) {
        snmpx_forget_engine(s, false);
        s->cold = true;
        snmpx_open_again(s);
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
    if (s->recalled && s->puzzled && !s->settled)
        snmpx_open_cold(s, true);
    else
        snmpx_look(s);
}

static void snmpx_time(struct snmp_exchange *s, const struct exchange_event *event UNUSED)
{
    snmpx_look(s);
}
