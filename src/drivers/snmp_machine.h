/* The inside of drivers/snmp_exchange, for its two files.  They include net-snmp's headers before this one.
 *
 * snmp_exchange.c  the states, requests and how they end
 * snmp_open.c      from the target to the session, and its end
 */
#ifndef SPINE_DRIVERS_SNMP_MACHINE_H
#define SPINE_DRIVERS_SNMP_MACHINE_H

#include "snmp_private.h"

enum state { IDLE, KEYING, NAMING, NAMING_LOCAL, CONNECTING, DISCOVERING, ASKING, OVER, STATES };

typedef void act_fn(struct snmp_exchange *s, const struct exchange_event *event);

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
    int64_t limit_us;   /* of this try: the deadline or less */
    int64_t timer_us;   /* when to send again or to give up */
    int64_t open_by_us; /* limit of all tries to open a session and ask */
    bool cold;          /* what is known of its engine is wrong, or of no use */
    int vain;           /* attempts that this has cost */
    struct snmp_traffic traffic;

    /* the session */
    const struct target *target;
    char *name;             /* that is being looked up */
    struct snmp_peer *peer; /* the library's as soon as there is a session */
    struct snmp_v3 *v3;     /* credentials, NULL for v1 and v2c */
    void *session;          /* net-snmp's single-session handle, NULL = none */
    bool used;              /* a request has been answered in this session */
    bool recalled;          /* its engine is from another session, and it has not answered yet */

    /* the request as the library's callback sees it */
    bool open; /* the library has it */
    bool settled, noticed, puzzled;
    enum end end;
    int report;
    struct snmp_answer answer;

    enum snmp_outcome outcome; /* if not answered */
    struct buf detail;
};

/* ---- snmp_exchange.c ---- */

/* There is a session. */
void snmpx_ask(struct snmp_exchange *s);

/* ---- snmp_open.c ---- */

act_fn snmpx_go_local, snmpx_go_connect, snmpx_name_failed, snmpx_local_failed, snmpx_keyed,
    snmpx_note_give_up, snmpx_connected, snmpx_connect_late, snmpx_name_late, snmpx_give_up;

void snmpx_close_session(struct snmp_exchange *s);
void snmpx_keep_engine(const struct snmp_exchange *s);
void snmpx_forget_engine(const struct snmp_exchange *s, bool wrong);
int64_t snmpx_before(const struct snmp_exchange *s, int64_t after_us);
int64_t snmpx_timeout_us(const struct snmp_exchange *s);
int64_t snmpx_patience_us(const struct snmp_exchange *s);
void snmpx_want_io(struct snmp_exchange *s, enum state state, short events, int64_t until_us);
void snmpx_over(struct snmp_exchange *s, enum snmp_outcome outcome, bool keep_session);
void snmpx_fail(struct snmp_exchange *s, enum snmp_outcome outcome, const char *detail);
void snmpx_name(struct snmp_exchange *s);
void snmpx_make_keys(struct snmp_exchange *s);
void snmpx_set_retries(const struct snmp_exchange *s, int retries);

#endif
