/* engine/state.h - what a cycle is doing at this moment, as lines of the log.
 *
 * Why:     "why does it take so long" must have an answer while it takes long: SIGUSR1 (and whoever
 *          finds that something hangs) gets one.
 * Use:     if (state_is_due(&last_dump)) state_log(cycle, &state);
 * Threads: the one that knows: the loop's, or on the legacy loop the one that takes signals.
 * Promise: at most one dump a second, however many signals come; at most STATE_FLIGHTS_SHOWN devices
 *          by name, those that wait longest first.
 */
#ifndef SPINE_ENGINE_STATE_H
#define SPINE_ENGINE_STATE_H

#include "engine/cycle.h"

enum { STATE_FLIGHTS_SHOWN = 20, STATE_PAUSE_MS = 1000 };

/* A device in work. */
struct state_flight {
    uint32_t device_id;
    enum ask_kind kind;    /* what it waits for */
    int64_t since_mono_ms; /* 0: it does not wait */
};

struct state {
    const char *driver;
    const char *doing;
    size_t begun;                 /* devices */
    size_t rows_waiting;          /* for the database */
    struct state_flight *flights; /* sorted by state_log() */
    size_t flight_count;
};

/* last_mono_ms: of the last dump, 0 = none. */
bool state_is_due(int64_t *last_mono_ms);
void state_log(const struct cycle *c, struct state *s);

/* "SNMP", "a ping", ... */
const char *state_ask_text(enum ask_kind kind);

#endif
