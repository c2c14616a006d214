/* Compares the events of a finished cycle with the figures of its ledger. */
#ifndef CHECK_STREAM_H
#define CHECK_STREAM_H

#include "base/mem.h"
#include "base/stream.h"
#include "engine/cycle.h"

#include <stdlib.h>

enum { CHECK_STREAM_EVENTS = 200000, CHECK_STREAM_BYTES = 1 << 20 };

static struct check_stream {
    struct stream_reader *reader;
    size_t count[EVENT_TYPES];
    int64_t sum[EVENT_TYPES][EVENT_FIGURES];
} heard;

/* Before the cycle begins. */
static void check_stream_begin(void)
{
    const struct stream_queue queue = {
        .events = CHECK_STREAM_EVENTS, .bytes = CHECK_STREAM_BYTES, .details = true};
    heard = (struct check_stream){.reader = stream_subscribe(&queue)};
}

static void check_stream_end(void)
{
    struct stream_items items = {0};
    stream_close(heard.reader);
    while (stream_take(heard.reader, &items, 0)) {
        for (size_t i = 0; i < items.count; i++) {
            const struct happening *e = &items.items[i].event;
            heard.count[e->type]++;
            for (size_t k = 0; k < EVENT_FIGURES; k++)
                heard.sum[e->type][k] += e->figures[k];
        }
    }
    stream_items_done(&items);
    free(items.items);
    stream_unsubscribe(heard.reader);
}

static bool adds_up(enum happening_type type, size_t figure, size_t sum)
{
    return heard.sum[type][figure] == (int64_t)sum;
}

/* Of `cycles` cycles, whose figures are added up in f. */
static void check_stream(const struct ledger_figures *f, size_t cycles)
{
    size_t unfinished = f->unfinished - (size_t)heard.sum[EVENT_DEVICE_DROPPED][1];
    CHECK(heard.count[EVENT_CYCLE_STARTED] == cycles);
    CHECK(heard.count[EVENT_DEVICE_DROPPED] == f->dropped);
    CHECK(heard.count[EVENT_DEVICE_STARTED] == heard.count[EVENT_DEVICE_FINISHED]);
    CHECK(adds_up(EVENT_DEVICE_FINISHED, 0, f->values));
    CHECK(adds_up(EVENT_DEVICE_FINISHED, 1, ledger_unknown(f)));
    CHECK(adds_up(EVENT_DEVICE_UNKNOWN, 0, ledger_unknown(f)));
    CHECK(adds_up(EVENT_DEVICE_FINISHED, 2, f->skipped));
    CHECK(adds_up(EVENT_DEVICE_FINISHED, 3, unfinished));
    CHECK(adds_up(EVENT_DEVICE_FINISHED, 4, f->down));
    CHECK(adds_up(EVENT_DB_STORED, 0, f->stored - (size_t)heard.sum[EVENT_UPLINK_ENDED][0]));
    CHECK(adds_up(EVENT_DB_SPOOLED, 0, f->spooled));
    CHECK(adds_up(EVENT_DB_LOST, 0, f->lost - f->rejected));
    CHECK(adds_up(EVENT_DB_RETRY, 0, f->retries));
    CHECK(heard.count[EVENT_DB_REJECTED] == f->rejected);
}

#endif
