/* plan.h - what one simulated cycle consists of: the site, the faults, the order of things; all made of a seed.
 *
 * A plan can be made smaller (shrink.c) by switching off devices, items and faults. */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PLAN_DEVICES = 12,
    PLAN_ITEMS = 16,
    PLAN_REINDEX = 3,
    PLAN_DB_FAULTS = 6,
    PLAN_EARLIER = 3,
    PLAN_EARLIER_ID = 9000, /* local_data_id of the first one */
};

enum plan_driver { DRIVER_LEGACY, DRIVER_EVENT, DRIVER_ASYNC, DRIVERS };
extern const char *const plan_driver_names[DRIVERS];

enum plan_agent {
    AGENT_ALIVE,
    AGENT_DEAD,
    AGENT_REFUSES, /* its port is closed */
    AGENT_DIES,    /* at agent_ms */
    AGENT_RETURNS, /* at agent_ms */
};

/* What a command does. */
enum plan_script {
    SCRIPT_GOOD,   /* prints the value and ends */
    SCRIPT_SILENT, /* ends without output */
    SCRIPT_NAN,    /* prints no number */
    SCRIPT_HANGS,  /* until SIGTERM */
    SCRIPT_STUCK,  /* until SIGKILL */
    SCRIPT_LATE,   /* prints the value when its time is over */
    SCRIPT_OPEN,   /* ends, but something keeps its output open */
    SCRIPT_FLOODS,
    SCRIPT_HALF, /* half a line, then it hangs */
    PLAN_SCRIPTS
};

enum plan_item_kind { KIND_SNMP, KIND_SCRIPT, KIND_SERVER, KIND_UNKNOWN };

struct plan_item {
    bool on;
    enum plan_item_kind kind;
    bool missing; /* the agent has no such object */
    bool bad_oid; /* arg1 is not an object identifier */
    enum plan_script script;
    int step_s;   /* rrd_step */
    bool due;     /* rrd_next_step <= 0 */
    bool refused; /* the database never takes its row */
    int field;    /* which rrd_name of its data source: two items may share a local_data_id */
    uint32_t local_data_id;
};

struct plan_device {
    bool on;
    bool deleted;
    bool listed; /* in --hostlist */
    uint32_t id;
    int version, timeout_ms, max_oids, threads;
    int method, ping_method, ping_timeout_ms, ping_retries;
    int status;
    int64_t event_count, total_polls, failed_polls;
    double min_time, max_time, avg_time;
    enum plan_agent agent;
    int64_t agent_ms; /* after the start */
    uint32_t loss, copies,
        late; /* per mille of its messages: lost, twice, later than the time-out */
    int64_t delay_us, jitter_us;
    uint32_t too_big_above; /* 0: never */
    bool reverses;          /* answers in another order than asked */
    struct plan_item items[PLAN_ITEMS];
    size_t item_count;
    struct {
        bool on;
        int action;
        char op;
        int64_t expected; /* assert_value */
    } reindex[PLAN_REINDEX];
    size_t reindex_count;
};

enum plan_db_fault_kind {
    DB_FAILS_BEFORE, /* the statement fails and has done nothing */
    DB_FAILS_AFTER,  /* it was carried out, the answer is an error */
    DB_SLOW,         /* it takes ms longer */
    DB_AWAY,         /* from at_ms on, for ms: every statement and connection fails */
    DB_SILENT,       /* the statement is never answered; the client gives up in its time */
    DB_STUCK,        /* nor does the client */
};

struct plan_db_fault {
    bool on;
    enum plan_db_fault_kind kind;
    int number;    /* of the error */
    int64_t at_ms; /* after the start; the first `times` statements from then on */
    int64_t ms;
    int times;
};

struct plan {
    uint64_t seed;
    enum plan_driver driver;
    struct plan_device devices[PLAN_DEVICES];
    size_t device_count;
    int threads, interval_s, retries, failure_count, recovery_count, active_profiles;
    int address_limit, db_connections, php_servers, max_scripts, script_timeout_s;
    bool boost, read_only, ping_only, bulk, spool, mibs;
    bool has_list; /* --hostlist */
    /* What an earlier run has left in the spool file. */
    struct plan_earlier {
        bool on;
        bool expired; /* older than two intervals */
        bool refused; /* by the database */
    } earlier[PLAN_EARLIER];
    int64_t age_ms; /* of the process when the cycle begins: a deadline is near */
    int64_t db_us;  /* what a statement takes */
    struct plan_db_fault db[PLAN_DB_FAULTS];
    size_t db_fault_count;
    int64_t signal_ms; /* 0: none */
    int signal;
    int64_t step_ms, step_by_s; /* the wall clock jumps; 0: not */
    /* scheduling, per mille */
    uint32_t yields;  /* at a lock */
    uint32_t starves; /* a thread that could run does not, for some time */
    int64_t starve_us;
};

void plan_make(struct plan *p, uint64_t seed);
/* What does not depend on the driver's times: all three must store the same. */
bool plan_is_timeless(const struct plan *p);
/* In the selection of the run, whatever it is like. */
bool plan_selects(const struct plan *p, const struct plan_device *d);
/* What a cycle may take in which nothing goes wrong. */
int64_t plan_most_ms(const struct plan *p);
/* How late threads of the plan may be. */
int64_t plan_slack_ms(const struct plan *p);
void plan_print(const struct plan *p);
uint64_t plan_mix(uint64_t a, uint64_t b);

/* ---- making it smaller (shrink.c) ---- */

/* Number of single things that can be switched off, and the one that does it; false: it was off. */
size_t plan_parts(const struct plan *p);
bool plan_drop(struct plan *p, size_t part);

#endif
