/* model/ask.h - what a device run asks for and what is answered, in types of no library.
 *
 * Why:     the pure core requests, a driver carries out; this is all they know of each other.
 * Threads: values; views inside are borrowed as noted.
 * Promise: each ask has an id, unique within its run, and ends exactly once.
 */
#ifndef SPINE_MODEL_ASK_H
#define SPINE_MODEL_ASK_H

#include "model/oid.h"
#include "model/target.h"
#include "model/varbind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ask_kind {
    ASK_SNMP,
    ASK_PING,
    ASK_SCRIPT,
    ASK_SERVER, /* a PHP script server */
};

enum snmp_op {
    SNMP_OP_GET,
    SNMP_OP_GETNEXT,
    SNMP_OP_GETBULK, /* not for v1 */
};

/* `names` is valid until the ask ends; the numbers it points to and `target` are const for the
 * whole cycle. */
struct snmp_request {
    enum snmp_op op;
    int bulk_rows; /* max-repetitions of a GETBULK; non-repeaters are 0 */
    const struct target *target;
    const struct oid *names;
    size_t count;
    int64_t limit_ms; /* it ends as timed out after this; 0 = when its attempts are used up */
};

enum snmp_outcome {
    SNMP_ANSWERED,   /* a response PDU: look at error_status, then at the varbinds */
    SNMP_TIMED_OUT,  /* all attempts used up */
    SNMP_REFUSED,    /* a v3 Report: the agent is there but takes no such request; `detail` */
    SNMP_FAILED,     /* no session: parameters or name are wrong; `detail` says what */
    SNMP_IMPOSSIBLE, /* a local failure (descriptors, memory): says nothing about the device;
    `detail` */
};

/* RFC 3416 section 3 / RFC 1157 error-status values that the core looks at. */
enum { SNMP_ERROR_NONE = 0, SNMP_ERROR_TOO_BIG = 1, SNMP_ERROR_NO_SUCH_NAME = 2 };

/* What a request cost on the network, repeats and the search for a v3 engine included. */
struct snmp_traffic {
    uint32_t sent, received; /* messages; of a stream the pieces that were read */
    uint32_t repeats;        /* of the sent ones, those that came after a time-out */
    uint32_t bytes_sent, bytes_received;
};

/* Everything inside is borrowed from the code that delivers the reply. */
struct snmp_reply {
    enum snmp_outcome outcome;
    long error_status;
    long error_index; /* 1-based position in the request; 0 = none */
    const struct varbind *varbinds;
    size_t count;
    const char *detail;
    int64_t elapsed_us; /* of the whole request, retries included */
    struct snmp_traffic traffic;
};

enum ping_method {
    PING_METHOD_ICMP = 1,
    PING_METHOD_UDP = 2,
    PING_METHOD_TCP = 3,
    PING_METHOD_TCP_CLOSED = 5, /* newer Cacti's: refused counts as up, as 3 does here */
};

enum { PING_RETRIES_MAX = 20 };

/* The method and its parameters come from the device row (docs/contract.md 9); the driver resolves the
 * name. */
struct ping_request {
    int method; /* enum ping_method; others are not pinged */
    const char *hostname;
    uint16_t port;
    int timeout_ms; /* avail_ping_timeout_ms() */
    int retries;    /* avail_ping_attempts() */
};

enum ping_outcome {
    PING_UP,
    PING_DOWN,
    PING_IMPOSSIBLE, /* a local failure: never counts against the device */
};

struct ping_reply {
    enum ping_outcome outcome;
    double time_ms;     /* of the answer, when up */
    const char *text;   /* docs/contract.md 9.9; borrowed */
    bool fell_back;     /* ICMP was asked for, UDP was done */
    char bad_name[160]; /* why the name cannot be resolved; "" = it can */
};

/* A command for /bin/sh -c, or a line for a script server; const for the whole cycle. */
struct script_request {
    const char *command;
    bool count_lines; /* only the number of line feeds in the whole output is wanted */
    /* Whose it is, for the log of what happens after its reply; source "DS" or "DQ", static. */
    const char *source;
    uint32_t device_id, source_id;
};

enum script_outcome {
    SCRIPT_OUTPUT, /* something was printed in time; it may be cut at the cap */
    SCRIPT_EMPTY,  /* ended, or closed its output, without printing anything */
    SCRIPT_TIMED_OUT,
    SCRIPT_FLOODED,     /* more output than the cap, or than one line of a script server may hold */
    SCRIPT_NOT_STARTED, /* could not be executed; `detail` says why */
    SCRIPT_LOST,        /* the script server ended or got out of step; `detail` */
    SCRIPT_CANCELLED,   /* the cycle is over */
};

struct script_reply {
    enum script_outcome outcome;
    const char *output; /* borrowed from the code that delivers the reply; may hold any byte */
    size_t len;
    uint64_t lines;     /* line feeds in the whole output, beyond the cap too */
    int server;         /* which script server, from 0 */
    bool cut;           /* more was printed than output holds, and it is not the lines that count */
    bool limit_hit;     /* detail tells which of our limits, and how the script ended */
    const char *detail; /* or NULL */
    int64_t elapsed_us;
};

/* What a run wants to know by it. */
enum ask_purpose {
    ASK_FOR_CHECK,   /* whether the device is up */
    ASK_FOR_SYSTEM,  /* system information */
    ASK_FOR_REINDEX, /* whether a data query has changed */
    ASK_FOR_ITEMS,   /* values */
};

struct ask {
    uint32_t id;
    enum ask_kind kind;
    enum ask_purpose purpose;
    union {
        struct snmp_request snmp;
        struct ping_request ping;
        struct script_request script;
    };
};

#endif
