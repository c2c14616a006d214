#include "config.h"

#include "drivers/snmp.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <net-snmp/net-snmp-config.h>

#include <net-snmp/net-snmp-includes.h>

#include <net-snmp/library/large_fd_set.h>

#include "snmp_private.h"

pthread_mutex_t snmp_library_lock = PTHREAD_MUTEX_INITIALIZER;
atomic_uint_fast64_t snmp_count[COUNT_KINDS];

/* Readable from the moment snmp_give_up() is called. */
static int give_up_pipe[2] = {-1, -1};

enum wait_end {
    WAIT_ANSWERED,
    WAIT_REPORTED, /* v3: the agent says what it does not like, or who it is */
    WAIT_SILENCE,
    WAIT_TOO_BIG,      /* our request does not fit into a message */
    WAIT_DISCONNECTED, /* a stream */
    WAIT_OVER,         /* the deadline or the end of the cycle */
    WAIT_NOT_SENT,     /* a->outcome and a->detail say why */
};

struct snmp_agent {
    struct snmp_options options;
    struct resolver *own_resolver; /* if the options have none */
    const struct target *target;   /* of the open session */
    void *session;                 /* net-snmp's single-session handle, NULL = none */
    struct snmp_peer *peer;        /* the session's transport; the library's */
    struct snmp_v3 *v3;            /* the session's credentials, NULL for v1 and v2c */
    bool used;                     /* a request has been answered in this session */
    netsnmp_large_fd_set readable;

    /* the request in progress, as the library's callback sees it */
    bool settled, noticed, puzzled;
    enum wait_end end;
    int64_t timer_us; /* when the library will want to send again or give up */
    int report;
    struct snmp_answer answer;

    enum snmp_outcome outcome; /* if not answered */
    struct buf detail;
};

/* ---- library ---- */

bool snmp_library_start(struct err *err)
{
    setenv("MIBS", "", 1);
    static const int off[] = {NETSNMP_DS_LIB_DONT_READ_CONFIGS, NETSNMP_DS_LIB_DONT_PERSIST_STATE,
                              NETSNMP_DS_LIB_DISABLE_PERSISTENT_LOAD,
                              NETSNMP_DS_LIB_DISABLE_PERSISTENT_SAVE,
                              NETSNMP_DS_LIB_NO_DISCOVERY /* of us */};
    for (size_t i = 0; i < ARRAY_LEN(off); i++)
        netsnmp_ds_set_boolean(NETSNMP_DS_LIBRARY_ID, off[i], 1);
    snmp_disable_log();
    init_snmp("spine");
    if (pipe2(give_up_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_set_number(err, ERR_OS, errno, "cannot create a pipe: %s", strerror(errno));
    return true;
}

void snmp_library_stop(void)
{
    snmp_v3_stop();
    snmp_shutdown("spine");
    for (int i = 0; i < 2; i++) {
        if (give_up_pipe[i] >= 0)
            close(give_up_pipe[i]);
        give_up_pipe[i] = -1;
    }
}

const char *snmp_library_version(void)
{
    return netsnmp_get_version();
}

void snmp_give_up(void)
{
    if (give_up_pipe[1] >= 0 && write(give_up_pipe[1], "x", 1) < 0)
        return; /* full: already given up */
}

int snmp_give_up_fd(void)
{
    return give_up_pipe[0];
}

void snmp_counts_get(struct snmp_counts *ret)
{
    uint64_t n[COUNT_KINDS];
    for (size_t i = 0; i < COUNT_KINDS; i++)
        n[i] = atomic_load_explicit(&snmp_count[i], memory_order_relaxed);
    *ret = (struct snmp_counts){
        .requests = n[COUNT_REQUESTS],
        .repeats = n[COUNT_REPEATS],
        .answers = n[COUNT_ANSWERS],
        .strangers = n[COUNT_STRANGERS],
        .ignored = n[COUNT_IGNORED],
        .discoveries = n[COUNT_DISCOVERIES],
        .reports = n[COUNT_REPORTS],
    };
}

/* ---- agents and their sessions ---- */

struct snmp_agent *snmp_agent_new(const struct snmp_options *options)
{
    struct snmp_agent *a = mem_zalloc(1, sizeof(*a));
    a->options = *options;
    if (a->options.retries < 0)
        a->options.retries = 0;
    if (a->options.retries > SNMP_RETRIES_MAX)
        a->options.retries = SNMP_RETRIES_MAX;
    netsnmp_large_fd_set_init(&a->readable, FD_SETSIZE);
    return a;
}

static void close_session(struct snmp_agent *a)
{
    if (a->session != NULL) {
        thr_lock(&snmp_library_lock);
        snmp_sess_close(a->session); /* and the peer */
        thr_unlock(&snmp_library_lock);
    }
    snmp_v3_free(a->v3);
    a->session = NULL;
    a->peer = NULL;
    a->v3 = NULL;
    a->target = NULL;
    a->used = false;
}

void snmp_agent_free(struct snmp_agent *a)
{
    if (a == NULL)
        return;
    close_session(a);
    resolver_free(a->own_resolver);
    netsnmp_large_fd_set_cleanup(&a->readable);
    snmp_decode_done(&a->answer);
    buf_done(&a->detail);
    free(a);
}

static void describe_session(const struct snmp_agent *a, const struct target *t,
                             netsnmp_session *wanted)
{
    snmp_sess_init(wanted);
    wanted->timeout = (long)snmp_peer_timeout_ms(t) * 1000;
    wanted->retries = a->options.retries;
    if (t->version == 3) {
        snmp_v3_describe(a->v3, wanted);
        return;
    }
    wanted->version = t->version == 1 ? SNMP_VERSION_1 : SNMP_VERSION_2c;
    wanted->community = (unsigned char *)(uintptr_t)t->community;
    wanted->community_len = strlen(t->community);
}

/* The library would look for a v3 agent's engine by itself, blocking, in the first request: it is
 * told not to after the opening, which resets that. */
static void open_library_session(struct snmp_agent *a, const struct target *t)
{
    netsnmp_session wanted;
    thr_lock(&snmp_library_lock);
    describe_session(a, t, &wanted);
    a->session = snmp_sess_add(&wanted, &a->peer->transport, NULL, NULL);
    if (a->session != NULL)
        snmp_sess_session(a->session)->flags |= SNMP_FLAGS_DONT_PROBE;
    thr_unlock(&snmp_library_lock);
    if (a->session != NULL)
        return;
    a->peer = NULL; /* the library has freed it */
    a->outcome = SNMP_IMPOSSIBLE;
    buf_printf(&a->detail, "cannot open a session: %s", snmp_api_errstring(wanted.s_snmp_errno));
}

static bool open_session(struct snmp_agent *a, const struct target *t, int64_t deadline_mono_ms)
{
    if (a->session != NULL && target_compare(a->target, t) == 0)
        return true;
    close_session(a);
    a->outcome = SNMP_FAILED;
    if (t->version < 1 || t->version > 3) {
        buf_printf(&a->detail, "SNMP version %d is not supported", t->version);
        return false;
    }
    if (a->options.resolver == NULL)
        a->options.resolver = a->own_resolver = resolver_new();
    if (t->version == 3)
        a->v3 = snmp_v3_new(t, &a->detail);
    if (t->version < 3 || a->v3 != NULL)
        a->peer = snmp_peer_open(t, &a->options, deadline_mono_ms, &a->outcome, &a->detail);
    if (a->peer != NULL)
        open_library_session(a, t);
    if (a->session == NULL) {
        close_session(a);
        return false;
    }
    a->target = t;
    a->outcome = SNMP_TIMED_OUT;
    return true;
}

/* Whoever uses the library for a v3 session, which lives on global tables, is alone in it. */
static void enter_library(struct snmp_agent *a)
{
    if (a->v3 != NULL)
        snmp_v3_enter(a->v3);
}

static void leave_library(struct snmp_agent *a)
{
    if (a->v3 != NULL)
        snmp_v3_leave(a->v3, snmp_sess_session(a->session));
}

/* ---- what the library tells ---- */

static bool belongs(const struct snmp_agent *a, const netsnmp_pdu *pdu)
{
    const struct target *t = a->target;
    if (t->version == 3) /* the library has checked all there is */
        return pdu->version == SNMP_VERSION_3 &&
               (pdu->command == SNMP_MSG_RESPONSE || pdu->command == SNMP_MSG_REPORT);
    return pdu->command == SNMP_MSG_RESPONSE &&
           pdu->version == (t->version == 1 ? SNMP_VERSION_1 : SNMP_VERSION_2c) &&
           pdu->community_len == strlen(t->community) &&
           memcmp(pdu->community, t->community, pdu->community_len) == 0;
}

static void settle(struct snmp_agent *a, enum wait_end end)
{
    a->end = end;
    a->settled = true;
}

static int take_message(struct snmp_agent *a, netsnmp_pdu *pdu)
{
    if (a->settled || !belongs(a, pdu))
        return 0; /* leaves the request open: what only looks like the answer takes no place */
    a->noticed = true;
    if (pdu->command == SNMP_MSG_REPORT) {
        a->report = snmpv3_get_report_type(pdu);
        settle(a, WAIT_REPORTED);
        return 1;
    }
    snmp_decode_answer(pdu, &a->answer);
    snmp_count_one(COUNT_ANSWERS);
    if (a->peer->from_elsewhere)
        snmp_count_one(COUNT_STRANGERS);
    settle(a, WAIT_ANSWERED);
    return 1;
}

static void start_timer(struct snmp_agent *a)
{
    a->timer_us = clock_mono_us() + (int64_t)snmp_peer_timeout_ms(a->target) * 1000;
}

/* Runs inside snmp_sess_async_send(), snmp_sess_read2(), snmp_sess_timeout() and snmp_sess_close().
 */
static int on_event(int op, netsnmp_session *session UNUSED, int reqid UNUSED, netsnmp_pdu *pdu,
                    void *arg)
{
    struct snmp_agent *a = arg;
    switch (op) {
    case NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE: return take_message(a, pdu);
    case NETSNMP_CALLBACK_OP_TIMED_OUT: settle(a, WAIT_SILENCE); break;
    case NETSNMP_CALLBACK_OP_SEND_FAILED: settle(a, WAIT_NOT_SENT); break;
    case NETSNMP_CALLBACK_OP_RESEND:
        a->noticed = true;
        snmp_count_one(COUNT_REPEATS);
        start_timer(a);
        break;
    default: break; /* a Report comes twice: as a security error first */
    }
    return 1;
}

/* ---- one request ---- */

static enum wait_end not_sent(struct snmp_agent *a)
{
    const netsnmp_session *s = snmp_sess_session(a->session);
    if (s->s_snmp_errno == SNMPERR_TOO_LONG || s->s_errno == EMSGSIZE)
        return WAIT_TOO_BIG;
    bool ours = s->s_snmp_errno == SNMPERR_MALLOC || snmp_peer_is_own_trouble(s->s_errno);
    a->outcome = ours ? SNMP_IMPOSSIBLE : SNMP_FAILED;
    buf_printf(&a->detail, "cannot send: %s", snmp_api_errstring(s->s_snmp_errno));
    return WAIT_NOT_SENT;
}

static void read_message(struct snmp_agent *a)
{
    a->noticed = false;
    NETSNMP_LARGE_FD_SET(a->peer->transport.sock, &a->readable);
    enter_library(a);
    snmp_sess_read2(a->session, &a->readable);
    leave_library(a);
    if (!a->noticed) {
        a->puzzled = true;
        snmp_count_one(COUNT_IGNORED);
    }
}

/* The library sends again or gives up; if it can do neither (no memory), it would try for ever. */
static void run_timer(struct snmp_agent *a)
{
    int64_t before_us = a->timer_us;
    enter_library(a);
    snmp_sess_timeout(a->session);
    leave_library(a);
    if (!a->settled && a->timer_us == before_us)
        settle(a, WAIT_OVER);
}

/* One wait for the socket, the timer, the deadline or the end of the cycle, whichever comes first.
 * Time is looked at whatever comes in, so that a flood of rubbish cannot stop it. */
static enum wait_end wait_once(struct snmp_agent *a, int64_t deadline_mono_ms)
{
    int64_t now_us = clock_mono_us();
    int64_t left_ms = deadline_mono_ms - now_us / 1000;
    int64_t timer_ms = (a->timer_us - now_us + 999) / 1000;
    if (left_ms <= 0)
        return WAIT_OVER;
    if (timer_ms > left_ms)
        timer_ms = left_ms;
    struct pollfd fds[2] = {{.fd = a->peer->transport.sock, .events = POLLIN},
                            {.fd = give_up_pipe[0], .events = POLLIN}};
    int n = poll(fds, 2, timer_ms > 0 ? (int)timer_ms : 0);
    if (n > 0 && fds[1].revents != 0)
        return WAIT_OVER;
    if (n > 0 && fds[0].revents != 0)
        read_message(a);
    if (a->peer->transport.sock < 0 && !a->settled)
        return WAIT_DISCONNECTED;
    if (!a->settled && (n == 0 || timer_ms <= 0))
        run_timer(a);
    return a->settled ? a->end : WAIT_ANSWERED; /* if not settled: go on */
}

/* Sends and waits.  The pdu is the library's or gone in any case.  Where this ends with the request
 * still open in the library, the caller closes the session, so that nothing late meets anybody. */
static enum wait_end exchange(struct snmp_agent *a, netsnmp_pdu *pdu, int64_t deadline_mono_ms)
{
    if (pdu == NULL) {
        a->outcome = SNMP_IMPOSSIBLE;
        buf_puts(&a->detail, "cannot build the request: out of memory");
        return WAIT_NOT_SENT;
    }
    snmp_decode_clear(&a->answer);
    snmp_peer_begin(a->peer);
    a->settled = a->puzzled = false;
    snmp_count_one(COUNT_REQUESTS);
    enter_library(a);
    bool sent = snmp_sess_async_send(a->session, pdu, on_event, a) != 0;
    leave_library(a);
    if (!sent) {
        snmp_free_pdu(pdu);
        return not_sent(a);
    }
    start_timer(a);
    enum wait_end end = WAIT_ANSWERED;
    while (!a->settled && end == WAIT_ANSWERED)
        end = wait_once(a, deadline_mono_ms);
    return end;
}

/* ---- asking ---- */

static bool is_over(const struct snmp_agent *a, int64_t deadline_mono_ms)
{
    return a->peer->transport.sock < 0 || clock_mono_ms() >= deadline_mono_ms;
}

/* The agent's engine (RFC 3414 section 4), by hand: the library's own search blocks. */
static enum wait_end discover(struct snmp_agent *a, int64_t deadline_mono_ms)
{
    enum wait_end end = exchange(a, snmp_v3_discovery(), deadline_mono_ms);
    if (end != WAIT_REPORTED && end != WAIT_ANSWERED)
        return end;
    snmp_count_one(COUNT_DISCOVERIES);
    if (snmp_v3_settle(a->v3, snmp_sess_session(a->session), &a->detail))
        return WAIT_ANSWERED;
    a->outcome = SNMP_FAILED;
    return WAIT_NOT_SENT;
}

static enum wait_end ask_in_session(struct snmp_agent *a, const struct snmp_request *request,
                                    int64_t deadline_mono_ms)
{
    if (is_over(a, deadline_mono_ms))
        return a->peer->transport.sock < 0 ? WAIT_DISCONNECTED : WAIT_OVER;
    if (a->v3 != NULL && !snmp_v3_ready(a->v3)) {
        int64_t cap = clock_mono_ms() + 2 * snmp_peer_patience_ms(a->target, &a->options);
        if (deadline_mono_ms > cap)
            deadline_mono_ms = cap;
        enum wait_end end = discover(a, deadline_mono_ms);
        if (end != WAIT_ANSWERED)
            return end;
    }
    return exchange(a, snmp_decode_build(request), deadline_mono_ms);
}

/* Silence is the device's, unless not one message could leave for a reason of our own. */
static void take_silence(struct snmp_agent *a)
{
    const struct snmp_peer *p = a->peer;
    bool ours = !p->sent && snmp_peer_is_own_trouble(p->send_errno);
    a->outcome = ours ? SNMP_IMPOSSIBLE : SNMP_TIMED_OUT;
    buf_puts(&a->detail, p->send_errno != 0 ? strerror(p->send_errno) : "no answer");
}

static void take_end(struct snmp_agent *a, enum wait_end end)
{
    bool keep = false;
    switch (end) {
    case WAIT_ANSWERED:
        a->outcome = SNMP_ANSWERED;
        a->used = keep = true;
        break;
    case WAIT_TOO_BIG:
        a->outcome = SNMP_ANSWERED;
        a->answer.error_status = SNMP_ERROR_TOO_BIG;
        keep = true;
        break;
    case WAIT_REPORTED:
        snmp_count_one(COUNT_REPORTS);
        a->outcome = SNMP_REFUSED;
        buf_printf(&a->detail, "the agent refuses: %s", snmp_v3_report_text(a->report));
        keep = a->report != SNMPERR_UNKNOWN_ENG_ID && a->report != SNMPERR_NOT_IN_TIME_WINDOW;
        break;
    case WAIT_SILENCE:
        take_silence(a);
        keep = true;
        break;
    case WAIT_DISCONNECTED: buf_puts(&a->detail, "connection closed by the device"); break;
    case WAIT_OVER: buf_puts(&a->detail, "out of time"); break;
    case WAIT_NOT_SENT: break;
    }
    if (!keep)
        close_session(a);
}

/* What was good for the last answer may not be any more: the agent has closed an idle connection,
 * or it talks, but not as the engine that was found (a restart with a new engine id). */
static bool is_stale(const struct snmp_agent *a, enum wait_end end)
{
    return a->used &&
           (end == WAIT_DISCONNECTED || (end == WAIT_SILENCE && a->v3 != NULL && a->puzzled));
}

static void ask(struct snmp_agent *a, const struct snmp_request *request, int64_t deadline_mono_ms)
{
    enum wait_end end = WAIT_NOT_SENT;
    for (bool again = true; again;) {
        if (!open_session(a, request->target, deadline_mono_ms))
            return;
        end = ask_in_session(a, request, deadline_mono_ms);
        again = is_stale(a, end);
        if (again)
            close_session(a);
    }
    take_end(a, end);
}

void snmp_agent_ask(struct snmp_agent *a, const struct snmp_request *request,
                    int64_t deadline_mono_ms, struct snmp_reply *ret)
{
    int64_t started_us = clock_mono_us();
    buf_clear(&a->detail);
    snmp_decode_clear(&a->answer);
    a->outcome = SNMP_TIMED_OUT;
    ask(a, request, deadline_mono_ms);
    *ret = (struct snmp_reply){
        .outcome = a->outcome,
        .error_status = a->answer.error_status,
        .error_index = a->answer.error_index,
        .varbinds = a->answer.varbinds,
        .count = a->answer.count,
        .detail = buf_str(&a->detail),
        .elapsed_us = clock_mono_us() - started_us,
    };
}
