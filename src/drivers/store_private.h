/* drivers/store_private.h - what store.c and store_load.c share.  Nobody else includes it. */
#ifndef SPINE_DRIVERS_STORE_PRIVATE_H
#define SPINE_DRIVERS_STORE_PRIVATE_H

#include "drivers/store.h"

struct store {
    struct arena memory; /* the strings of params */
    struct db_params params;
    struct db *db; /* NULL: lost, opened again by the next statement */
    _Atomic int64_t deadline;
    bool read_only;
    int poller_id;             /* whose commands are written */
    int sites_can_be_disabled; /* sites.disabled exists: 1 yes, 0 no, -1 not asked yet */
    size_t retries;
    int64_t lost_mono_ms; /* when the connection was lost */
    size_t reconnects;
    store_event_fn *on_event; /* may be NULL */
    void *on_event_arg;
};

enum store_result {
    STORE_DONE,
    STORE_REFUSED, /* this statement failed for good; another one may succeed */
    STORE_OVER,    /* no connection and no time or right to open one */
};

/* How often one statement has been tried. */
struct store_attempt {
    unsigned tries;
    unsigned conflicts, conflicts_at_most;
    unsigned lost, lost_at_most;
    bool may_split;        /* fewer rows may fit */
    int64_t missing_since; /* table not found; 0 = it was there */
};

/* Have a connection.  Fails when the deadline has passed or the server refuses. */
NODISCARD bool store_connect(struct store *s, struct err *err);

/* A statement failed: shall it be sent again?  Waits and drops the connection as
 * needed. */
NODISCARD enum store_result store_again(struct store *s, struct store_attempt *a,
                                        const struct err *why);

/* Put `what` in front of the reason. */
void store_explain(struct err *err, const char *what);

#endif
