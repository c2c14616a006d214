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

void snmpx_close_session(struct snmp_exchange *s)
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
    s->used = s->recalled = false;
}

/* A session that has served ends for no fault of its own. */
void snmpx_keep_engine(const struct snmp_exchange *s)
{
    if (s->options.engines != NULL && s->session != NULL && s->v3 != NULL && s->used)
        snmp_v3_keep(s->v3, &s->peer->address, s->options.engines, s->now_us / 1000);
}

void snmpx_forget_engine(const struct snmp_exchange *s, bool wrong)
{
    if (s->options.engines != NULL && s->session != NULL && s->v3 != NULL)
        snmp_v3_forget(s->v3, &s->peer->address, s->options.engines, wrong);
}

/* ---- states ---- */

int64_t snmpx_before(const struct snmp_exchange *s, int64_t after_us)
{
    return s->deadline_us < s->now_us + after_us ? s->deadline_us : s->now_us + after_us;
}

int64_t snmpx_timeout_us(const struct snmp_exchange *s)
{
    return (int64_t)s->target->timeout_ms * 1000;
}

int64_t snmpx_patience_us(const struct snmp_exchange *s)
{
    return snmp_peer_patience_ms(s->target, &s->options) * 1000;
}

void snmpx_want_io(struct snmp_exchange *s, enum state state, short events, int64_t until_us)
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
void snmpx_over(struct snmp_exchange *s, enum snmp_outcome outcome, bool keep_session)
{
    s->outcome = outcome;
    if (!keep_session)
        snmpx_close_session(s);
    s->request = NULL;
    s->state = OVER;
    s->base.want = (struct want){.kind = WANT_NOTHING};
}

void snmpx_fail(struct snmp_exchange *s, enum snmp_outcome outcome, const char *detail)
{
    buf_puts(&s->detail, detail);
    snmpx_over(s, outcome, false);
}

void snmpx_give_up(struct snmp_exchange *s, const struct exchange_event *event UNUSED)
{
    snmpx_fail(s, SNMP_TIMED_OUT, "out of time");
}

void snmpx_note_give_up(struct snmp_exchange *s, const struct exchange_event *event UNUSED)
{
    s->given_up = true;
}

/* ---- from the target to the session ---- */

void snmpx_name(struct snmp_exchange *s)
{
    if (s->target->port == 0)
        snmpx_fail(s, SNMP_FAILED, "port 0: Invalid argument");
    else
        snmpx_want_name(s, NAMING, s->target->hostname);
}

void snmpx_keyed(struct snmp_exchange *s, const struct exchange_event *event)
{
    if (!snmp_v3_check_keys(s->v3, &s->detail))
        snmpx_over(s, SNMP_FAILED, false);
    else if (s->given_up)
        snmpx_give_up(s, event);
    else
        snmpx_name(s);
}

void snmpx_make_keys(struct snmp_exchange *s)
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

void snmpx_name_failed(struct snmp_exchange *s, const struct exchange_event *event)
{
    bool wrong = event->err->kind == ERR_CONFIG;
    snmpx_fail(s, wrong ? SNMP_FAILED : SNMP_IMPOSSIBLE, event->err->text);
}

void snmpx_local_failed(struct snmp_exchange *s, const struct exchange_event *event)
{
    buf_puts(&s->detail, "client address: ");
    snmpx_fail(s, SNMP_IMPOSSIBLE, event->err->text);
}

void snmpx_name_late(struct snmp_exchange *s, const struct exchange_event *event UNUSED)
{
    if (s->now_us >= s->base.want.until_us)
        snmpx_fail(s, SNMP_IMPOSSIBLE, "the name was not looked up in time");
}

static void snmpx_describe(const struct snmp_exchange *s, netsnmp_session *wanted)
{
    const struct target *t = s->target;
    snmp_sess_init(wanted);
    wanted->timeout = LIBRARY_TIMEOUT_US;
    wanted->retries = s->options.retries > s->vain ? s->options.retries - s->vain : 0;
    if (t->version == 3) {
        snmp_v3_describe(s->v3, wanted);
        return;
    }
    wanted->version = t->version == 1 ? SNMP_VERSION_1 : SNMP_VERSION_2c;
    wanted->community = (unsigned char *)(uintptr_t)t->community;
    wanted->community_len = strlen(t->community);
}

void snmpx_set_retries(const struct snmp_exchange *s, int retries)
{
    snmp_sess_session(s->session)->retries = retries;
}

/* An engine that is not what it was may say nothing at all: the first silence is the time to look for it. */
static void snmpx_recall_engine(struct snmp_exchange *s)
{
    if (s->options.engines == NULL || s->v3 == NULL || s->cold)
        return;
    s->recalled = snmp_v3_recall(s->v3, snmp_sess_session(s->session), &s->peer->address,
                                 s->options.engines, s->now_us / 1000);
    if (s->recalled)
        snmpx_set_retries(s, 0);
}

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
        snmpx_recall_engine(s);
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

void snmpx_go_local(struct snmp_exchange *s, const struct exchange_event *event)
{
    const char *local = s->options.client_address;
    s->peer = snmp_peer_new(s->target, event->address, s->wire, &s->traffic);
    if (local != NULL && local[0] != '\0')
        snmpx_want_name(s, NAMING_LOCAL, local);
    else
        snmpx_connect(s, NULL);
}

void snmpx_go_connect(struct snmp_exchange *s, const struct exchange_event *event)
{
    snmpx_connect(s, event->address);
}

static void snmpx_connect_end(struct snmp_exchange *s, int number)
{
    enum snmp_outcome why = SNMP_TIMED_OUT;
    enum snmp_peer_step step = snmp_peer_connected(number, &why, &s->detail);
    snmpx_go_on(s, step, why);
}

void snmpx_connected(struct snmp_exchange *s, const struct exchange_event *event UNUSED)
{
    int number = -s->wire->error(s->wire->arg, s->peer->fd);
    if (number != EINPROGRESS)
        snmpx_connect_end(s, number);
}

void snmpx_connect_late(struct snmp_exchange *s, const struct exchange_event *event UNUSED)
{
    if (s->now_us >= s->base.want.until_us)
        snmpx_connect_end(s, ETIMEDOUT);
}
