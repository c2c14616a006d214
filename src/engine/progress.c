#include "config.h"

#include "engine/progress.h"

#include "base/clock.h"
#include "base/trace.h"

#include <inttypes.h>
#include <stdlib.h>

bool progress_is_due(int64_t *last_mono_ms)
{
    int64_t now = clock_mono_ms();
    if (*last_mono_ms != 0 && now - *last_mono_ms < PROGRESS_PAUSE_MS)
        return false;
    *last_mono_ms = now;
    return true;
}

static int64_t order_of(const struct asker_wait *f)
{
    return f->since_mono_ms == 0 ? INT64_MAX : f->since_mono_ms;
}

static int longest_first(const void *a, const void *b)
{
    int64_t x = order_of(a), y = order_of(b);
    return (x > y) - (x < y);
}

static void progress_log_wait(const struct asker_wait *f, int64_t now_ms)
{
    if (f->since_mono_ms == 0)
        log_line(LOG_ALWAYS, "NOTE: State: Device[%" PRIu32 "] is being processed", f->device_id);
    else
        log_line(LOG_ALWAYS,
                 "NOTE: State: Device[%" PRIu32 "] has waited for %s for %" PRId64 " ms",
                 f->device_id, asker_kind_text(f->kind), now_ms - f->since_mono_ms);
}

void progress_log(const struct cycle *c, struct progress *p)
{
    int64_t now = clock_mono_ms();
    log_line(
        LOG_ALWAYS,
        "NOTE: State: %s, %s, %.3f s after the start; devices: %zu begun, %zu being polled; rows "
        "waiting: %zu; polling ends in %.3f s, storing in %.3f s",
        p->driver, p->doing, (double)(now - c->started_mono_us / 1000) / 1000, p->begun,
        p->wait_count, p->rows_waiting, (double)(c->budget.poll_until - now) / 1000,
        (double)(c->budget.store_until - now) / 1000);
    if (p->wait_count > 0)
        qsort(p->waits, p->wait_count, sizeof(p->waits[0]), longest_first);
    for (size_t i = 0; i < p->wait_count && i < PROGRESS_WAITS_SHOWN; i++)
        progress_log_wait(&p->waits[i], now);
    if (p->wait_count > PROGRESS_WAITS_SHOWN)
        log_line(LOG_ALWAYS, "NOTE: State: and %zu devices more",
                 p->wait_count - PROGRESS_WAITS_SHOWN);
    trace_dump("SIGUSR1");
}
