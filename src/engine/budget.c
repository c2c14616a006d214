#include "config.h"

#include "engine/budget.h"

/* Beside the row, which may need a new connection and an answer to one statement. */
enum { RESERVE_MS = 2500, STORING_MS = 1000, CLOSING_MS = 2500, GAP_MS = 250 };
/* poller.php gives up GIVES_UP_MS before the next cycle; LEAVING_MS are for the end of the process.
 * */
enum { GIVES_UP_MS = 2000, LEAVING_MS = 250, SILENCE_MS = 1500 };

/* 3 % of the interval, but at_least_ms or more; of an interval of seconds a quarter is enough. */
static int64_t share(int64_t interval_ms, int64_t at_least_ms)
{
    int64_t part = interval_ms * 3 / 100;
    if (at_least_ms > interval_ms / 4)
        at_least_ms = interval_ms / 4;
    return part > at_least_ms ? part : at_least_ms;
}

/* A tenth of the reserve at least: an interval of seconds is none that poller.php gives up before. */
static int64_t close_until(const struct budget *b)
{
    int64_t reserve_ms = b->stale_from - b->store_until;
    int64_t ms = reserve_ms - GIVES_UP_MS - LEAVING_MS;
    if (ms < reserve_ms / 10)
        ms = reserve_ms / 10;
    return b->store_until + (ms < SILENCE_MS ? ms : SILENCE_MS);
}

struct budget budget_make(int64_t started_mono_ms, int interval_s)
{
    int64_t interval_ms = (int64_t)(interval_s > 0 ? interval_s : 1) * 1000;
    struct budget b;
    b.stale_from = started_mono_ms + interval_ms;
    b.store_until = b.stale_from - share(interval_ms, RESERVE_MS);
    b.poll_until = b.store_until - share(interval_ms, STORING_MS);
    b.close_until = close_until(&b);
    b.end_by = b.store_until + CLOSING_MS;
    b.agent_ms = (b.poll_until - started_mono_ms) / 3;
    int64_t gap_ms = interval_ms < 40 * GAP_MS ? interval_ms / 40 : GAP_MS;
    if (b.end_by > b.stale_from - gap_ms)
        b.end_by = b.stale_from - gap_ms;
    return b;
}
