/* model/device.h - a device and its poller items as Cacti describes them.
 *
 * Use:     d = device_new();  fill it, its strings and arrays from d->memory;  device_unref(d);
 * Threads: built while loading by one thread, const afterwards, references from any; a run keeps its own
 *          copy of the status.
 * Owns:    a device owns its strings, arrays and targets, which live as long as it has references.
 * Source:  docs/contract.md 4.
 */
#ifndef SPINE_MODEL_DEVICE_H
#define SPINE_MODEL_DEVICE_H

#include "base/arena.h"
#include "model/oid.h"
#include "model/target.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum item_action {
    ITEM_SNMP = 0,
    ITEM_SCRIPT = 1,
    ITEM_SERVER = 2, /* PHP script server */
};

/* One row of poller_item that is due. */
struct item {
    uint32_t local_data_id;
    int action; /* enum item_action; other numbers exist in the field and are answered with U */
    int step_s; /* rrd_step: how often RRDtool expects a value */
    const char *rrd_name;
    const char *arg1;
    const struct target *target; /* of the item, not of the device row */
    struct oid oid;              /* arg1 of an SNMP item; len 0 = unparsable */
};

enum reindex_action {
    REINDEX_SNMP = 0,
    REINDEX_SCRIPT = 1,
    REINDEX_SERVER = 2,
    REINDEX_SNMP_COUNT = 10,
    REINDEX_SCRIPT_COUNT = 11,
    REINDEX_SERVER_COUNT = 12,
};

/* One row of poller_reindex: the assertion "result op assert_value" (docs/contract.md 11). */
struct reindex_row {
    uint32_t data_query_id;
    int action; /* enum reindex_action; others are unknown */
    char op;    /* '=', '<', '>' */
    const char *assert_value;
    const char *arg1;
    struct oid oid; /* arg1 of an SNMP action; len 0 = unparsable */
};

bool item_is_script(const struct item *item); /* or for a script server */
/* Can cycles of this length poll it exactly when it is due?  Else the first one at or after that does. */
bool item_step_fits(const struct item *item, int64_t interval_s);
bool reindex_is_script(const struct reindex_row *row);

enum host_status {
    HOST_UNKNOWN = 0,
    HOST_DOWN = 1,
    HOST_RECOVERING = 2,
    HOST_UP = 3,
};

enum availability_method {
    AVAIL_NONE = 0,
    AVAIL_PING_AND_SNMP = 1,
    AVAIL_SNMP_UPTIME = 2,
    AVAIL_PING = 3,
    AVAIL_PING_OR_SNMP = 4,
    AVAIL_SNMP_DESC = 5,
    AVAIL_SNMP_GETNEXT = 6,
};

/* The columns of `host` that a check changes (docs/contract.md 8.6).  Times in milliseconds, dates in Unix
 * seconds. */
struct device_status {
    int status; /* enum host_status */
    int64_t event_count;
    int64_t fail_date;
    int64_t rec_date;
    const char *last_error;
    double min_time;
    double max_time;
    double cur_time;
    double avg_time;
    int64_t total_polls;
    int64_t failed_polls;
    double availability;
};

/* System information of a device; NULL or absent = not obtained, the stored value stays
 * (docs/contract.md 10.2). */
struct system_info {
    const char *descr, *object_id, *contact, *name, *location;
    bool has_uptime;
    int64_t uptime_ticks; /* 1/100 s */
};

struct device {
    uint32_t id; /* 0 = the items without a device (docs/contract.md 5.3) */
    int device_threads;
    int64_t max_oids; /* as stored; the run checks the range */
    struct target snmp;
    int availability_method;
    int ping_method;
    uint16_t ping_port;
    int ping_timeout_ms;
    int ping_retries;
    struct device_status status;
    double last_polling_s; /* what the last complete poll took */
    struct item *items;    /* due ones of this poller, in polling order (docs/contract.md 5.5) */
    size_t item_count;
    struct reindex_row *reindex; /* ordered by data query */
    size_t reindex_count;
    size_t place; /* in the cycle's roster */
    struct arena memory;
    atomic_int references;
};

NODISCARD struct device *device_new(void); /* zeroed, with one reference */
const struct device *device_ref(const struct device *d);
void device_unref(const struct device *d); /* NULL allowed */

bool device_asks_scripts(const struct device *d); /* or script servers */

/* Polling order: script items keep their place among SNMP items of the same port. */
int item_compare(const void *a, const void *b);

#endif
