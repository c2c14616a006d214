/* app/look.h - polls devices as a cycle does, writes nothing, and keeps what was seen.
 *
 * Why:     --explain and --verify show what a cycle would do; so it is the real one that they run:
 *          its drivers, its core, its order.
 * Use:     struct look *l = look_new(with_story);
 *          devrun_watcher: look_watcher(l)      set in struct cycle before it is polled
 *          const struct look_device *d = look_at(l, i);
 *          look_free(l);
 * Threads: the watcher from any, one at a time per device; all else from the main thread, while
 *          nothing is polled.
 * Owns:    copies of everything that it has seen.
 */
#ifndef SPINE_APP_LOOK_H
#define SPINE_APP_LOOK_H

#include "base/arena.h"
#include "model/devrun.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct look;

/* An ask and its answer. */
struct look_ask {
    uint32_t id;
    enum ask_kind kind;
    int64_t began_us; /* after the device's start */
    int64_t elapsed_us;
    bool answered;       /* false: the cycle ended before */
    bool failed;         /* no answer, or one that says so */
    const char *what;    /* "GET iso.3.6.1... and 9 more", "ICMP", a command */
    const char *outcome; /* "answered", "timed out" */
    const char *detail;  /* or NULL */
    size_t names;        /* objects that an SNMP request asks for */
    struct snmp_traffic traffic;
    size_t output_bytes; /* of a script */
};

struct look_item {
    uint32_t local_data_id;
    const char *rrd_name;
    int action;       /* enum item_action, or another number */
    const char *arg1; /* object identifier or command */
    uint32_t ask_id;  /* 0: it was not asked for */
    enum unknown_reason reason;
    const char *why;   /* of a U */
    const char *value; /* "U" too */
};

/* What a cycle would have Cacti do about a data query. */
struct look_query {
    uint32_t data_query_id;
    size_t assertions;
    size_t changed; /* of these, whose stored value would be replaced */
    bool reindex;
};

struct look_device {
    uint32_t id;
    const char *hostname;
    int snmp_version;
    uint16_t snmp_port;
    int availability_method;
    int64_t started_us; /* monotonic */
    bool finished;
    struct devrun_result result; /* without system information */
    struct look_ask *asks;
    size_t ask_count, ask_cap;
    struct look_item *items; /* ordered by local_data_id and rrd_name as soon as it has finished */
    size_t item_count, item_cap;
    struct look_query *queries;
    size_t query_count, query_cap;
    const char **lines; /* of the log */
    size_t line_count, line_cap;
    struct arena memory;
};

/* with_story: asks, queries and the log lines of this level and below, too, not only items and results. */
NODISCARD struct look *look_new(bool with_story, enum log_level level);
void look_free(struct look *l); /* NULL allowed */

/* Valid as long as the look.  It also does what engine/witness does. */
const struct devrun_watcher *look_watcher(const struct look *l);

size_t look_count(const struct look *l);
/* Ordered by id after look_sort(). */
void look_sort(struct look *l);
const struct look_device *look_at(const struct look *l, size_t i);
const struct look_device *look_find(const struct look *l, uint32_t id); /* sorted; or NULL */
/* By local_data_id and rrd_name; or NULL. */
const struct look_item *look_find_item(const struct look_device *d, uint32_t local_data_id,
                                       const char *rrd_name);

#endif
