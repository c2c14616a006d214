/* drivers/store_rows.h - the cycles that poller_time knows of.
 *
 * Why:     it is what Cacti itself waits for, so it says that a cycle has ended when nothing else does.
 * Use:     store_load_cycles(s, poller_id, since_s, on_cycle, arg, &err);
 * Threads: as drivers/store.h.
 * Errors:  as drivers/store.h.
 */
#ifndef SPINE_DRIVERS_STORE_ROWS_H
#define SPINE_DRIVERS_STORE_ROWS_H

#include "drivers/store.h"

#include <stdbool.h>
#include <stdint.h>

struct store_cycle {
    int64_t id, pid;
    const char *start, *end; /* as the database writes them; lent for the call */
    bool open;
    int64_t age_s;              /* of the start */
    bool started_in, closed_in; /* certainly within the last `since_s` seconds */
};

typedef void store_cycle_fn(void *arg, const struct store_cycle *cycle);
/* Of this poller, the youngest first, a thousand at most.  Cacti removes old rows. */
NODISCARD bool store_load_cycles(struct store *s, int poller_id, int64_t since_s,
                                 store_cycle_fn *on_cycle, void *arg, struct err *err);

#endif
