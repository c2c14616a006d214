#include "config.h"

#include "engine/state.h"

#include "base/clock.h"
#include "base/trace.h"

#include <inttypes.h>
#include <stdlib.h>

bool state_is_due(int64_t *last_mono_ms)
{
    int64_t now = clock_mono_ms();
    if (*last_mono_ms != 0 && now - *last_mono_ms < STATE_PAUSE_MS)
        return false;
    *last_mono_ms = now;
    return true;
}

const char *state_ask_text(enum ask_kind kind)
{
    switch (kind) {
    case ASK_SNMP: return "SNMP";
    case ASK_PING: return "a ping";
    case ASK_SCRIPT: return "a script";
    case ASK_SERVER: return "a script server";
    }
    return "nothing";
}

static int64_t order_of(const struct state_flight *f)
{
    return f->since_mono_ms == 0 ? INT64_MAX : f->since_mono_ms;
}

static int longest_first(const void *a, const void *b)
{
    int64_t x = order_of(a), y = order_of(b);
    return (x > y) - (x < y);
}

static void log_flight(const struct state_flight *f, int64_t now_ms)
{
    if (f->since_mono_ms == 0)
        log_line(LOG_ALWAYS, "NOTE: State: Device[%" PRIu32 "] is in work", f->device_id);
    else
        log_line(LOG_ALWAYS, "NOTE: State: Device[%" PRIu32 "] waits for %s since %" PRId64 " ms",
                 f->device_id, state_ask_text(f->kind), now_ms - f->since_mono_ms);
}

void state_log(const struct cycle *c, struct state *s)
{
    int64_t now = clock_mono_ms();
    log_line(LOG_ALWAYS,
             "NOTE: State: %s, %s, %.3f s after the start; devices: %zu begun, %zu in work; rows "
             "waiting: %zu; polling ends in %.3f s, storing in %.3f s",
             s->driver, s->doing, (double)(now - c->started_mono_us / 1000) / 1000, s->begun,
             s->flight_count, s->rows_waiting, (double)(c->poll_until_mono_ms - now) / 1000,
             (double)(c->store_until_mono_ms - now) / 1000);
    if (s->flight_count > 0)
        qsort(s->flights, s->flight_count, sizeof(s->flights[0]), longest_first);
    for (size_t i = 0; i < s->flight_count && i < STATE_FLIGHTS_SHOWN; i++)
        log_flight(&s->flights[i], now);
    if (s->flight_count > STATE_FLIGHTS_SHOWN)
        log_line(LOG_ALWAYS, "NOTE: State: and %zu devices more",
                 s->flight_count - STATE_FLIGHTS_SHOWN);
    trace_dump("SIGUSR1");
}
