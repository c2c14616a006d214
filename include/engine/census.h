/* engine/census.h - the table of one cycle that the reports are written from: each device, and sums.
 *
 * Why:     metrics, report, timeline and trace must tell the same story; each would otherwise follow the
 *          events by itself.
 * Use:     struct census *c = census_new();
 *          census_take(c, &event, &ended);                          every event of the stream, in order
 *          for (i = 0; (d = census_device(c, i)) != NULL; i++) ...
 *          census_free(c);
 * Threads: one at a time; pure: it has no clock and knows what the events say.
 * Owns:    what it hands out, until the next census_take() or census_free().
 * Promise: memory is bounded: some 200 bytes and its names for a device, of CENSUS_DEVICES_MAX at most; further
 *          ones are counted in the sums only.  The phases of a device add up to its duration.  Events that
 *          were dropped before they came here leave gaps, never a wrong sum of what came.
 */
#ifndef SPINE_ENGINE_CENSUS_H
#define SPINE_ENGINE_CENSUS_H

#include "base/compiler.h"
#include "base/happening.h"
#include "model/ask.h"
#include "model/devrun.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CENSUS_DEVICES_MAX = 250000,
    CENSUS_OPEN_MAX = 65536, /* asks that are under way */
    CENSUS_BATCHES_MAX = 4096,
    CENSUS_MARKS_MAX = 128,
    CENSUS_SEGMENTS = 8, /* of a device; later ones are added to the last */
};

/* What the time of a device went into.  While several asks are open it is the first of this list that
 * counts. */
enum census_phase {
    CENSUS_CHECK,   /* is it up */
    CENSUS_SYSTEM,  /* system information */
    CENSUS_REINDEX, /* has a data query changed */
    CENSUS_SNMP,    /* values by SNMP */
    CENSUS_SCRIPT,  /* values by scripts */
    CENSUS_SERVER,  /* values by a script server */
    CENSUS_QUEUE,   /* an ask waits until it may be sent */
    CENSUS_OTHER,   /* no ask is open */
    CENSUS_PHASES
};

const char *census_phase_text(enum census_phase phase);
const char *census_kind_text(enum ask_kind kind); /* "snmp", "ping", "script", "server" */

enum census_state {
    CENSUS_POLLING,  /* its end is not known */
    CENSUS_FINISHED, /* polled to the end */
    CENSUS_STOPPED,  /* there was no time to poll it to the end */
    CENSUS_SKIPPED,  /* there was no time to begin */
};

/* All times in us; those that are not durations are after the start of the cycle. */
struct census_device {
    uint32_t id;
    uint8_t state; /* enum census_state */
    bool down;
    uint8_t segments;
    uint8_t segment_phase[CENSUS_SEGMENTS]; /* the order of its phases, for a picture */
    uint32_t segment_end[CENSUS_SEGMENTS];  /* after the start of the device */
    uint32_t started, duration;
    uint32_t phase[CENSUS_PHASES];
    uint32_t accounted; /* until then its phases are known, after its start */
    uint32_t open;      /* its first open ask, index + 1 */
    uint32_t asks, failed, repeats;
    uint32_t items, values, unknown, skipped, unfinished;
    uint16_t reasons[UNKNOWN_REASONS]; /* of U */
    uint32_t lane;                     /* the trace's */
    const char *hostname;              /* "" if it was not begun */
    const char *why;                   /* the first failure, or NULL */
};

/* An ask that has ended. */
struct census_ask {
    const struct census_device *device;
    enum ask_kind kind;
    enum ask_purpose purpose;
    bool failed;
    uint32_t names, repeats;
    int64_t started, ended; /* as times of a device */
    const char *text;       /* the event's */
};

struct census_kind_sums {
    uint64_t asks, failed, repeats, elapsed_us;
};

struct census_batch {
    int64_t ended, elapsed_us;
    uint32_t rows, hosts;
};

/* What happened to the cycle as a whole. */
struct census_mark {
    int64_t at;
    enum happening_type type;
    int64_t figure; /* the event's first */
    char text[EVENT_TEXT];
};

struct census_sums {
    /* the cycle */
    int64_t started_mono_us, started_wall_us; /* 0: none was begun */
    int64_t poller, threads, interval_ms;
    bool ended, out_of_time;
    int64_t status;     /* of cycle.ended: an exit status, or minus a signal */
    int64_t elapsed_us; /* of cycle.ended, else until the last event */
    int64_t loop_lag_us, stalls;
    size_t roster; /* devices that are to be polled; 0: not known yet */
    size_t items_due;
    /* devices and their items */
    size_t begun, finished, stopped, skipped_devices, down, went_down, came_up, reindexed;
    uint64_t values, unknown, skipped, unfinished;
    uint64_t reasons[UNKNOWN_REASONS];
    uint64_t phase_us[CENSUS_PHASES];
    struct census_kind_sums kinds[4]; /* by enum ask_kind */
    uint64_t children, children_failed, children_timed_out;
    /* rows */
    uint64_t batches, stored, hosts, retries, rejected, spooled, lost, kept;
    int64_t batch_us, batch_longest_us;
    uint64_t disconnects, queue_full;
    /* what this table lacks */
    uint64_t devices_left_out;
};

/* What no event says. */
struct census_facts {
    int poller;
    bool has_range; /* of device ids */
    uint32_t first, last;
    const char *driver; /* config_driver_text() of the one that polled */
    int status;         /* the exit status, or 128 and the signal that ended it */
    int64_t ended_wall_us;
    int64_t cpu_us;         /* of the process in this time, without its children */
    int64_t resident_bytes; /* the most that it had */
    uint64_t missing;       /* events that the table has not got */
};

struct census;

NODISCARD struct census *census_new(void);
void census_free(struct census *c); /* NULL allowed */

/* true: the event has ended the ask that *ended describes. */
bool census_take(struct census *c, const struct happening *e, struct census_ask *ended);

/* Worth a mark in a picture: the deadline, a signal, a lost connection and the like. */
bool census_is_mark(enum happening_type type);

const struct census_sums *census_sums(const struct census *c);
size_t census_count(const struct census *c);
/* In the order in which they began; NULL: there are no more. */
const struct census_device *census_device(const struct census *c, size_t i);
/* The one of this id, which may change its lane; NULL: it is not in the table. */
struct census_device *census_find(struct census *c, uint32_t id);
const struct census_batch *census_batches(const struct census *c, size_t *count);
const struct census_mark *census_marks(const struct census *c, size_t *count);
size_t census_bytes(const struct census *c); /* held */

/* Devices by duration, the longest first: `most` indices at most.  free() it. */
NODISCARD size_t *census_slowest(const struct census *c, size_t most, size_t *count);

#endif
