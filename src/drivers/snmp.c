#include "config.h"

#include "drivers/snmp.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/thr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <net-snmp/net-snmp-config.h>

#include <net-snmp/net-snmp-includes.h>

#include <net-snmp/library/large_fd_set.h>

/* net-snmp as distributions build it has no working internal locks (docs/adr/0004): opening and closing sessions
 * touch global lists and the default store, so they happen under this mutex. */
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;

/* Readable from the moment snmp_give_up() is called. */
static int give_up_pipe[2] = {-1, -1};

enum wait_end { WAIT_ANSWERED, WAIT_TIMED_OUT, WAIT_SEND_FAILED };

struct snmp_agent {
    struct snmp_options options;
    const struct target *target; /* of the open session */
    void *session;               /* net-snmp's single-session handle, NULL = none */
    netsnmp_large_fd_set readable;

    /* the request in progress, as the library's callback sees it */
    bool settled;
    enum wait_end end;
    long error_status, error_index;

    struct varbind *varbinds;
    size_t varbind_count, varbind_cap;
    uint32_t *subs;  /* numbers of all object identifiers in the reply */
    uint8_t *octets; /* bytes of all strings in the reply */
    struct buf detail;
};

/* ---- library ---- */

bool snmp_library_start(struct err *err)
{
    setenv("MIBS", "", 1);
    static const int off[] = {NETSNMP_DS_LIB_DONT_READ_CONFIGS, NETSNMP_DS_LIB_DONT_PERSIST_STATE,
                              NETSNMP_DS_LIB_DISABLE_PERSISTENT_LOAD,
                              NETSNMP_DS_LIB_DISABLE_PERSISTENT_SAVE};
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

/* ---- peer names ---- */

/* A numeric address for a name, so that the library never resolves under the lock.  IPv4 first, as the library. */
static bool resolve(const char *name, int family, struct buf *out, struct buf *detail)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *list;
    int rc = getaddrinfo(name, NULL, &hints, &list);
    if (rc != 0) {
        buf_printf(detail, "cannot resolve %s: %s", name, gai_strerror(rc));
        return false;
    }
    const struct addrinfo *best = list;
    for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next)
        if (ai->ai_family == AF_INET && best->ai_family != AF_INET)
            best = ai;
    char text[INET6_ADDRSTRLEN + 32];
    rc = getnameinfo(best->ai_addr, best->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
    if (rc == 0)
        buf_printf(out, best->ai_family == AF_INET6 ? "[%s]" : "%s", text);
    else
        buf_printf(detail, "cannot resolve %s: %s", name, gai_strerror(rc));
    bool v6 = best->ai_family == AF_INET6;
    freeaddrinfo(list);
    if (rc == 0 && v6 && family == AF_UNSPEC) {
        char *address = buf_take(out);
        buf_printf(out, "udp6:%s", address);
        free(address);
    }
    return rc == 0;
}

struct transport {
    const char *prefix;
    int family;
};

static const struct transport *find_transport(const char *name)
{
    static const struct transport known[] = {
        {"udp:", AF_INET}, {"tcp:", AF_INET}, {"udp6:", AF_INET6}, {"tcp6:", AF_INET6}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strncasecmp(name, known[i].prefix, strlen(known[i].prefix)) == 0)
            return &known[i];
    return NULL;
}

/* "[transport:]name" plus port -> what the library understands: numeric, IPv6 in brackets (contract Q23).  A port
 * inside the stored name gives way to snmp_port. */
static bool peer_name(const struct target *t, struct buf *out, struct buf *detail)
{
    const struct transport *transport = find_transport(t->hostname);
    const char *host = t->hostname;
    if (transport != NULL) {
        host += strlen(transport->prefix);
        buf_puts(out, transport->prefix);
    }
    struct in6_addr v6;
    size_t len = strlen(host);
    const char *colon = strrchr(host, ':');
    if (host[0] == '[' && strchr(host, ']') != NULL) {
        len = (size_t)(strchr(host, ']') - host) - 1;
        host++;
    } else if (colon != NULL && inet_pton(AF_INET6, host, &v6) != 1) {
        len = (size_t)(colon - host);
    }
    char *name = mem_strndup(host, len);
    struct buf address = BUF_INIT;
    bool ok = resolve(name, transport == NULL ? AF_UNSPEC : transport->family, &address, detail);
    if (ok)
        buf_printf(out, "%s:%u", buf_str(&address), t->port);
    buf_done(&address);
    free(name);
    return ok;
}

/* ---- sessions ---- */

static void close_session(struct snmp_agent *a)
{
    if (a->session == NULL)
        return;
    thr_lock(&library_lock);
    snmp_sess_close(a->session);
    thr_unlock(&library_lock);
    a->session = NULL;
}

static void *open_library_session(const struct snmp_agent *a, const struct target *t, char *peer,
                                  struct buf *detail)
{
    netsnmp_session wanted;
    snmp_sess_init(&wanted);
    wanted.version = t->version == 1 ? SNMP_VERSION_1 : SNMP_VERSION_2c;
    wanted.peername = peer;
    wanted.community = (unsigned char *)(uintptr_t)t->community;
    wanted.community_len = strlen(t->community);
    wanted.timeout = (long)t->timeout_ms * 1000;
    wanted.retries = a->options.retries;
    if (a->options.client_address[0] != '\0')
        wanted.localname = (char *)(uintptr_t)a->options.client_address;
    void *session = snmp_sess_open(&wanted);
    if (session == NULL) {
        int lib = 0, sys = 0;
        char *text = NULL;
        snmp_error(&wanted, &lib, &sys, &text);
        buf_printf(detail, "cannot open a session to %s: %s", peer, text == NULL ? "?" : text);
        free(text);
    }
    return session;
}

static bool open_session(struct snmp_agent *a, const struct target *t)
{
    if (a->session != NULL && target_compare(a->target, t) == 0)
        return true;
    close_session(a);
    if (t->version != 1 && t->version != 2) {
        buf_printf(&a->detail, "SNMP version %d is not supported", t->version);
        return false;
    }
    struct buf peer = BUF_INIT;
    if (peer_name(t, &peer, &a->detail)) {
        thr_lock(&library_lock);
        a->session = open_library_session(a, t, peer.data, &a->detail);
        thr_unlock(&library_lock);
    }
    buf_done(&peer);
    a->target = t;
    if (a->session == NULL)
        return false;
    fcntl(snmp_sess_transport(a->session)->sock, F_SETFD, FD_CLOEXEC);
    return true;
}

struct snmp_agent *snmp_agent_new(const struct snmp_options *options)
{
    struct snmp_agent *a = mem_zalloc(1, sizeof(*a));
    a->options = *options;
    netsnmp_large_fd_set_init(&a->readable, FD_SETSIZE);
    return a;
}

void snmp_agent_free(struct snmp_agent *a)
{
    if (a == NULL)
        return;
    close_session(a);
    netsnmp_large_fd_set_cleanup(&a->readable);
    free(a->varbinds);
    free(a->subs);
    free(a->octets);
    buf_done(&a->detail);
    free(a);
}

/* ---- decoding ---- */

static enum varbind_type type_of(u_char asn)
{
    static const struct {
        u_char asn;
        enum varbind_type type;
    } table[] = {
        {ASN_INTEGER, VARBIND_INTEGER},
        {ASN_COUNTER, VARBIND_COUNTER32},
        {ASN_GAUGE, VARBIND_GAUGE32},
        {ASN_TIMETICKS, VARBIND_TIMETICKS},
        {ASN_COUNTER64, VARBIND_COUNTER64},
        {ASN_OCTET_STR, VARBIND_OCTETS},
        {ASN_BIT_STR, VARBIND_OCTETS},
        {ASN_NSAP, VARBIND_OCTETS},
        {ASN_IPADDRESS, VARBIND_IPADDRESS},
        {ASN_OBJECT_ID, VARBIND_OBJECT_ID},
        {ASN_NULL, VARBIND_NULL},
        {ASN_OPAQUE, VARBIND_OPAQUE},
        {ASN_OPAQUE_FLOAT, VARBIND_OPAQUE_FLOAT},
        {ASN_OPAQUE_DOUBLE, VARBIND_OPAQUE_DOUBLE},
        {ASN_OPAQUE_COUNTER64, VARBIND_OPAQUE_COUNTER64},
        {ASN_OPAQUE_I64, VARBIND_OPAQUE_INT64},
        {ASN_OPAQUE_U64, VARBIND_OPAQUE_UINT64},
        {SNMP_NOSUCHOBJECT, VARBIND_NO_SUCH_OBJECT},
        {SNMP_NOSUCHINSTANCE, VARBIND_NO_SUCH_INSTANCE},
        {SNMP_ENDOFMIBVIEW, VARBIND_END_OF_MIB_VIEW},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].asn == asn)
            return table[i].type;
    return VARBIND_UNKNOWN;
}

static struct oid copy_oid(uint32_t **at, const oid *from, size_t len)
{
    struct oid view = {*at, len};
    for (size_t i = 0; i < len; i++)
        (*at)[i] = (uint32_t)from[i];
    *at += len;
    return view;
}

static uint64_t counter64(const struct counter64 *c)
{
    return (uint64_t)(c->high & 0xffffffffUL) << 32 | (c->low & 0xffffffffUL);
}

static void decode_value(struct varbind *vb, const netsnmp_variable_list *v, uint32_t **subs,
                         uint8_t **octets)
{
    switch (vb->type) {
    case VARBIND_INTEGER: vb->integer = (int32_t)*v->val.integer; break;
    case VARBIND_COUNTER32:
    case VARBIND_GAUGE32:
    case VARBIND_TIMETICKS: vb->number = (uint32_t)*v->val.integer; break;
    case VARBIND_COUNTER64:
    case VARBIND_OPAQUE_COUNTER64:
    case VARBIND_OPAQUE_UINT64: vb->number = counter64(v->val.counter64); break;
    case VARBIND_OPAQUE_INT64: vb->integer = (int64_t)counter64(v->val.counter64); break;
    case VARBIND_OPAQUE_FLOAT: vb->real = (double)*v->val.floatVal; break;
    case VARBIND_OPAQUE_DOUBLE: vb->real = *v->val.doubleVal; break;
    case VARBIND_OCTETS:
    case VARBIND_IPADDRESS:
    case VARBIND_OPAQUE:
        vb->octets.data = *octets;
        vb->octets.len = v->val_len;
        if (v->val_len > 0)
            memcpy(*octets, v->val.string, v->val_len);
        *octets += v->val_len;
        break;
    case VARBIND_OBJECT_ID:
        vb->oid = copy_oid(subs, v->val.objid, v->val_len / sizeof(oid));
        break;
    case VARBIND_NULL:
    case VARBIND_NO_SUCH_OBJECT:
    case VARBIND_NO_SUCH_INSTANCE:
    case VARBIND_END_OF_MIB_VIEW:
    case VARBIND_UNKNOWN: break;
    }
}

static void decode_reply(struct snmp_agent *a, const netsnmp_pdu *pdu)
{
    size_t count = 0, subs = 0, octets = 0;
    for (const netsnmp_variable_list *v = pdu->variables; v != NULL; v = v->next_variable) {
        count++;
        subs += v->name_length + (v->type == ASN_OBJECT_ID ? v->val_len / sizeof(oid) : 0);
        octets += v->val_len;
    }
    a->varbinds = mem_realloc(a->varbinds, count, sizeof(a->varbinds[0]));
    a->subs = mem_realloc(a->subs, subs, sizeof(a->subs[0]));
    a->octets = mem_realloc(a->octets, octets, 1);
    uint32_t *next_sub = a->subs;
    uint8_t *next_octet = a->octets;
    a->varbind_count = 0;
    for (const netsnmp_variable_list *v = pdu->variables; v != NULL; v = v->next_variable) {
        struct varbind *vb = &a->varbinds[a->varbind_count++];
        memset(vb, 0, sizeof(*vb));
        vb->type = type_of(v->type);
        vb->name = copy_oid(&next_sub, v->name, v->name_length);
        decode_value(vb, v, &next_sub, &next_octet);
    }
    a->error_status = pdu->errstat;
    a->error_index = pdu->errindex;
}

/* ---- asking ---- */

static bool belongs(const struct snmp_agent *a, const netsnmp_pdu *pdu)
{
    const struct target *t = a->target;
    if (pdu->command != SNMP_MSG_RESPONSE)
        return false;
    if (pdu->version != (t->version == 1 ? SNMP_VERSION_1 : SNMP_VERSION_2c))
        return false;
    return pdu->community_len == strlen(t->community) &&
           memcmp(pdu->community, t->community, pdu->community_len) == 0;
}

/* Runs inside snmp_sess_read2() and snmp_sess_timeout().  Returning 0 leaves the request open in the library, so that
 * a message that only looks like the answer does not take its place. */
static int on_message(int op, netsnmp_session *session UNUSED, int reqid UNUSED, netsnmp_pdu *pdu,
                      void *arg)
{
    struct snmp_agent *a = arg;
    switch (op) {
    case NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE:
        if (a->settled || !belongs(a, pdu))
            return 0;
        decode_reply(a, pdu);
        a->end = WAIT_ANSWERED;
        break;
    case NETSNMP_CALLBACK_OP_TIMED_OUT: a->end = WAIT_TIMED_OUT; break;
    case NETSNMP_CALLBACK_OP_SEND_FAILED: a->end = WAIT_SEND_FAILED; break;
    default: return 1;
    }
    a->settled = true;
    return 1;
}

static netsnmp_pdu *build_pdu(const struct snmp_request *r)
{
    static const int commands[] = {[SNMP_OP_GET] = SNMP_MSG_GET,
                                   [SNMP_OP_GETNEXT] = SNMP_MSG_GETNEXT,
                                   [SNMP_OP_GETBULK] = SNMP_MSG_GETBULK};
    netsnmp_pdu *pdu = snmp_pdu_create(commands[r->op]);
    if (pdu == NULL)
        return NULL;
    if (r->op == SNMP_OP_GETBULK) {
        pdu->non_repeaters = 0;
        pdu->max_repetitions = r->bulk_rows;
    }
    for (size_t i = 0; i < r->count; i++) {
        oid name[OID_MAX_LEN];
        for (size_t k = 0; k < r->names[i].len; k++)
            name[k] = r->names[i].sub[k];
        if (snmp_add_null_var(pdu, name, r->names[i].len) == NULL) {
            snmp_free_pdu(pdu);
            return NULL;
        }
    }
    return pdu;
}

/* Milliseconds until the library wants to resend or give up. */
static int64_t next_timer_ms(struct snmp_agent *a)
{
    int fds = 0, block = 1;
    struct timeval tv = {0, 0};
    NETSNMP_LARGE_FD_ZERO(&a->readable);
    snmp_sess_select_info2(a->session, &fds, &a->readable, &tv, &block);
    if (block)
        return 1000;
    return (int64_t)tv.tv_sec * 1000 + (tv.tv_usec + 999) / 1000;
}

/* One wait for the socket, the library's timer, the deadline or the end of the cycle, whichever comes first.
 * false: the deadline or the end of the cycle. */
static bool wait_once(struct snmp_agent *a, int64_t deadline_mono_ms)
{
    int64_t wait_ms = next_timer_ms(a);
    int64_t left_ms = deadline_mono_ms - clock_mono_ms();
    if (left_ms <= 0)
        return false;
    int sock = snmp_sess_transport(a->session)->sock;
    struct pollfd fds[2] = {{.fd = sock, .events = POLLIN},
                            {.fd = give_up_pipe[0], .events = POLLIN}};
    int n = poll(fds, 2, (int)(wait_ms < left_ms ? wait_ms : left_ms));
    if (n > 0 && fds[1].revents != 0)
        return false;
    if (n > 0 && fds[0].revents != 0) {
        NETSNMP_LARGE_FD_ZERO(&a->readable);
        NETSNMP_LARGE_FD_SET(sock, &a->readable);
        snmp_sess_read2(a->session, &a->readable);
    } else if (n == 0) {
        snmp_sess_timeout(a->session);
    }
    return true;
}

static enum wait_end exchange(struct snmp_agent *a, const struct snmp_request *r,
                              int64_t deadline_mono_ms)
{
    netsnmp_pdu *pdu = build_pdu(r);
    if (pdu == NULL) {
        buf_puts(&a->detail, "cannot build the request");
        return WAIT_SEND_FAILED;
    }
    a->settled = false;
    if (snmp_sess_async_send(a->session, pdu, on_message, a) == 0) {
        int lib = 0, sys = 0;
        char *text = NULL;
        snmp_sess_error(a->session, &lib, &sys, &text);
        buf_printf(&a->detail, "cannot send: %s", text == NULL ? "?" : text);
        free(text);
        snmp_free_pdu(pdu);
        return WAIT_SEND_FAILED;
    }
    while (!a->settled)
        if (!wait_once(a, deadline_mono_ms)) {
            close_session(a); /* drops the request, so that a late answer finds nobody */
            return WAIT_TIMED_OUT;
        }
    return a->end;
}

void snmp_agent_ask(struct snmp_agent *a, const struct snmp_request *request,
                    int64_t deadline_mono_ms, struct snmp_reply *ret)
{
    int64_t started_us = clock_mono_us();
    enum wait_end end = WAIT_SEND_FAILED;
    buf_clear(&a->detail);
    a->varbind_count = 0;
    a->error_status = a->error_index = 0;
    if (open_session(a, request->target))
        end = exchange(a, request, deadline_mono_ms);
    static const enum snmp_outcome outcomes[] = {[WAIT_ANSWERED] = SNMP_ANSWERED,
                                                 [WAIT_TIMED_OUT] = SNMP_TIMED_OUT,
                                                 [WAIT_SEND_FAILED] = SNMP_FAILED};
    *ret = (struct snmp_reply){
        .outcome = outcomes[end],
        .error_status = a->error_status,
        .error_index = a->error_index,
        .varbinds = a->varbinds,
        .count = a->varbind_count,
        .detail = a->detail.len > 0 ? a->detail.data : "send error",
        .elapsed_us = clock_mono_us() - started_us,
    };
}
