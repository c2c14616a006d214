/* drivers/recording.h - reads the lines of an event log that was recorded at full detail.
 *
 * Why:     app/replay.h plays them back; this module knows what a line means, and does not trust
 *          it: a recording may have been edited.
 * Use:     struct recorded r;
 *          if (!recording_parse(line, len, &r, &err)) ...
 *          if (r.kind == RECORDED_INPUT) devrun_feed(run, &r.event);
 *          recorded_done(&r);
 * Threads: any.
 * Owns:    a struct recorded owns everything it points to.
 * Promise: any bytes give a value within the core's bounds or an error that says what is wrong;
 *          what model/record.h has written is read back unchanged, except secrets.
 * Errors:  ERR_DATA; ERR_UNAVAILABLE in a build without jansson.
 */
#ifndef SPINE_DRIVERS_RECORDING_H
#define SPINE_DRIVERS_RECORDING_H

#include "base/arena.h"
#include "base/err.h"
#include "model/devrun.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum recorded_kind {
    RECORDED_OTHER, /* of no interest for a replay */
    RECORDED_INPUT,
    RECORDED_ACTION,
};

struct recorded {
    enum recorded_kind kind;
    int64_t pid;
    int64_t number; /* counts the process's lines from 1; a gap: lines are missing */
    uint32_t device;
    struct devrun_event event;     /* of an input */
    struct device *started;        /* of the input DEVRUN_START */
    struct devrun_options options; /* the same */
    char *action;                  /* see recording_canonical() */
    struct arena memory;
};

/* Whether this build can; false: err says why not. */
bool recording_available(struct err *err);

NODISCARD bool recording_parse(const char *line, size_t len, struct recorded *ret, struct err *err);
void recorded_done(struct recorded *r);

/* One spelling for equal JSON objects; NULL if it is not an object.  free() it. */
NODISCARD char *recording_canonical(const char *json, size_t len);

#endif
