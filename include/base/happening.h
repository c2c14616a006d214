/* base/happening.h - the events of a cycle: a table of their types, and a small value for each
 * event.
 *
 * Why:     the trace and the event log read these and nothing else (base/stream.h), and what is
 *          counted for the closing lines is emitted by the call that counts it (engine/ledger.h),
 *          so that both always agree.
 * Threads: any; values and const tables.
 * Promise: docs/events.md describes exactly these types and fields (test_happening compares). Figures
 *          with a name that ends in _us or _ms are times, all others are counts or ids.
 */
#ifndef SPINE_BASE_HAPPENING_H
#define SPINE_BASE_HAPPENING_H

#include "base/buf.h"
#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum happening_type {
    EVENT_CYCLE_STARTED,
    EVENT_CYCLE_ROSTER,
    EVENT_CYCLE_LOADED,
    EVENT_CYCLE_DEADLINE,
    EVENT_CYCLE_ENDED,
    EVENT_DEVICE_STARTED,
    EVENT_DEVICE_FINISHED,
    EVENT_DEVICE_UNKNOWN,
    EVENT_DEVICE_DOWN,
    EVENT_DEVICE_UP,
    EVENT_DEVICE_DROPPED,
    EVENT_DEVICE_REINDEX,
    EVENT_ASK_STARTED,
    EVENT_ASK_ANSWERED,
    EVENT_ASK_FAILED,
    EVENT_CHILD_STARTED,
    EVENT_CHILD_ENDED,
    EVENT_CHILD_TIMEOUT,
    EVENT_DB_STORED,
    EVENT_DB_RETRY,
    EVENT_DB_REJECTED,
    EVENT_DB_SPOOLED,
    EVENT_DB_LOST,
    EVENT_DB_DISCONNECTED,
    EVENT_DB_CONNECTED,
    EVENT_UPLINK_ENDED,
    EVENT_QUEUE_FULL,
    EVENT_SIGNAL_RECEIVED,
    EVENT_LOOP_STALLED,
    EVENT_RUN_INPUT,  /* for replay: what went into a device's run */
    EVENT_RUN_ACTION, /* and what it asked for */
    EVENT_TYPES
};

enum { EVENT_FIGURES = 7, EVENT_TEXT = 64 };

struct happening_def {
    const char *name;                   /* "device.down" */
    bool has_device;                    /* the device id means something */
    bool detail;                        /* frequent: left out of a log of normal detail */
    const char *text;                   /* name of the text field, or NULL */
    const char *figures[EVENT_FIGURES]; /* names; the first NULL ends them */
    const char *help;
};

struct happening {
    enum happening_type type;
    uint32_t device;
    int64_t mono_us, wall_us; /* 0: stream_emit() fills them in */
    int64_t figures[EVENT_FIGURES];
    char text[EVENT_TEXT]; /* cut, see happening_set_text() */
};

const struct happening_def *happening_get(enum happening_type type);

/* "device.finished,cycle.*" as a bit for each type (1 << type).  Types for replay are left out, because they come with
 * details alone.  false: the list names no event, *ret_bad says where. */
NODISCARD bool happening_parse_types(const char *list, uint64_t *ret, const char **ret_bad);

/* Cuts at a whole UTF-8 character; NULL is "". */
void happening_set_text(struct happening *e, const char *text);

/* "device.down device=7 figure=1 text" for people: no line feed, no control characters. */
void happening_print(const struct happening *e, struct buf *out);

/* The fields that are this type's own, into an open JSON object. */
void happening_json(const struct happening *e, struct buf *out);

#endif
