/* What the files of the SNMP driver share.  They include net-snmp's headers before this one. */
#ifndef SPINE_DRIVERS_SNMP_PRIVATE_H
#define SPINE_DRIVERS_SNMP_PRIVATE_H

#include "drivers/snmp.h"

#include "base/buf.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* net-snmp as distributions build it has no working internal locks: what touches its global lists
 * happens under this one (docs/adr/0004). */
extern pthread_mutex_t snmp_library_lock;

/* Readable from the moment snmp_give_up() is called; -1 before the start. */
int snmp_give_up_fd(void);

enum snmp_count {
    COUNT_REQUESTS,
    COUNT_REPEATS,
    COUNT_ANSWERS,
    COUNT_STRANGERS,
    COUNT_IGNORED,
    COUNT_DISCOVERIES,
    COUNT_REPORTS,
    COUNT_KINDS
};

extern atomic_uint_fast64_t snmp_count[COUNT_KINDS];

static inline void snmp_count_one(enum snmp_count what)
{
    atomic_fetch_add_explicit(&snmp_count[what], 1, memory_order_relaxed);
}

/* ---- snmp_decode.c: requests and answers, without any state of the library ---- */

struct snmp_answer {
    long error_status, error_index;
    struct varbind *varbinds;
    size_t count;

    size_t varbind_cap, sub_cap, octet_cap;
    uint32_t *subs;  /* numbers of all object identifiers */
    uint8_t *octets; /* bytes of all strings */
};

netsnmp_pdu *snmp_decode_build(const struct snmp_request *r); /* NULL: no memory */
void snmp_decode_answer(const netsnmp_pdu *pdu, struct snmp_answer *ret);
void snmp_decode_clear(struct snmp_answer *a);
void snmp_decode_done(struct snmp_answer *a);

/* ---- snmp_peer.c: names, addresses and sockets; our transport of the library's messages ---- */

/* The library owns and frees it (as a netsnmp_transport) with the session. */
struct snmp_peer {
    netsnmp_transport transport; /* first */
    struct sockaddr_storage address;
    socklen_t address_len;
    size_t received;     /* by a stream, since the request was sent */
    bool from_elsewhere; /* the last datagram */
    bool sent;           /* something of this request has left */
    int send_errno;      /* why the last message has not */
};

/* Resolve the target's name and open a socket.  On failure false, and why: an outcome and its
 * detail. */
struct snmp_peer *snmp_peer_open(const struct target *t, const struct snmp_options *options,
                                 int64_t deadline_mono_ms, enum snmp_outcome *ret_why,
                                 struct buf *detail);
void snmp_peer_free(struct snmp_peer *p);  /* only as long as no session has it */
void snmp_peer_begin(struct snmp_peer *p); /* a new request */
bool snmp_peer_is_own_trouble(int number); /* errno: says nothing about the device */
uint32_t snmp_peer_timeout_ms(const struct target *t);
int64_t snmp_peer_patience_ms(const struct target *t, const struct snmp_options *options);

/* ---- snmp_v3.c: users, keys, engines ---- */

struct snmp_v3;

/* The target's credentials; may take milliseconds for new pass phrases.  NULL: they can never work,
 * see detail. */
struct snmp_v3 *snmp_v3_new(const struct target *t, struct buf *detail);
void snmp_v3_free(struct snmp_v3 *v);
void snmp_v3_stop(void); /* forgets all keys */

/* Fill the session that will be opened. */
void snmp_v3_describe(struct snmp_v3 *v, netsnmp_session *wanted);

/* Every use of the library for the session happens between these two, which hold its lock: they
 * make the user and engine time of this session, and no others, known to it. */
void snmp_v3_enter(struct snmp_v3 *v);
void snmp_v3_leave(struct snmp_v3 *v, const netsnmp_session *session);

bool snmp_v3_ready(const struct snmp_v3 *v); /* the engine is known */
netsnmp_pdu *snmp_v3_discovery(void);        /* asks for the engine; NULL: no memory */

/* After discovery: make the keys for the engine that the session has learned. */
bool snmp_v3_settle(struct snmp_v3 *v, const netsnmp_session *session, struct buf *detail);

const char *snmp_v3_report_text(int type); /* of snmpv3_get_report_type() */

#endif
