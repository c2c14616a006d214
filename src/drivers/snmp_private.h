/* What the files of the SNMP driver share.  They include net-snmp's headers before this one.
 *
 * snmp.c           the library's start and end, agents: a loop around the machine
 * snmp_exchange.c  the machine: one request from the name to the answer
 * snmp_open.c      the part of it that opens and ends the session
 * snmp_peer.c      our transport of the library's messages, on a wire
 * snmp_v3.c        users, keys, engines
 * snmp_decode.c    requests and answers, without any state of the library
 */
#ifndef SPINE_DRIVERS_SNMP_PRIVATE_H
#define SPINE_DRIVERS_SNMP_PRIVATE_H

#include "drivers/snmp_exchange.h"

#include "base/buf.h"
#include "base/thr.h"

/* net-snmp as distributions build it has no working internal locks (docs/adr/0004).  This one guards
 * the library's global state: the session bookkeeping of opening and closing, and for v3 the user
 * list, the engine clocks and the salts, which every send, read and timer of a v3 session uses.  v1
 * and v2c messages touch none of it and are sent and read without the lock.  It is taken alone, and
 * never while waiting or hashing. */
extern struct thr_mutex snmp_library_lock;

/* ---- snmp_decode.c ---- */

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

/* ---- snmp_peer.c ---- */

/* What the library knows as the number of every open socket.  It never uses the number but to look it up in
 * the set of those that are ready, which would otherwise be as large as the largest number. */
enum { SNMP_PEER_SOCK = 0 };

/* The library owns and frees it (as a netsnmp_transport) with the session. */
struct snmp_peer {
    netsnmp_transport transport; /* first; its sock is SNMP_PEER_SOCK, -1 without a descriptor */
    int fd;                      /* -1 also as soon as a stream is closed */
    const struct wire *wire;
    struct snmp_traffic *traffic; /* is counted here */
    struct address address;
    size_t received;     /* by a stream, since the request was sent */
    unsigned messages;   /* whole ones, whatever is in them; set to 0 by the code that counts */
    bool from_elsewhere; /* the last datagram */
    bool tried, sent;    /* to send this request; something of it has left */
    int send_errno;      /* why the last message has not */
};

enum snmp_peer_step { SNMP_PEER_OPEN, SNMP_PEER_CONNECTING, SNMP_PEER_FAILED };

/* Datagrams or a stream, as the target's hostname says, to that address and the target's port. */
struct snmp_peer *snmp_peer_new(const struct target *t, const struct address *to,
                                const struct wire *wire, struct snmp_traffic *traffic);
void snmp_peer_free(struct snmp_peer *p); /* only as long as no session has it */

/* Open its socket; `local`, if not NULL, is the address to leave from for targets of its family.
 * Failed: why, as an outcome and its detail. */
enum snmp_peer_step snmp_peer_open(struct snmp_peer *p, const struct address *local,
                                   enum snmp_outcome *ret_why, struct buf *detail);
/* A connect in progress has ended: number is 0 or an errno, and then what the network says,
 * as a failure of this machine shows before anything has left. */
enum snmp_peer_step snmp_peer_connected(int number, enum snmp_outcome *ret_why, struct buf *detail);
/* For the library: a hook that sees each message first. */
int snmp_peer_note_message(netsnmp_session *session, netsnmp_transport *t, void *opaque,
                           int opaque_len);
void snmp_peer_begin(struct snmp_peer *p); /* a new request */

int64_t snmp_peer_patience_ms(const struct target *t, const struct snmp_options *options);

/* ---- snmp_v3.c ---- */

struct snmp_v3;

/* The target's credentials, without keys yet.  NULL: they can never work, see detail. */
struct snmp_v3 *snmp_v3_new(const struct target *t, struct buf *detail);
void snmp_v3_free(struct snmp_v3 *v);
void snmp_v3_stop(void); /* forgets all keys */

/* Keys come from pass phrases, once for each in the life of the process: some milliseconds. */
bool snmp_v3_has_keys(struct snmp_v3 *v); /* takes those that are known already */
void snmp_v3_make_keys(void *v);          /* a job for any thread, which alone uses v meanwhile */
bool snmp_v3_check_keys(const struct snmp_v3 *v, struct buf *detail);

/* Fill the session that will be opened. */
void snmp_v3_describe(struct snmp_v3 *v, netsnmp_session *wanted);

/* Every use of the library for the session happens between these two, which hold its lock: they
 * make the user and engine time of this session, and no others, known to it. */
void snmp_v3_enter(struct snmp_v3 *v) ACQUIRE(snmp_library_lock);
void snmp_v3_leave(struct snmp_v3 *v, const netsnmp_session *session) RELEASE(snmp_library_lock);

bool snmp_v3_ready(const struct snmp_v3 *v); /* the engine is known */
netsnmp_pdu *snmp_v3_discovery(void);        /* asks for the engine; NULL: no memory */

/* After discovery: make the keys for the engine that the session has learned. */
bool snmp_v3_settle(struct snmp_v3 *v, const netsnmp_session *session, struct buf *detail);

/* The same with what is known from another session, if anything is: then the session is ready. */
bool snmp_v3_recall(struct snmp_v3 *v, netsnmp_session *session, const struct address *agent,
                    struct memo *engines, int64_t now_ms);
/* Keep what the session, which has been answered, has learned. */
void snmp_v3_keep(const struct snmp_v3 *v, const struct address *agent, struct memo *engines,
                  int64_t now_ms);
void snmp_v3_forget(const struct snmp_v3 *v, const struct address *agent, struct memo *engines,
                    bool wrong);

const char *snmp_v3_report_text(int type); /* of snmpv3_get_report_type() */

#endif
