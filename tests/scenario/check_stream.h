/* Holds what the stream has told of a finished cycle against what became of it. */
#ifndef CHECK_STREAM_H
#define CHECK_STREAM_H

#include "base/mem.h"
#include "base/stream.h"
#include "engine/cycle.h"

static bool adds_up(enum happening_type type, size_t figure, size_t sum)
{
    return stream_sum(type, figure) == (int64_t)sum;
}

static void check_stream(const struct cycle *c, size_t unknown)
{
    const struct tally *t = &c->tally;
    size_t unfinished = t->unfinished - (size_t)stream_sum(EVENT_DEVICE_DROPPED, 1);
    CHECK(stream_count(EVENT_CYCLE_STARTED) == 1);
    CHECK(stream_count(EVENT_CYCLE_LOADED) == c->loaded);
    CHECK(stream_count(EVENT_CYCLE_DEADLINE) == c->out_of_time);
    CHECK(stream_count(EVENT_SIGNAL_RECEIVED) == (c->stop_signal != 0));
    CHECK(stream_count(EVENT_DEVICE_DROPPED) == t->dropped);
    CHECK(stream_count(EVENT_DEVICE_STARTED) == stream_count(EVENT_DEVICE_FINISHED));
    CHECK(adds_up(EVENT_DEVICE_FINISHED, 0, t->values));
    CHECK(adds_up(EVENT_DEVICE_FINISHED, 1, unknown));
    CHECK(adds_up(EVENT_DEVICE_UNKNOWN, 0, unknown));
    CHECK(adds_up(EVENT_DEVICE_FINISHED, 2, t->skipped));
    CHECK(adds_up(EVENT_DEVICE_FINISHED, 3, unfinished));
    CHECK(adds_up(EVENT_DEVICE_FINISHED, 4, t->down));
    CHECK(adds_up(EVENT_DB_STORED, 0, c->rows.stored - (size_t)stream_sum(EVENT_UPLINK_ENDED, 0)));
    CHECK(adds_up(EVENT_DB_SPOOLED, 0, c->rows.spooled));
    CHECK(adds_up(EVENT_DB_LOST, 0, c->rows.lost - c->rows.rejected));
    CHECK(adds_up(EVENT_DB_RETRY, 0, c->rows.retries));
    CHECK(stream_count(EVENT_DB_REJECTED) == c->rows.rejected);
}

#endif
